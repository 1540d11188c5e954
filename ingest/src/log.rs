//! The log: where a publish becomes durable, and the only thing that the engine reads.
//!
//! Promises (DESIGN invariants):
//! - **ACK-1**: a [`Position`] is announced as synced only after the fdatasync that covers it returned. Whoever acknowledges
//!   waits for that announcement ([`Appender::synced`]).
//! - **LOG-1**: after any crash the log is a prefix of what was appended and contains all that was synced.
//!
//! ```text
//! directory   {first position, 20 digits}.log …, and `lock`
//! segment     magic "GTLOG\0\0\x01" · first position u64 LE · entries
//! entry       length u32 LE · crc32c u32 LE over (position u64 LE · record) · record
//! ```
//!
//! One thread writes. Appenders put encoded entries into a bounded buffer under a short lock; the thread takes the whole buffer,
//! writes it, syncs once (group commit) and announces the last position. A sync is due when the oldest waiting record is
//! `commit_delay` old, or `commit_bytes` wait.
//!
//! Limits: one record 64 MiB; the buffer `pending_bytes_max` (appenders then wait: back-pressure); all segments together
//! `bytes_max` (appends are then refused as full until [`Log::cut`] frees segments). A failed write or sync poisons the log: nothing is
//! acknowledged afterwards, and nothing is retried, for after a failed fsync the kernel may have dropped the pages.

use std::{
    fmt,
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

mod disk;
mod format;
mod reader;
mod recovery;
mod writer;

#[cfg(test)]
mod tests;

pub use disk::{Disk, LocalDisk, SegmentFile};
pub use format::RECORD_BYTES_MAX;
pub use reader::{LogBatch, LogReader};
pub use writer::{AppendError, Appender};

use writer::Shared;

/// Number of a record in the log, from 1; 0 stands before the first.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Position(pub u64);

impl Position {
    /// The next position.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Where the log is, and its bounds.
#[derive(Debug, Clone)]
pub struct LogConfig {
    /// Its folder; created when absent.
    pub directory: PathBuf,
    /// A segment is closed when it has grown to this, bytes. Default 128 MiB.
    pub segment_bytes: u64,
    /// Bound of all segments together, bytes. Default 8 GiB.
    pub bytes_max: u64,
    /// Longest that a record waits for a sync to begin. Default 10 ms.
    pub commit_delay: Duration,
    /// As many waiting bytes begin a sync at once. Default 1 MiB.
    pub commit_bytes: usize,
    /// Bound of the bytes that wait to be written; appenders wait beyond it. Default 64 MiB.
    pub pending_bytes_max: usize,
}

impl LogConfig {
    /// The defaults, in `directory`.
    #[must_use]
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            segment_bytes: 128 << 20,
            bytes_max: 8 << 30,
            commit_delay: Duration::from_millis(10),
            commit_bytes: 1 << 20,
            pending_bytes_max: 64 << 20,
        }
    }
}

/// Why the log cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// Another process has it open.
    #[error("log folder {0} is in use by another process")]
    InUse(PathBuf),
    /// A file operation failed.
    #[error("{operation} failed on {path}")]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A segment is damaged where a crash cannot have damaged it.
    #[error(
        "log segment {path} is damaged at byte {offset}: {reason}; restore the file from a copy, or move it and all later \
         segments away to go on without the records in them"
    )]
    Damaged {
        /// The segment.
        path: PathBuf,
        /// Where.
        offset: u64,
        /// What is wrong there.
        reason: &'static str,
    },
    /// A reader asked for records that have been cut.
    #[error("log records up to {begin} have been cut; a reader asked for those after {after}")]
    Cut {
        /// What the reader asked for.
        after: Position,
        /// Last record that is gone.
        begin: Position,
    },
}

impl LogError {
    fn io(operation: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io {
            operation,
            path: path.to_owned(),
            source,
        }
    }
}

/// A segment, as far as readers and `cut` need it.
#[derive(Debug, Clone)]
struct Segment {
    first: Position,
    path: PathBuf,
    bytes: u64,
}

/// All segments, oldest first.
#[derive(Debug, Default)]
struct Segments(Mutex<Vec<Segment>>);

impl Segments {
    fn lock(&self) -> MutexGuard<'_, Vec<Segment>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn bytes(&self) -> u64 {
        self.lock().iter().map(|segment| segment.bytes).sum()
    }
}

/// The log. Dropping it syncs what is pending and ends its thread.
#[derive(Debug)]
pub struct Log {
    config: LogConfig,
    disk: Arc<dyn Disk>,
    segments: Arc<Segments>,
    shared: Arc<Shared>,
    synced: watch::Receiver<Position>,
    thread: Option<JoinHandle<()>>,
    _lock: File,
}

