//! A regulation as it stands in a file, word for word.
//!
//! Which file format is the edge's affair (the presets are TOML); these structs fix the keys. Nothing is checked here but the
//! form: [`super::regulation::Regulation::check`] turns a document into rules or names the key that cannot be used.
//! `deploy/presets/README.md` describes every key.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::Paise;

/// The version of the format that this code reads.
pub const FORMAT: i64 = 1;

/// Rupees: a whole number, or text with up to two decimals. Not a fraction in binary: those are not exact.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Rupees {
    /// `50`
    Whole(i64),
    /// `"37.50"`
    Text(String),
}

impl Rupees {
    /// The amount; `None` when it is no amount, is negative, or is above [`Paise::LARGEST_RATE`].
    #[must_use]
    pub fn paise(&self) -> Option<Paise> {
        let amount = match self {
            Self::Whole(rupees) => Paise::from_rupees(*rupees),
            Self::Text(text) => Paise::parse_rupees(text),
        };
        amount.filter(|amount| (Paise::ZERO..=Paise::LARGEST_RATE).contains(amount))
    }
}

/// A whole regulation.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// Version of the format: [`FORMAT`].
    pub format: i64,
    /// Name of the preset, such as `IN-MH-MERC-2021`.
    pub preset: String,
    /// Edition of this file, counted up whenever its meaning changes.
    pub revision: i64,
    /// Title of the regulation.
    pub title: String,
    /// The Commission.
    pub commission: String,
    /// The State.
    pub state: String,
    /// `confirmed`, `unconfirmed` or `partial`.
    pub status: String,
    /// Where each statement was read.
    pub provenance: Vec<String>,
    /// First day, `YYYY-MM-DD`.
    pub valid_from: String,
    /// First day on which it no longer holds; missing: open.
    pub valid_to: Option<String>,
    /// Area classes that the State uses.
    pub areas: Vec<String>,
    /// Fault type of each scope, until the crew has said.
    #[serde(default)]
    pub scope: BTreeMap<String, String>,
    /// Working hours, where a limit runs in them.
    pub working_hours: Option<WorkingHoursDocument>,
    /// Cap over a financial year.
    pub year_cap: Option<YearCapDocument>,
    /// Statements that were not read in the regulation itself.
    #[serde(default)]
    pub unconfirmed: Vec<UnconfirmedDocument>,
    /// The standards.
    #[serde(default, rename = "standard")]
    pub standards: Vec<StandardDocument>,
}

/// `[working_hours]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkingHoursDocument {
    /// `mon` to `sun`.
    pub weekdays: Vec<String>,
    /// `HH:MM`.
    pub from: String,
    /// `HH:MM`.
    pub to: String,
    /// Days off, `YYYY-MM-DD`.
    #[serde(default)]
    pub holidays: Vec<String>,
}

/// `[year_cap]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct YearCapDocument {
    /// Most that one consumer gets in a financial year, in whole per cent of that year's fixed charges.
    pub fixed_charges_pct: i64,
    /// Its clause.
    pub clause: String,
}

/// `[[unconfirmed]]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnconfirmedDocument {
    /// The key, such as `valid_from` or `standard.no-supply.claim`.
    pub key: String,
    /// What is not known about it.
    pub reason: String,
}

