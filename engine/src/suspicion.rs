//! Suspicion, with evidence: where energy is lost that nobody pays for, and which consumers to look at first. A pure function of a month
//! of one place (a DT with all its meters, or the HT meters of a feeder); whole numbers and canonical order, so that neither the order in
//! which things came nor the machine changes a figure (ORD-1).
//!
//! Promises:
//! - a DT whose coverage in the month is below `coverage_min_permille` (95 %) is not judged, nor any consumer by its residual (DOMAIN
//!   section 9). What rests on a meter alone (bills, tamper events) asks the same coverage of that meter;
//! - every finding says what it rests on: sign, value, threshold, the days looked at, and the evidence in words;
//! - a sign is grounds to look, never a proof: it accuses nobody.
//!
//! | Sign | Of | Value and threshold |
//! |---|---|---|
//! | `unaccounted_energy` | DT | loss as a share of what came in; above the technical loss by 1 % |
//! | `negative_residual` | DT | the same below -3 %: wrong mapping, wrong multiplying factor or a missing meter (DOMAIN section 2) |
//! | `night_residual` | DT | share of what came in from 0 to 4 h that neither technical loss nor what follows a consumer explains; 20 %, most nights |
//! | `residual_follows` | consumer | Wh by which the residual rises for each Wh that this meter counts, beyond what it rises for the others; 0.2 |
//! | `tamper_before_drop` | consumer | fall of what the meter counts from a tamper event on, against its own like days and its neighbours; 35 % |
//! | `bill_below_reads` | consumer | energy billed as a share of the month's validated reads; below 80 % and by 20 kWh |
//! | `wrong_mapping` | consumer | the rule of that name ([`crate::vee::mapping`]) objected in the month: it may be another DT's loss |
//!
//! **What the residual is.** Injected less delivered of DOMAIN section 2, as `dt_balance` has it. That a residual which follows one
//! consumer's load gives away a bypass, and one that stays at night a hook, is DOMAIN section 9; how it is measured is house choice: see
//! [`follows`] and [`residual`].
//!
//! **Score.** Each finding has a strength, 500 per mille at its threshold and 1,000 where it is sure ([`Sign::sure_permille`]). A consumer's
//! score is `1 - product of (1 - weight x strength)` over its signs, the rule for independent grounds. Weights ([`Sign::weight_permille`])
//! are house choice, set on the synthetic fleet alone (tests/suspicion.rs prints what they reach there): no field data stands behind them
//! yet, and they are to be set anew from the outcomes of inspections. DTs are ranked by energy that is certainly unaccounted (less the
//! bound of what missing meters could have drawn), times coverage.

use std::collections::BTreeMap;

use gridtally_schemas::Day;

use crate::vee::estimate::DayKind;

mod bills;
pub mod follows;
mod rank;
pub mod residual;
mod sign;
mod tamper;
#[cfg(test)]
mod tests;

pub use rank::{Suspect, rank};
pub use sign::{Finding, Sign, Subject};

/// Half hours of a civil day.
pub const HALF_HOURS_OF_DAY: usize = 48;
/// Days before a month whose sums of day are looked at, as like days of what came after a tamper event.
pub const DAYS_BEFORE: i32 = 28;
/// Meanings of events that say that somebody was at the meter (DOMAIN section 4).
pub const TAMPERS: [&str; 7] = [
    "current reversal",
    "CT open",
    "CT bypass",
    "magnet",
    "neutral disturbance",
    "single-wire operation",
    "meter cover opened",
];

