//! What is to be verified: as of which checkpoint, which days, and which feeders together.

use std::{
    collections::BTreeSet,
    ops::RangeInclusive,
    sync::{Arc, Mutex, PoisonError},
};

use arrow::datatypes::Date32Type;
use datafusion::prelude::Expr;
use gridtally_ingest::log::Position;
use gridtally_schemas::{
    Day, UtcMicros,
    network::NodeKind,
    table::{self, TableSchema},
};
use hashbrown::{HashMap, HashSet};
use tokio::sync::Semaphore;

use super::{
    Limits, Selection, VerifyError,
    snapshot::{Snapshot, array, days_between},
};
use crate::{
    balance::BalanceSql,
    network::{Meter, MeterIx, Network, NodeIx, Roster},
    state::Quarter,
    world::{Settings, World, quarter_at, restore::last_checkpoint},
};

/// Memory of one (meter, interval), bytes.
const BYTES_OF_READ: usize = 9;
/// Memory of one (feeder or DT, interval), published and computed, bytes.
const BYTES_OF_BALANCE: usize = 400;
const QUARTERS_OF_DAY: usize = 96;

/// Feeders that are verified together.
#[derive(Debug, Default)]
pub(super) struct Unit {
    pub(super) feeders: Vec<NodeIx>,
    /// Whether it also looks after what belongs to no feeder: meters without a place, rows of unknown nodes.
    pub(super) has_others: bool,
}

/// Everything that the days have in common.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) snapshot: Snapshot,
    pub(super) settings: Settings,
    pub(super) network: Network,
    pub(super) position: Position,
    pub(super) published_at: UtcMicros,
    /// The last record of which the tables hold all that follows from it.
    pub(super) complete: Position,
    /// Feeders' days that were owed.
    pub(super) owed: u64,
    pub(super) closed_through: Quarter,
    pub(super) settled_through: Quarter,
    pub(super) days: Vec<Day>,
    pub(super) units: Vec<Unit>,
    pub(super) limits: Limits,
    /// Meters that count in no feeder, ever.
    pub(super) without_place: Vec<MeterIx>,
    unit_of: HashMap<NodeIx, usize>,
    /// Nodes whose rows are compared; `None`: all.
    compared: Option<HashSet<NodeIx>>,
    rosters: Mutex<HashMap<NodeIx, Vec<Arc<Roster>>>>,
    pub(super) sql: BalanceSql,
    /// Runs of the SQL at a time, over all days.
    pub(super) runs: Arc<Semaphore>,
}

impl Work {
    pub(super) async fn plan(
        snapshot: Snapshot,
        settings: &Settings,
        selection: &Selection,
        limits: Limits,
    ) -> Result<Self, VerifyError> {
        let checkpoints = snapshot.rows(&table::CHECKPOINTS, None)?.collect().await?;
        let last = last_checkpoint(&checkpoints).map_err(VerifyError::Raw)?;
        let last = last.ok_or(VerifyError::NeverPublished)?;
        let (position, published_at) = (last.position, last.published_at);
        let network = network(&snapshot, settings, position).await?;
        let compared = selection.node.as_ref().map(|node| {
            let found = network.find_node(node.as_str());
            let found =
                found.filter(|found| network.node(*found).is_some_and(|entry| entry.kind().is_some()));
            found
                .map(|found| at_or_below(&network, found))
                .ok_or_else(|| VerifyError::UnknownNode { node: node.clone() })
        });
        let compared = compared.transpose()?;
        let days = days(&snapshot, selection).await?;
        let mut work = Self {
            snapshot,
            settings: settings.clone(),
            position,
            published_at,
            complete: last.complete,
            owed: last.owed,
            closed_through: quarter_at(published_at.plus(-settings.grace_micros)),
            settled_through: quarter_at(published_at.plus(-settings.settlement_micros)),
            days,
            units: Vec::new(),
            limits,
            without_place: without_place(&network),
            network,
            unit_of: HashMap::new(),
            compared,
            rosters: Mutex::default(),
            sql: BalanceSql::default(),
            runs: Arc::new(Semaphore::new(limits.threads.max(1))),
        };
        work.group();
        Ok(work)
    }

    /// Days worked on at a time.
    pub(super) fn days_at_a_time(&self) -> usize {
        self.limits.threads.min(self.days.len()).max(1)
    }

