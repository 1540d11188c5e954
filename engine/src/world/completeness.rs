//! How complete and how timely the reads of a day were: the table `read_completeness`, by node and civil day.
//!
//! **Definition.** For every closed civil day (its last interval ended, and the grace period gone) of every node:
//! - `expected`: the reads that the meters of the node owe for the intervals that began in the day: of every meter that takes part in
//!   its balances, by the network as it was at each interval, one for each interval of the meter's own length. A boundary meter
//!   counts with its own feeder alone.
//! - a read *came* when the first value of its interval was received that could stand, by the configured clock at the edge
//!   (`received_at` of its log record, or of the record by which a quarantined read came). Corrections and repetitions change nothing; of
//!   several records the earliest counts, in whatever order they are read. An interval that nobody reported and a person
//!   set came when it was set.
//! - `by_8h`, `by_12h`, `by_24h`: those that came at most 8, 12, 24 hours after the day's end, each containing the one before; `later`:
//!   those that came after that.
//! - `estimated`: the intervals that hold an estimate, `missing`: those that hold nothing.
//!   `expected = by_24h + later + estimated + missing`, exactly, and children sum to their parent, as in balances.
//!
//! Source: CONTRACT section 3 (the columns) and DOMAIN section 3: the AMISP service level asks for 95 % of the interval data within 8 h
//! and 98 % within 12 h of the day; 24 h is the level of billing profiles. That they are counted from the end of the civil day is how
//! the levels are written; `<=` at the boundary is house choice.
//!
//! A feeder owes reads from the first day on which any of its meters was heard; a day on which all of it was silent counts as missing
//! for [`SILENT_DAYS_MAX`] days after the last one on which it was heard (house choice: one read with a wrong date must not
//! make years of missing days). So a dead feeder shows here, where balances have nothing to say.
//!
//! Like a balance this is a function of the standing picture, not of the order in which it came (ORD-1): a feeder's day is tallied anew when
//! a cell of it changes ([`World::tally`]), and a version is published where the table says something else, for one
//! node and day at most every [`Settings::roll_up_micros`](super::Settings::roll_up_micros).

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::{Bound, RangeInclusive},
    sync::Arc,
};

use arrow::{array::RecordBatch, error::ArrowError};
use gridtally_schemas::{Day, UtcMicros, table};
use hashbrown::HashMap;

use super::{
    World,
    publish::{Due, Published, Row, Scope, Stage, digest},
    restore::{RestoreError, columns::Rows},
};
use crate::{
    network::{MemberRole, NodeIx, Roster},
    outbox::{Columns, Parts, Stamp},
    state::{Arrival, BlockNumber, BlockWindow, Held, Quarter},
};

#[cfg(test)]
mod tests;

/// Days after the last one on which it was heard for which a silent feeder owes reads.
pub const SILENT_DAYS_MAX: i32 = 30;

/// Reads of a node's day.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ReadTally {
    /// Reads that the day should have.
    pub expected: i64,
    /// Reads that came at most 8 h after the day's end.
    pub by_8h: i64,
    /// Reads that came at most 12 h after it, those of `by_8h` among them.
    pub by_12h: i64,
    /// Reads that came at most 24 h after it, those of `by_12h` among them.
    pub by_24h: i64,
    /// Reads that came after that.
    pub later: i64,
    /// Intervals that hold an estimate.
    pub estimated: i64,
}

impl ReadTally {
    /// Intervals that hold nothing.
    #[must_use]
    pub const fn missing(&self) -> i64 {
        self.expected - self.by_24h - self.later - self.estimated
    }

    /// Adds another node's reads.
    pub const fn plus(&mut self, other: &Self) {
        self.add(other, 1);
    }

    const fn minus(&mut self, other: &Self) {
        self.add(other, -1);
    }

    const fn add(&mut self, other: &Self, sign: i64) {
        self.expected += sign * other.expected;
        self.by_8h += sign * other.by_8h;
        self.by_12h += sign * other.by_12h;
        self.by_24h += sign * other.by_24h;
        self.later += sign * other.later;
        self.estimated += sign * other.estimated;
    }

    /// Counts one interval. `None`: its meter is not in service, so nothing that it said counts.
    fn count(&mut self, held: Option<Held>) {
        self.expected += 1;
        match held {
            None | Some(Held::Nothing) => {}
            Some(Held::Estimate) => self.estimated += 1,
            Some(Held::Said(arrival)) => {
                self.by_8h += i64::from(arrival <= Arrival::WITHIN_8_HOURS);
                self.by_12h += i64::from(arrival <= Arrival::WITHIN_12_HOURS);
                self.by_24h += i64::from(arrival <= Arrival::WITHIN_24_HOURS);
                self.later += i64::from(arrival > Arrival::WITHIN_24_HOURS);
            }
        }
    }
}

