//! GET /nodes/{id}/audit/technical and /audit/commercial: which DTs to inspect, and whose bills and meters to check (DOMAIN section 7), of
//! what was published as `suspicions` of a month.

use std::collections::BTreeMap;

use axum::{
    extract::{Path, State},
    http::HeaderMap,
    response::Response,
};
use gridtally_engine::{
    World,
    balance::ratio,
    engine::Suspicion,
    network::NodeIx,
    suspicion::{Finding, Period, Sign, Subject, Suspect, rank},
};
use gridtally_schemas::{Day, UtcMicros};
use serde::Serialize;
use utoipa::ToSchema;

use super::nodes;
use crate::{
    access::{Caller, reach::Reach},
    app::App,
    form::{Column, Holds, Table},
    parameters::{Parameters, short},
    problem::Problem,
};

/// DTs on a technical list when nobody asks for a number.
const TOP: usize = 100;
/// Most of them.
const TOP_MAX: usize = 10_000;

/// One sign, with what it rests on.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct SignRow {
    /// unaccounted_energy, negative_residual, night_residual, residual_follows, tamper_before_drop, bill_below_reads or wrong_mapping.
    sign: &'static str,
    /// What was measured, a share or ratio.
    value: f64,
    /// What it is held against. Null: the rule wrong_mapping has its own.
    threshold: Option<f64>,
    /// 0.5 at the threshold, 1 where it is sure; of unaccounted_energy the confidence in it.
    strength: f64,
    /// How much the sign says at full strength (house choice).
    weight: f64,
    /// The energy that it speaks of, kWh. Null: it has none of its own.
    energy_kwh: Option<f64>,
    /// First day looked at.
    #[schema(example = "2026-04-01")]
    first_day: String,
    /// Last day looked at.
    #[schema(example = "2026-04-30")]
    last_day: String,
    /// What it rests on, in words with figures.
    evidence: String,
}

/// A DT to inspect.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct TechnicalRow {
    /// Place on the list, from 1.
    rank: usize,
    /// The DT.
    dt_id: String,
    /// Its name.
    name: String,
    /// Its feeder.
    feeder_id: String,
    /// Energy lost beyond the technical loss, kWh. Null: none; it is here for another sign.
    unaccounted_kwh: Option<f64>,
    /// Loss as a share of what came in, per cent. Null: as above.
    loss_pct: Option<f64>,
    /// By how much the unaccounted energy may be less, for what meters did not say, kWh. Null: as above.
    loss_bound_kwh: Option<f64>,
    /// Coverage of the DT in the month, per cent.
    coverage_pct: f64,
    /// Confidence in the unaccounted energy, 0 to 1: coverage times what is left of it when missing meters drew all they could. Null: as above.
    confidence: Option<f64>,
    /// By what the list is ordered: energy times strength, the greatest of its signs, kWh.
    weighed_kwh: f64,
    /// The signs by name.
    reasons: String,
    /// The evidence of all signs, in words.
    evidence: String,
    /// The signs.
    signs: Vec<SignRow>,
}

/// A consumer whose bill and meter to check.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct CommercialRow {
    /// Place on the list, from 1.
    rank: usize,
    /// The consumer.
    consumer_id: String,
    /// The meter that was looked at.
    meter_id: String,
    /// The DT, or the feeder of an HT consumer.
    node_id: String,
    /// The feeder.
    feeder_id: String,
    /// 1 - product of (1 - weight x strength) over the signs, 0 to 1.
    score: f64,
    /// The greatest energy that a sign speaks of, kWh.
    energy_kwh: f64,
    /// The signs by name.
    reasons: String,
    /// The evidence of all signs, in words.
    evidence: String,
    /// The signs.
    signs: Vec<SignRow>,
}

const TECHNICAL: [Column; 12] = [
    Column("rank", Holds::Whole),
    Column("dt_id", Holds::Text),
    Column("name", Holds::Text),
    Column("feeder_id", Holds::Text),
    Column("unaccounted_kwh", Holds::Number),
    Column("loss_pct", Holds::Number),
    Column("loss_bound_kwh", Holds::Number),
    Column("coverage_pct", Holds::Number),
    Column("confidence", Holds::Number),
    Column("weighed_kwh", Holds::Number),
    Column("reasons", Holds::Text),
    Column("evidence", Holds::Text),
];

