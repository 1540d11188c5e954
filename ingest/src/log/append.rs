//! The appenders' side of the log.

use std::{
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    thread::Thread,
};

use tokio::sync::watch;

use super::{LogError, Position, queue::Queue};

/// Why a record was not appended, or will not become durable.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AppendError {
    /// The log has grown to its bound: nothing can be taken until a checkpoint has cut it. Try again later.
    #[error("log is full: with this record {bytes} of {bytes_max} bytes")]
    Full {
        /// Size of all segments with this record, bytes.
        bytes: u64,
        /// Bound of all segments together, bytes.
        bytes_max: u64,
    },
    /// The record is longer than any may be. Trying again is useless.
    #[error("record has {bytes} bytes, the limit is {bytes_max}")]
    TooLarge {
        /// Its size, bytes.
        bytes: usize,
        /// The limit: [`super::RECORD_BYTES_MAX`], or about half of the log's bound where that is less, bytes.
        bytes_max: usize,
    },
    /// The queue is full: the disk is slower than what arrives. Only from [`Appender::try_append`]. Try again later.
    #[error("log writes are behind: {pending} of {pending_max} bytes wait to be synced")]
    Busy {
        /// Bytes that wait to be synced.
        pending: usize,
        /// Bound of the bytes that may wait.
        pending_max: usize,
    },
    /// A write or sync has failed: nothing is taken or acknowledged any more.
    #[error("log cannot be trusted any more")]
    Poisoned(#[source] Arc<LogError>),
    /// The log is closed.
    #[error("log is closed")]
    Closed,
}

/// Appends records; cheap to clone.
#[derive(Debug, Clone)]
pub struct Appender {
    queue: Arc<Queue>,
    synced: watch::Receiver<Position>,
}

impl Appender {
    pub(super) const fn new(queue: Arc<Queue>, synced: watch::Receiver<Position>) -> Self {
        Self { queue, synced }
    }

    /// Appends a record if there is room right now. It is durable once [`Self::synced`] says so, not before.
    ///
    /// # Errors
    /// [`AppendError`].
    pub fn try_append(&self, record: &[u8]) -> Result<Position, AppendError> {
        self.queue.try_append(record)
    }

    /// Appends a record, waiting for room in the queue (back-pressure), first come, first served. Dropping the future before it
    /// is ready appends nothing.
    ///
    /// # Errors
    /// [`AppendError`], never `Busy`.
    pub async fn append(&self, record: &[u8]) -> Result<Position, AppendError> {
        self.queue.append(record).await
    }

    /// As [`Self::append`], in the same line of waiters, blocking the thread.
    ///
    /// # Errors
    /// [`AppendError`], never `Busy`.
    pub fn append_blocking(&self, record: &[u8]) -> Result<Position, AppendError> {
        match self.queue.try_append(record) {
            Err(AppendError::Busy { .. }) => block_on(self.queue.append(record)),
            outcome => outcome,
        }
    }

    /// Resolves once `position` is synced (ACK-1).
    ///
    /// # Errors
    /// [`AppendError::Poisoned`] or [`AppendError::Closed`] when that will never be.
    pub async fn synced(&self, position: Position) -> Result<(), AppendError> {
        let mut synced = self.synced.clone();
        let reached = synced.wait_for(|synced| *synced >= position).await;
        reached.map(|_| ()).map_err(|_| self.queue.refusal())
    }

    /// What poisoned the log; `None` while it can be trusted.
    #[must_use]
    pub fn failure(&self) -> Option<Arc<LogError>> {
        self.queue.failure()
    }

    /// Announces the last synced record. The channel ends when the log is closed or poisoned ([`Self::failure`]).
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Position> {
        self.synced.clone()
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits for a future on a thread that belongs to no runtime.
pub(super) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(value) => return value,
            Poll::Pending => std::thread::park(),
        }
    }
}
