//! Worked cases of feeders' months and of the nodes above them.

use std::sync::Arc;

use arrow::array::RecordBatch;
use gridtally_schemas::{
    ConsumerId, UtcMicros,
    billing::BillingRow,
    network::{MasterRows, MeterRole, NodeKind},
    record, table,
};

use crate::{
    rig::{
        LONG_AGO, MIDNIGHT, MemoryStore, Process, connection, hierarchy, master_record, meter, node, node_id,
        publish, publish_record, quarter_end, read,
    },
    world::{
        Settings,
        publish::Scope,
        revenue::tests::{NOW, accounts_at, day, month_of, run},
        tests::compared::{cell, current_rows},
    },
};

const DAY: i64 = 86_400_000_000;

/// Two feeders that can be tied, one consumer on each; on F2 a pump set without a meter beside him.
fn network() -> Vec<Vec<u8>> {
    let mut tie = meter("X", MeterRole::Boundary, Some("F1"));
    tie.boundary_to = Some(node_id("F2"));
    let meters = vec![
        meter("MF1", MeterRole::Feeder, Some("F1")),
        meter("MF2", MeterRole::Feeder, Some("F2")),
        tie,
        meter("A", MeterRole::Consumer, None),
        meter("B", MeterRole::Consumer, None),
    ];
    let mut pump_set = connection("CP", None, "T3");
    pump_set.assessed_kwh_month = Some(700.0);
    let connections = vec![
        connection("CA", Some("A"), "T1"),
        connection("CB", Some("B"), "T3"),
        pump_set,
    ];
    let mut nodes = hierarchy();
    for node in nodes.iter_mut().filter(|node| node.node_id.as_str() == "D") {
        node.allowable_loss_pct = Some(13.0);
    }
    vec![
        master_record(LONG_AGO, &MasterRows::Nodes(nodes)),
        master_record(LONG_AGO, &MasterRows::Meters(meters)),
        master_record(LONG_AGO, &MasterRows::Connections(connections)),
    ]
}

/// A meter's 2,880 reads of April, each of so many Wh.
fn april(meter_id: &str, wh: i64) -> Vec<u8> {
    let reads: Vec<_> = (1..=2_880).map(|n| read(quarter_end(n), wh)).collect();
    publish_record(quarter_end(2_880), &publish(meter_id, &reads))
}

struct Bill {
    consumer: &'static str,
    month: &'static str,
    kwh: i64,
    inr: i64,
    subsidy: i64,
    collected: Option<i64>,
}

fn bill(bill: &Bill) -> Vec<u8> {
    let row = BillingRow {
        consumer_id: ConsumerId::parse(bill.consumer).unwrap(),
        month: day(bill.month),
        billed_wh: bill.kwh * 1_000,
        billed_paise: bill.inr * 100,
        fixed_paise: None,
        arrears_paise: None,
        subsidy_paise: Some(bill.subsidy * 100),
        collected_paise: bill.collected.map(|inr| inr * 100),
    };
    let mut bytes = Vec::new();
    record::encode_billing(NOW, "file:billing.csv", &[row], &mut bytes).unwrap();
    bytes
}

fn of_april(consumer: &'static str, kwh: i64, inr: i64, collected: i64) -> Bill {
    Bill {
        consumer,
        month: "2026-04-01",
        kwh,
        inr,
        subsidy: 0,
        collected: Some(collected),
    }
}

/// The newest row of each node and month.
fn rows(store: &Arc<MemoryStore>) -> Vec<(String, String)> {
    current_rows(store, &table::ENERGY_ACCOUNTING_MONTHLY)
        .into_iter()
        .collect()
}

fn cell_of(store: &Arc<MemoryStore>, node: &str, column: &str) -> String {
    let key = format!("{node}/2026-04-01");
    let rows = rows(store);
    let (_, text) = rows
        .iter()
        .find(|(of, _)| *of == key)
        .unwrap_or_else(|| panic!("{key}: {rows:?}"));
    let prefix = format!("{column}=");
    let cell = text.split(' ').find_map(|cell| cell.strip_prefix(&prefix));
    cell.unwrap_or_else(|| panic!("{column}: {text}")).to_owned()
}

