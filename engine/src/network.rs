//! The network as it was at any instant: master rows, effective-dated, and the roster of a feeder at a time.
//!
//! Rows only ever merge: of two rows with one key (id, `valid_from`) the later recorded stands, then the larger content. The
//! picture is therefore the same whatever order rows were learnt in (ORD-1).
//!
//! A [`Roster`] is what the balance of one feeder needs for a span of time in which nothing about it changes: its DTs, its
//! meters with role and multiplier, its unmetered load and the nodes above. It is built on demand and kept by the caller.
//!
//! Nodes are few and kept as they are said. Of meters and connections there are tens of millions: their ids lie in pages of text, their
//! rows refer to what they share, and what is looked at is a view ([`Meter`], [`Connection`], [`RowOf`]), some 120 bytes a consumer in all:
//!
//! ```text
//! id of the meter and of the consumer, text + 2 bytes each    28
//! index of each by id, 5 bytes over what is taken of it       12 to 22
//! a row of the meter and of the connection, 16 bytes each     32
//! consumer, meter and the connection before of each           24
//! places in the lists of nodes, and the nodes                 20
//! ```

use std::{collections::BTreeSet, sync::Arc};

use gridtally_schemas::{
    ConsumerId, IdList, IntervalMinutes, MeterId, NodeId, UtcMicros,
    network::{NodeKind, NodeRow},
};
use hashbrown::HashMap;

mod concerned;
mod ends;
mod history;
mod members;
mod merge;
mod register;
mod roster;
mod rows;
mod service;
#[cfg(test)]
mod tests;
mod view;

pub(crate) use concerned::{Concerned, SINCE_EVER};
pub use history::{Dated, History, Recorded};
pub use merge::Touched;
pub(crate) use roster::LEVELS_MAX;
pub use roster::{Member, MemberRole, Roster, Unmetered};
pub use rows::{ConnectionSays, MeterSays};
pub use service::Service;
pub use view::{
    Connection, ConnectionRowOf, Kind, Meter, MeterRowOf, OfConnections, OfMeters, RowOf, RowsOf,
};

use ends::{Ends, Last};
use register::Register;
use rows::{Rows, Shared, Term};

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
    /// A node of which nothing is known but that something names it.
    fn named(id: &NodeId) -> Self {
        Self {
            id: id.clone(),
            history: History::default(),
            children: Vec::new(),
            connections: Vec::new(),
            meters: Vec::new(),
        }
    }

    /// Its kind; `None` while only others' rows name it.
    #[must_use]
    pub fn kind(&self) -> Option<NodeKind> {
        self.history.newest().map(|row| row.kind)
    }

    fn standing(&self) -> Standing {
        let row = self.history.newest();
        (
            row.map(|row| row.kind),
            row.is_some_and(|row| row.parent_id.is_none()),
        )
    }

    /// Its name for people; its id while only others' rows name it.
    #[must_use]
    pub fn name(&self) -> &str {
        self.history
            .newest()
            .map_or(self.id.as_str(), |row| row.name.as_str())
    }
}

/// All master data.
#[derive(Debug, Default)]
pub struct Network {
    nodes: Vec<Node>,
    node_index: HashMap<NodeId, NodeIx>,
    census: Census,
    meters: Register<MeterId>,
    meter_rows: Rows,
    last_of_meter: Last,
    consumers: Register<ConsumerId>,
    last_of_consumer: Last,
    connections: Vec<Ends>,
    connection_rows: Rows,
    meter_says: Shared<MeterSays>,
    connection_says: Shared<ConnectionSays>,
    terms: Shared<Term>,
    /// When rows were recorded, and by whom.
    words: Shared<(UtcMicros, Arc<str>)>,
}

/// What would take a walk through all nodes to say, kept as they change: the summary asks for it many times a second.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Census {
    /// Nodes that some row names.
    pub nodes: u64,
    /// 11 kV feeders among them.
    pub feeders: u64,
    /// Distribution transformers among them.
    pub dts: u64,
    /// Nodes whose row names no parent: the discom, and what nobody has placed yet.
    pub roots: BTreeSet<NodeIx>,
}

/// What a node counts as.
type Standing = (Option<NodeKind>, bool);

impl Census {
    /// One more node, of which nothing is known but its name.
    const fn name(&mut self) {
        self.nodes += 1;
    }

    /// A node is something else from now on.
    fn change(&mut self, node: NodeIx, (kind_before, _): Standing, (kind, is_root): Standing) {
        if let Some(count) = self.of(kind_before) {
            *count -= 1;
        }
        if let Some(count) = self.of(kind) {
            *count += 1;
        }
        if is_root {
            self.roots.insert(node);
        } else {
            self.roots.remove(&node);
        }
    }

