//! Looking at published versions of outages, beside the engine's thread.

use std::{collections::BTreeSet, fmt, sync::Arc};

use arrow::array::RecordBatch;
use futures::{FutureExt, StreamExt, future::BoxFuture, stream::BoxStream};
use gridtally_schemas::{Day, table};

use super::{EngineError, Store, StoreError};
use crate::{
    outage::OutageId,
    world::outage::{OutageVersion, outage_versions},
};

type Batches = BoxStream<'static, Result<RecordBatch, StoreError>>;

/// The table, whatever keeps it.
trait OutagesTable: Send + Sync {
    /// Rows of this month and id, and perhaps others.
    fn of(&self, month: Day, id: OutageId) -> BoxFuture<'_, Result<Batches, StoreError>>;

    /// Rows with a greater number, and perhaps others.
    fn after(&self, sequence: i64) -> BoxFuture<'_, Result<Batches, StoreError>>;
}

struct Of<S>(Arc<S>);

impl<S: Store> OutagesTable for Of<S> {
    fn of(&self, month: Day, id: OutageId) -> BoxFuture<'_, Result<Batches, StoreError>> {
        let ids = BTreeSet::from([id.to_string()]);
        async move { self.0.scan_part(&table::OUTAGES, month, &ids).await }.boxed()
    }

    fn after(&self, sequence: i64) -> BoxFuture<'_, Result<Batches, StoreError>> {
        self.0.scan_after(&table::OUTAGES, "sequence", sequence).boxed()
    }
}

/// A reader of the published versions.
#[derive(Clone)]
pub(super) struct OutageReader(Arc<dyn OutagesTable>);

impl fmt::Debug for OutageReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OutageReader")
    }
}

impl OutageReader {
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
        let mut versions = read(batches, |version| version.id == *id, |_| ()).await?;
        versions.sort_by_key(|version| version.version);
        let surplus = versions.len().saturating_sub(versions_max);
        Ok(versions.split_off(surplus))
    }

    /// The versions with the lowest numbers above `sequence`, `versions_max` at most, by number.
    pub(super) async fn after(
        &self,
        sequence: i64,
        versions_max: usize,
    ) -> Result<Vec<OutageVersion>, EngineError> {
        let batches = self.0.after(sequence).await;
        let bound = |versions: &mut Vec<OutageVersion>| {
            // No more is held than twice what is asked for, however far behind the caller is.
            if versions.len() > versions_max.saturating_mul(2) {
                versions.sort_by_key(|version| version.sequence);
                versions.truncate(versions_max);
            }
        };
        let mut versions = read(batches, |version| version.sequence > sequence, bound).await?;
        versions.sort_by_key(|version| version.sequence);
        versions.truncate(versions_max);
        Ok(versions)
    }
}

impl OutageReader {
    /// The versions with these numbers, by number.
    pub(super) async fn numbered(
        &self,
        sequences: &BTreeSet<i64>,
    ) -> Result<Vec<OutageVersion>, EngineError> {
        let Some(first) = sequences.first() else {
            return Ok(Vec::new());
        };
        let batches = self.0.after(first.saturating_sub(1)).await;
        let is_wanted = |version: &OutageVersion| sequences.contains(&version.sequence);
        let mut versions = read(batches, is_wanted, |_| ()).await?;
        versions.sort_by_key(|version| version.sequence);
        Ok(versions)
    }
}

async fn read(
    batches: Result<Batches, StoreError>,
    is_wanted: impl Fn(&OutageVersion) -> bool,
    bound: impl Fn(&mut Vec<OutageVersion>),
) -> Result<Vec<OutageVersion>, EngineError> {
    let failed = |source: StoreError| EngineError::Read {
        table: table::OUTAGES.name,
        source,
    };
    let mut batches = batches.map_err(failed)?;
    let mut versions: Vec<OutageVersion> = Vec::new();
    while let Some(batch) = batches.next().await {
        let found = outage_versions(&batch.map_err(failed)?).map_err(EngineError::Restore)?;
        versions.extend(found.into_iter().filter(&is_wanted));
        bound(&mut versions);
    }
    Ok(versions)
}
