//! Values that wait on disk: of days that cannot be let go, because something of them is still to be judged or published.
//!
//! The state brings a value back as soon as somebody looks at it ([`crate::state`]), so unlike days that were let go nobody asks for
//! them first, and nothing here bears on a result.

use std::io;

use super::{BlockNumber, Quarter, World};
use crate::state::{Key, Place};

/// Blocks of meters whose values of one interval are put away together: some two megabytes.
pub(crate) const BLOCKS_TOGETHER: usize = 256;

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

    /// Notes that values wait where they were written.
    pub(crate) fn put_away(&mut self, placed: Vec<(Key, Place)>) {
        let bytes = self.state.put_away(placed);
        let resident = &mut self.paging.paged.resident_bytes;
        *resident = resident.saturating_sub(bytes);
    }

    fn put_quarter_away(&mut self, quarter: Quarter) -> io::Result<()> {
        let Some(cold) = self.state.cold() else {
            return Ok(());
        };
        let mut next = Some(BlockNumber::FIRST);
        while let Some(first) = next {
            let drawn;
            (drawn, next) = self.state.draw(quarter, (first, BLOCKS_TOGETHER));
            self.put_away(cold.put_all(&drawn)?);
        }
        Ok(())
    }

    /// Lets values wait on disk until the rest fits the budget, or those that must stay are left. `resident_bytes` must have been counted.
    ///
    /// # Errors
    /// When the file cannot be written: then they stay in memory.
    pub(crate) fn put_away_all(&mut self) -> io::Result<()> {
        self.paging.paged.resident_bytes = self.resident_bytes();
        for quarter in self.to_put_away() {
            self.put_quarter_away(quarter)?;
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
            self.put_quarter_away(quarter).unwrap();
        }
    }
}
