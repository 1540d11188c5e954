//! GET /nodes/{id}/balance: the energy balance of a DT, a feeder or any level above.

use std::ops::Range;

use axum::{
    extract::{Path, State},
    http::HeaderMap,
    response::Response,
};
use gridtally_engine::{
    World,
    balance::{DtFigures, FeederFigures, FeederInterval},
    network::NodeIx,
    state::Quarter,
    world::Sums,
};
use gridtally_schemas::{Day, UtcMicros, Zone, network::NodeKind};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    nodes::{find_in, node_id},
    span::{self, Longest, Resolution, Wanted},
};
use crate::{
    access::{Caller, reach::Reach},
    app::App,
    figures::{self, Figures},
    form::{Column, Holds, Table},
    look::NodeName,
    parameters::Parameters,
    problem::{self, Problem, causes},
};

/// Longest spans, days.
const LONGEST: Longest = Longest {
    interval: 62,
    day: 1_100,
    month: 7_500,
};

/// What a DT balance adds. Energies in Wh.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct DtDetail {
    /// Import of the DT meter. Null: it did not report.
    dt_import_wh: Option<i64>,
    /// Reverse flow up through the DT. Null: its meter did not report.
    dt_export_wh: Option<i64>,
    /// Sum of consumers' import.
    consumer_import_wh: i64,
    /// Sum of consumers' and generators' export.
    consumer_export_wh: i64,
    /// Assessed consumption of unmetered connections.
    unmetered_wh: i64,
}

/// What a feeder balance adds. Energies in Wh.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct FeederDetail {
    /// Import of the feeder meter. Null: it did not report.
    feeder_import_wh: Option<i64>,
    /// Export of the feeder meter. Null: it did not report.
    feeder_export_wh: Option<i64>,
    /// In from other feeders. Null: a boundary meter did not report.
    boundary_in_wh: Option<i64>,
    /// Out to other feeders. Null: a boundary meter did not report.
    boundary_out_wh: Option<i64>,
    /// Net input of the metered DTs.
    dt_input_wh: i64,
    /// Import of HT consumers.
    ht_import_wh: i64,
    /// Export of HT consumers.
    ht_export_wh: i64,
    /// Import of all consumers.
    consumer_import_wh: i64,
    /// Export of all consumers.
    consumer_export_wh: i64,
    /// Assessed consumption of unmetered connections.
    unmetered_wh: i64,
    /// DTs whose meter reported.
    dt_metered: i64,
    /// DTs.
    dt_total: i64,
}

/// What only some nodes have, by interval.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum Detail {
    /// Of a DT.
    Dt(DtDetail),
    /// Of a feeder.
    Feeder(FeederDetail),
}

/// Energy balance over an interval, a day or a month.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct BalanceRow {
    /// End of the interval. Absent in days and months.
    #[serde(skip_serializing_if = "Option::is_none")]
    interval_end: Option<String>,
    /// Its length. Absent in days and months, and above the feeders, where both lengths meet.
    #[serde(skip_serializing_if = "Option::is_none")]
    interval_minutes: Option<i64>,
    /// The civil day. Absent but in days.
    #[serde(skip_serializing_if = "Option::is_none")]
    day: Option<String>,
    /// The month, as its first day. Absent but in months.
    #[serde(skip_serializing_if = "Option::is_none")]
    month: Option<String>,
    /// The balance.
    #[serde(flatten)]
    figures: Figures,
    /// 11 kV loss, Wh. Null: not shown or not known; always of a DT.
    ht_loss_wh: Option<i64>,
    /// Low-voltage loss, Wh. Null: not shown or not known.
    lt_loss_wh: Option<i64>,
    /// `provisional`, `final` (past the settlement horizon) or `restated` (changed after that).
    status: &'static str,
    /// Version last published; 0: none yet, or a row that is not published as such (months, intervals above the feeders).
    version: i64,
    /// What only DTs and feeders have, by interval.
    #[serde(flatten)]
    detail: Option<Detail>,
}

