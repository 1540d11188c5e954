//! Between appenders and the writer: a bounded buffer of encoded entries, and when it is due to be written.

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::Semaphore;

use super::{
    LogConfig, LogError, Position,
    append::AppendError,
    format::{self, ENTRY_HEADER_BYTES, RECORD_BYTES_MAX},
};

/// What a commit must make durable.
#[derive(Debug)]
pub(super) struct Commit {
    pub(super) entries: Vec<u8>,
    /// Position of the last entry.
    pub(super) last: Position,
    /// Room that the entries take up in the queue until they are synced.
    pub(super) room: usize,
}

/// What the writer is to do.
#[derive(Debug, PartialEq, Eq)]
enum Due {
    /// Commit what waits.
    Now,
    /// Wait so long, for company or until as much waits as begins a commit at once.
    In(Duration),
    /// Wait for the first record.
    WhenAppended,
    /// Nothing waits and nothing will.
    Never,
}

#[derive(Debug)]
struct Waiting {
    entries: Vec<u8>,
    room: usize,
    /// The last position given out.
    last: Position,
    /// When the oldest entry came; `None` while there is none.
    since: Option<Instant>,
    /// All segments with what is not written yet, bytes.
    log_bytes: u64,
    closed: bool,
    failure: Option<Arc<LogError>>,
}

impl Waiting {
    /// Group commit: the first record waits up to `delay` for company.
    fn due(&self, now: Instant, delay: Duration, commit_bytes: usize) -> Due {
        match self.since {
            _ if self.failure.is_some() => Due::Never,
            None if self.closed => Due::Never,
            None => Due::WhenAppended,
            Some(_) if self.closed || self.entries.len() >= commit_bytes => Due::Now,
            Some(since) => match delay.saturating_sub(now.saturating_duration_since(since)) {
                Duration::ZERO => Due::Now,
                rest => Due::In(rest),
            },
        }
    }
}

/// How long the first record of a commit waits for company. A slow disk gathers company by itself, so that waiting would only add
/// to its slowness.
fn delay_after(previous: Duration, commit_delay: Duration) -> Duration {
    if previous >= commit_delay {
        Duration::ZERO
    } else {
        commit_delay
    }
}

/// The buffer. Its bound counts bytes from the moment they are appended until they are synced.
#[derive(Debug)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    appended: Condvar,
    /// Free bytes. Fair: who waits longest gets room first. Closed when nothing is taken any more.
    room: Semaphore,
    room_max: usize,
    record_bytes_max: usize,
    log_bytes_max: u64,
    commit_bytes: usize,
    commit_delay: Duration,
}

