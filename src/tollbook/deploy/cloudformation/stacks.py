"""Stacks of CloudFormation: found, changed, settled and deleted.

Nothing is printed: what happens goes to `tell`.

Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/view-cfn-console-stacks-status-codes.html
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from tollbook.deploy.cloudformation import change_sets
from tollbook.deploy.cloudformation.change_sets import REVIEW, ChangeSet
from tollbook.deploy.cloudformation.events import Line, Tell, failures_in
from tollbook.deploy.cloudformation.formation import GONE, Formation, name_in
from tollbook.deploy.found import Stack
from tollbook.deploy.patience import Patience
from tollbook.deploy.trouble import DeployError, StackTrouble, tidy

TAG: Final = "tollbook:stack"
"""The key of the tag of every stack that is made here, and of its resources; its value is the name of the server's."""

_NEVER_WAS: Final = frozenset({"CREATE_FAILED", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "DELETE_FAILED"})
_NOTHING: Final = _NEVER_WAS | {GONE, REVIEW, "DELETE_IN_PROGRESS", "ROLLBACK_IN_PROGRESS"}
_GOOD: Final = frozenset({"CREATE_COMPLETE", "UPDATE_COMPLETE"})
_MOST_ROUNDS: Final = 6

_AGAIN: Final = "mend what is named here, then run the same command again."
_SENTENCES: Final = {
    "ROLLBACK_COMPLETE": f"The stack '{{name}}' could not be made, and CloudFormation took everything back: {_AGAIN}",
    "ROLLBACK_FAILED": f"The stack '{{name}}' could not be made, nor taken back whole: {_AGAIN}",
    "UPDATE_ROLLBACK_COMPLETE": f"The stack '{{name}}' could not be changed, and is again as it was: {_AGAIN}",
    "UPDATE_ROLLBACK_FAILED": f"The stack '{{name}}' could not be changed, nor go back whole: {_AGAIN}",
}
_AT_WORK: Final = "CloudFormation is still at work on the stack '{name}' ({status}): it may end first."
_ODD: Final = f"CloudFormation left the stack '{{name}}' in {{status}}: {_AGAIN}"


class Resource(msgspec.Struct, frozen=True):
    """A resource of a stack.

    Attributes:
        name: its logical id.
        kind: its type, such as `AWS::DynamoDB::Table`.
        physical_id: AWS's name for it.
    """

    name: str
    kind: str
    physical_id: str


