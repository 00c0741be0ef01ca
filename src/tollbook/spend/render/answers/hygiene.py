"""What hygiene found, in words."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from tollbook.core.text import printable
from tollbook.spend.answers.basis import Period
from tollbook.spend.answers.hygiene import Check, Finding, Hygiene, Text
from tollbook.spend.model import label
from tollbook.spend.render.telling import Cell, Column, Grid, Telling
from tollbook.spend.render.words import counted, dollars, faults, percent, stretch
from tollbook.spend.window import zone_of

_NAMES: Final[Mapping[Check, str]] = {
    "root": "root user",
    "text_delivery": "prompts and answers in the logs",
    "unpriced": "unpriced calls",
    "unresolved": "unknown models behind ids",
    "untagged": "calls without the tag",
    "api_keys": "long-term API keys",
    "errors": "failed calls",
    "assumed_prices": "assumed prices",
    "gross_counts": "gross token counts",
}
_TEXT: Final[Mapping[Text, str]] = {
    "logged": "",
    "off": "Bedrock's settings keep prompts and answers out of the logs",
    "not_seen": "no answer's text was seen in these logs; 'tollbook doctor' asks Bedrock's settings",
    "unknown": "whether prompts and answers are logged cannot be told from these records; 'tollbook doctor' asks "
    "Bedrock's settings",
}


def telling_of_hygiene(hygiene: Hygiene) -> Telling:
    """`hygiene` in words."""
    return Telling(
        title="Amazon Bedrock spend: what to see to",
        asked=_asked(hygiene.basis.period),
        lead=_lead(hygiene),
        sentences=tuple(sentence for each in hygiene.findings for sentence in _sentences(each, hygiene.tag)),
        grids=tuple(_grids(hygiene)),
        faults=tuple(faults(hygiene.basis)),
        notes=tuple(filter(None, (_TEXT[hygiene.text], *map(printable, hygiene.basis.notes)))),
    )


def _asked(period: Period) -> str:
    return stretch(period.since, period.until, zone_of(period.tz))


def _lead(hygiene: Hygiene) -> str:
    calls = counted(hygiene.calls + hygiene.errors, "call")
    if not hygiene.calls + hygiene.errors:
        return "There are no calls to look at."
    if hygiene.errors:
        calls += f" ({hygiene.errors:,} of them failed)"
    looked_at = ", ".join(_name(check, hygiene.tag) for check in hygiene.checked)
    if not hygiene.findings:
        return f"All clear in {calls}: nothing was found of {looked_at}."
    worst = hygiene.findings[0]
    return (
        f"{counted(len(hygiene.findings), 'thing')} to see to in {calls}{_for_what(hygiene)}; first: "
        f"{_what(worst, hygiene.tag)}."
    )


def _for_what(hygiene: Hygiene) -> str:
    if hygiene.usd is None:
        return ", none of which has a price"
    if not hygiene.calls:
        return ""
    return f" for {'at least ' if hygiene.basis.unpriced else ''}{dollars(hygiene.usd)}"


def _sentences(finding: Finding, tag: str) -> tuple[str, ...]:
    what = _what(finding, tag)
    return (f"{what[0].upper()}{what[1:]}{_of_whom(finding)}. {finding.why_it_matters} {finding.what_to_do}",)


def _what(finding: Finding, tag: str) -> str:
    """`1,234 calls (12.0% of those served) without the tag team, $12.30 (41.0% of all dollars)`."""
    is_errors = finding.check == "errors"
    calls = f"{_most(finding)}{counted(finding.errors if is_errors else finding.calls, 'call')}"
    share = f"({percent(finding.calls_share)} of {'all' if is_errors else 'those served'})"
    also = f" and {finding.errors:,} that failed" if finding.errors and not is_errors else ""
    what = _WHAT[finding.check].format(tag=printable(tag))
    cost = "" if finding.usd is None or is_errors else f", {_most(finding)}{dollars(finding.usd)}{_share(finding)}"
    return f"{calls} {share}{also} {what}{cost}"


def _most(finding: Finding) -> str:
    return "up to " if finding.is_at_most else ""


_WHAT: Final[Mapping[Check, str]] = {
    "root": "by the root user",
    "text_delivery": "in places whose records hold prompts or answers",
    "unpriced": "without a price",
    "unresolved": "of models that are not known",
    "untagged": "without the tag {tag}",
    "api_keys": "with long-term API keys",
    "errors": "failed",
    "assumed_prices": "priced by an assumption",
    "gross_counts": "with input counts that seem to hold cached tokens",
}


def _share(finding: Finding) -> str:
    return "" if finding.usd_share is None else f" ({percent(finding.usd_share)} of all dollars)"


def _of_whom(finding: Finding) -> str:
    if finding.check == "root":
        return ""
    first = finding.parts[0]
    if len(finding.parts) == 1:
        return f": all of {_shown(finding, first.name)}"
    name = _shown(finding, first.name)
    if finding.is_at_most:
        return f": of them up to {first.calls:,} {name}"
    if first.usd and finding.check != "errors":
        return f": most dollars {name} ({dollars(first.usd)})"
    return f": most calls {name} ({first.calls + first.errors:,})"


def _shown(finding: Finding, name: str) -> str:
    return printable(label(name) if finding.parts_are == "model" else name)


def _name(check: Check, tag: str) -> str:
    return f"calls without the tag {printable(tag)}" if check == "untagged" else _NAMES[check]


def _grids(hygiene: Hygiene) -> list[Grid]:
    if not hygiene.findings:
        return []
    rows = [_row(each, hygiene.tag) for each in hygiene.findings]
    columns = (
        Column("finding", "name"),
        Column("weight", "name", is_detail=True),
        Column("calls", "count"),
        Column("failed", "count", is_detail=True),
        Column("cost", "usd"),
        Column("of all dollars", "share"),
    )
    parts = [_parts(each, hygiene.tag) for each in hygiene.findings if len(each.parts) > 1]
    return [Grid("what was found", columns, tuple(rows)), *parts]


def _row(finding: Finding, tag: str) -> tuple[Cell, ...]:
    name = f"{_name(finding.check, tag)}{_bound(finding)}"
    return (name, finding.weight, finding.calls, finding.errors, finding.usd, finding.usd_share)


def _bound(finding: Finding) -> str:
    return " (at most)" if finding.is_at_most else ""


def _parts(finding: Finding, tag: str) -> Grid:
    whole = finding.usd or Decimal(0)
    rows: list[tuple[Cell, ...]] = []
    for part in finding.parts:
        share = None if part.usd is None or not whole else (part.usd / whole).quantize(Decimal("0.0001"))
        rows.append((_shown(finding, part.name), part.calls, part.errors, part.usd, share))
    columns = (
        Column(finding.parts_are, "name"),
        Column("calls", "count"),
        Column("failed", "count", is_detail=True),
        Column("cost", "usd"),
        Column("share", "share"),
    )
    return Grid(f"{_name(finding.check, tag)}{_bound(finding)}", columns, tuple(rows), left_out=finding.parts_left_out)
