//! A residual that follows one consumer's load: part of that load passes its meter by (DOMAIN section 9), or the multiplying factor of
//! the meter is too low.
//!
//! From half hour to half hour, with `dr` the change of the DT's residual, `dx` that of what the meter counts and `dd` that of what all
//! other meters there count, least squares gives
//!
//! ```text
//! dr = a dx + b dd + rest        value = a - b        share that passes by = value / (1 + value)
//! ```
//!
//! each less what it is on average in that half hour of the day: what comes at the same time every day (evenings, street lamps) tells one
//! consumer's load from another's by nothing. `b` is what the lines lose for each further Wh, known or not: it falls on every consumer alike
//! and leaves the value. Half hours in which a meter of the DT said nothing are left out, for what it drew is in the residual and not in
//! `dd`. Where unmetered connections may draw more than [`UNMETERED_MAX_PERMILLE`] of what comes in nothing can be told: pump sets that run
//! when a metered one does would make it a thief.
//!
//! **Error.** W. K. Newey and K. D. West, "A Simple, Positive Semi-definite, Heteroskedasticity and Autocorrelation Consistent Covariance
//! Matrix", Econometrica 55(3), 1987, with [`LAGS`] lags: changes of what is noise by itself follow one another, and large loads err more.
//!
//! **Many are tested.** Of `m` meters the value counts where it exceeds `z` errors, `m exp(-z^2 / 2) / 2 = chance`: the bound of Bonferroni
//! over the meters of the DT with the usual bound on the tail of a normal distribution (`P(Z > z) <= exp(-z^2 / 2) / 2`). Of a thousand
//! honest DTs about one names a consumer (`chance` 1 per mille). It must also be positive by two errors on the odd and on the even days
//! apart: one wrong day makes no sign.
//!
//! **When.** A bypass that begins or ends within the month is clearest in a part of it: the whole and each half are looked at, each counts as
//! a test more, and the one in which the value exceeds its error most is told.

use std::ops::Range;

use gridtally_schemas::Day;

use super::{
    DtMonth, Finding, HALF_HOURS_OF_DAY, Limits, MeterMonth, Period, Sign, Subject, hundredths,
    kilowatt_hours, part_of, percent, permille,
};
use crate::balance::ratio;

/// Lags of the error.
pub const LAGS: usize = 3;
/// Sanctioned load of unmetered connections as a share of the DT's mean load, per mille.
const UNMETERED_MAX_PERMILLE: i64 = 300;
/// Errors by which the value is positive on every other day.
const HALF_ERRORS_MIN: f64 = 2.0;

/// A consumer whose load the residual follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Followed<'a> {
    meter: &'a MeterMonth,
    /// Wh of residual for each Wh counted, beyond what it is for others, per mille.
    value_permille: i64,
    /// The value by its error, per mille.
    errors_permille: i64,
    errors_min_permille: i64,
    /// Half hours it rests on, of these.
    known: usize,
    window: Range<usize>,
    /// What passed the meter by where both are known, Wh.
    energy_wh: i64,
}

impl Contrast {
    fn errors(&self) -> f64 {
        self.value / self.error
    }
}

/// Changes from one half hour to the next.
#[derive(Debug, Clone, Copy)]
struct Step {
    own: f64,
    others: f64,
    residual: f64,
}

/// The value with its standard error.
#[derive(Debug, Clone, Copy)]
struct Contrast {
    value: f64,
    error: f64,
}

/// Consumers whose load the DT's residual follows, in the order of the meters.
pub(super) fn find<'a>(dt: &DtMonth, meters: &[&'a MeterMonth], limits: &Limits) -> Vec<Followed<'a>> {
    let lost: i64 = dt
        .half_hours
        .iter()
        .filter_map(|half_hour| half_hour.loss_wh)
        .sum();
    if lost <= 0 || has_much_unmetered(dt) {
        return Vec::new();
    }
    let errors_min = errors_min(meters.len() * windows(0).len(), limits);
    let found = meters
        .iter()
        .filter_map(|meter| follow(dt, meter, errors_min, limits));
    found.collect()
}

fn has_much_unmetered(dt: &DtMonth) -> bool {
    let known = dt.half_hours.iter().filter_map(|half_hour| half_hour.injected_wh);
    let (injected, half_hours) = known.fold((0, 0), |(sum, count), wh| (sum + wh, count + 1));
    permille(dt.unmetered_w / 2 * half_hours, injected) > UNMETERED_MAX_PERMILLE
}

