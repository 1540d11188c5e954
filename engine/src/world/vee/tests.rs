//! Exceptions and estimates are what was said, whatever the order, the splitting, the repetition and the deaths (ORD-1, TBL-1, VEE-1).

use std::{collections::BTreeMap, sync::Arc};

use arrow::{array::RecordBatch, util::display::array_value_to_string};
use gridtally_schemas::{
    IntervalRead, Multiplier, Publish, RegisterRead,
    network::{ConnectionRow, MasterRows, MeterRole, NodeKind},
    table::{self, TableSchema},
};
use proptest::prelude::*;

use super::*;
use crate::{
    rig::{
        LONG_AGO, MIDNIGHT, MemoryStore, Process, QUARTER, connection, hierarchy, master_record, meter, node,
        publish, publish_record, quarter_end,
    },
    state::Quality,
    vee::Method,
    world::{Settings, publish::Scope},
};

const DAY: i64 = 96;
const DAYS: i64 = 4;
/// All days are closed, and their gaps due.
const NOW: UtcMicros = UtcMicros(MIDNIGHT.0 + (DAYS + 2) * DAY * QUARTER);

/// What one record says.
#[derive(Debug, Clone)]
enum Said {
    Master(MasterRows),
    Reads(&'static str, Vec<IntervalRead>),
    Register(&'static str, RegisterRead),
}

fn bytes_of(said: &Said) -> Vec<u8> {
    match said {
        Said::Master(rows) => master_record(LONG_AGO, rows),
        Said::Reads(id, reads) => publish_record(NOW, &publish(id, reads)),
        Said::Register(id, register) => {
            let mut publish = Publish::default();
            publish.begin_meter(id).unwrap();
            publish.push_register(*register);
            publish_record(NOW, &publish)
        }
    }
}

/// Two consumers on a metered DT of a metered feeder, another feeder beside.
fn network() -> Vec<Said> {
    let nodes = hierarchy().into_iter().map(|row| MasterRows::Nodes(vec![row]));
    let meters = [
        meter("MF1", MeterRole::Feeder, Some("F1")),
        meter("MT1", MeterRole::Dt, Some("T1")),
        meter("A", MeterRole::Consumer, None),
        meter("B", MeterRole::Consumer, None),
    ];
    let connections = [
        connection("CA", Some("A"), "T1"),
        connection("CB", Some("B"), "T1"),
    ];
    nodes
        .chain(meters.map(|row| MasterRows::Meters(vec![row])))
        .chain(connections.map(|row| MasterRows::Connections(vec![row])))
        .map(Said::Master)
        .collect()
}

/// A usual load, the same each time.
fn usual_wh(id: &str, quarter: i64) -> i64 {
    let base = match id {
        "A" | "B" => 50,
        _ => 200,
    };
    base + (quarter * 37 + base) % 41
}

fn reads(id: &'static str, quarters: impl Iterator<Item = i64>) -> Vec<IntervalRead> {
    quarters
        .map(|quarter| IntervalRead::new(quarter_end(quarter), Some(usual_wh(id, quarter))))
        .collect()
}

/// Reads of one meter over all days, in parts, with gaps and odd values.
fn any_reads(id: &'static str) -> impl Strategy<Value = Vec<Said>> {
    let gap = (
        1..DAYS * DAY,
        prop::sample::select(vec![1_i64, 3, 9, 40, 96, 130]),
    );
    let odd = (
        1..DAYS * DAY,
        prop::sample::select(vec![0_i64, 7, 3_000]),
        1_i64..60,
    );
    let odds = prop::collection::vec(odd, 0..3);
    (prop::collection::vec(gap, 0..4), odds, 20_usize..200).prop_map(move |(gaps, odds, part)| {
        let is_missing = |quarter: &i64| {
            gaps.iter()
                .any(|(from, length)| (*from..from + length).contains(quarter))
        };
        let mut all = reads(id, (1..=DAYS * DAY).filter(|quarter| !is_missing(quarter)));
        for (from, wh, length) in odds {
            let span = quarter_end(from)..quarter_end(from + length);
            for read in all.iter_mut().filter(|read| span.contains(&read.interval_end)) {
                read.import_wh = Some(wh);
            }
        }
        all.chunks(part)
            .map(|reads| Said::Reads(id, reads.to_vec()))
            .collect()
    })
}

/// What comes beside: late reads into gaps, corrections, registers, and master data that turns out to be another.
fn any_more() -> impl Strategy<Value = Said> {
    let id = || prop::sample::select(vec!["A", "B", "MT1"]);
    let late = (id(), 1..DAYS * DAY, 1_i64..30)
        .prop_map(|(id, from, length)| Said::Reads(id, reads(id, from..from + length)));
    let corrected = (id(), 1..DAYS * DAY, 0_i64..400).prop_map(|(id, quarter, wh)| {
        let read = IntervalRead {
            revision: 1,
            ..IntervalRead::new(quarter_end(quarter), Some(wh))
        };
        Said::Reads(id, vec![read])
    });
    let register = (
        id(),
        0..=DAYS,
        prop::sample::select(vec![0_i64, 900, 5_000, 99_999_000]),
    )
        .prop_map(|(id, day, begin)| {
            let passed: i64 = (1..=day * DAY).map(|quarter| usual_wh(id, quarter)).sum();
            Said::Register(
                id,
                RegisterRead {
                    at: quarter_end(day * DAY),
                    import_wh: Some((begin + passed) % 100_000_000),
                    export_wh: None,
                },
            )
        });
    let day = prop::sample::select(vec![LONG_AGO, quarter_end(DAY), quarter_end(DAY + 40)]);
    let moved = (day.clone(), prop::sample::select(vec!["T1", "T3"]), any::<bool>()).prop_map(
        |(valid_from, place, small)| {
            Said::Master(MasterRows::Connections(vec![ConnectionRow {
                valid_from,
                sanctioned_load_kw: Some(if small { 0.1 } else { 4.0 }),
                ..connection("CA", Some("A"), place)
            }]))
        },
    );
    let replaced = (day, any::<bool>()).prop_map(|(valid_from, twice)| {
        let mut row = meter("B", MeterRole::Consumer, None);
        row.valid_from = valid_from;
        row.multiplier = Multiplier::from_thousandths(if twice { 2_000 } else { 1_000 }).unwrap();
        Said::Master(MasterRows::Meters(vec![row]))
    });
    let rated = any::<bool>().prop_map(|small| {
        let mut row = node("T1", NodeKind::Dt, Some("F1"));
        row.capacity_kva = Some(if small { 0.5 } else { 100.0 });
        Said::Master(MasterRows::Nodes(vec![row]))
    });
    prop_oneof![3 => late, 3 => corrected, 4 => register, 1 => moved, 1 => replaced, 1 => rated]
}

fn history() -> impl Strategy<Value = Vec<Said>> {
    let said = (any_reads("A"), any_reads("B"), any_reads("MT1"), any_reads("MF1"));
    (said, prop::collection::vec(any_more(), 0..14)).prop_map(|((a, b, dt, feeder), more)| {
        let mut all = network();
        for part in [a, b, dt, feeder, more] {
            all.extend(part);
        }
        all
    })
}

/// Exceptions, estimates and balances of DTs as text.
fn picture(world: &World) -> BTreeMap<String, String> {
    let mut said = BTreeMap::new();
    let id = |meter: MeterIx| world.network.meter(meter).unwrap().id().to_owned();
    for (meter, exception) in world.exceptions() {
        let key = format!(
            "exception {} {} {}",
            id(meter),
            exception.quarter.0,
            exception.rule.as_str()
        );
        said.insert(key, format!("{:?} {}", exception.value, exception.detail));
    }
    for (meter, estimate) in world.estimates() {
        let key = format!("estimate {} {}", id(meter), estimate.quarter.0);
        said.insert(key, format!("{estimate:?}"));
    }
    for (meter, quarter, value) in world.state.values() {
        said.insert(format!("value {} {}", id(meter), quarter.0), format!("{value:?}"));
    }
    for (node, days) in &world.days {
        let node = world.network.node(*node).unwrap().id.to_string();
        for (day, sums) in days.iter() {
            said.insert(format!("day {node} {day}"), format!("{sums:?}"));
        }
    }
    said
}

fn cell(batch: &RecordBatch, row: usize, name: &str) -> String {
    array_value_to_string(batch.column_by_name(name).unwrap(), row).unwrap()
}

/// Newest row of each key, by the given columns, of what still stands: an exception that is open, a value that is there.
fn standing(store: &MemoryStore, table: &'static TableSchema, columns: &[&str]) -> BTreeMap<String, String> {
    let mut newest: BTreeMap<String, (i64, String, bool)> = BTreeMap::new();
    for batch in store.batches(table) {
        for row in 0..batch.num_rows() {
            let key: Vec<String> = table.key.iter().map(|name| cell(&batch, row, name)).collect();
            let version: i64 = cell(&batch, row, "version").parse().unwrap();
            let stands = match table.column("resolved_at") {
                Some(_) => cell(&batch, row, "resolved_at").is_empty(),
                None => cell(&batch, row, "quality") != "missing",
            };
            let text: Vec<String> = columns.iter().map(|name| cell(&batch, row, name)).collect();
            let entry = newest.entry(key.join("/")).or_insert((-1, String::new(), false));
            assert!(
                version == 0 || version != entry.0,
                "version {version} of {key:?} was written twice"
            );
            if version > entry.0 {
                *entry = (version, text.join(" "), stands);
            }
        }
    }
    let standing = newest.into_iter().filter(|(_, (_, _, stands))| *stands);
    standing.map(|(key, (_, text, _))| (key, text)).collect()
}

fn tables(store: &MemoryStore) -> [BTreeMap<String, String>; 2] {
    let reads = ["import_wh", "export_wh", "quality", "method", "revision"];
    [
        standing(store, &table::INTERVAL_READS, &reads),
        standing(store, &table::VEE_EXCEPTIONS, &["rule", "value", "detail"]),
    ]
}

fn assert_same(
    what: &str,
    a: &BTreeMap<String, String>,
    b: &BTreeMap<String, String>,
) -> Result<(), TestCaseError> {
    for key in a.keys().chain(b.keys()) {
        prop_assert_eq!(a.get(key), b.get(key), "{}: {}", what, key);
    }
    Ok(())
}

fn run_through(records: &[Vec<u8>]) -> (Process, Arc<MemoryStore>) {
    let store = Arc::new(MemoryStore::default());
    let mut process = Process::start(&store, Settings::default(), NOW);
    process.apply(records, records.len());
    process.checkpoint(Scope::Everything).unwrap();
    (process, store)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_order_and_repetition_ends_in_the_same_exceptions_and_estimates(
        (told, shuffled) in history().prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle())),
        again in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        stops in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
    ) {
        let records: Vec<Vec<u8>> = told.iter().map(bytes_of).collect();
        let mut others: Vec<Vec<u8>> = shuffled.iter().map(bytes_of).collect();
        for index in again {
            let record = others[index.index(others.len())].clone();
            others.insert(index.index(others.len()), record);
        }
        let (a, store_a) = run_through(&records);
        // The other process judges and publishes on its way, at times from the first day's noon on.
        let store_b = Arc::new(MemoryStore::default());
        let mut stops: Vec<usize> = stops.iter().map(|stop| stop.index(others.len())).collect();
        stops.sort_unstable();
        let mut b = Process::start(&store_b, Settings::default(), NOW);
        for (at, stop) in stops.iter().enumerate() {
            b.set_now(MIDNIGHT.plus((2 * i64::try_from(at).unwrap() + 1) * DAY * QUARTER));
            b.apply(&others, *stop);
            b.checkpoint(Scope::Everything).unwrap();
        }
        b.set_now(NOW);
        b.apply(&others, others.len());
        b.checkpoint(Scope::Everything).unwrap();
        assert_same("picture", &picture(&a.world), &picture(&b.world))?;
        let ([reads_a, vee_a], [reads_b, vee_b]) = (tables(&store_a), tables(&store_b));
        assert_same("interval_reads", &reads_a, &reads_b)?;
        assert_same("vee_exceptions", &vee_a, &vee_b)?;
    }

