use std::{
    collections::HashMap,
    io,
    sync::atomic::{AtomicBool, Ordering},
};

use proptest::prelude::*;

use super::*;

/// A disk that can hold back a sync, fail it, and knows what would survive a crash.
#[derive(Debug, Clone, Default)]
struct FaultyDisk {
    synced_bytes: Arc<Mutex<HashMap<PathBuf, u64>>>,
    fail_sync: Arc<AtomicBool>,
    blocked: Arc<Mutex<()>>,
}

#[derive(Debug)]
struct FaultyFile {
    inner: File,
    path: PathBuf,
    disk: FaultyDisk,
}

impl SegmentFile for FaultyFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.inner.append(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        let _held = self.disk.blocked.lock().unwrap();
        if self.disk.fail_sync.load(Ordering::SeqCst) {
            return Err(io::Error::other("the disk is gone"));
        }
        let length = self.inner.metadata()?.len();
        self.disk
            .synced_bytes
            .lock()
            .unwrap()
            .insert(self.path.clone(), length);
        Ok(())
    }
}

impl FaultyDisk {
    fn file(&self, path: &Path, inner: File) -> Box<dyn SegmentFile> {
        Box::new(FaultyFile {
            inner,
            path: path.to_owned(),
            disk: self.clone(),
        })
    }

    /// What a power failure leaves: all that was synced, `kept` bytes of what was not, and then `tail`.
    fn crash(&self, directory: &Path, kept: u64, tail: &[u8]) {
        let synced = self.synced_bytes.lock().unwrap();
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let Some(durable) = synced.get(&path) else {
                continue;
            };
            let length = path.metadata().unwrap().len();
            let file = File::options().append(true).open(&path).unwrap();
            file.set_len(length.min(durable + kept)).unwrap();
            if length > *durable {
                file.set_len(length.min(durable + kept)).unwrap();
                (&file).append(tail).unwrap();
            }
        }
    }
}

impl SegmentFile for &File {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        io::Write::write_all(self, bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }
}

impl Disk for FaultyDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn SegmentFile>> {
        Ok(self.file(path, File::options().append(true).create_new(true).open(path)?))
    }

    fn open_at(&self, path: &Path, length: u64) -> io::Result<Box<dyn SegmentFile>> {
        LocalDisk.open_at(path, length)?;
        self.synced_bytes.lock().unwrap().insert(path.to_owned(), length);
        Ok(self.file(path, File::options().append(true).open(path)?))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        LocalDisk.remove(path)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        LocalDisk.sync_directory(path)
    }
}

fn config(directory: &Path) -> LogConfig {
    LogConfig {
        commit_delay: Duration::from_millis(1),
        ..LogConfig::new(directory)
    }
}

fn read_all(log: &Log, after: Position) -> Vec<(u64, Vec<u8>)> {
    let mut reader = log.reader(after).unwrap();
    let mut batch = LogBatch::default();
    let mut records = Vec::new();
    while reader.read(&mut batch, 64).unwrap() > 0 {
        records.extend(
            batch
                .iter()
                .map(|(position, record)| (position.0, record.to_vec())),
        );
    }
    records
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

fn append_synced(log: &Log, record: &[u8]) -> Position {
    let appender = log.appender();
    runtime().block_on(async {
        let position = appender.append(record).await.unwrap();
        appender.synced(position).await.unwrap();
        position
    })
}

#[test]
fn what_was_synced_is_there_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let log = Log::open(config(folder.path()), Position(0)).unwrap();
    for at in 1..=3_u64 {
        assert_eq!(append_synced(&log, &at.to_le_bytes()), Position(at));
    }
    assert_eq!(log.close().unwrap(), Position(3));
    let log = Log::open(config(folder.path()), Position(0)).unwrap();
    let expected: Vec<_> = (2..=3_u64).map(|at| (at, at.to_le_bytes().to_vec())).collect();
    assert_eq!(read_all(&log, Position(1)), expected);
}

