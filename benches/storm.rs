//! Outages while much else happens, on the real process over real sockets.
//!
//! *Under load*: gateways publish interval reads as fast as they are acknowledged; meanwhile one DT after another loses its supply, in an
//! open loop: each at its time, whether the ones before were told or not. From the moment at which its first last gasp is due at the
//! broker until `/api/v1/stream` tells of the DT's outage; only of those that failed while reads waited.
//!
//! *Storm*: 100,000 last gasps (of whole feeders, so some more) in an open loop over 10 s, each publish of a hundred at its time. Until the summary counts every one of
//! these consumers as without supply, with the tiles' delay meanwhile; then how many events are in the table.
//!
//! `cargo bench --bench storm -- [--consumers N] [--gasps N] [--quarters N] [--dts N]`
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
#[path = "../tests/product/mod.rs"]
mod product;
#[path = "e2e/watch.rs"]
mod watch;

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use gridtally_fleet::{Fleet, FleetConfig, Imperfections, MeterRef, Span, layout::FeederKind};
use gridtally_schemas::{PowerEvent, UtcMicros, network::MeterRole};
use hdrhistogram::Histogram;
use load::{Frames, Gateway};
use product::Product;
use watch::{Outages, Tiles, milliseconds};

const QUARTER: i64 = 900_000_000;
const POWER_FAILED: i32 = 101;
/// Gateways that publish interval reads at full load.
const GATEWAYS: usize = 4;
/// Pause between two DTs that fail.
const BETWEEN_DTS: Duration = Duration::from_millis(200);
/// Fewest DTs that a p99 may rest on.
const SAMPLES_MIN: usize = 30;
/// In which the storm's last gasps come.
const STORM: Duration = Duration::from_secs(10);

struct Arguments {
    consumers: u64,
    gasps: usize,
    quarters: i64,
    dts: usize,
}

impl Arguments {
    fn parse() -> Self {
        let given: Vec<String> = std::env::args().collect();
        let number = |name: &str, usual: u64| {
            let place = given.iter().position(|argument| argument == name);
            place.map_or(usual, |place| given[place + 1].parse().unwrap())
        };
        Self {
            consumers: number("--consumers", 200_000),
            gasps: usize::try_from(number("--gasps", 100_000)).unwrap(),
            quarters: i64::try_from(number("--quarters", 48)).unwrap(),
            dts: usize::try_from(number("--dts", 40)).unwrap(),
        }
    }
}

/// Consumers' meters of a node.
struct Node {
    id: String,
    meters: Vec<MeterRef>,
}

fn main() {
    let arguments = Arguments::parse();
    let start = FleetConfig::demo().start;
    let fleet = Fleet::new(FleetConfig {
        imperfections: Imperfections::none(),
        ..FleetConfig::new(1, arguments.consumers, start)
    })
    .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let network = folder.path().join("network");
    fleet.write_files(&network).unwrap();
    let days = Span::between(start, start.plus(2 * 96 * QUARTER));
    fleet.write_supply_hours(&network, days).unwrap();
    let ends = start.plus((2 + arguments.quarters) * QUARTER);
    let now = ends.to_rfc3339(&FleetConfig::demo().zone);
    let data_dir = folder.path().join("data");
    std::fs::create_dir_all(&data_dir).unwrap();
    let product = Product::start(&data_dir, &[("now", &now)]);
    for file in ["nodes.csv", "meters.csv", "connections.csv", "supply_hours.csv"] {
        product.import(&network.join(file));
    }
    // Everybody was heard.
    Gateway::connect(product.mqtt).publish_all(Frames::of(&fleet, start, 1).whole());
    product.checkpoint();
    let feeders = feeders(&fleet);
    println!("| What | figure | target |");
    println!("|---|---|---|");
    under_load(&product, &fleet, &arguments);
    storm(&product, &feeders, (&arguments, ends.plus(-QUARTER)));
    product.kill();
}

/// Feeders with their consumers' meters, by number.
fn feeders(fleet: &Fleet) -> Vec<Node> {
    let of = |feeder: gridtally_fleet::Feeder| {
        let meters = feeder.meters().iter();
        Node {
            id: feeder.id(),
            meters: meters
                .filter(|meter| meter.role == MeterRole::Consumer)
                .map(|meter| meter.meter)
                .collect(),
        }
    };
    fleet.feeders().map(of).collect()
}

