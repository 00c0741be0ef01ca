"""How answers are shown: nothing too wide, nothing lost but what is said to be left out, nothing that deceives."""

import io
import re
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Final

from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from tollbook.spend.render.bars import change_bar
from tollbook.spend.render.cells import cell_text
from tollbook.spend.render.telling import Column, Grid, Kind, Telling
from tollbook.spend.render.telling_screen import show_telling
from tollbook.spend.render.telling_text import as_markdown, as_text

KINDS: Final[tuple[Kind, ...]] = (
    "name",
    "words",
    "day",
    "count",
    "tokens",
    "usd",
    "change",
    "factor",
    "share",
    "trend",
)
_words = st.text("abc/é字 -", min_size=1, max_size=60).filter(str.strip)
_money = st.decimals(-(10**6), 10**6, places=6)
_cells: Final = {
    "name": _words,
    "words": _words,
    "day": st.dates(date(2026, 1, 1), date(2026, 12, 31)),
    "count": st.integers(0, 10**9),
    "tokens": st.integers(0, 10**15),
    "usd": _money,
    "change": _money,
    "factor": st.decimals("0.0001", 10**4, places=4),
    "share": st.decimals(0, 2, places=6),
    "trend": st.lists(st.decimals(0, 100, places=2), max_size=40).map(tuple),
}


@st.composite
def grids(draw: st.DrawFn) -> Grid:
    kinds = draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=7))
    columns = tuple(Column(draw(_words), kind, draw(st.booleans())) for kind in kinds)
    row = st.tuples(*(st.none() | _cells[kind] for kind in kinds))
    rows = tuple(draw(st.lists(row, max_size=5)))
    return Grid(draw(_words), columns, rows, draw(st.none() | row), draw(st.integers(0, 3)))


tellings = st.builds(
    Telling,
    _words,
    _words,
    _words,
    st.lists(_words, max_size=3).map(tuple),
    st.lists(grids(), max_size=2).map(tuple),
    st.lists(_words, max_size=2).map(tuple),
    st.lists(_words, max_size=2).map(tuple),
)


def on_screen(telling: Telling, width: int, *, colours: bool = False, no_color: bool = False) -> str:
    text = io.StringIO()
    console = Console(
        file=text,
        width=width,
        force_terminal=colours,
        no_color=no_color,
        color_system="truecolor" if colours else None,
        highlight=False,
        markup=False,
        emoji=False,
    )
    show_telling(telling, console)
    return text.getvalue()


def bare(text: str) -> str:
    """`text` without the blanks and breaks that it is laid out with."""
    return re.sub(r"\s", "", text)


@settings(deadline=None, max_examples=60)
@given(tellings, st.integers(24, 160))
def test_no_line_is_wider_than_the_screen_and_nothing_is_lost_silently(telling: Telling, width: int) -> None:
    """Names may be cut, and say so; columns of detail may be missing; figures and sentences are always there."""
    shown = on_screen(telling, width)
    assert max(cell_len(line) for line in shown.split("\n")) <= width
    together = bare(shown)
    for sentence in (telling.title, telling.asked, telling.lead, *telling.sentences, *telling.faults, *telling.notes):
        assert bare(sentence) in together
    for grid in telling.grids:
        assert not grid.left_out or f"… and {grid.left_out} more" in shown
        for row in (*grid.rows, *([grid.total] if grid.total else [])):
            for cell, column in zip(row, grid.columns, strict=True):
                if column.is_detail or cell in (None, ()) or column.kind in ("words", "trend"):
                    continue
                text = bare(cell_text(cell, column.kind))
                is_cut = column.kind == "name" and any(f"{text[:end]}…" in together for end in range(1, len(text)))
                assert text in together or is_cut


def test_at_every_width_each_figure_of_a_real_table_is_there() -> None:
    kinds: tuple[Kind, ...] = ("name", "usd", "change", "share", "factor", "count")
    columns = tuple(Column(kind, kind, kind == "count") for kind in kinds)
    name = "role/AWSReservedSSO_Developers"
    row = (name, Decimal("1234.5"), Decimal("-77.25"), Decimal("0.25"), Decimal("3.2"), 4567)
    total = ("all", Decimal("6543.21"), Decimal("88.75"), Decimal(1), Decimal("1.5"), 9876)
    telling = Telling("Spend", "now", "It is so.", (), (Grid("By principal", columns, (row,), total),))
    for width in range(12, 121):
        shown = on_screen(telling, width)
        assert max(map(cell_len, shown.split("\n"))) <= width
        for text in ("$1,234.50", "-$77.25", "25.0%", "×3.2", "$6,543.21", "+$88.75", "100.0%", "×1.5"):
            assert text in shown
        assert bare(name) in bare(shown) or re.search(r"^role/AWSReservedSS\S*…", shown, re.MULTILINE)
        assert ("4,567" in shown) == ("9,876" in shown)
        assert ("4,567" in shown) == (width > 80) or 62 < width < 74


@settings(deadline=None, max_examples=40)
@given(tellings)
def test_the_text_holds_every_sentence_and_every_cell(telling: Telling) -> None:
    shown = as_text(telling)
    together = bare(shown)
    for grid in telling.grids:
        for row in grid.rows:
            for cell, column in zip(row, grid.columns, strict=True):
                assert bare(cell_text(cell, column.kind)) in together
    for sentence in (telling.title, telling.asked, telling.lead, *telling.sentences, *telling.faults, *telling.notes):
        assert bare(sentence) in together


