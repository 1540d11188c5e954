//! One Delta table: the newest version and position as its writer knows them, and the commit that moves them on.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use arrow::{array::RecordBatch, datatypes::SchemaRef};
use deltalake::{
    DeltaTable, DeltaTableError, StructType,
    kernel::{
        Action, Transaction,
        engine::arrow_conversion::TryIntoKernel,
        transaction::{CommitData, TransactionError},
    },
    logstore::{CommitOrBytes, LogStoreRef, ObjectStoreRef, StorageConfig, logstore_with},
    operations::create::CreateBuilder,
    protocol::{DeltaOperation, SaveMode, checkpoints},
};
use gridtally_ingest::log::Position;
use gridtally_schemas::table::TableSchema;
use tokio::sync::{Mutex, MutexGuard};
use url::Url;
use uuid::Uuid;

use super::{
    APPLICATION, APPLICATION_DERIVED, ATTEMPTS_MAX, Appended, COMMITS_PER_CHECKPOINT, TablesError,
    VERSIONS_KEPT_MAX_INTERVAL,
    effort::{Efforts, Step},
    files,
};
use crate::storage::DurableStore;

/// The newest version of a table that its writer knows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head {
    pub(super) version: u64,
    position: Option<Position>,
    derived: Option<Position>,
}

/// Which of a table's rows a commit holds; each stream counts its own transactions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stream {
    /// Rows that the log says.
    Log,
    /// Rows that are derived from them.
    Derived,
}

impl Stream {
    const fn application(self) -> &'static str {
        match self {
            Self::Log => APPLICATION,
            Self::Derived => APPLICATION_DERIVED,
        }
    }
}

impl Head {
    const fn standing(&self, stream: Stream) -> Option<Position> {
        match stream {
            Stream::Log => self.position,
            Stream::Derived => self.derived,
        }
    }
}

/// Whether a commit took its version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Committed,
    /// Somebody else took that version.
    Taken,
}

/// One table, open for writing.
pub(super) struct Table {
    schema: &'static TableSchema,
    /// The schema's columns without table-level metadata, as Parquet files and batches have them.
    pub(super) arrow: SchemaRef,
    pub(super) log_store: LogStoreRef,
    /// Held during a commit: one writer at a time.
    head: Mutex<Head>,
    /// The head's position once more, readable without waiting; 0 = none.
    position: AtomicU64,
    /// The state for readers, brought up to date on demand.
    reader: Mutex<DeltaTable>,
    pub(super) efforts: Arc<Efforts>,
}

impl std::fmt::Debug for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Table")
            .field("name", &self.schema.name)
            .field("position", &self.position())
            .finish_non_exhaustive()
    }
}

impl Table {
    /// Loads the table, or creates it.
    pub(super) async fn open(
        schema: &'static TableSchema,
        root: &Path,
        store: &DurableStore,
        efforts: &Arc<Efforts>,
    ) -> Result<Self, TablesError> {
        let log_store = log_store(schema, root, Arc::new(store.clone()))?;
        let failed = |source| TablesError::Load {
            table: schema.name,
            source,
        };
        let delta = match load(Arc::clone(&log_store)).await.map_err(failed)? {
            Some(delta) => delta,
            None => create(schema, Arc::clone(&log_store)).await.map_err(failed)?,
        };
        let arrow = files::columns_of(schema);
        check_schema(schema, &arrow, &delta)?;
        let head = head_of(schema, &delta).await?;
        Ok(Self {
            schema,
            arrow,
            log_store,
            position: AtomicU64::new(head.position.unwrap_or_default().0),
            head: Mutex::new(head),
            reader: Mutex::new(delta),
            efforts: Arc::clone(efforts),
        })
    }

