//! When the load switch of a meter was open, by its own events and blocks.
//!
//! An open switch is no interruption (OUT-1), so what it hides must be told from what the network did. The words are 301 and 304
//! (opened) and 302 (closed); either may be lost:
//!
//! - A lost 302 is seen by the first block with energy; it lies after a restoration in that block.
//! - A lost 301 or 304 is seen by its 302: what was closed had been open, since the last block with energy. Over power events between the
//!   two that is doubtful, for there are meters that open their switch when supply fails and close it, with a 302, when it is back. What
//!   tells them apart is, in this order:
//!   1. a whole block without voltage while the meter had supply: it measures behind its switch, which was open;
//!   2. the meter's habit: one that came back from other outages without closing a switch did not close this one because of the outage;
//!   3. of a meter whose habit nobody knows, whole blocks with supply and without energy before the 302.
//! - The outage that ended the drawing is none of the switch's: it counts until it is over.

use gridtally_schemas::UtcMicros;

use super::{
    consumer::{Excluded, OffTime},
    evidence::{MeterEvidence, Sign, Signal},
    span::Span,
};

/// A meter that closes its switch because supply is back does so within this time: at once, or after a lock-out and a delay of its own
/// (of some minutes, at most half an hour, in makers' manuals), by a clock that may be minutes off (house choice).
const CLOSES_WITHIN_MICROS: i64 = 60 * 60 * 1_000_000;

/// Appends when the switch was open while the meter served in `stint`.
pub(super) fn switched_off(meter: &MeterEvidence, stint: Span, off_times: &mut Vec<OffTime>) {
    let mut open: Option<(UtcMicros, Excluded)> = None;
    let mut push = |from: UtcMicros, to: UtcMicros, why: Excluded| {
        let to = meter
            .first_block_in(Span::new(from, to), is_drawing)
            .map_or(to, |block| closed_in(meter, block));
        if from < to {
            off_times.push(OffTime {
                span: Span::new(from, to),
                why,
            });
        }
    };
    for (at, signal) in meter.signals().iter().filter(|(at, _)| stint.contains(*at)) {
        let next = match signal {
            Signal::Failed | Signal::Restored => continue,
            Signal::Disconnected => Some((*at, Excluded::Disconnected)),
            Signal::CutOff => Some((*at, Excluded::PrepaidCutOff)),
            Signal::Connected => None,
        };
        match (open, next) {
            (Some((from, why)), _) => push(from, *at, why),
            (None, None) => {
                if let Some(from) = open_since(meter, stint, *at) {
                    push(from, *at, Excluded::Disconnected);
                }
            }
            (None, Some(_)) => {}
        }
        open = next;
    }
    if let Some((from, why)) = open {
        push(from, stint.to, why);
    }
}

/// When a switch was closed at the earliest of whose closing nothing tells but a block with energy: in it, and where supply came back in the
/// block, after that, for until then it had drawn nothing.
fn closed_in(meter: &MeterEvidence, block: Span) -> UtcMicros {
    let restored = power_events(meter, block).into_iter().rev();
    let mut restored = restored.filter(|(_, signal)| *signal == Signal::Restored);
    restored.next().map_or(block.from, |(back, _)| back)
}

fn is_drawing(sign: Sign) -> bool {
    sign == Sign::Drawing
}

/// From when a switch was open that was closed at `at` and of whose opening nobody heard; `None`: nothing says that it was.
fn open_since(meter: &MeterEvidence, stint: Span, at: UtcMicros) -> Option<UtcMicros> {
    // The block in which the switch was closed has energy, but after that.
    let before = Span::new(stint.from, at);
    let runs = meter.runs_in(before).iter().rev();
    let mut drawing = runs.filter(|run| is_drawing(run.sign));
    let last = drawing.find_map(|run| run.whole_blocks_in(before))?;
    let idle = Idle {
        meter,
        span: Span::new(last.span.to, at),
        power: power_events(
            meter,
            Span::new(last.span.to.plus(-last.block_micros), at.plus(1)),
        ),
    };
    let was_open = match idle.power.last() {
        None => true,
        Some(_) if idle.is_seen_behind_switch() => true,
        Some(last) => match closes_after_outages(meter, stint, at) {
            Some(is_habit) => !is_habit || idle.is_unused_before_closing(*last),
            None => idle.is_unused_before_closing(*last),
        },
    };
    was_open.then(|| idle.opened(last.block_micros))
}

