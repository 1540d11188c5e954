use super::*;
use crate::compensation::rig::{EVERY_SHAPE, document};

/// The error after one change to the made-up regulation.
fn refused(from: &str, to: &str) -> String {
    assert!(EVERY_SHAPE.contains(from), "{from}");
    let document = document(&EVERY_SHAPE.replacen(from, to, 1));
    Regulation::check(&document).unwrap_err().to_string()
}

fn check(cases: &[(&str, &str, &str)]) {
    for (from, to, expected) in cases {
        let expected = format!("regulation TEST-EVERY-SHAPE: {expected}");
        assert_eq!(refused(from, to), expected, "{from} -> {to}");
    }
}

#[test]
fn the_made_up_regulation_is_sound() {
    let regulation = Regulation::check(&document(EVERY_SHAPE)).unwrap();
    assert_eq!(regulation.standards.len(), 8);
    let faults = ["dt_failure", "fuse", "overhead_line", "underground_cable"];
    assert_eq!(regulation.fault_types().into_iter().collect::<Vec<_>>(), faults);
}

#[test]
fn a_bad_key_of_the_whole_is_named_with_its_reason() {
    check(&[
        (
            "format = 1",
            "format = 2",
            "`format`: 2 is not 1, the format of this version",
        ),
        (
            "revision = 3",
            "revision = 0",
            "`revision`: 0 is not in 1 to 1000000",
        ),
        (
            "title = \"A regulation for tests\"",
            "title = \" \"",
            "`title`: it is empty",
        ),
        (
            "status = \"confirmed\"",
            "status = \"sure\"",
            "`status`: `sure` is none of: confirmed, unconfirmed, partial",
        ),
        (
            "[\"made up for the tests of gridtally\"]",
            "[]",
            "`provenance`: it must say where the regulation was read",
        ),
        (
            "\"2026-01-01\"",
            "\"2026-13-01\"",
            "`valid_from`: `2026-13-01` is not a day such as 2026-04-01",
        ),
        (
            "valid_from = \"2026-01-01\"",
            "valid_from = \"2026-01-01\"\nvalid_to = \"2026-01-01\"",
            "`valid_to`: it must lie after valid_from",
        ),
        (
            "[\"urban\", \"rural\"]",
            "[]",
            "`areas`: the area classes that the State uses must be named",
        ),
        (
            "[\"urban\", \"rural\"]",
            "[\"suburb\"]",
            "`areas`: `suburb` is none of: metro, urban, rural, class1",
        ),
    ]);
}

#[test]
fn a_bad_scope_calendar_or_cap_is_named_with_its_reason() {
    check(&[
        (
            "dt = \"dt_failure\"",
            "dt = \"transformer\"",
            "`scope.dt`: `transformer` is a fault type of no limit",
        ),
        (
            "dt = \"dt_failure\"",
            "node = \"dt_failure\"",
            "`scope.node`: `node` is none of: service_line, dt, feeder, substation",
        ),
        (
            "to = \"17:00\"",
            "to = \"09:00\"",
            "`working_hours.to`: it must be later than from",
        ),
        (
            "to = \"17:00\"",
            "to = \"5 pm\"",
            "`working_hours.to`: `5 pm` is not a time such as 18:00",
        ),
        (
            "[\"2026-04-14\"]",
            "[\"14 April\"]",
            "`working_hours.holidays`: `14 April` is not a day such as 2026-04-01",
        ),
        (
            "[scope]",
            "[year_cap]\nfixed_charges_pct = 0\nclause = \"8\"\n\n[scope]",
            "`year_cap.fixed_charges_pct`: 0 is not in 1 to 1000",
        ),
        (
            "[scope]",
            "[[unconfirmed]]\nkey = \"standard.nothing.limit\"\nreason = \"?\"\n\n[scope]",
            "`unconfirmed.standard.nothing.limit`: an existing key and what is not known about it are needed",
        ),
    ]);
}

#[test]
fn a_bad_key_of_a_standard_is_named_with_its_reason() {
    check(&[
        (
            "id = \"shedding\"",
            "id = \"no-supply\"",
            "`standard.no-supply.id`: another standard has this id",
        ),
        (
            "id = \"shedding\"",
            "id = \"load shedding\"",
            "`standard[2].id`: `load shedding` is not a word of letters, digits, _ and -",
        ),
        (
            "classes = [\"EMERGENCY_ROSTERING\"]",
            "classes = []",
            "`standard.shedding.classes`: at least one outage class is needed",
        ),
        (
            "exempt = [\"prepaid_cut_off\", \"non_payment\"",
            "exempt = [\"non_payment\"",
            "`standard.shedding.exempt`: `prepaid_cut_off` must be listed: Rules 2020, 9(3)",
        ),
        (
            "clock = \"working\"\nclaim = \"on_claim\"",
            "clock = \"working\"\nclaim = \"automatic\"",
            "`standard.complaints.claim_within_days`: what is automatic needs no claim",
        ),
        (
            "once_a = \"day\"",
            "once_a = \"week\"",
            "`standard.shedding.grace.once_a`: only `day` is possible",
        ),
        (
            "factor = 5",
            "factor = 0",
            "`standard.shedding.upheld.factor`: 0 is not in 1 to 1000",
        ),
        (
            "period = \"month\"\nlonger",
            "longer",
            "`standard.frequency.period`: month, quarter or year is needed",
        ),
        (
            "longer_than_minutes = 3\n",
            "",
            "`standard.frequency.longer_than_minutes`: it is needed",
        ),
        (
            "voltage = { nominal",
            "voltage = { minutes_a_day = 0, below_pct = 1, above_pct = 1, nominal_v = 230 } #",
            "`standard.voltage.voltage.minutes_a_day`: 0 is not in 1 to 1440",
        ),
        (
            "kind = \"process\"",
            "kind = \"process\"\nperiod = \"month\"",
            "`standard.connection.period`: it has no meaning for `process`",
        ),
        (
            "kind = \"process\"",
            "kind = \"ritual\"",
            "`standard.connection.kind`: `ritual` is none of: no_supply, scheduled_outage, interruption_count, voltage_days, process",
        ),
        (
            "kind = \"process\"",
            "kind = \"process\"\ngrace = { minutes = 5, once_a = \"day\" }",
            "`standard.connection.grace`: it has no meaning for `process`",
        ),
    ]);
}

