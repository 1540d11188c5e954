//! What unknown meters said, held until master data names them.

use std::{collections::BTreeMap, fmt, str::FromStr, sync::Arc};

use gridtally_ingest::log::Position;
use gridtally_schemas::{MeterId, MeterSpan, Publish, UtcMicros, topic::Publisher, wire};
use hashbrown::HashMap;

use super::{
    World,
    apply::{Arrival, count},
};
use crate::{
    network::MeterIx,
    outbox::{Origin, QuarantineRow},
};

/// Reason of a held span.
pub(crate) const UNKNOWN_METER: &str = "unknown_meter";

/// A span by the record that carried it and its place in it: `{position}-{at}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SpanId {
    pub(crate) position: Position,
    pub(crate) at: u64,
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.position, self.at)
    }
}

/// An exception id that is none of a held span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoSpanId;

impl FromStr for SpanId {
    type Err = NoSpanId;
    /// Reads the head of an exception id.
    fn from_str(text: &str) -> Result<Self, NoSpanId> {
        let mut parts = text.split('-');
        let mut number = || {
            parts
                .next()
                .and_then(|part| part.parse::<u64>().ok())
                .ok_or(NoSpanId)
        };
        Ok(Self {
            position: Position(number()?),
            at: number()?,
        })
    }
}

/// A quarantined span, kept so that it can be applied again.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    pub(crate) id: SpanId,
    pub(crate) meter_id: String,
    pub(crate) reason: &'static str,
    pub(crate) received_at: UtcMicros,
    pub(crate) source: Arc<str>,
    /// The span as JSON: the payload column.
    pub(crate) payload: Vec<u8>,
    pub(crate) interval_end: Option<UtcMicros>,
}

impl Held {
    pub(super) fn of_span(arrival: &Arrival<'_>, reason: &'static str, span: MeterSpan<'_>) -> Self {
        Self {
            id: arrival.id,
            meter_id: span.meter_id.to_owned(),
            reason,
            received_at: arrival.origin.received_at,
            source: Arc::clone(&arrival.origin.source),
            payload: wire::span_to_json(span),
            interval_end: span.reads.first().map(|read| read.interval_end),
        }
    }

    /// Its row, emitted at `position`.
    pub(super) fn row(&self, position: Position, released_at: Option<UtcMicros>) -> QuarantineRow {
        QuarantineRow {
            exception_id: format!("{}-{}", self.id, self.reason),
            position,
            origin: Origin {
                position: self.id.position,
                received_at: self.received_at,
                source: Arc::clone(&self.source),
            },
            topic: None,
            content_type: None,
            meter_id: Some(self.meter_id.clone()),
            interval_end: self.interval_end,
            reason: self.reason.to_owned(),
            payload: self.payload.clone(),
            released_at,
        }
    }
}

/// All of them, by meter; of one meter in the order of the log.
#[derive(Debug, Default)]
pub(crate) struct HeldSpans {
    by_meter: HashMap<String, BTreeMap<SpanId, Held>>,
    count: usize,
}

impl HeldSpans {
    pub(super) fn insert(&mut self, held: Held) {
        let of_meter = self.by_meter.entry(held.meter_id.clone()).or_default();
        if of_meter.insert(held.id, held).is_none() {
            self.count += 1;
        }
    }

    fn take(&mut self, meter_id: &str) -> Vec<Held> {
        let taken: Vec<Held> = self
            .by_meter
            .remove(meter_id)
            .unwrap_or_default()
            .into_values()
            .collect();
        self.count -= taken.len();
        taken
    }

    /// All held spans, in no order.
    #[cfg(test)]
    pub(super) fn iter(&self) -> impl Iterator<Item = &Held> {
        self.by_meter.values().flat_map(BTreeMap::values)
    }
}

impl World {
    /// Number of quarantined spans that wait for master data.
    #[must_use]
    pub fn held(&self) -> usize {
        self.held.count
    }

    /// Applies what waited for meters that are known now: their reads are what they would have been had the meter been known when
    /// they came, as of their own arrival; the rows are emitted with the master record at `origin`.
    pub(super) fn release(&mut self, origin: &Origin, mut meters: Vec<MeterIx>) {
        if self.held.count == 0 {
            return;
        }
        let id_of = |meter: &MeterIx| self.network.meter(*meter).map(|meter| meter.id.clone());
        meters.sort_by_cached_key(id_of);
        let ids: Vec<MeterId> = meters.iter().filter_map(id_of).collect();
        for meter_id in ids {
            for held in self.held.take(meter_id.as_str()) {
                self.release_one(origin, &meter_id, &held);
            }
        }
    }

    fn release_one(&mut self, origin: &Origin, meter_id: &MeterId, held: &Held) {
        let mut publish = Publish::default();
        let publisher = Publisher::Meter(meter_id.clone());
        if wire::decode(wire::Encoding::Json, &held.payload, &publisher, &mut publish).is_err() {
            // A payload that this program wrote itself and cannot read: it stays in quarantine, whole.
            self.held.insert(held.clone());
            return;
        }
        self.counts.reads_released += count(publish.read_count());
        self.counts.registers_released += count(publish.register_count());
        self.counts.events_released += count(publish.event_count());
        let as_said = Origin {
            position: origin.position,
            received_at: held.received_at,
            source: Arc::clone(&held.source),
        };
        for span in publish.meters() {
            self.apply_span(
                &Arrival {
                    id: held.id,
                    origin: &as_said,
                },
                span,
            );
        }
        self.count_quarantine_row(held.reason, -1);
        self.outbox
            .quarantine
            .push(held.row(origin.position, Some(origin.received_at)));
    }
}
