"""What AWS refuses or fails at, in sentences that say what happened, where, and what to do next.

SourceError
└── Trouble           of AWS; nothing more is known of it
    ├── NoSuchPlace   the log group, bucket or table is not there
    ├── Denied        the credentials are good, and may not do this
    ├── NotLoggedIn   there are no credentials, or none that AWS accepts
    │   └── Expired   they were good once
    ├── Throttled     AWS asks to come back more slowly
    └── Unreachable   AWS does not answer, or fails

Which codes there are stands with each API, and for all of them in
https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/CommonErrors.html,
https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html and
https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
from botocore import exceptions as aws
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from tollbook.core.errors import SourceError
from tollbook.core.text import printable
from tollbook.sources.aws.denial import denial_in
from tollbook.sources.reading import Place


class Trouble(SourceError):
    """AWS refused or failed.

    Attributes:
        place: what was to be read; None if it was nothing of that kind.
        action: that was to be done, as IAM names it; may be empty. Of a denial, that which was denied.
        code: AWS's own; empty where it gave no answer.
    """

    def __init__(self, message: str, place: Place | None = None, action: str = "", code: str = "") -> None:
        super().__init__(message)
        self.place, self.action, self.code = place, action, code


class NoSuchPlace(Trouble):
    """It is not there."""


class Denied(Trouble):
    """A permission is missing."""


class NotLoggedIn(Trouble):
    """AWS does not know who asks."""


class Expired(NotLoggedIn):
    """AWS no longer knows who asks."""


class Throttled(Trouble):
    """AWS was asked too much."""


class Unreachable(Trouble):
    """No answer, or a failure that may pass."""


# What boto3's own retries go by, besides the status:
# https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html
_THROTTLED: Final = frozenset(
    {
        "BandwidthLimitExceeded",
        "EC2ThrottledException",
        "LimitExceededException",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
_PASSING: Final = frozenset(
    {
        "InternalError",
        "InternalFailure",
        "InternalServerException",
        "RequestTimeout",
        "RequestTimeoutException",
        "ServiceUnavailable",
        "ServiceUnavailableException",
    }
)
_EXPIRED: Final = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"})
_DENIED: Final = frozenset(
    {"403", "AccessDenied", "AccessDeniedException", "AllAccessDisabled", "Forbidden", "UnauthorizedOperation"}
)
_ELSEWHERE: Final = frozenset(
    {"301", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "PermanentRedirect"}
)

_LOGIN_IS_OVER: Final = (aws.SSOError, aws.TokenRetrievalError, aws.NoAuthTokenError)
_BROKEN_OFF: Final = (aws.ConnectionError, aws.HTTPClientError, aws.IncompleteReadError)

# "Signature expired: 20260204T205323Z is now earlier than 20260205T141250Z (20260205T141750Z - 5 min.)":
# https://github.com/boto/boto3/issues/4716
_OUT_OF_TIME: Final = re.compile("Signature (?:expired|not yet current): ")
# "User not enabled for cost explorer access": https://github.com/aws-samples/aws-cost-explorer-report/issues/15
_NOT_SWITCHED_ON: Final = "not enabled for cost explorer"
# What is so long and without a gap may be a token.
_SECRET: Final = re.compile(r"[A-Za-z0-9+/=_%-]{40,}")
_LONGEST: Final = 300


def is_throttling(fault: Exception) -> bool:
    """Whether AWS asks to come back more slowly."""
    return isinstance(fault, ClientError) and (_code_of(fault) in _THROTTLED or _status_of(fault) == 429)


def is_passing(fault: Exception) -> bool:
    """Whether the same request may succeed a moment later."""
    if isinstance(fault, ClientError):
        return _code_of(fault) in _PASSING or _status_of(fault) >= 500
    if isinstance(fault, aws.SSLError):
        return "CERTIFICATE_VERIFY_FAILED" not in str(fault)
    return isinstance(fault, (*_BROKEN_OFF, ResponseParserError))


def is_expired(fault: Exception) -> bool:
    """Whether the credentials were good once, and are no longer."""
    if isinstance(fault, ClientError):
        return _code_of(fault) in _EXPIRED
    return isinstance(fault, (*_LOGIN_IS_OVER, aws.LoginError, aws.RefreshWithMFAUnsupportedError, Expired))


@contextmanager
def translated(place: Place | str, action: str) -> Iterator[None]:
    """Makes sentences of what AWS answers within the block.

    Args:
        place: what is read; or, if that is no place, what is wanted, in words.
        action: the IAM action needed, such as `logs:FilterLogEvents`; may be empty.

    Raises:
        SourceError: AWS refused or failed; a `Trouble`.
    """
    try:
        yield
    except (ClientError, BotoCoreError, ResponseParserError) as fault:
        raise trouble_of(fault, place, action) from fault


def trouble_of(fault: Exception, place: Place | str, action: str) -> Trouble:
    """The sentence on `fault`, which boto3 raised; see `translated`."""
    if isinstance(fault, ClientError):
        return _answered(_Scene.of(fault, place, action), fault)
    scene = _Scene(place, action, message=str(fault), details=getattr(fault, "kwargs", {}))
    said = next(each for each in _FAILURES if isinstance(fault, each.of))
    return scene.trouble(said.kind, said.sentence)


class _Scene(msgspec.Struct, frozen=True):
    """What was to be done, where, and what came of it.

    Attributes:
        message: in the words of AWS or of boto3.
        details: on the fault.
    """

    where: Place | str
    action: str
    code: str = ""
    message: str = ""
    details: Mapping[str, Any] = {}

    @classmethod
    def of(cls, fault: ClientError, where: Place | str, action: str) -> "_Scene":
        # The credentials of a role are asked for by whichever request needs them.
        action = "sts:AssumeRole" if fault.operation_name == "AssumeRole" else action
        error = fault.response.get("Error", {})
        return cls(where, action, _code_of(fault), str(error.get("Message") or ""), error)

    @property
    def service(self) -> str:
        return self.action.partition(":")[0]

    @property
    def what(self) -> str:
        if isinstance(self.where, str):
            return self.where
        if self.service in ("athena", "glue"):
            return f"table '{self.where.name}' of Athena in {self.there}"
        return str(self.where)

    @property
    def there(self) -> str:
        """`eu-west-1 of account 111122223333`."""
        if isinstance(self.where, str):
            return "this region"
        return self.where.region + (f" of account {self.where.account}" if self.where.account else "")

    @property
    def bucket(self) -> str:
        return (self.where if isinstance(self.where, str) else self.where.name).removeprefix("s3://").partition("/")[0]

    def trouble(self, kind: type[Trouble], said: str, action: str = "", **more: str) -> Trouble:
        """
        Args:
            said: a sentence with gaps.
            action: if it is another than was to be done.
            more: what fills gaps besides.
        """
        sentence = said.format(
            what=self.what,
            there=self.there,
            bucket=self.bucket,
            action=self.action or "a request",
            code=_harmless(self.code),
            message=_harmless(self.message),
            host=_host(self.details.get("endpoint_url")),
            proxy=_host(self.details.get("proxy_url")),
            profile=_harmless(self.details.get("profile")),
            **more,
        )
        place = None if isinstance(self.where, str) else self.where
        return kind(printable(sentence), place, action or self.action, self.code)


def _answered(scene: _Scene, fault: ClientError) -> Trouble:
    code = scene.code
    if code in _DENIED or code.startswith("KMS"):
        return _denied(scene)
    if code in _ELSEWHERE:
        headers = fault.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
        region = _harmless(headers.get("x-amz-bucket-region") or scene.details.get("Region") or "another region")
        return scene.trouble(NoSuchPlace, "The bucket of {what} lies in {region}: name that region.", region=region)
    if _OUT_OF_TIME.match(scene.message):
        return scene.trouble(NotLoggedIn, _CLOCK)
    for each in _ANSWERS:
        if code in each.of and each.service in ("", scene.service):
            return scene.trouble(each.kind, each.sentence)
    if is_throttling(fault):
        return scene.trouble(Throttled, "AWS throttles {action} for {what}: wait a minute, or ask for fewer days.")
    if is_passing(fault):
        return scene.trouble(Unreachable, "AWS fails at {action} for {what} ({code}): ask again in a minute.")
    return scene.trouble(Trouble, "Cannot read {what}: AWS answers {action} with {code}: {message}.")


def _denied(scene: _Scene) -> Trouble:
    denial = denial_in(scene.message)
    if scene.service == "ce" and _NOT_SWITCHED_ON in scene.message:
        return scene.trouble(
            Denied,
            "Cannot read {what}: Cost Explorer is not switched on, or not open to this account; whoever manages the "
            "billing can open it in the Billing console, and it takes a day to fill.",
        )
    if scene.code.startswith("KMS") and "Denied" not in scene.code:
        return scene.trouble(
            Denied, "Cannot decrypt {what}: its KMS key is disabled, deleted or not ready ({code}); see to the key."
        )
    action = denial.action or ("kms:Decrypt" if "kms" in scene.message.lower() else scene.action)
    denial = msgspec.structs.replace(denial, action=action or "a permission")
    if action == "sts:AssumeRole":
        said = (
            "Cannot read {what}: {who} may not assume {role}{why}; the role's trust policy must name that caller, with "
            "the ExternalId that is listed, and the caller needs sts:AssumeRole ('tollbook iam' prints both)."
        )
    elif denial.is_forbidden:
        said = "Cannot read {what}: {who} lacks {lack}{why}; whoever wrote that deny must take it back."
    elif action.startswith("kms:"):
        said = (
            "Cannot decrypt {what}: {who} lacks {lack}, the key that encrypts it{why}; allow it to the caller and in "
            "the key's own policy."
        )
    else:
        said = "Cannot read {what}: {who} lacks {lack}{why}; allow it ('tollbook iam' prints the whole policy)."
    return scene.trouble(
        Denied,
        said,
        action,
        who=denial.subject,
        role=denial.on or "the role on the list",
        lack=denial.lack,
        why=denial.reason,
    )


_OVER: Final = (
    "The AWS credentials have expired, and {what} could not be read: log in to AWS again, then ask again (a profile of "
    "IAM Identity Center is renewed by 'aws sso login')."
)


class _Saying(msgspec.Struct, frozen=True):
    """What to say.

    Attributes:
        of: the codes, or the kinds of fault.
        service: whose codes they must be, as IAM names it; empty for any.
    """

    kind: type[Trouble]
    sentence: str
    of: Any
    service: str = ""


_CLOCK: Final = "The clock of this machine differs too much from AWS's to read {what}: set it."

_ANSWERS: Final = (
    _Saying(
        NoSuchPlace,
        "No {what}: switch on model invocation logging there, or name another log group.",
        {"ResourceNotFoundException"},
        "logs",
    ),
    _Saying(
        NoSuchPlace,
        "No {what}: make it with what 'tollbook athena ddl' prints, or name another.",
        {"EntityNotFoundException"},
    ),
    _Saying(
        NoSuchPlace,
        "No bucket '{bucket}', where {what} should be: name the one in Bedrock's logging settings.",
        {"NoSuchBucket"},
    ),
    _Saying(NoSuchPlace, "A file of {what} is gone since it was listed: ask again.", {"NoSuchKey"}),
    _Saying(Trouble, "A file of {what} is archived: restore it, or ask for later days.", {"InvalidObjectState"}),
    _Saying(
        Throttled,
        "Too many queries of Logs Insights run in {there}: wait until some end, then ask again.",
        {"LimitExceededException"},
        "logs",
    ),
    # https://docs.aws.amazon.com/aws-cost-management/latest/APIReference/API_GetCostAndUsage.html (Errors)
    _Saying(
        NoSuchPlace,
        "Cost Explorer has no data for these days: it takes a day to fill, and keeps 14 months of days.",
        {"BillExpirationException", "DataUnavailableException"},
        "ce",
    ),
    _Saying(
        Unreachable,
        "Cost Explorer's figures changed while {what} was read: ask again.",
        {"InvalidNextTokenException", "RequestChangedException"},
        "ce",
    ),
    _Saying(Expired, _OVER, _EXPIRED),
    _Saying(NotLoggedIn, _CLOCK, {"RequestTimeTooSkewed"}),
    # The message holds the request as AWS would have signed it, with the session token: none of it is shown.
    _Saying(
        NotLoggedIn,
        "AWS does not accept the signature of a request for {what} ({code}): check the clock of this machine, that the "
        "secret access key is whole, and that no proxy changes requests.",
        {"IncompleteSignature", "IncompleteSignatureException", "InvalidSignatureException", "SignatureDoesNotMatch"},
    ),
    _Saying(
        NotLoggedIn,
        "AWS does not know the credentials used for {what} ({code}): check the access key, and that the region is "
        "switched on for its account.",
        {
            "AuthFailure",
            "InvalidAccessKeyId",
            "InvalidClientTokenId",
            "InvalidToken",
            "MissingAuthenticationToken",
            "MissingAuthenticationTokenException",
            "UnrecognizedClientException",
        },
    ),
    _Saying(
        Denied,
        "Cannot read {what}: the region or the service is not switched on for the account ({code}); an administrator "
        "can do it.",
        {"OptInRequired", "RegionDisabledException", "SubscriptionRequiredException"},
    ),
)

_FAILURES: Final = (
    _Saying(
        NotLoggedIn,
        "No AWS credentials were found to read {what}: set AWS_PROFILE, or run 'aws configure' or 'aws sso login'.",
        (aws.NoCredentialsError, aws.PartialCredentialsError),
    ),
    # The message may hold what a program printed that was asked for credentials: it is not shown.
    _Saying(
        NotLoggedIn,
        "The AWS credentials to read {what} could not be fetched: see what 'aws sts get-caller-identity' says.",
        (aws.CredentialRetrievalError, aws.MetadataRetrievalError),
    ),
    _Saying(
        NotLoggedIn,
        "AWS's settings on this machine have no profile '{profile}': set AWS_PROFILE to one that 'aws configure "
        "list-profiles' names.",
        aws.ProfileNotFound,
    ),
    _Saying(
        Expired,
        "The login to AWS is over, and {what} could not be read: run 'aws sso login', then ask again.",
        _LOGIN_IS_OVER,
    ),
    _Saying(
        Expired,
        "The login to AWS is over, and {what} could not be read: run 'aws login', then ask again.",
        aws.LoginError,
    ),
    _Saying(Expired, _OVER, aws.RefreshWithMFAUnsupportedError),
    _Saying(Trouble, "No region is named for {what}: name one, or set AWS_REGION.", aws.NoRegionError),
    _Saying(Unreachable, "No connection to the proxy {proxy} for {what}: check HTTPS_PROXY.", aws.ProxyConnectionError),
    _Saying(
        Unreachable,
        "No safe connection to {host} for {what}: if a proxy shows a certificate of its own, set AWS_CA_BUNDLE.",
        aws.SSLError,
    ),
    _Saying(
        Unreachable,
        "{host} did not answer in time for {what}: check the network, then ask again.",
        (aws.ReadTimeoutError, aws.ConnectTimeoutError),
    ),
    _Saying(Unreachable, "No connection to {host} for {what}: check the network, then ask again.", _BROKEN_OFF),
    _Saying(
        Unreachable,
        "What came back for {what} is no answer of AWS: see whether a proxy is in between, then ask again.",
        ResponseParserError,
    ),
    _Saying(Trouble, "Cannot read {what}: {message}.", Exception),
)
"""The first that fits counts."""


def _host(url: Any) -> str:
    """Where a URL leads, without user and password."""
    try:
        found = urlsplit(str(url or ""))
        port = f":{found.port}" if found.port else ""
    except ValueError:
        return "AWS"
    return f"{found.hostname}{port}" if found.hostname else "AWS"


def _harmless(said: object) -> str:
    """`said` in one line, without what may be a token, and not too long; without a full stop."""
    return _SECRET.sub("[…]", " ".join(str(said or "").split()))[:_LONGEST].rstrip(".: ") or "nothing"


def _code_of(fault: ClientError) -> str:
    return str(fault.response.get("Error", {}).get("Code", ""))


def _status_of(fault: ClientError) -> int:
    return int(fault.response.get("ResponseMetadata", {}).get("HTTPStatusCode") or 0)
