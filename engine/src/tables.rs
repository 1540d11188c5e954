//! The published tables: one Delta table per [`TableSchema`], each commit carrying the log position it stands for.
//!
//! Promises:
//! - **TBL-1**: [`Tables::append`] of rows up to a position that the table already holds changes nothing. Delta records an
//!   application transaction but does not enforce it, so the writer does: it knows the newest version and its position,
//!   commits as exactly the next version, and when that name is taken loads the table again and decides anew.
//! - a commit is all or nothing, and durable when `append` returns (files go through [`crate::storage`]); a crash
//!   leaves at most files that no version names, which [`Tables::vacuum`] removes;
//! - nothing is lost by [`Tables::compact`]: it rewrites many small files as few sorted ones, in a commit that says
//!   that no data changed, beside appends and without ever failing one;
//! - any Delta reader of version 1 can read the tables: no deletion vectors, no column mapping, UTC timestamps.
//!
//! On disk: `{root}/{table}/_delta_log/…` and `{root}/{table}/day=2026-04-01/part-….zstd.parquet`. A log checkpoint is
//! written every [`COMMITS_PER_CHECKPOINT`] commits; commits and files that only versions beyond the horizon need go with
//! [`Tables::vacuum`].
//!
//! One process may write. Another may read at any time, with [`Tables::open_read_only`].

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    ops::RangeInclusive,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use arrow::{array::RecordBatch, error::ArrowError};
use datafusion::{
    catalog::TableProvider, error::DataFusionError, execution::SendableRecordBatchStream, prelude::Expr,
};
use deltalake::DeltaTableError;
use futures::{StreamExt, TryStreamExt};
use gridtally_ingest::log::Position;
use gridtally_schemas::{
    Day,
    table::{self, TableSchema},
};

use crate::storage::DurableStore;
use delta::{Stream, Table};
use effort::Efforts;

pub use compaction::{Compacted, FILE_BYTES_TARGET, FILES_PER_PARTITION_MAX};
pub use effort::{Effort, Spent, Step};
pub(crate) use files::chain;
pub use reader::TablesReader;
pub use scan::StoredFiles;

mod compaction;
mod delta;
mod effort;
mod encoding;
mod files;
mod listing;
mod reader;
mod scan;
mod statistics;

#[cfg(test)]
mod tests;

/// The application id of our transactions in every table.
pub const APPLICATION: &str = "gridtally";
/// The application id of the transactions of derived rows (estimates, exceptions) in tables that the log says: such a commit says
/// nothing about how far of the log a table stands.
pub const APPLICATION_DERIVED: &str = "gridtally derived";
/// Commits between two checkpoints of a table's Delta log.
pub const COMMITS_PER_CHECKPOINT: u64 = 50;
/// Longest horizon that [`Tables::vacuum`] can be given: for so long every table remembers the files it has replaced. Rows stay
/// for good.
pub const VERSIONS_KEPT_MAX: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// [`VERSIONS_KEPT_MAX`] as a Delta interval.
const VERSIONS_KEPT_MAX_INTERVAL: &str = "interval 30 days";
/// Attempts at one commit before giving up, each after somebody else took the version.
const ATTEMPTS_MAX: usize = 16;
/// Tables that are opened at the same time.
const OPENED_TOGETHER: usize = 4;

