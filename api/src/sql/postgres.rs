//! Statements of PostgreSQL's clients in a worker: catalogues, functions, parameters, and what the planner does not know.
//!
//! A statement is parsed in PostgreSQL's dialect and held against the allow-list, its parameters are put in their places, what cannot be
//! planned as written is rewritten (`rewrite`), its columns get PostgreSQL's names. Then it is planned like any other.

use std::{collections::BTreeMap, sync::Arc};

use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::{
    catalog::{CatalogProvider, MemoryCatalogProvider},
    error::{DataFusionError, Result},
    logical_expr::LogicalPlan,
    prelude::{SQLOptions, SessionContext},
    sql::{
        parser::{DFParser, Statement as TopStatement},
        sqlparser::{ast::Statement, dialect::PostgreSqlDialect},
    },
};

use super::{
    allow,
    protocol::{Ask, Beyond, Given, Parameter},
    zoned,
};
use facts::Facts;
use relations::{INFORMATION_SCHEMA, PG_CATALOG, System};

pub(super) mod contents;
pub(crate) mod facts;
mod functions;
mod names;
pub(crate) mod parameters;
pub(super) mod relations;
mod rewrite;
pub(crate) mod state;
pub(crate) mod types;

/// Statements of a text, each held against nothing yet.
pub(crate) fn parse(text: &str) -> Result<Vec<TopStatement>> {
    Ok(DFParser::parse_sql_with_dialect(text, &PostgreSqlDialect {})?.into())
}

/// Adds the catalogues and their functions.
pub(super) fn prepare(
    context: &SessionContext,
    catalog: &MemoryCatalogProvider,
    ask: &Ask,
) -> Result<System> {
    let facts = Arc::new(Facts::new(ask));
    functions::register(context, &facts);
    let schemas = [PG_CATALOG, INFORMATION_SCHEMA];
    for schema in schemas {
        catalog.register_schema(schema, Arc::new(System::new(schema, Arc::clone(&facts))))?;
    }
    Ok(System::new(PG_CATALOG, facts))
}

/// A statement that was planned.
#[derive(Debug)]
pub(super) struct Planned {
    pub(super) plan: LogicalPlan,
    /// Types of its parameters.
    pub(super) parameters: Vec<u32>,
}

/// Plans the statement that is asked for.
pub(super) async fn plan(context: &SessionContext, text: &str, ask: &Ask, zone: &str) -> Result<Planned> {
    let statement = parse(text)?
        .into_iter()
        .nth(ask.statement)
        .map(runnable)
        .ok_or_else(|| DataFusionError::Plan(format!("there is no statement {}", ask.statement)))?;
    let values = Values {
        dialect: Read::AsPostgres,
        given: &ask.parameters,
        describes: ask.describe,
        zone,
    };
    plan_with(context, statement, values).await
}

/// Plans a statement in the common dialect, which has its parameters as PostgreSQL has them.
pub(super) async fn plan_common(
    context: &SessionContext,
    text: &str,
    beyond: &Beyond,
    zone: &str,
) -> Result<Planned> {
    let mut statements = DFParser::parse_sql(text)?;
    let (Some(statement), true) = (statements.pop_front(), statements.is_empty()) else {
        return Err(DataFusionError::Plan("one statement is needed".to_owned()));
    };
    let values = Values {
        dialect: Read::AsCommon,
        given: &beyond.parameters,
        describes: beyond.describe,
        zone,
    };
    plan_with(context, statement, values).await
}

/// How a statement is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Read {
    /// With the names and the catalogues of PostgreSQL.
    AsPostgres,
    /// As it is by HTTP.
    AsCommon,
}

/// What is given beside a statement.
#[derive(Debug, Clone, Copy)]
struct Values<'a> {
    dialect: Read,
    given: &'a [Parameter],
    describes: bool,
    zone: &'a str,
}

async fn plan_with(context: &SessionContext, statement: TopStatement, values: Values<'_>) -> Result<Planned> {
    allow::check_statement_of_postgres(&statement)
        .map_err(|refused| DataFusionError::Plan(refused.to_string()))?;
    let count = innermost(&statement).map_or(0, parameters::count);
    if values.dialect == Read::AsCommon && !values.describes && values.given.len() != count {
        return Err(DataFusionError::Plan(format!(
            "the statement has {count} parameters, and {} were given",
            values.given.len()
        )));
    }
    let mut given = values.given.to_vec();
    given.truncate(count);
    given.resize(
        count,
        Parameter {
            oid: types::UNSPECIFIED,
            value: Given::Later,
        },
    );
    let mut needed = BTreeMap::new();
    if given.iter().any(|parameter| parameter.oid == types::UNSPECIFIED) {
        let open: Vec<Parameter> = given
            .iter()
            .map(|parameter| Parameter {
                oid: parameter.oid,
                value: Given::Later,
            })
            .collect();
        match planned(context, statement.clone(), (values, &open)).await {
            Ok(plan) => needed = needed_types(&plan)?,
            Err(error) if values.describes => return Err(error),
            // With its values in their places it may still be planned.
            Err(_) => {}
        }
        for (parameter, number) in given.iter_mut().zip(1_usize..) {
            if parameter.oid == types::UNSPECIFIED
                && let Some(oid) = needed.get(&number)
            {
                parameter.oid = *oid;
            }
            // Nothing says what it is, and columns are told before there are values.
            if parameter.oid == types::UNSPECIFIED && values.dialect == Read::AsCommon {
                parameter.oid = types::TEXT;
            }
        }
    }
    let oids = parameters::types_of(count, &given, &needed);
    let plan = planned(context, statement, (values, &given)).await?;
    SQLOptions::new()
        .with_allow_ddl(false)
        .with_allow_dml(false)
        .with_allow_statements(false)
        .verify_plan(&plan)?;
    Ok(Planned {
        plan,
        parameters: oids,
    })
}

