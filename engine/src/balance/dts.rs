//! The figures of a feeder's DTs in one interval, packed.
//!
//! They stay in memory while their day is open, for every DT and interval, and are looked at one after the other. As [`DtFigures`] one takes
//! 152 bytes; here it takes about ten, for what came in, went out and was lost follows from the other figures, and most DTs have neither
//! export nor absent meters. What does not follow is written out, so that every figure comes back as it was.
//!
//! ```text
//! number of DTs, then of each: dt (difference to the one before) · flags · figures that the flags do not tell
//! ```

use gridtally_schemas::varint;

use super::{Coverage, DtFigures};
use crate::network::NodeIx;

/// `dt_import_wh` is known.
const IMPORT: u8 = 1;
/// `dt_export_wh` is known.
const EXPORT: u8 = 2;
/// Input, output and loss are what follows from the other figures.
const FOLLOWS: u8 = 4;
/// Nobody exported: an export that is known is 0.
const NO_EXPORT: u8 = 8;
/// `unmetered_wh` is 0.
const NO_UNMETERED: u8 = 16;
/// Both bounds are 0.
const NO_BOUNDS: u8 = 32;
/// Every expected meter reported, and none was estimated.
const ALL_REPORTED: u8 = 64;

/// Figures of DTs, in roster order.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct DtList(Box<[u8]>);

/// `injected_wh`, `delivered_wh` and `loss_wh` as `sql/dt_balance.sql` defines them.
const fn following(dt: &DtFigures) -> [Option<i64>; 3] {
    let (Some(import), Some(export)) = (dt.dt_import_wh, dt.dt_export_wh) else {
        return [None; 3];
    };
    let injected = import.wrapping_add(dt.consumer_export_wh);
    let delivered = export
        .wrapping_add(dt.consumer_import_wh)
        .wrapping_add(dt.unmetered_wh);
    [
        Some(injected),
        Some(delivered),
        Some(injected.wrapping_sub(delivered)),
    ]
}

fn push(dt: &DtFigures, before: NodeIx, bytes: &mut Vec<u8>) {
    let flag = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
    let told = [dt.injected_wh, dt.delivered_wh, dt.loss_wh];
    let Coverage {
        expected,
        reported,
        estimated,
    } = dt.coverage;
    let flags = flag(dt.dt_import_wh.is_some(), IMPORT)
        | flag(dt.dt_export_wh.is_some(), EXPORT)
        | flag(told == following(dt), FOLLOWS)
        | flag(
            dt.consumer_export_wh == 0 && dt.dt_export_wh.unwrap_or(0) == 0,
            NO_EXPORT,
        )
        | flag(dt.unmetered_wh == 0, NO_UNMETERED)
        | flag(dt.loss_bound_wh == 0 && dt.loss_bound_above_wh == 0, NO_BOUNDS)
        | flag(reported == expected && estimated == 0, ALL_REPORTED);
    varint::push_signed(i64::from(dt.dt.0) - i64::from(before.0), bytes);
    bytes.push(flags);
    let mut number = |number: i64| varint::push_signed(number, bytes);
    dt.dt_import_wh.map(&mut number);
    number(dt.consumer_import_wh);
    if flags & NO_EXPORT == 0 {
        dt.dt_export_wh.map(&mut number);
        number(dt.consumer_export_wh);
    }
    if flags & NO_UNMETERED == 0 {
        number(dt.unmetered_wh);
    }
    if flags & FOLLOWS == 0 {
        for told in told {
            number(i64::from(told.is_some()));
            number(told.unwrap_or(0));
        }
    }
    if flags & NO_BOUNDS == 0 {
        number(dt.loss_bound_wh);
        number(dt.loss_bound_above_wh);
    }
    number(expected);
    if flags & ALL_REPORTED == 0 {
        number(reported);
        number(estimated);
    }
}

impl DtList {
    /// Packs figures.
    #[must_use]
    pub fn of(dts: &[DtFigures]) -> Self {
        let mut bytes = Vec::with_capacity(16 * dts.len() + 4);
        varint::push(u64::try_from(dts.len()).unwrap_or(u64::MAX), &mut bytes);
        let mut before = NodeIx(0);
        for dt in dts {
            push(dt, before, &mut bytes);
            before = dt.dt;
        }
        Self(bytes.into_boxed_slice())
    }

    /// The figures, in roster order.
    #[must_use]
    pub fn iter(&self) -> Dts<'_> {
        let mut bytes = &*self.0;
        Dts {
            left: varint::take(&mut bytes).unwrap_or(0),
            bytes,
            before: NodeIx(0),
        }
    }

    /// Number of DTs.
    #[must_use]
    pub fn len(&self) -> usize {
        usize::try_from(self.iter().left).unwrap_or(usize::MAX)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Memory of the figures, bytes.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.0.len()
    }
}

impl<'a> IntoIterator for &'a DtList {
    type Item = DtFigures;
    type IntoIter = Dts<'a>;

    fn into_iter(self) -> Dts<'a> {
        self.iter()
    }
}

/// Figures of a [`DtList`], one after the other.
#[derive(Debug, Clone)]
pub struct Dts<'a> {
    left: u64,
    bytes: &'a [u8],
    before: NodeIx,
}

