"""Make the sample logs: calls by invented people, the same bytes every time.

python scripts/make_sample.py

examples/bedrock-logs.jsonl.gz    two weeks, in every shape that Bedrock logs: for `make demo`
examples/eight-weeks.jsonl.gz     eight weeks in which things happen: for docs/answers.md and the questions of the tests
"""

import gzip
import json
import random
import uuid
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple

EXAMPLES: Final = Path(__file__).resolve().parent.parent / "examples"
SAMPLE: Final = EXAMPLES / "bedrock-logs.jsonl.gz"
EIGHT_WEEKS: Final = EXAMPLES / "eight-weeks.jsonl.gz"
NOW: Final = datetime(2026, 11, 22, 12, tzinfo=UTC)
DAYS: Final = 14
ACCOUNT: Final = "111122223333"
ROLE: Final = f"arn:aws:sts::{ACCOUNT}:assumed-role"
SSO: Final = f"{ROLE}/AWSReservedSSO_Dev_0a1b2c3d4e5f6789"
IAM: Final = f"arn:aws:iam::{ACCOUNT}"
ARN: Final = f"arn:aws:bedrock:us-east-1:{ACCOUNT}"

SONNET, HAIKU = "anthropic.claude-sonnet-4-5-20250929-v1:0", "anthropic.claude-haiku-4-5-20251001-v1:0"
OPUS = "anthropic.claude-opus-4-5-20251101-v1:0"

CAROL: Final = f"arn:aws:sts::{ACCOUNT}:federated-user/carol"
PROFILE: Final = f"{ARN}:inference-profile/global.{HAIKU}"
OPAQUE: Final = f"{ARN}:application-inference-profile/abc123def456"

# Who calls which model: identity, team, calls on a working day and at weekends, model, region, input, output, cached.
CALLERS: Final[tuple[tuple[str, str | None, int, int, str, str, int, int, int], ...]] = (
    (f"{ROLE}/claims-triage/prod", "claims", 9, 5, f"us.{SONNET}", "us-east-1", 180_000, 24_000, 900_000),
    (f"{ROLE}/rag-api/i-0abc", "search", 7, 4, PROFILE, "us-east-1", 320_000, 52_000, 400_000),
    (f"{SSO}/ana@example.com", "legal", 4, 0, f"eu.{OPUS}", "eu-west-1", 60_000, 9_000, 250_000),
    (f"{SSO}/ben@example.com", "growth", 3, 1, f"us.{SONNET}", "us-east-1", 45_000, 8_000, 120_000),
    (f"{IAM}:user/ci/nightly-eval", None, 3, 3, "us.amazon.nova-pro-v1:0", "us-east-1", 400_000, 90_000, 0),
    (f"{ROLE}/indexer/batch-7", "search", 4, 4, "amazon.titan-embed-text-v2:0", "us-east-1", 900_000, 0, 0),
    (CAROL, "growth", 1, 0, "openai.gpt-oss-120b-1:0", "us-west-2", 90_000, 30_000, 0),
    (f"{IAM}:user/BedrockAPIKey-a1b2", None, 1, 1, "deepseek.v3.2", "us-east-2", 70_000, 20_000, 0),
    (f"{ROLE}/support-bot/prod", "support", 2, 1, OPAQUE, "us-east-1", 80_000, 12_000, 300_000),
)


def records(dice: random.Random) -> Iterator[dict[str, Any]]:
    """The calls of every day, in order of time, with last week's working days busier than the week before."""
    for back in range(DAYS - 1, -1, -1):
        day = (NOW - timedelta(days=back)).replace(hour=0)
        for arn, team, working, weekend, model, region, tokens_in, tokens_out, cached in CALLERS:
            calls = weekend if day.weekday() >= 5 else working + (back < 7 and dice.random() < 0.4)
            if model.endswith(OPUS) and back in (2, 3):
                calls *= 3  # something happened there: a demo needs a question
            for _ in range(calls):
                time = day + timedelta(seconds=dice.randrange(7 * 3600, (19 if back else 12) * 3600))
                spread = dice.uniform(0.5, 1.5)
                tokens = (int(tokens_in * spread), int(tokens_out * dice.uniform(0.5, 1.5)), int(cached * spread))
                row = record(dice, time, arn, team, model, region, tokens)
                yield failed(row) if dice.random() < 0.03 else row


