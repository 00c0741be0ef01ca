"""CloudWatch Logs, as far as a reader of its events meets it: a server in a process of its own, on loopback.

What it does, and where AWS says so:
    FilterLogEvents: pages of up to 1 MB or 10,000 events, some of them empty; events in the order of their time; both
    ends of the window included; a token is good for the request it came with; name or identifier, not both
    https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_FilterLogEvents.html
    DescribeLogGroups: up to 50 a page, in the order of their names
    https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_DescribeLogGroups.html
    PutLogEvents: up to 10,000 events in the order of their time
    https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutLogEvents.html
    quotas in requests a second, and ThrottlingException beyond them
    https://docs.aws.amazon.com/general/latest/gr/cwl_region.html
    error codes that every service has, such as ExpiredTokenException
    https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/CommonErrors.html
    no FilterLogEvents in the class Infrequent Access; which code that gives, AWS does not say
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CloudWatch_Logs_Log_Classes.html

Every log group has a quota, faults and statistics of its own, as if it lay in an account of its own; and it lies in
every region, with the same events. Its events are put, as on AWS, or rendered: `Rendered` says how many.

    python -m tests.fakes.cloudwatch_logs PORT
"""

import json
import re
import sys
import threading
import time
from bisect import bisect_left
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

import boto3
import msgspec
from botocore.config import Config

from tests.fakes.invocations import Rendered, Truth
from tests.fakes.processes import free_port, listening, unmeasured

ACCOUNT: Final = "111122223333"
REGION: Final = "eu-west-1"

_PAGE_BYTES: Final = 1_000_000
_PAGE_EVENTS: Final = 10_000
_GROUPS_A_PAGE: Final = 50
_JSON: Final = "application/x-amz-json-1.1"
_CONTROL: Final = "Control."
_CREDENTIALS: Final = dict.fromkeys(("aws_access_key_id", "aws_secret_access_key"), "testing")
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html (credential scope)
_SIGNED: Final = re.compile(r"Credential=[^/]+/\d{8}/(?P<region>[^/]+)/logs/aws4_request.*Signature=")
_ROOT: Final = Path(__file__).resolve().parents[2]


class Faults(msgspec.Struct, frozen=True):
    """How the requests for a log group's events fail.

    Attributes:
        latency_s: that a page takes.
        quota: requests a second, with as many in store; 0 for any number.
        refuses: the code of the error that every request gets, but for the first `after`.
        only: so many requests are refused; 0 for all.
        refuses_in: the one region where they are; empty for every one.
        throttles_s: every request is throttled until so long after the first.
        hangs: the numbers, from 0, of requests that are never answered.
        breaks: the numbers of requests whose answer is no JSON.
        empty: pages without events that come before each with them.
        repeats: every page comes twice, one after the other.
        circles: no page is the last: its token leads back to it.
    """

    latency_s: float = 0.0
    quota: float = 0.0
    refuses: str = ""
    after: int = 0
    only: int = 0
    refuses_in: str = ""
    throttles_s: float = 0.0
    hangs: tuple[int, ...] = ()
    breaks: tuple[int, ...] = ()
    empty: int = 0
    repeats: bool = False
    circles: bool = False


class Setting(msgspec.Struct, frozen=True):
    """What CloudWatch tells of a log group, and how it behaves."""

    name: str
    account: str = ACCOUNT
    region: str = REGION
    log_class: str = "STANDARD"
    stored_bytes: int | None = None
    created_ms: int = 0
    retention_days: int = 0
    faults: Faults = Faults()
    rendered: Rendered | None = None


class Stats(msgspec.Struct):
    """What came in for a log group's events.

    Attributes:
        refused: with an error.
        most_at_once: requests under way.
        most_a_second: in any second.
        seconds: from the first request to the last.
    """

    requests: int = 0
    refused: int = 0
    events: int = 0
    bytes: int = 0
    most_at_once: int = 0
    most_a_second: int = 0
    seconds: float = 0.0


class Refusal(Exception):
    """An error that AWS answers with."""

    def __init__(self, code: str, message: str = "") -> None:
        super().__init__(code)
        self.code, self.message = code, message or f"{code} of the fake"


class Events(Protocol):
    """The events of a log group, in the order of their time."""

    def __len__(self) -> int: ...

    def time(self, number: int) -> int:
        """In milliseconds since 1970."""
        ...

    def json(self, number: int) -> bytes:
        """As FilterLogEvents gives it."""
        ...


