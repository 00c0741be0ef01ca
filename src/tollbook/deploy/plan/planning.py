"""What a deployment comes to: pure, so that it can be shown, tested and thought about before anything is done."""

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Final

import msgspec

from tollbook.core.errors import UsageError
from tollbook.core.iam import partition_of
from tollbook.deploy.found import Found, Stack, bootstrap_of
from tollbook.deploy.plan.changes import Change as Change
from tollbook.deploy.plan.changes import all_new, between, said_otherwise
from tollbook.deploy.plan.contradictions import contradictions
from tollbook.deploy.plan.costs import Costs, costs_of
from tollbook.deploy.plan.decided import decided
from tollbook.deploy.plan.document import defaults, hash_in, resources
from tollbook.deploy.plan.notes import on_what_it_does, on_what_there_is, on_what_to_do, on_who_sees_what
from tollbook.deploy.plan.options import YES, flag_of
from tollbook.deploy.plan.permissions import Permissions, permissions
from tollbook.deploy.template import rendered, template

Policy = Callable[[Mapping[str, str]], str]
"""The statements of the server's role that read the logs, as a JSON list, for the parameters of a stack."""


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for.

    Attributes:
        stack: its name.
        given: by the parameters' names, as written; an empty one is one that shall not be set.
        first_user: the e-mail address of a user to make; empty for none.
        builds: whether the image is made here; then `ImageUri` may be missing until it is.
    """

    stack: str
    given: Mapping[str, str] = {}
    first_user: str = ""
    builds: bool = True


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What will be sent to CloudFormation, and what that means.

    Attributes:
        parameters: every parameter of the template with its value.
        template: as it is sent.
        changes: in the order to be shown; empty where nothing changes.
        notes: what was decided and why, a sentence each.
        resources: what there will be: types by logical id, without hashes.
        there: what there is.
    """

    stack: str
    account: str
    region: str
    partition: str
    parameters: Mapping[str, str]
    template: str
    changes: tuple[Change, ...] = ()
    notes: tuple[str, ...] = ()
    resources: Mapping[str, str] = {}
    there: Mapping[str, str] = {}
    first_user: str = ""
    builds: bool = True
    is_new: bool = True
    is_known: bool = True

    @property
    def costs(self) -> Costs:
        """What it may cost a month."""
        return costs_of(self.parameters, self.resources, builds=self.builds)

    @property
    def permissions(self) -> Permissions:
        """What carrying it out takes, and taking it back."""
        return permissions(
            stack=self.stack,
            region=self.region,
            account=self.account,
            partition=self.partition,
            parameters=self.parameters,
            resources={**self.there, **self.resources},
            builds=self.builds,
            first_user=self.first_user,
        )


def plan(wanted: Wanted, found: Found, policy: Policy) -> Plan:
    """What is `wanted`, where `found` is: flags go before what the stack has, and that before the template's defaults.

    Args:
        policy: may raise UsageError, with a sentence that begins with the options it is about.

    Raises:
        UsageError: with every contradiction, each on a line of its own.
    """
    text, running = template(), found.stack
    if running and not running.parameters.keys() >= _OURS:
        raise UsageError(f"The stack '{wanted.stack}' is not tollbook's. Give yours another name with --stack.")
    usual = {name: default or "" for name, default in defaults(text).items()}
    if unknown := [name for name in wanted.given if name not in usual]:
        raise UsageError(f"The template has no parameter {', '.join(unknown)}. Leave it out.")
    values, note = decided(
        wanted.given,
        running.parameters if running else {},
        usual,
        stack=wanted.stack,
        account=found.account,
        has_api_log_role=found.has_api_log_role,
        function_url=running.outputs.get(_FUNCTION_URL, "") if running else "",
    )
    problems = list(
        contradictions(
            values,
            stack=wanted.stack,
            region=found.region,
            account=found.account,
            template=text,
            first_user=wanted.first_user,
        )
    )
    problems += _of_image(values, builds=wanted.builds)
    problems += _of_letters(values)
    problems += _of_login_pages(values, running.parameters if running else {})
    try:
        statements = policy(values)
    except UsageError as fault:
        problems += [str(fault)]
    else:
        problems += _of_policy(statements, values)
    if problems:
        raise UsageError("This cannot be deployed:", problems)
    whole = rendered(text, statements, _content(rendered(text, statements, _UNSAID), values))
    made = resources(whole, values)
    return Plan(
        stack=wanted.stack,
        account=found.account,
        region=found.region,
        partition=found.partition if found.is_known else partition_of(found.region),
        parameters=values,
        template=whole,
        changes=tuple(_changes(whole, values, made, wanted, found)),
        notes=(
            *on_who_sees_what(values),
            note,
            *on_what_there_is(values, wanted.given, found, builds=wanted.builds),
            *on_what_it_does(values, found.region),
            *on_what_to_do(values, wanted.first_user),
        ),
        resources=made,
        there=_there(running, {}) if running else {},
        first_user=wanted.first_user,
        builds=wanted.builds,
        is_new=running is None,
        is_known=found.is_known,
    )


