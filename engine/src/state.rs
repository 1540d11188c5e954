//! The validated value of every (meter, interval): dense columns, merged by a join.
//!
//! Of all versions seen of one (meter, interval) the greatest stands, in the order (quality, revision, captured_at, content).
//! The merge is commutative, associative and idempotent, so duplicates, replays, late and shuffled arrival all lead to the
//! same state, bit for bit (ORD-1).
//!
//! ```text
//! meter ──home──▶ block (up to 1,024 meters that were on one feeder when first heard) ── quarter ──▶ chunk
//! chunk: quality u8 · import u32 per meter; export, kVAh, voltage, current, captured_at, revision only once someone sends them
//! ```
//!
//! A meter keeps its home until the process ends; rosters refer to meters, so moving a consumer moves nothing here. A cell (meter
//! and interval) of plain import reads takes 5 bytes, with export and voltage 13; one with several versions about 150 more.
//! Nothing here knows the network: whether a value counts in a balance is decided when the balance is gathered, so a change of
//! master data never changes the state.

use gridtally_schemas::{
    IntervalRead, UtcMicros, edit::Edit, quantity::INTERVAL_WH_MAX, time::QUARTER_MICROS,
};
use hashbrown::HashMap;

use crate::network::{MeterIx, NodeIx};

#[cfg(test)]
mod tests;

/// Most meters in a block.
const BLOCK_METERS_MAX: usize = 1_024;
const NO_ENERGY: u32 = u32::MAX;
const NO_TIME: i64 = i64::MIN;

/// Number of a quarter hour since 1970: when an interval ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
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

/// Where a value comes from, worst first (DOMAIN section 3).
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Quality {
    /// No value.
    #[default]
    Missing,
    /// Estimated by a named method.
    Estimated,
    /// As the meter said.
    Actual,
    /// Set by a named person, with a reason.
    Edited,
}

impl Quality {
    /// The quality of a word in the `quality` column.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Missing, Self::Estimated, Self::Actual, Self::Edited]
            .into_iter()
            .find(|quality| quality.as_str() == word)
    }

    /// The word in the `quality` column.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Estimated => "estimated",
            Self::Actual => "actual",
            Self::Edited => "edited",
        }
    }
}

/// One version of the value of a (meter, interval), within the limits that the state can hold.
#[derive(Debug, Clone, Copy)]
pub struct Value {
    /// Where it comes from.
    pub quality: Quality,
    /// Revision of its source.
    pub revision: i32,
    /// When it was made, by its source.
    pub captured_at: Option<UtcMicros>,
    /// Wh imported, as the meter counts.
    pub import_wh: u32,
    /// Wh exported.
    pub export_wh: Option<u32>,
    /// VAh imported.
    pub import_vah: Option<u32>,
    /// Volts.
    pub voltage_v: Option<f32>,
    /// Amperes.
    pub current_a: Option<f32>,
}

/// Why a read cannot be a value: a hard failure of validation (DOMAIN section 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HardFailure {
    /// An energy below zero.
    Negative,
    /// An energy above what any meter counts in an interval ([`INTERVAL_WH_MAX`]).
    OutOfRange,
}

impl Value {
    /// The value that an interval read carries; `Ok(None)` when the source reports it as missing.
    ///
    /// # Errors
    /// [`HardFailure`] when an energy cannot be one.
    pub fn of_read(read: &IntervalRead) -> Result<Option<Self>, HardFailure> {
        let energy = |wh: i64| match wh {
            ..0 => Err(HardFailure::Negative),
            0..=INTERVAL_WH_MAX => u32::try_from(wh).map_err(|_| HardFailure::OutOfRange),
            _ => Err(HardFailure::OutOfRange),
        };
        let Some(import_wh) = read.import_wh else {
            return Ok(None);
        };
        Ok(Some(Self {
            quality: Quality::Actual,
            revision: read.revision,
            captured_at: read.captured_at,
            import_wh: energy(import_wh)?,
            export_wh: read.export_wh.map(energy).transpose()?,
            import_vah: read.import_vah.map(energy).transpose()?,
            voltage_v: read.voltage_v.filter(|volts| !volts.is_nan()),
            current_a: read.current_a.filter(|amperes| !amperes.is_nan()),
        }))
    }

    /// The value that a person set at `made_at`, with its interval; `None` when the interval is off the grid or an energy out of
    /// range. It stands above every actual value; of two edits the one made later stands.
    #[must_use]
    pub fn of_edit(edit: &Edit, made_at: UtcMicros) -> Option<(Quarter, Self)> {
        let read = IntervalRead {
            export_wh: edit.export_wh,
            captured_at: Some(made_at),
            ..IntervalRead::new(edit.interval_end, Some(edit.import_wh))
        };
        let value = Self::of_read(&read).ok().flatten()?;
        let edited = Self {
            quality: Quality::Edited,
            ..value
        };
        Quarter::ending(edit.interval_end).map(|quarter| (quarter, edited))
    }

