//! Each column by itself: bytes a read in every order and encoding, beside what its values say (their entropy).

use std::time::Instant;

use arrow::{
    array::{Array, AsArray, RecordBatch},
    compute::cast,
    datatypes::{DataType, Int64Type},
};
use bytes::Bytes;
use parquet::{
    arrow::{ArrowWriter, arrow_reader::ParquetRecordBatchReaderBuilder},
    basic::Encoding,
    file::properties::WriterProperties,
};

use crate::ways::{Coding, Order, zstd};

const COLUMNS: [&str; 9] = [
    "meter_id",
    "interval_end",
    "import_wh",
    "export_wh",
    "import_vah",
    "voltage_v",
    "current_a",
    "received_at",
    "position",
];
const LEVELS: [i32; 2] = [3, 9];

pub fn tell(rows: &RecordBatch) {
    println!("\n| Column | order | coding | zstd | bytes a read | write, ns a read | read, ns a read |");
    println!("|---|---|---|---|---|---|---|");
    for order in Order::ALL {
        let rows = order.of(rows);
        for column in COLUMNS {
            let at = rows.schema().index_of(column).unwrap();
            let alone = rows.project(&[at]).unwrap();
            for coding in codings(alone.schema().field(0).data_type()) {
                for level in LEVELS {
                    tell_one(order, &alone, coding, level);
                }
            }
        }
    }
    println!("\n| Column | entropy of its values, bits | of the differences within a meter, bits |");
    println!("|---|---|---|");
    let by_meter = Order::Meter.of(rows);
    let meters = changes(&by_meter);
    for column in ["import_wh", "import_vah", "voltage_v", "current_a"] {
        let values = hundredths(&by_meter, column);
        let steps: Vec<i64> = (1..values.len())
            .filter(|at| !meters[*at])
            .map(|at| values[at] - values[at - 1])
            .collect();
        println!(
            "| {column} | {:.2} | {:.2} |",
            entropy_bits(values),
            entropy_bits(steps)
        );
    }
}

fn codings(kind: &DataType) -> Vec<Coding> {
    let fixed = [Coding::Dictionary, Coding::As(Encoding::PLAIN)];
    let more: &[Encoding] = match kind {
        DataType::Utf8 => &[Encoding::DELTA_BYTE_ARRAY],
        DataType::Float32 => &[Encoding::BYTE_STREAM_SPLIT],
        _ => &[Encoding::DELTA_BINARY_PACKED, Encoding::BYTE_STREAM_SPLIT],
    };
    let more = more.iter().map(|encoding| Coding::As(*encoding));
    fixed.into_iter().chain(more).collect()
}

fn tell_one(order: Order, alone: &RecordBatch, coding: Coding, level: i32) {
    let reads = alone.num_rows() as f64;
    let name = alone.schema().field(0).name().clone();
    let properties = WriterProperties::builder()
        .set_compression(zstd(level))
        .set_dictionary_page_size_limit(4 << 20);
    let began = Instant::now();
    let mut file = Vec::new();
    let properties = coding.set(properties, &name).build();
    let mut writer = ArrowWriter::try_new(&mut file, alone.schema(), Some(properties)).unwrap();
    writer.write(alone).unwrap();
    let metadata = writer.close().unwrap();
    let written = began.elapsed().as_secs_f64();
    let bytes: i64 = metadata
        .row_groups()
        .iter()
        .map(|group| group.column(0).compressed_size())
        .sum();
    let began = Instant::now();
    let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(file)).unwrap();
    let back: usize = reader
        .with_batch_size(8_192)
        .build()
        .unwrap()
        .map(|batch| batch.unwrap().num_rows())
        .sum();
    let read = began.elapsed().as_secs_f64();
    assert_eq!(back, alone.num_rows());
    println!(
        "| {name} | {} | {} | {level} | {:.3} | {:.0} | {:.0} |",
        order.name(),
        coding.name(),
        bytes as f64 / reads,
        written * 1e9 / reads,
        read * 1e9 / reads
    );
}

/// Whether each row is of another meter than the one before.
fn changes(rows: &RecordBatch) -> Vec<bool> {
    let ids = rows.column_by_name("meter_id").unwrap().as_string::<i32>();
    (0..ids.len())
        .map(|at| at == 0 || ids.value(at) != ids.value(at - 1))
        .collect()
}

/// Values of a column as whole numbers: floats in hundredths.
fn hundredths(rows: &RecordBatch, column: &str) -> Vec<i64> {
    let values = rows.column_by_name(column).unwrap();
    if values.data_type() == &DataType::Float32 {
        let values = cast(values, &DataType::Float64).unwrap();
        let values = values.as_primitive::<arrow::datatypes::Float64Type>();
        return values
            .iter()
            .flatten()
            .map(|value| (value * 100.0).round() as i64)
            .collect();
    }
    values.as_primitive::<Int64Type>().iter().flatten().collect()
}

/// The least bits a value that any code can take which knows how often each occurs, and nothing else.
fn entropy_bits(mut values: Vec<i64>) -> f64 {
    values.sort_unstable();
    let all = values.len() as f64;
    let runs = values.chunk_by(|one, other| one == other);
    runs.map(|run| run.len() as f64 / all)
        .map(|share| -share * share.log2())
        .sum()
}
