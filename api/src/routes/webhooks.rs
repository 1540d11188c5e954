//! GET /webhooks and its dead letters; POST: send them once more, send again after 410.

use std::collections::BTreeSet;

use axum::{
    Json,
    body::Bytes,
    extract::{Path, State, rejection::BytesRejection},
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    app::App,
    form,
    parameters::{Parameters, short},
    problem::{self, Problem},
    webhook::{Endpoint, Shown},
};

/// A receiver of notices.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WebhookRow {
    /// Its name.
    name: String,
    /// Scheme and host of where notices are sent; the rest of the address may hold a key.
    host: String,
    /// Kinds of notices that it wants. Empty: all.
    events: Vec<String>,
    /// Everything up to this notice was taken over.
    cursor: i64,
    /// The last notice there is.
    newest: i64,
    /// Notices taken over and neither delivered nor given up.
    open: usize,
    /// Notices in memory.
    in_memory: usize,
    /// Notices delivered since the process started.
    delivered: u64,
    /// Attempts that failed since the process started.
    failures: u64,
    /// Why the last of them failed. Null: none did.
    last_error: Option<String>,
    /// Why nothing is sent until it is enabled again. Null: it is sent.
    disabled: Option<String>,
    /// Dead letters.
    dead: usize,
}

impl WebhookRow {
    fn of((endpoint, shown): (&Endpoint, Shown)) -> Self {
        Self {
            name: endpoint.name.clone(),
            host: format!(
                "{}://{}",
                endpoint.url.scheme(),
                endpoint.url.host_str().unwrap_or_default()
            ),
            events: endpoint.events.iter().cloned().collect(),
            cursor: shown.cursor,
            newest: shown.newest,
            open: shown.open,
            in_memory: shown.in_memory,
            delivered: shown.delivered,
            failures: shown.failures,
            last_error: shown.last_error,
            disabled: shown.disabled,
            dead: shown.dead.len(),
        }
    }
}

/// The receivers.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WebhookList {
    /// They, as they are configured.
    webhooks: Vec<WebhookRow>,
}

/// A notice that was given up.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeadLetterRow {
    /// Its number in the source.
    sequence: i64,
    /// Its `webhook-id`.
    id: String,
    /// What it is about: the outage.
    about: String,
    /// Attempts made.
    attempts: u32,
    /// When it was given up.
    given_up_at: String,
    /// Why the last attempt failed.
    error: String,
}

/// Dead letters of a receiver.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeadLetters {
    /// They, by number.
    dead_letters: Vec<DeadLetterRow>,
}

/// Which dead letters to send once more.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SendAgain {
    /// Their numbers. Left out: all.
    #[serde(default)]
    sequences: Option<BTreeSet<i64>>,
}

/// What was asked for is durable.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SentAgain {
    /// Dead letters that will be sent once more.
    dead_letters: usize,
}

/// A receiver is told again.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Enabled {
    /// Its name.
    name: String,
}

fn unknown(name: &str) -> Problem {
    let detail = format!("no webhook `{}` is configured", short(name));
    Problem::new(problem::UNKNOWN_WEBHOOK, detail)
}

/// The configured receivers of notices, how far each has come, and what it could not be told.
#[utoipa::path(
    get,
    path = "/api/v1/webhooks",
    tag = "Operations",
    responses((status = 200, description = "The receivers.", body = WebhookList))
)]
pub(crate) async fn list(
    State(app): State<App>,
    headers: HeaderMap,
    parameters: Parameters,
) -> Result<Response, Problem> {
    parameters.finish()?;
    let webhooks = app.webhooks.each().map(WebhookRow::of).collect();
    form::answer(&headers, &WebhookList { webhooks })
}

/// Notices that were given up: after too many attempts, or too long.
#[utoipa::path(
    get,
    path = "/api/v1/webhooks/{name}/dead-letters",
    tag = "Operations",
    params(("name" = String, Path, description = "The receiver.")),
    responses(
        (status = 200, description = "The dead letters.", body = DeadLetters),
        (status = 404, description = "There is no such receiver.", body = crate::problem::ProblemDocument),
    )
)]
pub(crate) async fn dead_letters(
    State(app): State<App>,
    Path(name): Path<String>,
    headers: HeaderMap,
    parameters: Parameters,
) -> Result<Response, Problem> {
    parameters.finish()?;
    let shown = app.webhooks.shown(&name).ok_or_else(|| unknown(&name))?;
    let rows = shown.dead.into_iter().map(|(sequence, letter)| DeadLetterRow {
        sequence,
        id: letter.id,
        about: letter.about,
        attempts: letter.attempts,
        given_up_at: letter.given_up_at.to_rfc3339(&app.zone),
        error: letter.error,
    });
    let dead_letters = rows.collect();
    form::answer(&headers, &DeadLetters { dead_letters })
}

/// Sends dead letters once more, under their old `webhook-id`. Answers when that is durable; it may fail again.
#[utoipa::path(
    post,
    path = "/api/v1/webhooks/{name}/dead-letters/resend",
    tag = "Operations",
    params(("name" = String, Path, description = "The receiver.")),
    request_body = SendAgain,
    responses(
        (status = 200, description = "They will be sent.", body = SentAgain),
        (status = 400, description = "The body cannot be used.", body = crate::problem::ProblemDocument),
        (status = 404, description = "There is no such receiver.", body = crate::problem::ProblemDocument),
        (status = 503, description = "The receiver's task has ended, or its standing cannot be written.", body = crate::problem::ProblemDocument),
    )
)]
pub(crate) async fn resend(
    State(app): State<App>,
    Path(name): Path<String>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let asked: SendAgain =
        problem::said_or_default(body, "a request to send again", "nothing to send again")?;
    app.webhooks.shown(&name).ok_or_else(|| unknown(&name))?;
    let sent = app.webhooks.send_again(&name, asked.sequences).await;
    let dead_letters = sent.ok_or_else(|| not_durable(&name))?;
    Ok(Json(SentAgain { dead_letters }).into_response())
}

/// Sends again to a receiver that answered 410. Answers when that is durable.
#[utoipa::path(
    post,
    path = "/api/v1/webhooks/{name}/enable",
    tag = "Operations",
    params(("name" = String, Path, description = "The receiver.")),
    responses(
        (status = 200, description = "It is told again.", body = Enabled),
        (status = 404, description = "There is no such receiver.", body = crate::problem::ProblemDocument),
        (status = 503, description = "The receiver's task has ended, or its standing cannot be written.", body = crate::problem::ProblemDocument),
    )
)]
pub(crate) async fn enable(State(app): State<App>, Path(name): Path<String>) -> Result<Response, Problem> {
    app.webhooks.shown(&name).ok_or_else(|| unknown(&name))?;
    app.webhooks
        .enable(&name)
        .await
        .ok_or_else(|| not_durable(&name))?;
    Ok(Json(Enabled { name }).into_response())
}

fn not_durable(name: &str) -> Problem {
    let detail = format!("webhook `{name}`: it could not be made durable; the log of the server says why");
    Problem::new(problem::UNAVAILABLE, detail)
}
