//! Compensation on the real binary: an outage over MQTT becomes entries that billing finds, credits once and can explain; `kill -9` of both
//! sides changes nothing (CMP-1 end to end).
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
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use product::{
    PATIENCE, Product, Random,
    publisher::publish_all,
    town::{self, FAILED, RESTORED, at},
};
use serde_json::{Value, json};

/// Eight in the evening: ten hours after the failures of these tests.
const SETTINGS: [(&str, &str); 4] = [
    ("now", "2026-04-01T20:00:00+05:30"),
    ("engine.checkpoint_seconds", "3600"),
    ("engine.tick_ms", "100"),
    ("compensation.regulation", "IN-MH-MERC-2021"),
];

/// A town: one feeder F1 in an urban zone, with so many DTs of so many consumers each: `T3-7` with the meter `M-T3-7`, and so on.
struct Town {
    dts: usize,
    consumers_of_dt: usize,
}

impl Town {
    fn consumers(&self) -> impl Iterator<Item = String> {
        let each = self.consumers_of_dt;
        (0..self.dts).flat_map(move |dt| (0..each).map(move |at| format!("T{dt}-{at}")))
    }

    fn write(&self, folder: &Path) {
        let since = "2020-01-01T00:00:00+05:30";
        let mut nodes = "node_id,kind,parent_id,area_class,valid_from\n".to_owned();
        for (node, kind, parent, area) in [
            ("D", "discom", "", ""),
            ("Z", "zone", "D", "urban"),
            ("F1", "feeder", "Z", ""),
        ] {
            writeln!(nodes, "{node},{kind},{parent},{area},{since}").unwrap();
        }
        for dt in 0..self.dts {
            writeln!(nodes, "T{dt},dt,F1,,{since}").unwrap();
        }
        let mut meters = "meter_id,role,interval_minutes,valid_from\n".to_owned();
        let mut connections =
            "consumer_id,meter_id,node_id,category,supply,phases,metering,valid_from\n".to_owned();
        for consumer in self.consumers() {
            let dt = consumer.split('-').next().unwrap();
            writeln!(meters, "M-{consumer},consumer,15,{since}").unwrap();
            writeln!(
                connections,
                "{consumer},M-{consumer},{dt},LT-domestic,LT,1,postpaid,{since}"
            )
            .unwrap();
        }
        town::write(folder, nodes, meters, connections);
    }

    fn import(&self, product: &Product, folder: &Path) {
        self.write(folder);
        town::import(product, folder);
    }

    /// Every meter draws energy until ten, two blocks.
    fn draw(&self, broker: SocketAddr) {
        let read = |time: &str| json!({ "interval_end": at(time), "import_wh": 120, "voltage_v": 231.0 });
        let reads = [read("09:30"), read("09:45"), read("10:00")];
        self.publish(broker, |_| json!({ "reads": reads }));
    }

    /// Every meter says an event.
    fn say(&self, broker: SocketAddr, time: &str, code: i32) {
        self.publish(
            broker,
            |_| json!({ "events": [{ "code": code, "at": at(time) }] }),
        );
    }

    /// One publish of their gateway for every hundred meters.
    fn publish(&self, broker: SocketAddr, of: impl Fn(&str) -> Value) {
        let consumers: Vec<String> = self.consumers().collect();
        let messages = consumers.chunks(100).map(|some| {
            let meters: Vec<Value> = some
                .iter()
                .map(|consumer| {
                    let mut said = of(consumer);
                    said["meter_id"] = json!(format!("M-{consumer}"));
                    said
                })
                .collect();
            let payload = json!({ "meters": meters }).to_string().into_bytes();
            let kind = if payload.windows(8).any(|part| part == b"\"events\"") {
                "events"
            } else {
                "reads"
            };
            (format!("ami/v1/gateways/hes/{kind}"), payload)
        });
        publish_all(broker, "hes", messages.collect());
    }
}

fn feed(product: &Product, query: &str) -> Value {
    product.get(&format!("/api/v1/compensation/entries?{query}"))
}

