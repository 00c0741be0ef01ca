"""Any number of events with invocation records, rendered when they are asked for, whose sums are known.

The text of a thousand records serves for all: only their times and ids differ from one to the next.
"""

import itertools
import json
import random
import re
from bisect import bisect_left
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property, lru_cache
from typing import Any, Final

import msgspec

ACCOUNT: Final = "123456789012"
_MODELS: Final = (
    ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "Converse"),
    ("eu.anthropic.claude-sonnet-4-20250514-v1:0", "ConverseStream"),
    ("anthropic.claude-3-haiku-20240307-v1:0", "InvokeModel"),
    ("anthropic.claude-3-5-sonnet-20240620-v1:0", "InvokeModelWithResponseStream"),
    ("amazon.nova-lite-v1:0", "Converse"),
    ("us.amazon.nova-pro-v1:0", "Converse"),
    ("amazon.titan-embed-text-v1", "InvokeModel"),
    (f"arn:aws:bedrock:us-east-1:{ACCOUNT}:application-inference-profile/abcd1234efgh", "Converse"),
    ("arn:aws:bedrock:us-east-1::foundation-model/meta.llama3-1-70b-instruct-v1:0", "InvokeModel"),
    ("openai.gpt-oss-120b-1:0", "InvokeModel"),
)
_WHO: Final = (
    *(f"arn:aws:sts::{ACCOUNT}:assumed-role/BedrockRole/user{number:03d}" for number in range(40)),
    *(f"arn:aws:iam::{ACCOUNT}:user/dev{number}" for number in range(10)),
)
_PROSE: Final = 'The quick brown fox jumps over the lazy dog, "quoted", back\\slash, größe and new\nline. ' * 200

_TEXTS: Final = 1_000
_DAY_MS: Final = 86_400_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_OWN_TIME = re.compile(rb'\\"timestamp\\":\\"([0-9T:Z-]{20})')
_REQUEST_ID = re.compile(rb'\\"requestId\\":\\"([0-9a-f]{8})')

# Of a day: up to when, and up to which share of its events. The rest is night.
_PEAK: Final = ((0.0, 0.0), (14 / 24, 0.05), (15 / 24, 0.95), (1.0, 1.0))


class Truth(msgspec.Struct, frozen=True):
    """What records add up to."""

    calls: int = 0
    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0
    broken: int = 0


class Rendered(msgspec.Struct, frozen=True):
    """Which events a log group has.

    Attributes:
        events_in_all: how many.
        since_ms, until_ms: the time of the first, and just after the last, in milliseconds since 1970.
        peaks: nine of ten come within one hour of the day, and not all day long.
        prose: characters of prompt and answer in each.
        broken: of a hundred, so many are no records.
        late_ms: how long after its record's own time an event has its.
        pages_kept: pages that are rendered once.
    """

    events_in_all: int
    since_ms: int
    until_ms: int
    peaks: bool = False
    prose: int = 400
    broken: int = 0
    late_ms: int = 0
    pages_kept: int = 256

    def events(self) -> "RenderedEvents":
        return RenderedEvents(self)

    def truth(self, since_ms: int, until_ms: int) -> Truth:
        """What the records whose own time lies from and to just before add up to.

        Args:
            since_ms, until_ms: whole seconds.
        """
        return RenderedEvents(self).truth(since_ms + self.late_ms, until_ms + self.late_ms)


class RenderedEvents:
    """The events of a log group, by number."""

    def __init__(self, of: Rendered) -> None:
        self._of = of
        self._texts = _texts(of.prose, of.broken)

    def __len__(self) -> int:
        return self._of.events_in_all

    def time(self, number: int) -> int:
        """In milliseconds since 1970."""
        of = self._of
        span = of.until_ms - of.since_ms
        if not of.peaks:
            return of.since_ms + number * span // of.events_in_all
        day, within = divmod(number * span / of.events_in_all, _DAY_MS)
        share = within / _DAY_MS
        for (start, none), (end, all_) in itertools.pairwise(_PEAK):
            if share <= all_:
                share = start + (end - start) * (share - none) / (all_ - none)
                break
        return of.since_ms + int(day * _DAY_MS + share * _DAY_MS)

    def json(self, number: int) -> bytes:
        """As FilterLogEvents gives it."""
        return self._texts[number % _TEXTS].at(self.time(number), self._of.late_ms, number)

    def truth(self, since_ms: int, until_ms: int) -> Truth:
        """What the records of the events from and to just before add up to."""
        everything = range(len(self))
        first, last = (bisect_left(everything, time, key=self.time) for time in (since_ms, until_ms))
        return Truth(*(b - a for a, b in zip(self._up_to(first), self._up_to(last), strict=True)))

    def _up_to(self, number: int) -> list[int]:
        rounds, rest = divmod(number, _TEXTS)
        sums = self._sums
        return [whole * rounds + part for whole, part in zip(sums[-1], sums[rest], strict=True)]

    @cached_property
    def _sums(self) -> Sequence[tuple[int, ...]]:
        counts = (msgspec.structs.astuple(text.truth) for text in self._texts)
        none = msgspec.structs.astuple(Truth())
        return list(itertools.accumulate(counts, lambda a, b: tuple(map(sum, zip(a, b, strict=True))), initial=none))


