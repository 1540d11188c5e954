//! Which outage it is: scope, class, status, steps.

use super::*;
use crate::reliability::{Counted, FeederOperation};

#[test]
fn one_consumer_is_a_service_line_even_at_the_side_of_another() {
    let mut town = Town::of(2, 6);
    town.out("D0C0", 2, 40).out("D0C1", 20, 40);
    assert_eq!(
        town.outages(),
        [
            "F.20260401T0430 service_line D0 RESTORED 2..40 1",
            "F.20260401T0445 service_line D0 RESTORED 20..40 1"
        ]
    );
}

#[test]
fn most_consumers_of_a_dt_together_are_a_dt_outage_and_half_are_not() {
    let mut town = Town::of(2, 6);
    town.everyone_draws_but(0, 75);
    for consumer in 0..4 {
        town.out(&format!("D0C{consumer}"), 2, 60);
    }
    // Two say nothing: out with their DT.
    assert_eq!(town.outages(), ["F.20260401T0430 dt D0 RESTORED 2..60 6"]);
    let mut town = Town::of(2, 6);
    town.everyone_draws_but(0, 75);
    for consumer in 0..3 {
        town.out(&format!("D0C{consumer}"), 2, 60);
    }
    assert_eq!(town.outages().len(), 3);
}

#[test]
fn who_cannot_be_heard_is_not_asked() {
    let mut town = Town::of(2, 6);
    // Four of six have said nothing for days: a communication outage of their own.
    for consumer in 2..6 {
        town.reads(&format!("D0C{consumer}"), -7_200, -4_500, Sign::Drawing);
    }
    for consumer in 0..2 {
        town.reads(&format!("D0C{consumer}"), -600, 0, Sign::Drawing);
        town.out(&format!("D0C{consumer}"), 2, 60);
    }
    assert_eq!(town.outages(), ["F.20260401T0430 dt D0 RESTORED 2..60 6"]);
    // Had they never spoken, nobody could say that these two are most.
    for consumer in 2..6 {
        town.evidence.remove(&meter_id(&format!("M-D0C{consumer}")));
    }
    assert_eq!(town.outages().len(), 2);
}

#[test]
fn most_dts_of_a_feeder_together_are_a_feeder_outage() {
    let mut town = Town::of(4, 5);
    town.everyone_draws_but(0, 75);
    for dt in 0..3 {
        town.all_out(dt, 2, 60);
    }
    assert_eq!(town.outages(), ["F.20260401T0430 feeder F RESTORED 2..60 20"]);
    let mut town = Town::of(4, 5);
    town.everyone_draws_but(0, 75);
    for dt in 0..2 {
        town.all_out(dt, 2, 60);
    }
    assert_eq!(
        town.outages(),
        [
            "F.20260401T0430 dt D0 RESTORED 2..60 5",
            "F.20260401T0430.D1 dt D1 RESTORED 2..60 5"
        ]
    );
}

#[test]
fn the_feeders_own_meter_makes_it_a_feeder_outage() {
    let mut town = Town::of(4, 5);
    town.everyone_draws_but(0, 75);
    town.out("F", 2, 60).all_out(0, 2, 60);
    assert_eq!(town.outages(), ["F.20260401T0430 feeder F RESTORED 2..60 20"]);
}

#[test]
fn clocks_that_differ_do_not_part_an_outage() {
    let mut town = Town::of(1, 8);
    town.everyone_draws_but(-15, 75);
    for (consumer, drift) in [-3, -2, -1, 0, 0, 1, 2, 3].into_iter().enumerate() {
        // As short as the clocks differ.
        town.out(&format!("D0C{consumer}"), 5 + drift, 6 + drift);
    }
    assert_eq!(town.outages(), ["F.20260401T0430 dt D0 RESTORED 2..9 8"]);
}

#[test]
fn a_dt_that_was_out_before_its_feeder_stays_an_outage_of_its_own() {
    let mut town = Town::of(4, 5);
    town.everyone_draws_but(0, 300);
    town.all_out(0, 2, 240);
    for dt in 1..4 {
        town.all_out(dt, 62, 120);
    }
    assert_eq!(
        town.outages(),
        [
            "F.20260401T0430 dt D0 RESTORED 2..240 5",
            "F.20260401T0530 feeder F RESTORED 62..120 15"
        ]
    );
}

