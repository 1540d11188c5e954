//! Load shapes by category, and the sun: tables of house choice, near published Indian load curves (evening peak of homes,
//! working hours of shops, supply hours of pump sets, three shifts of HT industry).

/// Number of categories.
pub(crate) const CATEGORIES: usize = 8;

/// What a consumer uses electricity for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Category {
    /// A home in town.
    DomesticUrban,
    /// A home in a village.
    DomesticRural,
    /// A shop or office.
    Commercial,
    /// An irrigation pump set.
    Agriculture,
    /// A workshop on low tension.
    Industry,
    /// Street lights.
    StreetLight,
    /// A factory on high tension.
    HtIndustry,
    /// A hospital, mall or office tower on high tension.
    HtCommercial,
}

impl Category {
    /// The tariff category in the `connections` file.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DomesticUrban | Self::DomesticRural => "LT-domestic",
            Self::Commercial => "LT-commercial",
            Self::Agriculture => "LT-agriculture",
            Self::Industry => "LT-industry",
            Self::StreetLight => "LT-streetlight",
            Self::HtIndustry => "HT-industry",
            Self::HtCommercial => "HT-commercial",
        }
    }

    /// Power factor, per mille.
    pub(crate) const fn power_factor_permille(self) -> i64 {
        match self {
            Self::DomesticUrban | Self::DomesticRural => 965,
            Self::Commercial | Self::HtCommercial => 950,
            Self::Agriculture => 820,
            Self::Industry => 880,
            Self::StreetLight => 900,
            Self::HtIndustry => 970,
        }
    }

    /// Its row of `levels`.
    pub(crate) const fn row<T>(self, levels: &[T; CATEGORIES]) -> &T {
        let [
            domestic_urban,
            domestic_rural,
            commercial,
            agriculture,
            industry,
            street,
            ht_industry,
            ht_commercial,
        ] = levels;
        match self {
            Self::DomesticUrban => domestic_urban,
            Self::DomesticRural => domestic_rural,
            Self::Commercial => commercial,
            Self::Agriculture => agriculture,
            Self::Industry => industry,
            Self::StreetLight => street,
            Self::HtIndustry => ht_industry,
            Self::HtCommercial => ht_commercial,
        }
    }
}

struct Shape {
    /// Per mille of the average, at the full hours 0 to 23.
    working_day: [i64; 24],
    /// The same on Sundays.
    sunday: [i64; 24],
    /// Per mille of the year's average, at the middle of each month from January on.
    season: [i64; 12],
}

const DOMESTIC_URBAN: Shape = Shape {
    working_day: [
        880, 800, 740, 700, 690, 760, 980, 1150, 1120, 980, 880, 860, 880, 900, 880, 870, 900, 980, 1180,
        1450, 1560, 1500, 1300, 1060,
    ],
    sunday: [
        900, 820, 760, 710, 700, 730, 860, 1020, 1140, 1180, 1160, 1120, 1120, 1100, 1050, 1000, 980, 1000,
        1160, 1400, 1480, 1420, 1240, 1040,
    ],
    season: [760, 780, 950, 1220, 1380, 1260, 1080, 1040, 1050, 1000, 780, 700],
};
const DOMESTIC_RURAL: Shape = Shape {
    working_day: [
        700, 640, 600, 590, 680, 980, 1240, 1080, 860, 760, 740, 760, 800, 800, 780, 780, 860, 1060, 1500,
        1960, 1900, 1560, 1140, 820,
    ],
    sunday: [
        700, 640, 600, 590, 660, 920, 1180, 1080, 920, 840, 820, 840, 880, 880, 840, 820, 880, 1060, 1460,
        1900, 1840, 1500, 1100, 820,
    ],
    season: [820, 820, 940, 1160, 1320, 1220, 1080, 1040, 1020, 980, 820, 780],
};
const COMMERCIAL: Shape = Shape {
    working_day: [
        380, 360, 350, 350, 360, 380, 440, 560, 840, 1240, 1560, 1680, 1700, 1620, 1580, 1600, 1660, 1740,
        1820, 1700, 1320, 820, 520, 420,
    ],
    sunday: [
        380, 360, 350, 350, 360, 370, 400, 460, 600, 780, 900, 960, 980, 940, 920, 940, 1000, 1100, 1180,
        1120, 880, 600, 460, 400,
    ],
    season: [840, 850, 980, 1160, 1260, 1180, 1060, 1040, 1040, 1000, 860, 820],
};
const AGRICULTURE: Shape = Shape {
    working_day: [900; 24],
    sunday: [900; 24],
    season: [1120, 1180, 1160, 1080, 940, 700, 560, 620, 760, 980, 1100, 1120],
};
const INDUSTRY: Shape = Shape {
    working_day: [
        420, 400, 390, 390, 400, 440, 560, 860, 1320, 1660, 1760, 1720, 1480, 1560, 1740, 1720, 1640, 1460,
        1160, 860, 640, 540, 480, 440,
    ],
    sunday: [320; 24],
    season: [1020, 1020, 1040, 1020, 1000, 980, 960, 960, 980, 960, 1000, 1020],
};
const STREET_LIGHT: Shape = Shape {
    working_day: [
        2000, 2000, 2000, 2000, 2000, 1900, 300, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 900, 2000, 2000, 2000,
        2000, 2000,
    ],
    sunday: [
        2000, 2000, 2000, 2000, 2000, 1900, 300, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 900, 2000, 2000, 2000,
        2000, 2000,
    ],
    season: [1060, 1040, 1000, 970, 940, 930, 940, 960, 990, 1020, 1050, 1070],
};
const HT_INDUSTRY: Shape = Shape {
    working_day: [
        860, 850, 840, 840, 850, 880, 960, 1060, 1140, 1180, 1190, 1180, 1120, 1140, 1180, 1180, 1160, 1120,
        1060, 1020, 980, 940, 910, 880,
    ],
    sunday: [
        720, 710, 710, 710, 710, 720, 740, 760, 780, 800, 800, 800, 780, 780, 790, 790, 780, 770, 760, 750,
        740, 730, 720, 720,
    ],
    season: [1000, 1000, 1020, 1020, 1020, 1000, 980, 980, 1000, 980, 990, 1010],
};
const HT_COMMERCIAL: Shape = Shape {
    working_day: [
        560, 540, 530, 530, 540, 580, 680, 860, 1120, 1360, 1460, 1500, 1500, 1480, 1460, 1460, 1440, 1400,
        1340, 1240, 1080, 880, 720, 620,
    ],
    sunday: [
        540, 530, 520, 520, 530, 550, 600, 700, 860, 1020, 1120, 1160, 1180, 1160, 1140, 1140, 1140, 1140,
        1120, 1060, 940, 800, 660, 580,
    ],
    season: [820, 840, 980, 1160, 1260, 1180, 1080, 1060, 1060, 1020, 860, 800],
};

