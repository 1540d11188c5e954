//! The part of the tables that a caller with an area has, and attempts to get around it.
//!
//! ```text
//! D1 ┬ F1 ┬ T1 ─ U1 (meter C1)         the area of most tests: F1
//!    │    └ T2 ─ U2 (C2), hung on T3 until 500
//!    └ F2 ─ T3 ─ U3 (C3), U4 (C4, hung on T1 until 500; C5 without row in `meters`)
//! ```
//! Meters MF1, MF2 measure the feeders; the clock stands at 1,000 µs.

use gridtally_schemas::table::{
    CHECKPOINTS, CLAIMS, COMPENSATION_ACKNOWLEDGEMENTS, COMPENSATION_ENTRIES, CONNECTIONS, INTERRUPTIONS,
    METERS, OUTAGES, QUARANTINE,
};

use super::{super::super::protocol::AreaOf, *};
use crate::sql::protocol::Ask;

fn optional(values: &[Option<i64>]) -> ArrayRef {
    Arc::new(Int64Array::from(values.to_vec()))
}

fn names(values: &[Option<&str>]) -> ArrayRef {
    Arc::new(arrow::array::StringArray::from(values.to_vec()))
}

fn network() -> Vec<(&'static TableSchema, RecordBatch)> {
    let nodes = rows(
        &NODES,
        &[
            ("node_id", texts(&["D1", "F1", "F2", "T1", "T2", "T3"])),
            (
                "parent_id",
                names(&[None, Some("D1"), Some("D1"), Some("F1"), Some("F1"), Some("F2")]),
            ),
            ("valid_from", longs(&[0; 6])),
        ],
    );
    let meters = rows(
        &METERS,
        &[
            ("meter_id", texts(&["MF1", "MF2", "C1", "C2", "C3", "C4"])),
            (
                "role",
                texts(&["feeder", "feeder", "consumer", "consumer", "consumer", "consumer"]),
            ),
            (
                "node_id",
                names(&[Some("F1"), Some("F2"), None, None, None, None]),
            ),
            ("valid_from", longs(&[0; 6])),
        ],
    );
    let connections = rows(
        &CONNECTIONS,
        &[
            ("consumer_id", texts(&["U1", "U2", "U2", "U3", "U4", "U4", "U4"])),
            ("meter_id", texts(&["C1", "C2", "C2", "C3", "C4", "C4", "C5"])),
            ("node_id", texts(&["T1", "T3", "T2", "T3", "T1", "T3", "T3"])),
            ("valid_from", longs(&[0, 0, 500, 0, 0, 500, 0])),
            (
                "valid_to",
                optional(&[None, Some(500), None, None, Some(500), None, None]),
            ),
        ],
    );
    vec![(&NODES, nodes), (&METERS, meters), (&CONNECTIONS, connections)]
}

fn figures() -> Vec<(&'static TableSchema, RecordBatch)> {
    let reads = rows(
        &INTERVAL_READS,
        &[
            ("meter_id", texts(&["MF1", "MF2", "C1", "C2", "C3", "C4", "C5"])),
            ("interval_end", longs(&[900; 7])),
            ("import_wh", longs(&[1, 2, 4, 8, 16, 32, 0])),
            ("published_at", longs(&[50; 7])),
        ],
    );
    let balances = rows(
        &DT_BALANCE,
        &[
            ("dt_id", texts(&["T1", "T2", "T3"])),
            ("interval_end", longs(&[900; 3])),
            ("loss_wh", longs(&[1, 2, 0])),
            ("status", texts(&["final"; 3])),
            ("published_at", longs(&[50; 3])),
        ],
    );
    // O1 grew from T1 to its feeder F1; O2 shrank from D1 to T3; O3 is of T1 first and of T3 in the end.
    let outages = rows(
        &OUTAGES,
        &[
            ("outage_id", texts(&["O1", "O1", "O2", "O2", "O3", "O3"])),
            ("node_id", texts(&["T1", "F1", "D1", "T3", "T1", "T3"])),
            ("status", texts(&["RESTORED"; 6])),
            ("version", longs(&[1, 2, 1, 2, 1, 2])),
            ("published_at", longs(&[50, 60, 50, 60, 50, 60])),
        ],
    );
    let interruptions = rows(
        &INTERRUPTIONS,
        &[
            ("consumer_id", texts(&["U1", "U2", "U3", "U4"])),
            ("started_at", longs(&[100; 4])),
            ("outage_id", texts(&["O1", "O1", "O2", "O3"])),
            ("minutes", longs(&[1, 2, 0, 8])),
        ],
    );
    vec![
        (&INTERVAL_READS, reads),
        (&DT_BALANCE, balances),
        (&OUTAGES, outages),
        (&INTERRUPTIONS, interruptions),
    ]
}

