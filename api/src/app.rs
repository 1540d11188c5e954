//! What every route works with.

use std::{
    ops::Deref,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use gridtally_engine::{Engine, EngineError, Progress};
use gridtally_ingest::{
    log::{Log, Position},
    metrics::IngestMetrics,
    tls::Tls,
};
use gridtally_schemas::{Clock, Zone};
use tokio::sync::{Semaphore, watch};

use crate::{
    access::Access,
    problem::{self, Problem, causes},
    routes::stream::Hub,
    sql::Sql,
    traffic::Traffic,
    webhook::Webhooks,
};

/// Bounds of the API.
#[derive(Debug, Clone)]
pub struct ApiSettings {
    /// Largest file that `POST /import/{kind}` takes, bytes. Default 4 GiB.
    pub import_bytes_max: u64,
    /// Imports at a time; more are told to come again. Default 2.
    pub imports_max: usize,
    /// Folder of files while they are imported; they have no name there. Default: the system's.
    pub upload_dir: PathBuf,
    /// Open connections; more wait to be accepted. Default 1,024.
    pub connections_max: usize,
    /// Open event streams; more are told to come again. Default 256.
    pub streams_max: usize,
    /// Time for an answer, other than those of imports, checkpoints and SQL. Default 30 s.
    pub deadline: Duration,
    /// Names under which the API is reached beside addresses and `localhost`, such as a proxy's. Asked by any other name it does
    /// not answer: a page that rebinds its own name to this address would else read and write here.
    pub hosts: Vec<String>,
    /// Certificate and key; `None`: TLS is not spoken. With one, nothing else is.
    pub tls: Option<Tls>,
    /// Share of the consumers below a node that a commercial audit list holds, per cent. Default 10 (FRAMES).
    pub audit_share_pct: f64,
    /// Who may ask. Default: anybody.
    pub access: Access,
}

impl Default for ApiSettings {
    fn default() -> Self {
        Self {
            import_bytes_max: 4 << 30,
            imports_max: 2,
            upload_dir: std::env::temp_dir(),
            connections_max: 1_024,
            streams_max: 256,
            deadline: Duration::from_secs(30),
            hosts: Vec::new(),
            tls: None,
            audit_share_pct: 10.0,
            access: Access::default(),
        }
    }
}

/// What the API serves.
#[derive(Debug)]
pub struct ApiState {
    /// Live state.
    pub engine: Arc<Engine>,
    /// Where imports become durable.
    pub log: Arc<Log>,
    /// Counts of what arrived by MQTT.
    pub ingest: Arc<IngestMetrics>,
    /// Ad-hoc queries.
    pub sql: Sql,
    /// The configured clock.
    pub clock: Clock,
    /// Who is told of outages.
    pub webhooks: Webhooks,
    /// Bounds.
    pub settings: ApiSettings,
}

/// What every route works with.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) engine: Arc<Engine>,
    pub(crate) log: Arc<Log>,
    pub(crate) ingest: Arc<IngestMetrics>,
    pub(crate) sql: Sql,
    pub(crate) clock: Clock,
    pub(crate) zone: Zone,
    pub(crate) webhooks: Webhooks,
    pub(crate) settings: ApiSettings,
    pub(crate) traffic: Traffic,
    pub(crate) hub: Hub,
    pub(crate) imports: Semaphore,
    pub(crate) streams: Arc<Semaphore>,
    /// Whether all that the log held at the start is applied.
    is_caught_up: AtomicBool,
    /// Turns true when the server is to end.
    pub(crate) ending: watch::Receiver<bool>,
}

/// A handle on [`Parts`].
#[derive(Debug, Clone)]
pub(crate) struct App(Arc<Parts>);

impl App {
    pub(crate) fn new(state: ApiState, ending: watch::Receiver<bool>) -> Self {
        let zone = state.engine.read(|world| world.settings.zone.clone());
        let ApiState {
            engine,
            log,
            ingest,
            sql,
            clock,
            webhooks,
            settings,
        } = state;
        Self(Arc::new(Parts {
            engine,
            log,
            ingest,
            sql,
            zone,
            traffic: Traffic::default(),
            hub: Hub::new(clock.now()),
            imports: Semaphore::new(settings.imports_max),
            streams: Arc::new(Semaphore::new(settings.streams_max)),
            is_caught_up: AtomicBool::new(false),
            clock,
            webhooks,
            settings,
            ending,
        }))
    }
}

impl App {
    /// Writes a record to the log; answers when it is durable.
    pub(crate) async fn write(&self, record: &[u8]) -> Result<Position, Problem> {
        let appender = self.log.appender();
        let position = appender
            .append(record)
            .await
            .map_err(|error| Problem::unavailable(&error))?;
        appender
            .synced(position)
            .await
            .map_err(|error| Problem::unavailable(&error))?;
        Ok(position)
    }

    /// Writes a record to the log and waits until it shows in the fixed routes; `what` as for [`App::applied`]. Where it stands, and how far the
    /// routes are.
    pub(crate) async fn record(&self, record: &[u8], what: &str) -> Result<(Position, Progress), Problem> {
        let position = self.write(record).await?;
        Ok((position, self.applied(what).await?))
    }

    /// Waits, once after a start, until what the log held then is applied: what billing said before a crash counts before it is asked again.
    pub(crate) async fn caught_up(&self) -> Result<(), Problem> {
        if !self.is_caught_up.load(Ordering::Acquire) {
            self.applied("what was said before the start is").await?;
            self.is_caught_up.store(true, Ordering::Release);
        }
        Ok(())
    }

    /// Waits until what was just said shows in the fixed routes, whatever they still owe of what was said before; `what` begins the sentence
    /// that says so when the engine has ended: "the edits are".
    pub(crate) async fn applied(&self, what: &str) -> Result<Progress, Problem> {
        self.engine.taken_in().await.map_err(|error| ended(what, &error))
    }

    /// Waits until all that is durable shows in the fixed routes, days of the past that master data concern included.
    pub(crate) async fn complete(&self, what: &str) -> Result<Progress, Problem> {
        self.engine.applied().await.map_err(|error| ended(what, &error))
    }
}

fn ended(what: &str, error: &EngineError) -> Problem {
    let detail = format!(
        "{what} durable and will be applied, but the engine has ended: {}",
        causes(error)
    );
    Problem::new(problem::UNAVAILABLE, detail)
}

impl Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}
