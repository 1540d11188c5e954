//! One consumer: what its meters say of it, one after the other, and when it was off by its own doing.

use gridtally_schemas::UtcMicros;

use super::{
    Rules,
    evidence::{Evidence, MeterEvidence, Sign},
    hours,
    picture::{ConsumerPicture, Stint, words},
    span::Span,
    spell::{Moment, Source, Spell, spells},
    switch::switched_off,
};

words!(
    /// Why time without supply is no interruption (OUT-1). The words stand in `excluded_because`.
    Excluded {
        /// Cut off on exhausted credit (Rules 2020, 9(3)).
        PrepaidCutOff = "prepaid_cut_off",
        /// Disconnected: non-payment, or by hand.
        Disconnected = "disconnected",
        /// Outside the hours of supply of its category or node (Rules 2020, 10(1)).
        OutsideSupplyHours = "outside_supply_hours",
    }
);

/// Time in which no interruption can be, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct OffTime {
    pub(super) span: Span,
    pub(super) why: Excluded,
}

/// A consumer with what its own meters say.
#[derive(Debug)]
pub(super) struct Told<'a> {
    pub(super) picture: &'a ConsumerPicture,
    meters: Vec<(&'a MeterEvidence, Span)>,
    /// Sorted by begin.
    pub(super) spells: Vec<Spell>,
    /// When its load switch was open; sorted.
    pub(super) switched_off: Vec<OffTime>,
    /// When no supply is due to it; sorted and disjoint.
    without_supply: &'a [Span],
}

/// Bounds of a moment that are further apart than this say nothing of the hour.
const BLOCK_MICROS_MAX: i64 = 60 * 60 * 1_000_000;

impl<'a> Told<'a> {
    pub(super) fn of<E: Evidence>(
        rules: &Rules,
        (picture, without_supply): (&'a ConsumerPicture, &'a [Span]),
        evidence: &'a E,
    ) -> Self {
        let mut told = Self {
            picture,
            without_supply,
            meters: Vec::with_capacity(picture.meters.len()),
            spells: Vec::new(),
            switched_off: Vec::new(),
        };
        for stint in &picture.meters {
            let Some(meter) = evidence.of(&stint.meter) else {
                continue;
            };
            told.meters.push((meter, stint.span));
            switched_off(meter, stint.span, &mut told.switched_off);
            let own = spells(meter, stint.span);
            told.spells.extend(
                own.into_iter()
                    .map(|spell| doubt_replacement(rules, picture, stint, spell)),
            );
        }
        told.switched_off.sort_unstable();
        let switched_off = &told.switched_off;
        told.spells
            .retain(|spell| !(spell.by_voltage && begins_in(spell, switched_off)));
        let is_dark_in = |due| told.first_block_in(due, |sign| sign == Sign::Dead).is_some();
        let spells = told
            .spells
            .iter()
            .flat_map(|spell| spell.parted_by_hours(rules, without_supply, is_dark_in));
        let mut spells: Vec<Spell> = spells.collect();
        for spell in &mut spells {
            told.place(rules, spell);
        }
        told.spells = spells;
        if told.meters.len() > 1 {
            join_overlapping(&mut told.spells);
        }
        told
    }

