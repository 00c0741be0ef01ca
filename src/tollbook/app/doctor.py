"""The doctor put together: which of its checks there are to make, with whose credentials, before whom."""

import asyncio
import os
import shutil
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from tollbook.core.errors import UsageError
from tollbook.core.text import printable
from tollbook.doctor.finding import Finding, exit_code, failed_with
from tollbook.doctor.words import Paper, as_json, signs_for, summary

if TYPE_CHECKING:
    import httpx2

    from tollbook.client.settings import ClientSettings
    from tollbook.doctor.switch_on import SwitchOn

RETENTION_DAYS: Final = 90
"""Of a log group that is made, unless another is wanted."""
PATIENCE_S: Final = 10.0
"""For one answer, of AWS or of the server."""
_ATTEMPTS: Final = 3
_COLOURS: Final = {"ok": "32", "failed": "31", "unknown": "33", "skipped": "2"}

Tell = Callable[[Finding], None]


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be looked at.

    Attributes:
        target: a URL or the name of a stack; empty for the account alone.
        source: what tollbook reads, or would; empty to find out.
        regions: whose logging is looked at, the stack's first; empty for that of the profile.
        profile: of AWS's settings on this machine; empty for the usual one.
        switches_on: whether model invocation logging is to be switched on where it is off.
        retention_days: of a log group that is made for it.
        is_agreed: nobody need be asked.
    """

    target: str = ""
    source: str = ""
    regions: tuple[str, ...] = ()
    profile: str = ""
    switches_on: bool = False
    retention_days: int = RETENTION_DAYS
    is_agreed: bool = False
    is_json: bool = False
    patience_s: float = PATIENCE_S
    headers: Mapping[str, str] = {}

    @property
    def url(self) -> str:
        """The target, if it is an address."""
        return self.target if self.target == "localhost" or set(self.target) & set(":/.") else ""

    @property
    def stack(self) -> str:
        return "" if self.url else self.target

    @property
    def wants_account(self) -> bool:
        """Whether AWS is asked. A server on this machine has nothing to do with it, unless something says so."""
        return not self.url or bool(self.source or self.regions or self.profile or self.switches_on)


def doctor(wish: Wish, settings: "ClientSettings") -> int:
    """Looks at all of it, tells what it finds as it finds it, and gives the exit code.

    Raises:
        UsageError: it was asked for what makes no sense; nothing was asked or done then.
    """
    _check(wish, settings)
    region, profile = _place(wish) if wish.wants_account else ("", "")
    findings: list[Finding] = []
    paper = Paper(shutil.get_terminal_size((100, 24)).columns, signs_for(sys.stdout.encoding))

    def tell(finding: Finding) -> None:
        findings.append(finding)
        if not wish.is_json:
            _print(paper.add(finding), finding)

    url = wish.url
    if wish.wants_account:
        url = _of_account(wish, region, profile, tell) or url
    if url:
        asyncio.run(_look_at(url, wish, settings, tell))
    if wish.is_json:
        print(as_json(wish.target, findings))
    else:
        _print(paper.rest(), None)
        print(f"\n{summary(findings)}")
    return exit_code(findings)


def _check(wish: Wish, settings: "ClientSettings") -> None:
    """Reads all that was typed, as those will who use it.

    Raises:
        UsageError: something of it makes no sense.
    """
    from tollbook.client.login.bearer import Fixed
    from tollbook.client.targets import url_of
    from tollbook.deploy.plan import limits

    if wish.switches_on and not wish.is_agreed and not _can_ask(wish):
        raise UsageError("Nobody is there to be asked: add --yes to have model invocation logging switched on.")
    if wish.target.startswith((".", "/", "~")):
        raise UsageError(f"'{wish.target}' is a path. Name a server's address, as a URL, or a stack.")
    if wish.url:
        url, token = url_of(wish.url), settings.token if settings.auth_method != "oauth" else None
        if token:
            Fixed(url, token)
    read: list[tuple[str, Callable[[str], Any], str]] = [("--region", limits.region, each) for each in wish.regions]
    if wish.stack:
        read.append(("STACK", limits.stack_name, wish.stack))
    if wish.source:
        from tollbook.doctor.account import sources_of  # with boto3

        read.append(("--source", sources_of, wish.source))
    for what, reads, text in read:
        try:
            reads(text)
        except (ValueError, UsageError) as fault:
            raise UsageError(f"{what}: {fault}") from fault


def _place(wish: Wish) -> tuple[str, str]:
    """The region at hand and the profile: as typed, or as the team's file has them for its stacks, or as boto3 finds
    them.

    Raises:
        UsageError: the file cannot be read, or no region is known.
    """
    from boto3 import Session
    from botocore.exceptions import BotoCoreError

    from tollbook.app.deployed import EVERY_OPTION
    from tollbook.deploy.plan import limits
    from tollbook.deploy.plan.options import PLACE, TEAM_FILE, given, team_file

    file = Path(TEAM_FILE)
    team = team_file(file, EVERY_OPTION) if wish.stack and file.is_file() else {}
    typed = {"region": wish.regions[0] if wish.regions else None, "profile": wish.profile or None}
    try:
        said = given(PLACE, typed, team).others
    except UsageError as fault:
        raise UsageError(f"{TEAM_FILE} cannot be used:", fault.more) from fault
    profile = said.get("profile", "")
    # boto3 itself knows AWS_DEFAULT_REGION only: https://docs.aws.amazon.com/sdkref/latest/guide/feature-region.html
    region = said.get("region") or os.environ.get("AWS_REGION", "")
    try:
        region = region or Session(profile_name=profile or None).region_name or ""
    except BotoCoreError:
        return "", profile  # which is a finding
    if not region:
        where = f"--region, in AWS_REGION{f' or in {TEAM_FILE}' if wish.stack else ''}"
        raise UsageError(f"No region is known. Name one with {where}.")
    try:
        limits.region(region)
    except ValueError as fault:
        raise UsageError(f"The region that AWS's settings on this machine name cannot be: {fault}.") from fault
    return region, profile


async def _look_at(url: str, wish: Wish, settings: "ClientSettings", tell: Tell) -> None:
    from tollbook.client.targets import url_of
    from tollbook.doctor.chain import chain

    url = url_of(url)
    token = settings.token if settings.auth_method != "oauth" else None
    found: AsyncIterator[Finding] = chain(
        url,
        now=time.time,
        elapsed=time.monotonic,
        token=token,
        auth=None if token or settings.auth_method == "lambda" else _kept_login(url, settings),
        headers=wish.headers,
        patience_s=wish.patience_s,
    )
    async for finding in found:
        tell(finding)


def _kept_login(url: str, settings: "ClientSettings") -> "httpx2.Auth | None":
    """The login that is kept for a server, renewed if need be; None where there is none."""
    from platformdirs import user_data_path

    from tollbook.client.login.bearer import Bearer
    from tollbook.client.login.vault import Vault

    vault = Vault(user_data_path("tollbook", appauthor=False) / "logins", settings.keep_in, time.time, say=_say)
    return Bearer(url, vault, time.time, say=_say) if vault.has(url) else None


def _of_account(wish: Wish, region: str, profile: str, tell: Tell) -> str:
    """Looks at AWS; gives the URL of the stack's server, if a stack was named and has one."""
    import boto3
    from botocore.config import Config

    from tollbook.deploy.patience import Patience
    from tollbook.doctor import credentials
    from tollbook.doctor.account import Account, Question, after_credentials
    from tollbook.sources.aws.trouble import Trouble, translated

    question = Question(stack=wish.stack, source=wish.source, regions=wish.regions, retention_days=wish.retention_days)
    try:
        with translated("your account", ""):
            session = boto3.Session(profile_name=profile or None, region_name=region or None)
    except Trouble as fault:
        for finding in (failed_with(credentials.CHECK, fault), *after_credentials(question)):
            tell(finding)
        return ""
    retries = {"mode": "standard", "total_max_attempts": _ATTEMPTS}
    config = Config(connect_timeout=wish.patience_s, read_timeout=wish.patience_s, retries=retries)

    def clients(service: str, region: str) -> Any:
        return session.client(service, region_name=region, config=config)

    patience = Patience(time.time, time.sleep, wish.patience_s)
    account = Account(question, clients, region, _AtTheTerminal(wish), patience)
    for finding in account.findings():
        tell(finding)
    return account.url


