//! When supply will be back, estimated from past outages (house choice; the Rules ask for an estimate, 16(3), and name no method).
//!
//! # Definition
//!
//! The past of an outage are the sustained breakdowns of the same scope that ended before it began, at most [`Rules::past_days`] before,
//! of them the [`Rules::past_max`] that ended last. Those of the same fault type alone, where one is recorded and at least
//! [`Rules::past_min`] have it; else those of the scope, if they are at least [`Rules::past_min`]; else there is no estimate.
//!
//! The estimate is the begin plus the median of how long they lasted. When that has passed and supply is not back, it is the begin plus
//! the median of those that lasted longer than that, and so on while [`Rules::past_min`] did; then there is none.
//!
//! # What can change it
//!
//! Times are those of meters, and what ended after the outage began does not count. So the estimate is the same for every order of
//! arrival (ORD-1), and stands still while nothing new is known of the outage itself: it changes when the scope grows or shrinks, when
//! its fault type is recorded, when its own time has passed (only to a later one), and when late evidence changes what ended before. An
//! outage that is over has none.

use std::collections::BTreeMap;

use gridtally_schemas::UtcMicros;

use super::{
    Rules,
    crew::Known,
    group::{Outage, OutageId, Scope, Status},
    picture::{Class, words},
};

const DAY_MICROS: i64 = 24 * 60 * 60 * 1_000_000;

words!(
    /// What a time of restoration rests on.
    Basis {
        /// The crew, or the OMS, said so.
        Crew = "crew",
        /// The end of the outage as it was announced.
        Announced = "announced",
        /// An estimate: past outages of the same scope and fault type.
        PastOfFaultType = "past_outages_of_scope_and_fault_type",
        /// An estimate: past outages of the same scope.
        PastOfScope = "past_outages_of_scope",
    }
);

impl Basis {
    /// Whether it is an estimate of gridtally's own.
    #[must_use]
    pub const fn is_estimate(self) -> bool {
        match self {
            Self::Crew | Self::Announced => false,
            Self::PastOfFaultType | Self::PastOfScope => true,
        }
    }
}

/// When supply will be back, and from what that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restoration {
    /// When.
    pub at: UtcMicros,
    /// What it rests on.
    pub basis: Basis,
    /// How many past outages an estimate is the median of; 0: it is no estimate.
    pub outages: usize,
}

type Ended = BTreeMap<(UtcMicros, OutageId), i64>;

/// Sustained breakdowns that are over: a set, the same for every order in which they came.
#[derive(Debug, Default)]
pub struct Past {
    /// How long they lasted, µs, by when they ended; by scope and fault type, and with no fault type all of the scope.
    ended: BTreeMap<(Scope, Option<String>), Ended>,
    held: BTreeMap<OutageId, (Scope, Option<String>, UtcMicros)>,
}

impl Past {
    /// Files an outage as it stands, in place of what stood of it. Gives the earliest end that this adds or takes away; `None`: it changes
    /// no estimate.
    pub fn put(&mut self, rules: &Rules, outage: &Outage, known: &Known) -> Option<UtcMicros> {
        let taken = self.take(&outage.id);
        let ended_at = outage.ended_at.filter(|ended_at| {
            let is_sustained = ended_at.0.saturating_sub(outage.started_at.0) > rules.momentary_micros;
            outage.status == Status::Restored && outage.class == Class::Breakdown && is_sustained
        });
        let Some(ended_at) = ended_at else {
            return taken;
        };
        let lasted = ended_at.0.saturating_sub(outage.started_at.0);
        let key = (ended_at, outage.id.clone());
        for fault_type in fault_types(known.fault_type.as_ref()) {
            let of = self.ended.entry((outage.scope, fault_type)).or_default();
            of.insert(key.clone(), lasted);
        }
        self.held.insert(
            outage.id.clone(),
            (outage.scope, known.fault_type.clone(), ended_at),
        );
        Some(taken.map_or(ended_at, |taken| taken.min(ended_at)))
    }

