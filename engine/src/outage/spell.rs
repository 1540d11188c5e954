//! Spells without supply by one meter's own word.
//!
//! The meter's events and reads are a row of facts in the order of its own clock: "on until here, off from here", "off for this
//! whole block", "on at some time in this block". Two facts of one kind need nothing between them; between an on and an off
//! without an event of their own lies a lost last gasp, between an off and an on a lost restoration. Its moment is then known
//! only between two bounds, and [`Moment`] says so.
//!
//! A block in which an event lies proves nothing: it may have been on before it or after.

use gridtally_schemas::UtcMicros;

use super::{
    Rules,
    evidence::{MeterEvidence, Run, Sign, Signal},
    picture::words,
    span::{FOREVER, Span},
};

words!(
    /// From what a moment is known. The words stand in the `evidence` columns.
    Source {
        /// The meter's own event of that moment.
        PowerEvent = "power_event",
        /// Another event of the meter: what it says was so before it.
        OtherEvent = "other_event",
        /// Reads with zero voltage.
        ZeroVoltage = "zero_voltage",
        /// The read that proves supply, the last before or the next after.
        Read = "read",
        /// The DT's own meter.
        DtMeter = "dt_meter",
        /// The feeder's own meter.
        FeederMeter = "feeder_meter",
        /// The middle (median) of the consumers who said so.
        Neighbours = "neighbours",
        /// The meter was taken away.
        MeterChange = "meter_change",
        /// A planned outage's announcement.
        Announcement = "announcement",
    }
);

/// An instant, from what it is known, and between which bounds it lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Moment {
    /// The instant. Where only bounds are known, and nobody else's word lies in them: their middle (house choice, unbiased).
    pub at: UtcMicros,
    /// From what it is known.
    pub from: Source,
    /// It was not before this.
    pub earliest: UtcMicros,
    /// It was not after this.
    pub latest: UtcMicros,
}

impl Moment {
    /// A moment that is known exactly.
    #[must_use]
    pub const fn exact(at: UtcMicros, from: Source) -> Self {
        Self {
            at,
            from,
            earliest: at,
            latest: at,
        }
    }

    /// A moment of which only the bounds are known.
    #[must_use]
    pub fn between(earliest: UtcMicros, latest: UtcMicros, from: Source) -> Self {
        let latest = latest.max(earliest);
        Self {
            at: earliest.plus(latest.0.saturating_sub(earliest.0) / 2),
            from,
            earliest,
            latest,
        }
    }

    /// The same bounds with a better instant than their middle; it is kept within them.
    #[must_use]
    pub(super) fn placed_at(self, at: UtcMicros) -> Self {
        Self {
            at: at.max(self.earliest).min(self.latest),
            ..self
        }
    }

    /// The same moment, moved to `at` where it lies before that.
    #[must_use]
    pub(super) fn not_before(self, at: UtcMicros) -> Self {
        Self {
            at: self.at.max(at),
            latest: self.latest.max(at),
            ..self
        }
    }

    /// The same moment, moved to `at` where it lies after that.
    #[must_use]
    pub(super) fn not_after(self, at: UtcMicros) -> Self {
        Self {
            at: self.at.min(at),
            earliest: self.earliest.min(at),
            latest: self.latest.min(at),
            ..self
        }
    }

    /// Whether it is known exactly.
    #[must_use]
    pub fn is_exact(self) -> bool {
        self.earliest == self.latest
    }

    /// The same moment by the word of others, where its own bounds allow that.
    #[must_use]
    pub fn refined_by(self, other: Self) -> Self {
        if self.is_exact() || other.at < self.earliest || other.at > self.latest {
            return self;
        }
        Self {
            at: other.at,
            from: other.from,
            ..self
        }
    }
}

/// Time without supply at one meter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spell {
    /// When supply failed.
    pub(super) start: Moment,
    /// When it came back; `None`: not that anybody knows.
    pub(super) end: Option<Moment>,
    /// Whether the begin is claimed. Not where only the restoration is known and nothing says how long before it: such a spell counts
    /// only if others put a time to it.
    pub(super) claimed: bool,
    /// Whether nothing but zero voltage says so.
    pub(super) by_voltage: bool,
    /// Of one that is not over: the last instant at which it is known to have lasted.
    pub(super) known: UtcMicros,
}

