//! Ten hostile queries at a time, again and again, beside ingest and the tiles: what ingest and the tiles notice of them, at two loads. An open
//! loop offers what is the target of ingest, each publish at its time: it tells what those who use the product notice. Publishes as fast as
//! they are acknowledged leave nothing of the machine to anybody else: they tell what share of it the queries take all the same. Checkpoints are
//! made between the measurements and not within: one takes as much as some seconds of reads, and would fall into some of them only. Queries are
//! asked for some seconds before: what they may take from others has been saved up before them, and is spent by then.
//!
//! `--query N` has everybody ask the Nth alone.

use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use gridtally_fleet::{Fleet, FleetConfig, Imperfections};
use hdrhistogram::Histogram;
use serde_json::json;

use crate::{
    load::{Frames, Gateway},
    number, paced,
    product::Product,
    rounds::Rounds,
    watch::{self, Tiles, milliseconds},
};

const GATEWAYS: usize = 4;
/// Publishes of a hundred reads a second in the open loop: the target.
const OFFERED_PER_SECOND: usize = 3_000;

/// Queries are asked for so long before a measurement.
const ASKED_BEFORE: Duration = Duration::from_secs(30);

/// What nobody should ask: cross joins, sorts and groups of everything, patterns that go back and forth, recursion without end.
const HOSTILE: [&str; 10] = [
    "SELECT COUNT(*) FROM interval_reads_history a CROSS JOIN interval_reads_history b",
    "SELECT SUM(a.import_wh * b.import_wh) FROM interval_reads a CROSS JOIN interval_reads b CROSS JOIN meters c",
    "SELECT * FROM interval_reads_history ORDER BY source, import_wh DESC, meter_id, interval_end",
    "SELECT meter_id, interval_end, ROW_NUMBER() OVER (ORDER BY import_wh, voltage_v, meter_id) FROM interval_reads_history",
    "SELECT COUNT(*) FROM interval_reads_history WHERE regexp_like(meter_id || source || meter_id, '(.*)*(.*)*x(.*)*y$')",
    "SELECT regexp_replace(repeat(meter_id, 1000), '(M|H|0|1)+', 'x', 'g') FROM interval_reads_history ORDER BY 1",
    "SELECT COUNT(DISTINCT meter_id || CAST(interval_end AS VARCHAR) || CAST(import_wh AS VARCHAR)) FROM interval_reads_history",
    "WITH RECURSIVE n AS (SELECT 1 AS v UNION ALL SELECT v + 1 FROM n) SELECT SUM(v) FROM n",
    "SELECT SUM(a.value * b.value) FROM generate_series(1, 1000000) a CROSS JOIN generate_series(1, 1000000) b",
    "SELECT array_agg(meter_id || repeat('x', 10000) ORDER BY interval_end) FROM interval_reads_history",
];

/// How reads come.
#[derive(Clone, Copy)]
enum Load {
    Offered,
    Limit,
}

/// What several rounds of one load gave, without the queries or with them.
struct Met {
    reads_per_second: Rounds,
    live_ms: Histogram<u64>,
    tiles: Histogram<u64>,
    /// Processor time of the server for a read, microseconds.
    server_us: Rounds,
    /// Processors that the queries used.
    workers: Rounds,
    asked: usize,
}

impl Met {
    fn new(what: &str, queries: &str) -> Self {
        let rounds = |name: &str, unit| Rounds::new(format!("{what}, {queries}: {name}"), unit);
        Self {
            reads_per_second: rounds("into live balances", "reads/s"),
            live_ms: Histogram::new(3).unwrap(),
            tiles: Histogram::new(3).unwrap(),
            server_us: rounds("processor time of the server, a read", "us"),
            workers: rounds("processors of the queries", "cores"),
            asked: 0,
        }
    }

    fn print(&self) {
        println!("{}", self.reads_per_second);
        println!("{}", self.server_us);
        println!("{}", self.workers);
        let of = |name: &str, micros: &Histogram<u64>| {
            println!(
                "  {name}, ms: p50 {:.1}, p90 {:.1}, p99 {:.1}, most {:.1}, of {}",
                milliseconds(micros, 0.5),
                milliseconds(micros, 0.9),
                milliseconds(micros, 0.99),
                micros.max() as f64 / 1e3,
                micros.len()
            );
        };
        of("tiles", &self.tiles);
        if !self.live_ms.is_empty() {
            of("publish to live balance", &self.live_ms);
        }
        println!("  hostile queries answered or stopped meanwhile: {}", self.asked);
    }
}

