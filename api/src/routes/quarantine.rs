//! GET /quarantine, POST /quarantine/replay: what waits in quarantine, and judging it again.

use std::collections::BTreeMap;

use axum::{
    Json,
    body::Bytes,
    extract::{State, rejection::BytesRejection},
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use gridtally_engine::Waiting;
use gridtally_schemas::{UtcMicros, quarantine::Quarantined, record};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    access::Caller,
    app::App,
    form,
    parameters::Parameters,
    problem::{self, Problem},
};

/// Rows of a page by default.
const ROWS: usize = 100;
/// Most rows of a page, and of a release in one log record.
const ROWS_MAX: usize = 1_000;
/// Longest payload that is shown, bytes.
const SHOWN_BYTES_MAX: usize = 2_000;
/// Source of a release in the log.
const SOURCE: &str = "api:quarantine";

/// What waits in quarantine.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WaitingRow {
    /// Its id.
    exception_id: String,
    /// When it was received, RFC 3339.
    received_at: String,
    /// Who sent it.
    source: String,
    /// Topic as received. Null: it did not come over MQTT, or is a part of a publish.
    topic: Option<String>,
    /// Its meter. Null: it names none that can be read.
    meter_id: Option<String>,
    /// End of its first interval. Null: it has none that can be read.
    interval_end: Option<String>,
    /// Why it waits.
    reason: String,
    /// Length of its payload, bytes.
    payload_bytes: usize,
    /// The payload, where it is text of at most 2,000 bytes; whole it stands in the table `quarantine`.
    payload: Option<String>,
}

/// A page of what waits, in the order of arrival.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WaitingRows {
    /// The rows.
    rows: Vec<WaitingRow>,
    /// How many wait in all.
    waiting: usize,
    /// `cursor` of the next page. Null: this is the last.
    next_cursor: Option<String>,
}

/// Which part of the quarantine is to be judged again; left out: all of it.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Replay {
    /// Only what this meter said.
    meter_id: Option<String>,
    /// Only what waits for this reason, such as `too_old`.
    reason: Option<String>,
}

/// What became of judging the quarantine again.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Replayed {
    /// Rows that were judged.
    judged: usize,
    /// Of these, rows that are released: what they say counts now, as of its own arrival.
    released: usize,
    /// Of these, rows that stay, by what is still wrong with them.
    stay: BTreeMap<String, usize>,
    /// Last record of the log that releases something. Null: nothing was released.
    log_position: Option<u64>,
    /// Last log record that the fixed routes show.
    applied_position: u64,
}

fn cursor_of(row: &Quarantined) -> String {
    format!("{}~{}", row.received_at.0, row.exception_id)
}

fn parse_cursor(text: &str) -> Result<(UtcMicros, String), Problem> {
    let parts = text.split_once('~');
    let parsed = parts.and_then(|(at, id)| Some((UtcMicros(at.parse().ok()?), id.to_owned())));
    parsed.ok_or_else(|| Problem::parameter("cursor", "is none that this route gave"))
}

