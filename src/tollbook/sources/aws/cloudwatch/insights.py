"""Log groups of CloudWatch, read by Logs Insights: AWS counts, and its answer is rows."""

import math
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, TypeVar

import msgspec
from botocore.exceptions import BotoCoreError, ClientError, ConnectTimeoutError, EndpointConnectionError
from botocore.parsers import ResponseParserError

from tollbook.core.errors import SourceError
from tollbook.sources.aws.cloudwatch.insights_query import Row, query_text, told
from tollbook.sources.aws.trouble import (
    Denied,
    NoSuchPlace,
    NotLoggedIn,
    Throttled,
    is_passing,
    is_throttling,
    translated,
)
from tollbook.sources.reading import Estimate, Place, Stretch, Taken, Watch
from tollbook.spend.ledger import folded, needs_quarters
from tollbook.spend.model import Named
from tollbook.spend.query import Query
from tollbook.spend.usage import UsageRow
from tollbook.spend.window import Window

Answer = TypeVar("Answer")

_FAULTS: Final = (ClientError, BotoCoreError, ResponseParserError)

MOST_ROWS: Final = 100_000
"""Rows that a query gives, 10,000 a page; in GovCloud and China one page.

Sources: https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_QuerySyntax-Limit.html;
https://aws.amazon.com/about-aws/whats-new/2026/05/cloudwatch-logs-query-results/ (all commercial regions)
"""

USD_PER_GB: Final = Decimal("0.005")
"""Of what a query scans, in us-east-1; other regions may cost more. A gigabyte is taken as 10^9 bytes: should AWS mean
2^30, it charges less than is said here.

Source: https://aws.amazon.com/cloudwatch/pricing/
"""

_PAGE: Final = 10_000
_ELSEWHERE: Final = ("us-gov-", "cn-")  # what regions begin with that are not commercial
_BYTES_PER_SECOND: Final = 500_000_000  # of one query: a cautious guess, for estimates alone
_FIRST_ANSWER_S: Final = 5.0  # about what the smallest query takes
_REQUESTS: Final = 5  # about what a query takes

_POLLS_S: Final = (1.0, 1.0, 1.5, 2.0, 3.0, 4.0, *([5.0] * 780))
"""Pauses before asking whether a query is done: 65 minutes in all. AWS ends it after 60."""
_RETRIES_S: Final = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 15.0, 15.0)
"""Pauses before the same request is made again: a minute in all."""
_ROOM_S: Final = (2.0, 3.0, 5.0, *([10.0] * 29))
"""Pauses before a query is tried again where too many run in the account: five minutes in all."""

_FULL: Final = "LimitExceededException"
"""Too many queries run in the account.

Source: https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_StartQuery.html
"""

_ENDED: Final = {
    "Failed": "failed at AWS. Ask again",
    "Cancelled": "was cancelled by someone else. Ask again",
    "Timeout": "took longer than the hour that AWS grants. Group by less, or read the logs from S3",
}


