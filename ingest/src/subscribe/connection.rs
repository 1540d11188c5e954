//! One connection to the broker, from connect to loss.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use bytes::Bytes;
use gridtally_schemas::{Publish as Reads, record, topic::Topic};
use rumqttc::{
    Outgoing,
    v5::{
        AsyncClient, ConnectionError, Event, EventLoop, Incoming, MqttOptions,
        mqttbytes::{
            QoS,
            v5::{ConnectProperties, Filter, Publish, RetainForwardRule, SubscribeReasonCode},
        },
    },
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::SubscribeConfig;
use crate::{
    gate::{Arrival, Gate, NotYours, Verdict, judge},
    log::{AppendError, Position},
    metrics::Tally,
    publisher::Identity,
};

/// Topics of the contract. `…/commands` of a meter is not among them.
const TOPICS: [&str; 4] = [
    "ami/v1/meters/+/reads",
    "ami/v1/meters/+/events",
    "ami/v1/gateways/+/reads",
    "ami/v1/gateways/+/events",
];
/// Publishes of one connection that can be unacknowledged: packet ids are 1 to 65,535. A queue of that bound never fills with
/// QoS 1, whatever the broker makes of our receive maximum, and takes memory only for what is in it.
const UNACKNOWLEDGED_MAX: usize = 65_535;
/// Requests that are not acknowledgements: subscribe and disconnect.
const REQUESTS_BESIDE: usize = 8;
/// Wait for room in the queue before the connection counts as overrun. Polling, and so the keep-alive, stands still meanwhile.
const ROOM_WAIT: Duration = Duration::from_secs(2);
/// Wait for the last acknowledgements and DISCONNECT to leave at shutdown.
const FAREWELL_WAIT: Duration = Duration::from_secs(1);
/// Unit of the byte bound, so that its permits stay small numbers.
const PERMIT_BYTES: usize = 1_024;

/// How a connection ended.
pub(super) enum End {
    /// As asked.
    Shutdown,
    /// Lost or never made; another attempt may do.
    Lost(LostError),
    /// The log takes nothing any more.
    Log(AppendError),
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum LostError {
    #[error("{0}")]
    Connection(Box<ConnectionError>),
    #[error("broker refuses the subscription: {0:?}")]
    Subscription(SubscribeReasonCode),
    #[error("broker does not know shared subscriptions")]
    NoSharedSubscriptions,
    #[error("broker sends more than can be stored")]
    Overrun,
}

/// A publish on its way to the log.
struct Received {
    publish: Publish,
    _room: OwnedSemaphorePermit,
}

/// A publish that is in the log, and how it will be acknowledged.
struct Stored {
    /// What the acknowledgement needs: packet id and QoS. Its payload has been let go.
    publish: Publish,
    /// `None`: nothing to wait for.
    position: Option<Position>,
    /// Counted once the acknowledgement is on its way.
    acknowledged: Tally,
}

/// Connects and serves until the connection ends. `subscribed` is told once the broker grants the subscription, and whether it
/// still had the session.
pub(super) async fn run(
    config: &SubscribeConfig,
    gate: &Gate,
    shutdown: Pin<&mut (dyn Future<Output = ()> + Send + '_)>,
    subscribed: impl FnMut(bool) + Send,
) -> End {
    let (client, mut event_loop) = AsyncClient::new(options(config), UNACKNOWLEDGED_MAX + REQUESTS_BESIDE);
    let (received_tx, received_rx) = mpsc::channel(UNACKNOWLEDGED_MAX);
    let (stored_tx, stored_rx) = mpsc::channel(UNACKNOWLEDGED_MAX);
    let room = permits(usize::try_from(config.pending_bytes_max).unwrap_or(usize::MAX));
    let mut poll = Poll {
        config,
        gate,
        client: &client,
        room: Arc::new(Semaphore::new(room)),
        room_promised: room / 2,
        received: received_tx,
        session_present: false,
        subscribed,
    };
    let end = tokio::select! {
        lost = poll.run(&mut event_loop) => End::Lost(lost),
        error = store(config, gate, received_rx, stored_tx) => End::Log(error),
        error = acknowledge(gate, &client, stored_rx) => End::Log(error),
        () = shutdown => End::Shutdown,
    };
    if matches!(end, End::Shutdown) {
        farewell(&client, &mut event_loop).await;
    }
    end
}

fn options(config: &SubscribeConfig) -> MqttOptions {
    let mut options = MqttOptions::new(&config.client_id, &config.host, config.port);
    let mut properties = ConnectProperties::new();
    let seconds = config.session_expiry.as_secs();
    properties.session_expiry_interval = Some(u32::try_from(seconds).unwrap_or(u32::MAX));
    properties.receive_maximum = Some(config.receive_maximum);
    properties.max_packet_size = Some(config.packet_bytes_max);
    options
        .set_connect_properties(properties)
        .set_clean_start(false)
        .set_manual_acks(true)
        .set_keep_alive(Duration::from_secs(config.keep_alive.as_secs()))
        // Nothing is published; the default would allocate 65,535 slots.
        .set_outgoing_inflight_upper_limit(16);
    if let Some(username) = &config.username {
        options.set_credentials(username, config.password.clone().unwrap_or_default());
    }
    let mut network = options.network_options();
    network.set_tcp_nodelay(true);
    options.set_network_options(network);
    options
}

/// Permits of the byte bound for a size, rounded up.
fn permits(bytes: usize) -> usize {
    bytes.div_ceil(PERMIT_BYTES).clamp(1, Semaphore::MAX_PERMITS)
}

/// The stage that talks to the broker.
struct Poll<'a, F> {
    config: &'a SubscribeConfig,
    gate: &'a Gate,
    client: &'a AsyncClient,
    room: Arc<Semaphore>,
    /// What QoS 0 leaves free.
    room_promised: usize,
    received: mpsc::Sender<Received>,
    session_present: bool,
    subscribed: F,
}

impl<F: FnMut(bool)> Poll<'_, F> {
    async fn run(&mut self, event_loop: &mut EventLoop) -> LostError {
        loop {
            let incoming = match event_loop.poll().await {
                Ok(Event::Incoming(incoming)) => incoming,
                Ok(Event::Outgoing(_)) => continue,
                Err(error) => return LostError::Connection(Box::new(error)),
            };
            if let Err(lost) = self.take(incoming).await {
                return lost;
            }
        }
    }

    async fn take(&mut self, incoming: Incoming) -> Result<(), LostError> {
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "rumqttc's enum; the rest is its own business"
        )]
        match incoming {
            Incoming::ConnAck(answer) => {
                self.session_present = answer.session_present;
                let properties = answer.properties.as_ref();
                let shared = properties.and_then(|properties| properties.shared_subscription_available);
                if shared == Some(0) && !self.config.group.is_empty() {
                    return Err(LostError::NoSharedSubscriptions);
                }
                self.subscribe()
            }
            Incoming::SubAck(answer) => {
                let granted = |code: &SubscribeReasonCode| {
                    matches!(
                        code,
                        SubscribeReasonCode::Success(QoS::AtLeastOnce | QoS::ExactlyOnce)
                    )
                };
                match answer.return_codes.into_iter().find(|code| !granted(code)) {
                    Some(code) => Err(LostError::Subscription(code)),
                    None => {
                        self.granted();
                        Ok(())
                    }
                }
            }
            Incoming::Publish(publish) => self.receive(publish).await,
            _ => Ok(()),
        }
    }

    fn subscribe(&self) -> Result<(), LostError> {
        let filters = TOPICS.map(|topic| {
            let path = match self.config.group.as_str() {
                "" => topic.to_owned(),
                group => format!("$share/{group}/{topic}"),
            };
            Filter {
                path,
                qos: QoS::AtLeastOnce,
                // Not again with each connection; a shared subscription has none at all.
                retain_forward_rule: RetainForwardRule::OnNewSubscribe,
                ..Filter::default()
            }
        });
        // The channel is empty at this point, so there is room; were there none, nothing would ever leave.
        self.client
            .try_subscribe_many(filters)
            .map_err(|_| LostError::Overrun)
    }

    fn granted(&mut self) {
        self.gate.metrics.add(&Tally {
            broker_subscriptions: 1,
            ..Tally::default()
        });
        tracing::info!(
            host = self.config.host,
            port = self.config.port,
            group = self.config.group,
            session_present = self.session_present,
            "subscribed at the broker"
        );
        (self.subscribed)(self.session_present);
    }

    async fn receive(&mut self, publish: Publish) -> Result<(), LostError> {
        let promised = publish.qos != QoS::AtMostOnce;
        let mut tally = Tally {
            payload_bytes: u64::try_from(publish.payload.len()).unwrap_or(u64::MAX),
            publishes_qos0: u64::from(!promised),
            publishes_qos1: u64::from(promised),
            ..Tally::default()
        };
        let passed = if promised {
            tokio::time::timeout(ROOM_WAIT, self.pass_on(publish))
                .await
                .is_ok()
        } else {
            self.try_pass_on(publish)
        };
        tally.broker_drops_qos0 = u64::from(!passed && !promised);
        self.gate.metrics.add(&tally);
        if passed || !promised {
            Ok(())
        } else {
            // Not acknowledged, so the broker keeps it and sends it on the next connection.
            Err(LostError::Overrun)
        }
    }

    async fn pass_on(&self, publish: Publish) {
        if let Ok(room) = Arc::clone(&self.room)
            .acquire_many_owned(room_for(&publish))
            .await
        {
            // Both ends live as long as the connection.
            let _ = self.received.send(Received { publish, _room: room }).await;
        }
    }

    /// Passes QoS 0 on while at least half of the room stays free; says whether it did.
    fn try_pass_on(&self, publish: Publish) -> bool {
        match Arc::clone(&self.room).try_acquire_many_owned(room_for(&publish)) {
            Ok(room) if self.room.available_permits() >= self.room_promised => {
                self.received.try_send(Received { publish, _room: room }).is_ok()
            }
            Ok(_) | Err(_) => false,
        }
    }
}

