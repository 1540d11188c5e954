//! The names that SQL knows: `{table}`, `{table}_history`, `table_columns`.
//!
//! Nothing is read to plan a query: the columns are those of the schema, and a table's snapshot is taken when it is first
//! scanned, once per query, so that `{table}` and `{table}_history` of one query show the same.

use std::{fmt, sync::Arc};

use arrow::{
    array::{ArrayRef, BooleanArray, RecordBatch, StringArray},
    datatypes::{Field, Schema, SchemaRef},
    error::ArrowError,
};
use async_trait::async_trait;
use datafusion::{
    catalog::{SchemaProvider, Session, TableProvider},
    datasource::{MemTable, ViewTable, empty::EmptyTable},
    error::{DataFusionError, Result},
    logical_expr::{Expr, TableProviderFilterPushDown, TableType},
    physical_plan::ExecutionPlan,
    prelude::SessionContext,
};
use gridtally_engine::tables::TablesReader;
use gridtally_schemas::table::{self, TableSchema};
use tokio::sync::OnceCell;

const HISTORY: &str = "_history";
/// What each column of each table says.
const TABLE_COLUMNS: &str = "table_columns";

/// The SQL schema that holds the published tables.
pub(super) struct Published {
    stored: Vec<Arc<StoredTable>>,
    /// Plans the views' definitions.
    planner: SessionContext,
}

impl fmt::Debug for Published {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Published")
            .field("stored", &self.stored)
            .finish_non_exhaustive()
    }
}

impl Published {
    pub(super) fn new(reader: &TablesReader, planner: SessionContext) -> Self {
        let stored = table::published()
            .map(|schema| Arc::new(StoredTable::new(schema, reader.clone())))
            .collect();
        Self { stored, planner }
    }

    fn find(&self, name: &str) -> Option<&Arc<StoredTable>> {
        self.stored.iter().find(|table| table.schema.name == name)
    }

    async fn view(&self, table: &Arc<StoredTable>) -> Result<Arc<dyn TableProvider>> {
        let history = format!("{}{HISTORY}", table.schema.name);
        let definition = newest_rows(table.schema);
        if !self.planner.table_exist(history.as_str())? {
            self.planner
                .register_table(history.as_str(), Arc::<StoredTable>::clone(table))?;
        }
        let plan = self.planner.sql(&definition).await?.into_unoptimized_plan();
        Ok(Arc::new(ViewTable::new(plan, Some(definition))))
    }
}

/// The definition of `{table}`: the row of each key that stands now.
fn newest_rows(schema: &TableSchema) -> String {
    let columns: Vec<&str> = schema.columns.iter().map(|column| column.name).collect();
    let columns = columns.join(", ");
    // A row's day follows from its key; naming it lets a condition on the day skip the other days' files.
    let key: Vec<&str> = schema
        .key
        .iter()
        .copied()
        .chain(schema.partition.filter(|column| !schema.key.contains(column)))
        .collect();
    let newest: Vec<String> = schema
        .newest_by
        .iter()
        .map(|column| format!("{column} DESC"))
        .collect();
    let counted = if schema.versioned {
        "WHERE version >= 1"
    } else {
        ""
    };
    let standing = if schema.versioned && schema.column("status").is_some() {
        " AND status <> 'withdrawn'"
    } else {
        ""
    };
    format!(
        "SELECT {columns} FROM (SELECT {columns}, ROW_NUMBER() OVER (PARTITION BY {} ORDER BY {}) AS newest_first \
         FROM {}{HISTORY} {counted}) WHERE newest_first = 1{standing}",
        key.join(", "),
        newest.join(", "),
        schema.name,
    )
}

