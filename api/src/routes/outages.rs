//! GET /outages, /outages/{id}: outages with their evidence. POST /outages/{id}/cause: what the crew found.

use axum::{
    Json,
    body::Bytes,
    extract::{Path, State, rejection::BytesRejection},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use gridtally_engine::{
    World,
    outage::{FOREVER, Interruption, OutageId, Reason, Span, Status},
    world::{OutageView, outage::OutageVersion},
};
use gridtally_schemas::{ConsumerId, NodeId, UtcMicros, Zone, outage::Cause, record};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::{
    compensation::{OutageCompensation, accrues},
    interruptions::InterruptionRow,
    nodes,
};
use crate::{
    access::{Caller, reach::Reach},
    app::App,
    form::{self, Table},
    parameters::{Parameters, short},
    problem::{self, Problem},
};

mod row;

use row::COLUMNS;
pub(crate) use row::OutageRow;

/// Outages on a page when nobody asks for a number.
const PAGE: usize = 100;
/// Most outages on a page.
const PAGE_MAX: usize = 1_000;
/// Most interruptions that an outage lists.
const INTERRUPTIONS_MAX: usize = 1_000;
/// Most versions that an outage lists.
const HISTORY_MAX: usize = 1_000;

/// A page of outages, newest begin first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OutagePage {
    /// The outages.
    outages: Vec<OutageRow>,
    /// `cursor` of the next page. Null: this is the last.
    next_cursor: Option<String>,
}

/// What was announced of a planned outage.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Announced {
    /// Planned begin.
    start: String,
    /// Planned end.
    end: String,
    /// Why. Null: not said.
    reason: Option<String>,
    /// When consumers were told. Null: no notice was given.
    notice_at: Option<String>,
}

/// What a person said of an outage.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CauseSaid {
    /// When it was recorded.
    recorded_at: String,
    /// Who said it.
    person: String,
    /// The cause. Null: not said.
    cause: Option<String>,
    /// Fault type. Null: not said.
    fault_type: Option<String>,
    /// Force majeure. Null: not said.
    force_majeure: Option<bool>,
    /// Estimated time of restoration. Null: not said.
    etr: Option<String>,
}

/// An outage with what it rests on.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OutageDetail {
    /// The outage.
    #[serde(flatten)]
    outage: OutageRow,
    /// When the node failed and was back and from what that is known, interruptions by source, restoration step by step.
    #[schema(value_type = Object)]
    evidence: Value,
    /// What was announced. Null: nobody announced it.
    announced: Option<Announced>,
    /// What people said of outages at its node, oldest first.
    causes: Vec<CauseSaid>,
    /// How many interruptions it has.
    interruptions_total: usize,
    /// They, by begin and consumer; 1,000 at most.
    interruptions: Vec<InterruptionRow>,
    /// What consumers are owed for it, as it stands now. Null: no regulation is configured, or the outage stands no more.
    compensation: Option<OutageCompensation>,
    /// Its published versions, oldest first; the newest 1,000 at most.
    history: Vec<OutageVersionRow>,
    /// Of a cancelled one: the outage that (most of) what stood here goes on under. Null: it stands, or goes on under none.
    continued_as: Option<String>,
}

impl OutageDetail {
    /// Without consumers who have left the caller's area since.
    fn seen_by(mut self, reach: &Reach<'_>) -> Self {
        let seen =
            |row: &InterruptionRow| ConsumerId::parse(row.consumer()).is_ok_and(|id| reach.consumer(&id));
        if !reach.is_whole() {
            self.interruptions.retain(seen);
        }
        self
    }
}

/// A published version of an outage.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OutageVersionRow {
    /// Its number.
    version: i64,
    /// When it was published.
    published_at: String,
    /// Why. Null: it is the first.
    reason: Option<String>,
    /// Its status then.
    status: String,
    /// How far it reached then.
    scope: String,
    /// The lowest node that it covered then.
    node_id: String,
    /// Consumers that it had interrupted then.
    consumers_affected: i64,
    /// First interruption.
    started_at: String,
    /// Last restoration. Null: not over then.
    ended_at: Option<String>,
    /// Estimated time of restoration. Null: nobody could say, or it was over.
    etr: Option<String>,
    /// What that rested on. Null: there was none.
    etr_basis: Option<String>,
}

impl OutageVersionRow {
    fn of(zone: &Zone, version: OutageVersion) -> Self {
        let text = |at: UtcMicros| at.to_rfc3339(zone);
        let values = version.values;
        Self {
            version: version.version,
            published_at: text(version.published_at),
            reason: version.reason,
            status: values.status,
            scope: values.scope,
            node_id: values.node_id,
            consumers_affected: values.consumers_affected,
            started_at: text(values.started_at),
            ended_at: values.ended_at.map(text),
            etr: values.etr.map(text),
            etr_basis: values.etr_basis,
        }
    }
}

