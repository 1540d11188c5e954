"""Clients of Arrow Flight SQL against a running instance: flight.py KIND PORT [argument]. Each answer is a line of JSON."""

import base64
import datetime
import decimal
import json
import random
import socket
import sys
import threading
import time
import urllib.request

import pyarrow
from adbc_driver_flightsql import DatabaseOptions, dbapi
from pyarrow import flight

kind, port = sys.argv[1], sys.argv[2]
argument = sys.argv[3] if len(sys.argv) > 3 else ""
PACKAGE = "type.googleapis.com/arrow.flight.protocol.sql."


def connect(scheme="grpc", **options):
    options = {"username": "auditor", "password": "any", **options}
    return dbapi.connect(f"{scheme}://127.0.0.1:{port}", db_kwargs=options, autocommit=True)


def say(*answer):
    print(json.dumps(answer, default=str), flush=True)


def varint(number):
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def field(number, content):
    """A field of protobuf that holds bytes."""
    content = content.encode() if isinstance(content, str) else content
    return varint(number << 3 | 2) + varint(len(content)) + content


def command(name, content=b""):
    return field(1, PACKAGE + name) + field(2, content)


def query_of(text):
    return flight.FlightDescriptor.for_command(command("CommandStatementQuery", field(1, text)))


def by_http(query):
    body = json.dumps({"query": query, "format": "arrow"}).encode()
    request = urllib.request.Request(f"{argument}/api/v1/sql", body, {"content-type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return pyarrow.ipc.open_stream(answer.read()).read_all()


def queries():
    """Each query of standard input, at once and prepared: what HTTP gives, in every bit."""
    with connect() as connection, connection.cursor() as cursor:
        for query in json.load(sys.stdin):
            expected = by_http(query)
            cursor.execute(query)
            answers = [cursor.fetch_arrow_table()]
            cursor.adbc_prepare(query)
            cursor.execute(query)
            answers.append(cursor.fetch_arrow_table())
            for answer in answers:
                told = [(column.name, str(column.type)) for column in answer.schema]
                assert told == [(column.name, str(column.type)) for column in expected.schema], (query, told)
                assert answer.num_rows == expected.num_rows, query
                for one, other in zip(answer.columns, expected.columns):
                    assert one.equals(other), (query, one, other)
            say(expected.num_rows, len(told))


def parameters():
    """Parameters of every type, as both drivers write them."""
    at = datetime.datetime.fromisoformat("2026-04-01T00:30:00+05:30")
    cases = [
        ("SELECT CAST(? AS BIGINT) + 1, ?, ?", (41, "it's", True)),
        ("SELECT ?, CAST(? AS DECIMAL(10, 2)), CAST(? AS DATE)", (0.1, decimal.Decimal("-1.50"), at.date())),
        ("SELECT count(*) FROM interval_reads WHERE interval_end = ?", (at,)),
        ("SELECT count(*) FROM interval_reads WHERE day = ? AND import_wh >= ?", (at.date(), 100)),
        ("SELECT count(*) FROM interval_reads WHERE meter_id IN (?, ?)", ("SD10006414", "'; DROP TABLE nodes; --")),
        ("SELECT count(*) FROM nodes_as_of(?)", (at,)),
        ("SELECT meter_id FROM meters ORDER BY meter_id LIMIT ?", (2,)),
        ("SELECT coalesce(?, 'nothing')", (None,)),
        ("SELECT '?', ? -- ?", ("?",)),
        ("SELECT ?, ?, ? + 1", (7, 7, 7)),
    ]
    with connect() as connection, connection.cursor() as cursor:
        for query, given in cases:
            cursor.execute(query, given)
            answer = cursor.fetchall()
            numbered = query
            if "'?'" not in query:
                for number in range(len(given)):
                    numbered = numbered.replace("?", f"${number + 1}", 1)
                cursor.execute(numbered, given)
                assert cursor.fetchall() == answer, numbered
            say(*[list(row) for row in answer])
        # A prepared statement is run again with other values, and tells the types that it wants.
        schema = cursor.adbc_prepare("SELECT count(*) FROM interval_reads WHERE import_wh > ? AND interval_end < ?")
        say(*[str(column.type) for column in schema])
        for bad in [(1,), (1, 2, 3)]:
            try:
                cursor.execute("SELECT CAST(? AS BIGINT), CAST(? AS BIGINT)", bad)
                say("ran")
            except dbapi.Error as error:
                say(str(error))
        try:
            cursor.execute("SELECT ?", pyarrow.record_batch({"0": [1, 2]}))
            say("ran")
        except dbapi.Error as error:
            say(str(error))


def metadata():
    """What tools ask to learn what there is."""
    with connect() as connection:
        objects = connection.adbc_get_objects(depth="all").read_all().to_pylist()
        assert [catalog["catalog_name"] for catalog in objects] == ["gridtally"], objects
        schemas = objects[0]["catalog_db_schemas"]
        assert [schema["db_schema_name"] for schema in schemas] == ["public"], schemas
        tables = {}
        for table in schemas[0]["db_schema_tables"]:
            assert table["table_type"] == "TABLE" and not table["table_constraints"], table
            name = table["table_name"]
            columns = list(connection.adbc_get_table_schema(name))
            assert [column["column_name"] for column in table["table_columns"]] == [column.name for column in columns], name
            tables[name] = [[column.name, column.metadata[b"ARROW:FLIGHT:SQL:REMARKS"].decode()] for column in columns]
        say(tables)
        some = connection.adbc_get_objects(depth="tables", table_name_filter="nodes%").read_all().to_pylist()
        say(sorted(table["table_name"] for table in some[0]["catalog_db_schemas"][0]["db_schema_tables"]))
        say(connection.adbc_get_table_types())
        schema = connection.adbc_get_table_schema("nodes")
        say(*[[column.name, str(column.type)] for column in schema])
        information = connection.adbc_get_info()
        say(information["vendor_name"], information["vendor_version"])
    client = flight.connect(f"grpc://127.0.0.1:{port}")
    for name, content, rows in [
        ("CommandGetPrimaryKeys", field(3, "nodes"), 2),
        ("CommandGetPrimaryKeys", field(3, "nodes_history"), 0),
        ("CommandGetPrimaryKeys", field(3, "interval_reads"), 2),
        ("CommandGetPrimaryKeys", field(3, "interval_reads_history"), 3),
        ("CommandGetPrimaryKeys", field(3, "no_such_table"), 0),
        ("CommandGetImportedKeys", field(3, "nodes"), 0),
        ("CommandGetExportedKeys", field(3, "nodes"), 0),
        ("CommandGetCrossReference", field(3, "nodes") + field(6, "meters"), 0),
        ("CommandGetXdbcTypeInfo", b"", 11),
        ("CommandGetXdbcTypeInfo", b"\x08\x0c", 1),
        ("CommandGetTableTypes", b"", 1),
        ("CommandGetCatalogs", b"", 1),
        ("CommandGetDbSchemas", b"", 1),
        ("CommandGetSqlInfo", field(1, b"\x03"), 1),
    ]:
        described = flight.FlightDescriptor.for_command(command(name, content))
        info = client.get_flight_info(described)
        table = client.do_get(info.endpoints[0].ticket).read_all()
        assert table.num_rows == rows, (name, table)
        assert table.schema == info.schema == client.get_schema(described).schema, name
    say(*[action.type for action in client.list_actions()])
    # The schema of a statement is known before it runs.
    say(str(client.get_schema(query_of("SELECT 1 AS one, 'x' AS two")).schema.names))


def attempts():
    """Statements of standard input: what each gives, or why it does not."""
    with connect() as connection:
        for statement in json.load(sys.stdin):
            with connection.cursor() as cursor:
                try:
                    cursor.execute(statement)
                    say("ran", cursor.fetch_arrow_table().num_rows)
                except dbapi.Error as error:
                    say(type(error).__name__, str(error))


def writing():
    """Updates, ingest, transactions, Substrait: the refusals."""
    with connect() as connection, connection.cursor() as cursor:
        table = pyarrow.table({"node_id": ["x"]})
        for act in [
            lambda: cursor.adbc_ingest("nodes", table, mode="append"),
            lambda: cursor.adbc_ingest("new", table, mode="create"),
            lambda: dbapi.connect(
                f"grpc://127.0.0.1:{port}",
                conn_kwargs={"adbc.connection.autocommit": "false"},
                autocommit=True,
            ),
        ]:
            try:
                act()
                say("ran")
            except dbapi.Error as error:
                say(str(error))
    with connect() as connection, connection.cursor() as cursor:
        try:
            cursor.adbc_statement.set_sql_query("DELETE FROM nodes")
            cursor.adbc_statement.execute_update()
            say("ran")
        except Exception as error:
            say(str(error))
    with connect() as connection, connection.cursor() as cursor:
        try:
            cursor.adbc_statement.set_substrait_plan(b"plan")
            cursor.adbc_statement.execute_query()
            say("ran")
        except Exception as error:
            say(str(error))


def cancel():
    """A query that takes long is ended by its client and by a request to cancel; the connection goes on."""
    with connect() as connection:
        with connection.cursor() as cursor:
            threading.Timer(1.0, cursor.adbc_cancel).start()
            try:
                cursor.execute(argument)
                cursor.fetch_arrow_table()
                say("ran")
            except dbapi.Error as error:
                say(type(error).__name__)
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            say(*cursor.fetchone())
    client = flight.connect(f"grpc://127.0.0.1:{port}")
    options = flight.FlightCallOptions(headers=[client.authenticate_basic_token("auditor", "any")])
    other = flight.FlightCallOptions(headers=[client.authenticate_basic_token("other", "any")])
    for name in ["CancelFlightInfo", "CancelQuery"]:
        info = client.get_flight_info(query_of(argument), options)
        if name == "CancelFlightInfo":
            body = field(1, info.serialize())
        else:
            body = command("ActionCancelQueryRequest", field(1, info.serialize()))
        # Not before it runs, and not by others.
        ended = []

        def run():
            try:
                client.do_get(info.endpoints[0].ticket, options).read_all()
                ended.append("ran")
            except flight.FlightCancelledError as error:
                ended.append("canceling statement due to user request" in str(error))

        running = threading.Thread(target=run)
        running.start()
        while b"\x01" not in bytes(list(client.do_action((name, body), options))[0].body)[-1:]:
            assert bytes(list(client.do_action((name, body), other))[0].body)[-1:] == b"\x03"
        running.join()
        say(name, ended)


def slow():
    """A large result with a reader that stops after its first piece until it is told to go on."""
    client = flight.connect(f"grpc://127.0.0.1:{port}")
    info = client.get_flight_info(query_of(argument))
    reader = client.do_get(info.endpoints[0].ticket)
    rows = reader.read_chunk().data.num_rows
    say("first", rows)
    sys.stdin.readline()
    bytes_read = 0
    for chunk in reader:
        rows += chunk.data.num_rows
        bytes_read += chunk.data.nbytes
    say("all", rows, bytes_read)


def leave():
    """Begins to read and dies."""
    client = flight.connect(f"grpc://127.0.0.1:{port}")
    info = client.get_flight_info(query_of(argument))
    reader = client.do_get(info.endpoints[0].ticket)
    say("first", reader.read_chunk().data.num_rows)
    sys.stdin.readline()


def secure():
    """With TLS and users: who gets in. The argument is the file of the certificate."""
    certificate = open(argument).read()
    tls = {DatabaseOptions.TLS_ROOT_CERTS.value: certificate}

    def ask(scheme="grpc+tls", **options):
        try:
            with connect(scheme, **options) as connection, connection.cursor() as cursor:
                cursor.execute("SELECT 1")
                say(*cursor.fetchone())
        except dbapi.Error as error:
            say(str(error))

    ask(password="watt hours", **tls)
    ask(password="watt hour", **tls)
    ask(username="nobody", password="watt hours", **tls)
    ask(username="", password="", **tls)
    ask("grpc", password="watt hours")
    # A password with every call, instead of a token.
    client = flight.connect(f"grpc+tls://127.0.0.1:{port}", tls_root_certs=certificate)
    basic = base64.b64encode(b"auditor:watt hours").decode()
    options = flight.FlightCallOptions(headers=[(b"authorization", f"Basic {basic}".encode())])
    info = client.get_flight_info(query_of("SELECT 7"), options)
    say(client.do_get(info.endpoints[0].ticket, options).read_all().to_pylist())
    token = client.authenticate_basic_token("auditor", "watt hours")
    options = flight.FlightCallOptions(headers=[token])
    other = flight.FlightCallOptions(headers=[client.authenticate_basic_token("second", "volt amperes")])
    ticket = client.get_flight_info(query_of("SELECT 7"), options).endpoints[0].ticket
    say(client.do_get(ticket, options).read_all().to_pylist())
    changed = bytearray(ticket.ticket)
    changed[-1] ^= 1
    guessed = flight.FlightCallOptions(headers=[(b"authorization", b"Bearer guessed")])
    for ticket, by in [(ticket, other), (ticket, None), (ticket, guessed), (flight.Ticket(bytes(changed)), options)]:
        try:
            client.do_get(ticket, by).read_all()
            say("ran")
        except flight.FlightError as error:
            say(type(error).__name__, str(error).split(". gRPC client debug")[0])
    # Its own end.
    say(bytes(list(client.do_action(("CloseSession", b""), options))[0].body).hex())
    try:
        client.get_flight_info(query_of("SELECT 7"), options)
        say("ran")
    except flight.FlightUnauthenticatedError:
        say("ended")


def area():
    """Each query by the user who sees all, and by the one of an area, plain and prepared."""
    queries = json.load(sys.stdin)

    def asked_by(user, ask):
        with connect(username=user, password="watt hours") as connection, connection.cursor() as cursor:
            for query in queries:
                ask(cursor, query)
                yield cursor.fetchone()[0]

    def plain(cursor, query):
        cursor.execute(query)

    def prepared(cursor, query):
        cursor.execute(f"SELECT * FROM ({query}) WHERE 1 = ?", (1,))

    for line in zip(asked_by("auditor", plain), asked_by("town", plain), asked_by("town", prepared)):
        say(*line)


def places():
    """Where one connection may be, and is left after some seconds without a byte."""
    with socket.create_connection(("127.0.0.1", int(port))) as silent:
        try:
            connect()
            say("ran")
        except dbapi.Error as error:
            say("second", str(error))
        silent.settimeout(60)
        try:
            while silent.recv(4096):
                pass
        except ConnectionResetError:
            pass
        say("left")
    deadline = time.monotonic() + 60
    while True:
        try:
            with connect() as connection, connection.cursor() as cursor:
                cursor.execute("SELECT 1")
                say("after it", *cursor.fetchone())
                return
        except dbapi.Error:
            assert time.monotonic() < deadline, "the place was not given back"


def garbage():
    """Random bytes: on the port, after a start of HTTP/2, and in every message."""
    chance = random.Random(int(argument))
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\x04\0\0\0\0\0"
    for number in range(200):
        with socket.create_connection(("127.0.0.1", int(port))) as connection:
            connection.settimeout(20)
            try:
                if number % 2:
                    connection.sendall(preface)
                for _ in range(chance.randrange(1, 8)):
                    body = chance.randbytes(chance.randrange(0, 200))
                    if number % 4 == 3:
                        # A frame whose length and kind are right.
                        head = len(body).to_bytes(3, "big") + bytes([chance.randrange(10), chance.randrange(256)])
                        body = head + chance.choice([0, 1, 3]).to_bytes(4, "big") + body
                    connection.sendall(body)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(4096):
                    pass
            except OSError:
                pass
    client = flight.connect(f"grpc://127.0.0.1:{port}")
    names = [
        "CommandStatementQuery",
        "CommandPreparedStatementQuery",
        "TicketStatementQuery",
        "CommandGetTables",
        "CommandGetSqlInfo",
        "ActionCreatePreparedStatementRequest",
        "CommandStatementIngest",
    ]
    actions = ["CreatePreparedStatement", "ClosePreparedStatement", "CancelQuery", "CancelFlightInfo", "BeginTransaction", "x"]
    refused = 0
    for number in range(300):
        content = chance.randbytes(chance.randrange(0, 60))
        if number % 3:
            content = command(chance.choice(names), field(chance.randrange(1, 5), content))
        described = flight.FlightDescriptor.for_command(content)
        for act in [
            lambda: client.get_flight_info(described),
            lambda: client.get_schema(described),
            lambda: client.do_get(flight.Ticket(content)).read_all(),
            lambda: list(client.do_action((chance.choice(actions), content))),
            lambda: client.do_put(described, pyarrow.schema([("x", pyarrow.int64())]))[0].close(),
        ]:
            try:
                act()
            except (flight.FlightError, pyarrow.ArrowException, ValueError):
                refused += 1
    say("refused", refused)
    with connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        say(*cursor.fetchone())


globals()[kind]()
