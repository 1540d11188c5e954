//! Tests of quarters and of the spread of an assessed month.

use gridtally_schemas::{IntervalMinutes, UtcMicros, Zone};

use super::*;

fn at(text: &str) -> UtcMicros {
    UtcMicros::parse(text).expect("a time")
}

#[test]
fn a_span_holds_the_quarters_that_lie_wholly_between() {
    let span = Span::between(at("2026-04-01T00:00:00+05:30"), at("2026-04-01T01:00:00+05:30"));
    let ends: Vec<UtcMicros> = span.quarters().map(Quarter::end).collect();
    assert_eq!(ends.first(), Some(&at("2026-04-01T00:15:00+05:30")));
    assert_eq!(ends.last(), Some(&at("2026-04-01T01:00:00+05:30")));
    assert_eq!(ends.len(), 4);
}

#[test]
fn the_quarter_that_ends_at_midnight_is_the_last_of_its_day() {
    let moment = Moment::new(
        &Zone::kolkata(),
        Quarter::containing(at("2026-04-02T00:00:00+05:30")),
    );
    assert_eq!(moment.of_day, 95);
    assert_eq!(moment.day.to_string(), "2026-04-01");
    assert_eq!(moment.solar_permille, 0);
}

#[test]
fn the_sun_is_highest_at_noon() {
    let noon = Moment::new(
        &Zone::kolkata(),
        Quarter::containing(at("2026-04-01T12:15:00+05:30")),
    );
    assert!(noon.solar_permille > 650, "{}", noon.solar_permille);
}

#[test]
fn an_assessed_month_sums_to_itself() {
    let zone = Zone::kolkata();
    let span = Span::between(at("2026-04-01T00:00:00+05:30"), at("2026-05-01T00:00:00+05:30"));
    for minutes in [IntervalMinutes::Fifteen, IntervalMinutes::Thirty] {
        let sum: i64 = span
            .quarters()
            .filter(|quarter| quarter.ends_interval(minutes))
            .map(|quarter| assessed_wh(&zone, quarter, minutes, &[123_457, 1]))
            .sum();
        assert_eq!(sum, 123_458);
    }
}
