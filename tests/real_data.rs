//! Real household reads with real gaps, nulls and a duplicate (tests/data/sgsc_lcl), by every way in: one state, whatever the
//! order; and the balance that its truth file says.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::print_stdout,
    clippy::too_many_lines,
    clippy::too_many_arguments,
    clippy::large_futures,
    clippy::needless_pass_by_value,
    clippy::wildcard_enum_match_arm,
    clippy::disallowed_methods,
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    reason = "tests fail by panicking, and are an edge"
)]

mod product;

use std::{collections::BTreeMap, path::Path};

use arrow::{
    array::AsArray,
    datatypes::{Int64Type, TimestampMicrosecondType},
};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use product::{Product, publisher::publish_all, real_data};
use serde_json::{Value, json};

/// A day after the last read, so that every interval is closed.
const NOW: (&str, &str) = ("now", "2026-04-28T12:00:00+05:30");

fn with_master_data(folder: &Path) -> Product {
    let product = Product::start(folder, &[NOW]);
    for file in ["nodes.csv", "meters.csv", "connections.csv"] {
        product.import(&real_data().join(file));
    }
    product
}

/// Everything that does not tell by which way it came in.
fn state(product: &Product) -> Vec<Vec<Vec<Value>>> {
    product.checkpoint();
    [
        "SELECT meter_id, interval_end, import_wh, export_wh, import_vah, voltage_v, current_a, quality, revision FROM interval_reads \
         ORDER BY 1, 2",
        "SELECT * EXCLUDE (version, computed_at, published_at, reason) FROM dt_balance ORDER BY dt_id, interval_end",
        "SELECT * EXCLUDE (version, computed_at, published_at, reason) FROM feeder_balance ORDER BY feeder_id, interval_end",
        "SELECT * EXCLUDE (version, published_at, reason) FROM node_balance_daily ORDER BY node_id, day",
        "SELECT meter_id, interval_end, rule, resolved_at IS NULL FROM vee_exceptions ORDER BY 1, 2",
    ]
    .map(|query| product.sql(query))
    .into()
}

/// Rows of reads.csv, as JSON reads by meter.
fn reads() -> Vec<(String, Value)> {
    let text = std::fs::read_to_string(real_data().join("reads.csv")).unwrap();
    let mut lines = text.lines();
    assert_eq!(
        lines.next(),
        Some("meter_id,interval_end,import_wh,export_wh,voltage_v")
    );
    lines
        .map(|line| {
            let cells: Vec<&str> = line.split(',').collect();
            let mut read = json!({ "interval_end": cells[1] });
            for (name, cell) in [
                ("import_wh", cells[2]),
                ("export_wh", cells[3]),
                ("voltage_v", cells[4]),
            ] {
                if !cell.is_empty() {
                    read[name] = serde_json::from_str(cell).unwrap();
                }
            }
            (cells[0].to_owned(), read)
        })
        .collect()
}

/// A seeded shuffle (Fisher and Yates, xorshift).
fn shuffled<T>(mut items: Vec<T>, seed: u64) -> Vec<T> {
    let mut random = seed;
    for at in (1..items.len()).rev() {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        items.swap(at, (random % (at as u64 + 1)) as usize);
    }
    items
}

fn truth() -> BTreeMap<(String, i64), i64> {
    let file = std::fs::File::open(real_data().join("truth.parquet")).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file)
        .unwrap()
        .build()
        .unwrap();
    let mut truth = BTreeMap::new();
    for batch in reader.map(Result::unwrap) {
        let ids = arrow::compute::cast(
            batch.column_by_name("node_id").unwrap(),
            &arrow::datatypes::DataType::Utf8,
        )
        .unwrap();
        let utc = arrow::datatypes::DataType::Timestamp(
            arrow::datatypes::TimeUnit::Microsecond,
            Some("UTC".into()),
        );
        let ends = arrow::compute::cast(batch.column_by_name("interval_end").unwrap(), &utc).unwrap();
        let ends = ends.as_primitive::<TimestampMicrosecondType>();
        let losses = batch
            .column_by_name("loss_wh")
            .unwrap()
            .as_primitive::<Int64Type>();
        for row in 0..batch.num_rows() {
            truth.insert(
                (ids.as_string::<i32>().value(row).to_owned(), ends.value(row)),
                losses.value(row),
            );
        }
    }
    truth
}

