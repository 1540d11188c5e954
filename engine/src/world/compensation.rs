//! Compensation in the picture: what is known of a consumer, the regulation in force where he hangs, and the ledger of what he is owed
//! ([`crate::compensation`]).
//!
//! ```text
//! interruption · outage · cause · topology · request · claim · bill ─▶ dirty consumer ─▶ evidence ─▶ decide ─▶ plan ─▶ ledger ─▶ rows
//! billing's word (log) ──────────────────────────────────────────────────────────────── status ─▶ ledger ─▶ rows ─▶ feed
//! ```
//!
//! CMP-1: once nobody is dirty, each chain of entries adds up to the rule applied to what is known; of a default that runs as of at most
//! [`RUNNING_MICROS`] ago. Unlike everything else in the picture the ledger is history: which entries lead to a sum depends on what was
//! known when. So an entry is shown to billing only once it is durable in its table, from which a start takes it back; and nothing is
//! planned before a start has caught up with the log.
//!
//! Without any regulation in force nothing is planned, and what stands stays.
//!
//! Memory: entries of all time are held, some 600 bytes each.

use std::collections::{BTreeMap, BTreeSet};

use gridtally_schemas::{
    ConsumerId, UtcMicros,
    compensation::{ClaimRow, ServiceRequestRow},
};
use hashbrown::HashMap;

use super::World;
use crate::{
    compensation::{
        evidence::Evidence,
        in_force::InForce,
        ledger::{DefaultKey, EntryId, Ledger, Plan},
        regulation::Kind,
        rule::{Decision, RuleBook},
    },
    network::NodeIx,
    outage::OutageId,
};

mod case;
mod evidence;
mod feed;
mod filed;
mod restore;
mod rows;
mod say;
#[cfg(test)]
mod tests;
mod voltage;

pub use case::Case;
pub(crate) use evidence::OutageFacts;
pub use feed::{FeedEntry, FeedQuery, Hands};
pub use restore::EntryVersion;
pub(crate) use restore::entry_versions;
pub(crate) use rows::DueEntries;
pub(crate) use say::CompensationRows;

use feed::Feed;
use filed::Filed;
use voltage::Voltages;

/// What runs is looked at again after this, µs of the configured clock (house choice: amounts move by the hour at most).
pub const RUNNING_MICROS: i64 = 5 * 60 * 1_000_000;

/// By what compensation is decided and paid out.
#[derive(Debug, Clone, Default)]
pub struct CompensationRules {
    /// Which regulation is in force where, from when on.
    pub in_force: InForce,
    /// Whether an entry is given to billing only after one person has proposed it and another approved it.
    pub needs_approval: bool,
}

/// The part of the picture that compensation keeps.
#[derive(Debug, Default)]
pub(crate) struct Compensation {
    ledger: Ledger,
    feed: Feed,
    requests: Filed<ServiceRequestRow>,
    claims: Filed<ClaimRow>,
    voltages: Voltages,
    /// Consumers of whom something changed.
    dirty: BTreeSet<ConsumerId>,
    /// When which consumer is to be looked at although nothing changed.
    due: BTreeSet<(UtcMicros, ConsumerId)>,
    next_look: HashMap<ConsumerId, UtcMicros>,
    /// What billing's words say, by their keys: a digest.
    acknowledged: HashMap<String, String>,
}

impl Compensation {
    /// Nothing known yet, under these rules.
    pub(super) fn new(rules: &CompensationRules) -> Self {
        Self {
            voltages: Voltages::new(rules.in_force.voltage_bands()),
            ..Self::default()
        }
    }

    /// Notes that something changed that bears on what a consumer is owed.
    pub(super) fn note(&mut self, consumer: &ConsumerId) {
        if !self.dirty.contains(consumer) {
            self.dirty.insert(consumer.clone());
        }
    }

    fn take_due(&mut self, now: UtcMicros) {
        while self.due.first().is_some_and(|(at, _)| *at <= now)
            && let Some((_, consumer)) = self.due.pop_first()
        {
            self.next_look.remove(&consumer);
            self.dirty.insert(consumer);
        }
    }

    fn look_again(&mut self, consumer: &ConsumerId, at: Option<UtcMicros>) {
        let before = match at {
            Some(at) => self.next_look.insert(consumer.clone(), at),
            None => self.next_look.remove(consumer),
        };
        if let Some(before) = before {
            self.due.remove(&(before, consumer.clone()));
        }
        self.due.extend(at.map(|at| (at, consumer.clone())));
    }
}

impl World {
    /// Brings the ledger up to what is known of at most `consumers_max` consumers of whom something changed, as of `now`. Gives how many
    /// there were: fewer than asked for when all is done. Call it once outages are looked for, and only when all that the tables hold is
    /// applied.
    pub fn compensate(&mut self, now: UtcMicros, consumers_max: usize) -> usize {
        if self.settings.compensation.in_force.is_none() {
            self.compensation.dirty.clear();
            self.compensation.due.clear();
            self.compensation.next_look.clear();
            return 0;
        }
        self.compensation.take_due(now);
        let mut looked = 0;
        while looked < consumers_max {
            let Some(consumer) = self.compensation.dirty.pop_first() else {
                break;
            };
            self.compensate_consumer(&consumer, now);
            looked += 1;
        }
        looked
    }

    /// Whether the ledger is up to what is known.
    #[must_use]
    pub fn is_compensated(&self) -> bool {
        self.compensation.dirty.is_empty()
    }

