//! A month's loss of a million meters: their nodes' published balances of a month, and the reads behind some of its days, beside DuckDB on the
//! same files.
//!
//! The rows are written as the tables' own writer writes them, sorted by key and a file for an eighth of the meters, which is what compaction
//! leaves of a closed day; one meter in a hundred was corrected. Values are noise, so that they take as much room as real ones. To publish a
//! month of reads (1.4 billion) by way of ingest would take hours, and DuckDB some minutes for each question that reads them all: balances are
//! there of the whole month, reads of `--days` of its days.

use std::{path::Path, sync::Arc};

use arrow::{
    array::{
        ArrayRef, Date32Array, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray,
        TimestampMicrosecondArray, new_null_array,
    },
    compute::cast,
    datatypes::{DataType, Schema},
};
use gridtally_engine::tables::Tables;
use gridtally_ingest::log::Position;
use gridtally_schemas::table::{INTERVAL_READS, NODE_BALANCE_DAILY, TableSchema};

use crate::{
    CORRECTED_ONE_IN,
    utility::{DTS, METERS, MIDNIGHT, QUARTER, meter_id},
};

/// The first day, days since 1970-01-01: 1 April 2026.
const FIRST_DAY: i32 = 20_544;
const DAYS_OF_MONTH: i32 = 30;
/// Intervals of half an hour.
const INTERVALS: i64 = 48;
const FILES_OF_DAY: usize = 8;

/// What is asked of it.
pub const QUESTIONS: &[(&str, &str)] = &[
    (
        "a month's loss of a million meters, by day",
        "SELECT day, SUM(total_loss_wh) AS lost_wh, SUM(injected_where_known_wh) AS injected_wh, COUNT(*) AS feeders \
         FROM node_balance_daily WHERE kind = 'feeder' AND day >= DATE '2026-04-01' AND day < DATE '2026-05-01' GROUP BY day ORDER BY day",
    ),
    (
        "the 50 worst of its nodes",
        "SELECT node_id, SUM(total_loss_wh) AS lost_wh, SUM(injected_where_known_wh) AS injected_wh FROM node_balance_daily \
         WHERE day >= DATE '2026-04-01' AND day < DATE '2026-05-01' GROUP BY node_id ORDER BY lost_wh DESC NULLS LAST, node_id LIMIT 50",
    ),
    (
        "one meter's reads",
        "SELECT interval_end, import_wh, quality FROM interval_reads WHERE meter_id = 'MH10000526' \
         AND day >= DATE '2026-04-01' AND day < DATE '2026-05-01' ORDER BY interval_end",
    ),
    (
        "what all meters counted, from their reads, by day",
        "SELECT day, SUM(import_wh) AS import_wh, COUNT(*) AS reads FROM interval_reads \
         WHERE day >= DATE '2026-04-01' AND day < DATE '2026-05-01' GROUP BY day ORDER BY day",
    ),
];

/// Writes the tables; gives the number of reads.
pub async fn publish(root: &Path, meters: usize, days: i32) -> usize {
    let tables = Tables::open(root).await.unwrap();
    let mut positions = (1..).map(Position);
    for day in 0..DAYS_OF_MONTH {
        let batch = balances(meters.div_ceil(METERS), FIRST_DAY + day);
        tables
            .append(&NODE_BALANCE_DAILY, batch, positions.next().unwrap())
            .await
            .unwrap();
    }
    for day in 0..days {
        let of_file = meters.div_ceil(FILES_OF_DAY);
        for from in (0..meters).step_by(of_file) {
            let meters: Vec<usize> = (from..(from + of_file).min(meters)).collect();
            let batch = reads(&meters, (FIRST_DAY + day, 1));
            tables
                .append(&INTERVAL_READS, batch, positions.next().unwrap())
                .await
                .unwrap();
        }
        let corrected: Vec<usize> = (0..meters).step_by(CORRECTED_ONE_IN).collect();
        let batch = reads(&corrected, (FIRST_DAY + day, 2));
        tables
            .append(&INTERVAL_READS, batch, positions.next().unwrap())
            .await
            .unwrap();
    }
    usize::try_from(INTERVALS).unwrap() * meters * usize::try_from(days).unwrap()
}

