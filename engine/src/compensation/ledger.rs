//! The ledger: entries that are only added, and whose sum is what the rule says (CMP-1).
//!
//! A *chain* is all entries of one consumer for one [`DefaultKey`], in order of their sequence. Its first entry, and the first
//! after a reversal, is an accrual; a changed amount or changed grounds (regulation, clause, limit) add an
//! adjustment of the difference, which may be zero when only the grounds changed; a default that is none any more adds a
//! reversal of all that stands. While only the minutes beyond the limit grow and the amount stays, nothing is added.
//!
//! Status moves beside the entry, one way: accruing, due, exported, credited. [`Ledger::plan`] says which accruing entries have
//! become due; exporting and crediting are the billing feed's.
//!
//! An entry's id is a function of its content and its place in the chain, the time of its making left out: planned again after
//! a crash it is the same entry. Two entries of one id with different content cannot be; [`Ledger::add`] refuses them.

use std::collections::{BTreeMap, btree_map};

use gridtally_schemas::{ConsumerId, Day, UtcMicros};
use serde::Serialize;

use super::{
    Paise,
    rule::{Decision, Grounds, Owed},
};

mod entry;
#[cfg(test)]
mod tests;

pub use entry::{Content, DefaultKey, Entry, EntryId, EntryKind, Status};

/// Status of an entry, with the last day for its credit once it is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Standing {
    /// How far it has come.
    pub status: Status,
    /// Last day for the credit; `None`: accruing, or the regulation sets none.
    pub due_by: Option<Day>,
}

/// An entry that has become due.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Settlement {
    /// The entry.
    pub entry_id: EntryId,
    /// Last day for the credit.
    pub due_by: Option<Day>,
}

/// What is to be added for one consumer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// New entries, in order.
    pub entries: Vec<Entry>,
    /// Entries, old and new, that have become due.
    pub due: Vec<Settlement>,
}

impl Plan {
    /// Whether there is nothing to do.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.due.is_empty()
    }
}

/// Why the ledger cannot go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    /// An entry's id is not that of its content, or another content has it already: the table was tampered with.
    #[error("entry {entry_id} does not say what its id says: entries are never changed")]
    Changed {
        /// The entry.
        entry_id: EntryId,
    },
    /// A sum leaves the range of paise.
    #[error("the entries of {consumer_id} for {default} add up to more than can be held")]
    TooLarge {
        /// The consumer.
        consumer_id: ConsumerId,
        /// The default.
        default: DefaultKey,
    },
    /// A status was given to an entry that is not there.
    #[error("there is no entry {entry_id}")]
    Unknown {
        /// The entry.
        entry_id: EntryId,
    },
}

/// Whether an entry was new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Added {
    /// It was.
    New,
    /// It was there: a replay.
    Known,
}

/// Entries of one chain by sequence, then id, each with its standing.
type Chain = BTreeMap<(u32, EntryId), (Entry, Standing)>;

/// All entries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ledger {
    chains: BTreeMap<ConsumerId, BTreeMap<DefaultKey, Chain>>,
    /// Where each entry is.
    places: BTreeMap<EntryId, (ConsumerId, DefaultKey, u32)>,
}

impl Ledger {
    /// Adds an entry; it begins as accruing. Adding it again changes nothing, its time of making included.
    ///
    /// # Errors
    /// [`LedgerError::Changed`] when its id is not that of its content.
    pub fn add(&mut self, entry: Entry) -> Result<Added, LedgerError> {
        if entry.content.id() != entry.entry_id {
            return Err(LedgerError::Changed {
                entry_id: entry.entry_id,
            });
        }
        let content = &entry.content;
        let place = (
            content.consumer_id.clone(),
            content.default.clone(),
            content.sequence,
        );
        let chains = self.chains.entry(content.consumer_id.clone()).or_default();
        let chain = chains.entry(content.default.clone()).or_default();
        match chain.entry((content.sequence, entry.entry_id.clone())) {
            btree_map::Entry::Occupied(held) if held.get().0.content == entry.content => Ok(Added::Known),
            btree_map::Entry::Occupied(_) => Err(LedgerError::Changed {
                entry_id: entry.entry_id,
            }),
            btree_map::Entry::Vacant(vacant) => {
                self.places.insert(entry.entry_id.clone(), place);
                let standing = Standing {
                    status: Status::Accruing,
                    due_by: None,
                };
                vacant.insert((entry, standing));
                Ok(Added::New)
            }
        }
    }

