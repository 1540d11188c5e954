//! When a meter is known to have had no supply, for estimation: such an interval is zero, and says what is known (DOMAIN section 3).
//!
//! Known is what somebody said, never what the meter's own missing reads suggest, for it is these that are estimated:
//!
//! - an interruption of the meter's consumer ([`crate::outage`]), between what is certain of its begin and of its end: the moment of an
//!   event, of the DT's or the feeder's own meter, or of the neighbours; where only bounds are known, the inner ones. One that is not
//!   over lasts until somebody says otherwise;
//! - the load switch: open from the meter's event (301, 304) to the next that it is closed (302). Where that has not come, and the meter
//!   counts energy after it on the day itself or the day before, the event is not believed.
//!
//! The same interruptions, and of meters of a DT or a feeder its outages, tell that a gap, a zero or a spike is no fault of a meter
//! ([`crate::vee::Rule::yields_to_outages`]).
//!
//! An interval counts when it lies wholly in such a time; of one that lies in it in part nothing is known but that it had supply in the
//! rest, so it is estimated as any other (house choice; where both registers are known the day sums up all the same).
//!
//! All of it is a function of what stands, so of what was said; when an interruption changes or an event comes, the days with estimates
//! that it may concern are judged again. The estimates that a bill rested on are made anew by what is known of outages now: events come
//! within minutes, bills weeks later, and nothing keeps when an event came (house choice).

use std::{ops::RangeInclusive, sync::Arc};

use gridtally_schemas::{Day, UtcMicros};

use super::World;
use crate::{
    network::{Connection, MeterIx, NodeIx, Service},
    outage::{FOREVER, Interruption, Moment, Outage, OutageEvidence, Signal, Source, Span},
    state::Quarter,
};

/// Whether somebody saw a moment, so that its instant is more than the middle of what is possible.
const fn is_seen(from: Source) -> bool {
    match from {
        Source::PowerEvent | Source::DtMeter | Source::FeederMeter | Source::Neighbours => true,
        Source::OtherEvent
        | Source::ZeroVoltage
        | Source::Read
        | Source::MeterChange
        | Source::Announcement => false,
    }
}

/// From when until when there was certainly no supply; `None`: that is not known of any time.
fn certain(interruption: &Interruption) -> Option<Span> {
    certainly_between(interruption.evidence.failed, interruption.evidence.restored)
}

fn certainly_between(failed: Moment, restored: Option<Moment>) -> Option<Span> {
    let inner = |moment: Moment, bound: UtcMicros| if is_seen(moment.from) { moment.at } else { bound };
    let from = inner(failed, failed.latest);
    let to = restored.map_or(FOREVER, |restored| inner(restored, restored.earliest));
    (from < to).then_some(Span::new(from, to))
}

/// When the node of an outage was certainly dead; `None`: it was not, or that is not known of any time.
fn certainly_dead(outage: &Outage) -> Option<Span> {
    let OutageEvidence {
        failed,
        restored,
        is_node_dead,
        ..
    } = &outage.evidence;
    is_node_dead
        .then(|| certainly_between(*failed, *restored))
        .flatten()
}

/// A time in which the load switch of a meter was open.
struct Open {
    span: Span,
    signal: Signal,
}

/// When the load switch was open by the meter's own events, in order; the last may not be over.
fn open_times(signals: &[(UtcMicros, Signal)]) -> Vec<Open> {
    let mut times: Vec<Open> = Vec::new();
    let mut since: Option<(UtcMicros, Signal)> = None;
    for (at, signal) in signals {
        match signal {
            Signal::Failed | Signal::Restored => {}
            Signal::Disconnected | Signal::CutOff => since = since.or(Some((*at, *signal))),
            Signal::Connected => times.extend(since.take().map(|(from, signal)| Open {
                span: Span::new(from, *at),
                signal,
            })),
        }
    }
    times.extend(since.map(|(from, signal)| Open {
        span: Span::new(from, FOREVER),
        signal,
    }));
    times
}

