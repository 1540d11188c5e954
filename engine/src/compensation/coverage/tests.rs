use super::*;
use crate::compensation::rig::{every_shape, preset};

fn told(regulation: &Regulation) -> Vec<String> {
    problems(regulation).iter().map(Problem::to_string).collect()
}

#[test]
fn presets_have_the_gaps_that_their_source_leaves() {
    for complete in ["IN-MH-MERC-2021", "IN-TG-TSERC-2016", "IN-DL-DERC-2018"] {
        assert_eq!(told(&preset(complete)), [""; 0], "{complete}");
    }
    assert_eq!(
        told(&preset("IN-UP-UPERC-2019")),
        [
            "gap: standard `dt-failure`: until the crew has said, an outage of scope service_line or feeder or substation has no \
          fault type"
        ]
    );
    assert_eq!(told(&every_shape("TEST", "TEST")), [""; 0]);
}

#[test]
fn a_missing_limit_is_a_gap_for_its_fault_area_and_dates() {
    let without_rural = every_shape(
        "{ fault = [\"overhead_line\"], area = [\"rural\"], minutes = 90 },",
        "",
    );
    assert_eq!(
        told(&without_rural),
        [
            "gap: standard `no-supply`: no limit for overhead_line, rural, LT from 2026-01-01",
            "gap: standard `no-supply`: no limit for overhead_line, rural, HT from 2026-01-01"
        ]
    );
    let pause = every_shape("valid_from = \"2026-07-01\"", "valid_from = \"2026-08-01\"");
    assert_eq!(
        told(&pause),
        [
            "gap: standard `no-supply`: no limit for overhead_line, urban, LT from 2026-07-01 until before 2026-08-01",
            "gap: standard `no-supply`: no limit for overhead_line, urban, HT from 2026-07-01 until before 2026-08-01"
        ]
    );
}

#[test]
fn a_missing_amount_is_a_gap_for_its_supply_and_number_affected() {
    let without_ht = every_shape(
        "{ fault = [\"overhead_line\"], supply = [\"HT\"], shape = \"per_hour\", inr = 100 },",
        "",
    );
    let gaps = told(&without_ht);
    assert_eq!(gaps.len(), 4, "two areas, one or many affected: {gaps:?}");
    assert_eq!(
        gaps[0],
        "gap: standard `no-supply`: no amount for overhead_line, urban, HT, one affected from 2026-01-01"
    );
    let without_many = every_shape(
        "{ fault = [\"dt_failure\"], affected = \"many\", shape = \"per_event\", inr = 200 },",
        "",
    );
    let gaps = told(&without_many);
    assert_eq!(gaps.len(), 4, "two areas, two supplies: {gaps:?}");
    assert_eq!(
        gaps[0],
        "gap: standard `no-supply`: no amount for dt_failure, urban, LT, many affected from 2026-01-01"
    );
}

#[test]
fn rows_and_standards_that_decide_the_same_case_overlap() {
    let dates = every_shape("valid_from = \"2026-07-01\"", "valid_from = \"2026-06-01\"");
    assert_eq!(
        told(&dates)[0],
        "overlap: standard `no-supply`: more than one limit for overhead_line, urban, LT from 2026-06-01 until before 2026-07-01"
    );
    let outages = every_shape(
        "classes = [\"EMERGENCY_ROSTERING\"]",
        "classes = [\"EMERGENCY_ROSTERING\", \"BREAKDOWN\"]",
    );
    assert_eq!(
        told(&outages),
        [
            "overlap: standards `no-supply` and `shedding` both decide outages of class BREAKDOWN, notice given"
        ]
    );
    let requests = every_shape(
        "[\"bill_complaint\", \"voltage_complaint\"]",
        "[\"bill_complaint\", \"connection\"]",
    );
    assert_eq!(
        told(&requests),
        ["overlap: standards `connection` and `complaints` both decide requests `connection`"]
    );
    let amounts = every_shape("affected = \"one\", ", "");
    assert_eq!(
        told(&amounts)[0],
        "overlap: standard `no-supply`: more than one amount for dt_failure, urban, LT, many affected from 2026-01-01"
    );
}
