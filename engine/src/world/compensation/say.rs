//! What billing, people and the CRM say, on its way from a log record into the picture and on to the tables.

use std::sync::Arc;

use arrow::{array::RecordBatch, error::ArrowError};
use gridtally_ingest::log::Position;
use gridtally_schemas::{
    ConsumerId,
    compensation::{
        Acknowledgement, Approval, ApprovalStep, ClaimRow, CompensationWord, ServiceRequestRow, Taken,
    },
    table::{self, TableSchema},
};

use super::World;
use crate::{
    compensation::ledger::{EntryId, Standing, Status},
    outbox::{Columns, Origin, Stamp, recorded},
};

/// Rows gathered since the last checkpoint.
#[derive(Debug, Default)]
pub(crate) struct CompensationRows {
    acknowledged: Vec<(Arc<Acknowledgement>, usize, Origin)>,
    requests: Vec<(ServiceRequestRow, Origin)>,
    claims: Vec<(ClaimRow, Origin)>,
}

impl CompensationRows {
    /// Number of rows.
    pub(crate) fn len(&self) -> usize {
        self.acknowledged.len() + self.requests.len() + self.claims.len()
    }

    /// Drops the rows that a table has already.
    pub(crate) fn drop_written(&mut self, written: impl Fn(&TableSchema) -> Position) {
        let acknowledged = written(&table::COMPENSATION_ACKNOWLEDGEMENTS);
        let requests = written(&table::SERVICE_REQUESTS);
        self.acknowledged
            .retain(|(_, _, origin)| origin.position > acknowledged);
        self.requests.retain(|(_, origin)| origin.position > requests);
        let claims = written(&table::CLAIMS);
        self.claims.retain(|(_, origin)| origin.position > claims);
    }

    /// The batches to commit.
    pub(crate) fn batches(
        &self,
        stamp: Stamp<'_>,
    ) -> Result<Vec<(&'static TableSchema, RecordBatch)>, ArrowError> {
        let mut batches = Vec::new();
        if !self.acknowledged.is_empty() {
            batches.push((
                &table::COMPENSATION_ACKNOWLEDGEMENTS,
                self.acknowledged_batch(stamp)?,
            ));
        }
        if !self.requests.is_empty() {
            batches.push((&table::SERVICE_REQUESTS, self.requests_batch(stamp)?));
        }
        if !self.claims.is_empty() {
            batches.push((&table::CLAIMS, self.claims_batch(stamp)?));
        }
        Ok(batches)
    }

    fn acknowledged_batch(&self, stamp: Stamp<'_>) -> Result<RecordBatch, ArrowError> {
        let rows: Vec<((&Acknowledgement, Option<&String>), &Origin)> = self
            .acknowledged
            .iter()
            .map(|(word, at, origin)| ((word.as_ref(), word.entry_ids.get(*at)), origin))
            .collect();
        let each = || rows.iter().map(|((word, _), _)| *word);
        let columns = Columns::new(&table::COMPENSATION_ACKNOWLEDGEMENTS, rows.len())
            .text("idempotency_key", each().map(|word| Some(&word.idempotency_key)))
            .text("entry_id", rows.iter().map(|((_, entry), _)| *entry))
            .text("status", each().map(|word| Some(word.status.as_str())))
            .text("reference", each().map(|word| word.reference.as_ref()))
            .text("digest", each().map(|word| Some(word.digest())));
        recorded(columns, &rows, stamp).finish()
    }

    fn requests_batch(&self, stamp: Stamp<'_>) -> Result<RecordBatch, ArrowError> {
        let rows: Vec<(&ServiceRequestRow, &Origin)> =
            self.requests.iter().map(|(row, origin)| (row, origin)).collect();
        let each = || rows.iter().map(|(row, _)| *row);
        let columns = Columns::new(&table::SERVICE_REQUESTS, rows.len())
            .text("request_id", each().map(|row| Some(&row.request_id)))
            .text("consumer_id", each().map(|row| Some(row.consumer_id.as_str())))
            .text("kind", each().map(|row| Some(row.kind.as_str())))
            .time("opened_at", each().map(|row| Some(row.opened_at)))
            .time("closed_at", each().map(|row| row.closed_at));
        recorded(columns, &rows, stamp).finish()
    }

    fn claims_batch(&self, stamp: Stamp<'_>) -> Result<RecordBatch, ArrowError> {
        let rows: Vec<(&ClaimRow, &Origin)> = self.claims.iter().map(|(row, origin)| (row, origin)).collect();
        let each = || rows.iter().map(|(row, _)| *row);
        let columns = Columns::new(&table::CLAIMS, rows.len())
            .text("claim_id", each().map(|row| Some(&row.claim_id)))
            .text("consumer_id", each().map(|row| Some(row.consumer_id.as_str())))
            .text("about", each().map(|row| Some(row.about.to_string())))
            .time("filed_at", each().map(|row| Some(row.filed_at)))
            .time("upheld_at", each().map(|row| row.upheld_at));
        recorded(columns, &rows, stamp).finish()
    }
}

