//! What only people know.

use super::*;

fn word(recorded: i64, of: &str, started: i64) -> CrewWord {
    CrewWord {
        recorded_at: minute(recorded),
        node: node(of),
        started_at: minute(started),
        cause: None,
        fault_type: None,
        force_majeure: None,
        etr: None,
    }
}

fn below(lower: &NodeId, upper: &NodeId) -> bool {
    upper.as_str() == "F" && lower.as_str().starts_with('D')
}

fn known(town: &Town, words: &[CrewWord]) -> BTreeMap<OutageId, Known> {
    what_the_crew_says(&town.rules, &town.evaluate().outages, words, below)
}

#[test]
fn the_later_recorded_word_stands_field_by_field_in_any_order() {
    let mut town = Town::of(1, 5);
    town.all_out(0, 2, 60);
    let first = CrewWord {
        cause: Some("tree on line".to_owned()),
        etr: Some(minute(90)),
        ..word(10, "D0", 2)
    };
    let second = CrewWord {
        cause: Some("transformer burnt".to_owned()),
        fault_type: Some("dt_failure".to_owned()),
        force_majeure: Some(true),
        ..word(30, "D0", 2)
    };
    let expected = Known {
        cause: Some("transformer burnt".to_owned()),
        fault_type: Some("dt_failure".to_owned()),
        force_majeure: true,
        etr: Some(minute(90)),
    };
    for words in [[first.clone(), second.clone()], [second, first]] {
        let known = known(&town, &words);
        assert_eq!(known.values().collect::<Vec<_>>(), [&expected]);
    }
}

#[test]
fn a_word_stays_with_what_happened_when_the_id_changes() {
    let mut town = Town::of(1, 5);
    town.all_out(0, 2, 60);
    let words = [CrewWord {
        cause: Some("fuse".to_owned()),
        ..word(10, "D0", 2)
    }];
    let before = known(&town, &words);
    assert_eq!(
        before.keys().map(OutageId::as_str).collect::<Vec<_>>(),
        ["F.20260401T0430"]
    );
    // An earlier begin gives the outage another id.
    town.says("D0C0", -1, Signal::Failed);
    let after = known(&town, &words);
    assert_eq!(
        after.keys().map(OutageId::as_str).collect::<Vec<_>>(),
        ["F.20260401T0415"]
    );
}

#[test]
fn a_word_goes_to_the_outage_at_its_place_and_time_only() {
    let mut town = Town::of(5, 5);
    town.everyone_draws_but(0, 900);
    town.all_out(0, 2, 60).out("D1C0", 2, 60).all_out(0, 300, 360);
    let words = [CrewWord {
        cause: Some("jumper".to_owned()),
        ..word(10, "D0", 2)
    }];
    let found = known(&town, &words);
    assert_eq!(
        found.keys().map(OutageId::as_str).collect::<Vec<_>>(),
        ["F.20260401T0430"]
    );
    assert!(known(&town, &[word(10, "D3", 2)]).is_empty());
    // Said of the feeder, before it was known to be one DT only.
    let found = known(&town, &[word(400, "F", 299)]);
    assert_eq!(
        found.keys().map(OutageId::as_str).collect::<Vec<_>>(),
        ["F.20260401T0930"]
    );
}
