"""A program as AWS Lambda runs it: a process of its own that asks a Runtime API for events, which is played here.

It hands out one event after another and reads each response to its end, and nothing more: what is measured is to be the
program. `tests/fakes/lambda_service` plays the rest of Lambda.

Sources:
    https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
    https://docs.aws.amazon.com/lambda/latest/dg/runtimes-custom.html#runtimes-custom-response-streaming
"""

import json
import os
import select
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any, Final

from gate_processes import cpu_clock, say

DOMAIN: Final = "abcdef123.lambda-url.eu-west-1.on.aws"
_ARN: Final = "arn:aws:lambda:eu-west-1:123456789012:function:bench"
_LIFE_MS: Final = 900_000
_END_OF_HEAD: Final = b"\r\n\r\n"
_END_OF_PRELUDE: Final = bytes(8)
_PIECE: Final = 256 << 10
_PATIENCE_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Response:
    """What a program answered to one event.

    Attributes:
        content: all of it, the prelude of a stream too; of one that was not kept, what was read at first.
        size: bytes, all of them.
        first_s: from the event's last byte to the response's first.
        whole_s: from the event's last byte to the response's last.
        cpu_s: user and system time of the process until then, from its start.
    """

    content: bytes
    size: int
    first_s: float
    whole_s: float
    cpu_s: float

    @property
    def status(self) -> int:
        """The HTTP status that the caller gets."""
        head, end, _ = self.content.partition(_END_OF_PRELUDE)
        return int(json.loads(head if end else self.content)["statusCode"])


class Function:
    """A program that was started, and its Runtime API."""

    def __init__(self, process: subprocess.Popen[bytes], listening: socket.socket, log: IO[bytes]) -> None:
        self._process, self._listening, self._log = process, listening, log
        self._cpu = cpu_clock(process.pid)
        self._lines: list[socket.socket] = []
        self._waiting: socket.socket | None = None

    @property
    def pid(self) -> int:
        return self._process.pid

    def ask(self, event: bytes, *, is_kept: bool = True, bytes_per_s: float = 0) -> Response:
        """Hands out an event, and waits for its response.

        Args:
            is_kept: otherwise what comes is thrown away as soon as it is read.
            bytes_per_s: how fast the response is read; 0 is as fast as it comes.

        Raises:
            SystemExit: there is no response.
        """
        line = self._waiting or self._until("GET ")[0]
        self._waiting = None
        head = (
            f"HTTP/1.1 200 OK\r\nLambda-Runtime-Aws-Request-Id: 1\r\nLambda-Runtime-Invoked-Function-Arn: {_ARN}\r\n"
            f"Lambda-Runtime-Deadline-Ms: {time.time() * 1000 + _LIFE_MS:.0f}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(event)}\r\n\r\n"
        )
        line.sendall(head.encode() + event)
        began = time.perf_counter()
        line, content = self._until("POST ")
        body = _Body(content)
        while not body.has_begun:
            body.feed(self._read(line))
        first_s = time.perf_counter() - began
        while not body.is_whole:
            if bytes_per_s:
                time.sleep(max(0.0, body.size / bytes_per_s - (time.perf_counter() - began)))
            body.feed(self._read(line), is_kept=is_kept)
        whole_s, cpu_s = time.perf_counter() - began, time.clock_gettime(self._cpu)
        line.sendall(b"HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")
        return Response(bytes(body.content), body.size, first_s, whole_s, cpu_s)

    def rest(self) -> float:
        """Waits until it asks for the next event; its user and system time so far."""
        if self._waiting is None:
            self._waiting = self._until("GET ")[0]
        return time.clock_gettime(self._cpu)

    def _until(self, method: str) -> tuple[socket.socket, bytes]:
        """The connection on which a request by that method comes next, and what of it was read."""
        end = time.monotonic() + _PATIENCE_S
        while time.monotonic() < end and self._process.poll() is None:
            for ready in select.select([self._listening, *self._lines], [], [], 0.5)[0]:
                if ready is self._listening:
                    line = self._listening.accept()[0]
                    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    self._lines.append(line)
                elif not (content := ready.recv(_PIECE)):
                    self._lines.remove(ready)
                    ready.close()
                elif content.startswith(method.encode()) and b"/invocation/" in content:
                    return ready, content
                else:
                    raise SystemExit(f"The program says {content[:2000]!r}.")
        self._log.seek(0)
        say(self._log.read().decode(errors="replace")[-2000:])
        raise SystemExit(f"The program sent no {method}.")

    def _read(self, line: socket.socket) -> bytes:
        if content := line.recv(_PIECE):
            return content
        raise SystemExit("The program hung up in the middle of a response.")

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        for line in (self._listening, *self._lines):
            line.close()