/// What is explained, or the statement itself.
pub(crate) fn innermost(statement: &TopStatement) -> Option<&Statement> {
    if let TopStatement::Explain(explain) = statement {
        return innermost(&explain.statement);
    }
    if let TopStatement::Statement(inner) = statement {
        Some(inner)
    } else {
        None
    }
}

/// The same, to be changed.
pub(super) fn innermost_mut(statement: &mut TopStatement) -> Option<&mut Statement> {
    if let TopStatement::Explain(explain) = statement {
        return innermost_mut(&mut explain.statement);
    }
    if let TopStatement::Statement(inner) = statement {
        Some(inner)
    } else {
        None
    }
}

/// Of a cursor's declaration its query.
fn runnable(statement: TopStatement) -> TopStatement {
    if let TopStatement::Statement(inner) = &statement
        && let Statement::Declare { stmts } = inner.as_ref()
        && let [one] = stmts.as_slice()
        && let Some(query) = &one.for_query
    {
        return TopStatement::Statement(Box::new(Statement::Query(query.clone())));
    }
    statement
}

async fn planned(
    context: &SessionContext,
    mut statement: TopStatement,
    (values, given): (Values<'_>, &[Parameter]),
) -> Result<LogicalPlan> {
    if let Some(inner) = innermost_mut(&mut statement) {
        prepared(inner, given, values)?;
    }
    plan_of(context, statement).await
}

/// The plan of a statement. A name that is given beside a wildcard may equal one of the columns that it stands for, as PostgreSQL has it.
pub(super) async fn plan_of(context: &SessionContext, mut statement: TopStatement) -> Result<LogicalPlan> {
    let state = context.state();
    let refused = match state.statement_to_plan(statement.clone()).await {
        Err(error) if state::has_equal_names(&error) => error,
        planned => return planned,
    };
    if let Some(inner) = innermost_mut(&mut statement) {
        names::set_aliases_apart(inner);
    }
    state.statement_to_plan(statement).await.map_err(|_| refused)
}

fn prepared(statement: &mut Statement, given: &[Parameter], values: Values<'_>) -> Result<()> {
    if values.dialect == Read::AsCommon {
        names::name_parameters(statement);
        names::name_beside_wildcards(statement);
    }
    parameters::bind(statement, given, values.zone).map_err(|problem| {
        // A value that is not of its type, as PostgreSQL says it.
        DataFusionError::ArrowError(Box::new(arrow::error::ArrowError::ParseError(problem)), None)
    })?;
    zoned::keep_offsets(statement);
    if values.dialect == Read::AsPostgres {
        rewrite::rewrite(statement);
        names::name(statement);
    }
    Ok(())
}

/// Types that a plan needs of its parameters, by their number.
fn needed_types(plan: &LogicalPlan) -> Result<BTreeMap<usize, u32>> {
    let found = plan.get_parameter_types()?;
    Ok(found
        .into_iter()
        .filter_map(|(name, kind)| {
            let number = name.strip_prefix('$')?.parse().ok()?;
            Some((number, types::of(&kind?)))
        })
        .collect())
}

/// Tells columns beside a wildcard apart, as PostgreSQL takes them.
pub(super) fn name_beside_wildcards(statement: &mut Statement) {
    names::name_beside_wildcards(statement);
}

/// The columns of a result under the names that its client sees.
pub(super) fn named(schema: &Schema) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| {
        let name = names::shown(field.name());
        field.as_ref().clone().with_name(name)
    });
    Arc::new(Schema::new(fields.collect::<Vec<Field>>()))
}

/// The columns of a result under the names that its client sees, each as one that may be null: what a plan knows of that changes on the
/// way from description to rows, and a client that was told the one refuses the other.
pub(super) fn shown(schema: &Schema) -> SchemaRef {
    let fields = named(schema);
    let fields = fields
        .fields()
        .iter()
        .map(|field| field.as_ref().clone().with_nullable(true));
    Arc::new(Schema::new(fields.collect::<Vec<Field>>()))
}
