//! OUT-1: prepaid cut-off, disconnection, hours without supply and lost communication are never interruptions.

use super::*;

const NONE: Vec<String> = Vec::new();

#[test]
fn out_1_a_prepaid_cut_off_is_no_interruption() {
    let mut town = Town::of(1, 4);
    // The relay opens; the meter measures behind it, so energy and voltage are gone too.
    town.reads("D0C0", -600, 0, Sign::Drawing)
        .says("D0C0", 3, Signal::CutOff);
    town.reads("D0C0", 15, 300, Sign::Dead)
        .says("D0C0", 305, Signal::Connected);
    town.reads("D0C0", 315, 600, Sign::Drawing);
    assert_eq!(town.interruptions(), NONE);
    assert_eq!(town.outages(), NONE);
}

#[test]
fn out_1_a_disconnection_for_non_payment_is_no_interruption() {
    let mut town = Town::of(1, 4);
    town.reads("D0C0", -600, 0, Sign::Drawing)
        .says("D0C0", 3, Signal::Disconnected);
    town.reads("D0C0", 15, 300, Sign::Dead);
    assert_eq!(town.interruptions(), NONE);
    // Its lost reconnection is seen by the energy that flows again.
    town.reads("D0C0", 315, 600, Sign::Drawing).out("D0C0", 610, 650);
    assert_eq!(town.interruptions(), ["D0C0 610..650 power_event/power_event"]);
}

#[test]
fn out_1_a_cut_off_whose_own_event_is_lost_is_seen_by_the_reconnection() {
    let mut town = Town::of(1, 4);
    town.reads("D0C0", -600, 0, Sign::Drawing)
        .reads("D0C0", 0, 300, Sign::Dead);
    town.says("D0C0", 305, Signal::Connected)
        .reads("D0C0", 315, 600, Sign::Drawing);
    assert_eq!(town.interruptions(), NONE);
}

#[test]
fn a_switch_that_closes_after_an_outage_does_not_hide_it() {
    let mut town = Town::of(1, 4);
    town.reads("D0C0", -600, 0, Sign::Drawing)
        .reads("D0C0", 75, 300, Sign::Drawing);
    town.out("D0C0", 3, 62).says("D0C0", 62, Signal::Connected);
    assert_eq!(town.interruptions(), ["D0C0 3..62 power_event/power_event"]);
}

#[test]
fn out_1_who_is_cut_off_is_not_interrupted_when_the_dt_fails() {
    let mut town = Town::of(1, 6);
    town.everyone_draws_but(0, 75).all_out(0, 20, 60);
    town.says("D0C0", -5, Signal::CutOff)
        .says("D0C0", 70, Signal::Connected);
    let lines = town.interruptions();
    assert!(
        lines.contains(&"D0C0 20..60 prepaid_cut_off power_event/power_event".to_owned()),
        "{lines:?}"
    );
    let evaluation = town.evaluate();
    let outage = evaluation.outages.values().next().unwrap();
    assert_eq!(
        (outage.consumers_affected, evaluation.interruptions.len()),
        (5, 6)
    );
    let excluded = evaluation
        .interruptions
        .iter()
        .find(|one| one.excluded_because.is_some())
        .unwrap();
    assert_eq!(excluded.counted_micros, Some(0));
}

#[test]
fn a_disconnection_in_the_midst_of_an_outage_ends_the_interruption() {
    let mut town = Town::of(1, 6);
    town.all_out(0, 0, 120).says("D0C0", 60, Signal::Disconnected);
    assert!(
        town.interruptions()
            .contains(&"D0C0 0..60 power_event/power_event".to_owned())
    );
}

fn with_hours(town: &mut Town, without: &[Span]) {
    town.picture.without_supply = vec![without.to_vec()];
    for consumer in &mut town.picture.consumers {
        consumer.without_supply = Some(0);
    }
}

#[test]
fn out_1_hours_without_supply_are_no_interruption() {
    let mut town = Town::of(1, 6);
    with_hours(&mut town, &[from_to(0, 300)]);
    // Switched by hand: four minutes early, three minutes late.
    town.all_out(0, -4, 303);
    assert_eq!(town.interruptions(), NONE);
    assert_eq!(town.outages(), NONE);
    // While it lasts, too.
    let mut town = Town::of(1, 6);
    with_hours(&mut town, &[from_to(0, 300)]);
    for name in town.names(0) {
        town.says(&name, 0, Signal::Failed);
    }
    town.through = minute(200);
    assert_eq!(town.interruptions(), NONE);
}

#[test]
fn an_outage_counts_only_in_the_hours_of_supply() {
    let mut town = Town::of(1, 4);
    with_hours(&mut town, &[from_to(60, 120)]);
    town.out("D0C0", 0, 150);
    assert_eq!(town.interruptions(), ["D0C0 0..150 power_event/power_event"]);
    assert_eq!(town.evaluate().interruptions[0].counted_micros, Some(90 * MINUTE));
}

#[test]
fn supply_that_does_not_come_when_it_is_due_is_an_interruption_from_then_on() {
    let mut town = Town::of(1, 4);
    with_hours(&mut town, &[from_to(0, 60)]);
    town.out("D0C0", 0, 100);
    assert_eq!(town.interruptions(), ["D0C0 60..100 power_event/power_event"]);
    let mut town = Town::of(1, 4);
    with_hours(&mut town, &[from_to(0, 60)]);
    town.says("D0C0", 0, Signal::Failed);
    town.through = minute(90);
    assert_eq!(town.interruptions(), ["D0C0 60..open power_event/-"]);
}

