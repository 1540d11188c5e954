//! Reading: a snapshot as a DataFusion table, streams of its rows, and the tables as another process sees them.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use datafusion::{
    catalog::TableProvider,
    error::DataFusionError,
    execution::SendableRecordBatchStream,
    prelude::{Expr, SessionConfig, SessionContext},
};
use deltalake::{
    DeltaTable, ObjectStore,
    delta_datafusion::{DeltaScanConfig, DeltaScanNext},
};
use futures::StreamExt;
use gridtally_schemas::table::{self, TableSchema};
use object_store::local::LocalFileSystem;
use tokio::sync::Mutex;

use super::{OPENED_TOGETHER, TablesError, delta, files};

/// The tables below a folder, for reading only.
///
/// A reader that keeps what it loads ([`TablesReader::keeping`]) gives the same answers, sooner: before a table is given out it is brought
/// up to the version that is the newest at that moment, by reading the commits since then alone. Clones share what is kept.
#[derive(Debug, Clone)]
pub struct TablesReader {
    root: PathBuf,
    store: Arc<LocalFileSystem>,
    /// Each table as it was last seen; `None`: every snapshot is loaded anew.
    kept: Option<Arc<BTreeMap<&'static str, Mutex<Option<DeltaTable>>>>>,
}

impl TablesReader {
    pub(super) fn open(root: &Path) -> Result<Self, TablesError> {
        let root = std::path::absolute(root).map_err(|source| TablesError::Root {
            root: root.to_owned(),
            source,
        })?;
        Ok(Self {
            root,
            store: Arc::new(LocalFileSystem::new()),
            kept: None,
        })
    }

    /// The same tables, by a reader that keeps what it loads.
    #[must_use]
    pub fn keeping(self) -> Self {
        let kept = table::published().map(|schema| (schema.name, Mutex::new(None)));
        Self {
            kept: Some(Arc::new(kept.collect())),
            ..self
        }
    }

    /// Loads every table there is, so that later only what was committed since is read. A table that cannot be loaded is left to whoever asks
    /// for it. Without effect unless this reader keeps what it loads.
    pub async fn load_all(&self) {
        if self.kept.is_none() {
            return;
        }
        let loads = table::published().map(|schema| async move {
            if let Err(error) = self.snapshot(schema).await {
                tracing::debug!(table = schema.name, error = %files::chain(&error), "a table was not loaded ahead");
            }
        });
        let mut loads = futures::stream::iter(loads).buffer_unordered(OPENED_TOGETHER);
        while loads.next().await.is_some() {}
    }

    /// The newest snapshot of a table, for DataFusion; `None` when the table has not been created yet.
    ///
    /// # Errors
    /// When the table is there and cannot be loaded.
    pub async fn provider(
        &self,
        schema: &'static TableSchema,
    ) -> Result<Option<Arc<dyn TableProvider>>, TablesError> {
        let snapshot = self.snapshot(schema).await?;
        snapshot.map(|snapshot| provider(schema, &snapshot)).transpose()
    }

    /// Streams the rows of the newest snapshot of a table; `None` when the table has not been created yet.
    ///
    /// # Errors
    /// When the table is there and cannot be read.
    pub(crate) async fn scan(
        &self,
        schema: &'static TableSchema,
    ) -> Result<Option<SendableRecordBatchStream>, TablesError> {
        match self.snapshot(schema).await? {
            Some(snapshot) => scan(schema, &snapshot, None).await.map(Some),
            None => Ok(None),
        }
    }

    async fn snapshot(&self, schema: &'static TableSchema) -> Result<Option<DeltaTable>, TablesError> {
        let Some(kept) = self.kept.as_ref().and_then(|kept| kept.get(schema.name)) else {
            return self.loaded(schema).await;
        };
        let mut kept = kept.lock().await;
        let is_up_to_date = match kept.as_mut() {
            Some(table) if self.is_newest(schema, table) => true,
            // What it was is no longer there to go on from: it is loaded anew.
            Some(table) => table.update_state().await.is_ok(),
            None => false,
        };
        if !is_up_to_date {
            *kept = self.loaded(schema).await?;
        }
        Ok(kept.clone())
    }

    async fn loaded(&self, schema: &'static TableSchema) -> Result<Option<DeltaTable>, TablesError> {
        let store: Arc<dyn ObjectStore> = Arc::<LocalFileSystem>::clone(&self.store);
        let log_store = delta::log_store(schema, &self.root, store)?;
        delta::load(log_store).await.map_err(|source| TablesError::Load {
            table: schema.name,
            source,
        })
    }

    /// Whether nothing was committed since a table was loaded: its own commit is there and the next is not. Commits are numbered without a
    /// gap and removed from the oldest on, so that these two names say it without listing the folder, which has thousands.
    fn is_newest(&self, schema: &TableSchema, table: &DeltaTable) -> bool {
        let log = self.root.join(schema.name).join("_delta_log");
        let is_there = |version: u64| log.join(format!("{version:020}.json")).exists();
        table
            .version()
            .is_some_and(|version| is_there(version) && !is_there(version.saturating_add(1)))
    }
}

/// A snapshot as a DataFusion table with exactly the schema's columns.
pub(super) fn provider(
    schema: &'static TableSchema,
    snapshot: &DeltaTable,
) -> Result<Arc<dyn TableProvider>, TablesError> {
    let read = |source| TablesError::Read {
        table: schema.name,
        source,
    };
    let state = snapshot.snapshot().map_err(|source| TablesError::Load {
        table: schema.name,
        source,
    })?;
    let mut config = DeltaScanConfig::new()
        .with_wrap_partition_values(false)
        .with_schema(files::columns_of(schema));
    config.schema_force_view_types = false;
    let scan = DeltaScanNext::new(state.snapshot().clone(), config).map_err(read)?;
    Ok(Arc::new(scan))
}

/// Streams the rows of a snapshot.
pub(super) async fn scan(
    schema: &'static TableSchema,
    snapshot: &DeltaTable,
    filter: Option<Expr>,
) -> Result<SendableRecordBatchStream, TablesError> {
    let read = |source: DataFusionError| TablesError::Read {
        table: schema.name,
        source,
    };
    let mut options = SessionConfig::new();
    options.options_mut().execution.parquet.schema_force_view_types = false;
    let context = SessionContext::new_with_config(options);
    let mut rows = context.read_table(provider(schema, snapshot)?).map_err(read)?;
    if let Some(filter) = filter {
        rows = rows.filter(filter).map_err(read)?;
    }
    rows.execute_stream().await.map_err(read)
}
