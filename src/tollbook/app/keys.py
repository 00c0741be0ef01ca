"""`tollbook keys`."""

import asyncio
import os
import re
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from tollbook.app.settings import SETTINGS
from tollbook.core.errors import UsageError
from tollbook.core.settings import read_values
from tollbook.core.text import json_safe, printable
from tollbook.hosting.auth.apikeys import ApiKey, ApiKeys, ListedKey
from tollbook.hosting.auth.scopes import words_of
from tollbook.hosting.auth.settings import required_scopes
from tollbook.hosting.stores import open_store

T = TypeVar("T")

_SPAN: Final = re.compile(r"([0-9]{1,5})([dh])")
_SPAN_S: Final = {"d": 86_400, "h": 3600}
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_PASTED: Final = re.compile(r"tbk_([0-9a-f]{16})_.*", re.DOTALL)
_WIDTHS: Final = (16, 16, 16, 16, 7)  # with two blanks between them, 79 columns
_STYLES: Final = {"good": "", "expired": "dim", "revoked": "dim"}


def key_store(session_store: str | None) -> str:
    """The store that `--session-store` or the environment names: that of the server.

    Raises:
        UsageError: no key can be kept there.
    """
    store = str(_set("session_store", session_store=session_store)["session_store"])
    if store == "memory":
        raise UsageError(
            "--session-store (SESSION_STORE): a key in memory would be gone at once. Name the server's store: "
            "sqlite:PATH or dynamodb:TABLE."
        )
    return store


def create_key(owner: str, scopes: str | None, expires: str, claims: Sequence[str], store: str) -> tuple[str, ApiKey]:
    """A new key in `store`: its text, which nobody can tell again, and what is known of it.

    Args:
        scopes: between blanks or commas; None for those that the server requires, by OAUTH_REQUIRED_SCOPE.
        expires: `90d`, `12h`, or the last day in UTC, `2027-01-31`.
        claims: each as `NAME=VALUE`.

    Raises:
        TollbookError: there can be no such key, or it cannot be kept.
    """
    wanted = (
        required_scopes(_set("oauth_required_scope", "cognito_resource_id")) if scopes is None else words_of(scopes)
    )
    if not wanted:
        raise UsageError(
            "A key without scopes opens no server. Give --scopes, such as tollbook/use, or set OAUTH_REQUIRED_SCOPE."
        )
    until, said = _end(expires, time.time()), _claims(claims)
    return _asked(store, lambda keys: keys.create(owner, wanted, until, said))


def list_keys(store: str) -> Sequence[ListedKey]:
    """Every key in `store`, the newest first.

    Raises:
        StoreDown: they cannot be read.
    """
    return _asked(_as_it_is(store), lambda keys: keys.list())


def revoke_key(key: str, store: str) -> ApiKey:
    """Revokes a key in `store`, and gives it as it was before.

    Args:
        key: its id, or the whole of it.

    Raises:
        TollbookError: there is none, or it cannot be revoked.
    """
    pasted = _PASTED.fullmatch(key.strip())
    return _asked(_as_it_is(store), lambda keys: keys.revoke(pasted[1] if pasted else key))


def _as_it_is(store: str) -> str:
    """`store`, or an empty one where it is a file that would only now be made: looking makes nothing."""
    kind, _, path = store.partition(":")
    return "memory" if kind == "sqlite" and not Path(path).expanduser().exists() else store


def about(key: ApiKey, store: str) -> Iterator[str]:
    """What is said of a new key, a line each."""
    yield "Shown once: keep this key where you keep secrets. What is stored is its hash."
    facts = {
        "id": key.id,
        "owner": key.owner,
        "scopes": " ".join(key.scopes) or "none",
        "claims": " ".join(_said(key)) or "none",
        "expires": f"{_minute(key.expires)} UTC",
        "store": store,
    }
    yield from (f"  {name:<9}{printable(value)}" for name, value in facts.items())


def show_keys(keys: Sequence[ListedKey], now: float, console: Console) -> None:
    """Prints `keys`. Whose a key is stands below it: beside its times, no name fits into 80 columns."""
    _line(console, ("Id", "Created, UTC", "Expires", "Last used", "State"), "dim")
    _below(console, "Owner · scopes · claims", "dim")
    for each in keys:
        key = each.key
        state = key.state(now)
        used = "never" if each.used is None else _minute(each.used)
        _line(console, (key.id, _minute(key.created), _minute(key.expires), used, state), _STYLES[state])
        whose = (key.owner, " ".join(key.scopes) or "no scopes", " ".join(_said(key)))
        _below(console, " · ".join(filter(None, whose)), _STYLES[state])


def keys_as_json(keys: Sequence[ListedKey], now: float) -> str:
    """`keys` as a JSON array; times in RFC 3339, UTC."""
    document = [
        {
            "id": each.key.id,
            "owner": each.key.owner,
            "scopes": each.key.scopes,
            "claims": each.key.claims,
            "created": _second(each.key.created),
            "expires": _second(each.key.expires),
            "last_used": _second(each.used),
            "revoked": _second(each.key.revoked),
            "state": each.key.state(now),
        }
        for each in keys
    ]
    return json_safe(msgspec.json.format(msgspec.json.encode(document)).decode()) + "\n"


def _set(*names: str, **flags: str | None) -> dict[str, Any]:
    """What the server's settings `names` are.

    Raises:
        UsageError: what was written of one makes no sense.
    """
    table = [setting for setting in SETTINGS if setting.name in names]
    values, problems = read_values(table, os.environ, flags)
    for problem in problems:
        raise UsageError(problem)
    return values


def _asked(store: str, do: Callable[[ApiKeys], Awaitable[T]]) -> T:
    async def ask() -> T:
        opened = open_store(store)
        try:
            return await do(ApiKeys(opened))
        finally:
            await opened.aclose()

    return asyncio.run(ask())


def _end(text: str, now: float) -> float:
    """When a key ends, in seconds since 1970.

    Raises:
        UsageError: `text` does not say.
    """
    if span := _SPAN.fullmatch(text):
        return now + int(span[1]) * _SPAN_S[span[2]]
    try:
        if _DATE.fullmatch(text):
            return (datetime.fromisoformat(text).replace(tzinfo=UTC) + timedelta(days=1)).timestamp()
    except (ValueError, OverflowError):
        pass
    raise UsageError(f"--expires '{text}' is no end. Write 90d, 12h, or the last day as 2027-01-31.")


def _claims(texts: Sequence[str]) -> Mapping[str, str]:
    claims: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or name in claims:
            raise UsageError(f"--claim '{text}': write NAME=VALUE, such as email=ana@example.com, each name once.")
        claims[name] = value
    return claims


def _said(key: ApiKey) -> Iterator[str]:
    return (f"{name}={value}" for name, value in key.claims.items())


def _line(console: Console, cells: Sequence[str], style: str) -> None:
    text = "  ".join(f"{cell:<{width}}" for cell, width in zip(cells, _WIDTHS, strict=True))
    console.print(Text(text.rstrip(), style=style), soft_wrap=True)


def _below(console: Console, text: str, style: str) -> None:
    console.print(Padding(Text(printable(text), style=style), (0, 0, 0, 2), expand=False))


def _minute(time_: float) -> str:
    return datetime.fromtimestamp(time_, UTC).strftime("%Y-%m-%d %H:%M")


def _second(time_: float | None) -> str | None:
    return None if time_ is None else datetime.fromtimestamp(time_, UTC).isoformat(timespec="seconds")