#[async_trait]
impl SchemaProvider for Published {
    fn table_names(&self) -> Vec<String> {
        let mut names = vec![TABLE_COLUMNS.to_owned()];
        for table in &self.stored {
            names.push(table.schema.name.to_owned());
            if !table.schema.newest_by.is_empty() {
                names.push(format!("{}{HISTORY}", table.schema.name));
            }
        }
        names
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        if name == TABLE_COLUMNS {
            return Ok(Some(table_columns()?));
        }
        if let Some(table) = self.find(name) {
            return Ok(Some(if table.schema.newest_by.is_empty() {
                Arc::<StoredTable>::clone(table)
            } else {
                self.view(table).await?
            }));
        }
        let history = name.strip_suffix(HISTORY).and_then(|name| self.find(name));
        let history = history.filter(|table| !table.schema.newest_by.is_empty());
        Ok(history.map(|table| -> Arc<dyn TableProvider> { Arc::<StoredTable>::clone(table) }))
    }

    fn table_exist(&self, name: &str) -> bool {
        self.table_names().iter().any(|known| known == name)
    }
}

/// A table on disk, whose snapshot is taken at the first scan.
struct StoredTable {
    schema: &'static TableSchema,
    columns: SchemaRef,
    reader: TablesReader,
    snapshot: OnceCell<Arc<dyn TableProvider>>,
}

impl fmt::Debug for StoredTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StoredTable").field(&self.schema.name).finish()
    }
}

impl StoredTable {
    fn new(schema: &'static TableSchema, reader: TablesReader) -> Self {
        Self {
            schema,
            columns: Arc::new(Schema::new(schema.arrow().fields().clone())),
            reader,
            snapshot: OnceCell::new(),
        }
    }

    async fn snapshot(&self) -> Result<&Arc<dyn TableProvider>> {
        self.snapshot
            .get_or_try_init(|| async {
                let loaded = self
                    .reader
                    .provider(self.schema)
                    .await
                    .map_err(|error| DataFusionError::External(Box::new(error)))?;
                Ok(loaded.unwrap_or_else(|| Arc::new(EmptyTable::new(Arc::clone(&self.columns)))))
            })
            .await
    }
}

#[async_trait]
impl TableProvider for StoredTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.columns)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let snapshot = self.snapshot().await?;
        let given: Vec<&Expr> = filters.iter().collect();
        let understood: Vec<Expr> = snapshot
            .supports_filters_pushdown(&given)?
            .into_iter()
            .zip(filters)
            .filter(|(support, _)| *support != TableProviderFilterPushDown::Unsupported)
            .map(|(_, filter)| filter.clone())
            .collect();
        snapshot.scan(session, projection, &understood, limit).await
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }
}

fn table_columns() -> Result<Arc<dyn TableProvider>> {
    let rows: Vec<(&TableSchema, &table::Column)> = table::published()
        .flat_map(|table| table.columns.iter().map(move |column| (table, column)))
        .collect();
    let text = |value: fn(&(&'static TableSchema, &'static table::Column)) -> String| -> ArrayRef {
        Arc::new(rows.iter().map(|row| Some(value(row))).collect::<StringArray>())
    };
    let arrays: Vec<(&str, ArrayRef)> = vec![
        ("table_name", text(|(table, _)| table.name.to_owned())),
        ("column_name", text(|(_, column)| column.name.to_owned())),
        (
            "data_type",
            text(|(_, column)| column.column_type.arrow().to_string()),
        ),
        ("unit", text(|(_, column)| column.unit.to_owned())),
        ("about", text(|(_, column)| column.about.to_owned())),
        (
            "nullable",
            Arc::new(
                rows.iter()
                    .map(|(_, column)| Some(column.nullable()))
                    .collect::<BooleanArray>(),
            ),
        ),
        ("null_means", text(|(_, column)| column.null.to_owned())),
    ];
    let fields: Vec<Field> = arrays
        .iter()
        .map(|(name, values)| Field::new(*name, values.data_type().clone(), false))
        .collect();
    let schema = Arc::new(Schema::new(fields));
    let columns = arrays.into_iter().map(|(_, values)| values).collect();
    let batch: Result<RecordBatch, ArrowError> = RecordBatch::try_new(Arc::clone(&schema), columns);
    Ok(Arc::new(MemTable::try_new(schema, vec![vec![batch?]])?))
}
