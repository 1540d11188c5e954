//! What stands where no value came (DOMAIN section 3, in this order):
//!
//! 1. an outage or disconnection is known, not from the meter's own silence: zero. What is known is among the inputs;
//! 2. a gap of at most 2 h between two values: the straight line between them;
//! 3. longer: the mean of the same interval on the three most recent like days that have it (weekday, weekend, holiday), scaled to
//!    what the midnight registers leave for it when both exist;
//! 4. else the category's profile, at the meter's usual level, or at a share of its sanctioned load; scaled in the same way.
//!
//! Energies are whole Wh as the meter counts. What is scaled sums up with the known intervals to the register difference exactly
//! ([`apportion`]). No estimate is made where none of these applies.

use std::sync::Arc;

use gridtally_schemas::{Day, quantity::INTERVAL_WH_MAX};

use super::{
    apportion::apportion,
    day::{Context, MeterDay},
    register::Channel,
};
use crate::state::{Quarter, Value};

#[cfg(test)]
mod tests;

/// Longest gap that is interpolated, quarter hours (DOMAIN section 3: 2 h).
pub const LINEAR_QUARTERS_MAX: u32 = 8;
/// Like days that make a mean (DOMAIN section 3).
pub const LIKE_DAYS: usize = 3;
/// Means are kept in sixths, so that those of one, two and three days are exact.
const SIXTHS: u64 = 6;
/// Fewest known intervals that make a meter's usual level.
const LEVEL_INTERVALS_MIN: u64 = 24;

/// How an estimate was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Method {
    /// Zero, for the supply is known to have been off.
    KnownOutage,
    /// On the straight line between the values beside the gap.
    Linear,
    /// Mean of the same interval on like days.
    LikeDays,
    /// The same, scaled to the register difference.
    LikeDaysScaled,
    /// The category's profile.
    Profile,
    /// The same, scaled to the register difference.
    ProfileScaled,
}

impl Method {
    /// The word in the `method` column.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::KnownOutage => "known_outage",
            Self::Linear => "linear",
            Self::LikeDays => "like_days",
            Self::LikeDaysScaled => "like_days_scaled",
            Self::Profile => "profile",
            Self::ProfileScaled => "profile_scaled",
        }
    }

    /// The method that a word names.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        const ALL: [Method; 6] = [
            Method::KnownOutage,
            Method::Linear,
            Method::LikeDays,
            Method::LikeDaysScaled,
            Method::Profile,
            Method::ProfileScaled,
        ];
        ALL.into_iter().find(|method| method.as_str() == word)
    }
}

/// What stands in an interval that has no value of its own.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Estimate {
    /// The interval, by its last quarter.
    pub quarter: Quarter,
    /// Import, Wh as the meter counts.
    pub import_wh: u32,
    /// Export, Wh as the meter counts; `None`: the meter sends none.
    pub export_wh: Option<u32>,
    /// How the import was made.
    pub method: Method,
    /// What it was made of.
    pub inputs: Arc<str>,
}

/// A day of the same kind, with its values.
#[derive(Debug, Clone, Copy)]
pub struct LikeDay<'a> {
    /// Which.
    pub day: Day,
    /// Its values, by the quarter in which their interval ends.
    pub cells: &'a [Option<Value>],
}

/// A day in which values are missing, and what can take their place.
#[derive(Debug, Clone, Copy)]
pub struct Blank<'a> {
    /// The day.
    pub day: &'a MeterDay<'a>,
    /// The meter's first interval of the day after.
    pub after: Option<Value>,
    /// Days of the same kind before it, the most recent first.
    pub like_days: &'a [LikeDay<'a>],
    /// By quarter: what says that there was no supply in the whole of it. Empty: nothing does.
    pub dead: &'a [Option<Arc<str>>],
}

/// What one register of an interval is estimated to be.
#[derive(Debug, Clone)]
struct Filled {
    position: usize,
    wh: u64,
    method: Method,
    inputs: Arc<str>,
}

