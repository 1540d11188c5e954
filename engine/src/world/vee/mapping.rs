//! Judging where meters hang: which windows of which feeders are judged, and what is gathered of them ([`crate::vee::mapping`]).
//!
//! A window of a feeder is judged once the gaps of its last day are due, and again when a value of one of its meters, the coverage of one
//! of its DTs or master data changes. Where a meter does not clearly move with its own DT, the feeders beside it (under the same node)
//! are looked at too; such a window is remembered, and judged again when something of those changes. So what stands is a function of
//! values and master data alone (ORD-1).
//!
//! What it costs: a week of a feeder takes as long as judging one to three of its days; a tick takes up as many as it has time for,
//! and none whose values still come. Reads that come within the
//! estimation grace cost nothing more. Of a feeder whose week is out of memory all of it is brought back for that.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::{Range, RangeInclusive},
};

use gridtally_schemas::{
    Day, UtcMicros,
    network::{MeterRole, NodeKind},
};
use hashbrown::HashMap;

use super::{Measured, World};
use crate::{
    network::{MeterIx, Node, NodeIx, Service},
    state::{BlockNumber, BlockWindow, Quarter, Sample},
    vee::{
        Rule,
        mapping::{DtWindow, FeederWindow, Member, Misplaced, Pictured},
    },
    world::paging::Wanted,
};

/// Day 0 is a Thursday; windows are counted from the Monday before.
const THURSDAY: i32 = 3;
/// Feeders under the same node that are looked at at most: a substation has fewer.
const BESIDE_MAX: usize = 12;

/// Ticks without a change after which a window is judged while there is no hurry: a backfill changes each day of it in turn, and one
/// judgement after the last is enough.
const QUIET_TICKS: u64 = 3;
/// Ticks after which it is judged though it goes on changing, as where a few late reads come all the time.
const PATIENCE_TICKS: u64 = 60;

/// Windows that wait, and those whose judgement rests on other feeders too.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    queue: BTreeMap<(i32, NodeIx), Changed>,
    suspects: BTreeSet<(i32, NodeIx)>,
    /// Ticks so far. They say when something is judged, never what comes out.
    ticks: u64,
}

/// The ticks in which something of a window changed first and last since it was judged.
#[derive(Debug, Clone, Copy)]
struct Changed {
    first: u64,
    last: u64,
}

impl Waiting {
    pub(super) fn iter(&self) -> impl Iterator<Item = (i32, NodeIx)> {
        self.queue.keys().copied()
    }

    pub(super) const fn note_tick(&mut self) {
        self.ticks = self.ticks.saturating_add(1);
    }

    fn add(&mut self, windows: impl IntoIterator<Item = (i32, NodeIx)>) {
        let now = self.ticks;
        for window in windows {
            let changed = self.queue.entry(window);
            changed
                .or_insert(Changed {
                    first: now,
                    last: now,
                })
                .last = now;
        }
    }

    /// The window that has waited longest; without hurry only of those that changed no more, or have changed for long.
    fn next(&self, hurry: bool) -> Option<(i32, NodeIx)> {
        let is_ripe = |changed: &Changed| {
            hurry
                || self.ticks >= changed.last.saturating_add(QUIET_TICKS)
                || self.ticks >= changed.first.saturating_add(PATIENCE_TICKS)
        };
        let ripe = self.queue.iter().filter(|(_, changed)| is_ripe(changed));
        ripe.min_by_key(|(window, changed)| (changed.first, **window))
            .map(|(window, _)| *window)
    }
}

/// A window of days in which mappings are judged.
struct Window {
    days: Vec<Day>,
    quarters: RangeInclusive<Quarter>,
    /// Positions of the quarters with which half hours end.
    ends: Vec<usize>,
    instants: Range<UtcMicros>,
}

/// Where the meters of a feeder are in a window.
struct Gathered {
    window: FeederWindow,
    /// Meters that ever were on the feeder and are on no other in this window.
    meters: Vec<MeterIx>,
}

impl World {
    fn mapping_days(&self) -> i32 {
        i32::try_from(self.settings.vee.mapping.days)
            .unwrap_or(i32::MAX)
            .max(1)
    }

    fn mapping_window(&self, day: Day) -> i32 {
        day.0.saturating_add(THURSDAY).div_euclid(self.mapping_days())
    }

    /// The days of a window.
    pub(in crate::world) fn days_of_mapping(&self, window: i32) -> Range<i32> {
        let first = window
            .saturating_mul(self.mapping_days())
            .saturating_sub(THURSDAY);
        first..first.saturating_add(self.mapping_days())
    }

