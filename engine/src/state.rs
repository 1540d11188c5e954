//! The validated value of every (meter, interval): dense columns, merged by a join.
//!
//! Of all versions seen of one (meter, interval) the greatest stands, in the order (quality, revision, captured_at, content).
//! The merge is commutative, associative and idempotent, so duplicates, replays, late and shuffled arrival all lead to the
//! same state, bit for bit (ORD-1).
//!
//! ```text
//! meter ──home──▶ block (up to 1,024 meters that were on one feeder when first heard) ── quarter ──▶ chunk
//! chunk: import u16 or u32 per meter; voltage, export, kVAh, current (as import), captured_at, revision only once someone sends them,
//!        quality u8 only once a value is none of the meter's own, arrival u8 only once something was late
//! ```
//!
//! A meter keeps its home until the process ends; rosters refer to meters, so moving a consumer moves nothing here. A cell (meter
//! and interval) of plain import reads takes 2 bytes, with export and voltage 6; one with several versions about 150 more.
//! Beyond the budget chunks of old intervals wait on disk (`state/cold.rs`); where a chunk is decides nothing else.
//! An estimate is no version: it is shown in a cell that nobody said a value of, and gives way to whatever comes (`state/estimate.rs`).
//! Nothing here knows the network: whether a value counts in a balance is decided when the balance is gathered, so a change of
//! master data never changes the state.

use std::sync::Arc;

use gridtally_schemas::{UtcMicros, time::QUARTER_MICROS};
use hashbrown::HashMap;

use crate::network::{MeterIx, NodeIx};

mod arrival;
mod chunk;
mod chunks;
mod cold;
mod column;
mod estimate;
mod resident;
#[cfg(test)]
mod tests;
mod value;
mod window;

pub use arrival::Arrival;
pub use cold::ColdError;
pub(crate) use cold::{Cold, Drawn, Key, Place};
pub use value::{HardFailure, Quality, Value};
pub use window::{BlockWindow, Held, Sample};

use chunk::DirtySlots;
use chunks::{Chunks, Seen};

/// Most meters in a block.
const BLOCK_METERS_MAX: usize = 1_024;
/// Number of a quarter hour since 1970: when an interval ends.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Quarter(pub u32);

impl Quarter {
    /// The quarter that ends at `instant`; `None` off the grid.
    #[must_use]
    pub fn ending(instant: UtcMicros) -> Option<Self> {
        if instant.0.rem_euclid(QUARTER_MICROS) != 0 {
            return None;
        }
        u32::try_from(instant.0.div_euclid(QUARTER_MICROS)).ok().map(Self)
    }

    /// When it ends.
    #[must_use]
    pub fn end(self) -> UtcMicros {
        UtcMicros(i64::from(self.0).saturating_mul(QUARTER_MICROS))
    }

    /// When it begins: the instant by whose picture of the network an interval counts that ends with this quarter. Master rows
    /// begin on the grid, so for a 30-minute interval its middle is as good as its beginning.
    #[must_use]
    pub fn begin(self) -> UtcMicros {
        self.minus(1).end()
    }

    /// The end of the interval of `quarters` quarters in which this one lies.
    #[must_use]
    pub fn ceil_to(self, quarters: u32) -> Self {
        Self(self.0.div_ceil(quarters.max(1)).saturating_mul(quarters.max(1)))
    }

    /// The quarter `count` before.
    #[must_use]
    pub const fn minus(self, count: u32) -> Self {
        Self(self.0.saturating_sub(count))
    }
}

/// What became of a version that was merged (CONS-1: every one of these has a count).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Merged {
    /// It stands now, as this version.
    Accepted {
        /// 1 for the first value of its interval.
        version: i64,
    },
    /// It lost to the value that stands, or says what was here before and came sooner by its [`Arrival`]; it is kept as a row of
    /// version 0.
    Superseded,
    /// It was here before.
    Duplicate,
}

/// Where a meter's values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Home {
    block: u32,
    slot: u16,
}

/// The homes of all meters: six bytes each.
#[derive(Debug, Default)]
struct Homes {
    blocks: Vec<u32>,
    slots: Vec<u16>,
}

