//! Bills, and the late reads that do not change them.
//!
//! **What stands.** A late actual read takes the place of an estimate in `interval_reads` and in every balance, billed or not: energy is
//! what flowed, and each version stays. The bill is not touched: an estimate that was billed is locked in `billing_adjustments`, one row
//! for each interval, with what the bill held, what the meter said since, and the difference, which a later bill must carry. So nothing is
//! overwritten: neither the bill, nor the estimate, nor the read (DOMAIN section 3: the late actual becomes an adjustment).
//!
//! **When.** An interval has a row when its consumer (by the network as it was then) was billed for its month, the first time at B; when
//! its day was due to be estimated at B; and when nobody had said a value of it by then. That is told in whole steps after the end of its
//! civil day ([`Arrival`]: 8, 12, 24 h, then days), for values and bills alike: what came in the same step as B counts as billed.
//! The estimate is the one that follows from the values that had come by B, made by the same rules ([`crate::vee`]); what
//! was corrected since counts as corrected. All of it is a function of what was said and when it was received, never of the order in
//! which it is read (ORD-1): a bill that comes after the read, a read that comes before the bill in a replay, give the same row. A row
//! that turns out not to be one (an earlier record of the read, another connection) is withdrawn by a version without an actual.
//!
//! Memory: about 100 bytes a bill.

use std::{collections::BTreeMap, hash::Hash, ops::RangeInclusive, sync::Arc};

use arrow::{
    array::{Date32Array, Decimal128Array, RecordBatch},
    error::ArrowError,
};
use gridtally_ingest::log::Position;
use gridtally_schemas::{ConsumerId, Day, MeterId, UtcMicros, billing::BillingRow, table};
use hashbrown::HashMap;

use super::{
    World,
    publish::{Due, digest},
    restore::{
        RestoreError,
        columns::{Rows, known},
    },
};
use crate::{
    network::{Connection, MeterIx},
    outbox::{Columns, Origin, Stamp},
    revenue::Amounts,
    state::{Arrival, Held, Quarter, Value},
    vee::Method,
};

#[cfg(test)]
pub(crate) mod tests;

/// A consumer by the order in which a bill first named it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct ConsumerIx(u32);

/// What is kept of a bill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Bill {
    /// When the row that stands was recorded, and the digest of what it says: the greater stands.
    stands: (UtcMicros, u64),
    /// When the first row of it was recorded.
    billed_at: UtcMicros,
    /// Fixed charges in the row that stands, paise.
    fixed_paise: Option<i64>,
    /// Energy and money of the row that stands.
    amounts: Amounts,
}

/// What a bill that changed counts in revenue, and what it counted before; `None`: it is the first.
#[derive(Debug, Clone, Copy)]
pub(super) struct Counted {
    pub(super) before: Option<Amounts>,
    pub(super) now: Amounts,
}

/// All bills.
#[derive(Debug, Default)]
pub(crate) struct Bills {
    consumers: HashMap<ConsumerId, ConsumerIx>,
    ids: Vec<ConsumerId>,
    /// By first day of the month and consumer.
    bills: BTreeMap<Day, HashMap<ConsumerIx, Bill>>,
}

impl Bills {
    pub(super) fn is_empty(&self) -> bool {
        self.bills.is_empty()
    }

    /// Merges a row. `None`: it changes neither what stands, nor when it was first said.
    fn merge(&mut self, recorded_at: UtcMicros, row: &BillingRow) -> Option<Counted> {
        let consumer = self.name(&row.consumer_id);
        let said = (recorded_at, digest(&Said(row)));
        let amounts = Amounts::of(row);
        let of_month = self.bills.entry(row.month).or_default();
        let Some(held) = of_month.get_mut(&consumer) else {
            let new = Bill {
                stands: said,
                billed_at: recorded_at,
                fixed_paise: row.fixed_paise,
                amounts,
            };
            of_month.insert(consumer, new);
            return Some(Counted {
                before: None,
                now: amounts,
            });
        };
        let before = *held;
        held.billed_at = held.billed_at.min(recorded_at);
        // A repetition too has its row: it outweighs a contradiction recorded before it, whatever is read first, restarts between or not.
        if said > held.stands {
            (held.stands, held.fixed_paise, held.amounts) = (said, row.fixed_paise, amounts);
        }
        (*held != before).then_some(Counted {
            before: Some(before.amounts),
            now: held.amounts,
        })
    }

