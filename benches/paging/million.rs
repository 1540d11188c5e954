//! A million meters, or as many as are asked for, and two days: memory, one late read into the day that was let go, and the rows that it changes.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    path::{Path, PathBuf},
    time::Instant,
};

use arrow::{array::AsArray, compute::cast, datatypes::DataType};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::{
    bed::{Bed, DAY},
    files::each_parquet,
    rounds::Rounds,
    utility::{CONSUMERS, DTS, METERS, master_records, meter_id, quarter_end, resident_bytes},
};

/// Feeders of a million meters.
pub const FEEDERS: usize = 975;
const MEGA: usize = 1 << 20;
const ROUNDS: usize = 5;
/// The interval of the first day whose read comes late, of one meter of a feeder each round.
const LATE: i64 = 50;
/// Room of a feeder that holds one day and not two.
const ROOM: usize = 3 << 20;

/// The meter whose read comes late in a round: a consumer of the seventh DT of a feeder.
fn late_meter(feeders: usize, round: usize) -> usize {
    (round * feeders / ROUNDS) * METERS + 1 + DTS + 7 * CONSUMERS + 3
}

fn all_files(bed: &Bed) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    each_parquet(&bed.folder.join("tables"), &mut |path| {
        found.insert(path.to_owned());
    });
    found
}

/// Rows that were written since, by table: the first key column of each.
fn rows_since(bed: &Bed, before: &BTreeSet<PathBuf>) -> BTreeMap<String, Vec<String>> {
    let root = bed.folder.join("tables");
    let mut rows: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for path in all_files(bed).difference(before) {
        let table = path.strip_prefix(&root).unwrap().components().next().unwrap();
        let table = table.as_os_str().to_str().unwrap().to_owned();
        let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap();
        for batch in reader.build().unwrap() {
            let batch = batch.unwrap();
            let key = cast(batch.column(0), &DataType::Utf8).unwrap();
            let of_table = rows.entry(table.clone()).or_default();
            of_table.extend(key.as_string::<i32>().iter().map(|key| key.unwrap().to_owned()));
        }
    }
    rows
}

/// The rows that the late read of a round changes, and no other: the read; the balances of its DT and feeder; the day of these and of the
/// nodes above, in energy and in completeness; the gap that it ends.
fn assert_exactly_its_rows(at: usize, mut rows: BTreeMap<String, Vec<String>>) {
    let feeder = at / METERS;
    let (meter, name) = (meter_id(at), format!("F{feeder}"));
    let dt = format!("{name}T7");
    let mut above = vec![
        "D".to_owned(),
        name.clone(),
        dt.clone(),
        format!("V{}", feeder / 50),
    ];
    above.sort();
    let mut take = |table: &str| {
        let mut keys = rows.remove(table).unwrap_or_default();
        keys.sort();
        keys
    };
    assert_eq!(take("interval_reads"), [meter]);
    assert_eq!(take("dt_balance"), [dt]);
    assert_eq!(take("feeder_balance"), [name]);
    assert_eq!(take("node_balance_daily"), above);
    assert_eq!(take("read_completeness"), above);
    assert_eq!(take("vee_exceptions").len(), 1);
    assert_eq!(take("checkpoints").len(), 1);
    assert!(rows.is_empty(), "{rows:?}");
}

async fn fill(bed: &Bed) -> usize {
    let is_late =
        |n: i64, at: usize| n == LATE && (0..ROUNDS).any(|round| late_meter(bed.feeders(), round) == at);
    let mut reads = 0;
    for n in 1..=2 * DAY {
        reads += bed.append_interval(n, |at| !is_late(n, at)).await;
        if n % 4 == 0 {
            // The log does not run ahead: what waits in it takes disk, what waits for the tables takes memory.
            bed.engine.applied().await.unwrap();
        }
    }
    reads
}

pub async fn run(folder: &Path, feeders: usize) {
    let (meters, room) = (feeders * METERS, feeders * ROOM);
    let before = resident_bytes();
    let bed = Bed::start(folder, meters, quarter_end(0), usize::MAX).await;
    for record in master_records(feeders) {
        bed.append(&record).await;
    }
    bed.engine.applied().await.unwrap();
    let network = resident_bytes() - before;
    let begun = Instant::now();
    let reads = fill(&bed).await;
    println!(
        "{meters} meters, two days: {reads} reads into live balances in {:.0} s; network {} MiB",
        begun.elapsed().as_secs_f64(),
        network / MEGA
    );
    bed.engine.checkpoint().await.unwrap();
    let counted = bed.engine.read(|world| world.resident_bytes());
    println!(
        "two days open and published: {} MiB of the process, {} MiB counted as state",
        resident_bytes() / MEGA,
        counted / MEGA
    );
    let begun = Instant::now();
    bed.set_now(quarter_end(3 * DAY + 2));
    bed.append_interval(2 * DAY + 1, |_| true).await;
    bed.engine.checkpoint().await.unwrap();
    println!(
        "both days closed, validated, published as final in {:.0} s: {} MiB of the process",
        begun.elapsed().as_secs_f64(),
        resident_bytes() / MEGA
    );
    bed.engine.stop().await.unwrap();
    drop(bed);
    let begun = Instant::now();
    let bed = Bed::start(folder, meters, quarter_end(3 * DAY + 2), room).await;
    println!(
        "a start with room for {} MiB: {:.0} s, {} MiB of the process",
        room / MEGA,
        begun.elapsed().as_secs_f64(),
        resident_bytes() / MEGA
    );
    bed.engine.applied().await.unwrap();
    let paged = bed.engine.checkpoint().await.unwrap().paged;
    println!(
        "balances computed, settled days let go after {:.0} s: {} MiB of the process, {paged:?}",
        begun.elapsed().as_secs_f64(),
        resident_bytes() / MEGA
    );
    late_reads(&bed).await;
    bed.engine.stop().await.unwrap();
}

async fn late_reads(bed: &Bed) {
    let mut whole = Rounds::new("a late read into a day that is out, to its balance", "s");
    let mut page_in = Rounds::new("of it page-in", "s");
    let mut tick = Rounds::new("of it the tick", "s");
    let mut published = Rounds::new("the same to its rows in the tables", "s");
    for round in 0..ROUNDS {
        let at = late_meter(bed.feeders(), round);
        let before = (all_files(bed), bed.engine.progress());
        let begun = Instant::now();
        let position = bed.append_late(at, LATE..LATE + 1).await;
        let after = bed.applied(position).await;
        whole.note(begun.elapsed().as_secs_f64());
        page_in.note((after.page_in_micros - before.1.page_in_micros) as f64 / 1e6);
        tick.note(after.last_tick_micros as f64 / 1e6);
        bed.engine.checkpoint().await.unwrap();
        published.note(begun.elapsed().as_secs_f64());
        assert!(
            after.paged.feeder_days_in > before.1.paged.feeder_days_in,
            "{after:?}"
        );
        assert_exactly_its_rows(at, rows_since(bed, &before.0));
    }
    println!("{whole}\n{page_in}\n{tick}\n{published}");
    println!(
        "each changed exactly: 1 read, 1 DT and 1 feeder balance, 4 daily balances, 4 days of completeness, 1 exception"
    );
}
