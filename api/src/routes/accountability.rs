//! GET /feeders/{id}/accountability, /nodes/{id}/accountability: who answers for feeders, why they deviate, what is planned against it.
//! POST /feeders/{id}/manager, /feeders/{id}/actions: the same, said by a person.

use std::hash::{DefaultHasher, Hash, Hasher};

use axum::{
    Json,
    body::Bytes,
    extract::{Path, State, rejection::BytesRejection},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use gridtally_engine::{
    World,
    compensation::{Paise, calendar::Period},
    network::NodeIx,
    world::accountability::Said,
};
use gridtally_schemas::{
    Day, NodeId, UtcMicros, Zone,
    accountability::{ActionStatus, FeederAction, FeederManagerRow},
    network::NodeKind,
    record,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::nodes;
use crate::{
    access::{Caller, reach::Reach},
    app::App,
    form::{self, Column, Holds, Table},
    parameters::Parameters,
    problem::{self, Problem},
};

/// A version of who answers for a feeder.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct ManagerRow {
    /// Who.
    manager: String,
    /// How he is reached. Null: not said.
    contact: Option<String>,
    /// From this instant.
    valid_from: String,
    /// Until before this instant. Null: open. Not after `valid_from`: withdrawn.
    valid_to: Option<String>,
    /// When this version was said. Null: not told here.
    recorded_at: Option<String>,
    /// Who said it: file:… or person:…. Null: not told here.
    source: Option<String>,
    /// Whether a later version of the row stands.
    superseded: bool,
}

impl ManagerRow {
    fn of(zone: &Zone, row: &FeederManagerRow) -> Self {
        Self {
            manager: row.manager.clone(),
            contact: row.contact.clone(),
            valid_from: row.valid_from.to_rfc3339(zone),
            valid_to: row.valid_to.map(|until| until.to_rfc3339(zone)),
            recorded_at: None,
            source: None,
            superseded: false,
        }
    }

    fn versions(zone: &Zone, all: &[Said<'_, FeederManagerRow>]) -> Vec<Self> {
        let last = all.len();
        let version = |(number, said): (usize, &Said<'_, FeederManagerRow>)| Self {
            recorded_at: Some(said.recorded_at.to_rfc3339(zone)),
            source: Some(said.source.to_owned()),
            superseded: number < last,
            ..Self::of(zone, said.row)
        };
        (1..).zip(all).map(version).collect()
    }
}

/// A version of a cause of deviation, and what is planned against it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct ActionVersion {
    /// 1, 2, …: the greatest stands.
    version: usize,
    /// Who said it.
    person: String,
    /// First day of the month of the deviation.
    month: String,
    /// Where the deviation comes from.
    cause: String,
    /// What is planned against it. Null: nothing yet.
    mitigation: Option<String>,
    /// When that is to begin. Null: not said.
    starts_on: Option<String>,
    /// When it is to be done. Null: not said.
    due_on: Option<String>,
    /// When it was done. Null: not yet.
    done_on: Option<String>,
    /// open, done or withdrawn.
    status: &'static str,
    /// When it was said.
    recorded_at: String,
}

impl ActionVersion {
    fn of(zone: &Zone, version: usize, said: &Said<'_, FeederAction>) -> Self {
        let row = said.row;
        let text = |day: Option<Day>| day.map(|day| day.to_string());
        Self {
            version,
            person: row.person.clone(),
            month: row.month.to_string(),
            cause: row.cause.clone(),
            mitigation: row.mitigation.clone(),
            starts_on: text(row.starts_on),
            due_on: text(row.due_on),
            done_on: text(row.done_on),
            status: row.status.as_str(),
            recorded_at: said.recorded_at.to_rfc3339(zone),
        }
    }
}

/// An action as it stands.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct ActionRow {
    /// Its id: a further version is said under it.
    action_id: String,
    /// Whether it is open and its day has passed.
    overdue: bool,
    /// The version that stands.
    #[serde(flatten)]
    standing: ActionVersion,
    /// Every version, oldest first.
    history: Vec<ActionVersion>,
}

