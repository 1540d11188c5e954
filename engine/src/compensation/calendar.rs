//! Time as a regulation counts it: elapsed or working hours, and civil periods.

use std::collections::BTreeSet;

use gridtally_schemas::{Day, UtcMicros, Zone};

use super::evidence::{FinancialYear, Span};

const MINUTE_MICROS: i64 = 60_000_000;
/// Minutes of a civil day.
pub const DAY_MINUTES: i64 = 24 * 60;

words!(
    /// A day of the week.
    Weekday {
        /// Monday.
        Monday = "mon",
        /// Tuesday.
        Tuesday = "tue",
        /// Wednesday.
        Wednesday = "wed",
        /// Thursday.
        Thursday = "thu",
        /// Friday.
        Friday = "fri",
        /// Saturday.
        Saturday = "sat",
        /// Sunday.
        Sunday = "sun",
    }
);
words!(
    /// Which time runs against the licensee.
    Running {
        /// All of it.
        Elapsed = "elapsed",
        /// Working hours only.
        Working = "working",
    }
);
words!(
    /// Civil period in which defaults are counted.
    Period {
        /// Calendar month.
        Month = "month",
        /// Quarter of the calendar year (those of the financial year are the same).
        Quarter = "quarter",
        /// Financial year, from 1 April.
        Year = "year",
    }
);

impl Period {
    /// The first day of the period that holds `day`.
    #[must_use]
    pub fn first_day(self, day: Day) -> Day {
        let months_back = match self {
            Self::Month => 0,
            Self::Quarter => (month_of(day) - 1).rem_euclid(3),
            Self::Year => (month_of(day) - 4).rem_euclid(12),
        };
        (0..months_back).fold(day.first_of_month(), |first, _| Day(first.0 - 1).first_of_month())
    }

    /// The first day after the period that begins on `first`.
    #[must_use]
    pub fn after(self, first: Day) -> Day {
        let months = match self {
            Self::Month => 1,
            Self::Quarter => 3,
            Self::Year => 12,
        };
        (0..months).fold(first, |day, _| Day(day.0 + day.days_in_month()))
    }
}

/// Civil year and month of a day (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`).
fn year_and_month(day: Day) -> (i32, i32) {
    let shifted = day.0 + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    (year_of_era + era * 400 + i32::from(month <= 2), month)
}

fn month_of(day: Day) -> i32 {
    year_and_month(day).1
}

/// The financial year of a day.
#[must_use]
pub fn financial_year(day: Day) -> FinancialYear {
    let (year, month) = year_and_month(day);
    FinancialYear(if month >= 4 { year } else { year - 1 })
}

/// The weekday of a day.
#[must_use]
pub fn weekday(day: Day) -> Weekday {
    // 1970-01-01 was a Thursday.
    match (day.0 + 3).rem_euclid(7) {
        0 => Weekday::Monday,
        1 => Weekday::Tuesday,
        2 => Weekday::Wednesday,
        3 => Weekday::Thursday,
        4 => Weekday::Friday,
        5 => Weekday::Saturday,
        _ => Weekday::Sunday,
    }
}

/// Parses `HH:MM`, `24:00` included, as minutes after midnight.
#[must_use]
pub fn parse_time_of_day(text: &str) -> Option<i64> {
    let (hours, minutes) = text.split_once(':')?;
    if hours.len() != 2
        || minutes.len() != 2
        || !text.bytes().all(|byte| byte.is_ascii_digit() || byte == b':')
    {
        return None;
    }
    let (hours, minutes): (i64, i64) = (hours.parse().ok()?, minutes.parse().ok()?);
    let total = hours * 60 + minutes;
    (minutes < 60 && total <= DAY_MINUTES).then_some(total)
}

/// `HH:MM` of minutes after midnight.
#[must_use]
pub fn show_time_of_day(minutes: i64) -> String {
    format!("{:02}:{:02}", minutes / 60, minutes % 60)
}

