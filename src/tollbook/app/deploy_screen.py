"""What is seen of a deployment while it is made or removed, and what is asked meanwhile."""

import os
import sys
from collections.abc import Iterator, Mapping
from typing import Final

from tollbook.core.errors import UsageError
from tollbook.deploy.apply import GROUP
from tollbook.deploy.cloudformation.change_sets import ChangeSet
from tollbook.deploy.cloudformation.events import Event, Line
from tollbook.deploy.destroy import Removal
from tollbook.deploy.found import Stack
from tollbook.deploy.plan.configuration import configurations
from tollbook.deploy.plan.options import YES

_STATUS_WIDTH: Final = len("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")


def show(*lines: str) -> None:
    """Prints lines; nothing more once nobody reads them."""
    try:
        for line in lines:
            print(line, flush=True)
    except OSError:  # whoever read has gone, or the disk is full: what was begun is brought to its end all the same
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def tell(what: Event | Line) -> None:
    """Shows what CloudFormation does, each resource once."""
    if isinstance(what, Line):
        show(what.text)
    elif what.is_of_stack or not what.status.endswith("_IN_PROGRESS"):
        reason = f": {what.reason}" if what.is_failure and what.reason else ""
        show(f"  {what.at:%H:%M:%S}  {what.status:{_STATUS_WIDTH}}  {what.resource}{reason}")


def check_that_somebody_can_agree(is_agreed: bool) -> None:
    """
    Raises:
        UsageError: a question would not be seen, or its answer be read by another program.
    """
    if not (is_agreed or (sys.stdin.isatty() and sys.stdout.isatty())):
        raise UsageError("Nobody can be asked here, since this is no terminal: look with --dry-run, then say --yes.")


def agrees_to_change(change_set: ChangeSet, is_agreed: bool) -> bool:
    """Shows what CloudFormation would do, and asks."""
    if change_set.is_new:  # the plan has said what
        show("", f"CloudFormation will make {len(change_set.changes)} resources in the new stack {change_set.stack}.")
        return is_agreed or _says_yes()
    changes = [each for each in change_set.changes if each.action != "Dynamic"]
    width = max((len(each.name) for each in changes), default=0)
    show("", f"In the stack {change_set.stack}, CloudFormation will")
    for each in changes:
        fate = {"True": "  and replace it", "Conditional": "  and perhaps replace it"}.get(each.replaces, "")
        show(f"  {each.action.lower():7} {each.name:{width}}  {each.kind}{fate if each.action == 'Modify' else ''}")
    if not changes:
        show("  change outputs only")
    return is_agreed or _says_yes()


def agrees_to_removal(removal: Removal, is_agreed: bool) -> bool:
    """Shows what would go, and asks.

    Raises:
        UsageError: nobody can be asked.
    """
    show(*removal_as_lines(removal))
    check_that_somebody_can_agree(is_agreed)
    return is_agreed or _says_yes()


def removal_as_lines(removal: Removal) -> Iterator[str]:
    """What goes and what stays."""
    if removal.going:
        yield "This will be removed, and cannot be brought back:"
        yield from (f"  {thing}" for thing in removal.going)
    else:
        yield "There is nothing to remove."
    if removal.staying:
        yield "This stays:"
        yield from (f"  {thing}" for thing in removal.staying)


def _says_yes() -> bool:
    try:
        return input("Go on? [y/N] ").strip().lower() in ("y", "yes")
    except (EOFError, KeyboardInterrupt):
        print()
        return False


def outcome(stack: Stack, *, has_invited: bool) -> Iterator[str]:
    """Where the server is, what is left to do, and how each host finds it."""
    outputs, parameters = stack.outputs, stack.parameters
    yield from ("", f"The server is at {outputs['Url']}")
    if "FunctionUrl" in outputs:
        yield f"and at {outputs['FunctionUrl']}mcp"
    yield ""
    yield from _left_to_do(outputs, parameters, has_invited=has_invited)
    for each in configurations(stack.name, outputs, stack.parameters):
        yield f"{each.host}: {each.where}"
        yield from (f"  {line}" for line in each.text.splitlines())
        yield ""


def _left_to_do(outputs: Mapping[str, str], parameters: Mapping[str, str], *, has_invited: bool) -> Iterator[str]:
    todo = []
    if "DomainTarget" in outputs and not parameters["HostedZoneId"]:
        todo.append(f"Let {parameters['DomainName']} lead to {outputs['DomainTarget']}, by a CNAME or an alias record.")
    if parameters["OwnPool"] == YES and not has_invited:
        todo.append(
            f"Let somebody in: 'tollbook deploy --first-user EMAIL' invites him into the group {GROUP}; Cognito's "
            f"console makes users of the pool {outputs['UserPoolId']} too."
        )
    if parameters["ApiKeys"] == YES:
        todo.append(
            "Make keys for programs: 'tollbook keys create --owner NAME "
            f"--scopes {outputs['Scope']} --session-store dynamodb:{outputs['Table']}'."
        )
    if todo:
        yield "What is left to do"
        yield from (f"  - {sentence}" for sentence in todo)
        yield ""