fn owed() -> Vec<(&'static TableSchema, RecordBatch)> {
    let entries = rows(
        &COMPENSATION_ENTRIES,
        &[
            ("entry_id", texts(&["E1", "E3"])),
            ("consumer_id", texts(&["U1", "U3"])),
        ],
    );
    let words = rows(
        &COMPENSATION_ACKNOWLEDGEMENTS,
        &[
            ("idempotency_key", texts(&["a", "b"])),
            ("entry_id", texts(&["E1", "E3"])),
        ],
    );
    // A claim of U1 that was filed for U3 in the end.
    let claims = rows(
        &CLAIMS,
        &[
            ("claim_id", texts(&["K1", "K2", "K2"])),
            ("consumer_id", texts(&["U1", "U1", "U3"])),
            ("recorded_at", longs(&[1, 1, 2])),
        ],
    );
    let waits = rows(&QUARANTINE, &[("exception_id", texts(&["Q1"]))]);
    let checkpoints = rows(&CHECKPOINTS, &[("position", longs(&[7]))]);
    vec![
        (&COMPENSATION_ENTRIES, entries),
        (&COMPENSATION_ACKNOWLEDGEMENTS, words),
        (&CLAIMS, claims),
        (&QUARANTINE, waits),
        (&CHECKPOINTS, checkpoints),
    ]
}

pub(super) fn town() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().build().unwrap();
    runtime.block_on(async {
        let tables = Tables::open(&folder.path().join("tables")).await.unwrap();
        for (schema, batch) in network().into_iter().chain(figures()).chain(owed()) {
            tables.append(schema, batch, Position(1)).await.unwrap();
        }
    });
    folder
}

/// Asks as a caller whose area is `node`.
fn ask_in(folder: &tempfile::TempDir, node: &str, query: &str) -> Answer {
    ask_with(&Request {
        area: Some(AreaOf {
            node: node.to_owned(),
            at: 1_000,
        }),
        ..request(&folder.path().join("tables"), query)
    })
}

/// The values of the first column, in order.
pub(super) fn first(answer: &Answer) -> Vec<String> {
    assert!(answer.end.is_ok(), "{:?}", answer.end);
    let mut values = Vec::new();
    for batch in &answer.batches {
        let column = arrow::compute::cast(batch.column(0), &DataType::Utf8).unwrap();
        values.extend(
            column
                .as_string::<i32>()
                .iter()
                .map(|value| value.unwrap_or("null").to_owned()),
        );
    }
    values.sort();
    values
}

#[test]
fn an_area_has_its_node_and_all_that_hangs_below_it_now() {
    let folder = town();
    let check = |node: &str, query: &str, expected: &[&str]| {
        assert_eq!(first(&ask_in(&folder, node, query)), expected, "{node}: {query}");
    };
    check("F1", "SELECT node_id FROM nodes", &["F1", "T1", "T2"]);
    check("T1", "SELECT node_id FROM nodes", &["T1"]);
    check(
        "D1",
        "SELECT node_id FROM nodes",
        &["D1", "F1", "F2", "T1", "T2", "T3"],
    );
    check("F9", "SELECT node_id FROM nodes", &[]);
    check("F1", "SELECT meter_id FROM meters", &["C1", "C2", "MF1"]);
    check("F2", "SELECT meter_id FROM meters", &["C3", "C4", "MF2"]);
    // Where it hung before is history of its own; who has it now sees that too.
    check("F1", "SELECT node_id FROM connections", &["T1", "T2", "T3"]);
    check(
        "F1",
        "SELECT DISTINCT consumer_id FROM connections",
        &["U1", "U2"],
    );
    check(
        "F2",
        "SELECT DISTINCT consumer_id FROM connections",
        &["U3", "U4"],
    );
    check("F1", "SELECT meter_id FROM interval_reads", &["C1", "C2", "MF1"]);
    check(
        "F2",
        "SELECT meter_id FROM interval_reads",
        &["C3", "C4", "C5", "MF2"],
    );
    check("F1", "SELECT dt_id FROM dt_balance", &["T1", "T2"]);
    check("F1", "SELECT consumer_id FROM interruptions", &["U1", "U2"]);
    check("F1", "SELECT entry_id FROM compensation_entries", &["E1"]);
    check(
        "F1",
        "SELECT idempotency_key FROM compensation_acknowledgements",
        &["a"],
    );
    check(
        "F2",
        "SELECT idempotency_key FROM compensation_acknowledgements",
        &["b"],
    );
    // Of no node.
    check("D1", "SELECT exception_id FROM quarantine", &[]);
    check("D1", "SELECT count(*) FROM checkpoints", &["0"]);
}

