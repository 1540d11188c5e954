//! Every published balance of a DT against what the fleet says must come out.

use std::{
    collections::HashMap,
    fs::File,
    ops::{Range, RangeInclusive},
    path::Path,
};

use arrow::{
    array::{Array, AsArray, RecordBatch},
    compute::cast,
    datatypes::{DataType, Int64Type},
};
use gridtally_fleet::{Fleet, Quarter};
use parquet::arrow::{ProjectionMask, arrow_reader::ParquetRecordBatchReaderBuilder};

use crate::files::each_parquet;

/// Microseconds of a quarter hour.
const QUARTER: i64 = 900_000_000;

/// A DT by feeder and number, and the quarter with which the interval ends.
type Key = (u32, u32, i64);

/// Feeders compared at once: their balances of all quarters are held, some 3,000 bytes a feeder and quarter.
const FEEDERS_AT_ONCE: u64 = 2_500;

/// Version, injected and delivered.
type Figures = (i64, Option<i64>, Option<i64>);

/// `F000012-T03` as (12, 2).
fn dt_of(id: &str) -> (u32, u32) {
    let (feeder, dt) = id.split_once("-T").unwrap();
    (feeder[1..].parse().unwrap(), dt.parse::<u32>().unwrap() - 1)
}

fn take(batch: &RecordBatch, feeders: &Range<u64>, into: &mut HashMap<Key, Figures>) {
    let column = |name: &str| cast(batch.column_by_name(name).unwrap(), &DataType::Int64).unwrap();
    let ids = cast(batch.column_by_name("dt_id").unwrap(), &DataType::Utf8).unwrap();
    let (ends, versions) = (column("interval_end"), column("version"));
    let (injected, delivered) = (column("injected_wh"), column("delivered_wh"));
    let number = |array: &dyn Array, at: usize| {
        let array = array.as_primitive::<Int64Type>();
        array.is_valid(at).then(|| array.value(at))
    };
    for at in 0..batch.num_rows() {
        let (feeder, dt) = dt_of(ids.as_string::<i32>().value(at));
        if !feeders.contains(&u64::from(feeder)) {
            continue;
        }
        let end = number(&ends, at).unwrap() / QUARTER;
        let new = (
            number(&versions, at).unwrap(),
            number(&injected, at),
            number(&delivered, at),
        );
        let held = into.entry((feeder, dt, end)).or_insert(new);
        if held.0 < new.0 {
            *held = new;
        }
    }
}

/// Fails unless the newest version of every balance of every DT of these quarters is in the tables and is the truth; gives their number.
pub fn compare(fleet: &Fleet, quarters: &RangeInclusive<i64>, tables: &Path) -> usize {
    let begins = (0..fleet.feeder_count()).step_by(FEEDERS_AT_ONCE as usize);
    let parts = begins.map(|begin| begin..(begin + FEEDERS_AT_ONCE).min(fleet.feeder_count()));
    parts
        .map(|feeders| compare_some(fleet, feeders, quarters, tables))
        .sum()
}

fn compare_some(fleet: &Fleet, feeders: Range<u64>, quarters: &RangeInclusive<i64>, tables: &Path) -> usize {
    let mut published = HashMap::new();
    each_parquet(&tables.join("dt_balance"), &mut |path| {
        let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap();
        let names = ["dt_id", "interval_end", "version", "injected_wh", "delivered_wh"];
        let columns = ProjectionMask::columns(reader.parquet_schema(), names);
        for batch in reader.with_projection(columns).build().unwrap() {
            take(&batch.unwrap(), &feeders, &mut published);
        }
    });
    let mut compared = 0;
    for number in feeders {
        let feeder = fleet.feeder(number).unwrap();
        for quarter in quarters.clone() {
            // A half hour that began before what was published has no balance to be compared.
            if quarter == *quarters.start() && feeder.balance_minutes().minutes() == 30 {
                continue;
            }
            let Some((dts, _)) = feeder.truth(Quarter(quarter)) else {
                continue;
            };
            for (dt, truth) in dts.iter().enumerate() {
                let key = (number as u32, dt as u32, quarter);
                let (_, injected, delivered) = published
                    .remove(&key)
                    .unwrap_or_else(|| panic!("no balance of {} in {quarter}", feeder.dt_id(dt)));
                let id = feeder.dt_id(dt);
                // A DT without a meter of its own has none.
                if let Some(injected) = injected {
                    assert_eq!(injected, truth.injected_wh, "{id} in {quarter}: injected");
                    assert_eq!(
                        delivered,
                        Some(truth.delivered_wh),
                        "{id} in {quarter}: delivered"
                    );
                    compared += 1;
                }
            }
        }
    }
    compared
}
