"""Questions on the files of a data folder's tables by DuckDB: duckdb_questions.py TABLES THREADS ROUNDS, questions as JSON on standard input.

DuckDB stays connected and reads the files' list anew for each question, as we do. Views are the guide's lines ("guide": the newest version by a
window) and the same as an anti-join ("anti-join": rows that no greater version supersedes), which is how gridtally does it. Gives one
JSON line a question and view: its number, the view, the seconds of each round, the rows.
"""

import json
import pathlib
import sys
import time

import duckdb
import duckdb_extension_delta

tables, threads, rounds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
questions = json.load(sys.stdin)
extension = next(pathlib.Path(duckdb_extension_delta.__file__).parent.rglob("delta.duckdb_extension"))
KEYS = {
    "interval_reads": ["meter_id", "interval_end", "day"],
    "dt_balance": ["dt_id", "interval_end", "day"],
    "feeder_balance": ["feeder_id", "interval_end", "day"],
    "node_balance_daily": ["node_id", "day"],
}

for view in ("guide", "anti-join"):
    connection = duckdb.connect()
    connection.execute(f"LOAD '{extension}'; SET threads = {threads}; SET TimeZone = 'Asia/Kolkata'")
    for table, key in KEYS.items():
        rows = f"delta_scan('{tables}/{table}')"
        standing = "" if table == "interval_reads" else " AND status <> 'withdrawn'"
        if view == "guide":
            body = f"""SELECT * FROM {rows} WHERE version >= 1
                QUALIFY row_number() OVER (PARTITION BY {", ".join(key)} ORDER BY version DESC) = 1{standing}"""
        else:
            same = " AND ".join(f"newer.{column} = held.{column}" for column in key)
            body = f"""SELECT * FROM {rows} AS held WHERE version >= 1{standing} AND NOT EXISTS (
                SELECT 1 FROM {rows} AS newer WHERE newer.version >= 2 AND newer.version > held.version AND {same})"""
        connection.execute(f"CREATE VIEW {table} AS {body}")
    for number, question in enumerate(questions):
        seconds = []
        for _ in range(rounds):
            begun = time.perf_counter()
            answer = connection.execute(question).to_arrow_table()
            seconds.append(time.perf_counter() - begun)
        rows = zip(*(column.to_pylist() for column in answer.columns))
        print(json.dumps([number, view, seconds, [[str(value) for value in row] for row in rows]]))
