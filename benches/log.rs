//! The log: durable appends, how long an append waits for its sync, and recovery. Command: `cargo bench --bench log`
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::print_stdout,
    clippy::large_futures,
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    reason = "a bench is an edge and ends by panicking"
)]

mod rounds;

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use gridtally_ingest::log::{Log, LogBatch, LogConfig, Position};
use gridtally_schemas::{
    IntervalRead, Publish, UtcMicros,
    record::{self, Body},
};
use hdrhistogram::Histogram;
use rounds::{Rounds, machine, per_second};

const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(1);
const NOW: UtcMicros = UtcMicros(1_775_000_000_000_000);

/// The log record of a gateway's publish for so many meters, one read each.
fn record(meters: i64) -> Vec<u8> {
    let mut publish = Publish::default();
    for meter in 0..meters {
        publish
            .begin_meter(&format!("MH{:08}", 1_000_000 + meter))
            .unwrap();
        publish.push_read(IntervalRead {
            export_wh: Some(0),
            import_vah: Some(341),
            voltage_v: Some(231.4),
            current_a: Some(1.42),
            ..IntervalRead::new(NOW, Some(312 + meter))
        });
    }
    let mut bytes = Vec::new();
    record::encode_publish(NOW, "gateway:bench", &publish, &mut bytes);
    bytes
}

fn open(folder: &Path) -> Log {
    let config = LogConfig {
        bytes_max: 64 << 30,
        ..LogConfig::new(folder)
    };
    Log::open(config, Position(0)).unwrap()
}

/// Two threads append as fast as the log takes it; what counts is what was synced when the round ended.
fn throughput(folder: &Path, reads: usize) {
    let record = record(reads as i64);
    let mut rounds = Rounds::new(
        format!("durable appends, {reads} reads in {} B", record.len()),
        "records/s",
    );
    for _ in 0..ROUNDS {
        let folder = tempfile::tempdir_in(folder).unwrap();
        let log = open(folder.path());
        let began = Instant::now();
        std::thread::scope(|scope| {
            for _ in 0..2 {
                let (appender, record) = (log.appender(), &record);
                scope.spawn(move || {
                    while began.elapsed() < ROUND {
                        for _ in 0..64 {
                            appender.append_blocking(record).unwrap();
                        }
                    }
                });
            }
        });
        let end = log.close().unwrap();
        rounds.note(per_second(end.0 as usize, began));
    }
    println!("{rounds}");
    println!("median {:.0} reads/s", rounds.median() * reads as f64);
}

/// So many appenders, each of which waits for its sync before it appends again.
async fn latency(folder: &Path, appenders: usize) {
    let record = Arc::new(record(1));
    let (mut rate, mut half, mut most) = (
        Rounds::new(format!("{appenders} appenders that wait: rate"), "records/s"),
        Rounds::new(format!("{appenders} appenders that wait: p50"), "ms"),
        Rounds::new(format!("{appenders} appenders that wait: p99"), "ms"),
    );
    for _ in 0..ROUNDS {
        let folder = tempfile::tempdir_in(folder).unwrap();
        let log = open(folder.path());
        let began = Instant::now();
        let tasks: Vec<_> = (0..appenders)
            .map(|_| {
                let (appender, record) = (log.appender(), Arc::clone(&record));
                tokio::spawn(async move {
                    let mut waits = Vec::new();
                    while began.elapsed() < ROUND {
                        let appended = Instant::now();
                        let position = appender.append(&record).await.unwrap();
                        appender.synced(position).await.unwrap();
                        waits.push(appended.elapsed().as_micros() as u64);
                    }
                    waits
                })
            })
            .collect();
        let mut waits = Histogram::<u64>::new(3).unwrap();
        for task in tasks {
            for wait in task.await.unwrap() {
                waits.record(wait).unwrap();
            }
        }
        rate.note(per_second(waits.len() as usize, began));
        half.note(waits.value_at_quantile(0.5) as f64 / 1_000.0);
        most.note(waits.value_at_quantile(0.99) as f64 / 1_000.0);
    }
    println!("{rate}\n{half}\n{most}");
}

/// Writes 10 million reads, then opens the log again and decodes all of them: recovery without the engine's merge.
fn recovery(folder: &Path, reads_each: usize) {
    const READS: usize = 10_000_000;
    let record = record(reads_each as i64);
    let folder = tempfile::tempdir_in(folder).unwrap();
    let log = open(folder.path());
    let appender = log.appender();
    for _ in 0..READS / reads_each {
        appender.append_blocking(&record).unwrap();
    }
    let bytes = log.bytes();
    log.close().unwrap();
    let name = format!("recovery of {READS} reads, {reads_each} a record");
    let (mut opening, mut all) = (
        Rounds::new(format!("{name}: open"), "s"),
        Rounds::new(format!("{name}: open, read, decode"), "s"),
    );
    for _ in 0..ROUNDS {
        let began = Instant::now();
        let log = open(folder.path());
        opening.note(began.elapsed().as_secs_f64());
        assert_eq!(decode_all(&log), READS);
        all.note(began.elapsed().as_secs_f64());
    }
    println!("{opening}\n{all}");
    println!("{} MB in the page cache", bytes / 1_000_000);
}

fn decode_all(log: &Log) -> usize {
    let mut reader = log.reader(Position(0)).unwrap();
    let (mut batch, mut publish) = (LogBatch::default(), Publish::default());
    let mut reads = 0;
    while reader.read(&mut batch, 1 << 20).unwrap() > 0 {
        for (_, bytes) in batch.iter() {
            let Body::Publish(protobuf) = record::decode(bytes).unwrap().body else {
                panic!("a publish was written");
            };
            record::decode_publish(protobuf, &mut publish).unwrap();
            reads += publish.read_count();
        }
    }
    reads
}

/// How long this disk takes for one small write and its fdatasync: what bounds everything above.
fn disk(folder: &Path) {
    let folder = tempfile::tempdir_in(folder).unwrap();
    let mut file = std::fs::File::create(folder.path().join("file")).unwrap();
    let (mut half, mut most) = (
        Rounds::new("write of 4 KiB and fdatasync: p50", "ms"),
        Rounds::new("write of 4 KiB and fdatasync: p99", "ms"),
    );
    for _ in 0..ROUNDS {
        let mut waits = Histogram::<u64>::new(3).unwrap();
        for _ in 0..200 {
            let began = Instant::now();
            std::io::Write::write_all(&mut file, &[7; 4_096]).unwrap();
            file.sync_data().unwrap();
            waits.record(began.elapsed().as_micros() as u64).unwrap();
        }
        half.note(waits.value_at_quantile(0.5) as f64 / 1_000.0);
        most.note(waits.value_at_quantile(0.99) as f64 / 1_000.0);
    }
    println!("{half}\n{most}");
}

fn main() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    println!("{}", machine(env!("CARGO_TARGET_TMPDIR")));
    disk(folder);
    throughput(folder, 1);
    throughput(folder, 100);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    for appenders in [1, 32, 256, 2_048] {
        runtime.block_on(latency(folder, appenders));
    }
    recovery(folder, 100);
    recovery(folder, 1);
}
