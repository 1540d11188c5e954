//! Clients that no one here wrote: mosquitto_pub and paho-mqtt publish, and PyPI's deltalake, polars and duckdb read the tables.
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

use std::process::Command;

use product::{Product, have, python, real_data};
use serde_json::{Value, json};

const NOW: (&str, &str) = ("now", "2026-04-28T12:00:00+05:30");

fn product_with_network() -> (tempfile::TempDir, Product) {
    let folder = tempfile::tempdir().unwrap();
    let product = Product::start(folder.path(), &[NOW]);
    for file in ["nodes.csv", "meters.csv", "connections.csv"] {
        product.import(&real_data().join(file));
    }
    (folder, product)
}

fn read_of(product: &Product, meter: &str, end: &str) -> Vec<Vec<Value>> {
    product.wait_applied();
    product.checkpoint();
    product.sql(&format!(
        "SELECT import_wh, quality, source FROM interval_reads WHERE meter_id = '{meter}' AND interval_end = TIMESTAMP '{end}'"
    ))
}

#[test]
fn mosquitto_pub_publishes_in_both_versions() {
    if !have("mosquitto_pub") {
        return;
    }
    let (_folder, product) = product_with_network();
    for (version, end, wh) in [
        ("mqttv311", "2026-04-01T00:30:00", 311),
        ("mqttv5", "2026-04-01T01:00:00", 500),
    ] {
        let payload = format!(r#"{{"reads":[{{"interval_end":"{end}+05:30","import_wh":{wh}}}]}}"#);
        let port = product.mqtt.port().to_string();
        let output = Command::new("mosquitto_pub")
            .args([
                "-h",
                "127.0.0.1",
                "-p",
                &port,
                "-V",
                version,
                "-q",
                "1",
                "-t",
                "ami/v1/meters/SD10006414/reads",
                "-m",
                &payload,
            ])
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{version}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let utc = if wh == 311 {
            "2026-03-31T19:00:00Z"
        } else {
            "2026-03-31T19:30:00Z"
        };
        assert_eq!(
            read_of(&product, "SD10006414", utc),
            [[json!(wh), json!("actual"), json!("meter:SD10006414")]]
        );
    }
}

#[test]
fn paho_publishes_in_both_versions_and_hears_what_became_of_it() {
    let (_folder, product) = product_with_network();
    let file = tempfile::NamedTempFile::new().unwrap();
    let good = r#"{"reads":[{"interval_end":"2026-04-01T00:30:00+05:30","import_wh":7}]}"#;
    std::fs::write(file.path(), format!("{good}\n{{not json\n")).unwrap();
    let port = product.mqtt.port().to_string();
    for (version, expected) in [("3", "0\n0\n"), ("5", "0\n153\n")] {
        let arguments = [
            port.as_str(),
            version,
            "ami/v1/meters/SD10006414/reads",
            file.path().to_str().unwrap(),
        ];
        let Some(codes) = python("publish.py", &arguments) else {
            return;
        };
        assert_eq!(
            codes, expected,
            "MQTT {version}: stored, then not decodable (0x99 in MQTT 5)"
        );
    }
    assert_eq!(
        read_of(&product, "SD10006414", "2026-03-31T19:00:00Z")[0][0],
        json!(7)
    );
    let quarantined = product.sql("SELECT topic, CAST(payload AS VARCHAR) FROM quarantine");
    assert_eq!(
        quarantined.len(),
        2,
        "an undecodable publish is kept whole, each time it came"
    );
    assert_eq!(
        quarantined[0],
        [json!("ami/v1/meters/SD10006414/reads"), json!("{not json")]
    );
}

#[test]
fn deltalake_polars_and_duckdb_read_what_the_api_says() {
    let (folder, product) = product_with_network();
    product.import(&real_data().join("reads.parquet"));
    product.checkpoint();
    let cases = [
        ("interval_reads", "meter_id,interval_end", "import_wh"),
        ("dt_balance", "dt_id,interval_end", "consumer_import_wh"),
        ("feeder_balance", "feeder_id,interval_end", "consumer_import_wh"),
        ("node_balance_daily", "node_id,day", "delivered_wh"),
    ];
    for (table, keys, column) in cases {
        let expected = product.sql(&format!("SELECT COUNT(*), SUM({column}) FROM {table}"));
        let path = folder.path().join("tables").join(table);
        let Some(output) = python("read_tables.py", &[path.to_str().unwrap(), keys, column]) else {
            return;
        };
        let lines: Vec<Value> = output
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines.len(), 3, "{output}");
        for line in lines {
            assert_eq!(
                json!([line["rows"], line["sum"]]),
                json!(expected[0]),
                "{table} by {}",
                line["who"]
            );
        }
    }
}
