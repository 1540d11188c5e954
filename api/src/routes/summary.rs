//! GET /summary: the tiles.

use std::collections::BTreeSet;

use axum::{extract::State, http::HeaderMap, response::Response};
use gridtally_engine::{
    World,
    compensation::Paise,
    network::{Node, NodeIx},
    world::{
        outage::look::OutageCounts,
        reliability::{Basis, IndexRow, MajorDays},
    },
};
use gridtally_schemas::network::NodeKind;
use serde::Serialize;
use utoipa::ToSchema;

use super::compensation;
use crate::{
    access::{Caller, reach::Reach},
    app::App,
    figures::{Figures, rounded},
    form,
    look::{self, NodeName},
    problem::Problem,
};

/// The state of the whole, or of the caller's area, now. Of the instance whatever the caller sees are: reads per second and applied,
/// what waits in quarantine, the newest interval, positions and lag.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Summary {
    /// The configured clock, RFC 3339 in `zone`.
    #[schema(example = "2026-04-01T10:15:30+05:30")]
    pub(crate) now: String,
    /// The zone of civil days.
    #[schema(example = "Asia/Kolkata")]
    pub(crate) zone: String,
    /// The civil day of `today` and `completeness_today`.
    #[schema(example = "2026-04-01")]
    pub(crate) day: String,
    /// Below this coverage no loss is shown as a plain number, per cent.
    pub(crate) coverage_threshold_pct: f64,
    /// Nodes at the top: the discom, and what nobody has placed yet (10 at most); or the caller's area.
    pub(crate) roots: Vec<NodeName>,
    /// Nodes by kind, and meters.
    pub(crate) network: NetworkSize,
    /// Interval reads applied a second, over about the last 5 seconds.
    pub(crate) reads_per_second: f64,
    /// Interval reads applied since the tables were empty.
    pub(crate) reads_applied: u64,
    /// Reads here of those expected so far today.
    pub(crate) completeness_today: Completeness,
    /// Energy balance of today so far.
    pub(crate) loss_today: Figures,
    /// Outages that are on.
    pub(crate) open_outages: usize,
    /// Consumers without supply that is due to them, as far as is known; in an area: those of its open outages who are not back.
    pub(crate) consumers_without_supply: usize,
    /// Minutes of sustained interruption per consumer served, of what began this month and is over, major event days included. Null:
    /// nobody was interrupted this month, or nobody is served.
    pub(crate) saidi_month_minutes: Option<f64>,
    /// Sustained interruptions per consumer served, likewise.
    pub(crate) saifi_month: Option<f64>,
    /// Compensation that consumers are owed and that is not credited yet, INR with two decimals; what still accrues included. Null: no
    /// regulation is configured, and nothing is accrued; or the caller sees an area, for which no sum is kept.
    #[schema(example = "12850.00")]
    pub(crate) compensation_accrued_inr: Option<String>,
    /// End of the newest interval that has a balance. Null: there is none.
    pub(crate) newest_interval_end: Option<String>,
    /// Publishes and rows that wait in quarantine.
    pub(crate) quarantined: u64,
    /// Last log record that is durable.
    pub(crate) log_position: u64,
    /// Last log record of which the fixed routes and the stream show all that follows from it. It stays behind master data of the past
    /// while `feeder_days_owed` is not 0; what came after shows nevertheless.
    pub(crate) applied_position: u64,
    /// Last log record of which SQL and the tables on disk show all that follows from it, likewise.
    pub(crate) published_position: u64,
    /// Days of feeders that still stand as they were before master data of their time changed. They are computed anew, newest first.
    pub(crate) feeder_days_owed: usize,
    /// When that was published. Null: never.
    pub(crate) published_at: Option<String>,
    /// How far results are behind.
    pub(crate) lag: Lag,
}

/// Size of the network.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub(crate) struct NetworkSize {
    /// Feeders.
    pub(crate) feeders: u64,
    /// DTs.
    pub(crate) dts: u64,
    /// All nodes, of every kind.
    pub(crate) nodes: u64,
    /// Meters.
    pub(crate) meters: u64,
    /// Connections of consumers.
    pub(crate) connections: u64,
}

