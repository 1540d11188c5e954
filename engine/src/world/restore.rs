//! Putting the picture back from the tables, as it was when a given record had been applied.
//!
//! Tables are committed one after the other, so after a crash some may be ahead of the last checkpoint. Of what the log says only
//! rows that were emitted at or before the checkpoint's position are put back; replaying the log from there emits the rest again,
//! the same rows at the same positions, and [`crate::outbox::Outbox::drop_written`] drops what a table has already. What was
//! published of balances is put back as it stands in each table: a balance is published only where it differs.

use arrow::{
    array::{
        Array, AsArray, BinaryArray, Date32Array, Float32Array, Float64Array, Int64Array, RecordBatch,
        StringArray, TimestampMicrosecondArray,
    },
    compute::cast,
    datatypes::{DataType, TimeUnit},
    error::ArrowError,
};
use gridtally_ingest::log::Position;
use gridtally_schemas::{
    Day, MeterId, Multiplier, NodeId, PowerEvent, UtcMicros,
    network::{ConnectionRow, MasterRows, MeterRow, NodeRow},
    table::{self, TableSchema},
};
use std::{str::FromStr, sync::Arc};

use super::{
    Counts, MissingReport, World,
    held::{Held, SpanId, UNKNOWN_METER},
    publish::{DayValues, DtValues, FeederValues, Published, Stage, digest},
    rows::{DAY_LOSSES, DAY_SUMS, DT_KNOWN, DT_SUMS, FEEDER_KNOWN, FEEDER_SUMS},
};
use crate::{
    balance::Coverage,
    network::{MeterIx, Touched},
    state::{Quality, Quarter, Value},
};

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

/// A batch with its table's name, for reading columns by name.
struct Rows<'a> {
    table: &'static str,
    batch: &'a RecordBatch,
}

impl<'a> Rows<'a> {
    fn of(table: &TableSchema, batch: &'a RecordBatch) -> Self {
        Self {
            table: table.name,
            batch,
        }
    }

    /// A column in the type that this program reads it in, whatever the reader of the file made of it.
    fn column(&self, column: &'static str, wanted: &DataType) -> Result<Arc<dyn Array>, RestoreError> {
        let error = |source| RestoreError::Column {
            table: self.table,
            column,
            source,
        };
        let missing = || ArrowError::SchemaError("there is no such column".to_owned());
        let array = self
            .batch
            .column_by_name(column)
            .ok_or_else(|| error(missing()))?;
        cast(array, wanted).map_err(error)
    }

    fn text(&self, column: &'static str) -> Result<StringArray, RestoreError> {
        Ok(self.column(column, &DataType::Utf8)?.as_string::<i32>().clone())
    }

    fn whole(&self, column: &'static str) -> Result<Int64Array, RestoreError> {
        Ok(self.column(column, &DataType::Int64)?.as_primitive().clone())
    }

    fn number(&self, column: &'static str) -> Result<Float64Array, RestoreError> {
        Ok(self.column(column, &DataType::Float64)?.as_primitive().clone())
    }

    fn time(&self, column: &'static str) -> Result<TimestampMicrosecondArray, RestoreError> {
        let utc = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        Ok(self.column(column, &utc)?.as_primitive().clone())
    }

    fn day(&self, column: &'static str) -> Result<Date32Array, RestoreError> {
        Ok(self.column(column, &DataType::Date32)?.as_primitive().clone())
    }

    /// The rows that were emitted at or before `as_of`, with their positions.
    fn emitted(&self, as_of: Position) -> Result<Vec<(usize, Position)>, RestoreError> {
        let positions = self.whole("position")?;
        let of_row = |row| (row, Position(u64::try_from(positions.value(row)).unwrap_or(0)));
        Ok((0..self.batch.num_rows())
            .map(of_row)
            .filter(|(_, position)| *position <= as_of)
            .collect())
    }

    fn parse<T: FromStr>(&self, column: &'static str, text: &str) -> Result<T, RestoreError> {
        text.parse().map_err(|_| RestoreError::Cell {
            table: self.table,
            column,
            value: text.to_owned(),
        })
    }

    fn bad(&self, column: &'static str, value: &impl ToString) -> RestoreError {
        RestoreError::Cell {
            table: self.table,
            column,
            value: value.to_string(),
        }
    }

