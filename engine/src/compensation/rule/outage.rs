//! No supply, and scheduled outages: the duration of a consumer's part in an outage against the limit.

use std::collections::BTreeSet;

use gridtally_schemas::{Day, UtcMicros};

use super::{Candidate, FaultBy, FaultType, Measure, Nothing, Priced, RuleError, Scene, missing};
use crate::compensation::{
    calendar::{instant_of, union, without},
    evidence::{Exemption, Notice, OutageClass, Span, SupplyLoss},
    ledger::DefaultKey,
    rate::Excess,
    regulation::{Affected, Allowance, Case, Regulation, Standard},
};

/// Civil days on which a standard's grace is taken, by preset and standard.
type GraceTaken<'a> = BTreeSet<(&'a str, &'a str, Day)>;

/// A loss of supply with its begin and end.
struct Event<'a> {
    loss: &'a SupplyLoss,
    began_at: UtcMicros,
    /// `None`: it runs.
    ended_at: Option<UtcMicros>,
}

pub(super) fn candidates<'a>(scene: &Scene<'a>) -> Result<Vec<Candidate<'a>>, RuleError> {
    let mut events: Vec<Event<'a>> = scene.evidence.losses.iter().filter_map(event).collect();
    events.sort_by_key(|event| (event.began_at, &event.loss.outage_id));
    let mut grace_taken = GraceTaken::new();
    let mut found = Vec::with_capacity(events.len());
    for event in &events {
        let default = DefaultKey::Outage(event.loss.outage_id.clone());
        let priced = price(scene, event, &mut grace_taken).ok_or_else(|| RuleError::TooLarge {
            default: default.clone(),
        })?;
        found.push(Candidate {
            default,
            began_at: event.began_at,
            ended_at: event.ended_at,
            priced,
        });
    }
    Ok(found)
}

fn event(loss: &SupplyLoss) -> Option<Event<'_>> {
    let ends = loss
        .interruptions
        .iter()
        .map(|interruption| interruption.ended_at);
    let ended_at = ends
        .collect::<Option<Vec<_>>>()
        .and_then(|ends| ends.into_iter().max());
    let began_at = loss
        .interruptions
        .iter()
        .map(|interruption| interruption.started_at)
        .min()?;
    Some(Event {
        loss,
        began_at,
        ended_at,
    })
}

/// The time without supply, until `as_of` where it still lacks; overlaps once.
pub(super) fn spans(loss: &SupplyLoss, as_of: UtcMicros) -> Vec<Span> {
    union(loss.interruptions.iter().map(|interruption| Span {
        from: interruption.started_at,
        to: interruption.ended_at.unwrap_or(as_of),
    }))
}

/// The exemption under which nothing of a loss counts for a standard.
pub(super) fn exemption(standard: &Standard, loss: &SupplyLoss) -> Option<Exemption> {
    let announced = loss.class == OutageClass::Planned && loss.notice == Notice::Given;
    let by_notice = announced.then_some(Exemption::PlannedWithNotice);
    let stated = loss.exemptions.iter().copied();
    let exempt = stated
        .chain(by_notice)
        .filter(|exemption| standard.exempt.contains(exemption));
    exempt.min()
}

/// The standard that limits this outage: one that does not exempt it before one that does.
fn covering<'a>(regulation: &'a Regulation, loss: &SupplyLoss) -> Option<&'a Standard> {
    let covering = || {
        regulation.standards.iter().filter(|standard| {
            let covers = standard.kind.timed_outages();
            covers.is_some_and(|covers| covers.covers(loss.class, loss.notice))
        })
    };
    covering()
        .find(|standard| exemption(standard, loss).is_none())
        .or_else(|| covering().next())
}

