//! Register reads: how far a register moved in a day, and whether the day's intervals say the same.

use super::{
    Limits, Rule,
    day::{MeterDay, Register, real},
    validate::Exception,
};

/// Registers of 5 to 9 digits of kWh begin again at 10^8 to 10^12 Wh.
const ROLLOVERS_WH: [i64; 5] = [
    100_000_000,
    1_000_000_000,
    10_000_000_000,
    100_000_000_000,
    1_000_000_000_000,
];
/// A register that fell rolled over only if it moved by less than this part of its range; else it was reset or replaced.
const ROLLOVER_PART: i64 = 100;

/// How far a register moved between two readings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moved {
    /// Forward by this, Wh.
    Forward(i64),
    /// Past its last digit: in all by `wh`, beginning again at `range_wh`.
    RolledOver {
        /// How far, Wh.
        wh: i64,
        /// The number of Wh at which it begins again.
        range_wh: i64,
    },
    /// Backward by this, Wh: another meter, or reset.
    Backward(i64),
}

impl Moved {
    /// How far a register moved from `begin` to `end`.
    ///
    /// Of the possible ranges the smallest that `begin` fits in is taken; a hundredth of it is 1 MWh for a five-digit register,
    /// more than such a meter counts in a day (house choice).
    #[must_use]
    pub fn between(begin: i64, end: i64) -> Self {
        let difference = end.saturating_sub(begin);
        if difference >= 0 {
            return Self::Forward(difference);
        }
        let range = ROLLOVERS_WH.into_iter().find(|range| begin < *range);
        match range.map(|range_wh| (difference.saturating_add(range_wh), range_wh)) {
            Some((wh, range_wh)) if wh < range_wh / ROLLOVER_PART => Self::RolledOver { wh, range_wh },
            Some(_) | None => Self::Backward(difference.saturating_neg()),
        }
    }

    /// The energy that passed, Wh; `None`: not known.
    #[must_use]
    pub const fn energy_wh(self) -> Option<i64> {
        match self {
            Self::Forward(wh) | Self::RolledOver { wh, .. } => Some(wh),
            Self::Backward(_) => None,
        }
    }
}

/// One of the two registers, in words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// Energy taken from the network.
    Import,
    /// Energy given to it.
    Export,
}

impl Channel {
    const fn of(self, register: Register) -> Option<i64> {
        match self {
            Self::Import => register.0,
            Self::Export => register.1,
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Import => "import",
            Self::Export => "export",
        }
    }

    /// How far this register moved in the day; `None`: one of the midnights has no reading.
    #[must_use]
    pub fn moved(self, registers: &[Option<Register>; 2]) -> Option<Moved> {
        let [begin, end] = *registers;
        Some(Moved::between(self.of(begin?)?, self.of(end?)?))
    }
}

/// Sum of the known intervals, Wh, and whether every interval is known.
fn known_sum(day: &MeterDay<'_>, channel: Channel) -> (i64, bool) {
    let mut sum = (0, true);
    for (_, _, cell) in day.expected() {
        match cell {
            Some(value) => {
                sum.0 += match channel {
                    Channel::Import => i64::from(value.import_wh),
                    Channel::Export => i64::from(value.export_wh.unwrap_or(0)),
                }
            }
            None => sum.1 = false,
        }
    }
    sum
}

/// Objects to registers that fell, and to a day whose intervals say something else than its registers.
pub(super) fn check(day: &MeterDay<'_>, found: &mut Vec<Exception>) {
    let (Some(context), Some(last)) = (day.last_context(), day.cells.len().checked_sub(1)) else {
        return;
    };
    let quarter = day.quarter(last);
    for channel in [Channel::Import, Channel::Export] {
        let Some(moved) = channel.moved(&day.registers) else {
            continue;
        };
        let word = channel.as_str();
        let mut object = |rule: Rule, value: i64, detail: String| {
            // One exception for each rule: what the import register says comes first.
            if !found.iter().any(|exception| exception.rule == rule) {
                found.push(Exception {
                    quarter,
                    rule,
                    value: Some(real(value)),
                    detail,
                });
            }
        };
        match moved {
            Moved::Forward(_) => {}
            Moved::RolledOver { wh, range_wh } => object(
                Rule::RegisterRollover,
                range_wh,
                format!("the {word} register began again at {range_wh} Wh and moved by {wh} Wh in all"),
            ),
            Moved::Backward(wh) => object(
                Rule::RegisterReset,
                wh,
                format!("the {word} register stands {wh} Wh lower than at the midnight before"),
            ),
        }
        if let Some(energy_wh) = moved.energy_wh() {
            let (sum_wh, is_complete) = known_sum(day, channel);
            let excess = sum_wh.saturating_sub(energy_wh);
            if is_beyond(excess, energy_wh, context.limits) && (is_complete || excess > 0) {
                let detail = mismatch(word, (sum_wh, energy_wh), context.multiplier.thousandths());
                object(Rule::RegisterMismatch, excess, detail);
            }
        }
    }
}

fn is_beyond(excess: i64, energy_wh: i64, limits: &Limits) -> bool {
    let tolerated = real(energy_wh) * limits.register_tolerance_pct / 100.0;
    real(excess.abs()) > tolerated.max(real(limits.register_tolerance_wh))
}

fn mismatch(word: &str, (sum_wh, energy_wh): (i64, i64), multiplier_thousandths: i64) -> String {
    let near = |a: i64, b: i64| real((a - b).abs()) <= real(b.abs()) / 100.0;
    let scaled = |wh: i64| wh.saturating_mul(multiplier_thousandths) / 1_000;
    let cause = if multiplier_thousandths == 1_000 {
        ""
    } else if near(scaled(energy_wh), sum_wh) {
        ": the intervals hold the multiplying factor, the registers do not"
    } else if near(scaled(sum_wh), energy_wh) {
        ": the registers hold the multiplying factor, the intervals do not"
    } else {
        ""
    };
    format!("the day's {word} intervals sum up to {sum_wh} Wh, its registers differ by {energy_wh} Wh{cause}")
}