fn room_for(publish: &Publish) -> u32 {
    u32::try_from(permits(publish.payload.len())).unwrap_or(u32::MAX)
}

/// The stage that stores, in the order received.
async fn store(
    config: &SubscribeConfig,
    gate: &Gate,
    mut received: mpsc::Receiver<Received>,
    stored: mpsc::Sender<Stored>,
) -> AppendError {
    let (mut reads, mut record) = (Reads::default(), Vec::new());
    while let Some(Received { mut publish, _room }) = received.recv().await {
        let mut acknowledged = write_record(config, gate, &publish, (&mut reads, &mut record));
        let position = match append(config, gate, &record).await {
            Ok(position) => {
                let mut tally = Tally::default();
                tally.stored(&reads);
                gate.metrics.add(&tally);
                Some(position)
            }
            Err(AppendError::TooLarge { bytes, .. }) => {
                tracing::warn!(bytes, topic = %topic_of(&publish), "publish cannot be stored: record too large");
                acknowledged = Tally::default();
                gate.metrics.add(&Tally {
                    record_too_large: 1,
                    ..Tally::default()
                });
                None
            }
            Err(error) => return error,
        };
        publish.payload = Bytes::new();
        let next = Stored {
            publish,
            position,
            acknowledged,
        };
        if stored.send(next).await.is_err() {
            break;
        }
    }
    std::future::pending().await
}

