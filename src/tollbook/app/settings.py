"""What `tollbook serve` may be told."""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import urlsplit

import msgspec
from platformdirs import user_state_path

from tollbook.app import people
from tollbook.app.aws_settings import AWS_SETTINGS, AwsSettings, aws_settings
from tollbook.core import loopback
from tollbook.core.errors import SourceError, UsageError
from tollbook.core.settings import Setting, choice, module_and_name, read_values, seconds, whole, words
from tollbook.hosting.auth.settings import AUTH_SETTINGS, AuthSettings, auth_settings
from tollbook.sources.named import one_kind
from tollbook.spend.window import instant, zone_of
from tollbook.tools.sight import SIGHT_SETTINGS, SightRules, problems_of

if TYPE_CHECKING:
    from tollbook.spend.answers.budgets import Budget

NO_LOGIN: Final = "none"
NO_METRICS: Final = "none"
DEV_LOGIN: Final = "dev"
OAUTH: Final = ("oauth", "lambda")
"""The same to the server: with `lambda` an authorizer stands in front of it too, and is not believed."""


class Kept(NamedTuple):
    """Places in S3."""

    days: str
    results: str


def kept_in(bucket: str) -> Kept:
    """Where below `bucket`, s3://BUCKET/PREFIX, days that are over and whole results lie."""
    root = bucket.rstrip("/")
    return Kept(f"{root}/days", f"{root}/results")


class ServerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What a server was told. See `SETTINGS` for each."""

    app: str
    source: tuple[str, ...]
    prices: Path | None
    names: Path | None
    budgets: "tuple[Budget, ...]"
    region: str
    now: datetime | None
    host: str
    port: int
    workers: int
    auth: str
    is_local_only: bool
    access: AuthSettings | None
    public_url: str
    allowed_hosts: tuple[str, ...]
    allowed_origins: tuple[str, ...]
    session_store: str
    bucket: str
    session_idle: float
    sessions_per_owner: int
    sessions_in_all: int
    request_state_keys: tuple[str, ...]
    call_limit: float
    unheard: float
    text_limit: int
    results_kept: float
    drain: float
    metrics: str
    log_level: str
    sight: SightRules
    aws: AwsSettings

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the server."""
        return loopback.is_loopback(self.host)

    @property
    def results_place(self) -> str:
        """The place in S3 where whole results lie; empty where they lie in the session store."""
        return kept_in(self.bucket).results if self.bucket else ""

    @property
    def local_url(self) -> str:
        """The MCP endpoint, by the address that it listens at."""
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}/mcp"


def read_local_settings(environment: Mapping[str, str], flags: Mapping[str, str | None]) -> ServerSettings:
    """The settings of a server that only whoever starts it can speak to: nobody else is there to be known.

    Raises:
        UsageError: as `read_settings`.
    """
    others = {each.name for each in (_METHOD, *AUTH_SETTINGS, *SIGHT_SETTINGS)}
    written = {each.name: each.written(environment, flags) for each in SETTINGS if each.name not in others}
    return read_settings({_METHOD.variable: NO_LOGIN}, written)


def read_settings(environment: Mapping[str, str], flags: Mapping[str, str | None]) -> ServerSettings:
    """The settings that `environment` and `flags`, by name, come to.

    Raises:
        UsageError: with every problem, each on a line that begins with its flag and variable.
    """
    values, problems = read_values(SETTINGS, environment, flags)
    if not problems:
        access, sight = _taken(values, AUTH_SETTINGS), _taken(values, SIGHT_SETTINGS)
        aws = _taken(values, AWS_SETTINGS)
        is_default = not values["auth"]
        values["auth"] = values["auth"] or _likely(access, values["host"])
        if values["auth"] == DEV_LOGIN:
            theirs, _ = read_values(SIGHT_SETTINGS, {}, people.SIGHT)
            sight = {name: value or theirs[name] for name, value in sight.items()}
        values["allowed_hosts"] = _names_of(values["allowed_hosts"], values["host"], access["public_url"])
        settings = ServerSettings(
            access=None,
            is_local_only=values["auth"] == DEV_LOGIN or (is_default and values["auth"] == NO_LOGIN),
            public_url=access["public_url"],
            sight=SightRules(**sight),
            aws=aws_settings(aws, environment, kept_in(values["bucket"]).days if values["bucket"] else ""),
            **values,
        )
        problems = [*_contradictions(settings)]
        if not settings.app:  # which has calls of nobody to show
            problems += problems_of(settings.sight, has_login=settings.auth != NO_LOGIN)
        if settings.auth in OAUTH:
            try:
                known = auth_settings(access, settings.local_url if settings.is_loopback else "")
                settings = msgspec.structs.replace(settings, access=known)
            except UsageError as fault:
                problems += fault.more
        if not problems:
            return settings
    raise UsageError("The server cannot start:", problems)


