//! Times of the tables as SQL works with them: instants in the query's zone, so that a time or a day without offset is meant there, and
//! `date_trunc('day', …)`, `extract(hour FROM …)` and a cast to a date are civil there (CONTRACT: days and months are civil in the
//! configured zone).
//!
//! What is stored is UTC, and so are the rows of an answer again: a zone changes neither an instant nor a type that a client sees.
//! A literal that names its offset is that instant, whatever it is called: `TIMESTAMP '2026-04-01T00:30:00Z'` too, of which PostgreSQL
//! would ignore the offset.

use std::{ops::ControlFlow, sync::Arc};

use arrow::{
    array::RecordBatch,
    compute::cast,
    datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit},
    error::ArrowError,
};
use datafusion::{
    common::{
        DFSchema, ExprSchema,
        config::ConfigOptions,
        tree_node::{Transformed, TreeNode, TreeNodeRecursion},
    },
    error::Result,
    functions::datetime::to_local_time,
    logical_expr::{
        BinaryExpr, Cast, Expr, ExprSchemable, LogicalPlan, Operator, expr_rewriter::NamePreserver,
        utils::merge_schema,
    },
    optimizer::AnalyzerRule,
    scalar::ScalarValue,
    sql::sqlparser::ast::{self, DataType as SqlType, Statement, TimezoneInfo, Value, VisitMut, VisitorMut},
};

const UTC: &str = "UTC";

/// The columns with their instants in `zone`.
pub(super) fn columns_in(zone: &Arc<str>, columns: &Schema) -> SchemaRef {
    let fields: Vec<Field> = columns
        .fields()
        .iter()
        .map(|field| field_in(zone, field))
        .collect();
    Arc::new(Schema::new_with_metadata(fields, columns.metadata().clone()))
}

fn field_in(zone: &Arc<str>, field: &Field) -> Field {
    let field = field.clone();
    let DataType::Timestamp(unit, Some(_)) = *field.data_type() else {
        return field;
    };
    field.with_data_type(DataType::Timestamp(unit, Some(Arc::clone(zone))))
}

/// A result's columns as clients see them: instants are UTC.
pub(super) fn in_utc(columns: &Schema) -> SchemaRef {
    columns_in(&Arc::from(UTC), columns)
}

/// A batch with these columns, which differ from its own in zones at most.
pub(super) fn batch_as(batch: &RecordBatch, columns: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let values = batch
        .columns()
        .iter()
        .zip(columns.fields())
        .map(|(values, field)| cast(values, field.data_type()))
        .collect::<Result<Vec<_>, ArrowError>>()?;
    let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(columns), values, &options)
}

/// Makes literals that name their offset instants.
pub(super) fn keep_offsets(statement: &mut Statement) {
    // The visitor never breaks.
    let _ = statement.visit(&mut Offsets);
}

struct Offsets;

impl VisitorMut for Offsets {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut ast::Expr) -> ControlFlow<()> {
        if let ast::Expr::TypedString(literal) = expr {
            if text_of(&literal.value.value).is_some_and(names_offset) {
                with_zone(&mut literal.data_type);
            }
        } else if let ast::Expr::Cast { expr, data_type, .. } = expr
            && let ast::Expr::Value(value) = expr.as_ref()
            && text_of(&value.value).is_some_and(names_offset)
        {
            with_zone(data_type);
        }
        ControlFlow::Continue(())
    }
}

fn text_of(value: &Value) -> Option<&str> {
    if let Value::SingleQuotedString(text) = value {
        Some(text)
    } else {
        None
    }
}

fn with_zone(kind: &mut SqlType) {
    if let SqlType::Timestamp(_, zone @ (TimezoneInfo::None | TimezoneInfo::WithoutTimeZone)) = kind {
        *zone = TimezoneInfo::WithTimeZone;
    }
}

/// Whether a time as text says its offset, after the ten letters of its day.
fn names_offset(text: &str) -> bool {
    text.trim()
        .get(10..)
        .is_some_and(|of_day| of_day.contains(['Z', 'z', '+', '-']))
}

/// Compares an instant with a day or a time without offset in the instant's zone, and casts an instant to a time without offset as
/// the clock there shows it. DataFusion by itself takes UTC's clock for both.
#[derive(Debug)]
pub(super) struct CivilTimes;

