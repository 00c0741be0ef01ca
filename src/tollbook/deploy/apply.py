"""From a plan to a stack that runs. Interrupted at any point, it goes on where it was when it is run again.

Nothing is printed: what happens goes to `tell`, and what is about to happen to `confirm`.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from botocore.exceptions import ClientError

from tollbook.deploy.aws import Clients
from tollbook.deploy.cloudformation.change_sets import ChangeSet
from tollbook.deploy.cloudformation.events import Line, Tell
from tollbook.deploy.cloudformation.stacks import TAG, Stacks
from tollbook.deploy.found import Stack, bootstrap_of
from tollbook.deploy.plan.planning import Plan
from tollbook.deploy.template import bootstrap
from tollbook.deploy.trouble import Declined, GoesOn, StackTrouble, translated

GROUP: Final = "finops"
"""The group of the own pool whose members see everyone's calls."""

_GOES_ON: Final = (
    "CloudFormation goes on by itself with the stack '{name}': run the same command again to follow it and to do what "
    "remains."
)

Confirm = Callable[[ChangeSet], bool]
"""Whether CloudFormation may do this."""


def apply(
    plan: Plan,
    *,
    stacks: Stacks,
    aws: Clients,
    replan: Callable[[str], Plan],
    image: Callable[[Stack], str],
    tell: Tell,
    confirm: Confirm,
) -> Stack:
    """Does what is planned, and gives the stack.

    Args:
        replan: what is wanted, planned again where things are as they are by then, with an image's URI; empty for the
            one that was asked for, or runs.
        image: finds or builds the image, given the bootstrap stack; asked if the plan builds one.
        confirm: asked before each change, but for a second that tells the server its own URL and nothing else.

    Raises:
        Declined: `confirm` said no; the stack is as it was.
        StackTrouble: CloudFormation could not do it, and went back.
        GoesOn: Ctrl-C while CloudFormation was at work.
        TollbookError: there is no image, or AWS refused or failed.
    """
    name = plan.stack
    with going_on(_GOES_ON.format(name=name)):
        stacks.settle(name, tell, name)
    uri = image(_bootstrapped(plan, stacks, tell, confirm)) if plan.builds else ""
    plan = replan(uri)
    stack = _changed(name, plan.template, plan.parameters, name, stacks, tell, confirm)
    again = replan(uri)
    match _differing(plan.parameters, again.parameters):
        case []:
            pass
        case ["FunctionUrlHost"]:  # an output of the stack is a parameter of it: the host of its own URL
            tell(Line(f"Now that the stack '{name}' tells its URL, the server is told too."))
            stack = _changed(name, again.template, again.parameters, name, stacks, tell, lambda _: True)
        case _:
            tell(Line(f"Somebody else changed the stack '{name}' meanwhile."))
            stack = _changed(name, again.template, again.parameters, name, stacks, tell, confirm)
    if again.first_user:
        _invite(again.first_user, stack, aws, tell)
    return stack


def _differing(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """The names of the parameters that are not the same."""
    return sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))


def _bootstrapped(plan: Plan, stacks: Stacks, tell: Tell, confirm: Confirm) -> Stack:
    """The stack that holds the images, made where it is not there."""
    name = bootstrap_of(plan.stack)
    with going_on(_GOES_ON.format(name=name)):
        stacks.settle(name, tell, plan.stack)
    return _changed(name, bootstrap(), {}, plan.stack, stacks, tell, confirm)


def _changed(
    name: str,
    template: str,
    parameters: Mapping[str, str],
    tag: str,
    stacks: Stacks,
    tell: Tell,
    confirm: Confirm,
) -> Stack:
    """The stack, once it is as `template` and `parameters` say."""
    change_set = stacks.prepare(name, template, parameters, {TAG: tag}, tell)
    if change_set is None:
        tell(Line(f"Nothing changes in the stack '{name}'."))
        found = stacks.find(name)
        if found is None:
            raise StackTrouble(f"Somebody deleted the stack '{name}' just now: run the same command again.", stack=name)
        return found
    try:
        agrees = confirm(change_set)
    except BaseException:
        stacks.discard(change_set)
        raise
    if not agrees:
        stacks.discard(change_set)
        raise Declined(f"The stack '{name}' was not changed.")
    with going_on(_GOES_ON.format(name=name)):
        return stacks.execute(change_set, tell)


@contextmanager
def going_on(sentence: str) -> Iterator[None]:
    """Says of a Ctrl-C within the block what comes of it."""
    try:
        yield
    except KeyboardInterrupt as end:
        raise GoesOn(sentence) from end


def _invite(email: str, stack: Stack, aws: Clients, tell: Tell) -> None:
    """Makes a user of the own pool who sees everyone's calls, and has Cognito write to him.

    Sources:
        https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_AdminCreateUser.html
        https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_AdminAddUserToGroup.html
    """
    cognito, pool = aws("cognito-idp"), stack.outputs["UserPoolId"]
    with translated("cognito-idp"):
        try:
            cognito.admin_create_user(
                UserPoolId=pool,
                Username=email,
                # He gets his first password there, so that it is proven to be his once he can log in.
                UserAttributes=[{"Name": "email", "Value": email}, {"Name": "email_verified", "Value": "true"}],
                DesiredDeliveryMediums=["EMAIL"],
            )
        except ClientError as fault:
            if fault.response["Error"]["Code"] != "UsernameExistsException":
                raise
            tell(Line(f"The user '{email}' is there already."))
        else:
            tell(Line(f"The user '{email}' was made; Cognito sends him a first password."))
        cognito.admin_add_user_to_group(UserPoolId=pool, Username=email, GroupName=GROUP)
