"""PostgreSQL's clients against a running instance: pg.py KIND PORT [argument]. Each answer is a line of JSON."""

import datetime
import decimal
import json
import random
import socket
import sys
import threading

import psycopg
import sqlalchemy
from psycopg import rows

kind, port = sys.argv[1], sys.argv[2]
argument = sys.argv[3] if len(sys.argv) > 3 else ""
where = f"host=127.0.0.1 port={port} user=auditor dbname=gridtally"


def plain(value):
    if isinstance(value, datetime.datetime):
        return value.isoformat()
    if isinstance(value, (datetime.date, decimal.Decimal)):
        return str(value)
    if isinstance(value, bytes):
        return value.hex()
    return value


def say(answer):
    print(json.dumps([[plain(value) for value in row] for row in answer]))


def written(value):
    """A value as PostgreSQL writes it as text."""
    if value is None:
        return "∅"
    if isinstance(value, bool):
        return "t" if value else "f"
    if isinstance(value, datetime.datetime):
        return value.isoformat(" ")
    if isinstance(value, float):
        return repr(value)
    return str(plain(value))


def queries():
    """Each query of standard input four times: as text, binary, prepared, by a cursor of the server."""
    with psycopg.connect(where) as connection:
        for query in json.load(sys.stdin):
            answers = [connection.execute(query).fetchall(), connection.execute(query, binary=True).fetchall()]
            for _ in range(2):
                answer = connection.execute(query, prepare=True).fetchall()
            answers.append(answer)
            with connection.cursor("a cursor") as cursor:
                cursor.itersize = 7
                cursor.execute(query)
                answers.append(list(cursor))
            for answer in answers:
                print(json.dumps([[written(value) for value in row] for row in answer]))


def parameters():
    """Parameters of every type, said and not said, as text and binary."""
    at = datetime.datetime.fromisoformat("2026-04-01T00:30:00+05:30")
    cases = [
        ("SELECT %s::bigint + 1, %s::text, %s::boolean", (41, "it's", True)),
        ("SELECT %s::double precision, %s::numeric, %s::date", (1.5, decimal.Decimal("-1.50"), at.date())),
        ("SELECT %s::timestamptz", (at,)),
        ("SELECT count(*) FROM interval_reads WHERE interval_end = %s", (at,)),
        ("SELECT count(*) FROM interval_reads WHERE day = %s AND import_wh >= %s", (at.date(), 100)),
        ("SELECT count(*) FROM interval_reads WHERE meter_id = ANY(%s)", (["SD10006414", "SD10017554"],)),
        ("SELECT count(*) FROM interval_reads WHERE meter_id IN (%s, %s)", ("SD10006414", "'; DROP TABLE nodes; --")),
        ("SELECT count(*) FROM nodes_as_of(%s)", (at,)),
        ("SELECT meter_id FROM meters ORDER BY meter_id LIMIT %s", (2,)),
        ("SELECT coalesce(%s, 'nothing')", (None,)),
    ]
    with psycopg.connect(where) as connection:
        for query, given in cases:
            text = connection.execute(query, given).fetchall()
            say(text)
            for form in ("b", "t"):
                other = connection.execute(query.replace("%s", f"%{form}"), given, prepare=True, binary=True).fetchall()
                assert other == text, (query, form, other, text)


