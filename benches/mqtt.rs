//! The MQTT endpoint over a durable log: 1,000 connections that publish single reads at QoS 1, all in this process.
//! Command: `cargo bench --bench mqtt` (needs 2,300 open files: `ulimit -n`)
//!
//! Full load: every connection keeps as many publishes unacknowledged as its window. Half load: half of the median rate of
//! full load, open loop: each publish has its time, and the wait counts from there, whenever it was really sent.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::print_stdout,
    clippy::large_futures,
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    reason = "a bench is an edge and ends by panicking"
)]

mod rounds;

use std::{
    collections::VecDeque,
    net::SocketAddr,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use gridtally_ingest::{
    gate::{Enrolment, Gate},
    log::{Log, LogConfig, Position},
    metrics::IngestMetrics,
    mqtt::{self, MqttConfig},
};
use gridtally_schemas::{Clock, IntervalRead, Publish, UtcMicros, wire};
use hdrhistogram::Histogram;
use rounds::{Rounds, machine, per_second};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    time::{sleep_until, timeout_at},
};

const CONNECTIONS: usize = 1_000;
const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_millis(1_500);
/// The target of single reads at QoS 1, durable.
const PUBLISHES_PER_SECOND: f64 = 30_000.0;
/// The target of the wait at half of that, p99.
const PUBACK_MS: f64 = 50.0;
/// Bytes of an MQTT 3.1.1 PUBACK.
const PUBACK_BYTES: usize = 4;

/// What a meter publishes.
#[derive(Clone, Copy)]
enum Form {
    Protobuf,
    Json,
}

/// A PUBLISH of meter `number` up to its packet id, and what follows that.
struct Packet {
    before: Vec<u8>,
    after: Vec<u8>,
}

impl Packet {
    fn new(number: usize, form: Form) -> Self {
        let meter = format!("MH{number:08}");
        let mut publish = Publish::default();
        publish.begin_meter(&meter).unwrap();
        publish.push_read(IntervalRead {
            export_wh: Some(0),
            import_vah: Some(341),
            voltage_v: Some(231.4),
            current_a: Some(1.42),
            ..IntervalRead::new(UtcMicros(1_775_000_700_000_000), Some(312))
        });
        let mut after = Vec::new();
        match form {
            Form::Protobuf => wire::encode_protobuf(&publish, &mut after),
            Form::Json => wire::encode_json(&publish, &mut after),
        }
        let topic = format!("ami/v1/meters/{meter}/reads");
        let mut rest = 2 + topic.len() + 2 + after.len();
        let mut before = vec![0x32];
        while rest >= 128 {
            before.push((rest % 128) as u8 | 0x80);
            rest /= 128;
        }
        before.push(rest as u8);
        before.extend_from_slice(&(topic.len() as u16).to_be_bytes());
        before.extend_from_slice(topic.as_bytes());
        Self { before, after }
    }

    fn push(&self, packet_id: u16, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&self.before);
        bytes.extend_from_slice(&packet_id.to_be_bytes());
        bytes.extend_from_slice(&self.after);
    }
}

/// A meter's connection.
struct Meter {
    stream: TcpStream,
    packet: Packet,
    packet_id: u16,
    /// When each unacknowledged publish was due, oldest first.
    due: VecDeque<Instant>,
    /// Microseconds from due to PUBACK.
    waits: Vec<u64>,
    out: Vec<u8>,
    received: Vec<u8>,
}

impl Meter {
    async fn connect(endpoint: SocketAddr, number: usize, form: Form) -> Self {
        let mut stream = TcpStream::connect(endpoint).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let id = format!("bench-{number:04}");
        let mut connect = vec![0x10, 12 + id.len() as u8];
        connect.extend_from_slice(b"\0\x04MQTT\x04\x02\0\x3C");
        connect.extend_from_slice(&(id.len() as u16).to_be_bytes());
        connect.extend_from_slice(id.as_bytes());
        stream.write_all(&connect).await.unwrap();
        let mut connack = [0; 4];
        stream.read_exact(&mut connack).await.unwrap();
        assert_eq!(connack, [0x20, 2, 0, 0]);
        Self {
            stream,
            packet: Packet::new(number, form),
            packet_id: 0,
            due: VecDeque::new(),
            waits: Vec::new(),
            out: Vec::new(),
            received: Vec::new(),
        }
    }

    async fn publish(&mut self, count: usize, due: Instant) {
        self.out.clear();
        for _ in 0..count {
            self.packet_id = self.packet_id.checked_add(1).unwrap_or(1);
            self.packet.push(self.packet_id, &mut self.out);
            self.due.push_back(due);
        }
        self.stream.write_all(&self.out).await.unwrap();
    }

    /// Takes what PUBACKs have come, at least one; gives their number.
    async fn acknowledged(&mut self) -> usize {
        let read = self.stream.read_buf(&mut self.received).await.unwrap();
        assert!(read > 0, "the endpoint closed a connection");
        let count = self.received.len() / PUBACK_BYTES;
        let now = Instant::now();
        for ack in self.received.chunks_exact(PUBACK_BYTES) {
            assert_eq!(ack[..2], [0x40, 2]);
            let due = self.due.pop_front().unwrap();
            self.waits
                .push(now.saturating_duration_since(due).as_micros() as u64);
        }
        self.received.drain(..count * PUBACK_BYTES);
        count
    }

    /// Keeps `window` publishes unacknowledged until `end`.
    async fn full(mut self, window: usize, end: Instant) -> Self {
        self.publish(window, Instant::now()).await;
        while Instant::now() < end {
            let count = self.acknowledged().await;
            self.publish(count, Instant::now()).await;
        }
        self.drain().await
    }

