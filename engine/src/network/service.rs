//! What a meter serves at an instant, and for how long nothing about that changes.

use std::ops::Range;

use gridtally_schemas::{UtcMicros, network::MeterRole};

use super::{ConnectionRowOf, MeterIx, MeterRowOf, Network, NodeIx, roster::watt_hours};

/// A meter in service.
#[derive(Debug, Clone, Copy)]
pub struct Service<'a> {
    /// Its row.
    pub meter: MeterRowOf<'a>,
    /// The connection that it serves; `None` for meters of the network itself.
    pub connection: Option<ConnectionRowOf<'a>>,
    /// The node that it stands at.
    pub node: Option<NodeIx>,
    /// What its connection is sanctioned for, or what its node is rated for at power factor 1, W; `None`: not known.
    pub capacity_w: Option<i64>,
}

impl Network {
    /// What `meter` serves at `instant`, which lies in `span`: that is narrowed to where it stays so. `None`: it is not in service, or it
    /// is a consumer's meter and no connection is known.
    ///
    /// Of several connections at once the one with the lowest consumer id counts, so that the order of learning does not.
    #[must_use]
    pub fn service(
        &self,
        meter: MeterIx,
        instant: UtcMicros,
        span: &mut Range<UtcMicros>,
    ) -> Option<Service<'_>> {
        let entry = self.meter(meter)?;
        entry.history().narrow(instant, span);
        let mut connection: Option<ConnectionRowOf<'_>> = None;
        for held in entry.connections() {
            held.history().narrow(instant, span);
            let row = held.history().at(instant);
            connection = match (connection, row) {
                (Some(best), Some(row)) if row.consumer_id() < best.consumer_id() => Some(row),
                (best, row) => best.or(row),
            };
        }
        let row = entry.history().at(instant)?;
        match row.role {
            MeterRole::Consumer | MeterRole::Generation => {
                let connection = connection?;
                Some(Service {
                    meter: row,
                    connection: Some(connection),
                    node: connection.node,
                    capacity_w: watts(connection.sanctioned_load_kw),
                })
            }
            MeterRole::Dt | MeterRole::Feeder | MeterRole::Boundary => {
                let node = row.node;
                let rated = node.and_then(|node| self.node(node)).and_then(|entry| {
                    entry.history.narrow(instant, span);
                    entry.history.at(instant)?.capacity_kva
                });
                Some(Service {
                    meter: row,
                    connection: None,
                    node,
                    capacity_w: watts(rated.filter(|_| row.role != MeterRole::Boundary)),
                })
            }
        }
    }

    /// The meters that measure a DT at `instant`.
    pub fn meters_of_dt(&self, dt: NodeIx, instant: UtcMicros) -> impl Iterator<Item = MeterIx> {
        let meters = self.node(dt).map_or(&[][..], |node| node.meters.as_slice());
        meters.iter().copied().filter(move |meter| {
            let row = self.meter(*meter).and_then(|meter| meter.history().at(instant));
            row.is_some_and(|row| row.role == MeterRole::Dt && row.node == Some(dt))
        })
    }

    /// The meters that ever served a connection at a node.
    pub fn meters_connected_to(&self, node: NodeIx) -> impl Iterator<Item = MeterIx> {
        let connections = self
            .node(node)
            .map_or(&[][..], |node| node.connections.as_slice());
        connections.iter().filter_map(|at| self.connection(*at)?.meter())
    }
}

/// Power of a rating in kW or kVA; `None`: not said, or nothing.
fn watts(kilo: Option<f64>) -> Option<i64> {
    Some(watt_hours(kilo? * 1_000.0)).filter(|watts| *watts > 0)
}
