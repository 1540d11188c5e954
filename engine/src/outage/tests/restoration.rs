//! When supply will be back, where nobody says.

use super::*;

fn outage(id: &str, scope: Scope, from: i64, to: Option<i64>) -> Outage {
    Outage {
        id: OutageId::from(id.to_owned()),
        node: node("F"),
        scope,
        class: Class::Breakdown,
        status: if to.is_some() {
            Status::Restored
        } else {
            Status::Active
        },
        started_at: minute(from),
        ended_at: to.map(minute),
        consumers_affected: 3,
        consumers_restored: 0,
        evidence: OutageEvidence {
            failed: Moment::exact(minute(from), Source::PowerEvent),
            restored: None,
            is_node_dead: true,
            known_from: BTreeMap::new(),
            steps: Vec::new(),
        },
    }
}

fn of_type(fault_type: &str) -> Known {
    Known {
        fault_type: Some(fault_type.to_owned()),
        ..Known::default()
    }
}

/// Outages of DTs, one after the other a day apart, that lasted so many minutes; those of 100 and more with a burnt transformer.
fn past(lasted: &[i64]) -> Past {
    let mut past = Past::default();
    for (at, lasted) in (0_i64..).zip(lasted) {
        let begin = at * 24 * 60;
        let ended = outage(&format!("O{at}"), Scope::Dt, begin, Some(begin + lasted));
        let known = if *lasted >= 100 {
            of_type("dt_failure")
        } else {
            Known::default()
        };
        past.put(&Rules::default(), &ended, &known);
    }
    past
}

/// Minutes from the begin of an outage at day 30 to its restoration, as of so many minutes after its begin: `90 past_… of 7`.
fn check(past: &Past, rules: &Rules, (known, after): (&Known, i64), expected: &str) {
    let begin = 30 * 24 * 60;
    let on = outage("NOW", Scope::Dt, begin, None);
    let found = past.restoration(rules, (&on, known), None, minute(begin + after));
    let text = found.map_or("nobody can say".to_owned(), |found| {
        let minutes = (found.at.0 - minute(begin).0) / MINUTE;
        format!("{minutes} {} of {}", found.basis, found.outages)
    });
    assert_eq!(text, expected);
}

#[test]
fn the_estimate_is_the_median_and_once_that_has_passed_the_median_of_those_that_lasted_longer() {
    let rules = Rules::default();
    let past = past(&[10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 99]);
    let unknown = Known::default();
    check(&past, &rules, (&unknown, 0), "60 past_outages_of_scope of 11");
    check(&past, &rules, (&unknown, 59), "60 past_outages_of_scope of 11");
    check(&past, &rules, (&unknown, 60), "90 past_outages_of_scope of 5");
    check(&past, &rules, (&unknown, 90), "nobody can say");
    // Of the last three alone, which are not enough for the default.
    let few = Rules {
        past_max: 3,
        past_min: 3,
        ..rules.clone()
    };
    check(&past, &few, (&unknown, 0), "95 past_outages_of_scope of 3");
    check(
        &past,
        &Rules {
            past_max: 4,
            ..rules.clone()
        },
        (&unknown, 0),
        "nobody can say",
    );
    // Ended more than 25 days before: the first five.
    let recent = Rules {
        past_days: 25,
        ..rules
    };
    check(&past, &recent, (&unknown, 0), "80 past_outages_of_scope of 6");
}

#[test]
fn those_of_the_same_fault_type_come_first_where_they_are_enough() {
    let rules = Rules::default();
    let few = past(&[10, 20, 30, 40, 100, 200, 300, 400]);
    check(
        &few,
        &rules,
        (&of_type("dt_failure"), 0),
        "40 past_outages_of_scope of 8",
    );
    let enough = past(&[10, 20, 30, 40, 100, 200, 300, 400, 500]);
    check(
        &enough,
        &rules,
        (&of_type("dt_failure"), 0),
        "300 past_outages_of_scope_and_fault_type of 5",
    );
    check(
        &enough,
        &rules,
        (&of_type("fuse"), 0),
        "100 past_outages_of_scope of 9",
    );
}

#[test]
fn what_is_no_past_of_an_outage_counts_in_nothing() {
    let rules = Rules::default();
    let mut past = past(&[50, 50, 50, 50, 50]);
    let known = Known::default();
    let others = [
        // Of another scope; over in a moment; planned; not over; over only after this one began; begun before and over with it.
        outage("A", Scope::Feeder, 0, Some(500)),
        outage("B", Scope::Dt, 0, Some(3)),
        Outage {
            class: Class::Planned,
            ..outage("C", Scope::Dt, 0, Some(500))
        },
        outage("D", Scope::Dt, 0, None),
        outage("E", Scope::Dt, 0, Some(30 * 24 * 60 + 1)),
        outage("F", Scope::Dt, 0, Some(30 * 24 * 60)),
    ];
    for other in &others {
        past.put(&rules, other, &known);
    }
    check(&past, &rules, (&known, 0), "50 past_outages_of_scope of 5");
    // One of the five turns out to be something else, another to have lasted longer.
    let taken = past.take(&OutageId::from("O3".to_owned()));
    assert_eq!(taken, Some(minute(3 * 24 * 60 + 50)));
    check(&past, &rules, (&known, 0), "nobody can say");
    assert_eq!(
        past.put(&rules, &outage("O3", Scope::Dt, 0, Some(70)), &known),
        Some(minute(70))
    );
    check(&past, &rules, (&known, 60), "nobody can say");
    check(&past, &rules, (&known, 0), "50 past_outages_of_scope of 5");
    assert_eq!(
        past.put(&rules, &outage("O3", Scope::Dt, 0, Some(40)), &known),
        Some(minute(40)),
        "the earlier of what it was and is"
    );
}

#[test]
fn the_crew_stands_before_the_announcement_and_that_before_an_estimate() {
    let rules = Rules::default();
    let past = past(&[50, 50, 50, 50, 50]);
    let said = |outage: &Outage, known: &Known, announced: Option<UtcMicros>| {
        let found = past.restoration(&rules, (outage, known), announced, minute(30 * 24 * 60));
        found.map(|found| (found.at, found.basis.as_str(), found.outages))
    };
    let on = outage("NOW", Scope::Dt, 30 * 24 * 60, None);
    let crew = Known {
        etr: Some(minute(7)),
        ..Known::default()
    };
    let (unknown, end) = (Known::default(), Some(minute(9)));
    assert_eq!(said(&on, &crew, end), Some((minute(7), "crew", 0)));
    assert_eq!(said(&on, &unknown, end), Some((minute(9), "announced", 0)));
    let planned = Outage {
        class: Class::Planned,
        ..on.clone()
    };
    assert_eq!(said(&planned, &unknown, None), None, "no breakdown");
    let scheduled = Outage {
        status: Status::Scheduled,
        ..planned
    };
    assert_eq!(said(&scheduled, &unknown, end), Some((minute(9), "announced", 0)));
    let over = outage("NOW", Scope::Dt, 0, Some(60));
    assert_eq!(said(&over, &unknown, end), None);
    assert_eq!(
        said(&over, &crew, None),
        Some((minute(7), "crew", 0)),
        "what was said stays"
    );
}
