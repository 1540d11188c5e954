//! What the engine asks of the tables, so that recovery can be tested against tables that fail where a test wants them to.

use arrow::array::RecordBatch;
use futures::{StreamExt, stream::BoxStream};
use gridtally_ingest::log::Position;
use gridtally_schemas::table::TableSchema;

use crate::tables::{Appended, Tables};

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

    /// Every row of the table, in no order.
    ///
    /// # Errors
    /// When the table cannot be read.
    fn scan(
        &self,
        table: &'static TableSchema,
    ) -> impl Future<Output = Result<BoxStream<'static, Result<RecordBatch, StoreError>>, StoreError>> + Send;
}

impl Store for Tables {
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

    async fn scan(
        &self,
        table: &'static TableSchema,
    ) -> Result<BoxStream<'static, Result<RecordBatch, StoreError>>, StoreError> {
        let batches = Tables::scan(self, table, None).await?;
        Ok(batches.map(|batch| batch.map_err(StoreError::from)).boxed())
    }
}
