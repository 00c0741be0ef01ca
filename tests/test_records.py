"""Every form that a record takes, and every form that is none."""

import json
from pathlib import Path
from typing import Any, ClassVar

import pytest

from tests.logs import ACCOUNT, SONNET, Ask, call, lines, write

ARN = f"arn:aws:bedrock:us-east-1:{ACCOUNT}"


def report(ask: Ask, path: Path, *records: object, by: str = "model", words: tuple[str, ...] = ()) -> Any:
    return ask("report", write(path / "log.jsonl", *records), "--by", by, "--format", "json", *words).json


def only(found: Any) -> Any:
    (group,) = found["groups"]
    return group


@pytest.mark.parametrize(
    ("model_id", "model", "scope"),
    [
        ("amazon.nova-lite-v1:0", "amazon.nova-lite-v1:0", "in-region"),
        ("deepseek.v3.2", "deepseek.v3.2", "in-region"),
        ("constructor", "constructor", "in-region"),
        ("eu.amazon.nova-pro-v1:0", "amazon.nova-pro-v1:0", "eu"),
        ("us-gov.anthropic.claude-sonnet-5", "anthropic.claude-sonnet-5", "us-gov"),
        ("global.anthropic.claude-sonnet-4-6", "anthropic.claude-sonnet-4-6", "global"),
        ("in.moonshotai.kimi-k3", "moonshotai.kimi-k3", "in"),
        ("arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-lite-v1:0", "amazon.nova-lite-v1:0", "in-region"),
        (f"{ARN}:inference-profile/apac.amazon.nova-lite-v1:0", "amazon.nova-lite-v1:0", "apac"),
        ("arn:aws-us-gov:bedrock:us-gov-west-1::foundation-model/a.b", "a.b", "in-region"),
        (f"{ARN}:application-inference-profile/abc123", "application-inference-profile/abc123", "in-region"),
        (f"{ARN}:provisioned-model/pm9x8y", "provisioned-model/pm9x8y", "in-region"),
        (f"{ARN}:imported-model/im1", "imported-model/im1", "in-region"),
        (f"{ARN}:default-prompt-router/anthropic.claude:1", "default-prompt-router/anthropic.claude:1", "in-region"),
    ],
)
def test_a_model_id_means_a_model_and_a_scope(ask: Ask, tmp_path: Path, model_id: str, model: str, scope: str) -> None:
    group = only(report(ask, tmp_path, call(model=model_id), by="model,scope"))
    assert (group["model"], group["scope"]) == (model, scope)


@pytest.mark.parametrize(
    ("arn", "principal", "session"),
    [
        (f"arn:aws:iam::{ACCOUNT}:user/alice", "user/alice", "user/alice"),
        (f"arn:aws:iam::{ACCOUNT}:user/ci/deploy-bot", "user/ci/deploy-bot", "user/ci/deploy-bot"),
        (f"arn:aws:iam::{ACCOUNT}:root", "root", "root"),
        (f"arn:aws:sts::{ACCOUNT}:assumed-role/rag/i-0abc", "role/rag", "role/rag/i-0abc"),
        (f"arn:aws:sts::{ACCOUNT}:federated-user/carol", "federated-user/carol", "federated-user/carol"),
        (f"arn:aws-cn:sts::{ACCOUNT}:assumed-role/rag/x", "role/rag", "role/rag/x"),
        ("somebody", "somebody", "somebody"),
        (None, "unknown", "unknown"),
    ],
)
def test_an_identity_is_a_principal_and_a_session(
    ask: Ask, tmp_path: Path, arn: str | None, principal: str, session: str
) -> None:
    group = only(report(ask, tmp_path, call(arn=arn), by="principal,session"))
    assert (group["principal"], group["session"]) == (principal, session)


def test_the_order_of_keys_does_not_matter(ask: Ask, tmp_path: Path) -> None:
    record = call(cache=(7, 5), inferenceRegion="us-west-2", requestMetadata={"team": "search"})
    turned = dict(reversed(record.items()))
    turned["requestId"] = "another"
    group = only(report(ask, tmp_path, record, turned, by="inference_region,tag:team"))
    assert (group["inference_region"], group["tag:team"], group["calls"]) == ("us-west-2", "search", 2)


def test_fields_may_be_missing_or_null(ask: Ask, tmp_path: Path) -> None:
    bare = {"timestamp": "2026-11-20T09:15:02Z", "modelId": "amazon.nova-lite-v1:0"}
    nulls = {**bare, "identity": None, "region": None, "input": None, "output": None, "requestMetadata": None}
    names = "principal,region,inference_region,operation,account,error,profile,tag:team"
    group = only(report(ask, tmp_path, bare, nulls, by=names))
    assert [group[name] for name in names.split(",")] == ["unknown"] * 5 + [None] * 3
    assert group["calls"] == 2


