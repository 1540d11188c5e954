//! GET /feeders/{id}/revenue, /nodes/{id}/revenue: each feeder as a profit centre (FRAMES), and the sums of those below a node.

use std::collections::BTreeMap;

use axum::{
    extract::{Path, State},
    http::HeaderMap,
    response::Response,
};
use gridtally_engine::{
    balance::ratio,
    compensation::{
        Paise,
        calendar::{Period, financial_year},
    },
    revenue::{FeederMonth, Total, year_of},
    world::revenue::FeederMonthView,
};
use gridtally_schemas::{Day, billing::FinancialYear, network::NodeKind};
use serde::Serialize;
use utoipa::ToSchema;

use super::nodes;
use crate::{
    access::{Caller, reach::Reach},
    app::App,
    form::{Column, Holds, Table},
    parameters::Parameters,
    problem::Problem,
};

/// A feeder's energy and revenue in a month. Rates are INR/kWh, money INR with two decimals.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct RevenueRow {
    /// First day of the month.
    #[schema(example = "2026-04-01")]
    month: String,
    /// Days of it with a balance.
    days: i64,
    /// Energy input to the feeder, boundary energy included, kWh. Null: not known.
    eif_kwh: Option<f64>,
    /// Share of the days' intervals whose input is known, per cent. Null: the month has no balance.
    eif_coverage_pct: Option<f64>,
    /// Energy billed, kWh. Null here and below: no bill of the month is known.
    sold_kwh: Option<f64>,
    /// (input - sold) / input, per cent. Null: the month is not over, or its input or bills are not known.
    loss_pct: Option<f64>,
    /// Billed without arrears, with the subsidy that the State pays.
    billed_inr: Option<String>,
    /// Collected.
    collected_inr: Option<String>,
    /// Average billing rate: billed / sold.
    abr: Option<f64>,
    /// Last year's rate of the feeder, carried to this year. Null: it, or the discom's accounts of either year, is not known.
    adjusted_abr: Option<f64>,
    /// Loss target, per cent. Null: none is set.
    allowable_loss_pct: Option<f64>,
    /// Targeted revenue for each unit of input: adjusted_abr x (1 - allowable loss).
    tri: Option<f64>,
    /// Actual revenue for each unit of input: billed / input.
    ari: Option<f64>,
    /// tri - ari.
    deviation: Option<f64>,
    /// Revenue that the input so far should bring.
    target_inr: Option<String>,
    /// Target less billed.
    deviation_inr: Option<String>,
    /// Whether the rate is so high above the year's other months that arrears are mixed into the demand.
    arrears_suspected: bool,
    /// Whether the loss calls for a technical and a commercial audit.
    audit: bool,
    /// Number of the last published version. 0: not published yet.
    version: i64,
}

const COLUMNS: [Column; 19] = [
    Column("month", Holds::Day),
    Column("days", Holds::Whole),
    Column("eif_kwh", Holds::Number),
    Column("eif_coverage_pct", Holds::Number),
    Column("sold_kwh", Holds::Number),
    Column("loss_pct", Holds::Number),
    Column("billed_inr", Holds::Text),
    Column("collected_inr", Holds::Text),
    Column("abr", Holds::Number),
    Column("adjusted_abr", Holds::Number),
    Column("allowable_loss_pct", Holds::Number),
    Column("tri", Holds::Number),
    Column("ari", Holds::Number),
    Column("deviation", Holds::Number),
    Column("target_inr", Holds::Text),
    Column("deviation_inr", Holds::Text),
    Column("arrears_suspected", Holds::Truth),
    Column("audit", Holds::Truth),
    Column("version", Holds::Whole),
];

fn kwh(wh: i64) -> f64 {
    ratio(wh, 1_000)
}

fn inr(paise: i64) -> String {
    Paise(paise).to_string()
}

impl RevenueRow {
    fn of(view: &FeederMonthView) -> Self {
        let figures: &FeederMonth = &view.figures;
        let billed = figures.billed;
        Self {
            month: view.month.to_string(),
            days: figures.input.days,
            eif_kwh: figures.input.known_wh().map(kwh),
            eif_coverage_pct: figures.input.coverage_pct(),
            sold_kwh: billed.map(|billed| kwh(billed.sold_wh)),
            loss_pct: figures.loss_pct,
            billed_inr: billed.map(|billed| inr(billed.revenue_paise)),
            collected_inr: billed.map(|billed| inr(billed.collected_paise)),
            abr: figures.abr,
            adjusted_abr: figures.adjusted_abr,
            allowable_loss_pct: figures.allowable_loss_pct,
            tri: figures.tri,
            ari: figures.ari,
            deviation: figures.deviation(),
            target_inr: figures.target_paise().map(inr),
            deviation_inr: figures.deviation_paise().map(inr),
            arrears_suspected: figures.arrears_suspected,
            audit: figures.audit,
            version: view.version,
        }
    }
}

