//! /livez, /readyz, POST /checkpoint.

use axum::{
    Json,
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    app::App,
    problem::{self, Problem, causes},
};

/// Whether the instance can do its work.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Ready {
    /// Whether it can.
    ready: bool,
    /// Why not; empty when it can.
    reasons: Vec<String>,
}

/// What a checkpoint wrote.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Checkpointed {
    /// Last durable log record.
    log_position: u64,
    /// Last record that the fixed routes show.
    applied_position: u64,
    /// Last record that SQL and the tables on disk show.
    published_position: u64,
    /// When it was published. Null: never.
    published_at: Option<String>,
}

fn no_store(mut response: Response) -> Response {
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Whether the process answers at all.
#[utoipa::path(get, path = "/livez", tag = "Operations", responses((status = 200, description = "It does.", body = String)))]
pub(crate) async fn livez() -> Response {
    no_store("ok\n".into_response())
}

/// Whether publishes can be acknowledged and results are computed: log and engine work.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "Operations",
    responses(
        (status = 200, description = "Ready.", body = Ready),
        (status = 503, description = "Not ready, and why.", body = Ready),
    )
)]
pub(crate) async fn readyz(State(app): State<App>) -> Response {
    let log = app
        .log
        .failure()
        .map(|failure| format!("the log cannot be trusted: {}", causes(&*failure)));
    let engine = app
        .engine
        .failure()
        .map(|failure| format!("the engine has ended: {}", causes(&*failure)));
    let full = (app.log.bytes() >= app.log.bytes_max()).then(|| {
        format!(
            "the log is full: {} of {} bytes",
            app.log.bytes(),
            app.log.bytes_max()
        )
    });
    let ending = app
        .ending
        .borrow()
        .then(|| "the instance is shutting down".to_owned());
    let reasons: Vec<String> = [log, engine, full, ending].into_iter().flatten().collect();
    let ready = reasons.is_empty();
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    no_store((status, Json(Ready { ready, reasons })).into_response())
}

/// Publishes everything that was acknowledged before this request, open intervals included; answers when it is in the tables.
#[utoipa::path(
    post,
    path = "/api/v1/checkpoint",
    tag = "Operations",
    responses(
        (status = 200, description = "It is in the tables.", body = Checkpointed),
        (status = 503, description = "The engine has ended.", body = crate::problem::ProblemDocument),
    )
)]
pub(crate) async fn checkpoint(State(app): State<App>) -> Result<Response, Problem> {
    let progress =
        app.engine.checkpoint().await.map_err(|error| {
            Problem::new(problem::UNAVAILABLE, format!("no checkpoint: {}", causes(&error)))
        })?;
    Ok(no_store(
        Json(Checkpointed {
            log_position: progress.log_position.0,
            applied_position: progress.applied_position.0,
            published_position: progress.published_position.0,
            published_at: progress.published_at.map(|at| at.to_rfc3339(&app.zone)),
        })
        .into_response(),
    ))
}
