//! Ad-hoc SQL over the published tables, each query in a process of its own.
//!
//! Promises (SQL-1): no query can write, read a file, or see outside the tables. A statement is parsed and held against an
//! allow-list (`allow`) before a process is started and once more inside it; the process has no functions that
//! reach a file or an address, and a planner that refuses everything but reading.
//!
//! A query ends when it is done, when its deadline passes, when its memory limit is exceeded, or when its client goes: in
//! the last three cases its process is killed, which cancelling inside this process cannot promise. At most
//! [`SqlConfig::workers_max`] run at a time, and of one caller [`SqlConfig::workers_per_caller`]; further ones wait for a bounded time and are then
//! refused. What they take of the processors from ingest and dashboards has a bound, too (`allowance`). While questions come, a few processes are started ahead (`warm`): each still answers one question and is gone.
//!
//! Results stream with bounded memory: a few frames of some hundred kilobytes wait between the process and the client.
//!
//! SQL names: `{table}` is the newest version per key, `{table}_history` every version, `table_columns` what each column
//! says, and `information_schema` is there (`SHOW TABLES`, `DESCRIBE interval_reads`). `{table}_as_of('2026-05-01T00:00:00+05:30')`
//! is exactly what stood published then; of `nodes`, `meters` and `connections` it is the picture of the network at that time, with
//! a second instant as it was known at that one. Beside the tables there are the views of [`gridtally_engine::view`].

use std::{
    num::NonZeroUsize,
    path::PathBuf,
    sync::{Arc, OnceLock},
    time::Duration,
};

use allowance::{Allowance, Purse};
use bytes::{Bytes, BytesMut};
use encode::{Encoder, Tail};
use futures::{Stream, StreamExt, stream::BoxStream};
use gridtally_schemas::{
    Clock, NodeId,
    time::{UtcMicros, Zone},
};
use process::{Frames, Worker};
use protocol::{AreaOf, Failure, Frame, Request};
use share::{Share, Shares};
use warm::{Keeper, Over, Warm};

use crate::access::{Caller, Need};

pub use allow::Refused;
pub(crate) use allow::{STATEMENT_BYTES_MAX, check, check_statement_of_postgres};
pub(crate) use answer::Answer;
pub(crate) use audit::Audit;
pub(crate) use encode::push_csv;
pub(crate) use pieces::{Piece, Pieces};
pub(crate) use protocol::{Ask, Beyond, Given, Parameter};
pub use protocol::{FailureKind, Place};
pub(crate) use rows::{Rows, plain};

mod allow;
mod allowance;
mod answer;
mod area;
mod as_of;
mod audit;
pub(crate) mod catalog;
mod definition;
mod encode;
mod pieces;
pub(crate) mod postgres;
mod process;
mod protocol;
mod rows;
mod share;
mod warm;
pub mod worker;
mod zoned;

#[cfg(test)]
mod tests;

/// How long a query waits for a free worker before it is refused.
pub const WAIT_MAX: Duration = Duration::from_secs(10);
/// Queries that may wait for a worker at a time, for each worker there is.
pub const WAITING_PER_WORKER: usize = 8;

/// A result as CSV or Arrow that is shorter is sent once it is whole, so that what goes wrong until then is said by a problem, bytes.
const HELD_BYTES: usize = 256 << 10;

/// Settings of ad-hoc SQL.
#[derive(Debug, Clone)]
pub struct SqlConfig {
    /// The program that runs [`worker::run`] on its standard streams.
    pub worker_exe: PathBuf,
    /// Its arguments.
    pub worker_args: Vec<String>,
    /// The folder of the tables.
    pub tables_root: PathBuf,
    /// Memory of one query's operators, bytes; beyond it they spill to disk or fail. Its process may use twice that and
    /// 512 MiB in all before it is killed.
    pub memory_bytes: usize,
    /// Rows of one result. In JSON the rest is cut off and the result says so; in forms that cannot say it the result breaks off.
    pub rows_max: usize,
    /// Time from the start of its process until a query is killed.
    pub deadline: Duration,
    /// Queries that run at a time.
    pub workers_max: usize,
    /// Of these, queries of one known caller.
    pub workers_per_caller: usize,
    /// Workers that are started ahead ([`Sql::start_ahead`]); 0: none.
    pub workers_warm: usize,
    /// The zone in which results show times and in which a time without offset is meant.
    pub zone: Zone,
}

/// What a result is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `{"columns":[{"name","type"}],"rows":[[…]],"published_at","truncated","rows_max","deadline_seconds"}`.
    Json,
    /// CSV with a header.
    Csv,
    /// An Arrow IPC stream.
    Arrow,
}

impl Format {
    /// The media type.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Csv => "text/csv; charset=utf-8",
            Self::Arrow => "application/vnd.apache.arrow.stream",
        }
    }
}

