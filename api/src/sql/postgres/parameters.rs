//! Parameters (`$1`) of a statement: their types, and their values put in their places.
//!
//! A value takes the place of its parameter as a literal of its type in the parsed statement, so that it is never read as SQL, and so that
//! functions that need a constant (`dt_balance_as_of($1)`) get one.

use std::{collections::BTreeMap, ops::ControlFlow};

use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, Statement, TableFactor, TableFunctionArgs, UnaryOperator, Value,
    Visit, VisitMut, Visitor, VisitorMut,
};

use super::{
    super::protocol::{Given, Parameter},
    rewrite::{call, cast, no_texts, null, text},
    types,
};

/// Most parameters of a statement, as PostgreSQL has it.
pub(crate) const PARAMETERS_MAX: usize = 65_535;

/// The greatest number of a parameter in a statement.
pub(crate) fn count(statement: &Statement) -> usize {
    greatest(statement)
}

/// Whether an expression holds a parameter.
pub(super) fn holds(expr: &Expr) -> bool {
    greatest(expr) > 0
}

fn greatest(part: &impl Visit) -> usize {
    struct Counter(usize);
    impl Visitor for Counter {
        type Break = ();
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            if let Some(number) = number(expr) {
                self.0 = self.0.max(number);
            }
            ControlFlow::Continue(())
        }
    }
    let mut counter = Counter(0);
    let _ = part.visit(&mut counter);
    counter.0
}

/// Which parameter an expression is.
fn number(expr: &Expr) -> Option<usize> {
    let Expr::Value(value) = expr else {
        return None;
    };
    let Value::Placeholder(name) = &value.value else {
        return None;
    };
    name.strip_prefix('$')?
        .parse()
        .ok()
        .filter(|number| (1..=PARAMETERS_MAX).contains(number))
}

/// Puts values in their places. Those not given stay, where their type is not known either.
pub(super) fn bind(statement: &mut Statement, given: &[Parameter], zone: &str) -> Result<(), String> {
    let mut binder = Binder { given, zone };
    match statement.visit(&mut binder) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(problem) => Err(problem),
    }
}

struct Binder<'a> {
    given: &'a [Parameter],
    zone: &'a str,
}

