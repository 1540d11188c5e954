//! How many workers there are at a time, of all and of one caller, so that whoever asks too much stands in his own way first.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

use super::WAITING_PER_WORKER;

/// The shares of all callers that ask at present.
#[derive(Debug)]
pub(super) struct Shares {
    workers: usize,
    held: Mutex<HashMap<Arc<str>, Weak<Share>>>,
}

/// So many workers at a time, and for each some queries that wait: those of all callers, or of one.
#[derive(Debug)]
pub(super) struct Share {
    workers: usize,
    running: Arc<Semaphore>,
    /// Those that run and those that wait.
    admitted: Arc<Semaphore>,
}

/// A worker of a share, until it is dropped.
#[derive(Debug)]
pub(super) struct Held {
    _share: Arc<Share>,
    _permits: [OwnedSemaphorePermit; 2],
}

impl Shares {
    pub(super) fn new(workers: usize) -> Self {
        Self {
            workers,
            held: Mutex::default(),
        }
    }

    /// Workers of one caller at most.
    pub(super) const fn workers(&self) -> usize {
        self.workers
    }

    /// A caller's share; `None` where access is open, and all callers are one.
    pub(super) fn of(&self, who: &Arc<str>) -> Option<Arc<Share>> {
        if who.is_empty() {
            return None;
        }
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(share) = held.get(who).and_then(Weak::upgrade) {
            return Some(share);
        }
        // Those of callers that have no question any more.
        held.retain(|_, share| share.strong_count() > 0);
        let share = Arc::new(Share::new(self.workers));
        held.insert(Arc::clone(who), Arc::downgrade(&share));
        Some(share)
    }
}

const fn admitted_max(workers: usize) -> usize {
    workers.saturating_mul(WAITING_PER_WORKER.saturating_add(1))
}

impl Share {
    pub(super) fn new(workers: usize) -> Self {
        Self {
            workers,
            running: Arc::new(Semaphore::new(workers)),
            admitted: Arc::new(Semaphore::new(admitted_max(workers))),
        }
    }

    /// Workers that are held.
    pub(super) fn running(&self) -> usize {
        self.workers.saturating_sub(self.running.available_permits())
    }

    /// Queries that wait for one.
    pub(super) fn waiting(&self) -> usize {
        admitted_max(self.workers)
            .saturating_sub(self.admitted.available_permits())
            .saturating_sub(self.running())
    }

    /// Waits for a worker of the share; `None`: none came free until then, or too many wait already.
    pub(super) async fn hold(self: Arc<Self>, until: Instant) -> Option<Held> {
        let admission = Arc::clone(&self.admitted).try_acquire_owned().ok()?;
        let running = Arc::clone(&self.running).acquire_owned();
        let permit = tokio::time::timeout_at(until, running).await.ok()?.ok()?;
        Some(Held {
            _share: self,
            _permits: [permit, admission],
        })
    }
}

#[cfg(test)]
mod tests;
