//! Who gets in, by key, password and token, and what part of it is theirs: the binary, its command line, psql and an outside issuer.
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
    path::Path,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use product::{
    BINARY, PATIENCE, Product, have,
    psql::{psql_command, text},
    python_command,
};
use serde_json::{Value, json};

const NOW: (&str, &str) = ("now", "2026-04-01T01:00:00+05:30");

/// F1 with T1 (U1, meter C1) and F2 with T2 (U2, meter C2): one interval each.
const FILES: &[(&str, &str)] = &[
    (
        "nodes.csv",
        "node_id,kind,parent_id,name,area_class,capacity_kva,valid_from\n\
         D1,discom,,Konkan,,,2026-01-01T00:00:00+05:30\n\
         F1,feeder,D1,Town,urban,,2026-01-01T00:00:00+05:30\n\
         F2,feeder,D1,Harbour,urban,,2026-01-01T00:00:00+05:30\n\
         T1,dt,F1,Bazaar,urban,100,2026-01-01T00:00:00+05:30\n\
         T2,dt,F2,Jetty,urban,100,2026-01-01T00:00:00+05:30\n",
    ),
    (
        "meters.csv",
        "meter_id,role,node_id,interval_minutes,multiplier,valid_from\n\
         MF1,feeder,F1,15,1,2026-01-01T00:00:00+05:30\n\
         MF2,feeder,F2,15,1,2026-01-01T00:00:00+05:30\n\
         MT1,dt,T1,15,1,2026-01-01T00:00:00+05:30\n\
         MT2,dt,T2,15,1,2026-01-01T00:00:00+05:30\n\
         C1,consumer,,15,1,2026-01-01T00:00:00+05:30\n\
         C2,consumer,,15,1,2026-01-01T00:00:00+05:30\n",
    ),
    (
        "connections.csv",
        "consumer_id,meter_id,node_id,category,supply,phases,sanctioned_load_kw,metering,prosumer,valid_from\n\
         U1,C1,T1,LT-domestic,LT,1,2,prepaid,none,2026-01-01T00:00:00+05:30\n\
         U2,C2,T2,LT-domestic,LT,1,2,prepaid,none,2026-01-01T00:00:00+05:30\n",
    ),
    (
        "reads.csv",
        "meter_id,interval_end,import_wh\n\
         MF1,2026-04-01T00:15:00+05:30,1000\n\
         MF2,2026-04-01T00:15:00+05:30,2000\n\
         MT1,2026-04-01T00:15:00+05:30,950\n\
         MT2,2026-04-01T00:15:00+05:30,1900\n\
         C1,2026-04-01T00:15:00+05:30,900\n\
         C2,2026-04-01T00:15:00+05:30,0\n",
    ),
];

/// What `gridtally access-key` prints: the key, and the lines of the configuration.
fn access_key(arguments: &[&str]) -> (String, String) {
    let output = Command::new(BINARY)
        .arg("access-key")
        .args(arguments)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let printed = text(&output.stdout);
    let (key, lines) = printed.split_once('\n').unwrap();
    assert!(!lines.contains(key), "the key stands in what is kept");
    (key.to_owned(), lines.to_owned())
}

fn verifier(password: &str) -> String {
    let mut child = Command::new(BINARY)
        .arg("pg-password")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    writeln!(child.stdin.take().unwrap(), "{password}").unwrap();
    text(&child.wait_with_output().unwrap().stdout).trim().to_owned()
}

/// Keys of this file's tests.
struct Keys {
    admin: String,
    operator: String,
    viewer: String,
    auditor_f1: String,
}

/// An instance with keys, users and the network above.
fn guarded(folder: &Path, more: &str) -> (Product, Keys) {
    let (admin, lines) = access_key(&["boss", "--role", "admin"]);
    let mut written = lines;
    let mut key = |arguments: &[&str]| {
        let (key, lines) = access_key(arguments);
        written.push_str(&lines);
        key
    };
    let keys = Keys {
        admin,
        operator: key(&["control-room", "--role", "operator"]),
        viewer: key(&["wall", "--expires", "2099-01-01T00:00:00+05:30"]),
        auditor_f1: key(&["town", "--role", "auditor", "--area", "F1"]),
    };
    for (name, more) in [
        ("auditor", ""),
        ("town", "area = \"F1\"\n"),
        ("nowhere", "area = \"F9\"\n"),
        ("desk", "role = \"operator\"\n"),
    ] {
        let verifier = verifier("watt hours");
        written.push_str(&format!(
            "[[pg.users]]\nname = \"{name}\"\nverifier = \"{verifier}\"\n{more}"
        ));
    }
    let config = folder.join("gridtally.toml");
    std::fs::write(&config, format!("{more}\n{written}")).unwrap();
    let product = Product::start_with_file(&folder.join("data"), &config, &[NOW]);
    let files = folder.join("files");
    std::fs::create_dir_all(&files).unwrap();
    for (name, content) in FILES {
        std::fs::write(files.join(name), content).unwrap();
    }
    let imported = cli(
        &product,
        Some(&keys.operator),
        &["import", files.to_str().unwrap()],
    );
    assert!(imported.status.success(), "{}", text(&imported.stderr));
    let published = cli(&product, Some(&keys.admin), &["sql", "--fresh", "SELECT 1"]);
    assert!(published.status.success(), "{}", text(&published.stderr));
    (product, keys)
}