/// Why a query has no result, or its result broke off.
#[derive(Debug, thiserror::Error)]
pub enum SqlError {
    /// The statement is not one that may run. The caller's fault.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The query cannot be planned or failed while it ran. The caller's fault unless the kind says otherwise.
    #[error("{message}")]
    Query {
        /// What kind of failure.
        kind: FailureKind,
        /// For people.
        message: String,
        /// Its code and place.
        place: Place,
    },
    /// All workers are busy. Worth trying again later.
    #[error("too many queries: {workers_max} are running and others are waiting; try again later")]
    Busy {
        /// Queries that may run at a time.
        workers_max: usize,
    },
    /// The caller has as many workers as it may have. Worth trying again when one of its other queries is over.
    #[error(
        "too many queries: {workers} of yours are running, as many as one caller may have; try again when one is over"
    )]
    Share {
        /// Queries of one caller that may run at a time.
        workers: usize,
    },
    /// The deadline passed and the query was killed.
    #[error("the query was stopped: it took longer than {} s", deadline.as_secs())]
    Deadline {
        /// The time it had.
        deadline: Duration,
    },
    /// Its process grew too large and was killed.
    #[error("the query was stopped: its process used more than {bytes_max} bytes of memory")]
    Memory {
        /// The limit of the whole process.
        bytes_max: u64,
    },
    /// A result that is cut off would be taken for a whole one where its form cannot say so: it is an error instead.
    #[error(
        "the result has more than {rows_max} rows (sql.rows_max); aggregate, or set a LIMIT; the operator may raise sql.rows_max"
    )]
    TooManyRows {
        /// Rows that a result may have.
        rows_max: usize,
    },
    /// The worker could not be started.
    #[error("the SQL worker {} could not be started", exe.display())]
    Start {
        /// The program.
        exe: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The worker ended, or said something that it should not, in the middle of an answer.
    #[error("the SQL worker broke off: {what}")]
    Broken {
        /// What happened.
        what: String,
    },
}

impl From<Failure> for SqlError {
    fn from(failure: Failure) -> Self {
        Self::Query {
            kind: failure.kind,
            message: failure.message,
            place: failure.place,
        }
    }
}

impl SqlError {
    /// Whether another query, rather than another attempt, is what helps.
    #[must_use]
    pub const fn is_callers_fault(&self) -> bool {
        match self {
            Self::Refused(_) | Self::Deadline { .. } | Self::Memory { .. } | Self::TooManyRows { .. } => true,
            Self::Query { kind, .. } => match kind {
                FailureKind::Plan | FailureKind::Execution | FailureKind::Memory => true,
                FailureKind::Internal => false,
            },
            Self::Busy { .. } | Self::Share { .. } | Self::Start { .. } | Self::Broken { .. } => false,
        }
    }
}

/// A caller without a role for SQL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{who}` has no role for SQL; needed is {needed}")]
pub struct NoRole {
    who: String,
    needed: String,
}

/// The front of ad-hoc SQL. Clones share the workers.
#[derive(Debug, Clone)]
pub struct Sql {
    inner: Arc<Inner>,
    /// On whose behalf, as the audit calls it; empty: nobody knows.
    who: Arc<str>,
    /// The node whose rows and those below it are all that there is, and the clock by which the network stands; `None`: everything.
    area: Option<(NodeId, Clock)>,
}

#[derive(Debug)]
struct Inner {
    config: SqlConfig,
    /// The workers of all callers.
    all: Arc<Share>,
    shares: Shares,
    warm: Arc<Warm>,
    keeper: OnceLock<Keeper>,
}

impl Sql {
    /// A front with no worker running.
    #[must_use]
    pub fn new(config: SqlConfig) -> Self {
        let workers = config.workers_max.max(1);
        let processors = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let processors = u32::try_from(processors).unwrap_or(u32::MAX);
        Self {
            inner: Arc::new(Inner {
                all: Arc::new(Share::new(
                    workers,
                    Allowance::of_all(processors, tokio::time::Instant::now()),
                )),
                shares: Shares::new(config.workers_per_caller.clamp(1, workers), processors),
                warm: Arc::new(Warm::new(config.workers_warm)),
                keeper: OnceLock::new(),
                config,
            }),
            who: Arc::from(""),
            area: None,
        }
    }

    /// Has workers started ahead while questions come, by a task on the runtime of the caller, and removes what a killed process left of its spill
    /// files.
    pub fn start_ahead(&self) {
        let folder = std::env::temp_dir();
        tokio::task::spawn_blocking(move || process::remove_leftovers(&folder));
        if self.inner.config.workers_warm > 0 {
            self.inner.keeper.get_or_init(|| {
                Keeper::start(
                    self.inner.config.clone(),
                    Arc::clone(&self.inner.warm),
                    Arc::clone(&self.inner.all),
                )
            });
        }
    }

