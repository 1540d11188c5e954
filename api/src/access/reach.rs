//! A caller's area in the live picture: what the fixed routes and the stream show of it.
//!
//! A node is in the area if it is the area's node or hangs below it by the rows in force now; where none is in force, by the last that was, and
//! where none has begun, by the first. A consumer or a meter is where its connection is, by the same rule. It is the rule of SQL
//! (`sql::area`), so that every surface shows the same.

use gridtally_engine::{
    World,
    network::{Connection, Meter, NodeIx},
    world::OutageView,
};
use gridtally_schemas::{
    ConsumerId, UtcMicros,
    network::{MeterRole, NodeKind},
};

use super::Caller;

/// No hierarchy is deeper than its kinds, and rows may name a cycle.
const LEVELS_MAX: usize = 2 * NodeKind::ALL.len();

/// What a caller sees of a picture; made of one and good for it alone.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reach<'a> {
    world: &'a World,
    now: UtcMicros,
    top: Top,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Top {
    /// Everything.
    Whole,
    /// A node and all below it.
    Node(NodeIx),
    /// The area's node is not in the network.
    Nowhere,
}

/// When a row holds.
type Dates = (UtcMicros, Option<UtcMicros>);

/// Of a thing's rows, by `valid_from`, the one that says where it is.
fn standing<R: Copy>(
    rows: impl Iterator<Item = R>,
    dates: impl Fn(&R) -> Dates,
    now: UtcMicros,
) -> Option<(R, bool)> {
    let (mut first, mut last, mut holds) = (None, None, None);
    for row in rows {
        let (from, to) = dates(&row);
        first = first.or(Some(row));
        if from <= now {
            last = Some(row);
            if to.is_none_or(|to| now < to) {
                holds = Some(row);
            }
        }
    }
    match holds {
        Some(row) => Some((row, true)),
        None => last.or(first).map(|row| (row, false)),
    }
}

impl<'a> Reach<'a> {
    pub(crate) fn of(world: &'a World, caller: &Caller, now: UtcMicros) -> Self {
        let top = match caller.area() {
            None => Top::Whole,
            Some(node) => world
                .network
                .find_node(node.as_str())
                .map_or(Top::Nowhere, Top::Node),
        };
        Self { world, now, top }
    }

    /// Whether it is everything.
    pub(crate) fn is_whole(&self) -> bool {
        self.top == Top::Whole
    }

    /// The nodes at its top.
    pub(crate) fn tops(&self) -> Vec<NodeIx> {
        match self.top {
            Top::Whole => self.world.roots(),
            Top::Node(node) => vec![node],
            Top::Nowhere => Vec::new(),
        }
    }

    fn parent(&self, node: NodeIx) -> Option<NodeIx> {
        let history = &self.world.network.node(node)?.history;
        let rows = history.rows().map(|recorded| &recorded.row);
        let (row, _) = standing(rows, |row| (row.valid_from, row.valid_to), self.now)?;
        self.world.network.find_node(row.parent_id.as_ref()?.as_str())
    }

    pub(crate) fn node(&self, node: NodeIx) -> bool {
        match self.top {
            Top::Whole => true,
            Top::Nowhere => false,
            Top::Node(top) => std::iter::successors(Some(node), |below| self.parent(*below))
                .take(LEVELS_MAX)
                .any(|above| above == top),
        }
    }

    /// As [`Self::node`], by its id.
    pub(crate) fn node_named(&self, node: &str) -> bool {
        self.is_whole()
            || self
                .world
                .network
                .find_node(node)
                .is_some_and(|node| self.node(node))
    }

    /// The node of a connection, how the row that says so holds, and since when.
    fn place(&self, connection: Connection<'_>) -> Option<(NodeIx, bool, UtcMicros)> {
        let rows = connection.history().rows();
        let (row, holds) = standing(rows, |row| (row.valid_from, row.valid_to), self.now)?;
        Some((row.node?, holds, row.valid_from))
    }

