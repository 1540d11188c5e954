//! The soft rules over a meter's day: a pure function of its values, registers, context and limits.

use gridtally_schemas::network::{MeterRole, Supply};

use super::{Context, MeterDay, Rule, day::real, register};
use crate::state::{Quarter, Value};

#[cfg(test)]
mod tests;

/// Minutes of a quarter hour.
const QUARTER_MINUTES: u32 = 15;
/// The rank of the interval that a spike is measured against: three spikes in two days do not hide one another.
const SPIKE_RANK: usize = 4;
/// Fewest intervals that make a day to measure a spike against.
const SPIKE_INTERVALS_MIN: usize = 24;

/// An objection to a meter's interval, or to several that follow one another.
#[derive(Debug, Clone, PartialEq)]
pub struct Exception {
    /// The interval, by its last quarter: of several the first.
    pub quarter: Quarter,
    /// The rule that objects.
    pub rule: Rule,
    /// What it measured, in the rule's own unit; `None`: it measures nothing.
    pub value: Option<f64>,
    /// The objection in words.
    pub detail: String,
}

/// Finds everything that the soft rules object to in a day, into `found`, at most one exception for a rule and interval.
pub fn evaluate(day: &MeterDay<'_>, found: &mut Vec<Exception>) {
    found.clear();
    let Some(context) = day.last_context() else {
        return;
    };
    let counts_half_hours = day.counts_half_hours();
    wrong_length(day, counts_half_hours, found);
    if day.gaps_due && !counts_half_hours {
        gaps(day, found);
    }
    above_capacity(day, found);
    if !matches!(context.role, MeterRole::Boundary) {
        spikes(day, context, found);
    }
    same_energy(day, context, found);
    electrical(day, found);
    clock_drift(day, found);
    if matches!(context.role, MeterRole::Consumer | MeterRole::Generation) {
        export_at_night(day, found);
    }
    register::check(day, found);
    negative_balance(day, context, found);
}

/// Objections to intervals that follow one another.
struct Run {
    quarter: Quarter,
    worst: f64,
    intervals: u32,
}

/// Calls `close` for each run of intervals to which `objection` gives a measure. `distance` says which of two measures is worse.
fn runs(
    day: &MeterDay<'_>,
    objection: impl Fn(usize, &Context<'_>, Option<&Value>) -> Option<f64>,
    distance: impl Fn(f64) -> f64,
    mut close: impl FnMut(&Run),
) {
    let mut open: Option<Run> = None;
    for (position, context, cell) in day.expected() {
        let Some(measure) = objection(position, context, cell) else {
            if let Some(run) = open.take() {
                close(&run);
            }
            continue;
        };
        let quarter = day.quarter(position);
        let run = open.get_or_insert(Run {
            quarter,
            worst: measure,
            intervals: 0,
        });
        run.intervals += 1;
        if distance(measure) > distance(run.worst) {
            run.worst = measure;
        }
    }
    if let Some(run) = open {
        close(&run);
    }
}

fn of_run(rule: Rule, run: &Run, detail: impl FnOnce(&Run) -> String) -> Exception {
    Exception {
        quarter: run.quarter,
        rule,
        value: Some(run.worst),
        detail: detail(run),
    }
}

fn wrong_length(day: &MeterDay<'_>, counts_half_hours: bool, found: &mut Vec<Exception>) {
    let off_grid = |position: usize| {
        let context = day.context_at(position);
        context.is_some_and(|context| !day.ends_interval(position, context))
    };
    let is_wrong = |position: usize| counts_half_hours || off_grid(position);
    let known = day.cells.iter().enumerate().filter(|(_, cell)| cell.is_some());
    let mut wrong = known.map(|(position, _)| position).filter(|at| is_wrong(*at));
    let Some(first) = wrong.next() else { return };
    let count = 1 + i64::try_from(wrong.count()).unwrap_or(i64::MAX);
    found.push(Exception {
        quarter: day.quarter(first),
        rule: Rule::WrongLength,
        value: Some(real(count)),
        detail: if counts_half_hours {
            "a quarter-hour meter with values at the half hours alone".to_owned()
        } else {
            "values where no interval of the meter ends".to_owned()
        },
    });
}

fn gaps(day: &MeterDay<'_>, found: &mut Vec<Exception>) {
    runs(
        day,
        |at, context, cell| (cell.is_none() && !day.is_dark(at, context.quarters)).then_some(0.0),
        |_| 0.0,
        |run| {
            found.push(Exception {
                value: Some(f64::from(run.intervals)),
                ..of_run(Rule::Gap, run, |run| {
                    format!("{} intervals without value", run.intervals)
                })
            });
        },
    );
}

fn above_capacity(day: &MeterDay<'_>, found: &mut Vec<Exception>) {
    let objection = |_, context: &Context<'_>, cell: Option<&Value>| {
        let (value, capacity_w) = (cell?, context.capacity_w?);
        let most = value.import_wh.max(value.export_wh.unwrap_or(0));
        let network_wh = real(context.network_wh(most));
        let carried_wh = real(context.interval_wh(capacity_w)) * context.limits.capacity_factor;
        (network_wh > carried_wh).then_some(network_wh)
    };
    runs(
        day,
        objection,
        |wh| wh,
        |run| {
            found.push(of_run(Rule::AboveCapacity, run, |run| {
                format!(
                    "up to {} Wh in an interval, in {} of them",
                    run.worst, run.intervals
                )
            }));
        },
    );
}