/// Months of feeders, summed. A rate divides only what is known of both its parts.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct RevenueTotal {
    /// First day of the month, or the financial year.
    #[schema(example = "2026-27")]
    period: String,
    /// Months of feeders in it.
    feeder_months: i64,
    /// Energy input where it is known, kWh.
    eif_kwh: f64,
    /// Share of the intervals whose input is known, per cent. Null: there is no balance.
    eif_coverage_pct: Option<f64>,
    /// Energy billed, kWh.
    sold_kwh: f64,
    /// Loss of the feeder-months whose loss is known, per cent. Null: of none.
    loss_pct: Option<f64>,
    /// Billed without arrears, with the subsidy that the State pays.
    billed_inr: String,
    /// Collected.
    collected_inr: String,
    /// Billed / sold. Null: nothing was sold.
    abr: Option<f64>,
    /// Targeted revenue for each unit of input, of the feeder-months that have a target.
    tri: Option<f64>,
    /// Actual revenue for each unit of input, of the feeder-months whose loss is known.
    ari: Option<f64>,
    /// Revenue that the input should bring, of the feeder-months that have a target.
    target_inr: String,
    /// What is missing to it, of the feeder-months in `deviations`.
    deviation_inr: String,
    /// Feeder-months with a target whose loss is known.
    deviations: i64,
    /// Feeder-months whose loss calls for an audit.
    audits: i64,
}

const TOTAL_COLUMNS: [Column; 15] = [
    Column("period", Holds::Text),
    Column("feeder_months", Holds::Whole),
    Column("eif_kwh", Holds::Number),
    Column("eif_coverage_pct", Holds::Number),
    Column("sold_kwh", Holds::Number),
    Column("loss_pct", Holds::Number),
    Column("billed_inr", Holds::Text),
    Column("collected_inr", Holds::Text),
    Column("abr", Holds::Number),
    Column("tri", Holds::Number),
    Column("ari", Holds::Number),
    Column("target_inr", Holds::Text),
    Column("deviation_inr", Holds::Text),
    Column("deviations", Holds::Whole),
    Column("audits", Holds::Whole),
];

impl RevenueTotal {
    fn of(period: &impl ToString, total: &Total) -> Self {
        Self {
            period: period.to_string(),
            feeder_months: total.feeder_months,
            eif_kwh: kwh(total.input.eif_wh),
            eif_coverage_pct: total.input.coverage_pct(),
            sold_kwh: kwh(total.billed.sold_wh),
            loss_pct: total.loss_pct(),
            billed_inr: inr(total.billed.revenue_paise),
            collected_inr: inr(total.billed.collected_paise),
            abr: total.billed.abr(),
            tri: total.tri(),
            ari: total.ari(),
            target_inr: inr(total.target.0),
            deviation_inr: inr(total.deviation_paise),
            deviations: total.deviations,
            audits: total.audits,
        }
    }

    /// By financial year, of sums by month.
    fn years<'a>(months: impl IntoIterator<Item = (&'a Day, &'a Total)>) -> Vec<Self> {
        let mut years: BTreeMap<FinancialYear, Total> = BTreeMap::new();
        for (month, total) in months {
            years.entry(financial_year(*month)).or_default().plus(total);
        }
        years.iter().map(|(year, total)| Self::of(year, total)).collect()
    }
}

/// A feeder's revenue.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FeederRevenue {
    /// The feeder.
    feeder_id: String,
    /// Its months of which something is known, oldest first.
    months: Vec<RevenueRow>,
    /// By financial year, of the months asked for.
    years: Vec<RevenueTotal>,
}

/// The discom's cost and revenue for each unit sold in a year, INR/kWh.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RealisedRow {
    /// The financial year.
    #[schema(example = "2026-27")]
    year: String,
    /// Average cost of supply: expenditure / sales.
    acs: f64,
    /// Average revenue realised: (revenue + subsidy) / sales.
    arr: f64,
    /// acs - arr, of the unrounded values.
    gap: f64,
}

/// The revenue of the feeders at or below a node.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NodeRevenue {
    /// The node.
    node_id: String,
    /// By month, oldest first: each feeder counts where it hung at the month's end.
    months: Vec<RevenueTotal>,
    /// By financial year, of the months asked for.
    years: Vec<RevenueTotal>,
    /// The discom's accounts, by year. Empty for callers with an area.
    accounts: Vec<RealisedRow>,
}

