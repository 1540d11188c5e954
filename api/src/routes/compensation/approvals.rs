//! POST /compensation/approvals: entries that one person proposes and another approves before billing gets them.

use axum::{
    Json,
    body::Bytes,
    extract::{State, rejection::BytesRejection},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use gridtally_engine::{
    World,
    compensation::ledger::{EntryId, Status},
    world::compensation::FeedEntry,
};
use gridtally_schemas::{
    compensation::{Approval, ApprovalStep, CompensationWord},
    record,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::bad_word;
use crate::{
    access::{Caller, reach::Reach},
    app::App,
    parameters::short,
    problem::{self, Problem},
};

/// What a person says of entries.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ApprovalBody {
    /// Who: at most 200 bytes. Where the caller is known it is the caller, whatever stands here: two people are two callers.
    person: String,
    /// make (propose) or check (approve what somebody else has proposed).
    #[schema(value_type = String, example = "make")]
    step: ApprovalStep,
    /// The entries: 1 to 10,000.
    entry_ids: Vec<String>,
}

/// An approval that is durable.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Approved {
    /// How many entries it names.
    entries: usize,
    /// Position of the record in the log.
    log_position: u64,
    /// Last log record that the fixed routes show: this word is in it.
    applied_position: u64,
}

/// Proposes entries for payment, or approves what somebody else has proposed (`compensation.approval = "two_people"`): billing gets them
/// only then. All of a request stands, or nothing. Answers when it is durable.
#[utoipa::path(
    post,
    path = "/api/v1/compensation/approvals",
    tag = "Compensation",
    request_body = ApprovalBody,
    responses(
        (status = 200, description = "It is durable.", body = Approved),
        (status = 400, description = "The body cannot be used.", body = crate::problem::ProblemDocument),
        (status = 409, description = "An entry cannot be proposed or approved by this person. None was.", body = crate::problem::ProblemDocument),
        (status = 503, description = "The log takes nothing now.", body = crate::problem::ProblemDocument),
    )
)]
pub(crate) async fn approve(
    State(app): State<App>,
    caller: Caller,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let said: ApprovalBody = problem::said(body, "an approval", "no approval")?;
    let word = Approval {
        person: caller.hand(&said.person),
        step: said.step,
        entry_ids: said.entry_ids,
    };
    word.check().map_err(|error| bad_word(&error))?;
    app.caught_up().await?;
    app.engine.read(|world| {
        let reach = Reach::of(world, &caller, app.clock.now());
        may_approve(world, &reach, &word)
    })?;
    let entries = word.entry_ids.len();
    let source = format!("person:{}", word.person);
    let mut bytes = Vec::new();
    record::encode_compensation(
        app.clock.now(),
        &source,
        &CompensationWord::Approved(word),
        &mut bytes,
    )
    .map_err(|error| Problem::failed("approval", &error))?;
    let (position, progress) = app.record(&bytes, "the approval is").await?;
    let approved = Approved {
        entries,
        log_position: position.0,
        applied_position: progress.applied_position.0,
    };
    Ok((StatusCode::OK, Json(approved)).into_response())
}

fn may_approve(world: &World, reach: &Reach<'_>, word: &Approval) -> Result<(), Problem> {
    let refuse = |why: String| {
        Err(Problem::new(
            problem::NOT_APPROVABLE,
            format!("{why}; nothing was done"),
        ))
    };
    if !world.settings.compensation.needs_approval {
        return refuse("no approval is asked for (compensation.approval = \"two_people\" does)".to_owned());
    }
    for id in &word.entry_ids {
        let id = short(id);
        let held = world.compensation_entry(&EntryId::from(id.as_str()));
        let seen = |held: &FeedEntry| reach.consumer(&held.entry.content.consumer_id);
        let Some(held) = held.filter(seen) else {
            return refuse(format!("`{id}` is no entry"));
        };
        let is_due = held.published_status.is_some_and(|status| status >= Status::Due);
        match (word.step, held.hands.made_by, held.hands.checked_by) {
            _ if !is_due => return refuse(format!("`{id}` is not due, or not durable yet")),
            (_, _, Some(by)) => return refuse(format!("`{id}` was approved by {by}")),
            (ApprovalStep::Make, Some(by), None) => return refuse(format!("`{id}` was proposed by {by}")),
            (ApprovalStep::Check, None, None) => return refuse(format!("`{id}` was not proposed yet")),
            (ApprovalStep::Check, Some(by), None) if by == word.person => {
                return refuse(format!(
                    "`{id}` was proposed by {by}, and another must approve it"
                ));
            }
            (ApprovalStep::Make, None, None) | (ApprovalStep::Check, Some(_), None) => {}
        }
    }
    Ok(())
}
