//! What tools ask to learn what there is: catalogues, schemas, tables with their columns and comments, keys, types, and what the server can.
//!
//! One catalogue with one schema. Of a table's history the version is a part of its key. There are no foreign keys.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock},
};

use arrow::{
    array::{ArrayRef, Int32Array, RecordBatch, StringArray},
    datatypes::{DataType, Field, Schema, SchemaRef},
    error::ArrowError,
};
use arrow_flight::{
    error::FlightError,
    sql::{
        CommandGetCatalogs, CommandGetDbSchemas, CommandGetPrimaryKeys, CommandGetSqlInfo,
        CommandGetTableTypes, CommandGetTables, CommandGetXdbcTypeInfo, Nullable, Searchable, SqlInfo,
        SqlNullOrdering, SqlSupportedCaseSensitivity, SqlSupportedTransaction, XdbcDataType,
        metadata::{
            SqlInfoData, SqlInfoDataBuilder, XdbcTypeInfo, XdbcTypeInfoData, XdbcTypeInfoDataBuilder,
        },
    },
};

use crate::sql::{
    catalog::{key_name, keys, tables},
    postgres::types,
};

/// The one catalogue.
const CATALOG: &str = "gridtally";
/// The one schema.
const SCHEMA: &str = "public";
/// The one type of tables.
const TABLE: &str = "TABLE";
/// Key of a field's metadata for what the column says, as Flight SQL has it.
const REMARKS: &str = "ARROW:FLIGHT:SQL:REMARKS";
/// And for its type as SQL spells it.
const TYPE_NAME: &str = "ARROW:FLIGHT:SQL:TYPE_NAME";
/// Version of the Arrow implementation that is told.
const ARROW_VERSION: &str = "59";

type Answer = Result<RecordBatch, FlightError>;

pub(super) fn catalogs(query: CommandGetCatalogs) -> Answer {
    let mut builder = query.into_builder();
    builder.append(CATALOG);
    builder.build()
}

pub(super) fn schemas(query: CommandGetDbSchemas) -> Answer {
    let mut builder = query.into_builder();
    builder.append(CATALOG, SCHEMA);
    builder.build()
}

pub(super) fn tables_of(query: CommandGetTables) -> Answer {
    let known = tables().map_err(|error| FlightError::ExternalError(Box::new(error)))?;
    let mut builder = query.into_builder();
    for (name, columns) in known {
        builder.append(CATALOG, SCHEMA, name, TABLE, &remarked(&columns))?;
    }
    builder.build()
}

/// The columns with their comments where Flight SQL's clients look for them.
fn remarked(columns: &Schema) -> Schema {
    let fields: Vec<Field> = columns
        .fields()
        .iter()
        .map(|field| {
            let comment = field.metadata().get("comment").cloned().unwrap_or_default();
            let remarks = match field.metadata().get("unit") {
                Some(unit) => format!("{comment} [{unit}]"),
                None => comment,
            };
            let kind = field.data_type();
            let spelled = types::spelled(types::of(kind), Some(types::modifier(kind)));
            let metadata = HashMap::from([(REMARKS.to_owned(), remarks), (TYPE_NAME.to_owned(), spelled)]);
            field.as_ref().clone().with_metadata(metadata)
        })
        .collect();
    Schema::new(fields)
}

pub(super) fn table_types(query: CommandGetTableTypes) -> Answer {
    let mut builder = query.into_builder();
    builder.append(TABLE);
    builder.build()
}

pub(super) fn sql_info(query: CommandGetSqlInfo) -> Answer {
    query.into_builder(told(&SQL_INFO)?).build()
}

pub(super) fn type_info(query: CommandGetXdbcTypeInfo) -> Answer {
    query.into_builder(told(&TYPE_INFO)?).build()
}

