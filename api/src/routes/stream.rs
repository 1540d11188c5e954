//! GET /stream: what changes, as server-sent events.
//!
//! One task looks at each change once and writes its event once, whoever listens. An event of balances or of a checkpoint has an id; a
//! listener who comes back with `Last-Event-ID` gets what it missed, or `reset` when that is no longer kept. A listener that does
//! not keep up is ended: it comes back and resumes.

use std::{collections::HashMap, sync::Arc};

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderValue, header},
    response::Response,
};
use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use gridtally_engine::{
    Change, World,
    engine::ChangeKind,
    network::NodeIx,
    state::Quarter,
    world::{OutageChange, Sums},
};
use gridtally_schemas::UtcMicros;
use serde::Serialize;
use tokio::{sync::broadcast, time};
use tokio_stream::wrappers::BroadcastStream;
use utoipa::ToSchema;

use super::{outages::OutageRow, summary};
use crate::{
    access::{Caller, reach::Reach},
    app::App,
    figures::{Attention, Figures},
    look::NodeName,
    parameters::Parameters,
    problem::{self, Problem},
};

/// Events that a listener may be behind.
const BEHIND_MAX: usize = 128;
/// Most changes written anew for a listener who comes back; older ones are told as `reset`.
const MISSED_MAX: usize = 64;
/// Most feeders that an event lists.
const FEEDERS_MAX: usize = 64;
/// Pause between two summaries.
const SUMMARY_EVERY: time::Duration = time::Duration::from_secs(1);

/// An event as it is sent.
#[derive(Debug, Clone)]
struct Event {
    /// Number of the change; `None`: a summary, which no one resumes from.
    change: Option<u64>,
    /// As who sees everything gets it.
    text: Bytes,
    /// What it is about, for who sees a part.
    about: About,
}

/// What an event is about.
#[derive(Debug, Clone)]
enum About {
    Summary,
    Change(Arc<Change>),
    /// The same for everybody.
    All,
}

/// Where the events are told.
#[derive(Debug)]
pub(crate) struct Hub {
    sender: broadcast::Sender<Event>,
    /// Tells this process's changes from an earlier one's: their numbers begin anew.
    epoch: i64,
}

/// Data of a `balances` event: feeders whose balance changed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BalancesEvent {
    /// When, by the configured clock.
    at: String,
    /// Last log record that they contain.
    applied_position: u64,
    /// Feeder-intervals that changed.
    changed: usize,
    /// The newest changed interval of each feeder, worst loss first; 64 feeders at most.
    feeders: Vec<FeederEvent>,
}

/// A feeder's newest changed balance.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FeederEvent {
    /// The feeder.
    #[serde(flatten)]
    feeder: NodeName,
    /// End of the interval.
    interval_end: String,
    /// Loss of the interval, per cent. Null: not shown.
    loss_pct: Option<f64>,
    /// Lower end of its band, per cent. Null: nothing is known.
    loss_low_pct: Option<f64>,
    /// Upper end of its band, per cent. Null: nothing is known.
    loss_high_pct: Option<f64>,
    /// Reported of expected meters, per cent. Null: none was expected.
    coverage_pct: Option<f64>,
    /// What it asks of people.
    attention: Attention,
    /// DTs of the feeder whose loss asks to be investigated, in that interval.
    dts_to_investigate: usize,
    /// The DT with the highest shown loss. Null: none is shown.
    worst_dt: Option<WorstDt>,
}

/// The DT with the highest loss of a feeder.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WorstDt {
    /// The DT.
    #[serde(flatten)]
    dt: NodeName,
    /// Its loss, per cent.
    loss_pct: f64,
}

/// Data of an `outages` event: outages that began, grew, were restored, or turned out to be something else.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OutagesEvent {
    /// When, by the configured clock.
    at: String,
    /// Last log record that they contain.
    applied_position: u64,
    /// Outages that changed.
    changed: usize,
    /// They, by id; 256 at most.
    outages: Vec<ChangedOutage>,
}

