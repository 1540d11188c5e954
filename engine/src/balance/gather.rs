//! Member reads: the rows that the balance SQL sums, gathered from the state column by column.

use std::sync::Arc;

use arrow::{
    array::{
        ArrayRef, DictionaryArray, Int8Array, Int64Array, RecordBatch, StringArray, UInt32Array,
        new_null_array,
    },
    datatypes::{DataType, Field, Int8Type, Schema, SchemaRef},
    error::ArrowError,
};
use gridtally_schemas::{IntervalMinutes, Zone, time::QUARTER_MICROS};

use super::{DtFigures, FeederInterval};
use crate::{
    network::{Member, MemberRole, Roster, Unmetered},
    state::{Quality, Quarter, QuarterView, State},
};

/// An interval whose member reads were gathered.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) roster: Arc<Roster>,
    pub(super) quarter: Quarter,
    pub(super) heard: bool,
    /// Where only some DTs' members were gathered.
    pub(super) kept: Option<Kept>,
}

/// What stands of an interval that was computed before. The figures are not copied before they are read: of a feeder with 25 DTs they are
/// 4,000 bytes, which a late read to one of them does not change.
#[derive(Debug)]
pub(super) struct Kept {
    before: Arc<FeederInterval>,
    /// The DTs that are computed anew, by their places in the roster, sorted.
    anew: Vec<u32>,
}

impl Entry {
    /// Figures of the DTs that are not computed anew, with their places in the roster, in its order.
    pub(super) fn kept(&self) -> impl Iterator<Item = (u32, DtFigures)> {
        let dts = &self.roster.dts;
        // They stand in the order of the roster that they were computed with, which is this one.
        let place = |at: usize, figures: &DtFigures| {
            let is_there = dts.get(at) == Some(&figures.dt);
            let at = if is_there {
                Some(at)
            } else {
                dts.iter().position(|dt| *dt == figures.dt)
            };
            at.and_then(|at| u32::try_from(at).ok())
        };
        self.kept.iter().flat_map(move |kept| {
            let placed = kept.before.dts.iter().enumerate();
            placed
                .filter_map(move |(at, figures)| Some((place(at, &figures)?, figures)))
                .filter(|(place, _)| kept.anew.binary_search(place).is_err())
        })
    }
}

/// An interval in which only some DTs changed since it was computed.
#[derive(Debug)]
pub struct Part {
    /// Who takes part, the same as when it was computed.
    pub roster: Arc<Roster>,
    /// Its last quarter.
    pub quarter: Quarter,
    /// The DTs that changed, sorted; the members of the feeder itself are gathered in any case.
    pub dts: Vec<u32>,
    /// What was computed. Values never go away again: what was heard in it stays heard.
    pub before: Arc<FeederInterval>,
}

/// Member reads of many (feeder, interval) pairs, column by column: those on DTs and those on the feeders themselves apart, for each of
/// the two statements reads one of them.
#[derive(Debug, Default)]
pub struct MemberReads {
    entries: Vec<Entry>,
    on_dts: Columns,
    on_feeders: Columns,
}

/// The columns of `member_reads`, of rows on DTs or of rows on feeders themselves.
#[derive(Debug, Default)]
struct Columns {
    feeder_key: Vec<u32>,
    /// Empty of rows on feeders themselves.
    dt_key: Vec<u32>,
    interval_key: Vec<u32>,
    role: Vec<i8>,
    import_wh: Vec<i64>,
    export_wh: Vec<i64>,
    multiplier_thousandths: Vec<i64>,
    reads_expected: Vec<i64>,
    reads_present: Vec<i64>,
    reads_estimated: Vec<i64>,
    import_bound_wh: Vec<i64>,
    export_bound_wh: Vec<i64>,
    assessed_wh_month: Vec<i64>,
    interval_of_month: Vec<i64>,
    intervals_in_month: Vec<i64>,
}

/// Where a row belongs.
#[derive(Clone, Copy)]
struct Key {
    feeder: u32,
    dt: Option<u32>,
    interval: u32,
}

impl Key {
    const fn of(roster: &Roster, dt: Option<u32>, interval: u32) -> Self {
        Self {
            feeder: roster.feeder.0,
            dt,
            interval,
        }
    }
}

impl Columns {
    fn reserve(&mut self, rows: usize) {
        self.feeder_key.reserve(rows);
        self.dt_key.reserve(rows);
        self.interval_key.reserve(rows);
        self.role.reserve(rows);
        for column in [
            &mut self.import_wh,
            &mut self.export_wh,
            &mut self.multiplier_thousandths,
            &mut self.reads_expected,
            &mut self.reads_present,
            &mut self.reads_estimated,
            &mut self.import_bound_wh,
            &mut self.export_bound_wh,
            &mut self.assessed_wh_month,
            &mut self.interval_of_month,
            &mut self.intervals_in_month,
        ] {
            column.reserve(rows);
        }
    }

