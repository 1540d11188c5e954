//! GET /public/outages: outages by feeder for the public (Electricity (Rights of Consumers) Rules 2020, 16(4)(d)), without personal data.
//!
//! Nothing here says who was without supply. Left out are outages of service lines, those of a DT that affected fewer than five
//! consumers (house choice: they would point at a household), and everything that people wrote in words of their own. What is left out
//! is counted. The route is open to pages of any origin; no other is.

use std::fmt;

use axum::{
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use gridtally_engine::{
    World,
    outage::{FOREVER, Scope, Span},
    world::OutageView,
};
use gridtally_schemas::{UtcMicros, Zone};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::outages::{Turn, statuses, was_on};
use crate::{
    app::App,
    form::{self, Column, Form, Holds, Table},
    parameters::{Parameters, short},
    problem::Problem,
};

/// Consumers below which an outage of a DT is not public.
const CONSUMERS_MIN: usize = 5;
/// Outages on a page when nobody asks for a number.
const PAGE: usize = 1_000;
/// Most outages on a page.
const PAGE_MAX: usize = 10_000;
/// How far back is looked when nobody says, µs: 30 days.
const BACK_MICROS: i64 = 30 * 24 * 60 * 60 * 1_000_000;
/// How long an answer may be kept by whoever passes it on.
const KEPT: HeaderValue = HeaderValue::from_static("public, max-age=30");
const GEO_JSON: &str = "application/geo+json";

/// A public outage.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct PublicOutage {
    /// Its id.
    outage_id: String,
    /// The feeders that it is on, with `;` between them.
    feeder_ids: String,
    /// The lowest node that it covers: a DT, a feeder, or a node above feeders.
    node_id: String,
    /// That node's name for people.
    node_name: String,
    /// How far it reaches: dt, feeder or substation.
    scope: &'static str,
    /// BREAKDOWN, PLANNED, SCHEDULED_ROSTERING or EMERGENCY_ROSTERING.
    class: &'static str,
    /// SCHEDULED, ACTIVE, PARTIALLY_RESTORED, RESTORED or CANCELLED.
    status: &'static str,
    /// First interruption; planned and not begun: its planned begin.
    started_at: String,
    /// Last restoration. Null: not over.
    ended_at: Option<String>,
    /// Estimated time of restoration. Null: nobody can say, or it is over.
    etr: Option<String>,
    /// What that rests on: crew, announced, or an estimate. Null: there is none.
    etr_basis: Option<&'static str>,
    /// Consumers that it interrupted.
    consumers_affected: usize,
    /// Of these, those who are back.
    consumers_restored: usize,
    /// Latitude of the node, degrees. Null: not known.
    lat: Option<f64>,
    /// Longitude of the node, degrees. Null: not known.
    lon: Option<f64>,
}

const COLUMNS: [Column; 15] = [
    Column("outage_id", Holds::Text),
    Column("feeder_ids", Holds::Text),
    Column("node_id", Holds::Text),
    Column("node_name", Holds::Text),
    Column("scope", Holds::Text),
    Column("class", Holds::Text),
    Column("status", Holds::Text),
    Column("started_at", Holds::Instant),
    Column("ended_at", Holds::Instant),
    Column("etr", Holds::Instant),
    Column("etr_basis", Holds::Text),
    Column("consumers_affected", Holds::Whole),
    Column("consumers_restored", Holds::Whole),
    Column("lat", Holds::Number),
    Column("lon", Holds::Number),
];

/// A page of public outages, newest begin first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PublicOutages {
    /// The outages.
    outages: Vec<PublicOutage>,
    /// Outages of the same time and status that are not public.
    withheld: usize,
    /// `cursor` of the next page. Null: this is the last.
    next_cursor: Option<String>,
}

/// Whether an outage says nothing about a single household.
fn is_public(view: &OutageView) -> bool {
    let outage = &view.outage;
    match outage.scope {
        Scope::ServiceLine => false,
        Scope::Dt => outage.consumers_affected == 0 || outage.consumers_affected >= CONSUMERS_MIN,
        Scope::Feeder | Scope::Substation => true,
    }
}

