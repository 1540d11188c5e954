//! GET /consumers: finding a consumer by its number or its meter's.

use std::collections::BTreeMap;

use axum::{extract::State, http::HeaderMap, response::Response};
use gridtally_engine::{World, network::Connection};
use gridtally_schemas::UtcMicros;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    access::{Caller, reach::Reach},
    app::App,
    form::{Column, Holds, Table},
    parameters::Parameters,
    problem::Problem,
};

/// Connections of an answer when nobody asks for a number.
const CONNECTIONS: usize = 20;
/// Most connections of an answer.
const CONNECTIONS_MAX: usize = 1_000;
/// Longest text searched for, bytes.
const SEARCH_BYTES_MAX: usize = 200;

/// A connection that is in force now.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct ConsumerRow {
    /// The consumer.
    consumer_id: String,
    /// Its meter. Null: unmetered.
    meter_id: Option<String>,
    /// The DT it hangs on; the feeder for HT.
    node_id: String,
    /// That node's name for people.
    node_name: String,
    /// Tariff category.
    category: String,
    /// LT or HT.
    supply: &'static str,
    /// Phases: 1 or 3.
    phases: u8,
    /// Sanctioned load, kW. Null: not said.
    sanctioned_load_kw: Option<f64>,
    /// prepaid, postpaid or unmetered.
    metering: &'static str,
    /// none, net_metering, net_billing or gross_metering.
    prosumer: &'static str,
}

const COLUMNS: [Column; 10] = [
    Column("consumer_id", Holds::Text),
    Column("meter_id", Holds::Text),
    Column("node_id", Holds::Text),
    Column("node_name", Holds::Text),
    Column("category", Holds::Text),
    Column("supply", Holds::Text),
    Column("phases", Holds::Whole),
    Column("sanctioned_load_kw", Holds::Number),
    Column("metering", Holds::Text),
    Column("prosumer", Holds::Text),
];

/// Consumers found.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Consumers {
    /// Their connections in force now, by consumer and meter; `limit` at most.
    consumers: Vec<ConsumerRow>,
    /// Whether there are more.
    more: bool,
}

impl ConsumerRow {
    fn of(world: &World, connection: Connection<'_>, now: UtcMicros) -> Option<Self> {
        let row = connection.history().at(now)?;
        let node = world.network.node(row.node?)?;
        Some(Self {
            consumer_id: row.consumer_id().to_owned(),
            meter_id: row.meter_id().map(str::to_owned),
            node_id: node.id.to_string(),
            node_name: node.name().to_owned(),
            category: row.category.clone(),
            supply: row.supply.as_str(),
            phases: row.phases,
            sanctioned_load_kw: row.sanctioned_load_kw,
            metering: row.metering.as_str(),
            prosumer: row.prosumer.as_str(),
        })
    }
}

fn begins(text: &str, with: &str) -> bool {
    text.get(..with.len())
        .is_some_and(|head| head.eq_ignore_ascii_case(with))
}

/// Connections in force now whose consumer or meter begins so, at most `limit` and one more, in order.
fn search(
    world: &World,
    (text, limit): (&str, usize),
    now: UtcMicros,
    reach: &Reach<'_>,
) -> Vec<ConsumerRow> {
    let mut found = BTreeMap::new();
    for connection in world.network.connections() {
        let (meter, consumer) = (connection.meter_id(), connection.consumer_id());
        let matches = begins(consumer, text) || meter.is_some_and(|meter| begins(meter, text));
        if matches && connection.history().at(now).is_some() && reach.connection(connection) {
            found.insert((consumer, meter), connection);
            if found.len() > limit + 1 {
                found.pop_last();
            }
        }
    }
    let rows = found.into_values();
    rows.filter_map(|connection| ConsumerRow::of(world, connection, now))
        .collect()
}

/// Consumers whose number, or whose meter's, begins with a text.
#[utoipa::path(
    get,
    path = "/api/v1/consumers",
    tag = "Network",
    params(
        ("q" = String, Query, description = "Begin of the consumer's or the meter's number, in any case: at most 200 bytes."),
        ("limit" = Option<usize>, Query, description = "Connections, 1 to 1,000. Default 20."),
    ),
    responses(
        (status = 200, description = "The connections in force now.", content((Consumers = "application/json"), (String = "text/csv"), (Vec<u8> = "application/vnd.apache.arrow.stream"))),
        (status = 400, description = "A parameter cannot be used.", body = crate::problem::ProblemDocument),
    )
)]
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let text = parameters.text("q")?;
    let text = text.ok_or_else(|| Problem::parameter("q", "is needed: the begin of a number"))?;
    if text.len() > SEARCH_BYTES_MAX {
        let why = format!("{} bytes are more than {SEARCH_BYTES_MAX}", text.len());
        return Err(Problem::parameter("q", why));
    }
    let limit = parameters.count("limit", CONNECTIONS, CONNECTIONS_MAX)?;
    parameters.finish()?;
    let now = app.clock.now();
    let mut consumers = app.engine.read(|world| {
        let reach = Reach::of(world, &caller, now);
        search(world, (&text, limit), now, &reach)
    });
    let more = consumers.len() > limit;
    consumers.truncate(limit);
    let found = Consumers { consumers, more };
    Table {
        columns: &COLUMNS,
        rows: &found.consumers,
        name: "consumers",
    }
    .answer(&headers, &found)
}
