//! Ranking by deviation: what is missing to target revenue, month over month.

use axum::{http::HeaderMap, response::Response};
use gridtally_engine::{
    World,
    compensation::{Paise, calendar::Period},
    network::NodeIx,
    revenue::Total,
};
use gridtally_schemas::{Day, network::NodeKind};
use serde::Serialize;
use utoipa::ToSchema;

use super::{By, Wanted, find_in};
use crate::{
    access::{Caller, reach::Reach},
    app::App,
    form::{Column, Holds, Table},
    parameters::Parameters,
    problem::Problem,
};

/// A node by its deviation in a month. Rates are INR for each kWh of input, money INR with two decimals.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct DeviationRow {
    /// Place in the ranking, from 1.
    rank: usize,
    /// The node.
    node_id: String,
    /// Its name.
    name: String,
    /// TRI - ARI; of a level above, what is missing for each kWh of input of the feeders that have a deviation.
    deviation: f64,
    /// What is missing to the target.
    deviation_inr: String,
    /// Targeted revenue for each unit of input.
    tri: Option<f64>,
    /// Actual revenue for each unit of input.
    ari: Option<f64>,
    /// Loss, per cent.
    loss_pct: Option<f64>,
    /// Feeders with a deviation.
    feeders_known: i64,
    /// Feeders of which something is known of the month.
    feeders: i64,
    /// `deviation` of the month before. Null: not known.
    before: Option<f64>,
    /// `deviation_inr` of the month before. Null: not known.
    before_inr: Option<String>,
    /// deviation - before: above 0 it grew worse. Null: not known.
    change: Option<f64>,
    /// deviation_inr - before_inr. Null: not known.
    change_inr: Option<String>,
}

const COLUMNS: [Column; 14] = [
    Column("rank", Holds::Whole),
    Column("node_id", Holds::Text),
    Column("name", Holds::Text),
    Column("deviation", Holds::Number),
    Column("deviation_inr", Holds::Text),
    Column("tri", Holds::Number),
    Column("ari", Holds::Number),
    Column("loss_pct", Holds::Number),
    Column("feeders_known", Holds::Whole),
    Column("feeders", Holds::Whole),
    Column("before", Holds::Number),
    Column("before_inr", Holds::Text),
    Column("change", Holds::Number),
    Column("change_inr", Holds::Text),
];

/// A ranking of nodes of one kind by deviation.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RevenueRanking {
    /// Kind of the nodes.
    kind: &'static str,
    /// What they are ranked by: deviation or deviation_inr.
    by: &'static str,
    /// `desc`: worst first; `asc`: best first.
    order: &'static str,
    /// First day of the month.
    month: String,
    /// The nodes, in order.
    nodes: Vec<DeviationRow>,
    /// Nodes of the kind of which something is known of the month, and no deviation: they are not ranked.
    not_ranked: usize,
}

/// A node's months: the one asked for and the one before.
struct Candidate {
    node: NodeIx,
    total: Total,
    before: Option<Total>,
    deviation: f64,
}

pub(super) fn by_deviation(
    app: &App,
    (headers, caller): (&HeaderMap, &Caller),
    mut wanted: Wanted,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let this_month = wanted.day.first_of_month();
    wanted.day = match parameters.day("month")? {
        Some(day) => day.first_of_month(),
        None => Day(this_month.0 - 1).first_of_month(),
    };
    parameters.finish()?;
    if wanted.kind == NodeKind::Dt {
        return Err(Problem::parameter(
            "kind",
            "revenue is of feeders and the levels above",
        ));
    }
    let now = app.clock.now();
    let (nodes, not_ranked) = app.engine.read(|world| {
        let reach = Reach::of(world, caller, now);
        let under = wanted.under.as_ref().map(|id| find_in(world, &reach, id));
        let under = under.transpose()?;
        let all = world.network.nodes();
        let of_kind = all.filter(|(_, node)| node.kind() == Some(wanted.kind));
        let is_under = |node: &NodeIx| under.is_none_or(|top| world.network.is_at_or_below(*node, top, now));
        let seen = of_kind.map(|(node, _)| node).filter(|node| reach.node(*node));
        let nodes: Vec<NodeIx> = seen.filter(is_under).collect();
        Ok(rank(world, &nodes, &wanted))
    })?;
    let ranking = RevenueRanking {
        kind: wanted.kind.as_str(),
        by: wanted.by.as_str(),
        order: wanted.order.as_str(),
        month: wanted.day.to_string(),
        nodes,
        not_ranked,
    };
    Table {
        columns: &COLUMNS,
        rows: &ranking.nodes,
        name: "ranking",
    }
    .answer(headers, &ranking)
}

fn rank(world: &World, nodes: &[NodeIx], wanted: &Wanted) -> (Vec<DeviationRow>, usize) {
    let month = wanted.day;
    let before = Day(month.0 - 1).first_of_month();
    let mut not_ranked = 0;
    let mut ranked: Vec<Candidate> = Vec::new();
    for node in nodes {
        let months = world.node_months(*node, before, Period::Month.after(month));
        let Some(total) = months.get(&month).copied() else {
            continue;
        };
        match total.deviation() {
            None => not_ranked += 1,
            Some(deviation) => ranked.push(Candidate {
                node: *node,
                total,
                before: months.get(&before).copied().filter(|total| total.deviations > 0),
                deviation,
            }),
        }
    }
    ranked.sort_by(|one, other| {
        let ascending = match wanted.by {
            By::DeviationInr => one.total.deviation_paise.cmp(&other.total.deviation_paise),
            By::Deviation | By::LossPct | By::LossWh => one.deviation.total_cmp(&other.deviation),
        };
        wanted.order.of(ascending).then_with(|| one.node.cmp(&other.node))
    });
    ranked.truncate(wanted.top);
    let rows = (1..).zip(&ranked);
    (
        rows.filter_map(|(rank, candidate)| row(world, rank, candidate))
            .collect(),
        not_ranked,
    )
}

fn row(world: &World, rank: usize, candidate: &Candidate) -> Option<DeviationRow> {
    let entry = world.network.node(candidate.node)?;
    let (total, before) = (&candidate.total, candidate.before.as_ref());
    let inr = |paise: i64| Paise(paise).to_string();
    let rate_before = before.and_then(Total::deviation);
    let paise_before = before.map(|before| before.deviation_paise);
    Some(DeviationRow {
        rank,
        node_id: entry.id.to_string(),
        name: entry
            .history
            .newest()
            .map(|row| row.name.clone())
            .unwrap_or_default(),
        deviation: candidate.deviation,
        deviation_inr: inr(total.deviation_paise),
        tri: total.tri(),
        ari: total.ari(),
        loss_pct: total.loss_pct(),
        feeders_known: total.deviations,
        feeders: total.feeder_months,
        before: rate_before,
        before_inr: paise_before.map(inr),
        change: rate_before.map(|before| candidate.deviation - before),
        change_inr: paise_before.map(|before| inr(total.deviation_paise.saturating_sub(before))),
    })
}
