//! What is seen from outside while the server works: the tiles' delay, the positions that the stream tells, memory and processor time.
#![allow(dead_code, reason = "each bench uses its own part of this")]

use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;

use crate::product::Product;

/// Pause between two looks at the tiles: one page, and some more.
const TILE_PAUSE: Duration = Duration::from_millis(50);

/// Events that may wait to be looked at: hours of them.
const EVENTS_MAX: usize = 1 << 16;

/// Asks for the tiles again and again.
pub struct Tiles {
    over: Arc<AtomicBool>,
    thread: JoinHandle<Histogram<u64>>,
}

impl Tiles {
    pub fn watch(product: &Product) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let (told, url) = (Arc::clone(&over), product.url("/api/v1/summary"));
        let thread = std::thread::spawn(move || {
            let mut micros = Histogram::new(3).unwrap();
            let agent = ureq::agent();
            while !told.load(Ordering::Relaxed) {
                let began = Instant::now();
                let mut response = agent.get(&url).call().unwrap();
                response.body_mut().read_to_string().unwrap();
                micros.record(began.elapsed().as_micros() as u64).unwrap();
                std::thread::sleep(TILE_PAUSE);
            }
            micros
        });
        Self { over, thread }
    }

    /// Delays so far, microseconds.
    pub fn end(self) -> Histogram<u64> {
        self.over.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

/// A quantile of delays that were noted in microseconds.
pub fn milliseconds(micros: &Histogram<u64>, quantile: f64) -> f64 {
    micros.value_at_quantile(quantile) as f64 / 1e3
}

/// Listens to the stream: which position the balances had reached, and when one heard of it.
pub struct Applied(mpsc::Receiver<(u64, Instant)>);

impl Applied {
    pub fn watch(product: &Product) -> Self {
        let mut stream = TcpStream::connect(product.http).unwrap();
        let request = format!("GET /api/v1/stream HTTP/1.1\r\nhost: {}\r\n\r\n", product.http);
        stream.write_all(request.as_bytes()).unwrap();
        let mut lines = BufReader::new(stream).lines();
        // The first event is sent at once: from here on nothing is missed.
        assert!(
            lines
                .by_ref()
                .map_while(Result::ok)
                .any(|line| line.starts_with("event: summary"))
        );
        let (send, receive) = mpsc::sync_channel(EVENTS_MAX);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if line.starts_with("data: ") && line.contains("\"changed\":") {
                    let position = position_of(&line);
                    if send.send((position, Instant::now())).is_err() {
                        return;
                    }
                }
            }
        });
        Self(receive)
    }

    /// Everything heard until `last` was reached, in order.
    pub fn end(self, last: u64) -> Vec<(u64, Instant)> {
        let mut heard: Vec<(u64, Instant)> = Vec::new();
        while heard.last().is_none_or(|(position, _)| *position < last) {
            heard.push(self.0.recv_timeout(Duration::from_secs(30)).unwrap());
        }
        heard
    }
}

fn position_of(line: &str) -> u64 {
    let rest = line.split("\"applied_position\":").nth(1).unwrap();
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap()
}

/// Resident memory of a process.
pub fn resident_bytes(pid: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1_024
}

/// Processor time that a process has taken, user and system.
pub fn cpu_time(pid: u32) -> Duration {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let after_name = text.rsplit(") ").next().unwrap();
    let ticks: u64 = after_name
        .split(' ')
        .skip(11)
        .take(2)
        .map(|field| field.parse::<u64>().unwrap())
        .sum();
    // USER_HZ is 100 on every Linux.
    Duration::from_millis(ticks * 10)
}

/// Listens to the stream for outages: the scopes and nodes that it told of, and when.
pub struct Outages(mpsc::Receiver<(serde_json::Value, Instant)>);

impl Outages {
    pub fn watch(product: &Product) -> Self {
        let mut stream = TcpStream::connect(product.http).unwrap();
        let request = format!("GET /api/v1/stream HTTP/1.1\r\nhost: {}\r\n\r\n", product.http);
        stream.write_all(request.as_bytes()).unwrap();
        let mut lines = BufReader::new(stream).lines();
        assert!(
            lines
                .by_ref()
                .map_while(Result::ok)
                .any(|line| line.starts_with("event: summary"))
        );
        let (send, receive) = mpsc::sync_channel(EVENTS_MAX);
        std::thread::spawn(move || {
            let mut is_outages = false;
            for line in lines.map_while(Result::ok) {
                if let Some(name) = line.strip_prefix("event: ") {
                    is_outages = name == "outages";
                } else if let Some(data) = line.strip_prefix("data: ").filter(|_| is_outages) {
                    let told = serde_json::from_str(data).unwrap();
                    if send.send((told, Instant::now())).is_err() {
                        return;
                    }
                }
            }
        });
        Self(receive)
    }

    /// When the stream first told of an outage at each of these nodes; waits until it has of all, or tells of nothing more for long.
    pub fn first_told(&self, nodes: &[&str]) -> HashMap<String, Instant> {
        let mut first: HashMap<String, Instant> = HashMap::new();
        while first.len() < nodes.len() {
            let Ok((told, at)) = self.0.recv_timeout(Duration::from_secs(20)) else {
                break;
            };
            for outage in told["outages"].as_array().unwrap() {
                let node = outage["node_id"].as_str().unwrap();
                if nodes.contains(&node) {
                    first.entry(node.to_owned()).or_insert(at);
                }
            }
        }
        first
    }
}