/// `[[standard]]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StandardDocument {
    /// Its name within the regulation.
    pub id: String,
    /// `no_supply`, `scheduled_outage`, `interruption_count`, `voltage_days` or `process`.
    pub kind: String,
    /// Its clause.
    pub clause: String,
    /// What it promises, in a sentence.
    pub about: String,
    /// Outage classes that it covers.
    #[serde(default)]
    pub classes: Vec<String>,
    /// `given` or `not_given`: it covers only outages with such notice.
    pub notice: Option<String>,
    /// Exemptions.
    #[serde(default)]
    pub exempt: Vec<String>,
    /// `elapsed` (default) or `working`.
    pub clock: Option<String>,
    /// `automatic` or `on_claim`.
    pub claim: String,
    /// On claim: days after the default within which it must be filed.
    pub claim_within_days: Option<i64>,
    /// Days within which the credit is due.
    pub credit_within_days: Option<i64>,
    /// What an upheld claim is worth.
    pub upheld: Option<UpheldDocument>,
    /// Time that is exempt once a day.
    pub grace: Option<GraceDocument>,
    /// `month`, `quarter` or `year`: counted standards.
    pub period: Option<String>,
    /// Interruptions count when longer than this.
    pub longer_than_minutes: Option<i64>,
    /// When a day's voltage is out of limits.
    pub voltage: Option<VoltageDocument>,
    /// Limits.
    #[serde(default, rename = "limit")]
    pub limits: Vec<LimitDocument>,
    /// Amounts.
    #[serde(default, rename = "amount")]
    pub amounts: Vec<AmountDocument>,
}

/// `upheld = { … }`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpheldDocument {
    /// The amount times this …
    pub factor: i64,
    /// … but at least this.
    pub at_least_inr: Rupees,
}

/// `grace = { … }`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GraceDocument {
    /// Exempt minutes.
    pub minutes: i64,
    /// `day`: the first loss of supply of a civil day takes them.
    pub once_a: String,
}

/// `voltage = { … }`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VoltageDocument {
    /// Declared voltage, V.
    pub nominal_v: i64,
    /// Allowed below it, whole per cent.
    pub below_pct: i64,
    /// Allowed above it, whole per cent.
    pub above_pct: i64,
    /// A day is out of limits when its voltage was for this many minutes.
    pub minutes_a_day: i64,
}

/// `[[standard.limit]]`
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitDocument {
    /// Fault types; none: any.
    #[serde(default)]
    pub fault: Vec<String>,
    /// Request kinds; none: any.
    #[serde(default)]
    pub request: Vec<String>,
    /// Area classes; none: any.
    #[serde(default)]
    pub area: Vec<String>,
    /// `LT`, `HT`; none: any.
    #[serde(default)]
    pub supply: Vec<String>,
    /// Allowed minutes.
    pub minutes: Option<i64>,
    /// Allowed hours.
    pub hours: Option<i64>,
    /// Allowed days.
    pub days: Option<i64>,
    /// Time of day by which it must be over, `HH:MM`.
    pub over_by: Option<String>,
    /// Allowed interruptions or days out of limits in the period.
    pub count: Option<i64>,
    /// Other clock than the standard's.
    pub clock: Option<String>,
    /// Other clause than the standard's.
    pub clause: Option<String>,
    /// First day of this row.
    pub valid_from: Option<String>,
    /// First day on which it no longer holds.
    pub valid_to: Option<String>,
}

/// `[[standard.amount]]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AmountDocument {
    /// Fault types; none: any.
    #[serde(default)]
    pub fault: Vec<String>,
    /// Request kinds; none: any.
    #[serde(default)]
    pub request: Vec<String>,
    /// Area classes; none: any.
    #[serde(default)]
    pub area: Vec<String>,
    /// `LT`, `HT`; none: any.
    #[serde(default)]
    pub supply: Vec<String>,
    /// `one` or `many` consumers affected; missing: any number.
    pub affected: Option<String>,
    /// `per_hour`, `per_day`, `per_block`, `per_event`, `tiered_per_hour` or `per_interruption`.
    pub shape: String,
    /// The rate.
    pub inr: Option<Rupees>,
    /// `per_block`: hours of a block.
    pub block_hours: Option<i64>,
    /// `tiered_per_hour`: the tiers, the last without hours.
    #[serde(default)]
    pub tiers: Vec<TierDocument>,
    /// Most for one default.
    pub cap_event_inr: Option<Rupees>,
    /// First day of this row.
    pub valid_from: Option<String>,
    /// First day on which it no longer holds.
    pub valid_to: Option<String>,
}

/// A tier of `tiered_per_hour`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TierDocument {
    /// Hours of this tier; missing: all further ones.
    pub hours: Option<i64>,
    /// The rate.
    pub inr: Rupees,
}