const SHAPES: [Shape; CATEGORIES] = [
    DOMESTIC_URBAN,
    DOMESTIC_RURAL,
    COMMERCIAL,
    AGRICULTURE,
    INDUSTRY,
    STREET_LIGHT,
    HT_INDUSTRY,
    HT_COMMERCIAL,
];

/// The table's value at `position` of `steps` equal steps around the table's cycle, between two entries in proportion.
fn around(table: &[i64], position: i64, steps: i64) -> i64 {
    let entries = i64::try_from(table.len()).unwrap_or(1);
    let scaled = position * entries;
    let (before, fraction) = (scaled.div_euclid(steps), scaled.rem_euclid(steps));
    let at = |index: i64| {
        usize::try_from(index.rem_euclid(entries))
            .ok()
            .and_then(|index| table.get(index))
            .copied()
            .unwrap_or_default()
    };
    (at(before) * (steps - fraction) + at(before + 1) * fraction) / steps
}

/// Average power of each category in a quarter of the day and day of the year, per mille of the consumer's average.
pub(crate) fn levels(of_day: i64, of_year: i64, sunday: bool) -> [i64; CATEGORIES] {
    SHAPES.map(|shape| {
        let table = if sunday { &shape.sunday } else { &shape.working_day };
        // Months are given at their middle: half a month is 15 days.
        let season = around(&shape.season, (of_year - 15).rem_euclid(365), 365);
        around(table, of_day, 96) * season / 1_000
    })
}

/// Clear-sky output per mille of the rating: a parabola between sunrise and sunset, lower in winter.
pub(crate) fn clear_sky(of_day: i64, of_year: i64) -> i64 {
    // Days from midwinter (day 355), 0 to 183.
    let from_winter = (of_year + 10).rem_euclid(365);
    let from_winter = from_winter.min(365 - from_winter);
    let half_day = 21 + from_winter * 5 / 183;
    let from_noon = 2 * of_day + 1 - 2 * 49;
    let edge = 2 * half_day;
    if from_noon.abs() >= edge {
        return 0;
    }
    let height = 1_000 - 1_000 * from_noon * from_noon / (edge * edge);
    height * (620 + from_winter * 180 / 183) / 1_000
}

/// Hours of supply of agricultural DTs: eight a day, in one of three groups that take turns by the week.
pub(crate) fn has_pump_supply(group: u64, day: i32, of_day: i64) -> bool {
    let turn = (i64::try_from(group).unwrap_or_default() + i64::from(day).div_euclid(7)).rem_euclid(3);
    let hour = of_day / 4;
    match turn {
        0 => !(6..22).contains(&hour),
        1 => (6..14).contains(&hour),
        _ => (10..18).contains(&hour),
    }
}

#[cfg(test)]
mod tests;
