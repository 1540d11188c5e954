//! Rows of `feeder_managers` and `feeder_actions`, to the tables and back.

use std::sync::Arc;

use arrow::{
    array::{Date32Array, RecordBatch},
    error::ArrowError,
};
use gridtally_ingest::log::Position;
use gridtally_schemas::{
    Day, UtcMicros,
    accountability::{FeederAction, FeederManagerRow},
    table::{self, TableSchema},
};

use crate::{
    outbox::{Columns, Origin, Stamp, recorded},
    world::{
        World,
        restore::{
            RestoreError,
            columns::{Recorded, Rows, known},
        },
    },
};

/// What was said since the last checkpoint.
#[derive(Debug, Default)]
pub(crate) struct AccountabilityRows {
    pub(super) managers: Vec<(FeederManagerRow, Origin)>,
    pub(super) actions: Vec<(FeederAction, Origin)>,
}

impl AccountabilityRows {
    /// Number of rows.
    pub(crate) fn len(&self) -> usize {
        self.managers.len() + self.actions.len()
    }

    /// Drops the rows that a table has already.
    pub(crate) fn drop_written(&mut self, written: impl Fn(&TableSchema) -> Position) {
        let managers = written(&table::FEEDER_MANAGERS);
        self.managers.retain(|(_, origin)| origin.position > managers);
        let actions = written(&table::FEEDER_ACTIONS);
        self.actions.retain(|(_, origin)| origin.position > actions);
    }

    /// The batches to commit.
    pub(crate) fn batches(
        &self,
        stamp: Stamp<'_>,
    ) -> Result<Vec<(&'static TableSchema, RecordBatch)>, ArrowError> {
        let mut batches = Vec::new();
        if !self.managers.is_empty() {
            batches.push((&table::FEEDER_MANAGERS, self.managers_batch(stamp)?));
        }
        if !self.actions.is_empty() {
            batches.push((&table::FEEDER_ACTIONS, self.actions_batch(stamp)?));
        }
        Ok(batches)
    }

    fn managers_batch(&self, stamp: Stamp<'_>) -> Result<RecordBatch, ArrowError> {
        let rows: Vec<(&FeederManagerRow, &Origin)> =
            self.managers.iter().map(|(row, origin)| (row, origin)).collect();
        let each = || rows.iter().map(|(row, _)| *row);
        let columns = Columns::new(&table::FEEDER_MANAGERS, rows.len())
            .text("feeder_id", each().map(|row| Some(row.feeder_id.as_str())))
            .text("manager", each().map(|row| Some(row.manager.as_str())))
            .text("contact", each().map(|row| row.contact.as_deref()))
            .time("valid_from", each().map(|row| Some(row.valid_from)))
            .time("valid_to", each().map(|row| row.valid_to));
        recorded(columns, &rows, stamp).finish()
    }

    fn actions_batch(&self, stamp: Stamp<'_>) -> Result<RecordBatch, ArrowError> {
        let rows: Vec<(&FeederAction, &Origin)> =
            self.actions.iter().map(|(row, origin)| (row, origin)).collect();
        let each = || rows.iter().map(|(row, _)| *row);
        let days = |of: fn(&FeederAction) -> Option<Day>| {
            let days: Date32Array = each().map(|row| of(row).map(|day| day.0)).collect();
            Arc::new(days)
        };
        let columns = Columns::new(&table::FEEDER_ACTIONS, rows.len())
            .text("action_id", each().map(|row| Some(row.action_id.as_str())))
            .text("feeder_id", each().map(|row| Some(row.feeder_id.as_str())))
            .day("month", each().map(|row| row.month))
            .text("person", each().map(|row| Some(row.person.as_str())))
            .text("cause", each().map(|row| Some(row.cause.as_str())))
            .text("mitigation", each().map(|row| row.mitigation.as_deref()))
            .set("starts_on", days(|row| row.starts_on))
            .set("due_on", days(|row| row.due_on))
            .set("done_on", days(|row| row.done_on))
            .text("status", each().map(|row| Some(row.status.as_str())));
        recorded(columns, &rows, stamp).finish()
    }
}

fn origin(recorded: &Recorded, row: usize, position: Position) -> Origin {
    Origin {
        position,
        received_at: UtcMicros(recorded.at.value(row)),
        source: Arc::from(recorded.source.value(row)),
    }
}

impl World {
    /// Puts back rows of `feeder_managers`, in any order.
    pub(crate) fn restore_managers(
        &mut self,
        batch: &RecordBatch,
        as_of: Position,
    ) -> Result<(), RestoreError> {
        let rows = Rows::of(&table::FEEDER_MANAGERS, batch);
        let (feeder, manager) = (rows.text("feeder_id")?, rows.text("manager")?);
        let contact = rows.text("contact")?;
        let (from, to) = (rows.time("valid_from")?, rows.time("valid_to")?);
        let recorded = Recorded::of(&rows)?;
        for (row, position) in rows.emitted(as_of)? {
            let said = FeederManagerRow {
                feeder_id: rows.parse("feeder_id", feeder.value(row))?,
                manager: manager.value(row).to_owned(),
                contact: known(&contact, row, |row| contact.value(row).to_owned()),
                valid_from: UtcMicros(from.value(row)),
                valid_to: known(&to, row, |row| UtcMicros(to.value(row))),
            };
            self.accountability
                .merge_manager(&origin(&recorded, row, position), &said);
        }
        Ok(())
    }

    /// Puts back rows of `feeder_actions`, in any order.
    pub(crate) fn restore_actions(
        &mut self,
        batch: &RecordBatch,
        as_of: Position,
    ) -> Result<(), RestoreError> {
        let rows = Rows::of(&table::FEEDER_ACTIONS, batch);
        let (id, feeder) = (rows.text("action_id")?, rows.text("feeder_id")?);
        let (person, cause) = (rows.text("person")?, rows.text("cause")?);
        let (mitigation, status) = (rows.text("mitigation")?, rows.text("status")?);
        let [month, starts, due, done] = [
            rows.day("month")?,
            rows.day("starts_on")?,
            rows.day("due_on")?,
            rows.day("done_on")?,
        ];
        let recorded = Recorded::of(&rows)?;
        for (row, position) in rows.emitted(as_of)? {
            let day = |column: &Date32Array| known(column, row, |row| Day(column.value(row)));
            let said = FeederAction {
                action_id: id.value(row).to_owned(),
                feeder_id: rows.parse("feeder_id", feeder.value(row))?,
                month: Day(month.value(row)),
                person: person.value(row).to_owned(),
                cause: cause.value(row).to_owned(),
                mitigation: known(&mitigation, row, |row| mitigation.value(row).to_owned()),
                starts_on: day(&starts),
                due_on: day(&due),
                done_on: day(&done),
                status: rows.parse("status", status.value(row))?,
            };
            self.accountability
                .merge_action(&origin(&recorded, row, position), &said);
        }
        Ok(())
    }
}
