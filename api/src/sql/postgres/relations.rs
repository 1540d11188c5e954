//! `pg_catalog` and `information_schema`: what tools ask to learn which tables there are.
//!
//! Relations and columns are those of PostgreSQL 15, so that a query for any of them is planned; rows are there for what this
//! product has (schemas, tables, columns, comments, types, the `_as_of` functions, settings, roles, the database). All other
//! relations are empty: there are no indices, triggers, extensions or policies. What a table's primary key is `information_schema` alone says: in
//! `pg_catalog` a key is an index.
//!
//! Object ids of tables follow from their place in the contract's list; they may differ in another version.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, LazyLock},
};

use arrow::{
    array::{
        ArrayRef, BooleanArray, Float64Array, Int16Array, Int32Array, Int64Array, ListBuilder, RecordBatch,
        StringArray, StringBuilder, new_null_array,
    },
    datatypes::{DataType, Field, Schema, TimeUnit},
};
use async_trait::async_trait;
use datafusion::{
    catalog::{SchemaProvider, TableProvider},
    datasource::MemTable,
    error::Result,
};

use super::{contents, facts::Facts, types};

/// Schema of the system's relations.
pub(super) const PG_CATALOG: &str = "pg_catalog";
/// Schema of the relations that the SQL standard names.
pub(super) const INFORMATION_SCHEMA: &str = "information_schema";

/// Relations and columns of PostgreSQL 15: schema, relation, object id, kind, `column:type` each.
const RELATIONS: &str = include_str!("relations.tsv");

/// A relation of the catalogues.
#[derive(Debug)]
pub(super) struct Relation {
    pub(super) schema: &'static str,
    pub(super) name: &'static str,
    pub(super) oid: u32,
    /// `r` table, `v` view.
    pub(super) kind: &'static str,
    /// Names and types, in order.
    pub(super) columns: Vec<(&'static str, &'static str)>,
}

/// All relations of the catalogues.
pub(super) static ALL: LazyLock<Vec<Relation>> =
    LazyLock::new(|| RELATIONS.lines().filter_map(relation).collect());

/// Those without a row.
static EMPTY: LazyLock<BTreeSet<&'static str>> = LazyLock::new(|| {
    ALL.iter()
        .filter(|relation| relation.schema == PG_CATALOG && !contents::FILLED.contains(&relation.name))
        .map(|relation| relation.name)
        .collect()
});

fn relation(line: &'static str) -> Option<Relation> {
    let mut cells = line.split('\t');
    let (schema, name) = (cells.next()?, cells.next()?);
    let (oid, kind) = (cells.next()?.parse().ok()?, cells.next()?);
    let columns = cells
        .next()?
        .split(' ')
        .filter_map(|column| column.split_once(':'));
    Some(Relation {
        schema,
        name,
        oid,
        kind,
        columns: columns.collect(),
    })
}

/// Whether `pg_catalog` has a relation of this name.
pub(super) fn is_system(name: &str) -> bool {
    ALL.iter()
        .any(|relation| relation.schema == PG_CATALOG && relation.name == name)
}

/// Whether a relation of `pg_catalog` never has a row here.
pub(super) fn is_empty(name: &str) -> bool {
    EMPTY.contains(name)
}

/// One of the two schemas.
#[derive(Debug, Clone)]
pub(in crate::sql) struct System {
    schema: &'static str,
    facts: Arc<Facts>,
}

impl System {
    pub(super) const fn new(schema: &'static str, facts: Arc<Facts>) -> Self {
        Self { schema, facts }
    }

    /// The relation with its rows.
    pub(in crate::sql) fn provider(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let found = ALL
            .iter()
            .find(|relation| relation.schema == self.schema && relation.name == name);
        found
            .map(|relation| table(relation, &contents::rows(relation, &self.facts)))
            .transpose()
    }
}

#[async_trait]
impl SchemaProvider for System {
    fn table_names(&self) -> Vec<String> {
        ALL.iter()
            .filter(|relation| relation.schema == self.schema)
            .map(|relation| relation.name.to_owned())
            .collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        self.provider(name)
    }

    fn table_exist(&self, name: &str) -> bool {
        ALL.iter()
            .any(|relation| relation.schema == self.schema && relation.name == name)
    }
}

