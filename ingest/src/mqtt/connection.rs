//! The driver of one connection: reads, judges, appends, waits for the log, acknowledges.
//!
//! One task, no queue beside the session's own: while the log syncs, reading goes on (that is what fills a group commit); when as
//! many acknowledgements wait as may, reading stops (back-pressure). Whatever ends a connection, except the loss of the socket or
//! of the log, it first stops reading and then sends what it still owes, for at most `drain_timeout`.

use std::{future::Future, io, mem, sync::Arc, time::Duration};

use gridtally_schemas::UtcMicros;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    sync::watch,
    time::{Instant, Sleep, sleep_until, timeout},
};

use super::{
    Shared, answer,
    doors::{Cause, Control, Place},
    handshake::{self, Agreement, HandshakeError, read_some},
    packet::{self, Frame, Packet, Publish, Qos, Violation},
    reason::Reason,
    scratch::Scratch,
    session::{Admission, Session, Unacknowledged},
};
use crate::{
    gate::{self, Arrival, Verdict},
    log::{AppendError, Position},
    metrics::Tally,
    publisher::{Identity, names_of},
    tls::Tls,
};

/// Room for one read, bytes: some 400 small publishes.
const READ_BYTES: usize = 32 << 10;
/// Outgoing bytes beyond which their buffer is given back after use.
const OUT_BYTES_KEPT: usize = 256;

/// Why nothing more is read from a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// The client said DISCONNECT or closed its side.
    Client,
    /// The client broke the protocol.
    Violation(Violation),
    /// A 3.1.1 publish was refused, which cannot be said otherwise.
    Unacknowledged,
    /// The client fell silent.
    Silent,
    /// The endpoint ends it.
    Told(Cause),
}

impl Ending {
    /// What an MQTT 5 client is told.
    const fn reason(self) -> Option<Reason> {
        match self {
            Self::Client | Self::Unacknowledged => None,
            Self::Violation(violation) => Some(violation.reason),
            Self::Silent => Some(Reason::KeepAliveTimeout),
            Self::Told(Cause::Shutdown) => Some(Reason::ServerShuttingDown),
            Self::Told(Cause::TakenOver) => Some(Reason::SessionTakenOver),
            Self::Told(Cause::LogFailed | Cause::Crowded) => Some(Reason::ServerUnavailable),
        }
    }

    fn count(self) -> Tally {
        let mut tally = Tally::default();
        match self {
            Self::Client | Self::Unacknowledged => {}
            Self::Violation(_) => tally.protocol_errors = 1,
            Self::Silent | Self::Told(Cause::Crowded) => tally.timeouts = 1,
            Self::Told(Cause::TakenOver) => tally.connections_taken_over = 1,
            Self::Told(Cause::Shutdown | Cause::LogFailed) => {}
        }
        tally
    }
}

/// What ends a connection at once.
#[derive(Debug)]
enum Lost {
    Socket(io::Error),
    /// The client does not read.
    WriteTimeout,
    Log,
}

impl From<io::Error> for Lost {
    fn from(error: io::Error) -> Self {
        Self::Socket(error)
    }
}

/// Agrees on TLS, and serves the connection until it ends. A client without a certificate is a client without names.
pub(super) async fn serve_tls(stream: TcpStream, tls: Tls, place: Place, shared: Arc<Shared>) {
    let control = place.control();
    let agree = async {
        stream.readable().await?;
        control.note_spoken();
        tls.acceptor().accept(stream).await
    };
    let accepted = tokio::select! {
        cause = control.ended() => {
            shared.gate.metrics.add(&Ending::Told(cause).count());
            return;
        }
        accepted = timeout(shared.config.connect_timeout, agree) => accepted,
    };
    drop(tls);
    match accepted {
        Ok(Ok(stream)) => {
            let shown = stream
                .get_ref()
                .1
                .peer_certificates()
                .and_then(|chain| chain.first());
            let names = shown.map(|certificate| names_of(certificate));
            serve((stream, names), place, shared).await;
        }
        Ok(Err(error)) => {
            tracing::debug!(number = place.number(), %error, "no TLS");
            shared.gate.metrics.add(&Tally {
                tls_failed: 1,
                ..Tally::default()
            });
        }
        Err(_) => shared.gate.metrics.add(&Ending::Silent.count()),
    }
}