/// How many of the expected reads are here.
#[derive(Debug, Clone, Default, PartialEq, Serialize, ToSchema)]
pub(crate) struct Completeness {
    /// Meter-intervals expected so far.
    pub(crate) expected: i64,
    /// Of these, with an actual or edited value.
    pub(crate) reported: i64,
    /// Of these, with an estimate.
    pub(crate) estimated: i64,
    /// Reported of expected, per cent. Null: nothing was expected.
    pub(crate) pct: Option<f64>,
}

impl Completeness {
    pub(crate) fn of(figures: &Figures) -> Self {
        Self {
            expected: figures.meters_expected,
            reported: figures.meters_reported,
            estimated: figures.meters_estimated,
            pct: figures.coverage_pct,
        }
    }
}

/// How far results are behind what was acknowledged.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub(crate) struct Lag {
    /// Durable log records that are not applied yet.
    pub(crate) records: u64,
    /// Applied log records that are not published yet.
    pub(crate) records_unpublished: u64,
    /// Age of what SQL shows, seconds by the configured clock. Null: nothing was published.
    pub(crate) published_seconds: Option<f64>,
    /// Length of the engine's last computation, milliseconds.
    pub(crate) tick_ms: f64,
}

/// What the summary takes from the live picture.
struct Picture {
    roots: Vec<NodeName>,
    network: NetworkSize,
    loss_today: Figures,
    newest_interval_end: Option<gridtally_schemas::UtcMicros>,
    quarantined: u64,
    coverage_threshold_pct: f64,
    outages: OutageCounts,
    month: MonthToDate,
    compensation_accrued_inr: Option<String>,
}

/// Sums over everybody in the running month.
#[derive(Default)]
struct MonthToDate {
    served: u64,
    interruptions: u64,
    minutes: f64,
}

impl MonthToDate {
    fn of(world: &World, tops: &[NodeIx], month: gridtally_schemas::Day) -> Self {
        let mut sums = Self::default();
        for root in tops.iter().copied() {
            let rows = world.indices(root, month);
            let counts = |row: &&IndexRow| (row.basis, row.med) == (Basis::Consumer, MajorDays::Included);
            if let Some(row) = rows.iter().find(counts) {
                sums.served += row.consumers_served;
                sums.interruptions += row.customer_interruptions;
                sums.minutes += row.customer_minutes;
            }
        }
        sums
    }

    fn per_consumer(&self, sum: f64) -> Option<f64> {
        let served = i64::try_from(self.served).ok().filter(|served| *served > 0)?;
        Some(sum / gridtally_engine::balance::ratio(served, 1))
    }
}

/// Most roots that a summary names.
const ROOTS_MAX: usize = 10;

/// Size of what is seen of a network.
fn size(world: &World, reach: &Reach<'_>) -> NetworkSize {
    let mut network = NetworkSize::default();
    if reach.is_whole() {
        network.meters = length(world.network.meter_count());
        network.connections = length(world.network.connection_count());
        let census = world.network.census();
        (network.nodes, network.feeders, network.dts) = (census.nodes, census.feeders, census.dts);
        return network;
    }
    let mut meters = BTreeSet::new();
    let nodes = reach.nodes().into_iter();
    for (at, node) in nodes.filter_map(|at| Some((at, world.network.node(at)?))) {
        network.count(node);
        let connections = node
            .connections
            .iter()
            .filter_map(|at| world.network.connection(*at));
        for connection in connections.filter(|connection| reach.is_at(*connection, at)) {
            network.connections += 1;
            meters.extend(connection.meter());
        }
        let own = node.meters.iter().copied();
        meters.extend(own.filter(|meter| {
            world
                .network
                .meter(*meter)
                .is_some_and(|meter| reach.meter(meter))
        }));
    }
    network.meters = length(meters.len());
    network
}

impl NetworkSize {
    fn count(&mut self, node: &Node) {
        self.nodes += 1;
        self.feeders += u64::from(node.kind() == Some(NodeKind::Feeder));
        self.dts += u64::from(node.kind() == Some(NodeKind::Dt));
    }
}

