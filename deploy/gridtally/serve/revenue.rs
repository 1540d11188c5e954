//! What feeders' revenue is judged by, and where consumption bands end, from configuration.

use gridtally_engine::revenue::{BandLimits, RevenueRules};

use crate::config::{Config, ConfigError};

/// The rules that configuration sets.
pub(super) fn rules(config: &Config) -> Result<RevenueRules, ConfigError> {
    let percent = |path: &'static str, max: f64| {
        let value: f64 = config.get(path)?;
        if (0.0..=max).contains(&value) {
            return Ok(value);
        }
        Err(config.refuse(path, format!("0 to {max} are possible")))
    };
    let bands = BandLimits {
        low_wh: watt_hours(config, "revenue.low_consumption_kwh")?,
        high_wh: watt_hours(config, "revenue.high_consumption_kwh")?,
    };
    if bands.high_wh < bands.low_wh {
        let why = "it is not below revenue.low_consumption_kwh";
        return Err(config.refuse("revenue.high_consumption_kwh", why.to_owned()));
    }
    Ok(RevenueRules {
        audit_loss_pct: percent("revenue.audit_loss_pct", 100.0)?,
        arrears_jump_pct: percent("revenue.arrears_jump_pct", 1_000.0)?,
        rounds_ratio: config.get("revenue.rounds_ratio")?,
        bands,
    })
}

/// Highest limit of a band, kWh a month: what no consumer draws.
const BAND_KWH_MAX: i64 = 1_000_000_000;

fn watt_hours(config: &Config, path: &'static str) -> Result<i64, ConfigError> {
    let kwh: i64 = config.get(path)?;
    if (0..=BAND_KWH_MAX).contains(&kwh) {
        return Ok(kwh.saturating_mul(1_000));
    }
    Err(config.refuse(path, format!("whole kWh, 0 to {BAND_KWH_MAX}, are possible")))
}
