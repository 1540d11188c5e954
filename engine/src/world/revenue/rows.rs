//! Rows of `feeder_revenue_monthly` and `discom_accounts`, to the tables and back.

use std::{
    hash::{Hash, Hasher},
    sync::Arc,
};

use arrow::{
    array::{Array, AsArray, BooleanArray, Decimal128Array, Float64Array, RecordBatch},
    datatypes::DataType,
    error::ArrowError,
};
use gridtally_ingest::log::Position;
use gridtally_schemas::{Day, UtcMicros, billing::DiscomAccountsRow, table};

use crate::{
    balance::ratio,
    outbox::{Columns, Origin, Stamp, recorded},
    revenue::FeederMonth,
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

/// Word of the column `audit`.
const AUDIT: &str = "technical_and_commercial";
/// The columns of rates and shares, in the order of [`RevenueValues::rates`].
const RATES: [&str; 8] = [
    "eif_coverage_pct",
    "loss_pct",
    "abr",
    "adjusted_abr",
    "allowable_loss_pct",
    "tri",
    "ari",
    "deviation",
];
/// The columns of money, in the order of [`RevenueValues::paise`].
const PAISE: [&str; 4] = ["billed_inr", "collected_inr", "target_inr", "deviation_inr"];

/// What a row says: as [`FeederMonth`], and the same once it is read back.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct RevenueValues {
    days: i64,
    eif_wh: Option<i64>,
    sold_wh: Option<i64>,
    paise: [Option<i64>; 4],
    rates: [Option<f64>; 8],
    arrears_suspected: bool,
    audit: bool,
}

impl RevenueValues {
    pub(super) fn of(month: &FeederMonth) -> Self {
        let billed = month.billed;
        Self {
            days: month.input.days,
            eif_wh: month.input.known_wh(),
            sold_wh: billed.map(|billed| billed.sold_wh),
            paise: [
                billed.map(|billed| billed.revenue_paise),
                billed.map(|billed| billed.collected_paise),
                month.target_paise(),
                month.deviation_paise(),
            ],
            rates: [
                month.input.coverage_pct(),
                month.loss_pct,
                month.abr,
                month.adjusted_abr,
                month.allowable_loss_pct,
                month.tri,
                month.ari,
                month.deviation(),
            ],
            arrears_suspected: month.arrears_suspected,
            audit: month.audit,
        }
    }

    /// Whether nothing is known of the month.
    pub(super) fn is_nothing(&self) -> bool {
        self.days == 0 && self.sold_wh.is_none()
    }
}

impl Hash for RevenueValues {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        (self.days, self.eif_wh, self.sold_wh, self.paise).hash(hasher);
        self.rates.map(|rate| rate.map(f64::to_bits)).hash(hasher);
        (self.arrears_suspected, self.audit).hash(hasher);
    }
}

fn kwh(wh: Option<i64>) -> Option<f64> {
    wh.map(|wh| ratio(wh, 1_000))
}

/// The rows of a checkpoint.
pub(in crate::world) fn batch(
    rows: &[Row<Day, RevenueValues>],
    stamp: Stamp<'_>,
) -> Result<RecordBatch, ArrowError> {
    let each = || rows.iter().map(|row| &row.values);
    let suspected: BooleanArray = each().map(|values| Some(values.arrears_suspected)).collect();
    let mut columns = Columns::new(&table::FEEDER_REVENUE_MONTHLY, rows.len())
        .text("feeder_id", rows.iter().map(|row| Some(row.id.as_str())))
        .day("month", rows.iter().map(|row| row.key))
        .whole("days", each().map(|values| Some(values.days)))
        .number("eif_kwh", each().map(|values| kwh(values.eif_wh)))
        .number("sold_kwh", each().map(|values| kwh(values.sold_wh)))
        .set("arrears_suspected", Arc::new(suspected))
        .text("audit", each().map(|values| values.audit.then_some(AUDIT)));
    for (at, name) in RATES.into_iter().enumerate() {
        columns = columns.number(name, each().map(|values| values.rates.get(at).copied().flatten()));
    }
    for (at, name) in PAISE.into_iter().enumerate() {
        let amounts = each().map(|values| values.paise.get(at).copied().flatten());
        columns = columns.money(name, amounts);
    }
    columns
        .whole("version", rows.iter().map(|row| Some(row.version.version)))
        .text("reason", rows.iter().map(|row| row.version.reason))
        .time("published_at", rows.iter().map(|_| Some(stamp.published_at)))
        .finish()
}

