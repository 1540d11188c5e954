//! From a statement as PostgreSQL's tools write it to one that is planned here.
//!
//! - `x OPERATOR(pg_catalog.~) y`, `x COLLATE c`, `pg_catalog.f(x)`, types with `pg_catalog.` before them: the plain form.
//! - `'nodes'::regclass` is an object id, `oid::regclass` a name; so for `regtype` and `regnamespace`.
//! - Most relations of `pg_catalog` are always empty. A query that joins one of them in (not by an outer join from the other side)
//!   has no row: its columns become nulls, without looking into what computes them. As a scalar it is null, as an array empty, in EXISTS
//!   and IN false.
//! - `ARRAY(query)` is the aggregate of its column.
//! - A subquery over `pg_catalog` that is used as a value gives one row there, though the planner cannot know: it takes the least.
//!
//! The last three hold for the catalogues only. What reads published tables is planned as it is written.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    ArrayElemTypeDef, BinaryOperator, CastKind, DataType, ExactNumberInfo, Expr, Function, FunctionArg,
    FunctionArgExpr, FunctionArgumentList, FunctionArguments, Ident, ObjectName, ObjectNamePart, Query,
    Select, SelectItem, SetExpr, Statement, TableFactor, TimezoneInfo, Value, VisitMut, VisitorMut,
};

use super::relations;
use empty::{empty, has_lone_aggregate, has_no_row, is_empty_select};

mod empty;

/// Rewrites a statement.
pub(super) fn rewrite(statement: &mut Statement) {
    // The visitor never breaks.
    let _ = statement.visit(&mut Rewriter);
}

struct Rewriter;

impl VisitorMut for Rewriter {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        if let SetExpr::Select(select) = query.body.as_mut()
            && is_empty_select(select)
        {
            empty(select);
        }
        if has_no_row(query) {
            query.order_by = None;
            query.limit_clause = None;
        }
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        // What was read from queries that turned out empty is empty too.
        self.pre_visit_query(query)
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        if is_empty_select(select) {
            empty(select);
        }
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        self.pre_visit_select(select)
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::InSubquery {
            expr: value,
            subquery,
            negated,
        } = expr
            && subquery
                .to_string()
                .contains("string_to_array(current_setting('search_path')")
        {
            // Grafana unfolds the search path; it is `public`.
            *expr = Expr::InList {
                expr: value.clone(),
                list: vec![text("public")],
                negated: *negated,
            };
        }
        if unfolds_options(expr) {
            *expr = no_texts();
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        rewrite_expr(expr);
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        if let TableFactor::Table {
            name, args: Some(_), ..
        }
        | TableFactor::Function { name, .. } = factor
        {
            strip_catalog(name);
        }
        ControlFlow::Continue(())
    }
}

/// `ARRAY(SELECT … FROM unnest(x.reloptions) …)`: no table has options.
fn unfolds_options(expr: &Expr) -> bool {
    let Expr::Function(function) = expr else {
        return false;
    };
    match &function.args {
        FunctionArguments::Subquery(query) => {
            is_named(&function.name, "array") && query.to_string().contains("unnest(tc.reloptions)")
        }
        FunctionArguments::None | FunctionArguments::List(_) => false,
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "all else is planned as it is")]
fn rewrite_expr(expr: &mut Expr) {
    match expr {
        Expr::BinaryOp { op, .. } => {
            if let BinaryOperator::PGCustomBinaryOperator(parts) = op
                && let Some(plain) = parts.last().and_then(|name| plain_operator(name))
            {
                *op = plain;
            }
        }
        Expr::Collate { expr: inner, .. } => *expr = take(inner),
        Expr::Cast { .. } => rewrite_cast(expr),
        Expr::Function(function) => {
            strip_catalog(&mut function.name);
            if let Some(changed) = changed_function(function) {
                *expr = changed;
            }
        }
        Expr::Subquery(query) => {
            if has_no_row(query) {
                *expr = null();
            } else {
                take_least(query);
            }
        }
        Expr::Exists { subquery, negated } if has_no_row(subquery) => *expr = truth(*negated),
        Expr::InSubquery {
            subquery, negated, ..
        } if has_no_row(subquery) => *expr = truth(*negated),
        _ => {}
    }
}

fn take(expr: &mut Expr) -> Expr {
    std::mem::replace(expr, null())
}

pub(super) fn null() -> Expr {
    Expr::Value(Value::Null.into())
}

pub(super) fn text(text: &str) -> Expr {
    Expr::Value(Value::SingleQuotedString(text.to_owned()).into())
}

fn truth(value: bool) -> Expr {
    Expr::Value(Value::Boolean(value).into())
}

/// A call of a function with these arguments.
pub(super) fn call(name: &str, arguments: Vec<Expr>) -> Expr {
    let args = arguments
        .into_iter()
        .map(|argument| FunctionArg::Unnamed(FunctionArgExpr::Expr(argument)))
        .collect();
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::new(name)]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args,
            clauses: Vec::new(),
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