def reflection():
    """What SQLAlchemy learns of the tables, and a query that it writes."""
    engine = sqlalchemy.create_engine(f"postgresql+psycopg://auditor@127.0.0.1:{port}/gridtally")
    inspector = sqlalchemy.inspect(engine)
    tables = inspector.get_table_names()
    print(json.dumps(sorted(tables)))
    # One query each for all tables.
    comments, columns = inspector.get_multi_table_comment(), inspector.get_multi_columns()
    assert all(not key["constrained_columns"] for key in inspector.get_multi_pk_constraint().values())
    for empty in ("foreign_keys", "indexes", "unique_constraints", "check_constraints"):
        assert not any(getattr(inspector, f"get_multi_{empty}")().values()), empty
    for table in sorted(tables):
        print(
            json.dumps(
                {
                    "table": table,
                    "comment": comments[None, table]["text"],
                    "columns": [[c["name"], str(c["type"]), c["nullable"], c["comment"]] for c in columns[None, table]],
                }
            )
        )
    assert inspector.has_table("nodes") and not inspector.has_table("nowhere")
    metadata = sqlalchemy.MetaData()
    metadata.reflect(engine, only=["interval_reads"])
    reads = metadata.tables["interval_reads"]
    with engine.connect() as connection:
        query = (
            sqlalchemy.select(reads.c.meter_id, sqlalchemy.func.sum(reads.c.import_wh))
            .where(reads.c.import_wh > 10)
            .group_by(reads.c.meter_id)
            .order_by(reads.c.meter_id)
        )
        say(connection.execute(query).fetchall())


def refused():
    """Statements of standard input, each in the simple and in the extended protocol: the codes of the refusals."""
    for statement in json.load(sys.stdin):
        codes = []
        for extended in (False, True):
            with psycopg.connect(where, autocommit=True) as connection:
                try:
                    if extended:
                        connection.execute(statement, prepare=True, binary=True)
                    else:
                        connection.execute(statement)
                    codes.append("ran")
                except psycopg.Error as error:
                    codes.append(error.sqlstate)
                # The session goes on.
                assert connection.execute("SELECT 1").fetchone() == (1,)
        print(json.dumps(codes))


def cancel():
    """A query that takes long is ended by a request to cancel; the session goes on."""
    with psycopg.connect(where, autocommit=True) as connection:
        threading.Timer(1.0, connection.cancel).start()
        try:
            connection.execute(argument)
            print("ran")
        except psycopg.errors.QueryCanceled as error:
            print(error.sqlstate)
        print(connection.execute("SELECT 1").fetchone()[0])


def limits():
    """Errors of every kind with their codes and places, and what a transaction does after one."""
    with psycopg.connect(where, autocommit=True) as connection:
        for statement in json.load(sys.stdin):
            try:
                answer = connection.execute(statement).fetchall()
                print(json.dumps(["ran", len(answer)]))
            except psycopg.Error as error:
                place = error.diag.statement_position
                print(json.dumps([error.sqlstate, int(place) if place else None]))
    with psycopg.connect(where, row_factory=rows.tuple_row) as connection:
        try:
            connection.execute("SELECT nowhere FROM nodes")
        except psycopg.errors.UndefinedColumn:
            pass
        try:
            connection.execute("SELECT 1")
        except psycopg.errors.InFailedSqlTransaction:
            connection.rollback()
        print(json.dumps(["after", connection.execute("SELECT 1").fetchone()[0]]))


def garbage():
    """Random bytes, from the first on and after a start that is as it should be."""
    chance = random.Random(int(argument))
    start = b"user\0auditor\0database\0gridtally\0\0"
    start = (len(start) + 8).to_bytes(4, "big") + (196608).to_bytes(4, "big") + start
    for number in range(400):
        with socket.create_connection(("127.0.0.1", int(port))) as connection:
            connection.settimeout(20)
            try:
                if number % 2:
                    connection.sendall(start)
                for _ in range(chance.randrange(1, 8)):
                    body = chance.randbytes(chance.randrange(0, 200))
                    if number % 4 == 3:
                        # A message whose tag and length are right.
                        tag = chance.choice(b"QPBDECHSpdcfFX").to_bytes(1, "big")
                        body = tag + (len(body) + 4).to_bytes(4, "big") + body
                    connection.sendall(body)
                if number % 3:
                    connection.shutdown(socket.SHUT_WR)
                    while connection.recv(4096):
                        pass
            except OSError:
                pass


globals()[kind]()
