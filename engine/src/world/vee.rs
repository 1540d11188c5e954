//! Validation and estimation in the picture: which days of which meters are judged, and what is found there.
//!
//! A day of a meter is judged once it is closed, and again whenever something that it depends on changes: its own values and registers,
//! those of the days beside it, the values of its DT's meter, the DT's balance, master data, or one of the like days that its
//! estimates are made of. What stands then is a function of the state alone ([`crate::vee`]); which of it is published is the
//! difference between that and the tables, as with balances.
//!
//! ```text
//! a value or register of a closed day ─┐
//! a feeder is heard · a day closes     ├─▶ queue (day, meter) ─▶ World::judge ─▶ exceptions ─▶ vee_exceptions
//! master data · a DT's daily balance  ─┘                                      └▶ estimates ──▶ state ─▶ balances, interval_reads
//! ```

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::RangeInclusive,
};

use gridtally_ingest::log::Position;
use gridtally_schemas::{Day, UtcMicros, network::MeterRole};
use hashbrown::{HashMap, HashSet};

use super::{World, billing::Adjusted};
use crate::{
    network::{MeterIx, NodeIx},
    state::Quarter,
    vee::{Estimate, Exception, Rule},
};

mod judge;
mod mapping;
mod restore;
mod rows;
#[cfg(test)]
mod tests;

pub(crate) use rows::{Derived, PublishedException};

/// How many days back like days are looked for: three weekends of two days, and a holiday of the last four weeks.
const LIKE_DAYS_BACK: i32 = 28;
/// Meter-days with changes of values of which one judging finds what depends on them.
const CHANGES_MAX: usize = 8 * 1024;

/// An exception as it stands, and as it was last published.
#[derive(Debug, Default, Clone, PartialEq)]
struct Standing {
    live: Option<Measured>,
    published: Option<PublishedException>,
}

/// What a rule measured.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Measured {
    pub(crate) value: Option<f64>,
    pub(crate) detail: String,
}

/// An estimate as it stands, and the digest of the one last published (0: taken away).
#[derive(Debug, Default, Clone)]
struct Shown {
    live: Option<Estimate>,
    published: u64,
}

/// What is known of one meter.
#[derive(Debug, Default)]
pub(super) struct Findings {
    exceptions: BTreeMap<(Quarter, Rule), Standing>,
    estimates: BTreeMap<Quarter, Shown>,
    /// Late reads of billed intervals.
    pub(super) adjustments: BTreeMap<Quarter, Adjusted>,
    /// Days with intervals that are estimated, or were when they were billed.
    blank: BTreeSet<Day>,
}

impl Findings {
    fn is_empty(&self) -> bool {
        self.exceptions.is_empty()
            && self.estimates.is_empty()
            && self.adjustments.is_empty()
            && self.blank.is_empty()
    }
}

/// The part of the picture that validation and estimation keep.
#[derive(Debug, Default)]
pub(crate) struct Validation {
    /// Last quarter of the last day that is closed.
    pub(super) closed_through: Quarter,
    /// Last quarter of the last day whose gaps are due.
    gaps_through: Quarter,
    /// Days of feeders of which every meter is to be judged.
    feeder_days: BTreeSet<(Day, NodeIx)>,
    /// Feeders whose master data changed, and from when on.
    feeders: BTreeMap<NodeIx, UtcMicros>,
    /// Days of DTs whose balance changed.
    dt_days: BTreeSet<(Day, NodeIx)>,
    /// Meter-days in which something was said since they were last looked at.
    changed: Changed,
    /// The day that was noted last, with its quarters: neighbours in the log are of one day.
    noted: Option<(RangeInclusive<Quarter>, Day)>,
    queue: BTreeSet<(Day, MeterIx)>,
    /// Windows of feeders whose mappings are to be judged.
    mappings: mapping::Waiting,
    pub(super) findings: HashMap<MeterIx, Findings>,
    /// What may differ from the tables.
    unpublished_exceptions: BTreeSet<(MeterIx, Quarter, Rule)>,
    unpublished_estimates: BTreeSet<(MeterIx, Quarter)>,
    pub(super) unpublished_adjustments: BTreeSet<(MeterIx, Quarter)>,
    /// Nothing is judged before this record is applied: some table holds rows up to it already.
    pub(super) held_until: Position,
}

