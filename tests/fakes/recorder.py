"""A door before moto's server that writes down what comes through, and may be told to answer itself."""

import http.client
import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qs, urlsplit

_TIMEOUT_S: Final = 20
_SIGNED: Final = re.compile(r"Credential=(?P<key>[^/]+)/\d{8}/(?P<region>[^/]*)/(?P<service>[^/]+)/aws4_request")


class Request(NamedTuple):
    """One request, as it came.

    Attributes:
        headers: by their names in small letters.
    """

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def operation(self) -> str:
        """Such as `AssumeRole`; empty where neither header nor body tells it."""
        target = self.headers.get("x-amz-target", "")
        return target.rpartition(".")[2] or self.form.get("Action", "")

    @property
    def form(self) -> Mapping[str, str]:
        """What the body holds of a request to STS."""
        return {name: values[0] for name, values in parse_qs(self.body.decode("latin-1")).items()}

    @property
    def query(self) -> str:
        """The text of a query of Logs Insights; empty if it begins none."""
        return str(json.loads(self.body)["queryString"]) if self.operation == "StartQuery" else ""

    @property
    def key(self) -> str:
        """The id of the access key that it is signed with; empty if it is not."""
        return self._signed("key")

    @property
    def region(self) -> str:
        """That it is signed for."""
        return self._signed("region")

    @property
    def everything(self) -> bytes:
        """All of it that leaves the machine."""
        return b"\n".join((self.path.encode(), json.dumps(dict(self.headers)).encode(), self.body))

    def _signed(self, part: str) -> str:
        found = _SIGNED.search(self.headers.get("authorization", ""))
        return found[part] if found else ""


class Recorder:
    """Writes down every request.

    Attributes:
        url: where it listens.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._requests: list[Request] = []
        self._answers: dict[str, tuple[int, bytes]] = {}
        self._turn = threading.Condition()
        self._connections = 0

    def has_connections(self, number: int) -> bool:
        """Whether so many are open, now or within moments."""
        with self._turn:
            return self._turn.wait_for(lambda: self._connections == number, _TIMEOUT_S)

    def count(self, more: int) -> None:
        """Counts connections that were opened, or closed."""
        with self._turn:
            self._connections += more
            self._turn.notify_all()

    @property
    def requests(self) -> list[Request]:
        """All, in their order."""
        with self._turn:
            return self._requests[:]

    def of(self, operation: str) -> list[Request]:
        """Those for `operation`."""
        return [each for each in self.requests if each.operation == operation]

    def refuse(self, operation: str, status: int, code: str, message: str) -> None:
        """Answers `operation` of STS in this way from now on.

        Source: https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html
        """
        body = f"<ErrorResponse><Error><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>"
        self._answers[operation] = (status, body.encode())

    def refuse_as_json(self, operation: str, status: int, code: str, message: str) -> None:
        """The same for services of AWS's JSON protocol.

        Source: https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html#operation-error-serialization
        """
        self._answers[operation] = (status, json.dumps({"__type": code, "message": message}).encode())

    def forgive(self, operation: str) -> None:
        """Lets moto answer it again."""
        del self._answers[operation]

    def note(self, request: Request) -> tuple[int, bytes] | None:
        """Takes note of `request`, and tells how to answer it if moto is not to."""
        with self._turn:
            self._requests.append(request)
            return self._answers.get(request.operation)


@contextmanager
def recorder(moto: str) -> Iterator[Recorder]:
    """A recorder before the server at `moto`, until the end of the block."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            recording.count(+1)

        def finish(self) -> None:
            recording.count(-1)
            super().finish()

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Request(self.path, headers, body)
            status, said = recording.note(request) or _passed_on(moto, self.command, request)
            self.send_response(status)
            self.send_header("content-length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        do_GET = do_POST = do_PUT = do_HEAD = answer

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name of http.server
            pass

    with _Server(("127.0.0.1", 0), Handler) as server:
        recording = Recorder(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield recording
        finally:
            server.shutdown()
            thread.join()


class _Server(ThreadingHTTPServer):
    request_queue_size = 128  # so many clients may knock at once


def _passed_on(moto: str, method: str, request: Request) -> tuple[int, bytes]:
    at = urlsplit(moto)
    connection = http.client.HTTPConnection(at.hostname or "", at.port, timeout=_TIMEOUT_S)
    try:
        connection.request(method, request.path, request.body, dict(request.headers))
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()
