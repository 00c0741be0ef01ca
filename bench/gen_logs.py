#!/usr/bin/env python3
"""Synthetic Amazon Bedrock model-invocation logs with a known answer.

    gen_logs.py --events 1000000 --profile small   --out small.jsonl
    gen_logs.py --events 200000  --profile body10k --out body10k.jsonl
    gen_logs.py --events 50000   --profile mixed   --s3-tree DIR [--per-file 200]   # AWSLogs/… of .json.gz
    gen_logs.py … --dupes 0.01 --bad 0.001 --days 35 --seed 7 --end 2026-11-22

Profiles:
    small    records of about 1.5 KB (short bodies)
    body10k  about 10 KB of bodies inline
    mixed    body sizes log-normal, median 3 KB, those over 100 KB offloaded to inputBodyS3Path

Writes OUT and OUT.truth.json: totals, and sums grouped by (day, modelId, identity, region, inferenceRegion,
operation), over the distinct, well-formed records. Compare a reader with it.

Traps on purpose: bodies contain nested "modelId"/"inputTokenCount"/"usage" keys and escaped quotes; identity is
absent on some; inferenceRegion is absent when not cross-region; requestMetadata is absent or mixed; errors have
no output; old records lack the cache fields; the key order differs (three real layouts); outputBodyJson is an
object or an array (streams); text is not only ASCII; timestamps end in "Z".

--chunk N: characters per streamed delta. Real streams have about one token, 4-5 characters; `mixed` uses 5, so a
    stream of 200 tokens already has over 800 leaf fields: past the 200 that Logs Insights extracts.
--dupes repeats whole records (delivery by CloudWatch and S3 is at-least-once); --bad adds broken lines.

The same arguments give the same bytes (a .gz of an S3 tree: the same content). Needs orjson.
"""

import argparse
import bisect
import gzip
import itertools
import json
import math
import random
import uuid
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any, Final, TypeVar

import orjson

Item = TypeVar("Item")
Json = dict[str, Any]

ACCOUNT: Final = "111122223333"
_TEXT: Final = (
    "the of and to in a is that for it as was with be by on not he his but at are this have from or had an they which "
    "one you were her all she there would their we him been has when who will more no if out so said what up its "
    "about into than them can only other new some could time these two may then do first any my now such like our "
    "over man me even most made after also did many before must through back years where much your way well down "
    "should because each just those people mr how too little state good very make world still own see men work long "
    "get here between both life being under never day same another know while last might us great old year off come "
    "since against go came right used take three invoice token budget contract schedule customer delivery analyse "
    "summary region latency lambda bucket policy résumé naïve Zürich 東京 größe σ"
)
_WORDS: Final = _TEXT.split()
_DECOY: Final = (
    ' {"modelId": "fake.model", "inputTokenCount": 99999, "usage": {"inputTokens": 1}} "quoted" \\ back\n\tindent'
)


@dataclass(frozen=True, slots=True)
class Model:
    id: str
    weight: float
    kind: str


