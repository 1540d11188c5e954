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
    network::MeterIx,
    outage::{FOREVER, Interruption, Moment, Signal, Source, Span},
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
    let inner = |moment: Moment, bound: UtcMicros| if is_seen(moment.from) { moment.at } else { bound };
    let evidence = &interruption.evidence;
    let from = inner(evidence.failed, evidence.failed.latest);
    let to = evidence
        .restored
        .map_or(FOREVER, |restored| inner(restored, restored.earliest));
    (from < to).then_some(Span::new(from, to))
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
        let day = Span::new(span.start().begin(), span.end().end());
        let mut at = day.from;
        while !self.outage.interruptions.is_empty() && at < day.to {
            let mut holds = UtcMicros(i64::MIN)..UtcMicros(i64::MAX);
            let service = self.network.service(meter, at, &mut holds);
            let until = holds.end.min(day.to).max(at.plus(1));
            let part = Span::new(at, until);
            let consumer = service
                .and_then(|service| service.connection)
                .map(|row| &row.consumer_id);
            for interruption in consumer
                .into_iter()
                .flat_map(|id| self.interruptions_of_consumer(id))
            {
                if let Some(dark) = certain(interruption) {
                    let dark = Span::new(dark.from.max(part.from), dark.to.min(part.to));
                    let words = || self.words_of_interruption(interruption);
                    mark(&mut known, span, dark, words);
                }
            }
            at = until;
        }
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
        let meters: Vec<MeterIx> = both
            .flat_map(|one| self.outage.connections.of(&one.consumer))
            .filter_map(|connection| self.network.connection(*connection)?.meter)
            .collect();
        for meter in meters {
            self.queue_blank_days(meter, since);
        }
    }
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