    /// Every bill of a month from `from` on, with what it counts in revenue.
    pub(super) fn since(&self, from: Day) -> impl Iterator<Item = (&ConsumerId, Day, Amounts)> {
        self.bills.range(from..).flat_map(|(month, of_month)| {
            let bills = of_month.iter();
            bills.filter_map(|(consumer, bill)| Some((self.id(*consumer)?, *month, bill.amounts)))
        })
    }

    /// What a consumer was billed in some months, by first day of the month.
    pub(super) fn of(&self, consumer: &ConsumerId, months: RangeInclusive<Day>) -> Vec<(Day, Amounts)> {
        let Some(consumer) = self.consumers.get(consumer) else {
            return Vec::new();
        };
        let months = self.bills.range(months);
        let bills = months.filter_map(|(month, bills)| Some((*month, bills.get(consumer)?.amounts)));
        bills.collect()
    }

    /// The index of a consumer that something names, billed or not.
    fn name(&mut self, id: &ConsumerId) -> ConsumerIx {
        if let Some(found) = self.consumers.get(id) {
            return *found;
        }
        let new = ConsumerIx(u32::try_from(self.ids.len()).unwrap_or(u32::MAX));
        self.ids.push(id.clone());
        self.consumers.insert(id.clone(), new);
        new
    }

    /// When a consumer was first billed for the month of a day.
    pub(super) fn billed_at(&self, consumer: &str, day: Day) -> Option<(ConsumerIx, UtcMicros)> {
        let consumer = *self.consumers.get(consumer)?;
        let bill = self.bills.get(&day.first_of_month())?.get(&consumer)?;
        Some((consumer, bill.billed_at))
    }

    /// Fixed charges of these months, paise: what is billed, and for months not billed yet the latest month's charge; `None`: of none
    /// of them is known.
    pub(super) fn fixed_charges(&self, consumer: &ConsumerId, months: &[Day]) -> Option<i64> {
        let consumer = *self.consumers.get(consumer)?;
        let charge = |month: &Day| self.bills.get(month)?.get(&consumer)?.fixed_paise;
        let latest = months.iter().rev().find_map(charge)?;
        let charges = months.iter().map(|month| charge(month).unwrap_or(latest));
        Some(charges.fold(0, i64::saturating_add))
    }

    fn id(&self, consumer: ConsumerIx) -> Option<&ConsumerId> {
        let at = usize::try_from(consumer.0).ok()?;
        self.ids.get(at)
    }
}

/// What a bill says, for its digest.
struct Said<'a>(&'a BillingRow);

impl Hash for Said<'_> {
    fn hash<H: std::hash::Hasher>(&self, hasher: &mut H) {
        let row = self.0;
        (row.billed_wh, row.billed_paise, row.fixed_paise).hash(hasher);
        (row.arrears_paise, row.subsidy_paise, row.collected_paise).hash(hasher);
    }
}

/// What a late read changes of a bill, Wh as the meter counts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Adjustment {
    consumer: ConsumerIx,
    billed_at: UtcMicros,
    /// Import and export of the estimate that was billed, with its method; `None`: there was nothing to make one of, and the bill holds
    /// nothing for the interval.
    pub billed: Option<(u32, Option<u32>, Method)>,
    /// Import and export that the meter said.
    pub actual: (u32, Option<u32>),
}

impl Adjustment {
    pub(super) const fn new(
        (consumer, billed_at): (ConsumerIx, UtcMicros),
        billed: Option<(u32, Option<u32>, Method)>,
        actual: (u32, Option<u32>),
    ) -> Self {
        Self {
            consumer,
            billed_at,
            billed,
            actual,
        }
    }

    /// Actual less billed, import and export.
    #[must_use]
    pub fn difference(&self) -> (i64, i64) {
        let (import, export) = self
            .billed
            .map_or((0, 0), |(import, export, _)| (import, export.unwrap_or(0)));
        let actual = (i64::from(self.actual.0), i64::from(self.actual.1.unwrap_or(0)));
        (actual.0 - i64::from(import), actual.1 - i64::from(export))
    }
}

/// An adjustment as it stands, and as it was last published.
#[derive(Debug, Default)]
pub(super) struct Adjusted {
    pub(super) live: Option<Adjustment>,
    /// Version and digest (0: withdrawn), and the consumer.
    published: Option<(i64, u64, ConsumerIx)>,
}

/// A row of `billing_adjustments`.
#[derive(Debug)]
pub(super) struct AdjustmentRow {
    consumer_id: ConsumerId,
    meter_id: MeterId,
    quarter: Quarter,
    version: i64,
    adjustment: Option<Adjustment>,
}

