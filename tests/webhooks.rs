//! Notices of outages and of compensation by webhook on the real binary: signed as the reference implementation verifies, in order for each outage, under one id
//! at every attempt, over a receiver that is down, one that never answers, and `kill -9`; what arrives is what was published, no more and
//! no less.
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
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
};

use product::{
    Product,
    certificate::{Certificate, self_signed},
    fixed_port, python,
    receiver::{Answer, Receiver, Request},
    town::{self, FAILED, RESTORED, all_of, draw, master_data, say},
};
use serde_json::{Value, json};

const OLD_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const NEW_SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const SETTINGS: [(&str, &str); 6] = [
    ("now", "2026-04-01T12:00:00+05:30"),
    ("engine.checkpoint_seconds", "3600"),
    ("engine.tick_ms", "100"),
    ("webhooks.retry_first_ms", "50"),
    ("webhooks.retry_max_seconds", "1"),
    ("webhooks.notice_seconds", "never"),
];
const ID: &str = "F1.20260401T0430";

fn config(folder: &Path, receiver: &Receiver) -> PathBuf {
    let path = folder.join("gridtally.toml");
    let text = format!(
        "[[webhooks.endpoints]]\nname = \"sms\"\nurl = \"http://{}/hook\"\nsecrets = [\"{OLD_SECRET}\", \"{NEW_SECRET}\"]\n",
        receiver.address
    );
    std::fs::write(&path, text).unwrap();
    path
}

/// Subject and version of each request.
fn told(requests: &[Request]) -> Vec<(String, i64)> {
    let of = |request: &Request| {
        let event = request.event();
        let subject = event["subject"].as_str().unwrap().to_owned();
        (subject, event["data"]["version"].as_i64().unwrap())
    };
    requests.iter().map(of).collect()
}

fn has(requests: &[Request], version: i64) -> bool {
    told(requests).contains(&(ID.to_owned(), version))
}

