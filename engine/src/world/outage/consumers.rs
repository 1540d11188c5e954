//! What is asked of outages about single consumers: their connections, who was part of what, when nothing was due to them.

use std::collections::BTreeSet;

use gridtally_schemas::{ConsumerId, NodeId, outage::PlannedOutageRow};

use super::{World, evidence::Kept};
use crate::{
    network::{Connection, NodeIx},
    outage::{OutageId, Span, off_times},
};

impl World {
    /// What was announced of an outage of this name at a node; `None`: nobody announced it.
    pub(crate) fn planned_named(&self, node: &NodeId, id: &OutageId) -> Option<&PlannedOutageRow> {
        self.outage.plan.row_named(node, id)
    }

    /// The connections of a consumer.
    #[must_use]
    pub fn connections_of(&self, consumer: &ConsumerId) -> Vec<Connection<'_>> {
        self.network.connections_of(consumer.as_str())
    }

    /// Those who are part of some of these outages.
    pub(in crate::world) fn consumers_of_outages(&self, outages: &BTreeSet<OutageId>) -> Vec<ConsumerId> {
        let places = outages.iter().filter_map(|id| self.outage.places.get(id));
        let areas: BTreeSet<NodeIx> = places.flatten().copied().collect();
        let areas = areas.iter().filter_map(|area| self.outage.areas.get(area));
        let interruptions = areas.flat_map(|area| &area.joined.interruptions);
        let part = interruptions.filter(|held| outages.contains(&held.outage));
        part.map(|held| held.consumer.clone()).collect()
    }

    /// Those who were ever interrupted on a feeder, as far as it was looked at.
    pub(in crate::world) fn consumers_interrupted_on(&self, feeder: NodeIx) -> Vec<ConsumerId> {
        let held = self.outage.feeders.get(&feeder);
        let evaluation = held.and_then(|held| held.evaluation.as_ref()).into_iter();
        let interruptions = evaluation.flat_map(|held| &held.interruptions);
        interruptions.map(|held| held.consumer.clone()).collect()
    }

    /// When no supply was due to a consumer of these feeders, or its own switch was open.
    pub(in crate::world) fn off_times_of(&self, consumer: &ConsumerId, feeders: &[NodeIx]) -> Vec<Span> {
        let evidence = Kept {
            network: &self.network,
            outages: &self.outage,
        };
        let held = feeders
            .iter()
            .filter_map(|feeder| self.outage.feeders.get(feeder));
        let pictures = held.filter_map(|held| Some(&held.pictured.as_ref()?.picture));
        let mut off = Vec::new();
        for picture in pictures {
            let found = picture
                .consumers
                .binary_search_by(|held| held.consumer.cmp(consumer));
            if let Some(own) = found.ok().and_then(|found| picture.consumers.get(found)) {
                off.extend(off_times(&self.settings.outage_rules, picture, own, &evidence));
            }
        }
        off
    }
}
