//! A column of a chunk: two bytes a value while nearly all of them fit, four where they do not.
//!
//! An interval's energy of a consumer is below 65 kWh, and meters tell voltage in tenths of a volt and current in hundredths of an ampere.
//! A value that fits is told by a whole number of such steps if that gives back the very same bits; the few others of a column (the
//! feeder's own meter) stand in a list beside it, and where they are not few the column becomes one of four bytes. Which it is can be
//! told from no value that comes out.

use std::marker::PhantomData;

use gridtally_schemas::varint;

/// In place of a value: there is none.
const ABSENT: u16 = u16::MAX;
/// In place of a value: it stands in the list.
const ELSEWHERE: u16 = u16::MAX - 1;
/// The same in a column of four bytes: above every energy, and a number's bits of not-a-number.
const NO_BITS: u32 = u32::MAX;
/// Values of the list for each of these cells at most, and as many more; beyond it four bytes a value take less.
const CELLS_OF_LISTED: usize = 8;

/// How the values of a column are told in two bytes.
pub(super) trait Steps {
    /// The steps of a value; `None` where they would not give it back.
    fn steps(bits: u32) -> Option<u16>;
    /// The value of so many steps.
    fn bits(steps: u16) -> u32;
}

/// Whole numbers.
#[derive(Debug)]
pub(super) struct Ones;
/// Numbers in tenths.
#[derive(Debug)]
pub(super) struct Tenths;
/// Numbers in hundredths.
#[derive(Debug)]
pub(super) struct Hundredths;

impl Steps for Ones {
    fn steps(bits: u32) -> Option<u16> {
        u16::try_from(bits).ok().filter(|steps| *steps < ELSEWHERE)
    }
    fn bits(steps: u16) -> u32 {
        steps.into()
    }
}

#[expect(
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a cast gives the nearest number of steps, and what that comes to is compared"
)]
fn steps_of(bits: u32, of_one: f32) -> Option<u16> {
    let steps = (f32::from_bits(bits) * of_one).round() as u16;
    (steps < ELSEWHERE && (f32::from(steps) / of_one).to_bits() == bits).then_some(steps)
}

impl Steps for Tenths {
    fn steps(bits: u32) -> Option<u16> {
        steps_of(bits, 10.0)
    }
    fn bits(steps: u16) -> u32 {
        (f32::from(steps) / 10.0).to_bits()
    }
}

impl Steps for Hundredths {
    fn steps(bits: u32) -> Option<u16> {
        steps_of(bits, 100.0)
    }
    fn bits(steps: u16) -> u32 {
        (f32::from(steps) / 100.0).to_bits()
    }
}

#[derive(Debug)]
enum Cells {
    Narrow {
        cells: Vec<u16>,
        /// Values that do not fit, by slot.
        others: Vec<(u16, u32)>,
    },
    Wide(Vec<u32>),
}

/// Values by slot. A slot beyond the end has none.
#[derive(Debug)]
pub(super) struct Column<S> {
    cells: Cells,
    steps: PhantomData<S>,
}

impl<S> Default for Column<S> {
    fn default() -> Self {
        Self {
            cells: Cells::Narrow {
                cells: Vec::new(),
                others: Vec::new(),
            },
            steps: PhantomData,
        }
    }
}

/// Makes a column long enough for a slot; one that has no room gets as much as `slots` take, or twice what it had.
pub(super) fn lengthen<T: Copy>(column: &mut Vec<T>, slot: usize, slots: usize, absent: T) {
    if column.len() > slot {
        return;
    }
    if column.capacity() <= slot {
        let room = slots
            .max(slot + 1)
            .max(2 * column.len())
            .min(super::BLOCK_METERS_MAX.max(slot + 1));
        column.reserve_exact(room - column.len());
    }
    column.resize(slot + 1, absent);
}

/// Takes so many values of `N` bytes off the front.
pub(super) fn fixed<T, const N: usize>(
    bytes: &mut &[u8],
    count: usize,
    of: fn([u8; N]) -> T,
) -> Option<Vec<T>> {
    let (taken, rest) = bytes.split_at_checked(count.checked_mul(N)?)?;
    *bytes = rest;
    let (values, _) = taken.as_chunks::<N>();
    Some(values.iter().map(|value| of(*value)).collect())
}

