//! Gathering what a feeder's month is judged by from the published tables: of each key the newest version, a day at a time.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use arrow::array::{Array, RecordBatch};
use futures::StreamExt;
use gridtally_schemas::{
    Day, UtcMicros, Zone,
    table::{self, TableSchema},
    time::QUARTER_MICROS,
};

use super::{PassError, Store, ends_of_day, read, scan};
use crate::{
    suspicion::{DAYS_BEFORE, DtMonth, HalfHour, MeterMonth, Misplaced, Period, Place, TAMPERS, Tamper},
    vee::Rule,
    world::{
        billing::watt_hours,
        restore::{
            RestoreError,
            columns::{Rows, known},
        },
        suspicion::{Plan, PlannedMeter},
    },
};

/// What is read once for all feeders of a month.
#[derive(Debug, Default)]
pub(super) struct Common {
    /// Energy billed by consumer, Wh.
    billed: HashMap<String, i64>,
    /// Objections of `wrong_mapping` that stand, by meter.
    misplaced: HashMap<String, Vec<Misplaced>>,
}

/// The newest row of a bill.
type Bill = ((i64, i64), i64);
/// The newest row of an objection: its version, the meter, and what it says if it stands.
type Objection = (i64, String, Option<Misplaced>);

impl Common {
    pub(super) async fn read<S: Store>(store: &S, period: Period) -> Result<Self, PassError> {
        let mut bills: HashMap<String, Bill> = HashMap::new();
        let none = BTreeSet::new();
        each(store, &table::BILLING, (period.first, &none), |rows| {
            take_bills(rows, period.first, &mut bills)
        })
        .await?;
        let mut objections: HashMap<String, Objection> = HashMap::new();
        for day in days(period.first, period.last) {
            each(store, &table::VEE_EXCEPTIONS, (day, &none), |rows| {
                take_objections(rows, &mut objections)
            })
            .await?;
        }
        let mut common = Self {
            billed: bills
                .into_iter()
                .map(|(consumer, (_, wh))| (consumer, wh))
                .collect(),
            misplaced: HashMap::new(),
        };
        for (_, meter, misplaced) in objections.into_values() {
            common.misplaced.entry(meter).or_default().extend(misplaced);
        }
        Ok(common)
    }
}

async fn each<S: Store>(
    store: &S,
    table: &'static TableSchema,
    (part, ids): (Day, &BTreeSet<String>),
    mut take: impl FnMut(&RecordBatch) -> Result<(), RestoreError>,
) -> Result<(), PassError> {
    let mut batches = scan(store, table, part, ids).await?;
    while let Some(rows) = batches.next().await {
        take(&read(table, rows)?)?;
    }
    Ok(())
}

fn days(first: Day, last: Day) -> impl Iterator<Item = Day> {
    (first.0..=last.0).map(Day)
}

fn take_bills(batch: &RecordBatch, of: Day, bills: &mut HashMap<String, Bill>) -> Result<(), RestoreError> {
    let rows = Rows::of(&table::BILLING, batch);
    let (consumer, month) = (rows.text("consumer_id")?, rows.day("month")?);
    let (billed, recorded) = (rows.number("billed_kwh")?, rows.time("recorded_at")?);
    let position = rows.whole("position")?;
    for row in (0..batch.num_rows()).filter(|row| month.value(*row) == of.0) {
        let order = (recorded.value(row), position.value(row));
        let bill = (order, watt_hours(billed.value(row)));
        let held = bills.entry(consumer.value(row).to_owned()).or_insert(bill);
        if held.0 < order {
            *held = bill;
        }
    }
    Ok(())
}

