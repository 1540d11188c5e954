//! Each 11 kV feeder a profit centre: the FRAMES method (Feeder Revenue And Management of Energy System, CSTEP-WP-2019-01; DOMAIN section 7).
//!
//! ```text
//! EIF = energy input to the feeder, boundary energy counted          loss = (EIF - sold) / EIF
//! ABR = revenue billed without arrears / energy sold                 adjusted ABR = last year's ABR x (ARR of the year / ARR of the year before)
//! TRI = adjusted ABR x (1 - allowable loss)                          ARI = revenue billed / EIF          deviation = TRI - ARI
//! ACS = total expenditure / sales      ARR = (revenue + subsidy) / sales      gap = ACS - ARR, of unrounded values
//! ```
//!
//! Energy is whole Wh and money whole paise until a rate is formed, by one division: sums are exact and in no order. A rate is INR/kWh.
//!
//! Revenue is what was billed without arrears, and the subsidy that the State pays for it: free supply counts at the subsidy's rate.

use gridtally_schemas::{Day, billing::DiscomAccountsRow};

use crate::balance::ratio;

mod accounting;
mod bill;

pub use bill::{Amounts, Band, BandLimits, Billed, Collection, OfBand};

/// A rate, INR/kWh, of paise and Wh; `None` when there is no energy.
#[must_use]
pub fn rate(paise: i64, wh: i64) -> Option<f64> {
    // Paise a Wh are tens of rupees a kWh.
    (wh > 0).then(|| 10.0 * ratio(paise, wh))
}

/// The first day of the financial year (April to March) of a month.
#[must_use]
pub fn year_of(month: Day) -> Day {
    crate::compensation::calendar::Period::Year.first_day(month)
}

/// The discom's average cost of supply and average revenue realised in a year.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Realised {
    /// Average cost of supply: expenditure / sales, INR/kWh.
    pub acs: f64,
    /// Average revenue realised: (revenue + subsidy) / sales, INR/kWh.
    pub arr: f64,
    /// ACS - ARR, of the unrounded values, INR/kWh.
    pub gap: f64,
}

impl Realised {
    /// Of a year's accounts; `None`: nothing was sold.
    #[must_use]
    pub fn of(accounts: &DiscomAccountsRow) -> Option<Self> {
        let spent = [
            accounts.power_purchase_paise,
            accounts.om_paise,
            accounts.depreciation_paise,
            accounts.interest_paise,
        ];
        let spent = spent.into_iter().fold(0, i64::saturating_add);
        let earned = accounts
            .revenue_paise
            .saturating_add(accounts.subsidy_paise.unwrap_or(0));
        let (acs, arr) = (rate(spent, accounts.sales_wh)?, rate(earned, accounts.sales_wh)?);
        Some(Self {
            acs,
            arr,
            gap: acs - arr,
        })
    }
}

/// What a month's revenue is judged by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RevenueRules {
    /// A month's loss above this calls for an audit, per cent. Default 15 (CSTEP-WP-2019-01).
    pub audit_loss_pct: f64,
    /// A month whose ABR is more than this above the median of the year's other months has arrears mixed in, per cent. Default 10 (house
    /// choice: within a tariff year ABR is near constant).
    pub arrears_jump_pct: f64,
    /// Whether the ratio of two years' ARR is rounded to two decimals before it is used. Default no; the paper does both.
    pub rounds_ratio: bool,
    /// Where consumption is called low, medium and high.
    pub bands: BandLimits,
}

impl Default for RevenueRules {
    fn default() -> Self {
        Self {
            audit_loss_pct: 15.0,
            arrears_jump_pct: 10.0,
            rounds_ratio: false,
            bands: BandLimits::default(),
        }
    }
}

impl RevenueRules {
    /// By how much the rate of last year is carried on: ARR of the year by ARR of the year before.
    #[must_use]
    pub fn carried(&self, arr_before: f64, arr: f64) -> Option<f64> {
        let ratio = (arr_before > 0.0).then(|| arr / arr_before)?;
        Some(if self.rounds_ratio {
            (ratio * 100.0).round() / 100.0
        } else {
            ratio
        })
    }
}

/// What a feeder took in over some time.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Input {
    /// Days with a balance.
    pub days: i64,
    /// Energy, Wh, where it is known.
    pub eif_wh: i64,
    /// Balances that the days should have.
    pub intervals_expected: i64,
    /// Of these, those whose input and loss are known.
    pub intervals_computed: i64,
}

