"""JSON and CSV: for programs. The keys are a promise; `docs/report-schema.json` holds them."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

import msgspec

from tollbook.core.text import json_safe, printable
from tollbook.spend.render.words import plain
from tollbook.spend.report import Group, Report, Sum

SCHEMA: Final = "tollbook.report/1"


def as_json(report: Report) -> str:
    """The report as one JSON object, with a line break at its end."""
    return json_safe(msgspec.json.format(msgspec.json.encode(document(report)), indent=1).decode()) + "\n"


def document(report: Report) -> dict[str, Any]:
    """The report as `docs/report-schema.json` has it."""
    return {
        "schema": SCHEMA,
        "window": {
            "since": _instant(report.since, report),
            "until": _instant(report.until, report),
            "tz": report.query.window.zone.key,
        },
        "group_by": list(report.by),
        "totals": measures(report.total),
        "groups": [_row(report.by, group) for group in report.groups],
        "unpriced": {
            "calls": sum(entry.calls for entry in report.unpriced),
            "tokens": sum(entry.tokens for entry in report.unpriced),
            "models": sorted({entry.model for entry in report.unpriced}),
        },
        "rejected": {"lines": sum(report.rejected.values()), "reasons": dict(report.rejected)},
        "duplicates": report.duplicates,
        "unread": list(report.unread),
        "notes": list(report.notes),
    }


def _row(by: tuple[str, ...], group: Group) -> dict[str, Any]:
    return {
        **dict(zip(by, group.values, strict=True)),
        **measures(group.sum),
        "status": sorted(group.sum.statuses),
    }


def as_csv(report: Report) -> str:
    """The groups as CSV (RFC 4180) with a header line; money in full, empty where unpriced."""
    return csv_of(report.by, (_row(report.by, group) for group in report.groups))


def csv_of(by: Sequence[str], groups: Iterable[Mapping[str, Any]]) -> str:
    """The same from the `groups` of a document that is grouped `by`."""
    text = io.StringIO()
    writer = csv.writer(text)
    names = list(measures(Sum()))
    writer.writerow([*by, *names, "status"])
    for group in groups:
        values = ["" if group[name] is None else _cell(group[name]) for name in by]
        writer.writerow([*values, *(group[name] for name in names), " ".join(group["status"])])
    return text.getvalue()


def measures(total: Sum) -> dict[str, Any]:
    """What every group and the totals tell."""
    return {
        "calls": total.calls,
        "errors": total.errors,
        "input_tokens": total.input,
        "output_tokens": total.output,
        "cache_read_tokens": total.cache_read,
        "cache_write_tokens": total.cache_write,
        "cost_usd": plain(total.usd),
        "cache_saving_usd": plain(total.saving),
    }


def _instant(time: datetime | None, report: Report) -> str | None:
    return None if time is None else time.astimezone(report.query.window.zone).isoformat()


@lru_cache(4096)
def _cell(value: str) -> str:
    """`value`, harmless in a spreadsheet: one that begins like a formula gets an apostrophe before it.

    Source: https://owasp.org/www-community/attacks/CSV_Injection
    """
    text = printable(value)
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text
