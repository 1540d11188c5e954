//! Master data from its tables.

use std::sync::Arc;

use arrow::array::{Float64Array, RecordBatch, StringArray};
use gridtally_ingest::log::Position;
use gridtally_schemas::{
    Multiplier, NodeId, UtcMicros,
    network::{ConnectionRow, MasterRows, MeterRow, NodeRow},
    table,
};

use super::{
    RestoreError,
    columns::{Recorded, Rows, known},
};
use crate::{network::Touched, world::World};

impl World {
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
        let mut run = Run::new(MasterRows::Nodes);
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
            self.restore_master(&mut run, recorded.word(row), node);
        }
        self.merge_run(&mut run);
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
        let mut run = Run::new(MasterRows::Meters);
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
            self.restore_master(&mut run, recorded.word(row), meter);
        }
        self.merge_run(&mut run);
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
        let mut run = Run::new(MasterRows::Connections);
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
            self.restore_master(&mut run, recorded.word(row), connection);
        }
        self.merge_run(&mut run);
        Ok(())
    }

    /// Adds a row to its run, and merges the run before it where this row begins one.
    fn restore_master<R>(&mut self, run: &mut Run<R>, (at, source): (UtcMicros, &str), row: R) {
        if run.at != at || run.source.as_ref() != source {
            self.merge_run(run);
            (run.at, run.source) = (at, Arc::from(source));
        }
        run.rows.push(row);
    }

    fn merge_run<R>(&mut self, run: &mut Run<R>) {
        let rows = (run.of)(std::mem::take(&mut run.rows));
        let touched: Touched = self.network.merge(run.at, &run.source, rows);
        self.touch(&touched);
    }
}

/// Rows that were recorded together: what they touch is touched once for all of them.
struct Run<R> {
    at: UtcMicros,
    source: Arc<str>,
    rows: Vec<R>,
    of: fn(Vec<R>) -> MasterRows,
}

impl<R> Run<R> {
    fn new(of: fn(Vec<R>) -> MasterRows) -> Self {
        Self {
            at: UtcMicros(i64::MIN),
            source: Arc::from(""),
            rows: Vec::new(),
            of,
        }
    }
}
