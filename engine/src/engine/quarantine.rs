//! Looking at what waits in the quarantine table, beside the engine's thread.

use std::{collections::BTreeMap, fmt, sync::Arc};

use arrow::array::RecordBatch;
use futures::{FutureExt, StreamExt, future::BoxFuture, stream::BoxStream};
use gridtally_schemas::{UtcMicros, quarantine::Quarantined, table};
use hashbrown::HashSet;

use super::{EngineError, Store, StoreError};
use crate::world::replay::{quarantined, released_ids};

/// Payloads of one page, bytes: at that many it ends, with at least one row.
const PAGE_BYTES_MAX: usize = 16 << 20;

/// What waits in quarantine: which part of it is asked for.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Of this meter; `None`: of any.
    pub meter_id: Option<String>,
    /// For this reason, without what follows its colon; `None`: for any.
    pub reason: Option<String>,
    /// Behind the row that was received then and has this id.
    pub after: Option<(UtcMicros, String)>,
    /// At most so many rows.
    pub rows_max: usize,
}

impl Waiting {
    fn is_asked(&self, meter_id: Option<&str>, reason: &str) -> bool {
        let kind = reason.split(':').next().unwrap_or_default();
        self.meter_id
            .as_deref()
            .is_none_or(|asked| meter_id == Some(asked))
            && self.reason.as_deref().is_none_or(|asked| kind == asked)
    }
}

/// Rows that wait, in the order of their arrival.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct WaitingPage {
    /// The rows.
    pub rows: Vec<Quarantined>,
    /// Whether more follow.
    pub more: bool,
    /// How many wait in all, those before and behind this page included.
    pub total: usize,
}

type Batches = BoxStream<'static, Result<RecordBatch, StoreError>>;

/// The table, whatever keeps it.
trait QuarantineTable: Send + Sync {
    fn scan(&self) -> BoxFuture<'_, Result<Batches, StoreError>>;
}

struct Of<S>(Arc<S>);

impl<S: Store> QuarantineTable for Of<S> {
    fn scan(&self) -> BoxFuture<'_, Result<Batches, StoreError>> {
        self.0.scan(&table::QUARANTINE).boxed()
    }
}

/// A reader of the quarantine table.
#[derive(Clone)]
pub(super) struct QuarantineReader(Arc<dyn QuarantineTable>);

impl fmt::Debug for QuarantineReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("QuarantineReader")
    }
}

impl QuarantineReader {
    pub(super) fn new<S: Store>(store: Arc<S>) -> Self {
        Self(Arc::new(Of(store)))
    }

    /// The rows that wait as the table stands. It is read twice, and what is kept of it is a page and the ids of what was released.
    pub(super) async fn page(&self, asked: &Waiting) -> Result<WaitingPage, EngineError> {
        let mut released = HashSet::new();
        self.each(|batch| released_ids(batch, &mut released)).await?;
        let mut page: BTreeMap<(UtcMicros, String), Quarantined> = BTreeMap::new();
        let (mut total, mut bytes, mut more) = (0, 0, false);
        self.each(|batch| {
            let is_wanted = |id: &str, meter: Option<&str>, reason: &str| {
                !released.contains(id) && asked.is_asked(meter, reason)
            };
            for row in quarantined(batch, is_wanted)? {
                total += 1;
                let key = (row.received_at, row.exception_id.clone());
                if asked.after.as_ref().is_some_and(|after| key <= *after) {
                    continue;
                }
                bytes += row.payload.len();
                page.insert(key, row);
                while page.len() > asked.rows_max || bytes > PAGE_BYTES_MAX && page.len() > 1 {
                    let Some((_, row)) = page.pop_last() else { break };
                    bytes -= row.payload.len();
                    more = true;
                }
            }
            Ok(())
        })
        .await?;
        Ok(WaitingPage {
            rows: page.into_values().collect(),
            more,
            total,
        })
    }

    async fn each(
        &self,
        mut look: impl FnMut(&RecordBatch) -> Result<(), crate::world::restore::RestoreError>,
    ) -> Result<(), EngineError> {
        let failed = |source: StoreError| EngineError::Read {
            table: table::QUARANTINE.name,
            source,
        };
        let mut batches = self.0.scan().await.map_err(failed)?;
        while let Some(batch) = batches.next().await {
            look(&batch.map_err(failed)?).map_err(EngineError::Restore)?;
        }
        Ok(())
    }
}
