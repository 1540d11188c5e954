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
    io::{BufRead, BufReader, Write as _},
    net::{SocketAddr, TcpStream},
    path::Path,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use product::{
    PATIENCE, Product,
    town::{self, CUT_OFF, FAILED, RESTORED, all_of, at, draw, master_data, say},
};
use serde_json::{Value, json};

const SETTINGS: [(&str, &str); 3] = [
    ("now", "2026-04-01T12:00:00+05:30"),
    ("engine.checkpoint_seconds", "3600"),
    ("engine.tick_ms", "100"),
];
/// The outage of this test: F1 at 10:00 in India.
const ID: &str = "F1.20260401T0430";

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
    let consumers = town::all();
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
    town::import(&product, folder.path());
    // All of T4 but T4-0 falls silent at eight for good, and it is nobody's outage.
    let speaking = || town::all().filter(|who| who.0 != "T4" || who.1 == 0);
    draw(product.mqtt, town::all(), 0, 8);
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

/// An outage of a service line and one of a DT with few consumers say where somebody lives; the public sees neither.
#[test]
fn the_public_sees_feeders_and_dts_with_counts_and_never_a_consumer_a_meter_or_a_service_line() {
    let folder = tempfile::tempdir().unwrap();
    master_data(folder.path());
    let product = Product::start(&folder.path().join("data"), &SETTINGS);
    town::import(&product, folder.path());
    draw(product.mqtt, town::all(), 0, 10);
    // T1, T2 and T3 are F1; of T4 one consumer was cut off before, so four are counted; T5-2 is a service line.
    for dt in ["T1", "T2", "T3"] {
        say(product.mqtt, all_of(dt), "10:02", FAILED);
    }
    say(product.mqtt, [("T4", 0)].into_iter(), "09:50", CUT_OFF);
    say(product.mqtt, all_of("T4"), "11:02", FAILED);
    say(product.mqtt, [("T5", 2)].into_iter(), "11:40", FAILED);
    product.wait_applied();
    let cause = json!({ "person": "A. Rao", "cause": "wire stolen by T1-3 of M-T1-3" });
    let path = format!("/api/v1/outages/{ID}/cause");
    let (status, answer) = product.post(&path, "application/json", cause.to_string().as_bytes());
    assert_eq!(status, 200, "{answer}");

    let seen = product.get("/api/v1/outages")["outages"]
        .as_array()
        .unwrap()
        .clone();
    let scopes: Vec<&Value> = seen.iter().map(|outage| &outage["scope"]).collect();
    assert_eq!(scopes, ["service_line", "dt", "feeder"], "{seen:?}");
    let public = product.get("/api/v1/public/outages");
    assert_eq!(
        (&public["withheld"], public["outages"].as_array().unwrap().len()),
        (&json!(2), 1),
        "{public}"
    );
    let outage = &public["outages"][0];
    assert_eq!(
        (&outage["outage_id"], &outage["feeder_ids"]),
        (&json!(ID), &json!("F1"))
    );
    assert_eq!(
        (&outage["consumers_affected"], &outage["lat"]),
        (&json!(15), &json!(19.07))
    );
    let (_, geo) = product.get_text("/api/v1/public/outages?format=geojson&status=open");
    let parsed: Value = serde_json::from_str(&geo).unwrap();
    assert_eq!(parsed["type"], "FeatureCollection");
    assert_eq!(
        parsed["features"][0]["geometry"],
        json!({ "type": "Point", "coordinates": [72.87, 19.07] })
    );
    let (_, csv) = product.get_text("/api/v1/public/outages?format=csv");
    assert_eq!(csv.lines().count(), 2, "{csv}");

    let secrets: Vec<String> = town::all()
        .flat_map(|(dt, consumer)| [format!("{dt}-{consumer}"), format!("M-{dt}-{consumer}")])
        .chain(["Rao".to_owned(), "stolen".to_owned()])
        .chain(
            seen.iter()
                .filter(|outage| outage["scope"] != "feeder")
                .map(|outage| outage["outage_id"].as_str().unwrap().to_owned()),
        )
        .collect();
    for text in [public.to_string(), geo, csv] {
        for secret in &secrets {
            assert!(!text.contains(secret.as_str()), "{secret} in {text}");
        }
    }
    let (status, problem) = product.get_text("/api/v1/public/outages?format=xml");
    assert_eq!(status, 400, "{problem}");

    // Pages of any origin may read this, and nothing else; who has it already is told so.
    let head = |request: &str| {
        let mut stream = TcpStream::connect(product.http).unwrap();
        let text = format!(
            "{request}host: {}\r\norigin: https://news.example\r\nconnection: close\r\n\r\n",
            product.http
        );
        stream.write_all(text.as_bytes()).unwrap();
        let lines = BufReader::new(stream).lines().map_while(Result::ok);
        let lines: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
        lines.join("\n").to_lowercase()
    };
    let open = head("GET /api/v1/public/outages HTTP/1.1\r\n");
    assert!(
        open.contains("access-control-allow-origin: *") && open.contains("cache-control: public"),
        "{open}"
    );
    assert!(
        open.contains("cross-origin-resource-policy: cross-origin") && open.contains("withheld: 2"),
        "{open}"
    );
    let tag = open.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap();
    let again = head(&format!(
        "GET /api/v1/public/outages HTTP/1.1\r\nif-none-match: {}\r\n",
        tag.replace("w/", "W/")
    ));
    assert!(again.starts_with("http/1.1 304"), "{again}");
    let asked = head("OPTIONS /api/v1/public/outages HTTP/1.1\r\n");
    assert!(
        asked.contains("access-control-allow-headers: accept, if-none-match"),
        "{asked}"
    );
    for closed in ["/api/v1/outages", "/api/v1/summary"] {
        let answer = head(&format!("GET {closed} HTTP/1.1\r\n"));
        assert!(!answer.contains("access-control-allow"), "{answer}");
        assert!(
            answer.contains("cross-origin-resource-policy: same-origin"),
            "{answer}"
        );
    }
}

