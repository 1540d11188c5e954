//! What there is to tell receivers of: numbered, durable, and the same whenever it is asked for.

use std::{collections::BTreeSet, fmt, sync::Arc};

use async_trait::async_trait;
use gridtally_engine::{
    Engine,
    compensation::ledger::Status,
    world::{
        compensation::{EntryVersion, FeedEntry},
        outage::OutageVersion,
    },
};
use gridtally_schemas::{UtcMicros, Zone};
use ring::digest;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::routes::compensation::EntryRow;

/// What a receiver follows. Numbers of one have nothing to do with those of another, so a receiver follows one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Follows {
    /// Outages.
    #[default]
    Outages,
    /// The billing feed.
    Compensation,
}

impl Follows {
    /// What a receiver follows that wants these kinds of notices: outages when it names none. `None`: they are of both, or one is of
    /// neither.
    #[must_use]
    pub fn of<'a>(kinds: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let mut found = None;
        for kind in kinds {
            let of_kind = match kind {
                outage if OUTAGE_KINDS.contains(&outage) => Self::Outages,
                entry if COMPENSATION_KINDS.contains(&entry) => Self::Compensation,
                _ => return None,
            };
            if *found.get_or_insert(of_kind) != of_kind {
                return None;
            }
        }
        Some(found.unwrap_or_default())
    }
}

/// Something to tell a receiver of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Its number in its source: from 1 on, without a gap, never given to another.
    pub sequence: i64,
    /// `webhook-id`: the same at every attempt, and of no other notice.
    pub id: String,
    /// Its kind, by which receivers choose.
    pub kind: &'static str,
    /// What it is about: notices about one thing are delivered in their order.
    pub about: String,
    /// A CloudEvents 1.0 event in structured mode; the same at every attempt.
    pub body: Vec<u8>,
}

/// Why a source cannot be read.
pub type SourceError = Box<dyn std::error::Error + Send + Sync>;

/// Where notices come from. The source is what makes delivery lose nothing and invent nothing: it holds only what is durable, and a
/// delivery needs to remember no more than a number.
#[async_trait]
pub trait Source: fmt::Debug + Send + Sync {
    /// The number of the last notice.
    fn newest(&self) -> i64;

    /// The notices after `sequence`, by number, `notices_max` at most.
    async fn after(&self, sequence: i64, notices_max: usize) -> Result<Vec<Notice>, SourceError>;

    /// The notices of these numbers.
    async fn these(&self, sequences: &BTreeSet<i64>) -> Result<Vec<Notice>, SourceError>;
}

const SCHEDULED: &str = "gridtally.outage.scheduled.v1";
const ACTIVE: &str = "gridtally.outage.active.v1";
const PARTIALLY_RESTORED: &str = "gridtally.outage.partially_restored.v1";
const RESTORED: &str = "gridtally.outage.restored.v1";
const CANCELLED: &str = "gridtally.outage.cancelled.v1";

/// The kinds of notices about outages, by the status that the outage has come to.
pub const OUTAGE_KINDS: [&str; 5] = [SCHEDULED, ACTIVE, PARTIALLY_RESTORED, RESTORED, CANCELLED];

/// The kind of a notice by the status that the outage has come to.
fn kind_of(status: &str) -> &'static str {
    match status {
        "SCHEDULED" => SCHEDULED,
        "PARTIALLY_RESTORED" => PARTIALLY_RESTORED,
        "RESTORED" => RESTORED,
        "CANCELLED" => CANCELLED,
        _ => ACTIVE,
    }
}

/// Outage notices (Electricity (Rights of Consumers) Rules 2020, 16(3)): each published version of an outage is one.
///
/// Why the table: its rows are what was published for good, each has a number, and a row that was not committed was seen by nobody. A
/// position of the log would not do, for outages follow from time and rules too; nor would what the process holds in memory.
#[derive(Debug)]
pub struct OutageNotices {
    engine: Arc<Engine>,
    zone: Zone,
    source: String,
}

impl OutageNotices {
    /// `source` is the CloudEvents attribute of that name: who tells.
    #[must_use]
    pub fn new(engine: Arc<Engine>, source: String) -> Self {
        let zone = engine.read(|world| world.settings.zone.clone());
        Self { engine, zone, source }
    }

    fn notice(&self, row: OutageVersion) -> Notice {
        let text = |at: UtcMicros| at.to_rfc3339(&self.zone);
        let kind = kind_of(&row.values.status);
        let (about, values) = (row.id.to_string(), row.values);
        let id = id_of("outage", &about, row.version);
        let data = json!({
            "outage_id": about,
            "version": row.version,
            "reason": row.reason,
            "node_id": values.node_id,
            "scope": values.scope,
            "class": values.class,
            "status": values.status,
            "cause": values.cause,
            "fault_type": values.fault_type,
            "force_majeure": values.force_majeure,
            "started_at": text(values.started_at),
            "ended_at": values.ended_at.map(text),
            "etr": values.etr.map(text),
            "etr_basis": values.etr_basis,
            "etr_outages": values.etr_outages,
            "consumers_affected": values.consumers_affected,
            "published_at": text(row.published_at),
        });
        let told = Told {
            sequence: row.sequence,
            id,
            kind,
            about,
            time: text(row.published_at),
        };
        told.notice(&self.source, &data)
    }
}

/// What a notice says beside its data.
struct Told {
    sequence: i64,
    id: String,
    kind: &'static str,
    about: String,
    /// When it was published, RFC 3339.
    time: String,
}