/// The instant `minutes` after the civil day begins.
#[must_use]
pub fn instant_of(zone: &Zone, day: Day, minutes: i64) -> UtcMicros {
    zone.start_of(day).plus(minutes.saturating_mul(MINUTE_MICROS))
}

/// The hours in which a licensee's office works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkingHours {
    /// Weekdays on which it works.
    pub weekdays: BTreeSet<Weekday>,
    /// Begin, minutes after midnight.
    pub from_minute: i64,
    /// End, minutes after midnight; after the begin.
    pub to_minute: i64,
    /// Days on which it does not.
    pub holidays: BTreeSet<Day>,
}

impl WorkingHours {
    /// Minutes of a working day.
    #[must_use]
    pub const fn day_minutes(&self) -> i64 {
        self.to_minute - self.from_minute
    }

    fn works_on(&self, day: Day) -> bool {
        self.weekdays.contains(&weekday(day)) && !self.holidays.contains(&day)
    }

    fn micros(&self, span: Span, zone: &Zone) -> i64 {
        if span.to <= span.from {
            return 0;
        }
        let (first, last) = (zone.day_of(span.from), zone.day_of(span.to));
        let worked = |day: Day| {
            let opens = instant_of(zone, day, self.from_minute).max(span.from);
            let closes = instant_of(zone, day, self.to_minute).min(span.to);
            (closes.0 - opens.0).max(0)
        };
        (first.0..=last.0)
            .map(Day)
            .filter(|day| self.works_on(*day))
            .map(worked)
            .sum()
    }
}

/// Counts time.
#[derive(Debug, Clone, Copy)]
pub struct Counting<'a> {
    /// Zone of civil days.
    pub zone: &'a Zone,
    /// Working hours, where only they run; `None`: all time runs.
    pub working: Option<&'a WorkingHours>,
}

impl Counting<'_> {
    /// Whole minutes in disjoint spans, a part of a minute counting whole.
    #[must_use]
    pub fn minutes(&self, spans: &[Span]) -> i64 {
        let micros: i64 = spans
            .iter()
            .map(|span| match self.working {
                Some(working) => working.micros(*span, self.zone),
                None => (span.to.0 - span.from.0).max(0),
            })
            .sum();
        ceiling(micros, MINUTE_MICROS)
    }

    /// Minutes of a day on this clock: 1,440, or those of a working day.
    #[must_use]
    pub fn day_minutes(&self) -> i64 {
        self.working.map_or(DAY_MINUTES, WorkingHours::day_minutes)
    }
}

/// How many whole `unit`s hold `amount`: 0 for none, a part counts whole. `unit` is above zero.
#[must_use]
pub fn ceiling(amount: i64, unit: i64) -> i64 {
    if amount <= 0 || unit <= 0 {
        return 0;
    }
    amount.div_euclid(unit) + i64::from(amount.rem_euclid(unit) > 0)
}

/// The spans without overlap, in order; empty ones dropped, touching ones joined.
#[must_use]
pub fn union(spans: impl IntoIterator<Item = Span>) -> Vec<Span> {
    let mut sorted: Vec<Span> = spans.into_iter().filter(|span| span.from < span.to).collect();
    sorted.sort_unstable();
    let mut joined: Vec<Span> = Vec::with_capacity(sorted.len());
    for span in sorted {
        match joined.last_mut() {
            Some(last) if span.from <= last.to => last.to = last.to.max(span.to),
            Some(_) | None => joined.push(span),
        }
    }
    joined
}

/// What is left of disjoint, ordered `spans` outside `holes`.
#[must_use]
pub fn without(spans: &[Span], holes: impl IntoIterator<Item = Span>) -> Vec<Span> {
    union(holes).into_iter().fold(spans.to_vec(), |left, hole| {
        let around = |span: Span| {
            let before = Span {
                to: span.to.min(hole.from),
                ..span
            };
            let after = Span {
                from: span.from.max(hole.to),
                ..span
            };
            [before, after].into_iter().filter(|part| part.from < part.to)
        };
        left.into_iter().flat_map(around).collect()
    })
}

#[cfg(test)]
mod tests;
