//! Reliability indices in the picture: months of nodes, made of the interruptions that stand ([`crate::reliability`]).
//!
//! A month is tallied anew, whole, when an interruption of it changed, when master data changed, when other days of it are major event
//! days than before, and when a day of it has passed. Which of it is published is the difference between that and the table.
//!
//! The network is the one that was: consumers are those who were connected at the month's end, or are today while it runs, and what was
//! above a feeder then is what it counts in. Below, a consumer counts at the DT and feeder on which it hung when it was interrupted; one
//! that moved within the month is one consumer of every node under which both places are.
//!
//! A node has a month when one of its consumers was interrupted in it, or when a feeder at, above or below it was heard in it: then that
//! nobody was interrupted is known, and the month is one of zeros. Of a feeder that said nothing all month nothing is known.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use gridtally_schemas::{ConsumerId, Day, UtcMicros};
use hashbrown::{HashMap, HashSet};

use super::World;
use crate::{
    network::{LEVELS_MAX, NodeIx},
    outage::{ConsumerPicture, Evaluation, FOREVER, FeederPicture, Interruption},
    reliability::{Counted, Counting, FeederMonth, FeederOperation, Tally},
};

mod major;
mod restore;
mod rows;
#[cfg(test)]
mod tests;

pub(crate) use rows::DueIndices;
pub use rows::{Basis, IndexRow, MajorDays};

use rows::PublishedIndices;

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
    served: HashMap<Day, Arc<HashMap<NodeIx, u64>>>,
    /// The last civil day that a tally was made in.
    tallied_on: Option<Day>,
    /// Major event days as the tallies count them, by the first day of the year.
    major: MajorDaysOfYears,
    published: PublishedIndices,
}

/// Major event days by the first day of their year.
type MajorDaysOfYears = BTreeMap<Day, BTreeSet<Day>>;

/// Months that wait to be tallied, and the civil day as of which they are.
#[derive(Debug)]
pub(crate) struct MonthsToTally {
    months: BTreeSet<Day>,
    today: Day,
}

/// Months as they were tallied, and the major event days that they were tallied by.
#[derive(Debug)]
pub(crate) struct TalliedMonths {
    major: MajorDaysOfYears,
    months: Vec<TalliedMonth>,
}

#[derive(Debug)]
struct TalliedMonth {
    month: Day,
    served: Arc<HashMap<NodeIx, u64>>,
    nodes: Nodes,
    /// The nodes whose tallies are others than before.
    differ: Vec<NodeIx>,
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
    /// When the network above the feeders is looked at.
    at: UtcMicros,
    counting: Counting,
    major: BTreeSet<Day>,
}

/// Tallies of the nodes of a month, as they grow.
type Nodes = HashMap<NodeIx, OfNode>;

/// What interrupted the consumers of one place, or one consumer: all of it, and what did not begin on a major event day.
#[derive(Debug, Default)]
struct Suffered([Vec<Counted>; 2]);

impl Suffered {
    fn add(&mut self, counted: Counted, is_major: bool) {
        let Self([with, without]) = self;
        with.push(counted);
        without.extend((!is_major).then_some(counted));
    }

    fn add_to(&self, counting: &Counting, of_node: &mut OfNode) {
        for (tally, counted) in of_node.consumer.iter_mut().zip(&self.0) {
            *tally += &Tally::of_consumer(counting, counted);
        }
    }
}

/// What interrupted the consumers that moved within the month, by consumer and node at or above a place where it hung.
type Moved<'a> = HashMap<&'a ConsumerId, HashMap<NodeIx, Suffered>>;

impl World {
    /// Takes the months that something changed since they were tallied; `None`: none.
    pub(crate) fn take_months_to_tally(&mut self, now: UtcMicros) -> Option<MonthsToTally> {
        let today = self.settings.zone.day_of(now);
        let before = self.indices.tallied_on.replace(today);
        if before != Some(today) {
            // Who was connected since counts; what has ended counts as it ended.
            let from = before.map_or(today, |before| before.min(today)).first_of_month();
            self.indices.served.retain(|month, _| *month < from);
            let since = self.indices.months.range(from..).map(|(month, _)| *month);
            self.indices.dirty.extend(since);
        }
        let months = std::mem::take(&mut self.indices.dirty);
        (!months.is_empty()).then_some(MonthsToTally { months, today })
    }

    /// Tallies months, and those of which other days are major event days than before. It goes through all interruptions that are kept, and
    /// changes nothing: while it runs others may look at the picture.
    pub(crate) fn tallied(&self, dirty: MonthsToTally) -> TalliedMonths {
        let MonthsToTally { mut months, today } = dirty;
        let major = self.judge_days(&mut months);
        let tallied = months
            .into_iter()
            .map(|month| self.tally_month(month, today, &major))
            .collect();
        TalliedMonths {
            major,
            months: tallied,
        }
    }

