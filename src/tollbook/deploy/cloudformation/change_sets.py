"""Change sets: what CloudFormation would do to a stack, before it does it.

Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-updating-stacks-changesets.html
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from tollbook.deploy.cloudformation.formation import GONE, Formation
from tollbook.deploy.trouble import DeployError, StackTrouble, tidy

REVIEW: Final = "REVIEW_IN_PROGRESS"
"""The status of a stack that is nothing yet but a change set."""

PREFIX: Final = "tollbook-"
"""What the names of all change sets that are made here begin with."""

# https://github.com/ansible-collections/amazon.aws/pull/507: mostly the one, sometimes the other
_NO_CHANGES: Final = ("didn't contain changes", "No updates are to be performed")


class ResourceChange(msgspec.Struct, frozen=True):
    """What a change set does to a resource.

    Attributes:
        action: `Add`, `Modify`, `Remove`, or another of CloudFormation's words.
        name: its logical id.
        replaces: `True` if a new resource takes its place, `Conditional` if that is decided on the way, `False`.
    """

    action: str
    name: str
    kind: str
    replaces: str = "False"


class ChangeSet(msgspec.Struct, frozen=True, kw_only=True):
    """What CloudFormation would do.

    Attributes:
        stack: the stack's name.
        is_new: whether there is no such stack yet.
        changes: to resources. Empty where outputs alone change.
    """

    id: str
    stack: str
    stack_id: str
    is_new: bool
    changes: tuple[ResourceChange, ...] = ()


def prepare(
    formation: Formation, name: str, template: str, parameters: Mapping[str, str], tags: Mapping[str, str]
) -> ChangeSet | None:
    """What would come of `template` with `parameters`; None if nothing would.

    Args:
        parameters: all of them. What the stack has is never taken.
        tags: of the stack, which hands them on to its resources. Those that it has besides stay.

    Raises:
        StackTrouble: CloudFormation sees that it could not be done, and says why.
        DeployError: AWS refused or failed.
    """
    present = formation.describe(name)
    is_new = present is None or present["StackStatus"] in (GONE, REVIEW)
    # A change set takes away the tags that it does not name:
    # https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_CreateChangeSet.html
    tags = {**tags_of(present or {}), **tags}
    token = f"{PREFIX}{formation.patience.clock() * 1000:.0f}"
    try:
        answer = formation.ask(
            "CreateChangeSet",
            StackName=name,
            ChangeSetName=token,
            ClientToken=token,
            ChangeSetType="CREATE" if is_new else "UPDATE",
            TemplateBody=template,
            Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
            Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
            Capabilities=["CAPABILITY_NAMED_IAM"],
        )
    except DeployError as fault:
        if any(words in fault.said for words in _NO_CHANGES):
            return None
        raise
    return _review(formation, ChangeSet(id=answer["Id"], stack=name, stack_id=answer["StackId"], is_new=is_new))


def tags_of(found: Mapping[str, Any]) -> dict[str, str]:
    """The tags of a stack as DescribeStacks gives it, without AWS's own, which nobody may set."""
    return {each["Key"]: each["Value"] for each in found.get("Tags", ()) if not each["Key"].startswith("aws:")}


def discard(formation: Formation, change_set: ChangeSet) -> None:
    """Takes back what `prepare` made: nothing was done, and nothing is left of it.

    Raises:
        DeployError: AWS refused or failed.
    """
    if change_set.is_new:  # the stack is nothing but this change set
        formation.ask("DeleteStack", StackName=change_set.stack_id)
        formation.patience.until(
            lambda: formation.status(change_set.stack_id) in ("", GONE), f"the end of the stack '{change_set.stack}'"
        )
    else:
        formation.ask("DeleteChangeSet", ChangeSetName=change_set.id)


def is_executing(formation: Formation, change_set: ChangeSet) -> bool:
    """Whether it was executed already: by a request whose answer got lost."""
    answer = formation.ask("DescribeChangeSet", ChangeSetName=change_set.id)
    return str(answer["ExecutionStatus"]).startswith("EXECUTE_")


def _review(formation: Formation, change_set: ChangeSet) -> ChangeSet | None:
    """The change set with what is in it, once CloudFormation has made it."""
    answer: dict[str, Any] = {}

    def is_made() -> bool:
        answer.update(formation.ask("DescribeChangeSet", ChangeSetName=change_set.id))
        return answer["Status"] in ("CREATE_COMPLETE", "FAILED")

    formation.patience.until(is_made, f"what changes in the stack '{change_set.stack}'")
    reason = answer.get("StatusReason", "")
    if answer["Status"] == "FAILED":
        if any(words in reason for words in _NO_CHANGES):
            discard(formation, change_set)
            return None
        problems = _problems_of(formation, change_set) or ((f"{tidy(reason)}.",) if reason else ())
        discard(formation, change_set)
        raise StackTrouble(
            f"CloudFormation refuses this change of the stack '{change_set.stack}', and nothing was done: mend what is "
            "named here, then run the same command again.",
            problems,
            stack=change_set.stack,
        )
    # Without changes it may be executed all the same: then outputs change, or what no resource uses.
    # https://github.com/jenkinsci/pipeline-aws-plugin/issues/210
    pages = formation.pages("DescribeChangeSet", "Changes", ChangeSetName=change_set.id)
    found = [each["ResourceChange"] for each in pages if "ResourceChange" in each]
    return msgspec.structs.replace(
        change_set,
        changes=tuple(
            ResourceChange(
                each["Action"], each["LogicalResourceId"], each["ResourceType"], each.get("Replacement", "False")
            )
            for each in found
        ),
    )


def _problems_of(formation: Formation, change_set: ChangeSet) -> tuple[str, ...]:
    """What CloudFormation found before it began; since November 2025 it tells that here alone.

    Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DescribeEvents.html
    """
    failed = formation.pages(
        "DescribeEvents", "OperationEvents", ChangeSetName=change_set.id, Filters={"FailedEvents": True}
    )
    try:
        events = list(failed)
    except DeployError:  # who may not ask is told what else there is
        return ()
    return tuple(
        dict.fromkeys(
            f"{each.get('LogicalResourceId', change_set.stack)} ({each.get('ResourceType', '')}): {tidy(reason)}."
            for each in events
            if (reason := each.get("ValidationStatusReason") or each.get("HookStatusReason"))
        )
    )
