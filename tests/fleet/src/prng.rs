//! Seeded draws that need no state: every draw is a hash of where it is made, so any one can be made alone.
//!
//! The mixing function is the finaliser of SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators",
//! OOPSLA 2014). Integer arithmetic only: the same on every machine.

const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

const fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(GOLDEN);
    let value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

/// Where a draw is made; equally the 64 random bits drawn there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key(u64);

impl Key {
    pub(crate) const fn of_seed(seed: u64) -> Self {
        Self(mix(seed))
    }

    /// The key of part `number` of this.
    pub(crate) const fn part(self, number: u64) -> Self {
        Self(mix(self.0 ^ number.wrapping_mul(GOLDEN)))
    }

    /// The key of this at a quarter hour or day, which may lie before 1970.
    pub(crate) const fn at(self, time: i64) -> Self {
        self.part(u64::from_le_bytes(time.to_le_bytes()))
    }

    /// 64 random bits.
    pub(crate) const fn bits(self) -> u64 {
        self.0
    }

    /// A number from 0 to below `bound` (at most 2^32); 0 when `bound` is 0.
    pub(crate) const fn below(self, bound: u64) -> u64 {
        ((self.0 >> 32) * bound) >> 32
    }

    /// A number from `low` to `high`, both included; `low` when `high` is below it.
    pub(crate) const fn between(self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low) + 1)
    }

    /// Whether an event of `ppm` parts in a million happens here.
    pub(crate) const fn chance_ppm(self, ppm: u32) -> bool {
        self.below(1_000_000) < widen(ppm)
    }

    /// Whether an event of `permille` parts in a thousand happens here.
    pub(crate) const fn chance_permille(self, permille: u16) -> bool {
        let [low, high] = permille.to_le_bytes();
        self.below(1_000) < u64::from_le_bytes([low, high, 0, 0, 0, 0, 0, 0])
    }
}

const fn widen(value: u32) -> u64 {
    let [a, b, c, d] = value.to_le_bytes();
    u64::from_le_bytes([a, b, c, d, 0, 0, 0, 0])
}

/// A count as a u64. Counts in this crate are far below 2^63.
pub(crate) fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// A small u64 (a draw with a bound) as i64.
pub(crate) fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A small u64 (a draw with a bound) as usize.
pub(crate) fn size(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

/// A whole number of at most 32 bits as f64.
pub(crate) fn real(value: i64) -> f64 {
    f64::from(i32::try_from(value).unwrap_or(i32::MAX))
}