impl World {
    /// Applies bills. Days of the month whose values came after the bill are judged anew.
    pub(super) fn apply_billing(&mut self, origin: &Origin, rows: Vec<BillingRow>) {
        let mut news: HashMap<ConsumerId, Vec<Day>> = HashMap::new();
        for row in rows {
            if let Some(changed) = self.bills.merge(origin.received_at, &row) {
                self.count_bill(&row.consumer_id, row.month, &changed);
                self.counts.master_rows_changed += 1;
                news.entry(row.consumer_id.clone()).or_default().push(row.month);
                self.outbox.billing.push((row, origin.clone()));
            } else {
                self.counts.master_rows_known += 1;
            }
        }
        if self.settings.compensation.in_force.caps_by_year() {
            news.keys().for_each(|consumer| self.compensation.note(consumer));
        }
        self.note_billed(&news);
    }

    /// Notes for judging the days of these months on which a meter of these consumers said something after the bill.
    fn note_billed(&mut self, news: &HashMap<ConsumerId, Vec<Day>>) {
        let mut concerned: Vec<(Day, MeterIx)> = Vec::new();
        for (consumer, months) in news {
            let meters: Vec<MeterIx> = self
                .connections_of(consumer)
                .into_iter()
                .filter_map(Connection::meter)
                .collect();
            for (meter, month) in meters
                .iter()
                .flat_map(|meter| months.iter().map(|month| (*meter, month)))
            {
                let days = (0..month.days_in_month()).map(|day| Day(month.0.saturating_add(day)));
                let is_late = |day: &Day| self.has_late(meter, consumer.as_str(), *day);
                concerned.extend(days.filter(is_late).map(|day| (day, meter)));
            }
        }
        self.vee.queue_days(concerned);
    }

    fn has_late(&self, meter: MeterIx, consumer: &str, day: Day) -> bool {
        let (Some((block, slot)), Some((_, billed_at))) =
            (self.state.slot_of(meter), self.bills.billed_at(consumer, day))
        else {
            return false;
        };
        let (span, limit) = (self.quarters_of_day(day), self.arrival_in(day, billed_at));
        let length = usize::try_from(span.end().0.saturating_sub(span.start().0)).unwrap_or(0);
        let window = self.state.window(block, span);
        (0..=length).any(|position| is_after(window.held(slot, position), limit))
    }

    /// In which step after the end of a day something came.
    fn arrival_in(&self, day: Day, at: UtcMicros) -> Arrival {
        let end = self.settings.zone.start_of(day.next());
        Arrival::after(at.0.saturating_sub(end.0))
    }

    /// Whether the gaps of a day were due to be estimated at an instant.
    pub(super) fn was_estimated_at(&self, day: Day, at: UtcMicros) -> bool {
        let end = self.settings.zone.start_of(day.next());
        let after = self.settings.vee.estimate_after_micros;
        after.is_some_and(|after| end.plus(after) <= at)
    }

    /// Takes the values out of `cells`, quarters of `day` from `first` on, that came after `billed_at`; tells whether there were any.
    pub(super) fn forget_late(
        &self,
        (meter, day): (MeterIx, Day),
        first: Quarter,
        billed_at: UtcMicros,
        cells: &mut [Option<Value>],
    ) -> bool {
        let Some((block, slot)) = self.state.slot_of(meter) else {
            return false;
        };
        let last = first.0.saturating_add(u32::try_from(cells.len()).unwrap_or(0));
        let window = self.state.window(block, first..=Quarter(last));
        let limit = self.arrival_in(day, billed_at);
        let mut any = false;
        for (position, cell) in cells.iter_mut().enumerate() {
            if cell.is_some() && is_after(window.held(slot, position), limit) {
                *cell = None;
                any = true;
            }
        }
        any
    }

    /// Takes what differs from the table.
    pub(super) fn take_adjustments(&mut self, due: &mut Due) {
        for (meter, quarter) in std::mem::take(&mut self.vee.unpublished_adjustments) {
            due.adjustments.extend(self.take_adjustment(meter, quarter));
        }
    }

