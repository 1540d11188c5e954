//! What is due for publication, and the rows it becomes.
//!
//! A balance is published when its interval has been closed for the grace period, and again when a value of it changes. Only
//! a change of value, or the passage from provisional to final, makes a version.
//!
//! Versions are the difference between the live picture and what the tables hold, so publishing needs no memory of its own: after
//! a crash between two tables' commits the same comparison finds just what is still to be written.

use std::{
    collections::BTreeSet,
    hash::{DefaultHasher, Hash, Hasher},
    ops::Bound,
};

use gridtally_ingest::log::Position;
use gridtally_schemas::{Day, IdList, MeterId, NodeId, UtcMicros, network::NodeKind};

use super::{
    Counts, ReadTally, World, accounting::AccountingValues, billing::AdjustmentRow, compensation::DueEntries,
    outage::DueOutages, reliability::DueIndices, revenue::RevenueValues, vee::Derived,
};
use crate::{
    network::NodeIx,
    outbox::{Outbox, Parts},
    state::Quarter,
};

mod intervals;
mod values;

pub(crate) use intervals::PublishedIntervals;
pub(crate) use values::{DayValues, DtValues, FeederValues, IntervalValues};

/// How far a published value has come.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Stage {
    /// Not published yet.
    #[default]
    Unpublished,
    /// May still change.
    Provisional,
    /// Past the settlement horizon.
    Final,
    /// Changed after it was final.
    Restated,
    /// No longer a balance: the network turned out to be another.
    Withdrawn,
}

impl Stage {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            // What is not published yet may still change: to a reader it is provisional, of version 0.
            Self::Unpublished | Self::Provisional => "provisional",
            Self::Final => "final",
            Self::Restated => "restated",
            Self::Withdrawn => "withdrawn",
        }
    }

    /// As a number of three bits.
    const fn bits(self) -> u32 {
        match self {
            Self::Unpublished => 0,
            Self::Provisional => 1,
            Self::Final => 2,
            Self::Restated => 3,
            Self::Withdrawn => 4,
        }
    }

    const fn of_bits(bits: u32) -> Self {
        match bits {
            1 => Self::Provisional,
            2 => Self::Final,
            3 => Self::Restated,
            4 => Self::Withdrawn,
            _ => Self::Unpublished,
        }
    }

    pub(crate) fn parse(text: &str) -> Self {
        match text {
            "provisional" => Self::Provisional,
            "final" => Self::Final,
            "restated" => Self::Restated,
            "withdrawn" => Self::Withdrawn,
            _ => Self::Unpublished,
        }
    }
}

/// What was last published under a key.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Published {
    pub(crate) version: i64,
    /// SipHash of the row's values: a 64-bit stand-in for a copy of the row (chance of a missed change: 2^-64 each).
    pub(crate) digest: u64,
    pub(crate) stage: Stage,
    pub(crate) at: UtcMicros,
}

/// A new version of a row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Version {
    pub(crate) version: i64,
    pub(crate) stage: Stage,
    pub(crate) reason: Option<&'static str>,
}

impl Published {
    /// The version that publishing values with `digest` makes now; `None` when nothing changed.
    pub(super) fn next(&mut self, digest: u64, is_final: bool, now: UtcMicros) -> Option<Version> {
        let changed = self.version == 0 || self.digest != digest;
        let (stage, reason) = match (self.stage, changed, is_final) {
            (Stage::Unpublished, _, false) => (Stage::Provisional, None),
            (Stage::Unpublished, _, true) => (Stage::Final, None),
            (Stage::Provisional, false, true) => (Stage::Final, Some("settled")),
            (Stage::Provisional | Stage::Withdrawn, true, false) => {
                (Stage::Provisional, Some("inputs changed"))
            }
            (Stage::Provisional | Stage::Withdrawn, true, true) => {
                (Stage::Final, Some("inputs changed and settled"))
            }
            (Stage::Final | Stage::Restated, true, _) => {
                (Stage::Restated, Some("inputs changed after settlement"))
            }
            (Stage::Provisional | Stage::Final | Stage::Restated | Stage::Withdrawn, false, _) => {
                return None;
            }
        };
        *self = Self {
            version: self.version + 1,
            digest,
            stage,
            at: now,
        };
        Some(Version {
            version: self.version,
            stage,
            reason,
        })
    }

