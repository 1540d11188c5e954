//! Number of interruptions, and days of bad voltage: a count in a civil period against the number allowed.

use std::collections::{BTreeMap, BTreeSet};

use gridtally_schemas::{Day, UtcMicros};

use super::{
    Candidate, Measure, Nothing, Priced, RuleError, Scene, allowed_count, missing,
    outage::{exemption, spans},
};
use crate::compensation::{
    calendar::{Counting, Period, union, without},
    evidence::{Connection, Span, SupplyLoss, VoltageDay},
    ledger::DefaultKey,
    rate::Excess,
    regulation::{Affected, Case, Covers, Kind, Regulation, Standard, VoltageBand},
};

/// What was counted in one period under one standard.
struct Count<'a> {
    regulation: &'a Regulation,
    standard: &'a Standard,
    period: Period,
    /// By begin, with the connection at that time: the first decides area and supply.
    counted: BTreeSet<(UtcMicros, ByContent)>,
    voltage: bool,
}

/// A connection in an order of its own, so that sets are the same in any order of evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct ByContent(
    gridtally_schemas::network::Supply,
    Option<gridtally_schemas::network::AreaClass>,
);

type Counts<'a> = BTreeMap<(&'a str, Day), Count<'a>>;

pub(super) fn candidates<'a>(scene: &Scene<'a>) -> Result<Vec<Candidate<'a>>, RuleError> {
    let mut counts = Counts::new();
    for loss in &scene.evidence.losses {
        for span in spans(loss, scene.as_of) {
            let lasted = Counting {
                zone: &scene.book.zone,
                working: None,
            };
            let minutes = lasted.minutes(&without(&[span], loss.outside_supply_hours.iter().copied()));
            let counts_under = |standard: &Standard| interruption_counts(standard, loss, minutes);
            add(scene, &mut counts, (span.from, loss.connection), counts_under);
        }
    }
    let dark = union(
        scene
            .evidence
            .losses
            .iter()
            .flat_map(|loss| spans(loss, scene.as_of)),
    );
    for day in &scene.evidence.voltages {
        let at = scene.book.zone.start_of(day.day);
        add(scene, &mut counts, (at, day.connection), |standard| {
            voltage_counts(standard, day, &dark)
        });
    }
    counts
        .iter()
        .map(|((_, first), count)| candidate(scene, *first, count))
        .collect()
}

fn interruption_counts(standard: &Standard, loss: &SupplyLoss, minutes: i64) -> Option<Period> {
    let (covers, longer_than, period): (&Covers, i64, Period) = match &standard.kind {
        Kind::InterruptionCount {
            covers,
            longer_than_minutes,
            period,
        } => (covers, *longer_than_minutes, *period),
        Kind::NoSupply(_) | Kind::ScheduledOutage(_) | Kind::VoltageDays { .. } | Kind::Process => {
            return None;
        }
    };
    let counts = covers.covers(loss.class, loss.notice)
        && minutes > longer_than
        && exemption(standard, loss).is_none();
    counts.then_some(period)
}

fn voltage_counts(standard: &Standard, day: &VoltageDay, dark: &[Span]) -> Option<Period> {
    match &standard.kind {
        Kind::VoltageDays { band, period } => out_of_limits(band, day, dark).then_some(*period),
        Kind::NoSupply(_) | Kind::ScheduledOutage(_) | Kind::InterruptionCount { .. } | Kind::Process => None,
    }
}

/// Whether the voltage was outside for as many minutes as make the day count. Intervals that a `dark` span touches are left
/// out: no supply is not bad voltage. A voltage that is no number is not outside.
fn out_of_limits(band: &VoltageBand, day: &VoltageDay, dark: &[Span]) -> bool {
    let nominal = f64::from(band.nominal_v);
    let low = nominal * f64::from(100 - band.below_pct) / 100.0;
    let high = nominal * f64::from(100 + band.above_pct) / 100.0;
    let outside = day
        .readings
        .iter()
        .filter(|reading| reading.volts < low || reading.volts > high);
    let supplied = outside.filter(|reading| {
        let from = reading.interval_end.plus(-reading.interval.micros());
        !dark
            .iter()
            .any(|span| span.from < reading.interval_end && from < span.to)
    });
    let minutes: i64 = supplied.map(|reading| reading.interval.minutes()).sum();
    minutes >= band.minutes_a_day
}

/// Adds one occurrence to every standard under which it counts, in the regulation in force when the period begins.
fn add<'a>(
    scene: &Scene<'a>,
    counts: &mut Counts<'a>,
    (at, connection): (UtcMicros, Connection),
    counts_under: impl Fn(&Standard) -> Option<Period>,
) {
    let day = scene.day(at);
    for period in Period::ALL {
        let first = period.first_day(day);
        let Some(regulation) = scene.book.on(first) else {
            continue;
        };
        for standard in &regulation.standards {
            if counts_under(standard) != Some(*period) {
                continue;
            }
            let count = counts
                .entry((standard.id.as_str(), first))
                .or_insert_with(|| Count {
                    regulation,
                    standard,
                    period: *period,
                    counted: BTreeSet::new(),
                    voltage: matches!(standard.kind, Kind::VoltageDays { .. }),
                });
            count
                .counted
                .insert((at, ByContent(connection.supply, connection.area_class)));
        }
    }
}

fn candidate<'a>(scene: &Scene<'a>, first: Day, count: &Count<'a>) -> Result<Candidate<'a>, RuleError> {
    let default = DefaultKey::Period {
        standard: count.standard.id.clone(),
        first_day: first,
    };
    let ends_at = scene.book.zone.start_of(count.period.after(first));
    let priced = price(first, count).ok_or_else(|| RuleError::TooLarge {
        default: default.clone(),
    })?;
    Ok(Candidate {
        default,
        began_at: scene.book.zone.start_of(first),
        ended_at: (ends_at <= scene.as_of).then_some(ends_at.plus(-1)),
        priced,
    })
}

/// The outer `None` is an amount too large to be held.
fn price<'a>(first: Day, count: &Count<'a>) -> Option<Result<Priced<'a>, Nothing>> {
    let standard = count.standard;
    let Some((_, ByContent(supply, area))) = count.counted.first().copied() else {
        return Some(Err(Nothing::NotCovered));
    };
    let case = Case {
        of: None,
        area,
        supply,
        affected: Affected::One,
        day: first,
    };
    let Some(limit) = standard.limit(&case) else {
        return Some(Err(missing(&case, Nothing::NoLimit)));
    };
    let times: BTreeSet<UtcMicros> = count.counted.iter().map(|(at, _)| *at).collect();
    let measured = i64::try_from(times.len()).unwrap_or(i64::MAX);
    let allowed = allowed_count(limit.allowance);
    let beyond = (measured - allowed).max(0);
    let measure = Measure {
        regulation: count.regulation,
        standard,
        case,
        clause: &limit.clause,
        measured,
        allowed,
        excess: if count.voltage {
            Excess::Days(beyond)
        } else {
            Excess::Interruptions(beyond)
        },
        grace_minutes: 0,
        fault_type: None,
    };
    measure.priced()
}
