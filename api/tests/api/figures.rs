//! Balances, nodes, rankings and data quality: numbers worked by hand, in every form.

use serde_json::{Value, json};

use crate::{client::ask, instance::Instance};

const INTERVALS: &str = "balance?from=2026-04-01T00:00:00%2B05:30&to=2026-04-01T00:30:00%2B05:30";

/// Compares the named fields.
#[track_caller]
fn check(found: &Value, expected: &Value) {
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(&found[field], value, "field {field} of {found:#}");
    }
}

#[tokio::test]
async fn dt_balance_by_interval_is_as_worked_by_hand() {
    let instance = Instance::full().await;
    let answer = instance
        .get(&format!("/api/v1/nodes/T1/{INTERVALS}"))
        .await
        .json();
    check(
        &answer["node"],
        &json!({ "node_id": "T1", "kind": "dt", "name": "Bazaar" }),
    );
    check(
        &answer,
        &json!({ "resolution": "interval", "from": "2026-04-01T00:00:00+05:30", "zone": "Asia/Kolkata" }),
    );
    let rows = answer["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 2, "{answer:#}");
    check(
        &rows[0],
        &json!({
            "interval_end": "2026-04-01T00:15:00+05:30", "interval_minutes": 15, "dt_import_wh": 950, "dt_export_wh": 0,
            "consumer_import_wh": 900, "consumer_export_wh": 0, "unmetered_wh": 0, "injected_wh": 950, "delivered_wh": 900,
            "loss_wh": 50, "loss_pct": 5.263, "loss_bound_wh": 0, "loss_bound_above_wh": 0, "loss_low_pct": 5.263, "loss_high_pct": 5.263,
            "meters_expected": 3, "meters_reported": 3, "meters_estimated": 0, "coverage_pct": 100.0, "loss_shown": true,
            "not_shown_because": null, "attention": "normal", "ht_loss_wh": null, "lt_loss_wh": 50,
        }),
    );
    assert!(
        rows[0].get("feeder_import_wh").is_none(),
        "a DT has no columns of a feeder"
    );
}

#[tokio::test]
async fn a_balance_of_a_day_that_waits_in_the_tables_alone_is_brought_back_once_and_is_the_same() {
    let path = format!("/api/v1/nodes/T1/{INTERVALS}&resolution=interval");
    let warm = Instance::full().await.get(&path).await.json();
    let cold = Instance::cold().await;
    let paged = |cold: &Instance| cold.engine.progress().paged;
    let out = paged(&cold);
    assert!(out.feeder_days_out > 0 && out.block_days_out > 0, "{out:?}");
    assert_eq!(out.page_ins, 0);
    let figures = |answer: &Value| {
        let mut rows = answer["rows"].as_array().unwrap().clone();
        assert_eq!(rows.len(), 2, "{answer:#}");
        for row in &mut rows {
            // Days later it is final, and published.
            let row = row.as_object_mut().unwrap();
            row.retain(|field, _| field != "status" && field != "version");
        }
        rows
    };
    for _ in 0..2 {
        let answer = cold.get(&path).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(figures(&answer.json()), figures(&warm));
        assert_eq!(paged(&cold).page_ins, 1, "the second look finds it in memory");
    }
    assert_eq!(paged(&cold).feeder_days_out, out.feeder_days_out - 1);
}

#[tokio::test]
async fn loss_below_the_coverage_threshold_is_null_and_its_band_is_given() {
    let instance = Instance::full().await;
    let answer = instance
        .get(&format!("/api/v1/nodes/T1/{INTERVALS}"))
        .await
        .json();
    let row = &answer["rows"][1];
    // C2, 2 kW, did not report: in a quarter of an hour it drew 500 Wh at most.
    check(
        row,
        &json!({
            "interval_end": "2026-04-01T00:30:00+05:30", "injected_wh": 950, "delivered_wh": 500, "loss_wh": null,
            "loss_pct": null, "lt_loss_wh": null, "loss_bound_wh": 500, "loss_bound_above_wh": 0, "loss_high_pct": 47.368, "loss_low_pct": -5.263,
            "meters_expected": 3, "meters_reported": 2, "coverage_pct": 66.667, "loss_shown": false, "attention": "unknown",
            "not_shown_because": "coverage of 66.7 % is below 95 %",
        }),
    );
    assert_eq!(answer["coverage_threshold_pct"], 95.0);
    assert_eq!(
        answer["total"]["loss_wh"],
        Value::Null,
        "5 of 6 reads are below the threshold too"
    );
    assert!(row["status"].is_string(), "BAL-2: a balance has a status");
}

#[tokio::test]
async fn feeder_balance_and_the_level_above_agree() {
    let instance = Instance::full().await;
    let feeder = instance
        .get(&format!("/api/v1/nodes/F1/{INTERVALS}"))
        .await
        .json();
    check(
        &feeder["rows"][0],
        &json!({
            "feeder_import_wh": 1000, "feeder_export_wh": 0, "boundary_in_wh": 0, "input_wh": 1000, "dt_input_wh": 950,
            "ht_loss_wh": 50, "lt_loss_wh": 50, "loss_wh": 100, "loss_pct": 10.0, "attention": "watch", "dt_metered": 1,
            "dt_total": 1, "meters_expected": 4,
        }),
    );
    let above = instance
        .get(&format!("/api/v1/nodes/D1/{INTERVALS}"))
        .await
        .json();
    for field in [
        "input_wh",
        "injected_wh",
        "delivered_wh",
        "loss_wh",
        "ht_loss_wh",
        "lt_loss_wh",
        "meters_expected",
    ] {
        assert_eq!(
            above["rows"][0][field], feeder["rows"][0][field],
            "BAL-1: {field}"
        );
    }
}

#[tokio::test]
async fn days_and_months_sum_their_intervals() {
    let instance = Instance::full().await;
    for (resolution, field, value) in [("day", "day", "2026-04-01"), ("month", "month", "2026-04-01")] {
        let answer = instance
            .get(&format!("/api/v1/nodes/T1/balance?resolution={resolution}"))
            .await
            .json();
        let rows = answer["rows"].as_array().unwrap();
        assert_eq!(rows.len(), 1, "{answer:#}");
        check(
            &rows[0],
            &json!({ field: value, "injected_wh": 1900, "delivered_wh": 1400, "meters_expected": 6, "meters_reported": 5 }),
        );
    }
}

#[tokio::test]
async fn balance_as_csv_and_as_arrow_say_what_json_says() {
    let instance = Instance::full().await;
    let path = format!("/api/v1/nodes/T1/{INTERVALS}");
    let csv = ask(instance.http, "GET", &path, &[("accept", "text/csv")], b"").await;
    assert!(
        csv.header("content-type").starts_with("text/csv"),
        "{:?}",
        csv.headers
    );
    assert_eq!(
        csv.header("content-disposition"),
        "inline; filename=\"T1-interval.csv\""
    );
    let text = csv.text();
    let mut lines = text.lines();
    assert!(
        lines
            .next()
            .unwrap()
            .starts_with("interval_end,interval_minutes,dt_import_wh,dt_export_wh,consumer_import_wh")
    );
    assert!(
        lines
            .next()
            .unwrap()
            .starts_with("2026-04-01T00:15:00+05:30,15,950,0,900,0,0,"),
        "{text}"
    );
    let arrow = ask(
        instance.http,
        "GET",
        &path,
        &[("accept", "application/vnd.apache.arrow.stream")],
        b"",
    )
    .await;
    let reader = arrow::ipc::reader::StreamReader::try_new(arrow.body.as_slice(), None).unwrap();
    let batches: Vec<_> = reader.map(Result::unwrap).collect();
    let column = batches[0].column_by_name("loss_wh").unwrap();
    let losses = arrow::array::AsArray::as_primitive::<arrow::datatypes::Int64Type>(column);
    assert_eq!(losses.iter().collect::<Vec<_>>(), [Some(50), None]);
    let ends = batches[0].column_by_name("interval_end").unwrap();
    let ends = arrow::array::AsArray::as_primitive::<arrow::datatypes::TimestampMicrosecondType>(ends);
    assert_eq!(ends.value(0), 1_774_982_700_000_000, "2026-03-31T18:45:00Z");
}

#[tokio::test]
async fn nodes_are_found_by_id_and_name_a_page_at_a_time() {
    let instance = Instance::full().await;
    let found = instance.get("/api/v1/nodes?q=town&kind=feeder").await.json();
    check(
        &found["nodes"][0],
        &json!({ "node_id": "F1", "name": "Town, east <b>", "parent_id": "D1", "children": 1, "area_class": "urban" }),
    );
    let first = instance.get("/api/v1/nodes?limit=2").await.json();
    assert_eq!(first["next_cursor"], "F1");
    let second = instance.get("/api/v1/nodes?limit=2&cursor=F1").await.json();
    assert_eq!(second["nodes"][0]["node_id"], "T1");
    assert_eq!(second["next_cursor"], Value::Null);
    let csv = ask(
        instance.http,
        "GET",
        "/api/v1/nodes",
        &[("accept", "text/csv")],
        b"",
    )
    .await
    .text();
    assert!(csv.contains("F1,feeder,\"Town, east <b>\",D1,urban"), "{csv}");
}

#[tokio::test]
async fn places_are_nodes_with_coordinates_from_the_top_down() {
    let instance = Instance::full().await;
    let none = instance.get("/api/v1/places").await.json();
    check(
        &none,
        &json!({ "places": [], "dts_not_placed": 1, "left_out": 0 }),
    );
    let nodes = "node_id,kind,parent_id,name,lat,lon,valid_from\n\
        F1,feeder,D1,Town,19.1,72.8,2026-02-01T00:00:00+05:30\n\
        T1,dt,F1,Bazaar,19.2,72.9,2026-02-01T00:00:00+05:30\n";
    instance.import("nodes", nodes).await;
    let all = instance.get("/api/v1/places?day=2026-04-01").await.json();
    let feeder = json!({ "node_id": "F1", "kind": "feeder", "name": "Town", "parent_id": "D1", "lat": 19.1, "lon": 72.8 });
    check(&all["places"][0], &feeder);
    check(
        &all["places"][1],
        &json!({ "node_id": "T1", "parent_id": "F1", "lat": 19.2, "attention": "unknown" }),
    );
    let one = instance.get("/api/v1/places?limit=1").await.json();
    assert_eq!(one["places"].as_array().unwrap().len(), 1);
    assert_eq!(one["left_out"], 1);
    let under = instance.get("/api/v1/places?under=T1").await.json();
    assert_eq!(under["places"].as_array().unwrap().len(), 1);
    assert_eq!(instance.get("/api/v1/places?under=T9").await.status, 404);
}

#[tokio::test]
async fn consumers_are_found_by_the_begin_of_their_own_or_their_meters_number() {
    let instance = Instance::full().await;
    let found = instance.get("/api/v1/consumers?q=u").await.json();
    assert_eq!(found["consumers"].as_array().unwrap().len(), 2);
    let first = json!({ "consumer_id": "U1", "meter_id": "C1", "node_id": "T1", "node_name": "Bazaar", "supply": "LT", "sanctioned_load_kw": 2.0 });
    check(&found["consumers"][0], &first);
    let by_meter = instance.get("/api/v1/consumers?q=c2").await.json();
    check(&by_meter["consumers"][0], &json!({ "consumer_id": "U2" }));
    let one = instance.get("/api/v1/consumers?q=U&limit=1").await.json();
    assert_eq!(
        (one["consumers"].as_array().unwrap().len(), &one["more"]),
        (1, &json!(true))
    );
    let nobody = instance.get("/api/v1/consumers?q=X").await.json();
    assert_eq!(nobody, json!({ "consumers": [], "more": false }));
    assert_eq!(instance.get("/api/v1/consumers").await.status, 400);
}

#[tokio::test]
async fn a_node_comes_with_the_way_to_it() {
    let instance = Instance::full().await;
    let node = instance.get("/api/v1/nodes/T1?day=2026-04-01").await.json();
    check(
        &node,
        &json!({ "node_id": "T1", "kind": "dt", "capacity_kva": 100.0, "day": "2026-04-01", "children": 0 }),
    );
    let ids: Vec<&str> = node["ancestors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|above| above["node_id"].as_str().unwrap())
        .collect();
    assert_eq!(ids, ["D1", "F1"]);
    let top = instance.get("/api/v1/nodes/-/children").await.json();
    assert_eq!(top["nodes"][0]["node_id"], "D1");
    let below = instance.get("/api/v1/nodes/F1/children").await.json();
    assert_eq!(below["nodes"][0]["node_id"], "T1");
}

#[tokio::test]
async fn ranking_leaves_out_what_is_not_shown_and_says_how_many() {
    let instance = Instance::full().await;
    let ranking = instance
        .get("/api/v1/nodes/ranking?kind=dt&day=2026-04-01")
        .await
        .json();
    assert_eq!(
        ranking["nodes"],
        json!([]),
        "5 of 6 reads are below the threshold"
    );
    assert_eq!(ranking["not_ranked"], 1);
    let late = "meter_id,interval_end,import_wh\nC2,2026-04-01T00:30:00+05:30,400\n";
    assert_eq!(instance.import("reads", late).await.status, 200);
    let ranking = instance
        .get("/api/v1/nodes/ranking?kind=dt&by=loss_pct&top=5&order=desc&under=D1")
        .await
        .json();
    check(
        &ranking["nodes"][0],
        &json!({ "node_id": "T1", "loss_wh": 100, "loss_pct": 5.263 }),
    );
    assert_eq!(ranking["not_ranked"], 0);
}

#[tokio::test]
async fn data_quality_counts_what_is_missing_and_what_waits() {
    let instance = Instance::full().await;
    let unknown =
        "meter_id,interval_end,import_wh\nX9,2026-04-01T00:15:00+05:30,1\nC1,2026-04-01T00:20:00+05:30,1\n";
    assert_eq!(instance.import("reads", unknown).await.status, 200);
    for path in [
        "/api/v1/data-quality",
        "/api/v1/data-quality?node=F1&day=2026-04-01",
    ] {
        let quality = instance.get(path).await.json();
        check(
            &quality,
            &json!({ "expected": 8, "reported": 7, "missing": 1, "completeness_pct": 87.5, "estimated": 0 }),
        );
        assert_eq!(
            quality["quarantined"],
            json!({ "off_interval_grid": 1, "unknown_meter": 1 })
        );
    }
}

#[tokio::test]
async fn reads_of_a_closed_day_are_counted_by_when_they_came() {
    let instance = Instance::full().await;
    let early = "meter_id,interval_end,import_wh\n\
        C1,2026-03-30T12:15:00+05:30,1\nMT,2026-03-31T12:00:00+05:30,2\nC2,2026-03-31T12:00:00+05:30,2\n";
    assert_eq!(instance.import("reads", early).await.status, 200);
    // Received half an hour after the end of the 31st, and 24.5 hours after the end of the 30th.
    let arrival = async |query: &str| {
        let path = format!("/api/v1/data-quality?{query}");
        instance.get(&path).await.json()["arrival"].clone()
    };
    check(
        &arrival("node=T1&day=2026-03-30").await,
        &json!({ "expected": 288, "by_24h": 0, "later": 1, "missing": 96, "estimated": 191, "by_8h_pct": 0.0 }),
    );
    check(
        &arrival("day=2026-03-31").await,
        &json!({ "expected": 384, "by_8h": 2, "by_12h": 2, "by_24h": 2, "later": 0, "missing": 382 }),
    );
    assert_eq!(
        arrival("node=F1&day=2026-04-01").await,
        json!(null),
        "that day is open"
    );
    assert_eq!(
        arrival("node=F1&day=2026-03-29").await,
        json!(null),
        "nothing was heard yet"
    );
}

#[tokio::test]
async fn summary_has_positions_network_and_the_loss_of_today() {
    let instance = Instance::full().await;
    let summary = instance.get("/api/v1/summary").await.json();
    check(
        &summary,
        &json!({ "now": "2026-04-01T00:30:00+05:30", "zone": "Asia/Kolkata", "day": "2026-04-01", "reads_applied": 7, "quarantined": 0 }),
    );
    check(
        &summary["network"],
        &json!({ "feeders": 1, "dts": 1, "nodes": 3, "meters": 4, "connections": 2 }),
    );
    check(
        &summary["completeness_today"],
        &json!({ "expected": 8, "reported": 7, "pct": 87.5 }),
    );
    check(
        &summary["loss_today"],
        &json!({ "loss_pct": null, "loss_shown": false, "coverage_pct": 87.5, "loss_bound_wh": 500 }),
    );
    assert_eq!(summary["newest_interval_end"], "2026-04-01T00:30:00+05:30");
    assert_eq!(summary["roots"][0]["node_id"], "D1");
    assert_eq!(
        summary["log_position"], summary["applied_position"],
        "an import answers when it is applied"
    );
    check(
        &summary,
        &json!({ "open_outages": 0, "consumers_without_supply": 0 }),
    );
}

#[tokio::test]
async fn usage_of_a_consumer_is_as_worked_by_hand() {
    let instance = Instance::full().await;
    let answer = instance
        .get("/api/v1/consumers/U1/usage?from=2026-04-01&to=2026-04-02")
        .await
        .json();
    check(
        &answer,
        &json!({ "consumer_id": "U1", "meters": ["C1"], "resolution": "interval", "zone": "Asia/Kolkata", "bills": [] }),
    );
    check(
        &answer["rows"][1],
        &json!({
            "interval_end": "2026-04-01T00:30:00+05:30", "interval_minutes": 15, "import_wh": 500, "export_wh": null,
            "intervals_expected": 1, "intervals_reported": 1, "intervals_estimated": 0, "intervals_missing": 0,
            "coverage_pct": 100.0, "estimated_pct": 0.0, "quality": "actual", "voltage_v": null,
        }),
    );
    // The interval that U2 did not report is not closed yet: nothing is missing of it.
    let other = instance
        .get("/api/v1/consumers/U2/usage?resolution=day")
        .await
        .json();
    check(
        &other["total"],
        &json!({ "import_wh": 400, "intervals_expected": 1, "intervals_missing": 0 }),
    );
    assert_eq!(other["rows"][0]["day"], "2026-04-01");
    let nobody = instance.get("/api/v1/consumers/U9/usage").await;
    assert_eq!(nobody.status, 404, "{}", nobody.text());
    assert_eq!(nobody.json()["type"], "/docs#unknown-consumer");
}
