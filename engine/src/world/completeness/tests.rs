use std::sync::Arc;

use gridtally_ingest::log::Position;
use gridtally_schemas::{
    IntervalRead, Publish,
    network::{MasterRows, MeterRole, NodeKind},
};

use super::*;
use crate::{
    rig::{
        LONG_AGO, MIDNIGHT, MemoryStore, Process, connection, hierarchy, master_record, meter, node, publish,
        publish_record, quarter_end, read, settle,
    },
    world::{Settings, tests::compared::cell},
};

const HOUR: i64 = 3_600_000_000;
const DAY: i64 = 24 * HOUR;
/// The end of 2026-04-01.
const DAY_END: UtcMicros = MIDNIGHT.plus(DAY);
/// The number of 2026-04-01.
const FIRST: Day = Day(20_544);

/// F1 with its meter, T1 with its own and the consumer A.
fn network() -> Vec<Vec<u8>> {
    let meters = vec![
        meter("MF1", MeterRole::Feeder, Some("F1")),
        meter("MT1", MeterRole::Dt, Some("T1")),
        meter("A", MeterRole::Consumer, None),
    ];
    let connections = vec![connection("CA", Some("A"), "T1")];
    vec![
        master_record(LONG_AGO, &MasterRows::Nodes(hierarchy())),
        master_record(LONG_AGO, &MasterRows::Meters(meters)),
        master_record(LONG_AGO, &MasterRows::Connections(connections)),
    ]
}

/// Reads of the quarters from `from` to `to` of the day, received at `at`.
fn reads(at: UtcMicros, id: &str, (from, to): (i64, i64)) -> Vec<u8> {
    let reads: Vec<IntervalRead> = (from..=to).map(|n| read(quarter_end(n), 100 + n)).collect();
    publish_record(at, &publish(id, &reads))
}

fn never_estimated() -> Settings {
    let mut settings = Settings::default();
    settings.vee.estimate_after_micros = None;
    settings
}

fn world_of(settings: Settings, records: &[Vec<u8>], now: UtcMicros) -> World {
    let mut world = World::new(settings);
    let mut buffer = Publish::default();
    for (record, at) in records.iter().zip(1..) {
        world.apply(Position(at), record, &mut buffer).unwrap();
    }
    world.advance(now);
    settle(&mut world);
    world
}

fn tally(world: &World, id: &str, day: Day) -> Option<ReadTally> {
    world.read_completeness(world.network.find_node(id).unwrap(), day)
}

fn told_late() -> Vec<Vec<u8>> {
    let mut records = network();
    records.extend([
        reads(DAY_END.plus(8 * HOUR), "MF1", (1, 96)),
        reads(DAY_END.plus(8 * HOUR + 1), "MT1", (1, 96)),
        reads(DAY_END.plus(12 * HOUR + 1), "A", (1, 10)),
        reads(DAY_END.plus(24 * HOUR + 1), "A", (11, 30)),
        // Said again later: it changes nothing.
        reads(DAY_END.plus(24 * HOUR + 1), "A", (1, 5)),
        publish_record(
            DAY_END.plus(30 * HOUR),
            &publish(
                "A",
                &[IntervalRead {
                    revision: 1,
                    ..read(quarter_end(7), 5)
                }],
            ),
        ),
    ]);
    records
}

#[test]
fn reads_are_counted_by_the_level_that_they_kept_at_every_node() {
    let world = world_of(never_estimated(), &told_late(), DAY_END.plus(36 * HOUR));
    let of_dt = ReadTally {
        expected: 192,
        by_8h: 0,
        by_12h: 96,
        by_24h: 106,
        later: 20,
        estimated: 0,
    };
    let mut of_feeder = of_dt;
    for count in [
        &mut of_feeder.expected,
        &mut of_feeder.by_8h,
        &mut of_feeder.by_12h,
        &mut of_feeder.by_24h,
    ] {
        *count += 96;
    }
    assert_eq!(tally(&world, "T1", FIRST), Some(of_dt));
    assert_eq!(of_dt.missing(), 66);
    for id in ["F1", "Z", "D"] {
        assert_eq!(tally(&world, id, FIRST), Some(of_feeder), "{id}");
    }
    assert_eq!(tally(&world, "T2", FIRST), None, "it has no meters");
    assert_eq!(tally(&world, "F2", FIRST), None, "it was never heard");
    assert_eq!(tally(&world, "F1", Day(FIRST.0 + 2)), None, "that day is open");
}