_ARN: Final = f"arn:aws:bedrock:us-east-1:{ACCOUNT}"
_MODELS: Final = (
    Model(f"{_ARN}:inference-profile/us.anthropic.claude-sonnet-4-5-20250929-v1:0", 18, "claude"),
    Model("global.anthropic.claude-sonnet-4-6", 12, "claude"),
    Model("us.anthropic.claude-haiku-4-5-20251001-v1:0", 15, "claude"),
    Model("eu.anthropic.claude-opus-4-5-20251101-v1:0", 5, "claude"),
    Model("anthropic.claude-3-5-sonnet-20240620-v1:0", 4, "claude"),
    Model(f"{_ARN}:application-inference-profile/abc123def456", 10, "claude"),
    Model("amazon.nova-lite-v1:0", 8, "nova"),
    Model("us.amazon.nova-pro-v1:0", 5, "nova"),
    Model("amazon.nova-micro-v1:0", 4, "nova"),
    Model("us.meta.llama3-3-70b-instruct-v1:0", 4, "llama"),
    Model("openai.gpt-oss-120b-1:0", 3, "gptoss"),
    Model("us.deepseek.r1-v1:0", 2, "llama"),
    Model("mistral.mistral-large-2407-v1:0", 1, "llama"),
    Model("amazon.titan-embed-text-v2:0", 7, "embed"),
    Model("cohere.rerank-v3-5:0", 1, "rerank"),
    Model("stability.stable-image-core-v1:1", 0.5, "image"),
    Model(f"{_ARN}:provisioned-model/pm9x8y7z6w5v", 0.5, "claude"),
)
# Those that end in a hyphen get a session number.
_IDENTITIES: Final = (
    f"arn:aws:iam::{ACCOUNT}:user/alice",
    f"arn:aws:iam::{ACCOUNT}:user/ci/deploy-bot",
    f"arn:aws:iam::{ACCOUNT}:root",
    f"arn:aws:sts::{ACCOUNT}:assumed-role/AWSReservedSSO_Dev_0a1b2c3d4e5f6789/bob@example.com",
    f"arn:aws:sts::{ACCOUNT}:assumed-role/lambda-rag/rag-prod-fn",
    f"arn:aws:sts::{ACCOUNT}:assumed-role/eks-agent/eks-agent-pod-7c9f-",
    f"arn:aws:sts::{ACCOUNT}:assumed-role/AmazonBedrockExecutionRoleForAgents_X/BedrockAgents-",
    f"arn:aws:sts::{ACCOUNT}:federated-user/carol",
    f"arn:aws:iam::{ACCOUNT}:user/BedrockAPIKey-a1b2",
    *(f"arn:aws:sts::{ACCOUNT}:assumed-role/ccwb/dev{number:03d}@example.com" for number in range(60)),
)
_TEAMS: Final = ("search", "support", "legal", "growth", "platform", None)
_ERRORS: Final = ("ThrottlingException", "ValidationException", "ModelTimeoutException", "AccessDeniedException")
_CHUNKS: Final = {"small": 60, "body10k": 400, "mixed": 5}
_LONGEST_INLINE: Final = 100_000

# The orders of keys that real logs have.
_LAYOUTS: Final = tuple(
    text.split()
    for text in (
        "schemaType schemaVersion timestamp accountId identity region requestId operation modelId input output "
        "inferenceRegion requestMetadata",
        "timestamp accountId identity region requestId operation modelId requestMetadata input output "
        "inferenceRegion schemaType schemaVersion",
        "schemaType schemaVersion timestamp accountId region requestId operation modelId inferenceRegion identity "
        "input output requestMetadata",
    )
)


@dataclass(slots=True)
class Tokens:
    input: int
    output: int
    cache_read: int = 0
    cache_write: int = 0


