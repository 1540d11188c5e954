//! What is held of unknown meters, from the table of quarantined payloads.

use std::{collections::BTreeSet, sync::Arc};

use arrow::{
    array::{Array, AsArray, BinaryArray, RecordBatch},
    datatypes::DataType,
};
use gridtally_ingest::log::Position;
use gridtally_schemas::{MeterId, UtcMicros, table};

use super::{
    RestoreError,
    columns::{Rows, known},
};
use crate::world::{
    World,
    held::{Held, SpanId, UNKNOWN_METER},
};

impl World {
    /// Puts back rows of `quarantine`, in any order, after master data: a span is held while its meter is not known.
    pub(crate) fn restore_quarantine(
        &mut self,
        batch: &RecordBatch,
        as_of: Position,
    ) -> Result<(), RestoreError> {
        let rows = Rows::of(&table::QUARANTINE, batch);
        let (reason, released) = (rows.text("reason")?, rows.time("released_at")?);
        let id = rows.text("exception_id")?;
        for (row, _) in rows.emitted(as_of)? {
            let step = if released.is_valid(row) { -1 } else { 1 };
            self.count_quarantine_row(reason.value(row), step);
            if released.is_valid(row) && reason.value(row) != UNKNOWN_METER {
                self.released.insert(id.value(row).to_owned());
            }
        }
        for held in held_spans(&rows, as_of)? {
            if !self.is_named(&held.meter_id) {
                self.held.insert(held);
            }
        }
        self.spill(as_of);
        Ok(())
    }

    /// Puts back spilled spans of these meters, from rows of `quarantine` that may be of others too.
    pub(crate) fn put_back_spilled(
        &mut self,
        batch: &RecordBatch,
        meters: &BTreeSet<MeterId>,
    ) -> Result<(), RestoreError> {
        let rows = Rows::of(&table::QUARANTINE, batch);
        for held in held_spans(&rows, self.applied)? {
            let is_asked = meters.iter().any(|meter| meter.as_str() == held.meter_id);
            if is_asked && !self.is_named(&held.meter_id) {
                self.held.put_back(held);
            }
        }
        Ok(())
    }

    /// Whether a row of this meter is known: what it said is held no more.
    fn is_named(&self, meter_id: &str) -> bool {
        self.network
            .find_meter(meter_id)
            .is_some_and(|meter| self.is_known(meter))
    }
}

/// The spans of unknown meters in rows that were emitted at or before `as_of`, as they came.
fn held_spans(rows: &Rows<'_>, as_of: Position) -> Result<Vec<Held>, RestoreError> {
    let (id, reason, meter) = (
        rows.text("exception_id")?,
        rows.text("reason")?,
        rows.text("meter_id")?,
    );
    let (received, released) = (rows.time("received_at")?, rows.time("released_at")?);
    let (source, end) = (rows.text("source")?, rows.time("interval_end")?);
    let payload = rows.column("payload", &DataType::Binary)?;
    let payload: &BinaryArray = payload.as_binary();
    let mut spans = Vec::new();
    for (row, _) in rows.emitted(as_of)? {
        if released.is_valid(row) || reason.value(row) != UNKNOWN_METER {
            continue;
        }
        spans.push(Held {
            id: rows.parse::<SpanId>("exception_id", id.value(row))?,
            meter_id: rows.parse::<MeterId>("meter_id", meter.value(row))?.to_string(),
            reason: UNKNOWN_METER,
            received_at: UtcMicros(received.value(row)),
            source: Arc::from(source.value(row)),
            payload: payload.value(row).to_vec(),
            interval_end: known(&end, row, |row| UtcMicros(end.value(row))),
        });
    }
    Ok(spans)
}
