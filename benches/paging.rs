//! Days that were let go and come back: what late rows cost, into days that are in memory and into days that were let go; how long one
//! late read takes into a closed day of a million meters, and which rows it changes; what a million meters take of memory; what live reads
//! feel of a backfill; how long a start takes with a year's tables.
//! Command: `cargo bench --bench paging`, or with `-- late`, `-- backfill`, `-- year` or `-- million` a part of it; a number beside `million`
//! is that of its feeders.
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

#[path = "paging/backfill.rs"]
mod backfill;
#[path = "paging/bed.rs"]
mod bed;
#[path = "e2e/files.rs"]
#[allow(dead_code, reason = "each bench uses its own part of it")]
mod files;
#[path = "paging/late.rs"]
mod late;
#[path = "paging/million.rs"]
mod million;
mod rounds;
mod utility;
#[path = "paging/year.rs"]
mod year;

fn main() {
    let asked: Vec<String> = std::env::args().skip(1).collect();
    let is_asked = |what: &str| {
        let names = ["late", "backfill", "year", "million"];
        asked.iter().any(|arg| arg == what) || !asked.iter().any(|arg| names.contains(&arg.as_str()))
    };
    let folder = tempfile::tempdir().unwrap();
    println!("{}", rounds::machine(folder.path().to_str().unwrap()));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    if is_asked("late") {
        runtime.block_on(late::run(folder.path()));
    }
    if is_asked("backfill") {
        runtime.block_on(backfill::run(folder.path()));
    }
    if is_asked("year") {
        runtime.block_on(year::run(&folder.path().join("year")));
    }
    if is_asked("million") {
        let feeders = asked.iter().find_map(|arg| arg.parse().ok());
        let feeders = feeders.unwrap_or(million::FEEDERS);
        runtime.block_on(million::run(&folder.path().join("million"), feeders));
    }
}
