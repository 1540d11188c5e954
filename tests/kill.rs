//! `kill -9` at random moments while a fleet publishes at QoS 1 with retries: every acknowledged read is in the tables exactly once,
//! and the balances are those that follow from the fleet's own record, to the Wh (ACK-1, CONS-1, LOG-1, TBL-1 end to end).
//!
//! The moments follow from a seed: shares of the fleet's work after which the process is killed, some of them again while it
//! recovers. A killed process loses what it held in memory and keeps what it gave to the kernel; that a disk loses what was not
//! synced is the matter of the log's own tests.
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
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use gridtally_fleet::{
    Fleet, FleetConfig, Imperfections, Quarter, Span, delivery,
    feeder::Feeder,
    flow::Reads,
    truth::{DtBalance, FeederBalance},
};
use gridtally_schemas::{IntervalRead, Publish, UtcMicros, Zone, wire};
use product::{
    Product, Random,
    publisher::{Message, publish_with_retries},
};
use serde_json::{Value, json};

const GATEWAYS: usize = 4;
const READS_PER_PUBLISH: usize = 4;
const KILLS: u64 = 10;
const SETTINGS: [(&str, &str); 4] = [
    ("now", "2026-04-05T00:00:00+05:30"),
    ("engine.checkpoint_seconds", "1"),
    ("engine.tick_ms", "200"),
    ("log.segment_bytes", "65536"),
];

/// A meter's interval: its id and when it ends.
type Cell = (String, UtcMicros);

/// One read that the fleet sends, and in which of a gateway's messages.
struct Sent {
    read: IntervalRead,
    message: (usize, usize),
}

/// What the fleet sends, and what it heard about it.
struct Record {
    sent: BTreeMap<Cell, Vec<Sent>>,
    messages: [Arc<Vec<Message>>; GATEWAYS],
}

/// What decides between two versions of a read (contract: revision, then `captured_at`).
fn rank(read: &IntervalRead) -> (i32, Option<i64>) {
    (read.revision, read.captured_at.map(|at| at.0))
}

impl Record {
    /// Every sending of the span in order of time, as publishes of a few reads each, dealt out to the gateways.
    fn of(fleet: &Fleet) -> Self {
        let (zone, imperfections) = (&fleet.config().zone, fleet.config().imperfections);
        let mut sendings = Vec::new();
        let mut reads = Reads::default();
        for feeder in fleet.feeders() {
            for quarter in span(fleet).quarters() {
                reads.compute(&feeder, zone, quarter);
                for (meter, read) in reads.iter(&feeder) {
                    let plan = delivery::sendings(&imperfections, meter, quarter);
                    sendings.extend(plan.into_iter().flatten().map(|sending| {
                        let id = meter.meter.id().unwrap().to_string();
                        (sending.due.0, id, delivery::version(meter, read, sending.said))
                    }));
                }
            }
        }
        sendings.sort_by_key(|(due, ..)| *due);
        let mut sent: BTreeMap<Cell, Vec<Sent>> = BTreeMap::new();
        let mut messages: [Vec<Message>; GATEWAYS] = Default::default();
        for (at, chunk) in sendings.chunks(READS_PER_PUBLISH).enumerate() {
            let gateway = at % GATEWAYS;
            let mut publish = Publish::default();
            for (_, meter, read) in chunk {
                publish.begin_meter(meter).unwrap();
                publish.push_read(*read);
                sent.entry((meter.clone(), read.interval_end))
                    .or_default()
                    .push(Sent {
                        read: *read,
                        message: (gateway, messages[gateway].len()),
                    });
            }
            let mut payload = Vec::new();
            wire::encode_protobuf(&publish, &mut payload);
            messages[gateway].push(Message {
                topic: format!("ami/v1/gateways/hes-{gateway}/reads"),
                payload,
                acknowledged: AtomicBool::new(false),
            });
        }
        Self {
            sent,
            messages: messages.map(Arc::new),
        }
    }

    fn publish(&self, broker: SocketAddr) -> Vec<JoinHandle<()>> {
        let gateways = self.messages.iter().enumerate();
        gateways
            .map(|(gateway, messages)| {
                let messages = Arc::clone(messages);
                std::thread::spawn(move || publish_with_retries(broker, &format!("hes-{gateway}"), &messages))
            })
            .collect()
    }

    fn total(&self) -> usize {
        self.messages.iter().map(|messages| messages.len()).sum()
    }

    /// Which messages are acknowledged by now.
    fn acknowledged(&self) -> [Vec<bool>; GATEWAYS] {
        let of = |messages: &Arc<Vec<Message>>| {
            let flags = messages
                .iter()
                .map(|message| message.acknowledged.load(Ordering::SeqCst));
            flags.collect()
        };
        self.messages.each_ref().map(of)
    }

