//! Every table and table function by SQL, over the village of `tests/sql/data`: answers worked by hand (`tests/sql/*.slt`).
//! And what HTTP has of its own: limits that are told, and parameters.
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
    io::{Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::Command,
};

use gridtally_schemas::table;
use product::{BINARY, PATIENCE, Product, psql::text, slt, village, wire::Session};
use serde_json::{Value, json};

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sql");
    let entries = std::fs::read_dir(folder).unwrap();
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "slt"))
        .collect();
    files.sort();
    files
}

#[test]
fn every_answer_is_the_one_worked_by_hand() {
    let (_folder, product) = village::product();
    let mut session = Session::open(product.pg);
    let (mut ran, mut failures) = (0, Vec::new());
    for file in files() {
        let (count, failed) = slt::run(&file, &mut session);
        ran += count;
        failures.extend(failed);
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
    assert!(ran > 100, "{ran} statements");
}

#[test]
fn every_table_and_each_of_its_functions_is_asked() {
    let all: String = files()
        .iter()
        .map(|file| std::fs::read_to_string(file).unwrap())
        .collect();
    let statements: String = all
        .lines()
        .filter(|line| !line.starts_with('#'))
        .collect::<Vec<_>>()
        .join("\n");
    let is_asked = |name: &str| {
        statements
            .split(name)
            .skip(1)
            .any(|after| !after.starts_with(|letter: char| letter.is_alphanumeric() || letter == '_'))
    };
    let mut missing = Vec::new();
    for table in table::published() {
        let names = [
            table.name.to_owned(),
            format!("{}_history", table.name),
            format!("{}_as_of", table.name),
        ];
        missing.extend(names.into_iter().filter(|name| !is_asked(&format!(" {name}"))));
    }
    assert!(missing.is_empty(), "no file of tests/sql asks {missing:?}");
}

/// The whole of what `POST /sql` sends, as it is on the wire.
fn sent(product: &Product, query: &Value) -> String {
    let mut stream = TcpStream::connect(product.http).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let body = query.to_string();
    write!(
        stream,
        "POST /api/v1/sql HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        product.http,
        body.len()
    )
    .unwrap();
    let mut all = Vec::new();
    // A connection that is broken off may be reset.
    let _ = stream.read_to_end(&mut all);
    text(&all)
}

/// How a chunked body ends that is whole.
const WHOLE: &str = "\r\n0\r\n\r\n";

fn rows_of(product: &Product, query: &Value) -> (u16, Value) {
    product.post("/api/v1/sql", "application/json", query.to_string().as_bytes())
}

#[test]
fn no_part_of_a_result_is_passed_off_as_the_whole() {
    let folder = tempfile::tempdir().unwrap();
    let limits = [("sql.rows_max", "1000"), ("sql.deadline_seconds", "20")];
    let product = Product::start(folder.path(), &limits);
    let (within, beyond) = (
        "SELECT * FROM generate_series(1, 1000)",
        "SELECT * FROM generate_series(1, 1001)",
    );
    for format in ["csv", "arrow"] {
        let whole = sent(&product, &json!({ "query": within, "format": format }));
        assert!(whole.starts_with("HTTP/1.1 200 "), "{whole}");
        assert!(whole.ends_with(WHOLE), "{whole}");
        for header in ["\r\nsql-rows-max: 1000\r\n", "\r\nsql-deadline-seconds: 20\r\n"] {
            assert!(whole.contains(header), "{header} in {whole}");
        }
        // What is short is refused before anything of it is sent; what is long breaks off.
        let refused = sent(&product, &json!({ "query": beyond, "format": format }));
        assert!(refused.starts_with("HTTP/1.1 400 "), "{refused}");
        assert!(
            refused.contains("more than 1000 rows (sql.rows_max)"),
            "{refused}"
        );
        let long = "SELECT value, repeat('x', 5000) FROM generate_series(1, 1001)";
        let cut = sent(&product, &json!({ "query": long, "format": format }));
        assert!(cut.starts_with("HTTP/1.1 200 "), "{}", &cut[..cut.len().min(400)]);
        assert!(!cut.ends_with(WHOLE), "{format} is passed off as whole");
        let limited = format!("{long} LIMIT 1000");
        let whole = sent(&product, &json!({ "query": limited, "format": format }));
        assert!(whole.ends_with(WHOLE), "{format} with a LIMIT is whole");
    }
    for (query, truncated) in [(within, false), (beyond, true)] {
        let (status, answer) = rows_of(&product, &json!({ "query": query }));
        assert_eq!(status, 200, "{answer}");
        assert_eq!(answer["rows"].as_array().unwrap().len(), 1000);
        let said = (
            &answer["truncated"],
            &answer["rows_max"],
            &answer["deadline_seconds"],
        );
        assert_eq!(said, (&json!(truncated), &json!(1000), &json!(20)));
    }
    // What was cut off is audited as such.
    assert!(
        product.errors().contains("more than 1000 rows"),
        "{}",
        product.errors()
    );
    let by_command = |query: &str| {
        let arguments = ["sql", query, "--format", "csv", "--server", &product.url("")];
        Command::new(BINARY).args(arguments).output().unwrap()
    };
    for query in [
        beyond,
        "SELECT value, repeat('x', 5000) FROM generate_series(1, 1001)",
    ] {
        let output = by_command(query);
        assert_eq!(output.status.code(), Some(1), "{query}");
        let told = text(&output.stderr);
        assert!(told.contains("sql.rows_max"), "{query}: {told}");
    }
    assert_eq!(by_command(within).status.code(), Some(0));
}

#[test]
fn http_takes_parameters_and_columns_beside_a_wildcard() {
    let (_folder, product) = village::product();
    let ask = |query: &str, parameters: Value| {
        let (status, answer) = rows_of(&product, &json!({ "query": query, "parameters": parameters }));
        assert_eq!(status, 200, "{query} {parameters}: {answer}");
        answer["rows"].clone()
    };
    let hostile = "'; DROP TABLE nodes; -- $1";
    assert_eq!(
        ask(
            "SELECT $1, $2 + 1, $3 * 2, $4, $5, $1 IS NULL",
            json!([hostile, 41, 1.5, true, null])
        ),
        json!([[hostile, 42, 3, true, null, false]])
    );
    for (query, parameters, same) in [
        (
            "SELECT count(*) FROM interval_reads WHERE interval_end >= $1 AND meter_id <> $2",
            json!(["2026-04-01T12:00:00+05:30", "none"]),
            "SELECT count(*) FROM interval_reads WHERE interval_end >= TIMESTAMP '2026-04-01T12:00:00+05:30'",
        ),
        (
            "SELECT count(*) FROM interval_reads WHERE day = $1 AND import_wh >= $2",
            json!(["2026-04-01", 100]),
            "SELECT count(*) FROM interval_reads WHERE day = DATE '2026-04-01' AND import_wh >= 100",
        ),
        (
            "SELECT count(*) FROM nodes_as_of($1)",
            json!(["2026-04-02T00:00:00+05:30"]),
            "SELECT count(*) FROM nodes_as_of('2026-04-02T00:00:00+05:30')",
        ),
        (
            "SELECT node_id FROM nodes ORDER BY node_id LIMIT $1",
            json!([2]),
            "SELECT node_id FROM nodes ORDER BY node_id LIMIT 2",
        ),
    ] {
        let expected = json!(product.sql(same));
        assert_ne!(expected[0][0], json!(0), "{same} counts something");
        assert_eq!(ask(query, parameters), expected, "{query}");
    }
    for (parameters, problem) in [
        (json!(["a"]), "the statement has 2 parameters, and 1 were given"),
        (
            json!(["a", 1, 2]),
            "the statement has 2 parameters, and 3 were given",
        ),
        (json!(["a", ["b"]]), "the value of $2 is a list or an object"),
    ] {
        let asked = json!({ "query": "SELECT $1, $2", "parameters": parameters });
        let (status, answer) = rows_of(&product, &asked);
        assert_eq!(status, 400, "{answer}");
        assert!(answer["detail"].as_str().unwrap().contains(problem), "{answer}");
    }
    let (status, answer) = rows_of(&product, &json!({ "query": "SELECT $1" }));
    assert_eq!(status, 400, "{answer}");
    for query in [
        "SELECT node_id, * FROM nodes ORDER BY node_id",
        "SELECT n.node_id AS node_id, n.* FROM nodes n ORDER BY node_id",
    ] {
        let (status, answer) = rows_of(&product, &json!({ "query": query }));
        assert_eq!(status, 200, "{query}: {answer}");
        let names = answer["columns"].as_array().unwrap();
        let at: Vec<usize> = (0..names.len())
            .filter(|at| names[*at]["name"] == "node_id")
            .collect();
        assert_eq!(at.len(), 2, "{answer}");
        for row in answer["rows"].as_array().unwrap() {
            assert_eq!(row[at[0]], row[at[1]]);
        }
    }
    assert!(product.sql_number("SELECT count(*) FROM nodes") > 0);
}
