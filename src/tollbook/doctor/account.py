"""An AWS account, looked at in order: who asks, what Bedrock writes down, who may read it, what a stack keeps."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, Protocol

import msgspec

from tollbook.core.errors import TollbookError, UsageError
from tollbook.core.iam import Statement
from tollbook.core.settings import words
from tollbook.deploy.cloudformation.stacks import Stacks
from tollbook.deploy.found import Stack
from tollbook.deploy.patience import Patience
from tollbook.deploy.trouble import StackTrouble
from tollbook.doctor import credentials, invocation_logs, kept, permissions
from tollbook.doctor.credentials import Caller
from tollbook.doctor.finding import Finding, failed, failed_with, ok, skipped, unknown
from tollbook.doctor.invocation_logs import Delivery
from tollbook.doctor.switch_on import SwitchOn, switch_on
from tollbook.sources.aws.delivery import delivery_of
from tollbook.sources.aws.reach.policy import FORMS, bucket_of, narrowed, policy_for
from tollbook.sources.named import CLOUDWATCH, USUAL, Named, named, one_kind

STACK: Final = "stack"

Clients = Callable[[str, str], Any]
"""Gives boto3's client of a service, by boto3's name for it, in a region."""


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be looked at.

    Attributes:
        stack: its name; empty for none.
        source: what tollbook reads, or would, as the server's setting has it; empty to find out.
        regions: whose logging is looked at. With a stack the first is the stack's, and where it stands alone, or none
            is given, those that the stack reads are looked at.
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
        home: the region at hand: the stack's, if there is one.

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
            UsageError: nobody is there to be asked.
        """
        caller, finding = credentials.caller(self._clients("sts", self._home))
        yield finding
        if caller is None:
            yield from after_credentials(self._question)
            return
        if self._question.stack:
            yield self._found_stack()
            if self._stack is None:
                return
        for region in self._regions():
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
        said = f"The stack '{name}' in {self._home} is {stack.status}."
        if stack.status.endswith("_FAILED"):
            remedy = "Run 'tollbook deploy' again, which goes on from there."
            return failed(STACK, said, remedy, status=stack.status)
        return ok(STACK, said, status=stack.status)

    def _parameter(self, name: str) -> str:
        return self._stack.parameters.get(name, "") if self._stack else ""

    def _regions(self) -> Sequence[str]:
        given = self._question.regions
        if self._stack and len(given) < 2:
            return words(self._parameter("TollbookRegions")) or (self._home,)
        return given or (self._home,)

    def _logs(self, caller: Caller, region: str) -> Iterator[Finding]:
        said = self._question.source or self._parameter("TollbookSource") or (USUAL if self._stack else "")
        try:
            wanted = sources_of(said)
        except UsageError as fault:
            yield failed_with(invocation_logs.SOURCE, fault)
            wanted = ()
        delivery, finding = invocation_logs.delivery_in(self._clients("bedrock", region), region)
        group = delivery.log_group if delivery else ""
        if delivery is None and finding.status == "failed":
            group, finding = self._switched_on(caller, region, finding)
        yield finding
        if said and not wanted:
            for check in (invocation_logs.GROUP, permissions.CHECK):
                yield skipped(check, f"'{invocation_logs.SOURCE}' failed")
            return
        bucket = delivery.bucket if delivery else ""
        read = wanted or [named(f"cloudwatch:{group}" if group else bucket or USUAL)]
        delivery = delivery or (Delivery(log_group=group) if group else None)
        other = invocation_logs.judged_sources(delivery, read, region) if delivery else None
        if other:
            yield other
        broken = next((each.check for each in (finding, other) if each and each.status == "failed"), "")
        yield from self._groups(read, region, group, broken)
        yield self._permissions(caller, region, read)

    def _groups(self, read: Sequence[Named], region: str, written: str, broken: str) -> Iterator[Finding]:
        """
        Args:
            written: the group that Bedrock writes to, if it is known.
            broken: the check that failed before, if one did.
        """
        groups = [each for each in read if each.kind in CLOUDWATCH]
        if broken or not groups:
            why = f"'{broken}' failed in {region}" if groups else f"none is read in {region}"
            yield skipped(invocation_logs.GROUP, why)
            return
        logs, days = self._clients("logs", region), self._question.retention_days
        for each in groups:
            yield invocation_logs.group_in(logs, each, region, is_written=each.name == written, retention_days=days)

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


def sources_of(text: str) -> Sequence[Named]:
    """What stands between commas in a server's setting, each a place on AWS.

    Raises:
        UsageError: one is none, or they cannot be read together.
    """
    found = one_kind(words(text))
    for each in found:
        if each.kind == "files":
            raise UsageError(f"'{each.name}' is no place on AWS, which is all that is looked at here. Name {FORMS}.")
        if each.kind == "s3":
            bucket_of(each.name)
            delivery_of(each.name)
    return found


def _statements(source: str, region: str, account: str) -> Sequence[Statement]:
    region, account = narrowed(source, region, account)
    return policy_for(source, region=region, account=account).statement