/// Serves one connection, with the names in its certificate, until it ends.
pub(super) async fn serve<S>(
    (mut stream, certificate): (S, Option<Box<[Box<str>]>>),
    mut place: Place,
    shared: Arc<Shared>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let mut buffer = Vec::new();
    let number = place.number();
    let shaken = shake_hands((&mut stream, certificate), &mut buffer, &place, &shared).await;
    let Some((agreement, connack)) = shaken else {
        return;
    };
    place.open_session(&agreement.client_id);
    tracing::debug!(number, client_id = agreement.client_id, version = ?agreement.version, "connected");
    let control = place.control();
    let mut connection = Connection {
        stream,
        session: Session::new(agreement.version, &shared.config),
        buffer,
        out: connack,
        ending: None,
        identity: agreement.identity,
        heard_at: Instant::now(),
        silence_max: Duration::from_secs(u64::from(agreement.keep_alive_seconds)) * 3 / 2,
        shared,
    };
    let outcome = connection.run(&control).await;
    let (mut tally, ending) = (Tally::default(), connection.ending);
    if let Err(Lost::Socket(error)) = &outcome {
        tracing::debug!(number, %error, "connection lost");
    }
    match (outcome, ending) {
        (Err(Lost::WriteTimeout), _) => tally.timeouts = 1,
        (Err(Lost::Socket(_) | Lost::Log) | Ok(()), Some(ending)) => tally = ending.count(),
        (Err(Lost::Socket(_) | Lost::Log) | Ok(()), None) => {}
    }
    connection.shared.gate.metrics.add(&tally);
    tracing::debug!(number, client_id = agreement.client_id, ?ending, "disconnected");
}

/// The CONNECT, within its time; a refused client is told.
async fn shake_hands<S>(
    (stream, certificate): (&mut S, Option<Box<[Box<str>]>>),
    buffer: &mut Vec<u8>,
    place: &Place,
    shared: &Shared,
) -> Option<(Agreement, Vec<u8>)>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let control = place.control();
    let decide = |connect: &packet::Connect<'_>| {
        handshake::decide(connect, &shared.config, (place.number(), certificate))
    };
    let received = tokio::select! {
        cause = control.ended() => {
            shared.gate.metrics.add(&Ending::Told(cause).count());
            return None;
        }
        received = timeout(shared.config.connect_timeout, handshake::receive(stream, buffer, decide)) => received,
    };
    match received {
        Ok(Ok(agreed)) => return Some(agreed),
        Ok(Err(HandshakeError::Gone(error))) => {
            tracing::debug!(number = place.number(), %error, "went away before its CONNECT");
        }
        Ok(Err(HandshakeError::Refused { reason, detail, tell })) => {
            tracing::debug!(number = place.number(), detail, "CONNECT refused");
            shared.gate.metrics.add(&refusal(reason));
            if let Some(version) = tell {
                let mut out = Vec::new();
                answer::refuse_connect(reason, version, &mut out);
                let _ = timeout(shared.config.write_timeout, stream.write_all(&out)).await;
                let _ = timeout(shared.config.write_timeout, stream.shutdown()).await;
            }
        }
        Err(_) => shared.gate.metrics.add(&Ending::Silent.count()),
    }
    None
}

/// What a refused CONNECT counts as.
fn refusal(reason: Reason) -> Tally {
    let mut tally = Tally::default();
    if matches!(reason, Reason::NotAuthorized | Reason::BadUserNameOrPassword) {
        tally.connections_unauthorized = 1;
    } else {
        tally.protocol_errors = 1;
    }
    tally
}

