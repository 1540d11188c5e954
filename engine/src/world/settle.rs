//! Computed balances on their way into the picture, and into every roll-up that they count in.

use std::{collections::BTreeMap, sync::Arc};

use gridtally_schemas::Day;

use super::{Sums, World};
use crate::{
    balance::{Computed, DtFigures, FeederInterval},
    network::NodeIx,
    state::Quarter,
};

/// Adds to (or takes from) the sums under `key`; sums of nothing have no entry.
fn step_in<K: Ord + Copy>(map: &mut BTreeMap<K, Sums>, key: K, sums: &Sums, step: fn(&mut Sums, &Sums)) {
    let entry = map.entry(key).or_default();
    step(entry, sums);
    if entry.intervals_expected == 0 {
        map.remove(&key);
    }
}

/// An interval as it was and as it is, with the figures of their DTs.
struct Pair<'a> {
    before: &'a FeederInterval,
    after: &'a FeederInterval,
    dts: (Vec<DtFigures>, Vec<DtFigures>),
}

impl<'a> Pair<'a> {
    fn of(before: &'a FeederInterval, after: &'a FeederInterval) -> Self {
        let dts = (before.dts.iter().collect(), after.dts.iter().collect());
        Self { before, after, dts }
    }

    /// Whether both are of the same DTs, below the same nodes.
    fn is_laid_out_alike(&self) -> bool {
        let (before, after) = &self.dts;
        let same = before.iter().map(|dt| dt.dt).eq(after.iter().map(|dt| dt.dt));
        same && self.before.ancestors == self.after.ancestors
    }
}

impl World {
    /// Merges computed balances; returns those that changed.
    pub fn settle(&mut self, computed: Vec<Computed>) -> Vec<(NodeIx, Quarter)> {
        let mut changed = Vec::new();
        for (feeder, quarter, interval) in &computed {
            self.hear(*feeder, *quarter, interval.heard);
        }
        for (feeder, quarter, interval) in computed {
            let stands = interval.heard || quarter <= self.closed_through && self.is_heard(feeder, quarter);
            let is_changed = if stands {
                self.put(feeder, quarter, interval)
            } else {
                self.withdraw(feeder, quarter)
            };
            if is_changed {
                changed.push((feeder, quarter));
            }
        }
        changed
    }

    fn put(&mut self, feeder: NodeIx, quarter: Quarter, interval: FeederInterval) -> bool {
        let intervals = self.intervals.entry(feeder).or_default();
        if intervals.get(&quarter).is_some_and(|before| **before == interval) {
            return false;
        }
        let after = Arc::new(interval);
        let before = intervals.insert(quarter, Arc::clone(&after));
        self.unpublished.insert((feeder, quarter));
        if let Some(before) = &before {
            let pair = Pair::of(before, &after);
            if pair.is_laid_out_alike() {
                self.roll_up_difference(feeder, quarter, &pair);
                return true;
            }
            self.roll_up(feeder, quarter, before, Sums::minus);
            let (was, is) = &pair.dts;
            let gone = was.iter().filter(|dt| !is.iter().any(|now| now.dt == dt.dt));
            self.withdrawn.extend(gone.map(|dt| (dt.dt, quarter)));
        }
        self.roll_up(feeder, quarter, &after, Sums::plus);
        true
    }

    /// Takes a balance out of the picture: it is none any more. Tells whether there was one.
    pub(super) fn withdraw(&mut self, feeder: NodeIx, quarter: Quarter) -> bool {
        let removed = self
            .intervals
            .get_mut(&feeder)
            .and_then(|intervals| intervals.remove(&quarter));
        let Some(interval) = removed else { return false };
        self.roll_up(feeder, quarter, &interval, Sums::minus);
        self.withdrawn.insert((feeder, quarter));
        self.withdrawn
            .extend(interval.dts.iter().map(|dt| (dt.dt, quarter)));
        true
    }

    /// Adds an interval to (or takes it from) every roll-up that it counts in.
    fn roll_up(
        &mut self,
        feeder: NodeIx,
        quarter: Quarter,
        interval: &FeederInterval,
        step: fn(&mut Sums, &Sums),
    ) {
        let day = self.day_of(quarter);
        let sums = Sums::of_feeder(&interval.feeder);
        for dt in &interval.dts {
            self.roll_up_day(dt.dt, day, &Sums::of_dt(&dt), step);
            self.vee.note_dt(dt.dt, quarter, day);
        }
        self.roll_up_day(feeder, day, &sums, step);
        for node in interval.ancestors.iter() {
            self.roll_up_day(*node, day, &sums, step);
            step_in(self.above.entry(*node).or_default(), quarter, &sums, step);
        }
    }

    /// Adds what an interval differs by from what it was, of the same DTs below the same nodes: a late read changes one DT of its feeder.
    fn roll_up_difference(
        &mut self,
        feeder: NodeIx,
        quarter: Quarter,
        Pair { before, after, dts }: &Pair<'_>,
    ) {
        let day = self.day_of(quarter);
        let difference = |before: &Sums, after: &Sums| {
            let mut difference = *after;
            difference.minus(before);
            difference
        };
        let pairs = dts.0.iter().zip(&dts.1);
        for (before, after) in pairs.filter(|(before, after)| before != after) {
            let sums = difference(&Sums::of_dt(before), &Sums::of_dt(after));
            self.roll_up_day(after.dt, day, &sums, Sums::plus);
            self.vee.note_dt(after.dt, quarter, day);
        }
        if before.feeder == after.feeder {
            return;
        }
        let sums = difference(&Sums::of_feeder(&before.feeder), &Sums::of_feeder(&after.feeder));
        self.roll_up_day(feeder, day, &sums, Sums::plus);
        for node in after.ancestors.iter() {
            self.roll_up_day(*node, day, &sums, Sums::plus);
            step_in(self.above.entry(*node).or_default(), quarter, &sums, Sums::plus);
        }
    }

    fn roll_up_day(&mut self, node: NodeIx, day: Day, sums: &Sums, step: fn(&mut Sums, &Sums)) {
        self.days.entry(node).or_default().step(day, sums, step);
        self.unpublished_days.insert((node, day));
    }
}
