"""`tollbook deploy` and `tollbook destroy`: their parts put together, and what is seen while they work."""

import os
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import msgspec

from tollbook.app.deployed import EVERY_OPTION, check_settings, statements_for, with_accounts
from tollbook.core.errors import UsageError
from tollbook.core.text import printable
from tollbook.deploy.apply import apply
from tollbook.deploy.aws import Clients, clients
from tollbook.deploy.cloudformation.change_sets import ChangeSet
from tollbook.deploy.cloudformation.events import Event, Line
from tollbook.deploy.cloudformation.stacks import Stacks
from tollbook.deploy.destroy import Removal
from tollbook.deploy.destroy import destroy as remove
from tollbook.deploy.found import Found, Stack
from tollbook.deploy.image.building import image_uri, own_image_uri
from tollbook.deploy.image.context import tollbook_context
from tollbook.deploy.image.engines import Engine, find_engine
from tollbook.deploy.image.project import Project, project_context
from tollbook.deploy.image.registry import Registry
from tollbook.deploy.look import look
from tollbook.deploy.patience import Patience
from tollbook.deploy.plan.configuration import configurations
from tollbook.deploy.plan.options import PLACE, TEAM_FILE, Given, given, team_file
from tollbook.deploy.plan.planning import Plan, Wanted, plan
from tollbook.deploy.plan.summary import brief, lines
from tollbook.deploy.remains import Account
from tollbook.deploy.trouble import NotLoggedIn

_STACK: Final = "tollbook"
_UNKNOWN: Final = "ACCOUNT"
_PATIENCE: Final = Patience(time.time, time.sleep)
_TOO_LONG: Final = (
    "It is too long for one managed policy (6,144 characters), and short enough for those in a role (10,240)."
)
"""https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html"""
_STATUS_WIDTH: Final = len("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")
_CHECK_S: Final = 20.0
"""How long each answer of the new server may take: the first ones start it."""


class Orders(msgspec.Struct, frozen=True, kw_only=True):
    """What is said beside the options.

    Attributes:
        is_dry: show the plan, and stop.
        is_for_policy: print the policy of whoever deploys, and stop.
        agrees: do not ask.
        checks: try the server in the end.
        engine: that builds the image; empty for whichever is there.
        project: the folder of a server of one's own.
    """

    is_dry: bool = False
    is_for_policy: bool = False
    agrees: bool = False
    checks: bool = True
    engine: str = ""
    project: Path = Path()


def deploy(flags: Mapping[str, str | None], team: str | None, orders: Orders) -> int:
    """Shows what would be done, and does it if that is wanted; gives the exit code.

    Args:
        flags: by the options' names, as written.
        team: the team's file; None for the usual one, if it is there.

    Raises:
        TollbookError: it cannot be planned, or not be done.
    """
    said = given(EVERY_OPTION, flags, _team(team))
    name, aws = _name(said), _clients(said)
    found = _found(aws, name, is_dry=orders.is_dry or orders.is_for_policy)
    wanted = Wanted(
        stack=name,
        given=with_accounts(said.parameters),
        first_user=said.others.get("first_user", ""),
        builds=_builds(said, found),
    )
    first = _planned(wanted, found)
    if orders.is_for_policy:
        _print(first.permissions.as_json())
        print(_TOO_LONG, file=sys.stderr)
        return 0
    _print(*(lines if orders.is_dry or first.is_new else brief)(first), "")
    if first.builds and first.parameters["App"]:
        _print(*_left_out(first, orders))
    if orders.is_dry:
        _print("Nothing was done: this was a dry run.")
        return 0
    _check_that_somebody_agrees(orders.agrees)
    if first.builds and found.bootstrap is None:
        find_engine(orders.engine, os.environ)  # it will be needed, so that it is asked for before anything is made
    stacks = _stacks(aws)

    def replan(uri: str) -> Plan:
        now = msgspec.structs.replace(wanted, given={**wanted.given, "ImageUri": uri}) if uri else wanted
        return _planned(now, look(aws, stacks, name))

    stack = apply(
        first,
        stacks=stacks,
        aws=aws,
        replan=replan,
        image=lambda bootstrap: _image(Registry(aws("ecr"), bootstrap.outputs["RepositoryUri"]), first, orders),
        tell=_tell,
        confirm=lambda change_set: _agrees_to_change(change_set, orders.agrees),
    )
    _print(*_outcome(stack))
    return _checked(stack.outputs["Url"]) if orders.checks else 0


def destroy(flags: Mapping[str, str | None], team: str | None, *, keeps_data: bool, agrees: bool) -> int:
    """Removes what was deployed; gives the exit code. See `deploy`.

    Raises:
        TollbookError: something is left.
    """
    _check_that_somebody_agrees(agrees)
    options = {option.name for option in PLACE}
    said = given(PLACE, flags, {name: text for name, text in _team(team).items() if name in options})
    name, aws = _name(said), _clients(said)
    staying = remove(
        name,
        stacks=_stacks(aws),
        account=Account(aws, _PATIENCE),
        keeps_data=keeps_data,
        tell=_tell,
        confirm=lambda removal: _agrees_to_removal(removal, agrees),
    )
    _print(*(f"Stays: {thing}" for thing in staying), "Done.")
    return 0


def _team(path: str | None) -> Mapping[str, str]:
    if path is None and not Path(TEAM_FILE).is_file():
        return {}
    return team_file(Path(path or TEAM_FILE), EVERY_OPTION)


