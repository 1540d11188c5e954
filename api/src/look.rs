//! What the routes need of the live picture, copied out under a short read lock; nothing is formatted there.

use gridtally_engine::{
    World,
    network::{Node, NodeIx},
    world::Sums,
};
use gridtally_schemas::{Day, UtcMicros, network::NodeKind};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    figures::{self, Figures},
    form::{Column, Holds},
};

/// Why a span without any balance shows no loss.
pub(crate) const NO_BALANCE: &str = "no balance in this span yet";

/// A node with its balance of one day.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct NodeRow {
    /// Its id.
    pub(crate) node_id: String,
    /// Its kind: discom, zone, circle, division, subdivision, section, substation, feeder or dt. Null: only others' rows name it.
    pub(crate) kind: Option<&'static str>,
    /// Its name for people.
    pub(crate) name: String,
    /// The node above, now. Null: there is none.
    pub(crate) parent_id: Option<String>,
    /// Area class: metro, urban, rural or class1. Null: not said.
    pub(crate) area_class: Option<&'static str>,
    /// Rated capacity, kVA. Null: not said.
    pub(crate) capacity_kva: Option<f64>,
    /// Loss target, per cent. Null: not said.
    pub(crate) allowable_loss_pct: Option<f64>,
    /// Nodes directly below.
    pub(crate) children: i64,
    /// The civil day of the figures.
    #[schema(example = "2026-04-01")]
    pub(crate) day: String,
    /// Its balance of that day.
    #[serde(flatten)]
    pub(crate) figures: Figures,
}

/// Columns of [`NodeRow`].
pub(crate) const NODE_COLUMNS: [Column; 27] = {
    let mut columns = [Column("node_id", Holds::Text); 27];
    let own = [
        Column("node_id", Holds::Text),
        Column("kind", Holds::Text),
        Column("name", Holds::Text),
        Column("parent_id", Holds::Text),
        Column("area_class", Holds::Text),
        Column("capacity_kva", Holds::Number),
        Column("allowable_loss_pct", Holds::Number),
        Column("children", Holds::Whole),
        Column("day", Holds::Day),
    ];
    let (head, tail) = columns.split_at_mut(own.len());
    head.copy_from_slice(&own);
    tail.copy_from_slice(&figures::COLUMNS);
    columns
};

/// A node as `(id, kind, name)`: enough for a breadcrumb.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct NodeName {
    /// Its id.
    pub(crate) node_id: String,
    /// Its kind. Null: only others' rows name it.
    pub(crate) kind: Option<&'static str>,
    /// Its name for people.
    pub(crate) name: String,
}

impl NodeName {
    pub(crate) fn of(node: &Node) -> Self {
        Self {
            node_id: node.id.to_string(),
            kind: node.kind().map(NodeKind::as_str),
            name: node.name().to_owned(),
        }
    }
}

/// Where and when to look.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Instant {
    /// Now: by whose picture of the network.
    pub(crate) now: UtcMicros,
    /// The civil day of the figures.
    pub(crate) day: Day,
}

/// A node with its balance of a day, copied.
pub(crate) fn node_row(world: &World, (index, node): (NodeIx, &Node), at: Instant) -> NodeRow {
    let row = node.history.at(at.now).or_else(|| node.history.newest());
    NodeRow {
        node_id: node.id.to_string(),
        kind: node.kind().map(NodeKind::as_str),
        name: node.name().to_owned(),
        parent_id: world
            .network
            .parent_at(index, at.now)
            .and_then(|parent| world.network.node(parent))
            .map(|parent| parent.id.to_string()),
        area_class: row.and_then(|row| row.area_class).map(|class| class.as_str()),
        capacity_kva: row.and_then(|row| row.capacity_kva),
        allowable_loss_pct: row.and_then(|row| row.allowable_loss_pct),
        children: world.children(index).count().try_into().unwrap_or(i64::MAX),
        day: at.day.to_string(),
        figures: day_figures(world, index, at.day),
    }
}

/// The balance of a node's day.
pub(crate) fn day_figures(world: &World, node: NodeIx, day: Day) -> Figures {
    match world.node_day(node, day) {
        Some(sums) => Figures::of_sums(sums, world.settings.coverage_threshold_pct),
        None => Figures::none(NO_BALANCE),
    }
}

/// The nodes above a node at an instant, topmost first.
pub(crate) fn ancestors_at(world: &World, node: NodeIx, now: UtcMicros) -> Vec<NodeName> {
    let mut path = Vec::new();
    let mut next = world.network.parent_at(node, now);
    // Bounded: rows may name a cycle, and no hierarchy is deeper than its kinds.
    while let Some(index) = next.filter(|_| path.len() < 2 * NodeKind::ALL.len()) {
        path.extend(world.network.node(index).map(NodeName::of));
        next = world.network.parent_at(index, now);
    }
    path.reverse();
    path
}

/// Sums of a day over some nodes.
pub(crate) fn sums_of(world: &World, nodes: &[NodeIx], day: Day) -> Option<Sums> {
    nodes
        .iter()
        .filter_map(|node| world.node_day(*node, day))
        .fold(None, |total: Option<Sums>, sums| {
            let mut total = total.unwrap_or_default();
            total.plus(sums);
            Some(total)
        })
}