/// Which outages are asked for.
struct Wanted {
    status: Option<Vec<Status>>,
    node: Option<NodeId>,
    within: Span,
    turn: Turn,
}

/// Which page of outages is asked for, newest begin first.
#[derive(Debug)]
pub(super) struct Turn {
    after: Option<(UtcMicros, OutageId)>,
    limit: usize,
}

impl Turn {
    /// By `cursor` and `limit`.
    pub(super) fn of(parameters: &mut Parameters, usual: usize, most: usize) -> Result<Self, Problem> {
        Ok(Self {
            after: parameters.text("cursor")?.as_deref().map(cursor).transpose()?,
            limit: parameters.count("limit", usual, most)?,
        })
    }

    /// The page of what was found, and the cursor of the next; `None`: this is the last.
    pub(super) fn take(&self, mut found: Vec<OutageView>) -> (Vec<OutageView>, Option<String>) {
        let key = |view: &OutageView| (std::cmp::Reverse(view.outage.started_at), view.outage.id.clone());
        found.sort_by_cached_key(key);
        if let Some((at, id)) = &self.after {
            let after = (std::cmp::Reverse(*at), id.clone());
            found.retain(|view| key(view) > after);
        }
        let more = found.len() > self.limit;
        found.truncate(self.limit);
        let last = found.last().filter(|_| more).map(|last| &last.outage);
        let next = last.map(|last| format!("{}~{}", last.started_at.0, last.id));
        (found, next)
    }
}

/// Whether an outage was on at some time of `within`.
pub(super) fn was_on(view: &OutageView, within: Span) -> bool {
    let outage = &view.outage;
    let ended = outage.ended_at.unwrap_or(FOREVER);
    Span::new(outage.started_at, ended.max(outage.started_at.plus(1))).overlaps(within)
}

/// The statuses that a word names.
pub(super) fn statuses(word: &str) -> Result<Vec<Status>, Problem> {
    const ALL: [Status; 5] = [
        Status::Scheduled,
        Status::Active,
        Status::PartiallyRestored,
        Status::Restored,
        Status::Cancelled,
    ];
    if word.eq_ignore_ascii_case("open") {
        return Ok(vec![Status::Active, Status::PartiallyRestored]);
    }
    let named = ALL
        .into_iter()
        .find(|status| status.as_str().eq_ignore_ascii_case(word));
    named.map(|status| vec![status]).ok_or_else(|| {
        let words = ALL.map(Status::as_str).join(", ");
        Problem::parameter("status", format!("`{}` is none of: open, {words}", short(word)))
    })
}

/// Where a page ends: begin of its last outage, µs since 1970, and its id.
fn cursor(text: &str) -> Result<(UtcMicros, OutageId), Problem> {
    text.split_once('~')
        .and_then(|(at, id)| Some((UtcMicros(at.parse().ok()?), OutageId::from(id.to_owned()))))
        .ok_or_else(|| Problem::parameter("cursor", format!("`{}` is none of ours", short(text))))
}

/// The span of `from` and `to`: all of time where they are not given.
pub(super) fn within(app: &App, parameters: &mut Parameters) -> Result<Span, Problem> {
    let from = parameters.instant("from", &app.zone)?;
    let to = parameters.instant("to", &app.zone)?;
    let within = Span::new(from.unwrap_or(UtcMicros(i64::MIN)), to.unwrap_or(FOREVER));
    if within.to <= within.from {
        return Err(Problem::parameter("to", "it is not after `from`"));
    }
    Ok(within)
}

fn select(
    world: &World,
    reach: &Reach<'_>,
    now: UtcMicros,
    wanted: &Wanted,
) -> Result<Vec<OutageView>, Problem> {
    let top = wanted
        .node
        .as_ref()
        .map(|node| nodes::find_in(world, reach, node))
        .transpose()?;
    let is_wanted = |view: &OutageView| {
        let outage = &view.outage;
        let place = world.network.find_node(outage.node.as_str());
        wanted
            .status
            .as_ref()
            .is_none_or(|status| status.contains(&outage.status))
            && was_on(view, wanted.within)
            && reach.outage(view)
            && top.is_none_or(|top| place.is_some_and(|node| world.network.is_at_or_below(node, top, now)))
    };
    Ok(world.outages().filter(is_wanted).collect())
}