/// In place of a block: the meter has not been heard.
const NO_BLOCK: u32 = u32::MAX;

impl Homes {
    fn of(&self, meter: MeterIx) -> Option<Home> {
        let block = self.blocks.get(meter.at()).filter(|block| **block != NO_BLOCK)?;
        let slot = self.slots.get(meter.at())?;
        Some(Home {
            block: *block,
            slot: *slot,
        })
    }

    fn put(&mut self, meter: MeterIx, home: Home) {
        if self.blocks.len() <= meter.at() {
            self.blocks.resize(meter.at() + 1, NO_BLOCK);
            self.slots.resize(meter.at() + 1, 0);
        }
        if let (Some(block), Some(slot)) = (self.blocks.get_mut(meter.at()), self.slots.get_mut(meter.at())) {
            (*block, *slot) = (home.block, home.slot);
        }
    }
}

/// What changed in a chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// The interval's last quarter.
    pub quarter: Quarter,
    /// The block.
    pub block: BlockNumber,
    /// The meters, perhaps some of them twice; `None`: many.
    pub meters: Option<Vec<MeterIx>>,
}

#[derive(Debug, Default)]
struct Block {
    meters: Vec<MeterIx>,
    chunks: Chunks,
}

/// The feeders a meter was on when first heard: one, two for a boundary meter, none while no connection is known. Meters with the
/// same feeders share blocks, so that a dirty chunk concerns few feeders.
pub type Feeders = [Option<NodeIx>; 2];

/// What a row of `interval_reads` says of a cell: its version (0: it was superseded), its value, and how soon it came.
pub(crate) type Said<'a> = (i64, &'a Value, Arrival);

/// Versions of a cell that has seen more than one.
#[derive(Debug, Default, Clone)]
struct Versions {
    seen: Vec<Value>,
    accepted: i64,
}

impl Versions {
    fn accept(&mut self, value: &Value) -> i64 {
        self.seen.push(*value);
        self.accepted += 1;
        self.accepted
    }
}

/// All values.
#[derive(Debug, Default)]
pub struct State {
    homes: Homes,
    blocks: Vec<Block>,
    open_blocks: HashMap<Feeders, u32>,
    versions: HashMap<(MeterIx, Quarter), Versions>,
    dirty: Vec<(u32, Quarter)>,
    cells: u64,
    /// Where chunks wait beyond the budget; `None`: all stay in memory.
    cold: Option<Arc<Cold>>,
}

fn position(index: u32) -> usize {
    usize::try_from(index).unwrap_or(usize::MAX)
}

impl State {
    /// Merges one version of the value of `meter` in the interval that ends at `quarter`, and how soon it came: of all versions the
    /// soonest counts.
    ///
    /// `feeders` only decide which block a new meter joins; see [`Feeders`].
    pub fn merge(
        &mut self,
        meter: MeterIx,
        feeders: Feeders,
        quarter: Quarter,
        (value, arrival): (&Value, Arrival),
    ) -> Merged {
        let home = self.home(meter, feeders);
        let slot = usize::from(home.slot);
        let Some(block) = self.blocks.get_mut(position(home.block)) else {
            return Merged::Duplicate;
        };
        let chunk = block.chunks.change(self.cold.as_deref(), (home.block, quarter));
        let held = chunk.own(slot);
        let is_sooner = chunk.arrive(slot, arrival, held.is_none());
        // Said before: it changes nothing but how soon the cell was heard of.
        let repeated = if is_sooner {
            Merged::Superseded
        } else {
            Merged::Duplicate
        };
        let outcome = match held {
            None => {
                let entry = self.versions.get_mut(&(meter, quarter));
                self.cells += 1;
                let version = entry.map_or(1, |versions| versions.accept(value));
                Merged::Accepted { version }
            }
            Some(held) if held == *value => repeated,
            Some(held) => {
                let first = || Versions {
                    seen: vec![held],
                    accepted: 1,
                };
                let versions = self.versions.entry((meter, quarter)).or_insert_with(first);
                if versions.seen.contains(value) {
                    repeated
                } else if value.rank() > held.rank() {
                    Merged::Accepted {
                        version: versions.accept(value),
                    }
                } else {
                    versions.seen.push(*value);
                    Merged::Superseded
                }
            }
        };
        if matches!(outcome, Merged::Accepted { .. }) {
            chunk.put(slot, value, block.meters.len());
        } else if !is_sooner {
            return outcome;
        }
        if chunk.dirty.mark(slot) {
            self.dirty.push((home.block, quarter));
        }
        outcome
    }

