"""A hundred thousand records whose sums are known, some twice and some broken."""

import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.processes import unmeasured
from tests.logs import Ask

GENERATOR = Path(__file__).parent.parent / "bench" / "gen_logs.py"
BY = "day,model,scope,session,region,inference_region,operation"
MEASURES = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Any]]:
    path = tmp_path_factory.mktemp("truth") / "log.jsonl"
    words = ["--events", "100000", "--dupes", "0.01", "--bad", "0.001", "--out", str(path)]
    subprocess.run([sys.executable, str(GENERATOR), *words], check=True, capture_output=True, env=unmeasured())
    yield path, json.loads(Path(f"{path}.truth.json").read_text())
    path.unlink()


def test_the_totals_equal_the_truth(ask: Ask, log: tuple[Path, Any]) -> None:
    path, truth = log
    report = ask("report", str(path), "--format", "json").json
    expected = truth["totals"]
    totals = report["totals"]
    assert totals["calls"] + totals["errors"] == expected["requests"]
    assert totals["errors"] == expected["errors"]
    wanted = [expected[kind] for kind in ("input", "output", "cacheRead", "cacheWrite")]
    assert [totals[measure] for measure in MEASURES] == wanted
    assert report["duplicates"] == truth["dupes"]
    assert report["rejected"] == {"lines": truth["bad"], "reasons": {"not_json": truth["bad"]}}


def test_every_group_equals_the_truth(ask: Ask, log: tuple[Path, Any]) -> None:
    path, truth = log
    report = ask("report", str(path), "--by", BY, "--format", "json").json
    ours = {
        (group["day"], group["model"], group["scope"], *_place(group)): [
            group["calls"] + group["errors"],
            *(group[measure] for measure in MEASURES),
            group["errors"],
        ]
        for group in report["groups"]
    }
    expected: dict[tuple[str, ...], list[int]] = defaultdict(lambda: [0] * 6)
    for day, model_id, arn, region, inference, operation, *counts in truth["rows"]:
        model, scope = _meaning(model_id)
        key = (day, model, scope, _who(arn), region, inference or region, operation)
        expected[key] = [a + b for a, b in zip(expected[key], counts, strict=True)]
    assert ours == expected


def _place(group: dict[str, str]) -> list[str]:
    return [group[name] for name in ("session", "region", "inference_region", "operation")]


def _meaning(model_id: str) -> tuple[str, str]:
    """By hand, for the ids that the generator writes."""
    name = model_id.rpartition("/")[2]
    for scope in ("us", "eu", "global"):
        if name.startswith(f"{scope}."):
            return name.removeprefix(f"{scope}."), scope
    return (model_id.rpartition(":")[2] if "/" in model_id else name), "in-region"


def _who(arn: str) -> str:
    return arn.partition("::111122223333:")[2].replace("assumed-role/", "role/") or "unknown"
