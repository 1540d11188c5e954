//! PostgreSQL's types, and which of them an Arrow type is.
//!
//! | Arrow | PostgreSQL |
//! |---|---|
//! | boolean | boolean |
//! | 8 and 16 bits, signed; 8 bits unsigned | smallint |
//! | 32 bits; 16 bits unsigned | integer |
//! | 64 bits; 32 and 64 bits unsigned (a value beyond bigint is an error, 22003) | bigint |
//! | 16 and 32, 64 bits of floating point | real, double precision |
//! | decimal | numeric with its precision and scale |
//! | text, bytes | text, bytea |
//! | date, time, timestamp without and with zone, interval and duration | the same, microseconds |
//! | list | array of the type |
//! | anything else | text, as Arrow shows it |

use std::{collections::BTreeMap, sync::LazyLock};

use arrow::datatypes::{DataType, Field};

/// Key of a field's metadata that holds the PostgreSQL type where it is not the one of its Arrow type.
pub(crate) const TYPE_KEY: &str = "pg_type";
/// Object id of a type that is not known yet.
pub(crate) const UNSPECIFIED: u32 = 0;
/// Object id of `text`.
pub(crate) const TEXT: u32 = 25;
/// Object id of `bool`.
pub(crate) const BOOL: u32 = 16;
/// Object id of `int8`.
pub(crate) const INT8: u32 = 20;
/// Object id of `float8`.
pub(crate) const FLOAT8: u32 = 701;

/// `pg_type` of PostgreSQL 15 for the types that results, parameters and catalogues have.
pub(super) const TYPES: &str = include_str!("types.tsv");

/// A type as `pg_type` describes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PgType {
    pub(crate) oid: u32,
    /// Name in `pg_type`, such as `int8`.
    pub(crate) name: &'static str,
    /// Bytes of a value; negative: they vary.
    pub(crate) length: i16,
    /// The type of the elements of an array; 0: it is none.
    pub(crate) element: u32,
    /// The type of arrays of it; 0: there is none.
    pub(crate) array: u32,
}

static BY_OID: LazyLock<BTreeMap<u32, PgType>> = LazyLock::new(|| {
    let mut lines = TYPES.lines();
    let columns: Vec<&str> = lines.next().unwrap_or_default().split('\t').collect();
    lines
        .filter_map(|line| {
            let cells: BTreeMap<&str, &'static str> = columns.iter().copied().zip(line.split('\t')).collect();
            let number = |column: &str| cells.get(column).and_then(|text| text.parse().ok());
            let oid = number("oid")?;
            let is_array = cells.get("typsubscript") == Some(&"array_subscript_handler");
            let kind = PgType {
                oid,
                name: cells.get("typname").copied()?,
                length: cells.get("typlen").and_then(|text| text.parse().ok())?,
                element: number("typelem").filter(|_| is_array).unwrap_or(0),
                array: number("typarray").unwrap_or(0),
            };
            Some((oid, kind))
        })
        .collect()
});

/// The type with this object id.
pub(crate) fn by_oid(oid: u32) -> Option<&'static PgType> {
    BY_OID.get(&oid)
}

/// The type of this name: as `pg_type` has it, or as SQL spells it.
pub(crate) fn by_name(name: &str) -> Option<&'static PgType> {
    let name = name.trim().trim_start_matches("pg_catalog.");
    let (name, is_array) = match name.strip_suffix("[]") {
        Some(element) => (element, true),
        None => (name, false),
    };
    let lower = name.to_ascii_lowercase();
    let short = SPELLED
        .iter()
        .find(|(_, spelled)| *spelled == lower)
        .map_or(lower.as_str(), |(short, _)| *short);
    let found = BY_OID.values().find(|kind| kind.name == short)?;
    if is_array {
        by_oid(found.array)
    } else {
        Some(found)
    }
}

/// Names of `pg_type` that SQL spells otherwise.
const SPELLED: &[(&str, &str)] = &[
    ("bool", "boolean"),
    ("int2", "smallint"),
    ("int4", "integer"),
    ("int4", "int"),
    ("int8", "bigint"),
    ("float4", "real"),
    ("float8", "double precision"),
    ("numeric", "decimal"),
    ("varchar", "character varying"),
    ("bpchar", "character"),
    ("timestamp", "timestamp without time zone"),
    ("timestamptz", "timestamp with time zone"),
    ("time", "time without time zone"),
    ("timetz", "time with time zone"),
    ("char", "\"char\""),
];

