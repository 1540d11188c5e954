//! Major event days in the picture: judged by year, with which months count by others than before.
//!
//! The days of a year are judged by the five years before it, so late evidence of one year may change what counts in the next five. Which
//! days a year has is kept, and where they differ from those, the months in which they lie are tallied anew: what is published is then
//! the same as after a restart, which tallies everything.

use std::collections::{BTreeMap, BTreeSet};

use gridtally_schemas::Day;

use super::{MajorDaysOfYears, World};
use crate::reliability::{Counted, MajorEventDays, Tally};

/// Years before a year by which its major event days are judged.
const YEARS_BEFORE: i32 = 5;

impl World {
    /// Judges the days of every year that has a month, and adds the months of days that are judged otherwise than before to `dirty`.
    pub(super) fn judge_days(&self, dirty: &mut BTreeSet<Day>) -> MajorDaysOfYears {
        let daily = self.daily_tallies();
        let mut by_year = MajorDaysOfYears::new();
        let months = self.indices.months.keys().chain(dirty.iter());
        let years: BTreeSet<Day> = months.map(|month| first_of_year(*month)).collect();
        for january in years {
            let days = judged(january, &daily);
            let before = self.indices.major.get(&january);
            let is_new = |day: &&Day| before.is_none_or(|before| !before.contains(*day));
            dirty.extend(days.iter().filter(is_new).map(|day| day.first_of_month()));
            let gone = before.into_iter().flatten().filter(|day| !days.contains(*day));
            dirty.extend(gone.map(|day| day.first_of_month()));
            by_year.insert(january, days);
        }
        by_year
    }

    /// Time of sustained interruption by the day in which it began, of everybody.
    fn daily_tallies(&self) -> BTreeMap<Day, Tally> {
        let momentary = self.settings.outage_rules.momentary_micros;
        let mut daily: BTreeMap<Day, Tally> = BTreeMap::new();
        for (_, evaluation, _) in self.outage_feeders() {
            for counted in evaluation.interruptions.iter().filter_map(Counted::of) {
                if counted.counted_micros > momentary {
                    let day = self.settings.zone.day_of(counted.started_at);
                    let tally = daily.entry(day).or_default();
                    // The same for every day: it stands on both sides of the comparison, and which days are above does not depend on it.
                    tally.consumers_served = 1;
                    tally.customer_micros += i128::from(counted.counted_micros);
                }
            }
        }
        daily
    }
}

/// The major event days of a month's calendar year.
pub(super) fn of_month(month: Day, by_year: &MajorDaysOfYears) -> BTreeSet<Day> {
    let days = by_year.get(&first_of_year(month));
    days.cloned().unwrap_or_default()
}

/// The major event days of a calendar year, by the five years before it.
fn judged(january: Day, daily: &BTreeMap<Day, Tally>) -> BTreeSet<Day> {
    let mut from = january;
    for _ in 0..YEARS_BEFORE {
        from = first_of_year(Day(from.0 - 1));
    }
    let within = |from: Day, to: Day| daily.range(from..to).map(|(day, tally)| (*day, *tally)).collect();
    let next = first_of_year(Day(january.0 + 366));
    MajorEventDays::judge(&within(from, january), &within(january, next)).days
}

/// The first day of a day's calendar year.
pub(super) fn first_of_year(day: Day) -> Day {
    let mut month = day.first_of_month();
    let year = |day: Day| day.to_string().get(..4).map(str::to_owned);
    while year(Day(month.0 - 1)) == year(day) {
        month = Day(month.0 - 1).first_of_month();
    }
    month
}
