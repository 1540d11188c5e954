use std::{collections::BTreeSet, fs, path::Path, time::Duration};

use gridtally_ingest::log::Position;
use gridtally_schemas::table::{CHECKPOINTS, INTERVAL_READS};

use super::*;
use crate::{
    storage::rig::KillPoints,
    tables::{
        COMMITS_PER_CHECKPOINT,
        tests::{DAY, append, data_files, is_committed, open, ordered, read, reads, rows},
    },
};

const HOUR: Duration = Duration::from_secs(3_600);

#[tokio::test(flavor = "multi_thread")]
async fn compaction_changes_files_and_no_row() {
    let folder = tempfile::tempdir().unwrap();
    let tables = open(&folder).await;
    let tomorrow = DAY.next();
    for number in 0..4 {
        let batch = rows(&INTERVAL_READS, number * 100..number * 100 + 100, |row| {
            if row % 2 == 0 { DAY } else { tomorrow }
        });
        append(&tables, batch, u64::try_from(number).unwrap() + 1).await;
    }
    let before = read(&tables, &INTERVAL_READS).await;
    let done = tables.compact(&INTERVAL_READS, tomorrow).await.unwrap();
    assert_eq!(
        (
            done.partitions,
            done.files_removed,
            done.files_added,
            done.dropped
        ),
        (1, 4, 1, 0)
    );
    assert_eq!(read(&tables, &INTERVAL_READS).await, before);
    assert_eq!(tables.position_of(&INTERVAL_READS), Some(Position(4)));
    // The open day stays until it has many files; a second call finds nothing.
    assert_eq!(
        tables
            .compact(&INTERVAL_READS, tomorrow)
            .await
            .unwrap()
            .partitions,
        0
    );
    assert!(is_committed(append(&tables, reads(400..410), 5).await));
    // Five commits of rows, one of the compaction; each file's bytes are counted where it is written.
    let spent: Vec<_> = tables.effort().steps().collect();
    let times: Vec<_> = spent.iter().map(|(step, spent)| (*step, spent.times)).collect();
    let expected = [5, 6, 0, 1, 0];
    assert_eq!(times, Step::ALL.into_iter().zip(expected).collect::<Vec<_>>());
    let written: u64 = spent.iter().map(|(_, spent)| spent.bytes).sum();
    let on_disk: u64 = data_files(&tables.directory_of(&INTERVAL_READS))
        .iter()
        .map(|file| fs::metadata(file).unwrap().len())
        .sum();
    assert_eq!(written, on_disk);
    let reopened = open(&folder).await;
    assert_eq!(reopened.position_of(&INTERVAL_READS), Some(Position(5)));
    assert_eq!(read(&reopened, &INTERVAL_READS).await.num_rows(), 410);
    let directory = tables.directory_of(&INTERVAL_READS);
    assert_eq!(data_files(&directory).len(), 4 + 4 + 1 + 1);
    assert_eq!(
        reopened
            .vacuum(&INTERVAL_READS, Duration::from_secs(3_600))
            .await
            .unwrap(),
        0
    );
    assert_eq!(reopened.vacuum(&INTERVAL_READS, Duration::ZERO).await.unwrap(), 4);
    assert_eq!(read(&reopened, &INTERVAL_READS).await.num_rows(), 410);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_small_files_of_an_unpartitioned_table_are_compacted() {
    let folder = tempfile::tempdir().unwrap();
    let tables = open(&folder).await;
    let commits = i64::try_from(FILES_PER_PARTITION_MAX).unwrap();
    for number in 0..commits {
        let batch = rows(&CHECKPOINTS, number..number + 1, |_| DAY);
        let position = Position(u64::try_from(number).unwrap() + 1);
        tables.append(&CHECKPOINTS, batch, position).await.unwrap();
    }
    let done = tables.compact(&CHECKPOINTS, DAY).await.unwrap();
    assert_eq!(
        (done.files_removed, done.files_added),
        (FILES_PER_PARTITION_MAX, 1)
    );
    assert_eq!(
        read(&tables, &CHECKPOINTS).await,
        ordered(&rows(&CHECKPOINTS, 0..commits, |_| DAY))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn appends_and_compactions_beside_each_other_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let tables = open(&folder).await;
    let appends = async {
        for number in 0..40_i64 {
            let appended = append(
                &tables,
                reads(number * 10..number * 10 + 10),
                u64::try_from(number).unwrap() + 1,
            )
            .await;
            assert!(is_committed(appended), "{appended:?}");
        }
    };
    let compactions = async {
        let mut partitions = 0;
        while tables.position_of(&INTERVAL_READS) < Some(Position(40)) {
            partitions += tables
                .compact(&INTERVAL_READS, DAY.next())
                .await
                .unwrap()
                .partitions;
        }
        partitions
    };
    let ((), partitions) = futures::join!(appends, compactions);
    assert!(partitions > 0);
    assert_eq!(read(&tables, &INTERVAL_READS).await, ordered(&reads(0..400)));
}

/// The rows of one version, as any reader of Delta sees them; `None` when it cannot be read any more.
async fn read_version(tables: &Tables, version: u64) -> Option<usize> {
    let table = tables.table(&INTERVAL_READS).unwrap();
    let mut old = DeltaTable::new(Arc::clone(&table.log_store));
    old.load_version(version).await.ok()?;
    let stream = crate::tables::reader::scan(&INTERVAL_READS, &old, None)
        .await
        .ok()?;
    let batches: Vec<_> = stream.try_collect().await.ok()?;
    Some(batches.iter().map(arrow::array::RecordBatch::num_rows).sum())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_version_within_the_horizon_reads_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let tables = open(&folder).await;
    let commits = COMMITS_PER_CHECKPOINT + 10;
    for number in 1..=commits {
        let from = i64::try_from(number).unwrap() * 10;
        append(&tables, reads(from..from + 10), number).await;
    }
    // Files of long ago that are replaced today: it is the replacing that the horizon counts from.
    for path in data_files(&tables.directory_of(&INTERVAL_READS)) {
        let file = fs::File::options().append(true).open(path).unwrap();
        let written = file.metadata().unwrap().modified().unwrap();
        file.set_modified(written - 48 * HOUR).unwrap();
    }
    tables.compact(&INTERVAL_READS, DAY.next()).await.unwrap();
    tables.vacuum(&INTERVAL_READS, HOUR).await.unwrap();
    for version in 1..=commits {
        let rows = usize::try_from(version).unwrap() * 10;
        assert_eq!(
            read_version(&tables, version).await,
            Some(rows),
            "version {version}"
        );
    }
    // Beyond the horizon the versions go, and what they alone needed; the newest stays.
    let before = read(&tables, &INTERVAL_READS).await;
    assert_eq!(
        tables.vacuum(&INTERVAL_READS, Duration::ZERO).await.unwrap(),
        commits
    );
    assert_eq!(read_version(&tables, 3).await, None);
    let log = tables.directory_of(&INTERVAL_READS).join("_delta_log");
    assert!(!log.join(format!("{:020}.json", 3)).exists());
    assert_eq!(read(&tables, &INTERVAL_READS).await, before);
    let reopened = open(&folder).await;
    assert_eq!(read(&reopened, &INTERVAL_READS).await, before);
    assert_eq!(reopened.position_of(&INTERVAL_READS), Some(Position(commits)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_read_does_not_rewrite_its_day() {
    let folder = tempfile::tempdir().unwrap();
    let tables = open(&folder).await;
    append(&tables, reads(0..200_000), 1).await;
    let day = data_files(&tables.directory_of(&INTERVAL_READS));
    for late in 0..3_u64 {
        let from = 300_000 + i64::try_from(late).unwrap();
        append(&tables, reads(from..from + 1), late + 2).await;
    }
    let done = tables.compact(&INTERVAL_READS, DAY.next()).await.unwrap();
    assert_eq!((done.files_removed, done.files_added), (3, 1));
    assert_eq!(tables.vacuum(&INTERVAL_READS, Duration::ZERO).await.unwrap(), 3);
    assert!(data_files(&tables.directory_of(&INTERVAL_READS)).is_superset(&day));
}

/// Another process compacts the same files first.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_compactions_of_the_same_files_one_is_dropped_and_no_row_is_doubled() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (open(&folder).await, open(&folder).await);
    for number in 1..=4_u64 {
        let from = i64::try_from(number).unwrap() * 10;
        append(&first, reads(from..from + 10), number).await;
    }
    let table = second.table(&INTERVAL_READS).unwrap();
    let snapshot = table.snapshot().await.unwrap();
    let planned = plans(&INTERVAL_READS, &snapshot, DAY.next()).await.unwrap();
    let added = rewrite(table, &snapshot, &planned[0]).await.unwrap();
    assert_eq!(
        first
            .compact(&INTERVAL_READS, DAY.next())
            .await
            .unwrap()
            .partitions,
        1
    );
    let outcome = replace(table, planned.into_iter().next().unwrap(), added)
        .await
        .unwrap();
    assert_eq!(outcome, Outcome::Taken);
    assert_eq!(read(&second, &INTERVAL_READS).await, ordered(&reads(10..50)));
    // What the dropped one wrote is gone: four files of the appends and one of the compaction.
    assert_eq!(data_files(&first.directory_of(&INTERVAL_READS)).len(), 5);
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let copy = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_folder(&path, &copy);
        } else {
            fs::copy(&path, &copy).unwrap();
        }
    }
}

/// Kills the process after each step that a compaction takes on the disk: whatever it leaves is the same table.
#[tokio::test(flavor = "multi_thread")]
async fn a_crash_between_any_two_steps_of_a_compaction_leaves_the_table_readable() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap().join("tables");
    let kills = folder.path().canonicalize().unwrap().join("kills");
    let disk = Arc::new(KillPoints::default());
    let store = crate::storage::rig::store_on(Arc::<KillPoints>::clone(&disk), &root);
    let tables = Tables::open_on(store, root.clone()).await.unwrap();
    for number in 1..=4_u64 {
        let from = i64::try_from(number).unwrap() * 100;
        append(&tables, reads(from..from + 100), number).await;
    }
    disk.at_every_step({
        let (root, kills) = (root.clone(), kills.clone());
        move |step| copy_folder(&root, &kills.join(step.to_string()).join("tables"))
    });
    assert_eq!(
        tables
            .compact(&INTERVAL_READS, DAY.next())
            .await
            .unwrap()
            .partitions,
        1
    );
    let steps = disk.steps();
    assert!(
        steps >= 6,
        "stage, sync, name, sync of the folder, for file and commit: {steps}"
    );
    let mut compacted = BTreeSet::new();
    for step in 1..=steps {
        let left = Tables::open(&kills.join(step.to_string()).join("tables"))
            .await
            .unwrap();
        assert_eq!(
            read(&left, &INTERVAL_READS).await,
            ordered(&reads(100..500)),
            "step {step}"
        );
        assert_eq!(
            left.position_of(&INTERVAL_READS),
            Some(Position(4)),
            "step {step}"
        );
        let done = left.compact(&INTERVAL_READS, DAY.next()).await.unwrap();
        compacted.insert(done.partitions);
        assert!(is_committed(append(&left, reads(500..600), 5).await));
        left.vacuum(&INTERVAL_READS, Duration::ZERO).await.unwrap();
        assert_eq!(
            data_files(&left.directory_of(&INTERVAL_READS)).len(),
            2,
            "step {step}"
        );
        assert_eq!(
            read(&left, &INTERVAL_READS).await,
            ordered(&reads(100..600)),
            "step {step}"
        );
    }
    assert_eq!(
        compacted,
        BTreeSet::from([0, 1]),
        "kills both before and after the commit"
    );
}
