"""What a login says of a caller, and the words in which a setting speaks of that."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, Literal

import msgspec

from tollbook.core.caller import Caller
from tollbook.core.settings import words

_GROUPS: Final = ("cognito:groups", "groups")
"""The claims that tell groups: Cognito's, and what most other issuers call theirs.
Source: https://docs.aws.amazon.com/cognito/latest/developerguide/amazon-cognito-user-pools-using-the-access-token.html"""

_TAG: Final = "tag:"
_PIECE: Final = re.compile(r"\{(?P<claim>[^{}]+)\}|(?P<text>[^{}*]+)|\*")
# How many parts `session_of` gives to each kind of caller. Nothing else is a pattern: `unknown` is no one's.
_PARTS: Final = {"role": range(3, 4), "user": range(2, 100), "federated-user": range(2, 3)}

_WANTED_GRANTS: Final = "scope:NAME, group:NAME, claim:NAME=VALUE or anyone, several separated by commas, is wanted"
_WANTED_CALLS: Final = (
    "role/NAME/SESSION, user/NAME, federated-user/NAME or tag:KEY=VALUE, with claims as {email}, several separated "
    "by commas, is wanted"
)


class Grant(msgspec.Struct, frozen=True):
    """Something that callers may have, and that lets them see more.

    Attributes:
        value: a claim's.
    """

    kind: Literal["scope", "group", "claim", "anyone"]
    name: str = ""
    value: str = ""

    def holds_for(self, caller: Caller) -> bool:
        if self.kind == "scope":
            return self.name in caller.scopes
        if self.kind == "group":
            return any(self.name in _texts(caller.claims, claim) for claim in _GROUPS)
        if self.kind == "claim":
            return self.value in _texts(caller.claims, self.name)
        return caller.is_proven


class Claim(msgspec.Struct, frozen=True):
    """Stands where the value of a claim is to be."""

    name: str

    def value(self, claims: Mapping[str, Any]) -> str:
        """Its value; empty if there is none that could name anyone: missing, empty, or no text."""
        value = _said(claims, self.name)
        return value if isinstance(value, str) else ""


class Template(msgspec.Struct, frozen=True):
    """Whose calls are meant, in terms of claims that are still to be filled in.

    Attributes:
        parts: what is to stand there. Between one part and the next stands a `*`.
        tag: the key of the request metadata whose value this is; empty for a pattern of principals.
    """

    parts: tuple[tuple[str | Claim, ...], ...]
    tag: str = ""

    @property
    def claims(self) -> tuple[Claim, ...]:
        return tuple(piece for part in self.parts for piece in part if isinstance(piece, Claim))

    def lacks(self, claims: Mapping[str, Any]) -> Iterator[str]:
        """The names of those that cannot be filled in: without a value, or with one that is more than a part of a name.

        A `/` parts what is a role from what is its session, and no login may say where.
        """
        for claim in self.claims:
            value = claim.value(claims)
            if not value or ("/" in value and not self.tag):
                yield claim.name

    def filled(self, claims: Mapping[str, Any]) -> tuple[str, ...] | None:
        """The parts with their claims' values in place; None if one has none."""
        if any(self.lacks(claims)):
            return None
        texts = ((piece.value(claims) if isinstance(piece, Claim) else piece for piece in part) for part in self.parts)
        return tuple(map("".join, texts))


def _texts(claims: Mapping[str, Any], name: str) -> Sequence[str]:
    """The texts that a claim says: itself, or those in its list."""
    value = _said(claims, name)
    return [each for each in (value if isinstance(value, list | tuple) else [value]) if isinstance(each, str)]


def _said(claims: Mapping[str, Any], name: str) -> Any:
    """What a claim says; nothing, where its issuer says as well that nobody looked whether it is true.

    Source: https://openid.net/specs/openid-connect-core-1_0.html#StandardClaims, `email_verified`, which Cognito
    writes as a text.
    """
    if name == "email" and claims.get("email_verified", True) not in (True, "true"):
        return None
    return claims.get(name)


def read_grants(text: str) -> tuple[Grant, ...]:
    """The grants in `text`, separated by commas.

    Raises:
        ValueError: with what is wanted instead.
    """
    if not words(text):
        raise ValueError(_WANTED_GRANTS)
    return tuple(map(_grant, words(text)))


def _grant(word: str) -> Grant:
    kind, _, name = map(str.strip, word.partition(":"))
    if word == "anyone":
        return Grant("anyone")
    if kind == "scope" and name:
        return Grant("scope", name)
    if kind == "group" and name:
        return Grant("group", name)
    claim, _, value = name.partition("=")
    if kind == "claim" and claim and value:
        return Grant("claim", claim, value)
    raise ValueError(f"{_WANTED_GRANTS}, not '{word}'")


def read_calls(*, of_one: bool) -> Callable[[str], tuple[Template, ...]]:
    """Reads templates, separated by commas. What it returns raises ValueError with what is wanted instead.

    Args:
        of_one: whether they mean the calls of one caller, so that each needs a claim that tells which.
    """

    def read(text: str) -> tuple[Template, ...]:
        if not words(text):
            raise ValueError(_WANTED_CALLS)
        found = {word: _template(word) for word in words(text)}
        for word, template in found.items():
            if of_one and not template.claims:
                raise ValueError(f"'{word}' means the same calls whoever asks: it needs a claim, such as {{email}}")
        return tuple(found.values())

    return read


def _template(word: str) -> Template:
    if word.startswith(_TAG):
        tag, _, value = word.removeprefix(_TAG).partition("=")
        if not tag or not value or "{" in tag:
            raise ValueError(f"{_WANTED_CALLS}, not '{word}'")
        if len(parts := _parts(value, word)) > 1:
            raise ValueError(f"'{word}' has a *, and a tag is compared as a whole")
        return Template(parts, tag)
    parts = _parts(word, word)
    # The value of a claim is part of a name, and has no '/'.
    texts = ("".join("x" if isinstance(piece, Claim) else piece for piece in part) for part in parts)
    kind, *names = "*".join(texts).split("/")
    if kind == "role" and len(names) == 1:
        raise ValueError(f"'{word}' names no session of the role: '{word}/*' is all of them")
    if len(names) + 1 not in _PARTS.get(kind, ()) or not all(names) or not word.startswith(kind):
        raise ValueError(f"{_WANTED_CALLS}, not '{word}'")
    return Template(parts)


def _parts(text: str, word: str) -> tuple[tuple[str | Claim, ...], ...]:
    """What `text`, which is all or some of `word`, wants before, between and after each `*`."""
    parts: list[list[str | Claim]] = [[]]
    at = 0
    while at < len(text):
        found = _PIECE.match(text, at)
        if found is None:
            raise ValueError(f"'{word}' has a brace too many, or nothing between two: write a claim as {{email}}")
        at = found.end()
        if found["text"]:
            parts[-1].append(found["text"])
        elif not found["claim"]:
            parts.append([])
        elif any(isinstance(piece, Claim) for piece in parts[-1][-1:]):
            raise ValueError(f"'{word}' has two claims side by side: put something between them")
        else:
            parts[-1].append(Claim(found["claim"]))
    beside = [*(part[-1:] for part in parts[:-1]), *(part[:1] for part in parts[1:])]
    if any(isinstance(piece, Claim) for pieces in beside for piece in pieces):
        raise ValueError(f"'{word}' has a * beside a claim, so that ann would see anna's calls: put something between")
    return tuple(map(tuple, parts))