impl VisitorMut for Binder<'_> {
    type Break = String;

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<String> {
        let (TableFactor::Table {
            args: Some(TableFunctionArgs { args: arguments, .. }),
            ..
        }
        | TableFactor::Function { args: arguments, .. }) = factor
        else {
            return ControlFlow::Continue(());
        };
        for argument in arguments {
            if let FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) = argument
                && let Some(parameter) =
                    number(expr).and_then(|number| self.given.get(number.checked_sub(1)?))
                && parameter.value == Given::Later
            {
                // To describe what an `_as_of` function gives any instant will do; its result has the same columns at every one.
                *expr = text("2000-01-01T00:00:00Z");
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<String> {
        // `x = ANY($1)` where the type of `$1` is not said: an array by its look.
        if let Expr::AnyOp { right, .. } | Expr::AllOp { right, .. } = expr {
            let mut inner = right.as_mut();
            if let Expr::Nested(nested) = inner {
                inner = nested.as_mut();
            }
            let parameter = number(inner).and_then(|number| self.given.get(number.checked_sub(1)?));
            if let Some(parameter) = parameter
                && [types::UNSPECIFIED, types::TEXT].contains(&parameter.oid)
                && let Given::Text(given) = &parameter.value
                && let Some(elements) = elements(given)
            {
                let elements: Vec<Expr> = elements
                    .iter()
                    .map(|element| element.as_deref().map_or_else(null, text))
                    .collect();
                *inner = if elements.is_empty() {
                    no_texts()
                } else {
                    call("make_array", elements)
                };
            }
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<String> {
        let Some(parameter) = number(expr).and_then(|number| self.given.get(number.checked_sub(1)?)) else {
            return ControlFlow::Continue(());
        };
        match literal(parameter, self.zone) {
            Ok(Some(value)) => {
                *expr = value;
                ControlFlow::Continue(())
            }
            Ok(None) => ControlFlow::Continue(()),
            Err(problem) => ControlFlow::Break(problem),
        }
    }
}

/// A value as an expression; `None`: neither value nor type is known.
fn literal(parameter: &Parameter, zone: &str) -> Result<Option<Expr>, String> {
    let typed =
        |value: Expr| sql_type(parameter.oid).map_or_else(|| value.clone(), |kind| cast(value.clone(), kind));
    Ok(match &parameter.value {
        Given::Later if parameter.oid == types::UNSPECIFIED => None,
        Given::Later | Given::Null => Some(typed(null())),
        Given::Text(given) => Some(value(parameter.oid, given, zone)?),
    })
}

fn value(oid: u32, given: &str, zone: &str) -> Result<Expr, String> {
    let kind = types::by_oid(oid);
    let wrong = || {
        let name = kind.map_or("text", |kind| kind.name);
        format!("invalid input syntax for type {name}: \"{given}\"")
    };
    if let Some(kind) = kind.filter(|kind| kind.element != 0) {
        let given = elements(given).ok_or_else(wrong)?;
        let given: Vec<Expr> = given
            .iter()
            .map(|element| {
                element
                    .as_deref()
                    .map_or_else(|| Ok(null()), |element| value(kind.element, element, zone))
            })
            .collect::<Result<_, _>>()?;
        let array = call("make_array", given);
        return Ok(array);
    }
    let trimmed = given.trim();
    Ok(match kind.map_or("text", |kind| kind.name) {
        "bool" => Expr::Value(Value::Boolean(boolean(trimmed).ok_or_else(wrong)?).into()),
        "int2" | "int4" | "int8" | "oid" => {
            let whole: i64 = trimmed.parse().map_err(|_| wrong())?;
            let digits = Expr::Value(Value::Number(whole.unsigned_abs().to_string(), false).into());
            if whole < 0 {
                Expr::UnaryOp {
                    op: UnaryOperator::Minus,
                    expr: Box::new(digits),
                }
            } else {
                digits
            }
        }
        "float4" | "float8" => {
            let number: f64 = trimmed.parse().map_err(|_| wrong())?;
            call("arrow_cast", vec![text(&number.to_string()), text("Float64")])
        }
        "numeric" => {
            let decimals = decimals(trimmed).ok_or_else(wrong)?;
            call(
                "arrow_cast",
                vec![text(trimmed), text(&format!("Decimal128(38, {decimals})"))],
            )
        }
        "date" => call("arrow_cast", vec![text(civil_day(trimmed)), text("Date32")]),
        "timestamp" => call(
            "arrow_cast",
            vec![text(on_the_clock(trimmed)), text("Timestamp(Microsecond, None)")],
        ),
        "timestamptz" => {
            // Without offset it is meant in the session's zone.
            let there = format!("Timestamp(Microsecond, Some(\"{zone}\"))");
            let day = civil_day(trimmed);
            let midnight = match trimmed.strip_prefix(day).map(str::trim_start) {
                Some(offset) if !offset.is_empty() => format!("{day} 00:00:00{offset}"),
                Some(_) | None => trimmed.to_owned(),
            };
            call("arrow_cast", vec![text(&midnight), text(&there)])
        }
        _ => text(given),
    })
}

/// A day without the offset that may stand after it (`2026-04-01 +05:30`, as JDBC writes one); PostgreSQL does not heed it. What is no such
/// day stays as it is.
pub(super) fn civil_day(text: &str) -> &str {
    let Some((day, offset)) = text.split_once(' ') else {
        return text;
    };
    let is_day = day.len() >= 10 && day.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    let digits = offset.strip_prefix(['+', '-']).unwrap_or_default();
    let is_offset = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b':');
    if is_day && is_offset { day } else { text }
}

/// A time as its clock shows it, without the offset that may stand after it: JDBC writes one after a time that is said to have none, and
/// PostgreSQL does not heed it.
fn on_the_clock(text: &str) -> &str {
    let offset = text
        .char_indices()
        .skip("2026-04-01".len())
        .find(|(_, letter)| ['+', '-', 'Z', 'z'].contains(letter));
    let clock = offset.and_then(|(at, _)| text.get(..at));
    clock.unwrap_or(text).trim_end()
}

fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "t" | "true" | "yes" | "y" | "on" | "1" => Some(true),
        "f" | "false" | "no" | "n" | "off" | "0" => Some(false),
        _ => None,
    }
}

/// Digits after the point of a plain decimal number.
fn decimals(text: &str) -> Option<usize> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let plain = (whole.len() + fraction.len()) > 0 && (whole.len() + fraction.len()) <= 38;
    let all_digits = whole
        .bytes()
        .chain(fraction.bytes())
        .all(|byte| byte.is_ascii_digit());
    (plain && all_digits).then_some(fraction.len())
}

/// The type that a null of this type is cast to.
fn sql_type(oid: u32) -> Option<datafusion::sql::sqlparser::ast::DataType> {
    use datafusion::sql::sqlparser::ast::{DataType, TimezoneInfo};
    Some(match types::by_oid(oid)?.name {
        "bool" => DataType::Boolean,
        "int2" => DataType::SmallInt(None),
        "int4" => DataType::Integer(None),
        "int8" | "oid" => DataType::BigInt(None),
        "float4" => DataType::Real,
        "float8" => DataType::DoublePrecision,
        "date" => DataType::Date,
        "timestamp" => DataType::Timestamp(None, TimezoneInfo::None),
        "timestamptz" => DataType::Timestamp(None, TimezoneInfo::Tz),
        "text" | "varchar" | "bpchar" | "name" => DataType::Text,
        _ => return None,
    })
}

