//! From events, reads and silence to interruptions of consumers and outages of the network (DOMAIN sections 4 and 5).
//!
//! Everything here is a pure function of what was said: which events and validated reads each meter has (a set, [`MeterEvidence`]),
//! how the network was ([`FeederPicture`]), and up to when the clock has come. Order of arrival, repetition and the way evidence
//! was split into publishes cannot matter, because nothing of them is in the arguments (ORD-1).
//!
//! # How it is driven
//!
//! `world::outage` drives it. One call of [`evaluate`] looks at one feeder over one [`Window`]. The world
//! - keeps a [`MeterEvidence`] for each meter of a feeder on which something happened, with every event whose code [`EventMap`] knows
//!   and every validated read that won its merge, and notes the feeder as dirty when an event was new, when a read is [`Sign::Dead`],
//!   and, up to [`Rules::heard_micros`] after [`Evaluation::over_after`], when a read changed anything at all;
//! - at a tick evaluates each dirty feeder, and each feeder with something open that a change of the hour or of the plan touches;
//! - puts the evaluations of the feeders under one node together ([`join`]), which finds what is wider than a feeder;
//! - compares with what stood before ([`changes`]): each [`Change`] is one version of one row of `outages`;
//! - adds what the crew said ([`what_the_crew_says`]), which is found by place and time, not by id.
//!
//! It must provide, per feeder: consumers with where they hung and which meters of role consumer they had, since when and until when;
//! the meters of DTs and of the feeder itself; planned outages; the stretches without supply that [`hours::without_supply`] makes of
//! the hours of supply; how many feeders the node above has. Events that no clock can have seen yet it must keep back, as it does with
//! reads of the future.
//!
//! Evidence before a calm instant ([`Evaluation::calm_before`]) may be forgotten ([`MeterEvidence::forget_before`]) once it is old enough;
//! when a read comes that is older, the world must bring the evidence back from the tables first. The world does not do so yet.
//!
//! # Which outage
//!
//! | What is out | Outage |
//! |---|---|
//! | begins in the time of a planned outage of its DT, feeder or above | that one, of its class |
//! | most DTs of the feeder (of those with a consumer who can be heard), or the feeder's own meter | the feeder's |
//! | most consumers of a DT (of those who can be heard), or the DT's own meter | the DT's |
//! | else | a service line: one consumer, one outage |
//!
//! "Most" is more than [`Rules::share_pct`], and at least two. A consumer who is silent while its DT is dead is out with it, unless its
//! reads show supply; so are consumers without a meter. Silence alone is never an interruption. Whoever is due no supply by the hours of
//! supply is no witness then, neither for nor against. Where of a DT nobody's last gasp was heard, its communication failed too: then those
//! who say that supply is back are enough if they are more than hang on one phase, and no more had supply meanwhile.
//!
//! When a node failed and was back is the middle of those under it who say so exactly, if they are three or more; else its own meter's word,
//! put right by how far its clock is off.
//!
//! # Ids
//!
//! An outage is named `{feeder}.{quarter hour of its first interruption, UTC}`: `F12.20260401T0430`. So it keeps its id while it grows
//! from a service line to a DT to the feeder, whichever meter is heard first. Where more than one begins in one quarter hour of
//! one feeder, the widest (then the first) has that name, and the others say where: `F12.20260401T0430.D7`, for a service line
//! with a fingerprint of the consumer; a second one at the same place adds its time. A planned outage is named by its node and planned
//! begin. An outage wider than a feeder has the id of the feeder's that began first.
//!
//! An id is a function of the evidence, not of its arrival. Evidence that comes late leaves the id alone as long as the first
//! interruption stays in its quarter hour and nothing wider appears beside it; else the outage has its new name, and the old one
//! ends as CANCELLED with its successor ([`Reason::ContinuedAs`]). Rows that are not CANCELLED are the same for every order of arrival;
//! which ids were once given and given up is history, and differs.

use std::collections::BTreeMap;

use gridtally_schemas::UtcMicros;

