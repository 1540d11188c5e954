//! One cell of a file, whatever the format, and its strict reading into a value.
//!
//! Text is read as it stands: no trimming, no thousands separators, no `+`. A reason says what was expected, because the
//! person who sent the file is the one who reads it.

use std::{borrow::Cow, fmt};

use gridtally_schemas::{
    IdError, UtcMicros,
    time::{EARLIEST, LATEST},
};

/// Bytes of a value that an error shows.
const SHOWN_BYTES_MAX: usize = 64;
/// Integers up to here are exact in an `f64` (2^53).
const EXACT_F64_MAX: f64 = 9_007_199_254_740_992.0;

/// A cell as the format holds it. Borrowed from the row that is current.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Cell<'a> {
    /// Empty in CSV, null in Parquet, or its column is not in the file.
    Null,
    /// Text. The only form in CSV.
    Text(&'a str),
    /// An integer column of Parquet.
    Integer(i64),
    /// A floating-point or decimal column of Parquet.
    Float(f64),
    /// A timestamp column of Parquet: `None` when it has parts of a microsecond or leaves the range of an i64.
    Time(Option<UtcMicros>),
}

/// What was wrong with a cell, for people.
pub(crate) type Reason = String;

impl fmt::Display for Cell<'_> {
    /// The value as an error shows it, cut to 64 bytes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => Ok(()),
            Self::Text(text) => f.write_str(shown(text)),
            Self::Integer(value) => value.fmt(f),
            Self::Float(value) => value.fmt(f),
            Self::Time(Some(at)) => at.fmt(f),
            Self::Time(None) => f.write_str("a timestamp between two microseconds or far out of range"),
        }
    }
}

/// The beginning of a text, as an error shows it.
pub(crate) fn shown(text: &str) -> &str {
    text.get(..text.floor_char_boundary(SHOWN_BYTES_MAX))
        .unwrap_or_default()
}

impl<'a> Cell<'a> {
    /// Text as it stands. Integers of Parquet stand for their digits, so that a numeric id column is an id.
    pub(crate) fn text(self) -> Result<Cow<'a, str>, Reason> {
        match self {
            Self::Text(text) => Ok(Cow::Borrowed(text)),
            Self::Integer(value) => Ok(Cow::Owned(value.to_string())),
            Self::Null | Self::Float(_) | Self::Time(_) => Err("text expected".into()),
        }
    }

    /// An id.
    pub(crate) fn id<T>(self, parse: impl FnOnce(&str) -> Result<T, IdError>) -> Result<T, Reason> {
        parse(&self.text()?).map_err(|error| error.to_string())
    }

    /// One of the words of an enum.
    pub(crate) fn word<T: std::str::FromStr<Err = String>>(self) -> Result<T, Reason> {
        self.text()?.parse()
    }

    /// An instant: RFC 3339 with offset, or a timestamp with zone.
    pub(crate) fn time(self) -> Result<UtcMicros, Reason> {
        match self {
            Self::Text(text) => UtcMicros::parse(text).map_err(|_| time_expected()),
            Self::Time(Some(at)) if (EARLIEST..=LATEST).contains(&at) => Ok(at),
            Self::Time(_) | Self::Null | Self::Integer(_) | Self::Float(_) => Err(time_expected()),
        }
    }

    /// A whole number.
    pub(crate) fn integer(self) -> Result<i64, Reason> {
        match self {
            Self::Text(text) => parse_integer(text),
            Self::Integer(value) => Some(value),
            Self::Float(value) => integral(value),
            Self::Null | Self::Time(_) => None,
        }
        .ok_or_else(|| "a whole number expected".into())
    }

    /// A whole number that fits the target.
    pub(crate) fn small_integer<T: TryFrom<i64> + fmt::Display + Bounded>(self) -> Result<T, Reason> {
        T::try_from(self.integer()?)
            .map_err(|_| format!("a whole number from {} to {} expected", T::LEAST, T::MOST))
    }

    /// A finite number.
    pub(crate) fn number(self) -> Result<f64, Reason> {
        match self {
            Self::Text(text) => plain_number(text).then(|| text.parse().ok()).flatten(),
            Self::Integer(value) =>
            {
                #[expect(
                    clippy::as_conversions,
                    reason = "the nearest f64 is what a measured number means"
                )]
                Some(value as f64)
            }
            Self::Float(value) => Some(value),
            Self::Null | Self::Time(_) => None,
        }
        .filter(|value| value.is_finite())
        .ok_or_else(|| "a number expected".into())
    }

    /// A finite number in single precision: text is read once, not through an f64.
    pub(crate) fn single(self) -> Result<f32, Reason> {
        match self {
            Self::Text(text) => plain_number(text).then(|| text.parse().ok()).flatten(),
            Self::Null | Self::Integer(_) | Self::Float(_) | Self::Time(_) => {
                self.number().ok().map(|value| {
                    #[expect(
                        clippy::as_conversions,
                        reason = "the nearest f32 is what a measured number means"
                    )]
                    let single = value as f32;
                    single
                })
            }
        }
        .filter(|value: &f32| value.is_finite())
        .ok_or_else(|| "a number expected".into())
    }

    /// A number between two bounds, both allowed.
    pub(crate) fn number_within(self, least: f64, most: f64) -> Result<f64, Reason> {
        self.number()
            .ok()
            .filter(|value| (least..=most).contains(value))
            .ok_or_else(|| format!("a number from {least} to {most} expected"))
    }
}

/// Bounds of an integer type, for the error.
pub(crate) trait Bounded: Sized {
    /// The least value.
    const LEAST: Self;
    /// The greatest value.
    const MOST: Self;
}

impl Bounded for i32 {
    const LEAST: Self = Self::MIN;
    const MOST: Self = Self::MAX;
}

impl Bounded for u8 {
    const LEAST: Self = Self::MIN;
    const MOST: Self = Self::MAX;
}

fn time_expected() -> Reason {
    "a time between 2000 and 2100 expected: RFC 3339 with offset, at most six decimals, such as 2026-04-01T00:30:00+05:30"
        .into()
}

/// Digits with an optional minus sign. `i64::from_str` also takes a plus sign.
fn parse_integer(text: &str) -> Option<i64> {
    if text.starts_with('+') {
        return None;
    }
    text.parse().ok()
}

/// Whether a text is made like a number: `f64::from_str` also takes `inf`, `nan`, `+1`, `1.` and `.5`.
fn plain_number(text: &str) -> bool {
    let unsigned = text.strip_prefix('-').unwrap_or(text).as_bytes();
    unsigned.first().is_some_and(u8::is_ascii_digit)
        && unsigned.last().is_some_and(u8::is_ascii_digit)
        && unsigned
            .iter()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'-' | b'+'))
}

/// The integer that a float holds exactly; `None` for fractions, NaN and what is too large to be exact.
fn integral(value: f64) -> Option<i64> {
    if value.fract() != 0.0 || value.abs() > EXACT_F64_MAX {
        return None;
    }
    #[expect(
        clippy::as_conversions,
        reason = "integral and within 2^53, so the cast is exact"
    )]
    let exact = value as i64;
    Some(exact)
}
