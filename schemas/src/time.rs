//! Time: microseconds of UTC, civil days of the discom's zone, and the clock as a value that is passed in.

use std::{fmt, str::FromStr, sync::Arc, time::Duration};

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use serde::{Deserialize, Serialize};

const MICROS_PER_SECOND: i64 = 1_000_000;
/// A quarter of an hour, the finest interval, in microseconds.
pub const QUARTER_MICROS: i64 = 15 * 60 * MICROS_PER_SECOND;
/// Earliest instant accepted on the wire: 2000-01-01T00:00:00Z.
pub const EARLIEST: UtcMicros = UtcMicros(946_684_800 * MICROS_PER_SECOND);
/// Latest instant accepted on the wire: 2100-01-01T00:00:00Z.
pub const LATEST: UtcMicros = UtcMicros(4_102_444_800 * MICROS_PER_SECOND);

/// An instant: microseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UtcMicros(pub i64);

/// Why a text is not an instant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not a time: RFC 3339 with offset between 2000 and 2100, such as 2026-04-01T00:30:00+05:30"
)]
pub struct TimeError {
    /// The text, shortened.
    pub text: String,
}

impl UtcMicros {
    /// Parses RFC 3339 with offset; at most six decimals of a second.
    ///
    /// # Errors
    /// [`TimeError`] when the text is anything else or lies outside 2000 to 2100.
    pub fn parse(text: &str) -> Result<Self, TimeError> {
        parse_rfc3339(text.as_bytes())
            .map(Self)
            .filter(|instant| (EARLIEST..=LATEST).contains(instant))
            .ok_or_else(|| TimeError {
                text: text.chars().take(64).collect(),
            })
    }

    /// The instant `micros` later (earlier when negative), stopping at the ends of the range.
    #[must_use]
    pub const fn plus(self, micros: i64) -> Self {
        Self(self.0.saturating_add(micros))
    }

    /// RFC 3339 in `zone`, whole seconds unless there is a fraction.
    #[must_use]
    pub fn to_rfc3339(self, zone: &Zone) -> String {
        let Ok(timestamp) = Timestamp::from_microsecond(self.0) else {
            return format!("{} us", self.0);
        };
        let zoned = timestamp.to_zoned(zone.0.clone());
        let fraction = if self.0.rem_euclid(MICROS_PER_SECOND) == 0 {
            ""
        } else {
            "%.6f"
        };
        zoned
            .strftime(&format!("%Y-%m-%dT%H:%M:%S{fraction}%:z"))
            .to_string()
    }
}

impl fmt::Display for UtcMicros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_rfc3339(&Zone::utc()))
    }
}

impl FromStr for UtcMicros {
    type Err = TimeError;
    fn from_str(text: &str) -> Result<Self, TimeError> {
        Self::parse(text)
    }
}

impl Serialize for UtcMicros {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for UtcMicros {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl serde::de::Visitor<'_> for Text {
            type Value = UtcMicros;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a time in RFC 3339 with offset")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<UtcMicros, E> {
                UtcMicros::parse(text).map_err(E::custom)
            }
        }
        // By visitor, so that a text without escapes is parsed where it stands.
        deserializer.deserialize_str(Text)
    }
}

/// `2026-04-01T00:30:00[.123456](Z|+05:30)` by hand: it runs once per read, and a general parser costs many times as much.
fn parse_rfc3339(text: &[u8]) -> Option<i64> {
    let ([c1, c2, y1, y2, b'-', o1, o2, b'-', d1, d2], rest) = text.split_first_chunk::<10>()? else {
        return None;
    };
    let ([b'T' | b't' | b' ', h1, h2, b':', m1, m2, b':', s1, s2], rest) = rest.split_first_chunk::<9>()?
    else {
        return None;
    };
    let year = two_digits(*c1, *c2)? * 100 + two_digits(*y1, *y2)?;
    let (month, day) = (two_digits(*o1, *o2)?, two_digits(*d1, *d2)?);
    let (hour, minute, second) = (
        two_digits(*h1, *h2)?,
        two_digits(*m1, *m2)?,
        two_digits(*s1, *s2)?,
    );
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let (micros, rest) = match rest {
        [b'.', fraction @ ..] => parse_fraction(fraction)?,
        _ => (0, rest),
    };
    let offset_seconds = parse_offset(rest)?;
    let days = days_from_civil(year, month, day)?;
    let seconds = days * 86_400 + hour * 3_600 + minute * 60 + second - offset_seconds;
    seconds.checked_mul(MICROS_PER_SECOND)?.checked_add(micros)
}

fn two_digits(high: u8, low: u8) -> Option<i64> {
    let (high, low) = (high.wrapping_sub(b'0'), low.wrapping_sub(b'0'));
    (high <= 9 && low <= 9).then(|| i64::from(high * 10 + low))
}

/// What follows the point behind the seconds: its microseconds, and the rest.
fn parse_fraction(text: &[u8]) -> Option<(i64, &[u8])> {
    let end = text
        .iter()
        .position(|byte| !byte.is_ascii_digit())
        .unwrap_or(text.len());
    if !(1..=6).contains(&end) {
        return None;
    }
    let (digits, rest) = text.split_at_checked(end)?;
    let value = digits
        .iter()
        .fold(0, |value, byte| value * 10 + i64::from(byte - b'0'));
    let scale = (end..6).fold(1, |scale, _| scale * 10);
    Some((value * scale, rest))
}