/// The command line as a client with a key in its environment.
fn cli(product: &Product, key: Option<&str>, arguments: &[&str]) -> Output {
    let mut command = Command::new(BINARY);
    command
        .args(arguments)
        .env_remove("GRIDTALLY_API_KEY")
        .env("GRIDTALLY_SERVER", product.url(""));
    if let Some(key) = key {
        command.env("GRIDTALLY_API_KEY", key);
    }
    command.output().unwrap()
}

/// GET with a key or token: status and body.
fn get(product: &Product, key: &str, path: &str) -> (u16, Value) {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .build()
        .into();
    let asked = agent
        .get(product.url(path))
        .header("authorization", &format!("Bearer {key}"));
    let mut response = asked.call().unwrap();
    let text = response.body_mut().read_to_string().unwrap();
    (
        response.status().as_u16(),
        serde_json::from_str(&text).unwrap_or(Value::String(text)),
    )
}

/// POST /sql with a key or token.
fn sql(product: &Product, key: &str, query: &str) -> (u16, Value) {
    let authorization = format!("Bearer {key}");
    product.post_with(
        "/api/v1/sql",
        ("authorization", &authorization),
        &json!({ "query": query }),
    )
}

#[test]
fn the_command_line_takes_its_key_from_the_environment() {
    let folder = tempfile::tempdir().unwrap();
    let (product, keys) = guarded(folder.path(), "");
    let without = cli(&product, None, &["sql", "SELECT 1"]);
    assert_eq!(without.status.code(), Some(1));
    let said = text(&without.stderr);
    assert!(
        said.contains("(401)") && said.contains("GRIDTALLY_API_KEY"),
        "{said}"
    );
    for (key, arguments, expected) in [
        (
            &keys.viewer,
            &["sql", "SELECT 1"][..],
            "needed is auditor or admin",
        ),
        (
            &keys.auditor_f1,
            &["sql", "--fresh", "SELECT 1"],
            "needed is admin",
        ),
        (&keys.auditor_f1, &["quarantine", "list"], "is limited to `F1`"),
        (
            &keys.viewer,
            &["quarantine", "replay"],
            "needed is operator or admin",
        ),
    ] {
        let refused = cli(&product, Some(key), arguments);
        let said = text(&refused.stderr);
        assert_eq!(refused.status.code(), Some(1), "{arguments:?}: {said}");
        assert!(
            said.contains("(403)") && said.contains(expected),
            "{arguments:?}: {said}"
        );
    }
    let listed = cli(&product, Some(&keys.operator), &["quarantine", "list"]);
    assert!(listed.status.success(), "{}", text(&listed.stderr));
    // The rows of a file say who sent it; the audit says who did what.
    let (_, rows) = sql(&product, &keys.admin, "SELECT DISTINCT source FROM nodes");
    assert_eq!(rows["rows"], json!([["file:nodes.csv (control-room)"]]));
    let audit = product.errors();
    let line = audit
        .lines()
        .find(|line| line.contains("/api/v1/import/nodes"))
        .unwrap_or_default();
    assert!(
        line.contains("gridtally::audit") && line.contains("control-room"),
        "{audit}"
    );
    assert!(
        !audit.contains(&keys.admin) && !audit.contains(&keys.viewer),
        "a key stands in the log"
    );
}