class _Text:
    """One event, whose times and ids are put in where they belong."""

    def __init__(self, message: str, truth: Truth) -> None:
        event = {
            "logStreamName": "aws/bedrock/modelinvocations",
            "timestamp": 10**12,
            "message": message,
            "ingestionTime": 10**12,
            "eventId": f"{0:056d}",
        }
        self._bytes = json.dumps(event, separators=(",", ":")).encode()
        self.truth = truth
        self._time = self._bytes.index(b'"timestamp":1') + 12
        self._ingested = self._bytes.rindex(b'"ingestionTime":') + 16
        self._event_id = self._bytes.rindex(b'"eventId":"') + 11
        own, request_id = _OWN_TIME.search(self._bytes), _REQUEST_ID.search(self._bytes)
        self._own = own.start(1) if own else 0
        self._request_id = request_id.start(1) if request_id else 0

    def at(self, time: int, late_ms: int, number: int) -> bytes:
        text = bytearray(self._bytes)
        text[self._time : self._time + 13] = b"%013d" % time
        text[self._ingested : self._ingested + 13] = b"%013d" % (time + 500)
        text[self._event_id : self._event_id + 56] = b"%056d" % number
        if self._own:
            own = _EPOCH + timedelta(seconds=(time - late_ms) // 1000)
            text[self._own : self._own + 20] = f"{own:%Y-%m-%dT%H:%M:%SZ}".encode()
            text[self._request_id : self._request_id + 8] = b"%08x" % number
        return bytes(text)


@lru_cache(maxsize=8)
def _texts(prose: int, broken: int) -> Sequence[_Text]:
    draw = random.Random(1)  # noqa: S311 - the same each time
    return [_text(draw, prose, draw.random() * 100 < broken) for _ in range(_TEXTS)]


def _text(draw: random.Random, prose: int, is_broken: bool) -> _Text:
    if is_broken:
        return _Text("START RequestId: no JSON at all", Truth(broken=1))
    model, operation = draw.choice(_MODELS)
    fresh, made = draw.randint(5, 4000), 0 if "embed" in model else draw.randint(1, 1500)
    read, write = (draw.randint(1000, 30000), draw.randint(0, 5000)) if "claude" in model else (0, 0)
    record = _record(draw, model, operation, (fresh, made, read, write), _PROSE[: prose // 2])
    return _Text(json.dumps(record, separators=(",", ":"), ensure_ascii=False), Truth(1, fresh, made, read, write))


def _record(
    draw: random.Random, model: str, operation: str, tokens: tuple[int, int, int, int], prose: str
) -> dict[str, Any]:
    fresh, made, read, write = tokens
    said = {"role": "assistant", "content": [{"text": prose}]}
    usage = {"inputTokens": fresh, "outputTokens": made, "totalTokens": fresh + made}
    return {
        "timestamp": "2000-01-01T00:00:00Z",
        "accountId": ACCOUNT,
        "identity": {"arn": draw.choice(_WHO)},
        "region": "us-east-1",
        "requestId": f"00000000-0000-4000-a000-{draw.getrandbits(48):012x}",
        "operation": operation,
        "modelId": model,
        "input": {
            "inputContentType": "application/json",
            "inputBodyJson": {"messages": [{"role": "user", "content": [{"text": prose}]}]},
            "inputTokenCount": fresh,
            "cacheReadInputTokenCount": read,
            "cacheWriteInputTokenCount": write,
        },
        "output": {
            "outputContentType": "application/json",
            "outputBodyJson": {"output": {"message": said}, "stopReason": "end_turn", "usage": usage},
            "outputTokenCount": made,
        },
        "schemaType": "ModelInvocationLog",
        "schemaVersion": "1.0",
        **({"inferenceRegion": "us-west-2"} if model.startswith(("us.", "eu.")) else {}),
    }
