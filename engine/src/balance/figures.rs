//! The figures of balances, and how they are read from the rows that the SQL gives.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, UInt32Array},
    datatypes::{Int64Type, SchemaRef, UInt32Type},
    error::ArrowError,
};
use gridtally_schemas::IntervalMinutes;

use super::{BalanceError, Computed, DtList, gather::Entry};
use crate::network::NodeIx;

/// Balance of one DT in one interval, as `sql/dt_balance.sql` gives it. Energies in Wh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DtFigures {
    /// The DT.
    pub dt: NodeIx,
    /// Import of the DT meter; `None`: it did not report.
    pub dt_import_wh: Option<i64>,
    /// Reverse flow up through the DT; `None`: its meter did not report.
    pub dt_export_wh: Option<i64>,
    /// Sum of consumers' import.
    pub consumer_import_wh: i64,
    /// Sum of consumers' and generators' export.
    pub consumer_export_wh: i64,
    /// Assessed consumption of unmetered connections.
    pub unmetered_wh: i64,
    /// What came in; `None` with the DT meter.
    pub injected_wh: Option<i64>,
    /// What went out; `None` with the DT meter.
    pub delivered_wh: Option<i64>,
    /// Injected less delivered, whatever the coverage; `None` with the DT meter.
    pub loss_wh: Option<i64>,
    /// The most that absent consumers could have drawn: the true loss is at most this much below.
    pub loss_bound_wh: i64,
    /// The most that absent prosumers and generators could have given: the true loss is at most this much above.
    pub loss_bound_above_wh: i64,
    /// Its coverage.
    pub coverage: Coverage,
}

/// Who was expected and who reported.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Coverage {
    /// Meters expected (in roll-ups over time: meter-intervals).
    pub expected: i64,
    /// Of these, with an actual or edited value.
    pub reported: i64,
    /// Of these, with an estimate.
    pub estimated: i64,
}

impl Coverage {
    /// Reported of expected, per cent; 100 when nothing is expected.
    #[must_use]
    pub fn percent(&self) -> f64 {
        if self.expected == 0 {
            100.0
        } else {
            100.0 * ratio(self.reported, self.expected)
        }
    }
}

/// Quotient of two counts or energies, for display.
#[must_use]
#[expect(
    clippy::as_conversions,
    clippy::cast_precision_loss,
    reason = "a ratio for display; exact below 2^53"
)]
pub fn ratio(part: i64, whole: i64) -> f64 {
    part as f64 / whole as f64
}

/// Balance of one feeder in one interval, as `sql/feeder_balance.sql` gives it. Energies in Wh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeederFigures {
    /// Import of the feeder meter; `None`: it did not report.
    pub feeder_import_wh: Option<i64>,
    /// Export of the feeder meter; `None`: it did not report.
    pub feeder_export_wh: Option<i64>,
    /// In from other feeders; `None`: a boundary meter did not report.
    pub boundary_in_wh: Option<i64>,
    /// Out to other feeders; `None`: a boundary meter did not report.
    pub boundary_out_wh: Option<i64>,
    /// Net input; `None` when one of the above is.
    pub input_wh: Option<i64>,
    /// Net input of the metered DTs.
    pub dt_input_wh: i64,
    /// Import of HT consumers.
    pub ht_import_wh: i64,
    /// Export of HT consumers.
    pub ht_export_wh: i64,
    /// Import of all consumers, HT and LT.
    pub consumer_import_wh: i64,
    /// Export of all consumers, HT and LT.
    pub consumer_export_wh: i64,
    /// Assessed consumption of unmetered connections.
    pub unmetered_wh: i64,
    /// 11 kV loss; `None` with the input.
    pub ht_loss_wh: Option<i64>,
    /// Sum of the losses of metered DTs.
    pub lt_loss_wh: i64,
    /// Total loss; `None` with the input.
    pub total_loss_wh: Option<i64>,
    /// The most that absent consumers could have drawn: the true loss is at most this much below.
    pub loss_bound_wh: i64,
    /// The most that absent prosumers and generators could have given: the true loss is at most this much above.
    pub loss_bound_above_wh: i64,
    /// DTs whose meter reported.
    pub dt_metered: i64,
    /// DTs.
    pub dt_total: i64,
    /// Its coverage, DTs and consumers included.
    pub coverage: Coverage,
}

