//! SQL by Arrow Flight SQL: ADBC's driver and pyarrow against the real binary. What is not reading is refused (SQL-1).
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
    io::{BufRead, BufReader, Write},
    process::{Child, Output, Stdio},
    time::{Duration, Instant},
};

use product::{
    PATIENCE, Product, have,
    psql::{LONG, NOW, product_with_data, text, wait_busy, wait_idle},
    python_command, real_data,
    secure::{certificate, verifier},
};
use serde_json::{Value, json};

/// A script of `tests/clients`, not finished; `None` where a machine cannot have Python.
fn client(product: &Product, kind: &str, argument: &str) -> Option<Child> {
    let port = product.flight.port().to_string();
    let mut command = python_command("flight.py", &[kind, &port, argument])?;
    let child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    Some(child.unwrap())
}

/// What such a script says, line by line.
fn said(product: &Product, kind: &str, argument: &str, input: &Value) -> Option<Vec<Value>> {
    let mut child = client(product, kind, argument)?;
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.to_string().as_bytes())
        .unwrap();
    let output: Output = child.wait_with_output().unwrap();
    assert!(
        output.status.success(),
        "{kind}:\n{}\n{}\n{}",
        text(&output.stdout),
        text(&output.stderr),
        product.errors()
    );
    let lines = text(&output.stdout);
    Some(
        lines
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect(),
    )
}

/// Questions of an auditor, of every type of column.
const QUESTIONS: &[&str] = &[
    "SELECT count(*), sum(import_wh), min(interval_end), max(interval_end), avg(import_wh) FROM interval_reads",
    "SELECT * FROM interval_reads ORDER BY meter_id, interval_end LIMIT 4000",
    "SELECT * FROM dt_balance ORDER BY dt_id, interval_end LIMIT 400",
    "SELECT * FROM dt_balance_history ORDER BY dt_id, interval_end, version LIMIT 400",
    "SELECT * FROM node_balance_daily ORDER BY node_id, day LIMIT 40",
    "SELECT * FROM nodes ORDER BY node_id",
    "SELECT * FROM nodes WHERE node_id = 'none'",
    "SELECT count(*) FROM dt_balance_as_of('2026-04-28T12:00:00+05:30')",
    "SELECT CAST(1 AS TINYINT), CAST(2 AS SMALLINT), CAST(3 AS INT), CAST(4 AS BIGINT), CAST(5 AS INT UNSIGNED)",
    "SELECT 1.5, CAST('-12345.60' AS DECIMAL(18, 2)), 1e300, CAST(0.1 AS REAL), true, NULL, 'it''s', DATE '2026-04-01'",
    "SELECT make_array(1, 2, NULL), TIMESTAMP '2026-04-01T00:00:00', arrow_cast('a', 'Dictionary(Int8, Utf8)'), CAST('x' AS BYTEA)",
    "SELECT value, CASE WHEN value % 3 = 0 THEN NULL ELSE repeat('é', value % 7) END AS text FROM generate_series(1, 50000) ORDER BY value",
    "SHOW TABLES",
    "DESCRIBE nodes",
    "EXPLAIN SELECT 1",
];

#[test]
fn answers_are_those_of_http_in_every_bit() {
    let (_folder, product) = product_with_data(&[]);
    let Some(lines) = said(&product, "queries", &product.url(""), &json!(QUESTIONS)) else {
        return;
    };
    assert_eq!(lines.len(), QUESTIONS.len());
    assert_eq!(lines[11], json!([50_000, 2]));
    assert_eq!(lines[6][0], json!(0));
}

#[test]
fn parameters_are_taken_as_both_drivers_write_them() {
    let (_folder, product) = product_with_data(&[]);
    let Some(lines) = said(&product, "parameters", "", &Value::Null) else {
        return;
    };
    let count = |condition: &str| {
        product.sql_number(&format!("SELECT count(*) FROM interval_reads WHERE {condition}"))
    };
    let two = product.sql("SELECT meter_id FROM meters ORDER BY meter_id LIMIT 2");
    let expected = [
        json!([[42, "it's", true]]),
        json!([[0.1, "-1.50", "2026-04-01"]]),
        json!([[count("interval_end = TIMESTAMP '2026-03-31T19:00:00Z'")]]),
        json!([[count("day = '2026-04-01' AND import_wh >= 100")]]),
        json!([[count("meter_id = 'SD10006414'")]]),
        json!([[product.sql_number("SELECT count(*) FROM nodes_as_of('2026-04-01T00:30:00+05:30')")]]),
        json!(two),
        json!([["nothing"]]),
        json!([["?", "?"]]),
        json!([[7, 7, 8]]),
        json!(["int64", "timestamp[us, tz=UTC]"]),
    ];
    assert_eq!(lines[..expected.len()], expected);
    let told = |at: usize, what: &str| {
        let line = lines[expected.len() + at][0].as_str().unwrap();
        assert!(line.contains(what), "{line}");
    };
    told(0, "the statement has 2 parameters, and 1 were given");
    told(1, "the statement has 2 parameters, and 3 were given");
    told(2, "one row of parameters at a time");
}

