"""Whoever adds up what an answer shows gets what it shows: explained changes, other prices, the overview."""

import io
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from tests.answers.rows import BOOK, HAIKU, OPUS, SONNET, Calls, report, usage, window
from tollbook.spend.answers.explain import explanation_of, hull
from tollbook.spend.answers.money import adding_up
from tollbook.spend.answers.overview import OVERVIEW_BY, overview_of, overview_window
from tollbook.spend.answers.what_if import WHAT_IF_BY, Change, what_if_of
from tollbook.spend.render.answers.explain import telling_of_explain
from tollbook.spend.render.answers.overview import telling_of_overview
from tollbook.spend.render.answers.what_if import telling_of_what_if
from tollbook.spend.render.telling import Telling
from tollbook.spend.render.telling_screen import show_telling
from tollbook.spend.render.telling_text import as_markdown, as_text
from tollbook.spend.usage import Usage

FIRST: Final = date(2026, 11, 8)
BEFORE: Final = window(FIRST, date(2026, 11, 14))
AFTER: Final = window(date(2026, 11, 15), date(2026, 11, 21))
NOW: Final = datetime(2026, 11, 21, 12, tzinfo=UTC)
UNPRICED: Final = "acme.unknown"
AMOUNT: Final = re.compile(r"[+-]?<?\$[\d,]+(?:\.\d+)?")

_counts = st.one_of(st.just(0), st.integers(1, 3_000), st.integers(1, 3_000_000))
_calls = st.lists(
    st.builds(
        Calls,
        st.integers(0, 13).map(lambda number: FIRST + timedelta(days=number)),
        st.builds(lambda calls, *tokens: Usage(calls, 0, *tokens), st.integers(1, 50), *[_counts] * 4),
        st.sampled_from([SONNET, HAIKU, OPUS, SONNET.replace("us.", "global."), UNPRICED]),
        st.integers(0, 24).map(lambda number: f"user/{number:02}"),
    ),
    max_size=30,
)


def amount(text: str) -> Decimal:
    return Decimal(text.replace("$", "").replace(",", ""))


def amounts(text: str) -> list[Decimal]:
    return [amount(each) for each in AMOUNT.findall(text)]


def forms(telling: Telling) -> Iterator[str]:
    yield as_text(telling)
    yield as_markdown(telling).replace("**", "").replace("\\", "")
    screen = Console(file=io.StringIO(), width=160)
    show_telling(telling, screen)
    assert isinstance(screen.file, io.StringIO)
    yield screen.file.getvalue()


def tables(shown: str) -> list[list[list[Decimal]]]:
    """The amounts in the rows of each table, the last of them the total."""
    found: list[list[list[Decimal]]] = [[]]
    for line in shown.splitlines():
        if re.match(r"(--- |### )?(By|Parts) ", line) or (not line.strip() and found[-1]):
            found.append([])
        elif len(found) > 1 and AMOUNT.search(line):
            found[-1].append(amounts(line))
    return [table for table in found[1:] if table]


def check(telling: Telling) -> None:
    """The tables of `telling` add up, and look alike in every form."""
    plain = as_text(Telling(telling.title, telling.asked, telling.lead, (), telling.grids))
    assert len({len(each.partition(".")[2]) for each in AMOUNT.findall(plain) if amount(each)}) <= 1
    assert "<$" not in plain
    found = tables(plain)
    for *rows, whole in found:
        for place, total in enumerate(whole):
            assert sum(row[place] for row in rows if row) == total
        for row in (*rows, whole):
            assert len(row) != 3 or row[0] + row[2] == row[1]
    assert all(tables(shown)[: len(found)] == found for shown in forms(telling))


@given(_calls)
@settings(max_examples=40, deadline=None)
def test_what_is_shown_of_a_change_adds_up(calls: list[Calls]) -> None:
    found = explanation_of(report(calls, hull(BEFORE, AFTER)), BEFORE, AFTER)
    telling = telling_of_explain(found)
    check(telling)
    if not telling.grids:
        return
    parts, who, models = tables(as_text(telling))[:3]
    assert who[-1] == models[-1]
    assert parts[-1] == who[-1][2:]
    if "from $" in telling.lead:
        change, before, after = amounts(telling.lead)[:3]
        assert abs(after - before) == change
        assert [before, after] == who[-1][:2]
    shown = {*(row[0] for row in parts), *(row[2] for row in (*who, *models))}
    for sentence in telling.sentences:
        told = amounts(sentence)
        assert not told or told[0] in shown
        assert len(told) < 2 or sum(told[1:]) == told[0]  # why rates changed