/// The errors by which one of so many values must differ.
fn errors_min(tests: usize, limits: &Limits) -> f64 {
    let chance = ratio(limits.follows_chance_permille.max(1), 1_000);
    let tests = ratio(i64::try_from(tests).unwrap_or(i64::MAX), 1);
    (2.0 * (tests / (2.0 * chance)).ln()).max(0.0).sqrt()
}

/// The whole and its halves, cut between two days.
fn windows(half_hours: usize) -> [Range<usize>; 3] {
    let middle = half_hours / HALF_HOURS_OF_DAY / 2 * HALF_HOURS_OF_DAY;
    [0..half_hours, 0..middle, middle..half_hours]
}

fn follow<'a>(dt: &DtMonth, meter: &'a MeterMonth, errors_min: f64, limits: &Limits) -> Option<Followed<'a>> {
    let steps = steps(dt, meter);
    let mut clearest: Option<(Contrast, usize, Range<usize>)> = None;
    for window in windows(steps.len()) {
        let Some((contrast, known)) = found_in(steps.get(window.clone())?, errors_min, limits) else {
            continue;
        };
        if clearest
            .as_ref()
            .is_none_or(|(best, ..)| contrast.errors() > best.errors())
        {
            clearest = Some((contrast, known, window));
        }
    }
    let (contrast, known, window) = clearest?;
    let value_permille = thousandths(contrast.value);
    let both = dt.half_hours.iter().zip(&meter.import_wh);
    let in_window = both.skip(window.start).take(window.len());
    let counted: i64 = in_window.filter_map(|(of_dt, own)| of_dt.loss_wh.and(*own)).sum();
    Some(Followed {
        meter,
        value_permille,
        errors_permille: thousandths(contrast.errors()),
        errors_min_permille: thousandths(errors_min),
        known,
        window,
        energy_wh: part_of(counted, value_permille),
    })
}

/// The value in a run of steps, if it counts, with the number of steps.
fn found_in(steps: &[Option<Step>], errors_min: f64, limits: &Limits) -> Option<(Contrast, usize)> {
    let known = steps.iter().flatten().count();
    if known < limits.half_hours_min {
        return None;
    }
    let steps = &beyond_the_day(steps);
    let whole = contrast(steps)?;
    let least = ratio(limits.follows_min_permille, 1_000);
    if whole.value < least || whole.errors() < errors_min {
        return None;
    }
    let holds = |parity: usize| {
        let of_half = steps.iter().enumerate().map(|(at, step)| {
            let is_of_half = at / HALF_HOURS_OF_DAY % 2 == parity;
            step.filter(|_| is_of_half)
        });
        contrast(&of_half.collect::<Vec<_>>()).is_some_and(|half| half.errors() > HALF_ERRORS_MIN)
    };
    (holds(0) && holds(1)).then_some((whole, known))
}

/// Changes, each `None` where one of the two half hours is not known.
fn steps(dt: &DtMonth, meter: &MeterMonth) -> Vec<Option<Step>> {
    let mut before: Option<[i64; 3]> = None;
    let each = dt.half_hours.iter().zip(&meter.import_wh).map(|(of_dt, own)| {
        let now = of_dt
            .loss_wh
            .filter(|_| of_dt.bound_below_wh == 0 && of_dt.bound_above_wh == 0)
            .zip(*own)
            .map(|(loss, own)| [own, of_dt.consumer_import_wh - own, loss]);
        let step = now.zip(before).map(|(now, before)| {
            let [own, others, residual] = now;
            let [own_before, others_before, residual_before] = before;
            Step {
                own: ratio(own - own_before, 1),
                others: ratio(others - others_before, 1),
                residual: ratio(residual - residual_before, 1),
            }
        });
        before = now;
        step
    });
    each.collect()
}

/// Steps less the mean step of their half hour of the day.
fn beyond_the_day(steps: &[Option<Step>]) -> Vec<Option<Step>> {
    let mut means = [(0.0_f64, [0.0_f64; 3]); HALF_HOURS_OF_DAY];
    for (at, step) in steps.iter().enumerate() {
        if let (Some(step), Some((count, sums))) = (step, means.get_mut(at % HALF_HOURS_OF_DAY)) {
            *count += 1.0;
            let parts = [step.own, step.others, step.residual];
            sums.iter_mut().zip(parts).for_each(|(sum, part)| *sum += part);
        }
    }
    let less = |(at, step): (usize, &Option<Step>)| {
        let (count, [own, others, residual]) = means.get(at % HALF_HOURS_OF_DAY)?;
        step.map(|step| Step {
            own: step.own - own / count,
            others: step.others - others / count,
            residual: step.residual - residual / count,
        })
    };
    steps.iter().enumerate().map(less).collect()
}

