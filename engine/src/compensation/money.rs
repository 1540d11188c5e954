//! Money: integer paise, so that every sum is exact.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An amount in paise (1/100 of an Indian rupee). Tables hold the same integer as `Decimal128(18,2)` rupees.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Paise(pub i64);

impl Paise {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// Largest amount that a regulation may set: one crore rupees. With it no rate times the hours of a century overflows.
    pub const LARGEST_RATE: Self = Self(1_000_000_000);

    /// Whole rupees; `None` when there are too many for an i64 of paise.
    #[must_use]
    pub fn from_rupees(rupees: i64) -> Option<Self> {
        rupees.checked_mul(100).map(Self)
    }

    /// Reads `50`, `37.5` or `37.50` rupees; `None` for anything else (signs and third decimals included).
    #[must_use]
    pub fn parse_rupees(text: &str) -> Option<Self> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(whole) || !digits(fraction) || fraction.len() > 2 {
            return None;
        }
        let paise: i64 = format!("{fraction:0<2}").parse().ok()?;
        let rupees: i64 = whole.parse().ok()?;
        rupees.checked_mul(100)?.checked_add(paise).map(Self)
    }

    /// The sum; `None` on overflow.
    #[must_use]
    pub fn plus(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// The difference; `None` on overflow.
    #[must_use]
    pub fn minus(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }

    /// This amount `count` times; `None` on overflow.
    #[must_use]
    pub fn times(self, count: i64) -> Option<Self> {
        self.0.checked_mul(count).map(Self)
    }

    /// A share of this amount in whole per cent, a part of a paisa dropped; `None` on overflow.
    #[must_use]
    pub fn percent(self, percent: i64) -> Option<Self> {
        self.0
            .checked_mul(percent)
            .map(|hundredfold| Self(hundredfold.div_euclid(100)))
    }
}

impl fmt::Display for Paise {
    /// Rupees with two decimals, such as `37.50`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let paise = self.0.unsigned_abs();
        write!(f, "{sign}{}.{:02}", paise / 100, paise % 100)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rupees_are_read_and_shown_to_the_paisa() {
        let cases = [
            ("50", Some(5_000), "50.00"),
            ("37.5", Some(3_750), "37.50"),
            ("0.05", Some(5), "0.05"),
            ("1.005", None, ""),
            ("-5", None, ""),
            ("", None, ""),
            ("5.", None, ""),
            ("1e3", None, ""),
            ("99999999999999999999", None, ""),
        ];
        for (text, paise, shown) in cases {
            let read = Paise::parse_rupees(text);
            assert_eq!(read.map(|amount| amount.0), paise, "{text}");
            assert_eq!(read.map_or(String::new(), |amount| amount.to_string()), shown);
        }
        assert_eq!(Paise(-12_345).to_string(), "-123.45");
    }

    #[test]
    fn a_share_drops_the_part_of_a_paisa_and_overflow_is_seen() {
        assert_eq!(Paise(101).percent(30), Some(Paise(30)));
        assert_eq!(Paise(i64::MAX).plus(Paise(1)), None);
        assert_eq!(Paise(i64::MIN).minus(Paise(1)), None);
        assert_eq!(Paise(i64::MAX).times(2), None);
        assert_eq!(Paise::from_rupees(i64::MAX), None);
        assert_eq!(Paise(i64::MAX).percent(2), None);
    }
}