impl Spell {
    pub(super) fn span(&self) -> Span {
        Span::new(self.start.at, self.end.map_or(FOREVER, |end| end.at))
    }

    /// From when there was certainly no supply, until when it was back. Of a spell whose begin nobody knows that is an instant, and
    /// hours of lost communication before it are not taken for hours without supply.
    pub(super) fn certain(&self) -> Span {
        let from = self.start.latest;
        Span::new(from, self.span().to.max(from))
    }
}

impl Spell {
    /// Its part from when supply is due again (`None`: it is due when the spell begins); `None`: it is over by then, as far as clocks and
    /// blocks tell.
    pub(super) fn while_due(&self, rules: &Rules, due_from: Option<UtcMicros>) -> Option<Self> {
        let Some(due_from) = due_from else {
            return Some(*self);
        };
        // An event of failure holds until another word; blocks without voltage say nothing of the blocks after them.
        let last = if self.by_voltage { self.known } else { FOREVER };
        let lasts = self.end.map_or(last, |end| end.earliest);
        let is_over = lasts <= due_from.plus(rules.hours_tolerance_micros);
        (!is_over).then(|| Self {
            start: Moment::exact(due_from, Source::Announcement),
            ..*self
        })
    }

    /// It in parts, where the hours of supply part it: blocks without voltage before and after hours in which supply was due say nothing of
    /// these, if the meter tells of no dark block in them.
    pub(super) fn parted_by_hours(
        &self,
        rules: &Rules,
        undue: &[Span],
        is_dark_in: impl Fn(Span) -> bool,
    ) -> Vec<Self> {
        let mut parts = Vec::with_capacity(1);
        let mut rest = *self;
        let first = undue.partition_point(|off| off.to <= self.start.at);
        for (at, off) in undue.iter().enumerate().skip(first) {
            let end = rest.span().to;
            if !self.by_voltage || off.to >= end {
                break;
            }
            let next = undue.get(at + 1).filter(|next| next.from < end);
            let due = Span::new(off.to, next.map_or(end, |next| next.from));
            if due.micros() <= rules.hours_tolerance_micros || is_dark_in(due) {
                continue;
            }
            let Some(next) = next else { break };
            parts.push(Self {
                end: Some(Moment::exact(off.to, Source::Announcement).not_before(rest.start.at)),
                ..rest
            });
            if !is_dark_in(Span::new(next.from, end)) {
                return parts;
            }
            rest.start = Moment::exact(next.from, Source::Announcement);
        }
        parts.push(rest);
        parts
    }
}

#[derive(Debug, Clone, Copy)]
enum Fact {
    Failed(UtcMicros),
    Restored(UtcMicros),
    /// Failed and restored within the resolution of the clock.
    Blinked(UtcMicros),
    Dead(Run),
    Live(Run),
}

impl Fact {
    fn at(self) -> UtcMicros {
        match self {
            Self::Failed(at) | Self::Restored(at) | Self::Blinked(at) => at,
            Self::Dead(run) | Self::Live(run) => run.span.from,
        }
    }
}

/// The spells of a meter while it served in `stint`, by begin.
pub(super) fn spells(evidence: &MeterEvidence, stint: Span) -> Vec<Spell> {
    let mut walk = Walk {
        evidence,
        stint,
        state: State::Unknown,
        spells: Vec::new(),
    };
    let events = power_events(evidence, stint);
    if events.is_empty() && !evidence.runs_in(stint).iter().any(|run| run.sign == Sign::Dead) {
        return Vec::new();
    }
    let mut facts = facts_of_reads(evidence, stint, &events);
    facts.extend(events);
    // A block begins no later than an event that comes with it; blocks that hold an event are no facts.
    facts.sort_by_key(|fact| fact.at());
    for fact in facts {
        walk.step(fact);
    }
    walk.finish()
}

