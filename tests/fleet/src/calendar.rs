//! Quarter hours, and what each means in the discom's civil time.

use gridtally_schemas::{Day, IntervalMinutes, UtcMicros, Zone, time::QUARTER_MICROS};

use crate::shape::{self, CATEGORIES};

/// Half an hour in microseconds.
pub(crate) const HALF_HOUR_MICROS: i64 = 2 * QUARTER_MICROS;
/// Quarter hours of a day.
pub(crate) const QUARTERS_PER_DAY: i64 = 96;

/// A quarter hour, numbered by its end: quarters since 1970-01-01T00:00:00Z.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Quarter(pub i64);

impl Quarter {
    /// The quarter in which `instant` lies; one that ends at `instant` when it is on the grid.
    #[must_use]
    pub const fn containing(instant: UtcMicros) -> Self {
        Self((instant.0 + QUARTER_MICROS - 1).div_euclid(QUARTER_MICROS))
    }

    /// When it ends.
    #[must_use]
    pub const fn end(self) -> UtcMicros {
        UtcMicros(self.0 * QUARTER_MICROS)
    }

    /// The quarter `quarters` later (earlier when negative).
    #[must_use]
    pub const fn plus(self, quarters: i64) -> Self {
        Self(self.0 + quarters)
    }

    /// Whether an interval of `minutes` ends with it.
    #[must_use]
    pub const fn ends_interval(self, minutes: IntervalMinutes) -> bool {
        match minutes {
            IntervalMinutes::Fifteen => true,
            IntervalMinutes::Thirty => self.0.rem_euclid(2) == 0,
        }
    }
}

/// A run of quarter hours, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// First quarter; its interval begins where the run begins.
    pub first: Quarter,
    /// Last quarter.
    pub last: Quarter,
}

impl Span {
    /// The quarters that begin at or after `from` and end at or before `to`.
    #[must_use]
    pub const fn between(from: UtcMicros, to: UtcMicros) -> Self {
        Self {
            first: Quarter((from.0 + QUARTER_MICROS - 1).div_euclid(QUARTER_MICROS) + 1),
            last: Quarter(to.0.div_euclid(QUARTER_MICROS)),
        }
    }

    /// Its quarters, in order.
    pub fn quarters(self) -> impl Iterator<Item = Quarter> {
        (self.first.0..=self.last.0).map(Quarter)
    }

    /// Whether `quarter` lies in it.
    #[must_use]
    pub const fn contains(self, quarter: Quarter) -> bool {
        self.first.0 <= quarter.0 && quarter.0 <= self.last.0
    }
}

/// A quarter hour with what it means for load and sunshine; computed once for all meters.
#[derive(Debug, Clone, PartialEq)]
pub struct Moment {
    /// Which.
    pub quarter: Quarter,
    /// Its place in the civil day, 0 to 95.
    pub of_day: i64,
    /// Civil day in which it begins.
    pub day: Day,
    /// Average power of each category, per mille of the consumer's own average (agriculture: of the pump's rating).
    pub(crate) levels: [i64; CATEGORIES],
    /// Clear-sky output of a rooftop, per mille of its rating.
    pub(crate) solar_permille: i64,
}

impl Moment {
    /// What `quarter` means in `zone`.
    #[must_use]
    pub fn new(zone: &Zone, quarter: Quarter) -> Self {
        let day = zone.day_of_interval(quarter.end());
        let micros = quarter.end().0 - QUARTER_MICROS - zone.start_of(day).0;
        let of_day = (micros / QUARTER_MICROS).clamp(0, QUARTERS_PER_DAY - 1);
        let weekend = (i64::from(day.0) + 4).rem_euclid(7) == 0;
        // Years of 365.25 days are near enough for a season.
        let of_year = (i64::from(day.0) * 100).rem_euclid(36_525) / 100;
        Self {
            quarter,
            of_day,
            day,
            levels: shape::levels(of_day, of_year, weekend),
            solar_permille: shape::clear_sky(of_day, of_year),
        }
    }
}

/// The part of a month's assessed consumption that falls into the interval of `minutes` that ends with `quarter`, Wh.
///
/// The month is spread evenly over its intervals so that they sum to it exactly: interval k of n (from 0) gets
/// floor(m(k+1)/n) - floor(mk/n). House choice of the balance, stated here independently of the engine.
#[must_use]
pub fn assessed_wh(zone: &Zone, quarter: Quarter, minutes: IntervalMinutes, month_wh: &[i64]) -> i64 {
    if month_wh.is_empty() {
        return 0;
    }
    let first = zone.day_of_interval(quarter.end()).first_of_month();
    let after = Day(first.0 + first.days_in_month());
    let begin = zone.start_of(first);
    let intervals = ((zone.start_of(after).0 - begin.0) / minutes.micros()).max(1);
    let place = (quarter.end().0 - begin.0) / minutes.micros() - 1;
    month_wh
        .iter()
        .map(|wh| wh * (place + 1) / intervals - wh * place / intervals)
        .sum()
}

#[cfg(test)]
mod tests;