impl World {
    /// By quarter of a day: what says that the meter had no supply in the whole of it. Empty: nothing does, as is usual.
    pub(in crate::world) fn known_without_supply(
        &self,
        meter: MeterIx,
        span: &RangeInclusive<Quarter>,
    ) -> Vec<Option<Arc<str>>> {
        let mut known = Vec::new();
        self.each_service(meter, span, |service, part| {
            for (interruption, dark) in self.interrupted_in(service, part) {
                mark(&mut known, span, dark, || {
                    self.words_of_interruption(interruption)
                });
            }
        });
        if let Some(evidence) = self.outage.evidence.get(&meter) {
            for open in open_times(evidence.signals()) {
                let is_believed = open.span.to != FOREVER || !self.counts_after(meter, open.span.from, span);
                if is_believed {
                    mark(&mut known, span, open.span, || self.words_of_switch(&open));
                }
            }
        }
        known
    }

    /// By quarter: whether the meter had no supply in the whole of it, by an interruption of its consumer or an outage of its node. Empty:
    /// that is known of none.
    pub(in crate::world) fn interrupted_quarters(
        &self,
        meter: MeterIx,
        span: &RangeInclusive<Quarter>,
    ) -> Vec<bool> {
        let mut known: Vec<Option<Arc<str>>> = Vec::new();
        let word = || String::new();
        self.each_service(meter, span, |service, part| {
            for (_, dark) in self.interrupted_in(service, part) {
                mark(&mut known, span, dark, word);
            }
            let node = service.node.filter(|_| service.connection.is_none());
            for dark in node.into_iter().flat_map(|node| self.dead_times_of(node)) {
                mark(&mut known, span, common(dark, part), word);
            }
        });
        known.iter().map(Option::is_some).collect()
    }

    /// Calls `see` for each part of a time in which a meter's service stays the same.
    fn each_service<'a>(
        &'a self,
        meter: MeterIx,
        span: &RangeInclusive<Quarter>,
        mut see: impl FnMut(&Service<'a>, Span),
    ) {
        let whole = Span::new(span.start().begin(), span.end().end());
        let mut at = whole.from;
        while !self.outage.interruptions.is_empty() && at < whole.to {
            let mut holds = UtcMicros(i64::MIN)..UtcMicros(i64::MAX);
            let service = self.network.service(meter, at, &mut holds);
            let until = holds.end.min(whole.to).max(at.plus(1));
            if let Some(service) = service {
                see(&service, Span::new(at, until));
            }
            at = until;
        }
    }