/// Waits until so many entries are due; gives them.
fn wait_due(product: &Product, count: usize) -> Vec<Value> {
    let begin = Instant::now();
    loop {
        let page = feed(product, "status=due&limit=10000");
        let entries = page["entries"].as_array().unwrap().clone();
        if entries.len() >= count {
            return entries;
        }
        assert!(begin.elapsed() < PATIENCE, "{} of {count} are due", entries.len());
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn restart(product: Product, folder: &Path, settings: &[(&str, &str)]) -> Product {
    product.kill();
    let product = Product::start(folder, settings);
    product.wait_applied();
    product
}

fn crew_says(product: &Product, said: Value) {
    let outages = product.get("/api/v1/outages");
    let id = outages["outages"][0]["outage_id"].as_str().unwrap();
    let path = format!("/api/v1/outages/{id}/cause");
    let (status, answer) = product.post(&path, "application/json", said.to_string().as_bytes());
    assert_eq!(status, 200, "{answer}");
}

/// Every statement of an explanation.
fn statements(of: &Value) -> Vec<Value> {
    let mut all = vec![of.clone()];
    for other in of["because"].as_array().unwrap() {
        all.extend(statements(other));
    }
    all
}

#[test]
fn an_outage_becomes_entries_that_are_fed_acknowledged_and_explained() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let product = Product::start(&data, &SETTINGS);
    let town = Town {
        dts: 3,
        consumers_of_dt: 5,
    };
    town.import(&product, folder.path());
    town.draw(product.mqtt);
    town.say(product.mqtt, "10:02", FAILED);
    product.wait_applied();
    // It runs: what accrues shows, and is not billing's yet.
    let running = product.get("/api/v1/consumers/T1-2/compensation");
    assert_eq!(running["entries"][0]["status"], "accruing", "{running}");
    assert_eq!(feed(&product, "status=due")["entries"], json!([]));

    town.say(product.mqtt, "16:30", RESTORED);
    // A feeder is an overhead line until somebody says otherwise: 4 h in town, 388 min without supply, 3 h begun at Rs 50.
    let due = wait_due(&product, 30);
    let mut sums: BTreeMap<&str, f64> = BTreeMap::new();
    for entry in &due {
        *sums.entry(entry["consumer_id"].as_str().unwrap()).or_default() +=
            entry["amount_inr"].as_str().unwrap().parse::<f64>().unwrap();
        assert_eq!(entry["regulation"], "IN-MH-MERC-2021");
    }
    assert_eq!(sums.len(), 15);
    assert!(sums.values().all(|sum| (*sum - 150.0).abs() < 1e-9), "{sums:?}");
    assert_eq!(
        product.get("/api/v1/summary")["compensation_accrued_inr"],
        "2250.00"
    );

    // The crew says that it was a fuse: 3 h, one more hour for each, as entries of their own.
    crew_says(
        &product,
        json!({ "person": "A. Rao", "cause": "fuse blown", "fault_type": "fuse" }),
    );
    let due = wait_due(&product, 45);
    let added: Vec<&Value> = due
        .iter()
        .filter(|entry| entry["amount_inr"] == "50.00")
        .collect();
    assert_eq!(added.len(), 15, "{due:?}");
    assert!(added.iter().all(|entry| entry["kind"] == "adjustment"));

    // In pages, by cursor, in the order of their sequence; as CSV too.
    let (mut cursor, mut paged) = ("0".to_owned(), Vec::new());
    loop {
        let page = feed(&product, &format!("status=due&limit=7&cursor={cursor}"));
        paged.extend(page["entries"].as_array().unwrap().clone());
        cursor = page["next_cursor"].as_str().unwrap().to_owned();
        if page["more"] == false {
            break;
        }
    }
    assert_eq!(paged, due);
    assert!(paged.is_sorted_by_key(|entry| entry["sequence"].as_u64().unwrap()));
    assert_eq!(
        feed(&product, &format!("status=due&cursor={cursor}"))["entries"],
        json!([])
    );
    let (status, next, csv) = product.get_as("/api/v1/compensation/entries?status=due&limit=7", "text/csv");
    assert_eq!((status, csv.lines().count()), (200, 8), "{csv}");
    assert_eq!(next, Some(paged[6]["sequence"].to_string()));
    assert!(csv.starts_with("sequence,entry_id,consumer_id,"), "{csv}");

    acknowledgements(&product, &due);
    explanations(&product, &due);
    let before = picture(&product);
    let product = restart(product, &data, &SETTINGS);
    assert_eq!(picture(&product), before, "after kill -9");
    product.checkpoint();
    let rows = product.sql(
        "SELECT consumer_id, SUM(amount_inr), COUNT(*) FROM compensation_entries GROUP BY 1 HAVING SUM(amount_inr) = 200 AND COUNT(*) >= 2",
    );
    assert_eq!(rows.len(), 15);
    let changed = product.sql_number(
        "SELECT COUNT(*) FROM (SELECT entry_id FROM compensation_entries_history GROUP BY 1 HAVING COUNT(DISTINCT amount_inr) > 1)",
    );
    assert_eq!(changed, 0);
}

/// What consumers and billing see: everything but the numbers of published versions and their places.
fn picture(product: &Product) -> Vec<Value> {
    let statuses = ["accruing", "due", "exported", "credited"];
    let ids = |status: &str| {
        let page = feed(product, &format!("status={status}&limit=10000"));
        let entries = page["entries"].as_array().unwrap().clone();
        let ids: BTreeSet<String> = entries
            .iter()
            .map(|entry| entry["entry_id"].to_string())
            .collect();
        json!({ status: ids })
    };
    let mut all: Vec<Value> = Vec::new();
    // What was acknowledged is in the log; its place in the feed is given when it is published.
    product.checkpoint();
    all.extend(statuses.map(ids));
    all.push(product.get("/api/v1/consumers/T1-2/compensation"));
    all.push(product.get("/api/v1/summary")["compensation_accrued_inr"].clone());
    all
}

fn acknowledgements(product: &Product, due: &[Value]) {
    let path = "/api/v1/compensation/acknowledgements";
    let id = |at: usize| due[at]["entry_id"].as_str().unwrap();
    let word = json!({ "status": "credited", "entry_ids": [id(0), id(1)], "reference": "bill 7" });
    let (status, answer) = product.post(path, "application/json", word.to_string().as_bytes());
    assert_eq!(
        (status, &answer["type"]),
        (400, &json!("/docs#no-idempotency-key"))
    );
    let say = |key: &str, word: &Value| product.post_with(path, ("idempotency-key", key), word);
    let (status, answer) = say("bill-7", &word);
    assert_eq!((status, &answer["repeated"]), (200, &json!(false)), "{answer}");
    assert_eq!(
        feed(product, "status=due")["entries"].as_array().unwrap().len(),
        43
    );
    let (status, answer) = say("bill-7", &word);
    assert_eq!((status, &answer["repeated"]), (200, &json!(true)), "{answer}");
    let other = json!({ "status": "credited", "entry_ids": [id(2)] });
    let (status, answer) = say("bill-7", &other);
    assert_eq!(
        (status, &answer["type"]),
        (422, &json!("/docs#key-reused")),
        "{answer}"
    );
    let unknown = json!({ "status": "credited", "entry_ids": [id(2), "CE0"] });
    let (status, answer) = say("bill-8", &unknown);
    assert_eq!(
        (status, &answer["type"]),
        (409, &json!("/docs#not-acknowledgeable")),
        "{answer}"
    );
    assert_eq!(
        feed(product, "status=due")["entries"].as_array().unwrap().len(),
        43
    );
    let (status, answer) = say("run-9", &json!({ "status": "exported", "entry_ids": [id(2)] }));
    assert_eq!(status, 200, "{answer}");
    let approval = json!({ "person": "A. Rao", "step": "make", "entry_ids": [id(3)] });
    let (status, answer) = product.post(
        "/api/v1/compensation/approvals",
        "application/json",
        approval.to_string().as_bytes(),
    );
    assert_eq!(
        (status, &answer["type"]),
        (409, &json!("/docs#not-approvable")),
        "{answer}"
    );
}

fn explanations(product: &Product, due: &[Value]) {
    // Whichever entry of a chain is opened, the heading is what is owed after its corrections.
    let outage = product.get("/api/v1/outages")["outages"][0]["outage_id"].clone();
    let outage = product.get(&format!("/api/v1/outages/{}", outage.as_str().unwrap()));
    let most = &outage["compensation"]["largest_entry_id"];
    let opened: Vec<&Value> = due
        .iter()
        .filter(|entry| entry["consumer_id"] == "T1-2" || entry["entry_id"] == *most)
        .collect();
    assert!(opened.len() > 1 && opened.iter().any(|entry| entry["entry_id"] == *most));
    for entry in opened {
        let path = format!(
            "/api/v1/compensation/entries/{}/explanation",
            entry["entry_id"].as_str().unwrap()
        );
        let (_, _, page) = product.get_as(&path, "text/html");
        let heading = page.split_once("<h1>").unwrap().1.split_once("</h1>").unwrap().0;
        let amount = entry["amount_inr"].as_str().unwrap();
        let part = match (entry["kind"].as_str().unwrap(), amount.strip_prefix('-')) {
            ("adjustment", Some(amount)) => format!("takes Rs {amount} off"),
            ("adjustment", None) => format!("adds Rs {amount}"),
            _ => format!("is of Rs {amount}"),
        };
        assert!(
            heading.starts_with("Rs 200.00 is owed to T")
                && heading.contains(" for outage F1.")
                && heading.ends_with(&format!(" entries: this one {part}")),
            "{entry}: {heading}"
        );
    }
    let entry = due
        .iter()
        .find(|entry| entry["consumer_id"] == "T1-2" && entry["kind"] == "adjustment");
    let path = format!(
        "/api/v1/compensation/entries/{}/explanation",
        entry.unwrap()["entry_id"].as_str().unwrap()
    );
    let told = product.get(&path);
    let all = statements(&told);
    let of = |kind: &str| {
        all.iter()
            .filter(|one| one["kind"] == kind)
            .cloned()
            .collect::<Vec<Value>>()
    };
    let fact = |kind: &str, name: &str| of(kind)[0]["facts"][name].as_str().unwrap_or_default().to_owned();
    assert_eq!(fact("sum", "sum_inr"), "200.00");
    assert_eq!(fact("sum", "by_rule_now_inr"), "200.00");
    assert_eq!(fact("rule", "regulation"), "IN-MH-MERC-2021");
    assert_eq!(fact("rule", "clause"), "Annexure II");
    assert_eq!(fact("outage", "node_id"), "F1");
    assert_eq!(fact("cause", "fault_type"), "fuse");
    assert_eq!(fact("default", "beyond"), "208");
    assert_eq!(fact("connection", "node_id"), "T1");
    let zone = of("node")
        .into_iter()
        .find(|node| node["facts"]["node_id"] == "Z")
        .unwrap();
    assert_eq!(zone["facts"]["area_class"], "urban");
    assert_eq!(zone["facts"]["source"], "file:nodes.csv");
    assert_eq!(of("interruption").len(), 1);
    // Down to the events and reads of its meter, each with when it arrived and as which record of the log.
    let arrived = |one: &Value| {
        let facts = &one["facts"];
        facts["received_at"] == "2026-04-01T20:00:00+05:30"
            && facts["source"] == "gateway:hes"
            && facts["log_record"] != ""
    };
    let events: Vec<Value> = of("events").into_iter().filter(arrived).collect();
    let says: Vec<&str> = events
        .iter()
        .map(|event| event["says"].as_str().unwrap())
        .collect();
    assert!(
        says[0].starts_with("M-T1-2 at 2026-04-01T10:02:00+05:30: 101"),
        "{says:?}"
    );
    assert!(
        says[1].starts_with("M-T1-2 at 2026-04-01T16:30:00+05:30: 102"),
        "{says:?}"
    );
    assert_eq!(of("reads").into_iter().filter(arrived).count(), 2);
    let (status, _, page) = product.get_as(&path, "text/html,application/xhtml+xml,*/*;q=0.8");
    assert_eq!(status, 200);
    assert!(page.starts_with("<!doctype html>"), "{page}");
    for wanted in [
        "Annexure II",
        "fuse blown",
        "M-T1-2 at <time datetime=\"2026-04-01T10:02:00+05:30\">1 Apr 2026, 10:02</time>",
        "received at",
    ] {
        assert!(page.contains(wanted), "{wanted} in {page}");
    }
    let (status, _) = product.get_text("/api/v1/compensation/entries/CE0/explanation");
    assert_eq!(status, 404);
}

#[test]
fn without_a_regulation_nothing_is_accrued_and_the_api_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let product = Product::start(&folder.path().join("data"), &SETTINGS[..3]);
    let town = Town {
        dts: 1,
        consumers_of_dt: 3,
    };
    town.import(&product, folder.path());
    town.draw(product.mqtt);
    town.say(product.mqtt, "10:02", FAILED);
    product.wait_applied();
    assert_eq!(product.get("/api/v1/summary")["open_outages"], 1);
    let page = feed(&product, "");
    assert_eq!(page["entries"], json!([]));
    let why = page["not_accrued_because"].as_str().unwrap();
    assert!(
        why.starts_with("no regulation on compensation is configured"),
        "{why}"
    );
    assert_eq!(
        product.get("/api/v1/summary")["compensation_accrued_inr"],
        Value::Null
    );
    let own = product.get("/api/v1/consumers/T0-0/compensation");
    assert_eq!(
        (&own["entries"], own["total_inr"].as_str()),
        (&json!([]), Some("0.00"))
    );
}

