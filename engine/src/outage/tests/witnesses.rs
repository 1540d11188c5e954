//! Who is no witness, and whose clock gives way.

use super::*;

const NONE: [&str; 0] = [];

/// A feeder of two DTs; on `D0` no supply is due in these minutes.
fn town_with_hours(from: i64, to: i64) -> Town {
    let mut town = Town::of(2, 4);
    town.picture.without_supply = vec![vec![from_to(from, to)]];
    for name in town.names(0) {
        town.consumer(&name).without_supply = Some(0);
    }
    for name in town.names(1) {
        town.reads(&name, -600, 600, Sign::Drawing);
    }
    town
}

#[test]
fn hours_without_supply_that_only_blocks_tell_of_are_no_outage() {
    let mut town = town_with_hours(0, 60);
    for name in town.names(0) {
        town.reads(&name, -600, 0, Sign::Drawing)
            .reads(&name, 0, 60, Sign::Dead);
    }
    // The last that is heard is dark: nothing says that supply did not come when it was due.
    assert_eq!(town.outages(), NONE);
    for name in town.names(0) {
        town.reads(&name, 60, 600, Sign::Drawing);
    }
    assert_eq!(town.outages(), NONE);
    // It did not come.
    for name in town.names(0) {
        town.reads(&name, 60, 120, Sign::Dead);
    }
    let lines = town.interruptions();
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert!(lines[0].starts_with("D0C0 60.."), "{lines:?}");
}

#[test]
fn a_dts_clock_gives_way_to_three_who_say_otherwise() {
    let failed = |consumers: usize, apart: i64| {
        let mut town = Town::of(2, consumers);
        town.all_out(0, 0, 60).out("D0", apart, 60 + apart);
        let outages = town.evaluate().outages;
        minutes(outages.values().next().unwrap().evidence.failed.at)
    };
    assert_eq!(failed(6, 4), "0");
    assert_eq!(failed(6, 2), "2");
    assert_eq!(failed(2, 4), "4");
}

#[test]
fn minutes_that_only_a_dts_meter_tells_are_no_outage_while_its_consumers_speak() {
    let mut town = Town::of(2, 6);
    town.everyone_draws_but(0, 0).out("D0", 3, 5);
    assert_eq!(town.outages(), NONE);
    town.says("D0C0", 3, Signal::Failed)
        .says("D0C0", 5, Signal::Restored);
    let outages = town.evaluate().outages;
    assert!(
        outages.values().any(|outage| outage.scope == Scope::Dt),
        "{outages:?}"
    );
}

#[test]
fn a_lost_cut_off_is_seen_by_its_end_over_a_power_event_with_a_block_of_supply_after_it() {
    let mut town = Town::of(1, 4);
    town.reads("D0C0", -600, 0, Sign::Drawing)
        .reads("D0C0", 0, 300, Sign::Powered)
        .out("D0C0", 100, 110)
        .says("D0C0", 300, Signal::Connected)
        .reads("D0C0", 300, 600, Sign::Drawing);
    assert_eq!(town.interruptions(), NONE);
    // Closed as soon as supply was back: the outage's own doing.
    let mut town = Town::of(1, 4);
    town.reads("D0C0", -600, 90, Sign::Drawing)
        .out("D0C0", 100, 110)
        .says("D0C0", 112, Signal::Connected)
        .reads("D0C0", 120, 600, Sign::Drawing);
    assert_eq!(town.interruptions(), ["D0C0 100..110 power_event/power_event"]);
}
