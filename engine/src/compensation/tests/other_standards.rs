//! The made-up regulation, worked by hand: numbers of interruptions, days of bad voltage, requests.

use gridtally_schemas::{IntervalMinutes, UtcMicros};

use super::super::{
    evidence::{Claim, Evidence, Exemption, Request, SupplyLoss, VoltageDay, VoltageReading},
    ledger::DefaultKey,
    rig::{
        URBAN_LT, at, book, consumer, day, decide, every_shape, evidence, loss, minutes_after, of, period,
        request, rupees,
    },
    rule::{Decision, Nothing, RuleBook, Unit},
};

fn whole() -> RuleBook {
    book([every_shape("TEST", "TEST")])
}

#[test]
fn interruptions_beyond_the_number_allowed_in_a_month_and_in_a_year() {
    let book = whole();
    let months = [
        "2026-04-01T10:00",
        "2026-04-02T10:00",
        "2026-04-03T10:00",
        "2026-04-30T23:30",
        "2026-05-01T10:00",
    ];
    let losses = months
        .iter()
        .enumerate()
        .map(|(at, from)| loss(&format!("O{at}"), from, 61));
    let momentary = loss("M", "2026-04-05T10:00", 3);
    let stormy = SupplyLoss {
        exemptions: vec![Exemption::ForceMajeure],
        ..loss("S", "2026-04-06T10:00", 61)
    };
    let all = evidence(losses.chain([momentary, stormy]));
    let decisions = decide(&book, &all);
    let april = of(&decisions, &period("frequency", "2026-04-01"))
        .outcome
        .unwrap();
    assert_eq!(
        (april.amount, april.working.measured, april.working.beyond),
        (rupees(50), 4, 2)
    );
    assert_eq!(
        (april.grounds.limit_minutes, april.over, april.due_by),
        (None, true, Some(day("2026-05-30")))
    );
    let may = of(&decisions, &period("frequency", "2026-05-01"))
        .outcome
        .unwrap_err();
    assert_eq!(
        may,
        Nothing::WithinLimit {
            measured: 1,
            allowed: 2,
            unit: Unit::Interruptions
        }
    );
    let year = of(&decisions, &period("frequency-year", "2026-04-01"))
        .outcome
        .unwrap();
    assert_eq!((year.amount, year.working.measured), (rupees(1_000), 5));
    let mid_april = book.decide(&all, at("2026-04-15T00:00")).unwrap();
    assert!(
        !of(&mid_april, &period("frequency", "2026-04-01"))
            .outcome
            .unwrap()
            .over
    );
}

/// A day of quarter hours: the first `quarters` of them at `volts`, the others at 230 V.
fn voltages(date: &str, quarters: i64, volts: f64) -> VoltageDay {
    let reading = |quarter: i64| VoltageReading {
        interval_end: minutes_after(at(&format!("{date}T00:00")), 15 * (quarter + 1)),
        interval: IntervalMinutes::Fifteen,
        volts: if quarter < quarters { volts } else { 230.0 },
    };
    VoltageDay {
        day: day(date),
        connection: URBAN_LT,
        readings: (0..96).map(reading).collect(),
    }
}

#[test]
fn days_of_bad_voltage_beyond_those_allowed() {
    let all = Evidence {
        voltages: vec![
            voltages("2026-04-01", 4, 216.1),  // 216.2 V is 230 V less 6 %
            voltages("2026-04-02", 3, 150.0),  // 45 min are not enough
            voltages("2026-04-03", 4, 243.9),  // above 243.8 V
            voltages("2026-04-04", 96, 243.7), // within
            voltages("2026-04-05", 4, 0.0),
            voltages("2026-04-05", 4, 0.0), // told twice
            voltages("2026-04-06", 96, f64::NAN),
            voltages("2026-04-30", 5, 300.0),
        ],
        ..Evidence::none(consumer())
    };
    let owed = of(&decide(&whole(), &all), &period("voltage", "2026-04-01"))
        .outcome
        .unwrap();
    assert_eq!(
        (owed.amount, owed.working.measured, owed.working.unit),
        (rupees(200), 4, Unit::Days)
    );
}

#[test]
fn no_supply_is_not_bad_voltage() {
    let mut all = Evidence {
        voltages: vec![
            voltages("2026-04-01", 4, 0.0),
            voltages("2026-04-02", 4, 0.0),
            voltages("2026-04-03", 5, 0.0),
        ],
        ..Evidence::none(consumer())
    };
    let measured = |all: &Evidence| {
        of(&decide(&whole(), all), &period("voltage", "2026-04-01"))
            .outcome
            .unwrap()
            .working
            .measured
    };
    assert_eq!(measured(&all), 3);
    // One minute of the fifth quarter hour leaves four: the day still counts.
    all.losses = vec![loss("O1", "2026-04-03T01:00", 1)];
    assert_eq!(measured(&all), 3);
    // One minute of the first of four leaves three.
    all.losses.push(loss("O2", "2026-04-02T00:14", 1));
    let kept = of(&decide(&whole(), &all), &period("voltage", "2026-04-01"))
        .outcome
        .unwrap_err();
    assert_eq!(
        kept,
        Nothing::WithinLimit {
            measured: 2,
            allowed: 2,
            unit: Unit::Days
        }
    );
}