def _taken(values: dict[str, Any], table: Iterable[Setting]) -> dict[str, Any]:
    """Those of `values` that a table of its own asked for, which are taken out."""
    return {setting.name: values.pop(setting.name) for setting in table}


def _likely(access: Mapping[str, Any], host: str) -> str:
    """The way to log in where none was named; empty where that would not be safe."""
    if any(access[name] for name in ("oauth_issuer", "cognito_user_pool_id", "cognito_region")):
        return OAUTH[0]
    public_host = urlsplit(access["public_url"]).hostname or host
    return NO_LOGIN if loopback.is_loopback(host) and loopback.is_loopback(public_host) else ""


def _names_of(given: tuple[str, ...], host: str, public_url: str) -> tuple[str, ...]:
    """The Host headers that are served: those named, and where none are, those by which this machine calls itself."""
    public = (urlsplit(public_url).netloc,) if public_url else ()
    own = f"[{host}]:*" if ":" in host else f"{host}:*"
    others = given or ((*_LOOPBACK_HOSTS, own) if loopback.is_loopback(host) else ())
    return tuple(dict.fromkeys((*public, *others)))


def _contradictions(settings: ServerSettings) -> Sequence[str]:
    problems = []
    if not settings.auth:
        place = settings.public_url or settings.host
        problems.append(
            f"--auth (AUTH_METHOD): {place} can be reached from elsewhere, and nobody would be asked who he is. "
            "Name an issuer with --oauth-issuer, serve on 127.0.0.1, or say --auth none if something in "
            "front of the server asks."
        )
    if not settings.allowed_hosts and settings.auth not in OAUTH:  # there, it is the public URL that is missing
        problems.append(
            f"--allowed-hosts (ALLOWED_HOSTS): {settings.host} is not only called localhost. Name it as clients do, "
            "or give --public-url."
        )
    if settings.auth == DEV_LOGIN:
        problems += _too_open(settings)
    if settings.workers > 1 and settings.session_store == "memory":
        problems.append("--workers: several workers cannot share --session-store memory. Use sqlite or dynamodb.")
    if settings.session_idle < settings.call_limit:
        problems.append("--session-idle: a session must not end before a call in it may: give at least --call-limit.")
    if settings.workers > 1 and settings.port == 0:
        problems.append("--workers: several workers need a --port other than 0.")
    return problems


def _too_open(settings: ServerSettings) -> Iterable[str]:
    """What would let others than this machine come to a login that believes everyone."""
    names = {
        "--host (TOLLBOOK_HOST)": [settings.host],
        "--public-url (PUBLIC_URL)": [urlsplit(settings.public_url).hostname or "localhost"],
        "--allowed-hosts (ALLOWED_HOSTS)": map(_host_in, settings.allowed_hosts),
        "--allowed-origins (ALLOWED_ORIGINS)": map(_host_in, settings.allowed_origins),
    }
    for label, hosts in names.items():
        if any(not loopback.is_loopback(host) for host in hosts):
            yield f"{label}: the development login believes everyone, so only names of this machine may be there."


def _host_in(name: str) -> str:
    """The host in a Host header or an origin, without port and brackets."""
    host = re.sub(r"^https?://", "", name)
    return host[1 : host.index("]")] if host.startswith("[") else host.partition(":")[0]


def _sources(text: str) -> tuple[str, ...]:
    sources = words(text)
    one_kind(sources)
    return sources


def _budgets(text: str) -> "tuple[Budget, ...]":
    from tollbook.app.budgets import budgets_said  # only who has some needs them

    try:
        return budgets_said(text)
    except SourceError as fault:
        raise ValueError(str(fault)) from fault


def _now(text: str) -> datetime:
    return instant("--now", text, zone_of("UTC")).astimezone(UTC)


def _region(text: str) -> str:
    if text != "all" and not re.fullmatch(r"[a-z]{2}(-[a-z]+)+-\d", text):
        raise ValueError(f"a region such as us-east-1, or all, is wanted, not '{text}'")
    return text