fn actions_of(world: &World, zone: &Zone, feeder: &NodeId, today: Day) -> Vec<ActionRow> {
    let rows = world.actions(feeder).into_iter().filter_map(|versions| {
        let last = versions.last()?;
        let history: Vec<ActionVersion> = (1..)
            .zip(&versions)
            .map(|(version, said)| ActionVersion::of(zone, version, said))
            .collect();
        Some(ActionRow {
            action_id: last.row.action_id.clone(),
            overdue: last.row.is_overdue(today),
            standing: history.last()?.clone(),
            history,
        })
    });
    let mut rows: Vec<ActionRow> = rows.collect();
    // Newest month first.
    rows.sort_by(|one, other| {
        let key = |row: &ActionRow| (row.standing.month.clone(), row.standing.recorded_at.clone());
        key(other).cmp(&key(one))
    });
    rows
}

/// Who answers for a feeder, and what he says of its deviations.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FeederAccountability {
    /// The feeder.
    feeder_id: String,
    /// Who answers for it now. Null: nobody.
    manager: Option<ManagerRow>,
    /// Every version of who answers for it, by begin.
    managers: Vec<ManagerRow>,
    /// Causes and planned mitigation, newest month first; withdrawn ones among them.
    actions: Vec<ActionRow>,
}

/// The feeder of a path, which the network must know.
fn feeder(world: &World, reach: &Reach<'_>, id: &NodeId) -> Result<NodeIx, Problem> {
    let node = nodes::find_in(world, reach, id)?;
    match world.network.node(node).and_then(|node| node.kind()) {
        Some(NodeKind::Feeder) => Ok(node),
        kind => {
            let kind = kind.map_or("a node of unknown kind", NodeKind::as_str);
            Err(Problem::parameter("id", format!("{id} is no feeder ({kind})")))
        }
    }
}

/// Who answers for a feeder, now and before, recorded causes of its deviations, and what is planned against them, with every version.
#[utoipa::path(
    get,
    path = "/api/v1/feeders/{id}/accountability",
    tag = "Revenue",
    params(("id" = String, Path, description = "The feeder.")),
    responses(
        (status = 200, description = "What was said.", body = FeederAccountability),
        (status = 400, description = "The node is no feeder.", body = crate::problem::ProblemDocument),
        (status = 404, description = "There is no such node.", body = crate::problem::ProblemDocument),
    )
)]
pub(crate) async fn of_feeder(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    parameters: Parameters,
) -> Result<Response, Problem> {
    let id = nodes::node_id(&id)?;
    parameters.finish()?;
    let now = app.clock.now();
    let today = app.zone.day_of(now);
    let answer = app.engine.read(|world| {
        feeder(world, &Reach::of(world, &caller, now), &id)?;
        let managers = world.managers(&id);
        let managers = managers
            .iter()
            .flat_map(|all| ManagerRow::versions(&app.zone, all));
        Ok(FeederAccountability {
            feeder_id: id.to_string(),
            manager: world
                .manager_at(&id, now)
                .map(|row| ManagerRow::of(&app.zone, row)),
            managers: managers.collect(),
            actions: actions_of(world, &app.zone, &id, today),
        })
    })?;
    form::answer(&headers, &answer)
}

/// A feeder with who answers for it and what is under way.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct FeederStanding {
    /// The feeder.
    feeder_id: String,
    /// Its name.
    name: String,
    /// Who answered for it at the end of the month, or now while it runs. Null: nobody.
    manager: Option<String>,
    /// TRI - ARI of the month, INR for each kWh of input. Null: not known.
    deviation: Option<f64>,
    /// What is missing to the month's target, INR. Null: not known.
    deviation_inr: Option<String>,
    /// Causes recorded for the month, the newest first, those withdrawn left out.
    causes: String,
    /// Actions of any month that are open.
    open: usize,
    /// Of these, those whose day has passed.
    overdue: usize,
    /// The day by which the next open action is to be done. Null: none has one.
    next_due_on: Option<String>,
}

