//! The engine with its thread, on a real log and tables in memory.

use arrow::{array::AsArray, datatypes::Int64Type};
use gridtally_ingest::log::{Appender, LogConfig};
use gridtally_schemas::{
    network::{MasterRows, MeterRole},
    table,
};

use super::*;
use crate::rig::{
    LONG_AGO, MIDNIGHT, MemoryStore, QUARTER, connection, hierarchy, master_record, meter, publish,
    publish_record, quarter_end, read,
};
use crate::{tables::Tables, vee::VeeLimits};

const NOW: UtcMicros = UtcMicros(MIDNIGHT.0 + 6 * QUARTER);

/// A log in a folder of its own.
struct Bed {
    _folder: tempfile::TempDir,
    log: Arc<Log>,
    appender: Appender,
    store: Arc<MemoryStore>,
}

impl Bed {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = Arc::new(Log::open(LogConfig::new(folder.path()), Position(0)).unwrap());
        Self {
            _folder: folder,
            appender: log.appender(),
            log,
            store: Arc::default(),
        }
    }

    async fn append(&self, record: &[u8]) {
        let position = self.appender.append(record).await.unwrap();
        self.appender.synced(position).await.unwrap();
    }

    async fn append_network(&self) {
        let meters = vec![
            meter("MF1", MeterRole::Feeder, Some("F1")),
            meter("MT1", MeterRole::Dt, Some("T1")),
            meter("A", MeterRole::Consumer, None),
        ];
        self.append(&master_record(LONG_AGO, &MasterRows::Nodes(hierarchy())))
            .await;
        self.append(&master_record(LONG_AGO, &MasterRows::Meters(meters)))
            .await;
        let connections = vec![connection("CA", Some("A"), "T1")];
        self.append(&master_record(LONG_AGO, &MasterRows::Connections(connections)))
            .await;
    }

    async fn append_reads(&self, quarter: i64) {
        for (id, wh) in [("MF1", 1_000), ("MT1", 950), ("A", 900)] {
            self.append(&publish_record(
                NOW.max(quarter_end(quarter)),
                &publish(id, &[read(quarter_end(quarter), wh)]),
            ))
            .await;
        }
    }

    async fn start(&self) -> Engine {
        let config = EngineConfig {
            tick: Duration::from_millis(5),
            checkpoint: Duration::from_secs(3_600),
            ..EngineConfig::default()
        };
        self.start_with(config).await
    }

    async fn start_with(&self, config: EngineConfig) -> Engine {
        let (log, store) = (Arc::clone(&self.log), Arc::clone(&self.store));
        Engine::start_with(config, log, store, Clock::fixed(NOW))
            .await
            .unwrap()
    }
}

