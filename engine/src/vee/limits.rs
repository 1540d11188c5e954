//! What the rules measure against: one set of limits, and other values for a category where configuration gives them.

use std::collections::BTreeMap;

use gridtally_schemas::Day;

/// Limits of one category. Defaults are house choices unless a source is named.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Energy of an interval may be this many times what the sanctioned load or the rating carries. Default 2: homes draw above their
    /// sanctioned load for a while, and no fuse holds twice of it for a quarter of an hour.
    pub capacity_factor: f64,
    /// A spike is this many times the fourth highest interval of two days. Default 5.
    pub spike_factor: u32,
    /// Below this average power an interval is no spike, W on the network. Default 2,000.
    pub spike_floor_w: i64,
    /// The same non-zero energy for this long is stuck, quarter hours. Default 48 (12 h).
    pub stuck_quarters: u32,
    /// Below this average power a constant energy is a standing load, W on the network. Default 100.
    pub stuck_floor_w: i64,
    /// No energy for this long is a long zero, quarter hours. Default 96 (24 h).
    pub zero_quarters: u32,
    /// Sum of intervals against register difference: tolerated share of the difference, per cent. Default 1.
    pub register_tolerance_pct: f64,
    /// The same in energy; the larger of the two is tolerated, Wh as the meter counts. Default 100, one count of a register with two
    /// decimals of a kWh at each end.
    pub register_tolerance_wh: i64,
    /// VAh may be below Wh by this share, per cent. Default 2, the accuracy of class 1 twice (IS 13779).
    pub kvah_tolerance_pct: f64,
    /// Lowest plausible voltage of an LT connection, V. Default 144 (60 % of 240 V).
    pub voltage_min_v: f32,
    /// Highest plausible voltage of an LT connection, V. Default 300 (125 % of 240 V).
    pub voltage_max_v: f32,
    /// A read may be made this long before its interval ends, s. Default 300.
    pub clock_drift_seconds: i64,
    /// Night begins at this minute of the civil day. Default 20:00: the sun is down everywhere in India by 19:30.
    pub night_from_minute: u32,
    /// Night ends at this minute of the civil day. Default 04:00: it rises nowhere in India before.
    pub night_until_minute: u32,
    /// Below this average power export at night is tolerated, W on the network. Default 40.
    pub night_export_floor_w: i64,
    /// A DT's daily loss may be this far below zero, per cent of what was injected. Default 3 (DOMAIN section 2).
    pub negative_balance_pct: f64,
    /// Share of its sanctioned load that a consumer draws on average, per cent: the level of a profile where nothing else is known.
    /// Default 15.
    pub load_factor_pct: u32,
    /// Shape of an average day, by civil hour, in any unit. Default: flat with an evening peak.
    pub profile: [u32; 24],
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            capacity_factor: 2.0,
            spike_factor: 5,
            spike_floor_w: 2_000,
            stuck_quarters: 48,
            stuck_floor_w: 100,
            zero_quarters: 96,
            register_tolerance_pct: 1.0,
            register_tolerance_wh: 100,
            kvah_tolerance_pct: 2.0,
            voltage_min_v: 144.0,
            voltage_max_v: 300.0,
            clock_drift_seconds: 300,
            night_from_minute: 20 * 60,
            night_until_minute: 4 * 60,
            night_export_floor_w: 40,
            negative_balance_pct: 3.0,
            load_factor_pct: 15,
            profile: [
                8, 7, 7, 7, 7, 8, 10, 11, 11, 10, 9, 9, 9, 9, 9, 9, 9, 10, 12, 14, 15, 14, 12, 10,
            ],
        }
    }
}

/// Other values of one category; what is `None` is as everywhere.
#[derive(Debug, Default, Clone, PartialEq, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CategoryLimits {
    /// The tariff category, as in the `connections` file.
    pub category: String,
    /// See [`Limits::capacity_factor`].
    pub capacity_factor: Option<f64>,
    /// See [`Limits::spike_factor`].
    pub spike_factor: Option<u32>,
    /// See [`Limits::spike_floor_w`].
    pub spike_floor_w: Option<i64>,
    /// See [`Limits::stuck_quarters`].
    pub stuck_quarters: Option<u32>,
    /// See [`Limits::zero_quarters`].
    pub zero_quarters: Option<u32>,
    /// See [`Limits::voltage_min_v`].
    pub voltage_min_v: Option<f32>,
    /// See [`Limits::voltage_max_v`].
    pub voltage_max_v: Option<f32>,
    /// See [`Limits::load_factor_pct`].
    pub load_factor_pct: Option<u32>,
    /// See [`Limits::profile`]; 24 numbers.
    pub profile: Option<[u32; 24]>,
}

