//! The tables as they stand when verification begins, and queries over them.

use std::{collections::BTreeMap, sync::Arc};

use arrow::{
    array::{ArrowPrimitiveType, AsArray, PrimitiveArray, RecordBatch, StringArray},
    compute::cast,
    datatypes::DataType,
    error::ArrowError,
};
use datafusion::{
    catalog::TableProvider,
    dataframe::DataFrame,
    datasource::empty::EmptyTable,
    error::DataFusionError,
    execution::SendableRecordBatchStream,
    prelude::{Expr, SessionConfig, SessionContext, col, lit},
    scalar::ScalarValue,
};
use gridtally_ingest::log::Position;
use gridtally_schemas::{
    Day, UtcMicros,
    table::{self, TableSchema},
};

use super::{Limits, VerifyError};
use crate::{engine::StoreError, state::Quality, tables::TablesReader, world::restore::RestoreError};

/// Where verification reads.
pub trait Source: Send + Sync {
    /// The newest snapshot of a table; `None` when the table has not been created yet.
    fn provider(
        &self,
        table: &'static TableSchema,
    ) -> impl Future<Output = Result<Option<Arc<dyn TableProvider>>, StoreError>> + Send;
}

impl Source for TablesReader {
    async fn provider(
        &self,
        table: &'static TableSchema,
    ) -> Result<Option<Arc<dyn TableProvider>>, StoreError> {
        Ok(Self::provider(self, table).await?)
    }
}

/// What is read, in the order in which snapshots are taken: `checkpoints` first, so that all others hold at least what the
/// last checkpoint in it wrote.
static READ: [&TableSchema; 10] = [
    &table::CHECKPOINTS,
    &table::NODES,
    &table::METERS,
    &table::CONNECTIONS,
    &table::INTERVAL_READS,
    &table::DT_BALANCE,
    &table::FEEDER_BALANCE,
    &table::NODE_BALANCE_DAILY,
    &table::BILLING,
    &table::BILLING_ADJUSTMENTS,
];

/// One snapshot of every table.
pub(super) struct Snapshot {
    context: SessionContext,
    providers: BTreeMap<&'static str, Arc<dyn TableProvider>>,
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot")
            .field("tables", &self.providers.keys())
            .finish_non_exhaustive()
    }
}

impl Snapshot {
    pub(super) async fn take(source: &impl Source, limits: Limits) -> Result<Self, VerifyError> {
        let mut config = SessionConfig::new().with_target_partitions(limits.threads.max(1));
        let parquet = &mut config.options_mut().execution.parquet;
        parquet.schema_force_view_types = false;
        parquet.pushdown_filters = true;
        let mut providers = BTreeMap::new();
        for table in READ {
            let provider = source.provider(table).await.map_err(|source| VerifyError::Read {
                table: table.name,
                source,
            })?;
            let empty = || -> Arc<dyn TableProvider> { Arc::new(EmptyTable::new(table.arrow())) };
            providers.insert(table.name, provider.unwrap_or_else(empty));
        }
        Ok(Self {
            context: SessionContext::new_with_config(config),
            providers,
        })
    }

    /// The rows of a table that `filter` lets through.
    pub(super) fn rows(
        &self,
        table: &'static TableSchema,
        filter: Option<Expr>,
    ) -> Result<Query, VerifyError> {
        let provider = self.providers.get(table.name).map(Arc::clone);
        let provider = provider.unwrap_or_else(|| Arc::new(EmptyTable::new(table.arrow())));
        let frame = self.context.read_table(provider);
        let frame = frame.and_then(|frame| match filter {
            Some(filter) => frame.filter(filter),
            None => Ok(frame),
        });
        Ok(Query {
            table: table.name,
            frame: frame.map_err(|source| failed(table.name, source))?,
        })
    }
}

/// A query of one table.
#[derive(Debug)]
pub(super) struct Query {
    table: &'static str,
    frame: DataFrame,
}

impl Query {
    /// Only these columns.
    pub(super) fn columns(self, names: &[&str]) -> Result<Self, VerifyError> {
        let frame = self.frame.select_columns(names);
        Ok(Self {
            table: self.table,
            frame: frame.map_err(|source| failed(self.table, source))?,
        })
    }

    /// Each row once.
    pub(super) fn distinct(self) -> Result<Self, VerifyError> {
        let frame = self.frame.distinct();
        Ok(Self {
            table: self.table,
            frame: frame.map_err(|source| failed(self.table, source))?,
        })
    }