/// The months asked for: from the begin of this financial year to now, unless said otherwise.
pub(super) fn span(app: &App, parameters: &mut Parameters) -> Result<(Day, Day), Problem> {
    let today = app.zone.day_of(app.clock.now());
    let from = parameters
        .day("from")?
        .map_or_else(|| year_of(today), Day::first_of_month);
    let to = parameters.day("to")?.unwrap_or(today).first_of_month();
    Ok((from, Period::Month.after(to)))
}

/// A feeder as a profit centre, by month (FRAMES, CSTEP-WP-2019-01): energy in and sold, what was billed, and how far that is from the
/// target. The target of the running month follows the feeder's meter; bills count on the feeder above which their consumer hung at the
/// end of the month.
#[utoipa::path(
    get,
    path = "/api/v1/feeders/{id}/revenue",
    tag = "Revenue",
    params(
        ("id" = String, Path, description = "The feeder."),
        ("from" = Option<String>, Query, description = "A civil day of the first month. Default: the begin of this financial year."),
        ("to" = Option<String>, Query, description = "A civil day of the last month. Default: this month."),
    ),
    responses(
        (status = 200, description = "Its months.", content((FeederRevenue = "application/json"), (String = "text/csv"), (Vec<u8> = "application/vnd.apache.arrow.stream"))),
        (status = 400, description = "A parameter cannot be used, or the node is no feeder.", body = crate::problem::ProblemDocument),
        (status = 404, description = "There is no such node.", body = crate::problem::ProblemDocument),
    )
)]
pub(crate) async fn of_feeder(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let id = nodes::node_id(&id)?;
    let (from, to) = span(&app, &mut parameters)?;
    parameters.finish()?;
    let views = app.engine.read(|world| {
        let reach = Reach::of(world, &caller, app.clock.now());
        let node = nodes::find_in(world, &reach, &id)?;
        let kind = world.network.node(node).and_then(|node| node.kind());
        if kind != Some(NodeKind::Feeder) {
            let kind = kind.map_or("a node of unknown kind", NodeKind::as_str);
            let why = format!("{id} is no feeder ({kind}): see /api/v1/nodes/{id}/revenue");
            return Err(Problem::parameter("id", why));
        }
        Ok(world.feeder_months(node, from, to))
    })?;
    let totals: Vec<(Day, Total)> = views
        .iter()
        .map(|view| {
            let mut total = Total::default();
            total.add(&view.figures);
            (view.month, total)
        })
        .collect();
    let revenue = FeederRevenue {
        feeder_id: id.to_string(),
        months: views.iter().map(RevenueRow::of).collect(),
        years: RevenueTotal::years(totals.iter().map(|(month, total)| (month, total))),
    };
    Table {
        columns: &COLUMNS,
        rows: &revenue.months,
        name: "feeder_revenue",
    }
    .answer(&headers, &revenue)
}

/// The revenue of the feeders at or below a node, by month and financial year, with the discom's cost of supply and revenue realised.
#[utoipa::path(
    get,
    path = "/api/v1/nodes/{id}/revenue",
    tag = "Revenue",
    params(
        ("id" = String, Path, description = "The node."),
        ("from" = Option<String>, Query, description = "A civil day of the first month. Default: the begin of this financial year."),
        ("to" = Option<String>, Query, description = "A civil day of the last month. Default: this month."),
    ),
    responses(
        (status = 200, description = "The sums.", content((NodeRevenue = "application/json"), (String = "text/csv"), (Vec<u8> = "application/vnd.apache.arrow.stream"))),
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
    let (from, to) = span(&app, &mut parameters)?;
    parameters.finish()?;
    let (totals, accounts) = app.engine.read(|world| {
        let reach = Reach::of(world, &caller, app.clock.now());
        let node = nodes::find_in(world, &reach, &id)?;
        let accounts = world.realised().map(|(year, realised)| RealisedRow {
            year: year.to_string(),
            acs: realised.acs,
            arr: realised.arr,
            gap: realised.gap,
        });
        // The accounts are of the discom, and so of no part of it.
        let accounts = accounts.filter(|_| reach.is_whole()).collect();
        Ok((world.node_months(node, from, to), accounts))
    })?;
    let revenue = NodeRevenue {
        node_id: id.to_string(),
        months: totals
            .iter()
            .map(|(month, total)| RevenueTotal::of(month, total))
            .collect(),
        years: RevenueTotal::years(&totals),
        accounts,
    };
    Table {
        columns: &TOTAL_COLUMNS,
        rows: &revenue.months,
        name: "node_revenue",
    }
    .answer(&headers, &revenue)
}