    /// Moves an entry on. A status that it has passed changes nothing; the day for the credit, once set, stays.
    ///
    /// # Errors
    /// [`LedgerError::Unknown`] when there is no such entry.
    pub fn advance(&mut self, entry_id: &EntryId, to: Standing) -> Result<(), LedgerError> {
        let held = self
            .places
            .get(entry_id)
            .and_then(|(consumer_id, default, sequence)| {
                let chain = self.chains.get_mut(consumer_id)?.get_mut(default)?;
                chain.get_mut(&(*sequence, entry_id.clone()))
            });
        let Some((_, standing)) = held else {
            return Err(LedgerError::Unknown {
                entry_id: entry_id.clone(),
            });
        };
        if to.status > standing.status {
            standing.due_by = standing.due_by.or(to.due_by);
            standing.status = to.status;
        }
        Ok(())
    }

    /// An entry with its standing.
    #[must_use]
    pub fn get(&self, entry_id: &EntryId) -> Option<(&Entry, Standing)> {
        let (consumer_id, default, sequence) = self.places.get(entry_id)?;
        let chain = self.chains.get(consumer_id)?.get(default)?;
        let (entry, standing) = chain.get(&(*sequence, entry_id.clone()))?;
        Some((entry, *standing))
    }

    /// Number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// The consumers that have entries, by id.
    pub fn consumers(&self) -> impl Iterator<Item = &ConsumerId> {
        self.chains.keys()
    }

    /// What a consumer's entries for one default add up to. `None` when that cannot be held.
    #[must_use]
    pub fn sum(&self, consumer_id: &ConsumerId, default: &DefaultKey) -> Option<Paise> {
        let chain = self
            .chains
            .get(consumer_id)
            .and_then(|chains| chains.get(default));
        chain.map_or(Some(Paise::ZERO), sum)
    }

    /// All entries of a consumer with their standing, by default and sequence.
    pub fn entries(&self, consumer_id: &ConsumerId) -> impl Iterator<Item = (&Entry, Standing)> + use<'_> {
        let chains = self
            .chains
            .get(consumer_id)
            .into_iter()
            .flat_map(BTreeMap::values);
        chains
            .flat_map(BTreeMap::values)
            .map(|(entry, standing)| (entry, *standing))
    }

    /// What has to be added so that every chain of the consumer adds up to its decision. Chains without a decision are
    /// reversed: their evidence is gone. Planning again after [`Ledger::apply`] gives an empty plan.
    ///
    /// # Errors
    /// [`LedgerError::TooLarge`] when a sum cannot be held; then nothing is planned.
    pub fn plan(
        &self,
        consumer_id: &ConsumerId,
        decisions: &[Decision],
        now: UtcMicros,
    ) -> Result<Plan, LedgerError> {
        let none = BTreeMap::new();
        let chains = self.chains.get(consumer_id).unwrap_or(&none);
        let mut targets: BTreeMap<&DefaultKey, Option<&Owed>> =
            chains.keys().map(|key| (key, None)).collect();
        for decision in decisions {
            targets.insert(&decision.default, decision.outcome.as_ref().ok());
        }
        let mut plan = Plan::default();
        let empty = Chain::new();
        for (default, target) in targets {
            let writer = Writer {
                consumer_id,
                default,
                chain: chains.get(default).unwrap_or(&empty),
                now,
            };
            let too_large = || LedgerError::TooLarge {
                consumer_id: consumer_id.clone(),
                default: default.clone(),
            };
            writer.plan(target, &mut plan).ok_or_else(too_large)?;
        }
        Ok(plan)
    }

    /// Takes in a plan.
    ///
    /// # Errors
    /// [`LedgerError`] when the plan is not of this ledger.
    pub fn apply(&mut self, plan: &Plan) -> Result<(), LedgerError> {
        for entry in &plan.entries {
            self.add(entry.clone())?;
        }
        for settlement in &plan.due {
            let due = Standing {
                status: Status::Due,
                due_by: settlement.due_by,
            };
            self.advance(&settlement.entry_id, due)?;
        }
        Ok(())
    }
}

