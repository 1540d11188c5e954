//! GET /nodes, /nodes/{id}, /nodes/{id}/children, /nodes/ranking: hierarchy, search, best and worst.

use std::cmp::Ordering;

use axum::{
    extract::{Path, State},
    http::HeaderMap,
    response::Response,
};
use gridtally_engine::{World, network::NodeIx};
use gridtally_schemas::{Day, NodeId, network::NodeKind};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    access::{Caller, reach::Reach},
    app::App,
    form::{self, Table},
    look::{self, Instant, NODE_COLUMNS, NodeName, NodeRow},
    parameters::{Parameters, short},
    problem::{self, Problem},
};

mod ranking;

/// Nodes on a page when nobody asks for a number.
const PAGE: usize = 100;
/// Most nodes on a page.
const PAGE_MAX: usize = 1_000;
/// Longest text searched for, bytes.
const SEARCH_BYTES_MAX: usize = 200;

/// A page of nodes, by id.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NodePage {
    /// The nodes.
    nodes: Vec<NodeRow>,
    /// `cursor` of the next page. Null: this is the last.
    next_cursor: Option<String>,
}

/// A node, with the way to it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NodeDetail {
    /// The node.
    #[serde(flatten)]
    node: NodeRow,
    /// The nodes above, topmost first; those in the caller's area.
    ancestors: Vec<NodeName>,
}

/// Nodes directly below a node.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Children {
    /// The node above; null: the top.
    parent_id: Option<String>,
    /// They, worst loss first: shown losses, then the others by id.
    nodes: Vec<NodeRow>,
}

/// Parses the `{id}` of a path.
pub(crate) fn node_id(text: &str) -> Result<NodeId, Problem> {
    NodeId::parse(text).map_err(|why| Problem::parameter("id", format!("`{}`: {why}", short(text))))
}

/// The index of a node that has a row.
pub(crate) fn find(world: &World, id: &NodeId) -> Result<NodeIx, Problem> {
    let known = |node: &NodeIx| {
        world
            .network
            .node(*node)
            .is_some_and(|node| node.kind().is_some())
    };
    world
        .network
        .find_node(id.as_str())
        .filter(known)
        .ok_or_else(|| unknown(id))
}

fn unknown(id: &NodeId) -> Problem {
    Problem::new(
        problem::UNKNOWN_NODE,
        format!("node `{id}` is not in the network"),
    )
}

/// As [`find`], of what a caller sees: what lies outside is answered as what is not there.
pub(crate) fn find_in(world: &World, reach: &Reach<'_>, id: &NodeId) -> Result<NodeIx, Problem> {
    let node = find(world, id)?;
    if reach.node(node) {
        Ok(node)
    } else {
        Err(unknown(id))
    }
}

/// The instant and civil day that a request looks at.
pub(crate) fn at(app: &App, parameters: &mut Parameters) -> Result<Instant, Problem> {
    let now = app.clock.now();
    Ok(Instant {
        now,
        day: parameters.day("day")?.unwrap_or_else(|| app.zone.day_of(now)),
    })
}

fn row(world: &World, node: NodeIx, at: Instant) -> Option<NodeRow> {
    world
        .network
        .node(node)
        .map(|entry| look::node_row(world, (node, entry), at))
}

