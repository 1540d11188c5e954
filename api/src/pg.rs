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
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI32, Ordering},
    },
    time::Duration,
};

use tokio::{
    net::TcpListener,
    sync::{Semaphore, watch},
    task::JoinSet,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    },
};

use gridtally_schemas::Clock;

use crate::{access::Caller, sql::Sql};

mod connection;
mod cursor;
mod encode;
mod message;
mod problem;
mod scram;
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
    pub tls: Option<PgTls>,
}

/// A certificate with its key.
#[derive(Clone)]
pub struct PgTls(TlsAcceptor);

impl std::fmt::Debug for PgTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PgTls(…)")
    }
}

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PgTlsError {
    /// A file cannot be read, or holds something else.
    #[error("{} holds no {what} (PEM): {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
        /// Why.
        reason: String,
    },
    /// Certificate and key cannot be used, or not together.
    #[error("certificate and key cannot be used together")]
    Pair(#[from] tokio_rustls::rustls::Error),
}

impl PgTls {
    /// Reads a certificate chain and its key, PEM each.
    ///
    /// # Errors
    /// [`PgTlsError`] when a file is something else, or the key is not the certificate's.
    pub fn load(certificate: &Path, key: &Path) -> Result<Self, PgTlsError> {
        let bad = |path: &Path, what| {
            let path = path.to_owned();
            move |error: &dyn std::fmt::Display| PgTlsError::File {
                path,
                what,
                reason: error.to_string(),
            }
        };
        let chain = CertificateDer::pem_file_iter(certificate)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| bad(certificate, "certificate")(&error))?;
        if chain.is_empty() {
            return Err(bad(certificate, "certificate")(&"there is none in it"));
        }
        let private = PrivateKeyDer::from_pem_file(key).map_err(|error| bad(key, "private key")(&error))?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, private)?;
        config.alpn_protocols = vec![b"postgresql".to_vec()];
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }
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
        let key = i32::from_be_bytes(scram::random()?);
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
        secret: scram::random().map_err(io::Error::other)?,
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
