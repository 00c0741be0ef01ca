"""Whole results: kept for whoever asked, in pages, for a time."""

import csv
import io
import json
import re
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import jsonschema
import pytest
from mcp import Client, MCPError
from mcp.server import MCPServer
from mcp_types import ResourceLink, TextResourceContents

from tests.fakes.buckets import BUCKET, hanging_bucket
from tests.logs import Ask, call, write
from tests.tools import desk
from tests.tools.desk import ERAS, NOW, SAMPLE, TOOL, called, calling_as, printed, reported, ruled, text_of
from tollbook import tools
from tollbook.core.caller import Caller
from tollbook.core.stores import Clock, Record
from tollbook.hosting.stores import open_store
from tollbook.hosting.stores.memory import MemoryStore
from tollbook.hosting.stores.s3 import S3Blobs

pytestmark = pytest.mark.anyio
Served = Callable[..., MCPServer[Any]]
SCHEMA = json.loads((Path(__file__).parent.parent.parent / "docs" / "report-schema.json").read_text())
MOST_BYTES = 512 << 10


@pytest.fixture(scope="module")
def long_log(tmp_path_factory: pytest.TempPathFactory) -> str:
    """So many users that a report takes several pages; some have odd names."""
    path = tmp_path_factory.mktemp("long") / "log.jsonl"
    odd = ("", "\u200b" * 50, "ü", '"=1+1"', "a,b\nc")
    records = (
        call(
            arn=f"arn:aws:iam::111122223333:user/someone-{number:05}{odd[number % len(odd)]}",
            tokens=(number, 10),
            timestamp="2026-11-22T00:00:00Z",
        )
        for number in range(4000)
    )
    return write(path, *records)


@pytest.fixture(params=["among the records", "in a bucket"])
async def served(request: pytest.FixtureRequest) -> AsyncIterator[Served]:
    """Makes servers that keep whole results in one place or in the other."""
    opened: list[S3Blobs] = []

    def open_blobs(clock: Clock) -> S3Blobs:
        opened.append(S3Blobs(BUCKET, "whole/", clock, request.getfixturevalue("bucket")))
        return opened[-1]

    yield desk.served if request.param == "among the records" else partial(desk.served, open_blobs=open_blobs)
    for blobs in opened:
        await blobs.aclose()


async def linked(server: MCPServer[Any], era: str = ERAS[0], **arguments: Any) -> dict[str, ResourceLink]:
    """The links of a report by their format."""
    links = [block for block in (await called(server, era=era, **arguments)).content if isinstance(block, ResourceLink)]
    return {link.name.rpartition(".")[2]: link for link in links}


async def page(server: MCPServer[Any], uri: str, era: str = ERAS[0]) -> TextResourceContents:
    async with Client(server, mode=era) as client:
        (content,) = (await client.read_resource(uri)).contents
    assert isinstance(content, TextResourceContents)
    assert len(content.text.encode()) <= MOST_BYTES
    return content


async def pages(server: MCPServer[Any], uri: str, era: str = ERAS[0]) -> list[TextResourceContents]:
    """The page at `uri` and those that follow, each found by what the one before says."""
    found = [await page(server, uri, era)]
    while following := (found[-1].meta or {}).get("next"):
        found.append(await page(server, following, era))
    assert [(each.meta or {})["page"] for each in found] == list(range(1, len(found) + 1))
    assert {(each.meta or {})["pages"] for each in found} == {len(found)}
    return found


@pytest.mark.parametrize("era", ERAS)
async def test_the_pages_of_json_rejoin_to_what_the_command_line_prints(
    served: Served, ask: Ask, long_log: str, era: str
) -> None:
    server = served(long_log)
    found = await pages(server, (await linked(server, era))["json"].uri, era)
    documents = [json.loads(each.text) for each in found]
    assert len(documents) > 2
    groups = []
    for number, (content, document) in enumerate(zip(found, documents, strict=True), 1):
        assert content.mime_type == "application/json"
        assert (document.pop("page"), document.pop("pages")) == (number, len(found))
        assert document.pop("next") == (content.meta or {}).get("next")
        jsonschema.validate(document, SCHEMA)
        groups += document.pop("groups")
    expected = printed(ask, long_log, days=1).json
    assert groups == expected.pop("groups")
    assert all(document == expected for document in documents)


