//! A backfill of a year, newest day first, into a state with little room while live reads keep coming: how long those take, what memory it
//! takes, and that every sum is what it is where the same came in order and nothing was let go.

use std::{
    collections::BTreeMap,
    path::Path,
    time::{Duration, Instant},
};

use gridtally_engine::{
    engine::Progress,
    network::{Node, NodeIx},
    world::Sums,
};
use gridtally_schemas::Day;

use crate::{
    bed::{Bed, DAY},
    rounds::Rounds,
    utility::{METERS, master_records, quarter_end, resident_bytes},
};

const FEEDERS: usize = 1;
/// Days of the past that are filled.
const DAYS: i64 = 365;
/// Room for some eight days.
const ROOM: usize = 16 << 20;
/// Pause between two live intervals of every meter.
const LIVE_EVERY: Duration = Duration::from_millis(500);
const LIVE_ALONE: i64 = 30;

/// Appends a live interval, and gives the seconds until the live balances contain it.
async fn live(bed: &Bed, n: i64) -> f64 {
    let begun = Instant::now();
    bed.append_interval(n, |_| true).await;
    let through = bed.engine.progress().log_position;
    while bed.engine.progress().applied_position < through {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    begun.elapsed().as_secs_f64()
}

/// The past, newest day first; as an importer of a file a day does it waits for each day of all meters to be applied.
async fn backfill(bed: &Bed) {
    for day in (0..DAYS).rev() {
        for n in day * DAY + 1..=(day + 1) * DAY {
            bed.append_interval(n, |_| true).await;
        }
        bed.engine.applied().await.unwrap();
    }
}

async fn begin(folder: &Path, room: usize) -> Bed {
    let bed = Bed::start(folder, FEEDERS * METERS, quarter_end(DAYS * DAY + 2), room).await;
    for record in master_records(FEEDERS) {
        bed.append(&record).await;
    }
    bed.engine.applied().await.unwrap();
    bed
}

/// The sums of every node by day.
fn sums(bed: &Bed) -> BTreeMap<(String, Day), Sums> {
    bed.engine.read(|world| {
        let of_node = |(node, entry): (NodeIx, &Node)| {
            let id = entry.id.to_string();
            let days = world.node_days(node);
            days.map(move |(day, sums)| ((id.clone(), day), *sums))
                .collect::<Vec<_>>()
        };
        world.network.nodes().flat_map(of_node).collect()
    })
}

pub async fn run(folder: &Path) {
    println!(
        "{} k meters; backfill of {DAYS} days, newest first, with room for {} MiB; an interval of every meter comes live each {} ms",
        FEEDERS * METERS / 1_000,
        ROOM >> 20,
        LIVE_EVERY.as_millis()
    );
    let bed = begin(&folder.join("backfill"), ROOM).await;
    let mut alone = Rounds::new("live reads to balances, alone", "s");
    let mut beside = Rounds::new("live reads to balances, beside the backfill", "s");
    let mut next = DAYS * DAY + 1;
    for _ in 0..LIVE_ALONE {
        alone.note(live(&bed, next).await);
        next += 1;
        tokio::time::sleep(LIVE_EVERY).await;
    }
    let begun = Instant::now();
    let mut peak = (0, 0);
    {
        let mut filling = std::pin::pin!(backfill(&bed));
        let mut is_filled = false;
        while !is_filled {
            let (bed, n) = (&bed, next);
            let one = async move {
                tokio::time::sleep(LIVE_EVERY).await;
                live(bed, n).await
            };
            let mut one = std::pin::pin!(one);
            let took = loop {
                tokio::select! {
                    took = &mut one => break took,
                    () = &mut filling, if !is_filled => is_filled = true,
                }
            };
            beside.note(took);
            next += 1;
            let Progress { paged, .. } = bed.engine.progress();
            peak = (peak.0.max(paged.resident_bytes), peak.1.max(resident_bytes()));
        }
    }
    let reads = FEEDERS * METERS * (DAYS * DAY) as usize;
    println!("{alone}\n{beside}");
    println!(
        "{reads} reads filled in {:.0} s; at most {} MiB counted as state after letting go, {} MiB of the process",
        begun.elapsed().as_secs_f64(),
        peak.0 >> 20,
        peak.1 >> 20
    );
    let paged = bed.engine.checkpoint().await.unwrap().paged;
    println!("{paged:?}");
    assert!(paged.feeder_days_out > 0, "{paged:?}");
    let whole = begin(&folder.join("whole"), usize::MAX).await;
    for n in 1..next {
        whole.append_interval(n, |_| true).await;
        if n % DAY == 0 {
            // What waits in the log takes disk, what waits for the tables takes memory.
            whole.engine.applied().await.unwrap();
        }
    }
    whole.engine.checkpoint().await.unwrap();
    assert_eq!(sums(&bed), sums(&whole));
    bed.engine.stop().await.unwrap();
    whole.engine.stop().await.unwrap();
}
