//! A utility of a million consumers and more on this machine, the whole way: the real process, its master data by the API, the reads of
//! hours in publishes of a hundred over real sockets, durable, faster than they happen; then every balance against the fleet's truth, the
//! page in a real browser, and a start after a kill; of a whole day its close, too. What is printed shows what grows with meters and what
//! with reads.
//!
//! The publisher computes each read on the same two cores while the server works, and is counted.
//!
//! `cargo bench --bench scale -- [--consumers N] [--quarters N] [--folder F]`
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
#[path = "../tests/product/mod.rs"]
mod product;
#[path = "scale/truth.rs"]
mod truth;
#[path = "e2e/watch.rs"]
mod watch;

use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicI64, AtomicU64, Ordering},
    time::{Duration, Instant},
};

use gridtally_fleet::{Fleet, FleetConfig, Imperfections, Quarter, flow::Reads};
use load::{Batches, Frames, Gateway};
use product::{
    Product,
    browser::{Browser, FILLED},
};
use serde_json::Value;
use watch::{Tiles, milliseconds};

/// Connections that publish, each with a thread of its own that computes what it sends.
const GATEWAYS: usize = 2;
/// Feeders of one file of master data: some 100,000 consumers.
const FEEDERS_OF_FILE: u64 = 100;
/// Feeders whose reads are sent at once.
const FEEDERS_OF_FRAMES: u64 = 20;
/// Looks at the page, each in a browser that has nothing cached.
const LOOKS: usize = 5;
/// How long reads come as they happen while the tiles are asked for.
const LIVE: Duration = Duration::from_secs(20);
const MEGA: f64 = (1 << 20) as f64;
/// For a start over what a killed process left.
const PATIENCE: Duration = Duration::from_secs(1_800);
/// An hour in microseconds.
const HOUR: i64 = 3_600_000_000;
const QUARTERS_OF_DAY: i64 = 96;

struct Arguments {
    consumers: u64,
    quarters: i64,
    folder: Option<PathBuf>,
}

impl Arguments {
    fn parse() -> Self {
        let given: Vec<String> = std::env::args().collect();
        let after = |name: &str| {
            let place = given.iter().position(|argument| argument == name)?;
            Some(given[place + 1].clone())
        };
        let number = |name: &str, usual: u64| after(name).map_or(usual, |text| text.parse().unwrap());
        Self {
            consumers: number("--consumers", 1_000_000),
            quarters: i64::try_from(number("--quarters", 16)).unwrap(),
            folder: after("--folder").map(PathBuf::from),
        }
    }
}

fn main() {
    let arguments = Arguments::parse();
    let start = FleetConfig::demo().start;
    let fleet = Fleet::new(FleetConfig {
        imperfections: Imperfections::none(),
        ..FleetConfig::new(1, arguments.consumers, start)
    })
    .unwrap();
    let folder = arguments
        .folder
        .as_deref()
        .map_or_else(tempfile::tempdir, tempfile::tempdir_in);
    let folder = folder.unwrap();
    let data_dir = folder.path().join("data");
    std::fs::create_dir_all(&data_dir).unwrap();
    // The clock stands a little after what is published, as a utility's does, and a minute before the last interval closes: also of a
    // whole day each read comes while its day is open.
    let end = start.plus(arguments.quarters * HOUR / 4);
    let now = end.plus(29 * HOUR / 60).to_rfc3339(&FleetConfig::demo().zone);
    let settings = [("now", now.as_str())];
    let product = Product::start(&data_dir, &settings);
    println!(
        "{} consumers, {} feeders",
        arguments.consumers,
        fleet.feeder_count()
    );
    let empty = watch::resident_bytes(product.pid());
    import(&product, &fleet, &folder.path().join("network"));
    let network = watch::resident_bytes(product.pid()) - empty;
    println!(
        "network: {:.0} MB, {:.0} bytes a consumer",
        network as f64 / MEGA,
        network as f64 / arguments.consumers as f64
    );
    let quarters = Quarter::containing(start).plus(1).0..=Quarter::containing(start).0 + arguments.quarters;
    let tiles = Tiles::watch(&product);
    let sent = publish(&product, &fleet, quarters.clone());
    let tiles = tiles.end();
    println!(
        "tiles meanwhile: p50 {:.1} ms, p99 {:.1} ms (target 50)",
        milliseconds(&tiles, 0.5),
        milliseconds(&tiles, 0.99)
    );
    checkpoint(&product);
    steps(&product);
    let held = held(&product, &fleet, quarters.clone());
    assert_eq!(held.reads, sent.reads, "every read is in the table once");
    assert_eq!(held.import_wh, sent.import_wh, "and their sum is the fleet's");
    for table in [
        "interval_reads",
        "dt_balance",
        "feeder_balance",
        "node_balance_daily",
    ] {
        println!(
            "{table}: {:.0} MB",
            files::parquet_bytes(&data_dir.join("tables").join(table)) as f64 / MEGA
        );
    }
    look(&product);
    tiles_live(&product, &fleet, arguments.consumers, Quarter(quarters.end() + 1));
    let began = Instant::now();
    let compared = truth::compare(&fleet, &quarters, &data_dir.join("tables"));
    println!(
        "{compared} balances of DTs are the fleet's truth to the Wh (compared in {:.0} s)",
        began.elapsed().as_secs_f64()
    );
    product.kill();
    recover(&data_dir, &settings);
    if arguments.quarters % QUARTERS_OF_DAY == 0 {
        let later = end.plus(HOUR).to_rfc3339(&FleetConfig::demo().zone);
        close(&data_dir, &[("now", later.as_str())]);
    }
}

