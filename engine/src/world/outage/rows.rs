//! What of outages and interruptions is due for publication, as rows.
//!
//! Like balances these rows are the difference between the picture and the tables: after a crash between two commits the same
//! comparison finds just what is still to be written. An outage that is none any more gets a last version CANCELLED; an interruption one
//! that counts in nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use arrow::{
    array::{BooleanArray, RecordBatch},
    error::ArrowError,
};
use gridtally_schemas::{
    ConsumerId, Day, UtcMicros,
    table::{self, TableSchema},
};
use hashbrown::HashMap;

use super::{OutageView, World};
use crate::{
    outage::{Class, Interruption, OutageId, Scope, Status},
    outbox::{Columns, Stamp},
    world::publish::digest,
};

/// `excluded_because` of an interruption that later evidence took back.
pub(crate) const WITHDRAWN: &str = "withdrawn";
/// Why such a version came.
const TAKEN_BACK: &str = "evidence turned out to be something else";
/// Why a version came where nothing else says so.
const RESTATED: &str = "restated by later evidence";
const MINUTE_MICROS: i64 = 60_000_000;

/// The values of a row of `outages`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutageValues {
    /// The lowest node that it covers.
    pub node_id: String,
    /// How far it reaches.
    pub scope: String,
    /// Its class.
    pub class: String,
    /// Its status.
    pub status: String,
    /// Cause; `None`: not recorded.
    pub cause: Option<String>,
    /// Fault type; `None`: not recorded.
    pub fault_type: Option<String>,
    /// Whether it is exempt as force majeure.
    pub force_majeure: bool,
    /// First interruption, or planned begin.
    pub started_at: UtcMicros,
    /// Last restoration; `None`: not over.
    pub ended_at: Option<UtcMicros>,
    /// When supply will be back; `None`: nobody can say, or it is back.
    pub etr: Option<UtcMicros>,
    /// What that rests on.
    pub etr_basis: Option<String>,
    /// How many past outages an estimate rests on; `None`: it is no estimate.
    pub etr_outages: Option<i64>,
    /// Consumers that it interrupted.
    pub consumers_affected: i64,
    /// JSON of what it rests on.
    pub evidence: String,
}

impl OutageValues {
    /// What a version says that is published of an outage as it stands.
    #[must_use]
    pub fn of(view: OutageView) -> Self {
        let OutageView {
            outage,
            known,
            restoration,
        } = view;
        let estimate = restoration.filter(|restoration| restoration.basis.is_estimate());
        Self {
            node_id: outage.node.to_string(),
            scope: outage.scope.as_str().to_owned(),
            class: outage.class.as_str().to_owned(),
            status: outage.status.as_str().to_owned(),
            cause: known.cause,
            fault_type: known.fault_type,
            force_majeure: known.force_majeure,
            started_at: outage.started_at,
            ended_at: outage.ended_at,
            etr: restoration.map(|restoration| restoration.at),
            etr_basis: restoration.map(|restoration| restoration.basis.as_str().to_owned()),
            etr_outages: estimate.map(|estimate| i64::try_from(estimate.outages).unwrap_or(i64::MAX)),
            consumers_affected: i64::try_from(outage.consumers_affected).unwrap_or(i64::MAX),
            evidence: serde_json::to_string(&outage.evidence).unwrap_or_default(),
        }
    }

    /// What stands of an outage that is none any more: no estimate of it does, what people said does.
    fn cancelled(&self) -> Self {
        let is_said = self.etr_outages.is_none();
        Self {
            status: Status::Cancelled.as_str().to_owned(),
            etr: self.etr.filter(|_| is_said),
            etr_basis: self.etr_basis.clone().filter(|_| is_said),
            etr_outages: None,
            ..self.clone()
        }
    }
}

/// A published version of an outage: a row of `outages`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutageVersion {
    /// The outage.
    pub id: OutageId,
    /// 1, 2, … of the outage.
    pub version: i64,
    /// 1, 2, … of all rows of the table, as they were published: without a gap and never given twice.
    pub sequence: i64,
    /// When it was published.
    pub published_at: UtcMicros,
    /// Why; `None`: it is the first.
    pub reason: Option<String>,
    /// What it says.
    pub values: OutageValues,
    /// Month of the first version.
    pub(super) month: Day,
}

/// An outage that was published and stands no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormerOutage {
    /// What its last version says, or will say.
    pub values: OutageValues,
    /// Number of the last published version.
    pub version: i64,
    /// Why it stands no more, where that is not published yet.
    pub reason: Option<String>,
}

