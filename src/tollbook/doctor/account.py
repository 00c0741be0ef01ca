"""An AWS account, looked at in order: who asks, what Bedrock writes down, who may read it, what a stack keeps."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, Protocol

import msgspec

from tollbook.core.errors import TollbookError, UsageError
from tollbook.core.settings import words
from tollbook.deploy.cloudformation.stacks import Stacks
from tollbook.deploy.found import Stack
from tollbook.deploy.patience import Patience
from tollbook.deploy.trouble import StackTrouble
from tollbook.doctor import credentials, invocation_logs, kept, permissions
from tollbook.doctor.credentials import Caller
from tollbook.doctor.finding import Finding, failed, failed_with, ok, skipped, unknown
from tollbook.doctor.switch_on import SwitchOn, switch_on
from tollbook.sources.aws.reach.policy import Statement, narrowed, policy_for
from tollbook.sources.named import CLOUDWATCH, USUAL, Named, named

STACK: Final = "stack"

Clients = Callable[[str, str], Any]
"""Gives boto3's client of a service, by boto3's name for it, in a region."""


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be looked at.

    Attributes:
        stack: its name; empty for none.
        source: what tollbook reads, or would, as the server's setting has it; empty to find out.
        regions: whose logging is looked at; empty for those of the stack, or the one at hand.
        retention_days: of a log group that is made where logging is switched on.
    """

    stack: str = ""
    source: str = ""
    regions: tuple[str, ...] = ()
    retention_days: int


class Person(Protocol):
    """Whoever can be asked, and told what is done."""

    def agrees(self, wanted: SwitchOn, off: Finding) -> bool:
        """Whether logging is to be switched on where it was found `off`. Raises UsageError where nobody can say."""

    def tell(self, text: str) -> None: ...


class Account:
    """What is found in an account.

    Args:
        home: the region at hand; empty if none is known.

    Attributes:
        url: of the stack's server, once that is known.
    """

    def __init__(self, question: Question, clients: Clients, home: str, person: Person, patience: Patience) -> None:
        self._question, self._clients, self._home = question, clients, home
        self._person, self._patience = person, patience
        self._stack: Stack | None = None
        self.url = ""

    def findings(self) -> Iterator[Finding]:
        """All of it, as it is found.

        Raises:
            UsageError: no region is known; or nobody is there to be asked.
        """
        caller, finding = credentials.caller(self._clients("sts", self._home or "us-east-1"))
        yield finding
        if caller is None:
            yield from after_credentials(self._question)
            return
        if not self._home:
            raise UsageError("No region is known: name one with --region, or set AWS_REGION.")
        if self._question.stack:
            yield self._found_stack()
            if self._stack is None:
                return
        for region in self._question.regions or words(self._parameter("TollbookRegions")) or (self._home,):
            yield from self._logs(caller, region)
        yield from self._stores()

    def _found_stack(self) -> Finding:
        name = self._question.stack
        try:
            stack = Stacks(self._clients("cloudformation", self._home), self._patience).find(name)
        except StackTrouble:
            remedy = "Name a stack that 'tollbook deploy' made, or the server's address."
            return failed(STACK, f"The stack '{name}' is none of tollbook's.", remedy)
        except TollbookError as fault:
            return failed_with(STACK, fault)
        if stack is None:
            said = f"There is no stack '{name}' in {self._home}."
            return failed(STACK, said, f"Name its region with --region, or make it: tollbook deploy --stack {name}.")
        self._stack, self.url = stack, stack.outputs.get("Url", "")
        said = f"The stack '{name}' is {stack.status}."
        if stack.status.endswith("_FAILED"):
            remedy = "Run 'tollbook deploy' again, which goes on from there."
            return failed(STACK, said, remedy, status=stack.status)
        return ok(STACK, said, status=stack.status)

    def _parameter(self, name: str) -> str:
        return self._stack.parameters.get(name, "") if self._stack else ""

    def _logs(self, caller: Caller, region: str) -> Iterator[Finding]:
        delivery, finding = invocation_logs.delivery_in(self._clients("bedrock", region), region)
        group = delivery.log_group if delivery else ""
        if delivery is None and finding.status == "failed":
            group, finding = self._switched_on(caller, region, finding)
        yield finding
        said = self._question.source or self._parameter("TollbookSource") or (USUAL if self._stack else "")
        sources = words(said) or ([f"cloudwatch:{group}"] if group else [delivery.bucket if delivery else USUAL])
        read = [named(each) for each in sources]
        if said and delivery and (other := invocation_logs.judged_sources(delivery, read, region)):
            yield other
        yield from self._groups(read, region, is_off=finding.status == "failed" and not said)
        yield self._permissions(caller, region, read)

    def _groups(self, read: Sequence[Named], region: str, *, is_off: bool) -> Iterator[Finding]:
        groups = [each for each in read if each.kind in CLOUDWATCH]
        if is_off or not groups:
            yield skipped(invocation_logs.GROUP, f"'{invocation_logs.LOGGING}' failed" if is_off else "none is read")
            return
        for each in groups:
            yield invocation_logs.group_in(self._clients("logs", region), each, region)

    def _switched_on(self, caller: Caller, region: str, off: Finding) -> tuple[str, Finding]:
        """Switches logging on, if that is wanted; gives the log group, empty where it stays off, and how it stands."""
        wanted = SwitchOn(
            region=region,
            account=caller.account,
            partition=caller.partition,
            retention_days=self._question.retention_days,
        )
        if not self._person.agrees(wanted, off):
            return "", off
        bedrock, logs, iam = (self._clients(service, region) for service in ("bedrock", "logs", "iam"))
        try:
            for step in switch_on(wanted, bedrock, logs, iam, self._patience.pause):
                self._person.tell(step)
        except TollbookError as fault:
            return "", failed_with(invocation_logs.LOGGING, fault)
        said = f"Calls in {region} are written to {wanted.log_group} from now on, without prompts and answers."
        return wanted.log_group, ok(invocation_logs.LOGGING, said, region=region, log_group=wanted.log_group)

    def _permissions(self, caller: Caller, region: str, read: Sequence[Named]) -> Finding:
        arn = self._stack.outputs.get("RoleArn", caller.arn) if self._stack else caller.arn
        sources = [each.name if each.kind == "s3" else f"{each.kind}:{each.name}" for each in read]
        wants = f"tollbook iam {sources[0]}"
        try:
            statements = [each for source in sources for each in _statements(source, region, caller.account)]
        except UsageError as fault:
            said = f"What reading {', '.join(sources)} takes cannot be told: {fault.message}"
            return unknown(permissions.CHECK, said, "Compare the policies with what 'tollbook iam' prints for it.")
        return permissions.simulated(self._clients("iam", region), arn, statements, region, wants)

    def _stores(self) -> Iterator[Finding]:
        outputs = self._stack.outputs if self._stack else {}
        if name := outputs.get("Table"):
            yield kept.table(self._clients("dynamodb", self._home), name)
        if name := outputs.get("Bucket"):
            yield kept.bucket(self._clients("s3", self._home), name)


def after_credentials(question: Question) -> Iterator[Finding]:
    """What there is no use in looking at while AWS does not know who asks."""
    of_stack = (STACK, kept.TABLE, kept.BUCKET) if question.stack else ()
    for check in (*of_stack, invocation_logs.LOGGING, invocation_logs.GROUP, permissions.CHECK):
        yield skipped(check, f"'{credentials.CHECK}' failed")


def _statements(source: str, region: str, account: str) -> Sequence[Statement]:
    region, account = narrowed(source, region, account)
    return policy_for(source, region=region, account=account).statement
