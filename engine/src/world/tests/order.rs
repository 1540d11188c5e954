//! ORD-1, TBL-1, CONS-1 and BAL-1 over random histories.

use std::{collections::BTreeSet, sync::Arc};

use gridtally_schemas::{MeterId, UtcMicros, table};
use proptest::prelude::*;

use super::{
    HOUR, NOW,
    compared::{
        COMPARED, assert_accounting_sums_up, assert_as_computed_at_once, assert_children_sum_up,
        assert_conserved, assert_same, assert_tallies_sum_up, assert_written_once, current_rows, picture,
    },
    histories::{METERS, Told, bytes_of, histories, over, split},
};
use crate::{
    rig::{MemoryStore, Process},
    world::{Settings, publish::Scope},
};

/// While the second day runs, and days later: then gaps are estimated and what was billed is locked.
pub(super) fn any_now() -> impl Strategy<Value = UtcMicros> {
    prop::sample::select(vec![NOW, NOW.plus(5 * 24 * HOUR)])
}

fn run_through(records: &[Vec<u8>], now: UtcMicros) -> (Process, Arc<MemoryStore>) {
    let store = Arc::new(MemoryStore::default());
    let mut process = Process::start(&store, Settings::default(), now);
    process.apply(records, records.len());
    process.checkpoint(Scope::Everything).unwrap();
    (process, store)
}

/// The same with balances computed after every record, so that most are computed in part.
fn run_ticking(records: &[Vec<u8>], now: UtcMicros) -> (Process, Arc<MemoryStore>) {
    let store = Arc::new(MemoryStore::default());
    let mut process = Process::start(&store, Settings::default(), now);
    for through in 1..=records.len() {
        process.apply(records, through);
    }
    process.checkpoint(Scope::Everything).unwrap();
    (process, store)
}

/// Where a process died: how much of the log it had seen, after how many commits, and of which kind of checkpoint.
type Death = (prop::sample::Index, usize, bool);

fn deaths() -> impl Strategy<Value = Vec<Death>> {
    prop::collection::vec((any::<prop::sample::Index>(), 0_usize..12, any::<bool>()), 0..6)
}

/// Runs through `records`, dying at each of `deaths`, with room for `held_bytes_max` of what unknown meters said.
fn run_dying(
    records: &[Vec<u8>],
    (deaths, held_bytes_max): (&[Death], usize),
    now: UtcMicros,
) -> (Process, Arc<MemoryStore>) {
    let settings = Settings {
        held_bytes_max,
        ..Settings::default()
    };
    let store = Arc::new(MemoryStore::default());
    let mut seen = 0;
    for (through, commits, everything) in deaths {
        let mut process = Process::start(&store, settings.clone(), now);
        // As the engine's thread does: nothing is published before all that a table may hold already is applied.
        seen = through.index(records.len() + 1).max(seen);
        process.apply(records, seen);
        store.fail_after(Some(*commits));
        let _ = process.checkpoint(if *everything {
            Scope::Everything
        } else {
            Scope::Due
        });
    }
    let mut process = Process::start(&store, settings, now);
    process.apply(records, records.len());
    process.checkpoint(Scope::Everything).unwrap();
    // What waits in the table alone is compared as if it waited here.
    let meters: BTreeSet<MeterId> = METERS.iter().map(|id| MeterId::parse(id).unwrap()).collect();
    process.put_back(&meters);
    assert_eq!(process.world.held_spilled(), 0);
    (process, store)
}

/// A history, and the same in another order, one row a record, with some of it said again.
fn shuffled() -> impl Strategy<Value = (Told, Vec<Vec<u8>>)> {
    let shuffled = histories().prop_flat_map(|all| {
        let split = split(&all);
        (Just(all), Just(split).prop_shuffle())
    });
    let again = prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 0..8);
    (shuffled, again).prop_map(|((told, shuffled), again)| {
        let mut records: Vec<Vec<u8>> = shuffled.iter().map(bytes_of).collect();
        for (from, to) in again {
            let record = records[from.index(records.len())].clone();
            records.insert(to.index(records.len()), record);
        }
        (told, records)
    })
}

