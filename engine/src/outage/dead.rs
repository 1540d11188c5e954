//! When a DT or a feeder was dead: most of what hangs on it out together, or its own meter says so and nothing contradicts.

use std::collections::{BTreeMap, BTreeSet};

use gridtally_schemas::UtcMicros;

use super::{
    Rules,
    clock::Clock,
    consumer::Told,
    evidence::{Evidence, MeterEvidence, Sign},
    hours,
    picture::Stint,
    span::{FOREVER, Span},
    spell::{Moment, Source, Spell, spells},
};

const HOUR_MICROS: i64 = 60 * 60 * 1_000_000;
/// Fewest who say exactly when, for their middle to be better than one clock (house choice).
const VOUCHERS: usize = 3;

/// One phase of three, per cent: who hang on it are out together when its fuse blows, and the DT is not.
const ONE_PHASE_PCT: u8 = 34;

/// Whether somebody says a moment exactly. That supply was not back when it was due says nothing of when it failed.
fn is_word(moment: Moment) -> bool {
    moment.is_exact() && moment.from != Source::Announcement
}

/// Time in which a node was dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Period {
    /// From when most were out until most were back: where others' silence is judged by it.
    pub(super) span: Span,
    /// When the node failed: the middle of those who said so, or its own meter's word where they are few.
    pub(super) failed: Moment,
    /// When it was back; `None`: it is not, or nobody who was out has said so.
    pub(super) restored: Option<Moment>,
    /// Whether somebody knows exactly when it failed, and when it was back.
    pub(super) is_firm: (bool, bool),
    /// It did not fail before this.
    pub(super) not_before: UtcMicros,
    /// Whether several say exactly when it failed, and when it was back: the node's own clock is judged by theirs.
    is_vouched: (bool, bool),
}

impl Period {
    /// When it failed and when it was back, where several say each exactly.
    pub(super) fn by_several(&self) -> Option<(UtcMicros, UtcMicros)> {
        let restored = self.restored?;
        (self.is_vouched == (true, true)).then_some((self.failed.at, restored.at))
    }
}

impl AsRef<Self> for Period {
    fn as_ref(&self) -> &Self {
        self
    }
}

/// Who hangs on a node, and what each says.
#[derive(Debug)]
pub(super) struct Hanging<'a> {
    /// Positions in `told` of who hung on the node at any time.
    pub(super) consumers: Vec<usize>,
    pub(super) told: &'a [Told<'a>],
    /// Claimed spells that began while their consumer hung on the node, by when they were certain.
    pub(super) begun: Vec<(Spell, usize)>,
}

impl Hanging<'_> {
    fn told(&self) -> impl Iterator<Item = &Told<'_>> {
        self.consumers
            .iter()
            .filter_map(|consumer| self.told.get(*consumer))
    }

    /// When no supply is due to anybody on the node; empty where some are always due supply, and of a node on which nobody hangs.
    fn undue(&self) -> Vec<Span> {
        let mut lists: Vec<&[Span]> = self.told().map(Told::without_supply).collect();
        lists.sort_unstable();
        lists.dedup();
        let mut lists = lists.into_iter();
        let first = lists.next().unwrap_or_default().to_vec();
        lists.fold(first, |common, list| {
            let parts = common.iter().flat_map(|span| {
                let due = span.without(list);
                span.without(&due)
            });
            parts.collect()
        })
    }

    /// The spells that became certain from `together_micros` before `span` until its end.
    fn begun_in(&self, rules: &Rules, span: Span) -> &[(Spell, usize)] {
        let from = span.from.plus(-rules.together_micros);
        let first = self
            .begun
            .partition_point(|(spell, _)| spell.certain().from < from);
        let after = self
            .begun
            .partition_point(|(spell, _)| spell.certain().from < span.to);
        self.begun.get(first..after).unwrap_or_default()
    }
}