#[test]
fn of_a_key_all_versions_are_there_or_none() {
    let folder = town();
    let check = |node: &str, query: &str, expected: &[&str]| {
        assert_eq!(first(&ask_in(&folder, node, query)), expected, "{node}: {query}");
    };
    check("F1", "SELECT outage_id FROM outages", &["O1"]);
    check("F1", "SELECT outage_id FROM outages_history", &["O1", "O1"]);
    // An outage that grew beyond T1 is not shown as the one that it was.
    check("T1", "SELECT outage_id FROM outages_history", &[]);
    check("T3", "SELECT outage_id FROM outages", &["O2", "O3"]);
    check("F1", "SELECT claim_id FROM claims_history", &["K1"]);
    check("F2", "SELECT claim_id FROM claims", &["K2"]);
}

#[test]
fn no_statement_gets_around_the_area() {
    let folder = town();
    let root = folder.path().join("tables");
    // Each counts rows outside F1, or sums what F1 does not have.
    for query in [
        "SELECT count(*) FROM interval_reads WHERE meter_id IN ('MF2', 'C3', 'C4', 'C5')",
        "SELECT count(*) FROM interval_reads_history WHERE meter_id NOT IN ('MF1', 'C1', 'C2')",
        "SELECT count(*) FROM interval_reads_as_of('2026-01-01') WHERE meter_id = 'C3'",
        "SELECT count(*) FROM public.interval_reads WHERE meter_id = 'C3'",
        "SELECT count(*) FROM gridtally.public.interval_reads WHERE meter_id = 'C3'",
        "SELECT count(*) FROM (SELECT * FROM interval_reads) AS r WHERE r.meter_id = 'C3'",
        "WITH r AS (SELECT * FROM interval_reads_history) SELECT count(*) FROM r WHERE meter_id = 'C3'",
        "WITH RECURSIVE up(id) AS (SELECT concat('T1', '') UNION ALL SELECT concat(n.parent_id, '') FROM nodes n JOIN up ON \
         n.node_id = up.id) SELECT count(*) FROM up JOIN nodes ON nodes.node_id = up.id WHERE nodes.node_id = 'D1'",
        "SELECT count(*) FROM nodes_as_of('2026-01-01') WHERE node_id IN ('D1', 'F2', 'T3')",
        "SELECT count(*) FROM nodes_as_of('2026-01-01', '2026-01-01') WHERE node_id IN ('D1', 'F2', 'T3')",
        "SELECT count(*) FROM interruptions i JOIN outages_history o ON i.outage_id = o.outage_id WHERE o.outage_id <> 'O1'",
        "SELECT count(*) FROM nodes n LEFT JOIN dt_balance b ON b.dt_id <> n.node_id WHERE b.dt_id = 'T3'",
        "SELECT count(*) FROM dt_balance WHERE EXISTS (SELECT 1 FROM interval_reads WHERE meter_id = 'C3')",
        "SELECT count(*) FROM compensation_entries WHERE entry_id = 'E3' OR entry_id = 'E3' OR 1 = 0",
        "SELECT count(*) FROM connections WHERE consumer_id IN ('U3', 'U4')",
        "SELECT coalesce(max(import_wh), 0) - 8 FROM interval_reads",
        "SELECT count(*) - 3 FROM interval_reads",
        "SELECT count(*) - 3 FROM interval_reads_history",
        "SELECT count(DISTINCT meter_id) - 3 FROM interval_reads_history",
        "SELECT sum(import_wh) - 13 FROM interval_reads",
        "SELECT count(*) FROM (SELECT 1 FROM interval_reads UNION ALL SELECT 1 FROM interval_reads_history) AS u HAVING count(*) <> 6",
        "SELECT count(*) FROM (SELECT meter_id FROM interval_reads EXCEPT SELECT meter_id FROM meters) AS outside",
        "SELECT count(*) FROM nodes WHERE node_id = (SELECT max(node_id) FROM nodes WHERE node_id LIKE 'T3%')",
        "SELECT count(*) FROM quarantine_history",
    ] {
        let answer = ask_in(&folder, "F1", query);
        assert!(answer.end.is_ok(), "{query}: {:?}", answer.end);
        let outside = |values: &[String]| !values.is_empty() && values != ["0"];
        let values = first(&answer);
        assert!(!outside(&values), "{query}: {values:?}");
        let everything = first(&ask(&root, query));
        assert!(
            outside(&everything),
            "the attempt proves nothing: {query}: {everything:?}"
        );
    }
}

