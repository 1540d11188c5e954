//! The engine: a thread that applies the log, computes balances, and publishes.
//!
//! ```text
//! log ─ apply (write lock, 256 KiB at a time) ─ tick: gather (lock) ─ SQL (no lock) ─ settle (lock) ─▶ changes
//!                     └─ checkpoint: take what is due (lock) ─ commits, beside the ticks ─ cut the log
//! ```
//!
//! The engine only reads the log, live and at recovery by one path. Whatever fails ends it: the picture stays readable as it was,
//! [`Engine::failure`] says why, and a restart goes on from the last checkpoint.

use std::{
    collections::BTreeSet,
    ops::Range,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use arrow::error::ArrowError;
use gridtally_ingest::log::{Log, LogError, Position};
use gridtally_schemas::{Clock, Day, UtcMicros, record::RecordError};
use parking_lot::{RwLock, RwLockWriteGuard};
use tokio::sync::{mpsc, oneshot, watch};

use crate::{
    balance::BalanceError,
    network::NodeIx,
    outage::OutageId,
    state::ColdError,
    tables::{Effort, Tables},
    world::{
        Paged, Settings, World, compensation::EntryVersion, outage::OutageVersion, restore::RestoreError,
    },
};

mod changes;
pub(crate) mod checkpoint;
mod command;
mod drive;
mod history;
pub(crate) mod months;
pub(crate) mod paging;
mod quarantine;
mod rate;
pub(crate) mod recovery;
mod store;
mod suspicion;
#[cfg(test)]
mod tests;
mod upkeep;

pub use changes::{
    CHANGES_KEPT, Change, ChangeFeed, ChangeKind, INTERVALS_LISTED_MAX, Listening, OUTAGES_LISTED_MAX,
};
use command::Command;
use drive::Driver;
use history::HistoryReader;
use quarantine::QuarantineReader;
pub use quarantine::{Waiting, WaitingPage};
pub use store::{Store, StoreError};
pub use suspicion::{Suspicion, SuspicionSettings};
pub use upkeep::{Upkeep, Upkept};

/// How the engine runs.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// What the picture decides by.
    pub settings: Settings,
    /// How often balances are computed, at least. Default 1 s; longer while a tick takes longer.
    pub tick: Duration,
    /// How often what is due is published. Default 30 s.
    pub checkpoint: Duration,
    /// An outage of a DT or wider that nobody announced and that was never published is, once this has passed since the last checkpoint
    /// began, however far the next one is: rule 16(3) wants it told at once. `None` (default): nobody waits for that.
    pub notice: Option<Duration>,
    /// Published earlier when this many rows wait. Default 2,000,000.
    pub checkpoint_rows: usize,
    /// Most rows that wait for the tables: at that many the engine stops reading the log, which grows to its own bound and then
    /// refuses. Default 10,000,000.
    pub waiting_rows_max: usize,
    /// How the tables are kept in order beside the appends.
    pub upkeep: Upkeep,
    /// How past months are judged for suspicions.
    pub suspicion: SuspicionSettings,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            settings: Settings::default(),
            tick: Duration::from_secs(1),
            checkpoint: Duration::from_secs(30),
            notice: None,
            checkpoint_rows: 2_000_000,
            waiting_rows_max: 10_000_000,
            upkeep: Upkeep::default(),
            suspicion: SuspicionSettings::default(),
        }
    }
}