fn parse_offset(text: &[u8]) -> Option<i64> {
    match text {
        [b'Z' | b'z'] => Some(0),
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let (hours, minutes) = (two_digits(*h1, *h2)?, two_digits(*m1, *m2)?);
            if hours > 18 || minutes > 59 {
                return None;
            }
            let seconds = hours * 3_600 + minutes * 60;
            Some(if *sign == b'-' { -seconds } else { seconds })
        }
        _ => None,
    }
}

/// Days since 1970-01-01 of a proleptic Gregorian date; `None` when there is no such date.
fn days_from_civil(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let last = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 => 28 + i64::from(leap),
        _ => return None,
    };
    if day < 1 || day > last {
        return None;
    }
    // Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", days_from_civil.
    let shifted = if month <= 2 { year - 1 } else { year };
    let era = shifted.div_euclid(400);
    let year_of_era = shifted.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * 146_097 + day_of_era - 719_468)
}

/// A civil day in the configured zone, as days since 1970-01-01 (Arrow `Date32`).
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Day(pub i32);

impl Day {
    fn date(self) -> Date {
        Date::constant(1970, 1, 1).saturating_add(jiff::Span::new().days(self.0))
    }

    /// Parses `YYYY-MM-DD`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let date: Date = text.parse().ok()?;
        let days = days_from_civil(date.year().into(), date.month().into(), date.day().into())?;
        i32::try_from(days).ok().map(Self)
    }

    /// The first day of this day's month.
    #[must_use]
    pub fn first_of_month(self) -> Self {
        Self(self.0 - i32::from(self.date().day()) + 1)
    }

    /// Days in this day's month.
    #[must_use]
    pub fn days_in_month(self) -> i32 {
        self.date().days_in_month().into()
    }

    /// The next day.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.date())
    }
}

impl Serialize for Day {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Day {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom(format!("`{text}` is not a day")))
    }
}

/// The discom's time zone: where civil days begin.
#[derive(Debug, Clone, PartialEq)]
pub struct Zone(TimeZone);

impl Zone {
    /// A zone by its IANA name, such as `Asia/Kolkata`.
    ///
    /// # Errors
    /// A sentence naming the zone when it is unknown.
    pub fn named(name: &str) -> Result<Self, String> {
        TimeZone::get(name)
            .map(Self)
            .map_err(|_| format!("time zone `{name}` is not known (IANA name, such as Asia/Kolkata)"))
    }

    /// UTC.
    #[must_use]
    pub fn utc() -> Self {
        Self(TimeZone::UTC)
    }

    /// India's zone, UTC+05:30 all year: the default.
    #[must_use]
    pub fn kolkata() -> Self {
        Self(TimeZone::get("Asia/Kolkata").unwrap_or_else(|_| TimeZone::fixed(jiff::tz::offset(5))))
    }

    /// The zone's IANA name (`UTC` when it has none).
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    /// The civil day that `instant` falls in.
    #[must_use]
    pub fn day_of(&self, instant: UtcMicros) -> Day {
        let offset = Timestamp::from_microsecond(instant.0)
            .map_or(0, |timestamp| i64::from(self.0.to_offset(timestamp).seconds()));
        let seconds = instant.0.div_euclid(MICROS_PER_SECOND) + offset;
        Day(i32::try_from(seconds.div_euclid(86_400)).unwrap_or_default())
    }

    /// The civil day of an interval: the day in which it begins, so that the block ending at midnight closes its own day.
    #[must_use]
    pub fn day_of_interval(&self, interval_end: UtcMicros) -> Day {
        self.day_of(interval_end.plus(-1))
    }

    /// The instant at which a civil day begins.
    #[must_use]
    pub fn start_of(&self, day: Day) -> UtcMicros {
        day.date().to_zoned(self.0.clone()).map_or(UtcMicros(0), |zoned| {
            UtcMicros(zoned.timestamp().as_microsecond())
        })
    }
}

impl Default for Zone {
    fn default() -> Self {
        Self::kolkata()
    }
}

/// Where "now" comes from. Decides when to publish and what is late; never what a result is.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> UtcMicros + Send + Sync>);

impl Clock {
    /// A clock that asks `now` each time.
    pub fn from_fn(now: impl Fn() -> UtcMicros + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// A clock that stands still.
    #[must_use]
    pub fn fixed(at: UtcMicros) -> Self {
        Self::from_fn(move || at)
    }

    /// The machine's clock, shifted by `offset_micros`. For the edge only.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where the machine's clock is read"
    )]
    pub fn system(offset_micros: i64) -> Self {
        Self::from_fn(move || {
            let since = std::time::SystemTime::now()
                .duration_since(std::time::UNIX_EPOCH)
                .unwrap_or(Duration::ZERO);
            UtcMicros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX)).plus(offset_micros)
        })
    }

    /// The instant now.
    #[must_use]
    pub fn now(&self) -> UtcMicros {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clock(now {})", self.now())
    }
}

#[cfg(test)]
mod tests;
