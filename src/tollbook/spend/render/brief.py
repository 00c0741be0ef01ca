"""The plain text, cut to a size: for models, which read every word and pay for it."""

from typing import Final

from tollbook.core.text import printable
from tollbook.spend.render.plain import SECTIONS, head, line, remarks, shortened
from tollbook.spend.render.sections import Section, within
from tollbook.spend.report import Report

_NOUNS: Final = {"day": "days", "hour": "hours", "region": "regions", "model": "models", "principal": "users"}
_LONGEST_NAME: Final = 200  # characters
_LONGEST_REMARK: Final = 400


def as_brief_text(report: Report, asked: str, most_bytes: int, *, whole_is_kept: bool) -> str:
    """The same layout, no longer than `most_bytes`: long sections say how much they leave out.

    What the report is grouped by has a section of its own, where it is none of the four.

    Args:
        asked: the period and the place, for the first line.
        most_bytes: as UTF-8; some 2,000 are needed for the totals and the titles.
        whole_is_kept: whether there is a whole result to point to.
    """
    text = head(report, asked)
    dimensions: dict[str, tuple[str, ...]] = {title: (dimension,) for title, dimension in SECTIONS.items()}
    if report.by not in dimensions.values():
        dimensions[f"Summary by {', '.join(map(printable, report.by))}"] = report.by
    sections = [_section(report, title, by, whole_is_kept) for title, by in dimensions.items()]
    sections.append(Section("Notes", [shortened(remark, _LONGEST_REMARK) for remark in remarks(report)], "notes"))
    return within(most_bytes, text, sections)


def _section(report: Report, title: str, by: tuple[str, ...], whole_is_kept: bool) -> Section:
    more = f": ask for them with group_by={by[0]}"
    if by == report.by:
        more = ": see the whole result" if whole_is_kept else ""
    noun = _NOUNS.get(by[0], "groups") if len(by) == 1 else "groups"
    lines = [line(group, _LONGEST_NAME) for group in report.grouped(by)]
    return Section(title, lines, noun, more, in_time=not {"day", "hour"}.isdisjoint(by))
