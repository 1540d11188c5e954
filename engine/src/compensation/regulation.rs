//! A regulation, checked: what is held here can be applied.
//!
//! Types first; `read` turns a [`Document`] into them. A row (limit or amount) applies to a *case*: fault type or request
//! kind, area class, supply, number affected and day. An empty set in a row means "any". Where two rows of one standard apply to
//! one case the regulation contradicts itself: [`super::coverage`] finds that, and a rule book refuses it.

use std::collections::{BTreeMap, BTreeSet};

use gridtally_schemas::{
    Day,
    network::{AreaClass, Supply},
};

use super::{
    Paise,
    calendar::{Period, Running, WorkingHours},
    document::Document,
    evidence::{Exemption, Notice, OutageClass, Scope},
    rate::Rate,
};

mod read;
#[cfg(test)]
mod tests;

/// Request kinds with a time limit: word, rule of the Electricity (Rights of Consumers) Rules 2020, and what is meant.
pub const REQUEST_KINDS: &[(&str, &str, &str)] = &[
    ("connection", "4(12), 13(4)(iii)", "new connection"),
    ("disconnection", "13(4)(iii)", "disconnection on request"),
    ("reconnection", "13(4)(iii)", "reconnection"),
    ("shifting", "13(4)(iii)", "shifting of meter or line"),
    ("category_change", "13(4)(iv)", "change of consumer category"),
    ("load_change", "13(4)(iv)", "change of load"),
    ("details_change", "13(4)(v)", "change of consumer details"),
    (
        "meter_replacement",
        "13(4)(vi)",
        "replacement of a defective meter",
    ),
    ("bill_delivery", "13(4)(vii)", "serving of a bill"),
    ("voltage_complaint", "13(4)(viii)", "voltage complaint"),
    ("bill_complaint", "13(4)(ix)", "bill complaint"),
    (
        "prosumer_connection",
        "11(12)",
        "commissioning of a consumer's own generation",
    ),
];

words!(
    /// How well a regulation's text is known.
    Status {
        /// Limits and amounts were read in the regulation itself; single keys may still be unconfirmed.
        Confirmed = "confirmed",
        /// Read second-hand.
        Unconfirmed = "unconfirmed",
        /// Only a part of the regulation, and that second-hand.
        Partial = "partial",
    }
);
words!(
    /// Whether the consumer has to ask.
    ClaimMode {
        /// Owed without asking.
        Automatic = "automatic",
        /// Owed once claimed.
        OnClaim = "on_claim",
    }
);
words!(
    /// How many consumers an outage affects.
    Affected {
        /// One.
        One = "one",
        /// More than one.
        Many = "many",
    }
);

/// Why a document is no regulation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("regulation {preset}: `{key}`: {reason}")]
pub struct RegulationError {
    /// The preset.
    pub preset: String,
    /// The key that cannot be used, such as `standard.no-supply.limit[2].hours` (rows are counted from 1).
    pub key: String,
    /// Why.
    pub reason: String,
}

/// The days on which something holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// First day.
    pub from: Day,
    /// First day on which it no longer holds; `None`: open.
    pub to: Option<Day>,
}

impl Validity {
    /// Whether it holds on `day`.
    #[must_use]
    pub fn holds(&self, day: Day) -> bool {
        self.from <= day && self.to.is_none_or(|to| day < to)
    }
}

/// What a row is looked up by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Case<'a> {
    /// Fault type or request kind; `None`: not known, or of no concern.
    pub of: Option<&'a str>,
    /// Area class; `None`: not known.
    pub area: Option<AreaClass>,
    /// Supply.
    pub supply: Supply,
    /// Number affected.
    pub affected: Affected,
    /// Day on which the default began.
    pub day: Day,
}

/// The cases to which a row applies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applies {
    /// Fault types or request kinds; empty: any.
    pub of: BTreeSet<String>,
    /// Area classes; empty: any.
    pub areas: BTreeSet<AreaClass>,
    /// Supplies; empty: any.
    pub supplies: BTreeSet<Supply>,
    /// Number affected; `None`: any.
    pub affected: Option<Affected>,
    /// Days.
    pub valid: Validity,
}