fn take_objections(batch: &RecordBatch, held: &mut HashMap<String, Objection>) -> Result<(), RestoreError> {
    let rows = Rows::of(&table::VEE_EXCEPTIONS, batch);
    let [id, meter, rule] = [
        rows.text("exception_id")?,
        rows.text("meter_id")?,
        rows.text("rule")?,
    ];
    let (value, detail) = (rows.number("value")?, rows.text("detail")?);
    let (day, resolved) = (rows.day("day")?, rows.time("resolved_at")?);
    let version = rows.whole("version")?;
    let of_rule = (0..batch.num_rows()).filter(|row| rule.value(*row) == Rule::WrongMapping.as_str());
    for row in of_rule {
        let version = version.value(row);
        if held
            .get(id.value(row))
            .is_some_and(|(before, ..)| *before >= version)
        {
            continue;
        }
        let misplaced = resolved.is_null(row).then(|| Misplaced {
            day: Day(day.value(row)),
            value_permille: known(&value, row, |row| watt_hours(value.value(row))).unwrap_or(0),
            detail: known(&detail, row, |row| detail.value(row).to_owned()).unwrap_or_default(),
        });
        held.insert(
            id.value(row).to_owned(),
            (version, meter.value(row).to_owned(), misplaced),
        );
    }
    Ok(())
}

/// A read of a meter as it stands.
#[derive(Debug, Clone, Copy)]
struct Cell {
    version: i64,
    import_wh: i64,
    export_wh: i64,
    /// The meter's own value, or one that a person set; `false`: estimated.
    is_said: bool,
    /// Withdrawn: counts in nothing.
    is_missing: bool,
}

/// A balance of a DT as it stands.
#[derive(Debug, Clone, Copy)]
struct Balance {
    version: i64,
    is_withdrawn: bool,
    minutes: i64,
    half_hour: HalfHour,
    expected: i64,
    reported: i64,
}

/// A feeder's period while it is read.
pub(super) struct Gathering<'a> {
    plan: &'a Plan,
    period: Period,
    zone: &'a Zone,
    /// By meter id: position in the plan.
    at: HashMap<&'a str, usize>,
    dt_at: HashMap<&'a str, usize>,
    dts: Vec<DtMonth>,
    meters: Vec<MeterMonth>,
}

impl<'a> Gathering<'a> {
    pub(super) fn new(plan: &'a Plan, period: Period, zone: &'a Zone) -> Self {
        let begin = zone.start_of(period.first);
        let end = zone.start_of(Day(period.last.0 + 1));
        let quarters = (end.0 - begin.0) / QUARTER_MICROS;
        let half_hours = usize::try_from(quarters / 2).unwrap_or(0);
        let dts = plan.places.iter().map(|place| DtMonth {
            technical_permille: place.technical_permille,
            half_hours: vec![HalfHour::default(); half_hours],
            unmetered_w: place.unmetered_w,
            ..DtMonth::default()
        });
        let meters = plan.meters.iter().map(|meter| MeterMonth {
            consumer_id: meter.consumer_id.clone(),
            meter_id: meter.meter_id.clone(),
            import_wh: vec![None; half_hours],
            expected: quarters / meter.quarters.max(1),
            ..MeterMonth::default()
        });
        Self {
            plan,
            period,
            zone,
            at: (0..)
                .zip(&plan.meters)
                .map(|(at, meter)| (meter.meter_id.as_str(), at))
                .collect(),
            dt_at: (0..)
                .zip(&plan.places)
                .filter(|(_, place)| place.is_dt)
                .map(|(at, place)| (place.node_id.as_str(), at))
                .collect(),
            dts: dts.collect(),
            meters: meters.collect(),
        }
    }

