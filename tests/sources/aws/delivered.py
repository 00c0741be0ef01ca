"""A log as Bedrock delivers it to S3, and the report that every way of reading it has to give."""

import gzip
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from tests.fakes.processes import unmeasured
from tests.logs import ACCOUNT, call, lines
from tollbook.app.book import price_book
from tollbook.sources.files import read_files
from tollbook.sources.reading import Stretch, Taken
from tollbook.spend.ledger import KEPT
from tollbook.spend.model import Named
from tollbook.spend.query import Query
from tollbook.spend.render.machine import document
from tollbook.spend.report import report_of
from tollbook.spend.tally import Counted
from tollbook.spend.usage import RowKey, Usage
from tollbook.spend.window import Window

_GENERATOR: Final = Path(__file__).parents[3] / "bench" / "gen_logs.py"

FIRST: Final = datetime(2026, 11, 18, tzinfo=UTC)
REGION: Final = "us-east-1"
LOGS: Final = f"AWSLogs/{ACCOUNT}/BedrockModelInvocationLogs"
GPT: Final = "openai.gpt-oss-120b-1:0"
ROUTER: Final = f"arn:aws:bedrock:us-east-1:{ACCOUNT}:default-prompt-router/anthropic.claude:1"
SECRET_GPT: Final = f"arn:aws:bedrock:us-east-1:{ACCOUNT}:application-inference-profile/gpt0secret00"
GPT_ROUTER: Final = f"arn:aws:bedrock:us-east-1:{ACCOUNT}:prompt-router/gpt0router00"
NAMES: Final = {"gpt0secret00": Named(f"us.{GPT}", "hidden"), "gpt0router00": Named(GPT)}
"""Opaque ids: the vendor of the model behind them decides how its tokens are counted, unless a router chose it."""


def day(number: int) -> Stretch:
    return Stretch(FIRST + timedelta(days=number), FIRST + timedelta(days=number + 1))


DAYS: Final = [day(number) for number in range(4)]


def over(*by: str, zone: str = "UTC") -> Query:
    return Query(Window(DAYS[0].since, DAYS[-1].until, ZoneInfo(zone)), by)


QUESTIONS: Final = {
    "by everything, with sessions": over(*KEPT, "scope", "session", "tag:team", "tag:Team"),
    "to be kept": over(*KEPT, "tag:team", "tag:env"),
    "the days of a zone off by 45 minutes": over("day", "principal", zone="Asia/Kathmandu"),
    "the hours of a zone off by 30 minutes": over("hour", "model", zone="Asia/Kolkata"),
    "nothing in particular": over(),
}


def deliver(folder: Path, hour: datetime, *records: object, name: str = "a", region: str = REGION) -> Path:
    """Puts a file of `records` where those lie that were delivered in an hour of UTC."""
    path = folder / LOGS / region / f"{hour:%Y/%m/%d/%H}" / f"{hour:%Y%m%dT%H}0500123Z_{name}.json.gz"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(lines(records)))
    return path


def make_log(folder: Path) -> None:
    """Four days of calls: ordinary ones, some twice and some broken, and one of each kind that is counted in its own
    way; some delivered an hour late, and so in the next day; bodies and a permission check beside them."""
    words = ["--events", "1000", "--profile", "mixed", "--days", str(len(DAYS)), "--dupes", "0.02", "--bad", "0.005"]
    words += ["--end", f"{DAYS[-1].until:%Y-%m-%d}", "--per-file", "40", "--s3-tree", str(folder)]
    subprocess.run([sys.executable, str(_GENERATOR), *words], check=True, capture_output=True, env=unmeasured())
    (folder / "tree.truth.json").unlink()
    late = [call(timestamp=f"2026-11-{number}T23:59:59.999Z", requestId=f"late-{number}") for number in (18, 19, 20)]
    for number, one in enumerate(late, 1):
        deliver(folder, FIRST + timedelta(days=number, hours=-1), one, name="late")
    odd = FIRST + timedelta(days=2, hours=9)
    deliver(folder, odd, *odd_calls(), name="odd")
    deliver(folder, FIRST + timedelta(days=1), late[0], call(timestamp="2026-11-19T00:00:00Z"), name="late")
    deliver(folder, FIRST + timedelta(days=2), late[1], "{no json", name="late")
    deliver(folder, FIRST + timedelta(days=3), late[2], {"modelId": "x", "no": "timestamp"}, name="late")
    body = folder / LOGS / REGION / f"{odd:%Y/%m/%d/%H}" / "data" / "id_input.json.gz"
    body.parent.mkdir()
    body.write_bytes(gzip.compress(lines([call()])))
    (folder / LOGS / "amazon-bedrock-logs-permission-check").write_bytes(b"test")


