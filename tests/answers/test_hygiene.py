"""What hygiene finds in calls that have something to see to, and in calls that have nothing."""

from datetime import date
from decimal import Decimal
from pathlib import Path
from random import Random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.answers.rows import BOOK, HAIKU, NOVA, SONNET, Calls, report, usage, window
from tollbook.sources.files import read_files
from tollbook.spend.answers.hygiene import CHECKS, Finding, Hygiene, TextDelivery, hygiene_by, hygiene_of
from tollbook.spend.model import Named
from tollbook.spend.query import Query
from tollbook.spend.render.answers.hygiene import telling_of_hygiene
from tollbook.spend.report import report_of
from tollbook.spend.usage import Usage
from tollbook.spend.window import Window, zone_of

DAY = date(2026, 11, 20)
WINDOW = window(DAY, DAY)
PROFILE = "arn:aws:bedrock:us-east-1:111122223333:application-inference-profile/abc123def456"
TAGGED = {"team": "growth"}


def hygiene(*calls: Calls, tag: str = "", delivery: list[TextDelivery] | None = None) -> Hygiene:
    return hygiene_of(report(calls, WINDOW, hygiene_by(tag)), tag, delivery)


def found(answer: Hygiene, check: str) -> Finding:
    (finding,) = [each for each in answer.findings if each.check == check]
    return finding


def checks(answer: Hygiene) -> list[str]:
    return [each.check for each in answer.findings]


def test_calls_without_the_tag_are_told_by_principal_with_their_share_of_calls_and_dollars() -> None:
    answer = hygiene(
        Calls(DAY, usage(6, 1_000_000), tags=TAGGED),
        Calls(DAY, usage(3, 3_000_000), who="role/etl"),
        Calls(DAY, usage(1, 0, 0), who="user/alice", tags={"team": ""}),
        tag="team",
    )
    untagged = found(answer, "untagged")
    assert (untagged.calls, untagged.calls_share) == (4, Decimal("0.4000"))
    assert untagged.usd_share == Decimal("0.7500")
    assert [(part.name, part.calls) for part in untagged.parts] == [("role/etl", 3), ("user/alice", 1)]


def test_without_a_tag_to_look_for_nothing_is_said_of_tags() -> None:
    answer = hygiene(Calls(DAY, usage(1, 1000)))
    assert "untagged" not in answer.checked
    assert "untagged" not in checks(answer)


def test_calls_of_an_opaque_profile_are_unresolved_until_its_model_is_known() -> None:
    calls = [Calls(DAY, usage(2, 1000), model=PROFILE)]
    before = hygiene(*calls)
    assert found(before, "unresolved").parts[0].name == "application-inference-profile/abc123def456"
    assert found(before, "unpriced").calls == 2
    names = {"abc123def456": Named(NOVA, "search")}
    after = hygiene_of(report(calls, WINDOW, hygiene_by(), names=names))
    assert {"unresolved", "unpriced"}.isdisjoint(checks(after))


def test_the_root_user_is_told_first_even_if_all_its_calls_failed() -> None:
    dear, opaque = Calls(DAY, usage(9, 10**7)), Calls(DAY, usage(9, 10**7), model=PROFILE)
    answer = hygiene(dear, opaque, Calls(DAY, usage(2), who="root", failed=True), tag="team")
    assert checks(answer) == ["root", "unpriced", "untagged", "unresolved", "errors"]
    assert (found(answer, "root").calls, found(answer, "root").errors) == (0, 2)


def test_users_of_long_term_api_keys_are_told_and_no_others() -> None:
    answer = hygiene(
        Calls(DAY, usage(1, 1000), who="user/BedrockAPIKey-ab12"), Calls(DAY, usage(5, 1000), who="role/BedrockAPIKey-")
    )
    assert [part.name for part in found(answer, "api_keys").parts] == ["user/BedrockAPIKey-ab12"]
    assert "documented nowhere" in found(answer, "api_keys").why_it_matters