/// What signs measure against. House choices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Least coverage of a DT, or of a meter by itself, per mille. Default 950.
    pub coverage_min_permille: i64,
    /// Technical loss of a DT's low-tension lines where master data says none, per mille of what comes in. Default 60.
    pub technical_permille: i64,
    /// Share of loss beyond the technical one from which a DT is named, per mille. Default 10.
    pub unaccounted_min_permille: i64,
    /// A loss below this is negative, per mille. Default -30 (DOMAIN section 2).
    pub negative_max_permille: i64,
    /// Unexplained share at night, per mille. Default 200.
    pub night_min_permille: i64,
    /// Nights on which that must hold, per mille of the nights known. Default 750.
    pub nights_min_permille: i64,
    /// Least rise of the residual with a consumer, per mille. Default 200: a sixth of what is drawn passes the meter by.
    pub follows_min_permille: i64,
    /// Consumers of an honest DT that may be named by chance, per mille. Default 1.
    pub follows_chance_permille: i64,
    /// Fewest half hours of a month that must be known for that. Default 336: a week.
    pub half_hours_min: usize,
    /// Least fall after a tamper event, per mille. Default 350.
    pub drop_min_permille: i64,
    /// Least part of the validated energy that a bill must have, per mille. Default 800.
    pub billed_min_permille: i64,
    /// Least energy that a bill must leave out to be named, Wh. Default 20 kWh.
    pub bill_short_min_wh: i64,
    /// Public holidays: their load is like that of other holidays.
    pub holidays: std::collections::BTreeSet<Day>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            coverage_min_permille: 950,
            technical_permille: 60,
            unaccounted_min_permille: 10,
            negative_max_permille: -30,
            night_min_permille: 200,
            nights_min_permille: 750,
            follows_min_permille: 200,
            follows_chance_permille: 1,
            half_hours_min: 7 * HALF_HOURS_OF_DAY,
            drop_min_permille: 350,
            billed_min_permille: 800,
            bill_short_min_wh: 20_000,
            holidays: std::collections::BTreeSet::new(),
        }
    }
}

impl Limits {
    fn kind(&self, day: Day) -> DayKind {
        DayKind::of(day, &self.holidays)
    }
}

/// A civil month, or any run of whole days.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Period {
    /// Its first day.
    pub first: Day,
    /// Its last day.
    pub last: Day,
}

impl Period {
    /// The month that begins with `first`.
    #[must_use]
    pub fn month(first: Day) -> Self {
        Self {
            first,
            last: Day(first.0 + first.days_in_month() - 1),
        }
    }

    fn contains(&self, day: Day) -> bool {
        self.first <= day && day <= self.last
    }
}

/// A DT in one half hour, Wh on the network.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct HalfHour {
    /// What came in; `None`: not known, or too few meters reported.
    pub injected_wh: Option<i64>,
    /// What of it was not delivered; `None` as above.
    pub loss_wh: Option<i64>,
    /// What all its consumers' meters took.
    pub consumer_import_wh: i64,
    /// By how much the true loss may be less, for missing consumers.
    pub bound_below_wh: i64,
    /// By how much the true loss may be more, for missing generators.
    pub bound_above_wh: i64,
}

impl DtMonth {
    fn coverage_permille(&self) -> i64 {
        permille(self.reported, self.expected)
    }
}

impl HalfHour {
    /// Injected and lost, where both are known.
    const fn known(&self) -> Option<(i64, i64)> {
        match (self.injected_wh, self.loss_wh) {
            (Some(injected), Some(loss)) => Some((injected, loss)),
            (Some(_) | None, _) => None,
        }
    }
}

/// A DT with a meter of its own, over the period.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct DtMonth {
    /// Technical loss of its lines by master data, per mille; `None`: not said.
    pub technical_permille: Option<i64>,
    /// By half hour from the period's begin on.
    pub half_hours: Vec<HalfHour>,
    /// Reads that its meters owed.
    pub expected: i64,
    /// Of those, reads that came.
    pub reported: i64,
    /// Sanctioned load of its unmetered connections, W: what they draw beyond their assessment is a residual too.
    pub unmetered_w: i64,
}

/// A tamper event of a meter.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tamper {
    /// The civil day of it.
    pub day: Day,
    /// Its code.
    pub code: i32,
    /// What it means: one of [`TAMPERS`].
    pub meaning: String,
}

/// An objection of `wrong_mapping` to a meter's place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Misplaced {
    /// The day of it.
    pub day: Day,
    /// What the rule measured, per mille.
    pub value_permille: i64,
    /// In words.
    pub detail: String,
}

/// A consumer's meter over the period.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct MeterMonth {
    /// Whose.
    pub consumer_id: String,
    /// Which.
    pub meter_id: String,
    /// Import on the network by half hour from the period's begin on, Wh; `None`: some of it was not said.
    pub import_wh: Vec<Option<i64>>,
    /// Import of each day that is known wholly, from [`DAYS_BEFORE`] days before the period on, Wh.
    pub days: BTreeMap<Day, i64>,
    /// Reads that it owed in the period.
    pub expected: i64,
    /// Of those, reads that came.
    pub reported: i64,
    /// What it should be billed for by its validated reads (import, under net metering less export), Wh.
    pub validated_wh: i64,
    /// What it was billed for, Wh; `None`: no bill is known.
    pub billed_wh: Option<i64>,
    /// Its tamper events, from [`DAYS_BEFORE`] days before the period on.
    pub tampers: Vec<Tamper>,
    /// Objections to its place in the period.
    pub misplaced: Vec<Misplaced>,
}

