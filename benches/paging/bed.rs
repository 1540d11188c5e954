//! An engine with log and tables of its own, a clock that is moved by hand, and reads that are left out to come late.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use gridtally_engine::{Engine, EngineConfig, Progress, Settings, Upkeep, tables::Tables};
use gridtally_ingest::log::{Appender, Log, LogConfig, Position};
use gridtally_schemas::{Clock, IntervalRead, Publish, UtcMicros, record};

use crate::utility::{DTS, METERS, import_wh, meter_id, quarter_end};

/// Intervals of a day.
pub const DAY: i64 = 96;
/// Reads of one gateway publish.
const READS_OF_RECORD: usize = 100;
/// Reads of a meter that come late together: what one sends that was out of reach for four hours.
pub const RUN: i64 = 16;
/// Of so many runs one comes late.
const LATE_OF: i64 = 64;

/// Whether a read of the closed days is left out at first.
pub fn is_left_out(at: usize, n: i64) -> bool {
    at % METERS > DTS && (at as i64 * 31 + (n - 1) / RUN) % LATE_OF == 0
}

pub struct Bed {
    pub engine: Engine,
    pub folder: PathBuf,
    appender: Appender,
    clock: Arc<AtomicI64>,
    meters: usize,
}

impl Bed {
    /// Starts from what the folder holds, with room for so many bytes of state.
    pub async fn start(folder: &Path, meters: usize, now: UtcMicros, state_bytes_max: usize) -> Self {
        let config = LogConfig {
            bytes_max: 64 << 30,
            ..LogConfig::new(folder.join("log"))
        };
        let log = Arc::new(Log::open(config, Position(0)).unwrap());
        let tables = Tables::open(&folder.join("tables")).await.unwrap();
        let config = EngineConfig {
            settings: Settings {
                state_bytes_max,
                settlement_micros: 0,
                ..Settings::default()
            },
            // Compaction would rewrite the files that are looked at.
            upkeep: Upkeep {
                every: Duration::from_secs(24 * 3_600),
                ..Upkeep::default()
            },
            ..EngineConfig::default()
        };
        let clock = Arc::new(AtomicI64::new(now.0));
        let hand = Arc::clone(&clock);
        let clock_of_engine = Clock::from_fn(move || UtcMicros(hand.load(Ordering::Relaxed)));
        let appender = log.appender();
        let engine = Engine::start(config, log, tables, clock_of_engine).await.unwrap();
        Self {
            engine,
            folder: folder.to_owned(),
            appender,
            clock,
            meters,
        }
    }

    pub fn feeders(&self) -> usize {
        self.meters / METERS
    }

    pub fn set_now(&self, now: UtcMicros) {
        self.clock.store(now.0, Ordering::Relaxed);
    }

    pub fn now(&self) -> UtcMicros {
        UtcMicros(self.clock.load(Ordering::Relaxed))
    }

    pub async fn append(&self, record: &[u8]) -> Position {
        self.appender.append(record).await.unwrap()
    }

    /// One interval of every meter whose read `is_said`; gives the number of reads.
    pub async fn append_interval(&self, n: i64, is_said: impl Fn(usize) -> bool) -> usize {
        let mut reads = 0;
        for from in (0..self.meters).step_by(READS_OF_RECORD) {
            let mut publish = Publish::default();
            for at in (from..(from + READS_OF_RECORD).min(self.meters)).filter(|at| is_said(*at)) {
                push(&mut publish, at, n..n + 1);
            }
            reads += publish.read_count();
            let mut bytes = Vec::new();
            record::encode_publish(quarter_end(n), "gateway:bench", &publish, &mut bytes);
            self.append(&bytes).await;
        }
        reads
    }

    /// Intervals of one meter, as of now.
    pub async fn append_late(&self, at: usize, intervals: std::ops::Range<i64>) -> Position {
        let mut publish = Publish::default();
        push(&mut publish, at, intervals);
        let mut bytes = Vec::new();
        record::encode_publish(self.now(), "gateway:late", &publish, &mut bytes);
        self.append(&bytes).await
    }

    /// Waits until the live balances contain everything.
    pub async fn applied(&self, position: Position) -> Progress {
        self.appender.synced(position).await.unwrap();
        self.engine.applied().await.unwrap()
    }
}

fn push(publish: &mut Publish, at: usize, intervals: std::ops::Range<i64>) {
    publish.begin_meter(&meter_id(at)).unwrap();
    for n in intervals {
        publish.push_read(IntervalRead {
            voltage_v: Some(231.5),
            ..IntervalRead::new(quarter_end(n), Some(import_wh(at, n)))
        });
    }
}
