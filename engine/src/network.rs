//! The network as it was at any instant: master rows, effective-dated, and the roster of a feeder at a time.
//!
//! Rows only ever merge: of two rows with one key (id, `valid_from`) the later recorded stands, then the larger content. The
//! picture is therefore the same whatever order rows were learnt in (ORD-1).
//!
//! A [`Roster`] is what the balance of one feeder needs for a span of time in which nothing about it changes: its DTs, its
//! meters with role and multiplier, its unmetered load and the nodes above. It is built on demand and kept by the caller.

use std::sync::Arc;

use gridtally_schemas::{
    ConsumerId, IntervalMinutes, MeterId, NodeId, UtcMicros,
    network::{ConnectionRow, MasterRows, MeterRow, NodeKind, NodeRow},
};
use hashbrown::HashMap;

mod concerned;
mod history;
mod roster;
mod service;
#[cfg(test)]
mod tests;

pub(crate) use concerned::{Concerned, SINCE_EVER};
pub use history::{Dated, History, Recorded};
pub(crate) use roster::LEVELS_MAX;
pub use roster::{Member, MemberRole, Roster, Unmetered};
pub use service::Service;

use history::Merged;

macro_rules! index {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub u32);

        impl $name {
            /// As a position in a list.
            #[must_use]
            pub fn at(self) -> usize {
                usize::try_from(self.0).unwrap_or(usize::MAX)
            }

            fn of(length: usize) -> Self {
                Self(u32::try_from(length).unwrap_or(u32::MAX))
            }
        }
    };
}

index!(
    /// A node, by the order in which it was first heard of.
    NodeIx
);
index!(
    /// A meter, by the order in which it was first heard of.
    MeterIx
);
index!(
    /// A connection (consumer and meter), by the order in which it was first heard of.
    ConnectionIx
);

/// A node with every row and everything that ever hung on it.
#[derive(Debug)]
pub struct Node {
    /// Its id.
    pub id: NodeId,
    /// Its rows.
    pub history: History<NodeRow>,
    /// Nodes that ever had it as parent.
    pub children: Vec<NodeIx>,
    /// Connections that ever hung on it.
    pub connections: Vec<ConnectionIx>,
    /// DT, feeder and boundary meters that ever named it.
    pub meters: Vec<MeterIx>,
}

impl Node {
    /// Its kind; `None` while only others' rows name it.
    #[must_use]
    pub fn kind(&self) -> Option<NodeKind> {
        self.history.newest().map(|row| row.kind)
    }

    /// Its name for people; its id while only others' rows name it.
    #[must_use]
    pub fn name(&self) -> &str {
        self.history
            .newest()
            .map_or(self.id.as_str(), |row| row.name.as_str())
    }
}

/// A meter with every row and every connection it ever served.
#[derive(Debug)]
pub struct Meter {
    /// Its id.
    pub id: MeterId,
    /// Its rows; empty while only a connection names it.
    pub history: History<MeterRow>,
    /// Connections it ever served.
    pub connections: Vec<ConnectionIx>,
}

/// A consumer's connection through one meter (or none), with every row.
#[derive(Debug)]
pub struct Connection {
    /// The consumer.
    pub consumer_id: ConsumerId,
    /// The meter; `None`: unmetered.
    pub meter: Option<MeterIx>,
    /// Its rows.
    pub history: History<ConnectionRow>,
}

/// What a master row changed: the feeders whose rosters it touches, and from when on.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Touched {
    /// Feeders, sorted, each once.
    pub feeders: Vec<NodeIx>,
    /// Meters that now have a row and had none before.
    pub meters_now_known: Vec<MeterIx>,
    /// Rows that changed something.
    pub rows_changed: usize,
}

/// All master data.
#[derive(Debug, Default)]
pub struct Network {
    nodes: Vec<Node>,
    node_index: HashMap<NodeId, NodeIx>,
    meters: Vec<Meter>,
    meter_index: HashMap<MeterId, MeterIx>,
    connections: Vec<Connection>,
    connection_index: HashMap<(ConsumerId, Option<MeterId>), ConnectionIx>,
}

impl Network {
    /// Merges master rows and says what they touch.
    pub fn merge(&mut self, recorded_at: UtcMicros, source: &Arc<str>, rows: MasterRows) -> Touched {
        let mut touched = Touched::default();
        match rows {
            MasterRows::Nodes(rows) => {
                for row in rows {
                    self.merge_node(
                        Recorded {
                            recorded_at,
                            source: Arc::clone(source),
                            row,
                        },
                        &mut touched,
                    );
                }
            }
            MasterRows::Meters(rows) => {
                for row in rows {
                    self.merge_meter(
                        Recorded {
                            recorded_at,
                            source: Arc::clone(source),
                            row,
                        },
                        &mut touched,
                    );
                }
            }
            MasterRows::Connections(rows) => {
                for row in rows {
                    self.merge_connection(
                        Recorded {
                            recorded_at,
                            source: Arc::clone(source),
                            row,
                        },
                        &mut touched,
                    );
                }
            }
        }
        touched.feeders.sort_unstable();
        touched.feeders.dedup();
        touched
    }

