use super::*;

fn edits() -> Edits {
    Edits {
        person: "A. Kulkarni".to_owned(),
        reason: "CT burnt, estimated from the check meter".to_owned(),
        edits: vec![Edit {
            meter_id: MeterId::parse("C1").unwrap(),
            interval_end: UtcMicros::parse("2026-04-01T00:15:00+05:30").unwrap(),
            import_wh: 450,
            export_wh: None,
        }],
    }
}

fn check(change: impl FnOnce(&mut Edits), expected: &str) {
    let mut edits = edits();
    change(&mut edits);
    assert_eq!(edits.check().unwrap_err().to_string(), expected);
}

#[test]
fn an_edit_with_person_and_reason_stands() {
    assert_eq!(edits().check(), Ok(()));
}

#[test]
fn what_is_wrong_with_an_edit_is_named() {
    check(
        |edits| edits.person = " ".to_owned(),
        "`person` is empty: an edit names a person and a reason",
    );
    check(
        |edits| edits.reason = String::new(),
        "`reason` is empty: an edit names a person and a reason",
    );
    check(
        |edits| edits.reason = "two\nlines".to_owned(),
        "`reason` is at most 500 bytes without control characters",
    );
    check(|edits| edits.edits.clear(), "0 edits: 1 to 10000 at a time");
    check(
        |edits| edits.edits[0].interval_end.0 += 1,
        "edit 1 (meter C1): `interval_end` 2026-03-31T18:45:00.000001+00:00 is not the end of a quarter hour",
    );
    check(
        |edits| edits.edits[0].import_wh = -1,
        "edit 1 (meter C1): -1 Wh is not between 0 and 1000000000",
    );
    check(
        |edits| edits.edits[0].export_wh = Some(INTERVAL_WH_MAX + 1),
        "edit 1 (meter C1): 1000000001 Wh is not between 0 and 1000000000",
    );
}