/// What waits in quarantine, as last published (`POST /checkpoint` publishes first).
#[utoipa::path(
    get,
    path = "/api/v1/quarantine",
    tag = "Data",
    params(
        ("meter" = Option<String>, Query, description = "Only of this meter."),
        ("reason" = Option<String>, Query, description = "Only for this reason, such as `unknown_meter` or `undecodable`."),
        ("limit" = Option<usize>, Query, description = "Rows of a page: 1 to 1,000. Default: 100."),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before."),
    ),
    responses((status = 200, description = "What waits.", body = WaitingRows))
)]
pub(crate) async fn list(
    State(app): State<App>,
    headers: HeaderMap,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let asked = Waiting {
        meter_id: parameters.text("meter")?,
        reason: parameters.text("reason")?,
        rows_max: parameters.count("limit", ROWS, ROWS_MAX)?,
        after: parameters
            .text("cursor")?
            .map(|cursor| parse_cursor(&cursor))
            .transpose()?,
    };
    parameters.finish()?;
    let page = app.engine.quarantined(&asked).await.map_err(unreadable)?;
    let next_cursor = page.rows.last().filter(|_| page.more).map(cursor_of);
    let zone = &app.zone;
    let row_of = |row: Quarantined| WaitingRow {
        received_at: row.received_at.to_rfc3339(zone),
        interval_end: row.interval_end.map(|end| end.to_rfc3339(zone)),
        payload_bytes: row.payload.len(),
        payload: String::from_utf8(row.payload)
            .ok()
            .filter(|text| text.len() <= SHOWN_BYTES_MAX),
        exception_id: row.exception_id,
        source: row.source,
        topic: row.topic,
        meter_id: row.meter_id,
        reason: row.reason,
    };
    let rows = WaitingRows {
        rows: page.rows.into_iter().map(row_of).collect(),
        waiting: page.total,
        next_cursor,
    };
    form::answer(&headers, &rows)
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err asks for")]
fn unreadable(error: gridtally_engine::EngineError) -> Problem {
    Problem::failed("the quarantine cannot be read", &error)
}

/// Judges again what waits in quarantine, and releases what can stand now: refused by a rule that has changed since, or not decoded by a
/// version that could not. What is released counts as of its own arrival. What unknown meters said is not judged here: the `meters`
/// row that names a meter releases it. Answers when it is durable and shows in the fixed routes.
#[utoipa::path(
    post,
    path = "/api/v1/quarantine/replay",
    tag = "Data",
    request_body = Replay,
    responses(
        (status = 200, description = "What can stand is released.", body = Replayed),
        (status = 400, description = "The body cannot be used.", body = crate::problem::ProblemDocument),
        (status = 503, description = "The log takes nothing now.", body = crate::problem::ProblemDocument),
    )
)]
pub(crate) async fn replay(
    State(app): State<App>,
    caller: Caller,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let source = match caller.name() {
        "" => SOURCE.to_owned(),
        name => format!("{SOURCE} ({name})"),
    };
    let asked: Replay = problem::said_or_default(body, "a request of a replay", "no replay")?;
    // What is not published yet could not be found in the table.
    app.engine
        .checkpoint()
        .await
        .map_err(|error| Problem::unavailable(&error))?;
    let mut waiting = Waiting {
        meter_id: asked.meter_id,
        reason: asked.reason,
        after: None,
        rows_max: ROWS_MAX,
    };
    let mut replayed = Replayed {
        judged: 0,
        released: 0,
        stay: BTreeMap::new(),
        log_position: None,
        applied_position: 0,
    };
    loop {
        let page = app.engine.quarantined(&waiting).await.map_err(unreadable)?;
        waiting.after = page
            .rows
            .last()
            .map(|row| (row.received_at, row.exception_id.clone()));
        release(&app, &source, page.rows, &mut replayed).await?;
        if !page.more {
            break;
        }
    }
    let progress = app
        .engine
        .applied()
        .await
        .map_err(|error| Problem::unavailable(&error))?;
    replayed.applied_position = progress.applied_position.0;
    Ok(Json(replayed).into_response())
}

/// Releases those of `rows` that can stand, by one durable log record.
async fn release(
    app: &App,
    source: &str,
    rows: Vec<Quarantined>,
    replayed: &mut Replayed,
) -> Result<(), Problem> {
    replayed.judged += rows.len();
    let mut good = Vec::new();
    app.engine.read(|world| {
        for row in rows {
            match world.judge_quarantined(&row) {
                Ok(()) => good.push(row),
                Err(why) => *replayed.stay.entry(why).or_default() += 1,
            }
        }
    });
    if good.is_empty() {
        return Ok(());
    }
    let mut bytes = Vec::new();
    record::encode_release(app.clock.now(), source, &good, &mut bytes);
    let position = app.write(&bytes).await?;
    replayed.released += good.len();
    replayed.log_position = Some(position.0);
    Ok(())
}