/// How SQL spells a type with this modifier (`format_type` of PostgreSQL).
pub(crate) fn spelled(oid: u32, modifier: Option<i32>) -> String {
    let Some(kind) = by_oid(oid) else {
        return if oid == 0 { "-" } else { "???" }.to_owned();
    };
    if kind.element != 0 {
        return format!("{}[]", spelled(kind.element, modifier));
    }
    let name = SPELLED
        .iter()
        .find(|(short, _)| *short == kind.name)
        .map_or(kind.name, |(_, spelled)| *spelled);
    match modifier {
        Some(modifier) if kind.name == "numeric" && modifier >= HEADER => {
            let packed = modifier - HEADER;
            format!("numeric({},{})", packed >> 16, packed & 0xFFFF)
        }
        Some(_) | None => name.to_owned(),
    }
}

/// PostgreSQL adds the length of a header to type modifiers.
const HEADER: i32 = 4;

/// The modifier of a decimal; -1: none.
#[expect(clippy::wildcard_enum_match_arm, reason = "only decimals have one here")]
pub(crate) fn modifier(kind: &DataType) -> i32 {
    match kind {
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale)
            if *scale >= 0 =>
        {
            ((i32::from(*precision) << 16) | i32::from(*scale)) + HEADER
        }
        _ => -1,
    }
}

/// The type of a result's column.
pub(crate) fn of_field(field: &Field) -> u32 {
    field
        .metadata()
        .get(TYPE_KEY)
        .and_then(|oid| oid.parse().ok())
        .unwrap_or_else(|| of(field.data_type()))
}

/// The PostgreSQL type of an Arrow type.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "types that PostgreSQL does not have are shown as text"
)]
pub(crate) fn of(kind: &DataType) -> u32 {
    match kind {
        DataType::Boolean => 16,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => 17,
        DataType::Int8 | DataType::Int16 | DataType::UInt8 => 21,
        DataType::Int32 | DataType::UInt16 => 23,
        DataType::Int64 | DataType::UInt32 | DataType::UInt64 => 20,
        DataType::Float16 | DataType::Float32 => 700,
        DataType::Float64 => 701,
        DataType::Date32 | DataType::Date64 => 1082,
        DataType::Time32(_) | DataType::Time64(_) => 1083,
        DataType::Timestamp(_, None) => 1114,
        DataType::Timestamp(_, Some(_)) => 1184,
        DataType::Interval(_) | DataType::Duration(_) => 1186,
        DataType::Decimal32(..)
        | DataType::Decimal64(..)
        | DataType::Decimal128(..)
        | DataType::Decimal256(..) => 1700,
        DataType::Dictionary(_, values) => of(values),
        DataType::List(element) | DataType::LargeList(element) | DataType::FixedSizeList(element, _) => {
            by_oid(of(element.data_type()))
                .map_or(TEXT, |kind| if kind.array == 0 { TEXT } else { kind.array })
        }
        _ => TEXT,
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::DataType;

    use super::{by_name, modifier, of, spelled};

    #[test]
    fn types_are_spelled_as_postgresql_spells_them() {
        let check = |kind: &DataType, expected: &str| {
            assert_eq!(spelled(of(kind), Some(modifier(kind))), expected, "{kind}");
        };
        check(&DataType::Int64, "bigint");
        check(&DataType::Decimal128(18, 2), "numeric(18,2)");
        check(&DataType::Float32, "real");
        check(
            &DataType::Timestamp(arrow::datatypes::TimeUnit::Microsecond, Some("UTC".into())),
            "timestamp with time zone",
        );
        check(&DataType::new_list(DataType::Utf8, true), "text[]");
        assert_eq!(spelled(4_711, None), "???");
    }

    #[test]
    fn types_are_found_by_every_name() {
        for (name, oid) in [
            ("int8", 20),
            ("BIGINT", 20),
            ("pg_catalog.text", 25),
            ("timestamp with time zone", 1184),
            ("text[]", 1009),
        ] {
            assert_eq!(by_name(name).map(|kind| kind.oid), Some(oid), "{name}");
        }
        assert!(by_name("hstore").is_none());
    }
}
