//! Which of several rows of one (meter, interval) is valid, by rank; and whether the column `version` says the same.
//!
//! Of the rows that somebody said the greatest stands, in the order (quality, revision, `captured_at`, content: import, export, kVAh,
//! volts, amperes). Where nobody said any, the newest estimate stands, or that there is none any more: estimates follow one another as
//! their inputs change, whatever their content, and end with the first value that is said. The rows that stood one after the other
//! are versions 1, 2, …: estimates first, then what was said, each greater than the one before. What was said and never stood has
//! version 0. Nothing that was said is there twice, but for what came again sooner by the log's own times: that is there once more, with
//! version 0, for completeness counts by when a read came first.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::{
    array::{
        Array, Float32Array, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
    },
    datatypes::{Float32Type, Int32Type, Int64Type},
};
use datafusion::prelude::{Expr, col, lit};
use futures::StreamExt;
use gridtally_schemas::{UtcMicros, table};

use super::{
    VerifyError,
    cells::{Cells, Read},
    differences::Differences,
    reads::{Fault, MeterFinder, TABLE, Wanted, energy, place_of, quality},
    selection::Work,
    snapshot::{array, failed, texts, times},
};
use crate::state::Quality;

const COLUMNS: [&str; 12] = [
    "meter_id",
    "interval_end",
    "import_wh",
    "export_wh",
    "import_vah",
    "voltage_v",
    "current_a",
    "quality",
    "revision",
    "captured_at",
    "version",
    "received_at",
];
/// Most meters that are named in the query: beyond that the whole day is read.
const METERS_NAMED_MAX: usize = 2_048;

/// What decides between two rows; the greater stands. Numbers compare by their bits, a missing one is the least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    quality: Quality,
    revision: i32,
    captured_at: Option<i64>,
    content: (u32, Option<u32>, Option<u32>, Option<u32>, Option<u32>),
}

/// A row of a contested cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Row {
    rank: Rank,
    version: i64,
    received_at: i64,
}

impl Row {
    /// Whether somebody said it; else it is derived.
    fn is_said(&self) -> bool {
        self.rank.quality > Quality::Estimated
    }

    /// By this order the last of a cell stands.
    fn order(&self) -> (bool, Option<Rank>, i64) {
        if self.is_said() {
            (true, Some(self.rank), self.version)
        } else {
            (false, None, self.version)
        }
    }
}

/// Puts the valid row into every contested cell.
pub(super) async fn decide(
    work: &Arc<Work>,
    wanted: &Wanted,
    filter: Expr,
    cells: &mut Cells,
    differences: &mut Differences,
) -> Result<(), VerifyError> {
    let mut contested: BTreeMap<usize, Vec<Row>> = cells
        .contested()
        .iter()
        .map(|place| (*place, Vec::new()))
        .collect();
    let filter = narrowed(work, wanted, &contested, filter);
    let rows = work.snapshot.rows(&table::INTERVAL_READS, Some(filter))?;
    let mut batches = rows.columns(&COLUMNS)?.stream().await?;
    let mut finder = MeterFinder::new(work, wanted);
    while let Some(batch) = batches.next().await {
        let batch = batch.map_err(|source| failed(TABLE, source))?;
        let columns = Columns::of(&batch)?;
        for row in 0..batch.num_rows() {
            let end = UtcMicros(columns.interval_end.value(row));
            // What is wrong with a row was said when it was read first.
            let place = place_of(work, wanted, finder.find(columns.meter_id.value(row)), end);
            if let Ok(Some(place)) = place
                && let Some(rows) = contested.get_mut(&place)
                && let Ok(row) = columns.row(row)
            {
                rows.push(row);
            }
        }
    }
    for (place, rows) in contested {
        let fault = decide_one((place, rows), cells);
        let of = wanted.frame.cell(place);
        let meter = of.and_then(|(meter, quarter)| Some((work.network.meter(meter)?, quarter)));
        // The quarter before the day belongs to the day before, which says what is wrong with it.
        if let (Some(fault), Some((meter, quarter))) = (fault, meter)
            && wanted.frame.own().contains(&quarter)
            && work.looks_after(meter.id(), wanted.unit)
        {
            differences.push(fault.difference(work, (meter.id(), quarter.end())));
        }
    }
    Ok(())
}

/// Asks for the contested meters only, where they are few.
fn narrowed(work: &Work, wanted: &Wanted, contested: &BTreeMap<usize, Vec<Row>>, filter: Expr) -> Expr {
    let mut meters: Vec<_> = contested
        .keys()
        .filter_map(|place| wanted.frame.cell(*place))
        .map(|(meter, _)| meter)
        .collect();
    meters.sort_unstable();
    meters.dedup();
    if meters.len() > METERS_NAMED_MAX {
        return filter;
    }
    let ids = meters
        .iter()
        .filter_map(|meter| work.network.meter(*meter))
        .map(|meter| lit(meter.id()));
    filter.and(col("meter_id").in_list(ids.collect(), false))
}

