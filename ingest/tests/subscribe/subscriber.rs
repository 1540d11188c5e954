//! A subscriber on a log whose disk can be held back, and what it has stored.

use std::{sync::Arc, time::Duration};

use gridtally_ingest::{
    gate::{Enrolment, Gate},
    log::{Log, LogBatch, LogConfig, LogReader, Position},
    metrics::{IngestMetrics, Tally},
    subscribe::{self, SubscribeConfig, SubscribeError},
};
use gridtally_schemas::{
    Clock, Publish, UtcMicros,
    record::{self, Body},
};
use tempfile::TempDir;
use tokio::{sync::oneshot, task::JoinHandle, time::timeout};

use crate::held_disk::{PATIENCE, TestDisk, until};

pub(crate) const GARBAGE: &[u8] = b"{ this is no JSON";

/// The topic of meter `number`.
pub(crate) fn topic(number: i64) -> String {
    format!("ami/v1/meters/M{number}/reads")
}

/// What meter `number` publishes: one read of as many Wh.
pub(crate) fn payload(number: i64) -> Vec<u8> {
    format!(r#"{{"reads":[{{"interval_end":"2026-04-01T00:30:00+05:30","import_wh":{number}}}]}}"#)
        .into_bytes()
}

/// What a test sets.
pub(crate) struct Settings {
    pub(crate) subscribe: SubscribeConfig,
    pub(crate) log: LogConfig,
}

/// A running subscriber.
pub(crate) struct Subscriber {
    pub(crate) log: Log,
    pub(crate) disk: TestDisk,
    metrics: Arc<IngestMetrics>,
    config: SubscribeConfig,
    reader: LogReader,
    stored: Vec<Stored>,
    stop: Option<oneshot::Sender<()>>,
    task: Option<JoinHandle<Result<(), SubscribeError>>>,
    _folder: TempDir,
}

/// A record of the log, as far as tests ask.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Stored {
    /// The Wh of the only read, and who sent it.
    Read(String, i64),
    /// Source, reason and payload.
    Undecodable(String, String, Vec<u8>),
}

impl Subscriber {
    /// Starts one and waits until the broker has granted its subscription.
    pub(crate) async fn start(port: u16) -> Self {
        let subscriber = Self::start_with(port, |_| {});
        subscriber.until_subscribed(1).await;
        subscriber
    }

    /// Starts one with other settings; does not wait.
    pub(crate) fn start_with(port: u16, set: impl FnOnce(&mut Settings)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = Settings {
            subscribe: SubscribeConfig::new("127.0.0.1", port, "gridtally"),
            log: LogConfig::new(folder.path().join("log")),
        };
        settings.subscribe.reconnect_min = Duration::from_millis(5);
        settings.subscribe.reconnect_max = Duration::from_millis(50);
        settings.subscribe.full_pause = Duration::from_millis(5);
        set(&mut settings);
        let disk = TestDisk::default();
        let log = Log::open_on(Arc::new(disk.clone()), settings.log, Position(0)).unwrap();
        let reader = log.reader(Position(0)).unwrap();
        let mut subscriber = Self {
            log,
            disk,
            metrics: Arc::new(IngestMetrics::default()),
            config: settings.subscribe,
            reader,
            stored: Vec::new(),
            stop: None,
            task: None,
            _folder: folder,
        };
        subscriber.start_again();
        subscriber
    }

    /// Starts it again on the same log.
    pub(crate) fn start_again(&mut self) {
        let gate = Gate {
            appender: self.log.appender(),
            clock: Clock::fixed(UtcMicros(1_775_000_000_000_000)),
            enrolment: Arc::new(Enrolment::default()),
            metrics: Arc::clone(&self.metrics),
        };
        let (stop, stopped) = oneshot::channel();
        let shutdown = async move {
            let _ = stopped.await;
        };
        self.stop = Some(stop);
        self.task = Some(tokio::spawn(subscribe::run(self.config.clone(), gate, shutdown)));
    }

    /// Asks it to shut down; gives how it ended.
    pub(crate) async fn stop(&mut self) -> Result<(), SubscribeError> {
        let _ = self.stop.take().unwrap().send(());
        self.outcome().await
    }

    /// How it ended.
    pub(crate) async fn outcome(&mut self) -> Result<(), SubscribeError> {
        timeout(PATIENCE, self.task.take().unwrap())
            .await
            .expect("the subscriber does not end")
            .unwrap()
    }

    pub(crate) fn totals(&self) -> Tally {
        self.metrics.totals()
    }

    /// Waits until so many subscriptions have been granted.
    pub(crate) async fn until_subscribed(&self, times: u64) {
        until("subscribed", || self.totals().broker_subscriptions >= times).await;
    }

    /// Waits until so many publishes have been appended to the log, synced or not.
    pub(crate) async fn until_appended(&self, records: u64) {
        until("appended", || self.totals().records >= records).await;
    }

    /// Synced records so far, in order.
    pub(crate) fn stored(&mut self) -> &[Stored] {
        let mut batch = LogBatch::default();
        while self.reader.read(&mut batch, 1 << 20).unwrap() > 0 {
            self.stored
                .extend(batch.iter().map(|(_, bytes)| read_record(bytes)));
        }
        &self.stored
    }

    /// Distinct Wh of the reads in the log, ascending.
    pub(crate) fn stored_wh(&mut self) -> Vec<i64> {
        let wh = |stored: &Stored| match stored {
            Stored::Read(_, wh) => Some(*wh),
            Stored::Undecodable(..) => None,
        };
        let mut all: Vec<i64> = self.stored().iter().filter_map(wh).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Cuts what has been read of the log.
    pub(crate) fn cut_stored(&mut self) {
        self.stored();
        self.log.cut(self.reader.position()).unwrap();
    }
}

impl Drop for Subscriber {
    /// A test that failed while the disk was held must not hang.
    fn drop(&mut self) {
        self.disk.release();
    }
}

fn read_record(bytes: &[u8]) -> Stored {
    let record = record::decode(bytes).unwrap();
    match record.body {
        Body::Publish(protobuf) => {
            let mut publish = Publish::default();
            record::decode_publish(protobuf, &mut publish).unwrap();
            let span = publish.meters().next().unwrap();
            assert_eq!(record.source, format!("meter:{}", span.meter_id));
            Stored::Read(span.meter_id.to_owned(), span.reads[0].import_wh.unwrap())
        }
        Body::Undecodable { reason, payload, .. } => {
            Stored::Undecodable(record.source.to_owned(), reason.to_owned(), payload.to_vec())
        }
        other => panic!("a broker cannot send this: {other:?}"),
    }
}
