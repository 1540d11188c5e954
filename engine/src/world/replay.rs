//! What waits in quarantine, judged again: a rule or a decoder that changed may make it good.
//!
//! What unknown meters said comes back by itself when master data names them ([`super::held`]). The rest comes back by a log record that
//! somebody asked for (`gridtally quarantine replay`): it holds each row whole, so that applying it needs no table, and it is a
//! decision, so that what depends on settings (how old or how far ahead a read may be) is not asked again when it is
//! applied. A row is released once, however often a record says so; as of its own arrival, as if it had been good when it came.

use std::sync::Arc;

use arrow::{
    array::{Array, AsArray, BinaryArray, RecordBatch},
    datatypes::DataType,
};
use gridtally_schemas::{
    MeterId, MeterSpan, Publish, RegisterRead, UtcMicros,
    quarantine::Quarantined,
    table,
    topic::{Publisher, Topic},
    wire::{self, Encoding},
};
use hashbrown::HashSet;

use super::{
    World,
    apply::{Arrival, Judging, count},
    held::{SpanId, UNKNOWN_METER},
    restore::{
        RestoreError,
        columns::{Rows, known},
    },
};
use crate::{
    outbox::{Origin, QuarantineRow},
    vee::{Kind, Rule},
};

/// Reason of a payload that could not be decoded, before the colon.
pub(super) const UNDECODABLE: &str = "undecodable";

/// What a quarantined row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Was {
    /// A publish that could not be decoded.
    Undecodable,
    /// A part of one, of one meter, that a hard rule refused.
    Refused,
}

/// Reads the payload of a row; `Err` says why it stays.
fn decode(row: &Quarantined, publish: &mut Publish) -> Result<Was, String> {
    let (was, encoding, publisher) = match row.kind() {
        UNKNOWN_METER => {
            return Err("no `meters` row names its meter; it is released by the one that does".to_owned());
        }
        UNDECODABLE => {
            let topic = row.topic.as_deref().unwrap_or_default();
            let publisher = Topic::parse(topic).map_err(|error| error.to_string())?.publisher;
            let encoding = Encoding::detect(row.content_type.as_deref(), &row.payload);
            (Was::Undecodable, encoding, publisher)
        }
        kind if Rule::parse(kind).is_some_and(|rule| rule.kind() == Kind::Hard) => {
            let meter = MeterId::parse(row.meter_id.as_deref().unwrap_or_default());
            let publisher = Publisher::Meter(meter.map_err(|error| error.to_string())?);
            (Was::Refused, Encoding::Json, publisher)
        }
        _ => return Err("it cannot be judged again; send it anew".to_owned()),
    };
    wire::decode(encoding, &row.payload, &publisher, publish).map_err(|error| error.to_string())?;
    Ok(was)
}

fn is_negative(register: &RegisterRead) -> bool {
    [register.import_wh, register.export_wh]
        .into_iter()
        .flatten()
        .any(|wh| wh < 0)
}

impl World {
    /// Judges a row of the quarantine again.
    ///
    /// # Errors
    /// Why it stays where it is.
    pub fn judge_quarantined(&self, row: &Quarantined) -> Result<(), String> {
        let mut publish = Publish::default();
        if decode(row, &mut publish)? == Was::Undecodable {
            // Its reads and registers are judged one by one when it is applied.
            return Ok(());
        }
        for span in publish.meters() {
            for read in span.reads {
                self.admit(row.received_at, read).map_err(str::to_owned)?;
            }
            if span.registers.iter().any(is_negative) {
                return Err(Rule::Negative.as_str().to_owned());
            }
        }
        Ok(())
    }

