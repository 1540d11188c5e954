//! Judging meter-days: what is known of them is gathered, the rules and the estimation run, and what they say takes the place of what
//! they said before.

use std::{ops::RangeInclusive, sync::Arc};

use gridtally_schemas::{
    Day, IntervalMinutes, UtcMicros,
    network::{MeterRole, NodeKind},
};
use hashbrown::HashMap;

use super::{Findings, Judged, LIKE_DAYS_BACK, Measured, Shown, World};
use crate::{
    network::{MeterIx, NodeIx, Service},
    state::{BlockNumber, BlockWindow, Quarter, State, Value},
    vee::{
        Context, Estimate, Exception, MeterDay, Part, Rule, VeeLimits,
        day::{BalanceOfDay, Register},
        estimate::{Blank, DayKind, LIKE_DAYS, LikeDay, estimate, without_supply},
        validate::evaluate,
    },
    world::billing::{Adjustment, ConsumerIx},
    world::paging::Wanted,
};

/// A day while its meters are judged, with what many of them share.
struct Bench {
    day: Day,
    span: RangeInclusive<Quarter>,
    /// The day before and the day.
    both: RangeInclusive<Quarter>,
    before_quarters: usize,
    kind: DayKind,
    /// By DT: whether its meter counted, by quarter; empty: it has none.
    live: HashMap<NodeIx, Arc<[bool]>>,
    values: Vec<Option<Value>>,
    found: Vec<Exception>,
    /// Like days that are out of memory.
    wanted: Wanted,
}

/// From a position of the day on: whose bill counts, and when it was made.
type BilledFrom = (usize, Option<(ConsumerIx, UtcMicros)>);

/// What was gathered of one meter-day.
struct Known<'a> {
    parts: Vec<Part<'a>>,
    dt: Option<NodeIx>,
    balance: Option<BalanceOfDay>,
    registers: [Option<Register>; 2],
    gaps_due: bool,
    /// From a position in the day on, the bill of its consumer.
    bills: Vec<BilledFrom>,
}

/// What judging one meter-day said, beside its exceptions.
#[derive(Default)]
struct Verdict {
    estimates: Vec<Estimate>,
    adjustments: Vec<(Quarter, Adjustment)>,
    is_blank: bool,
}

impl World {
    /// Judges at most `days_max` meter-days that wait, oldest first. What it finds is part of the picture; estimates make balances
    /// dirty.
    ///
    /// A day is left to wait while something that it depends on is out of memory; what that is, `take_asked` tells.
    pub fn judge(&mut self, days_max: usize) -> Judged {
        let mut judged = Judged::default();
        if self.applied < self.vee.held_until {
            return judged;
        }
        self.fill_queue();
        let mut looked_at = 0;
        let mut left: Vec<(Day, MeterIx)> = Vec::new();
        while looked_at < days_max {
            let next = self.vee.queue.first().map(|(day, _)| *day);
            // What is known of a day that is open waits for its close.
            let Some(day) = next.filter(|day| *self.quarters_of_day(*day).end() <= self.vee.closed_through)
            else {
                break;
            };
            let mut meters = Vec::new();
            while meters.len() < days_max - looked_at
                && let Some(entry) = self.vee.queue.first().copied().filter(|(of, _)| *of == day)
            {
                self.vee.queue.remove(&entry);
                meters.push(entry.1);
            }
            looked_at += meters.len();
            judged.days += meters.len();
            let waiting = self.judge_day(day, meters);
            judged.days -= waiting.len();
            left.extend(waiting.into_iter().map(|meter| (day, meter)));
        }
        self.vee.queue.extend(left);
        judged.waiting = self.vee.queue.len();
        judged
    }

