//! GET /nodes/{id}/accounting and /nodes/{id}/consumption-bands: energy accounting by month, quarter or year, and who consumes how much.
//! GET /nodes/{id}/prosumers: what prosumers drew and gave, by scheme.

use std::collections::BTreeMap;

use axum::{
    extract::{Path, State},
    http::HeaderMap,
    response::Response,
};
use gridtally_engine::{
    World,
    balance::ratio,
    compensation::{
        Paise,
        calendar::{Period, financial_year},
    },
    network::NodeIx,
    revenue::{Band, OfBand, Total},
};
use gridtally_schemas::{Day, NodeId, network::NodeKind};
use serde::Serialize;
use utoipa::ToSchema;

use super::{nodes, revenue, sql};
use crate::{
    access::{Caller, reach::Reach},
    app::App,
    form::{Column, Form, Holds, Table},
    parameters::{Parameters, short},
    problem::Problem,
};

/// Energy accounting of a node in a period. Money is INR with two decimals.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct AccountingRow {
    /// First day of the period.
    #[schema(example = "2026-04-01")]
    from: String,
    /// Its name: a month, a quarter of the financial year, or that year.
    #[schema(example = "2026-27 Q1")]
    period: String,
    /// Months of feeders in it of which something is known.
    feeder_months: i64,
    /// Of these, those whose loss is known: over, each day with a balance, enough of the input known, billed.
    feeder_months_known: i64,
    /// Energy input where it is known, boundary energy counted, kWh.
    input_kwh: f64,
    /// Share of the intervals whose input is known, per cent. Null: there is no balance.
    input_coverage_pct: Option<f64>,
    /// Energy input of feeder_months_known, kWh.
    input_known_kwh: f64,
    /// Energy billed of feeder_months_known, kWh.
    billed_known_kwh: f64,
    /// Bills.
    bills: i64,
    /// Energy billed, kWh.
    billed_kwh: f64,
    /// Of this, energy of connections without a meter: assessed, kWh.
    unmetered_kwh: f64,
    /// Billed without arrears, with the subsidy that the State pays.
    billed_inr: String,
    /// Of this, the subsidy.
    subsidy_inr: String,
    /// Collected, arrears included.
    collected_inr: String,
    /// Demanded of consumers, without arrears and subsidy, in the bills of which it is said what was paid.
    demanded_known_inr: String,
    /// Collected of that: of each bill at most what it demands. What was paid beyond is arrears or an advance.
    collected_current_inr: String,
    /// billed_known_kwh / input_known_kwh, per cent. Null: feeder_months_known is 0.
    billing_efficiency_pct: Option<f64>,
    /// collected_current_inr / demanded_known_inr, per cent. Null: nothing was demanded, or of too little of it is known what was paid.
    collection_efficiency_pct: Option<f64>,
    /// 1 - billing efficiency x collection efficiency, per cent. Null: one of them is not known.
    atc_loss_pct: Option<f64>,
}

const COLUMNS: [Column; 19] = [
    Column("from", Holds::Day),
    Column("period", Holds::Text),
    Column("feeder_months", Holds::Whole),
    Column("feeder_months_known", Holds::Whole),
    Column("input_kwh", Holds::Number),
    Column("input_coverage_pct", Holds::Number),
    Column("input_known_kwh", Holds::Number),
    Column("billed_known_kwh", Holds::Number),
    Column("bills", Holds::Whole),
    Column("billed_kwh", Holds::Number),
    Column("unmetered_kwh", Holds::Number),
    Column("billed_inr", Holds::Text),
    Column("subsidy_inr", Holds::Text),
    Column("collected_inr", Holds::Text),
    Column("demanded_known_inr", Holds::Text),
    Column("collected_current_inr", Holds::Text),
    Column("billing_efficiency_pct", Holds::Number),
    Column("collection_efficiency_pct", Holds::Number),
    Column("atc_loss_pct", Holds::Number),
];

fn kwh(wh: i64) -> f64 {
    ratio(wh, 1_000)
}

fn inr(paise: i64) -> String {
    Paise(paise).to_string()
}

