//! Whether each adjustment of a bill is what its read, its bill and its estimate make of it.
//!
//! Of the newest version of each row of `billing_adjustments` that is not withdrawn this must hold: the actual is the read of the interval
//! that stands; the first record of any of its reads came after `billed_at`; that is when the first row of `billing` of the consumer and
//! month was recorded; and the adjustment is actual less billed. The estimate that was billed is taken as it is published,
//! as estimates are. That no row is missing is not looked for.

use std::collections::{BTreeMap, BTreeSet};

use arrow::{
    array::{Array, Date32Array, Int64Array, RecordBatch},
    datatypes::{Date32Type, Int64Type},
};
use datafusion::prelude::{col, lit};
use gridtally_schemas::{Day, UtcMicros, table};

use super::{
    VerifyError,
    differences::{Concerns, Difference, Differences, Place},
    selection::Work,
    snapshot::{array, days_between, is_derived, published_until, standing_reads, texts, times},
};

const TABLE: &str = table::BILLING_ADJUSTMENTS.name;

type Key = (String, i64);

/// A published adjustment.
#[derive(Debug, Clone, Default)]
struct Published {
    version: i64,
    published_at: i64,
    consumer: String,
    month: i32,
    billed_at: Option<i64>,
    billed: [Option<i64>; 2],
    actual: [Option<i64>; 2],
    adjustment: [Option<i64>; 2],
}

/// What the raw reads say of an interval: the version that stands with its energies, and when the first came.
#[derive(Debug, Clone, Copy)]
struct Said {
    version: i64,
    energy: [Option<i64>; 2],
    first_received: i64,
}

fn value(column: &Int64Array, row: usize) -> Option<i64> {
    column.is_valid(row).then(|| column.value(row))
}

/// Compares what is published for the days of `work`.
pub(super) async fn verify(work: &Work, differences: &mut Differences) -> Result<(), VerifyError> {
    let (Some(first), Some(last)) = (work.days.first(), work.days.last()) else {
        return Ok(());
    };
    let published = published(work, (*first, *last)).await?;
    if published.is_empty() {
        return Ok(());
    }
    let (said, bills) = (said(work, &published).await?, bills(work).await?);
    for ((meter_id, end), row) in &published {
        let key = (meter_id.clone(), *end);
        let (standing, bill) = (said.get(&key), bills.get(&(row.consumer.clone(), row.month)));
        let text = |value: Option<i64>| value.map_or_else(|| "null".to_owned(), |value| value.to_string());
        let mut check = |column: &'static str, held: Option<i64>, right: Option<i64>| {
            if held != right {
                differences.push(difference(work, &key, row, (column, text(held), text(right))));
            }
        };
        check("billed_at", row.billed_at, bill.copied());
        let energies = standing.map_or([None; 2], |said| said.energy);
        let names = [
            ("actual_import_wh", "adjustment_import_wh"),
            ("actual_export_wh", "adjustment_export_wh"),
        ];
        for (at, (actual, adjustment)) in names.into_iter().enumerate() {
            let of = |column: &[Option<i64>; 2]| column.get(at).copied().flatten();
            check(actual, of(&row.actual), of(&energies));
            let right = of(&row.actual).unwrap_or(0) - of(&row.billed).unwrap_or(0);
            check(adjustment, of(&row.adjustment), Some(right));
        }
        let is_late = standing
            .zip(row.billed_at)
            .is_some_and(|(said, at)| said.first_received > at);
        if standing.is_some() && !is_late {
            let found = (
                "row",
                "a read that came before the bill".to_owned(),
                "no row".to_owned(),
            );
            differences.push(difference(work, &key, row, found));
        }
    }
    Ok(())
}

