//! A node's own clock that is off by minutes.

use super::*;

#[test]
fn a_dts_clock_that_is_minutes_off_makes_no_second_outage() {
    let mut town = Town::of(2, 6);
    town.everyone_draws_but(0, 75).all_out(0, 2, 60).out("D0", 10, 68);
    assert_eq!(town.outages(), ["F.20260401T0430 dt D0 RESTORED 2..60 6"]);
}

#[test]
fn a_feeders_clock_that_is_minutes_off_makes_no_second_outage_of_a_flicker() {
    let mut town = Town::of(4, 5);
    town.everyone_draws_but(0, 15).out("F", 12, 14);
    for dt in 0..4 {
        town.all_out(dt, 3, 5);
    }
    assert_eq!(town.outages(), ["F.20260401T0430 feeder F RESTORED 3..5 20"]);
    // Of the next its last gasp is lost: its restoration is put right by how far it was off before.
    town.reads("F", -600, 600, Sign::Drawing)
        .says("F", 134, Signal::Restored);
    for dt in 0..4 {
        town.all_out(dt, 123, 125);
    }
    assert_eq!(
        town.outages(),
        [
            "F.20260401T0430 feeder F RESTORED 3..5 20",
            "F.20260401T0630 feeder F RESTORED 123..125 20"
        ]
    );
}

#[test]
fn an_outage_of_another_length_is_another_outage_whatever_the_clock() {
    let mut town = Town::of(2, 6);
    town.everyone_draws_but(0, 75).all_out(0, 2, 20).out("D0", 30, 70);
    for name in town.names(0) {
        // They say nothing of it, and drew nothing.
        town.reads(&name, 30, 75, Sign::Quiet);
    }
    assert_eq!(town.outages().len(), 2, "{:?}", town.outages());
}

#[test]
fn a_consumers_clock_that_is_off_by_more_than_clocks_may_be_is_put_right() {
    let mut town = Town::of(2, 8);
    town.everyone_draws_but(0, 75);
    for name in town.names(0) {
        let ahead = if name == "D0C0" { 12 } else { 0 };
        town.out(&name, ahead, 60 + ahead)
            .out(&name, 300 + ahead, 301 + ahead);
    }
    let lines = town.interruptions();
    let own: Vec<&String> = lines.iter().filter(|line| line.starts_with("D0C0 ")).collect();
    assert_eq!(
        own,
        [
            "D0C0 0..60 power_event/power_event",
            "D0C0 300..301 power_event/power_event"
        ]
    );
    // Within what clocks may be off an interruption is by the consumer's own.
    let mut town = Town::of(2, 8);
    town.everyone_draws_but(0, 75).all_out(0, 0, 60);
    town.evidence.remove(&meter_id("M-D0C0"));
    town.out("D0C0", 3, 63);
    assert!(
        town.interruptions()
            .contains(&"D0C0 3..63 power_event/power_event".to_owned())
    );
}
