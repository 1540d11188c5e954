//! How many workers there are at a time, of all and of one caller, and how much processor time they may take from others, so that whoever
//! asks too much stands in his own way first.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

use super::{WAITING_PER_WORKER, allowance::Allowance};

/// The shares of all callers that ask at present.
#[derive(Debug)]
pub(super) struct Shares {
    workers: usize,
    processors: u32,
    held: Mutex<HashMap<Arc<str>, Arc<Share>>>,
}

/// So many workers at a time, and for each some queries that wait: those of all callers, or of one.
#[derive(Debug)]
pub(super) struct Share {
    workers: usize,
    running: Arc<Semaphore>,
    /// Those that run and those that wait.
    admitted: Arc<Semaphore>,
    allowance: Arc<Allowance>,
}

/// A worker of a share, until it is dropped.
#[derive(Debug)]
pub(super) struct Held {
    share: Arc<Share>,
    _permits: [OwnedSemaphorePermit; 2],
}

impl Held {
    /// What the queries of its share may take of the processors from others.
    pub(super) fn allowance(&self) -> &Arc<Allowance> {
        &self.share.allowance
    }
}

impl Shares {
    pub(super) fn new(workers: usize, processors: u32) -> Self {
        Self {
            workers,
            processors,
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
        if let Some(share) = held.get(who) {
            return Some(Arc::clone(share));
        }
        let now = Instant::now();
        // Those of callers that have no question any more, and spent nothing of late.
        held.retain(|_, share| Arc::strong_count(share) > 1 || !share.allowance.is_full(now));
        let share = Arc::new(Share::new(self.workers, Allowance::of_one(self.processors, now)));
        held.insert(Arc::clone(who), Arc::clone(&share));
        Some(share)
    }
}

const fn admitted_max(workers: usize) -> usize {
    workers.saturating_mul(WAITING_PER_WORKER.saturating_add(1))
}

impl Share {
    pub(super) fn new(workers: usize, allowance: Allowance) -> Self {
        Self {
            workers,
            allowance: Arc::new(allowance),
            running: Arc::new(Semaphore::new(workers)),
            admitted: Arc::new(Semaphore::new(admitted_max(workers))),
        }
    }

    /// What its queries may take of the processors from others.
    pub(super) const fn allowance(&self) -> &Arc<Allowance> {
        &self.allowance
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
            share: self,
            _permits: [permit, admission],
        })
    }
}

#[cfg(test)]
mod tests;
