"""Server-sent events, as bytes.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
"""

from typing import Final

MEDIA_TYPE: Final = "text/event-stream"
COMMENT: Final = b": still at work\n\n"
"""Says nothing, and keeps whatever lies between from taking the stream for dead."""


def message(data: bytes, event_id: str | None = None) -> bytes:
    """One JSON-RPC message on a stream. `data` is JSON on a single line, as `jsonrpc.written` gives it."""
    return b"".join((b"event: message\n", _id(event_id), b"data: ", data, b"\n\n"))


def priming(event_id: str, retry_ms: int) -> bytes:
    """The empty event from which a client can resume before anything was sent, and how soon it should.

    Source: https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#sending-messages-to-the-server
    """
    return b"".join((_id(event_id), b"retry: %d\n" % retry_ms, b"data: \n\n"))


def _id(event_id: str | None) -> bytes:
    return b"" if event_id is None else b"id: %b\n" % event_id.encode("ascii")
