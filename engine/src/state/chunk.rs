//! The value columns of one block and one quarter.

use gridtally_schemas::UtcMicros;

use super::{Arrival, Quality, Value};

/// Changed slots of a chunk that are told apart: a late read or a correction concerns one DT of its feeder, a burst all of them.
pub(super) const DIRTY_SLOTS_MAX: usize = 32;
pub(super) const NO_ENERGY: u32 = u32::MAX;
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
    pub(super) import_wh: Vec<u32>,
    pub(super) export_wh: Vec<u32>,
    pub(super) import_vah: Vec<u32>,
    pub(super) voltage_v: Vec<f32>,
    pub(super) current_a: Vec<f32>,
    pub(super) captured_at: Vec<i64>,
    pub(super) revision: Vec<i32>,
    /// How soon the first value came that was said; an estimate never comes.
    pub(super) arrival: Vec<Arrival>,
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
    pub(super) fn get(&self, slot: usize) -> Option<Value> {
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
        set(&mut self.arrival, slot, late, Arrival::default());
        !is_first
    }

    pub(super) fn put(&mut self, slot: usize, value: &Value) {
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
