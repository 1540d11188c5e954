//! Looking at feeders on which something happened.

use std::collections::BTreeSet;

use gridtally_schemas::{NodeId, UtcMicros, time::QUARTER_MICROS};

use super::{
    ALWAYS, Feeder, OutageChange, Pictured, World,
    evidence::{Kept, Sources},
    picture::{Maker, parent},
};
use crate::{
    network::NodeIx,
    outage::{Evaluation, MeterEvidence, OutageId, Span, Status, Window, evaluate},
    state::Quarter,
    world::{paging::Wanted, quarter_at},
};

const HOUR_MICROS: i64 = 60 * 60 * 1_000_000;
const DAY_MICROS: i64 = 24 * HOUR_MICROS;
/// How long beyond the time in which voices are looked for reads may still bear on what is over: voices are kept by the hour.
const BEARS_MICROS: i64 = 12 * HOUR_MICROS;
/// Feeders whose values are brought back together: each day of them is one scan of a partition.
const FED_TOGETHER: usize = 64;

/// What looking for outages found.
#[derive(Debug, Default)]
pub struct OutagesSeen {
    /// What changed.
    pub changes: Vec<OutageChange>,
    /// Whether feeders still wait to be looked at.
    pub more: bool,
}

impl World {
    /// Looks at most at `feeders_max` feeders on which something happened, as of `now`. Changes come with the last of them, so that what
    /// many feeders lost together is one outage from the beginning. Where there are more, values may have to be brought back first
    /// ([`World::take_asked`]).
    pub fn look_for_outages(&mut self, now: UtcMicros, feeders_max: usize) -> OutagesSeen {
        self.spread_outage_evidence(now);
        for _ in 0..feeders_max {
            let Some(feeder) = self.outage.dirty.first().copied() else {
                break;
            };
            if self.ask_for_evidence(feeder, now) {
                break;
            }
            self.outage.dirty.remove(&feeder);
            self.evaluate_feeder(feeder, now);
        }
        if !self.outage.dirty.is_empty() {
            return OutagesSeen {
                changes: Vec::new(),
                more: true,
            };
        }
        let mut told = Vec::new();
        while let Some(area) = self.outage.dirty_areas.pop_first() {
            told.extend(self.join_area(area));
        }
        self.estimate_restorations(now, &mut told);
        // At the first look since the process started only what the tables do not say already is told.
        told.retain(|told| !told.is_first || !self.outage.ledger.says(&told.change.view));
        let changes = told.into_iter().map(|told| told.change).collect();
        OutagesSeen { changes, more: false }
    }

    /// Asks for the values that the evidence of a feeder's meters is to be made of and that are out of memory, and for those of the
    /// feeders after it; `false`: all of this one's are here.
    fn ask_for_evidence(&mut self, feeder: NodeIx, now: UtcMicros) -> bool {
        if !self.has_let_go() {
            return false;
        }
        let mut wanted = Wanted::default();
        self.want_evidence(&mut wanted, feeder, now);
        if wanted.is_empty() {
            return false;
        }
        let others: Vec<NodeIx> = self.outage.dirty.iter().copied().take(FED_TOGETHER).collect();
        for other in others {
            self.want_evidence(&mut wanted, other, now);
        }
        self.ask(wanted);
        true
    }

    fn want_evidence(&self, wanted: &mut Wanted, feeder: NodeIx, now: UtcMicros) {
        let held = self
            .outage
            .feeders
            .get(&feeder)
            .and_then(|held| held.pictured.as_ref());
        let drawn = if held.is_none() {
            self.draw(feeder, Span::new(now, now))
        } else {
            None
        };
        let meters = held
            .or(drawn.as_ref())
            .map_or(&[][..], |pictured| &pictured.meters);
        let fed = meters
            .iter()
            .map(|meter| (*meter, self.outage.watched_through(*meter)));
        self.want_values_after(wanted, fed.filter(|(_, after)| *after < ALWAYS));
    }

    /// Turns what happened into feeders to look at.
    fn spread_outage_evidence(&mut self, now: UtcMicros) {
        self.outage.has_news = false;
        let mut feeders: Vec<NodeIx> = Vec::new();
        for meter in std::mem::take(&mut self.outage.spoke) {
            self.network.feeders_of_meter(meter, &mut feeders);
        }
        self.outage.dirty.extend(feeders);
        let touched = std::mem::take(&mut self.outage.touched);
        for feeder in touched {
            self.redraw_feeder(feeder);
            self.redraw_who_shares_consumers(feeder);
        }
        if !self.outage.noted.is_empty() {
            let sources = Sources {
                network: &self.network,
                state: &self.state,
                rules: &self.settings.outage_rules,
            };
            self.outage.take_noted(sources);
        }
        while let Some((at, feeder)) = self.outage.due.first().copied().filter(|(at, _)| *at <= now) {
            self.outage.due.remove(&(at, feeder));
            self.outage.dirty.insert(feeder);
        }
    }

