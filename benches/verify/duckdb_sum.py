"""Times DuckDB over the files of a data folder's tables: the sums that a DT balance makes of its consumers' reads.

duckdb_sum.py TABLES THREADS ROUNDS   prints one line a query: its name, a tab, the seconds of each round.

The first query takes every row; the second the newest version of each (meter, interval) only, as a balance must. The second's
total is checked against the published dt_balance, so that both programs are known to have made the same sum.
"""
import sys
import time

import deltalake
import duckdb

tables, threads, rounds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])


def files(name):
    return deltalake.DeltaTable(f"{tables}/{name}").file_uris()


connection = duckdb.connect()
connection.execute(f"SET threads = {threads}")
reads = f"read_parquet({files('interval_reads')})"
connections = f"read_parquet({files('connections')})"
balances = f"read_parquet({files('dt_balance')})"

every_row = f"SELECT meter_id, interval_end, import_wh, export_wh FROM {reads} WHERE version >= 1"
newest = every_row + " QUALIFY row_number() OVER (PARTITION BY meter_id, interval_end ORDER BY version DESC) = 1"
total = """
    SELECT count(*), sum(import_wh) FROM (
        SELECT c.node_id, r.interval_end, sum(r.import_wh) AS import_wh, sum(coalesce(r.export_wh, 0)) AS export_wh, count(*) AS meters
        FROM ({rows}) r JOIN {connections} c USING (meter_id)
        GROUP BY c.node_id, r.interval_end
    )"""

for name, rows in [("sum of every row", every_row), ("sum of the newest version per key", newest)]:
    query = total.format(rows=rows, connections=connections)
    answer = connection.sql(query).fetchone()
    seconds = []
    for _ in range(rounds):
        begun = time.perf_counter()
        again = connection.sql(query).fetchone()
        seconds.append(time.perf_counter() - begun)
        assert again == answer
    print(name, " ".join(f"{one:.4f}" for one in seconds), sep="\t")

published = connection.sql(f"""
    SELECT count(*), sum(consumer_import_wh) FROM (
        SELECT *, row_number() OVER (PARTITION BY dt_id, interval_end ORDER BY version DESC) AS place FROM {balances}
    ) WHERE place = 1""").fetchone()
assert published == answer, (published, answer)
