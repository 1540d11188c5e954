use super::*;

fn day(text: &str) -> Day {
    Day::parse(text).unwrap()
}

fn at(text: &str) -> UtcMicros {
    UtcMicros::parse(&format!("{text}:00+05:30")).unwrap()
}

fn span(from: &str, to: &str) -> Span {
    Span {
        from: at(from),
        to: at(to),
    }
}

fn office() -> WorkingHours {
    WorkingHours {
        weekdays: Weekday::ALL[..6].iter().copied().collect(),
        from_minute: 9 * 60,
        to_minute: 17 * 60,
        holidays: [day("2026-04-14")].into(),
    }
}

#[test]
fn weekdays_months_quarters_and_financial_years_are_those_of_the_calendar() {
    assert_eq!(weekday(day("1970-01-01")), Weekday::Thursday);
    assert_eq!(weekday(day("2026-04-13")), Weekday::Monday);
    assert_eq!(weekday(day("2024-02-29")), Weekday::Thursday);
    let cases = [
        (Period::Month, "2026-04-30", "2026-04-01", "2026-05-01"),
        (Period::Month, "2024-02-29", "2024-02-01", "2024-03-01"),
        (Period::Quarter, "2026-03-31", "2026-01-01", "2026-04-01"),
        (Period::Quarter, "2026-12-01", "2026-10-01", "2027-01-01"),
        (Period::Year, "2026-03-31", "2025-04-01", "2026-04-01"),
        (Period::Year, "2026-04-01", "2026-04-01", "2027-04-01"),
    ];
    for (period, of, first, after) in cases {
        let begins = period.first_day(day(of));
        assert_eq!(
            (begins, period.after(begins)),
            (day(first), day(after)),
            "{period} of {of}"
        );
    }
    assert_eq!(financial_year(day("2026-03-31")).to_string(), "2025-26");
    assert_eq!(financial_year(day("2099-04-01")).to_string(), "2099-00");
}

#[test]
fn every_day_of_four_centuries_has_the_month_that_it_is_written_with() {
    for days in (day("1999-12-31").0..day("2400-01-01").0).step_by(3) {
        let (year, month) = year_and_month(Day(days));
        let written = Day(days).to_string();
        assert!(
            written.starts_with(&format!("{year:04}-{month:02}-")),
            "{written}"
        );
    }
}

#[test]
fn elapsed_time_counts_a_part_of_a_minute_whole() {
    let zone = Zone::kolkata();
    let counting = Counting {
        zone: &zone,
        working: None,
    };
    let one = span("2026-04-01T10:00", "2026-04-01T14:00");
    assert_eq!(counting.minutes(&[one]), 240);
    let longer = Span {
        to: one.to.plus(1),
        ..one
    };
    assert_eq!(counting.minutes(&[longer]), 241);
    assert_eq!(counting.minutes(&[]), 0);
    assert_eq!(
        counting.minutes(&[span("2026-04-01T14:00", "2026-04-01T10:00")]),
        0
    );
}

#[test]
fn working_time_stands_still_at_night_on_sundays_and_on_holidays() {
    let (zone, office) = (Zone::kolkata(), office());
    let counting = Counting {
        zone: &zone,
        working: Some(&office),
    };
    let cases = [
        ("2026-04-13T16:00", "2026-04-13T19:00", 60),
        ("2026-04-13T16:00", "2026-04-15T10:00", 120), // Tuesday the 14th is a holiday
        ("2026-04-11T16:00", "2026-04-13T09:30", 90),  // over a Sunday
        ("2026-04-12T00:00", "2026-04-13T00:00", 0),
        ("2026-04-13T20:00", "2026-04-13T23:00", 0),
        ("2026-04-13T00:00", "2026-04-14T00:00", 480),
    ];
    for (from, to, minutes) in cases {
        assert_eq!(counting.minutes(&[span(from, to)]), minutes, "{from} to {to}");
    }
    assert_eq!(counting.day_minutes(), 480);
}

#[test]
fn overlaps_count_once_and_holes_are_cut_out() {
    let spans = union([
        span("2026-04-01T12:00", "2026-04-01T13:00"),
        span("2026-04-01T10:00", "2026-04-01T11:00"),
        span("2026-04-01T10:30", "2026-04-01T12:00"),
        span("2026-04-01T15:00", "2026-04-01T15:00"),
    ]);
    assert_eq!(spans, [span("2026-04-01T10:00", "2026-04-01T13:00")]);
    let left = without(
        &spans,
        [
            span("2026-04-01T11:00", "2026-04-01T11:30"),
            span("2026-04-01T12:30", "2026-04-01T20:00"),
        ],
    );
    assert_eq!(
        left,
        [
            span("2026-04-01T10:00", "2026-04-01T11:00"),
            span("2026-04-01T11:30", "2026-04-01T12:30")
        ]
    );
}

#[test]
fn times_of_day_are_read_strictly() {
    let cases = [
        ("09:00", Some(540)),
        ("24:00", Some(1_440)),
        ("24:01", None),
        ("9:00", None),
        ("09:60", None),
        ("+9:00", None),
        ("noon", None),
    ];
    for (text, minutes) in cases {
        assert_eq!(parse_time_of_day(text), minutes, "{text}");
    }
    assert_eq!(show_time_of_day(1_080), "18:00");
}