def test_failures_are_a_finding_from_one_in_a_hundred_on() -> None:
    one = Calls(DAY, usage(1), failed=True)
    assert found(hygiene(Calls(DAY, usage(99, 1000)), one), "errors").calls_share == Decimal("0.0100")
    assert "errors" not in checks(hygiene(Calls(DAY, usage(100, 1000)), one))


def test_calls_of_which_only_some_tokens_are_unpriced_are_told_as_the_report_tells_them_and_for_no_dollars() -> None:
    titan = "amazon.titan-embed-text-v2:0"
    mixed = Calls(DAY, Usage(5, 0, 9_000, cache_read=500, reading=2), model=titan)
    answer = hygiene(mixed, Calls(DAY, usage(3, 1000), model="us.vendor.new-model-v1:0"))
    unpriced = found(answer, "unpriced")
    assert unpriced.calls == sum(entry.calls for entry in answer.basis.unpriced) == 5
    assert [(part.name, part.calls) for part in unpriced.parts] == [("vendor.new-model-v1:0", 3), (titan, 2)]
    assert (unpriced.usd, unpriced.usd_share) == (None, None)
    assert answer.usd
    telling = telling_of_hygiene(answer)
    assert "for at least $" in telling.lead
    (sentence,) = [each for each in telling.sentences if "without a price" in each]
    assert sentence.startswith("5 calls (62.5% of those served) without a price: most calls New Model (3). ")


def test_where_nothing_has_a_price_no_dollars_are_told() -> None:
    answer = hygiene(Calls(DAY, usage(60, 1000), model=PROFILE))
    assert answer.usd is None
    assert (
        " things to see to in 60 calls, none of which has a price; first: 60 calls " in telling_of_hygiene(answer).lead
    )


@pytest.mark.parametrize("names", [{}, {"pm9x": Named(NOVA)}])
def test_provisioned_throughput_is_neither_unknown_nor_in_want_of_a_rate(names: dict[str, Named]) -> None:
    provisioned = Calls(DAY, usage(2, 1000), model="arn:aws:bedrock:us-east-1:111122223333:provisioned-model/pm9x")
    answer = hygiene_of(report([provisioned], WINDOW, hygiene_by(), names=names))
    assert checks(answer) == ["unpriced"]
    advice = found(answer, "unpriced").what_to_do
    assert "see the bill" in advice
    assert "--prices" not in advice
    beside = hygiene(provisioned, Calls(DAY, usage(2, 1000), model="us.vendor.new-model-v1:0"))
    assert "--prices" in found(beside, "unpriced").what_to_do
    assert "see the bill" in found(beside, "unpriced").what_to_do


def test_a_share_says_of_what_it_is() -> None:
    answer = hygiene(Calls(DAY, usage(30, 1000), who="root"), Calls(DAY, usage(10), failed=True))
    telling = telling_of_hygiene(answer)
    assert telling.lead.startswith("2 things to see to in 40 calls (10 of them failed) for $")
    root, failed = telling.sentences
    assert root.startswith("30 calls (100.0% of those served) by the root user, ")
    assert failed.startswith("10 calls (25.0% of all) failed: ")


LINE = """{{"timestamp":"2026-11-20T09:00:00Z","modelId":"{model}","region":"us-east-1","operation":"{operation}",\
"requestId":"{id}","identity":{{"arn":"arn:aws:sts::111122223333:assumed-role/rag-api/i-1"}},\
"input":{{"inputTokenCount":1000{more}}},"output":{{"outputTokenCount":10{body}}}}}
"""


def hygiene_of_lines(folder: Path, *lines: str, tag: str = "") -> Hygiene:
    log = folder / "log.jsonl"
    log.write_text("".join(lines))
    query = Query(Window(None, None, zone_of("UTC")), hygiene_by(tag))
    reading = read_files([str(log)], query, lambda _done, _total: None)
    return hygiene_of(report_of(reading.counted, query, query.by, BOOK, {}, reading.notes), tag)