impl Input {
    /// Adds `other`.
    pub fn add(&mut self, other: &Self) {
        self.days += other.days;
        self.eif_wh += other.eif_wh;
        self.intervals_expected += other.intervals_expected;
        self.intervals_computed += other.intervals_computed;
    }

    /// Energy, Wh; `None`: of no interval is it known.
    #[must_use]
    pub fn known_wh(&self) -> Option<i64> {
        (self.intervals_computed > 0).then_some(self.eif_wh)
    }

    /// Share of the expected intervals whose input is known, per cent; `None`: none is expected.
    #[must_use]
    pub fn coverage_pct(&self) -> Option<f64> {
        (self.intervals_expected > 0).then(|| 100.0 * ratio(self.intervals_computed, self.intervals_expected))
    }
}

/// What else a month's figures rest on.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
pub struct Grounds {
    /// Last year's average billing rate of the feeder, INR/kWh.
    pub abr_before: Option<f64>,
    /// By how much it is carried on ([`RevenueRules::carried`]).
    pub carried: Option<f64>,
    /// Loss target, per cent.
    pub allowable_loss_pct: Option<f64>,
    /// Median ABR of the financial year's other months, INR/kWh, of at least [`OTHER_MONTHS_MIN`].
    pub median_abr: Option<f64>,
    /// Whether the month is over and enough of its input is known, so that its loss is one.
    pub is_whole: bool,
}

/// Fewest other months of a year with which an ABR is compared.
pub const OTHER_MONTHS_MIN: usize = 2;

/// A feeder's month. `None` throughout: what it rests on is not known.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
pub struct FeederMonth {
    /// What came in.
    pub input: Input,
    /// What was billed; `None`: no bill of the month is known.
    pub billed: Option<Billed>,
    /// (EIF - sold) / EIF, per cent.
    pub loss_pct: Option<f64>,
    /// Average billing rate, INR/kWh.
    pub abr: Option<f64>,
    /// Last year's, carried on, INR/kWh.
    pub adjusted_abr: Option<f64>,
    /// Loss target, per cent.
    pub allowable_loss_pct: Option<f64>,
    /// Targeted revenue for each unit of input, INR/kWh.
    pub tri: Option<f64>,
    /// Actual revenue for each unit of input, INR/kWh.
    pub ari: Option<f64>,
    /// Whether arrears are mixed into the demand, as far as a jump of the ABR shows.
    pub arrears_suspected: bool,
    /// Whether the loss calls for an audit.
    pub audit: bool,
}

impl FeederMonth {
    /// From sums and grounds.
    #[must_use]
    pub fn of(input: Input, billed: Option<Billed>, grounds: &Grounds, rules: &RevenueRules) -> Self {
        let eif_wh = input.known_wh().filter(|eif_wh| *eif_wh > 0);
        let sold = billed.zip(eif_wh).filter(|_| grounds.is_whole);
        let loss_pct = sold.map(|(billed, eif_wh)| 100.0 * ratio(eif_wh - billed.sold_wh, eif_wh));
        let abr = billed.and_then(|billed| billed.abr());
        let adjusted_abr = grounds.abr_before.zip(grounds.carried).map(|(abr, by)| abr * by);
        let target = adjusted_abr.zip(grounds.allowable_loss_pct);
        let jump = 1.0 + rules.arrears_jump_pct / 100.0;
        Self {
            input,
            billed,
            loss_pct,
            abr,
            adjusted_abr,
            allowable_loss_pct: grounds.allowable_loss_pct,
            tri: target.map(|(abr, allowable)| abr * (1.0 - allowable / 100.0)),
            ari: sold.and_then(|(billed, eif_wh)| rate(billed.revenue_paise, eif_wh)),
            arrears_suspected: abr
                .zip(grounds.median_abr)
                .is_some_and(|(abr, median)| abr > median * jump),
            audit: loss_pct.is_some_and(|loss| loss > rules.audit_loss_pct),
        }
    }

    /// Whether nothing is known of the month.
    #[must_use]
    pub const fn is_nothing(&self) -> bool {
        self.input.days == 0 && self.billed.is_none()
    }

    /// TRI - ARI, INR/kWh.
    #[must_use]
    pub fn deviation(&self) -> Option<f64> {
        Some(self.tri? - self.ari?)
    }