/// Balance of a feeder and its DTs in one interval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeederInterval {
    /// Length of the interval.
    pub minutes: IntervalMinutes,
    /// The feeder's figures.
    pub feeder: FeederFigures,
    /// Its DTs' figures, in roster order.
    pub dts: DtList,
    /// The nodes above at the time, nearest first.
    pub ancestors: Arc<[NodeIx]>,
    /// Whether any of its meters has a value in it.
    pub heard: bool,
}

/// A column of whole numbers.
struct Whole<'a>(&'a Int64Array);

impl<'a> Whole<'a> {
    fn of(batch: &'a RecordBatch, name: &'static str) -> Result<Self, BalanceError> {
        let column = batch
            .column_by_name(name)
            .and_then(|column| column.as_primitive_opt::<Int64Type>());
        column.map(Self).ok_or(BalanceError::Column(name))
    }

    fn known(&self, row: usize) -> Option<i64> {
        (row < self.0.len() && self.0.is_valid(row)).then(|| self.0.value(row))
    }

    fn get(&self, row: usize) -> i64 {
        self.known(row).unwrap_or(0)
    }
}

struct Keys<'a>(&'a UInt32Array);

impl<'a> Keys<'a> {
    fn of(batch: &'a RecordBatch, name: &'static str) -> Result<Self, BalanceError> {
        let column = batch
            .column_by_name(name)
            .and_then(|column| column.as_primitive_opt::<UInt32Type>());
        column.map(Self).ok_or(BalanceError::Column(name))
    }

    fn get(&self, row: usize) -> u32 {
        self.0.value(row)
    }

    fn at(&self, row: usize) -> usize {
        usize::try_from(self.0.value(row)).unwrap_or(usize::MAX)
    }
}

fn read_coverage(batch: &RecordBatch) -> Result<impl Fn(usize) -> Coverage, BalanceError> {
    let expected = Whole::of(batch, "meters_expected")?;
    let reported = Whole::of(batch, "meters_reported")?;
    let estimated = Whole::of(batch, "meters_estimated")?;
    Ok(move |row| Coverage {
        expected: expected.get(row),
        reported: reported.get(row),
        estimated: estimated.get(row),
    })
}

/// Figures that are made into columns at a time: each is read once for every column, and so many (600 kB) stay in the processor's cache
/// meanwhile.
const ROWS_TOGETHER: usize = 4_096;

/// Figures of DTs that were not computed anew, as the rows of `dt_balance` that they were.
pub(super) fn kept_rows(entries: &[Entry], schema: &SchemaRef) -> Result<Vec<RecordBatch>, BalanceError> {
    let mut rows = entries
        .iter()
        .zip(0..)
        .flat_map(|(entry, key)| entry.kept().map(move |(dt, figures)| (key, entry, dt, figures)));
    let mut batches = Vec::new();
    loop {
        let together: Vec<KeptRow<'_>> = rows.by_ref().take(ROWS_TOGETHER).collect();
        if together.is_empty() {
            return Ok(batches);
        }
        batches.push(batch_of(&together, schema).map_err(BalanceError::Members)?);
    }
}

/// Key of the interval, the interval, place of the DT, its figures.
type KeptRow<'a> = (u32, &'a Entry, u32, DtFigures);

