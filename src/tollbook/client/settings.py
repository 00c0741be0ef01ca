"""What the client may be told."""

import re
from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from tollbook.client.session import EraChoice
from tollbook.client.targets import url_of
from tollbook.core.errors import UsageError, why
from tollbook.core.settings import Setting, choice, read_values, seconds

AuthMethod = Literal["oauth", "lambda", "auto"]
Secrets = Literal["auto", "keyring", "file"]

_LARGEST_KEY: Final = 1 << 16
_YES: Final = ("1", "on", "true", "yes")
_NO: Final = ("0", "off", "false", "no")


class ClientSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What the client was told. See `SERVER`, `CONNECTION_SETTINGS` and `LOGIN_SETTINGS` for each."""

    server: str
    auth_method: AuthMethod
    token: str | None
    transport_era: EraChoice
    timeout: float
    debug: bool
    client_id: str | None
    client_secret: str | None
    client_key: str | None
    client_metadata_url: str | None
    issuer: str | None
    redirect_uri: str | None
    scopes: tuple[str, ...]
    keep_in: Secrets

    def __repr__(self) -> str:
        return f"ClientSettings(server={self.server!r}, …)"  # some of them are secret


def read_client_settings(environment: Mapping[str, str], flags: Mapping[str, str | None]) -> ClientSettings:
    """The settings that `environment` and `flags`, by name, come to.

    Raises:
        UsageError: with every problem, each on a line that begins with its flag and variable.
    """
    values, problems = read_values((SERVER, DEBUG, *CONNECTION_SETTINGS, *LOGIN_SETTINGS, SECRET), environment, flags)
    if problems:
        raise UsageError("The client cannot start:", problems)
    if flags.get("token") is not None and flags.get("auth_method") is None:
        values["auth_method"] = "auto"  # a token on the command line is meant to be sent, whatever a variable says
    return ClientSettings(**values)


def _text(text: str) -> str:
    if not text.strip() or re.search(r"[\x00-\x1f\x7f]", text):
        raise ValueError("one line of text is wanted")
    return text


def _token(text: str) -> str:
    if not re.fullmatch(r"[\x21-\x7e]+", text):  # not shown: it is a secret
        raise ValueError("an access token is wanted, which has no blanks in it")
    return text


def _key(path: str) -> str:
    """What is in the file, which is never shown."""
    try:
        with open(path, encoding="ascii") as file:
            text = file.read(_LARGEST_KEY)
    except (OSError, ValueError) as fault:
        raise ValueError(f"'{path}' cannot be read: {why(fault)}") from fault
    if "PRIVATE KEY-----" not in text:
        raise ValueError(f"a file with a private key as PEM is wanted, and '{path}' holds none")
    return text


def _scopes(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(re.split(r"[\s,]+", text.strip())))


def _url(text: str) -> str:
    if "://" not in text:
        raise ValueError(f"a whole URL is wanted, such as https://example.com/client.json, not '{text}'")
    try:
        return url_of(text)
    except UsageError as fault:
        raise ValueError(fault.message) from fault


def _yes_or_no(text: str) -> bool:
    return choice(*_YES, *_NO)(text) in _YES


SERVER: Final = Setting(
    name="server",
    variable="MCP_SERVER_URL",
    metavar="TARGET",
    read=str,
    what="the server that is meant where none is named",
    default="http://127.0.0.1:3000/mcp",
)
DEBUG: Final = Setting(
    name="debug",
    variable="MCP_CLIENT_DEBUG",
    metavar="BOOLEAN",
    read=_yes_or_no,
    what="whether to show what goes over the wire",
    unset=False,
)
SECRET: Final = Setting(  # without a flag: what stands on a command line is seen by others
    name="client_secret",
    variable="OAUTH_CLIENT_SECRET",
    metavar="TEXT",
    read=_text,
    what="the secret of that client",
)
CONNECTION_SETTINGS: Final = (
    Setting(
        name="auth_method",
        variable="AUTH_METHOD",
        metavar="METHOD",
        read=choice("oauth", "lambda", "auto"),
        what="what proves who asks: oauth (a login), lambda (the access token), auto (that token if there is one, else "
        "a login)",
        default="auto",
    ),
    Setting(
        name="token",
        variable="ACCESS_TOKEN",
        metavar="TOKEN",
        read=_token,
        what="an access token; - reads it from the standard input. Others on this machine can see a command line: the "
        "variable is the better place",
    ),
    Setting(
        name="transport_era",
        variable="MCP_TRANSPORT_ERA",
        metavar="ERA",
        read=choice("auto", "handshake", "modern"),
        what="how to speak: handshake (revisions up to 2025-11-25), modern (2026-07-28), auto (what the server speaks)",
        default="auto",
    ),
    Setting(
        name="timeout",
        variable="MCP_TIMEOUT_SECONDS",
        metavar="SECONDS",
        read=seconds(0.1, 86_400),
        what="the longest silence of the server that is borne; each sign of life begins it anew",
        default="60",
    ),
)
LOGIN_SETTINGS: Final = (
    Setting(
        name="client_id",
        variable="OAUTH_CLIENT_ID",
        metavar="ID",
        read=_text,
        what="a client that is registered with the issuer, such as a Cognito app client; its secret goes into the "
        "variable OAUTH_CLIENT_SECRET",
    ),
    Setting(
        name="client_key",
        variable="OAUTH_CLIENT_KEY",
        metavar="FILE",
        read=_key,
        what="the private key of that client, as PEM, in the place of a secret; for --machine",
    ),
    Setting(
        name="client_metadata_url",
        variable="OAUTH_CLIENT_METADATA_URL",
        metavar="URL",
        read=_url,
        what="a document that describes this client, for issuers that know none beforehand",
    ),
    Setting(
        name="redirect_uri",
        variable="OAUTH_REDIRECT_URI",
        metavar="URI",
        read=_url,
        what="where the browser comes back to, if the client is registered with an address of its own",
    ),
    Setting(
        name="scopes",
        variable="OAUTH_SCOPES",
        metavar="SCOPES",
        read=_scopes,
        what="what to ask for, separated by blanks or commas (default: what the server asks for)",
        unset=(),
    ),
    Setting(
        name="issuer",
        variable="OAUTH_CLIENT_ISSUER",
        metavar="URL",
        read=_url,
        what="the only issuer to log in at (default: whichever the server names)",
    ),
    Setting(
        name="keep_in",
        variable="TOLLBOOK_KEEP_IN",
        metavar="PLACE",
        read=choice("auto", "keyring", "file"),
        what="where to keep logins: keyring, file (readable by you alone), auto (the keyring where there is one)",
        default="auto",
    ),
)
