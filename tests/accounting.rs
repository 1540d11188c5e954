//! Energy accounting, prosumers by scheme, ranking and accountability on the real binary: a discom of two tied feeders, by hand.
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

use product::{
    Product,
    accounts::{self, APRIL, SETTINGS, end_of},
};
use serde_json::{Value, json};

fn close(what: &str, got: &Value, expected: f64) {
    let got = got.as_f64().unwrap_or_else(|| panic!("{what}: {got}"));
    assert!(
        (got - expected).abs() < 1e-9,
        "{what}: {got}, expected {expected}"
    );
}

fn accounting(product: &Product) {
    let path = "/api/v1/nodes/F1/accounting?from=2026-04-01&to=2026-04-30";
    let april = &product.get(path)["periods"][0];
    assert_eq!(
        (&april["from"], &april["period"]),
        (&json!("2026-04-01"), &json!("2026-04"))
    );
    // 2,880 kWh by its own meter and 720 over the tie; 3,060 billed. Of 21,600 demanded 21,000 came, 500 of them beyond a bill.
    close("input", &april["input_kwh"], 3_600.0);
    close("billing efficiency", &april["billing_efficiency_pct"], 85.0);
    assert_eq!(april["collected_inr"], "21500.00");
    assert_eq!(april["collected_current_inr"], "21000.00");
    close(
        "collection efficiency",
        &april["collection_efficiency_pct"],
        100.0 * 21_000.0 / 21_600.0,
    );
    close(
        "AT&C",
        &april["atc_loss_pct"],
        100.0 * (1.0 - 0.85 * (21_000.0 / 21_600.0)),
    );

    // The tie cancels above: 8,640 kWh in, 7,596 billed. May runs, so the quarter knows April alone.
    let quarter = product.get("/api/v1/nodes/D/accounting?from=2026-04-01&to=2026-05-12&resolution=quarter");
    let quarter = &quarter["periods"][0];
    assert_eq!(quarter["period"], "2026-27 Q1");
    close("known input", &quarter["input_known_kwh"], 8_640.0);
    close(
        "of the discom",
        &quarter["billing_efficiency_pct"],
        100.0 * 7_596.0 / 8_640.0,
    );
    let years = product.get("/api/v1/nodes/D/accounting?from=2026-03-01&resolution=year");
    let names: Vec<&Value> = years["periods"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| &row["period"])
        .collect();
    assert_eq!(names, ["2025-26", "2026-27"]);

    // SQL says the same, and what stands above is the sum of the feeders (BAL-1).
    let rows = product.sql(
        "SELECT node_id, input_kwh, billed_kwh, billed_inr, atc_loss_pct, feeders, feeders_known FROM energy_accounting_monthly \
         WHERE month = '2026-04-01' ORDER BY node_id",
    );
    let nodes: Vec<&Value> = rows.iter().map(|row| &row[0]).collect();
    assert_eq!(nodes, ["D", "F1", "F2", "S", "Z"]);
    assert_eq!(rows[1][4].as_f64(), april["atc_loss_pct"].as_f64());
    for above in [0, 3, 4] {
        close("input above", &rows[above][1], 8_640.0);
        assert_eq!(rows[above][3], "61920.00");
        assert_eq!((&rows[above][5], &rows[above][6]), (&json!(2), &json!(2)));
    }
    let (status, problem) = product.get_text("/api/v1/nodes/T1/accounting");
    assert_eq!(status, 400, "{problem}");
    let (_, _, csv) = product.get_as(path, "text/csv");
    assert!(csv.starts_with("from,period,feeder_months,"), "{csv}");
}

fn bands(product: &Product) {
    let bands = product.get("/api/v1/nodes/D/consumption-bands?from=2026-04-01&to=2026-04-30");
    assert_eq!(
        (&bands["kind"], &bands["low_max_kwh"]),
        (&json!("subdivision"), &json!(100.0))
    );
    let told: Vec<(String, i64, f64, String)> = bands["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            assert_eq!(row["node_id"], "S");
            let text = |name: &str| row[name].as_str().unwrap().to_owned();
            let kwh = row["billed_kwh"].as_f64().unwrap();
            (
                text("band"),
                row["consumers"].as_i64().unwrap(),
                kwh,
                text("billed_inr"),
            )
        })
        .collect();
    let row = |band: &str, consumers, kwh, inr: &str| (band.to_owned(), consumers, kwh, inr.to_owned());
    assert_eq!(
        told,
        [
            row("low", 1, 80.0, "500.00"),
            row("medium", 1, 250.0, "1600.00"),
            row("high", 2, 7_266.0, "59820.00"),
        ]
    );
    let rows = product.sql(
        "SELECT band, consumers, billed_kwh, billed_inr FROM consumption_bands_monthly \
         WHERE node_id = 'S' AND month = '2026-04-01' ORDER BY consumers, billed_kwh",
    );
    assert_eq!(rows[0], [json!("low"), json!(1), json!(80), json!("500.00")]);
    assert_eq!(rows[2][0], "high");
}

