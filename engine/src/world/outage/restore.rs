//! Back from the tables: plans and causes as they were said, outages and interruptions as they were last published.

use std::sync::Arc;

use arrow::{
    array::{AsArray, BooleanArray, RecordBatch},
    datatypes::DataType,
};
use gridtally_ingest::log::Position;
use gridtally_schemas::{
    ConsumerId, Day, UtcMicros,
    outage::{Cause, PlannedOutageRow, SupplyHoursRow},
    table,
};

use super::{
    World,
    outbox::PlanRow,
    rows::{InterruptionValues, OutageValues, OutageVersion, PublishedInterruption},
};
use crate::{
    outage::OutageId,
    outbox::Origin,
    world::restore::{
        RestoreError,
        columns::{Recorded, Rows, known},
    },
};

fn flags(rows: &Rows<'_>, column: &'static str) -> Result<BooleanArray, RestoreError> {
    Ok(rows.column(column, &DataType::Boolean)?.as_boolean().clone())
}

impl World {
    /// Puts back rows of `planned_outages`, after the network.
    pub(crate) fn restore_planned_outages(
        &mut self,
        batch: &RecordBatch,
        as_of: Position,
    ) -> Result<(), RestoreError> {
        let rows = Rows::of(&table::PLANNED_OUTAGES, batch);
        let (node, class, reason) = (rows.text("node_id")?, rows.text("class")?, rows.text("reason")?);
        let (start, end, notice) = (rows.time("start")?, rows.time("end")?, rows.time("notice_at")?);
        let recorded = Recorded::of(&rows)?;
        for (row, position) in rows.emitted(as_of)? {
            let planned = PlannedOutageRow {
                node_id: rows.parse("node_id", node.value(row))?,
                start: UtcMicros(start.value(row)),
                end: UtcMicros(end.value(row)),
                class: rows.parse("class", class.value(row))?,
                reason: known(&reason, row, |row| reason.value(row).to_owned()),
                notice_at: known(&notice, row, |row| UtcMicros(notice.value(row))),
            };
            let origin = origin_of(&recorded, row, position);
            self.merge_plan(&origin, &PlanRow::Planned(Box::new(planned)));
        }
        Ok(())
    }

    /// Puts back rows of `supply_hours`.
    pub(crate) fn restore_supply_hours(
        &mut self,
        batch: &RecordBatch,
        as_of: Position,
    ) -> Result<(), RestoreError> {
        let rows = Rows::of(&table::SUPPLY_HOURS, batch);
        let (node, category) = (rows.text("node_id")?, rows.text("category")?);
        let (weekdays, from, to) = (rows.text("weekdays")?, rows.text("from")?, rows.text("to")?);
        let (valid_from, valid_to) = (rows.time("valid_from")?, rows.time("valid_to")?);
        let recorded = Recorded::of(&rows)?;
        for (row, position) in rows.emitted(as_of)? {
            let node = known(&node, row, |row| node.value(row));
            let hours = SupplyHoursRow {
                node_id: node.map(|id| rows.parse("node_id", id)).transpose()?,
                category: known(&category, row, |row| category.value(row).to_owned()),
                weekdays: rows.parse("weekdays", weekdays.value(row))?,
                from: rows.parse("from", from.value(row))?,
                to: rows.parse("to", to.value(row))?,
                valid_from: UtcMicros(valid_from.value(row)),
                valid_to: known(&valid_to, row, |row| UtcMicros(valid_to.value(row))),
            };
            let origin = origin_of(&recorded, row, position);
            self.merge_plan(&origin, &PlanRow::Hours(Box::new(hours)));
        }
        Ok(())
    }

    /// Puts back rows of `outage_causes`.
    pub(crate) fn restore_causes(
        &mut self,
        batch: &RecordBatch,
        as_of: Position,
    ) -> Result<(), RestoreError> {
        let rows = Rows::of(&table::OUTAGE_CAUSES, batch);
        let (outage, node, person) = (
            rows.text("outage_id")?,
            rows.text("node_id")?,
            rows.text("person")?,
        );
        let (cause, fault_type) = (rows.text("cause")?, rows.text("fault_type")?);
        let (started, etr) = (rows.time("started_at")?, rows.time("etr")?);
        let force_majeure = flags(&rows, "force_majeure")?;
        let recorded = Recorded::of(&rows)?;
        for (row, position) in rows.emitted(as_of)? {
            let said = Cause {
                outage_id: outage.value(row).to_owned(),
                node_id: rows.parse("node_id", node.value(row))?,
                started_at: UtcMicros(started.value(row)),
                person: person.value(row).to_owned(),
                cause: known(&cause, row, |row| cause.value(row).to_owned()),
                fault_type: known(&fault_type, row, |row| fault_type.value(row).to_owned()),
                force_majeure: known(&force_majeure, row, |row| force_majeure.value(row)),
                etr: known(&etr, row, |row| UtcMicros(etr.value(row))),
            };
            self.merge_cause(&origin_of(&recorded, row, position), &said);
        }
        Ok(())
    }

