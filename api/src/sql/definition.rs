//! The queries behind the names that SQL knows: which rows of a table's history stand, now or at an instant.

use gridtally_schemas::{UtcMicros, table::TableSchema};

/// Suffix of the name that gives every version.
pub(super) const HISTORY: &str = "_history";
/// Suffix of the function that gives what stood at an instant.
pub(super) const AS_OF: &str = "_as_of";

/// Whether a table's rows hold for a time of their own (`valid_from` until before `valid_to`): master data. Of such a table
/// `_as_of(t)` gives the picture at `t`; of every other what stood published at `t`.
pub(super) fn is_effective_dated(schema: &TableSchema) -> bool {
    schema.column("valid_from").is_some() && schema.column("valid_to").is_some()
}

/// The row of each key that stands, of what was published at or before `until`; `None`: now.
///
/// A row counts by its `published_at`, the moment of its checkpoint: of two checkpoints with one `published_at` (a clock that
/// stands still) none can be told from the other.
pub(super) fn standing(schema: &TableSchema, until: Option<UtcMicros>) -> String {
    let columns = columns(schema);
    // A row's day follows from its key; naming it lets a condition on the day skip the other days' files.
    let key: Vec<String> = schema
        .key
        .iter()
        .copied()
        .chain(schema.partition.filter(|column| !schema.key.contains(column)))
        .map(name)
        .collect();
    let newest: Vec<String> = schema
        .newest_by
        .iter()
        .map(|column| format!("{column} DESC"))
        .collect();
    let mut conditions = Vec::new();
    if schema.versioned {
        conditions.push("version >= 1".to_owned());
    }
    if let Some(until) = until {
        conditions.push(format!("published_at <= {}", instant(until)));
    }
    let counted = if conditions.is_empty() {
        String::new()
    } else {
        format!("WHERE {}", conditions.join(" AND "))
    };
    let not_withdrawn = if schema.versioned && schema.column("status").is_some() {
        " AND status <> 'withdrawn'"
    } else {
        ""
    };
    format!(
        "SELECT {columns} FROM (SELECT {columns}, ROW_NUMBER() OVER (PARTITION BY {} ORDER BY {}) AS newest_first \
         FROM {}{HISTORY} {counted}) WHERE newest_first = 1{not_withdrawn}",
        key.join(", "),
        newest.join(", "),
        schema.name,
    )
}

/// The picture at `at` of an effective-dated table, as of what was published at or before `until` (`None`: now): of each id the
/// row that holds then; where two do, the one that began last.
pub(super) fn picture(schema: &TableSchema, at: UtcMicros, until: Option<UtcMicros>) -> String {
    let columns = columns(schema);
    let id: Vec<String> = schema
        .key
        .iter()
        .copied()
        .filter(|column| *column != "valid_from")
        .map(name)
        .collect();
    let at = instant(at);
    format!(
        "SELECT {columns} FROM (SELECT {columns}, ROW_NUMBER() OVER (PARTITION BY {} ORDER BY valid_from DESC) AS began_last \
         FROM ({}) WHERE valid_from <= {at} AND (valid_to IS NULL OR {at} < valid_to)) WHERE began_last = 1",
        id.join(", "),
        standing(schema, until),
    )
}

fn columns(schema: &TableSchema) -> String {
    let columns: Vec<String> = schema.columns.iter().map(|column| name(column.name)).collect();
    columns.join(", ")
}

/// A column's name as SQL takes it: some are words of the language.
fn name(column: &str) -> String {
    if ["start", "end", "from", "to"].contains(&column) {
        format!("\"{column}\"")
    } else {
        column.to_owned()
    }
}

/// An instant as an SQL expression, exact to the microsecond.
fn instant(at: UtcMicros) -> String {
    format!("arrow_cast({}, 'Timestamp(Microsecond, Some(\"UTC\"))')", at.0)
}