const COLUMNS: [Column; 9] = [
    Column("feeder_id", Holds::Text),
    Column("name", Holds::Text),
    Column("manager", Holds::Text),
    Column("deviation", Holds::Number),
    Column("deviation_inr", Holds::Text),
    Column("causes", Holds::Text),
    Column("open", Holds::Whole),
    Column("overdue", Holds::Whole),
    Column("next_due_on", Holds::Day),
];

/// The feeders at or below a node, with who answers for them.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NodeAccountability {
    /// The node.
    node_id: String,
    /// First day of the month of the deviations.
    month: String,
    /// The feeders, by id.
    feeders: Vec<FeederStanding>,
}

/// Which month is looked at, and from when.
#[derive(Debug, Clone, Copy)]
struct Look {
    month: Day,
    /// The month's last instant, or now while it runs.
    at: UtcMicros,
    today: Day,
}

fn standing_of(world: &World, (node, id): (NodeIx, &NodeId), look: Look) -> FeederStanding {
    let months = world.feeder_months(node, look.month, Period::Month.after(look.month));
    let figures = months.first().map(|view| view.figures);
    let newest = |versions: Vec<Said<'_, FeederAction>>| versions.last().map(|said| said.row.clone());
    let actions = world.actions(id).into_iter().filter_map(newest);
    let actions: Vec<FeederAction> = actions
        .filter(|row| row.status != ActionStatus::Withdrawn)
        .collect();
    let open = || actions.iter().filter(|row| row.status == ActionStatus::Open);
    let causes = actions.iter().rev().filter(|row| row.month == look.month);
    let causes: Vec<&str> = causes.map(|row| row.cause.as_str()).collect();
    let entry = world.network.node(node);
    let name = entry.and_then(|entry| Some(entry.history.newest()?.name.clone()));
    FeederStanding {
        feeder_id: id.to_string(),
        name: name.unwrap_or_default(),
        manager: world.manager_at(id, look.at).map(|row| row.manager.clone()),
        deviation: figures.and_then(|figures| figures.deviation()),
        deviation_inr: figures
            .and_then(|figures| figures.deviation_paise())
            .map(|paise| Paise(paise).to_string()),
        causes: causes.join("; "),
        open: open().count(),
        overdue: open().filter(|row| row.is_overdue(look.today)).count(),
        next_due_on: open()
            .filter_map(|row| row.due_on)
            .min()
            .map(|day| day.to_string()),
    }
}

/// The feeders that hung at or below a node at the end of a month, each with who answers for it, its deviation, recorded causes and open
/// actions.
#[utoipa::path(
    get,
    path = "/api/v1/nodes/{id}/accountability",
    tag = "Revenue",
    params(
        ("id" = String, Path, description = "The node."),
        ("month" = Option<String>, Query, description = "A civil day of the month. Default: the last month that is over."),
    ),
    responses(
        (status = 200, description = "The feeders.", content((NodeAccountability = "application/json"), (String = "text/csv"), (Vec<u8> = "application/vnd.apache.arrow.stream"))),
        (status = 400, description = "A parameter cannot be used.", body = crate::problem::ProblemDocument),
        (status = 404, description = "There is no such node.", body = crate::problem::ProblemDocument),
    )
)]
pub(crate) async fn of_node(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let id = nodes::node_id(&id)?;
    let now = app.clock.now();
    let today = app.zone.day_of(now);
    let month = match parameters.day("month")? {
        Some(day) => day.first_of_month(),
        None => Day(today.first_of_month().0 - 1).first_of_month(),
    };
    parameters.finish()?;
    let end = app.zone.start_of(Period::Month.after(month)).plus(-1);
    let look = Look {
        month,
        at: end.min(now),
        today,
    };
    let feeders = app.engine.read(|world| {
        let reach = Reach::of(world, &caller, now);
        let node = nodes::find_in(world, &reach, &id)?;
        let feeders = world.feeders_below_at(node, end).into_iter();
        let seen = feeders.filter(|(feeder, _)| reach.node(*feeder));
        Ok(seen.map(|feeder| standing_of(world, feeder, look)).collect())
    })?;
    let answer = NodeAccountability {
        node_id: id.to_string(),
        month: month.to_string(),
        feeders,
    };
    Table {
        columns: &COLUMNS,
        rows: &answer.feeders,
        name: "accountability",
    }
    .answer(&headers, &answer)
}