    /// Whether saying that this is no balance any more makes a version.
    pub(super) fn would_withdraw(&self) -> bool {
        self.version > 0 && self.stage != Stage::Withdrawn
    }

    fn withdraw(&mut self, now: UtcMicros) -> Option<Version> {
        if !self.would_withdraw() {
            return None;
        }
        *self = Self {
            version: self.version + 1,
            digest: 0,
            stage: Stage::Withdrawn,
            at: now,
        };
        Some(Version {
            version: self.version,
            stage: self.stage,
            reason: Some("network corrected"),
        })
    }
}

/// Of values just computed or just read back; never stored, so the hasher may change with the compiler.
pub(crate) fn digest(row: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    row.hash(&mut hasher);
    hasher.finish()
}

/// Key, values and version of one row.
#[derive(Debug)]
pub(crate) struct Row<K, V> {
    pub(super) id: NodeId,
    pub(super) kind: NodeKind,
    pub(super) key: K,
    pub(super) values: V,
    pub(super) version: Version,
}

/// Everything that a checkpoint writes.
#[derive(Debug, Default)]
pub(crate) struct Due {
    /// The last record whose rows are in it.
    pub(crate) position: Position,
    /// The last record of which all that follows from it is in the tables with this.
    pub(crate) complete: Position,
    /// Feeders' days that are owed.
    pub(crate) owed: usize,
    /// The counts as of that record.
    pub(crate) counts: Counts,
    pub(crate) outbox: Outbox,
    /// The ids of the meters of the reads in it.
    pub(super) meter_ids: IdList<MeterId>,
    pub(crate) derived: Derived,
    pub(super) outages: DueOutages,
    pub(super) entries: DueEntries,
    pub(super) indices: DueIndices,
    pub(super) dts: Parts<Row<Quarter, DtValues>>,
    pub(super) feeders: Parts<Row<Quarter, FeederValues>>,
    pub(super) days: Parts<Row<Day, DayValues>>,
    pub(super) completeness: Parts<Row<Day, ReadTally>>,
    pub(super) adjustments: Vec<AdjustmentRow>,
    pub(super) revenue: Vec<Row<Day, RevenueValues>>,
    pub(super) accounting: Vec<Row<Day, AccountingValues>>,
    passed_days: Passed,
    pub(super) passed_completeness: Passed,
}

/// Nodes' days whose roll-ups are taken together for each feeder-interval that is: about as many rows.
const DAYS_OF_INTERVAL: usize = 32;

/// How far one has come in a set of nodes' days that is gone through part by part: those that wait stay in it.
#[derive(Debug, Default)]
pub(super) struct Passed(Option<(NodeIx, Day)>);

impl Passed {
    /// The next ones, at most so many.
    pub(super) fn next(&mut self, days: &BTreeSet<(NodeIx, Day)>, days_max: usize) -> Vec<(NodeIx, Day)> {
        let after = self.0.map_or(Bound::Unbounded, Bound::Excluded);
        let next: Vec<_> = days
            .range((after, Bound::Unbounded))
            .take(days_max)
            .copied()
            .collect();
        self.0 = next.last().copied().or(self.0);
        next
    }
}

/// What to publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Closed intervals, and roll-ups that are due.
    Due,
    /// All that changed, open intervals included.
    Everything,
}

impl World {
    /// Takes the rows of everything applied so far, and the first part of the balances that are due: see [`World::take_more`].
    pub(crate) fn take_due(&mut self, now: UtcMicros) -> Due {
        let outbox = std::mem::take(&mut self.outbox);
        let mut due = Due {
            position: self.applied,
            counts: self.counts,
            outbox,
            meter_ids: self.network.meter_ids().clone(),
            derived: self.take_derived(now),
            outages: self.take_outages(),
            entries: self.take_entries(),
            ..Due::default()
        };
        self.take_withdrawn(now, &mut due);
        self.take_adjustments(&mut due);
        due
    }

