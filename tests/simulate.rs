//! `gridtally simulate`: the synthetic fleet publishes to gridtally and to an existing broker, and what it wrote down as the truth is what
//! the tables say.
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

use std::{collections::BTreeMap, path::Path, process::Command};

use arrow::{
    array::AsArray,
    datatypes::{Int64Type, TimestampMicrosecondType},
};
use gridtally_schemas::UtcMicros;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use product::{BINARY, Product, broker::Broker, have};

/// After everything that is late.
const NOW: (&str, &str) = ("now", "2026-04-05T00:00:00+05:30");

/// Publishes four hours of a fleet of 500 consumers, and leaves its master data and its truth in `folder`. Gives the number of publishes.
fn simulate(broker: &str, folder: &Path) -> f64 {
    let output = Command::new(BINARY)
        .args([
            "simulate",
            "--broker",
            broker,
            "--consumers",
            "500",
            "--intervals",
            "16",
            "--write",
        ])
        .arg(folder)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(
        output.status.code(),
        Some(0),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(said.contains("next: gridtally import"), "{said}");
    assert!(
        said.contains("0 refused, 0 unacknowledged, 0 sent again, 0 reconnects"),
        "{said}"
    );
    let numbers: Vec<u32> = said
        .split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect();
    assert!((6_000..10_000).contains(&numbers[1]), "reads: {said}");
    f64::from(numbers[0])
}

/// Losses by DT and interval.
type Losses = BTreeMap<(String, UtcMicros), i64>;

fn truth(folder: &Path) -> Losses {
    let file = std::fs::File::open(folder.join("dt_truth.parquet")).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file)
        .unwrap()
        .build()
        .unwrap();
    let mut losses = Losses::new();
    for batch in reader.map(Result::unwrap) {
        let column = |name: &str| batch.column_by_name(name).unwrap();
        let ends = column("interval_end").as_primitive::<TimestampMicrosecondType>();
        let loss = column("loss_wh").as_primitive::<Int64Type>();
        for (row, id) in column("dt_id").as_string::<i32>().iter().enumerate() {
            losses.insert(
                (id.unwrap().to_owned(), UtcMicros(ends.value(row))),
                loss.value(row),
            );
        }
    }
    losses
}

/// Where every meter reported, the loss is what the fleet knows it to be, to the Wh.
fn losses_are_the_truth(product: &Product, folder: &Path) {
    product.wait_applied();
    product.checkpoint();
    let truth = truth(folder);
    let rows = product.sql(
        "SELECT dt_id, interval_end, loss_wh FROM dt_balance WHERE meters_reported = meters_expected AND loss_wh IS NOT NULL",
    );
    for row in &rows {
        let key = (
            row[0].as_str().unwrap().to_owned(),
            UtcMicros::parse(row[1].as_str().unwrap()).unwrap(),
        );
        assert_eq!(row[2].as_i64(), truth.get(&key).copied(), "{key:?}");
    }
    assert!(
        rows.len() > truth.len() / 2,
        "{} of {} balances are complete",
        rows.len(),
        truth.len()
    );
    assert_eq!(product.metric("gridtally_reads_unaccounted"), 0.0, "CONS-1");
}

fn import(product: &Product, folder: &Path) {
    let output = Command::new(BINARY)
        .args(["import", folder.to_str().unwrap(), "--server", &product.url("")])
        .output()
        .unwrap();
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn a_fleet_publishes_to_gridtally_before_its_network_is_known() {
    let folder = tempfile::tempdir().unwrap();
    let product = Product::start(&folder.path().join("data"), &[NOW]);
    let discom = folder.path().join("discom");
    simulate(&product.mqtt.to_string(), &discom);
    product.wait_applied();
    assert_eq!(product.sql_number("SELECT COUNT(*) FROM dt_balance"), 0);
    assert!(product.get("/api/v1/summary")["quarantined"].as_u64().unwrap() > 0);
    import(&product, &discom);
    losses_are_the_truth(&product, &discom);
}

#[test]
fn a_fleet_publishes_to_an_existing_broker() {
    if !have("mosquitto") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let broker = Broker::start(folder.path(), product::fixed_port());
    let port = broker.port.to_string();
    let settings = [
        NOW,
        ("ingest.subscribe.host", "127.0.0.1"),
        ("ingest.subscribe.port", &port),
    ];
    let product = Product::start(&folder.path().join("data"), &settings);
    let subscriptions = "gridtally_ingest_broker_subscriptions_total";
    product.wait("the subscription", |_| product.metric(subscriptions) >= 1.0);
    let discom = folder.path().join("discom");
    let publishes = simulate(&format!("127.0.0.1:{port}"), &discom);
    // What the broker acknowledged is on its way to us.
    product.wait("all publishes", |_| {
        product.metric("gridtally_ingest_acks_stored_total") >= publishes
    });
    import(&product, &discom);
    losses_are_the_truth(&product, &discom);
}
