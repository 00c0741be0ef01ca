"""Athena over a folder: the API as a client meets it, and DuckDB behind it, which reads the files as the table says.

Statements are translated by sqlglot. What the table is, its `CREATE TABLE` says and nothing else: columns, the keys of
JSON they are read from, and where partitions lie.

What it does, and where AWS says so:
    StartQueryExecution, GetQueryExecution, StopQueryExecution and their states; one token starts one query
    https://docs.aws.amazon.com/athena/latest/APIReference/API_StartQueryExecution.html
    https://docs.aws.amazon.com/athena/latest/APIReference/API_QueryExecutionStatus.html
    GetQueryResults: up to 1,000 rows a page, every value as text, NULL by its absence
    https://docs.aws.amazon.com/athena/latest/APIReference/API_GetQueryResults.html
    the first row of the first page holds the names of the columns
    https://docs.aws.amazon.com/athena/latest/APIReference/API_Row.html
    GetTableMetadata: the properties of a table
    https://docs.aws.amazon.com/athena/latest/APIReference/API_GetTableMetadata.html
    partition projection: which folders a query looks into, and that `injected` wants to be named
    https://docs.aws.amazon.com/athena/latest/ug/partition-projection-supported-types.html
    a table's folders are read with all that lies below them, and `$path` tells a row's file
    https://docs.aws.amazon.com/athena/latest/ug/tables-location-format.html
    keys by their case and by `mapping`, and lines that are no JSON as rows of NULL
    https://docs.aws.amazon.com/athena/latest/ug/openx-json-serde.html
What differs: a date range ends in the last hour that has a folder, and not now.
"""

import itertools
import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, Final

import duckdb
import msgspec
import sqlglot
from sqlglot import exp

from tests.fakes.server import FakeServer

_ROWS_A_PAGE: Final = 1000
_JSON: Final = "application/x-amz-json-1.1"


class Failure(msgspec.Struct, frozen=True):
    """How a query ends that does not succeed."""

    reason: str
    state: str = "FAILED"
    retryable: bool = False


class Refusal(Exception):
    """An error that a request gets instead of an answer."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(code)
        self.code, self.message, self.status = code, message, status


class Query(msgspec.Struct):
    """A query, as it is by now.

    Attributes:
        polls: how often it is still said to run.
    """

    text: str
    polls: int
    state: str = "RUNNING"
    failure: Failure | None = None
    scanned: int = 0
    rows: list[list[str | None]] = []


class Table:
    """A table as its definition says, over a folder that stands for a bucket."""

    def __init__(self, definition: str, folder: Path) -> None:
        """
        Args:
            folder: of the bucket, which is not looked at by its name.
        """
        statement = sqlglot.parse_one(definition, read="athena")
        schema = statement.this
        self.database, self.name = schema.this.db, schema.this.name
        settings = {
            found.name: found.args["value"].name
            for found in statement.find_all(exp.Property)
            if found.args.get("value")
        }
        self.properties = settings
        self._folder = folder
        self._keys = {
            name.removeprefix("mapping."): key for name, key in settings.items() if name.startswith("mapping.")
        }
        assert settings["case.insensitive"] == "false"
        assert settings["ignore.malformed.json"] == "true"
        self._columns = {
            column.name: self._type(column.args["kind"])
            for column in schema.find_all(exp.ColumnDef)
            if column.parent is schema
        }
        self.partitions = re.findall(r"\$\{(\w+)\}", settings["storage.location.template"])

    def _key(self, name: str) -> str:
        return str(self._keys.get(name, name))

    def _type(self, kind: exp.DataType) -> str:
        """As DuckDB has it, with the keys of JSON for names."""
        if kind.this != exp.DataType.Type.STRUCT:
            return str(kind.sql("duckdb"))
        fields = (f'"{self._key(field.name)}" {self._type(field.args["kind"])}' for field in kind.expressions)
        return f"STRUCT({', '.join(fields)})"

    def files(self) -> Iterator[tuple[Path, dict[str, str]]]:
        """Every file that lies in a partition, and that partition's values."""
        location = self.properties["storage.location.template"].partition("//")[2].partition("/")[2]
        shapes = {"enum": r"[^/]+", "injected": r"[^/]+", "date": r"\d{4}/\d{2}/\d{2}/\d{2}"}
        pattern = re.escape(location)
        for name in self.partitions:
            shape = shapes[self.properties[f"projection.{name}.type"]]
            pattern = pattern.replace(re.escape(f"${{{name}}}"), f"(?P<{name}>{shape})")
        for path in sorted(self._folder.rglob("*")):
            found = re.match(pattern, str(path.relative_to(self._folder)))
            if path.is_file() and found and all(map(self._projects, found.groupdict().items())):
                yield path, found.groupdict()

    def _projects(self, partition: tuple[str, str]) -> bool:
        name, value = partition
        if self.properties[f"projection.{name}.type"] == "enum":
            return value in self.properties[f"projection.{name}.values"].split(",")
        if self.properties[f"projection.{name}.type"] == "date":
            return value >= str(self.properties[f"projection.{name}.range"]).partition(",")[0]
        return True

    def view(self, paths: list[Path]) -> str:
        """What shows `paths` as rows of the table."""
        columns = ", ".join(f"'{self._key(name)}': '{kind}'" for name, kind in self._columns.items())
        shown = ", ".join(f'"{self._key(name)}" AS "{name}"' for name in self._columns)
        names = ", ".join(f"'{path}'" for path in paths)
        lines = (
            f"read_json([{names}], columns={{{columns}}}, format='newline_delimited', ignore_errors=true, "
            "filename='file', maximum_object_size=67108864)"
        )
        told = f"{shown}, 's3://bucket/' || files.key AS \"$path\", {', '.join(self.partitions)}"
        return f"SELECT {told} FROM {lines} AS lines JOIN files USING (file)"  # noqa: S608