mod clock;
mod consumer;
mod crew;
mod dead;
mod event_map;
mod evidence;
mod group;
pub mod hours;
mod interruption;
mod lineage;
mod picture;
mod restoration;
mod span;
mod spell;
mod switch;
#[cfg(test)]
mod tests;
mod wider;

pub use consumer::Excluded;
pub use crew::{CrewWord, Known, what_the_crew_says};
pub use event_map::{EventMap, EventMapError, NO_MEANING};
pub use evidence::{Evidence, MeterEvidence, Run, Sign, Signal};
pub use group::{Outage, OutageEvidence, OutageId, Scope, Status, Step, planned_id};
pub use interruption::{Interruption, InterruptionEvidence};
pub use lineage::{Change, Reason, changes};
pub use picture::{Class, ConsumerPicture, DtPicture, FeederPicture, Hang, Planned, Stint};
pub use restoration::{Basis, Past, Restoration};
pub use span::{FOREVER, Span};
pub use spell::{Moment, Source};
pub use wider::{FeederResult, Joined, combine, join};

use consumer::Told;
use dead::{Hanging, Period, dt_periods, feeder_periods};
use group::{Grouping, Part, planned_at};
use interruption::{Cover, Draft, Scene};
use spell::{Spell, spells};

const MINUTE_MICROS: i64 = 60_000_000;

/// What the decisions depend on beside the evidence. All are configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules {
    /// An interruption is sustained when it lasts longer than this, µs. Default 3 minutes (Rules as amended 2022).
    pub momentary_micros: i64,
    /// How far apart the clocks of meters may put one moment, µs. Default 5 minutes (house choice).
    pub together_micros: i64,
    /// "Most" is more than this share, per cent. Default 50 (house choice).
    pub share_pct: u8,
    /// A meter can be heard if it said anything within this time before or after, or never anything yet, µs. Default 48 hours: reads
    /// of a day come within the night after it (house choice).
    pub heard_micros: i64,
    /// An average voltage below this, without energy, is no supply, V. Default 50 (house choice).
    pub dead_below_v: f32,
    /// A meter that falls silent for good within this time before its successor serves was taken off, µs. Default 24 hours: master
    /// data often knows only the day (house choice).
    pub replacement_micros: i64,
    /// Time without supply that touches the hours without supply and is no longer than this is switching, no interruption, µs.
    /// Default 5 minutes (house choice).
    pub hours_tolerance_micros: i64,
    /// Fewest past outages that an estimate of restoration rests on. Default 5 (house choice).
    pub past_min: usize,
    /// Most past outages that it rests on: those that ended last. Default 50 (house choice).
    pub past_max: usize,
    /// How far back they may have ended, days. Default 365 (house choice).
    pub past_days: i64,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            momentary_micros: 3 * MINUTE_MICROS,
            together_micros: 5 * MINUTE_MICROS,
            share_pct: 50,
            heard_micros: 48 * 60 * MINUTE_MICROS,
            dead_below_v: 50.0,
            replacement_micros: 24 * 60 * MINUTE_MICROS,
            hours_tolerance_micros: 5 * MINUTE_MICROS,
            past_min: 5,
            past_max: 50,
            past_days: 365,
        }
    }
}

/// The time looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Only failures from here on. [`UtcMicros`] `i64::MIN`: all; else a calm instant.
    pub since: UtcMicros,
    /// The configured clock. It decides only how far an interruption that is not over has come, and whether a planned outage is past.
    pub through: UtcMicros,
}

/// What the evidence of one feeder comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evaluation {
    /// By begin and consumer.
    pub interruptions: Vec<Interruption>,
    /// By id.
    pub outages: BTreeMap<OutageId, Outage>,
    /// Whether something is open, known only between bounds, or known only from others: any read may change it.
    pub is_waiting: bool,
    /// When anything was going on, with the tolerance of clocks about it; sorted, disjoint.
    busy: Vec<Span>,
    window: Window,
    /// The last word that bears on supply; `None`: something is not over.
    over_after: Option<UtcMicros>,
}