struct Connection<S> {
    stream: S,
    shared: Arc<Shared>,
    session: Session,
    /// Received and not yet taken.
    buffer: Vec<u8>,
    /// To be sent.
    out: Vec<u8>,
    ending: Option<Ending>,
    /// Who it speaks for.
    identity: Identity,
    /// When the last whole packet came.
    heard_at: Instant,
    silence_max: Duration,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Connection<S> {
    async fn run(&mut self, control: &Control) -> Result<(), Lost> {
        let mut synced = self.shared.gate.appender.subscribe();
        let mut timer = Box::pin(sleep_until(self.heard_at + self.silence_max));
        loop {
            let was_ending = self.ending.is_some();
            let left_over = match self.ending {
                None => self.take_packets().await?,
                Some(_) => LeftOver::Partial,
            };
            let end = *synced.borrow();
            self.settle(end).await?;
            if self.ending.is_some() {
                if self.session.is_settled() {
                    return self.farewell().await;
                }
                if !was_ending {
                    timer
                        .as_mut()
                        .reset(Instant::now() + self.shared.config.drain_timeout);
                }
            } else if left_over == LeftOver::Packets && !self.session.is_full() {
                continue;
            }
            let ending = self.wait(control, &mut synced, timer.as_mut()).await?;
            if let Some(ending) = ending {
                if self.ending.is_some() {
                    // The drain has run out of time.
                    return self.farewell().await;
                }
                self.ending = Some(ending);
                timer
                    .as_mut()
                    .reset(Instant::now() + self.shared.config.drain_timeout);
            }
        }
    }

    /// Waits for the next thing to happen: bytes, a sync, the end of patience, a word from the endpoint.
    async fn wait(
        &mut self,
        control: &Control,
        synced: &mut watch::Receiver<Position>,
        mut timer: std::pin::Pin<&mut Sleep>,
    ) -> Result<Option<Ending>, Lost> {
        let reads = self.ending.is_none() && !self.session.is_full();
        let before = *synced.borrow();
        tokio::select! {
            cause = control.ended(), if self.ending.is_none() => match cause {
                Cause::LogFailed => Err(Lost::Log),
                Cause::Shutdown | Cause::TakenOver | Cause::Crowded => Ok(Some(Ending::Told(cause))),
            },
            changed = synced.changed(), if !self.session.is_settled() => {
                // A poisoned log announces without moving on.
                let stuck = *synced.borrow() == before && self.shared.gate.appender.failure().is_some();
                if changed.is_err() || stuck { Err(Lost::Log) } else { Ok(None) }
            }
            read = read_some(&mut self.stream, &mut self.buffer, READ_BYTES), if reads => match read? {
                0 => Ok(Some(Ending::Client)),
                _ => Ok(None),
            },
            () = &mut timer => {
                let silent_at = self.heard_at + self.silence_max;
                if self.ending.is_some() || (reads && silent_at <= Instant::now()) {
                    return Ok(Some(Ending::Silent));
                }
                // It was heard since, or is not listened to because of back-pressure.
                timer.as_mut().reset(silent_at.max(Instant::now() + Duration::from_secs(1)));
                Ok(None)
            }
        }
    }

    /// Sends the acknowledgements that are due.
    async fn settle(&mut self, synced: Position) -> Result<(), Lost> {
        let mut tally = Tally::default();
        self.session.on_synced(synced, &mut self.out, &mut tally);
        if self.out.is_empty() {
            return Ok(());
        }
        let stream = &mut self.stream;
        let sent = async {
            stream.write_all(&self.out).await?;
            // TLS may still hold some of it.
            stream.flush().await
        };
        let Ok(written) = timeout(self.shared.config.write_timeout, sent).await else {
            return Err(Lost::WriteTimeout);
        };
        written?;
        self.shared.gate.metrics.add(&tally);
        self.out.clear();
        if self.out.capacity() > OUT_BYTES_KEPT {
            self.out = Vec::new();
        }
        Ok(())
    }

    /// The last word, and the end of the stream.
    async fn farewell(&mut self) -> Result<(), Lost> {
        if let Some(reason) = self.ending.and_then(Ending::reason) {
            answer::disconnect(reason, self.session.version(), &mut self.out);
        }
        let stream = &mut self.stream;
        let last = async {
            stream.write_all(&self.out).await?;
            stream.shutdown().await
        };
        match timeout(self.shared.config.write_timeout, last).await {
            Ok(sent) => Ok(sent?),
            Err(_) => Err(Lost::WriteTimeout),
        }
    }

    /// Takes the packets that the buffer holds, as far as acknowledgements may wait for them.
    async fn take_packets(&mut self) -> Result<LeftOver, Lost> {
        if self.buffer.is_empty() {
            return Ok(LeftOver::Partial);
        }
        let buffer = mem::take(&mut self.buffer);
        let mut batch = Batch {
            received_at: self.shared.gate.clock.now(),
            scratch: self.shared.scratches.take(),
            tally: Tally::default(),
        };
        let mut taken = 0;
        let mut rest = buffer.as_slice();
        let left_over = loop {
            if self.session.is_full() {
                break Ok(LeftOver::Packets);
            }
            let frame = match packet::frame(rest, self.shared.config.packet_bytes_max) {
                Ok(Frame::Whole { first, body, length }) => {
                    taken += length;
                    rest = rest.get(length..).unwrap_or_default();
                    packet::packet(first, body, self.session.version())
                }
                Ok(Frame::Partial { .. }) => break Ok(LeftOver::Partial),
                Err(violation) => Err(violation),
            };
            let outcome = match frame {
                Ok(packet) => self.on_packet(packet, &mut batch).await,
                Err(violation) => Err(Stop::End(Ending::Violation(violation))),
            };
            match outcome {
                Ok(()) => {}
                Err(Stop::Lost(lost)) => break Err(lost),
                Err(Stop::End(ending)) => {
                    self.ending = Some(ending);
                    break Ok(LeftOver::Partial);
                }
            }
        };
        if taken > 0 {
            self.heard_at = Instant::now();
        }
        self.buffer = buffer;
        self.buffer.drain(..taken);
        self.shared.gate.metrics.add(&batch.tally);
        self.shared.scratches.give_back(batch.scratch);
        left_over
    }

    async fn on_packet(&mut self, packet: Packet<'_>, batch: &mut Batch) -> Result<(), Stop> {
        let version = self.session.version();
        match packet {
            Packet::Publish(publish) => return self.on_publish(&publish, batch).await,
            Packet::Release { packet_id } => self.session.released(packet_id),
            Packet::Subscribe { packet_id, filters } => {
                answer::refuse_subscribe(packet_id, filters, version, &mut self.out);
            }
            Packet::Unsubscribe { packet_id, filters } => {
                answer::answer_unsubscribe(packet_id, filters, version, &mut self.out);
            }
            Packet::Ping => answer::pong(&mut self.out),
            Packet::Disconnect => return Err(Stop::End(Ending::Client)),
        }
        Ok(())
    }

    async fn on_publish(&mut self, publish: &Publish<'_>, batch: &mut Batch) -> Result<(), Stop> {
        if self.session.admit(publish)? == Admission::Again {
            self.session.topic(publish)?;
            return Ok(());
        }
        count(publish, &mut batch.tally);
        let arrival = Arrival {
            topic: self.session.topic(publish)?,
            content_type: publish.content_type,
            payload: publish.payload,
            received_at: batch.received_at,
            identity: &self.identity,
        };
        let Scratch {
            publish: decoded,
            record,
        } = &mut batch.scratch;
        let reason = match gate::judge(&arrival, &self.shared.gate.enrolment, decoded, record) {
            Verdict::Store => Reason::Success,
            Verdict::StoreUndecodable => Reason::PayloadFormatInvalid,
            Verdict::NotYours(why) => {
                tracing::debug!(topic = arrival.topic, %why, "publish refused");
                batch.tally.not_yours += 1;
                return Ok(self.session.refused(publish, Reason::NotAuthorized)?);
            }
        };
        match append(&self.shared, record, &mut batch.tally).await {
            Ok(position) => {
                batch.tally.stored(decoded);
                batch.tally.undecodable += u64::from(reason == Reason::PayloadFormatInvalid);
                self.session.stored(publish, position, reason);
                Ok(())
            }
            Err(AppendError::Full { .. } | AppendError::Busy { .. }) => {
                batch.tally.log_full += 1;
                Ok(self.session.refused(publish, Reason::QuotaExceeded)?)
            }
            Err(AppendError::TooLarge { .. }) => {
                batch.tally.record_too_large += 1;
                Ok(self
                    .session
                    .refused(publish, Reason::ImplementationSpecificError)?)
            }
            Err(AppendError::Poisoned(_) | AppendError::Closed) => Err(Stop::Lost(Lost::Log)),
        }
    }
}

/// What `take_packets` has left in the buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LeftOver {
    /// Nothing, or the beginning of a packet.
    Partial,
    /// Perhaps whole packets: too many acknowledgements wait.
    Packets,
}