class Refused(Exception):
    """A query that Athena would not run."""


class FakeAthena:
    """Attributes:
    table: the one there is.
    url: where it listens.
    asked: the actions asked for, in order, with what they were given.
    polls: how often a query says that it runs before it says more.
    failures: how the next queries end, one after another.
    refusals: what the next requests get, one after another, by action.
    held: queries run until they are stopped.
    page: rows in a page of results.
    scanned: the bytes that every query is said to have scanned; None for what it has.
    """

    def __init__(self, table: Table, url: str) -> None:
        self.table, self.url = table, url
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.polls = 1
        self.failures: list[Failure] = []
        self.refusals: dict[str, list[Refusal]] = {}
        self.held = False
        self.page = _ROWS_A_PAGE
        self.scanned: int | None = None
        self.queries: dict[str, Query] = {}
        self._tokens: dict[str, str] = {}
        self._turn = threading.Lock()
        self._numbers = itertools.count()

    def answer(self, action: str, given: dict[str, Any]) -> Mapping[str, Any]:
        with self._turn:
            self.asked.append((action, given))
            if waiting := self.refusals.get(action):
                raise waiting.pop(0)
            return {
                "StartQueryExecution": self._start,
                "GetQueryExecution": self._status,
                "StopQueryExecution": self._stop,
                "GetQueryResults": self._results,
                "GetTableMetadata": self._metadata,
            }[action](given)

    def count(self, action: str) -> int:
        """How often it was asked for."""
        return sum(name == action for name, _ in self.asked)

    def _start(self, given: dict[str, Any]) -> Mapping[str, Any]:
        token = given["ClientRequestToken"]
        assert 32 <= len(token) <= 128
        id_ = self._tokens.get(token)
        if id_ is None:
            id_ = self._tokens[token] = f"query-{next(self._numbers)}"
            self.queries[id_] = Query(given["QueryString"], self.polls)
        return {"QueryExecutionId": id_}

    def _status(self, given: dict[str, Any]) -> Mapping[str, Any]:
        query = self.queries[given["QueryExecutionId"]]
        if query.state == "RUNNING" and not self.held:
            query.polls -= 1
            if query.polls < 0:
                self._run(query)
        status: dict[str, Any] = {"State": query.state}
        if query.failure:
            status["StateChangeReason"] = query.failure.reason
            status["AthenaError"] = {"ErrorMessage": query.failure.reason, "Retryable": query.failure.retryable}
        statistics = {"DataScannedInBytes": query.scanned if self.scanned is None else self.scanned}
        return {
            "QueryExecution": {
                "QueryExecutionId": given["QueryExecutionId"],
                "Status": status,
                "Statistics": statistics,
            }
        }

    def _run(self, query: Query) -> None:
        if self.failures:
            query.failure = self.failures.pop(0)
            query.state = query.failure.state
            return
        try:
            query.rows, query.scanned = run(query.text, self.table)
            query.state = "SUCCEEDED"
        except Refused as fault:
            query.failure, query.state = Failure(str(fault)), "FAILED"

    def _stop(self, given: dict[str, Any]) -> Mapping[str, Any]:
        self.queries[given["QueryExecutionId"]].state = "CANCELLED"
        return {}

    def _results(self, given: dict[str, Any]) -> Mapping[str, Any]:
        query = self.queries[given["QueryExecutionId"]]
        if query.state != "SUCCEEDED":
            raise Refusal(
                "InvalidRequestException", f"Query did not finish successfully. Final query state: {query.state}"
            )
        start, most = int(given.get("NextToken", 0)), given.get("MaxResults", _ROWS_A_PAGE)
        assert 1 <= most <= _ROWS_A_PAGE
        most = min(most, self.page)
        page = query.rows[start : start + most]
        rows = [{"Data": [{} if value is None else {"VarCharValue": value} for value in row]} for row in page]
        more = {"NextToken": str(start + most)} if start + most < len(query.rows) else {}
        return {"ResultSet": {"Rows": rows, "ResultSetMetadata": {"ColumnInfo": []}}, **more}

    def _metadata(self, given: dict[str, Any]) -> Mapping[str, Any]:
        if (given["DatabaseName"], given["TableName"]) != (self.table.database, self.table.name):
            raise Refusal("MetadataException", f"EntityNotFoundException: Entity Not Found: {given['TableName']}")
        return {"TableMetadata": {"Name": self.table.name, "Parameters": self.table.properties}}


