//! Who may publish as whom, tried with paho-mqtt and mosquitto_pub against the real binary: certificates, keys, and neither.
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
    path::{Path, PathBuf},
    process::Command,
};

use product::{
    BINARY, Product,
    certificate::{Authority, Certificate},
    have, python,
};
use serde_json::{Value, json};

const READ: &str = r#"{"reads":[{"interval_end":"2026-04-01T00:30:00+05:30","import_wh":312}]}"#;
const NOW: (&str, &str) = ("now", "2026-04-02T00:00:00+05:30");

/// A place where publishers are asked who they are.
struct Place {
    folder: tempfile::TempDir,
    authority: Authority,
    read: PathBuf,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new(folder.path(), "meters");
        let read = folder.path().join("read.json");
        std::fs::write(&read, format!("{READ}\n")).unwrap();
        Self {
            folder,
            authority,
            read,
        }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A configuration file with TLS, and these lines behind `[mqtt]` and at the end.
    fn config(&self, of_mqtt: &str, at_end: &str) -> PathBuf {
        let own = self.authority.certify("gridtally", "IP:127.0.0.1");
        let path = self.path().join("gridtally.toml");
        let text = format!(
            "[mqtt]\ntls_listen = \"127.0.0.1:0\"\ntls_certificate = {:?}\ntls_key = {:?}\n{of_mqtt}\n{at_end}\n",
            own.certificate, own.key
        );
        std::fs::write(&path, text).unwrap();
        path
    }

    fn start(&self, config: &Path) -> Running<'_> {
        let product = Product::start_with_file(&self.path().join("data"), config, &[NOW]);
        let endpoints = std::fs::read_to_string(product.data_dir.join("endpoints.json")).unwrap();
        let endpoints: Value = serde_json::from_str(&endpoints).unwrap();
        let address: std::net::SocketAddr = endpoints["mqtt_tls"].as_str().unwrap().parse().unwrap();
        Running {
            place: self,
            plain: product.mqtt.port(),
            tls: address.port(),
            product,
        }
    }
}

struct Running<'a> {
    place: &'a Place,
    product: Product,
    plain: u16,
    tls: u16,
}

impl Running<'_> {
    /// What paho-mqtt is answered that publishes one read; `None`: there is no Python.
    fn answer(&self, port: u16, topic: &str, shown: &Value) -> Option<String> {
        let file = self.place.read.to_str().unwrap();
        let shown = shown.to_string();
        let said = python("publish.py", &[&port.to_string(), "5", topic, file, &shown])?;
        Some(said.trim().to_owned())
    }

    fn by_certificate(&self, own: &Certificate) -> Value {
        json!({ "ca": self.place.authority.certificate, "certificate": own.certificate, "key": own.key })
    }

    fn by_key(&self, user: &str, password: &str) -> Value {
        json!({ "ca": self.place.authority.certificate, "user": user, "password": password })
    }
}

