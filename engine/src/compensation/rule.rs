//! The regulations in force, applied to the evidence of one consumer: what is owed for each default, and why.
//!
//! A pure function of (rule book, evidence, instant). The regulation is the one in force on the civil day on which the default
//! began, so that a new regulation changes nothing of what came before. In order: limit, grace, rate (parts count whole), cap
//! of the event, claim, cap of the year, uplift of an upheld claim.
//!
//! House choices, where regulations are silent:
//! - the event is the consumer's part in one outage; minutes of its steps are summed;
//! - grace once a day goes, whole, to the first covered loss of supply that begins on the civil day;
//! - a count (interruptions, days of bad voltage) falls under the regulation in force on the first day of its period;
//! - the cap of the year is used up in the order in which defaults began; without fixed charges on file it is not applied,
//!   and the decision says so;
//! - an interval that an interruption touches is no supply, not bad voltage;
//! - an uplift stands on top of the caps.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use gridtally_schemas::{Day, UtcMicros, Zone};
use serde::Serialize;

use super::{
    Paise,
    calendar::{Counting, Running},
    coverage,
    evidence::{Evidence, Exemption, FinancialYear},
    ledger::DefaultKey,
    rate::Excess,
    regulation::{Allowance, Case, Regulation, Standard},
};

mod counted;
mod outage;
mod process;
mod settle;
#[cfg(test)]
mod tests;

/// Why regulations make no rule book.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BookError {
    /// A regulation decides one case in two ways.
    #[error("regulation {preset} contradicts itself: {problem}")]
    Contradiction {
        /// The preset.
        preset: String,
        /// Which case, and which rows.
        problem: String,
    },
    /// Two regulations begin on one day.
    #[error("regulations {first} and {second} both begin on {day}")]
    SameDay {
        /// One.
        first: String,
        /// The other.
        second: String,
        /// The day.
        day: Day,
    },
}

/// Why evidence cannot be decided.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// An amount leaves the range of paise.
    #[error("the amount for {default} is too large to be held")]
    TooLarge {
        /// The default.
        default: DefaultKey,
    },
    /// The evidence names one default twice: a mistake of the caller.
    #[error("the evidence holds {default} twice")]
    Repeated {
        /// The default.
        default: DefaultKey,
    },
}

words!(
    /// What a standard measures.
    Unit {
        /// Minutes on the standard's clock.
        Minutes = "minutes",
        /// Interruptions in a period.
        Interruptions = "interruptions",
        /// Days out of limits in a period.
        Days = "days",
    }
);
words!(
    /// Who said what the fault was.
    FaultBy {
        /// The crew.
        Crew = "crew",
        /// Nobody yet: it follows from the scope.
        Scope = "scope",
        /// The scope, because the regulation does not know the crew's word.
        ScopeForUnknownWord = "scope_for_unknown_word",
    }
);

/// The fault type that decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FaultType {
    /// The word of the regulation.
    pub word: String,
    /// Where it comes from.
    pub by: FaultBy,
}

/// How an amount came about, step by step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Working {
    /// What was measured, in `unit`.
    pub measured: i64,
    /// What is allowed, in `unit`; grace included.
    pub allowed: i64,
    /// What lies beyond, in `unit`.
    pub beyond: i64,
    /// The unit.
    pub unit: Unit,
    /// Minutes of grace in `allowed`.
    pub grace_minutes: i64,
    /// The fault type; `None`: it does not matter, or is not known.
    pub fault_type: Option<FaultType>,
    /// What the rate gives.
    pub by_rate: Paise,
    /// The cap of the event, where there is one.
    pub event_cap: Option<Paise>,
    /// What the cap of the year left before this default, where there is one and the fixed charges are known.
    pub year_cap_left: Option<Paise>,
    /// Whether a cap of the year exists and could not be applied, because the year's fixed charges are not on file.
    pub year_cap_unknown: bool,
    /// Whether an upheld claim raised it.
    pub uplifted: bool,
}

/// What an amount rests on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Grounds {
    /// The preset.
    pub regulation: String,
    /// Its edition.
    pub revision: u32,
    /// The standard.
    pub standard: String,
    /// The clause.
    pub clause: String,
    /// Allowed minutes; `None`: the standard counts interruptions or days.
    pub limit_minutes: Option<i64>,
    /// Minutes beyond; `None`: as before.
    pub default_minutes: Option<i64>,
}

/// An amount that is owed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Owed {
    /// How much; above zero, or zero where the rate is.
    pub amount: Paise,
    /// On what grounds.
    pub grounds: Grounds,
    /// How it came about.
    pub working: Working,
    /// Whether the default is over.
    pub over: bool,
    /// Last day for the credit, once it is over; `None`: still running, or the regulation sets none.
    pub due_by: Option<Day>,
}

