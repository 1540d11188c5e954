//! Letting days go.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::RangeInclusive,
};

use gridtally_schemas::{Day, network::NodeKind, time::QUARTER_MICROS};
use hashbrown::HashSet;

use super::{BlockNumber, NodeIx, Quarter, World};
use crate::{balance::FeederInterval, network::Node, world::publish::PublishedIntervals};

/// Memory of an entry of an ordered map beside key and value, bytes.
const ENTRY_BYTES: usize = 8;

/// What cannot go: something of it waits to be computed, judged or published.
#[derive(Default)]
struct Busy {
    feeders: HashSet<(NodeIx, Day)>,
    blocks: HashSet<(BlockNumber, Day)>,
}

fn interval_bytes(interval: &FeederInterval) -> usize {
    // The map's part, the counts of the shared pointer, and the node that it is in.
    let shared = size_of::<FeederInterval>() + size_of::<(Quarter, usize)>() + 2 * ENTRY_BYTES + ENTRY_BYTES;
    shared + interval.dts.bytes()
}

impl World {
    /// Memory of what can be let go, bytes: values, balances and what was published of them.
    #[must_use]
    pub fn resident_bytes(&self) -> usize {
        let intervals = self.intervals.values().flat_map(BTreeMap::values);
        let published: usize = self.published.values().map(PublishedIntervals::len).sum();
        self.state.bytes()
            + intervals.map(|interval| interval_bytes(interval)).sum::<usize>()
            + published * PublishedIntervals::ENTRY_BYTES
    }

    /// Lets the oldest days go until the rest fits the budget. Called right after a checkpoint, while none is being written: then what
    /// the tables do not hold yet is in the outbox or among what is unpublished. Tells how many days of feeders and blocks went.
    pub(crate) fn let_go(&mut self) -> usize {
        let mut bytes = self.resident_bytes();
        let mut gone: Vec<(RangeInclusive<Quarter>, HashSet<BlockNumber>)> = Vec::new();
        let mut count = 0;
        if bytes > self.settings.state_bytes_max && self.stale.is_empty() {
            let horizon = self.horizon();
            let days = self.days_through(horizon);
            // What waits is looked for only where something may go: it is much at each checkpoint of a running day.
            let busy = if days.is_empty() {
                Busy::default()
            } else {
                self.fill_queue();
                self.busy(horizon)
            };
            for day in days {
                if bytes <= self.settings.state_bytes_max {
                    break;
                }
                let span = self.quarters_of_day(day);
                let (feeders, blocks, freed) = self.let_day_go(day, &busy);
                bytes = bytes.saturating_sub(freed);
                count += feeders + blocks.len();
                gone.push((span, blocks));
            }
        }
        if count > 0 {
            self.state.forget_versions(|block, quarter| {
                let of_day = gone.iter().find(|(span, _)| span.contains(&quarter));
                of_day.is_some_and(|(_, blocks)| blocks.contains(&block))
            });
            self.note_out();
        }
        self.paging.paged.resident_bytes = bytes;
        self.paging.since_let_go = 0;
        count
    }

    /// The last quarter up to which a day may go: balances are final, every rule has been applied, and gaps are estimated; the newest
    /// day of all stays.
    fn horizon(&self) -> Quarter {
        self.judged_through().min(self.horizon_once_judged())
    }

    fn judged_through(&self) -> Quarter {
        match self.settings.vee.estimate_after_micros {
            Some(_) => self.vee.judged_through(),
            None => self.vee.closed_through(),
        }
    }

    fn horizon_once_judged(&self) -> Quarter {
        let newest = self.newest_interval().map_or(Quarter(0), |newest| {
            self.quarters_of_day(self.day_of(newest)).start().minus(1)
        });
        newest.min(self.settled_through).min(self.closed_through)
    }

    /// Whether more was in memory than the budget allows when days were last let go, and days wait for nothing but to be judged.
    pub(crate) fn would_let_go_once_judged(&self) -> bool {
        let is_settled = |day: Day| *self.quarters_of_day(day).end() <= self.horizon_once_judged();
        self.was_over_budget() && self.vee.first_day_waiting().is_some_and(is_settled)
    }

    /// Days that lie wholly up to `horizon` and hold something that can go, oldest first. A day that begins or ends off the half hours
    /// of UTC stays: a half-hour balance may take values of two days there.
    fn days_through(&self, horizon: Quarter) -> BTreeSet<Day> {
        let balances = self.intervals.values().flat_map(BTreeMap::keys).copied();
        let quarters: HashSet<Quarter> = balances
            .chain(self.state.quarters_held())
            .filter(|quarter| *quarter <= horizon)
            .collect();
        let on_half_hour = |day: Day| self.settings.zone.start_of(day).0.rem_euclid(2 * QUARTER_MICROS) == 0;
        let days: BTreeSet<Day> = quarters.into_iter().map(|quarter| self.day_of(quarter)).collect();
        days.into_iter()
            .filter(|day| *self.quarters_of_day(*day).end() <= horizon)
            .filter(|day| on_half_hour(*day) && on_half_hour(day.next()))
            .collect()
    }

