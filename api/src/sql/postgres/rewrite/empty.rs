//! Queries that have no row for certain, because a relation of the catalogues is always empty.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    DataType, Expr, GroupByExpr, Ident, JoinOperator, ObjectNamePart, Query, Select, SelectItem, SetExpr,
    TableFactor, TableWithJoins, Value, Visit, Visitor,
};

use super::{
    super::{names, relations},
    cast, last_part, null, take, truth,
};

/// Whether a query was found to have no row.
pub(super) fn has_no_row(query: &Query) -> bool {
    body_has_no_row(&query.body)
}

fn body_has_no_row(body: &SetExpr) -> bool {
    let SetExpr::Select(select) = body else {
        return false;
    };
    select.from.is_empty()
        && matches!(&select.selection, Some(Expr::Value(value)) if value.value == Value::Boolean(false))
        && select.having.is_none()
        && !has_lone_aggregate(select)
}

/// Whether what a SELECT reads from has no row for certain, and its columns are known by name.
pub(super) fn is_empty_select(select: &Select) -> bool {
    !select.from.is_empty()
        && select.from.iter().any(reads_nothing)
        && !has_lone_aggregate(select)
        && select.projection.iter().all(|item| match item {
            SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. } => true,
            SelectItem::ExprWithAliases { .. }
            | SelectItem::QualifiedWildcard(..)
            | SelectItem::Wildcard(_) => false,
        })
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "of another join it is only known that nothing comes of nothing"
)]
fn reads_nothing(tables: &TableWithJoins) -> bool {
    let mut nothing = factor_reads_nothing(&tables.relation);
    for join in &tables.joins {
        let right = factor_reads_nothing(&join.relation);
        nothing = match &join.join_operator {
            JoinOperator::Join(_) | JoinOperator::Inner(_) | JoinOperator::CrossJoin(_) => nothing || right,
            JoinOperator::Left(_) | JoinOperator::LeftOuter(_) => nothing,
            JoinOperator::Right(_) | JoinOperator::RightOuter(_) => right,
            _ => nothing && right,
        };
    }
    nothing
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "of nothing else it is known that it is empty"
)]
fn factor_reads_nothing(factor: &TableFactor) -> bool {
    match factor {
        TableFactor::Table { name, args: None, .. } => {
            let parts: Vec<&Ident> = name.0.iter().filter_map(ObjectNamePart::as_ident).collect();
            match parts.as_slice() {
                [schema, name] => schema.value == relations::PG_CATALOG && relations::is_empty(&name.value),
                [name] => relations::is_empty(&name.value),
                _ => false,
            }
        }
        TableFactor::Derived { subquery, .. } => has_no_row(subquery),
        TableFactor::NestedJoin { table_with_joins, .. } => reads_nothing(table_with_joins),
        _ => false,
    }
}

/// Aggregates.
const AGGREGATES: &[&str] = &[
    "count",
    "min",
    "max",
    "sum",
    "avg",
    "array_agg",
    "string_agg",
    "bool_and",
    "bool_or",
    "every",
];

/// Whether a SELECT aggregates without groups: it has a row then whatever it reads.
pub(super) fn has_lone_aggregate(select: &Select) -> bool {
    let grouped = match &select.group_by {
        GroupByExpr::All(_) => true,
        GroupByExpr::Expressions(by, modifiers) => !by.is_empty() || !modifiers.is_empty(),
    };
    !grouped
        && select.projection.iter().any(|item| match item {
            SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => aggregates(expr),
            SelectItem::ExprWithAliases { .. }
            | SelectItem::QualifiedWildcard(..)
            | SelectItem::Wildcard(_) => false,
        })
}

/// Whether an expression holds an aggregate of its own SELECT, not of one within.
fn aggregates(expr: &Expr) -> bool {
    struct Finder(usize);
    impl Visitor for Finder {
        type Break = ();
        fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
            self.0 += 1;
            ControlFlow::Continue(())
        }
        fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
            self.0 -= 1;
            ControlFlow::Continue(())
        }
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            let is_aggregate = matches!(expr, Expr::Function(function) if last_part(&function.name)
                .is_some_and(|name| AGGREGATES.contains(&name.value.to_ascii_lowercase().as_str())));
            if self.0 == 0 && is_aggregate {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        }
    }
    expr.visit(&mut Finder(0)).is_break()
}

/// The same columns, without a row.
pub(super) fn empty(select: &mut Select) {
    for item in &mut select.projection {
        let (expr, alias) = match item {
            SelectItem::UnnamedExpr(expr) => (take(expr), None),
            SelectItem::ExprWithAlias { expr, alias } => (take(expr), Some(alias.clone())),
            SelectItem::ExprWithAliases { .. }
            | SelectItem::QualifiedWildcard(..)
            | SelectItem::Wildcard(_) => continue,
        };
        let alias = alias.unwrap_or_else(|| Ident::with_quote('"', names::of(&expr)));
        *item = SelectItem::ExprWithAlias {
            expr: cast(null(), DataType::Text),
            alias,
        };
    }
    select.from.clear();
    select.selection = Some(truth(false));
    select.group_by = GroupByExpr::Expressions(Vec::new(), Vec::new());
    select.having = None;
    select.distinct = None;
    select.sort_by.clear();
    names::tell_apart(&mut select.projection);
}
