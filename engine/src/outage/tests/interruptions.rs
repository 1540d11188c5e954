//! What one consumer's interruption is, by its own meter and by others where that is silent.

use super::*;

#[test]
fn a_pair_of_events_is_an_interruption_by_the_meters_own_clock() {
    let mut town = Town::of(1, 4);
    town.out("D0C0", 2, 47);
    assert_eq!(town.interruptions(), ["D0C0 2..47 power_event/power_event"]);
    let evaluation = town.evaluate();
    let only = &evaluation.interruptions[0];
    assert_eq!(
        (only.counted_micros, only.sustained),
        (Some(45 * MINUTE), Some(true))
    );
}

#[test]
fn up_to_three_minutes_is_momentary_and_longer_is_sustained() {
    for (to, sustained) in [(5, false), (6, true)] {
        let mut town = Town::of(1, 4);
        town.out("D0C0", 2, to);
        assert_eq!(
            town.evaluate().interruptions[0].sustained,
            Some(sustained),
            "to {to}"
        );
    }
}

#[test]
fn without_restoration_it_is_open() {
    let mut town = Town::of(1, 4);
    town.says("D0C0", 2, Signal::Failed);
    assert_eq!(town.interruptions(), ["D0C0 2..open power_event/-"]);
    assert_eq!(town.evaluate().interruptions[0].counted_micros, None);
}

#[test]
fn a_lost_restoration_is_closed_within_the_next_block_that_proves_supply() {
    let mut town = Town::of(1, 4);
    town.says("D0C0", 2, Signal::Failed)
        .reads("D0C0", 60, 120, Sign::Drawing);
    assert_eq!(town.interruptions(), ["D0C0 2..67:30 power_event/read"]);
    let restored = town.evaluate().interruptions[0].evidence.restored.unwrap();
    assert_eq!((restored.earliest, restored.latest), (minute(2), minute(75)));
}

#[test]
fn the_block_in_which_power_failed_proves_nothing() {
    let mut town = Town::of(1, 4);
    town.says("D0C0", 2, Signal::Failed)
        .reads("D0C0", -60, 15, Sign::Drawing);
    assert_eq!(town.interruptions(), ["D0C0 2..open power_event/-"]);
}

#[test]
fn a_second_failure_proves_that_supply_was_back() {
    let mut town = Town::of(1, 4);
    town.says("D0C0", 0, Signal::Failed).out("D0C0", 40, 50);
    assert_eq!(
        town.interruptions(),
        [
            "D0C0 0..20 power_event/other_event",
            "D0C0 40..50 power_event/power_event"
        ]
    );
}

#[test]
fn a_lost_last_gasp_is_put_within_the_last_block_that_proves_supply() {
    let mut town = Town::of(1, 4);
    town.reads("D0C0", -600, 0, Sign::Drawing)
        .reads("D0C0", 0, 45, Sign::Dead);
    town.says("D0C0", 50, Signal::Restored);
    assert_eq!(town.interruptions(), ["D0C0 -7:30..50 zero_voltage/power_event"]);

    // The same with a meter that records no block while it is dark: the profile goes on behind the hole.
    let mut town = Town::of(1, 4);
    town.reads("D0C0", -600, 0, Sign::Drawing)
        .reads("D0C0", 60, 120, Sign::Drawing);
    town.says("D0C0", 50, Signal::Restored);
    assert_eq!(town.interruptions(), ["D0C0 -7:30..50 read/power_event"]);
}

#[test]
fn a_restoration_alone_claims_nothing_before_the_profile_is_there() {
    let mut town = Town::of(1, 4);
    town.reads("D0C0", -600, -300, Sign::Drawing)
        .says("D0C0", 50, Signal::Restored);
    assert_eq!(town.interruptions(), Vec::<String>::new());
    // Nor where the blocks between may be quiet for want of use.
    town.reads("D0C0", -300, 0, Sign::Quiet)
        .reads("D0C0", 60, 120, Sign::Drawing);
    assert_eq!(town.interruptions(), Vec::<String>::new());
}

#[test]
fn zero_voltage_alone_is_an_interruption() {
    let mut town = Town::of(1, 4);
    town.reads("D0C0", -600, 0, Sign::Drawing)
        .reads("D0C0", 0, 60, Sign::Dead)
        .reads("D0C0", 60, 120, Sign::Powered);
    assert_eq!(town.interruptions(), ["D0C0 -7:30..67:30 zero_voltage/read"]);
}

#[test]
fn a_dip_within_one_second_is_one_momentary_interruption() {
    let mut town = Town::of(1, 4);
    town.reads("D0C0", -600, 0, Sign::Drawing).out("D0C0", 7, 7);
    assert_eq!(town.interruptions(), ["D0C0 7..7 power_event/power_event"]);
    assert_eq!(town.evaluate().interruptions[0].sustained, Some(false));
}