impl AccountingRow {
    fn of(first: Day, period: Period, total: &Total, known_pct: f64) -> Self {
        let billed = total.billed;
        Self {
            from: first.to_string(),
            period: name_of(first, period),
            feeder_months: total.feeder_months,
            feeder_months_known: total.wholes,
            input_kwh: kwh(total.input.eif_wh),
            input_coverage_pct: total.input.coverage_pct(),
            input_known_kwh: kwh(total.whole_wh.0),
            billed_known_kwh: kwh(total.whole_wh.1),
            bills: billed.bills,
            billed_kwh: kwh(billed.sold_wh),
            unmetered_kwh: kwh(billed.unmetered_wh),
            billed_inr: inr(billed.revenue_paise),
            subsidy_inr: inr(billed.subsidy_paise),
            collected_inr: inr(billed.collected_paise),
            demanded_known_inr: inr(billed.collection.demanded_paise),
            collected_current_inr: inr(billed.collection.current_paise),
            billing_efficiency_pct: total.billing_efficiency_pct(),
            collection_efficiency_pct: total.collection_efficiency_pct(known_pct),
            atc_loss_pct: total.atc_loss_pct(known_pct),
        }
    }
}

/// `2026-04`, `2026-27 Q1` or `2026-27`.
fn name_of(first: Day, period: Period) -> String {
    let year = financial_year(first);
    match period {
        Period::Month => first.to_string().chars().take("2026-04".len()).collect(),
        Period::Quarter => {
            let april = Period::Year.first_day(first);
            let quarters = std::iter::successors(Some(april), |day| Some(Period::Quarter.after(*day)));
            let before = quarters.take_while(|day| *day < first).count();
            format!("{year} Q{}", before + 1)
        }
        Period::Year => year.to_string(),
    }
}

/// Energy accounting of a node.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Accounting {
    /// The node.
    node_id: String,
    /// Its kind.
    kind: &'static str,
    /// month, quarter or year.
    resolution: &'static str,
    /// Its periods of which something is known, oldest first.
    periods: Vec<AccountingRow>,
}

fn resolution(parameters: &mut Parameters) -> Result<Period, Problem> {
    let Some(text) = parameters.text("resolution")? else {
        return Ok(Period::Month);
    };
    let all = [Period::Month, Period::Quarter, Period::Year];
    all.into_iter()
        .find(|period| period.as_str() == text)
        .ok_or_else(|| {
            Problem::parameter(
                "resolution",
                format!("`{}` is none of: month, quarter, year", short(&text)),
            )
        })
}

/// The node, which must be a feeder or above.
fn find(world: &World, reach: &Reach<'_>, id: &NodeId) -> Result<(NodeIx, NodeKind), Problem> {
    let node = nodes::find_in(world, reach, id)?;
    match world.network.node(node).and_then(|node| node.kind()) {
        None | Some(NodeKind::Dt) => Err(Problem::parameter(
            "id",
            format!("{id} is a DT: bills are accounted by feeder and the levels above"),
        )),
        Some(kind) => Ok((node, kind)),
    }
}

/// Energy accounting of a feeder or a level above (BEE 2021): input, billed, collected, billing and collection efficiency, AT&C loss. Each
/// feeder counts where it hung at the end of each month. A quarter or year has what is known of its months, within the months asked for.
#[utoipa::path(
    get,
    path = "/api/v1/nodes/{id}/accounting",
    tag = "Revenue",
    params(
        ("id" = String, Path, description = "The node: a feeder or any level above."),
        ("from" = Option<String>, Query, description = "A civil day of the first month. Default: the begin of this financial year."),
        ("to" = Option<String>, Query, description = "A civil day of the last month. Default: this month."),
        ("resolution" = Option<String>, Query, description = "month, quarter or year. Default: month."),
    ),
    responses(
        (status = 200, description = "The periods.", content((Accounting = "application/json"), (String = "text/csv"), (Vec<u8> = "application/vnd.apache.arrow.stream"))),
        (status = 400, description = "A parameter cannot be used, or the node is a DT.", body = crate::problem::ProblemDocument),
        (status = 404, description = "There is no such node.", body = crate::problem::ProblemDocument),
    )
)]
pub(crate) async fn get(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let id = nodes::node_id(&id)?;
    let (from, to) = revenue::span(&app, &mut parameters)?;
    let period = resolution(&mut parameters)?;
    parameters.finish()?;
    let (kind, totals, known_pct) = app.engine.read(|world| {
        let (node, kind) = find(world, &Reach::of(world, &caller, app.clock.now()), &id)?;
        let known_pct = world.settings.coverage_threshold_pct;
        Ok((kind, world.node_months(node, from, to), known_pct))
    })?;
    let mut periods: BTreeMap<Day, Total> = BTreeMap::new();
    for (month, total) in &totals {
        periods.entry(period.first_day(*month)).or_default().plus(total);
    }
    let accounting = Accounting {
        node_id: id.to_string(),
        kind: kind.as_str(),
        resolution: period.as_str(),
        periods: periods
            .iter()
            .map(|(first, total)| AccountingRow::of(*first, period, total, known_pct))
            .collect(),
    };
    Table {
        columns: &COLUMNS,
        rows: &accounting.periods,
        name: "energy_accounting",
    }
    .answer(&headers, &accounting)
}