    /// The same workers on a caller's behalf: what it may not see is not there, whatever is asked by whichever surface. Every surface asks
    /// by what this gives.
    ///
    /// # Errors
    /// The caller has no role for SQL; the text says which would do.
    pub fn on_behalf_of(&self, caller: &Caller, clock: &Clock) -> Result<Self, NoRole> {
        if !caller.may(Need::Sql) {
            return Err(NoRole {
                who: caller.name().to_owned(),
                needed: Need::Sql.in_words(),
            });
        }
        Ok(Self {
            inner: Arc::clone(&self.inner),
            who: Arc::from(caller.name()),
            area: caller.area().map(|node| (node.clone(), clock.clone())),
        })
    }

    /// For statements of the routes' own, whose answers lie within what the caller may see; the audit names the caller.
    pub(crate) fn named(&self, caller: &Caller) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            who: Arc::from(caller.name()),
            area: None,
        }
    }

    /// What a worker is asked, with all that it needs to know of the caller.
    fn request(&self, statement: &str) -> Request {
        Request {
            area: self.area.as_ref().map(|(node, clock)| AreaOf {
                node: node.to_string(),
                at: clock.now().0,
            }),
            ..Request::new(&self.inner.config, statement)
        }
    }

    /// The settings.
    #[must_use]
    pub fn config(&self) -> &SqlConfig {
        &self.inner.config
    }

    /// Queries running now.
    #[must_use]
    pub fn running(&self) -> usize {
        self.inner.all.running()
    }

    /// Queries that wait for a worker to come free.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.inner.all.waiting()
    }

    /// Workers that were started ahead and wait for a question.
    #[must_use]
    pub fn warm(&self) -> usize {
        self.inner.warm.len()
    }

    /// Runs one statement. Returns once the first rows are there (of CSV and Arrow some more), so that a query that cannot be planned is an error here
    /// and not in the stream. `published_at` says how old the tables are, for [`Format::Json`].
    ///
    /// # Errors
    /// [`SqlError`]; the stream may break off with one too.
    pub async fn query(
        &self,
        statement: &str,
        format: Format,
        published_at: Option<UtcMicros>,
    ) -> Result<SqlStream, SqlError> {
        self.query_with((statement, Vec::new()), format, published_at)
            .await
    }

    /// The same of a statement with values for `$1` and further.
    pub(crate) async fn query_with(
        &self,
        (statement, parameters): (&str, Vec<Parameter>),
        format: Format,
        published_at: Option<UtcMicros>,
    ) -> Result<SqlStream, SqlError> {
        let mut audit = Audit::new("http", &self.who, statement);
        let config = &self.inner.config;
        let begun = async {
            allow::check(statement)?;
            let beyond = (!parameters.is_empty()).then_some(Beyond {
                describe: false,
                parameters,
                piece_bytes: worker::PIECE_BYTES,
            });
            let request = Request {
                common: beyond,
                ..self.request(statement)
            };
            self.start(request, config.deadline).await
        };
        let frames = begun.await.inspect_err(|error| audit.failed(error))?;
        let tail = Tail {
            published_at,
            rows_max: config.rows_max,
            deadline: config.deadline,
        };
        let encoder = Encoder::new(format, config.zone.clone(), tail);
        let mut parts = Parts {
            frames,
            encoder,
            audit,
        };
        let first = parts.first().await?;
        Ok(SqlStream::new(format, first, parts))
    }

    /// Runs or describes one statement of a client of PostgreSQL, whose text was held against the allow-list. It has `deadline` at most, and
    /// shows times in `zone`.
    pub(crate) async fn answer(
        &self,
        text: &str,
        ask: Ask,
        limits: (&Zone, Option<Duration>),
    ) -> Result<Answer, SqlError> {
        let config = &self.inner.config;
        let (zone, deadline) = limits;
        let request = Request {
            zone: zone.name().to_owned(),
            postgres: Some(ask),
            ..self.request(text)
        };
        let deadline = deadline.map_or(config.deadline, |deadline| deadline.min(config.deadline));
        Ok(Answer::new(self.start(request, deadline).await?))
    }

    /// Describes one statement in the common dialect: its columns, and the types of its parameters.
    pub(crate) async fn describe(
        &self,
        statement: &str,
        parameters: Vec<Parameter>,
    ) -> Result<Answer, SqlError> {
        let beyond = Beyond {
            describe: true,
            parameters,
            ..Beyond::default()
        };
        Ok(Answer::new(self.common(statement, beyond).await?))
    }

    /// Runs one statement in the common dialect; its result is not read here, but handed on as its worker writes it.
    pub(crate) async fn pieces(
        &self,
        statement: &str,
        parameters: Vec<Parameter>,
        piece_bytes: usize,
    ) -> Result<Pieces, SqlError> {
        let beyond = Beyond {
            describe: false,
            parameters,
            piece_bytes,
        };
        Ok(Pieces::new(self.common(statement, beyond).await?))
    }

    async fn common(&self, statement: &str, beyond: Beyond) -> Result<Frames, SqlError> {
        allow::check(statement)?;
        let config = &self.inner.config;
        let request = Request {
            common: Some(beyond),
            ..self.request(statement)
        };
        self.start(request, config.deadline).await
    }

    /// Has a worker answer as soon as one may run: one that was started ahead, or a new one.
    async fn start(&self, request: Request, deadline: Duration) -> Result<Frames, SqlError> {
        let config = &self.inner.config;
        let refused_at = tokio::time::Instant::now() + WAIT_MAX.min(deadline);
        let share = match self.inner.shares.of(&self.who) {
            Some(share) => Some(share.hold(refused_at).await.ok_or_else(|| SqlError::Share {
                workers: self.inner.shares.workers(),
            })?),
            None => None,
        };
        // After the share: what waits for that one is not in the way of others.
        let of_all = Arc::clone(&self.inner.all).hold(refused_at).await;
        let of_all = of_all.ok_or(SqlError::Busy {
            workers_max: config.workers_max,
        })?;
        let over = Over(Arc::clone(&self.inner.warm));
        let purse = Purse {
            of_all: Arc::clone(self.inner.all.allowance()),
            of_one: share.as_ref().map(|held| Arc::clone(held.allowance())),
        };
        let worker = Worker::start(config, &request, (deadline, purse), self.inner.warm.take()).await?;
        Ok(worker.pump((of_all, share, over)))
    }
}

