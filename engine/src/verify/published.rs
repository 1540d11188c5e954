//! What is published of balances: the versions of every key, and the cells of each.

use std::collections::BTreeMap;

use arrow::{
    array::{Array, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray},
    datatypes::{Date32Type, Float64Type, Int64Type},
};
use futures::StreamExt;
use gridtally_schemas::{
    Day, UtcMicros,
    table::{self, TableSchema},
};

use super::{
    VerifyError,
    differences::{Cell, Concerns, Difference, Differences, Place},
    selection::Work,
    snapshot::{array, days_between, failed, published_until, texts, times},
};
use crate::{
    network::NodeIx,
    state::Quarter,
    world::{
        publish::{DayValues, DtValues, FeederValues, Stage},
        rows::{DAY_LOSSES, DAY_SUMS, DT_KNOWN, DT_SUMS, FEEDER_KNOWN, FEEDER_SUMS},
    },
};

/// A table of balances.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Dt,
    Feeder,
    Day,
}

/// Columns after the energies, of all three.
const COVERAGE: [&str; 5] = [
    "loss_pct",
    "coverage_pct",
    "meters_expected",
    "meters_reported",
    "meters_estimated",
];

impl Kind {
    pub(super) const fn schema(self) -> &'static TableSchema {
        match self {
            Self::Dt => &table::DT_BALANCE,
            Self::Feeder => &table::FEEDER_BALANCE,
            Self::Day => &table::NODE_BALANCE_DAILY,
        }
    }

    pub(super) const fn id_column(self) -> &'static str {
        match self {
            Self::Dt => "dt_id",
            Self::Feeder => "feeder_id",
            Self::Day => "node_id",
        }
    }

    /// The key's other column.
    pub(super) const fn when_column(self) -> &'static str {
        match self {
            Self::Dt | Self::Feeder => "interval_end",
            Self::Day => "day",
        }
    }

    /// Its place among the tables that differences are listed by; the raw tables come first.
    pub(super) const fn order(self) -> u8 {
        match self {
            Self::Dt => 1,
            Self::Feeder => 2,
            Self::Day => 3,
        }
    }

    /// The columns that are compared, in the order of the cells.
    pub(super) fn columns(self) -> Vec<&'static str> {
        match self {
            Self::Dt => [&["interval_minutes"], &DT_KNOWN[..], &DT_SUMS[..], &COVERAGE[..]].concat(),
            Self::Feeder => [
                &["interval_minutes"],
                &FEEDER_KNOWN[..],
                &FEEDER_SUMS[..],
                &COVERAGE[..],
            ]
            .concat(),
            Self::Day => [&DAY_LOSSES[..], &DAY_SUMS[..], &COVERAGE[..]].concat(),
        }
    }
}

/// The cells of a row as it would be published, in the order of [`Kind::columns`].
pub(super) trait Cells {
    fn cells(&self) -> Vec<Cell>;
}

fn assembled(
    energies: impl Iterator<Item = Cell>,
    loss_pct: Option<f64>,
    coverage: crate::balance::Coverage,
) -> Vec<Cell> {
    let after = [
        Cell::number(loss_pct),
        Cell::Number(coverage.percent()),
        Cell::Whole(coverage.expected),
        Cell::Whole(coverage.reported),
        Cell::Whole(coverage.estimated),
    ];
    energies.chain(after).collect()
}

impl Cells for DtValues {
    fn cells(&self) -> Vec<Cell> {
        let minutes = std::iter::once(Cell::Whole(self.minutes));
        let known = self.known.iter().copied().map(Cell::whole);
        let energies = minutes
            .chain(known)
            .chain(self.sums.iter().copied().map(Cell::Whole));
        assembled(energies, self.loss_pct(), self.coverage)
    }
}

impl Cells for FeederValues {
    fn cells(&self) -> Vec<Cell> {
        let minutes = std::iter::once(Cell::Whole(self.minutes));
        let known = self.known.iter().copied().map(Cell::whole);
        let energies = minutes
            .chain(known)
            .chain(self.sums.iter().copied().map(Cell::Whole));
        assembled(energies, self.loss_pct(), self.coverage)
    }
}

impl Cells for DayValues {
    fn cells(&self) -> Vec<Cell> {
        let losses = self.losses.iter().copied().map(Cell::whole);
        let energies = losses.chain(self.sums.iter().copied().map(Cell::Whole));
        assembled(energies, self.loss_pct(), self.coverage)
    }
}

/// When a row is of: a quarter's number or a day's.
pub(super) type When = i64;

/// Where a version of a key is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version {
    pub(super) node: NodeIx,
    pub(super) when: When,
    pub(super) version: i64,
    batch: u32,
    row: u32,
}

#[derive(Debug)]
enum Column {
    Whole(Int64Array),
    Number(Float64Array),
}

