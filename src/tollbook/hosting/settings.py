"""What a host of an MCP server may be told; every value has a default that is safe on a laptop."""

import msgspec

from tollbook.core import loopback


class HostSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How an MCP server is hosted.

    Attributes:
        path: where the MCP endpoint lies.
        allowed_hosts: the Host headers that are served, lower-case and as written, port included; a port of `*`
            stands for any. What is not listed is answered with 421.
        allowed_origins: the Origin headers that are served, in the same manner; others are answered with 403.
            A request without Origin comes from no browser and is served.
        largest_body: bytes of a request; 413 beyond.
        deepest_body: levels of arrays and objects in a request; 400 beyond.
        session_idle_s: seconds after its last request at which a session ends.
        sessions_per_owner: sessions that one owner may have at once; 429 beyond.
        sessions_in_all: sessions in all, counted anew every ten seconds; 503 beyond.
        running_calls: calls that may run in this instance at once; 503 beyond.
        calls_per_caller: those among them that may be of one caller, where callers prove who they are; 429 beyond.
        call_limit_s: seconds after which a call is cancelled.
        unheard_s: seconds that a call of the handshake era goes on while no one listens to it.
        kept_s: seconds that the events of a call are kept after its result.
        kept_bytes: bytes of events kept for a call; beyond it, progress and logs are dropped, oldest first.
        answer_wait_s: seconds that a question to the user may stay open.
        drain_s: seconds that running calls are given when the instance stops.
    """

    path: str = "/mcp"
    allowed_hosts: tuple[str, ...] = tuple(f"{name}:*" for name in loopback.NAMES)
    allowed_origins: tuple[str, ...] = tuple(f"http://{name}:*" for name in loopback.NAMES)
    largest_body: int = 4 << 20
    deepest_body: int = 64
    session_idle_s: float = 1800
    sessions_per_owner: int = 1000
    sessions_in_all: int = 10_000
    running_calls: int = 512
    calls_per_caller: int = 64
    call_limit_s: float = 900
    unheard_s: float = 60
    kept_s: float = 300
    kept_bytes: int = 1 << 20
    answer_wait_s: float = 300
    drain_s: float = 10