    /// Adds a member; what it has alike with its neighbours is added by [`Self::place`].
    fn push(&mut self, member: &Member, said: Said) {
        self.role.push(member.role.code());
        self.import_wh.push(said.import_wh);
        self.export_wh.push(said.export_wh);
        self.multiplier_thousandths.push(member.multiplier.thousandths());
        self.reads_expected.push(said.expected);
        self.reads_present.push(said.present);
        self.reads_estimated.push(said.estimated);
        self.import_bound_wh.push(member.import_bound_wh);
        self.export_bound_wh.push(member.export_bound_wh);
    }

    /// Says of the rows added since where they belong; members are not assessed.
    fn place(&mut self, key: Key) {
        let rows = self.role.len();
        self.feeder_key.resize(rows, key.feeder);
        self.interval_key.resize(rows, key.interval);
        if let Some(dt) = key.dt {
            self.dt_key.resize(rows, dt);
        }
        self.assessed_wh_month.resize(rows, 0);
        self.interval_of_month.resize(rows, 0);
        self.intervals_in_month.resize(rows, 1);
    }

    fn push_unmetered(&mut self, key: Key, unmetered: Unmetered, place: (i64, i64)) {
        self.role.push(MemberRole::Unmetered.code());
        self.import_wh.push(0);
        self.export_wh.push(0);
        self.multiplier_thousandths.push(1_000);
        self.reads_expected.push(0);
        self.reads_present.push(0);
        self.reads_estimated.push(0);
        self.import_bound_wh.push(0);
        self.export_bound_wh.push(0);
        self.assessed_wh_month.push(unmetered.assessed_wh_month);
        self.interval_of_month.push(place.0);
        self.intervals_in_month.push(place.1);
        self.place(key);
    }

    fn into_batch(self) -> Result<RecordBatch, ArrowError> {
        let words = StringArray::from_iter_values(MemberRole::ALL.iter().map(|role| role.as_str()));
        let role = DictionaryArray::<Int8Type>::try_new(Int8Array::from(self.role), Arc::new(words))?;
        let energy = |column: Vec<i64>| -> ArrayRef { Arc::new(Int64Array::from(column)) };
        let dt_key: ArrayRef = if self.dt_key.is_empty() {
            new_null_array(&DataType::UInt32, self.feeder_key.len())
        } else {
            Arc::new(UInt32Array::from(self.dt_key))
        };
        let columns: Vec<ArrayRef> = vec![
            Arc::new(UInt32Array::from(self.feeder_key)),
            dt_key,
            Arc::new(UInt32Array::from(self.interval_key)),
            Arc::new(role),
            energy(self.import_wh),
            energy(self.export_wh),
            energy(self.multiplier_thousandths),
            energy(self.reads_expected),
            energy(self.reads_present),
            energy(self.reads_estimated),
            energy(self.import_bound_wh),
            energy(self.export_bound_wh),
            energy(self.assessed_wh_month),
            energy(self.interval_of_month),
            energy(self.intervals_in_month),
        ];
        RecordBatch::try_new(member_reads_schema(), columns)
    }
}

/// What one meter said in one balance interval.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Said {
    /// Wh, as the meter counts.
    pub(crate) import_wh: i64,
    /// Wh.
    pub(crate) export_wh: i64,
    /// Reads that the interval takes: 1 or 2.
    pub(crate) expected: i64,
    /// Of these, reads that have a value.
    pub(crate) present: i64,
    /// Of these, reads that are estimated.
    pub(crate) estimated: i64,
}

impl MemberReads {
    /// With room for about so many rows.
    #[must_use]
    pub fn with_room_for(rows: usize) -> Self {
        let mut reads = Self::default();
        reads.on_dts.reserve(rows);
        reads
    }

    /// Adds the interval of `roster` that ends at `quarter`. A key in the results refers to the order of these calls.
    pub fn gather(&mut self, state: &State, zone: &Zone, roster: &Arc<Roster>, quarter: Quarter) {
        let mut gathering = Gathering::new(self, state, roster, quarter);
        for dt in roster.places() {
            gathering.members(dt);
        }
        gathering.unmetered(zone, |_| true);
        let heard = gathering.heard;
        self.entries.push(Entry {
            roster: Arc::clone(roster),
            quarter,
            heard,
            kept: None,
        });
    }

    /// Adds an interval of which only some DTs changed: their members and those of the feeder itself. The others' figures are taken
    /// from what was computed before, which is what the same members give again.
    pub fn gather_part(&mut self, state: &State, zone: &Zone, part: Part) {
        let Part {
            roster,
            quarter,
            dts,
            before,
        } = part;
        let is_gathered = |dt: Option<u32>| dt.is_none_or(|dt| dts.binary_search(&dt).is_ok());
        let mut gathering = Gathering::new(self, state, &roster, quarter);
        for dt in &dts {
            gathering.members(Some(*dt));
        }
        gathering.members(None);
        gathering.unmetered(zone, is_gathered);
        let heard = gathering.heard || before.heard;
        self.entries.push(Entry {
            roster,
            quarter,
            heard,
            kept: Some(Kept { before, anew: dts }),
        });
    }