async def test_the_pages_of_csv_rejoin_to_what_the_command_line_prints(served: Served, ask: Ask, long_log: str) -> None:
    server = served(long_log)
    link = (await linked(server, group_by="principal,model"))["csv"]
    found = await pages(server, link.uri)
    assert {each.mime_type for each in found} == {"text/csv"}
    assert len(found) > 2
    tables = [list(csv.reader(io.StringIO(each.text, newline=""))) for each in found]
    expected = printed(ask, long_log, "--by", "principal,model", days=1, form="csv").out
    header, *rows = csv.reader(io.StringIO(expected, newline=""))
    assert all(table[0] == header for table in tables)
    assert [row for table in tables for row in table[1:]] == rows
    assert f"{len(found)} pages" in (link.description or "")
    assert (link.description or "").rstrip(".").endswith(found[-1].uri)


@pytest.mark.parametrize("era", ERAS)
async def test_a_short_result_is_one_page_in_both_formats(served: Served, ask: Ask, era: str) -> None:
    server = served(SAMPLE)
    links = await linked(server, era, days=14, group_by="tag:team")
    document = json.loads((await page(server, links["json"].uri, era)).text)
    assert (document.pop("page"), document.pop("pages"), document.pop("next")) == (1, 1, None)
    assert document == printed(ask, SAMPLE, "--by", "tag:team", days=14).json
    table = (await page(server, links["csv"].uri, era)).text
    assert table.splitlines() == printed(ask, SAMPLE, "--by", "tag:team", days=14, form="csv").out.splitlines()


async def test_a_result_without_groups_is_a_page_too(served: Served, tmp_path: Path) -> None:
    server = served(write(tmp_path / "log.jsonl", call()))
    document = json.loads((await page(server, (await linked(server, principal="nobody"))["json"].uri)).text)
    assert document["groups"] == []


async def test_the_structured_content_names_the_same_pages(served: Served) -> None:
    server = served(SAMPLE)
    result = await called(server, days=14)
    whole = (result.structured_content or {})["whole"]
    uris = [block.uri for block in result.content if isinstance(block, ResourceLink)]
    assert [whole["json_uri"], whole["csv_uri"]] == uris
    assert whole["expires"] == (NOW + timedelta(days=1)).isoformat()


async def refused(server: MCPServer[Any], uri: str) -> tuple[int, str]:
    async with Client(server) as client:
        with pytest.raises(MCPError) as fault:
            await client.read_resource(uri)
    return fault.value.error.code, fault.value.error.message


async def test_another_caller_is_told_the_same_as_if_there_were_nothing(served: Served) -> None:
    server = served(SAMPLE, settings=ruled(SEES_ALL="anyone"))
    with calling_as("ann"):
        uri = (await linked(server))["json"].uri
        assert (await page(server, uri)).text
        never = f"tollbook://reports/{'A' * 32}.json"
        nothing = await refused(server, never)
    with calling_as("bob"):
        assert await refused(server, uri) == await refused(server, never) == nothing
    with calling_as("ann"):
        assert (await page(server, uri)).text


@pytest.mark.parametrize(
    "change",
    [
        lambda uri: uri.replace(".json", "/2.json"),
        lambda uri: uri.replace(".json", "/0.json"),
        lambda uri: uri.replace(".json", "/01.json"),
        lambda uri: uri.replace(".json", "/-1.json"),
        lambda uri: uri.replace(".json", "%2F1.json"),
        lambda uri: uri.replace(".json", ".xml"),
        lambda uri: uri.replace(".json", "x.json"),
    ],
)
async def test_a_page_that_is_none_is_not_found(served: Served, change: Any) -> None:
    server = served(SAMPLE)
    uri = (await linked(server))["json"].uri
    code, message = await refused(server, change(uri))
    assert code == -32602
    assert "ask the question again" in message


async def test_a_result_can_be_read_until_it_expires(served: Served) -> None:
    now = NOW
    server = served(SAMPLE, now=lambda: now)
    uri = (await linked(server))["csv"].uri
    now = NOW + timedelta(hours=23, minutes=59)
    assert (await page(server, uri)).text
    now = NOW + timedelta(hours=24)
    code, message = await refused(server, uri)
    assert (code, "ask the question again" in message) == (-32602, True)


async def test_any_instance_reads_what_another_kept(served: Served, tmp_path: Path) -> None:
    place = f"sqlite:{tmp_path}/store.db"
    one, other = open_store(place, NOW.timestamp), open_store(place, NOW.timestamp)
    uri = (await linked(served(SAMPLE, store=one)))["json"].uri
    assert (await page(served(SAMPLE, store=other), uri)).text
    await one.aclose()
    await other.aclose()


