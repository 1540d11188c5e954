//! What validation measures against, from configuration.

use std::collections::BTreeSet;

use gridtally_engine::vee::{Limits, MappingLimits, VeeLimits};
use gridtally_schemas::Day;

use crate::config::{Config, ConfigError};

/// The limits that configuration sets, over the defaults.
pub(super) fn limits(config: &Config) -> Result<VeeLimits, ConfigError> {
    const HOUR_MICROS: i64 = 3_600_000_000;
    let within = |path: &'static str, range: std::ops::RangeInclusive<f64>| {
        let value: f64 = config.get(path)?;
        if range.contains(&value) {
            return Ok(value);
        }
        Err(config.refuse(path, format!("{} to {} are possible", range.start(), range.end())))
    };
    let span = |path: &'static str, max: u64, unit_micros: i64| {
        let value = config.whole(path, 0..=max)?;
        let value = i64::try_from(value).map_err(|_| config.refuse(path, "too large"))?;
        Ok::<i64, ConfigError>(value * unit_micros)
    };
    let number = |path: &'static str, max: u64| {
        let value = config.whole(path, 1..=max)?;
        u32::try_from(value).map_err(|_| config.refuse(path, "too large"))
    };
    let volts = |path: &'static str| {
        let value: f32 = config.get(path)?;
        if (1.0..=1_000.0).contains(&value) {
            Ok(value)
        } else {
            Err(config.refuse(path, "1 to 1000 are possible"))
        }
    };
    let estimate_after_micros = match config.text("vee.estimate_after_hours") {
        "never" => None,
        _ => Some(span("vee.estimate_after_hours", 24 * 366, HOUR_MICROS)?),
    };
    let too_old = config.text_if_set("vee.too_old_days");
    let mut limits = VeeLimits {
        estimate_after_micros,
        too_old_micros: too_old
            .map(|_| span("vee.too_old_days", 36_600, 24 * HOUR_MICROS))
            .transpose()?,
        holidays: holidays(config)?,
        ..VeeLimits::default()
    };
    limits.base = Limits {
        capacity_factor: within("vee.capacity_factor", 1.0..=1_000.0)?,
        spike_factor: number("vee.spike_factor", 1_000)?,
        stuck_quarters: 4 * number("vee.stuck_hours", 48)?,
        zero_quarters: 4 * number("vee.zero_hours", 48)?,
        register_tolerance_pct: within("vee.register_tolerance_pct", 0.0..=100.0)?,
        voltage_min_v: volts("vee.voltage_min_v")?,
        voltage_max_v: volts("vee.voltage_max_v")?,
        negative_balance_pct: within("vee.negative_balance_pct", 0.0..=100.0)?,
        ..limits.base
    };
    let percent = |path: &'static str, max: u64| number(path, max).map(i64::from);
    limits.mapping = MappingLimits {
        days: number("vee.mapping_days", 31)?,
        better_by_pct: percent("vee.mapping_better_by_pct", 1_000)?,
        follows_min_pct: percent("vee.mapping_follows_min_pct", 100)?,
        ..limits.mapping
    };
    limits.set_categories(&VeeLimits::own_of_categories());
    limits.set_categories(&config.vee_categories);
    Ok(limits)
}

fn holidays(config: &Config) -> Result<BTreeSet<Day>, ConfigError> {
    let dates = config
        .text("vee.holidays")
        .split(',')
        .map(str::trim)
        .filter(|date| !date.is_empty());
    let parse = |date: &str| {
        Day::parse(date).ok_or_else(|| {
            config.refuse(
                "vee.holidays",
                format!("`{date}` is not a date such as 2026-01-26"),
            )
        })
    };
    dates.map(parse).collect()
}
