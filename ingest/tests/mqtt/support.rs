//! An endpoint on a log whose disk can be held back or made to fail, and a client that sends what it is told.

use std::{net::SocketAddr, sync::Arc};

use gridtally_ingest::{
    gate::{Enrolment, Gate},
    log::{Log, LogBatch, LogConfig, Position},
    metrics::IngestMetrics,
    mqtt::{self, MqttConfig, MqttError},
};
use gridtally_schemas::{Clock, UtcMicros};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::oneshot,
    task::JoinHandle,
    time::timeout,
};

pub(crate) use crate::held_disk::{PATIENCE, TestDisk, until};

pub(crate) const TOPIC: &str = "ami/v1/meters/M1/reads";
pub(crate) const PAYLOAD: &[u8] =
    br#"{"reads":[{"interval_end":"2026-04-01T00:30:00+05:30","import_wh":312}]}"#;
pub(crate) const GARBAGE: &[u8] = b"{ this is no JSON";

/// What a test sets.
pub(crate) struct Settings {
    pub(crate) mqtt: MqttConfig,
    pub(crate) log: LogConfig,
    pub(crate) enrolment: Enrolment,
}

/// A running endpoint.
pub(crate) struct Endpoint {
    pub(crate) address: SocketAddr,
    pub(crate) log: Log,
    pub(crate) disk: TestDisk,
    pub(crate) metrics: Arc<IngestMetrics>,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<Result<(), MqttError>>,
    _directory: TempDir,
}

impl Endpoint {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub(crate) async fn start_with(set: impl FnOnce(&mut Settings)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut settings = Settings {
            mqtt: MqttConfig::default(),
            log: LogConfig::new(directory.path().join("log")),
            enrolment: Enrolment::default(),
        };
        set(&mut settings);
        let disk = TestDisk::default();
        let log = Log::open_on(Arc::new(disk.clone()), settings.log, Position(0)).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let metrics = Arc::new(IngestMetrics::default());
        let gate = Gate {
            appender: log.appender(),
            clock: Clock::fixed(UtcMicros(1_775_000_000_000_000)),
            enrolment: Arc::new(settings.enrolment),
            metrics: Arc::clone(&metrics),
        };
        let (stop, stopped) = oneshot::channel();
        let shutdown = async move {
            let _ = stopped.await;
        };
        let task = tokio::spawn(mqtt::run(listener, settings.mqtt, gate, shutdown));
        Self {
            address,
            log,
            disk,
            metrics,
            stop: Some(stop),
            task,
            _directory: directory,
        }
    }

    /// Asks it to shut down.
    pub(crate) fn stop(&mut self) {
        let _ = self.stop.take().unwrap().send(());
    }

    /// How it ended.
    pub(crate) async fn outcome(&mut self) -> Result<(), MqttError> {
        timeout(PATIENCE, &mut self.task)
            .await
            .expect("endpoint did not end")
            .unwrap()
    }

    /// Synced records.
    pub(crate) fn records(&self) -> Vec<Vec<u8>> {
        let mut reader = self.log.reader(Position(0)).unwrap();
        let mut batch = LogBatch::default();
        let mut records = Vec::new();
        while reader.read(&mut batch, 1 << 20).unwrap() > 0 {
            records.extend(batch.iter().map(|(_, record)| record.to_vec()));
        }
        records
    }

    /// A client that has been accepted.
    pub(crate) async fn client(&self, version: Version, client_id: &str) -> Client {
        let mut client = self.raw(version).await;
        client.send(&connect(version, client_id, 60)).await;
        let connack = client.packet().await.expect("CONNACK");
        assert_eq!((connack[0], connack[3]), (0x20, 0), "accepted");
        client
    }

    /// A client that has sent nothing yet.
    pub(crate) async fn raw(&self, version: Version) -> Client {
        let stream = TcpStream::connect(self.address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Client {
            stream,
            version,
            received: Vec::new(),
        }
    }

    /// As [`Self::raw`], with a small receive buffer.
    pub(crate) async fn narrow(&self, version: Version) -> Client {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4_096).unwrap();
        let stream = socket.connect(self.address).await.unwrap();
        Client {
            stream,
            version,
            received: Vec::new(),
        }
    }