/// An outage as it stands, and why it changed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChangedOutage {
    /// The outage.
    #[serde(flatten)]
    outage: OutageRow,
    /// Why it changed.
    reason: String,
}

/// Data of a `checkpoint` event.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CheckpointEvent {
    /// When, by the configured clock.
    at: String,
    /// Last log record whose rows are in the tables.
    published_position: u64,
    /// Rows written.
    rows: usize,
}

impl Hub {
    pub(crate) fn new(now: UtcMicros) -> Self {
        Self {
            sender: broadcast::Sender::new(BEHIND_MAX),
            epoch: now.0,
        }
    }

    fn write(&self, name: &str, change: Option<u64>, data: &impl Serialize) -> Event {
        // JSON of serde has no line break, which would end an event.
        let data = serde_json::to_string(data).unwrap_or_default();
        let id = change
            .map(|change| format!("id: {:x}-{change}\n", self.epoch))
            .unwrap_or_default();
        Event {
            change,
            text: Bytes::from(format!("{id}event: {name}\ndata: {data}\n\n")),
            about: About::All,
        }
    }

    /// The change that `Last-Event-ID` names; `Err` when it is not one of this process.
    fn last_seen(&self, headers: &HeaderMap) -> Result<Option<u64>, ()> {
        let Some(given) = headers.get("last-event-id") else {
            return Ok(None);
        };
        let parsed = given
            .to_str()
            .ok()
            .and_then(|text| text.split_once('-'))
            .and_then(|(epoch, change)| {
                (i64::from_str_radix(epoch, 16).ok()? == self.epoch).then(|| change.parse().ok())?
            });
        parsed.map(Some).ok_or(())
    }
}

/// Tells every change and, once a second, the summary, until the server ends. Who sees a part gets each event
/// written anew.
pub(crate) async fn run(app: App) {
    let mut changes = app.engine.changes().listen(None).receiver;
    let mut ending = app.ending.clone();
    let everybody = Caller::anyone();
    let mut every = time::interval(SUMMARY_EVERY);
    every.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
    loop {
        let event = tokio::select! {
            _ = ending.wait_for(|ending| *ending) => return,
            _ = every.tick() => {
                if app.hub.sender.receiver_count() == 0 {
                    continue;
                }
                summary_event(&app, &everybody)
            }
            change = changes.recv() => match change {
                Ok(change) if app.hub.sender.receiver_count() > 0 => match event_of(&app, &change, &everybody) {
                    Some(event) => event,
                    None => continue,
                },
                // The listeners find what was missed by its number; they are told to look anew.
                Err(broadcast::error::RecvError::Lagged(_)) => reset(&app),
                Ok(_) => continue,
                Err(broadcast::error::RecvError::Closed) => return,
            },
        };
        // Nobody may be listening any more.
        let _ = app.hub.sender.send(event);
    }
}

fn reset(app: &App) -> Event {
    app.hub.write(
        "reset",
        None,
        &serde_json::json!({ "at": app.clock.now().to_rfc3339(&app.zone) }),
    )
}

fn summary_event(app: &App, caller: &Caller) -> Event {
    Event {
        about: About::Summary,
        ..app.hub.write("summary", None, &summary::summary(app, caller))
    }
}

/// An event as a caller with an area gets it; `None`: nothing of it is in the area.
fn narrowed(app: &App, event: &Event, caller: &Caller) -> Option<Event> {
    match &event.about {
        About::Summary => Some(summary_event(app, caller)),
        About::Change(change) => event_of(app, change, caller),
        About::All => Some(event.clone()),
    }
}

/// The event of a change, as a caller sees it; `None`: nothing of it is in its area.
fn event_of(app: &App, change: &Arc<Change>, caller: &Caller) -> Option<Event> {
    let about = About::Change(Arc::clone(change));
    written(app, change, caller).map(|event| Event { about, ..event })
}