/// Estimates the missing intervals of a day, in order.
#[must_use]
pub fn estimate(blank: &Blank<'_>) -> Vec<Estimate> {
    if blank.day.counts_half_hours() {
        // Its values already hold the energy of the quarters between them.
        return Vec::new();
    }
    let imports = fill(blank, Channel::Import);
    let exports = if sends_export(blank) {
        fill(blank, Channel::Export)
    } else {
        Vec::new()
    };
    let export_at = |position: usize| exports.iter().find(|filled| filled.position == position);
    let whole = |wh: u64| u32::try_from(wh).ok();
    let estimates = imports.iter().filter_map(|import| {
        Some(Estimate {
            quarter: blank.day.quarter(import.position),
            import_wh: whole(import.wh)?,
            export_wh: export_at(import.position).and_then(|export| whole(export.wh)),
            method: import.method,
            inputs: Arc::clone(&import.inputs),
        })
    });
    estimates.collect()
}

fn sends_export(blank: &Blank<'_>) -> bool {
    let all = std::iter::once(blank.day.cells).chain(blank.like_days.iter().map(|like| like.cells));
    all.flatten().flatten().any(|value| value.export_wh.is_some())
}

fn energy(channel: Channel, value: &Value) -> u64 {
    u64::from(match channel {
        Channel::Import => value.import_wh,
        Channel::Export => value.export_wh.unwrap_or(0),
    })
}