    /// Feeder-days in all.
    pub(super) fn feeder_days(&self) -> u64 {
        let feeders: usize = self.units.iter().map(|unit| unit.feeders.len()).sum();
        u64::try_from(feeders.max(1).saturating_mul(self.days.len())).unwrap_or(u64::MAX)
    }

    /// Whether rows of this node are compared.
    pub(super) fn compares(&self, node: NodeIx) -> bool {
        self.compared.as_ref().is_none_or(|nodes| nodes.contains(&node))
    }

    /// The unit that looks after a feeder's or DT's rows.
    pub(super) fn unit_of(&self, node: NodeIx) -> Option<usize> {
        let others = || self.units.iter().position(|unit| unit.has_others);
        self.unit_of.get(&node).copied().or_else(others)
    }

    /// Whether findings about a meter's reads are told by this unit: each by one, though a boundary meter is read by two.
    pub(super) fn looks_after(&self, meter_id: &str, unit: usize) -> bool {
        let mut feeders = Vec::new();
        if let Some(meter) = self.network.find_meter(meter_id) {
            self.network.feeders_of_meter(meter, &mut feeders);
        }
        let units = feeders.iter().filter_map(|feeder| self.unit_of.get(feeder));
        units.min().map_or_else(
            || self.units.get(unit).is_some_and(|unit| unit.has_others),
            |first| *first == unit,
        )
    }

    /// The quarters that end in a civil day.
    pub(super) fn quarters_of(&self, day: Day) -> RangeInclusive<Quarter> {
        let before = |day: Day| quarter_at(self.settings.zone.start_of(day));
        Quarter(before(day).0 + 1)..=before(day.next())
    }

    /// The roster of `feeder` for the interval that ends at `quarter`.
    pub(super) fn roster(&self, feeder: NodeIx, quarter: Quarter) -> Arc<Roster> {
        let begin = quarter.begin();
        let mut rosters = self.rosters.lock().unwrap_or_else(PoisonError::into_inner);
        let of_feeder = rosters.entry(feeder).or_default();
        if let Some(known) = of_feeder.iter().rev().find(|roster| roster.span.contains(&begin)) {
            return Arc::clone(known);
        }
        let built = Arc::new(self.network.roster(feeder, begin));
        of_feeder.push(Arc::clone(&built));
        built
    }

    /// Groups the feeders: those that ever shared a DT stay together, and a group fits into its share of the memory.
    fn group(&mut self) {
        let wanted = self.feeders();
        let share = self.limits.memory_bytes / self.days_at_a_time();
        let (mut units, mut unit, mut bytes) = (Vec::new(), Unit::default(), 0_usize);
        for component in components(&self.network) {
            if !component.iter().any(|feeder| wanted.contains(feeder)) {
                continue;
            }
            let needs: usize = component.iter().map(|feeder| self.bytes_of(*feeder)).sum();
            if !unit.feeders.is_empty() && bytes.saturating_add(needs) > share {
                units.push(std::mem::take(&mut unit));
                bytes = 0;
            }
            bytes = bytes.saturating_add(needs);
            unit.feeders.extend(component);
        }
        unit.has_others = self.compared.is_none();
        units.push(unit);
        let of_feeder: HashMap<NodeIx, usize> = units
            .iter()
            .enumerate()
            .flat_map(|(at, unit)| unit.feeders.iter().map(move |feeder| (*feeder, at)))
            .collect();
        // By the node's own rows: a feeder also lists children whose rows were corrected away from it.
        for (node, _) in self.network.nodes() {
            let mut feeders = Vec::new();
            self.network.feeders_above(node, &mut feeders);
            let unit = feeders.iter().find_map(|feeder| of_feeder.get(feeder));
            self.unit_of.extend(unit.map(|unit| (node, *unit)));
        }
        self.units = units;
    }

    /// The feeders that must be computed.
    fn feeders(&self) -> HashSet<NodeIx> {
        let mut feeders = Vec::new();
        match &self.compared {
            None => {
                let all = self.network.nodes();
                feeders.extend(
                    all.filter(|(_, node)| node.kind() == Some(NodeKind::Feeder))
                        .map(|(at, _)| at),
                );
            }
            Some(nodes) => nodes
                .iter()
                .for_each(|node| self.network.feeders_above(*node, &mut feeders)),
        }
        feeders.into_iter().collect()
    }