/// What the packets of one read share.
struct Batch {
    received_at: UtcMicros,
    scratch: Scratch,
    tally: Tally,
}

/// Why the packets of one read are not taken further.
enum Stop {
    Lost(Lost),
    End(Ending),
}

impl From<Violation> for Stop {
    fn from(violation: Violation) -> Self {
        Self::End(Ending::Violation(violation))
    }
}

impl From<Unacknowledged> for Stop {
    fn from(_: Unacknowledged) -> Self {
        Self::End(Ending::Unacknowledged)
    }
}

/// Appends, waiting for room when the disk is behind.
#[expect(
    clippy::manual_async_fn,
    reason = "an async fn cannot promise that its future is Send"
)]
fn append<'a>(
    shared: &'a Shared,
    record: &'a [u8],
    tally: &'a mut Tally,
) -> impl Future<Output = Result<Position, AppendError>> + Send + 'a {
    async move {
        match shared.gate.appender.try_append(record) {
            Err(AppendError::Busy { .. }) => {
                tally.append_waits += 1;
                shared.gate.appender.append(record).await
            }
            outcome => outcome,
        }
    }
}

fn count(publish: &Publish<'_>, tally: &mut Tally) {
    match publish.qos {
        Qos::AtMostOnce => tally.publishes_qos0 += 1,
        Qos::AtLeastOnce => tally.publishes_qos1 += 1,
        Qos::ExactlyOnce => tally.publishes_qos2 += 1,
    }
    tally.payload_bytes += u64::try_from(publish.payload.len()).unwrap_or(0);
}
