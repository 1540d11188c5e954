//! What-if: what another regulation would have cost over past months, by the published tables. Nothing is written, and the ledger is not
//! touched.
//!
//! Interruptions and outages are taken as they were last published; connections, network, plans, bills and requests as they were said. The
//! rule ([`crate::compensation::rule`]) is applied twice, with the regulations in force and with the others, to the same evidence. A
//! default belongs to the month in which it began. Two things differ from the live picture: what `interruptions` counts of an
//! interruption with hours without supply in it is known as a sum only, and is taken from its begin; and voltages are not looked at.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{Array, AsArray, RecordBatch};
use futures::StreamExt;
use gridtally_ingest::log::Position;
use gridtally_schemas::{
    ConsumerId, Day, NodeId, UtcMicros,
    outage::PlannedOutageRow,
    table::{self, TableSchema},
};
use hashbrown::HashMap;

use crate::{
    compensation::{
        Paise,
        evidence::{Interruption, Span},
        in_force::InForce,
        ledger::DefaultKey,
        rule::Decision,
    },
    engine::{EngineError, StoreError},
    outage::OutageId,
    tables::TablesReader,
    world::{
        Settings, World,
        compensation::OutageFacts,
        restore::{
            RestoreError,
            columns::{Rows, known},
        },
    },
};

#[cfg(test)]
mod tests;

/// What is asked.
#[derive(Debug, Clone)]
pub struct Question {
    /// The regulations to compare with those in force.
    pub other: InForce,
    /// Defaults that began on this day or later.
    pub from: Day,
    /// And on this day at the latest.
    pub to: Day,
    /// The instant until which what still runs is counted.
    pub as_of: UtcMicros,
}

/// What regulations cost in a month.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// Consumers who are owed something.
    pub consumers: u64,
    /// Defaults for which something is owed.
    pub defaults: u64,
    /// What is owed, paise.
    pub paise: i128,
}

impl Cost {
    fn add(&mut self, amounts: &[Paise]) {
        self.consumers += u64::from(!amounts.is_empty());
        self.defaults += u64::try_from(amounts.len()).unwrap_or(u64::MAX);
        let sum: i128 = amounts.iter().map(|amount| i128::from(amount.0)).sum();
        self.paise = self.paise.saturating_add(sum);
    }
}

/// Both sides of a month.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Compared {
    /// By the regulations in force.
    pub in_force: Cost,
    /// By the others.
    pub other: Cost,
    /// What the ledger holds for the defaults that the regulations in force find, paise.
    pub ledger_paise: i128,
}

/// The answer.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Answer {
    /// By the first day of the month.
    pub months: BTreeMap<Day, Compared>,
    /// Consumers looked at.
    pub consumers: u64,
}

/// An interruption as it was last published.
#[derive(Debug, Clone)]
struct Published {
    version: i64,
    outage: u32,
    ended_at: Option<UtcMicros>,
    /// Counted time, µs.
    counted_micros: Option<i64>,
    counts: bool,
}

/// What the tables say.
struct Said {
    world: World,
    outages: Vec<Option<(i64, OutageFacts)>>,
    outage_index: HashMap<String, u32>,
    interruptions: HashMap<ConsumerId, BTreeMap<UtcMicros, Published>>,
    ledger: HashMap<(ConsumerId, DefaultKey), i64>,
}

/// Answers a question from the tables.
///
/// # Errors
/// [`EngineError`] when a table cannot be read, or holds what this program never writes.
pub async fn what_if(
    tables: &TablesReader,
    settings: &Settings,
    question: &Question,
) -> Result<Answer, EngineError> {
    let said = read(tables, settings).await?;
    Ok(said.answer(question))
}

async fn read(tables: &TablesReader, settings: &Settings) -> Result<Said, EngineError> {
    let always = Position(u64::MAX);
    let mut said = Said {
        world: World::new(settings.clone()),
        outages: Vec::new(),
        outage_index: HashMap::new(),
        interruptions: HashMap::new(),
        ledger: HashMap::new(),
    };
    let world = &mut said.world;
    each(tables, &table::NODES, |rows| world.restore_nodes(rows, always)).await?;
    each(tables, &table::METERS, |rows| world.restore_meters(rows, always)).await?;
    each(tables, &table::CONNECTIONS, |rows| {
        world.restore_connections(rows, always)
    })
    .await?;
    each(tables, &table::PLANNED_OUTAGES, |rows| {
        world.restore_planned_outages(rows, always)
    })
    .await?;
    each(tables, &table::BILLING, |rows| {
        world.restore_billing(rows, always)
    })
    .await?;
    each(tables, &table::SERVICE_REQUESTS, |rows| {
        world.restore_requests(rows, always)
    })
    .await?;
    each(tables, &table::CLAIMS, |rows| world.restore_claims(rows, always)).await?;
    each(tables, &table::OUTAGES, |rows| said.take_outages(rows)).await?;
    each(tables, &table::INTERRUPTIONS, |rows| {
        said.take_interruptions(rows)
    })
    .await?;
    each(tables, &table::COMPENSATION_ENTRIES, |rows| {
        said.take_entries(rows)
    })
    .await?;
    Ok(said)
}

