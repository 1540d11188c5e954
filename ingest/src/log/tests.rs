use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker},
    time::Instant,
};

use super::{append::block_on, *};

mod crash;
mod faulty_disk;
#[cfg(target_os = "linux")]
mod local_disk;

use faulty_disk::FaultyDisk;

fn config(directory: &Path) -> LogConfig {
    LogConfig {
        commit_delay: Duration::ZERO,
        ..LogConfig::new(directory)
    }
}

/// A log on a faulty disk, in a folder of its own.
struct Bench {
    disk: FaultyDisk,
    log: Log,
    folder: tempfile::TempDir,
}

fn bench(change: impl FnOnce(&mut LogConfig)) -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let disk = FaultyDisk::default();
    let mut config = config(folder.path());
    change(&mut config);
    let log = Log::open_on(Arc::new(disk.clone()), config, Position(0)).unwrap();
    Bench { disk, log, folder }
}

fn read_all(log: &Log, after: Position) -> Vec<(u64, Vec<u8>)> {
    let mut reader = log.reader(after).unwrap();
    let mut batch = LogBatch::default();
    let mut records = Vec::new();
    while reader.read(&mut batch, 64).unwrap() > 0 {
        records.extend(owned(&batch));
    }
    records
}

fn owned(batch: &LogBatch) -> Vec<(u64, Vec<u8>)> {
    let records = batch.iter();
    records
        .map(|(position, record)| (position.0, record.to_vec()))
        .collect()
}

fn append_synced(log: &Log, record: &[u8]) -> Position {
    let appender = log.appender();
    let position = appender.append_blocking(record).unwrap();
    block_on(appender.synced(position)).unwrap();
    position
}

/// Polls until it holds; fails the test when it does not within 20 s.
fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::yield_now();
    }
}

fn poll<F: Future + ?Sized>(future: &mut Pin<Box<F>>) -> Poll<F::Output> {
    future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn what_was_synced_is_there_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let deep = folder.path().join("data/log");
    let log = Log::open(config(&deep), Position(0)).unwrap();
    for at in 1..=3_u64 {
        assert_eq!(append_synced(&log, &at.to_le_bytes()), Position(at));
    }
    assert_eq!(log.close().unwrap(), Position(3));
    let log = Log::open(config(&deep), Position(0)).unwrap();
    let expected: Vec<_> = (2..=3_u64).map(|at| (at, at.to_le_bytes().to_vec())).collect();
    assert_eq!(read_all(&log, Position(1)), expected);
}

#[test]
fn ack_1_nothing_is_announced_before_its_sync_returned() {
    let Bench {
        disk,
        log,
        folder: _folder,
    } = bench(|_| ());
    let held = disk.hold();
    let begun = disk.begun();
    let appender = log.appender();
    let position = appender.try_append(b"read").unwrap();
    let mut synced = Box::pin(appender.synced(position));
    eventually("nothing is written", || disk.begun() > begun);
    assert!(
        poll(&mut synced).is_pending(),
        "acknowledged before it was written"
    );
    assert_eq!(log.end(), Position(0));
    let mut reader = log.reader(Position(0)).unwrap();
    assert_eq!(reader.read(&mut LogBatch::default(), 100).unwrap(), 0);
    drop(held);
    block_on(synced).unwrap();
    assert_eq!(log.end(), position);
}