def record(
    dice: random.Random,
    time: datetime,
    arn: str,
    team: str | None,
    model: str,
    region: str,
    tokens: tuple[int, int, int],
) -> dict[str, Any]:
    """One record, in one of the three orders of keys that are met."""
    fresh, made, cached = tokens
    operation = "InvokeModel" if "titan" in model else dice.choice(["Converse", "ConverseStream"])
    given: dict[str, Any] = {
        "inputContentType": "application/json",
        "inputBodyJson": {"messages": []},
        "inputTokenCount": fresh,
    }
    usage: dict[str, Any] = {"inputTokens": fresh, "outputTokens": made}
    if cached:
        written = cached // 12 if dice.random() < 0.3 else 0
        given |= {"cacheReadInputTokenCount": cached, "cacheWriteInputTokenCount": written}
        if written and dice.random() < 0.5:
            usage["cacheDetails"] = [{"ttl": dice.choice(["5m", "1h"]), "inputTokens": written}]
    body: dict[str, Any] = {"stopReason": "end_turn", "usage": usage}
    if dice.random() < 0.06 and "nova" in model:
        body["serviceTier"] = {"type": "flex"}
    output = {"outputContentType": "application/json", "outputBodyJson": body, "outputTokenCount": made}
    head = {"schemaType": "ModelInvocationLog", "schemaVersion": "1.0"}
    what = {
        "timestamp": f"{time:%Y-%m-%dT%H:%M:%SZ}",
        "accountId": ACCOUNT,
        "region": region,
        "requestId": str(uuid.UUID(int=dice.getrandbits(128), version=4)),
        "operation": operation,
        "modelId": model,
    }
    who = {"identity": {"arn": arn}}
    tags = {"requestMetadata": {"team": team, "env": "prod"}} if team else {}
    crossed = {"inferenceRegion": region} if "." in model and model.split(".")[0] in ("us", "eu") else {}
    layouts = (
        {**head, **what, **who, "input": given, "output": output, **crossed, **tags},
        {**what, **who, **tags, "input": given, "output": output, **crossed, **head},
        {**head, **what, **crossed, **who, "input": given, "output": output, **tags},
    )
    return dice.choice(layouts)


def failed(row: dict[str, Any]) -> dict[str, Any]:
    """The record of the same call, had it been throttled."""
    given = {"inputContentType": "application/json", "inputTokenCount": 0}
    return {key: value for key, value in row.items() if key != "output"} | {
        "input": given,
        "errorCode": "ThrottlingException",
    }


def oddities(dice: random.Random) -> Iterator[dict[str, Any]]:
    """One of each shape that the callers above do not make."""
    time = NOW - timedelta(days=1)
    router = record(
        dice, time, f"{IAM}:root", None, f"{ARN}:default-prompt-router/anthropic.claude:1", "us-east-1", (4000, 900, 0)
    )
    chosen = "arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-3-haiku-20240307-v1:0"
    router["output"] = {
        "outputBodyJson": {"trace": {"promptRouter": {"invokedModelId": chosen}}},
        "outputTokenCount": 900,
    }
    yield router
    yield record(
        dice, time, f"{IAM}:user/alice", None, f"{ARN}:provisioned-model/pm9x8y7z6w5v", "us-east-1", (30_000, 4_000, 0)
    )
    image = record(
        dice, time, f"{IAM}:user/alice", "growth", "stability.stable-image-core-v1:1", "us-west-2", (0, 0, 0)
    )
    yield {**image, "operation": "InvokeModel"}
    gross = record(dice, time, f"{IAM}:user/alice", "growth", "us.openai.gpt-5.6-sol", "us-east-1", (8369, 2000, 0))
    gross["input"] |= {"cacheReadInputTokenCount": 0, "cacheWriteInputTokenCount": 8367}
    yield {
        **gross,
        "operation": "ChatCompletions",
        "output": {"outputBodyJson": {"service_tier": "default"}, "outputTokenCount": 2000},
    }
    nameless = record(dice, time, "", None, f"us.{SONNET}", "us-east-1", (9000, 1200, 0))
    yield {key: value for key, value in nameless.items() if key != "identity"}


class Caller(NamedTuple):
    """Who calls which model, and what he uses up in a call.

    Attributes:
        working, weekend: calls on a day.
        hours: of UTC, between which he calls.
    """

    arn: str
    team: str | None
    working: int
    weekend: int
    model: str
    region: str
    fresh: int
    made: int
    cached: int
    hours: tuple[int, int] = (7, 19)