/// The periods in which a DT was dead, by begin.
pub(super) fn dt_periods<E: Evidence>(
    rules: &Rules,
    dt: usize,
    members: &Hanging<'_>,
    meters: (&[Stint], &E),
) -> Vec<Period> {
    let heard = |at: UtcMicros, within: Span| {
        let heard = members.told().filter(|told| {
            told.picture.hang_at(at).is_some_and(|hang| hang.dt == Some(dt))
                && told.undue_at(rules, at).is_none()
                && told.has_voice(at, within)
        });
        heard.count()
    };
    let out = |is_counted: &dyn Fn(&Spell) -> bool| -> Vec<Out> {
        let counted = members.begun.iter().filter(|(spell, _)| is_counted(spell));
        let out = counted.map(|(spell, consumer)| Out {
            who: *consumer,
            certain: spell.certain(),
            // As long as it may have been: its restoration may be lost.
            likely: Span::new(
                spell.start.at,
                spell.end.map_or(FOREVER, |end| end.latest.max(end.at)),
            ),
        });
        out.collect()
    };
    let undue = |consumer: usize| members.told.get(consumer).map_or(&[][..], Told::without_supply);
    let mut voices = Voices::of(members);
    let need = |at: UtcMicros| voices.more_than_share(rules, at, rules.share_pct, heard);
    let mut spans = out_together(rules, (&out(&|_| true), undue), need);
    let mut voices = Voices::of(members);
    let need = |at: UtcMicros| {
        let most = voices.more_than_share(rules, at, ONE_PHASE_PCT, heard);
        most.max(VOUCHERS)
    };
    let without_gasps = out_together(rules, (&out(&|spell| !spell.start.is_exact()), undue), need);
    let unsaid = without_gasps
        .into_iter()
        .filter(|span| is_without_gasp(rules, members, *span));
    let unsaid: Vec<Span> = unsaid
        .filter(|span| !spans.iter().any(|held| held.overlaps(*span)))
        .collect();
    spans.extend(unsaid);
    spans.sort_unstable();
    with_own_meter(rules, members, (spans, Source::DtMeter), meters)
}

/// Whether nobody on the node says when it failed, and no more had supply meanwhile than say that it was back. The communication failed with
/// the supply, or before: who says nothing of it could not be heard, and is no witness against.
fn is_without_gasp(rules: &Rules, members: &Hanging<'_>, span: Span) -> bool {
    let begun = members.begun_in(rules, span);
    let failed = by_the_middle(span, begun).failed.at.min(span.from);
    !begun.iter().any(|(spell, _)| spell.start.is_exact())
        && is_borne_out(rules, members, Span::new(failed, span.to))
}

/// The periods in which a feeder was dead, by begin; `dts` are those of its DTs, by position.
pub(super) fn feeder_periods<E: Evidence>(
    rules: &Rules,
    dts: &[Vec<Period>],
    members: &Hanging<'_>,
    meters: (&[Stint], &E),
) -> Vec<Period> {
    let mut voices = Voices::of(members);
    let need = |at: UtcMicros| {
        voices.more_than_share(rules, at, rules.share_pct, |at, within| {
            let mut speaking: Vec<usize> = members
                .told()
                .filter(|told| told.undue_at(rules, at).is_none() && told.has_voice(at, within))
                .filter_map(|told| told.picture.hang_at(at)?.dt)
                .collect();
            speaking.sort_unstable();
            speaking.dedup();
            speaking.len()
        })
    };
    let out = dts.iter().enumerate().flat_map(|(dt, periods)| {
        periods.iter().map(move |period| Out {
            who: dt,
            certain: period.span,
            likely: Span::new(period.failed.at.min(period.span.from), period.span.to),
        })
    });
    let spans = out_together(rules, (&out.collect::<Vec<Out>>(), |_| &[]), need);
    with_own_meter(rules, members, (spans, Source::FeederMeter), meters)
}

/// How many must be out for "most" at an instant: more than the share of those who can be heard about that time. Kept by the hour; by the
/// quarter hour where hours of supply decide who is a witness.
struct Voices {
    step: i64,
    counted: BTreeMap<i64, usize>,
}

