//! A publisher that is not the limit: frames made beforehand, raw sockets, MQTT 3.1.1.
#![allow(dead_code, reason = "each bench uses its own part of this")]

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use gridtally_fleet::{Feeder, Fleet, MeterRef, Quarter, flow::Reads};
use gridtally_schemas::{PowerEvent, Publish, UtcMicros, wire};

const READS: &[u8] = b"ami/v1/gateways/hes-1/reads";
const EVENTS: &[u8] = b"ami/v1/gateways/hes-1/events";
const READS_PER_PUBLISH: usize = 100;
/// Unacknowledged publishes of a connection at most.
const IN_FLIGHT: usize = 1_000;
/// Publishes written at once.
const BURST: usize = 50;

/// PUBLISH packets at QoS 1, ready to be sent, their packet ids in turn from 1 to 50,000.
pub struct Frames {
    bytes: Vec<u8>,
    /// Where each begins, and where the last ends.
    bounds: Vec<usize>,
    reads: usize,
}

/// Room that is used again for each publish.
#[derive(Default)]
pub struct Batches {
    publish: Publish,
    payload: Vec<u8>,
    id: String,
}

/// A run of frames.
#[derive(Clone, Copy)]
pub struct Part<'a> {
    bytes: &'a [u8],
    bounds: &'a [usize],
}

impl Frames {
    /// None yet.
    pub fn none() -> Self {
        Self {
            bytes: Vec::new(),
            bounds: vec![0],
            reads: 0,
        }
    }

    /// Every read of the fleet in `quarters` quarter hours from `start` on: what a gateway sends in protobuf, interval by interval.
    pub fn of(fleet: &Fleet, start: UtcMicros, quarters: i64) -> Self {
        let mut frames = Self::none();
        let feeders: Vec<_> = fleet.feeders().collect();
        let mut state: Vec<Reads> = feeders.iter().map(|_| Reads::default()).collect();
        let mut batches = Batches::default();
        let first = Quarter::containing(start).plus(1);
        for number in 0..quarters {
            for (feeder, reads) in feeders.iter().zip(&mut state) {
                reads.compute(feeder, &fleet.config().zone, first.plus(number));
                frames.push_reads(feeder, reads, &mut batches);
            }
        }
        frames
    }

    /// What the meters of a feeder say in one quarter, a hundred reads in a publish; gives the sum of the imports in Wh.
    pub fn push_reads(&mut self, feeder: &Feeder, reads: &Reads, batches: &mut Batches) -> i64 {
        let Batches { publish, payload, id } = batches;
        let mut import_wh = 0;
        let mut said = reads.iter(feeder).peekable();
        while said.peek().is_some() {
            publish.clear();
            for (meter, read) in said.by_ref().take(READS_PER_PUBLISH) {
                id.clear();
                meter.meter.write_id(id);
                publish.begin_meter(id).unwrap();
                publish.push_read(read);
                import_wh += read.import_wh.unwrap_or(0);
                self.reads += 1;
            }
            payload.clear();
            wire::encode_protobuf(publish, payload);
            self.push(READS, payload);
        }
        import_wh
    }

    /// Empties it, and keeps its room.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.bounds.truncate(1);
        self.reads = 0;
    }

    /// An event of each of these meters, a hundred in a publish.
    pub fn of_events(meters: &[MeterRef], event: PowerEvent) -> Self {
        let mut frames = Self::none();
        let (mut publish, mut payload) = (Publish::default(), Vec::new());
        for batch in meters.chunks(READS_PER_PUBLISH) {
            publish.clear();
            for meter in batch {
                publish.begin_meter(meter.id().unwrap().as_str()).unwrap();
                publish.push_event(event);
            }
            payload.clear();
            wire::encode_protobuf(&publish, &mut payload);
            frames.push(EVENTS, &payload);
        }
        frames
    }

    fn push(&mut self, topic: &[u8], payload: &[u8]) {
        let packet_id = u16::try_from((self.bounds.len() - 1) % 50_000 + 1).unwrap();
        put_publish(&mut self.bytes, 0x32, topic, (packet_id, payload));
        self.bounds.push(self.bytes.len());
    }

    pub fn count(&self) -> usize {
        self.bounds.len() - 1
    }

    pub fn reads(&self) -> usize {
        self.reads
    }

    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    pub fn whole(&self) -> Part<'_> {
        Part {
            bytes: &self.bytes,
            bounds: &self.bounds,
        }
    }

    /// In `parts` runs of about equal length.
    pub fn split(&self, parts: usize) -> Vec<Part<'_>> {
        let share = self.count().div_ceil(parts);
        (0..self.count())
            .step_by(share)
            .map(|first| Part {
                bytes: &self.bytes,
                bounds: &self.bounds[first..=(first + share).min(self.count())],
            })
            .collect()
    }
}

