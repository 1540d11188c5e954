//! What made each version of a balance: the reads and the master rows that came between it and the version before.
//!
//! A version was published by the checkpoint of its `published_at`, and that checkpoint stands for the log up to its position. So what
//! lies between two versions is what the log said between two positions: rows of `interval_reads` of the meters that the balance
//! sums up, by the network of either position, and rows of `nodes`, `meters` and `connections` that name these meters or the node.

use std::collections::{BTreeMap, BTreeSet};

use arrow::{
    array::{Array, RecordBatch},
    datatypes::Int64Type,
};
use datafusion::prelude::{Expr, col, lit};
use gridtally_ingest::log::Position;
use gridtally_schemas::{
    Day, NodeId, UtcMicros, Zone,
    network::NodeKind,
    table::{self, TableSchema},
};

use super::{
    Limits, Selection, Source, VerifyError,
    evidence::{self, Between},
    published::{Kind, Published, Version, When},
    selection::{Work, network},
    snapshot::{Snapshot, array, texts, times},
};
use crate::{
    network::{Member, Network, NodeIx, Roster},
    state::Quarter,
    world::Settings,
};

/// Lines of one version.
pub const LINES_OF_VERSION_MAX: usize = 100;

/// Of what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of {
    /// The balance of a DT or feeder in the interval that ends then.
    Interval(UtcMicros),
    /// The roll-up of any node over a civil day.
    Day(Day),
}

/// How a balance came to be what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// Its table.
    pub table: &'static str,
    /// Its key, as `column=value` pairs.
    pub key: String,
    /// Its versions, the first one first.
    pub versions: Vec<Made>,
}

/// A version, and what made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// Its number.
    pub version: i64,
    /// When it was published.
    pub published_at: UtcMicros,
    /// Its status.
    pub status: String,
    /// Why it came, as it says itself; `None`: the first.
    pub reason: Option<String>,
    /// Columns that differ from the version before: name, before, after. Of the first version all that are not null.
    pub columns: Vec<(&'static str, String, String)>,
    /// The reads, master rows and balances that came since the version before; at most [`LINES_OF_VERSION_MAX`].
    pub made_by: Vec<String>,
}

/// Explains the versions of one balance.
///
/// # Errors
/// [`VerifyError`] when there is no such balance, or a table cannot be read.
pub async fn explain(
    source: &impl Source,
    settings: &Settings,
    node: &NodeId,
    of: Of,
) -> Result<Explanation, VerifyError> {
    let day = match of {
        Of::Interval(end) => settings.zone.day_of_interval(end),
        Of::Day(day) => day,
    };
    let selection = Selection {
        node: Some(node.clone()),
        from: Some(day),
        to: Some(day),
    };
    let limits = Limits {
        threads: 1,
        memory_bytes: 0,
    };
    let snapshot = Snapshot::take(source, limits).await?;
    let work = Work::plan(snapshot, settings, &selection, limits).await?;
    let missing = || VerifyError::NoBalance { node: node.clone() };
    let node = work.network.find_node(node.as_str()).ok_or_else(missing)?;
    let (kind, when) = table_and_key(&work, node, of).ok_or_else(missing)?;
    let wants = |found: Option<NodeIx>| found == Some(node);
    let published = Published::read(&work, kind, day, &wants, &mut super::Differences::default()).await?;
    let versions = published
        .keys()
        .find(|versions| versions.first().is_some_and(|version| version.when == when))
        .ok_or_else(missing)?;
    let steps = Steps::of(&work).await?;
    let mut made = Vec::new();
    let mut before: Option<&Version> = None;
    for version in versions {
        let (number, published_at) = published.published_at(version);
        let since = before.map(|before| published.published_at(before).1);
        made.push(Made {
            version: number,
            published_at,
            status: published.status(version).to_owned(),
            reason: published.reason(version).map(str::to_owned),
            columns: changed(&published, before, version),
            made_by: made_by(&work, &steps, (node, of), (since, published_at)).await?,
        });
        before = Some(version);
    }
    Ok(Explanation {
        table: kind.schema().name,
        key: published.key(&work, node, when),
        versions: made,
    })
}