    pub(super) async fn read<S: Store>(&mut self, store: &S) -> Result<(), PassError> {
        let ids = |ids: &HashMap<&str, usize>| ids.keys().map(|id| (*id).to_owned()).collect();
        let (meters, dts): (BTreeSet<String>, BTreeSet<String>) = (ids(&self.at), ids(&self.dt_at));
        let mut events: BTreeMap<(usize, i64, i32), (i64, Option<String>)> = BTreeMap::new();
        for day in days(Day(self.period.first.0 - DAYS_BEFORE), self.period.last) {
            let mut cells = HashMap::new();
            each(store, &table::INTERVAL_READS, (day, &meters), |rows| {
                self.take_reads(rows, day, &mut cells)
            })
            .await?;
            self.add_reads(day, &cells);
            each(store, &table::METER_EVENTS, (day, &meters), |rows| {
                self.take_events(rows, day, &mut events)
            })
            .await?;
        }
        for ((meter, at, code), (_, meaning)) in events {
            self.add_event(meter, (UtcMicros(at), code), meaning);
        }
        for day in days(self.period.first, self.period.last).take_while(|_| !dts.is_empty()) {
            let mut balances = HashMap::new();
            each(store, &table::DT_BALANCE, (day, &dts), |rows| {
                self.take_balances(rows, day, &mut balances)
            })
            .await?;
            self.add_balances(day, &balances);
        }
        Ok(())
    }

    /// The quarter of a day that ends at an instant, from 0.
    fn quarter_of(&self, day: Day, at: i64) -> Option<i64> {
        let (begin, end) = ends_of_day(self.zone, day);
        let is_of_day = begin.0 < at && at <= end.0;
        is_of_day.then(|| (at - begin.0) / QUARTER_MICROS - 1)
    }

    /// The half hour of the period in which a quarter of a day lies.
    fn half_hour_of(&self, day: Day, quarter: i64) -> Option<usize> {
        let before = (self.zone.start_of(day).0 - self.zone.start_of(self.period.first).0) / QUARTER_MICROS;
        usize::try_from((before + quarter).div_euclid(2)).ok()
    }

    fn take_reads(
        &self,
        batch: &RecordBatch,
        day: Day,
        cells: &mut HashMap<(usize, i64), Cell>,
    ) -> Result<(), RestoreError> {
        let rows = Rows::of(&table::INTERVAL_READS, batch);
        let (id, end) = (rows.text("meter_id")?, rows.time("interval_end")?);
        let [import, export, version] = [
            rows.whole("import_wh")?,
            rows.whole("export_wh")?,
            rows.whole("version")?,
        ];
        let quality = rows.text("quality")?;
        // Version 0 is what lost to a valid read.
        for row in (0..batch.num_rows()).filter(|row| version.value(*row) > 0) {
            let Some(meter) = self.at.get(id.value(row)) else {
                continue;
            };
            let Some(quarter) = self.quarter_of(day, end.value(row)) else {
                continue;
            };
            let cell = Cell {
                version: version.value(row),
                import_wh: import.value(row),
                export_wh: known(&export, row, |row| export.value(row)).unwrap_or(0),
                is_said: matches!(quality.value(row), "actual" | "edited"),
                is_missing: quality.value(row) == "missing",
            };
            let held = cells.entry((*meter, quarter)).or_insert(cell);
            if held.version < cell.version {
                *held = cell;
            }
        }
        Ok(())
    }

    fn add_reads(&mut self, day: Day, cells: &HashMap<(usize, i64), Cell>) {
        let (begin, end) = ends_of_day(self.zone, day);
        let quarters = (end.0 - begin.0) / QUARTER_MICROS;
        let is_of_period = day >= self.period.first;
        for (at, planned) in (0..).zip(&self.plan.meters) {
            let ends = (planned.quarters - 1..quarters).step_by(step(planned));
            let reads: Vec<(i64, Option<&Cell>)> = ends
                .map(|quarter| (quarter, cells.get(&(at, quarter)).filter(|cell| !cell.is_missing)))
                .collect();
            let energy = |counted: i64| (counted * planned.multiplier_thousandths + 500) / 1_000;
            let import: Option<Vec<i64>> = reads
                .iter()
                .map(|(_, cell)| cell.map(|cell| energy(cell.import_wh)))
                .collect();
            let half_hours: Vec<Option<usize>> = reads
                .iter()
                .map(|(quarter, _)| self.half_hour_of(day, *quarter))
                .collect();
            let Some(meter) = self.meters.get_mut(at) else {
                continue;
            };
            if let Some(import) = import {
                meter.days.insert(day, import.iter().sum());
            }
            if is_of_period {
                add_to_period(meter, planned, &reads, &half_hours);
            }
        }
    }