def test_text_fields_of_another_type_are_as_good_as_missing(ask: Ask, tmp_path: Path) -> None:
    record = call(region=5, identity="me", requestMetadata=["x"], operation={"a": 1}, errorCode=False)
    group = only(report(ask, tmp_path, record, by="region,principal,operation,tag:team"))
    assert group["calls"] == 1
    assert (group["region"], group["principal"], group["operation"]) == ("unknown", "unknown", "unknown")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("not json at all", "not_json"),
        (json.dumps(call())[:300], "not_json"),
        ("[1, 2]", "not_an_invocation"),
        ('"text"', "not_an_invocation"),
        ('{"some": "log"}', "not_an_invocation"),
        (json.dumps(call(modelId="")), "not_an_invocation"),
        (json.dumps(call(modelId=7)), "not_an_invocation"),
        (json.dumps({**call(), "timestamp": None}), "no_timestamp"),
        (json.dumps({key: value for key, value in call().items() if key != "timestamp"}), "no_timestamp"),
        (json.dumps(call(timestamp="yesterday")), "bad_timestamp"),
        (json.dumps(call(timestamp="2026-11-20T09:15:02")), "bad_timestamp"),
        (json.dumps(call(timestamp={"at": 1})), "bad_timestamp"),
        (json.dumps(call(timestamp=10**30)), "bad_timestamp"),
        (json.dumps(call(input={"inputTokenCount": "1000"})), "bad_token_count"),
        (json.dumps(call(input={"inputTokenCount": -1})), "bad_token_count"),
        (json.dumps(call(input={"inputTokenCount": 1.5})), "bad_token_count"),
        (json.dumps(call(output={"outputTokenCount": 10**13})), "bad_token_count"),
    ],
)
def test_a_line_that_is_no_record_is_counted_by_its_reason(ask: Ask, tmp_path: Path, line: str, reason: str) -> None:
    found = report(ask, tmp_path, call(), line, call())
    assert found["totals"]["calls"] == 2
    assert found["rejected"] == {"lines": 1, "reasons": {reason: 1}}


