"""CloudWatch Logs Insights, played on loopback over events that a test gives it; see `insights_language`.

- StartQuery, GetQueryResults, StopQuery (JSON 1.1): exactly one way to name log groups; times in whole seconds, both
  ends included; at most 10,000 characters of query; `Scheduled`, then `Running`, then how it ended; 10,000 rows a page
  and a token for the next; `resultCount`; stopping what has ended is an error.
  https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_StartQuery.html
  https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_GetQueryResults.html
  https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_StopQuery.html
- 100 queries at once in an account, then LimitExceededException.
  https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/AnalyzingLogData.html

Not on a page, but seen by others: a query that ends before the group was made is a MalformedQueryException.
"""

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any, ClassVar, Final

from tests.fakes.insights_language import Event, Malformed, Result, check, run
from tests.fakes.server import FakeServer

_TYPE: Final = "application/x-amz-json-1.1"


class Refused(Exception):
    """An error of the API."""

    def __init__(self, code: str, message: str = "", status: int = 400) -> None:
        super().__init__(message)
        self.code, self.message, self.status = code, message, status


@dataclass
class Query:
    """A query that was started."""

    request: Mapping[str, Any]
    asked: int = 0
    status: str = ""
    result: Result | None = None
    scanned: Sequence[tuple[int, str]] = ()


