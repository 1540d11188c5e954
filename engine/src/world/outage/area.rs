//! The feeders under one node put together: what is wider than a feeder, what the crew says of it, and what changed since.

use std::collections::BTreeMap;

use gridtally_schemas::{ConsumerId, NodeId, UtcMicros, network::NodeKind};

use super::{Area, OutageChange, OutageView, World, estimate::Told, picture::above};
use crate::{
    network::NodeIx,
    outage::{
        CrewWord, FeederResult, Interruption, Joined, Known, Outage, OutageId, Status, changes, combine,
        join, what_the_crew_says,
    },
};

/// Why a version came that only people's words make.
const CREW: &str = "the crew's word";

impl World {
    /// Puts the results of the feeders under a node together; gives what changed.
    pub(super) fn join_area(&mut self, at: NodeIx) -> Vec<Told> {
        let Some(mut area) = self.outage.areas.remove(&at) else {
            return Vec::new();
        };
        let joined = self.joined(at, &area);
        let known = self.crew_says(at, &joined);
        let changed = changes(&area.joined, &joined);
        let before = std::mem::replace(&mut area.joined, joined);
        let known_before = std::mem::replace(&mut area.known, known);
        area.consumers_out = consumers_out(&area.joined.interruptions);
        let is_first = !std::mem::replace(&mut area.is_seen, true);
        self.file_interruptions(at, &before.interruptions, &area.joined.interruptions);
        let mut reasons: BTreeMap<OutageId, (String, Option<Outage>)> = BTreeMap::new();
        for change in changed {
            let gone = (!area.joined.outages.contains_key(&change.outage.id)).then(|| change.outage.clone());
            reasons.insert(change.outage.id, (change.reason.to_string(), gone));
        }
        let ids = area.known.keys().chain(known_before.keys());
        for id in ids.filter(|id| area.known.get(*id) != known_before.get(*id)) {
            let crew = || (CREW.to_owned(), None);
            reasons.entry(id.clone()).or_insert_with(crew);
        }
        self.note_announced(area.joined.outages.values());
        self.outage.areas.insert(at, area);
        self.note_compensation_of(&reasons.keys().cloned().collect());
        let mut told = Vec::with_capacity(reasons.len());
        for (id, (reason, gone)) in reasons {
            let known = known_before.get(&id).cloned().unwrap_or_default();
            let gone = gone.map(|outage| OutageView {
                outage,
                known,
                restoration: None,
            });
            let change = self.file_outage(at, &id, reason, gone);
            told.extend(change.map(|change| Told { change, is_first }));
        }
        told
    }

    fn joined(&self, at: NodeIx, area: &Area) -> Joined {
        let Some(node) = self.network.node(at) else {
            return Joined::default();
        };
        let results = area.feeders.iter().filter_map(|feeder| {
            Some(FeederResult {
                feeder: &self.network.node(*feeder)?.id,
                evaluation: self.outage.feeders.get(feeder)?.evaluation.as_ref()?,
            })
        });
        let mut results: Vec<FeederResult<'_>> = results.collect();
        results.sort_by(|one, other| one.feeder.cmp(other.feeder));
        let is_feeder = |child: &NodeIx| {
            let kind = self.network.node(*child).and_then(crate::network::Node::kind);
            kind == Some(NodeKind::Feeder)
        };
        let feeders = self.children(at).filter(is_feeder).count();
        join(&self.settings.outage_rules, (&node.id, feeders), &results)
    }

    /// What people said of the outages of an area. A word on a node above it goes to that node's own (planned) outage or to none here.
    fn crew_says(&self, at: NodeIx, joined: &Joined) -> BTreeMap<OutageId, Known> {
        let Some(node) = self.network.node(at).filter(|_| !self.outage.causes.is_empty()) else {
            return BTreeMap::new();
        };
        let (mut within, mut above_it): (Vec<CrewWord>, Vec<CrewWord>) = (Vec::new(), Vec::new());
        for (recorded_at, cause) in &self.outage.causes {
            let word = CrewWord {
                recorded_at: *recorded_at,
                node: cause.node_id.clone(),
                started_at: cause.started_at,
                cause: cause.cause.clone(),
                fault_type: cause.fault_type.clone(),
                force_majeure: cause.force_majeure,
                etr: cause.etr,
            };
            if word.node == node.id || self.hangs_under(&word.node, &node.id) {
                within.push(word);
            } else if joined.outages.values().any(|outage| outage.node == word.node) {
                above_it.push(word);
            }
        }
        let rules = &self.settings.outage_rules;
        let below = |one: &NodeId, other: &NodeId| self.hangs_under(one, other);
        let mut known = what_the_crew_says(rules, &joined.outages, &within, below);
        if !above_it.is_empty() {
            let is_named = |outage: &Outage| above_it.iter().any(|word| word.node == outage.node);
            let own = joined.outages.iter().filter(|(_, outage)| is_named(outage));
            let own: BTreeMap<OutageId, Outage> =
                own.map(|(id, outage)| (id.clone(), outage.clone())).collect();
            known.extend(what_the_crew_says(rules, &own, &above_it, |_, _| false));
        }
        known
    }