    /// Takes the balances of at most `intervals_max` feeder-intervals that are due at `now`; once there are fewer, the roll-ups of some
    /// nodes' days, and with the last of these all others. Tells whether there are more: the caller lets others at the picture in between.
    pub(crate) fn take_more(
        &mut self,
        now: UtcMicros,
        scope: Scope,
        intervals_max: usize,
        due: &mut Due,
    ) -> bool {
        let is_due =
            |(_, quarter): &&(NodeIx, Quarter)| scope == Scope::Everything || *quarter <= self.closed_through;
        let taken: Vec<(NodeIx, Quarter)> = self
            .unpublished
            .iter()
            .filter(is_due)
            .take(intervals_max)
            .copied()
            .collect();
        for (feeder, quarter) in &taken {
            self.unpublished.remove(&(*feeder, *quarter));
            self.take_interval((*feeder, *quarter), now, due);
        }
        if taken.len() == intervals_max {
            return true;
        }
        let days_max = intervals_max * DAYS_OF_INTERVAL;
        if self.take_days(now, scope, days_max, due)
            || self.take_completeness(now, scope, days_max, due)
            || self.take_indices(days_max, &mut due.indices)
        {
            return true;
        }
        self.take_revenue(now, scope, due);
        self.take_accounting(now, scope, due);
        (due.complete, due.owed) = (self.published_through(), self.owed());
        false
    }

    fn take_interval(&mut self, (feeder, quarter): (NodeIx, Quarter), now: UtcMicros, due: &mut Due) {
        let is_final = quarter <= self.settled_through;
        let threshold = self.settings.coverage_threshold_pct;
        let Some(live) = self
            .intervals
            .get(&feeder)
            .and_then(|intervals| intervals.get(&quarter))
        else {
            return;
        };
        let minutes = live.minutes.minutes();
        let id = |node: NodeIx| self.network.node(node).map(|node| node.id.clone());
        let values = FeederValues::of(&live.feeder, minutes, threshold);
        let mut publish = |node: NodeIx, digest: u64| {
            let of_node = self.published.entry(node).or_default();
            let mut published = of_node.get(quarter).unwrap_or_default();
            let version = published.next(digest, is_final, now)?;
            of_node.put(quarter, &published);
            Some(version)
        };
        if let (Some(version), Some(id)) = (publish(feeder, digest(&values)), id(feeder)) {
            due.feeders.push(Row {
                id,
                kind: NodeKind::Feeder,
                key: quarter,
                values,
                version,
            });
        }
        for figures in &live.dts {
            let values = DtValues::of(&figures, minutes, threshold);
            if let (Some(version), Some(id)) = (publish(figures.dt, digest(&values)), id(figures.dt)) {
                due.dts.push(Row {
                    id,
                    kind: NodeKind::Dt,
                    key: quarter,
                    values,
                    version,
                });
            }
        }
    }

    /// Balances that were published and are none any more: the network turned out to be another.
    fn take_withdrawn(&mut self, now: UtcMicros, due: &mut Due) {
        for (node, key) in std::mem::take(&mut self.withdrawn) {
            if self.is_live(node, key) {
                continue;
            }
            if self.may_be_live(node, key) {
                self.withdrawn.insert((node, key));
                continue;
            }
            let Some(of_node) = self.published.get_mut(&node) else {
                continue;
            };
            let mut published = of_node.get(key).unwrap_or_default();
            let Some(version) = published.withdraw(now) else {
                continue;
            };
            of_node.put(key, &published);
            let Some(entry) = self.network.node(node) else {
                continue;
            };
            let id = entry.id.clone();
            if entry.kind() == Some(NodeKind::Feeder) {
                due.feeders.push(Row {
                    id,
                    kind: NodeKind::Feeder,
                    key,
                    values: FeederValues::withdrawn(),
                    version,
                });
            } else {
                due.dts.push(Row {
                    id,
                    kind: NodeKind::Dt,
                    key,
                    values: DtValues::withdrawn(),
                    version,
                });
            }
        }
    }

