//! Suspicion over the published tables, on a thread of its own: which DTs and consumers of the closed months are suspicious
//! ([`crate::suspicion`]), as rows of `suspicions`.
//!
//! It is no part of the picture: a month of reads takes too much to be held beside it, and nobody waits for these rows. So a job reads what
//! stands published, one feeder after the other, and writes the difference to what it wrote before. That keeps all promises by itself:
//! - **ORD-1**: rows are a function of what stands in the tables and of master data, in no order;
//! - **restatement**: a month is judged again when a file of it, or of what it rests on, changed: late reads, corrected bills. A sign that
//!   is seen no more gets a version that says so. Only the newest [`SuspicionSettings::months`] closed months are judged;
//! - **restart**: the job remembers nothing that the table does not say; a pass over unchanged tables writes nothing.
//!
//! A month is closed [`SuspicionSettings::wait_micros`] after its end, so that most late reads are in. A pass that fails is told in the log
//! and tried again; it stops nothing else. What it costs: of each feeder the reads of the month and of the four weeks before, once.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use futures::StreamExt;
use gridtally_ingest::log::Position;
use gridtally_schemas::{
    Clock, Day, UtcMicros, Zone,
    table::{self, TableSchema},
};

use super::{EngineError, Shared, Store, StoreError, upkeep::Running};
use crate::{
    network::NodeIx,
    suspicion::{DAYS_BEFORE, Limits, Period, judge},
    tables::chain,
    world::restore::RestoreError,
};

mod gather;
mod rows;
#[cfg(test)]
mod tests;

use gather::{Common, Gathering};
pub use rows::Suspicion;
pub(super) use rows::standing;
use rows::{Standing, batch};

/// How months are judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SuspicionSettings {
    /// Pause between two passes; a pass over unchanged tables only lists their files. `None`: nothing is judged. Default 1 hour.
    pub every: Option<Duration>,
    /// A month is judged once it is over for this long, µs. Default 2 days.
    pub wait_micros: i64,
    /// Closed months that are judged again when something of them changes, the newest. Default 3.
    pub months: usize,
    /// What signs measure against.
    pub limits: Limits,
}

impl Default for SuspicionSettings {
    fn default() -> Self {
        Self {
            every: Some(Duration::from_secs(60 * 60)),
            wait_micros: 2 * 24 * 3_600_000_000,
            months: 3,
            limits: Limits::default(),
        }
    }
}

