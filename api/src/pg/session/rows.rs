//! Rows: what gives them is started once, and they are sent as they are wanted.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use jiff::tz::TimeZone;

use super::{Portal, SEND_BYTES, Session, Transaction, Trouble, no_cursor};
use crate::{
    pg::{
        cursor::Cursor,
        encode::Rows,
        message,
        problem::Problem,
        statement::{Action, Prepared},
    },
    sql::{Ask, Audit, Parameter},
};

/// Rows that are taken from a result at a time.
const ROWS_AT_A_TIME: usize = 1_024;

impl Session {
    pub(super) fn ask(&self, prepared: &Prepared, parameters: Vec<Parameter>) -> Ask {
        Ask {
            statement: prepared.at,
            describe: false,
            parameters,
            user: self.client.user.clone(),
            backend: self.client.backend,
            settings: self.settings.all(),
        }
    }

    /// Starts what gives rows, once.
    pub(super) async fn open(&mut self, portal: &mut Portal) -> Result<(), Trouble> {
        let Some(prepared) = portal
            .prepared
            .as_ref()
            .filter(|_| portal.cursor.is_none() && !portal.ended)
        else {
            return Ok(());
        };
        let may_run = matches!(
            prepared.action,
            Action::Commit | Action::Rollback | Action::RollbackTo
        );
        if self.transaction == Transaction::Failed && !may_run {
            return Err(Problem::new(
                "25P02",
                "current transaction is aborted, commands ignored until end of transaction block",
            )
            .into());
        }
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "nothing else gives rows of its own"
        )]
        let cursor = match &prepared.action {
            Action::Rows(_) => Some(self.start(prepared, portal.parameters.clone()).await?),
            Action::Show(name) => {
                let (name, value) = self.settings.get(name)?;
                Some(Cursor::of_texts(&[name], &[vec![value.to_owned()]])?)
            }
            Action::ShowAll => {
                let rows: Vec<Vec<String>> = self
                    .settings
                    .all()
                    .into_iter()
                    .map(|(name, value)| vec![name, value, String::new()])
                    .collect();
                Some(Cursor::of_texts(&["name", "setting", "description"], &rows)?)
            }
            _ => None,
        };
        portal.cursor = cursor;
        Ok(())
    }

    /// Has a worker run a statement.
    pub(super) async fn start(
        &mut self,
        prepared: &Prepared,
        parameters: Vec<Parameter>,
    ) -> Result<Cursor, Trouble> {
        let audit = Audit::new("pg", &self.client.user, &prepared.text);
        let ask = self.ask(prepared, parameters);
        let (zone, timeout) = (self.settings.zone().clone(), self.settings.timeout());
        let (sql, text) = (self.sql.clone(), Arc::clone(&prepared.text));
        self.interrupt
            .guard(async move {
                let rows_max = sql.config().rows_max;
                let mut audit = audit;
                match sql.answer(&text, ask, (&zone, timeout)).await {
                    Ok(answer) => Cursor::of_worker(answer, audit, rows_max).await,
                    Err(error) => {
                        audit.failed(&error);
                        Err(error.into())
                    }
                }
            })
            .await
    }

    /// The columns of what a portal gives; `None`: it gives no rows.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "what gives no rows of its own has no cursor"
    )]
    pub(super) fn columns(&self, portal: &Portal) -> Result<Option<SchemaRef>, Problem> {
        let Some(prepared) = &portal.prepared else {
            // A declared cursor, or an empty text.
            return Ok(portal.cursor.as_ref().map(|cursor| Arc::clone(&cursor.schema)));
        };
        match &prepared.action {
            Action::Fetch { name, .. } => {
                let cursor = self.portals.get(name).and_then(|portal| portal.cursor.as_ref());
                let cursor = cursor.ok_or_else(|| no_cursor(name))?;
                Ok(Some(Arc::clone(&cursor.schema)))
            }
            Action::Show(name) if portal.cursor.is_none() => {
                let (name, _) = self.settings.get(name)?;
                Ok(Some(Cursor::of_texts(&[name], &[])?.schema))
            }
            _ => Ok(portal.cursor.as_ref().map(|cursor| Arc::clone(&cursor.schema))),
        }
    }

    /// Sends up to `count` rows of a portal, or does what it says, and tells how it ended.
    pub(super) async fn execute(&mut self, portal: &mut Portal, count: Option<u64>) -> Result<(), Trouble> {
        let Some(prepared) = portal.prepared.clone() else {
            if portal.declared {
                return self.rows(portal, count, "SELECT").await;
            }
            message::put_plain(&mut self.out.buffer, b'I');
            return Ok(());
        };
        #[expect(clippy::wildcard_enum_match_arm, reason = "nothing else gives rows")]
        let word = match &prepared.action {
            Action::Rows(word) => Some(*word),
            Action::Show(_) | Action::ShowAll => Some("SHOW"),
            Action::Fetch { name, count } => {
                let tag = self.fetch(name, *count, &portal.binary).await?;
                message::put_complete(&mut self.out.buffer, &tag);
                return Ok(());
            }
            _ => None,
        };
        if let Some(word) = word {
            return self.rows(portal, count, word).await;
        }
        let tag = self.act(&prepared, &portal.parameters).await?;
        message::put_complete(&mut self.out.buffer, &tag);
        Ok(())
    }

    /// Sends up to `count` rows of a portal, and tells how it ended.
    pub(super) async fn rows(
        &mut self,
        portal: &mut Portal,
        count: Option<u64>,
        word: &str,
    ) -> Result<(), Trouble> {
        let mut sent = 0;
        if let Some(cursor) = portal.cursor.as_mut().filter(|_| !portal.ended) {
            let ended;
            (sent, ended) = self.send(cursor, &portal.binary, count).await?;
            if !ended {
                message::put_plain(&mut self.out.buffer, b's');
                return Ok(());
            }
            portal.ended = true;
        }
        if word == "SELECT" {
            message::put_complete(&mut self.out.buffer, &format!("SELECT {sent}"));
        } else {
            message::put_complete(&mut self.out.buffer, word);
        }
        Ok(())
    }

    /// Sends rows; how many, and whether they were the last.
    pub(super) async fn send(
        &mut self,
        cursor: &mut Cursor,
        binary: &[bool],
        count: Option<u64>,
    ) -> Result<(u64, bool), Trouble> {
        let before = self.out.written();
        let outcome = self.send_rows(cursor, binary, count).await;
        let bytes = self.out.written().saturating_sub(before);
        if let Some(audit) = &mut cursor.audit {
            audit.bytes = audit.bytes.saturating_add(bytes);
            match &outcome {
                Ok((sent, ended)) => {
                    audit.rows = audit.rows.saturating_add(*sent);
                    if *ended {
                        audit.done();
                    }
                }
                Err(Trouble::Told(problem)) => audit.failed(&problem.message),
                Err(Trouble::Gone) => {}
            }
        }
        outcome
    }

    pub(super) async fn send_rows(
        &mut self,
        cursor: &mut Cursor,
        binary: &[bool],
        count: Option<u64>,
    ) -> Result<(u64, bool), Trouble> {
        let zone = TimeZone::get(self.settings.zone().name()).unwrap_or(TimeZone::UTC);
        let mut sent: u64 = 0;
        loop {
            let left = count.map(|count| count.saturating_sub(sent));
            if left == Some(0) {
                return Ok((sent, false));
            }
            let left = left
                .and_then(|left| usize::try_from(left).ok())
                .map_or(ROWS_AT_A_TIME, |left| left.min(ROWS_AT_A_TIME));
            let Some(batch) = self.interrupt.guard(cursor.take(left)).await? else {
                return Ok((sent, true));
            };
            let rows = Rows::new(&batch, binary, &zone)?;
            for row in 0..rows.count() {
                rows.put(row, &mut self.out.buffer)?;
                if self.out.buffer.len() > SEND_BYTES {
                    self.out.flush().await?;
                }
                sent = sent.saturating_add(1);
            }
        }
    }

    pub(super) async fn fetch(
        &mut self,
        name: &str,
        count: Option<u64>,
        binary: &[bool],
    ) -> Result<String, Trouble> {
        let mut portal = self.portals.remove(name).ok_or_else(|| no_cursor(name))?;
        let Some(cursor) = &mut portal.cursor else {
            return Err(no_cursor(name).into());
        };
        let (sent, ended) = if portal.ended {
            (0, true)
        } else {
            self.send(cursor, binary, count).await?
        };
        portal.ended = ended;
        self.portals.insert(name.to_owned(), portal);
        Ok(format!("FETCH {sent}"))
    }
}
