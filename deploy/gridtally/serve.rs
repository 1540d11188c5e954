//! `gridtally serve`: wires log, engine, ingest and API together, and takes them down again in data order.

#![expect(
    clippy::print_stdout,
    reason = "a command that says where it listens on standard output"
)]

use std::{
    future::Future,
    net::{IpAddr, SocketAddr},
    ops::RangeInclusive,
    path::{Path, PathBuf},
    time::Duration,
};

use gridtally_api::{access::Access, sql::SqlConfig, webhook::WebhookSettings};
use gridtally_engine::{EngineConfig, Settings, Upkeep};
use gridtally_ingest::{gate::Enrolment, log::LogConfig, subscribe::SubscribeConfig, tls::Tls};
use gridtally_schemas::{Clock, GatewayId, MeterId, Zone};
use serde_json::Value;

use crate::{
    cli::ConfigArgs,
    config::{Config, ConfigError, Sources},
    exit::Failure,
    import::Input,
    trace,
};

mod access;
mod compensation;
mod flight;
mod http;
mod instance;
mod mqtt;
mod outage;
mod pg;
mod revenue;
mod suspicion;
mod vee;
mod webhook;

pub(crate) use instance::Instance;
pub(crate) use outage::event_map;

/// Shutdown ends after this, done or not.
pub(crate) const SHUTDOWN_SECONDS: u64 = 30;

/// Whether a key could be configured so.
///
/// # Errors
/// Why not.
pub(crate) fn check_key(entry: &crate::config::AccessKeyEntry) -> Result<(), String> {
    access::key(entry).map(drop)
}

/// Everything that configuration decides, checked.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) data_dir: PathBuf,
    pub(crate) zone: Zone,
    pub(crate) clock: Clock,
    pub(crate) log: LogConfig,
    pub(crate) engine: EngineConfig,
    pub(crate) mqtt: mqtt::MqttPlan,
    pub(crate) http: http::HttpPlan,
    pub(crate) pg: Option<pg::PgPlan>,
    pub(crate) flight: Option<flight::FlightPlan>,
    pub(crate) audit_share_pct: f64,
    pub(crate) access: Access,
    pub(crate) subscribe: Option<SubscribeConfig>,
    pub(crate) enrolment: Enrolment,
    pub(crate) sql: SqlPlan,
    pub(crate) webhooks: WebhookSettings,
    pub(crate) webhook_source: String,
}

/// Bounds of ad-hoc SQL.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SqlPlan {
    pub(crate) deadline: Duration,
    pub(crate) memory_bytes: usize,
    pub(crate) rows_max: usize,
    pub(crate) workers_max: usize,
    pub(crate) workers_per_caller: usize,
    pub(crate) workers_warm: usize,
}

/// Queries at a time where the configuration leaves it open, by the cores of the machine.
const WORKERS_BY_CORES: RangeInclusive<usize> = 4..=16;

impl SqlPlan {
    fn of(config: &Config) -> Result<Self, ConfigError> {
        let workers_max = match config.count("sql.workers_max", 0..=256)? {
            0 => {
                let cores = std::thread::available_parallelism().map_or(1, usize::from);
                (cores / 2).clamp(*WORKERS_BY_CORES.start(), *WORKERS_BY_CORES.end())
            }
            given => given,
        };
        let workers_per_caller = match config.count("sql.workers_per_caller_max", 0..=256)? {
            0 => workers_max.div_ceil(2),
            given => given.min(workers_max),
        };
        Ok(Self {
            deadline: config.seconds("sql.deadline_seconds", 1..=3_600)?,
            memory_bytes: config.count("sql.memory_bytes", 16 << 20..=1 << 40)?,
            rows_max: config.count("sql.rows_max", 1..=100_000_000)?,
            workers_max,
            workers_per_caller,
            workers_warm: config.count("sql.workers_warm", 0..=64)?,
        })
    }

    /// Settings of the front over these tables, whose workers are this program.
    pub(crate) fn front(self, tables_root: PathBuf, zone: &Zone) -> Result<SqlConfig, Failure> {
        let worker_exe = std::env::current_exe()
            .map_err(|source| Failure::work("this program cannot be found", source))?;
        Ok(SqlConfig {
            worker_exe,
            worker_args: vec!["sql-worker".to_owned()],
            tables_root,
            memory_bytes: self.memory_bytes,
            rows_max: self.rows_max,
            deadline: self.deadline,
            workers_max: self.workers_max,
            workers_per_caller: self.workers_per_caller,
            workers_warm: self.workers_warm,
            zone: zone.clone(),
        })
    }
}

/// Reads configuration from file, environment and flags.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place where the environment is read"
)]
pub(crate) fn load(args: &ConfigArgs) -> Result<Config, ConfigError> {
    let sources = Sources {
        file: args.config.as_deref(),
        flags: args.flags(),
    };
    Config::load(&sources, |name| std::env::var(name).ok())
}

