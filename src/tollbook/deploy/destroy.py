"""Takes back what a deployment made: its two stacks, and what would outlive them. Interrupted at any point, it goes on
where it was when it is run again.

Nothing is printed: what happens goes to `tell`, and what is about to happen to `confirm`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec

from tollbook.deploy.apply import going_on
from tollbook.deploy.cloudformation.events import Line, Tell
from tollbook.deploy.cloudformation.stacks import TAG, LetGo, Stacks
from tollbook.deploy.found import bootstrap_of
from tollbook.deploy.remains import STACK, Account, Thing, is_data, is_there, remove, stays, thing_of_arn, thing_of_type
from tollbook.deploy.trouble import Declined, DeployError


class Removal(msgspec.Struct, frozen=True):
    """What a deployment left in an account, or still runs there.

    Attributes:
        going: what will be removed, in that order.
        staying: what will not.
    """

    going: tuple[Thing, ...]
    staying: tuple[Thing, ...]


def what_there_is(stack: str, *, stacks: Stacks, account: Account, keeps_data: bool = False) -> Removal:
    """What a deployment made and what there still is of it, whoever deleted what else.

    What outlives a stack is found in the stack, by its tag, and among what CloudFormation remembers for 90 days to
    have let go: a bucket that another one replaced, a table whose stack was deleted in the console.

    Source: https://docs.aws.amazon.com/resourcegroupstagging/latest/APIReference/API_GetResources.html

    Raises:
        DeployError: AWS refused or failed.
    """
    bootstrap = bootstrap_of(stack)
    running = [stack] if stacks.status(stack, stack) not in ("", "DELETE_COMPLETE") else []
    if stacks.is_there(bootstrap, stack):
        running.append(bootstrap)
    let_go = stacks.left_behind((stack, bootstrap), stack)
    brought = {thing for each in let_go.parameters for thing in _brought(each)}
    remains = dict.fromkeys(_remains(stack, running, let_go, stacks, account))
    found = [thing for thing in remains if is_there(thing, account)]
    kept = [thing for thing in found if stays(thing) or thing in brought or (keeps_data and is_data(thing))]
    going = [thing for thing in found if thing not in kept]
    return Removal((*(Thing(STACK, name) for name in running), *going), tuple(kept))


def destroy(
    stack: str,
    *,
    stacks: Stacks,
    account: Account,
    keeps_data: bool,
    tell: Tell,
    confirm: Callable[[Removal], bool],
) -> tuple[Thing, ...]:
    """Removes it all, the stacks first, so that nothing writes any more; gives what stays.

    Args:
        keeps_data: whether the bucket, the table, the user pool with its users and the logs stay.
        confirm: asked once, if there is anything to remove.

    Raises:
        Declined: `confirm` said no; nothing was done.
        StackTrouble: a stack could not be deleted.
        GoesOn: Ctrl-C; the same command goes on from there.
        DeployError: AWS refused or failed, or something is still there at the end.
    """
    removal = what_there_is(stack, stacks=stacks, account=account, keeps_data=keeps_data)
    if not removal.going:
        tell(Line(f"There is nothing of '{stack}' to remove."))
        return removal.staying
    if not confirm(removal):
        raise Declined("Nothing was removed.")
    with going_on("What CloudFormation has begun, it ends: run the same command again to remove the rest."):
        for name in (thing.name for thing in removal.going if thing.kind == STACK):
            stacks.delete(name, tell, stack)
        # A change of the stack that was under way until now may have let go more. What was said to stay does, also if
        # CloudFormation does not yet remember the stack that named it.
        now = what_there_is(stack, stacks=stacks, account=account, keeps_data=keeps_data)
        for thing in now.going:
            if thing not in removal.staying:
                tell(Line(f"Removes the {thing}."))
                remove(thing, account)
    left = what_there_is(stack, stacks=stacks, account=account, keeps_data=keeps_data)
    if still := [str(thing) for thing in left.going if thing not in removal.staying]:
        raise DeployError(f"Something of '{stack}' is still there: run the same command again.", tuple(still))
    return (*left.staying, *left.going)


def _brought(parameters: Mapping[str, str]) -> Iterator[Thing]:
    """What a stack was given to use, even if an earlier one of its name made it: others may use it too."""
    # An issuer of Cognito's ends with its pool:
    # https://docs.aws.amazon.com/cognito/latest/developerguide/amazon-cognito-user-pools-using-tokens-verifying-a-jwt.html
    issuer = parameters.get("OauthIssuer", "").rstrip("/")
    for pool in (parameters.get("CognitoUserPoolId", ""), issuer.rpartition("/")[2]):
        if pool:
            yield Thing("user pool", pool)


def _remains(stack: str, running: Sequence[str], let_go: LetGo, stacks: Stacks, account: Account) -> Iterator[Thing]:
    # The role of API Gateway is the one that a stack lets go.
    here = [each for name in running for each in stacks.resources(name) if each.kind != "AWS::IAM::Role"]
    for resource in (*here, *let_go.resources):
        if thing := thing_of_type(resource.kind, resource.physical_id):
            yield thing
    for arn in _tagged(stack, account):
        if thing := thing_of_arn(arn):
            yield thing


def _tagged(stack: str, account: Account) -> Iterator[str]:
    token = ""
    while True:
        answer = account.ask(
            "resourcegroupstaggingapi",
            "get_resources",
            TagFilters=[{"Key": TAG, "Values": [stack]}],
            PaginationToken=token,
        )
        yield from (each["ResourceARN"] for each in answer["ResourceTagMappingList"])
        token = answer.get("PaginationToken", "")
        if not token:
            return
