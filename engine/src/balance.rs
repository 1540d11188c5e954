//! From state to balances: gathers the member reads of dirty (feeder, interval) pairs and runs the SQL of `engine/sql` over them.
//!
//! The SQL text is the definition; nothing here adds to it. What a row of `member_reads` is stands in the header of
//! `sql/dt_balance.sql`.

use std::sync::Arc;

use arrow::{
    array::{
        Array, ArrayRef, AsArray, DictionaryArray, Int8Array, Int64Array, RecordBatch, StringArray,
        UInt32Array,
    },
    datatypes::{DataType, Field, Int8Type, Int64Type, Schema, SchemaRef, UInt32Type},
    error::ArrowError,
};
use datafusion::{datasource::MemTable, error::DataFusionError, prelude::*};
use gridtally_schemas::{IntervalMinutes, Zone, time::QUARTER_MICROS};

use crate::{
    network::{Member, MemberRole, NodeIx, Roster},
    state::{Quality, Quarter, State},
};

#[cfg(test)]
mod tests;

/// The DT balance, as text.
pub const DT_BALANCE_SQL: &str = include_str!("../sql/dt_balance.sql");
/// The feeder balance, as text.
pub const FEEDER_BALANCE_SQL: &str = include_str!("../sql/feeder_balance.sql");

/// Why balances could not be computed.
#[derive(Debug, thiserror::Error)]
pub enum BalanceError {
    /// Arrow refused the member reads.
    #[error("member reads do not form a batch")]
    Members(#[source] ArrowError),
    /// DataFusion failed.
    #[error("balance SQL failed in {step}")]
    Sql {
        /// Which of the two.
        step: &'static str,
        /// Why.
        #[source]
        source: DataFusionError,
    },
    /// The SQL gave other columns than its header says.
    #[error("balance SQL gave no column {0} of the expected type")]
    Column(&'static str),
}

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
    /// The most that absent consumers could have drawn: the true loss lies between `loss_wh` less this and `loss_wh`.
    pub loss_bound_wh: i64,
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
    /// The most that absent consumers could have drawn.
    pub loss_bound_wh: i64,
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
    pub dts: Vec<DtFigures>,
    /// The nodes above at the time, nearest first.
    pub ancestors: Vec<NodeIx>,
    /// Whether any of its meters has a value in it.
    pub heard: bool,
}

/// An interval whose member reads were gathered.
#[derive(Debug)]
struct Entry {
    roster: Arc<Roster>,
    quarter: Quarter,
    heard: bool,
}

/// Member reads of many (feeder, interval) pairs, column by column.
#[derive(Debug, Default)]
pub struct MemberReads {
    entries: Vec<Entry>,
    feeder_key: Vec<u32>,
    dt_key: Vec<Option<u32>>,
    interval_key: Vec<u32>,
    role: Vec<i8>,
    import_wh: Vec<i64>,
    export_wh: Vec<i64>,
    multiplier_thousandths: Vec<i64>,
    reads_expected: Vec<i64>,
    reads_present: Vec<i64>,
    reads_estimated: Vec<i64>,
    bound_wh: Vec<i64>,
    assessed_wh_month: Vec<i64>,
    interval_of_month: Vec<i64>,
    intervals_in_month: Vec<i64>,
}

/// What one meter said in one balance interval.
#[derive(Debug, Default, Clone, Copy)]
struct Said {
    import_wh: i64,
    export_wh: i64,
    expected: i64,
    present: i64,
    estimated: i64,
}

impl MemberReads {
    /// Adds the interval of `roster` that ends at `quarter`. A key in the results refers to the order of these calls.
    pub fn gather(&mut self, state: &State, zone: &Zone, roster: &Arc<Roster>, quarter: Quarter) {
        let interval_key = u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
        let mut heard = false;
        let mut views = [state.view(quarter), state.view(quarter.minus(1))];
        for member in &roster.members {
            let halves = if member.minutes < roster.minutes { 2 } else { 1 };
            let mut said = Said {
                expected: halves,
                ..Said::default()
            };
            for view in views.iter_mut().take(if halves == 2 { 2 } else { 1 }) {
                let energy = view.energy(member.meter).filter(|_| member.in_service);
                let Some((quality, import_wh, export_wh)) = energy else {
                    continue;
                };
                heard = true;
                said.import_wh += i64::from(import_wh);
                said.export_wh += i64::from(export_wh);
                said.present += 1;
                said.estimated += i64::from(quality == Quality::Estimated);
            }
            self.push(roster, interval_key, member, said);
        }
        self.gather_unmetered(zone, roster, quarter, interval_key);
        self.entries.push(Entry {
            roster: Arc::clone(roster),
            quarter,
            heard,
        });
    }

    fn push(&mut self, roster: &Roster, interval_key: u32, member: &Member, said: Said) {
        self.keys(roster, interval_key, member.dt, member.role);
        self.import_wh.push(said.import_wh);
        self.export_wh.push(said.export_wh);
        self.multiplier_thousandths.push(member.multiplier.thousandths());
        self.reads_expected.push(said.expected);
        self.reads_present.push(said.present);
        self.reads_estimated.push(said.estimated);
        self.bound_wh.push(member.bound_wh);
        self.assessed_wh_month.push(0);
        self.interval_of_month.push(0);
        self.intervals_in_month.push(1);
    }

