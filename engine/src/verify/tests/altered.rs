//! What anybody alters is found, by key and column, and nothing else is.

use super::*;

fn check(store: &MemoryStore, expected: &[&str]) {
    let report = verified(store, &Selection::default(), limits(2)).unwrap();
    assert_eq!(found(&report), expected);
    assert_eq!(report.differences_total, u64::try_from(expected.len()).unwrap());
}

const SECOND: (&str, &str) = ("interval_end", "2026-03-31T19:00:00Z");

#[test]
fn what_is_equal_is_said_to_be_with_what_was_compared() {
    let store = published();
    let report = verified(&store, &Selection::default(), limits(2)).unwrap();
    assert_eq!(found(&report), Vec::<String>::new());
    assert_eq!(
        report.compared,
        [96, 96, 4],
        "a day of T1 and F1; roll-ups of T1, F1, Z and D"
    );
    assert_eq!((report.reads, report.open), (17, 0));
    assert_eq!(report.position.0, u64::try_from(records().len()).unwrap());
    assert_eq!(report.published_at, NOW);
}

#[test]
fn an_altered_balance_is_named_by_key_and_column_and_nothing_else_is() {
    let store = published();
    alter(&store, &table::DT_BALANCE, &[SECOND], "consumer_import_wh", 911);
    check(
        &store,
        &["dt_balance dt_id=T1 interval_end=2026-04-01T00:30:00+05:30 consumer_import_wh: 911 is 910"],
    );
    let report = verified(&store, &Selection::default(), limits(2)).unwrap();
    let difference = &report.differences[0];
    assert_eq!(difference.version, Some((1, NOW)));
    let evidence = difference.evidence.join("\n");
    for said in [
        "feeder F1 with 2 DTs, 4 meters and 0 unmetered connections",
        "A (consumer, x1) 2026-04-01T00:30:00+05:30: import 410 Wh, actual, revision 1, version 2, log record 8",
        "A (consumer, x1) 2026-04-01T00:30:00+05:30: import 400 Wh, actual, revision 0, version 1, log record 6",
        "B (consumer, x1) 2026-04-01T00:30:00+05:30: import 500 Wh",
        "from gateway:G1",
    ] {
        assert!(evidence.contains(said), "{said} is not in\n{evidence}");
    }
    assert!(
        !evidence.contains("MT1"),
        "the DT's meter does not count in it:\n{evidence}"
    );
}

#[test]
fn an_altered_raw_read_is_found_in_every_figure_that_rests_on_it() {
    let store = published();
    let of_a = [("meter_id", "A"), ("interval_end", "2026-03-31T18:45:00Z")];
    alter(&store, &table::INTERVAL_READS, &of_a, "import_wh", 401);
    let at = "interval_end=2026-04-01T00:15:00+05:30";
    let loss = [50.0 / 950.0, 49.0 / 950.0, 0.1, 0.099].map(|share: f64| 100.0 * share);
    check(
        &store,
        &[
            &format!("dt_balance dt_id=T1 {at} delivered_wh: 900 is 901"),
            &format!("dt_balance dt_id=T1 {at} loss_wh: 50 is 49"),
            &format!("dt_balance dt_id=T1 {at} consumer_import_wh: 900 is 901"),
            &format!("dt_balance dt_id=T1 {at} loss_pct: {} is {}", loss[0], loss[1]),
            &format!("feeder_balance feeder_id=F1 {at} lt_loss_wh: 50 is 49"),
            &format!("feeder_balance feeder_id=F1 {at} total_loss_wh: 100 is 99"),
            &format!("feeder_balance feeder_id=F1 {at} consumer_import_wh: 900 is 901"),
            &format!(
                "feeder_balance feeder_id=F1 {at} loss_pct: {} is {}",
                loss[2], loss[3]
            ),
            "node_balance_daily node_id=D day=2026-04-01 delivered_wh: 3610 is 3611",
            "node_balance_daily node_id=F1 day=2026-04-01 delivered_wh: 3610 is 3611",
            "node_balance_daily node_id=T1 day=2026-04-01 delivered_wh: 3610 is 3611",
            "node_balance_daily node_id=Z day=2026-04-01 delivered_wh: 3610 is 3611",
        ],
    );
}