async def test_an_answer_comes_even_if_the_whole_result_cannot_be_kept(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    store = open_store(f"sqlite:{tmp_path}/file/store.db")
    async with Client(desk.served(SAMPLE, store=store)) as client:
        schema = next(tool.output_schema for tool in (await client.list_tools()).tools if tool.name == TOOL)
        result = await client.call_tool(TOOL, {"days": 14})
        with pytest.raises(MCPError) as fault:
            await client.read_resource(f"tollbook://reports/{'A' * 32}.json")
    assert [block.type for block in result.content] == ["text"]
    assert "the whole result could not be kept: " in text_of(result)
    content = result.structured_content or {}
    jsonschema.validate(content, schema or {})
    assert content["whole"] is None
    assert content["totals"]["calls"] == 443
    assert any("the whole result could not be kept" in note for note in content["notes"])
    assert fault.value.error.code == -32603


async def test_a_result_of_too_many_pages_is_not_kept_and_the_answer_says_why(served: Served, long_log: str) -> None:
    result = await called(served(long_log, settings=tools.Settings(most_pages=2)))
    assert "could not be kept: 4,000 groups are too many. Group by less, or filter." in text_of(result)
    assert (result.structured_content or {})["whole"] is None


async def test_a_caller_who_has_as_much_kept_as_he_may_still_gets_his_answer(served: Served, tmp_path: Path) -> None:
    store, settings = open_store("memory", lambda: NOW.timestamp()), tools.Settings(most_kept=1)
    server = served(SAMPLE, store=store, settings=ruled(settings, SEES_ALL="anyone"))
    for name in ("ann", "bob"):
        with calling_as(name):
            assert (await reported(server, days=14))["whole"] is not None
    with calling_as("ann"):
        result = await called(server, days=14)
    assert "could not be kept: you have as many whole results kept as you may" in text_of(result)
    assert "Total Requests: 443" in text_of(result)


class TestInABucket:
    async def test_the_pages_lie_under_their_owner_by_names_that_nobody_can_guess(self, bucket: Any) -> None:
        blobs, ann = S3Blobs(BUCKET, "whole/", NOW.timestamp, bucket), Caller("ann", "desk", "https://issuer.example")
        with calling_as(ann):
            await linked(desk.served(SAMPLE, settings=ruled(SEES_ALL="anyone"), open_blobs=lambda _: blobs), days=14)
        await blobs.aclose()
        (name,) = [found["Key"] for found in bucket.list_objects_v2(Bucket=BUCKET)["Contents"]]
        assert re.fullmatch(rf"whole/reports/{ann.owner}/[0-9a-f]{{32}}/[A-Za-z0-9_-]{{32}}\.1", name)

    @pytest.mark.parametrize("trouble", ["hangs", "is not there"])
    async def test_an_answer_comes_even_if_the_bucket(
        self, bucket: Any, trouble: str, logged: Callable[[], str]
    ) -> None:
        with hanging_bucket() as hanging:
            client, name = (hanging, BUCKET) if trouble == "hangs" else (bucket, "not-there")
            blobs = S3Blobs(name, "whole/", NOW.timestamp, client, patience_s=0.2)
            async with Client(desk.served(SAMPLE, open_blobs=lambda _: blobs)) as asking:
                result = await asking.call_tool(TOOL, {"days": 14})
                with pytest.raises(MCPError) as fault:
                    await asking.read_resource(f"tollbook://reports/{'A' * 32}.json")
            await blobs.aclose()
        assert "Total Requests: 443" in text_of(result)
        assert (result.structured_content or {})["whole"] is None
        sentence = "whole results cannot be reached just now; ask again later"
        assert f"the whole result could not be kept: {sentence}" in text_of(result)
        assert (fault.value.error.code, fault.value.error.message) == (-32603, sentence)
        assert "AWS did not answer within 0.2 s" in logged() or "There is no bucket 'not-there'" in logged()

    async def test_an_answer_does_not_wait_for_a_place_that_is_slow_for_every_page(self, long_log: str) -> None:
        slow = Slow(NOW.timestamp)
        settings = tools.Settings(keeping_s=0.1)
        result = await called(desk.served(long_log, settings=settings, open_blobs=lambda _: slow))
        assert "the whole result could not be kept: whole results cannot be reached just now" in text_of(result)
        assert slow.written == 0


class Slow(MemoryStore):
    """Never done with a page."""

    written = 0

    async def put(self, record: Record) -> None:
        await anyio.sleep_forever()
        self.written += 1
