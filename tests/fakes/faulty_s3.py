"""What may lie between a client and S3: refusals, throttling, and connections that are cut in the middle.

Errors as S3 words them: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler
from typing import Final
from urllib.parse import unquote, urlsplit

import msgspec

from tests.fakes.server import FakeServer

_PASSED_ON: Final = ("Content-Type", "Content-Length", "ETag", "Content-Range", "Last-Modified")


class Fault(msgspec.Struct, frozen=True):
    """What becomes of a request.

    Attributes:
        code, message, status: the error it gets; empty if it gets an answer.
        headers: of that error.
        cut_after: bytes of the answer's body, after which the connection is cut; None if it comes whole.
    """

    code: str = ""
    message: str = ""
    status: int = 400
    headers: tuple[tuple[str, str], ...] = ()
    cut_after: int | None = None


class FaultyS3:
    """Attributes:
    url: where it listens.
    judge: says what becomes of a request, given its method, its path with the query, and how many came before it of
        that path; None where nothing does.
    page: names in a page of a list; 0 for as many as S3 likes.
    asked: the paths asked for, in order.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.judge: Callable[[str, str, int], Fault | None] = lambda _method, _path, _before: None
        self.page = 0
        self.asked: list[str] = []
        self._turn = threading.Lock()

    def judged(self, method: str, path: str) -> Fault | None:
        with self._turn:
            before = self.asked.count(path)
            self.asked.append(path)
            return self.judge(method, path, before)

    def gets(self, part: str = "") -> int:
        """How often files were asked for whose path holds `part`."""
        return sum("list-type" not in path and part in path for path in self.asked)

    @property
    def lists(self) -> int:
        """How often a list was asked for."""
        return sum("list-type" in path for path in self.asked)


@contextmanager
def faulty(upstream: str) -> Iterator[FaultyS3]:
    """Passes requests on to `upstream` until the end of the block."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            fault = between.judged("GET", unquote(self.path)) or Fault()
            if fault.code:
                self._refuse(fault)
                return
            with_host = {name: value for name, value in self.headers.items() if name.lower() != "host"}
            line = HTTPConnection(urlsplit(upstream).netloc, timeout=60)
            try:
                short = f"&max-keys={between.page}" if between.page and "list-type" in self.path else ""
                line.request("GET", self.path + short, headers=with_host)
                answer = line.getresponse()
                body = answer.read()
            finally:
                line.close()
            self.send_response(answer.status)
            for name in _PASSED_ON:
                if (value := answer.getheader(name)) is not None:
                    self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body if fault.cut_after is None else body[: fault.cut_after])
            self.close_connection = fault.cut_after is not None

        def _refuse(self, fault: Fault) -> None:
            text = f"<Error><Code>{fault.code}</Code><Message>{fault.message}</Message></Error>".encode()
            self.send_response(fault.status)
            self.send_header("Content-Type", "application/xml")
            self.send_header("Content-Length", str(len(text)))
            for name, value in fault.headers:
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    with FakeServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        between = FaultyS3(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield between
        finally:
            server.shutdown()
            thread.join()