/// A new key, and the lines that keep it.
fn key_of(name: &str) -> (String, String) {
    let output = Command::new(BINARY).args(["mqtt-key", name]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let key = text
        .lines()
        .find_map(|line| line.strip_prefix("# gridtally_"))
        .map(|digits| format!("gridtally_{digits}"));
    (key.unwrap(), text)
}

#[test]
fn a_certificate_says_as_whom_a_meter_may_publish() {
    if !have("openssl") {
        return;
    }
    let place = Place::new();
    let authority = place.authority.certificate.to_str().unwrap();
    let revoked = place.authority.certify("M9", "DNS:M9");
    let list = place.authority.revoke(&revoked);
    let config = place.config(
        &format!("client_authorities = {authority:?}\nclient_revocations = {list:?}"),
        "",
    );
    let running = place.start(&config);
    let by_name = place.authority.certify("M1", "DNS:other");
    let by_alternative = place.authority.certify("G 7", "DNS:G7,DNS:G8");
    let another = Authority::new(place.path(), "another").certify("M1", "DNS:M1");
    let answer = |topic: &str, shown: &Value| running.answer(running.tls, topic, shown);
    let Some(stored) = answer("ami/v1/meters/M1/reads", &running.by_certificate(&by_name)) else {
        return;
    };
    // The meter is unknown here; that changes nothing of PUBACK.
    assert_eq!(stored, "0");
    let gateway = running.by_certificate(&by_alternative);
    for (topic, shown, expected) in [
        ("ami/v1/meters/M2/reads", running.by_certificate(&by_name), "135"),
        (
            "ami/v1/gateways/M1x/reads",
            running.by_certificate(&by_name),
            "135",
        ),
        ("ami/v1/meters/G7/reads", gateway.clone(), "0"),
        ("ami/v1/meters/G8/reads", gateway.clone(), "0"),
        ("ami/v1/meters/G9/reads", gateway, "135"),
    ] {
        assert_eq!(answer(topic, &shown).unwrap(), expected, "{topic}");
    }
    let topic = "ami/v1/meters/M9/reads";
    let of_revoked = answer(topic, &running.by_certificate(&revoked)).unwrap();
    assert!(of_revoked.starts_with("refused"), "{of_revoked}");
    let of_stranger = answer("ami/v1/meters/M1/reads", &running.by_certificate(&another)).unwrap();
    assert!(of_stranger.starts_with("refused"), "{of_stranger}");
    let nothing = answer("ami/v1/meters/M1/reads", &json!({ "ca": authority })).unwrap();
    assert_eq!(nothing, "refused Not authorized");
    let plain = running
        .answer(running.plain, "ami/v1/meters/M1/reads", &json!({}))
        .unwrap();
    assert_eq!(plain, "refused Not authorized", "nobody is let in beside");
    let metric = |name: &str| running.product.metric(&format!("gridtally_ingest_{name}_total"));
    assert_eq!(metric("connections_unauthorized"), 2.0);
    assert!(metric("tls_failed") >= 2.0);
    assert_eq!(metric("not_yours"), 3.0);
    assert_eq!(metric("reads"), 3.0);
}

#[test]
fn a_key_says_as_whom_a_gateway_may_publish_with_and_without_tls() {
    if !have("openssl") {
        return;
    }
    let place = Place::new();
    let ((key, lines), (_, others)) = (key_of("M1"), key_of("M2"));
    let config = place.config("", &(lines + &others));
    let running = place.start(&config);
    let topic = "ami/v1/meters/M1/reads";
    for port in [running.tls, running.plain] {
        let of = |user: &str, password: &str| {
            let mut shown = running.by_key(user, password);
            if port == running.plain {
                shown.as_object_mut().unwrap().remove("ca");
            }
            shown
        };
        let Some(stored) = running.answer(port, topic, &of("M1", &key)) else {
            return;
        };
        assert_eq!(stored, "0");
        let foreign = running.answer(port, "ami/v1/meters/M2/reads", &of("M1", &key));
        assert_eq!(foreign.unwrap(), "135");
        for (user, password) in [
            ("M1", "gridtally_0"),
            ("M2", key.as_str()),
            ("M3", key.as_str()),
            ("", ""),
        ] {
            let answer = running.answer(port, topic, &of(user, password)).unwrap();
            assert_eq!(answer, "refused Bad user name or password", "{user}");
        }
    }
}

#[test]
fn a_stock_client_publishes_by_tls_where_nobody_is_asked() {
    if !have("openssl") || !have("mosquitto_pub") {
        return;
    }
    let place = Place::new();
    let running = place.start(&place.config("", ""));
    let authority = place.authority.certificate.to_str().unwrap();
    let port = running.tls.to_string();
    for version in ["mqttv311", "mqttv5"] {
        let output = Command::new("mosquitto_pub")
            .args([
                "-h",
                "127.0.0.1",
                "-p",
                &port,
                "--cafile",
                authority,
                "-V",
                version,
            ])
            .args(["-q", "1", "-t", "ami/v1/meters/M1/reads", "-m", READ])
            .output()
            .unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && error.is_empty(), "{version}: {error}");
    }
    assert_eq!(running.product.metric("gridtally_ingest_acks_stored_total"), 2.0);
}

#[test]
fn a_configuration_that_leaves_publishers_unasked_or_cannot_be_used_is_refused() {
    if !have("openssl") {
        return;
    }
    let place = Place::new();
    let check = |of_mqtt: &str, at_end: &str, expected: &str| {
        let config = place.config(of_mqtt, at_end);
        let output = Command::new(BINARY)
            .args(["check-config", "--config", config.to_str().unwrap()])
            .output()
            .unwrap();
        let said =
            String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
        assert!(said.contains(expected), "{expected} is not in {said}");
        output.status.code()
    };
    let entry = |name: &str, hash: &str| format!("[[mqtt.publishers]]\nname = {name:?}\nhash = {hash:?}\n");
    let (_, lines) = key_of("G7");
    let hash = format!("sha256:{}", "0".repeat(64));
    let authority = place.authority.certificate.clone();
    let used = [
        ("", String::new(), "publishers: anybody may publish as anybody"),
        ("", lines.clone(), "publishers: 1 by key"),
    ];
    for (of_mqtt, at_end, expected) in used {
        assert_eq!(check(of_mqtt, &at_end, expected), Some(0));
    }
    let certified = format!("client_authorities = {authority:?}");
    assert_eq!(
        check(&certified, &lines, "publishers: by certificate, and 1 by key"),
        Some(0)
    );
    for (of_mqtt, at_end, expected) in [
        (
            "client_revocations = \"x\"".to_owned(),
            String::new(),
            "only with mqtt.client_authorities",
        ),
        (
            "client_authorities = \"none.pem\"".to_owned(),
            String::new(),
            "holds no certificate of an authority",
        ),
        (certified, lines.clone() + &lines, "it stands twice"),
        (
            String::new(),
            entry("G7", "12"),
            "needed is sha256: and 64 hexadecimal digits",
        ),
        (
            String::new(),
            entry("a/b", &hash),
            "the id of no meter and no gateway",
        ),
    ] {
        assert_eq!(check(&of_mqtt, &at_end, expected), Some(2), "{expected}");
    }
    let output = Command::new(BINARY)
        .args(["check-config", "--config"])
        .arg(place.config("", ""))
        .args(["--set", "mqtt.tls_listen=0.0.0.0:8883"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("publishers are not authenticated"), "{said}");
    assert_eq!(output.status.code(), Some(2));
}
