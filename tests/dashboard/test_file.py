"""The dashboard as `tollbook report --format html` writes it, in a browser."""

import gzip
import json
import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.conformance.node import PACKAGES, install
from tests.dashboard.browsing import Theme, a_browser, opened
from tests.dashboard.samples import printed
from tests.logs import ACCOUNT, call

HOSTILE = ("<img src=x onerror=alert(1)>", "</script><script>alert(2)</script>", "safe\u202egnp.exe", "\u2028line")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with a_browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def html(tmp_path_factory: pytest.TempPathFactory) -> str:
    return printed(tmp_path_factory, "--days", "30", "--format", "html")


@pytest.fixture
def page(browser: Browser, html: str) -> Iterator[Page]:
    with opened(browser, html) as page:
        yield page


@pytest.fixture(scope="module")
def axe() -> str:
    install()
    return (PACKAGES / "axe-core" / "axe.min.js").read_text()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Any]:
    """What the command line says of the same days, by a dimension."""
    return cache(lambda by: json.loads(printed(tmp_path_factory, "--days", "30", "--format", "json", "--by", by)))


def written(tmp_path: Path, *records: Any) -> Path:
    logs = tmp_path / "logs.jsonl.gz"
    logs.write_bytes(gzip.compress("\n".join(map(json.dumps, records)).encode()))
    return logs


def dollars(amount: str | Decimal) -> str:
    return f"${Decimal(amount):,.2f}"


def cells(rows: Locator, column: str) -> list[str]:
    return rows.locator(column).all_inner_texts()


def amount(text: str) -> Decimal:
    """Of `≥$1,234.56` or `−$1.20`; of no amount, 0."""
    digits = re.sub(r"[^\d.]", "", text)
    return Decimal(digits or 0) * (-1 if "−" in text else 1)


def amounts(rows: Locator, column: str) -> list[Decimal]:
    return list(map(amount, cells(rows, column)))


def is_within_a_cent(shown: Decimal, exact: Decimal) -> bool:
    return abs(shown - exact) < Decimal("0.01")


def test_totals_and_tables_say_what_the_report_says(page: Page, report: Callable[[str], Any]) -> None:
    by_principal = report("principal")
    totals = by_principal["totals"]
    expect(page.locator("#total")).to_have_text(f"≥{dollars(totals['cost_usd'])}")
    expect(page.locator(".tiles")).to_contain_text(f"{totals['calls']:,}")
    expect(page.locator(".tiles")).to_contain_text(dollars(totals["cache_saving_usd"]))
    groups = [group for group in by_principal["groups"] if group["cost_usd"]]
    rows = page.locator("#principals tr.line")
    assert cells(rows, "th")[: len(groups)] == [group["principal"] for group in groups]
    costs = [Decimal(group["cost_usd"]) for group in groups]
    assert all(map(is_within_a_cent, amounts(rows, ".col-cost"), costs))
    assert [text.split()[0] for text in cells(rows, ".col-calls")[: len(groups)]] == [
        f"{group['calls']:,}" for group in groups
    ]
    by_model = [Decimal(group["cost_usd"]) for group in report("model")["groups"] if group["cost_usd"]]
    assert all(map(is_within_a_cent, amounts(page.locator("#models tr.line"), ".col-cost"), by_model))


def test_the_chart_as_a_table_says_what_the_report_says_of_each_day(page: Page, report: Callable[[str], Any]) -> None:
    page.get_by_role("button", name="Table").click()
    days = report("day")["groups"]
    shown = cells(page.locator("table.days tbody tr"), "td:nth-child(2)")
    assert [text[0] == "≥" for text in shown] == ["unpriced" in group["status"] for group in days]
    assert all(map(is_within_a_cent, map(amount, shown), (Decimal(group["cost_usd"]) for group in days)))


