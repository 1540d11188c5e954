//! Which segments there are, oldest first, and how far each is synced.

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{LogError, Position};

/// One file of the log.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) first: Position,
    pub(super) path: PathBuf,
    /// Length that is synced, header included, bytes. Only grows, and before the positions in it are announced.
    synced_bytes: AtomicU64,
}

impl Segment {
    pub(super) const fn new(first: Position, path: PathBuf, synced_bytes: u64) -> Self {
        Self {
            first,
            path,
            synced_bytes: AtomicU64::new(synced_bytes),
        }
    }

    pub(super) fn synced_bytes(&self) -> u64 {
        self.synced_bytes.load(Ordering::Acquire)
    }

    /// Notes that `bytes` more are synced; gives the length that now is.
    pub(super) fn grow(&self, bytes: u64) -> u64 {
        self.synced_bytes.fetch_add(bytes, Ordering::AcqRel) + bytes
    }

    pub(super) fn damaged(&self, offset: u64, reason: &'static str) -> LogError {
        LogError::Damaged {
            path: self.path.clone(),
            offset,
            reason,
        }
    }
}

/// All segments. Never empty once the log is open: the last one is being written.
#[derive(Debug)]
pub(super) struct Segments(Mutex<Vec<Arc<Segment>>>);

impl Segments {
    pub(super) const fn new(segments: Vec<Arc<Segment>>) -> Self {
        Self(Mutex::new(segments))
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Segment>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Last position before the oldest segment.
    pub(super) fn begin(&self) -> Position {
        self.lock()
            .first()
            .map_or_else(Position::default, |oldest| oldest.first.previous())
    }

    pub(super) fn push(&self, segment: Arc<Segment>) {
        self.lock().push(segment);
    }

    /// The segment that holds `position`, or will when it is appended; `None` when it has been cut.
    pub(super) fn holding(&self, position: Position) -> Option<Arc<Segment>> {
        let segments = self.lock();
        segments
            .iter()
            .rfind(|segment| segment.first <= position)
            .cloned()
    }

    /// Takes the oldest segment out when it is not the last and holds nothing after `through`.
    pub(super) fn take_oldest(&self, through: Position) -> Option<Arc<Segment>> {
        let mut segments = self.lock();
        match segments.as_slice() {
            [_, next, ..] if next.first.previous() <= through => Some(segments.remove(0)),
            _ => None,
        }
    }

    /// Puts back what [`Self::take_oldest`] took.
    pub(super) fn put_back(&self, oldest: Arc<Segment>) {
        self.lock().insert(0, oldest);
    }

    /// Sum of the synced lengths, bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.lock().iter().map(|segment| segment.synced_bytes()).sum()
    }
}
