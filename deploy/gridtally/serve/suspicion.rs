//! How past months are judged for suspicions, from configuration.

use gridtally_engine::{engine::SuspicionSettings, suspicion::Limits};

use crate::config::{Config, ConfigError};

/// The settings that configuration names, over the defaults.
pub(super) fn settings(config: &Config) -> Result<SuspicionSettings, ConfigError> {
    const HOUR_MICROS: i64 = 3_600_000_000;
    let every = match config.text("suspicion.every_seconds") {
        "never" => None,
        _ => Some(config.seconds("suspicion.every_seconds", 1..=604_800)?),
    };
    let wait_hours = config.whole("suspicion.wait_hours", 0..=24 * 366)?;
    let wait_hours =
        i64::try_from(wait_hours).map_err(|_| config.refuse("suspicion.wait_hours", "too large"))?;
    Ok(SuspicionSettings {
        every,
        wait_micros: wait_hours * HOUR_MICROS,
        months: config.count("suspicion.months", 1..=120)?,
        limits: Limits {
            holidays: super::vee::limits(config)?.holidays,
            ..Limits::default()
        },
    })
}

/// Share of the consumers that a commercial audit list holds, per cent.
pub(super) fn share_pct(config: &Config) -> Result<f64, ConfigError> {
    let share: f64 = config.get("suspicion.share_pct")?;
    if share > 0.0 && share <= 100.0 {
        return Ok(share);
    }
    Err(config.refuse("suspicion.share_pct", "above 0 to 100 are possible"))
}
