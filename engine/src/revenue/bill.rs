//! Bills summed: energy and money, what of it was collected, and how many consume how much.

use gridtally_schemas::{billing::BillingRow, network::Metering};

use super::rate;

/// What a bill counts by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Amounts {
    /// Energy, Wh.
    pub sold_wh: i64,
    /// What the consumer is to pay for the month, without arrears, paise. Negative: a credit.
    pub demanded_paise: i64,
    /// What the State pays for him, paise.
    pub subsidy_paise: i64,
    /// What he paid, paise; `None`: not said.
    pub collected_paise: Option<i64>,
}

impl Amounts {
    /// Of a row of the `billing` file.
    #[must_use]
    pub fn of(row: &BillingRow) -> Self {
        Self {
            sold_wh: row.billed_wh,
            demanded_paise: row.billed_paise,
            subsidy_paise: row.subsidy_paise.unwrap_or(0),
            collected_paise: row.collected_paise,
        }
    }

    /// Demand and subsidy, paise.
    #[must_use]
    pub fn revenue_paise(&self) -> i64 {
        self.demanded_paise.saturating_add(self.subsidy_paise)
    }
}

/// How much a consumer consumes in a month.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Band {
    /// Up to the lower limit.
    Low,
    /// Above it, up to the upper limit.
    Medium,
    /// Above the upper limit.
    High,
}

impl Band {
    /// All, the least first.
    pub const ALL: [Self; 3] = [Self::Low, Self::Medium, Self::High];

    /// Its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

/// Where the bands end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BandLimits {
    /// Energy billed in a month up to which consumption is low, Wh. Default 100 kWh (house choice).
    pub low_wh: i64,
    /// Energy billed in a month above which it is high, Wh. Default 300 kWh (house choice).
    pub high_wh: i64,
}

impl Default for BandLimits {
    fn default() -> Self {
        Self {
            low_wh: 100_000,
            high_wh: 300_000,
        }
    }
}

impl BandLimits {
    /// The band of a month's energy.
    #[must_use]
    pub const fn band(&self, sold_wh: i64) -> Band {
        if sold_wh <= self.low_wh {
            Band::Low
        } else if sold_wh <= self.high_wh {
            Band::Medium
        } else {
            Band::High
        }
    }
}

/// Bills of one band, summed.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Hash)]
pub struct OfBand {
    /// Bills: consumers billed.
    pub bills: i64,
    /// Energy, Wh.
    pub sold_wh: i64,
    /// Revenue, paise.
    pub revenue_paise: i64,
}

impl OfBand {
    fn add(&mut self, other: &Self, sign: i64) {
        self.bills += sign * other.bills;
        self.sold_wh += sign * other.sold_wh;
        self.revenue_paise += sign * other.revenue_paise;
    }
}

/// How far bills were paid, over the bills of which that is said.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Collection {
    /// Demand of these bills, without arrears and subsidy, paise.
    pub demanded_paise: i64,
    /// What was paid of that, paise: of each bill at most what it demands. What a consumer paid beyond it went to his arrears, or is an
    /// advance, and is left out (BEE 2021: collection efficiency without arrears; that it is cut bill by bill is a house choice).
    pub current_paise: i64,
}

/// Bills of a feeder, summed.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Billed {
    /// Bills.
    pub bills: i64,
    /// Energy, Wh.
    pub sold_wh: i64,
    /// Of this, energy of connections without a meter, which was assessed, Wh.
    pub unmetered_wh: i64,
    /// Revenue: demand without arrears, and the subsidy that the State pays, paise.
    pub revenue_paise: i64,
    /// Of this, subsidy, paise.
    pub subsidy_paise: i64,
    /// Collected, arrears included, paise.
    pub collected_paise: i64,
    /// How far the bills were paid.
    pub collection: Collection,
    /// The bills by band, in the order of [`Band::ALL`].
    pub bands: [OfBand; 3],
}

impl Billed {
    /// One bill.
    #[must_use]
    pub fn of(bill: &Amounts, metering: Metering, limits: &BandLimits) -> Self {
        let of_band = OfBand {
            bills: 1,
            sold_wh: bill.sold_wh,
            revenue_paise: bill.revenue_paise(),
        };
        let band = limits.band(bill.sold_wh);
        let is_unmetered = metering == Metering::Unmetered;
        let collection = bill.collected_paise.map(|collected| Collection {
            demanded_paise: bill.demanded_paise,
            current_paise: collected.min(bill.demanded_paise),
        });
        Self {
            bills: 1,
            sold_wh: bill.sold_wh,
            unmetered_wh: if is_unmetered { bill.sold_wh } else { 0 },
            revenue_paise: bill.revenue_paise(),
            subsidy_paise: bill.subsidy_paise,
            collected_paise: bill.collected_paise.unwrap_or(0),
            collection: collection.unwrap_or_default(),
            bands: Band::ALL.map(|other| if other == band { of_band } else { OfBand::default() }),
        }
    }

    /// Adds `other`, or with `sign` -1 takes it away.
    pub fn add(&mut self, other: &Self, sign: i64) {
        self.bills += sign * other.bills;
        self.sold_wh += sign * other.sold_wh;
        self.unmetered_wh += sign * other.unmetered_wh;
        self.revenue_paise += sign * other.revenue_paise;
        self.subsidy_paise += sign * other.subsidy_paise;
        self.collected_paise += sign * other.collected_paise;
        self.collection.demanded_paise += sign * other.collection.demanded_paise;
        self.collection.current_paise += sign * other.collection.current_paise;
        for (band, other) in self.bands.iter_mut().zip(&other.bands) {
            band.add(other, sign);
        }
    }

    /// Average billing rate, INR/kWh; `None`: nothing was sold.
    #[must_use]
    pub fn abr(&self) -> Option<f64> {
        rate(self.revenue_paise, self.sold_wh)
    }

    /// What consumers are to pay for the month: without arrears and without the State's subsidy, paise.
    #[must_use]
    pub fn demanded_paise(&self) -> i64 {
        self.revenue_paise.saturating_sub(self.subsidy_paise)
    }
}
