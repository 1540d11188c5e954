"""The auditor's guide by one of an auditor's tools: guide.py TOOL WHERE. Standard input: {"questions": [sql, …], "guide": Markdown}.

Gives for each question one line of JSON: its rows, each value as text ("∅": null; times with their offset).
"""

import datetime
import decimal
import glob
import json
import pathlib
import re
import sys

tool, where = sys.argv[1], sys.argv[2]
asked = json.load(sys.stdin)


def written(value):
    if value is None:
        return "∅"
    if isinstance(value, bool):
        return "t" if value else "f"
    if isinstance(value, datetime.datetime):
        return value.isoformat()
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, (int, str, decimal.Decimal)):
        return str(value)
    raise TypeError(f"{type(value)}: {value!r}")


def say(rows):
    print(json.dumps([[written(value) for value in row] for row in rows]))


def psycopg():
    """Binary, prepared."""
    import psycopg

    with psycopg.connect(f"host=127.0.0.1 port={where} user=auditor dbname=gridtally") as connection:
        for question in asked["questions"]:
            say(connection.execute(question, prepare=True, binary=True).fetchall())


def psycopg2():
    """libpq, text, values written into the statement; a cursor of the server."""
    import psycopg2

    with psycopg2.connect(f"host=127.0.0.1 port={where} user=auditor dbname=gridtally") as connection:
        for at, question in enumerate(asked["questions"]):
            with connection.cursor(f"question_{at}") as cursor:
                cursor.execute(question)
                say(cursor.fetchall())


def sqlalchemy():
    import sqlalchemy

    engine = sqlalchemy.create_engine(f"postgresql+psycopg://auditor@127.0.0.1:{where}/gridtally")
    with engine.connect() as connection:
        for question in asked["questions"]:
            say(connection.execute(sqlalchemy.text(question)).fetchall())


def jdbc():
    """PostgreSQL's own driver in a Java machine, each question prepared on the server and executed twice."""
    import jpype

    jpype.startJVM(classpath=["/usr/share/java/postgresql.jar"])
    address = f"jdbc:postgresql://127.0.0.1:{where}/gridtally?user=auditor&prepareThreshold=1&binaryTransfer=true"
    instant = jpype.JClass("java.time.OffsetDateTime")
    connection = jpype.JClass("java.sql.DriverManager").getConnection(address)
    for question in asked["questions"]:
        statement = connection.prepareStatement(question)
        for _ in range(2):
            rows, answer = [], statement.executeQuery()
            columns = answer.getMetaData()
            kinds = [str(columns.getColumnTypeName(at)) for at in range(1, columns.getColumnCount() + 1)]
            while answer.next():
                row = []
                for at, kind in enumerate(kinds, 1):
                    value = answer.getObject(at, instant) if kind == "timestamptz" else answer.getString(at)
                    row.append(None if value is None else str(value))
                rows.append(row)
        statement.close()
        say(rows)
    connection.close()