class Insights:
    """A log group that Logs Insights reads. See `sources.reading.Source`.

    AWS takes the time of a record to be that at which it was logged. A stretch is read by one query or, where it has
    more rows than a query gives, by one for each half, down to an hour.
    """

    engine = "Logs Insights"
    blind_to = (
        "Logs Insights counts a record again that was delivered twice",
        "Logs Insights goes by the time at which a record was logged, not by the one written in it",
        "Logs Insights does not tell how many lines are no records",
        "Logs Insights tells neither service tier nor routed model where an answer was logged in several parts",
    )

    def __init__(
        self,
        client: Any,
        place: Place,
        *,
        names: Mapping[str, Named] | None = None,
        group_arn: str | None = None,
        at_once: int = 10,
        bytes_per_day: int = 0,
        most_rows: int | None = None,
    ) -> None:
        """
        Args:
            client: of boto3, for `logs` in the region of `place`; it must not retry by itself.
            names: what opaque model ids stand for: how a call is counted depends on its model's vendor.
            group_arn: of a group of another account that shares it with this one:
                https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch-Unified-Cross-Account.html
            at_once: queries that run at the same time; an account may have 100 of them in a region.
            bytes_per_day: about what the group takes in; for estimates.
            most_rows: of a query; by default `MOST_ROWS`.
        """
        self.place = place
        self._client, self._names, self._at_once = client, names or {}, at_once
        self._bytes_per_day = bytes_per_day
        self._most_rows = most_rows or (_PAGE if place.region.startswith(_ELSEWHERE) else MOST_ROWS)
        self._group = {"logGroupIdentifiers": [group_arn]} if group_arn else {"logGroupName": place.name}

    def estimate(self, stretches: Sequence[Stretch], watch: Watch) -> Estimate:
        """What reading `stretches` will come to; asks nothing of AWS.

        Raises:
            Halted: see `Watch`.
        """
        watch.go_on()
        sizes = [int(self._bytes_per_day * ((each.until - each.since) / timedelta(days=1))) for each in stretches]
        rounds = math.ceil(len(sizes) / self._at_once)
        return Estimate(
            bytes=sum(sizes),
            requests=_REQUESTS * len(sizes),
            usd=_usd(sum(sizes)),
            seconds=rounds * (_FIRST_ANSWER_S + max(sizes, default=0) / _BYTES_PER_SECOND),
            basis="what the log group takes in a day",
        )

    def read(self, stretches: Sequence[Stretch], query: Query, watch: Watch) -> Sequence[Taken]:
        """Counts, for each of `stretches`, the records that were logged in it.

        Raises:
            SourceError: nothing could be read at all.
            UsageError: `query` asks for a tag that Insights cannot be asked for.
            Halted: see `Watch`; what runs at AWS is stopped, and nothing else is asked.
        """
        asked = [query_text(stretch, query, self._most_rows) for stretch in stretches]
        if not asked:
            return []
        reading = _Reading(self._client, self._group, self.place, query, watch, self._names, self._most_rows)
        return reading.read(stretches, self._at_once)


class _NoRoom(Exception):
    """Too many queries run; another thread will ask."""


class _Answer(msgspec.Struct):
    """What was read of a stretch so far, and what it took."""

    rows: list[UsageRow] = []
    calls: int = 0
    tokenless: int = 0
    missed: int = 0
    notes: list[str] = []
    unread: list[str] = []
    bytes: int = 0
    requests: int = 0


