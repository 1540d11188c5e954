//! Compaction and vacuum: few, large, sorted files instead of many small ones, beside the appends.
//!
//! A file is small below half of [`FILE_BYTES_TARGET`]. The small files of one partition are rewritten together, sorted by
//! the table's key, when the day is closed and there are two or more, or when there are [`FILES_PER_PARTITION_MAX`]: so a
//! day that is being written is read quickly too. A file that is larger than all smaller ones together is left alone, so that a late
//! read does not rewrite its whole day: each time a byte is rewritten its file at least doubles, from a checkpoint's 10 kB to the target
//! at most 14 times, and of a day at most about as many files stay.

use std::{
    collections::{BTreeMap, HashSet},
    num::NonZeroU64,
    sync::Arc,
    time::{Duration, Instant},
};

use datafusion::{
    error::DataFusionError,
    execution::{SendableRecordBatchStream, memory_pool::FairSpillPool, runtime_env::RuntimeEnvBuilder},
    prelude::{SessionConfig, SessionContext, col},
};
use deltalake::{
    DeltaTable, DeltaTableError,
    datafile::writer::DeltaWriter,
    delta_datafusion::{DeltaScanConfig, DeltaScanNext},
    kernel::{Action, Add, Remove},
    protocol::{DeltaOperation, checkpoints::cleanup_expired_logs_for},
};
use futures::{StreamExt, TryStreamExt};
use gridtally_schemas::{
    table::TableSchema,
    time::{Clock, Day},
};
use object_store::{ObjectStoreExt, path::Path};

use super::{
    Tables, TablesError,
    delta::{Outcome, Table},
    effort::Step,
    encoding::Runs,
    files,
};

#[cfg(test)]
mod tests;

/// Size at which a compacted file is closed.
pub const FILE_BYTES_TARGET: u64 = 128 << 20;
/// Small files that a partition may have before it is compacted although its day is open.
pub const FILES_PER_PARTITION_MAX: usize = 32;
/// Memory of one compaction; a larger sort spills to the machine's temporary folder.
const MEMORY_BYTES: usize = 256 << 20;

/// What one call of [`Tables::compact`] did.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Compacted {
    /// Partitions rewritten.
    pub partitions: usize,
    /// Small files replaced.
    pub files_removed: usize,
    /// Files written instead.
    pub files_added: usize,
    /// Attempts given up because the table changed under them; the next call tries again.
    pub dropped: usize,
}

/// The small files of one partition, as the actions that will take them out.
type Plan = Vec<Remove>;

impl Tables {
    /// Rewrites the small files of a table, partition by partition, each as a commit of its own. Days before `open_from`
    /// are closed. Appends go on meanwhile; one call works on any table at a time.
    ///
    /// # Errors
    /// When files cannot be read or written. The table is then as it was.
    pub async fn compact(
        &self,
        schema: &'static TableSchema,
        open_from: Day,
    ) -> Result<Compacted, TablesError> {
        let table = self.table(schema)?;
        let snapshot = table.snapshot().await?;
        let mut done = Compacted::default();
        for plan in plans(schema, &snapshot, open_from).await? {
            let (began, removed) = (Instant::now(), plan.len());
            let written = rewrite(table, &snapshot, &plan).await;
            let (count, bytes) = written.as_deref().map_or((0, 0), files::totals);
            table.efforts.note(Step::Compaction, began, bytes);
            match replace(table, plan, written?).await? {
                Outcome::Committed => {
                    done.partitions += 1;
                    done.files_removed += removed;
                    done.files_added += count;
                }
                Outcome::Taken => done.dropped += 1,
            }
        }
        Ok(done)
    }

    /// Removes files that no version names any more: those that a compaction replaced, and those of writes that never
    /// were committed, both only once they are older than `keep_for` (readers of an older snapshot need the former,
    /// writes under way the latter). Gives the number of data files removed. Commits go too, once they are as old and a log
    /// checkpoint holds what they said. Beyond [`super::VERSIONS_KEPT_MAX`] the table itself has forgotten what it replaced.
    ///
    /// # Errors
    /// When files cannot be listed or removed.
    pub async fn vacuum(&self, schema: &'static TableSchema, keep_for: Duration) -> Result<u64, TablesError> {
        let table = self.table(schema)?;
        let began = Instant::now();
        let removed = vacuum(table, keep_for).await;
        table.efforts.note(Step::Vacuum, began, 0);
        removed.map_err(|source| TablesError::Vacuum {
            table: schema.name,
            source,
        })
    }
}

