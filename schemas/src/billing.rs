//! Bills, as the billing system exports them (CONTRACT section 2): what a consumer was billed for in a month.
//!
//! Of two rows of one consumer and month the later recorded stands. What was billed first is remembered: from then on what
//! meters say of the month's estimated intervals is an adjustment of the bill (DOMAIN section 3).

use serde::{Deserialize, Serialize};

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
