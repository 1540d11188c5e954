//! Outages on the real binary: power events over MQTT by DT, cut-offs and lost communication beside them. The outage appears on the
//! routes and the stream, grows to the feeder under its id, takes the crew's word and is restored; SQL agrees with the routes; `kill -9`
//! before and after publication changes nothing (OUT-1, ORD-1, TBL-1 end to end).
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

use std::{
    fmt::Write as _,
    io::{BufRead, BufReader, Write as _},
    net::{SocketAddr, TcpStream},
    path::Path,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use product::{PATIENCE, Product, publisher::publish_all};
use serde_json::{Value, json};

const SETTINGS: [(&str, &str); 3] = [
    ("now", "2026-04-01T12:00:00+05:30"),
    ("engine.checkpoint_seconds", "3600"),
    ("engine.tick_ms", "100"),
];
/// DTs with their feeders; on each hang five consumers, `T1-0` with the meter `M-T1-0` and so on.
const DTS: [(&str, &str); 5] = [
    ("T1", "F1"),
    ("T2", "F1"),
    ("T3", "F1"),
    ("T4", "F2"),
    ("T5", "F2"),
];
const CONSUMERS: usize = 5;
const FAILED: i32 = 101;
const RESTORED: i32 = 102;
const CUT_OFF: i32 = 304;
/// The outage of this test: F1 at 10:00 in India.
const ID: &str = "F1.20260401T0430";

fn master_data(folder: &Path) {
    let since = "2020-01-01T00:00:00+05:30";
    let mut nodes = "node_id,kind,parent_id,valid_from\n".to_owned();
    let above = [
        ("D", "discom", ""),
        ("S", "substation", "D"),
        ("F1", "feeder", "S"),
        ("F2", "feeder", "S"),
    ];
    let dts = DTS.map(|(dt, feeder)| (dt, "dt", feeder));
    for (node, kind, parent) in above.into_iter().chain(dts) {
        writeln!(nodes, "{node},{kind},{parent},{since}").unwrap();
    }
    let mut meters = "meter_id,role,interval_minutes,valid_from\n".to_owned();
    let mut connections =
        "consumer_id,meter_id,node_id,category,supply,phases,metering,valid_from\n".to_owned();
    for (dt, _) in DTS {
        for consumer in 0..CONSUMERS {
            writeln!(meters, "M-{dt}-{consumer},consumer,15,{since}").unwrap();
            writeln!(
                connections,
                "{dt}-{consumer},M-{dt}-{consumer},{dt},LT-domestic,LT,1,prepaid,{since}"
            )
            .unwrap();
        }
    }
    for (name, text) in [("nodes", nodes), ("meters", meters), ("connections", connections)] {
        std::fs::write(folder.join(format!("{name}.csv")), text).unwrap();
    }
}

/// A time of 1 April 2026 in India.
fn at(time: &str) -> String {
    format!("2026-04-01T{time}:00+05:30")
}

/// Who says something: a DT and its consumer's number.
type Who = (&'static str, usize);

fn all_of(dt: &'static str) -> impl Iterator<Item = Who> {
    (0..CONSUMERS).map(move |consumer| (dt, consumer))
}

/// Publishes an event of each of these meters, as its gateway would, and waits until it is durable.
fn say(broker: SocketAddr, who: impl Iterator<Item = Who>, time: &str, code: i32) {
    let messages = who.map(|(dt, consumer)| {
        let event = json!({ "code": code, "at": at(time) });
        let payload = json!({ "meters": [{ "meter_id": format!("M-{dt}-{consumer}"), "events": [event] }] });
        (
            "ami/v1/gateways/hes/events".to_owned(),
            payload.to_string().into_bytes(),
        )
    });
    publish_all(broker, "hes", messages.collect());
}

/// Publishes the reads of a meter for the quarter hours that end after `from` up to `to`, hours of the day.
fn draw(broker: SocketAddr, who: impl Iterator<Item = Who>, from: u32, to: u32) {
    let ends = (from * 4 + 1..=to * 4).map(|quarter| format!("{:02}:{:02}", quarter / 4, quarter % 4 * 15));
    let reads: Vec<Value> = ends
        .map(|time| json!({ "interval_end": at(&time), "import_wh": 120, "voltage_v": 231.0 }))
        .collect();
    let messages = who.map(|(dt, consumer)| {
        let payload = json!({ "meters": [{ "meter_id": format!("M-{dt}-{consumer}"), "reads": reads }] });
        (
            "ami/v1/gateways/hes/reads".to_owned(),
            payload.to_string().into_bytes(),
        )
    });
    publish_all(broker, "hes", messages.collect());
}

/// Listens to the stream and keeps the data of every `outages` event.
fn listen(server: SocketAddr) -> Arc<Mutex<Vec<Value>>> {
    let mut stream = TcpStream::connect(server).unwrap();
    let request =
        format!("GET /api/v1/stream HTTP/1.1\r\nhost: {server}\r\naccept: text/event-stream\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&heard);
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    // The first event says that the stream is open.
    assert!(lines.any(|line| line == "event: summary"));
    std::thread::spawn(move || {
        let mut is_outages = false;
        for line in lines {
            if let Some(name) = line.strip_prefix("event: ") {
                is_outages = name == "outages";
            } else if let Some(data) = line.strip_prefix("data: ").filter(|_| is_outages) {
                kept.lock().unwrap().push(serde_json::from_str(data).unwrap());
            }
        }
    });
    heard
}

/// Waits until the stream told this of the outage.
fn wait_heard(heard: &Mutex<Vec<Value>>, scope: &str, status: &str) {
    let begin = Instant::now();
    loop {
        let told = heard.lock().unwrap().clone();
        let outages = told.iter().flat_map(|event| event["outages"].as_array().unwrap());
        let is_told = |outage: &Value| {
            outage["outage_id"] == ID && outage["scope"] == scope && outage["status"] == status
        };
        if outages.clone().any(is_told) {
            println!(
                "{scope} {status} on the stream {:?} after its events were durable",
                begin.elapsed()
            );
            return;
        }
        assert!(begin.elapsed() < PATIENCE, "{scope} {status} in {told:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// What the routes say of outages: everything but the number of the published version.
fn picture(product: &Product) -> Value {
    fn without_version(value: &mut Value) {
        match value {
            Value::Object(fields) => {
                fields.remove("version");
                fields.values_mut().for_each(without_version);
            }
            Value::Array(items) => items.iter_mut().for_each(without_version),
            _ => {}
        }
    }
    let summary = product.get("/api/v1/summary");
    let list = product.get("/api/v1/outages");
    let ids = list["outages"].as_array().unwrap().iter();
    let details: Vec<Value> = ids
        .map(|outage| {
            product.get(&format!(
                "/api/v1/outages/{}",
                outage["outage_id"].as_str().unwrap()
            ))
        })
        .collect();
    let consumers = DTS.into_iter().flat_map(|(dt, _)| all_of(dt));
    let consumers: Vec<Value> = consumers
        .map(|(dt, consumer)| product.get(&format!("/api/v1/consumers/{dt}-{consumer}/interruptions")))
        .collect();
    let mut picture = json!({
        "open": summary["open_outages"],
        "out": summary["consumers_without_supply"],
        "list": list,
        "details": details,
        "consumers": consumers,
    });
    without_version(&mut picture);
    picture
}

fn restart(product: Product, folder: &Path) -> Product {
    product.kill();
    let product = Product::start(folder, &SETTINGS);
    product.wait_applied();
    product
}

fn interruptions(product: &Product, consumer: &str) -> Vec<Value> {
    let answer = product.get(&format!("/api/v1/consumers/{consumer}/interruptions"));
    answer["interruptions"].as_array().unwrap().clone()
}

#[test]
fn an_outage_appears_grows_is_restored_and_outlives_kills() {
    let folder = tempfile::tempdir().unwrap();
    master_data(folder.path());
    let data = folder.path().join("data");
    let mut product = Product::start(&data, &SETTINGS);
    for kind in ["nodes", "meters", "connections"] {
        product.import(&folder.path().join(format!("{kind}.csv")));
    }
    // All of T4 but T4-0 falls silent at eight for good, and it is nobody's outage.
    let speaking = || {
        DTS.into_iter()
            .flat_map(|(dt, _)| all_of(dt))
            .filter(|who| who.0 != "T4" || who.1 == 0)
    };
    draw(product.mqtt, DTS.into_iter().flat_map(|(dt, _)| all_of(dt)), 0, 8);
    draw(product.mqtt, speaking(), 8, 10);
    // Cut off on exhausted credit: one on a DT that will fail, one on a DT that will not.
    say(product.mqtt, [("T2", 0), ("T4", 0)].into_iter(), "09:50", CUT_OFF);
    product.wait_applied();
    assert_eq!(product.get("/api/v1/outages")["outages"], json!([]));

    let heard = listen(product.http);
    say(product.mqtt, all_of("T1"), "10:02", FAILED);
    wait_heard(&heard, "dt", "ACTIVE");
    let open = product.get("/api/v1/outages?status=open&node=F1");
    let outage = &open["outages"][0];
    assert_eq!(
        (&outage["outage_id"], &outage["node_id"]),
        (&json!(ID), &json!("T1")),
        "{open}"
    );
    assert_eq!(outage["consumers_affected"], 5);
    assert_eq!(product.get("/api/v1/outages?node=F2")["outages"], json!([]));
    let summary = product.get("/api/v1/summary");
    assert_eq!(
        (&summary["open_outages"], &summary["consumers_without_supply"]),
        (&json!(1), &json!(5))
    );

    // Killed with nothing published but the log: the same outage, from the log alone.
    let before = picture(&product);
    product = restart(product, &data);
    assert_eq!(picture(&product), before);

    let heard = listen(product.http);
    say(product.mqtt, all_of("T2").chain(all_of("T3")), "10:03", FAILED);
    wait_heard(&heard, "feeder", "ACTIVE");
    let cause = json!({
        "person": "A. Rao",
        "cause": "tree on the line",
        "fault_type": "overhead_line",
        "etr": at("11:30"),
    });
    let path = format!("/api/v1/outages/{ID}/cause");
    let (status, answer) = product.post(&path, "application/json", cause.to_string().as_bytes());
    assert_eq!(status, 200, "{answer}");
    let (status, answer) = product.post(&path, "application/json", b"{\"person\":\"A. Rao\"}");
    assert_eq!((status, &answer["type"]), (400, &json!("/docs#bad-body")));
    let (status, _) = product.post(
        "/api/v1/outages/F9/cause",
        "application/json",
        cause.to_string().as_bytes(),
    );
    assert_eq!(status, 404);
    let detail = product.get(&format!("/api/v1/outages/{ID}"));
    assert_eq!(
        (&detail["cause"], &detail["etr"]),
        (&json!("tree on the line"), &json!(at("11:30")))
    );
    assert_eq!(detail["causes"][0]["person"], "A. Rao");
    product.checkpoint();

    // Restored in two steps, and the last gasp's counterpart of one meter is lost: its next read proves supply.
    say(
        product.mqtt,
        all_of("T1").filter(|who| who.1 != 4),
        "10:45",
        RESTORED,
    );
    wait_heard(&heard, "feeder", "PARTIALLY_RESTORED");
    say(product.mqtt, all_of("T2").chain(all_of("T3")), "11:05", RESTORED);
    draw(product.mqtt, [("T1", 4)].into_iter(), 11, 12);
    wait_heard(&heard, "feeder", "RESTORED");

    // OUT-1: a cut-off consumer is out of the outage, and neither it nor silent meters make one.
    let detail = product.get(&format!("/api/v1/outages/{ID}"));
    assert_eq!(
        (&detail["consumers_affected"], &detail["interruptions_total"]),
        (&json!(14), &json!(15))
    );
    let cut_off = interruptions(&product, "T2-0");
    assert_eq!(
        (&cut_off[0]["excluded_because"], &cut_off[0]["minutes"]),
        (&json!("prepaid_cut_off"), &json!(0.0))
    );
    for consumer in ["T4-0", "T4-1", "T5-0"] {
        assert_eq!(
            interruptions(&product, consumer),
            Vec::<Value>::new(),
            "{consumer}"
        );
    }
    let whole = interruptions(&product, "T1-0");
    assert_eq!(
        (&whole[0]["minutes"], &whole[0]["sustained"]),
        (&json!(43.0), &json!(true))
    );
    let says: Vec<&Value> = whole[0]["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| &event["says"])
        .collect();
    assert_eq!(says, ["failed", "restored"]);
    let inferred = interruptions(&product, "T1-4");
    assert_ne!(inferred[0]["ended_at"], Value::Null);
    assert_ne!(inferred[0]["evidence"]["restored"]["from"], "power_event");

    // SQL says what the routes say, with every version published.
    product.checkpoint();
    let rows = product.sql(
        "SELECT outage_id, node_id, scope, class, status, cause, fault_type, consumers_affected, version FROM outages",
    );
    let row = &rows[0];
    let fields = [
        "outage_id",
        "node_id",
        "scope",
        "class",
        "status",
        "cause",
        "fault_type",
        "consumers_affected",
    ];
    for (cell, field) in row.iter().zip(fields) {
        assert_eq!(cell, &detail[field], "{field}");
    }
    assert_eq!((rows.len(), &row[8]), (1, &json!(2)));
    let minutes = product.sql("SELECT consumer_id, minutes FROM interruptions ORDER BY consumer_id");
    assert_eq!(minutes.len(), 15);
    for row in &minutes {
        let of_route = interruptions(&product, row[0].as_str().unwrap());
        assert_eq!(row[1].as_f64(), of_route[0]["minutes"].as_f64(), "{row:?}");
    }
    let events = product.sql_number("SELECT COUNT(*) FROM meter_events WHERE code IN (101, 102, 304)");
    assert_eq!(events, 2 + 15 + 14);
    let reasons = product.sql("SELECT version, reason FROM outages_history ORDER BY version");
    assert_eq!(
        reasons,
        [vec![json!(1), Value::Null], vec![json!(2), json!("restored")]]
    );

    // Killed when everything is published: the same again, and nothing is published twice.
    let before = picture(&product);
    product = restart(product, &data);
    assert_eq!(picture(&product), before);
    product.checkpoint();
    for (table, versions) in [("outages", 2), ("interruptions", 30)] {
        let rows = product.sql_number(&format!("SELECT COUNT(*) FROM {table}_history"));
        assert_eq!(rows, versions, "{table}");
    }
    assert!(product.interrupt().0 == Some(0));
}
