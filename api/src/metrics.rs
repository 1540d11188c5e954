//! GET /metrics: Prometheus text.

use std::fmt::Write;

use axum::{
    extract::State,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use gridtally_engine::{
    Progress, Upkept,
    tables::{Effort, Spent},
};

use crate::{app::App, webhook::Shown};

/// Writes one metric with its help.
struct Text(String);

impl Text {
    fn metric(&mut self, kind: &str, name: &str, help: &str, value: impl std::fmt::Display) {
        let _ = writeln!(
            self.0,
            "# HELP gridtally_{name} {help}\n# TYPE gridtally_{name} {kind}\ngridtally_{name} {value}"
        );
    }

    fn counter(&mut self, name: &str, help: &str, value: impl std::fmt::Display) {
        self.metric("counter", name, help, value);
    }

    fn by_step<V: std::fmt::Display>(
        &mut self,
        name: &str,
        help: &str,
        effort: &Effort,
        value: impl Fn(Spent) -> V,
    ) {
        let _ = writeln!(
            self.0,
            "# HELP gridtally_{name} {help}\n# TYPE gridtally_{name} counter"
        );
        for (step, spent) in effort.steps() {
            let (step, value) = (step.as_str(), value(spent));
            let _ = writeln!(self.0, "gridtally_{name}{{step=\"{step}\"}} {value}");
        }
    }

    fn gauge(&mut self, name: &str, help: &str, value: impl std::fmt::Display) {
        self.metric("gauge", name, help, value);
    }
}

/// Counts and gauges of every part, as Prometheus text. `gridtally_reads_unaccounted` and its like are invariants: 0, always.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "Operations",
    responses((status = 200, description = "Prometheus text.", content_type = "text/plain", body = String))
)]
pub(crate) async fn get(State(app): State<App>) -> Response {
    let mut text = Text(String::new());
    text.gauge(
        "up",
        "1 while log and engine work.",
        u8::from(app.log.failure().is_none() && app.engine.failure().is_none()),
    );
    log(&mut text, &app);
    ingest(&mut text, &app);
    sql(&mut text, &app);
    engine(&mut text, &app);
    counts(&mut text, &app);
    webhooks(&mut text, &app);
    app.traffic.render(&mut text.0);
    text.gauge(
        "http_streams_open",
        "Open event streams.",
        app.settings.streams_max - app.streams.available_permits(),
    );
    let mut response = text.0.into_response();
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn log(text: &mut Text, app: &App) {
    text.gauge("log_bytes", "Size of the log, bytes.", app.log.bytes());
    text.gauge(
        "log_bytes_max",
        "Bound of the log, bytes; beyond it publishes are refused.",
        app.log.bytes_max(),
    );
    text.gauge(
        "log_begin_position",
        "Last log record that was cut away.",
        app.log.begin(),
    );
    text.gauge(
        "log_poisoned",
        "1 after a failed write or sync: nothing is acknowledged any more.",
        u8::from(app.log.failure().is_some()),
    );
}

fn engine(text: &mut Text, app: &App) {
    let progress = app.engine.progress();
    let seconds = |micros: u64| std::time::Duration::from_micros(micros).as_secs_f64();
    text.gauge("log_position", "Last durable log record.", progress.log_position);
    text.gauge(
        "applied_position",
        "Last log record in the live balances.",
        progress.applied_position,
    );
    text.gauge(
        "published_position",
        "Last log record in the tables.",
        progress.published_position,
    );
    text.gauge(
        "reads_per_second",
        "Interval reads applied a second, over about 5 s.",
        progress.reads_per_second,
    );
    text.gauge(
        "engine_dirty_intervals",
        "Feeder-intervals that wait to be computed.",
        progress.dirty_intervals,
    );
    text.gauge(
        "engine_waiting_rows",
        "Rows that wait for the tables.",
        progress.waiting_rows,
    );
    held(text, &progress);
    text.gauge(
        "engine_cells",
        "(Meter, interval) cells in memory that hold a value.",
        progress.cells,
    );
    paged(text, &progress);
    text.counter("engine_ticks_total", "Computations of balances.", progress.ticks);
    text.gauge(
        "engine_tick_seconds",
        "Length of the last tick that computed something.",
        seconds(progress.last_tick_micros),
    );
    text.counter(
        "engine_checkpoints_total",
        "Checkpoints written by this process.",
        progress.checkpoints,
    );
    text.gauge(
        "engine_checkpoint_seconds",
        "Length of the last checkpoint.",
        seconds(progress.last_checkpoint_micros),
    );
    upkeep(text, &progress.upkeep);
    effort(text, &progress.effort);
    if let Some(at) = progress.published_at {
        let micros = app.clock.now().0.saturating_sub(at.0);
        text.gauge(
            "published_age_seconds",
            "Age of what SQL shows, by the configured clock.",
            seconds(u64::try_from(micros).unwrap_or(0)),
        );
    }
}

/// What was let go from memory and what came back.
fn paged(text: &mut Text, progress: &Progress) {
    let paged = &progress.paged;
    let seconds = |micros: u64| std::time::Duration::from_micros(micros).as_secs_f64();
    text.gauge(
        "engine_state_bytes",
        "Memory of values, balances and what was published of them at the last checkpoint, bytes.",
        paged.resident_bytes,
    );
    text.gauge(
        "engine_cold_bytes",
        "Bytes of values that exceed the budget and wait in the file cold-values.",
        paged.cold_bytes,
    );
    text.gauge(
        "engine_feeder_days_out",
        "Days of feeders whose balances by interval wait in the tables alone.",
        paged.feeder_days_out,
    );
    text.gauge(
        "engine_feeder_days_owed",
        "Days of feeders that wait in the tables to be computed anew because master data of their time changed.",
        paged.feeder_days_owed,
    );
    text.gauge(
        "engine_block_days_out",
        "Days of blocks of meters whose values wait in the tables alone.",
        paged.block_days_out,
    );
    text.counter(
        "engine_page_ins_total",
        "Civil days read back from the tables, once for each time.",
        paged.page_ins,
    );
    text.counter(
        "engine_feeder_days_in_total",
        "Days of feeders that came back.",
        paged.feeder_days_in,
    );
    text.counter(
        "engine_block_days_in_total",
        "Days of blocks of meters that came back.",
        paged.block_days_in,
    );
    text.counter(
        "engine_page_in_seconds_total",
        "Time that reading back took.",
        seconds(progress.page_in_micros),
    );
    text.gauge(
        "engine_page_in_seconds",
        "Length of the last reading back.",
        seconds(progress.last_page_in_micros),
    );
}

/// What unknown meters said.
fn held(text: &mut Text, progress: &Progress) {
    text.gauge(
        "engine_held_spans",
        "Quarantined spans that wait for master data.",
        progress.held,
    );
    text.gauge(
        "engine_held_bytes",
        "Memory of the held spans, bytes.",
        progress.held_bytes,
    );
    text.gauge(
        "engine_held_spilled",
        "Held spans beyond the bound: they wait in the quarantine table alone.",
        progress.held_spilled,
    );
}

/// Compaction and vacuum of the tables.
fn upkeep(text: &mut Text, upkept: &Upkept) {
    text.counter(
        "tables_passes_total",
        "Passes of compaction and vacuum over all tables.",
        upkept.passes,
    );
    text.counter(
        "tables_files_replaced_total",
        "Small files that compaction replaced.",
        upkept.files_replaced,
    );
    text.counter(
        "tables_files_written_total",
        "Files that compaction wrote instead.",
        upkept.files_written,
    );
    text.counter(
        "tables_files_removed_total",
        "Files that vacuum removed.",
        upkept.files_removed,
    );
    text.counter(
        "tables_compactions_dropped_total",
        "Partitions left as they were because their table changed under the compaction.",
        upkept.dropped,
    );
    text.counter(
        "tables_upkeep_failures_total",
        "Tables that could not be compacted or vacuumed, once for each pass.",
        upkept.failures,
    );
    text.gauge(
        "tables_pass_seconds",
        "Length of the last pass of compaction and vacuum.",
        std::time::Duration::from_micros(upkept.last_pass_micros).as_secs_f64(),
    );
}

/// What writing the tables costs, by step.
fn effort(text: &mut Text, effort: &Effort) {
    let seconds = |spent: Spent| std::time::Duration::from_micros(spent.micros).as_secs_f64();
    text.by_step("tables_steps_total", "How often a step of writing the tables was done: data files of a commit, the commit itself, a checkpoint of a Delta log, the compaction of a partition, a vacuum of a table.", effort, |spent| spent.times);
    text.by_step(
        "tables_step_seconds_total",
        "How long these steps took, as of the last checkpoint.",
        effort,
        seconds,
    );
    text.by_step(
        "tables_step_bytes_total",
        "Bytes of the data files that they wrote.",
        effort,
        |spent| spent.bytes,
    );
}

/// CONS-1: what became of everything applied.
fn counts(text: &mut Text, app: &App) {
    let (counts, quarantined) = app.engine.read(|world| (world.counts, world.quarantined()));
    text.0.push_str("# HELP gridtally_applied_total What became of everything applied since the tables were empty (CONS-1).\n");
    text.0.push_str("# TYPE gridtally_applied_total counter\n");
    for (what, count) in counts.named() {
        let _ = writeln!(text.0, "gridtally_applied_total{{what=\"{what}\"}} {count}");
    }
    text.gauge(
        "reads_unaccounted",
        "CONS-1: reads applied less reads accounted for; 0, always.",
        counts.reads_unaccounted(),
    );
    text.gauge(
        "registers_unaccounted",
        "CONS-1 for register reads; 0, always.",
        counts.registers_unaccounted(),
    );
    text.gauge(
        "events_unaccounted",
        "CONS-1 for events; 0, always.",
        counts.events_unaccounted(),
    );
    text.0.push_str("# HELP gridtally_quarantine_rows Rows in quarantine, by reason.\n# TYPE gridtally_quarantine_rows gauge\n");
    for (reason, count) in quarantined {
        let reason = reason.replace(['\\', '"', '\n'], "_");
        let _ = writeln!(text.0, "gridtally_quarantine_rows{{reason=\"{reason}\"}} {count}");
    }
}

/// A metric of a receiver: kind, name, help and value.
type Told<'a> = (
    &'static str,
    &'static str,
    &'static str,
    &'a dyn Fn(&Shown) -> u64,
);

