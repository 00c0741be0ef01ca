"""Logs behind Athena: the same report as from the same files on a disk."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import boto3
import pytest
from botocore.config import Config

from tests.fakes.athena import FakeAthena, athena
from tests.logs import ACCOUNT
from tests.sources.aws.delivered import DAYS, NAMES, QUESTIONS, REGION, from_files, make_log, reported, together
from tollbook.sources.aws.athena import Athena
from tollbook.sources.aws.athena_table import table_definition, table_of
from tollbook.sources.aws.delivery import delivery_of
from tollbook.sources.reading import Place, Watch

PLACE: Final = Place(ACCOUNT, REGION, "logs.bedrock")
DEFINITION: Final = table_definition(
    table_of("logs", "bedrock"), delivery_of("s3://bucket"), accounts=[ACCOUNT], regions=[REGION]
)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tree")
    make_log(folder)
    return folder


@pytest.fixture
def fake(tree: Path) -> Iterator[FakeAthena]:
    with athena(DEFINITION, tree) as fake:
        yield fake


def client_of(fake: FakeAthena) -> Any:
    config = Config(retries={"total_max_attempts": 1})
    keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
    return boto3.client("athena", region_name=REGION, endpoint_url=fake.url, config=config, **keys)


def source(fake: FakeAthena, **more: Any) -> Athena:
    given = {"s3": None, "names": NAMES, **more}
    return Athena(client_of(fake), PLACE, "logs", "bedrock", **given)


@pytest.mark.parametrize("question", QUESTIONS)
def test_the_report_is_that_of_the_same_files_on_a_disk(fake: FakeAthena, tree: Path, question: str) -> None:
    query = QUESTIONS[question]
    taken = source(fake).read(DAYS, query, Watch())
    assert reported(together(taken), query) == reported(from_files(tree, query), query)