/// The table in which a balance is published, and its key in it.
fn table_and_key(work: &Work, node: NodeIx, of: Of) -> Option<(Kind, When)> {
    match of {
        Of::Day(day) => Some((Kind::Day, When::from(day.0))),
        Of::Interval(end) => {
            let is_feeder = work.network.node(node)?.kind() == Some(NodeKind::Feeder);
            let kind = if is_feeder { Kind::Feeder } else { Kind::Dt };
            Some((kind, When::from(Quarter::ending(end)?.0)))
        }
    }
}

/// What came between two versions, at most [`LINES_OF_VERSION_MAX`] lines of it.
async fn made_by(
    work: &Work,
    steps: &Steps,
    (node, of): (NodeIx, Of),
    (since, published_at): (Option<UtcMicros>, UtcMicros),
) -> Result<Vec<String>, VerifyError> {
    let mut lines = match of {
        Of::Interval(end) => {
            let positions = (since.map(|at| steps.position(at)), steps.position(published_at));
            let moments = (since.unwrap_or(UtcMicros(i64::MIN)), published_at);
            let quarter = Quarter::ending(end).unwrap_or(Quarter(0));
            of_interval(work, (node, quarter), positions, moments).await?
        }
        Of::Day(day) => of_day(work, node, day, (since, published_at)).await?,
    };
    let more = lines.len().saturating_sub(LINES_OF_VERSION_MAX);
    if more > 0 {
        lines.truncate(LINES_OF_VERSION_MAX);
        lines.push(format!("and {more} more"));
    }
    Ok(lines)
}

/// The columns in which two versions differ.
fn changed(
    published: &Published,
    before: Option<&Version>,
    after: &Version,
) -> Vec<(&'static str, String, String)> {
    let names = published.kind.columns();
    let cells = |version: &Version| -> Vec<String> {
        published.cells(version).iter().map(ToString::to_string).collect()
    };
    let held = before.map_or_else(|| vec!["null".to_owned(); names.len()], cells);
    let pairs = names.into_iter().zip(held.into_iter().zip(cells(after)));
    pairs
        .filter(|(_, (before, after))| before != after)
        .map(|(name, (before, after))| (name, before, after))
        .collect()
}

/// Every finished checkpoint: when, and up to which record.
struct Steps(Vec<(UtcMicros, Position)>);

impl Steps {
    async fn of(work: &Work) -> Result<Self, VerifyError> {
        let name = table::CHECKPOINTS.name;
        let mut steps = Vec::new();
        for batch in work.snapshot.rows(&table::CHECKPOINTS, None)?.collect().await? {
            let (at, position) = (
                times(name, &batch, "published_at")?,
                array::<Int64Type>(name, &batch, "position")?,
            );
            steps.extend((0..batch.num_rows()).map(|row| {
                let position = Position(u64::try_from(position.value(row)).unwrap_or(0));
                (UtcMicros(at.value(row)), position)
            }));
        }
        steps.sort_unstable();
        Ok(Self(steps))
    }

    /// The position that what was published at `at` stands for. A checkpoint that was cut short has no row of its own: what it wrote
    /// stands for no more than the next one does.
    fn position(&self, at: UtcMicros) -> Position {
        let next = self.0.iter().find(|(published_at, _)| *published_at >= at);
        next.map_or(Position(u64::MAX), |(_, position)| *position)
    }
}

/// The part of the network that a balance rests on, by ids.
#[derive(Debug, Default, PartialEq, Eq)]
struct Basis {
    nodes: BTreeSet<String>,
    /// Meters, and what each counts as.
    meters: BTreeMap<String, String>,
    minutes: u32,
}

