"""A report that a client asks for, on log groups of CloudWatch."""

import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import anyio
import pytest
from mcp import Client
from mcp_types import LoggingMessageNotificationParams

from tests.fakes.cloudwatch_logs import Faults, Logs
from tests.fakes.invocations import ACCOUNT
from tests.fakes.moto import moto_server
from tests.fakes.recorder import Recorder, recorder
from tests.tools.desk import ERAS, QUICK, TOOL, called, calling_as, reported, ruled, served, text_of
from tests.tools.groups import REGION, at, found, group, reading, requests_in_the_end, truth
from tests.tools.people import person
from tollbook.core.caller import Caller
from tollbook.sources.aws.cloudwatch.events import Events

pytestmark = pytest.mark.anyio

OTHER_REGION = "us-west-2"
LISTED = "222233334444"
LIST = f'{{"{LISTED}": {{"role": "arn:aws:iam::{LISTED}:role/falcon-reader", "name": "falcon"}}}}'
SLOW = Faults(latency_s=0.1)
RULED = ruled(QUICK, SEES_ALL="group:finops", OWN_CALLS="role/BedrockRole/{sub}")
BOSS, USER = person("boss", groups=["finops"]), person("user007")
UNREADABLE = "The logs cannot be read just now; why was logged. Ask whoever runs this server."


