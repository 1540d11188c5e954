//! What meters said: reads, registers, events, and reads that their source reported as missing.

use arrow::array::{Int64Array, RecordBatch};
use gridtally_ingest::log::Position;
use gridtally_schemas::{PowerEvent, UtcMicros, table};

use super::{
    RestoreError,
    columns::{Rows, known},
};
use crate::{
    network::MeterIx,
    state::{Feeders, Quality, Quarter, Said, State, Value},
    world::{MissingReport, World},
};

impl World {
    /// Puts back rows of `interval_reads`, in any order. Master data comes first.
    pub(crate) fn restore_reads(&mut self, batch: &RecordBatch, as_of: Position) -> Result<(), RestoreError> {
        self.put_back_reads(batch, as_of, State::restore)
    }

    pub(in crate::world) fn put_back_reads(
        &mut self,
        batch: &RecordBatch,
        as_of: Position,
        put: fn(&mut State, MeterIx, Feeders, Quarter, Said<'_>),
    ) -> Result<(), RestoreError> {
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
        let received = rows.time("received_at")?;
        let mut last = None;
        for (row, _) in rows.emitted(as_of)? {
            let quality =
                Quality::parse(quality.value(row)).ok_or_else(|| rows.bad("quality", &quality.value(row)))?;
            if quality <= Quality::Estimated {
                continue; // Derived: see `restore_estimates`.
            }
            let meter = self.meter_of(&rows, id.value(row), &mut last)?;
            let energy =
                |column: &Int64Array| known(column, row, |row| u32::try_from(column.value(row)).unwrap_or(0));
            let value = Value {
                quality,
                revision: i32::try_from(revision.value(row))
                    .map_err(|_| rows.bad("revision", &revision.value(row)))?,
                captured_at: known(&captured, row, |row| UtcMicros(captured.value(row))),
                import_wh: energy(&import).unwrap_or(0),
                export_wh: energy(&export),
                import_vah: energy(&vah),
                voltage_v: known(&volts, row, |row| volts.value(row)),
                current_a: known(&amperes, row, |row| amperes.value(row)),
            };
            self.outage
                .note_restored(&self.settings.outage_rules, meter, &value);
            let feeders = self.feeders_for_home(meter);
            let quarter = rows.quarter(end.value(row))?;
            let arrival = self.arrival(quarter, UtcMicros(received.value(row)));
            let said = (version.value(row), &value, arrival);
            put(&mut self.state, meter, feeders, quarter, said);
            if self.is_voltage_watched() {
                let stands = self.state.own_value(meter, quarter);
                self.note_voltage(meter, quarter, stands.and_then(|value| value.voltage_v));
            }
        }
        Ok(())
    }

    /// Rows of one meter come in runs, and of its neighbours behind it: the last look-up is kept.
    fn meter_of(
        &self,
        rows: &Rows<'_>,
        id: &str,
        last: &mut Option<MeterIx>,
    ) -> Result<MeterIx, RestoreError> {
        let near = last.unwrap_or(MeterIx(0));
        let is_near = self.network.meter(near).is_some_and(|meter| meter.id() == id);
        let found = if is_near {
            Some(near)
        } else {
            self.network.find_meter_near(near, id)
        };
        let meter = found.ok_or_else(|| rows.bad("meter_id", &id))?;
        *last = Some(meter);
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
        self.compare_meanings(batch)?;
        let rows = Rows::of(&table::METER_EVENTS, batch);
        let (id, at) = (rows.text("meter_id")?, rows.time("at")?);
        let (code, sequence) = (rows.whole("code")?, rows.whole("sequence")?);
        let mut last = None;
        for (row, _) in rows.emitted(as_of)? {
            let meter = self.meter_of(&rows, id.value(row), &mut last)?;
            let code = i32::try_from(code.value(row)).map_err(|_| rows.bad("code", &code.value(row)))?;
            let sequence = known(&sequence, row, |row| sequence.value(row));
            let event = PowerEvent {
                at: UtcMicros(at.value(row)),
                code,
                sequence,
            };
            self.outage.hear(&self.settings.event_map, meter, &event);
            self.events.insert((meter, event));
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
}