    /// Takes an outage away that is none any more; as [`Past::put`].
    pub fn take(&mut self, id: &OutageId) -> Option<UtcMicros> {
        let (scope, fault_type, ended_at) = self.held.remove(id)?;
        let key = (ended_at, id.clone());
        for fault_type in fault_types(fault_type.as_ref()) {
            if let Some(of) = self.ended.get_mut(&(scope, fault_type)) {
                of.remove(&key);
            }
        }
        Some(ended_at)
    }

    /// When supply will be back of an outage that is on or announced, as of `now`; `None`: nobody can say, or it is over.
    ///
    /// The crew's word stands before all else. `announced_end` is the end of its announcement, if it was announced.
    #[must_use]
    pub fn restoration(
        &self,
        rules: &Rules,
        (outage, known): (&Outage, &Known),
        announced_end: Option<UtcMicros>,
        now: UtcMicros,
    ) -> Option<Restoration> {
        let said = |at, basis| Restoration {
            at,
            basis,
            outages: 0,
        };
        if let Some(at) = known.etr {
            return Some(said(at, Basis::Crew));
        }
        let is_on = match outage.status {
            Status::Active | Status::PartiallyRestored => true,
            Status::Scheduled => false,
            Status::Restored | Status::Cancelled => return None,
        };
        if let Some(at) = announced_end {
            return Some(said(at, Basis::Announced));
        }
        if !is_on || outage.class != Class::Breakdown {
            return None;
        }
        let of_fault_type = known
            .fault_type
            .as_ref()
            .map(|fault_type| (Some(fault_type.clone()), Basis::PastOfFaultType));
        let of_scope = (None, Basis::PastOfScope);
        let mut pasts = of_fault_type.into_iter().chain([of_scope]);
        let (lasted, basis) = pasts.find_map(|(fault_type, basis)| {
            let lasted = self.before(rules, &(outage.scope, fault_type), outage.started_at);
            (lasted.len() >= rules.past_min.max(1)).then_some((lasted, basis))
        })?;
        let (at, outages) = later_than(rules, &lasted, outage.started_at, now)?;
        Some(Restoration { at, basis, outages })
    }

    /// How long those lasted that ended last before `started_at`, shortest first.
    fn before(&self, rules: &Rules, of: &(Scope, Option<String>), started_at: UtcMicros) -> Vec<i64> {
        let first = OutageId::from(String::new());
        let from = started_at.plus(rules.past_days.saturating_mul(-DAY_MICROS));
        let ended = self.ended.get(of).into_iter();
        let within = ended.flat_map(|ended| ended.range((from, first.clone())..(started_at, first.clone())));
        let newest = within.rev().take(rules.past_max);
        let mut lasted: Vec<i64> = newest.map(|(_, lasted)| *lasted).collect();
        lasted.sort_unstable();
        lasted
    }
}

/// Under which an outage is filed: all of its scope, and those of its fault type.
fn fault_types(fault_type: Option<&String>) -> impl Iterator<Item = Option<String>> + use<> {
    std::iter::once(None).chain(fault_type.cloned().map(Some))
}

/// The begin plus the median of `lasted` (sorted), or, where that has passed, of the longer ones; with how many that is the median of.
fn later_than(
    rules: &Rules,
    lasted: &[i64],
    started_at: UtcMicros,
    now: UtcMicros,
) -> Option<(UtcMicros, usize)> {
    let mut rest = lasted;
    while rest.len() >= rules.past_min.max(1) {
        let median = *rest.get((rest.len() - 1) / 2)?;
        let at = started_at.plus(median);
        if at > now {
            return Some((at, rest.len()));
        }
        let longer = rest.partition_point(|lasted| *lasted <= median);
        rest = rest.get(longer..).unwrap_or_default();
    }
    None
}
