"""tollbook's own server on Lambda: what a call says on its way arrives while it works, through either front door."""

import itertools
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import pytest

from tests.auth_servers.issuer import Issuer
from tests.hosting.runtime.deployment import DOORS, Deployment, Table, on_lambda
from tests.hosting.serving import modern, tool
from tests.hosting.wire import LOGS

pytestmark = pytest.mark.anyio

ENVIRONMENT: Final = {"TOLLBOOK_SOURCE": str(LOGS), "SEES_ALL": "scope:finops", "OWN_CALLS": "user/{sub}"}
WORDS: Final = (b"Starting multi-greet", b"Sending first greeting", b"Sending second greeting")
"""What multi-greet says, a second apart."""
RESULT: Final = b"Good morning, Ann!"


class Arrival(NamedTuple):
    """A part of an answer as the client got it, and how many bytes the function had posted by then."""

    data: bytes
    posted: int


@pytest.fixture(scope="module", params=DOORS)
async def aws(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    issuer: Issuer,
    a_table: Callable[[], Table],
) -> AsyncIterator[Deployment]:
    folder = tmp_path_factory.mktemp("lambda")
    async with on_lambda(
        folder, issuer, a_table(), door=request.param, app="tollbook.app.on_lambda:app", environment=ENVIRONMENT
    ) as deployment:
        yield deployment
        await deployment.quiet()


async def test_each_notification_of_a_session_is_read_before_the_next_is_sent(aws: Deployment) -> None:
    session = await aws.session()
    arrivals = await _arrivals(aws, tool("multi-greet", name="Ann"), session.headers)
    assert _are_read_before_the_next_is_sent(arrivals)


async def test_each_notification_of_2026_is_read_before_the_next_is_sent(aws: Deployment) -> None:
    message, headers = modern(tool("multi-greet", name="Ann"))
    message["params"]["_meta"]["io.modelcontextprotocol/logLevel"] = "debug"
    assert _are_read_before_the_next_is_sent(await _arrivals(aws, message, headers))


async def _arrivals(aws: Deployment, message: Mapping[str, Any], headers: Mapping[str, str]) -> Sequence[Arrival]:
    await aws.quiet()
    async with aws.http.stream("POST", aws.url, json=message, headers=headers) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        return [Arrival(data, aws.function.invocations[-1].size) async for data in response.aiter_bytes()]


def _are_read_before_the_next_is_sent(arrivals: Sequence[Arrival]) -> bool:
    body = b"".join(arrival.data for arrival in arrivals)
    prelude = arrivals[-1].posted - len(body)
    ends = [body.index(words) + len(words) for words in WORDS]
    assert body.index(RESULT) > ends[-1]
    read = list(itertools.accumulate(len(arrival.data) for arrival in arrivals))

    def posted_when_read(end: int) -> int:
        """The bytes of the body that were posted when the one at `end` was read."""
        return next(arrival.posted for arrival, so_far in zip(arrivals, read, strict=True) if so_far >= end) - prelude

    return all(posted_when_read(end) < end_of_next for end, end_of_next in itertools.pairwise(ends))
