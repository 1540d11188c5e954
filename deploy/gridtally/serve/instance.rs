//! A running instance: its parts in data order, and their end in the same order.
//!
//! Start: tables, log, engine (recovery), then the ways in. End: the ways in (pending acknowledgements are sent), the engine (applies the
//! rest of the log and publishes), the API, and last the log.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use gridtally_api::{
    ApiSettings, ApiState, PgSettings,
    sql::Sql,
    webhook::{CompensationNotices, Follows, OutageNotices, Source, Webhooks},
};
use gridtally_engine::{Engine, tables::Tables};
use gridtally_ingest::{
    files::{self, FileParts, Format},
    gate::Gate,
    log::Log,
    metrics::IngestMetrics,
    mqtt::{self, Entrances},
    subscribe,
    tls::Tls,
};
use serde_json::Value;
use tokio::{
    net::{TcpListener, TcpSocket},
    runtime::Runtime,
    sync::watch,
    task::{JoinHandle, JoinSet},
};

use super::{Plan, SHUTDOWN_SECONDS, flight};
use crate::{endpoints::Endpoints, exit::Failure, import::Input};

/// Log and engine, without any way in.
#[derive(Debug)]
struct Core {
    log: Arc<Log>,
    engine: Arc<Engine>,
    tables_root: PathBuf,
}

impl Core {
    async fn start(plan: &Plan) -> Result<Self, Failure> {
        std::fs::create_dir_all(&plan.data_dir).map_err(|source| {
            Failure::work(format!("{} cannot be created", plan.data_dir.display()), source)
        })?;
        let tables_root = plan.data_dir.join("tables");
        let tables = Tables::open(&tables_root).await.map_err(|source| {
            Failure::work(
                format!("tables in {} cannot be opened", tables_root.display()),
                source,
            )
        })?;
        let newest = Engine::newest_position(&tables)
            .await
            .map_err(|source| Failure::work("tables cannot be read", source))?;
        let log = Log::open(plan.log.clone(), newest)
            .map_err(|source| Failure::work("the log cannot be opened", source))?;
        let log = Arc::new(log);
        let mut config = plan.engine.clone();
        config.settings.cold_file = Some(plan.data_dir.join("cold-values"));
        let engine = Engine::start(config, Arc::clone(&log), tables, plan.clock.clone())
            .await
            .map_err(|source| Failure::work("the engine cannot be started", source))?;
        Ok(Self {
            log,
            engine: Arc::new(engine),
            tables_root,
        })
    }
}

/// A running instance.
#[derive(Debug)]
pub(crate) struct Instance {
    core: Core,
    data_dir: PathBuf,
    /// Where it listens.
    pub(crate) endpoints: Endpoints,
    /// `http`, or with TLS `https`.
    scheme: &'static str,
    end_ingest: watch::Sender<bool>,
    end_http: watch::Sender<bool>,
    ingest: JoinSet<Result<(), Failure>>,
    http: JoinHandle<Result<(), Failure>>,
    /// PostgreSQL's protocol.
    pg: JoinHandle<Result<(), Failure>>,
    /// Who may ask by it.
    pg_access: &'static str,
    /// Arrow Flight SQL.
    flight: JoinHandle<Result<(), Failure>>,
    /// How it is spoken to; `None`: off.
    flight_access: Option<flight::Spoken>,
    /// Whether anybody may ask by HTTP.
    access_is_open: bool,
    /// Telling the receivers of notices.
    notices: JoinSet<()>,
    _http_threads: Threads,
}

/// A runtime of its own. HTTP has one: meters that publish at full rate keep the threads of the other busy, and a tile that waits for its
/// turn among them is late.
#[derive(Debug)]
struct Threads(Option<Runtime>);

