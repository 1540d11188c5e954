//! Which SQLSTATE an error of the planner or of a running query has, and where in the statement it is.
//!
//! Codes: PostgreSQL 15, appendix A.

use arrow::error::ArrowError;
use datafusion::{common::SchemaError, error::DataFusionError, sql::sqlparser::tokenizer::Location};

/// Syntax error.
pub(crate) const SYNTAX: &str = "42601";
/// Something that does not exist here, or that no plan can be made of.
pub(crate) const PLAN: &str = "42000";

/// The code of an error.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the library's other errors have no code of their own"
)]
pub(crate) fn of(error: &DataFusionError) -> &'static str {
    match error.find_root() {
        DataFusionError::SQL(..) => SYNTAX,
        DataFusionError::SchemaError(schema, _) => match schema.as_ref() {
            SchemaError::FieldNotFound { .. } => "42703",
            SchemaError::AmbiguousReference { .. } => "42702",
            SchemaError::DuplicateQualifiedField { .. } | SchemaError::DuplicateUnqualifiedField { .. } => {
                "42701"
            }
        },
        DataFusionError::Plan(message) => of_message(message),
        DataFusionError::Diagnostic(..) | DataFusionError::Collection(_) => PLAN,
        DataFusionError::NotImplemented(_) => "0A000",
        DataFusionError::Configuration(_) => "42501",
        DataFusionError::ResourcesExhausted(_) => "53200",
        DataFusionError::ArrowError(arrow, _) => of_arrow(arrow),
        DataFusionError::Execution(message) => of_execution(message),
        _ => "XX000",
    }
}

/// The planner has one kind of error for most of what it refuses; its words tell them apart.
fn of_message(message: &str) -> &'static str {
    let has = |words: &str| message.contains(words);
    if has("table '") && has("not found") {
        "42P01"
    } else if has("column '") && has("not found") {
        "42703"
    } else if has("table function") && has("not found")
        || has("Invalid function")
        || has("No function matches")
    {
        "42883"
    } else if has("must appear in the GROUP BY")
        || has("must be in the GROUP BY")
        || has("non-aggregate values")
    {
        "42803"
    } else if has("coerc") || has("cannot be cast") || has("Unsupported CAST") {
        "42804"
    } else if has("is not an instant") {
        "22007"
    } else {
        PLAN
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "Arrow's other errors are not the query's fault"
)]
fn of_arrow(error: &ArrowError) -> &'static str {
    match error {
        ArrowError::DivideByZero => "22012",
        ArrowError::ArithmeticOverflow(_) => "22003",
        ArrowError::CastError(_) | ArrowError::ParseError(_) => "22P02",
        ArrowError::ComputeError(message) if message.to_ascii_lowercase().contains("overflow") => "22003",
        ArrowError::InvalidArgumentError(_) | ArrowError::ComputeError(_) => "22023",
        _ => "XX000",
    }
}

fn of_execution(message: &str) -> &'static str {
    let small = message.to_ascii_lowercase();
    if small.contains("divide by zero") {
        "22012"
    } else if small.contains("overflow") {
        "22003"
    } else if small.contains("parsing") || small.contains("parse") {
        "22007"
    } else {
        "22000"
    }
}

/// Whether a statement was refused because two of its columns have one name.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "no other error speaks of equal names"
)]
pub(crate) fn has_equal_names(error: &DataFusionError) -> bool {
    match error.find_root() {
        DataFusionError::SchemaError(schema, _) => match schema.as_ref() {
            SchemaError::AmbiguousReference { .. }
            | SchemaError::DuplicateQualifiedField { .. }
            | SchemaError::DuplicateUnqualifiedField { .. } => true,
            SchemaError::FieldNotFound { .. } => false,
        },
        DataFusionError::Plan(message) => message.contains("unique expression names"),
        _ => false,
    }
}

/// Where in `statement` an error is: characters from its begin, from 1.
pub(crate) fn position(error: &DataFusionError, statement: &str) -> Option<usize> {
    let span = error.diagnostic().and_then(|diagnostic| diagnostic.span);
    let at = match span {
        Some(span) => Some((span.start.line, span.start.column)),
        None => located(&error.to_string()),
    };
    let (line, column) = at.filter(|(line, column)| *line > 0 && *column > 0)?;
    offset(statement, line, column)
}

/// `… at Line: 1, Column: 8`, as the parser says it.
pub(crate) fn located(message: &str) -> Option<(u64, u64)> {
    let (_, rest) = message.rsplit_once("Line: ")?;
    let (line, rest) = rest.split_once(", Column: ")?;
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    Some((line.parse().ok()?, rest.get(..digits)?.parse().ok()?))
}

/// Characters before a place, plus one.
pub(crate) fn offset(statement: &str, line: u64, column: u64) -> Option<usize> {
    let Location { line, column } = Location { line, column };
    let before = usize::try_from(line.checked_sub(1)?).ok()?;
    let column = usize::try_from(column).ok()?;
    let characters: usize = statement
        .split('\n')
        .take(before)
        .map(|line| line.chars().count() + 1)
        .sum();
    Some(characters + column)
}

#[cfg(test)]
mod tests {
    use super::{located, offset};

    #[test]
    fn a_place_is_counted_in_characters() {
        assert_eq!(
            located("Expected: x, found: y at Line: 2, Column: 3"),
            Some((2, 3))
        );
        assert_eq!(located("nothing"), None);
        assert_eq!(offset("SELECT 'é'\n, x", 2, 3), Some(14));
    }
}