impl Evaluation {
    /// When the last thing was said that bears on supply, if all is over: no interruption is open, and no spell waits for a read to say
    /// whether it was one. Reads that are later than that by more than [`Rules::heard_micros`] change nothing here, but the first of
    /// a meter that never said anything. `None`: any read may change something.
    #[must_use]
    pub const fn over_after(&self) -> Option<UtcMicros> {
        self.over_after
    }

    /// The last quarter hour mark at or before `limit` at which nothing was going on: from there on a later evaluation may look, with
    /// the same result for what failed after it.
    #[must_use]
    pub fn calm_before(&self, limit: UtcMicros) -> Option<UtcMicros> {
        let quarter = gridtally_schemas::time::QUARTER_MICROS;
        let mark = |at: UtcMicros| UtcMicros(at.0.div_euclid(quarter).saturating_mul(quarter));
        let mut calm = mark(limit.min(self.window.through));
        for span in self.busy.iter().rev() {
            if span.to <= calm {
                break;
            }
            if span.from <= calm {
                calm = mark(span.from.plus(-1));
            }
        }
        (calm >= self.window.since).then_some(calm)
    }
}

/// Interruptions and outages of a feeder, by the evidence there is.
///
/// Cost: near-linear in the events and runs of the feeder's meters, times the logarithm of their number; each dead time of a DT or the
/// feeder looks once at each consumer under it.
#[must_use]
pub fn evaluate<E: Evidence>(
    rules: &Rules,
    picture: &FeederPicture,
    evidence: &E,
    window: Window,
) -> Evaluation {
    let told: Vec<Told<'_>> = picture
        .consumers
        .iter()
        .map(|consumer| Told::of(rules, (consumer, picture.without_supply_of(consumer)), evidence))
        .collect();
    let covers = covers(rules, picture, &told, evidence);
    let scene = Scene {
        rules,
        picture,
        covers: &covers,
        through: window.through,
    };
    let mut drafts: Vec<Draft> = Vec::new();
    for (consumer, told) in told.iter().enumerate() {
        scene.interruptions(consumer, told, &mut drafts);
    }
    drafts.retain(|draft| draft.failed_at() >= window.since);
    for draft in &mut drafts {
        if matches!(draft.part, Part::Line { .. })
            && let Some(planned) = planned_at(rules, picture, draft.dt, draft.failed_at())
        {
            draft.part = planned;
        }
    }
    let grouping = Grouping {
        rules,
        picture,
        covers: &covers,
        window,
    };
    let (interruptions, outages) = grouping.finish(&drafts);
    let doubtful = told.iter().flat_map(|told| &told.spells).any(|spell| {
        !spell.claimed || !spell.start.is_exact() || spell.end.is_none_or(|end| !end.is_exact())
    });
    let is_open = interruptions
        .iter()
        .any(|interruption| interruption.ended_at.is_none());
    Evaluation {
        is_waiting: doubtful || interruptions.iter().any(Interruption::is_waiting),
        over_after: last_word(picture, evidence).filter(|_| !is_open && told.iter().all(Told::is_over)),
        busy: busy(rules, (picture, evidence), &told, (&drafts, &covers)),
        interruptions,
        outages,
        window,
    }
}

/// When no supply was due to a consumer, or its own switch was open: no interruption is there (OUT-1). In no order; they may overlap.
pub(crate) fn off_times<E: Evidence>(
    rules: &Rules,
    picture: &FeederPicture,
    consumer: &ConsumerPicture,
    evidence: &E,
) -> Vec<Span> {
    let hours = picture.without_supply_of(consumer);
    let told = Told::of(rules, (consumer, hours), evidence);
    let own = told.switched_off.iter().map(|off| off.span);
    own.chain(hours.iter().copied()).collect()
}

