//! `verify` of 10 M reads against DuckDB summing the same files. Command: `cargo bench --bench verify`
//!
//! The verifying process is another one than that which published, as it is where `gridtally verify` is called: its memory is its own.
//!
//! DuckDB comes from `GRIDTALLY_TEST_PYTHON` (default: the environment that `tests/run` sets up).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::print_stdout,
    clippy::disallowed_methods,
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    reason = "a bench is an edge and ends by panicking"
)]

mod rounds;
#[path = "rounds/script.rs"]
mod script;
mod utility;

use std::{
    path::Path,
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use gridtally_engine::{
    Engine, EngineConfig, Settings,
    tables::Tables,
    verify::{Limits, Progress, Selection, verify},
};
use gridtally_ingest::log::{Log, LogConfig, Position};
use gridtally_schemas::{Clock, IntervalRead, Publish, record, table};
use rounds::{Rounds, machine};
use script::{printed, python};
use utility::{METERS, import_wh, master_records, meter_id, quarter_end, reads_record};

const ROUNDS: usize = 5;
/// The argument that makes this the verifying process.
const ROUNDS_OF: &str = "--rounds-of";
const FEEDERS: usize = 34;
/// Three days of every meter: 10 M reads in all.
const INTERVALS: i64 = 3 * 96;
/// What DuckDB is asked that is the same work (`verify/duckdb_sum.py`).
const SAME_WORK: &str = "sum of the newest version per key";
const READS: usize = FEEDERS * METERS * INTERVALS as usize;
const READS_OF_RECORD: usize = 100;
/// One meter in so many is corrected in every interval: 1 %.
const CORRECTED_ONE_IN: usize = 100;

/// Corrections of some meters' reads of one quarter, as a log record.
fn corrections_record(quarter: i64) -> Vec<u8> {
    let mut publish = Publish::default();
    for at in (0..FEEDERS * METERS).step_by(CORRECTED_ONE_IN) {
        publish.begin_meter(&meter_id(at)).unwrap();
        publish.push_read(IntervalRead {
            revision: 1,
            ..IntervalRead::new(quarter_end(quarter), Some(import_wh(at, quarter) + 1))
        });
    }
    let mut bytes = Vec::new();
    record::encode_publish(quarter_end(INTERVALS), "gateway:bench", &publish, &mut bytes);
    bytes
}

/// Publishes everything as an instance does: a day a checkpoint, then the corrections.
async fn publish(folder: &Path) {
    let config = LogConfig {
        bytes_max: 64 << 30,
        ..LogConfig::new(folder.join("log"))
    };
    let log = Arc::new(Log::open(config, Position(0)).unwrap());
    let tables = Tables::open(&folder.join("tables")).await.unwrap();
    let config = EngineConfig {
        checkpoint: Duration::from_secs(3_600),
        ..EngineConfig::default()
    };
    let clock = Clock::fixed(quarter_end(INTERVALS + 96));
    let engine = Engine::start(config, Arc::clone(&log), tables, clock)
        .await
        .unwrap();
    let appender = log.appender();
    for record in master_records(FEEDERS) {
        appender.append(&record).await.unwrap();
    }
    for n in 1..=INTERVALS {
        for at in (0..FEEDERS * METERS).step_by(READS_OF_RECORD) {
            let meters = at..(at + READS_OF_RECORD).min(FEEDERS * METERS);
            appender
                .append(&reads_record(quarter_end(n), meters, n))
                .await
                .unwrap();
        }
        if n % 96 == 0 {
            engine.checkpoint().await.unwrap();
        }
    }
    for n in 1..=INTERVALS {
        appender.append(&corrections_record(n)).await.unwrap();
    }
    engine.stop().await.unwrap();
}

async fn verify_once(root: &Path, threads: usize) -> f64 {
    let tables = Tables::open_read_only(root).unwrap();
    let limits = Limits {
        threads,
        memory_bytes: 1 << 30,
    };
    let begun = Instant::now();
    let report = verify(
        &tables,
        &Settings::default(),
        &Selection::default(),
        limits,
        &Arc::new(Progress::default()),
    )
    .await
    .unwrap();
    let took = begun.elapsed().as_secs_f64();
    assert_eq!(report.differences_total, 0, "{:?}", report.differences.first());
    assert!(report.reads as usize > READS, "{} reads", report.reads);
    assert!(
        report.compared.iter().all(|rows| *rows > 0),
        "{:?}",
        report.compared
    );
    took
}

/// Prints the seconds of each round, the first left out, and then the most memory that the process had, in bytes.
async fn verify_rounds(root: &Path, threads: usize) {
    verify_once(root, threads).await;
    for _ in 0..ROUNDS {
        println!("{}", verify_once(root, threads).await);
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let most = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib: u64 = most.unwrap().trim().trim_end_matches(" kB").parse().unwrap();
    println!("{}", kib * 1_024);
}

/// The same by a process of its own.
fn verified_apart(root: &Path) -> (Rounds, f64) {
    let mut again = Command::new(std::env::current_exe().unwrap());
    let said = printed(again.arg(ROUNDS_OF).arg(root));
    let mut numbers: Vec<f64> = said.lines().map(|line| line.parse().unwrap()).collect();
    let bytes = numbers.pop().unwrap();
    let mut verified = Rounds::new("gridtally verify", "s");
    numbers.into_iter().for_each(|seconds| verified.note(seconds));
    (verified, bytes)
}

/// Seconds of DuckDB's rounds, one query after the other; the script checks the sums against `dt_balance`.
fn duckdb(root: &Path, threads: usize) -> Vec<(String, Vec<f64>)> {
    let said = printed(python("verify/duckdb_sum.py").args([
        root.to_str().unwrap(),
        &threads.to_string(),
        &ROUNDS.to_string(),
    ]));
    let line = |line: &str| {
        let (name, seconds) = line.split_once('\t').unwrap();
        let seconds = seconds.split(' ').map(|seconds| seconds.parse().unwrap());
        (name.to_owned(), seconds.collect())
    };
    said.lines().map(line).collect()
}

async fn run(folder: &Path, threads: usize) {
    publish(folder).await;
    let root = folder.join("tables");
    let files = |name: &str| {
        let days = std::fs::read_dir(root.join(name)).unwrap().flatten();
        let days = days.filter(|day| day.path().is_dir());
        days.flat_map(|day| std::fs::read_dir(day.path()).unwrap().flatten())
            .filter(|file| file.path().extension().is_some_and(|end| end == "parquet"))
            .map(|file| file.metadata().unwrap().len())
            .collect::<Vec<u64>>()
    };
    let reads = files(table::INTERVAL_READS.name);
    println!(
        "{:.2} M reads of {} k meters in 3 days, 1 % corrected; {} files, {} MB",
        READS as f64 / 1e6,
        FEEDERS * METERS / 1_000,
        reads.len(),
        reads.iter().sum::<u64>() / 1_000_000
    );
    let (verified, bytes) = verified_apart(&root);
    println!("{verified}");
    println!("{:.0} MB of memory at most", bytes / 1e6);
    for (name, seconds) in duckdb(&root, threads) {
        let mut rounds = Rounds::new(format!("DuckDB: {name}"), "s");
        let mut ratio = Rounds::new(format!("gridtally verify, times DuckDB: {name}"), "x");
        // Finding the valid version and summing it is the same work; the sum of every row is told for comparison.
        if name == SAME_WORK {
            ratio = ratio.at_most(1.5);
        }
        seconds.into_iter().for_each(|seconds| rounds.note(seconds));
        ratio.note(verified.median() / rounds.median());
        println!("{rounds}\n{ratio}");
    }
}

fn main() {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build()
        .unwrap();
    let given: Vec<String> = std::env::args().collect();
    if let Some(at) = given.iter().position(|argument| argument == ROUNDS_OF) {
        runtime.block_on(verify_rounds(Path::new(&given[at + 1]), threads));
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    println!("{}", machine(folder.path().to_str().unwrap()));
    runtime.block_on(run(folder.path(), threads));
}
