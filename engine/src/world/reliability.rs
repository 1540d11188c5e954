//! Reliability indices in the picture: months of nodes, made of the interruptions that stand ([`crate::reliability`]).
//!
//! A month is tallied anew, whole, when an interruption of it changed, when master data changed, and when a day of it has passed (consumers
//! are those who are connected at its end, or now while it runs). Which of it is published is the difference between that and the
//! table.
//!
//! A node has a month when one of its consumers was interrupted in it, or when a feeder at, above or below it was heard in it: then that
//! nobody was interrupted is known, and the month is one of zeros. Of a feeder that said nothing all month nothing is known.

use std::collections::{BTreeMap, BTreeSet};

use gridtally_schemas::{ConsumerId, Day, UtcMicros};
use hashbrown::HashMap;

use super::World;
use crate::{
    network::{MeterIx, NodeIx},
    outage::{FeederPicture, Interruption},
    reliability::{Counted, Counting, FeederMonth, FeederOperation, MajorEventDays, Tally},
};

mod restore;
mod rows;
#[cfg(test)]
mod tests;

pub(crate) use rows::DueIndices;
pub use rows::{Basis, IndexRow, MajorDays};

use rows::PublishedIndices;

/// Years before a year by which its major event days are judged.
const YEARS_BEFORE: i32 = 5;

/// A node in one month.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct OfNode {
    /// By consumer; with and without major event days.
    consumer: [Tally; 2],
    /// By feeder; with and without major event days.
    feeder: [FeederMonth; 2],
}

/// The part of the picture that indices keep.
#[derive(Debug, Default)]
pub(crate) struct Indices {
    months: BTreeMap<Day, HashMap<NodeIx, OfNode>>,
    /// First days of months to tally anew.
    dirty: BTreeSet<Day>,
    /// Feeders that were heard, by month.
    heard: HashMap<Day, BTreeSet<NodeIx>>,
    /// Consumers of each node, by month.
    served: HashMap<Day, HashMap<NodeIx, u64>>,
    /// The last civil day that a tally was made in.
    tallied_on: Option<Day>,
    published: PublishedIndices,
}

impl Indices {
    /// Notes that an interruption changed that began in this month.
    pub(super) fn note_month(&mut self, month: Day) {
        self.dirty.insert(month);
    }

    /// Notes that a feeder was heard in a month: the first time in it the feeder's nodes have that month.
    pub(super) fn note_heard(&mut self, feeder: NodeIx, month: Day) {
        if self.heard.entry(month).or_default().insert(feeder) {
            self.dirty.insert(month);
        }
    }

    /// Notes that a feeder was not heard in a month after all.
    pub(super) fn note_unheard(&mut self, feeder: NodeIx, month: Day) {
        if self.heard.entry(month).or_default().remove(&feeder) {
            self.dirty.insert(month);
        }
    }

    /// Notes that master data changed.
    pub(super) fn note_network(&mut self) {
        self.served.clear();
        self.dirty.extend(self.months.keys().copied());
    }
}

/// What a tally counts by.
struct Tallying {
    month: Day,
    counting: Counting,
    major: BTreeSet<Day>,
}

impl World {
    /// Brings the indices up to the interruptions that stand, as of `now`.
    pub fn tally_months(&mut self, now: UtcMicros) {
        let today = self.settings.zone.day_of(now);
        if self.indices.tallied_on.replace(today) != Some(today) {
            // Who was connected since counts; what has ended counts as it ended.
            let running = today.first_of_month();
            let last = self.indices.months.keys().next_back().copied();
            for month in [Some(running), last].into_iter().flatten() {
                self.indices.served.remove(&month);
                if self.indices.months.contains_key(&month) {
                    self.indices.dirty.insert(month);
                }
            }
        }
        let dirty = std::mem::take(&mut self.indices.dirty);
        if dirty.is_empty() {
            return;
        }
        let daily = self.daily_tallies();
        for month in dirty {
            self.tally_month(month, now, &daily);
        }
    }