#[test]
fn ack_1_what_is_announced_is_durable_with_many_appenders_and_segments() {
    const THREADS: usize = 8;
    const EACH: usize = 300;
    let Bench {
        disk,
        log,
        folder: _folder,
    } = bench(|config| {
        config.segment_bytes = 3_000;
        config.pending_bytes_max = 2_000;
    });
    let appended: Vec<Vec<u64>> = std::thread::scope(|scope| {
        let one = |who: usize| {
            let (appender, disk) = (log.appender(), disk.clone());
            move || {
                let append = |_| {
                    let record = [u8::try_from(who).unwrap(); 24];
                    let position = if who < THREADS / 2 {
                        appender.append_blocking(&record).unwrap()
                    } else {
                        block_on(appender.append(&record)).unwrap()
                    };
                    block_on(appender.synced(position)).unwrap();
                    // Entries of 32 bytes behind headers of 16.
                    let durable: u64 = disk
                        .durable_bytes()
                        .iter()
                        .map(|bytes| bytes.saturating_sub(16) / 32)
                        .sum();
                    assert!(
                        durable >= position.0,
                        "{position} acknowledged, {durable} durable"
                    );
                    position.0
                };
                (0..EACH).map(append).collect()
            }
        };
        let threads: Vec<_> = (0..THREADS).map(|who| scope.spawn(one(who))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(appended.iter().all(|positions| positions.is_sorted()));
    let mut all = appended.concat();
    all.sort_unstable();
    assert_eq!(all, (1..=format::file_bytes(THREADS * EACH)).collect::<Vec<_>>());
    for (position, record) in read_all(&log, Position(0)) {
        assert!(appended[usize::from(record[0])].contains(&position));
    }
}

#[test]
fn a_failed_write_sync_or_roll_poisons_the_log_for_good() {
    // Operations of a commit: write, sync; of a roll: create, write, sync, sync the folder.
    for (operation, acknowledged, text) in [
        (0, 1, "write failed on"),
        (1, 1, "sync failed on"),
        (2, 2, "create failed on"),
        (4, 2, "sync failed on"),
        (5, 2, "sync failed on"),
    ] {
        let Bench {
            disk,
            log,
            folder: _folder,
        } = bench(|config| config.segment_bytes = 70);
        append_synced(&log, &[1; 20]);
        let mut announced = log.subscribe();
        disk.die_in(operation, 0);
        let appender = log.appender();
        let position = appender.try_append(&[2; 40]).unwrap();
        assert_eq!(block_on(appender.synced(position)).is_ok(), acknowledged == 2);
        while block_on(announced.changed()).is_ok() {}
        disk.go_on();
        let begun = disk.begun();
        let refused = [
            appender.try_append(b"three").unwrap_err(),
            appender.append_blocking(b"three").unwrap_err(),
            block_on(appender.append(b"three")).unwrap_err(),
            block_on(appender.synced(Position(3))).unwrap_err(),
        ];
        for error in refused {
            assert!(matches!(error, AppendError::Poisoned(_)), "{error}");
        }
        assert!(
            log.failure().unwrap().to_string().starts_with(text),
            "{:?}",
            log.failure()
        );
        assert_eq!(log.end(), Position(acknowledged));
        assert!(log.close().is_err());
        assert_eq!(disk.begun(), begun, "something was tried again");
    }
}

#[test]
fn a_panic_in_the_thread_poisons_the_log() {
    let Bench {
        disk,
        log,
        folder: _folder,
    } = bench(|_| ());
    disk.panic_from_now_on();
    let appender = log.appender();
    let position = appender.try_append(b"one").unwrap();
    assert!(matches!(
        block_on(appender.synced(position)),
        Err(AppendError::Poisoned(_))
    ));
    assert!(matches!(*log.failure().unwrap(), LogError::Panicked));
}

#[test]
fn waiting_appenders_hear_of_the_poison() {
    let Bench {
        disk,
        log,
        folder: _folder,
    } = bench(|config| config.pending_bytes_max = 100);
    let held = disk.hold();
    disk.die_in(0, 0);
    let appender = log.appender();
    appender.try_append(&[1; 90]).unwrap();
    let mut waiting = Box::pin(appender.append(&[2; 90]));
    assert!(poll(&mut waiting).is_pending());
    std::thread::scope(|scope| {
        let blocked = scope.spawn(|| appender.append_blocking(&[3; 90]));
        drop(held);
        assert!(matches!(block_on(waiting), Err(AppendError::Poisoned(_))));
        assert!(matches!(blocked.join().unwrap(), Err(AppendError::Poisoned(_))));
    });
}

#[test]
fn a_full_queue_refuses_or_lets_wait_first_come_first_served() {
    let Bench {
        disk,
        log,
        folder: _folder,
    } = bench(|config| config.pending_bytes_max = 100);
    let appender = log.appender();
    let held = disk.hold();
    assert_eq!(appender.try_append(&[1; 60]).unwrap(), Position(1));
    assert!(matches!(
        appender.try_append(&[9; 60]),
        Err(AppendError::Busy {
            pending: 68,
            pending_max: 100
        })
    ));
    let mut large = Box::pin(appender.append(&[2; 1_000]));
    let mut dropped = Box::pin(appender.append(&[9; 60]));
    let mut small = Box::pin(appender.append(&[3; 1]));
    assert!(poll(&mut large).is_pending());
    assert!(poll(&mut dropped).is_pending());
    // It would fit, but others came before.
    assert!(poll(&mut small).is_pending());
    assert!(matches!(
        appender.try_append(&[9; 1]),
        Err(AppendError::Busy { .. })
    ));
    drop(dropped);
    drop(held);
    let (mut first, mut second) = (None, None);
    eventually("an appender still waits", || {
        if first.is_none()
            && let Poll::Ready(position) = poll(&mut large)
        {
            first = Some(position.unwrap());
        }
        if first.is_some()
            && second.is_none()
            && let Poll::Ready(position) = poll(&mut small)
        {
            second = Some(position.unwrap());
        }
        second.is_some()
    });
    assert_eq!((first, second), (Some(Position(2)), Some(Position(3))));
    block_on(appender.synced(Position(3))).unwrap();
    eventually("room is lost", || appender.try_append(&[4; 92]).is_ok());
}

#[test]
fn a_full_log_refuses_until_it_is_cut() {
    let Bench { log, folder, .. } = bench(|config| {
        config.bytes_max = 400;
        // More than half of the bound: one segment alone could then never be cut.
        config.segment_bytes = 1_000;
    });
    let appender = log.appender();
    assert!(matches!(
        appender.try_append(&[0; 200]),
        Err(AppendError::TooLarge {
            bytes: 200,
            bytes_max: 136
        })
    ));
    for _ in 0..20 {
        let full = loop {
            match appender.append_blocking(&[7; 100]) {
                Ok(position) => block_on(appender.synced(position)).unwrap(),
                Err(error) => break error,
            }
        };
        assert!(matches!(full, AppendError::Full { bytes_max: 400, .. }), "{full}");
        assert!(log.bytes() <= log.bytes_max());
        log.cut(log.end()).unwrap();
        append_synced(&log, &[8; 136]);
    }
    log.cut(log.end()).unwrap();
    let files = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap());
    let on_disk: u64 = files.map(|file| file.metadata().unwrap().len()).sum();
    eventually("the size is not that of the files", || log.bytes() == on_disk);
    assert!(log.begin() > Position(20));
    assert!(matches!(log.reader(Position(0)), Err(LogError::Cut { .. })));
}

#[test]
fn a_record_of_the_limit_is_taken_and_a_longer_one_is_not() {
    let Bench {
        log, folder: _folder, ..
    } = bench(|config| config.pending_bytes_max = 1_000);
    let mut record = vec![7; RECORD_BYTES_MAX + 1];
    assert!(matches!(
        log.appender().try_append(&record),
        Err(AppendError::TooLarge { .. })
    ));
    record.pop();
    append_synced(&log, &record);
    assert_eq!(read_all(&log, Position(0)), [(1, record)]);
}

#[test]
fn closing_syncs_the_rest_and_refuses_what_comes_then() {
    let Bench { disk, log, folder } = bench(|config| config.commit_delay = Duration::from_secs(3_600));
    let appender = log.appender();
    for at in 0..100 {
        appender.try_append(&[at]).unwrap();
    }
    assert_eq!(log.end(), Position(0));
    assert_eq!(log.close().unwrap(), Position(100));
    block_on(appender.synced(Position(100))).unwrap();
    assert!(matches!(
        block_on(appender.synced(Position(101))),
        Err(AppendError::Closed)
    ));
    assert!(matches!(appender.try_append(b"late"), Err(AppendError::Closed)));
    assert!(matches!(
        block_on(appender.append(b"late")),
        Err(AppendError::Closed)
    ));
    disk.power_failure(|| 0);
    let log = Log::open(config(folder.path()), Position(0)).unwrap();
    assert_eq!(read_all(&log, Position(0)).len(), 100);
}

#[test]
fn as_many_bytes_as_make_a_commit_do_not_wait() {
    let Bench {
        log, folder: _folder, ..
    } = bench(|config| {
        config.commit_delay = Duration::from_secs(3_600);
        config.commit_bytes = 1_000;
    });
    for _ in 0..10 {
        log.appender().try_append(&[1; 92]).unwrap();
    }
    block_on(log.appender().synced(Position(10))).unwrap();
}

#[test]
fn a_second_process_is_kept_out() {
    let folder = tempfile::tempdir().unwrap();
    let log = Log::open(config(folder.path()), Position(0)).unwrap();
    let error = Log::open(config(folder.path()), Position(0)).unwrap_err();
    assert!(
        error.to_string().ends_with("is in use by another process"),
        "{error}"
    );
    drop(log);
    Log::open(config(folder.path()), Position(0)).unwrap();
}

#[test]
fn a_lost_log_goes_on_behind_what_the_tables_hold() {
    let Bench { log, folder, .. } = bench(|config| config.segment_bytes = 64);
    for _ in 0..4 {
        append_synced(&log, &[1; 40]);
    }
    log.close().unwrap();
    let log = Log::open(config(folder.path()), Position(41)).unwrap();
    assert_eq!((log.begin(), log.end()), (Position(41), Position(41)));
    assert_eq!(append_synced(&log, b"x"), Position(42));
    log.close().unwrap();
    let log = Log::open(config(folder.path()), Position(41)).unwrap();
    assert_eq!(read_all(&log, Position(41)), [(42, b"x".to_vec())]);
    assert!(matches!(log.reader(Position(40)), Err(LogError::Cut { .. })));
}

/// Six records of 40 bytes, two in each segment.
fn six_in_three_segments() -> Bench {
    let bench = bench(|config| config.segment_bytes = 100);
    for at in 1..=6 {
        append_synced(&bench.log, &[at; 40]);
    }
    bench
}

fn segment(folder: &tempfile::TempDir, first: u64) -> PathBuf {
    format::segment_path(folder.path(), Position(first))
}

fn check_damage(damage: impl FnOnce(&tempfile::TempDir), expected: &str) {
    let Bench { log, folder, .. } = six_in_three_segments();
    log.close().unwrap();
    damage(&folder);
    let outcome = Log::open(config(folder.path()), Position(0)).and_then(|log| {
        let mut reader = log.reader(Position(0))?;
        let mut batch = LogBatch::default();
        while reader.read(&mut batch, 1_000)? > 0 {}
        Ok(())
    });
    let error = outcome.unwrap_err().to_string();
    assert!(error.contains(expected), "{error}");
    assert!(error.contains("restore the file from a copy"), "{error}");
}

#[test]
fn damage_before_the_last_segment_is_named_with_file_and_offset() {
    let rewrite = |folder: &tempfile::TempDir, first, change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = std::fs::read(segment(folder, first)).unwrap();
        change(&mut bytes);
        std::fs::write(segment(folder, first), bytes).unwrap();
    };
    check_damage(
        |folder| rewrite(folder, 3, &|bytes| bytes[16 + 48 + 20] ^= 1),
        "00000000000000000003.log is damaged at byte 64: an entry's checksum does not match",
    );
    check_damage(
        |folder| rewrite(folder, 3, &|bytes| bytes.truncate(70)),
        "00000000000000000003.log is damaged at byte 64: a synced record is cut off",
    );
    check_damage(
        |folder| rewrite(folder, 3, &|bytes| bytes.truncate(64)),
        "00000000000000000003.log is damaged at byte 64: it ends before the record that the next segment begins with",
    );
    check_damage(
        |folder| std::fs::remove_file(segment(folder, 3)).unwrap(),
        "00000000000000000001.log is damaged at byte 112: it ends before the record that the next segment begins with",
    );
    check_damage(
        |folder| rewrite(folder, 3, &|bytes| bytes.fill(0)),
        "00000000000000000003.log is damaged at byte 0: it does not begin as a log segment does",
    );
    check_damage(
        |folder| rewrite(folder, 1, &|bytes| bytes[7] = 2),
        "00000000000000000001.log is damaged at byte 0: it is of another version of gridtally",
    );
    check_damage(
        |folder| std::fs::rename(segment(folder, 3), segment(folder, 4)).unwrap(),
        "00000000000000000004.log is damaged at byte 0: its header names another first position than its file name",
    );
}

#[test]
fn a_reader_follows_the_log_through_its_segments() {
    let Bench {
        log, folder: _folder, ..
    } = bench(|config| config.segment_bytes = 100);
    let mut reader = log.reader(Position(0)).unwrap();
    let mut batch = LogBatch::default();
    assert_eq!(reader.read(&mut batch, 1 << 20).unwrap(), 0);
    for at in 1..=20_u8 {
        append_synced(&log, &[at; 40]);
        assert_eq!(reader.read(&mut batch, 1).unwrap(), 1);
        assert_eq!(owned(&batch), [(u64::from(at), vec![at; 40])]);
        assert_eq!(reader.position(), Position(u64::from(at)));
        assert_eq!(reader.read(&mut batch, 1 << 20).unwrap(), 0);
        assert!(batch.is_empty());
        // What has been read may go at any time.
        log.cut(Position(u64::from(at))).unwrap();
    }
    assert!(log.begin() >= Position(18));
}

#[test]
fn a_record_larger_than_asked_for_comes_alone() {
    let Bench {
        log, folder: _folder, ..
    } = bench(|_| ());
    append_synced(&log, &[1; 100_000]);
    append_synced(&log, &[2; 10]);
    let mut reader = log.reader(Position(0)).unwrap();
    let mut batch = LogBatch::default();
    assert_eq!(reader.read(&mut batch, 5_000).unwrap(), 1);
    assert_eq!(owned(&batch), [(1, vec![1; 100_000])]);
    assert_eq!(reader.read(&mut batch, 5_000).unwrap(), 1);
    assert_eq!(owned(&batch), [(2, vec![2; 10])]);
}

#[test]
fn a_reader_finishes_the_segment_it_is_in_and_then_names_what_was_cut() {
    let Bench {
        log, folder: _folder, ..
    } = six_in_three_segments();
    let mut batch = LogBatch::default();
    let mut reader = log.reader(Position(1)).unwrap();
    log.cut(Position(4)).unwrap();
    assert_eq!(reader.read(&mut batch, 1_000).unwrap(), 1);
    assert_eq!(owned(&batch), [(2, vec![2; 40])]);
    let error = reader.read(&mut batch, 1_000).unwrap_err().to_string();
    assert_eq!(
        error,
        "log records up to 4 have been cut; a reader asked for those after 2"
    );
    assert_eq!(read_all(&log, Position(4)).len(), 2);
}

#[test]
fn a_segment_is_read_as_it_was_written_by_the_first_version() {
    let folder = tempfile::tempdir().unwrap();
    let log = Log::open(config(folder.path()), Position(0)).unwrap();
    append_synced(&log, b"read");
    log.close().unwrap();
    let fixture = [
        b"GTLOG\0\0\x01".as_slice(),
        &[1, 0, 0, 0, 0, 0, 0, 0],
        &[12, 0, 0, 0],
        &FIXTURE_CHECKSUM,
        b"read",
    ];
    assert_eq!(std::fs::read(segment(&folder, 1)).unwrap(), fixture.concat());
}

/// crc32c (Castagnoli) over `read` and the position 1 in 8 bytes, computed bit by bit, apart from the crate.
const FIXTURE_CHECKSUM: [u8; 4] = [0x3d, 0x9c, 0x47, 0x4b];
