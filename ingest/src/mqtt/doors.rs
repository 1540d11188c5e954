//! Who is in: every open connection by number, its session by client id, and the word that ends it.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use tokio::sync::Notify;

use crate::metrics::IngestMetrics;

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
}

impl Control {
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
    half_open: BTreeMap<u64, Arc<Control>>,
    sessions: HashMap<Arc<str>, u64>,
}

/// All open connections.
#[derive(Debug)]
pub(super) struct Doors {
    inside: Mutex<Inside>,
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
            connections_max,
            half_open_max: half_open_max.clamp(1, connections_max.max(1)),
            metrics,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a new connection, still without CONNECT; `None` when as many as may be are open.
    pub(super) fn enter(self: &Arc<Self>) -> Option<Place> {
        let mut inside = self.lock();
        if inside.open.len() >= self.connections_max {
            return None;
        }
        if inside.half_open.len() >= self.half_open_max
            && let Some((_, oldest)) = inside.half_open.pop_first()
        {
            oldest.end(Cause::Crowded);
        }
        let number = inside.next_number;
        inside.next_number += 1;
        let control = Arc::new(Control::default());
        inside.open.insert(number, Arc::clone(&control));
        inside.half_open.insert(number, Arc::clone(&control));
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

    /// The connection has sent its CONNECT; one that was in under the same client id is told to end.
    pub(super) fn open_session(&mut self, client_id: &str) {
        let client_id: Arc<str> = Arc::from(client_id);
        let mut inside = self.doors.lock();
        inside.half_open.remove(&self.number);
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
        inside.half_open.remove(&self.number);
        if let Some(client_id) = &self.client_id
            && inside.sessions.get(client_id) == Some(&self.number)
        {
            inside.sessions.remove(client_id);
        }
        drop(inside);
        self.doors.metrics.connection_closed();
    }
}