fn sum(chain: &Chain) -> Option<Paise> {
    chain
        .values()
        .try_fold(Paise::ZERO, |sum, (entry, _)| sum.plus(entry.content.amount))
}

/// Whether two grounds name the same rule. A new edition of a preset that decides alike, or more minutes beyond the same
/// limit, are no reason for an entry.
fn same_rule(one: &Grounds, other: &Grounds) -> bool {
    one.regulation == other.regulation
        && one.clause == other.clause
        && one.limit_minutes == other.limit_minutes
}

/// Writes the entries of one chain.
struct Writer<'a> {
    consumer_id: &'a ConsumerId,
    default: &'a DefaultKey,
    chain: &'a Chain,
    now: UtcMicros,
}

impl Writer<'_> {
    /// `None` when an amount cannot be held.
    fn plan(&self, target: Option<&Owed>, plan: &mut Plan) -> Option<()> {
        let added = self.entry(target)?;
        let over = target.is_none_or(|owed| owed.over);
        if over {
            let due_by = target.and_then(|owed| owed.due_by);
            let standing = self.chain.values();
            let accruing = standing.filter(|(_, standing)| standing.status == Status::Accruing);
            let ids = accruing.map(|(entry, _)| entry).chain(&added);
            plan.due.extend(ids.map(|entry| Settlement {
                entry_id: entry.entry_id.clone(),
                due_by,
            }));
        }
        plan.entries.extend(added);
        Some(())
    }

    /// The entry that is missing. The outer `None` is an amount that cannot be held.
    fn entry(&self, target: Option<&Owed>) -> Option<Option<Entry>> {
        let stands = sum(self.chain)?;
        let last = self.chain.values().next_back().map(|(entry, _)| &entry.content);
        let open = last.filter(|last| last.kind != EntryKind::Reversal);
        let owed = target.filter(|owed| owed.amount != Paise::ZERO);
        let (kind, grounds, difference) = match (open, owed) {
            (None, None) if stands == Paise::ZERO => return Some(None),
            (None, Some(owed)) if stands == Paise::ZERO => (EntryKind::Accrual, &owed.grounds, owed.amount),
            (Some(open), Some(owed)) if stands == owed.amount && same_rule(&open.grounds, &owed.grounds) => {
                return Some(None);
            }
            // A chain whose reversal did not bring it to zero was written by two hands: the difference sets it right.
            (_, Some(owed)) => (EntryKind::Adjustment, &owed.grounds, owed.amount.minus(stands)?),
            (Some(open), None) => (EntryKind::Reversal, &open.grounds, Paise::ZERO.minus(stands)?),
            (None, None) => (EntryKind::Reversal, &last?.grounds, Paise::ZERO.minus(stands)?),
        };
        let content = Content {
            consumer_id: self.consumer_id.clone(),
            default: self.default.clone(),
            sequence: self.next_sequence(),
            kind,
            grounds: grounds.clone(),
            amount: difference,
            explains: match kind {
                EntryKind::Accrual => None,
                EntryKind::Adjustment | EntryKind::Reversal => self.accrual(),
            },
        };
        Some(Some(Entry::new(content, self.now)))
    }

    fn next_sequence(&self) -> u32 {
        let last = self.chain.keys().next_back().map_or(0, |(sequence, _)| *sequence);
        last.saturating_add(1)
    }

    /// The last accrual: the one that is open.
    fn accrual(&self) -> Option<EntryId> {
        let accruals = self.chain.values().rev().map(|(entry, _)| entry);
        accruals
            .filter(|entry| entry.content.kind == EntryKind::Accrual)
            .map(|entry| entry.entry_id.clone())
            .next()
    }
}
