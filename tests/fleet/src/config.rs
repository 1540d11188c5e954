//! What can be chosen of a fleet.

use gridtally_schemas::{UtcMicros, Zone};

/// Fewest consumers of a fleet.
pub const CONSUMERS_MIN: u64 = 20;
/// Most consumers of a fleet.
pub const CONSUMERS_MAX: u64 = 400_000_000;
/// Most consumers that can be asked for per feeder.
pub const CONSUMERS_PER_FEEDER_MAX: u64 = 4_000;

/// Most feeders: ids have six digits for them.
pub const FEEDERS_MAX: u64 = 999_999;

/// A synthetic utility. Equal configurations give equal fleets on every machine.
#[derive(Debug, Clone, PartialEq)]
pub struct FleetConfig {
    /// Everything that looks random follows from it.
    pub seed: u64,
    /// Consumers in all (LT and HT, metered and unmetered), [`CONSUMERS_MIN`] to [`CONSUMERS_MAX`].
    pub consumers: u64,
    /// Consumers per feeder on average: 1,000 in India (DOMAIN section 1); smaller makes more feeders of a small fleet.
    pub consumers_per_feeder: u64,
    /// Where its history begins, on the grid of quarter hours. Master data holds from a year before.
    pub start: UtcMicros,
    /// The discom's zone: load follows its civil time.
    pub zone: Zone,
    /// Feeders whose consumers' meters count in half hours, per thousand; all others count in quarter hours.
    pub thirty_minute_permille: u16,
    /// Domestic and commercial consumers with rooftop solar, per thousand in urban areas (a third of it in rural ones).
    pub prosumer_permille: u16,
    /// DTs at which somebody steals, per thousand in urban areas (twice in rural ones).
    pub theft_permille: u16,
    /// Further DTs at which somebody hooks on the line from 22 h to 5 h with a steady load, per thousand. Default none.
    pub night_hook_permille: u16,
    /// DTs without meter, per thousand.
    pub dt_unmetered_permille: u16,
    /// Pairs of neighbouring feeders that are tied, per thousand.
    pub boundary_permille: u16,
    /// What goes wrong between the meter and the platform.
    pub imperfections: Imperfections,
}

impl FleetConfig {
    /// A fleet of `consumers` with Indian proportions and the usual imperfections.
    #[must_use]
    pub fn new(seed: u64, consumers: u64, start: UtcMicros) -> Self {
        Self {
            seed,
            consumers,
            consumers_per_feeder: 1_000,
            start,
            zone: Zone::kolkata(),
            thirty_minute_permille: 200,
            prosumer_permille: 60,
            theft_permille: 90,
            night_hook_permille: 0,
            dt_unmetered_permille: 40,
            boundary_permille: 400,
            imperfections: Imperfections::usual(),
        }
    }

    /// The fleet of `gridtally demo`: 2,000 consumers on 8 feeders of every kind, from 2026-04-01 in India.
    #[must_use]
    pub fn demo() -> Self {
        let start = UtcMicros(1_774_981_800_000_000);
        Self {
            consumers_per_feeder: 250,
            ..Self::new(2_026, 2_000, start)
        }
    }

    /// Number of feeders that follows; at least one.
    pub(crate) fn feeders(&self) -> u64 {
        ((self.consumers + self.consumers_per_feeder / 2) / self.consumers_per_feeder).max(1)
    }

    pub(crate) fn check(&self) -> Result<(), FleetError> {
        if !(CONSUMERS_MIN..=CONSUMERS_MAX).contains(&self.consumers) {
            return Err(FleetError::Consumers {
                consumers: self.consumers,
            });
        }
        if !(CONSUMERS_MIN..=CONSUMERS_PER_FEEDER_MAX).contains(&self.consumers_per_feeder) {
            return Err(FleetError::ConsumersPerFeeder {
                consumers: self.consumers_per_feeder,
            });
        }
        if self.feeders() > FEEDERS_MAX {
            return Err(FleetError::Feeders {
                feeders: self.feeders(),
            });
        }
        if self.start.0.rem_euclid(crate::calendar::HALF_HOUR_MICROS) != 0 {
            return Err(FleetError::Start { start: self.start });
        }
        Ok(())
    }
}

/// What goes wrong between the meter and the platform, each in parts per million of all interval reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Imperfections {
    /// Never sent.
    pub missing_ppm: u32,
    /// Reported missing by the source (`import_wh` null); the read itself comes later for half of them.
    pub null_ppm: u32,
    /// Sent late: all reads of a meter in a window of four hours, after the end of that window.
    pub late_ppm: u32,
    /// Most that a late read comes after the end of its window, hours.
    pub late_hours_max: u32,
    /// Sent twice.
    pub duplicate_ppm: u32,
    /// Sent with a wrong value first and corrected later, by revision or by a later `captured_at`.
    pub corrected_ppm: u32,
    /// Power failure and restoration within one quarter hour (events 101 and 102), per meter and quarter hour.
    pub event_ppm: u32,
}

impl Imperfections {
    /// 1 % late, 1 % corrected, 0.5 % twice, 0.2 % never, 0.1 % reported missing.
    #[must_use]
    pub const fn usual() -> Self {
        Self {
            missing_ppm: 2_000,
            null_ppm: 1_000,
            late_ppm: 10_000,
            late_hours_max: 24,
            duplicate_ppm: 5_000,
            corrected_ppm: 10_000,
            event_ppm: 100,
        }
    }

    /// Every read once and on time, no events.
    #[must_use]
    pub const fn none() -> Self {
        Self {
            missing_ppm: 0,
            null_ppm: 0,
            late_ppm: 0,
            late_hours_max: 0,
            duplicate_ppm: 0,
            corrected_ppm: 0,
            event_ppm: 0,
        }
    }
}

/// What can go wrong with a fleet that does not talk to a network.
#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    /// Too few or too many consumers.
    #[error("fleet of {consumers} consumers: {CONSUMERS_MIN} to {CONSUMERS_MAX} are possible")]
    Consumers {
        /// As asked for.
        consumers: u64,
    },
    /// Too few or too many consumers per feeder.
    #[error("{consumers} consumers per feeder: {CONSUMERS_MIN} to {CONSUMERS_PER_FEEDER_MAX} are possible")]
    ConsumersPerFeeder {
        /// As asked for.
        consumers: u64,
    },
    /// Too many feeders.
    #[error("fleet of {feeders} feeders: at most {FEEDERS_MAX} are possible")]
    Feeders {
        /// That many follow from the consumers.
        feeders: u64,
    },
    /// A start off the grid.
    #[error("fleet start {start} is not on a half hour")]
    Start {
        /// As asked for.
        start: UtcMicros,
    },
    /// A file that cannot be written.
    #[error("cannot write {path}")]
    Write {
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A Parquet file that cannot be written.
    #[error("cannot write {path} as Parquet")]
    Parquet {
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        #[source]
        source: parquet::errors::ParquetError,
    },
}