    /// Adds an interval whose members said what `said` tells: for who has no state to ask.
    pub(crate) fn gather_said(
        &mut self,
        zone: &Zone,
        roster: &Arc<Roster>,
        quarter: Quarter,
        said: impl Fn(&Member) -> Said,
    ) {
        let (key, mut heard) = (self.next_key(), false);
        for dt in roster.places() {
            let columns = self.columns(dt);
            for member in roster.members_on(dt) {
                let said = said(&member);
                heard |= said.present > 0;
                columns.push(&member, said);
            }
            columns.place(Key::of(roster, dt, key));
        }
        if !roster.unmetered.is_empty() {
            let place = place_in_month(zone, quarter, roster.minutes);
            for unmetered in &roster.unmetered {
                self.push_unmetered(roster, key, *unmetered, place);
            }
        }
        self.entries.push(Entry {
            roster: Arc::clone(roster),
            quarter,
            heard,
            kept: None,
        });
    }

    fn next_key(&self) -> u32 {
        u32::try_from(self.entries.len()).unwrap_or(u32::MAX)
    }

    fn push_unmetered(&mut self, roster: &Roster, interval: u32, unmetered: Unmetered, place: (i64, i64)) {
        let key = Key::of(roster, unmetered.dt, interval);
        self.columns(key.dt).push_unmetered(key, unmetered, place);
    }

    const fn columns(&mut self, dt: Option<u32>) -> &mut Columns {
        match dt {
            Some(_) => &mut self.on_dts,
            None => &mut self.on_feeders,
        }
    }

    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.on_dts.role.len() + self.on_feeders.role.len()
    }

    /// Whether nothing was gathered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The intervals, and the rows on DTs and on feeders themselves.
    pub(super) fn into_batches(self) -> Result<(Vec<Entry>, [RecordBatch; 2]), ArrowError> {
        let batches = [self.on_dts.into_batch()?, self.on_feeders.into_batch()?];
        Ok((self.entries, batches))
    }
}

/// The member reads of one interval on their way into the columns.
struct Gathering<'a> {
    reads: &'a mut MemberReads,
    roster: &'a Roster,
    quarter: Quarter,
    key: u32,
    views: [QuarterView<'a>; 2],
    heard: bool,
}

impl<'a> Gathering<'a> {
    fn new(reads: &'a mut MemberReads, state: &'a State, roster: &'a Roster, quarter: Quarter) -> Self {
        Self {
            key: reads.next_key(),
            reads,
            roster,
            quarter,
            views: [state.view(quarter), state.view(quarter.minus(1))],
            heard: false,
        }
    }

    /// The members on a DT, or on the feeder itself.
    fn members(&mut self, dt: Option<u32>) {
        let (roster, columns) = (self.roster, self.reads.columns(dt));
        for member in roster.members_on(dt) {
            let halves = if member.minutes < roster.minutes { 2 } else { 1 };
            let mut said = Said {
                expected: halves,
                ..Said::default()
            };
            for view in self.views.iter_mut().take(if halves == 2 { 2 } else { 1 }) {
                let energy = view.energy(member.meter).filter(|_| member.in_service);
                let Some((quality, import_wh, export_wh)) = energy else {
                    continue;
                };
                self.heard |= quality != Quality::Estimated;
                said.import_wh += i64::from(import_wh);
                said.export_wh += i64::from(export_wh);
                said.present += 1;
                said.estimated += i64::from(quality == Quality::Estimated);
            }
            columns.push(&member, said);
        }
        columns.place(Key::of(roster, dt, self.key));
    }

    fn unmetered(&mut self, zone: &Zone, wanted: impl Fn(Option<u32>) -> bool) {
        if self.roster.unmetered.is_empty() {
            return;
        }
        let place = place_in_month(zone, self.quarter, self.roster.minutes);
        for unmetered in self
            .roster
            .unmetered
            .iter()
            .filter(|unmetered| wanted(unmetered.dt))
        {
            self.reads
                .push_unmetered(self.roster, self.key, *unmetered, place);
        }
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
        "import_bound_wh",
        "export_bound_wh",
        "assessed_wh_month",
        "interval_of_month",
        "intervals_in_month",
    ];
    fields.extend(numbers.map(|name| Field::new(name, DataType::Int64, false)));
    Arc::new(Schema::new(fields))
}

/// Which interval of its civil month this is, counted from 0, and how many the month has.
pub(super) fn place_in_month(zone: &Zone, quarter: Quarter, minutes: IntervalMinutes) -> (i64, i64) {
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