/// `expr` as `data_type`.
pub(super) fn cast(expr: Expr, data_type: DataType) -> Expr {
    Expr::Cast {
        kind: CastKind::Cast,
        expr: Box::new(expr),
        data_type,
        array: false,
        format: None,
    }
}

/// An array of text without element.
pub(super) fn no_texts() -> Expr {
    call("array_remove", vec![call("make_array", vec![text("")]), text("")])
}

fn plain_operator(name: &str) -> Option<BinaryOperator> {
    Some(match name {
        "~" => BinaryOperator::PGRegexMatch,
        "~*" => BinaryOperator::PGRegexIMatch,
        "!~" => BinaryOperator::PGRegexNotMatch,
        "!~*" => BinaryOperator::PGRegexNotIMatch,
        "~~" => BinaryOperator::PGLikeMatch,
        "!~~" => BinaryOperator::PGNotLikeMatch,
        "=" => BinaryOperator::Eq,
        "<>" => BinaryOperator::NotEq,
        "<" => BinaryOperator::Lt,
        ">" => BinaryOperator::Gt,
        "<=" => BinaryOperator::LtEq,
        ">=" => BinaryOperator::GtEq,
        "+" => BinaryOperator::Plus,
        "-" => BinaryOperator::Minus,
        "||" => BinaryOperator::StringConcat,
        _ => return None,
    })
}

fn is_named(name: &ObjectName, wanted: &str) -> bool {
    last_part(name).is_some_and(|last| last.value.eq_ignore_ascii_case(wanted))
}

fn last_part(name: &ObjectName) -> Option<&Ident> {
    name.0.last().and_then(ObjectNamePart::as_ident)
}

fn strip_catalog(name: &mut ObjectName) {
    let qualified = name.0.len() == 2
        && name
            .0
            .first()
            .and_then(ObjectNamePart::as_ident)
            .is_some_and(|schema| schema.value.eq_ignore_ascii_case(relations::PG_CATALOG));
    if qualified {
        name.0.remove(0);
    }
}

fn arguments(function: &Function) -> Vec<Expr> {
    let FunctionArguments::List(list) = &function.args else {
        return Vec::new();
    };
    list.args
        .iter()
        .filter_map(|argument| match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
            FunctionArg::Unnamed(_) | FunctionArg::Named { .. } | FunctionArg::ExprNamed { .. } => None,
        })
        .collect()
}

fn changed_function(function: &mut Function) -> Option<Expr> {
    let name = last_part(&function.name)?.value.to_ascii_lowercase();
    match name.as_str() {
        "array" => {
            let FunctionArguments::Subquery(query) = &mut function.args else {
                return None;
            };
            Some(if has_no_row(query) {
                no_texts()
            } else {
                aggregated(query)?
            })
        }
        "current_schemas" => {
            let with_system = arguments(function)
                .first()
                .is_some_and(|first| first.to_string() == "true");
            let mut schemas = vec![text("public")];
            if with_system {
                schemas.insert(0, text(relations::PG_CATALOG));
            }
            Some(call("make_array", schemas))
        }
        "array_upper" => Some(cast(
            call("array_length", arguments(function)),
            DataType::BigInt(None),
        )),
        "array_lower" => Some(Expr::Value(Value::Number("1".to_owned(), false).into())),
        _ => None,
    }
}

/// `(SELECT array_agg(column) FROM (query))`.
fn aggregated(query: &Query) -> Option<Expr> {
    let SetExpr::Select(select) = query.body.as_ref() else {
        return None;
    };
    let [item] = select.projection.as_slice() else {
        return None;
    };
    let mut inner = select.clone();
    let expr = match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => expr.clone(),
        SelectItem::ExprWithAliases { .. } | SelectItem::QualifiedWildcard(..) | SelectItem::Wildcard(_) => {
            return None;
        }
    };
    inner.projection = vec![SelectItem::UnnamedExpr(call("array_agg", vec![expr]))];
    let mut outer = query.clone();
    outer.body = Box::new(SetExpr::Select(inner));
    outer.order_by = None;
    Some(Expr::Subquery(Box::new(outer)))
}

/// A custom type's name without schema, in small letters.
fn custom_name(kind: &DataType) -> Option<String> {
    let DataType::Custom(name, _) = kind else {
        return None;
    };
    Some(last_part(name)?.value.to_ascii_lowercase())
}