    /// Whether one of some connections that are in force, else the last that was, hangs in the area.
    fn connected<'c>(&self, connections: impl Iterator<Item = Connection<'c>>) -> Option<bool> {
        let mut now = None;
        let mut once: Option<(bool, i64, bool)> = None;
        for connection in connections {
            let Some((node, holds, from)) = self.place(connection) else {
                continue;
            };
            let inside = self.node(node);
            if holds {
                now = Some(now.unwrap_or(false) || inside);
            } else {
                // One that was counts before one that will be, the last of those before, the first of these.
                let was = from <= self.now;
                let newer = (was, if was { from.0 } else { from.0.saturating_neg() }, inside);
                once = once.max(Some(newer));
            }
        }
        now.or_else(|| once.map(|(_, _, inside)| inside))
    }

    pub(crate) fn consumer(&self, consumer: &ConsumerId) -> bool {
        self.is_whole() || self.connected(self.world.connections_of(consumer).into_iter()) == Some(true)
    }

    /// As [`Self::consumer`], of a connection alone.
    pub(crate) fn connection(&self, connection: Connection<'_>) -> bool {
        self.is_whole() || self.connected(std::iter::once(connection)) == Some(true)
    }

    /// Whether a connection hangs on this node of the area.
    pub(crate) fn is_at(&self, connection: Connection<'_>, node: NodeIx) -> bool {
        self.place(connection).is_some_and(|(place, _, _)| place == node)
    }

    pub(crate) fn meter(&self, meter: Meter<'_>) -> bool {
        if self.is_whole() {
            return true;
        }
        let rows = meter.history().rows();
        let own = standing(rows, |row| (row.valid_from, row.valid_to), self.now).map(|(row, _)| row);
        let own_inside = || {
            let node = own.and_then(|row| row.node);
            node.is_some_and(|node| self.node(node))
        };
        match own.map(|row| row.role) {
            Some(MeterRole::Dt | MeterRole::Feeder | MeterRole::Boundary) => own_inside(),
            Some(MeterRole::Consumer | MeterRole::Generation) | None => {
                self.connected(meter.connections()).unwrap_or_else(own_inside)
            }
        }
    }

    /// Whether an outage is of a node of the area.
    pub(crate) fn outage(&self, view: &OutageView) -> bool {
        self.node_named(view.outage.node.as_str())
    }

    /// Every node of the area that has a row.
    pub(crate) fn nodes(&self) -> Vec<NodeIx> {
        let known = |node: &NodeIx| {
            let node = self.world.network.node(*node);
            node.is_some_and(|node| node.kind().is_some())
        };
        let Top::Node(top) = self.top else {
            let all = self.world.network.nodes().map(|(node, _)| node);
            return all.filter(|_| self.is_whole()).filter(known).collect();
        };
        let mut found = vec![top];
        let mut next = 0;
        // Each node hangs on one, so that none is found twice; a cycle above the top is not entered.
        while let Some(node) = found.get(next).copied() {
            next += 1;
            let ever = self
                .world
                .network
                .node(node)
                .map_or(&[][..], |node| &node.children);
            let below = ever.iter().copied();
            found.extend(below.filter(|child| *child != top && self.parent(*child) == Some(node)));
        }
        found.retain(known);
        found
    }
}

#[cfg(test)]
mod tests {
    use gridtally_schemas::UtcMicros;

    use super::standing;

    #[test]
    fn the_row_in_force_counts_else_the_last_else_the_first_to_come() {
        let check = |rows: &[(i64, Option<i64>)], expected: Option<(i64, bool)>| {
            let dates = |row: &&(i64, Option<i64>)| (UtcMicros(row.0), row.1.map(UtcMicros));
            let found = standing(rows.iter(), dates, UtcMicros(100));
            assert_eq!(found.map(|(row, holds)| (row.0, holds)), expected, "{rows:?}");
        };
        check(&[(0, Some(50)), (50, None), (120, None)], Some((50, true)));
        check(&[(0, None), (50, Some(60))], Some((0, true)));
        check(&[(0, Some(100)), (50, Some(60))], Some((50, false)));
        check(&[(120, None), (130, None)], Some((120, false)));
        check(&[], None);
    }
}