fn outage_counts(world: &World, reach: &Reach<'_>) -> OutageCounts {
    if reach.is_whole() {
        return world.outage_counts();
    }
    let mut counts = OutageCounts::default();
    for view in world.open_outages().filter(|view| reach.outage(view)) {
        let outage = &view.outage;
        counts.open += 1;
        counts.consumers_out += outage
            .consumers_affected
            .saturating_sub(outage.consumers_restored);
    }
    counts
}

fn picture(world: &World, reach: &Reach<'_>, day: gridtally_schemas::Day) -> Picture {
    let threshold_pct = world.settings.coverage_threshold_pct;
    let roots = reach.tops();
    Picture {
        roots: roots
            .iter()
            .take(ROOTS_MAX)
            .filter_map(|root| world.network.node(*root))
            .map(NodeName::of)
            .collect(),
        network: size(world, reach),
        loss_today: look::sums_of(world, &roots, day).map_or_else(
            || Figures::none(look::NO_BALANCE),
            |sums| Figures::of_sums(&sums, threshold_pct),
        ),
        newest_interval_end: world.newest_interval().map(gridtally_engine::state::Quarter::end),
        quarantined: world.quarantined().values().sum(),
        coverage_threshold_pct: threshold_pct,
        outages: outage_counts(world, reach),
        month: MonthToDate::of(world, &roots, day.first_of_month()),
        compensation_accrued_inr: (reach.is_whole() && compensation::accrues(world)).then(|| {
            let paise = i64::try_from(world.compensation_owed_paise()).unwrap_or(i64::MAX);
            Paise(paise).to_string()
        }),
    }
}

fn length(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// The summary as it stands, of what a caller sees.
pub(crate) fn summary(app: &App, caller: &Caller) -> Summary {
    let now = app.clock.now();
    let day = app.zone.day_of(now);
    let picture = app
        .engine
        .read(|world| picture(world, &Reach::of(world, caller, now), day));
    let progress = app.engine.progress();
    let text = |instant: gridtally_schemas::UtcMicros| instant.to_rfc3339(&app.zone);
    Summary {
        now: text(now),
        zone: app.zone.name().to_owned(),
        day: day.to_string(),
        coverage_threshold_pct: picture.coverage_threshold_pct,
        roots: picture.roots,
        network: picture.network,
        reads_per_second: rounded(progress.reads_per_second),
        reads_applied: progress.reads_applied,
        completeness_today: Completeness::of(&picture.loss_today),
        loss_today: picture.loss_today,
        open_outages: picture.outages.open,
        consumers_without_supply: picture.outages.consumers_out,
        saidi_month_minutes: picture.month.per_consumer(picture.month.minutes),
        saifi_month: i64::try_from(picture.month.interruptions).ok().and_then(|sum| {
            picture
                .month
                .per_consumer(gridtally_engine::balance::ratio(sum, 1))
        }),
        compensation_accrued_inr: picture.compensation_accrued_inr,
        newest_interval_end: picture.newest_interval_end.map(text),
        quarantined: picture.quarantined,
        log_position: progress.log_position.0,
        applied_position: progress.applied_position.0,
        published_position: progress.published_position.0,
        feeder_days_owed: progress.paged.feeder_days_owed,
        published_at: progress.published_at.map(text),
        lag: Lag {
            records: progress
                .log_position
                .0
                .saturating_sub(progress.applied_position.0),
            records_unpublished: progress
                .applied_position
                .0
                .saturating_sub(progress.published_position.0),
            published_seconds: progress.published_at.map(|at| rounded(seconds_between(at, now))),
            tick_ms: rounded(
                std::time::Duration::from_micros(progress.last_tick_micros).as_secs_f64() * 1_000.0,
            ),
        },
    }
}

fn seconds_between(earlier: gridtally_schemas::UtcMicros, later: gridtally_schemas::UtcMicros) -> f64 {
    let micros = u64::try_from(later.0.saturating_sub(earlier.0)).unwrap_or(0);
    std::time::Duration::from_micros(micros).as_secs_f64()
}

/// The tiles of the command centre, live.
#[utoipa::path(
    get,
    path = "/api/v1/summary",
    tag = "Live",
    responses((status = 200, description = "The state of what the caller sees, now.", body = Summary))
)]
pub(crate) async fn get(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    form::answer(&headers, &summary(&app, &caller))
}
