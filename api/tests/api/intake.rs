//! Imports, checkpoints, SQL.

use serde_json::json;

use crate::{
    client::ask,
    instance::{Instance, NODES},
};

#[tokio::test]
async fn refused_rows_are_named_and_the_others_stand() {
    let instance = Instance::empty().await;
    let file = format!("{NODES}T2,transformer,F1,Ghat,,,2026-01-01T00:00:00+05:30\n");
    let answer = instance.import("nodes", &file).await;
    assert_eq!(answer.status, 422, "{}", answer.text());
    let report = answer.json();
    assert_eq!(report["rows_accepted"], 3);
    assert_eq!(report["rows_refused"], 1);
    let error = &report["errors"][0];
    assert_eq!(
        (&error["file"], &error["line"], &error["column"]),
        (&json!("nodes.csv"), &json!(5), &json!("kind")),
        "{error}"
    );
    assert!(error["reason"].as_str().is_some_and(|reason| !reason.is_empty()));
    assert!(report["applied_position"].as_u64() >= report["log_position"].as_u64());
    assert_eq!(
        instance.get("/api/v1/nodes/T1").await.status,
        200,
        "applied when answered"
    );
}

#[tokio::test]
async fn importing_a_file_again_changes_nothing() {
    let instance = Instance::full().await;
    let before = instance.get("/api/v1/nodes/D1").await;
    assert_eq!(instance.import("nodes", NODES).await.status, 200);
    assert_eq!(instance.get("/api/v1/nodes/D1").await.text(), before.text());
}

#[tokio::test]
async fn a_file_that_does_not_fit_as_a_whole_is_refused() {
    let instance = Instance::empty().await;
    let detail = instance
        .import("nodes", "node_id,colour\nD1,red\n")
        .await
        .problem(400, "bad-body");
    assert!(detail.contains("colour"), "{detail}");
    instance.import("nodes", "").await.problem(400, "bad-body");
    let detail = instance
        .import("bills", NODES)
        .await
        .problem(400, "bad-parameter");
    assert!(
        detail.contains("kind") && detail.contains("connections"),
        "{detail}"
    );
    let parquet = [("content-type", "application/vnd.apache.parquet")];
    ask(
        instance.http,
        "POST",
        "/api/v1/import/nodes",
        &parquet,
        b"PAR1 and no more",
    )
    .await
    .problem(400, "bad-body");
    let html = [("content-type", "text/html")];
    ask(instance.http, "POST", "/api/v1/import/nodes", &html, b"<p>")
        .await
        .problem(415, "wrong-media-type");
}

#[tokio::test]
async fn the_first_bytes_tell_parquet_where_no_content_type_does() {
    let instance = Instance::empty().await;
    let detail = ask(instance.http, "POST", "/api/v1/import/nodes", &[], b"PAR1....")
        .await
        .problem(400, "bad-body");
    assert!(!detail.contains("header"), "taken for Parquet: {detail}");
    let plain = ask(
        instance.http,
        "POST",
        "/api/v1/import/nodes",
        &[],
        NODES.as_bytes(),
    )
    .await;
    assert_eq!(plain.status, 200, "{}", plain.text());
    assert_eq!(plain.json()["file"], "nodes");
}

#[tokio::test]
async fn a_file_beyond_the_limit_is_refused_announced_or_not() {
    let instance = Instance::with(|settings| settings.import_bytes_max = 64).await;
    let detail = instance.import("nodes", NODES).await.problem(413, "too-large");
    assert!(detail.contains("64 bytes"), "{detail}");
    let chunked = [("content-type", "text/csv"), ("transfer-encoding", "chunked")];
    let body = format!("{:x}\r\n{NODES}\r\n0\r\n\r\n", NODES.len());
    // `ask` would announce a length; a chunked body goes out by hand.
    let answer = crate::client::ask_raw(
        instance.http,
        "POST",
        "/api/v1/import/nodes",
        &chunked,
        body.as_bytes(),
    )
    .await;
    answer.problem(413, "too-large");
}

#[tokio::test]
async fn a_checkpoint_publishes_what_was_imported() {
    let instance = Instance::full().await;
    let answer = ask(instance.http, "POST", "/api/v1/checkpoint", &[], b"").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let checkpoint = answer.json();
    assert_eq!(checkpoint["published_position"], checkpoint["log_position"]);
    let summary = instance.get("/api/v1/summary").await.json();
    assert_eq!(summary["published_position"], checkpoint["log_position"]);
    assert_eq!(summary["published_at"], "2026-04-01T00:30:00+05:30");
    let row = instance
        .get("/api/v1/nodes/T1/balance?from=2026-04-01")
        .await
        .json()["rows"][0]
        .clone();
    assert_eq!(
        (&row["version"], &row["status"]),
        (&json!(1), &json!("provisional")),
        "{row}"
    );
}