/// The partitions worth compacting, oldest first.
async fn plans(
    schema: &'static TableSchema,
    snapshot: &DeltaTable,
    open_from: Day,
) -> Result<Vec<Plan>, TablesError> {
    let failed = |source| TablesError::Load {
        table: schema.name,
        source,
    };
    let log_store = snapshot.log_store();
    let mut files = snapshot
        .snapshot()
        .map_err(failed)?
        .snapshot()
        .file_views(log_store.as_ref(), None);
    let mut partitions: BTreeMap<Option<String>, Vec<Small>> = BTreeMap::new();
    while let Some(file) = files.try_next().await.map_err(failed)? {
        let bytes = u64::try_from(file.size()).unwrap_or_default();
        if bytes >= FILE_BYTES_TARGET / 2 {
            continue;
        }
        let partition = schema
            .partition
            .and_then(|column| file.partition_values_map().remove(column).flatten());
        partitions.entry(partition).or_default().push(Small {
            bytes,
            remove: file.remove_action(false),
        });
    }
    let worth = |(partition, small): (Option<String>, Vec<Small>)| {
        let closed = partition
            .and_then(|text| Day::parse(&text))
            .is_some_and(|day| day < open_from);
        let enough = if closed { 2 } else { FILES_PER_PARTITION_MAX };
        (small.len() >= enough).then(|| plan_of(small))
    };
    let plans = partitions.into_iter().filter_map(worth);
    Ok(plans.filter(|plan| plan.len() >= 2).collect())
}

/// A file that may be rewritten.
#[derive(Debug)]
struct Small {
    bytes: u64,
    remove: Remove,
}

/// Those of a partition's files that are rewritten: all but those larger than all smaller ones together.
fn plan_of(mut small: Vec<Small>) -> Plan {
    small.sort_unstable_by(|a, b| (a.bytes, &a.remove.path).cmp(&(b.bytes, &b.remove.path)));
    let mut smaller_bytes: u64 = small.iter().map(|file| file.bytes).sum();
    while let Some(largest) = small.pop() {
        smaller_bytes -= largest.bytes;
        if largest.bytes <= smaller_bytes {
            small.push(largest);
            break;
        }
    }
    small.into_iter().map(|file| file.remove).collect()
}

/// Writes the rows of the planned files anew, sorted by the table's key.
async fn rewrite(table: &Table, snapshot: &DeltaTable, plan: &Plan) -> Result<Vec<Add>, TablesError> {
    let name = table.schema().name;
    let rows = sorted_rows(table.schema(), snapshot, plan)
        .await
        .map_err(|source| TablesError::Read { table: name, source })?;
    let mut writer = files::writer_for(table, Runs::Long, NonZeroU64::new(FILE_BYTES_TARGET)).await?;
    if let Err(error) = write_all(table, &mut writer, rows).await {
        files::abort(writer, name).await;
        return Err(error);
    }
    let mut added = writer
        .close()
        .await
        .map_err(|source| TablesError::Write { table: name, source })?;
    for add in &mut added {
        add.data_change = false;
    }
    Ok(added)
}

async fn write_all(
    table: &Table,
    writer: &mut DeltaWriter,
    mut rows: SendableRecordBatchStream,
) -> Result<(), TablesError> {
    let name = table.schema().name;
    while let Some(batch) = rows
        .try_next()
        .await
        .map_err(|source| TablesError::Read { table: name, source })?
    {
        let batch = batch
            .with_schema(Arc::clone(&table.arrow))
            .map_err(|source| TablesError::Rows { table: name, source })?;
        writer
            .write(&batch)
            .await
            .map_err(|source| TablesError::Write { table: name, source })?;
    }
    Ok(())
}