def numbered(rows: int) -> Telling:
    """A telling with a long table."""
    columns = (Column("Principal", "name"), Column("Cost", "usd"), Column("Change", "change"))
    cells = tuple((f"role/job-{place}", Decimal(place), Decimal(place - 3)) for place in range(rows))
    grid = Grid("By principal", columns, cells, total=("Total", Decimal(7), Decimal(2)), left_out=5)
    return Telling("Spend", "November", "It rose.", ("One.", "Two."), (grid,), ("a fault",), ("a note",))


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 300), st.integers(600, 9000))
def test_a_text_that_is_cut_to_a_size_says_how_many_rows_it_leaves_out(rows: int, most_bytes: int) -> None:
    shown = as_text(numbered(rows), most_bytes)
    assert len(shown.encode()) <= most_bytes
    kept = len(re.findall(r"^role/job-\d+ ", shown, re.MULTILINE))
    (left_out,) = re.findall(r"^… and (\d+) more$", shown, re.MULTILINE)
    assert kept + int(left_out) == rows + 5
    assert re.search(r"^Total +\$7.00 +\+\$2.00$", shown, re.MULTILINE)
    assert shown.endswith("--- Notes ---\na fault\na note\n")


def test_figures_in_a_text_end_below_each_other() -> None:
    lines = as_text(numbered(12)).split("\n")
    table = lines[lines.index("--- By principal ---") + 1 : -5]
    assert {len(line) for line in table if not line.startswith("…")} == {len(table[0])}


def test_names_that_would_deceive_a_terminal_are_shown_as_codes_in_every_form() -> None:
    hostile = "role/\x1b[2Jx\u202egnp.\u200bz"
    grid = Grid(hostile, (Column(hostile, "name"), Column("What", "words")), ((hostile, hostile),), left_out=1)
    telling = Telling(hostile, hostile, hostile, (hostile,), (grid,), (hostile,), (hostile,))
    for shown in (as_text(telling), as_text(telling, 4000), as_markdown(telling), on_screen(telling, 80)):
        assert not re.search("[\x1b\u202e\u200b]", shown)
        assert "U+001B" in shown


def test_markdown_shows_names_letter_for_letter() -> None:
    grid = Grid("", (Column("Who", "name"), Column("Cost", "usd")), (("[a](http://b)|*c*<i>", Decimal(1)),))
    shown = as_markdown(Telling("Spend", "now", "It is so.", ("# no heading",), (grid,)))
    assert "| \\[a\\](http://b)\\|\\*c\\*\\<i\\> | $1.00 |" in shown
    assert "- \\# no heading" in shown
    assert "| --- | ---: |" in shown


@settings(deadline=None)
@given(st.lists(_money, min_size=1, max_size=8), st.integers(3, 20))
def test_changes_have_bars_on_their_side_of_one_axis_and_longer_ones_for_more(
    amounts: list[Decimal], room: int
) -> None:
    lowest, highest = min(*amounts, Decimal(0)), max(*amounts, Decimal(0))
    bars = {amount: change_bar(amount, lowest, highest, room) for amount in amounts}
    assert {len(each) for each in bars.values()} == {room}
    assert len({each.index("│") for each in bars.values()}) == 1
    for amount, each in bars.items():
        left, right = each.split("│")
        assert bool(left.strip()) == (amount < 0)
        assert bool(right.strip()) == (amount > 0)
    rises = [bars[amount].count("█") for amount in sorted(amounts) if amount > 0]
    assert rises == sorted(rises)


def test_rises_and_falls_differ_in_colour_and_without_colours_in_side_and_sign() -> None:
    telling = replace(numbered(6), faults=())
    coloured, plain = on_screen(telling, 80, colours=True), on_screen(telling, 80, colours=True, no_color=True)
    assert len(set(re.findall(r"38;2;\d+;\d+;\d+", coloured))) == 2
    assert "38;2" not in plain
    assert "-$3.00" in plain
    assert "+$2.00" in plain


def test_columns_of_detail_and_bars_are_shown_where_there_is_room() -> None:
    columns = (
        Column("Principal", "name"),
        Column("Cost", "usd"),
        Column("Share", "share"),
        Column("Last days", "trend", is_detail=True),
        Column("Calls", "count", is_detail=True),
    )
    row = ("role/" + "x" * 60, Decimal(12), Decimal("0.5"), tuple(map(Decimal, range(14))), 1234)
    telling = Telling("Spend", "now", "It is so.", (), (Grid("By principal", columns, (row,)),))
    wide, narrow = on_screen(telling, 120), on_screen(telling, 50)
    assert re.search(r"x{55}\S* +\$12.00  ██████       50.0%   ▁▁▂▂▃▄▄▅▆▆▇▇█  1,234", wide)
    assert "█" in narrow
    assert "1,234" not in narrow
    assert "x…  $12.00" in narrow
    assert on_screen(telling, 24).splitlines()[-2:] == ["  Cost: $12.00", "  Share: 50.0%"]
