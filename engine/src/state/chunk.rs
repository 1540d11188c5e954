//! The value columns of one block and one quarter.

use gridtally_schemas::UtcMicros;

use super::{
    Arrival, Quality, Value,
    column::{Column, Hundredths, Ones, Tenths, lengthen},
};

/// Changed slots of a chunk that are told apart: a late read or a correction concerns one DT of its feeder, a burst all of them.
pub(super) const DIRTY_SLOTS_MAX: usize = 32;
const NO_TIME: i64 = i64::MIN;

/// Which slots of a chunk changed.
#[derive(Debug, Default)]
pub(super) enum DirtySlots {
    #[default]
    None,
    /// These, at most [`DIRTY_SLOTS_MAX`], perhaps some of them twice.
    Few(Vec<u16>),
    /// More than that.
    Many,
}

impl DirtySlots {
    /// Notes a slot; tells whether it is the first.
    pub(super) fn mark(&mut self, slot: usize) -> bool {
        let slot = u16::try_from(slot).unwrap_or(u16::MAX);
        match self {
            Self::None => {
                *self = Self::Few(vec![slot]);
                true
            }
            Self::Few(slots) if slots.len() < DIRTY_SLOTS_MAX => {
                slots.push(slot);
                false
            }
            Self::Few(_) => {
                *self = Self::Many;
                false
            }
            Self::Many => false,
        }
    }
}

/// The value columns of one block and one quarter.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    /// Slots that changed since the dirty chunks were taken.
    pub(super) dirty: DirtySlots,
    pub(super) quality: Vec<Quality>,
    pub(super) import_wh: Column<Ones>,
    pub(super) export_wh: Column<Ones>,
    pub(super) import_vah: Column<Ones>,
    pub(super) voltage_v: Column<Tenths>,
    pub(super) current_a: Column<Hundredths>,
    pub(super) captured_at: Vec<i64>,
    pub(super) revision: Vec<i32>,
    /// How soon the first value came that was said; an estimate never comes.
    pub(super) arrival: Vec<Arrival>,
}

fn set<T: Copy>(column: &mut Vec<T>, (slot, slots): (usize, usize), value: Option<T>, absent: T) {
    let Some(value) = value else {
        if let Some(cell) = column.get_mut(slot) {
            *cell = absent;
        }
        return;
    };
    lengthen(column, slot, slots, absent);
    if let Some(cell) = column.get_mut(slot) {
        *cell = value;
    }
}

impl Chunk {
    pub(super) fn get(&self, slot: usize) -> Option<Value> {
        let quality = self.quality.get(slot).copied().unwrap_or_default();
        if quality == Quality::Missing {
            return None;
        }
        Some(Value {
            quality,
            revision: self.revision.get(slot).copied().unwrap_or(0),
            captured_at: self
                .captured_at
                .get(slot)
                .copied()
                .filter(|at| *at != NO_TIME)
                .map(UtcMicros),
            import_wh: self.import_wh.get(slot).unwrap_or(0),
            export_wh: self.export_wh.get(slot),
            import_vah: self.import_vah.get(slot),
            voltage_v: self.voltage_v.get(slot).map(f32::from_bits),
            current_a: self.current_a.get(slot).map(f32::from_bits),
        })
    }

    /// The value that was said or edited; an estimate is none.
    pub(super) fn own(&self, slot: usize) -> Option<Value> {
        self.get(slot).filter(|value| value.quality > Quality::Estimated)
    }

    /// Notes how soon a value came, the first of its cell or another one; tells whether that is sooner than all before it.
    pub(super) fn arrive(&mut self, slot: usize, arrival: Arrival, is_first: bool) -> bool {
        let known = self.arrival.get(slot).copied().unwrap_or_default();
        if !is_first && arrival >= known {
            return false;
        }
        let late = Some(arrival).filter(|arrival| *arrival != Arrival::default());
        set(&mut self.arrival, (slot, 0), late, Arrival::default());
        !is_first
    }

    /// Puts a value into a slot of a block of so many `slots`.
    pub(super) fn put(&mut self, slot: usize, value: &Value, slots: usize) {
        let place = (slot, slots);
        set(&mut self.quality, place, Some(value.quality), Quality::Missing);
        self.import_wh.set(slot, Some(value.import_wh), slots);
        self.export_wh.set(slot, value.export_wh, slots);
        self.import_vah.set(slot, value.import_vah, slots);
        self.voltage_v.set(slot, value.voltage_v.map(f32::to_bits), slots);
        self.current_a.set(slot, value.current_a.map(f32::to_bits), slots);
        set(
            &mut self.captured_at,
            place,
            value.captured_at.map(|at| at.0),
            NO_TIME,
        );
        set(
            &mut self.revision,
            place,
            Some(value.revision).filter(|revision| *revision != 0),
            0,
        );
    }
}
