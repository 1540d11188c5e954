//! Gaps and overlaps of a regulation, by fault type, area class, supply, number affected and date.
//!
//! An overlap is a case that two rows (or two standards) decide: the regulation contradicts itself. A gap is a case of a
//! standard that no row decides: nothing is owed there, which a partial preset means and a slip of the pen does not.

use std::{collections::BTreeSet, fmt};

use gridtally_schemas::{
    Day,
    network::{AreaClass, Supply},
};

use super::{
    evidence::{Exemption, Notice, OutageClass, Scope},
    regulation::{Affected, Applies, Case, Kind, Regulation, Standard, Validity},
};

words!(
    /// What is the matter.
    Trouble {
        /// No row decides.
        Gap = "gap",
        /// More than one row or standard decides.
        Overlap = "overlap",
    }
);

/// One gap or overlap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What is the matter.
    pub trouble: Trouble,
    /// Standard, rows, case and dates, in words.
    pub what: String,
}

impl Problem {
    /// Whether it is an overlap.
    #[must_use]
    pub fn is_overlap(&self) -> bool {
        self.trouble == Trouble::Overlap
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.trouble, self.what)
    }
}

/// All gaps and overlaps, overlaps first.
#[must_use]
pub fn problems(regulation: &Regulation) -> Vec<Problem> {
    let mut problems = between_standards(regulation);
    for standard in &regulation.standards {
        let limits: Vec<&Applies> = standard.limits.iter().map(|limit| &limit.applies).collect();
        let amounts: Vec<&Applies> = standard.amounts.iter().map(|amount| &amount.applies).collect();
        problems.extend(of_rows(regulation, standard, ("limit", &limits)));
        problems.extend(of_rows(regulation, standard, ("amount", &amounts)));
        problems.extend(scopes_without_fault(regulation, standard));
    }
    problems.sort_by_key(|problem| problem.trouble == Trouble::Gap);
    problems
}

fn problem(trouble: Trouble, what: String) -> Problem {
    Problem { trouble, what }
}

/// Two standards that limit one kind of outage or one kind of request.
fn between_standards(regulation: &Regulation) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (at, one) in regulation.standards.iter().enumerate() {
        for other in regulation.standards.iter().skip(at + 1) {
            let outages = shared_outages(one, other);
            let requests = shared_requests(one, other);
            problems.extend(outages.into_iter().chain(requests).map(|shared| {
                let what = format!("standards `{}` and `{}` both decide {shared}", one.id, other.id);
                problem(Trouble::Overlap, what)
            }));
        }
    }
    problems
}

fn shared_outages(one: &Standard, other: &Standard) -> Option<String> {
    let decides = |standard: &Standard, class: OutageClass, notice: Notice| {
        let announced = class == OutageClass::Planned && notice == Notice::Given;
        let exempt = announced && standard.exempt.contains(&Exemption::PlannedWithNotice);
        let covers = standard.kind.timed_outages();
        covers.is_some_and(|covers| covers.covers(class, notice)) && !exempt
    };
    let shared = OutageClass::ALL
        .iter()
        .flat_map(|class| Notice::ALL.iter().map(move |notice| (*class, *notice)))
        .find(|(class, notice)| decides(one, *class, *notice) && decides(other, *class, *notice));
    shared.map(|(class, notice)| format!("outages of class {class}, notice {notice}"))
}

fn shared_requests(one: &Standard, other: &Standard) -> Option<String> {
    let kinds = super::regulation::REQUEST_KINDS.iter().map(|(kind, _, _)| *kind);
    let shared = kinds
        .into_iter()
        .find(|kind| one.handles(kind) && other.handles(kind));
    shared.map(|kind| format!("requests `{kind}`"))
}

/// A scope for which no fault type is set, where limits differ by fault type.
fn scopes_without_fault(regulation: &Regulation, standard: &Standard) -> Option<Problem> {
    if standard.kind.timed_outages().is_none() || !standard.distinguishes() {
        return None;
    }
    let without = |scope: &&Scope| !regulation.fault_by_scope.contains_key(*scope);
    let missing: Vec<&str> = Scope::ALL
        .iter()
        .filter(without)
        .map(|scope| scope.as_str())
        .collect();
    (!missing.is_empty()).then(|| {
        let what = format!(
            "standard `{}`: until the crew has said, an outage of scope {} has no fault type",
            standard.id,
            missing.join(" or ")
        );
        problem(Trouble::Gap, what)
    })
}