/// What became of a call of [`World::judge`].
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Judged {
    /// Meter-days judged.
    pub days: usize,
    /// Meter-days that still wait.
    pub waiting: usize,
}

/// Meter-days, each once, in the order in which they were noted; 30 bytes each. What depends on one takes some microseconds to find, and
/// 96 values of a day that come together, or in as many parts of a log, have it in common.
#[derive(Debug, Default)]
struct Changed {
    days: Vec<(Day, MeterIx)>,
    known: HashSet<(Day, MeterIx)>,
}

impl Changed {
    fn note(&mut self, day: Day, meter: MeterIx) {
        if self.known.insert((day, meter)) {
            self.days.push((day, meter));
        }
    }

    /// Takes so many at most.
    fn take(&mut self, days_max: usize) -> Vec<(Day, MeterIx)> {
        let left = self.days.len().saturating_sub(days_max);
        let taken = self.days.split_off(left);
        for day in &taken {
            self.known.remove(day);
        }
        taken
    }
}

impl Validation {
    /// Notes meter-days to judge.
    pub(super) fn queue_days(&mut self, days: Vec<(Day, MeterIx)>) {
        self.queue.extend(days);
    }

    /// Notes that the first value of a feeder's day came, or the last went.
    pub(super) fn note_feeder_day(&mut self, feeder: NodeIx, day: Day) {
        self.feeder_days.insert((day, feeder));
    }

    /// Notes a change of master data that touches a feeder from an instant on.
    pub(super) fn note_feeder(&mut self, feeder: NodeIx, since: UtcMicros) {
        let from = self.feeders.entry(feeder).or_insert(since);
        *from = since.min(*from);
    }

    /// Notes a change of a DT's balance.
    pub(super) fn note_dt(&mut self, dt: NodeIx, quarter: Quarter, day: Day) {
        if quarter <= self.closed_through {
            self.dt_days.insert((day, dt));
        }
    }

    /// Last quarter of the last day that is closed.
    pub(super) const fn closed_through(&self) -> Quarter {
        self.closed_through
    }

    /// Last quarter of the last day whose gaps are due too.
    pub(super) fn judged_through(&self) -> Quarter {
        self.closed_through.min(self.gaps_through)
    }

    /// Estimates that may differ from the table.
    pub(super) fn estimates_waiting(&self) -> impl Iterator<Item = (MeterIx, Quarter)> {
        self.unpublished_estimates.iter().copied()
    }

    /// Windows of feeders whose mappings wait to be judged, once what was noted has been queued.
    pub(super) fn mappings_waiting(&self) -> impl Iterator<Item = (i32, NodeIx)> {
        self.mappings.iter()
    }

    /// Meter-days that wait to be judged, once what was noted of feeders and DTs has been queued.
    pub(super) fn days_waiting(&self) -> impl Iterator<Item = (Day, MeterIx)> {
        self.queue.iter().chain(&self.changed.days).copied()
    }

    /// The first day that waits to be judged, of those that have been queued.
    pub(super) fn first_day_waiting(&self) -> Option<Day> {
        self.queue.first().map(|(day, _)| *day)
    }

    /// Import and export of the estimates of a meter that stand in `span`, Wh.
    pub(super) fn estimates_of(
        &self,
        meter: MeterIx,
        span: RangeInclusive<Quarter>,
    ) -> Vec<(Quarter, (u32, Option<u32>))> {
        let Some(findings) = self.findings.get(&meter) else {
            return Vec::new();
        };
        let of_span = findings.estimates.range(span);
        of_span
            .filter_map(|(quarter, shown)| {
                let live = shown.live.as_ref()?;
                Some((*quarter, (live.import_wh, live.export_wh)))
            })
            .collect()
    }
}

impl World {
    /// Days close, and the gaps of days that closed a while ago are due.
    pub(super) fn advance_validation(&mut self, now: UtcMicros) {
        self.vee.mappings.note_tick();
        let gaps_through = match self.settings.vee.estimate_after_micros {
            Some(after) => self.end_of_whole_days(super::quarter_at(now.plus(-after))),
            None => Quarter(0),
        };
        let closed_through = self.end_of_whole_days(self.closed_through);
        let mapped_through = self.mapping_through();
        for (before, after) in [
            (self.vee.closed_through, closed_through),
            (self.vee.gaps_through, gaps_through),
        ] {
            if after > before {
                let heard = self.heard.keys().map(|(feeder, day)| (*day, *feeder));
                let crossed = heard.filter(|(day, _)| {
                    let end = *self.quarters_of_day(*day).end();
                    before < end && end <= after
                });
                let crossed: Vec<(Day, NodeIx)> = crossed.collect();
                self.vee.feeder_days.extend(crossed);
            }
        }
        self.close_completeness(self.vee.closed_through, closed_through);
        self.vee.closed_through = self.vee.closed_through.max(closed_through);
        self.vee.gaps_through = self.vee.gaps_through.max(gaps_through);
        self.close_mapping_windows(mapped_through);
    }