#[test]
fn tools_learn_which_tables_there_are() {
    let (_folder, product) = product_with_data(&[]);
    let Some(lines) = said(&product, "metadata", "", &Value::Null) else {
        return;
    };
    let columns = product.sql("SELECT table_name, column_name, about, unit FROM table_columns ORDER BY 1");
    let mut tables: Vec<&str> = columns.iter().map(|row| row[0].as_str().unwrap()).collect();
    tables.dedup();
    let listed = lines[0][0].as_object().unwrap();
    assert!(listed.contains_key("table_columns") && listed.contains_key("nodes_history"));
    for table in tables {
        let own: Vec<_> = columns.iter().filter(|row| row[0] == *table).collect();
        let found = listed[table].as_array().unwrap();
        assert_eq!(found.len(), own.len(), "{table}");
        for row in own {
            let column = found
                .iter()
                .find(|column| column[0] == row[1])
                .unwrap_or_else(|| panic!("{table} has no {}", row[1]));
            let remarks = column[1].as_str().unwrap();
            assert!(remarks.contains(row[2].as_str().unwrap()), "{table}: {column}");
            let unit = row[3].as_str().unwrap();
            assert!(unit.is_empty() || remarks.contains(unit), "{table}: {column}");
        }
    }
    assert_eq!(lines[1], json!([["nodes", "nodes_history"]]));
    assert_eq!(lines[2], json!([["TABLE"]]));
    let nodes = product.sql("SELECT column_name FROM table_columns WHERE table_name = 'nodes'");
    let told: Vec<Vec<Value>> = lines[3]
        .as_array()
        .unwrap()
        .iter()
        .map(|column| vec![column[0].clone()])
        .collect();
    assert_eq!(told, nodes);
    assert_eq!(lines[4], json!(["gridtally", env!("CARGO_PKG_VERSION")]));
    assert_eq!(
        lines[5],
        json!([
            "CreatePreparedStatement",
            "ClosePreparedStatement",
            "CancelQuery",
            "CancelFlightInfo",
            "CloseSession"
        ])
    );
    assert_eq!(lines[6], json!(["['one', 'two']"]));
}

/// Statements that must not run, with what each is called in its refusal.
const REFUSED: &[&str] = &[
    "INSERT INTO nodes (node_id) VALUES ('x')",
    "UPDATE nodes SET name = 'x'",
    "DELETE FROM nodes",
    "DROP TABLE nodes",
    "CREATE TABLE x AS SELECT 1",
    "CREATE EXTERNAL TABLE x STORED AS CSV LOCATION '/etc/passwd'",
    "SELECT * INTO x FROM nodes",
    "COPY nodes TO '/tmp/gridtally-flight-test.csv'",
    "EXPLAIN ANALYZE COPY nodes TO '/tmp/gridtally-flight-test.csv'",
    "SELECT * FROM read_csv('/etc/passwd')",
    "SET datafusion.execution.batch_size = 1",
    "BEGIN",
];

