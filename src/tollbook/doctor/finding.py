"""What a check found, in words that may be shown: nothing of it can deceive a terminal, and no token is in it."""

import re
from collections.abc import Collection, Mapping, Sequence
from os.path import commonprefix
from typing import Any, Final, Literal

import msgspec

from tollbook.core.errors import TollbookError
from tollbook.core.text import printable

Status = Literal["ok", "failed", "skipped", "unknown"]
"""unknown: it could not be found out, or nobody but the user can judge it."""

LONGEST: Final = 400
"""Characters of a sentence; what strangers wrote could be of any length."""

_MOST_ENTRIES: Final = 50
# A JWT, keys of ours and of others that are known by how they begin, and whatever stands where a bearer's token does.
# RFC 7519 §3, RFC 6750 §2.1
_CREDENTIAL: Final = re.compile(
    r"eyJ[A-Za-z0-9_-]{5,}(?:\.[A-Za-z0-9_-]*)*|tbk_[A-Za-z0-9_]{8,}|\b(?:sk-|gh[a-z]_|github_pat_|xox[a-z]-|ya29\.)"
    r"[A-Za-z0-9._~-]{8,}|(?<=(?i:bearer) )[A-Za-z0-9._~+/=-]{16,}"
)
# What is so long and without a gap may be a token of any form; with dots it may be a host's name too, but for capitals.
_OPAQUE: Final = re.compile(
    r"(?<![\w.~+=-])(?=[.~\w+=-]*[a-z])(?=[.~\w+=-]*[A-Z])(?=[.~\w+=-]*[0-9])[A-Za-z0-9._~+=-]{32,}"
    r"|[A-Za-z0-9._~+=-]*[A-Za-z0-9_+=-]{40,}[A-Za-z0-9._~+/=-]*|[A-Za-z0-9_+/=-]{40,}"
)
SHORT: Final = 8
"""Characters; a secret of fewer may be a part of many a word, and is looked for as a whole one."""
_BEGINNING: Final = 12
"""Characters, by which a secret is known that was cut off."""
_HIDDEN: Final = "[…]"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one check.

    Attributes:
        check: its name, which stays the same from one version to the next.
        said: one sentence.
        remedy: what to do; empty where nothing is to be done.
        facts: what it is concluded from, of JSON's types.
        needs_login: nothing more can be found out before somebody logs in.
    """

    check: str
    status: Status
    said: str
    remedy: str = ""
    facts: Mapping[str, Any] = {}
    needs_login: bool = False


def ok(check: str, said: str, **facts: Any) -> Finding:
    return _made(check, "ok", said, "", facts)


def failed(check: str, said: str, remedy: str, **facts: Any) -> Finding:
    return _made(check, "failed", said, remedy, facts)


def unknown(check: str, said: str, remedy: str = "", **facts: Any) -> Finding:
    return _made(check, "unknown", said, remedy, facts)


def skipped(check: str, because: str, remedy: str = "", *, needs_login: bool = False) -> Finding:
    """
    Args:
        because: the check that has to succeed first, or another reason, as the end of a sentence.
    """
    found = _made(check, "skipped", because, remedy, {})
    return msgspec.structs.replace(found, needs_login=needs_login)


def failed_with(check: str, fault: TollbookError, **facts: Any) -> Finding:
    """A failure that an error of ours tells of: its first sentence says what happened, the rest what to do."""
    message = foreign(fault.message)
    happened, _, remedy = message.partition("; ") if "; " in message else message.partition(". ")
    if not remedy:
        happened, _, remedy = message.partition(": ")
    # What happened begins with the message, whose first word may be an address: its case is left as it is.
    said = f"{happened.strip().rstrip('.')}."
    return failed(check, said, _sentence(remedy) if remedy else "Mend that, and ask again.", **facts)


def foreign(text: str) -> str:
    """`text` of a stranger, or with some in it, without what may be a token."""
    return clean(_OPAQUE.sub(_HIDDEN, text[: 4 * LONGEST]))


def clean(text: str) -> str:
    """`text` as it may be shown."""
    whole = printable(_CREDENTIAL.sub(_HIDDEN, text[: 4 * LONGEST]))
    return whole if len(whole) <= LONGEST else f"{whole[: LONGEST - 2]} …"


def without(finding: Finding, secrets: Collection[str]) -> Finding:
    """`finding`, with none of `secrets` in any text of it, nor the beginning of one where a text was cut."""

    def hidden(value: Any) -> Any:
        if isinstance(value, str):
            for secret in longest_first:
                value = _without(value, secret)
            return value
        if isinstance(value, Mapping):
            return {hidden(key): hidden(each) for key, each in value.items()}
        return [hidden(each) for each in value] if isinstance(value, list) else value

    longest_first = sorted(filter(None, secrets), key=len, reverse=True)
    return msgspec.structs.replace(
        finding, said=hidden(finding.said), remedy=hidden(finding.remedy), facts=hidden(finding.facts)
    )


def _without(text: str, secret: str) -> str:
    if len(secret) < SHORT:
        return re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", _HIDDEN, text)
    text, *cut_off = text.replace(secret, _HIDDEN).split(secret[:_BEGINNING])
    left = (rest[len(commonprefix([rest, secret[_BEGINNING:]])) :] for rest in cut_off)  # noqa: RUF071 - characters
    return "".join([text, *(_HIDDEN + each for each in left)])


def exit_code(findings: Sequence[Finding]) -> int:
    """0: all is well. 1: something is wrong. 3: nothing is, as far as one sees without a login."""
    if any(each.status == "failed" for each in findings):
        return 1
    return 3 if any(each.needs_login for each in findings) else 0


def _made(check: str, status: Status, said: str, remedy: str, facts: Mapping[str, Any]) -> Finding:
    return Finding(check=check, status=status, said=clean(said), remedy=clean(remedy), facts=_cleaned(facts))


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, Mapping):
        return {clean(str(key)): _cleaned(each) for key, each in list(value.items())[:_MOST_ENTRIES]}
    if isinstance(value, list | tuple):
        return [_cleaned(each) for each in value[:_MOST_ENTRIES]]
    return value


def _sentence(words: str) -> str:
    words = words.strip().rstrip(".")
    end = "" if words.endswith("?") else "."
    return f"{words[:1].upper()}{words[1:]}{end}" if words else ""
