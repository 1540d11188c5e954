//! The time that a report is of: a civil month, or a quarter of the financial year.
//!
//! A month is `2026-04`. A quarter is `2026-Q1`: the year is the one in which the financial year (April to March) begins, so that `2026-Q1`
//! is April to June 2026 and `2026-Q4` is January to March 2027, both of 2026-27.

use gridtally_engine::compensation::calendar;
use gridtally_schemas::Day;

/// How long the period of a report is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Every {
    /// A civil month.
    Month,
    /// A quarter of the financial year.
    Quarter,
}

/// A period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Period {
    /// As it was asked for.
    pub(super) name: String,
    /// For people.
    pub(super) title: String,
    /// First days of its months, in order.
    pub(super) months: Vec<Day>,
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

impl Period {
    /// Parses the name of a period.
    ///
    /// # Errors
    /// A sentence that says what is needed.
    pub fn parse(every: Every, text: &str) -> Result<Self, String> {
        match every {
            Every::Month => Self::month(text)
                .ok_or_else(|| "a month is needed, such as 2026-04".to_owned()),
            Every::Quarter => Self::quarter(text).ok_or_else(|| {
                "a quarter of the financial year is needed, such as 2026-Q1 (April to June 2026, the first of 2026-27)".to_owned()
            }),
        }
    }

    fn month(text: &str) -> Option<Self> {
        let first = month_named(text)?;
        Some(Self {
            name: text.to_owned(),
            title: month_title(first),
            months: vec![first],
        })
    }

    fn quarter(text: &str) -> Option<Self> {
        let (year, quarter) = text.split_once("-Q")?;
        let number: i32 = Some(year).filter(|year| year.len() == 4)?.parse().ok()?;
        let (begins, year_of_quarter) = match quarter {
            "1" => (4, number),
            "2" => (7, number),
            "3" => (10, number),
            "4" => (1, number + 1),
            _ => return None,
        };
        let first = Day::parse(&format!("{year_of_quarter:04}-{begins:02}-01"))?;
        let months: Vec<Day> = std::iter::successors(Some(first), |month| Some(month_after(*month)))
            .take(3)
            .collect();
        let last = months.last().copied()?;
        let begins = month_title(first);
        let begins = begins.split(' ').next().unwrap_or_default();
        Some(Self {
            name: text.to_owned(),
            title: format!(
                "Q{quarter} of {number}-{:02}, {begins} to {}",
                (number + 1).rem_euclid(100),
                month_title(last)
            ),
            months,
        })
    }

    /// Its first day.
    pub(super) fn first_day(&self) -> Day {
        self.months.first().copied().unwrap_or_default()
    }

    /// The first day of its last month.
    pub(super) fn last_month(&self) -> Day {
        self.months.last().copied().unwrap_or_default()
    }

    /// The first day after it.
    pub(super) fn after(&self) -> Day {
        month_after(self.last_month())
    }
}

/// The first day of the month after the one that begins on `first`.
pub(super) fn month_after(first: Day) -> Day {
    calendar::Period::Month.after(first)
}

/// The first day of the month before.
pub(super) fn month_before(first: Day) -> Day {
    Day(first.0 - 1).first_of_month()
}

/// The first day of the same month of the year before.
pub(super) fn year_before(first: Day) -> Day {
    std::iter::successors(Some(first), |month| Some(month_before(*month)))
        .nth(12)
        .unwrap_or(first)
}

fn month_named(text: &str) -> Option<Day> {
    Some(text)
        .filter(|text| text.len() == "2026-04".len())
        .and_then(|text| Day::parse(&format!("{text}-01")))
}

/// `April 2026`.
pub(super) fn month_title(first: Day) -> String {
    let text = first.to_string();
    let (year, month) = text.split_at_checked(4).unwrap_or((&text, ""));
    let number: usize = month.get(1..3).and_then(|month| month.parse().ok()).unwrap_or(0);
    let name = number.checked_sub(1).and_then(|at| MONTHS.get(at));
    format!("{} {year}", name.copied().unwrap_or("month"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quarters_are_those_of_the_financial_year() {
        let check = |text: &str, title: &str, first: &str, after: &str| {
            let period = Period::parse(Every::Quarter, text).unwrap();
            assert_eq!(period.title, title);
            assert_eq!(period.first_day().to_string(), first);
            assert_eq!(period.after().to_string(), after);
            assert_eq!(period.months.len(), 3);
        };
        check(
            "2026-Q1",
            "Q1 of 2026-27, April to June 2026",
            "2026-04-01",
            "2026-07-01",
        );
        check(
            "2026-Q4",
            "Q4 of 2026-27, January to March 2027",
            "2027-01-01",
            "2027-04-01",
        );
        check(
            "1999-Q3",
            "Q3 of 1999-00, October to December 1999",
            "1999-10-01",
            "2000-01-01",
        );
    }

    #[test]
    fn months_follow_each_other() {
        let period = Period::parse(Every::Month, "2024-02").unwrap();
        assert_eq!(period.title, "February 2024");
        assert_eq!(period.after().to_string(), "2024-03-01");
        assert_eq!(year_before(period.first_day()).to_string(), "2023-02-01");
        assert_eq!(month_before(period.first_day()).to_string(), "2024-01-01");
    }

    #[test]
    fn what_is_no_period_is_refused() {
        for text in ["", "2026", "2026-13", "2026-4", "2026-04-01", "2026-Q1", "April"] {
            assert!(Period::parse(Every::Month, text).is_err(), "{text}");
        }
        for text in ["", "2026-Q5", "2026-Q0", "26-Q1", "2026-04", "2026Q1", "2026-Q11"] {
            assert!(Period::parse(Every::Quarter, text).is_err(), "{text}");
        }
    }
}
