//! The engine's thread: one loop that applies, ticks and publishes, and the commands that ask it to.

use std::{
    panic::AssertUnwindSafe,
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};

use gridtally_ingest::log::{Log, LogBatch, LogReader, Position};
use gridtally_schemas::{Clock, Publish, UtcMicros};
use tokio::{
    runtime::{Builder, Handle},
    sync::{mpsc, watch},
    task::JoinHandle,
};

use super::{
    ChangeKind, EngineConfig, EngineError, INTERVALS_LISTED_MAX, OUTAGES_LISTED_MAX, Progress, Shared, Store,
    checkpoint::{Checkpointer, Transactions, Written},
    command::Command,
    months::tally_months,
    rate::Rate,
    suspicion::Suspecting,
    upkeep::{Keeper, Running},
};
use crate::{
    balance::BalanceSql,
    network::NodeIx,
    state::Quarter,
    tables::chain,
    world::{Paged, World},
};

mod compensation;
mod memory;
mod overtake;
mod publish;

use memory::Locked;

/// Bytes of the log applied under one write lock: a few milliseconds.
const APPLY_BYTES: usize = 64 * 1024;
/// Changed chunks of values brought to their feeders under one lock: a few milliseconds, also where each is the first of its feeder.
const SPREAD_CHUNKS: usize = 64;
/// Member reads gathered under one lock and computed by one run of the SQL: a few milliseconds.
const GATHER_ROWS: usize = 64 * 1024;
/// Meter-days judged under one lock: a few milliseconds.
const JUDGE_DAYS: usize = 200;
/// Parts of [`JUDGE_DAYS`] that a tick judges at most while nobody waits for a checkpoint and memory is within its budget.
const JUDGE_PARTS: usize = 20;
/// How long a tick judges at most where memory is beyond its budget: days that wait to be judged are not let go, so a backfill that comes
/// faster than its days are judged would fill the memory.
const JUDGE_TIME: Duration = Duration::from_secs(1);
/// What the log gets then between two ticks, until all is judged: this is what slows the backfill.
const APPLY_TIME: Duration = Duration::from_millis(100);
/// What the log gets at most between two ticks: some ten million reads come out of it meanwhile.
const APPLY_TIME_MAX: Duration = Duration::from_secs(10);
/// How long a tick judges where meters hang while nobody waits for a checkpoint.
const MAPPING_TIME: Duration = Duration::from_millis(50);
/// Feeders looked at for outages under one lock: one of 1,000 consumers takes 5 ms, the first time some 20.
const OUTAGE_FEEDERS: usize = 1;
/// Feeders' days tallied under one lock: a few milliseconds at 1,000 meters a feeder.
const TALLY_FEEDER_DAYS: usize = 8;
/// How long a tick tallies at most while nobody waits for a checkpoint.
const TALLY_TIME: Duration = Duration::from_millis(50);
/// How many times as long as it took a tally of months is rested from, while nobody waits and no checkpoint begins: a twentieth of the time
/// goes into them at most.
const MONTHS_REST: u32 = 19;
/// Feeder-intervals taken for publication under one lock.
const PUBLISH_INTERVALS: usize = 128;

/// What a driver is made of.
#[derive(Debug)]
pub(super) struct Parts<S> {
    pub(super) config: EngineConfig,
    pub(super) log: Arc<Log>,
    pub(super) store: Arc<S>,
    pub(super) clock: Clock,
}

type Outcome<S> = (Checkpointer<S>, Result<Written, EngineError>);

/// What a tick computed.
#[derive(Debug, Default)]
struct Computing {
    /// Intervals of nodes whose balance changed.
    changed: Vec<(NodeIx, Quarter)>,
    is_any: bool,
    /// Memory is beyond its budget, and days still wait to be judged.
    is_cut: bool,
}

/// A checkpoint that is being written.
#[derive(Debug)]
struct Writing<S> {
    task: JoinHandle<Outcome<S>>,
    started: Instant,
    /// Who is answered when it is done.
    asked: Vec<Command>,
}

