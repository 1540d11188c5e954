//! Prepared statements: parsed, described, and bound to values.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use bytes::Bytes;

use super::{PORTALS_MAX, Portal, Session, Statement, Trouble};
use crate::{
    pg::{
        message,
        problem::Problem,
        statement::{self, Action},
        value,
    },
    sql::{Ask, Given, Parameter, Refused, postgres::types},
};

/// Prepared statements of a session at most.
const STATEMENTS_MAX: usize = 1_024;
/// Bytes of their texts at most.
const STATEMENT_BYTES_MAX: usize = 16 << 20;

impl Session {
    pub(super) fn parse(&mut self, name: String, text: &str, types: Vec<u32>) -> Result<(), Trouble> {
        let mut statements = statement::read(text)?;
        if statements.len() > 1 {
            return Err(Problem::from(Refused::Several {
                count: statements.len(),
            })
            .into());
        }
        if !name.is_empty() && self.statements.contains_key(&name) {
            return Err(
                Problem::new("42P05", format!("prepared statement \"{name}\" already exists")).into(),
            );
        }
        let held: usize = self
            .statements
            .values()
            .filter_map(|statement| Some(statement.prepared.as_ref()?.text.len()))
            .sum();
        if self.statements.len() >= STATEMENTS_MAX || held.saturating_add(text.len()) > STATEMENT_BYTES_MAX {
            return Err(Problem::new("54000", "too many prepared statements; DEALLOCATE some").into());
        }
        let statement = Statement {
            prepared: statements.pop(),
            types,
            described: None,
        };
        self.statements.insert(name, statement);
        message::put_plain(&mut self.out.buffer, b'1');
        Ok(())
    }

    pub(super) async fn bind(
        &mut self,
        portal: String,
        statement: &str,
        (binary, values): (&[bool], &[Option<Bytes>]),
        wanted: Vec<bool>,
    ) -> Result<(), Trouble> {
        let known = self.statement(statement)?;
        let needed = known.prepared.as_ref().map_or(0, |prepared| prepared.parameters);
        if values.len() != needed {
            return Err(Problem::protocol(format!(
                "bind message supplies {} parameters, but prepared statement \"{statement}\" requires {needed}",
                values.len()
            ))
            .into());
        }
        if !portal.is_empty() && self.portals.contains_key(&portal) {
            return Err(Problem::new("42P03", format!("cursor \"{portal}\" already exists")).into());
        }
        if self.portals.len() >= PORTALS_MAX {
            return Err(Problem::new("54000", "too many open portals; close some").into());
        }
        let unknown = |at: usize| known.types.get(at).is_none_or(|oid| *oid == types::UNSPECIFIED);
        if (0..needed).any(|at| message::of_column(binary, at) && unknown(at)) {
            self.described(statement).await?;
        }
        let known = self.statement(statement)?;
        let parameters = values
            .iter()
            .enumerate()
            .map(|(at, given)| known.parameter(at, given.as_deref(), message::of_column(binary, at)))
            .collect::<Result<_, _>>()?;
        self.portals
            .insert(portal, Portal::new(known.prepared, parameters, wanted));
        message::put_plain(&mut self.out.buffer, b'2');
        Ok(())
    }

    pub(super) fn statement(&self, name: &str) -> Result<Statement, Problem> {
        self.statements
            .get(name)
            .cloned()
            .ok_or_else(|| Problem::new("26000", format!("prepared statement \"{name}\" does not exist")))
    }

    /// Parameters and columns of a statement, asked of a worker once.
    pub(super) async fn described(&mut self, name: &str) -> Result<(Vec<u32>, Option<SchemaRef>), Trouble> {
        let statement = self.statement(name)?;
        if let Some((types, schema)) = statement.described {
            return Ok((types, Some(schema)));
        }
        let Some(prepared) = &statement.prepared else {
            return Ok((Vec::new(), None));
        };
        let is_query = matches!(prepared.action, Action::Rows(_) | Action::Declare { .. });
        if !is_query {
            let portal = Portal::new(Some(prepared.clone()), Vec::new(), Vec::new());
            return Ok((Vec::new(), self.columns(&portal)?));
        }
        let later = |oid: &u32| Parameter {
            oid: *oid,
            value: Given::Later,
        };
        let ask = Ask {
            describe: true,
            ..self.ask(prepared, statement.types.iter().map(later).collect())
        };
        let (zone, timeout) = (self.settings.zone().clone(), self.settings.timeout());
        let (sql, text) = (self.sql.clone(), Arc::clone(&prepared.text));
        let described = self
            .interrupt
            .guard(async move {
                let mut answer = sql.answer(&text, ask, (&zone, timeout)).await?;
                let schema = answer.schema().await?;
                Ok((answer.parameters().to_vec(), schema))
            })
            .await?;
        if let Some(statement) = self.statements.get_mut(name) {
            statement.described = Some(described.clone());
        }
        let columns = matches!(prepared.action, Action::Rows(_)).then_some(described.1);
        Ok((described.0, columns))
    }

    pub(super) async fn describe(&mut self, name: &str) -> Result<(), Trouble> {
        let (types, columns) = self.described(name).await?;
        message::put_parameters(&mut self.out.buffer, &types);
        match columns {
            Some(schema) => message::put_columns(&mut self.out.buffer, &schema, &[]),
            None => message::put_plain(&mut self.out.buffer, b'n'),
        }
        Ok(())
    }
}

impl Statement {
    fn parameter(&self, at: usize, given: Option<&[u8]>, binary: bool) -> Result<Parameter, Problem> {
        let told = self.types.get(at).copied().unwrap_or(types::UNSPECIFIED);
        let found = self
            .described
            .as_ref()
            .and_then(|(types, _)| types.get(at).copied());
        let oid = if told == types::UNSPECIFIED {
            found.unwrap_or(types::UNSPECIFIED)
        } else {
            told
        };
        let value = match given {
            None => Given::Null,
            Some(bytes) => Given::Text(value::text(bytes, binary, oid)?),
        };
        Ok(Parameter { oid, value })
    }
}
