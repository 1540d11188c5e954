//! GET /consumers/{id}/interruptions: when a consumer had no supply, and what that is known from.

use axum::{
    extract::{Path, State},
    http::HeaderMap,
    response::Response,
};
use gridtally_engine::{
    World,
    outage::{FOREVER, Interruption, InterruptionEvidence, Signal, Span},
};
use gridtally_schemas::{ConsumerId, UtcMicros, Zone};
use serde::Serialize;
use utoipa::ToSchema;

use super::outages;
use crate::{
    access::{Caller, reach::Reach},
    app::App,
    figures::rounded,
    form,
    parameters::{Parameters, short},
    problem::{self, Problem},
};

/// How far about an interruption its meters' events are listed, µs: two clocks may differ by that much.
const ABOUT_MICROS: i64 = 5 * 60_000_000;

/// An event of a meter that bears on supply.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct SignalRow {
    /// The meter.
    meter_id: String,
    /// When, by its clock.
    at: String,
    /// What it says: failed, restored, disconnected, cut_off or connected.
    says: &'static str,
}

/// An interruption of a consumer.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct InterruptionRow {
    /// The consumer.
    consumer_id: String,
    /// When it began to count.
    started_at: String,
    /// The outage that it is part of.
    outage_id: String,
    /// When it ceased to count. Null: not over.
    ended_at: Option<String>,
    /// How long supply was due and not there, min. Null: not over.
    minutes: Option<f64>,
    /// Whether it lasted longer than the momentary threshold. Null: not over.
    sustained: Option<bool>,
    /// Class of the outage.
    class: &'static str,
    /// Why it counts in no index: prepaid_cut_off, disconnected or outside_supply_hours. Null: it counts.
    excluded_because: Option<&'static str>,
    /// Number of its version in `interruptions`. 0: not published yet.
    version: i64,
    /// When supply failed and was back, from what that is known and between which bounds.
    #[schema(value_type = Object)]
    evidence: InterruptionEvidence,
    /// What the consumer's meters said about that time.
    events: Vec<SignalRow>,
}

const fn says(signal: Signal) -> &'static str {
    match signal {
        Signal::Failed => "failed",
        Signal::Restored => "restored",
        Signal::Disconnected => "disconnected",
        Signal::CutOff => "cut_off",
        Signal::Connected => "connected",
    }
}

impl InterruptionRow {
    /// Whose it is.
    pub(super) fn consumer(&self) -> &str {
        &self.consumer_id
    }

    pub(super) fn of(world: &World, zone: &Zone, interruption: &Interruption) -> Self {
        let text = |at: UtcMicros| at.to_rfc3339(zone);
        let evidence = interruption.evidence.clone();
        let ended = evidence.restored.map_or(FOREVER, |restored| restored.latest);
        let about = Span::new(
            evidence.failed.earliest.plus(-ABOUT_MICROS),
            ended.plus(ABOUT_MICROS),
        );
        let minutes = |micros: i64| rounded(gridtally_engine::balance::ratio(micros, 60_000_000));
        Self {
            consumer_id: interruption.consumer.to_string(),
            started_at: text(interruption.started_at),
            outage_id: interruption.outage.to_string(),
            ended_at: interruption.ended_at.map(text),
            minutes: interruption.counted_micros.map(minutes),
            sustained: interruption.sustained,
            class: interruption.class.as_str(),
            excluded_because: interruption.excluded_because.map(|why| why.as_str()),
            version: world.published_interruption(interruption),
            events: world
                .signals_of(&interruption.consumer, about)
                .into_iter()
                .map(|signal| SignalRow {
                    meter_id: signal.meter.to_string(),
                    at: text(signal.at),
                    says: says(signal.signal),
                })
                .collect(),
            evidence,
        }
    }
}

/// The interruptions of one consumer.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Interruptions {
    /// The consumer.
    consumer_id: String,
    /// Its interruptions, by begin.
    interruptions: Vec<InterruptionRow>,
}

/// When one consumer had no supply, as it stands now.
#[utoipa::path(
    get,
    path = "/api/v1/consumers/{id}/interruptions",
    tag = "Outages",
    params(
        ("id" = String, Path, description = "The consumer."),
        ("from" = Option<String>, Query, description = "Only interruptions that were on after this: RFC 3339, or a civil day."),
        ("to" = Option<String>, Query, description = "Only interruptions that began before this: RFC 3339, or a civil day."),
    ),
    responses(
        (status = 200, description = "The interruptions.", body = Interruptions),
        (status = 404, description = "There is no such consumer.", body = crate::problem::ProblemDocument),
    )
)]
pub(crate) async fn of_consumer(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let consumer =
        ConsumerId::parse(&id).map_err(|why| Problem::parameter("id", format!("`{}`: {why}", short(&id))))?;
    let within = outages::within(&app, &mut parameters)?;
    parameters.finish()?;
    let is_wanted = |interruption: &&Interruption| {
        let ended = interruption.ended_at.unwrap_or(FOREVER);
        let from = interruption.started_at;
        Span::new(from, ended.max(from.plus(1))).overlaps(within)
    };
    let interruptions = app.engine.read(|world| {
        let seen = Reach::of(world, &caller, app.clock.now()).consumer(&consumer);
        (seen && world.knows_consumer(&consumer)).then(|| {
            let found = world
                .interruptions_of_consumer(consumer.as_str())
                .filter(is_wanted);
            found
                .map(|interruption| InterruptionRow::of(world, &app.zone, interruption))
                .collect::<Vec<_>>()
        })
    });
    let interruptions = interruptions.ok_or_else(|| {
        let detail = format!("consumer `{consumer}` has no connection");
        Problem::new(problem::UNKNOWN_CONSUMER, detail)
    })?;
    let answer = Interruptions {
        consumer_id: consumer.to_string(),
        interruptions,
    };
    form::answer(&headers, &answer)
}
