//! Putting the picture back from the tables, as it was when a given record had been applied.
//!
//! Tables are committed one after the other, so after a crash some may be ahead of the last checkpoint. Of what the log says only
//! rows that were emitted at or before the checkpoint's position are put back; replaying the log from there emits the rest again,
//! the same rows at the same positions, and [`crate::outbox::Outbox::drop_written`] drops what a table has already. What was
//! published of balances is put back as it stands in each table: a balance is published only where it differs.

use arrow::{array::RecordBatch, error::ArrowError};
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

/// The counts of the newest row of `checkpoints`, with its position and when it was published; `None` in an empty table.
pub(crate) fn last_checkpoint(
    batches: &[RecordBatch],
) -> Result<Option<(Position, UtcMicros, Counts)>, RestoreError> {
    let mut newest: Option<(Position, UtcMicros, Counts)> = None;
    for batch in batches {
        let rows = Rows::of(&table::CHECKPOINTS, batch);
        let (position, at) = (rows.whole("position")?, rows.time("published_at")?);
        for row in 0..batch.num_rows() {
            let key = (
                Position(u64::try_from(position.value(row)).unwrap_or(0)),
                UtcMicros(at.value(row)),
            );
            if newest
                .as_ref()
                .is_none_or(|(position, at, _)| key >= (*position, *at))
            {
                let count = |name| {
                    rows.whole(name)
                        .ok()
                        .and_then(|column| u64::try_from(column.value(row)).ok())
                };
                newest = Some((key.0, key.1, Counts::from_named(count)));
            }
        }
    }
    Ok(newest)
}