    /// A moment that is known by blocks alone, and in which supply ceased or began to be due or the load switch was thrown, is that moment: the
    /// middle of the block would leave minutes that nobody was owed.
    fn place(&self, rules: &Rules, spell: &mut Spell) {
        let off = || {
            let own = self.switched_off.iter().map(|off| off.span);
            self.without_supply.iter().copied().chain(own)
        };
        let lengths = self.meters.iter().filter_map(|(meter, _)| meter.runs().last());
        let block_micros = lengths.map(|run| run.block_micros).max();
        let block_micros = block_micros.filter(|_| spell.claimed);
        let placed = |moment: Moment, edges: &mut dyn Iterator<Item = UtcMicros>| {
            let Some(bounds) = block_about(moment, block_micros) else {
                return moment;
            };
            let reach = rules.hours_tolerance_micros;
            let within = bounds.from.plus(-reach)..=bounds.to.plus(reach);
            let edge = edges
                .filter(|at| within.contains(at))
                .min_by_key(|at| (at.0.abs_diff(moment.at.0), *at));
            edge.map_or(moment, |at| moment.placed_at(at))
        };
        // A meter that records what is dark, and tells of no dark block while supply was due, was dark from the hours on, whatever is missing
        // before.
        let begins = self
            .undue_at(rules, spell.start.latest)
            .filter(|off| spell.by_voltage && !spell.start.is_exact() && spell.start.at < off.from)
            .map(|off| off.from);
        spell.start = match begins {
            Some(from) => spell.start.placed_at(from),
            None => placed(spell.start, &mut off().map(|off| off.from)),
        };
        let start = spell.start.at;
        // A meter that told nothing while no supply was due, and of the very block on in which it was, had it then, drawn or not.
        let told_again = |end: Moment| {
            let off = self.undue_at(rules, start).filter(|_| !end.is_exact())?;
            let block = self.first_block_in(Span::new(start, end.latest), |_| true)?;
            let apart = i64::try_from(block.from.0.abs_diff(off.to.0));
            apart
                .is_ok_and(|apart| apart <= rules.hours_tolerance_micros)
                .then_some(off.to)
        };
        let end = |end: Moment| match told_again(end) {
            Some(due_from) => end.placed_at(due_from).not_before(start),
            None => placed(end, &mut off().map(|off| off.to)).not_before(start),
        };
        spell.end = spell.end.map(end);
        let Some(off) = self
            .undue_at(rules, start)
            .filter(|off| spell.while_due(rules, Some(off.to)).is_none())
        else {
            return;
        };
        // Nobody says that it lasted into the time in which supply is due again: no word came, or the meter records what is dark and its
        // blocks up to the next with supply are lost.
        match spell.end {
            None => spell.end = Some(Moment::exact(off.to, Source::Announcement)),
            Some(end) if spell.by_voltage && end.at > off.to => {
                spell.end = Some(end.placed_at(off.to).not_before(start));
            }
            Some(_) => {}
        }
    }

    /// The stretch in which no supply is due to it that holds an instant, or begins within the tolerance after it.
    pub(super) fn undue_at(&self, rules: &Rules, at: UtcMicros) -> Option<Span> {
        hours::undue_at(rules, self.without_supply, at)
    }

    /// When no supply is due to it; sorted and disjoint.
    pub(super) const fn without_supply(&self) -> &'a [Span] {
        self.without_supply
    }

    /// What of a spell tells of the network: one that begins while no supply is due counts from when it is, if it lasts so long.
    pub(super) fn due_part(&self, rules: &Rules, spell: &Spell) -> Option<Spell> {
        let due_from = self.undue_at(rules, spell.start.at).map(|off| off.to);
        spell.while_due(rules, due_from)
    }

    /// Whether one of its meters ever said anything.
    pub(super) fn has_spoken(&self) -> bool {
        self.meters.iter().any(|(meter, _)| !meter.is_empty())
    }

    /// Whether all its spells are over, and none waits for a later read to say whether it was one.
    pub(super) fn is_over(&self) -> bool {
        // A read of a block after the end says whether the blocks before it are missing or only late.
        let is_delivered_after = |end: UtcMicros| {
            let mut serving = self.meters.iter().filter(|(_, span)| span.contains(end));
            serving.all(|(meter, _)| {
                let last = meter.runs().last();
                last.is_some_and(|run| run.span.to > end.plus(run.block_micros))
            })
        };
        self.spells.iter().all(|spell| {
            let ended = |end: Moment| spell.claimed || is_delivered_after(end.at);
            spell.end.is_some_and(ended)
        })
    }

    /// Whether it has a meter at `at` that can be heard: which said something in `within`, or never anything yet. One that once spoke
    /// and is silent throughout `within` has lost its communication.
    pub(super) fn has_voice(&self, at: UtcMicros, within: Span) -> bool {
        let metered = self.picture.meters.iter().any(|stint| stint.span.contains(at));
        let mut spoke = false;
        for (meter, span) in &self.meters {
            spoke |= !meter.is_empty();
            if common(*span, within).is_some_and(|within| meter.is_heard_in(within)) {
                return metered;
            }
        }
        metered && !spoke
    }

    /// The first block wholly in `within` in which one of its meters had supply.
    pub(super) fn first_live_block_in(&self, within: Span) -> Option<Span> {
        self.first_block_in(within, Sign::is_live)
    }

    fn first_block_in(&self, within: Span, wanted: impl Fn(Sign) -> bool) -> Option<Span> {
        self.meters
            .iter()
            .filter_map(|(meter, span)| meter.first_block_in(common(*span, within)?, &wanted))
            .min()
    }

    /// Whether a block of one of its meters lies wholly in `within`, by the grid of its blocks about then and whether it was told or not.
    pub(super) fn has_block_in(&self, within: Span) -> bool {
        self.meters.iter().any(|(meter, span)| {
            let run = meter.runs().iter().find(|run| run.span.to > within.from);
            let Some(run) = run.or(meter.runs().last()) else {
                return false;
            };
            let block = run.block_micros.max(1);
            let past = (within.from.0 - run.span.from.0).rem_euclid(block);
            let begin = within.from.plus((block - past) % block);
            span.contains(begin) && begin.plus(block) <= within.to
        })
    }

    /// Whether its meters report no energy for some block in `within`: with the DT dead that says so too.
    pub(super) fn is_quiet_in(&self, within: Span) -> bool {
        self.first_block_in(within, |sign| !sign.is_live()).is_some()
    }
}

