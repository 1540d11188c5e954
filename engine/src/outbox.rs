//! Rows on their way to the tables: gathered as records are applied, taken whole by a checkpoint.
//!
//! Every row carries the log position at which it was emitted, in the `position` column. Applying a record again emits the same
//! rows at the same position, so a table that already has a position's rows (its application transaction says) takes none of
//! them again (TBL-1).

use std::sync::Arc;

use arrow::{
    array::{
        ArrayRef, BinaryArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int32Array,
        Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray, UInt8Array, new_null_array,
    },
    datatypes::SchemaRef,
    error::ArrowError,
};
use gridtally_ingest::log::Position;
use gridtally_schemas::{
    IdList, MeterId, PowerEvent, RegisterRead, UtcMicros, Zone,
    billing::{BillingRow, DiscomAccountsRow},
    network::{ConnectionRow, MasterRows, MeterRow, NodeRow},
    table,
};
use hashbrown::HashMap;

use crate::{
    network::MeterIx,
    state::{Quarter, Value},
    vee::Rule,
    world::{
        MissingReport, accountability::AccountabilityRows, compensation::CompensationRows, outage::OutageRows,
    },
};

mod order;
mod parts;

pub(crate) use parts::Parts;

/// Where something came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Origin {
    /// The record whose applying emits the rows: for what was released from quarantine the master record that named the meter.
    pub(crate) position: Position,
    pub(crate) received_at: UtcMicros,
    pub(crate) source: Arc<str>,
}

/// A row of `interval_reads`.
#[derive(Debug, Clone)]
pub(crate) struct ReadRow {
    pub(crate) meter: MeterIx,
    pub(crate) quarter: Quarter,
    pub(crate) value: Value,
    pub(crate) version: i64,
    /// Where it came from, among [`Outbox::origins`].
    origin: u32,
    /// How the value was made and why, where it is not the meter's own.
    made: Option<Box<Made>>,
}

/// How a value was made that is not the meter's own.
#[derive(Debug, Clone)]
pub(crate) struct Made {
    pub(crate) method: &'static str,
    pub(crate) reason: Arc<str>,
}

/// Method of a value that a person set.
pub(crate) const MANUAL: &str = "manual";

/// A row of `register_reads`.
#[derive(Debug, Clone)]
pub(crate) struct RegisterRow {
    pub(crate) meter_id: MeterId,
    pub(crate) register: RegisterRead,
    pub(crate) version: i64,
    pub(crate) origin: Origin,
}

/// A row of `meter_events`.
#[derive(Debug, Clone)]
pub(crate) struct EventRow {
    pub(crate) meter_id: MeterId,
    pub(crate) event: PowerEvent,
    /// By the event map.
    pub(crate) meaning: Option<&'static str>,
    pub(crate) version: i64,
    pub(crate) origin: Origin,
}

/// A row of `vee_exceptions`: a read that its source reported as missing.
#[derive(Debug, Clone)]
pub(crate) struct VeeRow {
    pub(crate) meter_id: MeterId,
    pub(crate) quarter: Quarter,
    pub(crate) version: i64,
    pub(crate) position: Position,
    pub(crate) report: MissingReport,
}

/// Why a further version of an event's row came.
const MAP_CHANGED: &str = "the event map was changed";

/// Rule of [`VeeRow`].
pub(crate) const REPORTED_MISSING: &str = Rule::ReportedMissing.as_str();

/// A row of `quarantine`.
#[derive(Debug, Clone)]
pub(crate) struct QuarantineRow {
    pub(crate) exception_id: String,
    pub(crate) position: Position,
    pub(crate) origin: Origin,
    pub(crate) topic: Option<String>,
    pub(crate) content_type: Option<String>,
    pub(crate) meter_id: Option<String>,
    pub(crate) interval_end: Option<UtcMicros>,
    pub(crate) reason: String,
    pub(crate) payload: Vec<u8>,
    pub(crate) released_at: Option<UtcMicros>,
}

/// One row of master data.
#[derive(Debug, Clone)]
pub(crate) enum MasterRow {
    Node(Box<NodeRow>),
    Meter(Box<MeterRow>),
    Connection(Box<ConnectionRow>),
}

