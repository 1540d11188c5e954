//! Retroactive master data over days that were let go: worked through a portion at a time, with deaths on the way, it ends in what stands
//! where nothing was ever let go (ORD-1).

use std::{collections::BTreeMap, sync::Arc};

use gridtally_ingest::log::Position;
use gridtally_schemas::{Day, UtcMicros, table};
use proptest::prelude::*;

use super::{
    HOUR,
    compared::{
        COMPARED, assert_as_computed_at_once, assert_children_sum_up, assert_same, current_rows, picture,
    },
    paging::{ALL, Comes, DAYS, NOTHING, any_coming, coming, live_by_day, network, on_time, settings},
};
use crate::{
    rig::{MIDNIGHT, MemoryStore, Process, block_on},
    verify::{self, Limits, Report, Selection, verify},
    world::{
        publish::Scope,
        restore::{LastCheckpoint, last_checkpoint},
    },
};

fn evening(day: i64) -> UtcMicros {
    MIDNIGHT.plus((day + 1) * 24 * HOUR + HOUR)
}

/// Lives through the days with room for nothing, working off at most `portion` feeders' days an evening, and dies in the checkpoints of
/// some evenings after so many commits. Ends when nothing is owed.
fn live_in_portions(
    come: &[(i64, Comes)],
    portion: usize,
    dies_on: &BTreeMap<i64, usize>,
) -> (Process, Arc<MemoryStore>) {
    let store = Arc::new(MemoryStore::default());
    let mut process = Process::start(&store, settings(NOTHING, 24), MIDNIGHT);
    process.owed_together = portion;
    let mut records = network();
    let mut day = 0;
    while day < DAYS + 8 || process.world.owed() > 0 {
        assert!(
            day < 500,
            "{} feeders' days are owed for ever",
            process.world.owed()
        );
        let now = evening(day.min(DAYS + 7));
        process.set_now(now);
        let today = come.iter().filter(|(on, _)| *on == day);
        records.extend(today.map(|(_, comes)| coming(now, comes)));
        process.apply(&records, records.len());
        store.fail_after(dies_on.get(&day).copied());
        if process.checkpoint(Scope::Due).is_ok() {
            process.let_go();
        } else {
            process = Process::start(&store, settings(NOTHING, 24), now);
            process.owed_together = portion;
        }
        store.fail_after(None);
        day += 1;
    }
    end(&mut process);
    (process, store)
}

/// What turned out to be none in the last portion says so, and completeness does not wait for its next hour.
fn end(process: &mut Process) {
    process.advance();
    process.checkpoint(Scope::Everything).unwrap();
}

fn assert_ends_as(
    (process, store): (&mut Process, &MemoryStore),
    (whole, whole_store): (&Process, &MemoryStore),
) -> Result<(), TestCaseError> {
    for table in COMPARED.into_iter().chain([&table::QUARANTINE]) {
        assert_same(
            table.name,
            &current_rows(store, table),
            &current_rows(whole_store, table),
        )?;
    }
    process.page_in(process.world.wanted_all());
    process.advance();
    assert_same("picture", &picture(&process.world), &picture(&whole.world))?;
    assert_children_sum_up(&process.world)?;
    assert_as_computed_at_once(&process.world)
}