#[test]
fn ack_1_nothing_is_announced_before_its_sync_returned() {
    let folder = tempfile::tempdir().unwrap();
    let disk = FaultyDisk::default();
    let log = Log::open_on(Arc::new(disk.clone()), config(folder.path()), Position(0)).unwrap();
    let held = disk.blocked.lock().unwrap();
    let appender = log.appender();
    let position = appender.try_append(b"read").unwrap();
    runtime().block_on(async {
        let waited = tokio::time::timeout(Duration::from_millis(200), appender.synced(position)).await;
        assert!(waited.is_err(), "announced while the sync had not returned");
        assert_eq!(log.end(), Position(0));
        drop(held);
        appender.synced(position).await.unwrap();
    });
    assert_eq!(log.end(), position);
}

#[test]
fn a_failed_sync_poisons_the_log_for_good() {
    let folder = tempfile::tempdir().unwrap();
    let disk = FaultyDisk::default();
    let log = Log::open_on(Arc::new(disk.clone()), config(folder.path()), Position(0)).unwrap();
    append_synced(&log, b"one");
    disk.fail_sync.store(true, Ordering::SeqCst);
    let appender = log.appender();
    runtime().block_on(async {
        let position = appender.append(b"two").await.unwrap();
        assert!(matches!(
            appender.synced(position).await,
            Err(AppendError::Poisoned(_))
        ));
        disk.fail_sync.store(false, Ordering::SeqCst);
        assert!(matches!(
            appender.append(b"three").await,
            Err(AppendError::Poisoned(_))
        ));
    });
    assert!(log.failure().unwrap().to_string().starts_with("sync failed on"));
    assert_eq!(log.end(), Position(1));
}

#[test]
fn every_bound_is_met_with_its_own_answer() {
    let folder = tempfile::tempdir().unwrap();
    let disk = FaultyDisk::default();
    let small = LogConfig {
        pending_bytes_max: 100,
        bytes_max: 400,
        segment_bytes: 100,
        ..config(folder.path())
    };
    let log = Log::open_on(Arc::new(disk.clone()), small, Position(0)).unwrap();
    let appender = log.appender();
    assert!(matches!(
        appender.try_append(&vec![0; RECORD_BYTES_MAX + 1]),
        Err(AppendError::TooLarge { .. })
    ));
    let held = disk.blocked.lock().unwrap();
    let busy = (0..100)
        .find_map(|_| appender.try_append(&[7; 30]).err())
        .unwrap();
    assert!(
        matches!(busy, AppendError::Busy { .. } | AppendError::Full { .. }),
        "{busy}"
    );
    drop(held);
    let full = runtime().block_on(async {
        loop {
            if let Err(error) = appender.append(&[7; 30]).await {
                break error;
            }
        }
    });
    assert!(matches!(full, AppendError::Full { bytes_max: 400, .. }), "{full}");
    runtime().block_on(async { while appender.synced(Position(4)).await.is_err() {} });
    log.cut(log.end()).unwrap();
    append_synced(&log, &[8; 30]);
    assert!(log.begin() > Position(0));
    assert!(matches!(
        log.reader(Position(0)).map(|_| ()),
        Err(LogError::Cut { .. })
    ));
}

#[test]
fn a_second_process_is_kept_out() {
    let folder = tempfile::tempdir().unwrap();
    let _log = Log::open(config(folder.path()), Position(0)).unwrap();
    let error = Log::open(config(folder.path()), Position(0)).unwrap_err();
    assert!(
        error.to_string().ends_with("is in use by another process"),
        "{error}"
    );
}

#[test]
fn damage_in_the_middle_is_named_with_file_and_offset() {
    let folder = tempfile::tempdir().unwrap();
    let rolling = LogConfig {
        segment_bytes: 64,
        ..config(folder.path())
    };
    let log = Log::open(rolling.clone(), Position(0)).unwrap();
    for _ in 0..6 {
        append_synced(&log, &[1; 40]);
    }
    log.close().unwrap();
    let first = format::segment_path(folder.path(), Position(1));
    let mut bytes = std::fs::read(&first).unwrap();
    bytes[30] ^= 1;
    std::fs::write(&first, bytes).unwrap();
    let log = Log::open(rolling, Position(0)).unwrap();
    let error = log
        .reader(Position(0))
        .unwrap()
        .read(&mut LogBatch::default(), 1_000)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("00000000000000000001.log is damaged at byte 16: an entry's checksum does not match"),
        "{error}"
    );
}

