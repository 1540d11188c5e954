//! State and balances: merging reads, gathering and computing balances, both together with late reads and corrections, and the
//! memory of a value. One thread. Command: `cargo bench --bench state`
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
mod rounds;
mod utility;

use std::time::Instant;

use bed::{Bench, DAY, INTERVALS_OF_TICK, quarter, value};
use gridtally_engine::{
    network::MeterIx,
    state::{Arrival, Merged, State},
};
use rounds::{Rounds, machine, per_second};
use utility::{METERS, quarter_end, reads_record, resident_bytes};

const ROUNDS: usize = 7;
/// The target of merging and balances on one core.
const READS_PER_SECOND: f64 = 2_000_000.0;

/// A repeatable sequence without a pattern that a processor could learn (splitmix64).
struct Scattered(u64);

impl Scattered {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % bound as u64) as usize
    }
}

fn name(what: &str, meters: usize) -> String {
    format!("{what}, {} k meters", meters / 1_000)
}

/// Merging alone, into a state of its own.
fn merge_alone(meters: usize) {
    let mut rounds = Rounds::new(name("merge", meters), "reads/s");
    let mut again = Rounds::new(name("merge of duplicates", meters), "reads/s");
    let intervals = (4_000_000 / meters as i64).max(1);
    for _ in 0..ROUNDS {
        let mut state = State::default();
        for (rounds, accepted) in [(&mut rounds, true), (&mut again, false)] {
            let begun = Instant::now();
            for n in 1..=intervals {
                for at in 0..meters {
                    let feeders = [
                        Some(gridtally_engine::network::NodeIx((at / METERS) as u32)),
                        None,
                    ];
                    let said = (&value(at, n, 0), Arrival::default());
                    let merged = state.merge(MeterIx(at as u32), feeders, quarter(n), said);
                    assert_eq!(merged != Merged::Duplicate, accepted);
                }
            }
            rounds.note(per_second(meters * intervals as usize, begun));
        }
    }
    println!("{rounds}\n{again}");
}

/// From log records into state and rows, without balances.
fn apply(meters: usize) {
    let mut rounds = Rounds::new(name("apply of gateway publishes (100 reads)", meters), "reads/s");
    for _ in 0..ROUNDS {
        let mut bench = Bench::new(meters / METERS);
        let intervals = (1_000_000 / bench.meters as i64).max(1);
        let records: Vec<Vec<u8>> = (1..=intervals)
            .flat_map(|n| {
                (0..bench.meters)
                    .step_by(100)
                    .map(move |at| (at, n))
                    .collect::<Vec<_>>()
            })
            .map(|(at, n)| reads_record(quarter_end(n), at..(at + 100).min(bench.meters), n))
            .collect();
        let begun = Instant::now();
        for record in &records {
            bench.apply(record);
        }
        rounds.note(per_second(bench.meters * intervals as usize, begun));
    }
    println!("{rounds}");
}

/// What comes in one tick beside the reads that are on time, as shares of them.
#[derive(Clone, Copy)]
struct Mix {
    name: &'static str,
    late: f64,
    corrected: f64,
    /// Reads of one meter that come late or corrected together: what a meter that was out of reach sends when it is back.
    together: i64,
}