struct Columns {
    meter_id: StringArray,
    interval_end: TimestampMicrosecondArray,
    import_wh: Int64Array,
    export_wh: Int64Array,
    import_vah: Int64Array,
    voltage_v: Float32Array,
    current_a: Float32Array,
    quality: StringArray,
    revision: Int32Array,
    captured_at: TimestampMicrosecondArray,
    version: Int64Array,
    received_at: TimestampMicrosecondArray,
}

impl Columns {
    fn of(batch: &RecordBatch) -> Result<Self, VerifyError> {
        let whole = |column| array::<Int64Type>(TABLE, batch, column);
        let number = |column| array::<Float32Type>(TABLE, batch, column);
        Ok(Self {
            meter_id: texts(TABLE, batch, "meter_id")?,
            interval_end: times(TABLE, batch, "interval_end")?,
            import_wh: whole("import_wh")?,
            export_wh: whole("export_wh")?,
            import_vah: whole("import_vah")?,
            voltage_v: number("voltage_v")?,
            current_a: number("current_a")?,
            quality: texts(TABLE, batch, "quality")?,
            revision: array::<Int32Type>(TABLE, batch, "revision")?,
            captured_at: times(TABLE, batch, "captured_at")?,
            version: whole("version")?,
            received_at: times(TABLE, batch, "received_at")?,
        })
    }

    fn row(&self, row: usize) -> Result<Row, Fault> {
        let known = |column: &'static str, array: &Int64Array| {
            array
                .is_valid(row)
                .then(|| energy(column, array.value(row)))
                .transpose()
        };
        let bits = |array: &Float32Array| array.is_valid(row).then(|| array.value(row).to_bits());
        Ok(Row {
            rank: Rank {
                quality: quality(self.quality.value(row))?,
                revision: self.revision.value(row),
                captured_at: self
                    .captured_at
                    .is_valid(row)
                    .then(|| self.captured_at.value(row)),
                content: (
                    energy("import_wh", self.import_wh.value(row))?,
                    known("export_wh", &self.export_wh)?,
                    known("import_vah", &self.import_vah)?,
                    bits(&self.voltage_v),
                    bits(&self.current_a),
                ),
            },
            version: self.version.value(row),
            received_at: self.received_at.value(row),
        })
    }
}

/// Puts the valid row of one cell into it, and says what is wrong with its rows.
fn decide_one((place, mut rows): (usize, Vec<Row>), cells: &mut Cells) -> Option<Fault> {
    rows.sort_unstable_by_key(Row::order);
    let valid = rows.last()?.rank;
    let (import_wh, export_wh, ..) = valid.content;
    cells.decide(&Read {
        place,
        import_wh,
        export_wh: export_wh.unwrap_or(0),
        quality: valid.quality,
        is_first: true,
    });
    fault_of(&rows)
}

/// What is wrong with the versions of one cell, whose rows are in their order.
fn fault_of(rows: &[Row]) -> Option<Fault> {
    let same = |one: &Row, next: &Row| one.is_said() && one.rank == next.rank;
    let stood_twice = |pair: &[Row]| matches!(pair, [one, next] if same(one, next) && one.version != 0);
    let mut times: Vec<(Rank, i64)> = rows
        .iter()
        .filter(|row| row.is_said())
        .map(|row| (row.rank, row.received_at))
        .collect();
    times.sort_unstable();
    if rows.windows(2).any(stood_twice)
        || times
            .windows(2)
            .any(|pair| matches!(pair, [one, next] if one == next))
    {
        return Some(Fault::new("row", "the same read twice", "each read once"));
    }
    let stood = rows.iter().filter(|row| row.version != 0 || !row.is_said());
    let is_counted = stood.zip(1_i64..).all(|(row, at)| row.version == at);
    let is_newest = rows.last().is_some_and(|valid| valid.version != 0);
    if is_counted && is_newest {
        return None;
    }
    let listed: Vec<String> = rows.iter().map(|row| row.version.to_string()).collect();
    let order = if rows.iter().all(Row::is_said) {
        "in order of rank"
    } else {
        "estimates, then reads in order of rank"
    };
    Some(Fault::new(
        "version",
        &format!("{} ({order})", listed.join(", ")),
        "1, 2, … in this order, 0 for what never stood, and what stands is the newest version",
    ))
}

#[cfg(test)]
mod tests;
