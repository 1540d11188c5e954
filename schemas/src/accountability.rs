//! Who answers for a feeder, why it deviates, and what is planned against it.
//!
//! All of it is what people say. Nothing is edited in place: a further word under the same key is a new version, and every version stays. Of
//! two versions of one key the later recorded stands, then the larger content, so that the picture does not depend on the order in which they
//! were learnt.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{Day, NodeId, UtcMicros, network::words};

/// Longest text in these rows, bytes.
pub const TEXT_BYTES_MAX: usize = 500;

/// A row of the `feeder_managers` file: who answers for a feeder in a time. Its key is the feeder and `valid_from`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeederManagerRow {
    /// The feeder.
    pub feeder_id: NodeId,
    /// Who answers for it: name, or name and office.
    pub manager: String,
    /// How he is reached. `None`: not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact: Option<String>,
    /// From this instant.
    pub valid_from: UtcMicros,
    /// Until before this instant; `None`: open. Not after `valid_from`: the row never held, it is withdrawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_to: Option<UtcMicros>,
}

words!(
    /// How far a planned action has come.
    ActionStatus {
        /// Planned or under way.
        Open = "open",
        /// Done.
        Done = "done",
        /// Not to be done, or said by mistake.
        Withdrawn = "withdrawn",
    }
);

/// What a person says of a feeder's deviation in a month: its cause, and what is planned against it. Its key is `action_id`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeederAction {
    /// Id under which later versions of it are said.
    pub action_id: String,
    /// The feeder.
    pub feeder_id: NodeId,
    /// First day of the month of the deviation.
    pub month: Day,
    /// Who says so.
    pub person: String,
    /// Where the deviation comes from.
    pub cause: String,
    /// What is planned against it. `None`: nothing yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mitigation: Option<String>,
    /// When it is to begin. `None`: not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starts_on: Option<Day>,
    /// When it is to be done. `None`: not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_on: Option<Day>,
    /// When it was done. `None`: not yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub done_on: Option<Day>,
    /// How far it has come.
    pub status: ActionStatus,
}

/// Why such a row cannot stand.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccountabilityError {
    /// A text that is empty, too long or no line of text.
    #[error("`{field}` is 1 to {TEXT_BYTES_MAX} bytes without control characters")]
    Text {
        /// The field.
        field: &'static str,
    },
    /// A month that is named by another day than its first.
    #[error("`month` {month} is not the first day of a month")]
    Month {
        /// The day.
        month: Day,
    },
    /// Dates, or a status, that contradict one another.
    #[error("{0}")]
    Dates(&'static str),
}

/// Checks a text of such a row, or the name of the person who says it.
///
/// # Errors
/// [`AccountabilityError::Text`] names the field.
pub fn check_text(field: &'static str, text: &str) -> Result<(), AccountabilityError> {
    let is_bad = text.trim().is_empty() || text.len() > TEXT_BYTES_MAX || text.chars().any(char::is_control);
    if is_bad {
        return Err(AccountabilityError::Text { field });
    }
    Ok(())
}

impl FeederManagerRow {
    /// Checks all that can be checked without knowing the feeder.
    ///
    /// # Errors
    /// [`AccountabilityError`] names the first thing that is wrong.
    pub fn check(&self) -> Result<(), AccountabilityError> {
        check_text("manager", &self.manager)?;
        self.contact
            .as_ref()
            .map_or(Ok(()), |text| check_text("contact", text))
    }

    /// Whether it holds at an instant.
    #[must_use]
    pub fn holds_at(&self, instant: UtcMicros) -> bool {
        self.valid_from <= instant && self.valid_to.is_none_or(|until| instant < until)
    }
}

impl FeederAction {
    /// Checks all that can be checked without knowing the feeder.
    ///
    /// # Errors
    /// [`AccountabilityError`] names the first thing that is wrong.
    pub fn check(&self) -> Result<(), AccountabilityError> {
        check_text("action_id", &self.action_id)?;
        check_text("person", &self.person)?;
        check_text("cause", &self.cause)?;
        if let Some(text) = &self.mitigation {
            check_text("mitigation", text)?;
        }
        if self.month != self.month.first_of_month() {
            return Err(AccountabilityError::Month { month: self.month });
        }
        let in_order = |from: Option<Day>, to: Option<Day>| from.zip(to).is_none_or(|(from, to)| from <= to);
        let is_planned = self.starts_on.is_some() || self.due_on.is_some();
        let wrong = if self.mitigation.is_none() && is_planned {
            "`starts_on` and `due_on` are of a `mitigation`, and none is said"
        } else if !in_order(self.starts_on, self.due_on) {
            "`due_on` is before `starts_on`"
        } else if self.status == ActionStatus::Done && self.done_on.is_none() {
            "status `done` needs `done_on`"
        } else if self.status == ActionStatus::Open && self.done_on.is_some() {
            "`done_on` is said and the status is `open`"
        } else if !in_order(self.starts_on, self.done_on) {
            "`done_on` is before `starts_on`"
        } else {
            return Ok(());
        };
        Err(AccountabilityError::Dates(wrong))
    }

    /// Whether it is to be done and its day has passed.
    #[must_use]
    pub fn is_overdue(&self, today: Day) -> bool {
        self.status == ActionStatus::Open && self.due_on.is_some_and(|due| due < today)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn action() -> FeederAction {
        FeederAction {
            action_id: "F1-1".to_owned(),
            feeder_id: NodeId::parse("F1").unwrap(),
            month: Day::parse("2026-04-01").unwrap(),
            person: "A. Rao".to_owned(),
            cause: "hooking in the old town".to_owned(),
            mitigation: Some("armoured cable".to_owned()),
            starts_on: Day::parse("2026-05-15"),
            due_on: Day::parse("2026-06-30"),
            done_on: None,
            status: ActionStatus::Open,
        }
    }

    fn check(change: impl Fn(&mut FeederAction), expected: &str) {
        let mut row = action();
        change(&mut row);
        let got = row
            .check()
            .map_or_else(|error| error.to_string(), |()| String::new());
        assert_eq!(got, expected);
    }

    #[test]
    fn an_action_names_who_why_and_dates_in_order() {
        check(|_| {}, "");
        check(
            |row| row.cause = "a\nb".to_owned(),
            "`cause` is 1 to 500 bytes without control characters",
        );
        check(
            |row| row.person = " ".to_owned(),
            "`person` is 1 to 500 bytes without control characters",
        );
        check(
            |row| row.month = Day::parse("2026-04-02").unwrap(),
            "`month` 2026-04-02 is not the first day of a month",
        );
        check(
            |row| row.due_on = Day::parse("2026-05-14"),
            "`due_on` is before `starts_on`",
        );
        check(
            |row| row.mitigation = None,
            "`starts_on` and `due_on` are of a `mitigation`, and none is said",
        );
        check(
            |row| row.status = ActionStatus::Done,
            "status `done` needs `done_on`",
        );
        check(
            |row| row.done_on = Day::parse("2026-06-01"),
            "`done_on` is said and the status is `open`",
        );
        check(
            |row| {
                row.status = ActionStatus::Done;
                row.done_on = Day::parse("2026-06-01");
            },
            "",
        );
    }

    #[test]
    fn an_action_is_overdue_after_its_day_while_it_is_open() {
        let day = |text: &str| Day::parse(text).unwrap();
        assert!(!action().is_overdue(day("2026-06-30")));
        assert!(action().is_overdue(day("2026-07-01")));
        let done = FeederAction {
            status: ActionStatus::Done,
            ..action()
        };
        assert!(!done.is_overdue(day("2026-07-01")));
    }
}