/// The part of the picture that is kept of completeness.
#[derive(Debug, Default)]
pub(crate) struct Completeness {
    /// Days of feeders to tally.
    waiting: BTreeSet<(Day, NodeIx)>,
    /// The one that was tallied last: the next one goes on behind it, so that none waits for ever.
    last: Option<(Day, NodeIx)>,
    /// What waited when the first was tallied, as far as it still does: before that is done, a day that the table has may only seem to
    /// be owed by nobody. `None`: nothing was tallied yet.
    first: Option<BTreeSet<(Day, NodeIx)>>,
    /// What a feeder's day gives each node: its DTs, itself, the nodes above.
    of_feeders: HashMap<(NodeIx, Day), Vec<(NodeIx, ReadTally)>>,
    nodes: HashMap<(NodeIx, Day), ReadTally>,
    published: HashMap<(NodeIx, Day), Published>,
    unpublished: BTreeSet<(NodeIx, Day)>,
    /// The quarters and the end of the civil day that was asked for last: late reads come in runs of one day.
    day_end: Option<(RangeInclusive<Quarter>, UtcMicros)>,
}

impl Completeness {
    /// Notes that cells of a feeder's day, or its meters, may have changed.
    pub(super) fn note(&mut self, feeder: NodeIx, day: Day) {
        self.waiting.insert((day, feeder));
    }

    /// The next feeder's day that waits.
    fn next(&mut self) -> Option<(Day, NodeIx)> {
        self.first.get_or_insert_with(|| self.waiting.clone());
        let behind = self.last.and_then(|last| {
            let rest = (Bound::Excluded(last), Bound::Unbounded);
            self.waiting.range(rest).next().copied()
        });
        behind.or_else(|| self.waiting.first().copied())
    }

    /// What waits now is what the process begins with.
    pub(super) fn begin(&mut self) {
        self.first = None;
    }

    /// Takes a feeder's day that is tallied now.
    fn take(&mut self, next: (Day, NodeIx)) {
        self.waiting.remove(&next);
        if let Some(first) = &mut self.first {
            first.remove(&next);
        }
        self.last = Some(next);
    }

    /// Puts what a feeder's day gives now in the place of what it gave.
    fn put(&mut self, feeder: NodeIx, day: Day, now: Vec<(NodeIx, ReadTally)>) {
        let key = (feeder, day);
        let before = self.of_feeders.remove(&key).unwrap_or_default();
        if before != now {
            self.step(day, &before, ReadTally::minus);
            self.step(day, &now, ReadTally::plus);
        }
        if !now.is_empty() {
            self.of_feeders.insert(key, now);
        }
    }

    fn step(&mut self, day: Day, tallies: &[(NodeIx, ReadTally)], step: fn(&mut ReadTally, &ReadTally)) {
        for (node, tally) in tallies {
            let entry = self.nodes.entry((*node, day)).or_default();
            step(entry, tally);
            if *entry == ReadTally::default() {
                self.nodes.remove(&(*node, day));
            }
            self.unpublished.insert((*node, day));
        }
    }
}

/// The columns of the table that count, in order.
const COUNTS: [Count; 7] = [
    ("expected", |tally| tally.expected),
    ("by_8h", |tally| tally.by_8h),
    ("by_12h", |tally| tally.by_12h),
    ("by_24h", |tally| tally.by_24h),
    ("later", |tally| tally.later),
    ("estimated", |tally| tally.estimated),
    ("missing", ReadTally::missing),
];
type Count = (&'static str, fn(&ReadTally) -> i64);

/// Cells of one feeder's day: the windows of the blocks that its meters live in.
struct Cells<'a> {
    world: &'a World,
    quarters: RangeInclusive<Quarter>,
    windows: HashMap<BlockNumber, BlockWindow<'a>>,
}

impl Cells<'_> {
    /// Counts what the members of `roster` owe in these quarters.
    fn count(&mut self, roster: &Roster, by_node: &mut BTreeMap<NodeIx, ReadTally>) {
        let mut of_feeder = ReadTally::default();
        for member in roster.members() {
            if member.role == MemberRole::BoundaryOther {
                continue;
            }
            let mut tally = ReadTally::default();
            let place = self
                .world
                .state
                .slot_of(member.meter)
                .filter(|_| member.in_service);
            let (world, quarters) = (self.world, &self.quarters);
            let window = place.map(|(block, slot)| {
                let window = self.windows.entry(block);
                (
                    window.or_insert_with(|| world.state.window(block, quarters.clone())),
                    slot,
                )
            });
            let length = member.minutes.quarters();
            for (position, quarter) in (quarters.start().0..=quarters.end().0).map(Quarter).enumerate() {
                if quarter.ceil_to(length) == quarter {
                    tally.count(window.as_ref().map(|(window, slot)| window.held(*slot, position)));
                }
            }
            of_feeder.plus(&tally);
            let dt = member.dt.and_then(|dt| usize::try_from(dt).ok());
            if let Some(dt) = dt.and_then(|dt| roster.dts.get(dt)) {
                by_node.entry(*dt).or_default().plus(&tally);
            }
        }
        for node in std::iter::once(&roster.feeder).chain(roster.ancestors.iter()) {
            by_node.entry(*node).or_default().plus(&of_feeder);
        }
    }
}