    /// The last quarter whose window may be judged, if it ends there.
    pub(super) fn mapping_through(&self) -> Quarter {
        match self.settings.vee.estimate_after_micros {
            Some(_) => self.vee.judged_through(),
            None => self.vee.closed_through(),
        }
    }

    fn end_of_mapping(&self, window: i32) -> Quarter {
        *self
            .quarters_of_day(Day(self.days_of_mapping(window).end - 1))
            .end()
    }

    /// Queues the windows that ended since, of feeders that were heard in them.
    pub(super) fn close_mapping_windows(&mut self, before: Quarter) {
        let through = self.mapping_through();
        if through <= before {
            return;
        }
        let windows: BTreeSet<(i32, NodeIx)> = self
            .heard
            .keys()
            .map(|(feeder, day)| (self.mapping_window(*day), *feeder))
            .collect();
        let ended = windows.into_iter().filter(|(window, _)| {
            let end = self.end_of_mapping(*window);
            before < end && end <= through
        });
        let ended: Vec<(i32, NodeIx)> = ended.collect();
        self.vee.mappings.add(ended);
    }

    /// Something of these feeders changed in a day.
    pub(super) fn queue_mappings(&mut self, day: Day, feeders: &[NodeIx]) {
        let window = self.mapping_window(day);
        if self.end_of_mapping(window) > self.mapping_through() {
            return;
        }
        let at = feeders.iter().map(|feeder| (window, *feeder));
        self.vee.mappings.add(at);
        let of_window = (window, NodeIx(0))..=(window, NodeIx(u32::MAX));
        let rest_on_these = self
            .vee
            .mappings
            .suspects
            .range(of_window)
            .filter(|(_, suspect)| {
                let beside = self.feeders_beside(*suspect, window);
                feeders.iter().any(|feeder| beside.contains(feeder))
            });
        let rest_on_these: Vec<(i32, NodeIx)> = rest_on_these.copied().collect();
        self.vee.mappings.add(rest_on_these);
    }

    /// Master data changed from an instant on (`None`: it did not): other feeders may be beside those that rest on others.
    pub(super) fn queue_suspects(&mut self, since: Option<UtcMicros>) {
        let Some(since) = since else { return };
        let first = self.mapping_window(self.day_since(since));
        let suspects = self.vee.mappings.suspects.range((first, NodeIx(0))..);
        let suspects: Vec<(i32, NodeIx)> = suspects.copied().collect();
        self.vee.mappings.add(suspects);
    }

    /// Windows of a feeder in which the mapping of a meter was objected to that was ever on it.
    pub(super) fn queue_mapping_findings(&mut self, meter: MeterIx, first: Day, feeder: NodeIx) {
        let Some(findings) = self.vee.findings.get(&meter) else {
            return;
        };
        let objected = findings
            .exceptions
            .keys()
            .filter(|(_, rule)| *rule == Rule::WrongMapping);
        let days = objected.map(|(quarter, _)| self.day_of(*quarter));
        let windows = days
            .filter(|day| *day >= first)
            .map(|day| (self.mapping_window(day), feeder));
        let windows: Vec<(i32, NodeIx)> = windows.collect();
        self.vee.mappings.add(windows);
    }

    /// Judges where the meters of a feeder hang in the window that has waited longest; `false`: none does, or none long enough where there
    /// is no `hurry`, or values that it takes are out of memory, and `take_asked` tells which. Best called when no meter-day waits: what
    /// is judged before that is judged again.
    pub fn judge_mappings(&mut self, hurry: bool) -> bool {
        if self.applied < self.vee.held_until {
            return false;
        }
        self.fill_queue();
        let Some((number, feeder)) = self.vee.mappings.next(hurry) else {
            return false;
        };
        let window = self.window_of_mapping(number);
        let mut wanted = self.wanted_of_window(&window, feeder);
        let judged = if wanted.is_empty() {
            self.misplaced(&window, (number, feeder), &mut wanted)
        } else {
            None
        };
        let Some((meters, misplaced, is_suspect)) = judged else {
            self.ask(wanted);
            return false;
        };
        self.vee.mappings.queue.remove(&(number, feeder));
        if is_suspect {
            self.vee.mappings.suspects.insert((number, feeder));
        } else {
            self.vee.mappings.suspects.remove(&(number, feeder));
        }
        self.put_misplaced(&window, &meters, misplaced);
        true
    }

