//! SQL: typical questions of an auditor side by side with DuckDB on the same files, and what ten hostile queries do to ingest and tiles.
//!
//! `cargo bench --bench sql -- [--feeders N] [--days N] [--rounds N] [--folder PATH] [--consumers N] [--quarters N]`, or with `questions` or `hostile`
//! one part alone; with `--folder` what is published stays there, and is asked again by the next run. The first part publishes `--days` of `--feeders`
//! feeders (1,026 meters each; 975 feeders are a million meters), 1 % of the reads corrected. `million [--meters N] [--days N]` (`sql/million.rs`) runs
//! only where it is named. Each question of ours is asked of the front that every surface asks, to the last byte of its JSON, and answered by a process that is asked nothing
//! else: "waiting" is one that was started ahead and had nothing to do, as whoever asks a question now and then finds it; "new" is one that is
//! started in the time that is told, as where several are asked at once. DuckDB stays connected. DuckDB comes from `GRIDTALLY_TEST_PYTHON` (default:
//! the environment that `tests/run` sets up).
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
#[path = "sql/hostile.rs"]
mod hostile;
#[path = "e2e/load.rs"]
mod load;
#[path = "sql/million.rs"]
mod million;
#[path = "e2e/paced.rs"]
mod paced;
#[path = "../tests/product/mod.rs"]
mod product;
mod rounds;
#[path = "rounds/script.rs"]
mod script;
mod utility;
#[path = "e2e/watch.rs"]
mod watch;

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use futures::StreamExt;
use gridtally_api::sql::{Format, Sql, SqlConfig};
use gridtally_engine::{Engine, EngineConfig, tables::Tables};
use gridtally_ingest::log::{Log, LogConfig, Position};
use gridtally_schemas::{Clock, Day, IntervalRead, Publish, UtcMicros, record, table, time::Zone};
use rounds::machine;
use script::python;
use serde_json::Value;
use utility::{METERS, import_wh, master_records, meter_id, quarter_end, reads_record};

const READS_OF_RECORD: usize = 100;
/// One meter in so many is corrected in every interval: 1 %.
const CORRECTED_ONE_IN: usize = 100;
/// Intervals from a checkpoint to the next: two hours. An instance has one every 30 seconds, and compacts them as they become many.
const QUARTERS_PER_CHECKPOINT: i64 = 8;
/// Threads of either program.
const THREADS: usize = 2;

/// What an auditor asks, in words both programs know.
const QUESTIONS: &[(&str, &str)] = &[
    (
        "a month of one feeder by interval",
        "SELECT interval_end, input_wh, total_loss_wh, loss_pct, coverage_pct, status FROM feeder_balance \
         WHERE feeder_id = 'F1' AND day >= DATE '2026-04-01' AND day < DATE '2026-05-01' ORDER BY interval_end",
    ),
    (
        "the 50 worst DTs of a month by loss",
        "SELECT dt_id, SUM(loss_wh) AS lost_wh, SUM(injected_wh) AS injected_wh, COUNT(loss_wh) AS known FROM dt_balance \
         WHERE day >= DATE '2026-04-01' AND day < DATE '2026-05-01' GROUP BY dt_id ORDER BY lost_wh DESC NULLS LAST, dt_id LIMIT 50",
    ),
    (
        "all reads of a consumer's meter for a year",
        "SELECT interval_end, import_wh, quality FROM interval_reads WHERE meter_id = 'MH10000526' \
         AND day >= DATE '2026-01-01' AND day < DATE '2027-01-01' ORDER BY interval_end",
    ),
    (
        "a month's loss from the reads of every meter",
        "SELECT day, SUM(import_wh) AS import_wh, COUNT(*) AS reads FROM interval_reads \
         WHERE day >= DATE '2026-04-01' AND day < DATE '2026-05-01' GROUP BY day ORDER BY day",
    ),
    (
        "a month's loss of every node",
        "SELECT node_id, SUM(total_loss_wh) AS lost_wh, SUM(injected_where_known_wh) AS injected_wh FROM node_balance_daily \
         WHERE day >= DATE '2026-04-01' AND day < DATE '2026-05-01' GROUP BY node_id ORDER BY lost_wh DESC NULLS LAST, node_id LIMIT 50",
    ),
];

/// What the command line says after a name.
fn text(name: &str) -> Option<String> {
    std::env::args().skip_while(|argument| argument != name).nth(1)
}

fn number(name: &str, usual: usize) -> usize {
    text(name).map_or(usual, |text| text.parse().unwrap())
}

fn main() {
    let only = |part: &str| std::env::args().any(|argument| argument == part);
    let (questions, hostile, million) = (only("questions"), only("hostile"), only("million"));
    println!("{}", machine("/tmp"));
    if million {
        ask_of_a_million();
        return;
    }
    if questions || !hostile {
        ask_questions();
    }
    if hostile || !questions {
        hostile::run(number("--consumers", 20_000), number("--quarters", 48));
    }
}