/// Why tables could not be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum TablesError {
    /// The tables' folder could not be prepared.
    #[error("opening the tables in {} failed", root.display())]
    Root {
        /// The folder.
        root: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The folder's path cannot be an address.
    #[error("{} is not an absolute path", path.display())]
    Path {
        /// The folder.
        path: PathBuf,
    },
    /// A table that is not among the published ones.
    #[error("table {table} is not published")]
    Unknown {
        /// The table asked for.
        table: String,
    },
    /// A Delta table could not be created or loaded.
    #[error("loading table {table} failed")]
    Load {
        /// The table.
        table: &'static str,
        /// What deltalake said.
        source: DeltaTableError,
    },
    /// The table on disk has other columns than this program.
    #[error("table {table} on disk differs from this version of gridtally: {difference}")]
    Schema {
        /// The table.
        table: &'static str,
        /// The first difference.
        difference: String,
    },
    /// The rows do not have the table's columns.
    #[error("the rows do not fit table {table}")]
    Rows {
        /// The table.
        table: &'static str,
        /// What Arrow said.
        source: ArrowError,
    },
    /// Data files could not be written.
    #[error("writing files of table {table} failed")]
    Write {
        /// The table.
        table: &'static str,
        /// What deltalake said.
        source: DeltaTableError,
    },
    /// A commit failed for another reason than that its version was taken.
    #[error("committing version {version} of table {table} failed")]
    Commit {
        /// The table.
        table: &'static str,
        /// The version that was to be.
        version: u64,
        /// What deltalake said.
        source: DeltaTableError,
    },
    /// Others took the next version again and again.
    #[error(
        "table {table} is written by somebody else: {attempts} commits in a row found their version taken"
    )]
    Contended {
        /// The table.
        table: &'static str,
        /// How often it was tried.
        attempts: usize,
    },
    /// A log position beyond what Delta can record.
    #[error("log position {position} is beyond what a Delta transaction can hold")]
    Position {
        /// The position.
        position: Position,
    },
    /// Files could not be listed or removed.
    #[error("cleaning up table {table} failed")]
    Vacuum {
        /// The table.
        table: &'static str,
        /// What deltalake said.
        source: DeltaTableError,
    },
    /// Reading failed.
    #[error("reading table {table} failed")]
    Read {
        /// The table.
        table: &'static str,
        /// What DataFusion said.
        source: DataFusionError,
    },
}

/// What became of the rows given to [`Tables::append`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// They are a version of the table now.
    Committed {
        /// The Delta version.
        version: u64,
        /// Data files written.
        files: usize,
        /// Their size.
        bytes: u64,
    },
    /// The table already stood at or beyond the position: nothing was written (TBL-1).
    Skipped {
        /// The table's own position.
        position: Position,
    },
    /// There were no rows: nothing was written, and the table's position stays.
    Empty,
}

/// All published tables, open for writing. Clones share them.
#[derive(Debug, Clone)]
pub struct Tables {
    root: PathBuf,
    store: DurableStore,
    tables: Arc<BTreeMap<&'static str, Table>>,
    efforts: Arc<Efforts>,
}

impl Tables {
    /// Opens every published table below `root`, creates the missing ones, and removes what a crash left half-written.
    ///
    /// # Errors
    /// When the folder cannot be prepared, a table cannot be loaded, or a table on disk has other columns.
    pub async fn open(root: &Path) -> Result<Self, TablesError> {
        let failed = |source| TablesError::Root {
            root: root.to_owned(),
            source,
        };
        let root = std::path::absolute(root).map_err(failed)?;
        let store = DurableStore::open(&root).map_err(failed)?;
        Self::open_on(store, root).await
    }

    async fn open_on(store: DurableStore, root: PathBuf) -> Result<Self, TablesError> {
        let failed = |source| TablesError::Root {
            root: root.clone(),
            source,
        };
        let leftovers = store.remove_leftovers().map_err(failed)?;
        if leftovers > 0 {
            tracing::info!(files = leftovers, "removed files that a crash left half-written");
        }
        let efforts = Arc::new(Efforts::default());
        let tables = futures::stream::iter(table::published())
            .map(|schema| Table::open(schema, &root, &store, &efforts))
            .buffered(OPENED_TOGETHER)
            .map_ok(|table| (table.schema().name, table))
            .try_collect()
            .await?;
        Ok(Self {
            root,
            store,
            tables: Arc::new(tables),
            efforts,
        })
    }

    /// Opens the tables for reading only: nothing is created, written or removed. Another process may be writing.
    ///
    /// # Errors
    /// When `root` cannot be made an absolute path.
    pub fn open_read_only(root: &Path) -> Result<TablesReader, TablesError> {
        TablesReader::open(root)
    }

