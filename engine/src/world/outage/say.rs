//! What people say of outages, on its way from a log record into the picture.

use gridtally_schemas::outage::{Cause, PlanRows};

use super::{World, outbox::PlanRow};
use crate::outbox::Origin;

impl World {
    /// Applies planned outages or hours of supply.
    pub(in crate::world) fn apply_plan(&mut self, origin: &Origin, rows: PlanRows) {
        for row in PlanRow::split(rows) {
            if self.merge_plan(origin, &row) {
                self.counts.master_rows_changed += 1;
                self.outbox.outage.plan.push((row, origin.clone()));
            } else {
                self.counts.master_rows_known += 1;
            }
        }
    }

    /// Merges a row of a plan; true when it changed something.
    pub(super) fn merge_plan(&mut self, origin: &Origin, row: &PlanRow) -> bool {
        let changed = match row {
            PlanRow::Planned(row) => self
                .outage
                .plan
                .merge_planned(origin.received_at, row.as_ref().clone()),
            PlanRow::Hours(row) => self
                .outage
                .plan
                .merge_hours(origin.received_at, row.as_ref().clone()),
        };
        if changed {
            match row {
                PlanRow::Planned(row) => self.mark_planned(&row.node_id),
                PlanRow::Hours(_) => self.mark_all_feeders(),
            }
        }
        changed
    }

    /// Applies what a person said of an outage; the same word again changes nothing.
    pub(in crate::world) fn apply_cause(&mut self, origin: &Origin, cause: Cause) {
        if self.merge_cause(origin, &cause) {
            self.counts.master_rows_changed += 1;
            self.outbox.outage.causes.push((cause, origin.clone()));
        } else {
            self.counts.master_rows_known += 1;
        }
    }

    /// Merges a cause; true when it is new.
    pub(super) fn merge_cause(&mut self, origin: &Origin, cause: &Cause) -> bool {
        let is_new = self.outage.causes.insert((origin.received_at, cause.clone()));
        if is_new {
            let node = self.network.find_node(cause.node_id.as_str());
            let feeders = node.map(|node| self.feeders_about(node)).unwrap_or_default();
            let areas = feeders
                .iter()
                .filter_map(|feeder| self.outage.feeders.get(feeder)?.area);
            let areas: Vec<_> = areas.collect();
            self.outage.dirty_areas.extend(areas);
        }
        is_new
    }
}