impl MasterRow {
    pub(crate) fn split(rows: MasterRows) -> Vec<Self> {
        match rows {
            MasterRows::Nodes(rows) => rows.into_iter().map(|row| Self::Node(Box::new(row))).collect(),
            MasterRows::Meters(rows) => rows.into_iter().map(|row| Self::Meter(Box::new(row))).collect(),
            MasterRows::Connections(rows) => rows
                .into_iter()
                .map(|row| Self::Connection(Box::new(row)))
                .collect(),
        }
    }

    pub(crate) fn into_rows(self) -> MasterRows {
        match self {
            Self::Node(row) => MasterRows::Nodes(vec![*row]),
            Self::Meter(row) => MasterRows::Meters(vec![*row]),
            Self::Connection(row) => MasterRows::Connections(vec![*row]),
        }
    }
}

/// Rows gathered since the last checkpoint.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    pub(crate) reads: Parts<ReadRow>,
    /// Where reads came from: a hundred and more of one record share one.
    pub(crate) origins: Parts<Origin>,
    pub(crate) registers: Parts<RegisterRow>,
    pub(crate) events: Parts<EventRow>,
    pub(crate) vee: Parts<VeeRow>,
    pub(crate) quarantine: Vec<QuarantineRow>,
    pub(crate) master: Parts<(MasterRow, Origin)>,
    pub(crate) outage: OutageRows,
    pub(crate) billing: Vec<(BillingRow, Origin)>,
    pub(crate) accounts: Vec<(DiscomAccountsRow, Origin)>,
    pub(crate) compensation: CompensationRows,
    pub(crate) accountability: AccountabilityRows,
}

impl Outbox {
    /// Adds a row of `interval_reads`.
    pub(crate) fn push_read(
        &mut self,
        origin: &Origin,
        (meter, quarter): (MeterIx, Quarter),
        (value, version): (&Value, i64),
        made: Option<Made>,
    ) {
        if self.origins.last() != Some(origin) {
            self.origins.push(origin.clone());
        }
        self.reads.push(ReadRow {
            meter,
            quarter,
            value: *value,
            version,
            origin: u32::try_from(self.origins.len() - 1).unwrap_or(u32::MAX),
            made: made.map(Box::new),
        });
    }

    /// Drops the rows that a table has already: `written` gives the position through which it does.
    pub(crate) fn drop_written(&mut self, written: impl Fn(&table::TableSchema) -> Position) {
        let (reads, registers, events) = (
            written(&table::INTERVAL_READS),
            written(&table::REGISTER_READS),
            written(&table::METER_EVENTS),
        );
        let (vee, quarantine) = (written(&table::VEE_EXCEPTIONS), written(&table::QUARANTINE));
        let (nodes, meters, connections) = (
            written(&table::NODES),
            written(&table::METERS),
            written(&table::CONNECTIONS),
        );
        self.outage.drop_written(&written);
        self.compensation.drop_written(&written);
        self.accountability.drop_written(&written);
        let origins = &self.origins;
        self.reads.retain(|row| {
            let origin = origin_of(row, origins);
            origin.is_some_and(|origin| origin.position > reads)
        });
        self.registers.retain(|row| row.origin.position > registers);
        self.events.retain(|row| row.origin.position > events);
        self.vee.retain(|row| row.position > vee);
        self.quarantine.retain(|row| row.position > quarantine);
        let billing = written(&table::BILLING);
        self.billing.retain(|(_, origin)| origin.position > billing);
        let accounts = written(&table::DISCOM_ACCOUNTS);
        self.accounts.retain(|(_, origin)| origin.position > accounts);
        self.master.retain(|(row, origin)| match row {
            MasterRow::Node(_) => origin.position > nodes,
            MasterRow::Meter(_) => origin.position > meters,
            MasterRow::Connection(_) => origin.position > connections,
        });
    }

    /// Number of rows.
    pub(crate) fn len(&self) -> usize {
        self.reads.len()
            + self.registers.len()
            + self.events.len()
            + self.vee.len()
            + self.quarantine.len()
            + self.master.len()
            + self.outage.len()
            + self.billing.len()
            + self.accounts.len()
            + self.compensation.len()
            + self.accountability.len()
    }
}

/// Columns of one batch, set by name; a nullable column that is not set is null throughout.
#[derive(Debug)]
pub(crate) struct Columns {
    schema: SchemaRef,
    rows: usize,
    arrays: Vec<Option<ArrayRef>>,
    /// The first name that was set and is no column: [`Columns::finish`] fails on it.
    unknown: Option<String>,
}