async fn sorted_rows(
    schema: &'static TableSchema,
    snapshot: &DeltaTable,
    plan: &Plan,
) -> Result<SendableRecordBatchStream, DataFusionError> {
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(FairSpillPool::new(MEMORY_BYTES)))
        .build_arc()?;
    let mut options = SessionConfig::new().with_target_partitions(1);
    options.options_mut().execution.parquet.schema_force_view_types = false;
    let context = SessionContext::new_with_config_rt(options, runtime);
    let mut config = DeltaScanConfig::new()
        .with_wrap_partition_values(false)
        .with_schema(files::columns_of(schema));
    config.schema_force_view_types = false;
    let state = snapshot
        .snapshot()
        .map_err(|error| DataFusionError::External(error.into()))?;
    let scan = DeltaScanNext::new(state.snapshot().clone(), config)?
        .with_file_paths(plan.iter().map(|file| file.path.clone()));
    let order = schema
        .key
        .iter()
        .map(|column| col(*column).sort(true, true))
        .collect();
    context
        .read_table(Arc::new(scan))?
        .sort(order)?
        .execute_stream()
        .await
}

/// Commits the exchange, unless a planned file is no longer there or somebody else commits first: then the new files go.
async fn replace(table: &Table, plan: Plan, added: Vec<Add>) -> Result<Outcome, TablesError> {
    let mut head = table.lock().await;
    table.reload(&mut head).await?;
    let standing = active_files(table).await?;
    let outcome = if plan.iter().all(|file| standing.contains(&file.path)) {
        let actions = plan
            .into_iter()
            .map(Action::Remove)
            .chain(added.iter().cloned().map(Action::Add))
            .collect();
        let operation = DeltaOperation::Optimize {
            predicate: None,
            target_size: i64::try_from(FILE_BYTES_TARGET).unwrap_or(i64::MAX),
        };
        table.commit(&mut head, actions, operation, Vec::new()).await?
    } else {
        Outcome::Taken
    };
    match outcome {
        Outcome::Committed => table.maintain_log(&head).await,
        Outcome::Taken => files::discard(table, &added).await,
    }
    Ok(outcome)
}

async fn active_files(table: &Table) -> Result<HashSet<String>, TablesError> {
    let failed = |source| TablesError::Load {
        table: table.schema().name,
        source,
    };
    let snapshot = table.snapshot().await?;
    let state = snapshot.snapshot().map_err(failed)?;
    state
        .snapshot()
        .file_views(table.log_store.as_ref(), None)
        .map_ok(|file| file.path().into_owned())
        .try_collect()
        .await
        .map_err(failed)
}

async fn vacuum(table: &Table, keep_for: Duration) -> Result<u64, DeltaTableError> {
    // Ages of files are measured on the machine's clock, by which the file system stamps them.
    let keep_micros = i64::try_from(keep_for.as_micros()).unwrap_or(i64::MAX);
    let now = Clock::system(0).now();
    let oldest_micros = now.0.saturating_sub(keep_micros);
    let store = table.files();
    // Listed before the snapshot is taken: a file that is committed meanwhile is in the snapshot.
    let listed: Vec<_> = store.list(None).try_collect().await?;
    let snapshot = table
        .snapshot()
        .await
        .map_err(|error| DeltaTableError::GenericError {
            source: Box::new(error),
        })?;
    let state = snapshot.snapshot()?;
    let mut kept: HashSet<String> = state
        .snapshot()
        .file_views(table.log_store.as_ref(), None)
        .map_ok(|file| file.object_store_path().to_string())
        .try_collect()
        .await?;
    let mut tombstones = state.all_tombstones(table.log_store.as_ref());
    while let Some(tombstone) = tombstones.next().await.transpose()? {
        let removed_micros = tombstone
            .deletion_timestamp()
            .unwrap_or_default()
            .saturating_mul(1_000);
        if removed_micros > oldest_micros {
            kept.insert(Path::from_url_path(tombstone.path().as_ref())?.to_string());
        }
    }
    let mut removed = 0;
    for file in listed {
        let path = file.location.to_string();
        let is_data = !path.starts_with("_delta_log/") && path.ends_with(".parquet");
        if is_data && !kept.contains(&path) && file.last_modified.timestamp_micros() < oldest_micros {
            store.delete(&file.location).await?;
            removed += 1;
        }
    }
    let oldest_millis = oldest_micros.div_euclid(1_000);
    cleanup_expired_logs_for(state.version(), table.log_store.as_ref(), oldest_millis, None).await?;
    Ok(removed)
}