    fn merge_node(&mut self, new: Recorded<NodeRow>, touched: &mut Touched) {
        let node = self.node_named(&new.row.node_id);
        let parent = new.row.parent_id.as_ref().map(|parent| self.node_named(parent));
        let Some(entry) = self.nodes.get_mut(node.at()) else {
            return;
        };
        let was_feeder = entry.kind() == Some(NodeKind::Feeder);
        let replaced = match entry.history.merge(new) {
            Merged::Known => return,
            Merged::Added => None,
            Merged::Replaced(row) => row.parent_id,
        };
        touched.rows_changed += 1;
        if let Some(parent) = parent.and_then(|parent| self.nodes.get_mut(parent.at()))
            && !parent.children.contains(&node)
        {
            parent.children.push(node);
        }
        if was_feeder {
            touched.feeders.push(node);
        }
        self.feeder_named(replaced.as_ref(), &mut touched.feeders);
        self.feeders_at_or_below(node, &mut touched.feeders);
        self.feeders_above(node, &mut touched.feeders);
    }

    fn merge_meter(&mut self, mut new: Recorded<MeterRow>, touched: &mut Touched) {
        let meter = self.meter_named(&new.row.meter_id);
        let mut hangs_on = [None; 2];
        let named = [&mut new.row.node_id, &mut new.row.boundary_to];
        for (node, id) in hangs_on.iter_mut().zip(named) {
            *node = id.as_mut().map(|id| self.share_node(id));
        }
        let Some(entry) = self.meters.get_mut(meter.at()) else {
            return;
        };
        new.row.meter_id = entry.id.clone();
        let was_known = entry.history.newest().is_some();
        let replaced = match entry.history.merge(new) {
            Merged::Known => return,
            Merged::Added => [None, None],
            Merged::Replaced(row) => [row.node_id, row.boundary_to],
        };
        touched.rows_changed += 1;
        if !was_known {
            touched.meters_now_known.push(meter);
        }
        for node in hangs_on.into_iter().flatten() {
            if let Some(node) = self.nodes.get_mut(node.at())
                && !node.meters.contains(&meter)
            {
                node.meters.push(meter);
            }
        }
        for node in replaced.iter().flatten() {
            self.feeders_above_id(node, &mut touched.feeders);
        }
        self.feeders_of_meter(meter, &mut touched.feeders);
    }

    fn merge_connection(&mut self, mut new: Recorded<ConnectionRow>, touched: &mut Touched) {
        let node = self.share_node(&mut new.row.node_id);
        let connection = self.connection_named(&new.row);
        let Some(entry) = self.connections.get_mut(connection.at()) else {
            return;
        };
        new.row.consumer_id = entry.consumer_id.clone();
        let meter = entry.meter.and_then(|meter| self.meters.get(meter.at()));
        new.row.meter_id = meter.map(|meter| meter.id.clone());
        let replaced = match entry.history.merge(new) {
            Merged::Known => return,
            Merged::Added => None,
            Merged::Replaced(row) => Some(row.node_id),
        };
        touched.rows_changed += 1;
        if let Some(node) = self.nodes.get_mut(node.at())
            && !node.connections.contains(&connection)
        {
            node.connections.push(connection);
        }
        if let Some(node) = replaced {
            self.feeders_above_id(&node, &mut touched.feeders);
        }
        self.feeders_of_connection(connection, &mut touched.feeders);
    }

    fn feeder_named(&self, id: Option<&NodeId>, feeders: &mut Vec<NodeIx>) {
        let node = id.and_then(|id| self.node_index.get(id)).copied();
        feeders.extend(
            node.filter(|node| self.nodes.get(node.at()).and_then(Node::kind) == Some(NodeKind::Feeder)),
        );
    }

    fn feeders_above_id(&self, id: &NodeId, feeders: &mut Vec<NodeIx>) {
        self.feeders_above_id_before(id, UtcMicros(i64::MAX), feeders);
    }

    fn feeders_above_id_before(&self, id: &NodeId, end: UtcMicros, feeders: &mut Vec<NodeIx>) {
        if let Some(node) = self.node_index.get(id) {
            self.feeders_above_before(*node, end, feeders);
        }
    }

