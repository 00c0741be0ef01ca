"""Pages of FilterLogEvents, from the bytes of the answer to what a tally counts.

botocore's own parser takes twice as long for a page as all the rest together. So it is shown an empty answer, and
the bytes are decoded here.

Source: https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_FilterLogEvents.html
"""

import json
from collections.abc import Sequence
from functools import partial
from typing import Any, Final

import msgspec

from tollbook.spend.tally import Tally

BODY: Final = "body"
"""Where the bytes of an answer stand in what the client gives, once `keep_bytes` was done to it."""

_EVENT: Final = "before-parse.cloudwatch-logs.FilterLogEvents"
_CHUNK: Final = 64  # events that are decoded at once: a line that is no record costs its chunk a second look
_OK: Final = 200


class Event(msgspec.Struct, gc=False):
    """An event of the log; its time in milliseconds since 1970."""

    timestamp: int = 0
    message: str = ""
    eventId: str = ""


class Page(msgspec.Struct, gc=False):
    """Some of the events, in the order of their time, and how to ask for those that follow, if any may."""

    events: list[Event] = []
    nextToken: str | None = None


class BrokenPage(Exception):
    """An answer that is no page."""


_decoder: Final = msgspec.json.Decoder(Page)


def keep_bytes(client: Any) -> None:
    """Makes a client of CloudWatch Logs give the bytes of FilterLogEvents' answers. Once or several times."""
    client.meta.events.register(_EVENT, _keep, unique_id="tollbook-pages")


def _keep(response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: object) -> None:
    # An answer of another status is a fault, which botocore is to understand.
    if response_dict["status_code"] == _OK:
        customized_response_dict[BODY], response_dict["body"] = response_dict["body"], b"{}"


def page_of(body: bytes) -> Page:
    """The page in `body`.

    Raises:
        BrokenPage: there is none.
    """
    try:
        return _decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        pass
    try:  # half a character, as some programs cut them, is more than msgspec bears
        return msgspec.convert(json.loads(body), Page)
    except (msgspec.MsgspecError, ValueError, RecursionError) as fault:
        raise BrokenPage from fault


def count(events: Sequence[Event], tally: Tally) -> None:
    """Counts the records among `events`, as the same tally would that reads a file of them."""
    for start in range(0, len(events), _CHUNK):
        some = events[start : start + _CHUNK]
        try:
            block = "\n".join([event.message for event in some]).encode()
        except UnicodeEncodeError:
            tally.read_each(_texts(some))
        else:
            tally.read(block, partial(_texts, some))


def _texts(events: Sequence[Event]) -> list[bytes]:
    """Each event as a file has it."""
    return [json.dumps({"timestamp": event.timestamp, "message": event.message}).encode() for event in events]