/// A band of consumption of a node over the months asked for.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct BandRow {
    /// The node.
    node_id: String,
    /// Its name.
    name: String,
    /// First day of the month.
    month: String,
    /// low, medium or high.
    band: &'static str,
    /// Consumers billed in it.
    consumers: i64,
    /// Their share of the consumers billed, per cent. Null: nobody was billed.
    consumers_pct: Option<f64>,
    /// Energy billed to them, kWh.
    billed_kwh: f64,
    /// Its share of the energy billed, per cent. Null: nothing was billed.
    billed_kwh_pct: Option<f64>,
    /// Billed to them without arrears, with the subsidy that the State pays.
    billed_inr: String,
}

const BAND_COLUMNS: [Column; 9] = [
    Column("node_id", Holds::Text),
    Column("name", Holds::Text),
    Column("month", Holds::Day),
    Column("band", Holds::Text),
    Column("consumers", Holds::Whole),
    Column("consumers_pct", Holds::Number),
    Column("billed_kwh", Holds::Number),
    Column("billed_kwh_pct", Holds::Number),
    Column("billed_inr", Holds::Text),
];

/// Bands of consumption of the nodes of a kind.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Bands {
    /// The node that was asked for.
    node_id: String,
    /// Kind of the nodes in `rows`.
    kind: &'static str,
    /// A consumer billed at most so much in a month is low, kWh.
    low_max_kwh: f64,
    /// And one billed more than this is high, kWh.
    high_above_kwh: f64,
    /// By node, month and band.
    rows: Vec<BandRow>,
}

fn share(part: i64, whole: i64) -> Option<f64> {
    (whole > 0).then(|| 100.0 * ratio(part, whole))
}

fn bands_of(world: &World, node: NodeIx, (from, to): (Day, Day)) -> Vec<BandRow> {
    let Some(entry) = world.network.node(node) else {
        return Vec::new();
    };
    let name = entry.history.newest().map(|row| row.name.clone());
    let mut rows = Vec::new();
    for (month, total) in world.node_months(node, from, to) {
        let billed = total.billed;
        let of = |(band, of_band): (Band, &OfBand)| BandRow {
            node_id: entry.id.to_string(),
            name: name.clone().unwrap_or_default(),
            month: month.to_string(),
            band: band.as_str(),
            consumers: of_band.bills,
            consumers_pct: share(of_band.bills, billed.bills),
            billed_kwh: kwh(of_band.sold_wh),
            billed_kwh_pct: share(of_band.sold_wh, billed.sold_wh),
            billed_inr: inr(of_band.revenue_paise),
        };
        if billed.bills > 0 {
            rows.extend(Band::ALL.into_iter().zip(&billed.bands).map(of));
        }
    }
    rows
}