    /// The index of a node that something names, whether or not a row of it is known.
    pub(crate) fn name_node(&mut self, id: &NodeId) -> NodeIx {
        self.node_named(id)
    }

    fn node_named(&mut self, id: &NodeId) -> NodeIx {
        if let Some(found) = self.node_index.get(id) {
            return *found;
        }
        let index = NodeIx::of(self.nodes.len());
        self.nodes.push(Node {
            id: id.clone(),
            history: History::default(),
            children: Vec::new(),
            connections: Vec::new(),
            meters: Vec::new(),
        });
        self.node_index.insert(id.clone(), index);
        index
    }

    /// The index of a node that a row names; the row's text becomes the node's own, since millions of rows name the same few.
    fn share_node(&mut self, id: &mut NodeId) -> NodeIx {
        let node = self.node_named(id);
        if let Some(entry) = self.nodes.get(node.at()) {
            *id = entry.id.clone();
        }
        node
    }

    /// The index of a meter that something names, whether or not a row of it is known.
    pub(crate) fn name_meter(&mut self, id: &MeterId) -> MeterIx {
        self.meter_named(id)
    }

    fn meter_named(&mut self, id: &MeterId) -> MeterIx {
        if let Some(found) = self.meter_index.get(id) {
            return *found;
        }
        let index = MeterIx::of(self.meters.len());
        self.meters.push(Meter {
            id: id.clone(),
            history: History::default(),
            connections: Vec::new(),
        });
        self.meter_index.insert(id.clone(), index);
        index
    }

    fn connection_named(&mut self, row: &ConnectionRow) -> ConnectionIx {
        let mut key = (row.consumer_id.clone(), row.meter_id.clone());
        if let Some(found) = self.connection_index.get(&key) {
            return *found;
        }
        let meter = row.meter_id.as_ref().map(|id| self.meter_named(id));
        key.1 = meter.and_then(|meter| Some(self.meters.get(meter.at())?.id.clone()));
        let index = ConnectionIx::of(self.connections.len());
        if let Some(meter) = meter.and_then(|meter| self.meters.get_mut(meter.at())) {
            meter.connections.push(index);
        }
        self.connections.push(Connection {
            consumer_id: key.0.clone(),
            meter,
            history: History::default(),
        });
        self.connection_index.insert(key, index);
        index
    }

    /// Feeders that a meter ever belonged to: by its own rows and by its connections.
    pub fn feeders_of_meter(&self, meter: MeterIx, feeders: &mut Vec<NodeIx>) {
        self.feeders_of_meter_before(meter, UtcMicros(i64::MAX), feeders);
    }

    /// Feeders that a meter ever belonged to before `end`: rows that begin later do not count.
    pub(crate) fn feeders_of_meter_before(&self, meter: MeterIx, end: UtcMicros, feeders: &mut Vec<NodeIx>) {
        let Some(entry) = self.meters.get(meter.at()) else {
            return;
        };
        for row in entry.history.rows_before(end) {
            for node in [&row.row.node_id, &row.row.boundary_to].into_iter().flatten() {
                self.feeders_above_id_before(node, end, feeders);
            }
        }
        for connection in &entry.connections {
            self.feeders_of_connection_before(*connection, end, feeders);
        }
    }

    fn feeders_of_connection(&self, connection: ConnectionIx, feeders: &mut Vec<NodeIx>) {
        self.feeders_of_connection_before(connection, UtcMicros(i64::MAX), feeders);
    }

    fn feeders_of_connection_before(
        &self,
        connection: ConnectionIx,
        end: UtcMicros,
        feeders: &mut Vec<NodeIx>,
    ) {
        let Some(entry) = self.connections.get(connection.at()) else {
            return;
        };
        for row in entry.history.rows_before(end) {
            self.feeders_above_id_before(&row.row.node_id, end, feeders);
        }
    }

    /// The node itself if it is a feeder, or the feeders that ever were its parent.
    pub(crate) fn feeders_above(&self, node: NodeIx, feeders: &mut Vec<NodeIx>) {
        self.feeders_above_before(node, UtcMicros(i64::MAX), feeders);
    }

    fn feeders_above_before(&self, node: NodeIx, end: UtcMicros, feeders: &mut Vec<NodeIx>) {
        let Some(entry) = self.nodes.get(node.at()) else {
            return;
        };
        if entry.kind() == Some(NodeKind::Feeder) {
            feeders.push(node);
        }
        for row in entry.history.rows_before(end) {
            self.feeder_named(row.row.parent_id.as_ref(), feeders);
        }
    }

