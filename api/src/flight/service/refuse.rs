//! What is refused, with why and what to do instead.

use tonic::Status;

use super::super::{problem, session::User};
use crate::sql::{Audit, check};

/// Plans that are not SQL.
pub(super) fn substrait() -> Status {
    Status::unimplemented("Substrait is not spoken here; send SQL")
}

/// Transactions and savepoints.
pub(super) fn transactions() -> Status {
    Status::unimplemented(
        "there are no transactions: every statement only reads, and sees what stands when it starts",
    )
}

/// A statement that is sent as one that changes something.
pub(super) fn update(user: &User, statement: &str) -> Status {
    let mut audit = Audit::new("flight", &user.name, statement);
    let status = match check(statement) {
        Err(refused) => problem::of_sql(&refused.into()),
        Ok(()) => problem::invalid("the statement gives rows; ask for it as a query, not as an update"),
    };
    audit.failed(&status.message());
    status
}

/// Rows for a table.
pub(super) fn ingest(user: &User, table: &str) -> Status {
    let status = problem::reading_only("INSERT");
    Audit::new("flight", &user.name, &format!("ingest into {table}")).failed(&status.message());
    status
}
