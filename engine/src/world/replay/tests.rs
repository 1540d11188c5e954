use gridtally_ingest::log::Position;
use gridtally_schemas::{
    IntervalRead,
    network::{MasterRows, MeterRole},
    record,
};

use super::*;
use crate::{
    rig::{
        LONG_AGO, MemoryStore, Process, hierarchy, master_record, meter, publish, publish_record,
        quarter_end, read,
    },
    world::{Settings, publish::Scope, tests::NOW},
};

const DAY: i64 = 86_400_000_000;

/// A meter, and of a month later a read in time, two that a day is too short for, and one below zero.
fn records() -> Vec<Vec<u8>> {
    let said = [
        read(quarter_end(1), 10),
        read(quarter_end(2), 20),
        read(quarter_end(3), -1),
    ];
    let at = quarter_end(4).plus(30 * DAY);
    let in_time = IntervalRead {
        interval_end: quarter_end(30 * 96),
        ..read(quarter_end(0), 5)
    };
    vec![
        master_record(LONG_AGO, &MasterRows::Nodes(hierarchy())),
        master_record(
            LONG_AGO,
            &MasterRows::Meters(vec![meter("A", MeterRole::Consumer, None)]),
        ),
        publish_record(at, &publish("A", &said)),
        publish_record(at, &publish("A", &[in_time])),
        publish_record(at, &publish("NEW", &said[..1])),
    ]
}

fn settings(too_old_days: Option<i64>) -> Settings {
    let mut settings = Settings::default();
    settings.vee.too_old_micros = too_old_days.map(|days| days * DAY);
    settings
}

fn rows(store: &MemoryStore) -> Vec<Quarantined> {
    let mut released = HashSet::new();
    let batches = store.batches(&table::QUARANTINE);
    for batch in &batches {
        released_ids(batch, &mut released).unwrap();
    }
    let of_batch = |batch| quarantined(batch, |id, _, _| !released.contains(id)).unwrap();
    batches.iter().flat_map(of_batch).collect()
}

fn kinds(rows: &[Quarantined]) -> Vec<&str> {
    let mut kinds: Vec<&str> = rows.iter().map(Quarantined::kind).collect();
    kinds.sort_unstable();
    kinds
}

fn release(rows: &[Quarantined]) -> Vec<u8> {
    let mut bytes = Vec::new();
    record::encode_release(NOW.plus(40 * DAY), "api:replay", rows, &mut bytes);
    bytes
}

#[test]
fn a_rule_that_changed_makes_good_what_it_refused_once_and_the_rest_stays() {
    let now = NOW.plus(40 * DAY);
    let store = Arc::new(MemoryStore::default());
    let mut records = records();
    let mut process = Process::start(&store, settings(Some(1)), now);
    process.apply(&records, records.len());
    process.checkpoint(Scope::Everything).unwrap();
    let held = rows(&store);
    // The read below zero was too old first of all.
    assert_eq!(kinds(&held), ["too_old", "unknown_meter"]);
    let judged = |world: &World| -> Vec<Result<(), String>> {
        held.iter()
            .filter(|row| row.kind() == "too_old")
            .map(|row| world.judge_quarantined(row))
            .collect()
    };
    assert_eq!(judged(&process.world), [Err("too_old".to_owned())]);
    let process = Process::start(&store, settings(None), now);
    assert_eq!(
        judged(&process.world),
        [Err("negative".to_owned())],
        "one of its reads is below zero"
    );

    // Each on its own: the one that can stand is released, twice said and under the old rule too, by two processes.
    let single = |wh: i64, n: i64, id: &str| Quarantined {
        exception_id: id.to_owned(),
        payload: wire::span_to_json(publish("A", &[read(quarter_end(n), wh)]).meters().next().unwrap()),
        ..held.iter().find(|row| row.kind() == "too_old").unwrap().clone()
    };
    let good = single(20, 2, "3-0-too_old");
    assert_eq!(process.world.judge_quarantined(&good), Ok(()));
    records.push(release(&[good.clone(), good.clone()]));
    records.push(release(&[good]));
    for _ in 0..2 {
        let mut process = Process::start(&store, settings(Some(1)), now);
        process.apply(&records, records.len());
        let counts = process.world.counts;
        assert_eq!((counts.reads_released, counts.reads_accepted), (1, 2));
        assert_eq!(counts.reads_unaccounted(), 0);
        process.checkpoint(Scope::Everything).unwrap();
        assert_eq!(kinds(&rows(&store)), ["unknown_meter"]);
        let meter = process.world.network.find_meter("A").unwrap();
        let quarter = crate::state::Quarter::ending(quarter_end(2)).unwrap();
        assert_eq!(process.world.state.value(meter, quarter).unwrap().import_wh, 20);
    }
    let written: usize = store
        .batches(&table::QUARANTINE)
        .iter()
        .map(RecordBatch::num_rows)
        .sum();
    assert_eq!(written, 3, "two that were held, one that was released");
}

