"""What tollbook's own server takes where it is deployed: its settings as options, and what its role must allow."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Final

import msgspec

from tollbook.app.aws_settings import BILL, USUAL_LOOK_UPS
from tollbook.app.budgets import as_json, table_in
from tollbook.app.on_lambda import lambda_settings
from tollbook.app.settings import GROUPS, SETTINGS
from tollbook.core.errors import UsageError, why
from tollbook.core.iam import Policy, Statement
from tollbook.core.settings import words
from tollbook.deploy.plan.options import OPTIONS, YES, Option, parameter_of, server_options
from tollbook.sources.aws.reach.accounts import Accounts, read_accounts
from tollbook.sources.aws.reach.policy import policy_for
from tollbook.sources.named import CLOUDWATCH, USUAL, one_kind

SERVER_GROUPS: Final = {title: server_options(settings) for title, settings in GROUPS.items()}
"""The server's own settings that a deployment may be told, by what they are about."""
EVERY_OPTION: Final[tuple[Option, ...]] = (*OPTIONS, *chain.from_iterable(SERVER_GROUPS.values()))
_ACCOUNTS: Final = parameter_of("TOLLBOOK_ACCOUNTS")
_BUDGETS: Final = parameter_of("TOLLBOOK_BUDGETS")
_OWN_ROLE: Final = "--bedrock-role-arn"
_DEFAULTS: Final = {setting.variable: setting.default or "" for setting in SETTINGS}


def with_files(parameters: Mapping[str, str]) -> Mapping[str, str]:
    """`parameters` with the list of accounts and the budgets themselves, where files on this machine hold them.

    Raises:
        TollbookError: a file cannot be read, or holds none.
    """
    return _with_budgets(_with_accounts(parameters))


def _with_budgets(parameters: Mapping[str, str]) -> Mapping[str, str]:
    said = parameters.get(_BUDGETS, "")
    if not said or said.startswith("{"):
        return parameters
    with _about("--budgets"):
        return {**parameters, _BUDGETS: as_json(table_in(Path(said)))}


def _with_accounts(parameters: Mapping[str, str]) -> Mapping[str, str]:
    said = parameters.get(_ACCOUNTS, "")
    if not said or said.startswith("{"):
        return parameters
    try:
        # In ASCII, as CloudFormation keeps it.
        whole = json.dumps(json.loads(Path(said).read_text(encoding="utf-8")), separators=(",", ":"))
    except (OSError, ValueError) as fault:
        raise UsageError(f"--accounts: cannot use {said}: {why(fault)}.") from fault
    return {**parameters, _ACCOUNTS: whole}


def check_settings(parameters: Mapping[str, str], region: str) -> None:
    """Reads the parameters of a stack as its function will, so that what it would not start with is never deployed.

    Args:
        region: of the stack.

    Raises:
        UsageError: with every problem, each on a line that begins with its flag and variable.
    """
    names = {setting.variable: parameter_of(setting.variable) for setting in SETTINGS}
    said = {variable: parameters[name] for variable, name in names.items() if name in parameters}
    made = {  # in place of what the template makes, which is of the same form
        "AUTH_METHOD": "oauth",
        "PUBLIC_URL": f"https://{parameters['DomainName'] or 'api.example.com'}/mcp",
        "REQUEST_STATE_KEYS": "k" * 64,
        "SESSION_STORE": "dynamodb:table",
        "TOLLBOOK_APP": parameters["App"],
        "TOLLBOOK_BUCKET": "s3://bucket/tollbook",
    }
    if parameters["OwnPool"] == YES:
        made |= {"COGNITO_USER_POOL_ID": f"{region}_Pool", "COGNITO_ALLOWED_CLIENT_IDS": "client"}
    if pool := made.get("COGNITO_USER_POOL_ID") or parameters["CognitoUserPoolId"]:
        made["COGNITO_REGION"] = pool.partition("_")[0]
    try:
        lambda_settings({**said, **made})
    except UsageError as fault:
        raise UsageError("This cannot be deployed, since the server would not start with it:", fault.more) from fault


def statements_for(parameters: Mapping[str, str], account: str, region: str) -> str:
    """The statements of the server's role that let it read what it is asked about, as a JSON list.

    Args:
        parameters: of the stack.
        account, region: of the stack.

    Raises:
        UsageError: what cannot be read from there, in a sentence that begins with its flag.
    """
    return msgspec.json.encode(list(_statements(parameters, account, region))).decode()