#[test]
fn restoration_in_parts_is_told_step_by_step() {
    let mut town = Town::of(4, 5);
    for dt in 0..4 {
        for name in town.names(dt) {
            town.says(&name, 0, Signal::Failed);
        }
    }
    assert_eq!(town.outages(), ["F.20260401T0430 feeder F ACTIVE 0..open 20"]);
    for dt in 0..2 {
        for name in town.names(dt) {
            town.says(&name, 60, Signal::Restored);
        }
    }
    assert_eq!(
        town.outages(),
        ["F.20260401T0430 feeder F PARTIALLY_RESTORED 0..open 20"]
    );
    for dt in 2..4 {
        for name in town.names(dt) {
            town.says(&name, 90, Signal::Restored);
        }
    }
    assert_eq!(town.outages(), ["F.20260401T0430 feeder F RESTORED 0..90 20"]);
    let evaluation = town.evaluate();
    let outage = evaluation.outages.values().next().unwrap();
    let steps: Vec<(UtcMicros, usize)> = outage
        .evidence
        .steps
        .iter()
        .map(|step| (step.at, step.consumers))
        .collect();
    assert_eq!(steps, [(minute(60), 10), (minute(90), 10)]);
    assert_eq!(
        outage.evidence.known_from,
        BTreeMap::from([(Source::PowerEvent, 20)])
    );
}

#[test]
fn a_dt_that_comes_back_after_its_feeder_keeps_its_silent_out_as_long() {
    let mut town = Town::of(3, 5);
    town.everyone_draws_but(0, 300);
    town.all_out(0, 0, 60).all_out(1, 0, 60);
    for name in ["D2C0", "D2C1", "D2C2"] {
        town.out(name, 0, 240);
    }
    let lines = town.interruptions();
    assert!(
        lines.contains(&"D2C4 0..240 neighbours/neighbours".to_owned()),
        "{lines:?}"
    );
    assert_eq!(town.outages(), ["F.20260401T0430 feeder F RESTORED 0..240 15"]);
}

/// What the feeder itself did, in minutes, as the returns count it.
fn operations(town: &Town) -> Vec<i64> {
    let evaluation = town.evaluate();
    let operations = evaluation.outages.values().filter_map(FeederOperation::of);
    operations.map(|operation| operation.micros / MINUTE).collect()
}

#[test]
fn the_feeder_based_method_sees_the_feeders_own_time_and_nothing_below() {
    let mut town = Town::of(3, 5);
    town.everyone_draws_but(0, 300);
    town.all_out(0, 0, 60).all_out(1, 0, 60).all_out(2, 0, 240);
    assert_eq!(operations(&town), [60]);
    // A DT, and a planned outage of the feeder in which only a DT was out.
    let mut town = Town::of(3, 5);
    town.everyone_draws_but(0, 300).all_out(0, 0, 60);
    assert_eq!(operations(&town), Vec::<i64>::new());
    plan(&mut town, "F", from_to(0, 120), Class::Planned);
    assert_eq!(
        town.outages(),
        ["F.20260401T043000.planned feeder F RESTORED 0..60 5"]
    );
    assert_eq!(operations(&town), Vec::<i64>::new());
    town.all_out(1, 0, 90).all_out(2, 0, 90);
    assert_eq!(operations(&town), [90]);
    // Not before it is over.
    let mut open = Town::of(3, 5);
    for dt in 0..3 {
        for name in open.names(dt) {
            open.says(&name, 0, Signal::Failed);
        }
    }
    assert_eq!(operations(&open), Vec::<i64>::new());
}

#[test]
fn only_what_counts_and_is_over_is_counted() {
    let mut town = Town::of(1, 6);
    town.everyone_draws_but(0, 75).all_out(0, 20, 60);
    town.says("D0C0", -5, Signal::CutOff)
        .says("D0C0", 70, Signal::Connected);
    // After the last read of the day, so that nothing closes it.
    town.says("D0C1", 1_500, Signal::Failed);
    let evaluation = town.evaluate();
    let counted: Vec<Counted> = evaluation.interruptions.iter().filter_map(Counted::of).collect();
    let one = Counted {
        started_at: minute(20),
        counted_micros: 40 * MINUTE,
    };
    assert_eq!((evaluation.interruptions.len(), counted), (7, vec![one; 5]));
}

fn plan(town: &mut Town, of: &str, span: Span, class: Class) {
    town.picture.planned.push(Planned {
        node: node(of),
        span,
        class,
    });
}