impl<S: Steps> Column<S> {
    /// The bits of a value.
    pub(super) fn get(&self, slot: usize) -> Option<u32> {
        match &self.cells {
            Cells::Narrow { cells, others } => match *cells.get(slot)? {
                ABSENT => None,
                ELSEWHERE => {
                    let slot = u16::try_from(slot).ok()?;
                    let at = others.binary_search_by_key(&slot, |(slot, _)| *slot).ok()?;
                    others.get(at).map(|(_, bits)| *bits)
                }
                steps => Some(S::bits(steps)),
            },
            Cells::Wide(cells) => cells.get(slot).copied().filter(|bits| *bits != NO_BITS),
        }
    }

    /// Puts a value into a slot of a block of so many `slots`, or takes it away.
    pub(super) fn set(&mut self, slot: usize, bits: Option<u32>, slots: usize) {
        if bits.is_none() && self.get(slot).is_none() {
            return;
        }
        self.make_room(slot, bits);
        match &mut self.cells {
            Cells::Narrow { cells, others } => {
                lengthen(cells, slot, slots, ABSENT);
                let short = u16::try_from(slot).unwrap_or(u16::MAX);
                let at = others.binary_search_by_key(&short, |(slot, _)| *slot);
                let cell = match bits.map(|bits| (bits, S::steps(bits))) {
                    None => ABSENT,
                    Some((_, Some(steps))) => steps,
                    Some((bits, None)) => {
                        match at {
                            Ok(at) => others
                                .iter_mut()
                                .skip(at)
                                .take(1)
                                .for_each(|other| other.1 = bits),
                            Err(at) => others.insert(at, (short, bits)),
                        }
                        ELSEWHERE
                    }
                };
                if let (true, Ok(at)) = (cell != ELSEWHERE, at) {
                    others.remove(at);
                }
                if let Some(place) = cells.get_mut(slot) {
                    *place = cell;
                }
            }
            Cells::Wide(cells) => {
                lengthen(cells, slot, slots, NO_BITS);
                if let Some(place) = cells.get_mut(slot) {
                    *place = bits.unwrap_or(NO_BITS);
                }
            }
        }
    }

    /// Makes it a column of four bytes where one more value in the list would be too many, or the slot is too high to be listed.
    fn make_room(&mut self, slot: usize, bits: Option<u32>) {
        let Cells::Narrow { cells, others } = &self.cells else {
            return;
        };
        let is_listed = bits.is_some_and(|bits| S::steps(bits).is_none());
        let is_full = others.len() >= CELLS_OF_LISTED + cells.len() / CELLS_OF_LISTED;
        if is_listed && (is_full || u16::try_from(slot).is_err()) {
            let wide = (0..cells.len()).map(|slot| self.get(slot).unwrap_or(NO_BITS));
            self.cells = Cells::Wide(wide.collect());
        }
    }

    /// Appends it, for [`Column::read`]: number of slots with the kind in the lowest bit, cells, and of narrow ones the list.
    pub(super) fn write(&self, bytes: &mut Vec<u8>) {
        let slots = u64::try_from(self.len()).unwrap_or(u64::MAX) << 1;
        match &self.cells {
            Cells::Narrow { cells, others } => {
                varint::push(slots, bytes);
                bytes.reserve(2 * cells.len());
                cells
                    .iter()
                    .for_each(|cell| bytes.extend_from_slice(&cell.to_le_bytes()));
                varint::push(u64::try_from(others.len()).unwrap_or(u64::MAX), bytes);
                for (slot, bits) in others {
                    varint::push(u64::from(*slot), bytes);
                    varint::push(u64::from(*bits), bytes);
                }
            }
            Cells::Wide(cells) => {
                varint::push(slots | 1, bytes);
                bytes.reserve(4 * cells.len());
                cells
                    .iter()
                    .for_each(|cell| bytes.extend_from_slice(&cell.to_le_bytes()));
            }
        }
    }

    /// Takes a column off the front; `None` when there is none.
    pub(super) fn read(bytes: &mut &[u8]) -> Option<Self> {
        let kind = varint::take(bytes)?;
        let slots = usize::try_from(kind >> 1).ok()?;
        let cells = if kind & 1 == 1 {
            Cells::Wide(fixed(bytes, slots, u32::from_le_bytes)?)
        } else {
            let cells = fixed(bytes, slots, u16::from_le_bytes)?;
            let count = usize::try_from(varint::take(bytes)?).ok()?;
            let mut others = Vec::with_capacity(count.min(slots));
            for _ in 0..count {
                let slot = u16::try_from(varint::take(bytes)?).ok()?;
                others.push((slot, u32::try_from(varint::take(bytes)?).ok()?));
            }
            Cells::Narrow { cells, others }
        };
        Some(Self {
            cells,
            steps: PhantomData,
        })
    }