/// One feeder outage of 1,000 consumers to entries in the feed within 5 s of its end.
#[test]
fn a_thousand_consumers_are_in_the_feed_within_five_seconds() {
    let folder = tempfile::tempdir().unwrap();
    let settings = [SETTINGS[0], ("compensation.regulation", "IN-MH-MERC-2021")];
    let product = Product::start(&folder.path().join("data"), &settings);
    let town = Town {
        dts: 25,
        consumers_of_dt: 40,
    };
    town.import(&product, folder.path());
    town.draw(product.mqtt);
    town.say(product.mqtt, "10:02", FAILED);
    product.wait_applied();
    product.checkpoint();
    let ended = Instant::now();
    town.say(product.mqtt, "16:30", RESTORED);
    let told = ended.elapsed();
    let due = wait_due(&product, 2_000);
    let took = ended.elapsed();
    println!(
        "{} entries of 1,000 consumers in the feed {took:?} after the first word of its end ({told:?} to tell)",
        due.len()
    );
    let mut sums: BTreeMap<String, f64> = BTreeMap::new();
    for entry in &due {
        let inr: f64 = entry["amount_inr"].as_str().unwrap().parse().unwrap();
        *sums.entry(entry["consumer_id"].to_string()).or_default() += inr;
    }
    assert_eq!(sums.len(), 1_000);
    assert!(sums.values().all(|sum| (*sum - 150.0).abs() < 1e-9));
    assert!(took < Duration::from_secs(5), "{took:?}");
}