async fn each(
    tables: &TablesReader,
    schema: &'static TableSchema,
    mut take: impl FnMut(&RecordBatch) -> Result<(), RestoreError>,
) -> Result<(), EngineError> {
    let failed = |source: StoreError| EngineError::Read {
        table: schema.name,
        source,
    };
    let rows = tables.scan(schema).await.map_err(|error| failed(error.into()))?;
    let Some(mut batches) = rows else { return Ok(()) };
    while let Some(batch) = batches.next().await {
        take(&batch.map_err(|error| failed(error.into()))?).map_err(EngineError::Restore)?;
    }
    Ok(())
}

impl Said {
    fn outage(&mut self, id: &str) -> u32 {
        if let Some(found) = self.outage_index.get(id) {
            return *found;
        }
        let new = u32::try_from(self.outages.len()).unwrap_or(u32::MAX);
        self.outages.push(None);
        self.outage_index.insert(id.to_owned(), new);
        new
    }

    fn take_outages(&mut self, batch: &RecordBatch) -> Result<(), RestoreError> {
        let rows = Rows::of(&table::OUTAGES, batch);
        let [id, node, scope] = [
            rows.text("outage_id")?,
            rows.text("node_id")?,
            rows.text("scope")?,
        ];
        let [class, fault_type] = [rows.text("class")?, rows.text("fault_type")?];
        let [affected, version] = [rows.whole("consumers_affected")?, rows.whole("version")?];
        let force_majeure = rows
            .column("force_majeure", &arrow::datatypes::DataType::Boolean)?
            .as_boolean()
            .clone();
        for row in 0..batch.num_rows() {
            let at = self.outage(id.value(row));
            let node: NodeId = rows.parse("node_id", node.value(row))?;
            let announced = self
                .world
                .planned_named(&node, &OutageId::from(id.value(row).to_owned()));
            let facts = OutageFacts {
                id: id.value(row).to_owned(),
                class: rows.parse("class", class.value(row))?,
                scope: rows.parse("scope", scope.value(row))?,
                fault_type: known(&fault_type, row, |row| fault_type.value(row).to_owned()),
                force_majeure: force_majeure.value(row),
                consumers_affected: u32::try_from(affected.value(row)).unwrap_or(u32::MAX),
                is_announced: announced.is_some_and(PlannedOutageRow::is_announced),
            };
            let slot = usize::try_from(at).ok().and_then(|at| self.outages.get_mut(at));
            if let Some(slot) = slot
                && slot.as_ref().is_none_or(|(held, _)| *held < version.value(row))
            {
                *slot = Some((version.value(row), facts));
            }
        }
        Ok(())
    }

    fn take_interruptions(&mut self, batch: &RecordBatch) -> Result<(), RestoreError> {
        let rows = Rows::of(&table::INTERRUPTIONS, batch);
        let [consumer, outage, excluded] = [
            rows.text("consumer_id")?,
            rows.text("outage_id")?,
            rows.text("excluded_because")?,
        ];
        let [started, ended] = [rows.time("started_at")?, rows.time("ended_at")?];
        let (minutes, version) = (rows.number("minutes")?, rows.whole("version")?);
        for row in 0..batch.num_rows() {
            let outage = self.outage(outage.value(row));
            let consumer: ConsumerId = rows.parse("consumer_id", consumer.value(row))?;
            let published = Published {
                version: version.value(row),
                outage,
                ended_at: known(&ended, row, |row| UtcMicros(ended.value(row))),
                counted_micros: known(&minutes, row, |row| micros(minutes.value(row))),
                counts: excluded.is_null(row),
            };
            let of_consumer = self.interruptions.entry(consumer).or_default();
            let held = of_consumer
                .entry(UtcMicros(started.value(row)))
                .or_insert_with(|| published.clone());
            if held.version < published.version {
                *held = published;
            }
        }
        Ok(())
    }

