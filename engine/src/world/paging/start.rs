//! What a start needs to let days go before anything was published by this process: to know what the tables say already.

use gridtally_schemas::{Day, UtcMicros};

use super::{NodeIx, Quarter, World};
use crate::world::publish::{DtValues, FeederValues, digest};

impl World {
    /// Whether values take half of the budget: the balances that are computed from them take as much again.
    pub(crate) fn is_crowded(&self) -> bool {
        self.resident_bytes() > self.settings.state_bytes_max / 2
    }

    /// Whether what can be let go takes more than its budget.
    pub(crate) fn is_over_budget(&self) -> bool {
        self.resident_bytes() > self.settings.state_bytes_max
    }

    /// When the last day before `day` is closed.
    pub(crate) fn close_before(&self, day: Day) -> UtcMicros {
        self.settings.zone.start_of(day).plus(self.settings.grace_micros)
    }

    /// Forgets that something waits to be published where the tables say it already: all that was put back seems to wait. What they do
    /// not say goes on waiting.
    pub(crate) fn forget_published(&mut self) {
        let waiting = std::mem::take(&mut self.unpublished);
        let is_due = |(feeder, quarter): &(NodeIx, Quarter)| !self.is_published(*feeder, *quarter);
        self.unpublished = waiting.into_iter().filter(is_due).collect();
        let waiting = std::mem::take(&mut self.withdrawn);
        let is_due = |(node, quarter): &(NodeIx, Quarter)| {
            let published = self.published.get(node).and_then(|of_node| of_node.get(*quarter));
            let would_withdraw = published.is_some_and(|published| published.would_withdraw());
            would_withdraw && !self.is_live(*node, *quarter)
        };
        self.withdrawn = waiting.into_iter().filter(is_due).collect();
        self.forget_published_estimates();
    }

    /// Whether publishing a feeder's interval would make no version of it or of its DTs.
    fn is_published(&self, feeder: NodeIx, quarter: Quarter) -> bool {
        let live = self
            .intervals
            .get(&feeder)
            .and_then(|intervals| intervals.get(&quarter));
        let Some(live) = live else { return true };
        let is_final = quarter <= self.settled_through;
        let (minutes, threshold) = (live.minutes.minutes(), self.settings.coverage_threshold_pct);
        let stands = |node: NodeIx, digest: u64| {
            let published = self.published.get(&node).and_then(|of_node| of_node.get(quarter));
            let mut published = published.unwrap_or_default();
            published.next(digest, is_final, UtcMicros(0)).is_none()
        };
        let of_dts = live
            .dts
            .iter()
            .all(|dt| stands(dt.dt, digest(&DtValues::of(&dt, minutes, threshold))));
        of_dts
            && stands(
                feeder,
                digest(&FeederValues::of(&live.feeder, minutes, threshold)),
            )
    }

    /// Notes that the days of the tables are back: what waits to be tallied now is what the process begins with.
    pub(crate) fn end_start(&mut self) {
        let complete = self.paging.unpublished_after.unwrap_or(self.applied);
        self.paging.owed_after = (self.owed() > 0).then_some(complete);
        self.completeness.begin();
    }
}
