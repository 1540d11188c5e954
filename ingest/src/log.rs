//! The log: where a publish becomes durable, and the only thing that the engine reads.
//!
//! Promises (DESIGN invariants):
//! - **ACK-1**: a [`Position`] is announced as synced only after the fdatasync that covers it returned. Whoever acknowledges
//!   waits for that announcement ([`Appender::synced`]).
//! - **LOG-1**: after any crash the log is a prefix of what was appended and contains all that was synced.
//!
//! ```text
//! directory   {first position, 20 digits}.log …, and `lock`
//! segment     magic "GTLOG\0\0" · version u8 = 1 · first position u64 LE · entries
//! entry       length u32 LE, of the whole entry · crc32c u32 LE over (record · position u64 LE) · record
//! ```
//!
//! A length counts the entry's own header, so zeros (a tail that the file system extended and never wrote) are never an entry.
//! The checksum covers the position, so an entry cannot pass for another.
//!
//! One thread writes. Appenders put encoded entries into a bounded queue under a short lock; the thread takes all of it, writes,
//! syncs once (group commit) and announces the last position. A commit is due when the oldest waiting record is `commit_delay`
//! old, when `commit_bytes` wait (or half of the queue), or at once when the commit before took longer than `commit_delay`.
//!
//! Limits: one record 64 MiB; the queue `pending_bytes_max` from append to sync (appenders then wait, first come, first served:
//! back-pressure), so the log holds about that much memory; all segments together `bytes_max` (appends are then refused as full
//! until [`Log::cut`] frees segments). A failed write or sync poisons the log: nothing is acknowledged afterwards, and nothing is
//! retried, for after a failed fsync the kernel may have dropped the pages.
//!
//! Recovery reads the last segment only. Its first broken entry is taken for where a crash tore it, and what follows is cut away
//! with a warning; a medium that damaged a synced entry of the last segment looks the same. Damage in another segment is an error
//! once it is read.

use std::{
    fmt,
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

mod append;
mod disk;
mod format;
mod queue;
mod reader;
mod recovery;
mod segments;
mod writer;

#[cfg(test)]
mod tests;

pub use append::{AppendError, Appender};
pub use disk::{Disk, LocalDisk, SegmentFile};
pub use format::RECORD_BYTES_MAX;
pub use reader::{LogBatch, LogReader};

use queue::Queue;
use segments::Segments;
use writer::Writer;

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

    /// The position before; that of 0 is 0.
    #[must_use]
    pub const fn previous(self) -> Self {
        Self(self.0.saturating_sub(1))
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
    /// A segment is closed when it has grown to this, bytes; half of `bytes_max` when that is less. Default 128 MiB.
    pub segment_bytes: u64,
    /// Bound of all segments together, bytes. Default 8 GiB.
    pub bytes_max: u64,
    /// Longest that a record waits for company before it is written and synced. Default 10 ms.
    pub commit_delay: Duration,
    /// As many waiting bytes begin a commit at once. Default 1 MiB.
    pub commit_bytes: usize,
    /// Bound of the bytes between append and sync; appenders wait beyond it. Default 64 MiB.
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
    /// The thread that writes has panicked.
    #[error("the log's thread has panicked")]
    Panicked,
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

/// The log. Dropping it syncs what is pending and ends its thread.
#[derive(Debug)]
pub struct Log {
    directory: PathBuf,
    bytes_max: u64,
    disk: Arc<dyn Disk>,
    segments: Arc<Segments>,
    queue: Arc<Queue>,
    synced: watch::Receiver<Position>,
    thread: Option<JoinHandle<()>>,
    /// Held by who cuts, so that segments go one by one, oldest first.
    cutting: Mutex<()>,
    _lock: File,
}

impl Log {
    /// Opens the log, creating it when absent. A torn tail of the last segment is cut away. When the log ends before
    /// `resume_after` (its folder was lost), numbering goes on behind that, and segments that end before are deleted.
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
        recovery::create_directory(&*disk, &config.directory)?;
        let lock = lock(&config.directory)?;
        let recovered = recovery::recover(&*disk, &config.directory, resume_after)?;
        let segments = Arc::new(Segments::new(recovered.segments));
        let queue = Arc::new(Queue::new(&config, recovered.end, segments.bytes()));
        let (announce, synced) = watch::channel(recovered.end);
        let writer = Writer {
            directory: config.directory.clone(),
            segment_bytes: config.segment_bytes.min(config.bytes_max / 2),
            disk: Arc::clone(&disk),
            file: recovered.file,
            segment: recovered.last,
            segments: Arc::clone(&segments),
            queue: Arc::clone(&queue),
            announce,
        };
        let thread = writer
            .start()
            .map_err(|source| LogError::io("start a thread for", &config.directory, source))?;
        Ok(Self {
            directory: config.directory,
            bytes_max: config.bytes_max,
            disk,
            segments,
            queue,
            synced,
            thread: Some(thread),
            cutting: Mutex::new(()),
            _lock: lock,
        })
    }

    /// A handle that appends.
    #[must_use]
    pub fn appender(&self) -> Appender {
        Appender::new(Arc::clone(&self.queue), self.synced.clone())
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
        self.segments.begin()
    }

    /// The last synced record.
    #[must_use]
    pub fn end(&self) -> Position {
        *self.synced.borrow()
    }

    /// Announces the last synced record. The channel ends when the log is closed or poisoned ([`Self::failure`]).
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Position> {
        self.synced.clone()
    }

    /// Size of all segments with what waits to be synced, bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.queue.log_bytes()
    }

    /// Its bound, bytes.
    #[must_use]
    pub const fn bytes_max(&self) -> u64 {
        self.bytes_max
    }

    /// What poisoned it; `None` while it can be trusted.
    #[must_use]
    pub fn failure(&self) -> Option<Arc<LogError>> {
        self.queue.failure()
    }

    /// Deletes the segments of which no record after `through` is kept. The one that is written to stays.
    ///
    /// # Errors
    /// [`LogError::Io`] when a file cannot be deleted, or its deletion not be synced. The log can still be used: nothing that is
    /// acknowledged hangs on it.
    pub fn cut(&self, through: Position) -> Result<(), LogError> {
        let _one_by_one = self.cutting.lock().unwrap_or_else(PoisonError::into_inner);
        // Taken out before its file goes, so that readers never look for a file that is gone.
        while let Some(oldest) = self.segments.take_oldest(through) {
            if let Err(error) = recovery::remove(&*self.disk, &self.directory, &oldest) {
                if oldest.path.exists() {
                    self.segments.put_back(oldest);
                }
                return Err(error);
            }
            self.queue.shrunk(oldest.synced_bytes());
        }
        Ok(())
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
        self.queue.close();
        if let Some(thread) = self.thread.take() {
            // A panic inside it was caught there and has poisoned the log.
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