#[test]
fn a_payload_that_can_be_decoded_now_counts_as_what_it_carries() {
    let store = Arc::new(MemoryStore::default());
    let mut undecodable = Vec::new();
    let payload = br#"{"reads":[{"interval_end":"2026-04-01T00:15:00+05:30","import_wh":7},
        {"interval_end":"2026-04-01T00:30:00+05:30","import_wh":-7}]}"#;
    let texts = ["ami/v1/meters/A/reads", "", "a decoder of long ago"];
    record::encode_undecodable(NOW, "meter:A", texts, payload, &mut undecodable);
    let mut records = records();
    records.truncate(2);
    records.push(undecodable);
    let mut process = Process::start(&store, Settings::default(), NOW);
    process.apply(&records, records.len());
    process.checkpoint(Scope::Everything).unwrap();
    let held = rows(&store);
    assert_eq!(kinds(&held), ["undecodable"]);
    assert_eq!(process.world.judge_quarantined(&held[0]), Ok(()));
    let mut broken = held[0].clone();
    broken.payload.truncate(9);
    assert!(process.world.judge_quarantined(&broken).is_err());
    records.push(release(&held));
    process.apply(&records, records.len());
    process.checkpoint(Scope::Everything).unwrap();
    let counts = process.world.counts;
    assert_eq!(
        (counts.reads, counts.reads_accepted, counts.reads_quarantined),
        (2, 1, 1)
    );
    assert_eq!(counts.reads_unaccounted(), 0);
    assert_eq!(kinds(&rows(&store)), ["negative"]);
    let waiting = std::collections::BTreeMap::from([("negative".to_owned(), 1)]);
    assert_eq!(process.world.quarantined(), waiting);
    let process = Process::start(&store, Settings::default(), NOW);
    assert_eq!(process.world.quarantined(), waiting, "after a restart too");
}

#[test]
fn a_release_ends_the_same_wherever_the_process_dies() {
    let now = NOW.plus(40 * DAY);
    let mut records = records();
    let row = {
        let store = Arc::new(MemoryStore::default());
        let mut process = Process::start(&store, settings(Some(1)), now);
        process.apply(&records, records.len());
        process.checkpoint(Scope::Everything).unwrap();
        let held = rows(&store)
            .into_iter()
            .find(|row| row.kind() == "too_old")
            .unwrap();
        Quarantined {
            payload: wire::span_to_json(publish("A", &[read(quarter_end(2), 20)]).meters().next().unwrap()),
            ..held
        }
    };
    records.push(release(&[row]));
    let mut ends = std::collections::BTreeSet::new();
    for commits in 0..9 {
        let store = Arc::new(MemoryStore::default());
        for through in [records.len() - 1, records.len()] {
            let mut process = Process::start(&store, settings(Some(1)), now);
            process.apply(&records, through);
            store.fail_after(Some(commits));
            let _ = process.checkpoint(Scope::Everything);
        }
        let mut process = Process::start(&store, settings(Some(1)), now);
        process.apply(&records, records.len());
        process.checkpoint(Scope::Everything).unwrap();
        assert_eq!(
            process.world.applied(),
            Position(u64::try_from(records.len()).unwrap())
        );
        let written: usize = store
            .batches(&table::QUARANTINE)
            .iter()
            .map(RecordBatch::num_rows)
            .sum();
        ends.insert((
            format!("{:?}", process.world.counts),
            written,
            kinds(&rows(&store)).len(),
        ));
    }
    assert_eq!(ends.len(), 1, "{ends:?}");
}
