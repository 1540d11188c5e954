//! GET /places: where nodes stand, with their loss of a day: enough to draw a map of the network.

use axum::{extract::State, http::HeaderMap, response::Response};
use gridtally_engine::{
    World,
    network::{Node, NodeIx},
};
use gridtally_schemas::{NodeId, network::NodeKind};
use serde::Serialize;
use utoipa::ToSchema;

use super::nodes;
use crate::{
    access::{Caller, reach::Reach},
    app::App,
    figures::Attention,
    form::{Column, Holds, Table},
    look::{self, Instant},
    parameters::Parameters,
    problem::Problem,
};

/// Places of an answer when nobody asks for a number.
const PLACES: usize = 2_000;
/// Most places of an answer.
const PLACES_MAX: usize = 10_000;

/// A node with coordinates.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct Place {
    /// Its id.
    node_id: String,
    /// Its kind.
    kind: Option<&'static str>,
    /// Its name for people.
    name: String,
    /// The node above, now. Null: there is none.
    parent_id: Option<String>,
    /// Latitude, degrees.
    lat: f64,
    /// Longitude, degrees.
    lon: f64,
    /// Loss of the day, per cent. Null: not shown.
    loss_pct: Option<f64>,
    /// What it asks of people.
    attention: Attention,
}

const COLUMNS: [Column; 8] = [
    Column("node_id", Holds::Text),
    Column("kind", Holds::Text),
    Column("name", Holds::Text),
    Column("parent_id", Holds::Text),
    Column("lat", Holds::Number),
    Column("lon", Holds::Number),
    Column("loss_pct", Holds::Number),
    Column("attention", Holds::Text),
];

/// Places of nodes.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Places {
    /// The civil day of the losses.
    day: String,
    /// They, from the top of the hierarchy down, by id within a kind.
    places: Vec<Place>,
    /// DTs without coordinates.
    dts_not_placed: usize,
    /// Nodes with coordinates beyond `limit`.
    left_out: usize,
}

impl Place {
    fn of(world: &World, (index, node): (NodeIx, &Node), at: Instant) -> Option<Self> {
        let (lat, lon) = coordinates(node)?;
        let figures = look::day_figures(world, index, at.day);
        let parent = world.network.parent_at(index, at.now);
        Some(Self {
            node_id: node.id.to_string(),
            kind: node.kind().map(NodeKind::as_str),
            name: node.name().to_owned(),
            parent_id: parent
                .and_then(|parent| world.network.node(parent))
                .map(|parent| parent.id.to_string()),
            lat,
            lon,
            loss_pct: figures.loss_pct,
            attention: figures.attention,
        })
    }
}

fn coordinates(node: &Node) -> Option<(f64, f64)> {
    let row = node.history.newest()?;
    Some((row.lat?, row.lon?))
}

/// Where nodes stand, with their loss of a day: the upper levels first, so that a limit leaves out DTs before feeders.
#[utoipa::path(
    get,
    path = "/api/v1/places",
    tag = "Network",
    params(
        ("under" = Option<String>, Query, description = "Only nodes at or below this one. Default: all."),
        ("day" = Option<String>, Query, description = "Civil day of the losses, YYYY-MM-DD. Default: today."),
        ("limit" = Option<usize>, Query, description = "Places, 1 to 10,000. Default 2,000."),
    ),
    responses(
        (status = 200, description = "The places.", content((Places = "application/json"), (String = "text/csv"), (Vec<u8> = "application/vnd.apache.arrow.stream"))),
        (status = 400, description = "A parameter cannot be used.", body = crate::problem::ProblemDocument),
        (status = 404, description = "There is no such node.", body = crate::problem::ProblemDocument),
    )
)]
pub(crate) async fn get(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let under = parameters.parsed::<NodeId>("under")?;
    let at = nodes::at(&app, &mut parameters)?;
    let limit = parameters.count("limit", PLACES, PLACES_MAX)?;
    parameters.finish()?;
    let places = app.engine.read(|world| {
        let reach = Reach::of(world, &caller, at.now);
        let top = under
            .as_ref()
            .map(|id| nodes::find_in(world, &reach, id))
            .transpose()?;
        let inside = |index| {
            reach.node(index) && top.is_none_or(|top| world.network.is_at_or_below(index, top, at.now))
        };
        let known = world.network.nodes().filter(|(_, node)| node.kind().is_some());
        let (mut placed, others): (Vec<_>, Vec<_>) = known
            .filter(|(index, _)| inside(*index))
            .partition(|(_, node)| coordinates(node).is_some());
        placed.sort_unstable_by_key(|(_, node)| (level(node), &node.id));
        let left_out = placed.len().saturating_sub(limit);
        placed.truncate(limit);
        let dts = others
            .iter()
            .filter(|(_, node)| node.kind() == Some(NodeKind::Dt));
        Ok(Places {
            day: at.day.to_string(),
            dts_not_placed: dts.count(),
            left_out,
            places: placed
                .into_iter()
                .filter_map(|place| Place::of(world, place, at))
                .collect(),
        })
    })?;
    Table {
        columns: &COLUMNS,
        rows: &places.places,
        name: "places",
    }
    .answer(&headers, &places)
}

/// How far below the top a kind stands.
fn level(node: &Node) -> Option<usize> {
    let kind = node.kind()?;
    NodeKind::ALL.iter().position(|other| *other == kind)
}
