//! GET /compensation/entries, POST /compensation/acknowledgements: the billing feed; `approvals`: what two people say of it first.
//! GET /consumers/{id}/compensation: what one consumer is owed.

use std::collections::BTreeSet;

use axum::{
    Json,
    body::Bytes,
    extract::{Path, State, rejection::BytesRejection},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use gridtally_engine::{
    World,
    compensation::{
        Paise,
        ledger::{EntryId, Status},
    },
    outage::{Interruption, OutageId},
    world::compensation::{FeedEntry, FeedQuery},
};
use gridtally_schemas::{
    ConsumerId, Zone,
    compensation::{Acknowledgement, CompensationWord, Taken, WordError},
    record,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    access::{Caller, reach::Reach},
    app::App,
    form::{self, Column, Holds, Table},
    parameters::{Parameters, short},
    problem::{self, Problem},
};

pub(crate) mod approvals;

/// Entries on a page when nobody asks for a number.
const PAGE: usize = 1_000;
/// Most entries on a page.
const PAGE_MAX: usize = 10_000;
/// Source of billing's words in the log, where nobody knows whose they are.
const BILLING: &str = "api:billing";
/// What the API says where no regulation is configured.
pub(crate) const NOT_ACCRUED: &str = "no regulation on compensation is configured (compensation.regulation, or [[regulations]] of the \
                           configuration file): nothing is accrued";

/// An entry of the ledger.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct EntryRow {
    /// Its place in the feed: grows whenever an entry comes or its status moves. 0: it is not durable yet, and not in the feed.
    pub(crate) sequence: u64,
    /// Its id.
    #[schema(example = "CE6c62272e07bb014262b821756295c58d")]
    pub(crate) entry_id: String,
    /// The consumer.
    pub(crate) consumer_id: String,
    /// The outage. Null: the default is none.
    pub(crate) outage_id: Option<String>,
    /// What it is for: outage:…, request:… or period:standard:first day. What is owed for it is the sum of its entries.
    pub(crate) default_key: String,
    /// accrual, adjustment or reversal.
    pub(crate) kind: &'static str,
    /// Preset of the regulation.
    pub(crate) regulation: String,
    /// Its edition.
    pub(crate) revision: u32,
    /// The standard.
    pub(crate) standard: String,
    /// The clause.
    pub(crate) clause: String,
    /// Limit of the standard, minutes. Null: it counts interruptions or days.
    pub(crate) limit_minutes: Option<i64>,
    /// Time beyond the limit, minutes. Null: as before.
    pub(crate) default_minutes: Option<i64>,
    /// Amount, INR with two decimals; a reversal is negative.
    #[schema(example = "150.00")]
    pub(crate) amount_inr: String,
    /// Last day for the credit. Null: it still accrues, or the regulation sets none.
    pub(crate) due_by: Option<String>,
    /// accruing, due, exported or credited.
    pub(crate) status: &'static str,
    /// Who proposed it, where two people are needed. Null: nobody.
    pub(crate) made_by: Option<String>,
    /// Who approved it. Null: nobody.
    pub(crate) checked_by: Option<String>,
    /// When it was made, by the configured clock.
    pub(crate) created_at: String,
    /// The accrual that it adjusts or reverses. Null: it is one.
    pub(crate) explains: Option<String>,
    /// Number of its version in `compensation_entries`. 0: not published yet.
    pub(crate) version: i64,
}

const COLUMNS: [Column; 20] = [
    Column("sequence", Holds::Whole),
    Column("entry_id", Holds::Text),
    Column("consumer_id", Holds::Text),
    Column("outage_id", Holds::Text),
    Column("default_key", Holds::Text),
    Column("kind", Holds::Text),
    Column("regulation", Holds::Text),
    Column("revision", Holds::Whole),
    Column("standard", Holds::Text),
    Column("clause", Holds::Text),
    Column("limit_minutes", Holds::Whole),
    Column("default_minutes", Holds::Whole),
    Column("amount_inr", Holds::Text),
    Column("due_by", Holds::Day),
    Column("status", Holds::Text),
    Column("made_by", Holds::Text),
    Column("checked_by", Holds::Text),
    Column("created_at", Holds::Instant),
    Column("explains", Holds::Text),
    Column("version", Holds::Whole),
];