def jdbc_parameters():
    """A parameter of every type as JDBC sets it, each statement twice: before and after it is prepared on the server."""
    import jpype

    jpype.startJVM("-Duser.timezone=Asia/Kolkata", classpath=["/usr/share/java/postgresql.jar"])
    address = f"jdbc:postgresql://127.0.0.1:{where}/gridtally?user=auditor&prepareThreshold=2"
    connection = jpype.JClass("java.sql.DriverManager").getConnection(address)
    java = jpype.JClass
    date, stamp = java("java.sql.Date"), java("java.sql.Timestamp")
    for question, setter, value in [
        ("SELECT ? || '!'", "setString", "it's"),
        ("SELECT ?", "setBoolean", True),
        ("SELECT ? + 1", "setShort", jpype.JShort(41)),
        ("SELECT ? + 1", "setInt", jpype.JInt(41)),
        ("SELECT ? + 1", "setLong", jpype.JLong(41)),
        ("SELECT ? * 2", "setFloat", jpype.JFloat(1.5)),
        ("SELECT ? * 2", "setDouble", jpype.JDouble(1.5)),
        ("SELECT ?", "setBigDecimal", java("java.math.BigDecimal")("-12345.60")),
        ("SELECT count(*) FROM interval_reads WHERE day = ?", "setDate", date.valueOf("2026-04-01")),
        ("SELECT count(*) FROM interval_reads WHERE day >= ?", "setDate", date.valueOf("2026-04-01")),
        ("SELECT ?::date", "setDate", date.valueOf("2026-04-01")),
        ("SELECT CAST(? AS date) + INTERVAL '1 day'", "setDate", date.valueOf("2026-04-01")),
        ("SELECT count(*) FROM interval_reads WHERE interval_end >= ?", "setDate", date.valueOf("2026-04-02")),
        ("SELECT count(*) FROM interval_reads WHERE interval_end >= ?", "setTimestamp", stamp.valueOf("2026-04-02 00:00:00")),
        ("SELECT count(*) FROM interval_reads WHERE day = ?", "setObject", java("java.time.LocalDate").of(2026, 4, 1)),
        ("SELECT count(*) FROM interval_reads WHERE interval_end >= ?", "setObject", java("java.time.OffsetDateTime").parse("2026-04-02T00:00:00+05:30")),
        ("SELECT count(*) FROM interval_reads WHERE interval_end >= ?", "setObject", java("java.time.LocalDateTime").parse("2026-04-02T00:00:00")),
        ("SELECT count(*) FROM nodes_as_of(?)", "setTimestamp", stamp.valueOf("2026-04-02 00:00:00")),
        ("SELECT node_id FROM nodes ORDER BY node_id LIMIT ?", "setInt", jpype.JInt(1)),
        ("SELECT count(*) FROM nodes WHERE kind = ANY(?)", "setArray", connection.createArrayOf("text", ["dt", "feeder"])),
        ("SELECT coalesce(?, 'nothing')", "setString", None),
        ("EXPLAIN SELECT name FROM nodes WHERE node_id = ?", "setString", "F1"),
    ]:
        statement = connection.prepareStatement(question)
        for _ in range(3):
            try:
                getattr(statement, setter)(1, value)
                answer = statement.executeQuery()
                answer.next()
                print(json.dumps([question, setter, str(answer.getString(1))]))
            except java("java.sql.SQLException") as problem:
                print(json.dumps([question, setter, str(problem)]))
        statement.close()
    connection.close()


def adbc():
    """Arrow Flight SQL."""
    from adbc_driver_flightsql import dbapi

    options = {"username": "auditor", "password": "any"}
    with dbapi.connect(f"grpc://127.0.0.1:{where}", db_kwargs=options, autocommit=True) as connection:
        for question in asked["questions"]:
            with connection.cursor() as cursor:
                cursor.execute(question)
                columns = [column.to_pylist() for column in cursor.fetch_arrow_table().columns]
            say(zip(*columns))


def odbc_driver():
    """Where Debian puts PostgreSQL's driver: in a folder of the machine's kind."""
    [driver, *_] = glob.glob("/usr/lib/*/odbc/psqlodbcw.so")
    return driver


def odbc_connection(**settings):
    """As a spreadsheet connects by psqlODBC; settings are the driver's own."""
    import pyodbc

    pyodbc.pooling = False
    settings = {"Driver": odbc_driver(), "Server": "127.0.0.1", "Port": where, "Database": "gridtally", "UID": "auditor", "PWD": "any", **settings}
    return pyodbc.connect(";".join(f"{name}={value}" for name, value in settings.items()), autocommit=settings.get("UseDeclareFetch") != 1)