pub fn run(consumers: usize, quarters: usize) {
    let start = FleetConfig::demo().start;
    let fleet = Fleet::new(FleetConfig {
        imperfections: Imperfections::none(),
        ..FleetConfig::new(1, consumers as u64, start)
    })
    .unwrap();
    let (quarters, rounds) = (quarters as i64, number("--rounds", 3) as i64);
    // What the queries read first, then four a round.
    let begin = |part: i64| start.plus(part * quarters * 900_000_000);
    let now = begin(1 + 4 * rounds).plus(1_800_000_000);
    let now = now.to_rfc3339(&FleetConfig::demo().zone);
    let folder = tempfile::tempdir().unwrap();
    let network = folder.path().join("network");
    fleet.write_files(&network).unwrap();
    let data = folder.path().join("data");
    std::fs::create_dir_all(&data).unwrap();
    let settings = [
        ("now", now.as_str()),
        ("sql.deadline_seconds", "20"),
        ("sql.memory_bytes", "268435456"),
        ("engine.checkpoint_seconds", "3600"),
    ];
    let product = Product::start(&data, &settings);
    for file in ["nodes.csv", "meters.csv", "connections.csv"] {
        product.import(&network.join(file));
    }
    publish(&product, &Frames::of(&fleet, begin(0), quarters));
    product.checkpoint();
    let queries = queries();
    let mut part = 0;
    for (load, what) in [
        (Load::Offered, "300,000 reads a second offered"),
        (Load::Limit, "as fast as acknowledged"),
    ] {
        let (mut without, mut with) = (Met::new(what, "without"), Met::new(what, "ten hostile queries"));
        for round in 0..rounds {
            // Every other round the other way round: the tables grow.
            for place in 0..2 {
                part += 1;
                let frames = Frames::of(&fleet, begin(part), quarters);
                product.checkpoint();
                if (round + place) % 2 == 0 {
                    measure(&product, (&frames, load), (&[], &mut without));
                } else {
                    measure(&product, (&frames, load), (&queries, &mut with));
                }
            }
        }
        without.print();
        with.print();
    }
}

/// Those of the command line.
fn queries() -> Vec<&'static str> {
    match number("--query", 0) {
        0 => HOSTILE.to_vec(),
        one => vec![HOSTILE[one - 1]; HOSTILE.len()],
    }
}

fn publish(product: &Product, frames: &Frames) {
    let broker = product.mqtt;
    std::thread::scope(|scope| {
        for part in frames.split(GATEWAYS) {
            scope.spawn(move || Gateway::connect(broker).publish_all(part));
        }
    });
    product.wait_applied();
}

/// Publishes while somebody asks each of the queries.
fn measure(product: &Product, (frames, load): (&Frames, Load), (queries, met): (&[&str], &mut Met)) {
    let (over, asked) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for query in queries {
            let (over, asked) = (&over, &asked);
            scope.spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    ask(product, query);
                    asked.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        if !queries.is_empty() {
            std::thread::sleep(ASKED_BEFORE);
            assert!(
                product.metric("gridtally_sql_queries_running") > 0.0,
                "no query runs"
            );
        }
        let (server, workers) = (watch::cpu_time(product.pid()), workers_time(product.pid()));
        let took = match load {
            Load::Offered => {
                let paced = paced::publish(product, frames, OFFERED_PER_SECOND);
                met.live_ms.add(paced.live).unwrap();
                met.tiles.add(paced.tiles).unwrap();
                paced.took
            }
            Load::Limit => {
                let (tiles, began) = (Tiles::watch(product), Instant::now());
                publish(product, frames);
                let took = began.elapsed();
                met.tiles.add(tiles.end()).unwrap();
                took
            }
        };
        let server = watch::cpu_time(product.pid()) - server;
        let workers = workers_time(product.pid()).saturating_sub(workers);
        met.asked += asked.load(Ordering::Relaxed);
        over.store(true, Ordering::Relaxed);
        let reads = frames.reads() as f64;
        met.reads_per_second.note(reads / took.as_secs_f64());
        met.server_us.note(server.as_secs_f64() * 1e6 / reads);
        met.workers.note(workers.as_secs_f64() / took.as_secs_f64());
    });
}

/// Processor time of the processes that the server started: those that are gone, and those that run.
fn workers_time(server: u32) -> Duration {
    // Of a `stat` what follows the name: state, parent, …; times from the twelfth on (proc(5)).
    let fields = |pid: &str| -> Vec<u64> {
        let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let after_name = text.rsplit(") ").next().unwrap_or_default().split(' ');
        after_name.map(|field| field.parse().unwrap_or(0)).collect()
    };
    let gone: u64 = fields(&server.to_string())[13..15].iter().sum();
    let processes = std::fs::read_dir("/proc").unwrap();
    let running: u64 = processes
        .map(|process| fields(process.unwrap().file_name().to_str().unwrap()))
        .filter(|fields| fields.get(1) == Some(&u64::from(server)))
        .map(|fields| fields[11..13].iter().sum::<u64>())
        .sum();
    // USER_HZ is 100 on every Linux.
    Duration::from_millis((gone + running) * 10)
}

/// Asks, and drops what comes: an answer, a refusal, or an answer that breaks off.
fn ask(product: &Product, query: &str) {
    let body = json!({ "query": query, "format": "csv" }).to_string();
    let agent = ureq::Agent::config_builder().http_status_as_error(false).build();
    let agent: ureq::Agent = agent.into();
    let sent = agent
        .post(product.url("/api/v1/sql"))
        .header("content-type", "application/json")
        .send(body.as_bytes());
    if let Ok(mut response) = sent {
        let mut reader = response.body_mut().as_reader();
        let _ = std::io::copy(&mut reader, &mut std::io::sink());
    }
}