impl Voices {
    fn of(members: &Hanging<'_>) -> Self {
        let by_hours = members.told().any(|told| told.picture.without_supply.is_some());
        Self {
            step: if by_hours { HOUR_MICROS / 4 } else { HOUR_MICROS },
            counted: BTreeMap::new(),
        }
    }

    fn more_than_share(
        &mut self,
        rules: &Rules,
        at: UtcMicros,
        share_pct: u8,
        count: impl Fn(UtcMicros, Span) -> usize,
    ) -> usize {
        let number = at.0.div_euclid(self.step);
        let begin = UtcMicros(number.saturating_mul(self.step));
        let within = Span::new(
            begin.plus(-rules.heard_micros),
            begin.plus(self.step).plus(rules.heard_micros),
        );
        let voices = *self.counted.entry(number).or_insert_with(|| count(begin, within));
        // One alone is never "most": it is a service line.
        (voices * usize::from(share_pct) / 100 + 1).max(2)
    }
}

/// Who was out, when that is certain, and when it is likely: a hole in a profile that was told beyond it says that there was no supply, but
/// a communication that is lost with all it had to tell makes such holes too.
#[derive(Debug, Clone, Copy)]
struct Out {
    who: usize,
    certain: Span,
    likely: Span,
}

/// When as many as `need` says were out at once, two of them certainly: what is likely of each is borne out by what is certain of
/// others. While no supply is due to one, it is not out. Who was out shorter than `together_micros` counts for as long as that, so that
/// clocks which differ do not part what was one flicker; who was out twice meanwhile counts once.
fn out_together<'a>(
    rules: &Rules,
    (out, undue): (&[Out], impl Fn(usize) -> &'a [Span]),
    mut need: impl FnMut(UtcMicros) -> usize,
) -> Vec<Span> {
    let counted = |span: Span| Span::new(span.from, span.to.max(span.from.plus(rules.together_micros)));
    let due = |out: &Out, span: Span| -> Vec<(usize, Span)> {
        let parts = span.without(undue(out.who)).into_iter();
        parts.map(|part| (out.who, part)).collect()
    };
    let certain = disjoint(
        out.iter()
            .flat_map(|out| due(out, counted(out.certain)))
            .collect(),
    );
    let likely = out.iter().flat_map(|out| {
        let certain = counted(out.certain);
        let likely = Span::new(out.likely.from.min(certain.from), out.likely.to.max(certain.to));
        due(out, likely)
    });
    let likely = disjoint(likely.collect());
    // At one instant those who come back are counted before those who fail.
    let mut edges: Vec<(UtcMicros, bool, bool)> = Vec::with_capacity((certain.len() + likely.len()) * 2);
    for (spans, is_certain) in [(certain, true), (likely, false)] {
        for (_, span) in spans {
            edges.push((span.from, true, is_certain));
            edges.push((span.to, false, is_certain));
        }
    }
    edges.sort_unstable();
    let (mut counts, mut since, mut spans) = ([0_usize; 2], None, Vec::new());
    let [certain, likely] = &mut counts;
    for of_instant in edges.chunk_by(|one, next| one.0 == next.0) {
        let Some((at, ..)) = of_instant.first().filter(|(at, ..)| *at != FOREVER) else {
            break;
        };
        for (_, fails, is_certain) in of_instant {
            let count = if *is_certain { &mut *certain } else { &mut *likely };
            *count = if *fails {
                *count + 1
            } else {
                count.saturating_sub(1)
            };
        }
        let enough = *certain >= 2 && *likely >= need(*at);
        match (since, enough) {
            (None, true) => since = Some(*at),
            (Some(from), false) => {
                spans.push(Span::new(from, *at));
                since = None;
            }
            (None, false) | (Some(_), true) => {}
        }
    }
    spans.extend(since.map(|from| Span::new(from, FOREVER)));
    spans
}