    /// Publishes at its times until `end`, whether or not acknowledgements come.
    async fn paced(mut self, first: Instant, every: Duration, end: Instant) -> Self {
        let mut due = first;
        while due < end {
            if Instant::now() >= due {
                self.publish(1, due).await;
                due += every;
            } else if self.due.is_empty() {
                sleep_until(due.into()).await;
            } else {
                let _ = timeout_at(due.into(), self.acknowledged()).await;
            }
        }
        self.drain().await
    }

    async fn drain(mut self) -> Self {
        while !self.due.is_empty() {
            self.acknowledged().await;
        }
        self
    }
}

/// What a load gave over its rounds.
struct Load {
    rate: Rounds,
    half: Rounds,
    most: Rounds,
}

impl Load {
    fn new(name: &str) -> Self {
        Self {
            rate: Rounds::new(format!("{name}: rate"), "publishes/s").at_least(PUBLISHES_PER_SECOND),
            half: Rounds::new(format!("{name}: PUBACK p50"), "ms"),
            most: Rounds::new(format!("{name}: PUBACK p99"), "ms"),
        }
    }

    /// Of an open loop: what was offered is its rate, and the wait is what has a target.
    fn paced(name: &str, publishes_per_second: f64) -> Self {
        let name = format!("{name}, {publishes_per_second:.0}/s offered");
        let most = Rounds::new(format!("{name}: PUBACK p99"), "ms");
        Self {
            rate: Rounds::new(format!("{name}: rate"), "publishes/s"),
            half: Rounds::new(format!("{name}: PUBACK p50"), "ms"),
            most: if publishes_per_second > PUBLISHES_PER_SECOND {
                most
            } else {
                most.at_most(PUBACK_MS)
            },
        }
    }

    fn note(&mut self, began: Instant, meters: &mut [Meter]) {
        let mut waits = Histogram::<u64>::new(3).unwrap();
        for meter in meters {
            for wait in meter.waits.drain(..) {
                waits.record(wait).unwrap();
            }
        }
        self.rate.note(per_second(waits.len() as usize, began));
        self.half.note(waits.value_at_quantile(0.5) as f64 / 1_000.0);
        self.most.note(waits.value_at_quantile(0.99) as f64 / 1_000.0);
    }

    fn print(&self) {
        println!("{}\n{}\n{}", self.rate, self.half, self.most);
    }
}

async fn together(tasks: Vec<tokio::task::JoinHandle<Meter>>) -> Vec<Meter> {
    let mut meters = Vec::with_capacity(tasks.len());
    for task in tasks {
        meters.push(task.await.unwrap());
    }
    meters
}

/// Gives the median rate.
async fn full(name: &str, mut meters: Vec<Meter>, window: usize) -> (f64, Vec<Meter>) {
    let mut load = Load::new(&format!("{name}, window {window}"));
    for _ in 0..ROUNDS {
        let began = Instant::now();
        let run = |meter: Meter| tokio::spawn(meter.full(window, began + ROUND));
        meters = together(meters.into_iter().map(run).collect()).await;
        load.note(began, &mut meters);
    }
    load.print();
    (load.rate.median(), meters)
}

async fn paced(name: &str, mut meters: Vec<Meter>, publishes_per_second: f64) -> Vec<Meter> {
    let every = Duration::from_secs_f64(CONNECTIONS as f64 / publishes_per_second);
    let mut load = Load::paced(name, publishes_per_second);
    for _ in 0..ROUNDS {
        let began = Instant::now();
        let run = |(number, meter): (usize, Meter)| {
            // Spread evenly over the pause, so that no two meters are in step.
            let first = began + every.mul_f64(number as f64 / CONNECTIONS as f64);
            tokio::spawn(meter.paced(first, every, began + ROUND))
        };
        meters = together(meters.into_iter().enumerate().map(run).collect()).await;
        load.note(began, &mut meters);
    }
    load.print();
    meters
}

async fn connect(endpoint: SocketAddr, form: Form) -> Vec<Meter> {
    let mut meters = Vec::with_capacity(CONNECTIONS);
    for number in 0..CONNECTIONS {
        meters.push(Meter::connect(endpoint, number, form).await);
    }
    meters
}

async fn measure(folder: &Path) {
    let folder = tempfile::tempdir_in(folder).unwrap();
    let config = LogConfig {
        bytes_max: 64 << 30,
        ..LogConfig::new(folder.path())
    };
    let log = Log::open(config, Position(0)).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = listener.local_addr().unwrap();
    let metrics = Arc::new(IngestMetrics::default());
    let gate = Gate {
        appender: log.appender(),
        clock: Clock::system(0),
        enrolment: Arc::new(Enrolment::default()),
        metrics: Arc::clone(&metrics),
    };
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(mqtt::run(listener, MqttConfig::default(), gate, async move {
        let _ = stopped.await;
    }));
    let meters = connect(endpoint, Form::Protobuf).await;
    let (_, meters) = full("protobuf", meters, 1).await;
    let (rate, meters) = full("protobuf", meters, 16).await;
    let meters = paced("protobuf, half load", meters, rate / 2.0).await;
    drop(paced("protobuf, half of the target", meters, PUBLISHES_PER_SECOND / 2.0).await);
    let meters = connect(endpoint, Form::Json).await;
    drop(full("JSON", meters, 16).await);
    stop.send(()).unwrap();
    serving.await.unwrap().unwrap();
    let totals = metrics.totals();
    assert_eq!(
        log.close().unwrap().0,
        totals.acks_stored,
        "every record was acknowledged"
    );
}

fn main() {
    println!("{}", machine(env!("CARGO_TARGET_TMPDIR")));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(measure(Path::new(env!("CARGO_TARGET_TMPDIR"))));
}