    /// Puts back a row of `interval_reads`, in any order: `version` is the row's, 0 for one that was superseded.
    pub fn restore(&mut self, meter: MeterIx, feeders: Feeders, quarter: Quarter, row: Said<'_>) {
        let home = self.put_back(meter, feeders, quarter, row);
        let block = self.blocks.get_mut(position(home.block));
        let chunk = block.and_then(|block| block.chunks.here_mut(quarter));
        if chunk.is_some_and(|chunk| chunk.dirty.mark(usize::from(home.slot))) {
            self.dirty.push((home.block, quarter));
        }
    }

    /// The same without a word that the cell changed.
    fn put_back(
        &mut self,
        meter: MeterIx,
        feeders: Feeders,
        quarter: Quarter,
        (version, value, arrival): Said<'_>,
    ) -> Home {
        let home = self.home(meter, feeders);
        let slot = usize::from(home.slot);
        let Some(block) = self.blocks.get_mut(position(home.block)) else {
            return home;
        };
        let chunk = block.chunks.change(self.cold.as_deref(), (home.block, quarter));
        let held = chunk.own(slot);
        chunk.arrive(slot, arrival, held.is_none());
        // One row of version 1 is the common case, and needs no list of versions.
        if held.is_some() || version != 1 {
            let first = || Versions {
                seen: held.into_iter().collect(),
                accepted: i64::from(held.is_some()),
            };
            let versions = self.versions.entry((meter, quarter)).or_insert_with(first);
            versions.accepted = versions.accepted.max(version);
            if !versions.seen.contains(value) {
                versions.seen.push(*value);
            }
        }
        if held.is_none_or(|held| value.rank() > held.rank()) {
            self.cells += u64::from(held.is_none());
            chunk.put(slot, value, block.meters.len());
        }
        home
    }

    fn home(&mut self, meter: MeterIx, feeders: Feeders) -> Home {
        if let Some(home) = self.homes.of(meter) {
            return home;
        }
        let block = self.open_block_of(feeders).unwrap_or_else(|| {
            let new = u32::try_from(self.blocks.len()).unwrap_or(u32::MAX);
            self.blocks.push(Block::default());
            self.open_blocks.insert(feeders, new);
            new
        });
        let mut home = Home { block, slot: 0 };
        if let Some(entry) = self.blocks.get_mut(position(block)) {
            home.slot = u16::try_from(entry.meters.len()).unwrap_or(u16::MAX);
            entry.meters.push(meter);
        }
        self.homes.put(meter, home);
        home
    }

    /// The block with room for a new meter of these feeders.
    fn open_block_of(&self, feeders: Feeders) -> Option<u32> {
        let room = |block: &u32| {
            self.blocks
                .get(position(*block))
                .is_some_and(|block| block.meters.len() < BLOCK_METERS_MAX)
        };
        self.open_blocks.get(&feeders).copied().filter(room)
    }

    /// The value of `meter` in the interval that ends at `quarter`.
    #[must_use]
    pub fn value(&self, meter: MeterIx, quarter: Quarter) -> Option<Value> {
        let home = self.homes.of(meter)?;
        self.see(home.block, quarter)?.get(usize::from(home.slot))
    }