impl AnalyzerRule for CivilTimes {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let changed = plan.transform_up_with_subqueries(|node| {
            let schema = merge_schema(&node.inputs());
            let names = NamePreserver::new(&node);
            let node = node.map_expressions(|expr| {
                // A name that others use stays, whatever is put in its place.
                let saved = names.save(&expr);
                let changed = expr.transform_up(|expr| civil(expr, &schema))?;
                Ok(changed.update_data(|expr| saved.restore(expr)))
            })?;
            node.map_data(LogicalPlan::recompute_schema)
        })?;
        Ok(changed.data)
    }

    fn name(&self) -> &'static str {
        "civil_times"
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "no other expression compares or casts"
)]
fn civil(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if compares(op) => {
            let (left, right) = (*left, *right);
            let zone = zone_of(&left, schema).or_else(|| zone_of(&right, schema));
            let Some(zone) = zone else {
                return Ok(Transformed::no(binary(left, op, right)));
            };
            let left = meant_in(left, schema, &zone);
            let right = meant_in(right, schema, &zone);
            Ok(Transformed::new(
                binary(left.data, op, right.data),
                left.transformed || right.transformed,
                TreeNodeRecursion::Continue,
            ))
        }
        Expr::Between(mut between) => {
            if let Some(zone) = zone_of(&between.expr, schema) {
                between.low = Box::new(meant_in(*between.low, schema, &zone).data);
                between.high = Box::new(meant_in(*between.high, schema, &zone).data);
            }
            Ok(Transformed::yes(Expr::Between(between)))
        }
        Expr::InList(mut list) => {
            if let Some(zone) = zone_of(&list.expr, schema) {
                let of = list.list.into_iter();
                list.list = of.map(|expr| meant_in(expr, schema, &zone).data).collect();
            }
            Ok(Transformed::yes(Expr::InList(list)))
        }
        Expr::Cast(Cast { expr, field })
            if matches!(field.data_type(), DataType::Timestamp(_, None))
                && zone_of(&expr, schema).is_some() =>
        {
            let local = to_local_time().call(vec![*expr]);
            Ok(Transformed::yes(Expr::Cast(Cast {
                expr: Box::new(local),
                field,
            })))
        }
        other => Ok(Transformed::no(other)),
    }
}

fn binary(left: Expr, op: Operator, right: Expr) -> Expr {
    Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right)))
}

const fn compares(op: Operator) -> bool {
    matches!(
        op,
        Operator::Eq
            | Operator::NotEq
            | Operator::Lt
            | Operator::LtEq
            | Operator::Gt
            | Operator::GtEq
            | Operator::IsDistinctFrom
            | Operator::IsNotDistinctFrom
    )
}

/// The zone of an instant; `None`: it is none.
fn zone_of(expr: &Expr, schema: &dyn ExprSchema) -> Option<Arc<str>> {
    match expr.get_type(schema) {
        Ok(DataType::Timestamp(_, zone)) => zone,
        Ok(_) | Err(_) => None,
    }
}

/// A time as text that ends with its minutes, with seconds: `2026-04-01 00:30` is one to people and to PostgreSQL.
fn with_seconds(expr: Expr) -> Transformed<Expr> {
    let Expr::Literal(ScalarValue::Utf8(Some(text)), metadata) = expr else {
        return Transformed::no(expr);
    };
    let whole = text.trim();
    let minutes = whole.get(..16).filter(|minutes| minutes.get(13..14) == Some(":"));
    match minutes.zip(whole.get(16..)) {
        Some((minutes, rest)) if !rest.starts_with(':') => {
            let text = format!("{minutes}:00{rest}");
            Transformed::yes(Expr::Literal(ScalarValue::Utf8(Some(text)), metadata))
        }
        _ => Transformed::no(Expr::Literal(ScalarValue::Utf8(Some(text)), metadata)),
    }
}

/// A day or a time without offset as an instant.
fn meant_in(expr: Expr, schema: &dyn ExprSchema, zone: &Arc<str>) -> Transformed<Expr> {
    match expr.get_type(schema) {
        Ok(DataType::Utf8) => with_seconds(expr),
        Ok(DataType::Date32 | DataType::Date64 | DataType::Timestamp(_, None)) => {
            let instant = DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::clone(zone)));
            Transformed::yes(Expr::Cast(Cast::new(Box::new(expr), instant)))
        }
        Ok(_) | Err(_) => Transformed::no(expr),
    }
}