const COMMERCIAL: [Column; 9] = [
    Column("rank", Holds::Whole),
    Column("consumer_id", Holds::Text),
    Column("meter_id", Holds::Text),
    Column("node_id", Holds::Text),
    Column("feeder_id", Holds::Text),
    Column("score", Holds::Number),
    Column("energy_kwh", Holds::Number),
    Column("reasons", Holds::Text),
    Column("evidence", Holds::Text),
];

/// The DTs below a node to inspect, of a month.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TechnicalList {
    /// The node.
    node_id: String,
    /// First day of the month.
    #[schema(example = "2026-04-01")]
    month: String,
    /// DTs with a sign, listed or not.
    suspicious: usize,
    /// The list, the most energy first.
    dts: Vec<TechnicalRow>,
}

/// The consumers below a node to check, of a month.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CommercialList {
    /// The node.
    node_id: String,
    /// First day of the month.
    #[schema(example = "2026-04-01")]
    month: String,
    /// Consumers connected below the node at the month's end.
    consumers: usize,
    /// Share of them that the list may hold, per cent.
    share_pct: f64,
    /// Consumers with a sign, listed or not.
    suspicious: usize,
    /// The list, the most suspicious first; never one without a sign.
    listed: Vec<CommercialRow>,
}

fn share(permille: i64) -> f64 {
    ratio(permille, 1_000)
}

impl SignRow {
    fn of(found: &Finding) -> Self {
        Self {
            sign: found.sign.as_str(),
            value: share(found.value_permille),
            threshold: found.threshold_permille.map(share),
            strength: share(found.strength_permille),
            weight: share(found.sign.weight_permille()),
            energy_kwh: found.energy_wh.map(share),
            first_day: found.period.first.to_string(),
            last_day: found.period.last.to_string(),
            evidence: found.evidence.clone(),
        }
    }

    fn all(findings: &[&Finding]) -> Vec<Self> {
        findings.iter().map(|found| Self::of(found)).collect()
    }
}

fn joined(findings: &[&Finding], of: impl Fn(&Finding) -> &str, between: &str) -> String {
    let parts: Vec<&str> = findings.iter().map(|found| of(found)).collect();
    parts.join(between)
}

/// Where signs were seen: the node, then the feeder.
type At<'a> = (&'a str, &'a str);

impl TechnicalRow {
    fn of(rank: usize, suspect: &Suspect<'_, At<'_>>, name: String) -> Self {
        let unaccounted = suspect
            .findings
            .iter()
            .find(|found| found.sign == Sign::UnaccountedEnergy);
        let coverage = suspect
            .findings
            .first()
            .map_or(0, |found| found.coverage_permille);
        Self {
            rank,
            dt_id: suspect.place.0.to_owned(),
            name,
            feeder_id: suspect.place.1.to_owned(),
            unaccounted_kwh: unaccounted.and_then(|found| found.energy_wh).map(share),
            loss_pct: unaccounted.map(|found| ratio(found.value_permille, 10)),
            loss_bound_kwh: unaccounted.map(|found| share(found.bound_wh)),
            coverage_pct: ratio(coverage, 10),
            confidence: unaccounted.map(|found| share(found.strength_permille)),
            weighed_kwh: share(suspect.weighed_wh()),
            reasons: joined(&suspect.findings, |found| found.sign.as_str(), ", "),
            evidence: joined(&suspect.findings, |found| &found.evidence, " | "),
            signs: SignRow::all(&suspect.findings),
        }
    }
}

