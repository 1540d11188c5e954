//! The evidence of one meter: a set in canonical form.

use super::*;

const QUARTER: IntervalMinutes = IntervalMinutes::Fifteen;

fn runs(evidence: &MeterEvidence) -> Vec<String> {
    let run = |run: &Run| {
        format!(
            "{}..{} {:?}",
            minutes(run.span.from),
            minutes(run.span.to),
            run.sign
        )
    };
    evidence.runs().iter().map(run).collect()
}

#[test]
fn reads_prove_supply_by_energy_then_by_voltage() {
    let check = |import, export, voltage, expected| {
        assert_eq!(
            Sign::of(import, export, voltage, 50.0),
            expected,
            "{import:?} {export:?} {voltage:?}"
        );
    };
    check(Some(12), None, Some(231.0), Some(Sign::Drawing));
    check(Some(12), None, Some(3.0), Some(Sign::Drawing));
    check(Some(0), Some(7), None, Some(Sign::Drawing));
    check(Some(0), None, Some(231.0), Some(Sign::Powered));
    check(None, None, Some(231.0), Some(Sign::Powered));
    check(Some(0), None, Some(3.0), Some(Sign::Dead));
    check(Some(0), None, Some(f32::NAN), Some(Sign::Quiet));
    check(Some(0), None, None, Some(Sign::Quiet));
    check(None, None, None, None);
}

#[test]
fn codes_mean_what_the_map_says() {
    let default = EventMap::default();
    assert_eq!(default.signal(101), Some(Signal::Failed));
    assert_eq!(default.signal(102), Some(Signal::Restored));
    assert_eq!(default.signal(301), Some(Signal::Disconnected));
    assert_eq!(default.signal(302), Some(Signal::Connected));
    assert_eq!(default.signal(304), Some(Signal::CutOff));
    assert_eq!(default.signal(251), None);
    assert_eq!(default.meaning(251), Some("meter cover opened"));
    assert_eq!((default.meaning(9_101), default.codes().count()), (None, 50));
    let vendor = [
        (9_101, "power failure"),
        (102, "none"),
        (9_102, "power restoration"),
    ];
    let other = default.with(vendor).unwrap();
    assert_eq!(
        [9_101, 101, 9_102, 102].map(|code| other.signal(code)),
        [
            Some(Signal::Failed),
            Some(Signal::Failed),
            Some(Signal::Restored),
            None
        ]
    );
    assert_eq!(
        (other.meaning(9_102), other.meaning(102)),
        (Some("power restoration"), None)
    );
}

#[test]
fn a_map_that_contradicts_itself_is_refused_with_the_code_the_value_and_why() {
    let check = |codes: &[(i32, &str)], expected: &str| {
        let error = EventMap::default()
            .with(codes.iter().copied())
            .unwrap_err()
            .to_string();
        assert!(error.starts_with(expected), "{error}");
    };
    check(
        &[(9, "power failure"), (9, "low voltage")],
        "code 9 stands twice, and would mean both `power failure` and `low voltage`",
    );
    check(
        &[(9_101, "power failur")],
        "code 9101 means `power failur`, which is no meaning that gridtally knows; these are: none, power failure, power restoration,",
    );
    check(
        &[(101, "none")],
        "code 102 means `power restoration`, but no code means `power failure`: what never begins cannot end",
    );
    check(
        &[(301, "none"), (304, "none")],
        "code 302 means `load switch connected`, but no code means `load switch disconnected` or `relay off on low credit`",
    );
    assert!(
        EventMap::default().with([(301, "none")]).is_ok(),
        "a cut-off is ended by it too"
    );
    assert_eq!(EventMap::empty().with([]).unwrap().codes().count(), 0);
}

#[test]
fn consecutive_blocks_of_one_sign_are_one_run() {
    let mut evidence = MeterEvidence::default();
    for end in [30, 15, 60, 45] {
        assert!(evidence.set(minute(end), QUARTER, Some(Sign::Drawing)));
    }
    assert_eq!(runs(&evidence), ["0..60 Drawing"]);
    assert!(
        !evidence.set(minute(30), QUARTER, Some(Sign::Drawing)),
        "nothing new"
    );
    assert!(
        evidence.set(minute(30), QUARTER, Some(Sign::Dead)),
        "a correction"
    );
    assert_eq!(
        runs(&evidence),
        ["0..15 Drawing", "15..30 Dead", "30..60 Drawing"]
    );
    assert!(evidence.set(minute(30), QUARTER, None), "taken back");
    assert_eq!(runs(&evidence), ["0..15 Drawing", "30..60 Drawing"]);
    assert!(!evidence.set(minute(30), QUARTER, None));
    assert!(evidence.set(minute(30), QUARTER, Some(Sign::Drawing)));
    assert_eq!(runs(&evidence), ["0..60 Drawing"]);
}

#[test]
fn an_event_is_known_once() {
    let mut evidence = MeterEvidence::default();
    assert!(evidence.add(minute(5), Signal::Failed));
    assert!(evidence.add(minute(3), Signal::Restored));
    assert!(!evidence.add(minute(5), Signal::Failed));
    assert_eq!(
        evidence.signals(),
        [(minute(3), Signal::Restored), (minute(5), Signal::Failed)]
    );
}

#[test]
fn only_whole_blocks_count_within_a_span() {
    let mut town = Town::of(1, 1);
    town.reads("D0C0", 0, 60, Sign::Drawing);
    let evidence = town.meter("D0C0");
    let first = |from, to| {
        evidence
            .first_block_in(from_to(from, to), Sign::is_live)
            .map(|span| minutes(span.from))
    };
    assert_eq!(first(0, 60).as_deref(), Some("0"));
    assert_eq!(first(1, 60).as_deref(), Some("15"));
    assert_eq!(first(1, 29), None);
    assert_eq!(first(46, 100), None);
    assert!(evidence.is_heard_in(from_to(59, 100)));
    assert!(!evidence.is_heard_in(from_to(60, 100)));
}