def _statements(parameters: Mapping[str, str], account: str, region: str) -> Iterator[Statement]:
    if parameters.get("App"):  # a server of somebody else's: what it may is for its --policy-arns to say
        return
    found: list[Statement] = []
    for each in chain.from_iterable(policy.statement for policy in _policies(parameters, account, region)):
        alike = next((at for at, other in enumerate(found) if _goes_with(other, each)), None)
        if alike is None:
            found.append(each)
        else:
            found[alike] = _joined(found[alike], each)
    times = Counter[str]()  # a Sid stands once in a policy
    for each in found:
        times[each.sid] += 1
        yield msgspec.structs.replace(each, sid=f"{each.sid}{times[each.sid]}") if times[each.sid] > 1 else each


def _goes_with(one: Statement, other: Statement) -> bool:
    """Whether two are the same but for where they hold: of their conditions, the region at most tells them apart."""
    asked = [{(kind, key) for kind, keys in each.condition.items() for key in keys} for each in (one, other)]
    are_alike = (one.sid, one.effect, one.action) == (other.sid, other.effect, other.action)
    return are_alike and asked[0] == asked[1] <= {("StringEquals", "aws:RequestedRegion")}


def _joined(one: Statement, other: Statement) -> Statement:
    """One that allows what both do: IAM's policies are short."""
    condition = {
        kind: {key: tuple(dict.fromkeys((*values, *other.condition[kind][key]))) for key, values in keys.items()}
        for kind, keys in one.condition.items()
    }
    resources = tuple(dict.fromkeys((*one.resource, *other.resource)))
    return msgspec.structs.replace(one, resource=resources, condition=condition)


def _policies(parameters: Mapping[str, str], account: str, region: str) -> Iterator[Policy]:
    def said(variable: str) -> str:
        return parameters.get(parameter_of(variable)) or _DEFAULTS[variable]

    accounts = _accounts(said("TOLLBOOK_ACCOUNTS"), said("BEDROCK_ROLE_ARN"))
    regions = words(said("TOLLBOOK_REGIONS")) or (region,)
    look_ups = words(said("TOLLBOOK_LOOK_UP"))
    with _about("--source"):
        for source in one_kind(words(said("TOLLBOOK_SOURCE")) or (USUAL,)):
            if source.kind == "files":
                raise UsageError(
                    f"'{source.name}' is a file, and a function has no files of yours. Name "
                    "cloudwatch:LOG_GROUP, s3://BUCKET/PREFIX or athena:DATABASE.TABLE."
                )
            if source.kind in CLOUDWATCH and accounts.own_role is None:
                for each in regions:
                    yield policy_for(f"{source.kind}:{source.name}", region=each, account=account)
            if source.kind == "s3" and accounts.own_role is None:
                yield policy_for(source.name)
            # Of Athena, neither the buckets nor the keys behind a table are known here: --policy-arns.
    if set(look_ups) & set(USUAL_LOOK_UPS) and accounts.own_role is None:
        for each in regions:
            yield policy_for(region=each, account=account, names="names" in look_ups, metrics="metrics" in look_ups)
    # Asked with the function's own role, whatever others it assumes.
    yield from (policy_for(bill=True) for each in look_ups if each == BILL)
    entries = (accounts.own_role, *accounts.listed.values())
    if roles := [entry.role for entry in entries if entry is not None and entry.role]:
        with _about("--accounts"):
            yield policy_for(assume=roles)


def _accounts(listed: str, own_role: str) -> Accounts:
    """The accounts to read, of which each problem is told by the flag that it is about."""
    with _about("--accounts"):
        read_accounts(listed, "--accounts")
    try:
        return read_accounts(listed, "--accounts", own_role, _OWN_ROLE)
    except UsageError as fault:
        raise UsageError(f"{_OWN_ROLE}: {' '.join(fault.more).removeprefix(f'{_OWN_ROLE} ')}") from fault


@contextmanager
def _about(flag: str) -> Iterator[None]:
    try:
        yield
    except UsageError as fault:
        raise UsageError(f"{flag}: {' '.join(fault.more) or fault}") from fault