/// `a - b` by least squares. `None`: one of the two never changes by itself, or there are too few.
fn contrast(steps: &[Option<Step>]) -> Option<Contrast> {
    let [mut xx, mut xd, mut dd, mut xr, mut dr] = [0.0_f64; 5];
    for step in steps.iter().flatten() {
        xx += step.own * step.own;
        xd += step.own * step.others;
        dd += step.others * step.others;
        xr += step.own * step.residual;
        dr += step.others * step.residual;
    }
    let determinant = xx * dd - xd * xd;
    // Nothing is left of a load once the others' is taken off.
    if determinant <= 1e-9 * xx * dd {
        return None;
    }
    let a = (dd * xr - xd * dr) / determinant;
    let b = (xx * dr - xd * xr) / determinant;
    // The value is a sum over steps of weight x residual; of its error, of weight x what is left.
    let [of_own, of_others] = [(dd + xd) / determinant, -(xd + xx) / determinant];
    let parts = steps.iter().map(|step| {
        step.map_or(0.0, |step| {
            let rest = step.residual - a * step.own - b * step.others;
            (of_own * step.own + of_others * step.others) * rest
        })
    });
    let variance = newey_west(&parts.collect::<Vec<f64>>());
    let error = variance.max(0.0).sqrt();
    (error > 0.0).then_some(Contrast { value: a - b, error })
}

/// Variance of the sum of these, each of which may follow those before it.
fn newey_west(parts: &[f64]) -> f64 {
    let at_lag = |lag: usize| {
        let pairs = parts.iter().zip(parts.iter().skip(lag));
        pairs.map(|(before, now)| before * now).sum::<f64>()
    };
    let lags = (1..=LAGS).map(|lag| {
        let [lag_number, all] = [lag, LAGS + 1].map(|number| i64::try_from(number).unwrap_or(0));
        2.0 * (1.0 - ratio(lag_number, all)) * at_lag(lag)
    });
    // Below the variance without lags it would be chance that helps.
    at_lag(0) + lags.sum::<f64>().max(0.0)
}

/// A figure as whole thousandths, cut; bounded.
fn thousandths(figure: f64) -> i64 {
    #[expect(
        clippy::as_conversions,
        clippy::cast_possible_truncation,
        reason = "bounded before; the fraction is meant to go"
    )]
    let cut = (figure * 1_000.0).clamp(-1e9, 1e9) as i64;
    cut
}

impl Followed<'_> {
    /// What passed the meter by in a half hour in which it counted so much, Wh.
    pub(super) fn missed_wh(&self, at: usize) -> i64 {
        let is_in = self.window.contains(&at);
        let own = self
            .meter
            .import_wh
            .get(at)
            .copied()
            .flatten()
            .filter(|_| is_in)
            .unwrap_or(0);
        part_of(own, self.value_permille)
    }

    /// Who.
    pub(super) fn consumer_id(&self) -> &str {
        &self.meter.consumer_id
    }

    /// The days of the window.
    fn period(&self, whole: Period) -> Period {
        let day = |half_hour: usize| {
            let days = i32::try_from(half_hour / HALF_HOURS_OF_DAY).unwrap_or(0);
            Day((whole.first.0 + days).min(whole.last.0))
        };
        Period {
            first: day(self.window.start),
            last: day(self.window.end.saturating_sub(1)),
        }
    }

    pub(super) fn finding(&self, dt: &DtMonth, period: Period, limits: &Limits) -> Finding {
        let share = permille(self.value_permille, 1_000 + self.value_permille);
        Finding {
            sign: Sign::ResidualFollows,
            subject: Subject::consumer(self.meter),
            value_permille: self.value_permille,
            threshold_permille: Some(limits.follows_min_permille),
            strength_permille: Sign::ResidualFollows
                .strength(self.value_permille, limits.follows_min_permille),
            energy_wh: Some(self.energy_wh),
            bound_wh: 0,
            coverage_permille: dt.coverage_permille(),
            period: self.period(period),
            evidence: format!(
                "for each Wh it counts the DT's residual rises by {} Wh more than for the other meters, {} standard errors ({} needed among the DT's meters), over {} half hours: as if {} of what it draws ({}) passed the meter by, or its multiplying factor were too low",
                hundredths(self.value_permille),
                hundredths(self.errors_permille),
                hundredths(self.errors_min_permille),
                self.known,
                percent(share),
                kilowatt_hours(self.energy_wh),
            ),
        }
    }
}
