//! What waits to be computed, and gathering it.

use std::{collections::BTreeSet, sync::Arc};

use gridtally_schemas::{Day, UtcMicros};

use super::{World, quarter_at};
use crate::{
    balance::{MemberReads, Part},
    network::{MeterIx, NodeIx, Roster},
    state::{BlockNumber, Quarter},
};

/// What of an interval waits to be computed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Dirty {
    /// All of it.
    Whole,
    /// These DTs, by their places in the roster, and the feeder itself. The roster is the one that the interval was computed with:
    /// where master data changes it, all of the interval is marked.
    Dts(Vec<u32>),
}

impl Dirty {
    /// Adds a DT, or with `None` the feeder itself alone.
    fn mark(&mut self, place: Option<u32>) {
        if let (Self::Dts(dts), Some(dt)) = (self, place) {
            dts.push(dt);
        }
    }
}

impl World {
    /// The roster of `feeder` for the interval that ends at `quarter`, kept for the next time.
    ///
    /// An interval counts by the picture at the beginning of its last quarter hour ([`Quarter::begin`]).
    pub(super) fn roster(&mut self, feeder: NodeIx, quarter: Quarter) -> Arc<Roster> {
        let begin = quarter.begin();
        let rosters = self.rosters.entry(feeder).or_default();
        if let Some(found) = rosters.iter().rev().find(|roster| roster.span.contains(&begin)) {
            return Arc::clone(found);
        }
        let built = Arc::new(self.network.roster(feeder, begin));
        rosters.push(Arc::clone(&built));
        built
    }

    /// Feeders that the meters of a block count in, at any time.
    pub(super) fn feeders_of(&mut self, block: BlockNumber) -> Arc<[NodeIx]> {
        let meters = self.state.meters_of(block);
        if let Some((count, feeders)) = self.feeders_of_block.get(&block)
            && *count == meters.len()
        {
            return Arc::clone(feeders);
        }
        let mut feeders = Vec::new();
        for meter in meters {
            self.network.feeders_of_meter(*meter, &mut feeders);
        }
        feeders.sort_unstable();
        feeders.dedup();
        let feeders: Arc<[NodeIx]> = feeders.into();
        self.feeders_of_block
            .insert(block, (meters.len(), Arc::clone(&feeders)));
        feeders
    }

    /// Moves at most so many dirty chunks of the state to the feeders whose balance they change. Tells whether there are more; what is left
    /// [`World::gather`] moves.
    pub fn spread_dirty(&mut self, chunks_max: usize) -> bool {
        for changed in self.state.take_dirty(chunks_max) {
            let day = self.day_of(changed.quarter);
            for feeder in self.feeders_of(changed.block).iter() {
                // None of its members changed: those would have brought it back.
                if self.is_out(*feeder, changed.quarter) {
                    continue;
                }
                self.completeness.note(*feeder, day);
                let quarters = self.roster(*feeder, changed.quarter).minutes.quarters();
                let key = (*feeder, changed.quarter.ceil_to(quarters));
                match &changed.meters {
                    None => {
                        self.dirty.insert(key, Dirty::Whole);
                    }
                    Some(meters) => self.mark_meters(key, meters),
                }
            }
        }
        self.state.has_dirty()
    }

    /// Marks the DTs of an interval on which one of `meters` is a member.
    fn mark_meters(&mut self, key: (NodeIx, Quarter), meters: &[MeterIx]) {
        let roster = self.roster(key.0, key.1);
        for meter in meters {
            for place in roster.places_of(*meter) {
                self.dirty
                    .entry(key)
                    .or_insert(Dirty::Dts(Vec::new()))
                    .mark(place);
            }
        }
    }

