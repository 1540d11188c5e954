//! Ten hostile queries at a time, again and again, beside ingest and the tiles: the reads a second and the tiles' delay with and without them.

use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use gridtally_fleet::{Fleet, FleetConfig, Imperfections};
use serde_json::json;

use crate::{
    load::{Frames, Gateway},
    product::{PATIENCE, Product},
    watch::Tiles,
};

const GATEWAYS: usize = 4;

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

/// One measurement.
struct Run {
    reads_per_second: f64,
    tile_p50_ms: f64,
    tile_p99_ms: f64,
    asked: usize,
}

pub fn run(consumers: usize, quarters: usize) {
    let start = FleetConfig::demo().start;
    let fleet = Fleet::new(FleetConfig {
        imperfections: Imperfections::none(),
        ..FleetConfig::new(1, consumers as u64, start)
    })
    .unwrap();
    let quarters = quarters as i64;
    // What the queries read, then a part without them and one with them.
    let parts: Vec<Frames> = (0..3)
        .map(|part| Frames::of(&fleet, start.plus(part * quarters * 900_000_000), quarters))
        .collect();
    let now = start.plus((3 * quarters + 2) * 900_000_000);
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
    ];
    let product = Product::start(&data, &settings);
    for file in ["nodes.csv", "meters.csv", "connections.csv"] {
        product.import(&network.join(file));
    }
    publish(&product, &parts[0]);
    product.checkpoint();
    let without = measure(&product, &parts[1], 0);
    let with = measure(&product, &parts[2], HOSTILE.len());
    println!(
        "| {consumers} consumers, {} reads a part | without | with ten hostile queries |",
        parts[1].reads()
    );
    println!("|---|---|---|");
    println!(
        "| reads a second into live balances | {:.0} | {:.0} |",
        without.reads_per_second, with.reads_per_second
    );
    println!(
        "| tiles, p50, ms | {:.1} | {:.1} |",
        without.tile_p50_ms, with.tile_p50_ms
    );
    println!(
        "| tiles, p99, ms | {:.1} | {:.1} |",
        without.tile_p99_ms, with.tile_p99_ms
    );
    println!(
        "| hostile queries answered or stopped meanwhile | {} | {} |",
        without.asked, with.asked
    );
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

/// Publishes while so many people ask hostile queries.
fn measure(product: &Product, frames: &Frames, people: usize) -> Run {
    let (over, asked) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for query in HOSTILE.iter().take(people) {
            let (over, asked) = (&over, &asked);
            scope.spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    ask(product, query);
                    asked.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        if people > 0 {
            let begin = Instant::now();
            while product.metric("gridtally_sql_queries_running") == 0.0 {
                assert!(begin.elapsed() < PATIENCE, "no query runs");
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        let tiles = Tiles::watch(product);
        let began = Instant::now();
        publish(product, frames);
        let took = began.elapsed();
        let tiles = tiles.end();
        over.store(true, Ordering::Relaxed);
        let milliseconds = |quantile: f64| tiles.value_at_quantile(quantile) as f64 / 1e3;
        Run {
            reads_per_second: frames.reads() as f64 / took.as_secs_f64(),
            tile_p50_ms: milliseconds(0.5),
            tile_p99_ms: milliseconds(0.99),
            asked: asked.load(Ordering::Relaxed),
        }
    })
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