/// Why a pass failed.
#[derive(Debug, thiserror::Error)]
enum PassError {
    #[error("reading table {table} failed")]
    Read { table: &'static str, source: StoreError },
    #[error("the tables hold what this program never writes")]
    Restore(#[from] RestoreError),
    #[error("building rows of suspicions failed")]
    Rows(#[from] arrow::error::ArrowError),
    #[error("committing to table suspicions failed")]
    Commit(#[source] StoreError),
}

/// What the thread works with.
#[derive(Debug)]
pub(super) struct Suspecting<S> {
    pub(super) settings: SuspicionSettings,
    pub(super) store: Arc<S>,
    pub(super) clock: Clock,
    pub(super) zone: Zone,
    pub(super) shared: Arc<Shared>,
}

impl<S: Store> Suspecting<S> {
    /// Starts the thread.
    pub(super) fn spawn(self) -> Result<Running, EngineError> {
        Running::start("suspicion", || async move { self.run().await })
    }

    async fn run(&self) {
        let Some(every) = self.settings.every else {
            return std::future::pending().await;
        };
        let mut judged = BTreeMap::new();
        loop {
            tokio::time::sleep(every).await;
            if let Err(error) = self.pass(&mut judged).await {
                tracing::warn!(error = %chain(&error), "judging the past months failed; it is tried again");
            }
        }
    }

    /// Judges the closed months of which something changed since `judged`.
    async fn pass(&self, judged: &mut BTreeMap<Day, u64>) -> Result<(), PassError> {
        for month in self.closed_months().await? {
            let period = Period::month(month);
            let digest = self.digest(period).await?;
            if judged.get(&month) != Some(&digest) {
                let rows = self.month(period).await?;
                tracing::info!(%month, rows, "month judged for suspicions");
                judged.insert(month, digest);
            }
        }
        Ok(())
    }

    async fn closed_months(&self) -> Result<Vec<Day>, PassError> {
        let now = self.clock.now();
        let days = self
            .store
            .days(&table::DT_BALANCE)
            .await
            .map_err(|source| PassError::Read {
                table: table::DT_BALANCE.name,
                source,
            })?;
        let months: BTreeSet<Day> = days.into_iter().map(Day::first_of_month).collect();
        let is_closed = |month: &Day| {
            let after = Day(Period::month(*month).last.0 + 1);
            self.zone.start_of(after).plus(self.settings.wait_micros) <= now
        };
        let closed: Vec<Day> = months.into_iter().filter(is_closed).collect();
        let skipped = closed.len().saturating_sub(self.settings.months);
        Ok(closed.into_iter().skip(skipped).collect())
    }

    /// What the files of a month, and of what it rests on, are.
    async fn digest(&self, period: Period) -> Result<u64, PassError> {
        let before = Day(period.first.0 - DAYS_BEFORE);
        let month = period.first..=period.first;
        let parts: [(&'static TableSchema, _); 8] = [
            (&table::DT_BALANCE, period.first..=period.last),
            (&table::INTERVAL_READS, before..=period.last),
            (&table::METER_EVENTS, before..=period.last),
            (&table::VEE_EXCEPTIONS, period.first..=period.last),
            (&table::BILLING, month.clone()),
            (&table::NODES, month.clone()),
            (&table::METERS, month.clone()),
            (&table::CONNECTIONS, month),
        ];
        let mut digest: u64 = 0;
        for (table, parts) in parts {
            let of_table = self.store.files_digest(table, parts).await;
            let of_table = of_table.map_err(|source| PassError::Read {
                table: table.name,
                source,
            })?;
            digest = digest.rotate_left(7) ^ of_table;
        }
        Ok(digest)
    }

    /// Judges a month and writes what differs from the table. Gives the number of rows written.
    async fn month(&self, period: Period) -> Result<usize, PassError> {
        let common = Common::read(self.store.as_ref(), period).await?;
        let mut found: BTreeMap<String, Suspicion> = BTreeMap::new();
        for feeder in self.shared.read(crate::World::feeders) {
            for suspicion in self.feeder(feeder, period, &common).await? {
                found.insert(suspicion.id(), suspicion);
            }
        }
        let mut stands: HashMap<String, Standing> = HashMap::new();
        let mut stream = scan(
            self.store.as_ref(),
            &table::SUSPICIONS,
            period.first,
            &BTreeSet::new(),
        )
        .await?;
        while let Some(rows) = stream.next().await {
            standing(&read(&table::SUSPICIONS, rows)?, &mut stands)?;
        }
        let changes = rows::changes(found, stands);
        if changes.is_empty() {
            return Ok(0);
        }
        let rows = batch(&changes, self.clock.now())?;
        let position = self
            .store
            .position_of(&table::SUSPICIONS)
            .await
            .map_err(PassError::Commit)?;
        let next = Position(position.map_or(1, |position| position.0 + 1));
        self.store
            .append(&table::SUSPICIONS, rows, next)
            .await
            .map_err(PassError::Commit)?;
        Ok(changes.len())
    }

    async fn feeder(
        &self,
        feeder: NodeIx,
        period: Period,
        common: &Common,
    ) -> Result<Vec<Suspicion>, PassError> {
        let plan = self.shared.read(|world| world.suspicion_plan(feeder, period));
        if plan.meters.is_empty() {
            return Ok(Vec::new());
        }
        let mut gathering = Gathering::new(&plan, period, &self.zone);
        gathering.read(self.store.as_ref()).await?;
        let places = gathering.places(common);
        let judged = plan.places.iter().zip(places).flat_map(|(planned, place)| {
            let findings = judge(&place, period, &self.settings.limits);
            let of_place = findings
                .into_iter()
                .map(|found| Suspicion::of(found, (planned, &plan.feeder_id), period));
            of_place.collect::<Vec<_>>()
        });
        Ok(judged.collect())
    }
}

/// Rows of a table that are of a day or month and of these ids, and perhaps others.
async fn scan<S: Store>(
    store: &S,
    table: &'static TableSchema,
    part: Day,
    ids: &BTreeSet<String>,
) -> Result<futures::stream::BoxStream<'static, Result<arrow::array::RecordBatch, StoreError>>, PassError> {
    store
        .scan_part(table, part, ids)
        .await
        .map_err(|source| PassError::Read {
            table: table.name,
            source,
        })
}

fn read(
    table: &'static TableSchema,
    rows: Result<arrow::array::RecordBatch, StoreError>,
) -> Result<arrow::array::RecordBatch, PassError> {
    rows.map_err(|source| PassError::Read {
        table: table.name,
        source,
    })
}

/// Begin and end of a civil day.
fn ends_of_day(zone: &Zone, day: Day) -> (UtcMicros, UtcMicros) {
    (zone.start_of(day), zone.start_of(Day(day.0 + 1)))
}
