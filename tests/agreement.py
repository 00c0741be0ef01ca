"""One log, read in every way there is: from files, by FilterLogEvents, Logs Insights, S3 and Athena.

    python -m tests.agreement --events 50000 --profile mixed [--dupes 0.01] [--bad 0.001]

CloudWatch Logs and S3 are moto's, Insights is `tests.fakes.insights`, and Athena `tests.fakes.athena`, whose queries
DuckDB answers.
"""

import argparse
import gzip
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import boto3
import msgspec
from botocore.config import Config

from tests.fakes.athena import athena
from tests.fakes.insights import FakeInsights, serving_insights
from tests.fakes.moto import moto_server
from tests.logs import ACCOUNT
from tollbook.sources.aws.athena.table import table_definition, table_of
from tollbook.sources.aws.delivery import delivery_of

REGION: Final = "us-east-1"
GROUP: Final = "/aws/bedrock/modelinvocations"
DAYS: Final = 13  # moto drops events that are older than 14
BY: Final = "day,model,principal,account,region,inference_region,operation,error,tag:team"
_GENERATOR: Final = Path(__file__).parents[1] / "bench" / "gen_logs.py"
_STREAM: Final = "aws/bedrock/modelinvocations"
_BATCH: Final = 500  # events of up to 100 KB at once, far below the megabyte that AWS takes
_KEYS: Final = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_REGION": REGION}
_CONFIG: Final = Config(s3={"addressing_style": "path"})


class Answer(msgspec.Struct, frozen=True):
    """What one way to read a log says of it.

    Attributes:
        report: as `--format json` has it.
    """

    way: str
    report: Mapping[str, Any]
    seconds: float

    @property
    def figures(self) -> Mapping[str, Any]:
        """What must be the same, whoever reads."""
        return {key: self.report[key] for key in ("totals", "groups", "unpriced")}


def answers(folder: Path, words: Sequence[str], by: str = BY) -> Iterator[Answer]:
    """The answer of every way to read a log of 13 days up to the beginning of today; that of files comes first.

    Args:
        folder: an empty one.
        words: for `bench/gen_logs.py`: how many events of which kind.
    """
    midnight = datetime.combine(datetime.now(UTC).date(), datetime.min.time(), UTC)
    tree = made(folder, midnight, words)
    span = (
        "--since",
        f"{midnight - timedelta(days=DAYS):%Y-%m-%d}",
        "--until",
        f"{midnight - timedelta(days=1):%Y-%m-%d}",
    )
    yield _answer("files", str(tree), span, by, {})
    with played(folder, tree) as ways:
        for way in ways:
            yield _answer(way.name, way.source, span, by, way.environment)


class Way(msgspec.Struct, frozen=True):
    """A way to read a log that is played here.

    Attributes:
        environment: where it is played.
    """

    name: str
    source: str
    environment: Mapping[str, str]


@contextmanager
def played(folder: Path, tree: Path) -> Iterator[Sequence[Way]]:
    """The ways to read the log in `tree`, until the end of the block."""
    events = list(_events(tree))
    definition = table_definition(
        table_of("logs", "bedrock"), delivery_of("s3://bucket"), accounts=[ACCOUNT], regions=[REGION]
    )
    with (
        moto_server(folder / "moto.log") as moto,
        serving_insights(FakeInsights(events, GROUP)) as insights,
        athena(definition, tree) as table,
    ):
        _deliver(moto, tree)
        _put(moto, events)
        at_moto = {**_KEYS, "AWS_ENDPOINT_URL": moto}
        yield (
            Way("FilterLogEvents", f"events:{GROUP}", at_moto),
            Way("Logs Insights", f"insights:{GROUP}", {**at_moto, "AWS_ENDPOINT_URL_CLOUDWATCH_LOGS": insights.url}),
            Way("S3", "s3://bucket", at_moto),
            Way("Athena", "athena:logs.bedrock", {**at_moto, "AWS_ENDPOINT_URL_ATHENA": table.url}),
        )