/// Why the engine could not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The log cannot be read or cut.
    #[error("engine cannot read the log")]
    Log(#[source] LogError),
    /// A record of the log cannot be applied.
    #[error("engine cannot apply log record {position}")]
    Record {
        /// The record.
        position: Position,
        /// Why.
        #[source]
        source: RecordError,
    },
    /// Balances could not be computed.
    #[error("engine cannot compute balances")]
    Balance(#[source] BalanceError),
    /// Rows do not fit their table.
    #[error("engine cannot build the rows of a checkpoint")]
    Rows(#[source] ArrowError),
    /// A commit failed.
    #[error("engine cannot commit to table {table}")]
    Commit {
        /// The table.
        table: &'static str,
        /// Why.
        #[source]
        source: StoreError,
    },
    /// A table cannot be read at recovery.
    #[error("engine cannot read table {table}")]
    Read {
        /// The table.
        table: &'static str,
        /// Why.
        #[source]
        source: StoreError,
    },
    /// A table holds what the engine never writes.
    #[error("engine cannot restore from the tables")]
    Restore(#[source] RestoreError),
    /// Somebody else has committed to a table.
    #[error(
        "table {table} was written by somebody else while this engine ran: one engine per data directory"
    )]
    ForeignWriter {
        /// The table.
        table: &'static str,
    },
    /// The thread could not be started.
    #[error("engine cannot start its thread")]
    Thread(#[source] std::io::Error),
    /// Values that wait on disk are not to be had: what would be computed would lack them.
    #[error(
        "engine cannot read back values that it had put away; they are in log and tables, and a start reads them from there"
    )]
    Cold(#[source] Arc<ColdError>),
    /// It panicked: a fault of the program.
    #[error("engine stopped at a fault of the program")]
    Panicked,
    /// It is not running any more.
    #[error("engine has ended")]
    Ended,
    /// It ended with this failure.
    #[error("engine has failed")]
    Failed(#[source] Arc<EngineError>),
}

impl EngineError {
    /// Whether the storage cannot be trusted any more (exit code 4), as opposed to a fault of program or data.
    #[must_use]
    pub fn is_storage(&self) -> bool {
        match self {
            Self::Log(_)
            | Self::Commit { .. }
            | Self::Read { .. }
            | Self::ForeignWriter { .. }
            | Self::Cold(_) => true,
            Self::Failed(source) => source.is_storage(),
            Self::Record { .. }
            | Self::Balance(_)
            | Self::Rows(_)
            | Self::Restore(_)
            | Self::Thread(_)
            | Self::Panicked
            | Self::Ended => false,
        }
    }
}

/// How far the engine has come.
#[derive(Debug, Default, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Progress {
    /// Last record that is durable in the log.
    pub log_position: Position,
    /// Last record of which the balances contain all that follows from it: what the fixed routes show. Records after it may show already.
    pub applied_position: Position,
    /// Last record of which the tables hold all that follows from it; rows of records after it may be there.
    pub published_position: Position,
    /// When that was published, by the configured clock; `None` before the first checkpoint.
    #[serde(skip)]
    pub published_at: Option<UtcMicros>,
    /// Interval reads applied, of all time.
    pub reads_applied: u64,
    /// Interval reads applied a second, over about the last 5 s.
    pub reads_per_second: f64,
    /// Feeder-intervals that wait to be computed.
    pub dirty_intervals: usize,
    /// Rows that wait to be published.
    pub waiting_rows: usize,
    /// Quarantined spans that wait for master data.
    pub held: usize,
    /// Memory of those of them that wait in memory, bytes.
    pub held_bytes: usize,
    /// Those of them that wait in the quarantine table alone.
    pub held_spilled: usize,
    /// (Meter, interval) cells in memory that hold a value.
    pub cells: u64,
    /// What was let go and what came back.
    #[serde(skip)]
    pub paged: Paged,
    /// How long the last page-in took, µs.
    #[serde(skip)]
    pub last_page_in_micros: u64,
    /// How long all page-ins took, µs.
    #[serde(skip)]
    pub page_in_micros: u64,
    /// Ticks so far.
    pub ticks: u64,
    /// How long the last tick took that computed something, µs.
    pub last_tick_micros: u64,
    /// Checkpoints written by this process.
    pub checkpoints: u64,
    /// How long the last checkpoint took, µs.
    pub last_checkpoint_micros: u64,
    /// What compaction and vacuum did.
    #[serde(skip)]
    pub upkeep: Upkept,
    /// What writing the tables has cost, as of the last checkpoint or pass of upkeep.
    #[serde(skip)]
    pub effort: Effort,
}

/// What the engine's thread and its readers share.
#[derive(Debug)]
struct Shared {
    world: RwLock<World>,
    progress: Mutex<Progress>,
    failure: OnceLock<Arc<EngineError>>,
    ended: watch::Sender<bool>,
    changes: ChangeFeed,
}

impl Shared {
    fn read<T>(&self, look: impl FnOnce(&World) -> T) -> T {
        look(&self.world.read())
    }

    /// Hands the lock to those who wait for it: the engine's thread asks for it again at once, and without that a reader would wait for as
    /// many parts of its work as win the race.
    fn change<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        let mut world = self.world.write();
        let outcome = change(&mut world);
        RwLockWriteGuard::unlock_fair(world);
        outcome
    }
}

/// A running engine. Dropping it ends its thread without a checkpoint.
#[derive(Debug)]
pub struct Engine {
    shared: Arc<Shared>,
    log: Arc<Log>,
    commands: mpsc::Sender<Command>,
    quarantine: QuarantineReader,
    history: HistoryReader,
}