/// Outages as they stand now, newest begin first.
#[utoipa::path(
    get,
    path = "/api/v1/outages",
    tag = "Outages",
    params(
        ("status" = Option<String>, Query, description = "open (ACTIVE or PARTIALLY_RESTORED), SCHEDULED, ACTIVE, PARTIALLY_RESTORED, RESTORED or CANCELLED. Default: any."),
        ("node" = Option<String>, Query, description = "Only outages at this node or below it."),
        ("from" = Option<String>, Query, description = "Only outages that were on after this: RFC 3339, or a civil day."),
        ("to" = Option<String>, Query, description = "Only outages that began before this: RFC 3339, or a civil day."),
        ("limit" = Option<usize>, Query, description = "Outages on a page, 1 to 1,000. Default 100."),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before."),
    ),
    responses(
        (status = 200, description = "A page of outages.", content((OutagePage = "application/json"), (String = "text/csv"), (Vec<u8> = "application/vnd.apache.arrow.stream"))),
        (status = 400, description = "A parameter cannot be used.", body = crate::problem::ProblemDocument),
        (status = 404, description = "There is no such node.", body = crate::problem::ProblemDocument),
    )
)]
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let wanted = Wanted {
        status: parameters.text("status")?.as_deref().map(statuses).transpose()?,
        node: parameters.parsed::<NodeId>("node")?,
        within: within(&app, &mut parameters)?,
        turn: Turn::of(&mut parameters, PAGE, PAGE_MAX)?,
    };
    parameters.finish()?;
    let now = app.clock.now();
    let (outages, next_cursor) = app.engine.read(|world| {
        let (found, next) = wanted
            .turn
            .take(select(world, &Reach::of(world, &caller, now), now, &wanted)?);
        let rows = found
            .into_iter()
            .map(|view| OutageRow::of(world, &app.zone, view));
        Ok((rows.collect::<Vec<_>>(), next))
    })?;
    let page = OutagePage { outages, next_cursor };
    let table = Table {
        columns: &COLUMNS,
        rows: &page.outages,
        name: "outages",
    };
    table.answer_page(&headers, &page, page.next_cursor.as_deref())
}

fn unknown(id: &str) -> Problem {
    let detail = format!(
        "no outage `{}` was ever published, and none of that id stands now",
        short(id)
    );
    Problem::new(problem::UNKNOWN_OUTAGE, detail)
}

fn detail(world: &World, zone: &Zone, id: &OutageId) -> Option<OutageDetail> {
    let Some(view) = world.outage(id) else {
        return former(world, zone, id);
    };
    let text = |at: UtcMicros| at.to_rfc3339(zone);
    let announced = world.planned_of(&view.outage).map(|row| Announced {
        start: text(row.start),
        end: text(row.end),
        reason: row.reason.clone(),
        notice_at: row.notice_at.map(text),
    });
    let of_outage: Vec<&Interruption> = world.interruptions_of_outage(id).collect();
    Some(OutageDetail {
        evidence: serde_json::to_value(&view.outage.evidence).unwrap_or_default(),
        announced,
        causes: causes_at(world, zone, &view.outage.node),
        compensation: accrues(world).then(|| OutageCompensation::of(world, id, &of_outage)),
        interruptions_total: of_outage.len(),
        interruptions: of_outage
            .into_iter()
            .take(INTERRUPTIONS_MAX)
            .map(|interruption| InterruptionRow::of(world, zone, interruption))
            .collect(),
        outage: OutageRow::of(world, zone, view),
        history: Vec::new(),
        continued_as: None,
    })
}

fn causes_at(world: &World, zone: &Zone, node: &NodeId) -> Vec<CauseSaid> {
    let causes = world.causes_at(node).map(|(at, cause)| CauseSaid {
        recorded_at: at.to_rfc3339(zone),
        person: cause.person.clone(),
        cause: cause.cause.clone(),
        fault_type: cause.fault_type.clone(),
        force_majeure: cause.force_majeure,
        etr: cause.etr.map(|etr| etr.to_rfc3339(zone)),
    });
    causes.collect()
}

/// One that was published and stands no more.
fn former(world: &World, zone: &Zone, id: &OutageId) -> Option<OutageDetail> {
    let former = world.former_outage(id)?;
    let node = NodeId::parse(&former.values.node_id).ok();
    let successor = former.reason.as_deref().and_then(Reason::successor);
    Some(OutageDetail {
        evidence: serde_json::from_str(&former.values.evidence).unwrap_or_default(),
        announced: None,
        causes: node.map(|node| causes_at(world, zone, &node)).unwrap_or_default(),
        interruptions_total: 0,
        interruptions: Vec::new(),
        compensation: None,
        outage: OutageRow::published(world, zone, (id, former.version), former.values),
        history: Vec::new(),
        continued_as: successor.map(|id| id.to_string()),
    })
}

