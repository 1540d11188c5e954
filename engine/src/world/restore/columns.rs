//! Columns of a table, read by name in the types that this program reads them in.

use std::{str::FromStr, sync::Arc};

use arrow::{
    array::{
        Array, AsArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int64Array, RecordBatch,
        StringArray, TimestampMicrosecondArray,
    },
    compute::cast,
    datatypes::{DataType, TimeUnit},
    error::ArrowError,
};
use gridtally_ingest::log::Position;
use gridtally_schemas::{UtcMicros, table::TableSchema};

use super::RestoreError;
use crate::state::Quarter;

/// A batch with its table's name, for reading columns by name.
pub(crate) struct Rows<'a> {
    pub(super) table: &'static str,
    batch: &'a RecordBatch,
}

impl<'a> Rows<'a> {
    pub(crate) fn of(table: &TableSchema, batch: &'a RecordBatch) -> Self {
        Self {
            table: table.name,
            batch,
        }
    }

    /// A column in the type that this program reads it in, whatever the reader of the file made of it.
    pub(crate) fn column(
        &self,
        column: &'static str,
        wanted: &DataType,
    ) -> Result<Arc<dyn Array>, RestoreError> {
        let error = |source| RestoreError::Column {
            table: self.table,
            column,
            source,
        };
        let missing = || ArrowError::SchemaError("there is no such column".to_owned());
        let array = self
            .batch
            .column_by_name(column)
            .ok_or_else(|| error(missing()))?;
        cast(array, wanted).map_err(error)
    }

    pub(crate) fn text(&self, column: &'static str) -> Result<StringArray, RestoreError> {
        Ok(self.column(column, &DataType::Utf8)?.as_string::<i32>().clone())
    }

    pub(crate) fn whole(&self, column: &'static str) -> Result<Int64Array, RestoreError> {
        Ok(self.column(column, &DataType::Int64)?.as_primitive().clone())
    }

    pub(crate) fn number(&self, column: &'static str) -> Result<Float64Array, RestoreError> {
        Ok(self.column(column, &DataType::Float64)?.as_primitive().clone())
    }

    pub(crate) fn money(&self, column: &'static str) -> Result<Decimal128Array, RestoreError> {
        Ok(self
            .column(column, &DataType::Decimal128(18, 2))?
            .as_primitive()
            .clone())
    }

    pub(super) fn small(&self, column: &'static str) -> Result<Float32Array, RestoreError> {
        Ok(self.column(column, &DataType::Float32)?.as_primitive().clone())
    }

    pub(crate) fn time(&self, column: &'static str) -> Result<TimestampMicrosecondArray, RestoreError> {
        let utc = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        Ok(self.column(column, &utc)?.as_primitive().clone())
    }

    pub(crate) fn day(&self, column: &'static str) -> Result<Date32Array, RestoreError> {
        Ok(self.column(column, &DataType::Date32)?.as_primitive().clone())
    }

    /// The rows that were emitted at or before `as_of`, with their positions.
    pub(crate) fn emitted(&self, as_of: Position) -> Result<Vec<(usize, Position)>, RestoreError> {
        let positions = self.whole("position")?;
        let of_row = |row| (row, Position(u64::try_from(positions.value(row)).unwrap_or(0)));
        Ok((0..self.batch.num_rows())
            .map(of_row)
            .filter(|(_, position)| *position <= as_of)
            .collect())
    }

    pub(crate) fn parse<T: FromStr>(&self, column: &'static str, text: &str) -> Result<T, RestoreError> {
        text.parse().map_err(|_| RestoreError::Cell {
            table: self.table,
            column,
            value: text.to_owned(),
        })
    }

    pub(crate) fn bad(&self, column: &'static str, value: &impl ToString) -> RestoreError {
        RestoreError::Cell {
            table: self.table,
            column,
            value: value.to_string(),
        }
    }

    pub(crate) fn quarter(&self, at: i64) -> Result<Quarter, RestoreError> {
        Quarter::ending(UtcMicros(at)).ok_or_else(|| self.bad("interval_end", &at))
    }
}

pub(crate) fn known<T>(array: &impl Array, row: usize, value: impl Fn(usize) -> T) -> Option<T> {
    array.is_valid(row).then(|| value(row))
}

/// When and from whom a master row was recorded.
pub(crate) struct Recorded {
    pub(crate) at: TimestampMicrosecondArray,
    pub(crate) source: StringArray,
}

impl Recorded {
    pub(crate) fn of(rows: &Rows<'_>) -> Result<Self, RestoreError> {
        Ok(Self {
            at: rows.time("recorded_at")?,
            source: rows.text("source")?,
        })
    }

    /// Both of one row.
    pub(crate) fn word(&self, row: usize) -> (UtcMicros, &str) {
        (UtcMicros(self.at.value(row)), self.source.value(row))
    }
}