impl Plan {
    /// Checks every value.
    pub(crate) fn of(config: &Config) -> Result<Self, ConfigError> {
        let data_dir = PathBuf::from(config.text("data_dir"));
        let zone = config.zone()?;
        let access = access::plan(config)?;
        Ok(Self {
            log: log_config(config, &data_dir)?,
            engine: engine_config(config, &zone)?,
            mqtt: mqtt::plan(config)?,
            http: http::plan(config, &access)?,
            pg: pg::plan(config, &access)?,
            flight: flight::plan(config, &access)?,
            access,
            audit_share_pct: suspicion::share_pct(config)?,
            subscribe: subscribe_config(config)?,
            enrolment: enrolment(config)?,
            sql: SqlPlan::of(config)?,
            clock: config.clock()?,
            webhooks: webhook::settings(config, &data_dir)?,
            webhook_source: config.text("webhooks.source").to_owned(),
            data_dir,
            zone,
        })
    }
}

/// An address to listen on: beyond loopback only when the configuration says that this is meant.
fn guarded(config: &Config, listen: &'static str, open: &'static str) -> Result<SocketAddr, ConfigError> {
    let address = config.listen(listen)?;
    let loopback = match address.ip() {
        IpAddr::V4(ip) => ip.is_loopback(),
        IpAddr::V6(ip) => ip.is_loopback(),
    };
    if loopback || config.get::<bool>(open)? {
        return Ok(address);
    }
    let (why, how) = match listen {
        "pg.listen" | "flight.listen" => ("it gives out what it has", "with [[pg.users]] and a certificate"),
        "mqtt.listen" => (
            "anybody on the way can read and change what comes",
            "in a network of its own; better is mqtt.tls_listen",
        ),
        "mqtt.tls_listen" => (
            "publishers are not authenticated",
            "or, better, mqtt.client_authorities or [[mqtt.publishers]]",
        ),
        _ => (
            "callers are not authenticated",
            "behind a proxy that authenticates; or [[access.keys]], who may ask",
        ),
    };
    Err(config.refuse(
        listen,
        format!("{why}, so listening beyond loopback needs {open} = true, {how}"),
    ))
}

/// Certificate and key of a listener: both or neither, and never silently neither.
fn tls(
    config: &Config,
    certificate: &'static str,
    key: &'static str,
    protocols: &[&[u8]],
) -> Result<Option<Tls>, ConfigError> {
    match (config.text_if_set(certificate), config.text_if_set(key)) {
        (None, None) => Ok(None),
        (Some(chain), Some(private)) => Tls::load(Path::new(chain), Path::new(private), None, protocols)
            .map(Some)
            .map_err(|error| config.refuse(certificate, crate::exit::chain(&error))),
        (Some(_), None) => Err(config.refuse(key, "the certificate needs its key")),
        (None, Some(_)) => Err(config.refuse(certificate, "the key needs its certificate")),
    }
}

fn log_config(config: &Config, data_dir: &Path) -> Result<LogConfig, ConfigError> {
    let bytes_max = config.whole("log.bytes_max", 1 << 20..=1 << 50)?;
    let segment_bytes = config.whole("log.segment_bytes", 1 << 16..=1 << 40)?;
    if segment_bytes > bytes_max / 2 {
        return Err(config.refuse(
            "log.segment_bytes",
            "at most half of log.bytes_max is possible, or the log could never be cut",
        ));
    }
    Ok(LogConfig {
        segment_bytes,
        bytes_max,
        commit_delay: config.millis("log.commit_delay_ms", 0..=1_000)?,
        commit_bytes: config.count("log.commit_bytes", 1..=1 << 30)?,
        ..LogConfig::new(data_dir.join("log"))
    })
}

fn engine_config(config: &Config, zone: &Zone) -> Result<EngineConfig, ConfigError> {
    const MINUTE_MICROS: i64 = 60_000_000;
    let minutes = |path, max| {
        let value = config.whole(path, 0..=max)?;
        i64::try_from(value).map_err(|_| config.refuse(path, "too large"))
    };
    let coverage_threshold_pct: f64 = config.get("engine.coverage_threshold_pct")?;
    if !(0.0..=100.0).contains(&coverage_threshold_pct) {
        return Err(config.refuse("engine.coverage_threshold_pct", "0 to 100 are possible"));
    }
    Ok(EngineConfig {
        settings: Settings {
            zone: zone.clone(),
            grace_micros: minutes("engine.grace_minutes", 10_080)? * MINUTE_MICROS,
            settlement_micros: minutes("engine.settlement_hours", 24 * 366)? * 60 * MINUTE_MICROS,
            coverage_threshold_pct,
            vee: vee::limits(config)?,
            outage_rules: outage::rules(config)?,
            compensation: compensation::rules(config, zone)?,
            event_map: outage::event_map(config)?,
            revenue: revenue::rules(config)?,
            held_bytes_max: config.count("engine.held_bytes_max", 0..=1 << 40)?,
            state_bytes_max: config.count("engine.state_bytes_max", 0..=1 << 50)?,
            ..Settings::default()
        },
        tick: config.millis("engine.tick_ms", 10..=60_000)?,
        checkpoint: config.seconds("engine.checkpoint_seconds", 1..=3_600)?,
        notice: webhook::notice(config)?,
        checkpoint_rows: config.count("engine.checkpoint_rows", 1_000..=100_000_000)?,
        upkeep: Upkeep {
            every: config.seconds("tables.compact_minutes", 1..=1_440)? * 60,
            versions_kept: config.seconds("tables.versions_kept_hours", 1..=720)? * 3_600,
        },
        suspicion: suspicion::settings(config)?,
        ..EngineConfig::default()
    })
}

