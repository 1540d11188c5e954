//! Workers that are started ahead: a question finds one that has the program and the tables loaded, and is answered sooner by what that takes.
//!
//! Promises:
//! - each is asked once and is gone then, like any worker: it leaves those that wait before it is told anything;
//! - it knows nothing of who will ask: rights and areas come with the question, and the tables are brought up to date when it comes;
//! - there are at most [`super::SqlConfig::workers_warm`], and none before the first question: then they are started one after another, when the
//!   questions of the moment are answered, and let go when nobody has asked for [`KEPT_FOR`]. One that has waited for [`AGE_MAX`] is replaced,
//!   for what was committed since would have to be read;
//! - what starting them takes is spent from the allowance of all queries; none is started while that is spent;
//! - they end with this process, however it ends: by the end of their standard input.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, task::JoinHandle, time::Instant};

use super::{SqlConfig, process::Started, share::Share};

/// Workers wait for so long after the last question.
pub(super) const KEPT_FOR: Duration = Duration::from_secs(600);
/// A worker waits at most for so long.
pub(super) const AGE_MAX: Duration = Duration::from_secs(300);
/// The next worker is not started beside a running question, unless that takes longer than this.
const SETTLE: Duration = Duration::from_millis(500);
/// Time from a look at an allowance that is spent to the next.
const SPENT: Duration = Duration::from_secs(1);
/// Time from a worker that could not be started to the next attempt.
const RETRY: Duration = Duration::from_secs(10);

/// The workers that wait.
#[derive(Debug)]
pub(super) struct Warm {
    workers_max: usize,
    waiting: Mutex<Waiting>,
    /// A question was asked or is over.
    changed: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    /// Since when each waits, the longest first.
    workers: VecDeque<(Instant, Started)>,
    asked_at: Option<Instant>,
    /// Since when there are too few.
    few_since: Option<Instant>,
}

/// What is to be done about the workers that wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Start,
    /// Nothing, before this instant (`None`: at all) or a question.
    Wait(Option<Instant>),
}

impl Warm {
    pub(super) fn new(workers_max: usize) -> Self {
        Self {
            workers_max,
            waiting: Mutex::default(),
            changed: Notify::new(),
        }
    }

    /// Workers that wait now.
    pub(super) fn len(&self) -> usize {
        self.lock().workers.len()
    }

    /// For a question that is asked now: one that waits, if one does.
    pub(super) fn take(&self) -> Option<Started> {
        if self.workers_max == 0 {
            return None;
        }
        let now = Instant::now();
        let mut waiting = self.lock();
        waiting.asked_at = Some(now);
        waiting.few_since.get_or_insert(now);
        let mut taken = waiting.workers.pop_front();
        while taken.as_mut().is_some_and(|(_, started)| !started.is_alive()) {
            taken = waiting.workers.pop_front();
        }
        drop(waiting);
        self.changed.notify_one();
        taken.map(|(_, started)| started)
    }

    fn add(&self, started: Started) {
        let now = Instant::now();
        self.lock().workers.push_back((now, started));
    }

    /// What is to be done while so many questions run; lets go of those that nobody needs or that have waited for too long.
    fn step(&self, now: Instant, running: usize) -> Step {
        let mut waiting = self.lock();
        let Some(asked_at) = waiting.asked_at else {
            return Step::Wait(None);
        };
        if now >= asked_at + KEPT_FOR {
            *waiting = Waiting::default();
            return Step::Wait(None);
        }
        waiting
            .workers
            .retain_mut(|(since, started)| now < *since + AGE_MAX && started.is_alive());
        let oldest = waiting.workers.front().map(|(since, _)| *since);
        if waiting.workers.len() >= self.workers_max {
            waiting.few_since = None;
            let end = asked_at + KEPT_FOR;
            return Step::Wait(Some(oldest.map_or(end, |since| end.min(since + AGE_MAX))));
        }
        let settled = *waiting.few_since.get_or_insert(now) + SETTLE;
        if running > 0 && now < settled {
            return Step::Wait(Some(settled));
        }
        Step::Start
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells, when it is dropped, that a question is over.
#[derive(Debug)]
pub(super) struct Over(pub(super) Arc<Warm>);

impl Drop for Over {
    fn drop(&mut self) {
        self.0.changed.notify_one();
    }
}

/// The task that starts workers ahead; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Keeper(JoinHandle<()>);

impl Drop for Keeper {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Keeper {
    /// Begins, on the runtime of the caller. `all`: the workers of all callers.
    pub(super) fn start(config: SqlConfig, warm: Arc<Warm>, all: Arc<Share>) -> Self {
        Self(tokio::spawn(keep(config, warm, all)))
    }
}

async fn keep(config: SqlConfig, warm: Arc<Warm>, all: Arc<Share>) {
    loop {
        let until = match warm.step(Instant::now(), all.running()) {
            // While nothing is left to spend, none is started: it would be one that waits with a priority which its question may not have.
            Step::Start if all.allowance().is_spent(Instant::now()) => Some(Instant::now() + SPENT),
            Step::Start => match Started::prepared(&config).await {
                Ok(started) => {
                    let used = started.used().await.unwrap_or_default();
                    all.allowance().spend(used, Instant::now());
                    warm.add(started);
                    continue;
                }
                Err(error) => {
                    tracing::warn!(%error, "an SQL worker could not be started ahead; questions start their own");
                    tokio::time::sleep(RETRY).await;
                    continue;
                }
            },
            Step::Wait(until) => until,
        };
        match until {
            Some(until) => drop(tokio::time::timeout_at(until, warm.changed.notified()).await),
            None => warm.changed.notified().await,
        }
    }
}

#[cfg(test)]
mod tests;