/// The decision on one request; there is a claim for the one named CLAIMED.
fn decided(request: Request, as_of: UtcMicros) -> Decision {
    let key = DefaultKey::Request(request.request_id.clone());
    let all = Evidence {
        requests: vec![request],
        claims: vec![Claim {
            claim_id: "C".to_owned(),
            default: DefaultKey::Request("CLAIMED".to_owned()),
            filed_at: at("2026-05-01T00:00"),
            upheld_at: None,
        }],
        ..Evidence::none(consumer())
    };
    of(&whole().decide(&all, as_of).unwrap(), &key)
}

#[test]
fn requests_by_kind_area_clock_and_cap() {
    let now = at("2027-01-01T00:00");
    let connection = |closed| request("R", "connection", "2026-04-01T10:00", Some(closed));
    assert_eq!(decided(connection("2026-04-08T10:00"), now).amount(), rupees(0));
    assert_eq!(decided(connection("2026-04-08T10:01"), now).amount(), rupees(100));
    assert_eq!(
        decided(connection("2026-08-08T10:01"), now).amount(),
        rupees(1_000)
    );
    let open = request("R", "prosumer_connection", "2026-04-01T10:00", None);
    let owed = decided(open, at("2026-04-18T10:00")).outcome.unwrap();
    assert_eq!(
        (owed.amount, owed.over, owed.grounds.clause.as_str()),
        (rupees(1_000), false, "Rules 2020, 11(12)")
    );
    let exempt = Request {
        exemptions: vec![Exemption::ConsumerFault],
        ..connection("2026-08-08T10:01")
    };
    let exemption = Exemption::ConsumerFault;
    assert_eq!(
        decided(exempt, now).outcome.unwrap_err(),
        Nothing::Exempt { exemption }
    );
    let unknown = request("R", "load_change", "2026-04-01T10:00", None);
    assert_eq!(decided(unknown, now).outcome.unwrap_err(), Nothing::NotCovered);
}

#[test]
fn complaints_are_counted_in_working_days_and_owed_on_claim() {
    let now = at("2027-01-01T00:00");
    // Two working days from Saturday 11 April, 16:00, over Sunday and the holiday of the 14th: Wednesday the 15th, 16:00.
    let complaint = |id: &str, closed| request(id, "bill_complaint", "2026-04-11T16:00", Some(closed));
    let kept = decided(complaint("R", "2026-04-15T16:00"), now)
        .outcome
        .unwrap_err();
    assert_eq!(
        kept,
        Nothing::WithinLimit {
            measured: 960,
            allowed: 960,
            unit: Unit::Minutes
        }
    );
    let late = decided(complaint("R", "2026-04-16T16:30"), now)
        .outcome
        .unwrap_err();
    assert_eq!(
        late,
        Nothing::NotClaimed {
            claimable: rupees(80)
        }
    );
    let owed = decided(complaint("CLAIMED", "2026-04-16T16:30"), now)
        .outcome
        .unwrap();
    assert_eq!((owed.amount, owed.due_by), (rupees(80), Some(day("2026-06-30"))));
    let late = decided(complaint("CLAIMED", "2026-03-31T16:30"), now);
    assert_eq!(
        late.outcome.unwrap_err(),
        Nothing::WithinLimit {
            measured: 0,
            allowed: 960,
            unit: Unit::Minutes
        }
    );
}

#[test]
fn a_claim_after_its_time_is_told_the_last_day() {
    let book = whole();
    let all = |filed: &str| Evidence {
        requests: vec![request(
            "R",
            "bill_complaint",
            "2026-04-01T09:00",
            Some("2026-04-06T09:00"),
        )],
        claims: vec![Claim {
            claim_id: "C".to_owned(),
            default: DefaultKey::Request("R".to_owned()),
            filed_at: at(filed),
            upheld_at: None,
        }],
        ..Evidence::none(consumer())
    };
    let key = DefaultKey::Request("R".to_owned());
    assert_eq!(
        of(&decide(&book, &all("2026-05-06T23:59")), &key).amount(),
        rupees(80)
    );
    let late = of(&decide(&book, &all("2026-05-07T00:00")), &key)
        .outcome
        .unwrap_err();
    assert_eq!(
        late,
        Nothing::ClaimedTooLate {
            last_day: day("2026-05-06")
        }
    );
}
