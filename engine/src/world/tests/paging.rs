//! What is in memory never decides what a result is: with days let go at random moments, and whatever brings them back, every row of
//! every table is what it is without, versions, status and reasons included (ORD-1, TBL-1).

use std::{collections::BTreeMap, sync::Arc};

use gridtally_schemas::{
    IntervalMinutes, IntervalRead, Multiplier, UtcMicros,
    network::{MasterRows, MeterRole, NodeKind},
    table::{self, TableSchema},
};
use proptest::prelude::*;

use super::{
    HOUR, NOW,
    compared::{
        COMPARED, assert_as_computed_at_once, assert_children_sum_up, assert_conserved, assert_same,
        assert_written_once, current_rows, lines, picture,
    },
    histories::{bytes_of, histories, over},
};
use crate::{
    rig::{
        LONG_AGO, MIDNIGHT, MemoryStore, Process, connection, hierarchy, master_record, meter, node, publish,
        publish_record, quarter_end, read,
    },
    state::Quarter,
    world::{Paged, Settings, World, publish::Scope},
};

/// Room for everything, and for nothing.
pub(super) const ALL: usize = usize::MAX;
pub(super) const NOTHING: usize = 0;

/// A moment in the life of a process.
#[derive(Debug, Clone)]
struct Moment {
    /// How much of the log it has seen by then.
    through: prop::sample::Index,
    /// How much it has seen when the checkpoint that begins then is written.
    meanwhile: prop::sample::Index,
    /// Hours since the last moment.
    hours: i64,
    /// Whether it publishes open intervals too.
    everything: bool,
    /// Commits after which it dies; `None`: it lives on.
    dies_after: Option<usize>,
}

fn moments() -> impl Strategy<Value = Vec<Moment>> {
    let moment = (
        any::<[prop::sample::Index; 2]>(),
        0_i64..40,
        any::<bool>(),
        prop::option::weighted(0.2, 0_usize..12),
    );
    let moment = moment.prop_map(|([through, meanwhile], hours, everything, dies_after)| Moment {
        through,
        meanwhile,
        hours,
        everything,
        dies_after,
    });
    prop::collection::vec(moment, 1..8)
}

pub(super) fn settings(state_bytes_max: usize, settlement_hours: i64) -> Settings {
    Settings {
        state_bytes_max,
        settlement_micros: settlement_hours * HOUR,
        ..Settings::default()
    }
}

/// Lives through `moments` and then to the end of the log, letting go what it may after every checkpoint.
fn live(records: &[Vec<u8>], moments: &[Moment], settings: &Settings) -> (Process, Arc<MemoryStore>) {
    let store = Arc::new(MemoryStore::default());
    let mut process = Process::start(&store, settings.clone(), NOW);
    let mut now = NOW;
    let mut seen = 0;
    for moment in moments {
        now = now.plus(moment.hours * HOUR);
        process.set_now(now);
        // As the engine's thread does: nothing is published before all that a table may hold already is applied.
        seen = moment.through.index(records.len() + 1).max(seen);
        process.apply(records, seen);
        store.fail_after(moment.dies_after);
        let scope = if moment.everything {
            Scope::Everything
        } else {
            Scope::Due
        };
        seen = moment.meanwhile.index(records.len() + 1).max(seen);
        let written = process.checkpoint_while(scope, |process| process.apply(records, seen));
        if written.is_ok() {
            process.let_go();
        } else {
            process = Process::start(&store, settings.clone(), now);
        }
        store.fail_after(None);
    }
    process.apply(records, records.len());
    process.checkpoint(Scope::Everything).unwrap();
    process.let_go();
    (process, store)
}

/// What was published of balances by interval, by ids, as text.
fn published(world: &World) -> BTreeMap<String, String> {
    let mut said = BTreeMap::new();
    for (node, of_node) in &world.published {
        let id = &world.network.node(*node).unwrap().id;
        for (quarter, published) in of_node.iter() {
            said.insert(format!("published {id} {}", quarter.0), format!("{published:?}"));
        }
    }
    said
}

