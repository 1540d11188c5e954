//! How far the clock of a meter is off, by others who told of the same outage.
//!
//! A meter's words are late or early by as much as its clock is. That of a DT or a feeder would make a second outage of one that everybody
//! below told at another time, that of a consumer a second interruption. Where it told an outage from begin to end, and
//! several below told one of the same length at another time, it is the same outage, and the difference is how far the clock is off.
//! Clocks go wrong slowly, so whatever else the meter said is put right by the nearest such difference. A consumer's interruption is by its own
//! clock (DOMAIN section 5) unless that is off by more than clocks may be.

use std::collections::BTreeMap;

use gridtally_schemas::UtcMicros;

use super::{
    dead::Period,
    spell::{Moment, Source, Spell},
};

/// How far off a clock may be, µs: the longest block. One that is further off puts energy into the wrong blocks, and outages an hour apart
/// would be taken for each other (house choice).
const OFF_MICROS_MAX: i64 = 30 * 60 * 1_000_000;
/// How far the lengths of one outage may be apart by two clocks: the middle of several who are up to a minute off is not further from the
/// truth (house choice).
const LENGTH_MICROS_MAX: i64 = 60 * 1_000_000;

/// By how much the clock of a meter is to be put forward, by when that was seen.
pub(super) struct Clock {
    seen: Vec<(UtcMicros, i64)>,
}

impl Clock {
    /// By the outages that a meter told from begin to end and that several others told too, of `periods` by begin; of each the one that the
    /// meter tells nearest to it. Differences up to `tolerated_micros` are none.
    pub(super) fn of<T: AsRef<Period>>(tolerated_micros: i64, own: &[Spell], periods: &[T]) -> Self {
        let mut nearest: BTreeMap<usize, (i64, i64)> = BTreeMap::new();
        for spell in own {
            let at = spell.start.at;
            let first = periods.partition_point(|one| one.as_ref().span.from < at.plus(-OFF_MICROS_MAX));
            let after = periods.partition_point(|one| one.as_ref().span.from <= at.plus(OFF_MICROS_MAX));
            let near = periods.get(first..after).unwrap_or_default();
            for (place, period) in near.iter().map(AsRef::as_ref).enumerate() {
                if let Some(micros) = off_by(spell, period) {
                    let held = nearest.entry(first + place).or_insert((i64::MAX, 0));
                    *held = (*held).min((micros.saturating_abs(), micros));
                }
            }
        }
        let seen = nearest.into_iter().filter_map(|(place, (apart, micros))| {
            let at = periods.get(place)?.as_ref().failed.at;
            Some((at, if apart <= tolerated_micros { 0 } else { micros }))
        });
        Self { seen: seen.collect() }
    }

    /// What the meter said, by the right time: its events. Of a moment that only blocks tell nothing is known but the block.
    pub(super) fn correct(&self, spell: Spell) -> Spell {
        let nearest = self
            .seen
            .iter()
            .min_by_key(|(at, micros)| (at.0.abs_diff(spell.start.at.0), *at, *micros));
        let micros = nearest.map_or(0, |(_, micros)| *micros);
        if micros == 0 {
            return spell;
        }
        let shifted = |moment: Moment| {
            if moment.from == Source::PowerEvent {
                Moment::exact(moment.at.plus(micros), moment.from)
            } else {
                moment
            }
        };
        let end = spell.end.map(shifted);
        let start = match end {
            // It was over by then.
            Some(end) if spell.start.from != Source::PowerEvent => spell.start.not_after(end.latest),
            Some(_) | None => shifted(spell.start),
        };
        Spell {
            start,
            end: end.map(|end| end.not_before(start.at)),
            ..spell
        }
    }
}

/// How much later several put an outage than the one of its length that a meter tells; `None`: they are not one.
fn off_by(own: &Spell, period: &Period) -> Option<i64> {
    let (failed, restored) = period.by_several()?;
    let end = own.end.filter(|end| end.is_exact() && own.start.is_exact())?;
    let begins = failed.0.saturating_sub(own.start.at.0);
    let ends = restored.0.saturating_sub(end.at.0);
    let is_one = begins.saturating_abs() <= OFF_MICROS_MAX
        && begins.saturating_sub(ends).saturating_abs() <= LENGTH_MICROS_MAX;
    is_one.then_some(begins)
}
