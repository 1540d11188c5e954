//! Parquet with the columns of the CSV files, of whatever type can say the same thing.
//!
//! Text may be plain, large, a view or a dictionary; integers of any width; floats and decimals; timestamps of any unit with
//! a zone. A timestamp without zone is refused: nobody can say which instant it means.

use std::panic::{AssertUnwindSafe, catch_unwind};

use arrow::{
    array::{Array, ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, StringViewArray, UInt64Array},
    compute::{CastOptions, cast_with_options},
    datatypes::{DataType, Float64Type, Int64Type, Schema, TimeUnit, UInt64Type},
    error::ArrowError,
};
use gridtally_schemas::UtcMicros;
use parquet::{
    arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder},
    errors::ParquetError,
    file::reader::ChunkReader,
};

use super::cell::Cell;

/// Rows decoded at a time.
const BATCH_ROWS: usize = 8_192;

/// Why a Parquet file cannot be read on.
#[derive(Debug, thiserror::Error)]
pub enum ParquetReadError {
    /// Not Parquet, damaged, or compressed in a way that is not supported.
    #[error("not readable as Parquet")]
    Parquet(#[from] ParquetError),
    /// Damaged inside its pages, or a value that its type cannot hold.
    #[error("a page cannot be decoded")]
    Arrow(#[from] ArrowError),
    /// The decoder gave up on it; the file is damaged.
    #[error("the file is damaged: its decoder failed")]
    Decoder,
    /// A column whose type cannot say what is needed.
    #[error("column {column} is {found}; {expected}")]
    Type {
        /// The column.
        column: String,
        /// Its type.
        found: String,
        /// What it should be.
        expected: &'static str,
    },
}

/// Reader of rows.
#[derive(Debug)]
pub(crate) struct ParquetRows {
    reader: ParquetRecordBatchReader,
    /// Columns of the file, for the batch that is current.
    columns: Vec<Values>,
    rows: usize,
    /// Row in the batch that comes next; the current one is before it.
    next: usize,
    /// Number of the current row in the file, from 1.
    number: u64,
}

impl ParquetRows {
    /// Opens a file; gives its column names too.
    ///
    /// # Errors
    /// [`ParquetReadError`] when it is not Parquet or a column has a type of no use.
    pub(crate) fn open(input: impl ChunkReader + 'static) -> Result<(Self, Vec<String>), ParquetReadError> {
        guarded(move || {
            let builder = ParquetRecordBatchReaderBuilder::try_new(input)?;
            let names = check_types(builder.schema())?;
            let reader = builder.with_batch_size(BATCH_ROWS).build()?;
            let rows = Self {
                reader,
                columns: Vec::new(),
                rows: 0,
                next: 0,
                number: 0,
            };
            Ok((rows, names))
        })
    }

    /// Reads the next row; false at the end.
    ///
    /// # Errors
    /// [`ParquetReadError`] when the file is damaged further on.
    pub(crate) fn step(&mut self) -> Result<bool, ParquetReadError> {
        while self.next >= self.rows {
            let reader = &mut self.reader;
            let batch = guarded(move || match reader.next() {
                Some(batch) => Ok(Some(columns_of(&batch?)?)),
                None => Ok(None),
            })?;
            let Some((columns, rows)) = batch else {
                return Ok(false);
            };
            (self.columns, self.rows, self.next) = (columns, rows, 0);
        }
        self.next += 1;
        self.number += 1;
        Ok(true)
    }

    /// Number of the current row, from 1.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// A cell of the current row.
    pub(crate) fn cell(&self, field: usize) -> Cell<'_> {
        match (self.columns.get(field), self.next.checked_sub(1)) {
            (Some(values), Some(row)) => values.cell(row),
            _ => Cell::Null,
        }
    }
}

/// Runs a decoder that is not ours so that a panic in it is an error of the file.
fn guarded<T>(decode: impl FnOnce() -> Result<T, ParquetReadError>) -> Result<T, ParquetReadError> {
    catch_unwind(AssertUnwindSafe(decode)).unwrap_or(Err(ParquetReadError::Decoder))
}

fn check_types(schema: &Schema) -> Result<Vec<String>, ParquetReadError> {
    for field in schema.fields() {
        if let Some(expected) = unusable(field.data_type()) {
            return Err(ParquetReadError::Type {
                column: super::cell::shown(field.name()).to_owned(),
                found: field.data_type().to_string(),
                expected,
            });
        }
    }
    Ok(schema.fields().iter().map(|field| field.name().clone()).collect())
}

/// What is expected instead of a type of no use; `None` for a useful one.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the types are Arrow's, and only some are of use"
)]
fn unusable(data_type: &DataType) -> Option<&'static str> {
    match data_type {
        DataType::Timestamp(_, None) => Some("a timestamp needs a zone (in Parquet: isAdjustedToUTC)"),
        DataType::Dictionary(_, values) => unusable(values),
        other if form_of(other).is_some() => None,
        _ => Some("text, numbers and timestamps only"),
    }
}

