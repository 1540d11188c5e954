//! `kill -9` at random moments while a fleet publishes at QoS 1 with retries: every acknowledged read is in the tables exactly once,
//! and the balances are those that follow from the fleet's own record, to the Wh (ACK-1, CONS-1, LOG-1, TBL-1 end to end).
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

use std::{
    collections::BTreeMap,
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use gridtally_fleet::{Fleet, FleetConfig, Imperfections, Quarter, Span, delivery, flow::Reads};
use gridtally_schemas::{Publish, UtcMicros, Zone, wire};
use product::{Product, publisher::publish_with_retries};
use serde_json::Value;

const GATEWAYS: usize = 4;
const READS_PER_PUBLISH: usize = 12;

fn fleet() -> Fleet {
    let start = UtcMicros::parse("2026-04-01T00:00:00+05:30").unwrap();
    let imperfections = Imperfections {
        late_ppm: 40_000,
        duplicate_ppm: 40_000,
        corrected_ppm: 40_000,
        ..Imperfections::usual()
    };
    Fleet::new(FleetConfig {
        consumers_per_feeder: 60,
        imperfections,
        ..FleetConfig::new(7, 120, start)
    })
    .unwrap()
}

fn span(fleet: &Fleet) -> Span {
    let start = fleet.config().start;
    Span::between(start, start.plus(6 * 3_600_000_000))
}

/// Every sending of the span in order of time, as publishes of a few reads each, dealt out to the gateways.
fn messages(fleet: &Fleet) -> Vec<Vec<(String, Vec<u8>)>> {
    let (zone, imperfections) = (&fleet.config().zone, fleet.config().imperfections);
    let mut sendings = Vec::new();
    let mut reads = Reads::default();
    for feeder in fleet.feeders() {
        for quarter in span(fleet).quarters() {
            reads.compute(&feeder, zone, quarter);
            for (meter, read) in reads.iter(&feeder) {
                for sending in delivery::sendings(&imperfections, meter, quarter)
                    .into_iter()
                    .flatten()
                {
                    sendings.push((
                        sending.due.0,
                        meter.meter.id().unwrap(),
                        delivery::version(meter, read, sending.said),
                    ));
                }
            }
        }
    }
    sendings.sort_by_key(|(due, ..)| *due);
    let mut by_gateway = vec![Vec::new(); GATEWAYS];
    for (at, chunk) in sendings.chunks(READS_PER_PUBLISH).enumerate() {
        let mut publish = Publish::default();
        for (_, meter, read) in chunk {
            publish.begin_meter(meter.as_str()).unwrap();
            publish.push_read(*read);
        }
        let mut payload = Vec::new();
        wire::encode_protobuf(&publish, &mut payload);
        let gateway = at % GATEWAYS;
        by_gateway[gateway].push((format!("ami/v1/gateways/hes-{gateway}/reads"), payload));
    }
    by_gateway
}

#[test]
fn kill_9_loses_nothing_that_was_acknowledged_and_doubles_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let fleet = fleet();
    let files = folder.path().join("network");
    fleet.write_files(&files).unwrap();
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let settings = [
        ("now", "2026-04-05T00:00:00+05:30"),
        ("engine.checkpoint_seconds", "1"),
        ("log.segment_bytes", "65536"),
    ];
    let data_dir = folder.path().join("data");
    std::fs::create_dir_all(&data_dir).unwrap();
    let mut product = Product::start_on(&data_dir, &address.to_string(), &settings);
    for file in ["nodes.csv", "meters.csv", "connections.csv"] {
        product.import(&files.join(file));
    }

    let messages = messages(&fleet);
    let total: usize = messages.iter().map(Vec::len).sum();
    let acknowledged = Arc::new(AtomicUsize::new(0));
    let publishers: Vec<_> = messages
        .into_iter()
        .enumerate()
        .map(|(gateway, messages)| {
            let acknowledged = Arc::clone(&acknowledged);
            std::thread::spawn(move || {
                publish_with_retries(address, &format!("hes-{gateway}"), &messages, &acknowledged)
            })
        })
        .collect();
    // Kills at moments that depend on how far the fleet has come, so that they fall into its work on any machine.
    for kill in 1..=5 {
        let deadline = std::time::Instant::now() + product::PATIENCE;
        while acknowledged.load(Ordering::SeqCst) < total * kill / 6 {
            assert!(
                std::time::Instant::now() < deadline,
                "{} of {total} acknowledged",
                acknowledged.load(Ordering::SeqCst)
            );
            std::thread::sleep(Duration::from_millis(1));
        }
        product.kill();
        product = Product::start_on(&data_dir, &address.to_string(), &settings);
    }
    for publisher in publishers {
        publisher.join().unwrap();
    }
    assert_eq!(acknowledged.load(Ordering::SeqCst), total);
    product.wait_applied();
    product.checkpoint();
    reads_are_exactly_those_delivered(&product, &fleet);
    balances_are_those_of_the_record(&product, &fleet);
    assert_eq!(product.metric("gridtally_reads_unaccounted"), 0.0, "CONS-1");

    // And once more from the tables alone: the log's tail is empty.
    product.kill();
    let product = Product::start_on(&data_dir, &address.to_string(), &settings);
    reads_are_exactly_those_delivered(&product, &fleet);
    balances_are_those_of_the_record(&product, &fleet);
}