/// The spans of each, joined where they touch.
fn disjoint(mut spans: Vec<(usize, Span)>) -> Vec<(usize, Span)> {
    spans.sort_unstable();
    spans.dedup_by(|next, held| {
        let one = next.0 == held.0 && next.1.from <= held.1.to;
        if one {
            held.1.to = held.1.to.max(next.1.to);
        }
        one
    });
    spans
}

/// Puts times to the spans in which most were out; those that are one outage are joined.
fn by_majority(rules: &Rules, members: &Hanging<'_>, spans: Vec<Span>) -> Vec<Period> {
    let mut periods: Vec<Period> = Vec::with_capacity(spans.len());
    for span in spans {
        match periods.last_mut() {
            Some(last)
                if span.from <= last.span.to.plus(rules.together_micros)
                    && !has_failed_anew(rules, members, (last.span, span)) =>
            {
                last.span.to = span.to;
            }
            _ => {
                let after = periods.last().map(|last| last.span.to);
                let period = by_the_middle(span, members.begun_in(rules, span));
                periods.push(by_who_was_out_before(members, period, after));
            }
        }
    }
    periods
}

/// The period as it began by the word of those who were out before the others were certain to be: where nobody else says when it failed, and
/// as far back as the others may have been out, but not in the period before.
fn by_who_was_out_before(members: &Hanging<'_>, period: Period, after: Option<UtcMicros>) -> Period {
    let from = period.span.from;
    let since = |at: UtcMicros| {
        members
            .begun
            .partition_point(|(spell, _)| spell.certain().from < at)
    };
    let before = members
        .begun
        .get(since(after.map_or(period.not_before, |at| at.max(period.not_before)))..since(from))
        .unwrap_or_default();
    let out = before
        .iter()
        .map(|(spell, _)| spell)
        .filter(|spell| is_word(spell.start) && spell.span().to > period.failed.at);
    match middle(out.map(|spell| spell.start).collect()) {
        Some(failed) if !period.is_firm.0 => Period {
            span: Span::new(failed.at.min(from), period.span.to),
            failed,
            is_firm: (true, period.is_firm.1),
            ..period
        },
        Some(_) | None => period,
    }
}

/// Whether a node failed again in `span`, right after it was dead in `before`: most of those who went out in the second had gone out in the
/// first. Else they are who comes later to the first: restorations whose last gasps were lost, in the midst of the others' restorations, or
/// those whose clock is behind.
fn has_failed_anew(rules: &Rules, members: &Hanging<'_>, (before, span): (Span, Span)) -> bool {
    let begun = |within: Span| members.begun_in(rules, within).iter();
    let is_second = |spell: &Spell| spell.certain().from >= before.to;
    let first = begun(before).filter(|(spell, _)| !is_second(spell));
    let first: BTreeSet<usize> = first.map(|(_, consumer)| *consumer).collect();
    let second = begun(span).filter(|(spell, _)| is_second(spell));
    let twice = second.clone().filter(|(_, consumer)| first.contains(consumer));
    twice.count() * 100 > second.count() * usize::from(rules.share_pct)
}

/// Puts times to the spans, and adds those that only the node's own meter knows.
fn with_own_meter<E: Evidence>(
    rules: &Rules,
    members: &Hanging<'_>,
    (spans, own): (Vec<Span>, Source),
    (stints, evidence): (&[Stint], &E),
) -> Vec<Period> {
    let mut periods = by_majority(rules, members, spans);
    // Where hours of supply leave few witnesses, the node's own meter decides.
    periods.retain(|period| {
        let is_few = members
            .told()
            .any(|told| told.undue_at(rules, period.failed.at).is_some());
        !(is_few && has_supply(rules, (stints, evidence), period.span))
    });
    let known = periods.len();
    let undue = members.undue();
    for stint in stints {
        let Some(meter) = evidence.of(&stint.meter) else {
            continue;
        };
        let mut told = spells(meter, stint.span);
        told.retain(|spell| spell.claimed);
        let majority = periods.get(..known).unwrap_or_default();
        let clock = Clock::of(0, &told, majority);
        let told = told.into_iter().map(|spell| clock.correct(spell));
        for spell in &due_spells(rules, (told, &undue), (meter, stint.span)) {
            let span = spell.span();
            let by_majority = periods.get_mut(..known).unwrap_or_default();
            let first = by_majority.partition_point(|period| period.span.to <= span.from);
            let mut overlapping = by_majority
                .iter_mut()
                .skip(first)
                .take_while(|period| reaches(rules, period, span))
                .peekable();
            if overlapping.peek().is_none() {
                if is_borne_out(rules, members, span) {
                    periods.push(by_own_meter(spell, own, members.begun_in(rules, span)));
                }
                continue;
            }
            adopt(rules, overlapping, spell, own);
        }
    }
    periods.sort_by_key(|period| (period.span, period.failed));
    periods
}