/// The answer.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Balance {
    /// The node.
    node: NodeName,
    /// interval, day or month.
    resolution: &'static str,
    /// Begin of the span asked for.
    from: String,
    /// End of the span asked for.
    to: String,
    /// The zone of civil days.
    zone: String,
    /// Below this coverage no loss is shown as a plain number, per cent.
    coverage_threshold_pct: f64,
    /// Days of feeders in the span that count in it and still stand as they were before master data of their time changed; 0 nearly always.
    feeder_days_owed: usize,
    /// The whole span in one row; losses are shown by the same rule.
    total: Figures,
    /// The rows, in time order.
    rows: Vec<BalanceRow>,
}

/// A row as the live picture has it, before anything is formatted.
struct Raw {
    when: When,
    sums: Sums,
    detail: Option<Detail>,
    status: &'static str,
    version: i64,
}

enum When {
    Interval(Quarter, Option<i64>),
    Day(Day),
    Month(Day),
}

fn interval_rows(world: &World, node: NodeIx, wanted: &Wanted) -> Vec<Raw> {
    let kind = world
        .network
        .node(node)
        .and_then(gridtally_engine::network::Node::kind);
    match kind {
        Some(NodeKind::Feeder) => world
            .feeder_intervals(node, wanted.span.clone())
            .map(|(quarter, interval)| feeder_row(world, node, quarter, interval))
            .collect(),
        Some(NodeKind::Dt) => dt_rows(world, node, wanted),
        Some(
            NodeKind::Discom
            | NodeKind::Zone
            | NodeKind::Circle
            | NodeKind::Division
            | NodeKind::Subdivision
            | NodeKind::Section
            | NodeKind::Substation,
        )
        | None => world
            .node_intervals(node, wanted.span.clone())
            .map(|(quarter, sums)| raw(world, node, (quarter, None), (*sums, None)))
            .collect(),
    }
}

fn raw(
    world: &World,
    node: NodeIx,
    (quarter, minutes): (Quarter, Option<i64>),
    (sums, detail): (Sums, Option<Detail>),
) -> Raw {
    let (version, status) = world.published_version(node, quarter);
    Raw {
        when: When::Interval(quarter, minutes),
        sums,
        detail,
        status,
        version,
    }
}

fn feeder_row(world: &World, node: NodeIx, quarter: Quarter, interval: &FeederInterval) -> Raw {
    let detail = Detail::Feeder(FeederDetail::of(&interval.feeder));
    raw(
        world,
        node,
        (quarter, Some(interval.minutes.minutes())),
        (Sums::of_feeder(&interval.feeder), Some(detail)),
    )
}

/// A DT's intervals: wherever it hung at the time.
fn dt_rows(world: &World, node: NodeIx, wanted: &Wanted) -> Vec<Raw> {
    let rows = world
        .network
        .node(node)
        .into_iter()
        .flat_map(|node| node.history.rows());
    let mut feeders: Vec<NodeIx> = rows
        .filter_map(|row| world.network.find_node(row.row.parent_id.as_ref()?.as_str()))
        .collect();
    feeders.sort_unstable();
    feeders.dedup();
    let mut found: Vec<(Quarter, Raw)> = Vec::new();
    for feeder in feeders {
        for (quarter, interval) in world.feeder_intervals(feeder, wanted.span.clone()) {
            if let Some(figures) = interval.dts.iter().find(|figures| figures.dt == node) {
                let detail = Detail::Dt(DtDetail::of(&figures));
                let minutes = Some(interval.minutes.minutes());
                found.push((
                    quarter,
                    raw(
                        world,
                        node,
                        (quarter, minutes),
                        (Sums::of_dt(&figures), Some(detail)),
                    ),
                ));
            }
        }
    }
    found.sort_by_key(|(quarter, _)| *quarter);
    found.into_iter().map(|(_, row)| row).collect()
}

fn day_rows(world: &World, node: NodeIx, wanted: &Wanted) -> Vec<Raw> {
    let days = wanted.days();
    let inside = world.node_days(node).filter(|(day, _)| days.contains(day));
    let rows = inside.map(|(day, sums)| {
        let (version, status) = world.published_day(node, day);
        Raw {
            when: When::Day(day),
            sums: *sums,
            detail: None,
            status,
            version,
        }
    });
    rows.collect()
}