/// The elements of an array as PostgreSQL writes one (`{a,"b c",NULL}`), of one dimension.
pub(super) fn elements(text: &str) -> Option<Vec<Option<String>>> {
    let inner = text.trim().strip_prefix('{')?.strip_suffix('}')?;
    let mut found = Vec::new();
    if inner.trim().is_empty() {
        return Some(found);
    }
    let mut letters = inner.chars().peekable();
    loop {
        while letters.next_if(|letter| letter.is_whitespace()).is_some() {}
        let mut element = String::new();
        let quoted = letters.next_if_eq(&'"').is_some();
        loop {
            match letters.next() {
                Some('\\') => element.push(letters.next()?),
                Some('"') if quoted => break,
                Some('{' | '}' | '"') if !quoted => return None,
                Some(',') if !quoted => {
                    found.push(unquoted(&element));
                    element.clear();
                    break;
                }
                Some(letter) => element.push(letter),
                None if quoted => return None,
                None => {
                    found.push(unquoted(&element));
                    return Some(found);
                }
            }
        }
        if quoted {
            found.push(Some(element));
            while letters.next_if(|letter| letter.is_whitespace()).is_some() {}
            match letters.next() {
                None => return Some(found),
                Some(',') => {}
                Some(_) => return None,
            }
        }
    }
}

fn unquoted(element: &str) -> Option<String> {
    let element = element.trim_end();
    (!element.eq_ignore_ascii_case("null")).then(|| element.to_owned())
}

/// The types of a statement's parameters: those given, else those that the plan needs, else text.
pub(super) fn types_of(count: usize, given: &[Parameter], needed: &BTreeMap<usize, u32>) -> Vec<u32> {
    (1..=count)
        .map(|number| {
            let told = given
                .get(number.saturating_sub(1))
                .map_or(types::UNSPECIFIED, |parameter| parameter.oid);
            if told == types::UNSPECIFIED {
                needed.get(&number).copied().unwrap_or(types::TEXT)
            } else {
                told
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{civil_day, decimals, elements, on_the_clock};

    #[test]
    fn arrays_are_read_as_postgresql_writes_them() {
        let some = |text: &str| Some(text.to_owned());
        for (text, expected) in [
            ("{}", Some(vec![])),
            ("{a,b}", Some(vec![some("a"), some("b")])),
            ("{ a , NULL,\"NULL\"}", Some(vec![some("a"), None, some("NULL")])),
            (
                r#"{"a,\"b\"","{c}\\"}"#,
                Some(vec![some("a,\"b\""), some("{c}\\")]),
            ),
            ("{1}", Some(vec![some("1")])),
            ("{{1},{2}}", None),
            ("{\"a", None),
            ("a", None),
        ] {
            assert_eq!(elements(text), expected, "{text}");
        }
    }

    #[test]
    fn a_day_loses_its_offset() {
        for (text, expected) in [
            ("2026-04-01 +00", "2026-04-01"),
            ("2026-04-01 +05:30", "2026-04-01"),
            ("2026-04-01 -03", "2026-04-01"),
            ("2026-04-01", "2026-04-01"),
            ("2026-04-01 00:00:00", "2026-04-01 00:00:00"),
            ("2026-04-01 00:00:00+05:30", "2026-04-01 00:00:00+05:30"),
            ("2026-04-01 +", "2026-04-01 +"),
            ("soon +00", "soon +00"),
        ] {
            assert_eq!(civil_day(text), expected);
        }
    }

    #[test]
    fn a_time_without_zone_loses_its_offset() {
        for (text, expected) in [
            ("2026-04-01 00:30:00+05:30", "2026-04-01 00:30:00"),
            ("2026-04-01T00:30:00.5Z", "2026-04-01T00:30:00.5"),
            ("2026-04-01 00:30:00 -03", "2026-04-01 00:30:00"),
            ("2026-04-01 +05:30", "2026-04-01"),
            ("2026-04-01 00:30:00", "2026-04-01 00:30:00"),
            ("soon", "soon"),
        ] {
            assert_eq!(on_the_clock(text), expected);
        }
    }

    #[test]
    fn decimals_are_counted_in_plain_numbers_only() {
        for (text, expected) in [
            ("1.50", Some(2)),
            ("-7", Some(0)),
            (".5", Some(1)),
            ("1e5", None),
            ("NaN", None),
            ("", None),
        ] {
            assert_eq!(decimals(text), expected, "{text}");
        }
    }
}
