//! Rows of `energy_accounting_monthly`, to the table and back.

use std::hash::{Hash, Hasher};

use arrow::{
    array::{Float64Array, RecordBatch},
    error::ArrowError,
};
use gridtally_schemas::{Day, UtcMicros, table};

use crate::{
    balance::ratio,
    outbox::{Columns, Stamp},
    revenue::Total,
    world::{
        World,
        billing::watt_hours,
        publish::{Published, Row, Stage, digest},
        restore::{
            RestoreError,
            columns::{Rows, known},
        },
    },
};

/// Columns of [`AccountingValues::counts`], in order.
const COUNTS: [&str; 6] = [
    "feeders",
    "feeders_known",
    "consumers_billed",
    "low_consumers",
    "medium_consumers",
    "high_consumers",
];
/// Columns of [`AccountingValues::wh`], in order.
const KWH: [&str; 8] = [
    "input_kwh",
    "input_known_kwh",
    "billed_known_kwh",
    "billed_kwh",
    "unmetered_kwh",
    "low_kwh",
    "medium_kwh",
    "high_kwh",
];
/// Columns of [`AccountingValues::paise`], in order.
const INR: [&str; 8] = [
    "billed_inr",
    "subsidy_inr",
    "collected_inr",
    "demanded_known_inr",
    "collected_current_inr",
    "low_inr",
    "medium_inr",
    "high_inr",
];
/// Columns of [`AccountingValues::shares`], in order.
const SHARES: [&str; 4] = [
    "input_coverage_pct",
    "billing_efficiency_pct",
    "collection_efficiency_pct",
    "atc_loss_pct",
];

/// What a row says: as [`Total`], and the same once it is read back.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct AccountingValues {
    counts: [i64; 6],
    wh: [Option<i64>; 8],
    paise: [Option<i64>; 8],
    shares: [Option<f64>; 4],
}

impl AccountingValues {
    pub(super) fn of(total: &Total, coverage_threshold_pct: f64) -> Self {
        let billed = total.billed;
        let [low, medium, high] = billed.bands;
        let known = |wh: i64| (total.wholes > 0).then_some(wh);
        let of_bills = |amount: i64| (billed.bills > 0).then_some(amount);
        Self {
            counts: [
                total.feeder_months,
                total.wholes,
                billed.bills,
                low.bills,
                medium.bills,
                high.bills,
            ],
            wh: [
                total.input.known_wh(),
                known(total.whole_wh.0),
                known(total.whole_wh.1),
                of_bills(billed.sold_wh),
                of_bills(billed.unmetered_wh),
                of_bills(low.sold_wh),
                of_bills(medium.sold_wh),
                of_bills(high.sold_wh),
            ],
            paise: [
                billed.revenue_paise,
                billed.subsidy_paise,
                billed.collected_paise,
                billed.collection.demanded_paise,
                billed.collection.current_paise,
                low.revenue_paise,
                medium.revenue_paise,
                high.revenue_paise,
            ]
            .map(of_bills),
            shares: [
                total.input.coverage_pct(),
                total.billing_efficiency_pct(),
                total.collection_efficiency_pct(coverage_threshold_pct),
                total.atc_loss_pct(coverage_threshold_pct),
            ],
        }
    }
}

impl Hash for AccountingValues {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        (self.counts, self.wh, self.paise).hash(hasher);
        self.shares.map(|share| share.map(f64::to_bits)).hash(hasher);
    }
}

/// The rows of a checkpoint.
pub(in crate::world) fn batch(
    rows: &[Row<Day, AccountingValues>],
    stamp: Stamp<'_>,
) -> Result<RecordBatch, ArrowError> {
    let each = || rows.iter().map(|row| &row.values);
    let mut columns = Columns::new(&table::ENERGY_ACCOUNTING_MONTHLY, rows.len())
        .text("node_id", rows.iter().map(|row| Some(row.id.as_str())))
        .text("kind", rows.iter().map(|row| Some(row.kind.as_str())))
        .day("month", rows.iter().map(|row| row.key));
    for (at, name) in COUNTS.into_iter().enumerate() {
        columns = columns.whole(name, each().map(|values| values.counts.get(at).copied()));
    }
    for (at, name) in KWH.into_iter().enumerate() {
        let wh = each().map(|values| values.wh.get(at).copied().flatten());
        columns = columns.number(name, wh.map(|wh| wh.map(|wh| ratio(wh, 1_000))));
    }
    for (at, name) in INR.into_iter().enumerate() {
        let paise = each().map(|values| values.paise.get(at).copied().flatten());
        columns = columns.money(name, paise);
    }
    for (at, name) in SHARES.into_iter().enumerate() {
        let shares = each().map(|values| values.shares.get(at).copied().flatten());
        columns = columns.number(name, shares);
    }
    columns
        .whole("version", rows.iter().map(|row| Some(row.version.version)))
        .text("reason", rows.iter().map(|row| row.version.reason))
        .time("published_at", rows.iter().map(|_| Some(stamp.published_at)))
        .finish()
}

impl World {
    /// Puts back what was published of energy accounting, in any order.
    pub(crate) fn restore_accounting(&mut self, batch: &RecordBatch) -> Result<(), RestoreError> {
        let rows = Rows::of(&table::ENERGY_ACCOUNTING_MONTHLY, batch);
        let (id, month) = (rows.text("node_id")?, rows.day("month")?);
        let (version, at) = (rows.whole("version")?, rows.time("published_at")?);
        let counts = COUNTS.map(|name| rows.whole(name));
        let counts = counts.into_iter().collect::<Result<Vec<_>, _>>()?;
        let kwh = KWH.map(|name| rows.number(name));
        let kwh = kwh.into_iter().collect::<Result<Vec<_>, _>>()?;
        let inr = INR.map(|name| rows.money(name));
        let inr = inr.into_iter().collect::<Result<Vec<_>, _>>()?;
        let shares = SHARES.map(|name| rows.number(name));
        let shares = shares.into_iter().collect::<Result<Vec<_>, _>>()?;
        for row in 0..batch.num_rows() {
            let number = |column: &Float64Array| known(column, row, |row| column.value(row));
            let mut values = AccountingValues {
                counts: [0; 6],
                wh: [None; 8],
                paise: [None; 8],
                shares: [None; 4],
            };
            for (value, column) in values.counts.iter_mut().zip(&counts) {
                *value = column.value(row);
            }
            for (value, column) in values.wh.iter_mut().zip(&kwh) {
                *value = number(column).map(watt_hours);
            }
            for (value, column) in values.paise.iter_mut().zip(&inr) {
                *value = known(column, row, |row| {
                    i64::try_from(column.value(row)).unwrap_or(i64::MAX)
                });
            }
            for (value, column) in values.shares.iter_mut().zip(&shares) {
                *value = number(column);
            }
            let node = self.network.name_node(&rows.parse("node_id", id.value(row))?);
            let key = (node, Day(month.value(row)));
            let entry = self.accounting.published.entry(key).or_default();
            if version.value(row) > entry.version {
                *entry = Published {
                    version: version.value(row),
                    digest: digest(&values),
                    stage: Stage::Provisional,
                    at: UtcMicros(at.value(row)),
                };
            }
            self.accounting.unpublished.insert(key);
        }
        Ok(())
    }
}