def made(folder: Path, midnight: datetime, words: Sequence[str]) -> Path:
    """A log of 13 days up to `midnight`, as Bedrock delivers it to S3."""
    tree = folder / "tree"
    asked = [*words, "--days", str(DAYS), "--end", f"{midnight:%Y-%m-%d}", "--s3-tree", str(tree)]
    subprocess.run([sys.executable, str(_GENERATOR), *asked], check=True, capture_output=True)
    return tree


def _answer(way: str, source: str, span: Sequence[str], by: str, environment: Mapping[str, str]) -> Answer:
    began = time.monotonic()
    command = [sys.executable, "-m", "tollbook", "report", source, *span, "--by", by, "--format", "json", "--yes"]
    told = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
    told |= {"TOLLBOOK_LOOK_UP": "none", "TOLLBOOK_CLOSED_DAYS": "none", **environment}
    found = subprocess.run(command, env=told, capture_output=True, text=True, check=False)
    if found.returncode:
        raise RuntimeError(f"{way}: {found.stderr}")
    return Answer(way, json.loads(found.stdout), time.monotonic() - began)


def _events(tree: Path) -> Iterator[tuple[int, str]]:
    """The records in the files of `tree`, each with the time at which it would be logged."""
    last = 0
    for path in sorted(tree.rglob("*.json.gz")):
        for line in gzip.decompress(path.read_bytes()).decode().splitlines():
            with suppress(ValueError, KeyError, TypeError):  # what is no record lies among its neighbours
                last = int(datetime.fromisoformat(json.loads(line)["timestamp"]).timestamp() * 1000)
            if line:
                yield last, line


def _put(moto: str, events: Sequence[tuple[int, str]]) -> None:
    client = _client("logs", moto)
    client.create_log_group(logGroupName=GROUP)
    client.create_log_stream(logGroupName=GROUP, logStreamName=_STREAM)
    ordered = sorted(events)
    for start in range(0, len(ordered), _BATCH):
        client.put_log_events(
            logGroupName=GROUP,
            logStreamName=_STREAM,
            logEvents=[{"timestamp": at, "message": message} for at, message in ordered[start : start + _BATCH]],
        )


def _deliver(moto: str, tree: Path) -> None:
    client = _client("s3", moto)
    client.create_bucket(Bucket="bucket")
    for path in filter(Path.is_file, tree.rglob("*")):
        client.put_object(Bucket="bucket", Key=path.relative_to(tree).as_posix(), Body=path.read_bytes())


def _client(service: str, url: str) -> Any:
    return boto3.session.Session().client(
        service,
        endpoint_url=url,
        region_name=REGION,
        config=_CONFIG,
        **dict.fromkeys(("aws_access_key_id", "aws_secret_access_key"), "testing"),
    )


def _main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", default="50000")
    parser.add_argument("--profile", default="mixed")
    parser.add_argument("--dupes", default="0")
    parser.add_argument("--bad", default="0")
    options = parser.parse_args()
    words = [word for name, value in vars(options).items() for word in (f"--{name}", value)]
    print(f"{options.events} events, {options.profile}, {options.dupes} of them twice, {options.bad} broken\n")
    print("| read by | calls | errors | tokens | dollars | the same as files | seconds |")
    print("| --- | ---: | ---: | ---: | ---: | --- | ---: |")
    first: Answer | None = None
    with tempfile.TemporaryDirectory() as folder:
        for answer in answers(Path(folder), words):
            first = first or answer
            total = answer.report["totals"]
            tokens = sum(total[f"{kind}_tokens"] for kind in ("input", "output", "cache_read", "cache_write"))
            same = (
                "yes"
                if answer.figures == first.figures
                else f"{total['calls'] - first.report['totals']['calls']:+} calls"
            )
            print(
                f"| {answer.way} | {total['calls']:,} | {total['errors']:,} | {tokens:,} | {total['cost_usd']} | "
                f"{same} | {answer.seconds:.1f} |",
                flush=True,
            )
    return 0


if __name__ == "__main__":
    sys.exit(_main())
