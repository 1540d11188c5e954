//! Who is answered when, and the checkpoints that a tick begins and the loop ends.

use std::time::Instant;

use super::{Driver, Outcome, PUBLISH_INTERVALS, Writing, micros};
use crate::{
    engine::{ChangeKind, EngineError, Progress, Store, checkpoint::Checkpointer, command::Command},
    world::{World, publish::Scope},
};

impl<S: Store> Driver<S> {
    /// Whether somebody waits for a tick: what they ask for is applied, and not yet in the balances.
    pub(super) fn is_tick_asked(&self) -> bool {
        let (applied, complete) = self.read(|world| (world.applied(), world.complete_through()));
        let publishing = self.writing.is_some();
        self.asked.iter().any(|command| match command {
            Command::TakeIn { through, .. } => *through <= applied,
            Command::Apply { through, .. } => *through <= complete,
            Command::Checkpoint { through, .. } => *through <= complete && !publishing,
            Command::Stop { through, .. } => *through <= applied && !publishing,
            Command::PageIn { .. } => false,
        })
    }

    /// Answers those who waited for what the tick that has just ended computed.
    pub(super) fn answer_applied(&mut self) {
        let (applied, progress) = (self.read(World::applied), self.progress(|_| ()));
        for command in std::mem::take(&mut self.asked) {
            let is_done = match command {
                Command::TakeIn { through, .. } => through <= applied,
                Command::Apply { through, .. } => through <= progress.applied_position,
                Command::Checkpoint { .. } | Command::Stop { .. } | Command::PageIn { .. } => false,
            };
            if is_done {
                command.answer(progress);
            } else {
                self.asked.push(command);
            }
        }
    }

    /// Whether a checkpoint that is taken now holds what a command waits for. Without room some days were neither judged nor tallied, and
    /// wait for the one after it.
    fn is_answered_by_checkpoint(&self, command: &Command) -> bool {
        let (applied, complete) = self.read(|world| (world.applied(), world.complete_through()));
        match command {
            Command::Checkpoint { through, .. } => *through <= complete && self.has_room(),
            Command::Stop { through, .. } => *through <= applied,
            Command::TakeIn { .. } | Command::Apply { .. } | Command::PageIn { .. } => false,
        }
    }

    /// Begins a checkpoint when one is asked for or due, everything that a table holds is applied, and none is being written. Called after a
    /// tick, so that every balance stands.
    pub(super) fn checkpoint_if_due(&mut self) {
        let applied = self.read(World::applied);
        if applied < self.replay_through {
            return;
        }
        let Some(checkpointer) = self.checkpointer.take() else {
            return;
        };
        let (asked, waiting) = std::mem::take(&mut self.asked)
            .into_iter()
            .partition(|command| self.is_answered_by_checkpoint(command));
        self.asked = waiting;
        let asked: Vec<Command> = asked;
        let rows = self.read(|world| world.outbox.len());
        let is_full = rows >= self.config.checkpoint_rows || !self.has_room();
        let is_due = is_full
            || Instant::now() >= self.next_checkpoint
            || self.is_awaited_by_billing()
            || self.is_awaited_by_receivers();
        if asked.is_empty() && !is_due {
            self.checkpointer = Some(checkpointer);
            return;
        }
        let wants_all = asked
            .iter()
            .any(|command| matches!(command, Command::Checkpoint { .. }));
        self.begin_checkpoint(
            checkpointer,
            asked,
            if wants_all { Scope::Everything } else { Scope::Due },
        );
    }

    /// Whether an outage that receivers of notices wait for has waited long enough.
    fn is_awaited_by_receivers(&self) -> bool {
        let passed = |wait: std::time::Duration| {
            Instant::now() + self.config.checkpoint >= self.next_checkpoint + wait.min(self.config.checkpoint)
        };
        self.config.notice.is_some_and(passed) && self.read(World::has_outages_to_announce)
    }

    pub(super) fn begin_checkpoint(
        &mut self,
        mut checkpointer: Checkpointer<S>,
        asked: Vec<Command>,
        scope: Scope,
    ) {
        // Which intervals are closed was decided at the tick: a later moment would name a picture that was not taken.
        let (started, now) = (Instant::now(), self.ticked_at);
        self.next_checkpoint = started + self.config.checkpoint;
        self.tally_months(now);
        let mut due = self.write(|world| world.take_due(now));
        while self.write(|world| world.take_more(now, scope, PUBLISH_INTERVALS, &mut due)) {}
        let progress = self.progress(|_| ());
        let holds = (self.checkpointed, progress.published_position);
        if due.rows() == 0 && (due.position, due.complete) == holds && progress.published_at.is_some() {
            self.checkpointer = Some(checkpointer);
            self.let_go();
            let progress = self.progress(|_| ());
            self.answer_published(asked, progress);
            return;
        }
        // Encoding takes the processor for long between two waits: not on the threads that answer meters and callers.
        let commits = self.commits.clone();
        let task = self.commits.spawn_blocking(move || {
            let written = commits.block_on(checkpointer.write(due, now));
            (checkpointer, written)
        });
        self.writing = Some(Writing { task, started, asked });
    }

    pub(super) fn finish_checkpoint(
        &mut self,
        (checkpointer, written): Outcome<S>,
    ) -> Result<(), EngineError> {
        let Some(Writing { started, asked, .. }) = self.writing.take() else {
            return Ok(());
        };
        let written = written?;
        self.checkpointer = Some(checkpointer);
        self.write(|world| {
            world.spill(written.position);
            world.land_entries();
        });
        self.let_go();
        self.log.cut(written.position).map_err(EngineError::Log)?;
        self.checkpointed = written.position;
        let took = started.elapsed();
        let waiting = self.read(|world| world.outbox.len());
        let effort = self.store.effort();
        let progress = self.progress(|progress| {
            progress.published_position = written.complete;
            progress.published_at = Some(written.published_at);
            progress.checkpoints += 1;
            progress.last_checkpoint_micros = micros(took);
            progress.waiting_rows = waiting;
            progress.effort = effort;
        });
        let kind = ChangeKind::Checkpoint {
            position: written.complete,
            rows: written.rows,
        };
        self.shared.changes.tell(written.published_at, kind);
        self.answer_published(asked, progress);
        Ok(())
    }

    pub(super) fn answer_published(&mut self, asked: Vec<Command>, progress: Progress) {
        for command in asked {
            // A balance that may stand on a feeder that is out could not be withdrawn yet: the next checkpoint knows.
            let waits = matches!(command, Command::Checkpoint { through, .. } if through > progress.published_position);
            if waits {
                self.asked.push(command);
                continue;
            }
            self.stopped |= matches!(command, Command::Stop { .. });
            command.answer(progress);
        }
    }
}
