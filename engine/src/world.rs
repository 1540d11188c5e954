//! The live picture: network, state, balances and roll-ups, held together.
//!
//! One thread applies log records and merges computed balances; everyone else reads. What a record changes is decided here
//! and nowhere else, live and at recovery alike, so that both lead to the same picture.
//!
//! Path of a read: [`World::apply`] ─▶ [`State::merge`] ─▶ dirty chunk ─▶ [`World::gather`] ─▶ SQL ─▶ [`World::settle`].

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::{Range, RangeInclusive},
    sync::Arc,
};

use gridtally_ingest::log::Position;
use gridtally_schemas::{Day, PowerEvent, UtcMicros, Zone, time::QUARTER_MICROS};
use hashbrown::{HashMap, HashSet};

use crate::{
    balance::{Computed, FeederInterval, MemberReads},
    network::{MeterIx, Network, NodeIx, Roster},
    outbox::Outbox,
    state::{BlockNumber, Quarter, State},
};

mod apply;
pub(crate) mod held;
pub mod look;
pub(crate) mod publish;
pub(crate) mod restore;
mod rows;
mod sums;
#[cfg(test)]
mod tests;

pub use apply::Counts;
pub(crate) use apply::MissingReport;
pub use sums::Sums;

use held::HeldSpans;
use publish::Published;

/// What the engine decides by; never what a result is, save `coverage_threshold_pct`.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where civil days begin.
    pub zone: Zone,
    /// A balance is published once its interval has been closed for this long, µs. Default 10 minutes.
    pub grace_micros: i64,
    /// After this long a published balance is final, and a change of it is a restatement, µs. Default 3 days.
    pub settlement_micros: i64,
    /// Below this coverage no loss is shown as a plain number, per cent. Default 95.
    pub coverage_threshold_pct: f64,
    /// A read that ends later than its arrival by more than this is refused as of the future, µs. Default 1 day.
    pub future_micros: i64,
    /// Roll-ups of a running day are published at most this often, µs. Default 1 hour.
    pub roll_up_micros: i64,
}

const MINUTE_MICROS: i64 = 60_000_000;

impl Default for Settings {
    fn default() -> Self {
        Self {
            zone: Zone::kolkata(),
            grace_micros: 10 * MINUTE_MICROS,
            settlement_micros: 3 * 24 * 60 * MINUTE_MICROS,
            coverage_threshold_pct: 95.0,
            future_micros: 24 * 60 * MINUTE_MICROS,
            roll_up_micros: 60 * MINUTE_MICROS,
        }
    }
}

/// The last quarter that ends at or before `instant`.
fn quarter_at(instant: UtcMicros) -> Quarter {
    Quarter(u32::try_from(instant.0.div_euclid(QUARTER_MICROS)).unwrap_or(0))
}

/// The quarters that end after the begin of `span` and not after its end; `None` when there is none.
fn quarters_ending_in(span: &Range<UtcMicros>) -> Option<RangeInclusive<Quarter>> {
    let quarters = Quarter(quarter_at(span.start).0 + 1)..=quarter_at(span.end);
    (!quarters.is_empty()).then_some(quarters)
}

/// Adds to (or takes from) the sums under `key`; sums of nothing have no entry.
fn step_in<K: Ord + Copy>(map: &mut BTreeMap<K, Sums>, key: K, sums: &Sums, step: fn(&mut Sums, &Sums)) {
    let entry = map.entry(key).or_default();
    step(entry, sums);
    if entry.intervals_expected == 0 {
        map.remove(&key);
    }
}