    /// Puts back what was published of outages.
    pub(crate) fn restore_outages(&mut self, batch: &RecordBatch) -> Result<(), RestoreError> {
        for version in outage_versions(batch)? {
            self.outage.ledger.restore_outage(version);
        }
        Ok(())
    }

    /// Puts back what was published of interruptions.
    pub(crate) fn restore_interruptions(&mut self, batch: &RecordBatch) -> Result<(), RestoreError> {
        let rows = Rows::of(&table::INTERRUPTIONS, batch);
        let (consumer, outage) = (rows.text("consumer_id")?, rows.text("outage_id")?);
        let (class, excluded, evidence) = (
            rows.text("class")?,
            rows.text("excluded_because")?,
            rows.text("evidence")?,
        );
        let (started, ended, minutes) = (
            rows.time("started_at")?,
            rows.time("ended_at")?,
            rows.number("minutes")?,
        );
        let sustained = flags(&rows, "sustained")?;
        let version = rows.whole("version")?;
        for row in 0..batch.num_rows() {
            let values = InterruptionValues {
                outage_id: outage.value(row).to_owned(),
                ended_at: known(&ended, row, |row| ended.value(row)),
                minutes: known(&minutes, row, |row| minutes.value(row).to_bits()),
                sustained: known(&sustained, row, |row| sustained.value(row)),
                class: class.value(row).to_owned(),
                excluded_because: known(&excluded, row, |row| excluded.value(row).to_owned()),
                evidence: evidence.value(row).to_owned(),
            };
            let consumer: ConsumerId = rows.parse("consumer_id", consumer.value(row))?;
            let key = (consumer, UtcMicros(started.value(row)));
            let published = PublishedInterruption::of(version.value(row), &values);
            self.outage.ledger.restore_interruption(key, published);
        }
        Ok(())
    }
}

/// The rows of `outages` in a batch.
pub(crate) fn outage_versions(batch: &RecordBatch) -> Result<Vec<OutageVersion>, RestoreError> {
    let rows = Rows::of(&table::OUTAGES, batch);
    let (id, node, scope) = (
        rows.text("outage_id")?,
        rows.text("node_id")?,
        rows.text("scope")?,
    );
    let (class, status, evidence) = (rows.text("class")?, rows.text("status")?, rows.text("evidence")?);
    let (cause, fault_type, reason) = (
        rows.text("cause")?,
        rows.text("fault_type")?,
        rows.text("reason")?,
    );
    let force_majeure = flags(&rows, "force_majeure")?;
    let (started, ended, etr) = (
        rows.time("started_at")?,
        rows.time("ended_at")?,
        rows.time("etr")?,
    );
    let (basis, past) = (rows.text("etr_basis")?, rows.whole("etr_outages")?);
    let (affected, version) = (rows.whole("consumers_affected")?, rows.whole("version")?);
    let (sequence, published) = (rows.whole("sequence")?, rows.time("published_at")?);
    let month = rows.day("month")?;
    let of_row = |row: usize| OutageVersion {
        id: OutageId::from(id.value(row).to_owned()),
        version: version.value(row),
        sequence: sequence.value(row),
        published_at: UtcMicros(published.value(row)),
        reason: known(&reason, row, |row| reason.value(row).to_owned()),
        month: Day(month.value(row)),
        values: OutageValues {
            node_id: node.value(row).to_owned(),
            scope: scope.value(row).to_owned(),
            class: class.value(row).to_owned(),
            status: status.value(row).to_owned(),
            cause: known(&cause, row, |row| cause.value(row).to_owned()),
            fault_type: known(&fault_type, row, |row| fault_type.value(row).to_owned()),
            force_majeure: force_majeure.value(row),
            started_at: UtcMicros(started.value(row)),
            ended_at: known(&ended, row, |row| UtcMicros(ended.value(row))),
            etr: known(&etr, row, |row| UtcMicros(etr.value(row))),
            etr_basis: known(&basis, row, |row| basis.value(row).to_owned()),
            etr_outages: known(&past, row, |row| past.value(row)),
            consumers_affected: affected.value(row),
            evidence: evidence.value(row).to_owned(),
        },
    };
    Ok((0..batch.num_rows()).map(of_row).collect())
}

fn origin_of(recorded: &Recorded, row: usize, position: Position) -> Origin {
    Origin {
        position,
        received_at: UtcMicros(recorded.at.value(row)),
        source: Arc::from(recorded.source.value(row)),
    }
}
