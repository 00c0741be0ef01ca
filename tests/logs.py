"""Log records for tests, and a way to ask tollbook about them as a user does."""

import gzip
import itertools
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ACCOUNT = "111122223333"
SONNET = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
SAMPLES = Path(__file__).parent / "data" / "records.jsonl"
_ids = (f"id-{number}" for number in itertools.count())


@dataclass(frozen=True)
class Answer:
    """What the program said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        assert self.code == 0, self.err
        return json.loads(self.out)


Ask = Callable[..., Answer]


def call(
    *,
    model: str = SONNET,
    tokens: tuple[int | None, int | None] = (1000, 100),
    cache: tuple[int, int] | None = None,
    arn: str | None = f"arn:aws:iam::{ACCOUNT}:user/alice",
    body: object = None,
    **fields: object,
) -> dict[str, Any]:
    """A record of one call. `tokens` are input and output, `cache` reads and writes; None leaves a field out."""
    given = {"inputContentType": "application/json", "inputTokenCount": tokens[0]}
    if cache is not None:
        given |= {"cacheReadInputTokenCount": cache[0], "cacheWriteInputTokenCount": cache[1]}
    made = {"outputContentType": "application/json", "outputBodyJson": body, "outputTokenCount": tokens[1]}
    record = {
        "schemaType": "ModelInvocationLog",
        "schemaVersion": "1.0",
        "timestamp": "2026-11-20T09:15:02Z",
        "accountId": ACCOUNT,
        "identity": None if arn is None else {"arn": arn},
        "region": "us-east-1",
        "requestId": next(_ids),
        "operation": "Converse",
        "modelId": model,
        "input": _present(given),
        "output": _present(made),
    }
    return _present({**record, **fields})


def _present(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if value is not None}


def lines(records: Iterable[object]) -> bytes:
    """JSON lines; a string among the records stands as it is."""
    return b"".join((row if isinstance(row, str) else json.dumps(row)).encode() + b"\n" for row in records)


def write(path: Path, *records: object) -> str:
    """Writes records to `path`, compressed if its name says so; gives the path as a user would type it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(lines(records)) if path.suffix == ".gz" else lines(records))
    return str(path)
