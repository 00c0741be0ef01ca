"""What goes wrong on the way to AWS and back, in sentences that say what happened and what to do next.

DeployError            nothing more is known of it
├── NoRegion           it was not said where
├── Denied             the credentials are good, and may not do this
├── NotLoggedIn        there are no credentials, or none that AWS accepts
├── Unreachable        AWS does not answer, fails, or asks for time; the same command may succeed later
├── StackTrouble       CloudFormation did not do what was asked, and says why
├── Declined           somebody was asked, and said no
└── GoesOn             it was interrupted here; CloudFormation goes on by itself

Which codes there are stands with each API, and for all of them in
https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/CommonErrors.html.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final
from urllib.parse import urlsplit

from botocore import exceptions as aws
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from tollbook.core.errors import TollbookError
from tollbook.core.text import printable


class DeployError(TollbookError):
    """AWS refused or failed.

    Attributes:
        action: what was to be done, as IAM names it; may be empty. Of a denial, what was denied.
        code: AWS's own; empty where it gave no answer.
        said: AWS's sentence about it, to look into: not to be shown.
    """

    def __init__(
        self, message: str, more: Sequence[str] = (), *, action: str = "", code: str = "", said: str = ""
    ) -> None:
        super().__init__(message, more)
        self.action, self.code, self.said = action, code, said


class NoRegion(DeployError):
    """Nobody said where."""

    exit_code = 2


class Denied(DeployError):
    """A permission is missing."""


class NotLoggedIn(DeployError):
    """AWS does not know who asks, or no longer."""


class Unreachable(DeployError):
    """No answer, or one that may be another a moment later."""


class StackTrouble(DeployError):
    """A stack is not what it should be.

    Attributes:
        stack: its name.
        status: CloudFormation's word for what it is now; empty if it is nothing.
    """

    def __init__(self, message: str, more: Sequence[str] = (), *, stack: str, status: str = "") -> None:
        super().__init__(message, more)
        self.stack, self.status = stack, status


class Declined(DeployError):
    """Nothing was done, since nobody said yes."""


class GoesOn(DeployError):
    """Somebody pressed Ctrl-C; what CloudFormation has begun, it ends."""

    exit_code = 130


# https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html
_THROTTLED: Final = frozenset(
    {
        "LimitExceededException",
        "RequestLimitExceeded",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)

_EXPIRED: Final = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"})
_DENIED: Final = frozenset({"403", "AccessDenied", "AccessDeniedException", "Forbidden", "UnauthorizedOperation"})
_UNKNOWN: Final = frozenset(
    {
        "AuthFailure",
        "IncompleteSignature",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "InvalidToken",
        "MissingAuthenticationToken",
        "OptInRequired",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
_LOGIN_IS_OVER: Final = (
    aws.LoginError,
    aws.NoAuthTokenError,
    aws.RefreshWithMFAUnsupportedError,
    aws.SSOError,
    aws.TokenRetrievalError,
)
_NO_CREDENTIALS: Final = (
    aws.CredentialRetrievalError,
    aws.MetadataRetrievalError,
    aws.NoCredentialsError,
    aws.PartialCredentialsError,
)
_BROKEN_OFF: Final = (aws.ConnectionError, aws.HTTPClientError, aws.IncompleteReadError, ResponseParserError)

# User: arn:aws:sts::111122223333:assumed-role/dev/ana is not authorized to perform: cloudformation:CreateChangeSet on
# resource: arn:aws:cloudformation:… because no identity-based policy allows the cloudformation:CreateChangeSet action:
# https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html
_LACK: Final = re.compile(
    r"(?:User: (?P<who>\S{1,500}) is )?not authorized to perform: (?P<action>[a-z0-9-]+:[A-Za-z*]+)"
    r"(?: on (?:the )?resource: \"?(?P<on>[^\s\"]{1,500})\"?)?"
)
_IAM_NAMES: Final = {
    "s3:DeleteObjects": "s3:DeleteObjectVersion",
    "s3:HeadBucket": "s3:ListBucket",
    "s3:ListMultipartUploads": "s3:ListBucketMultipartUploads",
    "s3:ListObjectVersions": "s3:ListBucketVersions",
    "apigateway:GetAccount": "apigateway:GET",
    "resourcegroupstaggingapi:GetResources": "tag:GetResources",
}
"""Requests that are allowed under another name: https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html"""

_LONGEST: Final = 600


def tidy(said: str) -> str:
    """What AWS says, in one line that may be shown, not too long, without a full stop."""
    return printable(" ".join(said.split()))[:_LONGEST].rstrip(".: ")


@contextmanager
def translated(service: str) -> Iterator[None]:
    """Makes sentences of what AWS answers within the block.

    Args:
        service: as boto3 names it, such as `cloudformation`.

    Raises:
        DeployError: AWS refused or failed.
    """
    try:
        yield
    except ClientError as fault:
        raise _answered(fault, service) from fault
    except (BotoCoreError, ResponseParserError) as fault:
        raise _unanswered(fault) from fault


def _answered(fault: ClientError, service: str) -> DeployError:
    error = fault.response.get("Error", {})
    code, said = str(error.get("Code", "")), str(error.get("Message") or "")
    action = f"{service}:{fault.operation_name}"
    action = _IAM_NAMES.get(action, action)
    if code in _EXPIRED:
        return NotLoggedIn(_OVER, action=action, code=code)
    if code in _UNKNOWN:
        # The message may hold the request as AWS would have signed it, with the session token: none of it is shown.
        return NotLoggedIn(
            f"AWS does not accept the credentials ({code}): check the access key, the clock of this machine, and that "
            "the region is switched on for the account.",
            action=action,
            code=code,
        )
    if code in _DENIED:
        found = _LACK.search(said)
        action = found["action"] if found else action
        who = tidy((found and found["who"]) or "whoever asks")
        where = f" on {tidy(found['on'])}" if found and found["on"] else ""
        return Denied(
            f"{who} may not {action}{where}: let an administrator allow it ('tollbook deploy --permissions' prints all "
            "that is needed), then run the same command again.",
            action=action,
            code=code,
        )
    status = fault.response.get("ResponseMetadata", {}).get("HTTPStatusCode") or 0
    if code in _THROTTLED or status == 429 or status >= 500:
        return Unreachable(
            f"AWS throttles or fails at {action} ({code}): wait a minute, then run the same command again, which goes "
            "on from here.",
            action=action,
            code=code,
        )
    sentence = f"AWS answers {action} with {code}: {tidy(said) or 'nothing'}."
    return DeployError(sentence, action=action, code=code, said=said)


def _unanswered(fault: Exception) -> DeployError:
    details = getattr(fault, "kwargs", {})
    if isinstance(fault, aws.ProfileNotFound):
        return NotLoggedIn(
            f"AWS's settings on this machine have no profile '{tidy(str(details.get('profile')))}': pass --profile "
            "with one that 'aws configure list-profiles' names."
        )
    if isinstance(fault, _NO_CREDENTIALS):
        return NotLoggedIn(
            "No AWS credentials were found: pass --profile, set AWS_PROFILE, or run 'aws configure' or 'aws sso login'."
        )
    if isinstance(fault, _LOGIN_IS_OVER):
        return NotLoggedIn(_OVER)
    if isinstance(fault, aws.NoRegionError):
        return NoRegion("No region is named: pass --region, or set AWS_REGION.")
    if isinstance(fault, aws.SSLError):
        return DeployError(
            f"No safe connection to {_host(details.get('endpoint_url'))}: if a proxy shows a certificate of its own, "
            "set AWS_CA_BUNDLE."
        )
    if isinstance(fault, _BROKEN_OFF):
        return Unreachable(
            f"No connection to {_host(details.get('endpoint_url'))}: check the network, then run the same command "
            "again, which goes on from here."
        )
    return DeployError(f"AWS cannot be asked: {tidy(str(fault))}.")


_OVER: Final = (
    "The AWS credentials have expired: log in to AWS again (a profile of IAM Identity Center by 'aws sso login'), then "
    "run the same command again, which goes on from here."
)


def _host(url: object) -> str:
    """Where a URL leads, without user and password."""
    try:
        return urlsplit(str(url or "")).hostname or "AWS"
    except ValueError:
        return "AWS"
