//! One id from the first evidence on; what becomes of it when evidence comes late.

use super::*;

fn standing(town: &Town) -> Joined {
    let evaluation = town.evaluate();
    Joined {
        interruptions: evaluation.interruptions,
        outages: evaluation.outages,
    }
}

/// `id: reason` of each change.
fn changed(before: &Joined, now: &Joined) -> Vec<String> {
    let changes = changes(before, now);
    changes
        .iter()
        .map(|change| format!("{}: {}", change.outage.id, change.reason))
        .collect()
}

const FIRST: &str = "F.20260401T0430";

#[test]
fn an_outage_keeps_its_id_from_one_consumer_to_the_whole_feeder() {
    // Whoever is heard first: any DT, any consumer.
    for (dt, consumer) in [(0, 0), (3, 2), (1, 4)] {
        let mut town = Town::of(4, 5);
        town.everyone_draws_but(0, 900);
        let mut told = vec![standing(&town)];
        town.says(&format!("D{dt}C{consumer}"), 3, Signal::Failed);
        told.push(standing(&town));
        for name in town.names(dt) {
            town.says(&name, 3, Signal::Failed);
        }
        told.push(standing(&town));
        for dt in 0..4 {
            for name in town.names(dt) {
                town.says(&name, 2, Signal::Failed);
            }
        }
        told.push(standing(&town));
        for (ix, scope) in [Scope::ServiceLine, Scope::Dt, Scope::Feeder]
            .into_iter()
            .enumerate()
        {
            let outages: Vec<(&str, Scope)> = told[ix + 1]
                .outages
                .values()
                .map(|outage| (outage.id.as_str(), outage.scope))
                .collect();
            assert_eq!(outages, [(FIRST, scope)]);
        }
        assert_eq!(changed(&told[0], &told[1]), [format!("{FIRST}: first evidence")]);
        assert_eq!(changed(&told[1], &told[2]), [format!("{FIRST}: more is out")]);
        assert_eq!(changed(&told[2], &told[3]), [format!("{FIRST}: more is out")]);
        assert_eq!(changed(&told[3], &told[3]), Vec::<String>::new());
    }
}

#[test]
fn parts_that_turn_out_to_be_one_outage_go_on_as_that_one() {
    let mut town = Town::of(1, 6);
    town.says("D0C4", 3, Signal::Failed)
        .says("D0C2", 4, Signal::Failed)
        .says("D0C3", 5, Signal::Failed);
    let before = standing(&town);
    assert_eq!(before.outages.len(), 3);
    assert!(
        before.outages.keys().all(|id| !id.as_str().contains("D0C")),
        "no consumer in a public id"
    );
    town.says("D0C0", 3, Signal::Failed)
        .says("D0C1", 3, Signal::Failed);
    let now = standing(&town);
    let changes = changes(&before, &now);
    assert_eq!(changes.len(), 3);
    assert_eq!(
        (changes[0].outage.id.as_str(), &changes[0].reason),
        (FIRST, &Reason::Grew)
    );
    for change in &changes[1..] {
        assert_eq!(change.outage.status, Status::Cancelled);
        assert_eq!(
            change.reason,
            Reason::ContinuedAs(OutageId::from(FIRST.to_owned()))
        );
    }
}

#[test]
fn earlier_evidence_that_comes_late_leaves_the_id_within_its_quarter_hour() {
    let mut town = Town::of(1, 6);
    for consumer in 0..4 {
        town.out(&format!("D0C{consumer}"), 5, 60);
    }
    let before = standing(&town);
    town.out("D0C4", 1, 60);
    assert_eq!(
        changed(&before, &standing(&town)),
        [format!("{FIRST}: restated by later evidence")]
    );
}

#[test]
fn earlier_evidence_from_the_quarter_hour_before_gives_the_outage_its_new_name_and_a_way_from_the_old() {
    let mut town = Town::of(1, 6);
    for consumer in 0..4 {
        town.out(&format!("D0C{consumer}"), 1, 60);
    }
    let before = standing(&town);
    town.out("D0C4", -1, 60);
    let now = standing(&town);
    assert_eq!(
        changed(&before, &now),
        [
            "F.20260401T0415: first evidence",
            "F.20260401T0430: continued as F.20260401T0415"
        ]
    );
    // Had it come first, the same outage would stand under the same id.
    let mut town = Town::of(1, 6);
    town.out("D0C4", -1, 60);
    for consumer in 0..4 {
        town.out(&format!("D0C{consumer}"), 1, 60);
    }
    assert_eq!(standing(&town), now);
}