    fn window_of_mapping(&self, number: i32) -> Window {
        let days: Vec<Day> = self.days_of_mapping(number).map(Day).collect();
        let first = days.first().copied().unwrap_or(Day(0));
        let last = days.last().copied().unwrap_or(first);
        let quarters = *self.quarters_of_day(first).start()..=*self.quarters_of_day(last).end();
        let length = quarters
            .end()
            .0
            .saturating_sub(quarters.start().0)
            .saturating_add(1);
        let ends_half_hour = |at: &u32| quarters.start().0.saturating_add(*at).is_multiple_of(2);
        let ends = (1..length).filter(ends_half_hour);
        Window {
            ends: ends.filter_map(|at| usize::try_from(at).ok()).collect(),
            instants: quarters.start().begin()..quarters.end().end(),
            quarters,
            days,
        }
    }

    /// The values of a feeder's meters in a window that are out of memory.
    fn wanted_of_window(&self, window: &Window, feeder: NodeIx) -> Wanted {
        let mut wanted = Wanted::default();
        if !self.has_let_go() {
            return wanted;
        }
        let meters = self.network.meters_ever_on(feeder);
        let blocks: BTreeSet<BlockNumber> = meters
            .iter()
            .filter_map(|meter| self.state.block_of(*meter))
            .collect();
        for day in &window.days {
            for block in &blocks {
                self.can_look_at(*block, *day, &mut wanted);
            }
        }
        wanted
    }

    /// The feeders under the same node at the begin of a window; of many those that follow it in the order of ids.
    fn feeders_beside(&self, feeder: NodeIx, window: i32) -> Vec<NodeIx> {
        let begin = self
            .settings
            .zone
            .start_of(Day(self.days_of_mapping(window).start));
        let Some(area) = self.network.parent_at(feeder, begin) else {
            return Vec::new();
        };
        let children = self
            .network
            .node(area)
            .map_or(&[][..], |node| node.children.as_slice());
        let id = |node: NodeIx| self.network.node(node).map(|node| node.id.as_str());
        let is_beside = |child: &NodeIx| {
            let is_feeder = self.network.node(*child).and_then(Node::kind) == Some(NodeKind::Feeder);
            is_feeder && *child != feeder && self.network.parent_at(*child, begin) == Some(area)
        };
        let mut beside: Vec<NodeIx> = children.iter().copied().filter(is_beside).collect();
        beside.sort_unstable_by_key(|child| id(*child));
        let before = beside.partition_point(|child| id(*child) < id(feeder));
        beside.rotate_left(before);
        beside.truncate(BESIDE_MAX);
        beside
    }

    /// What is objected to in a window of a feeder, among which meters, and whether that rests on other feeders too; `None`: values of
    /// those are out of memory, and are among what is `wanted`.
    fn misplaced(
        &self,
        window: &Window,
        (number, feeder): (i32, NodeIx),
        wanted: &mut Wanted,
    ) -> Option<(Vec<MeterIx>, Vec<Misplaced>, bool)> {
        let limits = &self.settings.vee.mapping;
        let Gathered {
            window: of_feeder,
            meters,
        } = self.gather_window(window, feeder);
        let (mut beside, mut pictured_beside) = (Vec::new(), Vec::new());
        let pictured = Pictured::of(&of_feeder);
        let mut suspects = pictured.suspects(limits);
        let is_unplaced = suspects.iter().any(|suspect| !suspect.is_placed(limits));
        if is_unplaced {
            let feeders = self.feeders_beside(feeder, number);
            for other in &feeders {
                wanted.add(self.wanted_of_window(window, *other));
            }
            if !wanted.is_empty() {
                return None;
            }
            beside.extend(
                feeders
                    .iter()
                    .map(|other| self.gather_window(window, *other).window),
            );
            pictured_beside.extend(beside.iter().map(Pictured::of));
        }
        for suspect in suspects.iter_mut().filter(|suspect| !suspect.is_placed(limits)) {
            for other in &pictured_beside {
                suspect.look_at(other, limits);
            }
        }
        let found = suspects
            .iter()
            .filter_map(|suspect| suspect.finding(limits))
            .collect();
        Some((meters, found, is_unplaced))
    }

    /// The DT and the feeder on which a meter is throughout a window.
    fn place_in_window(&self, window: &Window, meter: MeterIx) -> Option<(NodeIx, NodeIx, Service<'_>)> {
        let mut same = UtcMicros(i64::MIN)..UtcMicros(i64::MAX);
        let service = self.network.service(meter, window.instants.start, &mut same)?;
        let dt = service.node.filter(|_| same.end >= window.instants.end)?;
        let is_dt = self.network.node(dt).and_then(Node::kind) == Some(NodeKind::Dt);
        let above = |day: &Day| self.network.parent_at(dt, self.settings.zone.start_of(*day));
        let feeder = window.days.first().and_then(above)?;
        let stays = window.days.iter().all(|day| above(day) == Some(feeder));
        (is_dt && stays).then_some((dt, feeder, service))
    }