/// The engine's thread.
#[derive(Debug)]
pub(super) struct Driver<S> {
    config: EngineConfig,
    log: Arc<Log>,
    clock: Clock,
    shared: Arc<Shared>,
    inbox: mpsc::Receiver<Command>,
    synced: watch::Receiver<Position>,
    reader: LogReader,
    batch: LogBatch,
    /// Where the log is looked through for power events, while much of it waits.
    ahead: Option<LogReader>,
    next_overtake: Instant,
    publish: Publish,
    sql: BalanceSql,
    store: Arc<S>,
    commits: Handle,
    /// Away while a checkpoint is being written: there is one at a time.
    checkpointer: Option<Checkpointer<S>>,
    /// The last record that the last checkpoint held.
    checkpointed: Position,
    upkeep: Running,
    suspecting: Running,
    writing: Option<Writing<S>>,
    asked: Vec<Command>,
    /// How far some table was at the start: nothing is published before that is applied, so that no table goes back.
    replay_through: Position,
    /// The log's end at the start: before that is applied no compensation is decided, else states that have long passed would leave
    /// entries; nor are days judged that nobody waits for, of which the log may say more.
    caught_up_through: Position,
    next_tick: Instant,
    /// What the clock said at the last tick: the moment of the picture, and of the checkpoint that is taken of it.
    ticked_at: UtcMicros,
    next_checkpoint: Instant,
    next_months: Instant,
    rate: Rate,
    stopped: bool,
}

impl<S: Store> Driver<S> {
    pub(super) fn new(
        parts: Parts<S>,
        shared: Arc<Shared>,
        transactions: Transactions,
        inbox: mpsc::Receiver<Command>,
    ) -> Result<Self, EngineError> {
        let Parts {
            config,
            log,
            store,
            clock,
        } = parts;
        let applied = shared.read(World::applied);
        let reader = log.reader(applied).map_err(EngineError::Log)?;
        let zone = config.settings.zone.clone();
        let now = Instant::now();
        let upkeep = Keeper {
            upkeep: config.upkeep,
            store: Arc::clone(&store),
            clock: clock.clone(),
            zone: zone.clone(),
            shared: Arc::clone(&shared),
        };
        let suspecting = Suspecting {
            settings: config.suspicion.clone(),
            store: Arc::clone(&store),
            clock: clock.clone(),
            zone: zone.clone(),
            shared: Arc::clone(&shared),
        };
        Ok(Self {
            upkeep: upkeep.spawn()?,
            suspecting: suspecting.spawn()?,
            synced: log.subscribe(),
            replay_through: transactions
                .values()
                .copied()
                .max()
                .unwrap_or_default()
                .min(log.end()),
            caught_up_through: log.end(),
            checkpointer: Some(Checkpointer::new(Arc::clone(&store), zone, transactions)),
            checkpointed: applied,
            store,
            next_checkpoint: now + config.checkpoint,
            next_tick: now,
            next_months: now,
            ticked_at: clock.now(),
            config,
            log,
            clock,
            shared,
            inbox,
            reader,
            batch: LogBatch::default(),
            ahead: None,
            next_overtake: now,
            publish: Publish::default(),
            sql: BalanceSql::default(),
            commits: Handle::current(),
            writing: None,
            asked: Vec::new(),
            rate: Rate::default(),
            stopped: false,
        })
    }

