"""What CloudFormation tells while it works on a stack, and what of it matters when it has failed. Pure.

Sources:
    https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_StackEvent.html
    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/view-stack-events.html
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Final

import msgspec

from tollbook.deploy.trouble import tidy

_STACK: Final = "AWS::CloudFormation::Stack"
# What a resource says that another one's failure stopped: "Resource creation cancelled".
_CANCELLED: Final = "cancelled"


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened to a stack, or to a resource of it.

    Attributes:
        resource: its logical id; of the stack itself, the stack's name.
        kind: its type, such as `AWS::Lambda::Function`.
        status: CloudFormation's word, such as `CREATE_IN_PROGRESS`.
        reason: AWS's own, safe to show, without a full stop; often empty.
    """

    id: str
    at: datetime
    stack: str
    resource: str
    kind: str
    status: str
    reason: str = ""
    physical_id: str = ""

    @property
    def is_of_stack(self) -> bool:
        """Whether it is about the stack as a whole."""
        return self.kind == _STACK and self.resource == self.stack

    @property
    def is_failure(self) -> bool:
        return self.status.endswith("_FAILED")


class Line(msgspec.Struct, frozen=True):
    """Something of our own to tell meanwhile: a sentence."""

    text: str


Tell = Callable[[Event | Line], None]
"""Takes what happens, when it happens."""


def event_of(answer: Mapping[str, Any]) -> Event:
    """An event as DescribeStackEvents gives it."""
    return Event(
        id=answer["EventId"],
        at=answer["Timestamp"],
        stack=answer["StackName"],
        resource=answer.get("LogicalResourceId", ""),
        kind=answer.get("ResourceType", ""),
        status=answer.get("ResourceStatus", ""),
        reason=tidy(answer.get("ResourceStatusReason", "")),
        physical_id=answer.get("PhysicalResourceId", ""),
    )


def failures_in(events: Iterable[Event]) -> tuple[str, ...]:
    """What failed by itself, in order: `ServerFunction (AWS::Lambda::Function): …`; not what another's failure stopped,
    nor the stack's own sum of it where a resource tells more.
    """
    failed = [event for event in events if event.is_failure and event.reason]
    resources = [event for event in failed if not event.is_of_stack and _CANCELLED not in event.reason.lower()]
    return tuple(
        dict.fromkeys(
            f"{event.resource} ({event.kind}): {event.reason}." if not event.is_of_stack else f"{event.reason}."
            for event in resources or failed
        )
    )