impl Drop for Threads {
    fn drop(&mut self) {
        // A runtime must not end by being dropped within another.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

async fn told(mut end: watch::Receiver<bool>) {
    // An error means that the instance itself is gone: an end as well.
    let _ = end.wait_for(|end| *end).await;
}

/// Connections that the system may hold until they are accepted (net.core.somaxconn bounds it too). A SYN that finds the queue
/// full is dropped and comes again after a second: with the usual 128, a city of meters that returns together took a minute for
/// 10,000 connections.
const BACKLOG: u32 = 4_096;

fn bind(address: SocketAddr, what: &str) -> Result<TcpListener, Failure> {
    let listen = || {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4(),
            SocketAddr::V6(_) => TcpSocket::new_v6(),
        }?;
        // What is still closing from before a restart does not hinder; as TcpListener::bind has it.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    listen()
        .map_err(|source: std::io::Error| Failure::work(format!("{what} cannot listen on {address}"), source))
}

fn local(listener: &TcpListener) -> Result<SocketAddr, Failure> {
    listener
        .local_addr()
        .map_err(|source| Failure::work("a listener has no address", source))
}

/// A listener that may be off, on the runtime that serves it, with its settings.
fn bound<S: Clone>(
    runtime: &Runtime,
    plan: Option<(SocketAddr, &S)>,
    what: &str,
) -> Result<Option<(TcpListener, S)>, Failure> {
    let _on = runtime.enter();
    plan.map(|(address, settings)| Ok((bind(address, what)?, settings.clone())))
        .transpose()
}

fn local_if<S>(listener: Option<&(TcpListener, S)>) -> Result<Option<SocketAddr>, Failure> {
    listener.map(|(listener, _)| local(listener)).transpose()
}

impl Instance {
    /// Recovers and starts everything; returns when it listens.
    pub(crate) async fn start(plan: Plan) -> Result<Self, Failure> {
        let core = Core::start(&plan).await?;
        let http_runtime = super::runtime_named("http")?;
        let entrances = entrances(&plan)?;
        let http_listener = {
            let _on = http_runtime.enter();
            bind(plan.http.listen, "HTTP")?
        };
        let pg = plan.pg.as_ref().map(|pg| (pg.listen, &pg.settings));
        let pg_listener = bound(&http_runtime, pg, "PostgreSQL's protocol (pg.listen)")?;
        let of_flight = plan
            .flight
            .as_ref()
            .map(|flight| (flight.listen, &flight.settings));
        let flight_listener = bound(&http_runtime, of_flight, "Flight SQL (flight.listen)")?;
        let endpoints = Endpoints {
            mqtt: local(&entrances.plain)?,
            mqtt_tls: entrances
                .tls
                .as_ref()
                .map(|(listener, _)| local(listener))
                .transpose()?,
            http: local(&http_listener)?,
            pg: local_if(pg_listener.as_ref())?,
            flight: local_if(flight_listener.as_ref())?,
        };
        let flight_access = plan.flight.as_ref().map(flight::FlightPlan::spoken);
        let pg_access = access(pg_listener.as_ref().map(|(_, settings)| settings));
        let metrics = Arc::new(IngestMetrics::default());
        let (end_ingest, ending) = watch::channel(false);
        let ingest = ways_in(&plan, &core, (entrances, &metrics), &ending);
        let (end_http, ending) = watch::channel(false);
        let mut notices = JoinSet::new();
        let webhooks = webhooks(&plan, &core, (&mut notices, &ending))?;
        let access_is_open = plan.access.is_open();
        let state = api_state(&plan, &core, metrics, webhooks)?;
        {
            let _on = http_runtime.enter();
            state.sql.start_ahead();
        }
        let pg = http_runtime.spawn(serve_pg(pg_listener, state.sql.clone(), ending.clone()));
        let flight = flight::serve(flight_listener, state.sql.clone(), told(ending.clone()));
        let flight = http_runtime.spawn(flight);
        let http = http_runtime.spawn(async move {
            let ended = gridtally_api::serve(http_listener, state, told(ending)).await;
            ended.map_err(|source| Failure::work("the API ended", source))
        });
        endpoints.write(&plan.data_dir)?;
        announce(&endpoints, pg_access, flight_access);
        tracing::info!(mqtt = %endpoints.mqtt, http = %endpoints.http, data_dir = %plan.data_dir.display(), "ready");
        Ok(Self {
            core,
            data_dir: plan.data_dir,
            endpoints,
            scheme: if plan.http.tls.is_some() { "https" } else { "http" },
            end_ingest,
            end_http,
            ingest,
            http,
            pg,
            pg_access,
            flight,
            flight_access,
            access_is_open,
            notices,
            _http_threads: Threads(Some(http_runtime)),
        })
    }

    /// Folder of log and tables.
    pub(crate) fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// Where API and page are.
    pub(crate) fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.endpoints.http)
    }