    /// The revenue that the input so far should bring, paise: TRI x EIF.
    #[must_use]
    pub fn target_paise(&self) -> Option<i64> {
        let eif_wh = self.input.known_wh()?;
        #[expect(
            clippy::as_conversions,
            clippy::cast_precision_loss,
            reason = "a feeder's month is far below 2^53 Wh and paise"
        )]
        let paise = (self.tri? * eif_wh as f64 / 10.0).round() as i64;
        Some(paise)
    }

    /// What is missing to the target, paise: negative where more was billed.
    #[must_use]
    pub fn deviation_paise(&self) -> Option<i64> {
        self.ari?;
        Some(self.target_paise()? - self.billed?.revenue_paise)
    }
}

/// Several feeders' months, or months of a feeder, summed. A rate divides only sums of which both parts are known.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
pub struct Total {
    /// Feeder-months in it.
    pub feeder_months: i64,
    /// What came in.
    pub input: Input,
    /// What was billed.
    pub billed: Billed,
    /// Feeder-months whose loss is known.
    pub wholes: i64,
    /// Input of the feeder-months whose loss is known, Wh, and what was sold of it.
    pub whole_wh: (i64, i64),
    /// What was billed of the feeder-months whose loss is known, paise.
    pub whole_paise: i64,
    /// Targeted revenue, paise, and the input, Wh, of the feeder-months that have a target.
    pub target: (i64, i64),
    /// Sum of the deviations of the feeder-months that have one, paise.
    pub deviation_paise: i64,
    /// Feeder-months that have one.
    pub deviations: i64,
    /// Their input, Wh.
    pub deviation_wh: i64,
    /// Feeder-months whose loss calls for an audit.
    pub audits: i64,
}

impl Total {
    /// Adds a feeder's month.
    pub fn add(&mut self, month: &FeederMonth) {
        self.feeder_months += 1;
        self.input.add(&month.input);
        if let Some(billed) = &month.billed {
            self.billed.add(billed, 1);
        }
        let eif_wh = month.input.known_wh().unwrap_or(0);
        if let (Some(_), Some(billed)) = (month.loss_pct, &month.billed) {
            self.wholes += 1;
            self.whole_wh.0 += eif_wh;
            self.whole_wh.1 += billed.sold_wh;
            self.whole_paise += billed.revenue_paise;
        }
        if let Some(target) = month.target_paise() {
            self.target.0 += target;
            self.target.1 += eif_wh;
        }
        if let Some(deviation) = month.deviation_paise() {
            self.deviation_paise += deviation;
            self.deviations += 1;
            self.deviation_wh += eif_wh;
        }
        self.audits += i64::from(month.audit);
    }

    /// Adds another total.
    pub fn plus(&mut self, other: &Self) {
        self.feeder_months += other.feeder_months;
        self.input.add(&other.input);
        self.billed.add(&other.billed, 1);
        self.wholes += other.wholes;
        self.whole_wh.0 += other.whole_wh.0;
        self.whole_wh.1 += other.whole_wh.1;
        self.whole_paise += other.whole_paise;
        self.target.0 += other.target.0;
        self.target.1 += other.target.1;
        self.deviation_paise += other.deviation_paise;
        self.deviations += other.deviations;
        self.deviation_wh += other.deviation_wh;
        self.audits += other.audits;
    }

    /// Loss of the feeder-months whose loss is known, per cent.
    #[must_use]
    pub fn loss_pct(&self) -> Option<f64> {
        let (eif_wh, sold_wh) = self.whole_wh;
        (eif_wh > 0).then(|| 100.0 * ratio(eif_wh - sold_wh, eif_wh))
    }

    /// Targeted revenue for each unit of input, INR/kWh.
    #[must_use]
    pub fn tri(&self) -> Option<f64> {
        rate(self.target.0, self.target.1)
    }

    /// Actual revenue for each unit of input, INR/kWh.
    #[must_use]
    pub fn ari(&self) -> Option<f64> {
        rate(self.whole_paise, self.whole_wh.0)
    }

    /// What is missing to the target for each unit of input, INR/kWh, of the feeder-months that have a deviation.
    #[must_use]
    pub fn deviation(&self) -> Option<f64> {
        rate(self.deviation_paise, self.deviation_wh)
    }
}

/// The median; `None` of fewer than [`OTHER_MONTHS_MIN`].
#[must_use]
pub fn median(mut values: Vec<f64>) -> Option<f64> {
    if values.len() < OTHER_MONTHS_MIN {
        return None;
    }
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    if values.len().is_multiple_of(2) {
        let lower = *values.get(middle.checked_sub(1)?)?;
        return Some(f64::midpoint(lower, upper));
    }
    Some(upper)
}

#[cfg(test)]
mod tests;
