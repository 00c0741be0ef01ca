"""Logs in S3, added up by Athena: for trees that are too large to be read file by file.

Source: https://docs.aws.amazon.com/athena/latest/APIReference/Welcome.html
"""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import repeat
from typing import Any, Final
from uuid import uuid4

import msgspec
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from tollbook.core.errors import SourceError
from tollbook.sources.aws.athena.rows import Answer, asked_by, counted_of
from tollbook.sources.aws.athena.scope import scope_of, sizes
from tollbook.sources.aws.athena.sql import columns_of, question
from tollbook.sources.aws.athena.table import table_of
from tollbook.sources.aws.athena.trouble import failed, refused
from tollbook.sources.aws.delivery import NOT_LATER
from tollbook.sources.aws.patience import Losses, abreast, patiently
from tollbook.sources.reading import Estimate, Place, Stretch, Taken, Watch
from tollbook.spend.model import Named
from tollbook.spend.query import Query
from tollbook.spend.tally import Counted

# In us-east-1, by data scanned: https://aws.amazon.com/athena/pricing/. A query counts for 10 MB at least, and
# is rounded up to a MB. Which terabyte is meant is not said; the smaller one errs on the dear side.
_USD_PER_MB: Final = Decimal(5) / 10**6
_MB: Final = 10**6
_LEAST_MB: Final = 10

_AT_ONCE: Final = 4  # queries; an account may have twenty in most regions
_SECONDS_PER_QUERY: Final = 5.0
_BYTES_PER_SECOND: Final = 100 << 20  # compressed
_REQUESTS_PER_QUERY: Final = 6
_MOST_FAULTS: Final = 4
_ATTEMPTS: Final = 3  # at a query of which Athena says itself that it may succeed when asked again
_POLLS: Final = (0.2, 0.4, 0.7, 1.0, 1.5, *repeat(2.0, 60), *repeat(10.0, 348))
"""Seconds, an hour in all. Athena ends a query that runs for 30 minutes; before that, it may wait for its turn:
https://docs.aws.amazon.com/athena/latest/ug/service-limits.html"""


