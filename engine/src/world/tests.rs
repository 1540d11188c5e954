//! The picture as a whole: what it says is a function of what was said, whatever the order, the repetition, the splitting into
//! records, and wherever the process was killed (ORD-1, CONS-1, TBL-1, BAL-1, BAL-2).

use std::{collections::BTreeMap, sync::Arc};

use arrow::{array::RecordBatch, util::display::array_value_to_string};
use gridtally_schemas::{
    IntervalMinutes, IntervalRead, Multiplier, PowerEvent, Publish, RegisterRead,
    network::{MasterRows, MeterRole, NodeKind},
    table::{self, TableSchema},
};
use proptest::prelude::*;

use super::{publish::Scope, *};
use crate::balance::DtFigures;
use crate::rig::{
    LONG_AGO, MIDNIGHT, MemoryStore, Process, QUARTER, connection, hierarchy, master_record, meter, node,
    node_id, publish, publish_record, quarter_end, read, settle,
};

const HOUR: i64 = 4 * QUARTER;
/// Noon of 2026-04-02: the first day is closed, the second half gone.
const NOW: UtcMicros = UtcMicros(MIDNIGHT.0 + 36 * HOUR);

/// What one record says, before it is split.
#[derive(Debug, Clone)]
enum Said {
    Master(MasterRows),
    Reads(&'static str, Vec<IntervalRead>),
    Registers(&'static str, Vec<RegisterRead>),
    Events(&'static str, Vec<PowerEvent>),
}

const METERS: [&str; 8] = ["A", "B", "C", "MT1", "MF1", "MF2", "X", "UNKNOWN"];

fn any_quarter() -> impl Strategy<Value = i64> {
    // Around a midnight, so that both days are concerned; few, so that versions meet.
    prop::sample::select(vec![1_i64, 2, 3, 4, 95, 96, 97, 98, 140, 300])
}

fn any_read() -> impl Strategy<Value = IntervalRead> {
    let import =
        prop_oneof![8 => (0_i64..5).prop_map(|wh| Some(wh * 100)), 1 => Just(None), 1 => Just(Some(-5))];
    (
        any_quarter(),
        import,
        prop::option::of(0_i64..3),
        0_i32..2,
        prop::bool::weighted(0.05),
    )
        .prop_map(|(quarter, import_wh, export_wh, revision, off)| IntervalRead {
            export_wh,
            revision,
            ..IntervalRead::new(quarter_end(quarter).plus(i64::from(off)), import_wh)
        })
}

fn any_master() -> impl Strategy<Value = MasterRows> {
    let since = prop::sample::select(vec![LONG_AGO, quarter_end(2), quarter_end(96)]);
    let until = prop::option::weighted(0.2, Just(quarter_end(97)));
    let place = prop::sample::select(vec!["T1", "T2", "T3", "F1", "F2"]);
    let meters = (
        0_usize..4,
        since.clone(),
        until.clone(),
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(|(id, valid_from, valid_to, thirty, twice)| {
            let mut row = meter(
                METERS[id],
                [MeterRole::Consumer, MeterRole::Generation][usize::from(id == 2)],
                None,
            );
            if id == 3 {
                row = meter("MT1", MeterRole::Dt, Some("T1"));
            }
            row.valid_from = valid_from;
            row.valid_to = valid_to;
            row.interval_minutes = if thirty {
                IntervalMinutes::Thirty
            } else {
                IntervalMinutes::Fifteen
            };
            row.multiplier = Multiplier::from_thousandths(if twice { 2_000 } else { 1_000 }).unwrap();
            MasterRows::Meters(vec![row])
        });
    let connections =
        (0_usize..3, place, since.clone(), until).prop_map(|(id, place, valid_from, valid_to)| {
            let mut row = connection(["CA", "CB", "CC"][id], Some(METERS[id]), place);
            row.valid_from = valid_from;
            row.valid_to = valid_to;
            MasterRows::Connections(vec![row])
        });
    let boundary = (any::<bool>(), since.clone()).prop_map(|(turned, valid_from)| {
        let (own, other) = if turned { ("F2", "F1") } else { ("F1", "F2") };
        let mut row = meter("X", MeterRole::Boundary, Some(own));
        row.boundary_to = Some(node_id(other));
        row.valid_from = valid_from;
        MasterRows::Meters(vec![row])
    });
    let moved = (0_usize..3, any::<bool>(), since).prop_map(|(dt, second, valid_from)| {
        let mut row = node(
            ["T1", "T2", "T3"][dt],
            NodeKind::Dt,
            Some(if second { "F2" } else { "F1" }),
        );
        row.valid_from = valid_from;
        MasterRows::Nodes(vec![row])
    });
    let fixed = prop::sample::select(vec![
        MasterRows::Nodes(hierarchy()),
        MasterRows::Meters(vec![
            meter("MF1", MeterRole::Feeder, Some("F1")),
            meter("MF2", MeterRole::Feeder, Some("F2")),
        ]),
        MasterRows::Meters(vec![
            meter("A", MeterRole::Consumer, None),
            meter("B", MeterRole::Consumer, None),
        ]),
    ]);
    prop_oneof![3 => meters, 3 => connections, 1 => boundary, 1 => moved, 3 => fixed]
}

fn any_said() -> impl Strategy<Value = Said> {
    let id = || prop::sample::select(METERS.to_vec());
    let wh = || prop::option::of(0_i64..3);
    let register = (any_quarter(), wh(), wh(), prop::bool::weighted(0.1)).prop_map(
        |(quarter, import_wh, export_wh, bad)| RegisterRead {
            at: quarter_end(quarter),
            import_wh: if bad { Some(-1) } else { import_wh },
            export_wh,
        },
    );
    let event = (
        any_quarter(),
        prop::sample::select(vec![101, 102, 7]),
        prop::option::of(0_i64..2),
    )
        .prop_map(|(quarter, code, sequence)| PowerEvent {
            at: quarter_end(quarter),
            code,
            sequence,
        });
    prop_oneof![
        4 => any_master().prop_map(Said::Master),
        6 => (id(), prop::collection::vec(any_read(), 1..6)).prop_map(|(id, reads)| Said::Reads(id, reads)),
        1 => (id(), prop::collection::vec(register, 1..3)).prop_map(|(id, registers)| Said::Registers(id, registers)),
        1 => (id(), prop::collection::vec(event, 1..3)).prop_map(|(id, events)| Said::Events(id, events)),
    ]
}

/// A history: what was said, each with when it was received. Every fourth publish comes before the interval that it speaks of has
/// begun, so that some reads are of the future.
fn history() -> impl Strategy<Value = Vec<(UtcMicros, Said)>> {
    prop::collection::vec(any_said(), 4..28).prop_map(|all| {
        let received = |at: usize, said: &Said| {
            let is_early = at.is_multiple_of(4) && !matches!(said, Said::Master(_));
            NOW.plus(i64::try_from(at).unwrap() - if is_early { 40 * HOUR } else { 0 })
        };
        all.into_iter()
            .enumerate()
            .map(|(at, said)| (received(at, &said), said))
            .collect()
    })
}

fn bytes_of((at, said): &(UtcMicros, Said)) -> Vec<u8> {
    let mut publish = Publish::default();
    match said {
        Said::Master(rows) => return master_record(*at, rows),
        Said::Reads(id, reads) => {
            publish.begin_meter(id).unwrap();
            reads.iter().for_each(|read| publish.push_read(*read));
        }
        Said::Registers(id, registers) => {
            publish.begin_meter(id).unwrap();
            registers
                .iter()
                .for_each(|register| publish.push_register(*register));
        }
        Said::Events(id, events) => {
            publish.begin_meter(id).unwrap();
            events.iter().for_each(|event| publish.push_event(*event));
        }
    }
    publish_record(*at, &publish)
}

/// The same said in records of one row each.
fn split(all: &[(UtcMicros, Said)]) -> Vec<(UtcMicros, Said)> {
    let parts = |said: &Said| -> Vec<Said> {
        match said {
            Said::Master(MasterRows::Nodes(rows)) => rows
                .iter()
                .map(|row| Said::Master(MasterRows::Nodes(vec![row.clone()])))
                .collect(),
            Said::Master(MasterRows::Meters(rows)) => rows
                .iter()
                .map(|row| Said::Master(MasterRows::Meters(vec![row.clone()])))
                .collect(),
            Said::Master(MasterRows::Connections(rows)) => rows
                .iter()
                .map(|row| Said::Master(MasterRows::Connections(vec![row.clone()])))
                .collect(),
            Said::Reads(id, reads) => reads.iter().map(|read| Said::Reads(id, vec![*read])).collect(),
            Said::Registers(id, all) => all.iter().map(|one| Said::Registers(id, vec![*one])).collect(),
            Said::Events(id, all) => all.iter().map(|one| Said::Events(id, vec![*one])).collect(),
        }
    };
    all.iter()
        .flat_map(|(at, said)| parts(said).into_iter().map(|part| (*at, part)))
        .collect()
}

/// Everything that the picture says, by ids, as text.
fn picture(world: &World) -> BTreeMap<String, String> {
    let mut said = BTreeMap::new();
    let meter_id = |meter: MeterIx| world.network.meter(meter).unwrap().id.to_string();
    let node_id = |node: NodeIx| world.network.node(node).unwrap().id.to_string();
    for (meter, quarter, value) in world.state.values() {
        said.insert(
            format!("value {} {}", meter_id(meter), quarter.0),
            format!("{value:?}"),
        );
    }
    for (feeder, intervals) in &world.intervals {
        for (quarter, interval) in intervals {
            let dts = interval
                .dts
                .iter()
                .map(|dt| (node_id(dt.dt), DtFigures { dt: NodeIx(0), ..*dt }));
            let ancestors: Vec<String> = interval.ancestors.iter().map(|node| node_id(*node)).collect();
            let text = format!(
                "{:?} {:?} {ancestors:?}",
                interval.feeder,
                dts.collect::<Vec<_>>()
            );
            said.insert(format!("interval {} {}", node_id(*feeder), quarter.0), text);
        }
    }
    for (node, days) in &world.days {
        for (day, sums) in days {
            said.insert(format!("day {} {day}", node_id(*node)), format!("{sums:?}"));
        }
    }
    for (node, quarters) in &world.above {
        for (quarter, sums) in quarters {
            said.insert(
                format!("above {} {}", node_id(*node), quarter.0),
                format!("{sums:?}"),
            );
        }
    }
    for ((meter, at), (content, _)) in &world.registers {
        said.insert(
            format!("register {} {at}", meter_id(*meter)),
            format!("{content:?}"),
        );
    }
    for (meter, event) in &world.events {
        said.insert(format!("event {} {event:?}", meter_id(*meter)), String::new());
    }
    for ((meter, quarter), report) in &world.reported_missing {
        let key = format!("missing {} {}", meter_id(*meter), quarter.0);
        said.insert(key, report.resolved_at.is_some().to_string());
    }
    for held in world.held.iter() {
        said.insert(format!("held {}", held.meter_id), held.reason.to_owned());
    }
    said
}

/// Columns that say how a row came about: which record told it first, when it was written, how many versions it took.
const PROVENANCE: [&str; 11] = [
    "recorded_at",
    "position",
    "received_at",
    "source",
    "published_at",
    "computed_at",
    "version",
    "reason",
    "status",
    "at",
    "resolved_at",
];

/// Key and newest row of every key of a table, without provenance; withdrawn balances are none.
fn current_rows(store: &MemoryStore, table: &'static TableSchema) -> BTreeMap<String, String> {
    let mut newest: BTreeMap<String, (Vec<i64>, String)> = BTreeMap::new();
    for batch in store.batches(table) {
        for row in 0..batch.num_rows() {
            let cell = |name: &str| array_value_to_string(batch.column_by_name(name).unwrap(), row).unwrap();
            let key: Vec<String> = table.key.iter().map(|name| cell(name)).collect();
            let rank: Vec<i64> = table
                .newest_by
                .iter()
                .map(|name| batch.column_by_name(name).unwrap())
                .map(|column| arrow::compute::cast(column, &arrow::datatypes::DataType::Int64).unwrap())
                .map(|column| {
                    let column =
                        arrow::array::AsArray::as_primitive::<arrow::datatypes::Int64Type>(&column).clone();
                    if arrow::array::Array::is_valid(&column, row) {
                        column.value(row)
                    } else {
                        i64::MIN
                    }
                })
                .collect();
            let is_key = |name: &String| table.key.contains(&name.as_str());
            let schema = batch.schema();
            let values: Vec<String> = schema
                .fields()
                .iter()
                .map(|field| field.name())
                .filter(|name| is_key(name) || !PROVENANCE.contains(&name.as_str()))
                .map(|name| format!("{name}={}", cell(name)))
                .collect();
            let withdrawn = table.column("status").is_some() && cell("status") == "withdrawn";
            let text = if withdrawn {
                String::new()
            } else {
                values.join(" ")
            };
            let entry = newest
                .entry(key.join("/"))
                .or_insert((rank.clone(), text.clone()));
            if rank > entry.0 {
                *entry = (rank, text);
            }
        }
    }
    newest
        .into_iter()
        .map(|(key, (_, text))| (key, text))
        .filter(|(_, text)| !text.is_empty())
        .collect()
}

/// The tables whose current rows order must not change. Quarantine rows are named by records, which splitting changes.
static COMPARED: [&TableSchema; 10] = [
    &table::INTERVAL_READS,
    &table::REGISTER_READS,
    &table::METER_EVENTS,
    &table::VEE_EXCEPTIONS,
    &table::DT_BALANCE,
    &table::FEEDER_BALANCE,
    &table::NODE_BALANCE_DAILY,
    &table::NODES,
    &table::METERS,
    &table::CONNECTIONS,
];

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

fn rows_where(
    store: &MemoryStore,
    table: &'static TableSchema,
    wanted: impl Fn(&RecordBatch, usize) -> bool,
) -> u64 {
    let of_batch = |batch: &RecordBatch| (0..batch.num_rows()).filter(|row| wanted(batch, *row)).count();
    let rows: usize = store.batches(table).iter().map(of_batch).sum();
    u64::try_from(rows).unwrap()
}

fn cell(batch: &RecordBatch, row: usize, name: &str) -> String {
    array_value_to_string(batch.column_by_name(name).unwrap(), row).unwrap()
}

/// CONS-1: counts reconcile among themselves and with the rows of the tables.
fn assert_conserved(world: &World, store: &MemoryStore) -> Result<(), TestCaseError> {
    let counts = world.counts;
    prop_assert_eq!(
        (
            counts.reads_unaccounted(),
            counts.registers_unaccounted(),
            counts.events_unaccounted()
        ),
        (0, 0, 0)
    );
    let superseded = |batch: &RecordBatch, row: usize| cell(batch, row, "version") == "0";
    prop_assert_eq!(
        rows_where(store, &table::INTERVAL_READS, |b, r| !superseded(b, r)),
        counts.reads_accepted
    );
    prop_assert_eq!(
        rows_where(store, &table::INTERVAL_READS, superseded),
        counts.reads_superseded
    );
    prop_assert_eq!(
        rows_where(store, &table::REGISTER_READS, |b, r| !superseded(b, r)),
        counts.registers_accepted
    );
    prop_assert_eq!(
        rows_where(store, &table::REGISTER_READS, superseded),
        counts.registers_superseded
    );
    prop_assert_eq!(
        rows_where(store, &table::METER_EVENTS, |_, _| true),
        counts.events_accepted
    );
    Ok(())
}

/// No key has the same version twice: nothing was written again.
fn assert_written_once(store: &MemoryStore) -> Result<(), TestCaseError> {
    for table in COMPARED.into_iter().chain([&table::QUARANTINE]) {
        let mut seen = std::collections::BTreeSet::new();
        for batch in store.batches(table) {
            for row in 0..batch.num_rows() {
                let names = table.key.iter().chain(table.newest_by);
                let mut id: Vec<String> = names.map(|name| cell(&batch, row, name)).collect();
                if table.versioned && cell(&batch, row, "version") == "0" {
                    // Superseded rows of one key are told apart by what they say.
                    let columns = batch.schema();
                    id.extend(
                        columns
                            .fields()
                            .iter()
                            .map(|field| cell(&batch, row, field.name())),
                    );
                }
                prop_assert!(seen.insert(id.clone()), "{} has {:?} twice", table.name, id);
            }
        }
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

/// BAL-1: what stands for a node is the sum of what stands for its feeders, by interval and by day.
fn assert_children_sum_up(world: &World) -> Result<(), TestCaseError> {
    let Some(discom) = world.network.find_node("D") else {
        return Ok(());
    };
    let mut by_quarter: BTreeMap<Quarter, Sums> = BTreeMap::new();
    let mut by_day: BTreeMap<Day, Sums> = BTreeMap::new();
    for intervals in world.intervals.values() {
        for (quarter, interval) in intervals
            .iter()
            .filter(|(_, interval)| interval.ancestors.contains(&discom))
        {
            let feeder = &interval.feeder;
            if let Some(total) = feeder.total_loss_wh {
                prop_assert_eq!(total, feeder.ht_loss_wh.unwrap() + feeder.lt_loss_wh);
            }
            let lt: i64 = interval.dts.iter().filter_map(|dt| dt.loss_wh).sum();
            prop_assert_eq!(lt, feeder.lt_loss_wh);
            by_quarter
                .entry(*quarter)
                .or_default()
                .plus(&Sums::of_feeder(feeder));
            by_day
                .entry(world.day_of(*quarter))
                .or_default()
                .plus(&Sums::of_feeder(feeder));
        }
    }
    prop_assert_eq!(
        &by_quarter,
        &world.above.get(&discom).cloned().unwrap_or_default()
    );
    prop_assert_eq!(&by_day, &world.days.get(&discom).cloned().unwrap_or_default());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// ORD-1 and BAL-1.
    #[test]
    fn any_order_repetition_and_splitting_ends_in_the_same_picture_and_the_same_current_rows(
        (told, shuffled) in history().prop_flat_map(|all| (Just(all.clone()), Just(split(&all)).prop_shuffle())),
        again in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let records: Vec<Vec<u8>> = told.iter().map(bytes_of).collect();
        let mut others: Vec<Vec<u8>> = shuffled.iter().map(bytes_of).collect();
        for index in again {
            let record = others[index.index(others.len())].clone();
            others.insert(index.index(others.len()), record);
        }
        let (a, store_a) = run_through(&records);
        let (b, store_b) = run_through(&others);
        assert_same("picture", &picture(&a.world), &picture(&b.world))?;
        for table in COMPARED {
            assert_same(table.name, &current_rows(&store_a, table), &current_rows(&store_b, table))?;
        }
        for (process, store) in [(&a, &store_a), (&b, &store_b)] {
            assert_conserved(&process.world, store)?;
            assert_written_once(store)?;
            assert_children_sum_up(&process.world)?;
        }
    }

    /// TBL-1 and CONS-1: killed between any two commits, as often as you like, nothing is lost and nothing written twice.
    #[test]
    fn killed_between_any_two_commits_it_ends_as_if_it_had_not_been(
        told in history(),
        deaths in prop::collection::vec((any::<prop::sample::Index>(), 0_usize..12, any::<bool>()), 0..6),
    ) {
        let records: Vec<Vec<u8>> = told.iter().map(bytes_of).collect();
        let (whole, whole_store) = run_through(&records);
        let store = Arc::new(MemoryStore::default());
        for (through, commits, everything) in &deaths {
            let mut process = Process::start(&store, Settings::default(), NOW);
            let applied = usize::try_from(process.world.applied().0).unwrap();
            // The log only grows: what a process has seen, the next one sees too.
            let through = applied.max(through.index(records.len() + 1));
            process.apply(&records, through);
            store.fail_after(Some(*commits));
            let _ = process.checkpoint(if *everything { Scope::Everything } else { Scope::Due });
        }
        let mut process = Process::start(&store, Settings::default(), NOW);
        process.apply(&records, records.len());
        process.checkpoint(Scope::Everything).unwrap();
        assert_same("picture", &picture(&process.world), &picture(&whole.world))?;
        for table in COMPARED.into_iter().chain([&table::QUARANTINE]) {
            assert_same(table.name, &current_rows(&store, table), &current_rows(&whole_store, table))?;
        }
        prop_assert_eq!(process.world.counts, whole.world.counts);
        assert_conserved(&process.world, &store)?;
        assert_written_once(&store)?;
        // And once more from the tables alone.
        let mut again = Process::start(&store, Settings::default(), NOW);
        again.apply(&records, records.len());
        assert_same("recovered picture", &picture(&again.world), &picture(&whole.world))?;
        let before: usize = COMPARED.iter().map(|table| store.batches(table).len()).sum();
        again.checkpoint(Scope::Everything).unwrap();
        let after: usize = COMPARED.iter().map(|table| store.batches(table).len()).sum();
        prop_assert_eq!(before, after, "a restart alone published something");
    }
}

fn small_network() -> Vec<Vec<u8>> {
    let meters = vec![
        meter("MF1", MeterRole::Feeder, Some("F1")),
        meter("MT1", MeterRole::Dt, Some("T1")),
        meter("A", MeterRole::Consumer, None),
    ];
    vec![
        master_record(LONG_AGO, &MasterRows::Nodes(hierarchy())),
        master_record(LONG_AGO, &MasterRows::Meters(meters)),
        master_record(
            LONG_AGO,
            &MasterRows::Connections(vec![connection("CA", Some("A"), "T1")]),
        ),
    ]
}

fn world_of(records: &[Vec<u8>], now: UtcMicros) -> World {
    let mut world = World::new(Settings::default());
    let mut buffer = Publish::default();
    for (at, record) in records.iter().enumerate() {
        world
            .apply(Position(u64::try_from(at).unwrap() + 1), record, &mut buffer)
            .unwrap();
    }
    world.advance(now);
    settle(&mut world);
    world
}

#[test]
fn silence_on_a_day_with_reads_counts_against_coverage_and_a_silent_day_has_no_balance() {
    let mut records = small_network();
    records.push(publish_record(NOW, &publish("A", &[read(quarter_end(5), 100)])));
    let world = world_of(&records, NOW);
    let feeder = world.network.find_node("F1").unwrap();
    assert_eq!(
        world.intervals[&feeder].len(),
        96,
        "the whole first day, and nothing of the second"
    );
    let sums = world.days[&feeder].values().next().unwrap();
    assert_eq!((sums.coverage.expected, sums.coverage.reported), (3 * 96, 1));
}

#[test]
fn what_an_unknown_meter_said_is_held_and_released_when_master_data_names_it() {
    let mut records = small_network();
    records.push(publish_record(
        NOW,
        &publish("NEW", &[read(quarter_end(1), 100), read(quarter_end(2), -1)]),
    ));
    let world = world_of(&records, NOW);
    assert_eq!((world.held(), world.counts.reads_quarantined), (1, 2));
    records.push(master_record(
        NOW,
        &MasterRows::Meters(vec![meter("NEW", MeterRole::Consumer, None)]),
    ));
    let world = world_of(&records, NOW);
    assert_eq!(
        (
            world.held(),
            world.counts.reads_released,
            world.counts.reads_accepted
        ),
        (0, 2, 1)
    );
    assert_eq!(
        (world.counts.reads_quarantined, world.counts.reads_unaccounted()),
        (3, 0)
    );
    let reasons: Vec<(&str, bool)> = world
        .outbox
        .quarantine
        .iter()
        .map(|row| (row.reason.as_str(), row.released_at.is_some()))
        .collect();
    assert_eq!(
        reasons,
        [
            ("unknown_meter", false),
            ("negative", false),
            ("unknown_meter", true)
        ]
    );
}

#[test]
fn a_loss_below_the_coverage_threshold_is_withheld_and_its_bound_given() {
    let mut records = small_network();
    for (id, wh) in [("MF1", 1_000), ("MT1", 950)] {
        records.push(publish_record(NOW, &publish(id, &[read(quarter_end(1), wh)])));
    }
    let world = world_of(&records, quarter_end(2));
    let row = |world: &World, node: &str| {
        let node = world.network.find_node(node).unwrap();
        world
            .balances(node, MIDNIGHT..quarter_end(1), look::Resolution::Interval, 10)
            .pop()
            .unwrap()
    };
    for node in ["F1", "T1", "Z", "D"] {
        let row = row(&world, node);
        assert_eq!(
            (row.covered, row.total_loss_wh, row.loss_pct, row.loss_bound_wh),
            (false, None, None, 1_000),
            "{node}"
        );
    }
    records.push(publish_record(NOW, &publish("A", &[read(quarter_end(1), 900)])));
    let world = world_of(&records, quarter_end(2));
    for (node, loss) in [("F1", 100), ("T1", 50), ("Z", 100), ("D", 100)] {
        let row = row(&world, node);
        assert_eq!(
            (row.covered, row.total_loss_wh, row.loss_bound_wh),
            (true, Some(loss), 0),
            "{node}"
        );
        assert_eq!((row.version, row.status), (0, "provisional"));
    }
}

#[test]
fn a_published_balance_becomes_final_and_then_restated_with_a_reason() {
    let store = Arc::new(MemoryStore::default());
    let mut records = small_network();
    let say = |id: &str, wh| publish_record(NOW, &publish(id, &[read(quarter_end(1), wh)]));
    records.extend([say("MF1", 1_000), say("MT1", 950), say("A", 900)]);
    let settled = NOW.plus(4 * 24 * HOUR);
    let mut corrected = publish(
        "A",
        &[IntervalRead {
            revision: 1,
            ..read(quarter_end(1), 910)
        }],
    );
    let mut statuses = Vec::new();
    for (now, more) in [
        (NOW, None),
        (settled, None),
        (settled, Some(publish_record(settled, &corrected))),
    ] {
        records.extend(more);
        let mut process = Process::start(&store, Settings::default(), now);
        process.apply(&records, records.len());
        process.checkpoint(Scope::Due).unwrap();
        let dt = process.world.network.find_node("T1").unwrap();
        statuses.push(
            process
                .world
                .published_version(dt, Quarter::ending(quarter_end(1)).unwrap()),
        );
    }
    assert_eq!(statuses, [(1, "provisional"), (2, "final"), (3, "restated")]);
    corrected.clear();
    let reasons: Vec<String> = store
        .batches(&table::DT_BALANCE)
        .iter()
        .flat_map(|batch| {
            (0..batch.num_rows())
                .map(|row| (batch.clone(), row))
                .collect::<Vec<_>>()
        })
        .filter(|(batch, row)| cell(batch, *row, "version") == "3")
        .map(|(batch, row)| cell(&batch, row, "reason"))
        .collect();
    assert_eq!(reasons, ["inputs changed after settlement"]);
}

#[test]
fn the_nodes_are_found_listed_and_ranked() {
    let mut records = small_network();
    for (id, wh) in [("MF1", 1_000), ("MT1", 950), ("A", 900)] {
        let reads: Vec<IntervalRead> = (1..=96).map(|n| read(quarter_end(n), wh)).collect();
        records.push(publish_record(NOW, &publish(id, &reads)));
    }
    let world = world_of(&records, NOW);
    let ids = |views: &[look::NodeView]| views.iter().map(|view| view.id.to_string()).collect::<Vec<_>>();
    assert_eq!(ids(&world.search_nodes("t", None, Some("T1"), 9)), ["T2", "T3"]);
    assert_eq!(
        ids(&world.search_nodes("", Some(NodeKind::Feeder), None, 1)),
        ["F1"]
    );
    let zone = world.network.find_node("Z").unwrap();
    assert_eq!(ids(&world.child_views(zone)), ["F1", "F2"]);
    assert_eq!(world.roots().len(), 1);
    let day = MIDNIGHT..quarter_end(96);
    let ranking = world.ranking(NodeKind::Dt, &day, look::Order::Highest, 5);
    assert_eq!((ranking.rows.len(), ranking.withheld), (1, 0));
    let row = &ranking.rows[0];
    assert_eq!(
        (row.total_loss_wh, row.ht_loss_wh, row.injected_wh),
        (Some(96 * 50), None, Some(96 * 950))
    );
    let months = world.balances(zone, MIDNIGHT..quarter_end(30 * 96), look::Resolution::Month, 9);
    assert_eq!(
        (months.len(), months[0].total_loss_wh, months[0].status),
        (1, Some(9_600), "provisional")
    );
    let quality = world.data_quality(zone, world.settings.zone.day_of(MIDNIGHT));
    assert_eq!(
        (quality.expected, quality.reported, quality.missing),
        (3 * 96, 3 * 96, 0)
    );
}

#[test]
fn a_record_that_was_applied_changes_nothing_when_it_comes_again() {
    let records = small_network();
    let mut world = world_of(&records, NOW);
    let counts = world.counts;
    world
        .apply(Position(2), &records[1], &mut Publish::default())
        .unwrap();
    assert_eq!(world.counts, counts);
}
