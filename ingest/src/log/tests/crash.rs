//! LOG-1: after any crash the log is a prefix of what was appended and contains all that was synced.

use proptest::prelude::*;

use super::{super::*, FaultyDisk, read_all};
use crate::log::append::block_on;

#[derive(Debug, Clone)]
enum Step {
    /// Append these at once, and wait until they are synced or not.
    Append(Vec<Vec<u8>>, bool),
    /// Cut through this share of what is synced, in 1/255.
    Cut(u8),
    /// The disk will die in so many operations, with so many bytes of a write done.
    DiskWillDie(u64, usize),
    /// Close and open.
    Reopen,
    /// The process is killed: what it wrote is in the page cache.
    Kill,
    /// The power fails: of what was not synced, anything may be left.
    PowerFailure,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let records = prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 1..5);
    let step = prop_oneof![
        8 => (records, any::<bool>()).prop_map(|(records, wait)| Step::Append(records, wait)),
        2 => any::<u8>().prop_map(Step::Cut),
        2 => (0_u64..12, 0_usize..200).prop_map(|(operations, written)| Step::DiskWillDie(operations, written)),
        1 => Just(Step::Reopen),
        2 => Just(Step::Kill),
        2 => Just(Step::PowerFailure),
    ];
    prop::collection::vec(step, 1..40)
}

/// The log beside what it must hold.
struct Model {
    disk: FaultyDisk,
    config: LogConfig,
    log: Option<Log>,
    appended: Vec<Vec<u8>>,
    synced: usize,
    cut_through: usize,
    chances: Vec<u8>,
}

