"""Findings on a screen: a line for each, and below it what to do. Pure."""

import textwrap
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from tollbook.core.text import json_safe
from tollbook.doctor.finding import Finding, Status, exit_code

WIDEST: Final = 100
"""Columns; more is hard to read."""

_NAME: Final = 20
_MOST_NAMES: Final = 6
"""Of what is skipped, in one line."""
_GAP: Final = "  "


class Signs(msgspec.Struct, frozen=True):
    """What stands before a line."""

    ok: str
    failed: str
    skipped: str
    unknown: str
    remedy: str

    def of(self, status: Status) -> str:
        return str(getattr(self, status))


PLAIN: Final = Signs("+", "x", "-", "?", "->")
"""For terminals whose encoding has no others."""
FINE: Final = Signs("✓", "✗", "-", "?", "→")


def signs_for(encoding: str | None) -> Signs:
    """The signs that an encoding has."""
    try:
        "".join(msgspec.structs.astuple(FINE)).encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return PLAIN
    return FINE


class Paper:
    """Takes findings as they come, and gives the lines to print; what is skipped for one reason stands in one.

    Args:
        columns: of the terminal.
    """

    def __init__(self, columns: int, signs: Signs) -> None:
        self._columns, self._signs = min(max(columns, 40), WIDEST), signs
        self._waiting: list[Finding] = []

    def add(self, finding: Finding) -> Iterator[str]:
        is_alike = not self._waiting or self._waiting[0].said == finding.said
        if finding.status == "skipped" and not finding.remedy and is_alike:
            self._waiting.append(finding)
            return
        yield from self.rest()
        yield from self._lines(finding.status, finding.check, finding.said)
        if finding.remedy:
            yield from self._wrapped(
                " " * (2 + _NAME), f"{self._signs.remedy} {finding.remedy}", 1 + len(self._signs.remedy)
            )

    def rest(self) -> Iterator[str]:
        """What was kept back so far."""
        waiting, self._waiting = self._waiting, []
        if waiting:
            more = len(waiting) - _MOST_NAMES
            names = ", ".join(each.check for each in waiting[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
            yield from self._lines("skipped", "skipped", f"{waiting[0].said}: {names}")

    def _lines(self, status: Status, name: str, said: str) -> Iterator[str]:
        head = f"{self._signs.of(status)} {name}"
        room = 2 + _NAME
        if len(head) + len(_GAP) > room:
            head += _GAP
        yield from self._wrapped(f"{head:{room}}", said, 0)

    def _wrapped(self, head: str, text: str, hang: int) -> Iterator[str]:
        # A long address is left whole, to be copied.
        yield from textwrap.wrap(
            text,
            self._columns,
            initial_indent=head,
            subsequent_indent=" " * (2 + _NAME + hang),
            break_long_words=False,
            break_on_hyphens=False,
        )


def summary(findings: Sequence[Finding]) -> str:
    """How it stands, in a sentence."""
    bad = [each.check for each in findings if each.status == "failed"]
    waiting = sum(each.status == "skipped" for each in findings)
    made = len(findings) - waiting
    done = "1 check was made" if made == 1 else f"{made} checks were made"
    if bad:
        how = f"'{bad[0]}' failed" if len(bad) == 1 else f"{len(bad)} of them failed: begin with '{bad[0]}'"
        return f"{done}; {how}."
    if exit_code(findings):
        return f"{done}, and nothing is wrong; the rest needs a login."
    left = sum(each.status == "unknown" for each in findings)
    return f"{done}, and nothing is wrong{f'; {left} could not be judged' if left else ''}."


def as_json(target: str, findings: Sequence[Finding]) -> str:
    """All of it as one JSON document, safe on a terminal."""
    listed = [
        {key: value for key, value in msgspec.to_builtins(each).items() if key != "needs_login"} for each in findings
    ]
    document = {"target": target, "findings": listed, "exit_code": exit_code(findings)}
    return json_safe(msgspec.json.format(msgspec.json.encode(document), indent=2).decode())