fn spikes(day: &MeterDay<'_>, context: &Context<'_>, found: &mut Vec<Exception>) {
    let mut highest = [0_u32; SPIKE_RANK];
    let mut intervals = 0;
    for import in day.imports(context.quarters) {
        let Some(import_wh) = import.import_wh else {
            continue;
        };
        // What is zero for want of supply says nothing of what is usual.
        intervals += usize::from(!import.is_dark);
        if let Some(at) = highest.iter().position(|held| import_wh > *held)
            && let Some(lower) = highest.get_mut(at..)
        {
            lower.rotate_right(1);
            if let Some(place) = lower.first_mut() {
                *place = import_wh;
            }
        }
    }
    if intervals < SPIKE_INTERVALS_MIN {
        return;
    }
    let usual = highest.last().copied().unwrap_or(0).max(1);
    let bound = u64::from(usual) * u64::from(context.limits.spike_factor);
    for (position, context, value) in day
        .expected()
        .filter_map(|(at, context, cell)| Some((at, context, cell?)))
    {
        if u64::from(value.import_wh) <= bound {
            continue;
        }
        let half_capacity_w = context.capacity_w.unwrap_or(0) / 2;
        let floor_wh = context.interval_wh(context.limits.spike_floor_w.max(half_capacity_w));
        if context.network_wh(value.import_wh) > floor_wh {
            found.push(Exception {
                quarter: day.quarter(position),
                rule: Rule::Spike,
                value: Some(f64::from(value.import_wh)),
                detail: format!(
                    "{} Wh; the fourth highest of two days is {usual} Wh",
                    value.import_wh
                ),
            });
        }
    }
}

/// The longest run of one import that ends in the day, with its place in it.
#[derive(Debug, Clone, Copy, Default)]
struct Same {
    import_wh: u32,
    /// Intervals in all, the day before included.
    intervals: u32,
    /// Of these, without supply as is known.
    dark: u32,
    /// Position of its first interval in the day, and their number.
    of_day: Option<(usize, u32)>,
}

/// `stuck` and `long_zero`: the same energy for long. Of several runs in a day the longest counts.
fn same_energy(day: &MeterDay<'_>, context: &Context<'_>, found: &mut Vec<Exception>) {
    let (mut run, mut longest_zero, mut longest_stuck) = (Same::default(), Same::default(), Same::default());
    for import in day.imports(context.quarters) {
        let Some(import_wh) = import.import_wh else {
            run = Same::default();
            continue;
        };
        if run.intervals == 0 || run.import_wh != import_wh {
            run = Same {
                import_wh,
                ..Same::default()
            };
        }
        run.intervals += 1;
        run.dark += u32::from(import.is_dark);
        if let Some(position) = import.position {
            let (first, count) = run.of_day.unwrap_or((position, 0));
            run.of_day = Some((first, count + 1));
            let longest = if import_wh == 0 {
                &mut longest_zero
            } else {
                &mut longest_stuck
            };
            if run.intervals > longest.intervals {
                *longest = run;
            }
        }
    }
    let limits = context.limits;
    let is_long = |run: &Same, quarters: u32| {
        let intervals = run.intervals.saturating_sub(run.dark);
        intervals.saturating_mul(context.quarters) >= quarters
    };
    let is_load = context.network_wh(longest_stuck.import_wh) >= context.interval_wh(limits.stuck_floor_w);
    if let Some((first, _)) = longest_stuck.of_day
        && is_long(&longest_stuck, limits.stuck_quarters)
        && is_load
    {
        let Same {
            import_wh, intervals, ..
        } = longest_stuck;
        found.push(Exception {
            quarter: day.quarter(first),
            rule: Rule::Stuck,
            value: Some(f64::from(import_wh)),
            detail: format!("{import_wh} Wh in {intervals} intervals in a row"),
        });
    }
    if let Some((first, count)) = longest_zero.of_day
        && context.role == MeterRole::Consumer
        && is_long(&longest_zero, limits.zero_quarters)
        && is_dark_alone(day, context, (first, count))
    {
        found.push(Exception {
            quarter: day.quarter(first),
            rule: Rule::LongZero,
            value: Some(f64::from(count)),
            detail: format!(
                "no energy in {} intervals in a row while the DT's meter counts",
                longest_zero.intervals
            ),
        });
    }
}