def run(text: str, table: Table) -> tuple[list[list[str | None]], int]:
    """The rows of an answer, the names of its columns first, and the bytes of the files that were looked into.

    Raises:
        Refused: Athena would not run it.
    """
    statement = sqlglot.parse_one(text, read="athena")
    found = next((found for found in statement.find_all(exp.Table) if found.db), None)
    assert found is not None
    if (found.db, found.name) != (table.database, table.name):
        raise Refused(f"TABLE_NOT_FOUND: line 1:1: Table 'awsdatacatalog.{found.db}.{found.name}' does not exist")
    select = found.find_ancestor(exp.Select)
    assert select is not None
    where = select.args["where"].this
    pruning = [part for part in where.flatten() if _columns(part) <= set(table.partitions)]
    for name in table.partitions:
        is_named = any(isinstance(part, exp.In | exp.EQ) and _columns(part) == {name} for part in pruning)
        if table.properties[f"projection.{name}.type"] == "injected" and not is_named:
            raise Refused(
                f"CONSTRAINT_VIOLATION: For the injected projected partition column {name}, the WHERE clause must "
                "contain only static equality conditions, and at least one such condition must be present."
            )
    with duckdb.connect() as base:
        base.execute("SET threads = 2; SET TimeZone = 'UTC'")
        fields = ", ".join(f"{name} VARCHAR" for name in table.partitions)
        base.execute(f"CREATE TABLE files (file VARCHAR, key VARCHAR, size BIGINT, {fields})")
        for path, values in table.files():
            key = str(path.relative_to(table._folder))
            row = [str(path), key, path.stat().st_size, *(values[name] for name in table.partitions)]
            base.execute(f"INSERT INTO files VALUES ({', '.join('?' * len(row))})", row)  # noqa: S608
        wanted = " AND ".join(part.sql("duckdb") for part in pruning)
        files = base.execute(f"SELECT file, size FROM files WHERE {wanted}").fetchall()  # noqa: S608
        if not files:
            return [[name.alias_or_name for name in statement.args["expressions"]]], 0
        base.execute(f'CREATE SCHEMA "{table.database}"')
        shown = table.view([Path(file) for file, _ in files])
        base.execute(f'CREATE VIEW "{table.database}"."{table.name}" AS {shown}')
        answer = base.execute(statement.sql("duckdb"))
        head: list[str | None] = [column[0] for column in answer.description]
        return [head, *([_text(value) for value in row] for row in answer.fetchall())], sum(size for _, size in files)


def _columns(part: exp.Expression) -> set[str]:
    return {column.name for column in part.find_all(exp.Column)}


def _text(value: Any) -> str | None:
    if value is None:
        return None
    return str(value).lower() if isinstance(value, bool) else str(value)


@contextmanager
def athena(definition: str, folder: Path) -> Iterator[FakeAthena]:
    """Athena, with one table over the files in `folder`, until the end of the block."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            given = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            action = self.headers["X-Amz-Target"].rpartition(".")[2]
            try:
                self._send(200, fake.answer(action, given))
            except Refusal as fault:
                self._send(fault.status, {"__type": fault.code, "message": fault.message})

        def _send(self, status: int, answer: Mapping[str, Any]) -> None:
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", _JSON)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    with FakeServer(("127.0.0.1", 0), Handler) as server:
        fake = FakeAthena(Table(definition, folder), f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield fake
        finally:
            server.shutdown()
            thread.join()
