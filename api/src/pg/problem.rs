//! What a client is told when something cannot be done: severity, SQLSTATE (PostgreSQL 15, appendix A), words, place.

use crate::{
    problem::causes,
    sql::{FailureKind, Refused, SqlError, postgres::state},
};

/// An error for a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) sqlstate: String,
    pub(super) message: String,
    /// What to do about it; empty: nothing to say.
    pub(super) hint: &'static str,
    /// Characters from the begin of the statement's text, from 1.
    pub(super) position: Option<usize>,
}

impl Problem {
    pub(super) fn new(sqlstate: &str, message: impl Into<String>) -> Self {
        Self {
            sqlstate: sqlstate.to_owned(),
            message: message.into(),
            hint: "",
            position: None,
        }
    }

    pub(super) const fn with_hint(mut self, hint: &'static str) -> Self {
        self.hint = hint;
        self
    }

    /// A message that is not one of the protocol. The connection ends.
    pub(super) fn protocol(message: impl Into<String>) -> Self {
        Self::new("08P01", message)
    }

    /// The client asked for an end of its query.
    pub(super) fn canceled() -> Self {
        Self::new("57014", "canceling statement due to user request")
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        let message = refused.to_string();
        match refused {
            Refused::Syntax { message: said } => Self {
                // The place is told apart from the words; the text is not known here.
                position: None,
                ..Self::new(state::SYNTAX, said)
            },
            Refused::Empty => Self::new(state::SYNTAX, message),
            Refused::Several { .. } => Self::new(
                state::SYNTAX,
                "cannot insert multiple commands into a prepared statement",
            ),
            Refused::TooLong { .. } => Self::new("54000", message),
            Refused::NotReading { what } if what == "COPY" => Self::new("0A000", message).with_hint(
                "\\copy and COPY do not work here; use psql's --csv, or POST /api/v1/sql for CSV and Arrow.",
            ),
            Refused::NotReading { .. } => Self::new("25006", message),
            Refused::TableFunction { .. } => Self::new("42501", message),
        }
    }
}

impl From<SqlError> for Problem {
    fn from(error: SqlError) -> Self {
        let message = error.to_string();
        match error {
            SqlError::Refused(refused) => refused.into(),
            SqlError::Query { kind, message, place } => Self {
                position: place.position,
                ..Self::new(
                    if place.sqlstate.is_empty() {
                        match kind {
                            FailureKind::Plan => state::PLAN,
                            FailureKind::Execution => "22000",
                            FailureKind::Memory => "53200",
                            FailureKind::Internal => "XX000",
                        }
                    } else {
                        &place.sqlstate
                    },
                    message,
                )
            },
            SqlError::Busy { .. } | SqlError::Share { .. } => Self::new("53300", message),
            SqlError::Deadline { .. } => Self::new("57014", message),
            SqlError::Memory { .. } => Self::new("53200", message),
            SqlError::TooManyRows { .. } => Self::new("54000", message),
            SqlError::Start { .. } => Self::new("58000", causes(&error)),
            SqlError::Broken { .. } => Self::new("XX000", message),
        }
    }
}