#[test]
fn no_error_tells_what_lies_outside() {
    let folder = town();
    let root = folder.path().join("tables");
    // Each fails on a row outside F1 and on none inside it; whoever sees everything meets the error.
    for query in [
        "SELECT count(*) FROM interval_reads WHERE 1 / import_wh > 5",
        "SELECT sum(100 / import_wh) FROM interval_reads",
        "SELECT count(*) FROM interval_reads_history WHERE CAST(replace(replace(meter_id, 'MF1', '1'), 'C', '') AS BIGINT) > 5",
        "SELECT count(*) FROM dt_balance WHERE 10 / loss_wh > 100",
        "SELECT count(*) FROM dt_balance WHERE dt_id = 'T3' AND 10 / loss_wh > 100",
    ] {
        assert!(
            ask(&root, query).end.is_err(),
            "the attempt proves nothing: {query}"
        );
        let answer = ask_in(&folder, "F1", query);
        assert!(answer.end.is_ok(), "{query}: {:?}", answer.end);
    }
}

#[test]
fn a_plan_shows_nothing_of_what_is_read_beneath_the_area() {
    let folder = town();
    let root = folder.path().join("tables");
    for explain in ["EXPLAIN", "EXPLAIN VERBOSE", "EXPLAIN ANALYZE"] {
        let query = format!("{explain} SELECT import_wh FROM interval_reads_history WHERE meter_id = 'C3'");
        let everything = ask(&root, &query).text();
        assert!(
            everything.contains(".parquet"),
            "the attempt proves nothing: {everything}"
        );
        let answer = ask_in(&folder, "F1", &query);
        assert!(answer.end.is_ok(), "{query}: {:?}", answer.end);
        let text = answer.text();
        assert!(text.contains("AreaExec"), "{text}");
        for word in [
            ".parquet",
            "DataSourceExec",
            "DeltaScan",
            "file_groups",
            "output_rows=1",
        ] {
            assert!(!text.contains(word), "{explain} tells {word}: {text}");
        }
    }
}

#[test]
fn the_catalogue_says_the_same_to_everybody() {
    let folder = town();
    let root = folder.path().join("tables");
    for query in [
        "SELECT table_name, column_name FROM table_columns ORDER BY 1, 2",
        "SELECT table_name FROM information_schema.tables ORDER BY 1",
    ] {
        let (one, other) = (ask(&root, query), ask_in(&folder, "F1", query));
        assert_eq!(one.text(), other.text());
    }
}

#[test]
fn clients_of_postgresql_have_the_same_part() {
    let folder = town();
    let ask_pg = |query: &str| {
        ask_with(&Request {
            area: Some(AreaOf {
                node: "F1".to_owned(),
                at: 1_000,
            }),
            postgres: Some(Ask {
                user: "auditor".to_owned(),
                ..Ask::default()
            }),
            ..request(&folder.path().join("tables"), query)
        })
    };
    assert_eq!(
        first(&ask_pg("SELECT meter_id FROM interval_reads")),
        ["C1", "C2", "MF1"]
    );
    assert_eq!(
        first(&ask_pg("SELECT count(*)::int FROM interval_reads_history")),
        ["3"]
    );
    let query = "SELECT meter_id FROM interval_reads_as_of('2026-01-01'::timestamptz)";
    assert_eq!(first(&ask_pg(query)), ["C1", "C2", "MF1"]);
    let query = "SELECT count(*) FROM pg_catalog.pg_class c WHERE c.reltuples > 0";
    assert_eq!(first(&ask_pg(query)), ["0"]);
}

#[test]
fn every_table_can_be_read_in_an_area_before_the_first_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    for table in table::published() {
        let query = format!("SELECT count(*) FROM {}", table.name);
        assert_eq!(ask_in(&folder, "F1", &query).single(), 0);
    }
}
