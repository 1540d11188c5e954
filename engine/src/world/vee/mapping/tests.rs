use std::sync::Arc;

use gridtally_schemas::{
    IntervalRead,
    network::{MasterRows, MeterRole},
    table,
};

use crate::{
    rig::{
        LONG_AGO, MIDNIGHT, MemoryStore, Process, connection, hierarchy, master_record, meter, publish,
        publish_record, quarter_end, read,
    },
    vee::Rule,
    world::{
        Settings,
        publish::Scope,
        tests::compared::{assert_same, current_rows, lines},
    },
};

use super::fixed_point;

const DAY: i64 = 86_400_000_000;
/// The week from Monday, the 6th of April 2026, on is closed, and its gaps are due.
const NOW: gridtally_schemas::UtcMicros = MIDNIGHT.plus(14 * DAY);
const MONDAY: i64 = 5;
/// Of the week three days are said: enough for a figure.
const DAYS_SAID: i64 = 3;

/// A consumer, the DT on which it hangs, and the one that master data says.
const CONSUMERS: [(&str, &str, &str); 17] = [
    ("A1", "T1", "T1"),
    ("A2", "T1", "T1"),
    ("A3", "T1", "T1"),
    ("A4", "T1", "T1"),
    ("A5", "T1", "T1"),
    ("B1", "T2", "T2"),
    ("B2", "T2", "T2"),
    ("B3", "T2", "T2"),
    ("B4", "T2", "T2"),
    ("B5", "T2", "T2"),
    ("C1", "T3", "T3"),
    ("C2", "T3", "T3"),
    ("C3", "T3", "T3"),
    ("C4", "T3", "T3"),
    ("C5", "T3", "T3"),
    // One within its feeder, one on another feeder.
    ("X", "T2", "T1"),
    ("Y", "T3", "T1"),
];

/// Draws that are the same everywhere.
fn draw(of: &str, at: i64, most: i64) -> i64 {
    let seed = of.bytes().fold(7_u64, |seed, byte| {
        seed.wrapping_mul(31).wrapping_add(byte.into())
    });
    let mut value =
        seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ at.cast_unsigned().wrapping_mul(0xD1B5_4A32_D192_ED03);
    value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    i64::try_from((value ^ (value >> 31)) >> 33).unwrap() % most
}

fn load(consumer: &str, quarter: i64) -> i64 {
    100 + draw(consumer, quarter, 200)
}

/// Tenths of a volt, so that what is said is said exactly.
fn voltage(dt: &str, consumer: &str, quarter: i64) -> f32 {
    let decivolts =
        2_300 + draw("substation", quarter, 30) + draw(dt, quarter, 60) + draw(consumer, quarter + 7, 25);
    f32::from(u16::try_from(decivolts).unwrap()) / 10.0
}

fn quarters() -> impl Iterator<Item = i64> {
    MONDAY * 96 + 1..=(MONDAY + DAYS_SAID) * 96
}