def _name(said: Given) -> str:
    return said.others.get("stack") or said.parameters.get("FunctionName") or _STACK


def _clients(said: Given) -> Clients:
    # boto3 itself knows AWS_DEFAULT_REGION only: https://docs.aws.amazon.com/sdkref/latest/guide/feature-region.html
    return clients(said.others.get("region") or os.environ.get("AWS_REGION", ""), said.others.get("profile", ""))


def _stacks(aws: Clients) -> Stacks:
    return Stacks(aws("cloudformation"), _PATIENCE)


def _found(aws: Clients, name: str, *, is_dry: bool) -> Found:
    """What there is; a dry run needs no credentials, and then takes it that there is nothing."""
    try:
        return look(aws, _stacks(aws), name)
    except NotLoggedIn:
        if not is_dry:
            raise
        return Found(account=_UNKNOWN, region=aws("cloudformation").meta.region_name, is_known=False)


def _builds(said: Given, found: Found) -> bool:
    """Whether the image is made here: unless one is named, or the stack runs one that was."""
    if said.parameters.get("ImageUri"):
        return False
    repository = found.bootstrap.outputs.get("RepositoryUri", "") if found.bootstrap else ""
    running = found.stack.parameters.get("ImageUri", "") if found.stack else ""
    return not running or (bool(repository) and running.startswith(f"{repository}@"))


def _planned(wanted: Wanted, found: Found) -> Plan:
    account = found.account if found.is_known else "0" * 12  # whatever stands there is not sent
    planned = plan(wanted, found, lambda parameters: statements_for(parameters, account, found.region))
    check_settings(planned.parameters, found.region)
    return planned


def _project(wanted: Plan, orders: Orders) -> Project:
    return Project(folder=orders.project, server=wanted.parameters["App"])


def _left_out(wanted: Plan, orders: Orders) -> Iterator[str]:
    """What of a project does not go into its image.

    Raises:
        UsageError: no image can be made of it.
    """
    names = project_context(_project(wanted, orders), tollbook_context(), os.environ).left_out
    if names:
        yield "These files may hold secrets, and are left out of the image ('!NAME' in .dockerignore brings one in):"
        yield from (f"  {printable(name)}" for name in names)
        yield ""


def _image(registry: Registry, wanted: Plan, orders: Orders) -> str:
    """The image's URI, built where it is not there yet."""
    architecture = wanted.parameters["Architecture"]

    def engine() -> Engine:
        return find_engine(orders.engine, os.environ)

    def tell(line: str) -> None:
        _print(f"  {printable(line)}")

    if wanted.parameters["App"]:
        return own_image_uri(registry, engine, _project(wanted, orders), architecture, tell, os.environ)
    return image_uri(registry, engine, tollbook_context(), architecture, tell)


def _check_that_somebody_agrees(is_agreed: bool) -> None:
    if not (is_agreed or sys.stdin.isatty()):
        raise UsageError("Nobody can be asked here: say --yes to go on without (deploy has --dry-run, to look first).")


def _agrees_to_change(change_set: ChangeSet, is_agreed: bool) -> bool:
    changes = [each for each in change_set.changes if each.action != "Dynamic"]
    width = max((len(each.name) for each in changes), default=0)
    _print("", f"In the stack {change_set.stack}, CloudFormation will")
    for each in changes:
        fate = {"True": "  and replace it", "Conditional": "  and perhaps replace it"}.get(each.replaces, "")
        _print(f"  {each.action.lower():7} {each.name:{width}}  {each.kind}{fate if each.action == 'Modify' else ''}")
    if not changes:
        _print("  change outputs only")
    return is_agreed or _says_yes()


def _agrees_to_removal(removal: Removal, is_agreed: bool) -> bool:
    _print("This will be removed, and cannot be brought back:", *(f"  {thing}" for thing in removal.going))
    if removal.staying:
        _print("This stays:", *(f"  {thing}" for thing in removal.staying))
    return is_agreed or _says_yes()


def _says_yes() -> bool:
    try:
        return input("Go on? [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        print()
        return False


def _tell(what: Event | Line) -> None:
    if isinstance(what, Line):
        _print(what.text)
    elif what.is_of_stack or not what.status.endswith("_IN_PROGRESS"):  # each resource once, when it is done
        reason = f": {what.reason}" if what.is_failure and what.reason else ""
        _print(f"  {what.at:%H:%M:%S}  {what.status:{_STATUS_WIDTH}}  {what.resource}{reason}")


def _outcome(stack: Stack) -> Iterator[str]:
    """Where the server is, and how each host finds it."""
    outputs = stack.outputs
    yield from ("", f"The server is at {outputs['Url']}", "")
    if "FunctionUrl" in outputs:
        yield from (f"and at {outputs['FunctionUrl']}", "")
    for each in configurations(stack.name, outputs, stack.parameters):
        yield f"{each.host}: {each.where}"
        yield from (f"  {line}" for line in each.text.splitlines())
        yield ""


def _checked(url: str) -> int:
    """Tries the chain that was just made, as far as one gets without a login."""
    from tollbook.app.doctor import Wish, doctor  # with an HTTP client
    from tollbook.client.settings import read_client_settings

    return doctor(Wish(target=url, retention_days=0, patience_s=_CHECK_S), read_client_settings(os.environ, {}))


def _print(*lines: str) -> None:
    for line in lines:
        print(line, flush=True)
