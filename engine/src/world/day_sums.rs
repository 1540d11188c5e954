//! The sums of a node, civil day by civil day.
//!
//! A DT has a few days, and there is one such list for each: a map of the standard library takes room for eleven days at once, 1,300 bytes
//! where 120 are taken.

use std::ops::Range;

use gridtally_schemas::Day;

use super::Sums;

/// Sums by day; no day twice, none of nothing.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct DaySums(Vec<(Day, Sums)>);

impl DaySums {
    fn find(&self, day: Day) -> Result<usize, usize> {
        // Nearly always the last one.
        match self.0.last() {
            Some((last, _)) if *last == day => Ok(self.0.len() - 1),
            Some((last, _)) if *last < day => Err(self.0.len()),
            Some(_) | None => self.0.binary_search_by_key(&day, |(day, _)| *day),
        }
    }

    /// The sums of a day.
    pub(crate) fn get(&self, day: &Day) -> Option<&Sums> {
        let at = self.find(*day).ok()?;
        self.0.get(at).map(|(_, sums)| sums)
    }

    /// Adds to (or takes from) the sums of a day; sums of nothing have no entry.
    pub(crate) fn step(&mut self, day: Day, sums: &Sums, step: fn(&mut Sums, &Sums)) {
        let at = self.find(day).unwrap_or_else(|at| {
            if self.0.len() == self.0.capacity() {
                self.0.reserve_exact(1 + self.0.len() / 2);
            }
            self.0.insert(at, (day, Sums::default()));
            at
        });
        let Some((_, entry)) = self.0.get_mut(at) else {
            return;
        };
        step(entry, sums);
        if entry.intervals_expected == 0 {
            self.0.remove(at);
        }
    }

    /// All days, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Day, &Sums)> {
        self.0.iter().map(|(day, sums)| (day, sums))
    }

    /// The days.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &Day> {
        self.0.iter().map(|(day, _)| day)
    }

    /// The days in a span of them, in order.
    pub(crate) fn range(&self, days: Range<Day>) -> impl Iterator<Item = (&Day, &Sums)> {
        let first = self.0.partition_point(|(day, _)| *day < days.start);
        let from = self.0.get(first..).unwrap_or_default();
        from.iter()
            .take_while(move |(day, _)| *day < days.end)
            .map(|(day, sums)| (day, sums))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn days_are_what_a_map_of_them_is(steps in prop::collection::vec((0_i32..20, 1_i64..4, any::<bool>()), 0..60)) {
            let (mut days, mut map) = (DaySums::default(), BTreeMap::<Day, Sums>::new());
            for (day, number, is_added) in steps {
                let sums = Sums { intervals_expected: number, input_wh: 10 * number, ..Sums::default() };
                let step = if is_added { Sums::plus } else { Sums::minus };
                days.step(Day(day), &sums, step);
                let entry = map.entry(Day(day)).or_default();
                step(entry, &sums);
                if entry.intervals_expected == 0 {
                    map.remove(&Day(day));
                }
                prop_assert!(days.iter().eq(&map));
                prop_assert_eq!(days.get(&Day(day)), map.get(&Day(day)));
                prop_assert!(days.range(Day(5)..Day(day)).eq(map.range(Day(5)..Day(day.max(5)))));
            }
        }
    }
}