/// In which block a moment lies, by the length of the meter's blocks if those may decide; `None`: it is known exactly, or nothing says in
/// which.
fn block_about(moment: Moment, block_micros: Option<i64>) -> Option<Span> {
    if moment.is_exact() {
        return None;
    }
    let width = moment.latest.0.saturating_sub(moment.earliest.0);
    if width <= BLOCK_MICROS_MAX {
        return Some(Span::new(moment.earliest, moment.latest));
    }
    // Others may put it elsewhere, but by the meter's own blocks it lies in the middle of one.
    let by_blocks = matches!(moment.from, Source::Read | Source::ZeroVoltage);
    let half = block_micros.filter(|_| by_blocks)? / 2;
    Some(Span::new(moment.at.plus(-half), moment.at.plus(half)))
}

fn common(one: Span, other: Span) -> Option<Span> {
    one.overlaps(other)
        .then(|| Span::new(one.from.max(other.from), one.to.min(other.to)))
}

/// A meter that falls silent shortly before another takes its place was taken off, not interrupted; unless its DT died then.
fn doubt_replacement(rules: &Rules, picture: &ConsumerPicture, stint: &Stint, spell: Spell) -> Spell {
    let taken_off = spell.end.is_some_and(|end| end.from == Source::MeterChange);
    let replaced = picture.meters.iter().any(|next| {
        next.span.from > stint.span.from && next.span.from <= stint.span.to.plus(rules.replacement_micros)
    });
    let shortly = spell.start.at >= stint.span.to.plus(-rules.replacement_micros);
    Spell {
        claimed: spell.claimed && !(taken_off && replaced && shortly),
        ..spell
    }
}

fn begins_in(spell: &Spell, switched_off: &[OffTime]) -> bool {
    let begin = Span::new(spell.start.earliest, spell.start.latest.plus(1));
    switched_off.iter().any(|off| off.span.overlaps(begin))
}

/// Two meters of one consumer at one time: it is out once.
fn join_overlapping(spells: &mut Vec<Spell>) {
    spells.sort_by_key(|spell| (spell.start, spell.end));
    spells.dedup_by(|next, held| {
        let one = next.start.at < held.span().to;
        if one {
            held.claimed |= next.claimed;
            held.by_voltage &= next.by_voltage;
            held.end = match (held.end, next.end) {
                (Some(a), Some(b)) => Some(a.max(b)),
                (None, _) | (_, None) => None,
            };
        }
        one
    });
}
