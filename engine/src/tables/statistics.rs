//! What the log says of a data file's columns, as DataFusion asks it.
//!
//! Delta gives bounds, not values: an instant is cut to its millisecond, a long text to its begin. They tell what a file cannot hold, and are used
//! for nothing else.

use std::{collections::HashMap, collections::HashSet, sync::Arc};

use arrow::{
    array::{ArrayRef, AsArray, BooleanArray, Date32Array, RecordBatch, StructArray},
    compute::cast,
    datatypes::{DataType, Field, Fields, Int64Type, Schema, TimeUnit, TimestampMicrosecondType},
    error::ArrowError,
    json::ReaderBuilder,
};
use datafusion::{
    common::{Column, pruning::PruningStatistics},
    scalar::ScalarValue,
};
use serde::Deserialize;

use super::listing::DataFile;

/// Delta cuts an instant to its millisecond: the greatest may be so much later, microseconds.
const CUT_MICROS: i64 = 999;

/// Rows of a file; `None`: the log does not say.
pub(super) fn rows(file: &DataFile) -> Option<usize> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Rows {
        num_records: Option<usize>,
    }
    let rows: Rows = serde_json::from_str(file.statistics.as_deref()?).ok()?;
    rows.num_records
}

/// What is known of some files: a value of each array for each file.
#[derive(Debug, Default)]
pub(super) struct Known {
    files: usize,
    rows: Option<ArrayRef>,
    least: HashMap<String, ArrayRef>,
    greatest: HashMap<String, ArrayRef>,
    nulls: HashMap<String, ArrayRef>,
}

impl Known {
    /// Of which day or month each is.
    pub(super) fn by_part(part: &str, files: &[&DataFile]) -> Self {
        let days: Date32Array = files.iter().map(|file| file.part.map(|day| day.0)).collect();
        let days: ArrayRef = Arc::new(days);
        Self {
            files: files.len(),
            least: HashMap::from([(part.to_owned(), Arc::clone(&days))]),
            greatest: HashMap::from([(part.to_owned(), days)]),
            ..Self::default()
        }
    }

    /// What the log says of some columns, beside the day or month; `None`: nothing that can be used.
    pub(super) fn by_statistics(
        columns: &Schema,
        names: &[&str],
        (part, files): (Option<&str>, &[&DataFile]),
    ) -> Option<Self> {
        let fields: Vec<&Field> = names
            .iter()
            .filter_map(|name| columns.field_with_name(name).ok())
            .filter(|field| has_bounds(field.data_type()))
            .collect();
        if fields.is_empty() || files.is_empty() {
            return None;
        }
        let said = read(&fields, files).ok()??;
        let mut known = part.map_or_else(Self::default, |part| Self::by_part(part, files));
        known.files = files.len();
        known.rows = unsigned(said.column_by_name("numRecords")?);
        for field in fields {
            let of = |name: &str| -> Option<ArrayRef> {
                let values: &StructArray = said.column_by_name(name)?.as_struct_opt()?;
                values.column_by_name(field.name()).map(Arc::clone)
            };
            let name = || field.name().clone();
            known.least.extend(
                of("minValues").and_then(|values| Some((name(), cast(&values, field.data_type()).ok()?))),
            );
            known.greatest.extend(
                of("maxValues")
                    .and_then(|values| Some((name(), cast(&later(&values), field.data_type()).ok()?))),
            );
            known
                .nulls
                .extend(of("nullCount").and_then(|values| Some((name(), unsigned(&values)?))));
        }
        Some(known)
    }
}

/// Whether bounds of such a column are read: not those of fractions, which are written in ways of their own.
fn has_bounds(kind: &DataType) -> bool {
    matches!(
        kind,
        DataType::Utf8
            | DataType::Int16
            | DataType::Int32
            | DataType::Int64
            | DataType::Date32
            | DataType::Timestamp(TimeUnit::Microsecond, Some(_))
    )
}

/// Reads what the log says of the files.
fn read(fields: &[&Field], files: &[&DataFile]) -> Result<Option<RecordBatch>, ArrowError> {
    let values: Fields = fields
        .iter()
        .map(|field| Field::new(field.name(), as_written(field.data_type()), true))
        .collect();
    let counts: Fields = fields
        .iter()
        .map(|field| Field::new(field.name(), DataType::Int64, true))
        .collect();
    let schema = Schema::new(vec![
        Field::new("numRecords", DataType::Int64, true),
        Field::new("minValues", DataType::Struct(values.clone()), true),
        Field::new("maxValues", DataType::Struct(values), true),
        Field::new("nullCount", DataType::Struct(counts), true),
    ]);
    let mut decoder = ReaderBuilder::new(Arc::new(schema))
        .with_batch_size(files.len())
        .build_decoder()?;
    for file in files {
        decoder.decode(file.statistics.as_deref().unwrap_or("{}").as_bytes())?;
        decoder.decode(b"\n")?;
    }
    let said = decoder.flush()?;
    Ok(said.filter(|said| said.num_rows() == files.len()))
}

/// The type as which a value is read: an instant is written in UTC.
fn as_written(kind: &DataType) -> DataType {
    if let DataType::Timestamp(unit, Some(_)) = kind {
        DataType::Timestamp(*unit, Some("UTC".into()))
    } else {
        kind.clone()
    }
}

/// The latest instants that may have been cut to these; other values as they are.
fn later(values: &ArrayRef) -> ArrayRef {
    match values.as_primitive_opt::<TimestampMicrosecondType>() {
        Some(instants) => {
            let zone = instants.timezone().map(Arc::from);
            let later = instants.unary::<_, TimestampMicrosecondType>(|at| at.saturating_add(CUT_MICROS));
            Arc::new(later.with_timezone_opt::<Arc<str>>(zone))
        }
        None => Arc::clone(values),
    }
}

fn unsigned(counts: &ArrayRef) -> Option<ArrayRef> {
    counts.as_primitive_opt::<Int64Type>()?;
    cast(counts, &DataType::UInt64).ok()
}

impl PruningStatistics for Known {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        self.least.get(&column.name).map(Arc::clone)
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        self.greatest.get(&column.name).map(Arc::clone)
    }

    fn num_containers(&self) -> usize {
        self.files
    }

    fn null_counts(&self, column: &Column) -> Option<ArrayRef> {
        self.nulls.get(&column.name).map(Arc::clone)
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        self.rows.as_ref().map(Arc::clone)
    }

    fn contained(&self, _: &Column, _: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        None
    }
}

#[cfg(test)]
mod tests;
