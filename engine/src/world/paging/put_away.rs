//! Values that wait on disk: of days that cannot be let go, because something of them is still to be judged or published.
//!
//! The state brings a value back as soon as somebody looks at it ([`crate::state`]), so unlike days that were let go nobody asks for
//! them first, and nothing here bears on a result.

use std::io;

use super::{BlockNumber, Quarter, World};

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

    /// Lets the values of one quarter wait on disk, of at most `count` blocks from `first` on. Gives the block to go on with, if any.
    ///
    /// # Errors
    /// When the file cannot be written: then they stay in memory.
    pub(crate) fn put_away(
        &mut self,
        quarter: Quarter,
        first: BlockNumber,
        count: usize,
    ) -> io::Result<Option<BlockNumber>> {
        let (bytes, next) = self.state.put_away(quarter, (first, count))?;
        let resident = &mut self.paging.paged.resident_bytes;
        *resident = resident.saturating_sub(bytes);
        Ok(next)
    }

    /// Lets values wait on disk until the rest fits the budget, or those that must stay are left. `resident_bytes` must have been counted.
    ///
    /// # Errors
    /// When the file cannot be written: then they stay in memory.
    pub(crate) fn put_away_all(&mut self) -> io::Result<()> {
        self.paging.paged.resident_bytes = self.resident_bytes();
        for quarter in self.to_put_away() {
            self.put_away(quarter, BlockNumber::FIRST, usize::MAX)?;
            if !self.was_over_budget() {
                break;
            }
        }
        Ok(())
    }

    /// Lets every value wait on disk, the newest too.
    #[cfg(test)]
    pub(crate) fn put_everything_away(&mut self) {
        for quarter in self.state.quarters_here(Quarter(u32::MAX)) {
            self.put_away(quarter, BlockNumber::FIRST, usize::MAX).unwrap();
        }
    }
}