    /// Puts tallies in the place of those before, and gives those back.
    pub(crate) fn stand_months(&mut self, tallied: TalliedMonths) -> impl Sized + use<> {
        self.indices.major.extend(tallied.major);
        let mut before = Vec::with_capacity(tallied.months.len());
        for tallied in tallied.months {
            let TalliedMonth {
                month,
                served,
                nodes,
                differ,
            } = tallied;
            self.indices.served.insert(month, served);
            before.push(self.indices.months.remove(&month));
            self.indices.published.mark(month, differ);
            if !nodes.is_empty() {
                self.indices.months.insert(month, nodes);
            }
        }
        before
    }

    fn tally_month(&self, month: Day, today: Day, major: &MajorDaysOfYears) -> TalliedMonth {
        let last = Day(month.0 + month.days_in_month() - 1).min(today);
        let tallying = Tallying {
            month,
            // By the day, so that a restart on the same day counts the same.
            at: self.settings.zone.start_of(last.next()).plus(-1),
            counting: Counting {
                momentary_micros: self.settings.outage_rules.momentary_micros,
                ..Counting::default()
            },
            major: major::of_month(month, major),
        };
        let served = match self.indices.served.get(&month) {
            Some(served) => Arc::clone(served),
            None => Arc::new(self.served_at(tallying.at)),
        };
        let nodes = self.nodes_of(&tallying, &served);
        let none = HashMap::new();
        let before = self.indices.months.get(&month).unwrap_or(&none);
        let ids = before.keys().chain(nodes.keys());
        let differ = ids.filter(|node| before.get(*node) != nodes.get(*node));
        TalliedMonth {
            month,
            differ: differ.copied().collect(),
            served,
            nodes,
        }
    }

    /// The tallies of a month's nodes.
    fn nodes_of(&self, tallying: &Tallying, served: &HashMap<NodeIx, u64>) -> Nodes {
        let mut nodes = Nodes::new();
        let mut moved: Moved<'_> = self
            .moved_in(tallying)
            .into_iter()
            .map(|consumer| (consumer, HashMap::new()))
            .collect();
        for (feeder, evaluation, picture) in self.outage_feeders() {
            let above = self.chain(feeder, tallying.at);
            let place = (above.as_slice(), picture);
            self.add_consumers(
                tallying,
                (place, &evaluation.interruptions),
                (&mut nodes, &mut moved),
            );
            let of_feeder = served.get(&feeder).copied().unwrap_or(0);
            self.add_feeder(tallying, (&above, of_feeder), evaluation, &mut nodes);
        }
        for (node, suffered) in moved.values().flatten() {
            suffered.add_to(&tallying.counting, nodes.entry(*node).or_default());
        }
        nodes.retain(|_, of_node| *of_node != OfNode::default());
        for node in self.nodes_heard_in(tallying) {
            nodes.entry(node).or_default();
        }
        for (node, of_node) in &mut nodes {
            let consumers = served.get(node).copied().unwrap_or(0);
            for (tally, month) in of_node.consumer.iter_mut().zip(&mut of_node.feeder) {
                tally.consumers_served = consumers;
                month.consumers = consumers;
            }
        }
        nodes.retain(|_, of_node| *of_node != OfNode::default());
        nodes
    }