fn number(store: &Arc<MemoryStore>, node: &str, column: &str) -> f64 {
    cell_of(store, node, column).parse().unwrap()
}

fn close(got: f64, expected: f64) {
    assert!((got - expected).abs() < 1e-9, "{got}, expected {expected}");
}

/// A column of every version of F1's row of April.
fn of_f1_in_april(batches: &[RecordBatch], column: &str) -> Vec<String> {
    let mut cells = Vec::new();
    for batch in batches {
        let is_wanted = |row: &usize| {
            cell(batch, *row, "feeder_id") == "F1" && cell(batch, *row, "month") == "2026-04-01"
        };
        let rows = (0..batch.num_rows()).filter(is_wanted);
        cells.extend(rows.map(|row| cell(batch, row, column)));
    }
    cells
}

#[test]
fn energy_that_crosses_a_tie_counts_once_and_a_node_is_the_sum_of_its_feeders() {
    let mut records = network();
    records.extend([
        // 2,880 and 5,760 kWh; 720 kWh of F2 went over to F1.
        april("MF1", 1_000),
        april("MF2", 2_000),
        april("X", 250),
        bill(&of_april("CA", 3_060, 21_420, 21_420)),
        bill(&of_april("CB", 4_536, 30_000, 27_000)),
    ]);
    let (process, store) = run(&records, &[3, 5]);
    let f1 = month_of(&process, "F1", "2026-04-01").unwrap();
    let f2 = month_of(&process, "F2", "2026-04-01").unwrap();
    assert_eq!(
        (f1.input.known_wh(), f2.input.known_wh()),
        (Some(3_600_000), Some(5_040_000))
    );
    // 1 - 3,060 / 3,600 and 1 - 4,536 / 5,040.
    close(f1.loss_pct.unwrap(), 15.0);
    close(f2.loss_pct.unwrap(), 10.0);
    assert!(!f1.audit && !f2.audit);
    // The tie cancels: 8,640 kWh came in, 7,596 were billed.
    close(number(&store, "Z", "input_kwh"), 8_640.0);
    close(
        number(&store, "Z", "billing_efficiency_pct"),
        100.0 * 7_596.0 / 8_640.0,
    );
    close(
        number(&store, "Z", "collection_efficiency_pct"),
        100.0 * 48_420.0 / 51_420.0,
    );
    let atc = 100.0 * (1.0 - 7_596.0 / 8_640.0 * (48_420.0 / 51_420.0));
    close(number(&store, "D", "atc_loss_pct"), atc);
    for column in [
        "input_kwh",
        "billed_kwh",
        "billed_inr",
        "collected_current_inr",
        "high_kwh",
    ] {
        let parts = number(&store, "F1", column) + number(&store, "F2", column);
        close(number(&store, "Z", column), parts);
        close(number(&store, "D", column), parts);
    }
    // A restart and a replay publish nothing anew.
    let count = |store: &Arc<MemoryStore>| -> usize {
        let batches = store.batches(&table::ENERGY_ACCOUNTING_MONTHLY);
        batches.iter().map(RecordBatch::num_rows).sum()
    };
    let before = count(&store);
    let mut again = Process::start(&store, Settings::default(), NOW);
    again.apply(&records, records.len());
    again.checkpoint(Scope::Everything).unwrap();
    assert_eq!(count(&store), before);
}

