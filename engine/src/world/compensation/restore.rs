//! Back from the tables: the ledger entry by entry, billing's words, requests and claims.

use arrow::array::{Array, RecordBatch};
use gridtally_ingest::log::Position;
use gridtally_schemas::{
    Day, UtcMicros,
    compensation::{ClaimRow, ServiceRequestRow},
    table,
};

use super::{Hands, World, feed::Published};
use crate::{
    compensation::{
        Paise,
        ledger::{Added, Content, Entry, EntryId, Standing, Status},
        rule::Grounds,
    },
    world::restore::{
        RestoreError,
        columns::{Rows, known},
    },
};

/// A published version of an entry: a row of `compensation_entries`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryVersion {
    /// The entry.
    pub entry: Entry,
    /// How far it had come.
    pub standing: Standing,
    /// Who had proposed and approved it.
    pub hands: Hands,
    /// 1, 2, … of the entry.
    pub version: i64,
    /// Its place in the feed: 1, 2, … of all rows of the table, as they were published.
    pub sequence: i64,
    /// Why; `None`: it is the first.
    pub reason: Option<String>,
    /// When it was published.
    pub published_at: UtcMicros,
}

/// The rows of `compensation_entries` in a batch.
pub(crate) fn entry_versions(batch: &RecordBatch) -> Result<Vec<EntryVersion>, RestoreError> {
    let rows = Rows::of(&table::COMPENSATION_ENTRIES, batch);
    let contents = contents(&rows, batch.num_rows())?;
    let (id, created_at) = (rows.text("entry_id")?, rows.time("created_at")?);
    let (due_by, status, reason) = (rows.day("due_by")?, rows.text("status")?, rows.text("reason")?);
    let [made_by, checked_by] = [rows.text("made_by")?, rows.text("checked_by")?];
    let [place, version] = [rows.whole("feed_sequence")?, rows.whole("version")?];
    let published_at = rows.time("published_at")?;
    let mut versions = Vec::with_capacity(batch.num_rows());
    for (row, content) in contents.into_iter().enumerate() {
        versions.push(EntryVersion {
            entry: Entry {
                entry_id: EntryId::from(id.value(row)),
                content,
                created_at: UtcMicros(created_at.value(row)),
            },
            standing: Standing {
                status: rows.parse("status", status.value(row))?,
                due_by: known(&due_by, row, |row| Day(due_by.value(row))),
            },
            hands: Hands {
                made_by: known(&made_by, row, |row| made_by.value(row).to_owned()),
                checked_by: known(&checked_by, row, |row| checked_by.value(row).to_owned()),
            },
            version: version.value(row),
            sequence: Some(place.value(row))
                .filter(|place| *place > 0)
                .ok_or_else(|| rows.bad("feed_sequence", &place.value(row)))?,
            reason: known(&reason, row, |row| reason.value(row).to_owned()),
            published_at: UtcMicros(published_at.value(row)),
        });
    }
    Ok(versions)
}

/// What never changes of the entries.
fn contents(rows: &Rows<'_>, count: usize) -> Result<Vec<Content>, RestoreError> {
    let [consumer, kind] = [rows.text("consumer_id")?, rows.text("kind")?];
    let [regulation, clause, standard] = [
        rows.text("regulation")?,
        rows.text("clause")?,
        rows.text("standard")?,
    ];
    let [limit, default] = [rows.whole("limit_minutes")?, rows.whole("default_minutes")?];
    let amount = rows.money("amount_inr")?;
    let [explains, default_key] = [rows.text("explains")?, rows.text("default_key")?];
    let [sequence, revision] = [rows.whole("sequence")?, rows.whole("revision")?];
    let of_row = |row: usize| {
        let grounds = Grounds {
            regulation: regulation.value(row).to_owned(),
            revision: u32::try_from(revision.value(row))
                .map_err(|_| rows.bad("revision", &revision.value(row)))?,
            standard: standard.value(row).to_owned(),
            clause: clause.value(row).to_owned(),
            limit_minutes: known(&limit, row, |row| limit.value(row)),
            default_minutes: known(&default, row, |row| default.value(row)),
        };
        Ok(Content {
            consumer_id: rows.parse("consumer_id", consumer.value(row))?,
            default: rows.parse("default_key", default_key.value(row))?,
            sequence: u32::try_from(sequence.value(row))
                .map_err(|_| rows.bad("sequence", &sequence.value(row)))?,
            kind: rows.parse("kind", kind.value(row))?,
            grounds,
            amount: Paise(
                i64::try_from(amount.value(row)).map_err(|_| rows.bad("amount_inr", &amount.value(row)))?,
            ),
            explains: known(&explains, row, |row| EntryId::from(explains.value(row))),
        })
    };
    (0..count).map(of_row).collect()
}

