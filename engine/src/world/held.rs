//! What unknown meters said, and what people set for them, held until master data names them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
    str::FromStr,
    sync::Arc,
};

use gridtally_ingest::log::Position;
use gridtally_schemas::{
    MeterId, MeterSpan, Publish, UtcMicros,
    edit::{Edit, Edits},
    network::{MasterRows, MeterRow},
    record::{self, Body, RecordError},
    topic::Publisher,
    wire,
};
use hashbrown::{HashMap, HashSet};

use super::{
    World,
    apply::{Arrival, Judging, count},
};
use crate::{
    network::{Meter, MeterIx},
    outbox::{Origin, QuarantineRow},
};

/// Reason of a held span.
pub(crate) const UNKNOWN_METER: &str = crate::vee::Rule::UnknownMeter.as_str();

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
    /// The span (or the edit, with person and reason) as JSON: the payload column.
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

    pub(super) fn of_edit(arrival: &Arrival<'_>, edits: &Edits, edit: &Edit) -> Self {
        let alone = Edits {
            person: edits.person.clone(),
            reason: edits.reason.clone(),
            edits: vec![edit.clone()],
        };
        Self {
            id: arrival.id,
            meter_id: edit.meter_id.to_string(),
            reason: UNKNOWN_METER,
            received_at: arrival.origin.received_at,
            source: Arc::clone(&arrival.origin.source),
            // Texts and whole numbers: JSON can always say them.
            payload: serde_json::to_vec(&alone).unwrap_or_default(),
            interval_end: Some(edit.interval_end),
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

/// Memory of a span beside its payload, bytes: the entry, its keys and its part of the maps.
const SPAN_BYTES: usize = 256;

impl Held {
    /// Memory that it takes, bytes.
    fn bytes(&self) -> usize {
        SPAN_BYTES + self.payload.len() + 2 * self.meter_id.len()
    }
}

/// All of them, by meter; of one meter in the order of the log.
///
/// Bound: [`Settings::held_bytes_max`]. What exceeds it goes, oldest first, once its row stands in the `quarantine` table
/// ([`World::spill`]), and is read again from there when a master record names its meter ([`World::spilled_named_by`]). So the
/// bound decides where a span waits, never what becomes of it. Of a spilled meter a fingerprint stays, 9 bytes or so.
///
/// [`Settings::held_bytes_max`]: super::Settings::held_bytes_max
#[derive(Debug, Default)]
pub(crate) struct HeldSpans {
    by_meter: HashMap<String, BTreeMap<SpanId, Held>>,
    /// Spans in memory.
    count: usize,
    /// Their memory.
    bytes: usize,
    /// Spans that wait in the table alone.
    spilled: usize,
    /// Fingerprints of meters with spilled spans; one stays when its spans are put back, for a meter becomes known once.
    spilled_meters: HashSet<u64>,
}

fn fingerprint(meter_id: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    meter_id.hash(&mut hasher);
    hasher.finish()
}

impl HeldSpans {
    pub(super) fn insert(&mut self, held: Held) {
        self.insert_new(held);
    }

    fn insert_new(&mut self, held: Held) -> bool {
        let bytes = held.bytes();
        let of_meter = self.by_meter.entry(held.meter_id.clone()).or_default();
        let is_new = of_meter.insert(held.id, held).is_none();
        if is_new {
            self.count += 1;
            self.bytes += bytes;
        }
        is_new
    }

    /// Takes a spilled span back; one that never left stays.
    pub(super) fn put_back(&mut self, held: Held) {
        if self.insert_new(held) {
            self.spilled = self.spilled.saturating_sub(1);
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
        self.bytes -= taken.iter().map(Held::bytes).sum::<usize>();
        taken
    }

    /// Lets the oldest spans go that stand in the table up to `published`, until the others fit `bytes_max`.
    fn spill(&mut self, published: Position, bytes_max: usize) -> usize {
        if self.bytes <= bytes_max {
            return 0;
        }
        let mut oldest: Vec<(SpanId, String)> = self
            .by_meter
            .iter()
            .flat_map(|(meter_id, spans)| spans.keys().map(|id| (*id, meter_id.clone())))
            .filter(|(id, _)| id.position <= published)
            .collect();
        oldest.sort_unstable();
        let before = self.spilled;
        for (id, meter_id) in oldest {
            if self.bytes <= bytes_max {
                break;
            }
            self.spill_one(id, &meter_id);
        }
        self.spilled - before
    }

    fn spill_one(&mut self, id: SpanId, meter_id: &str) {
        let Some(of_meter) = self.by_meter.get_mut(meter_id) else {
            return;
        };
        let Some(held) = of_meter.remove(&id) else { return };
        if of_meter.is_empty() {
            self.by_meter.remove(meter_id);
        }
        self.count -= 1;
        self.bytes -= held.bytes();
        self.spilled += 1;
        self.spilled_meters.insert(fingerprint(meter_id));
    }

    /// All spans in memory, in no order.
    #[cfg(test)]
    pub(super) fn iter(&self) -> impl Iterator<Item = &Held> {
        self.by_meter.values().flat_map(BTreeMap::values)
    }
}

impl World {
    /// Number of quarantined spans that wait for master data, in memory or in the table.
    #[must_use]
    pub fn held(&self) -> usize {
        self.held.count + self.held.spilled
    }

    /// Memory of those that wait in memory, bytes.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.held.bytes
    }

    /// Number of those that wait in the table alone.
    #[must_use]
    pub fn held_spilled(&self) -> usize {
        self.held.spilled
    }

    /// Lets held spans beyond the bound go, whose rows are in the table up to `published`.
    pub(crate) fn spill(&mut self, published: Position) {
        let spilled = self.held.spill(published, self.settings.held_bytes_max);
        if spilled > 0 {
            tracing::info!(
                spilled,
                held = self.held(),
                bytes_max = self.settings.held_bytes_max,
                "spans of unknown meters wait in the quarantine table alone"
            );
        }
    }

    /// The meters that a record makes known and of which spans may have been spilled: they must be put back before it is applied.
    ///
    /// # Errors
    /// [`RecordError`] when the record cannot be read.
    pub(crate) fn spilled_named_by(&self, bytes: &[u8]) -> Result<BTreeSet<MeterId>, RecordError> {
        if self.held.spilled == 0 {
            return Ok(BTreeSet::new());
        }
        let Body::MasterRows(MasterRows::Meters(rows)) = record::decode(bytes)?.body else {
            return Ok(BTreeSet::new());
        };
        let is_spilled = |row: &MeterRow| {
            let found = self.network.find_meter(row.meter_id.as_str());
            !found.is_some_and(|meter| self.is_known(meter))
                && self
                    .held
                    .spilled_meters
                    .contains(&fingerprint(row.meter_id.as_str()))
        };
        Ok(rows
            .into_iter()
            .filter(is_spilled)
            .map(|row| row.meter_id)
            .collect())
    }

    /// When the intervals end whose reads wait in memory for this meter.
    pub(super) fn held_interval_ends(&self, meter_id: &MeterId) -> Vec<UtcMicros> {
        let spans = self.held.by_meter.get(meter_id.as_str()).into_iter().flatten();
        let publisher = Publisher::Meter(meter_id.clone());
        let mut ends = Vec::new();
        for (_, held) in spans {
            let mut publish = Publish::default();
            if wire::decode(wire::Encoding::Json, &held.payload, &publisher, &mut publish).is_ok() {
                let reads = publish.meters().flat_map(|span| span.reads);
                ends.extend(reads.map(|read| read.interval_end));
            }
        }
        ends
    }

    /// Applies what waited for meters that are known now: their reads are what they would have been had the meter been known when
    /// they came, as of their own arrival; the rows are emitted with the master record at `origin`.
    pub(super) fn release(&mut self, origin: &Origin, mut meters: Vec<MeterIx>) {
        if self.held() == 0 {
            return;
        }
        let id_of = |meter: &MeterIx| self.network.meter(*meter).and_then(Meter::meter_id);
        meters.sort_by_cached_key(id_of);
        let ids: Vec<MeterId> = meters.iter().filter_map(id_of).collect();
        for meter_id in ids {
            for held in self.held.take(meter_id.as_str()) {
                self.release_one(origin, &meter_id, &held);
            }
        }
    }

    fn release_one(&mut self, origin: &Origin, meter_id: &MeterId, held: &Held) {
        let as_said = Origin {
            position: origin.position,
            received_at: held.received_at,
            source: Arc::clone(&held.source),
        };
        let arrival = Arrival {
            id: held.id,
            origin: &as_said,
            judging: Judging::Now,
        };
        let mut publish = Publish::default();
        let publisher = Publisher::Meter(meter_id.clone());
        if let Ok(edits) = serde_json::from_slice::<Edits>(&held.payload) {
            self.counts.reads_released += count(edits.edits.len());
            for edit in &edits.edits {
                self.apply_edit(&arrival, &edits, edit);
            }
        } else if wire::decode(wire::Encoding::Json, &held.payload, &publisher, &mut publish).is_ok() {
            self.counts.reads_released += count(publish.read_count());
            self.counts.registers_released += count(publish.register_count());
            self.counts.events_released += count(publish.event_count());
            for span in publish.meters() {
                self.apply_span(&arrival, span);
            }
        } else {
            // A payload that this program wrote itself and cannot read: it stays in quarantine, whole.
            self.held.insert(held.clone());
            return;
        }
        self.count_quarantine_row(held.reason, -1);
        self.outbox
            .quarantine
            .push(held.row(origin.position, Some(origin.received_at)));
    }
}