    /// Notes a change of a value: cheap, for it is called for every read.
    pub(super) fn note_value(&mut self, meter: MeterIx, quarter: Quarter) {
        if quarter > self.vee.closed_through {
            return;
        }
        let day = match &self.vee.noted {
            Some((span, day)) if span.contains(&quarter) => *day,
            Some(_) | None => {
                let day = self.day_of(quarter);
                self.vee.noted = Some((self.quarters_of_day(day), day));
                day
            }
        };
        self.vee.changed.note(day, meter);
    }

    /// Notes a register: at a midnight it ends one day and begins another.
    pub(super) fn note_register(&mut self, meter: MeterIx, at: UtcMicros) {
        let ended = super::quarter_at(at);
        self.note_value(meter, ended);
        self.note_value(meter, Quarter(ended.0.saturating_add(1)));
    }

    /// The last quarter of the last civil day that lies wholly at or before `through`.
    fn end_of_whole_days(&self, through: Quarter) -> Quarter {
        let next = Quarter(through.0.saturating_add(1));
        self.quarters_of_day(self.day_of(next)).start().minus(1)
    }

    /// Turns what was noted into meter-days to judge.
    pub(super) fn fill_queue(&mut self) {
        self.queue_changed();
        for (day, dt) in std::mem::take(&mut self.vee.dt_days) {
            let meters = self
                .network
                .node(dt)
                .map_or(&[][..], |node| node.meters.as_slice());
            self.vee.queue.extend(meters.iter().map(|meter| (day, *meter)));
            let mut feeders = Vec::new();
            self.network.feeders_above(dt, &mut feeders);
            self.queue_mappings(day, &feeders);
        }
        let feeders = std::mem::take(&mut self.vee.feeders);
        self.queue_suspects(feeders.values().min().copied());
        // What is found in a day depends on no master row that begins after it.
        let is_concerned = |(feeder, day): &&(NodeIx, Day)| {
            let since = feeders.get(feeder);
            since.is_some_and(|since| *day >= self.day_since(*since))
        };
        let heard = self.heard.keys().filter(is_concerned);
        let days: Vec<(Day, NodeIx)> = heard.map(|(feeder, day)| (*day, *feeder)).collect();
        self.vee.feeder_days.extend(days);
        for (feeder, since) in feeders {
            let first = self.day_since(since);
            for meter in self.network.meters_ever_on(feeder) {
                self.queue_findings(meter, first);
                self.queue_mapping_findings(meter, first, feeder);
            }
        }
        let mut meters: HashMap<NodeIx, Vec<MeterIx>> = HashMap::new();
        for (day, feeder) in std::mem::take(&mut self.vee.feeder_days) {
            if *self.quarters_of_day(day).end() <= self.vee.closed_through {
                let of_feeder = meters
                    .entry(feeder)
                    .or_insert_with(|| self.network.meters_ever_on(feeder));
                self.vee.queue.extend(of_feeder.iter().map(|meter| (day, *meter)));
                self.queue_mappings(day, &[feeder]);
            }
        }
    }

    /// The civil day in which an instant lies; before all days that of [`SINCE_EVER`].
    ///
    /// [`SINCE_EVER`]: crate::network::SINCE_EVER
    pub(super) fn day_since(&self, since: UtcMicros) -> Day {
        if since == crate::network::SINCE_EVER {
            Day(i32::MIN)
        } else {
            self.settings.zone.day_of(since)
        }
    }