impl Columns {
    pub(crate) fn new(schema: &table::TableSchema, rows: usize) -> Self {
        let schema = schema.arrow();
        Self {
            arrays: vec![None; schema.fields().len()],
            schema,
            rows,
            unknown: None,
        }
    }

    pub(crate) fn set(mut self, name: &str, array: ArrayRef) -> Self {
        match self
            .schema
            .index_of(name)
            .ok()
            .and_then(|at| self.arrays.get_mut(at))
        {
            Some(slot) => *slot = Some(array),
            None => self.unknown = self.unknown.or_else(|| Some(name.to_owned())),
        }
        self
    }

    pub(crate) fn text<T: AsRef<str>>(self, name: &str, values: impl Iterator<Item = Option<T>>) -> Self {
        self.set(name, Arc::new(values.collect::<StringArray>()))
    }

    pub(crate) fn whole(self, name: &str, values: impl Iterator<Item = Option<i64>>) -> Self {
        self.set(name, Arc::new(values.collect::<Int64Array>()))
    }

    pub(crate) fn number(self, name: &str, values: impl Iterator<Item = Option<f64>>) -> Self {
        self.set(name, Arc::new(values.collect::<Float64Array>()))
    }

    /// Money of paise. Sets the schema's own precision and scale, which hold every `i64`.
    pub(crate) fn money(self, name: &str, paise: impl Iterator<Item = Option<i64>>) -> Self {
        let array: Decimal128Array = paise.map(|paise| paise.map(i128::from)).collect();
        let array = array.with_data_type(table::ColumnType::Money.arrow());
        self.set(name, Arc::new(array))
    }

    pub(crate) fn time(self, name: &str, values: impl Iterator<Item = Option<UtcMicros>>) -> Self {
        let array: TimestampMicrosecondArray = values.map(|at| at.map(|at| at.0)).collect();
        self.set(name, Arc::new(array.with_timezone("UTC")))
    }

    pub(crate) fn day(self, name: &str, values: impl Iterator<Item = gridtally_schemas::Day>) -> Self {
        self.set(
            name,
            Arc::new(values.map(|day| Some(day.0)).collect::<Date32Array>()),
        )
    }

    pub(crate) fn finish(self) -> Result<RecordBatch, ArrowError> {
        if let Some(name) = self.unknown {
            return Err(ArrowError::SchemaError(format!("the table has no column {name}")));
        }
        let rows = self.rows;
        let arrays = self
            .arrays
            .into_iter()
            .zip(self.schema.fields())
            .map(|(array, field)| match array {
                // A column of the schema's own integer width, whatever the caller counted in.
                Some(array) if array.data_type() != field.data_type() => {
                    arrow::compute::cast(&array, field.data_type())
                }
                Some(array) => Ok(array),
                None => Ok(new_null_array(field.data_type(), rows)),
            });
        RecordBatch::try_new(Arc::clone(&self.schema), arrays.collect::<Result<_, _>>()?)
    }
}

fn position_of(position: Position) -> Option<i64> {
    i64::try_from(position.0).ok()
}

/// What a batch is made at and for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stamp<'a> {
    pub(crate) published_at: UtcMicros,
    pub(crate) zone: &'a Zone,
}

fn origin_of<'a>(row: &ReadRow, origins: &'a Parts<Origin>) -> Option<&'a Origin> {
    origins.get(usize::try_from(row.origin).ok()?)
}