#[test]
fn an_unmetered_pump_set_is_sold_what_was_assessed_at_the_subsidys_rate() {
    let mut records = network();
    records.extend([
        april("MF2", 1_000),
        april("X", 0),
        bill(&of_april("CB", 1_700, 11_900, 11_900)),
        // 700 kWh assessed, free to the farmer: the State pays 6.50 a kWh.
        bill(&Bill {
            subsidy: 4_550,
            inr: 0,
            collected: None,
            ..of_april("CP", 700, 0, 0)
        }),
    ]);
    let (process, store) = run(&records, &[4]);
    let f2 = month_of(&process, "F2", "2026-04-01").unwrap();
    // 2,880 kWh in, 2,400 sold for 16,450.
    close(f2.loss_pct.unwrap(), 100.0 * 480.0 / 2_880.0);
    close(f2.abr.unwrap(), 16_450.0 / 2_400.0);
    close(f2.ari.unwrap(), 16_450.0 / 2_880.0);
    close(number(&store, "F2", "unmetered_kwh"), 700.0);
    assert_eq!(cell_of(&store, "F2", "subsidy_inr"), "4550.00");
    // The free supply demands nothing, so what is demanded is paid in full.
    close(number(&store, "F2", "collection_efficiency_pct"), 100.0);
    close(number(&store, "F2", "atc_loss_pct"), 100.0 * 480.0 / 2_880.0);
    assert_eq!(cell_of(&store, "Z", "feeders_known"), "1");
}

#[test]
fn a_tariff_revision_carries_last_years_rate_on_and_restates_the_year() {
    let mut records = network();
    let last_year = Bill {
        month: "2026-03-01",
        ..of_april("CA", 1_000, 7_150, 7_150)
    };
    records.extend([
        april("MF1", 1_000),
        april("X", 0),
        bill(&last_year),
        bill(&of_april("CA", 2_600, 19_136, 19_136)),
        accounts_at(NOW, 2025, 61_800),
        accounts_at(NOW, 2026, 63_700),
    ]);
    let (process, _) = run(&records, &[]);
    let before = month_of(&process, "F1", "2026-04-01").unwrap();
    // 7.15 x 6.37 / 6.18 = 7.3698; less the 13 % that are allowable 6.4117. 19,136 / 2,880 = 6.6444.
    close(before.adjusted_abr.unwrap(), 7.15 * 637.0 / 618.0);
    close(before.tri.unwrap(), 7.15 * 637.0 / 618.0 * 0.87);
    close(before.ari.unwrap(), 19_136.0 / 2_880.0);
    close(before.abr.unwrap(), 7.36);
    assert!(before.deviation().unwrap() < 0.0, "more came than was asked");
    // The tariff order is revised within the year: the target follows, with a new version of the row.
    records.push(accounts_at(NOW.plus(DAY), 2026, 69_216));
    let (process, store) = run(&records, &[9]);
    let after = month_of(&process, "F1", "2026-04-01").unwrap();
    close(after.adjusted_abr.unwrap(), 7.15 * 1.12);
    close(
        after.deviation().unwrap(),
        7.15 * 1.12 * 0.87 - 19_136.0 / 2_880.0,
    );
    assert_eq!(after.ari, before.ari, "what was billed stays");
    let batches = store.batches(&table::FEEDER_REVENUE_MONTHLY);
    assert_eq!(of_f1_in_april(&batches, "version"), ["1", "2"]);
}

#[test]
fn a_month_with_arrears_in_its_demand_is_told_by_its_rate_and_no_other_is() {
    let mut records = network();
    for (month, inr) in [
        ("2025-12-01", 7_000),
        ("2026-01-01", 7_100),
        ("2026-02-01", 9_050),
        ("2026-03-01", 6_950),
    ] {
        records.push(bill(&Bill {
            month,
            ..of_april("CA", 1_000, inr, 0)
        }));
    }
    let (process, _) = run(&records, &[4]);
    let months = ["2025-12-01", "2026-01-01", "2026-02-01", "2026-03-01"];
    let suspected = months.map(|month| month_of(&process, "F1", month).unwrap().arrears_suspected);
    // The others' median is 7.00: 9.05 is 29 % above it; 7.10 is 1 % above that of its own others, 7.00.
    assert_eq!(suspected, [false, false, true, false]);
}