def line(operation: str = "Converse", body: str = "", more: str = "", model: str = SONNET, number: int = 1) -> str:
    return LINE.format(operation=operation, body=body, more=more, model=model, id=f"request-{number}")


def cached(read: int, write: int) -> str:
    return f',"cacheReadInputTokenCount":{read},"cacheWriteInputTokenCount":{write}'


AN_HOUR = ',"outputBodyJson":{"usage":{"cacheWriteInputTokens":400,"cacheDetails":[{"inputTokens":400,"ttl":"1h"}]}}'


def test_of_calls_counted_together_no_more_rest_on_an_assumption_than_could(tmp_path: Path) -> None:
    answer = hygiene_of_lines(
        tmp_path,
        *(line(number=number) for number in range(6)),
        *(line(number=number, more=cached(400, 0)) for number in range(6, 9)),
        *(line(number=number, more=cached(0, 400), body=AN_HOUR) for number in range(9, 11)),
        line(number=11, more=cached(0, 400)),
    )
    assumed = found(answer, "assumed_prices")
    assert (assumed.calls, assumed.is_at_most) == (3, True)
    assert [(part.name, part.calls) for part in assumed.parts] == [("assumed_5m", 3)]
    (sentence,) = [each for each in telling_of_hygiene(answer).sentences if "assumption" in each]
    assert sentence.startswith("Up to 3 calls (25.0% of those served) priced by an assumption, up to $")


def test_where_every_call_rests_on_an_assumption_that_is_certain(tmp_path: Path) -> None:
    answer = hygiene_of_lines(tmp_path, *(line(number=number, more=cached(0, 400)) for number in range(3)))
    assumed = found(answer, "assumed_prices")
    assert (assumed.calls, assumed.is_at_most) == (3, False)
    openai = "openai.gpt-oss-120b-1:0"
    lines = (line("InvokeModel", number=n, more=cached(400 * (n > 3), 0), model=openai) for n in range(6))
    gross = found(hygiene_of_lines(tmp_path, *lines), "gross_counts")
    assert (gross.calls, gross.is_at_most) == (2, True)


def test_what_is_not_about_the_tag_does_not_depend_on_it(tmp_path: Path) -> None:
    records = [
        line(number=number, more=cached(0, 400), body=body)[:-2] + f',"requestMetadata":{{"team":"{team}"}}}}\n'
        for number, (team, body) in enumerate([("a", ""), ("b", AN_HOUR), ("c", AN_HOUR), ("a", "")])
    ]
    plain, tagged = (hygiene_of_lines(tmp_path, *records, tag=tag) for tag in ("", "team"))
    assert found(plain, "assumed_prices").calls == 4
    assert tagged.findings == plain.findings
    assert tagged.text == plain.text


def test_text_in_the_records_of_files_is_found_where_they_hold_bodies(tmp_path: Path) -> None:
    body = ',"outputBodyJson":{"usage":{"totalTokens":1010}}'
    answer = hygiene_of_lines(tmp_path, line(body=body), line(number=2))
    assert answer.text == "logged"
    assert [part.name for part in found(answer, "text_delivery").parts] == ["us-east-1"]


def test_the_gravest_come_first_whatever_they_cost_and_others_by_what_they_cost() -> None:
    on = [TextDelivery(region="us-east-1", contents=("text",))]
    answer = hygiene(
        Calls(DAY, usage(1, 10**6), who="user/BedrockAPIKey-1", tags=TAGGED),
        Calls(DAY, usage(1, 100), who="root"),
        Calls(DAY, usage(1, 10**7)),
        tag="team",
        delivery=on,
    )
    assert checks(answer) == ["root", "text_delivery", "untagged", "api_keys"]


