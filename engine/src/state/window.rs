//! A look at a span of quarters of one block: the chunks are found once for all its meters.

use super::{Arrival, BlockNumber, Quality, Quarter, State, Value, chunk::Chunk, position};
use crate::network::MeterIx;

/// What a cell holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// Nothing.
    Nothing,
    /// An estimate.
    Estimate,
    /// A value that was said or edited, the first of which came so soon.
    Said(Arrival),
}

/// What a value says of energy and voltage.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// Wh imported, as the meter counts.
    pub import_wh: u32,
    /// Wh exported; 0 where none was said.
    pub export_wh: u32,
    /// Volts.
    pub voltage_v: Option<f32>,
}

/// The chunks of one block over a span of quarters.
#[derive(Debug)]
pub struct BlockWindow<'a> {
    chunks: Vec<Option<&'a Chunk>>,
}

impl State {
    /// The block and slot of a meter; `None` before its first value.
    #[must_use]
    pub fn slot_of(&self, meter: MeterIx) -> Option<(BlockNumber, usize)> {
        let home = self.homes.of(meter)?;
        Some((BlockNumber(home.block), usize::from(home.slot)))
    }

    /// The chunks of a block in `quarters`.
    #[must_use]
    pub fn window(&self, block: BlockNumber, quarters: std::ops::RangeInclusive<Quarter>) -> BlockWindow<'_> {
        let chunks = self.blocks.get(position(block.0)).map(|block| &block.chunks);
        let of_quarter = |quarter: u32| chunks?.get(&Quarter(quarter));
        BlockWindow {
            chunks: (quarters.start().0..=quarters.end().0).map(of_quarter).collect(),
        }
    }
}

impl BlockWindow<'_> {
    /// What the cell of a slot holds in the quarter at this position of the span.
    #[must_use]
    pub fn held(&self, slot: usize, position: usize) -> Held {
        let chunk = self.chunks.get(position).copied().flatten();
        let quality = chunk.and_then(|chunk| chunk.quality.get(slot)).copied();
        match quality.unwrap_or_default() {
            Quality::Missing => Held::Nothing,
            Quality::Estimated => Held::Estimate,
            Quality::Actual | Quality::Edited => {
                let arrival = chunk.and_then(|chunk| chunk.arrival.get(slot)).copied();
                Held::Said(arrival.unwrap_or_default())
            }
        }
    }

    /// Energy and voltage of the value of a slot in the quarter at this position of the span, if it was said or edited.
    #[must_use]
    pub fn sample(&self, slot: usize, position: usize) -> Option<Sample> {
        let chunk = self.chunks.get(position).copied().flatten()?;
        if *chunk.quality.get(slot)? <= Quality::Estimated {
            return None;
        }
        Some(Sample {
            import_wh: chunk.import_wh.get(slot).unwrap_or(0),
            export_wh: chunk.export_wh.get(slot).unwrap_or(0),
            voltage_v: chunk.voltage_v.get(slot).map(f32::from_bits),
        })
    }

    /// The values of a slot that were said or edited, quarter by quarter, added to `values`.
    pub fn own_values(&self, slot: usize, values: &mut Vec<Option<Value>>) {
        values.extend(
            self.chunks
                .iter()
                .map(|chunk| chunk.and_then(|chunk| chunk.own(slot))),
        );
    }
}