fn room() -> impl Strategy<Value = usize> {
    prop::sample::select(vec![0_usize, 700, 1 << 30])
}

fn records_of(told: &Told) -> Vec<Vec<u8>> {
    told.iter().map(bytes_of).collect()
}

fn assert_same_rows(a: &MemoryStore, b: &MemoryStore) -> Result<(), TestCaseError> {
    for table in COMPARED {
        assert_same(table.name, &current_rows(a, table), &current_rows(b, table))?;
    }
    Ok(())
}

/// ORD-1 and BAL-1.
#[test]
fn any_order_repetition_and_splitting_ends_in_the_same_picture_and_the_same_current_rows() {
    let all = (shuffled(), any_now());
    over(
        "in any order, repeated and split",
        700,
        all,
        |((told, others), now)| {
            let (a, store_a) = run_through(&records_of(&told), now);
            let (b, store_b) = run_ticking(&others, now);
            assert_same("picture", &picture(&a.world), &picture(&b.world))?;
            assert_same_rows(&store_a, &store_b)?;
            for (process, store) in [(&a, &store_a), (&b, &store_b)] {
                assert_conserved(&process.world, store)?;
                assert_written_once(store)?;
                assert_children_sum_up(&process.world)?;
                assert_tallies_sum_up(&process.world)?;
                assert_accounting_sums_up(store)?;
                assert_as_computed_at_once(&process.world)?;
            }
            Ok(())
        },
    );
}

/// TBL-1 and CONS-1: killed between any two commits, as often as you like, nothing is lost and nothing written twice.
#[test]
fn killed_between_any_two_commits_it_ends_as_if_it_had_not_been() {
    let all = (histories(), deaths(), room(), any_now());
    over(
        "with deaths on the way",
        500,
        all,
        |(told, deaths, held_bytes_max, now)| {
            let records = records_of(&told);
            let (whole, whole_store) = run_through(&records, now);
            let (process, store) = run_dying(&records, (&deaths, held_bytes_max), now);
            assert_same("picture", &picture(&process.world), &picture(&whole.world))?;
            assert_same_rows(&store, &whole_store)?;
            let quarantined = |store: &MemoryStore| current_rows(store, &table::QUARANTINE);
            assert_same("quarantine", &quarantined(&store), &quarantined(&whole_store))?;
            prop_assert_eq!(process.world.counts, whole.world.counts);
            assert_conserved(&process.world, &store)?;
            assert_written_once(&store)?;
            // And once more from the tables alone.
            let mut again = Process::start(&store, Settings::default(), now);
            again.apply(&records, records.len());
            assert_same(
                "recovered picture",
                &picture(&again.world),
                &picture(&whole.world),
            )?;
            let before: usize = COMPARED.iter().map(|table| store.batches(table).len()).sum();
            again.checkpoint(Scope::Everything).unwrap();
            let after: usize = COMPARED.iter().map(|table| store.batches(table).len()).sum();
            prop_assert_eq!(before, after, "a restart alone published something");
            Ok(())
        },
    );
}

/// ORD-1 where all comes together: another order, splitting, repetition, and deaths on the way.
#[test]
fn any_order_with_deaths_on_the_way_ends_in_the_same_picture_and_the_same_current_rows() {
    let all = (shuffled(), deaths(), room(), any_now());
    over(
        "in any order with deaths",
        600,
        all,
        |((told, others), deaths, held_bytes_max, now)| {
            let (whole, whole_store) = run_through(&records_of(&told), now);
            let (process, store) = run_dying(&others, (&deaths, held_bytes_max), now);
            assert_same("picture", &picture(&process.world), &picture(&whole.world))?;
            assert_same_rows(&store, &whole_store)?;
            assert_conserved(&process.world, &store)?;
            assert_written_once(&store)
        },
    );
}
