//! What outages are decided by, from configuration.

use std::path::PathBuf;

use gridtally_engine::outage::{EventMap, Rules};

use crate::config::{Config, ConfigError};

/// The rules that configuration sets, over the defaults.
pub(super) fn rules(config: &Config) -> Result<Rules, ConfigError> {
    const MINUTE_MICROS: i64 = 60_000_000;
    let minutes = |path: &'static str, max: u64| {
        let value = config.whole(path, 0..=max)?;
        let value = i64::try_from(value).map_err(|_| config.refuse(path, "too large"))?;
        Ok::<i64, ConfigError>(value * MINUTE_MICROS)
    };
    let share = config.whole("outage.share_pct", 1..=99)?;
    Ok(Rules {
        momentary_micros: minutes("outage.momentary_minutes", 60)?,
        together_micros: minutes("outage.together_minutes", 60)?,
        share_pct: u8::try_from(share).map_err(|_| config.refuse("outage.share_pct", "too large"))?,
        heard_micros: 60 * minutes("outage.heard_hours", 24 * 31)?,
        past_min: config.count("outage.estimate_outages_min", 1..=1_000)?,
        past_max: config.count("outage.estimate_outages_max", 0..=1_000)?,
        past_days: i64::try_from(config.whole("outage.estimate_days", 1..=36_600)?)
            .map_err(|_| config.refuse("outage.estimate_days", "too large"))?,
        ..Rules::default()
    })
}

/// What event codes mean: `[[events.codes]]` over the built-in ones.
pub(crate) fn event_map(config: &Config) -> Result<EventMap, ConfigError> {
    let map = if config.get::<bool>("events.built_in")? {
        EventMap::default()
    } else {
        EventMap::empty()
    };
    let codes = config.event_codes.iter();
    map.with(codes.map(|entry| (entry.code, entry.meaning.as_str())))
        .map_err(|error| ConfigError::Form {
            key: "events.codes".to_owned(),
            path: PathBuf::from("the configuration file"),
            reason: error.to_string(),
        })
}