/// Month, scheme, and the energies of the prosumers below a node.
fn prosumers(product: &Product, node: &str) -> Vec<Value> {
    let answer = product.get(&format!(
        "/api/v1/nodes/{node}/prosumers?from=2026-04-01&to=2026-05-31"
    ));
    let names: Vec<&str> = answer["columns"]
        .as_array()
        .unwrap()
        .iter()
        .map(|column| column["name"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "node_id",
            "month",
            "scheme",
            "consumers",
            "import_wh",
            "export_wh",
            "billed_wh",
            "bought_wh",
            "brought_forward_wh",
            "carried_forward_wh",
            "intervals",
            "estimated_intervals"
        ]
    );
    let rows = answer["rows"].as_array().unwrap().iter();
    rows.map(|row| json!(row.as_array().unwrap()[1..11])).collect()
}

fn schemes(product: &Product) {
    let gross = json!([
        "2026-04-01",
        "gross_metering",
        1,
        1_728_000,
        288_000,
        1_728_000,
        288_000,
        0,
        0,
        5_760
    ]);
    let billing = json!([
        "2026-04-01",
        "net_billing",
        1,
        576_000,
        144_000,
        576_000,
        144_000,
        0,
        0,
        2_880
    ]);
    // 144 kWh more out than in are carried into May, where they take their part of 192.
    let april = json!([
        "2026-04-01",
        "net_metering",
        1,
        288_000,
        432_000,
        0,
        0,
        0,
        144_000,
        2_880
    ]);
    let may = json!([
        "2026-05-01",
        "net_metering",
        1,
        192_000,
        0,
        48_000,
        0,
        144_000,
        0,
        192
    ]);
    let expected = [gross, billing, april, may];
    for node in ["T2", "F2", "S", "D"] {
        assert_eq!(prosumers(product, node), expected, "at {node}");
    }
    assert!(prosumers(product, "F1").is_empty());
}

fn ranking(product: &Product) {
    // F1: 7.00 less 12 % against 21,600 / 3,600. F2: 8.00 less 12 % against 40,320 / 5,040.
    let worst = product.get("/api/v1/nodes/ranking?by=deviation");
    assert_eq!(
        (&worst["kind"], &worst["month"]),
        (&json!("feeder"), &json!("2026-04-01"))
    );
    let nodes = worst["nodes"].as_array().unwrap();
    assert_eq!(
        (&nodes[0]["node_id"], &nodes[1]["node_id"]),
        (&json!("F1"), &json!("F2"))
    );
    close("F1", &nodes[0]["deviation"], 6.16 - 6.0);
    close("F2", &nodes[1]["deviation"], 7.04 - 8.0);
    assert_eq!(
        (&nodes[0]["deviation_inr"], &nodes[1]["deviation_inr"]),
        (&json!("576.00"), &json!("-4838.40"))
    );
    // March: 2,976 kWh for 7,000; of F2 nothing was measured then.
    close("F1 before", &nodes[0]["before"], 6.16 - 7_000.0 / 2_976.0);
    close("F1 change", &nodes[0]["change"], 7_000.0 / 2_976.0 - 6.0);
    assert_eq!(nodes[1]["before"], Value::Null);
    let zones = product.get("/api/v1/nodes/ranking?by=deviation_inr&kind=zone&month=2026-04-15");
    let zone = &zones["nodes"][0];
    assert_eq!(
        (&zone["node_id"], &zone["deviation_inr"]),
        (&json!("Z"), &json!("-4262.40"))
    );
    close("per unit", &zone["deviation"], -4_262.4 / 8_640.0);
    let best = product.get("/api/v1/nodes/ranking?by=deviation&order=asc&top=1");
    assert_eq!(best["nodes"][0]["node_id"], "F2");
    let may = product.get("/api/v1/nodes/ranking?by=deviation&month=2026-05-01");
    assert_eq!((&may["nodes"], &may["not_ranked"]), (&json!([]), &json!(1)));
    let (status, problem) = product.get_text("/api/v1/nodes/ranking?by=deviation&kind=dt");
    assert_eq!(status, 400, "{problem}");
}

fn post(product: &Product, path: &str, body: &Value) -> (u16, Value) {
    product.post(path, "application/json", body.to_string().as_bytes())
}