    /// Starts the thread.
    pub(super) fn spawn(mut self) -> Result<(), EngineError> {
        let runtime = Builder::new_current_thread()
            .enable_time()
            .build()
            .map_err(EngineError::Thread)?;
        let body = move || {
            let shared = Arc::clone(&self.shared);
            let run = AssertUnwindSafe(|| runtime.block_on(self.run()));
            let result = std::panic::catch_unwind(run).unwrap_or(Err(EngineError::Panicked));
            if let Err(error) = result {
                tracing::error!(error = %chain(&error), "engine failed");
                let _ = shared.failure.set(Arc::new(error));
            }
            self.upkeep.stop();
            self.suspecting.stop();
            // Only now are waiting commands dropped: whoever waits finds the failure.
            drop(self);
            shared.ended.send_replace(true);
        };
        let thread = std::thread::Builder::new().name("engine".to_owned());
        thread.spawn(body).map(|_| ()).map_err(EngineError::Thread)
    }

    async fn run(&mut self) -> Result<(), EngineError> {
        self.hear_all_ahead()?;
        while !self.stopped {
            let more = self.apply_some().await?;
            self.hear_commands();
            self.page_in_asked().await?;
            self.overtake().await?;
            if Instant::now() >= self.next_tick || self.is_tick_asked() || (!more && self.is_held_up()) {
                self.tick().await?;
                self.answer_applied();
                self.checkpoint_if_due();
            }
            if !more && !self.stopped {
                self.rest().await?;
            } else if let Some(writing) = self.writing.as_mut().filter(|writing| writing.task.is_finished()) {
                let outcome = (&mut writing.task).await.map_err(|_| EngineError::Panicked)?;
                self.finish_checkpoint(outcome)?;
            }
        }
        Ok(())
    }

    /// Whether every value was to be had that a tick looked at: no change is told, and nothing published, otherwise.
    fn check_values(&self) -> Result<(), EngineError> {
        self.read(|world| world.state.check()).map_err(EngineError::Cold)
    }