    /// Master data of a feeder changed: its picture is made anew, and what its meters' reads say.
    fn redraw_feeder(&mut self, feeder: NodeIx) {
        let parents = self.network.node(feeder).into_iter().flat_map(|node| {
            let rows = node.history.rows();
            rows.filter_map(|held| held.row.parent_id.as_ref().map(NodeId::as_str))
        });
        let areas = parents.filter_map(|id| self.network.find_node(id));
        // How many feeders a node has decides what is most of them.
        let areas: Vec<NodeIx> = areas
            .filter(|area| self.outage.areas.contains_key(area))
            .collect();
        self.outage.dirty_areas.extend(areas);
        if let Some(held) = self.outage.feeders.get_mut(&feeder) {
            held.pictured = None;
            self.outage.forget_reads(&self.network.meters_ever_on(feeder));
            self.outage.dirty.insert(feeder);
            return;
        }
        let speaks = |meter: &_| self.outage.speaking.contains(meter);
        let is_concerned = self.is_planned(feeder)
            || !self.outage.speaking.is_empty() && self.network.meters_ever_on(feeder).iter().any(speaks);
        if is_concerned {
            self.outage.dirty.insert(feeder);
        }
    }

    /// Where a consumer hangs is decided over all its connections: a change on one feeder may move it away from another.
    fn redraw_who_shares_consumers(&mut self, feeder: NodeIx) {
        let Some(node) = self
            .network
            .node(feeder)
            .filter(|_| !self.outage.feeders.is_empty())
        else {
            return;
        };
        let below = node.children.iter().filter_map(|child| self.network.node(*child));
        let connections = std::iter::once(node)
            .chain(below)
            .flat_map(|node| &node.connections);
        let mut feeders: Vec<NodeIx> = Vec::new();
        for connection in connections.filter_map(|at| self.network.connection(*at)) {
            let all = self.network.connections_of(connection.consumer_id());
            for other in all.iter().filter(|_| all.len() > 1) {
                for node in other.history().rows().filter_map(|row| row.node) {
                    self.network.feeders_above(node, &mut feeders);
                }
            }
        }
        feeders.sort_unstable();
        feeders.dedup();
        for other in feeders.into_iter().filter(|other| *other != feeder) {
            if let Some(held) = self.outage.feeders.get_mut(&other) {
                held.pictured = None;
                self.outage.dirty.insert(other);
            }
        }
    }

    fn evaluate_feeder(&mut self, feeder: NodeIx, now: UtcMicros) {
        let mut held = self.outage.feeders.remove(&feeder).unwrap_or_default();
        if let Some(at) = held.next_look.take() {
            self.outage.due.remove(&(at, feeder));
        }
        self.place_in_area(feeder, &mut held);
        let pictured = self.pictured(feeder, held.pictured.take(), now);
        let Some(pictured) = pictured else {
            let before = held.evaluation.take();
            self.note_nodes(before.as_ref(), None);
            held.watch_through = Quarter(0);
            self.outage.feeders.insert(feeder, held);
            return;
        };
        let rules = &self.settings.outage_rules;
        let window = Window {
            since: UtcMicros(i64::MIN),
            through: now,
        };
        let evidence = Kept {
            network: &self.network,
            outages: &self.outage,
        };
        let evaluation = evaluate(rules, &pictured.picture, &evidence, window);
        held.watch_through = match evaluation.over_after() {
            None => ALWAYS,
            Some(at) => quarter_at(at.plus(rules.heard_micros).plus(BEARS_MICROS)),
        };
        held.next_look = self.next_look(&pictured, &evaluation, now);
        if let Some(at) = held.next_look {
            self.outage.due.insert((at, feeder));
        }
        let before = held.evaluation.replace(evaluation);
        self.note_nodes(before.as_ref(), held.evaluation.as_ref());
        self.outage.feeders.insert(feeder, held);
        self.outage.watch(&self.network, feeder, &pictured.meters);
        if let Some(held) = self.outage.feeders.get_mut(&feeder) {
            held.pictured = Some(pictured);
        }
    }

    /// Tells validation what changed of when nodes were dead.
    fn note_nodes(&mut self, before: Option<&Evaluation>, now: Option<&Evaluation>) {
        let ids = before.into_iter().chain(now).flat_map(|one| one.outages.keys());
        let ids: BTreeSet<OutageId> = ids.cloned().collect();
        for id in ids {
            let [was, is] = [before, now].map(|one| one.and_then(|one| one.outages.get(&id)));
            if was != is {
                self.note_node_supply(was, is);
            }
        }
    }

    /// Files a feeder under the node above it, or under itself where there is none, and marks what that concerns.
    fn place_in_area(&mut self, feeder: NodeIx, held: &mut Feeder) {
        let area = parent(&self.network, feeder).unwrap_or(feeder);
        if let Some(before) = held.area.filter(|before| *before != area) {
            if let Some(entry) = self.outage.areas.get_mut(&before) {
                entry.feeders.remove(&feeder);
            }
            self.outage.dirty_areas.insert(before);
        }
        held.area = Some(area);
        self.outage.areas.entry(area).or_default().feeders.insert(feeder);
        self.outage.dirty_areas.insert(area);
    }