impl Queue {
    pub(super) fn new(config: &LogConfig, end: Position, log_bytes: u64) -> Self {
        let room_max = config.pending_bytes_max.clamp(1, Semaphore::MAX_PERMITS);
        // What a cut of everything leaves free, so that no record is refused as "full" for ever.
        let half = usize::try_from(config.bytes_max / 2).unwrap_or(usize::MAX);
        Self {
            waiting: Mutex::new(Waiting {
                entries: Vec::new(),
                room: 0,
                last: end,
                since: None,
                log_bytes,
                closed: false,
                failure: None,
            }),
            appended: Condvar::new(),
            room: Semaphore::new(room_max),
            room_max,
            record_bytes_max: half.saturating_sub(64).min(RECORD_BYTES_MAX),
            log_bytes_max: config.bytes_max,
            // A full queue is a commit, even when it is smaller than one.
            commit_bytes: config.commit_bytes.min(room_max / 2),
            commit_delay: config.commit_delay,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn failure(&self) -> Option<Arc<LogError>> {
        self.lock().failure.clone()
    }

    /// Why nothing is taken any more.
    pub(super) fn refusal(&self) -> AppendError {
        self.failure().map_or(AppendError::Closed, AppendError::Poisoned)
    }

    /// Size of all segments with what waits to be written, bytes.
    pub(super) fn log_bytes(&self) -> u64 {
        self.lock().log_bytes
    }

    /// Counts a created segment's header.
    pub(super) fn grown(&self, bytes: u64) {
        self.lock().log_bytes += bytes;
    }

    /// Counts a deleted segment.
    pub(super) fn shrunk(&self, bytes: u64) {
        let mut waiting = self.lock();
        waiting.log_bytes = waiting.log_bytes.saturating_sub(bytes);
    }

    /// Room that a record takes. One that is larger than the whole queue takes all of it.
    fn room_for(&self, record: &[u8]) -> Result<u32, AppendError> {
        if record.len() > self.record_bytes_max {
            return Err(AppendError::TooLarge {
                bytes: record.len(),
                bytes_max: self.record_bytes_max,
            });
        }
        let room = (record.len() + ENTRY_HEADER_BYTES).min(self.room_max);
        Ok(u32::try_from(room).unwrap_or(u32::MAX))
    }

    pub(super) fn try_append(&self, record: &[u8]) -> Result<Position, AppendError> {
        let room = self.room_for(record)?;
        let permit = self
            .room
            .try_acquire_many(room)
            .map_err(|refused| match refused {
                tokio::sync::TryAcquireError::NoPermits => AppendError::Busy {
                    pending: self.room_max.saturating_sub(self.room.available_permits()),
                    pending_max: self.room_max,
                },
                tokio::sync::TryAcquireError::Closed => self.refusal(),
            })?;
        let position = self.push(record)?;
        permit.forget();
        Ok(position)
    }

    pub(super) async fn append(&self, record: &[u8]) -> Result<Position, AppendError> {
        let room = self.room_for(record)?;
        let permit = self.room.acquire_many(room).await.map_err(|_| self.refusal())?;
        let position = self.push(record)?;
        permit.forget();
        Ok(position)
    }

    /// Puts a record, for which there is room, into the buffer.
    fn push(&self, record: &[u8]) -> Result<Position, AppendError> {
        let entry_bytes = record.len() + ENTRY_HEADER_BYTES;
        let checksum = format::record_checksum(record);
        let mut waiting = self.lock();
        if let Some(failure) = &waiting.failure {
            return Err(AppendError::Poisoned(Arc::clone(failure)));
        }
        if waiting.closed {
            return Err(AppendError::Closed);
        }
        let bytes = waiting.log_bytes.saturating_add(format::file_bytes(entry_bytes));
        if bytes > self.log_bytes_max {
            return Err(AppendError::Full {
                bytes,
                bytes_max: self.log_bytes_max,
            });
        }
        let position = waiting.last.next();
        format::push_entry(position, record, checksum, &mut waiting.entries);
        waiting.last = position;
        waiting.log_bytes = bytes;
        waiting.room += entry_bytes.min(self.room_max);
        let first = waiting.since.is_none();
        if first {
            // The wait for company is wall time, never part of a result.
            waiting.since = Some(Instant::now());
        }
        let wake = first || waiting.entries.len() >= self.commit_bytes;
        drop(waiting);
        if wake {
            self.appended.notify_one();
        }
        Ok(position)
    }

    /// Waits until a commit is due and takes it, leaving `spare` to be filled; `None` when the log has ended. `previous` is how
    /// long the last commit took.
    pub(super) fn take(&self, spare: Vec<u8>, previous: Duration) -> Option<Commit> {
        let delay = delay_after(previous, self.commit_delay);
        let mut waiting = self.lock();
        loop {
            waiting = match waiting.due(Instant::now(), delay, self.commit_bytes) {
                Due::Now => break,
                Due::Never => return None,
                Due::WhenAppended => self
                    .appended
                    .wait(waiting)
                    .unwrap_or_else(PoisonError::into_inner),
                Due::In(rest) => self
                    .appended
                    .wait_timeout(waiting, rest)
                    .map_or_else(|poisoned| poisoned.into_inner().0, |(guard, _)| guard),
            };
        }
        waiting.since = None;
        Some(Commit {
            entries: std::mem::replace(&mut waiting.entries, spare),
            last: waiting.last,
            room: std::mem::take(&mut waiting.room),
        })
    }

    /// Gives the room of a commit back, once it is synced.
    pub(super) fn release(&self, room: usize) {
        self.room.add_permits(room);
    }

    /// Takes nothing any more; what waits is still written.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.room.close();
        self.appended.notify_all();
    }

    /// Takes nothing any more, and what waits is lost.
    pub(super) fn poison(&self, failure: LogError) {
        let mut waiting = self.lock();
        waiting.failure.get_or_insert_with(|| Arc::new(failure));
        waiting.entries = Vec::new();
        drop(waiting);
        self.room.close();
    }
}

#[cfg(test)]
mod tests;
