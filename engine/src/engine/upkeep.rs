//! Compaction and vacuum on a timer, on a thread of their own, so that neither the appends nor the ticks wait for them.
//!
//! A pass goes over the tables one after the other: first few large files instead of many small ones, then what only versions
//! beyond the horizon need is removed. A pass that found a table changed by somebody else, or failed, changes nothing that is read;
//! it is told in the log and in [`Upkept`], and the pause before the next one doubles, up to [`PAUSES_MAX`] pauses.

use std::{
    sync::{Arc, PoisonError, mpsc},
    time::{Duration, Instant},
};

use gridtally_schemas::{Clock, Zone, table::TableSchema};
use tokio::{runtime::Builder, sync::watch};

use super::{
    EngineError, Shared, Store,
    checkpoint::{BESIDE, FROM_LOG, FROM_TIME},
    drive::micros,
};
use crate::tables::{VERSIONS_KEPT_MAX, chain};

#[cfg(test)]
mod tests;

/// Shortest horizon: a commit writes its files first and names them after, so files younger than this may be on their way into one.
const VERSIONS_KEPT_MIN: Duration = Duration::from_secs(60 * 60);
/// Longest pause after passes that failed or met somebody else, in pauses of [`Upkeep::every`].
const PAUSES_MAX: u32 = 16;
/// How long the engine waits at its end for the thread: a step between two waits takes less, and what it leaves undone is no loss.
const STOP_MAX: Duration = Duration::from_secs(5);

/// How the tables are kept in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Upkeep {
    /// Pause between two passes over all tables. Default 5 minutes.
    pub every: Duration,
    /// The horizon: for how long an older Delta version of a table can be read as it was, by an auditor's time travel or a query
    /// under way. The rows themselves, every published version of them included, stay for good. Default 48 hours, from 1 hour to
    /// [`VERSIONS_KEPT_MAX`].
    pub versions_kept: Duration,
}

impl Default for Upkeep {
    fn default() -> Self {
        Self {
            every: Duration::from_secs(5 * 60),
            versions_kept: Duration::from_secs(48 * 60 * 60),
        }
    }
}

/// What compaction and vacuum have done since this process started.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Upkept {
    /// Passes over all tables.
    pub passes: u64,
    /// Small files that were replaced.
    pub files_replaced: u64,
    /// Files written instead.
    pub files_written: u64,
    /// Files removed that no version within the horizon needs.
    pub files_removed: u64,
    /// Partitions left as they were because their table changed under the compaction.
    pub dropped: u64,
    /// Tables that could not be compacted or vacuumed, once for each pass.
    pub failures: u64,
    /// How long the last pass took, µs.
    pub last_pass_micros: u64,
}

impl Upkept {
    fn add(&mut self, pass: &Self) {
        self.passes += pass.passes;
        self.files_replaced += pass.files_replaced;
        self.files_written += pass.files_written;
        self.files_removed += pass.files_removed;
        self.dropped += pass.dropped;
        self.failures += pass.failures;
        self.last_pass_micros = pass.last_pass_micros;
    }

    fn is_clean(&self) -> bool {
        self.dropped == 0 && self.failures == 0
    }
}

/// The thread, seen from outside.
#[derive(Debug)]
pub(super) struct Running {
    stop: watch::Sender<bool>,
    ended: mpsc::Receiver<()>,
}

impl Running {
    /// Starts what `run` gives on a thread of its own; it ends when it is stopped.
    pub(super) fn start<F: Future<Output = ()>>(
        name: &str,
        run: impl FnOnce() -> F + Send + 'static,
    ) -> Result<Self, EngineError> {
        let runtime = Builder::new_current_thread()
            .enable_time()
            .build()
            .map_err(EngineError::Thread)?;
        let (stop, mut stopped) = watch::channel(false);
        let (ending, ended) = mpsc::sync_channel::<()>(1);
        let body = move || {
            runtime.block_on(async {
                tokio::select! {
                    // A sender that is gone means the same: nobody needs it any more.
                    _ = stopped.wait_for(|stopped| *stopped) => {}
                    () = run() => {}
                }
            });
            // Writes under way on its blocking threads end by themselves.
            runtime.shutdown_background();
            drop(ending);
        };
        let thread = std::thread::Builder::new().name(name.to_owned());
        thread.spawn(body).map_err(EngineError::Thread)?;
        Ok(Self { stop, ended })
    }

