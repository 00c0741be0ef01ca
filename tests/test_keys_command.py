"""`tollbook keys`, as who types it meets it."""

import asyncio
import contextlib
import os
import re
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.dynamodb import dynamodb as dynamodb
from tests.fakes.dynamodb import dynamodb_server as dynamodb_server
from tests.logs import Answer, Ask
from tollbook.core.caller import Caller
from tollbook.hosting.auth.apikeys import ApiKeys
from tollbook.hosting.stores.sqlite import SqliteStore

DAY_S = 86_400


@pytest.fixture(autouse=True)
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the keys of a test lie."""
    path = tmp_path / "store.db"
    monkeypatch.setenv("SESSION_STORE", f"sqlite:{path}")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("OAUTH_REQUIRED_SCOPE", "use")
    return path


def create(ask: Ask, *words: str) -> str:
    """A new key."""
    answer = ask("keys", "create", "--owner", "ana@example.com", *words)
    assert answer.code == 0, answer.err
    return answer.out.removesuffix("\n")


def id_of(key: str) -> str:
    return key.split("_")[1]


def listed(ask: Ask) -> Any:
    return ask("keys", "list", "--json").json


def in_store(path: Path, do: Callable[[ApiKeys], Any], clock: Callable[[], float] = time.time) -> Any:
    """Does what a server with that store would."""

    async def work() -> Any:
        store = SqliteStore(path, clock)
        try:
            return await do(ApiKeys(store, clock))
        finally:
            await store.aclose()

    return asyncio.run(work())


def caller_of(path: Path, key: str) -> Caller | None:
    caller = in_store(path, lambda keys: keys.caller(key))
    assert caller is None or isinstance(caller, Caller)
    return caller


# --- create


def test_a_new_key_stands_alone_on_the_standard_output_and_is_good(ask: Ask, path: Path) -> None:
    answer = ask("keys", "create", "--owner", "ana@example.com", "--scopes", "a:b, c  a:b", "--claim", "team=red=1")
    (key,) = answer.out.splitlines()
    caller = caller_of(path, key)
    assert caller is not None
    assert (caller.subject, sorted(caller.scopes)) == ("ana@example.com", ["a:b", "c"])
    assert caller.claims == {"sub": "ana@example.com", "team": "red=1"}


def test_what_it_is_for_is_said_beside_it_and_its_secret_is_not(ask: Ask, path: Path) -> None:
    answer = ask("keys", "create", "--owner", "ana@example.com", "--scopes", "c a:b", "--claim", "team=red")
    key = answer.out.strip()
    first, *facts = answer.err.splitlines()
    assert first.startswith("Shown once")
    (known,) = listed(ask)
    assert dict(line.split(maxsplit=1) for line in facts) == {
        "id": id_of(key),
        "owner": "ana@example.com",
        "scopes": "c a:b",
        "claims": "team=red",
        "expires": f"{datetime.fromisoformat(known['expires']):%Y-%m-%d %H:%M} UTC",
        "store": f"sqlite:{path}",
    }
    assert key.rpartition("_")[2] not in answer.err


def test_no_command_shows_a_key_again_nor_does_the_file_hold_it(ask: Ask, path: Path) -> None:
    key = create(ask)
    said = [ask("keys", "list"), ask("keys", "list", "--json"), ask("keys", "revoke", id_of(key))]
    secret = key.rpartition("_")[2]
    assert list(path.parent.glob("store.db*")) == [path]  # it was closed: all is in this file
    assert secret.encode() not in path.read_bytes()
    assert secret not in "".join(answer.out + answer.err for answer in said)


@pytest.mark.parametrize(
    ("words", "seconds"),
    [([], 90 * DAY_S), (["--expires", "12h"], 12 * 3600), (["--expires", "366d"], 366 * DAY_S)],
)
def test_a_key_ends_after_the_span_that_was_asked_for(ask: Ask, words: list[str], seconds: int) -> None:
    create(ask, *words)
    (key,) = listed(ask)
    lives = datetime.fromisoformat(key["expires"]) - datetime.fromisoformat(key["created"])
    assert lives.total_seconds() == pytest.approx(seconds, abs=60)  # both are shown in whole seconds


def test_a_key_ends_with_the_last_moment_of_the_day_that_was_asked_for(ask: Ask) -> None:
    day = datetime.now(UTC).date() + timedelta(days=30)
    create(ask, "--expires", f"{day}")
    (key,) = listed(ask)
    assert key["expires"] == f"{day + timedelta(days=1)}T00:00:00+00:00"


def test_scopes_are_those_that_the_server_requires_unless_others_are_named(
    ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OAUTH_REQUIRED_SCOPE", "mcp:read mcp:tools")
    create(ask)
    create(ask, "--scopes", "own")
    monkeypatch.setenv("OAUTH_REQUIRED_SCOPE", "read")
    monkeypatch.setenv("COGNITO_RESOURCE_ID", "tollbook")
    create(ask)
    assert sorted(key["scopes"] for key in listed(ask)) == [["mcp:read", "mcp:tools"], ["own"], ["tollbook/read"]]


def test_a_key_that_would_open_nothing_is_not_made(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ask("keys", "create", "--owner", "ana", "--scopes", "").code == 2
    monkeypatch.delenv("OAUTH_REQUIRED_SCOPE")
    answer = ask("keys", "create", "--owner", "ana")
    assert (answer.code, answer.out) == (2, "")
    assert "A key without scopes opens no server. Give --scopes, such as tollbook/use" in answer.err
    assert listed(ask) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--owner", ""], "An owner has 1 to 200 printable characters"),
        (["--owner", "ana\x1b[31m"], "An owner has 1 to 200 printable characters"),
        (["--scopes", 'good "bad"'], "'\"bad\"' is no scope"),
        (["--expires", "soon"], "--expires 'soon' is no end. Write 90d, 12h, or the last day as 2027-01-31."),
        (["--expires", "2027-02-30"], "--expires '2027-02-30' is no end."),
        (["--expires", "9999-12-31"], "is no end"),
        (["--expires", "-1d"], "--expires"),
        (["--expires", "٣d"], "is no end"),
        (["--expires", "0d"], "within 366 days"),
        (["--expires", "367d"], "within 366 days"),
        (["--expires", "2020-01-31"], "within 366 days"),
        (["--claim", "email"], "--claim 'email': write NAME=VALUE"),
        (["--claim", "=x"], "A claim has a name"),
        (["--claim", "a=1", "--claim", "a=2"], "each name once"),
        (["--claim", "sub=root"], "'sub' is no claim to choose"),
        (["--session-store", "redis"], "--session-store (SESSION_STORE): 'redis' is no store."),
        (["--session-store", "memory"], "a key in memory would be gone at once. Name the server's store: sqlite:PATH"),
    ],
)
def test_what_cannot_be_made_is_said_in_one_sentence(ask: Ask, words: list[str], said: str) -> None:
    answer = ask("keys", "create", "--owner", "ana", *words)
    assert (answer.code, answer.out) == (2, "")
    assert said in answer.err
    assert "\x1b" not in answer.err
    assert listed(ask) == []


def test_a_variable_that_names_no_scopes_is_said_in_one_sentence(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OAUTH_REQUIRED_SCOPE", "sm\xf8rrebr\xf8d")
    answer = ask("keys", "create", "--owner", "ana")
    assert (answer.code, answer.out, "(OAUTH_REQUIRED_SCOPE): scopes" in answer.err) == (2, "", True)


def test_an_owner_must_be_named(ask: Ask) -> None:
    assert ask("keys", "create").code == 2


# --- list


def test_no_keys_are_a_sentence_and_an_empty_array(ask: Ask, path: Path) -> None:
    assert ask("keys", "list").out == (
        f"No API key lies in sqlite:{path}. 'tollbook keys create --owner NAME --scopes SCOPES' makes one.\n"
    )
    assert listed(ask) == []


def test_keys_are_listed_with_whose_they_are_and_how_they_stand(ask: Ask, path: Path) -> None:
    ended = in_store(
        path,
        lambda keys: keys.create("old", [], time.time() - 5 * DAY_S, {}),
        clock=lambda: time.time() - 10 * DAY_S,
    )[0]
    used, revoked = create(ask, "--scopes", "mcp:read", "--claim", "team=red"), create(ask)
    caller_of(path, used)
    ask("keys", "revoke", id_of(revoked))
    document = {key["id"]: key for key in listed(ask)}
    last_use = datetime.fromisoformat(document[id_of(used)]["last_used"])
    rows = [line.strip() for line in ask("keys", "list").out.splitlines()[2:]]
    facts = {id_: (last, state) for id_, _, _, last, state in (re.split(" {2,}", row) for row in rows[::2])}
    assert facts == {
        id_of(used): (f"{last_use:%Y-%m-%d %H:%M}", "good"),
        id_of(revoked): ("never", "revoked"),
        id_of(ended): ("never", "expired"),
    }
    assert {key: document[key]["state"] for key in document} == {key: state for key, (_, state) in facts.items()}
    assert sorted(rows[1::2]) == [
        "ana@example.com · mcp:read · team=red",
        "ana@example.com · use",
        "old · no scopes",
    ]
    assert [each["revoked"] is not None for each in document.values()].count(True) == 1


@pytest.mark.parametrize("columns", [80, 120])
def test_no_line_of_the_list_is_wider_than_the_screen(
    ask: Ask, path: Path, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    words = ["--claim", "team=" + "red" * 100, "--scopes", " ".join(f"https://example.com/scope/{n}" for n in range(9))]
    key = create(ask, *words)
    caller_of(path, key)
    ask("keys", "revoke", key)  # the longest word for a state
    lines = ask("keys", "list").out.splitlines()
    assert max(map(len, lines)) <= columns
    shown = "".join(line.strip() for line in lines)
    assert "red" * 100 in shown
    assert "https://example.com/scope/8" in shown


def test_nothing_in_the_list_can_move_a_cursor(ask: Ask, path: Path) -> None:
    """Not even what somebody else wrote into the store."""
    create(ask)
    with contextlib.closing(sqlite3.connect(path)) as store, store:
        store.execute("UPDATE records SET value = replace(value, 'ana@', 'ana\\u001b[2J\\u202e')")
    assert "ana<U+001B>[2J<U+202E>example.com" in ask("keys", "list").out
    assert "ana\\u001b[2J\\u202eexample.com" in ask("keys", "list", "--json").out
    assert "\x1b" not in ask("keys", "revoke", listed(ask)[0]["id"]).out


# --- revoke


@pytest.mark.parametrize("pasted", ["id", "key", "beginning"])
def test_a_revoked_key_is_refused_and_that_is_said(ask: Ask, path: Path, pasted: str) -> None:
    key, other = create(ask), create(ask)
    words = {"id": id_of(key), "key": f" {key}\n", "beginning": key[:30]}
    answer = ask("keys", "revoke", words[pasted])
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.startswith(f"The API key {id_of(key)} of ana@example.com is revoked")
    assert key[21:] not in answer.out
    assert caller_of(path, key) is None
    assert caller_of(path, other)


def test_to_revoke_a_key_twice_is_no_mistake(ask: Ask) -> None:
    key = id_of(create(ask))
    ask("keys", "revoke", key)
    answer = ask("keys", "revoke", key)
    assert (answer.code, answer.out) == (0, f"The API key {key} of ana@example.com was revoked before.\n")


@pytest.mark.parametrize("key", ["0" * 16, f"tbk_{'0' * 16}_{'c0ffee' * 10}"])
def test_a_key_that_there_is_not_is_one_sentence(ask: Ask, key: str) -> None:
    answer = ask("keys", "revoke", key)
    said = f"tollbook: There is no API key of the id {'0' * 16}. 'tollbook keys list' shows those there are.\n"
    assert (answer.code, answer.out, answer.err) == (1, "", said)


def test_what_is_no_id_is_not_repeated_since_it_may_be_a_secret(ask: Ask) -> None:
    answer = ask("keys", "revoke", "c0ffee" * 10)
    assert (answer.code, "c0ffee" in answer.err) == (1, False)
    assert answer.err.startswith("tollbook: An id has 16 of the characters 0-9 and a-f.")


# --- stores


@pytest.mark.parametrize("words", [["create", "--owner", "ana"], ["list"], ["revoke", "0" * 16]])
def test_a_store_that_cannot_be_used_is_one_sentence(ask: Ask, path: Path, words: list[str]) -> None:
    path.write_text("This is no database, and says so at some length. " * 100)
    answer = ask("keys", *words)
    assert (answer.code, answer.out) == (1, "")
    assert answer.err.startswith(f"tollbook: '{path}' is no store of this version of tollbook")
    assert answer.err.count("\n") == 1


@pytest.mark.parametrize("action", [["create", "--owner", "ana"], ["list"], ["revoke", "0" * 16]])
def test_a_flag_names_another_store_and_none_in_memory(ask: Ask, tmp_path: Path, action: list[str]) -> None:
    assert ask("keys", *action, "--session-store", "memory").code == 2
    ask("keys", *action, "--session-store", f"sqlite:{tmp_path / 'other.db'}")
    assert (tmp_path / "other.db").exists() == (action[0] == "create"), "who looks makes nothing"
    assert not (tmp_path / "store.db").exists()


def test_keys_may_lie_in_dynamodb(ask: Ask, dynamodb: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from tollbook.hosting.stores.dynamodb import create_table

    monkeypatch.setenv("SESSION_STORE", "dynamodb:keys-command")
    missing = ask("keys", "list")
    assert (missing.code, "There is no DynamoDB table 'keys-command'" in missing.err) == (1, True)
    create_table(dynamodb, "keys-command")
    key = create(ask)
    assert ask("keys", "revoke", id_of(key)).code == 0
    assert [each["state"] for each in listed(ask)] == ["revoked"]
    dynamodb.delete_table(TableName="keys-command")


def test_a_key_can_be_piped_and_no_file_but_the_stores_appears(tmp_path: Path) -> None:
    def program(*words: str) -> Answer:
        command = [sys.executable, "-m", "tollbook", "keys", *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=dict(os.environ))
        return Answer(done.returncode, done.stdout, done.stderr)

    key = program("create", "--owner", "ana")
    assert key.out.startswith("tbk_")
    assert key.out.count("\n") == 1
    assert "ana · use" in program("list").out
    assert program("revoke", key.out).code == 0
    assert [each.name for each in tmp_path.iterdir()] == ["store.db"]