impl Told {
    /// The notice, as a CloudEvents 1.0 event of `source`.
    fn notice(self, source: &str, data: &Value) -> Notice {
        let event = json!({
            "specversion": "1.0",
            "id": self.id,
            "source": source,
            "type": self.kind,
            "subject": self.about,
            "time": self.time,
            "datacontenttype": "application/json",
            "sequence": self.sequence.to_string(),
            "data": data,
        });
        Notice {
            sequence: self.sequence,
            id: self.id,
            kind: self.kind,
            about: self.about,
            body: event.to_string().into_bytes(),
        }
    }
}

/// An id without a full stop, which the signed content uses between its parts: a digest of what is told.
fn id_of(what: &str, about: &str, version: i64) -> String {
    let digest = digest::digest(&digest::SHA256, format!("{about}\n{version}").as_bytes());
    let hex = digest.as_ref().iter().take(16).map(|byte| format!("{byte:02x}"));
    format!("{what}_{}", hex.collect::<String>())
}

#[async_trait]
impl Source for OutageNotices {
    fn newest(&self) -> i64 {
        self.engine.read(gridtally_engine::World::last_outage_sequence)
    }

    async fn after(&self, sequence: i64, notices_max: usize) -> Result<Vec<Notice>, SourceError> {
        if sequence >= self.newest() {
            return Ok(Vec::new());
        }
        let rows = self.engine.outages_after(sequence, notices_max).await?;
        Ok(rows.into_iter().map(|row| self.notice(row)).collect())
    }

    async fn these(&self, sequences: &BTreeSet<i64>) -> Result<Vec<Notice>, SourceError> {
        let rows = self.engine.outages_numbered(sequences).await?;
        Ok(rows.into_iter().map(|row| self.notice(row)).collect())
    }
}

const ACCRUING: &str = "gridtally.compensation.accruing.v1";
const TO_APPROVE: &str = "gridtally.compensation.to_approve.v1";
const DUE: &str = "gridtally.compensation.due.v1";
const EXPORTED: &str = "gridtally.compensation.exported.v1";
const CREDITED: &str = "gridtally.compensation.credited.v1";

/// The kinds of notices about compensation entries, by the status that the entry has come to.
pub const COMPENSATION_KINDS: [&str; 5] = [ACCRUING, TO_APPROVE, DUE, EXPORTED, CREDITED];

/// The billing feed, told: each durable version of an entry of compensation is a notice. `data` is the entry as
/// `GET /compensation/entries` gives it. Where two people must approve, a due entry is told as one to approve until both have.
#[derive(Debug)]
pub struct CompensationNotices {
    engine: Arc<Engine>,
    zone: Zone,
    needs_approval: bool,
    source: String,
}

impl CompensationNotices {
    /// `source` is the CloudEvents attribute of that name: who tells.
    #[must_use]
    pub fn new(engine: Arc<Engine>, source: String) -> Self {
        let (zone, needs_approval) = engine.read(|world| {
            let settings = &world.settings;
            (settings.zone.clone(), settings.compensation.needs_approval)
        });
        Self {
            engine,
            zone,
            needs_approval,
            source,
        }
    }

    fn notice(&self, row: EntryVersion) -> Notice {
        let about = row.entry.entry_id.to_string();
        let kind = match row.standing.status {
            Status::Accruing => ACCRUING,
            Status::Due if self.needs_approval && row.hands.checked_by.is_none() => TO_APPROVE,
            Status::Due => DUE,
            Status::Exported => EXPORTED,
            Status::Credited => CREDITED,
        };
        let id = id_of("entry", &about, row.version);
        let (sequence, time) = (row.sequence, row.published_at.to_rfc3339(&self.zone));
        let entry = EntryRow::of(
            &self.zone,
            FeedEntry {
                published_status: Some(row.standing.status),
                sequence: u64::try_from(row.sequence).unwrap_or_default(),
                version: row.version,
                entry: row.entry,
                standing: row.standing,
                hands: row.hands,
            },
        );
        let told = Told {
            sequence,
            id,
            kind,
            about,
            time,
        };
        told.notice(&self.source, &json!(entry))
    }
}

#[async_trait]
impl Source for CompensationNotices {
    fn newest(&self) -> i64 {
        let last = self.engine.read(gridtally_engine::World::last_entry_sequence);
        i64::try_from(last).unwrap_or(i64::MAX)
    }

    async fn after(&self, sequence: i64, notices_max: usize) -> Result<Vec<Notice>, SourceError> {
        if sequence >= self.newest() {
            return Ok(Vec::new());
        }
        let rows = self.engine.entries_after(sequence, notices_max).await?;
        Ok(rows.into_iter().map(|row| self.notice(row)).collect())
    }

    async fn these(&self, sequences: &BTreeSet<i64>) -> Result<Vec<Notice>, SourceError> {
        let rows = self.engine.entries_numbered(sequences).await?;
        Ok(rows.into_iter().map(|row| self.notice(row)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receiver_follows_one_source_by_the_kinds_that_it_names() {
        assert_eq!(Follows::of([]), Some(Follows::Outages));
        assert_eq!(Follows::of(OUTAGE_KINDS), Some(Follows::Outages));
        assert_eq!(Follows::of(COMPENSATION_KINDS), Some(Follows::Compensation));
        assert_eq!(Follows::of([ACTIVE, DUE]), None);
        assert_eq!(Follows::of(["gridtally.read.v1"]), None);
    }
}