/// Who answers for a feeder from an instant on.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ManagerBody {
    /// Who says so: at most 500 bytes.
    person: String,
    /// Who answers for the feeder: at most 500 bytes.
    manager: String,
    /// How he is reached: at most 500 bytes.
    #[serde(default)]
    contact: Option<String>,
    /// From this instant, RFC 3339. A row with the same instant is a new version of it.
    #[schema(value_type = String, example = "2026-04-01T00:00:00+05:30")]
    valid_from: UtcMicros,
    /// Until before this instant. Left out: open. The same as `valid_from`: the row is withdrawn.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    valid_to: Option<UtcMicros>,
}

/// A cause of deviation, and what is planned against it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ActionBody {
    /// Who says so: at most 500 bytes.
    person: String,
    /// The action of which this is a new version, whole. Left out: a new one.
    #[serde(default)]
    action_id: Option<String>,
    /// First day of the month of the deviation.
    #[schema(value_type = String, example = "2026-04-01")]
    month: String,
    /// Where the deviation comes from: at most 500 bytes.
    cause: String,
    /// What is planned against it: at most 500 bytes.
    #[serde(default)]
    mitigation: Option<String>,
    /// When that is to begin.
    #[serde(default)]
    starts_on: Option<String>,
    /// When it is to be done.
    #[serde(default)]
    due_on: Option<String>,
    /// When it was done.
    #[serde(default)]
    done_on: Option<String>,
    /// open, done or withdrawn. Default: open.
    #[serde(default)]
    status: Option<String>,
}

/// A word that is durable.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WordRecorded {
    /// The feeder.
    feeder_id: String,
    /// The action. Null: the word is of a manager.
    action_id: Option<String>,
    /// Position of the record in the log.
    log_position: u64,
    /// Last log record that the fixed routes show: this one is in it.
    applied_position: u64,
}

async fn record_word(
    app: &App,
    bytes: &[u8],
    feeder_id: &NodeId,
    action_id: Option<String>,
) -> Result<Response, Problem> {
    let (position, progress) = app.record(bytes, "the word is").await?;
    let recorded = WordRecorded {
        feeder_id: feeder_id.to_string(),
        action_id,
        log_position: position.0,
        applied_position: progress.applied_position.0,
    };
    Ok((StatusCode::OK, Json(recorded)).into_response())
}

/// Says who answers for a feeder. A further word for the same `valid_from` is a new version of the row; the former stays in
/// `feeder_managers_history`. Answers when it is durable and shows in the fixed routes.
#[utoipa::path(
    post,
    path = "/api/v1/feeders/{id}/manager",
    tag = "Revenue",
    params(("id" = String, Path, description = "The feeder.")),
    request_body = ManagerBody,
    responses(
        (status = 200, description = "It is recorded.", body = WordRecorded),
        (status = 400, description = "It cannot stand, or the node is no feeder.", body = crate::problem::ProblemDocument),
        (status = 404, description = "There is no such node.", body = crate::problem::ProblemDocument),
        (status = 503, description = "The log takes nothing now.", body = crate::problem::ProblemDocument),
    )
)]
pub(crate) async fn post_manager(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let said: ManagerBody = problem::said(body, "a manager", "no manager")?;
    let id = nodes::node_id(&id)?;
    app.engine.read(|world| {
        let reach = Reach::of(world, &caller, app.clock.now());
        feeder(world, &reach, &id).map(|_| ())
    })?;
    let refuse = |why: String| Problem::new(problem::BAD_BODY, why);
    let row = FeederManagerRow {
        feeder_id: id.clone(),
        manager: said.manager,
        contact: said.contact,
        valid_from: said.valid_from,
        valid_to: said.valid_to,
    };
    row.check().map_err(|error| refuse(error.to_string()))?;
    gridtally_schemas::accountability::check_text("person", &said.person)
        .map_err(|error| refuse(error.to_string()))?;
    let mut bytes = Vec::new();
    let source = format!("person:{}", caller.person(&said.person));
    record::encode_managers(app.clock.now(), &source, std::slice::from_ref(&row), &mut bytes)
        .map_err(|error| Problem::failed("manager", &error))?;
    record_word(&app, &bytes, &id, None).await
}

