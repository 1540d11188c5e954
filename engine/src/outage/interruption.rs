//! Interruptions of single consumers: own spells, timed by others where the own word is lost, the silent ones of a dead DT added,
//! and what can be no interruption taken out (OUT-1).

use std::collections::BTreeMap;

use gridtally_schemas::{ConsumerId, UtcMicros};

use super::{
    Rules,
    clock::Clock,
    consumer::{Excluded, OffTime, Told},
    dead::Period,
    group::{OutageId, Part},
    picture::{Class, FeederPicture},
    span::{FOREVER, Span},
    spell::{Moment, Source, Spell},
};

/// An interruption of one consumer: a row of `interruptions`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interruption {
    /// The consumer.
    pub consumer: ConsumerId,
    /// The DT it hung on, as position in the picture's DTs; `None`: on the feeder itself.
    pub dt: Option<usize>,
    /// The outage it is part of.
    pub outage: OutageId,
    /// When it began to count: the failure, or later where no supply was due then. With the consumer the key of the row.
    pub started_at: UtcMicros,
    /// When it ceased to count; `None`: not over.
    pub ended_at: Option<UtcMicros>,
    /// Time between the two in which supply was due, µs; 0 where it is excluded, `None`: not over.
    pub counted_micros: Option<i64>,
    /// Whether it lasted longer than the momentary threshold; `None`: not over.
    pub sustained: Option<bool>,
    /// Class of the outage.
    pub class: Class,
    /// Why it counts in no index; `None`: it counts.
    pub excluded_because: Option<Excluded>,
    /// What it rests on.
    pub evidence: InterruptionEvidence,
}

impl Interruption {
    /// Whether a read may change it: not over, known only between bounds, or only from others.
    pub(super) fn is_waiting(&self) -> bool {
        let firm = |moment: Moment| moment.from == Source::PowerEvent;
        !firm(self.evidence.failed) || !self.evidence.restored.is_some_and(firm)
    }
}

/// What an interruption rests on: the column `evidence`, without the meter events themselves.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct InterruptionEvidence {
    /// When supply failed, and from what that is known.
    pub failed: Moment,
    /// When it was back; `None`: nobody said so.
    pub restored: Option<Moment>,
    /// Whether the consumer's own reads say that there was no energy meanwhile.
    pub no_energy: bool,
}

/// Dead time of a node as a consumer under it sees it, and the outage that it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cover {
    pub(super) period: Period,
    pub(super) part: Part,
}

impl AsRef<Period> for Cover {
    fn as_ref(&self) -> &Period {
        &self.period
    }
}

/// An interruption that has no outage yet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Draft {
    pub(super) consumer: usize,
    pub(super) dt: Option<usize>,
    pub(super) part: Part,
    failed: Moment,
    restored: Option<Moment>,
    no_energy: bool,
    pub(super) started_at: UtcMicros,
    pub(super) ended_at: Option<UtcMicros>,
    counted_micros: Option<i64>,
    pub(super) excluded_because: Option<Excluded>,
}

impl Draft {
    pub(super) fn failed_at(&self) -> UtcMicros {
        self.failed.at
    }

    pub(super) fn failed_from(&self) -> Source {
        self.failed.from
    }

    pub(super) fn failed_and_restored(&self) -> (Moment, Option<Moment>) {
        (self.failed, self.restored)
    }

    /// From failure to restoration, whatever of it counts.
    pub(super) fn span(&self) -> Span {
        Span::new(self.failed.at, self.end())
    }

    fn end(&self) -> UtcMicros {
        self.restored.map_or(FOREVER, |restored| restored.at)
    }

    pub(super) fn finish(
        &self,
        rules: &Rules,
        consumer: ConsumerId,
        outage: OutageId,
        class: Class,
    ) -> Interruption {
        Interruption {
            consumer,
            dt: self.dt,
            outage,
            started_at: self.started_at,
            ended_at: self.ended_at,
            counted_micros: self.counted_micros,
            sustained: self.counted_micros.map(|micros| micros > rules.momentary_micros),
            class,
            excluded_because: self.excluded_because,
            evidence: InterruptionEvidence {
                failed: self.failed,
                restored: self.restored,
                no_energy: self.no_energy,
            },
        }
    }
}

/// How many dead times of one place are looked at for one that an instant lies in: those of a DT are disjoint, those of the feeder
/// too, and only flickers within the tolerance of the clocks lie closer.
const NEAR_COVERS: usize = 8;

/// Where a consumer's interruptions are drawn from.
pub(super) struct Scene<'a> {
    pub(super) rules: &'a Rules,
    pub(super) picture: &'a FeederPicture,
    /// By DT, and last for what hangs on the feeder itself; each by begin.
    pub(super) covers: &'a [Vec<Cover>],
    pub(super) through: UtcMicros,
}

