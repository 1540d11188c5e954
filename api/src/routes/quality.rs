//! GET /data-quality: how complete the data of a node's day is, and what waits in quarantine.

use std::collections::BTreeMap;

use axum::{extract::State, http::HeaderMap, response::Response};
use gridtally_engine::{
    World,
    world::{ReadTally, look::DataQuality},
};
use gridtally_schemas::NodeId;
use serde::Serialize;
use utoipa::ToSchema;

use super::nodes;
use crate::{
    access::{Caller, reach::Reach},
    app::App,
    figures::rounded,
    form,
    look::NodeName,
    parameters::Parameters,
    problem::Problem,
};

/// Data quality of a node in a civil day.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Quality {
    /// The node. Null: the whole network.
    node: Option<NodeName>,
    /// The civil day.
    day: String,
    /// Meter-intervals expected so far.
    expected: i64,
    /// Of these, with an actual or edited value.
    reported: i64,
    /// Of these, with an estimate.
    estimated: i64,
    /// Of these, without any value.
    missing: i64,
    /// Reported of expected, per cent. Null: nothing was expected.
    completeness_pct: Option<f64>,
    /// When the reads came. Null: the day is not closed yet, or the node owes no reads.
    arrival: Option<Arrived>,
    /// Reads that their source itself reports as missing and that did not come since.
    exceptions_open: u64,
    /// What waits in quarantine, by reason; of the whole utility and all time, for an unknown meter is on no node. Empty for callers with an area.
    quarantined: BTreeMap<String, u64>,
    /// What became of every read applied (CONS-1), of the whole utility and all time. Empty for callers with an area.
    reads: BTreeMap<&'static str, u64>,
}

/// Reads of a closed day by when their first valid value came, as `read_completeness` has them: expected are `by_24h`, `later`,
/// `estimated` and `missing` together.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Arrived {
    /// Reads that the day should have.
    expected: i64,
    /// Reads that came within 8 h of the day's end.
    by_8h: i64,
    /// Within 12 h, those of `by_8h` among them.
    by_12h: i64,
    /// Within 24 h, those of `by_12h` among them.
    by_24h: i64,
    /// Reads that came after 24 h.
    later: i64,
    /// Intervals that hold an estimate.
    estimated: i64,
    /// Intervals that hold nothing.
    missing: i64,
    /// `by_8h` of `expected`, per cent; the AMISP service level asks for 95.
    by_8h_pct: f64,
    /// `by_12h` of `expected`, per cent; the AMISP service level asks for 98.
    by_12h_pct: f64,
}

impl Arrived {
    fn of(tally: &ReadTally) -> Option<Self> {
        let share = |count| rounded(100.0 * gridtally_engine::balance::ratio(count, tally.expected));
        (tally.expected > 0).then(|| Self {
            expected: tally.expected,
            by_8h: tally.by_8h,
            by_12h: tally.by_12h,
            by_24h: tally.by_24h,
            later: tally.later,
            estimated: tally.estimated,
            missing: tally.missing(),
            by_8h_pct: share(tally.by_8h),
            by_12h_pct: share(tally.by_12h),
        })
    }
}

/// Completeness, exceptions and quarantine.
#[utoipa::path(
    get,
    path = "/api/v1/data-quality",
    tag = "Balance",
    params(
        ("node" = Option<String>, Query, description = "The node. Default: everything."),
        ("day" = Option<String>, Query, description = "Civil day, YYYY-MM-DD. Default: today."),
    ),
    responses(
        (status = 200, description = "Data quality.", body = Quality),
        (status = 404, description = "There is no such node.", body = crate::problem::ProblemDocument),
    )
)]
pub(crate) async fn get(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let id = parameters.parsed::<NodeId>("node")?;
    let at = nodes::at(&app, &mut parameters)?;
    parameters.finish()?;
    let (node, quality, arrival, counts) = app.engine.read(|world| {
        let reach = Reach::of(world, &caller, at.now);
        let node = id
            .as_ref()
            .map(|id| nodes::find_in(world, &reach, id))
            .transpose()?;
        let name = node.and_then(|node| world.network.node(node)).map(NodeName::of);
        let tops = node.map_or_else(|| reach.tops(), |node| vec![node]);
        let mut arrival = ReadTally::default();
        for tally in tops
            .iter()
            .filter_map(|top| world.read_completeness(*top, at.day))
        {
            arrival.plus(&tally);
        }
        let quality = tops
            .into_iter()
            .map(|top| world.data_quality(top, at.day))
            .fold(of_nothing(world), together);
        Ok((name, quality, arrival, world.counts))
    })?;
    let whole = quality.expected > 0;
    // What is of the whole utility is not for who sees a part.
    let sees_all = caller.area().is_none();
    let quality = Quality {
        node,
        day: at.day.to_string(),
        expected: quality.expected,
        reported: quality.reported,
        estimated: quality.estimated,
        missing: quality.missing,
        completeness_pct: whole
            .then(|| rounded(100.0 * gridtally_engine::balance::ratio(quality.reported, quality.expected))),
        arrival: Arrived::of(&arrival),
        exceptions_open: quality.exceptions_open,
        quarantined: if sees_all {
            quality.quarantined
        } else {
            BTreeMap::new()
        },
        reads: counts
            .named()
            .into_iter()
            .filter(|(name, _)| sees_all && name.starts_with("reads"))
            .collect(),
    };
    form::answer(&headers, &quality)
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that reduce asks for")]
fn together(one: DataQuality, other: DataQuality) -> DataQuality {
    DataQuality {
        expected: one.expected + other.expected,
        reported: one.reported + other.reported,
        estimated: one.estimated + other.estimated,
        missing: one.missing + other.missing,
        exceptions_open: one.exceptions_open + other.exceptions_open,
        // Of the whole utility in each of them.
        quarantined: other.quarantined,
    }
}

/// What is said where there is no node at all.
fn of_nothing(world: &World) -> DataQuality {
    DataQuality {
        quarantined: world.quarantined(),
        ..DataQuality::default()
    }
}
