//! Energy accounting of every node by month ([`crate::revenue`]): the sums of the feeders' months below it.
//!
//! ```text
//! FeederMonth of each feeder ─▶ Total of each node above it at the month's end ─▶ energy_accounting_monthly
//! ```
//!
//! Energy is whole Wh and money whole paise, so that what stands for a node is exactly what stands for its children (BAL-1), in whatever order
//! they are added. A row follows the feeder months under it; of the running month it is published at most once a civil day.
//!
//! Cost: a row that is due costs one look at each feeder's month below the node; a late read of one feeder makes the rows above it due.

use std::collections::{BTreeMap, BTreeSet};

use gridtally_schemas::{Day, UtcMicros};
use hashbrown::HashMap;

use super::{
    World,
    publish::{Due, Published, Row, Scope, digest},
};
use crate::{compensation::calendar::Period, network::NodeIx, revenue::Total};

mod rows;
#[cfg(test)]
mod tests;

pub(crate) use rows::AccountingValues;
pub(in crate::world) use rows::batch;

/// What is kept of energy accounting: what was published, and what may differ from it.
#[derive(Debug, Default)]
pub(super) struct Accounting {
    published: HashMap<(NodeIx, Day), Published>,
    unpublished: BTreeSet<(NodeIx, Day)>,
}

impl Accounting {
    /// Notes every row of a month from `from` on.
    pub(super) fn note_since(&mut self, from: Day) {
        let since = self.published.keys().filter(|(_, month)| *month >= from);
        self.unpublished.extend(since);
    }
}

impl World {
    /// A feeder, and the nodes above it at the end of a month.
    fn accounted_at(&self, feeder: NodeIx, month: Day) -> BTreeSet<NodeIx> {
        let end = self.settings.zone.start_of(Period::Month.after(month));
        let above = self.network.ancestors_at(feeder, end.plus(-1));
        above.into_iter().chain([feeder]).collect()
    }

    /// Notes that a feeder's month may be another than it was.
    pub(super) fn note_accounting(&mut self, feeder: NodeIx, month: Day) {
        let nodes = self.accounted_at(feeder, month);
        self.accounting
            .unpublished
            .extend(nodes.into_iter().map(|node| (node, month)));
    }

    /// Takes what differs from the table, once the feeders' months of the checkpoint are taken.
    pub(super) fn take_accounting(&mut self, now: UtcMicros, scope: Scope, due: &mut Due) {
        let mut by_month: BTreeMap<Day, BTreeSet<NodeIx>> = BTreeMap::new();
        for (node, month) in std::mem::take(&mut self.accounting.unpublished) {
            if scope == Scope::Due && self.waits_for_tomorrow(node, month, now) {
                self.accounting.unpublished.insert((node, month));
            } else {
                by_month.entry(month).or_default().insert(node);
            }
        }
        for (month, nodes) in by_month {
            let totals = self.totals_of(month, &nodes);
            for node in nodes {
                let total = totals.get(&node).copied().unwrap_or_default();
                due.accounting
                    .extend(self.next_accounting((node, month), &total, now));
            }
        }
    }

    /// Whether a month runs and its row was published today.
    fn waits_for_tomorrow(&self, node: NodeIx, month: Day, now: UtcMicros) -> bool {
        let zone = &self.settings.zone;
        let published = self.accounting.published.get(&(node, month));
        published.is_some_and(|published| zone.day_of(published.at) == zone.day_of(now))
            && !self.is_month_over(month)
    }

    /// The sums of some nodes in a month; a node without any feeder month has none.
    fn totals_of(&self, month: Day, nodes: &BTreeSet<NodeIx>) -> BTreeMap<NodeIx, Total> {
        let mut below = Vec::new();
        nodes
            .iter()
            .for_each(|node| self.network.feeders_at_or_below(*node, &mut below));
        below.sort_unstable();
        below.dedup();
        let mut totals: BTreeMap<NodeIx, Total> = BTreeMap::new();
        for feeder in below {
            let figures = self.feeder_month(feeder, month);
            if figures.is_nothing() {
                continue;
            }
            for node in self.accounted_at(feeder, month).intersection(nodes) {
                totals.entry(*node).or_default().add(&figures);
            }
        }
        totals
    }

    fn next_accounting(
        &mut self,
        (node, month): (NodeIx, Day),
        total: &Total,
        now: UtcMicros,
    ) -> Option<Row<Day, AccountingValues>> {
        let entry = self.network.node(node)?;
        let (id, kind) = (entry.id.clone(), entry.kind()?);
        let held = self.accounting.published.get(&(node, month)).copied();
        let mut published = held.unwrap_or_default();
        if total.feeder_months == 0 && published.version == 0 {
            return None;
        }
        let values = AccountingValues::of(total, self.settings.coverage_threshold_pct);
        let version = published.next(digest(&values), false, now)?;
        self.accounting.published.insert((node, month), published);
        Some(Row {
            id,
            kind,
            key: month,
            values,
            version,
        })
    }
}
