//! A tamper event shortly before a drop of consumption (DOMAIN section 9).
//!
//! The days from the day after the event on, at most [`DAYS_AFTER`], are held against the meter's own like days (weekday, weekend,
//! holiday: [`DayKind`](crate::vee::estimate::DayKind)) of the four weeks before it. Weather and season fall on its neighbours too, so the
//! fall counts only as far as it goes beyond theirs: the median of the same figure over the other meters of the place. A meter whose days
//! vary as much by themselves (one in ten of the days before was as low) says nothing. House choices.

use std::collections::BTreeMap;

use gridtally_schemas::Day;

use super::{
    DAYS_BEFORE, Finding, Limits, MeterMonth, Period, Sign, Subject, Tamper, kilowatt_hours, median, percent,
    permille,
};
use crate::vee::estimate::DayKind;

/// Days after an event that are looked at, at most.
pub(super) const DAYS_AFTER: i32 = 14;
/// Fewest of them that must be known.
const AFTER_MIN: usize = 3;
/// Fewest days before that must be known.
const BEFORE_MIN: usize = 5;
/// Neighbours from which on theirs is taken off.
const NEIGHBOURS_MIN: usize = 3;

/// How days after an event compare with like days before it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Change {
    /// Day after against the mean of like days, middle of all, per mille.
    after: i64,
    /// Of the days before, those as low, per mille.
    as_low_before: i64,
    /// What the days after fell short, Wh.
    short_wh: i64,
    days: usize,
}

/// The clearest fall after one of a meter's tamper events.
pub(super) fn find(
    meter: &MeterMonth,
    all: &[&MeterMonth],
    (period, limits): (Period, &Limits),
) -> Option<Finding> {
    let mut tampers: Vec<&Tamper> = meter.tampers.iter().collect();
    tampers.sort_unstable();
    let mut best: Option<Finding> = None;
    for tamper in tampers {
        let found = after(meter, tamper, all, (period, limits));
        let is_better = |found: &Finding| {
            best.as_ref()
                .is_none_or(|best| found.value_permille > best.value_permille)
        };
        if let Some(found) = found.filter(is_better) {
            best = Some(found);
        }
    }
    best
}

fn after(
    meter: &MeterMonth,
    tamper: &Tamper,
    all: &[&MeterMonth],
    (period, limits): (Period, &Limits),
) -> Option<Finding> {
    let looked = Period {
        first: Day(tamper.day.0 + 1),
        last: Day((tamper.day.0 + DAYS_AFTER).min(period.last.0)),
    };
    let change = change(meter, tamper.day, looked, limits)?;
    let others = all
        .iter()
        .filter(|other| other.meter_id != meter.meter_id)
        .filter_map(|other| change_of_other(other, tamper.day, looked, limits));
    let others: Vec<i64> = others.collect();
    let usual = if others.len() >= NEIGHBOURS_MIN {
        median(others).filter(|usual| *usual > 0)
    } else {
        None
    };
    // What the neighbours gained explains no fall.
    let usual = usual.map_or(1_000, |usual| usual.min(1_000));
    let value = 1_000 - permille(change.after, usual);
    let is_drop = value >= limits.drop_min_permille && change.as_low_before <= 100;
    is_drop.then(|| Finding {
        sign: Sign::TamperBeforeDrop,
        subject: Subject::consumer(meter),
        value_permille: value,
        threshold_permille: Some(limits.drop_min_permille),
        strength_permille: Sign::TamperBeforeDrop.strength(value, limits.drop_min_permille),
        energy_wh: Some(change.short_wh.max(0)),
        bound_wh: 0,
        coverage_permille: meter.coverage_permille(),
        period: looked,
        evidence: format!(
            "{} (event {}) on {}; on the {} days after it the meter counts {} of its own like days of the {DAYS_BEFORE} days before, its neighbours {}: {} less",
            tamper.meaning,
            tamper.code,
            tamper.day,
            change.days,
            percent(change.after),
            percent(usual),
            kilowatt_hours(change.short_wh.max(0)),
        ),
    })
}

fn change_of_other(other: &MeterMonth, event: Day, looked: Period, limits: &Limits) -> Option<i64> {
    change(other, event, looked, limits).map(|change| change.after)
}

fn change(meter: &MeterMonth, event: Day, looked: Period, limits: &Limits) -> Option<Change> {
    if looked.first > looked.last {
        return None;
    }
    let before: Vec<(Day, i64)> = meter
        .days
        .range(Day(event.0 - DAYS_BEFORE)..event)
        .map(|(day, wh)| (*day, *wh))
        .collect();
    if before.len() < BEFORE_MIN {
        return None;
    }
    let means = means(&before, limits);
    let against = |day: Day, wh: i64| {
        let mean = means.get(&limits.kind(day)).copied().filter(|mean| *mean > 0)?;
        Some((permille(wh, mean), mean - wh))
    };
    let after: Vec<(i64, i64)> = meter
        .days
        .range(looked.first..=looked.last)
        .filter_map(|(day, wh)| against(*day, *wh))
        .collect();
    if after.len() < AFTER_MIN {
        return None;
    }
    let middle = median(after.iter().map(|(share, _)| *share).collect())?;
    let shares: Vec<i64> = before
        .iter()
        .filter_map(|(day, wh)| against(*day, *wh).map(|(share, _)| share))
        .collect();
    let as_low = shares.iter().filter(|share| **share <= middle).count();
    Some(Change {
        after: middle,
        as_low_before: permille(whole(as_low), whole(shares.len())),
        short_wh: after.iter().map(|(_, short)| *short).sum(),
        days: after.len(),
    })
}

/// Mean of each kind of day; a kind that was not seen is taken to be like all days.
fn means(days: &[(Day, i64)], limits: &Limits) -> BTreeMap<DayKind, i64> {
    let mean = |of: &dyn Fn(DayKind) -> bool| {
        let figures: Vec<i64> = days
            .iter()
            .filter(|(day, _)| of(limits.kind(*day)))
            .map(|(_, wh)| *wh)
            .collect();
        (!figures.is_empty()).then(|| figures.iter().sum::<i64>() / whole(figures.len()))
    };
    let all = mean(&|_| true).unwrap_or(0);
    [DayKind::Weekday, DayKind::Weekend, DayKind::Holiday]
        .into_iter()
        .map(|kind| (kind, mean(&|other| other == kind).unwrap_or(all)))
        .collect()
}

fn whole(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
