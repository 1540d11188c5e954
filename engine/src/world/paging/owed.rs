//! Days that were let go and of which master data changed since: they are worked through in portions, newest first.
//!
//! A retroactive row can concern every day of a year. Of those that are out of memory nothing comes back when it is merged. What is kept
//! of each is the rosters that its balances were computed with, for the sums above still contain what those gave. When the day comes
//! back, because its turn has come or because somebody needs it before, its balances are computed by those rosters, and then anew by the
//! network as it is: so the sums change by the difference, as if it had been here all the time.
//!
//! Whether a day is owed decides nothing of what a result is (ORD-1), only when it is there. After a crash the start finds that the tables
//! say something else of these days than the network, and owes them again.
//!
//! Meanwhile such a day stands, live and published, as it stood before the row. So what is said to be applied, and published, stays behind
//! the first row that left days owed until all are worked off ([`World::complete_through`], `complete_position` in `checkpoints`), while
//! what comes after is applied, computed and published beside.

use std::{collections::BTreeSet, ops::RangeInclusive, sync::Arc};

use gridtally_ingest::log::Position;
use gridtally_schemas::{Day, network::MasterRows};

use super::{BlockNumber, NodeIx, Quarter, Wanted, World};
use crate::{
    network::{Concerned, Roster},
    world::waiting::Dirty,
};

impl World {
    /// Number of feeders' days that are out of memory and of which master data changed.
    #[must_use]
    pub fn owed(&self) -> usize {
        self.paging.owed.len()
    }

    /// The last record of which the live balances contain all that follows from it, once everything that waits is computed.
    #[must_use]
    pub fn complete_through(&self) -> Position {
        match self.paging.owed_after {
            Some(before) => before.min(self.applied),
            None => self.applied,
        }
    }

    /// The last record of which the tables hold all that follows from it, once what was taken up to now is written.
    pub(in crate::world) fn published_through(&mut self) -> Position {
        if self.paging.owed.is_empty() && self.withdrawn.is_empty() {
            self.paging.unpublished_after = None;
        }
        match self.paging.unpublished_after {
            Some(before) => before.min(self.applied),
            None => self.applied,
        }
    }

    /// At a start: up to where the tables were complete.
    pub(crate) fn resume_complete(&mut self, complete: Position) {
        self.paging.unpublished_after = (complete < self.applied).then_some(complete);
    }

    /// Number of feeders' days in `days` that are owed and count in the balances of a node.
    #[must_use]
    pub fn owed_of(&self, node: NodeIx, days: RangeInclusive<Day>) -> usize {
        let mut feeders = Vec::new();
        self.network.feeders_above(node, &mut feeders);
        let (first, last) = ((*days.start(), NodeIx(0)), (*days.end(), NodeIx(u32::MAX)));
        if first > last {
            return 0;
        }
        let counts = |(day, feeder): &(Day, NodeIx), rosters: &[Arc<Roster>]| {
            let mut as_it_was = rosters.iter().flat_map(|roster| roster.ancestors.iter());
            let as_it_is = || {
                self.network
                    .ancestors_at(*feeder, self.settings.zone.start_of(*day))
            };
            feeders.contains(feeder) || as_it_was.any(|above| *above == node) || as_it_is().contains(&node)
        };
        let of_days = self.paging.owed.range(first..=last);
        of_days.filter(|(key, rosters)| counts(key, rosters)).count()
    }

    /// Notes what rows concern of the days that are out of memory, before they are merged.
    pub(in crate::world) fn owe(&mut self, rows: &MasterRows) {
        if !self.has_let_go() {
            return;
        }
        for concerned in self.network.concerned_by(rows) {
            for (feeder, day) in self.out_of_concern(&concerned) {
                self.owe_day(feeder, day);
            }
        }
    }

    /// Days of feeders that rows concern and of which nothing is in memory, while balances of them, or values of a meter that may count in
    /// them, are out.
    fn out_of_concern(&self, concerned: &Concerned) -> Vec<(NodeIx, Day)> {
        let first = self.day_since(concerned.since);
        let mut days = Vec::new();
        for feeder in &concerned.feeders {
            let of_feeder = self.paging.feeders.range(first..);
            days.extend(
                of_feeder
                    .filter(|(_, out)| out.contains(feeder))
                    .map(|(day, _)| (*feeder, *day)),
            );
            let blocks = self.blocks_of_concern(*feeder, concerned);
            for (day, out) in self.paging.blocks.range(first..) {
                let is_out = blocks.iter().any(|block| out.contains(block));
                if is_out && self.is_absent(*feeder, *day, &blocks) {
                    days.push((*feeder, *day));
                }
            }
        }
        days
    }

    /// Blocks of the meters that were ever on a feeder or may join it.
    pub(super) fn blocks_of_concern(&self, feeder: NodeIx, concerned: &Concerned) -> BTreeSet<BlockNumber> {
        let meters = concerned
            .meters
            .iter()
            .copied()
            .chain(self.network.meters_ever_on(feeder));
        meters.filter_map(|meter| self.state.block_of(meter)).collect()
    }

    /// Whether neither a balance of a feeder nor a value in one of `blocks` is in memory in a day: then nothing of it waits to be computed
    /// either.
    pub(super) fn is_absent(&self, feeder: NodeIx, day: Day, blocks: &BTreeSet<BlockNumber>) -> bool {
        let span = self.quarters_of_day(day);
        self.lacks_values(feeder, day) && !blocks.iter().any(|block| self.state.holds(*block, span.clone()))
    }

