//! What the engine asks of the tables, so that recovery can be tested against tables that fail where a test wants them to.

use std::{collections::BTreeSet, ops::RangeInclusive, time::Duration};

use arrow::array::RecordBatch;
use datafusion::{
    prelude::{col, lit},
    scalar::ScalarValue,
};
use futures::{StreamExt, stream::BoxStream};
use gridtally_ingest::log::Position;
use gridtally_schemas::{
    Day, MeterId,
    table::{self, TableSchema},
};

use crate::tables::{Appended, Compacted, Effort, Tables};

/// Most ids that a scan of a day names one by one; of more it names the range.
const IDS_LISTED_MAX: usize = 2_048;

/// Why a table could not be read or written.
pub type StoreError = Box<dyn std::error::Error + Send + Sync>;

/// Tables with an application transaction each.
pub trait Store: Send + Sync + 'static {
    /// Commits rows under the transaction `position`. `false`: the table has that transaction or a later one, and took nothing.
    ///
    /// # Errors
    /// When they cannot be committed; the table is then as it was.
    fn append(
        &self,
        table: &'static TableSchema,
        rows: RecordBatch,
        position: Position,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// The table's last transaction; `None` before the first.
    ///
    /// # Errors
    /// When the table cannot be read.
    fn position_of(
        &self,
        table: &'static TableSchema,
    ) -> impl Future<Output = Result<Option<Position>, StoreError>> + Send;

    /// Commits derived rows of a table that the log says: as [`Store::append`], under transactions of their own.
    ///
    /// # Errors
    /// When they cannot be committed; the table is then as it was.
    fn append_derived(
        &self,
        table: &'static TableSchema,
        rows: RecordBatch,
        number: Position,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// The last transaction of a table's derived rows; `None` before the first.
    ///
    /// # Errors
    /// When the table cannot be read.
    fn derived_position_of(
        &self,
        table: &'static TableSchema,
    ) -> impl Future<Output = Result<Option<Position>, StoreError>> + Send;

    /// Every row of the table, in no order.
    ///
    /// # Errors
    /// When the table cannot be read.
    fn scan(
        &self,
        table: &'static TableSchema,
    ) -> impl Future<Output = Result<BoxStream<'static, Result<RecordBatch, StoreError>>, StoreError>> + Send;

    /// The civil days of which a table that is partitioned by day has rows.
    ///
    /// # Errors
    /// When the table cannot be read.
    fn days(
        &self,
        table: &'static TableSchema,
    ) -> impl Future<Output = Result<BTreeSet<Day>, StoreError>> + Send;

    /// A figure of the data files of a table that are of these civil days or months (as the table is split; of all where it is not): where
    /// it is the same, so are the rows.
    ///
    /// # Errors
    /// When the table cannot be read.
    fn files_digest(
        &self,
        table: &'static TableSchema,
        parts: RangeInclusive<Day>,
    ) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// The rows of a table that are of this civil day or month (as the table is split) and whose first key column is one of `ids` (none
    /// named: of all), and perhaps others, in no order.
    ///
    /// # Errors
    /// When the table cannot be read.
    fn scan_part(
        &self,
        table: &'static TableSchema,
        part: Day,
        ids: &BTreeSet<String>,
    ) -> impl Future<Output = Result<BoxStream<'static, Result<RecordBatch, StoreError>>, StoreError>> + Send;

    /// The rows of a table whose whole number in `column` is greater than `number`, and perhaps others, in no order.
    ///
    /// # Errors
    /// When the table cannot be read.
    fn scan_after(
        &self,
        table: &'static TableSchema,
        column: &'static str,
        number: i64,
    ) -> impl Future<Output = Result<BoxStream<'static, Result<RecordBatch, StoreError>>, StoreError>> + Send;

    /// The rows of `quarantine` that are of these meters, and perhaps others, in no order.
    ///
    /// # Errors
    /// When the table cannot be read.
    fn quarantined(
        &self,
        meters: &BTreeSet<MeterId>,
    ) -> impl Future<Output = Result<BoxStream<'static, Result<RecordBatch, StoreError>>, StoreError>> + Send;

    /// Rewrites small files as few large ones, beside appends; days before `open_from` are closed. No row changes.
    ///
    /// # Errors
    /// When files cannot be read or written; the table is then as it was.
    fn compact(
        &self,
        table: &'static TableSchema,
        open_from: Day,
    ) -> impl Future<Output = Result<Compacted, StoreError>> + Send;

    /// Removes what only versions older than `versions_kept` need. Gives the number of data files removed.
    ///
    /// # Errors
    /// When files cannot be listed or removed.
    fn vacuum(
        &self,
        table: &'static TableSchema,
        versions_kept: Duration,
    ) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// What writing has cost since the tables were opened.
    fn effort(&self) -> Effort;
}

impl Store for Tables {
    fn effort(&self) -> Effort {
        Tables::effort(self)
    }

    async fn append(
        &self,
        table: &'static TableSchema,
        rows: RecordBatch,
        position: Position,
    ) -> Result<bool, StoreError> {
        match Tables::append(self, table, rows, position).await? {
            Appended::Committed { .. } | Appended::Empty => Ok(true),
            Appended::Skipped { .. } => Ok(false),
        }
    }

    async fn position_of(&self, table: &'static TableSchema) -> Result<Option<Position>, StoreError> {
        Ok(Tables::position_of(self, table))
    }

    async fn append_derived(
        &self,
        table: &'static TableSchema,
        rows: RecordBatch,
        number: Position,
    ) -> Result<bool, StoreError> {
        match Tables::append_derived(self, table, rows, number).await? {
            Appended::Committed { .. } | Appended::Empty => Ok(true),
            Appended::Skipped { .. } => Ok(false),
        }
    }

    async fn derived_position_of(&self, table: &'static TableSchema) -> Result<Option<Position>, StoreError> {
        Ok(Tables::derived_position_of(self, table).await?)
    }

    async fn scan(
        &self,
        table: &'static TableSchema,
    ) -> Result<BoxStream<'static, Result<RecordBatch, StoreError>>, StoreError> {
        let batches = Tables::scan(self, table, None).await?;
        Ok(batches.map(|batch| batch.map_err(StoreError::from)).boxed())
    }

    async fn days(&self, table: &'static TableSchema) -> Result<BTreeSet<Day>, StoreError> {
        Ok(Tables::days(self, table).await?)
    }

    async fn files_digest(
        &self,
        table: &'static TableSchema,
        parts: RangeInclusive<Day>,
    ) -> Result<u64, StoreError> {
        Ok(Tables::files_digest(self, table, parts).await?)
    }

    async fn scan_part(
        &self,
        table: &'static TableSchema,
        part: Day,
        ids: &BTreeSet<String>,
    ) -> Result<BoxStream<'static, Result<RecordBatch, StoreError>>, StoreError> {
        let split_by = table.partition.unwrap_or("day");
        let mut filter = col(split_by).eq(lit(ScalarValue::Date32(Some(part.0))));
        // Files are sorted by the key and numbers of neighbours are often near: a range skips most of a day's pages.
        if let (Some(id), Some(first), Some(last)) = (table.key.first(), ids.first(), ids.last()) {
            filter = filter.and(col(*id).between(lit(first.as_str()), lit(last.as_str())));
            if ids.len() <= IDS_LISTED_MAX {
                let listed = ids.iter().map(|id| lit(id.as_str())).collect();
                filter = filter.and(col(*id).in_list(listed, false));
            }
        }
        let batches = Tables::scan(self, table, Some(filter)).await?;
        Ok(batches.map(|batch| batch.map_err(StoreError::from)).boxed())
    }

    async fn scan_after(
        &self,
        table: &'static TableSchema,
        column: &'static str,
        number: i64,
    ) -> Result<BoxStream<'static, Result<RecordBatch, StoreError>>, StoreError> {
        let batches = Tables::scan(self, table, Some(col(column).gt(lit(number)))).await?;
        Ok(batches.map(|batch| batch.map_err(StoreError::from)).boxed())
    }

    async fn quarantined(
        &self,
        meters: &BTreeSet<MeterId>,
    ) -> Result<BoxStream<'static, Result<RecordBatch, StoreError>>, StoreError> {
        let ids = meters.iter().map(|meter| lit(meter.as_str())).collect();
        let filter = col("meter_id").in_list(ids, false);
        let batches = Tables::scan(self, &table::QUARANTINE, Some(filter)).await?;
        Ok(batches.map(|batch| batch.map_err(StoreError::from)).boxed())
    }

    async fn compact(&self, table: &'static TableSchema, open_from: Day) -> Result<Compacted, StoreError> {
        Ok(Tables::compact(self, table, open_from).await?)
    }

    async fn vacuum(&self, table: &'static TableSchema, versions_kept: Duration) -> Result<u64, StoreError> {
        Ok(Tables::vacuum(self, table, versions_kept).await?)
    }
}
