//! The auditor's guide: each of its questions by every tool that it names, over the village of `tests/sql/data`, to the last digit.
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
    io::Write,
    process::Stdio,
    time::{Duration, Instant},
};

use gridtally_api::guide::{self, AUDITORS_GUIDE};
use gridtally_schemas::UtcMicros;
use product::{
    PATIENCE, Product, have,
    psql::{by_http, psql, text},
    python_command, village,
    wire::Session,
};
use serde_json::json;

/// An answer: rows of values as text, "∅" for null.
type Rows = Vec<Vec<String>>;

/// What a tool of `tests/clients/guide.py` is told to reach the product.
type Where = fn(&Product) -> String;

/// The tools beside HTTP, psql and the bare protocol. One more is one more line here, and a function of that name there.
const TOOLS: &[(&str, Where)] = &[
    ("psycopg", |product| product.pg.port().to_string()),
    ("psycopg2", |product| product.pg.port().to_string()),
    ("sqlalchemy", |product| product.pg.port().to_string()),
    ("jdbc", |product| product.pg.port().to_string()),
    ("odbc", |product| product.pg.port().to_string()),
    ("adbc", |product| product.flight.port().to_string()),
    ("duckdb", tables),
    ("polars", tables),
];

fn tables(product: &Product) -> String {
    product.data_dir.join("tables").to_str().unwrap().to_owned()
}

/// A value as every tool's is compared: instants as microseconds of UTC, numbers as they are.
fn plain(value: &str) -> String {
    let is_time =
        value.len() >= 17 && value.as_bytes()[4] == b'-' && [b'T', b' '].contains(&value.as_bytes()[10]);
    if !is_time {
        return value.to_owned();
    }
    let mut time = value.replacen(' ', "T", 1);
    // Java leaves out seconds that are zero.
    if matches!(time.as_bytes()[16], b'+' | b'-' | b'Z') {
        time.insert_str(16, ":00");
    }
    // PostgreSQL leaves out an offset's minutes that are zero.
    if time.as_bytes()[time.len() - 3] == b'+' {
        time.push_str(":00");
    }
    let instant = UtcMicros::parse(&time).unwrap_or_else(|problem| panic!("{value}: {problem}"));
    format!("{} µs", instant.0)
}

fn by_psql(product: &Product, question: &str) -> Rows {
    let arguments = ["-At", "-F", "\u{1f}", "-P", "null=∅", "-c", question];
    let shown = psql(product, &arguments);
    let row = |line: &str| line.split('\u{1f}').map(str::to_owned).collect();
    shown.lines().map(row).collect()
}

fn by_protocol(session: &mut Session, question: &str) -> Rows {
    let rows = session.query(question).unwrap();
    let shown = |value: Option<String>| value.unwrap_or_else(|| "∅".to_owned());
    rows.into_iter()
        .map(|row| row.into_iter().map(shown).collect())
        .collect()
}

/// Every question by one tool; `None` where this machine cannot have it.
fn by_tool(product: &Product, tool: (&str, Where), questions: &[&str]) -> Option<Vec<Rows>> {
    let lines = lines_of(product, tool, questions)?;
    Some(
        lines
            .iter()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect(),
    )
}

/// What a function of `tests/clients/guide.py` says.
fn lines_of(product: &Product, (tool, place): (&str, Where), questions: &[&str]) -> Option<Vec<String>> {
    let mut command = python_command("guide.py", &[tool, &place(product)])?;
    if tool.starts_with("jdbc") && !(have("java") && have_driver(JDBC)) {
        return None;
    }
    if tool.starts_with("odbc") && !have_driver((&odbc_driver(), "odbc-postgresql")) {
        return None;
    }
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let input = json!({ "questions": questions, "guide": AUDITORS_GUIDE }).to_string();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let (said, problems) = (text(&output.stdout), text(&output.stderr));
    assert!(
        output.status.success(),
        "{tool}:\n{said}\n{problems}\n{}",
        product.errors()
    );
    Some(said.lines().map(str::to_owned).collect())
}

/// A driver: where it is, and the package that brings it.
type Driver<'a> = (&'a str, &'static str);

const JDBC: Driver<'_> = ("/usr/share/java/postgresql.jar", "libpostgresql-jdbc-java");

/// Where Debian puts PostgreSQL's ODBC driver: in a folder of the machine's kind; empty: nowhere.
fn odbc_driver() -> String {
    let kinds = std::fs::read_dir("/usr/lib").unwrap();
    let mut drivers = kinds
        .map(|kind| kind.unwrap().path().join("odbc/psqlodbcw.so"))
        .filter(|driver| driver.exists());
    drivers
        .next()
        .map_or_else(String::new, |driver| driver.to_str().unwrap().to_owned())
}

/// Whether a driver is here, as [`have`] says it of programs.
fn have_driver((place, package): Driver<'_>) -> bool {
    let here = std::path::Path::new(place).exists();
    let skipped = std::env::var("GRIDTALLY_TEST_SKIP").unwrap_or_default();
    assert!(
        here || skipped.contains(package),
        "{package} is missing; ./tests/run installs it"
    );
    here
}