fn any_history() -> impl Strategy<Value = Vec<(i64, Comes)>> {
    let master = (1..DAYS + 4, 0_usize..6, 0..DAYS);
    let master = master.prop_map(|(on, which, day)| (on, Comes::Master(which, day)));
    (
        prop::collection::vec(any_coming(), 10..50),
        prop::collection::vec(master, 1..5),
    )
        .prop_map(|(mut come, master)| {
            come.extend(on_time().into_iter().filter(|(day, _)| day % 3 != 2));
            come.extend(master);
            come
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn retroactive_master_data_worked_through_in_portions_ends_as_if_all_had_stayed(
        come in any_history(),
        portion in 1_usize..4,
        dies_on in prop::collection::btree_map(0..DAYS + 8, 0_usize..12, 0..3),
    ) {
        let (mut whole, whole_store, _) = live_by_day(&come, &settings(ALL, 24));
        end(&mut whole);
        let (mut process, store) = live_in_portions(&come, portion, &dies_on);
        assert_ends_as((&mut process, &store), (&whole, &whole_store))?;
    }
}

/// A connection that was on another DT, and feeder, since the first day.
const MOVED_EVER_SINCE: (i64, Comes) = (DAYS + 1, Comes::Master(1, 0));

#[test]
fn a_master_row_that_concerns_every_day_brings_back_one_portion_at_a_time() {
    let store = Arc::new(MemoryStore::default());
    let mut process = Process::start(&store, settings(NOTHING, 24), MIDNIGHT);
    process.owed_together = 1;
    let mut records = network();
    let mut come = on_time();
    come.push(MOVED_EVER_SINCE);
    let mut brought_back = Vec::new();
    let mut owed = Vec::new();
    for day in 0..3 * DAYS {
        let now = evening(day.min(DAYS + 7));
        process.set_now(now);
        let today = come.iter().filter(|(on, _)| *on == day);
        records.extend(today.map(|(_, comes)| coming(now, comes)));
        let before = process.world.paged().feeder_days_in;
        process.apply(&records, records.len());
        brought_back.push(process.world.paged().feeder_days_in - before);
        owed.push(process.world.owed());
        process.checkpoint(Scope::Due).unwrap();
        process.let_go();
    }
    let when = usize::try_from(DAYS + 1).unwrap();
    assert!(owed[..when].iter().all(|owed| *owed == 0), "{owed:?}");
    // Both feeders of every day that is out, save those that were worked off at once.
    assert!(owed[when] >= 2 * usize::try_from(DAYS - 3).unwrap(), "{owed:?}");
    assert!(
        owed[when..].windows(2).all(|two| two[1] < two[0] || two[0] == 0),
        "{owed:?}"
    );
    assert_eq!(owed.last(), Some(&0));
    // Each evening the one that is worked off, and its neighbours where the balance of a DT needs both feeders.
    assert!(
        brought_back[when..].iter().all(|days| *days <= 4),
        "{brought_back:?}"
    );
    end(&mut process);
    let (mut whole, whole_store, _) = live_by_day(&come, &settings(ALL, 24));
    end(&mut whole);
    assert_ends_as((&mut process, &store), (&whole, &whole_store)).unwrap();
}

fn verified(store: &MemoryStore) -> Report {
    let limits = Limits {
        threads: 1,
        memory_bytes: 64 << 20,
    };
    let progress = Arc::new(verify::Progress::default());
    let all = Selection::default();
    block_on(verify(store, &settings(NOTHING, 24), &all, limits, &progress)).unwrap()
}

fn newest_checkpoint(store: &MemoryStore) -> LastCheckpoint {
    last_checkpoint(&store.batches(&table::CHECKPOINTS))
        .unwrap()
        .unwrap()
}

/// The evening after which the process dies, some days of many worked off.
const DIES_ON: i64 = DAYS + 4;

#[test]
fn what_is_owed_holds_back_what_is_said_to_be_applied_and_published_after_a_crash_too() {
    let store = Arc::new(MemoryStore::default());
    let mut process = Process::start(&store, settings(NOTHING, 24), MIDNIGHT);
    process.owed_together = 1;
    let mut records = network();
    let mut come = on_time();
    come.push(MOVED_EVER_SINCE);
    // A read of the last day that comes after the row shows at once, though it is not said to be applied.
    come.push((DAYS + 2, Comes::Reads("A", DAYS - 1, (0, 0), 100, 1)));
    let before = Position(u64::try_from(network().len() + on_time().len()).unwrap());
    let (mut evenings_owed, mut differed) = (0, 0);
    for day in 0..4 * DAYS {
        let now = evening(day.min(DAYS + 7));
        process.set_now(now);
        let today = come.iter().filter(|(on, _)| *on == day);
        records.extend(today.map(|(_, comes)| coming(now, comes)));
        process.apply(&records, records.len());
        process.checkpoint(Scope::Due).unwrap();
        let (applied, complete) = (process.world.applied(), process.world.complete_through());
        let (owed, said) = (process.world.owed(), newest_checkpoint(&store));
        let discom = process.world.network.find_node("D").unwrap();
        let ever = Day(0)..=Day(i32::MAX);
        assert_eq!(process.world.owed_of(discom, ever), owed);
        if owed > 0 {
            assert_eq!((complete, said.complete), (before, before));
            assert_eq!(
                (said.position, said.owed),
                (applied, u64::try_from(owed).unwrap())
            );
            let report = verified(&store);
            assert_eq!((report.complete, report.owed), (before, said.owed));
            differed += u64::from(report.differences_total > 0);
            evenings_owed += 1;
        } else {
            assert_eq!(complete, applied);
        }
        process.let_go();
        if day == DIES_ON {
            assert!(owed > 0, "all is worked off before it dies");
            process = Process::start(&store, settings(NOTHING, 24), now);
            process.owed_together = 1;
            assert!(process.world.owed() > 0);
            assert_eq!(process.world.complete_through(), before);
        }
    }
    assert!(
        evenings_owed > 3 && differed == evenings_owed,
        "{evenings_owed}, {differed}"
    );
    end(&mut process);
    let (said, report) = (newest_checkpoint(&store), verified(&store));
    assert_eq!(said.complete, process.world.applied());
    assert_eq!((report.owed, report.differences_total), (0, 0));
}
