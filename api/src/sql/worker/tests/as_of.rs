//! `{table}_as_of`: what stood then, and what it says to an argument that is no instant.

use gridtally_schemas::time::Day;

use super::*;

/// Rows of three DTs in one interval: `published_at`, DT, version, status and loss.
type Balance = (i64, &'static str, i64, &'static str, i64);

fn balances(given: &[Balance]) -> RecordBatch {
    let whole = |of: fn(&Balance) -> i64| longs(&given.iter().map(of).collect::<Vec<_>>());
    let text = |of: fn(&Balance) -> &'static str| texts(&given.iter().map(of).collect::<Vec<_>>());
    rows(
        &DT_BALANCE,
        &[
            ("published_at", whole(|row| row.0)),
            ("dt_id", text(|row| row.1)),
            ("interval_end", longs(&vec![900; given.len()])),
            ("version", whole(|row| row.2)),
            ("status", text(|row| row.3)),
            ("loss_wh", whole(|row| row.4)),
        ],
    )
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread()
        .build()
        .unwrap()
        .block_on(future)
}

/// An instant `micros` after 1970 as text with offset.
fn instant(micros: i64) -> String {
    format!("1970-01-01T05:30:00.{micros:06}+05:30")
}

const ALL: &str = "ORDER BY dt_id, interval_end";

#[test]
fn what_was_answered_at_a_moment_is_answered_again_after_restatements_and_compaction() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("tables");
    let checkpoints: [&[Balance]; 4] = [
        &[(100, "d1", 1, "provisional", 5), (100, "d2", 1, "provisional", 7)],
        &[(200, "d1", 2, "provisional", 6), (200, "d3", 1, "final", 1)],
        &[(300, "d1", 3, "final", 6), (300, "d2", 2, "withdrawn", 0)],
        &[(400, "d1", 4, "restated", 9), (400, "d2", 3, "final", 8)],
    ];
    let mut answers = Vec::new();
    for (at, rows) in (1..).zip(checkpoints) {
        block_on(async {
            let tables = Tables::open(&root).await.unwrap();
            tables
                .append(&DT_BALANCE, balances(rows), Position(at))
                .await
                .unwrap();
        });
        answers.push(ask(&root, &format!("SELECT * FROM dt_balance {ALL}")));
    }
    let again = |when: &str| {
        for (answer, at) in answers.iter().zip([100, 200, 300, 400]) {
            for micros in [at, at + 99] {
                let then = instant(micros);
                let asked = ask(&root, &format!("SELECT * FROM dt_balance_as_of('{then}') {ALL}"));
                assert_eq!(asked.batches, answer.batches, "{when}, as of {then}");
            }
        }
    };
    again("before compaction");
    block_on(async {
        let tables = Tables::open(&root).await.unwrap();
        let compacted = tables.compact(&DT_BALANCE, Day(i32::MAX)).await.unwrap();
        assert_eq!((compacted.files_removed, compacted.files_added), (4, 1));
    });
    again("after compaction");
    let before = instant(99);
    let nothing = ask(&root, &format!("SELECT * FROM dt_balance_as_of('{before}')"));
    assert_eq!((nothing.rows(), nothing.end.is_ok()), (0, true));
    let losses: Vec<i64> = [100, 200, 300, 400]
        .map(|at| {
            let sum = format!("SELECT sum(loss_wh) FROM dt_balance_as_of('{}')", instant(at));
            ask(&root, &sum).single()
        })
        .to_vec();
    assert_eq!(losses, [12, 14, 7, 18], "worked by hand from the rows above");
}

#[test]
fn a_read_that_lost_never_stood() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("tables");
    let reads = rows(
        &INTERVAL_READS,
        &[
            ("meter_id", texts(&["a", "a", "a"])),
            ("interval_end", longs(&[900, 900, 900])),
            ("import_wh", longs(&[10, 99, 12])),
            ("version", longs(&[1, 0, 2])),
            ("published_at", longs(&[100, 150, 200])),
        ],
    );
    block_on(async {
        let tables = Tables::open(&root).await.unwrap();
        tables.append(&INTERVAL_READS, reads, Position(1)).await.unwrap();
    });
    for (at, expected) in [(100, 10), (199, 10), (200, 12)] {
        let query = format!(
            "SELECT sum(import_wh) FROM interval_reads_as_of('{}')",
            instant(at)
        );
        assert_eq!(ask(&root, &query).single(), expected, "as of {at}");
    }
}

/// A DT that moved from F1 to F2 at 500, corrected at 30 to have moved at 400, with a name that was corrected too.
fn moved() -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("tables");
    let parents: ArrayRef = texts(&["F1", "F2", "F1", "F2"]);
    let valid_to = Int64Array::from(vec![Some(500), None, Some(400), None]);
    let nodes = rows(
        &NODES,
        &[
            ("node_id", texts(&["T1", "T1", "T1", "T1"])),
            ("parent_id", parents),
            ("valid_from", longs(&[5, 500, 5, 400])),
            ("valid_to", Arc::new(valid_to)),
            ("recorded_at", longs(&[10, 10, 30, 30])),
            ("published_at", longs(&[20, 20, 40, 40])),
            ("position", longs(&[1, 1, 2, 2])),
        ],
    );
    block_on(async {
        let tables = Tables::open(&root).await.unwrap();
        tables.append(&NODES, nodes, Position(2)).await.unwrap();
    });
    (folder, root)
}

