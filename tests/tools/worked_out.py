"""Figures of the eight weeks' sample, worked out in plain Python from its records and the rates in the book's file.

It shares nothing with tollbook but these two files, and knows no more than what this one log needs.
"""

import gzip
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).parent.parent.parent
LOG = ROOT / "examples" / "eight-weeks.jsonl.gz"
BOOK = ROOT / "src" / "tollbook" / "spend" / "prices" / "bedrock.json"

_PROFILES = {"abc123def456": "us.anthropic.claude-sonnet-4-5-20250929-v1:0"}  # examples/names.json
_SCOPES = ("us", "eu", "global")
_ACCOUNT = "111122223333"


@dataclass(frozen=True)
class Call:
    """A record, of whatever outcome."""

    day: date
    model: str
    scope: str
    region: str
    principal: str
    session: str
    team: str
    tier: str
    failed: bool
    input: int
    output: int
    cache_read: int
    cache_write: int
    cache_write_1h: int

    @property
    def prompt(self) -> int:
        return self.input + self.cache_read + self.cache_write


@dataclass(frozen=True)
class Rates:
    """Dollars a token, of one model and scope on one day."""

    input: Decimal
    output: Decimal
    cache_read: Decimal
    cache_write: Decimal
    cache_write_1h: Decimal

    def usd(self, call: Call) -> Decimal:
        return (
            call.input * self.input
            + call.output * self.output
            + call.cache_read * self.cache_read
            + (call.cache_write - call.cache_write_1h) * self.cache_write
            + call.cache_write_1h * self.cache_write_1h
        )

    def uncached(self, call: Call) -> Decimal:
        return call.prompt * self.input + call.output * self.output


@cache
def lines() -> tuple[str, ...]:
    """The sample's lines."""
    return tuple(gzip.decompress(LOG.read_bytes()).decode().splitlines())


@cache
def calls() -> tuple[Call, ...]:
    """Every record of the sample; it holds none twice, and no line that is none."""
    found = tuple(_call(json.loads(line)) for line in lines())
    assert len(found) > 1900
    return found


def _call(row: Mapping[str, Any]) -> Call:
    name = row["modelId"].rpartition("/")[2]
    name = _PROFILES.get(name, name)
    scope, _, rest = name.partition(".")
    model, scope = (rest, scope) if scope in _SCOPES else (name, "in-region")
    who = row["identity"]["arn"].partition(f"::{_ACCOUNT}:")[2].replace("assumed-role/", "role/")
    into, out = row["input"], row.get("output", {})
    details = (out.get("outputBodyJson") or {}).get("usage", {}).get("cacheDetails", ())
    return Call(
        day=date.fromisoformat(row["timestamp"][:10]),
        model=model,
        scope=scope,
        region=row["region"],
        principal="/".join(who.split("/")[:2]) if who.startswith("role/") else who,
        session=who,
        team=(row.get("requestMetadata") or {}).get("team", ""),
        tier=_tier(out.get("outputBodyJson")),
        failed="errorCode" in row,
        input=into.get("inputTokenCount", 0),
        output=out.get("outputTokenCount", 0),
        cache_read=into.get("cacheReadInputTokenCount", 0),
        cache_write=into.get("cacheWriteInputTokenCount", 0),
        cache_write_1h=sum(each["inputTokens"] for each in details if each["ttl"] == "1h"),
    )


def _tier(body: Mapping[str, Any] | None) -> str:
    return str((body or {}).get("serviceTier", {}).get("type", ""))


@cache
def rates(model: str, scope: str, day: date, tier: str = "") -> Rates | None:
    """The rates that the book's file quotes, of no region of their own; None where it has none."""
    quoted = None
    for entry in json.loads(BOOK.read_text())["prices"]:
        is_it = (entry["model"], entry["scope"], entry.get("tier", "")) == (model, scope, tier)
        if is_it and "region" not in entry and date.fromisoformat(entry["since"]) <= day:
            quoted = entry  # they are in order of their days
    if quoted is None:
        return None
    names = ("input", "output", "cache_read", "cache_write_5m", "cache_write_1h")
    return Rates(*(Decimal(quoted.get(name, "0")) / 10**6 for name in names))