@pytest.mark.parametrize("by", ["Model", "Principal"])
def test_the_days_and_the_parts_of_each_add_up_as_they_are_shown(page: Page, by: str) -> None:
    page.get_by_role("group", name="Group by").get_by_role("button", name=by).click()
    legend = sum(amounts(page.get_by_role("list", name="What is stacked"), ".amount"))
    page.get_by_role("button", name="Table").click()
    days = page.locator("table.days tbody tr")
    for day in days.all():
        total, *parts = amounts(day, "td")
        assert to_the_cent(sum(parts)) == total
    whole = amount(page.locator("#total").inner_text())
    assert to_the_cent(sum(amounts(days, "td:nth-child(2)"))) == to_the_cent(legend) == whole


@pytest.mark.parametrize("table", ["principals", "models"])
def test_the_lines_of_a_table_add_up_to_its_total_as_they_are_shown(page: Page, table: str) -> None:
    lines = page.locator(f"#{table} tbody tr")
    assert to_the_cent(sum(amounts(lines, ".col-cost"))) == amount(page.locator("#total").inner_text())


def to_the_cent(shown: Decimal | int) -> Decimal:
    return Decimal(shown).quantize(Decimal("0.01"))


def test_what_changed_adds_up_to_the_change(page: Page) -> None:
    change = page.locator("#change")
    whole = amount(change.locator(".lead b").inner_text())
    before, after = re.findall(r": (\$\S+) in .* then (\$\S+) in", change.locator(".lead").inner_text())[0]
    assert whole == amount(after) - amount(before)
    for words in ("Why", "Who", "Models"):
        change.get_by_role("button", name=words).click()
        expect(change.get_by_role("button", name=words)).to_have_attribute("aria-pressed", "true")
        assert sum(amounts(change, ".bars b")) == whole


def test_what_has_no_price_is_said_above_all_figures(page: Page) -> None:
    notice = page.locator(".notice.warning")
    expect(notice).to_contain_text("Unpriced: ")
    expect(notice).to_contain_text("provisioned-model/pm9x8y7z6w5v")
    notice_box, chart_box = notice.bounding_box(), page.locator("#cost").bounding_box()
    assert notice_box is not None
    assert chart_box is not None
    assert notice_box["y"] < chart_box["y"]


def test_columns_are_sorted_by_keyboard_and_say_how(page: Page) -> None:
    table = page.locator("#principals")
    head = table.get_by_role("columnheader", name="Calls")
    head.get_by_role("button").press("Enter")
    expect(head).to_have_attribute("aria-sort", "descending")
    calls = [int(text.split()[0].replace(",", "")) for text in cells(table.locator("tr.line"), ".col-calls")]
    assert calls == sorted(calls, reverse=True)
    page.keyboard.press("Enter")  # the focus stays where it was
    expect(head).to_have_attribute("aria-sort", "ascending")
    expect(page.get_by_role("status")).to_have_text("Sorted by Calls, ascending")


def test_principals_are_filtered_while_one_types(page: Page) -> None:
    table = page.locator("#principals")
    table.get_by_role("searchbox", name="Filter principals").press_sequentially("RAG")
    expect(table.locator("tr.line")).to_have_count(1)
    expect(table.locator("tr.line")).to_contain_text("role/rag-api")
    expect(page.get_by_role("status")).to_contain_text("1 of ")
    page.keyboard.type("zzz")
    expect(table).to_contain_text("No principal holds “RAGzzz”.")


def test_a_principal_opens_by_keyboard_and_its_models_add_up(page: Page) -> None:
    table = page.locator("#principals")
    opener = table.get_by_role("button", name="role/rag-api")
    opener.press("Enter")
    expect(opener).to_have_attribute("aria-expanded", "true")
    expect(opener).to_be_focused()
    (whole,) = amounts(table.locator("tr.line", has=page.get_by_text("role/rag-api")), ".col-cost")
    parts = amounts(table.locator("tr.inner"), ".col-cost")
    assert parts
    assert to_the_cent(sum(parts)) == whole
    page.keyboard.press("Space")
    expect(table.locator("tr.inner")).to_have_count(0)


def test_the_chart_is_read_with_arrow_keys_up_to_the_end_of_the_month(page: Page) -> None:
    chart = page.locator("#cost svg[tabindex]")
    chart.focus()
    page.keyboard.press("Home")
    expect(page.get_by_role("status")).to_contain_text("Sat, Oct 24: ≥$1.")
    expect(page.locator(".tip")).to_contain_text("Sat, Oct 24")
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("status")).to_contain_text("Sun, Oct 25: ≥$1.")
    page.keyboard.press("End")
    expect(page.get_by_role("status")).to_contain_text("Mon, Nov 30 (forecast): about $")
    page.keyboard.press("Escape")
    expect(page.locator(".tip.on")).to_have_count(0)


