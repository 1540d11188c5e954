//! psql against the real binary, over the real household reads.

use std::{
    process::{Command, Stdio},
    time::{Duration, Instant},
};

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