fn batch_of(rows: &[KeptRow<'_>], schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let keys = |key: fn(&KeptRow<'_>) -> u32| -> ArrayRef {
        Arc::new(UInt32Array::from_iter_values(rows.iter().map(key)))
    };
    let known = |wh: fn(&DtFigures) -> Option<i64>| -> ArrayRef {
        Arc::new(
            rows.iter()
                .map(|(.., figures)| wh(figures))
                .collect::<Int64Array>(),
        )
    };
    let whole = |wh: fn(&DtFigures) -> i64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(
            rows.iter().map(|(.., figures)| wh(figures)),
        ))
    };
    let column = |name: &str| -> Option<ArrayRef> {
        Some(match name {
            "feeder_key" => keys(|(_, entry, ..)| entry.roster.feeder.0),
            "dt_key" => keys(|(_, _, dt, _)| *dt),
            "interval_key" => keys(|(key, ..)| *key),
            "dt_import_wh" => known(|dt| dt.dt_import_wh),
            "dt_export_wh" => known(|dt| dt.dt_export_wh),
            "consumer_import_wh" => whole(|dt| dt.consumer_import_wh),
            "consumer_export_wh" => whole(|dt| dt.consumer_export_wh),
            "unmetered_wh" => whole(|dt| dt.unmetered_wh),
            "injected_wh" => known(|dt| dt.injected_wh),
            "delivered_wh" => known(|dt| dt.delivered_wh),
            "loss_wh" => known(|dt| dt.loss_wh),
            "loss_bound_wh" => whole(|dt| dt.loss_bound_wh),
            "loss_bound_above_wh" => whole(|dt| dt.loss_bound_above_wh),
            "meters_expected" => whole(|dt| dt.coverage.expected),
            "meters_reported" => whole(|dt| dt.coverage.reported),
            "meters_estimated" => whole(|dt| dt.coverage.estimated),
            _ => return None,
        })
    };
    let columns = schema.fields().iter().filter_map(|field| column(field.name()));
    RecordBatch::try_new(Arc::clone(schema), columns.collect())
}

/// Figures of DTs that were computed, with their interval and their place in the roster.
#[derive(Debug, Default)]
pub(super) struct DtRows(Vec<(usize, u32, DtFigures)>);

impl DtRows {
    /// In the order of the intervals, and of the roster in each.
    pub(super) fn sort(&mut self) {
        self.0.sort_by_key(|(interval, place, _)| (*interval, *place));
    }

    /// Those of an interval.
    fn of(&self, interval: usize) -> &[(usize, u32, DtFigures)] {
        let begin = self.0.partition_point(|(of, ..)| *of < interval);
        let from = self.0.get(begin..).unwrap_or_default();
        from.get(..from.partition_point(|(of, ..)| *of == interval))
            .unwrap_or_default()
    }

    /// The figures of all DTs of an interval in the order of the roster: those that were computed, and those that stand.
    fn with_kept(&self, interval: usize, entry: &Entry) -> DtList {
        let mut dts = Vec::with_capacity(entry.roster.dts.len());
        let mut kept = entry.kept().peekable();
        for (_, place, figures) in self.of(interval) {
            while let Some((_, before)) = kept.next_if(|(at, _)| at < place) {
                dts.push(before);
            }
            dts.push(*figures);
        }
        dts.extend(kept.map(|(_, before)| before));
        DtList::of(&dts)
    }
}

