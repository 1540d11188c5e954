//! The live picture: network, state, balances and roll-ups, held together.
//!
//! One thread applies log records and merges computed balances; everyone else reads. What a record changes is decided here
//! and nowhere else, live and at recovery alike, so that both lead to the same picture.
//!
//! Path of a read: [`World::apply`] ─▶ [`State::merge`] ─▶ dirty chunk ─▶ [`World::gather`] ─▶ SQL ─▶ [`World::settle`].

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::{Range, RangeInclusive},
    path::PathBuf,
    sync::Arc,
};

use gridtally_ingest::log::Position;
use gridtally_schemas::{Day, PowerEvent, UtcMicros, Zone, time::QUARTER_MICROS};
use hashbrown::{HashMap, HashSet};

use crate::{
    balance::FeederInterval,
    network::{MeterIx, Network, NodeIx, Roster},
    outage::{EventMap, Rules},
    outbox::Outbox,
    revenue::RevenueRules,
    state::{BlockNumber, Quarter, State},
    vee::VeeLimits,
};

pub mod accountability;
mod accounting;
mod apply;
pub(crate) mod billing;
pub mod compensation;
mod completeness;
mod counts;
mod day_sums;
pub(crate) mod held;
pub mod look;
mod meaning;
pub mod outage;
pub(crate) mod paging;
pub(crate) mod publish;
pub mod reliability;
pub(crate) mod replay;
pub(crate) mod restore;
pub mod revenue;
pub(crate) mod rows;
mod settle;
mod sums;
pub(crate) mod suspicion;
#[cfg(test)]
pub(crate) mod tests;
pub mod usage;
pub(crate) mod vee;
mod waiting;

pub(crate) use apply::{MissingReport, decode};
pub use billing::Adjustment;
pub use compensation::CompensationRules;
pub use completeness::{ReadTally, SILENT_DAYS_MAX};
pub use counts::Counts;
pub use outage::{OutageChange, OutageView};
pub use paging::Paged;
pub use sums::Sums;
pub use vee::Judged;

use billing::Bills;
use completeness::Completeness;
use day_sums::DaySums;
use held::HeldSpans;
use meaning::Meanings;
use paging::Paging;
use publish::{Published, PublishedIntervals};
use vee::Validation;
use waiting::Dirty;

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
    /// Memory of what unknown meters said, bytes; what exceeds it waits in the `quarantine` table alone. It decides where something
    /// waits, never what a result is. Default 256 MiB.
    pub held_bytes_max: usize,
    /// Memory of values, balances and what was published of them, bytes; beyond it the oldest days that are settled wait in the tables
    /// alone. It decides where something waits, never what a result is. Default 3 GiB.
    pub state_bytes_max: usize,
    /// File in which values wait that exceed [`Settings::state_bytes_max`] and cannot be let go: it is made when it is needed, and nothing
    /// in it is of use to another process. `None`: they stay in memory. Default `None`.
    pub cold_file: Option<PathBuf>,
    /// What validation measures against, and when gaps are estimated.
    pub vee: VeeLimits,
    /// What outages are decided by.
    pub outage_rules: Rules,
    /// What event codes mean, and which of them bear on supply.
    pub event_map: EventMap,
    /// By what consumers are compensated. Default: no regulation, nothing is accrued.
    pub compensation: CompensationRules,
    /// What feeders' revenue is judged by.
    pub revenue: RevenueRules,
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
            held_bytes_max: 256 << 20,
            state_bytes_max: 3 << 30,
            cold_file: None,
            vee: VeeLimits::default(),
            outage_rules: Rules::default(),
            event_map: EventMap::default(),
            compensation: CompensationRules::default(),
            revenue: RevenueRules::default(),
        }
    }
}

/// The last quarter that ends at or before `instant`.
pub(crate) fn quarter_at(instant: UtcMicros) -> Quarter {
    Quarter(u32::try_from(instant.0.div_euclid(QUARTER_MICROS)).unwrap_or(0))
}

/// The quarters that end after the begin of `span` and not after its end; `None` when there is none.
fn quarters_ending_in(span: &Range<UtcMicros>) -> Option<RangeInclusive<Quarter>> {
    let quarters = Quarter(quarter_at(span.start).0 + 1)..=quarter_at(span.end);
    (!quarters.is_empty()).then_some(quarters)
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
    days: HashMap<NodeIx, DaySums>,
    /// Intervals of a feeder's day in which some meter has a value; no entry: none.
    heard: HashMap<(NodeIx, Day), u32>,
    dirty: BTreeMap<(NodeIx, Quarter), Dirty>,
    unpublished: BTreeSet<(NodeIx, Quarter)>,
    unpublished_days: BTreeSet<(NodeIx, Day)>,
    closed_through: Quarter,
    settled_through: Quarter,
    published: HashMap<NodeIx, PublishedIntervals>,
    days_published: HashMap<(NodeIx, Day), Published>,
    withdrawn: BTreeSet<(NodeIx, Quarter)>,
    reported_missing: HashMap<(MeterIx, Quarter), MissingReport>,
    registers: HashMap<(MeterIx, UtcMicros), (apply::Register, i64)>,
    registers_superseded: HashSet<(MeterIx, UtcMicros, apply::Register)>,
    events: HashSet<(MeterIx, PowerEvent)>,
    /// The meter whose words were applied last.
    heard_last: MeterIx,
    meanings: Meanings,
    held: HeldSpans,
    /// Quarantine rows by reason less those released. Below zero only while rows are put back, in whatever order.
    quarantined: BTreeMap<String, i64>,
    /// Ids of quarantine rows that a release record made good.
    released: HashSet<String>,
    vee: Validation,
    outage: outage::Outages,
    compensation: compensation::Compensation,
    indices: reliability::Indices,
    /// What is out of memory.
    paging: Paging,
    completeness: Completeness,
    bills: Bills,
    revenue: revenue::Revenue,
    accounting: accounting::Accounting,
    accountability: accountability::Accountability,
    /// Rows on their way to the tables.
    pub(crate) outbox: Outbox,
    applied: Position,
}

impl World {
    /// An empty picture.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            compensation: compensation::Compensation::new(&settings.compensation),
            state: State::waiting_in(settings.cold_file.clone()),
            settings,
            network: Network::default(),
            counts: Counts::default(),
            rosters: HashMap::new(),
            stale: BTreeMap::new(),
            feeders_of_block: HashMap::new(),
            intervals: HashMap::new(),
            above: HashMap::new(),
            days: HashMap::new(),
            heard: HashMap::new(),
            dirty: BTreeMap::new(),
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
            heard_last: MeterIx(0),
            meanings: Meanings::default(),
            held: HeldSpans::default(),
            quarantined: BTreeMap::new(),
            released: HashSet::new(),
            vee: Validation::default(),
            outage: outage::Outages::default(),
            indices: reliability::Indices::default(),
            paging: Paging::default(),
            completeness: Completeness::default(),
            bills: Bills::default(),
            revenue: revenue::Revenue::default(),
            accounting: accounting::Accounting::default(),
            accountability: accountability::Accountability::default(),
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