    /// Who may ask by PostgreSQL's protocol.
    pub(crate) const fn pg_access(&self) -> &'static str {
        self.pg_access
    }

    /// How Flight SQL is spoken to; `None`: off.
    pub(crate) const fn flight_access(&self) -> Option<flight::Spoken> {
        self.flight_access
    }

    /// Whether anybody may ask by HTTP.
    pub(crate) const fn access_is_open(&self) -> bool {
        self.access_is_open
    }

    /// Resolves when a part has failed, with why.
    pub(crate) async fn failed(&mut self) -> Failure {
        let log = self.core.engine.ended();
        tokio::select! {
            cause = log => match self.core.log.failure() {
                Some(failure) => Failure::Storage { what: failure.to_string(), source: None },
                None => engine_failure(cause.as_deref()),
            },
            failure = log_failure(&self.core.log) => failure,
            Some(ended) = self.ingest.join_next() => part_failure(ended, "a way in"),
            ended = &mut self.http => part_failure(ended, "the API"),
            ended = &mut self.pg => part_failure(ended, "PostgreSQL's protocol"),
            ended = &mut self.flight => part_failure(ended, "Flight SQL"),
        }
    }

    /// Ends everything in data order, within [`SHUTDOWN_SECONDS`].
    pub(crate) async fn stop(self) -> Result<(), Failure> {
        let Self {
            core,
            end_ingest,
            end_http,
            mut ingest,
            http,
            pg,
            flight,
            mut notices,
            ..
        } = self;
        let pending = std::sync::Mutex::new("MQTT connections");
        let at = |what: &'static str| {
            if let Ok(mut pending) = pending.lock() {
                *pending = what;
            }
            tracing::info!(what, "ending");
        };
        let ending = async {
            at("MQTT connections");
            end_ingest.send_replace(true);
            while ingest.join_next().await.is_some() {}
            at("engine and tables");
            let stopped = core.engine.stop().await;
            at("HTTP connections");
            end_http.send_replace(true);
            // A task that failed before was reported by whoever asked for the end.
            let _ = http.await;
            at("PostgreSQL connections");
            let _ = pg.await;
            at("Flight SQL connections");
            let _ = flight.await;
            at("webhooks");
            while notices.join_next().await.is_some() {}
            stopped.map_err(|source| {
                Failure::work(
                    "the last checkpoint failed; the log has it all, and the next start goes on there",
                    source,
                )
            })
        };
        match tokio::time::timeout(Duration::from_secs(SHUTDOWN_SECONDS), ending).await {
            Ok(stopped) => stopped.map(|_| tracing::info!("ended")),
            Err(_) => {
                let pending = pending.lock().map_or("unknown", |pending| *pending);
                Err(Failure::Deadline {
                    seconds: SHUTDOWN_SECONDS,
                    pending: pending.to_owned(),
                })
            }
        }
    }
}

/// Where meters come in.
fn entrances(plan: &Plan) -> Result<Entrances, Failure> {
    let with_tls = |(address, tls): &(SocketAddr, Tls)| -> Result<(TcpListener, Tls), Failure> {
        let listener = bind(*address, "MQTT with TLS (mqtt.tls_listen)")?;
        Ok((listener, tls.clone()))
    };
    Ok(Entrances {
        plain: bind(plan.mqtt.listen, "MQTT")?,
        tls: plan.mqtt.tls.as_ref().map(with_tls).transpose()?,
    })
}

/// Says where SQL is spoken, and by whom.
fn announce(endpoints: &Endpoints, pg_access: &str, flight_access: Option<flight::Spoken>) {
    if let Some(pg) = endpoints.pg {
        tracing::info!(pg = %pg, access = pg_access, "SQL by PostgreSQL's protocol");
    }
    if let (Some(flight), Some(how)) = (endpoints.flight, flight_access) {
        tracing::info!(flight = %flight, access = how.access, scheme = how.scheme, "SQL by Arrow Flight SQL");
    }
}

/// Who may ask by PostgreSQL's protocol.
fn access(settings: Option<&PgSettings>) -> &'static str {
    match settings {
        Some(settings) if settings.users.is_empty() => "open: any user, no password",
        Some(_) => "SCRAM-SHA-256",
        None => "off",
    }
}

/// Serves PostgreSQL's protocol until `ending`; where it is off it only waits.
async fn serve_pg(
    listener: Option<(TcpListener, PgSettings)>,
    sql: Sql,
    ending: watch::Receiver<bool>,
) -> Result<(), Failure> {
    match listener {
        Some((listener, settings)) => gridtally_api::serve_pg(listener, sql, settings, told(ending))
            .await
            .map_err(|source| Failure::work("PostgreSQL's protocol ended", source)),
        None => {
            told(ending).await;
            Ok(())
        }
    }
}

