//! Instructions, allocations and copied bytes that a read costs, part by part. Time on a shared machine varies by a tenth and more from one
//! run to the next; these hardly do for the same work, so a change of some percent shows in them. Command:
//! `cargo bench --bench instructions`
//!
//! Each figure is of processes of their own under valgrind: callgrind counts what [`counted`] executes and nothing before it; of DHAT's
//! blocks, and of the bytes that its copy mode finds in `memcpy` and the like, those of a process that only prepares are taken off. They say
//! nothing of caches, of the kernel or of waiting: the other benches do.
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

use std::{env, process::Command};

use bed::{Bench, DAY, INTERVALS_OF_TICK};
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
/// The first consumer's meter of the first feeder.
const FIRST_CONSUMER: usize = 1 + utility::DTS;
/// Reads of one publish.
const READS_OF_PUBLISH: usize = 100;

/// A part: what it is called, and what it does with the reads that it counts.
type Part = (&'static str, fn() -> usize);

const PARTS: [Part; 8] = [
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
    ("a tick of a single corrected read", tick_of_one),
];

/// The one function whose instructions are counted, by its name. Does nothing in a process that only prepares.
#[inline(never)]
fn counted(work: &mut dyn FnMut()) {
    if !env::args().any(|argument| argument == PREPARE) {
        work();
    }
}

/// Argument of a process that only prepares, and of one that does the part too: as long, for arguments are allocated.
const PREPARE: &str = "--prepare";
const MEASURE: &str = "--measure";

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
    let mut bench = Bench::after_a_day(FEEDERS);
    let end = DAY + INTERVALS_OF_TICK;
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

/// What a tick costs besides its reads: two plans of DataFusion that stand are run over the rows of one DT and one feeder.
fn tick_of_one() -> usize {
    let mut bench = Bench::after_a_day(FEEDERS);
    counted(&mut || {
        bench.merge(FIRST_CONSUMER, DAY / 2, 1);
        bench.tick(quarter_end(DAY));
    });
    1
}

/// A part as a process under a tool of valgrind: the first numbers after `said` in what valgrind prints, and its reads.
fn run(part: usize, tool: &[&str], what: &str, said: &str) -> (Vec<f64>, f64) {
    let output = Command::new("valgrind")
        .args(tool)
        .arg(env::current_exe().unwrap())
        .args(["--part", &part.to_string(), what])
        .output()
        .expect("valgrind must be installed (Debian: valgrind)");
    let numbers = |text: &[u8], said: &str| -> Vec<f64> {
        let text = String::from_utf8_lossy(text).replace(',', "");
        let found = text.lines().find_map(|line| line.split_once(said));
        let rest = found.map(|(_, rest)| rest.split_whitespace().filter_map(|word| word.parse().ok()));
        rest.map(Iterator::collect)
            .unwrap_or_else(|| panic!("no '{said}' in what valgrind said: {text}"))
    };
    (
        numbers(&output.stderr, said),
        numbers(&output.stdout, "reads:")[0],
    )
}

/// Bytes and blocks that DHAT counts in a mode, for each read.
fn heap(part: usize, mode: &str) -> [f64; 2] {
    let tool = ["--tool=dhat", mode, "--dhat-out-file=/dev/null"];
    let (all, reads) = run(part, &tool, MEASURE, "Total:");
    let (before, _) = run(part, &tool, PREPARE, "Total:");
    [0, 1].map(|at| (all[at] - before[at]) / reads)
}

fn main() {
    let arguments: Vec<String> = env::args().collect();
    if let Some(at) = arguments.iter().position(|argument| argument == "--part") {
        let (_, part) = PARTS[arguments[at + 1].parse::<usize>().unwrap()];
        println!("reads: {}", part());
        return;
    }
    for (part, (name, _)) in PARTS.iter().enumerate() {
        let mut rounds = Rounds::new(*name, "instructions/read");
        let tool = [
            "--tool=callgrind",
            "--toggle-collect=*counted*",
            "--callgrind-out-file=/dev/null",
        ];
        for _ in 0..ROUNDS {
            let (instructions, reads) = run(part, &tool, MEASURE, "Collected :");
            rounds.note(instructions[0] / reads);
        }
        println!("{rounds}");
        for (unit, mode, at) in [
            ("allocations/read", "--mode=heap", 1),
            ("bytes copied/read", "--mode=copy", 0),
        ] {
            let mut once = Rounds::new(*name, unit);
            once.note(heap(part, mode)[at]);
            println!("{once}");
        }
    }
}
