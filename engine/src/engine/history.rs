//! Looking at published versions of outages and of compensation entries, beside the engine's thread.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

use arrow::array::RecordBatch;
use futures::{FutureExt, StreamExt, future::BoxFuture, stream::BoxStream};
use gridtally_schemas::{
    Day,
    table::{self, TableSchema},
};

use super::{
    EngineError, Store, StoreError,
    suspicion::{Suspicion, standing},
};
use crate::{
    outage::OutageId,
    world::{
        compensation::{EntryVersion, entry_versions},
        outage::{OutageVersion, outage_versions},
        restore::RestoreError,
    },
};

type Batches = BoxStream<'static, Result<RecordBatch, StoreError>>;

/// A table, whatever keeps it.
trait HistoryTable: Send + Sync {
    /// Rows of this month and id of `outages`, and perhaps others.
    fn of(&self, month: Day, id: OutageId) -> BoxFuture<'_, Result<Batches, StoreError>>;

    /// Rows of this month of `suspicions`.
    fn suspicions(&self, month: Day) -> BoxFuture<'_, Result<Batches, StoreError>>;

    /// Rows of a table with a greater number in a column, and perhaps others.
    fn after(
        &self,
        table: &'static TableSchema,
        column: &'static str,
        number: i64,
    ) -> BoxFuture<'_, Result<Batches, StoreError>>;
}

struct Of<S>(Arc<S>);

impl<S: Store> HistoryTable for Of<S> {
    fn of(&self, month: Day, id: OutageId) -> BoxFuture<'_, Result<Batches, StoreError>> {
        let ids = BTreeSet::from([id.to_string()]);
        async move { self.0.scan_part(&table::OUTAGES, month, &ids).await }.boxed()
    }

    fn suspicions(&self, month: Day) -> BoxFuture<'_, Result<Batches, StoreError>> {
        async move {
            self.0
                .scan_part(&table::SUSPICIONS, month, &BTreeSet::new())
                .await
        }
        .boxed()
    }

    fn after(
        &self,
        table: &'static TableSchema,
        column: &'static str,
        number: i64,
    ) -> BoxFuture<'_, Result<Batches, StoreError>> {
        self.0.scan_after(table, column, number).boxed()
    }
}

/// A published version that has a number in its table: 1, 2, … without a gap, as they were published.
pub(super) trait Numbered: Sized {
    /// The table.
    const TABLE: &'static TableSchema;
    /// The column with the number.
    const NUMBER: &'static str;

    /// The number.
    fn number(&self) -> i64;

    /// The versions in a batch.
    fn read(batch: &RecordBatch) -> Result<Vec<Self>, RestoreError>;
}

impl Numbered for OutageVersion {
    const TABLE: &'static TableSchema = &table::OUTAGES;
    const NUMBER: &'static str = "sequence";

    fn number(&self) -> i64 {
        self.sequence
    }

    fn read(batch: &RecordBatch) -> Result<Vec<Self>, RestoreError> {
        outage_versions(batch)
    }
}

impl Numbered for EntryVersion {
    const TABLE: &'static TableSchema = &table::COMPENSATION_ENTRIES;
    const NUMBER: &'static str = "feed_sequence";

    fn number(&self) -> i64 {
        self.sequence
    }

    fn read(batch: &RecordBatch) -> Result<Vec<Self>, RestoreError> {
        entry_versions(batch)
    }
}

/// A reader of the published versions.
#[derive(Clone)]
pub(super) struct HistoryReader(Arc<dyn HistoryTable>);

impl fmt::Debug for HistoryReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HistoryReader")
    }
}

impl HistoryReader {
    pub(super) fn new<S: Store>(store: Arc<S>) -> Self {
        Self(Arc::new(Of(store)))
    }

    /// The newest versions of one outage, `versions_max` at most, oldest first.
    pub(super) async fn of(
        &self,
        month: Day,
        id: &OutageId,
        versions_max: usize,
    ) -> Result<Vec<OutageVersion>, EngineError> {
        let batches = self.0.of(month, id.clone()).await;
        let mut versions = read(batches, |version: &OutageVersion| version.id == *id, |_| ()).await?;
        versions.sort_by_key(|version| version.version);
        let surplus = versions.len().saturating_sub(versions_max);
        Ok(versions.split_off(surplus))
    }

    /// The signs of a month that are seen, by id.
    pub(super) async fn suspicions(&self, month: Day) -> Result<Vec<Suspicion>, EngineError> {
        let failed = |source: StoreError| EngineError::Read {
            table: table::SUSPICIONS.name,
            source,
        };
        let mut batches = self.0.suspicions(month).await.map_err(failed)?;
        let mut stands = std::collections::HashMap::new();
        while let Some(batch) = batches.next().await {
            standing(&batch.map_err(failed)?, &mut stands).map_err(EngineError::Restore)?;
        }
        let seen = stands
            .into_iter()
            .filter_map(|(id, standing)| Some((id, standing.seen()?)));
        let seen: BTreeMap<String, Suspicion> = seen.collect();
        let of_month = |suspicion: &Suspicion| suspicion.month == month;
        Ok(seen.into_values().filter(of_month).collect())
    }

    /// The versions with the lowest numbers above `number`, `versions_max` at most, by number.
    pub(super) async fn after<V: Numbered>(
        &self,
        number: i64,
        versions_max: usize,
    ) -> Result<Vec<V>, EngineError> {
        let batches = self.0.after(V::TABLE, V::NUMBER, number).await;
        let bound = |versions: &mut Vec<V>| {
            // No more is held than twice what is asked for, however far behind the caller is.
            if versions.len() > versions_max.saturating_mul(2) {
                versions.sort_by_key(V::number);
                versions.truncate(versions_max);
            }
        };
        let mut versions = read(batches, |version: &V| version.number() > number, bound).await?;
        versions.sort_by_key(V::number);
        versions.truncate(versions_max);
        Ok(versions)
    }

    /// The versions with these numbers, by number.
    pub(super) async fn numbered<V: Numbered>(&self, numbers: &BTreeSet<i64>) -> Result<Vec<V>, EngineError> {
        let Some(first) = numbers.first() else {
            return Ok(Vec::new());
        };
        let batches = self.0.after(V::TABLE, V::NUMBER, first.saturating_sub(1)).await;
        let is_wanted = |version: &V| numbers.contains(&version.number());
        let mut versions = read(batches, is_wanted, |_| ()).await?;
        versions.sort_by_key(V::number);
        Ok(versions)
    }
}

async fn read<V: Numbered>(
    batches: Result<Batches, StoreError>,
    is_wanted: impl Fn(&V) -> bool,
    bound: impl Fn(&mut Vec<V>),
) -> Result<Vec<V>, EngineError> {
    let failed = |source: StoreError| EngineError::Read {
        table: V::TABLE.name,
        source,
    };
    let mut batches = batches.map_err(failed)?;
    let mut versions: Vec<V> = Vec::new();
    while let Some(batch) = batches.next().await {
        let found = V::read(&batch.map_err(failed)?).map_err(EngineError::Restore)?;
        versions.extend(found.into_iter().filter(&is_wanted));
        bound(&mut versions);
    }
    Ok(versions)
}
