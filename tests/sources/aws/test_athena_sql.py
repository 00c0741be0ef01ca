"""What Athena is told, as text: the table that `tollbook athena ddl` prints, and the question put to it."""

import gzip
import re
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest
import sqlglot
from sqlglot import exp

from tests.fakes.athena import Table, run
from tests.logs import ACCOUNT, Ask, call, lines
from tests.sources.aws.delivered import DAYS, FIRST, REGION, deliver, make_log
from tollbook.core.errors import UsageError
from tollbook.sources.aws.athena.sql import Asked, columns_of, question
from tollbook.sources.aws.athena.table import table_definition, table_of
from tollbook.sources.aws.delivery import Delivery, delivery_of
from tollbook.sources.reading import Stretch

TABLE: Final = table_of("logs", "bedrock")
BY_HOUR: Final = Asked(3600, False, ())
DDL: Final = ("athena", "ddl", "s3://my-logs/team/logs", "--accounts", f"{ACCOUNT},444455556666")


def test_the_statement_that_is_printed_is_one_that_athena_understands(ask: Ask) -> None:
    said = ask(*DDL, "--regions", "us-east-1,eu-west-1", "--since", "2026-01-05", "--database", "Finops")
    assert (said.code, said.err) == (0, "")
    statement = sqlglot.parse_one(said.out, read="athena")
    assert isinstance(statement, exp.Create)
    assert statement.find(exp.ExternalProperty)
    assert (statement.this.this.db, statement.this.this.name) == ("finops", "bedrock_logs")
    table = Table(said.out, Path())
    assert table.partitions == ["log_account", "log_region", "log_hour"]
    projection = {name.removeprefix("projection."): value for name, value in table.properties.items() if "ion." in name}
    assert projection == {
        "enabled": "true",
        "log_account.type": "enum",
        "log_account.values": f"{ACCOUNT},444455556666",
        "log_region.type": "enum",
        "log_region.values": "us-east-1,eu-west-1",
        "log_hour.type": "date",
        "log_hour.format": "yyyy/MM/dd/HH",
        "log_hour.range": "2026/01/05/00,NOW",
        "log_hour.interval": "1",
        "log_hour.interval.unit": "HOURS",
        "storage.location.template": projection["storage.location.template"],
    }


def test_a_file_of_a_real_tree_lies_where_the_template_leads(tmp_path: Path) -> None:
    make_log(tmp_path)
    delivery = delivery_of("s3://bucket")
    table = Table(table_definition(TABLE, delivery, accounts=[ACCOUNT], regions=[REGION]), tmp_path)
    found = {path for path, _ in table.files()}
    assert found == set(tmp_path.rglob("*.gz"))
    for path, values in table.files():
        template = table.properties["storage.location.template"]
        folder = re.sub(r"\$\{(\w+)\}", lambda match, values=values: values[match[1]], template)  # type: ignore[misc]
        assert f"s3://bucket/{path.relative_to(tmp_path)}".startswith(folder)


def test_a_prefix_and_a_first_day_narrow_where_files_are_looked_for(tmp_path: Path) -> None:
    here = deliver(tmp_path / "team" / "logs", FIRST)
    deliver(tmp_path, FIRST)
    deliver(tmp_path / "team" / "logs", FIRST - timedelta(days=1))
    deliver(tmp_path / "team" / "logs", FIRST, region="eu-west-1")
    definition = table_definition(
        TABLE, delivery_of("s3://bucket/team/logs/"), accounts=[ACCOUNT], regions=[REGION], since=FIRST.date()
    )
    assert [path for path, _ in Table(definition, tmp_path).files()] == [here]


def test_without_accounts_and_regions_a_question_has_to_name_them(ask: Ask) -> None:
    table = Table(ask("athena", "ddl", "s3://my-logs").out, Path())
    assert table.properties["projection.log_account.type"] == "injected"
    assert table.properties["projection.log_region.type"] == "injected"
    assert table.properties["projection.log_hour.range"] == "2023/09/28/00,NOW"
    assert "${log_account}" in table.properties["storage.location.template"]


