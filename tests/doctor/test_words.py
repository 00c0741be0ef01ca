"""How findings look on a screen."""

import json

import pytest

from tollbook.client.trouble import ClientError
from tollbook.doctor.finding import exit_code, failed, failed_with, foreign, ok, skipped, unknown
from tollbook.doctor.words import FINE, PLAIN, Paper, as_json, signs_for, summary

FINDINGS = [
    ok("credentials", "You are arn:aws:iam::111122223333:user/ana."),
    failed("invocation logging", "It is off in eu-west-1.", "Switch it on: tollbook doctor --switch-on-logging."),
    unknown(
        "permissions", "IAM could not be asked.", "Compare its policies with what 'tollbook iam cloudwatch' prints."
    ),
    *(
        skipped(name, "'address' failed")
        for name in ("health", "clock", "challenge", "scopes", "keys", "tools", "session")
    ),
    skipped("token", "a login is needed to go on", "Run 'tollbook login URL'.", needs_login=True),
]


def printed(columns: int = 100) -> list[str]:
    paper = Paper(columns, FINE)
    return [*(line for each in FINDINGS for line in paper.add(each)), *paper.rest()]


def test_each_has_a_line_and_what_to_do_below() -> None:
    assert printed() == [
        "✓ credentials         You are arn:aws:iam::111122223333:user/ana.",
        "✗ invocation logging  It is off in eu-west-1.",
        "                      → Switch it on: tollbook doctor --switch-on-logging.",
        "? permissions         IAM could not be asked.",
        "                      → Compare its policies with what 'tollbook iam cloudwatch' prints.",
        "- skipped             'address' failed: health, clock, challenge, scopes, keys, tools and 1 more",
        "- token               a login is needed to go on",
        "                      → Run 'tollbook login URL'.",
    ]


@pytest.mark.parametrize("columns", [40, 60, 80, 100, 300])
def test_no_line_is_wider_than_the_screen_or_a_hundred_columns(columns: int) -> None:
    longest_word = len("arn:aws:iam::111122223333:user/ana.")
    assert all(len(line) <= max(min(columns, 100), 22 + longest_word) for line in printed(columns))


def test_an_address_is_left_whole_to_be_copied() -> None:
    address = f"https://abcdef1234.execute-api.eu-west-1.amazonaws.com/v1/{'a-long-path/' * 4}mcp"
    lines = Paper(60, FINE).add(failed("challenge", "Nothing is there.", f"Check {address} once more."))
    assert any(line.strip() == address for line in lines)


@pytest.mark.parametrize(("encoding", "signs"), [("utf-8", FINE), ("ascii", PLAIN), (None, PLAIN), ("no such", PLAIN)])
def test_signs_that_the_terminal_lacks_are_plain(encoding: str | None, signs: object) -> None:
    assert signs_for(encoding) is signs


def test_the_last_line_says_how_it_stands() -> None:
    assert summary(FINDINGS) == "3 checks were made; 'invocation logging' failed."
    twice = [*FINDINGS, failed("clock", "It is wrong.", "Set it.")]
    assert summary(twice) == "4 checks were made; 2 of them failed: begin with 'invocation logging'."
    assert summary([FINDINGS[0], FINDINGS[-1]]) == "1 check was made, and nothing is wrong; the rest needs a login."
    assert summary([FINDINGS[0], FINDINGS[2]]) == "2 checks were made, and nothing is wrong; 1 could not be judged."


def test_the_exit_code_says_it_too() -> None:
    assert exit_code([FINDINGS[0]]) == 0
    assert exit_code([FINDINGS[0], FINDINGS[-1]]) == 3
    assert exit_code(FINDINGS) == 1
    assert exit_code([FINDINGS[2]]) == 0


def test_as_json_it_is_one_document() -> None:
    found = json.loads(as_json("http://localhost:3000/mcp", FINDINGS[:2]))
    assert found == {
        "target": "http://localhost:3000/mcp",
        "findings": [
            {
                "check": "credentials",
                "status": "ok",
                "said": "You are arn:aws:iam::111122223333:user/ana.",
                "remedy": "",
                "facts": {},
            },
            {
                "check": "invocation logging",
                "status": "failed",
                "said": "It is off in eu-west-1.",
                "remedy": "Switch it on: tollbook doctor --switch-on-logging.",
                "facts": {},
            },
        ],
        "exit_code": 1,
    }


@pytest.mark.parametrize(
    ("message", "said", "remedy"),
    [
        ("Nothing listens. Is it running?", "Nothing listens.", "Is it running?"),
        ("No credentials were found: set AWS_PROFILE.", "No credentials were found.", "Set AWS_PROFILE."),
        ("It has no address; tell its owner.", "It has no address.", "Tell its owner."),
        ("It broke", "It broke.", "Mend that, and ask again."),
    ],
)
def test_a_sentence_of_an_error_is_what_happened_and_what_to_do(message: str, said: str, remedy: str) -> None:
    finding = failed_with("x", ClientError(message))
    assert (finding.said, finding.remedy) == (said, remedy)


@pytest.mark.parametrize(
    "secret",
    [
        "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl",
        "tbk_0123456789abcdef_0123456789abcdef",
        "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGH",
        "ya29.a0AfB_byC-1234",
        "sk-proj-0123456789",
        "ghp_0123456789abcdef",
        "abcdefgh.IJKLMNOP~01234567.qrstuvwx",
    ],
)
def test_what_may_be_a_token_is_left_out(secret: str) -> None:
    assert foreign(f"I know {secret} of yours") == "I know […] of yours"


@pytest.mark.parametrize("word", ["Bearer", "bearer", "BEARER"])
def test_what_stands_behind_the_word_bearer_is_left_out(word: str) -> None:
    assert foreign(f"{word} 0123456789.abcdef") == f"{word} […]"


def test_an_address_is_no_token() -> None:
    address = "https://abcdef1234.execute-api.eu-west-1.amazonaws.com/v1/mcp"
    assert foreign(f"It is {address}.") == f"It is {address}."