/// Whether a consumer has neither import nor export in the run while the meter of its DT counts in at least half of it.
fn is_dark_alone(day: &MeterDay<'_>, context: &Context<'_>, (first, count): (usize, u32)) -> bool {
    let length = usize::try_from(count.saturating_mul(context.quarters)).unwrap_or(0);
    let span = first..first.saturating_add(length).min(day.cells.len());
    let gives = |cell: &Option<Value>| {
        cell.as_ref()
            .and_then(|value| value.export_wh)
            .is_some_and(|wh| wh > 0)
    };
    let dark = day.cells.get(span.clone()).unwrap_or_default();
    let live = day.dt_live.get(span).unwrap_or_default();
    !dark.iter().any(gives) && live.iter().filter(|live| **live).count() * 2 >= dark.len() && !live.is_empty()
}

fn electrical(day: &MeterDay<'_>, found: &mut Vec<Exception>) {
    let shortfall = |_, context: &Context<'_>, cell: Option<&Value>| {
        let value = cell?;
        let (active, apparent) = (f64::from(value.import_wh), f64::from(value.import_vah?));
        // Two counts for the rounding of either register.
        let tolerated = (active * context.limits.kvah_tolerance_pct / 100.0).max(2.0);
        (apparent + tolerated < active).then_some(active - apparent)
    };
    runs(
        day,
        shortfall,
        |vah| vah,
        |run| {
            found.push(of_run(Rule::KvahBelowKwh, run, |run| {
                format!(
                    "up to {} VAh less than Wh, in {} intervals",
                    run.worst, run.intervals
                )
            }));
        },
    );
    let outside = |_, context: &Context<'_>, cell: Option<&Value>| {
        let volts = cell?.voltage_v.filter(|volts| *volts != 0.0)?;
        let limits = context.limits;
        let is_plausible = (limits.voltage_min_v..=limits.voltage_max_v).contains(&volts);
        (context.supply == Some(Supply::Lt) && !is_plausible).then_some(f64::from(volts))
    };
    let nominal = 240.0_f64;
    runs(
        day,
        outside,
        |volts| (volts - nominal).abs(),
        |run| {
            found.push(of_run(Rule::VoltageOutOfRange, run, |run| {
                format!("{:.1} V, in {} intervals", run.worst, run.intervals)
            }));
        },
    );
}

fn clock_drift(day: &MeterDay<'_>, found: &mut Vec<Exception>) {
    let lead = |position: usize, context: &Context<'_>, cell: Option<&Value>| {
        let end = day.quarter(position).end();
        let seconds = (end.0 - cell?.captured_at?.0) / 1_000_000;
        (seconds >= context.limits.clock_drift_seconds).then_some(real(seconds))
    };
    runs(
        day,
        lead,
        |seconds| seconds,
        |run| {
            found.push(of_run(Rule::ClockDrift, run, |run| {
                format!(
                    "made up to {} s before the interval ended, in {} intervals",
                    run.worst, run.intervals
                )
            }));
        },
    );
}

fn export_at_night(day: &MeterDay<'_>, found: &mut Vec<Exception>) {
    let objection = |position: usize, context: &Context<'_>, cell: Option<&Value>| {
        let export_wh = cell?.export_wh?;
        let limits = context.limits;
        let end = u32::try_from(position + 1)
            .unwrap_or(u32::MAX)
            .saturating_mul(QUARTER_MINUTES);
        let begin = end.saturating_sub(context.quarters * QUARTER_MINUTES);
        let is_night = begin >= limits.night_from_minute || end <= limits.night_until_minute;
        let is_much = context.network_wh(export_wh) > context.interval_wh(limits.night_export_floor_w);
        (is_night && is_much).then_some(f64::from(export_wh))
    };
    runs(
        day,
        objection,
        |wh| wh,
        |run| {
            found.push(of_run(Rule::ExportAtNight, run, |run| {
                format!(
                    "up to {} Wh in an interval, in {} of them",
                    run.worst, run.intervals
                )
            }));
        },
    );
}

fn negative_balance(day: &MeterDay<'_>, context: &Context<'_>, found: &mut Vec<Exception>) {
    let (Some(balance), Some(last)) = (day.balance, day.cells.len().checked_sub(1)) else {
        return;
    };
    let loss_pct = if balance.injected_wh > 0 {
        100.0 * crate::balance::ratio(balance.loss_wh, balance.injected_wh)
    } else if balance.loss_wh < 0 {
        -100.0
    } else {
        0.0
    };
    if loss_pct < -context.limits.negative_balance_pct {
        found.push(Exception {
            quarter: day.quarter(last),
            rule: Rule::NegativeBalance,
            value: Some(loss_pct),
            detail: format!(
                "{} Wh more delivered than the {} Wh injected: a multiplying factor or a mapping is wrong, or a meter is missing",
                -balance.loss_wh, balance.injected_wh
            ),
        });
    }
}