impl Dts<'_> {
    fn number(&mut self) -> Option<i64> {
        varint::take(&mut self.bytes).map(varint::signed)
    }

    fn known(&mut self) -> Option<Option<i64>> {
        let is_known = self.number()? == 1;
        let number = self.number()?;
        Some(is_known.then_some(number))
    }

    fn take(&mut self) -> Option<DtFigures> {
        let dt = NodeIx(u32::try_from(i64::from(self.before.0) + self.number()?).ok()?);
        self.before = dt;
        let (flags, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        let has = |flag: u8| flags & flag != 0;
        let dt_import_wh = if has(IMPORT) { Some(self.number()?) } else { None };
        let consumer_import_wh = self.number()?;
        let (dt_export_wh, consumer_export_wh) = match (has(NO_EXPORT), has(EXPORT)) {
            (true, is_known) => (is_known.then_some(0), 0),
            (false, true) => (Some(self.number()?), self.number()?),
            (false, false) => (None, self.number()?),
        };
        let unmetered_wh = if has(NO_UNMETERED) { 0 } else { self.number()? };
        let mut figures = DtFigures {
            dt,
            dt_import_wh,
            dt_export_wh,
            consumer_import_wh,
            consumer_export_wh,
            unmetered_wh,
            injected_wh: None,
            delivered_wh: None,
            loss_wh: None,
            loss_bound_wh: 0,
            loss_bound_above_wh: 0,
            coverage: Coverage::default(),
        };
        [figures.injected_wh, figures.delivered_wh, figures.loss_wh] = if has(FOLLOWS) {
            following(&figures)
        } else {
            [self.known()?, self.known()?, self.known()?]
        };
        if !has(NO_BOUNDS) {
            (figures.loss_bound_wh, figures.loss_bound_above_wh) = (self.number()?, self.number()?);
        }
        let expected = self.number()?;
        let (reported, estimated) = if has(ALL_REPORTED) {
            (expected, 0)
        } else {
            (self.number()?, self.number()?)
        };
        figures.coverage = Coverage {
            expected,
            reported,
            estimated,
        };
        Some(figures)
    }
}

impl Iterator for Dts<'_> {
    type Item = DtFigures;

    fn next(&mut self) -> Option<DtFigures> {
        self.left = self.left.checked_sub(1)?;
        self.take()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = usize::try_from(self.left).unwrap_or(usize::MAX);
        (left, Some(left))
    }
}

impl ExactSizeIterator for Dts<'_> {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn energies() -> impl Strategy<Value = i64> {
        prop_oneof![Just(0), 0_i64..100_000, any::<i64>()]
    }

    fn known() -> impl Strategy<Value = Option<i64>> {
        prop_oneof![Just(None), energies().prop_map(Some)]
    }

    prop_compose! {
        fn figures()(
            dt in any::<u32>(),
            (dt_import_wh, dt_export_wh) in (known(), known()),
            told in (known(), known(), known()),
            follows in any::<bool>(),
            [consumer_import_wh, consumer_export_wh, unmetered_wh] in [energies(), energies(), energies()],
            [loss_bound_wh, loss_bound_above_wh] in [energies(), energies()],
            [expected, reported, estimated] in prop_oneof![
                (0_i64..200).prop_map(|all| [all, all, 0]),
                [energies(), energies(), energies()],
            ],
        ) -> DtFigures {
            let (injected_wh, delivered_wh, loss_wh) = told;
            let mut figures = DtFigures {
                dt: NodeIx(dt),
                dt_import_wh,
                dt_export_wh,
                consumer_import_wh,
                consumer_export_wh,
                unmetered_wh,
                injected_wh,
                delivered_wh,
                loss_wh,
                loss_bound_wh,
                loss_bound_above_wh,
                coverage: Coverage { expected, reported, estimated },
            };
            if follows {
                [figures.injected_wh, figures.delivered_wh, figures.loss_wh] = following(&figures);
            }
            figures
        }
    }

    proptest! {
        #[test]
        fn figures_come_out_as_they_were_packed(dts in prop::collection::vec(figures(), 0..20)) {
            let list = DtList::of(&dts);
            prop_assert_eq!(list.len(), dts.len());
            prop_assert_eq!(list.iter().collect::<Vec<_>>(), dts);
        }
    }

    #[test]
    fn a_dt_as_most_are_takes_nine_bytes() {
        let dts: Vec<DtFigures> = (0..25)
            .map(|at| {
                let mut figures = DtFigures {
                    dt: NodeIx(900_000 + at),
                    dt_import_wh: Some(7_900),
                    dt_export_wh: Some(0),
                    consumer_import_wh: 7_400,
                    consumer_export_wh: 0,
                    unmetered_wh: 0,
                    injected_wh: None,
                    delivered_wh: None,
                    loss_wh: None,
                    loss_bound_wh: 0,
                    loss_bound_above_wh: 0,
                    coverage: Coverage {
                        expected: 33,
                        reported: 33,
                        estimated: 0,
                    },
                };
                [figures.injected_wh, figures.delivered_wh, figures.loss_wh] = following(&figures);
                figures
            })
            .collect();
        assert!(DtList::of(&dts).bytes() <= 9 * 25 + 4);
    }
}
