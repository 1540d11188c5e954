//! How columns are written in data files: encodings, compression, row groups.
//!
//! Every table: dictionaries first (a day has few instants, a feeder few meters); where one grows too large, differences for integers and instants,
//! and shared prefixes for text. Floats stay dictionaries or plain: Spark 4.0 and before do not read split streams, and of integers DuckDB 1.5 does
//! not either, though these would take a fifth of a byte off a read. All that is used here DuckDB, polars, delta-rs, Spark and Trino read.
//!
//! `interval_reads` is nearly all that is stored, and is written as measurement favours (`cargo bench --bench storage`; benches/README.md, Storage): a
//! third smaller than as dictionaries in the order of arrival, and a meter's reads found sooner; one interval of all meters takes longer, as it is in
//! every page.
//! - ids of meters are dictionaries where a meter has a run of rows, as in a file of whole days. Where it has a few, as in a checkpoint of a
//!   million meters, the dictionary soon has its [`IDS_BYTES_MAX`], and shared prefixes take a fifth of its bytes;
//! - energies are differences in long runs: a meter's are near each other. In short ones they are not, and dictionaries take less;
//! - instants and positions repeat from meter to meter, which zstd finds where values are bare, and not where they are packed into bits;
//! - row groups are a quarter of the usual: as small, and DuckDB, which looks for a meter in the statistics of row groups alone, finds it in a
//!   third of the time.

use std::sync::Arc;

use arrow::{
    array::RecordBatch,
    compute::partition,
    datatypes::{DataType, Schema},
};
use gridtally_schemas::table::{INTERVAL_READS, TableSchema};
use parquet::{
    basic::{Compression, Encoding, ZstdLevel},
    file::properties::{WriterProperties, WriterPropertiesBuilder, WriterVersion},
    schema::types::ColumnPath,
};

/// Rows of a row group: large enough to compress well, small enough to skip.
const ROW_GROUP_ROWS: usize = 1 << 20;
/// A dictionary may grow to this before a column's fallback encoding takes over.
const DICTIONARY_BYTES_MAX: usize = 4 << 20;
/// The same for the ids of meters in `interval_reads`: some 4,000 ids.
const IDS_BYTES_MAX: usize = 64 << 10;
/// Rows of a row group of `interval_reads`: a day of 2,700 meters.
const ROW_GROUP_READS: usize = 1 << 18;
/// Rows of one meter from which on its energies are written as differences.
const LONG_RUN_ROWS: usize = 16;

/// Rows by which runs are judged.
const LOOKED_AT_ROWS: usize = 1 << 16;

/// Columns of `interval_reads` whose values repeat from meter to meter.
const REPEATED: [&str; 3] = ["interval_end", "received_at", "position"];
/// Columns of `interval_reads` that a meter counts.
const COUNTED: [&str; 3] = ["import_wh", "export_wh", "import_vah"];

/// How many rows of one key's first column follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Runs {
    Short,
    /// [`LONG_RUN_ROWS`] or more.
    Long,
}

impl Runs {
    /// Those of rows that are to be written.
    pub(super) fn of(schema: &TableSchema, rows: &RecordBatch) -> Self {
        let looked_at = rows.slice(0, rows.num_rows().min(LOOKED_AT_ROWS));
        let ids = schema.key.first().and_then(|key| looked_at.column_by_name(key));
        let runs = ids.and_then(|ids| partition(&[Arc::clone(ids)]).ok());
        let runs = runs.map_or(usize::MAX, |runs| runs.len());
        if looked_at.num_rows() / LONG_RUN_ROWS >= runs {
            Self::Long
        } else {
            Self::Short
        }
    }
}

/// How the files of a table are written whose rows have such runs.
pub(super) fn properties_of(schema: &TableSchema, columns: &Schema, runs: Runs) -> WriterProperties {
    let mut properties = WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .set_compression(zstd(3))
        .set_dictionary_page_size_limit(DICTIONARY_BYTES_MAX)
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_created_by(concat!("gridtally ", env!("CARGO_PKG_VERSION")).to_owned());
    for field in columns.fields() {
        if let Some(encoding) = fallback_encoding(field.data_type()) {
            properties = properties.set_column_encoding(path(field.name()), encoding);
        }
    }
    if schema.name == INTERVAL_READS.name {
        properties = of_reads(properties, runs);
    }
    properties.build()
}

fn of_reads(mut properties: WriterPropertiesBuilder, runs: Runs) -> WriterPropertiesBuilder {
    properties = properties
        .set_max_row_group_row_count(Some(ROW_GROUP_READS))
        .set_column_dictionary_page_size_limit(path("meter_id"), IDS_BYTES_MAX);
    for column in REPEATED {
        properties = properties
            .set_column_dictionary_enabled(path(column), false)
            .set_column_encoding(path(column), Encoding::PLAIN)
            .set_column_compression(path(column), zstd(9));
    }
    if runs == Runs::Long {
        for column in COUNTED {
            // Their fallback encoding is that of differences.
            properties = properties.set_column_dictionary_enabled(path(column), false);
        }
    }
    properties
}

fn path(column: &str) -> ColumnPath {
    ColumnPath::from(column)
}

fn zstd(level: i32) -> Compression {
    ZstdLevel::try_new(level).map_or(Compression::SNAPPY, Compression::ZSTD)
}

fn fallback_encoding(kind: &DataType) -> Option<Encoding> {
    let integer = matches!(
        kind,
        DataType::Int32 | DataType::Int64 | DataType::Timestamp(..) | DataType::Date32
    );
    let bytes = matches!(kind, DataType::Utf8 | DataType::Binary);
    if integer {
        Some(Encoding::DELTA_BINARY_PACKED)
    } else {
        bytes.then_some(Encoding::DELTA_BYTE_ARRAY)
    }
}

#[cfg(test)]
mod tests;
