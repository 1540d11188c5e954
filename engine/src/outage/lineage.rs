//! How outages go on from one result to the next: what began, grew, shrank, was restored, split, went on under another name, or
//! turned out to be something else.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use gridtally_schemas::ConsumerId;

use super::{
    group::{Outage, OutageId, Status},
    interruption::Interruption,
    span::{FOREVER, Span},
    wider::Joined,
};

/// Why a version of an outage stands. Its text is for the column `reason`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// The first evidence of it.
    Began,
    /// It interrupted more consumers, or reaches further.
    Grew,
    /// It interrupted fewer consumers, or reaches less far.
    Shrank,
    /// Some consumers came back.
    PartlyRestored,
    /// All are back.
    Restored,
    /// It had ended, and has not.
    Reopened,
    /// Only times, class or evidence changed.
    Restated,
    /// Part of what stood under that id is an outage of its own.
    SplitFrom(OutageId),
    /// What stood here is now (mostly) under that id; this one is CANCELLED.
    ContinuedAs(OutageId),
    /// The evidence turned out to be something else; it is CANCELLED.
    NoOutage,
}

/// How [`Reason::ContinuedAs`] begins as text.
const CONTINUED_AS: &str = "continued as ";

impl Reason {
    /// The id that a cancelled outage goes on under, by the text of its reason; `None`: it goes on under none.
    #[must_use]
    pub fn successor(text: &str) -> Option<OutageId> {
        let id = text.strip_prefix(CONTINUED_AS)?;
        Some(OutageId::from(id.to_owned()))
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Began => f.write_str("first evidence"),
            Self::Grew => f.write_str("more is out"),
            Self::Shrank => f.write_str("less is out than was thought"),
            Self::PartlyRestored => f.write_str("restored in part"),
            Self::Restored => f.write_str("restored"),
            Self::Reopened => f.write_str("not over after all"),
            Self::Restated => f.write_str("restated by later evidence"),
            Self::SplitFrom(id) => write!(f, "split from {id}"),
            Self::ContinuedAs(id) => write!(f, "{CONTINUED_AS}{id}"),
            Self::NoOutage => f.write_str("evidence turned out to be something else"),
        }
    }
}

/// One version of one outage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What stands from now on.
    pub outage: Outage,
    /// Why.
    pub reason: Reason,
}

/// What differs between the result that stood and the one that stands now, by id. Nothing where nothing differs.
///
/// Both must cover the same window. An outage that stood as CANCELLED because of an earlier change is not in either.
#[must_use]
pub fn changes(before: &Joined, now: &Joined) -> Vec<Change> {
    let (mut changes, mut gone, mut new) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
    for (id, outage) in &before.outages {
        match now.outages.get(id) {
            None => {
                gone.insert(id);
            }
            Some(current) if current != outage => changes.push(Change {
                outage: current.clone(),
                reason: reason(outage, current),
            }),
            Some(_) => {}
        }
    }
    new.extend(now.outages.keys().filter(|id| !before.outages.contains_key(*id)));
    let successors = shared(before, now, &gone);
    for id in gone {
        let Some(outage) = before.outages.get(id) else {
            continue;
        };
        let reason = most(successors.get(id)).map_or(Reason::NoOutage, Reason::ContinuedAs);
        if outage.status == Status::Cancelled {
            continue;
        }
        changes.push(Change {
            outage: Outage {
                status: Status::Cancelled,
                ..outage.clone()
            },
            reason,
        });
    }
    let origins = shared(now, before, &new);
    for id in new {
        let Some(outage) = now.outages.get(id) else {
            continue;
        };
        let origin = most(origins.get(id)).filter(|origin| now.outages.contains_key(origin));
        changes.push(Change {
            outage: outage.clone(),
            reason: origin.map_or(Reason::Began, Reason::SplitFrom),
        });
    }
    changes.sort_by(|a, b| a.outage.id.cmp(&b.outage.id));
    changes
}

fn reason(before: &Outage, now: &Outage) -> Reason {
    let reach = |outage: &Outage| (outage.scope, outage.consumers_affected);
    let was_over = before.status == Status::Restored;
    match now.status {
        Status::Restored if !was_over => Reason::Restored,
        Status::Active | Status::PartiallyRestored if was_over => Reason::Reopened,
        Status::Scheduled
        | Status::Active
        | Status::PartiallyRestored
        | Status::Restored
        | Status::Cancelled => match reach(now).cmp(&reach(before)) {
            std::cmp::Ordering::Greater => Reason::Grew,
            std::cmp::Ordering::Less => Reason::Shrank,
            std::cmp::Ordering::Equal if now.consumers_restored > before.consumers_restored => {
                Reason::PartlyRestored
            }
            std::cmp::Ordering::Equal => Reason::Restated,
        },
    }
}

type Counts = BTreeMap<OutageId, usize>;

/// For each of `ids`, outages of `from`: under which outages of `to` its consumers are out at the same time, and how many.
fn shared(from: &Joined, to: &Joined, ids: &BTreeSet<&OutageId>) -> BTreeMap<OutageId, Counts> {
    let mut of_consumer: BTreeMap<&ConsumerId, Vec<&Interruption>> = BTreeMap::new();
    let wanted = from
        .interruptions
        .iter()
        .filter(|interruption| ids.contains(&interruption.outage));
    let wanted: Vec<&Interruption> = wanted.collect();
    for interruption in &wanted {
        of_consumer.entry(&interruption.consumer).or_default();
    }
    for interruption in &to.interruptions {
        if let Some(list) = of_consumer.get_mut(&interruption.consumer) {
            list.push(interruption);
        }
    }
    let mut shared: BTreeMap<OutageId, Counts> = BTreeMap::new();
    for interruption in wanted {
        let others = of_consumer.get(&interruption.consumer).into_iter().flatten();
        for other in others.filter(|other| span(other).overlaps(span(interruption))) {
            let counts = shared.entry(interruption.outage.clone()).or_default();
            *counts.entry(other.outage.clone()).or_default() += 1;
        }
    }
    shared
}

fn span(interruption: &Interruption) -> Span {
    let to = interruption.ended_at.unwrap_or(FOREVER);
    Span::new(interruption.started_at, to.max(interruption.started_at.plus(1)))
}

fn most(counts: Option<&Counts>) -> Option<OutageId> {
    let (id, _) = counts?
        .iter()
        .max_by_key(|(id, count)| (**count, std::cmp::Reverse((*id).clone())))?;
    Some(id.clone())
}