#[test]
fn a_bad_limit_is_named_by_its_place() {
    check(&[
        (
            "days = 1 }",
            "days = 1, hours = 2 }",
            "`standard.no-supply.limit[5]`: one of minutes, hours and days is needed",
        ),
        (
            "minutes = 90",
            "minutes = -1",
            "`standard.no-supply.limit[4].minutes`: -1 is not in 0 to 5270400",
        ),
        (
            "clock = \"working\", clause",
            "clock = \"lunar\", clause",
            "`standard.no-supply.limit[1].clock`: `lunar` is none of: elapsed, working",
        ),
        (
            "valid_to = \"2026-07-01\"",
            "valid_from = \"2025-07-01\"",
            "`standard.no-supply.limit[2].valid_from`: it lies before the regulation's own",
        ),
        (
            "{ fault = [\"dt_failure\"], hours = 6 }",
            "{ request = [\"connection\"], hours = 6 }",
            "`standard.no-supply.limit[6].request`: it has no meaning for `no_supply`",
        ),
        (
            "{ request = [\"prosumer_connection\"], days",
            "{ request = [\"moving_house\"], days",
            "`standard.connection.limit[3].request`: `moving_house` is none of: connection, disconnection, reconnection, shifting, category_change, load_change, details_change, meter_replacement, bill_delivery, voltage_complaint, bill_complaint, prosumer_connection",
        ),
        (
            "limit = [{ count = 3 }]",
            "limit = [{ hours = 3 }]",
            "`standard.frequency-year.limit[1]`: a counted standard has only count as its limit",
        ),
        (
            "limit = [{ count = 3 }]",
            "limit = []",
            "`standard.frequency-year.limit`: there is none",
        ),
    ]);
}

#[test]
fn a_bad_amount_is_named_by_its_place() {
    check(&[
        (
            "fault = [\"fuse\"], shape",
            "fault = [\"gremlins\"], shape",
            "`standard.no-supply.amount[1]`: no limit of this standard knows `gremlins`",
        ),
        (
            "block_hours = 2, ",
            "",
            "`standard.no-supply.amount[1].block_hours`: it stands with `per_block`, and only there",
        ),
        (
            "inr = \"37.50\"",
            "inr = \"37.505\"",
            "`standard.no-supply.amount[2].inr`: 0 to 10000000.00 rupees, as a whole number or as text with two decimals",
        ),
        (
            "inr = 150",
            "inr = 10000001",
            "`standard.no-supply.amount[4].inr`: 0 to 10000000.00 rupees, as a whole number or as text with two decimals",
        ),
        (
            "shape = \"per_interruption\"",
            "shape = \"per_hour\"",
            "`standard.frequency.amount[1].shape`: `per_hour` is none of: per_event, per_interruption",
        ),
        (
            "{ hours = 2, inr = 50 }",
            "{ inr = 50 }",
            "`standard.shedding.amount[1].tiers[1]`: every tier but the last has hours, and the last has none",
        ),
        (
            "shape = \"per_event\", inr = 1000",
            "shape = \"per_event\"",
            "`standard.frequency-year.amount[1]`: `tiered_per_hour` has tiers, every other shape has inr, none has both",
        ),
        (
            "affected = \"one\"",
            "affected = \"few\"",
            "`standard.no-supply.amount[5].affected`: `few` is none of: one, many",
        ),
    ]);
}

#[test]
fn an_unknown_key_and_a_clock_without_hours_are_refused() {
    let without_hours = EVERY_SHAPE.replace("[working_hours]", "[ignored]");
    assert!(
        toml::from_str::<Document>(&without_hours).is_err(),
        "an unknown key is refused"
    );
    let mut document = document(EVERY_SHAPE);
    document.working_hours = None;
    let error = Regulation::check(&document).unwrap_err();
    assert_eq!(
        (error.key.as_str(), error.reason.as_str()),
        (
            "standard.no-supply.limit[1].clock",
            "`working` needs [working_hours]"
        )
    );
}

#[test]
fn money_written_as_a_fraction_is_refused() {
    assert!(toml::from_str::<Document>(&EVERY_SHAPE.replace("\"37.50\"", "37.50")).is_err());
}
