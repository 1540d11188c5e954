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
    assert_eq!(failed(6, 2), "0");
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

#[test]
fn a_lost_cut_off_is_seen_by_the_302_in_a_block_that_draws_again() {
    let mut town = Town::of(1, 4);
    // Closed within a block, which has energy again; the meter measures behind its switch.
    town.reads("D0C0", -600, 0, Sign::Drawing)
        .reads("D0C0", 0, 300, Sign::Dead)
        .says("D0C0", 303, Signal::Connected)
        .reads("D0C0", 300, 600, Sign::Drawing);
    assert_eq!(town.interruptions(), NONE);
    // Outages within it are none of this consumer's, closed shortly after the last or not: it saw no voltage while it had supply.
    town.out("D0C0", 100, 200);
    assert_eq!(town.interruptions(), NONE);
    town.out("D0C0", 290, 301);
    assert_eq!(town.interruptions(), NONE);
}

#[test]
fn the_outage_that_ended_the_drawing_counts_before_a_lost_cut_off() {
    let lines = |block: Sign| {
        let mut town = Town::of(1, 4);
        town.reads("D0C0", -600, 15, Sign::Drawing)
            .reads("D0C0", 15, 30, block)
            .out("D0C0", 20, 70)
            .reads("D0C0", 30, 300, Sign::Dead)
            .says("D0C0", 303, Signal::Connected)
            .reads("D0C0", 300, 600, Sign::Drawing);
        town.interruptions()
    };
    assert_eq!(lines(Sign::Drawing), ["D0C0 20..70 power_event/power_event"]);
    // Nothing was drawn in the minutes with supply before it: it was cut off then.
    assert_eq!(lines(Sign::Powered), NONE);
}

#[test]
fn a_switch_closed_long_after_an_outage_was_open_before_it_if_nothing_was_drawn_then() {
    let lines = |closed: i64, before: Sign| {
        let mut town = Town::of(1, 4);
        town.reads("D0C0", -600, 0, Sign::Drawing)
            .reads("D0C0", 0, 90, before)
            .out("D0C0", 100, 110)
            .says("D0C0", closed, Signal::Connected);
        town.interruptions()
    };
    assert_eq!(lines(300, Sign::Powered), NONE);
    assert_eq!(
        lines(112, Sign::Powered),
        ["D0C0 100..110 power_event/power_event"]
    );
    // Without a voltage, too: there was supply before it failed, and the meter did not close its switch when it was back.
    assert_eq!(lines(300, Sign::Quiet), NONE);
    assert_eq!(lines(112, Sign::Quiet), ["D0C0 100..110 power_event/power_event"]);
}

#[test]
fn a_hole_at_the_edge_of_the_hours_without_supply_begins_and_ends_with_them() {
    // The restoration is lost; the first block after the hours has energy.
    let mut town = town_with_hours(0, 600);
    town.reads("D0C0", -600, 0, Sign::Drawing)
        .says("D0C0", 30, Signal::Failed)
        .reads("D0C0", 600, 900, Sign::Drawing);
    assert_eq!(town.interruptions(), NONE);
    // The last gasp is lost; nothing is recorded from the hours' begin on.
    let mut town = town_with_hours(0, 600);
    town.reads("D0C0", -600, 0, Sign::Drawing)
        .says("D0C0", 130, Signal::Restored)
        .reads("D0C0", 600, 900, Sign::Drawing);
    assert_eq!(town.interruptions(), NONE);
}

#[test]
fn lost_blocks_after_hours_without_supply_that_blocks_tell_of_are_no_interruption() {
    let mut town = town_with_hours(0, 300);
    for name in town.names(0) {
        town.reads(&name, -600, 0, Sign::Drawing)
            .reads(&name, 0, 120, Sign::Dead)
            .reads(&name, 480, 600, Sign::Drawing);
    }
    assert_eq!(town.interruptions(), NONE);
    assert_eq!(town.outages(), NONE);
}

#[test]
fn a_failure_by_a_clock_that_is_ahead_does_not_part_the_restorations_of_others() {
    let mut town = Town::of(1, 12);
    town.everyone_draws_but(0, 0);
    let names = town.names(0);
    let (first, rest) = names.split_at(2);
    let (then, rest) = rest.split_at(5);
    for name in first {
        town.out(name, 0, 8);
    }
    for name in then {
        town.out(name, 0, 10);
    }
    // Of two the last gasp is lost; they come back between the others. Of one the clock is ahead.
    town.says(&rest[0], 9, Signal::Restored)
        .says(&rest[1], 9, Signal::Restored)
        .out(&rest[2], 7, 15);
    let outages = town.outages();
    assert_eq!(outages.len(), 1, "{outages:?}");
}

