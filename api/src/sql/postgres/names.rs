//! Names of a result's columns, as PostgreSQL gives them.

use std::{collections::BTreeSet, ops::ControlFlow};

use datafusion::sql::sqlparser::ast::{self, Expr, Ident, ObjectNamePart, SelectItem, SetExpr, Statement};

use super::parameters;

/// Between a name and what tells it apart from an equal one, which the planner refuses; cut off before the result is sent.
const APART: char = '\u{1}';

/// Names the columns of a query.
pub(super) fn name(statement: &mut Statement) {
    if let Statement::Query(query) = statement {
        body(&mut query.body, &tell_apart);
    }
}

/// Tells the columns beside a wildcard apart from those that it stands for, which the planner refuses as equal names.
pub(super) fn name_beside_wildcards(statement: &mut Statement) {
    if let Statement::Query(query) = statement {
        body(&mut query.body, &|items| {
            if !items.iter().any(is_wildcard) {
                return;
            }
            for (at, item) in items.iter_mut().enumerate() {
                if let Some((Expr::Identifier(_) | Expr::CompoundIdentifier(_), name)) =
                    under_its_own_name(item)
                {
                    set_apart(item, &name, at);
                }
            }
        });
    }
}

/// Tells names given beside a wildcard apart from the columns that it stands for, but those by which rows are ordered: of two equal names
/// none can be meant there. Only where the planner has refused the statement, for a name that is told apart cannot be referred to.
pub(super) fn set_aliases_apart(statement: &mut Statement) {
    let Statement::Query(query) = statement else {
        return;
    };
    let mut ordering = BTreeSet::new();
    let _ = ast::visit_expressions(&query.order_by, |expr| {
        if let Expr::Identifier(name) = expr {
            ordering.insert(name.value.clone());
        }
        ControlFlow::<()>::Continue(())
    });
    body(&mut query.body, &|items| {
        if !items.iter().any(is_wildcard) {
            return;
        }
        for (at, item) in items.iter_mut().enumerate() {
            if let SelectItem::ExprWithAlias { alias, .. } = item
                && !alias.value.contains(APART)
                && !ordering.contains(&alias.value)
            {
                let name = alias.value.clone();
                set_apart(item, &name, at);
            }
        }
    });
}

const fn is_wildcard(item: &SelectItem) -> bool {
    matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..))
}

/// The expression of an item that is shown under the name that it has anyway, and that name.
fn under_its_own_name(item: &SelectItem) -> Option<(&Expr, String)> {
    let (expr, alias) = match item {
        SelectItem::UnnamedExpr(expr) => (expr, None),
        SelectItem::ExprWithAlias { expr, alias } => (expr, Some(alias)),
        SelectItem::ExprWithAliases { .. } | SelectItem::QualifiedWildcard(..) | SelectItem::Wildcard(_) => {
            return None;
        }
    };
    let name = of(expr);
    alias
        .is_none_or(|alias| alias.value == name)
        .then_some((expr, name))
}

/// Gives an item a name that no other has.
fn set_apart(item: &mut SelectItem, name: &str, at: usize) {
    if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item {
        *item = SelectItem::ExprWithAlias {
            expr: expr.clone(),
            alias: Ident::with_quote('"', format!("{name}{APART}{at}")),
        };
    }
}

/// Names those columns of a query that hold a parameter by their text, so that they are called the same whatever its value is.
pub(super) fn name_parameters(statement: &mut Statement) {
    if let Statement::Query(query) = statement {
        body(&mut query.body, &|items| {
            for (at, item) in items.iter_mut().enumerate() {
                if let SelectItem::UnnamedExpr(expr) = item
                    && parameters::holds(expr)
                {
                    let alias = Ident::with_quote('"', format!("{expr}{APART}{at}"));
                    let expr = expr.clone();
                    *item = SelectItem::ExprWithAlias { expr, alias };
                }
            }
        });
    }
}

fn body(expr: &mut SetExpr, name: &impl Fn(&mut [SelectItem])) {
    if let SetExpr::Select(select) = expr {
        name(&mut select.projection);
    } else if let SetExpr::Query(query) = expr {
        body(&mut query.body, name);
    } else if let SetExpr::SetOperation { left, right, .. } = expr {
        body(left, name);
        body(right, name);
    }
}

/// Gives each expression its name, and equal names something apart; beside a wildcard every name that may be among its columns.
pub(super) fn tell_apart(items: &mut [SelectItem]) {
    let mut taken = BTreeSet::new();
    let wildcard = items.iter().any(is_wildcard);
    for (at, item) in items.iter_mut().enumerate() {
        if let Some((_, name)) = under_its_own_name(item).filter(|_| wildcard) {
            set_apart(item, &name, at);
            continue;
        }
        let (expr, name) = match item {
            SelectItem::UnnamedExpr(expr) => {
                // A column keeps its table's name before it: two tables may have one.
                let plain = matches!(expr, Expr::CompoundIdentifier(_))
                    || matches!(expr, Expr::Identifier(name) if !taken.contains(&name.value));
                if plain {
                    taken.insert(of(expr));
                    continue;
                }
                let name = of(expr);
                (expr.clone(), name)
            }
            SelectItem::ExprWithAlias { expr, alias } => {
                if taken.insert(alias.value.clone()) {
                    continue;
                }
                (expr.clone(), alias.value.clone())
            }
            SelectItem::ExprWithAliases { .. }
            | SelectItem::QualifiedWildcard(..)
            | SelectItem::Wildcard(_) => continue,
        };
        if taken.insert(name.clone()) {
            *item = SelectItem::ExprWithAlias {
                expr,
                alias: Ident::with_quote('"', name),
            };
        } else {
            set_apart(item, &name, at);
        }
    }
}

/// A name without what tells it apart.
pub(super) fn shown(name: &str) -> &str {
    name.split(APART).next().unwrap_or_default()
}

/// The name that PostgreSQL gives an expression.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "all else has no name, as in PostgreSQL"
)]
pub(super) fn of(expr: &Expr) -> String {
    match expr {
        Expr::Identifier(name) => name.value.clone(),
        Expr::CompoundIdentifier(names) => names.last().map_or_else(String::new, |name| name.value.clone()),
        Expr::Nested(inner) | Expr::Collate { expr: inner, .. } => of(inner),
        Expr::Cast {
            expr: inner,
            data_type,
            ..
        } => match of(inner) {
            name if name == UNNAMED => data_type.to_string().to_ascii_lowercase(),
            name => name,
        },
        Expr::Function(function) => function
            .name
            .0
            .last()
            .and_then(ObjectNamePart::as_ident)
            .map_or_else(|| UNNAMED.to_owned(), |name| name.value.to_ascii_lowercase()),
        Expr::Case { .. } => "case".to_owned(),
        Expr::Exists { .. } => "exists".to_owned(),
        Expr::Array(_) => "array".to_owned(),
        Expr::Extract { .. } => "extract".to_owned(),
        Expr::Substring { .. } => "substring".to_owned(),
        Expr::Trim { .. } => "btrim".to_owned(),
        Expr::Subquery(query) => match query.body.as_ref() {
            SetExpr::Select(select) => match select.projection.first() {
                Some(SelectItem::UnnamedExpr(expr)) => of(expr),
                Some(SelectItem::ExprWithAlias { alias, .. }) => alias.value.clone(),
                _ => UNNAMED.to_owned(),
            },
            _ => UNNAMED.to_owned(),
        },
        _ => UNNAMED.to_owned(),
    }
}

const UNNAMED: &str = "?column?";