/// What receivers of notices were told, and could not be.
fn webhooks(text: &mut Text, app: &App) {
    let all: Vec<_> = app.webhooks.each().collect();
    if all.is_empty() {
        return;
    }
    let behind = |shown: &Shown| {
        let not_taken_over = u64::try_from(shown.newest.saturating_sub(shown.cursor)).unwrap_or(0);
        not_taken_over + u64::try_from(shown.open).unwrap_or(0)
    };
    let whole = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    let kinds: [Told<'_>; 6] = [
        (
            "counter",
            "delivered_total",
            "Notices delivered by this process.",
            &|shown| shown.delivered,
        ),
        (
            "counter",
            "failures_total",
            "Attempts of this process that failed.",
            &|shown| shown.failures,
        ),
        (
            "gauge",
            "waiting",
            "Notices that are neither delivered nor given up.",
            &behind,
        ),
        ("gauge", "in_memory", "Notices in memory.", &|shown| {
            whole(shown.in_memory)
        }),
        (
            "gauge",
            "dead_letters",
            "Notices that were given up: GET /api/v1/webhooks/{name}/dead-letters.",
            &|shown| whole(shown.dead.len()),
        ),
        (
            "gauge",
            "disabled",
            "1 after the receiver answered 410: nothing is sent until it is enabled again.",
            &|shown| u64::from(shown.disabled.is_some()),
        ),
    ];
    for (kind, name, help, value) in kinds {
        let _ = writeln!(
            text.0,
            "# HELP gridtally_webhook_{name} {help}\n# TYPE gridtally_webhook_{name} {kind}"
        );
        for (endpoint, shown) in &all {
            let _ = writeln!(
                text.0,
                "gridtally_webhook_{name}{{endpoint=\"{}\"}} {}",
                endpoint.name,
                value(shown)
            );
        }
    }
}

/// Ad-hoc queries.
fn sql(text: &mut Text, app: &App) {
    text.gauge(
        "sql_queries_running",
        "Ad-hoc queries that run, by HTTP, PostgreSQL's protocol or Arrow Flight SQL.",
        app.sql.running(),
    );
    text.gauge(
        "sql_queries_max",
        "Ad-hoc queries that may run at a time.",
        app.sql.config().workers_max,
    );
    text.gauge(
        "sql_queries_waiting",
        "Ad-hoc queries that wait for another to end.",
        app.sql.waiting(),
    );
    text.gauge(
        "sql_workers_warm",
        "Idle processes that wait for an ad-hoc query.",
        app.sql.warm(),
    );
}

/// What arrived, and how it was answered.
fn ingest(text: &mut Text, app: &App) {
    for (name, about, value) in app.ingest.totals().counters() {
        text.counter(&format!("ingest_{name}_total"), about, value);
    }
    text.gauge(
        "ingest_connections_open",
        "MQTT connections open.",
        app.ingest.connections_open(),
    );
}