fn rewrite_cast(expr: &mut Expr) {
    let Expr::Cast {
        expr: inner,
        data_type,
        ..
    } = expr
    else {
        return;
    };
    let regclass = matches!(data_type, DataType::Regclass);
    match custom_name(data_type).as_deref() {
        Some("regclass") => *expr = registered("regclass", take(inner)),
        None if regclass => *expr = registered("regclass", take(inner)),
        Some("regtype") => *expr = registered("regtype", take(inner)),
        Some("regnamespace") => *expr = registered("regnamespace", take(inner)),
        Some("regproc" | "regprocedure") if literal_text(inner).is_some() => {
            let name = literal_text(inner).unwrap_or_default();
            *expr = text(name.trim_start_matches("pg_catalog."));
        }
        Some(_) | None => {
            plain_type(data_type);
            if matches!(data_type, DataType::Date)
                && let Some(day) = literal_text(inner)
            {
                let day = text(super::parameters::civil_day(day));
                **inner = day;
            }
            let bare = matches!(
                data_type,
                DataType::Numeric(ExactNumberInfo::None) | DataType::Decimal(ExactNumberInfo::None)
            );
            if bare
                && matches!(inner.as_ref(), Expr::Function(function) if is_named(&function.name, "arrow_cast"))
            {
                // A parameter keeps its own decimals, as in PostgreSQL.
                *expr = take(inner);
                return;
            }
            if matches!(data_type, DataType::BigInt(_)) && is_registered(inner) {
                // `'nodes'::regclass::oid`
                if let Expr::Function(function) = inner.as_ref()
                    && let Some(first) = arguments(function).into_iter().next()
                    && let Some(name) =
                        last_part(&function.name).and_then(|name| name.value.strip_suffix("_name"))
                {
                    *expr = call(&format!("{name}_oid"), vec![first]);
                }
            } else if let Some(elements) = literal_array(inner, data_type) {
                *expr = elements;
            }
        }
    }
}

fn is_registered(expr: &Expr) -> bool {
    let Expr::Function(function) = expr else {
        return false;
    };
    ["regclass_name", "regtype_name", "regnamespace_name"]
        .iter()
        .any(|name| is_named(&function.name, name))
}

/// What a text says that stands there as such.
fn literal_text(expr: &Expr) -> Option<&str> {
    let Expr::Value(value) = expr else {
        return None;
    };
    if let Value::SingleQuotedString(text) = &value.value {
        Some(text)
    } else {
        None
    }
}

/// Of a text the object id, of an object id the name.
fn registered(kind: &str, inner: Expr) -> Expr {
    if literal_text(&inner).is_some() {
        call(&format!("{kind}_oid"), vec![inner])
    } else {
        call(&format!("{kind}_name"), vec![inner])
    }
}

/// `'{a,b}'::text[]` as an array.
fn literal_array(inner: &Expr, kind: &DataType) -> Option<Expr> {
    let DataType::Array(element) = kind else {
        return None;
    };
    let (ArrayElemTypeDef::AngleBracket(element)
    | ArrayElemTypeDef::SquareBracket(element, _)
    | ArrayElemTypeDef::Parenthesis(element)) = element
    else {
        return None;
    };
    let elements = super::parameters::elements(literal_text(inner)?)?;
    let elements: Vec<Expr> = elements
        .iter()
        .map(|given| {
            let given = given.as_deref().map_or_else(null, text);
            cast(given, element.as_ref().clone())
        })
        .collect();
    Some(if elements.is_empty() {
        no_texts()
    } else {
        call("make_array", elements)
    })
}

/// A type of PostgreSQL by the name that the planner knows it by.
fn plain_type(kind: &mut DataType) {
    if let DataType::Array(
        ArrayElemTypeDef::AngleBracket(element)
        | ArrayElemTypeDef::SquareBracket(element, _)
        | ArrayElemTypeDef::Parenthesis(element),
    ) = kind
    {
        return plain_type(element);
    }
    if matches!(kind, DataType::JSON | DataType::JSONB | DataType::Uuid) {
        *kind = DataType::Text;
    }
    let Some(name) = custom_name(kind) else {
        return;
    };
    *kind = match name.as_str() {
        "name" | "text" | "varchar" | "bpchar" | "char" | "unknown" | "cstring" | "regproc"
        | "regprocedure" | "regrole" | "json" | "jsonb" | "uuid" | "inet" => DataType::Text,
        "oid" | "xid" | "int8" => DataType::BigInt(None),
        "int4" => DataType::Integer(None),
        "int2" => DataType::SmallInt(None),
        "bool" => DataType::Boolean,
        "float4" => DataType::Real,
        "float8" => DataType::DoublePrecision,
        "numeric" => DataType::Numeric(ExactNumberInfo::None),
        "date" => DataType::Date,
        "timestamp" => DataType::Timestamp(None, TimezoneInfo::None),
        "timestamptz" => DataType::Timestamp(None, TimezoneInfo::Tz),
        _ => return,
    };
}

/// Lets a subquery over the catalogues that is used as a value give the least of its rows.
fn take_least(query: &mut Query) {
    let SetExpr::Select(select) = query.body.as_mut() else {
        return;
    };
    let catalogues = !select.from.is_empty()
        && select
            .from
            .iter()
            .flat_map(|tables| {
                std::iter::once(&tables.relation).chain(tables.joins.iter().map(|join| &join.relation))
            })
            .all(|factor| {
                matches!(factor, TableFactor::Table { name, args: None, .. }
                    if last_part(name).is_some_and(|name| relations::is_system(&name.value)))
            });
    if !catalogues || has_lone_aggregate(select) || query.limit_clause.is_some() {
        return;
    }
    if let [SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }] =
        select.projection.as_mut_slice()
    {
        *expr = call("min", vec![take(expr)]);
        query.order_by = None;
    }
}

#[cfg(test)]
mod tests;