class _Body:
    """The body of a request: with a length, or in chunks."""

    def __init__(self, content: bytes) -> None:
        self.content = bytearray()
        self.size = 0
        self.is_whole = False
        self._raw = bytearray(content)
        self._head = b""
        self._left = 0  # bytes of the body, or of the chunk with its end, that are still to come
        self._is_ending = False
        self.feed(b"")

    @property
    def has_begun(self) -> bool:
        return self.size > 0 or self.is_whole

    def feed(self, content: bytes, *, is_kept: bool = True) -> None:
        self._raw += content
        if not self._head:
            head, end, rest = self._raw.partition(_END_OF_HEAD)
            if not end:
                return
            self._head, self._raw = bytes(head).lower(), rest
            if not self._is_chunked:
                self._left = int(self._head.partition(b"content-length:")[2].split(b"\r")[0])
        while self._raw and not self.is_whole:
            if self._left:
                self._take(is_kept)
            elif b"\r\n" not in self._raw:
                return
            else:
                line, _, self._raw = self._raw.partition(b"\r\n")
                if self._is_ending:  # trailers, and the empty line behind them
                    self.is_whole = not line
                else:
                    size = int(line, 16)
                    self._left, self._is_ending = size and size + 2, not size

    def _take(self, is_kept: bool) -> None:
        piece = self._raw[: self._left]
        del self._raw[: len(piece)]
        self._left -= len(piece)
        if self._is_chunked:
            extra = max(0, 2 - self._left)  # of the line's end behind a chunk
            piece = piece[: max(0, len(piece) - extra)]
        else:
            self.is_whole = not self._left
        self.size += len(piece)
        if is_kept:
            self.content += piece

    @property
    def _is_chunked(self) -> bool:
        return b"transfer-encoding: chunked" in self._head


@contextmanager
def on_lambda(words: Sequence[str], environment: Mapping[str, str]) -> Iterator[Function]:
    """A program, started; what it prints goes to a file, as in production."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=64)
    address = f"127.0.0.1:{listening.getsockname()[1]}"
    variables = {
        **os.environ,
        "AWS_LAMBDA_RUNTIME_API": address,
        "AWS_LAMBDA_FUNCTION_NAME": "bench",
        "AWS_LAMBDA_FUNCTION_VERSION": "1",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1769",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/bench",
        "AWS_LAMBDA_LOG_STREAM_NAME": "1",
        "AWS_REGION": "eu-west-1",
        **environment,
    }
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(words, env=variables, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        function = Function(process, listening, log)
        try:
            yield function
        finally:
            function.close()


def url_event(method: str, path: str, headers: Mapping[str, str], body: str = "") -> bytes:
    """What a function URL makes of a request: https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html"""
    http = {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "203.0.113.1", "userAgent": "bench"}
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {"host": DOMAIN, **headers},
        "requestContext": {
            "accountId": "anonymous",
            "apiId": DOMAIN.partition(".")[0],
            "domainName": DOMAIN,
            "http": http,
            "requestId": "1",
            "routeKey": "$default",
            "stage": "$default",
        },
        "isBase64Encoded": False,
    }
    return json.dumps(event | ({"body": body} if body else {})).encode()


def rest_event(method: str, path: str, headers: Mapping[str, str], body: str = "") -> bytes:
    """What a REST API with a proxy integration makes of a request:
    https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html
    """
    all_headers = {"Host": "mcp.example.com", **headers}
    event = {
        "resource": "/{proxy+}",
        "path": path,
        "httpMethod": method,
        "headers": all_headers,
        "multiValueHeaders": {name: [value] for name, value in all_headers.items()},
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "pathParameters": {"proxy": path.lstrip("/")},
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "abcdef123",
            "domainName": "mcp.example.com",
            "httpMethod": method,
            "identity": {"sourceIp": "203.0.113.1", "userAgent": "bench"},
            "path": path,
            "requestId": "1",
            "stage": "prod",
        },
        "body": body or None,
        "isBase64Encoded": False,
    }
    return json.dumps(event).encode()
