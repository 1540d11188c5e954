//! Load switches of whose opening nobody heard: what tells them from a meter that closes its switch after an outage.

use super::*;

const NONE: [&str; 0] = [];

/// An outage from minute 100 until 110 of a consumer who drew nothing in the half hour before, and whose switch was closed at 112.
fn closed_after_an_outage() -> Town {
    let mut town = Town::of(1, 4);
    town.reads("D0C0", -600, 60, Sign::Drawing)
        .reads("D0C0", 60, 90, Sign::Powered)
        .out("D0C0", 100, 110)
        .says("D0C0", 112, Signal::Connected)
        .reads("D0C0", 120, 600, Sign::Drawing);
    town
}

#[test]
fn a_meter_that_closed_no_switch_after_other_outages_closed_none_after_this() {
    // Nothing else is known of it.
    let mut town = closed_after_an_outage();
    assert_eq!(town.interruptions(), ["D0C0 100..110 power_event/power_event"]);
    // It came back from another outage, and said nothing of its switch.
    town.out("D0C0", -300, -290);
    assert_eq!(town.interruptions(), ["D0C0 -300..-290 power_event/power_event"]);
    // It said so then, too: that is its way.
    town.says("D0C0", -289, Signal::Connected);
    assert_eq!(
        town.interruptions(),
        [
            "D0C0 -300..-290 power_event/power_event",
            "D0C0 100..110 power_event/power_event"
        ]
    );
}

#[test]
fn restorations_while_the_switch_was_open_by_its_own_word_tell_nothing_of_the_meters_habit() {
    let mut town = closed_after_an_outage();
    town.says("D0C0", -400, Signal::CutOff)
        .out("D0C0", -300, -290)
        .says("D0C0", -200, Signal::Connected)
        .reads("D0C0", -405, -200, Sign::Powered);
    assert_eq!(town.interruptions(), ["D0C0 100..110 power_event/power_event"]);
}

#[test]
fn a_failure_right_after_blocks_without_voltage_shows_a_meter_behind_an_open_switch() {
    let mut town = Town::of(1, 4);
    town.reads("D0C0", -600, 0, Sign::Drawing)
        .reads("D0C0", 0, 90, Sign::Dead)
        .out("D0C0", 100, 110)
        .says("D0C0", 112, Signal::Connected)
        .reads("D0C0", 120, 600, Sign::Drawing);
    assert_eq!(town.interruptions(), NONE);
}

#[test]
fn an_outage_whose_restoration_is_lost_counts_until_supply_is_seen_under_an_open_switch() {
    let mut town = Town::of(1, 4);
    town.reads("D0C0", -600, 90, Sign::Drawing)
        .out("D0C0", -300, -290)
        .says("D0C0", 100, Signal::Failed)
        .reads("D0C0", 150, 300, Sign::Powered)
        .says("D0C0", 303, Signal::Connected)
        .reads("D0C0", 315, 600, Sign::Drawing);
    assert_eq!(
        town.interruptions(),
        [
            "D0C0 -300..-290 power_event/power_event",
            "D0C0 100..150 power_event/read"
        ]
    );
}

#[test]
fn a_lost_closing_lies_after_the_restoration_in_the_block_that_draws_again() {
    let mut town = Town::of(1, 4);
    town.reads("D0C0", -600, -90, Sign::Drawing)
        .says("D0C0", -90, Signal::Disconnected)
        .reads("D0C0", -90, 30, Sign::Powered)
        .out("D0C0", 40, 107)
        .reads("D0C0", 105, 600, Sign::Drawing);
    assert_eq!(town.interruptions(), NONE);
}