    fn gather_unmetered(&mut self, zone: &Zone, roster: &Roster, quarter: Quarter, interval_key: u32) {
        if roster.unmetered.is_empty() {
            return;
        }
        let (interval_of_month, intervals_in_month) = place_in_month(zone, quarter, roster.minutes);
        for unmetered in &roster.unmetered {
            self.keys(roster, interval_key, unmetered.dt, MemberRole::Unmetered);
            self.import_wh.push(0);
            self.export_wh.push(0);
            self.multiplier_thousandths.push(1_000);
            self.reads_expected.push(0);
            self.reads_present.push(0);
            self.reads_estimated.push(0);
            self.bound_wh.push(0);
            self.assessed_wh_month.push(unmetered.assessed_wh_month);
            self.interval_of_month.push(interval_of_month);
            self.intervals_in_month.push(intervals_in_month);
        }
    }

    fn keys(&mut self, roster: &Roster, interval_key: u32, dt: Option<u32>, role: MemberRole) {
        self.feeder_key.push(roster.feeder.0);
        self.dt_key.push(dt);
        self.interval_key.push(interval_key);
        self.role.push(role.code());
    }

    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.role.len()
    }

    /// Whether nothing was gathered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn into_batch(self) -> Result<(Vec<Entry>, RecordBatch), ArrowError> {
        let words = StringArray::from_iter_values(MemberRole::ALL.iter().map(|role| role.as_str()));
        let role = DictionaryArray::<Int8Type>::try_new(Int8Array::from(self.role), Arc::new(words))?;
        let energy = |column: Vec<i64>| -> ArrayRef { Arc::new(Int64Array::from(column)) };
        let columns: Vec<ArrayRef> = vec![
            Arc::new(UInt32Array::from(self.feeder_key)),
            Arc::new(UInt32Array::from(self.dt_key)),
            Arc::new(UInt32Array::from(self.interval_key)),
            Arc::new(role),
            energy(self.import_wh),
            energy(self.export_wh),
            energy(self.multiplier_thousandths),
            energy(self.reads_expected),
            energy(self.reads_present),
            energy(self.reads_estimated),
            energy(self.bound_wh),
            energy(self.assessed_wh_month),
            energy(self.interval_of_month),
            energy(self.intervals_in_month),
        ];
        RecordBatch::try_new(member_reads_schema(), columns).map(|batch| (self.entries, batch))
    }
}

/// The columns of `member_reads`.
#[must_use]
pub fn member_reads_schema() -> SchemaRef {
    let role = DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::Utf8));
    let mut fields = vec![
        Field::new("feeder_key", DataType::UInt32, false),
        Field::new("dt_key", DataType::UInt32, true),
        Field::new("interval_key", DataType::UInt32, false),
        Field::new("role", role, false),
    ];
    let numbers = [
        "import_wh",
        "export_wh",
        "multiplier_thousandths",
        "reads_expected",
        "reads_present",
        "reads_estimated",
        "bound_wh",
        "assessed_wh_month",
        "interval_of_month",
        "intervals_in_month",
    ];
    fields.extend(numbers.map(|name| Field::new(name, DataType::Int64, false)));
    Arc::new(Schema::new(fields))
}

/// Which interval of its civil month this is, counted from 0, and how many the month has.
fn place_in_month(zone: &Zone, quarter: Quarter, minutes: IntervalMinutes) -> (i64, i64) {
    let first = zone.day_of_interval(quarter.end()).first_of_month();
    let begin = zone.start_of(first);
    let mut next = first;
    for _ in 0..first.days_in_month() {
        next = next.next();
    }
    let length = QUARTER_MICROS * i64::from(minutes.quarters());
    let of_month = (quarter.end().0 - begin.0) / length - 1;
    (
        of_month.max(0),
        ((zone.start_of(next).0 - begin.0) / length).max(1),
    )
}

/// Runs the balance SQL.
pub struct BalanceSql {
    context: SessionContext,
}

impl std::fmt::Debug for BalanceSql {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BalanceSql").finish_non_exhaustive()
    }
}

/// A computed interval of a feeder.
pub type Computed = (NodeIx, Quarter, FeederInterval);

impl Default for BalanceSql {
    fn default() -> Self {
        let config = SessionConfig::new()
            .with_target_partitions(1)
            .with_information_schema(false);
        Self {
            context: SessionContext::new_with_config(config),
        }
    }
}