/// The dead times that a consumer sees: by DT, and last those of the feeder alone.
fn covers<E: Evidence>(
    rules: &Rules,
    picture: &FeederPicture,
    told: &[Told<'_>],
    evidence: &E,
) -> Vec<Vec<Cover>> {
    let hanging = hanging(rules, picture, told);
    let dts: Vec<Vec<Period>> = picture
        .dts
        .iter()
        .zip(&hanging)
        .enumerate()
        .map(|(dt, (node, members))| dt_periods(rules, dt, members, (&node.meters, evidence)))
        .collect();
    let feeder = hanging.last().map_or_else(Vec::new, |members| {
        feeder_periods(rules, &dts, members, (&picture.meters, evidence))
    });
    let part_of = |dt: Option<usize>, period: &Period, part: Part| {
        planned_at(rules, picture, dt, period.failed.at).unwrap_or(part)
    };
    let of_feeder: Vec<Cover> = feeder
        .iter()
        .enumerate()
        .map(|(ix, period)| Cover {
            period: *period,
            part: part_of(None, period, Part::Feeder(ix)),
        })
        .collect();
    let mut covers: Vec<Vec<Cover>> = dts
        .iter()
        .enumerate()
        .map(|(dt, periods)| {
            let own = periods.iter().enumerate().map(|(ix, period)| Cover {
                period: *period,
                part: part_of(Some(dt), period, Part::Dt(dt, ix)),
            });
            seen_from_dt(rules, own.collect(), &of_feeder)
        })
        .collect();
    covers.push(of_feeder);
    covers
}

/// A dead time of a DT that began with one of its feeder is part of that outage, with the DT's own times where somebody knows them
/// exactly. Where the DT itself was not seen to be dead, the feeder's times stand.
fn seen_from_dt(rules: &Rules, mut own: Vec<Cover>, of_feeder: &[Cover]) -> Vec<Cover> {
    let mut seen = Vec::with_capacity(own.len());
    let mut taken: Vec<usize> = Vec::new();
    for cover in &mut own {
        let Some((ix, feeder)) = began_with(rules, &cover.period, of_feeder) else {
            continue;
        };
        taken.push(ix);
        cover.part = feeder.part;
        let period = &mut cover.period;
        if !period.is_firm.0 {
            period.failed = feeder.period.failed;
        }
        if !period.is_firm.1 && period.restored.is_some() {
            period.restored = feeder.period.restored;
        }
        let failed_at = period.failed.at;
        period.restored = period.restored.map(|restored| restored.not_before(failed_at));
    }
    taken.sort_unstable();
    let unseen = of_feeder
        .iter()
        .enumerate()
        .filter(|(ix, _)| taken.binary_search(ix).is_err());
    seen.extend(unseen.map(|(_, cover)| *cover));
    seen.extend(own);
    seen.sort_by_key(|cover| (cover.period.span, cover.part));
    seen
}

/// The dead time of the feeder that one of a DT began with: in it, or, where nobody knows when the DT failed, while its bounds allow that.
fn began_with<'a>(rules: &Rules, dt: &Period, of_feeder: &'a [Cover]) -> Option<(usize, &'a Cover)> {
    let slack = rules.together_micros;
    let dt_to = dt.restored.map_or(dt.span.to, |restored| restored.at);
    let reach = |cover: &Cover| cover.period.span.from.plus(-slack);
    let began_in = |cover: &Cover| reach(cover) <= dt.span.from && dt.span.from < cover.period.span.to;
    let may_have = |cover: &Cover| {
        let failed_at = cover.period.failed.at;
        !dt.is_firm.0 && dt.not_before <= failed_at && failed_at.plus(-slack) <= dt_to
    };
    let after = of_feeder.partition_point(|cover| reach(cover) <= dt.span.from.max(dt_to));
    let before = of_feeder.get(..after)?.iter().enumerate().rev();
    before
        .take_while(|(_, cover)| cover.period.span.to > dt.not_before.min(dt.span.from).plus(-slack))
        .find(|(_, cover)| began_in(cover) || may_have(cover))
}