def odbc():
    """PostgreSQL's ODBC driver: whole results, then by a cursor of the server a few rows at a time, with statements prepared there; all alike."""
    rows_of = []
    for settings in [{"UseServerSidePrepare": 0}, {"UseServerSidePrepare": 1}, {"UseDeclareFetch": 1, "Fetch": 7}]:
        # The driver gives an instant as the session's clock shows it.
        with odbc_connection(**settings, BoolsAsChar=0, ConnSettings="SET TimeZone TO 'UTC'") as connection:
            answers = []
            for question in asked["questions"]:
                rows = connection.cursor().execute(question).fetchall()
                instants = [[value.replace(tzinfo=datetime.timezone.utc) if isinstance(value, datetime.datetime) else value for value in row] for row in rows]
                answers.append(instants)
            rows_of.append(answers)
    for answers in rows_of[1:]:
        for at, (one, other) in enumerate(zip(rows_of[0], answers)):
            assert one == other, f"{asked['questions'][at]}: {one} and {other}"
    for rows in rows_of[0]:
        say(rows)


def odbc_catalogue():
    """What a spreadsheet asks before a question: tables, columns, keys, types; parameters of every type; a cursor; what is refused."""
    import pyodbc

    def tell(title, rows):
        print(json.dumps([title, [[written(value) for value in row] for row in rows]]))

    for settings in [{}, {"UseDeclareFetch": 1, "Fetch": 3}]:
        with odbc_connection(**settings) as connection:
            cursor = connection.cursor()
            tell("tables", [[row.table_schem, row.table_name, row.table_type] for row in cursor.tables(schema="public")])
            tell("one table", [[row.table_name] for row in cursor.tables(table="nodes", tableType="TABLE")])
            tell("columns", [[row.column_name, row.type_name, row.nullable] for row in cursor.columns(table="dt_balance", schema="public")])
            tell("keys", [[row.column_name, row.key_seq] for row in cursor.primaryKeys("nodes", schema="public")])
            tell("row identifier", [[row.column_name] for row in cursor.rowIdColumns("nodes", schema="public")])
            tell("indices", [[row.index_name] for row in cursor.statistics("nodes", schema="public") if row.index_name])
            tell("foreign keys", [[row.fkcolumn_name] for row in cursor.foreignKeys("nodes", schema="public")])
            tell("procedures", [[row.procedure_name] for row in cursor.procedures(schema="public")])
            tell("types", [[row.type_name] for row in cursor.getTypeInfo(pyodbc.SQL_BIGINT)])
            for question, value in [
                ("SELECT count(*) FROM interval_reads WHERE day = ?", datetime.date(2026, 4, 1)),
                ("SELECT count(*) FROM interval_reads WHERE interval_end >= ?", datetime.datetime(2026, 4, 2)),
                ("SELECT count(*) FROM interval_reads WHERE meter_id = ?", "M1"),
                ("SELECT count(*) FROM interval_reads WHERE import_wh >= ?", 100),
                ("SELECT count(*) FROM dt_balance WHERE loss_pct >= ?", 1.5),
                ("SELECT count(*) FROM billing WHERE billed_inr >= ?", decimal.Decimal("10.50")),
                ("SELECT count(*) FROM nodes WHERE name = ?", None),
            ]:
                for _ in range(2):
                    tell(question, [list(row) for row in cursor.execute(question, value).fetchall()])
            tell("many rows", [list(row) for row in cursor.execute("SELECT meter_id, import_wh FROM interval_reads ORDER BY 1, 2, interval_end").fetchall()])
            for refused in ["COPY nodes TO '/tmp/gridtally-odbc.csv'", "DELETE FROM nodes", "SELECT pg_read_file('/etc/passwd')"]:
                try:
                    cursor.execute(refused)
                    tell(refused, [["done"]])
                except pyodbc.Error as problem:
                    tell(refused, [["refused", problem.args[0]]])
                if settings:
                    connection.rollback()


def fences(language):
    """Blocks of the guide in a language."""
    return re.findall(rf"^```{language}\n(.*?)\n```$", asked["guide"], re.S | re.M)


