//! Putting the picture back from the tables, as it was when a given record had been applied.
//!
//! Tables are committed one after the other, so after a crash some may be ahead of the last checkpoint. Of what the log says only
//! rows that were emitted at or before the checkpoint's position are put back; replaying the log from there emits the rest again,
//! the same rows at the same positions, and [`crate::outbox::Outbox::drop_written`] drops what a table has already. What was
//! published of balances is put back as it stands in each table: a balance is published only where it differs.

use arrow::{
    array::{Int64Array, RecordBatch},
    error::ArrowError,
};
use gridtally_ingest::log::Position;
use gridtally_schemas::{UtcMicros, table};

use super::{Counts, World};
use columns::Rows;

pub(crate) mod columns;
mod master;
mod published;
mod quarantine;
mod said;

/// Why a table could not be put back.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// A column is missing or of another type.
    #[error("column {column} of table {table} cannot be read")]
    Column {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// Why.
        #[source]
        source: ArrowError,
    },
    /// A cell holds what this program never writes.
    #[error("table {table} holds `{value}` in column {column}, which cannot stand there")]
    Cell {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// The cell, as text.
        value: String,
    },
}

/// When rows of a table are put back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Back {
    /// At a start: what the tables hold is all that is known.
    Recovered,
    /// Into a running picture, which let them go as they are.
    PagedIn,
}

impl World {
    /// Notes that everything up to `as_of` has been put back, with the counts at that position.
    pub(crate) fn resume(&mut self, as_of: Position, counts: Counts) {
        self.applied = as_of;
        self.counts = counts;
        self.count_all_bills();
    }
}

/// The newest row of `checkpoints`.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct LastCheckpoint {
    /// The last record that the tables hold.
    pub(crate) position: Position,
    /// When it was published.
    pub(crate) published_at: UtcMicros,
    /// The last record of which they hold all that follows from it.
    pub(crate) complete: Position,
    /// Feeders' days that were owed.
    pub(crate) owed: u64,
    /// The counts at its position.
    pub(crate) counts: Counts,
}

/// The newest row of `checkpoints`; `None` in an empty table.
pub(crate) fn last_checkpoint(batches: &[RecordBatch]) -> Result<Option<LastCheckpoint>, RestoreError> {
    let mut newest: Option<LastCheckpoint> = None;
    for batch in batches {
        let rows = Rows::of(&table::CHECKPOINTS, batch);
        let (position, at) = (rows.whole("position")?, rows.time("published_at")?);
        let (complete, owed) = (rows.whole("complete_position")?, rows.whole("feeder_days_owed")?);
        for row in 0..batch.num_rows() {
            let number = |column: &Int64Array| u64::try_from(column.value(row)).unwrap_or(0);
            // Where the clock stands still the one that holds more is the later.
            let key = (
                Position(number(&position)),
                UtcMicros(at.value(row)),
                Position(number(&complete)),
            );
            if newest.is_none_or(|newest| key >= (newest.position, newest.published_at, newest.complete)) {
                let count = |name| rows.whole(name).ok().map(|column| number(&column));
                newest = Some(LastCheckpoint {
                    position: key.0,
                    published_at: key.1,
                    complete: key.2,
                    owed: number(&owed),
                    counts: Counts::from_named(count),
                });
            }
        }
    }
    Ok(newest)
}
