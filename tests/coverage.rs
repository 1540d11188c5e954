//! Coverage and bound against the fleet's truth: DTs of which about one meter in sixteen is silent, never the same ones. Their loss is
//! withheld, its bound is given, and the true loss lies within it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::print_stdout,
    clippy::too_many_lines,
    clippy::too_many_arguments,
    clippy::large_futures,
    clippy::needless_pass_by_value,
    clippy::wildcard_enum_match_arm,
    clippy::disallowed_methods,
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    reason = "tests fail by panicking, and are an edge"
)]

mod product;

use std::{collections::HashMap, fmt::Write, path::Path};

use gridtally_fleet::{Feeder, Fleet, FleetConfig, Imperfections, MeterRef, Quarter, Span};
use gridtally_schemas::{UtcMicros, network::MeterRole};
use product::Product;

const NOW: &str = "2026-04-06T00:00:00+05:30";
const DAY_MICROS: i64 = 24 * 3_600_000_000;
/// Of so many meters one is silent.
const SILENT_OF: usize = 16;

fn fleet() -> Fleet {
    let start = UtcMicros::parse("2026-04-01T00:00:00+05:30").unwrap();
    Fleet::new(FleetConfig {
        consumers_per_feeder: 250,
        imperfections: Imperfections::none(),
        prosumer_permille: 100,
        ..FleetConfig::new(5, 1_000, start)
    })
    .unwrap()
}

/// By DT: its consumers' slots.
fn consumers(feeder: &Feeder) -> HashMap<usize, Vec<u32>> {
    let mut by_dt: HashMap<usize, Vec<u32>> = HashMap::new();
    for meter in feeder.meters() {
        if let (MeterRole::Consumer | MeterRole::Generation, Some(dt)) = (meter.role, meter.dt) {
            by_dt.entry(dt).or_default().push(meter.meter.slot);
        }
    }
    by_dt
}

/// The number of the balance interval that contains a quarter.
fn interval_of(feeder: &Feeder, quarter: Quarter) -> i64 {
    let length = i64::from(feeder.balance_minutes().quarters());
    (quarter.0 + length - 1).div_euclid(length)
}

/// Writes the network, and the reads without those of the silent.
fn write(fleet: &Fleet, folder: &Path, days: i64) {
    let start = fleet.config().start;
    fleet.write_files(folder).unwrap();
    fleet
        .write_reads(folder, Span::between(start, start.plus(days * DAY_MICROS)))
        .unwrap();
    let feeders: Vec<(Feeder, HashMap<usize, Vec<u32>>)> = fleet
        .feeders()
        .map(|feeder| {
            let consumers = consumers(&feeder);
            (feeder, consumers)
        })
        .collect();
    let path = folder.join("reads.csv");
    let text = std::fs::read_to_string(&path).unwrap();
    let mut kept = String::with_capacity(text.len());
    for (at, line) in text.lines().enumerate() {
        let mut cells = line.split(',');
        let (id, end) = (cells.next().unwrap(), cells.next().unwrap());
        if at > 0 && day_of(end, start) == days - 1 && is_silent(&feeders, id, end) {
            continue;
        }
        writeln!(kept, "{line}").unwrap();
    }
    std::fs::write(path, kept).unwrap();
}

fn day_of(end: &str, start: UtcMicros) -> i64 {
    (UtcMicros::parse(end).unwrap().0 - 1 - start.0).div_euclid(DAY_MICROS)
}

fn is_silent(feeders: &[(Feeder, HashMap<usize, Vec<u32>>)], id: &str, end: &str) -> bool {
    let of = MeterRef::parse(id).unwrap();
    let (feeder, consumers) = feeders
        .iter()
        .find(|(feeder, _)| feeder.number() == u64::from(of.feeder))
        .unwrap();
    let meter = feeder.meters().iter().find(|meter| meter.meter == of).unwrap();
    let Some(slots) = meter.dt.and_then(|dt| consumers.get(&dt)) else {
        return false;
    };
    let Some(place) = slots.iter().position(|slot| *slot == of.slot) else {
        return false;
    };
    let quarter = Quarter::containing(UtcMicros::parse(end).unwrap());
    let turn = interval_of(feeder, quarter) * 7 + i64::from(of.feeder);
    let silent = (slots.len() + SILENT_OF / 2) / SILENT_OF;
    let first = usize::try_from(turn.rem_euclid(i64::try_from(slots.len()).unwrap())).unwrap();
    (0..silent).any(|step| (first + step) % slots.len() == place)
}

