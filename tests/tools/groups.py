"""Log groups of CloudWatch that a server reads for its clients."""

import asyncio
import os
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from mcp.server import MCPServer

from tests.fakes.cloudwatch_logs import Faults, Logs, Setting
from tests.fakes.invocations import Rendered, Truth
from tests.fakes.moto import go_to_moto
from tests.tools.desk import NOW, QUICK, served
from tollbook import tools
from tollbook.app.aws import AwsBook
from tollbook.app.aws_questions import AwsAsker
from tollbook.app.aws_settings import AWS_SETTINGS, aws_settings
from tollbook.core.settings import read_values
from tollbook.sources.named import one_kind

REGION: Final = "us-east-1"
"""Where the rendered records say that they were written."""

_DAYS: Final = 3
_ROUNDS: Final = 20


def at(url: str, monkeypatch: pytest.MonkeyPatch, folder: Path, **environment: str) -> None:
    """Makes `url` all of AWS, for this process and those that it starts; nothing is looked up beside the logs."""
    go_to_moto("CLOUDWATCH_LOGS", url, monkeypatch, folder)
    settings = {"AWS_ENDPOINT_URL": url, "AWS_DEFAULT_REGION": REGION, "TOLLBOOK_LOOK_UP": "none", **environment}
    for name, value in settings.items():
        monkeypatch.setenv(name, value)


def group(
    cloudwatch: Logs,
    name: str,
    events: int = 3_000,
    faults: Faults = Faults(),  # noqa: B008 - it is frozen
    *,
    stored_bytes: int | None = None,
    age: timedelta | None = None,
) -> str:
    """A log group with so many records of the three days before `NOW`; gives its name.

    Args:
        stored_bytes: that CloudWatch speaks of; by default about those that there are.
        age: of the group today, for a server that goes by the real clock; by default it is as old as its records.
    """
    now, since = int(NOW.timestamp() * 1000), int((NOW - timedelta(days=_DAYS)).timestamp() * 1000)
    setting = Setting(
        f"/tollbook/{name}",
        region=REGION,
        stored_bytes=events * 1_600 if stored_bytes is None else stored_bytes,
        created_ms=since if age is None else int((datetime.now(UTC) - age).timestamp() * 1000),
        faults=faults,
        rendered=Rendered(events, since_ms=since, until_ms=now),
    )
    return cloudwatch.set(setting)


def asker(*sources: str, names_file: Path | None = None, **environment: str) -> AwsAsker:
    """Answers from `sources`, as these variables of the environment and its own set it."""
    whole = {**os.environ, **environment}
    values, problems = read_values(AWS_SETTINGS, whole, {})
    assert not problems, problems
    return AwsAsker(AwsBook(one_kind(sources), aws_settings(values, whole), names_file=names_file, clock=lambda: NOW))


def reading(
    *sources: str, settings: tools.Settings = QUICK, names_file: Path | None = None, **environment: str
) -> MCPServer[Any]:
    """A server that reads `sources`; a question that names no log group means the first."""
    usual = one_kind(sources)[0].name
    answers = asker(*sources, names_file=names_file, **environment)
    return served(settings=msgspec.structs.replace(settings, log_group=usual), asker=answers)


def truth(cloudwatch: Logs, name: str, days: int) -> Truth:
    """What a question for so many days should find."""
    midnight = NOW.replace(hour=0)
    since = midnight - timedelta(days=days - 1)
    return cloudwatch.truth(name, int(since.timestamp() * 1000), int(NOW.timestamp() * 1000))


def found(content: Mapping[str, Any]) -> Truth:
    """What a report's structured content says that there is."""
    sums = content["totals"]
    return Truth(
        sums["calls"],
        sums["input_tokens"],
        sums["output_tokens"],
        sums["cache_read_tokens"],
        sums["cache_write_tokens"],
        content["rejected"]["lines"],
    )


async def requests_in_the_end(cloudwatch: Logs, name: str) -> int:
    """The requests for a log group's events, once there was none for a second.

    Raises:
        AssertionError: they go on and on.
    """
    for _ in range(_ROUNDS):
        before = cloudwatch.stats(name).requests
        await asyncio.sleep(1)
        if cloudwatch.stats(name).requests == before:
            return before
    raise AssertionError(f"{cloudwatch.stats(name).requests} requests, and no end")
