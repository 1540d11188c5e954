//! What others look up of outages.

use std::collections::BTreeMap;

use gridtally_schemas::{
    ConsumerId, Day, MeterId, NodeId, UtcMicros,
    network::NodeKind,
    outage::{Cause, PlannedOutageRow},
};

use super::{FormerOutage, OutageView, World, picture::above};
use crate::{
    network::{Connection, Meter, Node, NodeIx},
    outage::{Evaluation, FeederPicture, Interruption, Outage, OutageId, Signal, Span},
};

/// How many outages are on, and whom they concern.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct OutageCounts {
    /// Outages that are on.
    pub open: usize,
    /// Consumers without supply that is due to them.
    pub consumers_out: usize,
}

/// An event of a meter that an interruption rests on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeterSignal {
    /// The meter.
    pub meter: MeterId,
    /// When, by its clock.
    pub at: UtcMicros,
    /// What it says about supply.
    pub signal: Signal,
}

impl World {
    /// How many outages are on, and how many consumers are without supply.
    #[must_use]
    pub fn outage_counts(&self) -> OutageCounts {
        OutageCounts {
            open: self.outage.open.len(),
            consumers_out: self.outage.areas.values().map(|area| area.consumers_out).sum(),
        }
    }

    /// An outage as it stands; `None`: there is none of that id (any more).
    #[must_use]
    pub fn outage(&self, id: &OutageId) -> Option<OutageView> {
        self.outage_view(id)
    }

    /// Every outage that stands, by id.
    pub fn outages(&self) -> impl Iterator<Item = OutageView> {
        let mut ids: Vec<&OutageId> = self.outage.places.keys().collect();
        ids.sort_unstable();
        ids.into_iter().filter_map(|id| self.outage_view(id))
    }

    /// Every outage that is on, by id.
    pub fn open_outages(&self) -> impl Iterator<Item = OutageView> {
        self.outage.open.iter().filter_map(|id| self.outage_view(id))
    }

    /// Number of the last published version of an outage; 0: none yet.
    #[must_use]
    pub fn published_outage(&self, id: &OutageId) -> i64 {
        self.outage.ledger.outage_version(id)
    }

    /// An outage that was published and stands no more; `None`: it stands, or was never published.
    #[must_use]
    pub fn former_outage(&self, id: &OutageId) -> Option<FormerOutage> {
        self.outage
            .ledger
            .former(id)
            .filter(|_| !self.outage.places.contains_key(id))
    }

    /// The month in which the published versions of an outage lie; `None`: there is none.
    #[must_use]
    pub fn outage_month(&self, id: &OutageId) -> Option<Day> {
        self.outage.ledger.outage_month(id)
    }

    /// The number of the last version of an outage that was published, or is being published.
    #[must_use]
    pub fn last_outage_sequence(&self) -> i64 {
        self.outage.ledger.last_sequence()
    }

    /// Number of the last published version of an interruption; 0: none yet.
    #[must_use]
    pub fn published_interruption(&self, interruption: &Interruption) -> i64 {
        let ledger = &self.outage.ledger;
        ledger.interruption_version(&interruption.consumer, interruption.started_at)
    }

    /// The interruptions of an outage, by begin and consumer.
    pub fn interruptions_of_outage<'a>(&'a self, id: &'a OutageId) -> impl Iterator<Item = &'a Interruption> {
        let areas = self.outage.places.get(id).into_iter().flatten();
        areas
            .filter_map(|at| self.outage.areas.get(at))
            .flat_map(|area| &area.joined.interruptions)
            .filter(move |interruption| interruption.outage == *id)
    }

    /// The interruptions of a consumer, by begin.
    pub fn interruptions_of_consumer<'a>(
        &'a self,
        consumer: &'a str,
    ) -> impl Iterator<Item = &'a Interruption> {
        let begins: Vec<UtcMicros> = self
            .outage
            .interruptions
            .get(consumer)
            .map(BTreeMap::keys)
            .into_iter()
            .flatten()
            .copied()
            .collect();
        begins
            .into_iter()
            .filter_map(|started_at| self.outage.interruption(consumer, started_at))
    }

    /// Every interruption that stands, in no order.
    pub fn interruptions(&self) -> impl Iterator<Item = &Interruption> {
        let areas = self.outage.areas.values();
        areas.flat_map(|area| &area.joined.interruptions)
    }

    /// Every feeder on which something happened, with what its evidence comes to and its picture.
    pub(in crate::world) fn outage_feeders(
        &self,
    ) -> impl Iterator<Item = (NodeIx, &Evaluation, &FeederPicture)> {
        self.outage.feeders.iter().filter_map(|(feeder, held)| {
            let (evaluation, pictured) = (held.evaluation.as_ref()?, held.pictured.as_ref()?);
            Some((*feeder, evaluation, &pictured.picture))
        })
    }

    /// Whether a consumer has, or ever had, a connection.
    #[must_use]
    pub fn knows_consumer(&self, consumer: &ConsumerId) -> bool {
        !self.connections_of(consumer).is_empty()
    }

    /// What the meters of a consumer said in `within` that bears on supply, by time.
    #[must_use]
    pub fn signals_of(&self, consumer: &ConsumerId, within: Span) -> Vec<MeterSignal> {
        let connections = self.connections_of(consumer);
        let meters = connections.into_iter().filter_map(Connection::meter);
        let mut signals: Vec<MeterSignal> = Vec::new();
        for meter in meters {
            let id = self.network.meter(meter).and_then(Meter::meter_id);
            let (Some(id), Some(evidence)) = (id, self.outage.evidence.get(&meter)) else {
                continue;
            };
            let said = evidence.signals().iter().filter(|(at, _)| within.contains(*at));
            signals.extend(said.map(|(at, signal)| MeterSignal {
                meter: id.clone(),
                at: *at,
                signal: *signal,
            }));
        }
        signals.sort_by(|one, other| (one.at, &one.meter).cmp(&(other.at, &other.meter)));
        signals.dedup();
        signals
    }

    /// The feeders that a node is, hangs under or has below it, as the network stands now; by id.
    #[must_use]
    pub fn feeders_at(&self, node: &NodeId) -> Vec<NodeId> {
        let Some(at) = self.network.find_node(node.as_str()) else {
            return Vec::new();
        };
        let is_feeder = |node: &Node| node.kind() == Some(NodeKind::Feeder);
        let feeder_above = above(&self.network, at).into_iter().find(|id| {
            let node = self.network.find_node(id.as_str());
            node.and_then(|node| self.network.node(node))
                .is_some_and(is_feeder)
        });
        if let Some(feeder) = feeder_above {
            return vec![feeder];
        }
        let mut below = Vec::new();
        self.network.feeders_at_or_below(at, &mut below);
        let stands = |feeder: &&NodeIx| **feeder == at || above(&self.network, **feeder).contains(node);
        let ids = below.iter().filter(stands);
        let mut ids: Vec<NodeId> = ids
            .filter_map(|feeder| self.network.node(*feeder))
            .map(|feeder| feeder.id.clone())
            .collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// What was announced of an outage; `None`: nobody announced it.
    #[must_use]
    pub fn planned_of(&self, outage: &Outage) -> Option<&PlannedOutageRow> {
        self.outage.plan.row_of(outage)
    }

    /// What people said of outages at a node, with when it was recorded, oldest first.
    pub fn causes_at<'a>(&'a self, node: &'a NodeId) -> impl Iterator<Item = (UtcMicros, &'a Cause)> {
        let causes = self.outage.causes.iter();
        causes
            .filter(move |(_, cause)| cause.node_id == *node)
            .map(|(at, cause)| (*at, cause))
    }
}
