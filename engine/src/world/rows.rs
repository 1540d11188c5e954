//! The rows of a checkpoint as Arrow batches of their tables.

use arrow::{array::RecordBatch, error::ArrowError};
use gridtally_schemas::{table, table::TableSchema};

use super::{
    accounting, billing, completeness,
    publish::{DtValues, Due, FeederValues, IntervalValues, Row, Version},
    revenue,
};
use crate::{
    balance::Coverage,
    outbox::{self, Columns, Parts, Stamp},
    state::Quarter,
};

/// A table and the rows for it.
pub(crate) type TableRows = (&'static TableSchema, RecordBatch);

/// A part of a checkpoint. Its rows are gone once they are batches, and its batches are written before those of the next are made: reads
/// and balances are millions of rows of some hundred bytes each, and were all in memory twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// `interval_reads`.
    Reads,
    /// What else meters said.
    Words,
    /// `dt_balance`.
    Dts,
    /// All other tables.
    Rest,
}

impl Part {
    /// In the order in which they are committed.
    pub(crate) const ALL: [Self; 4] = [Self::Reads, Self::Words, Self::Dts, Self::Rest];
}

/// Batches of tables that have rows.
#[derive(Default)]
struct Batches(Vec<TableRows>);

impl Batches {
    fn add(
        &mut self,
        rows: usize,
        table: &'static TableSchema,
        batch: impl FnOnce() -> Result<RecordBatch, ArrowError>,
    ) -> Result<(), ArrowError> {
        if rows > 0 {
            self.0.push((table, batch()?));
        }
        Ok(())
    }
}

impl Due {
    /// Takes the rows of a part as the batches to commit, table by table. Of what the log says only rows that their table does not hold
    /// yet.
    pub(crate) fn take_batches(
        &mut self,
        part: Part,
        stamp: Stamp<'_>,
    ) -> Result<Vec<TableRows>, ArrowError> {
        let mut batches = Batches::default();
        match part {
            Part::Reads => {
                let rows = std::mem::take(&mut self.outbox.reads);
                batches.add(rows.len(), &table::INTERVAL_READS, || {
                    outbox::reads_batch(&rows, &self.outbox.origins, &self.meter_ids, stamp)
                })?;
            }
            Part::Words => self.add_words(&mut batches, stamp)?,
            Part::Dts => {
                let rows = std::mem::take(&mut self.dts);
                batches.add(rows.len(), &table::DT_BALANCE, || dt_batch(&rows, stamp))?;
            }
            Part::Rest => self.add_rest(&mut batches, stamp)?,
        }
        Ok(batches.0)
    }

    fn add_words(&self, batches: &mut Batches, stamp: Stamp<'_>) -> Result<(), ArrowError> {
        let rows = &self.outbox;
        batches.add(rows.registers.len(), &table::REGISTER_READS, || {
            outbox::registers_batch(&rows.registers, stamp)
        })?;
        batches.add(rows.events.len(), &table::METER_EVENTS, || {
            outbox::events_batch(&rows.events, stamp)
        })?;
        batches.add(rows.vee.len(), &table::VEE_EXCEPTIONS, || {
            outbox::vee_batch(&rows.vee, stamp)
        })
    }

    fn add_rest(&self, batches: &mut Batches, stamp: Stamp<'_>) -> Result<(), ArrowError> {
        let rows = &self.outbox;
        batches.add(self.feeders.len(), &table::FEEDER_BALANCE, || {
            feeder_batch(&self.feeders, stamp)
        })?;
        batches.add(self.days.len(), &table::NODE_BALANCE_DAILY, || {
            self.day_batch(stamp)
        })?;
        batches.add(self.completeness.len(), &table::READ_COMPLETENESS, || {
            completeness::batch(&self.completeness, stamp)
        })?;
        batches.add(self.adjustments.len(), &table::BILLING_ADJUSTMENTS, || {
            billing::adjustments_batch(&self.adjustments, stamp)
        })?;
        batches.add(rows.billing.len(), &table::BILLING, || {
            billing::bills_batch(&rows.billing, stamp)
        })?;
        batches.add(rows.accounts.len(), &table::DISCOM_ACCOUNTS, || {
            revenue::accounts_batch(&rows.accounts, stamp)
        })?;
        batches.add(self.revenue.len(), &table::FEEDER_REVENUE_MONTHLY, || {
            revenue::batch(&self.revenue, stamp)
        })?;
        batches.add(self.accounting.len(), &table::ENERGY_ACCOUNTING_MONTHLY, || {
            accounting::batch(&self.accounting, stamp)
        })?;
        batches.add(rows.quarantine.len(), &table::QUARANTINE, || {
            outbox::quarantine_batch(&rows.quarantine, stamp)
        })?;
        batches.0.extend(outbox::master_batches(&rows.master, stamp)?);
        batches.0.extend(rows.outage.batches(stamp)?);
        batches.0.extend(rows.compensation.batches(stamp)?);
        batches.0.extend(rows.accountability.batches(stamp)?);
        batches.0.extend(self.outages.batches(stamp)?);
        batches.0.extend(self.entries.batch(stamp)?);
        batches.0.extend(self.indices.batch(stamp)?);
        Ok(())
    }