/// Commands that may wait for the engine's thread.
const COMMANDS_WAITING_MAX: usize = 64;

impl Engine {
    /// Puts the picture back from the tables and starts the thread that goes on from there. Call it inside a tokio runtime: the
    /// commits run on it.
    ///
    /// # Errors
    /// [`EngineError`] when the tables or the log cannot be read.
    // Not generic, and so compiled here once instead of in every crate that starts an engine.
    pub async fn start(
        config: EngineConfig,
        log: Arc<Log>,
        tables: Tables,
        clock: Clock,
    ) -> Result<Self, EngineError> {
        Self::start_with(config, log, Arc::new(tables), clock).await
    }

    async fn start_with<S: Store>(
        config: EngineConfig,
        log: Arc<Log>,
        store: Arc<S>,
        clock: Clock,
    ) -> Result<Self, EngineError> {
        let begins = (log.begin(), clock.now());
        let recovered = Box::pin(recovery::recover(store.as_ref(), config.settings.clone(), begins)).await?;
        tracing::info!(
            applied = %recovered.world.applied(),
            feeder_days_out = recovered.world.paged().feeder_days_out,
            resident_peak_bytes = recovered.resident_peak,
            "the picture is put back"
        );
        let (commands, inbox) = mpsc::channel(COMMANDS_WAITING_MAX);
        let progress = Progress {
            log_position: log.end(),
            published_position: recovered.complete,
            published_at: recovered.published_at,
            ..Progress::default()
        };
        let shared = Arc::new(Shared {
            world: RwLock::new(recovered.world),
            progress: Mutex::new(progress),
            failure: OnceLock::new(),
            ended: watch::Sender::new(false),
            changes: ChangeFeed::default(),
        });
        let quarantine = QuarantineReader::new(Arc::clone(&store));
        let history = HistoryReader::new(Arc::clone(&store));
        let parts = drive::Parts {
            config,
            log: Arc::clone(&log),
            store,
            clock,
        };
        let driver = Driver::new(parts, Arc::clone(&shared), recovered.transactions, inbox)?;
        driver.spawn()?;
        Ok(Self {
            shared,
            log,
            commands,
            quarantine,
            history,
        })
    }

    /// Reads the live picture. The engine waits while `look` runs, so it should take milliseconds.
    pub fn read<T>(&self, look: impl FnOnce(&World) -> T) -> T {
        self.shared.read(look)
    }

    /// How far it has come.
    #[must_use]
    pub fn progress(&self) -> Progress {
        let progress = *self
            .shared
            .progress
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        Progress {
            log_position: self.log.end(),
            ..progress
        }
    }

    /// What changes.
    #[must_use]
    pub fn changes(&self) -> ChangeFeed {
        self.shared.changes.clone()
    }

    /// Applies and publishes everything up to the log's present end, open intervals and days that are owed included.
    ///
    /// # Errors
    /// [`EngineError`] when the engine ends before that.
    pub async fn checkpoint(&self) -> Result<Progress, EngineError> {
        self.command(|reply| Command::Checkpoint {
            through: self.log.end(),
            reply,
        })
        .await
    }

    /// Waits until everything up to the log's present end is applied and computed, save days that are owed ([`World::owed`]): what this
    /// record says itself shows then, unless it is a retroactive row of master data.
    ///
    /// # Errors
    /// [`EngineError`] when the engine ends before that.
    pub async fn taken_in(&self) -> Result<Progress, EngineError> {
        self.command(|reply| Command::TakeIn {
            through: self.log.end(),
            reply,
        })
        .await
    }

    /// Waits until the balances contain everything up to the log's present end, days that are owed included.
    ///
    /// # Errors
    /// [`EngineError`] when the engine ends before that.
    pub async fn applied(&self) -> Result<Progress, EngineError> {
        self.command(|reply| Command::Apply {
            through: self.log.end(),
            reply,
        })
        .await
    }

    /// Brings the balances of a node by interval into memory, day by day, so that the records that come meanwhile are applied in between.
    /// They may have been let go again when this returns, which a look at [`World::is_here`] tells.
    ///
    /// # Errors
    /// [`EngineError`] when the engine ends before that.
    pub async fn page_in(&self, node: NodeIx, span: Range<UtcMicros>) -> Result<(), EngineError> {
        while let Some(next) = self.read(|world| world.first_day_out(node, &span)) {
            let span = next.start.max(span.start)..next.end.min(span.end);
            self.command(|reply| Command::PageIn { node, span, reply })
                .await?;
        }
        Ok(())
    }

