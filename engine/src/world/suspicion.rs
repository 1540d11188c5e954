//! What of the network a period of a feeder is judged by ([`crate::suspicion`]): who hung where throughout it, and with which factor.

use gridtally_schemas::{
    Day, UtcMicros,
    network::{MeterRole, NodeKind, Prosumer},
};

use hashbrown::HashMap;

use super::{World, billing::watt_hours};
use crate::{
    network::{MeterIx, Node, NodeIx},
    suspicion::Period,
};

/// A DT of a feeder, or the feeder itself with its HT consumers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PlannedPlace {
    pub(crate) node_id: String,
    pub(crate) is_dt: bool,
    /// By master data, per mille.
    pub(crate) technical_permille: Option<i64>,
    /// Sanctioned load of its unmetered connections, W.
    pub(crate) unmetered_w: i64,
}

/// A consumer's meter that hangs on one place throughout the period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PlannedMeter {
    pub(crate) meter_id: String,
    pub(crate) consumer_id: String,
    /// Position of its place.
    pub(crate) place: usize,
    pub(crate) multiplier_thousandths: i64,
    /// Quarters of its interval: 1 or 2.
    pub(crate) quarters: i64,
    /// Whether it is billed for import less export.
    pub(crate) is_net: bool,
}

/// What is gathered of a feeder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) feeder_id: String,
    pub(crate) places: Vec<PlannedPlace>,
    pub(crate) meters: Vec<PlannedMeter>,
}

impl World {
    /// Consumers connected at or below a node at an instant.
    #[must_use]
    pub fn consumers_below(&self, top: NodeIx, at: UtcMicros) -> usize {
        let mut below: HashMap<NodeIx, bool> = HashMap::new();
        let mut count = 0;
        for connections in self.network.consumers() {
            let mut nodes = connections.filter_map(|connection| connection.history().at(at)?.node);
            let is_below = nodes.any(|node| {
                let known = below.entry(node);
                *known.or_insert_with(|| self.network.is_at_or_below(node, top, at))
            });
            count += usize::from(is_below);
        }
        count
    }

    /// Every feeder.
    pub(crate) fn feeders(&self) -> Vec<NodeIx> {
        let feeders = self.network.nodes();
        let feeders = feeders.filter(|(_, node)| node.kind() == Some(NodeKind::Feeder));
        feeders.map(|(at, _)| at).collect()
    }

    /// What of a feeder is judged in a period, by the network as it was then.
    pub(crate) fn suspicion_plan(&self, feeder: NodeIx, period: Period) -> Plan {
        let zone = &self.settings.zone;
        let begin = zone.start_of(period.first);
        let end = zone.start_of(Day(period.last.0 + 1));
        let feeder_id = self.id_of(feeder);
        let mut plan = Plan {
            places: vec![PlannedPlace {
                node_id: feeder_id.clone(),
                is_dt: false,
                technical_permille: None,
                unmetered_w: 0,
            }],
            feeder_id,
            meters: Vec::new(),
        };
        let mut nodes = vec![feeder];
        let children = self
            .network
            .node(feeder)
            .map_or(&[][..], |node| node.children.as_slice());
        for child in children {
            if self.stays_on(*child, feeder, (begin, end)) {
                nodes.push(*child);
                plan.places.push(self.planned_dt(*child, begin));
            }
        }
        let mut meters = self.network.meters_ever_on(feeder);
        meters.sort_unstable();
        for meter in meters {
            plan.meters
                .extend(self.planned_meter(meter, &nodes, (begin, end)));
        }
        plan
    }

    fn id_of(&self, node: NodeIx) -> String {
        self.network
            .node(node)
            .map(|node| node.id.to_string())
            .unwrap_or_default()
    }

    fn stays_on(&self, dt: NodeIx, feeder: NodeIx, (begin, end): (UtcMicros, UtcMicros)) -> bool {
        let is_dt = self.network.node(dt).and_then(Node::kind) == Some(NodeKind::Dt);
        let on = |at: UtcMicros| self.network.parent_at(dt, at) == Some(feeder);
        is_dt && on(begin) && on(end.plus(-1))
    }

    fn planned_dt(&self, dt: NodeIx, begin: UtcMicros) -> PlannedPlace {
        let node = self.network.node(dt);
        let technical_pct = node.and_then(|node| node.history.at(begin)?.technical_loss_pct);
        let connections = node.map_or(&[][..], |node| node.connections.as_slice());
        let unmetered = connections.iter().filter_map(|at| {
            let connection = self.network.connection(*at)?;
            let row = connection.history().at(begin)?;
            let is_here = connection.meter().is_none() && row.node == Some(dt);
            Some(watt_hours(row.sanctioned_load_kw.filter(|_| is_here)?))
        });
        PlannedPlace {
            node_id: self.id_of(dt),
            is_dt: true,
            technical_permille: technical_pct.map(|percent| watt_hours(percent / 100.0)),
            unmetered_w: unmetered.sum(),
        }
    }

    fn planned_meter(
        &self,
        meter: MeterIx,
        nodes: &[NodeIx],
        (begin, end): (UtcMicros, UtcMicros),
    ) -> Option<PlannedMeter> {
        let mut same = UtcMicros(i64::MIN)..UtcMicros(i64::MAX);
        let service = self.network.service(meter, begin, &mut same)?;
        let connection = service.connection.filter(|_| same.end >= end)?;
        let place = nodes.iter().position(|node| Some(*node) == service.node)?;
        match service.meter.role {
            MeterRole::Consumer => Some(PlannedMeter {
                meter_id: self.network.meter(meter)?.id().to_owned(),
                consumer_id: connection.consumer_id().to_owned(),
                place,
                multiplier_thousandths: service.meter.multiplier.thousandths(),
                quarters: i64::from(service.meter.interval_minutes.quarters()),
                is_net: connection.prosumer == Prosumer::NetMetering,
            }),
            MeterRole::Generation | MeterRole::Dt | MeterRole::Feeder | MeterRole::Boundary => None,
        }
    }
}