/// A folder for tables where none is named, and a runtime.
fn bed() -> (tempfile::TempDir, tokio::runtime::Runtime) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    (tempfile::tempdir().unwrap(), runtime)
}

fn ask_questions() {
    let (feeders, days, rounds) = (
        number("--feeders", 10),
        number("--days", 30),
        number("--rounds", 5),
    );
    let (kept, runtime) = bed();
    let folder = text("--folder").map_or_else(|| kept.path().to_owned(), PathBuf::from);
    let root = folder.join("tables");
    let began = Instant::now();
    if !root.exists() {
        runtime.block_on(publish(&folder, feeders, days));
    }
    println!(
        "{} meters, {days} days, {} reads, published in {:.0} s",
        feeders * METERS,
        feeders * METERS * days * 96,
        began.elapsed().as_secs_f64()
    );
    compare(&runtime, &root, (QUESTIONS, rounds));
}

fn ask_of_a_million() {
    let (meters, days, rounds) = (
        number("--meters", 1_000_000),
        number("--days", 2),
        number("--rounds", 3),
    );
    let (kept, runtime) = bed();
    let folder = text("--folder").map_or_else(|| kept.path().to_owned(), PathBuf::from);
    let root = folder.join("tables");
    let began = Instant::now();
    if !root.exists() {
        let reads = runtime.block_on(million::publish(&root, meters, days as i32));
        let bytes = files::parquet_bytes(&root.join("interval_reads"));
        println!(
            "{meters} meters, {days} days of 30 minutes, {reads} reads of {:.1} bytes, a month of balances, written in {:.0} s",
            bytes as f64 / reads as f64,
            began.elapsed().as_secs_f64()
        );
    }
    compare(&runtime, &root, (million::QUESTIONS, rounds));
}

/// Asks each question of both, as often, and prints how long each took.
fn compare(runtime: &tokio::runtime::Runtime, root: &Path, (questions, rounds): (&[(&str, &str)], usize)) {
    let theirs = duckdb(root, (questions, rounds));
    let (new, waiting) = (front(root.to_owned(), 0), front(root.to_owned(), 1));
    println!(
        "| Question | ours, waiting, ms | ours, new, ms | DuckDB by the guide's lines, ms | DuckDB by an anti-join, ms |"
    );
    println!("|---|---|---|---|---|");
    for (place, (title, question)) in questions.iter().enumerate() {
        let (_, of_new) = runtime.block_on(asked(&new, question, rounds));
        let (rows, of_waiting) = runtime.block_on(asked(&waiting, question, rounds));
        let of = |view: &str| {
            theirs
                .iter()
                .find(|one| one.place == place && one.view == view)
                .unwrap()
        };
        for view in ["guide", "anti-join"] {
            assert_same(title, &rows, &of(view).rows);
        }
        println!(
            "| {title} | {} | {} | {} | {} |",
            spread(&of_waiting),
            spread(&of_new),
            spread(&of("guide").seconds),
            spread(&of("anti-join").seconds)
        );
        if std::env::var_os("GRIDTALLY_BENCH_EXPLAIN").is_some() {
            explain(runtime, &new, question);
        }
    }
}

fn explain(runtime: &tokio::runtime::Runtime, sql: &Sql, question: &str) {
    for row in runtime.block_on(answer(sql, &format!("EXPLAIN ANALYZE {question}"))) {
        let texts: Vec<&str> = row
            .iter()
            .map(|value| value.as_str().unwrap_or_default())
            .collect();
        println!("{}", texts.join("\n"));
    }
}

/// Least, middle and greatest, in milliseconds.
fn spread(seconds: &[f64]) -> String {
    let mut sorted = seconds.to_vec();
    sorted.sort_by(f64::total_cmp);
    format!(
        "{:.0} / {:.0} / {:.0}",
        sorted[0] * 1e3,
        sorted[sorted.len() / 2] * 1e3,
        sorted[sorted.len() - 1] * 1e3
    )
}

/// As many rows, with the same numbers, texts and instants, which have a space for a T there.
fn assert_same(title: &str, ours: &[Vec<Value>], theirs: &[Vec<String>]) {
    assert_eq!(ours.len(), theirs.len(), "{title}");
    for (one, other) in ours.iter().zip(theirs) {
        for (one, other) in one.iter().zip(other) {
            let same = match one {
                Value::Null => other == "None",
                // A JSON reader may be off in the last bit.
                Value::Number(number) => {
                    let (one, other) = (number.as_f64().unwrap(), other.parse::<f64>().unwrap());
                    (one - other).abs() <= one.abs() * 1e-15
                }
                Value::String(text) => text == other || text.replacen('T', " ", 1) == *other,
                _ => false,
            };
            assert!(same, "{title}: {one} and {other}");
        }
    }
}