class PutEvents:
    """Events that were put."""

    def __init__(self) -> None:
        self._events: list[tuple[int, int, bytes]] = []

    def __len__(self) -> int:
        return len(self._events)

    def time(self, number: int) -> int:
        return self._events[number][0]

    def json(self, number: int) -> bytes:
        return self._events[number][2]

    def put(self, stream: str, events: Sequence[Mapping[str, Any]]) -> None:
        for event in events:
            place = len(self._events)
            row = {
                "logStreamName": stream,
                "timestamp": event["timestamp"],
                "message": event["message"],
                "ingestionTime": event["timestamp"] + 500,
                "eventId": f"{place:056d}",
            }
            self._events.append((event["timestamp"], place, json.dumps(row).encode()))
        self._events.sort()


class LogGroup:
    """A log group."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.put = PutEvents()
        self.events: Events = self.put if setting.rendered is None else setting.rendered.events()
        self._pages: dict[tuple[int, int], tuple[bytes, int]] = {}
        self._turn = threading.Lock()
        self.reset(setting.faults)

    def reset(self, faults: Faults) -> None:
        """Forgets what came in."""
        self.faults, self.stats = faults, Stats()
        self._times: deque[float] = deque()
        self._first = self._stored_at = 0.0
        self._stored, self._under_way = faults.quota, 0

    @property
    def arn(self) -> str:
        setting = self.setting
        return f"arn:aws:logs:{setting.region}:{setting.account}:log-group:{setting.name}"

    def described(self) -> dict[str, Any]:
        """As DescribeLogGroups gives it."""
        setting = self.setting
        size = sum(len(self.put.json(number)) for number in range(len(self.put)))
        found = {
            "logGroupName": setting.name,
            "creationTime": setting.created_ms,
            "metricFilterCount": 0,
            "arn": f"{self.arn}:*",
            "storedBytes": size if setting.stored_bytes is None else setting.stored_bytes,
            "logGroupClass": setting.log_class,
            "logGroupArn": self.arn,
        }
        return {**found, "retentionInDays": setting.retention_days} if setting.retention_days else found

    def filtered(self, request: Mapping[str, Any], region: str) -> bytes:
        """A page of events.

        Raises:
            Refusal: instead of it.
        """
        number = self._arrived()
        try:
            answer = self._answer(request, number, region)
        except Refusal:
            with self._turn:
                self.stats.refused += 1
            raise
        finally:
            with self._turn:
                self._under_way -= 1
        self.stats.bytes += len(answer)
        return answer

    def _arrived(self) -> int:
        """Takes note of a request; gives its number."""
        with self._turn:
            stats, now = self.stats, time.monotonic()
            self._first = self._first or now
            self._under_way += 1
            self._times.append(now)
            while self._times[0] <= now - 1:
                self._times.popleft()
            stats.requests += 1
            stats.most_at_once = max(stats.most_at_once, self._under_way)
            stats.most_a_second = max(stats.most_a_second, len(self._times))
            stats.seconds = now - self._first
            return stats.requests - 1

    def _answer(self, request: Mapping[str, Any], number: int, region: str) -> bytes:
        faults = self.faults
        if number in faults.hangs:
            threading.Event().wait()
        if self._is_throttled():
            raise Refusal("ThrottlingException", "Rate exceeded")
        time.sleep(faults.latency_s)
        is_meant = faults.refuses_in in ("", region)
        if faults.refuses and is_meant and number >= faults.after and not 0 < faults.only <= number - faults.after:
            raise Refusal(faults.refuses)
        if self.setting.log_class == "INFREQUENT_ACCESS":
            raise Refusal("InvalidOperationException", "Not for this log class.")
        if number in faults.breaks:
            return b'{"events": ['
        return self._page(request)

    def _is_throttled(self) -> bool:
        """Beyond the quota: a bucket that holds as many requests as a second lets in."""
        with self._turn:
            now, quota = time.monotonic(), self.faults.quota
            if now - self._first < self.faults.throttles_s:
                return True
            if not quota:
                return False
            since = self._stored_at or now
            self._stored, self._stored_at = min(quota, self._stored + (now - since) * quota), now
            is_over = self._stored < 1
            self._stored -= not is_over
            return is_over

    def _page(self, request: Mapping[str, Any]) -> bytes:
        start, end = request.get("startTime", 0), request.get("endTime", 1 << 62)
        if start > end:
            raise Refusal("InvalidParameterException", "startTime comes after endTime.")
        everything = range(len(self.events))
        first = bisect_left(everything, start, key=self.events.time)
        last = bisect_left(everything, end + 1, key=self.events.time)
        at, step = _step(request.get("nextToken"), start, end, first)
        limit = min(request.get("limit", _PAGE_EVENTS), _PAGE_EVENTS)
        nothing = step < self.faults.empty
        rows, then = (b"", at) if nothing else self._rows(at, last, limit)
        shown = self.faults.empty + self.faults.repeats
        if step < shown or (self.faults.circles and then >= last):
            token = f"{start}.{end}.{at}.{min(step + 1, shown)}"
        else:
            token = f"{start}.{end}.{then}.0" if then < last else ""
        following = b',"nextToken":"%s"' % token.encode() if token else b""
        return b'{"events":[%s],"searchedLogStreams":[]%s}' % (rows, following)

    def _rows(self, at: int, last: int, limit: int) -> tuple[bytes, int]:
        """The events from `at` on that fit a page, and the number of the one after them."""
        key = (at, min(last, at + limit))
        if key in self._pages:
            return self._pages[key]
        rows: list[bytes] = []
        size = 0
        for number in range(at, min(last, at + limit)):
            row = self.events.json(number)
            size += len(row) + 1
            if size > _PAGE_BYTES and rows:
                break
            rows.append(row)
        self.stats.events += len(rows)
        page = b",".join(rows), at + len(rows)
        if self.setting.rendered is not None and len(self._pages) < self.setting.rendered.pages_kept:
            self._pages[key] = page
        return page


def _step(token: str | None, start: int, end: int, first: int) -> tuple[int, int]:
    """The event at which a page begins, and how many pages there were before it that began there."""
    if token is None:
        return first, 0
    try:
        since, until, at, step = map(int, token.split("."))
    except ValueError:
        raise Refusal("InvalidParameterException", "The specified nextToken is invalid.") from None
    if (since, until) != (start, end):
        raise Refusal("InvalidParameterException", "The specified nextToken is of another request.")
    return at, step


class Service:
    """All log groups."""

    def __init__(self) -> None:
        self._groups: dict[str, LogGroup] = {}

    def answer(self, target: str, request: dict[str, Any], region: str) -> bytes:
        """The answer to a request.

        Args:
            target: the header `X-Amz-Target`: the API and the operation; or, of the tests, `Control.` and what to do.
            region: that it is signed for.
        """
        operation = target.rpartition(".")[2]
        if target.startswith(_CONTROL):
            return self._control(operation, request)
        match operation:
            case "FilterLogEvents":
                return self._named(request).filtered(request, region)
            case "DescribeLogGroups":
                return json.dumps(self._described(request)).encode()
            case "CreateLogGroup":
                name = request["logGroupName"]
                if name in self._groups:
                    raise Refusal("ResourceAlreadyExistsException")
                self._groups[name] = LogGroup(Setting(name, created_ms=int(time.time() * 1000)))
            case "CreateLogStream":
                self._named(request)
            case "PutLogEvents":
                self._named(request).put.put(request["logStreamName"], request["logEvents"])
            case _:
                raise Refusal("UnknownOperationException")
        return b"{}"

    def _control(self, operation: str, request: dict[str, Any]) -> bytes:
        if operation == "Set":
            setting = msgspec.convert(request, Setting)
            self._groups[setting.name] = LogGroup(setting)
            return b"{}"
        group = self._groups[request["name"]]
        if operation == "Reset":
            group.reset(msgspec.convert(request["faults"], Faults))
            return b"{}"
        if operation == "Stats":
            return msgspec.json.encode(group.stats)
        if operation == "Truth":
            assert group.setting.rendered is not None
            return msgspec.json.encode(group.setting.rendered.truth(request["since"], request["until"]))
        assert operation == "Lines"
        return b"".join(group.events.json(number) + b"\n" for number in range(len(group.events)))

    def _named(self, request: Mapping[str, Any]) -> LogGroup:
        name, identifier = request.get("logGroupName"), request.get("logGroupIdentifier")
        if (name is None) == (identifier is None):
            raise Refusal("InvalidParameterException", "Either logGroupName or logGroupIdentifier.")
        for group in self._groups.values():
            # A name alone means a group of one's own account.
            is_own = group.setting.account == ACCOUNT and group.setting.name in (name, identifier)
            if is_own or identifier == group.arn:
                return group
        raise Refusal("ResourceNotFoundException", "The specified log group does not exist.")

    def _described(self, request: Mapping[str, Any]) -> dict[str, Any]:
        identifiers, prefix = request.get("logGroupIdentifiers"), request.get("logGroupNamePrefix", "")
        found = [
            group.described()
            for name, group in sorted(self._groups.items())
            if (group.arn in identifiers if identifiers else name.startswith(prefix))
            and (group.setting.account == ACCOUNT or request.get("includeLinkedAccounts"))
        ]
        at = int(request.get("nextToken", 0))
        then = at + min(request.get("limit", _GROUPS_A_PAGE), _GROUPS_A_PAGE)
        page: dict[str, Any] = {"logGroups": found[at:then]}
        return {**page, "nextToken": str(then)} if then < len(found) else page


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.service = Service()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 1 << 16
    server: _Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        target = self.headers.get("X-Amz-Target", "")
        try:
            signed = _SIGNED.search(self.headers.get("Authorization", ""))
            if signed is None and not target.startswith(_CONTROL):
                raise Refusal("MissingAuthenticationTokenException")
            region = signed["region"] if signed else ""
            status, answer = 200, self.server.service.answer(target, json.loads(body or b"{}"), region)
        except Refusal as refusal:
            # The protocol: https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html
            status, answer = 400, json.dumps({"__type": refusal.code, "message": refusal.message}).encode()
        self.send_response(status)
        self.send_header("Content-Type", _JSON)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)
        self.wfile.flush()

    def log_message(self, *_: object) -> None:
        """Says nothing."""


class Logs:
    """The server, as tests have it."""

    def __init__(self, url: str) -> None:
        self.url = url

    def set(self, setting: Setting) -> str:
        """Makes a log group, or makes it anew; gives its name."""
        self._control("Set", msgspec.to_builtins(setting))
        return setting.name

    def reset(self, name: str, faults: Faults = Faults()) -> None:  # noqa: B008 - it is frozen
        """Forgets what came in for a log group, and lets it behave otherwise."""
        self._control("Reset", {"name": name, "faults": msgspec.to_builtins(faults)})

    def stats(self, name: str) -> Stats:
        return msgspec.json.decode(self._control("Stats", {"name": name}), type=Stats)

    def truth(self, name: str, since_ms: int, until_ms: int) -> Truth:
        """What the records of a rendered group, whose own time lies from and to just before, add up to."""
        request = {"name": name, "since": since_ms, "until": until_ms}
        return msgspec.json.decode(self._control("Truth", request), type=Truth)

    def lines(self, name: str) -> bytes:
        """All events of a log group, a line each, as `aws logs filter-log-events` has them."""
        return self._control("Lines", {"name": name})

    def client(self, region: str = REGION, **config: Any) -> Any:
        """A client of boto3's that reaches this server, as the sources are given one."""
        settings = {"retries": {"total_max_attempts": 1}, "max_pool_connections": 32, **config}
        return boto3.session.Session().client(
            "logs",
            endpoint_url=self.url,
            region_name=region,
            config=Config(**settings),
            **_CREDENTIALS,
        )

    def _control(self, operation: str, request: Mapping[str, Any]) -> bytes:
        address = urlsplit(self.url)
        connection = HTTPConnection(str(address.hostname), address.port, timeout=60)
        try:
            connection.request("POST", "/", json.dumps(request), {"X-Amz-Target": f"{_CONTROL}{operation}"})
            answer = connection.getresponse()
            body = answer.read()
            if answer.status != 200:
                raise RuntimeError(body.decode())
            return body
        finally:
            connection.close()


@contextmanager
def cloudwatch_logs(log: Path) -> Iterator[Logs]:
    """A server until the end of the block; `log` takes what it prints."""
    port = free_port()
    code = f"import sys; sys.path.insert(0, {str(_ROOT)!r}); from {__name__} import serve; serve({port})"
    with listening([sys.executable, "-c", code], port, log, unmeasured()):
        yield Logs(f"http://127.0.0.1:{port}")


def serve(port: int) -> None:
    """Serves until the process ends."""
    _Server(port).serve_forever()


if __name__ == "__main__":
    serve(int(sys.argv[1]))
