"""What is set about who may ask: the same for the server and for the Lambda authorizer in front of it."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

import msgspec

from tollbook.core.caller import Caller
from tollbook.core.errors import UsageError
from tollbook.core.loopback import is_loopback
from tollbook.core.settings import Setting, choice, read_values, words
from tollbook.hosting.auth.scopes import is_scope, of_resource_server, words_of
from tollbook.hosting.auth.token import Rules

_NO_SCOPE: Final = ":noscope"
# https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_UserPoolType.html
_POOL: Final = re.compile(r"[\w-]+_[0-9a-zA-Z]+", re.ASCII)
_REGION: Final = re.compile(r"[a-z]{2}(-[a-z]+)+-\d{1,2}", re.ASCII)
# https://docs.aws.amazon.com/cognito/latest/developerguide/cognito-user-pools-assign-domain-prefix.html
_DOMAIN: Final = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*", re.ASCII)
# RFC 3986 §2: what an address may consist of. No quote and no backslash, so that it can stand in a header too.
_ADDRESS: Final = re.compile(r"[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]{1,512}")
# RFC 7519 §4.1.3 allows any text; one with a blank or a line break in it was pasted wrongly, and none would match it.
_AUDIENCE: Final = re.compile(r"[^\s\x00-\x1F\x7F]{1,512}")
# RFC 6749 Appendix A.1, but for blanks; a client may be known by its address too.
_CLIENT: Final = re.compile(r"[\x21-\x7E]{1,512}")


class AuthSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Who may ask.

    Attributes:
        rules: which access tokens are accepted.
        public_url: the MCP endpoint as clients reach it; `resource` in its metadata.
        scopes: all that a token must have.
        without_scope: clients whose tokens need none, if they have no audience either.
        offered_scopes: what the metadata says a client may ask for.
        keys_url: where the issuer's keys lie; empty where his metadata says so.
        has_shim: whether the authorization server's metadata is served here, and made whole.
        login_domain: where Cognito's login pages lie; empty where its metadata says so.
    """

    rules: Rules
    public_url: str
    scopes: tuple[str, ...]
    without_scope: frozenset[str] = frozenset()
    offered_scopes: tuple[str, ...] = ()
    keys_url: str = ""
    has_shim: bool = False
    login_domain: str = ""


def required_scopes(values: Mapping[str, Any]) -> tuple[str, ...]:
    """The scopes that a token needs, of the values of `AUTH_SETTINGS`."""
    return of_resource_server(values["cognito_resource_id"], values["oauth_required_scope"])


def allows(caller: Caller, settings: AuthSettings) -> bool:
    """Whether `caller` has every scope that is needed: RFC 6750 §3.1, `insufficient_scope`."""
    if caller.scopes.issuperset(settings.scopes):
        return True
    return caller.client in settings.without_scope and "aud" not in caller.claims


def auth_settings_from(environment: Mapping[str, str]) -> AuthSettings:
    """The settings that the variables of `AUTH_SETTINGS` come to.

    Raises:
        UsageError: with every problem, each on a line of its own.
    """
    values, problems = read_values(AUTH_SETTINGS, environment, {})
    if problems:
        raise UsageError("Nobody could be let in:", problems)
    return auth_settings(values)


