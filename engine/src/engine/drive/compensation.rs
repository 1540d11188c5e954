//! What the engine's thread does about compensation: when the ledger is brought up to what is known, and when its entries are published.

use std::time::{Duration, Instant};

use gridtally_schemas::UtcMicros;

use super::Driver;
use crate::{engine::Store, world::World};

/// Consumers whose compensation is decided under one lock: a few milliseconds.
const CONSUMERS: usize = 200;
/// How long a tick decides at most while nobody waits for a checkpoint.
const TIME: Duration = Duration::from_millis(200);
/// Entries that billing waits for are published this long after the last checkpoint began, however far the next one is.
const DUE_ENTRIES_WAIT: Duration = Duration::from_secs(2);

impl<S: Store> Driver<S> {
    /// Brings the ledger up to what is known: some of what waits, or all of it where somebody waits for the tables to hold everything.
    /// Not before all that the log held at the start is applied, else states that have long passed would leave entries.
    pub(super) fn compensate(&mut self, now: UtcMicros) {
        let applied = self.read(World::applied);
        if applied < self.replay_through.max(self.caught_up_through) {
            return;
        }
        let started = Instant::now();
        while started.elapsed() < TIME || self.is_checkpoint_asked() {
            if self.write(|world| world.compensate(now, CONSUMERS)) < CONSUMERS {
                return;
            }
        }
    }

    /// Whether entries that billing waits for have waited long enough.
    pub(super) fn is_awaited_by_billing(&self) -> bool {
        let wait = DUE_ENTRIES_WAIT.min(self.config.checkpoint);
        Instant::now() + self.config.checkpoint >= self.next_checkpoint + wait
            && self.read(World::has_due_entries_waiting)
    }
}
