//! Bills, accounts, requests and claims.

use super::*;

#[test]
fn a_bill_is_exact_in_wh_and_paise_and_stands_once_for_a_consumer_and_month() {
    let text = "consumer_id,month,billed_kwh,billed_inr,collected_inr\nC1,2026-04,21.5,99.95,-0.5\nC1,2026-05,0,0,\n\
        C1,2026-04,1,1,\nC2,2026-4,1,1,\nC3,2026-04,1.2345,1,\nC4,2026-04,1,1.005,\nC5,2026-13,1,1,\n";
    let (parts, errors) = read(FileKind::Billing, text).unwrap();
    let [FilePart::Billing(bills)] = parts.as_slice() else {
        panic!("{parts:?}");
    };
    let amounts: Vec<_> = bills
        .iter()
        .map(|bill| {
            (
                bill.month.to_string(),
                bill.billed_wh,
                bill.billed_paise,
                bill.collected_paise,
            )
        })
        .collect();
    assert_eq!(
        amounts,
        [
            ("2026-04-01".to_owned(), 21_500, 9_995, Some(-50)),
            ("2026-05-01".to_owned(), 0, 0, None)
        ]
    );
    let refused: Vec<&str> = errors.lines().collect();
    assert_eq!(
        refused,
        [
            "billing.csv:4: month `2026-04`: line 2 is a bill of this consumer and month already",
            "billing.csv:5: month `2026-4`: a month such as 2026-04 expected",
            "billing.csv:6: billed_kwh `1.2345`: a number with at most three decimals expected",
            "billing.csv:7: billed_inr `1.005`: a number with at most two decimals expected",
            "billing.csv:8: month `2026-13`: a month such as 2026-04 expected",
        ]
    );
}

#[test]
fn a_request_is_one_row_of_a_known_kind_and_ends_after_it_began() {
    let check = |row: &str, expected: &str| check_row(FileKind::ServiceRequests, row, expected);
    let (opened, closed) = ("2026-04-01T10:00:00+05:30", "2026-04-09T10:00:00+05:30");
    check(&format!("R1,C1,load_change,{opened},{closed}"), "");
    check(&format!("R1,C1,meter_replacement,{opened},"), "");
    check(
        &format!("R1,C1,load_change,{closed},{opened}"),
        "service_requests.csv:2: closed_at `2026-04-01T10:00:00+05:30`: closed_at must not be before opened_at",
    );
    check(
        &format!("R1,C1,house_move,{opened},"),
        "service_requests.csv:2: kind `house_move`: `house_move` is none of: connection, disconnection, reconnection, shifting, \
         category_change, load_change, details_change, meter_replacement, bill_delivery, voltage_complaint, bill_complaint, \
         prosumer_connection",
    );
    let twice = format!(
        "request_id,consumer_id,kind,opened_at\nR1,C1,connection,{opened}\nR2,C1,connection,{opened}\nR1,C2,connection,{opened}\n"
    );
    let (parts, errors) = read(FileKind::ServiceRequests, &twice).unwrap();
    let [FilePart::Requests(rows)] = parts.as_slice() else {
        panic!("{parts:?}");
    };
    assert_eq!(rows.len(), 2);
    assert_eq!(
        errors,
        "service_requests.csv:4: request_id `R1`: line 2 is of this request already"
    );
}