impl Part<'_> {
    fn count(&self) -> usize {
        self.bounds.len() - 1
    }

    fn of(&self, first: usize, last: usize) -> &[u8] {
        &self.bytes[self.bounds[first]..self.bounds[last]]
    }
}

/// Appends a PUBLISH packet at QoS 1, whose first byte says whether it is sent again.
pub fn put_publish(bytes: &mut Vec<u8>, first: u8, topic: &[u8], (packet_id, payload): (u16, &[u8])) {
    bytes.push(first);
    let mut length = 2 + topic.len() + 2 + payload.len();
    while length >= 128 {
        bytes.push((length % 128) as u8 | 0x80);
        length /= 128;
    }
    bytes.push(length as u8);
    bytes.extend_from_slice(&(topic.len() as u16).to_be_bytes());
    bytes.extend_from_slice(topic);
    bytes.extend_from_slice(&packet_id.to_be_bytes());
    bytes.extend_from_slice(payload);
}

/// One connection.
pub struct Gateway(TcpStream);

impl Gateway {
    pub fn connect(broker: SocketAddr) -> Self {
        let mut stream = TcpStream::connect(broker).unwrap();
        stream.set_nodelay(true).unwrap();
        // No client id, a clean session, no keep-alive.
        stream
            .write_all(&[0x10, 12, 0, 4, b'M', b'Q', b'T', b'T', 4, 2, 0, 0, 0, 0])
            .unwrap();
        let mut answer = [0; 4];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(answer, [0x20, 2, 0, 0], "CONNACK");
        Self(stream)
    }

    /// Publishes all, a window at a time; returns when the last is acknowledged.
    pub fn publish_all(&mut self, part: Part<'_>) {
        let (mut sent, mut acknowledged) = (0, 0);
        let mut answers = Answers::default();
        while acknowledged < part.count() {
            while sent < part.count() && sent - acknowledged < IN_FLIGHT {
                let next = (sent + BURST).min(part.count());
                self.0.write_all(part.of(sent, next)).unwrap();
                sent = next;
            }
            acknowledged += answers.read(&mut self.0);
        }
    }

    /// Publishes each at its time, `pause` after the one before; gives the time of the first. Another thread takes the answers.
    pub fn publish_paced(&mut self, frames: &Frames, pause: Duration) -> Instant {
        let part = frames.whole();
        let mut reading = self.0.try_clone().unwrap();
        let total = part.count();
        let answers = std::thread::spawn(move || {
            let (mut answers, mut acknowledged) = (Answers::default(), 0);
            while acknowledged < total {
                acknowledged += answers.read(&mut reading);
            }
        });
        let began = Instant::now();
        let mut sent = 0;
        while sent < total {
            let due = (began.elapsed().as_nanos() / pause.as_nanos()) as usize + 1;
            let due = due.min(total);
            if due > sent {
                self.0.write_all(part.of(sent, due)).unwrap();
                sent = due;
            } else {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        answers.join().unwrap();
        began
    }
}

/// PUBACKs as they come.
#[derive(Default)]
struct Answers {
    /// Bytes of a PUBACK that was cut off by the last read.
    over: usize,
}

impl Answers {
    /// Waits for some, and counts them.
    fn read(&mut self, stream: &mut TcpStream) -> usize {
        let mut buffer = [0; 16 * 1024];
        let read = stream.read(&mut buffer).unwrap();
        assert!(read > 0, "the server closed the connection");
        let bytes = self.over + read;
        if self.over == 0 {
            assert_eq!(buffer[0], 0x40, "PUBACK");
        }
        self.over = bytes % 4;
        bytes / 4
    }
}
