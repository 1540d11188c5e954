//! Who asked what, and what came of it: one event a query, of target `gridtally::audit`.

use std::time::Instant;

/// Longest part of a statement that is told, characters.
const STATEMENT_MAX: usize = 4_096;

/// A query that is being answered; told when it ends, however it does.
#[derive(Debug)]
pub(crate) struct Audit {
    surface: &'static str,
    who: String,
    statement: String,
    began: Instant,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
    outcome: String,
}

impl Audit {
    /// A query that begins.
    pub(crate) fn new(surface: &'static str, who: &str, statement: &str) -> Self {
        Self {
            surface,
            who: who.to_owned(),
            statement: statement.chars().take(STATEMENT_MAX).collect(),
            began: now(),
            rows: 0,
            bytes: 0,
            outcome: "left".to_owned(),
        }
    }

    /// It ended as it should.
    pub(crate) fn done(&mut self) {
        "done".clone_into(&mut self.outcome);
    }

    /// It ended with an error.
    pub(crate) fn failed(&mut self, why: &impl std::fmt::Display) {
        self.outcome = why.to_string();
    }
}

fn now() -> Instant {
    Instant::now()
}

impl Drop for Audit {
    fn drop(&mut self) {
        tracing::info!(
            target: "gridtally::audit",
            surface = self.surface,
            who = self.who,
            statement = self.statement,
            rows = self.rows,
            bytes = self.bytes,
            seconds = self.began.elapsed().as_secs_f64(),
            outcome = self.outcome,
            "query"
        );
    }
}
