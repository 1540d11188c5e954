//! A client's session: its statements, portals and transaction, in the simple and the extended protocol.

use std::{collections::BTreeMap, io, time::Duration};

use arrow::datatypes::SchemaRef;
use bytes::BufMut;
use tokio::sync::{mpsc, watch};

use super::{
    cursor::Cursor,
    message::{self, Named, Said},
    problem::Problem,
    settings::{REPORTED, Settings},
    statement::{self, Prepared},
};
use crate::sql::{Parameter, Sql};

mod act;
mod out;
mod prepared;
mod rows;

pub(super) use out::{Interrupt, Out, Trouble};

/// Portals of a session at most.
const PORTALS_MAX: usize = 64;
/// Bytes that are collected before they are sent.
const SEND_BYTES: usize = 64 << 10;
/// A prepared statement.
#[derive(Debug, Clone)]
struct Statement {
    /// `None`: of an empty text.
    prepared: Option<Prepared>,
    /// Types of parameters that the client gave; 0: not given.
    types: Vec<u32>,
    /// Types of its parameters and its columns, once somebody asked.
    described: Option<(Vec<u32>, SchemaRef)>,
}

/// A statement with values, or a declared cursor.
#[derive(Debug)]
struct Portal {
    prepared: Option<Prepared>,
    parameters: Vec<Parameter>,
    binary: Vec<bool>,
    cursor: Option<Cursor>,
    /// Whether it has given its last row.
    ended: bool,
    /// Declared by SQL.
    declared: bool,
    /// Outlives its transaction.
    hold: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Transaction {
    Idle,
    Open,
    Failed,
}

/// Who a session is of.
#[derive(Debug, Clone)]
pub(super) struct Client {
    pub(super) user: String,
    pub(super) backend: i32,
}

/// A session.
pub(super) struct Session {
    sql: Sql,
    client: Client,
    pub(super) settings: Settings,
    out: Out,
    interrupt: Interrupt,
    statements: BTreeMap<String, Statement>,
    portals: BTreeMap<String, Portal>,
    transaction: Transaction,
    /// After an error in the extended protocol nothing is done until Sync.
    skipping: bool,
}

impl Session {
    pub(super) fn new(
        sql: Sql,
        client: Client,
        settings: Settings,
        (out, interrupt): (Out, Interrupt),
    ) -> Self {
        Self {
            sql,
            client,
            settings,
            out,
            interrupt,
            statements: BTreeMap::new(),
            portals: BTreeMap::new(),
            transaction: Transaction::Idle,
            skipping: false,
        }
    }

    /// Tells every reported setting, and that statements may come.
    pub(super) async fn greet(&mut self) -> io::Result<()> {
        for name in REPORTED {
            self.report(name);
        }
        self.ready().await
    }

    /// Answers what the client says until it ends, is idle for too long, or `ending` turns true.
    pub(super) async fn run(
        mut self,
        mut inbox: mpsc::Receiver<Result<Said, Problem>>,
        idle: Duration,
        mut ending: watch::Receiver<bool>,
    ) {
        loop {
            let heard = tokio::select! {
                said = inbox.recv() => said,
                () = tokio::time::sleep(idle) => Some(Err(Problem::new(
                    "57P05",
                    "terminating connection due to idle-session timeout",
                ))),
                () = ended(&mut ending) => Some(Err(Problem::new(
                    "57P01",
                    "terminating connection due to administrator command",
                ))),
            };
            let last = match heard {
                None | Some(Ok(Said::Terminate)) => return,
                Some(Err(problem)) => problem,
                Some(Ok(said)) => match self.hear(said).await {
                    Ok(()) => continue,
                    Err(Trouble::Gone) => return,
                    Err(Trouble::Told(problem)) => problem,
                },
            };
            message::put_problem(&mut self.out.buffer, "FATAL", &last);
            // The connection ends either way.
            let _ = self.out.flush().await;
            return;
        }
    }

    /// One message. What is told here ends the connection.
    async fn hear(&mut self, said: Said) -> Result<(), Trouble> {
        if self.skipping && said != Said::Sync {
            return Ok(());
        }
        self.interrupt.begin();
        match said {
            Said::Query(text) => {
                let outcome = Box::pin(self.simple(&text)).await;
                self.settle(outcome)?;
                self.ready().await?;
                return Ok(());
            }
            Said::Sync => {
                self.skipping = false;
                if self.transaction == Transaction::Idle {
                    self.portals.retain(|_, portal| portal.hold);
                }
                self.ready().await?;
                return Ok(());
            }
            Said::Flush => self.out.flush().await?,
            Said::Copy => {}
            Said::FunctionCall => {
                let refused = Problem::new("0A000", "function calls by number are not supported");
                self.settle(Err(refused.into()))?;
                self.ready().await?;
                return Ok(());
            }
            Said::Password(_) => return Err(Problem::protocol("nobody asked for a password").into()),
            said @ (Said::Parse { .. }
            | Said::Bind { .. }
            | Said::Describe(_)
            | Said::Execute { .. }
            | Said::Close(_)
            | Said::Terminate) => {
                let outcome = Box::pin(self.extended(said)).await;
                if outcome.is_err() {
                    self.skipping = true;
                }
                self.settle(outcome)?;
            }
        }
        if self.out.buffer.len() > SEND_BYTES {
            self.out.flush().await?;
        }
        Ok(())
    }

