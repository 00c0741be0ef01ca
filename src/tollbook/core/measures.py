"""What a call took, said by whoever does the work and heard by whoever serves it; neither knows the other."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal

import msgspec

Unit = Literal["Seconds", "Milliseconds", "Bytes", "Count", "Percent", "None"]
"""As CloudWatch calls it: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricDatum.html"""


class Measure(msgspec.Struct, frozen=True):
    """So much of something.

    Attributes:
        name: of a metric, such as `ScannedBytes`. It is never made of what a caller sent: each new one costs money.
    """

    name: str
    value: float
    unit: Unit = "None"


_HEARD: ContextVar[list[Measure] | None] = ContextVar("heard", default=None)


def add(name: str, value: float, unit: Unit = "None") -> None:
    """Says that the call in this context took so much, beside what was said of the same name before.

    From any thread that has the context of the call, as `anyio.to_thread` and `asyncio.to_thread` give it. Where nobody
    listens, as on the command line, it does nothing.
    """
    if (heard := _HEARD.get()) is not None:
        heard.append(Measure(name, value, unit))


@contextmanager
def hearing() -> Iterator[Sequence[Measure]]:
    """Hears what is added in this block, and in tasks and threads that begin in it."""
    heard: list[Measure] = []
    token = _HEARD.set(heard)
    try:
        yield heard
    finally:
        _HEARD.reset(token)