def auth_settings(values: Mapping[str, Any], public_url: str = "") -> AuthSettings:
    """The settings that the values of `AUTH_SETTINGS` come to.

    Args:
        public_url: what counts if none is among them.

    Raises:
        UsageError: with every problem, each on a line that begins with its flag and variable.
    """
    problems: list[str] = []
    region, pool = values["cognito_region"], values["cognito_user_pool_id"]
    is_cognito = bool(region or pool)
    issuer = values["oauth_issuer"]
    if is_cognito and not (region and pool):
        missing = "cognito_user_pool_id" if region else "cognito_region"
        problems.append(f"{_BY_NAME[missing].label}: it is missing; a pool is known by its region and its id.")
    elif is_cognito and not pool.startswith(f"{region}_"):
        problems.append(f"{_BY_NAME['cognito_user_pool_id'].label}: a pool of {region} begins with '{region}_'.")
    if is_cognito and not values["cognito_allowed_client_ids"]:
        problems.append(
            f"{_BY_NAME['cognito_allowed_client_ids'].label}: it is missing; name the app clients whose users may ask, "
            "since every app of the pool gets tokens of the same issuer."
        )
    if not issuer and not is_cognito:
        problems.append(
            f"{_BY_NAME['oauth_issuer'].label}: it is missing; name the issuer whose tokens count, or a Cognito user "
            "pool with COGNITO_REGION and COGNITO_USER_POOL_ID."
        )
    if values["cognito_domain"] and "." not in values["cognito_domain"] and not region:
        problems.append(
            f"{_BY_NAME['cognito_domain'].label}: a prefix alone is no address; give the whole domain, or the pool's "
            "COGNITO_REGION."
        )
    scopes = required_scopes(values)
    if not scopes:
        problems.append(
            f"{_BY_NAME['oauth_required_scope'].label}: it is missing; name the scope that lets a token in here, such "
            "as tollbook/use."
        )
    public_url = values["public_url"] or public_url
    if not public_url:
        problems.append(
            f"{_BY_NAME['public_url'].label}: it is missing; give the address at which clients reach the MCP endpoint, "
            "such as https://mcp.example.com/mcp."
        )
    if problems:
        raise UsageError("Nobody could be let in:", problems)
    without_audience: Sequence[str] = values["oauth_clients_without_aud"]
    named = frozenset(each.removesuffix(_NO_SCOPE) for each in without_audience)
    allowed = frozenset(values["cognito_allowed_client_ids"])
    return AuthSettings(
        rules=Rules(
            # https://docs.aws.amazon.com/cognito/latest/developerguide/amazon-cognito-user-pools-using-tokens-verifying-a-jwt.html
            issuer=issuer or f"https://cognito-idp.{region}.amazonaws.com/{pool}",
            audience=values["oauth_audience"] or public_url,
            clients=allowed | named if allowed else frozenset(),
            without_audience=named,
            is_cognito=is_cognito,
        ),
        public_url=public_url,
        scopes=scopes,
        without_scope=frozenset(each.removesuffix(_NO_SCOPE) for each in without_audience if each.endswith(_NO_SCOPE)),
        offered_scopes=tuple(dict.fromkeys((*scopes, *values["cognito_supported_scopes"]))),
        keys_url=values["oauth_jwks_url"],
        has_shim=(values["auth_metadata"] or ("shim" if is_cognito else "direct")) == "shim",
        login_domain=_whole_domain(values["cognito_domain"], region),
    )


def _whole_domain(domain: str, region: str) -> str:
    return f"{domain}.auth.{region}.amazoncognito.com" if domain and "." not in domain else domain


def _url(text: str) -> str:
    """Reads an address that tokens may come from, or be for."""
    shown = "one with a user in it" if "@" in text else f"'{text}'"  # a password may stand before the @
    wanted = f"an address that begins with https:// (http:// on this machine only) is wanted, not {shown}"
    try:
        parts = urlsplit(text)
        is_safe = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))
        if not (is_safe and _is_plain(text, parts)):
            raise ValueError(wanted)
        _ = parts.port  # raises where it is none
    except ValueError:
        raise ValueError(wanted) from None
    return text


def _is_plain(text: str, parts: SplitResult) -> bool:
    """RFC 8414 §2, RFC 9728 §1.2: an issuer or a resource has neither query nor fragment; and no user belongs here."""
    is_bare = "?" not in text and "#" not in text and "@" not in parts.netloc
    return is_bare and bool(parts.hostname) and _ADDRESS.fullmatch(text) is not None


def _endpoint(text: str) -> str:
    path = urlsplit(_url(text)).path
    if path in ("", "/"):
        raise ValueError(f"the address of the MCP endpoint is wanted, path included, as https://host/mcp; not '{text}'")
    if path.endswith("/"):
        raise ValueError(f"the address of the MCP endpoint has no slash at its end: '{text.rstrip('/')}' is wanted")
    return text


def _scope_words(text: str) -> tuple[str, ...]:
    scopes = words_of(text)
    if not scopes or not all(map(is_scope, scopes)):
        raise ValueError(f"scopes separated by blanks or commas are wanted, not '{text}'")
    return scopes


