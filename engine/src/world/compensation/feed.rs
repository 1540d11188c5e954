//! What billing sees of the ledger: entries in the order in which their versions became durable.
//!
//! Each version of an entry (it became due, it was approved, exported, credited) has a place of its own, which only grows; an entry is
//! listed at the place of its newest durable version. Who reads on from a place meets every entry that came, or changed its status, since:
//! none is missed, whatever is added meanwhile. What is not durable in its table is not shown, for a crash may yet take it back; what
//! billing itself acknowledged is durable in the log, and counts at once.

use std::collections::BTreeMap;

use hashbrown::HashMap;

use super::World;
use crate::compensation::{
    Paise,
    ledger::{Entry, EntryId, Ledger, Standing, Status},
};

/// Who proposed an entry and who approved it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hands {
    /// Who proposed it; `None`: nobody yet.
    pub made_by: Option<String>,
    /// Who approved it, never the same; `None`: nobody yet.
    pub checked_by: Option<String>,
}

/// The newest durable version of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Published {
    pub(super) version: i64,
    pub(super) sequence: u64,
    pub(super) status: Status,
}

/// An entry as others see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedEntry {
    /// The entry.
    pub entry: Entry,
    /// How far it has come.
    pub standing: Standing,
    /// How far its newest durable version says that it has come; `None`: it is not durable yet.
    pub published_status: Option<Status>,
    /// Who proposed and approved it.
    pub hands: Hands,
    /// Place of its newest durable version in the feed; 0: it is not durable yet.
    pub sequence: u64,
    /// Number of that version; 0: it is not durable yet.
    pub version: i64,
}

/// What is asked of the feed.
#[derive(Debug, Clone, Copy)]
pub struct FeedQuery {
    /// Only entries of this status; `None`: any.
    pub status: Option<Status>,
    /// Only what comes after this place; 0: from the beginning.
    pub after: u64,
    /// At most so many.
    pub entries_max: usize,
}

/// What is published, and what waits to be.
#[derive(Debug, Default)]
pub(super) struct Feed {
    published: HashMap<EntryId, Published>,
    hands: HashMap<EntryId, Hands>,
    by_place: BTreeMap<u64, EntryId>,
    by_status: BTreeMap<(Status, u64), EntryId>,
    /// Entries with a version to come, with why.
    waiting: HashMap<EntryId, Option<String>>,
    /// Versions that are being written.
    in_flight: Vec<(EntryId, Published)>,
    /// The last place that was given.
    last_sequence: u64,
    /// Sums of all entries and of those credited, paise.
    total_paise: i128,
    credited_paise: i128,
    /// Whether something that billing waits for is among those that wait.
    pub(super) has_due_waiting: bool,
}

impl Feed {
    /// Notes that an entry has a new version to come; the first reason stands.
    pub(super) fn mark(&mut self, entry_id: &EntryId, reason: Option<&str>) {
        let waiting = self.waiting.entry(entry_id.clone()).or_default();
        if waiting.is_none() {
            *waiting = reason.map(str::to_owned);
        }
    }

    /// Counts the amount of a new entry.
    pub(super) fn count(&mut self, amount: Paise) {
        self.total_paise = self.total_paise.saturating_add(i128::from(amount.0));
    }

    /// Counts the amount of an entry that was credited.
    pub(super) fn count_credited(&mut self, amount: Paise) {
        self.credited_paise = self.credited_paise.saturating_add(i128::from(amount.0));
    }

    pub(super) fn published(&self, entry_id: &EntryId) -> Option<Published> {
        self.published.get(entry_id).copied()
    }

    pub(super) fn hands(&self, entry_id: &EntryId) -> Hands {
        self.hands.get(entry_id).cloned().unwrap_or_default()
    }

    pub(super) fn hands_mut(&mut self, entry_id: &EntryId) -> &mut Hands {
        self.hands.entry(entry_id.clone()).or_default()
    }

    /// Takes the entries that wait, with why.
    pub(super) fn take_waiting(&mut self) -> HashMap<EntryId, Option<String>> {
        self.has_due_waiting = false;
        std::mem::take(&mut self.waiting)
    }

    /// Gives an entry's next version its place.
    pub(super) fn next(&mut self, entry_id: &EntryId, status: Status) -> Published {
        self.last_sequence += 1;
        let version = self.published(entry_id).map_or(1, |held| held.version + 1);
        let next = Published {
            version,
            sequence: self.last_sequence,
            status,
        };
        self.in_flight.push((entry_id.clone(), next));
        next
    }

    /// Files a durable version, in any order with the others.
    pub(super) fn file(&mut self, entry_id: &EntryId, new: Published) {
        self.last_sequence = self.last_sequence.max(new.sequence);
        if let Some(held) = self.published.get(entry_id) {
            if held.version >= new.version {
                return;
            }
            self.by_place.remove(&held.sequence);
            self.by_status.remove(&(held.status, held.sequence));
        }
        self.published.insert(entry_id.clone(), new);
        self.by_place.insert(new.sequence, entry_id.clone());
        self.by_status
            .insert((new.status, new.sequence), entry_id.clone());
    }