#[test]
fn an_outage_that_was_something_else_or_goes_on_under_another_id_is_cancelled_with_its_history() {
    let folder = tempfile::tempdir().unwrap();
    master_data(folder.path());
    let data = folder.path().join("data");
    let mut product = Product::start(&data, &SETTINGS);
    town::import(&product, folder.path());
    draw(product.mqtt, town::all(), 0, 9);
    say(product.mqtt, all_of("T1"), "10:02", FAILED);
    say(product.mqtt, [("T5", 2)].into_iter(), "10:04", FAILED);
    product.wait_applied();
    product.checkpoint();
    // One of T1 failed a quarter of an hour before, by a word that came late; T5-2 was cut off before it went dark.
    say(product.mqtt, [("T1", 0)].into_iter(), "09:58", FAILED);
    say(product.mqtt, [("T5", 2)].into_iter(), "10:01", CUT_OFF);
    product.wait_applied();
    let line = "F2.20260401T0430";
    for round in ["live", "published", "restarted"] {
        let was = product.get(&format!("/api/v1/outages/{ID}"));
        assert_eq!(
            (&was["status"], &was["continued_as"]),
            (&json!("CANCELLED"), &json!("F1.20260401T0415")),
            "{round}: {was}"
        );
        assert_eq!(was["interruptions"], json!([]));
        let now = product.get("/api/v1/outages/F1.20260401T0415");
        assert_eq!(
            (&now["status"], &now["continued_as"]),
            (&json!("ACTIVE"), &Value::Null),
            "{round}: {now}"
        );
        let none = product.get(&format!("/api/v1/outages/{line}"));
        assert_eq!(
            (&none["status"], &none["continued_as"]),
            (&json!("CANCELLED"), &Value::Null),
            "{round}: {none}"
        );
        let history: Vec<String> = was["history"]
            .as_array()
            .unwrap()
            .iter()
            .map(|version| {
                format!(
                    "{} {} {}",
                    version["version"], version["status"], version["reason"]
                )
            })
            .collect();
        let published = [
            r#"1 "ACTIVE" null"#,
            r#"2 "CANCELLED" "continued as F1.20260401T0415""#,
        ];
        assert_eq!(
            history,
            published[..if round == "live" { 1 } else { 2 }],
            "{round}"
        );
        assert_eq!(product.get_status("/api/v1/outages/F9.20260401T0430"), Some(404));
        match round {
            "live" => {
                product.checkpoint();
            }
            _ => product = restart(product, &data),
        }
    }
}