def days(first: str, last: str) -> frozenset[date]:
    """Both and all between."""
    start, end = date.fromisoformat(first), date.fromisoformat(last)
    return frozenset(start + timedelta(days=step) for step in range((end - start).days + 1))


def those(
    first: str = "2026-09-28", last: str = "2026-11-22", failed: bool | None = False, **wanted: str
) -> Iterator[Call]:
    """The calls of these days whose attributes are as wanted; a model's name by a part of it.

    Args:
        failed: whether they did; None for either.
    """
    within = days(first, last)
    for call in calls():
        if call.day not in within or (failed is not None and call.failed is not failed):
            continue
        if all(
            value in call.model if name == "model" else getattr(call, name) == value for name, value in wanted.items()
        ):
            yield call


def usd_of(call: Call) -> Decimal | None:
    """What it cost; None without a price."""
    found = _rates_of(call)
    return None if found is None or call.failed else found.usd(call)


def _rates_of(call: Call) -> Rates | None:
    """Of its tier, or where the book has none yet, of the standard one."""
    return rates(call.model, call.scope, call.day, call.tier) or rates(call.model, call.scope, call.day)


def usd(**which: Any) -> Decimal:
    """What the calls cost that have a price; see `those`."""
    return sum((cost for call in those(**which) if (cost := usd_of(call)) is not None), Decimal(0))


def count(**which: Any) -> int:
    """How many calls."""
    return sum(1 for _ in those(**which))


def tokens(kind: str, **which: Any) -> int:
    """Tokens of one kind."""
    return sum(getattr(call, kind) for call in those(**which))


def unpriced(**which: Any) -> int:
    """How many served calls have no price."""
    return sum(usd_of(call) is None for call in those(**which))


def elsewhere(to: str, **which: Any) -> Decimal:
    """What the calls would have cost with another model, called through the same scope."""
    found = Decimal(0)
    for call in those(**which):
        other = rates(to, call.scope, call.day)
        assert other is not None
        found += other.usd(call)
    return found


def through(scope: str, **which: Any) -> Decimal:
    """What the calls would have cost through another scope."""
    found = Decimal(0)
    for call in those(**which):
        other = rates(call.model, scope, call.day)
        assert other is not None
        found += other.usd(call)
    return found


def at_tier(tier: str, **which: Any) -> Decimal:
    """What the calls would have cost at another service tier."""
    found = Decimal(0)
    for call in those(**which):
        other = rates(call.model, call.scope, call.day, tier)
        assert other is not None
        found += other.usd(call)
    return found


def uncached(**which: Any) -> Decimal:
    """What the calls would have cost without a cache."""
    found = Decimal(0)
    for call in those(**which):
        if (quoted := _rates_of(call)) is not None:
            found += quoted.uncached(call)
    return found


def saved(**which: Any) -> Decimal:
    """What the cache saved, less what filling it cost."""
    return uncached(**which) - usd(**which)


def priced(**which: Any) -> int:
    """How many served calls have a price."""
    return count(**which) - unpriced(**which)


def dearest(by: str, **which: Any) -> list[str]:
    """The values of an attribute, in order of what their calls cost."""
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for call in those(**which):
        sums[getattr(call, by)] += usd_of(call) or 0
    return sorted(sums, key=lambda name: -sums[name])


def dearest_at(by: str, place: int = 0, **which: Any) -> str:
    """One of them."""
    return dearest(by, **which)[place]


def median_day(first: str, last: str) -> Decimal:
    """What the middle one of these days cost."""
    return median(usd(first=str(day), last=str(day)) for day in days(first, last))


def month_end() -> Decimal:
    """A simple estimate of November: what the month has cost, and for each day to come the median of its weekday."""
    found = usd(first="2026-11-01")
    for day in days("2026-11-22", "2026-11-30"):
        before = [day - timedelta(weeks=back) for back in range(1, 9)]
        costs = [usd(first=str(each), last=str(each)) for each in before if each < date(2026, 11, 22)]
        found += median(costs) / (2 if day == date(2026, 11, 22) else 1)
    return found
