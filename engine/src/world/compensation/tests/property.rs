//! CMP-1 over random histories: whatever meters, people and master data say in whatever order, with deaths on the way, what each consumer's
//! entries for one default add up to is the rule applied to what is known at the end, and no entry has ever changed. Two rules: Delhi's,
//! whose grace depends on the other outages of the day, and one made up for this, which hangs on how many were affected, on counts, claims,
//! requests and the year's fixed charges.

use std::{collections::BTreeMap, sync::Arc};

use gridtally_schemas::table;
use proptest::prelude::*;

use super::{DERC, consumer, regulated};
use crate::{
    rig::{MemoryStore, Process},
    world::{
        Settings,
        publish::Scope,
        tests::{
            NOW,
            compared::cell,
            histories::{Said, bytes_of, history, split},
        },
    },
};

/// Says what it hangs on.
const HISTORIES: &str = include_str!("../../../../../tests/data/compensation/histories.toml");

const CONSUMERS: [&str; 3] = ["CA", "CB", "CC"];

/// Sums by consumer and default.
fn sums(process: &Process) -> BTreeMap<(String, String), i64> {
    let mut all = BTreeMap::new();
    for consumer in process.world.compensated_consumers() {
        for (default, sum) in process.world.compensation_sums(consumer) {
            all.insert((consumer.to_string(), default), sum);
        }
    }
    all
}

/// What the rule says, by consumer and default.
fn ruled(process: &Process) -> BTreeMap<(String, String), i64> {
    let mut all = BTreeMap::new();
    for id in CONSUMERS {
        for decision in process.world.compensation_decisions(&consumer(id), NOW) {
            if decision.amount().0 != 0 {
                all.insert((id.to_owned(), decision.default.to_string()), decision.amount().0);
            }
        }
    }
    all
}

/// What never changes of an entry.
const CONTENT: [&str; 13] = [
    "consumer_id",
    "outage_id",
    "kind",
    "regulation",
    "revision",
    "standard",
    "clause",
    "limit_minutes",
    "default_minutes",
    "amount_inr",
    "explains",
    "default_key",
    "created_at",
];

/// By entry: what it says, the same in every version, and its versions and places, each once.
fn written(store: &MemoryStore) -> Result<BTreeMap<String, String>, TestCaseError> {
    let mut contents: BTreeMap<String, String> = BTreeMap::new();
    let mut versions: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    let mut places: Vec<i64> = Vec::new();
    for batch in store.batches(&table::COMPENSATION_ENTRIES) {
        for row in 0..batch.num_rows() {
            let id = cell(&batch, row, "entry_id");
            let content = CONTENT.map(|name| cell(&batch, row, name)).join(" ");
            let held = contents.entry(id.clone()).or_insert_with(|| content.clone());
            prop_assert_eq!(&*held, &content, "an entry changed");
            let number = |name: &str| cell(&batch, row, name).parse::<i64>().unwrap();
            versions.entry(id).or_default().push(number("version"));
            places.push(number("feed_sequence"));
        }
    }
    for (id, of_entry) in versions {
        let expected: Vec<i64> = (1..=i64::try_from(of_entry.len()).unwrap()).collect();
        prop_assert_eq!(of_entry, expected, "{}", id);
    }
    prop_assert!(
        places.is_sorted_by(|one, next| one < next),
        "places grow: {:?}",
        places
    );
    Ok(contents)
}

fn once(settings: &Settings, records: &[Vec<u8>]) -> Process {
    let store = Arc::new(MemoryStore::default());
    let mut process = Process::start(&store, settings.clone(), NOW);
    process.apply(records, records.len());
    process
}

/// Checks one history under one rule.
fn adds_up(
    settings: &Settings,
    told: &[(gridtally_schemas::UtcMicros, Said)],
    shuffled: &[(gridtally_schemas::UtcMicros, Said)],
    deaths: &[(prop::sample::Index, usize)],
) -> Result<(), TestCaseError> {
    let records: Vec<Vec<u8>> = told.iter().map(bytes_of).collect();
    let others: Vec<Vec<u8>> = shuffled.iter().map(bytes_of).collect();
    let whole = once(settings, &records);
    prop_assert_eq!(sums(&whole), ruled(&whole));

    let store = Arc::new(MemoryStore::default());
    let (mut seen, mut stood) = (0, BTreeMap::new());
    for (through, commits) in deaths {
        let mut process = Process::start(&store, settings.clone(), NOW);
        // Looked at after every record, so that entries are made of what stood in between.
        let until = through.index(others.len() + 1).max(seen);
        for through in usize::try_from(process.world.applied().0).unwrap()..=until {
            process.apply(&others, through);
        }
        seen = until;
        store.fail_after(Some(*commits));
        let _ = process.checkpoint(Scope::Due);
        let now = written(&store)?;
        for (id, content) in &stood {
            prop_assert_eq!(now.get(id), Some(content), "an entry that was durable is gone");
        }
        stood = now;
    }
    let mut process = Process::start(&store, settings.clone(), NOW);
    process.apply(&others, others.len());
    process.checkpoint(Scope::Everything).unwrap();
    prop_assert_eq!(sums(&process), ruled(&process));
    prop_assert_eq!(sums(&process), sums(&whole));
    let before = written(&store)?;
    // And once more from the tables alone: nothing is added.
    let mut again = Process::start(&store, settings.clone(), NOW);
    again.apply(&others, others.len());
    again.checkpoint(Scope::Everything).unwrap();
    prop_assert_eq!(sums(&again), sums(&process));
    prop_assert_eq!(written(&store)?, before);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn in_any_order_and_with_deaths_the_ledger_adds_up_to_the_rule_and_no_entry_changes(
        (told, shuffled) in history().prop_flat_map(|all: Vec<(gridtally_schemas::UtcMicros, Said)>| {
            (Just(all.clone()), Just(split(&all)).prop_shuffle())
        }),
        deaths in prop::collection::vec((any::<prop::sample::Index>(), 0_usize..27), 0..8),
    ) {
        for rule in [DERC, HISTORIES] {
            adds_up(&regulated(rule), &told, &shuffled, &deaths)?;
        }
    }
}
