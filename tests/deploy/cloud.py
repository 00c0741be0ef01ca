"""A deployment as `tollbook deploy` and `tollbook destroy` make it, without their words and flags."""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

from tollbook.deploy.apply import apply
from tollbook.deploy.aws import Clients
from tollbook.deploy.cloudformation.change_sets import ChangeSet
from tollbook.deploy.cloudformation.events import Event, Line
from tollbook.deploy.cloudformation.stacks import Stacks
from tollbook.deploy.destroy import Removal, destroy, what_there_is
from tollbook.deploy.found import Stack
from tollbook.deploy.look import look
from tollbook.deploy.patience import Patience
from tollbook.deploy.plan.planning import Plan, Wanted, plan
from tollbook.deploy.remains import Account, Thing

_POLICY: Final = json.dumps(
    [{"Sid": "ReadLogGroup", "Effect": "Allow", "Action": ["logs:FilterLogEvents"], "Resource": "arn:aws:logs:*:*:x"}]
)


def image(digit: str) -> str:
    """The URI of an image; another digit is another image."""
    return f"000000000000.dkr.ecr.eu-west-1.amazonaws.com/images@sha256:{digit * 64}"


class Cloud:
    """An account, and whoever deploys there.

    Attributes:
        told: everything that was told.
        asked: the change sets and removals that were confirmed.
    """

    def __init__(self, aws: Clients) -> None:
        self.aws = aws
        # Nothing takes time there; but the server has to come to its turn.
        self.patience = Patience(time.time, lambda seconds: time.sleep(seconds / 1000), most_s=60)
        self.stacks = Stacks(aws("cloudformation"), self.patience)
        self.account = Account(aws, self.patience)
        self.told: list[Event | Line] = []
        self.asked: list[ChangeSet | Removal] = []
        self.answer = True

    @property
    def lines(self) -> list[str]:
        return [each.text for each in self.told if isinstance(each, Line)]

    def plan(self, stack: str, given: Mapping[str, str], *, first_user: str = "", builds: bool = False) -> Plan:
        wanted = Wanted(stack=stack, given=given, builds=builds, first_user=first_user)
        return plan(wanted, look(self.aws, self.stacks, stack), lambda parameters: _POLICY)

    def deploy(
        self,
        stack: str,
        given: Mapping[str, str] | None = None,
        *,
        built: Callable[[Stack], str] | None = None,
        first_user: str = "",
        **more: str,
    ) -> Stack:
        """
        Args:
            given: by the names of the parameters, with `more`.
            built: makes the image; by default one is named.
        """
        named = {} if built else {"ImageUri": image("a")}
        given = {**named, **(given or {}), **more}

        def replan(uri: str) -> Plan:
            now = {**given, "ImageUri": uri} if uri else given
            return self.plan(stack, now, first_user=first_user, builds=built is not None)

        return apply(
            replan(""),
            stacks=self.stacks,
            aws=self.aws,
            replan=replan,
            image=built or _not_asked,
            tell=self.told.append,
            confirm=self._confirm,
        )

    def destroy(self, stack: str, *, keeps_data: bool = False) -> tuple[Thing, ...]:
        return destroy(
            stack,
            stacks=self.stacks,
            account=self.account,
            keeps_data=keeps_data,
            tell=self.told.append,
            confirm=self._confirm,
        )

    def remains(self, stack: str) -> Removal:
        return what_there_is(stack, stacks=self.stacks, account=self.account)

    def change_sets(self, stack: str) -> list[str]:
        """Those that were not executed."""
        found = self.aws("cloudformation").list_change_sets(StackName=stack)["Summaries"]
        return [each["ChangeSetName"] for each in found if each["ExecutionStatus"] == "AVAILABLE"]

    def everything(self) -> set[str]:
        """All that there is in the account, of every service that a deployment uses."""
        return {
            f"{service} {name}"
            for service, operation, path in _LISTS
            for name in self._listed(service, operation, path)
        }

    def _listed(self, service: str, operation: str, path: str) -> Iterator[str]:
        key, _, field = path.partition(".")
        answer: Mapping[str, Any] = getattr(self.aws(service), operation)(**_WORDS.get(operation, {}))
        found: Sequence[Any] = answer[key]
        yield from (str(each[field] if field else each) for each in found)

    def _confirm(self, what: ChangeSet | Removal) -> bool:
        self.asked.append(what)
        return self.answer


_WORDS: Final[Mapping[str, Mapping[str, Any]]] = {
    "list_stacks": {
        "StackStatusFilter": ["CREATE_COMPLETE", "UPDATE_COMPLETE", "REVIEW_IN_PROGRESS", "ROLLBACK_COMPLETE"]
    },
    "list_user_pools": {"MaxResults": 60},
}
_LISTS: Final = (
    ("cloudformation", "list_stacks", "StackSummaries.StackName"),
    ("apigateway", "get_rest_apis", "items.name"),
    ("cloudwatch", "describe_alarms", "MetricAlarms.AlarmName"),
    ("cognito-idp", "list_user_pools", "UserPools.Id"),
    ("dynamodb", "list_tables", "TableNames"),
    ("ecr", "describe_repositories", "repositories.repositoryName"),
    ("iam", "list_roles", "Roles.RoleName"),
    ("lambda", "list_functions", "Functions.FunctionName"),
    ("logs", "describe_log_groups", "logGroups.logGroupName"),
    ("s3", "list_buckets", "Buckets.Name"),
    ("secretsmanager", "list_secrets", "SecretList.Name"),
    ("sns", "list_topics", "Topics.TopicArn"),
)


def _not_asked(stack: Stack) -> str:
    raise AssertionError("an image was named, and is built")


@contextmanager
def watched(aws: Clients, services: Sequence[str], at: Callable[[str, str], None]) -> Iterator[None]:
    """Calls `at` before and after each request to `services`, with `before` or `after` and the request's name."""

    def before(model: Any, **_: Any) -> None:
        at("before", model.name)

    def after(model: Any, **_: Any) -> None:
        at("after", model.name)

    for service in services:
        aws(service).meta.events.register("before-call", before)
        aws(service).meta.events.register("after-call", after)
    try:
        yield
    finally:
        for service in services:
            aws(service).meta.events.unregister("before-call", before)
            aws(service).meta.events.unregister("after-call", after)
