//! Ways of writing the same rows: order, encodings, compression, row groups and pages.

use std::{fs::File, path::Path, sync::Arc, time::Instant};

use arrow::{
    array::{ArrayRef, RecordBatch},
    compute::{SortColumn, lexsort_to_indices, take},
};
use parquet::{
    arrow::ArrowWriter,
    basic::{Compression, Encoding, ZstdLevel},
    file::properties::{WriterProperties, WriterPropertiesBuilder},
    schema::types::ColumnPath,
};

use crate::questions;

/// In which order rows lie in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Record by record.
    Came,
    /// By interval, and by meter within.
    Interval,
    /// By meter, and by interval within: the table's key.
    Meter,
}

impl Order {
    pub const ALL: [Self; 3] = [Self::Came, Self::Interval, Self::Meter];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Came => "as they came",
            Self::Interval => "by interval",
            Self::Meter => "by meter",
        }
    }

    /// The rows in this order.
    pub fn of(self, rows: &RecordBatch) -> RecordBatch {
        let columns = match self {
            Self::Came => ["position", "meter_id"],
            Self::Interval => ["interval_end", "meter_id"],
            Self::Meter => ["meter_id", "interval_end"],
        };
        let columns = columns.map(|name| SortColumn {
            values: Arc::clone(rows.column_by_name(name).unwrap()),
            options: None,
        });
        let indices = lexsort_to_indices(&columns, None).unwrap();
        let arrays: Vec<ArrayRef> = rows
            .columns()
            .iter()
            .map(|column| take(column, &indices, None).unwrap())
            .collect();
        RecordBatch::try_new(rows.schema(), arrays).unwrap()
    }
}

/// How the values of a column are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    Dictionary,
    As(Encoding),
}

impl Coding {
    pub fn name(self) -> String {
        match self {
            Self::Dictionary => "dictionary".to_owned(),
            Self::As(encoding) => encoding.to_string().to_lowercase(),
        }
    }

    pub fn set(self, properties: WriterPropertiesBuilder, column: &str) -> WriterPropertiesBuilder {
        let path = ColumnPath::from(column);
        match self {
            Self::Dictionary => properties.set_column_dictionary_enabled(path, true),
            Self::As(encoding) => properties
                .set_column_dictionary_enabled(path.clone(), false)
                .set_column_encoding(path, encoding),
        }
    }
}

pub fn zstd(level: i32) -> Compression {
    Compression::ZSTD(ZstdLevel::try_new(level).unwrap())
}

const DELTA: Coding = Coding::As(Encoding::DELTA_BINARY_PACKED);
const PLAIN: Coding = Coding::As(Encoding::PLAIN);
const COUNTED: [&str; 3] = ["import_wh", "export_wh", "import_vah"];
/// What repeats from meter to meter when rows are by meter.
const REPEATED: [&str; 3] = ["interval_end", "received_at", "position"];

/// A way to write a file.
struct Way {
    name: &'static str,
    order: Order,
    properties: WriterPropertiesBuilder,
}

fn way(name: &'static str, order: Order, properties: WriterPropertiesBuilder) -> Way {
    Way {
        name,
        order,
        properties,
    }
}

/// Dictionaries of up to 4 MiB for everything, zstd 3.
fn dictionaries() -> WriterPropertiesBuilder {
    WriterProperties::builder()
        .set_compression(zstd(3))
        .set_dictionary_page_size_limit(4 << 20)
}

/// Beside them, a coding of the energies, and the bare values of what repeats at a higher level.
fn coded(counted: Coding, level: i32) -> WriterPropertiesBuilder {
    let mut properties = dictionaries();
    for column in COUNTED {
        properties = counted.set(properties, column);
    }
    for column in REPEATED {
        properties = PLAIN
            .set(properties, column)
            .set_column_compression(ColumnPath::from(column), zstd(level));
    }
    properties
}

/// No split streams of integers, smaller though they are (see the columns): DuckDB 1.5 and Spark 4.0 do not read them.
fn ways() -> Vec<Way> {
    use Order::{Came, Interval, Meter};
    let plain = || WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default()));
    let grouped = |rows: usize| coded(DELTA, 9).set_max_row_group_row_count(Some(rows));
    let paged = |rows: usize| coded(DELTA, 9).set_data_page_row_count_limit(rows);
    vec![
        way("plain zstd Parquet, the crate's defaults", Came, plain()),
        way("the same", Interval, plain()),
        way("the same", Meter, plain()),
        way("dictionaries", Came, dictionaries()),
        way("dictionaries", Meter, dictionaries()),
        way("+ energies as differences", Meter, {
            COUNTED
                .iter()
                .fold(dictionaries(), |properties, column| DELTA.set(properties, column))
        }),
        way("+ bare instants and positions, zstd 3", Meter, coded(DELTA, 3)),
        way("+ the same, zstd 9", Meter, coded(DELTA, 9)),
        way("energies plain", Meter, coded(PLAIN, 9)),
        way("as differences, row groups of 128 k", Meter, grouped(1 << 17)),
        way("as differences, row groups of 256 k", Meter, grouped(1 << 18)),
        way("as differences, row groups of 512 k", Meter, grouped(1 << 19)),
        way("as differences, pages of 4 k", Meter, paged(1 << 12)),
        way("as differences, pages of 8 k", Meter, paged(1 << 13)),
        way(
            "as differences, zstd 1",
            Meter,
            coded(DELTA, 9).set_compression(zstd(1)),
        ),
        way(
            "as differences, zstd 6",
            Meter,
            coded(DELTA, 9).set_compression(zstd(6)),
        ),
        way(
            "as differences, zstd 12",
            Meter,
            coded(DELTA, 9).set_compression(zstd(12)),
        ),
    ]
}

/// Writes the rows in every way.
pub fn write_all(rows: &RecordBatch, folder: &Path) -> Vec<questions::File> {
    let ordered = Order::ALL.map(|order| (order, order.of(rows)));
    let write = |(number, way): (usize, Way)| {
        let (_, rows) = ordered.iter().find(|(order, _)| *order == way.order).unwrap();
        let path = folder.join(format!("way-{number}.parquet"));
        let began = Instant::now();
        let file = File::create(&path).unwrap();
        let mut writer = ArrowWriter::try_new(file, rows.schema(), Some(way.properties.build())).unwrap();
        writer.write(rows).unwrap();
        writer.close().unwrap();
        questions::File {
            name: format!("{}, {}", way.name, way.order.name()),
            paths: vec![path],
            seconds: Some(began.elapsed().as_secs_f64()),
        }
    };
    ways().into_iter().enumerate().map(write).collect()
}
