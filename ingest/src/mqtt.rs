//! The MQTT endpoint: where meters and gateways publish. It takes publishes and nothing else; it is no broker.
//!
//! Promises:
//! - **ACK-1**: PUBACK (QoS 1) and PUBREC (QoS 2) leave only after the record of their publish is synced, and in the order of the
//!   publishes of their connection. Reading goes on meanwhile: a client that pipelines fills a group commit alone.
//! - Any bytes from outside get their defined answer. A connection is one task of its own; none can stop another.
//!
//! | Outcome | MQTT 5 | MQTT 3.1.1 |
//! |---|---|---|
//! | stored | PUBACK / PUBREC 0x00 | PUBACK / PUBREC |
//! | not decodable, stored whole | 0x99 | PUBACK / PUBREC |
//! | not this publisher's topic or meter | 0x87, the connection stays | connection closed |
//! | log full | 0x97, the connection stays | connection closed, unacknowledged |
//! | log failed | connection closed, unacknowledged | the same |
//! | QoS 0, refused for whatever reason | dropped and counted | the same |
//! | SUBSCRIBE | SUBACK 0x87 | SUBACK 0x80 |
//! | packet above `packet_bytes_max` | DISCONNECT 0x95, before its bytes are kept | connection closed |
//! | broken protocol | DISCONNECT 0x81, 0x82, 0x93 or 0x94 | connection closed |
//! | silent for 1.5 keep-alives | DISCONNECT 0x8D | connection closed |
//! | same client id connects again | DISCONNECT 0x8E to the old | connection closed |
//! | shutdown | what is owed, then DISCONNECT 0x8B | what is owed, then closed |
//! | did not say who it is, though all must | CONNACK 0x87 | CONNACK 0x05 |
//! | name and key do not belong together | CONNACK 0x86 | CONNACK 0x04 |
//! | `connections_max` open | CONNACK 0x89 | CONNACK 0x03 |
//!
//! What a client may not expect. *Sessions*: none outlives its connection; session present is always 0, and an MQTT 5 client
//! that asks for expiry is told 0. A client sends unacknowledged publishes again by itself, and the engine's merge makes
//! duplicates harmless; for QoS 2 packet ids are remembered within the connection only, so that across connections it is
//! at least once. *Wills* are read and ignored (there is no subscriber). *Retain* is announced as not available, and a publish
//! that sets it is taken like any other. *User name and password* are read and ignored where no publisher has a key.
//!
//! Who may publish as whom: see [`crate::publisher`]. With TLS the handshake has its own `connect_timeout`, before that of CONNECT; sockets of
//! both kinds share the bounds, and a client id that comes back by the other is the same session.
//!
//! Limits: see [`MqttConfig`]. An idle connection holds no buffer; one in the middle of a packet holds at most `packet_bytes_max`.
//!
//! The codec is our own, for the dozen packets that an ingest endpoint needs. mqtt-protocol-core 0.7.9 was read for this and
//! does not fit: it copies every publish twice (packet, then `Arc`) and allocates its topic and several event lists; it reserves
//! the whole announced length of a packet when only its header has come; it takes a PUBLISH before any CONNECT; and above
//! all it answers a QoS 2 publish that is sent again with PUBREC by itself, at once, though the first may not be synced (ACK-1).
//! rumqttc's codecs are written for clients and allocate as well.

use std::{future::Future, io, num::NonZeroU16, pin::Pin, sync::Arc, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
    time::{Instant, sleep, timeout, timeout_at},
};

use crate::{gate::Gate, log::LogError, metrics::Tally, publisher::Publishers, tls::Tls};

mod answer;
mod connection;
mod doors;
mod handshake;
mod packet;
mod reader;
mod reason;
mod scratch;
mod session;

use doors::{Cause, Doors};
use scratch::Scratches;