fn fill(blank: &Blank<'_>, channel: Channel) -> Vec<Filled> {
    let day = blank.day;
    let expected: Vec<(usize, &Context<'_>, Option<&Value>)> = day.expected().collect();
    let mut filled: Vec<Filled> = Vec::new();
    let mut rest: Vec<(usize, &Context<'_>)> = Vec::new();
    let mut at = 0;
    while let Some((position, context, cell)) = expected.get(at) {
        if cell.is_some() {
            at += 1;
            continue;
        }
        if let Some(known) = without_supply(blank.dead, *position, context) {
            let inputs = Arc::clone(known);
            filled.push(Filled {
                position: *position,
                wh: 0,
                method: Method::KnownOutage,
                inputs,
            });
            at += 1;
            continue;
        }
        let missing = |(position, context, cell): &&(usize, &Context<'_>, Option<&Value>)| {
            cell.is_none() && without_supply(blank.dead, *position, context).is_none()
        };
        let gap: Vec<(usize, &Context<'_>)> = expected
            .iter()
            .skip(at)
            .take_while(missing)
            .map(|(position, context, _)| (*position, *context))
            .collect();
        let before = match at.checked_sub(1) {
            Some(before) => expected.get(before).and_then(|(_, _, cell)| *cell),
            None => day.before.last().and_then(Option::as_ref),
        };
        at += gap.len();
        let after = match expected.get(at) {
            Some((_, _, cell)) => *cell,
            None => blank.after.as_ref(),
        };
        match line(channel, &gap, before.zip(after)) {
            Some(line) => filled.extend(line),
            None => rest.extend(gap),
        }
    }
    let long = spread(blank, channel, &rest, &filled);
    filled.extend(long);
    filled.sort_by_key(|filled| filled.position);
    filled
}

/// What says that there was no supply in the whole interval that ends with the quarter at `position`; `None`: nothing does.
pub(crate) fn without_supply<'a>(
    dead: &'a [Option<Arc<str>>],
    position: usize,
    context: &Context<'_>,
) -> Option<&'a Arc<str>> {
    let begin = (position + 1).saturating_sub(usize::try_from(context.quarters).unwrap_or(1));
    let span = dead.get(begin..=position)?;
    let is_whole = span.iter().all(Option::is_some);
    span.last().filter(|_| is_whole)?.as_ref()
}

/// A short gap on the straight line between the values beside it, rounded half up; `None`: it is longer, or has no two values beside it.
fn line(
    channel: Channel,
    gap: &[(usize, &Context<'_>)],
    beside: Option<(&Value, &Value)>,
) -> Option<Vec<Filled>> {
    let quarters: u32 = gap.iter().map(|(_, context)| context.quarters).sum();
    let (left, right) = beside.filter(|_| quarters <= LINEAR_QUARTERS_MAX)?;
    let (left, right) = (energy(channel, left), energy(channel, right));
    let steps = u64::try_from(gap.len()).ok()? + 1;
    let inputs: Arc<str> = format!("between {left} Wh and {right} Wh").into();
    let filled = (1..steps).zip(gap).map(|(step, (position, _))| Filled {
        position: *position,
        wh: (left * (steps - step) + right * step + steps / 2) / steps,
        method: Method::Linear,
        inputs: Arc::clone(&inputs),
    });
    Some(filled.collect())
}

/// What an interval is expected to be by like days or profile, in sixths of a Wh.
struct Expectation {
    sixths: u64,
    method: Method,
    inputs: Arc<str>,
}

/// Long gaps: like days or profile, scaled to what the registers leave for them.
fn spread(
    blank: &Blank<'_>,
    channel: Channel,
    rest: &[(usize, &Context<'_>)],
    short: &[Filled],
) -> Vec<Filled> {
    if rest.is_empty() {
        return Vec::new();
    }
    let level = level(blank, channel);
    let mut shown = Shown::default();
    let expectations: Vec<Option<Expectation>> = rest
        .iter()
        .map(|(position, context)| {
            of_like_days(blank, channel, *position, &mut shown)
                .or_else(|| of_profile(*position, context, level(context)?))
        })
        .collect();
    if let Some(scaled) = scaled(blank, channel, rest, short, &expectations) {
        return scaled;
    }
    let plain = rest
        .iter()
        .zip(expectations)
        .filter_map(|((position, _), expectation)| {
            let expectation = expectation?;
            Some(Filled {
                position: *position,
                wh: (expectation.sixths + SIXTHS / 2) / SIXTHS,
                method: expectation.method,
                inputs: expectation.inputs,
            })
        });
    plain.collect()
}

/// Days as text, made once for intervals that follow one another.
#[derive(Default)]
struct Shown {
    days: Vec<Day>,
    text: Option<Arc<str>>,
}

impl Shown {
    fn of(&mut self, days: &[Day]) -> Arc<str> {
        if let Some(text) = self.text.as_ref().filter(|_| self.days == days) {
            return Arc::clone(text);
        }
        let words: Vec<String> = days.iter().map(Day::to_string).collect();
        let text: Arc<str> = format!("mean of {}", words.join(", ")).into();
        days.clone_into(&mut self.days);
        self.text = Some(Arc::clone(&text));
        text
    }
}

fn of_like_days(
    blank: &Blank<'_>,
    channel: Channel,
    position: usize,
    shown: &mut Shown,
) -> Option<Expectation> {
    let of_day = |like: &LikeDay<'_>| Some((like.day, energy(channel, like.cells.get(position)?.as_ref()?)));
    let (days, energies): (Vec<Day>, Vec<u64>) =
        blank.like_days.iter().filter_map(of_day).take(LIKE_DAYS).unzip();
    let count = u64::try_from(days.len()).ok().filter(|count| *count > 0)?;
    Some(Expectation {
        sixths: energies.iter().sum::<u64>() * (SIXTHS / count),
        method: Method::LikeDays,
        inputs: shown.of(&days),
    })
}

/// The energy of a quarter hour at the meter's usual level, in sixths of a Wh times 96: a day's energy; `None`: nothing is known of it.
fn level<'a>(blank: &Blank<'a>, channel: Channel) -> impl Fn(&Context<'_>) -> Option<u64> + use<'a> {
    let known = std::iter::once(blank.day.before)
        .chain([blank.day.cells])
        .chain(blank.like_days.iter().map(|like| like.cells));
    let (mut sum, mut count) = (0_u64, 0_u64);
    for value in known.flatten().flatten() {
        sum += energy(channel, value);
        count += 1;
    }
    move |context: &Context<'_>| {
        if count >= LEVEL_INTERVALS_MIN {
            return Some(sum * 96 / (count * u64::from(context.quarters.max(1))));
        }
        if channel == Channel::Export {
            return None;
        }
        let watts = u64::try_from(context.capacity_w?).ok()?;
        let network_wh = watts
            .checked_mul(24)?
            .checked_mul(u64::from(context.limits.load_factor_pct))?
            / 100;
        let thousandths = u64::try_from(context.multiplier.thousandths()).ok()?;
        Some(network_wh.checked_mul(1_000)? / thousandths.max(1))
    }
}

fn of_profile(position: usize, context: &Context<'_>, wh_day: u64) -> Option<Expectation> {
    let whole: u64 = context.limits.profile.iter().copied().map(u64::from).sum();
    let hour = position / 4;
    let weight = u64::from(*context.limits.profile.get(hour)?);
    let of_quarter = wh_day.checked_mul(SIXTHS)?.checked_mul(weight)? / whole.max(1) / 4;
    Some(Expectation {
        sixths: of_quarter.checked_mul(u64::from(context.quarters))?,
        method: Method::Profile,
        inputs: format!("profile of the category at {wh_day} Wh a day").into(),
    })
}

/// Long gaps scaled to what the registers leave for them; `None`: a register is missing, fell, or leaves less than nothing.
fn scaled(
    blank: &Blank<'_>,
    channel: Channel,
    rest: &[(usize, &Context<'_>)],
    short: &[Filled],
    expectations: &[Option<Expectation>],
) -> Option<Vec<Filled>> {
    let energy_wh = u64::try_from(channel.moved(&blank.day.registers)?.energy_wh()?).ok()?;
    let of_day = blank.day.expected().filter_map(|(_, _, cell)| cell);
    let known: u64 = of_day.map(|value| energy(channel, value)).sum::<u64>()
        + short.iter().map(|filled| filled.wh).sum::<u64>();
    let left = energy_wh.checked_sub(known)?;
    let by_profile = expectations.iter().any(Option::is_none);
    let weight = |((position, context), expectation): (&(usize, &Context<'_>), &Option<Expectation>)| {
        match expectation {
            Some(expectation) if !by_profile => expectation.sixths,
            Some(_) | None => of_profile(*position, context, 1 << 20).map_or(0, |shape| shape.sixths),
        }
    };
    let weights: Vec<u64> = rest.iter().zip(expectations).map(weight).collect();
    let shares = apportion(left, &weights);
    let most = u64::try_from(INTERVAL_WH_MAX).ok()?;
    if shares.iter().any(|share| *share > most) {
        return None;
    }
    let filled = rest
        .iter()
        .zip(expectations)
        .zip(shares)
        .map(|(((position, _), expectation), wh)| {
            let (method, inputs) = match expectation {
                Some(Expectation {
                    method: Method::LikeDays,
                    inputs,
                    ..
                }) if !by_profile => (Method::LikeDaysScaled, inputs.as_ref()),
                Some(_) | None => (Method::ProfileScaled, "profile of the category"),
            };
            Filled {
                position: *position,
                wh,
                method,
                inputs: format!("{inputs}; scaled so that the day sums up to its registers' {energy_wh} Wh")
                    .into(),
            }
        });
    Some(filled.collect())
}

/// Kind of a day, as load sees it (DOMAIN section 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DayKind {
    /// Monday to Friday.
    Weekday,
    /// Saturday and Sunday.
    Weekend,
    /// A public holiday, whatever day of the week.
    Holiday,
}

impl DayKind {
    /// The kind of a day.
    #[must_use]
    pub fn of(day: Day, holidays: &std::collections::BTreeSet<Day>) -> Self {
        if holidays.contains(&day) {
            return Self::Holiday;
        }
        // 1970-01-01 was a Thursday: 0 is Monday.
        match (day.0 + 3).rem_euclid(7) {
            5 | 6 => Self::Weekend,
            _ => Self::Weekday,
        }
    }
}