@given(_calls, st.sampled_from([Change(model="haiku 4.5"), Change(caching="none"), Change(scope="geo")]))
@settings(max_examples=25, deadline=None)
def test_what_is_shown_of_other_prices_adds_up(calls: list[Calls], change: Change) -> None:
    found = what_if_of(report(calls, hull(BEFORE, AFTER), WHAT_IF_BY), change, BOOK)
    telling = telling_of_what_if(found)
    for each in telling.grids:
        assert each.total
    check(Telling(telling.title, telling.asked, telling.lead, (), telling.grids))
    if telling.grids:
        models, who = tables(as_text(telling))[:2]
        assert who[-1] == models[-1]
        if " instead of " in telling.lead:
            then, now, difference = amounts(telling.lead)
            assert [now, then, difference] == who[-1]
    rows = [row for table in tables(as_text(telling)) for row in table]
    for sentence in telling.sentences:
        if " instead of " in sentence:
            then, now, difference = amounts(sentence)
            assert [now, then, difference] in rows


@given(_calls)
@settings(max_examples=25, deadline=None)
def test_what_is_shown_of_an_overview_adds_up(calls: list[Calls]) -> None:
    found = overview_of(report(calls, overview_window(14, NOW, BEFORE.zone), OVERVIEW_BY), NOW, 14)
    telling = telling_of_overview(found)
    check(Telling(telling.title, telling.asked, telling.lead, (), telling.grids))
    if found.total.usd is not None:
        models, who = tables(as_text(telling))[:2]
        assert models[-1] == who[-1] == amounts(telling.lead)


def test_those_of_whom_an_overview_has_no_room_to_tell_are_one_row_together() -> None:
    calls = [Calls(FIRST, usage(1, 1_000_000 + number), SONNET, f"user/{number:02}") for number in range(23)]
    found = overview_of(report(calls, overview_window(14, NOW, BEFORE.zone), OVERVIEW_BY), NOW, 14)
    _, who = telling_of_overview(found).grids
    assert (len(who.rows), who.left_out) == (21, 0)
    assert (who.rows[-1][0], who.rows[-1][2], who.rows[-1][3]) == ("3 others", 3, Decimal("9.90"))


def test_an_overview_warns_of_what_it_compares_as_an_explanation_does() -> None:
    calls = [Calls(date(2026, 11, day), usage(1, 1_000_000)) for day in range(12, 21)]
    found = overview_of(report(calls, overview_window(7, NOW, BEFORE.zone), OVERVIEW_BY), NOW, 7)
    told = telling_of_overview(found).sentences
    assert told[0].startswith("Nov 14 – Nov 20 against Nov 7 – Nov 13, 2026 UTC: The cost rose by $16.50")
    assert "Only 2 of the 7 days from 2026-11-07 to 2026-11-13 have records, so the windows are not alike." in told


@pytest.mark.parametrize(
    ("whole", "parts", "rounded"),
    [
        ("14.24", ["6.8512", "5.2741", "-3.1749", "2.4950", "2.2386", "0.5629"], None),
        ("1.00", ["0.3333", "0.3333", "0.3334"], ["0.33", "0.33", "0.34"]),
        ("0.00", ["0.004", "-0.004", "0"], None),
        ("1.02", ["1.01", "0"], ["1.02", "0.00"]),
        ("1.00", ["0", "1.01"], ["0.00", "1.00"]),
        ("0.01", ["0.0149", "0.0001", "0"], ["0.01", "0.00", "0.00"]),
    ],
)
def test_rounded_parts_add_up_to_what_they_are_parts_of(
    whole: str, parts: Sequence[str], rounded: Sequence[str] | None
) -> None:
    found = adding_up(Decimal(whole), [Decimal(part) for part in parts])
    assert sum(found) == Decimal(whole)
    assert all(abs(each - Decimal(part)) <= Decimal("0.01") for each, part in zip(found, parts, strict=True))
    assert rounded is None or found == [Decimal(each) for each in rounded]
