"""What `tollbook serve` may be told: by the environment, or by flags, which win.

Each setting stands once, in `SETTINGS`: its variable, its flag, how it is read and what it means.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec
from platformdirs import user_state_path

from tollbook.core.errors import UsageError
from tollbook.spend.window import instant, zone_of

NO_AUTH: Final = "none"
_LATER: Final = ("oauth", "lambda", "dev")
_ANY_LOOPBACK: Final = ("localhost", "127.0.0.1", "[::1]")


class Setting(msgspec.Struct, frozen=True):
    """One thing that can be set.

    Attributes:
        name: its name in `ServerSettings`, and in the flag.
        variable: its variable in the environment.
        read: turns what was written into its value; raises ValueError with what is wanted instead.
        what: what it means, for --help.
        default: as it would be written; None where nothing is.
    """

    name: str
    variable: str
    metavar: str
    read: Callable[[str], Any]
    what: str
    default: str | None = None

    @property
    def flag(self) -> str:
        return f"--{self.name.replace('_', '-')}"


class ServerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What a server was told. See `SETTINGS` for each."""

    source: tuple[str, ...]
    prices: Path | None
    names: Path | None
    region: str
    now: datetime | None
    host: str
    port: int
    workers: int
    auth_method: str | None
    allowed_hosts: tuple[str, ...]
    allowed_origins: tuple[str, ...]
    session_store: str
    session_idle: float
    sessions_per_owner: int
    sessions_in_all: int
    request_state_keys: tuple[str, ...]
    call_limit: float
    unheard: float
    text_limit: int
    results_kept: float
    drain: float
    log_level: str

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the server."""
        return _is_loopback(self.host)


def read_settings(environment: Mapping[str, str], flags: Mapping[str, str | None]) -> ServerSettings:
    """The settings that `environment` and `flags`, by name, come to.

    Raises:
        UsageError: with every problem, each on a line that begins with its flag and variable.
    """
    values: dict[str, Any] = {}
    problems: list[str] = []
    for setting in SETTINGS:
        flag, variable = flags.get(setting.name), environment.get(setting.variable) or None
        text = next((each for each in (flag, variable, setting.default) if each is not None), None)
        try:
            values[setting.name] = _UNSET.get(setting.name) if text is None else setting.read(text)
        except (ValueError, UsageError) as fault:
            problems.append(f"{setting.flag} ({setting.variable}): {fault}")
    if not problems:
        settings = ServerSettings(**values)
        problems = list(_contradictions(settings))
        if not problems:
            return settings
    raise UsageError("The server cannot start:", problems)


def _contradictions(settings: ServerSettings) -> Sequence[str]:
    problems = []
    if settings.auth_method in _LATER:
        problems.append(f"--auth-method (AUTH_METHOD): this version has no {settings.auth_method}; only none.")
    elif settings.auth_method is None and not settings.is_loopback:
        problems.append(
            f"--auth-method (AUTH_METHOD): {settings.host} can be reached from elsewhere, and nobody would be asked "
            "who he is. Serve on 127.0.0.1, or say --auth-method none if something in front of the server asks."
        )
    if not settings.is_loopback and settings.allowed_hosts == _LOOPBACK_HOSTS:
        problems.append(
            f"--allowed-hosts (ALLOWED_HOSTS): {settings.host} is not only called localhost. Name it as clients do."
        )
    if settings.workers > 1 and settings.session_store == "memory":
        problems.append("--workers: several workers cannot share --session-store memory. Use sqlite or dynamodb.")
    if settings.session_idle < settings.call_limit:
        problems.append("--session-idle: a session must not end before a call in it may: give at least --call-limit.")
    if settings.workers > 1 and settings.port == 0:
        problems.append("--workers: several workers need a --port other than 0.")
    return problems


def _is_loopback(host: str) -> bool:
    import ipaddress  # only a server needs it

    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _words(text: str) -> tuple[str, ...]:
    return tuple(filter(None, (word.strip() for word in text.split(","))))


def _whole(least: int, most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not (text.isascii() and text.isdigit() and least <= int(text) <= most):
            raise ValueError(f"a whole number from {least:,} to {most:,} is wanted, not '{text}'")
        return int(text)

    return read


def _seconds(least: float, most: float) -> Callable[[str], float]:
    def read(text: str) -> float:
        if not (re.fullmatch(r"\d{1,9}(\.\d{1,3})?", text) and least <= float(text) <= most):
            raise ValueError(f"seconds from {least:g} to {most:,.0f} are wanted, not '{text}'")
        return float(text)

    return read


def _choice(*words: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text.lower() not in words:
            raise ValueError(f"one of {', '.join(words)} is wanted, not '{text}'")
        return text.lower()

    return read


def _now(text: str) -> datetime:
    return instant("--now", text, zone_of("UTC")).astimezone(UTC)


def _region(text: str) -> str:
    if text != "all" and not re.fullmatch(r"[a-z]{2}(-[a-z]+)+-\d", text):
        raise ValueError(f"a region such as us-east-1, or all, is wanted, not '{text}'")
    return text


def _hosts(text: str) -> tuple[str, ...]:
    hosts = _words(text)
    if not hosts or any(not _HOST.fullmatch(host) for host in hosts):
        raise ValueError(f"names separated by commas are wanted, such as mcp.example.com or localhost:*, not '{text}'")
    return hosts


def _origins(text: str) -> tuple[str, ...]:
    origins = _words(text)
    if not origins or any(not _HOST.fullmatch(re.sub("^https?://", "", origin, count=1)) for origin in origins):
        raise ValueError(f"origins separated by commas are wanted, such as https://app.example.com, not '{text}'")
    if any("://" not in origin for origin in origins):
        raise ValueError(f"an origin begins with http:// or https://, not as '{text}' does")
    return origins


def _store(text: str) -> str:
    from tollbook.hosting.stores import open_store  # only a server needs it

    open_store(text)
    return text


def _keys(text: str) -> tuple[str, ...]:
    keys = _words(text)
    if not keys or any(len(key) < 32 for key in keys):  # never shown: they are secrets
        raise ValueError("keys of 32 characters or more, separated by commas, are wanted")
    return keys


_HOST: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*)(:(\d{1,5}|\*))?")
_LOOPBACK_HOSTS: Final = tuple(f"{name}:*" for name in _ANY_LOOPBACK)
_UNSET: Final[Mapping[str, Any]] = {
    "source": (),
    "request_state_keys": (),
    "session_store": f"sqlite:{user_state_path('tollbook', appauthor=False) / 'sessions.db'}",
}

SETTINGS: Final = (
    Setting(
        "source",
        "TOLLBOOK_SOURCE",
        "SOURCES",
        _words,
        "what to report on: files, folders or globs, separated by commas",
    ),
    Setting("names", "TOLLBOOK_NAMES", "FILE", Path, "which models opaque ids stand for"),
    Setting("prices", "TOLLBOOK_PRICES", "FILE", Path, "rates of your own, which go before the price book's"),
    Setting("region", "TOLLBOOK_REGION", "REGION", _region, "the region meant where a question names none", "all"),
    Setting("now", "TOLLBOOK_NOW", "TIME", _now, "the moment that days are counted back from (default: now)"),
    Setting("host", "TOLLBOOK_HOST", "ADDRESS", str, "the address to listen at", "127.0.0.1"),
    Setting("port", "PORT", "PORT", _whole(0, 65535), "the port to listen at; 0 takes a free one", "3000"),
    Setting(
        "workers", "TOLLBOOK_WORKERS", "N", _whole(1, 64), "processes that serve; any of them serves any session", "1"
    ),
    Setting(
        "auth_method",
        "AUTH_METHOD",
        "METHOD",
        _choice(NO_AUTH, *_LATER),
        "how callers prove who they are (default: none on a loopback address; elsewhere the server does not start)",
    ),
    Setting(
        "allowed_hosts",
        "ALLOWED_HOSTS",
        "NAMES",
        _hosts,
        "Host headers that are served, separated by commas; a port of * is any",
        ",".join(_LOOPBACK_HOSTS),
    ),
    Setting(
        "allowed_origins",
        "ALLOWED_ORIGINS",
        "ORIGINS",
        _origins,
        "origins of web pages that may call, separated by commas",
        ",".join(f"http://{name}:*" for name in _ANY_LOOPBACK),
    ),
    Setting(
        "session_store",
        "SESSION_STORE",
        "STORE",
        _store,
        "where sessions and whole results lie: memory, sqlite:PATH or dynamodb:TABLE (default: sqlite, in the user's "
        "state folder)",
    ),
    Setting("session_idle", "SESSION_IDLE_SECONDS", "S", _seconds(10, 604_800), "when an unused session ends", "1800"),
    Setting(
        "sessions_per_owner", "SESSIONS_PER_OWNER", "N", _whole(1, 10**6), "sessions that one caller may have", "1000"
    ),
    Setting("sessions_in_all", "SESSIONS_IN_ALL", "N", _whole(1, 10**7), "sessions that there may be", "10000"),
    Setting(
        "request_state_keys",
        "REQUEST_STATE_KEYS",
        "KEYS",
        _keys,
        "secrets that seal the state of a question to the user in revision 2026-07-28, newest first, the same for "
        "every instance (default: made anew at each start)",
    ),
    Setting("call_limit", "CALL_LIMIT_SECONDS", "S", _seconds(1, 86_400), "when a call is cancelled", "900"),
    Setting("unheard", "UNHEARD_SECONDS", "S", _seconds(1, 3600), "when a call that no one hears is cancelled", "60"),
    Setting("text_limit", "TEXT_LIMIT_BYTES", "BYTES", _whole(2000, 1 << 20), "the length of a report's text", "24576"),
    Setting(
        "results_kept", "RESULTS_KEPT_SECONDS", "S", _seconds(60, 2_592_000), "how long whole results lie", "86400"
    ),
    Setting("drain", "DRAIN_SECONDS", "S", _seconds(0, 900), "how long a stop waits for running calls", "10"),
    Setting(
        "log_level",
        "LOG_LEVEL",
        "LEVEL",
        _choice("debug", "info", "warning", "error"),
        "the least level of what is logged, as JSON lines on the standard error",
        "info",
    ),
)
