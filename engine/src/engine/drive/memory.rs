//! What the engine's thread does about what is not in memory: it reads back what a record, a judgement or a caller needs, and lets go what
//! exceeds the budget.

use std::{collections::BTreeSet, sync::Arc, time::Instant};

use gridtally_schemas::MeterId;

use super::{Driver, micros};
use crate::{
    engine::{
        EngineError, Shared, Store,
        command::Command,
        paging::{Access, page_in, put_away},
        recovery::read_spilled,
    },
    world::{
        World, decode,
        paging::{Wanted, is_master_data},
    },
};

/// Feeders' days of one civil day that are worked off together.
const OWED_TOGETHER: usize = 64;
/// Days of feeders and of blocks that come back between two times of letting go for what nobody waits for: some 250 MB at 1,000 meters a
/// feeder.
const PAGED_TOGETHER: usize = 256;

/// What a record needs that is not in memory.
#[derive(Debug)]
pub(super) enum Missing {
    /// Spans of these meters, which the record at this place of the batch names, wait in the quarantine table.
    Spilled(usize, BTreeSet<MeterId>),
    /// Days that were let go.
    Out(Wanted),
}

/// The picture under its lock.
#[derive(Debug)]
pub(super) struct Locked<'a>(pub(super) &'a Shared);

impl Access for Locked<'_> {
    fn change<T>(&mut self, change: impl FnOnce(&mut World) -> T) -> T {
        self.0.change(change)
    }

    fn look<T>(&self, look: impl FnOnce(&World) -> T) -> T {
        self.0.read(look)
    }
}

impl<S: Store> Driver<S> {
    /// Reads what is missing. Gives the place in the batch up to which no span waits in the table any more.
    pub(super) async fn fetch(&mut self, missing: Missing, ready: usize) -> Result<usize, EngineError> {
        match missing {
            Missing::Spilled(at, meters) => {
                let shared = Arc::clone(&self.shared);
                read_spilled(self.store.as_ref(), &meters, |rows| {
                    shared.change(|world| world.put_back_spilled(rows, &meters))
                })
                .await?;
                Ok(at + 1)
            }
            Missing::Out(wanted) => {
                self.page_in(wanted).await?;
                Ok(ready)
            }
        }
    }

    /// Applies the batch up to a record that needs what is not in memory, if there is one. Of the records before `ready` no span waits
    /// in the table.
    pub(super) fn apply_until_missing(&mut self, ready: usize) -> Result<Option<Missing>, EngineError> {
        let (batch, publish) = (&self.batch, &mut self.publish);
        self.shared.change(|world| {
            for (at, (position, bytes)) in batch.iter().enumerate() {
                let failed = |source| EngineError::Record { position, source };
                // One that was applied before changes nothing.
                if position <= world.applied() {
                    continue;
                }
                if at >= ready {
                    let meters = world.spilled_named_by(bytes).map_err(failed)?;
                    if !meters.is_empty() {
                        return Ok(Some(Missing::Spilled(at, meters)));
                    }
                }
                let record = decode(bytes, publish).map_err(failed)?;
                let mut wanted = world.wanted_by(&record, publish);
                if !wanted.is_empty() {
                    // What the records after it need is read together with it, up to one that may change what they need.
                    let mut last = bytes;
                    for (position, bytes) in batch.iter().skip(at + 1) {
                        let failed = |source| EngineError::Record { position, source };
                        if is_master_data(last).map_err(failed)? || is_master_data(bytes).map_err(failed)? {
                            break;
                        }
                        let record = decode(bytes, publish).map_err(failed)?;
                        wanted.add(world.wanted_by(&record, publish));
                        last = bytes;
                    }
                    return Ok(Some(Missing::Out(wanted)));
                }
                world.apply_decoded(position, record, publish);
            }
            Ok(None)
        })
    }

    /// Brings back what is wanted.
    pub(super) async fn page_in(&mut self, wanted: Wanted) -> Result<(), EngineError> {
        let started = Instant::now();
        page_in(self.store.as_ref(), &self.sql, wanted, Locked(&self.shared)).await?;
        let (took, paged) = (micros(started.elapsed()), self.read(World::paged));
        self.progress(|progress| {
            progress.paged = paged;
            progress.last_page_in_micros = took;
            progress.page_in_micros += took;
        });
        Ok(())
    }

    /// Whether more may come back before days are let go.
    pub(super) fn has_room(&self) -> bool {
        self.read(World::paged_since_let_go) < PAGED_TOGETHER
    }

    /// Works off some of the days that are owed, as far as there is room: a checkpoint makes some.
    pub(super) async fn work_off(&mut self) -> Result<(), EngineError> {
        if !self.has_room() || self.read(World::applied) < self.replay_through {
            return Ok(());
        }
        let mut wanted = self.write(|world| {
            world.ask_for_withdrawn();
            world.take_asked()
        });
        wanted.add(self.read(|world| world.next_owed(OWED_TOGETHER)));
        if !wanted.is_empty() {
            self.page_in(wanted).await?;
        }
        Ok(())
    }

    /// Brings back what callers want to look at, and answers them.
    pub(super) async fn page_in_asked(&mut self) -> Result<(), EngineError> {
        let asked = std::mem::take(&mut self.asked);
        let (page_ins, others): (Vec<Command>, Vec<Command>) = asked
            .into_iter()
            .partition(|command| matches!(command, Command::PageIn { .. }));
        self.asked = others;
        for command in page_ins {
            if let Command::PageIn { node, span, .. } = &command {
                let wanted = self.read(|world| world.wanted_to_show(*node, span));
                if !wanted.is_empty() {
                    self.page_in(wanted).await?;
                }
            }
            let progress = self.progress(|_| ());
            command.answer(progress);
        }
        Ok(())
    }

    /// Lets go what exceeds the budget: no checkpoint is being written now.
    pub(super) fn let_go(&mut self) {
        let gone = self.write(World::let_go);
        put_away(Locked(&self.shared));
        let paged = self.read(World::paged);
        self.progress(|progress| progress.paged = paged);
        if gone > 0 {
            tracing::info!(
                days = gone,
                resident_bytes = paged.resident_bytes,
                "settled days of feeders and blocks of meters wait in the tables alone"
            );
        }
    }
}