/// The rows of `discom_accounts`.
pub(crate) fn accounts_batch(
    rows: &[(DiscomAccountsRow, Origin)],
    stamp: Stamp<'_>,
) -> Result<RecordBatch, ArrowError> {
    let rows: Vec<(&DiscomAccountsRow, &Origin)> = rows.iter().map(|(row, origin)| (row, origin)).collect();
    let each = || rows.iter().map(|(row, _)| *row);
    let money = |of: fn(&DiscomAccountsRow) -> Option<i64>| each().map(of);
    let columns = Columns::new(&table::DISCOM_ACCOUNTS, rows.len())
        .text("year", each().map(|row| Some(row.year.to_string())))
        .number("sales_kwh", each().map(|row| kwh(Some(row.sales_wh))))
        .money("power_purchase_inr", money(|row| Some(row.power_purchase_paise)))
        .money("om_inr", money(|row| Some(row.om_paise)))
        .money("depreciation_inr", money(|row| Some(row.depreciation_paise)))
        .money("interest_inr", money(|row| Some(row.interest_paise)))
        .money("revenue_inr", money(|row| Some(row.revenue_paise)))
        .money("subsidy_inr", money(|row| row.subsidy_paise));
    recorded(columns, &rows, stamp).finish()
}

fn paise(column: &Decimal128Array, row: usize) -> Option<i64> {
    known(column, row, |row| {
        i64::try_from(column.value(row)).unwrap_or(i64::MAX)
    })
}

impl World {
    /// Puts back rows of `discom_accounts`, in any order.
    pub(crate) fn restore_accounts(
        &mut self,
        batch: &RecordBatch,
        as_of: Position,
    ) -> Result<(), RestoreError> {
        let rows = Rows::of(&table::DISCOM_ACCOUNTS, batch);
        let (year, recorded) = (rows.text("year")?, rows.time("recorded_at")?);
        let sales = rows.number("sales_kwh")?;
        let [purchase, om, depreciation] = [
            rows.money("power_purchase_inr")?,
            rows.money("om_inr")?,
            rows.money("depreciation_inr")?,
        ];
        let [interest, revenue, subsidy] = [
            rows.money("interest_inr")?,
            rows.money("revenue_inr")?,
            rows.money("subsidy_inr")?,
        ];
        for (row, _) in rows.emitted(as_of)? {
            let said = |column: &Decimal128Array| paise(column, row).unwrap_or(0);
            let accounts = DiscomAccountsRow {
                year: rows.parse("year", year.value(row))?,
                sales_wh: watt_hours(sales.value(row)),
                power_purchase_paise: said(&purchase),
                om_paise: said(&om),
                depreciation_paise: said(&depreciation),
                interest_paise: said(&interest),
                revenue_paise: said(&revenue),
                subsidy_paise: paise(&subsidy, row),
            };
            self.merge_accounts(UtcMicros(recorded.value(row)), &accounts);
        }
        Ok(())
    }

    /// Puts back what was published of feeders' revenue, in any order.
    pub(crate) fn restore_revenue(&mut self, batch: &RecordBatch) -> Result<(), RestoreError> {
        let rows = Rows::of(&table::FEEDER_REVENUE_MONTHLY, batch);
        let (id, month) = (rows.text("feeder_id")?, rows.day("month")?);
        let [days, version] = [rows.whole("days")?, rows.whole("version")?];
        let [eif, sold] = [rows.number("eif_kwh")?, rows.number("sold_kwh")?];
        let (audit, at) = (rows.text("audit")?, rows.time("published_at")?);
        let arrears = rows.column("arrears_suspected", &DataType::Boolean)?;
        let arrears = arrears.as_boolean();
        let rates = RATES.map(|name| rows.number(name));
        let rates = rates.into_iter().collect::<Result<Vec<_>, _>>()?;
        let money = PAISE.map(|name| rows.money(name));
        let money = money.into_iter().collect::<Result<Vec<_>, _>>()?;
        for row in 0..batch.num_rows() {
            let number = |column: &Float64Array| known(column, row, |row| column.value(row));
            let mut values = RevenueValues {
                days: days.value(row),
                eif_wh: number(&eif).map(watt_hours),
                sold_wh: number(&sold).map(watt_hours),
                paise: [None; 4],
                rates: [None; 8],
                arrears_suspected: arrears.value(row),
                audit: audit.is_valid(row),
            };
            for (value, column) in values.rates.iter_mut().zip(&rates) {
                *value = number(column);
            }
            for (value, column) in values.paise.iter_mut().zip(&money) {
                *value = paise(column, row);
            }
            let feeder = self.network.name_node(&rows.parse("feeder_id", id.value(row))?);
            let key = (feeder, Day(month.value(row)));
            let entry = self.revenue.published.entry(key).or_default();
            if version.value(row) > entry.version {
                *entry = Published {
                    version: version.value(row),
                    digest: digest(&values),
                    stage: Stage::Provisional,
                    at: UtcMicros(at.value(row)),
                };
            }
            self.revenue.unpublished.insert(key);
        }
        Ok(())
    }
}
