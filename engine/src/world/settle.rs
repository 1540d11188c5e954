//! Computed balances on their way into the picture, and into every roll-up that they count in.

use std::{collections::BTreeMap, sync::Arc};

use gridtally_schemas::Day;

use super::{Sums, World};
use crate::{
    balance::{Computed, FeederInterval},
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
        if let Some(before) = &before {
            self.roll_up(feeder, quarter, before, Sums::minus);
            let gone = before
                .dts
                .iter()
                .filter(|dt| !after.dts.iter().any(|now| now.dt == dt.dt));
            self.withdrawn.extend(gone.map(|dt| (dt.dt, quarter)));
        }
        self.roll_up(feeder, quarter, &after, Sums::plus);
        self.unpublished.insert((feeder, quarter));
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
            self.roll_up_day(dt.dt, day, &Sums::of_dt(dt), step);
            self.vee.note_dt(dt.dt, quarter, day);
        }
        self.roll_up_day(feeder, day, &sums, step);
        for node in &interval.ancestors {
            self.roll_up_day(*node, day, &sums, step);
            step_in(self.above.entry(*node).or_default(), quarter, &sums, step);
        }
    }

    fn roll_up_day(&mut self, node: NodeIx, day: Day, sums: &Sums, step: fn(&mut Sums, &Sums)) {
        step_in(self.days.entry(node).or_default(), day, sums, step);
        self.unpublished_days.insert((node, day));
    }
}