def _hosts(text: str) -> tuple[str, ...]:
    hosts = words(text)
    if not hosts or any(not _HOST.fullmatch(host) for host in hosts):
        raise ValueError(f"names separated by commas are wanted, such as mcp.example.com or localhost:*, not '{text}'")
    return hosts


def _origins(text: str) -> tuple[str, ...]:
    origins = words(text)
    if not origins or any(not _HOST.fullmatch(re.sub("^https?://", "", origin, count=1)) for origin in origins):
        raise ValueError(f"origins separated by commas are wanted, such as https://app.example.com, not '{text}'")
    if any("://" not in origin for origin in origins):
        raise ValueError(f"an origin begins with http:// or https://, not as '{text}' does")
    return origins


def _store(text: str) -> str:
    from tollbook.hosting.stores import opener_of  # only a server needs it

    opener_of(text)
    return text


def _bucket(text: str) -> str:
    from tollbook.hosting.stores import open_blobs  # only a server needs it

    open_blobs(text)
    return text


def _namespace(text: str) -> str:
    """The namespace of the metrics; empty where there are none."""
    if text == NO_METRICS:
        return ""
    kind, colon, namespace = text.partition(":")
    if kind != "emf" or (colon and not _NAMESPACE.fullmatch(namespace)):
        raise ValueError(f"emf, emf:NAMESPACE or none is wanted, not '{text}'")
    return namespace or "tollbook"


def _keys(text: str) -> tuple[str, ...]:
    keys = words(text)
    if not keys or any(len(key) < 32 for key in keys):  # never shown: they are secrets
        raise ValueError("keys of 32 characters or more, separated by commas, are wanted")
    return keys


