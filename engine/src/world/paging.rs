//! What of the picture is in memory, and what comes back when it is needed.
//!
//! Beyond [`Settings::state_bytes_max`] the oldest days are let go once nothing more of them is to be published, and come back from the
//! tables when a late read, an edit, master data, an estimate or a caller asks for them. What is in memory never decides what a result
//! is (ORD-1).
//!
//! ```text
//! (feeder, civil day): balances of the feeder and its DTs by interval, and what was published of them
//! (block, civil day):  the values of the block's meters, and their versions
//! ```
//!
//! Of a day that was let go this stays: the daily sums of every node and the sums of the nodes above the feeders by interval (so that a
//! change of one feeder restates all levels above exactly, by what it takes away and adds), which feeders were heard, registers, events,
//! reported gaps, exceptions and estimates. Of what can be in memory or not the list of what is *not* is kept: a day of which nothing was
//! ever said needs no look at a table, so a backfill of the past, newest first, pages nothing in.
//!
//! What holds, whatever is in memory:
//! - a cell changes only while its block's day is here, and with it the day of every feeder on which its meter ever was;
//! - a feeder's day that is here, and has balances, has the values of all its members here; where it has none, and something of it may
//!   change, they come back before;
//! - what was rolled up by the network as it was is taken away by it: of a day that is out and that a master row concerns, the rosters stay
//!   by which it was computed (`owed.rs`). Days before a row begins are not concerned ([`Network::concerned_by`]).
//!
//! So whoever is about to change or read something asks first what that needs ([`Wanted`]); the engine reads one partition of
//! `interval_reads` for each day of it, for all that is wanted there together, and computes the balances anew from the values: they are
//! a function of values and network, so they are what was let go, and no roll-up moves. How far they were published is read from their
//! tables. Let go is only what a finished checkpoint holds, so a page-in needs the tables alone.
//!
//! Bound: days whose balances are not final yet, whose gaps are not estimated yet, or of which something waits are never let go, so
//! the budget should hold the balances of the settlement horizon; the values of such days wait on disk beyond it (`put_away.rs`). What nobody waits for (days that are owed, validation, completeness) comes back a
//! portion at a time, and a checkpoint and letting go are between two portions.
//!
//! [`Settings::state_bytes_max`]: super::Settings::state_bytes_max
//! [`Network::concerned_by`]: crate::network::Network::concerned_by

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use gridtally_ingest::log::Position;
use gridtally_schemas::{Day, UtcMicros};
use hashbrown::HashSet;

use super::World;
use crate::{
    network::{MeterIx, NodeIx, Roster},
    state::{BlockNumber, Quarter},
};

mod bring_back;
mod let_go;
mod owed;
mod put_away;
mod start;
mod wanted;

pub(crate) use bring_back::{PagedIds, of_day};
pub(crate) use wanted::is_master_data;

/// What must be in memory before something can be done, by civil day.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Wanted(BTreeMap<Day, WantedDay>);

/// What is wanted of one civil day.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct WantedDay {
    /// Feeders with their balances.
    pub(crate) feeders: BTreeSet<NodeIx>,
    /// Blocks with their values; those of the feeders' meters among them.
    pub(crate) blocks: BTreeSet<BlockNumber>,
}

impl Wanted {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Number of feeders' days.
    #[cfg(test)]
    pub(crate) fn feeders(&self) -> usize {
        self.0.values().map(|of_day| of_day.feeders.len()).sum()
    }

    /// Adds what `other` wants.
    pub(crate) fn add(&mut self, other: Self) {
        for (day, of_day) in other.0 {
            let entry = self.0.entry(day).or_default();
            entry.feeders.extend(of_day.feeders);
            entry.blocks.extend(of_day.blocks);
        }
    }

    /// Day by day, oldest first.
    pub(crate) fn into_days(self) -> impl Iterator<Item = (Day, WantedDay)> {
        self.0.into_iter()
    }
}

/// What was let go and what came back, since the process started.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Paged {
    /// Days of feeders whose balances are not in memory now.
    pub feeder_days_out: usize,
    /// Days of blocks whose values are not in memory now.
    pub block_days_out: usize,
    /// Of the former, those of which master data changed since and that wait to be computed anew.
    pub feeder_days_owed: usize,
    /// Civil days read back: one scan of a partition each.
    pub page_ins: u64,
    /// Days of feeders that came back.
    pub feeder_days_in: u64,
    /// Days of blocks that came back.
    pub block_days_in: u64,
    /// Memory of values, balances and what was published of them when it was last counted, bytes.
    pub resident_bytes: usize,
    /// Bytes of values that wait on disk.
    pub cold_bytes: u64,
}

/// The part of the picture that knows what is not in memory.
#[derive(Debug, Default)]
pub(super) struct Paging {
    feeders: BTreeMap<Day, HashSet<NodeIx>>,
    blocks: BTreeMap<Day, HashSet<BlockNumber>>,
    /// End of the newest day of which anything was let go; `None`: all of the picture is here.
    out_through: Option<UtcMicros>,
    /// What judging, tallying, or looking for outages, met and could not look at.
    asked: Wanted,
    /// Feeders' days that are out and of which master data changed, with the rosters by which they were computed.
    owed: BTreeMap<(Day, NodeIx), Vec<Arc<Roster>>>,
    /// The last record before the first one that left days owed; `None`: none is.
    owed_after: Option<Position>,
    /// The same of what the tables hold.
    unpublished_after: Option<Position>,
    /// Days of feeders and of blocks that came back since days were last let go.
    since_let_go: usize,
    paged: Paged,
}