    #[test]
    fn killed_between_any_two_commits_the_exceptions_and_estimates_are_as_if_it_had_not_been(
        told in history().prop_shuffle(),
        deaths in prop::collection::vec((any::<prop::sample::Index>(), 0_usize..14), 0..5),
    ) {
        let records: Vec<Vec<u8>> = told.iter().map(bytes_of).collect();
        let (whole, whole_store) = run_through(&records);
        let store = Arc::new(MemoryStore::default());
        let mut seen = 0;
        for (through, commits) in &deaths {
            let mut process = Process::start(&store, Settings::default(), NOW);
            // As the engine's thread does: nothing is published before all that a table may hold already is applied.
            seen = through.index(records.len() + 1).max(seen);
            process.apply(&records, seen);
            store.fail_after(Some(*commits));
            let _ = process.checkpoint(Scope::Everything);
        }
        let mut process = Process::start(&store, Settings::default(), NOW);
        process.apply(&records, records.len());
        process.checkpoint(Scope::Everything).unwrap();
        assert_same("picture", &picture(&process.world), &picture(&whole.world))?;
        let ([reads, vee], [whole_reads, whole_vee]) = (tables(&store), tables(&whole_store));
        assert_same("interval_reads", &reads, &whole_reads)?;
        assert_same("vee_exceptions", &vee, &whole_vee)?;
        let rows = |store: &MemoryStore| -> usize {
            let of = |table| store.batches(table).iter().map(RecordBatch::num_rows).sum::<usize>();
            of(&table::INTERVAL_READS) + of(&table::VEE_EXCEPTIONS)
        };
        let before = rows(&store);
        let mut again = Process::start(&store, Settings::default(), NOW);
        again.apply(&records, records.len());
        again.checkpoint(Scope::Everything).unwrap();
        assert_same("recovered picture", &picture(&again.world), &picture(&whole.world))?;
        prop_assert_eq!(before, rows(&store), "a restart alone published something");
    }
}