fn topic_of(publish: &Publish) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(&publish.topic)
}

/// Judges a publish and writes its log record; there always is one. Gives what its acknowledgement will count as.
fn write_record(
    config: &SubscribeConfig,
    gate: &Gate,
    publish: &Publish,
    (reads, record): (&mut Reads, &mut Vec<u8>),
) -> Tally {
    let topic = topic_of(publish);
    let arrival = Arrival {
        // Its broker answers for who it is.
        identity: &Identity::Anybody,
        topic: &topic,
        content_type: publish
            .properties
            .as_ref()
            .and_then(|properties| properties.content_type.as_deref()),
        payload: &publish.payload,
        received_at: gate.clock.now(),
    };
    let mut tally = Tally::default();
    let mut acknowledged = Tally::default();
    match judge(&arrival, &gate.enrolment, reads, record) {
        Verdict::Store => acknowledged.acks_stored = 1,
        Verdict::StoreUndecodable => {
            tally.undecodable = 1;
            acknowledged.acks_undecodable = 1;
        }
        Verdict::NotYours(reason) => {
            tally.not_yours = 1;
            acknowledged.acks_not_yours = 1;
            write_not_yours(config, &arrival, &reason, record);
        }
    }
    gate.metrics.add(&tally);
    if publish.qos == QoS::AtMostOnce {
        return Tally::default();
    }
    acknowledged
}

