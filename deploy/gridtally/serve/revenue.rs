//! What feeders' revenue is judged by, from configuration.

use gridtally_engine::revenue::RevenueRules;

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
    Ok(RevenueRules {
        audit_loss_pct: percent("revenue.audit_loss_pct", 100.0)?,
        arrears_jump_pct: percent("revenue.arrears_jump_pct", 1_000.0)?,
        rounds_ratio: config.get("revenue.rounds_ratio")?,
    })
}
