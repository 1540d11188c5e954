//! Instructions that a read costs, part by part. Time on a shared machine varies by a tenth and more from one run to the next; the
//! instructions of the same work hardly do, so a change of some percent shows in them. Command: `cargo bench --bench instructions`
//!
//! Each row is a process of its own under valgrind (`--tool=callgrind`), which counts what [`counted`] executes and nothing before it. A
//! count says nothing of caches, of the kernel or of waiting: the other benches do.
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

#[path = "state/bed.rs"]
mod bed;
#[path = "decode/payload.rs"]
mod payload;
mod rounds;
mod utility;

use std::process::Command;

use bed::Bench;
use gridtally_schemas::{
    GatewayId, Publish,
    topic::Publisher,
    wire::{self, Encoding},
};
use payload::{payload, publish};
use rounds::Rounds;
use utility::{quarter_end, reads_record};

/// Processes of each row: their counts differ by where memory lies and by the seeds of hash maps.
const ROUNDS: usize = 3;
const FEEDERS: usize = 2;
/// Intervals that the picture holds before anything is counted.
const DAY: i64 = 96;
/// Intervals that come in one tick.
const INTERVALS_OF_TICK: i64 = 4;
/// Reads of one publish.
const READS_OF_PUBLISH: usize = 100;

/// A part: what it is called, and what it does with the reads that it counts.
type Part = (&'static str, fn() -> usize);

const PARTS: [Part; 7] = [
    ("protobuf decoded, 100 reads a payload", || {
        decode(Encoding::Protobuf, 1)
    }),
    ("JSON decoded, 100 reads a payload", || decode(Encoding::Json, 1)),
    ("Arrow stream decoded, 10,000 reads a payload", || {
        decode(Encoding::ArrowStream, 100)
    }),
    ("log record to state and waiting row", apply),
    ("merge", merge),
    ("merge, gather, SQL, settle: all on time", || tick(0)),
    ("the same, 1 % late and 1 % corrected, one by one", || tick(100)),
];

/// The one function whose instructions are counted, by its name.
#[inline(never)]
fn counted(work: &mut dyn FnMut()) {
    work();
}

fn decode(encoding: Encoding, reads_each: i64) -> usize {
    let publish = publish(100, reads_each);
    let bytes = payload(encoding, &publish);
    let gateway = Publisher::Gateway(GatewayId::parse("bench").unwrap());
    let mut decoded = Publish::default();
    let mut decode = || wire::decode(encoding, &bytes, &gateway, &mut decoded).unwrap();
    // The second time nothing is allocated for reads.
    decode();
    counted(&mut decode);
    decoded.read_count()
}

fn apply() -> usize {
    let mut bench = Bench::new(FEEDERS);
    let record = |n: i64, at: usize| {
        let meters = at..(at + READS_OF_PUBLISH).min(bench.meters);
        reads_record(quarter_end(n), meters, n)
    };
    let records_of = |n: i64| {
        (0..bench.meters)
            .step_by(READS_OF_PUBLISH)
            .map(move |at| record(n, at))
    };
    let (first, then): (Vec<_>, Vec<_>) = (records_of(1).collect(), (2..=9).flat_map(records_of).collect());
    // A meter's first word costs more, once.
    first.iter().for_each(|record| bench.apply(record));
    let reads = bench.meters * 8;
    counted(&mut || then.iter().for_each(|record| bench.apply(record)));
    reads
}

fn merge() -> usize {
    let mut bench = Bench::new(FEEDERS);
    bench.merge_interval(1);
    counted(&mut || (2..=9).for_each(|n| bench.merge_interval(n)));
    bench.meters * 8
}

/// A tick of reads that are on time, and of so many late and as many corrected ones for each ten thousand of them.
fn tick(scattered: usize) -> usize {
    let mut bench = Bench::new(FEEDERS);
    let end = DAY + INTERVALS_OF_TICK;
    (1..=DAY).for_each(|n| bench.merge_interval(n));
    bench.tick(quarter_end(DAY));
    let on_time = bench.meters * INTERVALS_OF_TICK as usize;
    let late = on_time * scattered / 10_000;
    counted(&mut || {
        (DAY + 1..=end).for_each(|n| bench.merge_interval(n));
        for (revision, from) in [(1, 0), (2, late)] {
            for number in from..from + late {
                let (at, n) = (number * 7_919 % bench.meters, number as i64 * 31 % DAY + 1);
                bench.merge(at, n, revision);
            }
        }
        bench.tick(quarter_end(end));
    });
    on_time + 2 * late
}

/// Instructions that callgrind says it counted, and reads that the process says they were for.
fn run(part: usize) -> (f64, f64) {
    let output = Command::new("valgrind")
        .args([
            "--tool=callgrind",
            "--toggle-collect=*counted*",
            "--callgrind-out-file=/dev/null",
        ])
        .arg(std::env::current_exe().unwrap())
        .args(["--part", &part.to_string()])
        .output()
        .expect("valgrind must be installed (Debian: valgrind)");
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    let number = |text: &str, after: &str| {
        let found = text
            .lines()
            .find_map(|line| line.split_once(after))
            .and_then(|(_, rest)| rest.trim().parse::<f64>().ok());
        found.unwrap_or_else(|| panic!("no '{after}' in what valgrind said: {out}{err}"))
    };
    (number(&err, "Collected :"), number(&out, "reads:"))
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(at) = arguments.iter().position(|argument| argument == "--part") {
        let (_, part) = PARTS[arguments[at + 1].parse::<usize>().unwrap()];
        println!("reads: {}", part());
        return;
    }
    for (part, (name, _)) in PARTS.iter().enumerate() {
        let mut rounds = Rounds::new(*name, "instructions/read");
        for _ in 0..ROUNDS {
            let (instructions, reads) = run(part);
            rounds.note(instructions / reads);
        }
        println!("{rounds}");
    }
}
