use super::{Refused, STATEMENT_BYTES_MAX, check};

#[test]
fn reading_statements_run() {
    for statement in [
        "SELECT 1",
        "select * from interval_reads where day = '2026-04-01';",
        "WITH a AS (SELECT 1 AS x) SELECT x FROM a UNION ALL SELECT 2 ORDER BY 1 LIMIT 3",
        "VALUES (1), (2)",
        "EXPLAIN SELECT 1",
        "EXPLAIN ANALYZE SELECT count(*) FROM nodes",
        "SHOW TABLES",
        "SHOW COLUMNS FROM nodes",
        "SHOW FUNCTIONS",
        "DESCRIBE interval_reads",
        "DESCRIBE SELECT 1",
        "SELECT * FROM generate_series(1, 10)",
        "SELECT * FROM unnest([1, 2])",
        "SELECT * FROM information_schema.tables",
        "SELECT * FROM dt_balance_as_of('2026-05-01T00:00:00+05:30')",
        "SELECT * FROM Nodes_As_Of('2026-05-01', now()) AS then JOIN meters_as_of(now()) m ON m.node_id = then.node_id",
        "SELECT (SELECT max(version) FROM dt_balance_history), count(*) FROM dt_balance d JOIN nodes n ON n.node_id = d.dt_id",
    ] {
        assert_eq!(check(statement), Ok(()), "{statement}");
    }
}

/// Statements that must not run, and what the refusal says.
const REFUSED: &[(&str, &str)] = &[
    ("INSERT INTO nodes VALUES (1)", "INSERT INTO is refused"),
    ("UPDATE nodes SET name = 'x'", "UPDATE is refused"),
    ("DELETE FROM nodes", "DELETE FROM is refused"),
    (
        "MERGE INTO nodes USING meters ON true WHEN MATCHED THEN DELETE",
        "MERGE INTO is refused",
    ),
    ("TRUNCATE TABLE nodes", "TRUNCATE TABLE is refused"),
    ("DROP TABLE nodes", "DROP TABLE is refused"),
    ("DROP VIEW nodes", "DROP VIEW is refused"),
    ("ALTER TABLE nodes ADD COLUMN x INT", "ALTER TABLE is refused"),
    ("CREATE TABLE x AS SELECT 1", "CREATE TABLE is refused"),
    ("CREATE VIEW x AS SELECT 1", "CREATE VIEW is refused"),
    ("CREATE SCHEMA x", "CREATE SCHEMA is refused"),
    ("CREATE DATABASE x", "CREATE DATABASE is refused"),
    (
        "CREATE FUNCTION f() RETURNS INT RETURN 1",
        "CREATE FUNCTION is refused",
    ),
    (
        "CREATE EXTERNAL TABLE x STORED AS CSV LOCATION '/etc/passwd'",
        "CREATE EXTERNAL TABLE is refused",
    ),
    ("COPY (SELECT 1) TO '/tmp/x.csv'", "COPY is refused"),
    ("COPY nodes TO 'x.parquet'", "COPY is refused"),
    ("SET datafusion.execution.batch_size = 1", "SET is refused"),
    ("RESET datafusion.execution.batch_size", "RESET is refused"),
    ("SHOW ALL", "SHOW ALL is refused"),
    ("PREPARE p AS SELECT 1", "PREPARE is refused"),
    ("EXECUTE p", "EXECUTE is refused"),
    ("DEALLOCATE p", "DEALLOCATE is refused"),
    ("BEGIN", "BEGIN"),
    ("COMMIT", "COMMIT is refused"),
    ("EXPLAIN INSERT INTO nodes VALUES (1)", "INSERT INTO is refused"),
    ("EXPLAIN COPY nodes TO 'x.csv'", "COPY is refused"),
    ("EXPLAIN ANALYZE COPY nodes TO 'x.csv'", "COPY is refused"),
    ("SELECT * INTO x FROM nodes", "SELECT INTO is refused"),
    ("SELECT * FROM nodes FOR UPDATE", "FOR is refused"),
    (
        "WITH x AS (INSERT INTO nodes VALUES (1) RETURNING 1) SELECT * FROM x",
        "INSERT is refused",
    ),
    (
        "WITH x AS (SELECT 1) INSERT INTO nodes SELECT * FROM x",
        "INSERT is refused",
    ),
    ("WITH x AS (SELECT 1) DELETE FROM nodes", "DELETE is refused"),
    (
        "WITH x AS (SELECT 1) UPDATE nodes SET name = 'x'",
        "UPDATE is refused",
    ),
    (
        "SELECT * FROM read_csv('/etc/passwd')",
        "table function read_csv is refused",
    ),
    (
        "SELECT * FROM read_parquet('x.parquet')",
        "table function read_parquet is refused",
    ),
    (
        "SELECT * FROM \"READ_CSV\"('/etc/passwd')",
        "table function READ_CSV is refused",
    ),
    (
        "SELECT * FROM parquet_metadata('x.parquet')",
        "table function parquet_metadata is refused",
    ),
    (
        "SELECT 1 WHERE EXISTS (SELECT 1 FROM (SELECT * FROM read_json('x')) AS inner_query)",
        "table function read_json is refused",
    ),
    (
        "SELECT * FROM LATERAL flatten('x')",
        "table function flatten is refused",
    ),
    (
        "SELECT * FROM TABLE(read_csv('x'))",
        "table function read_csv is refused",
    ),
    (
        "SELECT * FROM nowhere_as_of('2026-05-01')",
        "table function nowhere_as_of is refused",
    ),
    (
        "SELECT * FROM _as_of('2026-05-01')",
        "table function _as_of is refused",
    ),
    (
        "SELECT * FROM nodes_history_as_of('2026-05-01')",
        "table function nodes_history_as_of is refused",
    ),
    ("SELECT 1; SELECT 2", "one statement at a time: this is 2"),
    ("SELECT 1; DROP TABLE nodes", "one statement at a time: this is 2"),
    ("", "there is no statement"),
    ("-- nothing", "there is no statement"),
    ("SELEC 1", "cannot be parsed"),
    ("SELECT * FROM", "cannot be parsed"),
];

#[test]
fn sql_1_everything_else_is_refused_with_its_name() {
    for (statement, expected) in REFUSED {
        let refused = check(statement).expect_err(statement);
        assert!(refused.to_string().contains(expected), "{statement}\n  {refused}");
    }
}

#[test]
fn a_statement_has_a_longest_length() {
    let long = format!("SELECT '{}'", "x".repeat(STATEMENT_BYTES_MAX));
    assert_eq!(
        check(&long),
        Err(Refused::TooLong {
            bytes_max: STATEMENT_BYTES_MAX
        })
    );
}

#[test]
fn deep_nesting_is_an_error_and_not_a_crash() {
    let deep = format!("SELECT {}1{}", "(".repeat(5_000), ")".repeat(5_000));
    assert!(check(&deep).is_err());
}