/// The batch of `interval_reads`, in the order of its key; `ids` are those of the meters by their index.
pub(crate) fn reads_batch(
    rows: &Parts<ReadRow>,
    origins: &Parts<Origin>,
    ids: &IdList<MeterId>,
    stamp: Stamp<'_>,
) -> Result<RecordBatch, ArrowError> {
    let rows = order::by_key(rows, ids);
    let values = || rows.iter().map(|row| &row.value);
    let from = || rows.iter().map(|row| origin_of(row, origins));
    let energy = |wh: Option<u32>| wh.map(i64::from);
    let mut days = DayCache::new(stamp.zone);
    let day: Date32Array = rows.iter().map(|row| Some(days.of(row.quarter))).collect();
    Columns::new(&table::INTERVAL_READS, rows.len())
        .text("meter_id", rows.iter().map(|row| ids.get(row.meter.at())))
        .time("interval_end", rows.iter().map(|row| Some(row.quarter.end())))
        .whole(
            "import_wh",
            values().map(|value| Some(i64::from(value.import_wh))),
        )
        .whole("export_wh", values().map(|value| energy(value.export_wh)))
        .whole("import_vah", values().map(|value| energy(value.import_vah)))
        .set(
            "voltage_v",
            Arc::new(values().map(|value| value.voltage_v).collect::<Float32Array>()),
        )
        .set(
            "current_a",
            Arc::new(values().map(|value| value.current_a).collect::<Float32Array>()),
        )
        .text("quality", values().map(|value| Some(value.quality.as_str())))
        .text(
            "method",
            rows.iter().map(|row| row.made.as_ref().map(|made| made.method)),
        )
        .set(
            "revision",
            Arc::new(values().map(|value| Some(value.revision)).collect::<Int32Array>()),
        )
        .time("captured_at", values().map(|value| value.captured_at))
        .time("received_at", from().map(|origin| Some(origin?.received_at)))
        .text("source", from().map(|origin| Some(origin?.source.as_ref())))
        .whole("position", from().map(|origin| position_of(origin?.position)))
        .whole("version", rows.iter().map(|row| Some(row.version)))
        .time("published_at", rows.iter().map(|_| Some(stamp.published_at)))
        .text("reason", rows.iter().map(|row| reason_of_read(row)))
        .set("day", Arc::new(day))
        .finish()
}

fn reason_of_read(row: &ReadRow) -> Option<&str> {
    let made = row.made.as_ref().map(|made| made.reason.as_ref());
    made.or_else(|| reason_of_version(row.version))
}

fn reason_of_version(version: i64) -> Option<&'static str> {
    match version {
        0 => Some("superseded"),
        1 => None,
        _ => Some("corrected"),
    }
}

/// Civil days of quarters: a batch has few, and a zone look-up costs more than everything else in a row.
struct DayCache<'a> {
    zone: &'a Zone,
    known: HashMap<Quarter, i32>,
}

impl<'a> DayCache<'a> {
    fn new(zone: &'a Zone) -> Self {
        Self {
            zone,
            known: HashMap::new(),
        }
    }

    fn of(&mut self, quarter: Quarter) -> i32 {
        let day = || self.zone.day_of_interval(quarter.end()).0;
        *self.known.entry(quarter).or_insert_with(day)
    }
}

pub(crate) fn registers_batch(
    rows: &Parts<RegisterRow>,
    stamp: Stamp<'_>,
) -> Result<RecordBatch, ArrowError> {
    Columns::new(&table::REGISTER_READS, rows.len())
        .text("meter_id", rows.iter().map(|row| Some(row.meter_id.as_str())))
        .time("at", rows.iter().map(|row| Some(row.register.at)))
        .whole("import_wh", rows.iter().map(|row| row.register.import_wh))
        .whole("export_wh", rows.iter().map(|row| row.register.export_wh))
        .time("received_at", rows.iter().map(|row| Some(row.origin.received_at)))
        .text("source", rows.iter().map(|row| Some(row.origin.source.as_ref())))
        .whole(
            "position",
            rows.iter().map(|row| position_of(row.origin.position)),
        )
        .whole("version", rows.iter().map(|row| Some(row.version)))
        .time("published_at", rows.iter().map(|_| Some(stamp.published_at)))
        .text("reason", rows.iter().map(|row| reason_of_version(row.version)))
        .day("day", rows.iter().map(|row| stamp.zone.day_of(row.register.at)))
        .finish()
}

pub(crate) fn events_batch(rows: &Parts<EventRow>, stamp: Stamp<'_>) -> Result<RecordBatch, ArrowError> {
    Columns::new(&table::METER_EVENTS, rows.len())
        .text("meter_id", rows.iter().map(|row| Some(row.meter_id.as_str())))
        .time("at", rows.iter().map(|row| Some(row.event.at)))
        .whole("code", rows.iter().map(|row| Some(i64::from(row.event.code))))
        .text("meaning", rows.iter().map(|row| row.meaning))
        .whole("sequence", rows.iter().map(|row| row.event.sequence))
        .time("received_at", rows.iter().map(|row| Some(row.origin.received_at)))
        .text("source", rows.iter().map(|row| Some(row.origin.source.as_ref())))
        .whole(
            "position",
            rows.iter().map(|row| position_of(row.origin.position)),
        )
        .whole("version", rows.iter().map(|row| Some(row.version)))
        .time("published_at", rows.iter().map(|_| Some(stamp.published_at)))
        .text(
            "reason",
            rows.iter().map(|row| (row.version > 1).then_some(MAP_CHANGED)),
        )
        .day("day", rows.iter().map(|row| stamp.zone.day_of(row.event.at)))
        .finish()
}