fn differences(expected: &Rows, found: &Rows) -> Option<String> {
    if expected.len() != found.len() {
        return Some(format!("{} rows, expected {}", found.len(), expected.len()));
    }
    for (place, (one, other)) in expected.iter().zip(found).enumerate() {
        let same = one.len() == other.len() && one.iter().zip(other).all(|(one, other)| is_same(one, other));
        if !same {
            return Some(format!("row {place} is {other:?}, expected {one:?}"));
        }
    }
    None
}

/// The same text, or the same number to the last bit.
fn is_same(one: &str, other: &str) -> bool {
    let numbers = (one.parse::<f64>(), other.parse::<f64>());
    plain(one) == plain(other) || matches!(numbers, (Ok(one), Ok(other)) if one.to_bits() == other.to_bits())
}

#[test]
fn every_tool_answers_every_question_alike() {
    let (_folder, product) = village::product();
    let guide = guide::questions(AUDITORS_GUIDE);
    let questions: Vec<&str> = guide.iter().map(|question| question.sql.as_str()).collect();
    let expected: Vec<Rows> = questions
        .iter()
        .map(|question| by_http(&product, question))
        .collect();
    for (question, rows) in guide.iter().zip(&expected) {
        // What must be empty says so: the identity that no parent breaks.
        assert_eq!(
            rows.is_empty(),
            question.title.starts_with("Do the children"),
            "{}",
            question.title
        );
    }
    let mut session = Session::open(product.pg);
    let protocol = questions
        .iter()
        .map(|question| by_protocol(&mut session, question));
    let mut answers = vec![("the protocol", protocol.collect::<Vec<Rows>>())];
    if have("psql") {
        let answered = questions.iter().map(|question| by_psql(&product, question));
        answers.push(("psql", answered.collect()));
    }
    for (tool, place) in TOOLS {
        answers.extend(by_tool(&product, (tool, *place), &questions).map(|answered| (*tool, answered)));
    }
    let mut problems = Vec::new();
    for (tool, answered) in &answers {
        assert_eq!(answered.len(), questions.len(), "{tool}");
        for ((question, expected), found) in guide.iter().zip(&expected).zip(answered) {
            let difference = differences(expected, found);
            problems.extend(difference.map(|difference| format!("{tool}: {}: {difference}", question.title)));
        }
    }
    assert!(
        problems.is_empty(),
        "by HTTP it is another answer:\n{}",
        problems.join("\n")
    );
}

