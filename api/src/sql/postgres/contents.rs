//! The rows of the catalogues.

use super::{
    super::catalog::{key_name, keys},
    facts::{DATABASE, FUNCTIONS, Facts, INFORMATION_SCHEMA_OID, PG_CATALOG_OID, PUBLIC_OID, TABLES, Table},
    relations::{self, ELEMENTS, INFORMATION_SCHEMA, PG_CATALOG, Relation, Row},
    types,
};

/// Who owns everything.
pub(super) const OWNER: &str = "gridtally";
/// Object id of the owner's role, as of PostgreSQL's first one.
const OWNER_OID: &str = "10";
/// Object id of `pg_class`, by which comments say what they are about.
const PG_CLASS: u32 = 1_259;
/// Object id of `pg_proc`.
const PG_PROC: u32 = 1_255;

/// The relations that have rows, of both schemas.
pub(super) const FILLED: &[&str] = &[
    "pg_namespace",
    "pg_class",
    "pg_attribute",
    "pg_type",
    "pg_description",
    "pg_database",
    "pg_roles",
    "pg_user",
    "pg_settings",
    "pg_proc",
    "pg_am",
    "pg_tablespace",
    "pg_tables",
    "tables",
    "columns",
    "schemata",
    "table_constraints",
    "key_column_usage",
    "constraint_column_usage",
    "routines",
    "information_schema_catalog_name",
];

/// The rows of a relation.
pub(super) fn rows(relation: &Relation, facts: &Facts) -> Vec<Row> {
    match relation.name {
        "pg_namespace" => namespaces(),
        "pg_class" => classes(),
        "pg_attribute" => attributes(),
        "pg_type" => type_rows(),
        "pg_description" => descriptions(),
        "pg_database" => vec![database()],
        "pg_roles" => roles(facts)
            .into_iter()
            .map(|(oid, name)| role(oid, &name))
            .collect(),
        "pg_user" => roles(facts)
            .into_iter()
            .map(|(oid, name)| user(oid, &name))
            .collect(),
        "pg_settings" => settings(facts),
        "pg_proc" => functions(),
        "pg_am" => [("2", "heap", "t"), ("403", "btree", "i")]
            .map(|(oid, name, kind)| row(&[("oid", oid), ("amname", name), ("amtype", kind)]))
            .into(),
        "pg_tablespace" => vec![row(&[
            ("oid", "1663"),
            ("spcname", "pg_default"),
            ("spcowner", OWNER_OID),
        ])],
        "pg_tables" => TABLES.iter().map(listed).collect(),
        "tables" => TABLES.iter().map(standard_table).collect(),
        "columns" => TABLES.iter().flat_map(standard_columns).collect(),
        "schemata" => [PG_CATALOG, INFORMATION_SCHEMA, "public"]
            .map(|name| {
                row(&[
                    ("catalog_name", DATABASE),
                    ("schema_name", name),
                    ("schema_owner", OWNER),
                ])
            })
            .into(),
        "table_constraints" => keys().iter().map(|(table, _)| constraint(table)).collect(),
        "key_column_usage" => keys().iter().flat_map(key_columns).collect(),
        "constraint_column_usage" => keys()
            .iter()
            .flat_map(key_columns)
            .map(|mut row| {
                row.remove("ordinal_position");
                row
            })
            .collect(),
        "routines" => FUNCTIONS
            .iter()
            .map(|function| {
                row(&[
                    ("specific_catalog", DATABASE),
                    ("specific_schema", "public"),
                    ("specific_name", &format!("{}_{}", function.name, function.oid)),
                    ("routine_catalog", DATABASE),
                    ("routine_schema", "public"),
                    ("routine_name", &function.name),
                    ("routine_type", "FUNCTION"),
                    ("data_type", "USER-DEFINED"),
                ])
            })
            .collect(),
        "information_schema_catalog_name" => vec![row(&[("catalog_name", DATABASE)])],
        _ => Vec::new(),
    }
}

