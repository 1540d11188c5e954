//! A fleet of real MQTT clients: head-end systems (gateways) that publish batches for the meters of their feeders, and meters that
//! publish singly, at QoS 1, following the delivery plan.
//!
//! - Nothing unacknowledged is lost: every connection keeps its own table of unacknowledged publishes and sends them again after a
//!   reconnect (rumqttc forgets them when the session is not resumed). Delivery is at least once.
//! - Memory is bounded: per connection [`PublishConfig::in_flight`] unacknowledged publishes and a few composed ahead, and the late
//!   reads that wait for their time (a few per cent of a day of reads).
//! - Every connection is a new session with its own packet ids, so an acknowledgement can never be taken for that of an earlier one.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use gridtally_schemas::{GatewayId, IdError, wire::Encoding};
use hdrhistogram::Histogram;
use tokio::{
    sync::{mpsc, watch},
    task::{JoinError, JoinSet},
};

use crate::{
    Fleet, MeterRef, Quarter, Span,
    delivery::{self, Said},
};

mod client;
mod compose;
mod connection;
mod pace;
mod table;

pub use pace::{Pace, TimeLapse};

use compose::{Composer, Message, Sender};

/// Publishes composed ahead per connection.
const COMPOSED_MAX: usize = 16;

/// Version of MQTT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// MQTT 3.1.1.
    V311,
    /// MQTT 5.
    V5,
}

/// What happens to late reads that are due after the last interval of the span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterSpan {
    /// They are sent, at their pace.
    SendLate,
    /// They are left unsent.
    LeaveLate,
}

/// One read of an acknowledged publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SentRead {
    /// Of which meter.
    pub meter: MeterRef,
    /// Its interval ends with this quarter.
    pub quarter: Quarter,
    /// What the sending said.
    pub said: Said,
}

/// Called with the reads of every publish once it is acknowledged as stored. It must return at once.
pub type AckHook = Arc<dyn Fn(&[SentRead]) + Send + Sync>;

/// How a fleet publishes.
#[derive(Clone)]
pub struct PublishConfig {
    /// Broker, name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Version of MQTT.
    pub version: Version,
    /// User and password, where the broker asks for them.
    pub credentials: Option<(String, String)>,
    /// Client ids and gateway ids begin with it.
    pub client_id_prefix: String,
    /// Number of gateways; feeders are dealt to them in turn. At least one.
    pub gateways: u16,
    /// Consumers' meters that publish for themselves instead, per thousand.
    pub direct_permille: u16,
    /// Connections that those share.
    pub direct_connections: u16,
    /// Encodings, dealt to the connections in turn; empty: protobuf.
    pub encodings: Vec<Encoding>,
    /// Most reads in a publish of a gateway.
    pub reads_per_publish: usize,
    /// Most unacknowledged publishes of a connection.
    pub in_flight: u16,
    /// When things are sent.
    pub pace: Pace,
    /// Intervals that are sent.
    pub span: Span,
    /// Fleet time after the end of an interval within which its on-time reads are sent.
    pub burst: Duration,
    /// What happens to reads that are late beyond the span.
    pub after_span: AfterSpan,
    /// Without any acknowledgement for so long a connection is given up and made anew.
    pub ack_timeout: Duration,
    /// After the stop, how long acknowledgements are waited for.
    pub drain_timeout: Duration,
    /// Told of every acknowledged publish.
    pub on_acked: Option<AckHook>,
    /// Counts as they stand, for a progress display.
    pub progress: Arc<Progress>,
}

impl PublishConfig {
    /// Two gateways of batches of 100 reads in protobuf by MQTT 5, at full speed, late reads included.
    #[must_use]
    pub fn new(host: &str, port: u16, span: Span) -> Self {
        Self {
            host: host.to_owned(),
            port,
            version: Version::V5,
            credentials: None,
            client_id_prefix: "hes".to_owned(),
            gateways: 2,
            direct_permille: 0,
            direct_connections: 1,
            encodings: Vec::new(),
            reads_per_publish: 100,
            in_flight: 100,
            pace: Pace::Fast,
            span,
            burst: Duration::from_secs(120),
            after_span: AfterSpan::SendLate,
            ack_timeout: Duration::from_secs(30),
            drain_timeout: Duration::from_secs(5),
            on_acked: None,
            progress: Arc::default(),
        }
    }
}

