"""The plain text, cut to a size: for models, which read every word and pay for it."""

from collections.abc import Sequence
from itertools import accumulate
from typing import Final

import msgspec

from tollbook.core.text import printable
from tollbook.spend.render.plain import SECTIONS, head, line, remarks, shortened
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
    sections.append(_Section("Notes", [shortened(remark, _LONGEST_REMARK) for remark in remarks(report)], "notes"))
    spare = most_bytes - _size(text) - sum(_size(section.frame) for section in sections)
    for section, share in zip(sections, _shares([_size(section.lines) for section in sections], spare), strict=True):
        text += section.within(share)
    return "\n".join(text) + "\n"


class _Section(msgspec.Struct, frozen=True):
    """Lines under a title.

    Attributes:
        noun: what the lines are.
        more: where to find those that are left out.
        in_time: whether the lines are in order of time: then the first are left out, and otherwise the last.
    """

    title: str
    lines: list[str]
    noun: str
    more: str = ""
    in_time: bool = False

    @property
    def frame(self) -> list[str]:
        """What stands there besides its lines, if some are left out."""
        return ["", f"--- {self.title} ---", self._left_out(len(self.lines))]

    def within(self, most_bytes: int) -> list[str]:
        """As many of its lines as `most_bytes` hold, with its title."""
        lines = self.lines[::-1] if self.in_time else self.lines
        kept = sum(size <= most_bytes for size in accumulate(_size([line]) for line in lines))
        title, left = self.frame[:2], len(lines) - kept
        if not left:
            return [*title, *self.lines]
        if self.in_time:
            return [*title, self._left_out(left), *self.lines[left:]]
        return [*title, *self.lines[:kept], self._left_out(left)]

    def _left_out(self, count: int) -> str:
        return f"… and {count:,} {'earlier' if self.in_time else 'more'} {self.noun}{self.more}"


def _section(report: Report, title: str, by: tuple[str, ...], whole_is_kept: bool) -> _Section:
    more = f": ask for them with group_by={by[0]}"
    if by == report.by:
        more = ": see the whole result" if whole_is_kept else ""
    noun = _NOUNS.get(by[0], "groups") if len(by) == 1 else "groups"
    lines = [line(group, _LONGEST_NAME) for group in report.grouped(by)]
    return _Section(title, lines, noun, more, in_time=not {"day", "hour"}.isdisjoint(by))


def _shares(wanted: Sequence[int], most: int) -> list[int]:
    """`most`, divided so that nobody gets more than wanted, and those who want too much get the same."""
    shares = [0] * len(wanted)
    for others, place in enumerate(sorted(range(len(wanted)), key=wanted.__getitem__)):
        shares[place] = min(wanted[place], max(0, most - sum(shares)) // (len(wanted) - others))
    return shares


def _size(lines: Sequence[str]) -> int:
    """Bytes, line breaks included."""
    return sum(len(line.encode()) + 1 for line in lines)