impl Applies {
    /// Whether the row applies to `case`. What is not known matches only "any".
    #[must_use]
    pub fn to(&self, case: &Case<'_>) -> bool {
        let of = self.of.is_empty() || case.of.is_some_and(|of| self.of.contains(of));
        let area = self.areas.is_empty() || case.area.is_some_and(|area| self.areas.contains(&area));
        let supply = self.supplies.is_empty() || self.supplies.contains(&case.supply);
        let affected = self.affected.is_none_or(|affected| affected == case.affected);
        of && area && supply && affected && self.valid.holds(case.day)
    }
}

/// What a limit allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allowance {
    /// Time.
    Time {
        /// Minutes on the limit's clock.
        minutes: i64,
        /// Minutes after midnight of the day on which it began, by which it must be over.
        over_by: Option<i64>,
        /// The clock.
        clock: Running,
    },
    /// A number in the period: interruptions, or days out of limits.
    Count(i64),
}

/// A row of limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// When it applies.
    pub applies: Applies,
    /// What it allows.
    pub allowance: Allowance,
    /// Its clause.
    pub clause: String,
}

/// A row of amounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Amount {
    /// When it applies.
    pub applies: Applies,
    /// The rate.
    pub rate: Rate,
    /// Most for one default.
    pub cap: Option<Paise>,
}

/// The outages that a standard covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Covers {
    /// Classes.
    pub classes: BTreeSet<OutageClass>,
    /// Only with such notice; `None`: with or without.
    pub notice: Option<Notice>,
}

impl Covers {
    /// Whether an outage of this class and notice is covered.
    #[must_use]
    pub fn covers(&self, class: OutageClass, notice: Notice) -> bool {
        self.classes.contains(&class) && self.notice.is_none_or(|wanted| wanted == notice)
    }
}

/// When a day's voltage is out of limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VoltageBand {
    /// Declared voltage, V.
    pub nominal_v: i32,
    /// Allowed below it, per cent.
    pub below_pct: i32,
    /// Allowed above it, per cent.
    pub above_pct: i32,
    /// Minutes outside that make a day count.
    pub minutes_a_day: i64,
}

/// What a standard promises.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// Supply comes back in time after an unplanned loss.
    NoSupply(Covers),
    /// Scheduled outages are short and over early enough.
    ScheduledOutage(Covers),
    /// Interruptions are few.
    InterruptionCount {
        /// What counts.
        covers: Covers,
        /// Counts when longer than this, minutes.
        longer_than_minutes: i64,
        /// In which they are counted.
        period: Period,
    },
    /// Voltage is within limits on most days.
    VoltageDays {
        /// What counts as out of limits.
        band: VoltageBand,
        /// In which days are counted.
        period: Period,
    },
    /// Requests are met in time.
    Process,
}

impl Kind {
    /// The word of the file.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::NoSupply(_) => "no_supply",
            Self::ScheduledOutage(_) => "scheduled_outage",
            Self::InterruptionCount { .. } => "interruption_count",
            Self::VoltageDays { .. } => "voltage_days",
            Self::Process => "process",
        }
    }

    /// The outages whose duration it limits; `None` when it limits something else.
    #[must_use]
    pub const fn timed_outages(&self) -> Option<&Covers> {
        match self {
            Self::NoSupply(covers) | Self::ScheduledOutage(covers) => Some(covers),
            Self::InterruptionCount { .. } | Self::VoltageDays { .. } | Self::Process => None,
        }
    }
}

/// What an upheld claim is worth: the amount times `factor`, but at least `at_least`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Upheld {
    /// Factor.
    pub factor: i64,
    /// Least.
    pub at_least: Paise,
}