    /// Tells an error, which also fails the transaction.
    fn settle(&mut self, outcome: Result<(), Trouble>) -> Result<(), Trouble> {
        match outcome {
            Err(Trouble::Told(problem)) => {
                message::put_problem(&mut self.out.buffer, "ERROR", &problem);
                if self.transaction == Transaction::Open {
                    self.transaction = Transaction::Failed;
                }
                Ok(())
            }
            other => other,
        }
    }

    async fn ready(&mut self) -> io::Result<()> {
        let state = match self.transaction {
            Transaction::Idle => b'I',
            Transaction::Open => b'T',
            Transaction::Failed => b'E',
        };
        message::put(&mut self.out.buffer, b'Z', |out| out.put_u8(state));
        self.out.flush().await
    }

    fn report(&mut self, name: &'static str) {
        if let Ok((name, value)) = self.settings.get(name) {
            message::put(&mut self.out.buffer, b'S', |out| {
                message::put_text(out, name);
                message::put_text(out, value);
            });
        }
    }

    fn warn(&mut self, sqlstate: &str, message: &str) {
        message::put_problem(&mut self.out.buffer, "WARNING", &Problem::new(sqlstate, message));
    }

    /// A text of the simple protocol.
    async fn simple(&mut self, text: &str) -> Result<(), Trouble> {
        self.statements.remove("");
        self.portals.remove("");
        let statements = statement::read(text)?;
        if statements.is_empty() {
            message::put_plain(&mut self.out.buffer, b'I');
        }
        for prepared in statements {
            if prepared.parameters > 0 {
                return Err(Problem::new("42P02", "there is no parameter $1").into());
            }
            let mut portal = Portal::new(Some(prepared), Vec::new(), Vec::new());
            self.open(&mut portal).await?;
            if let Some(schema) = self.columns(&portal)? {
                message::put_columns(&mut self.out.buffer, &schema, &[]);
            }
            self.execute(&mut portal, None).await?;
        }
        Ok(())
    }

    /// A message of the extended protocol.
    async fn extended(&mut self, said: Said) -> Result<(), Trouble> {
        match said {
            Said::Parse { name, text, types } => self.parse(name, &text, types),
            Said::Bind {
                portal,
                statement,
                binary,
                values,
                wanted,
            } => self.bind(portal, &statement, (&binary, &values), wanted).await,
            Said::Describe(Named::Statement(name)) => self.describe(&name).await,
            Said::Describe(Named::Portal(name)) => {
                let mut portal = self.portal(&name)?;
                self.open(&mut portal).await?;
                match self.columns(&portal)? {
                    Some(schema) => message::put_columns(&mut self.out.buffer, &schema, &portal.binary),
                    None => message::put_plain(&mut self.out.buffer, b'n'),
                }
                self.portals.insert(name, portal);
                Ok(())
            }
            Said::Execute {
                portal: name,
                rows_max,
            } => {
                let mut portal = self.portal(&name)?;
                let count = (rows_max > 0).then(|| u64::from(rows_max));
                self.open(&mut portal).await?;
                self.execute(&mut portal, count).await?;
                self.portals.entry(name).or_insert(portal);
                Ok(())
            }
            Said::Close(named) => {
                match named {
                    Named::Statement(name) => {
                        self.statements.remove(&name);
                    }
                    Named::Portal(name) => {
                        self.portals.remove(&name);
                    }
                }
                message::put_plain(&mut self.out.buffer, b'3');
                Ok(())
            }
            Said::Query(_)
            | Said::Flush
            | Said::Sync
            | Said::Terminate
            | Said::Password(_)
            | Said::Copy
            | Said::FunctionCall => Ok(()),
        }
    }

    /// Takes a portal out; it is put back when what is done with it did not fail.
    fn portal(&mut self, name: &str) -> Result<Portal, Problem> {
        self.portals
            .remove(name)
            .ok_or_else(|| Problem::new("34000", format!("portal \"{name}\" does not exist")))
    }
}

/// Resolves when the surface ends.
async fn ended(ending: &mut watch::Receiver<bool>) {
    // An error means that the surface itself is gone: an end as well.
    let _ = ending.wait_for(|ending| *ending).await;
}
fn no_cursor(name: &str) -> Problem {
    Problem::new("34000", format!("cursor \"{name}\" does not exist"))
}
impl Portal {
    const fn new(prepared: Option<Prepared>, parameters: Vec<Parameter>, binary: Vec<bool>) -> Self {
        Self {
            prepared,
            parameters,
            binary,
            cursor: None,
            ended: false,
            declared: false,
            hold: false,
        }
    }
}
