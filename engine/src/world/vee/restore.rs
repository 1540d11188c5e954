//! Back from the tables: estimates and exceptions as they were last published, whatever record they were published after.

use arrow::array::{Int64Array, RecordBatch};
use gridtally_schemas::{UtcMicros, table};

use super::{Measured, PublishedException};
use crate::{
    network::MeterIx,
    outbox::REPORTED_MISSING,
    state::Quality,
    vee::{Estimate, Method, Rule},
    world::{
        World,
        restore::{
            RestoreError,
            columns::{Rows, known},
        },
    },
};

impl World {
    /// Puts back the estimates among rows of `interval_reads`, in any order.
    pub(crate) fn restore_estimates(&mut self, batch: &RecordBatch) -> Result<(), RestoreError> {
        let rows = Rows::of(&table::INTERVAL_READS, batch);
        let quality = rows.text("quality")?;
        let is_derived = |row: &usize| {
            [Quality::Estimated, Quality::Missing]
                .iter()
                .any(|derived| derived.as_str() == quality.value(*row))
        };
        let derived: Vec<usize> = (0..batch.num_rows()).filter(is_derived).collect();
        if derived.is_empty() {
            return Ok(());
        }
        let (id, end, version) = (
            rows.text("meter_id")?,
            rows.time("interval_end")?,
            rows.whole("version")?,
        );
        let (import, export) = (rows.whole("import_wh")?, rows.whole("export_wh")?);
        let (method, inputs) = (rows.text("method")?, rows.text("reason")?);
        for row in derived {
            let meter = self.named_meter(&rows, id.value(row))?;
            let quarter = rows.quarter(end.value(row))?;
            let energy = |column: &Int64Array| u32::try_from(column.value(row)).unwrap_or(0);
            let estimate = if quality.value(row) == Quality::Estimated.as_str() {
                Some(Estimate {
                    quarter,
                    import_wh: energy(&import),
                    export_wh: known(&export, row, |_| energy(&export)),
                    method: Method::parse(method.value(row))
                        .ok_or_else(|| rows.bad("method", &method.value(row)))?,
                    inputs: inputs.value(row).into(),
                })
            } else {
                None
            };
            self.restore_estimate(meter, quarter, version.value(row), estimate);
        }
        Ok(())
    }

    /// Puts back the exceptions that soft rules raised among rows of `vee_exceptions`, in any order.
    pub(crate) fn restore_exceptions(&mut self, batch: &RecordBatch) -> Result<(), RestoreError> {
        let rows = Rows::of(&table::VEE_EXCEPTIONS, batch);
        let (id, end, rule) = (
            rows.text("meter_id")?,
            rows.time("interval_end")?,
            rows.text("rule")?,
        );
        let (value, detail) = (rows.number("value")?, rows.text("detail")?);
        let (at, resolved, version) = (
            rows.time("at")?,
            rows.time("resolved_at")?,
            rows.whole("version")?,
        );
        for row in 0..batch.num_rows() {
            if rule.value(row) == REPORTED_MISSING {
                continue;
            }
            // A rule that this version does not have any more is left as it stands.
            let Some(rule) = Rule::parse(rule.value(row)) else {
                continue;
            };
            let meter = self.named_meter(&rows, id.value(row))?;
            let quarter = rows.quarter(end.value(row))?;
            let published = PublishedException {
                version: version.value(row),
                measured: Measured {
                    value: known(&value, row, |row| value.value(row)),
                    detail: detail.value(row).to_owned(),
                },
                at: UtcMicros(at.value(row)),
                is_open: known(&resolved, row, |_| ()).is_none(),
            };
            self.restore_exception(meter, (quarter, rule), published);
        }
        Ok(())
    }

    /// These rows may be a checkpoint ahead of the master data put back with them; a meter that is not known yet will be after replay.
    fn named_meter(&mut self, rows: &Rows<'_>, id: &str) -> Result<MeterIx, RestoreError> {
        Ok(self.network.name_meter(&rows.parse("meter_id", id)?))
    }
}