/// Cases of a standard that no row or more than one row decides; dates that follow one another are joined.
fn of_rows(regulation: &Regulation, standard: &Standard, (name, rows): (&str, &[&Applies])) -> Vec<Problem> {
    let mut found: Vec<(Trouble, String, Validity)> = Vec::new();
    for shape in shapes(regulation, standard, name) {
        for stretch in stretches(regulation.valid, rows) {
            let case = shape.on(stretch.from);
            let deciding = rows.iter().filter(|row| row.to(&case)).count();
            let trouble = match deciding {
                0 => Trouble::Gap,
                1 => continue,
                _ => Trouble::Overlap,
            };
            let what = shape.to_string();
            match found.last_mut() {
                Some((last, before, dates))
                    if *last == trouble && *before == what && dates.to == Some(stretch.from) =>
                {
                    dates.to = stretch.to;
                }
                Some(_) | None => found.push((trouble, what, stretch)),
            }
        }
    }
    let tell = |(trouble, what, dates): (Trouble, String, Validity)| {
        let until = dates
            .to
            .map_or_else(String::new, |to| format!(" until before {to}"));
        let rows = match trouble {
            Trouble::Gap => format!("no {name} for"),
            Trouble::Overlap => format!("more than one {name} for"),
        };
        let what = format!(
            "standard `{}`: {rows} {what} from {}{until}",
            standard.id, dates.from
        );
        problem(trouble, what)
    };
    found.into_iter().map(tell).collect()
}

/// A case without its day.
struct Shape<'a> {
    of: Option<&'a str>,
    area: AreaClass,
    supply: Supply,
    affected: Option<Affected>,
}

impl<'a> Shape<'a> {
    fn on(&self, day: Day) -> Case<'a> {
        Case {
            of: self.of,
            area: Some(self.area),
            supply: self.supply,
            affected: self.affected.unwrap_or(Affected::One),
            day,
        }
    }
}

impl fmt::Display for Shape<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(of) = self.of {
            write!(f, "{of}, ")?;
        }
        write!(f, "{}, {}", self.area, self.supply)?;
        match self.affected {
            Some(affected) => write!(f, ", {affected} affected"),
            None => Ok(()),
        }
    }
}

/// Every case that the standard has to decide.
fn shapes<'a>(regulation: &'a Regulation, standard: &'a Standard, name: &str) -> Vec<Shape<'a>> {
    let words: BTreeSet<&str> = match standard.kind {
        // Of requests only those that the standard names: no regulation has to know all kinds.
        Kind::Process => standard
            .limits
            .iter()
            .flat_map(|limit| &limit.applies.of)
            .map(String::as_str)
            .collect(),
        Kind::NoSupply(_)
        | Kind::ScheduledOutage(_)
        | Kind::InterruptionCount { .. }
        | Kind::VoltageDays { .. } => words_of(standard),
    };
    let of: Vec<Option<&str>> = if words.is_empty() {
        vec![None]
    } else {
        words.into_iter().map(Some).collect()
    };
    let differs = name == "amount"
        && standard
            .amounts
            .iter()
            .any(|amount| amount.applies.affected.is_some());
    let affected: Vec<Option<Affected>> = if differs {
        Affected::ALL.iter().copied().map(Some).collect()
    } else {
        vec![None]
    };
    let mut shapes = Vec::new();
    for of in of {
        for area in &regulation.areas {
            for supply in [Supply::Lt, Supply::Ht] {
                shapes.extend(affected.iter().map(|affected| Shape {
                    of,
                    area: *area,
                    supply,
                    affected: *affected,
                }));
            }
        }
    }
    shapes
}

/// The fault types that limits or amounts of a standard name.
fn words_of(standard: &Standard) -> BTreeSet<&str> {
    let limits = standard.limits.iter().map(|limit| &limit.applies);
    let amounts = standard.amounts.iter().map(|amount| &amount.applies);
    limits
        .chain(amounts)
        .flat_map(|applies| &applies.of)
        .map(String::as_str)
        .collect()
}

/// The stretches of days between which no row begins or ends.
fn stretches(outer: Validity, rows: &[&Applies]) -> Vec<Validity> {
    let ends = rows.iter().flat_map(|row| [Some(row.valid.from), row.valid.to]);
    let inside = ends.flatten().filter(|day| outer.holds(*day));
    let begins: BTreeSet<Day> = inside.chain([outer.from]).collect();
    let next = begins.iter().skip(1).copied().map(Some).chain([outer.to]);
    begins
        .iter()
        .zip(next)
        .map(|(from, to)| Validity { from: *from, to })
        .collect()
}

#[cfg(test)]
mod tests;
