"""What AWS says when a permission is missing: who lacks which, on what, and which kind of policy is why. Pure.

Sources:
    https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html
    https://aws.amazon.com/blogs/security/enhanced-access-denied-error-messages-with-policy-arns
"""

import re
from typing import Final

import msgspec

# User: arn:aws:sts::111122223333:assumed-role/reader/ana is not authorized to perform: logs:FilterLogEvents on
# resource: arn:aws:logs:eu-west-1:111122223333:log-group:x:log-stream: because no identity-based policy allows the …
_SENTENCE: Final = re.compile(
    r"User(?: with accountId)?: (?P<who>[^\s\"]{1,2048}) is not authorized to perform: "
    r"(?P<action>[a-z0-9-]{1,63}:[A-Za-z*]{1,128})"
    r"(?: on (?:the )?resource: \"?(?P<on>[^\s\"]{1,2048})\"?)?"
    r"(?: (?P<why>(?:because|with) [^\n]{1,2500}))?"
)
_KIND: Final = r"(?P<policy>[A-Za-z -]{1,60}? policy|permissions boundary)"
_FORBIDDEN: Final = re.compile(rf"with an explicit deny(?: in an? {_KIND}(?:: (?P<which>arn:[^\s\"]{{1,2048}}))?)?")
_NOT_ALLOWED: Final = re.compile(rf"because no {_KIND} allows")
_LONGEST: Final = 300


class Denial(msgspec.Struct, frozen=True):
    """A permission that was denied; what AWS does not tell is empty.

    Attributes:
        who: the ARN of whoever asked, or his account.
        action: such as `logs:FilterLogEvents`.
        on: the ARN of what it was asked for.
        policy: the kind of policy that decided, such as `service control policy`.
        which: that policy's ARN.
        is_forbidden: the policy forbids it, so that no other can allow it.
    """

    who: str = ""
    action: str = ""
    on: str = ""
    policy: str = ""
    which: str = ""
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
        """Which policy, behind what is lacking; empty if AWS does not say."""
        if not self.is_forbidden:
            return f", which no {self.policy} allows" if self.policy else ""
        article = "an" if self.policy.startswith("i") else "a"
        where = f" in {article} {self.policy}" if self.policy else ""
        return f", by an explicit deny{where}" + (f" ({self.which})" if self.which else "")


def denial_in(message: str) -> Denial:
    """What `message` tells of a denial."""
    found = _SENTENCE.search(message)
    if not found:
        return Denial()
    why = found["why"] or ""
    if forbidden := _FORBIDDEN.search(why):
        policy, which = forbidden["policy"], forbidden["which"]
    else:
        missing = _NOT_ALLOWED.search(why)
        policy, which = missing["policy"] if missing else "", ""
    return Denial(
        who=found["who"][:_LONGEST],
        action=found["action"],
        on=(found["on"] or "")[:_LONGEST],
        policy=policy or "",
        which=(which or "")[:_LONGEST].rstrip("."),
        is_forbidden=bool(forbidden),
    )
