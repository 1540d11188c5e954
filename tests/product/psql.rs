//! psql against the real binary, over the real household reads.

use std::{
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::json;

use super::{PATIENCE, Product, real_data};

/// The clock of these tests, a while after the reads.
pub const NOW: (&str, &str) = ("now", "2026-04-28T12:00:00+05:30");

/// Takes long, holds little: a sum over a cross join.
pub const LONG: &str = "SELECT sum(a.value * b.value) FROM generate_series(1, 1000000) a CROSS JOIN generate_series(1, 1000000) b";

pub fn product_with_data(settings: &[(&str, &str)]) -> (tempfile::TempDir, Product) {
    let folder = tempfile::tempdir().unwrap();
    let mut all = vec![NOW];
    all.extend_from_slice(settings);
    let product = Product::start(folder.path(), &all);
    for file in ["nodes.csv", "meters.csv", "connections.csv", "reads.parquet"] {
        product.import(&real_data().join(file));
    }
    product.checkpoint();
    (folder, product)
}

pub fn psql_command(product: &Product, arguments: &[&str]) -> Command {
    let mut command = Command::new("psql");
    command
        .args([
            "-X",
            "-h",
            "127.0.0.1",
            "-U",
            "auditor",
            "-d",
            "gridtally",
            "-v",
            "ON_ERROR_STOP=1",
            "-p",
        ])
        .arg(product.pg.port().to_string())
        .args(arguments)
        .env("PGCONNECT_TIMEOUT", "20")
        .env("PGPASSWORD", "")
        .env_remove("PGSSLMODE")
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::null());
    command
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub fn psql(product: &Product, arguments: &[&str]) -> String {
    let output = psql_command(product, arguments).output().unwrap();
    assert!(
        output.status.success(),
        "psql {arguments:?}:\n{}\n{}\n{}",
        text(&output.stdout),
        text(&output.stderr),
        product.errors()
    );
    text(&output.stdout)
}

/// What psql says on standard error when it fails.
pub fn psql_error(product: &Product, arguments: &[&str]) -> String {
    let output = psql_command(product, arguments).output().unwrap();
    assert!(
        !output.status.success(),
        "psql {arguments:?}: {}",
        text(&output.stdout)
    );
    text(&output.stderr)
}

/// Waits until a worker runs.
pub fn wait_busy(product: &Product) {
    let deadline = Instant::now() + PATIENCE;
    while product.metric("gridtally_sql_queries_running") == 0.0 {
        assert!(Instant::now() < deadline, "no worker runs");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Waits until no worker runs.
pub fn wait_idle(product: &Product) {
    let deadline = Instant::now() + PATIENCE;
    while product.metric("gridtally_sql_queries_running") > 0.0 {
        assert!(Instant::now() < deadline, "a worker still runs");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Rows of `POST /api/v1/sql` as PostgreSQL's text has them, from its CSV: a JSON reader would round the numbers.
pub fn by_http(product: &Product, query: &str) -> Vec<Vec<String>> {
    let body = json!({ "query": query, "format": "csv" }).to_string();
    let (status, answer) = product.post("/api/v1/sql", "application/json", body.as_bytes());
    assert_eq!(status, 200, "{query}: {answer}");
    let mut rows = vec![Vec::new()];
    let (mut cell, mut quoted, mut was_quoted) = (String::new(), false, false);
    let mut letters = answer.as_str().unwrap().chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if quoted && letters.next_if_eq(&'"').is_some() => cell.push('"'),
            '"' => (quoted, was_quoted) = (!quoted, true),
            ',' | '\n' if !quoted => {
                let value = std::mem::take(&mut cell);
                let is_time =
                    value.len() >= 19 && value.as_bytes()[10] == b'T' && value.as_bytes()[4] == b'-';
                rows.last_mut().unwrap().push(match value.as_str() {
                    "" if !was_quoted => "∅".to_owned(),
                    "true" => "t".to_owned(),
                    "false" => "f".to_owned(),
                    _ if is_time => value.replacen('T', " ", 1),
                    _ => value,
                });
                was_quoted = false;
                if letter == '\n' {
                    rows.push(Vec::new());
                }
            }
            '\r' if !quoted => {}
            letter => cell.push(letter),
        }
    }
    // The first line names the columns; after the last there is nothing.
    rows.pop();
    rows.remove(0);
    rows
}