/// Who hangs where, with their claimed spells: by DT, and last the whole feeder.
fn hanging<'a>(rules: &Rules, picture: &FeederPicture, told: &'a [Told<'a>]) -> Vec<Hanging<'a>> {
    let mut hanging: Vec<Hanging<'_>> = std::iter::repeat_with(|| Hanging {
        consumers: Vec::new(),
        told,
        begun: Vec::new(),
    })
    .take(picture.dts.len() + 1)
    .collect();
    let whole = picture.dts.len();
    for (consumer, told) in told.iter().enumerate() {
        let mut places: Vec<usize> = told.picture.hangs.iter().filter_map(|hang| hang.dt).collect();
        places.sort_unstable();
        places.dedup();
        places.push(whole);
        for place in places {
            if let Some(members) = hanging.get_mut(place) {
                members.consumers.push(consumer);
            }
        }
        for spell in told.spells.iter().filter(|spell| spell.claimed) {
            let Some(hang) = told.picture.hang_at(spell.start.at) else {
                continue;
            };
            let Some(spell) = told.due_part(rules, spell) else {
                continue;
            };
            for place in hang.dt.into_iter().chain([whole]) {
                if let Some(members) = hanging.get_mut(place) {
                    members.begun.push((spell, consumer));
                }
            }
        }
    }
    for members in &mut hanging {
        // What a period is does not hang on the order of the picture's consumers: moments are compared, not people.
        members
            .begun
            .sort_by_key(|(spell, _)| (spell.certain().from, spell.start, spell.end));
    }
    hanging
}

/// When the last thing was said that bears on supply: an event, or a block without voltage. `None`: a meter of the feeder or of a DT
/// waits for its restoration.
fn last_word<E: Evidence>(picture: &FeederPicture, evidence: &E) -> Option<UtcMicros> {
    let own = picture
        .dts
        .iter()
        .flat_map(|dt| &dt.meters)
        .chain(&picture.meters);
    for stint in own.clone() {
        let open = |spell: &Spell| spell.end.is_none();
        if evidence
            .of(&stint.meter)
            .is_some_and(|meter| spells(meter, stint.span).iter().any(open))
        {
            return None;
        }
    }
    let consumers = picture.consumers.iter().flat_map(|consumer| &consumer.meters);
    let last = |meter: &MeterEvidence| {
        let event = meter.signals().last().map(|(at, _)| *at);
        let dead = meter.runs().iter().rev().find(|run| run.sign == Sign::Dead);
        event.max(dead.map(|run| run.span.to))
    };
    let words = own
        .chain(consumers)
        .filter_map(|stint| last(evidence.of(&stint.meter)?));
    Some(words.max().unwrap_or(UtcMicros(i64::MIN)))
}

/// When anything was going on: what came of the evidence, and what came of none of it (a doubtful word may mean more with others).
fn busy<E: Evidence>(
    rules: &Rules,
    (picture, evidence): (&FeederPicture, &E),
    told: &[Told<'_>],
    (drafts, covers): (&[Draft], &[Vec<Cover>]),
) -> Vec<Span> {
    let bounds = |spell: &Spell| {
        let to = spell.end.map_or(FOREVER, |end| end.latest);
        Span::new(spell.start.earliest, to)
    };
    let mut busy: Vec<Span> = drafts.iter().map(Draft::span).collect();
    busy.extend(covers.iter().flatten().map(|cover| {
        let Period {
            span,
            failed,
            restored,
            ..
        } = cover.period;
        let to = restored.map_or(span.to, |restored| restored.at.max(span.to));
        Span::new(span.from.min(failed.at), to)
    }));
    busy.extend(told.iter().flat_map(|told| &told.spells).map(bounds));
    let of_nodes = picture
        .dts
        .iter()
        .flat_map(|dt| &dt.meters)
        .chain(&picture.meters);
    for (stint, meter) in of_nodes.filter_map(|stint| Some((stint, evidence.of(&stint.meter)?))) {
        busy.extend(spells(meter, stint.span).iter().map(bounds));
    }
    busy.extend(picture.planned.iter().map(|planned| planned.span));
    for span in &mut busy {
        span.from = span.from.plus(-rules.together_micros);
        span.to = span.to.plus(rules.together_micros);
    }
    busy.sort_unstable();
    busy.dedup_by(|next, held| {
        let one = next.from <= held.to;
        if one {
            held.to = held.to.max(next.to);
        }
        one
    });
    busy
}
