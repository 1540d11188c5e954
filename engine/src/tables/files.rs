//! The data files of a table: how rows become Parquet, and how files that were never committed go away.

use std::{
    collections::BTreeSet,
    hash::{DefaultHasher, Hash, Hasher},
    num::NonZeroU64,
    ops::RangeInclusive,
    sync::Arc,
};

use arrow::{
    array::RecordBatch,
    datatypes::{Schema, SchemaRef},
};
use deltalake::{
    DeltaTable, DeltaTableError,
    datafile::writer::{DeltaWriter, WriterConfig},
    kernel::Add,
    table::config::TablePropertiesExt,
};
use futures::TryStreamExt;
use gridtally_schemas::{Day, table::TableSchema};
use object_store::{ObjectStoreExt, path::Path};

use super::{
    TablesError,
    delta::Table,
    encoding::{Runs, properties_of},
};

/// The columns of a table, without table-level metadata, as files and batches have them.
pub(super) fn columns_of(schema: &TableSchema) -> SchemaRef {
    Arc::new(Schema::new(schema.arrow().fields().clone()))
}

/// A writer of data files that are not part of any version yet, of rows with such runs; files are cut at `bytes_target` where there is one.
pub(super) async fn writer_for(
    table: &Table,
    runs: Runs,
    bytes_target: Option<NonZeroU64>,
) -> Result<DeltaWriter, TablesError> {
    let failed = |source| TablesError::Load {
        table: table.schema().name,
        source,
    };
    let snapshot = table.known_snapshot().await;
    let indexed_columns = snapshot
        .snapshot()
        .map_err(failed)?
        .table_config()
        .num_indexed_cols();
    let config = WriterConfig::new(
        Arc::clone(&table.arrow),
        table.schema().partition.map(str::to_owned).into_iter().collect(),
        Some(properties_of(table.schema(), &table.arrow, runs)),
        bytes_target,
        None,
        indexed_columns,
        None,
    );
    Ok(DeltaWriter::new(table.files(), config))
}

/// Writes the rows, one file for each value of the partition column.
pub(super) async fn write(table: &Table, batch: RecordBatch) -> Result<Vec<Add>, TablesError> {
    let name = table.schema().name;
    let columns = batch.columns().to_vec();
    check_names(table, &batch)?;
    let batch = RecordBatch::try_new(Arc::clone(&table.arrow), columns)
        .map_err(|source| TablesError::Rows { table: name, source })?;
    let failed = |source| TablesError::Write { table: name, source };
    let mut writer = writer_for(table, Runs::of(table.schema(), &batch), None).await?;
    if let Err(error) = writer.write(&batch).await {
        abort(writer, name).await;
        return Err(failed(error));
    }
    writer.close().await.map_err(failed)
}

/// The days of the partitions that have files.
pub(super) async fn days(
    schema: &'static TableSchema,
    snapshot: &DeltaTable,
) -> Result<BTreeSet<Day>, TablesError> {
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
    let mut days = BTreeSet::new();
    while let Some(file) = files.try_next().await.map_err(failed)? {
        let of_file = file.partition_values_map().remove("day").flatten();
        days.extend(of_file.and_then(|text| Day::parse(&text)));
    }
    Ok(days)
}

/// A figure of the files of these partitions, whatever their order.
pub(super) async fn digest(
    schema: &'static TableSchema,
    snapshot: &DeltaTable,
    parts: RangeInclusive<Day>,
) -> Result<u64, TablesError> {
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
    let mut digest: u64 = 0;
    while let Some(file) = files.try_next().await.map_err(failed)? {
        let mut values = file.partition_values_map();
        let part = schema
            .partition
            .and_then(|column| values.remove(column).flatten());
        let part = part.and_then(|text| Day::parse(&text));
        if part.is_none_or(|part| parts.contains(&part)) {
            let mut hasher = DefaultHasher::new();
            file.path().hash(&mut hasher);
            digest = digest.wrapping_add(hasher.finish());
        }
    }
    Ok(digest)
}

/// Gives up what a writer began.
pub(super) async fn abort(writer: DeltaWriter, table: &'static str) {
    if let Err(error) = writer.abort().await {
        tracing::warn!(table, %error, "files of a failed write stay until the next vacuum");
    }
}

fn check_names(table: &Table, batch: &RecordBatch) -> Result<(), TablesError> {
    let given = batch.schema();
    let names = given.fields().iter().map(|field| field.name());
    if names.eq(table.arrow.fields().iter().map(|field| field.name())) {
        return Ok(());
    }
    let given: Vec<&str> = given.fields().iter().map(|field| field.name().as_str()).collect();
    Err(TablesError::Rows {
        table: table.schema().name,
        source: arrow::error::ArrowError::SchemaError(format!("columns are {}", given.join(", "))),
    })
}

/// Removes files that no version names; what cannot be removed is left to the next vacuum.
pub(super) async fn discard(table: &Table, adds: &[Add]) {
    let store = table.files();
    for add in adds {
        let removed = match Path::parse(&add.path) {
            Ok(path) => store.delete(&path).await.map_err(DeltaTableError::from),
            Err(error) => Err(error.into()),
        };
        if let Err(error) = removed {
            tracing::warn!(table = table.schema().name, file = add.path, %error, "an uncommitted file stays");
        }
    }
}

/// Number and total size of the files.
pub(super) fn totals(adds: &[Add]) -> (usize, u64) {
    let bytes = adds
        .iter()
        .map(|add| u64::try_from(add.size).unwrap_or_default())
        .sum();
    (adds.len(), bytes)
}

/// An error with its causes, on one line, for an event.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
