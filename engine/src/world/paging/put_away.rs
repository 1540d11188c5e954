//! Values that wait on disk: of days that cannot be let go, because something of them is still to be judged or published.
//!
//! The state brings a value back as soon as somebody looks at it ([`crate::state`]), so unlike days that were let go nobody asks for
//! them first, and nothing here bears on a result.

use super::{Quarter, World};
use crate::state::{Key, Place};

/// The newest closed quarters, whose values stay in memory whatever the budget: two hours, in which most of what comes late comes.
const QUARTERS_WARM: u32 = 8;

impl World {
    /// The quarters of which values are in memory and may wait on disk, oldest first; none where the budget is kept.
    pub(crate) fn to_put_away(&self) -> Vec<Quarter> {
        if !self.was_over_budget() {
            return Vec::new();
        }
        let newest = self
            .newest_interval()
            .unwrap_or_default()
            .min(self.closed_through);
        let newest = newest.minus(QUARTERS_WARM);
        self.state.quarters_here(newest).into_iter().collect()
    }

    /// Counts the memory that the budget is of.
    pub(crate) fn count_resident(&mut self) {
        self.paging.paged.resident_bytes = self.resident_bytes();
    }

    /// Notes that values wait where they were written.
    pub(crate) fn put_away(&mut self, placed: Vec<(Key, Place)>) {
        let bytes = self.state.put_away(placed);
        let resident = &mut self.paging.paged.resident_bytes;
        *resident = resident.saturating_sub(bytes);
    }
}