    fn take_adjustment(&mut self, meter: MeterIx, quarter: Quarter) -> Option<AdjustmentRow> {
        let meter_id = self.network.meter(meter)?.meter_id()?;
        let findings = self.vee.findings.get_mut(&meter)?;
        let standing = findings.adjustments.get_mut(&quarter)?;
        let now = standing.live.as_ref().map_or(0, digest);
        let (version, before, of_before) = standing.published.unwrap_or((0, 0, ConsumerIx(u32::MAX)));
        let consumer = standing.live.as_ref().map_or(of_before, |live| live.consumer);
        if standing.live.is_none() && version == 0 {
            findings.adjustments.remove(&quarter);
            return None;
        }
        if now == before {
            return None;
        }
        standing.published = Some((version + 1, now, consumer));
        Some(AdjustmentRow {
            consumer_id: self.bills.id(consumer)?.clone(),
            meter_id,
            quarter,
            version: version + 1,
            adjustment: standing.live.clone(),
        })
    }

    /// Adjustments that stand now, in no order: meter, interval, and what it is.
    pub fn adjustments(&self) -> impl Iterator<Item = (MeterIx, Quarter, &Adjustment)> {
        self.vee.findings.iter().flat_map(|(meter, findings)| {
            let live = findings.adjustments.iter();
            live.filter_map(|(quarter, adjusted)| Some((*meter, *quarter, adjusted.live.as_ref()?)))
        })
    }
}

/// Whether a cell holds a value that came after a step.
fn is_after(held: Held, limit: Arrival) -> bool {
    matches!(held, Held::Said(arrival) if arrival > limit)
}

impl World {
    /// Puts back rows of `billing`, in any order.
    pub(crate) fn restore_billing(
        &mut self,
        batch: &RecordBatch,
        as_of: Position,
    ) -> Result<(), RestoreError> {
        let rows = Rows::of(&table::BILLING, batch);
        let (id, month, at) = (
            rows.text("consumer_id")?,
            rows.day("month")?,
            rows.time("recorded_at")?,
        );
        let energy = rows.number("billed_kwh")?;
        let [billed, fixed, arrears] = [
            rows.money("billed_inr")?,
            rows.money("fixed_inr")?,
            rows.money("arrears_inr")?,
        ];
        let [subsidy, collected] = [rows.money("subsidy_inr")?, rows.money("collected_inr")?];
        for (row, _) in rows.emitted(as_of)? {
            let paise = |column: &Decimal128Array| {
                known(column, row, |row| {
                    i64::try_from(column.value(row)).unwrap_or(i64::MAX)
                })
            };
            let bill = BillingRow {
                consumer_id: rows.parse("consumer_id", id.value(row))?,
                month: Day(month.value(row)),
                billed_wh: watt_hours(energy.value(row)),
                billed_paise: paise(&billed).unwrap_or(0),
                fixed_paise: paise(&fixed),
                arrears_paise: paise(&arrears),
                subsidy_paise: paise(&subsidy),
                collected_paise: paise(&collected),
            };
            self.bills.merge(UtcMicros(at.value(row)), &bill);
        }
        Ok(())
    }

    /// Puts back published adjustments, in any order.
    pub(crate) fn restore_adjustments(&mut self, batch: &RecordBatch) -> Result<(), RestoreError> {
        let rows = Rows::of(&table::BILLING_ADJUSTMENTS, batch);
        let (id, end, version) = (
            rows.text("meter_id")?,
            rows.time("interval_end")?,
            rows.whole("version")?,
        );
        let (consumer, billed_at, method) = (
            rows.text("consumer_id")?,
            rows.time("billed_at")?,
            rows.text("method")?,
        );
        let [billed_import, billed_export] =
            [rows.whole("billed_import_wh")?, rows.whole("billed_export_wh")?];
        let [actual_import, actual_export] =
            [rows.whole("actual_import_wh")?, rows.whole("actual_export_wh")?];
        for row in 0..batch.num_rows() {
            let meter = self.network.name_meter(&rows.parse("meter_id", id.value(row))?);
            let consumer = self.bills.name(&rows.parse("consumer_id", consumer.value(row))?);
            let energy = |column: &arrow::array::Int64Array| {
                known(column, row, |row| u32::try_from(column.value(row)).unwrap_or(0))
            };
            let method = known(&method, row, |row| Method::parse(method.value(row))).flatten();
            let billed = energy(&billed_import).zip(method);
            let adjustment = energy(&actual_import).map(|actual| Adjustment {
                consumer,
                billed_at: UtcMicros(billed_at.value(row)),
                billed: billed.map(|(import, method)| (import, energy(&billed_export), method)),
                actual: (actual, energy(&actual_export)),
            });
            let quarter = rows.quarter(end.value(row))?;
            let version = version.value(row);
            let day = self.day_of(quarter);
            let findings = self.vee.findings.entry(meter).or_default();
            let standing = findings.adjustments.entry(quarter).or_default();
            if standing.published.is_none_or(|(before, ..)| before < version) {
                standing.published = Some((version, adjustment.as_ref().map_or(0, digest), consumer));
                standing.live = adjustment;
            }
            self.vee.queue_days(vec![(day, meter)]);
        }
        Ok(())
    }
}

