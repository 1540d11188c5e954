//! A look at a span of quarters of one block: the chunks are found once for all its meters.

use super::{Arrival, BlockNumber, Quality, Quarter, State, Value, chunks::Seen};
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
    chunks: Vec<Option<Seen<'a>>>,
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
        let of_quarter = |quarter: u32| self.see(block.0, Quarter(quarter));
        BlockWindow {
            chunks: (quarters.start().0..=quarters.end().0).map(of_quarter).collect(),
        }
    }
}

impl BlockWindow<'_> {
    fn chunk(&self, position: usize) -> Option<&Seen<'_>> {
        self.chunks.get(position).and_then(Option::as_ref)
    }

    /// The value of a slot in the quarter at this position of the span, if it was said or edited.
    #[must_use]
    pub fn own(&self, slot: usize, position: usize) -> Option<Value> {
        self.chunk(position)?.own(slot)
    }

    /// What the cell of a slot holds in the quarter at this position of the span.
    #[must_use]
    pub fn held(&self, slot: usize, position: usize) -> Held {
        let Some(chunk) = self.chunk(position) else {
            return Held::Nothing;
        };
        match chunk.import(slot).map(|(quality, _)| quality) {
            None | Some(Quality::Missing) => Held::Nothing,
            Some(Quality::Estimated) => Held::Estimate,
            Some(Quality::Actual | Quality::Edited) => Held::Said(chunk.arrival(slot)),
        }
    }

    /// Energy and voltage of the value of a slot in the quarter at this position of the span, if it was said or edited.
    #[must_use]
    pub fn sample(&self, slot: usize, position: usize) -> Option<Sample> {
        let chunk = self.chunk(position)?;
        let (quality, import_wh) = chunk.import(slot)?;
        (quality > Quality::Estimated).then(|| Sample {
            import_wh,
            export_wh: chunk.export(slot).unwrap_or(0),
            voltage_v: chunk.voltage(slot),
        })
    }

    /// The values of a slot that were said or edited, quarter by quarter, added to `values`.
    pub fn own_values(&self, slot: usize, values: &mut Vec<Option<Value>>) {
        values.extend(
            self.chunks
                .iter()
                .map(|chunk| chunk.as_ref().and_then(|chunk| chunk.own(slot))),
        );
    }
}