#[test]
fn the_network_has_a_picture_at_a_time_and_as_it_was_known_at_another() {
    let (_folder, root) = moved();
    let parent = |arguments: &[i64]| {
        let arguments: Vec<String> = arguments.iter().map(|at| format!("'{}'", instant(*at))).collect();
        let query = format!(
            "SELECT CAST(string_agg(parent_id, ' ') AS VARCHAR) FROM nodes_as_of({})",
            arguments.join(", ")
        );
        let answer = ask(&root, &query);
        assert!(answer.end.is_ok(), "{}", answer.message());
        let column = answer.batches[0].column(0);
        let parents = column.as_string_opt::<i32>();
        parents
            .filter(|parents| parents.is_valid(0))
            .map(|parents| parents.value(0).to_owned())
    };
    let is = |name: &str| Some(name.to_owned());
    assert_eq!(parent(&[4]), None, "before it was there");
    assert_eq!(parent(&[5]), is("F1"));
    assert_eq!(parent(&[399]), is("F1"));
    assert_eq!(parent(&[400]), is("F2"), "as corrected");
    assert_eq!(parent(&[600]), is("F2"));
    assert_eq!(parent(&[400, 39]), is("F1"), "as known before the correction");
    assert_eq!(parent(&[499, 20]), is("F1"));
    assert_eq!(parent(&[500, 20]), is("F2"));
    assert_eq!(parent(&[500, 19]), None, "nothing was known then");
    assert_eq!(parent(&[400, 40]), is("F2"));
}

#[test]
fn an_instant_is_said_as_text_time_or_day_and_without_offset_is_in_the_zone() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("tables");
    // Midnight of 1970-01-02 in India.
    let midnight = 86_400_000_000 - 19_800_000_000;
    block_on(async {
        let tables = Tables::open(&root).await.unwrap();
        let rows = balances(&[(midnight, "d1", 1, "final", 1)]);
        tables.append(&DT_BALANCE, rows, Position(1)).await.unwrap();
    });
    for (argument, expected) in [
        ("'1970-01-02T00:00:00+05:30'", 1),
        ("'1970-01-01T18:30:00Z'", 1),
        ("'1970-01-01T18:29:59.999999Z'", 0),
        ("'1970-01-02T00:00:00'", 1),
        ("'1970-01-02 00:00:00'", 1),
        ("'1970-01-01 23:59:59.999999'", 0),
        ("'1970-01-02'", 1),
        ("'1970-01-01'", 0),
        ("DATE '1970-01-02'", 1),
        ("DATE '1970-01-01'", 0),
        ("TIMESTAMP '1970-01-02 00:00:00'", 1),
        ("TIMESTAMP '1970-01-01 23:59:59'", 0),
        ("TIMESTAMPTZ '1970-01-01 18:30:00Z'", 1),
        ("TIMESTAMPTZ '1970-01-02 00:00:00'", 1),
        ("DATE '1970-01-01' + INTERVAL '1 day'", 1),
        ("now()", 1),
    ] {
        let answer = ask(
            &root,
            &format!("SELECT count(*) FROM dt_balance_as_of({argument})"),
        );
        assert_eq!(answer.end.as_ref().err(), None, "{argument}");
        assert_eq!(answer.single(), expected, "{argument}");
    }
}

#[test]
fn an_argument_that_is_no_instant_is_answered_with_what_is_needed() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("tables");
    let needed = "is not an instant; needed is a constant such as '2026-05-01T00:00:00+05:30', or without offset \
                  ('2026-05-01 00:00:00', '2026-05-01') in Asia/Kolkata";
    for (call, expected) in [
        ("dt_balance_as_of('yesterday')", format!("dt_balance_as_of: `yesterday` {needed}")),
        ("dt_balance_as_of(1774981800)", format!("dt_balance_as_of: `1774981800` {needed}")),
        ("dt_balance_as_of(NULL)", format!("dt_balance_as_of: `NULL` {needed}")),
        ("dt_balance_as_of('2026-02-30')", format!("dt_balance_as_of: `2026-02-30` {needed}")),
        ("dt_balance_as_of(random())", format!("dt_balance_as_of: `random()` {needed}")),
        ("dt_balance_as_of()", "dt_balance_as_of takes one instant: what stood published then; 0 were given".to_owned()),
        ("dt_balance_as_of('2026-05-01', '2026-05-02')", "dt_balance_as_of takes one instant".to_owned()),
        (
            "nodes_as_of('2026-05-01', '2026-05-02', '2026-05-03')",
            "nodes_as_of takes one instant, the picture at that time, or two: the picture at the first as it was known at the second; 3 were given".to_owned(),
        ),
    ] {
        let answer = ask(&root, &format!("SELECT * FROM {call}"));
        assert!(answer.message().contains(&expected), "{call}\n  {}", answer.message());
        assert_eq!(answer.end.unwrap_err().kind, FailureKind::Plan, "{call}");
    }
}

#[test]
fn every_published_table_has_it_even_before_the_first_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("tables");
    for table in table::published() {
        let query = format!("SELECT count(*) FROM {}_as_of('2026-05-01')", table.name);
        assert_eq!(ask(&root, &query).single(), 0, "{query}");
    }
    assert!(!root.exists(), "reading created a folder");
}

#[test]
fn a_condition_on_the_day_reaches_the_files_through_it() {
    let folder = published();
    let root = folder.path().join("tables");
    let plan = ask(
        &root,
        "EXPLAIN SELECT sum(import_wh) FROM interval_reads_as_of('2026-05-01') WHERE day = DATE '2026-04-01' AND meter_id = 'a'",
    );
    let text = plan.text();
    let (_, scan) = text.split_once("TableScan: interval_reads_history").unwrap();
    let scan = scan.lines().next().unwrap();
    assert!(
        scan.contains("day = Date32") && scan.contains("meter_id = Utf8") && scan.contains("published_at <="),
        "{text}"
    );
}
