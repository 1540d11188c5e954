//! End to end on one machine: gateway batches of 100 reads at QoS 1 over real sockets into the real process, durable, until they stand in
//! the live balances; with what a person at the page meets meanwhile, what the reads take on disk, and what a silent meter takes in
//! memory. The publisher's frames are made before the clock starts; it runs on the same cores and is counted with them.
//!
//! `cargo bench --bench e2e -- [--consumers N] [--quarters N] [--runs N] [--connections N]`
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

#[path = "e2e/files.rs"]
mod files;
#[path = "e2e/load.rs"]
mod load;
#[path = "e2e/paced.rs"]
mod paced;
#[path = "../tests/product/mod.rs"]
mod product;
mod rounds;
#[path = "e2e/watch.rs"]
mod watch;

use std::{path::Path, time::Instant};

use files::parquet_bytes;
use gridtally_fleet::{Fleet, FleetConfig, Imperfections};
use load::{Frames, Gateway};
use product::Product;
use rounds::Rounds;
use watch::{Tiles, milliseconds};

/// Gateways that publish at full load.
const GATEWAYS: usize = 4;
/// Load of the open loop: half of the target, in publishes of 100 reads a second.
const HALF_LOAD_PER_SECOND: usize = 1_500;

struct Arguments {
    /// `--closed-days`: the clock stands days later, so that every read is late and its day is judged again.
    closed_days: bool,
    consumers: u64,
    quarters: i64,
    runs: usize,
    connections: usize,
}

impl Arguments {
    fn parse() -> Self {
        let given: Vec<String> = std::env::args().collect();
        let number = |name: &str, usual: u64| {
            let place = given.iter().position(|argument| argument == name);
            place.map_or(usual, |place| given[place + 1].parse().unwrap())
        };
        Self {
            closed_days: given.iter().any(|argument| argument == "--closed-days"),
            consumers: number("--consumers", 100_000),
            quarters: i64::try_from(number("--quarters", 60)).unwrap(),
            runs: usize::try_from(number("--runs", 3)).unwrap(),
            connections: usize::try_from(number("--connections", 10_000)).unwrap(),
        }
    }
}

/// What one run gave.
#[derive(Default)]
struct Run {
    reads_per_second: f64,
    acknowledged_per_second: f64,
    tile_p50_ms: f64,
    tile_p99_ms: f64,
    live_p50_s: f64,
    live_p99_s: f64,
    half_tile_p99_ms: f64,
    bytes_a_read: f64,
    server_cpu_share: f64,
    resident_bytes_a_read: f64,
}

fn main() {
    let arguments = Arguments::parse();
    let start = FleetConfig::demo().start;
    let fleet = Fleet::new(FleetConfig {
        imperfections: Imperfections::none(),
        ..FleetConfig::new(1, arguments.consumers, start)
    })
    .unwrap();
    let began = Instant::now();
    // One half for the full load, the other for the open loop.
    let frames = Frames::of(&fleet, start, arguments.quarters);
    let half = Frames::of(
        &fleet,
        start.plus(arguments.quarters * 900_000_000),
        arguments.quarters / 2,
    );
    eprintln!(
        "{} consumers, {} reads and {} reads in frames of {} and {} MB, made in {:.1} s",
        arguments.consumers,
        frames.reads(),
        half.reads(),
        frames.bytes() >> 20,
        half.bytes() >> 20,
        began.elapsed().as_secs_f64()
    );
    let folder = tempfile::tempdir().unwrap();
    let network = folder.path().join("network");
    fleet.write_files(&network).unwrap();
    let ends = start.plus((arguments.quarters + arguments.quarters / 2 + 2) * 900_000_000);
    let now = if arguments.closed_days {
        ends.plus(2 * 86_400_000_000)
    } else {
        ends
    };
    let now = now.to_rfc3339(&FleetConfig::demo().zone);
    let runs: Vec<Run> = (0..arguments.runs)
        .map(|number| {
            let data_dir = folder.path().join(format!("run-{number}"));
            let run = run((&data_dir, &network, &now), &frames, &half);
            std::fs::remove_dir_all(&data_dir).unwrap();
            run
        })
        .collect();
    let idle_bytes = idle_connections(&folder.path().join("idle"), arguments.connections);
    report(&runs, idle_bytes);
}

/// A process with the network, whose clock stands after everything that is published.
fn start(data_dir: &Path, network: &Path, now: &str) -> Product {
    std::fs::create_dir_all(data_dir).unwrap();
    let product = Product::start(data_dir, &[("now", now)]);
    for file in ["nodes.csv", "meters.csv", "connections.csv"] {
        product.import(&network.join(file));
    }
    product.checkpoint();
    product
}

