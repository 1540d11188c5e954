//! Revenue in the picture: which feeder a bill counts on, what a row follows, and that it stays so over a restart.

use std::sync::Arc;

use gridtally_schemas::{
    IntervalRead,
    billing::BillingRow,
    network::{MasterRows, MeterRole},
    record, table,
};

use super::*;
use crate::{
    rig::{
        LONG_AGO, MIDNIGHT, MemoryStore, Process, connection, hierarchy, master_record, meter, publish,
        publish_record, quarter_end, read,
    },
    world::{
        Settings,
        tests::compared::{cell, current_rows},
    },
};

const DAY: i64 = 86_400_000_000;
/// The twelfth of May: April is over.
pub(in crate::world) const NOW: UtcMicros = MIDNIGHT.plus(41 * DAY);
/// Loss target of the zone.
const ALLOWABLE: f64 = 12.0;

pub(in crate::world) fn day(text: &str) -> Day {
    Day::parse(text).unwrap()
}

fn network() -> Vec<Vec<u8>> {
    let mut nodes = hierarchy();
    for node in nodes.iter_mut().filter(|node| node.node_id.as_str() == "Z") {
        node.allowable_loss_pct = Some(ALLOWABLE);
    }
    let meters = vec![
        meter("MF1", MeterRole::Feeder, Some("F1")),
        meter("A", MeterRole::Consumer, None),
        meter("B", MeterRole::Consumer, None),
    ];
    let connections = vec![
        connection("CA", Some("A"), "T1"),
        connection("CB", Some("B"), "T3"),
    ];
    vec![
        master_record(LONG_AGO, &MasterRows::Nodes(nodes)),
        master_record(LONG_AGO, &MasterRows::Meters(meters)),
        master_record(LONG_AGO, &MasterRows::Connections(connections)),
    ]
}

/// Of each of these days of April, from 0, the feeder's 96 reads of 1 kWh.
fn input(days: std::ops::Range<i64>) -> Vec<u8> {
    let ends = (days.start * 96 + 1)..=(days.end * 96);
    let reads: Vec<IntervalRead> = ends.map(|n| read(quarter_end(n), 1_000)).collect();
    publish_record(quarter_end(days.end * 96), &publish("MF1", &reads))
}

fn bill(consumer: &str, month: &str, kwh: i64, inr: i64, subsidy: Option<i64>) -> Vec<u8> {
    let row = BillingRow {
        consumer_id: ConsumerId::parse(consumer).unwrap(),
        month: day(month),
        billed_wh: kwh * 1_000,
        billed_paise: inr * 100,
        fixed_paise: None,
        arrears_paise: Some(99_900),
        subsidy_paise: subsidy.map(|inr| inr * 100),
        collected_paise: Some(inr * 50),
    };
    let mut bytes = Vec::new();
    record::encode_billing(NOW, "file:billing.csv", &[row], &mut bytes).unwrap();
    bytes
}

fn accounts(year: i32, revenue: i64) -> Vec<u8> {
    accounts_at(NOW, year, revenue)
}

/// Accounts of 100 kWh sold for so many paise.
pub(in crate::world) fn accounts_at(at: UtcMicros, year: i32, revenue: i64) -> Vec<u8> {
    let row = DiscomAccountsRow {
        year: FinancialYear(year),
        sales_wh: 100_000,
        power_purchase_paise: 50_000,
        om_paise: 0,
        depreciation_paise: 0,
        interest_paise: 0,
        revenue_paise: revenue,
        subsidy_paise: None,
    };
    let mut bytes = Vec::new();
    record::encode_accounts(at, "file:discom_accounts.csv", &[row], &mut bytes).unwrap();
    bytes
}

fn moved(from: UtcMicros, to: &str) -> Vec<u8> {
    let mut before = connection("CA", Some("A"), "T1");
    before.valid_to = Some(from);
    let mut after = connection("CA", Some("A"), to);
    after.valid_from = from;
    master_record(NOW, &MasterRows::Connections(vec![before, after]))
}

/// Applies the records and publishes, in one process after each of `stops`.
pub(in crate::world) fn run(records: &[Vec<u8>], stops: &[usize]) -> (Process, Arc<MemoryStore>) {
    let store = Arc::new(MemoryStore::default());
    for through in stops.iter().chain([&records.len()]) {
        let mut process = Process::start(&store, Settings::default(), NOW);
        process.apply(records, *through);
        process.checkpoint(Scope::Everything).unwrap();
    }
    let mut process = Process::start(&store, Settings::default(), NOW);
    process.apply(records, records.len());
    (process, store)
}

pub(in crate::world) fn month_of(process: &Process, feeder: &str, month: &str) -> Option<FeederMonth> {
    let feeder = process.world.network.find_node(feeder).unwrap();
    let (from, to) = (day(month), Period::Month.after(day(month)));
    let months = process.world.feeder_months(feeder, from, to);
    months.first().map(|view| view.figures)
}

fn close(got: Option<f64>, expected: f64) {
    let got = got.unwrap();
    assert!((got - expected).abs() < 1e-9, "{got}, expected {expected}");
}