    /// Waits until so many messages are acknowledged.
    fn wait_acknowledged(&self, wanted: usize) {
        let deadline = Instant::now() + product::PATIENCE;
        loop {
            let now = self
                .acknowledged()
                .iter()
                .flatten()
                .filter(|acknowledged| **acknowledged)
                .count();
            if now >= wanted {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "{now} of {} acknowledged",
                self.total()
            );
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// What must be held of a cell when these messages were stored, `None`: no value.
    fn held(&self, cell: &Cell, stored: &[Vec<bool>; GATEWAYS]) -> Option<IntervalRead> {
        let versions = self.sent.get(cell)?.iter();
        versions
            .filter(|sent| stored[sent.message.0][sent.message.1] && sent.read.import_wh.is_some())
            .map(|sent| sent.read)
            .max_by_key(rank)
    }
}

fn fleet(seed: u64) -> Fleet {
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
        ..FleetConfig::new(seed, 480, start)
    })
    .unwrap()
}

/// Eighteen hours, so that a part of the day has no reads.
fn span(fleet: &Fleet) -> Span {
    let start = fleet.config().start;
    Span::between(start, start.plus(18 * 3_600_000_000))
}

#[test]
fn kill_9_loses_nothing_that_was_acknowledged_and_doubles_nothing() {
    let (seed, mut random) = Random::from_seed(20_260_401);
    let folder = tempfile::tempdir().unwrap();
    let fleet = fleet(seed);
    let network = folder.path().join("network");
    fleet.write_files(&network).unwrap();
    let data_dir = folder.path().join("data");
    std::fs::create_dir_all(&data_dir).unwrap();
    let address = SocketAddr::from(([127, 0, 0, 1], product::fixed_port()));
    let mut product = Product::start_on(&data_dir, &address.to_string(), &SETTINGS);
    for file in ["nodes.csv", "meters.csv", "connections.csv"] {
        product.import(&network.join(file));
    }

    let record = Record::of(&fleet);
    let publishers = record.publish(address);
    let mut moments: Vec<u64> = (0..KILLS).map(|_| 20 + random.below(960)).collect();
    moments.sort_unstable();
    eprintln!(
        "{} publishes; kills at per mille of them: {moments:?}",
        record.total()
    );
    for moment in moments {
        record.wait_acknowledged(record.total() * usize::try_from(moment).unwrap() / 1_000);
        let before = record.acknowledged();
        product.kill();
        if random.below(2) == 0 {
            // And again while it recovers.
            let recovering = Product::spawn(&data_dir, &address.to_string(), &SETTINGS);
            std::thread::sleep(Duration::from_millis(random.below(400)));
            recovering.kill();
        }
        product = Product::start_on(&data_dir, &address.to_string(), &SETTINGS);
        if random.below(2) == 0 {
            all_acknowledged_before_is_there(&product, &record, &before);
        }
    }
    for publisher in publishers {
        publisher.join().unwrap();
    }
    product.wait_applied();
    product.checkpoint();
    tables_are_the_record(&product, &record, &fleet);

    // And once more from the tables alone: the log holds nothing that they lack.
    product.kill();
    let product = Product::start_on(&data_dir, &address.to_string(), &SETTINGS);
    let summary = product.get("/api/v1/summary");
    assert_eq!(
        summary["published_position"], summary["log_position"],
        "{summary}"
    );
    tables_are_the_record(&product, &record, &fleet);
}

fn tables_are_the_record(product: &Product, record: &Record, fleet: &Fleet) {
    let all = record.acknowledged();
    assert!(all.iter().flatten().all(|acknowledged| *acknowledged));
    reads_are_exactly_those_delivered(product, record, &all);
    balances_are_those_of_the_record(product, record, fleet);
    assert_eq!(product.metric("gridtally_reads_unaccounted"), 0.0, "CONS-1");
}

/// The reads in the table: what decides between versions, and the value.
fn reads_held(product: &Product) -> BTreeMap<Cell, (i32, Option<i64>, i64)> {
    let rows =
        product.sql("SELECT meter_id, interval_end, import_wh, revision, captured_at FROM interval_reads");
    let count = rows.len();
    let instant = |value: &Value| value.as_str().map(|text| UtcMicros::parse(text).unwrap());
    let held: BTreeMap<Cell, _> = rows
        .iter()
        .map(|row| {
            let cell = (row[0].as_str().unwrap().to_owned(), instant(&row[1]).unwrap());
            let revision = i32::try_from(row[3].as_i64().unwrap()).unwrap();
            (
                cell,
                (
                    revision,
                    instant(&row[4]).map(|at| at.0),
                    row[2].as_i64().unwrap(),
                ),
            )
        })
        .collect();
    assert_eq!(count, held.len(), "each read once");
    held
}

/// ACK-1 at the moment of a kill: no later sending of the same read makes up for one that was lost.
fn all_acknowledged_before_is_there(product: &Product, record: &Record, before: &[Vec<bool>; GATEWAYS]) {
    product.wait_applied();
    product.checkpoint();
    let held = reads_held(product);
    for cell in record.sent.keys() {
        let Some(promised) = record.held(cell, before) else {
            continue;
        };
        let Some((revision, captured_at, _)) = held.get(cell) else {
            panic!("{cell:?} was acknowledged before the kill and is gone");
        };
        assert!(
            (*revision, *captured_at) >= rank(&promised),
            "{cell:?} fell back behind {promised:?}"
        );
    }
}

