//! The value columns of one block and one quarter.

use gridtally_schemas::{UtcMicros, varint};

use super::{
    Arrival, Quality, Value,
    column::{Column, Hundredths, Ones, Tenths, fixed, lengthen},
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

/// The value columns of one block and one quarter. A slot has a value where it has an import.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    /// Slots that changed since the dirty chunks were taken.
    pub(super) dirty: DirtySlots,
    import_wh: Column<Ones>,
    voltage_v: Column<Tenths>,
    pub(super) rest: Option<Box<Rest>>,
}

/// The columns that many chunks do not have.
#[derive(Debug, Default)]
pub(super) struct Rest {
    export_wh: Column<Ones>,
    pub(super) import_vah: Column<Ones>,
    current_a: Column<Hundredths>,
    /// Of a slot with a value; one beyond the end is [`Quality::Actual`].
    quality: Vec<Quality>,
    pub(super) captured_at: Vec<i64>,
    pub(super) revision: Vec<i32>,
    /// How soon the first value came that was said; an estimate never comes.
    arrival: Vec<Arrival>,
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
    fn of_rest<T>(&self, of: impl FnOnce(&Rest) -> Option<T>) -> Option<T> {
        self.rest.as_deref().and_then(of)
    }

    pub(super) fn get(&self, slot: usize) -> Option<Value> {
        let (quality, import_wh) = self.import(slot)?;
        let rest = self.rest.as_deref();
        let captured_at = rest.and_then(|rest| rest.captured_at.get(slot)).copied();
        let revision = rest.and_then(|rest| rest.revision.get(slot)).copied();
        Some(Value {
            quality,
            revision: revision.unwrap_or(0),
            captured_at: captured_at.filter(|at| *at != NO_TIME).map(UtcMicros),
            import_wh,
            export_wh: rest.and_then(|rest| rest.export_wh.get(slot)),
            import_vah: rest.and_then(|rest| rest.import_vah.get(slot)),
            voltage_v: self.voltage(slot),
            current_a: rest.and_then(|rest| rest.current_a.get(slot)).map(f32::from_bits),
        })
    }

    /// Quality and import of the value of a slot.
    pub(super) fn import(&self, slot: usize) -> Option<(Quality, u32)> {
        let import_wh = self.import_wh.get(slot)?;
        let quality = self.of_rest(|rest| rest.quality.get(slot).copied());
        Some((quality.unwrap_or(Quality::Actual), import_wh))
    }

    /// Export of the value of a slot; `None` where none was said.
    pub(super) fn export(&self, slot: usize) -> Option<u32> {
        self.of_rest(|rest| rest.export_wh.get(slot))
    }

    /// Volts of the value of a slot.
    pub(super) fn voltage(&self, slot: usize) -> Option<f32> {
        self.voltage_v.get(slot).map(f32::from_bits)
    }

    /// How soon the first value of a slot came.
    pub(super) fn arrival(&self, slot: usize) -> Arrival {
        self.of_rest(|rest| rest.arrival.get(slot).copied())
            .unwrap_or_default()
    }

    /// The value that was said or edited; an estimate is none.
    pub(super) fn own(&self, slot: usize) -> Option<Value> {
        self.get(slot).filter(|value| value.quality > Quality::Estimated)
    }

    /// Notes how soon a value came, the first of its cell or another one; tells whether that is sooner than all before it.
    pub(super) fn arrive(&mut self, slot: usize, arrival: Arrival, is_first: bool) -> bool {
        if !is_first && arrival >= self.arrival(slot) {
            return false;
        }
        let late = Some(arrival).filter(|arrival| *arrival != Arrival::default());
        if let Some(rest) = self.rest_for(late.is_some()) {
            set(&mut rest.arrival, (slot, 0), late, Arrival::default());
        }
        !is_first
    }

