"""Which accounts may be read, and by which role: a list that whoever runs tollbook writes. Pure.

    {
      "111122223333": {"role": "arn:aws:iam::111122223333:role/tollbook-reader", "external_id": "…", "name": "prod"},
      "444455556666": {"via": "oam", "name": "sandbox"},
      "777788889999": "oam"
    }

What is not on it is not read, whoever asks. A role is assumed only if its ARN stands here; none is ever made up.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final, Literal

import msgspec

from tollbook.core.errors import UsageError
from tollbook.core.text import printable
from tollbook.sources.aws.delivery import is_account

MOST_ACCOUNTS: Final = 200
_LONGEST_LIST: Final = 512 << 10
_LONGEST_NAME: Final = 100
_MOST_PROBLEMS: Final = 20

# https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateRole.html (Path, RoleName)
_ROLE: Final = re.compile(
    r"arn:(?P<partition>aws(?:-[a-z]+)*):iam::(?P<account>[0-9]{12}):role(?:/|/[!-.0-~][!-~]{0,509}/)[A-Za-z0-9_+=,.@-]{1,64}"
)
# https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html (ExternalId)
_EXTERNAL_ID: Final = re.compile(r"[A-Za-z0-9_+=,.@:/-]{2,1224}")

_FORM: Final = 'Write {"111122223333": {"role": "arn:aws:iam::111122223333:role/NAME"}} or {"111122223333": "oam"}.'


class Entry(msgspec.Struct, frozen=True):
    """How one account is reached.

    Attributes:
        via: `role`, which is assumed; or `oam`: the account shares its log groups with the one of the credentials at
            hand, through CloudWatch's Observability Access Manager.
        role: its ARN; empty with `oam`.
        external_id: what the role asks for, to be sure on whose behalf it is assumed.
        name: what people call the account.

    Sources:
        https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch-Unified-Cross-Account.html
        https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_common-scenarios_third-party.html
    """

    via: Literal["role", "oam"]
    role: str = ""
    external_id: str | None = None
    name: str | None = None

    @property
    def account(self) -> str:
        """That of the role; empty with `oam`."""
        return self.role.split(":")[4] if self.role else ""

    @property
    def partition(self) -> str:
        """That of the role, such as `aws-cn`; empty with `oam`."""
        return self.role.split(":")[1] if self.role else ""


class Accounts(msgspec.Struct, frozen=True):
    """The accounts that may be read, besides that of the credentials at hand.

    Attributes:
        listed: by their twelve digits.
        own_role: to be assumed for the account of the credentials at hand; None to read it with those.
        source: where the list stands, for messages.
    """

    listed: Mapping[str, Entry] = MappingProxyType({})
    own_role: Entry | None = None
    source: str = "this server's list"

    def name_of(self, account: str) -> str:
        """`prod (111122223333)`, or the number where no name is listed."""
        entry = self.listed.get(account)
        return f"{entry.name} ({account})" if entry and entry.name else account


def read_accounts(text: str, source: str, own_role: str = "", own_role_source: str = "BEDROCK_ROLE_ARN") -> Accounts:
    """The list in `text`, which is JSON; an empty text lists nothing.

    Args:
        source: where the text stands: a file, or a variable of the environment.
        own_role: the ARN of a role in the account of the credentials at hand; may be empty.
        own_role_source: where that stands.

    Raises:
        UsageError: it cannot be used; each reason is a sentence of its own.
    """
    problems: list[str] = []
    listed: dict[str, Entry] = {}
    for account, value in _pairs(text, problems):
        try:
            listed[account] = _entry(account, value)
        except UsageError as fault:
            problems.append(fault.message)
    own = None
    if own_role:
        found = _ROLE.fullmatch(own_role)
        if not found:
            problems.append(f"{own_role_source} {_shown(own_role)} is not the ARN of a role.")
        elif found["account"] in listed:
            problems.append(
                f"Account {found['account']} is reached in two ways, by {own_role_source} and in {source}; keep one."
            )
        else:
            own = Entry("role", own_role)
    if problems:
        raise UsageError(f"The list of accounts in {source} cannot be used.", _few(problems))
    return Accounts(MappingProxyType(listed), own, source)


def _pairs(text: str, problems: list[str]) -> Iterator[tuple[str, Any]]:
    if not text.strip():
        return
    if len(text) > _LONGEST_LIST:
        problems.append(f"It is longer than {_LONGEST_LIST >> 10} KiB.")
        return
    try:
        pairs = json.loads(text, object_pairs_hook=_Pairs)
    except (ValueError, RecursionError):
        pairs = None
    if not isinstance(pairs, _Pairs):
        problems.append(f"It is not a JSON object of accounts. {_FORM}")
        return
    if len(pairs) > MOST_ACCOUNTS:
        problems.append(f"It lists {len(pairs):,} accounts; {MOST_ACCOUNTS} are the most.")
        return
    seen: set[str] = set()
    for account, value in pairs:
        if account in seen:
            problems.append(f"Account {_shown(account)} is listed twice.")
        else:
            seen.add(account)
            yield account, value


def _entry(account: str, value: Any) -> Entry:
    if not is_account(account):
        raise UsageError(f"{_shown(account)} is not an account of twelve digits.")
    if value == "oam":
        return Entry("oam")
    fields = _fields(account, value)
    via = fields.get("via", "role")
    if via not in ("role", "oam"):
        raise UsageError(f"Account {account} is reached via {_shown(via)}; it can be role or oam.")
    if via == "oam":
        if "role" in fields or "external_id" in fields:
            raise UsageError(f"Account {account} is reached via oam, which takes neither role nor external_id.")
        return Entry("oam", name=fields.get("name"))
    if "role" not in fields:
        raise UsageError(f"Account {account} has neither a role nor via oam.")
    found = _ROLE.fullmatch(fields["role"])
    if not found:
        raise UsageError(f"The role {_shown(fields['role'])} of account {account} is not the ARN of a role.")
    if found["account"] != account:
        raise UsageError(f"The role of account {account} belongs to account {found['account']}.")
    external_id = fields.get("external_id")
    if external_id is not None and not _EXTERNAL_ID.fullmatch(external_id):
        raise UsageError(
            f"The external_id of account {account} is not one: it has 2 to 1,224 of A-Z a-z 0-9 _ + = , . @ : / and -."
        )
    return Entry("role", fields["role"], external_id, fields.get("name"))


def _fields(account: str, value: Any) -> dict[str, str]:
    if not isinstance(value, _Pairs):
        raise UsageError(f"What is listed of account {account} is neither an object nor oam. {_FORM}")
    fields = dict(value)
    for name, field in value:
        if name not in ("role", "external_id", "name", "via"):
            raise UsageError(f"Account {account} has a field {_shown(name)}; it may have role, external_id, name, via.")
        if not isinstance(field, str) or not field:
            raise UsageError(f"The {name} of account {account} is not a text.")
    if len(fields) < len(value):
        raise UsageError(f"Account {account} has a field twice.")
    name = fields.get("name", "")
    if len(name) > _LONGEST_NAME or not name.isprintable():
        raise UsageError(
            f"The name of account {account} is not one line of at most {_LONGEST_NAME} printable characters."
        )
    return fields


class _Pairs(list[tuple[str, Any]]):
    """A JSON object, in which a name can stand twice."""


def _shown(text: str) -> str:
    """`text` in quotes, short and harmless."""
    return f"'{printable(text[:80])}{'…' if len(text) > 80 else ''}'"


def _few(problems: Iterable[str]) -> list[str]:
    every = list(problems)
    rest = len(every) - _MOST_PROBLEMS
    return every if rest <= 0 else [*every[:_MOST_PROBLEMS], f"{rest} more of its entries cannot be used."]
