//! Rows of `meter_events` whose meaning is not what the event map says now: it was changed since they were published.
//!
//! They are the difference between the map and the table, looked for at a start and published as further versions with the first
//! checkpoint after it, as derived rows. What the table holds beyond the last checkpoint counts too, for it is not written again.

use arrow::array::RecordBatch;
use gridtally_ingest::log::Position;
use gridtally_schemas::{MeterId, PowerEvent, UtcMicros, table};
use hashbrown::{HashMap, hash_map::Entry};

use super::{
    World,
    restore::{
        RestoreError,
        columns::{Rows, known},
    },
};
use crate::outbox::{EventRow, Origin};

/// The newest row of each event of which some row has another meaning than the map, or that has more than one row.
#[derive(Debug, Default)]
pub(super) struct Meanings(HashMap<(MeterId, PowerEvent), Published>);

#[derive(Debug)]
struct Published {
    version: i64,
    is_other: bool,
    origin: Origin,
}

impl World {
    /// Compares rows of `meter_events` with the map, in any order.
    pub(super) fn compare_meanings(&mut self, batch: &RecordBatch) -> Result<(), RestoreError> {
        let rows = Rows::of(&table::METER_EVENTS, batch);
        let (id, at, code) = (rows.text("meter_id")?, rows.time("at")?, rows.whole("code")?);
        let (meaning, sequence) = (rows.text("meaning")?, rows.whole("sequence")?);
        let (version, position) = (rows.whole("version")?, rows.whole("position")?);
        let (received, source) = (rows.time("received_at")?, rows.text("source")?);
        for row in 0..batch.num_rows() {
            let event = PowerEvent {
                at: UtcMicros(at.value(row)),
                code: i32::try_from(code.value(row)).map_err(|_| rows.bad("code", &code.value(row)))?,
                sequence: known(&sequence, row, |row| sequence.value(row)),
            };
            let published = known(&meaning, row, |row| meaning.value(row));
            let is_other = published != self.settings.event_map.meaning(event.code);
            let version = version.value(row);
            if version == 1 && !is_other {
                continue;
            }
            let found = Published {
                version,
                is_other,
                origin: Origin {
                    position: Position(u64::try_from(position.value(row)).unwrap_or(0)),
                    received_at: UtcMicros(received.value(row)),
                    source: source.value(row).into(),
                },
            };
            match self
                .meanings
                .0
                .entry((rows.parse("meter_id", id.value(row))?, event))
            {
                Entry::Occupied(held) if held.get().version >= version => {}
                Entry::Occupied(mut held) => {
                    held.insert(found);
                }
                Entry::Vacant(free) => {
                    free.insert(found);
                }
            }
        }
        Ok(())
    }

    /// Takes the rows that say what those events mean now.
    pub(super) fn take_meanings(&mut self) -> Vec<EventRow> {
        let found = std::mem::take(&mut self.meanings);
        let others = found.0.into_iter().filter(|(_, published)| published.is_other);
        let mut rows: Vec<EventRow> = others
            .map(|((meter_id, event), published)| EventRow {
                meter_id,
                meaning: self.settings.event_map.meaning(event.code),
                event,
                version: published.version + 1,
                origin: published.origin,
            })
            .collect();
        rows.sort_by(|one, other| (&one.meter_id, one.event.at).cmp(&(&other.meter_id, other.event.at)));
        rows
    }
}