/// Everything has arrived long before this quarter.
const THE_END: Quarter = Quarter(i64::MAX / 4);

fn reads_are_exactly_those_delivered(product: &Product, fleet: &Fleet) {
    let mut expected = BTreeMap::new();
    let mut reads = Reads::default();
    for feeder in fleet.feeders() {
        for quarter in span(fleet).quarters() {
            reads.compute(&feeder, &fleet.config().zone, quarter);
            for (meter, read) in reads.iter(&feeder) {
                if let Some(held) = delivery::expected(&fleet.config().imperfections, meter, read, THE_END) {
                    expected.insert(
                        (
                            meter.meter.id().unwrap().to_string(),
                            held.interval_end.to_rfc3339(&Zone::kolkata()),
                        ),
                        held.import_wh,
                    );
                }
            }
        }
    }
    let rows = product.sql("SELECT meter_id, interval_end, import_wh FROM interval_reads");
    let held: BTreeMap<_, _> = rows
        .iter()
        .map(|row| {
            (
                (
                    row[0].as_str().unwrap().to_owned(),
                    row[1].as_str().unwrap().to_owned(),
                ),
                row[2].as_i64(),
            )
        })
        .collect();
    assert_eq!(rows.len(), held.len(), "each read once");
    assert_eq!(held, expected);
    let doubled = "SELECT COUNT(*) FROM (SELECT meter_id, interval_end, import_wh, revision, captured_at FROM interval_reads_history \
                   GROUP BY 1, 2, 3, 4, 5 HAVING COUNT(*) > 1)";
    assert_eq!(
        product.sql_number(doubled),
        0,
        "TBL-1: no version was written twice"
    );
}

fn balances_are_those_of_the_record(product: &Product, fleet: &Fleet) {
    let rows = product.sql(
        "SELECT dt_id, interval_end, dt_import_wh, dt_export_wh, consumer_import_wh, consumer_export_wh, unmetered_wh, \
         meters_expected, meters_reported FROM dt_balance",
    );
    let mut held: BTreeMap<(String, String), Vec<Value>> = rows
        .into_iter()
        .map(|mut row| {
            let figures = row.split_off(2);
            (
                (
                    row[0].as_str().unwrap().to_owned(),
                    row[1].as_str().unwrap().to_owned(),
                ),
                figures,
            )
        })
        .collect();
    let mut compared = 0;
    for feeder in fleet.feeders() {
        for quarter in span(fleet).quarters() {
            let Some((dts, _)) = feeder.expected_balances(quarter, THE_END) else {
                continue;
            };
            for (at, dt) in dts.iter().enumerate() {
                let key = (feeder.dt_id(at), quarter.end().to_rfc3339(&Zone::kolkata()));
                let row = held
                    .remove(&key)
                    .unwrap_or_else(|| panic!("no balance of {key:?}"));
                let expected = serde_json::json!([
                    dt.dt_import_wh,
                    dt.dt_export_wh,
                    dt.consumer_import_wh,
                    dt.consumer_export_wh,
                    dt.unmetered_wh,
                    dt.meters_expected,
                    dt.meters_reported
                ]);
                assert_eq!(Value::Array(row), expected, "{key:?}");
                compared += 1;
            }
        }
    }
    assert!(compared > 60, "{compared} balances were compared");
}
