use gridtally_schemas::{Day, UtcMicros, Zone};

use super::Parameters;

#[test]
fn a_civil_day_stands_for_its_beginning_in_the_zone() {
    let mut parameters = Parameters::of(&[("from", "2026-04-01"), ("to", "2026-04-01T00:15:00+05:30")]);
    let zone = Zone::kolkata();
    assert_eq!(
        parameters.instant("from", &zone).unwrap(),
        UtcMicros::parse("2026-03-31T18:30:00Z").ok()
    );
    assert_eq!(
        parameters.instant("to", &zone).unwrap(),
        UtcMicros::parse("2026-03-31T18:45:00Z").ok()
    );
    parameters.finish().unwrap();
}

#[test]
fn an_unescaped_plus_of_an_offset_is_understood() {
    let mut parameters = Parameters::of(&[("from", "2026-04-01T00:15:00 05:30")]);
    let parsed = parameters.instant("from", &Zone::kolkata()).unwrap();
    assert_eq!(parsed, UtcMicros::parse("2026-04-01T00:15:00+05:30").ok());
}

#[test]
fn a_day_is_a_day_and_nothing_more() {
    assert_eq!(
        Parameters::of(&[("day", "2026-04-01")]).day("day").unwrap(),
        Day::parse("2026-04-01")
    );
    for text in ["2026-04-01T00:00:00", "2026-02-30", "20260401", "today"] {
        Parameters::of(&[("day", text)]).day("day").unwrap_err();
    }
}

#[test]
fn an_empty_value_counts_as_none_and_counts_have_bounds() {
    assert_eq!(Parameters::of(&[("q", "")]).text("q").unwrap(), None);
    assert_eq!(Parameters::of(&[]).count("top", 10, 100).unwrap(), 10);
    assert_eq!(
        Parameters::of(&[("top", "100")]).count("top", 10, 100).unwrap(),
        100
    );
    for text in ["0", "101", "-1", "1.5", "99999999999999999999999"] {
        Parameters::of(&[("top", text)])
            .count("top", 10, 100)
            .unwrap_err();
    }
}