impl Log {
    /// Opens the log, creating it when absent. A torn tail of the last segment is cut away. When the log ends before
    /// `resume_after` (its folder was lost), numbering goes on behind that.
    ///
    /// # Errors
    /// [`LogError`] when the folder cannot be used, is in use, or a segment is damaged elsewhere than at its torn end.
    pub fn open(config: LogConfig, resume_after: Position) -> Result<Self, LogError> {
        Self::open_on(Arc::new(LocalDisk), config, resume_after)
    }

    /// As [`Self::open`], on a disk of the caller's: for tests that make it fail, block or forget.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_on(disk: Arc<dyn Disk>, config: LogConfig, resume_after: Position) -> Result<Self, LogError> {
        let directory = &config.directory;
        std::fs::create_dir_all(directory).map_err(|source| LogError::io("create", directory, source))?;
        let lock = lock(directory)?;
        let recovered = recovery::recover(&*disk, directory, resume_after)?;
        let segments = Arc::new(Segments(Mutex::new(recovered.segments)));
        let (announce, synced) = watch::channel(recovered.end);
        let shared = Arc::new(Shared::new(
            &config,
            Arc::clone(&segments),
            recovered.end,
            announce,
        ));
        let thread = writer::start(&config, Arc::clone(&disk), recovered.active, Arc::clone(&shared))
            .map_err(|source| LogError::io("start a thread for", directory, source))?;
        Ok(Self {
            config,
            disk,
            segments,
            shared,
            synced,
            thread: Some(thread),
            _lock: lock,
        })
    }

    /// A handle that appends.
    #[must_use]
    pub fn appender(&self) -> Appender {
        Appender::new(Arc::clone(&self.shared), self.synced.clone())
    }

    /// Reads the records after `after`, in order, as they are synced.
    ///
    /// # Errors
    /// [`LogError::Cut`] when some of them are gone.
    pub fn reader(&self, after: Position) -> Result<LogReader, LogError> {
        LogReader::new(Arc::clone(&self.segments), self.synced.clone(), after)
    }

    /// The last record before the first that is kept.
    #[must_use]
    pub fn begin(&self) -> Position {
        let first = self.segments.lock().first().map_or(0, |segment| segment.first.0);
        Position(first.saturating_sub(1))
    }

    /// The last synced record.
    #[must_use]
    pub fn end(&self) -> Position {
        *self.synced.borrow()
    }

    /// Announces the last synced record.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Position> {
        self.synced.clone()
    }

    /// Size of all segments, bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.segments.bytes()
    }

    /// Its bound, bytes.
    #[must_use]
    pub const fn bytes_max(&self) -> u64 {
        self.config.bytes_max
    }

    /// What poisoned it; `None` while it can be trusted.
    #[must_use]
    pub fn failure(&self) -> Option<Arc<LogError>> {
        self.shared.failure()
    }

    /// Deletes the segments of which no record after `through` is kept. The one that is written to stays.
    ///
    /// # Errors
    /// [`LogError::Io`] when a file cannot be deleted; the log can still be used.
    pub fn cut(&self, through: Position) -> Result<(), LogError> {
        loop {
            let oldest = {
                let segments = self.segments.lock();
                match segments.as_slice() {
                    [oldest, next, ..] if next.first.0 <= through.0.saturating_add(1) => oldest.clone(),
                    _ => break,
                }
            };
            self.disk
                .remove(&oldest.path)
                .map_err(|source| LogError::io("delete", &oldest.path, source))?;
            self.segments.lock().remove(0);
            self.shared.made_room();
        }
        let directory = &self.config.directory;
        self.disk
            .sync_directory(directory)
            .map_err(|source| LogError::io("sync", directory, source))
    }

    /// Syncs what is pending and ends the thread; gives the last record.
    ///
    /// # Errors
    /// What poisoned the log, if anything did.
    pub fn close(mut self) -> Result<Position, Arc<LogError>> {
        self.end_thread();
        match self.failure() {
            Some(failure) => Err(failure),
            None => Ok(self.end()),
        }
    }

    fn end_thread(&mut self) {
        self.shared.close();
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has poisoned the log; there is nothing to add to it here.
            let _ = thread.join();
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.end_thread();
    }
}

/// Takes the folder's lock for as long as the returned file is open.
fn lock(directory: &Path) -> Result<File, LogError> {
    let path = directory.join("lock");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(|source| LogError::io("open", &path, source))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(LogError::InUse(directory.to_owned())),
        Err(std::fs::TryLockError::Error(source)) => Err(LogError::io("lock", &path, source)),
    }
}