impl BalanceSql {
    /// Computes the balances of what was gathered.
    ///
    /// # Errors
    /// [`BalanceError`] when Arrow or DataFusion fails: a fault of the program or a lack of memory, never of the data.
    pub async fn run(&self, members: MemberReads) -> Result<Vec<Computed>, BalanceError> {
        let (entries, batch) = members.into_batch().map_err(BalanceError::Members)?;
        self.provide("member_reads", batch.schema(), vec![batch])?;
        let dt_batches = self.query("dt_balance.sql", DT_BALANCE_SQL).await?;
        let dt_schema = dt_batches.first().map(RecordBatch::schema);
        let Some(dt_schema) = dt_schema else {
            return Ok(Vec::new());
        };
        self.provide("dt_balance", dt_schema, dt_batches.clone())?;
        let feeder_batches = self.query("feeder_balance.sql", FEEDER_BALANCE_SQL).await?;
        let mut computed = Vec::with_capacity(entries.len());
        let mut dts: Vec<DtsByKey> = entries
            .iter()
            .map(|entry| Vec::with_capacity(entry.roster.dts.len()))
            .collect();
        for batch in &dt_batches {
            read_dts(batch, &entries, &mut dts)?;
        }
        for batch in &feeder_batches {
            read_feeders(batch, &entries, &mut dts, &mut computed)?;
        }
        computed.sort_by_key(|(feeder, quarter, _)| (*feeder, *quarter));
        Ok(computed)
    }

    fn provide(
        &self,
        name: &'static str,
        schema: SchemaRef,
        batches: Vec<RecordBatch>,
    ) -> Result<(), BalanceError> {
        let wrap = |source| BalanceError::Sql { step: name, source };
        let table = MemTable::try_new(schema, vec![batches]).map_err(wrap)?;
        self.context.deregister_table(name).map_err(wrap)?;
        self.context
            .register_table(name, Arc::new(table))
            .map(|_| ())
            .map_err(wrap)
    }

    async fn query(&self, step: &'static str, sql: &str) -> Result<Vec<RecordBatch>, BalanceError> {
        let wrap = |source| BalanceError::Sql { step, source };
        let frame = self.context.sql(sql).await.map_err(wrap)?;
        let schema = Arc::clone(frame.schema().inner());
        let mut batches = frame.collect().await.map_err(wrap)?;
        if batches.is_empty() {
            batches.push(RecordBatch::new_empty(schema));
        }
        Ok(batches)
    }
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

/// DTs of one interval, with their place in the roster.
type DtsByKey = Vec<(usize, DtFigures)>;

fn read_dts(batch: &RecordBatch, entries: &[Entry], dts: &mut [DtsByKey]) -> Result<(), BalanceError> {
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
    let (loss, bound) = (Whole::of(batch, "loss_wh")?, Whole::of(batch, "loss_bound_wh")?);
    let coverage = read_coverage(batch)?;
    for row in 0..batch.num_rows() {
        let at = interval.at(row);
        let dt = entries
            .get(at)
            .and_then(|entry| entry.roster.dts.get(dt_key.at(row)));
        let (Some(dt), Some(list)) = (dt, dts.get_mut(at)) else {
            continue;
        };
        list.push((
            dt_key.at(row),
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
                loss_bound_wh: bound.get(row),
                coverage: coverage(row),
            },
        ));
    }
    Ok(())
}

fn read_feeders(
    batch: &RecordBatch,
    entries: &[Entry],
    dts: &mut [DtsByKey],
    computed: &mut Vec<Computed>,
) -> Result<(), BalanceError> {
    let interval = Keys::of(batch, "interval_key")?;
    let whole = |name| Whole::of(batch, name);
    let (feeder_import, feeder_export) = (whole("feeder_import_wh")?, whole("feeder_export_wh")?);
    let (boundary_in, boundary_out) = (whole("boundary_in_wh")?, whole("boundary_out_wh")?);
    let (input, dt_input) = (whole("input_wh")?, whole("dt_input_wh")?);
    let (ht_import, ht_export) = (whole("ht_import_wh")?, whole("ht_export_wh")?);
    let (consumer_import, consumer_export) = (whole("consumer_import_wh")?, whole("consumer_export_wh")?);
    let (unmetered, bound) = (whole("unmetered_wh")?, whole("loss_bound_wh")?);
    let (ht_loss, lt_loss, total_loss) = (
        whole("ht_loss_wh")?,
        whole("lt_loss_wh")?,
        whole("total_loss_wh")?,
    );
    let (dt_metered, dt_total) = (whole("dt_metered")?, whole("dt_total")?);
    let coverage = read_coverage(batch)?;
    for row in 0..batch.num_rows() {
        let at = interval.at(row);
        let (Some(entry), Some(list)) = (entries.get(at), dts.get_mut(at)) else {
            continue;
        };
        let Entry {
            roster,
            quarter,
            heard,
        } = entry;
        let mut of_entry = std::mem::take(list);
        of_entry.sort_unstable_by_key(|(key, _)| *key);
        let dts = of_entry.into_iter().map(|(_, figures)| figures).collect();
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
            loss_bound_wh: bound.get(row),
            dt_metered: dt_metered.get(row),
            dt_total: dt_total.get(row),
            coverage: coverage(row),
        };
        let (minutes, ancestors) = (roster.minutes, roster.ancestors.clone());
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
