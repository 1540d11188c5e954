//! Hours of supply (Rules 2020, rule 10(1)): when a category or node is due supply, and so when it is not.

use gridtally_schemas::{Day, UtcMicros, Zone};

use super::span::Span;

/// Days of the week, as a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Weekdays(u8);

/// Why a text names no weekdays.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` names no weekdays: names or ranges of mon tue wed thu fri sat sun, with `;` between, or `all`"
)]
pub struct WeekdaysError {
    /// The text.
    pub text: String,
}

const NAMES: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

impl Weekdays {
    /// Every day.
    pub const ALL: Self = Self(0b111_1111);

    /// Parses `mon-sat`, `sun`, `mon;wed;fri`, `fri-mon` or `all`.
    ///
    /// # Errors
    /// [`WeekdaysError`] for anything else.
    pub fn parse(text: &str) -> Result<Self, WeekdaysError> {
        let error = || WeekdaysError {
            text: text.to_owned(),
        };
        let lower = text.trim().to_ascii_lowercase();
        if lower == "all" {
            return Ok(Self::ALL);
        }
        let number = |name: &str| {
            NAMES
                .iter()
                .position(|known| *known == name.trim())
                .ok_or_else(error)
        };
        let mut days = 0_u8;
        for part in lower.split(';') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (mut day, last) = (number(first)?, number(last)?);
            days |= 1 << day;
            while day != last {
                day = (day + 1) % NAMES.len();
                days |= 1 << day;
            }
        }
        Ok(Self(days))
    }

    fn has(self, day: Day) -> bool {
        // 1970-01-01 was a Thursday, three days after a Monday.
        self.0 & (1 << (day.0 + 3).rem_euclid(7)) != 0
    }
}

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

fn minutes_after(midnight: UtcMicros, minutes: u16) -> UtcMicros {
    midnight.plus(i64::from(minutes) * 60_000_000)
}
