"""What AWS says when a permission is missing: who lacks which, on what, and which kind of policy is why. Pure.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html
"""

import re
from typing import Final

import msgspec

# User: arn:aws:sts::111122223333:assumed-role/reader/ana is not authorized to perform: logs:FilterLogEvents on
# resource: arn:aws:logs:eu-west-1:111122223333:log-group:x:log-stream: because no identity-based policy allows the …
_SENTENCE: Final = re.compile(
    r"User: (?P<who>arn:[^\s\"]{1,2048}) is not authorized to perform: (?P<action>[a-z0-9-]{1,63}:[A-Za-z0-9*]{1,128})"
    r"(?: on (?:the )?resource: \"?(?P<resource>[^\s\"]{1,2048})\"?)?"
    r"(?: (?:because|with) (?P<why>[^.\n]{1,300}))?"
)
_FORBIDDEN: Final = re.compile(r"an explicit deny in an? (?P<policy>[A-Za-z -]+ policy|permissions boundary)")
_NOT_ALLOWED: Final = re.compile(r"no (?P<policy>[A-Za-z -]+ policy|permissions boundary) allows")
_LONGEST: Final = 300


class Denial(msgspec.Struct, frozen=True):
    """A permission that was denied; what AWS does not tell is empty.

    Attributes:
        who: the ARN of whoever asked.
        action: such as `logs:FilterLogEvents`.
        on: the ARN of what it was asked for.
        policy: the kind of policy that decided, such as `service control policy`.
        is_forbidden: that policy forbids it, so that no other can allow it.
    """

    who: str = ""
    action: str = ""
    on: str = ""
    policy: str = ""
    is_forbidden: bool = False

    @property
    def subject(self) -> str:
        """Who, in a sentence."""
        return self.who or "whoever asked"

    @property
    def lack(self) -> str:
        """What, in a sentence."""
        return self.action + (f" on {self.on}" if self.on else "")

    @property
    def reason(self) -> str:
        """Which policy, at the end of a sentence; empty if that goes without saying."""
        if self.is_forbidden:
            return f", by an explicit deny in a {self.policy}"
        return f", which no {self.policy} allows" if self.policy else ""


def denial_in(message: str) -> Denial:
    """What `message` tells of a denial."""
    found = _SENTENCE.search(message)
    if not found:
        return Denial()
    why = found["why"] or ""
    forbidden, not_allowed = _FORBIDDEN.search(why), _NOT_ALLOWED.search(why)
    policy = forbidden or not_allowed
    return Denial(
        who=found["who"][:_LONGEST],
        action=found["action"],
        on=(found["resource"] or "")[:_LONGEST],
        policy=policy["policy"] if policy else "",
        is_forbidden=bool(forbidden),
    )
