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

mod rounds;

use std::{hint::black_box, time::Duration};

use gridtally_schemas::{
    GatewayId, IntervalRead, Publish, UtcMicros,
    topic::Publisher,
    wire::{self, Encoding},
};
use rounds::{Rounds, machine};

const ROUNDS: usize = 9;
const ROUND: Duration = Duration::from_millis(200);
/// Reads decoded at least between two looks at the clock.
const STEP_READS: usize = 5_000;

/// What a gateway sends for so many meters, with so many reads each.
fn publish(meters: i64, reads_each: i64) -> Publish {
    let mut publish = Publish::default();
    for meter in 0..meters {
        publish
            .begin_meter(&format!("MH{:08}", 1_000_000 + meter))
            .unwrap();
        for read in 0..reads_each {
            let number = meter * 31 + read * 7;
            let end = UtcMicros::parse("2026-04-01T00:30:00+05:30").unwrap();
            publish.push_read(IntervalRead {
                export_wh: Some(number % 40),
                import_vah: Some(341 + number % 900),
                voltage_v: Some(231.4 + (number % 90) as f32 / 10.0),
                current_a: Some(1.42 + (number % 500) as f32 / 100.0),
                ..IntervalRead::new(end.plus(read * 900_000_000), Some(312 + number % 900))
            });
        }
    }
    publish
}

fn payload(encoding: Encoding, publish: &Publish) -> Vec<u8> {
    let mut bytes = Vec::new();
    match encoding {
        Encoding::Json => wire::encode_json(publish, &mut bytes),
        Encoding::Protobuf => wire::encode_protobuf(publish, &mut bytes),
        Encoding::ArrowStream => bytes = wire::encode_arrow_stream(publish).unwrap(),
    }
    bytes
}

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