#[derive(Debug, Clone, Copy)]
enum Form {
    Null,
    Text,
    Integer,
    Unsigned,
    Float,
    Time(TimeUnit),
}

fn form_of(data_type: &DataType) -> Option<Form> {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "Arrow's enum; what is not listed is of no use"
    )]
    match data_type {
        DataType::Null => Some(Form::Null),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Some(Form::Text),
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => Some(Form::Integer),
        DataType::UInt8 | DataType::UInt16 | DataType::UInt32 => Some(Form::Integer),
        DataType::UInt64 => Some(Form::Unsigned),
        DataType::Float16 | DataType::Float32 | DataType::Float64 => Some(Form::Float),
        DataType::Decimal32(..)
        | DataType::Decimal64(..)
        | DataType::Decimal128(..)
        | DataType::Decimal256(..) => Some(Form::Float),
        DataType::Timestamp(unit, Some(_)) => Some(Form::Time(*unit)),
        DataType::Dictionary(_, values) => form_of(values),
        _ => None,
    }
}

/// A column of a batch, in the few forms that cells are read from.
#[derive(Debug)]
enum Values {
    Null,
    Text(StringViewArray),
    Integer(Int64Array),
    Unsigned(UInt64Array),
    Float(Float64Array),
    Time(Int64Array, TimeUnit),
}

fn columns_of(batch: &RecordBatch) -> Result<(Vec<Values>, usize), ParquetReadError> {
    let columns = batch.columns().iter().map(values_of).collect::<Result<_, _>>()?;
    Ok((columns, batch.num_rows()))
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the types are Arrow's")]
fn values_of(array: &ArrayRef) -> Result<Values, ParquetReadError> {
    let options = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    let to = |data_type: &DataType| cast_with_options(array, data_type, &options);
    Ok(match form_of(array.data_type()) {
        Some(Form::Text) => Values::Text(to(&DataType::Utf8View)?.as_string_view().clone()),
        Some(Form::Integer) => Values::Integer(to(&DataType::Int64)?.as_primitive::<Int64Type>().clone()),
        Some(Form::Unsigned) => Values::Unsigned(to(&DataType::UInt64)?.as_primitive::<UInt64Type>().clone()),
        Some(Form::Float) => Values::Float(to(&DataType::Float64)?.as_primitive::<Float64Type>().clone()),
        Some(Form::Time(unit)) => {
            let plain = match array.data_type() {
                DataType::Dictionary(_, values) => to(values)?,
                _ => ArrayRef::clone(array),
            };
            let numbers = cast_with_options(&plain, &DataType::Int64, &options)?;
            Values::Time(numbers.as_primitive::<Int64Type>().clone(), unit)
        }
        Some(Form::Null) | None => Values::Null,
    })
}

impl Values {
    fn cell(&self, row: usize) -> Cell<'_> {
        let null = match self {
            Self::Null => true,
            Self::Text(values) => values.is_null(row),
            Self::Integer(values) | Self::Time(values, _) => values.is_null(row),
            Self::Unsigned(values) => values.is_null(row),
            Self::Float(values) => values.is_null(row),
        };
        if null {
            return Cell::Null;
        }
        match self {
            Self::Null => Cell::Null,
            // Empty text is null in CSV; the two formats mean the same.
            Self::Text(values) if values.value(row).is_empty() => Cell::Null,
            Self::Text(values) => Cell::Text(values.value(row)),
            Self::Integer(values) => Cell::Integer(values.value(row)),
            Self::Unsigned(values) => match i64::try_from(values.value(row)) {
                Ok(value) => Cell::Integer(value),
                #[expect(
                    clippy::as_conversions,
                    reason = "beyond i64 no column takes it; the nearest float is for the error"
                )]
                Err(_) => Cell::Float(values.value(row) as f64),
            },
            Self::Float(values) => Cell::Float(values.value(row)),
            Self::Time(values, unit) => Cell::Time(instant(values.value(row), *unit)),
        }
    }
}

fn instant(value: i64, unit: TimeUnit) -> Option<UtcMicros> {
    match unit {
        TimeUnit::Second => value.checked_mul(1_000_000),
        TimeUnit::Millisecond => value.checked_mul(1_000),
        TimeUnit::Microsecond => Some(value),
        TimeUnit::Nanosecond => (value % 1_000 == 0).then_some(value / 1_000),
    }
    .map(UtcMicros)
}
