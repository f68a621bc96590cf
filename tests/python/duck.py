"""Reads the segments of an artifact with DuckDB, and tells what table they make.

    duck.py FILE...

The files are Parquet, in any order: of each key the row of the highest sequence counts, and one without a value is a
delete. Standard output is a JSON object: what the files hold, and what is left when they are merged, in SQL alone.
"""

import json
import sys

import duckdb

FILES = """
    SELECT count(*) AS rows, count(*) FILTER (WHERE value IS NULL) AS deletes FROM read_parquet($files)
"""

# Lengths are summed as 64 bit numbers: a HUGEINT is no number in JSON.
TABLE = """
    WITH newest AS (
        SELECT * FROM read_parquet($files)
        QUALIFY row_number() OVER (PARTITION BY key ORDER BY sequence DESC) = 1
    )
    SELECT count(*) AS rows,
           sum(octet_length(key))::BIGINT AS key_bytes,
           sum(octet_length(value))::BIGINT AS value_bytes,
           sum(sequence)::BIGINT AS sequences,
           min(key) AS first_key,
           max(key) AS last_key
    FROM newest WHERE value IS NOT NULL
"""


def main(files: list[str]) -> None:
    told = {}
    for name, query in (("files", FILES), ("table", TABLE)):
        result = duckdb.execute(query, {"files": files})
        columns = [column[0] for column in result.description]
        row = dict(zip(columns, result.fetchone()))
        told[name] = {key: value.decode() if isinstance(value, bytes) else value for key, value in row.items()}
    print(json.dumps(told))


if __name__ == "__main__":
    main(sys.argv[1:])