#[derive(Debug)]
struct Batch {
    columns: Vec<Column>,
    status: StringArray,
    reason: StringArray,
    published_at: TimestampMicrosecondArray,
}

/// Published rows of one table and day, of the nodes that were asked for.
#[derive(Debug)]
pub(super) struct Published {
    pub(super) kind: Kind,
    batches: Vec<Batch>,
    /// By node, time and version.
    versions: Vec<Version>,
    /// Newest version of each key whose node master data does not know, and whether it is withdrawn. Where a crash left balances of a
    /// node that the picture does not have yet, the next checkpoint withdraws them.
    unknown: BTreeMap<(String, UtcMicros), (i64, bool)>,
}

/// Whether the rows of a node (`None`: of one that master data does not know) are wanted.
pub(super) type Wants<'a> = &'a (dyn Fn(Option<NodeIx>) -> bool + Sync);

impl Published {
    /// Reads what stood published at the checkpoint. A row whose key names nothing is a finding.
    pub(super) async fn read(
        work: &Work,
        kind: Kind,
        day: Day,
        wants: Wants<'_>,
        differences: &mut Differences,
    ) -> Result<Self, VerifyError> {
        let table = kind.schema();
        let filter = days_between(day, day).and(published_until(work.published_at));
        let mut columns = kind.columns();
        columns.extend([
            kind.id_column(),
            kind.when_column(),
            "status",
            "reason",
            "version",
            "published_at",
        ]);
        let rows = work.snapshot.rows(table, Some(filter))?;
        let mut stream = rows.columns(&columns)?.stream().await?;
        let mut published = Self {
            kind,
            batches: Vec::new(),
            versions: Vec::new(),
            unknown: BTreeMap::new(),
        };
        while let Some(batch) = stream.next().await {
            let batch = batch.map_err(|source| failed(table.name, source))?;
            let strays = published.add(work, day, wants, &batch)?;
            strays.into_iter().for_each(|stray| differences.push(stray));
        }
        published.versions.sort_unstable();
        for ((id, at), (_, is_withdrawn)) in &published.unknown {
            if !is_withdrawn {
                differences.push(published.stray(work, id, *at, "no such node"));
            }
        }
        Ok(published)
    }

    /// Takes the wanted rows of a batch; gives those that are not in their day.
    fn add(
        &mut self,
        work: &Work,
        day: Day,
        wants: Wants<'_>,
        batch: &RecordBatch,
    ) -> Result<Vec<Difference>, VerifyError> {
        let table = self.kind.schema().name;
        let ids = texts(table, batch, self.kind.id_column())?;
        let whens = self.whens(work, day, batch)?;
        let (version, status) = (
            array::<Int64Type>(table, batch, "version")?,
            texts(table, batch, "status")?,
        );
        let at_batch = u32::try_from(self.batches.len()).unwrap_or(u32::MAX);
        let before = self.versions.len();
        let mut strays = Vec::new();
        for (row, when) in whens.into_iter().enumerate() {
            let id = ids.value(row);
            let node = work.network.find_node(id);
            if !wants(node) {
                continue;
            }
            match (node, when) {
                (Some(node), Ok(when)) => self.versions.push(Version {
                    node,
                    when,
                    version: version.value(row),
                    batch: at_batch,
                    row: u32::try_from(row).unwrap_or(u32::MAX),
                }),
                (_, Err(at)) => strays.push(self.stray(work, id, at, "not in its day")),
                (None, Ok(when)) => {
                    let key = (id.to_owned(), self.instant(work, when));
                    let newest = self.unknown.entry(key).or_insert((version.value(row), false));
                    if version.value(row) >= newest.0 {
                        let is_withdrawn = Stage::parse(status.value(row)) == Stage::Withdrawn;
                        *newest = (version.value(row), is_withdrawn);
                    }
                }
            }
        }
        if self.versions.len() > before {
            self.batches.push(self.batch(batch)?);
        }
        Ok(strays)
    }

    /// When each row is of; the instant itself where it ends no interval of this day.
    fn whens(
        &self,
        work: &Work,
        day: Day,
        batch: &RecordBatch,
    ) -> Result<Vec<Result<When, UtcMicros>>, VerifyError> {
        let table = self.kind.schema().name;
        let zone = &work.settings.zone;
        Ok(match self.kind {
            Kind::Day => {
                let days = array::<Date32Type>(table, batch, "day")?;
                (0..days.len())
                    .map(|row| Ok(When::from(days.value(row))))
                    .collect()
            }
            Kind::Dt | Kind::Feeder => {
                let ends = times(table, batch, "interval_end")?;
                let when = |end: UtcMicros| {
                    Quarter::ending(end)
                        .filter(|_| zone.day_of_interval(end) == day)
                        .map(|quarter| When::from(quarter.0))
                        .ok_or(end)
                };
                (0..ends.len())
                    .map(|row| when(UtcMicros(ends.value(row))))
                    .collect()
            }
        })
    }