    /// The row of `checkpoints` that ends it.
    pub(crate) fn checkpoint(&self, stamp: Stamp<'_>) -> Result<RecordBatch, ArrowError> {
        let signed = |number: u64| i64::try_from(number).ok();
        let mut columns = Columns::new(&table::CHECKPOINTS, 1)
            .whole("position", [signed(self.position.0)].into_iter())
            .time("published_at", [Some(stamp.published_at)].into_iter())
            .whole("complete_position", [signed(self.complete.0)].into_iter())
            .whole("feeder_days_owed", [i64::try_from(self.owed).ok()].into_iter());
        for (name, count) in self.counts.named() {
            columns = columns.whole(name, [signed(count)].into_iter());
        }
        columns.finish()
    }

    /// Number of rows in it.
    pub(crate) fn rows(&self) -> usize {
        let balances = self.dts.len() + self.feeders.len() + self.days.len();
        let supply = self.outages.len() + self.indices.len() + self.entries.len();
        let reads = self.derived.len() + self.completeness.len() + self.adjustments.len();
        let money = self.revenue.len() + self.accounting.len();
        self.outbox.len() + balances + supply + reads + money
    }

    fn day_batch(&self, stamp: Stamp<'_>) -> Result<RecordBatch, ArrowError> {
        let rows = &self.days;
        let mut columns = Columns::new(&table::NODE_BALANCE_DAILY, rows.len())
            .text("node_id", rows.iter().map(|row| Some(row.id.as_str())))
            .day("day", rows.iter().map(|row| row.key))
            .text("kind", rows.iter().map(|row| Some(row.kind.as_str())))
            .number("loss_pct", rows.iter().map(|row| row.values.loss_pct()));
        for (at, name) in DAY_SUMS.into_iter().enumerate() {
            columns = columns.whole(name, rows.iter().map(move |row| row.values.sums.get(at).copied()));
        }
        for (at, name) in DAY_LOSSES.into_iter().enumerate() {
            columns = columns.whole(
                name,
                rows.iter()
                    .map(move |row| row.values.losses.get(at).copied().flatten()),
            );
        }
        covered(
            columns,
            &rows.iter().map(|row| (row.values.coverage, row.version)),
            stamp,
        )
        .finish()
    }
}

fn dt_batch(rows: &Parts<Row<Quarter, DtValues>>, stamp: Stamp<'_>) -> Result<RecordBatch, ArrowError> {
    let of = Columns::new(&table::DT_BALANCE, rows.len())
        .text("dt_id", rows.iter().map(|row| Some(row.id.as_str())))
        .number("loss_pct", rows.iter().map(|row| row.values.loss_pct()));
    interval_batch(of, rows, (DT_KNOWN, DT_SUMS), stamp)
}

fn feeder_batch(
    rows: &Parts<Row<Quarter, FeederValues>>,
    stamp: Stamp<'_>,
) -> Result<RecordBatch, ArrowError> {
    let of = Columns::new(&table::FEEDER_BALANCE, rows.len())
        .text("feeder_id", rows.iter().map(|row| Some(row.id.as_str())))
        .number("loss_pct", rows.iter().map(|row| row.values.loss_pct()));
    interval_batch(of, rows, (FEEDER_KNOWN, FEEDER_SUMS), stamp)
}