#[test]
fn the_area_holds_in_sql_by_http_and_by_psql() {
    if !have("psql") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (product, keys) = guarded(folder.path(), "");
    let psql = |user: &str, query: &str| {
        psql_command(&product, &["-U", user, "-At", "-c", query])
            .env("PGPASSWORD", "watt hours")
            .output()
            .unwrap()
    };
    for (query, everything, part) in [
        (
            "SELECT string_agg(node_id, ',' ORDER BY node_id) FROM nodes",
            "D1,F1,F2,T1,T2",
            "F1,T1",
        ),
        ("SELECT count(*) FROM interval_reads_history", "6", "3"),
        ("SELECT sum(import_wh) FROM interval_reads", "6750", "2850"),
        (
            "SELECT count(*) FROM interval_reads_as_of('2026-04-01T01:00:00+05:30') WHERE meter_id IN ('MF2', 'C2')",
            "2",
            "0",
        ),
        (
            "SELECT count(*) FROM nodes a JOIN nodes b ON a.parent_id = b.node_id WHERE b.node_id = 'D1'",
            "2",
            "0",
        ),
        (
            "SELECT count(DISTINCT feeder_id) FROM feeder_balance WHERE feeder_id = 'F2'",
            "1",
            "0",
        ),
        (
            "SELECT count(DISTINCT node_id) FROM node_balance_daily WHERE node_id = 'D1'",
            "1",
            "0",
        ),
    ] {
        for (user, expected) in [("auditor", everything), ("town", part)] {
            let output = psql(user, query);
            assert_eq!(
                text(&output.stdout).trim(),
                expected,
                "{user}: {query}: {}",
                text(&output.stderr)
            );
        }
        for (key, expected) in [(&keys.admin, everything), (&keys.auditor_f1, part)] {
            let (status, answer) = sql(&product, key, query);
            assert_eq!(status, 200, "{answer}");
            let cell = &answer["rows"][0][0];
            let cell = cell.as_str().map_or_else(|| cell.to_string(), str::to_owned);
            assert_eq!(cell, expected, "{query}");
        }
    }
    // A consumer outside who took nothing divides nobody's sum by zero.
    let (status, _) = sql(
        &product,
        &keys.admin,
        "SELECT sum(9000 / import_wh) FROM interval_reads",
    );
    assert_eq!(status, 400);
    let divided = psql("town", "SELECT sum(9000 / import_wh) FROM interval_reads");
    assert_eq!(text(&divided.stdout).trim(), "28", "{}", text(&divided.stderr));
    assert_eq!(
        text(&psql("nowhere", "SELECT count(*) FROM nodes").stdout).trim(),
        "0"
    );
    let described = psql("town", "\\d+ interval_reads");
    assert!(described.status.success(), "{}", text(&described.stderr));
    // A prepared statement, a cursor and EXPLAIN are asked on the same behalf.
    let cursor = psql(
        "town",
        "BEGIN; DECLARE c CURSOR FOR SELECT meter_id FROM meters ORDER BY 1; FETCH ALL FROM c; COMMIT",
    );
    assert_eq!(
        text(&cursor.stdout)
            .lines()
            .filter(|line| line.starts_with(['C', 'M']) && line.len() < 4)
            .count(),
        3
    );
    let plan = psql(
        "town",
        "EXPLAIN ANALYZE SELECT * FROM interval_reads_history WHERE meter_id = 'C2'",
    );
    assert!(!text(&plan.stdout).contains(".parquet"), "{}", text(&plan.stdout));
}