/// A place over a period.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Place {
    /// The DT's own balance; `None`: it has no meter, or this is the HT side of a feeder.
    pub dt: Option<DtMonth>,
    /// The consumers' meters that hang there throughout the period.
    pub meters: Vec<MeterMonth>,
}

/// What is suspicious at a place in a period: in the order of subjects and signs, whatever the order of the meters.
#[must_use]
pub fn judge(place: &Place, period: Period, limits: &Limits) -> Vec<Finding> {
    let mut meters: Vec<&MeterMonth> = place.meters.iter().collect();
    meters
        .sort_by(|one, other| (&one.meter_id, &one.consumer_id).cmp(&(&other.meter_id, &other.consumer_id)));
    let mut findings = Vec::new();
    let covered = place
        .dt
        .as_ref()
        .filter(|dt| is_covered(dt.reported, dt.expected, limits));
    if let Some(dt) = covered {
        let followed = follows::find(dt, &meters, limits);
        findings.extend(residual::find(dt, &meters, &followed, (period, limits)));
        findings.extend(
            followed
                .iter()
                .map(|followed| followed.finding(dt, period, limits)),
        );
    }
    for meter in &meters {
        findings.extend(meter.misplaced(period));
        if is_covered(meter.reported, meter.expected, limits) {
            findings.extend(bills::find(meter, period, limits));
            findings.extend(tamper::find(meter, &meters, (period, limits)));
        }
    }
    findings.sort_by(|one, other| (&one.subject, one.sign).cmp(&(&other.subject, other.sign)));
    findings
}

impl MeterMonth {
    fn coverage_permille(&self) -> i64 {
        permille(self.reported, self.expected)
    }

    /// The newest objection to its place in the period.
    fn misplaced(&self, period: Period) -> Option<Finding> {
        let of_period = self.misplaced.iter().filter(|found| period.contains(found.day));
        let found = of_period.max()?;
        Some(Finding {
            sign: Sign::WrongMapping,
            subject: Subject::consumer(self),
            value_permille: found.value_permille,
            threshold_permille: None,
            strength_permille: 1_000,
            energy_wh: None,
            bound_wh: 0,
            coverage_permille: self.coverage_permille(),
            period,
            evidence: found.detail.clone(),
        })
    }
}

fn is_covered(reported: i64, expected: i64, limits: &Limits) -> bool {
    expected > 0 && permille(reported, expected) >= limits.coverage_min_permille
}

/// A part of a whole, per mille, cut; 0 of nothing.
fn permille(part: i64, whole: i64) -> i64 {
    if whole == 0 {
        return 0;
    }
    let share = i128::from(part) * 1_000 / i128::from(whole);
    i64::try_from(share).unwrap_or(if share < 0 { i64::MIN } else { i64::MAX })
}

/// So many per mille of something.
fn part_of(whole: i64, permille: i64) -> i64 {
    let part = i128::from(whole) * i128::from(permille) / 1_000;
    i64::try_from(part).unwrap_or(i64::MAX)
}

/// Per mille as per cent in words, with one decimal.
fn percent(permille: i64) -> String {
    let sign = if permille < 0 { "-" } else { "" };
    let size = permille.unsigned_abs();
    format!("{sign}{}.{} %", size / 10, size % 10)
}

/// Energy in words, kWh with one decimal, cut.
fn kilowatt_hours(wh: i64) -> String {
    let sign = if wh < 0 { "-" } else { "" };
    let size = wh.unsigned_abs();
    format!("{sign}{}.{} kWh", size / 1_000, size % 1_000 / 100)
}

/// A figure in thousandths with two decimals, cut.
fn hundredths(permille: i64) -> String {
    let sign = if permille <= -10 { "-" } else { "" };
    let size = permille.unsigned_abs();
    format!("{sign}{}.{:02}", size / 1_000, size % 1_000 / 10)
}

/// The middle of these; of two the lesser. `None`: there are none.
fn median(mut figures: Vec<i64>) -> Option<i64> {
    figures.sort_unstable();
    figures.get(figures.len().checked_sub(1)? / 2).copied()
}
