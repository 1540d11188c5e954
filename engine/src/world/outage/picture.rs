//! The network as the outages of one feeder need it, made of master data and plans.

use gridtally_schemas::{
    NodeId, UtcMicros, Zone,
    network::{MeterRole, NodeKind},
};

use super::{Pictured, plan::Plan};
use crate::{
    network::{Connection, LEVELS_MAX, Meter, MeterIx, Network, NodeIx},
    outage::{ConsumerPicture, DtPicture, FOREVER, FeederPicture, Hang, Span, Stint},
};

/// What a picture is made of.
pub(super) struct Maker<'a> {
    pub(super) network: &'a Network,
    pub(super) plan: &'a Plan,
    pub(super) zone: &'a Zone,
    /// The time for which hours of supply are spelled out.
    pub(super) hours: Span,
}

/// A feeder's place in the network.
struct Place {
    feeder: NodeIx,
    /// Its DTs, by id.
    dts: Vec<(NodeIx, NodeId)>,
}

impl Maker<'_> {
    /// The picture of a feeder; `None` when the node is none.
    pub(super) fn picture(&self, feeder: NodeIx) -> Option<Pictured> {
        let node = self.network.node(feeder)?;
        if node.kind() != Some(NodeKind::Feeder) {
            return None;
        }
        let mut dts: Vec<(NodeIx, NodeId)> = node
            .children
            .iter()
            .filter_map(|child| Some((*child, self.network.node(*child)?)))
            .filter(|(_, child)| child.kind() == Some(NodeKind::Dt))
            // A row that was corrected since may have put it here: what was known in between must not tell (ORD-1).
            .filter(|(_, child)| {
                let mut rows = child.history.rows();
                rows.any(|row| row.row.parent_id.as_ref() == Some(&node.id))
            })
            .map(|(child, entry)| (child, entry.id.clone()))
            .collect();
        dts.sort_by(|one, other| one.1.cmp(&other.1));
        let place = Place { feeder, dts };
        let mut picture = FeederPicture {
            feeder: node.id.clone(),
            above: above(self.network, feeder),
            meters: self.own_meters(feeder, MeterRole::Feeder),
            dts: place
                .dts
                .iter()
                .map(|(dt, id)| DtPicture {
                    node: id.clone(),
                    meters: self.own_meters(*dt, MeterRole::Dt),
                })
                .collect(),
            consumers: Vec::new(),
            without_supply: Vec::new(),
            planned: Vec::new(),
        };
        let of_dts = place.dts.iter().map(|(_, id)| id);
        let nodes = std::iter::once(&picture.feeder)
            .chain(&picture.above)
            .chain(of_dts);
        picture.planned = self.plan.planned_at(nodes);
        self.add_consumers(&place, &mut picture);
        let stints = picture
            .consumers
            .iter()
            .flat_map(|consumer| &consumer.meters)
            .chain(picture.dts.iter().flat_map(|dt| &dt.meters))
            .chain(&picture.meters);
        let mut meters: Vec<MeterIx> = stints
            .filter_map(|stint| self.network.find_meter(stint.meter.as_str()))
            .collect();
        meters.sort_unstable();
        meters.dedup();
        Some(Pictured {
            picture,
            meters,
            hours: self.hours,
        })
    }

    /// The meters of a node itself, with when each served there.
    fn own_meters(&self, node: NodeIx, role: MeterRole) -> Vec<Stint> {
        let Some(entry) = self.network.node(node) else {
            return Vec::new();
        };
        let mut stints: Vec<Stint> = Vec::new();
        for meter in &entry.meters {
            let Some(meter) = self.network.meter(*meter) else {
                continue;
            };
            let history = meter.history();
            let spans = spans_where(&cuts_of(history.terms()), |at| {
                let row = history.at(at)?;
                (row.role == role && row.node == Some(node)).then_some(())
            });
            add_stints(&mut stints, meter, spans);
        }
        stints.sort_by(|one, other| (one.span, &one.meter).cmp(&(other.span, &other.meter)));
        stints
    }

    fn add_consumers(&self, place: &Place, picture: &mut FeederPicture) {
        let nodes = std::iter::once(place.feeder).chain(place.dts.iter().map(|(dt, _)| *dt));
        let mut consumers: Vec<&str> = nodes
            .filter_map(|node| self.network.node(node))
            .flat_map(|node| &node.connections)
            .filter_map(|connection| self.network.connection(*connection))
            .map(Connection::consumer_id)
            .collect();
        consumers.sort_unstable();
        consumers.dedup();
        let mut lists = Vec::new();
        for consumer in consumers {
            let connections = self.network.connections_of(consumer);
            let hangs = self.hangs(place, &connections);
            let id = connections.first().and_then(|connection| connection.consumer());
            let Some(consumer) = id.filter(|_| !hangs.is_empty()) else {
                continue;
            };
            let wanted = self.hours_of(place, picture, (&hangs, &connections));
            let without_supply = wanted.map(|wanted| {
                lists.iter().position(|held| *held == wanted).unwrap_or_else(|| {
                    let spans = self.plan.without_supply(&wanted, self.hours, self.zone);
                    picture.without_supply.push(spans);
                    lists.push(wanted);
                    lists.len() - 1
                })
            });
            picture.consumers.push(ConsumerPicture {
                consumer,
                meters: self.meters(&connections),
                hangs,
                without_supply,
            });
        }
    }

    /// Where a consumer hung on this feeder. Of several connections at once the one with the lowest meter says where, so that a
    /// consumer hangs at one place at a time, whichever feeder asks.
    fn hangs(&self, place: &Place, connections: &[Connection<'_>]) -> Vec<Hang> {
        let mut cuts: Vec<UtcMicros> = Vec::new();
        for connection in connections {
            cuts.extend(cuts_of(connection.history().terms()));
            for row in connection.history().rows() {
                if let Some(node) = row.node.and_then(|node| self.network.node(node)) {
                    cuts.extend(cuts_of(node.history.terms()));
                }
            }
        }
        let hang = |at: UtcMicros| {
            let rows = connections
                .iter()
                .filter_map(|connection| connection.history().at(at));
            let row = rows.min_by_key(|row| row.meter_id())?;
            let node = row.node?;
            if node == place.feeder {
                return Some(None);
            }
            let id = row.node_id()?;
            let dt = place.dts.binary_search_by(|(_, held)| held.cmp(id)).ok()?;
            (self.network.parent_at(node, at) == Some(place.feeder)).then_some(Some(dt))
        };
        let spans = spans_where(&cuts, hang);
        spans.into_iter().map(|(span, dt)| Hang { span, dt }).collect()
    }

    /// The meters of role consumer that served these connections, with when.
    fn meters(&self, connections: &[Connection<'_>]) -> Vec<Stint> {
        let mut stints: Vec<Stint> = Vec::new();
        for connection in connections {
            let Some(meter) = connection.meter().and_then(|meter| self.network.meter(meter)) else {
                continue;
            };
            let (connected, history) = (connection.history(), meter.history());
            let mut cuts = cuts_of(connected.terms());
            cuts.extend(cuts_of(history.terms()));
            let spans = spans_where(&cuts, |at| {
                let row = history.at(at)?;
                (row.role == MeterRole::Consumer && connected.at(at).is_some()).then_some(())
            });
            add_stints(&mut stints, meter, spans);
        }
        stints.sort_by(|one, other| (one.span, &one.meter).cmp(&(other.span, &other.meter)));
        stints
    }

    /// The hours of supply of a consumer, by its newest place and category.
    fn hours_of(
        &self,
        place: &Place,
        picture: &FeederPicture,
        (hangs, connections): (&[Hang], &[Connection<'_>]),
    ) -> Option<super::plan::HoursOf> {
        let dt = hangs.last().and_then(|hang| hang.dt);
        let dt = dt.and_then(|dt| place.dts.get(dt)).map(|(_, id)| id);
        let places: Vec<&NodeId> = dt
            .into_iter()
            .chain(std::iter::once(&picture.feeder))
            .chain(&picture.above)
            .collect();
        let newest = connections
            .iter()
            .filter_map(|connection| connection.history().newest())
            .max_by_key(|row| (row.valid_from, row.meter_id()));
        let category = newest.as_ref().map(|row| row.category.as_str());
        self.plan.hours_of(&places, category)
    }
}

/// The nodes above a node by their newest rows, nearest first.
pub(in crate::world) fn above(network: &Network, node: NodeIx) -> Vec<NodeId> {
    let mut above: Vec<NodeId> = Vec::new();
    let mut below = Some(node);
    while let Some(node) = below.filter(|_| above.len() < LEVELS_MAX) {
        below = parent(network, node);
        let Some(entry) = below.and_then(|parent| network.node(parent)) else {
            break;
        };
        if above.contains(&entry.id) {
            break; // A cycle in the rows.
        }
        above.push(entry.id.clone());
    }
    above
}

/// The node above a node by its newest row.
pub(super) fn parent(network: &Network, node: NodeIx) -> Option<NodeIx> {
    let row = network.node(node)?.history.newest()?;
    network.find_node(row.parent_id.as_ref()?.as_str())
}

/// When rows begin and end.
fn cuts_of(terms: impl Iterator<Item = (UtcMicros, Option<UtcMicros>)>) -> Vec<UtcMicros> {
    terms.flat_map(|(from, to)| [Some(from), to]).flatten().collect()
}

fn add_stints(stints: &mut Vec<Stint>, meter: Meter<'_>, spans: Vec<(Span, ())>) {
    let stint = |(span, ())| {
        Some(Stint {
            meter: meter.meter_id()?,
            span,
        })
    };
    stints.extend(spans.into_iter().filter_map(stint));
}

/// The spans in which `says` says one thing, from the first cut on; it says the same from one cut until the next.
fn spans_where<T: PartialEq>(cuts: &[UtcMicros], says: impl Fn(UtcMicros) -> Option<T>) -> Vec<(Span, T)> {
    let mut cuts = cuts.to_vec();
    cuts.sort_unstable();
    cuts.dedup();
    let mut spans: Vec<(Span, T)> = Vec::new();
    for (at, from) in cuts.iter().enumerate() {
        let to = cuts.get(at + 1).copied().unwrap_or(FOREVER);
        let Some(said) = says(*from) else { continue };
        match spans.last_mut() {
            Some((span, held)) if span.to == *from && *held == said => span.to = to,
            Some(_) | None => spans.push((Span::new(*from, to), said)),
        }
    }
    spans
}