    /// Ends the pass under way between two steps, and waits for the thread, at most [`STOP_MAX`].
    pub(super) fn stop(&self) {
        self.stop.send_replace(true);
        // The thread never sends: it drops its end.
        if self.ended.recv_timeout(STOP_MAX) == Err(mpsc::RecvTimeoutError::Timeout) {
            tracing::warn!(
                "a thread beside the engine is still in a step of its own; files that it leaves go with a later vacuum"
            );
        }
    }
}

/// What the thread works with.
#[derive(Debug)]
pub(super) struct Keeper<S> {
    pub(super) upkeep: Upkeep,
    pub(super) store: Arc<S>,
    pub(super) clock: Clock,
    pub(super) zone: Zone,
    pub(super) shared: Arc<Shared>,
}

impl<S: Store> Keeper<S> {
    /// Starts the thread.
    pub(super) fn spawn(self) -> Result<Running, EngineError> {
        Running::start("upkeep", || async move { self.run().await })
    }

    async fn run(&self) {
        let mut pauses = 1;
        loop {
            tokio::time::sleep(self.upkeep.every.saturating_mul(pauses)).await;
            let pass = self.pass().await;
            pauses = next_pauses(pauses, &pass);
            let mut progress = self
                .shared
                .progress
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            progress.upkeep.add(&pass);
            progress.effort = self.store.effort();
        }
    }

    async fn pass(&self) -> Upkept {
        let started = Instant::now();
        let mut pass = Upkept {
            passes: 1,
            ..Upkept::default()
        };
        for table in FROM_LOG.into_iter().chain(FROM_TIME).chain(BESIDE) {
            self.keep(table, &mut pass).await;
        }
        pass.last_pass_micros = micros(started.elapsed());
        if pass.files_replaced + pass.files_removed > 0 || !pass.is_clean() {
            tracing::info!(
                files_replaced = pass.files_replaced,
                files_written = pass.files_written,
                files_removed = pass.files_removed,
                dropped = pass.dropped,
                failures = pass.failures,
                micros = pass.last_pass_micros,
                "tables compacted"
            );
        }
        pass
    }

    async fn keep(&self, table: &'static TableSchema, pass: &mut Upkept) {
        let open_from = self.zone.day_of(self.clock.now());
        match self.store.compact(table, open_from).await {
            Ok(done) => {
                pass.files_replaced += count(done.files_removed);
                pass.files_written += count(done.files_added);
                pass.dropped += count(done.dropped);
            }
            Err(error) => {
                pass.failures += 1;
                tracing::warn!(table = table.name, error = %chain(error.as_ref()), "compaction failed; it is tried again");
            }
        }
        let kept = self
            .upkeep
            .versions_kept
            .clamp(VERSIONS_KEPT_MIN, VERSIONS_KEPT_MAX);
        match self.store.vacuum(table, kept).await {
            Ok(removed) => pass.files_removed += removed,
            Err(error) => {
                pass.failures += 1;
                tracing::warn!(table = table.name, error = %chain(error.as_ref()), "vacuum failed; it is tried again");
            }
        }
    }
}

/// How many pauses to wait after `pass`, having waited `pauses` before it.
fn next_pauses(pauses: u32, pass: &Upkept) -> u32 {
    if pass.is_clean() {
        1
    } else {
        (pauses * 2).min(PAUSES_MAX)
    }
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