/// Starts the MQTT endpoint and, where there is a broker to read from, the subscriber.
fn ways_in(
    plan: &Plan,
    core: &Core,
    (entrances, metrics): (Entrances, &Arc<IngestMetrics>),
    ending: &watch::Receiver<bool>,
) -> JoinSet<Result<(), Failure>> {
    let gate = Gate {
        appender: core.log.appender(),
        clock: plan.clock.clone(),
        enrolment: Arc::new(plan.enrolment.clone()),
        metrics: Arc::clone(metrics),
    };
    let mut ingest = JoinSet::new();
    let (config, end, of_mqtt) = (plan.mqtt.config.clone(), told(ending.clone()), gate.clone());
    ingest.spawn(async move {
        let ended = mqtt::run(entrances, config, of_mqtt, end).await;
        ended.map_err(|source| Failure::work("the MQTT endpoint ended", source))
    });
    if let Some(config) = plan.subscribe.clone() {
        let end = told(ending.clone());
        ingest.spawn(async move {
            let ended = subscribe::run(config, gate, end).await;
            ended.map_err(|source| Failure::work("the subscriber ended", source))
        });
    }
    ingest
}

fn engine_failure(cause: Option<&gridtally_engine::EngineError>) -> Failure {
    match cause {
        Some(cause) if cause.is_storage() => Failure::Storage {
            what: crate::exit::chain(cause),
            source: None,
        },
        Some(cause) => Failure::Found(format!("the engine ended: {}", crate::exit::chain(cause))),
        None => Failure::Found("the engine ended".to_owned()),
    }
}

/// Resolves when the log is poisoned.
async fn log_failure(log: &Log) -> Failure {
    let mut synced = log.subscribe();
    loop {
        if let Some(failure) = log.failure() {
            return Failure::Storage {
                what: failure.to_string(),
                source: None,
            };
        }
        if synced.changed().await.is_err() {
            return Failure::Found("the log ended".to_owned());
        }
    }
}

fn part_failure(ended: Result<Result<(), Failure>, tokio::task::JoinError>, what: &str) -> Failure {
    match ended {
        Ok(Err(failure)) => failure,
        Ok(Ok(())) => Failure::Found(format!("{what} ended by itself")),
        Err(source) => Failure::work(format!("{what} failed"), source),
    }
}

/// Starts telling the receivers of notices.
fn webhooks(
    plan: &Plan,
    core: &Core,
    tasks: (&mut JoinSet<()>, &watch::Receiver<bool>),
) -> Result<Webhooks, Failure> {
    let source_of = |follows| -> Arc<dyn Source> {
        let (engine, teller) = (Arc::clone(&core.engine), plan.webhook_source.clone());
        match follows {
            Follows::Outages => Arc::new(OutageNotices::new(engine, teller)),
            Follows::Compensation => Arc::new(CompensationNotices::new(engine, teller)),
        }
    };
    Webhooks::start(plan.webhooks.clone(), source_of, &core.engine.changes(), tasks)
        .map_err(|source| Failure::work("webhooks cannot be started", source))
}

fn api_state(
    plan: &Plan,
    core: &Core,
    metrics: Arc<IngestMetrics>,
    webhooks: Webhooks,
) -> Result<ApiState, Failure> {
    let upload_dir = plan.data_dir.join("uploads");
    std::fs::create_dir_all(&upload_dir)
        .map_err(|source| Failure::work(format!("{} cannot be created", upload_dir.display()), source))?;
    let sql = Sql::new(plan.sql.front(core.tables_root.clone(), &plan.zone)?);
    Ok(ApiState {
        engine: Arc::clone(&core.engine),
        log: Arc::clone(&core.log),
        ingest: metrics,
        sql,
        clock: plan.clock.clone(),
        webhooks,
        settings: ApiSettings {
            import_bytes_max: plan.http.import_bytes_max,
            hosts: plan.http.hosts.clone(),
            tls: plan.http.tls.clone(),
            audit_share_pct: plan.audit_share_pct,
            upload_dir,
            access: plan.access.clone(),
            ..ApiSettings::default()
        },
    })
}

/// Imports files without any way in open, and publishes them.
pub(super) async fn import_offline(plan: &Plan, inputs: &[Input]) -> Result<Vec<Value>, Failure> {
    let core = Core::start(plan).await?;
    let appender = core.log.appender();
    let mut reports = Vec::new();
    for input in inputs {
        let wrap = |source| Failure::work(format!("{} cannot be imported", input.path.display()), source);
        let parquet = input
            .path
            .extension()
            .is_some_and(|extension| extension == "parquet");
        let format = if parquet { Format::Parquet } else { Format::Csv };
        let parts = FileParts::open(input.kind, format, &input.path)
            .map_err(|source| Failure::work(format!("{} cannot be read", input.path.display()), source))?;
        let report = files::import(parts, &appender, &plan.clock).await.map_err(wrap)?;
        let report = serde_json::to_value(&report)
            .map_err(|source| Failure::work("a report cannot be written", source))?;
        reports.push(report);
    }
    core.engine
        .stop()
        .await
        .map_err(|source| Failure::work("the files are in the log, and could not be published", source))?;
    Ok(reports)
}