impl Scene<'_> {
    fn covers(&self, dt: Option<usize>) -> &[Cover] {
        let place = dt.unwrap_or(self.covers.len().saturating_sub(1));
        self.covers.get(place).map_or(&[], Vec::as_slice)
    }

    /// The interruptions of one consumer, by begin.
    pub(super) fn interruptions(&self, consumer: usize, told: &Told<'_>, drafts: &mut Vec<Draft>) {
        let mut own: Vec<Draft> = Vec::new();
        let mut clocks: BTreeMap<Option<usize>, Clock> = BTreeMap::new();
        for spell in &told.spells {
            if let Some(hang) = told.picture.hang_at(spell.start.at) {
                let clock = clocks
                    .entry(hang.dt)
                    .or_insert_with(|| self.clock_of(hang.dt, told));
                own.extend(self.of_spell(consumer, hang.dt, &clock.correct(*spell)));
            }
        }
        own.sort_by_key(|draft| (draft.failed, draft.restored));
        let spoken = own.len();
        for hang in &told.picture.hangs {
            for cover in self.covers(hang.dt) {
                let failed_at = cover.period.failed.at;
                let said = self.has_said(own.get(..spoken).unwrap_or_default(), cover);
                if hang.span.contains(failed_at) && !said {
                    own.extend(self.of_silence(consumer, (hang.dt, cover), told));
                }
            }
        }
        own.sort_by_key(|draft| (draft.failed, draft.restored));
        keep_apart(&mut own);
        let off = self.off_times(told);
        drafts.extend(own.into_iter().map(|draft| self.counted(draft, &off)));
    }

    /// How far a consumer's clock is off by the outages of its DT and feeder, where that is more than clocks may be.
    fn clock_of(&self, dt: Option<usize>, told: &Told<'_>) -> Clock {
        Clock::of(self.rules.together_micros, &told.spells, self.covers(dt))
    }

    /// Whether a consumer's own drafts, by begin, already tell what it saw of a dead time.
    fn has_said(&self, own: &[Draft], cover: &Cover) -> bool {
        let Period {
            span,
            failed,
            restored,
            ..
        } = cover.period;
        let dead_to = restored
            .map_or(span.to, |restored| restored.at)
            .max(failed.at.plus(1));
        // Own spells are disjoint: of those that began before its end the last reaches furthest.
        let before_end = own.partition_point(|draft| draft.failed.at < dead_to);
        let last = own.get(..before_end).and_then(<[Draft]>::last);
        if last.is_some_and(|draft| draft.end() > failed.at || draft.failed.at >= failed.at) {
            return true;
        }
        let reach = span.from.plus(-self.rules.together_micros);
        let first = own.partition_point(|draft| draft.failed.at < reach);
        own.get(first..)
            .unwrap_or_default()
            .iter()
            .take_while(|draft| draft.failed.at < span.to)
            .any(|draft| draft.part == cover.part)
    }

    /// A spell by the consumer's own meter, timed by others where the meter's own word is lost.
    fn of_spell(&self, consumer: usize, dt: Option<usize>, spell: &Spell) -> Option<Draft> {
        let cover = self.cover_of(dt, spell);
        if !spell.claimed && cover.is_none() {
            return None;
        }
        let (mut failed, mut restored) = (spell.start, spell.end);
        if let Some(Cover { period, .. }) = cover {
            failed = failed.refined_by(period.failed);
            restored = match (restored, period.restored) {
                (Some(own), Some(others)) => Some(own.refined_by(others)),
                (own, _) => own,
            };
        }
        Some(Draft {
            consumer,
            dt,
            part: cover.map_or(
                Part::Line {
                    consumer,
                    failed_at: failed.at,
                },
                |cover| cover.part,
            ),
            failed,
            restored: restored.map(|restored| restored.not_before(failed.at)),
            no_energy: spell.by_voltage,
            started_at: failed.at,
            ended_at: None,
            counted_micros: None,
            excluded_because: None,
        })
    }

    /// The dead time that a spell is part of: the one that it began in, or that its bounds allow it to have begun with.
    fn cover_of(&self, dt: Option<usize>, spell: &Spell) -> Option<&Cover> {
        let covers = self.covers(dt);
        let at = spell.start.at;
        let reach = |cover: &Cover| cover.period.span.from.plus(-self.rules.together_micros);
        if !spell.start.is_exact() {
            let Moment { earliest, latest, .. } = spell.start;
            let latest = latest.min(spell.span().to);
            let after = covers.partition_point(|cover| reach(cover) <= latest);
            let allowed = covers.get(..after).unwrap_or_default().iter().rev();
            let allowed = allowed
                .take_while(|cover| cover.period.span.to >= earliest)
                .filter(|cover| spell.claimed || self.is_over_with(cover, spell.span().to))
                .find(|cover| (earliest..=latest).contains(&cover.period.failed.at));
            if allowed.is_some() {
                return allowed;
            }
        }
        let after = covers.partition_point(|cover| reach(cover) <= at);
        let near = covers
            .get(after.saturating_sub(NEAR_COVERS)..after)
            .unwrap_or_default();
        near.iter()
            .filter(|cover| at < cover.period.span.to)
            .min_by_key(|cover| (cover.period.failed.at.0.abs_diff(at.0), cover.part))
    }

    /// Whether what ended at `end` may have lasted since the dead time began: it ended no later than that.
    fn is_over_with(&self, cover: &Cover, end: UtcMicros) -> bool {
        let restored = cover.period.restored.map_or(FOREVER, |restored| restored.at);
        end <= cover
            .period
            .span
            .to
            .max(restored)
            .plus(self.rules.together_micros)
    }

    /// A consumer who said nothing while its DT or feeder was dead: interrupted with it, unless its reads show supply.
    fn of_silence(
        &self,
        consumer: usize,
        (dt, cover): (Option<usize>, &Cover),
        told: &Told<'_>,
    ) -> Option<Draft> {
        let Period {
            span,
            failed,
            restored,
            ..
        } = cover.period;
        let to = restored.map_or(span.to, |restored| restored.at);
        let to = if to == FOREVER {
            to
        } else {
            to.plus(-self.rules.together_micros)
        };
        let inner = Span::new(failed.at.plus(self.rules.together_micros), to);
        let live = if inner.from < inner.to {
            told.first_live_block_in(inner)
        } else {
            None
        };
        let restored = match live {
            Some(block) if block.from <= inner.from.plus(block.micros()) => return None,
            // Dark at first, then with supply: it was restored before the others.
            Some(block) => Some(Moment::between(block.from, block.to, Source::Read)),
            None => restored,
        };
        Some(Draft {
            consumer,
            dt,
            part: cover.part,
            failed,
            restored,
            no_energy: inner.from < inner.to && told.is_quiet_in(inner),
            started_at: failed.at,
            ended_at: None,
            counted_micros: None,
            excluded_because: None,
        })
    }

    /// When no interruption of this consumer can be, by begin.
    fn off_times(&self, told: &Told<'_>) -> Vec<OffTime> {
        let hours = self.picture.without_supply_of(told.picture);
        let mut off = told.switched_off.clone();
        off.extend(hours.iter().map(|span| OffTime {
            span: *span,
            why: Excluded::OutsideSupplyHours,
        }));
        off.sort_unstable();
        off
    }

    /// Counts of an interruption only what OUT-1 lets count.
    fn counted(&self, mut draft: Draft, off: &[OffTime]) -> Draft {
        let through = self.through.max(draft.failed.at.plus(1));
        let span = Span::new(
            draft.failed.at,
            draft.restored.map_or(through, |restored| restored.at),
        );
        let reach = self.rules.hours_tolerance_micros;
        let held = Span::new(span.from, span.to.max(span.from.plus(1)));
        let reached = Span::new(held.from.plus(-reach), held.to.plus(reach));
        let touching = |off: &&OffTime| match off.why {
            Excluded::OutsideSupplyHours => off.span.overlaps(reached),
            Excluded::Disconnected | Excluded::PrepaidCutOff => off.span.overlaps(held),
        };
        let begun = off.iter().take_while(|off| off.span.from <= reached.to);
        let holes: Vec<OffTime> = begun.filter(touching).copied().collect();
        if holes.is_empty() {
            draft.ended_at = draft.restored.map(|restored| restored.at);
            draft.counted_micros = draft.restored.map(|_| span.micros());
            return draft;
        }
        let bare: Vec<Span> = holes.iter().map(|hole| hole.span).collect();
        let mut pieces = span.without(&bare);
        pieces.retain(|piece| !self.is_crumb(*piece, &holes));
        let (Some(first), Some(last)) = (pieces.first().copied(), pieces.last().copied()) else {
            draft.excluded_because = holes.first().map(|hole| hole.why);
            draft.ended_at = draft.restored.map(|restored| restored.at);
            draft.counted_micros = draft.restored.map(|_| 0);
            return draft;
        };
        draft.started_at = first.from;
        draft.ended_at = draft.restored.map(|_| last.to);
        draft.counted_micros = draft
            .restored
            .map(|_| pieces.iter().map(|piece| piece.micros()).sum());
        draft
    }

    /// What lies wholly within the tolerance of an hour at which supply ceased or began to be due is a switch thrown a little before or
    /// after the hour, or a clock that is off, and no interruption.
    fn is_crumb(&self, piece: Span, holes: &[OffTime]) -> bool {
        let reach = self.rules.hours_tolerance_micros;
        holes.iter().any(|hole| {
            hole.why == Excluded::OutsideSupplyHours
                && hole.span.from.plus(-reach) <= piece.from
                && piece.to <= hole.span.to.plus(reach)
        })
    }
}

/// Two interruptions of one consumer never overlap, and no two begin at one instant.
fn keep_apart(drafts: &mut Vec<Draft>) {
    drafts.dedup_by(|next, held| {
        if next.failed.at < held.end() {
            next.failed = next.failed.not_before(held.end());
            next.started_at = next.failed.at;
        }
        let swallowed = next.end() <= next.failed.at && next.failed.at <= held.end();
        swallowed || next.failed.at == FOREVER || next.failed.at == held.failed.at
    });
}
