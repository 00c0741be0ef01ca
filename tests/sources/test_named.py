"""What a SOURCE means."""

import pytest

from tollbook.core.errors import UsageError
from tollbook.sources.named import LOG_GROUP, Named, named, one_kind


@pytest.mark.parametrize(
    ("source", "meant"),
    [
        ("logs.jsonl", Named("files", "logs.jsonl")),
        ("-", Named("files", "-")),
        ("C:/logs", Named("files", "C:/logs")),
        ("insights", Named("files", "insights")),
        ("cloudwatch", Named("cloudwatch", LOG_GROUP)),
        ("cloudwatch:", Named("cloudwatch", LOG_GROUP)),
        ("cloudwatch:/my/group", Named("cloudwatch", "/my/group")),
        ("events:", Named("events", LOG_GROUP)),
        ("insights:a.b#c-d_e/f", Named("insights", "a.b#c-d_e/f")),
        ("s3://bucket/some/prefix", Named("s3", "s3://bucket/some/prefix")),
        ("athena:finops.bedrock", Named("athena", "finops.bedrock")),
    ],
)
def test_a_source_is_a_file_or_says_what_it_is(source: str, meant: Named) -> None:
    assert named(source) == meant


@pytest.mark.parametrize(
    "source",
    ["cloudwatch:a`b", "cloudwatch:a|b", "events:a\nb", "insights:a'b", "cloudwatch:" + "a" * 513, "cloudwatch:größe"],
)
def test_threat_41_a_name_that_no_log_group_can_have_is_refused(source: str) -> None:
    with pytest.raises(UsageError, match=r"names no log group\. Write cloudwatch:"):
        named(source)


@pytest.mark.parametrize("source", ["athena:", "athena:table", "athena:a.b.c", "athena:.b", "athena:a."])
def test_a_table_has_a_database(source: str) -> None:
    with pytest.raises(UsageError, match=r"Write athena:DATABASE\.TABLE"):
        named(source)


def test_sources_of_one_kind_are_read_together_and_each_once() -> None:
    assert one_kind(["a.jsonl", "b.jsonl", "a.jsonl"]) == (Named("files", "a.jsonl"), Named("files", "b.jsonl"))
    assert len(one_kind(["cloudwatch:/a", "events:/b", "insights:/c"])) == 3
    assert one_kind([]) == ()


@pytest.mark.parametrize(
    "sources", [["cloudwatch", "s3://bucket"], ["s3://bucket", "athena:a.b"], ["logs.jsonl", "cloudwatch"]]
)
def test_sources_of_two_kinds_might_count_twice_and_are_refused(sources: list[str]) -> None:
    with pytest.raises(UsageError, match="would count twice"):
        one_kind(sources)


def test_one_group_is_not_read_in_two_ways() -> None:
    with pytest.raises(UsageError, match="named twice"):
        one_kind(["events:/a", "insights:/a"])