impl EntryRow {
    pub(crate) fn of(zone: &Zone, held: FeedEntry) -> Self {
        let content = held.entry.content;
        Self {
            sequence: held.sequence,
            entry_id: held.entry.entry_id.to_string(),
            outage_id: content.default.outage_id().map(str::to_owned),
            default_key: content.default.to_string(),
            consumer_id: content.consumer_id.to_string(),
            kind: content.kind.as_str(),
            regulation: content.grounds.regulation,
            revision: content.grounds.revision,
            standard: content.grounds.standard,
            clause: content.grounds.clause,
            limit_minutes: content.grounds.limit_minutes,
            default_minutes: content.grounds.default_minutes,
            amount_inr: content.amount.to_string(),
            due_by: held.standing.due_by.map(|day| day.to_string()),
            status: held.standing.status.as_str(),
            made_by: held.hands.made_by,
            checked_by: held.hands.checked_by,
            created_at: held.entry.created_at.to_rfc3339(zone),
            explains: content.explains.map(|id| id.to_string()),
            version: held.version,
        }
    }

    /// As its newest durable version has it; what billing itself acknowledged counts at once.
    fn durable(zone: &Zone, held: FeedEntry) -> Self {
        let status = held
            .published_status
            .filter(|_| held.standing.status < Status::Exported);
        let row = Self::of(zone, held);
        match status {
            Some(status) => Self {
                status: status.as_str(),
                due_by: row.due_by.filter(|_| status >= Status::Due),
                ..row
            },
            None => row,
        }
    }
}

/// A part of the feed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EntryPage {
    /// The entries, by `sequence`.
    entries: Vec<EntryRow>,
    /// `cursor` of what comes after: keep it, and go on there. Never null.
    next_cursor: String,
    /// Whether there is more after this page now.
    more: bool,
    /// Why nothing is accrued. Null: a regulation is configured.
    not_accrued_because: Option<&'static str>,
}

fn cursor(text: &str) -> Result<u64, Problem> {
    text.parse()
        .map_err(|_| Problem::parameter("cursor", format!("`{}` is none of ours", short(text))))
}

/// Which list is asked for.
enum Listed {
    Feed(Option<Status>),
    /// What waits for an approval; whether it is proposed already.
    ToApprove(bool),
}

impl Listed {
    /// Entries after a place, at most so many.
    fn page(&self, world: &World, after: u64, entries_max: usize) -> Vec<FeedEntry> {
        let query = |status| FeedQuery {
            status,
            after,
            entries_max,
        };
        match self {
            Self::Feed(status) => world.compensation_feed(&query(*status)),
            Self::ToApprove(is_proposed) => world.compensation_to_approve(*is_proposed, &query(None)),
        }
    }
}

fn listed(word: Option<&str>) -> Result<Listed, Problem> {
    match word {
        None => Ok(Listed::Feed(None)),
        Some("unproposed") => Ok(Listed::ToApprove(false)),
        Some("proposed") => Ok(Listed::ToApprove(true)),
        Some(word) => word
            .parse()
            .map(|status| Listed::Feed(Some(status)))
            .map_err(|_| {
                let known = "accruing, due, exported, credited, unproposed, proposed";
                Problem::parameter("status", format!("`{}` is none of: {known}", short(word)))
            }),
    }
}