impl Model {
    fn log(&self) -> &Log {
        self.log.as_ref().unwrap()
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Append(records, wait) => self.append(records, wait),
            Step::Cut(share) => {
                let through = self.log().end().0 * u64::from(share) / 255;
                self.cut_through = self.cut_through.max(usize::try_from(through).unwrap());
                if self.log().cut(Position(through)).is_err() {
                    self.crash(true);
                }
            }
            Step::DiskWillDie(operations, written) => self.disk.die_in(operations, written),
            Step::Reopen => {
                if self.log.take().unwrap().close().is_ok() {
                    self.synced = self.appended.len();
                    self.open();
                } else {
                    self.crash(true);
                }
            }
            Step::Kill => self.crash(false),
            Step::PowerFailure => self.crash(true),
        }
    }

    fn append(&mut self, records: Vec<Vec<u8>>, wait: bool) {
        let appender = self.log().appender();
        for record in records {
            match appender.try_append(&record) {
                Ok(position) => {
                    self.appended.push(record);
                    assert_eq!(position.0, format::file_bytes(self.appended.len()));
                }
                Err(AppendError::Poisoned(_)) => return self.crash(true),
                Err(error) => panic!("{error}"),
            }
        }
        let last = Position(format::file_bytes(self.appended.len()));
        if wait && block_on(appender.synced(last)).is_err() {
            self.crash(true);
        }
    }

    fn crash(&mut self, power: bool) {
        self.disk.stop();
        if let Some(log) = self.log.take() {
            let acknowledged = log.subscribe();
            drop(log);
            self.synced = self.synced.max(usize::try_from(acknowledged.borrow().0).unwrap());
        }
        if power {
            let chances = &mut self.chances;
            self.disk.power_failure(|| {
                chances.rotate_left(1);
                chances[0]
            });
        }
        self.disk.go_on();
        self.open();
    }

    fn open(&mut self) {
        match Log::open_on(Arc::new(self.disk.clone()), self.config.clone(), Position(0)) {
            Ok(log) => self.log = Some(log),
            Err(LogError::Io { .. }) if self.disk_is_dead() => return self.crash(true),
            Err(error) => panic!("{error}"),
        }
        let end = usize::try_from(self.log().end().0).unwrap();
        assert!(
            end >= self.synced,
            "of {} synced records {end} are left",
            self.synced
        );
        assert!(end <= self.appended.len(), "a record that nobody appended");
        self.appended.truncate(end);
        self.synced = end;
    }

    fn disk_is_dead(&self) -> bool {
        self.disk.sync_directory(Path::new("/")).is_err()
    }

    /// The kept records are those appended, up to what is synced.
    fn check(&self) {
        let begin = usize::try_from(self.log().begin().0).unwrap();
        assert!(begin <= self.cut_through, "more was cut than asked for");
        let read = read_all(self.log(), self.log().begin());
        assert!(read.len() + begin >= self.synced);
        let expected = self.appended[begin..].iter().take(read.len()).cloned();
        assert_eq!(
            read,
            (format::file_bytes(begin) + 1..)
                .zip(expected)
                .collect::<Vec<_>>()
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn log_1_after_any_crash_the_log_is_a_prefix_with_all_that_was_synced(
        steps in steps(),
        chances in prop::collection::vec(any::<u8>(), 61),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let config = LogConfig {
            segment_bytes: 150,
            commit_delay: Duration::ZERO,
            ..LogConfig::new(folder.path())
        };
        let disk = FaultyDisk::default();
        let (log, appended) = (None, Vec::new());
        let mut model = Model { disk, config, log, appended, synced: 0, cut_through: 0, chances };
        model.open();
        for step in steps {
            model.step(step);
            model.check();
        }
    }
}

/// A log of three records in one segment, as bytes, and where each entry ends.
fn three_records(folder: &Path) -> (PathBuf, Vec<u8>, Vec<usize>) {
    let log = Log::open(LogConfig::new(folder), Position(0)).unwrap();
    let records = [[1; 20].as_slice(), &[], &[3; 30]];
    for record in records {
        log.appender().try_append(record).unwrap();
    }
    log.close().unwrap();
    let path = format::segment_path(folder, Position(1));
    let ends = records.iter().scan(format::HEADER_BYTES, |end, record| {
        *end += format::ENTRY_HEADER_BYTES + record.len();
        Some(*end)
    });
    (path.clone(), std::fs::read(path).unwrap(), ends.collect())
}

fn check_torn(whole_until: impl Fn(usize) -> usize, tear: impl Fn(&mut Vec<u8>, usize)) {
    let folder = tempfile::tempdir().unwrap();
    let (path, bytes, ends) = three_records(folder.path());
    for at in format::HEADER_BYTES..bytes.len() {
        let mut torn = bytes.clone();
        tear(&mut torn, at);
        std::fs::write(&path, torn).unwrap();
        let log = Log::open_on(
            Arc::new(FaultyDisk::default()),
            LogConfig::new(folder.path()),
            Position(0),
        )
        .unwrap();
        let expected = ends.iter().filter(|end| **end <= whole_until(at)).count();
        assert_eq!(log.end().0, format::file_bytes(expected), "torn at byte {at}");
        // What is appended behind the cut is found again.
        log.appender().try_append(b"after").unwrap();
        log.close().unwrap();
        let log = Log::open(LogConfig::new(folder.path()), Position(0)).unwrap();
        let read = read_all(&log, Position(0));
        assert_eq!(read.len(), expected + 1, "torn at byte {at}");
        assert_eq!(read.last().unwrap().1, b"after");
    }
}

#[test]
fn log_1_a_tail_torn_at_any_byte_is_cut_away() {
    check_torn(|at| at, Vec::truncate);
    check_torn(|at| at, |bytes, at| bytes[at..].fill(0));
    check_torn(
        |at| at,
        |bytes, at| bytes[at..].iter_mut().for_each(|byte| *byte = !*byte),
    );
    check_torn(
        |at| at,
        |bytes, at| {
            bytes.truncate(at);
            bytes.resize(at + 5_000, 0);
        },
    );
    // A single byte lost, whole entries behind it.
    check_torn(|at| at, |bytes, at| bytes[at] ^= 0x55);
}

#[test]
fn log_1_a_segment_that_was_just_being_created_is_created_again() {
    let header = format::header(Position(4));
    for length in 0..=format::HEADER_BYTES {
        for fill in [None, Some(0), Some(0xa5)] {
            let folder = tempfile::tempdir().unwrap();
            three_records(folder.path());
            let mut torn = header[..length].to_vec();
            if let Some(fill) = fill {
                torn.iter_mut().skip(length / 2).for_each(|byte| *byte = fill);
            }
            std::fs::write(format::segment_path(folder.path(), Position(4)), torn).unwrap();
            let log = Log::open(LogConfig::new(folder.path()), Position(0)).unwrap();
            assert_eq!(log.end(), Position(3));
            assert_eq!(log.appender().try_append(b"four").unwrap(), Position(4));
            log.close().unwrap();
            let log = Log::open(LogConfig::new(folder.path()), Position(0)).unwrap();
            assert_eq!(read_all(&log, Position(2)).len(), 2);
        }
    }
}

#[test]
fn log_1_what_a_killed_process_wrote_is_synced_before_it_counts() {
    let folder = tempfile::tempdir().unwrap();
    let disk = FaultyDisk::default();
    let config = LogConfig {
        commit_delay: Duration::ZERO,
        ..LogConfig::new(folder.path())
    };
    let open = || Log::open_on(Arc::new(disk.clone()), config.clone(), Position(0)).unwrap();
    let log = open();
    // The write passes, its sync does not.
    disk.die_in(1, 0);
    let position = log.appender().try_append(b"written").unwrap();
    assert!(block_on(log.appender().synced(position)).is_err());
    drop(log);
    disk.go_on();
    let log = open();
    assert_eq!(log.end(), position);
    disk.stop();
    drop(log);
    disk.power_failure(|| 0);
    disk.go_on();
    assert_eq!(open().end(), position);
}