/// What was found of DT-intervals with a coverage of 92 to 95 per cent.
#[derive(Debug, Default)]
struct Found {
    cases: usize,
    within: usize,
    coverage_pct: f64,
    off_wh: i64,
    bound_wh: i64,
    loss_wh: i64,
}

fn held_against_truth(fleet: &Fleet, product: &Product, day: &str) -> Found {
    let mut found = Found::default();
    let mut truth: HashMap<(String, i64), i64> = HashMap::new();
    let begin = Quarter::containing(UtcMicros::parse(&format!("{day}T00:00:00+05:30")).unwrap());
    for feeder in fleet.feeders() {
        for quarter in (1..=96).map(|n| begin.plus(n)) {
            let Some((dts, _)) = feeder.truth(quarter) else {
                continue;
            };
            for (dt, of) in dts.iter().enumerate() {
                truth.insert((feeder.dt_id(dt), quarter.end().0), of.loss_wh);
            }
        }
    }
    let query = format!(
        "SELECT dt_id, interval_end, coverage_pct, loss_wh, loss_pct, injected_wh - delivered_wh, loss_bound_wh, \
         loss_bound_above_wh FROM dt_balance WHERE day = DATE '{day}' AND injected_wh IS NOT NULL"
    );
    for row in product.sql(&query) {
        let whole = |at: usize| row[at].as_i64().unwrap();
        let coverage_pct = row[2].as_f64().unwrap();
        if coverage_pct >= 95.0 {
            assert!(!row[3].is_null(), "covered, and no loss: {row:?}");
            continue;
        }
        assert!(
            row[3].is_null() && row[4].is_null(),
            "a plain loss below the threshold: {row:?}"
        );
        if coverage_pct < 92.0 {
            continue;
        }
        let end = UtcMicros::parse(row[1].as_str().unwrap()).unwrap();
        let right = truth[&(row[0].as_str().unwrap().to_owned(), end.0)];
        let (central, below, above) = (whole(5), whole(6), whole(7));
        found.cases += 1;
        found.within += usize::from((central - below..=central + above).contains(&right));
        found.coverage_pct += coverage_pct;
        found.off_wh += (central - right).abs();
        found.bound_wh += below + above;
        found.loss_wh += right;
    }
    found
}

fn print(what: &str, found: &Found) {
    let cases = found.cases as f64;
    println!(
        "{what}: {} DT-intervals, coverage {:.2} % on average; true loss within the bound in {:.2} %; mean true loss {:.0} Wh, shown \
         figures off by {:.0} Wh, width of the bound {:.0} Wh",
        found.cases,
        found.coverage_pct / cases,
        100.0 * found.within as f64 / cases,
        found.loss_wh as f64 / cases,
        found.off_wh as f64 / cases,
        found.bound_wh as f64 / cases,
    );
}

#[test]
fn the_true_loss_of_a_dt_with_a_silent_meter_in_sixteen_lies_within_its_bound() {
    let folder = tempfile::tempdir().unwrap();
    let fleet = fleet();
    let files = folder.path().join("files");
    write(&fleet, &files, 3);
    let mut off = Vec::new();
    for (what, estimate_after) in [("without estimates", "never"), ("with estimates", "24")] {
        let data = folder.path().join(estimate_after);
        let product = Product::start(
            &data,
            &[("now", NOW), ("vee.estimate_after_hours", estimate_after)],
        );
        for kind in ["nodes", "meters", "connections", "reads"] {
            product.import(&files.join(format!("{kind}.csv")));
        }
        product.checkpoint();
        let found = held_against_truth(&fleet, &product, "2026-04-03");
        print(what, &found);
        assert!(found.cases > 1_000, "{found:?}");
        assert!(found.within * 100 >= found.cases * 95, "{found:?}");
        assert!(found.bound_wh > 0, "{found:?}");
        off.push(found.off_wh);
    }
    assert!(
        off[1] < off[0],
        "an estimate is nearer to the truth than nothing: {off:?}"
    );
}