/// The values of a row of `interruptions`.
#[derive(Debug, Clone, Hash)]
pub(super) struct InterruptionValues {
    pub(super) outage_id: String,
    pub(super) ended_at: Option<i64>,
    /// Bits of the minutes.
    pub(super) minutes: Option<u64>,
    pub(super) sustained: Option<bool>,
    pub(super) class: String,
    pub(super) excluded_because: Option<String>,
    pub(super) evidence: String,
}

impl InterruptionValues {
    fn of(interruption: &Interruption) -> Self {
        let minutes = |micros: i64| crate::balance::ratio(micros, MINUTE_MICROS).to_bits();
        Self {
            outage_id: interruption.outage.to_string(),
            ended_at: interruption.ended_at.map(|at| at.0),
            minutes: interruption.counted_micros.map(minutes),
            sustained: interruption.sustained,
            class: interruption.class.as_str().to_owned(),
            excluded_because: interruption.excluded_because.map(|why| why.as_str().to_owned()),
            evidence: serde_json::to_string(&interruption.evidence).unwrap_or_default(),
        }
    }

    fn withdrawn(published: &PublishedInterruption) -> Self {
        Self {
            outage_id: published.outage_id.clone(),
            ended_at: None,
            minutes: None,
            sustained: None,
            class: published.class.clone(),
            excluded_because: Some(WITHDRAWN.to_owned()),
            evidence: "{}".to_owned(),
        }
    }
}

#[derive(Debug, Clone)]
pub(super) struct PublishedOutage {
    pub(super) version: i64,
    /// Month of its first version: where its rows lie. It stays, so that all versions of an outage lie together.
    pub(super) month: Day,
    pub(super) values: OutageValues,
}

#[derive(Debug, Clone)]
pub(super) struct PublishedInterruption {
    pub(super) version: i64,
    pub(super) digest: u64,
    pub(super) is_withdrawn: bool,
    pub(super) outage_id: String,
    pub(super) class: String,
}

impl PublishedInterruption {
    pub(super) fn of(version: i64, values: &InterruptionValues) -> Self {
        Self {
            version,
            digest: digest(values),
            is_withdrawn: values.excluded_because.as_deref() == Some(WITHDRAWN),
            outage_id: values.outage_id.clone(),
            class: values.class.clone(),
        }
    }
}

/// What was published, and what may differ from that.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    outages: HashMap<OutageId, PublishedOutage>,
    interruptions: HashMap<ConsumerId, BTreeMap<UtcMicros, PublishedInterruption>>,
    /// With why it changed last.
    unpublished_outages: BTreeMap<OutageId, Option<String>>,
    unpublished_interruptions: BTreeSet<(ConsumerId, UtcMicros)>,
    /// The number of the last row of `outages`.
    last_sequence: i64,
}

impl World {
    /// Whether an outage of a DT or wider waits to be published for the first time that is on and that nobody announced.
    pub(crate) fn has_outages_to_announce(&self) -> bool {
        let ledger = &self.outage.ledger;
        let never = ledger
            .unpublished_outages
            .keys()
            .filter(|id| self.outage.open.contains(*id) && !ledger.outages.contains_key(*id));
        never
            .filter_map(|id| self.outage_view(id))
            .any(|view| view.outage.scope > Scope::ServiceLine && view.outage.class == Class::Breakdown)
    }
}

impl Ledger {
    pub(super) fn mark_outage(&mut self, id: OutageId, reason: String) {
        self.unpublished_outages.insert(id, Some(reason));
    }

    pub(super) fn mark_interruption(&mut self, consumer: ConsumerId, started_at: UtcMicros) {
        self.unpublished_interruptions.insert((consumer, started_at));
    }

    /// Puts back a published version of an outage, in any order with the others.
    pub(super) fn restore_outage(&mut self, version: OutageVersion) {
        self.last_sequence = self.last_sequence.max(version.sequence);
        let id = version.id;
        let published = PublishedOutage {
            version: version.version,
            month: version.month,
            values: version.values,
        };
        let held = self.outages.get(&id).map_or(0, |held| held.version);
        if published.version > held {
            self.outages.insert(id.clone(), published);
        }
        self.unpublished_outages.entry(id).or_default();
    }

    /// Puts back a published version of an interruption, in any order with the others.
    pub(super) fn restore_interruption(
        &mut self,
        (consumer, started_at): (ConsumerId, UtcMicros),
        published: PublishedInterruption,
    ) {
        let of_consumer = self.interruptions.entry(consumer.clone()).or_default();
        let held = of_consumer.get(&started_at).map_or(0, |held| held.version);
        if published.version > held {
            of_consumer.insert(started_at, published);
        }
        self.unpublished_interruptions.insert((consumer, started_at));
    }