fn versions(store: &MemoryStore, table: &'static TableSchema, columns: &[&str]) -> Vec<String> {
    let mut rows: Vec<(i64, String)> = Vec::new();
    for batch in store.batches(table) {
        for row in 0..batch.num_rows() {
            let text: Vec<String> = columns.iter().map(|name| cell(&batch, row, name)).collect();
            rows.push((cell(&batch, row, "version").parse().unwrap(), text.join("|")));
        }
    }
    rows.sort();
    rows.into_iter()
        .map(|(version, text)| format!("{version}|{text}"))
        .collect()
}

/// The DT's meter has its whole first day, A has all but two quarters.
fn with_a_gap() -> Vec<Said> {
    let mut all = network();
    all.push(Said::Reads("MT1", reads("MT1", 1..=DAY)));
    all.push(Said::Reads(
        "A",
        reads("A", (1..=DAY).filter(|quarter| *quarter != 50 && *quarter != 51)),
    ));
    all
}

#[test]
fn an_estimate_is_published_counted_as_estimated_and_gives_way_to_the_actual_read() {
    let store = Arc::new(MemoryStore::default());
    let mut records: Vec<Vec<u8>> = with_a_gap().iter().map(bytes_of).collect();
    let mut process = Process::start(&store, Settings::default(), quarter_end(DAY + 40));
    process.apply(&records, records.len());
    assert_eq!(process.world.estimates().count(), 0, "its grace is not over");
    process.set_now(quarter_end(2 * DAY));
    process.apply(&records, records.len());
    process.checkpoint(Scope::Everything).unwrap();
    let estimates: Vec<(i64, Method)> = process
        .world
        .estimates()
        .filter(|(meter, _)| process.world.network.find_meter("A") == Some(*meter))
        .map(|(_, estimate)| (i64::from(estimate.import_wh), estimate.method))
        .collect();
    let (left, right) = (usual_wh("A", 49), usual_wh("A", 52));
    let line = |step: i64| (left * (3 - step) + right * step + 1) / 3;
    assert_eq!(estimates, [(line(1), Method::Linear), (line(2), Method::Linear)]);
    let coverage = |world: &World| {
        let dt = world.network.find_node("T1").unwrap();
        world.days[&dt].iter().next().unwrap().1.coverage
    };
    // B has nothing to estimate it from but its sanctioned load; the DT's meter is whole.
    assert_eq!(
        (
            coverage(&process.world).reported,
            coverage(&process.world).estimated
        ),
        (2 * DAY - 2, DAY + 2)
    );
    records.push(bytes_of(&Said::Reads("A", reads("A", 50..=50))));
    process.apply(&records, records.len());
    process.checkpoint(Scope::Everything).unwrap();
    let a = process.world.network.find_meter("A").unwrap();
    let value = |quarter: i64| {
        process
            .world
            .state
            .value(a, Quarter::ending(quarter_end(quarter)).unwrap())
            .unwrap()
    };
    assert_eq!(
        (value(50).quality, i64::from(value(50).import_wh)),
        (Quality::Actual, usual_wh("A", 50))
    );
    assert_eq!(value(51).quality, Quality::Estimated);
    assert_eq!(coverage(&process.world).estimated, DAY + 1);
    let mut rows = versions(
        &store,
        &table::INTERVAL_READS,
        &["meter_id", "interval_end", "quality", "method", "import_wh"],
    );
    rows.retain(|row| row.contains("|A|") && row.contains("2026-04-01T07:00:00"));
    assert_eq!(
        rows,
        [
            format!("1|A|2026-04-01T07:00:00Z|estimated|linear|{}", line(1)),
            format!("2|A|2026-04-01T07:00:00Z|actual||{}", usual_wh("A", 50)),
        ],
        "VEE-1: both stay"
    );
}