#[test]
fn claims_say_for_what_and_are_given_once() {
    let check = |row: &str, expected: &str| check_row(FileKind::Claims, row, expected);
    check(
        "C1,K1,supply:noon,2026-04-02T10:00:00+05:30,",
        "claims.csv:2: about `supply:noon`: `supply:noon` is nothing to claim for: supply:INSTANT (such as \
         supply:2026-04-01T10:00:00+05:30), outage:ID, request:ID or period:STANDARD:YYYY-MM-DD is needed",
    );
    check(
        "C1,K1,request:R1,2026-04-02T10:00:00+05:30,2026-04-01T10:00:00+05:30",
        "claims.csv:2: upheld_at `2026-04-01T10:00:00+05:30`: upheld_at must not be before filed_at",
    );
    let twice = "claim_id,consumer_id,about,filed_at,upheld_at\n\
                 C1,K1,supply:2026-04-01T10:00:00+05:30,2026-04-02T10:00:00+05:30,\n\
                 C1,K1,request:R1,2026-04-02T10:00:00+05:30,\n";
    let (parts, errors) = read(FileKind::Claims, twice).unwrap();
    let [FilePart::Claims(rows)] = parts.as_slice() else {
        panic!("{parts:?}")
    };
    assert_eq!(rows[0].about.to_string(), "supply:2026-04-01T04:30:00+00:00");
    assert_eq!(
        errors,
        "claims.csv:3: claim_id `C1`: line 2 is of this claim already"
    );
}

#[test]
fn accounts_are_of_a_year_each_and_exact_to_the_paisa() {
    let check = |row: &str, expected: &str| check_row(FileKind::DiscomAccounts, row, expected);
    check(
        "2018-20,1,1,1,1,1,1,",
        "discom_accounts.csv:2: year `2018-20`: `2018-20` is no financial year such as 2018-19",
    );
    check(
        "2018-19,1,1.005,1,1,1,1,",
        "discom_accounts.csv:2: power_purchase_inr `1.005`: a number with at most two decimals expected",
    );
    let file = "year,sales_kwh,power_purchase_inr,om_inr,depreciation_inr,interest_inr,revenue_inr,subsidy_inr\n\
                2016-17,26239000000,120000000000,20000000000.25,10000000000,12080000000,158610000000,\n\
                2016-17,1,1,1,1,1,1,1\n";
    let (parts, errors) = read(FileKind::DiscomAccounts, file).unwrap();
    let [FilePart::Accounts(rows)] = parts.as_slice() else {
        panic!("{parts:?}")
    };
    assert_eq!(
        (rows[0].sales_wh, rows[0].om_paise),
        (26_239_000_000_000, 2_000_000_000_025)
    );
    assert_eq!(rows[0].subsidy_paise, None);
    assert_eq!(
        errors,
        "discom_accounts.csv:3: year `2016-17`: line 2 is of this year already"
    );
}

#[test]
fn a_feeder_has_one_manager_at_a_time_in_a_file() {
    let check = |row: &str, expected: &str| check_row(FileKind::FeederManagers, row, expected);
    check(
        "F1,A. Rao,,2026-04-01T00:00:00Z,2026-04-01T00:00:00Z",
        "feeder_managers.csv:2: valid_to `2026-04-01T00:00:00Z`: valid_to must be after valid_from",
    );
    let long = "n".repeat(501);
    let file = format!(
        "feeder_id,manager,contact,valid_from,valid_to\n\
         F1,A. Rao,9800000001,2026-04-01T00:00:00Z,2026-05-01T00:00:00Z\nF1,S. Iyer,,2026-05-01T00:00:00Z,\n\
         F1,K. Das,,2026-06-01T00:00:00Z,\nF2,K. Das,{long},2026-06-01T00:00:00Z,\n"
    );
    let (parts, errors) = read(FileKind::FeederManagers, &file).unwrap();
    let [FilePart::Managers(rows)] = parts.as_slice() else {
        panic!("{parts:?}")
    };
    let names: Vec<&str> = rows.iter().map(|row| row.manager.as_str()).collect();
    assert_eq!(names, ["A. Rao", "S. Iyer"]);
    assert_eq!(rows[0].contact.as_deref(), Some("9800000001"));
    let errors: Vec<&str> = errors.lines().collect();
    assert_eq!(
        errors[0],
        "feeder_managers.csv:4: valid_from `2026-06-01T00:00:00Z`: the period overlaps that of line 3 for the same feeder_id"
    );
    assert!(
        errors[1].ends_with("`contact` is 1 to 500 bytes without control characters"),
        "{errors:?}"
    );
}