    /// Sums of the ledger: of each entry one version, for its amount is the same in all.
    fn take_entries(&mut self, batch: &RecordBatch) -> Result<(), RestoreError> {
        let rows = Rows::of(&table::COMPENSATION_ENTRIES, batch);
        let [consumer, default] = [rows.text("consumer_id")?, rows.text("default_key")?];
        let (amount, version) = (rows.money("amount_inr")?, rows.whole("version")?);
        for row in (0..batch.num_rows()).filter(|row| version.value(*row) == 1) {
            let key = (
                rows.parse("consumer_id", consumer.value(row))?,
                rows.parse("default_key", default.value(row))?,
            );
            let paise = i64::try_from(amount.value(row)).unwrap_or(i64::MAX);
            let sum = self.ledger.entry(key).or_default();
            *sum = sum.saturating_add(paise);
        }
        Ok(())
    }

    fn answer(&self, question: &Question) -> Answer {
        let mut answer = Answer::default();
        let mut consumers: BTreeSet<&ConsumerId> = self.interruptions.keys().collect();
        consumers.extend(self.world.requesters());
        for consumer in consumers {
            self.compare(consumer, question, &mut answer);
            answer.consumers += 1;
        }
        answer
    }

    fn compare(&self, consumer: &ConsumerId, question: &Question, answer: &mut Answer) {
        let evidence = self.world.evidence_with(consumer, self.losses(consumer));
        let decide = |in_force: &InForce| {
            let book = self.world.book_in(in_force, consumer)?;
            match book.decide(&evidence, question.as_of) {
                Ok(decisions) => Some(decisions),
                Err(error) => {
                    tracing::error!(%consumer, %error, "compensation cannot be decided");
                    None
                }
            }
        };
        let now = decide(&self.world.settings.compensation.in_force).unwrap_or_default();
        let other = decide(&question.other).unwrap_or_default();
        let zone = &self.world.settings.zone;
        let by_month = |decisions: &[Decision]| {
            let mut months: BTreeMap<Day, Vec<(DefaultKey, Paise)>> = BTreeMap::new();
            for decision in decisions.iter().filter(|decision| decision.amount().0 != 0) {
                let day = zone.day_of(decision.began_at);
                if question.from <= day && day <= question.to {
                    let of_month = months.entry(day.first_of_month()).or_default();
                    of_month.push((decision.default.clone(), decision.amount()));
                }
            }
            months
        };
        for (month, owed) in by_month(&now) {
            let compared = answer.months.entry(month).or_default();
            let amounts: Vec<Paise> = owed.iter().map(|(_, amount)| *amount).collect();
            compared.in_force.add(&amounts);
            for (default, _) in owed {
                let held = self.ledger.get(&(consumer.clone(), default));
                compared.ledger_paise += i128::from(held.copied().unwrap_or(0));
            }
        }
        for (month, owed) in by_month(&other) {
            let amounts: Vec<Paise> = owed.iter().map(|(_, amount)| *amount).collect();
            answer.months.entry(month).or_default().other.add(&amounts);
        }
    }

    fn losses(&self, consumer: &ConsumerId) -> Vec<crate::compensation::evidence::SupplyLoss> {
        let mut by_outage: BTreeMap<u32, (Vec<Interruption>, Vec<Span>)> = BTreeMap::new();
        let held = self.interruptions.get(consumer).into_iter().flatten();
        for (started_at, published) in held.filter(|(_, published)| published.counts) {
            let (interruptions, not_due) = by_outage.entry(published.outage).or_default();
            interruptions.push(Interruption {
                started_at: *started_at,
                ended_at: published.ended_at,
            });
            if let (Some(ended_at), Some(counted)) = (published.ended_at, published.counted_micros) {
                let counted_until = started_at.plus(counted);
                if counted_until < ended_at {
                    not_due.push(Span {
                        from: counted_until,
                        to: ended_at,
                    });
                }
            }
        }
        let loss = |(at, (interruptions, not_due)): (u32, _)| {
            let (_, facts) = self.outages.get(usize::try_from(at).ok()?)?.as_ref()?;
            self.world.supply_loss(consumer, facts, interruptions, not_due)
        };
        by_outage.into_iter().filter_map(loss).collect()
    }
}

/// Minutes as published, in whole µs: they were whole before they were divided.
fn micros(minutes: f64) -> i64 {
    #[expect(
        clippy::as_conversions,
        reason = "rounded; an interruption has far fewer than 2^53 microseconds"
    )]
    let micros = (minutes * 60_000_000.0).round() as i64;
    micros
}
