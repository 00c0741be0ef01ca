"""`tollbook deploy` and `tollbook destroy`: their parts put together, and what is seen while they work."""

import os
import re
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import msgspec

from tollbook.app.deploy_screen import (
    agrees_to_change,
    agrees_to_removal,
    check_that_somebody_can_agree,
    outcome,
    removal_as_lines,
    show,
    tell,
)
from tollbook.app.deployed import EVERY_OPTION, check_settings, statements_for, with_files
from tollbook.core.errors import TollbookError, UsageError
from tollbook.core.text import printable
from tollbook.deploy.apply import apply
from tollbook.deploy.aws import Clients, clients
from tollbook.deploy.cloudformation.stacks import Stacks
from tollbook.deploy.destroy import destroy as remove
from tollbook.deploy.destroy import what_there_is
from tollbook.deploy.found import Found, bootstrap_of
from tollbook.deploy.image.building import image_uri, own_image_uri
from tollbook.deploy.image.context import tollbook_context
from tollbook.deploy.image.engines import ENGINES, Engine, find_engine
from tollbook.deploy.image.project import Project, project_context
from tollbook.deploy.image.registry import Registry
from tollbook.deploy.look import account_of, look
from tollbook.deploy.patience import Patience
from tollbook.deploy.plan.options import PLACE, TEAM_FILE, Given, given, team_file
from tollbook.deploy.plan.planning import Plan, Wanted, plan
from tollbook.deploy.plan.summary import WIDTH, brief, lines
from tollbook.deploy.remains import Account
from tollbook.deploy.trouble import Denied, NotLoggedIn

_STACK: Final = "tollbook"
_UNKNOWN: Final = "ACCOUNT"
_PATIENCE: Final = Patience(time.time, time.sleep)
_TOO_LONG: Final = (
    "It is too long for one managed policy (6,144 characters), and short enough for those in a role (10,240)."
)
"""https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html"""
_NEEDS_LOGIN: Final = 3
_KNOWN_WITHIN_S: Final = 90.0
_STEP_S: Final = 3.0
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
        project: the folder of a server of one's own; None if it was not said.
    """

    is_dry: bool = False
    is_for_policy: bool = False
    agrees: bool = False
    checks: bool = True
    engine: str = ""
    project: Path | None = None

    @property
    def folder(self) -> Path:
        """The project's."""
        return self.project or Path()


def deploy(flags: Mapping[str, str | None], team: str | None, orders: Orders) -> int:
    """Shows what would be done, and does it if that is wanted; gives the exit code.

    Args:
        flags: by the options' names, as written.
        team: the team's file; None for the usual one, if it is there.

    Raises:
        TollbookError: it cannot be planned, or not be done.
    """
    _check(orders)
    theirs = _team(team)
    said = given(EVERY_OPTION, flags, theirs)
    name, aws = _name(said), _clients(said)
    found = _found(aws, name, is_dry=orders.is_dry or orders.is_for_policy)
    wanted = Wanted(
        stack=name,
        given=with_files(said.parameters),
        first_user=said.others.get("first_user", ""),
        builds=_builds(said, found, orders),
    )
    first = _planned(wanted, found)
    if orders.is_for_policy:
        show(first.permissions.policy.as_json())
        print(_TOO_LONG, file=sys.stderr)
        return 0
    left_out = list(_left_out(first, orders)) if first.builds and first.parameters["App"] else []
    show(*_read(theirs, team))
    columns = shutil.get_terminal_size((WIDTH, 24)).columns
    show(*(lines if orders.is_dry or first.is_new else brief)(first, columns), "", *left_out)
    if orders.is_dry:
        show(*_lacking(first, found, orders))
        show("Nothing was done: this was a dry run.")
        return 0
    check_that_somebody_can_agree(orders.agrees)
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
        tell=tell,
        confirm=lambda change_set: agrees_to_change(change_set, orders.agrees),
    )
    show(*outcome(stack, has_invited=bool(wanted.first_user)))
    if not orders.checks:
        return 0
    if stack.parameters["DomainName"] and not stack.parameters["HostedZoneId"]:
        show(f"Once {stack.parameters['DomainName']} leads there: tollbook doctor {stack.outputs['Url']}")
        return 0
    return _checked(stack.outputs["Url"])


def destroy(
    flags: Mapping[str, str | None], team: str | None, *, keeps_data: bool, is_dry: bool = False, agrees: bool = False
) -> int:
    """Removes what was deployed; gives the exit code. See `deploy`.

    Raises:
        TollbookError: something is left.
    """
    options = {option.name for option in PLACE}
    said = given(PLACE, flags, {name: text for name, text in _team(team).items() if name in options})
    name, aws = _name(said), _clients(said)
    stacks, account = _stacks(aws), Account(aws, _PATIENCE)
    show(f"{name} in {aws('cloudformation').meta.region_name}, account {account_of(aws)}")
    if is_dry:
        show(*removal_as_lines(what_there_is(name, stacks=stacks, account=account, keeps_data=keeps_data)))
        show("Nothing was done: this was a dry run.")
        return 0
    staying = remove(
        name,
        stacks=stacks,
        account=account,
        keeps_data=keeps_data,
        tell=tell,
        confirm=lambda removal: agrees_to_removal(removal, agrees),
    )
    show(*(f"Stays: {thing}" for thing in staying))
    return 0


