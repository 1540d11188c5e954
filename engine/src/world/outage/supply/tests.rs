use std::sync::Arc;

use gridtally_schemas::{
    IntervalRead, PowerEvent, Publish, UtcMicros,
    network::{MasterRows, MeterRole},
    table,
};

use crate::{
    rig::{
        LONG_AGO, MIDNIGHT, MemoryStore, Process, QUARTER, connection, hierarchy, master_record, meter,
        publish, publish_record, quarter_end, read,
    },
    vee::{Method, Rule},
    verify::tests::assert_stands,
    world::{
        Settings,
        publish::Scope,
        tests::compared::{assert_same, current_rows, lines},
    },
};

const DAY: i64 = 96 * QUARTER;
/// The gaps of the first of April are due.
const NOW: UtcMicros = MIDNIGHT.plus(3 * DAY);
const MINUTE: i64 = 60_000_000;

/// Minutes after the midnight that begins the first of April.
fn minute(minutes: i64) -> UtcMicros {
    MIDNIGHT.plus(minutes * MINUTE)
}

fn network() -> Vec<Vec<u8>> {
    let meters = vec![
        meter("MT1", MeterRole::Dt, Some("T1")),
        meter("A", MeterRole::Consumer, None),
        meter("B", MeterRole::Consumer, None),
    ];
    let connections = vec![
        connection("CA", Some("A"), "T1"),
        connection("CB", Some("B"), "T1"),
    ];
    vec![
        master_record(LONG_AGO, &MasterRows::Nodes(hierarchy())),
        master_record(LONG_AGO, &MasterRows::Meters(meters)),
        master_record(LONG_AGO, &MasterRows::Connections(connections)),
    ]
}

/// 100 Wh in each of these quarters, by number from 1 on.
fn says(id: &str, quarters: impl IntoIterator<Item = i64>) -> Vec<u8> {
    let reads: Vec<IntervalRead> = quarters
        .into_iter()
        .map(|quarter| read(quarter_end(quarter), 100))
        .collect();
    publish_record(NOW, &publish(id, &reads))
}

/// 100 Wh in each quarter of the first of April save those of `gap`.
fn says_all_but(id: &str, gap: std::ops::Range<i64>) -> Vec<u8> {
    says(id, (1..=96).filter(|quarter| !gap.contains(quarter)))
}

fn events(id: &str, all: &[(i64, i32)]) -> Vec<u8> {
    let mut publish = Publish::default();
    publish.begin_meter(id).unwrap();
    for (minutes, code) in all {
        publish.push_event(PowerEvent {
            at: minute(*minutes),
            code: *code,
            sequence: None,
        });
    }
    publish_record(NOW, &publish)
}

/// Applies one record after the other; after each that `ends` has a process ends and another begins.
fn run(records: &[Vec<u8>], ends: impl Fn(usize) -> bool) -> (Process, Arc<MemoryStore>) {
    let store = Arc::new(MemoryStore::default());
    let mut process = Process::start(&store, Settings::default(), NOW);
    for through in 1..=records.len() {
        process.apply(records, through);
        if ends(through) {
            process.checkpoint(Scope::Everything).unwrap();
            process = Process::start(&store, Settings::default(), NOW);
            process.apply(records, through);
        }
    }
    process.checkpoint(Scope::Everything).unwrap();
    (process, store)
}

/// Quarters of A that are estimated: number, method, energy.
fn estimates(process: &Process) -> Vec<(i64, Method, u32)> {
    let a = process.world.network.find_meter("A").unwrap();
    let of_a = process.world.estimates().filter(|(meter, _)| *meter == a);
    let mut found: Vec<(i64, Method, u32)> = of_a
        .map(|(_, estimate)| {
            let quarter = (estimate.quarter.end().0 - MIDNIGHT.0) / QUARTER;
            (quarter, estimate.method, estimate.import_wh)
        })
        .collect();
    found.sort_unstable();
    found
}

fn zeroes(process: &Process) -> Vec<i64> {
    let all = estimates(process).into_iter();
    all.filter(|(_, method, _)| *method == Method::KnownOutage)
        .map(|(quarter, _, wh)| {
            assert_eq!(wh, 0);
            quarter
        })
        .collect()
}