#[tokio::test]
async fn a_statement_that_would_write_is_refused() {
    let instance = Instance::empty().await;
    let json_body = [("content-type", "application/json")];
    let post = |body: &'static str| ask(instance.http, "POST", "/api/v1/sql", &json_body, body.as_bytes());
    post(r#"{"query":"DROP TABLE nodes"}"#)
        .await
        .problem(400, "bad-query");
    let detail = post(r#"{"query":1}"#).await.problem(400, "bad-body");
    assert!(detail.contains("query"), "{detail}");
    post(r#"{"query":"SELECT 1","format":"xml"}"#)
        .await
        .problem(400, "bad-body");
}

const EDIT: &str = r#"{"person":"A. Kulkarni","reason":"meter wet, read from the check meter",
    "edits":[{"meter_id":"C2","interval_end":"2026-04-01T00:30:00+05:30","import_wh":430}]}"#;

#[tokio::test]
async fn an_edit_stands_above_what_the_meter_says_and_beneath_a_later_edit() {
    let instance = Instance::full().await;
    let answer = ask(instance.http, "POST", "/api/v1/edits", &[], EDIT.as_bytes()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let edited = answer.json();
    assert_eq!(edited["edits"], 1);
    assert!(edited["applied_position"].as_u64() >= edited["log_position"].as_u64());
    let loss = async || {
        let balance = instance
            .get("/api/v1/nodes/T1/balance?from=2026-04-01")
            .await
            .json();
        (
            balance["rows"][1]["loss_wh"].clone(),
            balance["rows"][1]["coverage_pct"].clone(),
        )
    };
    assert_eq!(loss().await, (json!(950 - 500 - 430), json!(100.0)));
    let late = "meter_id,interval_end,import_wh,revision\nC2,2026-04-01T00:30:00+05:30,777,9\n";
    assert_eq!(instance.import("reads", late).await.status, 200);
    assert_eq!(
        loss().await.0,
        json!(20),
        "an actual read does not replace an edit"
    );
}

#[tokio::test]
async fn an_edit_that_cannot_stand_is_refused_whole_with_the_reason() {
    let instance = Instance::full().await;
    let refused = async |body: &str| {
        let answer = ask(instance.http, "POST", "/api/v1/edits", &[], body.as_bytes()).await;
        answer.problem(400, "bad-body")
    };
    let but = |from: &str, to: &str| EDIT.replace(from, to);
    for (body, reason) in [
        (but("C2", "C9"), "edit 1 (meter C9): no `meters` row names it"),
        (but("A. Kulkarni", ""), "`person` is empty"),
        (but("430", "-1"), "-1 Wh is not between"),
        (but("00:30:00", "00:31:00"), "not the end of a quarter hour"),
        (but("2026-04-01T00:30", "2026-04-01T00:45"), "has not ended yet"),
        (but("2026-04-01T00:30", "2025-04-01T00:30"), "not in service"),
        (but("import_wh", "energy"), "unknown field `energy`"),
    ] {
        let detail = refused(&body).await;
        assert!(detail.contains(reason), "{detail}");
    }
    let before = instance.get("/api/v1/summary").await.json()["log_position"].clone();
    refused(&but(
        "}]}",
        "},{\"meter_id\":\"C9\",\"interval_end\":\"2026-04-01T00:30:00+05:30\",\"import_wh\":1}]}",
    ))
    .await;
    let after = instance.get("/api/v1/summary").await.json()["log_position"].clone();
    assert_eq!(before, after, "none of the edits stands");
}

#[tokio::test]
async fn what_waits_in_quarantine_is_listed_by_meter_and_reason_and_stays_when_nothing_made_it_good() {
    let instance = Instance::full().await;
    let waiting =
        "meter_id,interval_end,import_wh\nX9,2026-04-01T00:15:00+05:30,1\nC1,2026-04-01T00:20:00+05:30,7\n";
    assert_eq!(instance.import("reads", waiting).await.status, 200);
    let list = async |query: &str| instance.get(&format!("/api/v1/quarantine{query}")).await.json();
    assert_eq!(list("").await["waiting"], 0, "not published yet");
    let replayed = ask(instance.http, "POST", "/api/v1/quarantine/replay", &[], b"{}").await;
    assert_eq!(replayed.status, 200, "{}", replayed.text());
    let replayed = replayed.json();
    assert_eq!(
        (
            &replayed["judged"],
            &replayed["released"],
            &replayed["log_position"]
        ),
        (&json!(2), &json!(0), &json!(null))
    );
    assert_eq!(replayed["stay"]["off_interval_grid"], 1, "{replayed}");
    let all = list("").await;
    assert_eq!((&all["waiting"], &all["next_cursor"]), (&json!(2), &json!(null)));
    for (query, meter, reason) in [
        ("?meter=C1", "C1", "off_interval_grid"),
        ("?reason=unknown_meter", "X9", "unknown_meter"),
    ] {
        let found = list(query).await;
        let row = &found["rows"][0];
        assert_eq!(
            (&found["waiting"], &row["meter_id"], &row["reason"]),
            (&json!(1), &json!(meter), &json!(reason))
        );
        assert!(
            row["payload"]
                .as_str()
                .is_some_and(|text| text.contains("import_wh")),
            "{row}"
        );
    }
    let first = list("?limit=1").await;
    let cursor = first["next_cursor"].as_str().unwrap().to_owned();
    let second = list(&format!("?limit=1&cursor={cursor}")).await;
    assert_ne!(
        first["rows"][0]["exception_id"],
        second["rows"][0]["exception_id"]
    );
    assert_eq!(second["next_cursor"], json!(null));
    instance
        .get("/api/v1/quarantine?cursor=1")
        .await
        .problem(400, "bad-parameter");
    ask(
        instance.http,
        "POST",
        "/api/v1/quarantine/replay",
        &[],
        br#"{"metre":"C1"}"#,
    )
    .await
    .problem(400, "bad-body");
}