impl std::fmt::Debug for PublishConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PublishConfig")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("version", &self.version)
            .field("gateways", &self.gateways)
            .field("pace", &self.pace)
            .field("span", &self.span)
            .finish_non_exhaustive()
    }
}

/// Counts of a run as they stand.
#[derive(Debug, Default)]
pub struct Progress {
    /// Reads acknowledged as stored.
    pub reads_acked: AtomicU64,
    /// Publishes acknowledged as stored.
    pub publishes_acked: AtomicU64,
    /// Connections lost.
    pub reconnects: AtomicU64,
}

/// What a run came to.
#[derive(Debug, Clone)]
pub struct Report {
    /// Publishes sent at least once.
    pub publishes: u64,
    /// Interval reads in them.
    pub reads: u64,
    /// Events in them.
    pub events: u64,
    /// Publishes acknowledged as stored.
    pub publishes_acked: u64,
    /// Interval reads in those.
    pub reads_acked: u64,
    /// Publishes that the broker refused for good (0x87, 0x90, 0x99); they are not sent again.
    pub publishes_refused: u64,
    /// Publishes left without acknowledgement at the end.
    pub publishes_unacknowledged: u64,
    /// Times that a publish was sent again.
    pub retries: u64,
    /// Connections lost.
    pub reconnects: u64,
    /// From sending to PUBACK, microseconds.
    pub puback_micros: Histogram<u64>,
    /// From start to end.
    pub elapsed: Duration,
}

impl Report {
    fn new() -> Result<Self, PublishError> {
        Ok(Self {
            publishes: 0,
            reads: 0,
            events: 0,
            publishes_acked: 0,
            reads_acked: 0,
            publishes_refused: 0,
            publishes_unacknowledged: 0,
            retries: 0,
            reconnects: 0,
            puback_micros: Histogram::new_with_bounds(1, 600_000_000, 3).map_err(PublishError::Histogram)?,
            elapsed: Duration::ZERO,
        })
    }

    fn add(&mut self, other: &Self) {
        self.publishes += other.publishes;
        self.reads += other.reads;
        self.events += other.events;
        self.publishes_acked += other.publishes_acked;
        self.reads_acked += other.reads_acked;
        self.publishes_refused += other.publishes_refused;
        self.publishes_unacknowledged += other.publishes_unacknowledged;
        self.retries += other.retries;
        self.reconnects += other.reconnects;
        // Both have the same bounds, so adding cannot fail.
        let _ = self.puback_micros.add(&other.puback_micros);
    }
}

