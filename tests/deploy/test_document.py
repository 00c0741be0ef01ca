"""Which resources a template makes, beside another evaluation of CloudFormation's rules."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.deploy.evaluation import IMAGE, Made
from tollbook.deploy.plan.document import defaults, hash_in, resources
from tollbook.deploy.template import bootstrap, rendered, template

SWITCHES = {
    "RoleArn": ["", "arn:aws:iam::123456789012:role/ours"],
    "AccessLogs": ["yes", "no"],
    "ApiLogRole": ["yes", "no"],
    "FunctionUrl": ["yes", "no"],
    "FunctionUrlHost": ["", "x.lambda-url.eu-west-1.on.aws"],
    "DomainName": ["", "mcp.example.com"],
    "HostedZoneId": ["", "Z0123456789"],
    "AuthMethod": ["oauth", "lambda"],
    "ApiKeys": ["yes", "no"],
    "AlarmEmail": ["", "finops@example.com"],
    "ProvisionedConcurrency": ["0", "2"],
    "OwnPool": ["yes", "no"],
}
some_parameters = st.fixed_dictionaries({name: st.sampled_from(values) for name, values in SWITCHES.items()})


@settings(deadline=None, max_examples=25)
@given(some_parameters)
def test_a_template_makes_what_cloudformation_would_make_of_it(said: dict[str, str]) -> None:
    said = {**said, "CognitoUserPoolId": "" if said["OwnPool"] == "yes" else "eu-west-1_AbCdEfGhI"}
    whole = {name: default or "" for name, default in defaults(template()).items()} | {"ImageUri": IMAGE, **said}
    made = Made(template(), {}, **said).resources
    assert resources(template(), whole) == {name.removesuffix("HASH"): each["Type"] for name, each in made.items()}


def test_it_is_the_same_for_a_template_as_it_was_sent() -> None:
    whole = {name: default or "" for name, default in defaults(template()).items()}
    sent = rendered(template(), '[{"Sid": "A"}]', "0123456789")
    assert resources(sent, whole) == resources(template(), whole)
    assert (hash_in(template()), hash_in(sent), hash_in(bootstrap())) == ("HASH", "0123456789", "")
    assert resources(bootstrap(), {}) == {"Repository": "AWS::ECR::Repository"}


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("!Equals [!Ref Is, 'yes']", True),
        ("!Equals [!Ref Is, no]", False),
        ("!Not [!Equals [!Ref Is, no]]", True),
        ("!And [!Equals [a, a], !Equals [a, b]]", False),
        ("!Or [!Equals [a, a], !Equals [a, b]]", True),
        ("!Or [!Equals [b, a], !Equals [a, b]]", False),
        ("!Not [!Condition Never]  # as it never holds", True),
    ],
)
def test_conditions_hold_as_cloudformation_has_them(condition: str, holds: bool) -> None:
    conditions = f"Conditions:\n  Never: !Equals [a, b]\n  Holds: {condition}\n"
    text = f"{conditions}Resources:\n  Queue:\n    Type: AWS::SQS::Queue\n    Condition: Holds\n"
    assert resources(text, {"Is": "yes"}) == ({"Queue": "AWS::SQS::Queue"} if holds else {})


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ("!Equals [!Ref Nobody, 'yes']", "The template's !Ref Nobody cannot be worked out here."),
        ("!Condition Nothing", "The template's !Condition Nothing cannot be worked out here."),
        ("!Not", "The template's !Not  cannot be worked out here."),
        ("!Ref Is", "The template's condition Holds comes to neither yes nor no."),
        ("!Select [0, !Ref Is]", "cannot be worked out here."),
        ("!Equals [!Ref Is, 'yes'", "The template is no YAML."),
        ("!Equals [!Ref Is, 'yes]", "The template is no YAML."),
    ],
)
def test_a_condition_that_it_cannot_work_out_is_never_guessed(condition: str, said: str) -> None:
    text = f"Conditions:\n  Holds: {condition}\nResources:\n  Queue: {{Type: AWS::SQS::Queue, Condition: Holds}}\n"
    with pytest.raises(ValueError, match=f"{re.escape(said)}$"):
        resources(text, {"Is": "yes"})