/// What of the spells of a node's own meter is due: what begins when nobody is due supply is switching, and lasts no longer than that if
/// the meter says no more.
fn due_spells(
    rules: &Rules,
    (told, undue): (impl Iterator<Item = Spell>, &[Span]),
    (meter, stint): (&MeterEvidence, Span),
) -> Vec<Spell> {
    let is_dark_in = |due: Span| {
        let within = Span::new(due.from.max(stint.from), due.to.min(stint.to));
        let dead = |sign: Sign| sign == Sign::Dead;
        meter.first_block_in(within, dead).is_some()
    };
    let parts = told.flat_map(|spell| spell.parted_by_hours(rules, undue, is_dark_in));
    let due = parts.filter_map(|spell| {
        let off_at = |at| hours::undue_at(rules, undue, at);
        let off = off_at(spell.start.latest).or_else(|| off_at(spell.start.at));
        spell.while_due(rules, off.map(|off| off.to))
    });
    due.collect()
}

/// Whether one of these meters had supply in the midst of a time.
fn has_supply<E: Evidence>(rules: &Rules, (stints, evidence): (&[Stint], &E), span: Span) -> bool {
    let to = if span.to == FOREVER {
        FOREVER
    } else {
        span.to.plus(-rules.together_micros)
    };
    let inner = Span::new(span.from.plus(rules.together_micros), to);
    let live = |stint: &Stint| {
        let meter = evidence.of(&stint.meter)?;
        meter.first_block_in(inner, Sign::is_live)
    };
    inner.from < inner.to && stints.iter().filter_map(live).next().is_some()
}

/// Whether a period that is not over when `span` begins has begun when it ends, as far as clocks tell.
fn reaches(rules: &Rules, period: &Period, span: Span) -> bool {
    period.span.from.plus(-rules.together_micros) <= span.to
}

/// The node's meter knows the node's time better than few others do: when it failed, if that is about when the others say, and when it was
/// back. Several who say exactly when know it better: the middle of several clocks is nearer to the truth than one.
fn adopt<'a>(rules: &Rules, periods: impl Iterator<Item = &'a mut Period>, spell: &Spell, own: Source) {
    let mut last: Option<&mut Period> = None;
    for period in periods {
        let apart = spell.start.at.0.abs_diff(period.failed.at.0);
        if !period.is_vouched.0
            && is_word(spell.start)
            && i64::try_from(apart).is_ok_and(|apart| apart <= rules.together_micros)
        {
            period.failed = Moment::exact(spell.start.at, own);
            period.is_firm.0 = true;
        } else if !period.is_firm.0 && spell.start.at < period.failed.at {
            // Nobody says when: a block that the node's meter misses, or that was dark, was before the restoration of whoever misses none.
            period.failed = Moment {
                from: own,
                ..spell.start
            };
            period.not_before = period.not_before.min(spell.start.earliest);
        }
        period.restored = period
            .restored
            .map(|restored| restored.not_before(period.failed.at));
        last = Some(period);
    }
    if let (Some(period), Some(end)) = (last, spell.end.filter(|end| is_word(*end)))
        && period.restored.is_some()
        && !period.is_vouched.1
    {
        period.restored = Some(Moment::exact(end.at.max(period.failed.at), own));
        period.is_firm.1 = true;
    }
}