impl World {
    /// How soon after the end of its civil day a read came.
    pub(super) fn arrival(&mut self, quarter: Quarter, received_at: UtcMicros) -> Arrival {
        if Arrival::is_surely_on_time(received_at.0.saturating_sub(quarter.end().0)) {
            return Arrival::WITHIN_8_HOURS;
        }
        let end = match &self.completeness.day_end {
            Some((of, end)) if of.contains(&quarter) => *end,
            Some(_) | None => {
                let day = self.day_of(quarter);
                let end = self.settings.zone.start_of(day.next());
                self.completeness.day_end = Some((self.quarters_of_day(day), end));
                end
            }
        };
        Arrival::after(received_at.0.saturating_sub(end.0))
    }

    /// Notes that the first value of a feeder's day came, or the last went: the silent days after it count, or do not. From the next
    /// day on which it was heard they count because of that one.
    pub(super) fn note_silence(&mut self, feeder: NodeIx, heard: Day) {
        self.completeness.note(feeder, heard);
        for after in 1..=SILENT_DAYS_MAX {
            let silent = Day(heard.0.saturating_add(after));
            if self.heard.contains_key(&(feeder, silent)) {
                break;
            }
            self.completeness.note(feeder, silent);
        }
    }

    /// Notes the silent days of feeders whose master data changed; those with values are noted where their rosters differ.
    pub(super) fn note_silence_of(&mut self, feeders: &BTreeSet<NodeIx>) {
        let heard = self.heard.keys().filter(|(feeder, _)| feeders.contains(feeder));
        let heard: Vec<(NodeIx, Day)> = heard.copied().collect();
        for (feeder, day) in heard {
            for after in 1..=SILENT_DAYS_MAX {
                let silent = Day(day.0.saturating_add(after));
                if self.heard.contains_key(&(feeder, silent)) {
                    break;
                }
                self.completeness.note(feeder, silent);
            }
        }
    }

    /// Notes the days that closed after `before` and up to `after`, the last quarters of whole days.
    pub(super) fn close_completeness(&mut self, before: Quarter, after: Quarter) {
        if after <= before {
            return;
        }
        let (first, last) = (
            self.day_of(Quarter(before.0.saturating_add(1))),
            self.day_of(after),
        );
        let mut closed: Vec<(NodeIx, Day)> = Vec::new();
        for (feeder, heard) in self.heard.keys() {
            let until = last.0.min(heard.0.saturating_add(SILENT_DAYS_MAX));
            closed.extend((heard.0.max(first.0)..=until).map(|day| (*feeder, Day(day))));
        }
        for (feeder, day) in closed {
            self.completeness.note(feeder, day);
        }
    }

    /// Tallies at most `feeder_days_max` feeders' days that wait, up to one whose values are out of memory: those are asked for
    /// ([`World::take_asked`]). Tells how many that were.
    pub fn tally(&mut self, feeder_days_max: usize) -> usize {
        let mut done = 0;
        while done < feeder_days_max
            && let Some((day, feeder)) = self.completeness.next()
        {
            if !self.can_tally(feeder, day) {
                break;
            }
            self.completeness.take((day, feeder));
            let now = self.tally_of(feeder, day);
            self.completeness.put(feeder, day, now);
            done += 1;
        }
        done
    }

    /// What a feeder's day gives each node; nothing while it is open or nobody owes it.
    fn tally_of(&mut self, feeder: NodeIx, day: Day) -> Vec<(NodeIx, ReadTally)> {
        let span = self.quarters_of_day(day);
        let is_heard = |back: i32| {
            self.heard
                .contains_key(&(feeder, Day(day.0.saturating_sub(back))))
        };
        if *span.end() > self.vee.closed_through || !(0..=SILENT_DAYS_MAX).any(is_heard) {
            return Vec::new();
        }
        let mut by_node: BTreeMap<NodeIx, ReadTally> = BTreeMap::new();
        let mut from = *span.start();
        while from <= *span.end() {
            let roster: Arc<Roster> = self.roster(feeder, from);
            // Master rows begin on the grid: the roster holds for the quarters that begin before its end.
            let until = if roster.span.end >= span.end().end() {
                *span.end()
            } else {
                super::quarter_at(roster.span.end).clamp(from, *span.end())
            };
            let mut cells = Cells {
                world: self,
                quarters: from..=until,
                windows: HashMap::new(),
            };
            cells.count(&roster, &mut by_node);
            from = Quarter(until.0.saturating_add(1));
        }
        by_node.retain(|_, tally| *tally != ReadTally::default());
        by_node.into_iter().collect()
    }

