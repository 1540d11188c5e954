//! Estimates of restoration in the picture: what is published and told, and that the order of arrival cannot matter (ORD-1).

use super::*;
use crate::outage::Rules;

/// T1 failed on the five days before, for so many minutes each, and fails at [`minute`] 0.
const LASTED: [i64; 5] = [20, 30, 40, 50, 60];

fn past(town: &mut Town) -> &mut Town {
    for (days, lasted) in (1..).zip(LASTED) {
        let begin = -days * 24 * 60;
        town.dt_says("T1", minute(begin), POWER_FAILED)
            .dt_says("T1", minute(begin + lasted), POWER_RESTORED);
    }
    town
}

fn etr(town: &Town) -> Vec<String> {
    let on = town
        .process
        .world
        .outages()
        .filter(|view| view.outage.ended_at.is_none());
    on.map(|view| {
        let restoration = view.restoration.map(|restoration| {
            let minutes = (restoration.at.0 - minute(0).0) / MINUTE;
            format!("{minutes} {} {}", restoration.basis, restoration.outages)
        });
        format!("{} {}", view.outage.id, restoration.unwrap_or_default())
    })
    .collect()
}

/// As of so many minutes after the outage began.
fn at(town: &mut Town, minutes: i64) -> &mut Town {
    town.process.set_now(minute(minutes));
    town.process.advance();
    town
}

#[test]
fn an_estimate_stands_until_its_time_has_passed_gives_way_to_the_crew_and_ends_with_the_outage() {
    let mut town = Town::new();
    at(past(town.draws(1..=40)), 5);
    town.dt_says("T1", minute(0), POWER_FAILED).apply().checkpoint();
    let id = "F1.20260401T0430";
    let estimate = |minutes: i64| format!("{id} {minutes} past_outages_of_scope 5");
    assert_eq!(etr(&town), [estimate(40)]);
    assert_eq!(etr(at(&mut town, 39)), [estimate(40)]);
    town.checkpoint();
    // Fewer than five lasted longer.
    assert_eq!(etr(at(&mut town, 40)), [format!("{id} ")]);
    town.checkpoint();
    let cause = Cause {
        outage_id: id.to_owned(),
        node_id: node_id("T1"),
        started_at: minute(0),
        person: "A. Rao".to_owned(),
        cause: None,
        fault_type: None,
        force_majeure: None,
        etr: Some(minute(240)),
    };
    let mut bytes = Vec::new();
    record::encode_cause(minute(41), &cause, &mut bytes).unwrap();
    town.log.push(bytes);
    town.apply().checkpoint();
    assert_eq!(etr(&town), [format!("{id} 240 crew 0")]);
    let columns = [
        "outage_id",
        "version",
        "status",
        "etr_basis",
        "etr_outages",
        "reason",
    ];
    let mut rows = town.published(&table::OUTAGES, &columns);
    rows.retain(|row| row.starts_with(id));
    assert_eq!(
        rows,
        [
            format!("{id} 1 ACTIVE past_outages_of_scope 5 "),
            format!("{id} 2 ACTIVE   estimated anew when supply will be back"),
            format!("{id} 3 ACTIVE crew  the crew's word"),
        ]
    );
    // A restart estimates the same, and publishes nothing.
    let before = town.store.batches(&table::OUTAGES).len();
    town.process = Process::start(&town.store, Settings::default(), minute(50));
    town.apply().checkpoint();
    assert_eq!(etr(&town), [format!("{id} 240 crew 0")]);
    assert_eq!(town.store.batches(&table::OUTAGES).len(), before);
}

#[test]
fn an_estimate_is_told_with_the_outage_and_once() {
    let mut town = Town::new();
    at(past(town.draws(1..=40)), 5);
    town.apply();
    let said = |town: &mut Town| {
        let position = gridtally_ingest::log::Position;
        for (at, bytes) in town.log.clone().iter().enumerate() {
            let position = position(u64::try_from(at).unwrap() + 1);
            town.process
                .world
                .apply(position, bytes, &mut Publish::default())
                .unwrap();
        }
        let mut seen = town.process.world.look_for_outages(minute(5), 9);
        assert!(!seen.more);
        seen.changes
            .retain(|change| change.view.outage.ended_at.is_none());
        let etr = |view: &OutageView| view.restoration.map(|restoration| restoration.at);
        seen.changes
            .iter()
            .map(|change| (change.reason.clone(), etr(&change.view)))
            .collect::<Vec<_>>()
    };
    town.dt_says("T1", minute(0), POWER_FAILED);
    assert_eq!(said(&mut town), [("first evidence".to_owned(), Some(minute(40)))]);
    // Late evidence of the past: one lasted three hours, so the median is 50.
    town.says("T1-0", minute(-3 * 24 * 60 + 180), POWER_RESTORED);
    let rows = said(&mut town);
    assert!(rows.len() <= 1, "{rows:?}");
}

#[test]
fn whatever_order_it_comes_in_the_estimate_is_the_same() {
    let settings = || Settings {
        outage_rules: Rules {
            past_min: 2,
            ..Rules::default()
        },
        ..Settings::default()
    };
    let now = minute(45);
    let mut expected: Option<Vec<String>> = None;
    for seed in 0..12_usize {
        let mut town = Town::new();
        town.process = Process::start(&town.store, settings(), now);
        let master = town.log.len();
        past(&mut town)
            .dt_says("T1", minute(0), POWER_FAILED)
            .dt_says("T3", minute(4), POWER_FAILED);
        let said = town.log.split_off(master);
        // A different order each time, looked at and published at every seventh word, with a crash in the middle.
        let step = [1, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41][seed];
        let mut order: Vec<usize> = (0..said.len())
            .map(|at| (at * step + seed) % said.len())
            .collect();
        order.sort_by_key(|at| (at * step + seed) % 53);
        for (count, at) in order.iter().enumerate() {
            town.log.push(said[*at].clone());
            if count % 7 == seed % 7 {
                town.apply().checkpoint();
            }
            if count == said.len() / 2 {
                town.process = Process::start(&town.store, settings(), now);
            }
        }
        for repeated in &said {
            town.log.push(repeated.clone());
        }
        town.apply().checkpoint();
        let found = etr(&town);
        assert!(found[0].contains("past_outages_of_scope"), "{found:?}");
        assert_eq!(
            *expected.get_or_insert_with(|| found.clone()),
            found,
            "seed {seed}"
        );
    }
}