    /// The feeders that ever were `node` or below it.
    pub(crate) fn feeders_at_or_below(&self, node: NodeIx, feeders: &mut Vec<NodeIx>) {
        let mut open = vec![node];
        let mut steps = 0_usize;
        while let Some(next) = open.pop() {
            let Some(entry) = self.nodes.get(next.at()) else {
                continue;
            };
            steps += 1;
            if steps > self.nodes.len() {
                return; // A cycle in the rows: every node has been seen.
            }
            if entry.kind() == Some(NodeKind::Feeder) {
                feeders.push(next);
            } else {
                open.extend_from_slice(&entry.children);
            }
        }
    }

    /// Every meter that ever was on `feeder` or on a DT that ever was on it.
    #[must_use]
    pub fn meters_ever_on(&self, feeder: NodeIx) -> Vec<MeterIx> {
        let Some(node) = self.node(feeder) else {
            return Vec::new();
        };
        let below = node.children.iter().filter_map(|child| self.node(*child));
        let mut meters: Vec<MeterIx> = std::iter::once(node)
            .chain(below)
            .flat_map(|node| {
                let connected = node
                    .connections
                    .iter()
                    .filter_map(|at| self.connection(*at)?.meter);
                node.meters.iter().copied().chain(connected)
            })
            .collect();
        meters.sort_unstable();
        meters.dedup();
        meters
    }

    /// A node by its id.
    #[must_use]
    pub fn find_node(&self, id: &str) -> Option<NodeIx> {
        self.node_index.get(id).copied()
    }

    /// A meter by its id, known or only named by a connection.
    #[must_use]
    pub fn find_meter(&self, id: &str) -> Option<MeterIx> {
        self.meter_index.get(id).copied()
    }

    /// A meter by its id, looked for first behind `near`: neighbours in a publish are often neighbours in master data.
    #[must_use]
    pub fn find_meter_near(&self, near: MeterIx, id: &str) -> Option<MeterIx> {
        let next = MeterIx(near.0.saturating_add(1));
        match self.meter(next) {
            Some(meter) if meter.id.as_str() == id => Some(next),
            Some(_) | None => self.find_meter(id),
        }
    }

    /// A node by its index.
    #[must_use]
    pub fn node(&self, node: NodeIx) -> Option<&Node> {
        self.nodes.get(node.at())
    }

    /// A meter by its index.
    #[must_use]
    pub fn meter(&self, meter: MeterIx) -> Option<&Meter> {
        self.meters.get(meter.at())
    }

    /// All nodes, by index.
    pub fn nodes(&self) -> impl Iterator<Item = (NodeIx, &Node)> {
        self.nodes
            .iter()
            .enumerate()
            .map(|(at, node)| (NodeIx::of(at), node))
    }

    /// All meters, by index.
    pub fn meters(&self) -> impl Iterator<Item = (MeterIx, &Meter)> {
        self.meters
            .iter()
            .enumerate()
            .map(|(at, meter)| (MeterIx::of(at), meter))
    }

    /// All connections.
    pub fn connections(&self) -> impl Iterator<Item = &Connection> {
        self.connections.iter()
    }

    /// A connection by its index.
    #[must_use]
    pub fn connection(&self, connection: ConnectionIx) -> Option<&Connection> {
        self.connections.get(connection.at())
    }

    /// Connections of a consumer through one meter.
    #[must_use]
    pub fn find_connection(&self, consumer: &ConsumerId, meter: Option<&MeterId>) -> Option<&Connection> {
        let index = self.connection_index.get(&(consumer.clone(), meter.cloned()))?;
        self.connection(*index)
    }

    /// The node above `node` at `instant`.
    #[must_use]
    pub fn parent_at(&self, node: NodeIx, instant: UtcMicros) -> Option<NodeIx> {
        let row = self.node(node)?.history.at(instant)?;
        self.find_node(row.parent_id.as_ref()?.as_str())
    }

    /// The node above `node` at `instant`; of a node that was gone by then the one that was above it last.
    #[must_use]
    pub(crate) fn last_parent(&self, node: NodeIx, instant: UtcMicros) -> Option<NodeIx> {
        let history = &self.node(node)?.history;
        let gone = || history.rows_before(instant.plus(1)).last().map(|held| &held.row);
        let row = history.at(instant).or_else(gone)?;
        self.find_node(row.parent_id.as_ref()?.as_str())
    }

    /// The interval length of a meter at `instant`; `None` when no row of it covers that instant.
    #[must_use]
    pub fn interval_of(&self, meter: MeterIx, instant: UtcMicros) -> Option<IntervalMinutes> {
        self.meter(meter)?
            .history
            .at(instant)
            .map(|row| row.interval_minutes)
    }
}
