"""What a user gets who asks wrongly: one sentence that says what and what next."""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.logs import Ask, call, write


@pytest.fixture
def log(tmp_path: Path) -> str:
    return write(tmp_path / "log.jsonl", call())


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        ("LOG --tz Mars/Base", 2, "There is no time zone 'Mars/Base'"),
        ("LOG --tz Europe", 2, "There is no time zone 'Europe'"),
        ("LOG --tz ../../etc/passwd", 2, "There is no time zone"),
        ("LOG --days 0", 2, "--days takes a whole number from 1 to 3660, not 0"),
        ("LOG --days -3", 2, "--days takes a whole number"),
        ("LOG --days 200000000", 2, "--days takes a whole number"),
        ("LOG --days many", 2, "invalid int value: 'many'"),
        ("LOG --days 3 --since 2026-11-01", 2, "Give one of them"),
        ("LOG --since 2026-11-20 --until 2026-11-10", 2, "--until 2026-11-10 comes before --since 2026-11-20"),
        ("LOG --since 2026-11-20T10:00Z --until 2026-11-20T10:00Z", 2, "comes before"),
        ("LOG --since tomorrow", 2, "--since 'tomorrow' is no date or time"),
        ("LOG --since 2026-13-01", 2, "is no date or time"),
        ("LOG --until 9999-12-31", 2, "is no date or time"),
        ("LOG --by colour", 2, "--by 'colour' is not known. Choose from day, hour, model"),
        ("LOG --by tag:", 2, "--by 'tag:' is not known"),
        ("LOG --by ,", 2, "--by needs at least one of"),
        ("LOG --format xml", 2, "invalid choice: 'xml'"),
        ("LOG --top some", 2, "a whole number from 0 on is wanted"),
        ("cloudwatch:a|b", 2, "names no log group"),
        ("nowhere.jsonl", 1, "There is no file or folder nowhere.jsonl"),
        ("nothing-*.gz", 1, "Nothing matches nothing-*.gz"),
        ("EMPTY", 1, "holds no logs"),
        ("LOG --prices nowhere.json", 1, "Cannot read nowhere.json"),
        ("LOG --names nowhere.json", 1, "Cannot read nowhere.json"),
        ("LOG --names LOG", 2, "A names file looks like"),
    ],
)
def test_one_sentence_and_no_traceback(ask: Ask, tmp_path: Path, log: str, words: str, code: int, says: str) -> None:
    empty = tmp_path / "empty"
    (empty / "nested").mkdir(parents=True)
    answer = ask("report", *words.replace("LOG", log).replace("EMPTY", str(empty)).split())
    assert answer.code == code
    assert says in answer.err
    assert answer.out == ""
    assert "Traceback" not in answer.err
    if not answer.err.startswith("usage:"):
        assert re.fullmatch(r"tollbook: [^\n]+\n", answer.err)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ('{"input": 3.3}', 'Write rates as strings, such as "3.30"'),
        ('{"input": 3}', "Write rates as strings"),
        ('{"input": "3.3", "colour": "red"}', "unknown field `colour`"),
        ('{"input": "cheap"}', '"cheap" is no rate'),
        ('{"input": "-1"}', '"-1" is no rate'),
        ('{"input": "NaN"}', '"NaN" is no rate'),
        ('{"input": "1e9"}', '"1e9" is no rate'),
        ('{"output": "3"}', '"input" is missing'),
        ('{"input": "1", "scope": "moon"}', 'the scope "moon" is not known'),
        ('{"input": "1", "source": "hearsay"}', '"hearsay" is not among "sources"'),
        ('{"input": "1", "since": "soon"}', "Invalid RFC3339 encoded date"),
        ('{"input": "1", "model": "us.amazon.nova-pro-v1:0"}', "the model has a profile's prefix"),
        (
            '{"input": "1", "above": {"1000": {"input": "2"}}}',
            '"above" knows prompts above 100000, 128000, 200000, 272000',
        ),
    ],
)
def test_a_price_file_that_cannot_be_trusted(ask: Ask, tmp_path: Path, log: str, content: str, says: str) -> None:
    entry = {"model": '"m.x"', "scope": '"in-region"', "since": '"2026-01-01"'}
    fields = ", ".join(f'"{key}": {value}' for key, value in entry.items() if f'"{key}"' not in content)
    answer = ask("report", log, "--prices", price_file(tmp_path, f"{content[:-1]}, {fields}}}"))
    assert answer.code == 1
    assert says in answer.err
    assert answer.err.count("\n") == 1


