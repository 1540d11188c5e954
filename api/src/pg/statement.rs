//! What a client's text is: statements for a worker, and those that the session answers itself.
//!
//! Every statement is held against the allow-list here, in whichever protocol it comes, and before any of them runs.

use std::sync::Arc;

use datafusion::sql::{
    parser::{ResetStatement, Statement as TopStatement},
    sqlparser::ast::{
        CloseCursor, ContextModifier, Expr, FetchDirection, Ident, Set, Statement, TransactionAccessMode,
        TransactionMode, UnaryOperator, Value, ValueWithSpan,
    },
};

use super::problem::Problem;
use crate::sql::{
    Refused, STATEMENT_BYTES_MAX, check_statement_of_postgres,
    postgres::{self, parameters, state},
};

/// Most statements of one text.
const STATEMENTS_MAX: usize = 64;

/// A statement of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Prepared {
    pub(super) text: Arc<str>,
    /// Which one.
    pub(super) at: usize,
    pub(super) action: Action,
    /// How many parameters it has.
    pub(super) parameters: usize,
}

/// What a statement does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Action {
    /// A worker answers it with rows; the word is that of its completion.
    Rows(&'static str),
    Declare {
        name: String,
        hold: bool,
    },
    Fetch {
        name: String,
        count: Option<u64>,
    },
    /// A cursor; `None`: all.
    CloseCursor(Option<String>),
    Set {
        name: String,
        value: Option<String>,
    },
    /// A setting; `None`: all.
    Reset(Option<String>),
    Show(String),
    ShowAll,
    Begin,
    Commit,
    Rollback,
    /// Back to a savepoint.
    RollbackTo,
    /// Forget everything.
    Discard,
    /// A prepared statement; `None`: all.
    Deallocate(Option<String>),
    /// Nothing; the word is that of its completion.
    Nothing(&'static str),
}

/// Reads a text. Refused is the whole where one statement may not run.
pub(super) fn read(text: &str) -> Result<Vec<Prepared>, Problem> {
    if text.len() > STATEMENT_BYTES_MAX {
        return Err(Refused::TooLong {
            bytes_max: STATEMENT_BYTES_MAX,
        }
        .into());
    }
    let statements = match postgres::parse(text) {
        Ok(statements) => statements,
        Err(error) => return Err(unreadable(text, &error.strip_backtrace())),
    };
    if statements.len() > STATEMENTS_MAX {
        return Err(Problem::new(
            "54000",
            format!("at most {STATEMENTS_MAX} statements at a time are possible"),
        ));
    }
    let text: Arc<str> = text.into();
    statements
        .iter()
        .enumerate()
        .map(|(at, statement)| {
            let (action, parameters) = action(statement)?;
            Ok(Prepared {
                text: Arc::clone(&text),
                at,
                action,
                parameters,
            })
        })
        .collect()
}

/// Why a text is no SQL; of COPY and its kin that it is refused.
fn unreadable(text: &str, said: &str) -> Problem {
    let first = text.split_whitespace().next().unwrap_or_default();
    if first.eq_ignore_ascii_case("COPY") {
        return Refused::NotReading {
            what: "COPY".to_owned(),
        }
        .into();
    }
    let place = state::located(said).and_then(|(line, column)| state::offset(text, line, column));
    let words = said
        .trim_start_matches("SQL error: ")
        .trim_start_matches("ParserError(\"")
        .trim_end_matches("\")");
    Problem {
        position: place,
        ..Problem::new(state::SYNTAX, format!("syntax error: {words}"))
    }
}

fn action(statement: &TopStatement) -> Result<(Action, usize), Problem> {
    let plain = |action| Ok((action, 0));
    let statement = match statement {
        TopStatement::Statement(statement) => statement.as_ref(),
        TopStatement::Reset(ResetStatement::Variable(name)) => {
            let name = name.to_string();
            return plain(Action::Reset((!name.eq_ignore_ascii_case("all")).then_some(name)));
        }
        TopStatement::Explain(_) | TopStatement::CreateExternalTable(_) | TopStatement::CopyTo(_) => {
            check_statement_of_postgres(statement)?;
            let count = postgres::innermost(statement).map_or(0, parameters::count);
            return Ok((Action::Rows("EXPLAIN"), count));
        }
    };
    if let Some(action) = of_session(statement)? {
        return plain(action);
    }
    if let Statement::Declare { stmts } = statement {
        return declare(stmts, statement);
    }
    check_statement_of_postgres(&TopStatement::Statement(Box::new(statement.clone())))?;
    let explains = matches!(
        statement,
        Statement::Explain { .. } | Statement::ExplainTable { .. }
    );
    let word = if explains { "EXPLAIN" } else { "SELECT" };
    Ok((Action::Rows(word), parameters::count(statement)))
}

fn declare(
    declared: &[datafusion::sql::sqlparser::ast::Declare],
    statement: &Statement,
) -> Result<(Action, usize), Problem> {
    let [one] = declared else {
        return Err(Problem::new(state::SYNTAX, "one cursor at a time is declared"));
    };
    let (Some(name), Some(query)) = (one.names.first(), &one.for_query) else {
        return Err(Problem::new(state::SYNTAX, "a cursor is declared for a query"));
    };
    if one.scroll == Some(true) {
        return Err(Problem::new("0A000", "a cursor goes forward only here"));
    }
    let query = Statement::Query(query.clone());
    check_statement_of_postgres(&TopStatement::Statement(Box::new(query)))?;
    let action = Action::Declare {
        name: named(name),
        hold: one.hold == Some(true),
    };
    Ok((action, parameters::count(statement)))
}

/// A name as PostgreSQL folds it.
fn named(name: &Ident) -> String {
    if name.quote_style.is_some() {
        name.value.clone()
    } else {
        name.value.to_ascii_lowercase()
    }
}

/// What the session answers itself.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "all other statements are held against the allow-list"
)]
fn of_session(statement: &Statement) -> Result<Option<Action>, Problem> {
    Ok(Some(match statement {
        Statement::Set(set) => of_set(set)?,
        Statement::Reset(reset) => match &reset.reset {
            datafusion::sql::sqlparser::ast::Reset::ALL => Action::Reset(None),
            datafusion::sql::sqlparser::ast::Reset::ConfigurationParameter(name) => {
                Action::Reset(Some(name.to_string()))
            }
        },
        Statement::ShowVariable { variable } => {
            let words: Vec<&str> = variable.iter().map(|word| word.value.as_str()).collect();
            let name = words.join(" ");
            if name.eq_ignore_ascii_case("all") {
                Action::ShowAll
            } else {
                // `SHOW a.b` comes as two words.
                Action::Show(name)
            }
        }
        Statement::StartTransaction {
            modes, statements, ..
        } if statements.is_empty() => {
            reading(modes)?;
            Action::Begin
        }
        Statement::Commit { .. } => Action::Commit,
        Statement::Rollback { savepoint: None, .. } => Action::Rollback,
        Statement::Rollback { .. } => Action::RollbackTo,
        Statement::Savepoint { .. } => Action::Nothing("SAVEPOINT"),
        Statement::ReleaseSavepoint { .. } => Action::Nothing("RELEASE"),
        Statement::Discard { .. } => Action::Discard,
        Statement::Deallocate { name, .. } => {
            let all = name.quote_style.is_none() && name.value.eq_ignore_ascii_case("all");
            Action::Deallocate((!all).then(|| named(name)))
        }
        Statement::UNLISTEN { .. } => Action::Nothing("UNLISTEN"),
        Statement::Fetch {
            name,
            direction,
            into: None,
            ..
        } => Action::Fetch {
            name: named(name),
            count: fetched(direction)?,
        },
        Statement::Close { cursor } => Action::CloseCursor(match cursor {
            CloseCursor::All => None,
            CloseCursor::Specific { name } => Some(named(name)),
        }),
        _ => return Ok(None),
    }))
}