    /// Notes whether some meter has a value in an interval of `feeder`. The first such interval of a civil day makes every closed
    /// interval of that day a balance; when the last one goes (the network turned out to be another), so do they.
    pub(super) fn hear(&mut self, feeder: NodeIx, quarter: Quarter, heard: bool) {
        let before = self
            .intervals
            .get(&feeder)
            .and_then(|intervals| intervals.get(&quarter));
        if before.is_some_and(|before| before.heard) == heard {
            return;
        }
        let day = self.day_of(quarter);
        if heard {
            let count = self.heard.entry((feeder, day)).or_default();
            *count += 1;
            if *count == 1 {
                self.indices.note_heard(feeder, day.first_of_month());
                self.vee.note_feeder_day(feeder, day);
                self.note_silence(feeder, day);
                self.mark_absent(feeder, day, Quarter(0), self.closed_through);
            }
        } else if let Some(count) = self.heard.get_mut(&(feeder, day)) {
            *count -= 1;
            if *count == 0 {
                self.heard.remove(&(feeder, day));
                let month = day.first_of_month();
                let mut days = month.0..month.0 + month.days_in_month();
                if !days.any(|other| self.heard.contains_key(&(feeder, Day(other)))) {
                    self.indices.note_unheard(feeder, month);
                }
                self.vee.note_feeder_day(feeder, day);
                self.note_silence(feeder, day);
                let span = self.quarters_of_day(day);
                if let Some(intervals) = self.intervals.get(&feeder) {
                    self.dirty.extend(
                        intervals
                            .range(span)
                            .map(|(quarter, _)| ((feeder, *quarter), Dirty::Whole)),
                    );
                }
            }
        }
    }

    pub(super) fn is_heard(&self, feeder: NodeIx, quarter: Quarter) -> bool {
        self.heard.contains_key(&(feeder, self.day_of(quarter)))
    }

    /// The quarters that end in a civil day, as a range.
    pub(super) fn quarters_of_day(&self, day: Day) -> std::ops::RangeInclusive<Quarter> {
        let before = |day: Day| quarter_at(self.settings.zone.start_of(day));
        Quarter(before(day).0 + 1)..=before(day.next())
    }

    /// Marks the intervals of a day after `from` up to `through` that have no balance yet.
    fn mark_absent(&mut self, feeder: NodeIx, day: Day, from: Quarter, through: Quarter) {
        let span = self.quarters_of_day(day);
        let (mut next, end) = (span.start().0.max(from.0 + 1), span.end().0.min(through.0));
        while next <= end {
            let quarter = Quarter(next);
            let roster = self.roster(feeder, quarter);
            let computed = self
                .intervals
                .get(&feeder)
                .is_some_and(|intervals| intervals.contains_key(&quarter));
            if roster.is_on_grid(quarter) && !computed && !roster.is_empty() {
                self.dirty.insert((feeder, quarter), Dirty::Whole);
            }
            next += 1;
        }
    }

    /// Tells the picture what time it is: intervals close, and closed ones of days in which the feeder was heard become balances.
    pub fn advance(&mut self, now: UtcMicros) {
        let closed = quarter_at(now.plus(-self.settings.grace_micros));
        if closed > self.closed_through {
            let from = std::mem::replace(&mut self.closed_through, closed);
            let heard: Vec<(NodeIx, Day)> = self.heard.keys().copied().collect();
            for (feeder, day) in heard {
                self.mark_absent(feeder, day, from, closed);
            }
        }
        let settled = quarter_at(now.plus(-self.settings.settlement_micros));
        if settled > self.settled_through {
            let from = std::mem::replace(&mut self.settled_through, settled);
            for (feeder, intervals) in &self.intervals {
                let span = Quarter(from.0 + 1)..=settled;
                self.unpublished
                    .extend(intervals.range(span).map(|(quarter, _)| (*feeder, *quarter)));
            }
            self.settle_days(from);
        }
        self.advance_validation(now);
        self.advance_revenue();
    }