#[test]
fn a_lost_log_goes_on_behind_what_the_tables_hold() {
    let folder = tempfile::tempdir().unwrap();
    let log = Log::open(config(folder.path()), Position(41)).unwrap();
    assert_eq!((log.begin(), log.end()), (Position(41), Position(41)));
    assert_eq!(append_synced(&log, b"x"), Position(42));
    assert_eq!(read_all(&log, Position(41)), [(42, b"x".to_vec())]);
}

#[test]
fn many_appenders_at_once_get_every_position_once() {
    let folder = tempfile::tempdir().unwrap();
    let rolling = LogConfig {
        segment_bytes: 10_000,
        pending_bytes_max: 2_000,
        ..config(folder.path())
    };
    let log = Log::open(rolling, Position(0)).unwrap();
    let threads: Vec<_> = (0..8_u8)
        .map(|who| {
            let appender = log.appender();
            std::thread::spawn(move || {
                (0..500)
                    .map(|_| appender.append_blocking(&[who; 50]).unwrap().0)
                    .collect::<Vec<_>>()
            })
        })
        .collect();
    let mut positions: Vec<u64> = threads
        .into_iter()
        .flat_map(|thread| thread.join().unwrap())
        .collect();
    positions.sort_unstable();
    assert_eq!(positions, (1..=4_000).collect::<Vec<u64>>());
    runtime()
        .block_on(log.appender().synced(Position(4_000)))
        .unwrap();
    assert_eq!(read_all(&log, Position(0)).len(), 4_000);
}

#[derive(Debug, Clone)]
enum Step {
    Append(Vec<u8>),
    Sync,
    Cut,
    /// Crash with so many unsynced bytes kept and this garbage behind them.
    Crash(u64, Vec<u8>),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => prop::collection::vec(any::<u8>(), 0..60).prop_map(Step::Append),
        3 => Just(Step::Sync),
        1 => Just(Step::Cut),
        1 => (0_u64..120, prop::collection::vec(prop_oneof![Just(0_u8), any::<u8>()], 0..40)).prop_map(|(kept, tail)| Step::Crash(kept, tail)),
    ];
    prop::collection::vec(step, 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn log_1_after_any_crash_the_log_is_a_prefix_with_all_that_was_synced(steps in steps()) {
        let folder = tempfile::tempdir().unwrap();
        let disk = FaultyDisk::default();
        let small = LogConfig { segment_bytes: 150, commit_delay: Duration::from_secs(60), ..config(folder.path()) };
        let open = || Log::open_on(Arc::new(disk.clone()), small.clone(), Position(0)).unwrap();
        let mut log = open();
        let mut appended: Vec<Vec<u8>> = Vec::new();
        let mut synced = 0;
        for step in steps {
            match step {
                Step::Append(record) => {
                    log.appender().try_append(&record).unwrap();
                    appended.push(record);
                }
                Step::Sync => {
                    drop(log);
                    log = open();
                    synced = appended.len();
                    prop_assert_eq!(log.end().0, u64::try_from(synced).unwrap());
                }
                Step::Cut => log.cut(log.end()).unwrap(),
                Step::Crash(kept, tail) => {
                    // The commit reaches the file but not the medium.
                    disk.fail_sync.store(true, Ordering::SeqCst);
                    drop(log);
                    disk.fail_sync.store(false, Ordering::SeqCst);
                    disk.crash(folder.path(), kept, &tail);
                    log = open();
                    let end = usize::try_from(log.end().0).unwrap();
                    prop_assert!(end >= synced, "a synced record is gone");
                    prop_assert!(end <= appended.len());
                    appended.truncate(end);
                    synced = end;
                }
            }
            let begin = log.begin();
            let read = read_all(&log, begin);
            let expected = appended[usize::try_from(begin.0).unwrap()..synced].iter().cloned();
            prop_assert_eq!(read, (begin.0 + 1..).zip(expected).collect::<Vec<_>>());
        }
    }
}
