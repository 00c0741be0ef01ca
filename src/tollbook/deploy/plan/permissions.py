"""What whoever deploys, deploys again and destroys must be allowed. Pure.

Sources:
    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-iam-template.html
    https://docs.aws.amazon.com/service-authorization/latest/reference/ (which actions take which resources)
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

import msgspec

from tollbook.core.iam import Policy, Statement
from tollbook.deploy.found import bootstrap_of
from tollbook.deploy.plan.actions import CALLS, INVITE, KINDS, PUSH

_ANY: Final = "*"
_CUT: Final = 24
"""Names that CloudFormation makes begin with the stack's, of which long ones are cut:
https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cfn-resource-name.html
"""


class Needed(msgspec.Struct, frozen=True, order=True):
    """An action, and one thing that needs it.

    Attributes:
        of: a type of resource, or what tollbook itself does.
    """

    action: str
    of: str


class Permissions(msgspec.Struct, frozen=True):
    """What is needed for one plan."""

    needed: tuple[Needed, ...]
    policy: Policy

    @property
    def actions(self) -> Sequence[str]:
        """Each once, in order."""
        return sorted({each.action for each in self.needed})


def permissions(
    *,
    stack: str,
    region: str,
    account: str,
    partition: str,
    parameters: Mapping[str, str],
    resources: Mapping[str, str],
    builds: bool,
    first_user: str,
) -> Permissions:
    """What deploying a stack with `parameters` takes, and destroying it.

    Args:
        account: of twelve digits; with anything else it holds for every account.
        resources: types by logical id, as the template makes them.
        builds: whether the image is made and pushed here.
        first_user: whom to invite; empty for nobody.
    """
    functions = (stack[:_CUT] + _ANY, parameters["FunctionName"], parameters["AuthorizerName"])
    names = {
        "partition": partition,
        "region": region,
        "account": account if account.isdigit() else _ANY,
        "stack": stack,
        "images": bootstrap_of(stack),
        "begin": stack[:_CUT],
        "small": stack[:_CUT].lower(),
        "zone": parameters["HostedZoneId"],
    }
    places = {service: tuple(form.format_map(names) for form in forms) for service, forms in _PLACES.items()}
    (function,) = places["lambda"]
    # A version and an alias stand behind a function's name.
    whole = (
        each for name in functions if name for each in ((name,) if name.endswith(_ANY) else (name, f"{name}:{_ANY}"))
    )
    places["lambda"] = tuple(f"{function}{each}" for each in whole)
    passed = (*places["iam"], *filter(None, [parameters["RoleArn"]]))
    needed = tuple(sorted(set(_needed(resources, builds=builds, invites=bool(first_user)))))
    return Permissions(needed, Policy(tuple(_statements(needed, places, passed))))


def _needed(resources: Mapping[str, str], *, builds: bool, invites: bool) -> Iterator[Needed]:
    for kind in {*resources.values(), *(("AWS::ECR::Repository",) if builds else ())}:
        yield from (Needed(action, kind) for action in KINDS[kind])
    idle = {*(() if builds else (PUSH,)), *(() if invites else (INVITE,))}
    for call, actions in CALLS.items():
        if call not in idle:
            yield from (Needed(action, call) for action in actions)


def _statements(
    needed: Iterable[Needed], places: Mapping[str, tuple[str, ...]], passed: tuple[str, ...]
) -> Iterator[Statement]:
    """The actions of each service, by what they may be done to."""
    groups: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for action in sorted({each.action for each in needed} - {_HAND_ON}):
        service = action.partition(":")[0]
        at = (_ANY,) if action in _WITHOUT_RESOURCE else places[service]
        groups.setdefault((service, at), []).append(action)
    for (service, at), actions in groups.items():
        name = service.title().replace("-", "")
        sid = f"{name}AsAWhole" if at == (_ANY,) else name
        yield Statement(sid=sid, effect="Allow", action=tuple(actions), resource=at)
    if any(each.action == _HAND_ON for each in needed):
        yield Statement(sid="PassRoles", effect="Allow", action=(_HAND_ON,), resource=passed, condition=_PASSED)


_HAND_ON: Final = "iam:PassRole"
_PASSED: Final = {"StringEquals": {"iam:PassedToService": ("lambda.amazonaws.com", "apigateway.amazonaws.com")}}
_PLACES: Final = {
    "apigateway": ("arn:{partition}:apigateway:{region}::/*",),
    "cloudformation": (
        "arn:{partition}:cloudformation:{region}:{account}:stack/{stack}/*",
        "arn:{partition}:cloudformation:{region}:{account}:stack/{images}/*",
    ),
    "cloudwatch": ("arn:{partition}:cloudwatch:{region}:{account}:alarm:{begin}*",),
    "cognito-idp": ("arn:{partition}:cognito-idp:{region}:{account}:userpool/*",),
    "dynamodb": ("arn:{partition}:dynamodb:{region}:{account}:table/{begin}*",),
    "ecr": ("arn:{partition}:ecr:{region}:{account}:repository/{small}*",),
    "events": ("arn:{partition}:events:{region}:{account}:rule/{begin}*",),
    "iam": ("arn:{partition}:iam::{account}:role/{begin}*",),
    "lambda": ("arn:{partition}:lambda:{region}:{account}:function:",),
    "logs": ("arn:{partition}:logs:{region}:{account}:log-group:{begin}*",),
    "route53": ("arn:{partition}:route53:::hostedzone/{zone}", "arn:{partition}:route53:::change/*"),
    "s3": ("arn:{partition}:s3:::{small}*", "arn:{partition}:s3:::{small}*/*"),
    "secretsmanager": ("arn:{partition}:secretsmanager:{region}:{account}:secret:*StateKeys*",),
    "sns": ("arn:{partition}:sns:{region}:{account}:{begin}*",),
}
"""What may be acted on: names are the stack's, ids are not known beforehand."""
_WITHOUT_RESOURCE: Final = frozenset(
    {
        "cloudformation:DescribeEvents",
        "cloudformation:ListStacks",
        "cloudwatch:DescribeAlarms",
        "cognito-idp:CreateUserPool",
        "cognito-idp:DescribeUserPoolDomain",
        "ecr:GetAuthorizationToken",
        "logs:DescribeLogGroups",
        "logs:DescribeResourcePolicies",
        "route53:ListHostedZones",
        "secretsmanager:GetRandomPassword",
        "tag:GetResources",
    }
)
"""Actions that take none, or all of a kind."""
