//! Rows of what people said, on their way to the tables: planned outages, hours of supply, causes.

use std::sync::Arc;

use arrow::{array::BooleanArray, array::RecordBatch, error::ArrowError};
use gridtally_ingest::log::Position;
use gridtally_schemas::{
    outage::{Cause, PlanRows, PlannedOutageRow, SupplyHoursRow},
    table::{self, TableSchema},
};

use crate::outbox::{Columns, Origin, Stamp, recorded};

/// One row of a plan.
#[derive(Debug, Clone)]
pub(crate) enum PlanRow {
    Planned(Box<PlannedOutageRow>),
    Hours(Box<SupplyHoursRow>),
}

impl PlanRow {
    pub(super) fn split(rows: PlanRows) -> Vec<Self> {
        match rows {
            PlanRows::PlannedOutages(rows) => {
                rows.into_iter().map(|row| Self::Planned(Box::new(row))).collect()
            }
            PlanRows::SupplyHours(rows) => rows.into_iter().map(|row| Self::Hours(Box::new(row))).collect(),
        }
    }
}

/// Rows gathered since the last checkpoint.
#[derive(Debug, Default)]
pub(crate) struct OutageRows {
    pub(super) plan: Vec<(PlanRow, Origin)>,
    pub(super) causes: Vec<(Cause, Origin)>,
}

impl OutageRows {
    /// Number of rows.
    pub(crate) fn len(&self) -> usize {
        self.plan.len() + self.causes.len()
    }

    /// Drops the rows that a table has already.
    pub(crate) fn drop_written(&mut self, written: impl Fn(&TableSchema) -> Position) {
        let (planned, hours) = (written(&table::PLANNED_OUTAGES), written(&table::SUPPLY_HOURS));
        let causes = written(&table::OUTAGE_CAUSES);
        self.plan.retain(|(row, origin)| match row {
            PlanRow::Planned(_) => origin.position > planned,
            PlanRow::Hours(_) => origin.position > hours,
        });
        self.causes.retain(|(_, origin)| origin.position > causes);
    }

    /// The batches to commit.
    pub(crate) fn batches(
        &self,
        stamp: Stamp<'_>,
    ) -> Result<Vec<(&'static TableSchema, RecordBatch)>, ArrowError> {
        let mut planned: Vec<(&PlannedOutageRow, &Origin)> = Vec::new();
        let mut hours: Vec<(&SupplyHoursRow, &Origin)> = Vec::new();
        for (row, origin) in &self.plan {
            match row {
                PlanRow::Planned(row) => planned.push((row, origin)),
                PlanRow::Hours(row) => hours.push((row, origin)),
            }
        }
        let mut batches = Vec::new();
        if !planned.is_empty() {
            batches.push((&table::PLANNED_OUTAGES, planned_batch(&planned, stamp)?));
        }
        if !hours.is_empty() {
            batches.push((&table::SUPPLY_HOURS, hours_batch(&hours, stamp)?));
        }
        if !self.causes.is_empty() {
            batches.push((&table::OUTAGE_CAUSES, causes_batch(&self.causes, stamp)?));
        }
        Ok(batches)
    }
}

fn planned_batch(rows: &[(&PlannedOutageRow, &Origin)], stamp: Stamp<'_>) -> Result<RecordBatch, ArrowError> {
    let each = || rows.iter().map(|(row, _)| *row);
    let columns = Columns::new(&table::PLANNED_OUTAGES, rows.len())
        .text("node_id", each().map(|row| Some(row.node_id.as_str())))
        .time("start", each().map(|row| Some(row.start)))
        .time("end", each().map(|row| Some(row.end)))
        .text("class", each().map(|row| Some(row.class.as_str())))
        .text("reason", each().map(|row| row.reason.as_deref()))
        .time("notice_at", each().map(|row| row.notice_at));
    recorded(columns, rows, stamp).finish()
}

fn hours_batch(rows: &[(&SupplyHoursRow, &Origin)], stamp: Stamp<'_>) -> Result<RecordBatch, ArrowError> {
    let each = || rows.iter().map(|(row, _)| *row);
    let columns = Columns::new(&table::SUPPLY_HOURS, rows.len())
        .text(
            "node_id",
            each().map(|row| row.node_id.as_ref().map(|id| id.as_str())),
        )
        .text("category", each().map(|row| row.category.as_deref()))
        .text("weekdays", each().map(|row| Some(row.weekdays.to_string())))
        .text("from", each().map(|row| Some(row.from.to_string())))
        .text("to", each().map(|row| Some(row.to.to_string())))
        .time("valid_from", each().map(|row| Some(row.valid_from)))
        .time("valid_to", each().map(|row| row.valid_to));
    recorded(columns, rows, stamp).finish()
}

fn causes_batch(rows: &[(Cause, Origin)], stamp: Stamp<'_>) -> Result<RecordBatch, ArrowError> {
    let rows: Vec<(&Cause, &Origin)> = rows.iter().map(|(row, origin)| (row, origin)).collect();
    let each = || rows.iter().map(|(row, _)| *row);
    let force_majeure: BooleanArray = each().map(|row| row.force_majeure).collect();
    let columns = Columns::new(&table::OUTAGE_CAUSES, rows.len())
        .text("outage_id", each().map(|row| Some(row.outage_id.as_str())))
        .text("node_id", each().map(|row| Some(row.node_id.as_str())))
        .time("started_at", each().map(|row| Some(row.started_at)))
        .text("person", each().map(|row| Some(row.person.as_str())))
        .text("cause", each().map(|row| row.cause.as_deref()))
        .text("fault_type", each().map(|row| row.fault_type.as_deref()))
        .set("force_majeure", Arc::new(force_majeure))
        .time("etr", each().map(|row| row.etr));
    recorded(columns, &rows, stamp).finish()
}