@dataclass
class FakeInsights:
    """A log group, and the queries over it.

    Attributes:
        events: times in milliseconds since 1970, and messages.
        group: its name.
        created: when it was made, in milliseconds since 1970.
        polls: how often a query says that it is not done.
        at_once: how many queries run at the same time.
        page: rows of a page.
        discovers, parses: see `Event`.
        counts: `resultCount` is told.
        repeats: every page is the first one.
        hangs: a query is started, and the connection ends before that is answered.
        ends: of queries from the first second given on, the status they end with instead.
        faults: answers to give before any other, by operation, first to last: a code, or a code and a status.
        requests: what was asked, in order.
        most: queries that ran at the same time, at most.
    """

    events: Sequence[tuple[int, str]]
    group: str = "/aws/bedrock/modelinvocations"
    created: int = 0
    polls: int = 2
    at_once: int = 100
    page: int = 10_000
    discovers: bool = True
    parses: bool = True
    counts: bool = True
    repeats: bool = False
    hangs: bool = False
    ends: Mapping[int, str] = field(default_factory=dict)
    faults: dict[str, list[tuple[str, int]]] = field(default_factory=dict)
    requests: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    most: int = 0
    url: str = ""
    _queries: dict[str, Query] = field(default_factory=dict)
    _turn: threading.RLock = field(default_factory=threading.RLock)
    ARN: ClassVar = "arn:aws:logs:eu-west-1:222233334444:log-group:"

    def asked(self, operation: str) -> list[Mapping[str, Any]]:
        """The requests of one kind, in order."""
        return [request for name, request in self.requests if name == operation]

    @property
    def running(self) -> list[str]:
        """The queries that were started, and have neither ended nor been stopped."""
        return [query_id for query_id, query in self._queries.items() if not query.status]

    def answer(self, operation: str, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """
        Raises:
            Refused: the request is.
        """
        with self._turn:
            self.requests.append((operation, request))
            if self.faults.get(operation):
                code, status = self.faults[operation].pop(0)
                raise Refused(code, "as the test wants it", status)
            answers: Mapping[str, Callable[[Mapping[str, Any]], Mapping[str, Any]]] = {
                "StartQuery": self._start,
                "GetQueryResults": self._results,
                "StopQuery": self._stop,
                "DescribeLogGroups": self._describe,
            }
            if operation not in answers:
                raise Refused("UnknownOperationException", operation)
            return answers[operation](request)

    def _describe(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        found = {
            "logGroupName": self.group,
            "logGroupArn": self.ARN + self.group,
            "creationTime": self.created or min((time for time, _ in self.events), default=0),
            "storedBytes": sum(len(message) for _, message in self.events),
        }
        return {"logGroups": [found] if self.group.startswith(request.get("logGroupNamePrefix", "")) else []}

    def _start(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        ways = [name for name in ("logGroupName", "logGroupNames", "logGroupIdentifiers") if request.get(name)]
        if len(ways) != 1:
            raise Refused("InvalidParameterException", "exactly one way to name log groups")
        named = request[ways[0]] if isinstance(request[ways[0]], list) else [request[ways[0]]]
        if any(name not in (self.group, self.ARN + self.group) for name in named):
            raise Refused("ResourceNotFoundException", f"Log group '{named[0]}' does not exist.")
        start, end, text = request["startTime"], request["endTime"], request["queryString"]
        if not (isinstance(start, int) and isinstance(end, int) and start <= end < 10**11):
            raise Refused("InvalidParameterException", "times are in seconds, the first before the last")
        if len(text) > 10_000:
            raise Refused("InvalidParameterException", "queryString is longer than 10000 characters")
        if (end + 1) * 1000 <= self.created:
            raise Malformed(
                "Query's end date and time is either before the log groups creation time or exceeds the log groups"
                " log retention settings ([0,30])"
            )
        check(text)
        if len(self.running) >= self.at_once:
            raise Refused("LimitExceededException", "Account maximum query concurrency limit reached.")
        query_id = f"query-{len(self._queries)}"
        self._queries[query_id] = Query(request)
        self.most = max(self.most, len(self.running))
        return {"queryId": query_id}

    def _results(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        query = self._known(request)
        if not request.get("nextToken"):
            query.asked += 1
        if not query.status and query.asked > self.polls:
            start, end = query.request["startTime"], query.request["endTime"]
            query.scanned = [event for event in self.events if start * 1000 <= event[0] < (end + 1) * 1000]
            made = (Event(*event, self.discovers, self.parses) for event in query.scanned)
            query.result = run(query.request["queryString"], made)
            query.status = next((status for since, status in self.ends.items() if start >= since), "Complete")
        result = query.result if query.status == "Complete" else None
        rows = result.rows if result else []
        first = 0 if self.repeats else int(request.get("nextToken") or 0)
        page = rows[first : first + self.page]
        answer: dict[str, Any] = {
            "status": query.status or ("Scheduled" if query.asked == 1 else "Running"),
            "results": page,
            "statistics": {
                "recordsMatched": float(result.matched if result else 0),
                "recordsScanned": float(len(query.scanned)),
                "bytesScanned": float(sum(len(message.encode()) for _, message in query.scanned)),
            },
        }
        if self.counts:
            answer["statistics"]["resultCount"] = float(len(rows))
        if first + self.page < len(rows):
            answer["nextToken"] = str(first + self.page)
        return answer

    def _stop(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        query = self._known(request)
        if query.status:
            raise Refused("InvalidParameterException", "Query has already ended with status " + query.status)
        query.status = "Cancelled"
        return {"success": True}

    def _known(self, request: Mapping[str, Any]) -> Query:
        query = self._queries.get(request["queryId"])
        if query is None:
            raise Refused("ResourceNotFoundException", "no such query")
        return query


@contextmanager
def serving_insights(fake: FakeInsights) -> Iterator[FakeInsights]:
    """`fake`, reached at its `url` until the end of the block."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # an answer in one piece: two of them wait for each other

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            operation = self.headers["X-Amz-Target"].rpartition(".")[2]
            try:
                status, answer = 200, fake.answer(operation, json.loads(body))
            except Refused as fault:
                status, answer = fault.status, {"__type": fault.code, "message": fault.message}
            except Malformed as fault:
                status, answer = 400, {"__type": "MalformedQueryException", "message": str(fault)}
            if fake.hangs:
                self.close_connection = True
                return
            sent = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", _TYPE)
            self.send_header("Content-Length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)

        def log_message(self, *_: object) -> None:
            pass

    server = FakeServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    fake.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