/// The fault type by the crew's word, else by the scope.
fn fault_type(regulation: &Regulation, loss: &SupplyLoss) -> Option<FaultType> {
    let known = regulation.fault_types();
    let crew = loss.fault_type.as_deref();
    if let Some(word) = crew.filter(|word| known.contains(word)) {
        return Some(FaultType {
            word: word.to_owned(),
            by: FaultBy::Crew,
        });
    }
    let by = match crew {
        Some(_) => FaultBy::ScopeForUnknownWord,
        None => FaultBy::Scope,
    };
    let word = regulation.fault_by_scope.get(&loss.scope)?.clone();
    Some(FaultType { word, by })
}

/// The outer `None` is an amount too large to be held.
fn price<'a>(
    scene: &Scene<'a>,
    event: &Event<'a>,
    grace_taken: &mut GraceTaken<'a>,
) -> Option<Result<Priced<'a>, Nothing>> {
    let day = scene.day(event.began_at);
    let Some(regulation) = scene.book.on(day) else {
        return Some(Err(Nothing::NoRegulation));
    };
    let Some(standard) = covering(regulation, event.loss) else {
        return Some(Err(Nothing::NotCovered));
    };
    if let Some(exemption) = exemption(standard, event.loss) {
        return Some(Err(Nothing::Exempt { exemption }));
    }
    let key = (regulation.preset.as_str(), standard.id.as_str(), day);
    let grace_minutes = match standard.grace_minutes {
        Some(minutes) if grace_taken.insert(key) => minutes,
        Some(_) | None => 0,
    };
    let fault_type = fault_type(regulation, event.loss);
    let place = Place {
        regulation,
        standard,
        day,
        grace_minutes,
    };
    match measure(scene, event, &place, fault_type) {
        Ok(measure) => measure.priced(),
        Err(nothing) => Some(Err(nothing)),
    }
}

/// Which rule is to be applied.
struct Place<'a> {
    regulation: &'a Regulation,
    standard: &'a Standard,
    day: Day,
    grace_minutes: i64,
}

fn measure<'a>(
    scene: &Scene<'a>,
    event: &Event<'a>,
    place: &Place<'a>,
    fault_type: Option<FaultType>,
) -> Result<Measure<'a>, Nothing> {
    let (regulation, standard, loss) = (place.regulation, place.standard, event.loss);
    if fault_type.is_none() && standard.distinguishes() {
        return Err(Nothing::NoFaultType);
    }
    // The word as the regulation spells it: that lives as long as the rule book does.
    let of = fault_type
        .as_ref()
        .and_then(|fault| regulation.fault_types().get(fault.word.as_str()).copied());
    let case = Case {
        of,
        area: loss.connection.area_class,
        supply: loss.connection.supply,
        affected: if loss.consumers_affected > 1 {
            Affected::Many
        } else {
            Affected::One
        },
        day: place.day,
    };
    let limit = standard
        .limit(&case)
        .ok_or_else(|| missing(&case, Nothing::NoLimit))?;
    let Allowance::Time {
        minutes,
        over_by,
        clock,
    } = limit.allowance
    else {
        return Err(Nothing::NoLimit);
    };
    let counting = scene.counting(regulation, clock);
    let spans = without(
        &spans(loss, scene.as_of),
        loss.outside_supply_hours.iter().copied(),
    );
    let measured = counting.minutes(&spans);
    let too_late = over_by.map_or(0, |over_by| {
        let deadline = instant_of(&scene.book.zone, place.day, over_by);
        let in_time = Span {
            from: UtcMicros(i64::MIN),
            to: deadline,
        };
        counting.minutes(&without(&spans, [in_time]))
    });
    let allowed = minutes + place.grace_minutes;
    let beyond = (measured - allowed).max(too_late).max(0);
    Ok(Measure {
        regulation,
        standard,
        case,
        clause: &limit.clause,
        measured,
        allowed: if too_late > measured - allowed && too_late > 0 {
            measured - too_late
        } else {
            allowed
        },
        excess: Excess::Time {
            minutes: beyond,
            day_minutes: counting.day_minutes(),
        },
        grace_minutes: place.grace_minutes,
        fault_type: fault_type.filter(|_| standard.distinguishes()),
    })
}
