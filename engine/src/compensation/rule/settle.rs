//! From priced defaults to decisions: claims, the cap of the year, uplift, the day by which credit is due.

use std::collections::BTreeMap;

use gridtally_schemas::{Day, UtcMicros};

use super::{Candidate, Decision, Grounds, Nothing, Owed, Priced, RuleError, Scene, Unit, YearUse};
use crate::compensation::{
    Paise,
    calendar::financial_year,
    evidence::Claim,
    ledger::DefaultKey,
    regulation::{ClaimMode, Standard},
};

/// What the claims for one default come to.
#[derive(Clone, Copy)]
struct Claimed {
    filed_at: UtcMicros,
    upheld_at: Option<UtcMicros>,
}

pub(super) fn decisions(
    scene: &Scene<'_>,
    mut found: Vec<Candidate<'_>>,
) -> Result<Vec<Decision>, RuleError> {
    // The cap of a year is used up in the order in which defaults began.
    found.sort_by(|one, other| (one.began_at, &one.default).cmp(&(other.began_at, &other.default)));
    let claims = claims(&scene.evidence.claims);
    let mut used = YearUse::new();
    let mut decided = Vec::with_capacity(found.len());
    for candidate in found {
        let claimed = claims.get(&candidate.default).copied();
        let (default, began_at) = (candidate.default, candidate.began_at);
        let outcome = match candidate.priced {
            Err(nothing) => Err(nothing),
            Ok(priced) => {
                let settlement = Settlement {
                    scene,
                    began_at,
                    ended_at: candidate.ended_at,
                    claimed,
                };
                settlement
                    .outcome(priced, &mut used)
                    .ok_or_else(|| RuleError::TooLarge {
                        default: default.clone(),
                    })?
            }
        };
        decided.push(Decision {
            default,
            began_at,
            outcome,
        });
    }
    decided.sort_by(|one, other| one.default.cmp(&other.default));
    Ok(decided)
}

fn claims(all: &[Claim]) -> BTreeMap<&DefaultKey, Claimed> {
    let mut claims: BTreeMap<&DefaultKey, Claimed> = BTreeMap::new();
    for claim in all {
        let held = claims.entry(&claim.default).or_insert(Claimed {
            filed_at: claim.filed_at,
            upheld_at: claim.upheld_at,
        });
        held.filed_at = held.filed_at.min(claim.filed_at);
        held.upheld_at = [held.upheld_at, claim.upheld_at].into_iter().flatten().min();
    }
    claims
}

struct Settlement<'a> {
    scene: &'a Scene<'a>,
    began_at: UtcMicros,
    ended_at: Option<UtcMicros>,
    claimed: Option<Claimed>,
}

impl Settlement<'_> {
    /// The outer `None` is an amount too large to be held.
    fn outcome(&self, mut priced: Priced<'_>, used: &mut YearUse) -> Option<Result<Owed, Nothing>> {
        if let Some(nothing) = self.unclaimed(&priced) {
            return Some(Err(nothing));
        }
        self.cap_of_year(&mut priced, used)?;
        if priced
            .working
            .year_cap_left
            .is_some_and(|left| left <= Paise::ZERO)
        {
            return Some(Err(Nothing::YearCapReached));
        }
        let upheld_at = self.claimed.and_then(|claimed| claimed.upheld_at);
        if let (Some(upheld), Some(_)) = (priced.standard.upheld, upheld_at) {
            priced.amount = priced.amount.times(upheld.factor)?.max(upheld.at_least);
            priced.working.uplifted = true;
        }
        let timed = priced.working.unit == Unit::Minutes;
        Some(Ok(Owed {
            amount: priced.amount,
            grounds: Grounds {
                regulation: priced.regulation.preset.clone(),
                revision: priced.regulation.revision,
                standard: priced.standard.id.clone(),
                clause: priced.clause.to_owned(),
                limit_minutes: timed.then_some(priced.working.allowed),
                default_minutes: timed.then_some(priced.working.beyond),
            },
            over: self.ended_at.is_some(),
            due_by: self.due_by(priced.standard),
            working: priced.working,
        }))
    }

    /// Why the lack of a claim, or a late one, means that nothing is owed.
    fn unclaimed(&self, priced: &Priced<'_>) -> Option<Nothing> {
        match priced.standard.claim {
            ClaimMode::Automatic => return None,
            ClaimMode::OnClaim => {}
        }
        let Some(claimed) = self.claimed else {
            return Some(Nothing::NotClaimed {
                claimable: priced.amount,
            });
        };
        let within = priced.standard.claim_within_days?;
        let last_day = Day(self.scene.day(self.ended_at?).0 + within);
        (self.scene.day(claimed.filed_at) > last_day).then_some(Nothing::ClaimedTooLate { last_day })
    }

    fn cap_of_year(&self, priced: &mut Priced<'_>, used: &mut YearUse) -> Option<()> {
        let Some(cap) = &priced.regulation.year_cap else {
            return Some(());
        };
        let year = financial_year(self.scene.day(self.began_at));
        let Some(charges) = self.scene.evidence.fixed_charges.get(&year) else {
            priced.working.year_cap_unknown = true;
            return Some(());
        };
        let used = used.entry(year).or_default();
        let left = charges
            .percent(cap.fixed_charges_pct)?
            .minus(*used)?
            .max(Paise::ZERO);
        priced.amount = priced.amount.min(left);
        priced.working.year_cap_left = Some(left);
        *used = used.plus(priced.amount)?;
        Some(())
    }

    /// Last day for the credit: counted from the end of the default, from the claim where one is needed, from the ruling
    /// where one upheld it; the latest of them.
    fn due_by(&self, standard: &Standard) -> Option<Day> {
        let within = standard.credit_within_days?;
        let filed_at = match standard.claim {
            ClaimMode::Automatic => None,
            ClaimMode::OnClaim => self.claimed.map(|claimed| claimed.filed_at),
        };
        let upheld_at = self.claimed.and_then(|claimed| claimed.upheld_at);
        let from = [Some(self.ended_at?), filed_at, upheld_at]
            .into_iter()
            .flatten()
            .max()?;
        Some(Day(self.scene.day(from).0.saturating_add(within)))
    }
}
