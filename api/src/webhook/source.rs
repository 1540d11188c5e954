//! What there is to tell receivers of: numbered, durable, and the same whenever it is asked for.

use std::{collections::BTreeSet, fmt, sync::Arc};

use async_trait::async_trait;
use gridtally_engine::{Engine, world::outage::OutageVersion};
use gridtally_schemas::{UtcMicros, Zone};
use ring::digest;
use serde_json::json;

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
        let id = id_of(&about, row.version);
        let event = json!({
            "specversion": "1.0",
            "id": id,
            "source": self.source,
            "type": kind,
            "subject": about,
            "time": text(row.published_at),
            "datacontenttype": "application/json",
            "sequence": row.sequence.to_string(),
            "data": {
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
            },
        });
        Notice {
            sequence: row.sequence,
            id,
            kind,
            about,
            body: event.to_string().into_bytes(),
        }
    }
}

/// An id without a full stop, which the signed content uses between its parts: a digest of what is told.
fn id_of(about: &str, version: i64) -> String {
    let digest = digest::digest(&digest::SHA256, format!("{about}\n{version}").as_bytes());
    let hex = digest.as_ref().iter().take(16).map(|byte| format!("{byte:02x}"));
    format!("outage_{}", hex.collect::<String>())
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