fn written(app: &App, change: &Change, caller: &Caller) -> Option<Event> {
    let sees_all = caller.area().is_none();
    let at = change.at.to_rfc3339(&app.zone);
    match &change.kind {
        ChangeKind::Balances {
            intervals,
            total,
            applied,
        } => {
            let (seen, feeders) = feeders_of(app, intervals, caller);
            let event = BalancesEvent {
                at,
                applied_position: applied.0,
                changed: if sees_all { *total } else { seen },
                feeders,
            };
            (sees_all || seen > 0).then(|| app.hub.write("balances", Some(change.id), &event))
        }
        ChangeKind::Outages {
            changes,
            total,
            applied,
        } => {
            let row = |world: &World, change: &OutageChange| ChangedOutage {
                outage: OutageRow::of(world, &app.zone, change.view.clone()),
                reason: change.reason.clone(),
            };
            let now = app.clock.now();
            let outages: Vec<ChangedOutage> = app.engine.read(|world| {
                let reach = Reach::of(world, caller, now);
                let seen = changes.iter().filter(|change| reach.outage(&change.view));
                seen.map(|change| row(world, change)).collect()
            });
            let event = OutagesEvent {
                at,
                applied_position: applied.0,
                changed: if sees_all { *total } else { outages.len() },
                outages,
            };
            let any = sees_all || event.changed > 0;
            any.then(|| app.hub.write("outages", Some(change.id), &event))
        }
        ChangeKind::Checkpoint { position, rows } => {
            let event = CheckpointEvent {
                at,
                published_position: position.0,
                rows: *rows,
            };
            Some(app.hub.write("checkpoint", Some(change.id), &event))
        }
    }
}

/// How many of some intervals a caller sees, and the newest of each feeder.
fn feeders_of(app: &App, intervals: &[(NodeIx, Quarter)], caller: &Caller) -> (usize, Vec<FeederEvent>) {
    let now = app.clock.now();
    let seen: Vec<&(NodeIx, Quarter)> = app.engine.read(|world| {
        let reach = Reach::of(world, caller, now);
        intervals
            .iter()
            .filter(|(feeder, _)| reach.node(*feeder))
            .collect()
    });
    let mut newest: HashMap<NodeIx, Quarter> = HashMap::new();
    for (feeder, quarter) in &seen {
        let held = newest.entry(*feeder).or_insert(*quarter);
        *held = (*held).max(*quarter);
    }
    let mut looked = app.engine.read(|world| {
        let looks = newest
            .into_iter()
            .filter_map(|(feeder, quarter)| look(world, feeder, quarter));
        looks.collect::<Vec<_>>()
    });
    looked.sort_by(|(_, one), (_, other)| {
        let loss = |event: &FeederEvent| event.loss_pct.unwrap_or(f64::NEG_INFINITY);
        loss(other)
            .total_cmp(&loss(one))
            .then_with(|| one.feeder.node_id.cmp(&other.feeder.node_id))
    });
    looked.truncate(FEEDERS_MAX);
    let feeders = looked
        .into_iter()
        .map(|(end, event)| FeederEvent {
            interval_end: end.to_rfc3339(&app.zone),
            ..event
        })
        .collect();
    (seen.len(), feeders)
}

/// A feeder's balance at the end of an interval; `None` when it is none any more.
fn look(world: &World, feeder: NodeIx, quarter: Quarter) -> Option<(UtcMicros, FeederEvent)> {
    let end = quarter.end();
    let (_, interval) = world.feeder_intervals(feeder, end.plus(-1)..end).next()?;
    let threshold_pct = world.settings.coverage_threshold_pct;
    let figures = Figures::of_sums(&Sums::of_feeder(&interval.feeder), threshold_pct);
    let (mut dts_to_investigate, mut worst): (usize, Option<(NodeIx, f64)>) = (0, None);
    for dt in &interval.dts {
        let of_dt = Figures::of_sums(&Sums::of_dt(&dt), threshold_pct);
        dts_to_investigate += usize::from(of_dt.attention == Attention::Investigate);
        if let Some(loss) = of_dt.loss_pct
            && worst.is_none_or(|(_, held)| loss > held)
        {
            worst = Some((dt.dt, loss));
        }
    }
    let named = |node: NodeIx| world.network.node(node).map(NodeName::of);
    let event = FeederEvent {
        feeder: named(feeder)?,
        interval_end: String::new(),
        loss_pct: figures.loss_pct,
        loss_low_pct: figures.loss_low_pct,
        loss_high_pct: figures.loss_high_pct,
        coverage_pct: figures.coverage_pct,
        attention: figures.attention,
        dts_to_investigate,
        worst_dt: worst.and_then(|(dt, loss_pct)| {
            Some(WorstDt {
                dt: named(dt)?,
                loss_pct,
            })
        }),
    };
    Some((end, event))
}