#[test]
fn out_1_lost_communication_alone_is_no_interruption() {
    let mut town = Town::of(3, 6);
    // A data concentrator fails: the whole of D0 is silent for ten hours, in the middle of a profile, and forever.
    town.everyone_draws_but(0, 600);
    for dt in 1..3 {
        for name in town.names(dt) {
            town.reads(&name, 0, 600, Sign::Drawing);
        }
    }
    assert_eq!(town.interruptions(), NONE);
}

#[test]
fn out_1_no_consumption_alone_is_no_interruption() {
    let mut town = Town::of(1, 6);
    town.reads("D0C0", -600, 0, Sign::Drawing)
        .reads("D0C0", 0, 600, Sign::Quiet);
    town.reads("D0C1", -600, 0, Sign::Drawing)
        .reads("D0C1", 0, 600, Sign::Powered);
    assert_eq!(town.interruptions(), NONE);
}

/// The meter of `D0C0` is replaced at minute 60; master data knows it from `known` on.
fn replaced(known: i64) -> Town {
    let mut town = Town::of(1, 6);
    let until = minute(known);
    town.consumer("D0C0").meters = vec![
        Stint {
            meter: meter_id("M-D0C0"),
            span: Span::new(UtcMicros(i64::MIN), until),
        },
        Stint {
            meter: meter_id("M-NEW"),
            span: Span::new(until, FOREVER),
        },
    ];
    town.reads("D0C0", -600, 45, Sign::Drawing);
    town.reads("NEW", 105, 600, Sign::Drawing);
    town
}

#[test]
fn out_1_a_meter_replacement_is_no_interruption() {
    // Known to the minute, only by the day before, or only by the day after.
    for known in [60, -600, 14 * 60] {
        let mut town = replaced(known);
        town.says("D0C0", 55, Signal::Failed)
            .says("NEW", 95, Signal::Restored);
        assert_eq!(town.interruptions(), NONE, "known from {known}");
    }
}

#[test]
fn a_new_meter_that_comes_up_was_not_out_since_an_outage_of_the_day_before() {
    let mut town = Town::of(1, 6);
    for consumer in 1..6 {
        town.out(&format!("D0C{consumer}"), -600, -540);
    }
    town.says("D0C0", 0, Signal::Restored);
    // It was out with its DT then, by the word of the others, and not until it came up.
    let lines = town.interruptions();
    assert!(
        lines.contains(&"D0C0 -600..-540 neighbours/neighbours".to_owned()),
        "{lines:?}"
    );
    assert_eq!(lines.len(), 6);
}

#[test]
fn a_meter_that_is_replaced_while_its_dt_is_dead_was_interrupted() {
    let mut town = replaced(60);
    town.all_out(0, 20, 90);
    town.evidence.remove(&meter_id("M-D0C0"));
    town.reads("D0C0", -600, 0, Sign::Drawing)
        .says("D0C0", 20, Signal::Failed);
    let lines = town.interruptions();
    assert!(
        lines.iter().any(|line| line.starts_with("D0C0 20..")),
        "{lines:?}"
    );
}

#[test]
fn a_long_outage_before_a_replacement_stays_one() {
    let mut town = replaced(3 * 24 * 60);
    town.says("D0C0", 50, Signal::Failed);
    let lines = town.interruptions();
    assert_eq!(
        lines,
        [format!("D0C0 50..{} power_event/meter_change", 3 * 24 * 60)]
    );
}

#[test]
fn hours_of_supply_follow_the_week_and_midnight() {
    use gridtally_schemas::Zone;
    use hours::{Hours, Weekdays, without_supply};
    let zone = Zone::kolkata();
    let at = |text: &str| UtcMicros::parse(text).unwrap();
    let row = |weekdays: &str, from_minute: u16, to_minute: u16| Hours {
        weekdays: Weekdays::parse(weekdays).unwrap(),
        from_minute,
        to_minute,
        valid: Span::ALWAYS,
    };
    // 2026-04-01 is a Wednesday. Supply 06:00 to 12:00 by day, on Wednesdays also 22:00 to 04:00.
    let rows = [row("all", 360, 720), row("wed", 1320, 240)];
    let within = Span::new(at("2026-04-01T00:00:00+05:30"), at("2026-04-03T00:00:00+05:30"));
    let found: Vec<String> = without_supply(&rows, within, &zone)
        .into_iter()
        .map(|span| format!("{}..{}", span.from.to_rfc3339(&zone), span.to.to_rfc3339(&zone)))
        .collect();
    assert_eq!(
        found,
        [
            "2026-04-01T00:00:00+05:30..2026-04-01T06:00:00+05:30",
            "2026-04-01T12:00:00+05:30..2026-04-01T22:00:00+05:30",
            "2026-04-02T04:00:00+05:30..2026-04-02T06:00:00+05:30",
            "2026-04-02T12:00:00+05:30..2026-04-03T00:00:00+05:30",
        ]
    );
    // Before the row holds supply is always due.
    let late = Hours {
        valid: Span::new(at("2026-04-02T00:00:00+05:30"), FOREVER),
        ..row("all", 360, 720)
    };
    let found = without_supply(&[late], within, &zone);
    assert_eq!(found[0].from, at("2026-04-02T00:00:00+05:30"));
    assert_eq!(found.len(), 2);
    assert!(without_supply(&[], within, &zone).is_empty());
    assert!(Weekdays::parse("mon-fry").is_err());
    assert_eq!(
        Weekdays::parse("sat-mon").unwrap(),
        Weekdays::parse("sun;mon;sat").unwrap()
    );
}