#[test]
fn a_block_with_supply_between_two_events_parts_one_interruption_into_two() {
    let mut town = Town::of(1, 4);
    town.out("D0C0", 2, 200).reads("D0C0", 60, 120, Sign::Drawing);
    town.reads("D0C0", 210, 240, Sign::Drawing);
    assert_eq!(
        town.interruptions(),
        [
            "D0C0 2..67:30 power_event/read",
            "D0C0 112:30..200 read/power_event"
        ]
    );
}

#[test]
fn the_silent_and_the_unmetered_are_out_with_their_dt() {
    let mut town = Town::of(1, 6);
    for consumer in 0..4 {
        town.out(&format!("D0C{consumer}"), 2, 60);
    }
    town.consumer("D0C5").meters.clear();
    let lines = town.interruptions();
    assert!(
        lines.contains(&"D0C4 2..60 neighbours/neighbours".to_owned()),
        "{lines:?}"
    );
    assert!(
        lines.contains(&"D0C5 2..60 neighbours/neighbours".to_owned()),
        "{lines:?}"
    );
}

#[test]
fn a_silent_consumer_whose_reads_show_supply_is_not_out_with_its_dt() {
    let mut town = Town::of(1, 6);
    for consumer in 0..5 {
        town.out(&format!("D0C{consumer}"), 2, 60);
    }
    town.reads("D0C5", -60, 120, Sign::Drawing);
    assert_eq!(town.interruptions().len(), 5);
}

#[test]
fn a_silent_consumer_who_draws_again_before_the_others_was_restored_before_them() {
    let mut town = Town::of(1, 6);
    for consumer in 0..5 {
        town.out(&format!("D0C{consumer}"), 2, 180);
    }
    town.reads("D0C5", -600, 0, Sign::Drawing)
        .reads("D0C5", 15, 90, Sign::Quiet)
        .reads("D0C5", 90, 240, Sign::Drawing);
    let lines = town.interruptions();
    assert!(
        lines.contains(&"D0C5 2..97:30 neighbours/read".to_owned()),
        "{lines:?}"
    );
    let evaluation = town.evaluate();
    let silent = evaluation
        .interruptions
        .iter()
        .find(|one| one.consumer.as_str() == "D0C5")
        .unwrap();
    assert!(silent.evidence.no_energy);
}

#[test]
fn lost_words_are_timed_by_the_neighbours() {
    let mut town = Town::of(1, 6);
    for consumer in 0..4 {
        town.out(&format!("D0C{consumer}"), 3, 50);
    }
    town.everyone_draws_but(0, 60);
    // One lost its restoration, one its last gasp.
    town.says("D0C4", 3, Signal::Failed)
        .says("D0C5", 50, Signal::Restored);
    let lines = town.interruptions();
    assert!(
        lines.contains(&"D0C4 3..50 power_event/neighbours".to_owned()),
        "{lines:?}"
    );
    assert!(
        lines.contains(&"D0C5 3..50 neighbours/power_event".to_owned()),
        "{lines:?}"
    );
}

#[test]
fn a_consumer_whose_restoration_is_lost_is_out_until_its_own_reads_prove_supply() {
    let mut town = Town::of(1, 6);
    for consumer in 0..5 {
        town.out(&format!("D0C{consumer}"), 3, 50);
    }
    town.says("D0C5", 3, Signal::Failed);
    assert!(
        town.interruptions()
            .contains(&"D0C5 3..open power_event/-".to_owned())
    );
    town.reads("D0C5", 60, 75, Sign::Drawing);
    assert!(
        town.interruptions()
            .contains(&"D0C5 3..50 power_event/neighbours".to_owned())
    );
}

#[test]
fn the_dts_own_meter_speaks_for_the_silent() {
    let mut town = Town::of(1, 3);
    town.everyone_draws_but(-15, 60).out("D0", 4, 47);
    assert_eq!(
        town.interruptions(),
        [
            "D0C0 4..47 dt_meter/dt_meter",
            "D0C1 4..47 dt_meter/dt_meter",
            "D0C2 4..47 dt_meter/dt_meter"
        ]
    );
    // Not against consumers who had supply all the time: then the fault is the DT meter's own.
    town.everyone_draws_but(60, 60);
    assert_eq!(town.interruptions(), Vec::<String>::new());
}

#[test]
fn what_began_while_the_consumer_hung_elsewhere_is_not_this_feeders() {
    let mut town = Town::of(1, 4);
    town.out("D0C0", -50, -20).out("D0C0", 20, 30);
    town.consumer("D0C0").hangs[0].span = Span::new(minute(0), FOREVER);
    assert_eq!(town.interruptions(), ["D0C0 20..30 power_event/power_event"]);
}
