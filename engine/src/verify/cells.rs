//! The reads of one day and some meters, dense: one cell for every (meter, quarter).

use std::ops::RangeInclusive;

use hashbrown::HashSet;

use crate::{
    network::MeterIx,
    state::{Quality, Quarter},
};

const NO_SLOT: u32 = u32::MAX;
/// Quarters of the longest interval.
const QUARTERS_OF_INTERVAL_MAX: u32 = 2;

/// Which meters have a column, and which quarters a line.
#[derive(Debug)]
pub(super) struct Frame {
    slots: Vec<u32>,
    meters: Vec<MeterIx>,
    /// The day's own quarters.
    own: RangeInclusive<Quarter>,
    /// The first line: that of the day's first quarter, or the one before it where a 30-minute interval reaches back.
    first: Quarter,
}

impl Frame {
    pub(super) fn new(meters: Vec<MeterIx>, own: RangeInclusive<Quarter>) -> Self {
        let length = meters.iter().map(|meter| meter.at() + 1).max().unwrap_or(0);
        let mut slots = vec![NO_SLOT; length];
        for (at, meter) in meters.iter().enumerate() {
            if let (Some(slot), Ok(at)) = (slots.get_mut(meter.at()), u32::try_from(at)) {
                *slot = at;
            }
        }
        Self {
            slots,
            meters,
            first: reached_back_to(*own.start()),
            own,
        }
    }

    /// The quarters that end in the day itself.
    pub(super) const fn own(&self) -> &RangeInclusive<Quarter> {
        &self.own
    }

    pub(super) const fn first(&self) -> Quarter {
        self.first
    }

    /// The column of a meter.
    pub(super) fn slot(&self, meter: MeterIx) -> Option<u32> {
        self.slots
            .get(meter.at())
            .copied()
            .filter(|slot| *slot != NO_SLOT)
    }

    /// The cell of a column and a quarter; `None` outside.
    pub(super) fn place(&self, slot: u32, quarter: Quarter) -> Option<usize> {
        if quarter < self.first || quarter > *self.own.end() {
            return None;
        }
        let line = usize::try_from(quarter.0 - self.first.0).ok()?;
        Some(line * self.meters.len() + usize::try_from(slot).ok()?)
    }

    /// What a cell is of.
    pub(super) fn cell(&self, place: usize) -> Option<(MeterIx, Quarter)> {
        let columns = self.meters.len();
        let meter = self.meters.get(place.checked_rem(columns)?)?;
        let line = u32::try_from(place.checked_div(columns)?).ok()?;
        Some((*meter, Quarter(self.first.0 + line)))
    }

    fn cells(&self) -> usize {
        let lines = usize::try_from(self.own.end().0 - self.first.0 + 1).unwrap_or(0);
        lines * self.meters.len()
    }
}

/// The first quarter of the intervals that end in a day whose own quarters begin with `start`. Only in a zone that is a quarter of an hour off
/// the half hours (Nepal's, not India's) it is of the day before, all of whose reads are then read for its sake.
fn reached_back_to(start: Quarter) -> Quarter {
    let ends_an_interval = start.ceil_to(QUARTERS_OF_INTERVAL_MAX) == start;
    if ends_an_interval {
        start.minus(QUARTERS_OF_INTERVAL_MAX - 1)
    } else {
        start
    }
}

/// A row of `interval_reads` on its way to its cell.
#[derive(Debug, Clone, Copy)]
pub(super) struct Read {
    pub(super) place: usize,
    pub(super) import_wh: u32,
    pub(super) export_wh: u32,
    pub(super) quality: Quality,
    /// Whether it says that it is the first of its interval.
    pub(super) is_first: bool,
}

/// The cells.
#[derive(Debug)]
pub(super) struct Cells {
    quality: Vec<Option<Quality>>,
    import_wh: Vec<u32>,
    export_wh: Vec<u32>,
    /// Cells with more than one row, or with one that is not the first: which of them is valid takes a second look.
    contested: HashSet<usize>,
}

impl Cells {
    pub(super) fn new(frame: &Frame) -> Self {
        let cells = frame.cells();
        Self {
            quality: vec![None; cells],
            import_wh: vec![0; cells],
            export_wh: vec![0; cells],
            contested: HashSet::new(),
        }
    }

    pub(super) fn put(&mut self, read: &Read) {
        let Some(quality) = self.quality.get_mut(read.place) else {
            return;
        };
        if quality.is_some() || !read.is_first {
            self.contested.insert(read.place);
        }
        *quality = Some(read.quality);
        self.set_energy(read);
    }

    fn set_energy(&mut self, read: &Read) {
        if let Some(import_wh) = self.import_wh.get_mut(read.place) {
            *import_wh = read.import_wh;
        }
        if let Some(export_wh) = self.export_wh.get_mut(read.place) {
            *export_wh = read.export_wh;
        }
    }

    /// Puts the valid one of several.
    pub(super) fn decide(&mut self, read: &Read) {
        if let Some(quality) = self.quality.get_mut(read.place) {
            *quality = Some(read.quality);
        }
        self.set_energy(read);
    }

    pub(super) const fn contested(&self) -> &HashSet<usize> {
        &self.contested
    }

    /// Quality, import and export, Wh as the meter counts; `None` without a value.
    pub(super) fn get(&self, place: usize) -> Option<(Quality, u32, u32)> {
        let quality = self.quality.get(place).copied().flatten()?;
        if quality == Quality::Missing {
            return None;
        }
        Some((
            quality,
            self.import_wh.get(place).copied()?,
            self.export_wh.get(place).copied()?,
        ))
    }
}

#[cfg(test)]
mod tests {
    use gridtally_schemas::Zone;

    use super::*;
    use crate::world::quarter_at;

    #[test]
    fn the_day_before_is_read_only_where_a_half_hour_spans_midnight() {
        let first_of = |zone: &Zone| {
            let start = zone.start_of(gridtally_schemas::Day::parse("2026-04-02").unwrap());
            let own = Quarter(quarter_at(start).0 + 1);
            own.0 - reached_back_to(own).0
        };
        assert_eq!(first_of(&Zone::kolkata()), 0);
        assert_eq!(first_of(&Zone::utc()), 0);
        assert_eq!(first_of(&Zone::named("Asia/Kathmandu").unwrap()), 1);
    }
}