/// The power events in `stint`, a pair of one instant made one.
fn power_events(evidence: &MeterEvidence, stint: Span) -> Vec<Fact> {
    let mut events: Vec<Fact> = Vec::new();
    let within = evidence.signals().iter().filter(|(at, _)| stint.contains(*at));
    for (at, signal) in within {
        match signal {
            Signal::Failed => events.push(Fact::Failed(*at)),
            Signal::Restored => match events.last_mut() {
                // Of one instant `Failed` sorts before `Restored`.
                Some(last @ Fact::Failed(_)) if last.at() == *at => *last = Fact::Blinked(*at),
                _ => events.push(Fact::Restored(*at)),
            },
            Signal::Disconnected | Signal::CutOff | Signal::Connected => {}
        }
    }
    events
}

fn facts_of_reads(evidence: &MeterEvidence, stint: Span, events: &[Fact]) -> Vec<Fact> {
    let mut facts = Vec::new();
    let mut next_event = 0;
    for run in evidence.runs_in(stint) {
        let fact = match run.sign {
            Sign::Dead => Fact::Dead,
            Sign::Powered | Sign::Drawing => Fact::Live,
            Sign::Quiet => continue,
        };
        let Some(mut rest) = run.whole_blocks_in(stint) else {
            continue;
        };
        while let Some(at) = events.get(next_event).map(|event| event.at()) {
            if at < rest.span.from {
                next_event += 1;
                continue;
            }
            if at >= rest.span.to {
                break;
            }
            let block = rest.block_micros.max(1);
            let before = (at.0 - rest.span.from.0) / block * block;
            let begin = rest.span.from.plus(before);
            if before > 0 {
                let span = Span::new(rest.span.from, begin);
                facts.push(fact(Run { span, ..rest }));
            }
            rest.span.from = begin.plus(block);
            if rest.span.from >= rest.span.to {
                break;
            }
        }
        if rest.span.from < rest.span.to {
            facts.push(fact(rest));
        }
    }
    facts
}

/// What is known after the facts so far.
#[derive(Debug, Clone, Copy)]
enum State {
    Unknown,
    /// On at some time from `earliest` to `latest`; in `latest` the last block ends that proves it.
    On {
        earliest: UtcMicros,
        latest: UtcMicros,
    },
    /// Off since the spell's begin, and certainly still at `known`.
    Off {
        spell: Spell,
        known: UtcMicros,
    },
}

struct Walk<'a> {
    evidence: &'a MeterEvidence,
    stint: Span,
    state: State,
    spells: Vec<Spell>,
}

