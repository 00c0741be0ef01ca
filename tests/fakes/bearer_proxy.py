"""A reverse proxy that puts a credential on every request: for clients that have none, and a server that wants one."""

from tests.conformance.round_robin import RoundRobin


class BearerProxy(RoundRobin):
    """Listens on a free port of 127.0.0.1, from `with` to its end, and passes everything on to another port there.

    The Authorization header of a request is replaced, and its Host is that of the server if it was this proxy's.
    """

    def __init__(self, backend: int, token: str) -> None:
        super().__init__([backend])
        self._backend, self._token = backend, token

    def passed_on(self, head: bytes) -> bytes:
        lines = [line for line in head[:-4].split(b"\r\n") if not line.lower().startswith(b"authorization:")]
        own, theirs = (f":{port}".encode() for port in (self.port, self._backend))
        lines = [line.removesuffix(own) + theirs if _is_host(line) and line.endswith(own) else line for line in lines]
        return b"\r\n".join([*lines, f"Authorization: Bearer {self._token}".encode(), b"", b""])


def _is_host(line: bytes) -> bool:
    return line.lower().startswith(b"host:")