/// Id of an exception: meter, end of the interval as seconds of UTC since 1970, rule.
pub(crate) fn exception_id(meter_id: &MeterId, quarter: Quarter, rule: &str) -> String {
    format!("{meter_id}/{}/{rule}", quarter.end().0 / 1_000_000)
}

pub(crate) fn vee_batch(rows: &Parts<VeeRow>, stamp: Stamp<'_>) -> Result<RecordBatch, ArrowError> {
    let detail = "the source sent this interval without a value";
    Columns::new(&table::VEE_EXCEPTIONS, rows.len())
        .text(
            "exception_id",
            rows.iter()
                .map(|row| Some(exception_id(&row.meter_id, row.quarter, REPORTED_MISSING))),
        )
        .text("meter_id", rows.iter().map(|row| Some(row.meter_id.as_str())))
        .time("interval_end", rows.iter().map(|row| Some(row.quarter.end())))
        .text("rule", rows.iter().map(|_| Some(REPORTED_MISSING)))
        .text("detail", rows.iter().map(|_| Some(detail)))
        .time("at", rows.iter().map(|row| Some(row.report.at)))
        .time("resolved_at", rows.iter().map(|row| row.report.resolved_at))
        .whole("position", rows.iter().map(|row| position_of(row.position)))
        .whole("version", rows.iter().map(|row| Some(row.version)))
        .time("published_at", rows.iter().map(|_| Some(stamp.published_at)))
        .text(
            "reason",
            rows.iter().map(|row| (row.version > 1).then_some("a value came")),
        )
        .day(
            "day",
            rows.iter()
                .map(|row| stamp.zone.day_of_interval(row.quarter.end())),
        )
        .finish()
}

pub(crate) fn quarantine_batch(rows: &[QuarantineRow], stamp: Stamp<'_>) -> Result<RecordBatch, ArrowError> {
    let payload = BinaryArray::from_iter_values(rows.iter().map(|row| row.payload.as_slice()));
    Columns::new(&table::QUARANTINE, rows.len())
        .text("exception_id", rows.iter().map(|row| Some(&row.exception_id)))
        .time("received_at", rows.iter().map(|row| Some(row.origin.received_at)))
        .text("topic", rows.iter().map(|row| row.topic.as_ref()))
        .text("source", rows.iter().map(|row| Some(row.origin.source.as_ref())))
        .text("meter_id", rows.iter().map(|row| row.meter_id.as_ref()))
        .time("interval_end", rows.iter().map(|row| row.interval_end))
        .text("reason", rows.iter().map(|row| Some(&row.reason)))
        .set("payload", Arc::new(payload))
        .text("content_type", rows.iter().map(|row| row.content_type.as_ref()))
        .whole("position", rows.iter().map(|row| position_of(row.position)))
        .time("released_at", rows.iter().map(|row| row.released_at))
        .whole(
            "version",
            rows.iter()
                .map(|row| Some(if row.released_at.is_some() { 2 } else { 1 })),
        )
        .time("published_at", rows.iter().map(|_| Some(stamp.published_at)))
        .day(
            "day",
            rows.iter().map(|row| stamp.zone.day_of(row.origin.received_at)),
        )
        .finish()
}

/// Batches of `nodes`, `meters` and `connections`.
pub(crate) fn master_batches(
    rows: &Parts<(MasterRow, Origin)>,
    stamp: Stamp<'_>,
) -> Result<Vec<(&'static table::TableSchema, RecordBatch)>, ArrowError> {
    let mut nodes: Vec<(&NodeRow, &Origin)> = Vec::new();
    let mut meters: Vec<(&MeterRow, &Origin)> = Vec::new();
    let mut connections: Vec<(&ConnectionRow, &Origin)> = Vec::new();
    for (row, origin) in rows.iter() {
        match row {
            MasterRow::Node(row) => nodes.push((row, origin)),
            MasterRow::Meter(row) => meters.push((row, origin)),
            MasterRow::Connection(row) => connections.push((row, origin)),
        }
    }
    let mut batches = Vec::new();
    if !nodes.is_empty() {
        batches.push((&table::NODES, nodes_batch(&nodes, stamp)?));
    }
    if !meters.is_empty() {
        batches.push((&table::METERS, meters_batch(&meters, stamp)?));
    }
    if !connections.is_empty() {
        batches.push((&table::CONNECTIONS, connections_batch(&connections, stamp)?));
    }
    Ok(batches)
}