def test_the_address_of_one_region_of_one_account_says_whose_logs_are_meant(ask: Ask) -> None:
    place = f"s3://my-logs/x/AWSLogs/{ACCOUNT}/BedrockModelInvocationLogs/eu-west-1/2026/11/"
    table = Table(ask("athena", "ddl", place).out, Path())
    assert table.properties["projection.log_account.values"] == ACCOUNT
    assert table.properties["projection.log_region.values"] == "eu-west-1"
    assert table.properties["storage.location.template"].startswith("s3://my-logs/x/AWSLogs/${log_account}/")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("s3://My_Logs",), "'s3://My_Logs' names no bucket of S3. Write s3://BUCKET or s3://BUCKET/PREFIX"),
        (("logs",), "'logs' names no bucket of S3."),
        (("s3://my-logs/it's",), 'Athena cannot be told of "s3://my-logs/it\'s"'),
        (("s3://my-logs/a${b}",), "Athena cannot be told of"),
        (("s3://my-logs/AWSLogs/nobody",), "does not lie where Bedrock delivers logs."),
        (("s3://my-logs", "--accounts", "12345"), "'12345' is no account of AWS. An account's id has twelve digits."),
        (("s3://my-logs", "--regions", "Frankfurt"), "'Frankfurt' is no region of AWS. Write it as in eu-west-1."),
        (("s3://my-logs", "--table", "a`; DROP TABLE b"), "cannot be the name of a table in Athena. Use letters"),
        (("s3://my-logs", "--database", "ö"), "'\\xf6' cannot be the name of a database in Athena."),
        (("s3://my-logs", "--since", "lately"), "--since 'lately' is no date or time."),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(ask: Ask, words: tuple[str, ...], sentence: str) -> None:
    said = ask("athena", "ddl", *words)
    assert said.code == 2
    assert sentence in said.err
    assert not said.out


def test_help_says_what_a_query_costs(ask: Ask) -> None:
    said = ask("athena", "ddl", "--help").out
    assert "tollbook athena ddl s3://my-logs" in said
    assert "$5 for every TB" in said
    assert "ddl" in ask("athena", "--help").out
    assert ask("athena").code == 2


def test_the_question_looks_into_the_hours_of_its_stretch_and_one_more() -> None:
    part = Stretch(FIRST + timedelta(hours=5, minutes=15), FIRST + timedelta(hours=7))
    text = question(TABLE, part, BY_HOUR)
    assert "log_hour >= '2026/11/18/05' AND log_hour <= '2026/11/18/07'" in text
    assert text.count('"logs"."bedrock"') == 1  # a second look would be a second scan
    part = Stretch(FIRST, FIRST + timedelta(hours=6, minutes=1))
    assert "log_hour <= '2026/11/18/07'" in question(TABLE, part, BY_HOUR)
    assert len(text.encode()) < 262_144  # https://docs.aws.amazon.com/athena/latest/ug/service-limits.html


def test_the_answer_has_the_columns_that_are_expected() -> None:
    asked = Asked(900, True, ("team", "it's"))
    statement = sqlglot.parse_one(question(TABLE, DAYS[0], asked), read="athena")
    assert [found.alias_or_name for found in statement.args["expressions"]] == list(columns_of(asked))


@pytest.mark.parametrize("key", ["team", "it's", "'; DROP TABLE x; --", "a\\'b", '"', "$path", "größe", "Team"])
def test_a_tag_of_any_name_is_found_and_is_nothing_but_a_name(tmp_path: Path, key: str) -> None:
    one = call(timestamp="2026-11-18T00:00:00Z", requestMetadata={key: "found", "other": "x"})
    deliver(tmp_path, FIRST, one)
    table = Table(table_definition(TABLE, Delivery("bucket"), accounts=[ACCOUNT], regions=[REGION]), tmp_path)
    asked = Asked(3600, False, (key,))
    (_, answer), _ = run(question(TABLE, DAYS[0], asked), table)
    assert answer[columns_of(asked).index("tag_0")] == "found"


@pytest.mark.parametrize("key", ["", "a\nb", "x" * 257, "a\u202eb"])
def test_what_cannot_be_a_tag_is_refused(key: str) -> None:
    with pytest.raises(UsageError, match="cannot be a key of request metadata"):
        question(TABLE, DAYS[0], Asked(3600, False, (key,)))


def test_bodies_below_an_hour_are_no_records_and_a_prefix_may_look_like_theirs(tmp_path: Path) -> None:
    folder = tmp_path / "2026" / "11" / "18" / "00" / "data"
    record = deliver(folder, FIRST, call(timestamp="2026-11-18T00:00:00Z"))
    body = record.parent / "data" / "id_output.json.gz"
    body.parent.mkdir()
    body.write_bytes(gzip.compress(lines([call(timestamp="2026-11-18T00:00:00Z")])))
    delivery = delivery_of("s3://bucket/2026/11/18/00/data")
    table = Table(table_definition(TABLE, delivery, accounts=[ACCOUNT], regions=[REGION]), tmp_path)
    (_, answer), scanned = run(question(TABLE, DAYS[0], BY_HOUR), table)
    assert answer[columns_of(BY_HOUR).index("records")] == "1"
    assert scanned == record.stat().st_size + body.stat().st_size
