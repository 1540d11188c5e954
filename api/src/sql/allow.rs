//! The allow-list: which statements may run at all.
//!
//! One statement: a query (SELECT, WITH, VALUES), EXPLAIN of a query, SHOW TABLES, SHOW COLUMNS, SHOW FUNCTIONS or
//! DESCRIBE. Inside a query, at any depth: no writing part (INSERT, UPDATE, DELETE, MERGE, SELECT INTO), no locks, and no table
//! functions but those that make up rows and `{table}_as_of` of a published table. What is not listed is refused; new kinds of statement are so too.

use std::ops::ControlFlow;

use datafusion::sql::{
    parser::{DFParser, Statement as TopStatement},
    sqlparser::ast::{Expr, ObjectName, Query, Select, SetExpr, Statement, TableFactor, Visit, Visitor},
};

use super::as_of;

/// Table functions that read nothing. Beside them there are those of [`as_of`], which read a published table.
const TABLE_FUNCTIONS: &[&str] = &[
    "generate_series",
    "pg_get_keywords",
    "range",
    "string_to_array",
    "unnest",
];
/// Longest statement, bytes.
pub(crate) const STATEMENT_BYTES_MAX: usize = 1 << 20;

/// Why a statement may not run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is not SQL.
    #[error("the statement cannot be parsed: {message}")]
    Syntax {
        /// What the parser said.
        message: String,
    },
    /// There is none.
    #[error("there is no statement")]
    Empty,
    /// There are several.
    #[error("one statement at a time: this is {count}")]
    Several {
        /// How many.
        count: usize,
    },
    /// It is too long.
    #[error("the statement is longer than {bytes_max} bytes")]
    TooLong {
        /// The most allowed.
        bytes_max: usize,
    },
    /// It does something else than reading.
    #[error(
        "{what} is refused: SQL is for reading (SELECT, WITH, EXPLAIN, SHOW TABLES, SHOW COLUMNS, DESCRIBE)"
    )]
    NotReading {
        /// The statement's or the part's first words.
        what: String,
    },
    /// It calls a table function that is not allowed.
    #[error("table function {name} is refused: SQL reads published tables only, no files and no addresses")]
    TableFunction {
        /// Its name.
        name: String,
    },
}

/// Holds a statement against the allow-list.
pub(crate) fn check(text: &str) -> Result<(), Refused> {
    if text.len() > STATEMENT_BYTES_MAX {
        return Err(Refused::TooLong {
            bytes_max: STATEMENT_BYTES_MAX,
        });
    }
    let mut statements = DFParser::parse_sql(text).map_err(|error| Refused::Syntax {
        message: error.strip_backtrace(),
    })?;
    let count = statements.len();
    match (statements.pop_front(), count) {
        (Some(statement), 1) => check_top(&statement),
        (None, _) => Err(Refused::Empty),
        (Some(_), count) => Err(Refused::Several { count }),
    }
}

/// Holds one statement of a client of PostgreSQL against the allow-list. It is the same list: the dialect only tells how the text was read.
pub(crate) fn check_statement_of_postgres(statement: &TopStatement) -> Result<(), Refused> {
    check_top(statement)
}

fn check_top(statement: &TopStatement) -> Result<(), Refused> {
    match statement {
        TopStatement::Statement(statement) => check_statement(statement),
        TopStatement::Explain(explain) => check_top(&explain.statement),
        TopStatement::CreateExternalTable(_) => Err(not_reading("CREATE EXTERNAL TABLE")),
        TopStatement::CopyTo(_) => Err(not_reading("COPY")),
        TopStatement::Reset(_) => Err(not_reading("RESET")),
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "an allow-list: the parser's hundred other statements are all refused"
)]
fn check_statement(statement: &Statement) -> Result<(), Refused> {
    match statement {
        Statement::Query(query) => check_query(query),
        Statement::Explain { statement, .. } => check_statement(statement),
        Statement::ExplainTable { .. }
        | Statement::ShowTables { .. }
        | Statement::ShowColumns { .. }
        | Statement::ShowFunctions { .. } => Ok(()),
        other => Err(not_reading(&first_words(&other.to_string()))),
    }
}

fn check_query(query: &Query) -> Result<(), Refused> {
    match query.visit(&mut Inspector) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(refused) => Err(refused),
    }
}

fn not_reading(what: &str) -> Refused {
    Refused::NotReading {
        what: what.to_owned(),
    }
}

/// The words in capitals that a statement begins with, at most three.
fn first_words(text: &str) -> String {
    let words: Vec<&str> = text
        .split_whitespace()
        .take(3)
        .take_while(|word| word.bytes().all(|byte| byte.is_ascii_uppercase()))
        .collect();
    if words.is_empty() {
        "this statement".to_owned()
    } else {
        words.join(" ")
    }
}

/// Looks at every part of a query, at any depth.
struct Inspector;

impl Inspector {
    fn body(body: &SetExpr) -> Result<(), Refused> {
        match body {
            SetExpr::Select(_) | SetExpr::Query(_) | SetExpr::Values(_) | SetExpr::Table(_) => Ok(()),
            SetExpr::SetOperation { left, right, .. } => {
                Self::body(left)?;
                Self::body(right)
            }
            SetExpr::Insert(_) => Err(not_reading("INSERT")),
            SetExpr::Update(_) => Err(not_reading("UPDATE")),
            SetExpr::Delete(_) => Err(not_reading("DELETE")),
            SetExpr::Merge(_) => Err(not_reading("MERGE")),
        }
    }

    fn table_function(name: &str) -> Result<(), Refused> {
        let lower = name.to_ascii_lowercase();
        let lower = lower.strip_prefix("pg_catalog.").unwrap_or(&lower).to_owned();
        if TABLE_FUNCTIONS.contains(&lower.as_str()) || as_of::is_function(&lower) {
            return Ok(());
        }
        Err(Refused::TableFunction {
            name: name.to_owned(),
        })
    }
}

fn flow(result: Result<(), Refused>) -> ControlFlow<Refused> {
    match result {
        Ok(()) => ControlFlow::Continue(()),
        Err(refused) => ControlFlow::Break(refused),
    }
}

impl Visitor for Inspector {
    type Break = Refused;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<Refused> {
        if !query.locks.is_empty() || query.for_clause.is_some() {
            return ControlFlow::Break(not_reading("FOR"));
        }
        if query.settings.is_some() {
            return ControlFlow::Break(not_reading("SETTINGS"));
        }
        flow(Self::body(&query.body))
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<Refused> {
        if select.into.is_some() {
            return ControlFlow::Break(not_reading("SELECT INTO"));
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_statement(&mut self, statement: &Statement) -> ControlFlow<Refused> {
        flow(check_statement(statement))
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the other table factors only hold tables and expressions, which are visited themselves"
    )]
    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<Refused> {
        match factor {
            TableFactor::Table {
                name, args: Some(_), ..
            }
            | TableFactor::Function { name, .. } => flow(Self::table_function(&unquoted(name))),
            TableFactor::TableFunction { expr, .. } => flow(Self::table_function(&function_name(expr))),
            _ => ControlFlow::Continue(()),
        }
    }
}

fn unquoted(name: &ObjectName) -> String {
    name.to_string().replace(['"', '`'], "")
}

fn function_name(expr: &Expr) -> String {
    if let Expr::Function(function) = expr {
        unquoted(&function.name)
    } else {
        expr.to_string()
    }
}

#[cfg(test)]
mod tests;