/// Brings everything back and compares picture and tables with those of a process that never let anything go.
fn assert_as_if_all_had_stayed(
    (process, store): (&mut Process, &MemoryStore),
    (whole, whole_store): (&Process, &MemoryStore),
) -> Result<(), TestCaseError> {
    for table in COMPARED.into_iter().chain([&table::QUARANTINE]) {
        let (ours, theirs) = (lines(store, table), lines(whole_store, table));
        for (ours, theirs) in ours.iter().zip(&theirs) {
            prop_assert_eq!(ours, theirs, "{}", table.name);
        }
        prop_assert_eq!(ours.len(), theirs.len(), "{}", table.name);
    }
    process.page_in(process.world.wanted_all());
    assert_same("picture", &picture(&process.world), &picture(&whole.world))?;
    assert_same("published", &published(&process.world), &published(&whole.world))?;
    prop_assert_eq!(process.world.counts, whole.world.counts);
    prop_assert_eq!(process.world.state.cells(), whole.world.state.cells());
    assert_written_once(store)?;
    assert_children_sum_up(&process.world)?;
    assert_as_computed_at_once(&process.world)
}

/// Random histories of all kinds, with a clock that moves on and deaths on the way; records are applied while a checkpoint is written, so
/// that what is let go after it is not all that was let go before.
#[test]
fn with_days_let_go_at_random_moments_every_row_is_as_if_all_had_stayed() {
    let again = prop::collection::vec(any::<prop::sample::Index>(), 0..8);
    let settlement_hours = prop::sample::select(vec![6_i64, 24, 72]);
    let room = prop::sample::select(vec![NOTHING, 4_000, ALL]);
    let all = (
        histories(),
        again,
        moments(),
        settlement_hours,
        (room, any::<bool>()),
    );
    let folder = tempfile::tempdir().unwrap();
    over(
        "with days let go at random moments",
        300,
        all,
        |(told, again, moments, settlement_hours, (room, is_put_away))| {
            let mut records: Vec<Vec<u8>> = told.iter().map(bytes_of).collect();
            for index in again {
                let record = records[index.index(records.len())].clone();
                records.push(record);
            }
            let (whole, whole_store) = live(&records, &moments, &settings(ALL, settlement_hours));
            let file = is_put_away.then(|| folder.path().join("cold-values"));
            let settings = Settings {
                cold_file: file,
                ..settings(room, settlement_hours)
            };
            let (mut process, store) = live(&records, &moments, &settings);
            assert_as_if_all_had_stayed((&mut process, &store), (&whole, &whole_store))
        },
    );
}

/// Days that are lived through, from the first of April 2026 on.
pub(super) const DAYS: i64 = 12;