    /// Puts a value into a slot of a block of so many `slots`.
    pub(super) fn put(&mut self, slot: usize, value: &Value, slots: usize) {
        self.import_wh.set(slot, Some(value.import_wh), slots);
        self.voltage_v.set(slot, value.voltage_v.map(f32::to_bits), slots);
        let place = (slot, slots);
        let quality = Some(value.quality).filter(|quality| *quality != Quality::Actual);
        let captured_at = value.captured_at.map(|at| at.0);
        let revision = Some(value.revision).filter(|revision| *revision != 0);
        let is_more = value.export_wh.is_some() || value.import_vah.is_some() || value.current_a.is_some();
        let is_told = quality.is_some() || captured_at.is_some() || revision.is_some();
        if let Some(rest) = self.rest_for(is_more || is_told) {
            rest.export_wh.set(slot, value.export_wh, slots);
            rest.import_vah.set(slot, value.import_vah, slots);
            rest.current_a.set(slot, value.current_a.map(f32::to_bits), slots);
            set(&mut rest.quality, place, quality, Quality::Actual);
            set(&mut rest.captured_at, place, captured_at, NO_TIME);
            set(&mut rest.revision, place, revision, 0);
        }
    }

    /// Takes the value of a slot away.
    pub(super) fn take_away(&mut self, slot: usize) {
        self.import_wh.set(slot, None, 0);
    }

    /// The other columns, if there are any or there `must` be.
    fn rest_for(&mut self, must: bool) -> Option<&mut Rest> {
        if must {
            self.rest.get_or_insert_default();
        }
        self.rest.as_deref_mut()
    }

    /// Appends the columns, for [`Chunk::read`]. Which slots changed is not in it.
    pub(super) fn write(&self, bytes: &mut Vec<u8>) {
        self.import_wh.write(bytes);
        self.voltage_v.write(bytes);
        let Some(rest) = self.rest.as_deref() else {
            return;
        };
        rest.export_wh.write(bytes);
        rest.import_vah.write(bytes);
        rest.current_a.write(bytes);
        let count = |count: usize, bytes: &mut Vec<u8>| {
            varint::push(u64::try_from(count).unwrap_or(u64::MAX), bytes);
        };
        count(rest.quality.len(), bytes);
        bytes.extend(rest.quality.iter().map(|quality| quality.to_bits()));
        count(rest.captured_at.len(), bytes);
        bytes.extend(rest.captured_at.iter().flat_map(|at| at.to_le_bytes()));
        count(rest.revision.len(), bytes);
        bytes.extend(rest.revision.iter().flat_map(|revision| revision.to_le_bytes()));
        count(rest.arrival.len(), bytes);
        bytes.extend(rest.arrival.iter().map(|arrival| arrival.to_bits()));
    }

    /// A chunk of what [`Chunk::write`] wrote; `None` of anything else.
    pub(super) fn read(mut bytes: &[u8]) -> Option<Self> {
        let from = &mut bytes;
        let (import_wh, voltage_v) = (Column::read(from)?, Column::read(from)?);
        let rest = if from.is_empty() {
            None
        } else {
            let count = |from: &mut &[u8]| usize::try_from(varint::take(from)?).ok();
            Some(Box::new(Rest {
                export_wh: Column::read(from)?,
                import_vah: Column::read(from)?,
                current_a: Column::read(from)?,
                quality: count(from).and_then(|count| fixed(from, count, |[bits]| Quality::of_bits(bits)))?,
                captured_at: count(from).and_then(|count| fixed(from, count, i64::from_le_bytes))?,
                revision: count(from).and_then(|count| fixed(from, count, i32::from_le_bytes))?,
                arrival: count(from).and_then(|count| fixed(from, count, |[bits]| Arrival::of_bits(bits)))?,
            }))
        };
        from.is_empty().then_some(Self {
            dirty: DirtySlots::None,
            import_wh,
            voltage_v,
            rest,
        })
    }

    /// Memory that it takes, bytes.
    pub(super) fn bytes(&self) -> usize {
        let of_rest = |rest: &Rest| {
            let energies = rest.export_wh.bytes() + rest.import_vah.bytes() + rest.current_a.bytes();
            let told = 4 * rest.revision.capacity() + 8 * rest.captured_at.capacity();
            size_of::<Rest>() + energies + told + rest.quality.capacity() + rest.arrival.capacity()
        };
        let own = self.import_wh.bytes() + self.voltage_v.bytes();
        size_of::<Self>() + own + self.rest.as_deref().map_or(0, of_rest)
    }

    /// Cells that hold a value of their meter's own.
    pub(super) fn own_cells(&self) -> u64 {
        let own = (0..self.import_wh.len()).filter(|slot| {
            self.import(*slot)
                .is_some_and(|(quality, _)| quality > Quality::Estimated)
        });
        u64::try_from(own.count()).unwrap_or(u64::MAX)
    }
}
