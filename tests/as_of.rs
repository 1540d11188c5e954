//! `{table}_as_of` on the real binary: what was answered once is answered again, bit for bit.
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

use product::{Product, fleet_files};
use serde_json::{Value, json};

/// The rows of a query, and when what it saw was published.
fn answer(product: &Product, query: &str) -> (Vec<Value>, String) {
    let body = json!({ "query": query, "format": "json" }).to_string();
    let (status, answer) = product.post("/api/v1/sql", "application/json", body.as_bytes());
    assert_eq!(status, 200, "{query}: {answer}");
    assert_eq!(answer["truncated"], false, "{query}");
    (
        answer["rows"].as_array().unwrap().clone(),
        answer["published_at"].as_str().unwrap().to_owned(),
    )
}

#[test]
fn what_was_answered_once_is_answered_again() {
    let folder = tempfile::tempdir().unwrap();
    let (network, halves) = fleet_files(folder.path());
    let data_dir = folder.path().join("data");
    std::fs::create_dir_all(&data_dir).unwrap();
    // The machine's clock: it must move between the checkpoints.
    let settings = [("engine.checkpoint_seconds", "3600")];
    let product = Product::start(&data_dir, &settings);
    for file in ["nodes.csv", "meters.csv", "connections.csv"] {
        product.import(&network.join(file));
    }
    let names = [
        "dt_balance",
        "feeder_balance",
        "node_balance_daily",
        "interval_reads",
    ];
    let ordered = |source: &str| format!("SELECT * FROM {source} ORDER BY 1, 2");
    let mut moments: Vec<(String, Vec<Vec<Value>>)> = Vec::new();
    for half in &halves {
        product.import(half);
        product.checkpoint();
        let answers: Vec<(Vec<Value>, String)> = names
            .iter()
            .map(|name| answer(&product, &ordered(name)))
            .collect();
        let at = answers[0].1.clone();
        moments.push((at, answers.into_iter().map(|(rows, _)| rows).collect()));
    }
    assert!(moments[0].1.iter().all(|rows| !rows.is_empty()));
    for ((name, first), second) in names.iter().zip(&moments[0].1).zip(&moments[1].1) {
        assert_ne!(first, second, "{name}: the second half changed it");
    }
    let again = |product: &Product| {
        for (at, answers) in &moments {
            for (name, rows) in names.iter().zip(answers) {
                let (now, _) = answer(product, &ordered(&format!("{name}_as_of('{at}')")));
                assert!(
                    now == *rows,
                    "{name} as of {at} is another than was answered then"
                );
            }
        }
    };
    again(&product);
    let restated = product.sql_number("SELECT COUNT(*) FROM dt_balance WHERE status = 'restated'");
    assert!(restated > 0, "the second half restated balances that were final");

    product.kill();
    let product = Product::start(&data_dir, &settings);
    again(&product);
}