    /// The folder of the tables.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder of one table.
    #[must_use]
    pub fn directory_of(&self, schema: &TableSchema) -> PathBuf {
        self.root.join(schema.name)
    }

    /// The first failed sync of table files: since then nothing is written, and what the device holds is unknown.
    #[must_use]
    pub fn failure(&self) -> Option<&str> {
        self.store.failure()
    }

    /// What writing has cost since they were opened.
    #[must_use]
    pub fn effort(&self) -> Effort {
        self.efforts.sum()
    }

    /// The log position that a table stands for; `None` before its first commit.
    #[must_use]
    pub fn position_of(&self, schema: &TableSchema) -> Option<Position> {
        self.tables.get(schema.name)?.position()
    }

    /// Appends `batch`, sorted by the caller, as one commit that stands for the log up to `position`.
    ///
    /// # Errors
    /// When the rows do not fit the table or cannot be committed; the table is then as it was.
    pub async fn append(
        &self,
        schema: &'static TableSchema,
        batch: RecordBatch,
        position: Position,
    ) -> Result<Appended, TablesError> {
        self.table(schema)?.append(batch, Stream::Log, position).await
    }

    /// Appends derived rows as one commit under the transaction `number` of their own stream.
    ///
    /// # Errors
    /// When the rows do not fit the table or cannot be committed; the table is then as it was.
    pub async fn append_derived(
        &self,
        schema: &'static TableSchema,
        batch: RecordBatch,
        number: Position,
    ) -> Result<Appended, TablesError> {
        self.table(schema)?.append(batch, Stream::Derived, number).await
    }

    /// The last transaction of a table's derived rows; `None` before the first.
    ///
    /// # Errors
    /// When the table is not published.
    pub async fn derived_position_of(&self, schema: &TableSchema) -> Result<Option<Position>, TablesError> {
        Ok(self.table(schema)?.derived_position().await)
    }

    /// Streams every row of a table (all versions), or those that `filter` lets through, in no particular order and with
    /// the column types of [`TableSchema::arrow`].
    ///
    /// # Errors
    /// When the table cannot be loaded or the filter does not fit it.
    pub async fn scan(
        &self,
        schema: &'static TableSchema,
        filter: Option<Expr>,
    ) -> Result<SendableRecordBatchStream, TablesError> {
        let snapshot = self.table(schema)?.snapshot().await?;
        reader::scan(schema, &snapshot, filter).await
    }

    /// The days of which a table that is partitioned by day has files.
    ///
    /// # Errors
    /// When the table cannot be loaded.
    pub async fn days(&self, schema: &'static TableSchema) -> Result<BTreeSet<Day>, TablesError> {
        let snapshot = self.table(schema)?.snapshot().await?;
        files::days(schema, &snapshot).await
    }

    /// A figure of the data files of a table that are of these days or months (of all where it is not split): another, as good as
    /// certainly, once a row was added or files were compacted.
    ///
    /// # Errors
    /// When the table cannot be loaded.
    pub async fn files_digest(
        &self,
        schema: &'static TableSchema,
        parts: RangeInclusive<Day>,
    ) -> Result<u64, TablesError> {
        let snapshot = self.table(schema)?.snapshot().await?;
        files::digest(schema, &snapshot, parts).await
    }

    /// The newest snapshot of a table, for DataFusion.
    ///
    /// # Errors
    /// When the table cannot be loaded.
    pub async fn provider(
        &self,
        schema: &'static TableSchema,
    ) -> Result<Arc<dyn TableProvider>, TablesError> {
        let snapshot = self.table(schema)?.snapshot().await?;
        reader::provider(schema, &snapshot)
    }

    fn table(&self, schema: &TableSchema) -> Result<&Table, TablesError> {
        self.tables.get(schema.name).ok_or_else(|| TablesError::Unknown {
            table: schema.name.to_owned(),
        })
    }
}
