//! Prepared statements: each of its user, under a handle that nobody guesses.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use gridtally_ingest::key::random;
use tonic::{Code, Status};

use super::{
    problem::{self, status},
    session::User,
};
use crate::sql::{Given, Parameter};

/// Prepared statements of a user at most.
const STATEMENTS_PER_USER_MAX: usize = 1_024;
/// Bytes of a user's statements with their values at most.
const BYTES_PER_USER_MAX: usize = 16 << 20;
/// Prepared statements of all users at most.
const STATEMENTS_MAX: usize = 8_192;
/// Bytes of all statements with their values at most.
const BYTES_MAX: usize = 128 << 20;

/// A statement that was described.
#[derive(Debug, Clone)]
pub(super) struct Prepared {
    pub(super) statement: String,
    /// Types of its parameters.
    pub(super) types: Vec<u32>,
    /// Its columns, where its parameters are of those types.
    pub(super) columns: SchemaRef,
    /// Their values, once they were given.
    pub(super) values: Vec<Parameter>,
}

impl Prepared {
    fn bytes(&self) -> usize {
        let values = self.values.iter().map(|parameter| match &parameter.value {
            Given::Text(text) => text.len(),
            Given::Later | Given::Null => 0,
        });
        self.statement.len().saturating_add(values.sum())
    }
}

/// All of them.
#[derive(Debug)]
pub(super) struct Statements {
    /// One that nobody uses for so long is forgotten.
    idle: Duration,
    held: Mutex<BTreeMap<Bytes, Held>>,
}

#[derive(Debug)]
struct Held {
    user: User,
    prepared: Prepared,
    used: Instant,
}

impl Statements {
    pub(super) const fn new(idle: Duration) -> Self {
        Self {
            idle,
            held: Mutex::new(BTreeMap::new()),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<Bytes, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a statement; its handle.
    pub(super) fn keep(&self, user: &User, prepared: Prepared, now: Instant) -> Result<Bytes, Status> {
        let handle = Bytes::copy_from_slice(&random::<16>().map_err(problem::internal)?);
        let mut held = self.lock();
        held.retain(|_, held| now.duration_since(held.used) < self.idle);
        let of = |is: &dyn Fn(&Held) -> bool| {
            let those = held.values().filter(|held| is(held));
            those.fold((0_usize, prepared.bytes()), |(count, bytes), held| {
                (count + 1, bytes.saturating_add(held.prepared.bytes()))
            })
        };
        let (own, own_bytes) = of(&|held| held.user == *user);
        let (all, all_bytes) = of(&|_| true);
        if own >= STATEMENTS_PER_USER_MAX
            || own_bytes > BYTES_PER_USER_MAX
            || all >= STATEMENTS_MAX
            || all_bytes > BYTES_MAX
        {
            return Err(status(
                Code::ResourceExhausted,
                "too many prepared statements; close some",
            ));
        }
        let statement = Held {
            user: user.clone(),
            prepared,
            used: now,
        };
        held.insert(handle.clone(), statement);
        Ok(handle)
    }

    /// Does something with a statement of this user.
    fn with<T>(&self, user: &User, handle: &[u8], act: impl FnOnce(&mut Prepared) -> T) -> Result<T, Status> {
        let now = Instant::now();
        let mut held = self.lock();
        let held = held
            .get_mut(handle)
            .filter(|held| held.user == *user && now.duration_since(held.used) < self.idle)
            .ok_or_else(|| Status::not_found("the prepared statement is not known, or no more"))?;
        held.used = now;
        Ok(act(&mut held.prepared))
    }

    pub(super) fn get(&self, user: &User, handle: &[u8]) -> Result<Prepared, Status> {
        self.with(user, handle, |prepared| prepared.clone())
    }

    /// Gives values to a statement, instead of those that it had.
    pub(super) fn bind(&self, user: &User, handle: &[u8], values: Vec<Parameter>) -> Result<(), Status> {
        self.with(user, handle, |prepared| {
            let needed = prepared.types.len();
            if values.len() != needed {
                return Err(problem::invalid(format!(
                    "the statement has {needed} parameters, and {} were given",
                    values.len()
                )));
            }
            prepared.values = values;
            Ok(())
        })?
    }

    /// Forgets a statement; one that is not known is forgotten already.
    pub(super) fn close(&self, user: &User, handle: &[u8]) {
        let mut held = self.lock();
        if held.get(handle).is_some_and(|held| held.user == *user) {
            held.remove(handle);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::Arc,
        time::{Duration, Instant},
    };

    use arrow::datatypes::Schema;
    use tonic::Code;

    use super::{BYTES_PER_USER_MAX, Prepared, STATEMENTS_PER_USER_MAX, Statements};
    use crate::{
        flight::session::User,
        sql::{Given, Parameter},
    };

    fn user(name: &str) -> User {
        User::anyone(name.to_owned())
    }

    fn prepared(statement: &str) -> Prepared {
        Prepared {
            statement: statement.to_owned(),
            types: vec![20],
            columns: Arc::new(Schema::empty()),
            values: Vec::new(),
        }
    }

    #[test]
    fn a_statement_is_of_its_user_only() {
        let (one, other) = (user("auditor"), user("other"));
        let statements = Statements::new(Duration::from_secs(600));
        let handle = statements
            .keep(&one, prepared("SELECT $1"), Instant::now())
            .unwrap();
        assert_eq!(statements.get(&one, &handle).unwrap().statement, "SELECT $1");
        assert_eq!(
            statements.get(&other, &handle).unwrap_err().code(),
            Code::NotFound
        );
        statements.close(&other, &handle);
        let seven = Parameter {
            oid: 20,
            value: Given::Text("7".to_owned()),
        };
        assert!(statements.bind(&other, &handle, vec![seven.clone()]).is_err());
        let too_few = statements.bind(&one, &handle, Vec::new()).unwrap_err();
        assert_eq!(
            too_few.message(),
            "the statement has 1 parameters, and 0 were given"
        );
        statements.bind(&one, &handle, vec![seven.clone()]).unwrap();
        assert_eq!(statements.get(&one, &handle).unwrap().values, [seven]);
        statements.close(&one, &handle);
        assert_eq!(statements.get(&one, &handle).unwrap_err().code(), Code::NotFound);
    }

    #[test]
    fn statements_are_bounded_and_forgotten_when_nobody_uses_them() {
        let one = user("auditor");
        let idle = Duration::from_secs(600);
        let (statements, begin) = (Statements::new(idle), Instant::now());
        let large = "x".repeat(BYTES_PER_USER_MAX / 2);
        for _ in 0..2 {
            statements.keep(&one, prepared(&large), begin).unwrap();
        }
        let more = statements.keep(&one, prepared("SELECT 1"), begin).unwrap_err();
        assert_eq!(more.code(), Code::ResourceExhausted);
        let now = begin + idle;
        for _ in 0..STATEMENTS_PER_USER_MAX {
            statements.keep(&one, prepared("SELECT 1"), now).unwrap();
        }
        assert!(statements.keep(&one, prepared("SELECT 1"), now).is_err());
        assert!(statements.keep(&user("other"), prepared("SELECT 1"), now).is_ok());
    }
}
