//! Reading: a snapshot as a DataFusion table, streams of its rows, and the tables as another process sees them.

use std::{
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
use gridtally_schemas::table::TableSchema;
use object_store::local::LocalFileSystem;

use super::{TablesError, delta, files};

/// The tables below a folder, for reading only.
#[derive(Debug, Clone)]
pub struct TablesReader {
    root: PathBuf,
    store: Arc<LocalFileSystem>,
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
        })
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
        let store: Arc<dyn ObjectStore> = Arc::<LocalFileSystem>::clone(&self.store);
        let log_store = delta::log_store(schema, &self.root, store)?;
        delta::load(log_store).await.map_err(|source| TablesError::Load {
            table: schema.name,
            source,
        })
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