fn connections(at: impl Fn(&(&'static str, &'static str, &'static str)) -> &'static str) -> MasterRows {
    let row = |consumer: &(&'static str, _, _)| (format!("C-{}", consumer.0), consumer.0);
    let rows = CONSUMERS.iter().map(|consumer| {
        let (id, meter_id) = row(consumer);
        connection(&id, Some(meter_id), at(consumer))
    });
    MasterRows::Connections(rows.collect())
}

/// Master data, what the DTs' meters said, and a record for each consumer.
fn records() -> Vec<Vec<u8>> {
    let dts = [("MT1", "T1"), ("MT2", "T2"), ("MT3", "T3")];
    let meters = dts.iter().map(|(id, dt)| meter(id, MeterRole::Dt, Some(dt)));
    let consumers = CONSUMERS
        .iter()
        .map(|(id, ..)| meter(id, MeterRole::Consumer, None));
    let mut records = vec![
        master_record(LONG_AGO, &MasterRows::Nodes(hierarchy())),
        master_record(LONG_AGO, &MasterRows::Meters(meters.chain(consumers).collect())),
        master_record(LONG_AGO, &connections(|(_, _, recorded_at)| recorded_at)),
    ];
    for (id, dt) in dts {
        let of_dt = |quarter: i64| {
            let here = CONSUMERS.iter().filter(|(_, hangs_on, _)| *hangs_on == dt);
            read(
                quarter_end(quarter),
                here.map(|(id, ..)| load(id, quarter)).sum::<i64>() * 103 / 100,
            )
        };
        let reads: Vec<IntervalRead> = quarters().map(of_dt).collect();
        records.push(publish_record(NOW, &publish(id, &reads)));
    }
    for (id, hangs_on, _) in CONSUMERS {
        let of_consumer = |quarter: i64| IntervalRead {
            voltage_v: Some(voltage(hangs_on, id, quarter)),
            ..read(quarter_end(quarter), load(id, quarter))
        };
        let reads: Vec<IntervalRead> = quarters().map(of_consumer).collect();
        records.push(publish_record(NOW, &publish(id, &reads)));
    }
    records
}

/// Meters with an objection to their place, and what it says.
fn objections(process: &Process) -> Vec<(String, String)> {
    let of_rule = process
        .world
        .exceptions()
        .filter(|(_, exception)| exception.rule == Rule::WrongMapping);
    let mut found: Vec<(String, String)> = of_rule
        .map(|(meter, exception)| {
            let id = process.world.network.meter(meter).unwrap().id().to_owned();
            // The last interval of the week.
            assert_eq!(exception.quarter.end(), quarter_end((MONDAY + 7) * 96));
            (id, exception.detail)
        })
        .collect();
    found.sort();
    found
}

fn settings(state_bytes_max: usize) -> Settings {
    Settings {
        state_bytes_max,
        settlement_micros: 0,
        ..Settings::default()
    }
}

/// Applies one record after the other, with a checkpoint and a new process after every `each`, letting go what may go.
fn run(records: &[Vec<u8>], each: usize, state_bytes_max: usize) -> (Process, Arc<MemoryStore>) {
    let store = Arc::new(MemoryStore::default());
    let mut process = Process::start(&store, settings(state_bytes_max), NOW);
    for through in 1..=records.len() {
        process.apply(records, through);
        if through.is_multiple_of(each) || through == records.len() {
            process.checkpoint(Scope::Everything).unwrap();
            if state_bytes_max == 0 {
                process.let_go();
            } else {
                process = Process::start(&store, settings(state_bytes_max), NOW);
                process.apply(records, through);
            }
        }
    }
    (process, store)
}

#[test]
fn who_hangs_elsewhere_is_named_with_the_place_and_nobody_else_is() {
    let (process, _) = run(&records(), usize::MAX, usize::MAX);
    let found = objections(&process);
    let ids: Vec<&str> = found.iter().map(|(id, _)| id.as_str()).collect();
    assert_eq!(ids, ["X", "Y"], "{found:?}");
    assert!(
        found[0]
            .1
            .starts_with("fits DT T2 of feeder F1 better: its voltage moves 0."),
        "{found:?}"
    );
    assert!(
        found[1]
            .1
            .starts_with("fits DT T3 of feeder F2 better: its voltage moves 0."),
        "{found:?}"
    );
    assert!(
        found[0].1.contains("the residual of DT T1 changes by -"),
        "{found:?}"
    );
}

#[test]
fn whatever_comes_last_and_wherever_a_process_ended_the_same_objections_stand() {
    let in_order = records();
    let (whole, whole_store) = run(&in_order, usize::MAX, usize::MAX);
    let expected = objections(&whole);
    assert_eq!(expected.len(), 2);
    let mut backwards = in_order.clone();
    backwards.reverse();
    // The feeder beside comes last: who hangs there was objected to before anybody could know where.
    let mut beside_last = in_order.clone();
    let beside: Vec<Vec<u8>> = beside_last.splice(16..21, []).collect();
    beside_last.extend(beside);
    for records in [in_order, backwards, beside_last] {
        for (each, state_bytes_max) in [(1_000, usize::MAX), (4, usize::MAX), (1, 0)] {
            let (process, store) = run(&records, each, state_bytes_max);
            assert_eq!(objections(&process), expected, "{each} {state_bytes_max}");
            let rows = |store: &MemoryStore| current_rows(store, &table::VEE_EXCEPTIONS);
            assert_same("vee_exceptions", &rows(&store), &rows(&whole_store)).unwrap();
        }
    }
}

#[test]
fn a_correction_of_the_mapping_resolves_it_back_to_where_it_begins() {
    let mut records = records();
    records.push(master_record(NOW, &connections(|(_, hangs_on, _)| hangs_on)));
    for state_bytes_max in [usize::MAX, 0] {
        let (process, store) = run(&records, 1, state_bytes_max);
        assert_eq!(objections(&process), []);
        let of_rule: Vec<String> = lines(&store, &table::VEE_EXCEPTIONS)
            .into_iter()
            .filter(|row| row.contains("rule=wrong_mapping"))
            .collect();
        let of = |id: &str, word: &str| {
            of_rule
                .iter()
                .filter(|row| row.contains(id) && row.contains(word))
                .count()
        };
        for id in ["meter_id=X", "meter_id=Y"] {
            assert!(
                of(id, "resolved_at= ") > 0 && of(id, "reason=resolved") == 1,
                "{of_rule:#?}"
            );
        }
    }
}

#[test]
fn who_moved_within_the_week_is_not_judged_in_it() {
    let mut moved = connection("C-X", Some("X"), "T2");
    moved.valid_from = quarter_end((MONDAY + 1) * 96);
    let mut records = records();
    records.push(master_record(NOW, &MasterRows::Connections(vec![moved])));
    let (process, _) = run(&records, usize::MAX, usize::MAX);
    let ids: Vec<String> = objections(&process).into_iter().map(|(id, _)| id).collect();
    assert_eq!(ids, ["Y"]);
}

#[test]
fn volts_are_taken_exactly_from_their_own_bits() {
    for (volts, fixed) in [
        (240.0, Some(240 * 1_024)),
        (231.5, Some(231 * 1_024 + 512)),
        (1.0, Some(1_024)),
        (0.5, None),
        (0.0, None),
        (-230.0, None),
        (511.999, Some(524_286)),
        (512.0, None),
        (f32::NAN, None),
        (f32::INFINITY, None),
    ] {
        assert_eq!(fixed_point(volts), fixed, "{volts}");
    }
}
