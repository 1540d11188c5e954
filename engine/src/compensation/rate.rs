//! Rate shapes: from time or count beyond a limit to an amount.

use super::{Paise, calendar::ceiling};

/// Minutes of an hour.
pub const HOUR_MINUTES: i64 = 60;

/// A tier of hours with its own rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tier {
    /// Hours of this tier; `None`: all further ones.
    pub hours: Option<i64>,
    /// Rate of each of them.
    pub amount: Paise,
}

/// How an amount follows from what lies beyond the limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rate {
    /// For each hour of delay.
    PerHour(Paise),
    /// For each day of delay (24 h, or a working day on the working clock), or each day out of limits.
    PerDay(Paise),
    /// For each block of hours of delay.
    PerBlock {
        /// Length of a block.
        hours: i64,
        /// For each block.
        amount: Paise,
    },
    /// Once for the default.
    PerEvent(Paise),
    /// For each hour of delay, by tiers in order.
    TieredPerHour(Vec<Tier>),
    /// For each interruption beyond the number allowed.
    PerInterruption(Paise),
}

/// What lies beyond the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Excess {
    /// Time.
    Time {
        /// Minutes beyond the limit.
        minutes: i64,
        /// Minutes of a day on the clock that counted them.
        day_minutes: i64,
    },
    /// Interruptions beyond the number allowed.
    Interruptions(i64),
    /// Days out of limits beyond those allowed.
    Days(i64),
}

impl Excess {
    /// Whether there is a default at all.
    #[must_use]
    pub const fn is_default(self) -> bool {
        match self {
            Self::Time { minutes: beyond, .. } | Self::Interruptions(beyond) | Self::Days(beyond) => {
                beyond > 0
            }
        }
    }
}

impl Rate {
    /// The amount, before any cap; parts of hours, days and blocks count whole. Nothing without a default, and nothing
    /// where the shape does not measure what lies beyond (a document that pairs them is refused). `None` on overflow.
    #[must_use]
    pub fn amount(&self, excess: Excess) -> Option<Paise> {
        if !excess.is_default() {
            return Some(Paise::ZERO);
        }
        let hours = match excess {
            Excess::Time { minutes, .. } => ceiling(minutes, HOUR_MINUTES),
            Excess::Interruptions(_) | Excess::Days(_) => 0,
        };
        match self {
            Self::PerHour(amount) => amount.times(hours),
            Self::PerBlock { hours: block, amount } => amount.times(ceiling(hours, *block)),
            Self::PerEvent(amount) => Some(*amount),
            Self::TieredPerHour(tiers) => tiered(tiers, hours),
            Self::PerDay(amount) => amount.times(match excess {
                Excess::Time { minutes, day_minutes } => ceiling(minutes, day_minutes),
                Excess::Days(days) => days,
                Excess::Interruptions(_) => 0,
            }),
            Self::PerInterruption(amount) => amount.times(match excess {
                Excess::Interruptions(beyond) => beyond,
                Excess::Time { .. } | Excess::Days(_) => 0,
            }),
        }
    }
}

fn tiered(tiers: &[Tier], hours: i64) -> Option<Paise> {
    let start = Some((Paise::ZERO, hours));
    let summed = tiers.iter().fold(start, |so_far, tier| {
        let (sum, left) = so_far?;
        let here = tier.hours.map_or(left, |hours| hours.min(left));
        Some((sum.plus(tier.amount.times(here)?)?, left - here))
    });
    summed.map(|(sum, _)| sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn late(minutes: i64) -> Excess {
        Excess::Time {
            minutes,
            day_minutes: 1_440,
        }
    }

    fn check(rate: &Rate, cases: &[(Excess, i64)]) {
        for (excess, rupees) in cases {
            assert_eq!(
                rate.amount(*excess),
                Paise::from_rupees(*rupees),
                "{rate:?} {excess:?}"
            );
        }
    }

    #[test]
    fn each_shape_counts_parts_whole() {
        let fifty = Paise(5_000);
        check(
            &Rate::PerHour(fifty),
            &[
                (late(0), 0),
                (late(-5), 0),
                (late(1), 50),
                (late(60), 50),
                (late(61), 100),
            ],
        );
        check(
            &Rate::PerDay(fifty),
            &[(late(1), 50), (late(1_440), 50), (late(1_441), 100)],
        );
        check(
            &Rate::PerDay(fifty),
            &[(Excess::Days(0), 0), (Excess::Days(3), 150)],
        );
        let working_day = |minutes| Excess::Time {
            minutes,
            day_minutes: 480,
        };
        check(
            &Rate::PerDay(fifty),
            &[(working_day(480), 50), (working_day(481), 100)],
        );
        let block = Rate::PerBlock {
            hours: 6,
            amount: fifty,
        };
        check(
            &block,
            &[(late(0), 0), (late(1), 50), (late(360), 50), (late(361), 100)],
        );
        check(
            &Rate::PerEvent(fifty),
            &[
                (late(0), 0),
                (late(1), 50),
                (late(9_999), 50),
                (Excess::Interruptions(4), 50),
            ],
        );
        check(
            &Rate::PerInterruption(fifty),
            &[(Excess::Interruptions(0), 0), (Excess::Interruptions(3), 150)],
        );
    }

    #[test]
    fn tiers_are_filled_in_order() {
        let tier = |hours, rupees: i64| Tier {
            hours,
            amount: Paise(rupees * 100),
        };
        let rate = Rate::TieredPerHour(vec![tier(Some(2), 50), tier(Some(3), 100), tier(None, 200)]);
        check(
            &rate,
            &[
                (late(0), 0),
                (late(61), 100),
                (late(121), 200),
                (late(300), 400),
                (late(301), 600),
                (late(600), 1_400),
            ],
        );
    }

    #[test]
    fn an_amount_too_large_is_seen() {
        assert_eq!(Rate::PerHour(Paise(i64::MAX)).amount(late(121)), None);
    }
}