/// Keeps whole what nobody may publish: the broker forgets it with our acknowledgement, and nothing is dropped without a row.
fn write_not_yours(config: &SubscribeConfig, arrival: &Arrival<'_>, reason: &NotYours, bytes: &mut Vec<u8>) {
    let source = match Topic::parse(arrival.topic) {
        Ok(topic) => topic.publisher.to_string(),
        Err(_) => format!("broker:{}", config.client_id),
    };
    let reason = reason.to_string();
    let texts = [arrival.topic, arrival.content_type.unwrap_or_default(), &reason];
    record::encode_undecodable(arrival.received_at, &source, texts, arrival.payload, bytes);
}

/// Appends a record; waits while the log is full or behind.
async fn append(config: &SubscribeConfig, gate: &Gate, record: &[u8]) -> Result<Position, AppendError> {
    let mut waits = 0_u64;
    loop {
        let outcome = match gate.appender.try_append(record) {
            Err(AppendError::Busy { .. }) => {
                gate.metrics.add(&Tally {
                    append_waits: 1,
                    ..Tally::default()
                });
                gate.appender.append(record).await
            }
            outcome => outcome,
        };
        let Err(AppendError::Full { bytes, bytes_max }) = outcome else {
            if waits > 0 {
                tracing::info!(
                    waits,
                    "log has room again: publishes of the broker are stored again"
                );
            }
            return outcome;
        };
        if waits == 0 {
            tracing::warn!(
                bytes,
                bytes_max,
                "log is full: publishes of the broker wait unacknowledged"
            );
            gate.metrics.add(&Tally {
                log_full: 1,
                ..Tally::default()
            });
        }
        waits += 1;
        tokio::time::sleep(config.full_pause).await;
    }
}

/// The stage that acknowledges, in the order received, what is durable (ACK-1).
async fn acknowledge(gate: &Gate, client: &AsyncClient, mut stored: mpsc::Receiver<Stored>) -> AppendError {
    while let Some(next) = stored.recv().await {
        if let Some(position) = next.position
            && let Err(error) = gate.appender.synced(position).await
        {
            return error;
        }
        // Waits for nothing, see the module's promise; an error means that the connection is at its end.
        if client.ack(&next.publish).await.is_err() {
            break;
        }
        gate.metrics.add(&next.acknowledged);
    }
    std::future::pending().await
}

/// Lets acknowledgements on their way leave, then says goodbye; the session stays with the broker.
async fn farewell(client: &AsyncClient, event_loop: &mut EventLoop) {
    if client.try_disconnect().is_err() {
        return;
    }
    let leave = async {
        while let Ok(event) = event_loop.poll().await {
            if event == Event::Outgoing(Outgoing::Disconnect) {
                break;
            }
        }
    };
    let _ = tokio::time::timeout(FAREWELL_WAIT, leave).await;
}