    /// Whether a node hangs under another, by their newest rows.
    fn hangs_under(&self, node: &NodeId, other: &NodeId) -> bool {
        self.network
            .find_node(node.as_str())
            .is_some_and(|node| above(&self.network, node).contains(other))
    }

    /// Files which interruptions stand in an area, and marks those that differ.
    fn file_interruptions(&mut self, at: NodeIx, before: &[Interruption], now: &[Interruption]) {
        let key = |interruption: &Interruption| (interruption.started_at, interruption.consumer.clone());
        let (mut before, mut now) = (before.iter().peekable(), now.iter().peekable());
        loop {
            let order = match (before.peek(), now.peek()) {
                (None, None) => return,
                (Some(_), None) => std::cmp::Ordering::Less,
                (None, Some(_)) => std::cmp::Ordering::Greater,
                (Some(gone), Some(new)) => {
                    (gone.started_at, &gone.consumer).cmp(&(new.started_at, &new.consumer))
                }
            };
            let (gone, new) = match order {
                std::cmp::Ordering::Less => (before.next(), None),
                std::cmp::Ordering::Greater => (None, now.next()),
                std::cmp::Ordering::Equal => (before.next(), now.next()),
            };
            if gone == new {
                continue;
            }
            self.note_supply(gone, new);
            let Some((started_at, consumer)) = gone.or(new).map(key) else {
                return;
            };
            self.file_interruption(at, new.is_some(), (consumer, started_at));
        }
    }

    fn file_interruption(
        &mut self,
        at: NodeIx,
        stands: bool,
        (consumer, started_at): (ConsumerId, UtcMicros),
    ) {
        let of_consumer = self.outage.interruptions.entry(consumer.clone()).or_default();
        if stands {
            of_consumer.insert(started_at, at);
        } else if of_consumer.get(&started_at) == Some(&at) {
            of_consumer.remove(&started_at);
        }
        if of_consumer.is_empty() {
            self.outage.interruptions.remove(&consumer);
        }
        self.note_month_of(started_at);
        self.compensation.note(&consumer);
        self.outage.ledger.mark_interruption(consumer, started_at);
    }

    /// Files that an outage stands in an area or is gone from it (`gone` as it stood, cancelled), and says what stands of it now.
    fn file_outage(
        &mut self,
        at: NodeIx,
        id: &OutageId,
        reason: String,
        gone: Option<OutageView>,
    ) -> Option<OutageChange> {
        if gone.is_some() {
            if let Some(places) = self.outage.places.get_mut(id) {
                places.remove(&at);
                if places.is_empty() {
                    self.outage.places.remove(id);
                }
            }
        } else {
            self.outage.places.entry(id.clone()).or_default().insert(at);
        }
        let view = self.outage_view(id);
        let is_on = view
            .as_ref()
            .is_some_and(|view| matches!(view.outage.status, Status::Active | Status::PartiallyRestored));
        if is_on {
            self.outage.open.insert(id.clone());
        } else {
            self.outage.open.remove(id);
        }
        let rules = &self.settings.outage_rules;
        self.outage.estimates.file(rules, id, view.as_ref());
        self.outage.ledger.mark_outage(id.clone(), reason.clone());
        let view = view.or(gone)?;
        self.note_month_of(view.outage.started_at);
        Some(OutageChange { view, reason })
    }

    /// What began in this month is to be tallied anew.
    fn note_month_of(&mut self, began: UtcMicros) {
        let month = self.settings.zone.day_of(began).first_of_month();
        self.indices.note_month(month);
    }

    /// An outage as it stands, over every area in which it does.
    pub(super) fn outage_view(&self, id: &OutageId) -> Option<OutageView> {
        let mut places: Vec<(&NodeId, &Area)> = self
            .outage
            .places
            .get(id)?
            .iter()
            .filter_map(|at| Some((&self.network.node(*at)?.id, self.outage.areas.get(at)?)))
            .collect();
        places.sort_by_key(|(node, _)| *node);
        let parts = places.iter().filter_map(|(_, area)| area.joined.outages.get(id));
        let outage = combine(&self.settings.outage_rules, parts)?;
        let known = places.iter().find_map(|(_, area)| area.known.get(id));
        Some(OutageView {
            outage,
            known: known.cloned().unwrap_or_default(),
            restoration: self.outage.estimates.of(id),
        })
    }
}

/// Consumers who are without supply that is due to them.
fn consumers_out(interruptions: &[Interruption]) -> usize {
    let open = interruptions
        .iter()
        .filter(|interruption| interruption.ended_at.is_none() && interruption.excluded_because.is_none());
    let mut consumers: Vec<&ConsumerId> = open.map(|interruption| &interruption.consumer).collect();
    consumers.sort_unstable();
    consumers.dedup();
    consumers.len()
}