#[test]
fn the_target_of_a_running_month_grows_by_the_day_with_what_comes_in() {
    let mut records = network();
    records.extend([
        bill(&Bill {
            month: "2026-03-01",
            ..of_april("CA", 1_000, 7_000, 7_000)
        }),
        accounts_at(LONG_AGO, 2025, 60_000),
        accounts_at(LONG_AGO, 2026, 60_000),
    ]);
    let of_day = |meter_id: &str, day: i64, wh: i64| {
        let reads = (day * 96 + 1..=day * 96 + 96).map(|n| read(quarter_end(n), wh));
        let reads: Vec<_> = reads.collect();
        publish_record(quarter_end(day * 96 + 96), &publish(meter_id, &reads))
    };
    let store = Arc::new(MemoryStore::default());
    let mut targets = Vec::new();
    for day in 0..3_i64 {
        records.extend([of_day("MF1", day, 1_000), of_day("X", day, 0)]);
        // Ten in the morning of the next day.
        let now: UtcMicros = MIDNIGHT.plus((day + 1) * DAY + 10 * 3_600_000_000);
        let mut process = Process::start(&store, Settings::default(), now);
        process.apply(&records, records.len());
        process.checkpoint(Scope::Due).unwrap();
        let month = month_of(&process, "F1", "2026-04-01").unwrap();
        assert_eq!(month.loss_pct, None, "the month runs");
        targets.push(month.target_paise().unwrap());
    }
    // 96 kWh a day at 7.00 less 13 %.
    assert_eq!(targets, [58_464, 116_928, 175_392]);
    let batches = store.batches(&table::FEEDER_REVENUE_MONTHLY);
    let published = of_f1_in_april(&batches, "target_inr");
    assert_eq!(published, ["584.64", "1169.28", "1753.92"]);
}

#[test]
fn a_feeder_that_moves_takes_its_month_along_and_its_former_node_is_withdrawn() {
    let mut records = network();
    let mut other = node("Z2", NodeKind::Zone, Some("D"));
    other.valid_from = LONG_AGO;
    records.push(master_record(LONG_AGO, &MasterRows::Nodes(vec![other])));
    records.push(bill(&of_april("CB", 100, 700, 700)));
    let sums =
        |store: &Arc<MemoryStore>| -> Vec<String> { rows(store).into_iter().map(|(key, _)| key).collect() };
    let (_, store) = run(&records, &[4]);
    assert_eq!(sums(&store), ["D/2026-04-01", "F2/2026-04-01", "Z/2026-04-01"]);
    let mut moved = node("F2", NodeKind::Feeder, Some("Z2"));
    moved.valid_from = LONG_AGO;
    records.push(master_record(NOW, &MasterRows::Nodes(vec![moved])));
    let (_, store) = run(&records, &[5]);
    assert_eq!(
        sums(&store),
        ["D/2026-04-01", "F2/2026-04-01", "Z2/2026-04-01"],
        "nothing of Z stands any more"
    );
}

#[test]
fn the_loss_target_of_a_feeder_steps_down_with_the_years() {
    // 13 % in 2025-26 and 12.5 % from April 2026 on, said of the feeder; the discom's 13 % hold elsewhere.
    let mut records = network();
    let mut of_2025 = node("F1", NodeKind::Feeder, Some("Z"));
    of_2025.allowable_loss_pct = Some(13.0);
    of_2025.valid_to = Some(MIDNIGHT);
    let mut of_2026 = of_2025.clone();
    (of_2026.allowable_loss_pct, of_2026.valid_from, of_2026.valid_to) = (Some(12.5), MIDNIGHT, None);
    records.push(master_record(
        LONG_AGO.plus(1),
        &MasterRows::Nodes(vec![of_2025, of_2026]),
    ));
    for month in ["2025-03-01", "2026-03-01", "2026-04-01"] {
        records.push(bill(&Bill {
            month,
            ..of_april("CA", 1_000, 7_000, 7_000)
        }));
    }
    records.extend([2024, 2025, 2026].map(|year| accounts_at(NOW, year, 60_000)));
    let (process, _) = run(&records, &[]);
    let of = |month: &str| {
        let month = month_of(&process, "F1", month).unwrap();
        (month.allowable_loss_pct.unwrap(), month.tri.unwrap())
    };
    let (march, april) = (of("2026-03-01"), of("2026-04-01"));
    close(march.0, 13.0);
    close(march.1, 7.0 * 0.87);
    close(april.0, 12.5);
    close(april.1, 7.0 * 0.875);
}