TRIAGE: Final = Caller(f"{ROLE}/claims-triage/prod", "claims", 6, 2, f"us.{SONNET}", "us-east-1", 9_000, 2_400, 60_000)
RAG: Final = Caller(f"{ROLE}/rag-api/i-0abc", "search", 8, 5, PROFILE, "us-east-1", 32_000, 3_200, 40_000, (0, 24))
SUPPORT: Final = Caller(f"{ROLE}/support-bot/prod", "support", 5, 3, OPAQUE, "us-east-1", 6_000, 1_500, 90_000, (0, 24))
REVIEW: Final = Caller(f"{ROLE}/contract-review/prod", "legal", 3, 0, f"eu.{OPUS}", "eu-west-1", 20_000, 3_000, 0)
EVAL: Final = Caller(
    f"{IAM}:user/ci/nightly-eval", None, 4, 4, "us.amazon.nova-pro-v1:0", "us-east-1", 140_000, 20_000, 0, (2, 4)
)
ANA: Final = Caller(f"{SSO}/ana@example.com", "legal", 3, 0, f"eu.{OPUS}", "eu-west-1", 12_000, 2_500, 50_000)
BEN: Final = Caller(f"{SSO}/ben@example.com", "growth", 4, 1, f"us.{SONNET}", "us-east-1", 9_000, 2_000, 30_000)
OTHERS: Final = (
    Caller(CAROL, "growth", 2, 0, "openai.gpt-oss-120b-1:0", "us-west-2", 30_000, 8_000, 0),
    Caller(f"{IAM}:user/BedrockAPIKey-a1b2", None, 1, 1, "deepseek.v3.2", "us-east-2", 20_000, 6_000, 0),
    Caller(f"{IAM}:root", None, 0, 1, f"us.{HAIKU}", "us-east-1", 4_000, 500, 0),
    Caller(f"{ROLE}/indexer/batch-7", "search", 3, 3, "amazon.titan-embed-text-v2:0", "us-east-1", 300_000, 0, 0),
    Caller(f"{IAM}:user/alice", "growth", 1, 0, f"{ARN}:provisioned-model/pm9x8y7z6w5v", "us-east-1", 30_000, 4_000, 0),
)


def calling(day: date) -> Iterator[Caller]:
    """Who calls on `day`, and how: the week of November 16 differs from those before it, in ways that answers find."""
    yield TRIAGE._replace(working=10) if day >= date(2026, 11, 16) else TRIAGE  # more calls
    yield RAG._replace(model=f"us.{SONNET}") if day >= date(2026, 11, 17) else RAG  # another model
    yield SUPPORT._replace(fresh=95_000, cached=1_000) if day >= date(2026, 11, 18) else SUPPORT  # a lost cache
    yield BEN._replace(fresh=27_000) if day >= date(2026, 11, 16) else BEN  # longer prompts
    if day >= date(2026, 11, 17):
        yield REVIEW  # new
    if day < date(2026, 11, 13):
        yield EVAL  # gone
    yield ANA._replace(working=3 + 14, hours=(14, 15)) if day == date(2026, 11, 19) else ANA  # an hour that stands out
    yield from OTHERS


def eight_weeks(dice: random.Random) -> Iterator[dict[str, Any]]:
    """The calls of eight weeks, a day after the other, slowly more."""
    for back in range(7 * 8 - 1, -1, -1):
        midnight = (NOW - timedelta(days=back)).replace(hour=0)
        for caller in calling(midnight.date()):
            usual = caller.weekend if midnight.weekday() >= 5 else caller.working
            calls = usual + (dice.random() < usual * (56 - back) / 56 / 5)
            first, last = caller.hours
            for _ in range(calls):
                time = midnight + timedelta(seconds=dice.randrange(first * 3600, last * 3600))
                if time >= NOW:
                    continue
                spread = dice.uniform(0.7, 1.3)
                tokens = (
                    int(caller.fresh * spread),
                    int(caller.made * dice.uniform(0.7, 1.3)),
                    int(caller.cached * spread),
                )
                row = record(dice, time, caller.arn, caller.team, caller.model, caller.region, tokens)
                yield failed(row) if dice.random() < 0.02 else row


def write(path: Path, lines: Sequence[str]) -> None:
    path.write_bytes(gzip.compress("".join(f"{line}\n" for line in lines).encode(), mtime=0))
    print(f"{len(lines)} lines in {path.name}")


def as_lines(rows: Iterable[dict[str, Any]]) -> list[str]:
    """The records in order of time."""
    return [json.dumps(row, separators=(",", ":")) for row in sorted(rows, key=lambda row: str(row["timestamp"]))]


def main() -> None:
    dice = random.Random(7)  # noqa: S311 - figures for a demo
    lines = as_lines([*records(dice), *oddities(dice)])
    lines.insert(0, "Permissions are correctly set for Amazon Bedrock logs.")
    lines.insert(40, lines[39])  # delivered twice
    lines.insert(90, lines[89][: len(lines[89]) // 2])  # cut off
    EXAMPLES.mkdir(exist_ok=True)
    write(SAMPLE, lines)
    write(EIGHT_WEEKS, as_lines(eight_weeks(random.Random(8))))  # noqa: S311


if __name__ == "__main__":
    main()
