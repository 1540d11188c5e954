use datafusion::sql::{parser::Statement as TopStatement, sqlparser::ast::Statement};

use super::{super::parse, rewrite};

fn rewritten(text: &str) -> String {
    let mut statements = parse(text).unwrap();
    let Some(TopStatement::Statement(statement)) = statements.pop() else {
        panic!("{text}");
    };
    let mut statement: Statement = *statement;
    rewrite(&mut statement);
    statement.to_string()
}

#[test]
fn what_the_planner_does_not_know_is_written_as_it_does() {
    let check = |text: &str, expected: &str| assert_eq!(rewritten(text), expected, "{text}");
    check(
        "SELECT x OPERATOR(pg_catalog.~) '^(a)$' COLLATE pg_catalog.default",
        "SELECT x ~ '^(a)$'",
    );
    check("SELECT pg_catalog.version()", "SELECT version()");
    check("SELECT 'nodes'::regclass", "SELECT regclass_oid('nodes')");
    check("SELECT c.oid::pg_catalog.regclass", "SELECT regclass_name(c.oid)");
    check(
        "SELECT 'nodes'::regclass::oid",
        "SELECT regclass_oid('nodes')::BIGINT",
    );
    check("SELECT x::regclass::oid", "SELECT regclass_oid(x)");
    check("SELECT x::pg_catalog.text", "SELECT x::TEXT");
    check(
        "SELECT '{a,\"b c\"}'::text[]",
        "SELECT make_array(CAST('a' AS TEXT), CAST('b c' AS TEXT))",
    );
}

#[test]
fn what_joins_an_empty_relation_has_no_row_and_keeps_its_columns() {
    let check = |text: &str, expected: &str| assert_eq!(rewritten(text), expected, "{text}");
    check(
        "SELECT c.oid, f(i.x) AS y FROM pg_class c JOIN pg_catalog.pg_index i ON i.indrelid = c.oid ORDER BY 1",
        "SELECT CAST(NULL AS TEXT) AS \"oid\", CAST(NULL AS TEXT) AS y WHERE false",
    );
    check(
        "SELECT relname, (SELECT adbin FROM pg_attrdef d WHERE d.adrelid = c.oid) FROM pg_class c",
        "SELECT relname, NULL FROM pg_class c",
    );
    // An aggregate in a query within does not count as one of its own.
    check(
        "SELECT pubname, (SELECT string_agg(a, ', ') FROM t) AS cols FROM pg_publication",
        "SELECT CAST(NULL AS TEXT) AS \"pubname\", CAST(NULL AS TEXT) AS cols WHERE false",
    );
    check(
        "SELECT 1 FROM pg_class WHERE EXISTS (SELECT 1 FROM pg_trigger) OR oid IN (SELECT tgrelid FROM pg_trigger)",
        "SELECT 1 FROM pg_class WHERE false OR false",
    );
}

#[test]
fn what_may_have_rows_is_left_as_it_is() {
    for text in [
        "SELECT c.oid FROM pg_class c LEFT JOIN pg_index i ON i.indrelid = c.oid",
        "SELECT count(*) FROM pg_index",
        "SELECT * FROM pg_index",
        "SELECT node_id FROM nodes WHERE node_id IN (SELECT dt_id FROM dt_balance)",
        "SELECT (SELECT max(version) FROM dt_balance) FROM nodes",
        "SELECT name FROM pg_index.nodes",
    ] {
        assert_eq!(rewritten(text), text);
    }
}

#[test]
fn a_value_of_the_catalogues_is_the_least_and_one_of_the_tables_is_not_touched() {
    assert_eq!(
        rewritten("SELECT (SELECT typname FROM pg_type WHERE oid = a.atttypid) FROM pg_attribute a"),
        "SELECT (SELECT min(typname) FROM pg_type WHERE oid = a.atttypid) FROM pg_attribute a"
    );
    let user = "SELECT (SELECT name FROM nodes WHERE node_id = d.dt_id) FROM dt_balance d";
    assert_eq!(rewritten(user), user);
}