def test_a_price_file_that_says_two_things_of_one(ask: Ask, tmp_path: Path, log: str) -> None:
    entry = '{"model": "m.x", "scope": "us", "since": "2026-01-01", "input": "%s"}'
    answer = ask("report", log, "--prices", price_file(tmp_path, f"{entry % 1}, {entry % 99}"))
    assert (answer.code, answer.err.count("\n")) == (1, 1)
    assert "price 2 (m.x): an entry before it is for the same thing" in answer.err


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"unit": "per_thousand_tokens"}, '"unit" is "per_thousand_tokens", but only "per_million_tokens" is read'),
        ({"currency": "EUR"}, 'only "USD" is read'),
        ({"schema": "tollbook.prices/9"}, 'only "tollbook.prices/1" is read'),
    ],
)
def test_a_price_file_in_another_unit(ask: Ask, tmp_path: Path, log: str, changes: dict[str, str], says: str) -> None:
    answer = ask("report", log, "--prices", price_file(tmp_path, "", **changes))
    assert (answer.code, answer.err.count("\n")) == (1, 1)
    assert says in answer.err


def price_file(tmp_path: Path, entry: str, **changes: str) -> str:
    head = {"schema": "tollbook.prices/1", "currency": "USD", "unit": "per_million_tokens"} | changes
    path = tmp_path / "prices.json"
    path.write_text(f'{{{", ".join(f""" "{key}": "{value}" """ for key, value in head.items())}, "prices": [{entry}]}}')
    return str(path)


@pytest.mark.parametrize(
    ("content", "says"), [("model,input\n", "is no JSON"), ('"text"', "Expected `object`"), ("", "is no JSON")]
)
def test_a_price_file_that_is_no_such_file(ask: Ask, tmp_path: Path, log: str, content: str, says: str) -> None:
    path = tmp_path / "prices.json"
    path.write_text(content)
    answer = ask("report", log, "--prices", str(path))
    assert answer.code == 1
    assert says in answer.err


def test_what_may_not_be_read() -> None:
    with tempfile.TemporaryDirectory() as place:  # where others may look, unlike pytest's own
        folder = Path(place)
        folder.chmod(0o755)
        Path(write(folder / "logs" / "secret.jsonl", call())).chmod(0)
        (folder / "closed").mkdir(mode=0)
        for path in (
            folder / "logs" / "secret.jsonl",
            folder / "logs",
            folder / "closed",
            folder / "closed" / "log.jsonl",
        ):
            done = as_nobody("report", str(path))
            assert done.returncode == 1
            assert re.fullmatch(r"tollbook: Cannot read \S+: permission denied; [^\n]+\n", done.stderr)
        (folder / "closed").chmod(0o755)


def as_nobody(*words: str) -> "subprocess.CompletedProcess[str]":
    """Calls the program without root's right to read everything, which it gives up once all is imported."""
    program = (
        "import locale, os, sys\n"
        "from tollbook.app import book, reports, settings\n"
        "from tollbook.cli import main\n"
        "book.price_book()\n"
        "if os.geteuid() == 0: os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    # Whoever may read nothing may not write the figures of coverage either.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    return subprocess.run(
        [sys.executable, "-c", program, *words], capture_output=True, text=True, check=False, env=environment
    )


def test_whoever_stops_listening_ends_it_quietly(tmp_path: Path) -> None:
    log = write(tmp_path / "log.jsonl", *(call(arn=f"arn:aws:iam::1:user/{number}") for number in range(3000)))
    words = [sys.executable, "-m", "tollbook", "report", log, "--format", "markdown"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as program:
        assert program.stdout is not None
        assert program.stderr is not None
        program.stdout.readline()
        program.stdout.close()
        assert program.stderr.read() == b""
    assert program.returncode == 0


def test_help_and_version_name_the_program(ask: Ask) -> None:
    assert ask("--version").out.startswith("tollbook 0.")
    said = ask("report", "--help").out
    for word in (
        "SOURCE",
        "--days",
        "--since",
        "--until",
        "--tz",
        "--by",
        "--format",
        "--prices",
        "--names",
        "tag:KEY",
    ):
        assert word in said
    assert os.linesep in said