    fn write<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        self.shared.change(change)
    }

    fn read<T>(&self, look: impl FnOnce(&World) -> T) -> T {
        self.shared.read(look)
    }

    fn progress(&self, change: impl FnOnce(&mut Progress)) -> Progress {
        let mut progress = self
            .shared
            .progress
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        change(&mut progress);
        *progress
    }

    /// Whether so many rows wait for the tables that the log must wait.
    fn is_full(&self) -> bool {
        let (applied, rows) = self.read(|world| (world.applied(), world.outbox.len()));
        applied >= self.replay_through && rows >= self.config.waiting_rows_max
    }

    /// Whether the log waits for nothing but a checkpoint that nobody has begun: the tick before it is not waited for.
    fn is_held_up(&self) -> bool {
        self.writing.is_none() && self.is_full()
    }

    /// Applies one batch of the log. Tells whether there may be more.
    async fn apply_some(&mut self) -> Result<bool, EngineError> {
        if self.is_full() {
            return Ok(false);
        }
        if self
            .reader
            .read(&mut self.batch, APPLY_BYTES)
            .map_err(EngineError::Log)?
            == 0
        {
            return Ok(false);
        }
        let mut ready = 0;
        while let Some(missing) = self.apply_until_missing(ready)? {
            ready = self.fetch(missing, ready).await?;
        }
        Ok(true)
    }

    /// Brings every balance up to what is applied.
    async fn tick(&mut self) -> Result<(), EngineError> {
        let (started, now) = (Instant::now(), self.clock.now());
        self.ticked_at = now;
        self.write(|world| world.advance(now));
        // First: who is without supply matters more than any balance.
        self.look_for_outages(now).await?;
        self.compensate(now);
        self.work_off().await?;
        let Computing {
            mut changed,
            is_any: computed_any,
            is_cut,
        } = self.compute().await?;
        self.judge_mappings().await?;
        self.tally().await?;
        // A checkpoint has them tallied in any case.
        if Instant::now() >= self.next_months || !self.asked.is_empty() {
            self.tally_months(now);
        }
        let took = started.elapsed();
        // A tick that takes long leaves as much time again for the log, but no more than fills the rows that may wait.
        let log_time = if is_cut {
            APPLY_TIME
        } else {
            took.min(APPLY_TIME_MAX)
        };
        self.next_tick = (started + self.config.tick).max(started + took + log_time);
        self.note_tick(started, computed_any.then_some(took));
        self.check_values()?;
        if !changed.is_empty() {
            let total = changed.len();
            changed.truncate(INTERVALS_LISTED_MAX);
            let applied = self.read(World::complete_through);
            self.shared.changes.tell(
                now,
                ChangeKind::Balances {
                    intervals: changed,
                    total,
                    applied,
                },
            );
        }
        Ok(())
    }

    /// Computes every balance that something changed, and judges some of the days that wait.
    async fn compute(&mut self) -> Result<Computing, EngineError> {
        let mut done = Computing::default();
        let is_over = self.read(World::would_let_go_once_judged);
        let is_behind = self.read(World::applied) < self.caught_up_through;
        let mut parts_left = if self.is_checkpoint_asked() || is_over {
            usize::MAX
        } else if is_behind {
            0
        } else {
            JUDGE_PARTS
        };
        let mut judging = None;
        loop {
            while self.write(|world| world.spread_dirty(SPREAD_CHUNKS)) {}
            while let Some(members) = self.write(|world| world.gather(GATHER_ROWS)) {
                let computed = self.sql.run(members).await.map_err(EngineError::Balance)?;
                done.changed.extend(self.write(|world| world.settle(computed)));
                done.is_any = true;
                self.overtake().await?;
            }
            // Estimates make balances dirty, so these are computed last.
            let began: Instant = *judging.get_or_insert_with(Instant::now);
            if parts_left == 0 || !self.judge_part().await? {
                return Ok(done);
            }
            parts_left -= 1;
            if is_over && began.elapsed() >= JUDGE_TIME && !self.is_checkpoint_asked() {
                (parts_left, done.is_cut) = (0, true);
            }
            self.overtake().await?;
        }
    }

    /// Brings the indices up to the interruptions that stand, and notes when they are looked at next.
    fn tally_months(&mut self, now: UtcMicros) {
        let started = Instant::now();
        tally_months(Locked(&self.shared), now);
        self.next_months = Instant::now() + started.elapsed() * MONTHS_REST;
    }

    /// Brings outages up to what is applied, and tells what changed.
    async fn look_for_outages(&mut self, now: UtcMicros) -> Result<(), EngineError> {
        let mut changes = loop {
            let look = |world: &mut World| (world.look_for_outages(now, OUTAGE_FEEDERS), world.take_asked());
            let (seen, asked) = self.write(look);
            if !asked.is_empty() {
                self.page_in(asked).await?;
            }
            if !seen.more {
                break seen.changes;
            }
        };
        if changes.is_empty() {
            return Ok(());
        }
        self.check_values()?;
        let total = changes.len();
        changes.truncate(OUTAGES_LISTED_MAX);
        let kind = ChangeKind::Outages {
            changes,
            total,
            applied: self.read(World::complete_through),
        };
        self.shared.changes.tell(now, kind);
        Ok(())
    }

    /// Judges some of the meter-days that wait; `false`: there were none, or the tables are ahead of what is applied.
    async fn judge_part(&mut self) -> Result<bool, EngineError> {
        if self.read(World::applied) < self.replay_through || !self.has_room() {
            return Ok(false);
        }
        let judge = |world: &mut World| (world.judge(JUDGE_DAYS), world.take_asked());
        let (judged, asked) = self.write(judge);
        let is_out = !asked.is_empty();
        if is_out {
            self.page_in(asked).await?;
            // Now, since what came back may have filled the room, and would be let go again before the next part.
            self.write(judge);
        }
        Ok(judged.days > 0 || is_out)
    }

    /// Judges where the meters of some feeders hang, or of all that wait where somebody waits for the tables to hold everything.
    async fn judge_mappings(&mut self) -> Result<(), EngineError> {
        if self.read(World::applied) < self.replay_through {
            return Ok(());
        }
        let started = Instant::now();
        loop {
            let hurry = self.is_checkpoint_asked();
            let (judged, asked) = self.write(|world| (world.judge_mappings(hurry), world.take_asked()));
            if !asked.is_empty() {
                self.page_in(asked).await?;
            } else if !judged || (started.elapsed() >= MAPPING_TIME && !hurry) {
                return Ok(());
            }
        }
    }

    /// Tallies when reads came: some of what waits, or all of it where somebody waits for the tables to hold everything.
    async fn tally(&mut self) -> Result<(), EngineError> {
        if self.read(World::applied) < self.replay_through {
            return Ok(());
        }
        let started = Instant::now();
        while self.has_room() && (started.elapsed() < TALLY_TIME || self.is_checkpoint_asked()) {
            let tally = |world: &mut World| (world.tally(TALLY_FEEDER_DAYS), world.take_asked());
            let (tallied, asked) = self.write(tally);
            if !asked.is_empty() {
                self.page_in(asked).await?;
                self.write(tally);
            } else if tallied == 0 {
                break;
            }
        }
        Ok(())
    }

    /// Whether somebody waits for the tables to hold everything.
    fn is_checkpoint_asked(&self) -> bool {
        let is_checkpoint = |command: &Command| match command {
            Command::Checkpoint { .. } | Command::Stop { .. } => true,
            Command::TakeIn { .. } | Command::Apply { .. } | Command::PageIn { .. } => false,
        };
        self.asked.iter().any(is_checkpoint)
    }

    fn note_tick(&mut self, now: Instant, took: Option<Duration>) {
        let (applied, reads, seen) = self.read(|world| {
            let seen = Progress {
                dirty_intervals: world.dirty_intervals(),
                waiting_rows: world.outbox.len(),
                held: world.held(),
                held_bytes: world.held_bytes(),
                held_spilled: world.held_spilled(),
                cells: world.state.cells(),
                paged: Paged {
                    feeder_days_owed: world.owed(),
                    ..Paged::default()
                },
                ..Progress::default()
            };
            (world.complete_through(), world.counts.reads, seen)
        });
        let per_second = self.rate.note(now, reads);
        self.progress(|progress| {
            progress.applied_position = applied;
            progress.reads_applied = reads;
            progress.reads_per_second = per_second;
            progress.dirty_intervals = seen.dirty_intervals;
            progress.waiting_rows = seen.waiting_rows;
            progress.held = seen.held;
            progress.held_bytes = seen.held_bytes;
            progress.held_spilled = seen.held_spilled;
            progress.cells = seen.cells;
            progress.paged.feeder_days_owed = seen.paged.feeder_days_owed;
            progress.ticks += 1;
            progress.last_tick_micros = took.map_or(progress.last_tick_micros, micros);
        });
    }

    fn hear_commands(&mut self) {
        loop {
            match self.inbox.try_recv() {
                Ok(command) => self.asked.push(command),
                Err(mpsc::error::TryRecvError::Empty) => return,
                Err(mpsc::error::TryRecvError::Disconnected) => {
                    self.stopped = true;
                    return;
                }
            }
        }
    }

    /// Waits until there is something to do.
    async fn rest(&mut self) -> Result<(), EngineError> {
        let full = self.is_full();
        let tick = tokio::time::Instant::from_std(self.next_tick);
        let written = async {
            match &mut self.writing {
                Some(writing) => (&mut writing.task).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = tokio::time::sleep_until(tick) => {}
            changed = self.synced.changed(), if !full => {
                // The log has been closed under us: what it holds can still be read, so rest until the next tick.
                if changed.is_err() {
                    tokio::time::sleep_until(tick).await;
                }
            }
            command = self.inbox.recv() => match command {
                Some(command) => self.asked.push(command),
                None => self.stopped = true,
            },
            outcome = written => {
                self.finish_checkpoint(outcome.map_err(|_| EngineError::Panicked)?)?;
            }
        }
        Ok(())
    }
}

pub(super) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
