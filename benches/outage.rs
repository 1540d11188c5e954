//! A storm: every consumer of a hundred feeders sends its last gasp, then comes back; and what the search for outages costs a read. One
//! thread. Command: `cargo bench --bench outage`
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

use std::time::{Duration, Instant};

use gridtally_engine::{
    Settings, World,
    network::MeterIx,
    state::{Arrival, Quality, Quarter, Value},
};
use gridtally_ingest::log::Position;
use gridtally_schemas::{PowerEvent, Publish, UtcMicros, record};
use rounds::{Rounds, machine};
use utility::{DTS, METERS, import_wh, master_records, meter_id, quarter_end, reads_record};

const ROUNDS: usize = 3;
const FEEDERS: usize = 100;
/// Intervals that are there when the storm comes.
const INTERVALS: i64 = 192;
const MINUTE: i64 = 60_000_000;
/// Feeders looked at under one lock, as the engine does.
const OUTAGE_FEEDERS: usize = 4;

struct Bench {
    world: World,
    positions: u64,
}

impl Bench {
    fn new() -> Self {
        let mut bench = Self {
            world: World::new(Settings::default()),
            positions: 0,
        };
        for bytes in master_records(FEEDERS) {
            bench.apply(&bytes);
        }
        bench
    }

    fn apply(&mut self, bytes: &[u8]) {
        self.positions += 1;
        let mut publish = Publish::default();
        self.world
            .apply(Position(self.positions), bytes, &mut publish)
            .unwrap();
    }

    /// Puts a value of every meter into the state, without the rows that a table would get.
    fn fill(&mut self, quarter: i64) {
        let interval = Quarter::ending(quarter_end(quarter)).unwrap();
        for at in 0..FEEDERS * METERS {
            let meter = MeterIx(at as u32);
            let mut feeders = Vec::new();
            if self.world.state.block_of(meter).is_none() {
                self.world.network.feeders_of_meter(meter, &mut feeders);
            }
            let value = Value {
                quality: Quality::Actual,
                revision: 0,
                captured_at: None,
                import_wh: import_wh(at, quarter) as u32,
                export_wh: None,
                import_vah: None,
                voltage_v: Some(231.5),
                current_a: None,
            };
            self.world.state.merge(
                meter,
                [feeders.first().copied(), None],
                interval,
                (&value, Arrival::default()),
            );
        }
    }

    /// The reads of one interval of every meter, 100 a record. Gives how long applying them took.
    fn interval(&mut self, quarter: i64) -> Duration {
        let records: Vec<Vec<u8>> = (0..FEEDERS * METERS)
            .step_by(100)
            .map(|first| {
                reads_record(
                    quarter_end(quarter),
                    first..(first + 100).min(FEEDERS * METERS),
                    quarter,
                )
            })
            .collect();
        let begin = Instant::now();
        for bytes in &records {
            self.apply(bytes);
        }
        begin.elapsed()
    }

    /// An event of every consumer, a record each. Gives how many, and how long applying them took.
    fn events(&mut self, at: UtcMicros, code: i32) -> (usize, Duration) {
        let consumers = (0..FEEDERS * METERS).filter(|at| at % METERS > DTS);
        let records: Vec<Vec<u8>> = consumers
            .map(|meter| {
                let mut publish = Publish::default();
                publish.begin_meter(&meter_id(meter)).unwrap();
                // Clocks differ by some seconds.
                let at = at.plus(meter as i64 * 7_919 % MINUTE);
                publish.push_event(PowerEvent {
                    at,
                    code,
                    sequence: None,
                });
                let mut bytes = Vec::new();
                record::encode_publish(at, "gateway:G", &publish, &mut bytes);
                bytes
            })
            .collect();
        let begin = Instant::now();
        for bytes in &records {
            self.apply(bytes);
        }
        (records.len(), begin.elapsed())
    }

    /// Looks at everything that happened. Gives how long it took in all, and the longest time under one lock.
    fn look(&mut self, now: UtcMicros) -> (Duration, Duration) {
        let (begin, mut longest) = (Instant::now(), Duration::ZERO);
        loop {
            let step = Instant::now();
            let more = self.world.look_for_outages(now, OUTAGE_FEEDERS).more;
            longest = longest.max(step.elapsed());
            if !more {
                return (begin.elapsed(), longest);
            }
        }
    }
}

fn per_second(count: usize, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64()
}

fn main() {
    println!("{}", machine(env!("CARGO_TARGET_TMPDIR")));
    let mut quiet = Rounds::new("reads applied, nothing going on", "reads/s");
    let mut open = Rounds::new("reads applied while every feeder is out", "reads/s");
    let mut apply = Rounds::new("last gasps applied, one a record", "events/s");
    let mut first = Rounds::new("first look at 100 feeders that fail at once", "s");
    let mut lock = Rounds::new("longest time under one lock", "s");
    let mut again = Rounds::new("look at them again after a read of each meter", "s");
    let mut back = Rounds::new("look at them when all are back", "s");
    for _ in 0..ROUNDS {
        let mut bench = Bench::new();
        let meters = FEEDERS * METERS;
        for quarter in 1..INTERVALS {
            bench.fill(quarter);
        }
        quiet.note(per_second(meters, bench.interval(INTERVALS)));
        let failed = quarter_end(INTERVALS).plus(2 * MINUTE);
        let (events, took) = bench.events(failed, 101);
        apply.note(per_second(events, took));
        let (took, longest) = bench.look(failed.plus(MINUTE));
        first.note(took.as_secs_f64());
        lock.note(longest.as_secs_f64());
        let counts = bench.world.outage_counts();
        assert_eq!(counts.consumers_out, events);
        // While all is open every read is noted, and each feeder is looked at again.
        open.note(per_second(meters, bench.interval(INTERVALS + 1)));
        again.note(bench.look(failed.plus(2 * MINUTE)).0.as_secs_f64());
        bench.events(failed.plus(40 * MINUTE), 102);
        back.note(bench.look(failed.plus(41 * MINUTE)).0.as_secs_f64());
        let counts = bench.world.outage_counts();
        assert_eq!((counts.open, counts.consumers_out), (0, 0));
    }
    for rounds in [quiet, open, apply, first, lock, again, back] {
        println!("{rounds}");
    }
}