impl Walk<'_> {
    fn step(&mut self, fact: Fact) {
        match fact {
            Fact::Failed(at) => self.failed(at),
            Fact::Restored(at) => self.restored(at),
            Fact::Blinked(at) => self.blinked(at),
            Fact::Dead(run) => self.dead(run),
            Fact::Live(run) => self.live(run),
        }
    }

    fn failed(&mut self, at: UtcMicros) {
        if let State::Off { spell, known } = self.state {
            // Nothing but the second failure says that supply was back in between.
            self.close(spell, Moment::between(known, at, Source::OtherEvent));
        }
        let spell = opened(Moment::exact(at, Source::PowerEvent));
        self.state = State::Off { spell, known: at };
    }

    fn restored(&mut self, at: UtcMicros) {
        let end = Moment::exact(at, Source::PowerEvent);
        match self.state {
            State::Off { spell, .. } => self.close(
                Spell {
                    by_voltage: false,
                    ..spell
                },
                end,
            ),
            State::On { earliest, latest } => {
                // A hole in a profile that was delivered beyond it is time without supply: a meter records every block in which it
                // had any. Nothing delivered beyond, or blocks that may be quiet for want of use: how long it was off is not known.
                let claimed = self.is_delivered_after(at) && !self.is_quiet_in(Span::new(latest, at));
                // Where no whole block is missing before it, it most likely began in the block in which it ended: what is short is frequent.
                let is_in_next_block = at < latest.plus(self.block_micros_at(at));
                let in_block = match (is_in_next_block, latest <= at) {
                    (true, true) => Moment::between(latest, at, Source::Read),
                    (true, false) => Moment::between(earliest, at, Source::Read),
                    (false, _) => Moment::between(earliest, latest, Source::Read),
                };
                let start = Moment::between(earliest, at, Source::Read).placed_at(in_block.at);
                self.close(
                    Spell {
                        claimed,
                        ..opened(start)
                    },
                    end,
                );
            }
            State::Unknown => {
                let start =
                    Moment::between(self.stint.from.max(at.plus(-DAY_MICROS)), at, Source::OtherEvent);
                self.close(
                    Spell {
                        claimed: false,
                        ..opened(start)
                    },
                    end,
                );
            }
        }
        self.state = State::On {
            earliest: at,
            latest: at.plus(self.block_micros_at(at)),
        };
    }

    fn blinked(&mut self, at: UtcMicros) {
        if let State::Off { spell, .. } = self.state {
            // Off before and after it, whichever of the two came first.
            self.state = State::Off { spell, known: at };
            return;
        }
        let moment = Moment::exact(at, Source::PowerEvent);
        self.close(opened(moment), moment);
        self.state = State::On {
            earliest: at,
            latest: at.plus(self.block_micros_at(at)),
        };
    }

    fn dead(&mut self, run: Run) {
        let spell = match self.state {
            State::Off { spell, .. } => spell,
            State::On { earliest, latest } => {
                let from = run.span.from;
                let at = if self.is_quiet_in(Span::new(latest, from)) {
                    from
                } else {
                    Moment::between(earliest, latest.min(from), Source::ZeroVoltage).at
                };
                Spell {
                    by_voltage: true,
                    ..opened(Moment::between(earliest, from, Source::ZeroVoltage).placed_at(at))
                }
            }
            State::Unknown => Spell {
                by_voltage: true,
                claimed: false,
                ..opened(Moment::between(
                    self.stint.from.max(run.span.from.plus(-DAY_MICROS)),
                    run.span.from,
                    Source::ZeroVoltage,
                ))
            },
        };
        self.state = State::Off {
            spell,
            known: run.span.to,
        };
    }

    fn live(&mut self, run: Run) {
        if let State::Off { spell, known } = self.state {
            // With a whole block between, that block would have proved supply had there been any; but it may be quiet for want of
            // use, or lost, so that others may still put the moment there.
            let whole_block_between = known.plus(run.block_micros) <= run.span.from;
            let earliest = if whole_block_between { run.span.from } else { known };
            let latest = run.span.from.plus(run.block_micros);
            // Failed in the block before this: most likely it was back in the same block.
            let is_in_next_block = !whole_block_between && known < run.span.from;
            let in_block = if is_in_next_block {
                Moment::between(known, run.span.from, Source::Read)
            } else {
                Moment::between(earliest, latest, Source::Read)
            };
            self.close(
                spell,
                Moment::between(known, latest, Source::Read).placed_at(in_block.at),
            );
        }
        self.state = State::On {
            earliest: run.span.to.plus(-run.block_micros),
            latest: run.span.to,
        };
    }

    fn close(&mut self, spell: Spell, end: Moment) {
        self.spells.push(Spell {
            end: Some(end),
            ..spell
        });
    }

    fn finish(mut self) -> Vec<Spell> {
        if let State::Off { spell, known } = self.state {
            if self.stint.to == FOREVER {
                self.spells.push(Spell { known, ..spell });
            } else {
                let end = Moment::between(known, self.stint.to, Source::MeterChange);
                self.close(spell, end.placed_at(self.stint.to));
            }
        }
        self.spells.sort_by_key(|spell| (spell.start, spell.end));
        self.spells
    }

    /// Whether a read of a block after the one that holds `at` has arrived.
    fn is_delivered_after(&self, at: UtcMicros) -> bool {
        self.evidence
            .runs_in(Span::new(at, self.stint.to))
            .iter()
            .any(|run| run.span.to > at.plus(run.block_micros))
    }

    fn is_quiet_in(&self, within: Span) -> bool {
        self.evidence
            .runs_in(within)
            .iter()
            .any(|run| run.sign == Sign::Quiet)
    }

    /// Length of the meter's blocks about `at`.
    fn block_micros_at(&self, at: UtcMicros) -> i64 {
        let runs = self.evidence.runs();
        let next = runs.partition_point(|run| run.span.to <= at);
        runs.get(next).or(runs.last()).map_or(0, |run| run.block_micros)
    }
}

const DAY_MICROS: i64 = 24 * 60 * 60 * 1_000_000;

fn opened(start: Moment) -> Spell {
    Spell {
        start,
        end: None,
        claimed: true,
        by_voltage: false,
        known: start.latest,
    }
}