def test_where_the_records_that_would_show_text_have_none_it_is_not_seen(tmp_path: Path) -> None:
    answer = hygiene_of_lines(tmp_path, line())
    assert answer.text == "not_seen"
    assert "text_delivery" not in checks(answer)


def test_where_no_record_could_show_text_that_is_said_and_not_guessed(tmp_path: Path) -> None:
    answer = hygiene_of_lines(tmp_path, line("InvokeModel", ',"outputBodyJson":{"usage":{}}'))
    assert answer.text == "unknown"
    assert "text_delivery" not in answer.checked
    assert any("cannot be told from these records" in note for note in telling_of_hygiene(answer).notes)


def test_gross_counts_of_the_log_are_told_by_model(tmp_path: Path) -> None:
    openai = "openai.gpt-oss-120b-1:0"
    answer = hygiene_of_lines(tmp_path, line("InvokeModel", more=',"cacheReadInputTokenCount":400', model=openai))
    assert [part.name for part in found(answer, "gross_counts").parts] == [openai]


@pytest.mark.parametrize(("contents", "text"), [(("text", "image"), "logged"), ((), "off")])
def test_what_bedrocks_settings_say_goes_before_what_records_tell(contents: tuple[str, ...], text: str) -> None:
    here, there = Calls(DAY, usage(3, 1000)), Calls(DAY, usage(1, 1000), region="eu-west-1")
    answer = hygiene(here, there, delivery=[TextDelivery(region="us-east-1", contents=contents)])
    assert answer.text == text
    assert [finding.calls for finding in answer.findings if finding.check == "text_delivery"] == [3] * bool(contents)


def test_where_all_is_in_order_that_is_said_with_what_was_looked_at() -> None:
    off = [TextDelivery(region="us-east-1", contents=())]
    answer = hygiene(Calls(DAY, usage(5, 1000), tags=TAGGED), tag="team", delivery=off)
    assert answer.findings == ()
    assert answer.checked == CHECKS
    lead = telling_of_hygiene(answer).lead
    assert lead.startswith("All clear in 5 calls: nothing was found of root user, ")
    assert "calls without the tag team" in lead


def test_each_finding_is_a_sentence_with_its_figures_why_it_matters_and_what_to_do() -> None:
    answer = hygiene(Calls(DAY, usage(4, 2_000_000), who="role/etl"), tag="team")
    telling = telling_of_hygiene(answer)
    (sentence,) = [each for each in telling.sentences if "tag team" in each]
    assert sentence.startswith(
        "4 calls (100.0% of those served) without the tag team, $6.60 (100.0% of all dollars): all of role/etl."
    )
    assert "belongs to nobody's budget. Send the key as requestMetadata of Converse" in sentence
    assert telling.grids[0].rows[0][:3] == ("calls without the tag team", "medium", 4)


def test_names_that_would_act_on_a_screen_are_made_harmless() -> None:
    answer = hygiene(Calls(DAY, usage(1, 1000), who="user/\x1b[2Jx"), tag="te\x07am")
    telling = telling_of_hygiene(answer)
    said = "".join((telling.lead, *telling.sentences, *(str(grid) for grid in telling.grids)))
    assert "\x1b" not in said.replace("\\x1b", "")
    assert "\x07" not in said


def test_an_empty_window_is_said_to_be_empty() -> None:
    assert telling_of_hygiene(hygiene()).lead == "There are no calls to look at."


@given(st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_nothing(random: Random) -> None:
    calls = [
        Calls(DAY, usage(2, 1000), who=who, model=model, failed=failed)
        for who in ("root", "user/BedrockAPIKey-1", "role/a")
        for model in (SONNET, HAIKU, PROFILE)
        for failed in (True, False)
    ]
    usual = msgspec.to_builtins(hygiene(*calls, tag="team"))
    random.shuffle(calls)
    assert msgspec.to_builtins(hygiene(*calls, tag="team")) == usual