    pub(super) fn is_live(&self, node: NodeIx, quarter: Quarter) -> bool {
        let mut feeders = Vec::new();
        self.network.feeders_above(node, &mut feeders);
        feeders.iter().any(|feeder| {
            let live = self
                .intervals
                .get(feeder)
                .and_then(|intervals| intervals.get(&quarter));
            live.is_some_and(|live| *feeder == node || live.dts.iter().any(|figures| figures.dt == node))
        })
    }

    /// Whether it may be a balance of a feeder that is out of memory, which is asked for.
    fn may_be_live(&self, node: NodeIx, quarter: Quarter) -> bool {
        let mut feeders = Vec::new();
        self.network.feeders_above(node, &mut feeders);
        feeders.iter().any(|feeder| self.is_out(*feeder, quarter))
    }

    /// Takes the roll-ups of at most so many nodes' days; tells whether there are more.
    fn take_days(&mut self, now: UtcMicros, scope: Scope, days_max: usize, due: &mut Due) -> bool {
        let taken = due.passed_days.next(&self.unpublished_days, days_max);
        for (node, day) in &taken {
            let (node, day) = (*node, *day);
            if scope == Scope::Due && self.waits(node, day, now) {
                continue;
            }
            self.unpublished_days.remove(&(node, day));
            let Some((id, kind)) = self
                .network
                .node(node)
                .and_then(|node| Some((node.id.clone(), node.kind()?)))
            else {
                continue;
            };
            let sums = self.days.get(&node).and_then(|days| days.get(&day)).copied();
            let values = DayValues::of(&sums.unwrap_or_default(), self.settings.coverage_threshold_pct);
            let end = self.settings.zone.start_of(day.next());
            let is_final = Quarter::ending(end).is_some_and(|end| end <= self.settled_through);
            let published = self.days_published.entry((node, day)).or_default();
            let version = match sums {
                Some(_) => published.next(digest(&values), is_final, now),
                None => published.withdraw(now),
            };
            if let Some(version) = version {
                due.days.push(Row {
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

    /// Whether a running day's roll-up is not due yet: it was published less than the roll-up period ago, or the day has only begun.
    fn waits(&self, node: NodeIx, day: Day, now: UtcMicros) -> bool {
        let end = self.settings.zone.start_of(day.next());
        let is_running = end.plus(self.settings.grace_micros) > now;
        let since = match self.days_published.get(&(node, day)) {
            Some(published) if published.version > 0 => published.at,
            Some(_) | None => self.settings.zone.start_of(day),
        };
        is_running && since.plus(self.settings.roll_up_micros) > now
    }

    /// Days that have settled since: they are due once more, as final.
    pub(super) fn settle_days(&mut self, from: Quarter) {
        let settled = self.settled_through;
        for (node, days) in &self.days {
            for day in days.keys() {
                let end = Quarter::ending(self.settings.zone.start_of(day.next()));
                if end.is_some_and(|end| end > from && end <= settled) {
                    self.unpublished_days.insert((*node, *day));
                }
            }
        }
    }

    /// Version and status of the balance of a feeder or DT as last published; version 0 before.
    #[must_use]
    pub fn published_version(&self, node: NodeIx, quarter: Quarter) -> (i64, &'static str) {
        let published = self.published.get(&node).and_then(|of_node| of_node.get(quarter));
        published.map_or((0, Stage::Unpublished.as_str()), |published| {
            (published.version, published.stage.as_str())
        })
    }

    /// Version and status of a roll-up as last published; version 0 before.
    #[must_use]
    pub fn published_day(&self, node: NodeIx, day: Day) -> (i64, &'static str) {
        let published = self.days_published.get(&(node, day));
        published.map_or((0, Stage::Unpublished.as_str()), |published| {
            (published.version, published.stage.as_str())
        })
    }
}
