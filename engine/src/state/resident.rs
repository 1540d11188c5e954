//! Values that leave memory and come back.
//!
//! A cell is not here for one of two reasons: nobody said anything, or its (block, day) has been let go. The state does not tell them
//! apart; who lets a day go keeps account of it ([`crate::world`]) and brings it back before anybody asks for its cells.

use std::{collections::BTreeSet, ops::RangeInclusive, path::PathBuf, sync::Arc};

use super::{
    BlockNumber, Chunks, Cold, ColdError, Drawn, Feeders, Key, Place, Quarter, Said, State, estimate,
    position,
};
use crate::network::MeterIx;

/// Memory of the entry of a cell that has seen several versions, bytes: the map's part and the list.
const VERSIONS_BYTES: usize = 160;
impl State {
    /// Memory of the values, bytes: what was asked for, not what the allocator rounds it to. Chunks that wait on disk take none.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let chunks = self.blocks.iter().map(|block| block.chunks.bytes());
        chunks.sum::<usize>() + self.versions.len() * VERSIONS_BYTES
    }

    /// A state whose chunks may wait in a file. It is made when the first one goes, and whatever is in it then is lost.
    pub(crate) fn waiting_in(path: Option<PathBuf>) -> Self {
        Self {
            cold: path.map(|path| Arc::new(Cold::new(path))),
            ..Self::default()
        }
    }

    /// Bytes of the chunks that wait on disk.
    #[must_use]
    pub fn cold_bytes(&self) -> u64 {
        self.cold.as_deref().map_or(0, Cold::bytes)
    }

    /// Whether every value was to be had that somebody looked at.
    ///
    /// # Errors
    /// Why one was not: what was computed since may lack it.
    pub(crate) fn check(&self) -> Result<(), Arc<ColdError>> {
        let failure = self.cold.as_deref().and_then(Cold::failure);
        failure.map_or(Ok(()), |failure| Err(Arc::clone(failure)))
    }

    /// The quarters up to `newest` of which a chunk is in memory, oldest first.
    pub(crate) fn quarters_here(&self, newest: Quarter) -> BTreeSet<Quarter> {
        let here = self.blocks.iter().flat_map(|block| block.chunks.quarters_here());
        here.filter(|quarter| *quarter <= newest).collect()
    }

    /// The file in which chunks may wait.
    pub(crate) fn cold(&self) -> Option<Arc<Cold>> {
        self.cold.clone()
    }

    /// The chunks of one quarter that are in memory, as they are written, of at most `count` blocks from `first` on; and the block to go on
    /// with, if any.
    pub(crate) fn draw(
        &self,
        quarter: Quarter,
        (first, count): (BlockNumber, usize),
    ) -> (Vec<Drawn>, Option<BlockNumber>) {
        let from = (first.0..).zip(self.blocks.iter().skip(position(first.0)));
        let drawn = from
            .take(count)
            .filter_map(|(number, block)| block.chunks.draw((number, quarter)));
        let next = first.0.saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
        let is_more = position(next) < self.blocks.len();
        (drawn.collect(), is_more.then_some(BlockNumber(next)))
    }

    /// Notes that chunks wait where they were written, as they still are. Gives the memory that they took, bytes.
    pub(crate) fn put_away(&mut self, placed: Vec<(Key, Place)>) -> usize {
        let (Some(cold), mut bytes) = (&self.cold, 0) else {
            return 0;
        };
        for ((block, quarter), place) in placed {
            if let Some(block) = self.blocks.get_mut(position(block)) {
                bytes += block.chunks.put_away(cold, quarter, place);
            }
        }
        bytes
    }

    /// Blocks that have a chunk in one of `quarters`.
    pub(crate) fn blocks_in(&self, quarters: RangeInclusive<Quarter>) -> impl Iterator<Item = BlockNumber> {
        let has = move |chunks: &Chunks| {
            (quarters.start().0..=quarters.end().0).any(|quarter| chunks.has(Quarter(quarter)))
        };
        (0..)
            .zip(&self.blocks)
            .filter(move |(_, block)| has(&block.chunks))
            .map(|(number, _)| BlockNumber(number))
    }

    /// Whether a block has a chunk in one of `quarters`.
    pub(crate) fn holds(&self, block: BlockNumber, quarters: RangeInclusive<Quarter>) -> bool {
        let chunks = self.blocks.get(position(block.0)).map(|block| &block.chunks);
        let mut quarters = (quarters.start().0..=quarters.end().0).map(Quarter);
        chunks.is_some_and(|chunks| quarters.any(|quarter| chunks.has(quarter)))
    }

    /// The quarters in which any block has a chunk, in no order, perhaps more than once.
    pub(crate) fn quarters_held(&self) -> impl Iterator<Item = Quarter> {
        self.blocks.iter().flat_map(|block| block.chunks.quarters())
    }

    /// The chunks that have changed since they were last taken.
    pub(crate) fn dirty(&self) -> impl Iterator<Item = (BlockNumber, Quarter)> {
        self.dirty
            .iter()
            .map(|(block, quarter)| (BlockNumber(*block), *quarter))
    }

    /// The block that a meter without one would join; `None`: a new one.
    pub(crate) fn open_block(&self, feeders: Feeders) -> Option<BlockNumber> {
        self.open_block_of(feeders).map(BlockNumber)
    }

    /// Lets the chunks of a block go. Their versions go with [`State::forget_versions`].
    pub(crate) fn let_go(&mut self, block: BlockNumber, quarters: RangeInclusive<Quarter>) -> usize {
        let Some(block) = self.blocks.get_mut(position(block.0)) else {
            return 0;
        };
        let mut bytes = 0;
        for quarter in quarters.start().0..=quarters.end().0 {
            if let Some((freed, own_cells)) = block.chunks.forget(self.cold.as_deref(), Quarter(quarter)) {
                bytes += freed;
                self.cells -= own_cells;
            }
        }
        bytes
    }

    /// Forgets the versions of cells that were let go.
    pub(crate) fn forget_versions(&mut self, is_gone: impl Fn(BlockNumber, Quarter) -> bool) {
        let homes = &self.homes;
        self.versions.retain(|(meter, quarter), _| {
            let home = homes.of(*meter);
            !home.is_some_and(|home| is_gone(BlockNumber(home.block), *quarter))
        });
    }

    /// Brings back a row of `interval_reads`, in any order with the other rows of its cell. What was computed of the cell is as it was.
    pub(crate) fn bring_back(&mut self, meter: MeterIx, feeders: Feeders, quarter: Quarter, row: Said<'_>) {
        self.put_back(meter, feeders, quarter, row);
    }

    /// Brings back the number of a published version of an estimate, after the rows that were said.
    pub(crate) fn bring_back_version(&mut self, meter: MeterIx, quarter: Quarter, version: i64) {
        let is_said = self.own_value(meter, quarter).is_some();
        let versions = self.versions.entry((meter, quarter)).or_default();
        let newest = versions
            .accepted
            .max(i64::from(is_said && versions.seen.is_empty()));
        versions.accepted = newest.max(version);
    }

    /// Brings back the estimate that a cell showed.
    pub(crate) fn bring_back_estimate(
        &mut self,
        meter: MeterIx,
        quarter: Quarter,
        energy: estimate::EstimatedWh,
    ) {
        let Some(home) = self.homes.of(meter) else {
            return;
        };
        let Some(block) = self.blocks.get_mut(position(home.block)) else {
            return;
        };
        let chunk = block.chunks.change(self.cold.as_deref(), (home.block, quarter));
        let slot = usize::from(home.slot);
        if chunk.own(slot).is_none() {
            chunk.put(slot, &estimate::value_of(energy), block.meters.len());
        }
    }
}