    /// Whether an outage was last published just as it stands.
    pub(super) fn says(&self, view: &OutageView) -> bool {
        let held = self.outages.get(&view.outage.id);
        held.is_some_and(|held| held.values == OutageValues::of(view.clone()))
    }

    /// The month in which the rows of an outage lie; `None`: it was never published.
    pub(super) fn outage_month(&self, id: &OutageId) -> Option<Day> {
        self.outages.get(id).map(|held| held.month)
    }

    /// What an outage will have been, of which nothing stands any more; `None`: it was never published.
    pub(super) fn former(&self, id: &OutageId) -> Option<FormerOutage> {
        let published = self.outages.get(id)?;
        Some(FormerOutage {
            values: published.values.cancelled(),
            version: published.version,
            reason: self.unpublished_outages.get(id).cloned().flatten(),
        })
    }

    /// The number of the last row of `outages` that was given out.
    pub(super) const fn last_sequence(&self) -> i64 {
        self.last_sequence
    }

    /// Number of the last published version of an outage; 0: none yet.
    pub(super) fn outage_version(&self, id: &OutageId) -> i64 {
        self.outages.get(id).map_or(0, |held| held.version)
    }

    /// Number of the last published version of an interruption; 0: none yet.
    pub(super) fn interruption_version(&self, consumer: &ConsumerId, started_at: UtcMicros) -> i64 {
        let of_consumer = self.interruptions.get(consumer);
        of_consumer
            .and_then(|of_consumer| of_consumer.get(&started_at))
            .map_or(0, |held| held.version)
    }
}

/// A row of `outages`.
#[derive(Debug)]
struct OutageRow {
    id: OutageId,
    published: PublishedOutage,
    reason: Option<String>,
    sequence: i64,
}

/// A row of `interruptions`.
#[derive(Debug)]
struct InterruptionRow {
    consumer: ConsumerId,
    started_at: UtcMicros,
    version: i64,
    values: InterruptionValues,
    reason: Option<&'static str>,
}

/// What a checkpoint writes of outages and interruptions.
#[derive(Debug, Default)]
pub(crate) struct DueOutages {
    outages: Vec<OutageRow>,
    interruptions: Vec<InterruptionRow>,
}

impl World {
    /// Takes what differs from the tables.
    pub(in crate::world) fn take_outages(&mut self) -> DueOutages {
        let mut due = DueOutages::default();
        for (id, reason) in std::mem::take(&mut self.outage.ledger.unpublished_outages) {
            due.outages.extend(self.take_outage(id, reason));
        }
        for (consumer, started_at) in std::mem::take(&mut self.outage.ledger.unpublished_interruptions) {
            due.interruptions
                .extend(self.take_interruption(consumer, started_at));
        }
        due
    }

    fn take_outage(&mut self, id: OutageId, reason: Option<String>) -> Option<OutageRow> {
        let live = self.outage_view(&id).map(OutageValues::of);
        let published = self.outage.ledger.outages.get(&id);
        let cancelled = || published.map(|published| published.values.cancelled());
        let values = live.or_else(cancelled)?;
        if published.is_some_and(|published| published.values == values) {
            return None;
        }
        let version = published.map_or(1, |published| published.version + 1);
        let reason = (version > 1).then(|| reason.unwrap_or_else(|| RESTATED.to_owned()));
        let began = self.settings.zone.day_of(values.started_at).first_of_month();
        let published = PublishedOutage {
            version,
            month: published.map_or(began, |published| published.month),
            values,
        };
        self.outage.ledger.outages.insert(id.clone(), published.clone());
        self.outage.ledger.last_sequence += 1;
        Some(OutageRow {
            id,
            published,
            reason,
            sequence: self.outage.ledger.last_sequence,
        })
    }

    fn take_interruption(&mut self, consumer: ConsumerId, started_at: UtcMicros) -> Option<InterruptionRow> {
        let live = self
            .outage
            .interruption(consumer.as_str(), started_at)
            .map(InterruptionValues::of);
        let of_consumer = self.outage.ledger.interruptions.get(&consumer);
        let published = of_consumer.and_then(|of_consumer| of_consumer.get(&started_at));
        let is_gone = live.is_none();
        let withdrawn = || {
            published
                .filter(|published| !published.is_withdrawn)
                .map(InterruptionValues::withdrawn)
        };
        let values = live.or_else(withdrawn)?;
        let version = published.map_or(1, |published| published.version + 1);
        let next = PublishedInterruption::of(version, &values);
        if published.is_some_and(|published| published.digest == next.digest) {
            return None;
        }
        let reason = match (version, is_gone) {
            (1, _) => None,
            (_, true) => Some(TAKEN_BACK),
            (_, false) => Some(RESTATED),
        };
        let of_consumer = self
            .outage
            .ledger
            .interruptions
            .entry(consumer.clone())
            .or_default();
        of_consumer.insert(started_at, next);
        Some(InterruptionRow {
            consumer,
            started_at,
            version,
            values,
            reason,
        })
    }
}