/// Rows of balances of intervals; `columns` has whose each is, and what is worked out of it.
fn interval_batch<const KNOWN: usize, const SUMS: usize>(
    mut columns: Columns,
    rows: &Parts<Row<Quarter, IntervalValues<KNOWN, SUMS>>>,
    (known, sums): ([&'static str; KNOWN], [&'static str; SUMS]),
    stamp: Stamp<'_>,
) -> Result<RecordBatch, ArrowError> {
    columns = columns.whole(
        "interval_minutes",
        rows.iter().map(|row| Some(row.values.minutes)),
    );
    for (at, name) in known.into_iter().enumerate() {
        let values = rows
            .iter()
            .map(move |row| row.values.known.get(at).copied().flatten());
        columns = columns.whole(name, values);
    }
    for (at, name) in sums.into_iter().enumerate() {
        columns = columns.whole(name, rows.iter().map(move |row| row.values.sums.get(at).copied()));
    }
    of_interval(
        columns,
        rows.iter().map(|row| (row.key, row.values.coverage, row.version)),
        stamp,
    )
    .finish()
}

/// Columns of [`FeederValues::known`], in order.
pub(crate) const FEEDER_KNOWN: [&str; 8] = [
    "feeder_import_wh",
    "feeder_export_wh",
    "boundary_in_wh",
    "boundary_out_wh",
    "input_wh",
    "ht_loss_wh",
    "lt_loss_wh",
    "total_loss_wh",
];
/// Columns of [`FeederValues::sums`], in order.
pub(crate) const FEEDER_SUMS: [&str; 10] = [
    "dt_input_wh",
    "ht_import_wh",
    "ht_export_wh",
    "consumer_import_wh",
    "consumer_export_wh",
    "unmetered_wh",
    "loss_bound_wh",
    "loss_bound_above_wh",
    "dt_metered",
    "dt_total",
];
/// Columns of [`DtValues::known`], in order.
pub(crate) const DT_KNOWN: [&str; 5] = [
    "dt_import_wh",
    "dt_export_wh",
    "injected_wh",
    "delivered_wh",
    "loss_wh",
];
/// Columns of [`DtValues::sums`], in order.
pub(crate) const DT_SUMS: [&str; 5] = [
    "consumer_import_wh",
    "consumer_export_wh",
    "unmetered_wh",
    "loss_bound_wh",
    "loss_bound_above_wh",
];
/// Columns of [`DayValues::sums`], in order.
pub(crate) const DAY_SUMS: [&str; 8] = [
    "input_wh",
    "injected_wh",
    "delivered_wh",
    "loss_bound_wh",
    "loss_bound_above_wh",
    "injected_where_known_wh",
    "intervals_expected",
    "intervals_computed",
];
/// Columns of [`DayValues::losses`], in order.
pub(crate) const DAY_LOSSES: [&str; 3] = ["ht_loss_wh", "lt_loss_wh", "total_loss_wh"];

/// The columns that DT and feeder balances share.
fn of_interval(
    columns: Columns,
    rows: impl Iterator<Item = (Quarter, Coverage, Version)> + Clone,
    stamp: Stamp<'_>,
) -> Columns {
    let quarter = || rows.clone().map(|(quarter, ..)| quarter);
    let columns = columns
        .time("interval_end", quarter().map(|quarter| Some(quarter.end())))
        .day(
            "day",
            quarter().map(|quarter| stamp.zone.day_of_interval(quarter.end())),
        )
        .time("computed_at", rows.clone().map(|_| Some(stamp.published_at)));
    covered(
        columns,
        &rows.map(|(_, coverage, version)| (coverage, version)),
        stamp,
    )
}

/// The columns that all balances share: coverage, status, version and when.
fn covered(
    columns: Columns,
    rows: &(impl Iterator<Item = (Coverage, Version)> + Clone),
    stamp: Stamp<'_>,
) -> Columns {
    let coverage = || rows.clone().map(|(coverage, _)| coverage);
    let version = || rows.clone().map(|(_, version)| version);
    columns
        .whole(
            "meters_expected",
            coverage().map(|coverage| Some(coverage.expected)),
        )
        .whole(
            "meters_reported",
            coverage().map(|coverage| Some(coverage.reported)),
        )
        .whole(
            "meters_estimated",
            coverage().map(|coverage| Some(coverage.estimated)),
        )
        .number(
            "coverage_pct",
            coverage().map(|coverage| Some(coverage.percent())),
        )
        .text("status", version().map(|version| Some(version.stage.as_str())))
        .whole("version", version().map(|version| Some(version.version)))
        .text("reason", version().map(|version| version.reason))
        .time("published_at", version().map(|_| Some(stamp.published_at)))
}
