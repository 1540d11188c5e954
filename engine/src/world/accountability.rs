//! Who answers for each feeder, why it deviates, and what is planned against it: as people say it.
//!
//! Every version that was said stays; the later recorded stands, then the larger content. What stands is so a function of what was said, in
//! whatever order it is read (ORD-1). A word for a feeder that the network does not know yet waits for it under its id.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use gridtally_schemas::{
    NodeId, UtcMicros,
    accountability::{FeederAction, FeederManagerRow},
};

use super::World;
use crate::{network::NodeIx, outbox::Origin};

mod rows;
#[cfg(test)]
mod tests;

pub(crate) use rows::AccountabilityRows;

/// A version of what was said, as it is ordered: by when it was recorded, then by content.
type Versions<R> = BTreeMap<(UtcMicros, R), Arc<str>>;

/// What is kept of accountability.
#[derive(Debug, Default)]
pub(super) struct Accountability {
    /// By feeder and `valid_from`.
    managers: BTreeMap<(NodeId, UtcMicros), Versions<FeederManagerRow>>,
    /// By id of the action.
    actions: BTreeMap<String, Versions<FeederAction>>,
    /// Actions of which some version was said of the feeder.
    actions_of: BTreeMap<NodeId, BTreeSet<String>>,
}

/// A version of what was said.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Said<'a, R> {
    /// What it says.
    pub row: &'a R,
    /// When it was recorded.
    pub recorded_at: UtcMicros,
    /// Who said it: `file:…` or `person:…`.
    pub source: &'a str,
}

/// The versions of one key, oldest first, without repetitions of what stood already.
fn versions<R: PartialEq>(all: &Versions<R>) -> Vec<Said<'_, R>> {
    let mut kept: Vec<Said<'_, R>> = Vec::new();
    for ((recorded_at, row), source) in all {
        if kept.last().is_none_or(|last| last.row != row) {
            kept.push(Said {
                row,
                recorded_at: *recorded_at,
                source,
            });
        }
    }
    kept
}

fn standing<R: Ord>(all: &Versions<R>) -> Option<&R> {
    all.last_key_value().map(|((_, row), _)| row)
}

impl Accountability {
    fn merge_manager(&mut self, origin: &Origin, row: &FeederManagerRow) -> bool {
        let key = (row.feeder_id.clone(), row.valid_from);
        let said = (origin.received_at, row.clone());
        let of_key = self.managers.entry(key).or_default();
        of_key.insert(said, Arc::clone(&origin.source)).is_none()
    }

    fn merge_action(&mut self, origin: &Origin, action: &FeederAction) -> bool {
        let of_feeder = self.actions_of.entry(action.feeder_id.clone()).or_default();
        of_feeder.insert(action.action_id.clone());
        let said = (origin.received_at, action.clone());
        let of_id = self.actions.entry(action.action_id.clone()).or_default();
        of_id.insert(said, Arc::clone(&origin.source)).is_none()
    }

    fn managers_of(&self, feeder: &NodeId) -> impl DoubleEndedIterator<Item = &Versions<FeederManagerRow>> {
        let span = (feeder.clone(), UtcMicros(i64::MIN))..=(feeder.clone(), UtcMicros(i64::MAX));
        self.managers.range(span).map(|(_, versions)| versions)
    }
}

impl World {
    /// Applies who answers for feeders.
    pub(super) fn apply_managers(&mut self, origin: &Origin, rows: Vec<FeederManagerRow>) {
        for row in rows {
            if self.accountability.merge_manager(origin, &row) {
                self.counts.master_rows_changed += 1;
                self.outbox.accountability.managers.push((row, origin.clone()));
            } else {
                self.counts.master_rows_known += 1;
            }
        }
    }

    /// Applies what a person says of a feeder's deviation.
    pub(super) fn apply_action(&mut self, origin: &Origin, action: FeederAction) {
        if self.accountability.merge_action(origin, &action) {
            self.counts.master_rows_changed += 1;
            self.outbox.accountability.actions.push((action, origin.clone()));
        } else {
            self.counts.master_rows_known += 1;
        }
    }

    /// Who answers for a feeder at an instant: of rows that hold, the one that began last.
    #[must_use]
    pub fn manager_at(&self, feeder: &NodeId, instant: UtcMicros) -> Option<&FeederManagerRow> {
        let rows = self.accountability.managers_of(feeder).rev();
        rows.filter_map(standing).find(|row| row.holds_at(instant))
    }

    /// Every row of who answered for a feeder, by `valid_from`, each with all its versions, oldest first.
    #[must_use]
    pub fn managers(&self, feeder: &NodeId) -> Vec<Vec<Said<'_, FeederManagerRow>>> {
        self.accountability.managers_of(feeder).map(versions).collect()
    }

    /// The actions that stand for a feeder, withdrawn ones among them, by id, each with all its versions, oldest first.
    #[must_use]
    pub fn actions(&self, feeder: &NodeId) -> Vec<Vec<Said<'_, FeederAction>>> {
        let ids = self.accountability.actions_of.get(feeder);
        let all = ids
            .into_iter()
            .flatten()
            .filter_map(|id| self.accountability.actions.get(id));
        let of_feeder = all.filter(|all| standing(all).is_some_and(|action| action.feeder_id == *feeder));
        of_feeder.map(versions).collect()
    }

    /// An action as it stands.
    #[must_use]
    pub fn action(&self, id: &str) -> Option<&FeederAction> {
        standing(self.accountability.actions.get(id)?)
    }

    /// The feeders that are a node or hang below it at an instant, by id.
    #[must_use]
    pub fn feeders_below_at(&self, node: NodeIx, instant: UtcMicros) -> Vec<(NodeIx, &NodeId)> {
        let mut feeders = Vec::new();
        self.network.feeders_at_or_below(node, &mut feeders);
        feeders.sort_unstable();
        feeders.dedup();
        feeders.retain(|feeder| self.network.is_at_or_below(*feeder, node, instant));
        let named = feeders
            .into_iter()
            .filter_map(|feeder| Some((feeder, &self.network.node(feeder)?.id)));
        let mut named: Vec<(NodeIx, &NodeId)> = named.collect();
        named.sort_by_key(|(_, id)| *id);
        named
    }

    /// Everything that was said, by key.
    #[cfg(test)]
    pub(in crate::world) fn accountable(&self) -> Vec<(String, String)> {
        let managers = self.accountability.managers.iter();
        let managers = managers.map(|((feeder, from), all)| {
            let all: Vec<_> = all.keys().collect();
            (format!("manager {feeder} {from}"), format!("{all:?}"))
        });
        let actions = self.accountability.actions.iter();
        let actions = actions.map(|(id, all)| {
            let all: Vec<_> = all.keys().collect();
            (format!("action {id}"), format!("{all:?}"))
        });
        managers.chain(actions).collect()
    }
}