    fn take_events(
        &self,
        batch: &RecordBatch,
        day: Day,
        events: &mut BTreeMap<(usize, i64, i32), (i64, Option<String>)>,
    ) -> Result<(), RestoreError> {
        let rows = Rows::of(&table::METER_EVENTS, batch);
        let (id, at, code) = (rows.text("meter_id")?, rows.time("at")?, rows.whole("code")?);
        let (meaning, version) = (rows.text("meaning")?, rows.whole("version")?);
        for row in 0..batch.num_rows() {
            let at_micros = at.value(row);
            if self.zone.day_of(UtcMicros(at_micros)) != day {
                continue;
            }
            let Some(meter) = self.at.get(id.value(row)) else {
                continue;
            };
            let code = i32::try_from(code.value(row)).map_err(|_| rows.bad("code", &code.value(row)))?;
            let version = version.value(row);
            let said = (version, known(&meaning, row, |row| meaning.value(row).to_owned()));
            let held = events
                .entry((*meter, at_micros, code))
                .or_insert_with(|| said.clone());
            if held.0 < version {
                *held = said;
            }
        }
        Ok(())
    }

    fn add_event(&mut self, meter: usize, (at, code): (UtcMicros, i32), meaning: Option<String>) {
        let tamper = meaning.filter(|meaning| TAMPERS.contains(&meaning.as_str()));
        if let (Some(meaning), Some(meter)) = (tamper, self.meters.get_mut(meter)) {
            meter.tampers.push(Tamper {
                day: self.zone.day_of(at),
                code,
                meaning,
            });
        }
    }

    fn take_balances(
        &self,
        batch: &RecordBatch,
        day: Day,
        balances: &mut HashMap<(usize, i64), Balance>,
    ) -> Result<(), RestoreError> {
        let rows = Rows::of(&table::DT_BALANCE, batch);
        let (id, end) = (rows.text("dt_id")?, rows.time("interval_end")?);
        let [minutes, injected, loss] = [
            rows.whole("interval_minutes")?,
            rows.whole("injected_wh")?,
            rows.whole("loss_wh")?,
        ];
        let [import, below, above] = [
            rows.whole("consumer_import_wh")?,
            rows.whole("loss_bound_wh")?,
            rows.whole("loss_bound_above_wh")?,
        ];
        let [expected, reported, version] = [
            rows.whole("meters_expected")?,
            rows.whole("meters_reported")?,
            rows.whole("version")?,
        ];
        let status = rows.text("status")?;
        for row in 0..batch.num_rows() {
            let Some(dt) = self.dt_at.get(id.value(row)) else {
                continue;
            };
            let Some(quarter) = self.quarter_of(day, end.value(row)) else {
                continue;
            };
            let balance = Balance {
                version: version.value(row),
                is_withdrawn: status.value(row) == "withdrawn",
                minutes: minutes.value(row),
                half_hour: HalfHour {
                    injected_wh: known(&injected, row, |row| injected.value(row)),
                    loss_wh: known(&loss, row, |row| loss.value(row)),
                    consumer_import_wh: import.value(row),
                    bound_below_wh: below.value(row),
                    bound_above_wh: above.value(row),
                },
                expected: expected.value(row),
                reported: reported.value(row),
            };
            let held = balances.entry((*dt, quarter)).or_insert(balance);
            if held.version < balance.version {
                *held = balance;
            }
        }
        Ok(())
    }

