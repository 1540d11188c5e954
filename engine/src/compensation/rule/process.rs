//! Process standards: the time that a request took against the limit.

use super::{Candidate, Measure, Nothing, Priced, RuleError, Scene, missing};
use crate::compensation::{
    evidence::{Request, Span},
    ledger::DefaultKey,
    rate::Excess,
    regulation::{Affected, Allowance, Case},
};

pub(super) fn candidates<'a>(scene: &Scene<'a>) -> Result<Vec<Candidate<'a>>, RuleError> {
    let candidate = |request: &'a Request| {
        let default = DefaultKey::Request(request.request_id.clone());
        let priced = price(scene, request).ok_or_else(|| RuleError::TooLarge {
            default: default.clone(),
        })?;
        Ok(Candidate {
            default,
            began_at: request.opened_at,
            ended_at: request.closed_at,
            priced,
        })
    };
    scene.evidence.requests.iter().map(candidate).collect()
}

/// The outer `None` is an amount too large to be held.
fn price<'a>(scene: &Scene<'a>, request: &'a Request) -> Option<Result<Priced<'a>, Nothing>> {
    match measure(scene, request) {
        Ok(measure) => measure.priced(),
        Err(nothing) => Some(Err(nothing)),
    }
}

fn measure<'a>(scene: &Scene<'a>, request: &'a Request) -> Result<Measure<'a>, Nothing> {
    let day = scene.day(request.opened_at);
    let regulation = scene.book.on(day).ok_or(Nothing::NoRegulation)?;
    let standard = regulation
        .standards
        .iter()
        .find(|standard| standard.handles(&request.kind))
        .ok_or(Nothing::NotCovered)?;
    let exempt = request
        .exemptions
        .iter()
        .filter(|exemption| standard.exempt.contains(exemption));
    if let Some(exemption) = exempt.min().copied() {
        return Err(Nothing::Exempt { exemption });
    }
    let case = Case {
        of: Some(&request.kind),
        area: request.connection.area_class,
        supply: request.connection.supply,
        affected: Affected::One,
        day,
    };
    let limit = standard
        .limit(&case)
        .ok_or_else(|| missing(&case, Nothing::NoLimit))?;
    let Allowance::Time { minutes, clock, .. } = limit.allowance else {
        return Err(Nothing::NoLimit);
    };
    let counting = scene.counting(regulation, clock);
    let measured = counting.minutes(&[Span {
        from: request.opened_at,
        to: request.closed_at.unwrap_or(scene.as_of),
    }]);
    Ok(Measure {
        regulation,
        standard,
        case,
        clause: &limit.clause,
        measured,
        allowed: minutes,
        excess: Excess::Time {
            minutes: (measured - minutes).max(0),
            day_minutes: counting.day_minutes(),
        },
        grace_minutes: 0,
        fault_type: None,
    })
}
