//! Estimates in cells that nobody said a value of.
//!
//! They are derived from what was said, so they take no part in the merge: one is replaced or taken away as its inputs change, and the
//! first value that is said takes its cell. Only the numbers of its published versions stay, for the next version goes on from
//! there.

use super::{Feeders, Quality, Quarter, State, Value, position};
use crate::network::MeterIx;

/// Import and export of an estimate, Wh as the meter counts.
pub(super) type EstimatedWh = (u32, Option<u32>);

pub(super) fn value_of((import_wh, export_wh): EstimatedWh) -> Value {
    Value {
        quality: Quality::Estimated,
        revision: 0,
        captured_at: None,
        import_wh,
        export_wh,
        import_vah: None,
        voltage_v: None,
        current_a: None,
    }
}

impl State {
    /// Shows an estimate in a cell, or takes away the one there. A cell with a value of its own stays as it is.
    pub fn show_estimate(
        &mut self,
        meter: MeterIx,
        feeders: Feeders,
        quarter: Quarter,
        estimate: Option<EstimatedWh>,
    ) {
        let home = self.home(meter, feeders);
        let slot = usize::from(home.slot);
        let Some(block) = self.blocks.get_mut(position(home.block)) else {
            return;
        };
        let chunk = block.chunks.change(self.cold.as_deref(), (home.block, quarter));
        if chunk.own(slot).is_some() || chunk.get(slot) == estimate.map(value_of) {
            return;
        }
        match estimate.map(value_of) {
            Some(value) => chunk.put(slot, &value, block.meters.len()),
            None => chunk.take_away(slot),
        }
        if chunk.dirty.mark(slot) {
            self.dirty.push((home.block, quarter));
        }
    }

    /// The number of the version that publishing an estimate, or that there is none any more, makes now.
    pub fn publish_estimate(&mut self, meter: MeterIx, quarter: Quarter) -> i64 {
        let versions = self.versions.entry((meter, quarter)).or_default();
        versions.accepted += 1;
        versions.accepted
    }

    /// Puts back a published version of an estimate (`None`: it was taken away), in any order with other rows of its cell. Tells
    /// whether it is the newest of its cell so far.
    pub fn restore_estimate(
        &mut self,
        meter: MeterIx,
        feeders: Feeders,
        quarter: Quarter,
        (version, estimate): (i64, Option<EstimatedWh>),
    ) -> bool {
        let is_said = self.own_value(meter, quarter).is_some();
        let versions = self.versions.entry((meter, quarter)).or_default();
        // A cell with a value and no list has seen one version.
        let newest = versions
            .accepted
            .max(i64::from(is_said && versions.seen.is_empty()));
        versions.accepted = newest.max(version);
        if is_said || version <= newest {
            return false;
        }
        self.show_estimate(meter, feeders, quarter, estimate);
        true
    }

    /// The value of a cell that was said or edited; an estimate is none.
    #[must_use]
    pub fn own_value(&self, meter: MeterIx, quarter: Quarter) -> Option<Value> {
        self.value(meter, quarter)
            .filter(|value| value.quality > Quality::Estimated)
    }
}