#[test]
fn sql_1_what_is_not_reading_is_refused() {
    let (_folder, product) = product_with_data(&[]);
    let Some(lines) = said(&product, "attempts", "", &json!(REFUSED)) else {
        return;
    };
    assert_eq!(lines.len(), REFUSED.len());
    for (statement, line) in REFUSED.iter().zip(&lines) {
        let body = json!({ "query": statement }).to_string();
        let (_, answer) = product.post("/api/v1/sql", "application/json", body.as_bytes());
        let expected = answer["detail"].as_str().unwrap();
        let told = line[1].as_str().unwrap();
        assert!(
            told.contains(expected) && told.contains("PermissionDenied"),
            "{statement}: {told}, by HTTP: {expected}"
        );
    }
    let lines = said(&product, "writing", "", &Value::Null).unwrap();
    let expected = [
        "INSERT is refused",
        "INSERT is refused",
        "transaction",
        "DELETE FROM is refused",
        "Substrait",
    ];
    assert_eq!(lines.len(), expected.len());
    for (line, expected) in lines.iter().zip(expected) {
        assert!(line[0].as_str().unwrap().contains(expected), "{line}: {expected}");
    }
    assert!(!std::path::Path::new("/tmp/gridtally-flight-test.csv").exists());
    assert!(product.sql_number("SELECT count(*) FROM nodes") > 0);
    // Every refusal is told.
    let told = product.errors();
    assert!(
        told.lines().any(|line| line.contains("gridtally::audit")
            && line.contains("flight")
            && line.contains("DROP TABLE nodes")),
        "{told}"
    );
}

#[test]
fn errors_say_what_http_says_and_limits_hold() {
    let (_folder, product) = product_with_data(&[("sql.rows_max", "1000"), ("sql.deadline_seconds", "3")]);
    let long = format!("SELECT {}1", "1+".repeat(1 << 19));
    let statements = [
        ("SELECT * FROM nodes WHERE )", "InvalidArgument"),
        ("SELECT nowhere FROM nodes", "InvalidArgument"),
        ("SELECT * FROM nowhere", "InvalidArgument"),
        (
            "SELECT 1 / (import_wh - import_wh) FROM interval_reads",
            "InvalidArgument",
        ),
        ("SELECT * FROM dt_balance_as_of('soon')", "InvalidArgument"),
        ("SELECT 1; SELECT 2", "InvalidArgument"),
        (LONG, "DeadlineExceeded"),
        (
            "SELECT * FROM generate_series(1, 1001)",
            "the result has more than 1000 rows (sql.rows_max)",
        ),
        ("SELECT ?", "the statement has 1 parameters"),
        (&long, "the statement is longer than 1048576 bytes"),
        ("SELECT * FROM generate_series(1, 1000)", "ran"),
    ];
    let sent: Vec<&str> = statements.iter().map(|(statement, _)| *statement).collect();
    let Some(lines) = said(&product, "attempts", "", &json!(sent)) else {
        return;
    };
    for ((statement, expected), line) in statements.iter().zip(&lines) {
        if *expected == "ran" {
            assert_eq!(*line, json!(["ran", 1000]), "{statement}");
            continue;
        }
        let told = line[1].as_str().unwrap();
        assert!(told.contains(expected), "{statement}: {told}");
        if expected.contains(' ') {
            continue;
        }
        let body = json!({ "query": statement }).to_string();
        let (_, answer) = product.post("/api/v1/sql", "application/json", body.as_bytes());
        let by_http = answer["detail"].as_str().unwrap();
        assert!(told.contains(by_http), "{statement}: {told}, by HTTP: {by_http}");
    }
}

#[test]
fn a_cancelled_or_abandoned_query_ends_with_its_worker() {
    let (_folder, product) =
        product_with_data(&[("sql.deadline_seconds", "600"), ("sql.rows_max", "100000000")]);
    let Some(lines) = said(&product, "cancel", LONG, &Value::Null) else {
        return;
    };
    assert_eq!(
        lines,
        [
            json!(["OperationalError"]),
            json!([1]),
            json!(["CancelFlightInfo", [true]]),
            json!(["CancelQuery", [true]])
        ]
    );
    wait_idle(&product);
    // A client that dies.
    let mut child = client(
        &product,
        "leave",
        "SELECT a.value FROM generate_series(1, 100000) a CROSS JOIN generate_series(1, 1000) b",
    )
    .unwrap();
    let mut told = BufReader::new(child.stdout.take().unwrap());
    told.read_line(&mut String::new()).unwrap();
    wait_busy(&product);
    child.kill().unwrap();
    child.wait().unwrap();
    wait_idle(&product);
}

/// A figure of `/proc/{pid}/status`, bytes.
fn status_bytes(pid: u32, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    let kilobytes: u64 = line.trim().trim_end_matches("kB").trim().parse().unwrap();
    kilobytes * 1_024
}

/// Processor time of a process and of those that it waited for is in fields 14 to 17; those are of the process alone.
fn processor_ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

/// The worker that runs for a process.
fn worker_of(pid: u32) -> u32 {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let children = std::process::Command::new("pgrep")
            .args(["-P", &pid.to_string()])
            .output()
            .unwrap();
        if let Some(worker) = text(&children.stdout).lines().next() {
            return worker.parse().unwrap();
        }
        assert!(Instant::now() < deadline, "no worker runs");
    }
}