/// What changes, as server-sent events: `summary` (at most once a second; as GET /summary), `balances` (as [`BalancesEvent`]),
/// `outages` (as [`OutagesEvent`]), `checkpoint`, and `reset` when changes were missed and everything should be asked for anew.
#[utoipa::path(
    get,
    path = "/api/v1/stream",
    tag = "Live",
    params(("Last-Event-ID" = Option<String>, Header, description = "Id of the last event seen; what came after it is sent first.")),
    responses(
        (status = 200, description = "Events without end.", content_type = "text/event-stream", body = String),
        (status = 429, description = "Too many streams are open.", body = crate::problem::ProblemDocument),
    )
)]
pub(crate) async fn get(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    parameters: Parameters,
) -> Result<Response, Problem> {
    parameters.finish()?;
    let permit = Arc::clone(&app.streams).try_acquire_owned().map_err(|_| {
        Problem::new(
            problem::TOO_MANY,
            format!(
                "{} event streams are open, the most there may be",
                app.settings.streams_max
            ),
        )
    })?;
    let live = BroadcastStream::new(app.hub.sender.subscribe());
    let first = first_events(&app, &headers, &caller);
    let mut seen = first.iter().filter_map(|event| event.change).max().unwrap_or(0);
    let (of, part) = (app.clone(), caller.clone());
    let live = live
        // Too far behind: the stream ends, and the listener resumes.
        .take_while(|event| futures::future::ready(event.is_ok()))
        .filter_map(move |event| {
            let new = event
                .ok()
                .filter(|event| event.change.is_none_or(|change| change > seen));
            seen = new.as_ref().and_then(|event| event.change).unwrap_or(seen);
            let new = match &new {
                Some(event) if part.area().is_some() => narrowed(&of, event, &part),
                _ => new,
            };
            futures::future::ready(new)
        });
    let mut ending = app.ending.clone();
    let left = app.settings.access.left(&caller);
    let until = async move {
        tokio::select! {
            _ = ending.wait_for(|ending| *ending) => {}
            // Its key or token has ended, and so it is nobody any more.
            () = time::sleep(left) => {}
        }
        drop(permit);
    };
    let events = stream::iter(first)
        .chain(live)
        .map(|event| Ok::<Bytes, std::convert::Infallible>(event.text));
    Ok(event_stream(events.take_until(until)))
}

/// What a listener gets at once: the summary, and what it missed.
fn first_events(app: &App, headers: &HeaderMap, caller: &Caller) -> Vec<Event> {
    let opening = Event {
        change: None,
        text: Bytes::from_static(b"retry: 2000\n\n"),
        about: About::All,
    };
    let summary = summary_event(app, caller);
    let mut events = vec![opening, summary];
    match app.hub.last_seen(headers) {
        Ok(None) => {}
        Ok(Some(last_seen)) => {
            let listening = app.engine.changes().listen(Some(last_seen));
            if listening.gap || listening.missed.len() > MISSED_MAX {
                events.push(reset(app));
            } else {
                let missed = listening.missed.iter();
                events.extend(missed.filter_map(|change| event_of(app, change, caller)));
            }
        }
        Err(()) => events.push(reset(app)),
    }
    events
}

fn event_stream(
    events: impl Stream<Item = Result<Bytes, std::convert::Infallible>> + Send + 'static,
) -> Response {
    let mut response = Response::new(Body::from_stream(events));
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/event-stream"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Proxies that buffer would hold events back.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}