    fn add_balances(&mut self, day: Day, balances: &HashMap<(usize, i64), Balance>) {
        let (begin, end) = ends_of_day(self.zone, day);
        let quarters = (end.0 - begin.0) / QUARTER_MICROS;
        for dt in 0..self.dts.len() {
            for second in (1..quarters).step_by(2) {
                let Some(half_hour) = self.half_hour_of(day, second) else {
                    continue;
                };
                let standing = |quarter: i64| balances.get(&(dt, quarter)).filter(|held| !held.is_withdrawn);
                let (earlier, later) = (standing(second - 1), standing(second));
                let Some(of_dt) = self.dts.get_mut(dt) else {
                    continue;
                };
                for balance in [earlier, later].into_iter().flatten() {
                    of_dt.expected += balance.expected;
                    of_dt.reported += balance.reported;
                }
                if let Some(cell) = of_dt.half_hours.get_mut(half_hour) {
                    *cell = match (earlier, later) {
                        (_, Some(later)) if later.minutes == 30 => later.half_hour,
                        (Some(earlier), Some(later)) => sum(&earlier.half_hour, &later.half_hour),
                        (_, _) => HalfHour::default(),
                    };
                }
            }
        }
    }

    /// The places with all that was read of them, in the plan's order.
    pub(super) fn places(self, common: &Common) -> Vec<Place> {
        let mut meters_of: HashMap<String, usize> = HashMap::new();
        for meter in &self.plan.meters {
            *meters_of.entry(meter.consumer_id.clone()).or_default() += 1;
        }
        let dts = self.plan.places.iter().zip(self.dts);
        let mut places: Vec<Place> = dts
            .map(|(planned, dt)| Place {
                dt: planned.is_dt.then_some(dt),
                meters: Vec::new(),
            })
            .collect();
        for (planned, mut meter) in self.plan.meters.iter().zip(self.meters) {
            // A bill is of a consumer: with several meters it says nothing of one.
            if meters_of.get(&planned.consumer_id) == Some(&1) {
                meter.billed_wh = common.billed.get(&planned.consumer_id).copied();
            }
            if let Some(misplaced) = common.misplaced.get(&planned.meter_id) {
                meter.misplaced.clone_from(misplaced);
            }
            if let Some(place) = places.get_mut(planned.place) {
                place.meters.push(meter);
            }
        }
        places
    }
}

fn step(planned: &PlannedMeter) -> usize {
    usize::try_from(planned.quarters).unwrap_or(1).max(1)
}

/// Adds a day's reads of a meter to its half hours and sums.
fn add_to_period(
    meter: &mut MeterMonth,
    planned: &PlannedMeter,
    reads: &[(i64, Option<&Cell>)],
    half_hours: &[Option<usize>],
) {
    let energy = |counted: i64| (counted * planned.multiplier_thousandths + 500) / 1_000;
    for ((quarter, cell), half_hour) in reads.iter().zip(half_hours) {
        let import = cell.map(|cell| energy(cell.import_wh));
        meter.reported += i64::from(cell.is_some_and(|cell| cell.is_said));
        let export = if planned.is_net {
            cell.map_or(0, |cell| energy(cell.export_wh))
        } else {
            0
        };
        meter.validated_wh += import.unwrap_or(0) - export;
        let begins_half_hour = planned.quarters > 1 || quarter % 2 == 0;
        if let Some(held) = half_hour.and_then(|at| meter.import_wh.get_mut(at)) {
            *held = match (begins_half_hour, *held) {
                (true, _) => import,
                (false, held) => held.zip(import).map(|(sum, wh)| sum + wh),
            };
        }
    }
}

fn sum(one: &HalfHour, other: &HalfHour) -> HalfHour {
    let both = |one: Option<i64>, other: Option<i64>| one.zip(other).map(|(one, other)| one + other);
    HalfHour {
        injected_wh: both(one.injected_wh, other.injected_wh),
        loss_wh: both(one.loss_wh, other.loss_wh),
        consumer_import_wh: one.consumer_import_wh + other.consumer_import_wh,
        bound_below_wh: one.bound_below_wh + other.bound_below_wh,
        bound_above_wh: one.bound_above_wh + other.bound_above_wh,
    }
}