    fn quarter(&self, at: i64) -> Result<Quarter, RestoreError> {
        Quarter::ending(UtcMicros(at)).ok_or_else(|| self.bad("interval_end", &at))
    }
}

fn known<T>(array: &impl Array, row: usize, value: impl Fn(usize) -> T) -> Option<T> {
    array.is_valid(row).then(|| value(row))
}

impl World {
    /// Notes that everything up to `as_of` has been put back, with the counts at that position.
    pub(crate) fn resume(&mut self, as_of: Position, counts: Counts) {
        self.applied = as_of;
        self.counts = counts;
    }

    /// Puts back rows of `nodes`.
    pub(crate) fn restore_nodes(&mut self, batch: &RecordBatch, as_of: Position) -> Result<(), RestoreError> {
        let rows = Rows::of(&table::NODES, batch);
        let (id, kind, parent) = (rows.text("node_id")?, rows.text("kind")?, rows.text("parent_id")?);
        let (name, area) = (rows.text("name")?, rows.text("area_class")?);
        let (lat, lon, capacity) = (
            rows.number("lat")?,
            rows.number("lon")?,
            rows.number("capacity_kva")?,
        );
        let (allowable, technical) = (
            rows.number("allowable_loss_pct")?,
            rows.number("technical_loss_pct")?,
        );
        let (from, to) = (rows.time("valid_from")?, rows.time("valid_to")?);
        let recorded = Recorded::of(&rows)?;
        for (row, _) in rows.emitted(as_of)? {
            let number = |column: &Float64Array| known(column, row, |row| column.value(row));
            let parent = known(&parent, row, |row| parent.value(row));
            let area = known(&area, row, |row| area.value(row));
            let node = NodeRow {
                node_id: rows.parse("node_id", id.value(row))?,
                kind: rows.parse("kind", kind.value(row))?,
                parent_id: parent.map(|id| rows.parse("parent_id", id)).transpose()?,
                name: name.value(row).to_owned(),
                area_class: area.map(|word| rows.parse("area_class", word)).transpose()?,
                lat: number(&lat),
                lon: number(&lon),
                capacity_kva: number(&capacity),
                allowable_loss_pct: number(&allowable),
                technical_loss_pct: number(&technical),
                valid_from: UtcMicros(from.value(row)),
                valid_to: known(&to, row, |row| UtcMicros(to.value(row))),
            };
            self.restore_master(&recorded, row, MasterRows::Nodes(vec![node]));
        }
        Ok(())
    }

