use super::*;

fn check(text: &str, expected: &str) {
    let actual = UtcMicros::parse(text).map_or_else(|_| "refused".to_owned(), |instant| instant.to_string());
    assert_eq!(actual, expected, "{text}");
}

#[test]
fn times_on_the_wire_are_rfc_3339_with_offset() {
    check("2026-04-01T00:30:00+05:30", "2026-03-31T19:00:00+00:00");
    check("2026-04-01T00:30:00Z", "2026-04-01T00:30:00+00:00");
    check("2026-04-01t00:30:00.5z", "2026-04-01T00:30:00.500000+00:00");
    check(
        "2024-02-29T12:00:00.123456-03:00",
        "2024-02-29T15:00:00.123456+00:00",
    );
}

#[test]
fn anything_else_is_refused() {
    for text in [
        "",
        "2026-04-01",
        "2026-04-01T00:30:00",
        "2026-02-29T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-04-01T24:00:00Z",
        "2026-04-01T00:30:00.1234567Z",
        "2026-04-01T00:30:00+5:30",
        "1999-12-31T23:59:59Z",
        "2026-04-01T00:30:00Zx",
        "2026-04-01T00:30:00.Z",
    ] {
        check(text, "refused");
    }
}

#[test]
fn the_parser_agrees_with_a_general_one() {
    for step in 0..20_000_i64 {
        let instant = UtcMicros(EARLIEST.0 + step * 157_789_123_457);
        let text = Timestamp::from_microsecond(instant.0).unwrap().to_string();
        assert_eq!(UtcMicros::parse(&text), Ok(instant), "{text}");
    }
}

#[test]
fn a_block_that_ends_at_midnight_closes_its_own_day() {
    let zone = Zone::kolkata();
    let midnight = UtcMicros::parse("2026-04-02T00:00:00+05:30").unwrap();
    assert_eq!(zone.day_of_interval(midnight).to_string(), "2026-04-01");
    assert_eq!(zone.day_of(midnight).to_string(), "2026-04-02");
    assert_eq!(zone.start_of(zone.day_of(midnight)), midnight);
}

#[test]
fn months_know_their_length() {
    let day = Day::parse("2024-02-10").unwrap();
    assert_eq!(
        (day.first_of_month().to_string().as_str(), day.days_in_month()),
        ("2024-02-01", 29)
    );
    assert_eq!(Day::parse("2024-02-29").map(Day::next), Day::parse("2024-03-01"));
}