/// Reads of a day, sorted by meter and interval; a correction counts one Wh more.
fn reads(meters: &[usize], (day, version): (i32, i64)) -> RecordBatch {
    let each = || {
        meters
            .iter()
            .flat_map(|at| (1..=INTERVALS).map(move |interval| (*at, interval)))
    };
    let count = each().count();
    let begin = MIDNIGHT.0 + i64::from(day - FIRST_DAY) * 96 * QUARTER;
    let names: Vec<String> = meters.iter().map(|at| meter_id(*at)).collect();
    let names: Vec<&String> = names
        .iter()
        .flat_map(|name| std::iter::repeat_n(name, usize::try_from(INTERVALS).unwrap()))
        .collect();
    let given: Vec<(&str, ArrayRef)> = vec![
        ("meter_id", Arc::new(StringArray::from_iter_values(names))),
        (
            "interval_end",
            instants(each().map(|(_, interval)| begin + interval * 2 * QUARTER)),
        ),
        (
            "import_wh",
            Arc::new(Int64Array::from_iter_values(each().map(|(at, interval)| {
                50 + noise(at, begin + interval) % 450 + version - 1
            }))),
        ),
        ("day", days(day, count)),
        ("quality", Arc::new(StringArray::from(vec!["actual"; count]))),
        ("version", Arc::new(Int64Array::from(vec![version; count]))),
        (
            "source",
            Arc::new(StringArray::from(vec!["gateway:bench"; count])),
        ),
        (
            "voltage_v",
            Arc::new(Float64Array::from_iter_values(each().map(|(at, interval)| {
                220.0 + (noise(at, begin - interval) % 200) as f64 / 10.0
            }))),
        ),
    ];
    rows(&INTERVAL_READS, &given, count)
}

/// A number that looks like chance, the same at each call: splitmix64's last steps.
const fn noise(at: usize, moment: i64) -> i64 {
    let mut mixed = (at as u64) << 40 ^ moment as u64;
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((mixed ^ mixed >> 31) >> 1) as i64
}

/// Balances of every feeder and DT on a day.
fn balances(feeders: usize, day: i32) -> RecordBatch {
    let mut names: Vec<(String, &str)> = (0..feeders)
        .flat_map(|feeder| {
            let dts = (0..DTS).map(move |dt| (format!("F{feeder}T{dt}"), "dt"));
            std::iter::once((format!("F{feeder}"), "feeder")).chain(dts)
        })
        .collect();
    names.sort_unstable();
    let count = names.len();
    let number = |at: i64, most: i64| (at * 7_919 + i64::from(day) * 104_729) % most;
    let longs = |of: &dyn Fn(i64) -> i64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values((0..count as i64).map(of)))
    };
    let injected = |at: i64| 1_000_000 + number(at, 500_000);
    let lost = |at: i64| 40_000 + number(at, 100_000);
    let given: Vec<(&str, ArrayRef)> = vec![
        (
            "node_id",
            Arc::new(StringArray::from_iter_values(names.iter().map(|(id, _)| id))),
        ),
        (
            "kind",
            Arc::new(StringArray::from_iter_values(names.iter().map(|(_, kind)| kind))),
        ),
        ("day", days(day, count)),
        ("input_wh", longs(&injected)),
        ("injected_wh", longs(&injected)),
        ("injected_where_known_wh", longs(&injected)),
        ("delivered_wh", longs(&|at| injected(at) - lost(at))),
        ("total_loss_wh", longs(&lost)),
        (
            "loss_pct",
            Arc::new(Float64Array::from_iter_values(
                (0..count as i64).map(|at| lost(at) as f64 / injected(at) as f64 * 100.0),
            )),
        ),
        ("status", Arc::new(StringArray::from(vec!["final"; count]))),
        ("version", Arc::new(Int64Array::from(vec![1; count]))),
    ];
    rows(&NODE_BALANCE_DAILY, &given, count)
}

fn instants(micros: impl Iterator<Item = i64>) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::from_iter_values(micros).with_timezone("UTC"))
}

fn days(day: i32, count: usize) -> ArrayRef {
    Arc::new(Date32Array::from(vec![day; count]))
}

/// The given columns; others hold null, or what stands for nothing.
fn rows(schema: &TableSchema, given: &[(&str, ArrayRef)], count: usize) -> RecordBatch {
    let columns = Arc::new(Schema::new(schema.arrow().fields().clone()));
    let arrays = columns.fields().iter().map(|field| {
        let found = given.iter().find(|(name, _)| name == field.name());
        match found {
            Some((_, values)) => cast(values, field.data_type()).unwrap(),
            None if field.is_nullable() => new_null_array(field.data_type(), count),
            None => nothing(field.data_type(), count),
        }
    });
    RecordBatch::try_new(Arc::clone(&columns), arrays.collect()).unwrap()
}

fn nothing(kind: &DataType, count: usize) -> ArrayRef {
    let zeros: ArrayRef = Arc::new(Int32Array::from(vec![0; count]));
    let wide = if matches!(kind, DataType::Timestamp(..)) {
        cast(&zeros, &DataType::Int64).unwrap()
    } else {
        zeros
    };
    cast(&wide, kind).unwrap()
}