#[test]
fn bounds_by_a_nodes_own_blocks_are_placed_by_those_who_hang_on_it() {
    // Supply is due on `D1` alone: one DT is never most of the feeder's, and the feeder's own last gasp is lost.
    let mut town = town_with_hours(-300, 300);
    town.reads("F", -600, 600, Sign::Drawing)
        .says("F", 14, Signal::Restored)
        .all_out(1, 11, 14);
    let outages = town.evaluate().outages;
    let feeder = outages.values().find(|outage| outage.scope == Scope::Feeder);
    assert_eq!(
        feeder.map(|outage| minutes(outage.evidence.failed.at)).as_deref(),
        Some("11"),
        "{:?}",
        town.outages()
    );
}

#[test]
fn holes_in_profiles_are_borne_out_by_the_dark_blocks_of_others() {
    let mut town = Town::of(2, 8);
    town.everyone_draws_but(0, 75);
    let names = town.names(0);
    let (dark, holes) = names.split_at(3);
    // No last gasp is heard: the communication was lost. Three record what is dark; of five nothing is told but that supply is back.
    for name in dark {
        town.reads(name, 15, 60, Sign::Dead)
            .reads(name, 0, 15, Sign::Drawing);
    }
    for name in holes {
        town.reads(name, 0, 15, Sign::Drawing)
            .says(name, 70, Signal::Restored);
    }
    assert_eq!(town.outages(), ["F.20260401T0430 dt D0 RESTORED 7:30..70 8"]);
}

#[test]
fn a_node_that_fails_again_right_after_it_was_back_is_out_twice() {
    let mut town = Town::of(1, 8);
    town.everyone_draws_but(0, 105)
        .all_out(0, 0, 60)
        .all_out(0, 63, 90);
    assert_eq!(
        town.outages(),
        [
            "F.20260401T0430 dt D0 RESTORED 0..60 8",
            "F.20260401T0530 dt D0 RESTORED 63..90 8"
        ]
    );
}

#[test]
fn a_lost_last_gasp_of_a_dts_own_meter_is_no_outage_of_minutes_while_its_consumers_speak() {
    let mut town = Town::of(2, 6);
    town.everyone_draws_but(0, 0)
        .reads("D0", -600, 600, Sign::Drawing)
        .says("D0", 25, Signal::Restored);
    assert_eq!(town.outages(), NONE);
}

#[test]
fn restorations_of_more_than_one_phase_are_the_dts_when_nobodys_last_gasp_was_heard() {
    let town = |back: usize| {
        let mut town = Town::of(2, 10);
        town.everyone_draws_but(0, 0);
        for consumer in 0..back {
            town.says(&format!("D0C{consumer}"), 12, Signal::Restored);
        }
        town
    };
    // Half of them: a sample of those whose words arrived.
    assert_eq!(town(5).outages(), ["F.20260401T0430 dt D0 RESTORED 6..12 10"]);
    // A third may hang on one phase.
    assert_eq!(town(3).outages().len(), 3);
    // Had the communication been well, the others would have said so too.
    let mut heard = town(5);
    heard.says("D0C0", 10, Signal::Failed);
    assert_eq!(heard.outages().len(), 5);
}

#[test]
fn blocks_that_are_dark_before_and_after_hours_of_supply_say_nothing_of_these() {
    let mut town = town_with_hours(0, 60);
    town.picture.without_supply[0].push(from_to(180, 300));
    for name in town.names(0) {
        town.reads(&name, -600, 0, Sign::Drawing)
            .reads(&name, 0, 60, Sign::Dead)
            .reads(&name, 180, 300, Sign::Dead)
            .reads(&name, 300, 600, Sign::Drawing);
    }
    assert_eq!(town.interruptions(), NONE);
    assert_eq!(town.outages(), NONE);
    for name in town.names(0) {
        town.reads(&name, 75, 90, Sign::Dead);
    }
    assert_eq!(town.interruptions().len(), 4, "{:?}", town.interruptions());
}