def usd_of(bytes_: int) -> Decimal:
    """What a query costs that scans so much."""
    return max(_LEAST_MB, -(-bytes_ // _MB)) * _USD_PER_MB


class _Done(msgspec.Struct, frozen=True):
    """A query that succeeded.

    Attributes:
        bytes: that were scanned.
        requests: that it took up to here.
    """

    id: str
    bytes: int
    requests: int


class Athena:
    """A table of the logs that Bedrock delivered to S3. See `Source`."""

    engine = "Athena"
    blind_to: tuple[str, ...] = (NOT_LATER,)

    def __init__(
        self,
        client: Any,
        place: Place,
        database: str,
        table: str,
        *,
        s3: Any,
        workgroup: str = "primary",
        output: str = "",
        names: Mapping[str, Named] | None = None,
        accounts: Sequence[str] = (),
        regions: Sequence[str] = (),
    ) -> None:
        """Asks for nothing yet.

        Args:
            client: boto3's for Athena.
            s3: boto3's for S3, to see beforehand how much there is to scan.
            table: as `athena_table.table_definition` makes it.
            output: where Athena writes its results, `s3://bucket/prefix/`; empty where the workgroup says it.
            names: what opaque model ids stand for.
            accounts, regions: whose logs are read; all if none are given. A table that was made without them needs
                them here.

        Raises:
            UsageError: the table's name cannot be one.
        """
        self.place = place
        self._client, self._s3, self._table = client, s3, table_of(database, table)
        self._workgroup, self._output = workgroup, output
        self._names, self._accounts, self._regions = names, accounts, regions

    def estimate(self, stretches: Sequence[Stretch], watch: Watch) -> Estimate:
        """See `Source`. Athena does not say beforehand what it will scan, so the files are listed."""
        scope = scope_of(self._client, self._table, self.place, self._workgroup, self._accounts, self._regions, watch)
        found = sizes(self._s3, scope, stretches, self.place, watch)
        whole = "" if found.listed == found.folders else f"{found.listed:,} of "
        rounds = -(-len(stretches) // _AT_ONCE)
        return Estimate(
            bytes=sum(found.bytes),
            requests=len(stretches) * _REQUESTS_PER_QUERY,
            usd=sum(map(usd_of, found.bytes), Decimal(0)),
            seconds=rounds * _SECONDS_PER_QUERY + sum(found.bytes) / _BYTES_PER_SECOND,
            basis=f"the files of {whole}{found.folders:,} folders listed in S3",
        )

    def read(self, stretches: Sequence[Stretch], query: Query, watch: Watch) -> Sequence[Taken]:
        """See `Source`. One query a stretch; those that run when the reading is halted are stopped."""
        losses = Losses(_MOST_FAULTS)
        found: dict[int, Taken] = {}

        def read_one(item: tuple[int, Stretch]) -> None:
            number, stretch = item
            try:
                if fault := losses.gives_up:
                    raise fault
                found[number] = self._taken(stretch, query, watch)
                losses.gain()
            except SourceError as fault:
                losses.add(fault)
                found[number] = Taken(Counted(), unread=(f"{stretch.since:%Y-%m-%d}: {fault.message}",))

        abreast(enumerate(stretches), read_one, min(_AT_ONCE, len(stretches)))
        losses.raise_if_all()
        return [found[number] for number in range(len(stretches))]

    def _taken(self, stretch: Stretch, query: Query, watch: Watch) -> Taken:
        """
        Raises:
            SourceError: it could not be read.
            Halted: see `Watch`.
        """
        asked = asked_by(query)
        text = question(self._table, stretch, asked, accounts=self._accounts, regions=self._regions)
        try:
            done = self._run(text, watch)
            columns = columns_of(asked)
            pages = 0
            answers: list[Answer] = []
            for page in self._pages(done.id, watch):
                pages += 1
                answers += (dict(zip(columns, row, strict=True)) for row in page if row != list(columns))
        except (ClientError, BotoCoreError, ResponseParserError) as fault:
            raise refused(fault, self.place, self._table, self._workgroup) from fault
        counted = counted_of(answers, query, self._names)
        watch.tell(done.bytes, sum(row.usage.calls + row.usage.errors for row in counted.rows()))
        return Taken(counted, bytes=done.bytes, requests=done.requests + pages, usd=usd_of(done.bytes))

    def _run(self, text: str, watch: Watch) -> _Done:
        """Has Athena answer; stops the query whatever happens before its end."""
        requests = 0
        for attempt in range(1, _ATTEMPTS + 1):
            id_ = self._start(text, watch)
            try:
                execution, polls = self._end_of(id_, watch)
            except BaseException:
                self._stop(id_)
                raise
            requests += 1 + polls
            status = execution["Status"]
            if status["State"] == "SUCCEEDED":
                scanned = execution.get("Statistics", {}).get("DataScannedInBytes", 0)
                return _Done(id_, scanned, requests)
            if attempt == _ATTEMPTS or not status.get("AthenaError", {}).get("Retryable"):
                break
        raise failed(status, id_, self.place, self._table, self._workgroup)

    def _start(self, text: str, watch: Watch) -> str:
        more = {"ResultConfiguration": {"OutputLocation": self._output}} if self._output else {}
        # The same for each attempt, so that one whose answer was lost starts no second query.
        token = uuid4().hex

        def start() -> Any:
            return self._client.start_query_execution(
                QueryString=text,
                ClientRequestToken=token,
                QueryExecutionContext={"Database": self._table.database},
                WorkGroup=self._workgroup,
                **more,
            )

        return str(patiently(start, watch)["QueryExecutionId"])

    def _end_of(self, id_: str, watch: Watch) -> tuple[Any, int]:
        """The query as it is at its end, and how often Athena was asked for it."""
        for polls, pause in enumerate(_POLLS, 1):
            answer = patiently(lambda: self._client.get_query_execution(QueryExecutionId=id_), watch)
            if answer["QueryExecution"]["Status"]["State"] in ("SUCCEEDED", "FAILED", "CANCELLED"):
                return answer["QueryExecution"], polls
            watch.wait(pause)
        raise SourceError(f"Athena has not answered query {id_} within an hour. Ask for fewer days.")

    def _stop(self, id_: str) -> None:
        try:
            self._client.stop_query_execution(QueryExecutionId=id_)
        except (ClientError, BotoCoreError, ResponseParserError):
            return  # it ends by itself; what led here is what the caller should hear of

    def _pages(self, id_: str, watch: Watch) -> Iterator[list[list[str | None]]]:
        """The rows of the answer, page by page, after one with the names of the columns."""
        more: dict[str, str] = {}
        while True:

            def ask(more: Mapping[str, str] = more) -> Any:
                return self._client.get_query_results(QueryExecutionId=id_, MaxResults=1000, **more)

            answer = patiently(ask, watch)
            rows = answer["ResultSet"]["Rows"]
            yield [[cell.get("VarCharValue") for cell in row["Data"]] for row in rows]
            if not answer.get("NextToken"):
                return
            more = {"NextToken": answer["NextToken"]}