/// Nodes by id or name, in the order of their ids, each with its balance of a day.
#[utoipa::path(
    get,
    path = "/api/v1/nodes",
    tag = "Network",
    params(
        ("q" = Option<String>, Query, description = "Text in id or name, in any case."),
        ("kind" = Option<String>, Query, description = "discom, zone, circle, division, subdivision, section, substation, feeder or dt."),
        ("day" = Option<String>, Query, description = "Civil day of the figures, YYYY-MM-DD. Default: today."),
        ("limit" = Option<usize>, Query, description = "Nodes on a page, 1 to 1,000. Default 100."),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before."),
    ),
    responses(
        (status = 200, description = "A page of nodes.", content((NodePage = "application/json"), (String = "text/csv"), (Vec<u8> = "application/vnd.apache.arrow.stream"))),
        (status = 400, description = "A parameter cannot be used.", body = crate::problem::ProblemDocument),
    )
)]
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let text = parameters.text("q")?.unwrap_or_default();
    if text.len() > SEARCH_BYTES_MAX {
        return Err(Problem::parameter(
            "q",
            format!("{} bytes are more than {SEARCH_BYTES_MAX}", text.len()),
        ));
    }
    let kind = parameters.parsed::<NodeKind>("kind")?;
    let at = at(&app, &mut parameters)?;
    let limit = parameters.count("limit", PAGE, PAGE_MAX)?;
    let after = parameters.parsed::<NodeId>("cursor")?;
    parameters.finish()?;
    let mut nodes: Vec<NodeRow> = app.engine.read(|world| {
        let reach = Reach::of(world, &caller, at.now);
        // Of a part of the network a page may lie anywhere in what is found.
        let most = if reach.is_whole() { limit + 1 } else { usize::MAX };
        let found = world.search_nodes(&text, kind, after.as_ref().map(NodeId::as_str), most);
        found
            .into_iter()
            .filter(|node| reach.node(*node))
            .take(limit + 1)
            .filter_map(|node| row(world, node, at))
            .collect()
    });
    let more = nodes.len() > limit;
    nodes.truncate(limit);
    let next_cursor = nodes.last().filter(|_| more).map(|last| last.node_id.clone());
    let page = NodePage { nodes, next_cursor };
    let table = Table {
        columns: &NODE_COLUMNS,
        rows: &page.nodes,
        name: "nodes",
    };
    table.answer_page(&headers, &page, page.next_cursor.as_deref())
}

/// A node with its balance of a day and the nodes above.
#[utoipa::path(
    get,
    path = "/api/v1/nodes/{id}",
    tag = "Network",
    params(
        ("id" = String, Path, description = "The node."),
        ("day" = Option<String>, Query, description = "Civil day of the figures, YYYY-MM-DD. Default: today."),
    ),
    responses(
        (status = 200, description = "The node.", body = NodeDetail),
        (status = 404, description = "There is no such node.", body = crate::problem::ProblemDocument),
    )
)]
pub(crate) async fn one(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let id = node_id(&id)?;
    let at = at(&app, &mut parameters)?;
    parameters.finish()?;
    let detail = app.engine.read(|world| {
        let reach = Reach::of(world, &caller, at.now);
        let index = find_in(world, &reach, &id)?;
        let node = row(world, index, at).ok_or_else(|| unknown(&id))?;
        let mut ancestors = look::ancestors_at(world, index, at.now);
        ancestors.retain(|above| reach.node_named(&above.node_id));
        Ok(NodeDetail { node, ancestors })
    })?;
    form::answer(&headers, &detail)
}

/// The nodes directly below a node, worst loss first. The id `-` stands for the top: what has no node above, or the caller's
/// area.
#[utoipa::path(
    get,
    path = "/api/v1/nodes/{id}/children",
    tag = "Network",
    params(
        ("id" = String, Path, description = "The node; `-`: the top."),
        ("day" = Option<String>, Query, description = "Civil day of the figures, YYYY-MM-DD. Default: today."),
    ),
    responses(
        (status = 200, description = "The nodes below.", content((Children = "application/json"), (String = "text/csv"), (Vec<u8> = "application/vnd.apache.arrow.stream"))),
        (status = 404, description = "There is no such node.", body = crate::problem::ProblemDocument),
    )
)]
pub(crate) async fn children(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let parent = (id != TOP).then(|| node_id(&id)).transpose()?;
    let at = at(&app, &mut parameters)?;
    parameters.finish()?;
    let mut nodes = app.engine.read(|world| {
        let reach = Reach::of(world, &caller, at.now);
        let below: Vec<NodeIx> = match &parent {
            Some(parent) => {
                let below = world.children(find_in(world, &reach, parent)?);
                below.filter(|node| reach.node(*node)).collect()
            }
            None => reach.tops(),
        };
        Ok(below
            .into_iter()
            .filter_map(|node| row(world, node, at))
            .collect::<Vec<NodeRow>>())
    })?;
    nodes.sort_by(worst_first);
    let children = Children {
        parent_id: parent.map(String::from),
        nodes,
    };
    Table {
        columns: &NODE_COLUMNS,
        rows: &children.nodes,
        name: "children",
    }
    .answer(&headers, &children)
}

