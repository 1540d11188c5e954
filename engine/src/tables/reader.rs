//! Reading: a snapshot as a DataFusion table, streams of its rows, and the tables as another process sees them.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use arrow::datatypes::SchemaRef;
use datafusion::{
    catalog::TableProvider,
    datasource::physical_plan::parquet::metadata::DFParquetMetadata,
    error::DataFusionError,
    execution::{SendableRecordBatchStream, cache::cache_manager::FileMetadataCache},
    prelude::{Expr, SessionConfig, SessionContext},
};
use deltalake::{
    DeltaTable, ObjectStore,
    delta_datafusion::{DeltaScanConfig, DeltaScanNext},
};
use futures::StreamExt;
use gridtally_schemas::table::{self, TableSchema};
use object_store::{ObjectMeta, local::LocalFileSystem, path::Path as StorePath};
use tokio::sync::Mutex;

use super::{
    OPENED_TOGETHER, TablesError, delta, files,
    listing::{DataFile, Followed, Listing},
    scan::{StoredFiles, object},
};

/// The tables below a folder, for reading only.
///
/// A reader that keeps what it loads ([`TablesReader::keeping`]) gives the same answers, sooner: before a table is given out it is brought
/// up to the version that is the newest at that moment, by reading the commits since then alone. Clones share what is kept.
#[derive(Debug, Clone)]
pub struct TablesReader {
    root: PathBuf,
    store: Arc<LocalFileSystem>,
    /// Each table as it was last seen; `None`: every snapshot is loaded anew.
    kept: Option<Arc<Kept>>,
}

/// The files of each table by name; none where it has not been loaded, or has not been created.
type Kept = BTreeMap<&'static str, Mutex<Option<Arc<Listing>>>>;

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
            if let Err(error) = self.listing(schema).await {
                tracing::debug!(table = schema.name, error = %files::chain(&error), "a table was not loaded ahead");
            }
        });
        let mut loads = futures::stream::iter(loads).buffer_unordered(OPENED_TOGETHER);
        while loads.next().await.is_some() {}
    }

    /// Reads the footers of data files into a cache, as scans of the tables look for them there: of each table that is split by days those of
    /// its newest files, `files_max` at most. What cannot be read is left to whoever scans it.
    pub async fn load_footers(&self, cache: &Arc<FileMetadataCache>, files_max: usize) {
        for schema in table::published().filter(|schema| schema.partition == Some("day")) {
            let Ok(files) = self.newest_files(schema, files_max).await else {
                continue;
            };
            let footers = files.iter().map(|file| async move {
                let footer = DFParquetMetadata::new(self.store.as_ref(), file)
                    .with_file_metadata_cache(Some(Arc::clone(cache)));
                if let Err(error) = footer.fetch_metadata().await {
                    tracing::debug!(table = schema.name, %error, "a footer was not read ahead");
                }
            });
            let mut footers = futures::stream::iter(footers).buffer_unordered(OPENED_TOGETHER);
            while footers.next().await.is_some() {}
        }
    }

    /// Files of a table's newest days, as a scan names them.
    async fn newest_files(
        &self,
        schema: &'static TableSchema,
        files_max: usize,
    ) -> Result<Vec<ObjectMeta>, TablesError> {
        let Some(listing) = self.listing(schema).await? else {
            return Ok(Vec::new());
        };
        let Ok(directory) = StorePath::from_absolute_path(self.root.join(schema.name)) else {
            return Ok(Vec::new());
        };
        let mut files: Vec<&DataFile> = listing.files().collect();
        files.sort_by(|one, other| (other.part, &other.path).cmp(&(one.part, &one.path)));
        let newest = files.into_iter().take(files_max);
        Ok(newest.map(|file| object(&directory, file)).collect())
    }

    /// The newest version of a table, for DataFusion; `None` when the table has not been created yet.
    ///
    /// # Errors
    /// When the table is there and cannot be loaded.
    pub async fn provider(
        &self,
        schema: &'static TableSchema,
    ) -> Result<Option<Arc<dyn TableProvider>>, TablesError> {
        let Some(listing) = self.listing(schema).await? else {
            return Ok(None);
        };
        let files = self.stored(schema, (files::columns_of(schema), listing))?;
        Ok(Some(Arc::new(files)))
    }

    /// The newest version of a table with these columns, which are its own with instants in any zone; without files when the table has not
    /// been created yet.
    ///
    /// # Errors
    /// When the table is there and cannot be loaded.
    pub async fn files(
        &self,
        schema: &'static TableSchema,
        columns: SchemaRef,
    ) -> Result<StoredFiles, TablesError> {
        let listing = self.listing(schema).await?.unwrap_or_default();
        self.stored(schema, (columns, listing))
    }

    fn stored(
        &self,
        schema: &'static TableSchema,
        (columns, listing): (SchemaRef, Arc<Listing>),
    ) -> Result<StoredFiles, TablesError> {
        StoredFiles::new(schema, columns, &self.root, listing).map_err(|source| TablesError::Read {
            table: schema.name,
            source,
        })
    }

    /// Streams the rows of the newest version of a table; `None` when the table has not been created yet.
    ///
    /// # Errors
    /// When the table is there and cannot be read.
    pub(crate) async fn scan(
        &self,
        schema: &'static TableSchema,
    ) -> Result<Option<SendableRecordBatchStream>, TablesError> {
        match self.provider(schema).await? {
            Some(table) => stream(schema, table, None).await.map(Some),
            None => Ok(None),
        }
    }

    async fn listing(&self, schema: &'static TableSchema) -> Result<Option<Arc<Listing>>, TablesError> {
        let Some(kept) = self.kept.as_ref().and_then(|kept| kept.get(schema.name)) else {
            return self.loaded(schema).await;
        };
        let mut kept = kept.lock().await;
        let log = self.root.join(schema.name).join("_delta_log");
        let is_up_to_date = kept.as_mut().is_some_and(|listing| {
            listing.is_newest(&log) || Arc::make_mut(listing).follow(schema, &log) == Followed::ToTheEnd
        });
        if !is_up_to_date {
            *kept = self.loaded(schema).await?;
        }
        Ok(kept.clone())
    }

    async fn loaded(&self, schema: &'static TableSchema) -> Result<Option<Arc<Listing>>, TablesError> {
        let store: Arc<dyn ObjectStore> = Arc::<LocalFileSystem>::clone(&self.store);
        let log_store = delta::log_store(schema, &self.root, store)?;
        let loaded = delta::load(log_store).await.map_err(|source| TablesError::Load {
            table: schema.name,
            source,
        })?;
        match loaded {
            Some(table) => Listing::of(schema, &table)
                .await
                .map(|listing| Some(Arc::new(listing))),
            None => Ok(None),
        }
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
    stream(schema, provider(schema, snapshot)?, filter).await
}

/// Streams the rows of a table.
async fn stream(
    schema: &'static TableSchema,
    table: Arc<dyn TableProvider>,
    filter: Option<Expr>,
) -> Result<SendableRecordBatchStream, TablesError> {
    let read = |source: DataFusionError| TablesError::Read {
        table: schema.name,
        source,
    };
    let mut options = SessionConfig::new();
    options.options_mut().execution.parquet.schema_force_view_types = false;
    let context = SessionContext::new_with_config(options);
    let mut rows = context.read_table(table).map_err(read)?;
    if let Some(filter) = filter {
        rows = rows.filter(filter).map_err(read)?;
    }
    rows.execute_stream().await.map_err(read)
}