/// Why nothing is owed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum Nothing {
    /// No regulation was in force.
    NoRegulation,
    /// No standard covers it.
    NotCovered,
    /// It is exempt.
    Exempt {
        /// Why.
        exemption: Exemption,
    },
    /// The limits differ by fault type, and neither crew nor scope names one.
    NoFaultType,
    /// Limits or amounts differ by area class, and master data does not say it.
    AreaUnknown,
    /// The regulation sets no limit for this case: a gap.
    NoLimit,
    /// The regulation sets no amount for this case: a gap.
    NoAmount,
    /// The limit was kept.
    WithinLimit {
        /// What was measured.
        measured: i64,
        /// What is allowed.
        allowed: i64,
        /// In which unit.
        unit: Unit,
    },
    /// It would be owed on claim, and none was filed.
    NotClaimed {
        /// What a claim would bring, caps of the year apart.
        claimable: Paise,
    },
    /// The claim came after this day.
    ClaimedTooLate {
        /// The last day.
        last_day: Day,
    },
    /// The cap of the year was used up before.
    YearCapReached,
}

/// The rule applied to one default, or near default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Decision {
    /// What it is about.
    pub default: DefaultKey,
    /// When it began.
    pub began_at: UtcMicros,
    /// What is owed, or why nothing is.
    pub outcome: Result<Owed, Nothing>,
}

impl Decision {
    /// The amount owed, zero where nothing is.
    #[must_use]
    pub fn amount(&self) -> Paise {
        self.outcome.as_ref().map_or(Paise::ZERO, |owed| owed.amount)
    }
}

/// A regulation with the first day on which it is in force here.
#[derive(Debug, Clone)]
struct InForce {
    from: Day,
    regulation: Regulation,
}

/// The regulations in force, by date.
///
/// It has layers: what a part of the network has of its own stands before what holds for more of it, day by day.
#[derive(Debug, Clone)]
pub struct RuleBook {
    zone: Zone,
    /// The narrowest first; each by first day.
    layers: Vec<Arc<Vec<InForce>>>,
}

impl RuleBook {
    /// A rule book of one layer, each regulation in force from its own first day. Of two that both hold on a day, the one that began
    /// later does.
    ///
    /// # Errors
    /// [`BookError`] when a regulation contradicts itself, or two begin on one day.
    pub fn new(zone: Zone, regulations: Vec<Regulation>) -> Result<Self, BookError> {
        let dated = |regulation: Regulation| (regulation.valid.from, regulation);
        Self::in_force(zone, regulations.into_iter().map(dated).collect())
    }

    /// The same, each regulation in force from the day that stands beside it, and not before its own first day.
    ///
    /// # Errors
    /// [`BookError`] when a regulation contradicts itself, or two begin on one day.
    pub fn in_force(zone: Zone, regulations: Vec<(Day, Regulation)>) -> Result<Self, BookError> {
        let mut layer: Vec<InForce> = regulations
            .into_iter()
            .map(|(from, regulation)| InForce { from, regulation })
            .collect();
        layer.sort_by_key(|held| held.from);
        for held in &layer {
            if let Some(problem) = coverage::problems(&held.regulation)
                .into_iter()
                .find(coverage::Problem::is_overlap)
            {
                return Err(BookError::Contradiction {
                    preset: held.regulation.preset.clone(),
                    problem: problem.to_string(),
                });
            }
        }
        for (one, next) in layer.iter().zip(layer.iter().skip(1)) {
            if one.from == next.from {
                return Err(BookError::SameDay {
                    first: one.regulation.preset.clone(),
                    second: next.regulation.preset.clone(),
                    day: one.from,
                });
            }
        }
        Ok(Self {
            zone,
            layers: vec![Arc::new(layer)],
        })
    }

    /// This book, and on days on which nothing of it is in force the wider one.
    #[must_use]
    pub fn before(&self, wider: &Self) -> Self {
        Self {
            zone: self.zone.clone(),
            layers: self.layers.iter().chain(&wider.layers).map(Arc::clone).collect(),
        }
    }

    /// The regulation in force on a day.
    #[must_use]
    pub fn on(&self, day: Day) -> Option<&Regulation> {
        self.layers.iter().find_map(|layer| {
            let begun = layer.iter().rev().filter(|held| held.from <= day);
            let mut holding = begun.filter(|held| held.regulation.valid.holds(day));
            holding.next().map(|held| &held.regulation)
        })
    }

    /// Every regulation in it, each with the day from which it is in force, the narrowest layer first.
    pub fn regulations(&self) -> impl Iterator<Item = (Day, &Regulation)> {
        let all = self.layers.iter().flat_map(|layer| layer.iter());
        all.map(|held| (held.from, &held.regulation))
    }