/// DTs of at least ten consumers' meters, one of each feeder from the last on, so that no feeder has most of its DTs out.
fn dts(fleet: &Fleet, count: usize) -> Vec<Node> {
    let mut found = Vec::new();
    for number in (0..fleet.feeder_count()).rev() {
        let feeder = fleet.feeder(number).unwrap();
        // Pump sets may have no supply then by their hours.
        if feeder.kind() == FeederKind::Agriculture {
            continue;
        }
        let mut by_dt: BTreeMap<usize, Vec<MeterRef>> = BTreeMap::new();
        for meter in feeder
            .meters()
            .iter()
            .filter(|meter| meter.role == MeterRole::Consumer)
        {
            meter
                .dt
                .into_iter()
                .for_each(|dt| by_dt.entry(dt).or_default().push(meter.meter));
        }
        let large = by_dt.into_iter().find(|(_, meters)| meters.len() >= 10);
        found.extend(large.map(|(dt, meters)| Node {
            id: feeder.dt_id(dt),
            meters,
        }));
        if found.len() == count {
            break;
        }
    }
    found
}

fn gasps(meters: &[MeterRef], at: UtcMicros) -> Frames {
    let event = PowerEvent {
        at,
        code: POWER_FAILED,
        sequence: None,
    };
    Frames::of_events(meters, event)
}

/// One DT after the other, while interval reads come as fast as they are acknowledged.
fn under_load(product: &Product, fleet: &Fleet, arguments: &Arguments) {
    let start = fleet.config().start;
    let reads = Frames::of(fleet, start.plus(QUARTER), arguments.quarters);
    let failing: Vec<(Node, Frames)> = dts(fleet, arguments.dts)
        .into_iter()
        .map(|dt| {
            // After everything that is read meanwhile: a meter that goes on counting would contradict its last gasp.
            let frames = gasps(&dt.meters, start.plus((1 + arguments.quarters) * QUARTER));
            (dt, frames)
        })
        .collect();
    let outages = Outages::watch(product);
    let over = AtomicBool::new(false);
    // The node, and when its first last gasp was due.
    let mut struck: Vec<(&str, Instant)> = Vec::new();
    std::thread::scope(|scope| {
        let publishers: Vec<_> = reads
            .split(GATEWAYS)
            .into_iter()
            .map(|part| {
                let broker = product.mqtt;
                scope.spawn(move || Gateway::connect(broker).publish_all(part))
            })
            .collect();
        let over = &over;
        scope.spawn(move || {
            for publisher in publishers {
                publisher.join().unwrap();
            }
            over.store(true, Ordering::Relaxed);
        });
        let mut events = Gateway::connect(product.mqtt);
        let mut due = Instant::now();
        for (dt, frames) in &failing {
            let summary = product.get("/api/v1/summary");
            let waiting = |name: &str| summary[name].as_u64().unwrap();
            let is_loaded = waiting("log_position") > waiting("applied_position");
            due += BETWEEN_DTS;
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            if is_loaded {
                struck.push((&dt.id, due));
                events.publish_all(frames.whole());
            } else if over.load(Ordering::Relaxed) {
                break;
            }
        }
    });
    assert!(
        struck.len() >= arguments.dts.min(SAMPLES_MIN),
        "the load was over when only {} DTs had failed: more quarters",
        struck.len()
    );
    let nodes: Vec<&str> = struck.iter().map(|(node, _)| *node).collect();
    let told = outages.first_told(&nodes);
    let mut delays = Histogram::<u64>::new(3).unwrap();
    for (node, began) in &struck {
        match told.get(*node) {
            Some(at) => delays.record((*at - *began).as_micros() as u64).unwrap(),
            None => println!("| {node} was told as another node's outage, or not at all | | |"),
        }
    }
    let applied = Instant::now();
    product.wait_applied();
    let seconds = |micros: u64| micros as f64 / 1e6;
    println!(
        "| {} reads at full load; DTs that failed while reads waited | {} | |",
        reads.reads(),
        struck.len()
    );
    println!(
        "| first last gasp to the stream, p50 / p99 / most | {:.2} / {:.2} / {:.2} s | 3 s |",
        seconds(delays.value_at_quantile(0.5)),
        seconds(delays.value_at_quantile(0.99)),
        seconds(delays.max())
    );
    assert!(
        delays.len() as usize >= arguments.dts.min(SAMPLES_MIN),
        "only {} of {} outages were told at their DT",
        delays.len(),
        struck.len()
    );
    println!(
        "| from the last of these DTs until every read was in the balances | {:.1} s | |",
        applied.elapsed().as_secs_f64()
    );
}