class _Reading:
    """Stretches on their way, each in the hands of one thread."""

    def __init__(
        self,
        client: Any,
        group: Mapping[str, Any],
        place: Place,
        query: Query,
        watch: Watch,
        names: Mapping[str, Named],
        most_rows: int,
    ) -> None:
        self._client, self._group, self._place, self._watch = client, group, place, watch
        self._query, self._names, self._most_rows = query, names, most_rows
        self._unit = timedelta(minutes=15 if query.quarters or needs_quarters(query) else 60)
        self._turn = threading.Lock()
        self._threads = 0
        self._waiting: deque[tuple[int, Stretch]] = deque()
        self._answers: dict[int, _Answer] = {}
        self._faults: dict[int, SourceError] = {}
        self._hopeless: SourceError | None = None

    def read(self, stretches: Sequence[Stretch], at_once: int) -> list[Taken]:
        self._waiting.extend(enumerate(stretches))
        self._threads = min(at_once, len(stretches))
        with ThreadPoolExecutor(self._threads, thread_name_prefix="insights") as pool:
            try:
                ended = [pool.submit(self._work) for _ in range(self._threads)]
                wait(ended, return_when=FIRST_EXCEPTION)
                for each in ended:
                    if each.done():
                        each.result()
            except BaseException:  # of a thread, or Ctrl-C, which no thread hears
                self._watch.halt()
                raise
        while self._waiting:  # given back by one who gave way, when the last of the others had just looked
            self._threads = 1
            self._work()
        if len(self._faults) == len(stretches):
            raise self._faults[0]
        return [self._taken(self._answers[number]) for number in range(len(stretches))]

    def _taken(self, answer: _Answer) -> Taken:
        # The stretch was asked for exactly, so nothing is left out: a window may cut an hour. Whoever is told by the
        # rows is kept, a session as well as a principal.
        query = self._query
        who = ("principal",) if "session" in query.needed else ()
        whole = msgspec.structs.replace(query, window=Window(None, None, query.window.zone), by=(*query.by, *who))
        counted = folded(answer.rows, whole, self._query.tags)
        counted.tokenless = answer.tokenless
        return Taken(
            counted, tuple(answer.notes), tuple(answer.unread), answer.bytes, answer.requests, _usd(answer.bytes)
        )

    def _work(self) -> None:
        """Reads one waiting stretch after the other."""
        while True:
            with self._turn:
                if not self._waiting:
                    self._threads -= 1
                    return
                number, stretch = self._waiting.popleft()
            answer = self._answers.setdefault(number, _Answer())
            try:
                if self._hopeless:
                    raise self._hopeless
                self._ask(stretch, answer)
            except _NoRoom:
                self._answers[number] = _Answer(
                    bytes=answer.bytes, requests=answer.requests
                )  # begun again from its start
                with self._turn:
                    self._waiting.appendleft((number, stretch))
                return
            except SourceError as fault:
                self._faults[number] = fault
                if _is_final(fault):
                    self._hopeless = fault
                answer.unread.append(f"{_words(stretch)}: {fault}")
            if answer.missed:
                answer.notes.append(
                    f"records unread by Logs Insights: {answer.missed} of the {answer.calls} calls of {_words(stretch)}"
                    f" in {self._place} have token counts that it did not find"
                )

    def _ask(self, stretch: Stretch, answer: _Answer) -> None:
        """Reads a stretch, in halves where it has more rows than a query gives."""
        rows, is_cut = self._rows(stretch, answer)
        halves = _halves(stretch, self._unit) if is_cut else ()
        for half in halves:
            self._ask(half, answer)
        if halves:
            return
        if is_cut:
            answer.unread.append(
                f"{_words(stretch)}: Logs Insights gives no more than {len(rows)} rows, and {self._place} has more."
                " Group by less."
            )
        try:
            found = told(rows, self._query, self._names)
        except (KeyError, ValueError) as fault:
            raise SourceError(
                f"Logs Insights answers for {self._place} in a form that is not known: ask again, or read it with "
                f"events:{self._place.name}."
            ) from fault
        answer.rows += found.rows
        answer.calls += found.calls
        answer.tokenless += found.tokenless
        answer.missed += found.unread

    def _rows(self, stretch: Stretch, answer: _Answer) -> tuple[list[Row], bool]:
        """What the query answers for a stretch, and whether rows are missing from that.

        Raises:
            SourceError: the query cannot be run, or did not end well.
        """
        query_id = self._start(stretch, answer)
        if query_id is None:
            return [], False
        try:
            page = self._ended(query_id, answer)
            rows = _rows_of(page)
            seen: set[str] = set()
            while token := page.get("nextToken"):
                if token in seen:
                    raise SourceError(f"Logs Insights gives the same page of {self._place} again and again. Ask again.")
                seen.add(token)
                page = self._results(answer, queryId=query_id, nextToken=token)
                rows += _rows_of(page)
        except BaseException:
            self._stop(query_id)
            raise
        status = page.get("status")
        if status != "Complete":
            why = _ENDED.get(str(status), "ended in a way that AWS does not tell. Ask again")
            raise SourceError(f"The query of Logs Insights over {self._place} {why}.")
        in_all = int(page.get("statistics", {}).get("resultCount") or 0)
        return rows, len(rows) >= self._most_rows or in_all > len(rows)

    def _start(self, stretch: Stretch, answer: _Answer) -> str | None:
        """Begins the query over a stretch; None where the group had not been made, or keeps nothing of it.

        Raises:
            SourceError: it is refused.
            _NoRoom: too many run, and other threads are at work; this one is to end.
        """
        text = query_text(stretch, self._query, self._most_rows)
        since, until = int(stretch.since.timestamp()), math.ceil(stretch.until.timestamp())

        def start() -> str:
            return str(
                self._client.start_query(startTime=since, endTime=until, queryString=text, **self._group)["queryId"]
            )

        with translated(self._place, "logs:StartQuery"):
            for pause in _ROOM_S:
                try:
                    return self._patiently(start, answer, _started_nothing)
                except ClientError as fault:
                    if _is_past(fault):
                        answer.notes.append(f"{self._place} was made after {_words(stretch)}, or keeps it no longer")
                        return None
                    if not _is_full(fault):
                        raise
                self._give_way(answer)
                self._watch.wait(pause)
            return self._patiently(start, answer, _started_nothing)

    def _give_way(self, answer: _Answer) -> None:
        """Ends this thread if another is at work, and nothing was paid for its stretch yet."""
        with self._turn:
            if self._threads > 1 and not answer.bytes:
                self._threads -= 1
                raise _NoRoom

    def _ended(self, query_id: str, answer: _Answer) -> Mapping[str, Any]:
        """The first page of a query's answer, once it has ended; or what it says of its end.

        Raises:
            SourceError: it does not end.
        """
        told_bytes = told_records = 0
        for pause in _POLLS_S:
            self._watch.wait(pause)
            page = self._results(answer, queryId=query_id)
            statistics = page.get("statistics", {})
            scanned, records = (int(statistics.get(name) or 0) for name in ("bytesScanned", "recordsScanned"))
            answer.bytes += scanned - told_bytes
            self._watch.tell(scanned - told_bytes, records - told_records)
            told_bytes, told_records = scanned, records
            if page.get("status") not in ("Scheduled", "Running"):
                return page
        raise SourceError(f"The query of Logs Insights over {self._place} does not end. Ask again.")

    def _results(self, answer: _Answer, **request: str) -> Mapping[str, Any]:
        with translated(self._place, "logs:GetQueryResults"):
            page: Mapping[str, Any] = self._patiently(
                lambda: self._client.get_query_results(**request), answer, is_passing
            )
            return page

    def _stop(self, query_id: str) -> None:
        """Ends a query, as well as can be: it costs by what it scans."""
        with suppress(*_FAULTS):
            self._client.stop_query(queryId=query_id)

    def _patiently(
        self, request: Callable[[], Answer], answer: _Answer, is_harmless: Callable[[Exception], bool]
    ) -> Answer:
        """What `request` gives, made again after throttling and after faults that are harmless.

        Raises:
            ClientError, BotoCoreError, ResponseParserError: it was refused, or failed to the last.
            Halted: see `Watch`.
        """
        for pause in _RETRIES_S:
            self._watch.go_on()
            answer.requests += 1
            try:
                return request()
            except _FAULTS as fault:
                if _is_full(fault) or not (is_throttling(fault) or is_harmless(fault)):
                    raise
            self._watch.wait(pause)
        self._watch.go_on()
        answer.requests += 1
        return request()