#[test]
fn by_csv_by_parquet_and_by_mqtt_in_any_order_the_state_is_one() {
    let folders = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let by_csv = with_master_data(folders[0].path());
    by_csv.import(&real_data().join("reads.csv"));
    let by_parquet = with_master_data(folders[1].path());
    by_parquet.import(&real_data().join("reads.parquet"));

    let by_mqtt = with_master_data(folders[2].path());
    let mut sent = reads();
    let every_third: Vec<_> = sent.iter().step_by(3).cloned().collect();
    sent.extend(every_third);
    let payloads = shuffled(sent, 20_260_401).chunks(25).map(publish_of).collect();
    publish_all(by_mqtt.mqtt, "sgsc", payloads);
    by_mqtt.wait_applied();

    let states = [&by_csv, &by_parquet, &by_mqtt].map(state);
    assert_eq!(
        states[0][0].len(),
        23_353 - 480 - 1,
        "reads with a value, each once"
    );
    for (at, way) in [(1, "Parquet"), (2, "MQTT")] {
        for (table, (one, other)) in states[0].iter().zip(&states[at]).enumerate() {
            assert_eq!(one.len(), other.len(), "rows of query {table} by {way}");
            if let Some((one, other)) = one.iter().zip(other).find(|(one, other)| one != other) {
                panic!("query {table} by {way}: {one:?} is {other:?}");
            }
        }
    }
    agrees_with_truth(&by_csv);
    importing_again_changes_nothing(&by_csv, &states[0]);
}

fn publish_of(reads: &[(String, Value)]) -> (String, Vec<u8>) {
    let mut by_meter: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for (meter, read) in reads {
        by_meter.entry(meter).or_default().push(read);
    }
    let meters: Vec<Value> = by_meter
        .into_iter()
        .map(|(meter, reads)| json!({ "meter_id": meter, "reads": reads }))
        .collect();
    (
        "ami/v1/gateways/sgsc/reads".to_owned(),
        json!({ "meters": meters }).to_string().into_bytes(),
    )
}

/// Where every meter reported, the loss is the truth, to the Wh; elsewhere coverage says how much is missing, and the loss is
/// shown only from the threshold on.
fn agrees_with_truth(product: &Product) {
    let truth = truth();
    let rows = product.sql(
        "SELECT dt_id, CAST(CAST(interval_end AS BIGINT) AS BIGINT), loss_wh, coverage_pct, loss_bound_wh, meters_expected, \
         meters_reported FROM dt_balance",
    );
    assert_eq!(rows.len(), 2 * 1_344);
    let mut full = 0;
    for row in rows {
        let key = (row[0].as_str().unwrap().to_owned(), row[1].as_i64().unwrap());
        let (expected, reported) = (row[5].as_i64().unwrap(), row[6].as_i64().unwrap());
        if expected == reported {
            full += 1;
            assert_eq!(row[2].as_i64(), Some(truth[&key]), "{key:?}");
            assert_eq!(
                row[4].as_i64(),
                Some(0),
                "{key:?}: nothing is missing, so nothing is uncertain"
            );
        } else {
            assert!(
                row[3].as_f64().unwrap() < 95.0,
                "one of at most 9 meters is more than 5 %: {row:?}"
            );
            assert_eq!(
                row[2],
                Value::Null,
                "a loss without coverage is not shown: {row:?}"
            );
            assert!(
                row[4].as_i64().unwrap() > 0,
                "the missing meter has a sanctioned load: {row:?}"
            );
        }
    }
    assert!(full > 1_300, "{full} balances are complete");
    let missing = product.sql_number("SELECT COUNT(*) FROM vee_exceptions WHERE rule = 'reported_missing'");
    assert_eq!(missing, 480);
}

fn importing_again_changes_nothing(product: &Product, before: &[Vec<Vec<Value>>]) {
    let versions = "SELECT (SELECT COUNT(*) FROM interval_reads_history) + (SELECT COUNT(*) FROM dt_balance_history) \
                    + (SELECT COUNT(*) FROM meters_history) + (SELECT COUNT(*) FROM vee_exceptions_history)";
    let rows = product.sql_number(versions);
    for file in ["connections.csv", "meters.csv", "nodes.csv", "reads.parquet"] {
        product.import(&real_data().join(file));
    }
    assert_eq!(state(product), before);
    assert_eq!(
        product.sql_number(versions),
        rows,
        "TBL-1: nothing was written again"
    );
}