/// The id that stands for the top of the network.
const TOP: &str = "-";

fn worst_first(one: &NodeRow, other: &NodeRow) -> Ordering {
    let loss = |row: &NodeRow| row.figures.loss_pct.unwrap_or(f64::NEG_INFINITY);
    loss(other)
        .total_cmp(&loss(one))
        .then_with(|| one.node_id.cmp(&other.node_id))
}

/// What a ranking is by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    LossPct,
    LossWh,
    Deviation,
    DeviationInr,
}

impl By {
    const fn as_str(self) -> &'static str {
        match self {
            Self::LossPct => "loss_pct",
            Self::LossWh => "loss_wh",
            Self::Deviation => "deviation",
            Self::DeviationInr => "deviation_inr",
        }
    }
}

/// Which end of a ranking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Descending,
    Ascending,
}

impl Order {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Descending => "desc",
            Self::Ascending => "asc",
        }
    }

    const fn of(self, ascending: Ordering) -> Ordering {
        match self {
            Self::Descending => ascending.reverse(),
            Self::Ascending => ascending,
        }
    }
}

/// A ranking, by loss or by deviation.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "describes the two forms of the answer")]
pub(crate) enum RankingAnswer {
    /// By loss.
    Loss(Ranking),
    /// By deviation.
    Deviation(ranking::RevenueRanking),
}

/// A ranking of nodes of one kind.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Ranking {
    /// Kind of the nodes.
    kind: &'static str,
    /// What they are ranked by: loss_pct or loss_wh.
    by: &'static str,
    /// `desc`: worst first; `asc`: best first.
    order: &'static str,
    /// The civil day of the figures.
    day: String,
    /// The nodes, in order.
    nodes: Vec<NodeRow>,
    /// Nodes of the kind with a balance whose loss is not shown (coverage, missing meters): they are not ranked.
    not_ranked: usize,
}

/// What a ranking was asked for.
struct Wanted {
    kind: NodeKind,
    by: By,
    order: Order,
    top: usize,
    under: Option<NodeId>,
    day: Day,
}