/// The live picture.
///
/// Which balances exist is a function of what was said and of the time, never of the order in which it was said: the balance of
/// (feeder, interval) stands when some meter in it has a value, or when the interval is closed and some meter of the feeder has
/// a value in that civil day. So silence counts against coverage instead of vanishing, and a feeder that never said anything has
/// no balances.
#[derive(Debug)]
pub struct World {
    /// What it decides by.
    pub settings: Settings,
    /// Master data.
    pub network: Network,
    /// Validated values.
    pub state: State,
    /// What became of everything that was applied.
    pub counts: Counts,
    rosters: HashMap<NodeIx, Vec<Arc<Roster>>>,
    /// Feeders whose master data changed, with their rosters before: what differs is computed anew at the next gathering.
    stale: BTreeMap<NodeIx, Vec<Arc<Roster>>>,
    /// Feeders that the meters of a block ever counted in, for the number of meters that the block had.
    feeders_of_block: HashMap<BlockNumber, (usize, Arc<[NodeIx]>)>,
    intervals: HashMap<NodeIx, BTreeMap<Quarter, Arc<FeederInterval>>>,
    above: HashMap<NodeIx, BTreeMap<Quarter, Sums>>,
    days: HashMap<NodeIx, BTreeMap<Day, Sums>>,
    /// Intervals of a feeder's day in which some meter has a value; no entry: none.
    heard: HashMap<(NodeIx, Day), u32>,
    dirty: BTreeSet<(NodeIx, Quarter)>,
    unpublished: BTreeSet<(NodeIx, Quarter)>,
    unpublished_days: BTreeSet<(NodeIx, Day)>,
    closed_through: Quarter,
    settled_through: Quarter,
    published: HashMap<NodeIx, BTreeMap<Quarter, Published>>,
    days_published: HashMap<(NodeIx, Day), Published>,
    withdrawn: BTreeSet<(NodeIx, Quarter)>,
    reported_missing: HashMap<(MeterIx, Quarter), MissingReport>,
    registers: HashMap<(MeterIx, UtcMicros), (apply::Register, i64)>,
    registers_superseded: HashSet<(MeterIx, UtcMicros, apply::Register)>,
    events: HashSet<(MeterIx, PowerEvent)>,
    held: HeldSpans,
    quarantined: BTreeMap<String, u64>,
    /// Rows on their way to the tables.
    pub(crate) outbox: Outbox,
    applied: Position,
}