/// Merging and balances, tick by tick, on a picture that holds a day.
fn together(bench: &mut Bench, mix: Mix, begin: &mut i64) {
    let title = |what: &str| name(&format!("{}: {what}", mix.name), bench.meters);
    let mut rate = Rounds::new(title("merge, gather, SQL, settle"), "reads/s");
    // The target is of 1 % late and 1 % corrected; with more late reads it is only shown.
    if mix.late <= 0.01 {
        rate = rate.at_least(READS_PER_SECOND);
    }
    let mut balance = Rounds::new(title("gather, SQL, settle alone"), "member reads/s");
    let mut parts = [0.0; 4];
    let mut scattered = Scattered(7);
    for _ in 0..ROUNDS {
        let on_time = bench.meters * INTERVALS_OF_TICK as usize;
        let (late, corrected) = (on_time as f64 * mix.late, on_time as f64 * mix.corrected);
        let groups = |reads: f64| (reads / mix.together as f64) as usize;
        // Late reads are of a slot that was left out: a meter and a stretch of the day before.
        let mut old = |revision: i32, groups: usize| -> Vec<(usize, i64, i32)> {
            (0..groups)
                .flat_map(|_| {
                    let at = scattered.below(bench.meters);
                    let from = *begin - DAY + scattered.below((DAY - mix.together) as usize) as i64;
                    (0..mix.together).map(move |step| (at, from + step, revision))
                })
                .collect()
        };
        // A late read is one that was not there; corrections of the same revision stand in for it where it was: both win and recompute.
        let mut said = old(1, groups(late));
        said.extend(old(2, groups(corrected)));
        let begun = Instant::now();
        for n in *begin..*begin + INTERVALS_OF_TICK {
            bench.merge_interval(n);
        }
        for (at, n, revision) in &said {
            bench.merge(*at, *n, *revision);
        }
        let merged = begun.elapsed();
        *begin += INTERVALS_OF_TICK;
        let spent = bench.tick(quarter_end(*begin - 1));
        rate.note(per_second(on_time + said.len(), begun));
        let computing = spent.gather + spent.sql + spent.settle;
        balance.note(spent.member_reads as f64 / computing.as_secs_f64());
        for (part, time) in parts
            .iter_mut()
            .zip([merged, spent.gather, spent.sql, spent.settle])
        {
            *part += time.as_secs_f64();
        }
    }
    let whole: f64 = parts.iter().sum();
    let share = |part: f64| (100.0 * part / whole).round();
    println!("{rate}\n{balance}");
    println!(
        "    of the time: merge {} %, gather {} %, SQL {} %, settle {} %",
        share(parts[0]),
        share(parts[1]),
        share(parts[2]),
        share(parts[3])
    );
}

fn balances(meters: usize) {
    let before = resident_bytes();
    let mut bench = Bench::new(meters / METERS);
    let network = resident_bytes().saturating_sub(before);
    for n in 1..=DAY {
        bench.merge_interval(n);
    }
    let values = resident_bytes().saturating_sub(before + network);
    let spent = bench.tick(quarter_end(DAY));
    let all = resident_bytes().saturating_sub(before + network + values);
    let cells = bench.meters * DAY as usize;
    if network > 0 {
        println!(
            "{}: {:.1} network a meter; {:.2} value, {:.2} balances a meter-interval; bytes",
            name("memory", bench.meters),
            network as f64 / bench.meters as f64,
            values as f64 / cells as f64,
            all as f64 / cells as f64
        );
    }
    println!(
        "    one day at once: gather {:.2} s, SQL {:.2} s, settle {:.2} s for {} member reads",
        spent.gather.as_secs_f64(),
        spent.sql.as_secs_f64(),
        spent.settle.as_secs_f64(),
        spent.member_reads
    );
    let mut begin = DAY + 1;
    for mix in [
        Mix {
            name: "on time",
            late: 0.0,
            corrected: 0.0,
            together: 1,
        },
        Mix {
            name: "1 % late, 1 % corrected, by 16",
            late: 0.01,
            corrected: 0.01,
            together: 16,
        },
        Mix {
            name: "1 % late, 1 % corrected, one by one",
            late: 0.01,
            corrected: 0.01,
            together: 1,
        },
        Mix {
            name: "5 % late, one by one",
            late: 0.05,
            corrected: 0.0,
            together: 1,
        },
    ] {
        together(&mut bench, mix, &mut begin);
    }
}

fn main() {
    println!("{}", machine("/"));
    // The large fleet's balances first: what a process has given back it takes again, so only its first growth shows memory.
    for meters in [200_000, 20_000] {
        balances(meters);
        merge_alone(meters);
        apply(meters);
    }
}
