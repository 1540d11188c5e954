//! A start with a year's tables: how long it takes, and what memory, with room for everything and with room for little.

use std::{path::Path, time::Instant};

use crate::{
    bed::{Bed, DAY},
    utility::{METERS, master_records, quarter_end, resident_bytes},
};

const FEEDERS: usize = 1;
const DAYS: i64 = 365;
/// Room for the days up to the settlement horizon and some more.
const ROOM: usize = 32 << 20;

pub async fn run(folder: &Path) {
    let now = quarter_end(DAYS * DAY + 2);
    let bed = Bed::start(folder, FEEDERS * METERS, quarter_end(0), ROOM).await;
    for record in master_records(FEEDERS) {
        bed.append(&record).await;
    }
    for day in 0..DAYS {
        for n in day * DAY + 1..=(day + 1) * DAY {
            bed.append_interval(n, |_| true).await;
        }
        bed.set_now(quarter_end((day + 1) * DAY + 2));
        if day % 8 == 7 {
            bed.engine.checkpoint().await.unwrap();
        }
    }
    bed.engine.stop().await.unwrap();
    drop(bed);
    let reads = FEEDERS * METERS * (DAYS * DAY) as usize;
    println!("a year of {} meters: {reads} reads", FEEDERS * METERS);
    // With little room first: what a process has given back it takes again, so only its first growth shows memory.
    for (name, room) in [("32 MiB", ROOM), ("everything", usize::MAX)] {
        let before = resident_bytes();
        let begun = Instant::now();
        let bed = Bed::start(folder, FEEDERS * METERS, now, room).await;
        let started = begun.elapsed().as_secs_f64();
        bed.engine.applied().await.unwrap();
        let paged = bed.engine.checkpoint().await.unwrap().paged;
        println!(
            "room for {name}: started after {started:.1} s, all balances stand and nothing waits after {:.1} s; {} MiB counted as state, the \
             process grew by {} MiB; {} feeder-days out",
            begun.elapsed().as_secs_f64(),
            bed.engine.read(|world| world.resident_bytes()) >> 20,
            (resident_bytes().saturating_sub(before)) >> 20,
            paged.feeder_days_out
        );
        bed.engine.stop().await.unwrap();
    }
}
