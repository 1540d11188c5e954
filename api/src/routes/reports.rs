//! GET /reports/{name}: a report as a page to print, or as CSV.

use axum::{
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, header},
    response::Response,
};
use gridtally_schemas::NodeId;

use super::nodes::find_in;
use crate::{
    access::{Caller, reach::Reach},
    app::App,
    form::{self, CSV},
    parameters::{Parameters, short},
    problem::{self, Problem, causes},
    reports::{self, Asked, Period, Report, ReportError, Sources},
    sql::SqlError,
};

/// A form of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Html,
    Csv,
}

/// A report that a discom signs. Each table comes from one query over what stood published at an instant; the queries stand in the report.
/// The same report as of the same instant is the same bytes.
#[utoipa::path(
    get,
    path = "/api/v1/reports/{name}",
    tag = "Reports",
    params(
        ("name" = String, Path, description = "mis-monthly, sop-quarterly, bee-quarterly or amisp-monthly."),
        ("period" = String, Query, description = "A month such as 2026-04, or a quarter of the financial year such as 2026-Q1 (April to June 2026, the first of 2026-27)."),
        ("node" = Option<String>, Query, description = "A feeder or a level above. Default: the whole discom."),
        ("as_of" = Option<String>, Query, description = "RFC 3339, or a day, which stands for its beginning. Default: the last checkpoint."),
        ("format" = Option<String>, Query, description = "html or csv. Default: by `Accept`."),
        ("section" = Option<String>, Query, description = "Of CSV: only this section. Default: all, told apart by the column `section`."),
    ),
    responses(
        (status = 200, description = "The report.", content((String = "text/html"), (String = "text/csv"))),
        (status = 400, description = "A parameter cannot be used.", body = crate::problem::ProblemDocument),
        (status = 404, description = "There is no such report or node.", body = crate::problem::ProblemDocument),
        (status = 503, description = "Nothing is published yet.", body = crate::problem::ProblemDocument),
    )
)]
pub(crate) async fn get(
    State(app): State<App>,
    caller: Caller,
    Path(name): Path<String>,
    headers: HeaderMap,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let report = Report::named(&name).ok_or_else(|| unknown(&name))?;
    let period = parameters.text("period")?.unwrap_or_default();
    let period = Period::parse(report.every(), &period)
        .map_err(|why| Problem::parameter("period", format!("`{}`: {why}", short(&period))))?;
    let node = parameters.text("node")?;
    let node = node.map(|id| NodeId::parse(&id).map_err(|why| Problem::parameter("node", why)));
    let node = seen(&app, &caller, node.transpose()?)?;
    let as_of = parameters.instant("as_of", &app.zone)?;
    let form = form(&mut parameters, &headers)?;
    let section = parameters.text("section")?;
    if form == Form::Html && section.is_some() {
        return Err(Problem::parameter(
            "section",
            "a page has all sections; one alone is for `format=csv`",
        ));
    }
    parameters.finish()?;
    let asked = Asked {
        report,
        period,
        node,
        as_of,
        section,
    };
    let made = reports::make(&sources(&app, &caller), &asked)
        .await
        .map_err(|error| refused(&error))?;
    Ok(match form {
        Form::Html => form::tagged(&headers, "text/html; charset=utf-8", made.html().into_bytes()),
        Form::Csv => {
            let media_type = "text/csv; charset=utf-8; header=present";
            let mut response = form::tagged(&headers, media_type, made.csv().into_bytes());
            // The name of a report is one of ours.
            if let Ok(value) = HeaderValue::from_str(&format!("inline; filename=\"{name}.csv\"")) {
                response.headers_mut().insert(header::CONTENT_DISPOSITION, value);
            }
            response
        }
    })
}

/// The node that a caller sees a report of: with an area it is at or below that, and that where none is asked for.
fn seen(app: &App, caller: &Caller, asked: Option<NodeId>) -> Result<Option<NodeId>, Problem> {
    let Some(area) = caller.area() else {
        return Ok(asked);
    };
    let node = asked.unwrap_or_else(|| area.clone());
    app.engine.read(|world| {
        let reach = Reach::of(world, caller, app.clock.now());
        find_in(world, &reach, &node).map(|_| ())
    })?;
    Ok(Some(node))
}

fn sources(app: &App, caller: &Caller) -> Sources {
    Sources {
        sql: app.sql.named(caller),
        zone: app.zone.clone(),
        now: app.clock.now(),
        coverage_pct: app.engine.read(|world| world.settings.coverage_threshold_pct),
    }
}

fn unknown(name: &str) -> Problem {
    let known: Vec<&str> = Report::ALL.into_iter().map(Report::name).collect();
    Problem::new(
        problem::UNKNOWN_REPORT,
        format!(
            "no report is called `{}`; there are {}",
            short(name),
            known.join(", ")
        ),
    )
}

/// The form that is asked for, else the one that the caller accepts, a page where both are alike.
fn form(parameters: &mut Parameters, headers: &HeaderMap) -> Result<Form, Problem> {
    match parameters.text("format")?.as_deref() {
        Some("html") => return Ok(Form::Html),
        Some("csv") => return Ok(Form::Csv),
        Some(other) => {
            return Err(Problem::parameter(
                "format",
                format!("`{}` is neither html nor csv", short(other)),
            ));
        }
        None => {}
    }
    let accept: Vec<&str> = headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .collect();
    let accept = accept.join(",");
    let takes = |range: &str| accept.contains(range);
    if accept.is_empty() || takes("text/html") || takes("*/*") || takes("text/*") {
        Ok(Form::Html)
    } else if takes(CSV) {
        Ok(Form::Csv)
    } else {
        let why = format!("accept `{}`: a report is text/html or {CSV}", short(&accept));
        Err(Problem::new(problem::NOT_ACCEPTABLE, why))
    }
}

fn refused(error: &ReportError) -> Problem {
    match error {
        ReportError::NotYet { .. } => Problem::parameter("as_of", error),
        ReportError::NotPublished { .. } | ReportError::NoNetwork { .. } => {
            Problem::new(problem::UNAVAILABLE, causes(error))
        }
        ReportError::NotBegun { .. } => Problem::parameter("period", error),
        ReportError::UnknownNode { .. } => Problem::new(problem::UNKNOWN_NODE, causes(error)),
        ReportError::TooLow { .. } | ReportError::SeveralTops { .. } => Problem::parameter("node", error),
        ReportError::UnknownSection { .. } => Problem::parameter("section", error),
        ReportError::Sql { source, .. } => match source {
            SqlError::Busy { .. } | SqlError::Share { .. } => Problem::new(problem::TOO_MANY, causes(error)),
            SqlError::Deadline { .. } => Problem::new(problem::DEADLINE, causes(error)),
            SqlError::Refused(_)
            | SqlError::Query { .. }
            | SqlError::Memory { .. }
            | SqlError::TooManyRows { .. }
            | SqlError::Start { .. }
            | SqlError::Broken { .. } => Problem::failed("the report cannot be made", error),
        },
    }
}