def odd_calls() -> list[object]:
    """One record of each kind that is counted in a way of its own."""
    hour_usage = {"cacheDetails": [{"ttl": "5m", "inputTokens": 40}, {"ttl": "1h", "inputTokens": 60}]}
    anthropic = {"usage": {"cache_creation": {"ephemeral_5m_input_tokens": 1, "ephemeral_1h_input_tokens": 70}}}
    stream = [{"type": "message_start", "message": anthropic}, {"type": "message_stop"}]
    tier_below = [{"type": "response.completed", "response": {"service_tier": "flex"}}, {"service_tier": "priority"}]
    calls = [
        call(body={"usage": hour_usage}, cache=(10, 100)),
        call(body={"usage": hour_usage}, cache=(10, 50)),
        call(body={"usage": {"cache_creation": {}}}, cache=(0, 100)),
        call(body={"usage": {"cacheDetails": []}}, cache=(0, 100)),
        call(body={"usage": {"inputTokens": 3}}, cache=(0, 100)),
        call(body=anthropic, cache=(5, 100), operation="InvokeModel"),
        call(body=stream, cache=(5, 100), operation="InvokeModelWithResponseStream"),
        call(body=None, cache=(5, 100)),
        call(body={"serviceTier": {"type": "priority"}}),
        call(body={"serviceTier": {"type": "flex"}}, operation="InvokeModel"),
        call(body={"serviceTier": {"type": ""}, "service_tier": "flex"}),
        call(body={"service_tier": "standard"}),
        call(body={"service_tier": None}),
        call(body={"output": {"text": 'says "serviceTier" and {"service_tier": "flex"}'}}),
        call(body={"metadata": {"service_tier": "flex"}}),
        call(body=[]),
        call(body=tier_below, operation="Responses"),
        call(body={"service_tier": "flex"}, operation=""),
        call(
            body={"trace": {"promptRouter": {"invokedModelId": f"arn:aws:bedrock:us-east-1:{ACCOUNT}:x"}}}, model=ROUTER
        ),
        call(body={"output": {}}, model=ROUTER),
        call(body={"trace": {"promptRouter": {"invokedModelId": "not.asked"}}}),
        call(model=GPT, tokens=(1000, 5), cache=(400, 100)),
        call(model=GPT, tokens=(500, 5), cache=(400, 100)),
        call(model=GPT, tokens=(499, 5), cache=(400, 100)),
        call(model=SECRET_GPT, tokens=(250_000, 5), cache=(100_000, 100)),
        call(model=GPT_ROUTER, tokens=(1000, 5), cache=(400, 100)),
        call(tokens=(1000, 5), cache=(400, 100)),
        *(call(tokens=(size, 1), cache=(1, 0)) for size in (99_999, 100_000, 128_000, 199_999, 200_000, 272_000)),
        call(tokens=(0, 0)),
        call(tokens=(None, None)),
        call(errorCode="ThrottlingException", tokens=(7, None)),
        call(errorCode="ThrottlingException", tokens=(1000, 3), cache=(10, 20), model=GPT),
        call(errorCode=""),
        call(arn=None),
        call(arn=f"arn:aws:sts::{ACCOUNT}:assumed-role/rag/one"),
        call(arn=f"arn:aws:sts::{ACCOUNT}:assumed-role/rag/two"),
        call(arn=f"arn:aws-us-gov:iam::{ACCOUNT}:user/path/of/x"),
        call(arn="someone else"),
        call(requestMetadata={"team": "a'b", "Team": "c", "env": ""}),
        call(requestMetadata={"TEAM": "c"}),
        call(inferenceRegion="eu-west-1"),
        call(requestId=None),
        call(requestId=None),
        call(requestId=""),
        call(requestId="twice"),
        call(requestId="twice", tokens=(1000, 100)),
        call(requestId="twice", region="eu-west-1"),
        call(requestId="twice", accountId="444455556666"),
        call(requestId="twice", accountId=None),
        call(timestamp="2026-11-20T23:59:59+02:00"),
        call(timestamp="2026-11-20T04:14:59.999Z"),
        call(timestamp=1795166102000),
    ]
    broken: list[object] = [
        call(timestamp=None),
        call(timestamp="2026-11-20T10:00:00"),
        call(timestamp="yesterday"),
        call(tokens=(-1, 1)),
        call(tokens=(10**12 + 1, 1)),
        call(model=""),
        "{" + "no json",
    ]
    return [{key: value for key, value in one.items() if value is not None} for one in calls] + broken


def reported(counted: Counted, query: Query) -> Any:
    """All that the JSON report tells."""
    book, notes = price_book(None)
    return document(report_of(counted, query, query.by, book, NAMES, notes))


def rows_of(counted: Counted) -> dict[RowKey, tuple[Usage, int]]:
    """All that rows tell."""
    found: dict[RowKey, tuple[Usage, int]] = {}
    for row in counted.rows():
        usage, traits = found.get(row.key, (Usage(), 0))
        found[row.key] = usage + row.usage, traits | row.traits
    return found


def from_files(folder: Path, query: Query) -> Counted:
    """What reading the same files from a disk counts."""
    return read_files([str(folder)], query, lambda _done, _total: None, processes=1, names=NAMES).counted


def together(taken: Sequence[Taken]) -> Counted:
    """All that was read; nothing may be missing."""
    counted = Counted()
    for one in taken:
        assert not one.unread
        counted.add(one.counted)
    return counted