    /// Notes by which rosters a day that is out of memory was computed; the first word stands.
    fn owe_day(&mut self, feeder: NodeIx, day: Day) {
        if self.paging.owed.contains_key(&(day, feeder)) {
            return;
        }
        let span = self.quarters_of_day(day);
        let mut rosters: Vec<Arc<Roster>> = Vec::with_capacity(1);
        for quarter in (span.start().0..=span.end().0).map(Quarter) {
            if !rosters
                .iter()
                .any(|roster| roster.span.contains(&quarter.begin()))
            {
                rosters.push(self.roster(feeder, quarter));
            }
        }
        // The record that owes it is being applied, and not counted as applied yet.
        let before = self.applied;
        self.paging.owed_after.get_or_insert(before);
        self.paging.unpublished_after.get_or_insert(before);
        self.paging.owed.insert((day, feeder), rosters);
        self.paging.feeders.entry(day).or_default().insert(feeder);
        self.note_out();
    }

    /// Lets the days that wait to be published go too, as days that are owed: at a start nothing can be published yet.
    pub(crate) fn owe_unpublished(&mut self) {
        let waiting = std::mem::take(&mut self.unpublished);
        let withdrawn = std::mem::take(&mut self.withdrawn);
        let mut kept: BTreeSet<(NodeIx, Day)> = waiting
            .iter()
            .map(|(feeder, quarter)| (*feeder, self.day_of(*quarter)))
            .collect();
        for (node, quarter) in &withdrawn {
            let mut feeders = Vec::new();
            self.network.feeders_above(*node, &mut feeders);
            let day = self.day_of(*quarter);
            kept.extend(feeders.into_iter().map(|feeder| (feeder, day)));
        }
        self.let_go();
        for (feeder, day) in &kept {
            if self.paging.has_feeder(*feeder, *day) {
                self.owe_day(*feeder, *day);
            }
        }
        let is_here = |world: &Self, feeder: NodeIx, quarter: Quarter| !world.is_out(feeder, quarter);
        self.unpublished = waiting
            .into_iter()
            .filter(|(feeder, quarter)| is_here(self, *feeder, *quarter))
            .collect();
        self.withdrawn = withdrawn
            .into_iter()
            .filter(|(node, quarter)| {
                let mut feeders = Vec::new();
                self.network.feeders_above(*node, &mut feeders);
                feeders.is_empty() || feeders.iter().any(|feeder| is_here(self, *feeder, *quarter))
            })
            .collect();
    }

    /// The rosters by which a balance that is out of memory was computed.
    pub(super) fn roster_of_let_go(&mut self, feeder: NodeIx, day: Day, quarter: Quarter) -> Arc<Roster> {
        let owed = self.paging.owed.get(&(day, feeder));
        let found = owed.and_then(|rosters| {
            rosters
                .iter()
                .find(|roster| roster.span.contains(&quarter.begin()))
        });
        match found {
            Some(roster) => Arc::clone(roster),
            None => self.roster(feeder, quarter),
        }
    }

    /// What the next days need that are owed, newest first: of one civil day, of at most so many feeders.
    pub(crate) fn next_owed(&self, feeders_max: usize) -> Wanted {
        let mut wanted = Wanted::default();
        let Some((day, _)) = self.paging.owed.last_key_value().map(|(key, _)| *key) else {
            return wanted;
        };
        let of_day = (day, NodeIx(0))..=(day, NodeIx(u32::MAX));
        let feeders: Vec<NodeIx> = self
            .paging
            .owed
            .range(of_day)
            .take(feeders_max)
            .map(|((_, feeder), _)| *feeder)
            .collect();
        self.want(&mut wanted, day, &feeders, None);
        wanted
    }

    /// A day that is owed is here, as it went: what differs by the network as it is now is computed anew, and all of it compared with the
    /// tables.
    pub(super) fn work_off(&mut self, feeder: NodeIx, day: Day) {
        let Some(before) = self.paging.owed.remove(&(day, feeder)) else {
            return;
        };
        if self.paging.owed.is_empty() {
            self.paging.owed_after = None;
        }
        let span = self.quarters_of_day(day);
        for quarter in (span.start().0..=span.end().0).map(Quarter) {
            let after = self.roster(feeder, quarter);
            let is_same = before
                .iter()
                .any(|roster| roster.span.contains(&quarter.begin()) && roster.is_alike(&after));
            if !is_same {
                let around = quarter.ceil_to(after.minutes.quarters());
                self.dirty.insert((feeder, quarter), Dirty::Whole);
                self.dirty.insert((feeder, around), Dirty::Whole);
                self.completeness.note(feeder, day);
            }
            self.unpublished.insert((feeder, quarter));
        }
        let children = self
            .network
            .node(feeder)
            .map_or(&[][..], |node| node.children.as_slice());
        for node in children.iter().chain(std::iter::once(&feeder)) {
            let published = self.published.get(node).into_iter();
            let of_day = published.flat_map(|of_node| of_node.range(&span));
            self.withdrawn.extend(of_day.map(|quarter| (*node, quarter)));
        }
    }

    /// Asks for the days in which a balance may stand that is none any more on a feeder that is here.
    pub(crate) fn ask_for_withdrawn(&mut self) {
        if !self.has_let_go() {
            return;
        }
        let mut wanted = Wanted::default();
        let reaches = |(_, quarter): &&(NodeIx, Quarter)| self.paging.reaches(quarter.end());
        for (node, quarter) in self.withdrawn.iter().filter(reaches) {
            let mut feeders = Vec::new();
            self.network.feeders_above(*node, &mut feeders);
            feeders.retain(|feeder| self.is_out(*feeder, *quarter));
            if !feeders.is_empty() && !self.is_live(*node, *quarter) {
                self.want(&mut wanted, self.day_of(*quarter), &feeders, None);
            }
        }
        self.ask(wanted);
    }
}