/// Bounds of the endpoint.
#[derive(Debug, Clone)]
pub struct MqttConfig {
    /// Connections open at once; more are refused. Default 10,000. Lowered to what the process may have open, less 256.
    pub connections_max: usize,
    /// Connections that have not sent their CONNECT; beyond it the oldest of them gives way, and those who come wait until it may (`doors.rs`).
    /// Default 1,024.
    pub half_open_max: usize,
    /// Longest packet, bytes. Default 1 MiB.
    pub packet_bytes_max: usize,
    /// Publishes of one connection that may wait for their acknowledgement: announced to MQTT 5 clients; of a 3.1.1 client
    /// nothing more is read beyond it. Default 16,384.
    pub receive_maximum: NonZeroU16,
    /// Topic aliases of one MQTT 5 connection. Default 16.
    pub topic_alias_maximum: u16,
    /// Longest wait for a CONNECT. Default 10 s.
    pub connect_timeout: Duration,
    /// Longest wait for a client to take what is sent to it. Default 10 s.
    pub write_timeout: Duration,
    /// Longest keep-alive; it holds also for a client that wants none. Default 1 h, at most 18 h.
    pub keep_alive_max: Duration,
    /// Longest time for which an ending connection waits to send what it owes. Default 5 s.
    pub drain_timeout: Duration,
    /// Who may publish as whom. Default: anybody, as anybody.
    pub publishers: Arc<Publishers>,
}

/// Where clients come in.
#[derive(Debug)]
pub struct Entrances {
    /// Without TLS.
    pub plain: TcpListener,
    /// With TLS.
    pub tls: Option<(TcpListener, Tls)>,
}

impl From<TcpListener> for Entrances {
    fn from(plain: TcpListener) -> Self {
        Self { plain, tls: None }
    }
}

impl Entrances {
    /// The next connection, and whether it is to speak TLS.
    async fn accept(&self) -> (io::Result<TcpStream>, Option<Tls>) {
        let only = |accepted: io::Result<(TcpStream, _)>| accepted.map(|(stream, _)| stream);
        let Some((listener, tls)) = &self.tls else {
            return (only(self.plain.accept().await), None);
        };
        tokio::select! {
            accepted = self.plain.accept() => (only(accepted), None),
            accepted = listener.accept() => (only(accepted), Some(tls.clone())),
        }
    }
}

impl Default for MqttConfig {
    fn default() -> Self {
        Self {
            connections_max: 10_000,
            half_open_max: 1_024,
            packet_bytes_max: 1 << 20,
            receive_maximum: NonZeroU16::MIN.saturating_add(16_383),
            topic_alias_maximum: 16,
            connect_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(10),
            keep_alive_max: Duration::from_secs(3_600),
            drain_timeout: Duration::from_secs(5),
            publishers: Arc::default(),
        }
    }
}

/// Why the endpoint ended otherwise than it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum MqttError {
    /// The log failed; nothing was acknowledged since.
    #[error("MQTT endpoint stopped: the log cannot be trusted any more")]
    LogFailed(#[source] Arc<LogError>),
    /// Connections were cut off at shutdown, some perhaps still owed an acknowledgement; their clients send again.
    #[error("MQTT endpoint cut {connections} connections off at the shutdown deadline")]
    Unfinished {
        /// How many.
        connections: usize,
    },
}

/// What the connections share.
#[derive(Debug)]
struct Shared {
    config: MqttConfig,
    gate: Gate,
    scratches: Scratches,
}

/// Connections that are being refused at once; beyond it they are closed without a word.
const TURNED_AWAY_AT_ONCE: usize = 64;
/// Time for a refused connection to send its CONNECT.
const TURN_AWAY_TIMEOUT: Duration = Duration::from_secs(2);
/// Pause after a failed accept (usually: too many open files).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Descriptors left to the log, the tables and the API.
const DESCRIPTORS_RESERVED: usize = 256;

/// Serves until `shutdown` resolves or the log fails; then stops reading, sends what is owed and closes.
///
/// # Errors
/// [`MqttError`].
pub async fn run(
    entrances: impl Into<Entrances>,
    config: MqttConfig,
    gate: Gate,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), MqttError> {
    run_until(entrances.into(), config, gate, Box::pin(shutdown)).await
}

/// Not generic, and so compiled here once instead of in every crate that runs an endpoint.
async fn run_until(
    entrances: Entrances,
    config: MqttConfig,
    gate: Gate,
    shutdown: Pin<Box<dyn Future<Output = ()> + Send + '_>>,
) -> Result<(), MqttError> {
    let connections_max = connections_bound(config.connections_max);
    let doors = Doors::new(connections_max, config.half_open_max, Arc::clone(&gate.metrics));
    let drain_timeout = config.drain_timeout;
    let mut endpoint = Endpoint {
        shared: Arc::new(Shared {
            config,
            gate,
            scratches: Scratches::default(),
        }),
        doors,
        tasks: JoinSet::new(),
        turning_away: Arc::new(Semaphore::new(TURNED_AWAY_AT_ONCE)),
    };
    let failure = endpoint.accept_until(&entrances, shutdown).await;
    drop(entrances);
    let cause = if failure.is_some() {
        Cause::LogFailed
    } else {
        Cause::Shutdown
    };
    endpoint.doors.end_all(cause);
    // A second beyond what each connection allows itself.
    let connections = endpoint
        .finish(Instant::now() + drain_timeout + Duration::from_secs(1))
        .await;
    match failure {
        Some(failure) => Err(MqttError::LogFailed(failure)),
        None if connections > 0 => Err(MqttError::Unfinished { connections }),
        None => Ok(()),
    }
}

