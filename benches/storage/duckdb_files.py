"""Questions on Parquet files by DuckDB: duckdb_files.py ROUNDS FILES QUESTIONS, the files as a JSON list of lists and the questions as a JSON list.

Gives a JSON line for each list of files: for each question the milliseconds of its rounds. Every list must give the same answers.
"""

import json
import sys
import time

import duckdb

rounds, files, questions = int(sys.argv[1]), json.loads(sys.argv[2]), json.loads(sys.argv[3])
first = None
for paths in files:
    connection = duckdb.connect()
    connection.execute(f"SET TimeZone = 'Asia/Kolkata'; CREATE VIEW reads AS SELECT * FROM read_parquet({paths!r}, hive_partitioning = false)")
    told, answers = [], []
    for question in questions:
        taken = []
        for _ in range(rounds):
            begun = time.perf_counter()
            answer = connection.execute(question).to_arrow_table().to_pylist()
            taken.append((time.perf_counter() - begun) * 1e3)
        answers.append([tuple(map(str, row.values())) for row in answer])
        told.append(taken)
    first = first or answers
    assert [a[0][0] for a in answers] == [a[0][0] for a in first], (paths, answers, first)
    print(json.dumps(told))