/// One standard of performance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standard {
    /// Its name within the regulation.
    pub id: String,
    /// What it promises.
    pub kind: Kind,
    /// Its clause.
    pub clause: String,
    /// The same in a sentence.
    pub about: String,
    /// Exemptions.
    pub exempt: BTreeSet<Exemption>,
    /// Minutes that are exempt once a civil day: the first loss of supply of the day takes them.
    pub grace_minutes: Option<i64>,
    /// Whether the consumer has to ask.
    pub claim: ClaimMode,
    /// Days after the default's end within which a claim must be filed; `None`: any time.
    pub claim_within_days: Option<i32>,
    /// Days within which the credit is due: after the default's end, or after the claim where one is needed.
    pub credit_within_days: Option<i32>,
    /// What an upheld claim is worth; `None`: the amount itself.
    pub upheld: Option<Upheld>,
    /// Limits.
    pub limits: Vec<Limit>,
    /// Amounts.
    pub amounts: Vec<Amount>,
}

impl Standard {
    /// Whether its limits differ by fault type or request kind.
    #[must_use]
    pub fn distinguishes(&self) -> bool {
        self.limits.iter().any(|limit| !limit.applies.of.is_empty())
    }

    /// The limit of a case. Where the regulation contradicts itself, the first written.
    #[must_use]
    pub fn limit(&self, case: &Case<'_>) -> Option<&Limit> {
        self.limits.iter().find(|limit| limit.applies.to(case))
    }

    /// The amount of a case. Where the regulation contradicts itself, the first written.
    #[must_use]
    pub fn amount(&self, case: &Case<'_>) -> Option<&Amount> {
        self.amounts.iter().find(|amount| amount.applies.to(case))
    }

    /// Whether it sets a limit for requests of this kind.
    #[must_use]
    pub fn handles(&self, request: &str) -> bool {
        let named = |limit: &Limit| limit.applies.of.is_empty() || limit.applies.of.contains(request);
        matches!(self.kind, Kind::Process) && self.limits.iter().any(named)
    }
}

/// Cap over a financial year.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct YearCap {
    /// Whole per cent of the year's fixed charges.
    pub fixed_charges_pct: i64,
    /// Its clause.
    pub clause: String,
}

/// A statement that was not read in the regulation itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unconfirmed {
    /// The key.
    pub key: String,
    /// What is not known about it.
    pub reason: String,
}

/// A regulation that can be applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Regulation {
    /// Name of the preset.
    pub preset: String,
    /// Edition of the preset.
    pub revision: u32,
    /// Title.
    pub title: String,
    /// The Commission.
    pub commission: String,
    /// The State.
    pub state: String,
    /// How well it is known.
    pub status: Status,
    /// Where each statement was read.
    pub provenance: Vec<String>,
    /// Days on which it holds.
    pub valid: Validity,
    /// Area classes that the State uses.
    pub areas: BTreeSet<AreaClass>,
    /// Fault type of a scope, until the crew has said.
    pub fault_by_scope: BTreeMap<Scope, String>,
    /// Working hours; present where a limit runs in them.
    pub working_hours: Option<WorkingHours>,
    /// Cap over a financial year.
    pub year_cap: Option<YearCap>,
    /// What is not confirmed.
    pub unconfirmed: Vec<Unconfirmed>,
    /// The standards.
    pub standards: Vec<Standard>,
}

impl Regulation {
    /// Checks a document.
    ///
    /// # Errors
    /// The first key that cannot be used, with the reason.
    pub fn check(document: &Document) -> Result<Self, RegulationError> {
        read::regulation(document).map_err(|fault| RegulationError {
            preset: document.preset.clone(),
            key: fault.key,
            reason: fault.reason,
        })
    }

    /// The fault types that its standards for outages know.
    #[must_use]
    pub fn fault_types(&self) -> BTreeSet<&str> {
        self.standards
            .iter()
            .filter(|standard| !matches!(standard.kind, Kind::Process))
            .flat_map(|standard| &standard.limits)
            .flat_map(|limit| &limit.applies.of)
            .map(String::as_str)
            .collect()
    }
}
