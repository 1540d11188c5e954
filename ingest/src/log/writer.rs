//! Appending: a bounded buffer in front, one thread behind that writes, syncs and announces.

use std::{
    path::PathBuf,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use tokio::sync::{Notify, watch};

use super::{
    Disk, LogConfig, LogError, Position, SegmentFile, Segments,
    format::{self, RECORD_BYTES_MAX},
    recovery,
};

/// Why a record was not appended.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AppendError {
    /// The log has grown to its bound: nothing can be taken until a checkpoint has cut it.
    #[error("log is full: {bytes} of {bytes_max} bytes")]
    Full {
        /// Its size with this record.
        bytes: u64,
        /// Its bound.
        bytes_max: u64,
    },
    /// The record is longer than any may be.
    #[error("record has {bytes} bytes, the limit is {RECORD_BYTES_MAX}")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// The buffer is full; the disk is slower than what arrives. Only from [`Appender::try_append`].
    #[error("log writes are behind: {pending} bytes wait")]
    Busy {
        /// Bytes that wait to be written.
        pending: usize,
    },
    /// A write or sync has failed; the log takes nothing any more.
    #[error("log cannot be trusted any more")]
    Poisoned(#[source] Arc<LogError>),
    /// The log is closed.
    #[error("log is closed")]
    Closed,
}

#[derive(Debug)]
struct Pending {
    entries: Vec<u8>,
    /// The last position given out.
    last: Position,
    since: Option<Instant>,
    closed: bool,
    failure: Option<Arc<LogError>>,
}

/// What appenders and the thread share.
#[derive(Debug)]
pub(super) struct Shared {
    pending: Mutex<Pending>,
    work: Condvar,
    room: Condvar,
    room_async: Notify,
    announce: watch::Sender<Position>,
    segments: Arc<Segments>,
    bytes_max: u64,
    pending_bytes_max: usize,
    commit_bytes: usize,
    commit_delay: Duration,
}

impl Shared {
    pub(super) fn new(
        config: &LogConfig,
        segments: Arc<Segments>,
        end: Position,
        announce: watch::Sender<Position>,
    ) -> Self {
        Self {
            pending: Mutex::new(Pending {
                entries: Vec::new(),
                last: end,
                since: None,
                closed: false,
                failure: None,
            }),
            work: Condvar::new(),
            room: Condvar::new(),
            room_async: Notify::new(),
            announce,
            segments,
            bytes_max: config.bytes_max,
            pending_bytes_max: config.pending_bytes_max,
            commit_bytes: config.commit_bytes,
            commit_delay: config.commit_delay,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn failure(&self) -> Option<Arc<LogError>> {
        self.lock().failure.clone()
    }

    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.work.notify_all();
        self.made_room();
    }

    /// Wakes whoever waits for room.
    pub(super) fn made_room(&self) {
        self.room.notify_all();
        self.room_async.notify_waiters();
    }

    fn poison(&self, failure: LogError) {
        tracing::error!(error = %failure, "the log cannot be trusted any more: nothing is acknowledged from now on");
        let mut pending = self.lock();
        pending.failure.get_or_insert_with(|| Arc::new(failure));
        pending.entries = Vec::new();
        drop(pending);
        self.made_room();
        // Wakes whoever waits for a sync, which now never comes.
        self.announce.send_modify(|_| {});
    }

    /// Puts a record into the buffer.
    fn push(&self, record: &[u8]) -> Result<Position, AppendError> {
        if record.len() > RECORD_BYTES_MAX {
            return Err(AppendError::TooLarge { bytes: record.len() });
        }
        let length = record.len() + format::ENTRY_HEADER_BYTES;
        let mut pending = self.lock();
        if let Some(failure) = &pending.failure {
            return Err(AppendError::Poisoned(Arc::clone(failure)));
        }
        if pending.closed {
            return Err(AppendError::Closed);
        }
        // A record larger than the whole buffer is taken when the buffer is empty.
        if !pending.entries.is_empty() && pending.entries.len() + length > self.pending_bytes_max {
            return Err(AppendError::Busy {
                pending: pending.entries.len(),
            });
        }
        let bytes = self.segments.bytes() + u64::try_from(pending.entries.len() + length).unwrap_or(u64::MAX);
        if bytes > self.bytes_max {
            return Err(AppendError::Full {
                bytes,
                bytes_max: self.bytes_max,
            });
        }
        let position = pending.last.next();
        format::push_entry(position, record, &mut pending.entries);
        pending.last = position;
        let begins = pending.since.is_none();
        if begins {
            // The wait for company is wall time, never part of a result.
            pending.since = Some(Instant::now());
        }
        let wake = begins || pending.entries.len() >= self.commit_bytes;
        drop(pending);
        if wake {
            self.work.notify_one();
        }
        Ok(position)
    }

    /// Waits until a sync is due, and takes what it must cover; `None` when the log is closed and nothing waits.
    fn take(&self, spare: Vec<u8>) -> Option<(Vec<u8>, Position)> {
        let mut pending = self.lock();
        loop {
            if pending.failure.is_some() {
                return None;
            }
            let due = match pending.since {
                None if pending.closed => return None,
                None => None,
                Some(since) if pending.closed || pending.entries.len() >= self.commit_bytes => {
                    Some((since, Duration::ZERO))
                }
                Some(since) => Some((since, self.commit_delay.saturating_sub(since.elapsed()))),
            };
            pending = match due {
                None => self.work.wait(pending).unwrap_or_else(PoisonError::into_inner),
                Some((_, wait)) if wait.is_zero() => break,
                Some((_, wait)) => self
                    .work
                    .wait_timeout(pending, wait)
                    .map_or_else(|error| error.into_inner().0, |(guard, _)| guard),
            };
        }
        pending.since = None;
        let entries = std::mem::replace(&mut pending.entries, spare);
        Some((entries, pending.last))
    }
}

/// Appends records; cheap to clone.
#[derive(Debug, Clone)]
pub struct Appender {
    shared: Arc<Shared>,
    synced: watch::Receiver<Position>,
}

impl Appender {
    pub(super) fn new(shared: Arc<Shared>, synced: watch::Receiver<Position>) -> Self {
        Self { shared, synced }
    }

    /// Appends a record if there is room right now. It is durable once [`Self::synced`] says so, not before.
    ///
    /// # Errors
    /// [`AppendError`].
    pub fn try_append(&self, record: &[u8]) -> Result<Position, AppendError> {
        self.shared.push(record)
    }

    /// Appends a record, waiting for room in the buffer (back-pressure).
    ///
    /// # Errors
    /// [`AppendError`], never `Busy`.
    pub async fn append(&self, record: &[u8]) -> Result<Position, AppendError> {
        loop {
            let room = self.shared.room_async.notified();
            tokio::pin!(room);
            // Enabled before the attempt, so that room made in between is not missed.
            room.as_mut().enable();
            match self.shared.push(record) {
                Err(AppendError::Busy { .. }) => room.await,
                outcome => return outcome,
            }
        }
    }

    /// As [`Self::append`], blocking the thread.
    ///
    /// # Errors
    /// [`AppendError`], never `Busy`.
    pub fn append_blocking(&self, record: &[u8]) -> Result<Position, AppendError> {
        loop {
            match self.shared.push(record) {
                Err(AppendError::Busy { .. }) => {
                    let pending = self.shared.lock();
                    if pending.entries.is_empty() {
                        continue;
                    }
                    // Bounded, because the buffer may have been taken between the attempt and the lock.
                    let waited = self.shared.room.wait_timeout(pending, Duration::from_millis(10));
                    drop(waited.unwrap_or_else(PoisonError::into_inner));
                }
                outcome => return outcome,
            }
        }
    }

    /// Resolves once `position` is synced (ACK-1).
    ///
    /// # Errors
    /// [`AppendError::Poisoned`] or [`AppendError::Closed`] when that will never be.
    pub async fn synced(&self, position: Position) -> Result<(), AppendError> {
        let mut synced = self.synced.clone();
        loop {
            if *synced.borrow_and_update() >= position {
                return Ok(());
            }
            if let Some(failure) = self.shared.failure() {
                return Err(AppendError::Poisoned(failure));
            }
            if synced.changed().await.is_err() {
                return Err(AppendError::Closed);
            }
        }
    }

    /// What poisoned the log; `None` while it can be trusted.
    #[must_use]
    pub fn failure(&self) -> Option<Arc<LogError>> {
        self.shared.failure()
    }

    /// Announces the last synced record.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Position> {
        self.synced.clone()
    }
}

/// Starts the thread that writes.
pub(super) fn start(
    config: &LogConfig,
    disk: Arc<dyn Disk>,
    active: Box<dyn SegmentFile>,
    shared: Arc<Shared>,
) -> std::io::Result<JoinHandle<()>> {
    let mut writer = Writer {
        directory: config.directory.clone(),
        segment_bytes: config.segment_bytes,
        disk,
        active,
        shared,
    };
    std::thread::Builder::new()
        .name("log".to_owned())
        .spawn(move || writer.run())
}

struct Writer {
    directory: PathBuf,
    segment_bytes: u64,
    disk: Arc<dyn Disk>,
    active: Box<dyn SegmentFile>,
    shared: Arc<Shared>,
}

/// A buffer that has grown beyond this is not kept for the next commit.
const SPARE_BYTES_MAX: usize = 16 << 20;

impl Writer {
    fn run(&mut self) {
        let mut spare = Vec::new();
        while let Some((mut entries, last)) = self.shared.take(spare) {
            self.shared.made_room();
            if let Err(failure) = self.commit(&entries, last) {
                self.shared.poison(failure);
                return;
            }
            entries.clear();
            spare = if entries.capacity() > SPARE_BYTES_MAX {
                Vec::new()
            } else {
                entries
            };
        }
    }

    /// Writes, syncs, and only then announces (ACK-1).
    fn commit(&mut self, entries: &[u8], last: Position) -> Result<(), LogError> {
        let path = || {
            self.shared
                .segments
                .lock()
                .last()
                .map(|segment| segment.path.clone())
                .unwrap_or_default()
        };
        self.active
            .append(entries)
            .map_err(|source| LogError::io("write", &path(), source))?;
        self.active
            .sync()
            .map_err(|source| LogError::io("sync", &path(), source))?;
        let grown = {
            let mut segments = self.shared.segments.lock();
            segments.last_mut().is_some_and(|segment| {
                segment.bytes += u64::try_from(entries.len()).unwrap_or(0);
                segment.bytes >= self.segment_bytes
            })
        };
        self.shared.announce.send_replace(last);
        if grown {
            let (segment, active) = recovery::create(&*self.disk, &self.directory, last.next())?;
            self.active = active;
            self.shared.segments.lock().push(segment);
        }
        Ok(())
    }
}
