//! An existing broker (Debian's mosquitto) as the source: clients publish to the broker, the balances are in gridtally's API, and
//! neither a broker that starts again nor a killed gridtally loses what the broker took.
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

use product::{Product, broker::Broker, have, python, real_data};
use serde_json::{Value, json};

const TOPIC: &str = "ami/v1/gateways/hes/reads";

/// Reads of the real households in one half hour: what every meter said, and what the DTs' balances must be.
struct HalfHour {
    end: String,
    payload: String,
    /// By DT: its import, the sum of its consumers' import and of their and their generators' export.
    balances: BTreeMap<&'static str, (i64, i64, i64)>,
}

/// Half hours of 2026-04-20 in which every meter of the network reports.
fn half_hours(count: usize) -> Vec<HalfHour> {
    let meters = std::fs::read_to_string(real_data().join("meters.csv")).unwrap();
    let dts: BTreeMap<&str, (&str, &str)> = meters
        .lines()
        .skip(1)
        .map(|line| line.split(',').collect::<Vec<_>>())
        .map(|cells| (cells[0], (cells[1], cells[2])))
        .collect();
    let reads = std::fs::read_to_string(real_data().join("reads.csv")).unwrap();
    let mut by_end: BTreeMap<&str, BTreeMap<&str, (i64, i64)>> = BTreeMap::new();
    for line in reads.lines().skip(1) {
        let cells: Vec<&str> = line.split(',').collect();
        if let Ok(import) = cells[2].parse::<i64>() {
            let export = cells[3].parse().unwrap_or(0);
            by_end
                .entry(cells[1])
                .or_default()
                .insert(cells[0], (import, export));
        }
    }
    let complete = by_end
        .into_iter()
        .filter(|(end, reads)| *end > "2026-04-20T00:00:00+05:30" && reads.len() == dts.len());
    let half_hours: Vec<_> = complete
        .take(count)
        .map(|(end, reads)| half_hour(end, &reads, &dts))
        .collect();
    assert_eq!(half_hours.len(), count);
    half_hours
}

fn half_hour(end: &str, reads: &BTreeMap<&str, (i64, i64)>, dts: &BTreeMap<&str, (&str, &str)>) -> HalfHour {
    let meters: Vec<Value> = reads
        .iter()
        .map(|(meter, (import, export))| {
            let read = json!({ "interval_end": end, "import_wh": import, "export_wh": export });
            json!({ "meter_id": meter, "reads": [read] })
        })
        .collect();
    let mut balances = BTreeMap::from([("SD-DT1", (0, 0, 0)), ("SD-DT2", (0, 0, 0))]);
    for (meter, (import, export)) in reads {
        let (role, node) = dts[meter];
        let Some(balance) = balances.get_mut(node) else {
            continue;
        };
        if role == "dt" {
            balance.0 = *import;
        } else {
            balance.1 += import;
            balance.2 += export;
        }
    }
    HalfHour {
        end: end.to_owned(),
        payload: json!({ "meters": meters }).to_string(),
        balances,
    }
}

