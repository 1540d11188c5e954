//! The names that SQL knows: `{table}`, `{table}_history`, the views of [`view`], `table_columns`, and the functions `{table}_as_of`.
//!
//! Nothing is read to plan a query: the columns are those of the schema, and a table's snapshot is taken when it is first
//! scanned, once per query, so that all names of a table in one query show the same.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use arrow::{
    array::{ArrayRef, BooleanArray, RecordBatch, StringArray},
    datatypes::{Field, Schema, SchemaRef},
    error::ArrowError,
};
use async_trait::async_trait;
use datafusion::{
    catalog::{SchemaProvider, Session, TableProvider},
    datasource::{MemTable, ViewTable},
    error::{DataFusionError, Result},
    logical_expr::{Expr, TableProviderFilterPushDown, TableType},
    physical_plan::ExecutionPlan,
    prelude::SessionContext,
};
use futures::FutureExt;
use gridtally_engine::{
    tables::{StoredFiles, TablesReader},
    view::{self, View},
};
use gridtally_schemas::table::{self, TableSchema};
use tokio::sync::OnceCell;

use super::{
    area::{Area, Rows, is_harmless, narrowed, nothing},
    as_of::AsOf,
    definition::{self, HISTORY},
    postgres::relations::System,
    zoned,
};

/// What each column of each table says.
pub(super) const TABLE_COLUMNS: &str = "table_columns";
/// Its own columns, and what they say.
pub(super) const TABLE_COLUMNS_COLUMNS: &[(&str, &str)] = &[
    ("table_name", "the table"),
    ("column_name", "the column"),
    ("data_type", "its Arrow type"),
    ("unit", "its unit; empty: none, or the type says it"),
    ("about", "what it says"),
    ("nullable", "whether it may be null"),
    ("null_means", "what null means; empty: never null"),
];

/// The SQL schema that holds the published tables. Clones see the same files.
#[derive(Clone)]
pub(super) struct Published {
    stored: Vec<Arc<StoredTable>>,
    /// Plans the views' definitions.
    planner: SessionContext,
    /// What was planned by it, by name.
    planned: Arc<Mutex<BTreeMap<&'static str, Arc<dyn TableProvider>>>>,
    /// Relations that are found without their schema too.
    system: Option<System>,
}

impl fmt::Debug for Published {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Published")
            .field("stored", &self.stored)
            .finish_non_exhaustive()
    }
}

impl Published {
    /// All tables, or the part of them that belongs to an area; `zone` is where times are civil.
    pub(super) fn new(
        reader: &TablesReader,
        planner: SessionContext,
        (zone, area): (&str, Option<Area>),
    ) -> Self {
        let zone: Arc<str> = Arc::from(zone);
        let area = area.map(Arc::new);
        let stored = table::published()
            .map(|schema| {
                Arc::new(StoredTable {
                    area: area.clone(),
                    ..StoredTable::whole(schema, reader.clone(), &zone)
                })
            })
            .collect();
        Self {
            stored,
            planner,
            planned: Arc::default(),
            system: None,
        }
    }

    /// The same, with relations that are found without their schema where no table has the name.
    pub(super) fn beside(mut self, system: System) -> Self {
        self.system = Some(system);
        self
    }

    /// Registers `{table}_as_of` of every table; `zone` is where an instant without offset is meant.
    pub(super) fn register_functions(&self, context: &SessionContext, zone: &str) {
        let zone: Arc<str> = Arc::from(zone);
        for table in &self.stored {
            let function = AsOf::new(Arc::clone(table), self.planner.clone(), Arc::clone(&zone));
            context.register_udtf(&function.name(), Arc::new(function));
        }
    }

    fn find(&self, name: &str) -> Option<&Arc<StoredTable>> {
        self.stored.iter().find(|table| table.schema.name == name)
    }

    /// A table as it stands.
    fn standing(&self, table: &Arc<StoredTable>) -> Result<Arc<dyn TableProvider>> {
        if table.schema.newest_by.is_empty() {
            return Ok(Arc::<StoredTable>::clone(table));
        }
        self.planned(table.schema.name, || {
            plan_view(&self.planner, table, definition::standing(table.schema, None))
        })
    }

    /// Plans what stands of each table.
    pub(super) fn plan_all(&self) -> Result<()> {
        for table in &self.stored {
            self.standing(table)?;
        }
        Ok(())
    }