impl CategoryLimits {
    /// The limits of the category, the rest as in `base`.
    #[must_use]
    pub fn over(&self, base: &Limits) -> Limits {
        Limits {
            capacity_factor: self.capacity_factor.unwrap_or(base.capacity_factor),
            spike_factor: self.spike_factor.unwrap_or(base.spike_factor),
            spike_floor_w: self.spike_floor_w.unwrap_or(base.spike_floor_w),
            stuck_quarters: self.stuck_quarters.unwrap_or(base.stuck_quarters),
            zero_quarters: self.zero_quarters.unwrap_or(base.zero_quarters),
            voltage_min_v: self.voltage_min_v.unwrap_or(base.voltage_min_v),
            voltage_max_v: self.voltage_max_v.unwrap_or(base.voltage_max_v),
            load_factor_pct: self.load_factor_pct.unwrap_or(base.load_factor_pct),
            profile: self.profile.unwrap_or(base.profile),
            ..*base
        }
    }
}

/// What the rule `wrong_mapping` measures against. Numbers are house choices, set where the tests against the synthetic utility tell right from
/// wrong with room to spare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MappingLimits {
    /// Civil days of a window; windows follow one another, counted from Monday, 29 December 1969. Default 7.
    pub days: u32,
    /// Fewest half hours that a figure is made of. Default 96: two days.
    pub half_hours_min: u32,
    /// A meter moves more with one DT than with another where the odds of its correlation are greater by this, per cent. Default 100: a
    /// difference of 0.35 in Fisher's z, six times the error of either over a week.
    pub better_by_pct: i64,
    /// A residual falls (or rises) with a meter by at least this share of it, per cent. Default 50.
    pub follows_min_pct: i64,
}

impl Default for MappingLimits {
    fn default() -> Self {
        Self {
            days: 7,
            half_hours_min: 96,
            better_by_pct: 100,
            follows_min_pct: 50,
        }
    }
}

/// All limits.
#[derive(Debug, Clone, PartialEq)]
pub struct VeeLimits {
    /// Of every category that has none of its own, and of DT, feeder and boundary meters.
    pub base: Limits,
    /// By tariff category, as in the `connections` file.
    pub by_category: BTreeMap<String, Limits>,
    /// Public holidays: their load is like that of other holidays (DOMAIN section 3). Default none.
    pub holidays: std::collections::BTreeSet<Day>,
    /// A read whose interval ended longer ago than this when it came is refused, µs; `None`: none is (house choice).
    pub too_old_micros: Option<i64>,
    /// A day is checked for gaps and its gaps are estimated this long after its end, µs; `None`: never. Default 24 h: the last of the
    /// AMISP service levels, within which a read is not late.
    pub estimate_after_micros: Option<i64>,
    /// What a wrong mapping is measured against.
    pub mapping: MappingLimits,
}

impl VeeLimits {
    /// Categories that differ from the base by nature: lamps draw the same all night, and factories and pump sets have no evening peak.
    #[must_use]
    pub fn own_of_categories() -> [CategoryLimits; 3] {
        let flat = |category: &str| CategoryLimits {
            category: category.to_owned(),
            profile: Some([1; 24]),
            ..CategoryLimits::default()
        };
        let street_light = CategoryLimits {
            category: "LT-streetlight".to_owned(),
            stuck_quarters: Some(96),
            profile: Some([
                1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1,
            ]),
            load_factor_pct: Some(45),
            ..CategoryLimits::default()
        };
        [street_light, flat("HT-industry"), flat("LT-agriculture")]
    }

    /// Takes limits of categories, each over what the category has already, or over the base.
    pub fn set_categories(&mut self, categories: &[CategoryLimits]) {
        for own in categories {
            let limits = own.over(self.of(Some(&own.category)));
            self.by_category.insert(own.category.clone(), limits);
        }
    }
}

impl Default for VeeLimits {
    fn default() -> Self {
        let mut limits = Self {
            base: Limits::default(),
            by_category: BTreeMap::new(),
            holidays: std::collections::BTreeSet::new(),
            too_old_micros: None,
            estimate_after_micros: Some(24 * 60 * 60 * 1_000_000),
            mapping: MappingLimits::default(),
        };
        limits.set_categories(&Self::own_of_categories());
        limits
    }
}

impl VeeLimits {
    /// The limits of a category; `None`: of a meter that is not a consumer's.
    #[must_use]
    pub fn of(&self, category: Option<&str>) -> &Limits {
        category
            .and_then(|category| self.by_category.get(category))
            .unwrap_or(&self.base)
    }
}
