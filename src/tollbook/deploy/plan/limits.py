"""What AWS takes of names, numbers and addresses. Each reads what was written, or says by ValueError what is wanted.

Where no other page is named, limits are as AWS's API references have them.
"""

import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Final
from urllib.parse import urlsplit

from tollbook.core.loopback import is_loopback
from tollbook.core.settings import choice, whole, words


def _text(form: re.Pattern[str], wanted: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if not form.fullmatch(text):
            raise ValueError(f"{wanted} is wanted, not '{text}'")
        return text

    return read


def retention(text: str) -> int:
    """Source: https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html"""
    if not (text.isascii() and text.isdigit() and int(text) in RETENTIONS):
        raise ValueError(f"one of {', '.join(map(str, RETENTIONS))} is wanted, not '{text}'")
    return int(text)


def dollars(text: str) -> Decimal:
    """Reads an amount that something may come to."""
    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal(-1)
    if not (amount.is_finite() and 0 < amount <= 1_000_000):
        raise ValueError(f"an amount from 0.01 to 1,000,000 is wanted, not '{text}'")
    return amount


def policy_arns(text: str) -> tuple[str, ...]:
    """Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html (ten a role)"""
    arns = words(text)
    if not 0 < len(arns) <= 10 or not all(map(_POLICY.fullmatch, arns)):
        raise ValueError(f"from 1 to 10 ARNs of managed policies separated by commas are wanted, not '{text}'")
    return arns


def login_prefix(text: str) -> str:
    """Source: https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_CreateUserPoolDomain.html"""
    if not _PREFIX.fullmatch(text):
        raise ValueError(f"up to 63 small letters, digits and hyphens are wanted, not '{text}'")
    if word := reserved_in(text):
        raise ValueError(f"Cognito takes no prefix with '{word}' in it, as '{text}' has")
    return text


def reserved_in(text: str) -> str:
    """A word in `text` that the prefix of a Cognito domain may not have; empty if there is none.

    Source: https://docs.aws.amazon.com/cognito/latest/developerguide/cognito-user-pools-assign-domain-prefix.html
    """
    return next((word for word in ("aws", "amazon", "cognito") if word in text), "")


def callback_urls(text: str) -> tuple[str, ...]:
    """Source: https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_UserPoolClientType.html"""
    urls = words(text)
    if not 0 < len(urls) <= 100:  # its CallbackURLs: at most 100
        raise ValueError("from 1 to 100 addresses separated by commas are wanted")
    for url in urls:
        try:
            parts = urlsplit(url)
            is_one = bool(parts.scheme and parts.hostname) and not parts.fragment and len(url) <= 1024
            is_safe = parts.scheme != "http" or is_loopback(parts.hostname or "")
        except ValueError:
            is_one = is_safe = False
        if not is_one or re.search(r"[\s\x00-\x1f\x7f]", url):
            raise ValueError(f"an address such as https://host/callback, without '#', is wanted, not '{url}'")
        if not is_safe:
            raise ValueError(f"http is for this machine only; '{url}' must begin with https://")
    return urls


# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
_POLICY: Final = re.compile(r"arn:aws[a-z-]*:iam::(aws|\d{12}):policy/[A-Za-z0-9_+=,.@/-]{1,576}", re.ASCII)
RETENTIONS: Final = (
    *(1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096),
    *(1827, 2192, 2557, 2922, 3288, 3653),
)
_PREFIX: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")

yes_or_no: Final = choice("yes", "no")


def always(text: str) -> str:
    """Reads a switch that cannot be off."""
    if yes_or_no(text) == "no":
        raise ValueError("there always is an API Gateway; leave this out, as nothing else is wanted")
    return "yes"


# https://docs.aws.amazon.com/lambda/latest/api/API_CreateFunction.html; of memory and time, what the server needs to
# start and to answer is the least, as the template has it too.
memory: Final = whole(512, 10_240)
timeout: Final = whole(30, 900)
function_name: Final = _text(
    re.compile(r"[A-Za-z0-9_-]{1,64}"), "a name of up to 64 letters, digits, hyphens and underscores"
)
role_arn: Final = _text(
    re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/[A-Za-z0-9_+=,.@/-]{1,576}", re.ASCII), "the ARN of a role"
)
# Lambda takes images of private repositories only: https://docs.aws.amazon.com/lambda/latest/dg/images-create.html
image_uri: Final = _text(
    re.compile(
        r"\d{12}\.dkr[.-]ecr\.[a-z0-9-]+\.[a-z0-9.-]+/[a-z0-9]+([._/-]+[a-z0-9]+)*"
        r"(@sha256:[0-9a-f]{64}|:[A-Za-z0-9_.-]{1,128})"
    ),
    "an image in a private repository of ECR, best by its digest (REPOSITORY@sha256:…),",
)
# Narrower than AWS has it, so that it can stand in any header and console.
api_name: Final = _text(
    re.compile(r"[A-Za-z0-9][A-Za-z0-9 _.-]{0,127}"), "a name of up to 128 letters, digits, blanks and ._-"
)
# https://docs.aws.amazon.com/apigateway/latest/api/API_Stage.html (stageName)
stage_name: Final = _text(
    re.compile(r"[A-Za-z0-9_-]{1,128}"), "a name of up to 128 letters, digits, hyphens and underscores"
)
# RFC 1123 §2.1
domain_name: Final = _text(
    re.compile(r"(?=.{4,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])"),
    "a domain such as mcp.example.com",
)
certificate_arn: Final = _text(
    re.compile(r"arn:aws[a-z-]*:acm:[a-z0-9-]+:\d{12}:certificate/[A-Za-z0-9-]{1,128}", re.ASCII),
    "the ARN of a certificate of ACM",
)
# https://docs.aws.amazon.com/Route53/latest/APIReference/API_HostedZone.html
zone_id: Final = _text(re.compile(r"[A-Z0-9]{1,32}"), "the id of a hosted zone of Route 53")
# https://docs.aws.amazon.com/sns/latest/api/API_CreateTopic.html
topic_arn: Final = _text(
    re.compile(r"arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:[A-Za-z0-9_-]{1,256}", re.ASCII), "the ARN of a topic of SNS"
)
# https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-scheduled-rule-pattern.html: one of the two days is "?".
schedule: Final = _text(
    re.compile(
        r"rate\((1 (minute|hour|day)|([2-9]|[1-9]\d{1,4}) (minutes|hours|days))\)"
        r"|cron\((?=.{11,100}$)[0-9*,/-]+ [0-9*,/-]+ ([0-9*,/LW-]+ [A-Z0-9*,/-]+ \?|\? [A-Z0-9*,/-]+ [A-Z0-9*,/#-]+)"
        r" [0-9*,/-]+\)",
        re.ASCII,
    ),
    "a schedule of EventBridge such as rate(1 day) or cron(0 6 * * ? *)",
)
email: Final = _text(re.compile(r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+"), "an e-mail address")
# https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_CreateStack.html (StackName)
stack_name: Final = _text(
    re.compile(r"[A-Za-z][A-Za-z0-9-]{0,127}"), "a name of letters, digits and hyphens that begins with a letter"
)
region: Final = _text(re.compile(r"[a-z]{2,4}(-[a-z]+)+-\d{1,2}", re.ASCII), "a region such as eu-west-1")