    /// What decides between two versions; the greater stands.
    fn rank(&self) -> (Quality, i32, Option<UtcMicros>, Content) {
        let bits = |number: Option<f32>| number.map(f32::to_bits);
        let content: Content = (
            self.import_wh,
            self.export_wh,
            self.import_vah,
            bits(self.voltage_v),
            bits(self.current_a),
        );
        (self.quality, self.revision, self.captured_at, content)
    }
}

type Content = (u32, Option<u32>, Option<u32>, Option<u32>, Option<u32>);

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.rank() == other.rank()
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
    /// It lost to the value that stands; it is kept as a row of version 0.
    Superseded,
    /// It was here before.
    Duplicate,
}

/// Where a meter's values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Home {
    block: u32,
    slot: u32,
}

/// The value columns of one block and one quarter.
#[derive(Debug, Default)]
struct Chunk {
    dirty: bool,
    quality: Vec<Quality>,
    import_wh: Vec<u32>,
    export_wh: Vec<u32>,
    import_vah: Vec<u32>,
    voltage_v: Vec<f32>,
    current_a: Vec<f32>,
    captured_at: Vec<i64>,
    revision: Vec<i32>,
}

fn set<T: Copy>(column: &mut Vec<T>, slot: usize, value: Option<T>, absent: T) {
    let Some(value) = value else {
        if let Some(cell) = column.get_mut(slot) {
            *cell = absent;
        }
        return;
    };
    if column.len() <= slot {
        column.resize(slot + 1, absent);
    }
    if let Some(cell) = column.get_mut(slot) {
        *cell = value;
    }
}

impl Chunk {
    fn get(&self, slot: usize) -> Option<Value> {
        let quality = self.quality.get(slot).copied().unwrap_or_default();
        if quality == Quality::Missing {
            return None;
        }
        let energy = |column: &[u32]| column.get(slot).copied().filter(|wh| *wh != NO_ENERGY);
        let number = |column: &[f32]| column.get(slot).copied().filter(|number| !number.is_nan());
        Some(Value {
            quality,
            revision: self.revision.get(slot).copied().unwrap_or(0),
            captured_at: self
                .captured_at
                .get(slot)
                .copied()
                .filter(|at| *at != NO_TIME)
                .map(UtcMicros),
            import_wh: self.import_wh.get(slot).copied().unwrap_or(0),
            export_wh: energy(&self.export_wh),
            import_vah: energy(&self.import_vah),
            voltage_v: number(&self.voltage_v),
            current_a: number(&self.current_a),
        })
    }

    fn put(&mut self, slot: usize, value: &Value) {
        set(&mut self.quality, slot, Some(value.quality), Quality::Missing);
        set(&mut self.import_wh, slot, Some(value.import_wh), 0);
        set(&mut self.export_wh, slot, value.export_wh, NO_ENERGY);
        set(&mut self.import_vah, slot, value.import_vah, NO_ENERGY);
        set(&mut self.voltage_v, slot, value.voltage_v, f32::NAN);
        set(&mut self.current_a, slot, value.current_a, f32::NAN);
        set(
            &mut self.captured_at,
            slot,
            value.captured_at.map(|at| at.0),
            NO_TIME,
        );
        set(
            &mut self.revision,
            slot,
            Some(value.revision).filter(|revision| *revision != 0),
            0,
        );
    }
}

#[derive(Debug, Default)]
struct Block {
    meters: Vec<MeterIx>,
    chunks: HashMap<Quarter, Chunk>,
}

/// The feeders a meter was on when first heard: one, two for a boundary meter, none while no connection is known. Meters with the
/// same feeders share blocks, so that a dirty chunk concerns few feeders.
pub type Feeders = [Option<NodeIx>; 2];

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
    homes: Vec<Option<Home>>,
    blocks: Vec<Block>,
    open_blocks: HashMap<Feeders, u32>,
    versions: HashMap<(MeterIx, Quarter), Versions>,
    dirty: Vec<(u32, Quarter)>,
    cells: u64,
}

fn position(index: u32) -> usize {
    usize::try_from(index).unwrap_or(usize::MAX)
}

impl State {
    /// Merges one version of the value of `meter` in the interval that ends at `quarter`.
    ///
    /// `feeders` only decide which block a new meter joins; see [`Feeders`].
    pub fn merge(&mut self, meter: MeterIx, feeders: Feeders, quarter: Quarter, value: &Value) -> Merged {
        let home = self.home(meter, feeders);
        let slot = position(home.slot);
        let Some(block) = self.blocks.get_mut(position(home.block)) else {
            return Merged::Duplicate;
        };
        let chunk = block.chunks.entry(quarter).or_default();
        let outcome = match chunk.get(slot) {
            None => {
                let entry = self.versions.get_mut(&(meter, quarter));
                self.cells += 1;
                let version = entry.map_or(1, |versions| versions.accept(value));
                Merged::Accepted { version }
            }
            Some(held) if held == *value => return Merged::Duplicate,
            Some(held) => {
                let first = || Versions {
                    seen: vec![held],
                    accepted: 1,
                };
                let versions = self.versions.entry((meter, quarter)).or_insert_with(first);
                if versions.seen.contains(value) {
                    return Merged::Duplicate;
                }
                if value.rank() > held.rank() {
                    Merged::Accepted {
                        version: versions.accept(value),
                    }
                } else {
                    versions.seen.push(*value);
                    return Merged::Superseded;
                }
            }
        };
        chunk.put(slot, value);
        if !chunk.dirty {
            chunk.dirty = true;
            self.dirty.push((home.block, quarter));
        }
        outcome
    }

