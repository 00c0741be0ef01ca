"""Scopes: what a token or a key lets its bearer do."""

import re
from collections.abc import Iterable
from typing import Final

# RFC 6749 §3.3, scope-token: neither quotes nor control characters, so that it can stand in a header as it is.
_SCOPE: Final = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]{1,256}")
_OPENID: Final = frozenset(("openid", "email", "phone", "profile", "aws.cognito.signin.user.admin"))


def is_scope(text: str) -> bool:
    """Whether `text` can be a scope: of ASCII's printable characters, all but blanks, quotes and backslashes."""
    return _SCOPE.fullmatch(text) is not None


def words_of(text: str) -> tuple[str, ...]:
    """What stands between blanks or commas in `text`, each once."""
    return tuple(dict.fromkeys(text.replace(",", " ").split()))


def of_resource_server(identifier: str, scopes: Iterable[str]) -> tuple[str, ...]:
    """`scopes` as Cognito writes those of a resource server, `identifier/name`, where the name alone was given.

    Args:
        identifier: of the resource server; where it is empty, the scopes stay as they are.

    Source: https://docs.aws.amazon.com/cognito/latest/developerguide/cognito-user-pools-define-resource-servers.html
    """
    if not identifier:
        return tuple(scopes)
    return tuple(each if "/" in each or each in _OPENID else f"{identifier}/{each}" for each in scopes)
