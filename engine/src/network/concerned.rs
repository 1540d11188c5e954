//! What a master row will change, asked before it is merged: never less than what [`Network::merge`] then touches.
//!
//! Of the rows of one record each may lean on another (a DT's row names a feeder that a later row makes one). The union over all of
//! them still holds: where a row gives a node a new place, that node is named by its own row.

use gridtally_schemas::{
    NodeId, UtcMicros,
    network::{ConnectionRow, MasterRows, MeterRow, NodeKind, NodeRow},
};

use super::{Dated, History, MeterIx, Network, NodeIx};

/// What a row that is not merged yet can change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Concerned {
    /// Nothing before this instant; [`SINCE_EVER`] where the row says what a node is.
    pub(crate) since: UtcMicros,
    /// Feeders whose rosters may be others.
    pub(crate) feeders: Vec<NodeIx>,
    /// Meters that may join one of them.
    pub(crate) meters: Vec<MeterIx>,
}

/// Before every instant.
pub(crate) const SINCE_EVER: UtcMicros = UtcMicros(i64::MIN);

impl<R: Dated> History<R> {
    fn knows(&self, row: &R) -> bool {
        let at = self
            .0
            .binary_search_by_key(&row.valid_from(), |held| held.row.valid_from());
        at.ok()
            .and_then(|at| self.0.get(at))
            .is_some_and(|held| held.row == *row)
    }
}

impl Network {
    fn feeders_above_id(&self, id: &NodeId, feeders: &mut Vec<NodeIx>) {
        if let Some(node) = self.find_node(id.as_str()) {
            self.feeders_above(node, feeders);
        }
    }

    /// What each of these rows can change; nothing for a row that is known.
    pub(crate) fn concerned_by(&self, rows: &MasterRows) -> Vec<Concerned> {
        match rows {
            MasterRows::Nodes(rows) => rows.iter().filter_map(|row| self.by_node(row)).collect(),
            MasterRows::Meters(rows) => rows.iter().filter_map(|row| self.by_meter(row)).collect(),
            MasterRows::Connections(rows) => rows.iter().filter_map(|row| self.by_connection(row)).collect(),
        }
    }

    /// From when on the picture is another once these rows are merged.
    pub(crate) fn concerned_since(&self, rows: &MasterRows) -> UtcMicros {
        let since = match rows {
            MasterRows::Nodes(rows) => rows.iter().map(|row| self.node_since(row)).min(),
            MasterRows::Meters(rows) => rows.iter().map(|row| row.valid_from).min(),
            MasterRows::Connections(rows) => rows.iter().map(|row| row.valid_from).min(),
        };
        since.unwrap_or(SINCE_EVER)
    }

    /// What a node is holds for all times: a row that says it anew, or first of a node that something hangs on, concerns them all.
    fn node_since(&self, row: &NodeRow) -> UtcMicros {
        let Some(entry) = self
            .find_node(row.node_id.as_str())
            .and_then(|node| self.node(node))
        else {
            return row.valid_from;
        };
        let is_bare = entry.children.is_empty() && entry.connections.is_empty() && entry.meters.is_empty();
        match entry.kind() {
            Some(kind) if kind == row.kind => row.valid_from,
            None if is_bare => row.valid_from,
            Some(_) | None => SINCE_EVER,
        }
    }

    fn by_node(&self, row: &NodeRow) -> Option<Concerned> {
        let index = self.find_node(row.node_id.as_str());
        let entry = index.and_then(|index| self.node(index));
        if entry.is_some_and(|entry| entry.history.knows(row)) {
            return None;
        }
        let (mut feeders, mut meters) = (Vec::new(), Vec::new());
        if let Some((index, entry)) = index.zip(entry) {
            if row.kind == NodeKind::Feeder || entry.kind() == Some(NodeKind::Feeder) {
                feeders.push(index);
            }
            self.feeders_at_or_below(index, &mut feeders);
            for child in &entry.children {
                self.feeders_at_or_below(*child, &mut feeders);
            }
            self.feeders_above(index, &mut feeders);
            meters = self.meters_ever_on(index);
        }
        self.feeder_named(row.parent_id.as_ref(), &mut feeders);
        Some(Concerned {
            since: self.node_since(row),
            feeders,
            meters,
        })
    }

    fn by_meter(&self, row: &MeterRow) -> Option<Concerned> {
        let meter = self.find_meter(row.meter_id.as_str());
        let entry = meter.and_then(|meter| self.meter(meter));
        if entry.is_some_and(|entry| entry.history().knows(row)) {
            return None;
        }
        let mut feeders = Vec::new();
        if let Some(meter) = meter {
            self.feeders_of_meter(meter, &mut feeders);
        }
        for node in [&row.node_id, &row.boundary_to].into_iter().flatten() {
            self.feeders_above_id(node, &mut feeders);
        }
        Some(Concerned {
            since: row.valid_from,
            feeders,
            meters: meter.into_iter().collect(),
        })
    }

    fn by_connection(&self, row: &ConnectionRow) -> Option<Concerned> {
        let entry = self.find_connection(&row.consumer_id, row.meter_id.as_ref());
        if entry.is_some_and(|entry| entry.history().knows(row)) {
            return None;
        }
        let mut feeders = Vec::new();
        if let Some(entry) = entry {
            self.feeders_of_connection(entry.index(), &mut feeders);
        }
        self.feeders_above_id(&row.node_id, &mut feeders);
        let meter = row.meter_id.as_ref().and_then(|id| self.find_meter(id.as_str()));
        Some(Concerned {
            since: row.valid_from,
            feeders,
            meters: meter.into_iter().collect(),
        })
    }
}