fn storm(product: &Product, feeders: &[Node], (arguments, at): (&Arguments, UtcMicros)) {
    let mut meters: Vec<MeterRef> = Vec::new();
    let whole = feeders.iter().take_while(|feeder| {
        let is_wanted = meters.len() < arguments.gasps;
        meters.extend(feeder.meters.iter().filter(|_| is_wanted));
        is_wanted
    });
    let struck: Vec<&Node> = whole.collect();
    let frames = gasps(&meters, at);
    let out = |product: &Product| {
        product.get("/api/v1/summary")["consumers_without_supply"]
            .as_u64()
            .unwrap()
    };
    let count = |product: &Product| product.sql_number("SELECT COUNT(*) FROM meter_events");
    let noise = |product: &Product| {
        product.sql_number(
            "SELECT COUNT(*) FROM vee_exceptions WHERE rule IN ('gap', 'spike', 'long_zero', 'stuck')",
        )
    };
    product.checkpoint();
    let (before, events_before, noise_before) = (out(product), count(product), noise(product));
    let expected = before + meters.len() as u64;
    let (tiles, cpu) = (Tiles::watch(product), watch::cpu_time(product.pid()));
    let count_of_frames = u32::try_from(frames.count()).unwrap();
    let pause = STORM / count_of_frames;
    // The first is due at once.
    let last_due = pause * (count_of_frames - 1);
    let began = Gateway::connect(product.mqtt).publish_paced(&frames, pause);
    let acknowledged = began.elapsed();
    product.wait("the outages of the storm", |summary| {
        summary["consumers_without_supply"].as_u64().unwrap() >= expected
    });
    let formed = began.elapsed();
    let cpu = (watch::cpu_time(product.pid()) - cpu).as_secs_f64();
    let tiles = tiles.end();
    product.checkpoint();
    let lost = events_before + i64::try_from(meters.len()).unwrap() - count(product);
    let open = product.get("/api/v1/summary")["open_outages"].as_u64().unwrap();
    println!(
        "| storm: last gasps of {} feeders | {} | 100,000 |",
        struck.len(),
        meters.len()
    );
    println!(
        "| the last of them acknowledged after the first was due | {:.2} s | 10 s |",
        acknowledged.as_secs_f64()
    );
    println!(
        "| every consumer counted as out, after the last was due | {:.2} s | 3 s |",
        formed.as_secs_f64() - last_due.as_secs_f64()
    );
    println!("| events lost | {lost} | 0 |");
    let noise = noise(product) - noise_before;
    println!("| gaps, spikes and stuck or zero meters that validation found meanwhile | {noise} | 0 |");
    println!("| open outages then | {open} | |");
    println!("| processor time of the server meanwhile | {cpu:.1} s | |");
    println!(
        "| tiles meanwhile, p50 / p99 | {:.1} / {:.1} ms | 50 ms |",
        milliseconds(&tiles, 0.5),
        milliseconds(&tiles, 0.99)
    );
    // Feeders that fail together are one outage of the node above them; nobody is out alone.
    let page = product.get("/api/v1/outages?status=open");
    let outages = page["outages"].as_array().unwrap();
    let is_wide = |outage: &serde_json::Value| {
        !outage["scope"]
            .as_str()
            .unwrap()
            .to_lowercase()
            .contains("service")
    };
    assert!(!outages.is_empty() && outages.iter().all(is_wide), "{page}");
    assert_eq!(
        (lost, noise),
        (0, 0),
        "events lost, and exceptions that are the outage's"
    );
}
