//! POST /sql: one reading statement over the published tables.

use axum::{
    body::{Body, Bytes},
    extract::{State, rejection::BytesRejection},
    http::{HeaderMap, HeaderName, HeaderValue, header},
    response::Response,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::{
    access::Caller,
    app::App,
    form::Form,
    problem::{self, Problem, causes},
    sql::{Format, Given, Parameter, Sql, SqlError, postgres::types},
};

/// How many rows a result may have.
const ROWS_MAX: HeaderName = HeaderName::from_static("sql-rows-max");
/// How long a query may take.
const DEADLINE_SECONDS: HeaderName = HeaderName::from_static("sql-deadline-seconds");

/// A query.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Query {
    /// One SELECT, WITH, EXPLAIN, SHOW TABLES or DESCRIBE. `{table}` is the newest version per key, `{table}_history` every version,
    /// `{table}_as_of('2026-05-01T00:00:00+05:30')` what stood published then (of nodes, meters and connections: the picture at that time).
    #[schema(example = "SELECT * FROM feeder_balance ORDER BY interval_end DESC LIMIT 10")]
    query: String,
    /// json, csv or arrow. Default: by `Accept`.
    #[serde(default)]
    format: Option<Wanted>,
    /// Values of `$1` and further, in order: text, number, boolean or null. A time or a day is text (`2026-05-01T00:00:00+05:30`) and is read as
    /// what it is compared with; where nothing says it, by `$1::timestamptz`.
    #[serde(default)]
    #[schema(example = json!(["F1", "2026-05-01T00:00:00+05:30"]))]
    parameters: Vec<Value>,
}

/// The form of a result.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Wanted {
    /// `{"columns":[{"name","type"}],"rows":[[…]],"published_at","truncated","rows_max","deadline_seconds"}`
    Json,
    /// CSV with header. A result with more rows than allowed breaks off: the transfer fails.
    Csv,
    /// An Arrow IPC stream. A result with more rows than allowed breaks off: the transfer fails.
    Arrow,
}

/// A result as JSON.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Rows {
    /// The columns.
    columns: Vec<ResultColumn>,
    /// The rows, a list of values each; decimals as text, times as RFC 3339.
    rows: Vec<Vec<Value>>,
    /// When what the query sees was published. Null: never.
    published_at: Option<String>,
    /// Whether rows beyond the limit were cut off.
    truncated: bool,
    /// Rows that a result may have.
    rows_max: usize,
    /// Time that a query may take.
    deadline_seconds: u64,
}

/// A column of a result.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ResultColumn {
    /// Its name.
    name: String,
    /// Its type.
    #[serde(rename = "type")]
    kind: String,
}

/// Runs one reading statement over the published tables, which are at most a checkpoint old (`POST /api/v1/checkpoint` publishes first).
///
/// Each query runs in a process of its own with limits of memory, rows and time, and is killed when its client goes. The headers `sql-rows-max` and
/// `sql-deadline-seconds` say how many rows a result may have and how long it may take. Of a larger result JSON has the first rows and says
/// `truncated`; CSV and Arrow, which cannot say it, break off.
#[utoipa::path(
    post,
    path = "/api/v1/sql",
    tag = "Data",
    request_body = Query,
    responses(
        (status = 200, description = "The result.", content((Rows = "application/json"), (String = "text/csv"), (Vec<u8> = "application/vnd.apache.arrow.stream"))),
        (status = 400, description = "The statement cannot be run.", body = crate::problem::ProblemDocument),
        (status = 429, description = "Too many queries are running.", body = crate::problem::ProblemDocument),
        (status = 504, description = "The query took too long and was stopped.", body = crate::problem::ProblemDocument),
    )
)]
pub(crate) async fn post(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let query: Query = problem::said(
        body,
        "a query",
        "a query is {\"query\":\"…\",\"format\":\"json\"}",
    )?;
    let format = match query.format {
        Some(Wanted::Json) => Format::Json,
        Some(Wanted::Csv) => Format::Csv,
        Some(Wanted::Arrow) => Format::Arrow,
        None => Form::accepted(&headers)?.into(),
    };
    let sql = app.sql.on_behalf_of(&caller, &app.clock);
    let sql = sql.map_err(|error| Problem::new(problem::ROLE_NEEDED, error.to_string()))?;
    let parameters = query.parameters.iter().zip(1_usize..).map(parameter);
    let parameters = parameters.collect::<Result<_, _>>()?;
    answer_with((&app, &sql), (&query.query, parameters), format).await
}

/// A value of the body as one of a statement.
fn parameter((value, number): (&Value, usize)) -> Result<Parameter, Problem> {
    let given = |oid, text: String| Parameter {
        oid,
        value: Given::Text(text),
    };
    Ok(match value {
        Value::Null => Parameter {
            oid: types::UNSPECIFIED,
            value: Given::Null,
        },
        Value::Bool(value) => given(types::BOOL, value.to_string()),
        Value::Number(value) if value.is_i64() => given(types::INT8, value.to_string()),
        Value::Number(value) => given(types::FLOAT8, value.to_string()),
        // What it is compared with says what it is.
        Value::String(value) => given(types::UNSPECIFIED, value.clone()),
        Value::Array(_) | Value::Object(_) => {
            return Err(Problem::new(
                problem::BAD_QUERY,
                format!(
                    "the value of ${number} is a list or an object; needed is text, a number, a boolean or null"
                ),
            ));
        }
    })
}

impl From<Form> for Format {
    fn from(form: Form) -> Self {
        match form {
            Form::Json => Self::Json,
            Form::Csv => Self::Csv,
            Form::Arrow => Self::Arrow,
        }
    }
}

/// The rows of a statement, as whoever `sql` stands for sees them.
pub(super) async fn answer(
    (app, sql): (&App, &Sql),
    statement: &str,
    format: Format,
) -> Result<Response, Problem> {
    answer_with((app, sql), (statement, Vec::new()), format).await
}

async fn answer_with(
    (app, sql): (&App, &Sql),
    asked: (&str, Vec<Parameter>),
    format: Format,
) -> Result<Response, Problem> {
    let published_at = app.engine.progress().published_at;
    let rows = sql
        .query_with(asked, format, published_at)
        .await
        .map_err(|error| refused(&error))?;
    let media_type = HeaderValue::from_static(rows.media_type());
    let mut response = Response::new(Body::from_stream(rows));
    response.headers_mut().insert(header::CONTENT_TYPE, media_type);
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let limits = sql.config();
    response
        .headers_mut()
        .insert(ROWS_MAX, HeaderValue::from(limits.rows_max));
    response
        .headers_mut()
        .insert(DEADLINE_SECONDS, HeaderValue::from(limits.deadline.as_secs()));
    Ok(response)
}

/// Why a query has no result, as a problem.
pub(super) fn refused(error: &SqlError) -> Problem {
    let kind = match error {
        SqlError::Busy { .. } | SqlError::Share { .. } => problem::TOO_MANY,
        SqlError::Deadline { .. } => problem::DEADLINE,
        SqlError::Refused(_) | SqlError::Memory { .. } | SqlError::TooManyRows { .. } => problem::BAD_QUERY,
        SqlError::Query { .. } if error.is_callers_fault() => problem::BAD_QUERY,
        SqlError::Query { .. } | SqlError::Start { .. } | SqlError::Broken { .. } => {
            return Problem::failed("the query has no result", error);
        }
    };
    Problem::new(kind, causes(error))
}