class Stacks:
    """The stacks of tollbook in an account and a region.

    Every method raises DeployError if AWS refuses or fails, and if a stack of that name is somebody else's.
    """

    def __init__(self, client: Any, patience: Patience) -> None:
        """
        Args:
            client: boto3's, of CloudFormation.
            patience: how long CloudFormation may say nothing.
        """
        self._formation = Formation(client, patience)

    def find(self, name: str) -> Stack | None:
        """The stack as it is; None where there is none that lasts: one that never came to be is made anew.

        Args:
            name: or its id, by which a stack can be found that was deleted.
        """
        found = self._ours(name)
        if found is None or found["StackStatus"] in _NOTHING:
            return None
        return Stack(
            name=found["StackName"],
            status=found["StackStatus"],
            parameters={each["ParameterKey"]: each.get("ParameterValue", "") for each in found.get("Parameters", ())},
            outputs={each["OutputKey"]: each.get("OutputValue", "") for each in found.get("Outputs", ())},
            template=self._template(found["StackId"]),
        )

    def status(self, name: str) -> str:
        """CloudFormation's word for a stack, whatever became of it; empty where there is none.

        Args:
            name: or its id, by which those can be found that were deleted.
        """
        found = self._ours(name)
        return found["StackStatus"] if found else ""

    def resources(self, name: str) -> tuple[Resource, ...]:
        """What belongs to a stack; nothing where there is none."""
        if self._ours(name) is None:
            return ()
        pages = self._formation.pages("ListStackResources", "StackResourceSummaries", StackName=name)
        return tuple(
            Resource(each["LogicalResourceId"], each["ResourceType"], each.get("PhysicalResourceId", ""))
            for each in pages
        )

    def left_behind(self, names: Sequence[str]) -> tuple[Resource, ...]:
        """What the stacks of these names let go without deleting it, in the 90 days that CloudFormation remembers: of
        those that are there, and of those that were deleted.

        Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_ListStacks.html
        """
        deleted = self._formation.pages("ListStacks", "StackSummaries", StackStatusFilter=[GONE])
        ids = [each["StackId"] for each in deleted if each["StackName"] in names]
        ours = [each for each in ids if _is_ours(self._formation.describe(each) or {})]
        ours += [name for name in names if self.status(name) not in ("", GONE)]
        return tuple(
            Resource(event.resource, event.kind, event.physical_id)
            for each in ours
            for event in self._formation.events(each)
            if event.status == "DELETE_SKIPPED"
        )

    def prepare(
        self, name: str, template: str, parameters: Mapping[str, str], tags: Mapping[str, str], tell: Tell
    ) -> ChangeSet | None:
        """What would come of `template` with `parameters`; None if nothing would. See `change_sets.prepare`."""
        tell(Line(f"CloudFormation works out what changes in the stack '{name}'."))
        return change_sets.prepare(self._formation, name, template, parameters, tags)

    def discard(self, change_set: ChangeSet) -> None:
        """Takes back what `prepare` made: nothing was done, and nothing is left of it."""
        change_sets.discard(self._formation, change_set)

    def execute(self, change_set: ChangeSet, tell: Tell) -> Stack:
        """Does it, and tells each event until the end. It may be asked for twice.

        Raises:
            StackTrouble: it failed, and CloudFormation went back to what was before.
        """
        after = self._formation.newest(change_set.stack_id)
        try:
            self._formation.ask("ExecuteChangeSet", ChangeSetName=change_set.id, DisableRollback=False)
        except DeployError as fault:
            if fault.code != "InvalidChangeSetStatus" or not change_sets.is_executing(self._formation, change_set):
                raise
        return self._outcome(change_set.stack_id, tell, after)

    def settle(self, name: str, tell: Tell) -> Stack | None:
        """The stack once nobody works on it: waits for what is under way, deletes what never came to be, and goes back
        where CloudFormation could not; None if nothing is left.

        Raises:
            StackTrouble: what is left cannot be changed.
        """
        for _ in range(_MOST_ROUNDS):
            found = self._ours(name)
            status, stack_id = (found["StackStatus"], found["StackId"]) if found else (GONE, "")
            if status == GONE:
                return None
            if status == REVIEW:
                tell(Line(f"The stack '{name}' is but a change set that nobody executed: it is deleted first."))
                self.delete(stack_id, tell)
            elif status.endswith("_IN_PROGRESS"):
                tell(Line(_AT_WORK.format(name=name, status=status)))
                self._formation.follow(stack_id, tell)
            elif status in _NEVER_WAS:
                tell(Line(f"The stack '{name}' never came to be, or went in part ({status}): it is deleted first."))
                self.delete(stack_id, tell)
            elif status == "UPDATE_ROLLBACK_FAILED":
                tell(Line(f"The stack '{name}' is stuck on its way back: that is tried again first."))
                self._go_back("ContinueUpdateRollback", stack_id, tell)
            elif status == "UPDATE_FAILED":
                tell(Line(f"A change of the stack '{name}' failed half way: it goes back first."))
                self._go_back("RollbackStack", stack_id, tell)
            elif status == "IMPORT_ROLLBACK_FAILED":
                break
            else:
                return self.find(name)
        raise StackTrouble(
            f"The stack '{name}' cannot be changed as it is ({status}): see its events in CloudFormation's console, "
            "and mend it there.",
            stack=name,
            status=status,
        )

    def delete(self, name: str, tell: Tell) -> None:
        """Deletes a stack and tells each event until it is gone; nothing is done where there is none.

        Args:
            name: or its id.

        Raises:
            StackTrouble: it is protected, or a resource of it cannot be deleted.
        """
        found = self._ours(name)
        if found is None or found["StackStatus"] == GONE:
            return
        name, stack_id, status = found["StackName"], found["StackId"], found["StackStatus"]
        if status.endswith("_IN_PROGRESS") and status != REVIEW:
            tell(Line(_AT_WORK.format(name=name, status=status)))
            if self._formation.follow(stack_id, tell)[0] == GONE:
                return
        after = self._formation.newest(stack_id)
        try:
            self._formation.ask("DeleteStack", StackName=stack_id)
        except DeployError as fault:
            if "TerminationProtection" in fault.said:
                raise StackTrouble(
                    f"The stack '{name}' is protected: switch off its termination protection in CloudFormation, then "
                    "run the same command again.",
                    stack=name,
                    status=status,
                ) from fault
            raise
        status, events = self._formation.follow(stack_id, tell, after)
        if status != GONE:
            raise StackTrouble(
                f"The stack '{name}' could not be deleted ({status}): mend what is named here, then run the same "
                "command again, which goes on from here.",
                failures_in(events),
                stack=name,
                status=status,
            )

    def _outcome(self, stack_id: str, tell: Tell, after: str) -> Stack:
        status, events = self._formation.follow(stack_id, tell, after)
        name = name_in(stack_id)
        if status not in _GOOD:
            raise StackTrouble(
                _SENTENCES.get(status, _ODD).format(name=name, status=status),
                failures_in(events) or self._reason(stack_id),
                stack=name,
                status=status,
            )
        found = self.find(stack_id)
        if found is None:
            raise StackTrouble(
                f"Somebody deleted the stack '{name}' just now: run the same command again.", stack=name, status=GONE
            )
        return found

    def _go_back(self, operation: str, stack_id: str, tell: Tell) -> None:
        after = self._formation.newest(stack_id)
        self._formation.ask(operation, StackName=stack_id)
        status, events = self._formation.follow(stack_id, tell, after)
        if status != "UPDATE_ROLLBACK_COMPLETE":
            name = name_in(stack_id)
            raise StackTrouble(
                f"The stack '{name}' cannot go back by itself ({status}): mend what is named here, or continue its "
                "rollback in CloudFormation's console without that, then run the same command again.",
                failures_in(events),
                stack=name,
                status=status,
            )

    def _reason(self, stack_id: str) -> Sequence[str]:
        found = self._formation.describe(stack_id) or {}
        return tuple(f"{tidy(reason)}." for reason in [found.get("StackStatusReason", "")] if reason)

    def _ours(self, name: str) -> dict[str, Any] | None:
        """The stack as CloudFormation describes it, if it is one of tollbook's; None where there is none."""
        found = self._formation.describe(name)
        if found is not None and not _is_ours(found):
            raise StackTrouble(
                f"The stack '{found['StackName']}' is none of tollbook's: name another one with --stack.",
                stack=found["StackName"],
                status=found["StackStatus"],
            )
        return found

    def _template(self, stack_id: str) -> str:
        body = self._formation.ask("GetTemplate", StackName=stack_id, TemplateStage="Original").get("TemplateBody", "")
        return body if isinstance(body, str) else json.dumps(body)  # boto3 reads JSON


def _is_ours(found: Mapping[str, Any]) -> bool:
    """Whether a stack was made here, or of the template by hand; one in review has nothing that could tell."""
    is_tagged = any(each["Key"] == TAG for each in found.get("Tags", ()))
    return is_tagged or "tollbook" in found.get("Description", "") or found.get("StackStatus") == REVIEW
