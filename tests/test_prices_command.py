"""`tollbook prices`, driven as a user does: the program itself, in a folder of its own."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.logs import Answer, call, write
from tollbook.app.price_list import refresh_prices
from tollbook.core.errors import SourceError
from tollbook.sources.download import LARGEST, download
from tollbook.spend.prices.file import read_prices

DATA = Path(__file__).parent / "data"
OFFER = DATA / "aws_offer_bedrock.json"
MARKETPLACE = DATA / "aws_offer_foundation_models.json"


@dataclass(frozen=True)
class Tollbook:
    """The program, whose user's folder is `home`."""

    home: Path

    @property
    def kept(self) -> Path:
        return self.home / "tollbook" / "prices.json"

    def __call__(self, *words: str | Path, columns: int = 80) -> Answer:
        env = {**os.environ, "XDG_DATA_HOME": str(self.home), "COLUMNS": str(columns)}
        command = [sys.executable, "-m", "tollbook", *map(str, words)]
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=60)
        answer = Answer(done.returncode, done.stdout, done.stderr)
        assert "Traceback" not in answer.out + answer.err
        assert "\x1b" not in answer.out
        if answer.code:
            assert answer.out == ""
            assert answer.err.startswith("tollbook: ")
            assert answer.err.count("\n") == 1
        return answer


@pytest.fixture
def tollbook(tmp_path: Path) -> Tollbook:
    return Tollbook(tmp_path / "user-data")


