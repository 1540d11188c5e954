use super::*;
use crate::compensation::rig::{every_shape, preset};

#[test]
fn maharashtra_in_plain_words() {
    let said = lines(&preset("IN-MH-MERC-2021")).join("\n");
    for expected in [
        "IN-MH-MERC-2021 (edition 1): Electricity Supply Code",
        "Maharashtra Electricity Regulatory Commission, Maharashtra; in force from 2021-02-25",
        "not confirmed: valid_from: date of the gazette from memory, not read",
        "[no-supply] supply is restored within the hours set for the fault (Annexure II)",
        "  it covers outages of class BREAKDOWN, PLANNED",
        "  overhead_line; metro, urban: at most 4 h",
        "  LT: pays Rs 50 for each hour beyond, a part counting whole, at most Rs 500 for one default",
        "  owed without asking; no last day for the credit",
        "no standard is set for: number of interruptions (13(4)(ii)), scheduled outages,",
    ] {
        assert!(said.contains(expected), "{expected}\n---\n{said}");
    }
}

#[test]
fn every_key_of_the_format_is_told() {
    let said = lines(&every_shape(
        "[scope]",
        "[year_cap]\nfixed_charges_pct = 30\nclause = \"8\"\n\n[scope]",
    ))
    .join("\n");
    for expected in [
        "working hours: mon, tue, wed, thu, fri, sat, 09:00 to 17:00; closed on 2026-04-14",
        "until the crew has said, an outage of scope dt counts as dt_failure",
        "  fuse: at most 4 h of working time (1(a))",
        "  overhead_line; urban; from 2026-07-01: at most 3 h (1(b) as amended)",
        "  overhead_line; urban; from 2026-01-01 until before 2026-07-01: at most 4 h",
        "  overhead_line; rural: at most 90 min",
        "  fuse: pays Rs 30 for each block of 2 h beyond, a part counting whole",
        "  overhead_line; LT: pays Rs 37.50 for each hour beyond, a part counting whole, at most Rs 300 for one default",
        "  underground_cable: pays Rs 150 for each day beyond, a part counting whole",
        "  dt_failure; one consumer affected: pays Rs 400 for each default",
        "  nothing is owed for: force_majeure, planned_with_notice, prepaid_cut_off, non_payment, consumer_fault, outside_supply_hours",
        "  owed without asking; credited within 90 days of its end",
        "  every case: at most no time",
        "  the first 1 h are exempt once a day",
        "  every case: pays Rs 50 for each of the next 2 h, Rs 100 for each further hour, a part counting whole",
        "  a claim that is upheld is worth 5 times the amount, at least Rs 5000",
        "  it covers outages of class PLANNED, SCHEDULED_ROSTERING, notice given",
        "  every case: at most 6 h and over by 18:00",
        "  it covers the number, in a month, of outages of class BREAKDOWN that last longer than 3 min",
        "  it covers the number, in a financial year, of outages of class BREAKDOWN that last longer than 60 min",
        "  every case: pays Rs 25 for each interruption beyond",
        "  it covers the days, in a month, on which the voltage was below 230 V - 6 % or above it + 6 % for 60 min or more",
        "  every case: at most 2 such days",
        "  connection; rural: at most 15 days",
        "  bill_complaint, voltage_complaint: at most 16 h of working time",
        "  owed on claim, to be filed within 30 days; credited within 60 days of its end or of the claim, whichever is later",
        "cap: 30 % of the fixed charges of the financial year in which the defaults began (8)",
        "no standard is set for: disconnection on request (13(4)(iii)),",
    ] {
        assert!(said.contains(expected), "{expected}\n---\n{said}");
    }
}