    fn bytes_of(&self, feeder: NodeIx) -> usize {
        let meters = self.network.meters_ever_on(feeder).len();
        let dts = self.network.node(feeder).map_or(0, |node| node.children.len());
        QUARTERS_OF_DAY * (meters * BYTES_OF_READ + (dts + 1) * BYTES_OF_BALANCE)
    }
}

fn without_place(network: &Network) -> Vec<MeterIx> {
    let has_none = |meter: &MeterIx| {
        let mut feeders = Vec::new();
        network.feeders_of_meter(*meter, &mut feeders);
        feeders.is_empty()
    };
    network.meters().map(Meter::index).filter(has_none).collect()
}

/// A node and all that ever was below it.
fn at_or_below(network: &Network, node: NodeIx) -> HashSet<NodeIx> {
    let (mut found, mut open) = (HashSet::from([node]), vec![node]);
    while let Some(next) = open.pop() {
        let children = network
            .node(next)
            .map_or(&[][..], |entry| entry.children.as_slice());
        open.extend(children.iter().copied().filter(|child| found.insert(*child)));
    }
    found
}

/// All feeders, those together that ever shared a DT: whose DT moved between two is only whole with both.
fn components(network: &Network) -> Vec<Vec<NodeIx>> {
    let mut of: HashMap<NodeIx, usize> = HashMap::new();
    let mut components: Vec<Vec<NodeIx>> = Vec::new();
    for (at, _) in network.nodes() {
        let mut feeders = Vec::new();
        network.feeders_above(at, &mut feeders);
        feeders.sort_unstable();
        feeders.dedup();
        if feeders.is_empty() {
            continue;
        }
        let known: BTreeSet<usize> = feeders
            .iter()
            .filter_map(|feeder| of.get(feeder).copied())
            .collect();
        let mut merged: Vec<NodeIx> = feeders
            .into_iter()
            .filter(|feeder| !of.contains_key(feeder))
            .collect();
        let into = known.first().copied().unwrap_or(components.len());
        for other in known {
            merged.append(components.get_mut(other).unwrap_or(&mut Vec::new()));
        }
        of.extend(merged.iter().map(|feeder| (*feeder, into)));
        match components.get_mut(into) {
            Some(component) => *component = merged,
            None => components.push(merged),
        }
    }
    components.retain(|component| !component.is_empty());
    for component in &mut components {
        component.sort_unstable();
    }
    components
}

/// The network as of a record.
pub(super) async fn network(
    snapshot: &Snapshot,
    settings: &Settings,
    position: Position,
) -> Result<Network, VerifyError> {
    // A picture without a state: only its reading of master rows is used.
    let mut world = World::new(settings.clone());
    for batch in snapshot.rows(&table::NODES, None)?.collect().await? {
        world.restore_nodes(&batch, position).map_err(VerifyError::Raw)?;
    }
    for batch in snapshot.rows(&table::METERS, None)?.collect().await? {
        world.restore_meters(&batch, position).map_err(VerifyError::Raw)?;
    }
    for batch in snapshot.rows(&table::CONNECTIONS, None)?.collect().await? {
        world
            .restore_connections(&batch, position)
            .map_err(VerifyError::Raw)?;
    }
    Ok(world.network)
}

/// The days of the period in which there are reads or balances, in order.
async fn days(snapshot: &Snapshot, selection: &Selection) -> Result<Vec<Day>, VerifyError> {
    static WITH_DAYS: [&TableSchema; 4] = [
        &table::INTERVAL_READS,
        &table::DT_BALANCE,
        &table::FEEDER_BALANCE,
        &table::NODE_BALANCE_DAILY,
    ];
    let from = selection.from.unwrap_or(Day(i32::MIN));
    let to = selection.to.unwrap_or(Day(i32::MAX));
    let bounded: Option<Expr> =
        (selection.from.is_some() || selection.to.is_some()).then(|| days_between(from, to));
    let mut days = BTreeSet::new();
    for table in WITH_DAYS {
        let rows = snapshot.rows(table, bounded.clone())?.columns(&["day"])?;
        for batch in rows.distinct()?.collect().await? {
            let column = array::<Date32Type>(table.name, &batch, "day")?;
            days.extend(column.iter().flatten().map(Day));
        }
    }
    Ok(days.into_iter().collect())
}