    fn of(&mut self, kind: Option<NodeKind>) -> Option<&mut u64> {
        if kind == Some(NodeKind::Feeder) {
            Some(&mut self.feeders)
        } else if kind == Some(NodeKind::Dt) {
            Some(&mut self.dts)
        } else {
            None
        }
    }
}

impl Network {
    /// Feeders that a meter ever belonged to: by its own rows and by its connections.
    pub fn feeders_of_meter(&self, meter: MeterIx, feeders: &mut Vec<NodeIx>) {
        self.feeders_of_meter_before(meter, UtcMicros(i64::MAX), feeders);
    }

    /// Feeders that a meter ever belonged to before `end`: rows that begin later do not count.
    pub(crate) fn feeders_of_meter_before(&self, meter: MeterIx, end: UtcMicros, feeders: &mut Vec<NodeIx>) {
        let Some(entry) = self.meter(meter) else {
            return;
        };
        for row in entry.history().rows_before(end) {
            for node in [row.node, row.boundary_to].into_iter().flatten() {
                self.feeders_above_before(node, end, feeders);
            }
        }
        for connection in entry.connections() {
            self.feeders_of_connection_before(connection.index(), end, feeders);
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
        let Some(entry) = self.connection(connection) else {
            return;
        };
        for node in entry.history().rows_before(end).filter_map(|row| row.node) {
            self.feeders_above_before(node, end, feeders);
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
                    .filter_map(|at| self.connection(*at)?.meter());
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
        self.meters.find(id).map(MeterIx)
    }

    /// A meter by its id, looked for first behind `near`: neighbours in a publish are often neighbours in master data.
    #[must_use]
    pub fn find_meter_near(&self, near: MeterIx, id: &str) -> Option<MeterIx> {
        let next = MeterIx(near.0.saturating_add(1));
        if self.meters.get(next.0) == Some(id) {
            return Some(next);
        }
        self.find_meter(id)
    }

    /// A node by its index.
    #[must_use]
    pub fn node(&self, node: NodeIx) -> Option<&Node> {
        self.nodes.get(node.at())
    }

    /// A meter by its index.
    #[must_use]
    pub fn meter(&self, meter: MeterIx) -> Option<Meter<'_>> {
        let is_one = meter.at() < self.meters.len();
        is_one.then_some(Meter {
            network: self,
            at: meter,
        })
    }

    /// The ids of all meters, by index. A copy shares all of it but the newest.
    #[must_use]
    pub(crate) const fn meter_ids(&self) -> &IdList<MeterId> {
        self.meters.ids()
    }

    /// All nodes, by index.
    pub fn nodes(&self) -> impl Iterator<Item = (NodeIx, &Node)> {
        self.nodes
            .iter()
            .enumerate()
            .map(|(at, node)| (NodeIx::of(at), node))
    }

    /// How many nodes there are, named ones that no row describes included, and what stands above all others.
    #[must_use]
    pub const fn census(&self) -> &Census {
        &self.census
    }

    /// Number of meters.
    #[must_use]
    pub fn meter_count(&self) -> usize {
        self.meters.len()
    }

    /// Number of connections.
    #[must_use]
    pub const fn connection_count(&self) -> usize {
        self.connections.len()
    }

    /// All meters, by index.
    pub fn meters(&self) -> impl Iterator<Item = Meter<'_>> {
        (0..self.meters.len()).map(|at| Meter {
            network: self,
            at: MeterIx::of(at),
        })
    }

    /// All connections, by index.
    pub fn connections(&self) -> impl Iterator<Item = Connection<'_>> {
        (0..self.connections.len()).map(|at| Connection {
            network: self,
            at: ConnectionIx::of(at),
        })
    }

    /// A connection by its index.
    #[must_use]
    pub fn connection(&self, connection: ConnectionIx) -> Option<Connection<'_>> {
        let is_one = connection.at() < self.connections.len();
        is_one.then_some(Connection {
            network: self,
            at: connection,
        })
    }

    /// Connections of a consumer through one meter.
    #[must_use]
    pub fn find_connection(&self, consumer: &ConsumerId, meter: Option<&MeterId>) -> Option<Connection<'_>> {
        let of_meter = match meter {
            Some(id) => Some(self.find_meter(id.as_str())?),
            None => None,
        };
        let number = self.consumers.find(consumer.as_str())?;
        self.connection(self.joining(number, of_meter)?)
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
        let row = self.meter(meter)?.history().at(instant)?;
        Some(row.interval_minutes)
    }
}