fn mosquitto_pub(broker: &Broker, half_hour: &HalfHour) {
    let port = broker.port.to_string();
    let output = Command::new("mosquitto_pub")
        .args([
            "-h",
            "127.0.0.1",
            "-p",
            &port,
            "-q",
            "1",
            "-t",
            TOPIC,
            "-m",
            &half_hour.payload,
        ])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// `false` where this machine cannot have paho.
fn paho(broker: &Broker, half_hours: &[HalfHour]) -> bool {
    let file = tempfile::NamedTempFile::new().unwrap();
    let lines: Vec<&str> = half_hours
        .iter()
        .map(|half_hour| half_hour.payload.as_str())
        .collect();
    std::fs::write(file.path(), lines.join("\n")).unwrap();
    let port = broker.port.to_string();
    let arguments = [port.as_str(), "5", TOPIC, file.path().to_str().unwrap()];
    let Some(codes) = python("publish.py", &arguments) else {
        return false;
    };
    assert_eq!(
        codes,
        "0\n".repeat(half_hours.len()),
        "the broker took each and had a subscriber for it"
    );
    true
}

fn serve(data_dir: &Path, broker: &Broker) -> Product {
    let port = broker.port.to_string();
    let settings = [
        ("now", "2026-04-28T12:00:00+05:30"),
        ("ingest.subscribe.host", "127.0.0.1"),
        ("ingest.subscribe.port", port.as_str()),
        // mosquitto 2.0 keeps an ordinary subscription over its own restart, a shared one not.
        ("ingest.subscribe.group", ""),
    ];
    Product::start(data_dir, &settings)
}

fn wait_metric(product: &Product, name: &str, least: f64) {
    let name = format!("gridtally_ingest_{name}_total");
    product.wait(&format!("{name} >= {least}"), |_| product.metric(&name) >= least);
}

/// Waits until the API gives the balances of these half hours, complete, and compares them to the Wh.
fn balances_are_there(product: &Product, half_hours: &[HalfHour]) {
    for half_hour in half_hours {
        for (dt, (dt_import, import, export)) in &half_hour.balances {
            let path = format!("/api/v1/nodes/{dt}/balance?from=2026-04-20&to=2026-04-27");
            let row = || {
                let balance = product.get(&path);
                let rows = balance["rows"].as_array().unwrap().clone();
                rows.into_iter()
                    .find(|row| row["interval_end"] == json!(half_hour.end))
                    .filter(|row| row["coverage_pct"] == json!(100.0))
            };
            product.wait(&format!("{dt} at {}", half_hour.end), |_| row().is_some());
            let row = row().unwrap();
            let figures = [
                "dt_import_wh",
                "consumer_import_wh",
                "consumer_export_wh",
                "loss_wh",
            ]
            .map(|name| &row[name]);
            let loss = dt_import + export - import;
            assert_eq!(
                json!(figures),
                json!([dt_import, import, export, loss]),
                "{dt}: {row}"
            );
        }
    }
}

#[test]
fn what_an_existing_broker_took_becomes_balances_through_restarts_of_both() {
    if !have("mosquitto") || !have("mosquitto_pub") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().join("data");
    std::fs::create_dir_all(&data_dir).unwrap();
    let broker = Broker::start(folder.path(), product::fixed_port());
    let product = serve(&data_dir, &broker);
    for file in ["nodes.csv", "meters.csv", "connections.csv"] {
        product.import(&real_data().join(file));
    }
    let half_hours = half_hours(12);
    let (first, rest) = half_hours.split_at(4);

    // What is published before there is a subscription has nobody to keep it for.
    wait_metric(&product, "broker_subscriptions", 1.0);
    mosquitto_pub(&broker, &first[0]);
    if !paho(&broker, &first[1..]) {
        first[1..]
            .iter()
            .for_each(|half_hour| mosquitto_pub(&broker, half_hour));
    }
    balances_are_there(&product, first);
    assert_eq!(product.metric("gridtally_ingest_publishes_qos1_total"), 4.0);
    assert_eq!(product.metric("gridtally_ingest_broker_losses_total"), 0.0);

    // The broker starts again: the subscriber notices, comes back, and hears what is published from then on.
    let broker = broker.restart();
    wait_metric(&product, "broker_losses", 1.0);
    wait_metric(&product, "broker_subscriptions", 2.0);
    rest[..4]
        .iter()
        .for_each(|half_hour| mosquitto_pub(&broker, half_hour));
    balances_are_there(&product, &rest[..4]);
    wait_metric(&product, "acks_stored", 8.0);

    // gridtally is killed: the broker keeps what comes meanwhile, over a start of its own, until gridtally is back.
    product.kill();
    rest[4..6]
        .iter()
        .for_each(|half_hour| mosquitto_pub(&broker, half_hour));
    let broker = broker.restart();
    rest[6..]
        .iter()
        .for_each(|half_hour| mosquitto_pub(&broker, half_hour));
    let product = serve(&data_dir, &broker);
    balances_are_there(&product, &half_hours);
    wait_metric(&product, "acks_stored", 4.0);
    product.checkpoint();
    let reads = product.sql_number("SELECT COUNT(*) FROM interval_reads_history");
    assert_eq!(reads, 12 * 18, "each read once, and one version of it");
    assert_eq!(product.metric("gridtally_reads_unaccounted"), 0.0, "CONS-1");
}
