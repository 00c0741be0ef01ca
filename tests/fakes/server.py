"""Servers of fakes that run in threads of the tests' own process."""

import socket
import sys
from http.server import ThreadingHTTPServer
from typing import Any


class FakeServer(ThreadingHTTPServer):
    """One whose threads coverage leaves alone: it would look for our code there, and make them half as fast."""

    def process_request_thread(self, request: socket.socket | tuple[bytes, socket.socket], client_address: Any) -> None:
        sys.settrace(None)
        super().process_request_thread(request, client_address)
