//! What `interval_reads` takes on disk, and what its encodings, order, row groups, pages and compression make of it.
//!
//! The reads are those of a synthetic fleet, as households draw (`tests/fleet`): import, export, apparent energy, voltage and current, of gateways
//! that send a hundred meters together. They go through the log and the engine, so that the files are the product's own: first as checkpoints
//! wrote them, then as compaction did. Then the same rows are written in other ways, column by column and as whole files, and each file is asked
//! by DataFusion and by DuckDB: a meter's reads, one interval of all meters, the sum of all.
//!
//! `cargo bench --bench storage -- [--consumers N] [--quarters N] [--checkpoints N] [--part product|columns|files]`
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::print_stdout,
    clippy::large_futures,
    clippy::wildcard_enum_match_arm,
    clippy::disallowed_methods,
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    reason = "a bench is an edge and ends by panicking"
)]

#[path = "storage/columns.rs"]
mod columns;
#[path = "e2e/files.rs"]
mod files;
#[path = "storage/fill.rs"]
mod fill;
#[path = "storage/questions.rs"]
mod questions;
mod rounds;
#[path = "rounds/script.rs"]
mod script;
#[path = "storage/ways.rs"]
mod ways;

use std::{
    collections::BTreeMap,
    fs::File,
    path::{Path, PathBuf},
};

use arrow::{array::RecordBatch, compute::concat_batches};
use gridtally_engine::tables::Tables;
use gridtally_schemas::{Day, table::INTERVAL_READS};
use parquet::{
    arrow::arrow_reader::ParquetRecordBatchReaderBuilder,
    file::reader::{FileReader, SerializedFileReader},
};
use rounds::{Rounds, machine};

/// Bytes of a read that DESIGN section 11 allows.
const TARGET_BYTES: f64 = 4.0;
const ROUNDS: usize = 5;

struct Arguments {
    consumers: u64,
    quarters: i64,
    checkpoints: i64,
    part: Option<String>,
}

impl Arguments {
    fn parse() -> Self {
        let given: Vec<String> = std::env::args().collect();
        let text = |name: &str| {
            let place = given.iter().position(|argument| argument == name)?;
            given.get(place + 1).cloned()
        };
        let number = |name: &str, usual: i64| text(name).map_or(usual, |text| text.parse().unwrap());
        Self {
            consumers: u64::try_from(number("--consumers", 20_000)).unwrap(),
            quarters: number("--quarters", 96),
            checkpoints: number("--checkpoints", 4),
            part: text("--part"),
        }
    }

    fn wants(&self, part: &str) -> bool {
        self.part.as_deref().is_none_or(|wanted| wanted == part)
    }
}

/// Bytes of each column of some files, in the order of the table.
#[derive(Default)]
struct Weighed {
    reads: i64,
    bytes: u64,
    columns: BTreeMap<usize, (String, i64)>,
}

impl Weighed {
    fn of(paths: &[PathBuf]) -> Self {
        let mut weighed = Self::default();
        for path in paths {
            let file = SerializedFileReader::new(File::open(path).unwrap()).unwrap();
            weighed.reads += file.metadata().file_metadata().num_rows();
            weighed.bytes += path.metadata().unwrap().len();
            let groups = file.metadata().row_groups().iter();
            for (at, column) in groups.flat_map(|group| group.columns().iter().enumerate()) {
                let name = column.column_path().string();
                weighed.columns.entry(at).or_insert((name, 0)).1 += column.compressed_size();
            }
        }
        weighed
    }

    fn bytes_a_read(&self) -> f64 {
        self.bytes as f64 / self.reads as f64
    }

    /// Bytes a read of every column that has a hundredth of one or more.
    fn told(&self) -> String {
        let a_read = |bytes: i64| bytes as f64 / self.reads as f64;
        let columns = self.columns.values();
        let worth = columns.filter(|(_, bytes)| a_read(*bytes) >= 0.01);
        let told: Vec<String> = worth
            .map(|(name, bytes)| format!("{name} {:.2}", a_read(*bytes)))
            .collect();
        told.join(", ")
    }
}

fn data_files(tables: &Path) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    files::each_parquet(&tables.join(INTERVAL_READS.name), &mut |path| {
        paths.push(path.to_owned());
    });
    paths
}

fn tell_product(name: &str, tables: &Path) {
    let paths = data_files(tables);
    let weighed = Weighed::of(&paths);
    assert_eq!(
        weighed.bytes,
        files::parquet_bytes(&tables.join(INTERVAL_READS.name))
    );
    let mut bytes = Rounds::new(format!("Parquet: a read, {name}"), "bytes").at_most(TARGET_BYTES);
    bytes.note(weighed.bytes_a_read());
    println!("{bytes}");
    println!(
        "  {} files, {} reads: {}",
        paths.len(),
        weighed.reads,
        weighed.told()
    );
}

/// All rows of some files, which have neither order nor day.
fn rows_of(paths: &[PathBuf]) -> RecordBatch {
    let batches: Vec<RecordBatch> = paths
        .iter()
        .flat_map(|path| {
            let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap());
            reader.unwrap().with_batch_size(1 << 16).build().unwrap()
        })
        .map(Result::unwrap)
        .collect();
    concat_batches(&batches[0].schema(), &batches).unwrap()
}

async fn run(folder: &Path, arguments: &Arguments) {
    let filled = fill::fill(
        folder,
        arguments.consumers,
        arguments.quarters,
        arguments.checkpoints,
    )
    .await;
    let root = folder.join("tables");
    println!(
        "{} reads of {} meters, {} quarter hours, in {} checkpoints; the last took {:.2} s for {} reads and what follows from them",
        filled.reads,
        filled.meters,
        arguments.quarters,
        arguments.checkpoints,
        filled.last_seconds,
        filled.last_reads
    );
    tell_product("as checkpoints wrote it", &root);
    let tables = Tables::open(&root).await.unwrap();
    let began = std::time::Instant::now();
    let done = tables.compact(&INTERVAL_READS, Day(i32::MAX)).await.unwrap();
    let seconds = began.elapsed().as_secs_f64();
    tables
        .vacuum(&INTERVAL_READS, std::time::Duration::ZERO)
        .await
        .unwrap();
    tell_product("after compaction", &root);
    println!(
        "  compaction: {} files to {} in {seconds:.2} s",
        done.files_removed, done.files_added
    );
    let rows = rows_of(&data_files(&root));
    assert_eq!(rows.num_rows(), filled.reads);
    if arguments.wants("columns") {
        columns::tell(&rows);
    }
    if arguments.wants("files") {
        let written = ways::write_all(&rows, folder);
        let product = questions::File {
            name: "the product's, compacted".to_owned(),
            paths: data_files(&root),
            seconds: None,
        };
        questions::ask(&[vec![product], written].concat(), &rows).await;
    }
}

fn main() {
    let arguments = Arguments::parse();
    let folder = tempfile::tempdir().unwrap();
    println!("{}", machine(folder.path().to_str().unwrap()));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(run(folder.path(), &arguments));
}
