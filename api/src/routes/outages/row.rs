//! An outage as the routes and the event stream tell of it.

use gridtally_engine::{
    World,
    outage::OutageId,
    world::{OutageView, outage::OutageValues},
};
use gridtally_schemas::{UtcMicros, Zone};
use serde::Serialize;
use utoipa::ToSchema;

use crate::form::{Column, Holds};

/// An outage.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct OutageRow {
    /// Its id.
    #[schema(example = "F12.20260401T0430")]
    pub(crate) outage_id: String,
    /// The lowest node that it covers.
    pub(crate) node_id: String,
    /// That node's name for people.
    pub(crate) node_name: String,
    /// How far it reaches: service_line, dt, feeder or substation.
    pub(crate) scope: String,
    /// BREAKDOWN, PLANNED, SCHEDULED_ROSTERING or EMERGENCY_ROSTERING.
    pub(crate) class: String,
    /// SCHEDULED, ACTIVE, PARTIALLY_RESTORED, RESTORED or CANCELLED.
    pub(crate) status: String,
    /// Cause as the crew recorded it. Null: not recorded.
    pub(crate) cause: Option<String>,
    /// Fault type of the regulation. Null: not recorded; the scope decides.
    pub(crate) fault_type: Option<String>,
    /// Whether it is exempt as force majeure.
    pub(crate) force_majeure: bool,
    /// First interruption; planned and not begun: its planned begin.
    pub(crate) started_at: String,
    /// Last restoration. Null: not over.
    pub(crate) ended_at: Option<String>,
    /// Estimated time of restoration. Null: nobody can say, or it is over.
    pub(crate) etr: Option<String>,
    /// What that rests on: crew, announced (its planned end), or an estimate, the median of past_outages_of_scope_and_fault_type or
    /// past_outages_of_scope. Null: there is none.
    pub(crate) etr_basis: Option<String>,
    /// How many past outages an estimate is the median of. Null: it is no estimate.
    pub(crate) etr_outages: Option<i64>,
    /// Consumers that it interrupted, each once.
    pub(crate) consumers_affected: i64,
    /// Of these, those who are back.
    pub(crate) consumers_restored: i64,
    /// Number of its version in `outages`. 0: not published yet.
    pub(crate) version: i64,
}

pub(super) const COLUMNS: [Column; 17] = [
    Column("outage_id", Holds::Text),
    Column("node_id", Holds::Text),
    Column("node_name", Holds::Text),
    Column("scope", Holds::Text),
    Column("class", Holds::Text),
    Column("status", Holds::Text),
    Column("cause", Holds::Text),
    Column("fault_type", Holds::Text),
    Column("force_majeure", Holds::Truth),
    Column("started_at", Holds::Instant),
    Column("ended_at", Holds::Instant),
    Column("etr", Holds::Instant),
    Column("etr_basis", Holds::Text),
    Column("etr_outages", Holds::Whole),
    Column("consumers_affected", Holds::Whole),
    Column("consumers_restored", Holds::Whole),
    Column("version", Holds::Whole),
];

impl OutageRow {
    pub(crate) fn of(world: &World, zone: &Zone, view: OutageView) -> Self {
        let (id, restored) = (view.outage.id.clone(), view.outage.consumers_restored);
        let version = world.published_outage(&id);
        let values = OutageValues::of(view);
        let row = Self::published(world, zone, (&id, version), values);
        Self {
            consumers_restored: i64::try_from(restored).unwrap_or(i64::MAX),
            ..row
        }
    }

    /// As a version of it says.
    pub(super) fn published(
        world: &World,
        zone: &Zone,
        (id, version): (&OutageId, i64),
        values: OutageValues,
    ) -> Self {
        let text = |at: UtcMicros| at.to_rfc3339(zone);
        let node = world.network.find_node(&values.node_id);
        let name = node.and_then(|node| world.network.node(node));
        Self {
            outage_id: id.to_string(),
            node_name: name.map_or_else(|| values.node_id.clone(), |node| node.name().to_owned()),
            node_id: values.node_id,
            scope: values.scope,
            class: values.class,
            status: values.status,
            cause: values.cause,
            fault_type: values.fault_type,
            force_majeure: values.force_majeure,
            started_at: text(values.started_at),
            ended_at: values.ended_at.map(text),
            etr: values.etr.map(text),
            etr_basis: values.etr_basis,
            etr_outages: values.etr_outages,
            consumers_affected: values.consumers_affected,
            consumers_restored: 0,
            version,
        }
    }
}