/// Wh of a bill's kWh, which has at most three decimals.
pub(crate) fn watt_hours(kwh: f64) -> i64 {
    #[expect(
        clippy::as_conversions,
        reason = "this program wrote it from whole Wh, far below 2^53"
    )]
    let wh = (kwh * 1_000.0).round() as i64;
    wh
}

/// The rows of `billing`.
pub(crate) fn bills_batch(
    rows: &[(BillingRow, Origin)],
    stamp: Stamp<'_>,
) -> Result<RecordBatch, ArrowError> {
    let money = |of: fn(&BillingRow) -> Option<i64>| rows.iter().map(move |(row, _)| of(row));
    Columns::new(&table::BILLING, rows.len())
        .text(
            "consumer_id",
            rows.iter().map(|(row, _)| Some(row.consumer_id.as_str())),
        )
        .day("month", rows.iter().map(|(row, _)| row.month))
        .number(
            "billed_kwh",
            rows.iter()
                .map(|(row, _)| Some(crate::balance::ratio(row.billed_wh, 1_000))),
        )
        .money("billed_inr", money(|row| Some(row.billed_paise)))
        .money("fixed_inr", money(|row| row.fixed_paise))
        .money("arrears_inr", money(|row| row.arrears_paise))
        .money("subsidy_inr", money(|row| row.subsidy_paise))
        .money("collected_inr", money(|row| row.collected_paise))
        .time(
            "recorded_at",
            rows.iter().map(|(_, origin)| Some(origin.received_at)),
        )
        .text(
            "source",
            rows.iter().map(|(_, origin)| Some(origin.source.as_ref())),
        )
        .whole(
            "position",
            rows.iter()
                .map(|(_, origin)| i64::try_from(origin.position.0).ok()),
        )
        .time("published_at", rows.iter().map(|_| Some(stamp.published_at)))
        .finish()
}

/// The rows of `billing_adjustments`.
pub(super) fn adjustments_batch(rows: &[AdjustmentRow], stamp: Stamp<'_>) -> Result<RecordBatch, ArrowError> {
    let live = || rows.iter().map(|row| row.adjustment.as_ref());
    let wh = |of: fn(&Adjustment) -> Option<i64>| live().map(move |live| live.and_then(of));
    let days = || {
        rows.iter()
            .map(|row| stamp.zone.day_of_interval(row.quarter.end()))
    };
    let months: Date32Array = days().map(|day| Some(day.first_of_month().0)).collect();
    Columns::new(&table::BILLING_ADJUSTMENTS, rows.len())
        .text("meter_id", rows.iter().map(|row| Some(row.meter_id.as_str())))
        .time("interval_end", rows.iter().map(|row| Some(row.quarter.end())))
        .text(
            "consumer_id",
            rows.iter().map(|row| Some(row.consumer_id.as_str())),
        )
        .set("month", Arc::new(months))
        .time("billed_at", live().map(|live| live.map(|live| live.billed_at)))
        .text(
            "method",
            live().map(|live| {
                live.and_then(|live| live.billed)
                    .map(|(.., method)| method.as_str())
            }),
        )
        .whole(
            "billed_import_wh",
            wh(|live| live.billed.map(|(import, ..)| i64::from(import))),
        )
        .whole(
            "billed_export_wh",
            wh(|live| live.billed.and_then(|(_, export, _)| export).map(i64::from)),
        )
        .whole("actual_import_wh", wh(|live| Some(i64::from(live.actual.0))))
        .whole("actual_export_wh", wh(|live| live.actual.1.map(i64::from)))
        .whole("adjustment_import_wh", wh(|live| Some(live.difference().0)))
        .whole("adjustment_export_wh", wh(|live| Some(live.difference().1)))
        .whole("version", rows.iter().map(|row| Some(row.version)))
        .time("published_at", rows.iter().map(|_| Some(stamp.published_at)))
        .text("reason", rows.iter().map(reason))
        .day("day", days())
        .finish()
}

fn reason(row: &AdjustmentRow) -> Option<&'static str> {
    match (&row.adjustment, row.version) {
        (None, _) => Some("withdrawn: the interval was not billed as an estimate after all"),
        (Some(_), 1) => None,
        (Some(_), _) => Some("inputs changed"),
    }
}