    /// Judges a day of these meters; gives back those that must wait for what is out of memory.
    fn judge_day(&mut self, day: Day, mut meters: Vec<MeterIx>) -> Vec<MeterIx> {
        let mut waiting: Vec<MeterIx> = Vec::new();
        meters.retain(|meter| {
            let can = self.can_judge(*meter, day);
            waiting.extend((!can).then_some(*meter));
            can
        });
        let span = self.quarters_of_day(day);
        let before = self.quarters_of_day(Day(day.0 - 1));
        let mut bench = Bench {
            day,
            both: *before.start()..=*span.end(),
            before_quarters: usize::try_from(span.start().0.saturating_sub(before.start().0)).unwrap_or(0),
            span,
            kind: DayKind::of(day, &self.settings.vee.holidays),
            live: HashMap::new(),
            values: Vec::new(),
            found: Vec::new(),
            wanted: Wanted::default(),
        };
        // Neighbours in a block share its chunks.
        meters.sort_unstable_by_key(|meter| (self.state.slot_of(*meter), *meter));
        let mut verdicts: Vec<(MeterIx, Vec<Exception>, Verdict)> = Vec::new();
        let mut window: Option<(BlockNumber, BlockWindow<'_>)> = None;
        for meter in meters {
            let slot = self.state.slot_of(meter);
            bench.values.clear();
            match slot {
                Some((block, slot)) => {
                    if window.as_ref().is_none_or(|(of, _)| *of != block) {
                        window = Some((block, self.state.window(block, bench.both.clone())));
                    }
                    if let Some((_, window)) = &window {
                        window.own_values(slot, &mut bench.values);
                    }
                }
                None => {
                    let length = bench.both.end().0.saturating_sub(bench.both.start().0) + 1;
                    bench.values.resize(usize::try_from(length).unwrap_or(0), None);
                }
            }
            let Some(verdict) = self.verdict(meter, &mut bench) else {
                waiting.push(meter);
                continue;
            };
            // What balances are made of changes only beside them.
            if self.is_estimated_anew(meter, &bench.span, &verdict)
                && !self.can_change(meter, day, &mut bench.wanted)
            {
                waiting.push(meter);
                continue;
            }
            let is_quiet = bench.found.is_empty() && verdict.estimates.is_empty() && !verdict.is_blank;
            if !is_quiet || self.vee.findings.contains_key(&meter) {
                verdicts.push((meter, std::mem::take(&mut bench.found), verdict));
            }
        }
        drop(window);
        self.ask(std::mem::take(&mut bench.wanted));
        for (meter, found, verdict) in verdicts {
            self.put_exceptions(meter, &bench.span, found);
            self.put_adjustments(meter, &bench.span, &verdict.adjustments);
            self.put_estimates(meter, &bench, verdict);
            if self.vee.findings.get(&meter).is_some_and(Findings::is_empty) {
                self.vee.findings.remove(&meter);
            }
        }
        waiting
    }

    /// Runs rules and estimation over the values in `bench`; the exceptions are left there. `None`: a like day is out of memory, and is
    /// among what `bench` wants now.
    fn verdict(&self, meter: MeterIx, bench: &mut Bench) -> Option<Verdict> {
        bench.found.clear();
        if !self.is_heard_with(meter, bench.day) {
            return Some(Verdict::default());
        }
        let known = self.known(meter, bench);
        let (before, cells) = bench
            .values
            .split_at(bench.before_quarters.min(bench.values.len()));
        let has_zero = cells.iter().flatten().any(|value| value.import_wh == 0);
        let dt_live = match known.dt {
            Some(dt) if has_zero => {
                let live = bench.live.entry(dt);
                Arc::clone(live.or_insert_with(|| self.live_of_dt(dt, &bench.span)))
            }
            Some(_) | None => Arc::from([]),
        };
        let day = MeterDay {
            first: *bench.span.start(),
            parts: &known.parts,
            before,
            cells,
            registers: known.registers,
            dt_live: &dt_live,
            dark: &[],
            balance: known.balance,
            gaps_due: known.gaps_due,
        };
        evaluate(&day, &mut bench.found);
        // What is known of an outage can only take such away, so it is asked for where there is one.
        if bench.found.iter().any(|found| found.rule.yields_to_outages()) {
            let dark = self.interrupted_quarters(meter, &bench.both);
            if !dark.is_empty() {
                evaluate(&MeterDay { dark: &dark, ..day }, &mut bench.found);
            }
        }
        let is_consumer = day
            .last_context()
            .is_some_and(|context| matches!(context.role, MeterRole::Consumer | MeterRole::Generation));
        let is_blank = known.gaps_due && is_consumer && day.expected().any(|(_, _, cell)| cell.is_none());
        let estimates = if is_blank {
            self.estimate((meter, None), (bench.day, bench.kind), &day, &mut bench.wanted)?
        } else {
            Vec::new()
        };
        let adjustments = if is_consumer {
            self.adjust(
                meter,
                (bench.day, bench.kind),
                &day,
                (&known.bills, &mut bench.wanted),
            )?
        } else {
            Vec::new()
        };
        Some(Verdict {
            is_blank: is_blank || !adjustments.is_empty(),
            estimates,
            adjustments,
        })
    }

    fn known(&self, meter: MeterIx, bench: &Bench) -> Known<'_> {
        let (begin, end) = (bench.span.start().begin(), bench.span.end().end());
        let (mut dt, mut own_dt) = (None, None);
        let mut bills = Vec::new();
        let parts = self.parts(meter, bench, |from, service| {
            if !self.bills.is_empty() {
                let consumer = service.connection.map(|connection| connection.consumer_id());
                bills.push((from, consumer.and_then(|id| self.bills.billed_at(id, bench.day))));
            }
            let is_dt = |node: &NodeIx| {
                self.network.node(*node).and_then(crate::network::Node::kind) == Some(NodeKind::Dt)
            };
            match service.meter.role {
                MeterRole::Consumer => dt = service.node.filter(is_dt),
                MeterRole::Dt => own_dt = service.node.filter(is_dt),
                MeterRole::Generation | MeterRole::Feeder | MeterRole::Boundary => {}
            }
        });
        let gaps_due = *bench.span.end() <= self.vee.gaps_through;
        let register = |at: UtcMicros| self.registers.get(&(meter, at)).map(|(register, _)| *register);
        Known {
            parts,
            dt,
            balance: own_dt.and_then(|dt| self.balance_of_dt(dt, bench.day)),
            registers: [register(begin), register(end)],
            gaps_due,
            bills,
        }
    }

