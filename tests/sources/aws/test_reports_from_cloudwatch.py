"""`tollbook report cloudwatch:…`, as a user asks for it."""

import json
import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from tests.fakes.cloudwatch_logs import Faults, Logs, Setting
from tests.fakes.invocations import Rendered
from tests.fakes.moto import REGION, go_to_moto
from tests.logs import ACCOUNT, SAMPLES, Answer, Ask, call
from tollbook.app.aws_settings import cache_folder
from tollbook.sources.aws.name_cache import Found, NamesFile
from tollbook.spend.model import Named

DAY_MS: Final = 86_400_000
BY: Final = "day,model,principal,operation,region"
NOW: Final = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=2)
"""When questions are asked, and events end: on a day that is over whatever the time of day."""
ASKED: Final = ("--format", "json", "--now", NOW.isoformat())


@pytest.fixture(autouse=True)
def _at_the_fake(cloudwatch: Logs, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    go_to_moto("CLOUDWATCH_LOGS", cloudwatch.url, monkeypatch, tmp_path)
    monkeypatch.setenv("TOLLBOOK_LOOK_UP", "none")


def rendered(days: float, events: int = 3_000, **more: Any) -> Rendered:
    now = int(NOW.timestamp()) * 1000
    return Rendered(events, since_ms=now - int(days * DAY_MS), until_ms=now, **more)


def group(cloudwatch: Logs, name: str, days: float = 8, **more: Any) -> str:
    return cloudwatch.set(Setting(f"/tollbook/{name}", rendered=rendered(days), region=REGION, **more))


def figures(answer: Answer) -> Any:
    """A report without what tells how it was made."""
    return {key: value for key, value in answer.json.items() if key not in ("notes", "duplicates")}


def as_a_file(cloudwatch: Logs, name: str, folder: Path) -> str:
    path = folder / "events.jsonl"
    path.write_bytes(cloudwatch.lines(name))
    return str(path)


@pytest.mark.parametrize("words", [("--days", "3"), ("--days", "5", "--tz", "Asia/Kolkata")])
def test_it_says_what_the_same_events_in_a_file_say(
    ask: Ask, cloudwatch: Logs, tmp_path: Path, words: tuple[str, ...]
) -> None:
    name = group(cloudwatch, "same")
    found = ask("report", f"cloudwatch:{name}", *words, "--by", BY, *ASKED)
    assert figures(found) == figures(ask("report", as_a_file(cloudwatch, name, tmp_path), *words, "--by", BY, *ASKED))
    assert found.json["totals"]["calls"] > 100


def test_today_is_reported_where_nothing_else_is_asked(ask: Ask, cloudwatch: Logs) -> None:
    name = group(cloudwatch, "today")
    found = ask("report", f"cloudwatch:{name}", *ASKED)
    assert found.json["window"]["since"] == NOW.replace(hour=0).isoformat()
    assert figures(found) == figures(ask("report", f"cloudwatch:{name}", "--days", "1", *ASKED))


def test_a_question_asked_twice_reads_today_alone(ask: Ask, cloudwatch: Logs) -> None:
    now = int(time.time()) * 1000
    events = Rendered(3_000, since_ms=now - 30 * DAY_MS, until_ms=now)
    name = cloudwatch.set(Setting("/tollbook/twice", rendered=events, region=REGION))
    words = ("report", f"cloudwatch:{name}", "--days", "30", "--by", BY, "--format", "json")
    first = ask(*words)
    bytes_of_first = cloudwatch.stats(name).bytes
    cloudwatch.reset(name)
    second = ask(*words)
    assert figures(first) == figures(second)
    assert cloudwatch.stats(name).bytes <= 0.05 * bytes_of_first
    # Until six in the morning yesterday is not over, either.
    assert any(re.search("2[89] days taken from those kept", note) for note in second.json["notes"])


def test_another_question_and_other_prices_need_no_reading_either(ask: Ask, cloudwatch: Logs, tmp_path: Path) -> None:
    name = group(cloudwatch, "otherwise")
    source = f"cloudwatch:{name}"
    until = (NOW - timedelta(days=1)).date().isoformat()
    since = (NOW - timedelta(days=4)).date().isoformat()
    span = ("--since", since, "--until", until, "--format", "json")
    now = ("--by", "principal")
    assert ask("report", source, *span, *now).json["totals"]["calls"]
    cloudwatch.reset(name)
    log = as_a_file(cloudwatch, name, tmp_path)
    for by in ("model", "hour,operation", "tier,error", "vendor,scope"):
        assert figures(ask("report", source, *span, "--by", by)) == figures(ask("report", log, *span, "--by", by))
    assert cloudwatch.stats(name).requests == 0


def test_fresh_reads_kept_days_anew(ask: Ask, cloudwatch: Logs) -> None:
    name = group(cloudwatch, "fresh")
    words = ("report", f"cloudwatch:{name}", "--days", "6", *ASKED)
    first, read = ask(*words), cloudwatch.stats(name).bytes
    cloudwatch.reset(name)
    assert figures(ask(*words, "--fresh")) == figures(first)
    assert cloudwatch.stats(name).bytes >= read


def test_what_a_group_holds_no_longer_stays_as_it_was_kept(ask: Ask, cloudwatch: Logs) -> None:
    name = group(cloudwatch, "retained", days=8)
    words = ("report", f"cloudwatch:{name}", "--days", "8", "--by", "day", *ASKED)
    first = ask(*words).json["groups"]
    cloudwatch.set(Setting(name, region=REGION, retention_days=4))  # and nothing came since
    edge = (datetime.now(UTC) - timedelta(days=4)).date().isoformat()
    for also in ((), ("--fresh",), ()):
        again = ask(*words, *also).json["groups"]
        assert [each for each in again if each["day"] <= edge] == [each for each in first if each["day"] <= edge]
    assert [each for each in again if each["day"] > edge] == []
    other = ask("report", f"cloudwatch:{name}", "--days", "8", "--by", "session", *ASKED)  # which no kept day tells
    assert any("holds nothing from before" in note for note in other.json["notes"])


def test_a_question_about_an_earlier_day_is_answered_whole(ask: Ask, cloudwatch: Logs) -> None:
    name = group(cloudwatch, "earlier")
    day = (NOW - timedelta(days=3)).date().isoformat()
    whole = ask("report", f"cloudwatch:{name}", "--since", day, "--until", day, "--format", "json")
    asked = ask("report", f"cloudwatch:{name}", "--days", "1", "--now", day, "--format", "json")
    assert figures(asked) == figures(whole)


def test_what_aws_said_before_of_an_opaque_id_counts_its_calls_as_its_models_are(
    ask: Ask, cloudwatch: Logs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = cloudwatch.set(Setting("/tollbook/openai", region=REGION))
    profile = f"arn:aws:bedrock:{REGION}:{ACCOUNT}:application-inference-profile/abc123"
    record = call(model=profile, tokens=(100_000, 10), cache=(90_000, 0), timestamp=NOW.isoformat())
    client = cloudwatch.client()
    client.create_log_stream(logGroupName=name, logStreamName="s")
    event = {"timestamp": int(NOW.timestamp()) * 1000, "message": json.dumps(record)}
    client.put_log_events(logGroupName=name, logStreamName="s", logEvents=[event])
    model = "openai.gpt-oss-120b-1:0"
    (tmp_path / "names.json").write_text(json.dumps({profile: {"model": model}}))
    known = ask("report", f"cloudwatch:{name}", "--days", "2", *ASKED, "--names", str(tmp_path / "names.json"))
    assert known.json["totals"]["input_tokens"] == 10_000
    monkeypatch.setenv("TOLLBOOK_LOOK_UP", "names")
    cache = NamesFile(cache_folder() / "names.json")
    cache.put({profile: Found(Named(model), until=time.time() + 60)}, time.time())
    assert figures(ask("report", f"cloudwatch:{name}", "--days", "2", *ASKED)) == figures(known)


@pytest.mark.parametrize("words", [("--account", ACCOUNT), ("--fresh",)])
def test_what_is_for_logs_on_aws_is_refused_for_files(ask: Ask, words: tuple[str, ...]) -> None:
    answer = ask("report", str(SAMPLES), *words)
    assert answer.code == 2
    assert "are for logs on AWS" in answer.err


def test_closed_days_can_be_kept_nowhere(ask: Ask, cloudwatch: Logs, tmp_path: Path) -> None:
    name = group(cloudwatch, "nowhere")
    words = ("report", f"cloudwatch:{name}", "--days", "6", *ASKED, "--closed-days")
    first, read = ask(*words, "none"), cloudwatch.stats(name).bytes
    assert figures(ask(*words, f"sqlite:{tmp_path}/days.db")) == figures(first)
    assert cloudwatch.stats(name).bytes >= 2 * read


def test_days_that_cannot_be_kept_are_reported_all_the_same(ask: Ask, cloudwatch: Logs, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    name = group(cloudwatch, "no-room")
    answer = ask("report", f"cloudwatch:{name}", "--days", "3", *ASKED, "--closed-days", f"sqlite:{tmp_path}/file/d")
    assert answer.json["totals"]["calls"]
    assert any("could not be kept" in note for note in answer.json["notes"])


def test_a_group_that_does_not_exist_is_named_with_its_region(ask: Ask) -> None:
    answer = ask("report", "cloudwatch:/no/such", "--region", "eu-central-1")
    assert answer.code == 1
    assert "No log group '/no/such' in eu-central-1" in answer.err
    assert answer.out == ""


def test_what_one_place_cannot_tell_the_others_do(ask: Ask, cloudwatch: Logs) -> None:
    name = group(cloudwatch, "there")
    words = ("--days", "2", *ASKED)
    alone = ask("report", f"cloudwatch:{name}", *words)
    both = ask("report", f"cloudwatch:{name}", "cloudwatch:/not/there", *words)
    assert both.code == 1  # so that no script takes it for all
    found = json.loads(both.out)
    assert found["totals"] == alone.json["totals"]
    (sentence,) = found["unread"]
    assert "No log group '/not/there'" in sentence
    assert "≥$" in ask("report", f"cloudwatch:{name}", "cloudwatch:/not/there", "--days", "2", "--format", "text").out


def test_a_slice_that_fails_is_told_and_its_day_is_not_kept(ask: Ask, cloudwatch: Logs) -> None:
    name = group(cloudwatch, "expires", faults=Faults(refuses="ExpiredTokenException", after=3))
    words = ("report", f"cloudwatch:{name}", "--days", "7", *ASKED)
    partly = ask(*words)
    assert partly.code == 1
    assert json.loads(partly.out)["unread"]
    cloudwatch.reset(name)
    whole = ask(*words)
    assert whole.json["totals"]["calls"] > json.loads(partly.out)["totals"]["calls"]
    assert whole.json["unread"] == []


@pytest.mark.parametrize(
    ("source", "limit"), [("events", ("--max-scan-gb", "0.5")), ("insights", ()), ("cloudwatch", ())]
)
def test_above_a_limit_nothing_is_read_unless_somebody_agrees(
    ask: Ask, cloudwatch: Logs, source: str, limit: tuple[str, ...]
) -> None:
    now = int(time.time()) * 1000
    name = group(cloudwatch, f"dear-{source}", stored_bytes=10**13, created_ms=now - 8 * DAY_MS)
    answer = ask("report", f"{source}:{name}", "--days", "2", *limit)
    assert answer.code == 1
    assert answer.out == ""
    assert "Nothing was read: it takes about" in answer.err
    assert "--yes" in answer.err
    assert cloudwatch.stats(name).requests == 0
    if source == "events":
        assert ask("report", f"{source}:{name}", "--days", "2", *limit, "--yes", *ASKED).json["totals"]


def test_the_class_infrequent_access_is_not_read_by_filter_log_events(ask: Ask, cloudwatch: Logs) -> None:
    name = group(cloudwatch, "infrequent", log_class="INFREQUENT_ACCESS")
    answer = ask("report", f"events:{name}")
    assert answer.code == 1
    assert f"Name it insights:{name}." in answer.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--regions", "eu-west-1,x@evil.example/#"), "--regions (TOLLBOOK_REGIONS): regions separated by commas"),
        (("--regions", "xx-nowhere-1"), "xx-nowhere-1"),
        (("--account", "12"), "--account '12' is no account"),
        (("--closed-days", "ftp://x"), "sqlite:PATH, s3://BUCKET/PREFIX or none is wanted"),
        (("--max-scan-usd", "nan"), "--max-scan-usd (TOLLBOOK_MAX_SCAN_USD): a number"),
        (("--tags", "a`b"), "keys of request metadata"),
        (("--look-up", "everything"), "names, metrics, bill or none"),
        (("--accounts", "/no/such/file"), "cannot read /no/such/file"),
        (("--athena-output", "s3:/x"), "s3://BUCKET/PREFIX/ is wanted"),
    ],
)
def test_what_is_asked_wrongly_is_said_in_a_sentence(ask: Ask, words: tuple[str, ...], said: str) -> None:
    answer = ask("report", "cloudwatch", *words)
    assert answer.code == 2
    assert said in answer.err


def test_several_regions_are_read_together(ask: Ask, cloudwatch: Logs) -> None:
    name = group(cloudwatch, "regions")
    one = ask("report", f"cloudwatch:{name}", "--days", "2", *ASKED)
    two = ask("report", f"cloudwatch:{name}", "--days", "2", *ASKED, "--regions", f"{REGION},us-east-1")
    # The fake gives every region the same events, and each is counted for itself.
    assert json.loads(two.out)["totals"]["calls"] >= one.json["totals"]["calls"]


def test_no_log_at_all_is_no_fault(ask: Ask, cloudwatch: Logs) -> None:
    name = cloudwatch.set(Setting("/tollbook/silent", region=REGION))
    answer = ask("report", f"cloudwatch:{name}", "--days", "2", *ASKED)
    assert answer.json["totals"]["calls"] == 0
