"""A small HTTP server on loopback, in threads of its own, that misbehaves when a test says so."""

import contextlib
import json
import socket
import sys
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, NamedTuple, Self

_STEP_S: Final = 0.02
_PATIENCE_S: Final = 30
"""Nobody is held longer: a test that forgot to let go ends nevertheless."""


class Request(NamedTuple):
    """What somebody asked for; names of headers are lower-case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes


class Reply(NamedTuple):
    """What is answered; `location` is where a redirect leads."""

    status: int
    body: bytes
    location: str = ""


Manner = Callable[["_Handler", Reply, threading.Event], None]
"""Answers, well or not; the event is set once the server is to behave otherwise."""


class Loopback:
    """Serves `documents` as JSON on a free port of 127.0.0.1, from `with` to the end of its block; no TLS.

    The methods that spoil its answers are for every path or, with `path`, for one; `well()` ends them all. Whoever is
    still waiting for the rest of a good answer gets it as soon as the server is told to behave otherwise in any way.

    Attributes:
        url: `http://127.0.0.1:PORT`.
        documents: by path; a test may change, add and delete them. What is not there is answered with 404.
        requests: every request so far, in the order of their coming.
        visits: connections so far, of whomever and whether or not he spoke HTTP.
    """

    def __init__(self) -> None:
        self.documents: dict[str, Any] = {}
        self.requests: list[Request] = []
        self.visits = 0
        # Bound and never listening: the port stays ours while the server is dead.
        self._place = _bound(0)
        self._port: int = self._place.getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}"
        self._manners: dict[str | None, Manner] = {}
        self._changed = threading.Event()
        self._news = threading.Condition()
        self._server: _Server | None = None

    def __enter__(self) -> Self:
        self._start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()
        self._place.close()

    @property
    def asked(self) -> Counter[str]:
        """How often each path was asked for, whatever the answer was."""
        return Counter(request.path for request in self.requests)

    def wait_until_asked(self, path: str, times: int = 1) -> None:
        """Blocks the thread; in an event loop, look at `asked` instead."""
        with self._news:
            came = self._news.wait_for(lambda: self.asked[path] >= times, _PATIENCE_S)
        if not came:
            raise AssertionError(f"{path} was asked for {self.asked[path]} times, not {times}.")

    def well(self) -> None:
        """Answers well from now on, also those who are held; listens again."""
        self._manners.clear()
        self._change()
        if self._server is None:
            self._start()

    def fail(self, status: int = 503, path: str | None = None) -> None:
        """Answers with a status and a JSON object that says nothing."""
        self._behave(lambda handler, *_: handler.send(Reply(status, b"{}")), path)

    def garbage(self, body: bytes = b"<!doctype html><p>Oops", path: str | None = None) -> None:
        """Answers 200, and with a body that is no key set."""
        self._behave(lambda handler, *_: handler.send(Reply(200, body)), path)

    def redirect(self, to: str, status: int = 302, path: str | None = None) -> None:
        """Sends everyone elsewhere."""
        self._behave(lambda handler, *_: handler.send(Reply(status, b"", to)), path)

    def slow(self, path: str | None = None) -> None:
        """Holds everyone until it is told to behave otherwise."""

        def hold(handler: "_Handler", reply: Reply, changed: threading.Event) -> None:
            changed.wait(_PATIENCE_S)
            handler.send(reply)

        self._behave(hold, path)

    def dribble(self, path: str | None = None) -> None:
        """Sends a good answer byte by byte, fifty in a second."""

        def drip(handler: "_Handler", reply: Reply, changed: threading.Event) -> None:
            handler.begin(reply, len(reply.body))
            for at in range(len(reply.body)):
                if changed.wait(_STEP_S):
                    handler.wfile.write(reply.body[at:])
                    return
                handler.wfile.write(reply.body[at : at + 1])

        self._behave(drip, path)

    def huge(self, path: str | None = None) -> None:
        """Sends a good answer and then spaces without end: whoever stops reading somewhere has a whole document."""

        def pour(handler: "_Handler", reply: Reply, changed: threading.Event) -> None:
            handler.begin(reply, None)
            handler.wfile.write(reply.body)
            while not changed.is_set():
                handler.wfile.write(b" " * 16_384)

        self._behave(pour, path)

    def dead(self) -> None:
        """Cuts every connection and refuses new ones, until `well()`."""
        self._stop()

    def good(self, path: str) -> Reply:
        """The answer to one who is answered well."""
        if path not in self.documents:
            return Reply(404, b'{"error":"not_found"}')
        return Reply(200, json.dumps(self.documents[path]).encode())

    def _behave(self, manner: Manner, path: str | None) -> None:
        self._manners[path] = manner
        self._change()

    def _change(self) -> None:
        before, self._changed = self._changed, threading.Event()
        before.set()

    def _serve(self, handler: "_Handler", request: Request) -> None:
        with self._news:
            self.requests.append(request)
            self._news.notify_all()
        changed = self._changed  # first: else a change in between would go unnoticed
        manner = self._manners.get(request.path) or self._manners.get(None)
        if manner is None:
            handler.send(self.good(request.path))
        else:
            manner(handler, self.good(request.path), changed)

    def _start(self) -> None:
        self._server = _Server(self, self._port)
        threading.Thread(target=self._server.serve_forever, args=(_STEP_S,), daemon=True).start()

    def _stop(self) -> None:
        self._change()
        if self._server is not None:
            self._server.end()
            self._server = None


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # so that the end waits for them
    request_queue_size = 512

    def __init__(self, owner: Loopback, port: int) -> None:
        super().__init__(("127.0.0.1", port), _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = _bound(port)
        self.server_activate()
        self.owner = owner
        self.open: set[socket.socket] = set()

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        self.owner.visits += 1
        self.open.add(connection)
        return connection, address

    def end(self) -> None:
        self.shutdown()
        for connection in tuple(self.open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whoever leaves early is no error: many a test wants to see it."""
        if not isinstance(sys.exception(), OSError):
            raise


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = _PATIENCE_S
    server: _Server

    def finish(self) -> None:
        self.server.open.discard(self.connection)
        super().finish()

    def answer(self) -> None:
        path, _, query = self.path.partition("?")
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.close_connection = True
        self.server.owner._serve(self, Request(self.command, path, query, headers, body))

    do_GET = do_POST = do_HEAD = do_PUT = do_DELETE = do_OPTIONS = answer

    def begin(self, reply: Reply, length: int | None) -> None:
        """Sends all but the body."""
        self.send_response(reply.status)
        self.send_header("connection", "close")
        self.send_header("content-type", "application/json")
        if length is not None:
            self.send_header("content-length", str(length))
        if reply.location:
            self.send_header("location", reply.location)
        self.end_headers()

    def send(self, reply: Reply) -> None:
        self.begin(reply, len(reply.body))
        if self.command != "HEAD":
            self.wfile.write(reply.body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  (as it is called there)
        """Nothing is logged: `requests` has it all."""


def _bound(port: int) -> socket.socket:
    """A socket at a port that it shares with others of this process."""
    place = socket.socket()
    place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    place.bind(("127.0.0.1", port))
    return place