/// Entries of the ledger of compensation that are durable, in the order in which they came or their status last moved. Who goes on from
/// `next_cursor` misses none and meets each again when its status has moved. With `status=due` these are the entries to credit: each until
/// it is acknowledged; where two people must approve, only those that were.
#[utoipa::path(
    get,
    path = "/api/v1/compensation/entries",
    tag = "Compensation",
    params(
        ("status" = Option<String>, Query, description = "accruing, due, exported or credited; of those that are due and wait for an approval: unproposed or proposed. Default: any."),
        ("limit" = Option<usize>, Query, description = "Entries on a page, 1 to 10,000. Default 1,000."),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before. Default: from the beginning."),
    ),
    responses(
        (status = 200, description = "A part of the feed.", content((EntryPage = "application/json"), (String = "text/csv"), (Vec<u8> = "application/vnd.apache.arrow.stream"))),
        (status = 400, description = "A parameter cannot be used.", body = crate::problem::ProblemDocument),
    )
)]
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let listed = listed(parameters.text("status")?.as_deref())?;
    let after = parameters.text("cursor")?.as_deref().map(cursor).transpose()?;
    let limit = parameters.count("limit", PAGE, PAGE_MAX)?;
    parameters.finish()?;
    app.caught_up().await?;
    let accrues = app.engine.read(accrues);
    let mut found = Vec::new();
    let mut from = after.unwrap_or(0);
    // A page of a part of the feed may lie far apart: it is looked for a page at a time, each under a lock of its own.
    loop {
        let page = app.engine.read(|world| listed.page(world, from, limit + 1));
        let is_last = page.len() <= limit;
        from = page.last().map_or(from, |last| last.sequence);
        let seen = app.engine.read(|world| {
            let reach = Reach::of(world, &caller, app.clock.now());
            let mut page = page;
            page.retain(|held| reach.consumer(&held.entry.content.consumer_id));
            page
        });
        found.extend(seen);
        if is_last || found.len() > limit {
            break;
        }
    }
    let more = found.len() > limit;
    found.truncate(limit);
    let last = found.last().map_or(after.unwrap_or(0), |last| last.sequence);
    let rows = found.into_iter().map(|held| EntryRow::durable(&app.zone, held));
    let page = EntryPage {
        entries: rows.collect(),
        next_cursor: last.to_string(),
        more,
        not_accrued_because: (!accrues).then_some(NOT_ACCRUED),
    };
    let table = Table {
        columns: &COLUMNS,
        rows: &page.entries,
        name: "compensation_entries",
    };
    table.answer_page(&headers, &page, Some(&page.next_cursor))
}

/// Whether a regulation is configured.
pub(crate) fn accrues(world: &World) -> bool {
    !world.settings.compensation.in_force.is_none()
}

/// What a billing system says of entries.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AcknowledgementBody {
    /// exported (fetched) or credited.
    #[schema(value_type = String, example = "credited")]
    status: Taken,
    /// The entries: 1 to 10,000.
    entry_ids: Vec<String>,
    /// Its own reference, such as a bill's number: at most 200 bytes. Left out: none.
    #[serde(default)]
    reference: Option<String>,
}

/// A word that is durable.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Acknowledged {
    /// The key.
    idempotency_key: String,
    /// How many entries it names.
    entries: usize,
    /// Whether the same had been said before.
    repeated: bool,
    /// Last log record that the feed shows: this word is in it.
    applied_position: u64,
}

fn idempotency_key(headers: &HeaderMap) -> Result<String, Problem> {
    let key = headers
        .get("idempotency-key")
        .and_then(|value| value.to_str().ok());
    let key = key.map(str::trim).filter(|key| !key.is_empty());
    key.map(str::to_owned).ok_or_else(|| {
        let why = "the header `Idempotency-Key` must name this request, the same whenever it is sent again";
        Problem::new(problem::NO_IDEMPOTENCY_KEY, why)
    })
}

pub(super) fn bad_word(error: &WordError) -> Problem {
    Problem::new(problem::BAD_BODY, error.to_string())
}