/// A period that the node's own meter knows; where it knows only bounds, placed by those on the node who say so.
fn by_own_meter(spell: &Spell, own: Source, begun: &[(Spell, usize)]) -> Period {
    let word = |moment: Moment| Moment { from: own, ..moment };
    let starts = begun.iter().any(|(spell, _)| is_word(spell.start));
    let ends = begun.iter().any(|(spell, _)| spell.end.is_some_and(is_word));
    let others = by_the_middle(spell.span(), begun);
    let mut failed = word(spell.start);
    if starts {
        failed = failed.refined_by(others.failed);
    }
    let restored = spell.end.map(|end| {
        let others = others.restored.filter(|_| ends);
        let end = others.map_or(word(end), |others| word(end).refined_by(others));
        end.not_before(failed.at)
    });
    let to = restored.map_or(FOREVER, |restored| restored.at);
    Period {
        span: Span::new(failed.at, to.max(failed.at.plus(1))),
        failed,
        restored,
        not_before: spell.start.earliest,
        is_firm: (is_word(spell.start), spell.end.is_some_and(is_word)),
        is_vouched: (false, false),
    }
}

/// Whether no more consumers had supply in `span` than say they had none. Of minutes in which no whole block lies no block tells: then one
/// of them must say so, if there are any who speak.
fn is_borne_out(rules: &Rules, members: &Hanging<'_>, span: Span) -> bool {
    let to = if span.to == FOREVER {
        FOREVER
    } else {
        span.to.plus(-rules.together_micros)
    };
    let inner = Span::new(span.from.plus(rules.together_micros), to);
    let mut out: Vec<usize> = members
        .begun_in(rules, span)
        .iter()
        .map(|(_, consumer)| *consumer)
        .collect();
    out.sort_unstable();
    out.dedup();
    let is_told = inner.from < inner.to && members.told().any(|told| told.has_block_in(inner));
    if !is_told {
        let speaking = members.told().filter(|told| told.has_spoken()).count();
        return !out.is_empty() || speaking < VOUCHERS;
    }
    let live = members
        .told()
        .filter(|told| told.first_live_block_in(inner).is_some());
    live.count() <= out.len()
}

fn by_the_middle(span: Span, begun: &[(Spell, usize)]) -> Period {
    let failed = middle(begun.iter().map(|(spell, _)| spell.start).collect());
    let restored = if span.to == FOREVER {
        None
    } else {
        middle(begun.iter().filter_map(|(spell, _)| spell.end).collect())
    };
    let failed = failed.unwrap_or(Moment::exact(span.from, Source::Neighbours));
    let exact =
        |moments: &mut dyn Iterator<Item = Moment>| moments.filter(|at| is_word(*at)).count() >= VOUCHERS;
    let is_vouched = (
        exact(&mut begun.iter().map(|(spell, _)| spell.start)),
        exact(&mut begun.iter().filter_map(|(spell, _)| spell.end)),
    );
    let mut earliest: Vec<UtcMicros> = begun.iter().map(|(spell, _)| spell.start.earliest).collect();
    earliest.sort_unstable();
    Period {
        span,
        failed,
        restored: restored.map(|restored| restored.not_before(failed.at)),
        not_before: earliest.get(earliest.len() / 2).copied().unwrap_or(span.from),
        is_vouched,
        is_firm: (
            begun.iter().any(|(spell, _)| is_word(spell.start)),
            begun.iter().any(|(spell, _)| spell.end.is_some_and(is_word)),
        ),
    }
}

/// The (lower) median of the exact moments, of all where none is exact, between the first and the last of them.
fn middle(mut moments: Vec<Moment>) -> Option<Moment> {
    if moments.iter().any(|moment| is_word(*moment)) {
        moments.retain(|moment| is_word(*moment));
    }
    moments.sort_unstable();
    let half = moments.len().checked_sub(1)? / 2;
    Some(Moment {
        at: moments.get(half)?.at,
        from: Source::Neighbours,
        earliest: moments.first()?.at,
        latest: moments.last()?.at,
    })
}