    /// What is known of supply changed: days of a meter with estimates, or with exceptions that an outage takes away, from that of an instant
    /// on may be judged otherwise.
    pub(super) fn queue_blank_days(&mut self, meter: MeterIx, since: UtcMicros) {
        let Some(findings) = self.vee.findings.get(&meter) else {
            return;
        };
        let first = self.settings.zone.day_of(since);
        let from = *self.quarters_of_day(first).start();
        let standing = findings.exceptions.range((from, Rule::UnknownMeter)..);
        let standing = standing.filter(|((_, rule), _)| rule.yields_to_outages());
        let blank = findings.blank.range(first..).copied();
        let days = standing
            .map(|((quarter, _), _)| self.day_of(*quarter))
            .chain(blank);
        let days: BTreeSet<(Day, MeterIx)> = days.map(|day| (day, meter)).collect();
        self.vee.queue.extend(days);
    }

    /// Closed days of a meter that touch a time in which it was said to have had no supply, which is not said any more: what was not raised
    /// for that may be now.
    pub(super) fn queue_days_of(&mut self, meter: MeterIx, (from, to): (UtcMicros, UtcMicros)) {
        let closed = self.day_of(self.vee.closed_through);
        let first = self.settings.zone.day_of(from);
        // The day after one sees it too.
        let last = if to >= self.vee.closed_through.end() {
            closed
        } else {
            self.settings.zone.day_of(to).next().min(closed)
        };
        self.vee
            .queue
            .extend((first.0..=last.0).map(|day| (Day(day), meter)));
    }

    /// Days of a meter from `first` on in which something was found.
    fn queue_findings(&mut self, meter: MeterIx, first: Day) {
        let Some(findings) = self.vee.findings.get(&meter) else {
            return;
        };
        let quarters = findings
            .exceptions
            .keys()
            .map(|(quarter, _)| *quarter)
            .chain(findings.estimates.keys().copied())
            .chain(findings.adjustments.keys().copied());
        let days = quarters.map(|quarter| (self.day_of(quarter), meter));
        let days: BTreeSet<(Day, MeterIx)> = days.filter(|(day, _)| *day >= first).collect();
        self.vee.queue.extend(days);
    }

    /// Days that depend on values that changed, of so many meter-days that it takes a few milliseconds.
    fn queue_changed(&mut self) {
        for (day, meter) in self.vee.changed.take(CHANGES_MAX) {
            self.queue_dependents(meter, day);
            let mut feeders = Vec::new();
            self.network.feeders_of_meter(meter, &mut feeders);
            self.queue_mappings(day, &feeders);
        }
    }

    /// The day itself, the one after it, and those whose estimates are made of it.
    fn queue_dependents(&mut self, meter: MeterIx, day: Day) {
        let days = [day, day.next()];
        self.vee.queue.extend(days.map(|day| (day, meter)));
        if let Some(findings) = self.vee.findings.get(&meter) {
            let concerned = findings
                .blank
                .range(Day(day.0 - 1)..=Day(day.0.saturating_add(LIKE_DAYS_BACK)));
            self.vee.queue.extend(concerned.map(|day| (*day, meter)));
        }
        let begin = self.quarters_of_day(day).start().begin();
        let dt = self
            .network
            .service(meter, begin, &mut (UtcMicros(i64::MIN)..UtcMicros(i64::MAX)))
            .filter(|service| service.meter.role == MeterRole::Dt)
            .and_then(|service| service.node);
        if let Some(dt) = dt {
            let consumers = self.network.meters_connected_to(dt);
            self.vee.queue.extend(consumers.map(|consumer| (day, consumer)));
        }
    }

    /// Judges nothing before `position` is applied: some table holds what the log says up to there, so the picture is behind it.
    pub(crate) fn judge_from(&mut self, position: Position) {
        self.vee.held_until = position;
    }

    /// Exceptions that stand now, in no order: meter, interval, rule and what it measured.
    pub fn exceptions(&self) -> impl Iterator<Item = (MeterIx, Exception)> {
        self.vee.findings.iter().flat_map(|(meter, findings)| {
            findings
                .exceptions
                .iter()
                .filter_map(|((quarter, rule), standing)| {
                    let Measured { value, detail } = standing.live.clone()?;
                    let exception = Exception {
                        quarter: *quarter,
                        rule: *rule,
                        value,
                        detail,
                    };
                    Some((*meter, exception))
                })
        })
    }

    /// Estimates that stand now, in no order.
    pub fn estimates(&self) -> impl Iterator<Item = (MeterIx, &Estimate)> {
        self.vee.findings.iter().flat_map(|(meter, findings)| {
            let live = findings
                .estimates
                .values()
                .filter_map(|shown| shown.live.as_ref());
            live.map(|estimate| (*meter, estimate))
        })
    }
}