/// The last answer, and the seconds of each. A front with workers that wait is asked when one does, and the processor has nothing else to do.
async fn asked(sql: &Sql, question: &str, rounds: usize) -> (Vec<Vec<Value>>, Vec<f64>) {
    let wanted = sql.config().workers_warm;
    if wanted > 0 {
        sql.start_ahead();
        answer(sql, "SELECT 1").await;
    }
    let (mut rows, mut seconds) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let begin = Instant::now();
        while sql.warm() < wanted {
            assert!(begin.elapsed() < product::PATIENCE, "no worker waits");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let began = Instant::now();
        rows = answer(sql, question).await;
        seconds.push(began.elapsed().as_secs_f64());
    }
    (rows, seconds)
}

fn front(root: PathBuf, workers_warm: usize) -> Sql {
    Sql::new(SqlConfig {
        worker_exe: PathBuf::from(product::BINARY),
        worker_args: vec!["sql-worker".to_owned()],
        tables_root: root,
        memory_bytes: 512 << 20,
        rows_max: 1_000_000,
        deadline: Duration::from_secs(600),
        workers_max: 1,
        workers_per_caller: 1,
        workers_warm,
        zone: Zone::kolkata(),
    })
}

async fn answer(sql: &Sql, question: &str) -> Vec<Vec<Value>> {
    let mut parts = sql.query(question, Format::Json, None).await.unwrap();
    let mut bytes = Vec::new();
    while let Some(part) = parts.next().await {
        bytes.extend_from_slice(&part.unwrap());
    }
    let answer: Value = serde_json::from_slice(&bytes).unwrap();
    let rows = answer["rows"].as_array().unwrap().iter();
    rows.map(|row| row.as_array().unwrap().clone()).collect()
}

/// What DuckDB said to a question.
struct Theirs {
    place: usize,
    view: String,
    seconds: Vec<f64>,
    rows: Vec<Vec<String>>,
}

fn duckdb(root: &Path, (questions, rounds): (&[(&str, &str)], usize)) -> Vec<Theirs> {
    let mut child = python("sql/duckdb_questions.py")
        .args([root.to_str().unwrap(), &THREADS.to_string(), &rounds.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let questions: Vec<&str> = questions.iter().map(|(_, question)| *question).collect();
    let input = serde_json::to_vec(&questions).unwrap();
    child.stdin.take().unwrap().write_all(&input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let said = String::from_utf8(output.stdout).unwrap();
    let theirs = said.lines().map(|line| {
        let (place, view, seconds, rows) = serde_json::from_str(line).unwrap();
        Theirs {
            place,
            view,
            seconds,
            rows,
        }
    });
    theirs.collect()
}

/// Publishes everything as an instance does, then corrections of some meters' reads, and compacts what is closed as an instance does.
async fn publish(folder: &Path, feeders: usize, days: usize) {
    let intervals = days as i64 * 96;
    let config = LogConfig {
        bytes_max: 256 << 30,
        ..LogConfig::new(folder.join("log"))
    };
    let log = Arc::new(Log::open(config, Position(0)).unwrap());
    let tables = Tables::open(&folder.join("tables")).await.unwrap();
    let config = EngineConfig {
        checkpoint: Duration::from_secs(3_600),
        ..EngineConfig::default()
    };
    // The clock goes with the reads: one that stood at their end would have days estimated whose reads are on their way.
    let now = Arc::new(AtomicI64::new(quarter_end(0).0));
    let hand = Arc::clone(&now);
    let clock = Clock::from_fn(move || UtcMicros(hand.load(Ordering::Relaxed)));
    let engine = Engine::start(config, Arc::clone(&log), tables, clock)
        .await
        .unwrap();
    let appender = log.appender();
    for record in master_records(feeders) {
        appender.append(&record).await.unwrap();
    }
    for quarter in 1..=intervals {
        now.store(quarter_end(quarter).0, Ordering::Relaxed);
        for at in (0..feeders * METERS).step_by(READS_OF_RECORD) {
            let meters = at..(at + READS_OF_RECORD).min(feeders * METERS);
            let record = reads_record(quarter_end(quarter), meters, quarter);
            appender.append(&record).await.unwrap();
        }
        if quarter % QUARTERS_PER_CHECKPOINT == 0 {
            engine.checkpoint().await.unwrap();
        }
    }
    for quarter in 1..=intervals {
        appender
            .append(&corrections(feeders, quarter, intervals))
            .await
            .unwrap();
    }
    engine.stop().await.unwrap();
    let tables = Tables::open(&folder.join("tables")).await.unwrap();
    let open_from = Day::parse("2100-01-01").unwrap();
    for schema in table::published() {
        tables.compact(schema, open_from).await.unwrap();
    }
}

/// Corrections of some meters' reads of one quarter, as a log record.
fn corrections(feeders: usize, quarter: i64, intervals: i64) -> Vec<u8> {
    let mut publish = Publish::default();
    for at in (0..feeders * METERS).step_by(CORRECTED_ONE_IN) {
        publish.begin_meter(&meter_id(at)).unwrap();
        publish.push_read(IntervalRead {
            revision: 1,
            ..IntervalRead::new(quarter_end(quarter), Some(import_wh(at, quarter) + 1))
        });
    }
    let mut bytes = Vec::new();
    record::encode_publish(quarter_end(intervals), "gateway:bench", &publish, &mut bytes);
    bytes
}