    pub(super) const fn schema(&self) -> &'static TableSchema {
        self.schema
    }

    pub(super) fn position(&self) -> Option<Position> {
        match self.position.load(Ordering::Acquire) {
            0 => None,
            position => Some(Position(position)),
        }
    }

    pub(super) fn files(&self) -> ObjectStoreRef {
        self.log_store.object_store(None)
    }

    /// Waits for the commit under way, if any, and holds off the next.
    pub(super) async fn lock(&self) -> MutexGuard<'_, Head> {
        self.head.lock().await
    }

    /// The newest state of the table, whoever wrote it.
    pub(super) async fn snapshot(&self) -> Result<DeltaTable, TablesError> {
        let mut reader = self.reader.lock().await;
        reader.update_state().await.map_err(|source| TablesError::Load {
            table: self.schema.name,
            source,
        })?;
        Ok(reader.clone())
    }

    /// The state as last loaded, for what never changes in it.
    pub(super) async fn known_snapshot(&self) -> DeltaTable {
        self.reader.lock().await.clone()
    }

    /// The last transaction of derived rows.
    pub(super) async fn derived_position(&self) -> Option<Position> {
        self.lock().await.derived
    }

    pub(super) async fn append(
        &self,
        batch: RecordBatch,
        stream: Stream,
        position: Position,
    ) -> Result<Appended, TablesError> {
        let transaction = i64::try_from(position.0).map_err(|_| TablesError::Position { position })?;
        if batch.num_rows() == 0 {
            return Ok(Appended::Empty);
        }
        let mut head = self.lock().await;
        if let Some(standing) = head.standing(stream).filter(|standing| *standing >= position) {
            return Ok(Appended::Skipped { position: standing });
        }
        let began = Instant::now();
        let written = files::write(self, batch).await;
        let (count, bytes) = written.as_deref().map_or((0, 0), files::totals);
        self.efforts.note(Step::Files, began, bytes);
        let adds = written?;
        let actions: Vec<Action> = adds.iter().cloned().map(Action::Add).collect();
        for _ in 0..ATTEMPTS_MAX {
            let operation = self.append_operation();
            let commit = vec![Transaction::new(stream.application(), transaction)];
            match self.commit(&mut head, actions.clone(), operation, commit).await? {
                Outcome::Committed => {
                    match stream {
                        Stream::Log => {
                            head.position = Some(position);
                            self.position.store(position.0, Ordering::Release);
                        }
                        Stream::Derived => head.derived = Some(position),
                    }
                    self.maintain_log(&head).await;
                    return Ok(Appended::Committed {
                        version: head.version,
                        files: count,
                        bytes,
                    });
                }
                Outcome::Taken => self.reload(&mut head).await?,
            }
            if let Some(standing) = head.standing(stream).filter(|standing| *standing >= position) {
                files::discard(self, &adds).await;
                return Ok(Appended::Skipped { position: standing });
            }
        }
        files::discard(self, &adds).await;
        Err(TablesError::Contended {
            table: self.schema.name,
            attempts: ATTEMPTS_MAX,
        })
    }

    fn append_operation(&self) -> DeltaOperation {
        DeltaOperation::Write {
            mode: SaveMode::Append,
            partition_by: self.schema.partition.map(|column| vec![column.to_owned()]),
            predicate: None,
        }
    }

    /// Writes the version after `head`, and moves `head` on when that succeeds.
    pub(super) async fn commit(
        &self,
        head: &mut Head,
        actions: Vec<Action>,
        operation: DeltaOperation,
        transactions: Vec<Transaction>,
    ) -> Result<Outcome, TablesError> {
        let version = head.version.saturating_add(1);
        let failed = |source: TransactionError| TablesError::Commit {
            table: self.schema.name,
            version,
            source: source.into(),
        };
        let began = Instant::now();
        let entry = CommitData::new(actions, operation, std::collections::HashMap::new(), transactions)
            .get_bytes()
            .map_err(failed)?;
        let written = self
            .log_store
            .write_commit_entry(version, CommitOrBytes::LogBytes(entry), Uuid::new_v4())
            .await;
        self.efforts.note(Step::Commit, began, 0);
        match written {
            Ok(()) => {
                head.version = version;
                Ok(Outcome::Committed)
            }
            Err(TransactionError::VersionAlreadyExists(_)) => Ok(Outcome::Taken),
            Err(error) => Err(failed(error)),
        }
    }

    /// Learns the newest version and position from the table itself.
    pub(super) async fn reload(&self, head: &mut Head) -> Result<(), TablesError> {
        let delta = self.snapshot().await?;
        *head = head_of(self.schema, &delta).await?;
        self.position
            .store(head.position.unwrap_or_default().0, Ordering::Release);
        Ok(())
    }

    /// Writes a log checkpoint when it is time. Its failure costs speed, not data: it is logged, and the next time tries again.
    pub(super) async fn maintain_log(&self, head: &Head) {
        if !head.version.is_multiple_of(COMMITS_PER_CHECKPOINT) {
            return;
        }
        let began = Instant::now();
        let maintained = async {
            let delta = self.snapshot().await?;
            let failed = |source| TablesError::Vacuum {
                table: self.schema.name,
                source,
            };
            checkpoints::create_checkpoint(&delta, None).await.map_err(failed)
        };
        let maintained = maintained.await;
        self.efforts.note(Step::LogCheckpoint, began, 0);
        match maintained {
            Ok(()) => {
                tracing::debug!(table = self.schema.name, version = head.version, "log checkpoint");
            }
            Err(error) => tracing::warn!(
                table = self.schema.name,
                version = head.version,
                error = %crate::tables::files::chain(&error),
                "the checkpoint of a table's log failed"
            ),
        }
    }
}

