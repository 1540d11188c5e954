//! PostgreSQL's wire protocol (3.0) over the published tables, for psql, JDBC, SQLAlchemy, Grafana and their like.
//!
//! This is a surface of [`crate::sql`]: every statement is held against its allow-list, in the simple and in the extended protocol, and
//! runs in a worker process with its limits. No query runs here. What is answered here is what has no rows of a table: settings,
//! transactions (all of which only read), prepared statements, cursors.
//!
//! - `message`: messages to and from bytes, bounded
//! - `connection`: TLS, authentication (`scram`), end of queries of others
//! - `session`: the two protocols; `statement`, `settings`: what a text is, and what SET may change
//! - `cursor`, `encode`: rows as they are wanted; `value`: parameters
//!
//! Malformed bytes end their own connection. A client that says nothing at the start, or later for the time that is configured, is left.

use std::{
    collections::BTreeMap,
    future::Future,
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI32, Ordering},
    },
    time::Duration,
};

use crate::sql::Sql;
use gridtally_ingest::tls::Tls;
use tokio::{
    net::TcpListener,
    sync::{Semaphore, watch},
    task::JoinSet,
};

use gridtally_schemas::Clock;

use crate::access::Caller;

mod connection;
mod cursor;
mod encode;
mod message;
mod problem;
pub(crate) mod scram;
mod session;
mod settings;
mod statement;
mod value;

pub use scram::Verifier;

/// After shutdown, sessions have this long to end what they do.
const DRAIN: Duration = Duration::from_secs(5);
/// Connections at a time that have not said yet who they are.
const ARRIVING_MAX: usize = 64;
/// What the listener waits after an error of the system, such as too many open files.
const PAUSE: Duration = Duration::from_millis(100);

/// Settings of the surface.
#[derive(Debug, Clone)]
pub struct PgSettings {
    /// Sessions at a time; more are told so.
    pub connections_max: usize,
    /// A session that says nothing for so long is ended.
    pub idle: Duration,
    /// Who may ask, each with a verifier of its password. Empty: everybody.
    pub users: Vec<(Caller, Verifier)>,
    /// The configured clock, by which the network stands that an area is told from.
    pub clock: Clock,
    /// Certificate and key; `None`: TLS is not spoken.
    pub tls: Option<Tls>,
}

/// What all connections share.
#[derive(Debug)]
struct Shared {
    sql: Sql,
    settings: PgSettings,
    arriving: Arc<Semaphore>,
    sessions: Arc<Semaphore>,
    /// Makes what a name that nobody has looks like the same each time.
    secret: [u8; 32],
    next_backend: AtomicI32,
    /// Sessions by their number, with the key that a request to cancel must name.
    running: Mutex<BTreeMap<i32, (i32, watch::Sender<u64>)>>,
}

impl Shared {
    /// Enters a session: its number, key, and how it hears of requests to cancel.
    fn enter(self: &Arc<Self>) -> Result<(Entered, i32, watch::Receiver<u64>), String> {
        let key = i32::from_be_bytes(gridtally_ingest::key::random()?);
        let backend = self.next_backend.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = watch::channel(0);
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.insert(backend, (key, sender));
        drop(running);
        let entered = Entered {
            shared: Arc::clone(self),
            backend,
        };
        Ok((entered, key, receiver))
    }

    /// Ends what a session does, if the key is its own.
    fn cancel(&self, backend: i32, key: i32) {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((own, sender)) = running.get(&backend)
            && *own == key
        {
            sender.send_modify(|count| *count = count.wrapping_add(1));
        }
    }
}

/// A session that is entered.
#[derive(Debug)]
struct Entered {
    shared: Arc<Shared>,
    backend: i32,
}

impl Drop for Entered {
    fn drop(&mut self) {
        let mut running = self.shared.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.remove(&self.backend);
    }
}

/// Serves until `shutdown`; then ends idle sessions, gives the others 5 seconds, and returns.
///
/// # Errors
/// The system gives no random numbers, which keys of sessions are made of.
pub async fn serve_pg(
    listener: TcpListener,
    sql: Sql,
    settings: PgSettings,
    shutdown: impl Future<Output = ()> + Send,
) -> io::Result<()> {
    let shared = Arc::new(Shared {
        arriving: Arc::new(Semaphore::new(ARRIVING_MAX)),
        sessions: Arc::new(Semaphore::new(settings.connections_max)),
        secret: gridtally_ingest::key::random().map_err(io::Error::other)?,
        next_backend: AtomicI32::new(1),
        running: Mutex::default(),
        sql,
        settings,
    });
    let (end, ending) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let arriving = tokio::select! {
            () = &mut shutdown => break,
            Ok(permit) = Arc::clone(&shared.arriving).acquire_owned() => permit,
        };
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            accepted = listener.accept() => accepted,
        };
        while connections.try_join_next().is_some() {}
        match accepted {
            Ok((stream, peer)) => {
                let (shared, ending) = (Arc::clone(&shared), ending.clone());
                connections.spawn(Box::pin(connection::serve(
                    stream,
                    peer,
                    (shared, arriving),
                    ending,
                )));
            }
            Err(error) => {
                tracing::warn!(%error, "a PostgreSQL connection was not accepted");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    end.send_replace(true);
    let drained = async { while connections.join_next().await.is_some() {} };
    // What has not ended by then is cut off.
    let _ = tokio::time::timeout(DRAIN, drained).await;
    Ok(())
}
