"""Stacks of CloudFormation: found, changed, settled and deleted.

Nothing is printed: what happens goes to `tell`.

Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/view-cfn-console-stacks-status-codes.html
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from tollbook.deploy.cloudformation import change_sets
from tollbook.deploy.cloudformation.change_sets import REVIEW, ChangeSet
from tollbook.deploy.cloudformation.events import Line, Tell, failures_in
from tollbook.deploy.cloudformation.formation import GONE, Formation, name_in
from tollbook.deploy.found import Stack, without_bootstrap
from tollbook.deploy.patience import Patience
from tollbook.deploy.template import bootstrap, template
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


class LetGo(msgspec.Struct, frozen=True):
    """What stacks let go without deleting it.

    Attributes:
        parameters: of each of these stacks, as they are or were in the end.
    """

    resources: tuple[Resource, ...]
    parameters: tuple[Mapping[str, str], ...]


class Stacks:
    """The stacks of tollbook in an account and a region.

    Every method raises DeployError if AWS refuses or fails, and if a stack of that name is somebody else's. Where an
    `owner` is asked for, that is the name of the server's stack: `name` is that stack itself, or else the one with its
    images. Without one, it may be either.
    """

    def __init__(self, client: Any, patience: Patience) -> None:
        """
        Args:
            client: boto3's, of CloudFormation.
            patience: how long CloudFormation may say nothing.
        """
        self._formation = Formation(client, patience)

    def find(self, name: str, owner: str | None = None) -> Stack | None:
        """The stack as it is; None where there is none that lasts: one that never came to be is made anew.

        Args:
            name: or its id, by which a stack can be found that was deleted.
        """
        found = self._ours(name, owner)
        if found is None or found["StackStatus"] in _NOTHING:
            return None
        return Stack(
            name=found["StackName"],
            status=found["StackStatus"],
            parameters=_parameters(found),
            outputs={each["OutputKey"]: each.get("OutputValue", "") for each in found.get("Outputs", ())},
            template=self._template(found["StackId"]),
        )

    def status(self, name: str, owner: str | None = None) -> str:
        """CloudFormation's word for a stack, whatever became of it; empty where there is none.

        Args:
            name: or its id, by which those can be found that were deleted.
        """
        found = self._ours(name, owner)
        return found["StackStatus"] if found else ""

    def is_there(self, name: str, owner: str) -> bool:
        """Whether there is such a stack, in whatever state; one of somebody else's is none."""
        found = self._formation.describe(name)
        return found is not None and found["StackStatus"] != GONE and self._is_ours(found, owner)

    def resources(self, name: str) -> tuple[Resource, ...]:
        """What belongs to a stack; nothing where there is none."""
        if self._ours(name) is None:
            return ()
        pages = self._formation.pages("ListStackResources", "StackResourceSummaries", StackName=name)
        return tuple(
            Resource(each["LogicalResourceId"], each["ResourceType"], each.get("PhysicalResourceId", ""))
            for each in pages
        )

    def left_behind(self, names: Sequence[str], owner: str) -> LetGo:
        """What the stacks of these names let go without deleting it, in the 90 days that CloudFormation remembers: of
        those that are there, and of those that were deleted. Those of somebody else's are passed over.

        Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_ListStacks.html
        """
        deleted = self._formation.pages("ListStacks", "StackSummaries", StackStatusFilter=[GONE])
        ids = [each["StackId"] for each in deleted if each["StackName"] in names]
        found = {each: self._formation.describe(each) for each in (*ids, *names)}
        ours = {each: stack for each, stack in found.items() if stack and self._is_ours(stack, owner)}
        return LetGo(
            tuple(
                Resource(event.resource, event.kind, event.physical_id)
                for each in ours
                for event in self._formation.events(each)
                if event.status == "DELETE_SKIPPED"
            ),
            tuple(_parameters(each) for each in ours.values()),
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

    def settle(self, name: str, tell: Tell, owner: str | None = None) -> Stack | None:
        """The stack once nobody works on it: waits for what is under way, deletes what never came to be, and goes back
        where CloudFormation could not; None if nothing is left.

        Raises:
            StackTrouble: what is left cannot be changed.
        """
        for _ in range(_MOST_ROUNDS):
            found = self._ours(name, owner)
            status, stack_id = (found["StackStatus"], found["StackId"]) if found else (GONE, "")
            if status == GONE:
                return None
            if status == REVIEW:
                tell(Line(f"The stack '{name}' is but a change set that nobody executed: it is deleted first."))
                self.delete(stack_id, tell, owner)
            elif status.endswith("_IN_PROGRESS"):
                tell(Line(_AT_WORK.format(name=name, status=status)))
                self._formation.follow(stack_id, tell)
            elif status in _NEVER_WAS:
                tell(Line(f"The stack '{name}' never came to be, or went in part ({status}): it is deleted first."))
                self.delete(stack_id, tell, owner)
            elif status == "UPDATE_ROLLBACK_FAILED":
                tell(Line(f"The stack '{name}' is stuck on its way back: that is tried again first."))
                self._go_back("ContinueUpdateRollback", stack_id, tell)
            elif status == "UPDATE_FAILED":
                tell(Line(f"A change of the stack '{name}' failed half way: it goes back first."))
                self._go_back("RollbackStack", stack_id, tell)
            elif status == "IMPORT_ROLLBACK_FAILED":
                break
            else:
                return self.find(name, owner)
        raise StackTrouble(
            f"The stack '{name}' cannot be changed as it is ({status}): see its events in CloudFormation's console, "
            "and mend it there.",
            stack=name,
            status=status,
        )

    def delete(self, name: str, tell: Tell, owner: str | None = None) -> None:
        """Deletes a stack and tells each event until it is gone; nothing is done where there is none.

        Args:
            name: or its id.

        Raises:
            StackTrouble: it is protected, or a resource of it cannot be deleted.
        """
        found = self._ours(name, owner)
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

    def _ours(self, name: str, owner: str | None = None) -> dict[str, Any] | None:
        """The stack as CloudFormation describes it, if it is one of tollbook's; None where there is none."""
        found = self._formation.describe(name)
        if found is not None and not self._is_ours(found, owner):
            name, status = found["StackName"], found["StackStatus"]
            if status == REVIEW:
                said = (
                    f"The stack '{name}' is but a change set of somebody else's that awaits review: execute or delete "
                    "it in CloudFormation, or name another stack with --stack."
                )
            elif owner is not None and self._is_ours(found, None):
                said = f"The stack '{name}' is not the one of tollbook's that is needed: name another one with --stack."
            else:
                said = f"The stack '{name}' is none of tollbook's: name another one with --stack."
            raise StackTrouble(said, stack=name, status=status)
        return found

    def _is_ours(self, found: Mapping[str, Any], owner: str | None) -> bool:
        """Whether a stack was made here, or of the template by hand."""
        if found["StackStatus"] == REVIEW:  # its tags come with the execution
            sets = self._formation.pages("ListChangeSets", "Summaries", StackName=found["StackName"])
            names = [each["ChangeSetName"] for each in sets]
            return bool(names) and all(name.startswith(change_sets.PREFIX) for name in names)
        name, tags = found["StackName"], change_sets.tags_of(found)
        owners = (owner,) if owner is not None else (name, without_bootstrap(name))
        return any(
            tags.get(TAG) == each
            or found.get("Description") == _description(template() if name == each else bootstrap())
            for each in owners
        )

    def _template(self, stack_id: str) -> str:
        body = self._formation.ask("GetTemplate", StackName=stack_id, TemplateStage="Original").get("TemplateBody", "")
        return body if isinstance(body, str) else json.dumps(body)  # boto3 reads JSON


def _parameters(found: Mapping[str, Any]) -> dict[str, str]:
    return {each["ParameterKey"]: each.get("ParameterValue", "") for each in found.get("Parameters", ())}


def _description(text: str) -> str:
    """What a template of ours says of itself, in a line."""
    found = re.search(r"^Description: (.+)$", text, re.MULTILINE)
    if found is None:
        raise ValueError("the template has no description")
    return found[1]