    /// The rows as streams that can be read at the same time.
    pub(super) async fn streams(self) -> Result<Vec<SendableRecordBatchStream>, VerifyError> {
        let streams = self.frame.execute_stream_partitioned().await;
        streams.map_err(|source| failed(self.table, source))
    }

    /// The rows as one stream.
    pub(super) async fn stream(self) -> Result<SendableRecordBatchStream, VerifyError> {
        let stream = self.frame.execute_stream().await;
        stream.map_err(|source| failed(self.table, source))
    }

    /// All rows.
    pub(super) async fn collect(self) -> Result<Vec<RecordBatch>, VerifyError> {
        let batches = self.frame.collect().await;
        batches.map_err(|source| failed(self.table, source))
    }
}

pub(super) fn failed(table: &'static str, source: DataFusionError) -> VerifyError {
    VerifyError::Read {
        table,
        source: Box::new(source),
    }
}

/// `day` lies from one day to another, both included.
pub(super) fn days_between(from: Day, to: Day) -> Expr {
    let date = |day: Day| lit(ScalarValue::Date32(Some(day.0)));
    col("day").between(date(from), date(to))
}

/// Published at or before an instant.
pub(super) fn published_until(instant: UtcMicros) -> Expr {
    let at = ScalarValue::TimestampMicrosecond(Some(instant.0), Some("UTC".into()));
    col("published_at").lt_eq(lit(at))
}

/// Emitted at or before a record.
fn emitted_until(position: Position) -> Expr {
    col("position").lt_eq(lit(i64::try_from(position.0).unwrap_or(i64::MAX)))
}

/// The rows of `interval_reads` that stand as of a checkpoint. What was said is there up to its position; what is derived (estimates, and
/// that there is none any more) is published as balances are, as the difference to the table, and is there up to its moment.
pub(super) fn standing_reads(position: Position, published_at: UtcMicros) -> Expr {
    let said = (!is_derived()).and(emitted_until(position));
    said.or(is_derived().and(published_until(published_at)))
}

/// Whether a row of `interval_reads` is derived, and said by nobody.
pub(super) fn is_derived() -> Expr {
    let words = [Quality::Missing, Quality::Estimated].map(|quality| lit(quality.as_str()));
    col("quality").in_list(words.to_vec(), false)
}

/// A column of a batch in the type that it is read in.
pub(super) fn array<T: ArrowPrimitiveType>(
    table: &'static str,
    batch: &RecordBatch,
    column: &'static str,
) -> Result<PrimitiveArray<T>, VerifyError> {
    array_as(table, batch, column, &T::DATA_TYPE)
}

/// Instants as microseconds of UTC.
pub(super) fn times(
    table: &'static str,
    batch: &RecordBatch,
    column: &'static str,
) -> Result<PrimitiveArray<arrow::datatypes::TimestampMicrosecondType>, VerifyError> {
    let utc = DataType::Timestamp(arrow::datatypes::TimeUnit::Microsecond, Some("UTC".into()));
    array_as(table, batch, column, &utc)
}

fn array_as<T: ArrowPrimitiveType>(
    table: &'static str,
    batch: &RecordBatch,
    column: &'static str,
    wanted: &DataType,
) -> Result<PrimitiveArray<T>, VerifyError> {
    let error = |source| {
        VerifyError::Raw(RestoreError::Column {
            table,
            column,
            source,
        })
    };
    let array = cast(found(table, batch, column)?, wanted).map_err(error)?;
    let array = array.as_primitive_opt::<T>().cloned();
    array.ok_or_else(|| error(ArrowError::CastError("another type".to_owned())))
}

/// A column of text.
pub(super) fn texts(
    table: &'static str,
    batch: &RecordBatch,
    column: &'static str,
) -> Result<StringArray, VerifyError> {
    let error = |source| {
        VerifyError::Raw(RestoreError::Column {
            table,
            column,
            source,
        })
    };
    let array = cast(found(table, batch, column)?, &DataType::Utf8).map_err(error)?;
    Ok(array.as_string::<i32>().clone())
}

fn found<'a>(
    table: &'static str,
    batch: &'a RecordBatch,
    column: &'static str,
) -> Result<&'a arrow::array::ArrayRef, VerifyError> {
    batch.column_by_name(column).ok_or_else(|| {
        let source = ArrowError::SchemaError("there is no such column".to_owned());
        VerifyError::Raw(RestoreError::Column {
            table,
            column,
            source,
        })
    })
}