    /// Slots up to the last one that ever had a value.
    pub(super) const fn len(&self) -> usize {
        match &self.cells {
            Cells::Narrow { cells, .. } => cells.len(),
            Cells::Wide(cells) => cells.len(),
        }
    }

    /// Memory of the values, bytes.
    pub(super) const fn bytes(&self) -> usize {
        match &self.cells {
            Cells::Narrow { cells, others } => 2 * cells.capacity() + 8 * others.capacity(),
            Cells::Wide(cells) => 4 * cells.capacity(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What is put into a column comes out of it, bit for bit, as from a map.
    fn check<S: Steps>(puts: &[(usize, Option<u32>)]) {
        let mut column = Column::<S>::default();
        let mut model = std::collections::BTreeMap::new();
        for (slot, bits) in puts {
            column.set(*slot, *bits, 40);
            model.insert(*slot, *bits);
            for slot in 0..70 {
                assert_eq!(
                    column.get(slot),
                    model.get(&slot).copied().flatten(),
                    "{slot} of {puts:?}"
                );
            }
        }
        let mut bytes = vec![7];
        column.write(&mut bytes);
        bytes.push(9);
        let mut rest = bytes.get(1..).unwrap();
        let read = Column::<S>::read(&mut rest).unwrap();
        assert_eq!(rest, [9]);
        for slot in 0..70 {
            assert_eq!(read.get(slot), column.get(slot), "{slot} of {puts:?}");
        }
        for length in 1..bytes.len() - 1 {
            let mut cut = bytes.get(1..length).unwrap();
            assert!(Column::<S>::read(&mut cut).is_none());
        }
    }

    fn energies() -> impl Strategy<Value = Option<u32>> {
        prop_oneof![
            Just(None),
            (0_u32..70_000).prop_map(Some),
            (65_530_u32..65_540).prop_map(Some),
            (0_u32..u32::MAX).prop_map(Some),
        ]
    }

    fn numbers() -> impl Strategy<Value = Option<u32>> {
        let of_one = prop_oneof![Just(10.0_f32), Just(100.0), Just(1_000.0)];
        let steps = (any::<u16>(), 1_u16..3, of_one);
        let number = |steps: u16, times: u16, of_one: f32| f32::from(steps) * f32::from(times) / of_one;
        prop_oneof![
            Just(None),
            steps.prop_map(move |(steps, times, of_one)| Some(number(steps, times, of_one).to_bits())),
            Just(Some((-0.0_f32).to_bits())),
            Just(Some((-1.5_f32).to_bits())),
            Just(Some(f32::INFINITY.to_bits())),
            any::<f32>()
                .prop_filter("no value is NaN", |number| !number.is_nan())
                .prop_map(|number| Some(number.to_bits())),
        ]
    }

    proptest! {
        #[test]
        fn a_column_gives_back_what_was_put_into_it(
            energies in prop::collection::vec((0_usize..64, energies()), 0..120),
            numbers in prop::collection::vec((0_usize..64, numbers()), 0..120),
        ) {
            check::<Ones>(&energies);
            check::<Tenths>(&numbers);
            check::<Hundredths>(&numbers);
        }
    }

    #[test]
    fn what_meters_say_takes_two_bytes() {
        for decivolts in 0..ELSEWHERE {
            let volts = f32::from(decivolts) / 10.0;
            assert_eq!(Tenths::steps(volts.to_bits()), Some(decivolts));
            let text: f32 = format!("{}.{}", decivolts / 10, decivolts % 10).parse().unwrap();
            assert_eq!(text.to_bits(), volts.to_bits());
        }
        let mut column = Column::<Hundredths>::default();
        for slot in 0..1_024 {
            let amperes = f32::from(u16::try_from(slot).unwrap() * 7) / 100.0;
            column.set(slot, Some(amperes.to_bits()), 1_024);
        }
        assert_eq!(column.bytes(), 2 * 1_024);
    }
}