impl World {
    /// Puts back rows of `compensation_entries`, in any order. Whoever has entries is looked at anew: the rule may have changed since.
    pub(crate) fn restore_entries(&mut self, batch: &RecordBatch) -> Result<(), RestoreError> {
        for version in entry_versions(batch)? {
            let id = version.entry.entry_id.clone();
            self.restore_entry(version).map_err(|why| {
                Rows::of(&table::COMPENSATION_ENTRIES, batch).bad("entry_id", &format!("{id}: {why}"))
            })?;
        }
        Ok(())
    }

    fn restore_entry(
        &mut self,
        version: EntryVersion,
    ) -> Result<(), crate::compensation::ledger::LedgerError> {
        let EntryVersion {
            entry,
            standing,
            hands,
            ..
        } = version;
        let published = Published {
            version: version.version,
            sequence: u64::try_from(version.sequence).unwrap_or_default(),
            status: standing.status,
        };
        let super::Compensation { ledger, feed, .. } = &mut self.compensation;
        let (id, amount) = (entry.entry_id.clone(), entry.content.amount);
        let consumer = entry.content.consumer_id.clone();
        if ledger.add(entry)? == Added::New {
            feed.count(amount);
        }
        let was_credited = ledger
            .get(&id)
            .is_some_and(|(_, before)| before.status == Status::Credited);
        ledger.advance(&id, standing)?;
        if standing.status == Status::Credited && !was_credited {
            feed.count_credited(amount);
        }
        // Hands are only ever added: the versions of an entry tell them in any order.
        if hands != Hands::default() {
            let held = feed.hands_mut(&id);
            held.made_by = held.made_by.take().or(hands.made_by);
            held.checked_by = held.checked_by.take().or(hands.checked_by);
        }
        feed.file(&id, published);
        self.compensation.note(&consumer);
        Ok(())
    }

    /// Puts back rows of `compensation_acknowledgements`.
    pub(crate) fn restore_acknowledgements(
        &mut self,
        batch: &RecordBatch,
        as_of: Position,
    ) -> Result<(), RestoreError> {
        let rows = Rows::of(&table::COMPENSATION_ACKNOWLEDGEMENTS, batch);
        let (key, digest) = (rows.text("idempotency_key")?, rows.text("digest")?);
        for (row, _) in rows.emitted(as_of)? {
            self.compensation
                .acknowledged
                .insert(key.value(row).to_owned(), digest.value(row).to_owned());
        }
        Ok(())
    }

    /// Puts back rows of `service_requests`, in any order.
    pub(crate) fn restore_requests(
        &mut self,
        batch: &RecordBatch,
        as_of: Position,
    ) -> Result<(), RestoreError> {
        let rows = Rows::of(&table::SERVICE_REQUESTS, batch);
        let [id, consumer, kind] = [
            rows.text("request_id")?,
            rows.text("consumer_id")?,
            rows.text("kind")?,
        ];
        let [opened, closed, recorded] = [
            rows.time("opened_at")?,
            rows.time("closed_at")?,
            rows.time("recorded_at")?,
        ];
        for (row, _) in rows.emitted(as_of)? {
            let request = ServiceRequestRow {
                request_id: id.value(row).to_owned(),
                consumer_id: rows.parse("consumer_id", consumer.value(row))?,
                kind: rows.parse("kind", kind.value(row))?,
                opened_at: UtcMicros(opened.value(row)),
                closed_at: closed.is_valid(row).then(|| UtcMicros(closed.value(row))),
            };
            let merged = self
                .compensation
                .requests
                .merge(UtcMicros(recorded.value(row)), &request);
            for consumer in merged.iter().flatten() {
                self.compensation.note(consumer);
            }
        }
        Ok(())
    }

    /// Puts back rows of `claims`, in any order.
    pub(crate) fn restore_claims(
        &mut self,
        batch: &RecordBatch,
        as_of: Position,
    ) -> Result<(), RestoreError> {
        let rows = Rows::of(&table::CLAIMS, batch);
        let [id, consumer, about] = [
            rows.text("claim_id")?,
            rows.text("consumer_id")?,
            rows.text("about")?,
        ];
        let [filed, upheld, recorded] = [
            rows.time("filed_at")?,
            rows.time("upheld_at")?,
            rows.time("recorded_at")?,
        ];
        for (row, _) in rows.emitted(as_of)? {
            let claim = ClaimRow {
                claim_id: id.value(row).to_owned(),
                consumer_id: rows.parse("consumer_id", consumer.value(row))?,
                about: rows.parse("about", about.value(row))?,
                filed_at: UtcMicros(filed.value(row)),
                upheld_at: upheld.is_valid(row).then(|| UtcMicros(upheld.value(row))),
            };
            let recorded_at = UtcMicros(recorded.value(row));
            let merged = self.compensation.claims.merge(recorded_at, &claim);
            for consumer in merged.iter().flatten() {
                self.compensation.note(consumer);
            }
        }
        Ok(())
    }
}
