//! Values that leave memory and come back.
//!
//! A cell is not here for one of two reasons: nobody said anything, or its (block, day) has been let go. The state does not tell them
//! apart; who lets a day go keeps account of it ([`crate::world`]) and brings it back before anybody asks for its cells.

use std::ops::RangeInclusive;

use super::{BlockNumber, Chunk, Feeders, Quarter, Said, State, estimate, position};
use crate::network::MeterIx;

/// Memory of the entry of a cell that has seen several versions, bytes: the map's part and the list.
const VERSIONS_BYTES: usize = 160;
/// Memory of a chunk beside its columns, bytes.
const CHUNK_BYTES: usize = size_of::<Chunk>() + size_of::<(Quarter, Box<Chunk>)>() + 8;

impl Chunk {
    fn bytes(&self) -> usize {
        CHUNK_BYTES + self.column_bytes()
    }
}

impl State {
    /// Memory of the values, bytes: what was asked for, not what the allocator rounds it to.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let chunks = self.blocks.iter().flat_map(|block| block.chunks.values());
        chunks.map(|chunk| chunk.bytes()).sum::<usize>() + self.versions.len() * VERSIONS_BYTES
    }

    /// Blocks that have a chunk in one of `quarters`.
    pub(crate) fn blocks_in(&self, quarters: RangeInclusive<Quarter>) -> impl Iterator<Item = BlockNumber> {
        let has = move |chunks: &hashbrown::HashMap<Quarter, Box<Chunk>>| {
            (quarters.start().0..=quarters.end().0).any(|quarter| chunks.contains_key(&Quarter(quarter)))
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
        chunks.is_some_and(|chunks| quarters.any(|quarter| chunks.contains_key(&quarter)))
    }

    /// The quarters in which any block has a chunk, in no order, perhaps more than once.
    pub(crate) fn quarters_held(&self) -> impl Iterator<Item = Quarter> {
        self.blocks.iter().flat_map(|block| block.chunks.keys().copied())
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
            if let Some(chunk) = block.chunks.remove(&Quarter(quarter)) {
                bytes += chunk.bytes();
                self.cells -= chunk.own_cells();
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
        let (chunk, slot) = (block.chunks.entry(quarter).or_default(), usize::from(home.slot));
        if chunk.own(slot).is_none() {
            chunk.put(slot, &estimate::value_of(energy), block.meters.len());
        }
    }
}