class Writer:
    """Makes up records. The order in which it draws random numbers is what keeps its output the same."""

    def __init__(self, random_: random.Random, profile: str, chunk: int) -> None:
        self._random = random_
        self._profile = profile
        self._chunk = chunk or _CHUNKS[profile]
        self._word_weights = [1 / (rank + 2) for rank in range(len(_WORDS))]
        self._sentences = [self._words(40) + (_DECOY if number % 7 == 0 else "") for number in range(3000)]
        self._systems = [f"You are assistant {number}. " + self._words(60) for number in range(8)]
        self._models = list(itertools.accumulate(model.weight for model in _MODELS))
        self._identities = list(itertools.accumulate(1 / (rank + 1) ** 0.7 for rank in range(len(_IDENTITIES))))

    def record(self, number: int, time: datetime) -> Json:
        """The `number`-th record, of a call at `time`."""
        draw = self._random
        model = self._pick(_MODELS, self._models)
        arn = self._pick(_IDENTITIES, self._identities)
        if arn.endswith("-"):
            arn += f"{draw.randrange(400):05d}"
        region = "eu-west-1" if model.id.startswith("eu.") else "us-east-1"
        inference_region = self._inference_region(model, region)
        input_chars, output_chars = self._sizes()
        failed = draw.random() < 0.012
        streamed = draw.random() < 0.5
        tokens = self._tokens(model, input_chars, output_chars)
        system = draw.randrange(8)
        operation = self._operation(model, streamed)
        prompt, answer = self._text(input_chars), self._text(output_chars)
        given, made = self._bodies(model, operation, streamed, tokens, system, prompt, answer)
        request_id = str(uuid.UUID(int=draw.getrandbits(128), version=4))

        input_part: Json = {"inputContentType": "application/json"}
        if input_chars > _LONGEST_INLINE:
            folder = f"s3://logs/AWSLogs/{ACCOUNT}/BedrockModelInvocationLogs/{region}/{time:%Y/%m/%d/%H}/data"
            input_part["inputBodyS3Path"] = f"{folder}/{request_id}_input.json.gz"
        else:
            input_part["inputBodyJson"] = given
        input_part["inputTokenCount"] = tokens.input
        if model.kind in ("claude", "nova") and draw.random() < 0.9:
            input_part["cacheReadInputTokenCount"] = tokens.cache_read
            input_part["cacheWriteInputTokenCount"] = tokens.cache_write
        output_part: Json = {
            "outputContentType": "application/json",
            "outputBodyJson": made,
            "outputTokenCount": tokens.output,
        }
        metadata = None
        if draw.random() < 0.35:
            team = draw.choice(_TEAMS) or ""
            metadata = {"team": team, "app": f"app-{system}", "env": draw.choice(["prod", "dev"])}
        fields: Json = {
            "schemaType": "ModelInvocationLog",
            "schemaVersion": "1.0",
            "timestamp": f"{time:%Y-%m-%dT%H:%M:%SZ}",
            "accountId": ACCOUNT,
            "identity": {"arn": arn} if draw.random() > 0.01 else None,
            "region": region,
            "requestId": request_id,
            "operation": operation,
            "modelId": model.id,
            "input": input_part,
            "output": output_part,
            "inferenceRegion": inference_region,
            "requestMetadata": metadata,
        }
        record = {name: fields[name] for name in _LAYOUTS[number % 3] if fields[name] is not None}
        if failed:
            del record["output"]
            record["errorCode"] = draw.choice(_ERRORS)
            input_part.update((name, 0) for name in input_part if name.endswith("TokenCount"))
        return record

    def _pick(self, items: Sequence[Item], cumulated: Sequence[float]) -> Item:
        return items[bisect.bisect(cumulated, self._random.random() * cumulated[-1])]

    def _words(self, count: int) -> str:
        return " ".join(self._random.choices(_WORDS, self._word_weights, k=count))

    def _text(self, length: int) -> str:
        parts, so_far = [], 0
        while so_far < length:
            sentence = self._random.choice(self._sentences)
            parts.append(sentence)
            so_far += len(sentence) + 1
        return " ".join(parts)[: max(length, 8)]

    def _inference_region(self, model: Model, region: str) -> str | None:
        across = model.id.startswith(("us.", "eu.", "global.")) or "inference-profile/us." in model.id
        if not across or self._random.random() >= 0.97:
            return None
        american = ("us-east-1", "us-east-2", "us-west-2")
        return self._random.choice(american if region == "us-east-1" else ("eu-west-1", "eu-central-1"))

    def _sizes(self) -> tuple[int, int]:
        """Characters of the prompt and of the answer."""
        draw = self._random
        if self._profile == "small":
            given, made = draw.randrange(120, 420), draw.randrange(80, 260)
        elif self._profile == "body10k":
            given, made = int(draw.gauss(7800, 1500)), int(draw.gauss(1800, 500))
        else:
            given, made = int(draw.lognormvariate(8, 1.5)), int(draw.lognormvariate(6.5, 1))
        return max(given, 40), max(made, 40)

    def _tokens(self, model: Model, input_chars: int, output_chars: int) -> Tokens:
        draw = self._random
        tokens = Tokens(max(1, input_chars // 4), max(1, output_chars // 4))
        if model.kind in ("claude", "nova") and draw.random() < 0.6:
            tokens.cache_read = draw.randrange(0, 40000)
            tokens.cache_write = draw.randrange(0, 6000) if draw.random() < 0.3 else 0
        if model.kind in ("embed", "rerank", "image"):
            tokens.output = 0
        return tokens

    def _operation(self, model: Model, streamed: bool) -> str:
        if model.kind in ("embed", "rerank", "image"):
            return "InvokeModel"
        if self._random.random() < 0.55 or model.kind != "claude":
            return "ConverseStream" if streamed else "Converse"
        return "InvokeModelWithResponseStream" if streamed else "InvokeModel"

    def _bodies(
        self, model: Model, operation: str, streamed: bool, tokens: Tokens, system: int, prompt: str, answer: str
    ) -> tuple[Json, Json | list[Json]]:
        """The bodies of request and answer, in the form of the operation and the model's vendor."""
        if operation.startswith("Converse"):
            return self._converse_bodies(tokens, system, prompt, answer)
        if model.kind == "embed":
            embedding = [round(self._random.uniform(-0.1, 0.1), 6) for _ in range(16)]
            given = {"inputText": prompt, "dimensions": 1024, "normalize": True}
            return given, {"embedding": embedding, "inputTextTokenCount": tokens.input}
        if model.kind in ("rerank", "image"):
            given = {"query": prompt[:80], "documents": [prompt], "api_version": 2}
            return given, {"results": [{"index": 0, "relevance_score": 0.9}]}
        given = {
            "anthropic_version": "bedrock-2023-05-31",
            "max_tokens": 1024,
            "messages": [{"role": "user", "content": prompt}],
        }
        return given, self._anthropic_stream(tokens, answer) if streamed else _anthropic_message(tokens, answer)

    def _converse_bodies(self, tokens: Tokens, system: int, prompt: str, answer: str) -> tuple[Json, Json]:
        given = {
            "messages": [{"role": "user", "content": [{"text": prompt}]}],
            "system": [{"text": self._systems[system][: 200 if self._profile == "small" else 400]}],
            "inferenceConfig": {"maxTokens": 1024, "temperature": 0.2},
        }
        made = {
            "output": {"message": {"role": "assistant", "content": [{"text": answer}]}},
            "stopReason": "end_turn",
            "metrics": {"latencyMs": int(self._random.lognormvariate(7.5, 0.8))},
            "usage": {
                "inputTokens": tokens.input,
                "outputTokens": tokens.output,
                "totalTokens": tokens.input + tokens.output,
                "cacheReadInputTokens": tokens.cache_read,
                "cacheWriteInputTokens": tokens.cache_write,
            },
        }
        return given, made

    def _anthropic_stream(self, tokens: Tokens, answer: str) -> list[Json]:
        step = math.ceil(len(answer) / max(1, len(answer) // self._chunk))
        deltas = [answer[start : start + step] for start in range(0, len(answer), step)]
        metrics = {
            "inputTokenCount": tokens.input,
            "outputTokenCount": tokens.output,
            "invocationLatency": 3037,
            "firstByteLatency": 635,
            "cacheReadInputTokenCount": tokens.cache_read,
            "cacheWriteInputTokenCount": tokens.cache_write,
        }
        message = {"id": "msg_x", "role": "assistant", "usage": _anthropic_usage(tokens)}
        end = {"stop_reason": "end_turn"}
        return [
            {"type": "message_start", "message": message},
            *(
                {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}
                for text in deltas
            ),
            {"type": "message_delta", "delta": end, "usage": {"output_tokens": tokens.output}},
            {"type": "message_stop", "amazon-bedrock-invocationMetrics": metrics},
        ]


def _anthropic_message(tokens: Tokens, answer: str) -> Json:
    return {
        "id": "msg_x",
        "type": "message",
        "role": "assistant",
        "content": [{"type": "text", "text": answer}],
        "stop_reason": "end_turn",
        "usage": _anthropic_usage(tokens),
    }


def _anthropic_usage(tokens: Tokens) -> Json:
    return {
        "input_tokens": tokens.input,
        "output_tokens": tokens.output,
        "cache_read_input_tokens": tokens.cache_read,
        "cache_creation_input_tokens": tokens.cache_write,
        "cache_creation": {"ephemeral_5m_input_tokens": tokens.cache_write, "ephemeral_1h_input_tokens": 0},
    }


class Truth:
    """What a reader must find: requests, input, output, cache reads, cache writes and errors, by group."""

    NAMES: Final = ("requests", "input", "output", "cacheRead", "cacheWrite", "errors")

    def __init__(self) -> None:
        self.groups: dict[tuple[str, ...], list[int]] = defaultdict(lambda: [0] * len(self.NAMES))

    def add(self, record: Json) -> None:
        group = self.groups[
            record["timestamp"][:10],
            record["modelId"],
            record.get("identity", {}).get("arn", ""),
            record["region"],
            record.get("inferenceRegion", ""),
            record["operation"],
        ]
        given, made = record["input"], record.get("output", {})
        figures = (
            1,
            given["inputTokenCount"],
            made.get("outputTokenCount", 0),
            given.get("cacheReadInputTokenCount", 0),
            given.get("cacheWriteInputTokenCount", 0),
            int("errorCode" in record),
        )
        for place, figure in enumerate(figures):
            group[place] += figure

    def totals(self) -> list[int]:
        return [sum(figures) for figures in zip(*self.groups.values(), strict=True)]

    def write(self, path: Path, events: int, dupes: int, bad: int) -> None:
        document = {
            "events": events,
            "dupes": dupes,
            "bad": bad,
            "totals": dict(zip(self.NAMES, self.totals(), strict=False)),
            "groups": len(self.groups),
            "rows": [[*key, *figures] for key, figures in sorted(self.groups.items())],
        }
        path.write_text(json.dumps(document))


class S3Tree:
    """`AWSLogs/…/YYYY/MM/DD/HH/*.json.gz`, as Bedrock delivers to S3, by the hour and so many records to a file."""

    def __init__(self, folder: Path, per_file: int, level: int, random_: random.Random) -> None:
        self._folder = folder / f"AWSLogs/{ACCOUNT}/BedrockModelInvocationLogs/us-east-1"
        self._per_file = per_file
        self._level = level
        self._random = random_
        self._lines: list[bytes] = []
        self._hour: datetime | None = None

    def add(self, time: datetime, lines: list[bytes]) -> None:
        hour = time.replace(minute=0, second=0, microsecond=0)
        if hour != self._hour or len(self._lines) >= self._per_file:
            self.flush()
        self._hour = hour
        self._lines += lines

    def flush(self) -> None:
        """Writes what waits for its hour's end."""
        if self._hour is None or not self._lines:
            return
        folder = self._folder / f"{self._hour:%Y/%m/%d/%H}"
        folder.mkdir(parents=True, exist_ok=True)
        stamp = f"{self._hour:%Y%m%dT%H%M%S%f}"[:18]
        file = folder / f"{stamp}Z_{self._random.getrandbits(64):016x}.json.gz"
        file.write_bytes(gzip.compress(b"".join(self._lines), self._level))
        self._lines = []


def write_logs(options: argparse.Namespace, file: IO[bytes] | None, truth_file: Path) -> None:
    draw = random.Random(options.seed)
    writer = Writer(draw, options.profile, options.chunk)
    tree = S3Tree(Path(options.s3_tree), options.per_file, options.level, draw) if options.s3_tree else None
    truth = Truth()
    span = options.days * 86400
    end = datetime.fromisoformat(options.end).replace(tzinfo=UTC)
    dupes = bad = 0
    for number, offset in enumerate(sorted(draw.random() * span for _ in range(options.events))):
        time = end - timedelta(seconds=span - offset)
        record = writer.record(number, time)
        truth.add(record)
        line = orjson.dumps(record) + b"\n"
        lines = [line]
        if options.dupes and draw.random() < options.dupes:
            lines.append(line)
            dupes += 1
        if options.bad and draw.random() < options.bad:
            lines.append(line[: len(line) // 2].rstrip(b"\n") + b"\n")
            bad += 1
        if file:
            file.writelines(lines)
        if tree:
            tree.add(time, lines)
    if tree:
        tree.flush()
    truth.write(truth_file, options.events, dupes, bad)
    print(options.out or truth_file.with_suffix("").with_suffix(""), truth.totals(), end=" ")
    print("groups", len(truth.groups), "dupes", dupes, "bad", bad)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=100000)
    parser.add_argument("--profile", choices=["small", "body10k", "mixed"], default="small")
    parser.add_argument("--out")
    parser.add_argument("--s3-tree")
    parser.add_argument("--per-file", type=int, default=200)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--end", default="2026-11-22")
    parser.add_argument("--dupes", type=float, default=0)
    parser.add_argument("--bad", type=float, default=0)
    parser.add_argument("--level", type=int, default=6)
    parser.add_argument("--chunk", type=int, default=0)
    options = parser.parse_args()
    if not (options.out or options.s3_tree):
        parser.error("give --out, --s3-tree or both")
    truth_file = Path(f"{options.out or Path(options.s3_tree, 'tree')}.truth.json")
    if options.out:
        with Path(options.out).open("wb", buffering=1 << 20) as file:
            write_logs(options, file, truth_file)
    else:
        truth_file.parent.mkdir(parents=True, exist_ok=True)
        write_logs(options, None, truth_file)


if __name__ == "__main__":
    main()