    fn batch(&self, batch: &RecordBatch) -> Result<Batch, VerifyError> {
        let table = self.kind.schema();
        let column = |name: &'static str| {
            let number = table
                .column(name)
                .is_some_and(|column| column.column_type == table::ColumnType::Double);
            Ok(if number {
                Column::Number(array::<Float64Type>(table.name, batch, name)?)
            } else {
                Column::Whole(array::<Int64Type>(table.name, batch, name)?)
            })
        };
        Ok(Batch {
            columns: self
                .kind
                .columns()
                .into_iter()
                .map(column)
                .collect::<Result<_, VerifyError>>()?,
            status: texts(table.name, batch, "status")?,
            reason: texts(table.name, batch, "reason")?,
            published_at: times(table.name, batch, "published_at")?,
        })
    }

    /// The versions of one key after the other, each in order.
    pub(super) fn keys(&self) -> impl Iterator<Item = &[Version]> {
        self.versions
            .chunk_by(|one, other| (one.node, one.when) == (other.node, other.when))
    }

    /// The cells of a version, in the order of [`Kind::columns`].
    pub(super) fn cells(&self, version: &Version) -> Vec<Cell> {
        let (batch, row) = self.place(version);
        let columns = batch.map_or(&[][..], |batch| batch.columns.as_slice());
        let cell = |column: &Column| match column {
            Column::Whole(values) => Cell::whole(values.is_valid(row).then(|| values.value(row))),
            Column::Number(values) => Cell::number(values.is_valid(row).then(|| values.value(row))),
        };
        columns.iter().map(cell).collect()
    }

    /// Its status.
    pub(super) fn stage(&self, version: &Version) -> Stage {
        Stage::parse(self.status(version))
    }

    /// Its status, as it stands there.
    pub(super) fn status(&self, version: &Version) -> &str {
        let (batch, row) = self.place(version);
        batch.map_or("", |batch| batch.status.value(row))
    }

    /// Why it came; `None`: it does not say.
    pub(super) fn reason(&self, version: &Version) -> Option<&str> {
        let (batch, row) = self.place(version);
        let reason = &batch?.reason;
        reason.is_valid(row).then(|| reason.value(row))
    }

    /// Its number, and when it was published.
    pub(super) fn published_at(&self, version: &Version) -> (i64, UtcMicros) {
        let (batch, row) = self.place(version);
        let at = batch.map_or(0, |batch| batch.published_at.value(row));
        (version.version, UtcMicros(at))
    }

    fn place(&self, version: &Version) -> (Option<&Batch>, usize) {
        let at = |index: u32| usize::try_from(index).unwrap_or(usize::MAX);
        (self.batches.get(at(version.batch)), at(version.row))
    }

    fn instant(&self, work: &Work, when: When) -> UtcMicros {
        match self.kind {
            Kind::Day => work
                .settings
                .zone
                .start_of(Day(i32::try_from(when).unwrap_or_default())),
            Kind::Dt | Kind::Feeder => Quarter(u32::try_from(when).unwrap_or_default()).end(),
        }
    }

    /// The key of a row as `column=value` pairs.
    pub(super) fn key(&self, work: &Work, node: NodeIx, when: When) -> String {
        let id = work.network.node(node).map_or("?", |node| node.id.as_str());
        self.key_of(work, id, self.instant(work, when))
    }

    fn key_of(&self, work: &Work, id: &str, at: UtcMicros) -> String {
        let zone = &work.settings.zone;
        let when = match self.kind {
            Kind::Day => zone.day_of(at).to_string(),
            Kind::Dt | Kind::Feeder => at.to_rfc3339(zone),
        };
        format!(
            "{}={id} {}={when}",
            self.kind.id_column(),
            self.kind.when_column()
        )
    }

    fn stray(&self, work: &Work, id: &str, at: UtcMicros, published: &str) -> Difference {
        let key = self.key_of(work, id, at);
        Difference {
            table: self.kind.schema().name,
            column: "row",
            published: published.to_owned(),
            recomputed: "no row".to_owned(),
            version: None,
            evidence: Vec::new(),
            place: Place {
                table: self.kind.order(),
                at,
                key: key.clone(),
                column: 0,
                concerns: Concerns::Itself,
            },
            key,
        }
    }

    /// Where a difference in a row stands, and what its evidence is.
    pub(super) fn difference_at(&self, work: &Work, (node, when): (NodeIx, When), column: usize) -> Place {
        let concerns = match self.kind {
            Kind::Day => Concerns::Day(node, Day(i32::try_from(when).unwrap_or_default())),
            Kind::Dt | Kind::Feeder => {
                Concerns::Balance(node, Quarter(u32::try_from(when).unwrap_or_default()))
            }
        };
        Place {
            table: self.kind.order(),
            at: self.instant(work, when),
            key: self.key(work, node, when),
            column,
            concerns,
        }
    }
}
