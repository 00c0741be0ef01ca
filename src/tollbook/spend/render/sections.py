"""A text in sections, cut to a size: each says how much of it is left out."""

from collections.abc import Sequence
from itertools import accumulate

import msgspec


class Section(msgspec.Struct, frozen=True):
    """Lines under a title.

    Attributes:
        title: empty for none.
        noun: what the lines are; empty for none.
        more: where to find those that are left out.
        in_time: whether the lines are in order of time and the last matter most: then the first are left out, and
            otherwise the last.
        above, below: what stays whatever is left out, such as a table's head and its totals.
        already: lines that were left out before.
    """

    title: str
    lines: Sequence[str]
    noun: str = ""
    more: str = ""
    in_time: bool = False
    above: Sequence[str] = ()
    below: Sequence[str] = ()
    already: int = 0

    @property
    def frame(self) -> list[str]:
        """What stands there besides its lines, if some are left out."""
        return [*self._head, self._left_out(len(self.lines)), *self.below]

    @property
    def whole(self) -> list[str]:
        return self.within(size(self.lines))

    def within(self, most_bytes: int) -> list[str]:
        """As many of its lines as `most_bytes` hold, with its title."""
        lines = self.lines[::-1] if self.in_time else self.lines
        kept = sum(taken <= most_bytes for taken in accumulate(size([line]) for line in lines))
        left = len(lines) - kept
        left_out = [self._left_out(left)] if left + self.already else []
        if self.in_time:
            return [*self._head, *left_out, *self.lines[left:], *self.below]
        return [*self._head, *self.lines[:kept], *left_out, *self.below]

    @property
    def _head(self) -> list[str]:
        return ["", *([f"--- {self.title} ---"] if self.title else []), *self.above]

    def _left_out(self, count: int) -> str:
        what = f"{'earlier' if self.in_time else 'more'} {self.noun}".rstrip()
        return f"… and {count + self.already:,} {what}{self.more}"


def within(most_bytes: int, head: Sequence[str], sections: Sequence[Section]) -> str:
    """`head` whole, and of `sections` as much as `most_bytes` of UTF-8 hold; short ones stay whole."""
    text = list(head)
    spare = most_bytes - size(text) - sum(size(section.frame) for section in sections)
    for section, share in zip(sections, shares([size(section.lines) for section in sections], spare), strict=True):
        text += section.within(share)
    return "\n".join(text) + "\n"


def shares(wanted: Sequence[int], most: int) -> list[int]:
    """`most`, divided so that nobody gets more than wanted, and those who want too much get the same."""
    found = [0] * len(wanted)
    for others, place in enumerate(sorted(range(len(wanted)), key=wanted.__getitem__)):
        found[place] = min(wanted[place], max(0, most - sum(found)) // (len(wanted) - others))
    return found


def size(lines: Sequence[str]) -> int:
    """Bytes, line breaks included."""
    return sum(len(line.encode()) + 1 for line in lines)