#[test]
fn a_slow_reader_of_a_large_result_holds_no_memory() {
    const ROWS: u64 = 12_000_000;
    // The one process below the server is to be the one that answers.
    let (_folder, product) = product_with_data(&[
        ("sql.deadline_seconds", "600"),
        ("sql.rows_max", "100000000"),
        ("sql.workers_warm", "0"),
    ]);
    let query = format!(
        "SELECT value AS a, value * 3 AS b, value * 5 AS c, value * 7 AS d FROM generate_series(1, {ROWS})"
    );
    let Some(mut child) = client(&product, "slow", &query) else {
        return;
    };
    let mut told = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    told.read_line(&mut line).unwrap();
    assert!(line.starts_with("[\"first\", "), "{line}");
    // The reader has stopped. Its worker comes to rest with the answer not done.
    let worker = worker_of(product.pid());
    let deadline = Instant::now() + PATIENCE;
    let mut before = processor_ticks(worker);
    loop {
        std::thread::sleep(Duration::from_millis(500));
        let now = processor_ticks(worker);
        if now == before {
            break;
        }
        before = now;
        assert!(
            Instant::now() < deadline,
            "the worker goes on although nobody reads"
        );
    }
    let stopped = status_bytes(product.pid(), "VmRSS:");
    child.stdin.take().unwrap().write_all(b"\n").unwrap();
    line.clear();
    told.read_line(&mut line).unwrap();
    assert!(child.wait().unwrap().success());
    let said: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(said[1], json!(ROWS));
    let bytes = said[2].as_u64().unwrap();
    assert!(bytes >= (ROWS - 1_000_000) * 32, "{bytes} bytes came");
    let most = status_bytes(product.pid(), "VmHWM:");
    eprintln!("{bytes} bytes through a server of {stopped} bytes while stopped, {most} at most");
    assert!(
        most < stopped + bytes / 4,
        "{bytes} bytes went through a server that held {stopped} bytes while its client had stopped, and {most} at most"
    );
    let told = product.errors();
    let audited = told
        .lines()
        .find(|line| line.contains("gridtally::audit") && line.contains("value * 7"));
    let audited = audited.unwrap_or_else(|| panic!("the query was not audited:\n{told}"));
    assert!(
        audited.contains(&format!("rows={ROWS}")) && audited.contains("done"),
        "{audited}"
    );
}

#[test]
fn passwords_and_tls_are_asked_for_where_they_are_configured() {
    if !have("openssl") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (crt, key) = certificate(folder.path(), "own");
    let config = folder.path().join("gridtally.toml");
    let user = |name: &str, password: &str| {
        format!(
            "[[pg.users]]\nname = \"{name}\"\nverifier = \"{}\"\n",
            verifier(password)
        )
    };
    let written = format!(
        "[flight]\ntls_certificate = \"{crt}\"\ntls_key = \"{key}\"\n{}{}",
        user("auditor", "watt hours"),
        user("second", "volt amperes")
    );
    std::fs::write(&config, written).unwrap();
    let product = Product::start_with_file(&folder.path().join("data"), &config, &[NOW]);
    let Some(lines) = said(&product, "secure", &crt, &Value::Null) else {
        return;
    };
    let contains = |at: usize, expected: &str| {
        let line = lines[at].to_string();
        assert!(line.contains(expected), "{line}: {expected}");
    };
    assert_eq!(lines[0], json!([1]));
    contains(1, "password authentication failed for user \\\"auditor\\\"");
    contains(2, "password authentication failed for user \\\"nobody\\\"");
    contains(3, "Unauthenticated");
    contains(4, "Unavailable");
    contains(5, "7");
    contains(6, "7");
    contains(7, "FlightUnauthorizedError");
    contains(7, "was not given to this user");
    contains(8, "FlightUnauthenticatedError");
    contains(9, "FlightUnauthenticatedError");
    contains(10, "FlightUnauthorizedError");
    assert_eq!(lines[11], json!(["0801"]));
    assert_eq!(lines[12], json!(["ended"]));
    let told = product.errors();
    assert!(
        told.lines()
            .any(|line| line.contains("refused") && line.contains("nobody") && line.contains("flight")),
        "{told}"
    );
}

