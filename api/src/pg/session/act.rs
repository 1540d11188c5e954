//! What a session does itself: settings, transactions, cursors.

use super::{PORTALS_MAX, Portal, Session, Transaction, Trouble, no_cursor};
use crate::{
    pg::{
        problem::Problem,
        settings::REPORTED,
        statement::{Action, Prepared},
    },
    sql::Parameter,
};

impl Session {
    /// Does what the session answers itself; the word of its completion.
    pub(super) async fn act(
        &mut self,
        prepared: &Prepared,
        parameters: &[Parameter],
    ) -> Result<String, Trouble> {
        let word = match &prepared.action {
            Action::Declare { name, hold } => {
                self.declare(prepared, (name, *hold), parameters).await?;
                "DECLARE CURSOR"
            }
            Action::CloseCursor(Some(name)) => {
                let known = self.portals.remove(name);
                known.ok_or_else(|| no_cursor(name))?;
                "CLOSE CURSOR"
            }
            Action::CloseCursor(None) => {
                self.portals.retain(|_, portal| !portal.declared);
                "CLOSE CURSOR ALL"
            }
            Action::Set { name, value } => {
                let name = self.settings.set(name, value.as_deref())?;
                self.report_if_reported(name);
                "SET"
            }
            Action::Reset(name) => {
                match name {
                    Some(name) => {
                        let name = self.settings.set(name, None)?;
                        self.report_if_reported(name);
                    }
                    None => self.reset()?,
                }
                "RESET"
            }
            Action::Begin => {
                if self.transaction == Transaction::Idle {
                    self.transaction = Transaction::Open;
                } else {
                    self.warn("25001", "there is already a transaction in progress");
                }
                "BEGIN"
            }
            Action::Commit => self.end("COMMIT"),
            Action::Rollback => self.end("ROLLBACK"),
            Action::RollbackTo => {
                if self.transaction == Transaction::Failed {
                    self.transaction = Transaction::Open;
                }
                "ROLLBACK"
            }
            Action::Discard => {
                self.statements.clear();
                self.portals.clear();
                self.reset()?;
                "DISCARD ALL"
            }
            Action::Deallocate(Some(name)) => {
                let known = self.statements.remove(name);
                known.ok_or_else(|| {
                    Problem::new("26000", format!("prepared statement \"{name}\" does not exist"))
                })?;
                "DEALLOCATE"
            }
            Action::Deallocate(None) => {
                self.statements.clear();
                "DEALLOCATE ALL"
            }
            Action::Nothing(word) => word,
            Action::Rows(_) | Action::Fetch { .. } | Action::Show(_) | Action::ShowAll => "",
        };
        Ok(word.to_owned())
    }

    pub(super) async fn declare(
        &mut self,
        prepared: &Prepared,
        (name, hold): (&str, bool),
        parameters: &[Parameter],
    ) -> Result<(), Trouble> {
        if self.transaction == Transaction::Idle && !hold {
            return Err(
                Problem::new("25P01", "DECLARE CURSOR can only be used in transaction blocks").into(),
            );
        }
        if self.portals.contains_key(name) {
            return Err(Problem::new("42P03", format!("cursor \"{name}\" already exists")).into());
        }
        if self.portals.len() >= PORTALS_MAX {
            return Err(Problem::new("54000", "too many open cursors; close some").into());
        }
        let cursor = self.start(prepared, parameters.to_vec()).await?;
        let portal = Portal {
            cursor: Some(cursor),
            declared: true,
            hold,
            ..Portal::new(None, Vec::new(), Vec::new())
        };
        self.portals.insert(name.to_owned(), portal);
        Ok(())
    }

    pub(super) fn report_if_reported(&mut self, name: &'static str) {
        if REPORTED.contains(&name) {
            self.report(name);
        }
    }

    pub(super) fn reset(&mut self) -> Result<(), Problem> {
        self.settings.reset()?;
        for name in REPORTED {
            self.report(name);
        }
        Ok(())
    }

    /// Ends a transaction.
    pub(super) fn end(&mut self, word: &'static str) -> &'static str {
        let was = std::mem::replace(&mut self.transaction, Transaction::Idle);
        self.portals.retain(|_, portal| portal.hold);
        match was {
            Transaction::Idle => {
                self.warn("25P01", "there is no transaction in progress");
                word
            }
            Transaction::Open => word,
            Transaction::Failed => "ROLLBACK",
        }
    }
}