/// A's reads from 10:00 to 13:00 are missing; it said that its supply failed at 10:02 and was back at 12:31.
fn outage() -> Vec<Vec<u8>> {
    let mut records = network();
    records.push(says_all_but("A", 41..53));
    records.push(says_all_but("B", 0..0));
    records.push(says_all_but("MT1", 0..0));
    records.push(events("A", &[(602, 101), (751, 102)]));
    records
}

#[test]
fn intervals_wholly_within_a_known_interruption_are_zero_and_name_it() {
    let (process, store) = run(&outage(), |_| false);
    // From 10:15 to 12:30; of the quarters in which supply failed and came back nothing is known but that.
    assert_eq!(zeroes(&process), (42..=50).collect::<Vec<i64>>());
    let others: Vec<(i64, Method)> = estimates(&process)
        .iter()
        .filter(|(_, method, _)| *method != Method::KnownOutage)
        .map(|(quarter, method, _)| (*quarter, *method))
        .collect();
    assert_eq!(others, [41, 51, 52].map(|quarter| (quarter, Method::Profile)));
    let rows = lines(&store, &table::INTERVAL_READS);
    let zero = rows
        .iter()
        .find(|row| row.contains("method=known_outage"))
        .unwrap();
    let id = &process.world.interruptions().next().unwrap().outage;
    let why = format!(
        "reason=no supply: outage {id}, from 2026-04-01T10:02:00+05:30 by power_event, until 2026-04-01T12:31:00+05:30 by power_event"
    );
    assert!(zero.contains(&why), "{zero}");
    assert_stands(&store).unwrap();
}

#[test]
fn silence_alone_is_no_known_outage() {
    let mut records = outage();
    records.pop();
    let (process, _) = run(&records, |_| false);
    assert_eq!((zeroes(&process), estimates(&process).len()), (vec![], 12));
    // A restoration without a failure says that supply was back, and not since when it was gone: the hole before it is not taken for that.
    records.push(events("A", &[(751, 102)]));
    let (process, _) = run(&records, |_| false);
    assert_eq!((zeroes(&process), estimates(&process).len()), (vec![], 12));
}

/// A's switch was opened at 10:02 of the first of April and closed at 10:00 of the second, and it says some quarters in between all the
/// same: what it says of being closed makes the day before zero.
fn switched_overnight() -> Vec<Vec<u8>> {
    let mut records = network();
    records.push(says("A", (1..=40).chain(48..=50)));
    records.push(says("MT1", 1..=192));
    records.push(events("A", &[(602, 301)]));
    records.push(events("A", &[(1_440 + 600, 302)]));
    records
}

#[test]
fn whatever_comes_last_the_same_intervals_are_zero() {
    let overnight: Vec<i64> = (42..=47).chain(51..=136).collect();
    for (in_order, zero) in [(outage(), (42..=50).collect()), (switched_overnight(), overnight)] {
        let (whole, whole_store) = run(&in_order, |_| false);
        assert_eq!(zeroes(&whole), zero);
        let expected = estimates(&whole);
        for first in 3..in_order.len() {
            let mut records = in_order.clone();
            records[3..].rotate_left(first - 3);
            for ends in [|_: usize| false, |_: usize| true] {
                let (process, store) = run(&records, ends);
                assert_eq!(estimates(&process), expected, "{first}");
                let rows = |store: &MemoryStore| current_rows(store, &table::INTERVAL_READS);
                assert_same("interval_reads", &rows(&store), &rows(&whole_store)).unwrap();
                assert_stands(&store).unwrap();
            }
        }
    }
}

#[test]
fn an_open_load_switch_is_zero_until_it_is_closed_or_the_meter_counts() {
    let with = |all: &[(i64, i32)], gap: std::ops::Range<i64>| {
        let mut records = network();
        records.push(says_all_but("A", gap));
        records.push(events("A", all));
        let (process, _) = run(&records, |through| through == 4);
        zeroes(&process)
    };
    // Open from 10:02 to 12:31, by hand or for want of credit.
    assert_eq!(
        with(&[(602, 301), (751, 302)], 41..53),
        (42..=50).collect::<Vec<i64>>()
    );
    assert_eq!(
        with(&[(602, 304), (751, 302)], 41..53),
        (42..=50).collect::<Vec<i64>>()
    );
    // Not closed, and nothing counts after it.
    assert_eq!(with(&[(602, 301)], 41..97), (42..=96).collect::<Vec<i64>>());
    // Not closed, but it counts from 13:00 on: the event that it was closed is lost, and nobody knows since when.
    assert_eq!(with(&[(602, 301)], 41..53), Vec::<i64>::new());
    // A closing alone says nothing of before.
    assert_eq!(with(&[(751, 302)], 41..53), Vec::<i64>::new());
}

