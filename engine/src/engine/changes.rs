//! What changed, told to whoever listens; the last changes are kept, so that a listener who comes back misses nothing.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use gridtally_ingest::log::Position;
use gridtally_schemas::UtcMicros;
use tokio::sync::broadcast;

use crate::{network::NodeIx, state::Quarter, world::OutageChange};

/// Number of changes kept for listeners who come back.
pub const CHANGES_KEPT: usize = 1_024;
/// Most intervals that one change lists.
pub const INTERVALS_LISTED_MAX: usize = 256;
/// Most outages that one change lists.
pub const OUTAGES_LISTED_MAX: usize = 256;

/// A change of the picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Its number: from 1 since this process started, without gaps.
    pub id: u64,
    /// When it was made, by the configured clock.
    pub at: UtcMicros,
    /// What changed.
    pub kind: ChangeKind,
}

/// What changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChangeKind {
    /// Balances of feeders and their DTs were computed anew and differ.
    Balances {
        /// The feeder-intervals that changed, at most [`INTERVALS_LISTED_MAX`] of them.
        intervals: Vec<(NodeIx, Quarter)>,
        /// How many there are in all.
        total: usize,
        /// Last log record that they contain.
        applied: Position,
    },
    /// Outages began, grew, were restored, or turned out to be something else.
    Outages {
        /// They, by id; at most [`OUTAGES_LISTED_MAX`] of them.
        changes: Vec<OutageChange>,
        /// How many there are in all.
        total: usize,
        /// Last log record that they contain.
        applied: Position,
    },
    /// A checkpoint is in the tables.
    Checkpoint {
        /// Last log record of which the tables hold all that follows from it.
        position: Position,
        /// Number of rows written.
        rows: usize,
    },
}

#[derive(Debug)]
struct Kept {
    next: u64,
    last: VecDeque<Arc<Change>>,
}

/// Where changes are told. A clone tells and hears the same.
#[derive(Debug, Clone)]
pub struct ChangeFeed {
    kept: Arc<Mutex<Kept>>,
    sender: broadcast::Sender<Arc<Change>>,
}

/// A listener's view of the feed.
#[derive(Debug)]
pub struct Listening {
    /// What came after the change that the listener saw last, as far as it is kept.
    pub missed: Vec<Arc<Change>>,
    /// Whether changes between are no longer kept: the listener should look at the picture anew.
    pub gap: bool,
    /// What comes from now on. A listener slower than [`CHANGES_KEPT`] changes is told that it lagged.
    pub receiver: broadcast::Receiver<Arc<Change>>,
}

impl Default for ChangeFeed {
    fn default() -> Self {
        let kept = Kept {
            next: 1,
            last: VecDeque::with_capacity(CHANGES_KEPT),
        };
        Self {
            kept: Arc::new(Mutex::new(kept)),
            sender: broadcast::Sender::new(CHANGES_KEPT),
        }
    }
}

impl ChangeFeed {
    pub(crate) fn tell(&self, at: UtcMicros, kind: ChangeKind) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let change = Arc::new(Change {
            id: kept.next,
            at,
            kind,
        });
        kept.next += 1;
        if kept.last.len() == CHANGES_KEPT {
            kept.last.pop_front();
        }
        kept.last.push_back(Arc::clone(&change));
        // Told under the lock, so that a listener gets every change once: from what is kept or as it comes. Nobody may be listening.
        let _ = self.sender.send(change);
    }

    /// Listens, from after the change `last_seen` on (`None`: from now on).
    #[must_use]
    pub fn listen(&self, last_seen: Option<u64>) -> Listening {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let receiver = self.sender.subscribe();
        let Some(last_seen) = last_seen else {
            return Listening {
                missed: Vec::new(),
                gap: false,
                receiver,
            };
        };
        let missed: Vec<Arc<Change>> = kept
            .last
            .iter()
            .filter(|change| change.id > last_seen)
            .cloned()
            .collect();
        let oldest = kept.last.front().map_or(kept.next, |change| change.id);
        // A number of the future is one of another process's feed.
        let gap = last_seen >= kept.next || last_seen + 1 < oldest;
        Listening {
            missed,
            gap,
            receiver,
        }
    }
}
