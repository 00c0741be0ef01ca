#!/usr/bin/env python3
"""What `tollbook report FILE --by day,model,principal,… --format csv` counts, counted by DuckDB: all but the money.

    duckdb_report.py FILE [--by day,model,principal] [--way hash]

Prints CSV with the same names of columns, in no order. A record that comes again is counted once.
"""

import argparse
from typing import Final

import duckdb

THREADS: Final = 2
_LONGEST_LINE: Final = 64 << 20

# The needed fields alone, typed: DuckDB need not look at the file first, nor keep the bodies.
_COLUMNS: Final = """{
    timestamp: 'VARCHAR', accountId: 'VARCHAR', region: 'VARCHAR', requestId: 'VARCHAR', operation: 'VARCHAR',
    modelId: 'VARCHAR', inferenceRegion: 'VARCHAR', errorCode: 'VARCHAR', identity: 'STRUCT(arn VARCHAR)',
    input: 'STRUCT(inputTokenCount BIGINT, cacheReadInputTokenCount BIGINT, cacheWriteInputTokenCount BIGINT)',
    output: 'STRUCT(outputTokenCount BIGINT)'
}"""

_RECORDS: Final = f"""
    SELECT accountId AS account, region, requestId AS id, timestamp[:10] AS day, modelId AS model, identity.arn AS arn,
        coalesce(inferenceRegion, region) AS inference_region, operation, errorCode IS NOT NULL AS failed,
        input.inputTokenCount AS fresh, output.outputTokenCount AS made,
        input.cacheReadInputTokenCount AS read, input.cacheWriteInputTokenCount AS written
    FROM read_json($file, format = 'newline_delimited', ignore_errors = true,
        maximum_object_size = {_LONGEST_LINE}, columns = {_COLUMNS})
"""
_VALUES: Final = ("day", "model", "arn", "inference_region", "operation", "failed", "fresh", "made", "read", "written")
_FIRSTS: Final = ", ".join(f"first({value}) AS {value}" for value in _VALUES)

WAYS: Final = {
    # A 64-bit hash stands for the identity, as it does in tollbook.
    "hash": f"SELECT first(region) AS region, {_FIRSTS} FROM ({_RECORDS}) GROUP BY hash(account, region, id)",
    "first": f"SELECT region, {_FIRSTS} FROM ({_RECORDS}) GROUP BY account, region, id",
    "any": f"SELECT region, {_FIRSTS.replace('first(', 'any_value(')} FROM ({_RECORDS}) GROUP BY account, region, id",
    "on": f"SELECT DISTINCT ON (account, region, id) * FROM ({_RECORDS})",
    "qualify": f"SELECT * FROM ({_RECORDS}) QUALIFY row_number() OVER (PARTITION BY account, region, id) = 1",
    # Counts copies that differ in any needed field as two: not what was asked, and no faster for it.
    "distinct": f"SELECT DISTINCT * FROM ({_RECORDS})",
    "none": _RECORDS,
}
"""How a record that comes again is left out. None that is right takes noticeably less processor time than `hash`."""

_ARN: Final = r"^arn:aws[a-z-]*:bedrock:[a-z0-9-]*:\d*:((inference-profile|foundation-model)/)?"
_PROFILE: Final = r"^(us-gov|us|eu|apac|jp|au|ca|in|global)\.([a-z0-9-]+\..+)$"
_WHO: Final = "split_part(arn, ':', 6)"
_COUNTS: Final = {
    "calls": "count(*) FILTER (NOT failed)",
    "errors": "count(*) FILTER (failed)",
    "input_tokens": "coalesce(sum(fresh), 0)",
    "output_tokens": "coalesce(sum(made), 0)",
    "cache_read_tokens": "coalesce(sum(read), 0)",
    "cache_write_tokens": "coalesce(sum(written), 0)",
}


DIMENSIONS: Final = {
    "day": "day",
    "model": "model",
    "principal": f"""CASE WHEN arn IS NULL THEN 'unknown'
        WHEN starts_with({_WHO}, 'assumed-role/') THEN 'role/' || split_part({_WHO}, '/', 2)
        ELSE {_WHO} END AS principal""",
    "region": "region",
    "inference_region": "inference_region",
    "operation": "operation",
}


def question(way: str, by: tuple[str, ...]) -> str:
    """The query: sums by the model as logged first, since to fold its id is dear, then by the model it means."""
    meant = f"regexp_replace(regexp_replace(model, '{_ARN}', ''), '{_PROFILE}', '\\2') AS model"
    return f"""
        COPY (
            SELECT {", ".join(meant if name == "model" else name for name in by)},
                {", ".join(f"sum({name}) AS {name}" for name in _COUNTS)}
            FROM (
                SELECT {", ".join(DIMENSIONS[name] for name in by)},
                    {", ".join(f"{how} AS {name}" for name, how in _COUNTS.items())}
                FROM ({WAYS[way]})
                GROUP BY ALL
            )
            GROUP BY ALL
        ) TO '/dev/stdout' (FORMAT csv, HEADER)
    """


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file")
    parser.add_argument("--way", choices=WAYS, default="hash", help="how copies are left out (default: hash)")
    parser.add_argument("--by", default="day,model,principal", help="dimensions, as tollbook has them")
    options = parser.parse_args()
    by = tuple(options.by.split(","))
    with duckdb.connect(config={"threads": THREADS}) as connection:
        connection.execute(question(options.way, by).replace("$file", "'" + options.file.replace("'", "''") + "'"))


if __name__ == "__main__":
    main()
