//! Twenty thousand meters, each with a connection of its own, on the real process: what a connection takes of memory, how fast they come,
//! how long an acknowledgement takes while each publishes its reads, and what happens when all of them are cut and come again at once,
//! each with a publish whose acknowledgement it never saw. Without TLS, then with it.
//!
//! Meters come from many loopback addresses, because one address has not enough ports. The clients run on the same two cores.
//!
//! `cargo bench --bench connections -- [--connections N]`, with `ulimit -n` somewhat above N in a shell that may have it
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
    reason = "a bench fails by panicking, and is an edge"
)]

#[path = "e2e/load.rs"]
mod load;
#[path = "connections/meter.rs"]
mod meter;
#[path = "../tests/product/mod.rs"]
mod product;
#[path = "e2e/watch.rs"]
mod watch;

use std::{
    net::SocketAddr,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use gridtally_fleet::{Fleet, FleetConfig, Imperfections};
use gridtally_schemas::{MeterId, UtcMicros};
use hdrhistogram::Histogram;
use meter::{Door, Meter};
use product::{Product, certificate::Authority};
use tokio::task::JoinSet;

/// Publishes of each meter while all are connected.
const PUBLISHES: i64 = 3;
/// In which each publishes once.
const ROUND: Duration = Duration::from_secs(10);
const QUARTER: i64 = 900_000_000;

fn main() {
    let given: Vec<String> = std::env::args().collect();
    let place = given.iter().position(|argument| argument == "--connections");
    let connections = place.map_or(20_000, |place| given[place + 1].parse().unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    println!("| {connections} connections | without TLS | with TLS |");
    println!("|---|---|---|");
    let plain = runtime.block_on(measure(connections, false));
    let secure = runtime.block_on(measure(connections, true));
    for ((what, plain), (_, secure)) in plain.iter().zip(&secure) {
        println!("| {what} | {plain} | {secure} |");
    }
}

/// The fleet's network in the process, and the meters of it that connect.
fn known_meters(product: &Product, folder: &Path, count: usize) -> (Vec<MeterId>, UtcMicros) {
    let start = FleetConfig::demo().start;
    let fleet = Fleet::new(FleetConfig {
        imperfections: Imperfections::none(),
        ..FleetConfig::new(1, count as u64 * 5 / 4, start)
    })
    .unwrap();
    fleet.write_files(folder).unwrap();
    for file in ["nodes.csv", "meters.csv", "connections.csv"] {
        product.import(&folder.join(file));
    }
    let meters: Vec<MeterId> = fleet
        .meters()
        .filter(|row| row.interval_minutes.minutes() == 15)
        .map(|row| row.meter_id)
        .take(count)
        .collect();
    assert_eq!(meters.len(), count);
    (meters, start)
}

async fn measure(connections: usize, with_tls: bool) -> Vec<(&'static str, String)> {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path(), "utility");
    let own = authority.certify("gridtally", "IP:127.0.0.1");
    let config = folder.path().join("gridtally.toml");
    let tls = format!(
        "[mqtt]\nconnections_max = 40000\ntls_listen = \"127.0.0.1:0\"\ntls_certificate = {:?}\ntls_key = {:?}\n",
        own.certificate, own.key
    );
    std::fs::write(&config, tls).unwrap();
    let data_dir = folder.path().join("data");
    let start = FleetConfig::demo().start;
    let now = start.plus(20 * QUARTER).to_rfc3339(&FleetConfig::demo().zone);
    let product = Product::start_with_file(&data_dir, &config, &[("now", &now)]);
    let (ids, start) = known_meters(&product, &folder.path().join("network"), connections);
    product.checkpoint();
    let door = Arc::new(if with_tls {
        let endpoints = std::fs::read_to_string(data_dir.join("endpoints.json")).unwrap();
        let endpoints: serde_json::Value = serde_json::from_str(&endpoints).unwrap();
        let address: SocketAddr = endpoints["mqtt_tls"].as_str().unwrap().parse().unwrap();
        Door::secure(address, &authority.certificate)
    } else {
        Door::plain(product.mqtt)
    });
    let each_micros = |since: Duration, count: usize| {
        let micros = (watch::cpu_time(product.pid()) - since).as_micros();
        format!("{:.0}", micros as f64 / count as f64)
    };
    let mut figures = Vec::new();
    let mut tell = |what, figure: String| figures.push((what, figure));
    let meters: Vec<Meter> = ids
        .into_iter()
        .enumerate()
        .map(|(at, id)| Meter::new(at, id, start, Arc::clone(&door)))
        .collect();

    // The first few fill what is allocated once.
    let mut meters = meters.into_iter();
    let (first, _) = connect_all(meters.by_ref().take(connections / 100).collect()).await;
    let (resident, cpu) = (
        watch::resident_bytes(product.pid()),
        watch::cpu_time(product.pid()),
    );
    let rest = meters.len();
    let (mut meters, took) = connect_all(meters.collect()).await;
    tell("all connected, s", format!("{:.1}", took.as_secs_f64()));
    tell(
        "connections a second",
        format!("{:.0}", rest as f64 / took.as_secs_f64()),
    );
    tell("tries that failed", tries(&meters, rest));
    tell(
        "processor time of the server for each, microseconds",
        each_micros(cpu, rest),
    );
    tell(
        "resident memory for each, bytes",
        format!(
            "{:.0}",
            (watch::resident_bytes(product.pid()) - resident) as f64 / rest as f64
        ),
    );
    meters.extend(first);
    assert_eq!(
        product.metric("gridtally_ingest_connections_open") as usize,
        connections
    );

    let (mut meters, waits) = publish_all(meters).await;
    for (what, quantile) in [
        ("PUBACK p50, ms", 0.5),
        ("PUBACK p99, ms", 0.99),
        ("PUBACK greatest, ms", 1.0),
    ] {
        tell(
            what,
            format!("{:.1}", waits.value_at_quantile(quantile) as f64 / 1e3),
        );
    }
    tell(
        "publishes a second",
        format!("{:.0}", connections as f64 / ROUND.as_secs_f64()),
    );
    tell(
        "resident memory for each after that, bytes",
        format!(
            "{:.0}",
            (watch::resident_bytes(product.pid()) - resident) as f64 / rest as f64
        ),
    );

    // Each publishes once more and is cut before it hears of it.
    for meter in &mut meters {
        meter.publish_and_cut().await;
    }
    let cpu = watch::cpu_time(product.pid());
    let (meters, took) = connect_all(meters).await;
    tell(
        "cut and all back, unheard publish acknowledged, s",
        format!("{:.1}", took.as_secs_f64()),
    );
    tell("tries that failed then", tries(&meters, connections));
    tell(
        "processor time of the server then, for each, microseconds",
        each_micros(cpu, connections),
    );
    product.wait_applied();
    product.checkpoint();
    let held = product.sql_number("SELECT COUNT(*) FROM interval_reads");
    let lost = connections as i64 * (PUBLISHES + 1) - held;
    assert_eq!(lost, 0, "publishes are lost");
    tell("publishes lost", lost.to_string());
    drop(meters);
    product.kill();
    figures
}

fn tries(meters: &[Meter], connected: usize) -> String {
    let tries: usize = meters.iter().map(|meter| meter.tries).sum();
    (tries - connected).to_string()
}

/// All at once; a meter whose publish was not acknowledged sends it again and waits.
async fn connect_all(meters: Vec<Meter>) -> (Vec<Meter>, Duration) {
    let began = Instant::now();
    let mut tasks = JoinSet::new();
    for mut meter in meters {
        tasks.spawn(async move {
            meter.connect().await;
            meter
        });
    }
    let meters = tasks.join_all().await;
    (meters, began.elapsed())
}

/// Each publishes at its time of each round, whatever the others do; the wait runs from that time.
async fn publish_all(meters: Vec<Meter>) -> (Vec<Meter>, Histogram<u64>) {
    let (began, count) = (Instant::now(), meters.len() as u32);
    let mut tasks = JoinSet::new();
    for (at, mut meter) in meters.into_iter().enumerate() {
        tasks.spawn(async move {
            let mut waits = Vec::new();
            for round in 0..PUBLISHES as u32 {
                let due = began + ROUND * round + ROUND * at as u32 / count;
                tokio::time::sleep_until(due.into()).await;
                meter.publish().await;
                waits.push(due.elapsed().as_micros() as u64);
            }
            (meter, waits)
        });
    }
    let mut all = Histogram::new(3).unwrap();
    let mut meters = Vec::new();
    for (meter, waits) in tasks.join_all().await {
        waits.into_iter().for_each(|wait| all.record(wait).unwrap());
        meters.push(meter);
    }
    (meters, all)
}