/// Acknowledges entries: exported, then credited. Every entry of a request is acknowledged, or none. Sent again with its key it changes
/// nothing and is answered alike, so a billing system that does not know whether it was heard sends it again. Answers when it is durable.
#[utoipa::path(
    post,
    path = "/api/v1/compensation/acknowledgements",
    tag = "Compensation",
    params(("Idempotency-Key" = String, Header, description = "Names this request: 1 to 200 bytes.")),
    request_body = AcknowledgementBody,
    responses(
        (status = 200, description = "It is durable.", body = Acknowledged),
        (status = 400, description = "The body cannot be used, or the key is missing.", body = crate::problem::ProblemDocument),
        (status = 409, description = "An entry cannot be acknowledged: it is not in the feed, still accrues, or waits for an approval. None was.", body = crate::problem::ProblemDocument),
        (status = 422, description = "The key names a request with another body.", body = crate::problem::ProblemDocument),
        (status = 503, description = "The log takes nothing now.", body = crate::problem::ProblemDocument),
    )
)]
pub(crate) async fn acknowledge(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let said: AcknowledgementBody = problem::said(body, "an acknowledgement", "no acknowledgement")?;
    let word = Acknowledgement {
        idempotency_key: idempotency_key(&headers)?,
        status: said.status,
        entry_ids: said.entry_ids,
        reference: said.reference,
    };
    word.check().map_err(|error| bad_word(&error))?;
    app.caught_up().await?;
    let key = word.idempotency_key.clone();
    let entries = word.entry_ids.len();
    let digest = word.digest();
    let repeated = app.engine.read(|world| match world.acknowledged_as(&key) {
        Some(held) if held == digest => Ok(true),
        Some(_) => Err(other_body(&key)),
        None => {
            let reach = Reach::of(world, &caller, app.clock.now());
            may_acknowledge(world, &reach, &word).map(|()| false)
        }
    })?;
    if !repeated {
        let source = match caller.name() {
            "" => BILLING.to_owned(),
            name => format!("api:{name}"),
        };
        let mut bytes = Vec::new();
        record::encode_compensation(
            app.clock.now(),
            &source,
            &CompensationWord::Acknowledged(word),
            &mut bytes,
        )
        .map_err(|error| Problem::failed("acknowledgement", &error))?;
        app.write(&bytes).await?;
    }
    let progress = app.applied("the acknowledgement is").await?;
    // Of two requests under one key at a time the log's first stands.
    if app
        .engine
        .read(|world| world.acknowledged_as(&key).is_none_or(|held| held != digest))
    {
        return Err(other_body(&key));
    }
    let acknowledged = Acknowledged {
        idempotency_key: key,
        entries,
        repeated,
        applied_position: progress.applied_position.0,
    };
    Ok((StatusCode::OK, Json(acknowledged)).into_response())
}

fn other_body(key: &str) -> Problem {
    let detail = format!("`{}` names a request that said something else", short(key));
    Problem::new(problem::KEY_REUSED, detail)
}

fn may_acknowledge(world: &World, reach: &Reach<'_>, word: &Acknowledgement) -> Result<(), Problem> {
    for id in &word.entry_ids {
        let held = world.compensation_entry(&EntryId::from(id.as_str()));
        let held = held.filter(|held| reach.consumer(&held.entry.content.consumer_id));
        let why = match held {
            None => "is no entry",
            Some(held) if !world.is_payable(&held) => {
                let is_due = held.published_status.is_some_and(|status| status >= Status::Due);
                if is_due {
                    "waits for an approval"
                } else {
                    "is not due, or not durable yet"
                }
            }
            Some(_) => continue,
        };
        let detail = format!("`{}` {why}; nothing was acknowledged", short(id));
        return Err(Problem::new(problem::NOT_ACKNOWLEDGEABLE, detail));
    }
    Ok(())
}

/// What an outage has led to.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OutageCompensation {
    /// Consumers with an entry.
    consumers: usize,
    /// Sum of all entries, INR.
    #[schema(example = "4200.00")]
    total_inr: String,
    /// Of it, what still accrues, INR.
    accruing_inr: String,
    /// The newest entry of the consumer to whom most is owed, all his entries for this outage taken together. Null: there is none.
    largest_entry_id: Option<String>,
}

