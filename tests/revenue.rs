//! Feeder revenue on the real binary: files in, rates out, by API and SQL alike, and the same after `kill -9`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::print_stdout,
    clippy::too_many_lines,
    clippy::too_many_arguments,
    clippy::large_futures,
    clippy::needless_pass_by_value,
    clippy::wildcard_enum_match_arm,
    clippy::disallowed_methods,
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    reason = "tests fail by panicking, and are an edge"
)]

mod product;

use std::{fmt::Write as _, path::Path};

use product::Product;
use serde_json::{Value, json};

/// The twelfth of May: April is over.
const SETTINGS: [(&str, &str); 3] = [
    ("now", "2026-05-12T10:00:00+05:30"),
    ("engine.checkpoint_seconds", "3600"),
    ("engine.tick_ms", "100"),
];

/// Two feeders; F1 is metered and took 1 kWh each quarter hour of April: 2,880 kWh. Its target is 12 %, by the zone.
fn files(folder: &Path) {
    let since = "2020-01-01T00:00:00+05:30";
    let mut reads = "meter_id,interval_end,import_wh\n".to_owned();
    for quarter in 1..=2_880 {
        let (day, of_day) = ((quarter - 1) / 96 + 1, (quarter - 1) % 96 + 1);
        let (day, of_day) = if of_day == 96 { (day + 1, 0) } else { (day, of_day) };
        let (month, day) = if day == 31 { (5, 1) } else { (4, day) };
        let (hour, minute) = (of_day / 4, of_day % 4 * 15);
        writeln!(
            reads,
            "MF1,2026-{month:02}-{day:02}T{hour:02}:{minute:02}:00+05:30,1000"
        )
        .unwrap();
    }
    let nodes = format!(
        "node_id,kind,parent_id,allowable_loss_pct,valid_from\n\
         D,discom,,,{since}\nZ,zone,D,12,{since}\nF1,feeder,Z,,{since}\nF2,feeder,Z,,{since}\nT1,dt,F1,,{since}\nT2,dt,F2,,{since}\n"
    );
    let meters = format!(
        "meter_id,role,node_id,interval_minutes,multiplier,valid_from\nMF1,feeder,F1,15,1,{since}\nA,consumer,,15,,{since}\n\
         B,consumer,,15,,{since}\n"
    );
    let connections = format!(
        "consumer_id,meter_id,node_id,category,supply,phases,metering,valid_from\n\
         CA,A,T1,LT-domestic,LT,1,postpaid,{since}\nCB,B,T2,LT-domestic,LT,1,postpaid,{since}\n"
    );
    // A pump set without a meter is billed by assessment, and paid for by the State.
    let billing = "consumer_id,month,billed_kwh,billed_inr,arrears_inr,subsidy_inr,collected_inr\n\
                   CA,2026-03,1000,7000,,,7000\nCA,2026-04,2400,16000,999.5,1280,9000\nCB,2026-04,50,0,,325,0\n";
    let accounts = "year,sales_kwh,power_purchase_inr,om_inr,depreciation_inr,interest_inr,revenue_inr,subsidy_inr\n\
                    2025-26,26239000000,162080000000,0,0,0,158610000000,\n2026-27,100,650,0,0,0,600,37\n";
    for (name, text) in [
        ("nodes", nodes.as_str()),
        ("meters", &meters),
        ("connections", &connections),
        ("billing", billing),
        ("discom_accounts", accounts),
        ("reads", &reads),
    ] {
        std::fs::write(folder.join(format!("{name}.csv")), text).unwrap();
    }
}

fn close(what: &str, got: &Value, expected: f64) {
    let got = got.as_f64().unwrap_or_else(|| panic!("{what}: {got}"));
    assert!(
        (got - expected).abs() < 1e-9,
        "{what}: {got}, expected {expected}"
    );
}

fn check(product: &Product) {
    let april = product.get("/api/v1/feeders/F1/revenue");
    let april = &april["months"][0];
    // FY17 of the paper has an ARR of 15,861 crore / 26,239 MU; 637 / 100 in the year after.
    let adjusted = 7.0 * 6.37 / (158_610.0 / 26_239.0);
    close("eif_kwh", &april["eif_kwh"], 2_880.0);
    close("loss_pct", &april["loss_pct"], 100.0 * 480.0 / 2_880.0);
    close("abr", &april["abr"], 7.2);
    close("adjusted_abr", &april["adjusted_abr"], adjusted);
    close("tri", &april["tri"], adjusted * 0.88);
    close("ari", &april["ari"], 6.0);
    close("deviation", &april["deviation"], adjusted * 0.88 - 6.0);
    assert_eq!(april["billed_inr"], "17280.00");
    assert_eq!(
        (&april["audit"], &april["arrears_suspected"]),
        (&json!(true), &json!(false))
    );

    // SQL says the same of the newest version.
    let rows = product.sql(
        "SELECT eif_kwh, sold_kwh, tri, ari, billed_inr, audit FROM feeder_revenue_monthly \
         WHERE feeder_id = 'F1' AND month = '2026-04-01'",
    );
    assert_eq!(rows.len(), 1);
    for (at, name) in ["eif_kwh", "sold_kwh", "tri", "ari"].into_iter().enumerate() {
        assert_eq!(rows[0][at].as_f64(), april[name].as_f64(), "{name}");
    }
    assert_eq!(rows[0][4], april["billed_inr"]);
    assert_eq!(rows[0][5], "technical_and_commercial");

    // The zone is the sum of its feeders; the money of F2 has no input to stand against.
    let zone = product.get("/api/v1/nodes/Z/revenue?from=2026-03-01&to=2026-04-30");
    assert_eq!(zone["months"].as_array().unwrap().len(), 2, "{zone}");
    assert_eq!(zone["months"][1]["billed_inr"], "17605.00");
    close(
        "loss of what is known",
        &zone["months"][1]["loss_pct"],
        100.0 * 480.0 / 2_880.0,
    );
    let years: Vec<&str> = zone["years"]
        .as_array()
        .unwrap()
        .iter()
        .map(|year| year["period"].as_str().unwrap())
        .collect();
    assert_eq!(years, ["2025-26", "2026-27"]);
    let accounts = &zone["accounts"][0];
    assert_eq!(accounts["year"], "2025-26");
    assert!(
        (accounts["gap"].as_f64().unwrap() - 0.1322).abs() < 0.000_05,
        "{accounts}"
    );
    let (status, problem) = product.get_text("/api/v1/feeders/Z/revenue");
    assert_eq!(status, 400);
    assert!(problem.contains("Z is no feeder (zone)"), "{problem}");
}

#[test]
fn a_feeders_month_is_worked_out_from_files_and_stays_so() {
    let folder = tempfile::tempdir().unwrap();
    files(folder.path());
    let data = folder.path().join("data");
    let product = Product::start(&data, &SETTINGS);
    product.import_all(
        folder.path(),
        &[
            "nodes",
            "meters",
            "connections",
            "billing",
            "discom_accounts",
            "reads",
        ],
    );
    product.wait_applied();
    product.checkpoint();
    check(&product);
    product.kill();
    let product = Product::start(&data, &SETTINGS);
    product.wait_applied();
    check(&product);
    let versions = product.sql("SELECT COUNT(*) FROM feeder_revenue_monthly_history");
    product.checkpoint();
    assert_eq!(
        product.sql("SELECT COUNT(*) FROM feeder_revenue_monthly_history"),
        versions,
        "nothing changed, nothing is published"
    );
    assert!(product.interrupt().0 == Some(0));
}