#[test]
fn an_exception_is_resolved_when_its_cause_goes_away_and_raised_again_when_it_comes_back() {
    let store = Arc::new(MemoryStore::default());
    let day = reads("A", 1..=DAY);
    let mut spoilt = day.clone();
    spoilt[59].import_wh = Some(90_000);
    let corrected = |revision: i32, wh: i64| {
        let read = IntervalRead {
            revision,
            ..IntervalRead::new(quarter_end(60), Some(wh))
        };
        bytes_of(&Said::Reads("A", vec![read]))
    };
    let mut records: Vec<Vec<u8>> = network().iter().map(bytes_of).collect();
    records.push(bytes_of(&Said::Reads("A", spoilt)));
    let mut process = Process::start(&store, Settings::default(), quarter_end(DAY + 4));
    for more in [
        None,
        Some(corrected(1, 60)),
        Some(corrected(2, 80_000)),
        Some(corrected(3, 85_000)),
    ] {
        records.extend(more);
        process.apply(&records, records.len());
        process.checkpoint(Scope::Everything).unwrap();
    }
    let rows = versions(
        &store,
        &table::VEE_EXCEPTIONS,
        &["exception_id", "value", "reason"],
    );
    let spike: Vec<&str> = rows
        .iter()
        .filter(|row| row.contains("/spike"))
        .map(String::as_str)
        .collect();
    let id = format!("A/{}/spike", quarter_end(60).0 / 1_000_000);
    assert_eq!(
        spike,
        [
            format!("1|{id}|90000.0|"),
            format!("2|{id}|90000.0|resolved"),
            format!("3|{id}|80000.0|raised again"),
            format!("4|{id}|85000.0|measured anew"),
        ]
    );
}

#[test]
fn a_day_of_a_feeder_that_said_nothing_is_not_judged() {
    let records: Vec<Vec<u8>> = network().iter().map(bytes_of).collect();
    let (process, store) = run_through(&records);
    assert_eq!(
        process.world.exceptions().count() + process.world.estimates().count(),
        0
    );
    assert_eq!(store.batches(&table::VEE_EXCEPTIONS).len(), 0);
}
