//! Entries on their way to the table: a version each time that an entry is made or its status moves.

use std::sync::Arc;

use arrow::{array::RecordBatch, error::ArrowError};
use gridtally_schemas::{
    Day,
    table::{self, TableSchema},
};

use super::{World, feed::Published};
use crate::{
    compensation::ledger::Entry,
    outbox::{Columns, Stamp},
};

/// A version of an entry.
#[derive(Debug)]
struct EntryRow {
    entry: Entry,
    due_by: Option<Day>,
    published: Published,
    hands: super::Hands,
    reason: Option<String>,
}

/// What a checkpoint writes of the ledger.
#[derive(Debug, Default)]
pub(crate) struct DueEntries(Vec<EntryRow>);

impl World {
    /// Takes the versions that wait; they have their places in the feed from now on, and are shown once they are durable
    /// ([`World::land_entries`]).
    pub(in crate::world) fn take_entries(&mut self) -> DueEntries {
        let super::Compensation { ledger, feed, .. } = &mut self.compensation;
        let mut waiting: Vec<_> = feed
            .take_waiting()
            .into_iter()
            .filter_map(|(id, reason)| {
                let (entry, standing) = ledger.get(&id)?;
                Some((entry.clone(), standing, reason))
            })
            .collect();
        let key = |entry: &Entry| {
            let content = &entry.content;
            let chain = (content.consumer_id.clone(), content.default.clone());
            (entry.created_at, chain, content.sequence)
        };
        waiting.sort_by_cached_key(|(entry, ..)| key(entry));
        let rows = waiting.into_iter().map(|(entry, standing, reason)| {
            let published = feed.next(&entry.entry_id, standing.status);
            EntryRow {
                hands: feed.hands(&entry.entry_id),
                due_by: standing.due_by,
                reason: reason.filter(|_| published.version > 1),
                published,
                entry,
            }
        });
        DueEntries(rows.collect())
    }
}

impl DueEntries {
    /// Number of rows.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The batch to commit.
    pub(crate) fn batch(
        &self,
        stamp: Stamp<'_>,
    ) -> Result<Option<(&'static TableSchema, RecordBatch)>, ArrowError> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let rows = &self.0;
        let contents = || rows.iter().map(|row| &row.entry.content);
        let grounds = || contents().map(|content| &content.grounds);
        let due_by: arrow::array::Date32Array = rows.iter().map(|row| row.due_by.map(|day| day.0)).collect();
        let signed = |number: u64| i64::try_from(number).ok();
        let batch = Columns::new(&table::COMPENSATION_ENTRIES, rows.len())
            .text(
                "entry_id",
                rows.iter().map(|row| Some(row.entry.entry_id.as_str())),
            )
            .text(
                "consumer_id",
                contents().map(|content| Some(content.consumer_id.as_str())),
            )
            .text("outage_id", contents().map(|content| content.default.outage_id()))
            .text("kind", contents().map(|content| Some(content.kind.as_str())))
            .text("regulation", grounds().map(|grounds| Some(&grounds.regulation)))
            .text("clause", grounds().map(|grounds| Some(&grounds.clause)))
            .whole("limit_minutes", grounds().map(|grounds| grounds.limit_minutes))
            .whole(
                "default_minutes",
                grounds().map(|grounds| grounds.default_minutes),
            )
            .money("amount_inr", contents().map(|content| Some(content.amount.0)))
            .set("due_by", Arc::new(due_by))
            .text(
                "status",
                rows.iter().map(|row| Some(row.published.status.as_str())),
            )
            .time("created_at", rows.iter().map(|row| Some(row.entry.created_at)))
            .text(
                "explains",
                contents().map(|content| content.explains.as_ref().map(|id| id.as_str())),
            )
            .text(
                "default_key",
                contents().map(|content| Some(content.default.to_string())),
            )
            .whole(
                "sequence",
                contents().map(|content| Some(i64::from(content.sequence))),
            )
            .text("standard", grounds().map(|grounds| Some(&grounds.standard)))
            .whole(
                "revision",
                grounds().map(|grounds| Some(i64::from(grounds.revision))),
            )
            .text("made_by", rows.iter().map(|row| row.hands.made_by.as_ref()))
            .text("checked_by", rows.iter().map(|row| row.hands.checked_by.as_ref()))
            .whole(
                "feed_sequence",
                rows.iter().map(|row| signed(row.published.sequence)),
            )
            .whole("version", rows.iter().map(|row| Some(row.published.version)))
            .text("reason", rows.iter().map(|row| row.reason.as_ref()))
            .time("published_at", rows.iter().map(|_| Some(stamp.published_at)))
            .day(
                "month",
                rows.iter()
                    .map(|row| stamp.zone.day_of(row.entry.created_at).first_of_month()),
            )
            .finish()?;
        Ok(Some((&table::COMPENSATION_ENTRIES, batch)))
    }
}
