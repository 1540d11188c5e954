//! Decoding of payloads: protobuf, JSON and Arrow, with 1, 100 and 10,000 reads each. Command: `cargo bench --bench decode`
//!
//! One thread, by the processor time that it used, so that other work on the machine counts little. A read carries what the
//! contract's example does: interval_end, three energies, voltage and current.
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

#[path = "decode/payload.rs"]
mod payload;
mod rounds;

use std::{hint::black_box, time::Duration};

use gridtally_schemas::{
    GatewayId, IntervalRead, Publish,
    topic::Publisher,
    wire::{self, Encoding},
};
use payload::{payload, publish};
use rounds::{Rounds, machine};

const ROUNDS: usize = 9;
const ROUND: Duration = Duration::from_millis(200);
/// Reads decoded at least between two looks at the clock.
const STEP_READS: usize = 5_000;

/// Where the publish keeps its reads: it stays there as long as nothing is allocated anew.
fn place(publish: &Publish) -> *const IntervalRead {
    publish.meters().next().unwrap().reads.as_ptr()
}

/// What this thread has used so far (Linux).
fn processor_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    let nanos = text.split(' ').next().unwrap().parse().unwrap();
    Duration::from_nanos(nanos)
}

fn measure(name: &str, encoding: Encoding, publish: &Publish, target: Option<f64>) {
    let gateway = Publisher::Gateway(GatewayId::parse("bench").unwrap());
    let bytes = payload(encoding, publish);
    let reads = publish.read_count();
    let mut decoded = Publish::default();
    let mut decode = || {
        wire::decode(encoding, black_box(&bytes), &gateway, &mut decoded).unwrap();
        assert_eq!(decoded.read_count(), reads);
        place(&decoded)
    };
    let first = decode();
    let mut rounds = Rounds::new(
        format!("{name}, {reads} reads, {} B a read", bytes.len() / reads),
        "reads/s",
    );
    if let Some(target) = target {
        rounds = rounds.at_least(target);
    }
    for _ in 0..ROUNDS {
        let began = processor_time();
        let mut done = 0;
        let spent = loop {
            for _ in 0..STEP_READS.div_ceil(reads) {
                assert_eq!(decode(), first, "the buffer for reads was allocated anew");
                done += reads;
            }
            let spent = processor_time() - began;
            if spent >= ROUND {
                break spent;
            }
        };
        rounds.note(done as f64 / spent.as_secs_f64());
    }
    println!("{rounds}");
}

fn main() {
    println!("{}", machine(env!("CARGO_TARGET_TMPDIR")));
    for (meters, reads_each) in [(1, 1), (100, 1), (100, 100)] {
        let publish = publish(meters, reads_each);
        measure("protobuf", Encoding::Protobuf, &publish, Some(5e6));
        measure("JSON", Encoding::Json, &publish, Some(1e6));
        // An Arrow stream is for many reads at once: its schema alone is 600 bytes.
        let target = (publish.read_count() >= 10_000).then_some(20e6);
        measure("Arrow stream", Encoding::ArrowStream, &publish, target);
    }
}