struct Endpoint {
    shared: Arc<Shared>,
    doors: Arc<Doors>,
    tasks: JoinSet<()>,
    turning_away: Arc<Semaphore>,
}

impl Endpoint {
    /// Accepts connections; gives what the log failed of, or nothing when it was told to shut down.
    async fn accept_until(
        &mut self,
        entrances: &Entrances,
        shutdown: impl Future<Output = ()> + Send,
    ) -> Option<Arc<LogError>> {
        let mut synced = self.shared.gate.appender.subscribe();
        let mut log_open = true;
        let doors = Arc::clone(&self.doors);
        tokio::pin!(shutdown);
        loop {
            if let Some(failure) = self.shared.gate.appender.failure() {
                return Some(failure);
            }
            tokio::select! {
                () = &mut shutdown => return None,
                changed = synced.changed(), if log_open => log_open = changed.is_ok(),
                Some(ended) = self.tasks.join_next() => self.note(&ended),
                (accepted, tls) = async {
                    doors.ready().await;
                    entrances.accept().await
                } => match accepted {
                    Ok(stream) => self.admit(stream, tls),
                    Err(error) => {
                        tracing::warn!(%error, "a connection could not be accepted");
                        sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
    }

    fn admit(&mut self, stream: TcpStream, tls: Option<Tls>) {
        // Without it, acknowledgements would wait for each other. Only slower if it fails.
        let _ = stream.set_nodelay(true);
        if let Some(place) = self.doors.enter() {
            let shared = Arc::clone(&self.shared);
            match tls {
                None => self.tasks.spawn(connection::serve((stream, None), place, shared)),
                Some(tls) => self
                    .tasks
                    .spawn(connection::serve_tls(stream, tls, place, shared)),
            };
            return;
        }
        self.shared.gate.metrics.add(&Tally {
            connections_refused: 1,
            ..Tally::default()
        });
        // To be told so by TLS would cost a handshake.
        if tls.is_none()
            && let Ok(permit) = Arc::clone(&self.turning_away).try_acquire_owned()
        {
            self.tasks.spawn(async move {
                let _ = timeout(TURN_AWAY_TIMEOUT, handshake::turn_away(stream)).await;
                drop(permit);
            });
        }
    }

    fn note(&self, ended: &Result<(), tokio::task::JoinError>) {
        if let Err(error) = ended
            && error.is_panic()
        {
            tracing::error!(%error, "an MQTT connection ended by a panic: a defect of gridtally");
            self.shared.gate.metrics.add(&Tally {
                panics: 1,
                ..Tally::default()
            });
        }
    }

    /// Waits for the connections to end; gives how many were cut off.
    async fn finish(&mut self, deadline: Instant) -> usize {
        while let Ok(Some(ended)) = timeout_at(deadline, self.tasks.join_next()).await {
            self.note(&ended);
        }
        let cut_off = self.tasks.len();
        self.tasks.shutdown().await;
        cut_off
    }
}

/// The configured bound, lowered to what the process may have open: running out of descriptors would stop the log as well.
fn connections_bound(configured: usize) -> usize {
    let Some(descriptors) = descriptors_max() else {
        return configured;
    };
    let bound = configured.min(descriptors.saturating_sub(DESCRIPTORS_RESERVED).max(16));
    if bound < configured {
        tracing::warn!(
            configured,
            bound,
            descriptors,
            "connections are bounded by the limit of open files (ulimit -n)"
        );
    }
    bound
}

/// Soft limit of open files, where the system tells it (Linux).
fn descriptors_max() -> Option<usize> {
    let limits: io::Result<String> = std::fs::read_to_string("/proc/self/limits");
    let limits = limits.ok()?;
    let line = limits.lines().find(|line| line.starts_with("Max open files"))?;
    line.split_whitespace().nth(3)?.parse().ok()
}