    /// What was planned under a name, or is planned now.
    fn planned(
        &self,
        name: &'static str,
        plan: impl FnOnce() -> Result<Arc<dyn TableProvider>>,
    ) -> Result<Arc<dyn TableProvider>> {
        let known = self.lock().get(name).map(Arc::clone);
        if let Some(known) = known {
            return Ok(known);
        }
        let planned = plan()?;
        self.lock().insert(name, Arc::clone(&planned));
        Ok(planned)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, Arc<dyn TableProvider>>> {
        self.planned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A view of several tables as they stand.
    fn view(&self, view: &View) -> Result<Arc<dyn TableProvider>> {
        for schema in view.from {
            let known = self.planner.table_exist(schema.name)?;
            if let Some(table) = self.find(schema.name).filter(|_| !known) {
                self.planner.register_table(schema.name, self.standing(table)?)?;
            }
        }
        plan(&self.planner, view.sql.to_owned())
    }
}

/// A view of a table's history.
pub(super) fn plan_view(
    planner: &SessionContext,
    table: &Arc<StoredTable>,
    definition: String,
) -> Result<Arc<dyn TableProvider>> {
    let history = format!("{}{HISTORY}", table.schema.name);
    if !planner.table_exist(history.as_str())? {
        planner.register_table(history.as_str(), Arc::<StoredTable>::clone(table))?;
    }
    plan(planner, definition)
}

/// A definition over what the planner knows. Planning reads nothing, so that it is done at the first poll.
fn plan(planner: &SessionContext, definition: String) -> Result<Arc<dyn TableProvider>> {
    let planned = planner
        .sql(&definition)
        .now_or_never()
        .ok_or_else(|| DataFusionError::Internal("planning a view waited for something".to_owned()))?;
    let plan = planned?.into_unoptimized_plan();
    Ok(Arc::new(ViewTable::new(plan, Some(definition))))
}

#[async_trait]
impl SchemaProvider for Published {
    fn table_names(&self) -> Vec<String> {
        let mut names = vec![TABLE_COLUMNS.to_owned()];
        names.extend(view::ALL.iter().map(|view| view.schema.name.to_owned()));
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
            return self.standing(table).map(Some);
        }
        if let Some(view) = view::find(name) {
            return self.view(view).map(Some);
        }
        let history = name.strip_suffix(HISTORY).and_then(|name| self.find(name));
        let history = history.filter(|table| !table.schema.newest_by.is_empty());
        match (history, &self.system) {
            (Some(table), _) => Ok(Some(Arc::<StoredTable>::clone(table))),
            (None, Some(system)) => system.provider(name),
            (None, None) => Ok(None),
        }
    }

    fn table_exist(&self, name: &str) -> bool {
        self.table_names().iter().any(|known| known == name)
    }
}

/// Every table that SQL has, by its name, with its columns; a field's metadata has `comment` and, where it has one, `unit`.
pub(crate) fn tables() -> Result<Vec<(String, SchemaRef)>> {
    let mut tables = vec![(TABLE_COLUMNS.to_owned(), table_columns()?.schema())];
    for schema in table::published() {
        tables.push((schema.name.to_owned(), schema.arrow()));
        if !schema.newest_by.is_empty() {
            tables.push((format!("{}{HISTORY}", schema.name), schema.arrow()));
        }
    }
    let views = view::ALL.iter().map(|view| view.schema);
    tables.extend(views.map(|schema| (schema.name.to_owned(), schema.arrow())));
    Ok(tables)
}

/// The primary keys that hold for what the tables' names give: name and columns in order. Of a table's history a version is told by its number. A
/// table with a key of which a part may be null has none, nor the history of one without versions.
pub(crate) fn keys() -> Vec<(String, Vec<&'static str>)> {
    let views = view::ALL.iter().map(|view| view.schema);
    let mut keys = vec![(TABLE_COLUMNS.to_owned(), vec!["table_name", "column_name"])];
    for schema in table::published().chain(views) {
        let never_null = |name: &&str| schema.column(name).is_some_and(|column| !column.nullable());
        if !schema.key.iter().all(never_null) {
            continue;
        }
        keys.push((schema.name.to_owned(), schema.key.to_vec()));
        if schema.versioned && !schema.newest_by.is_empty() {
            let of_history = schema.key.iter().copied().chain(["version"]);
            keys.push((format!("{}{HISTORY}", schema.name), of_history.collect()));
        }
    }
    keys
}

/// What the primary key of a table is called.
pub(crate) fn key_name(table: &str) -> String {
    format!("{table}_pkey")
}

/// A table on disk, whose files are listed at the first scan.
pub(super) struct StoredTable {
    schema: &'static TableSchema,
    /// Its columns, with instants in the zone.
    columns: SchemaRef,
    reader: TablesReader,
    files: OnceCell<StoredFiles>,
    /// Whose rows alone there are; `None`: all rows.
    area: Option<Arc<Area>>,
}

impl fmt::Debug for StoredTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StoredTable").field(&self.schema.name).finish()
    }
}

impl StoredTable {
    /// With all its rows; `zone` is where its instants are.
    pub(super) fn whole(schema: &'static TableSchema, reader: TablesReader, zone: &Arc<str>) -> Self {
        Self {
            area: None,
            schema,
            columns: zoned::columns_in(zone, &Schema::new(schema.arrow().fields().clone())),
            reader,
            files: OnceCell::new(),
        }
    }

    pub(super) const fn schema(&self) -> &'static TableSchema {
        self.schema
    }

    async fn files(&self) -> Result<&StoredFiles> {
        self.files
            .get_or_try_init(|| self.reader.files(self.schema, Arc::clone(&self.columns)))
            .await
            .map_err(|error| DataFusionError::External(Box::new(error)))
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
        let files = self.files().await?;
        let Some(area) = &self.area else {
            return files.scan(session, projection, filters, limit).await;
        };
        match area.rows(self.schema).await? {
            Rows::In(column, ids) => {
                let harmless: Vec<Expr> = filters
                    .iter()
                    .filter(|filter| is_harmless(filter))
                    .cloned()
                    .collect();
                narrowed(files, session, (projection, &harmless), (column, ids))
            }
            Rows::None => nothing(&self.columns, projection),
        }
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }
}

fn table_columns() -> Result<Arc<dyn TableProvider>> {
    let views = view::ALL.iter().map(|view| view.schema);
    let rows: Vec<(&TableSchema, &table::Column)> = table::published()
        .chain(views)
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
