"""An answer in plain text and in Markdown: for mails, tickets and models."""

from typing import Final

from rich.cells import cell_len

from tollbook.core.text import printable
from tollbook.spend.render.cells import TEXTS, cell_text, columns_of, lines_of, title_of
from tollbook.spend.render.plain import escaped, shortened
from tollbook.spend.render.sections import Section, within
from tollbook.spend.render.telling import Grid, Telling

_LONGEST_NAME: Final = 200  # characters, where the text is cut to a size
_LONGEST_REMARK: Final = 400
_FARTHEST: Final = 60  # cells that a column is wide at most; what is longer moves its own line only


def as_text(telling: Telling, most_bytes: int | None = None) -> str:
    """The answer, its sentences, its tables in columns, and what is missing from them.

    Args:
        most_bytes: as UTF-8; what is longer says how much it leaves out. Some 2,000 are needed for what always stays.
            None leaves out nothing.
    """
    name, remark = (None, None) if most_bytes is None else (_LONGEST_NAME, _LONGEST_REMARK)
    head = [_plain(text, remark) for text in (f"{telling.title} ({telling.asked})", telling.lead)]
    sections = [Section("", [f"- {_plain(sentence, remark)}" for sentence in telling.sentences], "sentences")]
    sections += [_section(grid, name) for grid in telling.grids]
    sections.append(
        Section("Notes", [_plain(line, remark) for line in (*telling.faults, *telling.notes)], "notes"),
    )
    sections = [section for section in sections if section.lines or section.below or section.already]
    if most_bytes is None:
        return "\n".join([*head, *(line for section in sections for line in section.whole)]) + "\n"
    return within(most_bytes, head, sections)


def _plain(text: str, most: int | None) -> str:
    return shortened(printable(text), most)


def _section(grid: Grid, longest: int | None) -> Section:
    """A table, its columns below each other."""
    columns = columns_of(grid)
    lines = [[title_of(column) for _, column in columns]]
    lines += [
        [shortened(cell_text(row[place], column.kind), longest) for place, column in columns] for row in lines_of(grid)
    ]
    widths = [min(_FARTHEST, max(map(cell_len, texts))) for texts in zip(*lines, strict=True)]
    sides = [column.kind in TEXTS for _, column in columns]
    head, *rows = [
        "  ".join(_aligned(*each) for each in zip(texts, widths, sides, strict=True)).rstrip() for texts in lines
    ]
    total = [] if grid.total is None else [rows.pop()]
    return Section(title_of(grid), rows, above=[head], below=total, already=grid.left_out)


def _aligned(text: str, width: int, to_the_left: bool) -> str:
    blank = " " * (width - cell_len(text))
    return text + blank if to_the_left else blank + text


def as_markdown(telling: Telling) -> str:
    """A heading, the answer, its sentences as a list, its tables, and what is missing from them as a list."""
    lines = [f"## {escaped(telling.title)}, {escaped(telling.asked)}", "", f"**{escaped(telling.lead)}**"]
    if telling.sentences:
        lines += ["", *(f"- {escaped(sentence)}" for sentence in telling.sentences)]
    for grid in telling.grids:
        if grid.rows or grid.total or grid.left_out:
            lines += ["", *_table(grid)]
    if telling.faults or telling.notes:
        lines += ["", *(f"- {escaped(line)}" for line in (*telling.faults, *telling.notes))]
    return "\n".join(lines) + "\n"


def _table(grid: Grid) -> list[str]:
    columns = columns_of(grid)
    lines = [f"### {escaped(title_of(grid))}", ""] if grid.title else []
    lines.append(f"| {' | '.join(escaped(title_of(column)) for _, column in columns)} |")
    lines.append(f"|{'|'.join(' --- ' if column.kind in TEXTS else ' ---: ' for _, column in columns)}|")
    lines += [
        f"| {' | '.join(escaped(cell_text(row[place], column.kind)) for place, column in columns)} |"
        for row in grid.rows
    ]
    if grid.total is not None:
        texts = [escaped(cell_text(grid.total[place], column.kind)) for place, column in columns]
        lines.append(f"| {' | '.join(text and f'**{text}**' for text in texts)} |")
    if grid.left_out:
        lines += ["", f"… and {grid.left_out:,} more"]
    return lines