#[test]
fn a_query_by_http_is_told_with_who_asked_it() {
    let folder = tempfile::tempdir().unwrap();
    let (product, keys) = guarded(folder.path(), "");
    let (status, answer) = sql(&product, &keys.auditor_f1, "SELECT node_id, 4711 FROM nodes");
    assert_eq!(status, 200, "{answer}");
    let rows = answer["rows"].as_array().unwrap().len();
    let (status, _) = sql(&product, &keys.auditor_f1, "SELECT 4712 FROM nowhere");
    assert_eq!(status, 400);
    // It is told once its answer is let go of, which may be after the client has it.
    let audited = |statement: &str| {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let told = product.errors();
            let mut lines = told.lines().filter(|line| line.contains("gridtally::audit"));
            if let Some(line) = lines.find(|line| line.contains(statement)) {
                return line.to_owned();
            }
            assert!(Instant::now() < deadline, "{statement} was not audited:\n{told}");
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    let contains = |line: String, parts: &[&str]| {
        for part in parts {
            assert!(line.contains(part), "{part} in {line}");
        }
    };
    let rows = format!("rows={rows}");
    contains(
        audited("SELECT node_id, 4711"),
        &["http", "town", &rows, "bytes=", "seconds=", "done"],
    );
    contains(audited("SELECT 4712"), &["http", "town", "rows=0", "nowhere"]);
}

#[test]
fn a_user_whose_role_has_no_sql_is_told_so_at_the_door() {
    if !have("psql") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (product, _) = guarded(folder.path(), "");
    let output = psql_command(&product, &["-U", "desk", "-c", "SELECT 1"])
        .env("PGPASSWORD", "watt hours")
        .output()
        .unwrap();
    let said = text(&output.stderr);
    assert!(
        said.contains("FATAL:  `desk` has no role for SQL; needed is auditor or admin"),
        "{said}"
    );
    let wrong = psql_command(&product, &["-U", "desk", "-c", "SELECT 1"])
        .env("PGPASSWORD", "volt hours")
        .output()
        .unwrap();
    assert!(
        text(&wrong.stderr).contains("password authentication failed"),
        "{}",
        text(&wrong.stderr)
    );
}

/// The outside issuer, as long as it is held.
struct Issuer(Child, Value);

impl Issuer {
    fn start() -> Option<Self> {
        let mut child = python_command("issuer.py", &[])?
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        Some(Self(child, serde_json::from_str(&line).unwrap()))
    }

    fn token(&self, name: &str) -> &str {
        self.1["tokens"][name].as_str().unwrap()
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

#[test]
fn tokens_of_an_outside_issuer_let_in_whom_it_signed_for() {
    let Some(issuer) = Issuer::start() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let provider = format!(
        "[access.oidc]\nissuer = \"https://id.example\"\naudience = \"gridtally\"\njwks_url = {}\nrole_claim = \"groups\"\n\
         area_claim = \"area\"\n",
        issuer.1["url"]
    );
    let (product, _) = guarded(folder.path(), &provider);
    let (status, nodes) = get(&product, issuer.token("auditor_f1"), "/api/v1/nodes");
    assert_eq!(status, 200, "{nodes}");
    let ids: Vec<&str> = nodes["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["node_id"].as_str().unwrap())
        .collect();
    assert_eq!(ids, ["F1", "T1"]);
    let (_, answer) = sql(&product, issuer.token("auditor_f1"), "SELECT count(*) FROM nodes");
    assert_eq!(answer["rows"], json!([[2]]));
    let (_, answer) = sql(
        &product,
        issuer.token("admin_es256"),
        "SELECT count(*) FROM nodes",
    );
    assert_eq!(answer["rows"], json!([[5]]));
    let listed = cli(
        &product,
        Some(issuer.token("operator_eddsa")),
        &["quarantine", "list"],
    );
    assert!(listed.status.success(), "{}", text(&listed.stderr));
    let (status, _) = sql(&product, issuer.token("operator_eddsa"), "SELECT 1");
    assert_eq!(status, 403);
    assert_eq!(get(&product, issuer.token("no_role"), "/api/v1/nodes").0, 403);
    for name in [
        "expired",
        "other_audience",
        "other_issuer",
        "no_area",
        "stranger",
        "public_key_as_secret",
        "unsigned",
    ] {
        let (status, answer) = get(&product, issuer.token(name), "/api/v1/nodes");
        assert_eq!(
            (status, &answer["type"]),
            (401, &json!("/docs#bad-credentials")),
            "{name}: {answer}"
        );
    }
    // A token signs the page in, too.
    let body = json!({ "key": issuer.token("auditor_f1") }).to_string();
    let (status, who) = product.post("/api/v1/session", "application/json", body.as_bytes());
    assert_eq!(
        (status, &who["name"], &who["area"]),
        (200, &json!("meera"), &json!("F1"))
    );
}

#[test]
fn a_configuration_that_would_leave_a_door_open_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (_, lines) = access_key(&["boss", "--role", "admin"]);
    let config = folder.path().join("gridtally.toml");
    std::fs::write(&config, &lines).unwrap();
    let refused = Command::new(BINARY)
        .args(["check-config", "--config", config.to_str().unwrap()])
        .output()
        .unwrap();
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        text(&refused.stderr).contains("it needs [[pg.users]] too"),
        "{}",
        text(&refused.stderr)
    );
    // With keys, beyond loopback needs no leave.
    let open = Command::new(BINARY)
        .args([
            "check-config",
            "--config",
            config.to_str().unwrap(),
            "--pg-listen",
            "",
        ])
        .args(["--http-listen", "0.0.0.0:0"])
        .output()
        .unwrap();
    assert!(open.status.success(), "{}", text(&open.stderr));
}
