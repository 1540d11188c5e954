//! The stream, metrics and health.

use std::time::Duration;

use crate::{
    client::{Events, ask},
    instance::Instance,
};

const LATE: &str = "meter_id,interval_end,import_wh\nC2,2026-04-01T00:30:00+05:30,400\n";

#[tokio::test]
async fn the_stream_tells_summaries_and_changed_balances() {
    let instance = Instance::full().await;
    let mut events = Events::open(instance.http, None).await;
    let summary = events.named("summary").await;
    assert_eq!(summary.data["day"], "2026-04-01");
    assert_eq!(summary.id, None);
    assert_eq!(instance.import("reads", LATE).await.status, 200);
    let balances = events.named("balances").await;
    let feeder = &balances.data["feeders"][0];
    assert_eq!(
        (feeder["node_id"].as_str(), feeder["loss_pct"].as_f64()),
        (Some("F1"), Some(10.0)),
        "{feeder:#}"
    );
    assert_eq!(feeder["interval_end"], "2026-04-01T00:30:00+05:30");
    assert_eq!(feeder["worst_dt"]["node_id"], "T1");
    assert!(balances.id.is_some());
}

#[tokio::test]
async fn a_listener_that_comes_back_gets_what_it_missed() {
    let instance = Instance::full().await;
    let mut events = Events::open(instance.http, None).await;
    events.named("summary").await;
    assert_eq!(instance.import("reads", LATE).await.status, 200);
    let seen = events.named("balances").await.id.unwrap();
    drop(events);
    let correction = "meter_id,interval_end,import_wh,revision\nC2,2026-04-01T00:30:00+05:30,300,1\n";
    assert_eq!(instance.import("reads", correction).await.status, 200);
    let mut events = Events::open(instance.http, Some(&seen)).await;
    let missed = events.named("balances").await;
    assert_eq!(missed.data["feeders"][0]["loss_pct"], 20.0, "1,000 in, 800 out");
    assert_ne!(missed.id.unwrap(), seen);
}

#[tokio::test]
async fn a_listener_from_another_time_is_told_to_look_anew() {
    let instance = Instance::full().await;
    for strange in ["0-7", "never", "ffffffffffffffffff-1"] {
        let mut events = Events::open(instance.http, Some(strange)).await;
        events.named("reset").await;
    }
}

#[tokio::test]
async fn streams_have_a_bound() {
    let instance = Instance::with(|settings| settings.streams_max = 1).await;
    let mut first = Events::open(instance.http, None).await;
    first.named("summary").await;
    let detail = instance.get("/api/v1/stream").await.problem(429, "too-many");
    assert!(detail.contains("1 event streams"), "{detail}");
}

#[tokio::test]
async fn the_end_of_the_server_ends_open_streams_within_seconds() {
    let instance = Instance::full().await;
    let mut events = Events::open(instance.http, None).await;
    events.named("summary").await;
    let started = tokio::time::Instant::now();
    instance.end().await;
    assert!(
        started.elapsed() < Duration::from_secs(5),
        "{:?}",
        started.elapsed()
    );
    while events.next().await.is_some() {}
}

#[tokio::test]
async fn metrics_have_the_invariants_and_the_requests() {
    let instance = Instance::full().await;
    instance.get("/api/v1/nodes/F1").await;
    let answer = instance.get("/metrics").await;
    assert!(
        answer.header("content-type").starts_with("text/plain"),
        "{:?}",
        answer.headers
    );
    let text = answer.text();
    for line in [
        "gridtally_reads_unaccounted 0",
        "gridtally_registers_unaccounted 0",
        "gridtally_events_unaccounted 0",
        "gridtally_applied_total{what=\"reads\"} 7",
        "gridtally_applied_total{what=\"reads_accepted\"} 7",
        "gridtally_up 1",
        "gridtally_tables_steps_total{step=\"compaction\"} 0",
        "gridtally_http_requests_total{route=\"/api/v1/nodes/{id}\",method=\"GET\",status=\"200\"} 1",
        "gridtally_http_request_seconds_count{route=\"/api/v1/import/{kind}\",method=\"POST\"} 4",
    ] {
        assert!(text.lines().any(|found| found == line), "no `{line}` in:\n{text}");
    }
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').expect("name and value");
        assert!(
            name.starts_with("gridtally_") && value.parse::<f64>().is_ok(),
            "{line}"
        );
    }
}

#[tokio::test]
async fn readiness_says_why_it_is_not() {
    let instance = Instance::empty().await;
    assert_eq!(instance.get("/livez").await.status, 200);
    let ready = instance.get("/readyz").await;
    assert_eq!((ready.status, ready.json()["ready"].as_bool()), (200, Some(true)));
    instance.engine.stop().await.unwrap();
    let answer = ask(instance.http, "POST", "/api/v1/checkpoint", &[], b"").await;
    answer.problem(503, "unavailable");
}