_HOST: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*)(:(\d{1,5}|\*))?")
_LOOPBACK_HOSTS: Final = tuple(f"{name}:*" for name in loopback.NAMES)
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricData.html (Namespace)
_NAMESPACE: Final = re.compile(r"(?!AWS/)[A-Za-z0-9._/#-][A-Za-z0-9._/#: -]{0,254}")
_METHOD: Final = Setting(
    name="auth",
    variable="AUTH_METHOD",
    metavar="METHOD",
    other_flags=("--auth-method",),
    read=choice(*OAUTH, DEV_LOGIN, NO_LOGIN),
    what="how callers prove who they are: oauth (access tokens, API keys), lambda (the same, behind a Lambda "
    "authorizer), dev (a login to try, on this machine only), none (default: oauth if an issuer or a user pool is "
    "named, else none on a loopback address; elsewhere the server does not start)",
    unset="",
)
_SERVING: Final = (
    Setting(
        name="app",
        variable="TOLLBOOK_APP",
        metavar="MODULE:NAME",
        read=module_and_name,
        what="an MCP server of your own that is served instead, behind the same login: an MCPServer of the official "
        "SDK, or a function that makes one, in the working folder",
        unset="",
    ),
    Setting(
        name="source",
        variable="TOLLBOOK_SOURCE",
        metavar="SOURCES",
        read=_sources,
        what="what to report on, separated by commas: files, folders or globs; or cloudwatch:LOG_GROUP, "
        "s3://BUCKET/PREFIX or athena:DATABASE.TABLE",
        unset=(),
    ),
    Setting(
        name="names",
        variable="TOLLBOOK_NAMES",
        metavar="FILE",
        read=Path,
        what="which models opaque ids stand for",
    ),
    Setting(
        name="prices",
        variable="TOLLBOOK_PRICES",
        metavar="FILE",
        read=Path,
        what="rates of your own, which go before the price book's",
    ),
    Setting(
        name="budgets",
        variable="TOLLBOOK_BUDGETS",
        metavar="FILE",
        read=_budgets,
        what="budgets that can be asked about: a TOML file with tables [budgets.NAME], or the same as JSON",
        unset=(),
    ),
    Setting(
        name="region",
        variable="TOLLBOOK_REGION",
        metavar="REGION",
        read=_region,
        what="the region meant where a question names none",
        default="all",
    ),
    Setting(
        name="now",
        variable="TOLLBOOK_NOW",
        metavar="TIME",
        read=_now,
        what="the moment that days are counted back from (default: now)",
    ),
    Setting(
        name="host",
        variable="TOLLBOOK_HOST",
        metavar="ADDRESS",
        read=str,
        what="the address to listen at",
        default="127.0.0.1",
    ),
    Setting(
        name="port",
        variable="PORT",
        metavar="PORT",
        read=whole(0, 65535),
        what="the port to listen at; 0 takes a free one",
        default="3000",
    ),
    Setting(
        name="workers",
        variable="TOLLBOOK_WORKERS",
        metavar="N",
        read=whole(1, 64),
        what="processes that serve; any of them serves any session",
        default="1",
    ),
    Setting(
        name="allowed_hosts",
        variable="ALLOWED_HOSTS",
        metavar="NAMES",
        read=_hosts,
        what="Host headers that are served, separated by commas; a port of * is any "
        "besides that of --public-url (default: on a loopback address, its names)",
        unset=(),
    ),
    Setting(
        name="allowed_origins",
        variable="ALLOWED_ORIGINS",
        metavar="ORIGINS",
        read=_origins,
        what="origins of web pages that may call, separated by commas",
        default=",".join(f"http://{name}:*" for name in loopback.NAMES),
    ),
    Setting(
        name="session_store",
        variable="SESSION_STORE",
        metavar="STORE",
        read=_store,
        what="where sessions, whole results and API keys lie: memory, sqlite:PATH or dynamodb:TABLE (default: sqlite, "
        "in the user's state folder)",
        unset=f"sqlite:{user_state_path('tollbook', appauthor=False) / 'sessions.db'}",
    ),
    Setting(
        name="bucket",
        variable="TOLLBOOK_BUCKET",
        metavar="PLACE",
        read=_bucket,
        what="a place in S3, s3://BUCKET/PREFIX, for whole results, which then do not lie in the store; and for days "
        "that are over, unless --closed-days names another",
        unset="",
    ),
    Setting(
        name="session_idle",
        variable="SESSION_IDLE_SECONDS",
        metavar="S",
        read=seconds(10, 604_800),
        what="when an unused session ends",
        default="1800",
    ),
    Setting(
        name="sessions_per_owner",
        variable="SESSIONS_PER_OWNER",
        metavar="N",
        read=whole(1, 10**6),
        what="sessions that one caller may have",
        default="1000",
    ),
    Setting(
        name="sessions_in_all",
        variable="SESSIONS_IN_ALL",
        metavar="N",
        read=whole(1, 10**7),
        what="sessions that there may be",
        default="10000",
    ),
    Setting(
        name="request_state_keys",
        variable="REQUEST_STATE_KEYS",
        metavar="KEYS",
        read=_keys,
        what="secrets that seal the state of a question to the user in revision 2026-07-28, newest first, the same for "
        "every instance (default: made anew at each start)",
        unset=(),
    ),
    Setting(
        name="call_limit",
        variable="CALL_LIMIT_SECONDS",
        metavar="S",
        read=seconds(1, 86_400),
        what="when a call is cancelled",
        default="900",
    ),
    Setting(
        name="unheard",
        variable="UNHEARD_SECONDS",
        metavar="S",
        read=seconds(1, 3600),
        what="when a call that no one hears is cancelled",
        default="60",
    ),
    Setting(
        name="text_limit",
        variable="TEXT_LIMIT_BYTES",
        metavar="BYTES",
        read=whole(2000, 1 << 20),
        what="the length of a report's text",
        default="24576",
    ),
    Setting(
        name="results_kept",
        variable="RESULTS_KEPT_SECONDS",
        metavar="S",
        read=seconds(60, 2_592_000),
        what="how long whole results lie",
        default="86400",
    ),
    Setting(
        name="drain",
        variable="DRAIN_SECONDS",
        metavar="S",
        read=seconds(0, 900),
        what="how long a stop waits for running calls",
        default="10",
    ),
    Setting(
        name="metrics",
        variable="TOLLBOOK_METRICS",
        metavar="HOW",
        read=_namespace,
        what="what is told of each call of a tool when it has ended: emf, or emf:NAMESPACE (a line of CloudWatch's "
        "embedded metric format on the standard output), or none",
        default=NO_METRICS,
    ),
    Setting(
        name="log_level",
        variable="LOG_LEVEL",
        metavar="LEVEL",
        read=choice("debug", "info", "warning", "error"),
        what="the least level of what is logged, as JSON lines on the standard error",
        default="info",
    ),
)
GROUPS: Final = {
    "what is served, and how": _SERVING,
    "logs on AWS": AWS_SETTINGS,
    "who may ask": (_METHOD, *AUTH_SETTINGS),
    "who sees what": SIGHT_SETTINGS,
}
"""All there is to set, by what it is about."""
SETTINGS: Final = tuple(setting for group in GROUPS.values() for setting in group)