def _can_ask(wish: Wish) -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty() and not wish.is_json


class _AtTheTerminal:
    """Whoever sits there; a `Person` of `doctor.account`."""

    def __init__(self, wish: Wish) -> None:
        self._wish = wish

    def agrees(self, wanted: "SwitchOn", off: Finding) -> bool:
        wish = self._wish
        if not wish.switches_on and not _can_ask(wish):
            return False
        if wish.switches_on and wish.is_agreed:
            return True
        _say(f"{off.said} Switching it on would do this:")
        for step in wanted.steps:
            _say(f"  - {step}")
        print("Do it? [y/N] ", end="", file=sys.stderr, flush=True)
        return sys.stdin.readline().strip().lower() in ("y", "yes")

    def tell(self, text: str) -> None:
        _say(text)


def _print(lines: Iterator[str], finding: Finding | None) -> None:
    for number, line in enumerate(lines):
        is_first = number == 0 and finding is not None
        shown = line
        if is_first and finding is not None and sys.stdout.isatty() and not os.environ.get("NO_COLOR"):
            shown = f"\x1b[{_COLOURS[finding.status]}m{line[:1]}\x1b[0m{line[1:]}"
        print(shown, flush=True)


def _say(text: str) -> None:
    print(printable(text), file=sys.stderr, flush=True)