    /// Fails unless a new client is served as usual.
    pub(crate) async fn assert_serves(&self) {
        for version in [V311, V5] {
            let mut client = self.client(version, "assert-serves").await;
            client.publish(1, 77, TOPIC, PAYLOAD).await;
            assert_eq!(client.packet().await.unwrap(), [0x40, 2, 0, 77]);
        }
        assert_eq!(self.metrics.totals().panics, 0);
    }
}

impl Drop for Endpoint {
    /// A test that failed while the disk was held must not hang.
    fn drop(&mut self) {
        self.disk.release();
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    V311,
    V5,
}
pub(crate) use Version::{V5, V311};

/// A client that sends what it is told and reads packets whole.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    version: Version,
    received: Vec<u8>,
}

impl Client {
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        timeout(PATIENCE, self.stream.write_all(bytes))
            .await
            .expect("send blocked")
            .unwrap();
    }

    pub(crate) async fn publish(&mut self, qos: u8, packet_id: u16, topic: &str, payload: &[u8]) {
        let bytes = publish(self.version, qos, packet_id, topic, payload);
        self.send(&bytes).await;
    }

    /// The next packet; `None` when the connection was closed.
    pub(crate) async fn packet(&mut self) -> Option<Vec<u8>> {
        timeout(PATIENCE, self.read_packet())
            .await
            .expect("no packet and no end of the connection")
    }

    async fn read_packet(&mut self) -> Option<Vec<u8>> {
        loop {
            if self.received.len() >= 2 {
                assert!(self.received[1] < 128, "answers are short");
                let length = 2 + usize::from(self.received[1]);
                if self.received.len() >= length {
                    return Some(self.received.drain(..length).collect());
                }
            }
            let read = self.stream.read_buf(&mut self.received).await;
            if read.as_ref().is_ok_and(|count| *count > 0) {
                continue;
            }
            assert!(self.received.is_empty(), "connection ended inside a packet");
            return None;
        }
    }

    /// Sends a PINGREQ and fails unless its answer is the next packet: all that was sent before has then been taken, and
    /// nothing of it is answered yet.
    pub(crate) async fn assert_unanswered(&mut self) {
        self.send(&[0xC0, 0]).await;
        assert_eq!(
            self.packet().await.expect("PINGRESP"),
            [0xD0, 0],
            "something was answered too early"
        );
    }

    pub(crate) async fn assert_closed(&mut self) {
        assert_eq!(self.packet().await, None);
    }
}

fn text(text: &str) -> Vec<u8> {
    let mut bytes = u16::try_from(text.len()).unwrap().to_be_bytes().to_vec();
    bytes.extend_from_slice(text.as_bytes());
    bytes
}

/// A packet: first byte, length, body.
pub(crate) fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    let mut rest = body.len();
    loop {
        let byte = u8::try_from(rest % 128).unwrap();
        rest /= 128;
        bytes.push(if rest > 0 { byte | 0x80 } else { byte });
        if rest == 0 {
            break;
        }
    }
    bytes.extend_from_slice(body);
    bytes
}

pub(crate) fn connect(version: Version, client_id: &str, keep_alive_seconds: u16) -> Vec<u8> {
    let mut body = text("MQTT");
    body.push(if version == V5 { 5 } else { 4 });
    body.push(0x02);
    body.extend_from_slice(&keep_alive_seconds.to_be_bytes());
    if version == V5 {
        body.push(0);
    }
    body.extend(text(client_id));
    packet(0x10, &body)
}

pub(crate) fn publish(version: Version, qos: u8, packet_id: u16, topic: &str, payload: &[u8]) -> Vec<u8> {
    publish_with(version, (qos, packet_id), topic, &[], payload)
}

/// A PUBLISH with MQTT 5 properties.
pub(crate) fn publish_with(
    version: Version,
    (qos, packet_id): (u8, u16),
    topic: &str,
    properties: &[u8],
    payload: &[u8],
) -> Vec<u8> {
    let mut body = text(topic);
    if qos > 0 {
        body.extend_from_slice(&packet_id.to_be_bytes());
    }
    if version == V5 {
        body.push(u8::try_from(properties.len()).unwrap());
        body.extend_from_slice(properties);
    }
    body.extend_from_slice(payload);
    packet(0x30 | (qos << 1), &body)
}
