"""Reads one table with PyPI's deltalake, polars and duckdb, as an auditor would; prints what each found, one JSON line each.

read_tables.py FOLDER KEY[,KEY…] COLUMN   gives rows (newest version of each key) and the sum of COLUMN over them.
"""
import json
import pathlib
import sys

import deltalake
import duckdb
import duckdb_extension_delta
import polars

folder, keys, column = sys.argv[1], sys.argv[2].split(","), sys.argv[3]

table = deltalake.DeltaTable(folder)
protocol = table.protocol()
assert protocol.min_reader_version == 1, protocol
newest = f"""
    SELECT count(*), sum({column}) FROM (
        SELECT *, row_number() OVER (PARTITION BY {", ".join(keys)} ORDER BY version DESC) AS place
        FROM {{source}} WHERE version >= 1
    ) WHERE place = 1"""


def say(who, rows, total):
    print(json.dumps({"who": who, "rows": rows, "sum": int(total)}))


arrow_table = table.to_pyarrow_table()
say("deltalake", *duckdb.sql(newest.format(source="arrow_table")).fetchone())

frame = polars.read_delta(folder).filter(polars.col("version") >= 1).sort("version").unique(subset=keys, keep="last")
say("polars", frame.height, frame[column].sum())

extension = next(pathlib.Path(duckdb_extension_delta.__file__).parent.rglob("delta.duckdb_extension"))
connection = duckdb.connect()
connection.execute(f"LOAD '{extension}'")
say("duckdb", *connection.sql(newest.format(source=f"delta_scan('{folder}')")).fetchone())