/// Months, from the days of the span that lie in each. A month is final when every day in it is.
fn month_rows(world: &World, node: NodeIx, wanted: &Wanted) -> Vec<Raw> {
    let mut months: Vec<Raw> = Vec::new();
    for row in day_rows(world, node, wanted) {
        let When::Day(day) = row.when else { continue };
        let month = day.first_of_month();
        match months.last_mut() {
            Some(Raw {
                when: When::Month(held),
                sums,
                status,
                ..
            }) if *held == month => {
                sums.plus(&row.sums);
                if row.status != FINAL {
                    *status = row.status;
                }
            }
            Some(_) | None => months.push(Raw {
                when: When::Month(month),
                version: 0,
                ..row
            }),
        }
    }
    months
}

const FINAL: &str = "final";

impl DtDetail {
    const fn of(figures: &DtFigures) -> Self {
        Self {
            dt_import_wh: figures.dt_import_wh,
            dt_export_wh: figures.dt_export_wh,
            consumer_import_wh: figures.consumer_import_wh,
            consumer_export_wh: figures.consumer_export_wh,
            unmetered_wh: figures.unmetered_wh,
        }
    }
}

impl FeederDetail {
    const fn of(figures: &FeederFigures) -> Self {
        Self {
            feeder_import_wh: figures.feeder_import_wh,
            feeder_export_wh: figures.feeder_export_wh,
            boundary_in_wh: figures.boundary_in_wh,
            boundary_out_wh: figures.boundary_out_wh,
            dt_input_wh: figures.dt_input_wh,
            ht_import_wh: figures.ht_import_wh,
            ht_export_wh: figures.ht_export_wh,
            consumer_import_wh: figures.consumer_import_wh,
            consumer_export_wh: figures.consumer_export_wh,
            unmetered_wh: figures.unmetered_wh,
            dt_metered: figures.dt_metered,
            dt_total: figures.dt_total,
        }
    }
}

impl BalanceRow {
    fn of(raw: Raw, zone: &Zone, threshold_pct: f64, kind: Option<NodeKind>) -> Self {
        let figures = Figures::of_sums(&raw.sums, threshold_pct);
        let shown = |wh: i64| figures.loss_shown.then_some(wh);
        let (mut interval_end, mut interval_minutes, mut day, mut month) = (None, None, None, None);
        match raw.when {
            When::Interval(quarter, minutes) => {
                interval_end = Some(quarter.end().to_rfc3339(zone));
                interval_minutes = minutes;
            }
            When::Day(of) => day = Some(of.to_string()),
            When::Month(of) => month = Some(of.to_string()),
        }
        Self {
            interval_end,
            interval_minutes,
            day,
            month,
            ht_loss_wh: shown(raw.sums.ht_loss_wh).filter(|_| kind != Some(NodeKind::Dt)),
            lt_loss_wh: shown(raw.sums.lt_loss_wh),
            figures,
            status: raw.status,
            version: raw.version,
            detail: raw.detail,
        }
    }
}

/// The columns of a table of balances.
fn columns(resolution: Resolution, kind: Option<NodeKind>) -> Vec<Column> {
    use Holds::{Day, Instant, Text, Whole};
    let wh = |name| Column(name, Whole);
    let mut columns = match resolution {
        Resolution::Interval => vec![Column("interval_end", Instant)],
        Resolution::Day => vec![Column("day", Day)],
        Resolution::Month => vec![Column("month", Day)],
    };
    let by_interval = resolution == Resolution::Interval;
    if by_interval && kind == Some(NodeKind::Dt) {
        columns.extend(["interval_minutes", "dt_import_wh", "dt_export_wh"].map(wh));
        columns.extend(["consumer_import_wh", "consumer_export_wh", "unmetered_wh"].map(wh));
    }
    if by_interval && kind == Some(NodeKind::Feeder) {
        columns.extend(
            [
                "interval_minutes",
                "feeder_import_wh",
                "feeder_export_wh",
                "boundary_in_wh",
                "boundary_out_wh",
            ]
            .map(wh),
        );
        columns.extend(
            [
                "dt_input_wh",
                "ht_import_wh",
                "ht_export_wh",
                "consumer_import_wh",
                "consumer_export_wh",
            ]
            .map(wh),
        );
        columns.extend(["unmetered_wh", "dt_metered", "dt_total"].map(wh));
    }
    columns.extend(figures::COLUMNS);
    columns.extend(["ht_loss_wh", "lt_loss_wh"].map(wh));
    columns.extend([Column("status", Text), Column("version", Whole)]);
    columns
}