/// The billing system, as a process of its own.
struct Billing {
    child: Child,
}

impl Billing {
    fn start(python: &Path, data: &Path, book: &Path) -> Self {
        let child = Command::new(python)
            .arg(product::client_script("billing.py"))
            .arg(data.join("endpoints.json"))
            .arg(book)
            .arg("4")
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        Self { child }
    }

    /// `kill -9`; it may not have ended by itself before.
    fn kill(mut self) {
        assert!(
            self.child.try_wait().unwrap().is_none(),
            "the billing system gave up"
        );
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Billing {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn book_of(path: &Path) -> Value {
    std::fs::read_to_string(path).map_or(Value::Null, |text| serde_json::from_str(&text).unwrap())
}

/// What the billing system has credited, paise by consumer.
fn credits(book: &Value) -> BTreeMap<String, i64> {
    let mut credits: BTreeMap<String, i64> = BTreeMap::new();
    for credit in book["credited"]
        .as_object()
        .into_iter()
        .flat_map(|all| all.values())
    {
        let paise = credit["inr"]
            .as_str()
            .unwrap()
            .replace('.', "")
            .parse::<i64>()
            .unwrap();
        *credits
            .entry(credit["consumer"].as_str().unwrap().to_owned())
            .or_default() += paise;
    }
    credits
}

/// Each consumer is credited what the rule says, once, whoever is killed when.
#[test]
fn a_billing_system_that_is_killed_with_the_server_at_any_point_credits_each_consumer_once() {
    let Some(python) = product::python_program() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let (data, book) = (folder.path().join("data"), folder.path().join("book.json"));
    let settings = [
        SETTINGS[0],
        ("engine.checkpoint_seconds", "1"),
        ("engine.tick_ms", "50"),
        SETTINGS[3],
    ];
    let mut product = Product::start(&data, &settings);
    let town = Town {
        dts: 3,
        consumers_of_dt: 20,
    };
    town.import(&product, folder.path());
    town.draw(product.mqtt);
    town.say(product.mqtt, "10:02", FAILED);
    town.say(product.mqtt, "16:30", RESTORED);
    product.wait_applied();
    let (_, mut random) = Random::from_seed(5);
    let mut billing = Billing::start(&python, &data, &book);
    // Meanwhile the crew changes its mind: adjustments come among what is being credited.
    // (The clock stands still, and of words of one instant the larger stands: these are in that order.)
    let words = ["dt_failure", "fuse", "overhead_line"];
    let words = words.map(|fault_type| json!({ "person": "A. Rao", "fault_type": fault_type }));
    let mut words = words.into_iter();
    for round in 0..14 {
        std::thread::sleep(Duration::from_millis(20 + random.below(2_000)));
        match random.below(3) {
            0 => {
                billing.kill();
                billing = Billing::start(&python, &data, &book);
            }
            1 => product = restart(product, &data, &settings),
            _ => {
                billing.kill();
                product = restart(product, &data, &settings);
                billing = Billing::start(&python, &data, &book);
            }
        }
        if round % 4 == 3
            && let Some(word) = words.next()
        {
            crew_says(&product, word);
        }
    }
    // Overhead line, 4 h: Rs 150 each, whatever came in between.
    let begin = Instant::now();
    let expected: BTreeMap<String, i64> = town.consumers().map(|consumer| (consumer, 15_000)).collect();
    loop {
        let is_done = credits(&book_of(&book)) == expected
            && product.get("/api/v1/summary")["compensation_accrued_inr"] == "0.00"
            && book_of(&book)["batch"] == Value::Null;
        if is_done {
            break;
        }
        assert!(
            begin.elapsed() < PATIENCE,
            "credited {:?}\nof {:?}",
            credits(&book_of(&book)),
            feed(&product, "limit=10000")
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    billing.kill();
    product.checkpoint();
    let credited = feed(&product, "status=credited&limit=10000");
    let ours: BTreeSet<String> = credited["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["entry_id"].as_str().unwrap().to_owned())
        .collect();
    let theirs: BTreeSet<String> = book_of(&book)["credited"]
        .as_object()
        .unwrap()
        .keys()
        .cloned()
        .collect();
    assert_eq!(ours, theirs);
    let rows =
        product.sql("SELECT consumer_id FROM compensation_entries GROUP BY 1 HAVING SUM(amount_inr) = 150");
    assert_eq!(rows.len(), 60);
    println!("{} entries of 60 consumers, each credited once", ours.len());
}