    fn compensate_consumer(&mut self, consumer: &ConsumerId, now: UtcMicros) {
        let evidence = self.evidence_of(consumer);
        let Some((book, decisions)) = self.decided(&evidence, now) else {
            return;
        };
        let planned = self.compensation.ledger.plan(consumer, &decisions, now);
        match planned {
            Ok(plan) => self.take_in(&plan),
            Err(error) => tracing::error!(%error, "a consumer's compensation stays as it was"),
        }
        let again = next_look(book.as_ref(), &evidence, &decisions, now);
        self.compensation.look_again(consumer, again);
    }

    /// The rule applied to what is known of a consumer; `None` when it cannot be, which is told.
    fn decided(&self, evidence: &Evidence, now: UtcMicros) -> Option<(Option<RuleBook>, Vec<Decision>)> {
        let Some(book) = self.book_of(&evidence.consumer_id) else {
            return Some((None, Vec::new()));
        };
        match book.decide(evidence, now) {
            Ok(decisions) => Some((Some(book), decisions)),
            Err(error) => {
                tracing::error!(consumer = %evidence.consumer_id, %error, "compensation cannot be decided");
                None
            }
        }
    }

    /// The rule applied to what is known of a consumer now, whatever the ledger holds: what is owed for each default or near default, or
    /// why nothing is.
    #[must_use]
    pub fn compensation_decisions(&self, consumer: &ConsumerId, now: UtcMicros) -> Vec<Decision> {
        let decided = self.decided(&self.evidence_of(consumer), now);
        decided.map_or_else(Vec::new, |(_, decisions)| decisions)
    }

    fn take_in(&mut self, plan: &Plan) {
        if plan.is_empty() {
            return;
        }
        if let Err(error) = self.compensation.ledger.apply(plan) {
            // A plan is always of the ledger that it was made from.
            tracing::error!(%error, "entries of compensation could not be added");
            return;
        }
        let Compensation { feed, .. } = &mut self.compensation;
        for entry in &plan.entries {
            feed.count(entry.content.amount);
            feed.mark(&entry.entry_id, None);
        }
        for settlement in &plan.due {
            feed.mark(&settlement.entry_id, Some("the default ended"));
        }
        feed.has_due_waiting |= !plan.due.is_empty();
    }

    /// Notes those who are part of these outages.
    pub(super) fn note_compensation_of(&mut self, outages: &BTreeSet<OutageId>) {
        for consumer in self.consumers_of_outages(outages) {
            self.compensation.note(&consumer);
        }
    }

    /// Notes those who were ever interrupted on a feeder: its master data changed.
    pub(super) fn note_compensation_on(&mut self, feeder: NodeIx) {
        for consumer in self.consumers_interrupted_on(feeder) {
            self.compensation.note(&consumer);
        }
    }
}

/// When time alone may change what a consumer is owed.
fn next_look(
    book: Option<&RuleBook>,
    evidence: &Evidence,
    decisions: &[Decision],
    now: UtcMicros,
) -> Option<UtcMicros> {
    let is_on = evidence
        .losses
        .iter()
        .flat_map(|loss| &loss.interruptions)
        .any(|interruption| interruption.ended_at.is_none());
    let is_open = evidence
        .requests
        .iter()
        .any(|request| request.closed_at.is_none());
    let running = (is_on || is_open).then(|| now.plus(RUNNING_MICROS));
    let book = book?;
    let ends = decisions.iter().filter_map(|decision| {
        let runs = decision.outcome.as_ref().is_ok_and(|owed| !owed.over);
        period_end(book, &decision.default).filter(|_| runs)
    });
    ends.chain(running).min()
}

/// The first instant after a period in which something is counted.
fn period_end(book: &RuleBook, default: &DefaultKey) -> Option<UtcMicros> {
    let DefaultKey::Period { standard, first_day } = default else {
        return None;
    };
    let regulation = book.on(*first_day)?;
    let held = regulation.standards.iter().find(|held| held.id == *standard)?;
    let period = match &held.kind {
        Kind::InterruptionCount { period, .. } | Kind::VoltageDays { period, .. } => *period,
        Kind::NoSupply(_) | Kind::ScheduledOutage(_) | Kind::Process => return None,
    };
    Some(book.zone().start_of(period.after(*first_day)))
}

impl World {
    /// What a consumer's entries for each default add up to, paise; sums of nothing are left out.
    #[must_use]
    pub fn compensation_sums(&self, consumer: &ConsumerId) -> BTreeMap<String, i64> {
        let mut sums: BTreeMap<String, i64> = BTreeMap::new();
        for (entry, _) in self.compensation.ledger.entries(consumer) {
            let sum = sums.entry(entry.content.default.to_string()).or_default();
            *sum = sum.saturating_add(entry.content.amount.0);
        }
        sums.retain(|_, sum| *sum != 0);
        sums
    }

    /// Consumers who have entries, by id.
    pub fn compensated_consumers(&self) -> impl Iterator<Item = &ConsumerId> {
        self.compensation.ledger.consumers()
    }

    /// The entries of the chain that an entry is part of, in order.
    #[must_use]
    pub fn compensation_chain(&self, entry_id: &EntryId) -> Vec<FeedEntry> {
        let Some((entry, _)) = self.compensation.ledger.get(entry_id) else {
            return Vec::new();
        };
        let all = self.compensation_of(&entry.content.consumer_id).into_iter();
        all.filter(|held| held.entry.content.default == entry.content.default)
            .collect()
    }
}