#[test]
fn an_estimate_is_counted_as_one_until_the_read_comes() {
    let mut records = told_late();
    let world = world_of(Settings::default(), &records, DAY_END.plus(36 * HOUR));
    let before = tally(&world, "T1", FIRST).unwrap();
    assert_eq!(
        (before.estimated, before.missing(), world.estimates().count()),
        (66, 0, 66)
    );
    records.push(reads(DAY_END.plus(40 * HOUR), "A", (31, 32)));
    let world = world_of(Settings::default(), &records, DAY_END.plus(41 * HOUR));
    let after = tally(&world, "T1", FIRST).unwrap();
    assert_eq!((after.estimated, after.later), (64, 22));
}

#[test]
fn a_feeder_that_falls_silent_owes_its_reads_for_a_month() {
    let mut records = network();
    records.push(reads(MIDNIGHT.plus(HOUR), "A", (1, 1)));
    let world = world_of(never_estimated(), &records, MIDNIGHT.plus(40 * DAY));
    for after in 1..=SILENT_DAYS_MAX {
        let silent = tally(&world, "D", Day(FIRST.0 + after)).unwrap();
        assert_eq!((silent.expected, silent.missing()), (3 * 96, 3 * 96));
    }
    assert_eq!(tally(&world, "D", Day(FIRST.0 + SILENT_DAYS_MAX + 1)), None);
    assert_eq!(tally(&world, "D", Day(FIRST.0 - 1)), None);
}

/// T1 moves to F2 at noon: each feeder owes what hung on it, by the half, and F2 is heard through it.
#[test]
fn a_dt_that_moves_at_noon_is_owed_by_each_feeder_for_half_the_day() {
    let mut records = told_late();
    let mut moved = node("T1", NodeKind::Dt, Some("F2"));
    moved.valid_from = quarter_end(48);
    records.push(master_record(LONG_AGO, &MasterRows::Nodes(vec![moved])));
    let world = world_of(never_estimated(), &records, DAY_END.plus(36 * HOUR));
    let expected = |id: &str| tally(&world, id, FIRST).map(|tally| tally.expected);
    assert_eq!(expected("T1"), Some(192));
    assert_eq!(expected("F1"), Some(96 + 2 * 48));
    assert_eq!(expected("F2"), Some(2 * 48));
    assert_eq!(expected("D"), Some(3 * 96));
}

fn versions(store: &MemoryStore, id: &str) -> Vec<(String, String, String)> {
    let rows = store
        .batches(&table::READ_COMPLETENESS)
        .into_iter()
        .flat_map(|batch| (0..batch.num_rows()).map(move |row| (batch.clone(), row)));
    rows.filter(|(batch, row)| cell(batch, *row, "node_id") == id)
        .map(|(batch, row)| ["version", "missing", "reason"].map(|name| cell(&batch, row, name)))
        .map(|[version, missing, reason]| (version, missing, reason))
        .collect()
}

#[test]
fn a_closed_day_is_published_at_once_then_by_the_hour_as_it_changes_and_not_by_a_restart() {
    let store = Arc::new(MemoryStore::default());
    let mut records = network();
    records.push(reads(DAY_END, "A", (1, 90)));
    let run = |records: &[Vec<u8>], now: UtcMicros| {
        let mut process = Process::start(&store, never_estimated(), now);
        process.apply(records, records.len());
        process.checkpoint(Scope::Due).unwrap();
    };
    let closed = DAY_END.plus(HOUR);
    run(&records, closed.plus(-HOUR));
    assert!(versions(&store, "T1").is_empty(), "the day is still open");
    run(&records, closed);
    let first = ("1".to_owned(), (96 + 6).to_string(), String::new());
    assert_eq!(versions(&store, "T1"), std::slice::from_ref(&first));
    records.push(reads(closed, "A", (91, 92)));
    run(&records, closed.plus(HOUR - 1));
    assert_eq!(
        versions(&store, "T1"),
        std::slice::from_ref(&first),
        "not within the hour"
    );
    run(&records, closed.plus(HOUR));
    run(&records, closed.plus(HOUR));
    let second = ("2".to_owned(), (96 + 4).to_string(), "inputs changed".to_owned());
    assert_eq!(versions(&store, "T1"), [first, second]);
}