fn run((data_dir, network, now): (&Path, &Path, &str), frames: &Frames, half: &Frames) -> Run {
    let product = start(data_dir, network, now);
    let mut run = Run::default();
    let resident = watch::resident_bytes(product.pid());
    full_load(&product, frames, &mut run);
    run.resident_bytes_a_read =
        (watch::resident_bytes(product.pid()) - resident) as f64 / frames.reads() as f64;
    product.checkpoint();
    let held = product.sql_number("SELECT COUNT(*) FROM interval_reads");
    assert_eq!(
        held,
        i64::try_from(frames.reads()).unwrap(),
        "every read is in the table once"
    );
    run.bytes_a_read = parquet_bytes(&data_dir.join("tables/interval_reads")) as f64 / held as f64;
    half_load(&product, half, &mut run);
    product.kill();
    run
}

/// Everything as fast as it is acknowledged.
fn full_load(product: &Product, frames: &Frames, run: &mut Run) {
    let (tiles, broker) = (Tiles::watch(product), product.mqtt);
    let cpu = watch::cpu_time(product.pid());
    let began = Instant::now();
    std::thread::scope(|scope| {
        for part in frames.split(GATEWAYS) {
            scope.spawn(move || Gateway::connect(broker).publish_all(part));
        }
    });
    let acknowledged = began.elapsed();
    product.wait_applied();
    let live = began.elapsed();
    run.server_cpu_share = (watch::cpu_time(product.pid()) - cpu).as_secs_f64() / live.as_secs_f64();
    let tiles = tiles.end();
    run.reads_per_second = frames.reads() as f64 / live.as_secs_f64();
    run.acknowledged_per_second = frames.reads() as f64 / acknowledged.as_secs_f64();
    (run.tile_p50_ms, run.tile_p99_ms) = (milliseconds(&tiles, 0.5), milliseconds(&tiles, 0.99));
}

/// An open loop.
fn half_load(product: &Product, frames: &Frames, run: &mut Run) {
    let met = paced::publish(product, frames, HALF_LOAD_PER_SECOND);
    run.live_p50_s = met.live.value_at_quantile(0.5) as f64 / 1e6;
    run.live_p99_s = met.live.value_at_quantile(0.99) as f64 / 1e6;
    run.half_tile_p99_ms = milliseconds(&met.tiles, 0.99);
}

/// Resident memory of the process for each MQTT connection that says nothing; the kernel's socket buffers are not in it.
fn idle_connections(data_dir: &Path, connections: usize) -> f64 {
    std::fs::create_dir_all(data_dir).unwrap();
    let product = Product::start(data_dir, &[]);
    // The first ones fill what is allocated once.
    let first: Vec<Gateway> = (0..100).map(|_| Gateway::connect(product.mqtt)).collect();
    let before = watch::resident_bytes(product.pid());
    let open: Vec<Gateway> = (0..connections).map(|_| Gateway::connect(product.mqtt)).collect();
    let after = watch::resident_bytes(product.pid());
    assert_eq!(
        product.metric("gridtally_ingest_connections_open") as usize,
        first.len() + open.len()
    );
    (after - before) as f64 / open.len() as f64
}

fn report(runs: &[Run], idle_bytes: f64) {
    let row = |rounds: Rounds, of: &dyn Fn(&Run) -> f64| {
        let mut rounds = rounds;
        runs.iter().for_each(|run| rounds.note(of(run)));
        println!("{rounds}");
    };
    let new = Rounds::new;
    let live = new("end to end: into live balances", "reads/s").at_least(300_000.0);
    row(live, &|run| run.reads_per_second);
    row(new("end to end: acknowledged", "reads/s"), &|run| {
        run.acknowledged_per_second
    });
    row(new("processor time of the server meanwhile", "cores"), &|run| {
        run.server_cpu_share
    });
    row(
        new("tiles (GET /api/v1/summary) at full load: p50", "ms"),
        &|run| run.tile_p50_ms,
    );
    row(new("tiles at full load: p99", "ms").at_most(50.0), &|run| {
        run.tile_p99_ms
    });
    row(new("publish to live balance at half load: p50", "s"), &|run| {
        run.live_p50_s
    });
    let half = new("publish to live balance at half load: p99", "s").at_most(3.0);
    row(half, &|run| run.live_p99_s);
    row(new("tiles at half load: p99", "ms").at_most(50.0), &|run| {
        run.half_tile_p99_ms
    });
    row(new("Parquet: a read", "bytes").at_most(4.0), &|run| {
        run.bytes_a_read
    });
    row(new("resident memory: a read held", "bytes"), &|run| {
        run.resident_bytes_a_read
    });
    let mut idle = new("idle MQTT connection: resident memory", "bytes").at_most(10_240.0);
    idle.note(idle_bytes);
    println!("{idle}");
}