/// Why balances by interval cannot be shown now.
const NOT_IN_MEMORY: &str =
    "some days of this span were let go from memory while others came back; ask for a shorter span";

/// How often days that were let go again meanwhile are brought back.
const ATTEMPTS_MAX: usize = 3;

/// Settled days may be out of memory (`engine.state_bytes_max`): they are read back from the tables before anybody looks.
async fn bring_into_memory(app: &App, node: NodeIx, span: &Range<UtcMicros>) -> Result<(), Problem> {
    for _ in 0..ATTEMPTS_MAX {
        if app.engine.read(|world| world.is_here(node, span)) {
            break;
        }
        let brought = app.engine.page_in(node, span.clone()).await;
        brought.map_err(|error| Problem::new(problem::UNAVAILABLE, causes(&error)))?;
    }
    Ok(())
}

/// Energy balance of a DT, a feeder or any level above, by interval, civil day or month.
///
/// Live: what `/summary` calls `applied_position` is in it. Where coverage is below the threshold, or a meter at the head is missing,
/// losses are null and the band in which the loss lies is given instead.
#[utoipa::path(
    get,
    path = "/api/v1/nodes/{id}/balance",
    tag = "Balance",
    params(
        ("id" = String, Path, description = "The node."),
        ("from" = Option<String>, Query, description = "Begin: RFC 3339 with offset, or a civil day. Default: 2 days, 31 days or 366 days before `to`."),
        ("to" = Option<String>, Query, description = "End: RFC 3339 with offset, or a civil day, which stands for its beginning. Default: now; for days and months the end of today."),
        ("resolution" = Option<String>, Query, description = "interval (at most 62 days), day (at most 1,100 days) or month (at most 7,500 days). Default: interval."),
    ),
    responses(
        (status = 200, description = "The balance.", content((Balance = "application/json"), (String = "text/csv"), (Vec<u8> = "application/vnd.apache.arrow.stream"))),
        (status = 400, description = "A parameter cannot be used.", body = crate::problem::ProblemDocument),
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
    let id = node_id(&id)?;
    let wanted = span::wanted(&app, &mut parameters, LONGEST)?;
    parameters.finish()?;
    let index = app
        .engine
        .read(|world| find_in(world, &Reach::of(world, &caller, app.clock.now()), &id))?;
    if wanted.resolution == Resolution::Interval {
        bring_into_memory(&app, index, &wanted.span).await?;
    }
    let (kind, node, (threshold_pct, owed), raws) = app.engine.read(|world| {
        if wanted.resolution == Resolution::Interval && !world.is_here(index, &wanted.span) {
            return Err(Problem::new(problem::UNAVAILABLE, NOT_IN_MEMORY));
        }
        let rows = match wanted.resolution {
            Resolution::Interval => interval_rows(world, index, &wanted),
            Resolution::Day => day_rows(world, index, &wanted),
            Resolution::Month => month_rows(world, index, &wanted),
        };
        let node = world.network.node(index);
        let kind = node.and_then(gridtally_engine::network::Node::kind);
        Ok((
            kind,
            node.map(NodeName::of),
            (
                world.settings.coverage_threshold_pct,
                world.owed_of(index, wanted.days()),
            ),
            rows,
        ))
    })?;
    let node = node.unwrap_or_else(|| NodeName {
        node_id: id.to_string(),
        kind: None,
        name: id.to_string(),
    });
    let mut total = Sums::default();
    raws.iter().for_each(|row| total.plus(&row.sums));
    let zone = &wanted.zone;
    let balance = Balance {
        resolution: wanted.resolution.as_str(),
        from: wanted.span.start.to_rfc3339(zone),
        to: wanted.span.end.to_rfc3339(zone),
        zone: zone.name().to_owned(),
        coverage_threshold_pct: threshold_pct,
        feeder_days_owed: owed,
        total: Figures::of_sums(&total, threshold_pct),
        rows: raws
            .into_iter()
            .map(|raw| BalanceRow::of(raw, zone, threshold_pct, kind))
            .collect(),
        node,
    };
    let name = format!("{}-{}", balance.node.node_id, balance.resolution);
    Table {
        columns: &columns(wanted.resolution, kind),
        rows: &balance.rows,
        name: &name,
    }
    .answer(&headers, &balance)
}