impl OutageCompensation {
    /// Of the consumers whom an outage interrupted.
    pub(crate) fn of(world: &World, id: &OutageId, interruptions: &[&Interruption]) -> Self {
        let consumers: BTreeSet<&ConsumerId> = interruptions
            .iter()
            .map(|interruption| &interruption.consumer)
            .collect();
        let is_of_it = |held: &FeedEntry| held.entry.content.default.outage_id() == Some(id.as_str());
        let (mut owed, mut total, mut accruing) = (0, 0_i64, 0_i64);
        let mut largest: Option<(i64, String)> = None;
        for consumer in consumers {
            let entries = world.compensation_of(consumer);
            let entries: Vec<FeedEntry> = entries.into_iter().filter(is_of_it).collect();
            let Some(newest) = entries.last() else {
                continue;
            };
            owed += 1;
            let mut of_consumer = 0_i64;
            for held in &entries {
                let paise = held.entry.content.amount.0;
                of_consumer = of_consumer.saturating_add(paise);
                if held.standing.status == Status::Accruing {
                    accruing = accruing.saturating_add(paise);
                }
            }
            total = total.saturating_add(of_consumer);
            // Corrections are entries of their own: only their sum says who is owed most.
            if largest.as_ref().is_none_or(|(most, _)| of_consumer > *most) {
                largest = Some((of_consumer, newest.entry.entry_id.to_string()));
            }
        }
        Self {
            consumers: owed,
            total_inr: Paise(total).to_string(),
            accruing_inr: Paise(accruing).to_string(),
            largest_entry_id: largest.map(|(_, id)| id),
        }
    }
}

/// What one consumer is owed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ConsumerCompensation {
    /// The consumer.
    consumer_id: String,
    /// Sum of all entries, INR.
    #[schema(example = "150.00")]
    total_inr: String,
    /// Of it, what was credited, INR.
    credited_inr: String,
    /// All entries, by what they are for and their order, live: those that are not durable yet have sequence 0.
    entries: Vec<EntryRow>,
    /// Why nothing is accrued. Null: a regulation is configured.
    not_accrued_because: Option<&'static str>,
}

/// What one consumer is owed, entry by entry, as it stands now.
#[utoipa::path(
    get,
    path = "/api/v1/consumers/{id}/compensation",
    tag = "Compensation",
    params(("id" = String, Path, description = "The consumer.")),
    responses(
        (status = 200, description = "The entries.", body = ConsumerCompensation),
        (status = 404, description = "There is no such consumer.", body = crate::problem::ProblemDocument),
    )
)]
pub(crate) async fn of_consumer(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    parameters: Parameters,
) -> Result<Response, Problem> {
    parameters.finish()?;
    let consumer =
        ConsumerId::parse(&id).map_err(|why| Problem::parameter("id", format!("`{}`: {why}", short(&id))))?;
    let found = app.engine.read(|world| {
        let entries = world.compensation_of(&consumer);
        let seen = Reach::of(world, &caller, app.clock.now()).consumer(&consumer);
        let is_known = seen && (!entries.is_empty() || world.knows_consumer(&consumer));
        is_known.then(|| (entries, accrues(world)))
    });
    let (entries, accrues) = found.ok_or_else(|| {
        let detail = format!("consumer `{consumer}` has no connection");
        Problem::new(problem::UNKNOWN_CONSUMER, detail)
    })?;
    let sum = |of: &dyn Fn(&FeedEntry) -> bool| {
        let amounts = entries.iter().filter(|held| of(held));
        let paise = amounts.fold(0_i64, |sum, held| sum.saturating_add(held.entry.content.amount.0));
        Paise(paise).to_string()
    };
    let answer = ConsumerCompensation {
        consumer_id: consumer.to_string(),
        total_inr: sum(&|_| true),
        credited_inr: sum(&|held| held.standing.status == Status::Credited),
        entries: entries
            .into_iter()
            .map(|held| EntryRow::of(&app.zone, held))
            .collect(),
        not_accrued_because: (!accrues).then_some(NOT_ACCRUED),
    };
    form::answer(&headers, &answer)
}
