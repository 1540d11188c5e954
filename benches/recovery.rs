//! Recovery: from the log's tail into balances, and from the tables. Command: `cargo bench --bench recovery`
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::print_stdout,
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    reason = "a bench is an edge and ends by panicking"
)]

mod rounds;
mod utility;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use gridtally_engine::{Engine, EngineConfig, tables::Tables};
use gridtally_ingest::log::{Log, LogConfig, Position};
use gridtally_schemas::Clock;
use rounds::{Rounds, machine, per_second};
use utility::{METERS, master_records, quarter_end, reads_record, resident_bytes};

const ROUNDS: usize = 3;
const FEEDERS: usize = 98;
/// Intervals of every meter: 10 M reads in all.
const INTERVALS: i64 = 100;
const READS: usize = FEEDERS * METERS * INTERVALS as usize;
const READS_OF_RECORD: usize = 100;

struct Instance {
    engine: Engine,
    log: Arc<Log>,
}

async fn start(folder: &Path, checkpoint: Duration) -> Instance {
    let config = LogConfig {
        bytes_max: 64 << 30,
        ..LogConfig::new(folder.join("log"))
    };
    let log = Arc::new(Log::open(config, Position(0)).unwrap());
    let tables = Tables::open(&folder.join("tables")).await.unwrap();
    let config = EngineConfig {
        checkpoint,
        ..EngineConfig::default()
    };
    let clock = Clock::fixed(quarter_end(INTERVALS + 1));
    let engine = Engine::start(config, Arc::clone(&log), tables, clock)
        .await
        .unwrap();
    Instance { engine, log }
}

/// A log of 10 M reads that no table has.
async fn write_log(folder: &Path) {
    let config = LogConfig {
        bytes_max: 64 << 30,
        ..LogConfig::new(folder.join("log"))
    };
    let log = Log::open(config, Position(0)).unwrap();
    let appender = log.appender();
    let mut last = Position(0);
    for record in master_records(FEEDERS) {
        last = appender.append(&record).await.unwrap();
    }
    for n in 1..=INTERVALS {
        for at in (0..FEEDERS * METERS).step_by(READS_OF_RECORD) {
            let meters = at..(at + READS_OF_RECORD).min(FEEDERS * METERS);
            last = appender
                .append(&reads_record(quarter_end(n), meters, n))
                .await
                .unwrap();
        }
    }
    appender.synced(last).await.unwrap();
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let copy = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_folder(&path, &copy);
        } else {
            std::fs::copy(&path, &copy).unwrap();
        }
    }
}

fn bytes_of(folder: &Path) -> u64 {
    std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            if path.is_dir() {
                bytes_of(&path)
            } else {
                path.metadata().unwrap().len()
            }
        })
        .sum()
}

/// Seconds until the balances contain everything, and reads a second.
async fn recover(folder: &Path, checkpoint: Duration) -> ([f64; 2], Instance) {
    let begun = Instant::now();
    let instance = start(folder, checkpoint).await;
    let progress = instance.engine.applied().await.unwrap();
    let took = [begun.elapsed().as_secs_f64(), per_second(READS, begun)];
    assert_eq!(progress.applied_position, instance.log.end());
    assert_eq!(progress.cells, READS as u64);
    (took, instance)
}

async fn run(folder: PathBuf) {
    let never = Duration::from_secs(3_600);
    let template = folder.join("template");
    write_log(&template).await;
    let log_bytes = bytes_of(&template);
    println!(
        "{} M reads of {} k meters in {} M records of {READS_OF_RECORD}: {:.1} bytes a read in the log",
        READS / 1_000_000,
        FEEDERS * METERS / 1_000,
        READS as f64 / READS_OF_RECORD as f64 / 1e6,
        log_bytes as f64 / READS as f64
    );
    let mut tail = Rounds::new("10 M reads from the log's tail", "s").at_most(10.0);
    let mut rate = Rounds::new("from the log's tail", "reads/s");
    let mut publish = Rounds::new("publishing what was recovered", "s");
    let mut tables = Rounds::new("from the tables", "s");
    for round in 0..ROUNDS {
        let copy = folder.join(format!("round{round}"));
        copy_folder(&template, &copy);
        let (took, instance) = recover(&copy, Duration::from_secs(30)).await;
        tail.note(took[0]);
        rate.note(took[1]);
        let begun = Instant::now();
        instance.engine.checkpoint().await.unwrap();
        publish.note(begun.elapsed().as_secs_f64());
        instance.engine.stop().await.unwrap();
        drop(instance);
        let (took, instance) = recover(&copy, never).await;
        tables.note(took[0]);
        instance.engine.stop().await.unwrap();
        let stored = bytes_of(&copy.join("tables/interval_reads"));
        println!(
            "round {round}: {:.2} bytes a read in interval_reads, {} MB resident",
            stored as f64 / READS as f64,
            resident_bytes() / 1_000_000
        );
        std::fs::remove_dir_all(&copy).unwrap();
    }
    println!("{tail}\n{rate}\n{publish}\n{tables}");
}

fn main() {
    let folder = tempfile::tempdir().unwrap();
    println!("{}", machine(folder.path().to_str().unwrap()));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(run(folder.path().to_owned()));
}
