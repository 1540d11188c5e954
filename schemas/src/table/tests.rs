use std::{collections::HashSet, fmt::Write};

use super::*;

/// Every table as text: what a reader of the contract wants to know, and what must not change unnoticed.
fn rendering() -> String {
    let mut text = String::from(
        "Every SQL table. Columns: name, type, unit (- none), null (- never; else what it means), what it says.\n\
         Written by the test; after an intended change run it once with GRIDTALLY_BLESS=1.\n",
    );
    for table in ALL {
        let partition = table.partition.unwrap_or("-");
        let newest = if table.newest_by.is_empty() {
            "-".to_owned()
        } else {
            table.newest_by.join(", ")
        };
        let written = if table.published { "yes" } else { "not yet" };
        write!(
            text,
            "\n{}: {}\n  key {} · newest by {newest} · versioned {} · partition {partition} · published {written}\n",
            table.name,
            table.about,
            table.key.join(", "),
            if table.versioned { "yes" } else { "no" },
        )
        .unwrap();
        for column in table.columns {
            let or_dash = |text: &'static str| if text.is_empty() { "-" } else { text };
            writeln!(
                text,
                "    {} | {} | {} | {} | {}",
                column.name,
                column.column_type,
                or_dash(column.unit),
                or_dash(column.null),
                column.about
            )
            .unwrap();
        }
    }
    text
}

#[test]
fn the_tables_are_those_of_the_contract() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tables.txt");
    let actual = rendering();
    if std::env::var_os("GRIDTALLY_BLESS").is_some() {
        std::fs::write(path, &actual).unwrap();
    }
    let expected = std::fs::read_to_string(path).unwrap_or_default();
    let difference: Vec<String> = lines_only_in(&expected, &actual, '-')
        .chain(lines_only_in(&actual, &expected, '+'))
        .collect();
    assert!(
        actual == expected,
        "schemas/tests/tables.txt holds the tables as promised; they now differ (- promised, + now):\n{}\n\
         The contract only grows: a column may be added, none changed. If this is meant, run the test once with GRIDTALLY_BLESS=1.",
        difference.join("\n")
    );
}

fn lines_only_in<'a>(text: &'a str, other: &'a str, sign: char) -> impl Iterator<Item = String> + 'a {
    let others: HashSet<(&str, &str)> = by_table(other).collect();
    by_table(text)
        .filter(move |line| !others.contains(line))
        .map(move |(table, line)| format!("{sign} {table}: {}", line.trim()))
}

/// Each line with the table it stands under.
fn by_table(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut table = "";
    text.lines().map(move |line| {
        if let Some((name, _)) = line.split_once(": ").filter(|_| !line.starts_with(' ')) {
            table = name;
        }
        (table, line)
    })
}

#[test]
fn keys_partitions_and_orders_name_columns() {
    for table in ALL {
        let names: Vec<_> = table.columns.iter().map(|column| column.name).collect();
        assert_eq!(
            names.iter().collect::<HashSet<_>>().len(),
            names.len(),
            "{}: a column twice",
            table.name
        );
        for name in table
            .key
            .iter()
            .chain(table.newest_by)
            .chain(table.partition.as_ref())
        {
            assert!(names.contains(name), "{}.{name}", table.name);
        }
        assert_eq!(table.versioned, names.contains(&"version"), "{}", table.name);
        assert_eq!(find(table.name), Some(*table));
        let never_null = |name: &&str| table.column(name).is_some_and(|column| !column.nullable());
        assert!(table.partition.as_ref().is_none_or(never_null), "{}", table.name);
        // Rows of one key are told by equality, which null has with nothing.
        assert!(
            !table.versioned || table.key.iter().all(never_null),
            "{}",
            table.name
        );
    }
}

#[test]
fn a_column_named_after_a_unit_has_it() {
    for (table, column) in ALL
        .iter()
        .flat_map(|table| table.columns.iter().map(move |column| (table, column)))
    {
        let unit = match column.name.rsplit('_').next() {
            Some("wh") => "Wh",
            Some("vah") => "VAh",
            Some("kwh") => "kWh",
            Some("inr") => "INR",
            Some("pct") => "%",
            Some("minutes") => "min",
            Some("v") => "V",
            Some("a") => "A",
            Some("kva") => "kVA",
            Some("kw") => "kW",
            Some(_) | None => continue,
        };
        assert_eq!(column.unit, unit, "{}.{}", table.name, column.name);
    }
}

/// Numbers with decimals that are of no unit: quotients, coordinates of none, and what a rule measures in its own.
const PURE: &[&str] = &[
    "value",
    "threshold",
    "strength",
    "weight",
    "multiplier",
    "saifi",
    "maifi",
    "maifi_e",
    "asai",
    "caifi",
    "cemi_3",
    "celid_8h",
];

#[test]
fn every_table_and_column_says_what_it_is_and_every_quantity_its_unit() {
    for table in ALL {
        assert!(table.about.len() > 10, "{}: {}", table.name, table.about);
        for column in table.columns {
            let name = format!("{}.{}", table.name, column.name);
            assert!(column.about.trim().len() > 3, "{name}: {:?}", column.about);
            let measured = matches!(
                column.column_type,
                ColumnType::Float | ColumnType::Double | ColumnType::Money
            );
            assert!(
                !measured || column.unit.is_empty() == PURE.contains(&column.name),
                "{name}: its unit is {:?}",
                column.unit
            );
            // Whole numbers without a unit are counts, places or codes, not energies.
            let whole = matches!(
                column.column_type,
                ColumnType::Long | ColumnType::Integer | ColumnType::Short
            );
            assert!(
                !whole || !column.unit.is_empty() || !column.about.contains("energy "),
                "{name}"
            );
            let comment = column.field().metadata()["comment"].clone();
            assert!(comment.starts_with(column.about), "{name}: {comment}");
            assert_eq!(
                comment.contains("(null: "),
                column.nullable(),
                "{name}: {comment}"
            );
        }
    }
}

#[test]
fn the_arrow_schema_says_type_nullability_unit_and_meaning() {
    let schema = INTERVAL_READS.arrow();
    let field = schema.field_with_name("export_wh").unwrap();
    assert_eq!((field.data_type(), field.is_nullable()), (&DataType::Int64, true));
    assert_eq!(field.metadata().get("unit").map(String::as_str), Some("Wh"));
    assert_eq!(
        field.metadata().get("comment").map(String::as_str),
        Some("energy given to the network (null: not measured or not sent)")
    );
    let end = schema.field_with_name("interval_end").unwrap();
    assert_eq!(
        (end.data_type(), end.is_nullable()),
        (
            &DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            false
        )
    );
}