impl DueOutages {
    /// Number of rows.
    pub(crate) fn len(&self) -> usize {
        self.outages.len() + self.interruptions.len()
    }

    /// The batches to commit.
    pub(crate) fn batches(
        &self,
        stamp: Stamp<'_>,
    ) -> Result<Vec<(&'static TableSchema, RecordBatch)>, ArrowError> {
        let mut batches = Vec::new();
        if !self.outages.is_empty() {
            batches.push((&table::OUTAGES, outages_batch(&self.outages, stamp)?));
        }
        if !self.interruptions.is_empty() {
            batches.push((
                &table::INTERRUPTIONS,
                interruptions_batch(&self.interruptions, stamp)?,
            ));
        }
        Ok(batches)
    }
}

fn outages_batch(rows: &[OutageRow], stamp: Stamp<'_>) -> Result<RecordBatch, ArrowError> {
    let values = || rows.iter().map(|row| &row.published.values);
    let force_majeure: BooleanArray = values().map(|values| Some(values.force_majeure)).collect();
    Columns::new(&table::OUTAGES, rows.len())
        .text("outage_id", rows.iter().map(|row| Some(row.id.as_str())))
        .text("node_id", values().map(|values| Some(&values.node_id)))
        .text("scope", values().map(|values| Some(&values.scope)))
        .text("class", values().map(|values| Some(&values.class)))
        .text("status", values().map(|values| Some(&values.status)))
        .text("cause", values().map(|values| values.cause.as_ref()))
        .text("fault_type", values().map(|values| values.fault_type.as_ref()))
        .set("force_majeure", Arc::new(force_majeure))
        .time("started_at", values().map(|values| Some(values.started_at)))
        .time("ended_at", values().map(|values| values.ended_at))
        .time("etr", values().map(|values| values.etr))
        .text("etr_basis", values().map(|values| values.etr_basis.as_ref()))
        .whole("etr_outages", values().map(|values| values.etr_outages))
        .whole(
            "consumers_affected",
            values().map(|values| Some(values.consumers_affected)),
        )
        .text("evidence", values().map(|values| Some(&values.evidence)))
        .whole("version", rows.iter().map(|row| Some(row.published.version)))
        .whole("sequence", rows.iter().map(|row| Some(row.sequence)))
        .text("reason", rows.iter().map(|row| row.reason.as_ref()))
        .time("published_at", rows.iter().map(|_| Some(stamp.published_at)))
        .day("month", rows.iter().map(|row| row.published.month))
        .finish()
}

fn interruptions_batch(rows: &[InterruptionRow], stamp: Stamp<'_>) -> Result<RecordBatch, ArrowError> {
    let values = || rows.iter().map(|row| &row.values);
    let sustained: BooleanArray = values().map(|values| values.sustained).collect();
    let month = |at: UtcMicros| stamp.zone.day_of(at).first_of_month();
    Columns::new(&table::INTERRUPTIONS, rows.len())
        .text("consumer_id", rows.iter().map(|row| Some(row.consumer.as_str())))
        .time("started_at", rows.iter().map(|row| Some(row.started_at)))
        .text("outage_id", values().map(|values| Some(&values.outage_id)))
        .time("ended_at", values().map(|values| values.ended_at.map(UtcMicros)))
        .number(
            "minutes",
            values().map(|values| values.minutes.map(f64::from_bits)),
        )
        .set("sustained", Arc::new(sustained))
        .text("class", values().map(|values| Some(&values.class)))
        .text(
            "excluded_because",
            values().map(|values| values.excluded_because.as_ref()),
        )
        .text("evidence", values().map(|values| Some(&values.evidence)))
        .whole("version", rows.iter().map(|row| Some(row.version)))
        .text("reason", rows.iter().map(|row| row.reason))
        .time("published_at", rows.iter().map(|_| Some(stamp.published_at)))
        .day("month", rows.iter().map(|row| month(row.started_at)))
        .finish()
}