pub(super) fn read_dts(batch: &RecordBatch, entries: &[Entry], dts: &mut DtRows) -> Result<(), BalanceError> {
    let (interval, dt_key) = (Keys::of(batch, "interval_key")?, Keys::of(batch, "dt_key")?);
    let (import, export) = (
        Whole::of(batch, "dt_import_wh")?,
        Whole::of(batch, "dt_export_wh")?,
    );
    let consumer_import = Whole::of(batch, "consumer_import_wh")?;
    let consumer_export = Whole::of(batch, "consumer_export_wh")?;
    let unmetered = Whole::of(batch, "unmetered_wh")?;
    let (injected, delivered) = (
        Whole::of(batch, "injected_wh")?,
        Whole::of(batch, "delivered_wh")?,
    );
    let loss = Whole::of(batch, "loss_wh")?;
    let (below, above) = (
        Whole::of(batch, "loss_bound_wh")?,
        Whole::of(batch, "loss_bound_above_wh")?,
    );
    let coverage = read_coverage(batch)?;
    for row in 0..batch.num_rows() {
        let at = interval.at(row);
        let dt = entries
            .get(at)
            .and_then(|entry| entry.roster.dts.get(dt_key.at(row)));
        let Some(dt) = dt else {
            continue;
        };
        dts.0.push((
            at,
            dt_key.get(row),
            DtFigures {
                dt: *dt,
                dt_import_wh: import.known(row),
                dt_export_wh: export.known(row),
                consumer_import_wh: consumer_import.get(row),
                consumer_export_wh: consumer_export.get(row),
                unmetered_wh: unmetered.get(row),
                injected_wh: injected.known(row),
                delivered_wh: delivered.known(row),
                loss_wh: loss.known(row),
                loss_bound_wh: below.get(row),
                loss_bound_above_wh: above.get(row),
                coverage: coverage(row),
            },
        ));
    }
    Ok(())
}

pub(super) fn read_feeders(
    batch: &RecordBatch,
    entries: &[Entry],
    dts: &DtRows,
    computed: &mut Vec<Computed>,
) -> Result<(), BalanceError> {
    let interval = Keys::of(batch, "interval_key")?;
    let whole = |name| Whole::of(batch, name);
    let (feeder_import, feeder_export) = (whole("feeder_import_wh")?, whole("feeder_export_wh")?);
    let (boundary_in, boundary_out) = (whole("boundary_in_wh")?, whole("boundary_out_wh")?);
    let (input, dt_input) = (whole("input_wh")?, whole("dt_input_wh")?);
    let (ht_import, ht_export) = (whole("ht_import_wh")?, whole("ht_export_wh")?);
    let (consumer_import, consumer_export) = (whole("consumer_import_wh")?, whole("consumer_export_wh")?);
    let unmetered = whole("unmetered_wh")?;
    let (below, above) = (whole("loss_bound_wh")?, whole("loss_bound_above_wh")?);
    let (ht_loss, lt_loss, total_loss) = (
        whole("ht_loss_wh")?,
        whole("lt_loss_wh")?,
        whole("total_loss_wh")?,
    );
    let (dt_metered, dt_total) = (whole("dt_metered")?, whole("dt_total")?);
    let coverage = read_coverage(batch)?;
    for row in 0..batch.num_rows() {
        let at = interval.at(row);
        let Some(entry) = entries.get(at) else {
            continue;
        };
        let Entry {
            roster,
            quarter,
            heard,
            kept: _,
        } = entry;
        let dts = dts.with_kept(at, entry);
        let feeder = FeederFigures {
            feeder_import_wh: feeder_import.known(row),
            feeder_export_wh: feeder_export.known(row),
            boundary_in_wh: boundary_in.known(row),
            boundary_out_wh: boundary_out.known(row),
            input_wh: input.known(row),
            dt_input_wh: dt_input.get(row),
            ht_import_wh: ht_import.get(row),
            ht_export_wh: ht_export.get(row),
            consumer_import_wh: consumer_import.get(row),
            consumer_export_wh: consumer_export.get(row),
            unmetered_wh: unmetered.get(row),
            ht_loss_wh: ht_loss.known(row),
            lt_loss_wh: lt_loss.get(row),
            total_loss_wh: total_loss.known(row),
            loss_bound_wh: below.get(row),
            loss_bound_above_wh: above.get(row),
            dt_metered: dt_metered.get(row),
            dt_total: dt_total.get(row),
            coverage: coverage(row),
        };
        let (minutes, ancestors) = (roster.minutes, Arc::clone(&roster.ancestors));
        let interval = FeederInterval {
            minutes,
            feeder,
            dts,
            ancestors,
            heard: *heard,
        };
        computed.push((roster.feeder, *quarter, interval));
    }
    Ok(())
}