fn told<T>(made: &'static Result<T, String>) -> Result<&'static T, FlightError> {
    made.as_ref()
        .map_err(|error| FlightError::Arrow(ArrowError::ComputeError(error.clone())))
}

/// The answer to a question for a table's primary key, a row for each of its columns.
pub(super) fn primary_keys(query: &CommandGetPrimaryKeys) -> Answer {
    let is_ours = |asked: &Option<String>, ours: &str| asked.as_deref().is_none_or(|asked| asked == ours);
    let here = is_ours(&query.catalog, CATALOG) && is_ours(&query.db_schema, SCHEMA);
    let mut keys = keys().into_iter();
    let found = keys.find(|(table, _)| here && *table == query.table);
    let columns = found.map_or_else(Vec::new, |(_, columns)| columns);
    let count = columns.len();
    let same = |value: &str| -> ArrayRef { Arc::new(StringArray::from(vec![value; count])) };
    let numbers = (1..).take(count);
    let text = |name, nullable| Field::new(name, DataType::Utf8, nullable);
    let fields = vec![
        text("catalog_name", true),
        text("db_schema_name", true),
        text("table_name", false),
        text("column_name", false),
        text("key_name", true),
        Field::new("key_sequence", DataType::Int32, false),
    ];
    let values: Vec<ArrayRef> = vec![
        same(CATALOG),
        same(SCHEMA),
        same(&query.table),
        Arc::new(StringArray::from(columns)),
        same(&key_name(&query.table)),
        Arc::new(Int32Array::from_iter_values(numbers)),
    ];
    RecordBatch::try_new(Arc::new(Schema::new(fields)), values).map_err(FlightError::Arrow)
}

/// The answer to a question for foreign keys, in either direction: there are none.
pub(super) fn foreign_keys() -> RecordBatch {
    let text = |name, nullable| Field::new(name, DataType::Utf8, nullable);
    none(vec![
        text("pk_catalog_name", true),
        text("pk_db_schema_name", true),
        text("pk_table_name", false),
        text("pk_column_name", false),
        text("fk_catalog_name", true),
        text("fk_db_schema_name", true),
        text("fk_table_name", false),
        text("fk_column_name", false),
        Field::new("key_sequence", DataType::Int32, false),
        text("fk_key_name", true),
        text("pk_key_name", true),
        Field::new("update_rule", DataType::UInt8, false),
        Field::new("delete_rule", DataType::UInt8, false),
    ])
}

fn none(fields: Vec<Field>) -> RecordBatch {
    let schema: SchemaRef = Arc::new(Schema::new(fields));
    RecordBatch::new_empty(schema)
}

static SQL_INFO: LazyLock<Result<SqlInfoData, String>> = LazyLock::new(|| {
    let mut info = SqlInfoDataBuilder::new();
    info.append(SqlInfo::FlightSqlServerName, "gridtally");
    info.append(SqlInfo::FlightSqlServerVersion, env!("CARGO_PKG_VERSION"));
    info.append(SqlInfo::FlightSqlServerArrowVersion, ARROW_VERSION);
    info.append(SqlInfo::FlightSqlServerReadOnly, true);
    info.append(SqlInfo::FlightSqlServerSql, true);
    info.append(SqlInfo::FlightSqlServerSubstrait, false);
    info.append(
        SqlInfo::FlightSqlServerTransaction,
        i32::from(SqlSupportedTransaction::None),
    );
    info.append(SqlInfo::FlightSqlServerCancel, true);
    info.append(SqlInfo::FlightSqlServerBulkIngestion, false);
    info.append(SqlInfo::FlightSqlServerStatementTimeout, 0_i32);
    info.append(SqlInfo::FlightSqlServerTransactionTimeout, 0_i32);
    info.append(SqlInfo::SqlDdlCatalog, false);
    info.append(SqlInfo::SqlDdlSchema, false);
    info.append(SqlInfo::SqlDdlTable, false);
    let lower = i32::from(SqlSupportedCaseSensitivity::SqlCaseSensitivityLowercase);
    info.append(SqlInfo::SqlIdentifierCase, lower);
    info.append(SqlInfo::SqlIdentifierQuoteChar, "\"");
    let sensitive = i32::from(SqlSupportedCaseSensitivity::SqlCaseSensitivityCaseInsensitive);
    info.append(SqlInfo::SqlQuotedIdentifierCase, sensitive);
    info.append(SqlInfo::SqlAllTablesAreSelectable, true);
    let order = i32::from(SqlNullOrdering::SqlNullsSortedHigh);
    info.append(SqlInfo::SqlNullOrdering, order);
    info.append(SqlInfo::SqlSupportsColumnAliasing, true);
    info.append(SqlInfo::SqlNullPlusNullIsNull, true);
    info.append(SqlInfo::SqlSupportsTableCorrelationNames, true);
    info.append(SqlInfo::SqlSupportsExpressionsInOrderBy, true);
    info.append(SqlInfo::SqlSchemaTerm, "schema");
    info.append(SqlInfo::SqlCatalogTerm, "database");
    info.append(SqlInfo::SqlCatalogAtStart, true);
    info.append(SqlInfo::SqlSelectForUpdateSupported, false);
    info.append(SqlInfo::SqlStoredProceduresSupported, false);
    info.append(SqlInfo::SqlCorrelatedSubqueriesSupported, true);
    info.build().map_err(|error| error.to_string())
});

static TYPE_INFO: LazyLock<Result<XdbcTypeInfoData, String>> = LazyLock::new(|| {
    let mut info = XdbcTypeInfoDataBuilder::new();
    for (name, kind, size, quoted) in [
        ("BOOLEAN", XdbcDataType::XdbcBit, 1, false),
        ("SMALLINT", XdbcDataType::XdbcSmallint, 16, false),
        ("INTEGER", XdbcDataType::XdbcInteger, 32, false),
        ("BIGINT", XdbcDataType::XdbcBigint, 64, false),
        ("REAL", XdbcDataType::XdbcReal, 24, false),
        ("DOUBLE PRECISION", XdbcDataType::XdbcDouble, 53, false),
        ("DECIMAL", XdbcDataType::XdbcDecimal, 38, false),
        ("VARCHAR", XdbcDataType::XdbcVarchar, i32::MAX, true),
        ("BYTEA", XdbcDataType::XdbcVarbinary, i32::MAX, true),
        ("DATE", XdbcDataType::XdbcDate, 10, true),
        ("TIMESTAMP", XdbcDataType::XdbcTimestamp, 26, true),
    ] {
        let is_decimal = name == "DECIMAL";
        let is_number = !quoted && name != "BOOLEAN";
        info.append(XdbcTypeInfo {
            type_name: name.to_owned(),
            data_type: kind,
            column_size: Some(size),
            literal_prefix: quoted.then(|| "'".to_owned()),
            literal_suffix: quoted.then(|| "'".to_owned()),
            create_params: is_decimal.then(|| vec!["precision".to_owned(), "scale".to_owned()]),
            nullable: Nullable::NullabilityNullable,
            case_sensitive: name == "VARCHAR",
            searchable: Searchable::Full,
            unsigned_attribute: is_number.then_some(false),
            fixed_prec_scale: false,
            auto_increment: is_number.then_some(false),
            local_type_name: Some(name.to_owned()),
            minimum_scale: is_decimal.then_some(0),
            maximum_scale: is_decimal.then_some(38),
            sql_data_type: kind,
            datetime_subcode: None,
            num_prec_radix: is_number.then_some(if is_decimal { 10 } else { 2 }),
            interval_precision: None,
        });
    }
    info.build().map_err(|error| error.to_string())
});
