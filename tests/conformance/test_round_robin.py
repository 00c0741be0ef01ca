"""The round robin itself: were it to buffer, or to keep to one backend, the tests behind it would prove little."""

import http.client
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from tests.conformance.round_robin import RoundRobin

PATIENCE_S = 10
OK = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
LAST = b"LAST"

Answer = Callable[[socket.socket, bytes], None]


@contextmanager
def backend(answer: Answer) -> Iterator[int]:
    """Answers requests with `answer`, which is given their head, and keeps a connection if it may; gives its port."""

    def serve() -> None:
        while True:
            connection, _ = listening.accept()
            with connection:
                while head := head_from(connection):
                    if head.startswith(LAST):
                        return
                    answer(connection, head)
                    if b"connection: close" in head.lower():
                        break

    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield port
        finally:
            with socket.create_connection(("127.0.0.1", port)) as last:
                last.sendall(LAST + b"\r\n\r\n")
            thread.join()


def head_from(connection: socket.socket) -> bytes:
    head = b""
    while b"\r\n\r\n" not in head and (more := connection.recv(65536)):
        head += more
    return head


def saying(text: bytes) -> Answer:
    def answer(connection: socket.socket, head: bytes) -> None:
        kept = b"close" if b"connection: close" in head.lower() else b"keep-alive"
        connection.sendall(
            b"HTTP/1.1 200 OK\r\nConnection: %b\r\nContent-Length: %d\r\n\r\n%b" % (kept, len(text), text)
        )

    return answer


def test_each_request_goes_to_the_next_backend_though_the_client_keeps_its_connection() -> None:
    with ExitStack() as running:
        ports = [running.enter_context(backend(saying(name))) for name in (b"one", b"two")]
        front = running.enter_context(RoundRobin(ports))
        client = http.client.HTTPConnection("127.0.0.1", front.port, timeout=PATIENCE_S)
        said = []
        for _ in range(4):
            client.request("GET", "/", headers={"Connection": "keep-alive"})
            said.append(client.getresponse().read())
        client.close()
    assert said == [b"one", b"two", b"one", b"two"]
    assert front.requests == {ports[0]: 2, ports[1]: 2}


def test_an_event_arrives_before_the_next_one_is_sent() -> None:
    first_arrived = threading.Event()

    def stream(connection: socket.socket, head: bytes) -> None:
        connection.sendall(OK + b"data: 1\n\n")
        assert first_arrived.wait(PATIENCE_S)
        connection.sendall(b"data: 2\n\n")

    with backend(stream) as port, RoundRobin([port]) as front:
        client = http.client.HTTPConnection("127.0.0.1", front.port, timeout=PATIENCE_S)
        client.request("GET", "/")
        answer = client.getresponse()
        assert answer.read(9) == b"data: 1\n\n"
        first_arrived.set()
        assert answer.read() == b"data: 2\n\n"
        client.close()


def test_a_body_arrives_whole() -> None:
    body = bytes(range(256)) * 4096
    arrived = bytearray()

    def read(connection: socket.socket, head: bytes) -> None:
        arrived.extend(head.partition(b"\r\n\r\n")[2])
        while len(arrived) < len(body):
            arrived.extend(connection.recv(65536))
        connection.sendall(OK)

    with backend(read) as port, RoundRobin([port]) as front:
        client = http.client.HTTPConnection("127.0.0.1", front.port, timeout=PATIENCE_S)
        client.request("POST", "/", body)
        assert client.getresponse().status == 200
        client.close()
    assert arrived == body


def test_a_backend_learns_that_the_client_hung_up() -> None:
    asked, gone = threading.Event(), threading.Event()

    def wait(connection: socket.socket, head: bytes) -> None:
        connection.settimeout(PATIENCE_S)
        asked.set()
        try:
            left = connection.recv(1) == b""
        except ConnectionResetError:
            left = True
        if left:
            gone.set()

    with backend(wait) as port, RoundRobin([port]) as front:
        client = socket.create_connection(("127.0.0.1", front.port))
        client.sendall(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
        assert asked.wait(PATIENCE_S)
        client.close()
        assert gone.wait(PATIENCE_S)


def test_a_turn_where_no_one_listens_is_a_bad_gateway() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with RoundRobin([port]) as front:
        client = http.client.HTTPConnection("127.0.0.1", front.port, timeout=PATIENCE_S)
        client.request("GET", "/")
        assert client.getresponse().status == 502
        client.close()
