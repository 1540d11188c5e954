//! GET /nodes/{id}/reliability: the reliability indices of a node by month.

use axum::{
    extract::{Path, State},
    http::HeaderMap,
    response::Response,
};
use gridtally_engine::world::reliability::{Basis, IndexRow, MajorDays};
use gridtally_schemas::Day;
use serde::Serialize;
use utoipa::ToSchema;

use super::nodes;
use crate::{
    access::{Caller, reach::Reach},
    app::App,
    form::{Column, Holds, Table},
    parameters::{Parameters, short},
    problem::Problem,
};

/// The indices of a node in a month.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct ReliabilityRow {
    /// First day of the month.
    #[schema(example = "2026-04-01")]
    month: String,
    /// consumer (each consumer's own interruptions, IEEE 1366) or feeder (what the feeder did, times its consumers).
    basis: &'static str,
    /// Major event days: included or excluded.
    med: &'static str,
    /// Consumers served: at the end of the month, or now while it runs.
    consumers_served: u64,
    /// Sustained interruptions that are over, summed over consumers.
    customer_interruptions: u64,
    /// Their minutes, summed over consumers.
    customer_minutes: f64,
    /// Momentary interruptions, summed over consumers.
    momentary: u64,
    /// Sustained interruptions per consumer served. Null here and below: nobody to divide by, or the basis does not know it.
    saifi: Option<f64>,
    /// Minutes of interruption per consumer served.
    saidi_minutes: Option<f64>,
    /// Minutes per interruption.
    caidi_minutes: Option<f64>,
    /// Momentary interruptions per consumer served.
    maifi: Option<f64>,
    /// Momentary events per consumer served.
    maifi_e: Option<f64>,
    /// Share of the whole month with supply, 0 to 1.
    asai: Option<f64>,
    /// Sustained interruptions per consumer interrupted.
    caifi: Option<f64>,
    /// Minutes per consumer interrupted.
    ctaidi_minutes: Option<f64>,
    /// Share of consumers with three or more sustained interruptions, 0 to 1.
    cemi_3: Option<f64>,
    /// Share of consumers with one interruption of 8 h or more, 0 to 1.
    celid_8h: Option<f64>,
}

const COLUMNS: [Column; 17] = [
    Column("month", Holds::Day),
    Column("basis", Holds::Text),
    Column("med", Holds::Text),
    Column("consumers_served", Holds::Whole),
    Column("customer_interruptions", Holds::Whole),
    Column("customer_minutes", Holds::Number),
    Column("momentary", Holds::Whole),
    Column("saifi", Holds::Number),
    Column("saidi_minutes", Holds::Number),
    Column("caidi_minutes", Holds::Number),
    Column("maifi", Holds::Number),
    Column("maifi_e", Holds::Number),
    Column("asai", Holds::Number),
    Column("caifi", Holds::Number),
    Column("ctaidi_minutes", Holds::Number),
    Column("cemi_3", Holds::Number),
    Column("celid_8h", Holds::Number),
];

impl ReliabilityRow {
    fn of(month: Day, row: &IndexRow) -> Self {
        let indices = row.indices;
        Self {
            month: month.to_string(),
            basis: row.basis.as_str(),
            med: row.med.as_str(),
            consumers_served: row.consumers_served,
            customer_interruptions: row.customer_interruptions,
            customer_minutes: row.customer_minutes,
            momentary: row.momentary,
            saifi: indices.saifi,
            saidi_minutes: indices.saidi_minutes,
            caidi_minutes: indices.caidi_minutes,
            maifi: indices.maifi,
            maifi_e: indices.maifi_e,
            asai: indices.asai,
            caifi: indices.caifi,
            ctaidi_minutes: indices.ctaidi_minutes,
            cemi_3: indices.cemi,
            celid_8h: indices.celid,
        }
    }
}

/// The indices of a node.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Reliability {
    /// The node.
    node_id: String,
    /// Its months of which something is known, oldest first: of a month in which a feeder was heard and nobody interrupted it is zero.
    months: Vec<ReliabilityRow>,
}

/// One of the words that a parameter takes; `None` when it is not given.
fn word<T: Copy>(
    parameters: &mut Parameters,
    name: &'static str,
    words: &[(&'static str, T)],
) -> Result<Option<T>, Problem> {
    let Some(text) = parameters.text(name)? else {
        return Ok(None);
    };
    let known = words.iter().find(|(known, _)| *known == text);
    known.map(|(_, value)| Some(*value)).ok_or_else(|| {
        let all: Vec<&str> = words.iter().map(|(known, _)| *known).collect();
        Problem::parameter(name, format!("`{}` is none of: {}", short(&text), all.join(", ")))
    })
}

/// Reliability indices of a node by month (IEEE 1366, and by feeder as the Standards of Performance count), as they stand now. An
/// interruption belongs to the month in which it began, and counts once it is over.
#[utoipa::path(
    get,
    path = "/api/v1/nodes/{id}/reliability",
    tag = "Outages",
    params(
        ("id" = String, Path, description = "The node."),
        ("from" = Option<String>, Query, description = "A civil day of the first month. Default: all."),
        ("to" = Option<String>, Query, description = "A civil day of the last month. Default: all."),
        ("basis" = Option<String>, Query, description = "consumer or feeder. Default: both."),
        ("med" = Option<String>, Query, description = "Major event days included or excluded. Default: both."),
    ),
    responses(
        (status = 200, description = "The indices.", content((Reliability = "application/json"), (String = "text/csv"), (Vec<u8> = "application/vnd.apache.arrow.stream"))),
        (status = 404, description = "There is no such node.", body = crate::problem::ProblemDocument),
    )
)]
pub(crate) async fn get(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let id = nodes::node_id(&id)?;
    let (from, to) = (parameters.day("from")?, parameters.day("to")?);
    let basis = word(
        &mut parameters,
        "basis",
        &Basis::ALL.map(|basis| (basis.as_str(), basis)),
    )?;
    let med = word(
        &mut parameters,
        "med",
        &MajorDays::ALL.map(|med| (med.as_str(), med)),
    )?;
    parameters.finish()?;
    let months = app.engine.read(|world| {
        let reach = Reach::of(world, &caller, app.clock.now());
        let node = nodes::find_in(world, &reach, &id)?;
        let is_asked = |month: &Day| {
            from.is_none_or(|from| from.first_of_month() <= *month) && to.is_none_or(|to| *month <= to)
        };
        let mut rows = Vec::new();
        for month in world.tallied_months().filter(is_asked) {
            let of_month = world.indices(node, month);
            let wanted = of_month.iter().filter(|row| {
                basis.is_none_or(|basis| row.basis == basis) && med.is_none_or(|med| row.med == med)
            });
            rows.extend(wanted.map(|row| ReliabilityRow::of(month, row)));
        }
        Ok(rows)
    })?;
    let reliability = Reliability {
        node_id: id.to_string(),
        months,
    };
    Table {
        columns: &COLUMNS,
        rows: &reliability.months,
        name: "reliability",
    }
    .answer(&headers, &reliability)
}