    /// The feeder's picture, with the evidence of its meters brought up to the state.
    fn pictured(&mut self, feeder: NodeIx, held: Option<Pictured>, now: UtcMicros) -> Option<Pictured> {
        let mut pictured = match held {
            Some(pictured) => pictured,
            None => self.draw(feeder, Span::new(now, now))?,
        };
        let sources = Sources {
            network: &self.network,
            state: &self.state,
            rules: &self.settings.outage_rules,
        };
        self.outage.feed(sources, &pictured.meters);
        // Hours of supply are spelled out for the time of the evidence, and a little beyond now.
        let first = |evidence: &MeterEvidence| {
            let event = evidence.signals().first().map(|(at, _)| *at);
            let run = evidence.runs().first().map(|run| run.span.from);
            event.into_iter().chain(run).min()
        };
        let evidence = pictured
            .meters
            .iter()
            .filter_map(|meter| self.outage.evidence.get(meter));
        let from = evidence.filter_map(first).min().unwrap_or(now).min(now);
        let wanted = Span::new(from.plus(-DAY_MICROS), now.plus(2 * DAY_MICROS));
        let is_spelled = pictured.hours.from <= wanted.from && wanted.to <= pictured.hours.to;
        if !is_spelled {
            let hours = Span::new(wanted.from, wanted.to.plus(DAY_MICROS));
            pictured = self.draw(feeder, hours)?;
        }
        Some(pictured)
    }

    fn draw(&self, feeder: NodeIx, hours: Span) -> Option<Pictured> {
        let maker = Maker {
            network: &self.network,
            plan: &self.outage.plan,
            zone: &self.settings.zone,
            hours,
        };
        maker.picture(feeder)
    }

    /// When time alone may change what a feeder's evidence comes to: a plan or an hour of supply begins or ends while something is on,
    /// or an event comes that a clock ahead of ours put into the future.
    fn next_look(&self, pictured: &Pictured, evaluation: &Evaluation, now: UtcMicros) -> Option<UtcMicros> {
        let picture = &pictured.picture;
        let rules = &self.settings.outage_rules;
        let is_on = evaluation.over_after().is_none();
        let is_scheduled = |status: Status| status == Status::Scheduled;
        let scheduled = evaluation
            .outages
            .values()
            .any(|outage| is_scheduled(outage.status));
        if !is_on && !scheduled {
            return None;
        }
        let plans = picture
            .planned
            .iter()
            .flat_map(|planned| [planned.span.from, planned.span.to]);
        let hours = picture.without_supply.iter().flatten().filter(|_| is_on);
        let hours = hours.flat_map(|span| {
            [span.from, span.to].map(|at| [at, at.plus(rules.hours_tolerance_micros).plus(1)])
        });
        let events = pictured
            .meters
            .iter()
            .filter_map(|meter| self.outage.evidence.get(meter))
            .filter_map(|evidence| evidence.signals().last().map(|(at, _)| *at));
        plans
            .chain(hours.flatten())
            .chain(events)
            .filter(|at| *at > now)
            .min()
            .map(|at| at.max(now.plus(QUARTER_MICROS / 15)))
    }

    /// Whether something is planned for a feeder: for itself, one of its DTs or a node above.
    fn is_planned(&self, feeder: NodeIx) -> bool {
        if self.outage.plan.is_empty() {
            return false;
        }
        let Some(node) = self.network.node(feeder) else {
            return false;
        };
        let above = super::picture::above(&self.network, feeder);
        let below = node.children.iter().filter_map(|child| self.network.node(*child));
        let nodes = std::iter::once(&node.id)
            .chain(&above)
            .chain(below.map(|node| &node.id));
        !self.outage.plan.planned_at(nodes).is_empty()
    }

    /// Marks the feeders that a plan for `node` concerns.
    pub(super) fn mark_planned(&mut self, node: &NodeId) {
        let Some(node) = self.network.find_node(node.as_str()) else {
            return;
        };
        for feeder in self.feeders_about(node) {
            if let Some(held) = self.outage.feeders.get_mut(&feeder) {
                held.pictured = None;
            }
            self.outage.dirty.insert(feeder);
        }
    }

    /// The feeders that are a node, or that ever were above or below it.
    pub(super) fn feeders_about(&self, node: NodeIx) -> Vec<NodeIx> {
        let mut feeders = Vec::new();
        self.network.feeders_above(node, &mut feeders);
        self.network.feeders_at_or_below(node, &mut feeders);
        feeders.sort_unstable();
        feeders.dedup();
        feeders
    }

    /// Hours of supply changed: every feeder on which something happened is looked at again.
    pub(super) fn mark_all_feeders(&mut self) {
        for (feeder, held) in &mut self.outage.feeders {
            held.pictured = None;
            self.outage.dirty.insert(*feeder);
        }
    }
}
