use gridtally_schemas::table;

use super::{RULES, Rule, rule_of};

#[test]
fn every_table_has_a_rule_and_every_rule_a_table() {
    for schema in table::ALL {
        let rules = RULES.iter().filter(|(name, _)| *name == schema.name).count();
        assert_eq!(rules, 1, "{}: say to which area its rows belong", schema.name);
        let columns: &[&str] = match rule_of(schema.name) {
            Rule::Names(column, _) => &[column],
            Rule::Stands(key, column, _) => &[key, column],
            Rule::Whole => &[],
        };
        for column in columns {
            assert!(schema.column(column).is_some(), "{}.{column}", schema.name);
        }
        // A version that stands must not be hidden behind one that does not.
        if let Rule::Names(column, _) = rule_of(schema.name) {
            let decided = schema.key.contains(&column) || DECIDED_BY_KEY.contains(&(schema.name, column));
            assert!(
                decided,
                "{}.{column} may differ between versions of a key",
                schema.name
            );
        }
    }
    for (name, _) in RULES {
        assert!(table::find(name).is_some(), "{name} is no table");
    }
}

/// Columns outside a key that never differ between its versions: their ids are made of them.
const DECIDED_BY_KEY: &[(&str, &str)] = &[
    ("vee_exceptions", "meter_id"),
    ("compensation_entries", "consumer_id"),
];

#[test]
fn a_table_without_rule_is_of_no_node() {
    assert_eq!(rule_of("something_new"), Rule::Whole);
}