fn reads_are_exactly_those_delivered(product: &Product, record: &Record, all: &[Vec<bool>; GATEWAYS]) {
    let expected: BTreeMap<Cell, _> = record
        .sent
        .keys()
        .filter_map(|cell| {
            let read = record.held(cell, all)?;
            let (revision, captured_at) = rank(&read);
            Some((cell.clone(), (revision, captured_at, read.import_wh?)))
        })
        .collect();
    assert!(
        expected.len() > 30_000,
        "{} reads are much less than the fleet has",
        expected.len()
    );
    let held = reads_held(product);
    for (cell, read) in &expected {
        assert_eq!(held.get(cell), Some(read), "{cell:?}");
    }
    assert_eq!(held.len(), expected.len(), "nothing is held that was not sent");
    let doubled = "SELECT COUNT(*) FROM (SELECT meter_id, interval_end, import_wh, revision, captured_at FROM interval_reads_history \
                   GROUP BY 1, 2, 3, 4, 5 HAVING COUNT(*) > 1)";
    assert_eq!(
        product.sql_number(doubled),
        0,
        "TBL-1: no version was written twice"
    );
}

/// Rows of a balance table by node and interval.
fn balances(product: &Product, table: &str, id: &str, columns: &[&str]) -> BTreeMap<Cell, Value> {
    let columns = columns.join(", ");
    let rows = product.sql(&format!("SELECT {id}, interval_end, {columns} FROM {table}"));
    let count = rows.len();
    let by_key: BTreeMap<Cell, Value> = rows
        .into_iter()
        .map(|mut row| {
            let figures = row.split_off(2);
            let end = UtcMicros::parse(row[1].as_str().unwrap()).unwrap();
            ((row[0].as_str().unwrap().to_owned(), end), Value::Array(figures))
        })
        .collect();
    assert_eq!(count, by_key.len(), "{table}: each balance once");
    by_key
}

const DT_COLUMNS: [&str; 7] = [
    "meters_reported",
    "meters_expected",
    "dt_import_wh",
    "dt_export_wh",
    "consumer_import_wh",
    "consumer_export_wh",
    "unmetered_wh",
];

fn dt_figures(dt: &DtBalance) -> Value {
    json!([
        dt.meters_reported,
        dt.meters_expected,
        dt.dt_import_wh,
        dt.dt_export_wh,
        dt.consumer_import_wh,
        dt.consumer_export_wh,
        dt.unmetered_wh,
    ])
}

const FEEDER_COLUMNS: [&str; 11] = [
    "meters_reported",
    "meters_expected",
    "feeder_import_wh",
    "feeder_export_wh",
    "boundary_in_wh",
    "boundary_out_wh",
    "input_wh",
    "ht_import_wh",
    "consumer_import_wh",
    "consumer_export_wh",
    "unmetered_wh",
];

fn feeder_figures(feeder: &FeederBalance) -> Value {
    json!([
        feeder.meters_reported,
        feeder.meters_expected,
        feeder.feeder_import_wh,
        feeder.feeder_export_wh,
        feeder.boundary_in_wh,
        feeder.boundary_out_wh,
        feeder.input_wh,
        feeder.ht_import_wh,
        feeder.consumer_import_wh,
        feeder.consumer_export_wh,
        feeder.unmetered_wh,
    ])
}

fn balances_are_those_of_the_record(product: &Product, record: &Record, fleet: &Fleet) {
    let all = record.acknowledged();
    let mut dts = balances(product, "dt_balance", "dt_id", &DT_COLUMNS);
    let mut feeders = balances(product, "feeder_balance", "feeder_id", &FEEDER_COLUMNS);
    let mut compared = 0;
    for feeder in fleet.feeders() {
        for quarter in span(fleet).quarters() {
            let Some((of_dts, of_feeder)) = balance_of(record, &all, &feeder, quarter) else {
                continue;
            };
            let key = (feeder.id(), quarter.end());
            assert_eq!(feeders.remove(&key), Some(feeder_figures(&of_feeder)), "{key:?}");
            for (at, dt) in of_dts.iter().enumerate() {
                let key = (feeder.dt_id(at), quarter.end());
                assert_eq!(dts.remove(&key), Some(dt_figures(dt)), "{key:?}");
                compared += 1;
            }
        }
    }
    assert!(compared > 1_000, "{compared} balances were compared");
    // The rest of the day has no reads: balances without any meter reported.
    for (key, figures) in dts.iter().chain(&feeders) {
        assert_eq!(
            figures[0],
            0,
            "{} {key:?}: {figures}",
            key.1.to_rfc3339(&Zone::kolkata())
        );
    }
}

/// By naive sums over what these messages said.
fn balance_of(
    record: &Record,
    stored: &[Vec<bool>; GATEWAYS],
    feeder: &Feeder,
    quarter: Quarter,
) -> Option<(Vec<DtBalance>, FeederBalance)> {
    feeder.balance_of(quarter, &mut |meter, at| {
        record.held(&(meter.meter.id().unwrap().to_string(), at.end()), stored)
    })
}