#[test]
fn a_months_rates_worked_by_hand_and_the_same_from_the_tables() {
    let mut records = network();
    records.extend([
        input(0..30),
        // Last year 1,000 kWh for Rs 7,000; in April 2,400 kWh for Rs 16,000 and Rs 1,280 of the State's.
        bill("CA", "2026-03-01", 1_000, 7_000, None),
        bill("CA", "2026-04-01", 2_400, 16_000, Some(1_280)),
        accounts(2025, 61_800),
        accounts(2026, 63_700),
    ]);
    let (process, store) = run(&records, &[3, 4, 6]);
    let april = month_of(&process, "F1", "2026-04-01").unwrap();
    assert_eq!(april.input.known_wh(), Some(2_880_000));
    close(april.loss_pct, 100.0 * 480.0 / 2_880.0);
    close(april.abr, 7.2);
    close(april.adjusted_abr, 7.0 * 637.0 / 618.0);
    close(april.tri, 7.0 * 637.0 / 618.0 * 0.88);
    close(april.ari, 6.0);
    assert!(april.audit, "16.7 % is above 15 %");
    assert_eq!(
        april.target_paise().unwrap() - 1_728_000,
        april.deviation_paise().unwrap()
    );
    // Nobody billed on F2: no row of it.
    let rows = current_rows(&store, &table::FEEDER_REVENUE_MONTHLY);
    let keys: Vec<&String> = rows.keys().collect();
    assert_eq!(keys, ["F1/2026-03-01", "F1/2026-04-01"]);
    let whole = store.batches(&table::FEEDER_REVENUE_MONTHLY);
    let newest = whole.last().unwrap();
    let last = newest.num_rows() - 1;
    assert_eq!(cell(newest, last, "target_inr"), "18286.23");
    // A restart, and a replay, publish nothing anew.
    let rows_before = whole
        .iter()
        .map(arrow::array::RecordBatch::num_rows)
        .sum::<usize>();
    let mut again = Process::start(&store, Settings::default(), NOW);
    again.apply(&records, records.len());
    again.checkpoint(Scope::Everything).unwrap();
    let whole = store.batches(&table::FEEDER_REVENUE_MONTHLY);
    let rows_after = whole
        .iter()
        .map(arrow::array::RecordBatch::num_rows)
        .sum::<usize>();
    assert_eq!(rows_after, rows_before);
}

#[test]
fn a_bill_counts_where_its_consumer_hung_last_in_the_month_and_follows_corrections() {
    let mut records = network();
    records.extend([
        bill("CA", "2026-03-01", 100, 700, None),
        bill("CA", "2026-04-01", 100, 700, None),
        bill("CB", "2026-04-01", 50, 400, None),
        // On the sixteenth of April, said in May.
        moved(MIDNIGHT.plus(15 * DAY), "T3"),
    ]);
    let sold = |process: &Process, feeder: &str, month: &str| {
        let month = month_of(process, feeder, month);
        month.and_then(|month| month.billed).map(|billed| billed.sold_wh)
    };
    let (process, store) = run(&records[..records.len() - 1], &[4]);
    assert_eq!(sold(&process, "F1", "2026-04-01"), Some(100_000));
    assert_eq!(sold(&process, "F2", "2026-04-01"), Some(50_000));
    drop(store);
    let (process, _) = run(&records, &[4, 6]);
    assert_eq!(sold(&process, "F1", "2026-03-01"), Some(100_000));
    assert_eq!(sold(&process, "F1", "2026-04-01"), None);
    assert_eq!(sold(&process, "F2", "2026-04-01"), Some(150_000));
    // The zone has all of it, whoever hangs where (BAL-1).
    let zone = process.world.network.find_node("Z").unwrap();
    let totals = process
        .world
        .node_months(zone, day("2026-04-01"), day("2026-05-01"));
    assert_eq!(totals[&day("2026-04-01")].billed.sold_wh, 150_000);
    // The bill is corrected: the difference counts, and once.
    records.push(bill("CA", "2026-04-01", 130, 910, None));
    let (process, _) = run(&records, &[7]);
    assert_eq!(sold(&process, "F2", "2026-04-01"), Some(180_000));
    // He had left altogether on the eleventh of April, and never moved.
    let mut left = connection("CA", Some("A"), "T1");
    left.valid_to = Some(MIDNIGHT.plus(10 * DAY));
    let mut never = connection("CA", Some("A"), "T3");
    never.valid_from = MIDNIGHT.plus(15 * DAY);
    never.valid_to = Some(never.valid_from);
    records.push(master_record(
        NOW.plus(1),
        &MasterRows::Connections(vec![left, never]),
    ));
    let (process, _) = run(&records, &[8]);
    assert_eq!(sold(&process, "F1", "2026-04-01"), Some(130_000));
    assert_eq!(sold(&process, "F2", "2026-04-01"), Some(50_000));
}

#[test]
fn a_month_has_no_loss_before_all_its_days_are_there_and_a_running_one_has_a_target() {
    let mut records = network();
    records.extend([
        bill("CA", "2026-03-01", 1_000, 7_000, None),
        bill("CA", "2026-04-01", 2_400, 16_000, None),
        accounts(2025, 60_000),
        accounts(2026, 60_000),
        input(0..29),
    ]);
    let (process, _) = run(&records, &[]);
    let april = month_of(&process, "F1", "2026-04-01").unwrap();
    assert_eq!((april.loss_pct, april.ari), (None, None), "a day is missing");
    close(april.tri, 7.0 * 0.88);
    records.push(input(29..30));
    let (process, _) = run(&records, &[8]);
    assert!(month_of(&process, "F1", "2026-04-01").unwrap().loss_pct.is_some());
    // While April runs.
    let store = Arc::new(MemoryStore::default());
    let mut process = Process::start(&store, Settings::default(), quarter_end(29 * 96 + 40));
    process.apply(&records[..8], 8);
    process.checkpoint(Scope::Due).unwrap();
    let april = month_of(&process, "F1", "2026-04-01").unwrap();
    assert_eq!(april.loss_pct, None);
    // 29 days of 96 kWh at 6.16.
    assert_eq!(april.target_paise(), Some(1_714_944));
    assert_eq!(process.world.realised().count(), 2);
}
