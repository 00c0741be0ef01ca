"""The dashboard inside a host of MCP Apps: the page of the real server, the bridge and the client of the packages."""

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.conformance.node import install
from tests.dashboard.browsing import a_browser
from tests.dashboard.hosting import Host, a_host
from tests.dashboard.samples import EIGHT_WEEKS, printed
from tests.logs import ACCOUNT, call, write
from tests.tools.desk import served

TOTAL = re.compile(r"^≥\$\d+\.\d\d$")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    install()
    with a_browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def _host(browser: Browser) -> Iterator[Host]:
    with a_host(browser, served(str(EIGHT_WEEKS))) as host:
        yield host


@pytest.fixture
def host(_host: Host) -> Iterator[Host]:
    """A host that heard no complaint before, and none during the test."""
    yield _host
    complaints = _host.complaints.copy()
    _host.complaints.clear()
    assert not complaints


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What the command line says of the same days."""
    return json.loads(printed(tmp_path_factory, "--days", "30", "--format", "json", "--by", "principal,model"))


def dollars(amount: str) -> str:
    return f"${float(amount):,.2f}"


def test_the_page_shows_what_the_tool_answered_and_tells_its_size(host: Host, report: Any) -> None:
    host.show()
    expect(host.app.locator("#total")).to_have_text(f"≥{dollars(report['totals']['cost_usd'])}")
    host.page.wait_for_function("heard.sizes.length > 0")
    size = host.heard()["sizes"][-1]
    inside = host.app.locator("html").evaluate("html => html.scrollHeight")
    assert size == {"width": 1280, "height": inside}
    assert host.heard()["calls"] == []


def test_its_size_is_told_again_when_something_opens(host: Host) -> None:
    host.show()
    host.page.wait_for_function("heard.sizes.length > 0")
    before = host.heard()["sizes"][-1]["height"]
    host.app.get_by_role("button", name="Table").click()
    host.page.wait_for_function("before => heard.sizes.at(-1).height !== before", arg=before)


def test_a_principal_is_opened_by_asking_the_server(host: Host, report: Any) -> None:
    host.show()
    name, costs = "role/rag-api", [g["cost_usd"] for g in report["groups"] if g["principal"] == "role/rag-api"]
    principals = host.app.locator("#principals")
    principals.get_by_role("button", name=name).click()
    expect(principals.get_by_role("rowgroup").get_by_text("Models")).to_be_visible()
    shown = principals.locator("tr.inner .col-cost").all_inner_texts()
    for text, cost in zip(shown, sorted((cost for cost in costs if cost), key=float, reverse=True), strict=False):
        assert abs(Decimal(text.lstrip("~≥$")) - Decimal(cost)) < Decimal("0.01")
    (call,) = host.heard()["calls"]
    assert call == {"name": "drill_into_bedrock_spend", "arguments": {"days": 30, "of_principal": name}}
    principals.get_by_role("button", name=name).click()
    expect(principals.locator("tr.inner")).to_have_count(0)


def test_a_model_is_opened_by_asking_the_server(host: Host) -> None:
    host.show()
    models = host.app.locator("#models")
    models.get_by_role("button", name="Claude Opus 4.5").click()
    expect(models.locator("tr.inner").first).to_contain_text("role/")
    assert "of_model" in host.heard()["calls"][0]["arguments"]


def test_of_those_who_are_not_listed_the_server_is_asked_by_the_whole_name(browser: Browser, tmp_path: Path) -> None:
    records = [
        call(arn=f"arn:aws:iam::{ACCOUNT}:user/person{place:03}", tokens=(100_000 - 100 * place, 0))
        for place in range(120)
    ]
    server = served(write(tmp_path / "logs.jsonl", *records))
    with a_host(browser, server) as host:
        host.show()
        principals = host.app.locator("#principals")
        principals.get_by_role("searchbox").fill("user/person110")
        principals.get_by_role("button", name="Ask the server for the principal “user/person110”").click()
        expect(principals).to_contain_text("user/person110: $0.29 in 1 call.")
        principals.get_by_role("searchbox").fill("person110")
        expect(principals).not_to_contain_text("$0.29")
        principals.get_by_role("button", name="Ask the server").click()
        expect(principals).to_contain_text("No calls of person110: the whole name is needed")


def test_the_hosts_theme_variables_and_language_are_worn_and_change_while_it_runs(host: Host) -> None:
    host.show(context={"theme": "dark"})
    html = host.app.locator("html")
    expect(html).to_have_attribute("data-theme", "dark")
    variables = {"--color-background-primary": "rgb(1, 2, 3)", "--color-text-primary": "rgb(250, 251, 252)"}
    host.bridge("setHostContext", {"theme": "light", "locale": "de-DE", "styles": {"variables": variables}})
    expect(html).to_have_attribute("data-theme", "light")
    expect(html).to_have_css("background-color", "rgb(1, 2, 3)")
    expect(host.app.locator("body")).to_have_css("color", "rgb(250, 251, 252)")
    expect(host.app.locator("#total")).to_contain_text(",")
    expect(host.app.locator(".theme")).to_have_count(0)


def test_a_teardown_is_answered(host: Host) -> None:
    host.show()
    expect(host.app.locator("#total")).to_be_visible()
    assert host.bridge("teardownResource", {}) == {}


@pytest.mark.parametrize(
    "faults",
    [
        {"without": ["_meta", "content"]},
        {"without": ["structuredContent", "content"]},
        {"without": ["structuredContent", "_meta"], "text": True},
    ],
    ids=["structured content alone", "meta alone", "text alone"],
)
def test_any_one_place_of_the_result_is_enough(host: Host, faults: dict[str, Any]) -> None:
    host.show(faults=faults)
    expect(host.app.locator("#total")).to_have_text(TOTAL)
    assert host.heard()["calls"] == []


def test_where_the_result_comes_without_figures_the_page_asks_for_them(host: Host) -> None:
    host.show(faults={"without": ["structuredContent", "_meta"]})
    expect(host.app.locator("#total")).to_have_text(TOTAL)
    assert host.heard()["calls"] == [{"name": "show_bedrock_dashboard", "arguments": {"days": 30}}]


def test_where_the_host_delivers_nothing_the_page_asks_after_eight_seconds(host: Host) -> None:
    host.show(faults={"silent": True})
    host.page.wait_for_function("heard.ready")
    assert host.heard()["calls"] == []
    host.page.clock.fast_forward(8000)
    expect(host.app.locator("#total")).to_have_text(TOTAL)
    assert host.heard()["calls"] == [{"name": "show_bedrock_dashboard", "arguments": {}}]


def test_where_the_page_may_not_ask_either_it_says_so(host: Host) -> None:
    host.show(faults={"without": ["structuredContent", "_meta"], "noTools": True})
    expect(host.app.get_by_role("alert")).to_have_text(
        "The result holds no figures. This host lets no page call tools."
    )


def test_an_error_is_shown_in_the_servers_words(host: Host) -> None:
    host.show(faults={"error": "Nothing was read, since nobody agreed to the cost."})
    expect(host.app.get_by_role("alert")).to_have_text("Nothing was read, since nobody agreed to the cost.")


SAY = """(html, { from, message }) => dispatchEvent(
    new MessageEvent("message", { source: { parent, self: window }[from], data: { jsonrpc: "2.0", ...message } }))"""


def test_nobody_but_the_host_is_heard(host: Host) -> None:
    host.show()
    expect(host.app.locator("#total")).to_have_text(TOTAL)
    forged = {"method": "ui/notifications/tool-cancelled", "params": {"reason": "says another window"}}
    host.app.locator("html").evaluate(SAY, {"from": "self", "message": forged})
    expect(host.app.locator("#total")).to_have_text(TOTAL)
    host.app.locator("html").evaluate(SAY, {"from": "parent", "message": forged})
    expect(host.app.get_by_role("alert")).to_have_text("It was cancelled. says another window")


@pytest.mark.parametrize(
    "message",
    [
        {"method": "__proto__", "params": {}},
        {"method": "constructor"},
        {"method": "ui/notifications/host-context-changed", "params": None},
        {"method": "ui/notifications/size-changed", "params": [1]},
        {"id": 99, "result": None},
        {"id": None, "error": {"message": "?"}},
    ],
)
def test_an_odd_message_changes_nothing(host: Host, message: dict[str, Any]) -> None:
    host.show()
    expect(host.app.locator("#total")).to_have_text(TOTAL)
    host.app.locator("html").evaluate(SAY, {"from": "parent", "message": message})
    expect(host.app.locator("#total")).to_have_text(TOTAL)


def test_a_document_that_is_not_whole_is_said_to_be_so(host: Host) -> None:
    host.show()
    expect(host.app.locator("#total")).to_have_text(TOTAL)
    broken = {"content": [None], "structuredContent": {"schema": "tollbook.overview/1", "models": None}}
    host.app.locator("html").evaluate(
        SAY, {"from": "parent", "message": {"method": "ui/notifications/tool-result", "params": broken}}
    )
    expect(host.app.get_by_role("alert")).to_contain_text("The result cannot be shown")