/// A cause with its plan, then a version by which it is done, then one said by mistake and withdrawn.
fn say(product: &Product) {
    let path = "/api/v1/feeders/F1/actions";
    let mut body = json!({
        "person": "A. Rao", "month": "2026-04-01", "cause": "hooking in the old town",
        "mitigation": "armoured cable", "starts_on": "2026-04-20", "due_on": "2026-05-10"
    });
    let (status, first) = post(product, path, &body);
    assert_eq!(status, 200, "{first}");
    let overdue = product.get("/api/v1/nodes/Z/accountability?month=2026-04-01");
    let standing = &overdue["feeders"][0];
    assert_eq!(
        (&standing["open"], &standing["overdue"]),
        (&json!(1), &json!(1)),
        "{overdue}"
    );
    assert_eq!(standing["next_due_on"], "2026-05-10");
    body["action_id"] = first["action_id"].clone();
    body["status"] = json!("done");
    let (status, problem) = post(product, path, &body);
    assert_eq!(status, 400);
    assert!(
        problem["detail"].as_str().unwrap().contains("needs `done_on`"),
        "{problem}"
    );
    body["done_on"] = json!("2026-05-11");
    assert_eq!(post(product, path, &body).0, 200);
    let (status, problem) = post(product, "/api/v1/feeders/F2/actions", &body);
    assert_eq!(status, 400, "{problem}");

    let mistake = json!({ "person": "A. Rao", "month": "2026-04-01", "cause": "a slow meter" });
    let (status, second) = post(product, path, &mistake);
    assert_eq!(status, 200, "{second}");
    assert_ne!(second["action_id"], first["action_id"], "the clock stands still");
    let mut withdrawn = mistake.clone();
    withdrawn["action_id"] = second["action_id"].clone();
    withdrawn["status"] = json!("withdrawn");
    assert_eq!(post(product, path, &withdrawn).0, 200);

    let manager = json!({
        "person": "The superintending engineer", "manager": "K. Das", "valid_from": "2026-04-01T00:00:00+05:30"
    });
    assert_eq!(post(product, "/api/v1/feeders/F2/manager", &manager).0, 200);
    let (status, problem) = post(product, "/api/v1/feeders/Z/manager", &manager);
    assert_eq!(status, 400);
    assert!(
        problem["detail"].as_str().unwrap().contains("Z is no feeder"),
        "{problem}"
    );
}

fn said(product: &Product) {
    let f1 = product.get("/api/v1/feeders/F1/accountability");
    assert_eq!(f1["manager"]["manager"], "S. Iyer", "{f1}");
    assert_eq!(f1["managers"].as_array().unwrap().len(), 2);
    let actions = f1["actions"].as_array().unwrap();
    let done = actions.iter().find(|row| row["status"] == "done").unwrap();
    assert_eq!(
        (&done["version"], &done["done_on"]),
        (&json!(2), &json!("2026-05-11"))
    );
    let history: Vec<&Value> = done["history"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| &row["status"])
        .collect();
    assert_eq!(history, ["open", "done"], "nothing is edited in place");
    assert_eq!(
        actions.iter().filter(|row| row["status"] == "withdrawn").count(),
        1
    );
    // In April it was still his predecessor's; the withdrawn cause is not told.
    let april = product.get("/api/v1/nodes/Z/accountability?month=2026-04-01");
    let feeders = april["feeders"].as_array().unwrap();
    assert_eq!(feeders[0]["manager"], "A. Rao");
    assert_eq!(feeders[0]["causes"], "hooking in the old town");
    close("deviation", &feeders[0]["deviation"], 6.16 - 6.0);
    assert_eq!(
        (&feeders[1]["manager"], &feeders[1]["open"]),
        (&json!("K. Das"), &json!(0))
    );
}

fn said_in_sql(product: &Product) {
    let rows = product.sql("SELECT status, COUNT(*) FROM feeder_actions GROUP BY status ORDER BY status");
    assert_eq!(rows, [[json!("done"), json!(1)], [json!("withdrawn"), json!(1)]]);
    assert_eq!(
        product.sql_number("SELECT COUNT(*) FROM feeder_actions_history"),
        4
    );
    let rows = product.sql(
        "SELECT manager, source FROM feeder_managers_as_of('2026-04-15T00:00:00+05:30') ORDER BY feeder_id",
    );
    assert_eq!(rows[0], [json!("A. Rao"), json!("file:feeder_managers.csv")]);
    assert_eq!(
        rows[1],
        [json!("K. Das"), json!("person:The superintending engineer")]
    );
}

#[test]
fn a_discom_of_two_feeders_is_accounted_for_by_hand_and_after_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let product = accounts::start(folder.path());
    accounting(&product);
    bands(&product);
    schemes(&product);
    ranking(&product);
    say(&product);
    said(&product);
    product.kill();

    let data = folder.path().join("data");
    let product = Product::start(&data, &SETTINGS);
    product.wait_applied();
    said(&product);
    product.checkpoint();
    said_in_sql(&product);
    accounting(&product);
    bands(&product);
    schemes(&product);
    let versions = product.sql("SELECT COUNT(*) FROM energy_accounting_monthly_history");

    // A read is corrected: 500 Wh more, which is told of the prosumer as of every balance.
    let late = format!(
        "meter_id,interval_end,import_wh,export_wh,revision\nP2,{},700,50,1\n",
        end_of(APRIL * 96 + 40)
    );
    let path = folder.path().join("reads.csv");
    std::fs::write(&path, late).unwrap();
    product.import(&path);
    product.wait_applied();
    product.checkpoint();
    assert_eq!(prosumers(&product, "D")[1][3], json!(576_500));
    assert_eq!(
        product.sql("SELECT COUNT(*) FROM energy_accounting_monthly_history"),
        versions,
        "a consumer's read changes neither input nor bills"
    );
    assert!(product.interrupt().0 == Some(0));
}
