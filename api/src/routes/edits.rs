//! POST /edits: a named person sets values of intervals, with a reason.

use axum::{
    Json,
    body::Bytes,
    extract::{State, rejection::BytesRejection},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use gridtally_engine::{World, network::MeterIx};
use gridtally_schemas::{UtcMicros, edit::Edits, record, time::QUARTER_MICROS};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    access::{Caller, reach::Reach},
    app::App,
    problem::{self, Problem},
};

/// One edit, as it is sent.
#[derive(Debug, ToSchema)]
#[schema(as = Edit)]
#[expect(dead_code, reason = "describes the body; gridtally_schemas::edit reads it")]
pub(crate) struct EditBody {
    /// The meter.
    meter_id: String,
    /// End of the interval, RFC 3339.
    #[schema(example = "2026-04-01T00:15:00+05:30")]
    interval_end: String,
    /// Energy imported, Wh as the meter counts (before its multiplier).
    import_wh: i64,
    /// Energy exported, Wh as the meter counts. Left out: not measured.
    export_wh: Option<i64>,
}

/// What one person sets, and why.
#[derive(Debug, ToSchema)]
#[schema(as = Edits)]
#[expect(dead_code, reason = "describes the body; gridtally_schemas::edit reads it")]
pub(crate) struct EditsBody {
    /// Who: at most 500 bytes. Where the caller is known its name is added, or stands alone where this is empty.
    person: String,
    /// Why: at most 500 bytes.
    reason: String,
    /// What: 1 to 10,000 edits.
    edits: Vec<EditBody>,
}

/// Edits that are durable.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Edited {
    /// How many.
    edits: usize,
    /// Position of their record in the log.
    log_position: u64,
    /// Last log record that the fixed routes show: these edits are in it.
    applied_position: u64,
}

/// Sets values of intervals. An edit stands above every actual read of its interval and beneath every later edit; the reads beneath stay in
/// `interval_reads_history`. All edits of a request stand, or none. Answers when they are durable and show in the fixed routes.
#[utoipa::path(
    post,
    path = "/api/v1/edits",
    tag = "Data",
    request_body = EditsBody,
    responses(
        (status = 200, description = "The edits stand.", body = Edited),
        (status = 400, description = "An edit cannot stand; none of them does.", body = crate::problem::ProblemDocument),
        (status = 413, description = "The body is too large.", body = crate::problem::ProblemDocument),
        (status = 503, description = "The log takes nothing now.", body = crate::problem::ProblemDocument),
    )
)]
pub(crate) async fn post(
    State(app): State<App>,
    caller: Caller,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let mut edits: Edits = problem::said(body, "a request of edits", "no edits")?;
    edits.person = caller.person(&edits.person);
    edits
        .check()
        .map_err(|error| Problem::new(problem::BAD_BODY, error.to_string()))?;
    let now = app.clock.now();
    app.engine
        .read(|world| fits(&Reach::of(world, &caller, now), world, &edits, now))?;
    let mut bytes = Vec::new();
    record::encode_edits(now, &edits, &mut bytes).map_err(|error| Problem::failed("edits", &error))?;
    let (position, progress) = app.record(&bytes, "the edits are").await?;
    let edited = Edited {
        edits: edits.edits.len(),
        log_position: position.0,
        applied_position: progress.applied_position.0,
    };
    Ok((StatusCode::OK, Json(edited)).into_response())
}

/// Whether the network knows every meter with an interval that ends there, and the interval has ended.
fn fits(reach: &Reach<'_>, world: &World, edits: &Edits, now: UtcMicros) -> Result<(), Problem> {
    for (at, edit) in (1..).zip(&edits.edits) {
        let refuse = |why: String| {
            let detail = format!("edit {at} (meter {}): {why}", edit.meter_id);
            Err(Problem::new(problem::BAD_BODY, detail))
        };
        let end = edit.interval_end;
        if end > now {
            return refuse(format!("the interval to {end} has not ended yet"));
        }
        let meter = world.network.find_meter(edit.meter_id.as_str());
        let seen = |meter: &MeterIx| {
            world
                .network
                .meter(*meter)
                .is_some_and(|meter| reach.meter(meter))
        };
        let Some(meter) = meter.filter(seen) else {
            return refuse("no `meters` row names it".to_owned());
        };
        match world.network.interval_of(meter, end.plus(-QUARTER_MICROS)) {
            None => return refuse(format!("it is not in service in the interval to {end}")),
            Some(minutes) if end.0.rem_euclid(minutes.micros()) != 0 => {
                return refuse(format!(
                    "no interval of {} minutes ends at {end}",
                    minutes.minutes()
                ));
            }
            Some(_) => {}
        }
    }
    Ok(())
}
