use gridtally_schemas::{
    IntervalRead,
    network::{MasterRows, MeterRole},
    record,
};

use super::*;
use crate::{
    rig::{
        LONG_AGO, MIDNIGHT, MemoryStore, Process, connection, hierarchy, master_record, meter, publish,
        publish_record, quarter_end, read,
    },
    world::{
        Settings,
        publish::Scope,
        tests::compared::{assert_same, cell, current_rows},
    },
};

const DAY: i64 = 86_400_000_000;
/// The bill of April is recorded on the 2nd of May, at noon.
const BILLED: UtcMicros = MIDNIGHT.plus(31 * DAY + DAY / 2);
const NOW: UtcMicros = MIDNIGHT.plus(41 * DAY);

fn network() -> Vec<Vec<u8>> {
    let meters = vec![
        meter("MT1", MeterRole::Dt, Some("T1")),
        meter("A", MeterRole::Consumer, None),
    ];
    let connections = vec![connection("CA", Some("A"), "T1")];
    vec![
        master_record(LONG_AGO, &MasterRows::Nodes(hierarchy())),
        master_record(LONG_AGO, &MasterRows::Meters(meters)),
        master_record(LONG_AGO, &MasterRows::Connections(connections)),
    ]
}

/// A's first of April without the 11th quarter, at once: 200 Wh each.
fn in_time() -> Vec<u8> {
    let reads: Vec<IntervalRead> = (1..=96)
        .filter(|n| *n != 11)
        .map(|n| read(quarter_end(n), 200 + n % 2))
        .collect();
    publish_record(quarter_end(97), &publish("A", &reads))
}

fn the_11th(received_at: UtcMicros, wh: i64) -> Vec<u8> {
    publish_record(received_at, &publish("A", &[read(quarter_end(11), wh)]))
}

fn bill(recorded_at: UtcMicros, paise: i64) -> Vec<u8> {
    let row = BillingRow {
        consumer_id: ConsumerId::parse("CA").unwrap(),
        month: Day::parse("2026-04-01").unwrap(),
        billed_wh: 21_000,
        billed_paise: paise,
        fixed_paise: Some(12_000),
        arrears_paise: None,
        subsidy_paise: None,
        collected_paise: Some(-50),
    };
    let mut bytes = Vec::new();
    record::encode_billing(recorded_at, "file:billing.csv", &[row], &mut bytes).unwrap();
    bytes
}

/// Runs through the records with a checkpoint, and a new process, after each of `stops`.
fn run(records: &[Vec<u8>], stops: &[usize]) -> (Process, Arc<MemoryStore>) {
    let store = Arc::new(MemoryStore::default());
    for through in stops {
        let mut process = Process::start(&store, Settings::default(), NOW);
        process.apply(records, *through);
        process.checkpoint(Scope::Everything).unwrap();
    }
    let mut process = Process::start(&store, Settings::default(), NOW);
    process.apply(records, records.len());
    process.checkpoint(Scope::Everything).unwrap();
    (process, store)
}

fn found(process: &Process) -> Vec<(Option<u32>, u32, i64)> {
    process
        .world
        .adjustments()
        .map(|(_, quarter, of)| {
            assert_eq!(quarter.end(), quarter_end(11));
            (
                of.billed.map(|(import, ..)| import),
                of.actual.0,
                of.difference().0,
            )
        })
        .collect()
}

fn told(rest: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut records = network();
    records.push(in_time());
    records.extend(rest.iter().cloned());
    records
}

/// Tables with one adjustment: of A's 11th quarter, from 200 to 500 Wh.
pub(crate) fn published() -> Arc<MemoryStore> {
    run(
        &told(&[bill(BILLED, 9_950), the_11th(BILLED.plus(8 * DAY), 500)]),
        &[],
    )
    .1
}

#[test]
fn a_read_after_the_bill_is_an_adjustment_of_it_and_stands_as_energy() {
    let records = told(&[bill(BILLED, 9_950), the_11th(BILLED.plus(8 * DAY), 500)]);
    let (process, store) = run(&records, &[records.len() - 1]);
    assert_eq!(found(&process), [(Some(200), 500, 300)]);
    let meter = process.world.network.find_meter("A").unwrap();
    let quarter = Quarter::ending(quarter_end(11)).unwrap();
    assert_eq!(process.world.state.value(meter, quarter).unwrap().import_wh, 500);
    let rows = current_rows(&store, &table::BILLING_ADJUSTMENTS);
    let (_, row) = rows.first_key_value().unwrap();
    for cell in [
        "consumer_id=CA",
        "method=linear",
        "billed_import_wh=200",
        "actual_import_wh=500",
        "adjustment_import_wh=300",
        "month=2026-04-01",
    ] {
        assert!(row.contains(cell), "{cell}: {row}");
    }
    let bills = current_rows(&store, &table::BILLING);
    let (_, row) = bills.first_key_value().unwrap();
    for cell in [
        "billed_kwh=21.0",
        "billed_inr=99.50",
        "fixed_inr=120.00",
        "collected_inr=-0.50",
    ] {
        assert!(row.contains(cell), "{cell}: {row}");
    }
}

#[test]
fn what_came_with_the_bill_or_before_it_and_what_was_not_estimated_is_no_adjustment() {
    let none = |rest: &[Vec<u8>]| assert_eq!(found(&run(&told(rest), &[]).0), []);
    let late = the_11th(BILLED.plus(8 * DAY), 500);
    none(std::slice::from_ref(&late));
    none(&[bill(BILLED, 1), the_11th(BILLED.plus(-DAY), 500)]);
    // In the step of 24 hours in which the bill was recorded, after it.
    none(&[bill(BILLED, 1), the_11th(BILLED.plus(DAY / 4), 500)]);
    // A bill before the day was due to be estimated held no estimate of it.
    none(&[bill(MIDNIGHT.plus(DAY + DAY / 2), 1), late]);
}

/// ORD-1: bill and reads in any order, with restarts between, give the same rows; a repetition that came sooner takes it back.
#[test]
fn the_order_of_bill_and_read_does_not_matter_nor_do_restarts_and_a_sooner_record_withdraws() {
    let rest = [
        bill(BILLED, 1),
        bill(BILLED.plus(20 * DAY), 2),
        the_11th(BILLED.plus(8 * DAY), 500),
    ];
    let (first, store) = run(&told(&rest), &[4, 5, 6]);
    assert_eq!(found(&first), [(Some(200), 500, 300)]);
    for order in [[0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let records = told(&order.map(|at: usize| rest[at].clone()));
        for stops in [vec![], vec![4, 5, 5]] {
            let (other, other_store) = run(&records, &stops);
            assert_eq!(found(&other), found(&first), "{order:?}");
            for table in [
                &table::BILLING_ADJUSTMENTS,
                &table::BILLING,
                &table::INTERVAL_READS,
            ] {
                assert_same(
                    table.name,
                    &current_rows(&store, table),
                    &current_rows(&other_store, table),
                )
                .unwrap();
            }
        }
    }
    let mut records = told(&rest);
    records.push(the_11th(quarter_end(12), 500));
    let (process, store) = run(&records, &[7]);
    assert_eq!(found(&process), []);
    let rows = store.batches(&table::BILLING_ADJUSTMENTS);
    let versions: Vec<String> = rows
        .iter()
        .flat_map(|batch| {
            (0..batch.num_rows())
                .map(|row| cell(batch, row, "version") + &cell(batch, row, "actual_import_wh"))
        })
        .collect();
    assert_eq!(versions, ["1500", "2"]);
}
