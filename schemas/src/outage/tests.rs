use super::*;

#[test]
fn weekdays_and_times_of_day_are_read_and_written_alike() {
    for (text, written) in [
        ("all", "all"),
        ("mon-sun", "all"),
        ("Mon-Wed", "mon;tue;wed"),
        ("sat;sun", "sat;sun"),
        ("fri-mon", "mon;fri;sat;sun"),
    ] {
        let days: Weekdays = text.parse().unwrap();
        assert_eq!(days.to_string(), written);
        assert_eq!(written.parse::<Weekdays>().unwrap(), days);
    }
    for bad in ["", "monday", "mon-", "mon,tue"] {
        assert!(bad.parse::<Weekdays>().is_err(), "{bad}");
    }
    for text in ["00:00", "05:30", "23:59", "24:00"] {
        assert_eq!(text.parse::<MinuteOfDay>().unwrap().to_string(), text);
    }
    for bad in ["", "5:30", "24:01", "12:60", "-1:00", "12:00:00"] {
        assert!(bad.parse::<MinuteOfDay>().is_err(), "{bad}");
    }
}

fn cause() -> Cause {
    Cause {
        outage_id: "F1.20260401T0430".to_owned(),
        node_id: NodeId::parse("F1").unwrap(),
        started_at: UtcMicros(1_774_981_800_000_000),
        person: "A. Rao".to_owned(),
        cause: Some("tree on the line".to_owned()),
        fault_type: None,
        force_majeure: None,
        etr: None,
    }
}

#[test]
fn a_cause_names_a_person_and_says_something_that_can_be() {
    assert_eq!(cause().check(), Ok(()));
    let check = |change: fn(&mut Cause)| {
        let mut cause = cause();
        change(&mut cause);
        cause.check().map_err(|error| error.to_string())
    };
    let refused = |error: &str| Err(error.to_owned());
    assert_eq!(
        check(|cause| cause.person = " ".to_owned()),
        refused("`person` is empty: a cause names who says it")
    );
    assert_eq!(
        check(|cause| cause.cause = None),
        refused("none of `cause`, `fault_type`, `force_majeure` and `etr` is said")
    );
    assert_eq!(
        check(|cause| cause.fault_type = Some("a\nb".to_owned())),
        refused("`fault_type` is 1 to 500 bytes without control characters")
    );
    assert_eq!(
        check(|cause| cause.cause = Some("x".repeat(501))),
        refused("`cause` is 1 to 500 bytes without control characters")
    );
    assert_eq!(
        check(|cause| cause.etr = Some(cause.started_at)),
        refused(
            "`etr` 2026-03-31T18:30:00+00:00 is not after the begin of the outage, 2026-03-31T18:30:00+00:00"
        )
    );
    assert_eq!(check(|cause| cause.etr = Some(cause.started_at.plus(1))), Ok(()));
}

#[test]
fn rows_are_the_same_after_a_record() {
    let hours = SupplyHoursRow {
        node_id: None,
        category: Some("AG".to_owned()),
        weekdays: Weekdays::parse("mon-sat").unwrap(),
        from: "06:00".parse().unwrap(),
        to: "14:30".parse().unwrap(),
        valid_from: UtcMicros(1_774_981_800_000_000),
        valid_to: None,
    };
    let rows = PlanRows::SupplyHours(vec![hours]);
    let text = serde_json::to_string(&rows).unwrap();
    assert_eq!(serde_json::from_str::<PlanRows>(&text).unwrap(), rows);
}