fn difference(
    work: &Work,
    (meter_id, end): &Key,
    row: &Published,
    (column, published, recomputed): (&'static str, String, String),
) -> Difference {
    let end = UtcMicros(*end);
    let key = format!(
        "meter_id={meter_id} interval_end={}",
        end.to_rfc3339(&work.settings.zone)
    );
    Difference {
        table: TABLE,
        column,
        published,
        recomputed,
        version: Some((row.version, UtcMicros(row.published_at))),
        evidence: Vec::new(),
        place: Place {
            table: u8::MAX,
            at: end,
            key: key.clone(),
            column: 0,
            concerns: Concerns::Itself,
        },
        key,
    }
}

async fn published(work: &Work, (first, last): (Day, Day)) -> Result<BTreeMap<Key, Published>, VerifyError> {
    let filter = days_between(first, last).and(published_until(work.published_at));
    let rows = work.snapshot.rows(&table::BILLING_ADJUSTMENTS, Some(filter))?;
    let mut newest: BTreeMap<Key, Published> = BTreeMap::new();
    for batch in rows.collect().await? {
        let (meter, consumer) = (
            texts(TABLE, &batch, "meter_id")?,
            texts(TABLE, &batch, "consumer_id")?,
        );
        let (end, billed_at) = (
            times(TABLE, &batch, "interval_end")?,
            times(TABLE, &batch, "billed_at")?,
        );
        let published_at = times(TABLE, &batch, "published_at")?;
        let month: Date32Array = array::<Date32Type>(TABLE, &batch, "month")?;
        let version: Int64Array = array::<Int64Type>(TABLE, &batch, "version")?;
        let pair = |names: [&'static str; 2]| -> Result<[Int64Array; 2], VerifyError> {
            let [import, export] = names;
            Ok([
                array::<Int64Type>(TABLE, &batch, import)?,
                array::<Int64Type>(TABLE, &batch, export)?,
            ])
        };
        let billed = pair(["billed_import_wh", "billed_export_wh"])?;
        let actual = pair(["actual_import_wh", "actual_export_wh"])?;
        let adjustment = pair(["adjustment_import_wh", "adjustment_export_wh"])?;
        for row in 0..batch.num_rows() {
            let both = |columns: &[Int64Array; 2]| columns.each_ref().map(|column| value(column, row));
            let found = Published {
                version: version.value(row),
                published_at: published_at.value(row),
                consumer: consumer.value(row).to_owned(),
                month: month.value(row),
                billed_at: billed_at.is_valid(row).then(|| billed_at.value(row)),
                billed: both(&billed),
                actual: both(&actual),
                adjustment: both(&adjustment),
            };
            let entry = newest
                .entry((meter.value(row).to_owned(), end.value(row)))
                .or_default();
            if found.version > entry.version {
                *entry = found;
            }
        }
    }
    newest.retain(|_, row| row.actual.iter().any(Option::is_some));
    Ok(newest)
}

async fn said(work: &Work, of: &BTreeMap<Key, Published>) -> Result<BTreeMap<Key, Said>, VerifyError> {
    const READS: &str = table::INTERVAL_READS.name;
    let meters: BTreeSet<&str> = of.keys().map(|(meter, _)| meter.as_str()).collect();
    let day = |end: &i64| work.settings.zone.day_of_interval(UtcMicros(*end));
    let days: BTreeSet<Day> = of.keys().map(|(_, end)| day(end)).collect();
    let (Some(first), Some(last)) = (days.first(), days.last()) else {
        return Ok(BTreeMap::new());
    };
    let named = col("meter_id").in_list(meters.into_iter().map(lit).collect(), false);
    let filter = days_between(*first, *last)
        .and(standing_reads(work.position, work.published_at))
        .and(!is_derived())
        .and(named);
    let rows = work.snapshot.rows(&table::INTERVAL_READS, Some(filter))?;
    let mut said: BTreeMap<Key, Said> = BTreeMap::new();
    for batch in rows.collect().await? {
        let meter = texts(READS, &batch, "meter_id")?;
        let (end, received) = (
            times(READS, &batch, "interval_end")?,
            times(READS, &batch, "received_at")?,
        );
        let [import, export, version] = [
            array::<Int64Type>(READS, &batch, "import_wh")?,
            array::<Int64Type>(READS, &batch, "export_wh")?,
            array::<Int64Type>(READS, &batch, "version")?,
        ];
        for row in 0..batch.num_rows() {
            let key = (meter.value(row).to_owned(), end.value(row));
            if !of.contains_key(&key) {
                continue;
            }
            let now = Said {
                version: version.value(row),
                energy: [value(&import, row), value(&export, row)],
                first_received: received.value(row),
            };
            let held = said.entry(key).or_insert(now);
            let first_received = held.first_received.min(now.first_received);
            if now.version > held.version {
                *held = now;
            }
            held.first_received = first_received;
        }
    }
    Ok(said)
}

/// When the first bill of each consumer and month was recorded.
async fn bills(work: &Work) -> Result<BTreeMap<(String, i32), i64>, VerifyError> {
    const BILLING: &str = table::BILLING.name;
    let emitted = col("position").lt_eq(lit(i64::try_from(work.position.0).unwrap_or(i64::MAX)));
    let rows = work.snapshot.rows(&table::BILLING, Some(emitted))?;
    let mut first: BTreeMap<(String, i32), i64> = BTreeMap::new();
    let batches: Vec<RecordBatch> = rows
        .columns(&["consumer_id", "month", "recorded_at"])?
        .collect()
        .await?;
    for batch in batches {
        let (consumer, at) = (
            texts(BILLING, &batch, "consumer_id")?,
            times(BILLING, &batch, "recorded_at")?,
        );
        let month: Date32Array = array::<Date32Type>(BILLING, &batch, "month")?;
        for row in 0..batch.num_rows() {
            let key = (consumer.value(row).to_owned(), month.value(row));
            let held = first.entry(key).or_insert(at.value(row));
            *held = (*held).min(at.value(row));
        }
    }
    Ok(first)
}
