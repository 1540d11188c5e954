//! What made each version of a balance.

use super::*;

/// Three checkpoints: the first reads; then a correction, and a read that lost to it; then B's move to T2.
fn three_versions() -> Arc<MemoryStore> {
    let store = Arc::new(MemoryStore::default());
    let mut records = records();
    let checkpoint = |records: &[Vec<u8>], hours: i64| {
        let mut process = Process::start(&store, Settings::default(), NOW.plus(hours * HOUR));
        process.apply(records, records.len());
        process.checkpoint(Scope::Due).unwrap();
    };
    checkpoint(&records, 1);
    let late = IntervalRead {
        revision: 2,
        ..read(quarter_end(2), 420)
    };
    records.push(publish_record(NOW, &publish("A", &[late])));
    records.push(publish_record(NOW, &publish("A", &[read(quarter_end(2), 7)])));
    checkpoint(&records, 2);
    let moved = MasterRows::Connections(vec![connection("CB", Some("B"), "T2")]);
    records.push(master_record(NOW, &moved));
    checkpoint(&records, 3);
    store
}

#[test]
fn each_version_of_a_balance_names_the_reads_and_master_rows_that_made_it() {
    let store = three_versions();
    let explained = |node: &str, of: Of| {
        let node = NodeId::parse(node).unwrap();
        block_on(explain(store.as_ref(), &Settings::default(), &node, of)).unwrap()
    };
    let explanation = explained("T1", Of::Interval(quarter_end(2)));
    assert_eq!(explanation.key, "dt_id=T1 interval_end=2026-04-01T00:30:00+05:30");
    let [first, second, third] = &explanation.versions[..] else {
        panic!("{explanation:?}");
    };
    assert_eq!((first.version, first.reason.as_deref()), (1, None));
    assert!(
        first
            .made_by
            .iter()
            .any(|line| line.starts_with("nodes node_id=T1 ")),
        "{first:?}"
    );
    assert_eq!(second.reason.as_deref(), Some("inputs changed"));
    let columns: Vec<&str> = second.columns.iter().map(|(name, ..)| *name).collect();
    assert_eq!(
        columns,
        ["delivered_wh", "loss_wh", "consumer_import_wh", "loss_pct"]
    );
    assert_eq!(second.columns[2].1, "910");
    assert_eq!(second.columns[2].2, "920");
    assert_eq!(
        second.made_by.len(),
        1,
        "the read that lost made nothing: {second:?}"
    );
    assert!(
        second.made_by[0].starts_with(
            "A 2026-04-01T00:30:00+05:30: import 420 Wh, actual, revision 2, version 3, log record 9,"
        ),
        "{second:?}"
    );
    assert_eq!(
        third.made_by[0],
        "B left: it counted as consumer, x1, 15 min, at most 1000 Wh in and 0 Wh out"
    );
    assert!(
        third.made_by[1].starts_with(
            "connections consumer_id=CB meter_id=B valid from 2020-01-01T05:30:00+05:30: log record 11,"
        ),
        "{third:?}"
    );
    assert_eq!(third.made_by.len(), 2);
    let day = explained("Z", Of::Day(Settings::default().zone.day_of(quarter_end(2))));
    assert_eq!(
        day.versions[1].made_by,
        ["feeder_balance feeder_id=F1 interval_end=2026-04-01T00:30:00+05:30: version 2, inputs changed"]
    );
    let nobody = NodeId::parse("T3").unwrap();
    let of = Of::Interval(quarter_end(2));
    let error = block_on(explain(store.as_ref(), &Settings::default(), &nobody, of)).unwrap_err();
    assert_eq!(error.to_string(), "no balance of T3 was published for that time");
}