impl Basis {
    fn of(network: &Network, node: &str, quarter: Quarter) -> Self {
        let mut basis = Self::default();
        let Some(node) = network.find_node(node) else {
            return basis;
        };
        let mut feeders = Vec::new();
        network.feeders_above(node, &mut feeders);
        for feeder in feeders {
            let roster = network.roster(feeder, quarter.begin());
            let dt = roster
                .dts
                .iter()
                .position(|dt| *dt == node)
                .and_then(|dt| u32::try_from(dt).ok());
            if feeder == node || dt.is_some() {
                basis.take(network, &roster, dt);
            }
        }
        basis
    }

    fn take(&mut self, network: &Network, roster: &Roster, dt: Option<u32>) {
        let id = |node: NodeIx| network.node(node).map(|node| node.id.as_str().to_owned());
        self.nodes.extend(
            [roster.feeder]
                .into_iter()
                .chain(roster.dts.iter().copied())
                .filter_map(id),
        );
        self.nodes.extend(roster.ancestors.iter().copied().filter_map(id));
        self.minutes = self.minutes.max(roster.minutes.quarters());
        for member in roster.members().filter(|member| dt.is_none() || member.dt == dt) {
            if let Some(meter) = network.meter(member.meter) {
                self.meters.insert(meter.id().to_owned(), counts_as(&member));
            }
        }
        for unmetered in roster
            .unmetered
            .iter()
            .filter(|unmetered| dt.is_none() || unmetered.dt == dt)
        {
            let load = self.meters.entry("unmetered load".to_owned()).or_default();
            load.push_str(&format!(" {} Wh a month", unmetered.assessed_wh_month));
        }
    }
}

fn counts_as(member: &Member) -> String {
    let service = if member.in_service { "" } else { ", not in service" };
    format!(
        "{}, x{}, {} min, at most {} Wh in and {} Wh out{service}",
        member.role.as_str(),
        f64::from(member.multiplier),
        member.minutes.minutes(),
        member.import_bound_wh,
        member.export_bound_wh
    )
}

/// What the log said between two positions of the meters and nodes of a balance.
async fn of_interval(
    work: &Work,
    (node, quarter): (NodeIx, Quarter),
    (since, through): (Option<Position>, Position),
    moments: (UtcMicros, UtcMicros),
) -> Result<Vec<String>, VerifyError> {
    let Some(id) = work.network.node(node).map(|node| node.id.as_str()) else {
        return Ok(Vec::new());
    };
    let at = |position| network(&work.snapshot, &work.settings, position);
    let after = Basis::of(&at(through).await?, id, quarter);
    let before = match since {
        Some(since) => Basis::of(&at(since).await?, id, quarter),
        None => Basis::default(),
    };
    let mut lines = Vec::new();
    if since.is_some() {
        for meter in before
            .meters
            .keys()
            .chain(after.meters.keys())
            .collect::<BTreeSet<_>>()
        {
            match (before.meters.get(meter), after.meters.get(meter)) {
                (Some(before), Some(after)) if before == after => {}
                (Some(before), Some(after)) => {
                    lines.push(format!("{meter}: counted as {before}; now as {after}"))
                }
                (Some(before), None) => lines.push(format!("{meter} left: it counted as {before}")),
                (None, Some(after)) => lines.push(format!("{meter} joined: it counts as {after}")),
                (None, None) => {}
            }
        }
    }
    let between = Between {
        positions: (since.unwrap_or_default(), through),
        moments,
    };
    lines.extend(master_rows(work, (&before, &after), between).await?);
    let meters: BTreeSet<&String> = before.meters.keys().chain(after.meters.keys()).collect();
    let quarters = before.minutes.max(after.minutes).max(1);
    let reads = evidence::reads_between(work, &meters, (quarter, quarters), between).await?;
    lines.extend(reads);
    if lines.is_empty() {
        lines.push("no read and no master row: time passed".to_owned());
    }
    Ok(lines)
}

fn any_of<'a>(column: &str, ids: impl Iterator<Item = &'a String>) -> Expr {
    col(column).in_list(ids.map(|id| lit(id.as_str())).collect(), false)
}