/// The log store of a table whose files go through `store`, which is rooted at `/`.
pub(super) fn log_store(
    schema: &'static TableSchema,
    root: &Path,
    store: ObjectStoreRef,
) -> Result<LogStoreRef, TablesError> {
    let directory = root.join(schema.name);
    let url = Url::from_directory_path(&directory).map_err(|()| TablesError::Path { path: directory })?;
    logstore_with(store, &url, StorageConfig::default()).map_err(|source| TablesError::Load {
        table: schema.name,
        source,
    })
}

/// The table as it stands; `None` when it has not been created.
pub(super) async fn load(log_store: LogStoreRef) -> Result<Option<DeltaTable>, DeltaTableError> {
    match log_store.is_delta_table_location().await {
        Ok(true) => {}
        Ok(false) => return Ok(None),
        Err(DeltaTableError::ObjectStore {
            source: object_store::Error::NotFound { .. },
        }) => return Ok(None),
        Err(error) => return Err(error),
    }
    let mut delta = DeltaTable::new(log_store);
    delta.load().await?;
    Ok(Some(delta))
}

async fn create(schema: &'static TableSchema, log_store: LogStoreRef) -> Result<DeltaTable, DeltaTableError> {
    let columns: StructType = schema.arrow().as_ref().try_into_kernel()?;
    CreateBuilder::new()
        .with_log_store(log_store)
        .with_table_name(schema.name)
        .with_comment(schema.about)
        .with_columns(columns.fields().cloned())
        .with_partition_columns(schema.partition)
        .with_configuration([
            ("delta.appendOnly".to_owned(), Some("true".to_owned())),
            (
                "delta.checkpointInterval".to_owned(),
                Some(COMMITS_PER_CHECKPOINT.to_string()),
            ),
            (
                "delta.logRetentionDuration".to_owned(),
                Some(VERSIONS_KEPT_MAX_INTERVAL.to_owned()),
            ),
            (
                "delta.deletedFileRetentionDuration".to_owned(),
                Some(VERSIONS_KEPT_MAX_INTERVAL.to_owned()),
            ),
        ])
        .with_save_mode(SaveMode::Ignore)
        .await
}

async fn head_of(schema: &'static TableSchema, delta: &DeltaTable) -> Result<Head, TablesError> {
    let failed = |source| TablesError::Load {
        table: schema.name,
        source,
    };
    let state = delta.snapshot().map_err(failed)?;
    let mut standing = [None; 2];
    for (place, stream) in standing.iter_mut().zip([Stream::Log, Stream::Derived]) {
        let transaction = state
            .transaction_version(delta.log_store().as_ref(), stream.application())
            .await
            .map_err(failed)?;
        *place = transaction
            .and_then(|position| u64::try_from(position).ok())
            .map(Position);
    }
    let [position, derived] = standing;
    Ok(Head {
        version: state.version(),
        position,
        derived,
    })
}

fn check_schema(
    schema: &'static TableSchema,
    ours: &SchemaRef,
    delta: &DeltaTable,
) -> Result<(), TablesError> {
    let stored = delta
        .snapshot()
        .map_err(|source| TablesError::Load {
            table: schema.name,
            source,
        })?
        .snapshot()
        .arrow_schema();
    let ours: Vec<String> = ours.fields().iter().map(|field| describe(field)).collect();
    let stored: Vec<String> = stored.fields().iter().map(|field| describe(field)).collect();
    if ours == stored {
        return Ok(());
    }
    let difference = ours
        .iter()
        .find(|column| !stored.contains(column))
        .map(|column| format!("it has no column `{column}`"))
        .or_else(|| {
            stored
                .iter()
                .find(|column| !ours.contains(column))
                .map(|column| format!("it has a column `{column}`"))
        })
        .unwrap_or_else(|| "its columns have another order".to_owned());
    Err(TablesError::Schema {
        table: schema.name,
        difference,
    })
}

fn describe(field: &arrow::datatypes::Field) -> String {
    format!("{} {}", field.name(), field.data_type())
}