def tables():
    """What the guide says of each table: name, key, columns by which the newest is told, what is left out."""
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \| ([^|]+) \| ([^|]*)\|$", asked["guide"], re.M)
    for name, key, newest, left_out in rows:
        yield name, key.strip().split(", "), newest.strip().split(", "), left_out.strip()


PICTURES = {
    "nodes": ["node_id"],
    "meters": ["meter_id"],
    "connections": ["consumer_id", "meter_id"],
    "supply_hours": ["node_id", "category", "weekdays", "from"],
}


def quoted(columns):
    return ", ".join(f'"{column}"' for column in columns)


def duckdb():
    """The table files, with the guide's lines for DuckDB, put to each table as the guide says."""
    import duckdb
    import duckdb_extension_delta

    extension = next(pathlib.Path(duckdb_extension_delta.__file__).parent.rglob("delta.duckdb_extension"))
    connection = duckdb.connect()
    connection.execute(f"LOAD '{extension}'; SET TimeZone = 'UTC'")
    standing, picture = fences("duckdb")
    # The extension comes from PyPI here.
    standing = standing.replace("INSTALL delta; LOAD delta;\n", "")
    for table, key, newest, left_out in tables():
        lines = standing.replace("gridtally-data/tables", where).replace("dt_balance", table)
        lines = lines.replace("dt_id, interval_end", quoted(key))
        lines = lines.replace("version DESC NULLS LAST", ", ".join(f'"{by}" DESC NULLS LAST' for by in newest))
        if "version" not in left_out:
            lines = lines.replace("WHERE version >= 1 AND ", "WHERE ").replace(" WHERE version >= 1\n", "\n")
        if "withdrawn" not in left_out:
            lines = lines.replace(" AND status <> 'withdrawn'", "")
        if table in PICTURES:
            # Of these `_as_of` gives the picture.
            lines = lines.replace(f"{table}_as_of", f"{table}_published_as_of")
        connection.execute(lines)
    for table, ids in PICTURES.items():
        lines = picture.replace("connections", table)
        lines = lines.replace("consumer_id, meter_id, valid_from", quoted([*ids, "valid_from"]))
        connection.execute(lines.replace("consumer_id, meter_id", quoted(ids)))
    for question in asked["questions"]:
        columns = [column.to_pylist() for column in connection.execute(question).to_arrow_table().columns]
        say(zip(*columns))


def polars():
    """The table files, with the guide's functions for Polars."""
    import polars

    [code] = fences("python")
    functions = {}
    exec(code.replace("gridtally-data/tables", where), functions)
    newest, picture = functions["newest"], functions["picture"]
    told = {table: (key, by) for table, key, by, _ in tables()}

    def instant(text):
        return datetime.datetime.fromisoformat(text).astimezone(datetime.timezone.utc)

    def as_of(table, at, known):
        key, by = told[table]
        if table in PICTURES:
            until = instant(known) if known else None
            return picture(newest(where, table, key, by, until), PICTURES[table], instant(at))
        return newest(where, table, key, by, instant(at))

    for question in asked["questions"]:
        frames = {}

        def named(found):
            name = f"{found[1]}_as_of_{len(frames)}"
            frames[name] = as_of(found[1], found[2], found[3])
            return name

        # Polars' SQL has no functions that are tables.
        question = re.sub(r"(\w+)_as_of\('([^']*)'(?:, '([^']*)')?\)", named, question)
        for table, (key, by) in told.items():
            if re.search(rf"\b{table}\b", question):
                frames[table] = newest(where, table, key, by)
            if re.search(rf"\b{table}_history\b", question):
                frames[f"{table}_history"] = polars.read_delta(f"{where}/{table}")
        answer = polars.SQLContext(frames).execute(question, eager=True)
        say(answer.rows())


globals()[tool]()