    /// Takes up to about `rows_max` member reads of dirty balances, ready for the SQL; `None` when nothing is dirty.
    pub fn gather(&mut self, rows_max: usize) -> Option<MemberReads> {
        self.refresh_stale();
        self.spread_dirty(usize::MAX);
        if self.dirty.is_empty() {
            return None;
        }
        let mut members = MemberReads::with_room_for(rows_max);
        while members.len() < rows_max {
            let Some(((feeder, quarter), dirty)) = self.dirty.pop_first() else {
                break;
            };
            let roster = self.roster(feeder, quarter);
            if roster.is_empty() || !roster.is_on_grid(quarter) {
                self.hear(feeder, quarter, false);
                self.withdraw(feeder, quarter);
            } else {
                self.gather_one(&mut members, roster, quarter, dirty);
            }
        }
        (!members.is_empty()).then_some(members)
    }

    /// Gathers what changed of an interval: all of it while it has no balance.
    fn gather_one(&self, members: &mut MemberReads, roster: Arc<Roster>, quarter: Quarter, dirty: Dirty) {
        let (state, zone) = (&self.state, &self.settings.zone);
        let before = self
            .intervals
            .get(&roster.feeder)
            .and_then(|intervals| intervals.get(&quarter));
        match (dirty, before) {
            (Dirty::Dts(mut dts), Some(before)) => {
                dts.sort_unstable();
                dts.dedup();
                let before = Arc::clone(before);
                let part = Part {
                    roster,
                    quarter,
                    dts,
                    before,
                };
                members.gather_part(state, zone, part);
            }
            (Dirty::Whole | Dirty::Dts(_), _) => members.gather(state, zone, &roster, quarter),
        }
    }

    /// Marks what a change of master data concerns: of stale feeders the intervals whose roster is another now.
    fn refresh_stale(&mut self) {
        if self.stale.is_empty() {
            return;
        }
        self.note_silence_of(&self.stale.keys().copied().collect());
        for (feeder, before) in std::mem::take(&mut self.stale) {
            for quarter in self.quarters_of(feeder) {
                // What the change concerns was brought back before.
                if self.is_out(feeder, quarter) {
                    continue;
                }
                let after = self.roster(feeder, quarter);
                let same = before
                    .iter()
                    .any(|roster| roster.span.contains(&quarter.begin()) && roster.is_alike(&after));
                if !same {
                    let around = quarter.ceil_to(after.minutes.quarters());
                    self.dirty.insert((feeder, quarter), Dirty::Whole);
                    self.dirty.insert((feeder, around), Dirty::Whole);
                    self.completeness.note(feeder, self.day_of(quarter));
                }
            }
        }
    }

    /// Quarters in which `feeder` has a balance or any meter that ever was on it has a value.
    fn quarters_of(&self, feeder: NodeIx) -> BTreeSet<Quarter> {
        let mut quarters: BTreeSet<Quarter> = self
            .intervals
            .get(&feeder)
            .into_iter()
            .flat_map(|intervals| intervals.keys().copied())
            .collect();
        let meters = self.network.meters_ever_on(feeder);
        let blocks: BTreeSet<BlockNumber> = meters
            .into_iter()
            .filter_map(|meter| self.state.block_of(meter))
            .collect();
        for block in blocks {
            quarters.extend(self.state.quarters(block));
        }
        // Days in which it was heard: an interval that was off the grid so far may be a silent one now.
        let days = self
            .intervals
            .get(&feeder)
            .into_iter()
            .flat_map(|intervals| intervals.keys());
        let days: BTreeSet<Day> = days.map(|quarter| self.day_of(*quarter)).collect();
        for day in days {
            let span = self.quarters_of_day(day);
            quarters.extend((span.start().0..=span.end().0.min(self.closed_through.0)).map(Quarter));
        }
        quarters
    }

    /// Number of balances that wait to be computed, as far as they are known.
    #[must_use]
    pub fn dirty_intervals(&self) -> usize {
        self.dirty.len() + self.state.dirty_chunks()
    }

    /// Whether every balance stands as what was applied says.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.dirty.is_empty() && !self.state.has_dirty() && self.stale.is_empty()
    }
}
