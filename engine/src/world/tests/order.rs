//! ORD-1, TBL-1, CONS-1 and BAL-1 over random histories.

use std::{collections::BTreeSet, sync::Arc};

use gridtally_schemas::{MeterId, table};
use proptest::prelude::*;

use super::{
    NOW,
    compared::{
        COMPARED, assert_as_computed_at_once, assert_children_sum_up, assert_conserved, assert_same,
        assert_tallies_sum_up, assert_written_once, current_rows, picture,
    },
    histories::{METERS, bytes_of, history, split},
};
use crate::{
    rig::{MemoryStore, Process},
    world::{Settings, publish::Scope},
};

fn run_through(records: &[Vec<u8>]) -> (Process, Arc<MemoryStore>) {
    let store = Arc::new(MemoryStore::default());
    let mut process = Process::start(&store, Settings::default(), NOW);
    process.apply(records, records.len());
    process.checkpoint(Scope::Everything).unwrap();
    (process, store)
}

/// The same with balances computed after every record, so that most are computed in part.
fn run_ticking(records: &[Vec<u8>]) -> (Process, Arc<MemoryStore>) {
    let store = Arc::new(MemoryStore::default());
    let mut process = Process::start(&store, Settings::default(), NOW);
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
fn run_dying(records: &[Vec<u8>], deaths: &[Death], held_bytes_max: usize) -> (Process, Arc<MemoryStore>) {
    let settings = Settings {
        held_bytes_max,
        ..Settings::default()
    };
    let store = Arc::new(MemoryStore::default());
    let mut seen = 0;
    for (through, commits, everything) in deaths {
        let mut process = Process::start(&store, settings.clone(), NOW);
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
    let mut process = Process::start(&store, settings, NOW);
    process.apply(records, records.len());
    process.checkpoint(Scope::Everything).unwrap();
    // What waits in the table alone is compared as if it waited here.
    let meters: BTreeSet<MeterId> = METERS.iter().map(|id| MeterId::parse(id).unwrap()).collect();
    process.put_back(&meters);
    assert_eq!(process.world.held_spilled(), 0);
    (process, store)
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
        let (b, store_b) = run_ticking(&others);
        assert_same("picture", &picture(&a.world), &picture(&b.world))?;
        for table in COMPARED {
            assert_same(table.name, &current_rows(&store_a, table), &current_rows(&store_b, table))?;
        }
        for (process, store) in [(&a, &store_a), (&b, &store_b)] {
            assert_conserved(&process.world, store)?;
            assert_written_once(store)?;
            assert_children_sum_up(&process.world)?;
            assert_tallies_sum_up(&process.world)?;
            assert_as_computed_at_once(&process.world)?;
        }
    }

    /// TBL-1 and CONS-1: killed between any two commits, as often as you like, nothing is lost and nothing written twice.
    #[test]
    fn killed_between_any_two_commits_it_ends_as_if_it_had_not_been(
        told in history(),
        deaths in deaths(),
        held_bytes_max in prop::sample::select(vec![0_usize, 700, 1 << 30]),
    ) {
        let records: Vec<Vec<u8>> = told.iter().map(bytes_of).collect();
        let (whole, whole_store) = run_through(&records);
        let (process, store) = run_dying(&records, &deaths, held_bytes_max);
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

    /// ORD-1 where all comes together: another order, splitting, repetition, and deaths on the way.
    #[test]
    fn any_order_with_deaths_on_the_way_ends_in_the_same_picture_and_the_same_current_rows(
        (told, shuffled) in history().prop_flat_map(|all| (Just(all.clone()), Just(split(&all)).prop_shuffle())),
        deaths in deaths(),
        held_bytes_max in prop::sample::select(vec![0_usize, 700, 1 << 30]),
    ) {
        let records: Vec<Vec<u8>> = told.iter().map(bytes_of).collect();
        let others: Vec<Vec<u8>> = shuffled.iter().map(bytes_of).collect();
        let (whole, whole_store) = run_through(&records);
        let (process, store) = run_dying(&others, &deaths, held_bytes_max);
        assert_same("picture", &picture(&process.world), &picture(&whole.world))?;
        for table in COMPARED {
            assert_same(table.name, &current_rows(&store, table), &current_rows(&whole_store, table))?;
        }
        assert_conserved(&process.world, &store)?;
        assert_written_once(&store)?;
    }
}
