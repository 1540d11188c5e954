//! One late read into a closed and published day: exactly the rows that it should change are written, and no other.

use std::{collections::BTreeSet, sync::Arc};

use gridtally_schemas::{
    IntervalRead,
    table::{self, TableSchema},
};

use super::{HOUR, NOW, compared::cell, two_feeders};
use crate::{
    rig::{MemoryStore, Process, publish, publish_record, quarter_end, read},
    world::{Settings, publish::Scope},
};

/// F1 with T1 (A, B) and T2 (C), F2 with T3 (E): every meter reads all of the day and the one before, but A not in the 50th quarter.
fn records() -> Vec<Vec<u8>> {
    let (mut records, meters) = two_feeders([900, 300, 540, 270, 280]);
    for (id, wh) in meters {
        // Never the same twice in a row, so that no meter looks stuck.
        let reads: Vec<IntervalRead> = (-95..=96)
            .filter(|n| (id, *n) != ("A", 50))
            .map(|n| read(quarter_end(n), wh + n.rem_euclid(2)))
            .collect();
        records.push(publish_record(quarter_end(97), &publish(id, &reads)));
    }
    records
}

/// Every table but `checkpoints`, which has a row for each.
static TABLES: [&TableSchema; 12] = [
    &table::INTERVAL_READS,
    &table::REGISTER_READS,
    &table::METER_EVENTS,
    &table::VEE_EXCEPTIONS,
    &table::QUARANTINE,
    &table::DT_BALANCE,
    &table::FEEDER_BALANCE,
    &table::NODE_BALANCE_DAILY,
    &table::READ_COMPLETENESS,
    &table::NODES,
    &table::METERS,
    &table::CONNECTIONS,
];

/// Every row of every table, as `table key… version`; of rows that have none, without.
fn rows(store: &MemoryStore) -> BTreeSet<String> {
    let mut rows = BTreeSet::new();
    for table in TABLES {
        for batch in store.batches(table) {
            for row in 0..batch.num_rows() {
                let version = Some("version").filter(|_| table.versioned);
                let names = table.key.iter().copied().chain(version);
                let cells: Vec<String> = names.map(|name| cell(&batch, row, name)).collect();
                assert!(rows.insert(format!("{} {}", table.name, cells.join(" "))));
            }
        }
    }
    rows
}

#[test]
fn one_late_read_into_a_closed_day_writes_exactly_the_rows_that_it_changes() {
    let store = Arc::new(MemoryStore::default());
    let mut records = records();
    // A day and a half after the day's end: its gap has been found and estimated, and it is not settled yet.
    let now = NOW.plus(24 * HOUR);
    let settings = Settings {
        settlement_micros: 30 * 24 * HOUR,
        ..Settings::default()
    };
    let mut process = Process::start(&store, settings, now);
    process.apply(&records, records.len());
    process.checkpoint(Scope::Due).unwrap();
    let before = rows(&store);
    process.checkpoint(Scope::Due).unwrap();
    let idle: Vec<String> = rows(&store).difference(&before).cloned().collect();
    assert_eq!(
        idle,
        Vec::<String>::new(),
        "nothing is published that did not change"
    );

    records.push(publish_record(now, &publish("A", &[read(quarter_end(50), 201)])));
    process.set_now(now.plus(2 * HOUR));
    process.apply(&records, records.len());
    process.checkpoint(Scope::Due).unwrap();
    let after = rows(&store);
    assert!(before.is_subset(&after), "nothing published is altered");
    let written: BTreeSet<&str> = after.difference(&before).map(String::as_str).collect();
    let end = "2026-04-01T07:00:00Z";
    let gap = format!("A/{}/gap", quarter_end(50).0 / 1_000_000);
    let expected = [
        format!("interval_reads A {end} 2"),
        format!("vee_exceptions {gap} 2"),
        format!("dt_balance T1 {end} 2"),
        format!("feeder_balance F1 {end} 2"),
        "node_balance_daily T1 2026-04-01 2".to_owned(),
        "node_balance_daily F1 2026-04-01 2".to_owned(),
        "node_balance_daily Z 2026-04-01 2".to_owned(),
        "node_balance_daily D 2026-04-01 2".to_owned(),
        "read_completeness T1 2026-04-01 2".to_owned(),
        "read_completeness F1 2026-04-01 2".to_owned(),
        "read_completeness Z 2026-04-01 2".to_owned(),
        "read_completeness D 2026-04-01 2".to_owned(),
    ];
    assert_eq!(written, expected.iter().map(String::as_str).collect());
}
