"""IAM policies as data, and the part of AWS that their ARNs name. Pure.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
"""

from collections.abc import Mapping
from typing import Literal

import msgspec


class Statement(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="pascal"):
    """A statement, with the names and in the order of IAM's grammar."""

    sid: str
    effect: Literal["Allow", "Deny"]
    principal: Mapping[str, str] = {}
    action: tuple[str, ...]
    resource: tuple[str, ...] = ()
    condition: Mapping[str, Mapping[str, tuple[str, ...]]] = {}


class Policy(msgspec.Struct, frozen=True, rename="pascal"):
    """A policy document."""

    statement: tuple[Statement, ...]
    version: str = "2012-10-17"

    @property
    def actions(self) -> frozenset[str]:
        """What it allows, such as `logs:FilterLogEvents`."""
        return frozenset(action for each in self.statement if each.effect == "Allow" for action in each.action)

    def as_json(self) -> str:
        """The document, to read."""
        return msgspec.json.format(self.compact(), indent=2)

    def compact(self) -> str:
        """The document in few characters, which IAM counts: 2,048 of a session policy, 6,144 of a managed one.

        Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
        """
        document = {"Version": self.version, "Statement": self.statement}
        return msgspec.json.encode(document).decode()


def partition_of(region: str) -> str:
    """Source: https://docs.aws.amazon.com/whitepapers/latest/aws-fault-isolation-boundaries/partitions.html"""
    beginnings = {"cn-": "aws-cn", "us-gov-": "aws-us-gov", "eusc-": "aws-eusc"}
    return next((name for start, name in beginnings.items() if region.startswith(start)), "aws")
