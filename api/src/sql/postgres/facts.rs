//! What the catalogues and their functions know: the tables with their columns and comments, and the session.

use std::{collections::BTreeMap, sync::LazyLock};

use gridtally_engine::view;
use gridtally_schemas::table::{self, TableSchema};

use super::{
    super::{
        catalog::{TABLE_COLUMNS, TABLE_COLUMNS_COLUMNS},
        definition::{AS_OF, HISTORY, is_effective_dated},
        protocol::Ask,
    },
    relations, types,
};

/// Name of the one database.
pub(crate) const DATABASE: &str = "gridtally";
/// The PostgreSQL that tools are told to expect: its catalogues are those of version 15.
pub(crate) const SERVER_VERSION: &str = "15.0";
/// The same as a number.
pub(crate) const SERVER_VERSION_NUMBER: &str = "150000";
/// Object id of the schema `public`, as in PostgreSQL.
pub(super) const PUBLIC_OID: u32 = 2_200;
/// Object id of the schema `pg_catalog`, as in PostgreSQL.
pub(super) const PG_CATALOG_OID: u32 = 11;
/// Object id of the schema `information_schema`.
pub(super) const INFORMATION_SCHEMA_OID: u32 = 13_000;
/// The first object id of tables; PostgreSQL gives those from 16384 on to users.
const FIRST_TABLE_OID: u32 = 16_384;
/// The first object id of functions.
const FIRST_FUNCTION_OID: u32 = 32_768;

/// A table or history of a table.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) oid: u32,
    pub(super) name: String,
    pub(super) comment: String,
    pub(super) columns: Vec<Column>,
}

/// A column of a table.
#[derive(Debug)]
pub(super) struct Column {
    pub(super) name: &'static str,
    pub(super) type_oid: u32,
    pub(super) modifier: i32,
    pub(super) nullable: bool,
    pub(super) comment: String,
}

/// A table function.
#[derive(Debug)]
pub(super) struct Function {
    pub(super) oid: u32,
    pub(super) name: String,
    pub(super) arguments: &'static str,
    pub(super) argument_count: usize,
    pub(super) result: String,
    pub(super) comment: String,
}

/// Every table that SQL knows.
pub(super) static TABLES: LazyLock<Vec<Table>> = LazyLock::new(|| {
    let mut oid = FIRST_TABLE_OID;
    let mut next = || {
        oid += 1;
        oid
    };
    let mut tables = vec![table_columns(next())];
    for schema in table::ALL {
        // Both take a number whether they are published or not, so that the others keep theirs.
        let (current, history) = (next(), next());
        if !schema.published {
            continue;
        }
        tables.push(of_schema(
            schema,
            current,
            schema.name.to_owned(),
            schema.about.to_owned(),
        ));
        if !schema.newest_by.is_empty() {
            let name = format!("{}{HISTORY}", schema.name);
            let comment = format!("every published version of {}: {}", schema.name, schema.about);
            tables.push(of_schema(schema, history, name, comment));
        }
    }
    for view in &view::ALL {
        let (name, about) = (view.schema.name.to_owned(), view.schema.about.to_owned());
        tables.push(of_schema(view.schema, next(), name, about));
    }
    tables
});

/// The `_as_of` functions.
pub(super) static FUNCTIONS: LazyLock<Vec<Function>> = LazyLock::new(|| {
    let mut functions = Vec::new();
    let mut oid = FIRST_FUNCTION_OID;
    for schema in table::published() {
        let mut push = |arguments, argument_count, comment: String| {
            oid += 1;
            functions.push(Function {
                oid,
                name: format!("{}{AS_OF}", schema.name),
                arguments,
                argument_count,
                result: format!("SETOF {}", schema.name),
                comment,
            });
        };
        if is_effective_dated(schema) {
            push(
                "at timestamp with time zone",
                1,
                format!("{} as they held at an instant", schema.name),
            );
            push(
                "at timestamp with time zone, known timestamp with time zone",
                2,
                format!("{} as they held at one instant, as known at another", schema.name),
            );
        } else {
            push(
                "at timestamp with time zone",
                1,
                format!("what stood published of {} at an instant", schema.name),
            );
        }
    }
    functions
});

fn of_schema(schema: &TableSchema, oid: u32, name: String, comment: String) -> Table {
    let columns = schema
        .columns
        .iter()
        .map(|column| {
            let kind = column.column_type.arrow();
            let unit = if column.unit.is_empty() {
                String::new()
            } else {
                format!(" [{}]", column.unit)
            };
            let null = if column.nullable() {
                format!(" (null: {})", column.null)
            } else {
                String::new()
            };
            Column {
                name: column.name,
                type_oid: types::of(&kind),
                modifier: types::modifier(&kind),
                nullable: column.nullable(),
                comment: format!("{}{unit}{null}", column.about),
            }
        })
        .collect();
    Table {
        oid,
        name,
        comment,
        columns,
    }
}

fn table_columns(oid: u32) -> Table {
    let columns = TABLE_COLUMNS_COLUMNS
        .iter()
        .map(|(name, comment)| Column {
            name,
            type_oid: if *name == "nullable" { 16 } else { types::TEXT },
            modifier: -1,
            nullable: false,
            comment: (*comment).to_owned(),
        })
        .collect();
    Table {
        oid,
        name: TABLE_COLUMNS.to_owned(),
        comment: "what each column of each table says, with its unit and what null means".to_owned(),
        columns,
    }
}

/// What is known of the session.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Facts {
    pub(super) user: String,
    pub(super) settings: BTreeMap<String, String>,
    pub(super) backend: i32,
}

impl Facts {
    pub(super) fn new(ask: &Ask) -> Self {
        Self {
            user: ask.user.clone(),
            settings: ask.settings.clone(),
            backend: ask.backend,
        }
    }

    #[cfg(test)]
    pub(super) fn for_tests() -> Self {
        Self {
            user: "auditor".to_owned(),
            settings: [("TimeZone".to_owned(), "Asia/Kolkata".to_owned())].into(),
            backend: 7,
        }
    }

    /// A setting, whose name is read without regard to case.
    pub(super) fn setting(&self, name: &str) -> Option<&str> {
        self.settings
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }
}

/// The object id of a relation by its name, with or without schema and quotes.
pub(super) fn relation_oid(name: &str) -> Option<u32> {
    let plain = name.replace('"', "");
    let (schema, name) = match plain.split_once('.') {
        Some((schema, name)) => (Some(schema), name),
        None => (None, plain.as_str()),
    };
    let in_schema = |own: &str| schema.is_none_or(|schema| schema == own);
    let system = relations::ALL.iter().find(|relation| {
        relation.name == name
            && in_schema(relation.schema)
            && (schema.is_some() || relation.schema == relations::PG_CATALOG)
    });
    system.map(|relation| relation.oid).or_else(|| {
        TABLES
            .iter()
            .find(|table| table.name == name && in_schema("public"))
            .map(|table| table.oid)
    })
}

/// The name of a relation as a session whose path is `public` writes it.
pub(super) fn relation_name(oid: u32) -> Option<String> {
    let table = TABLES.iter().find(|table| table.oid == oid);
    table.map(|table| table.name.clone()).or_else(|| {
        let relation = relations::ALL.iter().find(|relation| relation.oid == oid)?;
        Some(if relation.schema == relations::PG_CATALOG {
            relation.name.to_owned()
        } else {
            format!("{}.{}", relation.schema, relation.name)
        })
    })
}