    /// Puts back a row of `interval_reads`, in any order: `version` is the row's, 0 for one that was superseded.
    pub fn restore(
        &mut self,
        meter: MeterIx,
        feeders: Feeders,
        quarter: Quarter,
        (version, value): (i64, &Value),
    ) {
        let home = self.home(meter, feeders);
        let slot = position(home.slot);
        let Some(block) = self.blocks.get_mut(position(home.block)) else {
            return;
        };
        let chunk = block.chunks.entry(quarter).or_default();
        let held = chunk.get(slot);
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
            chunk.put(slot, value);
        }
        if !chunk.dirty {
            chunk.dirty = true;
            self.dirty.push((home.block, quarter));
        }
    }

    fn home(&mut self, meter: MeterIx, feeders: Feeders) -> Home {
        if let Some(Some(home)) = self.homes.get(meter.at()) {
            return *home;
        }
        let room = |block: &u32| {
            self.blocks
                .get(position(*block))
                .is_some_and(|block| block.meters.len() < BLOCK_METERS_MAX)
        };
        let open = self.open_blocks.get(&feeders).copied().filter(room);
        let block = open.unwrap_or_else(|| {
            let new = u32::try_from(self.blocks.len()).unwrap_or(u32::MAX);
            self.blocks.push(Block::default());
            self.open_blocks.insert(feeders, new);
            new
        });
        let mut home = Home { block, slot: 0 };
        if let Some(entry) = self.blocks.get_mut(position(block)) {
            home.slot = u32::try_from(entry.meters.len()).unwrap_or(u32::MAX);
            entry.meters.push(meter);
        }
        if self.homes.len() <= meter.at() {
            self.homes.resize(meter.at() + 1, None);
        }
        if let Some(cell) = self.homes.get_mut(meter.at()) {
            *cell = Some(home);
        }
        home
    }

    /// The value of `meter` in the interval that ends at `quarter`.
    #[must_use]
    pub fn value(&self, meter: MeterIx, quarter: Quarter) -> Option<Value> {
        let home = self.homes.get(meter.at()).copied().flatten()?;
        let block = self.blocks.get(position(home.block))?;
        block.chunks.get(&quarter)?.get(position(home.slot))
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

    /// Takes the dirty chunks: for each its quarter and its block.
    pub fn take_dirty(&mut self) -> Vec<(Quarter, BlockNumber)> {
        let dirty = std::mem::take(&mut self.dirty);
        let mut taken = Vec::with_capacity(dirty.len());
        for (at, quarter) in dirty {
            let Some(block) = self.blocks.get_mut(position(at)) else {
                continue;
            };
            if let Some(chunk) = block.chunks.get_mut(&quarter) {
                chunk.dirty = false;
            }
            taken.push((quarter, BlockNumber(at)));
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
        self.homes
            .get(meter.at())
            .copied()
            .flatten()
            .map(|home| BlockNumber(home.block))
    }

    /// The quarters in which a block has values.
    pub fn quarters(&self, block: BlockNumber) -> impl Iterator<Item = Quarter> {
        self.blocks
            .get(position(block.0))
            .into_iter()
            .flat_map(|block| block.chunks.keys().copied())
    }

    /// Number of (meter, interval) cells that hold a value.
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
        self.blocks.iter().flat_map(|block| {
            block.chunks.iter().flat_map(move |(quarter, chunk)| {
                let of_slot =
                    move |(slot, meter): (usize, &MeterIx)| Some((*meter, *quarter, chunk.get(slot)?));
                block.meters.iter().enumerate().filter_map(of_slot)
            })
        })
    }
}

/// A block of the state, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BlockNumber(u32);

/// One quarter of the state, for meters in roster order: neighbours share a block, so the chunk is found once.
#[derive(Debug)]
pub struct QuarterView<'a> {
    state: &'a State,
    quarter: Quarter,
    block: u32,
    chunk: Option<&'a Chunk>,
}

impl QuarterView<'_> {
    /// Quality, import and export of a meter, Wh as it counts; `None` without a value.
    pub fn energy(&mut self, meter: MeterIx) -> Option<(Quality, u32, u32)> {
        let home = self.state.homes.get(meter.at()).copied().flatten()?;
        if home.block != self.block {
            let block = self.state.blocks.get(position(home.block))?;
            self.block = home.block;
            self.chunk = block.chunks.get(&self.quarter);
        }
        let chunk = self.chunk?;
        let slot = position(home.slot);
        let quality = chunk
            .quality
            .get(slot)
            .copied()
            .filter(|quality| *quality != Quality::Missing)?;
        let export = chunk
            .export_wh
            .get(slot)
            .copied()
            .filter(|wh| *wh != NO_ENERGY)
            .unwrap_or(0);
        Some((quality, chunk.import_wh.get(slot).copied()?, export))
    }
}