    fn tally_month(&mut self, month: Day, now: UtcMicros, daily: &BTreeMap<Day, i128>) {
        let served = match self.indices.served.remove(&month) {
            Some(served) => served,
            None => self.served_in(month, now),
        };
        let tallying = Tallying {
            month,
            counting: Counting {
                momentary_micros: self.settings.outage_rules.momentary_micros,
                ..Counting::default()
            },
            major: self.major_days(month, daily, served.values().copied().max().unwrap_or(0)),
        };
        let mut nodes: HashMap<NodeIx, OfNode> = HashMap::new();
        for (feeder, evaluation, picture) in self.outage_feeders() {
            let consumers = tallies_of(&tallying, self, picture, &evaluation.interruptions);
            let above = self.chain(feeder);
            for (dt, with, without) in consumers {
                for node in dt.into_iter().chain(above.iter().copied()) {
                    let of_node = nodes.entry(node).or_default();
                    let [included, excluded] = &mut of_node.consumer;
                    *included += &with;
                    *excluded += &without;
                }
            }
            for node in above {
                let of_node = nodes.entry(node).or_default();
                for (at, month) in of_node.feeder.iter_mut().enumerate() {
                    let counts = |began: Day| at == 0 || !tallying.major.contains(&began);
                    let operations: Vec<FeederOperation> = evaluation
                        .outages
                        .values()
                        .filter(|outage| {
                            let began = self.settings.zone.day_of(outage.started_at);
                            began.first_of_month() == tallying.month && counts(began)
                        })
                        .filter_map(FeederOperation::of)
                        .collect();
                    // Consumers are set below, for every node alike.
                    let of_feeder = served.get(&feeder).copied().unwrap_or(0);
                    month.add_feeder(&tallying.counting, of_feeder, &operations);
                }
            }
        }
        nodes.retain(|_, of_node| *of_node != OfNode::default());
        for node in self.nodes_heard_in(month) {
            nodes.entry(node).or_default();
        }
        for (node, of_node) in &mut nodes {
            let consumers = served.get(node).copied().unwrap_or(0);
            of_node
                .consumer
                .iter_mut()
                .for_each(|tally| tally.consumers_served = consumers);
            of_node
                .feeder
                .iter_mut()
                .for_each(|month| month.consumers = consumers);
        }
        nodes.retain(|_, of_node| *of_node != OfNode::default());
        self.indices.served.insert(month, served);
        self.stand(month, nodes);
    }

    /// The nodes at, above and below the feeders that were heard in a month.
    fn nodes_heard_in(&self, month: Day) -> BTreeSet<NodeIx> {
        let feeders = self.indices.heard.get(&month);
        let mut nodes = BTreeSet::new();
        for feeder in feeders.into_iter().flatten() {
            nodes.extend(self.chain(*feeder));
            nodes.extend(self.children(*feeder));
        }
        nodes
    }

    /// Puts a month's tallies in the place of those before, and marks the nodes that differ.
    fn stand(&mut self, month: Day, nodes: HashMap<NodeIx, OfNode>) {
        let before = self.indices.months.remove(&month).unwrap_or_default();
        let ids = before.keys().chain(nodes.keys());
        let differ = ids.filter(|node| before.get(*node) != nodes.get(*node));
        let differ: Vec<NodeIx> = differ.copied().collect();
        self.indices.published.mark(month, differ);
        if !nodes.is_empty() {
            self.indices.months.insert(month, nodes);
        }
    }

    /// The node and all above it, nearest first, by their newest rows.
    fn chain(&self, node: NodeIx) -> Vec<NodeIx> {
        let above = super::outage::picture::above(&self.network, node);
        let above = above.iter().filter_map(|id| self.network.find_node(id.as_str()));
        std::iter::once(node).chain(above).collect()
    }