#[test]
fn emergency_rostering_and_an_outage_below_the_threshold_are_told_in_the_indices_of_a_node() {
    let folder = tempfile::tempdir().unwrap();
    master_data(folder.path());
    let mut settings = SETTINGS.to_vec();
    // As IEEE 1366 has it.
    settings.push(("outage.momentary_minutes", "5"));
    let product = Product::start(&folder.path().join("data"), &settings);
    town::import(&product, folder.path());
    let planned = format!(
        "node_id,start,end,class,reason\nF2,{},{},EMERGENCY_ROSTERING,load relief\n",
        at("10:00"),
        at("10:30")
    );
    let file = folder.path().join("planned_outages.csv");
    std::fs::write(&file, planned).unwrap();
    product.import(&file);
    draw(product.mqtt, town::all(), 0, 9);
    say(product.mqtt, all_of("T1"), "09:30", FAILED);
    say(product.mqtt, all_of("T1"), "09:34", RESTORED);
    let of_f2 = || all_of("T4").chain(all_of("T5"));
    say(product.mqtt, of_f2(), "10:00", FAILED);
    say(product.mqtt, of_f2(), "10:30", RESTORED);
    product.wait_applied();
    product.checkpoint();

    let outages = product.get("/api/v1/outages?node=F2");
    let outage = &outages["outages"][0];
    let told = ["node_id", "class", "status", "consumers_affected"].map(|field| outage[field].clone());
    let expected = [
        json!("F2"),
        json!("EMERGENCY_ROSTERING"),
        json!("RESTORED"),
        json!(10),
    ];
    assert_eq!(told, expected, "{outages}");
    let whole = interruptions(&product, "T4-0");
    assert_eq!(
        (
            &whole[0]["class"],
            &whole[0]["minutes"],
            &whole[0]["excluded_because"]
        ),
        (&json!("EMERGENCY_ROSTERING"), &json!(30.0), &Value::Null)
    );

    // Ten of 25 consumers for half an hour; five for four minutes, which are momentary here.
    let mut row = json!({
        "month": "2026-04-01",
        "basis": "consumer",
        "med": "included",
        "consumers_served": 25,
        "customer_interruptions": 10,
        "customer_minutes": 300.0,
        "momentary": 5,
        "saifi": 0.4,
        "saidi_minutes": 12.0,
        "caidi_minutes": 30.0,
        "maifi": 0.2,
        "maifi_e": 0.2,
        "asai": 1_079_700.0 / 1_080_000.0,
        "caifi": 1.0,
        "ctaidi_minutes": 30.0,
        "cemi_3": 0.0,
        "celid_8h": 0.0,
    });
    let asked = |query: &str| product.get(&format!("/api/v1/nodes/D/reliability?{query}"));
    assert_eq!(
        asked("basis=consumer&med=included"),
        json!({ "node_id": "D", "months": [row] })
    );
    row["med"] = json!("excluded");
    assert_eq!(
        asked("basis=consumer&med=excluded&from=2026-04-30&to=2026-04-01")["months"],
        json!([row])
    );
    // F2 failed as a whole; T1 is below F1 and no operation of it.
    row["basis"] = json!("feeder");
    row["momentary"] = json!(0);
    row["maifi"] = json!(0.0);
    for unknown in ["maifi_e", "caifi", "ctaidi_minutes", "cemi_3", "celid_8h"] {
        row[unknown] = Value::Null;
    }
    assert_eq!(asked("basis=feeder&med=excluded")["months"], json!([row]));
    assert_eq!(asked("")["months"].as_array().unwrap().len(), 4);
    assert_eq!(asked("from=2026-05-01")["months"], json!([]));
    let published = product.sql(
        "SELECT consumers_served, customer_interruptions, momentary, saidi_minutes FROM reliability_monthly \
         WHERE node_id = 'D' AND basis = 'consumer' AND med = 'included'",
    );
    assert_eq!(published, [vec![json!(25), json!(10), json!(5), json!(12)]]);
    assert!(product.interrupt().0 == Some(0));
}