impl Paging {
    fn has_feeder(&self, feeder: NodeIx, day: Day) -> bool {
        self.feeders.get(&day).is_some_and(|out| out.contains(&feeder))
    }

    fn has_block(&self, block: BlockNumber, day: Day) -> bool {
        self.blocks.get(&day).is_some_and(|out| out.contains(&block))
    }

    /// Whether what ends at `instant` may be out.
    fn reaches(&self, instant: UtcMicros) -> bool {
        self.out_through.is_some_and(|through| instant <= through)
    }

    fn newest_day(&self) -> Option<Day> {
        let newest = |day: Option<&Day>| day.copied();
        newest(self.feeders.keys().next_back()).max(newest(self.blocks.keys().next_back()))
    }
}

impl World {
    /// Whether anything of the picture is out of memory.
    pub(crate) fn has_let_go(&self) -> bool {
        self.paging.out_through.is_some()
    }

    /// Whether more was in memory than the budget allows when days were last let go.
    pub(crate) fn was_over_budget(&self) -> bool {
        self.paging.paged.resident_bytes > self.settings.state_bytes_max
    }

    /// What was let go and what came back.
    #[must_use]
    pub fn paged(&self) -> Paged {
        let count = |sizes: &mut dyn Iterator<Item = usize>| sizes.sum();
        Paged {
            feeder_days_out: count(&mut self.paging.feeders.values().map(HashSet::len)),
            block_days_out: count(&mut self.paging.blocks.values().map(HashSet::len)),
            feeder_days_owed: self.owed(),
            cold_bytes: self.state.cold_bytes(),
            ..self.paging.paged
        }
    }

    /// Days of feeders and of blocks that came back since days were last let go.
    pub(crate) const fn paged_since_let_go(&self) -> usize {
        self.paging.since_let_go
    }

    /// Everything that is out of memory.
    #[cfg(test)]
    pub(crate) fn wanted_all(&self) -> Wanted {
        let mut wanted = Wanted::default();
        for (day, feeders) in &self.paging.feeders {
            let feeders: Vec<NodeIx> = feeders.iter().copied().collect();
            self.want(&mut wanted, *day, &feeders, None);
        }
        for (day, blocks) in &self.paging.blocks {
            for block in blocks {
                self.want(&mut wanted, *day, &[], Some(*block));
            }
        }
        wanted
    }

    /// Whether the balance of a feeder in an interval is out of memory: then no member of it can have changed.
    pub(super) fn is_out(&self, feeder: NodeIx, quarter: Quarter) -> bool {
        self.paging.reaches(quarter.end()) && self.paging.has_feeder(feeder, self.day_of(quarter))
    }

    /// Whether the values of a meter in a day are out of memory.
    pub(super) fn is_meter_day_out(&self, meter: MeterIx, day: Day) -> bool {
        let block = self.state.block_of(meter);
        block.is_some_and(|block| self.paging.has_block(block, day))
    }

    /// Adds what of these is out of memory in a day, with the values from which the feeders' balances are, or will be, computed.
    fn want(&self, wanted: &mut Wanted, day: Day, feeders: &[NodeIx], block: Option<BlockNumber>) {
        for feeder in feeders {
            let is_out = self.paging.has_feeder(*feeder, day);
            if !is_out && !self.lacks_values(*feeder, day) {
                continue;
            }
            let blocks = self.blocks_out_of(*feeder, day);
            if is_out || !blocks.is_empty() {
                let of_day = wanted.0.entry(day).or_default();
                of_day.blocks.extend(blocks);
                of_day.feeders.extend(is_out.then_some(*feeder));
            }
        }
        if let Some(block) = block.filter(|block| self.paging.has_block(*block, day)) {
            wanted.0.entry(day).or_default().blocks.insert(block);
        }
    }

    /// Whether values of a feeder may be out although its balances are not: it has none in the day, so nothing kept them here.
    fn lacks_values(&self, feeder: NodeIx, day: Day) -> bool {
        let span = self.quarters_of_day(day);
        let has_balance = |intervals: &BTreeMap<Quarter, _>| intervals.range(span).next().is_some();
        self.paging.blocks.contains_key(&day) && !self.intervals.get(&feeder).is_some_and(has_balance)
    }

    /// Blocks of a feeder's meters that are out of memory in a day.
    fn blocks_out_of(&self, feeder: NodeIx, day: Day) -> BTreeSet<BlockNumber> {
        let meters = self.network.meters_ever_on(feeder);
        let blocks = meters.into_iter().filter_map(|meter| self.state.block_of(meter));
        blocks
            .filter(|block| self.paging.has_block(*block, day))
            .collect()
    }

    /// The block in which a meter's values are, or will be.
    fn block_for(&self, meter: MeterIx) -> Option<BlockNumber> {
        let known = self.state.block_of(meter);
        known.or_else(|| self.state.open_block(self.feeders_for_home(meter)))
    }
}