    /// Puts back rows of `meters`.
    pub(crate) fn restore_meters(
        &mut self,
        batch: &RecordBatch,
        as_of: Position,
    ) -> Result<(), RestoreError> {
        let rows = Rows::of(&table::METERS, batch);
        let (id, role, node) = (rows.text("meter_id")?, rows.text("role")?, rows.text("node_id")?);
        let (boundary, minutes) = (rows.text("boundary_to")?, rows.whole("interval_minutes")?);
        let multiplier = rows.number("multiplier")?;
        let (from, to) = (rows.time("valid_from")?, rows.time("valid_to")?);
        let recorded = Recorded::of(&rows)?;
        for (row, _) in rows.emitted(as_of)? {
            let node_id = |column: &'static str, ids: &StringArray| {
                let id = known(ids, row, |row| ids.value(row).to_owned());
                id.map(|id| rows.parse::<NodeId>(column, &id)).transpose()
            };
            let length = minutes.value(row);
            let interval = u8::try_from(length)
                .ok()
                .and_then(|length| length.try_into().ok());
            let meter = MeterRow {
                meter_id: rows.parse("meter_id", id.value(row))?,
                role: rows.parse("role", role.value(row))?,
                node_id: node_id("node_id", &node)?,
                boundary_to: node_id("boundary_to", &boundary)?,
                interval_minutes: interval.ok_or_else(|| rows.bad("interval_minutes", &length))?,
                multiplier: Multiplier::try_from(multiplier.value(row))
                    .map_err(|_| rows.bad("multiplier", &multiplier.value(row)))?,
                valid_from: UtcMicros(from.value(row)),
                valid_to: known(&to, row, |row| UtcMicros(to.value(row))),
            };
            self.restore_master(&recorded, row, MasterRows::Meters(vec![meter]));
        }
        Ok(())
    }

    /// Puts back rows of `connections`.
    pub(crate) fn restore_connections(
        &mut self,
        batch: &RecordBatch,
        as_of: Position,
    ) -> Result<(), RestoreError> {
        let rows = Rows::of(&table::CONNECTIONS, batch);
        let (consumer, meter, node) = (
            rows.text("consumer_id")?,
            rows.text("meter_id")?,
            rows.text("node_id")?,
        );
        let (category, supply, phases) = (
            rows.text("category")?,
            rows.text("supply")?,
            rows.whole("phases")?,
        );
        let (load, assessed) = (
            rows.number("sanctioned_load_kw")?,
            rows.number("assessed_kwh_month")?,
        );
        let (metering, prosumer) = (rows.text("metering")?, rows.text("prosumer")?);
        let (from, to) = (rows.time("valid_from")?, rows.time("valid_to")?);
        let recorded = Recorded::of(&rows)?;
        for (row, _) in rows.emitted(as_of)? {
            let meter = known(&meter, row, |row| meter.value(row));
            let connection = ConnectionRow {
                consumer_id: rows.parse("consumer_id", consumer.value(row))?,
                meter_id: meter.map(|id| rows.parse("meter_id", id)).transpose()?,
                node_id: rows.parse("node_id", node.value(row))?,
                category: category.value(row).to_owned(),
                supply: rows.parse("supply", supply.value(row))?,
                phases: u8::try_from(phases.value(row))
                    .map_err(|_| rows.bad("phases", &phases.value(row)))?,
                sanctioned_load_kw: known(&load, row, |row| load.value(row)),
                metering: rows.parse("metering", metering.value(row))?,
                prosumer: rows.parse("prosumer", prosumer.value(row))?,
                assessed_kwh_month: known(&assessed, row, |row| assessed.value(row)),
                valid_from: UtcMicros(from.value(row)),
                valid_to: known(&to, row, |row| UtcMicros(to.value(row))),
            };
            self.restore_master(&recorded, row, MasterRows::Connections(vec![connection]));
        }
        Ok(())
    }

    fn restore_master(&mut self, recorded: &Recorded, row: usize, rows: MasterRows) {
        let source = Arc::from(recorded.source.value(row));
        let touched: Touched = self
            .network
            .merge(UtcMicros(recorded.at.value(row)), &source, rows);
        self.touch(&touched);
    }

    /// Puts back rows of `interval_reads`, in any order. Master data comes first.
    pub(crate) fn restore_reads(&mut self, batch: &RecordBatch, as_of: Position) -> Result<(), RestoreError> {
        let rows = Rows::of(&table::INTERVAL_READS, batch);
        let (id, end, quality) = (
            rows.text("meter_id")?,
            rows.time("interval_end")?,
            rows.text("quality")?,
        );
        let (import, export, vah) = (
            rows.whole("import_wh")?,
            rows.whole("export_wh")?,
            rows.whole("import_vah")?,
        );
        let (volts, amperes) = (rows.small("voltage_v")?, rows.small("current_a")?);
        let (revision, captured, version) = (
            rows.whole("revision")?,
            rows.time("captured_at")?,
            rows.whole("version")?,
        );
        let mut last: Option<(String, MeterIx)> = None;
        for (row, _) in rows.emitted(as_of)? {
            let meter = self.meter_of(&rows, id.value(row), &mut last)?;
            let energy =
                |column: &Int64Array| known(column, row, |row| u32::try_from(column.value(row)).unwrap_or(0));
            let value = Value {
                quality: Quality::parse(quality.value(row))
                    .ok_or_else(|| rows.bad("quality", &quality.value(row)))?,
                revision: i32::try_from(revision.value(row))
                    .map_err(|_| rows.bad("revision", &revision.value(row)))?,
                captured_at: known(&captured, row, |row| UtcMicros(captured.value(row))),
                import_wh: energy(&import).unwrap_or(0),
                export_wh: energy(&export),
                import_vah: energy(&vah),
                voltage_v: known(&volts, row, |row| volts.value(row)),
                current_a: known(&amperes, row, |row| amperes.value(row)),
            };
            let feeders = self.feeders_for_home(meter);
            self.state.restore(
                meter,
                feeders,
                rows.quarter(end.value(row))?,
                (version.value(row), &value),
            );
        }
        Ok(())
    }

    /// Rows of one meter come in runs: the last look-up is kept.
    fn meter_of(
        &self,
        rows: &Rows<'_>,
        id: &str,
        last: &mut Option<(String, MeterIx)>,
    ) -> Result<MeterIx, RestoreError> {
        if let Some((last, meter)) = last
            && last == id
        {
            return Ok(*meter);
        }
        let meter = self
            .network
            .find_meter(id)
            .ok_or_else(|| rows.bad("meter_id", &id))?;
        *last = Some((id.to_owned(), meter));
        Ok(meter)
    }

    /// Puts back rows of `register_reads`, in any order.
    pub(crate) fn restore_registers(
        &mut self,
        batch: &RecordBatch,
        as_of: Position,
    ) -> Result<(), RestoreError> {
        let rows = Rows::of(&table::REGISTER_READS, batch);
        let (id, at, version) = (rows.text("meter_id")?, rows.time("at")?, rows.whole("version")?);
        let (import, export) = (rows.whole("import_wh")?, rows.whole("export_wh")?);
        let mut last = None;
        for (row, _) in rows.emitted(as_of)? {
            let key = (
                self.meter_of(&rows, id.value(row), &mut last)?,
                UtcMicros(at.value(row)),
            );
            let energy = |column: &Int64Array| known(column, row, |row| column.value(row));
            let content = (energy(&import), energy(&export));
            let entry = self.registers.entry(key).or_insert((content, version.value(row)));
            entry.1 = entry.1.max(version.value(row));
            let lost = content.min(entry.0);
            if content != entry.0 {
                entry.0 = content.max(entry.0);
                self.registers_superseded.insert((key.0, key.1, lost));
            }
        }
        Ok(())
    }

    /// Puts back rows of `meter_events`.
    pub(crate) fn restore_events(
        &mut self,
        batch: &RecordBatch,
        as_of: Position,
    ) -> Result<(), RestoreError> {
        let rows = Rows::of(&table::METER_EVENTS, batch);
        let (id, at) = (rows.text("meter_id")?, rows.time("at")?);
        let (code, sequence) = (rows.whole("code")?, rows.whole("sequence")?);
        let mut last = None;
        for (row, _) in rows.emitted(as_of)? {
            let meter = self.meter_of(&rows, id.value(row), &mut last)?;
            let code = i32::try_from(code.value(row)).map_err(|_| rows.bad("code", &code.value(row)))?;
            let sequence = known(&sequence, row, |row| sequence.value(row));
            self.events.insert((
                meter,
                PowerEvent {
                    at: UtcMicros(at.value(row)),
                    code,
                    sequence,
                },
            ));
        }
        Ok(())
    }

    /// Puts back rows of `vee_exceptions`, in any order.
    pub(crate) fn restore_vee(&mut self, batch: &RecordBatch, as_of: Position) -> Result<(), RestoreError> {
        let rows = Rows::of(&table::VEE_EXCEPTIONS, batch);
        let (id, end, rule) = (
            rows.text("meter_id")?,
            rows.time("interval_end")?,
            rows.text("rule")?,
        );
        let (at, resolved) = (rows.time("at")?, rows.time("resolved_at")?);
        let mut last = None;
        for (row, _) in rows.emitted(as_of)? {
            if rule.value(row) != crate::outbox::REPORTED_MISSING {
                continue;
            }
            let key = (
                self.meter_of(&rows, id.value(row), &mut last)?,
                rows.quarter(end.value(row))?,
            );
            let resolved_at = known(&resolved, row, |row| UtcMicros(resolved.value(row)));
            let report = MissingReport {
                at: UtcMicros(at.value(row)),
                resolved_at,
            };
            let entry = self.reported_missing.entry(key).or_insert(report);
            entry.resolved_at = entry.resolved_at.or(resolved_at);
        }
        Ok(())
    }

    /// Puts back rows of `quarantine`, all batches of the table at once: a span is held unless one of them releases it.
    pub(crate) fn restore_quarantine(
        &mut self,
        batches: &[RecordBatch],
        as_of: Position,
    ) -> Result<(), RestoreError> {
        let mut waiting = std::collections::BTreeMap::new();
        let mut released = std::collections::BTreeSet::new();
        for batch in batches {
            let rows = Rows::of(&table::QUARANTINE, batch);
            let (id, reason, meter) = (
                rows.text("exception_id")?,
                rows.text("reason")?,
                rows.text("meter_id")?,
            );
            let (received, released_at) = (rows.time("received_at")?, rows.time("released_at")?);
            let (source, end) = (rows.text("source")?, rows.time("interval_end")?);
            let payload = rows.column("payload", &DataType::Binary)?;
            let payload: &BinaryArray = payload.as_binary();
            for (row, _) in rows.emitted(as_of)? {
                if released_at.is_valid(row) {
                    released.insert(id.value(row).to_owned());
                    self.count_quarantine_row(reason.value(row), -1);
                    continue;
                }
                self.count_quarantine_row(reason.value(row), 1);
                if reason.value(row) != UNKNOWN_METER {
                    continue;
                }
                let span: SpanId = rows.parse("exception_id", id.value(row))?;
                let held = Held {
                    id: span,
                    meter_id: rows.parse::<MeterId>("meter_id", meter.value(row))?.to_string(),
                    reason: UNKNOWN_METER,
                    received_at: UtcMicros(received.value(row)),
                    source: Arc::from(source.value(row)),
                    payload: payload.value(row).to_vec(),
                    interval_end: known(&end, row, |row| UtcMicros(end.value(row))),
                };
                waiting.insert(id.value(row).to_owned(), held);
            }
        }
        for (id, held) in waiting {
            if !released.contains(&id) {
                self.held.insert(held);
            }
        }
        Ok(())
    }

    /// Puts back what was published of DT balances.
    pub(crate) fn restore_dt_balance(&mut self, batch: &RecordBatch) -> Result<(), RestoreError> {
        let rows = Rows::of(&table::DT_BALANCE, batch);
        let (id, end, minutes) = (
            rows.text("dt_id")?,
            rows.time("interval_end")?,
            rows.whole("interval_minutes")?,
        );
        let values = Figures::of(&rows, &DT_KNOWN, &DT_SUMS)?;
        let versions = Versions::of(&rows)?;
        for row in 0..batch.num_rows() {
            let values = DtValues {
                minutes: minutes.value(row),
                known: values.known(row),
                sums: values.sums(row),
                coverage: versions.coverage(row),
            };
            self.restore_interval(
                &rows,
                id.value(row),
                rows.quarter(end.value(row))?,
                versions.published(row, digest(&values)),
            )?;
        }
        Ok(())
    }

    /// Puts back what was published of feeder balances.
    pub(crate) fn restore_feeder_balance(&mut self, batch: &RecordBatch) -> Result<(), RestoreError> {
        let rows = Rows::of(&table::FEEDER_BALANCE, batch);
        let (id, end, minutes) = (
            rows.text("feeder_id")?,
            rows.time("interval_end")?,
            rows.whole("interval_minutes")?,
        );
        let values = Figures::of(&rows, &FEEDER_KNOWN, &FEEDER_SUMS)?;
        let versions = Versions::of(&rows)?;
        for row in 0..batch.num_rows() {
            let values = FeederValues {
                minutes: minutes.value(row),
                known: values.known(row),
                sums: values.sums(row),
                coverage: versions.coverage(row),
            };
            self.restore_interval(
                &rows,
                id.value(row),
                rows.quarter(end.value(row))?,
                versions.published(row, digest(&values)),
            )?;
        }
        Ok(())
    }

    fn restore_interval(
        &mut self,
        rows: &Rows<'_>,
        id: &str,
        quarter: Quarter,
        row: Published,
    ) -> Result<(), RestoreError> {
        // Balances may be a checkpoint ahead of the master data put back with them; a node that is not known yet will be after replay.
        let node = self.network.name_node(&rows.parse(id_column(rows.table), id)?);
        let entry = self
            .published
            .entry(node)
            .or_default()
            .entry(quarter)
            .or_default();
        if row.version > entry.version {
            *entry = row;
        }
        // Whether it is still a balance shows once everything is computed.
        self.withdrawn.insert((node, quarter));
        Ok(())
    }

    /// Puts back what was published of daily roll-ups.
    pub(crate) fn restore_days(&mut self, batch: &RecordBatch) -> Result<(), RestoreError> {
        let rows = Rows::of(&table::NODE_BALANCE_DAILY, batch);
        let (id, day) = (rows.text("node_id")?, rows.day("day")?);
        let values = Figures::of(&rows, &DAY_LOSSES, &DAY_SUMS)?;
        let versions = Versions::of(&rows)?;
        for row in 0..batch.num_rows() {
            let values = DayValues {
                sums: values.sums(row),
                losses: values.known(row),
                coverage: versions.coverage(row),
            };
            let published = versions.published(row, digest(&values));
            let node = self.network.name_node(&rows.parse("node_id", id.value(row))?);
            let key = (node, Day(day.value(row)));
            let entry = self.days_published.entry(key).or_default();
            if published.version > entry.version {
                *entry = published;
            }
            self.unpublished_days.insert(key);
        }
        Ok(())
    }
}