def _team(path: str | None) -> Mapping[str, str]:
    if path is None and not Path(TEAM_FILE).is_file():
        return {}
    return team_file(Path(path or TEAM_FILE), EVERY_OPTION)


def _read(theirs: Mapping[str, str], team: str | None) -> Iterator[str]:
    """What a file says, which may be another's than whoever runs this takes it for."""
    if theirs:
        yield f"Read from {printable(str(Path(team or TEAM_FILE).resolve()))}:"
        yield from (f"  {name.replace('_', '-')} = {printable(text)}" for name, text in theirs.items())
        yield ""


def _check(orders: Orders) -> None:
    """
    Raises:
        UsageError: what is said makes no sense together.
    """
    if orders.engine and orders.engine not in ENGINES:
        raise UsageError(f"--engine: there is no engine '{orders.engine}'. Choose one of {', '.join(ENGINES)}.")
    if not orders.folder.is_dir():
        raise UsageError(f"--project: there is no folder {orders.folder}. Name the one with the lock file.")


def _name(said: Given) -> str:
    name = said.others.get("stack") or _stack_of(said.parameters.get("FunctionName", "")) or _STACK
    if name.endswith(bootstrap_of("")):
        raise UsageError(f"--stack: '{name}' would be the stack of another one's image. Choose another name.")
    return name


def _stack_of(function: str) -> str:
    """A stack's name made of a function's, which may have underscores and begin with a digit.

    Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_CreateStack.html (StackName)
    """
    name = re.sub("[^A-Za-z0-9]+", "-", function).strip("-")
    return name if not name or name[0].isalpha() else f"{_STACK}-{name}"


def _clients(said: Given) -> Clients:
    # boto3 itself knows AWS_DEFAULT_REGION only: https://docs.aws.amazon.com/sdkref/latest/guide/feature-region.html
    return clients(said.others.get("region") or os.environ.get("AWS_REGION", ""), said.others.get("profile", ""))


def _stacks(aws: Clients) -> Stacks:
    return Stacks(aws("cloudformation"), _PATIENCE)


def _found(aws: Clients, name: str, *, is_dry: bool) -> Found:
    """What there is; a dry run needs no credentials, and then takes it that there is nothing."""
    try:
        return look(aws, _stacks(aws), name)
    except (NotLoggedIn, Denied):
        if not is_dry:
            raise
        return Found(account=_UNKNOWN, region=aws("cloudformation").meta.region_name, is_known=False)


def _builds(said: Given, found: Found, orders: Orders) -> bool:
    """Whether the image is made here: unless one is named, or the stack runs one that was, and nobody unsets that.

    A server of somebody's own is built anew if he says so: another folder may have another of that name.
    """
    if "ImageUri" in said.parameters:
        return not said.parameters["ImageUri"]
    if found.stack and found.stack.parameters.get("App") and "App" not in said.parameters and orders.project is None:
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
    return Project(folder=orders.folder, server=wanted.parameters["App"])


def _lacking(wanted: Plan, found: Found, orders: Orders) -> Iterator[str]:
    """What would keep the image from being built."""
    if wanted.builds and found.bootstrap is None:
        try:
            find_engine(orders.engine, os.environ)
        except TollbookError as fault:
            yield from (str(fault), "")


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
        show(f"  {printable(line)}")

    if wanted.parameters["App"]:
        return own_image_uri(registry, engine, _project(wanted, orders), architecture, tell, os.environ)
    return image_uri(registry, engine, tollbook_context(), architecture, tell)


def _checked(url: str) -> int:
    """Tries the chain that was just made, as far as one gets without a login; gives the exit code."""
    from tollbook.app.doctor import Wish, doctor  # with an HTTP client
    from tollbook.client.settings import read_client_settings

    _wait_for(url)
    code = doctor(Wish(target=url, patience_s=_CHECK_S), read_client_settings(os.environ, {}))
    return 0 if code == _NEEDS_LOGIN else code


def _wait_for(url: str) -> None:
    """Waits until something answers at a new address, or long enough: its name has to become known first."""
    import httpx2

    ends = time.monotonic() + _KNOWN_WITHIN_S
    while time.monotonic() < ends:
        try:
            httpx2.get(url, timeout=_CHECK_S)
        except httpx2.TransportError:
            time.sleep(_STEP_S)
        else:
            return