/// How many rows are fetched; `None`: all that are left.
fn fetched(direction: &FetchDirection) -> Result<Option<u64>, Problem> {
    let count = |limit: &ValueWithSpan| {
        limit
            .to_string()
            .parse::<u64>()
            .map(Some)
            .map_err(|_| Problem::new("55000", "cursor can only scan forward"))
    };
    match direction {
        FetchDirection::Next | FetchDirection::Forward { limit: None } => Ok(Some(1)),
        FetchDirection::Count { limit } | FetchDirection::Forward { limit: Some(limit) } => count(limit),
        FetchDirection::All | FetchDirection::ForwardAll => Ok(None),
        FetchDirection::Prior
        | FetchDirection::First
        | FetchDirection::Last
        | FetchDirection::Absolute { .. }
        | FetchDirection::Relative { .. }
        | FetchDirection::Backward { .. }
        | FetchDirection::BackwardAll => Err(Problem::new("55000", "cursor can only scan forward")),
    }
}

fn reading(modes: &[TransactionMode]) -> Result<(), Problem> {
    let writes = modes.contains(&TransactionMode::AccessMode(TransactionAccessMode::ReadWrite));
    if writes {
        return Err(Problem::new(
            "25006",
            "cannot set transaction read-write mode: SQL is for reading here",
        ));
    }
    Ok(())
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "other databases' forms of SET are not known here"
)]
fn of_set(set: &Set) -> Result<Action, Problem> {
    Ok(match set {
        Set::SingleAssignment {
            scope,
            variable,
            values,
            ..
        } => {
            if *scope == Some(ContextModifier::Global) {
                return Err(Problem::new("42501", "SET GLOBAL is refused"));
            }
            Action::Set {
                name: variable.to_string().replace('"', ""),
                value: value_of(values),
            }
        }
        Set::SetTimeZone { value, .. } => Action::Set {
            name: "TimeZone".to_owned(),
            value: value_of(std::slice::from_ref(value)),
        },
        Set::SetNames { charset_name, .. } => Action::Set {
            name: "client_encoding".to_owned(),
            value: Some(charset_name.value.clone()),
        },
        Set::SetTransaction { modes, .. } => {
            reading(modes)?;
            Action::Nothing("SET")
        }
        Set::SetRole { role_name: None, .. } => Action::Nothing("SET"),
        Set::SetRole { .. } | Set::SetSessionAuthorization(_) => {
            return Err(Problem::new("42501", "permission denied to act as somebody else"));
        }
        other => {
            return Err(Problem::new("0A000", format!("{other} is refused")));
        }
    })
}