    /// Whether every closed day is tallied as what was applied says.
    #[must_use]
    pub fn is_tallied(&self) -> bool {
        self.completeness.waiting.is_empty()
    }

    /// The reads of a node's closed day; `None`: it is open, or nobody owes it.
    #[must_use]
    pub fn read_completeness(&self, node: NodeIx, day: Day) -> Option<ReadTally> {
        self.completeness.nodes.get(&(node, day)).copied()
    }

    /// All of them, in no order.
    #[cfg(test)]
    pub(super) fn tallies(&self) -> impl Iterator<Item = (NodeIx, Day, ReadTally)> {
        let nodes = self.completeness.nodes.iter();
        nodes.map(|((node, day), tally)| (*node, *day, *tally))
    }

    /// Takes what differs from the table and is due, of at most so many nodes' days; tells whether there are more.
    pub(super) fn take_completeness(
        &mut self,
        now: UtcMicros,
        scope: Scope,
        days_max: usize,
        due: &mut Due,
    ) -> bool {
        if self
            .completeness
            .first
            .as_ref()
            .is_none_or(|first| !first.is_empty())
        {
            return false;
        }
        let taken = due
            .passed_completeness
            .next(&self.completeness.unpublished, days_max);
        for key in &taken {
            let mut published = self.completeness.published.get(key).copied().unwrap_or_default();
            let waits = published.at.plus(self.settings.roll_up_micros) > now;
            if scope == Scope::Due && published.version > 0 && waits {
                continue;
            }
            self.completeness.unpublished.remove(key);
            let (node, day) = *key;
            let of_node = self.network.node(node);
            let Some((id, kind)) = of_node.and_then(|node| Some((node.id.clone(), node.kind()?))) else {
                continue;
            };
            let live = self.completeness.nodes.get(key).copied();
            // A day that nobody owes any more (the network turned out to be another) says so once it was published.
            if live.is_none() && published.version == 0 {
                continue;
            }
            let values = live.unwrap_or_default();
            if let Some(version) = published.next(digest(&values), false, now) {
                self.completeness.published.insert(*key, published);
                due.completeness.push(Row {
                    id,
                    kind,
                    key: day,
                    values,
                    version,
                });
            }
        }
        taken.len() == days_max
    }

    /// Puts back what was published.
    pub(crate) fn restore_completeness(&mut self, batch: &RecordBatch) -> Result<(), RestoreError> {
        let rows = Rows::of(&table::READ_COMPLETENESS, batch);
        let (id, day, version) = (rows.text("node_id")?, rows.day("day")?, rows.whole("version")?);
        let [expected, by_8h, by_12h] = [
            rows.whole("expected")?,
            rows.whole("by_8h")?,
            rows.whole("by_12h")?,
        ];
        let [by_24h, later, estimated] = [
            rows.whole("by_24h")?,
            rows.whole("later")?,
            rows.whole("estimated")?,
        ];
        let at = rows.time("published_at")?;
        for row in 0..batch.num_rows() {
            let values = ReadTally {
                expected: expected.value(row),
                by_8h: by_8h.value(row),
                by_12h: by_12h.value(row),
                by_24h: by_24h.value(row),
                later: later.value(row),
                estimated: estimated.value(row),
            };
            let node = self.network.name_node(&rows.parse("node_id", id.value(row))?);
            let key = (node, Day(day.value(row)));
            let entry = self.completeness.published.entry(key).or_default();
            if version.value(row) > entry.version {
                *entry = Published {
                    version: version.value(row),
                    digest: digest(&values),
                    stage: Stage::Provisional,
                    at: UtcMicros(at.value(row)),
                };
            }
            self.completeness.unpublished.insert(key);
        }
        Ok(())
    }
}

/// The rows of a checkpoint.
pub(super) fn batch(rows: &Parts<Row<Day, ReadTally>>, stamp: Stamp<'_>) -> Result<RecordBatch, ArrowError> {
    let mut columns = Columns::new(&table::READ_COMPLETENESS, rows.len())
        .text("node_id", rows.iter().map(|row| Some(row.id.as_str())))
        .day("day", rows.iter().map(|row| row.key));
    for (name, of) in COUNTS {
        columns = columns.whole(name, rows.iter().map(|row| Some(of(&row.values))));
    }
    columns
        .whole("version", rows.iter().map(|row| Some(row.version.version)))
        .text("reason", rows.iter().map(|row| row.version.reason))
        .time("published_at", rows.iter().map(|_| Some(stamp.published_at)))
        .finish()
}