class Server(ThreadingHTTPServer):
    """A web server on this machine; `asked` are the paths it was asked for."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Pages)
        self.asked: list[str] = []
        self.over = threading.Event()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Pages(BaseHTTPRequestHandler):
    """A method for each path."""

    server: Server

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        name = self.path.strip("/").replace("-", "_")
        with suppress(OSError):  # the client has heard enough
            getattr(self, f"page_{name}", self.page_missing)()

    def page_missing(self) -> None:
        self.answer(404, b"<html>nothing here</html>")

    def page_broken(self) -> None:
        self.answer(503)

    def page_offer(self) -> None:
        self.answer(200, OFFER.read_bytes())

    def page_login(self) -> None:
        self.answer(200, b"<html>Who are you?</html>")

    def page_moved(self) -> None:
        self.answer(302, location="/offer")

    def page_moved_away(self) -> None:
        self.answer(302, location="http://169.254.169.254/latest/meta-data")

    def page_moved_to_a_file(self) -> None:
        self.answer(302, location="file:///etc/passwd")

    def page_round(self) -> None:
        self.answer(302, location="/round")

    def page_huge(self) -> None:
        self.answer(200, length=LARGEST + 1)

    def page_cut(self) -> None:
        self.answer(200, b"{", length=1000)

    def page_long(self) -> None:
        self.send_response(200)
        self.end_headers()
        for _ in range(100):
            self.wfile.write(b" " * 65536)

    def page_silent(self) -> None:
        self.server.over.wait()

    def page_slow(self) -> None:
        self.send_response(200)
        self.end_headers()
        for _ in range(1000):
            self.server.over.wait(0.01)
            self.wfile.write(b" ")

    def answer(self, status: int, body: bytes = b"", *, length: int | None = None, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Says nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as web:
        thread = threading.Thread(target=web.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield web
        web.over.set()
        web.shutdown()
        thread.join()


# --- show


def test_the_whole_book_fits_into_80_columns(tollbook: Tollbook) -> None:
    lines = tollbook("prices", "show").out.splitlines()
    assert len(lines) > 900
    assert max(len(line) for line in lines if not line.startswith("https://")) <= 80


def test_a_rate_is_shown_with_its_place_tier_first_day_and_source(tollbook: Tollbook) -> None:
    shown = tollbook("prices", "show", "us.amazon.nova-pro").out
    lines = [" ".join(line.split()) for line in shown.splitlines()]
    assert "amazon.nova-pro-v1:0 us" in lines
    assert "any default 2026-09-27 0.8 3.2 0.2 0 - 2*" in lines
    assert "any flex 2026-10-18 0.4 1.6 0.1 0 - 3*" in lines
    assert "2 litellm 1.103.0, released 2026-09-27, read 2026-11-22" in lines
    assert "https://github.com/BerriAI/litellm/blob/main/model_prices_and_context_window.json" in lines


def test_the_rates_of_long_prompts_are_shown_below_the_others(tollbook: Tollbook) -> None:
    lines = [line.split() for line in tollbook("prices", "show", "global.anthropic.claude-sonnet-4-5").out.splitlines()]
    (above,) = [lines[number + 1] for number, line in enumerate(lines) if "2026-05-17" in line]
    assert above == [">", "200K", "6", "22.5", "0.6", "7.5", "12"]


@pytest.mark.parametrize("wanted", ["NOVA-pro", "amazon.Nova-Pro-v1:0", "us.amazon.nova-pro-v1:0"])
def test_a_model_is_found_by_a_part_of_its_id_in_any_case(tollbook: Tollbook, wanted: str) -> None:
    assert {price["model"] for price in tollbook("prices", "show", wanted, "--json").json["prices"]} == {
        "amazon.nova-pro-v1:0"
    }


def test_the_arn_of_a_profile_finds_what_that_profile_costs(tollbook: Tollbook) -> None:
    arn = "arn:aws:bedrock:us-east-1:111122223333:inference-profile/us.amazon.nova-pro-v1:0"
    assert {price["scope"] for price in tollbook("prices", "show", arn, "--json").json["prices"]} == {"us"}


def test_a_profile_without_rates_of_its_own_is_shown_with_those_of_the_region(tollbook: Tollbook) -> None:
    prices = tollbook("prices", "show", "eu.amazon.titan-text-lite-v1", "--json").json["prices"]
    assert {(price["model"], price["scope"]) for price in prices} == {("amazon.titan-text-lite-v1", "in-region")}


def test_a_global_profile_without_rates_has_none(tollbook: Tollbook) -> None:
    assert tollbook("prices", "show", "global.amazon.titan-text-lite-v1").code == 1


def test_a_model_that_is_not_in_the_book_is_one_sentence(tollbook: Tollbook) -> None:
    answer = tollbook("prices", "show", "gpt-\x1b[31m7")
    assert answer.code == 1
    assert answer.err.startswith("tollbook: No price is on record for 'gpt-<U+001B>[31m7'.")


def test_what_json_shows_is_a_price_file_that_is_read_back(tollbook: Tollbook, tmp_path: Path) -> None:
    shown = tollbook("prices", "show", "sonnet-4-5", "--json").out
    file = tmp_path / "mine.json"
    file.write_text(shown, encoding="utf-8")
    assert tollbook("prices", "show", "sonnet-4-5", "--json", "--prices", file).out == shown


def test_rates_of_ones_own_are_shown_among_the_others(tollbook: Tollbook, tmp_path: Path) -> None:
    file = price_file(tmp_path)
    shown = tollbook("prices", "show", "nova-pro", "--prices", file).out
    assert " ".join(shown.split()).count("2026-11-01 0.72 2.88") == 1
    assert "our contract, read 2026-11-01" in shown
    assert f"of {file} go before the book's" in shown


# --- price files


def price_file(folder: Path, *, price: dict[str, Any] | None = None, **head: object) -> Path:
    """A price file with one rate, changed as the caller likes."""
    usual = {
        "model": "amazon.nova-pro-v1:0",
        "scope": "in-region",
        "since": "2026-11-01",
        "source": "our contract",
        "input": "0.72",
        "output": "2.88",
    }
    document = {
        "schema": "tollbook.prices/1",
        "currency": "USD",
        "unit": "per_million_tokens",
        "sources": {"our contract": {"retrieved": "2026-11-01"}},
        "prices": [usual | (price or {})],
    }
    path = folder / "mine.json"
    path.write_text(json.dumps(document | head), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("price", "head", "says"),
    [
        ({"input": 0.72}, {}, "Expected `str | null`, got `float` - at `$.prices[0].input`. Write rates as strings"),
        ({"input": 1}, {}, "got `int`"),
        ({"inputs": "0.72"}, {}, "unknown field `inputs`"),
        ({"input": None}, {}, '"input" is missing'),
        ({"input": "-1"}, {}, '"-1" is no rate'),
        ({"input": "NaN"}, {}, '"NaN" is no rate'),
        ({"scope": "moon"}, {}, 'the scope "moon" is not known'),
        ({"since": "soon"}, {}, "Invalid RFC3339 encoded date"),
        ({"source": "hearsay"}, {}, 'the source "hearsay" is not among "sources"'),
        ({"above": {"5": {"input": "1"}}}, {}, 'not "5"'),
        ({}, {"unit": "per_thousand_tokens"}, '"unit" is "per_thousand_tokens", but only "per_million_tokens" is read'),
        ({}, {"currency": "EUR"}, '"currency" is "EUR"'),
        ({}, {"schema": "tollbook.prices/9"}, '"schema" is "tollbook.prices/9"'),
        ({}, {"comment": "hello"}, "unknown field `comment`"),
    ],
)
@pytest.mark.parametrize("command", ["report", "prices show"])
def test_a_price_file_that_cannot_be_trusted_is_refused(
    tollbook: Tollbook, tmp_path: Path, command: str, price: dict[str, Any], head: dict[str, Any], says: str
) -> None:
    file = price_file(tmp_path, price=price, **head)
    words = command.split() + ([write(tmp_path / "log.jsonl", call())] if command == "report" else [])
    answer = tollbook(*words, "--prices", file)
    assert answer.code == 1
    assert str(file) in answer.err
    assert says in answer.err


def test_a_price_file_that_is_not_there_is_one_sentence(tollbook: Tollbook, tmp_path: Path) -> None:
    answer = tollbook("prices", "show", "--prices", tmp_path / "none.json")
    assert (answer.code, answer.err) == (1, f"tollbook: Cannot read {tmp_path}/none.json: no such file or directory.\n")


def test_the_example_in_the_documentation_is_a_price_file(tollbook: Tollbook, tmp_path: Path) -> None:
    document = (Path(__file__).parent.parent / "docs" / "prices.md").read_text(encoding="utf-8")
    example = document.partition("```json\n")[2].partition("```")[0]
    (tmp_path / "example.json").write_text(example, encoding="utf-8")
    shown = tollbook("prices", "show", "--json", "--prices", tmp_path / "example.json").json["prices"]
    mine = [price for price in shown if price["source"] == "our contract"]
    assert mine == json.loads(example)["prices"]


# --- refresh


def test_a_refresh_says_what_it_read_and_where_it_put_it(tollbook: Tollbook) -> None:
    said = tollbook("prices", "refresh", "--from", MARKETPLACE).out
    assert "Read 5 rates of 3 models." in said
    assert "AWS price list AmazonBedrockFoundationModels 20260911133434, released 2026-09-11, read 20" in said
    assert "Skipped 18 rows: batch 4," in said
    assert "Names of unknown models: Claude Quatrain 9, Claude." in said
    assert str(tollbook.kept) in said
    assert read_prices(tollbook.kept.read_bytes(), "kept")


def test_at_most_ten_unknown_names_are_listed(tollbook: Tollbook, tmp_path: Path) -> None:
    document = json.loads(MARKETPLACE.read_bytes())
    for number, product in enumerate(document["products"].values()):
        product["attributes"]["servicename"] = f"Model {number} (Amazon Bedrock Edition)"
    file = tmp_path / "offer.json"
    file.write_text(json.dumps(document), encoding="utf-8")
    (listed,) = (line for line in tollbook("prices", "refresh", "--from", file).out.splitlines() if "Names" in line)
    assert listed.count("Model ") == 10
    assert listed.endswith(" more.")


def test_a_second_refresh_from_the_same_list_changes_nothing(tollbook: Tollbook) -> None:
    tollbook("prices", "refresh", "--from", OFFER)
    before = (tollbook.kept.stat().st_ino, tollbook.kept.stat().st_mtime_ns)
    assert "Nothing is new." in tollbook("prices", "refresh", "--from", OFFER).out
    assert (tollbook.kept.stat().st_ino, tollbook.kept.stat().st_mtime_ns) == before


def test_a_list_that_comes_later_adds_its_prices_and_keeps_the_earlier_ones(tollbook: Tollbook, tmp_path: Path) -> None:
    tollbook("prices", "refresh", "--from", OFFER)
    later = OFFER.read_text(encoding="utf-8").replace("2026-09-11T12:44:08Z", "2026-10-09T00:00:00Z")
    later = later.replace("20260911124408", "20261009000000").replace("0.0009200000", "0.0008800000")
    (tmp_path / "later.json").write_text(later, encoding="utf-8")
    assert "New: 1." in tollbook("prices", "refresh", "--from", tmp_path / "later.json").out
    history = [
        (rate.since.isoformat(), str(rate.rates.input), rate.source.name)
        for rate in read_prices(tollbook.kept.read_bytes(), "kept")
        if rate.region == "eu-west-1"
    ]
    assert history == [
        ("2026-09-11", "0.92", "AWS price list AmazonBedrock 20260911124408"),
        ("2026-10-09", "0.88", "AWS price list AmazonBedrock 20261009000000"),
    ]


def test_a_report_counts_with_refreshed_prices_from_their_first_day_on(tollbook: Tollbook, tmp_path: Path) -> None:
    log = write(
        tmp_path / "log.jsonl",
        *(
            call(model="amazon.nova-pro-v1:0", region="eu-west-1", tokens=(1_000_000, 0), timestamp=f"{day}T12:00:00Z")
            for day in ("2026-09-10", "2026-09-12")
        ),
    )
    tollbook("prices", "refresh", "--from", OFFER)
    groups = tollbook("report", log, "--by", "day", "--format", "csv").out.splitlines()
    assert [line for line in groups if line.startswith("2026-09-10") and ",0.8," in line]
    assert [line for line in groups if line.startswith("2026-09-12") and ",0.92," in line]


def test_without_an_origin_the_three_offers_of_aws_are_read() -> None:
    asked = []

    def aws(url: str) -> bytes:
        asked.append(url)
        code = url.split("/")[-4]
        of_the_marketplace = code == "AmazonBedrockFoundationModels"
        offer = (MARKETPLACE if of_the_marketplace else OFFER).read_text(encoding="utf-8")
        return offer.replace('"offerCode": "AmazonBedrock"', f'"offerCode": "{code}"').encode()

    done = refresh_prices(None, datetime(2026, 11, 22, 23, 30, tzinfo=ZoneInfo("America/New_York")), aws)
    base = "https://pricing.us-east-1.amazonaws.com/offers/v1.0/aws"
    codes = ("AmazonBedrockFoundationModels", "AmazonBedrockService", "AmazonBedrock")
    assert asked == [f"{base}/{code}/current/us-east-1/index.json" for code in codes]
    assert {offer.source.retrieved for offer in done.offers} == {date(2026, 11, 23)}  # in UTC
    assert tuple(read_prices(done.path.read_bytes(), "kept")) == done.prices.rates
    assert {rate.source.name.split()[3] for rate in done.prices.rates} == {codes[0], codes[1]}  # the third repeats


def test_an_offer_file_is_read_from_an_address(tollbook: Tollbook, server: Server) -> None:
    assert "Read 8 rates of 5 models." in tollbook("prices", "refresh", "--from", f"{server.address}/offer").out
    assert tollbook.kept.exists()


def test_a_redirection_on_the_same_host_is_followed(tollbook: Tollbook, server: Server) -> None:
    assert tollbook("prices", "refresh", "--from", f"{server.address}/moved").code == 0
    assert server.asked == ["/moved", "/offer"]


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("nothing", "/nothing answered 404 Not Found."),
        ("broken", "/broken answered 503 Service Unavailable."),
        ("login", "/login is no JSON"),
        ("moved-away", "/moved-away redirects elsewhere. Give http://169.254.169.254/latest/meta-data to go there."),
        ("moved-to-a-file", "/moved-to-a-file redirects elsewhere."),
        ("round", "/round redirects more than 3 times."),
        ("huge", "/huge holds more than 268,435,456 bytes, which no offer file does."),
        ("cut", "Cannot read http://127.0.0.1:"),
    ],
)
def test_what_cannot_be_had_from_an_address_is_one_sentence_and_keeps_nothing(
    tollbook: Tollbook, server: Server, path: str, says: str
) -> None:
    answer = tollbook("prices", "refresh", "--from", f"{server.address}/{path}")
    assert answer.code == 1
    assert says in answer.err
    assert not tollbook.kept.exists()


@pytest.mark.parametrize(
    ("origin", "says"),
    [
        ("http://example.com/index.json", "over http anyone on the way could change prices. Use https."),
        ("http://127.0.0.1.example.com/index.json", "Use https."),
        ("http://localhost:1/index.json", "Cannot read http://localhost:1/index.json: Connection refused."),
        (
            "https://user:secret@127.0.0.1:1/index.json",
            "Cannot read https://127.0.0.1:1/index.json: Connection refused.",
        ),
        ("ftp://example.com/index.json", "only https addresses and files are read"),
        ("file:///etc/passwd", "only https addresses and files are read"),
        ("https://", "only https addresses and files are read"),
        ("https://example.com:port/", "is no address"),
        ("none.json", "Cannot read none.json: no such file or directory."),
        (".", "Cannot read .: is a directory."),
        ("/dev/zero", "/dev/zero holds more than 268,435,456 bytes"),
    ],
)
def test_an_origin_that_cannot_be_read_is_one_sentence(tollbook: Tollbook, origin: str, says: str) -> None:
    answer = tollbook("prices", "refresh", "--from", origin)
    assert answer.code == 1
    assert says in answer.err


def test_an_answer_that_does_not_say_how_long_it_is_is_given_up_at_the_limit(server: Server) -> None:
    with pytest.raises(SourceError, match="/long holds more than 1,000,000 bytes"):
        download(f"{server.address}/long", limit=1_000_000)


def test_a_server_that_does_not_answer_is_given_up(server: Server) -> None:
    with pytest.raises(SourceError, match=r"/silent did not answer within 0\.1 s\."):
        download(f"{server.address}/silent", timeout_s=0.1)


def test_a_server_that_sends_too_slowly_is_given_up(server: Server) -> None:
    with pytest.raises(SourceError, match="/slow sends too slowly"):
        download(f"{server.address}/slow", timeout_s=0.05)


def test_a_failed_refresh_leaves_what_was_kept(tollbook: Tollbook, server: Server) -> None:
    tollbook("prices", "refresh", "--from", OFFER)
    before = tollbook.kept.read_bytes()
    assert tollbook("prices", "refresh", "--from", f"{server.address}/login").code == 1
    assert tollbook.kept.read_bytes() == before


def test_a_folder_that_cannot_be_written_is_one_sentence(tollbook: Tollbook) -> None:
    tollbook.home.write_text("a file where a folder should be", encoding="utf-8")
    answer = tollbook("prices", "refresh", "--from", OFFER)
    assert answer.code == 1
    assert answer.err.startswith(f"tollbook: Cannot write {tollbook.kept}: ")


def test_a_refresh_leaves_no_half_written_file(tollbook: Tollbook) -> None:
    tollbook("prices", "refresh", "--from", OFFER)
    assert [path.name for path in tollbook.kept.parent.iterdir()] == ["prices.json"]


def test_refreshed_prices_that_were_spoilt_are_refused_by_name(tollbook: Tollbook) -> None:
    tollbook.kept.parent.mkdir(parents=True)
    tollbook.kept.write_text("{", encoding="utf-8")
    for words in (("prices", "refresh", "--from", str(OFFER)), ("prices", "show")):
        answer = tollbook(*words)
        assert (answer.code, str(tollbook.kept) in answer.err) == (1, True)