    /// What was being written is durable.
    fn land(&mut self, ledger: &Ledger) {
        for (entry_id, published) in std::mem::take(&mut self.in_flight) {
            self.file(&entry_id, published);
            // Acknowledged while it was being written.
            let now = ledger.get(&entry_id).map(|(_, standing)| standing.status);
            if now.is_some_and(|now| now != published.status) {
                self.leave_status(&entry_id);
            }
        }
    }

    /// Takes an entry off the list of its published status: it has another by now.
    pub(super) fn leave_status(&mut self, entry_id: &EntryId) {
        if let Some(held) = self.published.get(entry_id) {
            self.by_status.remove(&(held.status, held.sequence));
        }
    }
}

impl World {
    /// Notes that the entries of the checkpoint that was being written are in their table.
    pub(crate) fn land_entries(&mut self) {
        let super::Compensation { feed, ledger, .. } = &mut self.compensation;
        feed.land(ledger);
    }

    /// The last place of the feed that is durable; 0: none.
    #[must_use]
    pub fn last_entry_sequence(&self) -> u64 {
        let last = self.compensation.feed.by_place.last_key_value();
        last.map_or(0, |(place, _)| *place)
    }

    /// Whether entries wait for their table that billing waits for.
    pub(crate) fn has_due_entries_waiting(&self) -> bool {
        self.compensation.feed.has_due_waiting
    }

    /// A part of the billing feed, in order. Entries that need an approval and have none are not among those that are due.
    #[must_use]
    pub fn compensation_feed(&self, query: &FeedQuery) -> Vec<FeedEntry> {
        let feed = &self.compensation.feed;
        let after = query.after.saturating_add(1);
        let ids: Box<dyn Iterator<Item = &EntryId>> = match query.status {
            None => Box::new(feed.by_place.range(after..).map(|(_, id)| id)),
            Some(status) => {
                let of_status = feed.by_status.range((status, after)..=(status, u64::MAX));
                Box::new(of_status.map(|(_, id)| id))
            }
        };
        let wanted = ids.filter_map(|id| self.compensation_entry(id));
        let given = wanted.filter(|held| query.status != Some(Status::Due) || self.is_payable(held));
        given.take(query.entries_max).collect()
    }

    /// Entries that wait for somebody's approval, in the order of the feed; `proposed`: for the second hand, else for the first.
    #[must_use]
    pub fn compensation_to_approve(&self, is_proposed: bool, query: &FeedQuery) -> Vec<FeedEntry> {
        let feed = &self.compensation.feed;
        let from = (Status::Due, query.after.saturating_add(1));
        let due = feed.by_status.range(from..=(Status::Due, u64::MAX));
        let entries = due.filter_map(|(_, id)| self.compensation_entry(id));
        let waiting = entries
            .filter(|held| held.hands.checked_by.is_none() && held.hands.made_by.is_some() == is_proposed);
        waiting.take(query.entries_max).collect()
    }

    /// Whether billing may credit it: it is due, durable, and approved where that is asked for.
    #[must_use]
    pub fn is_payable(&self, held: &FeedEntry) -> bool {
        let approved = !self.settings.compensation.needs_approval || held.hands.checked_by.is_some();
        let is_due = held.published_status.is_some_and(|status| status >= Status::Due);
        is_due && approved
    }

    /// An entry as others see it; `None`: there is none of this id.
    #[must_use]
    pub fn compensation_entry(&self, entry_id: &EntryId) -> Option<FeedEntry> {
        let (entry, standing) = self.compensation.ledger.get(entry_id)?;
        Some(self.seen(entry, standing))
    }

    /// All entries of a consumer, durable or not, by default and sequence.
    #[must_use]
    pub fn compensation_of(&self, consumer: &gridtally_schemas::ConsumerId) -> Vec<FeedEntry> {
        let entries = self.compensation.ledger.entries(consumer);
        entries
            .map(|(entry, standing)| self.seen(entry, standing))
            .collect()
    }

    fn seen(&self, entry: &Entry, standing: Standing) -> FeedEntry {
        let feed = &self.compensation.feed;
        let published = feed.published(&entry.entry_id);
        FeedEntry {
            entry: entry.clone(),
            standing,
            hands: feed.hands(&entry.entry_id),
            published_status: published.map(|held| held.status),
            sequence: published.map_or(0, |held| held.sequence),
            version: published.map_or(0, |held| held.version),
        }
    }

    /// What is owed and not credited yet, of everybody, paise: entries that are not durable yet included.
    #[must_use]
    pub fn compensation_owed_paise(&self) -> i128 {
        let feed = &self.compensation.feed;
        feed.total_paise.saturating_sub(feed.credited_paise)
    }

    /// Number of entries of all time.
    #[must_use]
    pub fn compensation_entries(&self) -> usize {
        self.compensation.ledger.len()
    }
}