impl World {
    /// An empty picture.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            network: Network::default(),
            state: State::default(),
            counts: Counts::default(),
            rosters: HashMap::new(),
            stale: BTreeMap::new(),
            feeders_of_block: HashMap::new(),
            intervals: HashMap::new(),
            above: HashMap::new(),
            days: HashMap::new(),
            heard: HashMap::new(),
            dirty: BTreeSet::new(),
            unpublished: BTreeSet::new(),
            unpublished_days: BTreeSet::new(),
            closed_through: Quarter(0),
            settled_through: Quarter(0),
            published: HashMap::new(),
            days_published: HashMap::new(),
            withdrawn: BTreeSet::new(),
            reported_missing: HashMap::new(),
            registers: HashMap::new(),
            registers_superseded: HashSet::new(),
            events: HashSet::new(),
            held: HeldSpans::default(),
            quarantined: BTreeMap::new(),
            outbox: Outbox::default(),
            applied: Position::default(),
        }
    }

    /// The last log record applied.
    #[must_use]
    pub fn applied(&self) -> Position {
        self.applied
    }

    /// The last interval that has been closed for the grace period, as [`World::advance`] was told.
    #[must_use]
    pub fn closed_through(&self) -> Quarter {
        self.closed_through
    }

    fn day_of(&self, quarter: Quarter) -> Day {
        self.settings.zone.day_of_interval(quarter.end())
    }

    /// The roster of `feeder` for the interval that ends at `quarter`, kept for the next time.
    ///
    /// An interval counts by the picture at the beginning of its last quarter hour ([`Quarter::begin`]).
    fn roster(&mut self, feeder: NodeIx, quarter: Quarter) -> Arc<Roster> {
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
    fn feeders_of(&mut self, block: BlockNumber) -> Arc<[NodeIx]> {
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

    /// Moves the dirty chunks of the state to the feeders whose balance they change.
    fn spread_dirty(&mut self) {
        for (quarter, block) in self.state.take_dirty() {
            for feeder in self.feeders_of(block).iter() {
                self.mark(*feeder, quarter);
            }
        }
    }

    /// Marks the balance of `feeder` in the interval around `quarter` to be computed.
    fn mark(&mut self, feeder: NodeIx, quarter: Quarter) {
        let quarters = self.roster(feeder, quarter).minutes.quarters();
        self.dirty.insert((feeder, quarter.ceil_to(quarters)));
    }

    /// Notes whether some meter has a value in an interval of `feeder`. The first such interval of a civil day makes every closed
    /// interval of that day a balance; when the last one goes (the network turned out to be another), so do they.
    fn hear(&mut self, feeder: NodeIx, quarter: Quarter, heard: bool) {
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
                self.mark_absent(feeder, day, Quarter(0), self.closed_through);
            }
        } else if let Some(count) = self.heard.get_mut(&(feeder, day)) {
            *count -= 1;
            if *count == 0 {
                self.heard.remove(&(feeder, day));
                let span = self.quarters_of_day(day);
                if let Some(intervals) = self.intervals.get(&feeder) {
                    self.dirty
                        .extend(intervals.range(span).map(|(quarter, _)| (feeder, *quarter)));
                }
            }
        }
    }

    fn is_heard(&self, feeder: NodeIx, quarter: Quarter) -> bool {
        self.heard.contains_key(&(feeder, self.day_of(quarter)))
    }

    /// The quarters that end in a civil day, as a range.
    fn quarters_of_day(&self, day: Day) -> RangeInclusive<Quarter> {
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
                self.dirty.insert((feeder, quarter));
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
    }

    /// Takes up to about `rows_max` member reads of dirty balances, ready for the SQL; `None` when nothing is dirty.
    pub fn gather(&mut self, rows_max: usize) -> Option<MemberReads> {
        self.refresh_stale();
        self.spread_dirty();
        let mut members = MemberReads::default();
        while members.len() < rows_max {
            let Some((feeder, quarter)) = self.dirty.pop_first() else {
                break;
            };
            let roster = self.roster(feeder, quarter);
            if roster.is_empty() || !roster.is_on_grid(quarter) {
                self.hear(feeder, quarter, false);
                self.withdraw(feeder, quarter);
            } else {
                members.gather(&self.state, &self.settings.zone, &roster, quarter);
            }
        }
        (!members.is_empty()).then_some(members)
    }

    /// Marks what a change of master data concerns: of stale feeders the intervals whose roster is another now.
    fn refresh_stale(&mut self) {
        for (feeder, before) in std::mem::take(&mut self.stale) {
            for quarter in self.quarters_of(feeder) {
                let after = self.roster(feeder, quarter);
                let same = before
                    .iter()
                    .any(|roster| roster.span.contains(&quarter.begin()) && roster.is_alike(&after));
                if !same {
                    self.dirty.insert((feeder, quarter));
                    self.dirty
                        .insert((feeder, quarter.ceil_to(after.minutes.quarters())));
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
    fn withdraw(&mut self, feeder: NodeIx, quarter: Quarter) -> bool {
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

    /// Balances of a feeder by interval, in time order.
    pub fn feeder_intervals(
        &self,
        feeder: NodeIx,
        span: Range<UtcMicros>,
    ) -> impl Iterator<Item = (Quarter, &FeederInterval)> {
        let intervals = self.intervals.get(&feeder).zip(quarters_ending_in(&span));
        intervals
            .into_iter()
            .flat_map(|(intervals, quarters)| intervals.range(quarters))
            .map(|(quarter, interval)| (*quarter, interval.as_ref()))
    }

    /// Sums of a node above the feeders by interval, in time order.
    pub fn node_intervals(
        &self,
        node: NodeIx,
        span: Range<UtcMicros>,
    ) -> impl Iterator<Item = (Quarter, &Sums)> {
        let intervals = self.above.get(&node).zip(quarters_ending_in(&span));
        intervals
            .into_iter()
            .flat_map(|(intervals, quarters)| intervals.range(quarters))
            .map(|(quarter, sums)| (*quarter, sums))
    }

    /// Sums of any node in a civil day.
    #[must_use]
    pub fn node_day(&self, node: NodeIx, day: Day) -> Option<&Sums> {
        self.days.get(&node)?.get(&day)
    }

    /// Sums of any node by civil day, in time order.
    pub fn node_days(&self, node: NodeIx) -> impl Iterator<Item = (Day, &Sums)> {
        self.days
            .get(&node)
            .into_iter()
            .flat_map(|days| days.iter().map(|(day, sums)| (*day, sums)))
    }

    /// The newest interval that has a balance anywhere.
    #[must_use]
    pub fn newest_interval(&self) -> Option<Quarter> {
        self.intervals
            .values()
            .filter_map(|intervals| intervals.last_key_value())
            .map(|(quarter, _)| *quarter)
            .max()
    }

    /// Status of what ended at `end`: `final` after the settlement horizon, `provisional` before.
    #[must_use]
    pub fn status_at(&self, end: UtcMicros, now: UtcMicros) -> &'static str {
        if end.plus(self.settings.settlement_micros) <= now {
            "final"
        } else {
            "provisional"
        }
    }
}
