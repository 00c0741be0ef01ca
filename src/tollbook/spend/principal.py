"""Who called, from the `identity.arn` of a log record."""

import re
from typing import Final

UNKNOWN: Final = "unknown"

# Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-arns
_ARN = re.compile(r"arn:aws[a-z-]*:(?:iam|sts)::\d*:(.+)", re.DOTALL)


def session_of(arn: str | None) -> str:
    """Who called, a role with its session: `user/alice`, `role/rag-api/i-0abc`, `root`, `federated-user/carol`.

    A user's path is kept (`user/ci/deploy-bot`), and a role's is not: the ARN of its sessions has none, and what
    follows `role/NAME` is a session's name. `unknown` without an ARN; one of no known form stays itself.
    """
    if not arn:
        return UNKNOWN
    found = _ARN.fullmatch(arn)
    if found is None:
        return arn
    kind, slash, name = found[1].partition("/")
    if slash and kind == "role":
        return f"role/{name.rpartition('/')[2]}"
    return f"role/{name}" if slash and kind == "assumed-role" else found[1]


def without_session(session: str) -> str:
    """The principal behind a `session_of`: `role/rag-api` for `role/rag-api/i-0abc`."""
    return "/".join(session.split("/", 2)[:2]) if session.startswith("role/") else session


def principal_of(arn: str | None) -> str:
    """Who called. The sessions of a role are one principal: there may be millions of them."""
    return without_session(session_of(arn))