impl ActionBody {
    /// The action, under a new id where it has none.
    fn action(self, feeder_id: NodeId, now: UtcMicros) -> Result<FeederAction, Problem> {
        let day = |field: &'static str, text: Option<String>| -> Result<Option<Day>, Problem> {
            let Some(text) = text else { return Ok(None) };
            let day = Day::parse(&text).filter(|_| text.len() == "2026-04-01".len());
            let why = || {
                Problem::new(
                    problem::BAD_BODY,
                    format!("`{field}` is no day such as 2026-04-01"),
                )
            };
            day.map(Some).ok_or_else(why)
        };
        let refuse = |why: String| Problem::new(problem::BAD_BODY, why);
        let status = self.status.map(|word| word.parse::<ActionStatus>()).transpose();
        let month = day("month", Some(self.month))?;
        let given = self.action_id;
        let mut action = FeederAction {
            action_id: given.clone().unwrap_or_else(|| format!("{feeder_id}-{}", now.0)),
            feeder_id,
            month: month.ok_or_else(|| refuse("`month` is not said".to_owned()))?,
            person: self.person,
            cause: self.cause,
            mitigation: self.mitigation,
            starts_on: day("starts_on", self.starts_on)?,
            due_on: day("due_on", self.due_on)?,
            done_on: day("done_on", self.done_on)?,
            status: status
                .map_err(|why: String| refuse(format!("`status`: {why}")))?
                .unwrap_or(ActionStatus::Open),
        };
        if given.is_none() {
            // The clock may stand still: two actions of one instant are told apart by what they say.
            let mut hasher = DefaultHasher::new();
            action.hash(&mut hasher);
            action.action_id = format!("{}-{:016x}", action.action_id, hasher.finish());
        }
        action.check().map_err(|error| refuse(error.to_string()))?;
        Ok(action)
    }
}

/// Records where a feeder's deviation in a month comes from, and what is planned against it. With `action_id` it is a new version of what was
/// said before, which stays; an action is withdrawn by a version that says so. Answers when it is durable and shows in the fixed routes.
#[utoipa::path(
    post,
    path = "/api/v1/feeders/{id}/actions",
    tag = "Revenue",
    params(("id" = String, Path, description = "The feeder.")),
    request_body = ActionBody,
    responses(
        (status = 200, description = "It is recorded.", body = WordRecorded),
        (status = 400, description = "It cannot stand, the node is no feeder, or the action is another feeder's.", body = crate::problem::ProblemDocument),
        (status = 404, description = "There is no such node.", body = crate::problem::ProblemDocument),
        (status = 503, description = "The log takes nothing now.", body = crate::problem::ProblemDocument),
    )
)]
pub(crate) async fn post_action(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let mut said: ActionBody = problem::said(body, "an action", "no action")?;
    said.person = caller.person(&said.person);
    let id = nodes::node_id(&id)?;
    let given = said.action_id.clone();
    app.engine.read(|world| {
        feeder(world, &Reach::of(world, &caller, app.clock.now()), &id)?;
        let Some(given) = &given else { return Ok(()) };
        let refuse = |why: String| Err(Problem::new(problem::BAD_BODY, why));
        match world.action(given) {
            None => refuse("`action_id` names no action; leave it out for a new one".to_owned()),
            Some(known) if known.feeder_id != id => {
                refuse(format!("the action is of feeder {}", known.feeder_id))
            }
            Some(_) => Ok(()),
        }
    })?;
    let now = app.clock.now();
    let action = said.action(id.clone(), now)?;
    let mut bytes = Vec::new();
    record::encode_action(now, &action, &mut bytes).map_err(|error| Problem::failed("action", &error))?;
    record_word(&app, &bytes, &id, Some(action.action_id)).await
}