/// The columns that rows of what people said share: when they were learnt, and from whom.
pub(crate) fn recorded<R>(columns: Columns, rows: &[(R, &Origin)], stamp: Stamp<'_>) -> Columns {
    columns
        .time(
            "recorded_at",
            rows.iter().map(|(_, origin)| Some(origin.received_at)),
        )
        .text(
            "source",
            rows.iter().map(|(_, origin)| Some(origin.source.as_ref())),
        )
        .whole(
            "position",
            rows.iter().map(|(_, origin)| position_of(origin.position)),
        )
        .time("published_at", rows.iter().map(|_| Some(stamp.published_at)))
}

fn nodes_batch(rows: &[(&NodeRow, &Origin)], stamp: Stamp<'_>) -> Result<RecordBatch, ArrowError> {
    let each = || rows.iter().map(|(row, _)| *row);
    let columns = Columns::new(&table::NODES, rows.len())
        .text("node_id", each().map(|row| Some(row.node_id.as_str())))
        .text("kind", each().map(|row| Some(row.kind.as_str())))
        .text(
            "parent_id",
            each().map(|row| row.parent_id.as_ref().map(|id| id.as_str())),
        )
        .text("name", each().map(|row| Some(&row.name)))
        .text(
            "area_class",
            each().map(|row| row.area_class.map(|class| class.as_str())),
        )
        .number("lat", each().map(|row| row.lat))
        .number("lon", each().map(|row| row.lon))
        .number("capacity_kva", each().map(|row| row.capacity_kva))
        .number("allowable_loss_pct", each().map(|row| row.allowable_loss_pct))
        .number("technical_loss_pct", each().map(|row| row.technical_loss_pct))
        .time("valid_from", each().map(|row| Some(row.valid_from)))
        .time("valid_to", each().map(|row| row.valid_to));
    recorded(columns, rows, stamp).finish()
}

fn meters_batch(rows: &[(&MeterRow, &Origin)], stamp: Stamp<'_>) -> Result<RecordBatch, ArrowError> {
    let each = || rows.iter().map(|(row, _)| *row);
    let minutes: UInt8Array = each().map(|row| Some(u8::from(row.interval_minutes))).collect();
    let columns = Columns::new(&table::METERS, rows.len())
        .text("meter_id", each().map(|row| Some(row.meter_id.as_str())))
        .text("role", each().map(|row| Some(row.role.as_str())))
        .text(
            "node_id",
            each().map(|row| row.node_id.as_ref().map(|id| id.as_str())),
        )
        .text(
            "boundary_to",
            each().map(|row| row.boundary_to.as_ref().map(|id| id.as_str())),
        )
        .set("interval_minutes", Arc::new(minutes))
        .number("multiplier", each().map(|row| Some(f64::from(row.multiplier))))
        .time("valid_from", each().map(|row| Some(row.valid_from)))
        .time("valid_to", each().map(|row| row.valid_to));
    recorded(columns, rows, stamp).finish()
}

fn connections_batch(
    rows: &[(&ConnectionRow, &Origin)],
    stamp: Stamp<'_>,
) -> Result<RecordBatch, ArrowError> {
    let each = || rows.iter().map(|(row, _)| *row);
    let columns = Columns::new(&table::CONNECTIONS, rows.len())
        .text("consumer_id", each().map(|row| Some(row.consumer_id.as_str())))
        .text(
            "meter_id",
            each().map(|row| row.meter_id.as_ref().map(|id| id.as_str())),
        )
        .text("node_id", each().map(|row| Some(row.node_id.as_str())))
        .text("category", each().map(|row| Some(&row.category)))
        .text("supply", each().map(|row| Some(row.supply.as_str())))
        .set(
            "phases",
            Arc::new(each().map(|row| Some(row.phases)).collect::<UInt8Array>()),
        )
        .number("sanctioned_load_kw", each().map(|row| row.sanctioned_load_kw))
        .text("metering", each().map(|row| Some(row.metering.as_str())))
        .text("prosumer", each().map(|row| Some(row.prosumer.as_str())))
        .number("assessed_kwh_month", each().map(|row| row.assessed_kwh_month))
        .time("valid_from", each().map(|row| Some(row.valid_from)))
        .time("valid_to", each().map(|row| row.valid_to));
    recorded(columns, rows, stamp).finish()
}