    /// When the consumer of a service certainly had no supply in a part of time, with its interruption.
    fn interrupted_in<'a>(
        &'a self,
        service: &Service<'a>,
        part: Span,
    ) -> impl Iterator<Item = (&'a Interruption, Span)> + use<'a> {
        let consumer = service.connection.map(|row| row.consumer_id());
        let all = consumer
            .into_iter()
            .flat_map(|id| self.interruptions_of_consumer(id));
        all.filter_map(move |interruption| Some((interruption, common(certain(interruption)?, part))))
    }

    /// When a DT or a feeder was certainly dead: by its own outages, and a DT by those of its feeder.
    fn dead_times_of(&self, node: NodeIx) -> Vec<Span> {
        let mut feeders = Vec::new();
        self.network.feeders_above(node, &mut feeders);
        feeders.push(node);
        feeders.sort_unstable();
        feeders.dedup();
        let own = self.network.node(node).map(|node| &node.id);
        let evaluations = feeders.iter().filter_map(|feeder| {
            let id = &self.network.node(*feeder)?.id;
            Some((id, self.outage.feeders.get(feeder)?.evaluation.as_ref()?))
        });
        let of = evaluations.flat_map(|(feeder, evaluation)| {
            let outages = evaluation.outages.values();
            outages.filter(move |outage| outage.node == *feeder || Some(&outage.node) == own)
        });
        of.filter_map(certainly_dead).collect()
    }

    fn words_of_interruption(&self, interruption: &Interruption) -> String {
        let zone = &self.settings.zone;
        let evidence = &interruption.evidence;
        let until = evidence.restored.map_or("not over".to_owned(), |restored| {
            format!("until {} by {}", restored.at.to_rfc3339(zone), restored.from)
        });
        format!(
            "no supply: outage {}, from {} by {}, {until}",
            interruption.outage,
            evidence.failed.at.to_rfc3339(zone),
            evidence.failed.from,
        )
    }

    fn words_of_switch(&self, open: &Open) -> String {
        let why = match open.signal {
            Signal::CutOff => "cut off on exhausted credit",
            Signal::Disconnected | Signal::Failed | Signal::Restored | Signal::Connected => "disconnected",
        };
        format!(
            "no supply: {why} by the meter's event of {}",
            open.span.from.to_rfc3339(&self.settings.zone)
        )
    }

    /// Whether the meter counted energy in an interval that begins after an instant, on the day or the day before.
    fn counts_after(&self, meter: MeterIx, at: UtcMicros, day: &RangeInclusive<Quarter>) -> bool {
        let before = Day(self.day_of(*day.start()).0 - 1);
        let first = *self.quarters_of_day(before).start();
        (first.0..=day.end().0).map(Quarter).any(|quarter| {
            let minutes = self.network.interval_of(meter, quarter.begin());
            let quarters = minutes.map_or(1, gridtally_schemas::IntervalMinutes::quarters);
            let begins_after = quarter.minus(quarters).end() >= at;
            let value = self.state.own_value(meter, quarter).filter(|_| begins_after);
            value.is_some_and(|value| value.import_wh > 0)
        })
    }

    /// A meter said something at an instant: the days with estimates from then on are judged again, and those before it for which its load
    /// switch was open until then.
    pub(in crate::world) fn note_load_switch(&mut self, meter: MeterIx, at: UtcMicros) {
        let Some(evidence) = self.outage.evidence.get(&meter) else {
            return;
        };
        let mut since = at;
        for open in open_times(evidence.signals()) {
            if open.span.from <= at && at <= open.span.to {
                since = since.min(open.span.from);
            }
        }
        self.queue_blank_days(meter, since);
    }

    /// An interruption of a consumer changed: the days of its meters with estimates that it may concern are judged again.
    pub(super) fn note_supply(&mut self, before: Option<&Interruption>, now: Option<&Interruption>) {
        let both = [before, now].into_iter().flatten();
        let Some(since) = both.clone().map(|one| one.evidence.failed.earliest).min() else {
            return;
        };
        let mut meters: Vec<MeterIx> = both
            .flat_map(|one| self.connections_of(&one.consumer))
            .filter_map(Connection::meter)
            .collect();
        meters.sort_unstable();
        meters.dedup();
        let dark = before.and_then(certain);
        let gone = dark.filter(|_| now.and_then(certain) != dark);
        for meter in meters {
            self.queue_blank_days(meter, since);
            if let Some(gone) = gone {
                self.queue_days_of(meter, (gone.from, gone.to));
            }
        }
    }

    /// An outage of a feeder's evidence changed: the days of the node's own meters that it may concern are judged again.
    pub(super) fn note_node_supply(&mut self, before: Option<&Outage>, now: Option<&Outage>) {
        let (was, is) = (before.and_then(certainly_dead), now.and_then(certainly_dead));
        if was == is {
            return;
        }
        let nodes = before.into_iter().chain(now).map(|outage| &outage.node);
        let mut meters: Vec<MeterIx> = Vec::new();
        for node in nodes.filter_map(|id| self.network.find_node(id.as_str())) {
            let children = self.network.node(node).map(|node| node.children.clone());
            for at in std::iter::once(node).chain(children.unwrap_or_default()) {
                meters.extend(self.network.node(at).into_iter().flat_map(|node| &node.meters));
            }
        }
        meters.sort_unstable();
        meters.dedup();
        let since = was.into_iter().chain(is).map(|span| span.from).min();
        for meter in meters {
            since
                .into_iter()
                .for_each(|since| self.queue_blank_days(meter, since));
            if let Some(was) = was {
                self.queue_days_of(meter, (was.from, was.to));
            }
        }
    }
}

fn common(one: Span, other: Span) -> Span {
    Span::new(one.from.max(other.from), one.to.min(other.to))
}

/// Marks the quarters of `span` that lie wholly in `dark`.
fn mark(
    known: &mut Vec<Option<Arc<str>>>,
    span: &RangeInclusive<Quarter>,
    dark: Span,
    words: impl FnOnce() -> String,
) {
    let is_dark = |number: u32| {
        let quarter = Quarter(number);
        dark.from <= quarter.begin() && quarter.end() <= dark.to
    };
    let quarters = span.start().0..=span.end().0;
    if !quarters.clone().any(is_dark) {
        return;
    }
    let words: Arc<str> = words().into();
    known.resize(quarters.clone().count(), None);
    for (place, number) in known.iter_mut().zip(quarters) {
        if place.is_none() && is_dark(number) {
            *place = Some(Arc::clone(&words));
        }
    }
}

#[cfg(test)]
mod tests;