/// How many consumers of each subdivision (or another kind of node) below a node are billed little, more and much energy a month, with
/// energy and revenue. The limits are configuration: revenue.low_consumption_kwh and revenue.high_consumption_kwh.
#[utoipa::path(
    get,
    path = "/api/v1/nodes/{id}/consumption-bands",
    tag = "Revenue",
    params(
        ("id" = String, Path, description = "The node at or below which to look."),
        ("kind" = Option<String>, Query, description = "Kind of the nodes to tell of: feeder or a level above. Default: subdivision."),
        ("from" = Option<String>, Query, description = "A civil day of the first month. Default: the begin of this financial year."),
        ("to" = Option<String>, Query, description = "A civil day of the last month. Default: this month."),
    ),
    responses(
        (status = 200, description = "The bands.", content((Bands = "application/json"), (String = "text/csv"), (Vec<u8> = "application/vnd.apache.arrow.stream"))),
        (status = 400, description = "A parameter cannot be used.", body = crate::problem::ProblemDocument),
        (status = 404, description = "There is no such node.", body = crate::problem::ProblemDocument),
    )
)]
pub(crate) async fn bands(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let id = nodes::node_id(&id)?;
    let span = revenue::span(&app, &mut parameters)?;
    let kind = parameters
        .parsed::<NodeKind>("kind")?
        .unwrap_or(NodeKind::Subdivision);
    parameters.finish()?;
    if kind == NodeKind::Dt {
        return Err(Problem::parameter(
            "kind",
            "bills are accounted by feeder and the levels above",
        ));
    }
    let now = app.clock.now();
    let (rows, limits) = app.engine.read(|world| {
        let reach = Reach::of(world, &caller, now);
        let (top, _) = find(world, &reach, &id)?;
        let is_wanted = |node: &NodeIx| reach.node(*node) && world.network.is_at_or_below(*node, top, now);
        let all = world.network.nodes();
        let of_kind = all.filter(|(_, node)| node.kind() == Some(kind));
        let wanted = of_kind.map(|(node, _)| node).filter(is_wanted);
        let mut rows: Vec<BandRow> = wanted.flat_map(|node| bands_of(world, node, span)).collect();
        rows.sort_by(|one, other| (&one.node_id, &one.month).cmp(&(&other.node_id, &other.month)));
        Ok((rows, world.settings.revenue.bands))
    })?;
    let bands = Bands {
        node_id: id.to_string(),
        kind: kind.as_str(),
        low_max_kwh: kwh(limits.low_wh),
        high_above_kwh: kwh(limits.high_wh),
        rows,
    };
    Table {
        columns: &BAND_COLUMNS,
        rows: &bands.rows,
        name: "consumption_bands",
    }
    .answer(&headers, &bands)
}

/// What prosumers at or below a node drew and gave by month and scheme (net metering, net billing, gross metering): the rows of the SQL view
/// `prosumer_accounting_monthly`, of validated reads as last published, so that a late read changes them.
#[utoipa::path(
    get,
    path = "/api/v1/nodes/{id}/prosumers",
    tag = "Revenue",
    params(
        ("id" = String, Path, description = "The node."),
        ("from" = Option<String>, Query, description = "A civil day of the first month. Default: the begin of this financial year."),
        ("to" = Option<String>, Query, description = "A civil day of the last month. Default: this month."),
    ),
    responses(
        (status = 200, description = "The rows.", content((sql::Rows = "application/json"), (String = "text/csv"), (Vec<u8> = "application/vnd.apache.arrow.stream"))),
        (status = 400, description = "A parameter cannot be used.", body = crate::problem::ProblemDocument),
        (status = 404, description = "There is no such node.", body = crate::problem::ProblemDocument),
        (status = 429, description = "Too many queries are running.", body = crate::problem::ProblemDocument),
        (status = 504, description = "The query took too long and was stopped.", body = crate::problem::ProblemDocument),
    )
)]
pub(crate) async fn prosumers(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let id = nodes::node_id(&id)?;
    let (from, to) = revenue::span(&app, &mut parameters)?;
    parameters.finish()?;
    app.engine.read(|world| {
        let reach = Reach::of(world, &caller, app.clock.now());
        nodes::find_in(world, &reach, &id).map(|_| ())
    })?;
    let statement = format!(
        "SELECT * FROM prosumer_accounting_monthly WHERE node_id = '{}' AND month >= DATE '{from}' AND month < DATE '{to}' ORDER BY month, scheme",
        id.as_str().replace('\'', "''")
    );
    sql::answer(
        (&app, &app.sql.named(&caller)),
        &statement,
        Form::accepted(&headers)?.into(),
    )
    .await
}
