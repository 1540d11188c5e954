//! Who is in: every open connection by number, its session by client id, and the word that ends it.
//!
//! As many as may be half open (accepted, and without CONNECT) are: then the oldest gives way, one that has said nothing before one that has.
//! But none gives way at once: when a whole district comes back at a time, each needs a while of processor time to agree on TLS, and one
//! that is sent away comes again and takes that time twice. Until one may be sent away, those who come wait in the listener's queue.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use crate::metrics::IngestMetrics;

/// One that has said nothing for so long gives way to others.
const SILENT_PATIENCE: Duration = Duration::from_millis(500);
/// One that has begun to speak does after this: a few round trips of a slow radio link.
const SPOKEN_PATIENCE: Duration = Duration::from_secs(3);

/// Why a connection is told to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// The endpoint is shutting down.
    Shutdown,
    /// A newer connection has the same client id.
    TakenOver,
    /// The log cannot be trusted any more.
    LogFailed,
    /// It has sent no CONNECT, and newer ones wait: the oldest must go.
    Crowded,
}

/// Ends one connection.
#[derive(Debug, Default)]
pub(super) struct Control {
    cause: OnceLock<Cause>,
    notify: Notify,
    /// Its peer has begun to agree on TLS. Without TLS its first word is its CONNECT.
    has_spoken: AtomicBool,
}

impl Control {
    /// Its peer has begun to agree on TLS.
    pub(super) fn note_spoken(&self) {
        self.has_spoken.store(true, Ordering::Relaxed);
    }

    fn end(&self, cause: Cause) {
        // Only the first cause counts.
        let _ = self.cause.set(cause);
        self.notify.notify_one();
    }

    /// Resolves when the connection is told to end.
    pub(super) async fn ended(&self) -> Cause {
        loop {
            if let Some(cause) = self.cause.get() {
                return *cause;
            }
            self.notify.notified().await;
        }
    }
}

#[derive(Debug, Default)]
struct Inside {
    next_number: u64,
    open: HashMap<u64, Arc<Control>>,
    /// Those without CONNECT, oldest first.
    half_open: BTreeMap<u64, (Instant, Arc<Control>)>,
    sessions: HashMap<Arc<str>, u64>,
}

/// Whether a new connection may come in.
enum Room {
    /// It may.
    Free,
    /// It may when this one is gone.
    InPlaceOf(u64),
    /// Nobody can be sent away before this instant.
    NotBefore(Instant),
}

impl Inside {
    fn room(&self, half_open_max: usize, now: Instant) -> Room {
        if self.half_open.len() < half_open_max {
            return Room::Free;
        }
        let oldest = |spoken: bool| {
            let mut those = self.half_open.iter();
            those.find(|(_, (_, control))| control.has_spoken.load(Ordering::Relaxed) == spoken)
        };
        let mut not_before: Option<Instant> = None;
        for (spoken, patience) in [(false, SILENT_PATIENCE), (true, SPOKEN_PATIENCE)] {
            let Some((number, (since, _))) = oldest(spoken) else {
                continue;
            };
            let until = *since + patience;
            if until <= now {
                return Room::InPlaceOf(*number);
            }
            not_before = Some(not_before.map_or(until, |before| before.min(until)));
        }
        not_before.map_or(Room::Free, Room::NotBefore)
    }
}

/// All open connections.
#[derive(Debug)]
pub(super) struct Doors {
    inside: Mutex<Inside>,
    /// A half-open connection has opened its session, or is gone.
    fewer_half_open: Notify,
    connections_max: usize,
    half_open_max: usize,
    metrics: Arc<IngestMetrics>,
}

/// An open connection's place; leaving is dropping it.
#[derive(Debug)]
pub(super) struct Place {
    number: u64,
    client_id: Option<Arc<str>>,
    doors: Arc<Doors>,
    control: Arc<Control>,
}

impl Doors {
    pub(super) fn new(
        connections_max: usize,
        half_open_max: usize,
        metrics: Arc<IngestMetrics>,
    ) -> Arc<Self> {
        Arc::new(Self {
            inside: Mutex::default(),
            fewer_half_open: Notify::new(),
            connections_max,
            half_open_max: half_open_max.clamp(1, connections_max.max(1)),
            metrics,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Resolves when a new connection may come in: at once unless as many as may be are half open.
    pub(super) async fn ready(&self) {
        loop {
            let fewer = self.fewer_half_open.notified();
            let room = {
                let inside = self.lock();
                // One that is one too many is told so.
                if inside.open.len() >= self.connections_max {
                    return;
                }
                inside.room(self.half_open_max, Instant::now())
            };
            match room {
                Room::Free | Room::InPlaceOf(_) => return,
                Room::NotBefore(until) => drop(tokio::time::timeout_at(until, fewer).await),
            }
        }
    }

    /// A place for a new connection, still without CONNECT; `None` when as many as may be are open. One that is half open gives way to it
    /// where there are enough, after [`Self::ready`].
    pub(super) fn enter(self: &Arc<Self>) -> Option<Place> {
        let mut inside = self.lock();
        if inside.open.len() >= self.connections_max {
            return None;
        }
        let now = Instant::now();
        if let Room::InPlaceOf(oldest) = inside.room(self.half_open_max, now)
            && let Some((_, oldest)) = inside.half_open.remove(&oldest)
        {
            oldest.end(Cause::Crowded);
        }
        let number = inside.next_number;
        inside.next_number += 1;
        let control = Arc::new(Control::default());
        inside.open.insert(number, Arc::clone(&control));
        inside.half_open.insert(number, (now, Arc::clone(&control)));
        self.metrics.connection_opened();
        Some(Place {
            number,
            client_id: None,
            doors: Arc::clone(self),
            control,
        })
    }

    /// Tells every connection to end.
    pub(super) fn end_all(&self, cause: Cause) {
        for control in self.lock().open.values() {
            control.end(cause);
        }
    }
}

impl Place {
    pub(super) fn control(&self) -> Arc<Control> {
        Arc::clone(&self.control)
    }

    /// Number of the connection, unique within the process.
    pub(super) const fn number(&self) -> u64 {
        self.number
    }

    fn leave_half_open(&self, inside: &mut Inside) {
        if inside.half_open.remove(&self.number).is_some() {
            self.doors.fewer_half_open.notify_one();
        }
    }

    /// The connection has sent its CONNECT; one that was in under the same client id is told to end.
    pub(super) fn open_session(&mut self, client_id: &str) {
        let client_id: Arc<str> = Arc::from(client_id);
        let mut inside = self.doors.lock();
        self.leave_half_open(&mut inside);
        let before = inside.sessions.insert(Arc::clone(&client_id), self.number);
        let before = before.and_then(|number| inside.open.get(&number));
        if let Some(control) = before {
            control.end(Cause::TakenOver);
        }
        self.client_id = Some(client_id);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut inside = self.doors.lock();
        inside.open.remove(&self.number);
        self.leave_half_open(&mut inside);
        if let Some(client_id) = &self.client_id
            && inside.sessions.get(client_id) == Some(&self.number)
        {
            inside.sessions.remove(client_id);
        }
        drop(inside);
        self.doors.metrics.connection_closed();
    }
}
