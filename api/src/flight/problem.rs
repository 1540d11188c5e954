//! What a client is told when something cannot be done: a code of gRPC, and the words that the other surfaces use.

use tonic::{Code, Status};

use crate::{
    problem::causes,
    sql::{FailureKind, Refused, SqlError},
};

/// Longest message, bytes: it goes in a header, where other than ASCII letters take three times their length, and of which clients take
/// some kilobytes.
const MESSAGE_BYTES_MAX: usize = 2_000;

/// A status, its message cut to what a header takes.
pub(super) fn status(code: Code, message: impl AsRef<str>) -> Status {
    let message = message.as_ref();
    let end = message.floor_char_boundary(MESSAGE_BYTES_MAX);
    let told = message.get(..end).unwrap_or_default();
    if told.len() < message.len() {
        return Status::new(code, format!("{told}…"));
    }
    Status::new(code, told)
}

/// What the caller sent cannot be used.
pub(super) fn invalid(message: impl AsRef<str>) -> Status {
    status(Code::InvalidArgument, message)
}

/// Something that does more than reading.
pub(super) fn reading_only(what: &str) -> Status {
    let refused = Refused::NotReading {
        what: what.to_owned(),
    };
    status(Code::PermissionDenied, refused.to_string())
}

/// Not the caller's fault.
pub(super) fn internal(error: impl std::fmt::Display) -> Status {
    tracing::error!(%error, "Flight SQL could not answer");
    status(Code::Internal, error.to_string())
}

/// The client asked for an end of its query; PostgreSQL's words, as by that surface.
pub(super) fn canceled() -> Status {
    Status::cancelled("canceling statement due to user request")
}

/// A query without a (further) result.
pub(super) fn of_sql(error: &SqlError) -> Status {
    let code = match error {
        SqlError::Refused(refused) => match refused {
            Refused::NotReading { .. } | Refused::TableFunction { .. } => Code::PermissionDenied,
            Refused::Syntax { .. } | Refused::Empty | Refused::Several { .. } | Refused::TooLong { .. } => {
                Code::InvalidArgument
            }
        },
        SqlError::Query { kind, .. } => match kind {
            FailureKind::Plan | FailureKind::Execution => Code::InvalidArgument,
            FailureKind::Memory => Code::ResourceExhausted,
            FailureKind::Internal => Code::Internal,
        },
        SqlError::Busy { .. } | SqlError::Share { .. } => Code::Unavailable,
        SqlError::Deadline { .. } => Code::DeadlineExceeded,
        SqlError::Memory { .. } | SqlError::TooManyRows { .. } => Code::ResourceExhausted,
        SqlError::Start { .. } | SqlError::Broken { .. } => Code::Internal,
    };
    status(code, causes(error))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tonic::Code;

    use super::{MESSAGE_BYTES_MAX, invalid, of_sql};
    use crate::sql::{FailureKind, Place, Refused, SqlError};

    #[test]
    fn an_error_keeps_its_words_and_says_whose_it_is() {
        let check = |error: SqlError, expected: Code| {
            let status = of_sql(&error);
            assert_eq!(status.code(), expected, "{error}");
            assert_eq!(status.message(), error.to_string());
        };
        let query = |kind| SqlError::Query {
            kind,
            message: "no table".to_owned(),
            place: Place::default(),
        };
        check(query(FailureKind::Plan), Code::InvalidArgument);
        check(query(FailureKind::Execution), Code::InvalidArgument);
        check(query(FailureKind::Memory), Code::ResourceExhausted);
        check(query(FailureKind::Internal), Code::Internal);
        let what = "DELETE".to_owned();
        check(Refused::NotReading { what }.into(), Code::PermissionDenied);
        check(Refused::Empty.into(), Code::InvalidArgument);
        check(SqlError::Busy { workers_max: 2 }, Code::Unavailable);
        let deadline = Duration::from_secs(3);
        check(SqlError::Deadline { deadline }, Code::DeadlineExceeded);
    }

    #[test]
    fn a_long_message_is_cut_to_what_a_header_takes() {
        let status = invalid(format!("x{}", "é".repeat(MESSAGE_BYTES_MAX)));
        let told = status.message().strip_suffix('…').unwrap();
        assert_eq!(told.len(), MESSAGE_BYTES_MAX - 1, "whole letters");
        let exact = "x".repeat(MESSAGE_BYTES_MAX);
        assert_eq!(invalid(&exact).message(), exact);
    }
}