/// A row by its columns; those left out are null.
pub(super) type Row = BTreeMap<&'static str, String>;

/// Between the elements of an array in a [`Row`].
pub(super) const ELEMENTS: char = '\u{1f}';

fn table(relation: &Relation, rows: &[Row]) -> Result<Arc<dyn TableProvider>> {
    let fields: Vec<Field> = relation
        .columns
        .iter()
        .map(|(name, kind)| field(name, kind))
        .collect();
    let arrays = fields.iter().map(|field| array(field, rows)).collect();
    let schema = Arc::new(Schema::new(fields));
    let batch = RecordBatch::try_new(Arc::clone(&schema), arrays)?;
    Ok(Arc::new(MemTable::try_new(schema, vec![vec![batch]])?))
}

fn field(name: &str, kind: &str) -> Field {
    let arrow = match kind {
        "bool" => DataType::Boolean,
        "int2" => DataType::Int16,
        "int4" => DataType::Int32,
        "int8" | "oid" | "xid" => DataType::Int64,
        "float4" | "float8" | "numeric" => DataType::Float64,
        "timestamptz" => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        other if other.starts_with('_') || other == "anyarray" => DataType::new_list(DataType::Utf8, true),
        _ => DataType::Utf8,
    };
    let field = Field::new(name, arrow, true);
    match kind {
        "oid" | "name" | "char" => match types::by_name(kind) {
            Some(kind) => field.with_metadata([(types::TYPE_KEY.to_owned(), kind.oid.to_string())].into()),
            None => field,
        },
        _ => field,
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "no row says anything of the other types: they are null"
)]
fn array(field: &Field, rows: &[Row]) -> ArrayRef {
    let cells = || {
        rows.iter()
            .map(|row| row.get(field.name().as_str()).map(String::as_str))
    };
    match field.data_type() {
        DataType::Boolean => Arc::new(
            cells()
                .map(|cell| cell.map(|text| text == "t"))
                .collect::<BooleanArray>(),
        ),
        DataType::Int16 => Arc::new(cells().map(|cell| cell?.parse().ok()).collect::<Int16Array>()),
        DataType::Int32 => Arc::new(cells().map(|cell| cell?.parse().ok()).collect::<Int32Array>()),
        DataType::Int64 => Arc::new(cells().map(|cell| cell?.parse().ok()).collect::<Int64Array>()),
        DataType::Float64 => Arc::new(cells().map(|cell| cell?.parse().ok()).collect::<Float64Array>()),
        DataType::Utf8 => Arc::new(cells().collect::<StringArray>()),
        DataType::List(_) => {
            let mut lists = ListBuilder::new(StringBuilder::new());
            for cell in cells() {
                for element in cell.into_iter().flat_map(|text| text.split(ELEMENTS)) {
                    lists.values().append_value(element);
                }
                lists.append(cell.is_some());
            }
            Arc::new(lists.finish())
        }
        other => new_null_array(other, rows.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::{ALL, INFORMATION_SCHEMA, PG_CATALOG, System, contents, is_empty};
    use crate::sql::postgres::facts::Facts;

    #[test]
    fn every_relation_can_be_made_and_every_filled_one_has_rows() {
        let facts = std::sync::Arc::new(Facts::for_tests());
        for schema in [PG_CATALOG, INFORMATION_SCHEMA] {
            let system = System::new(schema, std::sync::Arc::clone(&facts));
            for relation in ALL.iter().filter(|relation| relation.schema == schema) {
                assert!(
                    system.provider(relation.name).unwrap().is_some(),
                    "{}",
                    relation.name
                );
                let rows = contents::rows(relation, &facts);
                let filled = contents::FILLED.contains(&relation.name);
                assert_eq!(!rows.is_empty(), filled, "{}", relation.name);
                for column in rows.iter().flat_map(|row| row.keys()) {
                    assert!(
                        relation.columns.iter().any(|(name, _)| name == column),
                        "{} has no {column}",
                        relation.name
                    );
                }
            }
        }
        assert!(is_empty("pg_index") && !is_empty("pg_class") && !is_empty("nodes"));
    }
}