#[test]
fn a_user_with_an_area_sees_its_rows_only() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("gridtally.toml");
    let user = |name: &str, more: &str| {
        format!(
            "[[pg.users]]\nname = \"{name}\"\nverifier = \"{}\"\n{more}",
            verifier("watt hours")
        )
    };
    let users = user("auditor", "") + &user("town", "area = \"SD-DT1\"\n");
    std::fs::write(&config, users).unwrap();
    let product = Product::start_with_file(&folder.path().join("data"), &config, &[NOW]);
    for file in ["nodes.csv", "meters.csv", "connections.csv", "reads.parquet"] {
        product.import(&real_data().join(file));
    }
    product.checkpoint();
    let below = "SELECT meter_id FROM connections WHERE node_id = 'SD-DT1' UNION SELECT meter_id FROM meters WHERE node_id = 'SD-DT1'";
    let cases = [
        (
            "SELECT count(*) FROM nodes",
            "SELECT count(*) FROM nodes WHERE node_id = 'SD-DT1'".to_owned(),
        ),
        (
            "SELECT count(DISTINCT dt_id) FROM dt_balance",
            "SELECT count(DISTINCT dt_id) FROM dt_balance WHERE dt_id = 'SD-DT1'".to_owned(),
        ),
        (
            "SELECT count(*) FROM interval_reads",
            format!("SELECT count(*) FROM interval_reads WHERE meter_id IN ({below})"),
        ),
        (
            "SELECT count(*) FROM nodes WHERE node_id = 'SD-DISC'",
            "SELECT 0".to_owned(),
        ),
        (
            "SELECT count(*) FROM nodes_as_of('2026-04-02T00:00:00+05:30')",
            "SELECT count(*) FROM nodes_as_of('2026-04-02T00:00:00+05:30') WHERE node_id = 'SD-DT1'"
                .to_owned(),
        ),
    ];
    let queries: Vec<&str> = cases.iter().map(|(query, _)| *query).collect();
    let Some(lines) = said(&product, "area", "", &json!(queries)) else {
        return;
    };
    assert_eq!(lines.len(), cases.len());
    for ((query, part), line) in cases.iter().zip(&lines) {
        let (all, part) = (product.sql_number(query), product.sql_number(part));
        assert_eq!(*line, json!([all, part, part]), "{query}");
        assert_ne!(all, part, "{query} tells nothing");
    }
}

#[test]
fn more_connections_than_allowed_are_closed_and_places_are_given_back() {
    let (_folder, product) =
        product_with_data(&[("flight.connections_max", "1"), ("flight.idle_seconds", "6")]);
    let Some(lines) = said(&product, "places", "", &Value::Null) else {
        return;
    };
    assert!(
        lines[0][1].as_str().unwrap().contains("Unavailable"),
        "{}",
        lines[0]
    );
    assert_eq!(lines[1..], [json!(["left"]), json!(["after it", 1])]);
}

#[test]
fn what_cannot_be_served_is_an_error_at_the_start() {
    if !have("openssl") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (crt, key) = certificate(folder.path(), "own");
    let (_, other) = certificate(folder.path(), "other");
    let data = folder.path().join("data");
    let tls = |certificate: &str, key: &str| {
        [
            format!("flight.tls_certificate={certificate}"),
            format!("flight.tls_key={key}"),
        ]
    };
    for (settings, expected) in [
        (tls(&crt, &other).to_vec(), "cannot be used together"),
        (tls(&crt, "").to_vec(), "the certificate needs its key"),
        (tls("", &key).to_vec(), "the key needs its certificate"),
        (
            vec!["flight.listen=0.0.0.0:0".to_owned()],
            "flight.open = true, with [[pg.users]]",
        ),
    ] {
        let mut command = std::process::Command::new(product::BINARY);
        command.args(["serve", "--data-dir"]).arg(&data);
        for setting in settings {
            command.args(["--set", &setting]);
        }
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{expected}");
        let told = text(&output.stderr);
        assert!(told.contains(expected), "{told}");
    }
}

#[test]
fn garbage_never_brings_the_surface_down() {
    let (_folder, mut product) = product_with_data(&[]);
    let Some(lines) = said(&product, "garbage", "4711", &Value::Null) else {
        return;
    };
    assert!(lines[0][1].as_u64().unwrap() > 1_000, "{}", lines[0]);
    assert_eq!(lines[1], json!([1]));
    assert!(product.is_running());
    assert_eq!(product.get_status("/readyz"), Some(200));
}
