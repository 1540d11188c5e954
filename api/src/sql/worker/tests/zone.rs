//! A time or a day without offset is meant in the zone, whichever way it is said; with an offset it is that instant.

use gridtally_schemas::UtcMicros;

use super::*;

/// Reads of a meter whose intervals end at these times.
fn reads_at(ends: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let micros: Vec<i64> = ends.iter().map(|end| UtcMicros::parse(end).unwrap().0).collect();
    let numbers: Vec<i64> = (0..).take(ends.len()).collect();
    let reads = rows(
        &INTERVAL_READS,
        &[
            ("meter_id", texts(&vec!["m"; ends.len()])),
            ("interval_end", longs(&micros)),
            ("import_wh", longs(&numbers)),
        ],
    );
    let runtime = tokio::runtime::Builder::new_multi_thread().build().unwrap();
    runtime.block_on(async {
        let tables = Tables::open(&folder.path().join("tables")).await.unwrap();
        tables.append(&INTERVAL_READS, reads, Position(1)).await.unwrap();
    });
    folder
}

/// Before, at and after the midnight that begins 1 April in India, and UTC's midnight.
const ENDS: [&str; 4] = [
    "2026-03-31T23:30:00+05:30",
    "2026-04-01T00:00:00+05:30",
    "2026-04-01T00:30:00+05:30",
    "2026-04-01T05:30:00+05:30",
];

fn found(root: &Path, condition: &str) -> Vec<i64> {
    let query = format!("SELECT import_wh FROM interval_reads WHERE {condition} ORDER BY 1");
    let answer = ask(root, &query);
    assert!(answer.end.is_ok(), "{query}: {}", answer.message());
    let of_batch = |batch: &RecordBatch| batch.column(0).as_primitive::<Int64Type>().values().to_vec();
    answer.batches.iter().flat_map(of_batch).collect()
}

#[test]
fn a_time_without_offset_is_meant_in_the_zone() {
    let folder = reads_at(&ENDS);
    let root = folder.path().join("tables");
    for midnight in [
        "'2026-04-01 00:00:00'",
        "'2026-04-01'",
        "'2026-04-01 00:00'",
        "'2026-03-31T18:30Z'",
        "TIMESTAMP '2026-04-01 00:00:00'",
        "DATE '2026-04-01'",
        "CAST('2026-04-01 00:00:00' AS TIMESTAMP)",
        "TIMESTAMP WITH TIME ZONE '2026-04-01 00:00:00'",
        "'2026-04-01T00:00:00+05:30'",
        "'2026-03-31T18:30:00Z'",
        "TIMESTAMP '2026-03-31T18:30:00Z'",
        "CAST('2026-03-31T18:30:00+00:00' AS TIMESTAMP)",
        "TIMESTAMP '2026-03-31 23:30:00' + INTERVAL '30' MINUTE",
        "arrow_cast('2026-03-31T18:30:00Z', 'Timestamp(Microsecond, Some(\"UTC\"))')",
    ] {
        assert_eq!(
            found(&root, &format!("interval_end = {midnight}")),
            [1],
            "{midnight}"
        );
        assert_eq!(
            found(&root, &format!("{midnight} = interval_end")),
            [1],
            "{midnight}"
        );
        assert_eq!(
            found(&root, &format!("interval_end > {midnight}")),
            [2, 3],
            "{midnight}"
        );
        assert_eq!(
            found(
                &root,
                &format!("interval_end BETWEEN {midnight} AND '2026-04-01 01:00'")
            ),
            [1, 2],
            "{midnight}"
        );
        assert_eq!(
            found(&root, &format!("interval_end IN ({midnight})")),
            [1],
            "{midnight}"
        );
    }
}

#[test]
fn parts_of_a_time_are_those_of_the_zones_clock() {
    let folder = reads_at(&ENDS);
    let root = folder.path().join("tables");
    assert_eq!(
        found(&root, "CAST(interval_end AS DATE) = '2026-04-01'"),
        [1, 2, 3]
    );
    assert_eq!(
        found(&root, "date_trunc('day', interval_end) = '2026-04-01'"),
        [1, 2, 3]
    );
    assert_eq!(found(&root, "date_part('hour', interval_end) = 23"), [0]);
    assert_eq!(found(&root, "extract(minute FROM interval_end) = 0"), [1]);
    assert_eq!(
        found(
            &root,
            "CAST(interval_end AS TIMESTAMP) = TIMESTAMP '2026-04-01 00:00:00'"
        ),
        [1]
    );
    assert_eq!(
        found(
            &root,
            "CAST(interval_end AS VARCHAR) = '2026-04-01T00:00:00+05:30'"
        ),
        [1]
    );
    let shown = ask(&root, "SELECT max(interval_end) AS last FROM interval_reads");
    assert_eq!(
        *shown.batches[0].schema().field(0).data_type(),
        DataType::Timestamp(arrow::datatypes::TimeUnit::Microsecond, Some("UTC".into())),
        "an answer is UTC again"
    );
    assert!(shown.text().contains("2026-04-01T00:00:00Z"), "{}", shown.text());
}

#[test]
fn with_another_zone_the_same_words_mean_another_instant() {
    let folder = reads_at(&ENDS);
    let root = folder.path().join("tables");
    // Tokyo's midnight is 20:30 of the day before in India.
    for (zone, expected) in [("UTC", 3), ("Asia/Kolkata", 1), ("Asia/Tokyo", 0)] {
        let query = "SELECT min(import_wh) FROM interval_reads WHERE interval_end >= '2026-04-01 00:00:00'";
        let request = Request {
            zone: zone.to_owned(),
            ..request(&root, query)
        };
        let answer = ask_with(&request);
        assert_eq!(answer.single(), expected, "{zone}");
    }
}

#[test]
fn a_condition_on_time_reads_no_files_of_other_days() {
    let folder = reads_at(&ENDS);
    let root = folder.path().join("tables");
    for table in ["interval_reads", "interval_reads_history"] {
        let plan = |year: &str| {
            let query = format!(
                "EXPLAIN ANALYZE SELECT sum(import_wh) FROM {table} WHERE interval_end > '{year}-01-01 00:00:00'"
            );
            ask(&root, &query).text()
        };
        assert!(!plan("2027").contains("part-"), "{}", plan("2027"));
        // What is superseded is in the same file, which is read once more for it where the version may be the second.
        assert!(plan("2026").contains("part-"), "{}", plan("2026"));
    }
}