    /// What waits in quarantine, as last published.
    ///
    /// # Errors
    /// [`EngineError`] when the table cannot be read.
    pub async fn quarantined(&self, asked: &Waiting) -> Result<WaitingPage, EngineError> {
        self.quarantine.page(asked).await
    }

    /// The newest published versions of an outage, `versions_max` at most, oldest first; none of one that was never published.
    ///
    /// # Errors
    /// [`EngineError`] when the table cannot be read.
    pub async fn outage_history(
        &self,
        id: &OutageId,
        versions_max: usize,
    ) -> Result<Vec<OutageVersion>, EngineError> {
        match self.read(|world| world.outage_month(id)) {
            Some(month) => self.history.of(month, id, versions_max).await,
            None => Ok(Vec::new()),
        }
    }

    /// The signs of a month that are seen, as published, by id.
    ///
    /// # Errors
    /// [`EngineError`] when the table cannot be read.
    pub async fn suspicions(&self, month: Day) -> Result<Vec<Suspicion>, EngineError> {
        self.history.suspicions(month).await
    }

    /// Published versions of outages by their number in the table, from after `sequence` on, `versions_max` at most: a change feed. What it
    /// gives was committed, and gives the same at any later time.
    ///
    /// # Errors
    /// [`EngineError`] when the table cannot be read.
    pub async fn outages_after(
        &self,
        sequence: i64,
        versions_max: usize,
    ) -> Result<Vec<OutageVersion>, EngineError> {
        self.history.after(sequence, versions_max).await
    }

    /// The published versions of outages with these numbers.
    ///
    /// # Errors
    /// [`EngineError`] when the table cannot be read.
    pub async fn outages_numbered(
        &self,
        sequences: &BTreeSet<i64>,
    ) -> Result<Vec<OutageVersion>, EngineError> {
        self.history.numbered(sequences).await
    }

    /// Published versions of compensation entries by their place in the feed, from after `sequence` on, `versions_max` at most: a change
    /// feed. What it gives was committed, and gives the same at any later time.
    ///
    /// # Errors
    /// [`EngineError`] when the table cannot be read.
    pub async fn entries_after(
        &self,
        sequence: i64,
        versions_max: usize,
    ) -> Result<Vec<EntryVersion>, EngineError> {
        self.history.after(sequence, versions_max).await
    }

    /// The published versions of compensation entries at these places of the feed.
    ///
    /// # Errors
    /// [`EngineError`] when the table cannot be read.
    pub async fn entries_numbered(
        &self,
        sequences: &BTreeSet<i64>,
    ) -> Result<Vec<EntryVersion>, EngineError> {
        self.history.numbered(sequences).await
    }

    /// Applies the rest of the log, publishes, and ends.
    ///
    /// # Errors
    /// [`EngineError`] when that fails; what is in the log is then published after the next start.
    pub async fn stop(&self) -> Result<Progress, EngineError> {
        let progress = self
            .command(|reply| Command::Stop {
                through: self.log.end(),
                reply,
            })
            .await?;
        let mut ended = self.shared.ended.subscribe();
        let _ = ended.wait_for(|ended| *ended).await;
        Ok(progress)
    }

    async fn command(
        &self,
        command: impl FnOnce(oneshot::Sender<Progress>) -> Command,
    ) -> Result<Progress, EngineError> {
        let (reply, answer) = oneshot::channel();
        if self.commands.send(command(reply)).await.is_ok()
            && let Ok(progress) = answer.await
        {
            return Ok(Progress {
                log_position: self.log.end(),
                ..progress
            });
        }
        // It has ended, or is about to: only then is a command dropped.
        Err(self.ended().await.map_or(EngineError::Ended, EngineError::Failed))
    }

    /// Why it ended; `None` while it runs or when it was stopped.
    #[must_use]
    pub fn failure(&self) -> Option<Arc<EngineError>> {
        self.shared.failure.get().cloned()
    }

    /// Waits until it has ended, and says why: `None` when it was stopped.
    pub async fn ended(&self) -> Option<Arc<EngineError>> {
        let mut ended = self.shared.ended.subscribe();
        let _ = ended.wait_for(|ended| *ended).await;
        self.failure()
    }

    /// The log position after which a log that was lost must number on, so that no record is taken for one the tables have.
    ///
    /// # Errors
    /// [`EngineError`] when a table cannot be read.
    pub async fn newest_position(tables: &Tables) -> Result<Position, EngineError> {
        recovery::newest_position(tables).await
    }
}