impl PublicOutage {
    fn of(world: &World, zone: &Zone, view: OutageView) -> Self {
        let OutageView {
            outage, restoration, ..
        } = view;
        let text = |at: UtcMicros| at.to_rfc3339(zone);
        let node = world.network.find_node(outage.node.as_str());
        let node = node.and_then(|node| world.network.node(node));
        let row = node.and_then(|node| node.history.newest());
        let feeders: Vec<String> = world
            .feeders_at(&outage.node)
            .iter()
            .map(ToString::to_string)
            .collect();
        Self {
            outage_id: outage.id.to_string(),
            feeder_ids: feeders.join(";"),
            node_name: node.map_or_else(|| outage.node.to_string(), |node| node.name().to_owned()),
            node_id: outage.node.to_string(),
            scope: outage.scope.as_str(),
            class: outage.class.as_str(),
            status: outage.status.as_str(),
            started_at: text(outage.started_at),
            ended_at: outage.ended_at.map(text),
            etr: restoration.map(|restoration| text(restoration.at)),
            etr_basis: restoration.map(|restoration| restoration.basis.as_str()),
            consumers_affected: outage.consumers_affected,
            consumers_restored: outage.consumers_restored,
            lat: row.and_then(|row| row.lat),
            lon: row.and_then(|row| row.lon),
        }
    }

    /// As a feature of GeoJSON (RFC 7946): a point where the node's place is known, else a feature without a place (3.2: null).
    fn feature(&self) -> Value {
        let geometry = match (self.lon, self.lat) {
            (Some(lon), Some(lat)) => json!({ "type": "Point", "coordinates": [lon, lat] }),
            (None, _) | (_, None) => Value::Null,
        };
        let mut properties = serde_json::to_value(self).unwrap_or_default();
        if let Some(fields) = properties.as_object_mut() {
            fields.remove("lat");
            fields.remove("lon");
        }
        json!({ "type": "Feature", "id": self.outage_id, "geometry": geometry, "properties": properties })
    }
}

/// The form of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PublicForm {
    Table(Form),
    GeoJson,
}

impl PublicForm {
    fn asked(parameter: Option<&str>, headers: &HeaderMap) -> Result<Self, Problem> {
        match parameter {
            Some("json") => Ok(Self::Table(Form::Json)),
            Some("csv") => Ok(Self::Table(Form::Csv)),
            Some("geojson") => Ok(Self::GeoJson),
            Some(other) => Err(Problem::parameter(
                "format",
                format!("`{}` is none of: json, csv, geojson", short(other)),
            )),
            None => {
                let accept = headers.get_all(header::ACCEPT).iter();
                let mut accept = accept.filter_map(|value| value.to_str().ok());
                if accept.any(|value| value.contains(GEO_JSON)) {
                    return Ok(Self::GeoJson);
                }
                Form::accepted(headers).map(Self::Table)
            }
        }
    }
}

/// Which outages are asked for.
#[derive(Debug)]
struct Asked {
    status: Option<Vec<gridtally_engine::outage::Status>>,
    within: Span,
    turn: Turn,
}

impl Asked {
    fn of(app: &App, parameters: &mut Parameters) -> Result<Self, Problem> {
        let from = parameters.instant("from", &app.zone)?;
        let to = parameters.instant("to", &app.zone)?.unwrap_or(FOREVER);
        let from = from.unwrap_or_else(|| app.clock.now().min(to).plus(-BACK_MICROS));
        if to <= from {
            return Err(Problem::parameter("to", "it is not after `from`"));
        }
        Ok(Self {
            status: parameters.text("status")?.as_deref().map(statuses).transpose()?,
            within: Span::new(from, to),
            turn: Turn::of(parameters, PAGE, PAGE_MAX)?,
        })
    }

    fn wants(&self, view: &OutageView) -> bool {
        let status = self.status.as_ref();
        status.is_none_or(|status| status.contains(&view.outage.status)) && was_on(view, self.within)
    }

    fn page(&self, world: &World, zone: &Zone) -> PublicOutages {
        let (found, held_back): (Vec<OutageView>, Vec<OutageView>) = world
            .outages()
            .filter(|view| self.wants(view))
            .partition(is_public);
        let (found, next_cursor) = self.turn.take(found);
        PublicOutages {
            next_cursor,
            withheld: held_back.len(),
            outages: found
                .into_iter()
                .map(|view| PublicOutage::of(world, zone, view))
                .collect(),
        }
    }
}

impl fmt::Display for PublicOutages {
    /// As a feature collection; what GeoJSON has no name for are members of the collection (RFC 7946, 6.1).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let features: Vec<Value> = self.outages.iter().map(PublicOutage::feature).collect();
        let collection = json!({
            "type": "FeatureCollection",
            "features": features,
            "withheld": self.withheld,
            "next_cursor": self.next_cursor,
        });
        write!(f, "{collection}")
    }
}