/// Waits until the product knows that nothing is left to tell.
fn wait_settled(product: &Product) -> Value {
    let begin = std::time::Instant::now();
    loop {
        let row = product.get("/api/v1/webhooks")["webhooks"][0].clone();
        if row["cursor"] == row["newest"] && row["open"] == 0 {
            return row;
        }
        assert!(begin.elapsed() < product::PATIENCE, "{row}");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

#[test]
fn a_new_outage_of_a_dt_is_told_long_before_the_next_checkpoint_and_a_service_line_with_it() {
    let folder = tempfile::tempdir().unwrap();
    master_data(folder.path());
    let receiver = Receiver::new(fixed_port());
    let file = config(folder.path(), &receiver);
    let soon = ("webhooks.notice_seconds", "1");
    let settings: Vec<(&str, &str)> = SETTINGS.into_iter().chain([soon]).collect();
    let product = Product::start_with_file(&folder.path().join("data"), &file, &settings);
    town::import(&product, folder.path());
    draw(product.mqtt, town::all(), 0, 10);
    say(product.mqtt, [("T4", 0)].into_iter(), "09:40", FAILED);
    product.wait_applied();
    product.checkpoint();
    receiver.wait("the service line's notice", |requests| requests.len() == 1);
    say(product.mqtt, [("T5", 0)].into_iter(), "10:01", FAILED);
    product.wait_applied();
    assert_eq!(
        receiver.requests().len(),
        1,
        "one consumer waits for the checkpoint"
    );
    say(product.mqtt, all_of("T1"), "10:02", FAILED);
    receiver.wait("the notice that nobody asked for", |requests| has(requests, 1));
}

#[test]
fn every_published_version_arrives_in_order_signed_and_nothing_else_whatever_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    master_data(folder.path());
    let data = folder.path().join("data");
    let mut receiver = Receiver::new(fixed_port());
    let file = config(folder.path(), &receiver);
    let start = || Product::start_with_file(&data, &file, &SETTINGS);
    let mut product = start();
    town::import(&product, folder.path());
    draw(product.mqtt, town::all(), 0, 10);
    say(product.mqtt, all_of("T1"), "10:02", FAILED);
    product.wait_applied();
    assert!(
        receiver.requests().is_empty(),
        "what is not published is not told"
    );
    product.checkpoint();
    receiver.wait("the first notice", |requests| has(requests, 1));

    // Nobody listens while the outage grows and comes back in part; then gridtally is killed.
    receiver.down();
    say(product.mqtt, all_of("T2").chain(all_of("T3")), "10:03", FAILED);
    product.wait_applied();
    product.checkpoint();
    say(product.mqtt, all_of("T1"), "10:45", RESTORED);
    product.wait_applied();
    product.checkpoint();
    product.kill();
    receiver.answer(Answer::Hang);
    receiver.up();
    product = start();
    // Killed while it waits for an answer to the second: nobody knows whether it arrived.
    receiver.wait("the second notice", |requests| has(requests, 2));
    product.kill();
    receiver.answer(Answer::Status(200));
    product = start();
    receiver.wait("the third notice", |requests| has(requests, 3));
    say(product.mqtt, all_of("T2").chain(all_of("T3")), "11:05", RESTORED);
    say(product.mqtt, [("T5", 1)].into_iter(), "11:30", FAILED);
    product.wait_applied();
    // Killed between the log and the table: what was not published comes with the next start.
    product.kill();
    product = start();
    product.wait_applied();
    product.checkpoint();
    receiver.wait("the fourth notice", |requests| has(requests, 4));
    let row = wait_settled(&product);
    assert_eq!(
        (&row["dead"], &row["disabled"]),
        (&json!(0), &Value::Null),
        "{row}"
    );

    // What arrived is what was published: each version at least once, under one id, no version before the one before it.
    let requests = receiver.requests();
    let published: BTreeSet<(String, i64)> = product
        .sql("SELECT outage_id, version FROM outages_history")
        .iter()
        .map(|row| (row[0].as_str().unwrap().to_owned(), row[1].as_i64().unwrap()))
        .collect();
    assert_eq!(told(&requests).into_iter().collect::<BTreeSet<_>>(), published);
    assert!(published.len() >= 5, "{published:?}");
    let mut ids: BTreeMap<(String, i64), BTreeSet<&str>> = BTreeMap::new();
    let mut newest: BTreeMap<String, i64> = BTreeMap::new();
    for (request, key) in requests.iter().zip(told(&requests)) {
        let before = newest.entry(key.0.clone()).or_insert(0);
        assert!(key.1 == *before || key.1 == *before + 1, "{key:?} after {before}");
        *before = key.1;
        ids.entry(key).or_default().insert(&request.headers["webhook-id"]);
    }
    assert!(ids.values().all(|ids| ids.len() == 1), "{ids:?}");
    let all: BTreeSet<&str> = ids.values().flatten().copied().collect();
    assert_eq!(all.len(), published.len());
    let sent = told(&requests)
        .iter()
        .filter(|(_, version)| *version == 2)
        .count();
    assert!(sent >= 2, "what was under way at the kill is sent again");
    let last = requests
        .iter()
        .map(Request::event)
        .find(|event| event["data"]["version"] == 4)
        .unwrap();
    assert_eq!(last["type"], "gridtally.outage.restored.v1");
    assert_eq!(last["data"]["consumers_affected"], 15);
    let sequences = product.sql("SELECT sequence FROM outages_history ORDER BY sequence");
    let numbers = (1..).take(sequences.len()).map(|number| vec![json!(number)]);
    assert_eq!(sequences, numbers.collect::<Vec<_>>(), "without a gap");

    // The reference implementation verifies with either secret.
    let lines = requests
        .iter()
        .map(|request| json!({ "headers": request.headers, "body": request.body }).to_string());
    let file_of_requests = folder.path().join("requests.jsonl");
    std::fs::write(&file_of_requests, lines.collect::<Vec<_>>().join("\n")).unwrap();
    for secret in [OLD_SECRET, NEW_SECRET] {
        let Some(verified) = python(
            "verify_webhooks.py",
            &[secret, file_of_requests.to_str().unwrap()],
        ) else {
            break;
        };
        assert_eq!(verified.lines().count(), requests.len());
    }
    assert!(product.interrupt().0 == Some(0));
}

#[test]
fn dead_letters_are_listed_counted_and_sent_once_more_and_410_ends_sending_until_it_is_enabled() {
    let folder = tempfile::tempdir().unwrap();
    master_data(folder.path());
    let receiver = Receiver::new(fixed_port());
    let file = config(folder.path(), &receiver);
    let settings: Vec<(&str, &str)> = SETTINGS
        .into_iter()
        .chain([("webhooks.attempts_max", "2")])
        .collect();
    let product = Product::start_with_file(&folder.path().join("data"), &file, &settings);
    town::import(&product, folder.path());
    draw(product.mqtt, town::all(), 0, 10);
    receiver.answer(Answer::Status(500));
    say(product.mqtt, all_of("T1"), "10:02", FAILED);
    product.wait_applied();
    product.checkpoint();
    receiver.wait("two attempts", |requests| requests.len() == 2);
    wait_settled(&product);
    let letters = product.get("/api/v1/webhooks/sms/dead-letters")["dead_letters"].clone();
    assert_eq!(
        (&letters[0]["about"], &letters[0]["attempts"]),
        (&json!(ID), &json!(2)),
        "{letters}"
    );
    assert_eq!(
        product.metric("gridtally_webhook_dead_letters{endpoint=\"sms\"}"),
        1.0
    );
    assert_eq!(
        product.metric("gridtally_webhook_failures_total{endpoint=\"sms\"}"),
        2.0
    );
    let (_, shown) = product.get_text("/api/v1/webhooks");
    assert!(!shown.contains("hook\"") && !shown.contains("whsec"), "{shown}");

    receiver.answer(Answer::Status(200));
    let resend = "/api/v1/webhooks/sms/dead-letters/resend";
    let (status, answer) = product.post(resend, "application/json", b"{\"sequences\":[1]}");
    assert_eq!((status, &answer["dead_letters"]), (200, &json!(1)), "{answer}");
    receiver.wait("the dead letter", |requests| requests.len() == 3);
    let ids: BTreeSet<String> = receiver
        .requests()
        .iter()
        .map(|request| request.headers["webhook-id"].clone())
        .collect();
    assert_eq!(ids.len(), 1, "the same id at every attempt");
    assert_eq!(
        product
            .post("/api/v1/webhooks/mail/enable", "application/json", b"")
            .0,
        404
    );

    receiver.answer(Answer::Status(410));
    say(product.mqtt, all_of("T1"), "10:45", RESTORED);
    product.wait_applied();
    product.checkpoint();
    receiver.wait("the attempt that is answered with 410", |requests| {
        requests.len() == 4
    });
    let begin = std::time::Instant::now();
    while product.metric("gridtally_webhook_disabled{endpoint=\"sms\"}") < 1.0 {
        assert!(begin.elapsed() < product::PATIENCE);
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    receiver.answer(Answer::Status(200));
    assert_eq!(
        product
            .post("/api/v1/webhooks/sms/enable", "application/json", b"")
            .0,
        200
    );
    receiver.wait("the same notice", |requests| requests.len() == 5);
    wait_settled(&product);
    assert_eq!(
        told(&receiver.requests())[3..],
        [(ID.to_owned(), 2), (ID.to_owned(), 2)]
    );
}

#[test]
fn the_billing_feed_is_told_to_who_asks_for_it_and_an_upheld_claim_is_an_entry_more() {
    let folder = tempfile::tempdir().unwrap();
    master_data(folder.path());
    let receiver = Receiver::new(fixed_port());
    let file = folder.path().join("gridtally.toml");
    let text = format!(
        "[[webhooks.endpoints]]\nname = \"billing\"\nurl = \"http://{}/hook\"\nsecrets = [\"{OLD_SECRET}\"]\n\
         events = [\"gridtally.compensation.due.v1\", \"gridtally.compensation.credited.v1\"]\n",
        receiver.address
    );
    std::fs::write(&file, text).unwrap();
    let settings: Vec<(&str, &str)> = SETTINGS
        .into_iter()
        .map(|(key, value)| {
            (
                key,
                if key == "now" {
                    "2026-04-01T20:00:00+05:30"
                } else {
                    value
                },
            )
        })
        .chain([("compensation.regulation", "IN-DL-DERC-2018")])
        .collect();
    let product = Product::start_with_file(&folder.path().join("data"), &file, &settings);
    town::import(&product, folder.path());
    draw(product.mqtt, town::all(), 0, 10);
    say(product.mqtt, all_of("T1"), "10:02", FAILED);
    say(product.mqtt, all_of("T1"), "14:02", RESTORED);
    // Restorations that arrive apart may make an entry that is corrected at once, by another: what each is owed is their sum.
    let owed = |requests: &[Request]| {
        let mut paise: BTreeMap<String, i64> = BTreeMap::new();
        for request in requests {
            let data = &request.event()["data"];
            let consumer = data["consumer_id"].as_str().unwrap().to_owned();
            let amount = data["amount_inr"].as_str().unwrap().replace('.', "");
            *paise.entry(consumer).or_default() += amount.parse::<i64>().unwrap();
        }
        paise.into_values().collect::<Vec<_>>()
    };
    receiver.wait("Rs 200 for each of five", |requests| {
        owed(requests) == [20_000; 5]
    });
    let before = receiver.requests().len();

    let claims = folder.path().join("claims.csv");
    std::fs::write(
        &claims,
        "claim_id,consumer_id,about,filed_at,upheld_at\n\
         C1,T1-0,supply:2026-04-01T12:00:00+05:30,2026-04-01T15:00:00+05:30,2026-04-01T18:00:00+05:30\n",
    )
    .unwrap();
    product.import(&claims);
    receiver.wait("the difference", |requests| requests.len() == before + 1);
    let told = receiver.requests()[before].event();
    assert_eq!(told["type"], "gridtally.compensation.due.v1");
    assert_eq!(told["data"]["consumer_id"], "T1-0");
    assert_eq!(told["data"]["kind"], "adjustment");
    assert_eq!(told["data"]["amount_inr"], "4800.00");
    let path = format!(
        "/api/v1/compensation/entries/{}/explanation",
        told["subject"].as_str().unwrap()
    );
    let why = product.get(&path).to_string();
    assert!(
        why.contains("claim C1, filed 2026-04-01T15:00:00+05:30, upheld 2026-04-01T18:00:00+05:30"),
        "{why}"
    );

    // What arrives is what the feed has: the same ids, numbers and amounts.
    let feed = product.get("/api/v1/compensation/entries?status=due");
    let of_feed: BTreeSet<(&str, i64)> = feed["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| {
            (
                entry["entry_id"].as_str().unwrap(),
                entry["sequence"].as_i64().unwrap(),
            )
        })
        .collect();
    let events: Vec<Value> = receiver.requests().iter().map(Request::event).collect();
    let of_hook = events.iter().map(|event| {
        (
            event["subject"].as_str().unwrap(),
            event["data"]["sequence"].as_i64().unwrap(),
        )
    });
    assert_eq!(of_hook.collect::<BTreeSet<_>>(), of_feed);
    assert!(product.interrupt().0 == Some(0));
}

/// Kills a process of the test when it is let go.
struct Killed(std::process::Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_receiver_over_tls_is_told_only_when_its_certificate_is_trusted() {
    if !product::have("openssl") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let Certificate { certificate, key } = self_signed(folder.path(), "sms", "CA:FALSE");
    let paths = [certificate.to_str().unwrap(), key.to_str().unwrap()];
    let Some(mut command) = product::python_command("https_receiver.py", &paths) else {
        return;
    };
    let mut child = Killed(command.stdout(std::process::Stdio::piped()).spawn().unwrap());
    let mut lines = BufReader::new(child.0.stdout.take().unwrap())
        .lines()
        .map(Result::unwrap);
    let port = lines.next().unwrap();
    let file = folder.path().join("gridtally.toml");
    let text = format!(
        "[[webhooks.endpoints]]\nname = \"sms\"\nurl = \"https://127.0.0.1:{port}/\"\nsecrets = [\"{OLD_SECRET}\"]\n"
    );
    std::fs::write(&file, text).unwrap();
    master_data(folder.path());
    let data = folder.path().join("data");
    let product = Product::start_with_file(&data, &file, &SETTINGS);
    town::import(&product, folder.path());
    draw(product.mqtt, town::all(), 0, 10);
    say(product.mqtt, all_of("T1"), "10:02", FAILED);
    product.wait_applied();
    product.checkpoint();
    let begin = std::time::Instant::now();
    let error = loop {
        let row = product.get("/api/v1/webhooks")["webhooks"][0].clone();
        assert_eq!(row["delivered"], 0, "{row}");
        if let Some(error) = row["last_error"].as_str() {
            break error.to_owned();
        }
        assert!(begin.elapsed() < product::PATIENCE, "{row}");
        std::thread::sleep(std::time::Duration::from_millis(20));
    };
    assert!(error.contains("certificate"), "{error}");
    product.kill();
    let trusted = ("webhooks.ca_file", certificate.to_str().unwrap());
    let settings: Vec<(&str, &str)> = SETTINGS.into_iter().chain([trusted]).collect();
    let product = Product::start_with_file(&data, &file, &settings);
    let request: Value = serde_json::from_str(&lines.next().unwrap()).unwrap();
    let event: Value = serde_json::from_str(request["body"].as_str().unwrap()).unwrap();
    assert_eq!(
        (&event["subject"], &event["data"]["version"]),
        (&json!(ID), &json!(1))
    );
    wait_settled(&product);
}