impl CommercialRow {
    fn of(rank: usize, suspect: &Suspect<'_, At<'_>>) -> Option<Self> {
        let Subject::Consumer {
            consumer_id,
            meter_id,
        } = suspect.subject
        else {
            return None;
        };
        Some(Self {
            rank,
            consumer_id: consumer_id.clone(),
            meter_id: meter_id.clone(),
            node_id: suspect.place.0.to_owned(),
            feeder_id: suspect.place.1.to_owned(),
            score: share(suspect.score_permille),
            energy_kwh: share(suspect.energy_wh),
            reasons: joined(&suspect.findings, |found| found.sign.as_str(), ", "),
            evidence: joined(&suspect.findings, |found| &found.evidence, " | "),
            signs: SignRow::all(&suspect.findings),
        })
    }
}

/// The month asked for, as 2026-04; the one before this when none is.
fn month(app: &App, parameters: &mut Parameters) -> Result<Day, Problem> {
    let today = app.zone.day_of(app.clock.now());
    let before = Day(today.first_of_month().0 - 1).first_of_month();
    let Some(text) = parameters.text("month")? else {
        return Ok(before);
    };
    let is_month = text.len() == "2026-04".len();
    let day = Day::parse(&format!("{text}-01")).filter(|_| is_month);
    day.ok_or_else(|| {
        Problem::parameter(
            "month",
            format!("`{}` is not a month such as 2026-04", short(&text)),
        )
    })
}

/// What was asked: a node and a month.
struct Asked {
    top: NodeIx,
    end: UtcMicros,
}

impl Asked {
    fn of(
        app: &App,
        (world, caller): (&World, &Caller),
        id: &gridtally_schemas::NodeId,
        month: Day,
    ) -> Result<Self, Problem> {
        let period = Period::month(month);
        Ok(Self {
            top: nodes::find_in(world, &Reach::of(world, caller, app.clock.now()), id)?,
            end: app.zone.start_of(Day(period.last.0 + 1)).plus(-1),
        })
    }

    /// Those of the signs that were seen below the node; places are taken as of the month's end.
    fn below<'a>(&self, world: &World, all: &'a [Suspicion], is_of_dt: bool) -> Vec<Suspect<'a, At<'a>>> {
        let mut places: BTreeMap<&str, bool> = BTreeMap::new();
        let below = all.iter().filter(|suspicion| {
            let is_kind = (suspicion.finding.subject == Subject::Dt) == is_of_dt;
            is_kind
                && *places.entry(&suspicion.node_id).or_insert_with(|| {
                    let node = world.network.find_node(&suspicion.node_id);
                    node.is_some_and(|node| world.network.is_at_or_below(node, self.top, self.end))
                })
        });
        let placed = below.map(|suspicion| {
            (
                (suspicion.node_id.as_str(), suspicion.feeder_id.as_str()),
                &suspicion.finding,
            )
        });
        rank(placed)
    }
}

/// The DTs below a node to inspect for the energy lost there in a month, the most energy first, each with confidence and evidence. A DT
/// whose coverage was below 95 % is not judged. Signs are grounds to look, never a proof.
#[utoipa::path(
    get,
    path = "/api/v1/nodes/{id}/audit/technical",
    tag = "Audit",
    params(
        ("id" = String, Path, description = "The node."),
        ("month" = Option<String>, Query, description = "The month, as 2026-04. Default: the last one."),
        ("top" = Option<usize>, Query, description = "DTs on the list, 1 to 10,000. Default 100."),
    ),
    responses(
        (status = 200, description = "The list; empty while the month is not judged.", content((TechnicalList = "application/json"), (String = "text/csv"), (Vec<u8> = "application/vnd.apache.arrow.stream"))),
        (status = 400, description = "A parameter cannot be used.", body = crate::problem::ProblemDocument),
        (status = 404, description = "There is no such node.", body = crate::problem::ProblemDocument),
    )
)]
pub(crate) async fn technical(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let id = nodes::node_id(&id)?;
    let month = month(&app, &mut parameters)?;
    let top = parameters.count("top", TOP, TOP_MAX)?;
    parameters.finish()?;
    let all = published(&app, month).await?;
    let list = app.engine.read(|world| {
        let asked = Asked::of(&app, (world, &caller), &id, month)?;
        let mut ranked = asked.below(world, &all, true);
        ranked.sort_by_key(|suspect| std::cmp::Reverse(suspect.weighed_wh()));
        let name = |dt: &str| {
            let node = world
                .network
                .find_node(dt)
                .and_then(|node| world.network.node(node));
            node.map_or(dt.to_owned(), |node| node.name().to_owned())
        };
        let rows = (1..).zip(ranked.iter().take(top));
        Ok(TechnicalList {
            node_id: id.to_string(),
            month: month.to_string(),
            suspicious: ranked.len(),
            dts: rows
                .map(|(rank, suspect)| TechnicalRow::of(rank, suspect, name(suspect.place.0)))
                .collect(),
        })
    })?;
    Table {
        columns: &TECHNICAL,
        rows: &list.dts,
        name: "audit_technical",
    }
    .answer(&headers, &list)
}