    /// Consumers by node, as they were connected at the end of a month, or are now while it runs.
    fn served_in(&self, month: Day, now: UtcMicros) -> HashMap<NodeIx, u64> {
        let end = self.settings.zone.start_of(Day(month.0 + month.days_in_month()));
        let at = end.plus(-1).min(now);
        let mut places: HashMap<&ConsumerId, (Option<MeterIx>, NodeIx)> = HashMap::new();
        for connection in self.network.connections() {
            let row = connection.history.at(at);
            let Some(node) = row.and_then(|row| self.network.find_node(row.node_id.as_str())) else {
                continue;
            };
            // Each consumer once: where its lowest meter says, as with interruptions.
            let id = |meter: Option<MeterIx>| {
                meter
                    .and_then(|meter| self.network.meter(meter))
                    .map(|meter| &meter.id)
            };
            let held = places
                .entry(&connection.consumer_id)
                .or_insert((connection.meter, node));
            if id(connection.meter) < id(held.0) {
                *held = (connection.meter, node);
            }
        }
        let mut by_place: HashMap<NodeIx, u64> = HashMap::new();
        for (_, node) in places.into_values() {
            *by_place.entry(node).or_default() += 1;
        }
        let mut served: HashMap<NodeIx, u64> = HashMap::new();
        for (place, consumers) in by_place {
            for node in self.chain(place) {
                *served.entry(node).or_default() += consumers;
            }
        }
        served
    }

    /// Time of sustained interruption by the day in which it began, µs, of everybody.
    fn daily_tallies(&self) -> BTreeMap<Day, i128> {
        let momentary = self.settings.outage_rules.momentary_micros;
        let mut daily: BTreeMap<Day, i128> = BTreeMap::new();
        for (_, evaluation, _) in self.outage_feeders() {
            for counted in evaluation.interruptions.iter().filter_map(Counted::of) {
                if counted.counted_micros > momentary {
                    let day = self.settings.zone.day_of(counted.started_at);
                    *daily.entry(day).or_default() += i128::from(counted.counted_micros);
                }
            }
        }
        daily
    }

    /// The major event days of a month's calendar year, by the five years before it.
    fn major_days(&self, month: Day, daily: &BTreeMap<Day, i128>, served: u64) -> BTreeSet<Day> {
        let january = first_of_year(month);
        let mut from = january;
        for _ in 0..YEARS_BEFORE {
            from = first_of_year(Day(from.0 - 1));
        }
        let tally = |(day, micros): (&Day, &i128)| {
            let tally = Tally {
                consumers_served: served,
                customer_micros: *micros,
                ..Tally::default()
            };
            (*day, tally)
        };
        let before: BTreeMap<Day, Tally> = daily.range(from..january).map(tally).collect();
        let year: BTreeMap<Day, Tally> = daily.range(january..Day(january.0 + 366)).map(tally).collect();
        MajorEventDays::judge(&before, &year).days
    }
}

/// The first day of a day's calendar year.
fn first_of_year(day: Day) -> Day {
    let mut month = day.first_of_month();
    let year = |day: Day| day.to_string().get(..4).map(str::to_owned);
    while year(Day(month.0 - 1)) == year(day) {
        month = Day(month.0 - 1).first_of_month();
    }
    month
}

/// The tallies of a feeder's consumers in a month, with and without major event days, each with the DT on which the consumer hung.
fn tallies_of(
    tallying: &Tallying,
    world: &World,
    picture: &FeederPicture,
    interruptions: &[Interruption],
) -> Vec<(Option<NodeIx>, Tally, Tally)> {
    let zone = &world.settings.zone;
    let mut of_consumer: HashMap<(&ConsumerId, Option<usize>), [Vec<Counted>; 2]> = HashMap::new();
    for interruption in interruptions {
        let began = zone.day_of(interruption.started_at);
        if began.first_of_month() != tallying.month {
            continue;
        }
        let [with, without] = of_consumer
            .entry((&interruption.consumer, interruption.dt))
            .or_default();
        with.extend(Counted::of(interruption));
        without.extend(Counted::of(interruption).filter(|_| !tallying.major.contains(&began)));
    }
    let tally = |counted: &[Counted]| Tally::of_consumer(&tallying.counting, counted);
    let node = |dt: usize| world.network.find_node(picture.dts.get(dt)?.node.as_str());
    let each = of_consumer.into_iter();
    each.map(|((_, dt), [with, without])| (dt.and_then(node), tally(&with), tally(&without)))
        .collect()
}