#[test]
fn a_version_that_the_rank_does_not_give_is_found_though_every_balance_is_right() {
    let store = published();
    let of_a = [("meter_id", "A"), SECOND];
    alter(
        &store,
        &table::INTERVAL_READS,
        &[of_a[0], of_a[1], ("revision", "1")],
        "version",
        0,
    );
    let report = verified(&store, &Selection::default(), limits(1)).unwrap();
    assert_eq!(report.differences.len(), 1, "{:?}", found(&report));
    let difference = &report.differences[0];
    assert_eq!(
        (difference.table, difference.column),
        ("interval_reads", "version")
    );
    assert_eq!(
        difference.key,
        "meter_id=A interval_end=2026-04-01T00:30:00+05:30"
    );
    assert_eq!(difference.published, "1, 0 (in order of rank)");
}

#[test]
fn a_read_twice_a_read_of_nobody_and_a_read_that_cannot_be_are_findings() {
    let store = published();
    drop_or_double(&store, &table::INTERVAL_READS, &[("meter_id", "B"), SECOND], true);
    check(
        &store,
        &[
            "interval_reads meter_id=B interval_end=2026-04-01T00:30:00+05:30 row: the same read twice is each read once",
        ],
    );
    let store = published();
    let of_b = [("meter_id", "B"), SECOND];
    alter(&store, &table::INTERVAL_READS, &of_b, "import_wh", -1);
    let report = verified(&store, &Selection::default(), limits(1)).unwrap();
    assert_eq!(
        found(&report)[0],
        "interval_reads meter_id=B interval_end=2026-04-01T00:30:00+05:30 import_wh: -1 is an energy that a meter counts in an interval"
    );
    let store = published();
    store.rewrite(&table::INTERVAL_READS, |batch| {
        let mut columns = batch.columns().to_vec();
        let ids = columns[0].as_string::<i32>();
        let renamed = ids
            .iter()
            .map(|id| id.map(|id| if id == "B" { "NOBODY" } else { id }));
        columns[0] = Arc::new(renamed.collect::<StringArray>());
        RecordBatch::try_new(batch.schema(), columns).unwrap()
    });
    let report = verified(&store, &Selection::default(), limits(1)).unwrap();
    assert_eq!(
        found(&report)[0],
        "interval_reads meter_id=NOBODY interval_end=2026-04-01T00:15:00+05:30 meter_id: a meter that master data does not know is no row"
    );
}

#[test]
fn a_row_that_is_missing_or_too_many_is_found() {
    let store = published();
    drop_or_double(&store, &table::FEEDER_BALANCE, &[SECOND], false);
    let report = verified(&store, &Selection::default(), limits(1)).unwrap();
    assert_eq!(report.differences.len(), 1, "{:?}", found(&report));
    let difference = &report.differences[0];
    assert_eq!(
        (
            difference.table,
            difference.column,
            difference.published.as_str(),
            difference.version
        ),
        ("feeder_balance", "row", "no row", None)
    );
    assert!(
        difference.recomputed.contains("consumer_import_wh 910"),
        "{}",
        difference.recomputed
    );
    let store = published();
    drop_or_double(&store, &table::DT_BALANCE, &[SECOND], true);
    check(
        &store,
        &["dt_balance dt_id=T1 interval_end=2026-04-01T00:30:00+05:30 version: 1, 1 is 1 to 2, each once"],
    );
    let store = published();
    for id in ["A", "B", "MT1", "MF1"] {
        drop_or_double(&store, &table::INTERVAL_READS, &[("meter_id", id)], false);
    }
    let report = verified(&store, &Selection::default(), limits(1)).unwrap();
    assert_eq!(report.differences_total, 96 + 96 + 4, "balances without any read");
    assert_eq!(
        report.differences[0].recomputed,
        "none: nobody was heard, or nothing is there"
    );
}

#[test]
fn an_altered_roll_up_and_an_altered_status_are_found() {
    let store = published();
    alter(
        &store,
        &table::NODE_BALANCE_DAILY,
        &[("node_id", "Z")],
        "input_wh",
        7,
    );
    check(
        &store,
        &["node_balance_daily node_id=Z day=2026-04-01 input_wh: 7 is 4000"],
    );
    let store = published();
    store.rewrite(&table::DT_BALANCE, |batch| {
        let at = batch.schema().index_of("status").unwrap();
        let mut columns = batch.columns().to_vec();
        let held = columns[at].as_string::<i32>().clone();
        let changed = (0..batch.num_rows()).map(|row| {
            Some(if is_row(batch, row, &[SECOND]) {
                "final"
            } else {
                held.value(row)
            })
        });
        columns[at] = Arc::new(changed.collect::<StringArray>());
        RecordBatch::try_new(batch.schema(), columns).unwrap()
    });
    check(
        &store,
        &["dt_balance dt_id=T1 interval_end=2026-04-01T00:30:00+05:30 status: final is provisional"],
    );
}