def _started_nothing(fault: Exception) -> bool:
    """Whether no query can have begun, so that beginning another is not paid for twice."""
    if isinstance(fault, ClientError):
        return is_passing(fault)
    return isinstance(fault, EndpointConnectionError | ConnectTimeoutError)


def _is_final(fault: SourceError) -> bool:
    """Whether every other stretch would meet the same."""
    if isinstance(fault, Throttled):
        return fault.code == _FULL
    return isinstance(fault, NoSuchPlace | Denied | NotLoggedIn)


def _is_full(fault: Exception) -> bool:
    """Whether too many queries run in the account."""
    return isinstance(fault, ClientError) and _code(fault) == _FULL


def _is_past(fault: ClientError) -> bool:
    """Whether the stretch ends before the group was made, or before what it keeps.

    AWS says so in the words of a MalformedQueryException, which no page describes.
    """
    return _code(fault) == "MalformedQueryException" and "retention" in str(fault)


def _code(fault: ClientError) -> str:
    return str(fault.response.get("Error", {}).get("Code", ""))


def _rows_of(page: Mapping[str, Any]) -> list[Row]:
    return [
        {cell["field"]: cell["value"] for cell in row if cell.get("value") is not None}
        for row in page.get("results") or ()
    ]


def _halves(stretch: Stretch, unit: timedelta) -> tuple[Stretch, ...]:
    """Both halves, parted where a `unit` of UTC begins; nothing if there is no such place within."""
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    middle = stretch.since + (stretch.until - stretch.since) / 2
    for place in (middle - (middle - epoch) % unit, middle + (epoch - middle) % unit):
        if stretch.since < place < stretch.until:
            return Stretch(stretch.since, place), Stretch(place, stretch.until)
    return ()


def _words(stretch: Stretch) -> str:
    """`2026-11-20`, or the hours of it."""
    since, until = stretch.since.astimezone(UTC), stretch.until.astimezone(UTC)
    is_day = until - since == timedelta(days=1) and not (since.hour or since.minute or since.second)
    return f"{since:%Y-%m-%d}" if is_day else f"{since:%Y-%m-%d %H:%M} to {until:%Y-%m-%d %H:%M} UTC"


def _usd(scanned: int) -> Decimal:
    return scanned * USD_PER_GB / 1_000_000_000