/// Something that comes on a day.
#[derive(Debug, Clone)]
pub(super) enum Comes {
    /// A meter's reads of a day, save a gap (first quarter, length), each of about this energy, with this revision.
    Reads(&'static str, i64, (i64, i64), i64, i32),
    /// A master row, valid from a quarter of a day.
    Master(usize, i64),
}

pub(super) fn any_coming() -> impl Strategy<Value = (i64, Comes)> {
    let reads = (
        prop::sample::select(vec!["A", "B", "C", "MT1", "MF1"]),
        0..DAYS,
        prop_oneof![2 => Just(0_i64), 1 => 1_i64..6],
        (
            0_i64..90,
            prop_oneof![2 => Just(0_i64), 1 => 1_i64..4, 1 => 8_i64..90],
        ),
        (0_i64..4, 0_i32..2),
    );
    let reads = reads.prop_map(|(id, day, late, gap, (wh, revision))| {
        (day + late, Comes::Reads(id, day, gap, 100 * wh, revision))
    });
    let master = (1..DAYS, 0_usize..6, 0..DAYS);
    let master = master.prop_map(|(on, which, day)| (on, Comes::Master(which, day)));
    prop_oneof![12 => reads, 1 => master]
}

pub(super) fn network() -> Vec<Vec<u8>> {
    let meters = vec![
        meter("MF1", MeterRole::Feeder, Some("F1")),
        meter("MT1", MeterRole::Dt, Some("T1")),
        meter("A", MeterRole::Consumer, None),
        meter("B", MeterRole::Consumer, None),
        meter("C", MeterRole::Consumer, None),
    ];
    let connections = vec![
        connection("CA", Some("A"), "T1"),
        connection("CB", Some("B"), "T1"),
        connection("CC", Some("C"), "T3"),
    ];
    [
        MasterRows::Nodes(hierarchy()),
        MasterRows::Meters(meters),
        MasterRows::Connections(connections),
    ]
    .iter()
    .map(|rows| master_record(LONG_AGO, rows))
    .collect()
}

/// A correction of master data.
fn correction(which: usize, valid_from: UtcMicros) -> MasterRows {
    let moved = |consumer, meter, dt| {
        let mut row = connection(consumer, Some(meter), dt);
        row.valid_from = valid_from;
        MasterRows::Connections(vec![row])
    };
    match which {
        0 => moved("CA", "A", "T2"),
        1 => moved("CB", "B", "T3"),
        2 => moved("CC", "C", "T1"),
        3 => {
            let mut row = node("T1", NodeKind::Dt, Some("F2"));
            row.valid_from = valid_from;
            MasterRows::Nodes(vec![row])
        }
        4 => {
            let mut row = meter("B", MeterRole::Consumer, None);
            row.valid_from = valid_from;
            row.multiplier = Multiplier::from_thousandths(2_000).unwrap();
            MasterRows::Meters(vec![row])
        }
        _ => {
            let mut row = meter("A", MeterRole::Consumer, None);
            row.valid_from = valid_from;
            row.interval_minutes = IntervalMinutes::Thirty;
            MasterRows::Meters(vec![row])
        }
    }
}

pub(super) fn coming(at: UtcMicros, comes: &Comes) -> Vec<u8> {
    match comes {
        Comes::Reads(id, day, gap, wh, revision) => {
            let is_there = |quarter: &i64| !(gap.0..gap.0 + gap.1).contains(quarter);
            let of_quarter = |quarter: i64| IntervalRead {
                revision: *revision,
                ..read(quarter_end(day * 96 + quarter + 1), wh + quarter % 7)
            };
            let reads: Vec<IntervalRead> = (0..96).filter(is_there).map(of_quarter).collect();
            publish_record(at, &publish(id, &reads))
        }
        Comes::Master(which, day) => master_record(at, &correction(*which, quarter_end(day * 96))),
    }
}

/// Lives through the days, one checkpoint an evening, letting go what it may.
pub(super) fn live_by_day(come: &[(i64, Comes)], settings: &Settings) -> (Process, Arc<MemoryStore>, Paged) {
    let store = Arc::new(MemoryStore::default());
    let mut process = Process::start(&store, settings.clone(), MIDNIGHT);
    let mut records = network();
    for day in 0..DAYS + 8 {
        let evening = MIDNIGHT.plus((day + 1) * 24 * HOUR + HOUR);
        process.set_now(evening);
        let today = come.iter().filter(|(on, _)| *on == day);
        records.extend(today.map(|(_, comes)| coming(evening, comes)));
        process.apply(&records, records.len());
        process.checkpoint(Scope::Due).unwrap();
        process.let_go();
    }
    let paged = process.world.paged();
    (process, store, paged)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whole days with gaps, late reads, corrections and retroactive master data: estimates are made of like days that are out of memory.
    #[test]
    fn days_that_come_late_with_gaps_and_corrections_end_as_if_all_had_stayed(
        come in prop::collection::vec(any_coming(), 10..60),
        room in prop::sample::select(vec![NOTHING, 60_000, ALL]),
        is_put_away in any::<bool>(),
    ) {
        let (whole, whole_store, _) = live_by_day(&come, &settings(ALL, 24));
        let folder = tempfile::tempdir().unwrap();
        let cold_file = is_put_away.then(|| folder.path().join("cold-values"));
        let (mut process, store, _) = live_by_day(&come, &Settings { cold_file, ..settings(room, 24) });
        assert_as_if_all_had_stayed((&mut process, &store), (&whole, &whole_store))?;
        assert_conserved_if_nothing_was_estimated(&process, &store)?;
    }
}

fn assert_conserved_if_nothing_was_estimated(
    process: &Process,
    store: &MemoryStore,
) -> Result<(), TestCaseError> {
    let is_estimate = |row: &String| row.contains("quality=estimated") || row.contains("quality=missing");
    if lines(store, &table::INTERVAL_READS).iter().any(is_estimate) {
        return Ok(());
    }
    assert_conserved(&process.world, store)
}

/// Every meter says all of every day on its evening.
pub(super) fn on_time() -> Vec<(i64, Comes)> {
    let of_day = |day| ["A", "B", "C", "MT1", "MF1"].map(|id| (day, Comes::Reads(id, day, (0, 0), 100, 0)));
    (0..DAYS).flat_map(of_day).collect()
}

/// The log of those days, and at its end another word of meter A on the first quarter hour of them.
fn with_a_late_read(at: UtcMicros) -> Vec<Vec<u8>> {
    let late = IntervalRead {
        revision: 1,
        ..read(quarter_end(1), 500)
    };
    let mut records = network();
    records.extend(
        on_time()
            .iter()
            .map(|(day, comes)| coming(MIDNIGHT.plus(day * 24 * HOUR), comes)),
    );
    records.push(publish_record(at, &publish("A", &[late])));
    records
}

#[test]
fn a_late_read_brings_back_the_day_of_its_feeder_alone_and_changes_the_rows_that_it_should() {
    let (mut process, store, paged) = live_by_day(&on_time(), &settings(NOTHING, 24));
    // The newest day stays; what is older was final and went: two feeders, and the blocks of their meters. Judging a day looked at the
    // values of the day before it.
    assert_eq!(paged.feeder_days_in, 0);
    let out = 2 * usize::try_from(DAYS - 1).unwrap();
    assert_eq!((paged.feeder_days_out, paged.block_days_out), (out, out));
    let first = Quarter::ending(quarter_end(1)).unwrap();
    let f1 = process.world.network.find_node("F1").unwrap();
    let day_of_first = quarter_end(0)..quarter_end(96);
    assert!(!process.world.is_here(f1, &day_of_first));

    let before: BTreeMap<&str, usize> = COMPARED
        .iter()
        .map(|t| (t.name, lines(&store, t).len()))
        .collect();
    let records = with_a_late_read(MIDNIGHT.plus(20 * 24 * HOUR));
    let position = usize::try_from(process.world.applied().0).unwrap();
    assert_eq!(records.len(), position + 1);
    process.apply(&records, records.len());
    let came = process.world.paged();
    // The day itself with the balances. It is judged again, and so is the day after it: for that the values of the two days after it. And
    // where meters hang is judged anew, for which the rest of its week comes back.
    let came = (
        came.page_ins - paged.page_ins,
        came.feeder_days_in,
        came.block_days_in - paged.block_days_in,
    );
    assert_eq!(came, (5, 1, 5));
    assert!(process.world.is_here(f1, &day_of_first));
    assert_eq!(
        process
            .world
            .state
            .value(process.world.network.find_meter("A").unwrap(), first)
            .unwrap()
            .import_wh,
        500
    );
    process.checkpoint(Scope::Due).unwrap();
    let grown = |table: &'static TableSchema| lines(&store, table).len() - before[table.name];
    assert_eq!(grown(&table::INTERVAL_READS), 1);
    assert_eq!((grown(&table::DT_BALANCE), grown(&table::FEEDER_BALANCE)), (1, 1));
    // The DT, the feeder, the zone and the discom.
    assert_eq!(grown(&table::NODE_BALANCE_DAILY), 4);
    let restated = lines(&store, &table::FEEDER_BALANCE);
    let why = "reason=inputs changed after settlement";
    assert_eq!(restated.iter().filter(|row| row.contains(why)).count(), 1);
    process.let_go();
    assert_eq!(process.world.paged().feeder_days_out, out);
}

/// Values and balances of about so many days of what `on_time` says fit in what a start takes that has room for nothing: those up to the
/// settlement horizon, the day that is read, and the one that is judged with it.
const DAYS_AT_A_START: usize = 5;

#[test]
fn a_start_with_room_for_little_takes_no_more_than_the_days_that_are_not_settled_and_ends_as_if_all_had_stayed()
 {
    let (mut whole, whole_store, _) = live_by_day(&on_time(), &settings(ALL, 24));
    let evening = MIDNIGHT.plus((DAYS + 8) * 24 * HOUR + HOUR);
    let (_, store, _) = live_by_day(&on_time(), &settings(ALL, 24));
    let count = |store: &MemoryStore| COMPARED.map(|table| lines(store, table).len());
    let before = count(&store);
    let mut process = Process::start(&store, settings(NOTHING, 24), evening);
    let of_a_day = whole.world.resident_bytes() / usize::try_from(DAYS).unwrap();
    let (peak, most) = (process.resident_peak, DAYS_AT_A_START * of_a_day);
    assert!(peak < most, "{peak} bytes at the start, of {of_a_day} a day");
    let out = process.world.paged().feeder_days_out;
    assert!(
        out >= 2 * usize::try_from(DAYS - 3).unwrap(),
        "{out} feeder-days out"
    );

    // Nothing that was settled is computed, judged or written again.
    process.advance();
    process.checkpoint(Scope::Everything).unwrap();
    let written: Vec<usize> = count(&store)
        .iter()
        .zip(before)
        .map(|(now, before)| now - before)
        .collect();
    assert!(written.iter().all(|rows| *rows == 0), "{written:?}");

    // And what comes late changes what it should, as in a process that never let anything go.
    let records = with_a_late_read(evening);
    for process in [&mut whole, &mut process] {
        process.set_now(evening);
        process.apply(&records, records.len());
        process.checkpoint(Scope::Everything).unwrap();
    }
    assert_as_if_all_had_stayed((&mut process, &store), (&whole, &whole_store)).unwrap();
}

#[test]
fn values_of_days_that_are_not_settled_wait_on_disk_and_a_late_read_finds_them() {
    let folder = tempfile::tempdir().unwrap();
    let cold = Settings {
        cold_file: Some(folder.path().join("cold-values")),
        ..settings(NOTHING, 24 * 60)
    };
    let (mut whole, whole_store, _) = live_by_day(&on_time(), &settings(ALL, 24 * 60));
    let (mut process, store, paged) = live_by_day(&on_time(), &cold);
    assert_eq!((paged.feeder_days_out, paged.block_days_out), (0, 0));
    assert!(paged.cold_bytes > 0);
    let evening = MIDNIGHT.plus(21 * 24 * HOUR);
    let records = with_a_late_read(evening);
    for process in [&mut whole, &mut process] {
        process.set_now(evening);
        process.apply(&records, records.len());
        process.checkpoint(Scope::Everything).unwrap();
    }
    assert_as_if_all_had_stayed((&mut process, &store), (&whole, &whole_store)).unwrap();
}

#[test]
fn what_is_not_settled_stays_whatever_the_budget() {
    let (process, _, paged) = live_by_day(&on_time(), &settings(NOTHING, 24 * 60));
    assert_eq!((paged.feeder_days_out, paged.block_days_out), (0, 0));
    assert!(process.world.resident_bytes() > 0);
}

#[test]
fn a_backfill_newest_first_brings_no_balances_back() {
    let mut come = on_time();
    // The newest day comes first of all, then a day an evening backwards.
    for (at, (on, _)) in come.iter_mut().rev().enumerate() {
        *on = i64::try_from(at / 5).unwrap() + DAYS - 1;
    }
    let come: Vec<(i64, Comes)> = come.into_iter().filter(|(on, _)| *on < DAYS + 8).collect();
    let (_, store, paged) = live_by_day(&come, &settings(NOTHING, 24));
    assert!(paged.feeder_days_out > 0, "{paged:?}");
    assert_eq!(paged.feeder_days_in, 0, "{paged:?}");
    // The same in order, and nothing let go.
    let on_its_day = |(on, comes): (i64, Comes)| match &comes {
        Comes::Reads(_, day, ..) => (*day, comes),
        Comes::Master(..) => (on, comes),
    };
    let in_order: Vec<(i64, Comes)> = come.into_iter().map(on_its_day).collect();
    let (_, whole, _) = live_by_day(&in_order, &settings(ALL, 24));
    for table in [
        &table::DT_BALANCE,
        &table::FEEDER_BALANCE,
        &table::NODE_BALANCE_DAILY,
    ] {
        assert_eq!(
            current_rows(&store, table),
            current_rows(&whole, table),
            "{}",
            table.name
        );
    }
}
