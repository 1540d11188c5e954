//! How soon after the end of its civil day a value came, in one byte.

const HOUR_MICROS: i64 = 3_600_000_000;
const HOURS_8: i64 = 8 * HOUR_MICROS;
const HOURS_12: i64 = 12 * HOUR_MICROS;
const HOURS_24: i64 = 24 * HOUR_MICROS;

/// How soon after the end of the civil day of its interval a value came. The lesser is the sooner.
///
/// 0, 1 and 2: within 8, 12 and 24 hours, the service levels of AMISP contracts; 3 and more: within one more whole day each, the last of
/// all days after that.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Arrival(u8);

impl Arrival {
    /// Within 8 hours: on time. What a cell says that nobody told otherwise.
    pub const WITHIN_8_HOURS: Self = Self(0);
    /// Within 12 hours.
    pub const WITHIN_12_HOURS: Self = Self(1);
    /// Within 24 hours.
    pub const WITHIN_24_HOURS: Self = Self(2);

    /// As a byte, and back.
    pub(super) const fn to_bits(self) -> u8 {
        self.0
    }

    pub(super) const fn of_bits(bits: u8) -> Self {
        Self(bits)
    }

    /// Of what came so long after the end of its day, µs; negative: before it.
    #[must_use]
    pub fn after(micros: i64) -> Self {
        if micros <= HOURS_8 {
            Self::WITHIN_8_HOURS
        } else if micros <= HOURS_12 {
            Self::WITHIN_12_HOURS
        } else if micros <= HOURS_24 {
            Self::WITHIN_24_HOURS
        } else {
            let days = (micros - 1) / HOURS_24;
            Self(u8::try_from(days.saturating_add(2)).unwrap_or(u8::MAX))
        }
    }

    /// Whether what came `micros` after the end of its interval is surely on time: no civil day ends before its intervals do.
    #[must_use]
    pub const fn is_surely_on_time(micros: i64) -> bool {
        micros <= HOURS_8
    }
}