fn id_column(table: &'static str) -> &'static str {
    if table == table::DT_BALANCE.name {
        "dt_id"
    } else {
        "feeder_id"
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

impl Rows<'_> {
    fn small(&self, column: &'static str) -> Result<Float32Array, RestoreError> {
        Ok(self.column(column, &DataType::Float32)?.as_primitive().clone())
    }
}

/// When and from whom a master row was recorded.
struct Recorded {
    at: TimestampMicrosecondArray,
    source: StringArray,
}

impl Recorded {
    fn of(rows: &Rows<'_>) -> Result<Self, RestoreError> {
        Ok(Self {
            at: rows.time("recorded_at")?,
            source: rows.text("source")?,
        })
    }
}

/// The value columns of a balance table.
struct Figures {
    known: Vec<Int64Array>,
    sums: Vec<Int64Array>,
}

impl Figures {
    fn of(rows: &Rows<'_>, known: &[&'static str], sums: &[&'static str]) -> Result<Self, RestoreError> {
        let columns = |names: &[&'static str]| {
            names
                .iter()
                .map(|name| rows.whole(name))
                .collect::<Result<_, _>>()
        };
        Ok(Self {
            known: columns(known)?,
            sums: columns(sums)?,
        })
    }

    fn known<const N: usize>(&self, row: usize) -> [Option<i64>; N] {
        std::array::from_fn(|at| {
            self.known
                .get(at)
                .and_then(|column| known(column, row, |row| column.value(row)))
        })
    }

    fn sums<const N: usize>(&self, row: usize) -> [i64; N] {
        let value = |column: &Int64Array| known(column, row, |row| column.value(row));
        std::array::from_fn(|at| self.sums.get(at).and_then(value).unwrap_or(0))
    }
}

/// The columns of a balance table that say how far a row has come.
struct Versions {
    version: Int64Array,
    status: StringArray,
    published_at: TimestampMicrosecondArray,
    expected: Int64Array,
    reported: Int64Array,
    estimated: Int64Array,
}

impl Versions {
    fn of(rows: &Rows<'_>) -> Result<Self, RestoreError> {
        Ok(Self {
            version: rows.whole("version")?,
            status: rows.text("status")?,
            published_at: rows.time("published_at")?,
            expected: rows.whole("meters_expected")?,
            reported: rows.whole("meters_reported")?,
            estimated: rows.whole("meters_estimated")?,
        })
    }

    fn coverage(&self, row: usize) -> Coverage {
        let count = |column: &Int64Array| known(column, row, |row| column.value(row)).unwrap_or(0);
        Coverage {
            expected: count(&self.expected),
            reported: count(&self.reported),
            estimated: count(&self.estimated),
        }
    }

    fn published(&self, row: usize, digest: u64) -> Published {
        let stage = Stage::parse(self.status.value(row));
        Published {
            version: self.version.value(row),
            digest: if stage == Stage::Withdrawn { 0 } else { digest },
            stage,
            at: UtcMicros(self.published_at.value(row)),
        }
    }
}
