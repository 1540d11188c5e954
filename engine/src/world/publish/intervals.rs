//! What was last published of the balances of a node, interval by interval.
//!
//! A map of the standard library takes 70 bytes for each, half of them room; a node's intervals come in the order of time nearly always, so
//! a list of 16 bytes each does as well.

use std::ops::RangeInclusive;

use gridtally_schemas::UtcMicros;

use super::{Published, Stage};
use crate::state::Quarter;

/// Versions that an entry can count: one a second for seventeen years.
const VERSION_MAX: u32 = u32::MAX >> STAGE_BITS;
const STAGE_BITS: u32 = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    digest: u64,
    quarter: Quarter,
    /// The stage in the lowest bits.
    version_and_stage: u32,
}

impl Entry {
    fn of(quarter: Quarter, published: &Published) -> Self {
        let version = u32::try_from(published.version).unwrap_or(VERSION_MAX);
        Self {
            digest: published.digest,
            quarter,
            version_and_stage: version.min(VERSION_MAX) << STAGE_BITS | published.stage.bits(),
        }
    }

    /// What it says; when it was published is not kept.
    fn published(&self) -> Published {
        Published {
            version: i64::from(self.version_and_stage >> STAGE_BITS),
            digest: self.digest,
            stage: Stage::of_bits(self.version_and_stage & !(u32::MAX << STAGE_BITS)),
            at: UtcMicros::default(),
        }
    }
}

/// By interval, no interval twice.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct PublishedIntervals(Vec<Entry>);

impl PublishedIntervals {
    /// Memory of an entry, bytes.
    pub(crate) const ENTRY_BYTES: usize = size_of::<Entry>();

    fn find(&self, quarter: Quarter) -> Result<usize, usize> {
        // Nearly always one of the last.
        match self.0.last() {
            Some(last) if last.quarter < quarter => Err(self.0.len()),
            None => Err(0),
            Some(_) => self.0.binary_search_by_key(&quarter, |entry| entry.quarter),
        }
    }

    fn places(&self, span: &RangeInclusive<Quarter>) -> std::ops::Range<usize> {
        let first = self.find(*span.start()).unwrap_or_else(|at| at);
        let from = self.0.get(first..).unwrap_or_default();
        first..first + from.partition_point(|entry| entry.quarter <= *span.end())
    }

    /// What was published of an interval.
    pub(crate) fn get(&self, quarter: Quarter) -> Option<Published> {
        let at = self.find(quarter).ok()?;
        self.0.get(at).map(Entry::published)
    }

    /// Notes what was published of an interval, all but when.
    pub(crate) fn put(&mut self, quarter: Quarter, published: &Published) {
        let entry = Entry::of(quarter, published);
        match self.find(quarter) {
            Ok(at) => self.0.iter_mut().skip(at).take(1).for_each(|held| *held = entry),
            Err(at) => {
                if self.0.len() == self.0.capacity() {
                    self.0.reserve_exact(2 + self.0.len() / 4);
                }
                self.0.insert(at, entry);
            }
        }
    }

    /// The intervals of a span, in the order of time.
    pub(crate) fn range(&self, span: &RangeInclusive<Quarter>) -> impl Iterator<Item = Quarter> {
        let of_span = self.0.get(self.places(span)).unwrap_or_default();
        of_span.iter().map(|entry| entry.quarter)
    }

    /// Forgets a span; tells of how many intervals something was known.
    pub(crate) fn forget(&mut self, span: &RangeInclusive<Quarter>) -> usize {
        self.0.drain(self.places(span)).len()
    }

    /// Number of intervals.
    pub(crate) const fn len(&self) -> usize {
        self.0.len()
    }

    /// All of them, in the order of time.
    #[cfg(test)]
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Quarter, Published)> {
        self.0.iter().map(|entry| (entry.quarter, entry.published()))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_list_says_what_a_map_of_it_does(
            puts in prop::collection::vec((0_u32..40, 0_i64..5, any::<u64>(), 0_u32..5), 0..80),
            (from, to) in (0_u32..40, 0_u32..40),
        ) {
            let (mut list, mut map) = (PublishedIntervals::default(), BTreeMap::new());
            for (quarter, version, digest, stage) in puts {
                let stage = Stage::of_bits(stage);
                let published = Published { version, digest, stage, at: UtcMicros::default() };
                list.put(Quarter(quarter), &published);
                map.insert(Quarter(quarter), published);
                prop_assert_eq!(list.get(Quarter(from)), map.get(&Quarter(from)).copied());
            }
            prop_assert_eq!(list.len(), map.len());
            prop_assert!(list.iter().eq(map.iter().map(|(quarter, published)| (*quarter, *published))));
            let span = Quarter(from)..=Quarter(from.max(to));
            let of_span: Vec<Quarter> = map.range(span.clone()).map(|(quarter, _)| *quarter).collect();
            prop_assert_eq!(list.range(&span).collect::<Vec<_>>(), of_span.clone());
            prop_assert_eq!(list.forget(&span), of_span.len());
            map.retain(|quarter, _| !span.contains(quarter));
            prop_assert!(list.iter().map(|(quarter, _)| quarter).eq(map.keys().copied()));
        }
    }
}