def _of_login_pages(values: Mapping[str, str], present: Mapping[str, str]) -> Iterator[str]:
    before = present.get("LoginPrefix", "")
    if before not in ("", values["LoginPrefix"]) and present.get("OwnPool") == values["OwnPool"] == YES:
        # "User pool already has a domain configured": https://github.com/aws/aws-cdk/issues/10062
        yield (
            "--login-prefix: CloudFormation makes a new domain before it deletes the old one, and Cognito lets a pool "
            f"have one only. Leave it at '{before}'."
        )


def _of_image(values: Mapping[str, str], *, builds: bool) -> Iterator[str]:
    uri = values["ImageUri"]
    if not uri and not builds:
        yield "--image-uri: it is missing; name the image by its digest, or let it be built."
    if uri and "@sha256:" not in uri:
        yield "--image-uri: a tag may mean another image tomorrow. Name it by its digest, as REPOSITORY@sha256:…."
    for name in ("TollbookPrices", "TollbookNames"):
        if builds and values[name]:
            yield (
                f"{flag_of(name)}: the image that is built here has no file {values[name]}. Leave it out, or bring an "
                "image that has it with --image-uri."
            )


def _of_policy(statements: str, values: Mapping[str, str]) -> Iterator[str]:
    if not values["RoleArn"] and len(statements) > _LONGEST_POLICY:
        yield (
            f"--source, --regions, --accounts: what may be read comes to {len(statements):,} characters of a policy, "
            f"and a role has room for {_LONGEST_POLICY:,}. Name fewer, or bring a policy with --policy-arns."
        )


def _of_letters(values: Mapping[str, str]) -> Iterator[str]:
    """What CloudFormation takes and gives back as '?', so that nobody could tell whether it is to change.

    Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/parameters-section-structure.html
    """
    for name, value in values.items():
        if not value.isascii():
            yield f"{flag_of(name)}: CloudFormation keeps ASCII alone, and '{value}' is more than that. Spell it so."


def _content(text: str, values: Mapping[str, str]) -> str:
    """What tells one content from another, so that snapshots are made anew just when something changes."""
    whole = msgspec.json.encode([text, values], order="sorted")
    return hashlib.sha256(whole).hexdigest()[:_DIGITS]


def _changes(
    whole: str, values: Mapping[str, str], made: Mapping[str, str], wanted: Wanted, found: Found
) -> Iterator[Change]:
    if wanted.builds and found.bootstrap is None:
        yield Change(kind="make", what=f"ECR: a repository for the image, in the stack {bootstrap_of(wanted.stack)}")
    if found.stack is None:
        yield from all_new(made)
        return
    yield from between(_there(found.stack, made), made)
    yield from said_otherwise(found.stack.parameters, values)
    if _plain(found.stack.template) != _plain(whole):
        yield Change(kind="change", what="the template", effect=_of_template(found.stack.template, whole))


def _of_template(before: str, after: str) -> str:
    """What it means that the template changes."""
    if _STATEMENTS.sub("", _plain(before)) == _STATEMENTS.sub("", _plain(after)):
        return "The server's role may do otherwise: what it reads is said below."
    return "It comes from another version of tollbook."


def _there(stack: Stack, otherwise: Mapping[str, str]) -> Mapping[str, str]:
    """The resources that a stack has; `otherwise`, if its template is written in a way that is not known here."""
    usual = {name: default or "" for name, default in defaults(stack.template).items()}
    try:
        return resources(stack.template, {**usual, **stack.parameters})
    except ValueError:
        return otherwise


def _plain(text: str) -> str:
    """A template without the hash of its content."""
    digits = hash_in(text)
    return text.replace(digits, "") if digits else text


_OURS: Final = frozenset({"ImageUri", "OwnPool", "StageName"})
"""Parameters that every stack of ours has."""
_FUNCTION_URL: Final = "FunctionUrl"
_DIGITS: Final = 10
_LONGEST_POLICY: Final = 10_240 - 1_400
"""Characters that the policies of a role may have, but for those of what the server keeps itself:
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html"""
_UNSAID: Final = "HASH"
_STATEMENTS: Final = re.compile(r"^ *- \{\"Sid\":.*\n", re.MULTILINE)
"""Those of a policy that were put into the template: `tollbook.deploy.template.rendered`."""