@pytest.fixture(autouse=True)
def _at_the_fake(cloudwatch: Logs, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    at(cloudwatch.url, monkeypatch, tmp_path)


@pytest.fixture(scope="module")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with moto_server(tmp_path_factory.mktemp("moto") / "moto.log") as url:
        yield url


@pytest.fixture
def to_aws(cloudwatch: Logs, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Recorder]:
    """All that goes to AWS, but for what is asked of STS."""
    with recorder(cloudwatch.url) as door:
        at(door.url, monkeypatch, tmp_path)
        yield door


@pytest.fixture
def to_sts(to_aws: Recorder, moto: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    """All that is asked of STS, to which the credentials are those of the account that the records name."""
    with recorder(moto) as door:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", door.url)
        yield door


class Heard(NamedTuple):
    """A notice of progress.

    Attributes:
        requests: for pages, that had come in by then.
    """

    progress: float
    total: float | None
    message: str
    requests: int


async def heard_while_reading(
    cloudwatch: Logs, name: str, era: str, caller: Caller, days: int = 3
) -> tuple[Any, list[Heard], list[Any]]:
    """What is found, the progress that is told meanwhile, and what is logged."""
    notices: list[Heard] = []
    logs: list[Any] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        notices.append(Heard(progress, total, message or "", cloudwatch.stats(name).requests))

    async def log(params: LoggingMessageNotificationParams) -> None:
        logs.append(params.data)

    with calling_as(caller):
        server = reading(f"cloudwatch:{name}", settings=RULED)
        async with Client(server, mode=era, logging_callback=log, log_level="info") as client:
            result = await client.call_tool(TOOL, {"days": days}, progress_callback=hear)
    assert not result.is_error, text_of(result)
    return result.structured_content, notices, logs


@pytest.mark.parametrize("era", ERAS)
async def test_the_totals_are_those_of_the_log_and_progress_comes_while_pages_are_read(
    cloudwatch: Logs, era: str
) -> None:
    name = group(cloudwatch, f"live-{era}", 9_000, SLOW)
    content, notices, logs = await heard_while_reading(cloudwatch, name, era, BOSS)
    assert found(content) == truth(cloudwatch, name, days=3)
    assert content["totals"]["calls"] > 7_000

    pages = cloudwatch.stats(name).requests
    assert len([each for each in notices if each.message.startswith("read ") and each.requests < pages]) >= 3
    assert all(one.progress < following.progress for one, following in itertools.pairwise(notices))
    assert {each.total for each in notices} == {notices[0].total}
    size = r"[0-9.]+ [KM]B"
    pattern = rf"reading 1 place, about {size}|read {size} of about {size}, [0-9,]+ records?"
    assert all(re.fullmatch(pattern, each.message) for each in notices), notices
    assert len(logs) == 1
    assert re.fullmatch(rf"reading 1 place, about {size}", logs[0])


@pytest.mark.parametrize("era", ERAS)
async def test_who_does_not_see_all_hears_only_which_share_was_read(cloudwatch: Logs, era: str) -> None:
    name = group(cloudwatch, f"share-{era}", 9_000, SLOW)
    _, notices, logs = await heard_while_reading(cloudwatch, name, era, USER)
    pages = cloudwatch.stats(name).requests
    assert len([each for each in notices if each.requests < pages]) >= 3
    assert {each.total for each in notices} == {100}
    assert all(re.fullmatch(r"reading the logs|read [0-9]+ % of the logs", each.message) for each in notices), notices
    assert notices[-1].progress == 100
    assert logs == ["reading the logs"]


async def test_progress_rises_where_nobody_knows_how_much_there_is(cloudwatch: Logs) -> None:
    name = group(cloudwatch, "unknown", 6_000, SLOW, stored_bytes=0)
    _, notices, logs = await heard_while_reading(cloudwatch, name, ERAS[0], BOSS)
    assert logs == ["reading 1 place"]
    assert {each.total for each in notices} == {None}
    assert re.fullmatch(r"read [0-9.]+ MB, [0-9,]+ records", notices[-1].message)
    assert notices[-1].progress > 1_000_000


@pytest.mark.parametrize("era", ERAS)
async def test_a_client_that_leaves_ends_the_requests_and_the_server_goes_on(cloudwatch: Logs, era: str) -> None:
    name = group(cloudwatch, f"left-{era}", 40_000, Faults(latency_s=0.5))
    server = reading(f"cloudwatch:{name}")
    async with Client(server, mode=era) as client, anyio.create_task_group() as call:

        async def leave(progress: float, total: float | None, message: str | None) -> None:
            if (message or "").startswith("read "):
                call.cancel_scope.cancel()

        await client.call_tool(TOOL, {"days": 3}, progress_callback=leave)
    requests = await requests_in_the_end(cloudwatch, name)

    cloudwatch.reset(name)
    assert found(await reported(server, era=era, days=3)) == truth(cloudwatch, name, days=3)
    assert 0 < requests < 0.7 * cloudwatch.stats(name).requests


class TestPlaces:
    """Region, account and log group are the caller's to choose, among those that are read here."""

    @pytest.mark.parametrize("era", ERAS)
    @pytest.mark.parametrize(
        ("arguments", "sentence", "known"),
        [
            ({"region": "us-nowhere-1"}, "AWS has no region 'us-nowhere-1'; ", ""),
            ({"region": "eu-west-1"}, "Region eu-west-1 is not read here.", f" There are {REGION}, {OTHER_REGION}."),
            ({"log_group_name": "/not/here"}, "Log group /not/here is not read here.", " There are "),
        ],
    )
    async def test_what_is_not_read_here_is_said_in_a_sentence_and_aws_is_not_asked(
        self,
        cloudwatch: Logs,
        to_aws: Recorder,
        era: str,
        arguments: dict[str, Any],
        sentence: str,
        known: str,
    ) -> None:
        name = group(cloudwatch, "chosen", 10)
        server = reading(f"cloudwatch:{name}", settings=RULED, TOLLBOOK_REGIONS=f"{REGION},{OTHER_REGION}")
        said = {}
        for caller in (BOSS, USER):
            with calling_as(caller):
                result = await called(server, era=era, **arguments)
            assert result.is_error
            said[caller.subject] = text_of(result)
        assert said["boss"].startswith(f"{sentence}{known}")
        assert said["user007"].startswith(sentence)
        assert said["boss"].endswith(".")
        assert "\n" not in said["boss"]
        if known:
            assert said["user007"] == sentence
        assert to_aws.requests == []

    @pytest.mark.parametrize("era", ERAS)
    async def test_an_account_that_is_not_listed_is_not_reached(
        self, cloudwatch: Logs, to_aws: Recorder, to_sts: Recorder, era: str
    ) -> None:
        name = group(cloudwatch, "not-listed", 10)
        server = reading(f"cloudwatch:{name}", settings=RULED, TOLLBOOK_ACCOUNTS=LIST)
        for caller, known in ((BOSS, f" There are {ACCOUNT}, falcon ({LISTED})."), (USER, "")):
            with calling_as(caller):
                result = await called(server, era=era, aws_account_id="999900001111")
            assert result.is_error
            assert text_of(result) == f"Account 999900001111 is not read here.{known}"
        assert to_aws.requests == []
        # Whose the credentials are, only AWS can say; no role is assumed to learn it, and it is asked once.
        assert [request.operation for request in to_sts.requests] == ["GetCallerIdentity"]

    async def test_the_account_of_the_credentials_may_be_named(
        self, cloudwatch: Logs, to_aws: Recorder, to_sts: Recorder
    ) -> None:
        name = group(cloudwatch, "own-account")
        content = await reported(reading(f"cloudwatch:{name}"), aws_account_id=ACCOUNT, region=REGION, days=2)
        assert found(content) == truth(cloudwatch, name, days=2)
        assert {request.operation for request in to_sts.requests} == {"GetCallerIdentity"}
        assert {request.region for request in to_aws.requests} == {REGION}

    async def test_a_listed_account_is_reached_by_its_role_alone(
        self, cloudwatch: Logs, to_aws: Recorder, to_sts: Recorder
    ) -> None:
        name = group(cloudwatch, "listed", 10)
        await called(reading(f"cloudwatch:{name}", TOLLBOOK_ACCOUNTS=LIST), aws_account_id=LISTED)
        assert {request.form.get("RoleArn") for request in to_sts.of("AssumeRole")} == {
            f"arn:aws:iam::{LISTED}:role/falcon-reader"
        }
        (own_key,) = {request.key for request in to_sts.of("AssumeRole")}
        assert own_key not in {request.key for request in to_aws.requests}

    async def test_each_of_several_log_groups_can_be_asked_about(self, cloudwatch: Logs) -> None:
        one, other = group(cloudwatch, "one", 1_000), group(cloudwatch, "other", 2_000)
        server = reading(f"cloudwatch:{one}", f"cloudwatch:{other}")
        assert found(await reported(server, days=2)) == truth(cloudwatch, one, days=2)
        assert found(await reported(server, days=2, log_group_name=other)) == truth(cloudwatch, other, days=2)

    async def test_a_place_that_is_not_there_is_named_to_who_sees_all_and_logged(
        self, cloudwatch: Logs, caplog: pytest.LogCaptureFixture
    ) -> None:
        server = reading("cloudwatch:/project/falcon", settings=RULED)
        with calling_as(USER):
            assert text_of(await called(server)) == UNREADABLE
        (entry,) = (entry for entry in caplog.records if entry.name == "tollbook.tools.discretion")
        assert "/project/falcon" in vars(entry)["reason"]
        with calling_as(BOSS):
            assert text_of(await called(server)).startswith(f"No log group '/project/falcon' in {REGION}")

    async def test_a_region_that_the_server_is_set_to_wrongly_is_not_told_to_who_does_not_see_all(
        self, cloudwatch: Logs
    ) -> None:
        name = group(cloudwatch, "wrongly", 10)
        server = reading(f"cloudwatch:{name}", settings=RULED, AWS_REGION="us-falcon-1")
        with calling_as(USER):
            assert text_of(await called(server)) == UNREADABLE
        with calling_as(BOSS):
            assert text_of(await called(server)).startswith("AWS has no region 'us-falcon-1'")

    async def test_a_names_file_that_broke_is_not_told_to_who_does_not_see_all(
        self, cloudwatch: Logs, tmp_path: Path
    ) -> None:
        names = tmp_path / "falcon.json"
        names.write_text("{}")
        name = group(cloudwatch, "names", 10)
        server = reading(f"cloudwatch:{name}", settings=RULED, names_file=names)
        names.write_text("{")
        with calling_as(USER):
            assert text_of(await called(server)) == UNREADABLE
        with calling_as(BOSS):
            assert "falcon.json" in text_of(await called(server))


class TestSight:
    """Whoever sees only his own calls gets them from CloudWatch too, and nothing of the rest."""

    @pytest.mark.parametrize("by", ["principal", "session,region", "day,model"])
    async def test_a_report_is_that_of_the_same_events_in_a_file(
        self, cloudwatch: Logs, tmp_path: Path, by: str
    ) -> None:
        name = group(cloudwatch, "own")
        log = tmp_path / "events.jsonl"
        log.write_bytes(cloudwatch.lines(name))
        with calling_as(USER):
            content = await reported(reading(f"cloudwatch:{name}", settings=RULED), days=2, group_by=by)
            expected = await reported(served(str(log), settings=RULED), days=2, group_by=by)
        for report in (content, expected):
            report.pop("whole")
        content["notes"].remove(*Events.blind_to)
        assert content == expected  # notes, too: none is of places, pages or bytes
        assert 0 < content["totals"]["calls"] < 100
        with calling_as(BOSS):
            whole = await reported(reading(f"cloudwatch:{name}", settings=RULED), days=2)
        assert any(re.search(r"[KM]B read by FilterLogEvents .* in [0-9]+ requests", note) for note in whole["notes"])

    async def test_his_question_neither_uses_kept_days_nor_leaves_any(self, cloudwatch: Logs) -> None:
        name = group(cloudwatch, "not-kept")
        server = reading(f"cloudwatch:{name}", settings=RULED)

        async def ask(caller: Caller) -> tuple[Any, int]:
            cloudwatch.reset(name)
            with calling_as(caller):
                totals = (await reported(server, days=3))["totals"]
            return totals, cloudwatch.stats(name).requests

        own, requests = await ask(USER)
        whole, requests_of_all = await ask(BOSS)
        assert requests_of_all >= requests  # as if he had never asked
        assert own["calls"] < whole["calls"] == truth(cloudwatch, name, days=3).calls
        again, fewer = await ask(BOSS)
        assert (again, fewer < requests_of_all) == (whole, True)
        assert await ask(USER) == (own, requests)


class TestSomeUnread:
    """What one place cannot tell, the others do."""

    async def test_a_region_that_fails_is_named_and_everything_else_delivered(self, cloudwatch: Logs) -> None:
        fails = Faults(refuses="AccessDeniedException", refuses_in=OTHER_REGION)
        name = group(cloudwatch, "regions", 3_000, fails)
        server = reading(f"cloudwatch:{name}", settings=RULED, TOLLBOOK_REGIONS=f"{REGION},{OTHER_REGION}")
        with calling_as(BOSS):
            result = await called(server, days=2)
        content: Any = result.structured_content
        assert not result.is_error
        assert found(content) == truth(cloudwatch, name, days=2)
        (sentence,) = content["unread"]
        assert f"'{name}' in {OTHER_REGION}" in sentence
        assert "logs:FilterLogEvents" in sentence
        assert f"not read: {sentence}" in text_of(result)
        assert "≥$" in text_of(result)
        with calling_as(USER):
            content = await reported(server, days=2)
        assert content["unread"] == [
            "some of the logs, so that every figure may be too low; whoever sees all is told which"
        ]
        assert 0 < content["totals"]["calls"] < 100

    @pytest.mark.usefixtures("to_sts")
    async def test_an_account_without_the_log_group_is_named_and_the_other_delivered(self, cloudwatch: Logs) -> None:
        name = group(cloudwatch, "accounts")
        server = reading(f"cloudwatch:{name}", TOLLBOOK_ACCOUNTS=f'{{"{LISTED}": "oam"}}')
        result = await called(server, days=2)
        content: Any = result.structured_content
        assert not result.is_error
        assert found(content) == truth(cloudwatch, name, days=2)
        (sentence,) = content["unread"]
        assert sentence.startswith(f"No log group '{name}' in {REGION} of account {LISTED}")

    async def test_where_nothing_can_be_read_the_call_fails(self, cloudwatch: Logs) -> None:
        name = group(cloudwatch, "nowhere", 10, Faults(refuses="AccessDeniedException"))
        result = await called(reading(f"cloudwatch:{name}", TOLLBOOK_REGIONS=f"{REGION},{OTHER_REGION}"), days=2)
        assert result.is_error
        assert text_of(result).startswith("None of the places can be read: ")
        assert all(region in text_of(result) for region in (REGION, OTHER_REGION))