def test_pointing_at_a_day_tells_its_parts(page: Page) -> None:
    page.locator("#cost .reach").first.hover()
    expect(page.locator(".tip.on")).to_contain_text("Sat, Oct 24")
    expect(page.locator(".tip.on")).to_contain_text("Claude Sonnet 4.5")


def test_a_series_can_be_left_out(page: Page) -> None:
    legend = page.get_by_role("list", name="What is stacked")
    sonnet = legend.get_by_role("button", name="Claude Sonnet 4.5")
    sonnet.click()
    expect(sonnet).to_have_attribute("aria-pressed", "false")
    expect(page.locator("#cost path[fill='var(--series-1)']")).to_have_count(0)
    expect(page.locator("#cost path[fill='var(--series-2)']").first).to_be_attached()
    page.get_by_role("group", name="Group by").get_by_role("button", name="Principal").click()
    expect(page.locator("#cost path[fill='var(--series-1)']").first).to_be_attached()


def test_today_is_hatched_and_the_days_to_come_have_a_band(page: Page) -> None:
    assert page.locator("#cost rect[fill='url(#hatch)']").count() == 1
    assert page.locator("#cost .range").count() == 9
    expect(page.locator(".tiles")).to_contain_text("End of November")


def test_the_theme_is_that_of_the_system_until_one_is_chosen(page: Page) -> None:
    html = page.locator("html")
    expect(html).to_have_attribute("data-theme", "light")
    page.emulate_media(color_scheme="dark")
    expect(html).to_have_attribute("data-theme", "dark")
    page.get_by_role("button", name="Switch between light and dark").click()
    expect(html).to_have_attribute("data-theme", "light")


def test_on_paper_it_is_light_and_without_buttons(page: Page) -> None:
    page.emulate_media(media="print", color_scheme="dark")
    expect(page.get_by_role("button", name="Table")).to_be_hidden()
    expect(page.locator("body")).to_have_css("color", "rgb(24, 24, 27)")


def test_no_width_needs_scrolling_sideways(page: Page) -> None:
    for width, view in product((320, 360, 480, 768, 1024, 1600), ("Table", "Chart")):
        page.set_viewport_size({"width": width, "height": 800})
        page.get_by_role("button", name=view).click()
        assert page.evaluate("document.documentElement.scrollWidth") == width


@pytest.mark.parametrize("width", [360, 768, 1280])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing(browser: Browser, html: str, axe: str, theme: Theme, width: int) -> None:
    with opened(browser, html, width=width, theme=theme) as page:
        page.get_by_role("button", name="role/rag-api").click()
        page.evaluate(axe)
        found = page.evaluate("axe.run({ resultTypes: ['violations'] })")["violations"]
        assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in found] == []