fn power_events(meter: &MeterEvidence, within: Span) -> Vec<(UtcMicros, Signal)> {
    let signals = meter.signals().iter();
    signals
        .filter(|(at, signal)| within.contains(*at) && matches!(signal, Signal::Failed | Signal::Restored))
        .copied()
        .collect()
}

/// Whether a meter closes its switch when supply is back, by most of the restorations that it told apart from those about `at` and those
/// in which its switch was open by its own word; `None`: it told of no other.
fn closes_after_outages(meter: &MeterEvidence, stint: Span, at: UtcMicros) -> Option<bool> {
    let (mut is_open, mut restored, mut closed) = (false, 0_usize, 0_usize);
    let signals = || meter.signals().iter().filter(|(at, _)| stint.contains(*at));
    for (back, signal) in signals() {
        match signal {
            Signal::Disconnected | Signal::CutOff => is_open = true,
            Signal::Connected => is_open = false,
            Signal::Restored if !is_open => {
                let shortly = *back..=back.plus(CLOSES_WITHIN_MICROS);
                if shortly.contains(&at) {
                    continue;
                }
                restored += 1;
                let closes = |(at, signal): &&(UtcMicros, Signal)| {
                    *signal == Signal::Connected && shortly.contains(at)
                };
                closed += usize::from(signals().any(|said| closes(&said)));
            }
            Signal::Failed | Signal::Restored => {}
        }
    }
    (restored > 0).then_some(closed * 2 > restored)
}

/// From the last block with energy until the switch was closed.
struct Idle<'a> {
    meter: &'a MeterEvidence,
    span: Span,
    /// What the meter said of its supply meanwhile and in the block before.
    power: Vec<(UtcMicros, Signal)>,
}

impl Idle<'_> {
    fn has_whole_block(&self, within: Span, wanted: impl Fn(Sign) -> bool) -> bool {
        self.meter.first_block_in(within, wanted).is_some()
    }

    /// Whether the meter had supply by its own events, before the first failure or between a restoration and the next, and saw no voltage in
    /// a whole block meanwhile.
    fn is_seen_behind_switch(&self) -> bool {
        let is_dead = |from: UtcMicros, to: UtcMicros| {
            self.has_whole_block(Span::new(from, to), |sign| sign == Sign::Dead)
        };
        let first = self.power.first();
        first.is_some_and(|(at, signal)| *signal == Signal::Failed && is_dead(self.span.from, *at))
            || self.power.array_windows().any(|[one, next]| {
                (one.1, next.1) == (Signal::Restored, Signal::Failed) && is_dead(one.0, next.0)
            })
    }

    /// Whether nothing was drawn for a whole block after supply was back, or the switch was closed long after that and nothing was drawn for
    /// a whole block with supply at all.
    fn is_unused_before_closing(&self, (back, signal): (UtcMicros, Signal)) -> bool {
        let closed = self.span.to;
        signal == Signal::Restored
            && (self.has_whole_block(Span::new(back, closed), |sign| !is_drawing(sign))
                || back.plus(CLOSES_WITHIN_MICROS) < closed
                    && self.has_whole_block(self.span, |sign| sign == Sign::Powered))
    }

    /// When the switch was opened, at the earliest. Where it was a failure that ended the drawing, that was after the outage.
    fn opened(&self, block_micros: i64) -> UtcMicros {
        let Some((failed, Signal::Failed)) = self.power.first().copied() else {
            return self.span.from;
        };
        let is_used_until_then = failed <= self.span.from.plus(block_micros)
            && !self
                .meter
                .runs_in(Span::new(self.span.from, failed))
                .iter()
                .any(|run| run.sign == Sign::Powered);
        if !is_used_until_then {
            return self.span.from;
        }
        // The restoration may be lost: then the first block with supply again.
        let next = self.power.get(1).map(|(at, _)| *at);
        let powered = || {
            let block = self
                .meter
                .first_block_in(Span::new(failed, self.span.to), Sign::is_live);
            block.map(|block| block.from)
        };
        next.or_else(powered).unwrap_or(self.span.to)
    }
}