fn total_loss(engine: &Engine, quarter: i64) -> Option<i64> {
    engine.read(|world| {
        let feeder = world.network.find_node("F1")?;
        let span = quarter_end(quarter - 1)..quarter_end(quarter);
        let (_, interval) = world.feeder_intervals(feeder, span).next()?;
        interval.feeder.total_loss_wh
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_in_the_log_becomes_balances_then_rows_and_survives_a_restart() {
    let bed = Bed::new();
    let engine = bed.start().await;
    let mut heard = engine.changes().listen(None).receiver;
    bed.append_network().await;
    bed.append_reads(1).await;
    let progress = engine.applied().await.unwrap();
    assert_eq!(
        (progress.applied_position, progress.reads_applied),
        (Position(6), 3)
    );
    assert_eq!(total_loss(&engine, 1), Some(100));
    let change = heard.recv().await.unwrap();
    assert!(
        matches!(change.kind, ChangeKind::Balances { total: 1.., .. }),
        "{change:?}"
    );
    let progress = engine.checkpoint().await.unwrap();
    assert_eq!(
        (progress.published_position, progress.published_at),
        (Position(6), Some(NOW))
    );
    assert!(!bed.store.batches(&table::FEEDER_BALANCE).is_empty());

    bed.append_reads(2).await;
    let progress = engine.stop().await.unwrap();
    assert_eq!(
        (progress.published_position, progress.log_position),
        (Position(9), Position(9))
    );
    assert!(engine.ended().await.is_none() && engine.failure().is_none());

    let engine = bed.start().await;
    engine.applied().await.unwrap();
    assert_eq!(
        (total_loss(&engine, 1), total_loss(&engine, 2)),
        (Some(100), Some(100))
    );
    assert_eq!(
        engine.read(|world| (world.counts.reads, world.counts.reads_accepted)),
        (6, 6)
    );
    let batches = bed.store.batches(&table::INTERVAL_READS).len();
    engine.checkpoint().await.unwrap();
    assert_eq!(bed.store.batches(&table::INTERVAL_READS).len(), batches);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn delta_tables_hold_what_the_log_said_after_a_restart_too() {
    let bed = Bed::new();
    let folder = tempfile::tempdir().unwrap();
    let config = || EngineConfig {
        tick: Duration::from_millis(5),
        ..EngineConfig::default()
    };
    bed.append_network().await;
    bed.append(&publish_record(
        NOW,
        &publish("LATER", &[read(quarter_end(1), 5)]),
    ))
    .await;
    for quarter in 1..=3 {
        let tables = Tables::open(folder.path()).await.unwrap();
        let engine = Engine::start(config(), Arc::clone(&bed.log), tables, Clock::fixed(NOW))
            .await
            .unwrap();
        bed.append_reads(quarter).await;
        assert_eq!(
            engine.checkpoint().await.unwrap().published_position,
            bed.log.end()
        );
        assert_eq!(
            (1..=quarter).map(|n| total_loss(&engine, n)).sum::<Option<i64>>(),
            Some(100 * quarter)
        );
        assert_eq!(
            engine.read(|world| (world.counts.reads_accepted, world.held())),
            (3 * quarter.unsigned_abs(), 1)
        );
        engine.stop().await.unwrap();
    }
    let tables = Tables::open(folder.path()).await.unwrap();
    assert_eq!(Engine::newest_position(&tables).await.unwrap(), bed.log.end());
    let mut rows = 0;
    let mut batches = Store::scan(&tables, &table::INTERVAL_READS).await.unwrap();
    while let Some(batch) = futures::StreamExt::next(&mut batches).await {
        rows += batch.unwrap().num_rows();
    }
    assert_eq!(rows, 9);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_unknown_meter_said_beyond_the_bound_comes_back_from_the_table_when_it_is_named() {
    let bed = Bed::new();
    let folder = tempfile::tempdir().unwrap();
    let tables = Tables::open(folder.path()).await.unwrap();
    let config = EngineConfig {
        tick: Duration::from_millis(5),
        settings: Settings {
            held_bytes_max: 0,
            ..Settings::default()
        },
        ..EngineConfig::default()
    };
    let engine = Engine::start(config, Arc::clone(&bed.log), tables, Clock::fixed(NOW))
        .await
        .unwrap();
    bed.append_network().await;
    for (id, quarter) in [("NEW", 1), ("OTHER", 1), ("NEW", 2)] {
        bed.append(&publish_record(
            NOW,
            &publish(id, &[read(quarter_end(quarter), 5)]),
        ))
        .await;
    }
    engine.checkpoint().await.unwrap();
    let progress = engine.applied().await.unwrap();
    assert_eq!(
        (progress.held, progress.held_spilled, progress.held_bytes),
        (3, 3, 0)
    );
    let named = MasterRows::Meters(vec![meter("NEW", MeterRole::Consumer, None)]);
    bed.append(&master_record(NOW, &named)).await;
    let progress = engine.applied().await.unwrap();
    assert_eq!((progress.held, progress.held_spilled, progress.cells), (1, 1, 2));
    assert_eq!(engine.read(|world| world.counts.reads_released), 2);
    engine.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_day_that_was_let_go_comes_back_from_delta_for_a_caller_and_for_a_late_read() {
    const DAY: i64 = 96 * QUARTER;
    let bed = Bed::new();
    let folder = tempfile::tempdir().unwrap();
    let tables = Tables::open(folder.path()).await.unwrap();
    let config = EngineConfig {
        tick: Duration::from_millis(5),
        checkpoint: Duration::from_secs(3_600),
        settings: Settings {
            state_bytes_max: 0,
            settlement_micros: 0,
            ..Settings::default()
        },
        ..EngineConfig::default()
    };
    let now = MIDNIGHT.plus(4 * DAY);
    let engine = Engine::start(config, Arc::clone(&bed.log), tables, Clock::fixed(now))
        .await
        .unwrap();
    bed.append_network().await;
    for quarter in 1..=3 {
        bed.append_reads(quarter).await;
    }
    let say = |id, quarter, wh, revision| {
        let said = gridtally_schemas::IntervalRead {
            revision,
            ..read(quarter_end(quarter), wh)
        };
        publish_record(now, &publish(id, &[said]))
    };
    // The newest day stays.
    bed.append(&say("MF1", 300, 1_000, 0)).await;
    let progress = engine.checkpoint().await.unwrap();
    assert_eq!((progress.paged.feeder_days_out, progress.paged.page_ins), (1, 0));
    assert_eq!(total_loss(&engine, 1), None);

    let f1 = engine.read(|world| world.network.find_node("F1")).unwrap();
    let day = MIDNIGHT..MIDNIGHT.plus(DAY);
    assert!(!engine.read(|world| world.is_here(f1, &day)));
    engine.page_in(f1, day.clone()).await.unwrap();
    assert_eq!(total_loss(&engine, 1), Some(100));

    let progress = engine.checkpoint().await.unwrap();
    assert_eq!(
        (progress.paged.feeder_days_out, progress.paged.feeder_days_in),
        (1, 1)
    );
    bed.append(&say("A", 1, 850, 1)).await;
    bed.append(&say("A", 2, 850, 1)).await;
    engine.applied().await.unwrap();
    assert_eq!(
        (1..=3).map(|n| total_loss(&engine, n)).collect::<Vec<_>>(),
        [Some(150), Some(150), Some(100)]
    );
    // Both late reads came in one page-in; that of the caller was the other.
    let paged = engine.progress().paged;
    assert_eq!((paged.feeder_days_in, paged.feeder_days_out), (2, 0));
    let day_loss = engine.read(|world| {
        let day = world.settings.zone.day_of(MIDNIGHT);
        world.node_day(f1, day).map(|sums| sums.total_loss_wh)
    });
    assert_eq!(day_loss, Some(400));
    engine.stop().await.unwrap();
}

/// Days of the past that a retroactive row concerns: a tick works one of them off.
const DAYS: i64 = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn days_that_are_owed_hold_back_applied_and_published_but_not_what_comes_after() {
    let bed = Bed::new();
    let config = EngineConfig {
        tick: Duration::from_millis(300),
        checkpoint: Duration::from_secs(3_600),
        settings: Settings {
            state_bytes_max: 0,
            settlement_micros: 0,
            vee: VeeLimits {
                estimate_after_micros: None,
                ..VeeLimits::default()
            },
            ..Settings::default()
        },
        ..EngineConfig::default()
    };
    let now = Clock::fixed(quarter_end((DAYS + 3) * 96));
    let (log, store) = (Arc::clone(&bed.log), Arc::clone(&bed.store));
    let engine = Engine::start_with(config, log, store, now).await.unwrap();
    bed.append_network().await;
    for day in 0..=DAYS {
        bed.append_reads(day * 96 + 1).await;
    }
    let whole = engine.checkpoint().await.unwrap();
    // The newest day stays.
    let out = usize::try_from(DAYS).unwrap();
    assert_eq!(
        (whole.paged.feeder_days_out, whole.paged.feeder_days_owed),
        (out, 0)
    );
    assert_eq!(
        (whole.applied_position, whole.published_position),
        (bed.log.end(), bed.log.end())
    );

    let moved = MasterRows::Connections(vec![connection("CA", Some("A"), "T2")]);
    bed.append(&master_record(NOW, &moved)).await;
    let owing = engine.taken_in().await.unwrap();
    assert!(
        (1..=out).contains(&owing.paged.feeder_days_owed),
        "{:?}",
        owing.paged
    );
    assert_eq!(owing.applied_position, whole.applied_position);
    bed.append_reads(DAYS * 96 + 2).await;
    let live = engine.taken_in().await.unwrap();
    assert_eq!(total_loss(&engine, DAYS * 96 + 2), Some(100));
    assert!(live.paged.feeder_days_owed > 0, "{:?}", live.paged);
    assert_eq!(
        (live.applied_position, live.published_position),
        (whole.applied_position, whole.published_position)
    );

    // Who asks whether everything is there waits for all of it.
    let applied = engine.applied().await.unwrap();
    assert_eq!(
        (applied.applied_position, applied.paged.feeder_days_owed),
        (bed.log.end(), 0)
    );
    let published = engine.checkpoint().await.unwrap();
    assert_eq!(published.published_position, bed.log.end());
    let anew = bed.store.batches(&table::DT_BALANCE);
    let versions = anew.iter().flat_map(|batch| {
        let column = batch.column_by_name("version").unwrap();
        column.as_primitive::<Int64Type>().values().iter()
    });
    // Of T1, from which the consumer moved away, at least.
    assert!(versions.filter(|version| **version == 2).count() >= out);
    engine.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_power_event_overtakes_the_reads_that_wait_in_the_log() {
    let bed = Bed::new();
    let engine = bed.start().await;
    bed.append_network().await;
    bed.append_reads(1).await;
    engine.stop().await.unwrap();
    // No row may wait for the tables: the log is not read on.
    let config = EngineConfig {
        tick: Duration::from_millis(5),
        checkpoint: Duration::from_secs(3_600),
        waiting_rows_max: 0,
        ..EngineConfig::default()
    };
    let engine = bed.start_with(config).await;
    let mut heard = engine.changes().listen(None).receiver;
    for number in 0..1_000 {
        let reads = publish("A", &[read(quarter_end(2 + number % 3), 100 + number)]);
        bed.appender.append(&publish_record(NOW, &reads)).await.unwrap();
    }
    let mut failed = gridtally_schemas::Publish::default();
    failed.begin_meter("MT1").unwrap();
    failed.push_event(gridtally_schemas::PowerEvent {
        at: NOW.plus(-1),
        code: 101,
        sequence: None,
    });
    bed.append(&publish_record(NOW, &failed)).await;
    let change = loop {
        let change = heard.recv().await.unwrap();
        if let ChangeKind::Outages { changes, .. } = &change.kind {
            break changes[0].clone();
        }
    };
    assert_eq!(change.view.outage.node.as_str(), "T1");
    let (applied, events) = engine.read(|world| (world.applied(), world.counts.events));
    assert!(
        applied < bed.log.end() && events == 0,
        "{applied} of {}",
        bed.log.end()
    );
    let before = engine.read(|world| world.outages().collect::<Vec<_>>());
    drop(engine);
    // In its turn it is counted once, and changes nothing.
    let engine = bed.start().await;
    engine.applied().await.unwrap();
    let (after, counts) = engine.read(|world| (world.outages().collect::<Vec<_>>(), world.counts));
    assert_eq!((after, counts.events_accepted), (before, 1));
    engine.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_commit_ends_the_engine_and_a_restart_loses_nothing() {
    let bed = Bed::new();
    let engine = bed.start().await;
    bed.append_network().await;
    bed.append_reads(1).await;
    bed.store.fail_after(Some(2));
    let error = engine.checkpoint().await.unwrap_err();
    assert!(error.is_storage(), "{error:?}");
    assert!(matches!(
        *engine.ended().await.unwrap(),
        EngineError::Commit { .. }
    ));
    assert!(engine.applied().await.is_err());
    assert_eq!(total_loss(&engine, 1), Some(100), "the picture stays readable");

    bed.store.fail_after(None);
    let engine = bed.start().await;
    engine.checkpoint().await.unwrap();
    let rows: usize = bed
        .store
        .batches(&table::INTERVAL_READS)
        .iter()
        .map(|batch| batch.num_rows())
        .sum();
    assert_eq!(rows, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_cannot_be_read_ends_the_engine_and_is_named() {
    let bed = Bed::new();
    let engine = bed.start().await;
    bed.append(&[99, 0]).await;
    let failure = engine.ended().await.unwrap();
    assert!(
        matches!(
            *failure,
            EngineError::Record {
                position: Position(1),
                ..
            }
        ),
        "{failure:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_is_not_read_on_while_too_many_rows_wait_and_a_checkpoint_frees_it() {
    let bed = Bed::new();
    bed.append_network().await;
    bed.append_reads(1).await;
    let config = EngineConfig {
        tick: Duration::from_millis(5),
        checkpoint: Duration::from_secs(3_600),
        checkpoint_rows: 1,
        waiting_rows_max: 2,
        ..EngineConfig::default()
    };
    let engine = bed.start_with(config).await;
    let progress = engine.checkpoint().await.unwrap();
    assert_eq!(progress.published_position, Position(6));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_the_log_waits_for_room_no_tick_is_waited_for() {
    let bed = Bed::new();
    let engine = bed.start().await;
    bed.append_network().await;
    bed.append_reads(1).await;
    engine.stop().await.unwrap();
    let config = EngineConfig {
        tick: Duration::from_secs(3_600),
        checkpoint: Duration::from_secs(3_600),
        checkpoint_rows: 1,
        waiting_rows_max: 2,
        ..EngineConfig::default()
    };
    let engine = bed.start_with(config).await;
    // The first tick comes at once, the next in an hour.
    for quarter in 2..8 {
        bed.append_reads(quarter).await;
    }
    let room = async {
        while engine.read(World::applied) < bed.log.end() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), room).await.unwrap();
    engine.stop().await.unwrap();
}

#[test]
fn a_listener_who_comes_back_gets_what_it_missed_and_hears_of_a_gap() {
    let feed = ChangeFeed::default();
    let kind = || ChangeKind::Checkpoint {
        position: Position(1),
        rows: 1,
    };
    for _ in 0..5 {
        feed.tell(NOW, kind());
    }
    let ids = |listening: &Listening| {
        listening
            .missed
            .iter()
            .map(|change| change.id)
            .collect::<Vec<_>>()
    };
    let back = feed.listen(Some(3));
    assert_eq!((ids(&back), back.gap), (vec![4, 5], false));
    assert_eq!(
        (ids(&feed.listen(Some(5))), feed.listen(Some(5)).gap),
        (vec![], false)
    );
    assert!(
        feed.listen(Some(6)).gap,
        "a number that this feed has not given yet"
    );
    for _ in 0..CHANGES_KEPT {
        feed.tell(NOW, kind());
    }
    let back = feed.listen(Some(3));
    assert_eq!((back.missed.len(), back.gap), (CHANGES_KEPT, true));
}