/// Master rows that name the nodes or meters of a balance.
async fn master_rows(
    work: &Work,
    (before, after): (&Basis, &Basis),
    between: Between,
) -> Result<Vec<String>, VerifyError> {
    let nodes: BTreeSet<&String> = before.nodes.iter().chain(&after.nodes).collect();
    let meters: BTreeSet<&String> = before.meters.keys().chain(after.meters.keys()).collect();
    let of_nodes = |column| any_of(column, nodes.iter().copied());
    let of_meters = any_of("meter_id", meters.iter().copied());
    let wanted: [(&'static TableSchema, Expr); 3] = [
        (&table::NODES, of_nodes("node_id")),
        (
            &table::METERS,
            of_meters
                .clone()
                .or(of_nodes("node_id"))
                .or(of_nodes("boundary_to")),
        ),
        (&table::CONNECTIONS, of_meters.or(of_nodes("node_id"))),
    ];
    let mut lines = Vec::new();
    for (table, of_basis) in wanted {
        let rows = work.snapshot.rows(table, Some(between.said().and(of_basis)))?;
        for batch in rows.collect().await? {
            lines.extend(master_lines(&work.settings.zone, table, &batch)?);
        }
    }
    lines.sort();
    Ok(lines)
}

fn master_lines(
    zone: &Zone,
    table: &'static TableSchema,
    batch: &RecordBatch,
) -> Result<Vec<String>, VerifyError> {
    let id_columns: Vec<&'static str> = table
        .key
        .iter()
        .copied()
        .filter(|column| *column != "valid_from")
        .collect();
    let ids = id_columns
        .iter()
        .map(|column| texts(table.name, batch, column))
        .collect::<Result<Vec<_>, _>>()?;
    let (from, recorded) = (
        times(table.name, batch, "valid_from")?,
        times(table.name, batch, "recorded_at")?,
    );
    let (source, position) = (
        texts(table.name, batch, "source")?,
        array::<Int64Type>(table.name, batch, "position")?,
    );
    let line = |row: usize| {
        let id = ids.iter().zip(&id_columns).filter(|(id, _)| id.is_valid(row));
        let id: Vec<String> = id
            .map(|(id, column)| format!("{column}={}", id.value(row)))
            .collect();
        format!(
            "{} {} valid from {}: log record {}, received {} from {}",
            table.name,
            id.join(" "),
            UtcMicros(from.value(row)).to_rfc3339(zone),
            position.value(row),
            UtcMicros(recorded.value(row)).to_rfc3339(zone),
            source.value(row),
        )
    };
    Ok((0..batch.num_rows()).map(line).collect())
}

/// The balances of a day that were published between two moments: of a DT its own, of all else those of the feeders.
async fn of_day(
    work: &Work,
    node: NodeIx,
    day: Day,
    (since, through): (Option<UtcMicros>, UtcMicros),
) -> Result<Vec<String>, VerifyError> {
    let is_dt = work.network.node(node).and_then(crate::network::Node::kind) == Some(NodeKind::Dt);
    let kind = if is_dt { Kind::Dt } else { Kind::Feeder };
    let mut below = Vec::new();
    if is_dt {
        below.push(node);
    } else {
        work.network.feeders_at_or_below(node, &mut below);
    }
    let wants = |found: Option<NodeIx>| found.is_some_and(|found| below.contains(&found));
    let published = Published::read(work, kind, day, &wants, &mut super::Differences::default()).await?;
    let mut lines = Vec::new();
    for version in published.keys().flatten() {
        let (number, at) = published.published_at(version);
        if since.is_none_or(|since| at > since) && at <= through {
            let why = published.reason(version).unwrap_or("first published");
            let key = published.key(work, version.node, version.when);
            lines.push(format!("{} {key}: version {number}, {why}", kind.schema().name));
        }
    }
    if lines.is_empty() {
        lines.push("no balance below it changed: time passed".to_owned());
    }
    Ok(lines)
}
