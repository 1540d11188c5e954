//! What 1 % and 5 % late rows cost: every round measures 0 %, 1 % and 5 % one after the other on the same engine, once with the closed days
//! in memory and once with all of them let go.

use std::{path::Path, time::Instant};

use gridtally_ingest::log::Position;

use crate::{
    bed::{Bed, DAY, RUN, is_left_out},
    rounds::{Rounds, per_second},
    utility::{METERS, master_records, quarter_end},
};

const FEEDERS: usize = 10;
/// Closed days.
const DAYS: i64 = 2;
const ROUNDS: usize = 5;
/// Intervals that come on time in one measurement.
const INTERVALS: i64 = 4;
const PERCENTS: [usize; 3] = [0, 1, 5];

/// The runs that were left out, in an order that goes through all feeders and both days.
fn left_out() -> Vec<(usize, i64)> {
    let mut runs: Vec<(usize, i64)> = (0..FEEDERS * METERS)
        .flat_map(|at| (1..=DAYS * DAY).step_by(RUN as usize).map(move |n| (at, n)))
        .filter(|(at, n)| is_left_out(*at, *n))
        .collect();
    let scattered =
        |(at, n): &(usize, i64)| (*at as u64 * 97 + *n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    runs.sort_by_key(scattered);
    runs
}

/// Closed days of every feeder, all published; the day after has begun.
async fn closed_days(folder: &Path, state_bytes_max: usize) -> Bed {
    let bed = Bed::start(folder, FEEDERS * METERS, quarter_end(0), state_bytes_max).await;
    for record in master_records(FEEDERS) {
        bed.append(&record).await;
    }
    for n in 1..=DAYS * DAY {
        bed.append_interval(n, |at| !is_left_out(at, n)).await;
    }
    bed.engine.applied().await.unwrap();
    // A day later gaps are estimated too.
    bed.set_now(quarter_end((DAYS + 1) * DAY + 2));
    bed.append_interval((DAYS + 1) * DAY + 1, |_| true).await;
    bed.engine.checkpoint().await.unwrap();
    bed
}

struct Measured {
    /// Reads a second into live balances, by per cent of late rows.
    live: [Rounds; 3],
    /// The same into the tables, validation included.
    published: [Rounds; 3],
    /// As shares of 0 % in the same round.
    ratios: [Rounds; 3],
    published_ratios: [Rounds; 3],
}

impl Measured {
    fn new(name: &str) -> Self {
        let rounds = |what: &str, unit| {
            PERCENTS.map(|percent| Rounds::new(format!("{name}, {percent} % late: {what}"), unit))
        };
        Self {
            live: rounds("into live balances", "reads/s"),
            published: rounds("into the tables", "reads/s"),
            ratios: rounds("live, share of 0 %", ""),
            published_ratios: rounds("tables, share of 0 %", ""),
        }
    }
}

async fn round(
    bed: &Bed,
    first: i64,
    order: [usize; 3],
    runs: &mut impl Iterator<Item = (usize, i64)>,
    into: &mut Measured,
) {
    let mut rates = [[0.0; 2]; 3];
    for (step, which) in order.into_iter().enumerate() {
        bed.engine.checkpoint().await.unwrap();
        let begin = first + step as i64 * INTERVALS;
        let late = FEEDERS * METERS * INTERVALS as usize * PERCENTS[which] / 100 / RUN as usize;
        let late: Vec<(usize, i64)> = runs.take(late).collect();
        let begun = Instant::now();
        let (mut reads, mut last) = (0, Position(0));
        let share = late.len().div_ceil(INTERVALS as usize).max(1);
        for (at, n) in (begin..begin + INTERVALS).enumerate() {
            reads += bed.append_interval(n, |_| true).await;
            for (meter, from) in late.iter().skip(at * share).take(share) {
                last = bed.append_late(*meter, *from..*from + RUN).await;
                reads += RUN as usize;
            }
        }
        bed.applied(last).await;
        rates[which][0] = per_second(reads, begun);
        bed.engine.checkpoint().await.unwrap();
        rates[which][1] = per_second(reads, begun);
    }
    for which in 0..3 {
        into.live[which].note(rates[which][0]);
        into.published[which].note(rates[which][1]);
        into.ratios[which].note(rates[which][0] / rates[0][0]);
        into.published_ratios[which].note(rates[which][1] / rates[0][1]);
    }
}

pub async fn run(folder: &Path) {
    println!(
        "{} k meters, {DAYS} closed days; late rows in runs of {RUN} intervals of a meter, over all feeders and closed days",
        FEEDERS * METERS / 1_000
    );
    let memory = closed_days(&folder.join("memory"), usize::MAX).await;
    let paged = closed_days(&folder.join("paged"), 0).await;
    let out = paged.engine.progress().paged;
    assert!(out.feeder_days_out >= FEEDERS * DAYS as usize, "{out:?}");
    let (mut of_memory, mut of_paged) = (left_out().into_iter(), left_out().into_iter());
    let mut in_memory = Measured::new("days in memory");
    let mut let_go = Measured::new("days let go");
    for at in 0..ROUNDS {
        let first = (DAYS + 1) * DAY + 2 + at as i64 * 3 * INTERVALS;
        let mut order = [0, 1, 2];
        order.rotate_left(at % 3);
        round(&memory, first, order, &mut of_memory, &mut in_memory).await;
        round(&paged, first, order, &mut of_paged, &mut let_go).await;
    }
    for measured in [in_memory, let_go] {
        for rounds in [
            measured.live,
            measured.published,
            measured.ratios,
            measured.published_ratios,
        ] {
            rounds.iter().for_each(|rounds| println!("{rounds}"));
        }
    }
    assert_eq!(memory.engine.progress().paged.page_ins, 0);
    println!("days let go: {:?}", paged.engine.progress().paged);
    memory.engine.stop().await.unwrap();
    paged.engine.stop().await.unwrap();
}