/// A summary, however long the server takes.
fn summary(product: &Product) -> Value {
    product.get("/api/v1/summary")
}

/// Waits until all that was acknowledged is in the live balances.
fn wait_applied(product: &Product) {
    let target = summary(product)["log_position"].as_u64().unwrap();
    while summary(product)["applied_position"].as_u64().unwrap() < target {
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn checkpoint(product: &Product) {
    let began = Instant::now();
    let target = summary(product)["log_position"].as_u64().unwrap();
    // Asked for by a thread, because it may take longer than a client of these tests waits.
    let url = product.url("/api/v1/checkpoint");
    let config = ureq::Agent::config_builder().timeout_global(Some(Duration::from_secs(3_600)));
    let agent = ureq::Agent::new_with_config(config.build());
    agent.post(&url).send_empty().unwrap();
    println!(
        "checkpoint through {target}: {:.1} s, {:.0} MB resident",
        began.elapsed().as_secs_f64(),
        watch::resident_bytes(product.pid()) as f64 / MEGA
    );
}

/// What writing the tables has cost, step by step.
fn steps(product: &Product) {
    println!("| step of writing the tables | times | all, s | each, ms | MB written |");
    println!("|---|---|---|---|---|");
    for step in ["files", "commit", "log_checkpoint", "compaction", "vacuum"] {
        let of = |what: &str| product.metric(&format!("gridtally_tables_{what}_total{{step=\"{step}\"}}"));
        let (times, seconds) = (of("steps"), of("step_seconds"));
        println!(
            "| {step} | {times} | {seconds:.1} | {:.1} | {:.0} |",
            1e3 * seconds / times.max(1.0),
            of("step_bytes") / MEGA
        );
    }
}

/// The whole network, a file of each kind for some feeders at a time.
fn import(product: &Product, fleet: &Fleet, folder: &Path) {
    let (began, mut busy) = (Instant::now(), Duration::ZERO);
    for first in (0..fleet.feeder_count()).step_by(FEEDERS_OF_FILE as usize) {
        let last = (first + FEEDERS_OF_FILE).min(fleet.feeder_count());
        fleet.write_part(folder, first..last).unwrap();
        let began = Instant::now();
        for file in ["nodes.csv", "meters.csv", "connections.csv"] {
            product.import(&folder.join(file));
        }
        busy += began.elapsed();
    }
    wait_applied(product);
    println!(
        "master data imported in {:.0} s, {:.0} s of it the server's",
        began.elapsed().as_secs_f64(),
        busy.as_secs_f64()
    );
    checkpoint(product);
}

/// Reads, and the sum of what they say.
struct Sent {
    reads: u64,
    import_wh: i64,
}

/// Every quarter of every meter, quarter after quarter, as fast as it is taken; prints a line for each.
fn publish(product: &Product, fleet: &Fleet, quarters: std::ops::RangeInclusive<i64>) -> Sent {
    let (reads, import_wh) = (AtomicU64::new(0), AtomicI64::new(0));
    let mut gateways: Vec<Gateway> = (0..GATEWAYS).map(|_| Gateway::connect(product.mqtt)).collect();
    println!(
        "| quarter | reads | acknowledged, s | in the balances, s | reads/s | server, cores | last tick, s | last checkpoint, s | resident, MB |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    let (all, cpu_all) = (Instant::now(), watch::cpu_time(product.pid()));
    for quarter in quarters {
        let (before, began) = (reads.load(Ordering::Relaxed), Instant::now());
        let cpu = watch::cpu_time(product.pid());
        let next = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for gateway in &mut gateways {
                scope.spawn(|| {
                    let (mut frames, mut batches) = (Frames::none(), Batches::default());
                    let mut state = Reads::default();
                    loop {
                        let first = next.fetch_add(FEEDERS_OF_FRAMES, Ordering::Relaxed);
                        frames.clear();
                        for number in first..(first + FEEDERS_OF_FRAMES).min(fleet.feeder_count()) {
                            let feeder = fleet.feeder(number).unwrap();
                            state.compute(&feeder, &fleet.config().zone, Quarter(quarter));
                            let wh = frames.push_reads(&feeder, &state, &mut batches);
                            import_wh.fetch_add(wh, Ordering::Relaxed);
                        }
                        if first >= fleet.feeder_count() {
                            return;
                        }
                        reads.fetch_add(frames.reads() as u64, Ordering::Relaxed);
                        gateway.publish_all(frames.whole());
                    }
                });
            }
        });
        let acknowledged = began.elapsed().as_secs_f64();
        wait_applied(product);
        let live = began.elapsed().as_secs_f64();
        let of_quarter = reads.load(Ordering::Relaxed) - before;
        println!(
            "| {quarter} | {of_quarter} | {acknowledged:.2} | {live:.2} | {:.0} | {:.2} | {:.2} | {:.1} | {:.0} |",
            of_quarter as f64 / live,
            (watch::cpu_time(product.pid()) - cpu).as_secs_f64() / live,
            product.metric("gridtally_engine_tick_seconds"),
            product.metric("gridtally_engine_checkpoint_seconds"),
            watch::resident_bytes(product.pid()) as f64 / MEGA
        );
    }
    let sent = Sent {
        reads: reads.into_inner(),
        import_wh: import_wh.into_inner(),
    };
    let took = all.elapsed().as_secs_f64();
    println!(
        "{} reads into live balances in {took:.0} s: {:.0} reads/s, {:.2} cores of the server",
        sent.reads,
        sent.reads as f64 / took,
        (watch::cpu_time(product.pid()) - cpu_all).as_secs_f64() / took
    );
    sent
}

/// What the table of reads holds of these quarters, asked a quarter at a time: of thirty million meters no more is answered within a query's limit of time.
fn held(product: &Product, fleet: &Fleet, quarters: std::ops::RangeInclusive<i64>) -> Sent {
    let began = Instant::now();
    let mut held = Sent {
        reads: 0,
        import_wh: 0,
    };
    for quarter in quarters {
        let end = Quarter(quarter).end().to_rfc3339(&fleet.config().zone);
        let rows = product.sql(&format!(
            "SELECT COUNT(*), SUM(import_wh) FROM interval_reads WHERE interval_end = '{end}'"
        ));
        held.reads += rows[0][0].as_u64().unwrap();
        held.import_wh += rows[0][1].as_i64().unwrap();
    }
    println!(
        "{} reads in the table, counted and summed in {:.1} s",
        held.reads,
        began.elapsed().as_secs_f64()
    );
    held
}

/// The overview in a browser that never saw it: when it first paints, and when everything on it is there.
fn look(product: &Product) {
    let (mut paints, mut full) = (Vec::new(), Vec::new());
    let mut slowest = serde_json::Value::Null;
    for _ in 0..LOOKS {
        let Some(mut browser) = Browser::open() else {
            return;
        };
        browser.go(&product.url("/"));
        browser.until(FILLED);
        let number = |browser: &mut Browser, expression: &str| browser.value(expression).as_f64().unwrap();
        paints.push(number(
            &mut browser,
            "performance.getEntriesByName('first-contentful-paint')[0].startTime",
        ));
        // When the last answer that the page waited for was there.
        let last = number(
            &mut browser,
            "Math.max(...performance.getEntriesByType('resource').map((entry) => entry.responseEnd))",
        );
        if full.iter().all(|other| *other < last) {
            slowest = browser.value(
                "performance.getEntriesByType('resource').sort((one, other) => other.responseEnd - one.responseEnd).slice(0, 24) \
                 .map((entry) => `${entry.name} ${Math.round(entry.startTime)} to ${Math.round(entry.responseEnd)} ms`)",
            );
            browser.shot("scale");
        }
        full.push(last);
    }
    for (what, mut times) in [
        ("first contentful paint (target 1,000)", paints),
        ("the last answer it waited for", full),
    ] {
        times.sort_by(f64::total_cmp);
        println!(
            "page, {what}: {:.0} / {:.0} / {:.0} ms",
            times[0],
            times[times.len() / 2],
            times[times.len() - 1]
        );
    }
    println!("page, the last answers of the slowest look: {slowest:#}");
}

/// The tiles while every meter's reads come at the rate at which they happen, evenly.
fn tiles_live(product: &Product, fleet: &Fleet, consumers: u64, quarter: Quarter) {
    let publishes_per_second = consumers as f64 / 900.0 / 100.0;
    let wanted = (publishes_per_second * LIVE.as_secs_f64()).ceil() as usize;
    let (mut frames, mut batches) = (Frames::none(), Batches::default());
    for feeder in fleet.feeders() {
        let mut reads = Reads::default();
        reads.compute(&feeder, &fleet.config().zone, quarter);
        frames.push_reads(&feeder, &reads, &mut batches);
        if frames.count() >= wanted {
            break;
        }
    }
    let tiles = Tiles::watch(product);
    let pause = LIVE.div_f64(frames.count() as f64);
    Gateway::connect(product.mqtt).publish_paced(&frames, pause);
    let tiles = tiles.end();
    println!(
        "tiles while {:.0} reads/s come: p50 {:.1} ms, p99 {:.1} ms (target 50), of {}",
        frames.reads() as f64 / LIVE.as_secs_f64(),
        milliseconds(&tiles, 0.5),
        milliseconds(&tiles, 0.99),
        tiles.len()
    );
}

/// A start over what a killed process left.
fn recover(data_dir: &Path, settings: &[(&str, &str)]) {
    let began = Instant::now();
    let mut product = Product::spawn(data_dir, "127.0.0.1:0", settings);
    product.wait_ready_for(PATIENCE);
    wait_applied(&product);
    println!(
        "a start after a kill: every balance after {:.1} s, {:.0} MB resident",
        began.elapsed().as_secs_f64(),
        watch::resident_bytes(product.pid()) as f64 / MEGA
    );
    product.kill();
}

/// A start after the day is over: every meter's day is judged, and what follows is in the tables.
fn close(data_dir: &Path, settings: &[(&str, &str)]) {
    let began = Instant::now();
    let mut product = Product::spawn(data_dir, "127.0.0.1:0", settings);
    product.wait_ready_for(PATIENCE);
    wait_applied(&product);
    let started = began.elapsed().as_secs_f64();
    checkpoint(&product);
    let count = |table: &str| product.sql(&format!("SELECT COUNT(*) FROM {table}"))[0][0].clone();
    println!(
        "the day closed: {:.1} s, {started:.1} s of them the start; {} exceptions, {} rows of completeness, {:.0} MB resident",
        began.elapsed().as_secs_f64(),
        count("vee_exceptions"),
        count("read_completeness"),
        watch::resident_bytes(product.pid()) as f64 / MEGA
    );
    product.kill();
}