    fn busy(&mut self, horizon: Quarter) -> Busy {
        let mut busy = Busy::default();
        let waiting = self.dirty.keys().chain(&self.unpublished);
        for (feeder, quarter) in waiting.filter(|(_, quarter)| *quarter <= horizon) {
            busy.feeders.insert((*feeder, self.day_of(*quarter)));
        }
        for (node, quarter) in self.withdrawn.iter().filter(|(_, quarter)| *quarter <= horizon) {
            let (day, mut feeders) = (self.day_of(*quarter), Vec::new());
            self.network.feeders_above(*node, &mut feeders);
            busy.feeders
                .extend(feeders.into_iter().map(|feeder| (feeder, day)));
        }
        for (block, quarter) in self.state.dirty().filter(|(_, quarter)| *quarter <= horizon) {
            busy.blocks.insert((block, self.day_of(quarter)));
        }
        let said = self.outbox.reads.iter().filter(|row| row.quarter <= horizon);
        let said = said.map(|row| (row.meter, row.quarter));
        for (meter, quarter) in said.chain(self.vee.estimates_waiting()) {
            let block = self.state.block_of(meter);
            busy.blocks
                .extend(block.map(|block| (block, self.day_of(quarter))));
        }
        for (day, meter) in self.vee.days_waiting() {
            let block = self.state.block_of(meter);
            busy.blocks.extend(block.map(|block| (block, day)));
        }
        for (window, feeder) in self.vee.mappings_waiting() {
            let days = self.days_of_mapping(window).map(Day);
            busy.feeders.extend(days.map(|day| (feeder, day)));
        }
        let blocks: Vec<(BlockNumber, Day)> = busy.blocks.iter().copied().collect();
        for (block, day) in blocks {
            let feeders = self.feeders_of(block);
            busy.feeders.extend(feeders.iter().map(|feeder| (*feeder, day)));
        }
        busy
    }

    /// Lets a day go, save what is busy and the values that the feeders that stay are computed from. Gives the number of feeders, the
    /// blocks, and their memory, bytes.
    fn let_day_go(&mut self, day: Day, busy: &Busy) -> (usize, HashSet<BlockNumber>, usize) {
        let span = self.quarters_of_day(day);
        let has_balance = |intervals: &BTreeMap<Quarter, _>| intervals.range(span.clone()).next().is_some();
        let of_day = busy.feeders.iter().filter(|(_, of)| *of == day);
        let stay: HashSet<NodeIx> = of_day.map(|(feeder, _)| *feeder).collect();
        let with_balance = self
            .intervals
            .iter()
            .filter(|(_, intervals)| has_balance(intervals));
        let go: HashSet<NodeIx> = with_balance
            .map(|(feeder, _)| *feeder)
            .filter(|feeder| !stay.contains(feeder))
            .collect();
        let mut bytes = 0;
        let mut blocks = HashSet::new();
        for block in self.state.blocks_in(span.clone()).collect::<Vec<_>>() {
            let feeders = self.feeders_of(block);
            let is_needed = feeders.iter().any(|feeder| stay.contains(feeder));
            if !is_needed && !busy.blocks.contains(&(block, day)) {
                bytes += self.state.let_go(block, span.clone());
                blocks.insert(block);
            }
        }
        for feeder in &go {
            bytes += self.let_feeder_go(*feeder, (day, &span), &go);
        }
        let count = go.len();
        if count > 0 {
            self.paging.feeders.entry(day).or_default().extend(go);
        }
        if !blocks.is_empty() {
            self.paging.blocks.entry(day).or_default().extend(&blocks);
        }
        (count, blocks, bytes)
    }

    fn let_feeder_go(
        &mut self,
        feeder: NodeIx,
        (day, span): (Day, &RangeInclusive<Quarter>),
        go: &HashSet<NodeIx>,
    ) -> usize {
        let mut bytes = 0;
        if let Some(intervals) = self.intervals.get_mut(&feeder) {
            let quarters: Vec<Quarter> = intervals
                .range(span.clone())
                .map(|(quarter, _)| *quarter)
                .collect();
            for quarter in quarters {
                bytes += intervals
                    .remove(&quarter)
                    .map_or(0, |interval| interval_bytes(&interval));
            }
        }
        let children = self
            .network
            .node(feeder)
            .map_or(&[][..], |node| node.children.as_slice());
        // A DT that was on a feeder without balances in the day too: that one comes back without being read from the tables.
        let is_idle_dt = |dt: &NodeIx| {
            let mut above = Vec::new();
            self.network.feeders_above(*dt, &mut above);
            let is_dt = self.network.node(*dt).and_then(Node::kind) == Some(NodeKind::Dt);
            let is_out = |other: &NodeIx| go.contains(other) || self.paging.has_feeder(*other, day);
            is_dt && above.contains(&feeder) && above.iter().all(is_out)
        };
        let mut nodes: Vec<NodeIx> = children.iter().copied().filter(is_idle_dt).collect();
        nodes.push(feeder);
        for node in nodes {
            let Some(published) = self.published.get_mut(&node) else {
                continue;
            };
            bytes += published.forget(span) * PublishedIntervals::ENTRY_BYTES;
        }
        bytes
    }

    /// Notes up to when something is out of memory.
    pub(super) fn note_out(&mut self) {
        let newest = self.paging.newest_day();
        self.paging.out_through = newest.map(|day| self.settings.zone.start_of(day.next()));
    }
}