#[test]
fn a_node_is_verified_with_all_below_it_and_nothing_else() {
    let store = published();
    alter(&store, &table::DT_BALANCE, &[SECOND], "consumer_import_wh", 911);
    alter(
        &store,
        &table::NODE_BALANCE_DAILY,
        &[("node_id", "Z")],
        "input_wh",
        7,
    );
    let of = |node: &str| {
        let selection = Selection {
            node: Some(NodeId::parse(node).unwrap()),
            ..Selection::default()
        };
        verified(&store, &selection, limits(2)).map(|report| (report.differences_total, report.compared))
    };
    assert_eq!(of("T1").unwrap(), (1, [96, 0, 1]));
    assert_eq!(of("F1").unwrap(), (1, [96, 96, 2]));
    assert_eq!(of("D").unwrap(), (2, [96, 96, 4]));
    assert!(matches!(of("F2"), Err(VerifyError::NothingInPeriod { .. })));
    assert!(matches!(of("NOWHERE"), Err(VerifyError::UnknownNode { .. })));
}

#[test]
fn a_period_without_anything_and_an_empty_store_say_so() {
    let store = published();
    let day = |text| Day::parse(text);
    let selection = Selection {
        from: day("2026-05-01"),
        to: day("2026-05-31"),
        node: None,
    };
    let error = verified(&store, &selection, limits(1)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "nothing was published from 2026-05-01 to 2026-05-31, so there is nothing to verify"
    );
    let error = verified(&MemoryStore::default(), &Selection::default(), limits(1)).unwrap_err();
    assert!(matches!(error, VerifyError::NeverPublished));
    let selection = Selection {
        to: day("2026-04-01"),
        ..Selection::default()
    };
    assert_eq!(
        verified(&store, &selection, limits(1)).unwrap().compared,
        [96, 96, 4]
    );
}

#[test]
fn what_is_still_open_is_left_out_and_counted() {
    let store = Arc::new(MemoryStore::default());
    let mut records = records();
    // The first two quarters are closed, the third has ended, the fourth runs.
    let now = quarter_end(3).plus(60_000_000);
    let mut process = Process::start(&store, Settings::default(), now);
    process.apply(&records, records.len());
    process.checkpoint(Scope::Everything).unwrap();
    let report = verified(&store, &Selection::default(), limits(1)).unwrap();
    assert_eq!(found(&report), Vec::<String>::new());
    assert_eq!((report.compared, report.open), ([2, 2, 0], 2 + 2 + 4));
    // A read that comes for the open quarter, published by a checkpoint that leaves the balance for later, is no difference.
    records.push(publish_record(
        now,
        &publish(
            "B",
            &[IntervalRead {
                revision: 2,
                ..read(quarter_end(4), 1)
            }],
        ),
    ));
    let mut process = Process::start(&store, Settings::default(), now.plus(1));
    process.apply(&records, records.len());
    process.checkpoint(Scope::Due).unwrap();
    let report = verified(&store, &Selection::default(), limits(1)).unwrap();
    assert_eq!((found(&report), report.compared), (Vec::new(), [2, 2, 0]));
}

#[test]
fn an_altered_adjustment_of_a_bill_is_named_by_key_and_column() {
    let of_row = "billing_adjustments meter_id=A interval_end=2026-04-01T02:45:00+05:30";
    check(&crate::world::billing::tests::published(), &[]);
    for (column, altered, right) in [
        ("adjustment_import_wh", 7, "300"),
        ("actual_export_wh", 9, "null"),
    ] {
        let store = crate::world::billing::tests::published();
        alter(
            &store,
            &table::BILLING_ADJUSTMENTS,
            &[("meter_id", "A")],
            column,
            altered,
        );
        let report = verified(&store, &Selection::default(), limits(2)).unwrap();
        let line = format!("{of_row} {column}: {altered} is {right}");
        assert!(found(&report).contains(&line), "{:?}", found(&report));
    }
    let store = crate::world::billing::tests::published();
    drop_or_double(&store, &table::BILLING, &[("consumer_id", "CA")], false);
    let report = verified(&store, &Selection::default(), limits(2)).unwrap();
    assert!(
        found(&report)[0].starts_with(&format!("{of_row} billed_at: ")),
        "{:?}",
        found(&report)
    );
}