fn row(cells: &[(&'static str, &str)]) -> Row {
    cells
        .iter()
        .map(|(name, value)| (*name, (*value).to_owned()))
        .collect()
}

fn namespaces() -> Vec<Row> {
    [
        (PG_CATALOG_OID, PG_CATALOG),
        (PUBLIC_OID, "public"),
        (INFORMATION_SCHEMA_OID, INFORMATION_SCHEMA),
    ]
    .map(|(oid, name)| {
        row(&[
            ("oid", &oid.to_string()),
            ("nspname", name),
            ("nspowner", OWNER_OID),
        ])
    })
    .into()
}

fn classes() -> Vec<Row> {
    let own = TABLES
        .iter()
        .map(|table| class(table.oid, &table.name, PUBLIC_OID, ("r", table.columns.len())));
    let system = relations::ALL.iter().map(|relation| {
        let schema = if relation.schema == PG_CATALOG {
            PG_CATALOG_OID
        } else {
            INFORMATION_SCHEMA_OID
        };
        class(
            relation.oid,
            relation.name,
            schema,
            (relation.kind, relation.columns.len()),
        )
    });
    own.chain(system).collect()
}

fn class(oid: u32, name: &str, schema: u32, (kind, columns): (&str, usize)) -> Row {
    row(&[
        ("oid", &oid.to_string()),
        ("relname", name),
        ("relnamespace", &schema.to_string()),
        ("reltype", "0"),
        ("reloftype", "0"),
        ("relowner", OWNER_OID),
        ("relam", if kind == "r" { "2" } else { "0" }),
        ("relfilenode", "0"),
        ("reltablespace", "0"),
        ("relpages", "0"),
        // Not known without reading, as of a table that was never analysed.
        ("reltuples", "-1"),
        ("relallvisible", "0"),
        ("reltoastrelid", "0"),
        ("relhasindex", "f"),
        ("relisshared", "f"),
        ("relpersistence", "p"),
        ("relkind", kind),
        ("relnatts", &columns.to_string()),
        ("relchecks", "0"),
        ("relhasrules", "f"),
        ("relhastriggers", "f"),
        ("relhassubclass", "f"),
        ("relrowsecurity", "f"),
        ("relforcerowsecurity", "f"),
        ("relispopulated", "t"),
        ("relreplident", "n"),
        ("relispartition", "f"),
        ("relrewrite", "0"),
    ])
}

fn attributes() -> Vec<Row> {
    let own = TABLES.iter().flat_map(|table| {
        table.columns.iter().zip(1..).map(|(column, number)| {
            attribute(
                (table.oid, number),
                column.name,
                (column.type_oid, column.modifier),
                !column.nullable,
            )
        })
    });
    let system = relations::ALL.iter().flat_map(|relation| {
        relation.columns.iter().zip(1..).map(|(&(name, kind), number)| {
            let kind = types::by_name(kind).map_or(types::TEXT, |kind| kind.oid);
            attribute((relation.oid, number), name, (kind, -1), false)
        })
    });
    own.chain(system).collect()
}

fn attribute((table, number): (u32, i16), name: &str, (kind, modifier): (u32, i32), not_null: bool) -> Row {
    let length = types::by_oid(kind).map_or(-1, |kind| kind.length);
    // Of text: the database's own, object id 100.
    let collation = if kind == types::TEXT { "100" } else { "0" };
    row(&[
        ("attrelid", &table.to_string()),
        ("attname", name),
        ("atttypid", &kind.to_string()),
        ("attstattarget", "-1"),
        ("attlen", &length.to_string()),
        ("attnum", &number.to_string()),
        ("attndims", "0"),
        ("attcacheoff", "-1"),
        ("atttypmod", &modifier.to_string()),
        ("attbyval", "f"),
        ("attalign", "i"),
        ("attstorage", if length < 0 { "x" } else { "p" }),
        ("attcompression", ""),
        ("attnotnull", if not_null { "t" } else { "f" }),
        ("atthasdef", "f"),
        ("atthasmissing", "f"),
        ("attidentity", ""),
        ("attgenerated", ""),
        ("attisdropped", "f"),
        ("attislocal", "t"),
        ("attinhcount", "0"),
        ("attcollation", collation),
    ])
}

fn type_rows() -> Vec<Row> {
    let mut lines = types::TYPES.lines();
    let columns: Vec<&'static str> = lines.next().unwrap_or_default().split('\t').collect();
    lines
        .map(|line| {
            let cells = columns.iter().copied().zip(line.split('\t'));
            cells
                .filter(|(_, cell)| *cell != "\\N")
                .map(|(column, cell)| (column, cell.to_owned()))
                .collect()
        })
        .collect()
}

fn descriptions() -> Vec<Row> {
    let about = |object: u32, class: u32, part: usize, text: &str| {
        row(&[
            ("objoid", &object.to_string()),
            ("classoid", &class.to_string()),
            ("objsubid", &part.to_string()),
            ("description", text),
        ])
    };
    let tables = TABLES.iter().flat_map(|table| {
        let columns = table.columns.iter().zip(1..);
        let columns =
            columns.map(move |(column, number)| about(table.oid, PG_CLASS, number, &column.comment));
        std::iter::once(about(table.oid, PG_CLASS, 0, &table.comment)).chain(columns)
    });
    let functions = FUNCTIONS
        .iter()
        .map(|function| about(function.oid, PG_PROC, 0, &function.comment));
    tables.chain(functions).collect()
}

fn database() -> Row {
    row(&[
        ("oid", "5"),
        ("datname", DATABASE),
        ("datdba", OWNER_OID),
        ("encoding", "6"),
        ("datlocprovider", "c"),
        ("datistemplate", "f"),
        ("datallowconn", "t"),
        ("datconnlimit", "-1"),
        ("dattablespace", "1663"),
        ("datcollate", "C.UTF-8"),
        ("datctype", "C.UTF-8"),
    ])
}

/// The owner and, where it is another, whoever asks.
fn roles(facts: &Facts) -> Vec<(u32, String)> {
    let mut roles = vec![(10, OWNER.to_owned())];
    if facts.user != OWNER {
        roles.push((16_000, facts.user.clone()));
    }
    roles
}

fn role(oid: u32, name: &str) -> Row {
    row(&[
        ("oid", &oid.to_string()),
        ("rolname", name),
        ("rolsuper", "f"),
        ("rolinherit", "t"),
        ("rolcreaterole", "f"),
        ("rolcreatedb", "f"),
        ("rolcanlogin", "t"),
        ("rolreplication", "f"),
        ("rolconnlimit", "-1"),
        ("rolpassword", "********"),
        ("rolbypassrls", "f"),
    ])
}

fn user(oid: u32, name: &str) -> Row {
    row(&[
        ("usesysid", &oid.to_string()),
        ("usename", name),
        ("usecreatedb", "f"),
        ("usesuper", "f"),
        ("userepl", "f"),
        ("usebypassrls", "f"),
        ("passwd", "********"),
    ])
}

fn settings(facts: &Facts) -> Vec<Row> {
    let setting = |(name, value): (&String, &String)| {
        row(&[
            ("name", name),
            ("setting", value),
            ("category", "gridtally"),
            ("context", "user"),
            ("vartype", "string"),
            ("source", "session"),
            ("pending_restart", "f"),
        ])
    };
    facts.settings.iter().map(setting).collect()
}

fn functions() -> Vec<Row> {
    FUNCTIONS
        .iter()
        .map(|function| {
            let arguments = vec!["1184"; function.argument_count].join(" ");
            row(&[
                ("oid", &function.oid.to_string()),
                ("proname", &function.name),
                ("pronamespace", &PUBLIC_OID.to_string()),
                ("proowner", OWNER_OID),
                ("prolang", "12"),
                ("prokind", "f"),
                ("prosecdef", "f"),
                ("proleakproof", "f"),
                ("proisstrict", "t"),
                ("proretset", "t"),
                ("provolatile", "s"),
                ("proparallel", "s"),
                ("pronargs", &function.argument_count.to_string()),
                ("pronargdefaults", "0"),
                ("prorettype", "2249"),
                ("proargtypes", &arguments),
                (
                    "proargnames",
                    &["at", "known"]
                        .get(..function.argument_count)
                        .unwrap_or_default()
                        .join(&ELEMENTS.to_string()),
                ),
                ("prosrc", &function.name),
            ])
        })
        .collect()
}

fn listed(table: &Table) -> Row {
    row(&[
        ("schemaname", "public"),
        ("tablename", &table.name),
        ("tableowner", OWNER),
        ("hasindexes", "f"),
        ("hasrules", "f"),
        ("hastriggers", "f"),
        ("rowsecurity", "f"),
    ])
}

fn standard_table(table: &Table) -> Row {
    row(&[
        ("table_catalog", DATABASE),
        ("table_schema", "public"),
        ("table_name", &table.name),
        ("table_type", "BASE TABLE"),
        ("is_insertable_into", "NO"),
        ("is_typed", "NO"),
    ])
}

/// Name and table of a primary key.
fn key(table: &str) -> Row {
    row(&[
        ("constraint_catalog", DATABASE),
        ("constraint_schema", "public"),
        ("constraint_name", &key_name(table)),
        ("table_catalog", DATABASE),
        ("table_schema", "public"),
        ("table_name", table),
    ])
}

fn constraint(table: &str) -> Row {
    let more = row(&[
        ("constraint_type", "PRIMARY KEY"),
        ("is_deferrable", "NO"),
        ("initially_deferred", "NO"),
        ("enforced", "YES"),
    ]);
    key(table).into_iter().chain(more).collect()
}

fn key_columns((table, columns): &(String, Vec<&'static str>)) -> Vec<Row> {
    let numbered = columns.iter().zip(1_usize..);
    let of_column = numbered.map(|(column, number)| {
        let more = row(&[("column_name", column), ("ordinal_position", &number.to_string())]);
        key(table).into_iter().chain(more).collect()
    });
    of_column.collect()
}

fn standard_columns(table: &'static Table) -> impl Iterator<Item = Row> {
    table.columns.iter().zip(1..).map(|(column, number)| {
        let kind = types::by_oid(column.type_oid);
        let mut cells = row(&[
            ("table_catalog", DATABASE),
            ("table_schema", "public"),
            ("table_name", &table.name),
            ("column_name", column.name),
            ("ordinal_position", &format!("{number}")),
            ("is_nullable", if column.nullable { "YES" } else { "NO" }),
            ("data_type", &types::spelled(column.type_oid, None)),
            ("udt_catalog", DATABASE),
            ("udt_schema", PG_CATALOG),
            ("udt_name", kind.map_or("text", |kind| kind.name)),
            ("dtd_identifier", &format!("{number}")),
            ("is_self_referencing", "NO"),
            ("is_identity", "NO"),
            ("is_generated", "NEVER"),
            ("is_updatable", "NO"),
        ]);
        let mut add = |name: &'static str, value: i32| cells.insert(name, value.to_string());
        match kind.map_or("", |kind| kind.name) {
            "int2" => {
                add("numeric_precision", 16);
                add("numeric_scale", 0);
            }
            "int4" => {
                add("numeric_precision", 32);
                add("numeric_scale", 0);
            }
            "int8" => {
                add("numeric_precision", 64);
                add("numeric_scale", 0);
            }
            "numeric" => {
                let packed = column.modifier - 4;
                add("numeric_precision", packed >> 16);
                add("numeric_scale", packed & 0xFFFF);
            }
            "timestamptz" => {
                add("datetime_precision", 6);
            }
            "date" => {
                add("datetime_precision", 0);
            }
            _ => {}
        }
        cells
    })
}
