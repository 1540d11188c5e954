//! Compaction and vacuum beside a running engine, on real tables.

use std::{collections::BTreeSet, path::Path};

use futures::TryStreamExt;
use gridtally_ingest::log::{Log, LogConfig, Position};
use gridtally_schemas::{
    UtcMicros,
    network::{MasterRows, MeterRole},
    table::{self, INTERVAL_READS},
};

use super::*;
use crate::{
    Engine, EngineConfig,
    rig::{
        LONG_AGO, MIDNIGHT, QUARTER, hierarchy, master_record, meter, publish, publish_record, quarter_end,
        read,
    },
    tables::Tables,
};

/// Two days after the reads: their day is closed.
const NOW: UtcMicros = UtcMicros(MIDNIGHT.0 + 3 * 96 * QUARTER);
/// Checkpoints of one test, each a small file of `interval_reads`.
const CHECKPOINTS_MAX: i64 = 400;

fn data_files(folder: &Path) -> BTreeSet<std::path::PathBuf> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("_delta_log") {
            found.extend(data_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "parquet") {
            found.insert(path);
        }
    }
    found
}

/// Meter and interval of every row, sorted.
async fn keys(tables: &Tables) -> Vec<String> {
    let stream = tables.scan(&INTERVAL_READS, None).await.unwrap();
    let batches: Vec<_> = stream.try_collect().await.unwrap();
    let mut keys = Vec::new();
    for batch in batches {
        let ends = arrow::compute::cast(
            batch.column_by_name("interval_end").unwrap(),
            &arrow::datatypes::DataType::Utf8,
        )
        .unwrap();
        let ends = arrow::array::AsArray::as_string::<i32>(&ends);
        let wh = batch.column_by_name("import_wh").unwrap();
        let wh = arrow::array::AsArray::as_primitive::<arrow::datatypes::Int64Type>(wh);
        keys.extend((0..batch.num_rows()).map(|row| format!("{} {}", ends.value(row), wh.value(row))));
    }
    keys.sort();
    keys
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_are_compacted_while_the_engine_appends_and_no_append_fails() {
    let folder = tempfile::tempdir().unwrap();
    let log = Arc::new(Log::open(LogConfig::new(folder.path().join("log")), Position(0)).unwrap());
    let appender = log.appender();
    let tables = Tables::open(&folder.path().join("tables")).await.unwrap();
    let config = EngineConfig {
        tick: Duration::from_millis(1),
        upkeep: Upkeep {
            every: Duration::from_millis(1),
            ..Upkeep::default()
        },
        ..EngineConfig::default()
    };
    let engine = Engine::start(config, Arc::clone(&log), tables.clone(), Clock::fixed(NOW))
        .await
        .unwrap();
    let say = async |record: Vec<u8>| {
        let position = appender.append(&record).await.unwrap();
        appender.synced(position).await.unwrap();
    };
    say(master_record(LONG_AGO, &MasterRows::Nodes(hierarchy()))).await;
    let meters = vec![meter("MF1", MeterRole::Feeder, Some("F1"))];
    say(master_record(LONG_AGO, &MasterRows::Meters(meters))).await;
    let mut checkpoints = 0;
    while engine.progress().upkeep.files_replaced < 40 {
        checkpoints += 1;
        assert!(
            checkpoints <= CHECKPOINTS_MAX,
            "nothing is compacted: {:?}",
            engine.progress()
        );
        let reads = [read(quarter_end(1 + checkpoints % 96), checkpoints)];
        say(publish_record(NOW, &publish("MF1", &reads))).await;
        engine.checkpoint().await.unwrap();
    }
    let stopping = Instant::now();
    let progress = engine.stop().await.unwrap();
    assert!(
        stopping.elapsed() < STOP_MAX,
        "a pass under way does not hold the end up"
    );
    assert_eq!(engine.failure().map(|failure| failure.to_string()), None);
    let upkept = engine.progress().upkeep;
    assert_eq!((upkept.failures, upkept.dropped), (0, 0), "{upkept:?}");
    assert_eq!(progress.published_position, log.end());

    let expected: Vec<String> = {
        let mut rows: Vec<String> = (1..=checkpoints)
            .map(|wh| format!("{} {wh}", iso(quarter_end(1 + wh % 96))))
            .collect();
        rows.sort();
        rows
    };
    assert_eq!(keys(&tables).await, expected);
    // Nothing writes any more: what no version names can go at once.
    tables.vacuum(&INTERVAL_READS, Duration::ZERO).await.unwrap();
    let files = data_files(&tables.directory_of(&INTERVAL_READS)).len();
    assert!(
        files < usize::try_from(checkpoints).unwrap(),
        "{files} files of {checkpoints} checkpoints"
    );
    let reopened = Tables::open(tables.root()).await.unwrap();
    for table in table::published() {
        assert_eq!(
            reopened.position_of(table),
            tables.position_of(table),
            "{}",
            table.name
        );
    }
}

/// As Arrow writes it.
fn iso(at: UtcMicros) -> String {
    let array = arrow::array::TimestampMicrosecondArray::from(vec![at.0]).with_timezone("UTC");
    let text = arrow::compute::cast(&array, &arrow::datatypes::DataType::Utf8).unwrap();
    arrow::array::AsArray::as_string::<i32>(&text).value(0).to_owned()
}

#[test]
fn the_pause_doubles_while_passes_fail_or_meet_somebody_else_and_is_one_again_after_a_clean_one() {
    let failed = Upkept {
        failures: 1,
        ..Upkept::default()
    };
    let dropped = Upkept {
        dropped: 1,
        ..Upkept::default()
    };
    assert_eq!(next_pauses(1, &failed), 2);
    assert_eq!(next_pauses(2, &dropped), 4);
    assert_eq!(next_pauses(PAUSES_MAX, &failed), PAUSES_MAX);
    assert_eq!(next_pauses(8, &Upkept::default()), 1);
}