    /// What is known of the meter in the parts of the day in which that stays the same.
    fn parts<'a>(
        &'a self,
        meter: MeterIx,
        bench: &Bench,
        mut see: impl FnMut(usize, &Service<'a>),
    ) -> Vec<Part<'a>> {
        let first = *bench.span.start();
        let mut parts = Vec::with_capacity(1);
        let mut at = first;
        while at <= *bench.span.end() {
            let mut span = UtcMicros(i64::MIN)..UtcMicros(i64::MAX);
            let service = self.network.service(meter, at.begin(), &mut span);
            let from = usize::try_from(at.0.saturating_sub(first.0)).unwrap_or(0);
            if let Some(service) = &service {
                see(from, service);
            }
            parts.push(Part {
                from,
                context: service.map(|service| context(&service, &self.settings.vee)),
            });
            // Master rows begin on the grid; the next part begins with the quarter that begins where this one ends.
            if span.end >= bench.span.end().end() {
                break;
            }
            let next = crate::world::quarter_at(span.end);
            at = Quarter(next.0.saturating_add(1)).max(Quarter(at.0.saturating_add(1)));
        }
        parts
    }

    /// Whether one of the feeders that the meter was on by the end of the day was heard in it: of a feeder that said nothing, nothing is
    /// judged.
    fn is_heard_with(&self, meter: MeterIx, day: Day) -> bool {
        let mut feeders = Vec::new();
        let end = self.settings.zone.start_of(day.next());
        self.network.feeders_of_meter_before(meter, end, &mut feeders);
        feeders
            .iter()
            .any(|feeder| self.heard.contains_key(&(*feeder, day)))
    }

    /// A DT's balance of the day, where it has the coverage that a loss needs.
    fn balance_of_dt(&self, dt: NodeIx, day: Day) -> Option<BalanceOfDay> {
        let sums = self.days.get(&dt)?.get(&day)?;
        sums.is_covered(self.settings.coverage_threshold_pct)
            .then_some(BalanceOfDay {
                injected_wh: sums.injected_where_known_wh,
                loss_wh: sums.total_loss_wh,
            })
    }

    fn live_of_dt(&self, dt: NodeIx, span: &RangeInclusive<Quarter>) -> Arc<[bool]> {
        let meters: Vec<MeterIx> = self.network.meters_of_dt(dt, span.start().begin()).collect();
        if meters.is_empty() {
            return Arc::from([]);
        }
        let quarters = (span.start().0..=span.end().0).map(Quarter);
        let counts = |quarter: Quarter| {
            meters.iter().any(|meter| {
                let minutes = self.network.interval_of(*meter, quarter.begin());
                let end = quarter.ceil_to(minutes.map_or(1, IntervalMinutes::quarters));
                let value = self.state.own_value(*meter, end);
                value.is_some_and(|value| value.import_wh > 0 || value.export_wh.is_some_and(|wh| wh > 0))
            })
        };
        quarters.map(counts).collect()
    }

    /// The estimates of a day, from the values that had come by an instant (`None`: from all); `None`: values that it takes are out of
    /// memory.
    fn estimate(
        &self,
        (meter, known_at): (MeterIx, Option<UtcMicros>),
        (day, kind): (Day, DayKind),
        of_day: &MeterDay<'_>,
        out: &mut Wanted,
    ) -> Option<Vec<Estimate>> {
        let length = u32::try_from(of_day.cells.len()).unwrap_or(0);
        let last = Quarter(of_day.first.0.saturating_add(length).saturating_sub(1));
        let dead = self.known_without_supply(meter, &(of_day.first..=last));
        let wanted = missing(of_day, &dead);
        let like = self.like_days((meter, known_at), (day, kind), wanted, out)?;
        let like_days: Vec<LikeDay<'_>> = like
            .iter()
            .map(|(day, cells)| LikeDay { day: *day, cells })
            .collect();
        let quarters = of_day.last_context().map_or(1, |context| context.quarters);
        let next = Quarter(of_day.first.0.saturating_add(length)).ceil_to(quarters);
        let mut after = [self.state.own_value(meter, next)];
        if let Some(at) = known_at {
            self.forget_late((meter, day.next()), next, at, &mut after);
        }
        Some(estimate(&Blank {
            day: of_day,
            after: after.into_iter().next().flatten(),
            like_days: &like_days,
            dead: &dead,
        }))
    }

    /// Days of the same kind with values, the most recent first: as many as give every interval that is `wanted` its mean. `None`: the
    /// next of them is out of memory.
    fn like_days(
        &self,
        (meter, known_at): (MeterIx, Option<UtcMicros>),
        (day, kind): (Day, DayKind),
        mut wanted: Vec<(usize, usize)>,
        out: &mut Wanted,
    ) -> Option<Vec<(Day, Vec<Option<Value>>)>> {
        let mut days = Vec::new();
        let Some((block, slot)) = self.state.slot_of(meter).filter(|_| !wanted.is_empty()) else {
            return Some(days);
        };
        for back in 1..=LIKE_DAYS_BACK {
            let like = Day(day.0 - back);
            if DayKind::of(like, &self.settings.vee.holidays) != kind {
                continue;
            }
            if !self.can_look_at(block, like, out) {
                return None;
            }
            let span = self.quarters_of_day(like);
            let mut cells = own_values(&self.state, (block, slot), span.clone());
            if let Some(at) = known_at {
                self.forget_late((meter, like), *span.start(), at, &mut cells);
            }
            if cells.iter().all(Option::is_none) {
                continue;
            }
            for (position, count) in &mut wanted {
                *count -= usize::from(cells.get(*position).is_some_and(Option::is_some));
            }
            wanted.retain(|(_, count)| *count > 0);
            days.push((like, cells));
            if wanted.is_empty() {
                break;
            }
        }
        Some(days)
    }

    /// What late reads change of what was billed: the estimates that stood then, against what was said since. `None`: values that it takes
    /// are out of memory.
    fn adjust(
        &self,
        meter: MeterIx,
        (day, kind): (Day, DayKind),
        of_day: &MeterDay<'_>,
        (bills, out): (&[BilledFrom], &mut Wanted),
    ) -> Option<Vec<(Quarter, Adjustment)>> {
        let mut found = Vec::new();
        for (at, (from, bill)) in bills.iter().enumerate() {
            let until = bills.get(at + 1).map_or(of_day.cells.len(), |(next, _)| *next);
            let Some((consumer, billed_at)) = bill.filter(|(_, at)| self.was_estimated_at(day, *at)) else {
                continue;
            };
            let mut cells = of_day.cells.to_vec();
            if !self.forget_late((meter, day), of_day.first, billed_at, &mut cells) {
                continue;
            }
            let mut before = of_day.before.to_vec();
            let length = u32::try_from(before.len()).unwrap_or(0);
            self.forget_late(
                (meter, Day(day.0 - 1)),
                of_day.first.minus(length),
                billed_at,
                &mut before,
            );
            let as_billed = MeterDay {
                cells: &cells,
                before: &before,
                ..*of_day
            };
            let estimates = self.estimate((meter, Some(billed_at)), (day, kind), &as_billed, out)?;
            for (position, _, cell) in of_day.expected().filter(|(at, ..)| (*from..until).contains(at)) {
                let (Some(value), Some(None)) = (cell, cells.get(position)) else {
                    continue;
                };
                let quarter = of_day.quarter(position);
                let stood = estimates.iter().find(|estimate| estimate.quarter == quarter);
                let billed = stood.map(|stood| (stood.import_wh, stood.export_wh, stood.method));
                let actual = (value.import_wh, value.export_wh);
                found.push((quarter, Adjustment::new((consumer, billed_at), billed, actual)));
            }
        }
        Some(found)
    }

    fn put_adjustments(
        &mut self,
        meter: MeterIx,
        span: &RangeInclusive<Quarter>,
        adjustments: &[(Quarter, Adjustment)],
    ) {
        let findings = self.vee.findings.entry(meter).or_default();
        for (quarter, standing) in findings.adjustments.range_mut(span.clone()) {
            if standing.live.is_some() && !adjustments.iter().any(|(now, _)| now == quarter) {
                standing.live = None;
                self.vee.unpublished_adjustments.insert((meter, *quarter));
            }
        }
        for (quarter, adjustment) in adjustments {
            let standing = findings.adjustments.entry(*quarter).or_default();
            if standing.live.as_ref() != Some(adjustment) {
                standing.live = Some(adjustment.clone());
                self.vee.unpublished_adjustments.insert((meter, *quarter));
            }
        }
    }

    fn put_exceptions(&mut self, meter: MeterIx, span: &RangeInclusive<Quarter>, found: Vec<Exception>) {
        let findings = self.vee.findings.entry(meter).or_default();
        let (first, last) = (Rule::ALL.first(), Rule::ALL.last());
        let (Some(first), Some(last)) = (first, last) else {
            return;
        };
        let keys = (*span.start(), *first)..=(*span.end(), *last);
        for (key, standing) in findings.exceptions.range_mut(keys) {
            let stays = found.iter().any(|now| (now.quarter, now.rule) == *key);
            if standing.live.is_some() && !stays && key.1 != Rule::WrongMapping {
                standing.live = None;
                self.vee.unpublished_exceptions.insert((meter, key.0, key.1));
            }
        }
        for Exception {
            quarter,
            rule,
            value,
            detail,
        } in found
        {
            let standing = findings.exceptions.entry((quarter, rule)).or_default();
            let measured = Some(Measured { value, detail });
            if standing.live != measured {
                standing.live = measured;
                self.vee.unpublished_exceptions.insert((meter, quarter, rule));
            }
        }
    }

    /// Whether other estimates stand in the day after this verdict.
    fn is_estimated_anew(&self, meter: MeterIx, span: &RangeInclusive<Quarter>, verdict: &Verdict) -> bool {
        let findings = self.vee.findings.get(&meter);
        let standing = findings.map(|findings| findings.estimates.range(span.clone()));
        let standing = standing
            .into_iter()
            .flatten()
            .filter_map(|(_, shown)| shown.live.as_ref());
        !standing.eq(verdict.estimates.iter())
    }

    fn put_estimates(&mut self, meter: MeterIx, bench: &Bench, verdict: Verdict) {
        let feeders = self.feeders_for_home(meter);
        let findings = self.vee.findings.entry(meter).or_default();
        if verdict.is_blank {
            findings.blank.insert(bench.day);
        } else {
            findings.blank.remove(&bench.day);
        }
        for (quarter, shown) in findings.estimates.range_mut(bench.span.clone()) {
            let stays = verdict.estimates.iter().any(|now| now.quarter == *quarter);
            if shown.live.is_some() && !stays {
                shown.live = None;
                self.state.show_estimate(meter, feeders, *quarter, None);
                self.vee.unpublished_estimates.insert((meter, *quarter));
            }
        }
        for estimate in verdict.estimates {
            let quarter = estimate.quarter;
            let shown = findings.estimates.entry(quarter).or_insert_with(Shown::default);
            if shown.live.as_ref() != Some(&estimate) {
                let energy = (estimate.import_wh, estimate.export_wh);
                self.state.show_estimate(meter, feeders, quarter, Some(energy));
                shown.live = Some(estimate);
                self.vee.unpublished_estimates.insert((meter, quarter));
            }
        }
    }
}

/// Intervals without value of which nothing is known that makes them zero, each with how many like days make its mean.
fn missing(of_day: &MeterDay<'_>, dead: &[Option<Arc<str>>]) -> Vec<(usize, usize)> {
    let missing = of_day.expected().filter(|(position, context, cell)| {
        cell.is_none() && without_supply(dead, *position, context).is_none()
    });
    missing.map(|(position, ..)| (position, LIKE_DAYS)).collect()
}

fn own_values(
    state: &State,
    (block, slot): (BlockNumber, usize),
    span: RangeInclusive<Quarter>,
) -> Vec<Option<Value>> {
    let mut values = Vec::new();
    state.window(block, span).own_values(slot, &mut values);
    values
}

fn context<'a>(service: &Service<'_>, limits: &'a VeeLimits) -> Context<'a> {
    let connection = service.connection.as_ref().map(|connection| connection.says());
    Context {
        role: service.meter.role,
        supply: connection.map(|connection| connection.supply),
        quarters: service.meter.interval_minutes.quarters(),
        multiplier: service.meter.multiplier,
        capacity_w: service.capacity_w,
        limits: limits.of(connection.map(|connection| connection.category.as_str())),
    }
}