def _client_ids(suffix: str = "") -> Callable[[str], tuple[str, ...]]:
    """Reads ids of clients, which may end with `suffix`."""

    def read(text: str) -> tuple[str, ...]:
        clients = words(text)
        ids = [each.removesuffix(suffix) for each in clients]
        if not ids or not all(_CLIENT.fullmatch(each) and not each.endswith(_NO_SCOPE) for each in ids):
            raise ValueError(f"ids of clients separated by commas are wanted, not '{text}'")
        return clients

    return read


def _text(is_one: Callable[[str], object], wanted: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if not is_one(text):
            raise ValueError(f"{wanted} is wanted, not '{text}'")
        return text

    return read


AUTH_SETTINGS: Final = (
    Setting(
        name="public_url",
        variable="PUBLIC_URL",
        metavar="URL",
        read=_endpoint,
        what="the MCP endpoint as clients reach it, path included; tokens are made out to it (default: the local "
        "address)",
        unset="",
    ),
    Setting(
        name="oauth_issuer",
        variable="OAUTH_ISSUER",
        metavar="URL",
        read=_url,
        what="whose access tokens are accepted, written as he writes himself (default: that of the Cognito user pool)",
        unset="",
    ),
    Setting(
        name="oauth_jwks_url",
        variable="OAUTH_JWKS_URL",
        metavar="URL",
        read=_url,
        what="where the issuer's keys lie (default: where his metadata says)",
        unset="",
    ),
    Setting(
        name="oauth_audience",
        variable="OAUTH_AUDIENCE",
        metavar="TEXT",
        read=_text(_AUDIENCE.fullmatch, "a text without blanks"),
        what="whom a token must be meant for (default: --public-url)",
        unset="",
    ),
    Setting(
        name="oauth_required_scope",
        variable="OAUTH_REQUIRED_SCOPE",
        metavar="SCOPES",
        read=_scope_words,
        what="what a token must allow, separated by blanks or commas, such as tollbook/use",
        unset=(),
        other_variables=("COGNITO_REQUIRED_SCOPES",),
    ),
    Setting(
        name="oauth_clients_without_aud",
        variable="OAUTH_CLIENTS_WITHOUT_AUD",
        metavar="CLIENTS",
        read=_client_ids(_NO_SCOPE),
        what="ids of clients whose tokens carry no audience, separated by commas: machines, password logins, pools of "
        "the Lite tier; ID:noscope for those whose tokens carry no scope of ours either",
        unset=(),
    ),
    Setting(
        name="auth_metadata",
        variable="AUTH_METADATA",
        metavar="HOW",
        read=choice("direct", "shim"),
        what="whether clients read the issuer's metadata at his place (direct), or here, with what he leaves out "
        "(shim; default with Cognito)",
    ),
    Setting(
        name="cognito_region",
        variable="COGNITO_REGION",
        metavar="REGION",
        read=_text(_REGION.fullmatch, "a region such as eu-west-1"),
        what="where the Cognito user pool is",
        unset="",
    ),
    Setting(
        name="cognito_user_pool_id",
        variable="COGNITO_USER_POOL_ID",
        metavar="ID",
        read=_text(_POOL.fullmatch, "an id such as eu-west-1_AbCdEfGhI"),
        what="the Cognito user pool whose users may ask",
        unset="",
    ),
    Setting(
        name="cognito_allowed_client_ids",
        variable="COGNITO_ALLOWED_CLIENT_IDS",
        metavar="IDS",
        read=_client_ids(),
        what="the app clients whose tokens are accepted, separated by commas; needed with Cognito",
        unset=(),
    ),
    Setting(
        name="cognito_domain",
        variable="COGNITO_DOMAIN",
        metavar="DOMAIN",
        read=_text(_DOMAIN.fullmatch, "a domain, or the prefix of one of Cognito's,"),
        what="where the pool's login pages are: a prefix or a whole domain (default: where its metadata says)",
        unset="",
    ),
    Setting(
        name="cognito_supported_scopes",
        variable="COGNITO_SUPPORTED_SCOPES",
        metavar="SCOPES",
        read=_scope_words,
        what="what else a client may ask for, besides the required scopes",
        unset=(),
    ),
    Setting(
        name="cognito_resource_id",
        variable="COGNITO_RESOURCE_ID",
        metavar="ID",
        read=_text(is_scope, "the identifier of a resource server"),
        what="the pool's resource server: put before required scopes that are written without one",
        unset="",
    ),
)
_BY_NAME: Final = {setting.name: setting for setting in AUTH_SETTINGS}
