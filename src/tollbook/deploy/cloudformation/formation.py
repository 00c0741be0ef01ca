"""CloudFormation: one request after the other, and what it tells of a stack while it works on it.

Every request is made again while AWS asks for time; every wait has an end.

Sources:
    https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DescribeStacks.html
    https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DescribeStackEvents.html
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from botocore import xform_name

from tollbook.deploy.cloudformation.events import Event, Tell, event_of
from tollbook.deploy.patience import STEP_S, Patience
from tollbook.deploy.trouble import DeployError, Unreachable, translated

GONE: Final = "DELETE_COMPLETE"
"""The status of a stack that was deleted."""

_RETRIES: Final = (2.0, 5.0, 10.0)
_BEGINS: Final = frozenset({"CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "DELETE_IN_PROGRESS", "IMPORT_IN_PROGRESS"})


class Formation:
    """CloudFormation in an account and a region. Every method raises DeployError if AWS refuses or fails."""

    def __init__(self, client: Any, patience: Patience) -> None:
        """
        Args:
            client: boto3's, of CloudFormation.
            patience: how long it may say nothing.
        """
        self._client, self.patience = client, patience

    def ask(self, operation: str, **arguments: Any) -> dict[str, Any]:
        """One request, made again while AWS asks for time; boto3 has tried some times by itself before."""
        request = getattr(self._client, xform_name(operation))
        for pause in _RETRIES:
            try:
                return self._once(request, arguments)
            except Unreachable:
                self.patience.pause(pause)
        return self._once(request, arguments)

    def pages(self, operation: str, key: str, **arguments: Any) -> Iterator[dict[str, Any]]:
        """What lists give, page after page."""
        token: dict[str, str] = {}
        while True:
            answer = self.ask(operation, **arguments, **token)
            yield from answer.get(key, ())
            if not answer.get("NextToken"):
                return
            token = {"NextToken": answer["NextToken"]}

    def describe(self, name: str) -> dict[str, Any] | None:
        """What DescribeStacks says of a stack; None where there is none.

        Args:
            name: or its id, by which those can be found that were deleted.
        """
        try:
            found = self.ask("DescribeStacks", StackName=name)["Stacks"]
        except DeployError as fault:
            if fault.code == "ValidationError" and "does not exist" in fault.said:
                return None
            raise
        return found[0] if found else None

    def status(self, name: str) -> str:
        """CloudFormation's word for a stack; empty where there is none. See `describe`."""
        found = self.describe(name)
        return found["StackStatus"] if found else ""

    def events(self, stack: str) -> Iterator[Event]:
        """All events of a stack, the newest first."""
        return map(event_of, self.pages("DescribeStackEvents", "StackEvents", StackName=stack))

    def newest(self, stack_id: str) -> str:
        """The id of the last event there is."""
        return next((event.id for event in self.events(stack_id)), "")

    def follow(self, stack_id: str, tell: Tell, after: str = "") -> tuple[str, list[Event]]:
        """Tells what happens until the stack is at rest; gives its status, and all that was told.

        Args:
            after: the last event that is not part of it; empty for where the operation that is under way began.
        """
        told: list[Event] = []
        ends = self.patience.clock() + self.patience.most_s
        while True:
            # The status is asked for first: at the end, all events of the way to it are there.
            status = self.status(stack_id)
            if not status:
                return GONE, told
            news = list(reversed(list(self._news(stack_id, after))))
            for event in news:
                tell(event)
            if news:
                told += news
                after, ends = news[-1].id, self.patience.clock() + self.patience.most_s
            last = next((event.status for event in reversed(told) if event.is_of_stack), "")
            # A status may be older than the request just made, the last event tells.
            if not status.endswith("_IN_PROGRESS") and last == status:
                return status, told
            if self.patience.clock() > ends:
                raise self.patience.lost(f"the stack '{name_in(stack_id)}'")
            self.patience.pause(STEP_S)

    def _news(self, stack_id: str, after: str) -> Iterator[Event]:
        """Events since `after`, or since an operation began; the newest first."""
        for event in self.events(stack_id):
            if event.id == after:
                return
            yield event
            if not after and event.is_of_stack and event.status in _BEGINS:
                return

    def _once(self, request: Callable[..., Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
        with translated("cloudformation"):
            return dict(request(**arguments))


def name_in(stack_id: str) -> str:
    """The name of a stack, of its id: arn:aws:cloudformation:REGION:ACCOUNT:stack/NAME/UUID."""
    return stack_id.split("/")[1] if "/" in stack_id else stack_id
