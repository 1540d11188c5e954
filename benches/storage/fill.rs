//! A fleet's reads through the log and the engine into the tables, as an instance of the product takes them.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use gridtally_engine::{Engine, EngineConfig, tables::Tables};
use gridtally_fleet::{Fleet, FleetConfig, Imperfections, Quarter, flow::Reads};
use gridtally_ingest::log::{Log, LogConfig, Position};
use gridtally_schemas::{Clock, Publish, UtcMicros, network::MasterRows, record};

const READS_OF_RECORD: usize = 100;
const ROWS_OF_RECORD: usize = 5_000;
/// How much later each gateway's publish comes than the one before, µs.
const APART_MICROS: i64 = 3_137;

/// What was written.
pub struct Filled {
    pub reads: usize,
    pub meters: usize,
    pub last_reads: usize,
    pub last_seconds: f64,
}

/// The clock goes with the reads; a checkpoint after each of equal parts of the quarters.
pub async fn fill(folder: &Path, consumers: u64, quarters: i64, checkpoints: i64) -> Filled {
    let start = FleetConfig::demo().start;
    let fleet = Fleet::new(FleetConfig {
        imperfections: Imperfections::none(),
        ..FleetConfig::new(1, consumers, start)
    })
    .unwrap();
    let log = Arc::new(open_log(folder));
    let tables = Tables::open(&folder.join("tables")).await.unwrap();
    let config = EngineConfig {
        checkpoint: Duration::from_secs(3_600),
        checkpoint_rows: usize::MAX,
        ..EngineConfig::default()
    };
    let now = Arc::new(AtomicI64::new(start.0));
    let hand = Arc::clone(&now);
    let clock = Clock::from_fn(move || UtcMicros(hand.load(Ordering::Relaxed)));
    let engine = Engine::start(config, Arc::clone(&log), tables, clock)
        .await
        .unwrap();
    let appender = log.appender();
    for record in master_records(&fleet, start) {
        appender.append(&record).await.unwrap();
    }
    let feeders: Vec<_> = fleet.feeders().collect();
    let mut state: Vec<Reads> = feeders.iter().map(|_| Reads::default()).collect();
    let mut filled = Filled {
        reads: 0,
        meters: feeders.iter().map(|feeder| feeder.meters().len()).sum(),
        last_reads: 0,
        last_seconds: 0.0,
    };
    let (mut publish, mut id, mut record) = (Publish::default(), String::new(), Vec::new());
    let first = Quarter::containing(start).plus(1);
    let mut since = 0;
    for number in 0..quarters {
        now.store(first.plus(number).end().0, Ordering::Relaxed);
        for (feeder, reads) in feeders.iter().zip(&mut state) {
            reads.compute(feeder, &fleet.config().zone, first.plus(number));
            let mut said = reads.iter(feeder).peekable();
            while said.peek().is_some() {
                publish.clear();
                for (meter, read) in said.by_ref().take(READS_OF_RECORD) {
                    id.clear();
                    meter.meter.write_id(&mut id);
                    publish.begin_meter(&id).unwrap();
                    publish.push_read(read);
                    since += 1;
                }
                let at = now.fetch_add(APART_MICROS, Ordering::Relaxed);
                record.clear();
                record::encode_publish(UtcMicros(at), "gateway:hes-1", &publish, &mut record);
                appender.append(&record).await.unwrap();
            }
        }
        if (number + 1) * checkpoints / quarters > number * checkpoints / quarters {
            engine.applied().await.unwrap();
            let began = Instant::now();
            engine.checkpoint().await.unwrap();
            filled.last_seconds = began.elapsed().as_secs_f64();
            filled.reads += since;
            filled.last_reads = std::mem::take(&mut since);
        }
    }
    engine.stop().await.unwrap();
    filled
}

fn open_log(folder: &Path) -> Log {
    let config = LogConfig {
        bytes_max: 64 << 30,
        ..LogConfig::new(folder.join("log"))
    };
    Log::open(config, Position(0)).unwrap()
}

fn master_records(fleet: &Fleet, at: UtcMicros) -> Vec<Vec<u8>> {
    let nodes: Vec<_> = fleet.nodes().collect();
    let meters: Vec<_> = fleet.feeders().flat_map(|feeder| feeder.meter_rows()).collect();
    let connections: Vec<_> = fleet.connections().collect();
    let chunk = ROWS_OF_RECORD;
    let nodes = nodes.chunks(chunk).map(|rows| MasterRows::Nodes(rows.to_vec()));
    let meters = meters.chunks(chunk).map(|rows| MasterRows::Meters(rows.to_vec()));
    let connections = connections
        .chunks(chunk)
        .map(|rows| MasterRows::Connections(rows.to_vec()));
    let rows = nodes.chain(meters).chain(connections);
    rows.map(|rows| {
        let mut bytes = Vec::new();
        record::encode_master_rows(at, "file:fleet.csv", &rows, &mut bytes).unwrap();
        bytes
    })
    .collect()
}