def test_hostile_names_stay_text(browser: Browser, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    records = [
        call(arn=f"arn:aws:iam::{ACCOUNT}:user/{name}", model=name, tokens=(1000 - place, 1))
        for place, name in enumerate(HOSTILE)
    ]
    html = printed(tmp_path_factory, "--format", "html", logs=written(tmp_path, *records), now=None)
    with opened(browser, html) as page:
        names = page.locator("#principals tr.line .cut")
        expect(names).to_have_text(
            [
                "user/<img src=x onerror=alert(1)>",
                "user/</script><script>alert(2)</script>",
                "user/safe<U+202E>gnp.exe",
                "user/<U+2028>line",
            ]
        )
        assert page.locator("img").count() == 0


def test_without_records_the_page_says_so(
    browser: Browser, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    logs = tmp_path / "logs.jsonl"
    logs.write_text("")
    html = printed(tmp_path_factory, "--format", "html", logs=logs, now=None)
    with opened(browser, html) as page:
        expect(page.locator("header")).to_contain_text("no records")
        expect(page.locator("#total")).to_have_text("$0.00")
        expect(page.locator("#cost")).to_contain_text("Nothing here has a price.")


UNHEARD_OF = "acme.mystery-v1:0"


def test_half_a_cent_is_rounded_as_the_report_rounds_it(
    browser: Browser, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    logs = written(tmp_path, call(tokens=(50_000, 0)))
    totals = json.loads(printed(tmp_path_factory, "--format", "json", logs=logs, now=None))["totals"]
    html = printed(tmp_path_factory, "--format", "html", logs=logs, now=None)
    with opened(browser, html) as page:
        expect(page.locator("#total")).to_have_text(dollars(totals["cost_usd"]))
        assert totals["cost_usd"] == "0.165"


def test_where_nothing_has_a_price_no_figure_says_that_it_cost_nothing(
    browser: Browser, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    days = [f"2026-11-{day:02}T09:00:00Z" for day in range(1, 22)]
    logs = written(tmp_path, *(call(model=UNHEARD_OF, timestamp=day) for day in days))
    for words in ((), ("--days", "7")):
        html = printed(tmp_path_factory, *words, "--format", "html", logs=logs)
        with opened(browser, html) as page:
            expect(page.locator("main")).not_to_contain_text("$0")
            expect(page.locator(".tile", has_text="Daily average")).to_contain_text("unpriced")
            expect(page.locator(".tile", has_text="Month’s end")).to_contain_text("nothing here has a price")
            expect(page.locator("#change")).to_contain_text("has a price: what changed is unpriced.")


def test_days_without_a_price_are_not_compared_as_though_they_cost_nothing(
    browser: Browser, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    before = [call(model=UNHEARD_OF, timestamp=f"2026-11-{day:02}T09:00:00Z") for day in range(8, 15)]
    logs = written(tmp_path, *before, call(tokens=(100_000, 0)))
    html = printed(tmp_path_factory, "--days", "7", "--format", "html", logs=logs)
    with opened(browser, html) as page:
        expect(page.locator("#change")).to_contain_text("No call of Nov 8 – Nov 14 has a price")
        expect(page.locator(".tile", has_text="Total")).to_contain_text("no prices to compare")


def test_what_a_call_costs_is_told_of_the_priced_ones_alone(
    browser: Browser, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    days = [f"2026-11-{day:02}T09:00:00Z" for day in (20, 21)]
    priced = [call(tokens=(100_000, 0), timestamp=day) for day in days]
    others = [call(model=UNHEARD_OF, timestamp=days[1]) for _ in range(4)]
    html = printed(tmp_path_factory, "--format", "html", logs=written(tmp_path, *priced, *others))
    with opened(browser, html) as page:
        expect(page.locator(".tile", has=page.get_by_text("Calls", exact=True))).to_contain_text(
            "$0.3300 per priced call"
        )
        expect(page.locator(".tile", has_text="Daily average")).to_contain_text("≥$0.33")
        page.get_by_role("button", name="Table").click()
        assert cells(page.locator("table.days tbody tr"), "td:nth-child(2)") == ["$0.33", "≥$0.33"]


def test_of_many_principals_the_page_says_which_it_lists(
    browser: Browser, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    records = [
        call(arn=f"arn:aws:iam::{ACCOUNT}:user/person{place:03}", tokens=(100_000 - 100 * place, 1))
        for place in range(120)
    ]
    html = printed(tmp_path_factory, "--format", "html", logs=written(tmp_path, *records), now=None)
    with opened(browser, html) as page:
        table = page.locator("#principals")
        table.get_by_role("button", name="Show the dearest 100").click()
        whole = amount(page.locator("#total").inner_text())
        assert to_the_cent(sum(amounts(table.locator("tbody tr"), ".col-cost"))) == whole
        expect(table.locator("tr.rest")).to_contain_text("20 other principals")
        table.get_by_role("searchbox").fill("person110")
        expect(table).to_contain_text(
            "None of the 100 dearest principals holds “person110”. The 20 other principals are not listed here."
        )
        expect(table.locator("tr.total th")).to_have_text("Total of all")
        table.get_by_role("searchbox").fill("person05")
        expect(table.locator("tbody tr")).to_have_count(10)
