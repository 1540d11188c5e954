//! Hours of supply (Rules 2020, rule 10(1)): when a category or node is due supply, and so when it is not.

pub use gridtally_schemas::outage::{Weekdays, WeekdaysError};
use gridtally_schemas::{Day, UtcMicros, Zone};

use super::{Rules, span::Span};

/// One stretch of a day in which supply is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hours {
    /// On which days it begins.
    pub weekdays: Weekdays,
    /// Begin, minutes after midnight.
    pub from_minute: u16,
    /// End, minutes after midnight; not after `from_minute`: on the next day.
    pub to_minute: u16,
    /// While this row holds.
    pub valid: Span,
}

/// The stretches of `within` in which no supply is due, sorted and disjoint. Without any row of hours supply is always due.
///
/// A row says on which day its hours begin; a day on which none begin has none. Minutes are counted from the day's own
/// midnight in `zone`.
#[must_use]
pub fn without_supply(rows: &[Hours], within: Span, zone: &Zone) -> Vec<Span> {
    if rows.is_empty() {
        return Vec::new();
    }
    let mut due: Vec<Span> = Vec::new();
    let mut day = Day(zone.day_of(within.from).0 - 1);
    while zone.start_of(day) < within.to {
        let midnight = zone.start_of(day);
        for row in rows.iter().filter(|row| row.weekdays.has(day)) {
            let from = minutes_after(midnight, row.from_minute);
            let to = if row.to_minute > row.from_minute {
                minutes_after(midnight, row.to_minute)
            } else {
                minutes_after(zone.start_of(day.next()), row.to_minute)
            };
            if row.valid.contains(from) {
                due.push(Span::new(from, to));
            }
        }
        day = day.next();
    }
    due.sort_unstable();
    // Where no row holds, supply is always due.
    let mut valid: Vec<Span> = rows.iter().map(|row| row.valid).collect();
    valid.sort_unstable();
    let unruled = within.without(&valid);
    within
        .without(&due)
        .into_iter()
        .flat_map(|span| span.without(&unruled))
        .collect()
}

/// The one of `undue` that holds an instant, or begins within the tolerance after it.
pub(super) fn undue_at(rules: &Rules, undue: &[Span], at: UtcMicros) -> Option<Span> {
    let begun = at.plus(rules.hours_tolerance_micros);
    let after = undue.partition_point(|off| off.from <= begun);
    let last = undue.get(..after)?.last()?;
    (at < last.to).then_some(*last)
}

fn minutes_after(midnight: UtcMicros, minutes: u16) -> UtcMicros {
    midnight.plus(i64::from(minutes) * 60_000_000)
}
