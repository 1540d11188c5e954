//! What is not read: EXPLAIN names the files that are, and EXPLAIN ANALYZE counts the row groups and pages of them that were left out.

use super::*;

/// Rows of a file that has two row groups.
const MANY: usize = (1 << 20) + (1 << 16);

/// Reads of two days, of the first in two files that hold meters of their own.
fn days_and_meters() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().build().unwrap();
    runtime.block_on(async {
        let tables = Tables::open(&folder.path().join("tables")).await.unwrap();
        for (position, (meters, day)) in (1..).zip([(["a", "b"], 100), (["x", "y"], 100), (["a", "y"], 101)])
        {
            let reads = rows(
                &INTERVAL_READS,
                &[
                    ("meter_id", texts(&meters)),
                    (
                        "day",
                        arrow::compute::cast(&longs(&[day; 2]), &DataType::Int32).unwrap(),
                    ),
                    ("interval_end", longs(&[day * 86_400_000_000; 2])),
                    ("version", longs(&[1, 1])),
                ],
            );
            tables
                .append(&INTERVAL_READS, reads, Position(position))
                .await
                .unwrap();
        }
    });
    folder
}

/// Files that a statement's plan names: each once, though a table's rows and those that supersede them are read apart.
fn files(root: &Path, question: &str) -> usize {
    let plan = ask(root, &format!("EXPLAIN {question}")).text();
    let named = plan.match_indices("part-").map(|(at, _)| &plan[at..at + 45]);
    named.collect::<std::collections::BTreeSet<_>>().len()
}

#[test]
fn a_plan_names_only_files_that_may_hold_what_is_asked() {
    let folder = days_and_meters();
    let root = folder.path().join("tables");
    for (condition, expected) in [
        ("true", 3),
        // 1970-04-11 is the hundredth day.
        ("day = DATE '1970-04-11'", 2),
        ("day > DATE '1970-04-11'", 1),
        ("day > DATE '1970-04-12'", 0),
        ("meter_id = 'b'", 2),
        ("meter_id = 'x'", 2),
        ("meter_id IN ('m', 'n')", 1),
        ("day = DATE '1970-04-11' AND meter_id = 'a'", 1),
        ("interval_end > '1970-04-11 12:00:00'", 1),
        ("interval_end >= '1970-04-11 05:30:00'", 3),
        ("version >= 2", 0),
    ] {
        for table in ["interval_reads", "interval_reads_history"] {
            let question = format!("SELECT sum(import_wh) FROM {table} WHERE {condition}");
            assert_eq!(files(&root, &question), expected, "{question}");
        }
    }
    let count = |condition: &str| {
        let query = format!("SELECT count(*) FROM interval_reads WHERE {condition}");
        ask(&root, &query).single()
    };
    assert_eq!(count("meter_id = 'a'"), 2);
    assert_eq!(count("meter_id = 'a' AND day = DATE '1970-04-11'"), 1);
    assert_eq!(count("meter_id = 'm'"), 0);
}

/// Where every file has rows of both kinds, those that supersede others are the side that is held in memory, not all that may be superseded.
#[test]
fn rows_that_supersede_others_are_held_and_the_others_streamed() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("tables");
    let runtime = tokio::runtime::Builder::new_multi_thread().build().unwrap();
    let versions = [1, 1, 2];
    runtime.block_on(async {
        let tables = Tables::open(&root).await.unwrap();
        let reads = [
            ("meter_id", texts(&["a", "b", "b"])),
            ("version", longs(&versions)),
        ];
        let reads = rows(&INTERVAL_READS, &reads);
        tables.append(&INTERVAL_READS, reads, Position(1)).await.unwrap();
        let balances = [
            ("dt_id", texts(&["a", "b", "b"])),
            ("status", texts(&["provisional", "provisional", "final"])),
            ("version", longs(&versions)),
        ];
        let balances = rows(&DT_BALANCE, &balances);
        tables.append(&DT_BALANCE, balances, Position(1)).await.unwrap();
    });
    for question in [
        "SELECT count(*) FROM interval_reads",
        "SELECT count(*) FROM dt_balance",
        "SELECT count(*) FROM dt_balance WHERE day >= DATE '1970-01-01' AND dt_id <> 'c'",
    ] {
        let plan = ask(&root, &format!("EXPLAIN {question}")).text();
        assert!(plan.contains("join_type=RightAnti"), "{question}: {plan}");
        assert_eq!(ask(&root, question).single(), 2, "{question}");
    }
}

/// A measure of an analysed plan, such as `2 total → 1 matched`, wherever it is not of nothing.
fn measured(plan: &str, name: &str) -> Vec<String> {
    let begin = format!("{name}=");
    let each = plan.split(&begin).skip(1);
    let values = each.filter_map(|rest| rest.split([',', ']']).next());
    values
        .filter(|value| !value.starts_with('0'))
        .map(str::to_owned)
        .collect()
}

#[test]
fn of_a_file_only_the_row_groups_and_pages_are_read_that_may_hold_what_is_asked() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("tables");
    let runtime = tokio::runtime::Builder::new_multi_thread().build().unwrap();
    runtime.block_on(async {
        let tables = Tables::open(&root).await.unwrap();
        let meters: Vec<String> = (0..MANY).map(|at| format!("M{at:08}")).collect();
        let meters: Vec<&str> = meters.iter().map(String::as_str).collect();
        let reads = rows(
            &INTERVAL_READS,
            &[("meter_id", texts(&meters)), ("version", longs(&vec![1; MANY]))],
        );
        tables.append(&INTERVAL_READS, reads, Position(1)).await.unwrap();
    });
    let question = "SELECT sum(import_wh) FROM interval_reads_history WHERE meter_id = 'M00000007'";
    let plan = ask(&root, &format!("EXPLAIN ANALYZE {question}")).text();
    assert_eq!(
        measured(&plan, "row_groups_pruned_statistics"),
        ["5 total → 1 matched"],
        "{plan}"
    );
    let pages = measured(&plan, "page_index_rows_pruned");
    let [pages] = pages.as_slice() else {
        panic!("{plan}")
    };
    let (all, read) = pages.split_once(" total → ").unwrap();
    assert!(all.contains("262.1") && !read.contains("262.1"), "{pages}");
    assert_eq!(ask(&root, question).single(), 1);
}