fn subscribe_config(config: &Config) -> Result<Option<SubscribeConfig>, ConfigError> {
    let Some(host) = config.text_if_set("ingest.subscribe.host") else {
        return Ok(None);
    };
    let port = config.get("ingest.subscribe.port")?;
    let mut subscribe = SubscribeConfig::new(host, port, config.text("ingest.subscribe.client_id"));
    subscribe.username = config
        .text_if_set("ingest.subscribe.username")
        .map(ToOwned::to_owned);
    subscribe.password = config
        .text_if_set("ingest.subscribe.password")
        .map(ToOwned::to_owned);
    subscribe.group = config.text("ingest.subscribe.group").to_owned();
    subscribe
        .check()
        .map_err(|error| config.refuse("ingest.subscribe.host", error.to_string()))?;
    Ok(Some(subscribe))
}

fn enrolment(config: &Config) -> Result<Enrolment, ConfigError> {
    let refuse = |id: &str, reason: String| ConfigError::Form {
        key: format!("ingest.gateways.{id}"),
        path: PathBuf::from("the configuration file"),
        reason,
    };
    let mut enrolment = Enrolment::default();
    for entry in &config.gateways {
        let gateway = GatewayId::parse(&entry.id).map_err(|error| refuse(&entry.id, error.to_string()))?;
        let meters = entry.meters.iter().map(|meter| MeterId::parse(meter));
        let meters = meters
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| refuse(&entry.id, error.to_string()))?;
        enrolment.enrol(gateway, meters);
    }
    Ok(enrolment)
}

/// The runtime that everything but log, engine and HTTP runs on.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    runtime_named("gridtally")
}

/// A runtime with a thread a core.
pub(crate) fn runtime_named(threads: &str) -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .thread_name(threads)
        .enable_all()
        .build()
        .map_err(|source| Failure::work("the runtime cannot be started", source))
}

/// Resolves at Ctrl-C or SIGTERM.
pub(crate) async fn interrupted() {
    let terminated = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => {
                signal.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminated => {}
    }
}

/// Runs until interrupted, or until something fails.
pub(crate) fn run(args: &ConfigArgs) -> Result<(), Failure> {
    let config = load(args)?;
    let plan = Plan::of(&config)?;
    trace::start(&config)?;
    for (key, value, origin) in config.shown() {
        tracing::debug!(key = key.path, value, %origin, "configuration");
    }
    runtime()?.block_on(async {
        let instance = Instance::start(plan).await?;
        greet(&instance);
        until(instance, interrupted()).await
    })
}

/// Runs an instance until `stop` resolves or it fails, then takes it down.
pub(crate) async fn until(mut instance: Instance, stop: impl Future<Output = ()>) -> Result<(), Failure> {
    let failed = tokio::select! {
        () = stop => None,
        failure = instance.failed() => Some(failure),
    };
    let stopped = instance.stop().await;
    match failed {
        Some(failure) => Err(failure),
        None => stopped,
    }
}

fn greet(instance: &Instance) {
    let endpoints = instance.endpoints;
    println!("gridtally {}", env!("CARGO_PKG_VERSION"));
    println!("  MQTT    {}   QoS 1: PUBACK means synced", endpoints.mqtt);
    if let Some(tls) = endpoints.mqtt_tls {
        println!("  MQTT    {tls}   the same with TLS");
    }
    let server = instance.url();
    println!("  page    {server}/");
    println!("  API     {server}/docs");
    if let Some(pg) = endpoints.pg {
        println!(
            "  SQL     psql -h {} -p {} -d gridtally   ({})",
            pg.ip(),
            pg.port(),
            instance.pg_access()
        );
    }
    if let (Some(flight), Some(how)) = (endpoints.flight, instance.flight_access()) {
        println!(
            "  Flight  {}://{flight}   (Arrow Flight SQL; {})",
            how.scheme, how.access
        );
    }
    println!("  data    {}", instance.data_dir().display());
    if instance.access_is_open() {
        let reach = if endpoints.http.ip().is_loopback() {
            "loopback only"
        } else {
            "http.open is set"
        };
        println!("  access is open: {reach}, callers are not authenticated");
    } else {
        println!("  access  by key or token (access.*): every route but those for health and the public");
    }
    println!("next: gridtally import FOLDER --server {server}");
}

/// Imports files into the data folder itself, and publishes them.
pub(crate) fn import_offline(args: &ConfigArgs, inputs: &[Input]) -> Result<Vec<Value>, Failure> {
    let config = load(args)?;
    let plan = Plan::of(&config)?;
    trace::start(&config)?;
    runtime()?.block_on(instance::import_offline(&plan, inputs))
}