    /// Days on which which regulation is in force may change: first days, and the days after last ones.
    #[must_use]
    pub fn turns(&self) -> BTreeSet<Day> {
        let all = self.regulations();
        all.flat_map(|(from, regulation)| [Some(from), Some(regulation.valid.from), regulation.valid.to])
            .flatten()
            .collect()
    }

    /// The zone of its civil days.
    #[must_use]
    pub const fn zone(&self) -> &Zone {
        &self.zone
    }

    /// Decides everything that the evidence holds, ordered by default. What still runs is counted until `as_of`; of what is
    /// over, `as_of` changes nothing.
    ///
    /// # Errors
    /// [`RuleError`] names the default that cannot be decided; then nothing is.
    pub fn decide(&self, evidence: &Evidence, as_of: UtcMicros) -> Result<Vec<Decision>, RuleError> {
        let scene = Scene {
            book: self,
            evidence,
            as_of,
        };
        let mut found = outage::candidates(&scene)?;
        found.extend(counted::candidates(&scene)?);
        found.extend(process::candidates(&scene)?);
        let mut seen = BTreeSet::new();
        for candidate in &found {
            if !seen.insert(&candidate.default) {
                return Err(RuleError::Repeated {
                    default: candidate.default.clone(),
                });
            }
        }
        settle::decisions(&scene, found)
    }
}

/// What all of a consumer's decisions share.
struct Scene<'a> {
    book: &'a RuleBook,
    evidence: &'a Evidence,
    as_of: UtcMicros,
}

impl Scene<'_> {
    fn day(&self, at: UtcMicros) -> Day {
        self.book.zone.day_of(at)
    }

    fn counting<'s>(&'s self, regulation: &'s Regulation, clock: Running) -> Counting<'s> {
        Counting {
            zone: &self.book.zone,
            working: match clock {
                Running::Elapsed => None,
                Running::Working => regulation.working_hours.as_ref(),
            },
        }
    }
}

/// A default or near default, before claims and the cap of the year.
struct Candidate<'a> {
    default: DefaultKey,
    began_at: UtcMicros,
    /// `None`: it runs.
    ended_at: Option<UtcMicros>,
    priced: Result<Priced<'a>, Nothing>,
}

/// A default with its amount.
struct Priced<'a> {
    regulation: &'a Regulation,
    standard: &'a Standard,
    clause: &'a str,
    amount: Paise,
    working: Working,
}

/// What was measured against what is allowed.
struct Measure<'a> {
    regulation: &'a Regulation,
    standard: &'a Standard,
    case: Case<'a>,
    clause: &'a str,
    measured: i64,
    allowed: i64,
    excess: Excess,
    grace_minutes: i64,
    fault_type: Option<FaultType>,
}

impl<'a> Measure<'a> {
    /// The amount by rate and cap of the event. The outer error is an amount too large to be held.
    fn priced(self) -> Option<Result<Priced<'a>, Nothing>> {
        let (unit, beyond) = match self.excess {
            Excess::Time { minutes, .. } => (Unit::Minutes, minutes),
            Excess::Interruptions(beyond) => (Unit::Interruptions, beyond),
            Excess::Days(beyond) => (Unit::Days, beyond),
        };
        if !self.excess.is_default() {
            return Some(Err(Nothing::WithinLimit {
                measured: self.measured,
                allowed: self.allowed,
                unit,
            }));
        }
        let Some(amount) = self.standard.amount(&self.case) else {
            return Some(Err(missing(&self.case, Nothing::NoAmount)));
        };
        let by_rate = amount.rate.amount(self.excess)?;
        Some(Ok(Priced {
            regulation: self.regulation,
            standard: self.standard,
            clause: self.clause,
            amount: amount.cap.map_or(by_rate, |cap| by_rate.min(cap)),
            working: Working {
                measured: self.measured,
                allowed: self.allowed,
                beyond,
                unit,
                grace_minutes: self.grace_minutes,
                fault_type: self.fault_type,
                by_rate,
                event_cap: amount.cap,
                year_cap_left: None,
                year_cap_unknown: false,
                uplifted: false,
            },
        }))
    }
}

/// Why no row applies: the area class where it is not known, else a gap.
fn missing(case: &Case<'_>, gap: Nothing) -> Nothing {
    if case.area.is_none() {
        Nothing::AreaUnknown
    } else {
        gap
    }
}

/// The number that a counted limit allows.
const fn allowed_count(allowance: Allowance) -> i64 {
    match allowance {
        Allowance::Count(count) => count,
        // A document that sets a time for a counted standard is refused; none allowed is what a limit without a number says.
        Allowance::Time { .. } => 0,
    }
}

/// The amounts of a financial year that count against its cap.
type YearUse = BTreeMap<FinancialYear, Paise>;