/// An outage with what it rests on, down to the events of the meters, and its published versions. One whose evidence turned out to be
/// something else, or that goes on under another id, is CANCELLED: it has its versions, and `continued_as` where it goes on.
#[utoipa::path(
    get,
    path = "/api/v1/outages/{id}",
    tag = "Outages",
    params(("id" = String, Path, description = "The outage.")),
    responses(
        (status = 200, description = "The outage.", body = OutageDetail),
        (status = 404, description = "No such outage stands now, and none was ever published.", body = crate::problem::ProblemDocument),
    )
)]
pub(crate) async fn one(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    parameters: Parameters,
) -> Result<Response, Problem> {
    parameters.finish()?;
    let named = OutageId::from(id);
    let now = app.clock.now();
    let detail = app.engine.read(|world| {
        let reach = Reach::of(world, &caller, now);
        let detail = detail(world, &app.zone, &named)?;
        reach
            .node_named(&detail.outage.node_id)
            .then(|| detail.seen_by(&reach))
    });
    let mut detail = detail.ok_or_else(|| unknown(named.as_str()))?;
    let history = app.engine.outage_history(&named, HISTORY_MAX).await;
    let history =
        history.map_err(|error| Problem::failed("the versions of an outage cannot be read", &error))?;
    if detail.outage.status == Status::Cancelled.as_str() && detail.continued_as.is_none() {
        let reason = history.last().and_then(|version| version.reason.as_deref());
        detail.continued_as = reason.and_then(Reason::successor).map(|id| id.to_string());
    }
    let rows = history
        .into_iter()
        .map(|version| OutageVersionRow::of(&app.zone, version));
    detail.history = rows.collect();
    form::answer(&headers, &detail)
}

/// What a person says of an outage; what is left out stays as it was.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CauseBody {
    /// Who says so: at most 500 bytes. Where the caller is known its name is added, or stands alone where this is empty.
    person: String,
    /// Cause: at most 500 bytes.
    #[serde(default)]
    cause: Option<String>,
    /// Fault type of the regulation, such as overhead_line or dt_failure. consumer_fault: the fault is the consumer's own, and where the
    /// regulation exempts that nothing is owed.
    #[serde(default)]
    fault_type: Option<String>,
    /// Whether it is exempt as force majeure.
    #[serde(default)]
    force_majeure: Option<bool>,
    /// When supply will be back, RFC 3339.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "2026-04-01T14:00:00+05:30")]
    etr: Option<UtcMicros>,
}

/// A cause that is durable.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Recorded {
    /// The outage.
    outage_id: String,
    /// Position of the record in the log.
    log_position: u64,
    /// Last log record that the fixed routes show: this one is in it.
    applied_position: u64,
}

/// Records what the crew found: cause, fault type, force majeure, expected restoration. It is kept with the outage's node and begin, so
/// that it stays with what happened when later evidence gives the outage another id. Answers when it is durable and shows in the
/// fixed routes.
#[utoipa::path(
    post,
    path = "/api/v1/outages/{id}/cause",
    tag = "Outages",
    params(("id" = String, Path, description = "The outage.")),
    request_body = CauseBody,
    responses(
        (status = 200, description = "It is recorded.", body = Recorded),
        (status = 400, description = "It cannot stand.", body = crate::problem::ProblemDocument),
        (status = 404, description = "No such outage stands now.", body = crate::problem::ProblemDocument),
        (status = 503, description = "The log takes nothing now.", body = crate::problem::ProblemDocument),
    )
)]
pub(crate) async fn cause(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let said: CauseBody = problem::said(body, "a cause", "no cause")?;
    let id = OutageId::from(id);
    let view = app
        .engine
        .read(|world| {
            let reach = Reach::of(world, &caller, app.clock.now());
            world.outage(&id).filter(|view| reach.outage(view))
        })
        .ok_or_else(|| unknown(id.as_str()))?;
    let cause = Cause {
        outage_id: id.to_string(),
        node_id: view.outage.node,
        started_at: view.outage.started_at,
        person: caller.person(&said.person),
        cause: said.cause,
        fault_type: said.fault_type,
        force_majeure: said.force_majeure,
        etr: said.etr,
    };
    cause
        .check()
        .map_err(|error| Problem::new(problem::BAD_BODY, error.to_string()))?;
    let mut bytes = Vec::new();
    record::encode_cause(app.clock.now(), &cause, &mut bytes)
        .map_err(|error| Problem::failed("cause", &error))?;
    let (position, progress) = app.record(&bytes, "the cause is").await?;
    let recorded = Recorded {
        outage_id: id.to_string(),
        log_position: position.0,
        applied_position: progress.applied_position.0,
    };
    Ok((StatusCode::OK, Json(recorded)).into_response())
}