def test_blank_lines_and_windows_line_ends_are_nothing(ask: Ask, tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_bytes(lines([call(), "", "   ", call()]).replace(b"\n", b"\r\n"))
    found = ask("report", str(path), "--format", "json").json
    assert (found["totals"]["calls"], found["rejected"]["lines"]) == (2, 0)


def test_a_failed_call_is_an_error_whose_tokens_count_and_cost_nothing(ask: Ask, tmp_path: Path) -> None:
    found = report(
        ask, tmp_path, call(tokens=(10, 5)), call(tokens=(7, None), errorCode="ModelTimeoutException"), by="error"
    )
    served, failed = sorted(found["groups"], key=lambda group: group["error"] or "")
    assert (served["error"], served["calls"], served["errors"]) == (None, 1, 0)
    assert (failed["error"], failed["calls"], failed["errors"]) == ("ModelTimeoutException", 0, 1)
    assert (failed["input_tokens"], failed["cost_usd"], failed["status"]) == (7, "0", [])
    assert found["totals"]["cost_usd"] == served["cost_usd"]


class TestDuplicates:
    def test_a_record_that_comes_again_counts_once_and_the_first_wins(self, ask: Ask, tmp_path: Path) -> None:
        first = call(requestId="same", tokens=(1, 1))
        again = call(requestId="same", tokens=(9, 9))
        found = report(ask, tmp_path, first, *(call() for _ in range(500)), again)
        assert found["duplicates"] == 1
        assert found["totals"]["calls"] == 501
        assert found["totals"]["input_tokens"] == 1 + 500 * 1000

    def test_it_counts_once_over_all_files(self, ask: Ask, tmp_path: Path) -> None:
        record = call()
        write(tmp_path / "a.jsonl", record)
        write(tmp_path / "b.jsonl.gz", record)
        found = ask("report", str(tmp_path), "--format", "json").json
        assert (found["totals"]["calls"], found["duplicates"]) == (1, 1)

    @pytest.mark.parametrize("other", [{"accountId": "444455556666"}, {"region": "eu-west-1"}])
    def test_the_same_id_elsewhere_is_another_record(self, ask: Ask, tmp_path: Path, other: dict[str, Any]) -> None:
        found = report(ask, tmp_path, call(requestId="x"), call(requestId="x", **other))
        assert (found["totals"]["calls"], found["duplicates"]) == (2, 0)

    def test_a_record_without_an_id_always_counts(self, ask: Ask, tmp_path: Path) -> None:
        record = {key: value for key, value in call().items() if key != "requestId"}
        found = report(ask, tmp_path, record, record, {**record, "requestId": ""}, {**record, "requestId": ""})
        assert (found["totals"]["calls"], found["duplicates"]) == (4, 0)


class TestGrossCounts:
    def test_openais_input_holds_its_cached_tokens(self, ask: Ask, tmp_path: Path) -> None:
        group = only(report(ask, tmp_path, call(model="us.openai.gpt-5.6-sol", tokens=(100, 1), cache=(60, 30))))
        assert (group["input_tokens"], group["cache_read_tokens"], group["cache_write_tokens"]) == (10, 60, 30)
        assert "gross_assumed" in group["status"]

    def test_it_is_left_alone_where_it_cannot_hold_them(self, ask: Ask, tmp_path: Path) -> None:
        group = only(report(ask, tmp_path, call(model="us.openai.gpt-5.6-sol", tokens=(80, 1), cache=(60, 30))))
        assert group["input_tokens"] == 80
        assert "gross_assumed" not in group["status"]

    def test_nobody_elses_input_is_touched(self, ask: Ask, tmp_path: Path) -> None:
        group = only(report(ask, tmp_path, call(tokens=(100, 1), cache=(60, 30))))
        assert group["input_tokens"] == 100


class TestBodies:
    """What only the body of the answer tells."""

    ONE_HOUR: ClassVar = {"cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 90}}

    @pytest.mark.parametrize(
        "body",
        [
            {"usage": ONE_HOUR},
            [
                {"type": "message_start", "message": {"usage": ONE_HOUR}},
                {"type": "message_delta", "usage": {"output_tokens": 4}},
            ],
            {"usage": {"cacheDetails": [{"ttl": "5m", "inputTokens": 10}, {"ttl": "1h", "inputTokens": 90}]}},
            [{"contentBlockDelta": {}}, {"metadata": {"usage": {"cacheDetails": [{"ttl": "1h", "inputTokens": 90}]}}}],
        ],
        ids=["anthropic", "anthropic stream", "converse", "converse stream"],
    )
    def test_how_long_the_cache_is_kept(self, ask: Ask, tmp_path: Path, body: object) -> None:
        group = only(report(ask, tmp_path, call(tokens=(0, 0), cache=(0, 100), body=body)))
        assert group["cost_usd"] == "0.00063525"  # (10 x 4.125 + 90 x 6.60) / 1,000,000
        assert group["status"] == ["exact"]

    def test_without_a_body_five_minutes_are_assumed(self, ask: Ask, tmp_path: Path) -> None:
        group = only(report(ask, tmp_path, call(tokens=(0, 0), cache=(0, 100))))
        assert (group["cost_usd"], group["status"]) == ("0.0004125", ["assumed_5m"])

    @pytest.mark.parametrize(
        ("body", "tier", "dollars", "status"),
        [
            ({"serviceTier": {"type": "flex"}}, "flex", "0.0004", ["exact"]),
            ([{"metadata": {"serviceTier": {"type": "priority"}}}], "priority", "0.0014", ["exact"]),
            ({"service_tier": "flex"}, "flex", "0.0004", ["exact"]),
            ({"stopReason": "end_turn"}, "default", "0.0008", ["exact"]),
            (None, "unknown", "0.0008", ["assumed_tier"]),
            ({"serviceTier": {"type": "reserved"}}, "reserved", None, ["unpriced"]),
        ],
    )
    def test_which_tier_served_it(
        self, ask: Ask, tmp_path: Path, body: object, tier: str, dollars: str | None, status: list[str]
    ) -> None:
        group = only(report(ask, tmp_path, call(model="amazon.nova-pro-v1:0", tokens=(1000, 0), body=body), by="tier"))
        assert (group["tier"], group["cost_usd"], group["status"]) == (tier, dollars, status)

    def test_the_words_of_a_prompt_are_not_taken_for_the_tier(self, ask: Ask, tmp_path: Path) -> None:
        body = {"output": {"text": 'say "serviceTier": {"type": "flex"}', "serviceTier": {"type": "flex"}}}
        group = only(report(ask, tmp_path, call(model="amazon.nova-pro-v1:0", body=body), by="tier"))
        assert group["tier"] == "default"

    def test_which_model_a_router_chose(self, ask: Ask, tmp_path: Path) -> None:
        chosen = "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-lite-v1:0"
        body = {"trace": {"promptRouter": {"invokedModelId": chosen}}}
        router = f"{ARN}:default-prompt-router/amazon.nova:1"
        group = only(report(ask, tmp_path, call(model=router, body=body), by="model,profile"))
        assert (group["model"], group["profile"]) == ("amazon.nova-lite-v1:0", "amazon.nova:1")
        assert group["cost_usd"] == "0.000084"

    @pytest.mark.parametrize("body", ["text", 7, [1, "x"], {"usage": 5}, {"serviceTier": "flex"}, {"trace": []}])
    def test_a_body_of_another_form_tells_nothing_and_harms_nothing(
        self, ask: Ask, tmp_path: Path, body: object
    ) -> None:
        found = report(ask, tmp_path, call(model=SONNET, cache=(0, 10), body=body))
        assert (found["totals"]["calls"], found["rejected"]["lines"]) == (1, 0)