/// A result, part by part. Dropping it kills the query.
pub struct SqlStream {
    format: Format,
    parts: BoxStream<'static, Result<Bytes, SqlError>>,
}

impl std::fmt::Debug for SqlStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqlStream")
            .field("format", &self.format)
            .finish_non_exhaustive()
    }
}

impl SqlStream {
    fn new(format: Format, first: Option<Bytes>, parts: Parts) -> Self {
        let rest = futures::stream::try_unfold(parts, |mut parts| async move {
            let part = parts.next().await?;
            Ok(part.map(|part| (part, parts)))
        });
        let first = futures::stream::iter(first.map(Ok));
        Self {
            format,
            parts: first.chain(rest).boxed(),
        }
    }

    /// The media type of the parts.
    #[must_use]
    pub const fn media_type(&self) -> &'static str {
        self.format.media_type()
    }
}

impl Stream for SqlStream {
    type Item = Result<Bytes, SqlError>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        self.parts.poll_next_unpin(context)
    }
}

/// The parts of a result as they are written.
struct Parts {
    frames: Frames,
    encoder: Encoder,
    audit: Audit,
}

impl Parts {
    /// What is sent first: of a form that cannot say that rows were cut off as much as may still turn out too long before anything is sent.
    async fn first(&mut self) -> Result<Option<Bytes>, SqlError> {
        let Some(first) = self.next().await? else {
            return Ok(None);
        };
        if self.encoder.says_truncated() {
            return Ok(Some(first));
        }
        let mut held = BytesMut::from(first);
        while held.len() < HELD_BYTES
            && let Some(part) = self.next().await?
        {
            held.extend_from_slice(&part);
        }
        Ok(Some(held.freeze()))
    }

    /// The next non-empty part; `None` after the end.
    async fn next(&mut self) -> Result<Option<Bytes>, SqlError> {
        let part = self
            .written()
            .await
            .inspect_err(|error| self.audit.failed(error))?;
        let bytes = part.as_ref().map_or(0, Bytes::len);
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.audit.bytes = self.audit.bytes.saturating_add(bytes);
        Ok(part)
    }

    async fn written(&mut self) -> Result<Option<Bytes>, SqlError> {
        while !self.encoder.is_finished() {
            let part = match self.frames.next().await? {
                Frame::Data(bytes) => self.encoder.data(bytes)?,
                Frame::Done(done) => {
                    self.audit.rows = u64::try_from(done.rows).unwrap_or(u64::MAX);
                    if done.truncated && !self.encoder.says_truncated() {
                        let rows_max = done.rows;
                        return Err(SqlError::TooManyRows { rows_max });
                    }
                    self.audit.done();
                    self.encoder.finish(done)?
                }
                Frame::Failed(failure) => return Err(failure.into()),
                Frame::Parameters(_) => {
                    return Err(SqlError::Broken {
                        what: "it described what it should run".to_owned(),
                    });
                }
            };
            if !part.is_empty() {
                return Ok(Some(part));
            }
        }
        Ok(None)
    }
}