/// A value as text; `None`: DEFAULT, or LOCAL of a zone.
fn value_of(values: &[Expr]) -> Option<String> {
    if let [Expr::Identifier(word)] = values
        && ["default", "local"].contains(&word.value.to_ascii_lowercase().as_str())
    {
        return None;
    }
    let words: Vec<String> = values.iter().map(word_of).collect();
    Some(words.join(", "))
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "anything else is kept as it is written"
)]
fn word_of(expr: &Expr) -> String {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) | Value::DoubleQuotedString(text) => text.clone(),
            Value::Number(digits, _) => digits.clone(),
            Value::Boolean(truth) => if *truth { "on" } else { "off" }.to_owned(),
            other => other.to_string(),
        },
        Expr::Identifier(word) => word.value.clone(),
        Expr::UnaryOp {
            op: UnaryOperator::Minus,
            expr,
        } => format!("-{}", word_of(expr)),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Action, read};

    fn one(text: &str) -> Action {
        let mut statements = read(text).unwrap_or_else(|problem| panic!("{text}: {problem:?}"));
        assert_eq!(statements.len(), 1, "{text}");
        statements.pop().unwrap().action
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table of cases")]
    fn what_a_session_answers_itself_is_told_from_what_a_worker_does() {
        let set = |name: &str, value: Option<&str>| Action::Set {
            name: name.to_owned(),
            value: value.map(str::to_owned),
        };
        for (text, expected) in [
            ("SELECT 1", Action::Rows("SELECT")),
            ("WITH a AS (SELECT 1) SELECT * FROM a;", Action::Rows("SELECT")),
            ("EXPLAIN SELECT 1", Action::Rows("EXPLAIN")),
            ("SET extra_float_digits = 3", set("extra_float_digits", Some("3"))),
            (
                "SET SESSION search_path TO a, b",
                set("search_path", Some("a, b")),
            ),
            (
                "SET TIME ZONE 'Asia/Kolkata'",
                set("TimeZone", Some("Asia/Kolkata")),
            ),
            ("SET TIME ZONE DEFAULT", set("TimeZone", None)),
            ("SET datestyle TO DEFAULT", set("datestyle", None)),
            (
                "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
                Action::Nothing("SET"),
            ),
            ("RESET ALL", Action::Reset(None)),
            ("SHOW server_version", Action::Show("server_version".to_owned())),
            (
                "show transaction isolation level",
                Action::Show("transaction isolation level".to_owned()),
            ),
            ("SHOW ALL", Action::ShowAll),
            ("BEGIN", Action::Begin),
            (
                "begin transaction isolation level repeatable read read only",
                Action::Begin,
            ),
            ("START TRANSACTION READ ONLY", Action::Begin),
            ("COMMIT", Action::Commit),
            ("END", Action::Commit),
            ("ROLLBACK", Action::Rollback),
            ("ROLLBACK TO SAVEPOINT a", Action::RollbackTo),
            ("SAVEPOINT a", Action::Nothing("SAVEPOINT")),
            ("RELEASE a", Action::Nothing("RELEASE")),
            ("DISCARD ALL", Action::Discard),
            ("DEALLOCATE ALL", Action::Deallocate(None)),
            (
                "DEALLOCATE \"_pg3_0\"",
                Action::Deallocate(Some("_pg3_0".to_owned())),
            ),
            (
                "DECLARE C CURSOR FOR SELECT 1",
                Action::Declare {
                    name: "c".to_owned(),
                    hold: false,
                },
            ),
            (
                "DECLARE \"C\" NO SCROLL CURSOR WITH HOLD FOR SELECT 1",
                Action::Declare {
                    name: "C".to_owned(),
                    hold: true,
                },
            ),
            (
                "FETCH FORWARD 100 FROM c",
                Action::Fetch {
                    name: "c".to_owned(),
                    count: Some(100),
                },
            ),
            (
                "FETCH ALL FROM c",
                Action::Fetch {
                    name: "c".to_owned(),
                    count: None,
                },
            ),
            ("CLOSE c", Action::CloseCursor(Some("c".to_owned()))),
            ("CLOSE ALL", Action::CloseCursor(None)),
            ("UNLISTEN *", Action::Nothing("UNLISTEN")),
        ] {
            assert_eq!(one(text), expected, "{text}");
        }
        assert_eq!(read(" ; ;").unwrap(), []);
    }

    #[test]
    fn sql_1_one_refused_statement_refuses_the_whole_text() {
        for (text, sqlstate) in [
            ("SELECT 1; DROP TABLE nodes", "25006"),
            ("BEGIN; DELETE FROM nodes; COMMIT", "25006"),
            ("INSERT INTO nodes VALUES (1)", "25006"),
            (
                "CREATE EXTERNAL TABLE x STORED AS CSV LOCATION '/etc/passwd'",
                "25006",
            ),
            ("COPY nodes TO STDOUT", "0A000"),
            ("COPY nodes FROM STDIN", "0A000"),
            ("COPY (SELECT 1) TO '/tmp/x'", "0A000"),
            ("EXPLAIN ANALYZE COPY nodes TO 'x.csv'", "0A000"),
            ("SELECT * FROM read_csv('/etc/passwd')", "42501"),
            ("SELECT * FROM pg_catalog.pg_read_file('/etc/passwd')", "42501"),
            (
                "DECLARE c CURSOR FOR SELECT * FROM read_csv('/etc/passwd')",
                "42501",
            ),
            ("DECLARE c CURSOR FOR SELECT * INTO x FROM nodes", "25006"),
            ("BEGIN READ WRITE", "25006"),
            ("SET ROLE postgres", "42501"),
            ("SET SESSION AUTHORIZATION postgres", "42501"),
            ("PREPARE p AS SELECT 1", "25006"),
            ("SELEC 1", "42601"),
        ] {
            let problem = read(text).expect_err(text);
            assert_eq!(problem.sqlstate, sqlstate, "{text}: {problem:?}");
        }
        assert_eq!(read("SELECT 1,\n FROM FROM x").unwrap_err().position, Some(17));
    }
}