#[test]
fn what_begins_in_a_planned_time_is_that_planned_outage() {
    let mut town = Town::of(2, 5);
    plan(&mut town, "D0", from_to(0, 120), Class::Planned);
    // A little early, overrun, and a consumer of another DT meanwhile.
    town.all_out(0, -3, 150).out("D1C0", 10, 30);
    assert_eq!(
        town.outages(),
        [
            "D0.20260401T043000.planned dt D0 RESTORED -3..150 5",
            "F.20260401T0430 service_line D1 RESTORED 10..30 1"
        ]
    );
    assert!(
        town.evaluate()
            .interruptions
            .iter()
            .filter(|one| one.class == Class::Planned)
            .count()
            == 5
    );
}

#[test]
fn rostering_over_a_node_above_is_the_rosters_class() {
    let mut town = Town::of(3, 5);
    plan(&mut town, "S", from_to(0, 120), Class::ScheduledRostering);
    for dt in 0..3 {
        town.all_out(dt, 1, 119);
    }
    assert_eq!(
        town.outages(),
        ["S.20260401T043000.planned substation S RESTORED 1..119 15"]
    );
    assert_eq!(town.evaluate().interruptions[0].class, Class::ScheduledRostering);
}

#[test]
fn a_planned_outage_is_scheduled_until_it_begins_and_cancelled_if_it_never_does() {
    let mut town = Town::of(1, 5);
    plan(&mut town, "F", from_to(0, 120), Class::Planned);
    town.through = minute(-600);
    assert_eq!(
        town.outages(),
        ["F.20260401T043000.planned feeder F SCHEDULED 0..open 0"]
    );
    town.through = minute(120);
    assert_eq!(
        town.outages(),
        ["F.20260401T043000.planned feeder F CANCELLED 0..open 0"]
    );
}

#[test]
fn a_consumer_at_the_feeder_itself_is_out_with_the_feeder() {
    let mut town = Town::of(3, 5);
    town.everyone_draws_but(0, 300);
    let mut ht = town.picture.consumers[0].clone();
    ht.consumer = ConsumerId::parse("HT").unwrap();
    ht.hangs[0].dt = None;
    ht.meters.clear();
    town.picture.consumers.push(ht);
    for dt in 0..3 {
        town.all_out(dt, 0, 60);
    }
    assert!(
        town.interruptions()
            .contains(&"HT 0..60 neighbours/neighbours".to_owned())
    );
    assert_eq!(town.outages(), ["F.20260401T0430 feeder F RESTORED 0..60 16"]);
}

/// Two feeders of a substation, each with its outage.
fn joined(first: &Evaluation, second: &Evaluation, feeders: usize) -> Vec<String> {
    let (f, g, s) = (node("F"), node("G"), node("S"));
    let results = [
        FeederResult {
            feeder: &f,
            evaluation: first,
        },
        FeederResult {
            feeder: &g,
            evaluation: second,
        },
    ];
    let one = join(&Rules::default(), (&s, feeders), &results);
    let turned = join(&Rules::default(), (&s, feeders), &[results[1], results[0]]);
    assert_eq!(one, turned);
    for interruption in &one.interruptions {
        assert!(one.outages.contains_key(&interruption.outage));
    }
    one.outages.values().map(told).collect()
}

fn other_feeder(town: &Town) -> Town {
    let mut other = town.clone();
    other.picture.feeder = node("G");
    for consumer in &mut other.picture.consumers {
        consumer.consumer = ConsumerId::parse(&format!("G{}", consumer.consumer)).unwrap();
    }
    other
}

#[test]
fn most_feeders_of_a_substation_together_are_one_outage() {
    let mut town = Town::of(3, 4);
    for dt in 0..3 {
        town.all_out(dt, 1, 60);
    }
    let other = other_feeder(&town);
    let (first, second) = (town.evaluate(), other.evaluate());
    assert_eq!(
        joined(&first, &second, 3),
        ["F.20260401T0430 substation S RESTORED 1..60 24"]
    );
    // Two of four are not most.
    assert_eq!(joined(&first, &second, 4).len(), 2);
}

#[test]
fn a_planned_outage_over_two_feeders_is_one_outage() {
    let mut town = Town::of(3, 4);
    plan(&mut town, "S", from_to(0, 120), Class::Planned);
    let mut other = other_feeder(&town);
    town.all_out(0, 1, 60).all_out(1, 1, 60);
    assert_eq!(
        joined(&town.evaluate(), &other.evaluate(), 9),
        ["S.20260401T043000.planned substation S RESTORED 1..60 12"]
    );
    other.out("D0C0", 5, 80);
    let found = joined(&town.evaluate(), &other.evaluate(), 9);
    assert_eq!(
        found,
        ["S.20260401T043000.planned substation S RESTORED 1..80 13"]
    );
}