#[test]
fn two_outages_of_one_quarter_hour_say_where_they_are() {
    let mut town = Town::of(5, 5);
    town.everyone_draws_but(0, 900);
    town.out("D4C0", 1, 30).all_out(1, 2, 60).all_out(3, 3, 60);
    let ids: Vec<String> = standing(&town).outages.keys().map(ToString::to_string).collect();
    assert_eq!(ids[..2], [FIRST.to_owned(), format!("{FIRST}.D3")]);
    assert!(ids[2].starts_with(&format!("{FIRST}.D4.")), "{ids:?}");
}

#[test]
fn the_same_place_twice_in_a_quarter_hour_adds_the_time() {
    let mut town = Town::of(1, 5);
    town.out("D0C0", 0, 2).out("D0C0", 4, 5).out("D0C0", 8, 9);
    let ids: Vec<String> = standing(&town).outages.keys().map(ToString::to_string).collect();
    assert_eq!(ids.len(), 3, "{ids:?}");
    assert_eq!(ids[0], FIRST);
    assert!(ids[1].starts_with(&format!("{FIRST}.D0.")), "{ids:?}");
    assert!(ids[2].ends_with(".20260401T043800"), "{ids:?}");
}

#[test]
fn evidence_that_turns_out_to_be_something_else_cancels_the_outage() {
    let mut town = Town::of(1, 6);
    town.reads("D0C0", -600, 0, Sign::Drawing)
        .reads("D0C0", 0, 60, Sign::Dead);
    let before = standing(&town);
    assert_eq!(before.outages.len(), 1);
    // It was the relay.
    town.says("D0C0", -2, Signal::CutOff);
    let now = standing(&town);
    assert_eq!(
        changed(&before, &now),
        ["F.20260401T0415: evidence turned out to be something else"]
    );
    assert_eq!(changes(&before, &now)[0].outage.status, Status::Cancelled);
}

#[test]
fn an_outage_that_proves_smaller_shrinks_and_what_is_apart_splits_off() {
    let mut town = Town::of(5, 4);
    for dt in 2..5 {
        for name in town.names(dt) {
            town.reads(&name, -9_000, -6_000, Sign::Drawing);
        }
    }
    // Of two DTs that can be heard both are dead: the feeder.
    town.all_out(0, 2, 60).all_out(1, 2, 60);
    let before = standing(&town);
    assert_eq!(
        before.outages[&OutageId::from(FIRST.to_owned())].consumers_affected,
        20
    );
    // Then the others are heard, with supply all the time.
    for dt in 2..5 {
        for name in town.names(dt) {
            town.reads(&name, -600, 600, Sign::Drawing);
        }
    }
    let now = standing(&town);
    assert_eq!(
        changed(&before, &now),
        [
            format!("{FIRST}: less is out than was thought"),
            format!("{FIRST}.D1: split from {FIRST}")
        ]
    );
    // The outage of D0 has the name now, and only its consumers.
    assert_eq!(
        now.outages[&OutageId::from(FIRST.to_owned())].consumers_affected,
        4
    );
}

#[test]
fn restoration_in_part_whole_and_not_after_all_are_told() {
    let mut town = Town::of(1, 6);
    for name in town.names(0) {
        town.says(&name, 0, Signal::Failed);
    }
    let out = standing(&town);
    town.says("D0C0", 60, Signal::Restored);
    let part = standing(&town);
    assert_eq!(changed(&out, &part), [format!("{FIRST}: restored in part")]);
    for name in town.names(0) {
        town.says(&name, 60, Signal::Restored);
    }
    let whole = standing(&town);
    assert_eq!(changed(&part, &whole), [format!("{FIRST}: restored")]);
    // A restoration that was somebody else's, taken back.
    assert_eq!(changed(&whole, &part), [format!("{FIRST}: not over after all")]);
}
