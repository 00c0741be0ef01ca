"""Logs in S3, as moto's server keeps them: the same report as from the same files on a disk."""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import boto3
import pytest
from botocore.config import Config

from tests.fakes.moto import moto_server
from tests.logs import ACCOUNT
from tollbook.app.book import price_book
from tollbook.sources.aws.s3 import S3Logs, places_in
from tollbook.sources.files import read_files
from tollbook.sources.reading import Place, Stretch, Taken, Watch
from tollbook.spend.ledger import ledger_query
from tollbook.spend.query import Query
from tollbook.spend.render.machine import document
from tollbook.spend.report import report_of
from tollbook.spend.tally import Counted
from tollbook.spend.window import Window

GENERATOR: Final = Path(__file__).parents[3] / "bench" / "gen_logs.py"
UTC_ZONE: Final = ZoneInfo("UTC")
FIRST: Final = datetime(2026, 11, 18, tzinfo=UTC)
DAYS: Final = 4
BUCKET: Final = "tollbook-logs"
PREFIX: Final = "team/logs"
PLACE: Final = Place(ACCOUNT, "us-east-1", f"s3://{BUCKET}/{PREFIX}")
DETAILED: Final = (
    "hour",
    "model",
    "scope",
    "session",
    "account",
    "region",
    "inference_region",
    "operation",
    "error",
    "tier",
    "tag:team",
)


def day(number: int) -> Stretch:
    return Stretch(FIRST + timedelta(days=number), FIRST + timedelta(days=number + 1))


ALL_DAYS: Final = [day(number) for number in range(DAYS)]


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log as Bedrock delivers it, of four days, some records twice and some broken."""
    folder = tmp_path_factory.mktemp("tree")
    words = ["--events", "3000", "--profile", "mixed", "--days", str(DAYS), "--dupes", "0.02", "--bad", "0.005"]
    words += ["--end", f"{FIRST + timedelta(days=DAYS):%Y-%m-%d}", "--per-file", "20", "--s3-tree", str(folder)]
    subprocess.run([sys.executable, str(GENERATOR), *words], check=True, capture_output=True)
    (folder / "tree.truth.json").unlink()
    return folder


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with moto_server(tmp_path_factory.mktemp("aws") / "moto.log") as url:
        yield url


def client_at(url: str, **more: Any) -> Any:
    config = Config(
        retries={"total_max_attempts": 1}, max_pool_connections=32, connect_timeout=5, read_timeout=60, **more
    )
    return boto3.client(
        "s3",
        region_name="us-east-1",
        endpoint_url=url,
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
        config=config,
    )


@pytest.fixture(scope="module")
def s3(aws: str, tree: Path) -> Any:
    client = client_at(aws)
    client.create_bucket(Bucket=BUCKET)
    for path in tree.rglob("*.gz"):
        client.put_object(Bucket=BUCKET, Key=f"{PREFIX}/{path.relative_to(tree)}", Body=path.read_bytes())
    return client


def logs(client: Any, **more: Any) -> S3Logs:
    return S3Logs(client, PLACE, BUCKET, PREFIX, ACCOUNT, "us-east-1", **more)


def reported(counted: Counted, query: Query) -> Any:
    """The JSON report, rows in order."""
    book, notes = price_book(None)
    found = document(report_of(counted, query, query.by, book, {}, notes))
    return found


def together(taken: Sequence[Taken]) -> Counted:
    counted = Counted()
    for one in taken:
        assert not one.unread
        counted.add(one.counted)
    return counted


def over(*by: str, zone: str = "UTC") -> Query:
    return Query(Window(ALL_DAYS[0].since, ALL_DAYS[-1].until, ZoneInfo(zone)), by)


@pytest.mark.parametrize(
    "query",
    [over(*DETAILED), over("day", "principal", zone="Asia/Kathmandu"), ledger_query(FIRST, FIRST, ["team", "env"])],
    ids=["by everything", "in another zone", "to be kept"],
)
def test_the_report_is_that_of_the_same_files_on_a_disk(s3: Any, tree: Path, query: Query) -> None:
    query = Query(Window(ALL_DAYS[0].since, ALL_DAYS[-1].until, query.window.zone), query.by)
    files = read_files([str(tree)], query, lambda _done, _total: None, processes=1)
    taken = logs(s3).read(ALL_DAYS, query, Watch())
    assert reported(together(taken), query) == reported(files.counted, query)
    assert files.counted.duplicates
    assert files.counted.rejected