/// Gaps of a meter that stand: number of the first quarter, intervals.
fn gaps(process: &Process, id: &str) -> Vec<(i64, f64)> {
    let meter = process.world.network.find_meter(id).unwrap();
    let of_meter = process.world.exceptions().filter(|(of, _)| *of == meter);
    let gaps = of_meter.filter(|(_, exception)| exception.rule == Rule::Gap);
    let mut found: Vec<(i64, f64)> = gaps
        .map(|(_, gap)| ((gap.quarter.end().0 - MIDNIGHT.0) / QUARTER, gap.value.unwrap()))
        .collect();
    found.sort_by_key(|(quarter, _)| *quarter);
    found
}

#[test]
fn of_a_hole_in_a_profile_only_what_no_outage_explains_is_a_gap() {
    let explained = [(41, 1.0), (51, 2.0)];
    let whole = run(&outage(), |_| false).0;
    assert_eq!(gaps(&whole, "A"), explained);
    let mut unexplained = outage();
    unexplained.pop();
    assert_eq!(gaps(&run(&unexplained, |_| false).0, "A"), [(41, 12.0)]);
    // Whatever comes last, and whatever ends in between.
    for first in 3..outage().len() {
        let mut records = outage();
        records[3..].rotate_left(first - 3);
        for ends in [|_: usize| false, |_: usize| true] {
            let (process, store) = run(&records, ends);
            assert_eq!(gaps(&process, "A"), explained, "{first}");
            assert_stands(&store).unwrap();
        }
    }
    // A cut-off before it is told late: it was no outage, and the gap is one again.
    let mut cut_off = outage();
    cut_off.push(events("A", &[(601, 304)]));
    for ends in [|_: usize| false, |_: usize| true] {
        assert_eq!(gaps(&run(&cut_off, ends).0, "A"), [(41, 12.0)]);
    }
}

#[test]
fn the_gap_of_a_dts_own_meter_while_the_dt_is_dead_is_none() {
    let mut records = network();
    for id in ["A", "B", "MT1"] {
        records.push(says_all_but(id, 41..53));
    }
    let silent = run(&records, |_| false).0;
    assert_eq!(gaps(&silent, "MT1"), [(41, 12.0)]);
    for id in ["A", "B", "MT1"] {
        records.push(events(id, &[(602, 101), (751, 102)]));
    }
    for ends in [|_: usize| false, |_: usize| true] {
        let process = run(&records, ends).0;
        for id in ["A", "MT1"] {
            assert_eq!(gaps(&process, id), [(41, 1.0), (51, 2.0)], "{id}");
        }
    }
}

/// A says zero all day, and B and the DT count: a fault of the meter, unless it is said that its supply had failed.
#[test]
fn a_day_of_zeros_is_none_while_the_consumer_is_interrupted() {
    let long_zeros = |records: &[Vec<u8>], ends: fn(usize) -> bool| {
        let (process, _) = run(records, ends);
        let zeros = process
            .world
            .exceptions()
            .filter(|(_, found)| found.rule == Rule::LongZero);
        zeros.count()
    };
    let mut records = network();
    let zeros: Vec<IntervalRead> = (1..=96).map(|quarter| read(quarter_end(quarter), 0)).collect();
    records.push(publish_record(NOW, &publish("A", &zeros)));
    records.push(says("A", 97..=100));
    records.push(says_all_but("B", 0..0));
    records.push(says_all_but("MT1", 0..0));
    for ends in [|_: usize| false, |_: usize| true] {
        assert_eq!(long_zeros(&records, ends), 1);
    }
    records.push(events("A", &[(30, 101), (1_420, 102)]));
    for ends in [|_: usize| false, |_: usize| true] {
        assert_eq!(long_zeros(&records, ends), 0);
    }
    // The load switch was opened before that, which is told later.
    records.push(events("A", &[(20, 301)]));
    for ends in [|_: usize| false, |_: usize| true] {
        assert_eq!(long_zeros(&records, ends), 1);
    }
}