#[test]
fn jdbc_takes_parameters_of_every_type() {
    let (_folder, product) = village::product();
    let port: Where = |product| product.pg.port().to_string();
    let Some(lines) = lines_of(&product, ("jdbc_parameters", port), &[]) else {
        return;
    };
    let count = |condition: &str| {
        let counted = product.sql_number(&format!("SELECT count(*) FROM {condition}"));
        assert!(counted > 0, "{condition}");
        counted.to_string()
    };
    let of_day = count("interval_reads WHERE day = '2026-04-01'");
    let from_second = count("interval_reads WHERE interval_end >= '2026-04-02 00:00:00'");
    let expected = [
        "it's!".to_owned(),
        "t".to_owned(),
        "42".to_owned(),
        "42".to_owned(),
        "42".to_owned(),
        "3".to_owned(),
        "3".to_owned(),
        "-12345.60".to_owned(),
        of_day.clone(),
        count("interval_reads WHERE day >= '2026-04-01'"),
        "2026-04-01".to_owned(),
        "2026-04-02".to_owned(),
        from_second.clone(),
        from_second.clone(),
        of_day,
        from_second.clone(),
        from_second,
        count("nodes_as_of('2026-04-02T00:00:00+05:30')"),
        product.sql("SELECT min(node_id) FROM nodes")[0][0]
            .as_str()
            .unwrap()
            .to_owned(),
        count("nodes WHERE kind IN ('dt', 'feeder')"),
        "nothing".to_owned(),
        "logical_plan".to_owned(),
    ];
    assert_eq!(lines.len(), 3 * expected.len());
    let mut problems = Vec::new();
    for (expected, lines) in expected.iter().zip(lines.chunks(3)) {
        for line in lines {
            let [question, setter, said]: [String; 3] = serde_json::from_str(line).unwrap();
            if !is_same(&said, expected) {
                problems.push(format!("{question} by {setter}: {said}, expected {expected}"));
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn odbc_finds_tables_columns_and_keys_and_takes_parameters() {
    let (_folder, product) = village::product();
    let port: Where = |product| product.pg.port().to_string();
    let Some(lines) = lines_of(&product, ("odbc_catalogue", port), &[]) else {
        return;
    };
    let said: Vec<(String, Rows)> = lines
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    // As it is asked with whole results and by a cursor.
    let (whole, by_cursor) = said.split_at(said.len() / 2);
    assert_eq!(whole, by_cursor);
    let of = |title: &str| -> &Rows {
        let found = whole.iter().find(|(one, _)| one == title);
        &found.unwrap_or_else(|| panic!("{title}")).1
    };
    let names: Vec<&str> = of("tables").iter().map(|row| row[1].as_str()).collect();
    for table in ["interval_reads", "interval_reads_history", "dt_balance", "nodes"] {
        assert!(names.contains(&table), "{table}: {names:?}");
    }
    assert!(of("tables").iter().all(|row| row[0] == "public"));
    assert_eq!(of("one table"), &[["nodes"]]);
    let columns = of("columns");
    assert_eq!(columns[0], ["dt_id", "text", "0"]);
    assert!(columns.contains(&vec!["loss_pct".to_owned(), "float8".to_owned(), "1".to_owned()]));
    let shown = product.sql("SELECT count(*) FROM table_columns WHERE table_name = 'dt_balance'");
    assert_eq!(shown[0][0], json!(columns.len()));
    assert_eq!(of("types"), &[["int8"]]);
    let mut asked = 0;
    for (question, rows) in whole.iter().filter(|(title, _)| title.contains('?')) {
        let (_, condition) = question.split_once("FROM ").unwrap();
        let condition = match condition.rsplit_once(' ').unwrap().0 {
            of_day if of_day.contains("day") => format!("{of_day} DATE '2026-04-01'"),
            of_time if of_time.contains("interval_end") => format!("{of_time} '2026-04-02 00:00:00'"),
            of_meter if of_meter.contains("meter_id") => format!("{of_meter} 'M1'"),
            of_energy if of_energy.contains("import_wh") => format!("{of_energy} 100"),
            of_loss if of_loss.contains("loss_pct") => format!("{of_loss} 1.5"),
            of_money if of_money.contains("billed_inr") => format!("{of_money} 10.50"),
            of_name => format!("{of_name} NULL"),
        };
        let counted = product.sql_number(&format!("SELECT count(*) FROM {condition}"));
        assert_eq!(rows, &[[counted.to_string()]], "{question}");
        assert_eq!(counted == 0, question.contains("name"), "{question} says nothing");
        asked += 1;
    }
    assert_eq!(asked, 14);
    let many = product.sql_number("SELECT count(*) FROM interval_reads");
    assert_eq!(of("many rows").len().to_string(), many.to_string());
    for (title, rows) in whole {
        if ["COPY", "DELETE", "SELECT pg_read"]
            .iter()
            .any(|begin| title.starts_with(begin))
        {
            assert_eq!(rows[0][0], "refused", "{title}");
        }
    }
}

/// What the audit says of a statement on a surface, once it is over.
fn told(product: &Product, surface: &str, statement: &str) -> String {
    let begin = Instant::now();
    loop {
        let said = product.errors();
        let line = said.lines().find(|line| {
            line.contains("gridtally::audit: query")
                && line.contains(&format!("surface=\"{surface}\""))
                && line.contains(statement)
        });
        if let Some(line) = line {
            return line.to_owned();
        }
        assert!(begin.elapsed() < PATIENCE, "{surface}: {said}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn of_each_query_on_each_surface_the_audit_says_who_asked_what_and_how_much_it_gave() {
    let (_folder, product) = village::product();
    let question = "SELECT node_id FROM nodes ORDER BY node_id LIMIT 3";
    assert_eq!(by_http(&product, question).len(), 3);
    let mut session = Session::open(product.pg);
    assert_eq!(by_protocol(&mut session, question).len(), 3);
    let mut surfaces = vec!["http", "pg"];
    let port: Where = |product| product.flight.port().to_string();
    if let Some(answers) = by_tool(&product, ("adbc", port), &[question]) {
        assert_eq!(answers[0].len(), 3);
        surfaces.push("flight");
    }
    for surface in surfaces {
        let line = told(&product, surface, question);
        let value = |name: &str| {
            let (_, rest) = line.split_once(&format!(" {name}=")).unwrap();
            rest.split(' ').next().unwrap().to_owned()
        };
        let number = |name: &str| value(name).parse::<f64>().unwrap();
        assert_eq!(number("rows"), 3.0, "{line}");
        assert!(number("bytes") > 0.0 && number("seconds") > 0.0, "{line}");
        assert_eq!(value("outcome"), "\"done\"", "{line}");
        // With open access the name is what the client says; by HTTP it says none.
        assert_eq!(value("who") == "\"\"", surface == "http", "{line}");
    }
}

#[test]
fn the_guide_is_served_and_the_console_has_its_questions() {
    let folder = tempfile::tempdir().unwrap();
    let product = Product::start(folder.path(), &[]);
    let (status, page) = product.get_text("/docs/auditors-guide");
    assert_eq!(status, 200);
    assert!(
        page.contains("<h1 id=\"the-auditors-guide\">The auditor's guide</h1>"),
        "{page}"
    );
    assert_eq!(product.get_status("/ui/guide.css"), Some(200));
    let offered = product.get("/docs/auditors-guide/questions.json");
    assert_eq!(offered, json!(guide::questions(AUDITORS_GUIDE)));
    let (_, docs) = product.get_text("/docs");
    assert!(
        docs.contains("/docs/auditors-guide"),
        "the description of the API names it"
    );
}