impl World {
    /// Applies requests.
    pub(in crate::world) fn apply_requests(&mut self, origin: &Origin, rows: Vec<ServiceRequestRow>) {
        for row in rows {
            let merged = self.compensation.requests.merge(origin.received_at, &row);
            if self.note_filed(merged) {
                self.outbox.compensation.requests.push((row, origin.clone()));
            }
        }
    }

    /// Applies claims.
    pub(in crate::world) fn apply_claims(&mut self, origin: &Origin, rows: Vec<ClaimRow>) {
        for row in rows {
            let merged = self.compensation.claims.merge(origin.received_at, &row);
            if self.note_filed(merged) {
                self.outbox.compensation.claims.push((row, origin.clone()));
            }
        }
    }

    /// Counts a row, and notes those whom it concerns. Whether it was new.
    fn note_filed(&mut self, concerned: Option<Vec<ConsumerId>>) -> bool {
        let Some(concerned) = concerned else {
            self.counts.master_rows_known += 1;
            return false;
        };
        self.counts.master_rows_changed += 1;
        for consumer in &concerned {
            self.compensation.note(consumer);
        }
        true
    }

    /// Applies a word on entries. Words are taken in the order of the log: of two under one key the first stands.
    pub(in crate::world) fn apply_compensation(&mut self, origin: &Origin, word: CompensationWord) {
        let is_new = match word {
            CompensationWord::Acknowledged(said) => self.acknowledge(origin, said),
            CompensationWord::Approved(said) => self.approve(&said),
        };
        if is_new {
            self.counts.master_rows_changed += 1;
        } else {
            self.counts.master_rows_known += 1;
        }
    }

    fn acknowledge(&mut self, origin: &Origin, said: Acknowledgement) -> bool {
        let key = said.idempotency_key.clone();
        if self.compensation.acknowledged.contains_key(&key) {
            return false;
        }
        self.compensation.acknowledged.insert(key, said.digest());
        let status = match said.status {
            Taken::Exported => Status::Exported,
            Taken::Credited => Status::Credited,
        };
        let said = Arc::new(said);
        for (at, entry_id) in said.entry_ids.iter().enumerate() {
            self.move_on(&EntryId::from(entry_id.as_str()), status, &said);
            self.outbox
                .compensation
                .acknowledged
                .push((Arc::clone(&said), at, origin.clone()));
        }
        true
    }

    /// Moves an entry on by billing's word.
    fn move_on(&mut self, entry_id: &EntryId, status: Status, said: &Acknowledgement) {
        let super::Compensation { ledger, feed, .. } = &mut self.compensation;
        let Some((entry, before)) = ledger.get(entry_id) else {
            return;
        };
        if status <= before.status {
            return;
        }
        let amount = entry.content.amount;
        let standing = Standing { status, due_by: None };
        if ledger.advance(entry_id, standing).is_ok() {
            if status == Status::Credited {
                feed.count_credited(amount);
            }
            feed.leave_status(entry_id);
            let reference = said.reference.as_deref().unwrap_or(&said.idempotency_key);
            feed.mark(entry_id, Some(&format!("{status} by billing: {reference}")));
        }
    }

    fn approve(&mut self, said: &Approval) -> bool {
        let mut is_new = false;
        for entry_id in &said.entry_ids {
            let entry_id = EntryId::from(entry_id.as_str());
            let super::Compensation { ledger, feed, .. } = &mut self.compensation;
            if ledger.get(&entry_id).is_none() {
                continue;
            }
            let hands = feed.hands_mut(&entry_id);
            let other = hands
                .made_by
                .as_ref()
                .is_some_and(|made_by| *made_by != said.person);
            let word = match said.step {
                ApprovalStep::Make if hands.made_by.is_none() => {
                    hands.made_by = Some(said.person.clone());
                    "proposed"
                }
                ApprovalStep::Check if other && hands.checked_by.is_none() => {
                    hands.checked_by = Some(said.person.clone());
                    "approved"
                }
                ApprovalStep::Make | ApprovalStep::Check => continue,
            };
            is_new = true;
            feed.mark(&entry_id, Some(&format!("{word} by {}", said.person)));
            feed.has_due_waiting |= said.step == ApprovalStep::Check;
        }
        is_new
    }

    /// What was said under a key by billing: a digest of it; `None`: nothing.
    #[must_use]
    pub fn acknowledged_as(&self, idempotency_key: &str) -> Option<&str> {
        self.compensation
            .acknowledged
            .get(idempotency_key)
            .map(String::as_str)
    }
}