    /// A look at one quarter that answers for many meters without a hash look-up each.
    #[must_use]
    pub fn view(&self, quarter: Quarter) -> QuarterView<'_> {
        QuarterView {
            state: self,
            quarter,
            block: u32::MAX,
            chunk: None,
        }
    }

    /// Takes at most so many of the dirty chunks, in no order.
    pub fn take_dirty(&mut self, chunks_max: usize) -> Vec<Changed> {
        let dirty = self.dirty.split_off(self.dirty.len().saturating_sub(chunks_max));
        let mut taken = Vec::with_capacity(dirty.len());
        for (at, quarter) in dirty {
            let Some(block) = self.blocks.get_mut(position(at)) else {
                continue;
            };
            let slots = block
                .chunks
                .here_mut(quarter)
                .map(|chunk| std::mem::take(&mut chunk.dirty));
            let meters = match slots {
                Some(DirtySlots::Few(slots)) => {
                    let meter = |slot: u16| block.meters.get(usize::from(slot)).copied();
                    Some(slots.into_iter().filter_map(meter).collect())
                }
                Some(DirtySlots::Many | DirtySlots::None) | None => None,
            };
            taken.push(Changed {
                quarter,
                block: BlockNumber(at),
                meters,
            });
        }
        taken
    }

    /// Whether any chunk has changed since they were last taken.
    #[must_use]
    pub fn has_dirty(&self) -> bool {
        !self.dirty.is_empty()
    }

    /// Number of chunks that have changed since they were last taken.
    #[must_use]
    pub fn dirty_chunks(&self) -> usize {
        self.dirty.len()
    }

    /// The meters of a block. A block only grows.
    #[must_use]
    pub fn meters_of(&self, block: BlockNumber) -> &[MeterIx] {
        self.blocks
            .get(position(block.0))
            .map_or(&[], |block| block.meters.as_slice())
    }

    /// The block in which a meter lives; `None` before its first read.
    #[must_use]
    pub fn block_of(&self, meter: MeterIx) -> Option<BlockNumber> {
        self.homes.of(meter).map(|home| BlockNumber(home.block))
    }

    /// The quarters in which a block has values.
    pub fn quarters(&self, block: BlockNumber) -> impl Iterator<Item = Quarter> {
        self.blocks
            .get(position(block.0))
            .into_iter()
            .flat_map(|block| block.chunks.quarters())
    }

    /// A chunk to look at, wherever it is.
    fn see(&self, block: u32, quarter: Quarter) -> Option<Seen<'_>> {
        let chunks = self.blocks.get(position(block)).map(|block| &block.chunks)?;
        chunks.see(self.cold.as_deref(), (block, quarter))
    }

    /// Number of (meter, interval) cells in memory that hold a value.
    #[must_use]
    pub const fn cells(&self) -> u64 {
        self.cells
    }

    /// Number of chunks held.
    #[must_use]
    pub fn chunks(&self) -> usize {
        self.blocks.iter().map(|block| block.chunks.len()).sum()
    }

    /// Every (meter, interval) that has a value, with the value; in no order.
    pub fn values(&self) -> impl Iterator<Item = (MeterIx, Quarter, Value)> {
        (0..).zip(&self.blocks).flat_map(move |(number, block)| {
            block.chunks.quarters().flat_map(move |quarter| {
                let chunk = self.see(number, quarter);
                let of_slot = move |(slot, meter): (usize, &MeterIx)| {
                    Some((*meter, quarter, chunk.as_ref()?.get(slot)?))
                };
                block.meters.iter().enumerate().filter_map(of_slot)
            })
        })
    }
}

/// A block of the state, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BlockNumber(u32);

impl BlockNumber {
    pub(crate) const FIRST: Self = Self(0);
}

/// One quarter of the state, for meters in roster order: neighbours share a block, so the chunk is found once.
#[derive(Debug)]
pub struct QuarterView<'a> {
    state: &'a State,
    quarter: Quarter,
    block: u32,
    chunk: Option<Seen<'a>>,
}

impl QuarterView<'_> {
    /// Quality, import and export of a meter, Wh as it counts; `None` without a value.
    pub fn energy(&mut self, meter: MeterIx) -> Option<(Quality, u32, u32)> {
        let home = self.state.homes.of(meter)?;
        if home.block != self.block {
            self.block = home.block;
            self.chunk = self.state.see(home.block, self.quarter);
        }
        let chunk = self.chunk.as_ref()?;
        let slot = usize::from(home.slot);
        let (quality, import_wh) = chunk.import(slot)?;
        Some((quality, import_wh, chunk.export(slot).unwrap_or(0)))
    }
}
