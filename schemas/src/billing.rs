//! Bills, as the billing system exports them (CONTRACT section 2): what a consumer was billed for in a month.
//!
//! Of two rows of one consumer and month the later recorded stands. What was billed first is remembered: from then on what
//! meters say of the month's estimated intervals is an adjustment of the bill (DOMAIN section 3).

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{ConsumerId, Day};

/// A consumer's bill of a month.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BillingRow {
    /// The consumer.
    pub consumer_id: ConsumerId,
    /// First day of the month.
    pub month: Day,
    /// Energy billed, Wh: the file's kWh with at most three decimals.
    pub billed_wh: i64,
    /// Amount billed without arrears, paise. Negative: a credit.
    pub billed_paise: i64,
    /// Fixed charges in it, paise. `None`: not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fixed_paise: Option<i64>,
    /// Arrears demanded beside it, paise. `None`: not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arrears_paise: Option<i64>,
    /// Subsidy that the State pays, paise. `None`: not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subsidy_paise: Option<i64>,
    /// Amount collected, paise. `None`: not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collected_paise: Option<i64>,
}

/// A financial year, April to March, by the calendar year in which it begins. As text: `2018-19`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FinancialYear(pub i32);

impl fmt::Display for FinancialYear {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:02}", self.0, (self.0 + 1).rem_euclid(100))
    }
}

impl FromStr for FinancialYear {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let year = text
            .split_once('-')
            .and_then(|(year, _)| year.parse().ok())
            .filter(|year| (1900..2200).contains(year))
            .map(Self);
        year.filter(|year| year.to_string() == text)
            .ok_or_else(|| format!("`{text}` is no financial year such as 2018-19"))
    }
}

impl Serialize for FinancialYear {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for FinancialYear {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// The discom's accounts of a financial year; for a year that runs, as the tariff order has them. Of two rows of a year the later
/// recorded stands, then the larger content. Money in paise, energy in Wh.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiscomAccountsRow {
    /// The year.
    pub year: FinancialYear,
    /// Energy sold, Wh.
    pub sales_wh: i64,
    /// Power purchase.
    pub power_purchase_paise: i64,
    /// Operation and maintenance.
    pub om_paise: i64,
    /// Depreciation.
    pub depreciation_paise: i64,
    /// Interest.
    pub interest_paise: i64,
    /// Revenue.
    pub revenue_paise: i64,
    /// Subsidy. `None`: not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subsidy_paise: Option<i64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_financial_year_is_told_by_both_its_years() {
        assert_eq!("2018-19".parse(), Ok(FinancialYear(2018)));
        assert_eq!("2099-00".parse(), Ok(FinancialYear(2099)));
        for text in ["2018", "2018-20", "2018-2019", "18-19", "FY19", "", "2018-19 "] {
            let why = text.parse::<FinancialYear>().unwrap_err();
            assert_eq!(why, format!("`{text}` is no financial year such as 2018-19"));
        }
    }
}
