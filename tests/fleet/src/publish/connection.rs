//! One connection of a fleet: connect, send, wait for acknowledgements, and again for as long as there is something to send.

use std::{
    pin::Pin,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use tokio::sync::{mpsc, watch};

use super::{
    PublishConfig, Report,
    client::{self, Answer, Client, Link, Seen},
    compose::Message,
    table::{Settled, Table},
    until_stopped,
};
use crate::prng::count;

const RECONNECT_MIN: Duration = Duration::from_millis(50);
const RECONNECT_MAX: Duration = Duration::from_secs(2);
/// How often time-outs are looked at, and publishes that rest are tried again.
const TICK: Duration = Duration::from_millis(250);
/// How long a clean end may take.
const FAREWELL: Duration = Duration::from_millis(500);

type Polling = Pin<Box<dyn Future<Output = (Link, Result<Seen, String>)> + Send>>;

/// Why a connection ended.
enum End {
    /// All is sent and acknowledged, or the stop's time is up.
    Done,
    Lost(String),
}

pub(super) struct Connection {
    config: Arc<PublishConfig>,
    client_id: String,
    table: Table,
    report: Report,
    /// Whether more is to be composed.
    open: bool,
    /// When the run must end, once it was asked to stop.
    deadline: Option<Instant>,
    connected: bool,
}

impl Connection {
    pub(super) fn new(config: Arc<PublishConfig>, client_id: String, report: Report) -> Self {
        Self {
            table: Table::new(config.in_flight),
            config,
            client_id,
            report,
            open: true,
            deadline: None,
            connected: false,
        }
    }

    /// Sends what comes from `messages` until they end and all is acknowledged.
    pub(super) async fn run(
        mut self,
        mut messages: mpsc::Receiver<Message>,
        mut stopping: watch::Receiver<bool>,
    ) -> Report {
        let mut pause = RECONNECT_MIN;
        loop {
            let (client, link) = client::open(&self.config, &self.client_id);
            self.connected = false;
            let end = self.session(&client, link, (&mut messages, &mut stopping)).await;
            self.table.lost(Instant::now());
            match end {
                End::Done => break,
                End::Lost(reason) if self.connected => {
                    pause = RECONNECT_MIN;
                    self.report.reconnects += 1;
                    self.config.progress.reconnects.fetch_add(1, Relaxed);
                    tracing::warn!(client_id = %self.client_id, reason, unacknowledged = self.table.len(), "connection lost");
                }
                End::Lost(reason) => {
                    tracing::debug!(client_id = %self.client_id, reason, "no connection yet")
                }
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(RECONNECT_MAX);
        }
        self.report.publishes_unacknowledged = count(self.table.len());
        self.report.retries = self.table.retries();
        self.report
    }

    async fn session(
        &mut self,
        client: &Client,
        link: Link,
        edges: (&mut mpsc::Receiver<Message>, &mut watch::Receiver<bool>),
    ) -> End {
        let (messages, stopping) = edges;
        let mut polling: Polling = Box::pin(link.next());
        let mut tick = tokio::time::interval(TICK);
        loop {
            if let Some(end) = self.end(Instant::now()) {
                if matches!(end, End::Done) {
                    client.disconnect();
                    farewell(polling).await;
                }
                return end;
            }
            if self.connected {
                self.table.give(Instant::now(), |message| client.publish(message));
            }
            tokio::select! {
                (link, seen) = &mut polling => {
                    match seen {
                        Ok(seen) => self.see(seen, Instant::now()),
                        Err(reason) => return End::Lost(reason),
                    }
                    polling = Box::pin(link.next());
                }
                message = messages.recv(), if self.open && !self.table.is_full() => self.take(message),
                () = until_stopped(stopping), if self.deadline.is_none() => {
                    self.deadline = Some(Instant::now() + self.config.drain_timeout);
                }
                _ = tick.tick() => {}
            }
        }
    }

    /// Whether and how the connection is to end now.
    fn end(&self, now: Instant) -> Option<End> {
        if !self.open && self.table.is_empty() {
            return Some(End::Done);
        }
        if self
            .deadline
            .is_some_and(|deadline| now >= deadline || self.table.is_empty())
        {
            return Some(End::Done);
        }
        let oldest = self.table.oldest_sent()?;
        let silent = now.saturating_duration_since(oldest) > self.config.ack_timeout;
        silent.then(|| End::Lost("no acknowledgement within the time allowed".to_owned()))
    }

    fn take(&mut self, message: Option<Message>) {
        let Some(message) = message else {
            self.open = false;
            return;
        };
        self.report.publishes += 1;
        self.report.reads += count(message.reads.len());
        self.report.events += message.events;
        self.table.push(message, Instant::now());
    }

    fn see(&mut self, seen: Seen, now: Instant) {
        match seen {
            Seen::Connected => self.connected = true,
            Seen::Sent(packet) => self.table.numbered(packet),
            Seen::Acked(packet, answer) => {
                if let Some(settled) = self.table.answered(packet, answer, now) {
                    self.settle(&settled);
                }
            }
            Seen::Other => {}
        }
    }

    fn settle(&mut self, settled: &Settled) {
        match settled.answer {
            Answer::Stored => {
                let reads = count(settled.message.reads.len());
                self.report.publishes_acked += 1;
                self.report.reads_acked += reads;
                let micros = u64::try_from(settled.took.as_micros()).unwrap_or(u64::MAX);
                self.report.puback_micros.saturating_record(micros.max(1));
                self.config.progress.acked(reads);
                if let Some(hook) = &self.config.on_acked {
                    hook(&settled.message.reads);
                }
            }
            Answer::Refused => {
                self.report.publishes_refused += 1;
                tracing::warn!(client_id = %self.client_id, topic = settled.message.topic, "publish refused");
            }
            Answer::Later => {}
        }
    }
}

/// Polls on until the DISCONNECT is out and the connection ends, for a moment at most.
async fn farewell(mut polling: Polling) {
    let until_closed = async move {
        loop {
            let (link, seen) = polling.await;
            if seen.is_err() {
                return;
            }
            polling = Box::pin(link.next());
        }
    };
    // Out of time is as good: the server sees the socket close.
    let _ = tokio::time::timeout(FAREWELL, until_closed).await;
}
