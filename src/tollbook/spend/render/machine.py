"""JSON and CSV: for programs. The keys are a promise; `docs/report-schema.json` holds them."""

import csv
import io
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

import msgspec

from tollbook.core.text import json_safe, printable
from tollbook.spend.render.words import plain
from tollbook.spend.report import Report, Sum

SCHEMA: Final = "tollbook.report/1"


def as_json(report: Report) -> str:
    """The report as one JSON object, with a line break at its end."""
    document = {
        "schema": SCHEMA,
        "window": {
            "since": _instant(report.since, report),
            "until": _instant(report.until, report),
            "tz": report.query.window.zone.key,
        },
        "group_by": list(report.by),
        "totals": _measures(report.total),
        "groups": [
            {
                **dict(zip(report.by, group.values, strict=True)),
                **_measures(group.sum),
                "status": sorted(group.sum.statuses),
            }
            for group in report.groups
        ],
        "unpriced": {
            "calls": sum(entry.calls for entry in report.unpriced),
            "tokens": sum(entry.tokens for entry in report.unpriced),
            "models": sorted({entry.model for entry in report.unpriced}),
        },
        "rejected": {"lines": sum(report.rejected.values()), "reasons": dict(report.rejected)},
        "duplicates": report.duplicates,
        "notes": list(report.notes),
    }
    return json_safe(msgspec.json.format(msgspec.json.encode(document), indent=1).decode()) + "\n"


def as_csv(report: Report) -> str:
    """The groups as CSV (RFC 4180) with a header line; money in full, empty where unpriced."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow([*report.by, *_measures(Sum()), "status"])
    for group in report.groups:
        values = ["" if value is None else _cell(value) for value in group.values]
        writer.writerow([*values, *_measures(group.sum).values(), " ".join(sorted(group.sum.statuses))])
    return text.getvalue()


def _measures(total: Sum) -> dict[str, Any]:
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