    fn gather_window(&self, window: &Window, feeder: NodeIx) -> Gathered {
        let mut values = Values {
            world: self,
            window,
            blocks: HashMap::new(),
        };
        let mut dts: BTreeMap<NodeIx, DtWindow> = BTreeMap::new();
        let mut meters = Vec::new();
        for meter in self.network.meters_ever_on(feeder) {
            let Some((dt, on, service)) = self.place_in_window(window, meter) else {
                meters.push(meter);
                continue;
            };
            if on != feeder {
                continue;
            }
            meters.push(meter);
            let of_dt = dts.entry(dt).or_insert_with(|| self.empty_window(window, dt));
            match service.meter.role {
                MeterRole::Consumer | MeterRole::Generation => {
                    of_dt.members.push(values.member(meter, &service));
                }
                MeterRole::Dt | MeterRole::Feeder | MeterRole::Boundary => {}
            }
        }
        for (dt, of_dt) in &mut dts {
            of_dt.input_wh = values.input_of_dt(*dt);
        }
        let id = self.network.node(feeder).map(|node| node.id.to_string());
        Gathered {
            window: FeederWindow {
                id: id.unwrap_or_default(),
                dts: dts.into_values().collect(),
            },
            meters,
        }
    }

    /// A DT with the days on which it has the coverage that a loss needs.
    fn empty_window(&self, window: &Window, dt: NodeIx) -> DtWindow {
        let threshold_pct = self.settings.coverage_threshold_pct;
        let is_covered = |day: &Day| {
            let sums = self.days.get(&dt).and_then(|days| days.get(day));
            sums.is_some_and(|sums| sums.coverage.percent() >= threshold_pct)
        };
        let covered: BTreeSet<Day> = window.days.iter().copied().filter(is_covered).collect();
        let at = |position: &usize| {
            let position = u32::try_from(*position).unwrap_or(u32::MAX);
            let day = self.day_of(Quarter(window.quarters.start().0.saturating_add(position)));
            covered.contains(&day)
        };
        DtWindow {
            id: self
                .network
                .node(dt)
                .map(|node| node.id.to_string())
                .unwrap_or_default(),
            covered: window.ends.iter().map(at).collect(),
            input_wh: Vec::new(),
            members: Vec::new(),
        }
    }

    fn put_misplaced(&mut self, window: &Window, meters: &[MeterIx], misplaced: Vec<Misplaced>) {
        let end = *window.quarters.end();
        let mut found: BTreeMap<MeterIx, Measured> = misplaced
            .into_iter()
            .map(|Misplaced { meter, value, detail }| {
                let value = Some(value);
                (meter, Measured { value, detail })
            })
            .collect();
        for meter in meters {
            let live = found.remove(meter);
            if live.is_none() && !self.vee.findings.contains_key(meter) {
                continue;
            }
            let findings = self.vee.findings.entry(*meter).or_default();
            // Of windows of another length, if that was configured anew, nothing stays.
            let span = (*window.quarters.start(), Rule::WrongMapping)..=(end, Rule::WrongMapping);
            for ((quarter, rule), standing) in findings.exceptions.range_mut(span) {
                let is_this = *quarter == end;
                if *rule == Rule::WrongMapping && standing.live.is_some() && (!is_this || live.is_none()) {
                    standing.live = None;
                    self.vee.unpublished_exceptions.insert((*meter, *quarter, *rule));
                }
            }
            if live.is_some() {
                let standing = findings.exceptions.entry((end, Rule::WrongMapping)).or_default();
                if standing.live != live {
                    standing.live = live;
                    self.vee
                        .unpublished_exceptions
                        .insert((*meter, end, Rule::WrongMapping));
                }
            }
        }
    }
}

/// Values over a window; the chunks of a block are found once for all its meters.
struct Values<'a> {
    world: &'a World,
    window: &'a Window,
    blocks: HashMap<BlockNumber, BlockWindow<'a>>,
}