    /// The interruptions of a feeder that began in the month and count, each with whether that day is a major event day.
    fn counted_in<'a>(
        &self,
        tallying: &Tallying,
        interruptions: &'a [Interruption],
    ) -> impl Iterator<Item = (&'a Interruption, Counted, bool)> {
        interruptions.iter().filter_map(move |interruption| {
            let began = self.settings.zone.day_of(interruption.started_at);
            let counted = Counted::of(interruption).filter(|_| began.first_of_month() == tallying.month)?;
            Some((interruption, counted, tallying.major.contains(&began)))
        })
    }

    /// The consumers interrupted in the month who do not hang at one place for good: those of whom a part may stand elsewhere. A consumer
    /// hangs at one place at a time, so of two places at least one is known to end.
    fn moved_in(&self, tallying: &Tallying) -> HashSet<&ConsumerId> {
        let is_settled = |consumer: &&ConsumerPicture| {
            let [hang] = consumer.hangs.as_slice() else {
                return false;
            };
            hang.span.to == FOREVER
        };
        let mut moved = HashSet::new();
        for (_, evaluation, picture) in self.outage_feeders() {
            let unsettled = picture.consumers.iter().filter(|one| !is_settled(one));
            let unsettled: HashSet<&ConsumerId> = unsettled.map(|one| &one.consumer).collect();
            if !unsettled.is_empty() {
                let interrupted = self.counted_in(tallying, &evaluation.interruptions);
                let interrupted = interrupted.map(|(interruption, ..)| &interruption.consumer);
                moved.extend(interrupted.filter(|consumer| unsettled.contains(*consumer)));
            }
        }
        moved
    }

    /// Adds a feeder's consumers to their DTs and to the feeder and all above it; those that moved are gathered, node by node.
    fn add_consumers<'a>(
        &'a self,
        tallying: &Tallying,
        ((above, picture), interruptions): ((&[NodeIx], &FeederPicture), &'a [Interruption]),
        (nodes, moved): (&mut Nodes, &mut Moved<'a>),
    ) {
        let dt_node = |dt: Option<usize>| {
            let dt = picture.dts.get(dt?)?;
            self.network.find_node(dt.node.as_str())
        };
        let mut of_consumer: HashMap<(&ConsumerId, Option<usize>), Suffered> = HashMap::new();
        for (interruption, counted, is_major) in self.counted_in(tallying, interruptions) {
            let consumer = &interruption.consumer;
            let Some(of_moved) = moved.get_mut(consumer) else {
                let suffered = of_consumer.entry((consumer, interruption.dt)).or_default();
                suffered.add(counted, is_major);
                continue;
            };
            for node in dt_node(interruption.dt).into_iter().chain(above.iter().copied()) {
                of_moved.entry(node).or_default().add(counted, is_major);
            }
        }
        for ((_, dt), suffered) in of_consumer {
            let mut of_one = OfNode::default();
            suffered.add_to(&tallying.counting, &mut of_one);
            for node in dt_node(dt).into_iter().chain(above.iter().copied()) {
                let sums = &mut nodes.entry(node).or_default().consumer;
                for (sum, tally) in sums.iter_mut().zip(&of_one.consumer) {
                    *sum += tally;
                }
            }
        }
    }

    /// Adds what a feeder did in the month, times its consumers, to the feeder and all above it.
    fn add_feeder(
        &self,
        tallying: &Tallying,
        (above, consumers): (&[NodeIx], u64),
        evaluation: &Evaluation,
        nodes: &mut Nodes,
    ) {
        let mut operations: [Vec<FeederOperation>; 2] = Default::default();
        for outage in evaluation.outages.values() {
            let began = self.settings.zone.day_of(outage.started_at);
            if began.first_of_month() == tallying.month {
                let [with, without] = &mut operations;
                let operation = FeederOperation::of(outage);
                with.extend(operation);
                without.extend(operation.filter(|_| !tallying.major.contains(&began)));
            }
        }
        for node in above {
            let of_node = nodes.entry(*node).or_default();
            for (month, operations) in of_node.feeder.iter_mut().zip(&operations) {
                // The node's own consumers are set later, for every node alike.
                month.add_feeder(&tallying.counting, consumers, operations);
            }
        }
    }

    /// The nodes at, above and below the feeders that were heard in a month.
    fn nodes_heard_in(&self, tallying: &Tallying) -> BTreeSet<NodeIx> {
        let feeders = self.indices.heard.get(&tallying.month);
        let mut nodes = BTreeSet::new();
        for feeder in feeders.into_iter().flatten() {
            nodes.extend(self.chain(*feeder, tallying.at));
            let ever = self.network.node(*feeder).map(|feeder| &feeder.children);
            let below = |child: &&NodeIx| self.network.last_parent(**child, tallying.at) == Some(*feeder);
            nodes.extend(ever.into_iter().flatten().filter(below));
        }
        nodes
    }

    /// The node and all above it at an instant, nearest first.
    fn chain(&self, node: NodeIx, at: UtcMicros) -> Vec<NodeIx> {
        let mut chain = vec![node];
        let mut highest = node;
        while let Some(above) = self.network.last_parent(highest, at) {
            if chain.len() > LEVELS_MAX || chain.contains(&above) {
                break; // A cycle in the rows.
            }
            chain.push(above);
            highest = above;
        }
        chain
    }

    /// Consumers by node, as they were connected at an instant.
    fn served_at(&self, at: UtcMicros) -> HashMap<NodeIx, u64> {
        let mut by_place: HashMap<NodeIx, u64> = HashMap::new();
        for connections in self.network.consumers() {
            let places = connections.filter_map(|connection| {
                let node = connection.history().at(at)?.node?;
                Some((connection.meter_id(), node))
            });
            // Each consumer once: where its lowest meter says, as with interruptions.
            if let Some((_, node)) = places.min_by_key(|(meter, _)| *meter) {
                *by_place.entry(node).or_default() += 1;
            }
        }
        let mut served: HashMap<NodeIx, u64> = HashMap::new();
        for (place, consumers) in by_place {
            for node in self.chain(place, at) {
                *served.entry(node).or_default() += consumers;
            }
        }
        served
    }
}