/// Why a fleet cannot publish. Lost connections are none of these: they are made anew for ever.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// No gateway, no publish in flight or no read in a publish.
    #[error(
        "a fleet publishes through at least one gateway, with at least one publish in flight and one read in it"
    )]
    Nothing,
    /// A prefix that makes no client id.
    #[error("client id prefix `{prefix}` makes no gateway id")]
    Prefix {
        /// As asked for.
        prefix: String,
        /// Why.
        #[source]
        source: IdError,
    },
    /// The latency histogram.
    #[error("cannot make the latency histogram")]
    Histogram(#[source] hdrhistogram::CreationError),
    /// A connection's task ended by a panic.
    #[error("a connection's task ended unexpectedly")]
    Task(#[source] JoinError),
}

/// Publishes `fleet` until the span is sent and acknowledged, or until `stop` resolves and the acknowledgements are in (or
/// [`PublishConfig::drain_timeout`] has passed).
///
/// # Errors
/// [`PublishError`] when the configuration cannot work; a broker that is away is waited for.
pub async fn run(
    fleet: Fleet,
    config: PublishConfig,
    stop: impl Future<Output = ()> + Send,
) -> Result<Report, PublishError> {
    if config.gateways == 0 || config.in_flight == 0 || config.reads_per_publish == 0 {
        return Err(PublishError::Nothing);
    }
    let began = Instant::now();
    let config = Arc::new(config);
    let (stopped, stopping) = watch::channel(false);
    let mut connections = JoinSet::new();
    for (number, sender) in (0..).zip(senders(&config)?) {
        let (composed, messages) = mpsc::channel(COMPOSED_MAX);
        let composer = Composer::new(&fleet, &config, sender, number);
        let producer = produce(composer, Arc::clone(&config), composed, stopping.clone());
        tokio::spawn(producer);
        let client_id = format!("{}-{number}", config.client_id_prefix);
        let connection = connection::Connection::new(Arc::clone(&config), client_id, Report::new()?);
        connections.spawn(connection.run(messages, stopping.clone()));
    }
    drop(stopping);
    let mut report = Report::new()?;
    let mut stop = std::pin::pin!(stop);
    let mut asked = false;
    loop {
        tokio::select! {
            () = &mut stop, if !asked => {
                asked = true;
                stopped.send_replace(true);
            }
            ended = connections.join_next() => match ended {
                Some(part) => report.add(&part.map_err(PublishError::Task)?),
                None => break,
            }
        }
    }
    report.elapsed = began.elapsed();
    Ok(report)
}

fn senders(config: &PublishConfig) -> Result<Vec<Sender>, PublishError> {
    let mut senders = Vec::new();
    for turn in 0..config.gateways {
        let id = format!("{}-G{turn:03}", config.client_id_prefix);
        let id = GatewayId::parse(&id).map_err(|source| PublishError::Prefix {
            prefix: config.client_id_prefix.clone(),
            source,
        })?;
        senders.push(Sender::Gateway {
            id,
            turn: turn.into(),
            of: config.gateways.into(),
        });
    }
    if config.direct_permille > 0 {
        let of = config.direct_connections.max(1);
        senders.extend((0..of).map(|turn| Sender::Meters {
            turn: turn.into(),
            of: of.into(),
        }));
    }
    Ok(senders)
}

/// Composes one connection's publishes, quarter by quarter, each when its time has come.
async fn produce(
    mut composer: Composer,
    config: Arc<PublishConfig>,
    composed: mpsc::Sender<Message>,
    mut stopping: watch::Receiver<bool>,
) {
    let mut messages = Vec::new();
    let mut quarter = config.span.first;
    while quarter <= config.span.last || (config.after_span == AfterSpan::SendLate && composer.has_late()) {
        for feeder in 0..composer.feeder_count() {
            let due = quarter.end().plus(composer.offset_micros(feeder));
            tokio::select! {
                () = config.pace.wait_until(due) => {}
                () = until_stopped(&mut stopping) => return,
            }
            composer.compose(feeder, quarter, &mut messages);
            for message in messages.drain(..) {
                tokio::select! {
                    sent = composed.send(message) => if sent.is_err() { return },
                    () = until_stopped(&mut stopping) => return,
                }
            }
        }
        quarter = quarter.plus(1);
    }
}

/// Resolves once the run is to stop.
async fn until_stopped(stopping: &mut watch::Receiver<bool>) {
    // An error means that the run is over.
    let _ = stopping.wait_for(|stopped| *stopped).await;
}

impl Progress {
    fn acked(&self, reads: u64) {
        self.publishes_acked.fetch_add(1, Relaxed);
        self.reads_acked.fetch_add(reads, Relaxed);
    }
}

/// Most quarters after the span in which late reads still come, for callers that bound a test.
#[must_use]
pub fn late_quarters_max(fleet: &Fleet) -> i64 {
    delivery::delay_quarters_max(&fleet.config().imperfections)
}

#[cfg(test)]
mod tests;
