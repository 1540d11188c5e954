//! Quantities with their unit in the type.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Largest energy that one interval read may carry, in Wh as the meter counts (1 GWh: 2 GW for half an hour).
///
/// With [`Multiplier::MAX_THOUSANDTHS`] it keeps every product inside an i64 and every sum of 90,000 such reads too.
pub const INTERVAL_WH_MAX: i64 = 1_000_000_000;

/// Energy in integer watt-hours. Sums are exact and associative.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WattHours(pub i64);

impl fmt::Display for WattHours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} Wh", self.0)
    }
}

/// Length of a load-profile interval: what IS 15959 meters in India record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub enum IntervalMinutes {
    /// 15 minutes.
    Fifteen,
    /// 30 minutes.
    Thirty,
}

impl IntervalMinutes {
    /// Length in minutes.
    #[must_use]
    pub const fn minutes(self) -> i64 {
        match self {
            Self::Fifteen => 15,
            Self::Thirty => 30,
        }
    }

    /// Length in microseconds.
    #[must_use]
    pub const fn micros(self) -> i64 {
        self.minutes() * 60_000_000
    }

    /// Length in quarter hours (1 or 2).
    #[must_use]
    pub const fn quarters(self) -> u32 {
        match self {
            Self::Fifteen => 1,
            Self::Thirty => 2,
        }
    }
}

impl TryFrom<u8> for IntervalMinutes {
    type Error = String;
    fn try_from(minutes: u8) -> Result<Self, String> {
        match minutes {
            15 => Ok(Self::Fifteen),
            30 => Ok(Self::Thirty),
            other => Err(format!("interval of {other} minutes: 15 or 30 only")),
        }
    }
}

impl From<IntervalMinutes> for u8 {
    fn from(minutes: IntervalMinutes) -> Self {
        match minutes {
            IntervalMinutes::Fifteen => 15,
            IntervalMinutes::Thirty => 30,
        }
    }
}

/// Meter multiplying factor (CT ratio x PT ratio), kept in thousandths so that it is exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Multiplier(i64);

impl Multiplier {
    /// Factor one: the meter counts network energy.
    pub const ONE: Self = Self(1_000);
    /// Largest factor, in thousandths (100,000).
    pub const MAX_THOUSANDTHS: i64 = 100_000_000;

    /// A factor from its thousandths; `None` outside 0.001 to 100,000.
    #[must_use]
    pub const fn from_thousandths(thousandths: i64) -> Option<Self> {
        if thousandths >= 1 && thousandths <= Self::MAX_THOUSANDTHS {
            Some(Self(thousandths))
        } else {
            None
        }
    }

    /// The factor in thousandths.
    #[must_use]
    pub const fn thousandths(self) -> i64 {
        self.0
    }
}

impl TryFrom<f64> for Multiplier {
    type Error = String;
    fn try_from(factor: f64) -> Result<Self, String> {
        let thousandths = (factor * 1_000.0).round();
        let exact = (thousandths - factor * 1_000.0).abs() < 1e-6;
        if !(1.0..=100_000_000.0).contains(&thousandths) || !exact {
            return Err(format!(
                "multiplier {factor}: 0.001 to 100000 with at most three decimals"
            ));
        }
        // In range and integral, so the text round trip is exact and needs no lossy cast.
        format!("{thousandths:.0}")
            .parse()
            .map(Self)
            .map_err(|_| format!("multiplier {factor} cannot be read"))
    }
}

impl From<Multiplier> for f64 {
    fn from(multiplier: Multiplier) -> Self {
        i32::try_from(multiplier.0).map_or(f64::NAN, |thousandths| f64::from(thousandths) / 1_000.0)
    }
}