/// Best and worst nodes of a kind: by their loss in a day (AMISP model bidding document, section 6.1), or by what is missing to their target
/// revenue in a month (CSTEP-WP-2019-01), with the month before beside it.
#[utoipa::path(
    get,
    path = "/api/v1/nodes/ranking",
    tag = "Network",
    params(
        ("kind" = Option<String>, Query, description = "Kind of the nodes. Default: dt; by deviation: feeder, and feeder or a level above is possible."),
        ("by" = Option<String>, Query, description = "loss_pct or loss_wh, of a day; deviation (INR for each kWh of input) or deviation_inr, of a month. Default: loss_pct."),
        ("top" = Option<usize>, Query, description = "Number of nodes, 1 to 1,000. Default 10."),
        ("order" = Option<String>, Query, description = "desc: worst first; asc: best first. Default: desc."),
        ("under" = Option<String>, Query, description = "Only nodes at or below this one."),
        ("day" = Option<String>, Query, description = "By loss: civil day of the figures, YYYY-MM-DD. Default: today."),
        ("month" = Option<String>, Query, description = "By deviation: a civil day of the month. Default: the last month that is over."),
    ),
    responses(
        (status = 200, description = "The ranking; by deviation, rows of another form.", content((RankingAnswer = "application/json"), (String = "text/csv"), (Vec<u8> = "application/vnd.apache.arrow.stream"))),
        (status = 400, description = "A parameter cannot be used.", body = crate::problem::ProblemDocument),
        (status = 404, description = "There is no such node.", body = crate::problem::ProblemDocument),
    )
)]
pub(crate) async fn ranking(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let kind = parameters.parsed::<NodeKind>("kind")?;
    let by = match parameters.text("by")?.as_deref() {
        None | Some("loss_pct") => By::LossPct,
        Some("loss_wh") => By::LossWh,
        Some("deviation") => By::Deviation,
        Some("deviation_inr") => By::DeviationInr,
        Some(other) => {
            return Err(Problem::parameter(
                "by",
                format!(
                    "`{}` is none of: loss_pct, loss_wh, deviation, deviation_inr",
                    short(other)
                ),
            ));
        }
    };
    let order = match parameters.text("order")?.as_deref() {
        None | Some("desc") => Order::Descending,
        Some("asc") => Order::Ascending,
        Some(other) => {
            return Err(Problem::parameter(
                "order",
                format!("`{}` is none of: desc, asc", short(other)),
            ));
        }
    };
    let top = parameters.count("top", 10, PAGE_MAX)?;
    let under = parameters.parsed::<NodeId>("under")?;
    let mut wanted = Wanted {
        kind: kind.unwrap_or(NodeKind::Dt),
        by,
        order,
        top,
        under,
        day: app.zone.day_of(app.clock.now()),
    };
    if matches!(by, By::Deviation | By::DeviationInr) {
        wanted.kind = kind.unwrap_or(NodeKind::Feeder);
        return ranking::by_deviation(&app, (&headers, &caller), wanted, parameters);
    }
    let at = at(&app, &mut parameters)?;
    parameters.finish()?;
    wanted.day = at.day;
    let (nodes, not_ranked) = app
        .engine
        .read(|world| rank(&Reach::of(world, &caller, at.now), world, &wanted, at))?;
    let ranking = Ranking {
        kind: wanted.kind.as_str(),
        by: by.as_str(),
        order: order.as_str(),
        day: at.day.to_string(),
        nodes,
        not_ranked,
    };
    Table {
        columns: &NODE_COLUMNS,
        rows: &ranking.nodes,
        name: "ranking",
    }
    .answer(&headers, &ranking)
}

/// The rows of a ranking, and how many nodes of its kind have no loss to show.
fn rank(
    reach: &Reach<'_>,
    world: &World,
    wanted: &Wanted,
    at: Instant,
) -> Result<(Vec<NodeRow>, usize), Problem> {
    let under = wanted
        .under
        .as_ref()
        .map(|id| find_in(world, reach, id))
        .transpose()?;
    let threshold_pct = world.settings.coverage_threshold_pct;
    let mut not_ranked = 0;
    let mut ranked: Vec<(f64, NodeIx)> = Vec::new();
    for (index, _) in world
        .network
        .nodes()
        .filter(|(_, node)| node.kind() == Some(wanted.kind))
    {
        if !reach.node(index) || under.is_some_and(|top| !world.network.is_at_or_below(index, top, at.now)) {
            continue;
        }
        let Some(sums) = world.node_day(index, wanted.day) else {
            continue;
        };
        let shown = sums.is_covered(threshold_pct) && sums.intervals_computed > 0;
        let measure = match wanted.by {
            By::LossPct => sums.loss_pct(),
            By::Deviation | By::DeviationInr => None,
            By::LossWh => Some(gridtally_engine::balance::ratio(sums.total_loss_wh, 1)),
        };
        match measure.filter(|_| shown) {
            Some(measure) => ranked.push((measure, index)),
            None => not_ranked += 1,
        }
    }
    ranked.sort_by(|(one, at_one), (other, at_other)| {
        wanted
            .order
            .of(one.total_cmp(other))
            .then_with(|| at_one.cmp(at_other))
    });
    ranked.truncate(wanted.top);
    Ok((
        ranked
            .into_iter()
            .filter_map(|(_, index)| row(world, index, at))
            .collect(),
        not_ranked,
    ))
}