/// Outages by feeder, for the public: DTs, feeders and nodes above with counts, never a consumer or a meter. Service lines, and DTs where
/// fewer than five consumers were affected, are left out and counted in `withheld` (header `withheld` for CSV). `format`, or `Accept`
/// where it is not given, chooses JSON, CSV, Arrow or GeoJSON; a feature without coordinates has a null geometry. Pages of any origin may
/// ask.
#[utoipa::path(
    get,
    path = "/api/v1/public/outages",
    tag = "Outages",
    params(
        ("from" = Option<String>, Query, description = "Only outages that were on after this: RFC 3339, or a civil day. Default: 30 days before now."),
        ("to" = Option<String>, Query, description = "Only outages that began before this: RFC 3339, or a civil day."),
        ("status" = Option<String>, Query, description = "open (ACTIVE or PARTIALLY_RESTORED), SCHEDULED, ACTIVE, PARTIALLY_RESTORED, RESTORED or CANCELLED. Default: any."),
        ("format" = Option<String>, Query, description = "json, csv or geojson. Default: by `Accept`."),
        ("limit" = Option<usize>, Query, description = "Outages on a page, 1 to 10,000. Default 1,000."),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before; also in the header `next-cursor`."),
    ),
    responses(
        (status = 200, description = "A page of outages.", content((PublicOutages = "application/json"), (String = "text/csv"), (Value = "application/geo+json"), (Vec<u8> = "application/vnd.apache.arrow.stream"))),
        (status = 400, description = "A parameter cannot be used.", body = crate::problem::ProblemDocument),
    )
)]
pub(crate) async fn outages(State(app): State<App>, headers: HeaderMap, parameters: Parameters) -> Response {
    let mut response = match answer(&app, headers, parameters) {
        Ok(mut response) => {
            response.headers_mut().insert(header::CACHE_CONTROL, KEPT);
            response
        }
        Err(problem) => problem.into_response(),
    };
    open_to_all(response.headers_mut());
    response
}

fn answer(app: &App, mut headers: HeaderMap, mut parameters: Parameters) -> Result<Response, Problem> {
    let format = parameters.text("format")?;
    let form = PublicForm::asked(format.as_deref(), &headers)?;
    let asked = Asked::of(app, &mut parameters)?;
    parameters.finish()?;
    let page = app.engine.read(|world| asked.page(world, &app.zone));
    let mut response = match form {
        PublicForm::GeoJson => form::tagged(&headers, GEO_JSON, page.to_string().into_bytes()),
        PublicForm::Table(form) => {
            headers.insert(header::ACCEPT, HeaderValue::from_static(form.media_type()));
            let table = Table {
                columns: &COLUMNS,
                rows: &page.outages,
                name: "public_outages",
            };
            table.answer(&headers, &page)?
        }
    };
    let said = response.headers_mut();
    said.insert(WITHHELD, HeaderValue::from(page.withheld));
    if let Some(Ok(next)) = page.next_cursor.as_deref().map(HeaderValue::from_str) {
        said.insert(NEXT_CURSOR, next);
    }
    Ok(response)
}

const WITHHELD: HeaderName = HeaderName::from_static("withheld");
const NEXT_CURSOR: HeaderName = HeaderName::from_static("next-cursor");

/// Says that pages of any origin may read the answer; none can send a credential with it.
fn open_to_all(headers: &mut HeaderMap) {
    let said = [
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (
            header::ACCESS_CONTROL_EXPOSE_HEADERS,
            "etag, withheld, next-cursor",
        ),
    ];
    for (name, value) in said {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

/// What browsers ask before they send a tag along.
pub(crate) async fn preflight() -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    open_to_all(headers);
    let said = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET"),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, "accept, if-none-match"),
        (header::ACCESS_CONTROL_MAX_AGE, "86400"),
    ];
    for (name, value) in said {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_feature_without_coordinates_has_no_place_and_one_with_has_longitude_first() {
        let outage = |lat, lon| PublicOutage {
            outage_id: "F1.20260401T0430".to_owned(),
            feeder_ids: "F1".to_owned(),
            node_id: "F1".to_owned(),
            node_name: "F1".to_owned(),
            scope: "feeder",
            class: "BREAKDOWN",
            status: "ACTIVE",
            started_at: "2026-04-01T10:02:00+05:30".to_owned(),
            ended_at: None,
            etr: None,
            etr_basis: None,
            consumers_affected: 14,
            consumers_restored: 0,
            lat,
            lon,
        };
        let check = |lat, lon, expected: Value| {
            let feature = outage(lat, lon).feature();
            assert_eq!(feature["geometry"], expected);
            assert_eq!(feature["properties"]["consumers_affected"], 14);
            assert!(feature["properties"].get("lat").is_none());
        };
        check(
            Some(19.07),
            Some(72.87),
            json!({ "type": "Point", "coordinates": [72.87, 19.07] }),
        );
        check(None, Some(72.87), Value::Null);
        check(None, None, Value::Null);
    }
}