#[test]
fn blocks_lost_before_hours_without_supply_that_blocks_tell_of_are_no_interruption() {
    let mut town = town_with_hours(0, 300);
    for name in town.names(0) {
        town.reads(&name, -600, -180, Sign::Drawing)
            .reads(&name, 0, 300, Sign::Dead)
            .reads(&name, 300, 600, Sign::Drawing);
    }
    assert_eq!(town.interruptions(), NONE);
    assert_eq!(town.outages(), NONE);
}

#[test]
fn what_lies_within_the_tolerance_of_the_hours_is_no_interruption() {
    let lines = |from: i64, to: i64| {
        let mut town = town_with_hours(0, 300);
        town.reads("D0C0", 300, 600, Sign::Drawing).out("D0C0", from, to);
        town.interruptions()
    };
    assert_eq!(lines(303, 304), NONE);
    assert_eq!(lines(-3, -1), NONE);
    assert_eq!(lines(303, 310), ["D0C0 303..310 power_event/power_event"]);
}

#[test]
fn the_only_last_gasp_of_a_dt_says_when_it_failed_though_others_are_certain_later() {
    let mut town = Town::of(2, 3);
    town.everyone_draws_but(0, 0).out("D0C0", 3, 19);
    for name in ["D0C1", "D0C2"] {
        town.says(name, 19, Signal::Restored);
    }
    assert_eq!(town.outages(), ["F.20260401T0430 dt D0 RESTORED 3..19 3"]);
}

#[test]
fn a_hole_that_began_while_no_supply_was_due_and_ended_when_it_was_is_no_outage_of_the_dt() {
    // The DT's meter records nothing while it is dark, and its last gasps are lost.
    let mut town = town_with_hours(0, 600);
    town.reads("D0", -600, 0, Sign::Drawing)
        .says("D0", 120, Signal::Restored)
        .says("D0", 602, Signal::Restored)
        .reads("D0", 615, 900, Sign::Drawing);
    assert_eq!(town.outages(), NONE);
}

#[test]
fn blocks_lost_before_the_first_dark_one_of_the_hours_without_supply_are_no_interruption() {
    let mut town = town_with_hours(0, 300);
    for name in town.names(0) {
        town.reads(&name, -600, -90, Sign::Drawing)
            .reads(&name, 120, 300, Sign::Dead)
            .reads(&name, 300, 600, Sign::Drawing);
    }
    assert_eq!(town.interruptions(), NONE);
    assert_eq!(town.outages(), NONE);
}

#[test]
fn a_meter_that_tells_again_when_supply_is_due_has_it_though_nothing_is_drawn() {
    // It records nothing while it is dark, and sends no voltage; its restoration is lost.
    let mut town = town_with_hours(0, 600);
    town.reads("D0C0", -600, 0, Sign::Drawing)
        .says("D0C0", 30, Signal::Failed)
        .reads("D0C0", 600, 630, Sign::Quiet)
        .reads("D0C0", 630, 900, Sign::Drawing);
    assert_eq!(town.interruptions(), NONE);
}

#[test]
fn lost_restorations_are_no_outage_of_the_hours_in_which_no_supply_is_due() {
    // `D0` is out with the feeder until its hours begin; of two of four the restoration is lost, and nothing is recorded while it is dark.
    let mut town = town_with_hours(60, 600);
    town.everyone_draws_but(-30, 615);
    for name in town.names(0) {
        town.says(&name, -20, Signal::Failed);
    }
    for name in town.names(0).iter().take(2) {
        town.says(name, 30, Signal::Restored);
    }
    for name in town.names(1) {
        town.reads(&name, -30, 615, Sign::Drawing);
    }
    // A flicker of the only other DT is its own, and not the feeder's.
    town.all_out(1, 300, 301);
    let outages = town.outages();
    assert!(
        outages
            .iter()
            .any(|line| line.contains(" dt D1 RESTORED 300..301 4")),
        "{outages:?}"
    );
}

#[test]
fn those_whose_restoration_is_lost_do_not_end_a_dts_outage_before_the_others_are_back() {
    // Every block has energy, before or after the outage.
    let mut town = Town::of(2, 9);
    town.everyone_draws_but(0, 0);
    let names = town.names(0);
    for name in &names[..3] {
        town.out(name, 4, 28);
    }
    for name in &names[3..6] {
        town.says(name, 4, Signal::Failed);
    }
    for name in &names[6..] {
        town.says(name, 28, Signal::Restored);
    }
    assert_eq!(town.outages(), ["F.20260401T0430 dt D0 RESTORED 4..28 9"]);
}