impl Values<'_> {
    /// What a meter said, half hour by half hour: net energy on the network and voltage.
    fn each_half_hour(
        &mut self,
        meter: MeterIx,
        service: &Service<'_>,
        mut see: impl FnMut(Option<HalfHour>),
    ) {
        let Some((block, slot)) = self.world.state.slot_of(meter) else {
            self.window.ends.iter().for_each(|_| see(None));
            return;
        };
        let quarters = self.window.quarters.clone();
        let state = &self.world.state;
        let chunks = self
            .blocks
            .entry(block)
            .or_insert_with(|| state.window(block, quarters));
        let thousandths = service.meter.multiplier.thousandths();
        let network_wh = |counted_wh: u32| (i64::from(counted_wh) * thousandths + 500) / 1_000;
        let net_wh = |sample: &Sample| network_wh(sample.import_wh) - network_wh(sample.export_wh);
        let whole = service.meter.interval_minutes.quarters() > 1;
        for end in &self.window.ends {
            let last = chunks.sample(slot, *end);
            if whole {
                see(last.map(|last| HalfHour {
                    net_wh: net_wh(&last),
                    voltages: [last.voltage_v, last.voltage_v],
                }));
                continue;
            }
            let first = end.checked_sub(1).and_then(|at| chunks.sample(slot, at));
            see(first.zip(last).map(|(first, last)| HalfHour {
                net_wh: net_wh(&first) + net_wh(&last),
                voltages: [first.voltage_v, last.voltage_v],
            }));
        }
    }

    fn member(&mut self, meter: MeterIx, service: &Service<'_>) -> Member {
        let length = self.window.ends.len();
        let category = service
            .connection
            .as_ref()
            .map(|connection| connection.category.as_str());
        let limits = self.world.settings.vee.of(category);
        let plausible = limits.voltage_min_v..=limits.voltage_max_v;
        let fixed = |volts: Option<f32>| {
            volts
                .filter(|volts| plausible.contains(volts))
                .and_then(fixed_point)
        };
        let (mut net_wh, mut voltage) = (Vec::with_capacity(length), Vec::with_capacity(length));
        self.each_half_hour(meter, service, |half_hour| {
            net_wh.push(half_hour.map(|half_hour| half_hour.net_wh));
            let both = half_hour.and_then(|half_hour| {
                let [first, last] = half_hour.voltages.map(fixed);
                Some(i32::midpoint(first?, last?))
            });
            voltage.push(both);
        });
        Member {
            meter,
            net_wh,
            voltage,
        }
    }

    /// What a DT's own meters took in, less what they gave back; nothing where one came or went in the window.
    fn input_of_dt(&mut self, dt: NodeIx) -> Vec<Option<i64>> {
        let length = self.window.ends.len();
        let world = self.world;
        let mut input: Option<Vec<Option<i64>>> = None;
        for meter in world
            .network
            .node(dt)
            .map_or(&[][..], |node| node.meters.as_slice())
        {
            let mut same = UtcMicros(i64::MIN)..UtcMicros(i64::MAX);
            let begin = self.window.instants.start;
            let service = world.network.service(*meter, begin, &mut same);
            if same.end < self.window.instants.end {
                return vec![None; length];
            }
            let here =
                service.filter(|service| service.meter.role == MeterRole::Dt && service.node == Some(dt));
            let Some(service) = here else { continue };
            let mut at = 0;
            let input = input.get_or_insert_with(|| vec![Some(0); length]);
            self.each_half_hour(*meter, &service, |half_hour| {
                if let Some(sum) = input.get_mut(at) {
                    *sum = sum.zip(half_hour).map(|(sum, half_hour)| sum + half_hour.net_wh);
                }
                at += 1;
            });
        }
        input.unwrap_or_else(|| vec![None; length])
    }
}

/// What a meter said of half an hour.
#[derive(Clone, Copy)]
struct HalfHour {
    net_wh: i64,
    /// Of the quarters, or twice that of the half hour.
    voltages: [Option<f32>; 2],
}

/// Volts in 1/1024 V, cut: taken from the number's own bits, so that it is exact. `None`: below 1 V or from 512 V on.
fn fixed_point(volts: f32) -> Option<i32> {
    const MANTISSA_BITS: u32 = 23;
    const FRACTION_BITS: u32 = 10;
    let bits = volts.to_bits();
    let exponent = (bits >> MANTISSA_BITS).checked_sub(127)?;
    if exponent > 8 {
        return None;
    }
    let mantissa = (bits & ((1 << MANTISSA_BITS) - 1)) | (1 << MANTISSA_BITS);
    i32::try_from(mantissa >> (MANTISSA_BITS - FRACTION_BITS - exponent)).ok()
}

#[cfg(test)]
mod tests;