/// The consumers below a node whose bills and meters to check against each other: about a tenth (`suspicion.share_pct`), the most
/// suspicious of a month first, each with its reasons. Nobody without a sign is listed. Signs are grounds to look, never a proof.
#[utoipa::path(
    get,
    path = "/api/v1/nodes/{id}/audit/commercial",
    tag = "Audit",
    params(
        ("id" = String, Path, description = "The node."),
        ("month" = Option<String>, Query, description = "The month, as 2026-04. Default: the last one."),
        ("share_pct" = Option<f64>, Query, description = "Share of the consumers below the node that the list may hold, per cent, above 0 to 100. Default: as configured, 10."),
    ),
    responses(
        (status = 200, description = "The list; empty while the month is not judged.", content((CommercialList = "application/json"), (String = "text/csv"), (Vec<u8> = "application/vnd.apache.arrow.stream"))),
        (status = 400, description = "A parameter cannot be used.", body = crate::problem::ProblemDocument),
        (status = 404, description = "There is no such node.", body = crate::problem::ProblemDocument),
    )
)]
pub(crate) async fn commercial(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let id = nodes::node_id(&id)?;
    let month = month(&app, &mut parameters)?;
    let share_pct = parameters
        .parsed::<f64>("share_pct")?
        .unwrap_or(app.settings.audit_share_pct);
    parameters.finish()?;
    if !(share_pct > 0.0 && share_pct <= 100.0) {
        return Err(Problem::parameter(
            "share_pct",
            "above 0 to 100 are possible".to_owned(),
        ));
    }
    let all = published(&app, month).await?;
    let list = app.engine.read(|world| {
        let asked = Asked::of(&app, (world, &caller), &id, month)?;
        let ranked = asked.below(world, &all, false);
        let consumers = world.consumers_below(asked.top, asked.end);
        let rows = (1..).zip(ranked.iter().take(listed(consumers, share_pct)));
        Ok(CommercialList {
            node_id: id.to_string(),
            month: month.to_string(),
            consumers,
            share_pct,
            suspicious: ranked.len(),
            listed: rows
                .filter_map(|(rank, suspect)| CommercialRow::of(rank, suspect))
                .collect(),
        })
    })?;
    Table {
        columns: &COMMERCIAL,
        rows: &list.listed,
        name: "audit_commercial",
    }
    .answer(&headers, &list)
}

/// A share of the consumers, rounded up.
fn listed(consumers: usize, share_pct: f64) -> usize {
    let consumers = ratio(i64::try_from(consumers).unwrap_or(i64::MAX), 1);
    let listed = (consumers * share_pct / 100.0).ceil();
    // Through text, for a cast is banned; once a request.
    format!("{listed:.0}").parse().unwrap_or(usize::MAX)
}

async fn published(app: &App, month: Day) -> Result<Vec<Suspicion>, Problem> {
    let read = app.engine.suspicions(month).await;
    read.map_err(|error| Problem::failed("the month's suspicions cannot be read", &error))
}

#[cfg(test)]
mod tests {
    use super::listed;

    #[test]
    fn a_tenth_of_the_consumers_is_listed_rounded_up() {
        assert_eq!(listed(2_000, 10.0), 200);
        assert_eq!(listed(1_991, 10.0), 200);
        assert_eq!(listed(3, 10.0), 1);
        assert_eq!(listed(0, 10.0), 0);
        assert_eq!(listed(7, 100.0), 7);
    }
}
