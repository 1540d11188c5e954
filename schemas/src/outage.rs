//! What people say of outages: planned outages, hours of supply, and what a crew found.
//!
//! Rows merge as master data does: of two rows with one key the later recorded stands, then the larger content, so that the picture does
//! not depend on the order in which they were learnt.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Day, NodeId, UtcMicros, network::words};

words!(
    /// Class of an outage that was announced (India Energy Stack OutageNotification 0.1).
    PlannedClass {
        /// Announced work.
        Planned = "PLANNED",
        /// Announced load shedding by roster.
        ScheduledRostering = "SCHEDULED_ROSTERING",
        /// Load shedding that was ordered at short notice.
        EmergencyRostering = "EMERGENCY_ROSTERING",
    }
);

/// A row of the `planned_outages` file. Its key is the node and the planned begin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedOutageRow {
    /// The node that is switched off.
    pub node_id: NodeId,
    /// Planned begin.
    pub start: UtcMicros,
    /// Planned end, after the begin.
    pub end: UtcMicros,
    /// Its class.
    pub class: PlannedClass,
    /// Why it is planned; `None`: not said.
    pub reason: Option<String>,
    /// When consumers were told; `None`: no notice was given.
    pub notice_at: Option<UtcMicros>,
}

impl PlannedOutageRow {
    /// Whether consumers were told before it begins.
    #[must_use]
    pub fn is_announced(&self) -> bool {
        self.notice_at.is_some_and(|at| at <= self.start)
    }
}

/// A row of the `supply_hours` file: hours in which supply is due (Rules 2020, rule 10(1)). Its key is all but `to` and `valid_to`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SupplyHoursRow {
    /// The node; `None`: the row is of a category. Of node and category at least one is said; with both, the row is of the
    /// category's consumers under the node.
    pub node_id: Option<NodeId>,
    /// The tariff category; `None`: the row is of a node.
    pub category: Option<String>,
    /// The days on which the hours begin.
    pub weekdays: Weekdays,
    /// When they begin.
    pub from: MinuteOfDay,
    /// When they end; not after `from`: on the next day.
    pub to: MinuteOfDay,
    /// Holds from this instant.
    pub valid_from: UtcMicros,
    /// Holds until before this instant; `None`: open.
    pub valid_to: Option<UtcMicros>,
}

/// Rows of one import.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "rows", rename_all = "snake_case")]
pub enum PlanRows {
    /// Rows of the `planned_outages` file.
    PlannedOutages(Vec<PlannedOutageRow>),
    /// Rows of the `supply_hours` file.
    SupplyHours(Vec<SupplyHoursRow>),
}

impl PlanRows {
    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::PlannedOutages(rows) => rows.len(),
            Self::SupplyHours(rows) => rows.len(),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Longest text in a [`Cause`], bytes.
pub const CAUSE_TEXT_BYTES_MAX: usize = 500;

/// What a person says of an outage. It names the node and the begin of the outage as it stood then, so that it stays with what
/// happened when later evidence gives the outage another id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cause {
    /// Id of the outage as it stood then.
    pub outage_id: String,
    /// Its node then.
    pub node_id: NodeId,
    /// Its begin then.
    pub started_at: UtcMicros,
    /// Who says so.
    pub person: String,
    /// Cause; `None`: nothing said.
    pub cause: Option<String>,
    /// Fault type of the regulation; `None`: nothing said.
    pub fault_type: Option<String>,
    /// Whether it is exempt as force majeure; `None`: nothing said.
    pub force_majeure: Option<bool>,
    /// When supply will be back; `None`: nothing said.
    pub etr: Option<UtcMicros>,
}

/// Why a cause cannot stand.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CauseError {
    /// Nobody says it.
    #[error("`person` is empty: a cause names who says it")]
    Unnamed,
    /// It says nothing.
    #[error("none of `cause`, `fault_type`, `force_majeure` and `etr` is said")]
    Empty,
    /// A text that is empty, too long or no line of text.
    #[error("`{field}` is 1 to {CAUSE_TEXT_BYTES_MAX} bytes without control characters")]
    Text {
        /// The field.
        field: &'static str,
    },
    /// A restoration before the outage began.
    #[error("`etr` {etr} is not after the begin of the outage, {started_at}")]
    Etr {
        /// The estimated time of restoration.
        etr: UtcMicros,
        /// The begin.
        started_at: UtcMicros,
    },
}

impl Cause {
    /// Checks all that can be checked without knowing the outage.
    ///
    /// # Errors
    /// [`CauseError`] names the first thing that is wrong.
    pub fn check(&self) -> Result<(), CauseError> {
        if self.person.trim().is_empty() {
            return Err(CauseError::Unnamed);
        }
        let texts = [
            ("person", Some(&self.person)),
            ("cause", self.cause.as_ref()),
            ("fault_type", self.fault_type.as_ref()),
        ];
        for (field, text) in texts {
            let is_bad = |text: &String| {
                text.trim().is_empty()
                    || text.len() > CAUSE_TEXT_BYTES_MAX
                    || text.chars().any(char::is_control)
            };
            if text.is_some_and(is_bad) {
                return Err(CauseError::Text { field });
            }
        }
        if let Some(etr) = self.etr.filter(|etr| *etr <= self.started_at) {
            return Err(CauseError::Etr {
                etr,
                started_at: self.started_at,
            });
        }
        let says = self.cause.is_some() || self.fault_type.is_some();
        if !says && self.force_majeure.is_none() && self.etr.is_none() {
            return Err(CauseError::Empty);
        }
        Ok(())
    }
}

/// Days of the week, as a set that is not empty.
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

    /// Whether a civil day is among them.
    #[must_use]
    pub fn has(self, day: Day) -> bool {
        // 1970-01-01 was a Thursday, three days after a Monday.
        self.0 & (1 << (day.0 + 3).rem_euclid(7)) != 0
    }
}

impl fmt::Display for Weekdays {
    /// `all`, or the names with `;` between: the same days are always the same text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::ALL {
            return f.write_str("all");
        }
        let held = (0..).zip(NAMES).filter(|(day, _)| self.0 & (1 << day) != 0);
        let names: Vec<&str> = held.map(|(_, name)| name).collect();
        f.write_str(&names.join(";"))
    }
}

impl FromStr for Weekdays {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::parse(text).map_err(|error| error.to_string())
    }
}

/// A minute of a civil day, 0 to 1,440; the last is the next midnight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MinuteOfDay(u16);

impl MinuteOfDay {
    /// Minutes after midnight.
    #[must_use]
    pub const fn minutes(self) -> u16 {
        self.0
    }
}

impl FromStr for MinuteOfDay {
    type Err = String;
    /// Reads `HH:MM`, `00:00` to `24:00`.
    fn from_str(text: &str) -> Result<Self, String> {
        let two = |part: &str| {
            let digits = part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
            digits.then(|| part.parse::<u16>().ok()).flatten()
        };
        text.split_once(':')
            .and_then(|(hours, minutes)| Some((two(hours)?, two(minutes)?)))
            .filter(|(hours, minutes)| *minutes < 60 && hours * 60 + minutes <= 24 * 60)
            .map(|(hours, minutes)| Self(hours * 60 + minutes))
            .ok_or_else(|| format!("`{text}` is no time of day: HH:MM from 00:00 to 24:00 expected"))
    }
}

impl fmt::Display for MinuteOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

macro_rules! as_text {
    ($($name:ident),+) => { $(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )+ };
}
as_text!(Weekdays, MinuteOfDay);

#[cfg(test)]
mod tests;