    /// Applies rows that were judged good. One that was released before, or that this version cannot read, stays as it is.
    pub(super) fn apply_release(&mut self, origin: &Origin, rows: Vec<Quarantined>) {
        let mut publish = Publish::default();
        for row in rows {
            if self.released.contains(&row.exception_id) {
                continue;
            }
            let Ok(was) = decode(&row, &mut publish) else {
                continue;
            };
            let (reads, registers, events) = (
                count(publish.read_count()),
                count(publish.register_count()),
                count(publish.event_count()),
            );
            let judging = match was {
                // Nobody could count what it carries when it came.
                Was::Undecodable => {
                    self.counts.reads += reads;
                    self.counts.registers += registers;
                    self.counts.events += events;
                    Judging::Now
                }
                Was::Refused => {
                    self.counts.reads_released += reads;
                    self.counts.registers_released += registers;
                    self.counts.events_released += events;
                    Judging::Released
                }
            };
            let as_said = Origin {
                position: origin.position,
                received_at: row.received_at,
                source: Arc::from(row.source.as_str()),
            };
            let head: SpanId = format!("{}-0", row.exception_id).parse().unwrap_or(SpanId {
                position: origin.position,
                at: 0,
            });
            for (at, span) in publish.meters().enumerate() {
                let id = SpanId {
                    position: head.position,
                    at: head.at + count(at),
                };
                let arrival = Arrival {
                    id,
                    origin: &as_said,
                    judging,
                };
                self.apply_span(&arrival, span);
            }
            self.release_row(origin, row);
        }
    }

    /// Calls `look` with every span that releasing these rows applies.
    pub(super) fn each_released(
        &self,
        rows: &[Quarantined],
        publish: &mut Publish,
        mut look: impl FnMut(MeterSpan<'_>),
    ) {
        for row in rows
            .iter()
            .filter(|row| !self.released.contains(&row.exception_id))
        {
            if decode(row, publish).is_ok() {
                publish.meters().for_each(&mut look);
            }
        }
    }

    fn release_row(&mut self, origin: &Origin, row: Quarantined) {
        self.count_quarantine_row(&row.reason, -1);
        self.released.insert(row.exception_id.clone());
        self.outbox.quarantine.push(QuarantineRow {
            exception_id: row.exception_id,
            position: origin.position,
            origin: Origin {
                position: origin.position,
                received_at: row.received_at,
                source: Arc::from(row.source),
            },
            topic: row.topic,
            content_type: row.content_type,
            meter_id: row.meter_id,
            interval_end: row.interval_end,
            reason: row.reason,
            payload: row.payload,
            released_at: Some(origin.received_at),
        });
    }
}

/// The ids of the rows of `quarantine` that say that something was released.
pub(crate) fn released_ids(batch: &RecordBatch, released: &mut HashSet<String>) -> Result<(), RestoreError> {
    let rows = Rows::of(&table::QUARANTINE, batch);
    let (id, at) = (rows.text("exception_id")?, rows.time("released_at")?);
    let is_released = |row: &usize| at.is_valid(*row);
    let ids = (0..batch.num_rows()).filter(is_released);
    released.extend(ids.map(|row| id.value(row).to_owned()));
    Ok(())
}

/// The rows of `quarantine` of which `wanted` (id, meter, reason) is true and that do not say that something was released.
pub(crate) fn quarantined(
    batch: &RecordBatch,
    wanted: impl Fn(&str, Option<&str>, &str) -> bool,
) -> Result<Vec<Quarantined>, RestoreError> {
    let rows = Rows::of(&table::QUARANTINE, batch);
    let (id, reason, meter) = (
        rows.text("exception_id")?,
        rows.text("reason")?,
        rows.text("meter_id")?,
    );
    let (received, released) = (rows.time("received_at")?, rows.time("released_at")?);
    let (source, end) = (rows.text("source")?, rows.time("interval_end")?);
    let (topic, content_type) = (rows.text("topic")?, rows.text("content_type")?);
    let payload = rows.column("payload", &DataType::Binary)?;
    let payload: &BinaryArray = payload.as_binary();
    let mut found = Vec::new();
    for row in 0..batch.num_rows() {
        let meter_id = known(&meter, row, |row| meter.value(row));
        if released.is_valid(row) || !wanted(id.value(row), meter_id, reason.value(row)) {
            continue;
        }
        found.push(Quarantined {
            exception_id: id.value(row).to_owned(),
            received_at: UtcMicros(received.value(row)),
            source: source.value(row).to_owned(),
            topic: known(&topic, row, |row| topic.value(row).to_owned()),
            content_type: known(&content_type, row, |row| content_type.value(row).to_owned()),
            meter_id: meter_id.map(str::to_owned),
            interval_end: known(&end, row, |row| UtcMicros(end.value(row))),
            reason: reason.value(row).to_owned(),
            payload: payload.value(row).to_vec(),
        });
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
