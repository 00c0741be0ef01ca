"""What AWS refuses or fails at, in its own words, and the sentences that become of it."""

import contextlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import boto3
import pytest
from botocore import exceptions as aws
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.parsers import ResponseParserError
from botocore.stub import Stubber

from tests.fakes.moto import REGION, go_to_moto, moto_server
from tests.fakes.processes import free_port
from tollbook.core.errors import SourceError, TollbookError
from tollbook.sources.aws.denial import denial_in
from tollbook.sources.aws.trouble import (
    Denied,
    Expired,
    NoSuchPlace,
    NotLoggedIn,
    Throttled,
    Trouble,
    Unreachable,
    is_expired,
    is_passing,
    is_throttling,
    translated,
    trouble_of,
)
from tollbook.sources.reading import Place

ACCOUNT: Final = "111122223333"
GROUP: Final = Place(ACCOUNT, REGION, "/aws/bedrock/modelinvocations")
BUCKET: Final = Place(ACCOUNT, REGION, "s3://company-logs/team")
TABLE: Final = Place(ACCOUNT, REGION, "logs.bedrock")
WHAT: Final = f"log group '/aws/bedrock/modelinvocations' in {REGION} of account {ACCOUNT}"
FILTER: Final = "logs:FilterLogEvents"
CALLER: Final = f"arn:aws:sts::{ACCOUNT}:assumed-role/reader/ana"
ARN: Final = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws/bedrock/modelinvocations:log-stream:"
KEY: Final = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/810965d7-2cf3-4704-b084-49d84f88ff1b"
TOKEN: Final = "IQoJb3JpZ2luX2VjEDAaCWV1LXdlc3QtMSJHMEUCIQCanary" + "x9Q" * 40
DENIED: Final = f"User: {CALLER} is not authorized to perform: {FILTER} on resource: {ARN}"

Clients = Callable[[str], Any]


def refusal(
    code: str, message: str = "", status: int = 400, operation: str = "FilterLogEvents", **more: Any
) -> ClientError:
    error = {"Code": code, "Message": message, **more.pop("error", {})}
    return ClientError({"Error": error, "ResponseMetadata": {"HTTPStatusCode": status, **more}}, operation)


def told(fault: Exception, place: Place | str = GROUP, action: str = FILTER) -> Trouble:
    """What becomes of `fault`, which must be one sentence that can stand on a screen."""
    with pytest.raises(SourceError) as raised, translated(place, action):
        raise fault
    trouble = raised.value
    assert isinstance(trouble, Trouble)
    assert trouble.__cause__ is fault
    assert trouble.message.isprintable()
    assert trouble.message.endswith(".")
    assert not re.search(r"\.\.|\{|\}|None", trouble.message)
    assert len(trouble.message) < 1500
    return trouble


@pytest.fixture(scope="module")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with moto_server(tmp_path_factory.mktemp("moto") / "trouble.log") as url:
        yield url


@pytest.fixture
def clients(moto: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Clients]:
    """Makes clients of boto3; all are closed in the end."""
    go_to_moto("STS", moto, monkeypatch, tmp_path)
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto)
    with contextlib.ExitStack() as made:

        def client(service: str) -> Any:
            config = Config(retries={"total_max_attempts": 1})
            return made.enter_context(
                contextlib.closing(boto3.session.Session().client(service, REGION, config=config))
            )

        yield client


class TestRealAnswers:
    """What moto's server answers, through boto3."""

    def test_a_group_that_is_not_there_is_named_with_region_and_account(self, clients: Clients) -> None:
        with pytest.raises(NoSuchPlace) as raised, translated(GROUP, FILTER):
            clients("logs").filter_log_events(logGroupName=GROUP.name)
        assert str(raised.value) == f"No {WHAT}: switch on model invocation logging there, or name another log group."
        assert (raised.value.place, raised.value.action) == (GROUP, FILTER)
        assert raised.value.code == "ResourceNotFoundException"

    def test_so_are_a_bucket_and_a_file(self, clients: Clients) -> None:
        s3 = clients("s3")
        with pytest.raises(NoSuchPlace) as raised, translated(BUCKET, "s3:ListBucket"):
            s3.list_objects_v2(Bucket="company-logs")
        assert str(raised.value) == (
            f"No bucket 'company-logs', where s3://company-logs/team in {REGION} of account {ACCOUNT} should be: "
            "name the one in Bedrock's logging settings."
        )
        s3.create_bucket(Bucket="company-logs", CreateBucketConfiguration={"LocationConstraint": REGION})
        with pytest.raises(NoSuchPlace, match="is gone since it was listed"), translated(BUCKET, "s3:GetObject"):
            s3.get_object(Bucket="company-logs", Key="x")

    def test_a_server_that_is_not_there_is_named(self, clients: Clients, monkeypatch: pytest.MonkeyPatch) -> None:
        port = free_port()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}/secret?token=x")
        logs = clients("logs")
        with pytest.raises(Unreachable) as raised, translated(GROUP, FILTER):
            logs.filter_log_events(logGroupName=GROUP.name)
        assert str(raised.value).startswith(f"No connection to 127.0.0.1:{port} for log group")
        assert is_passing(raised.value.__cause__)  # type: ignore[arg-type]
        assert "secret" not in str(raised.value)

    def test_what_moto_lacks_is_told_of_what_boto3_makes_of_it(self, clients: Clients) -> None:
        logs = clients("logs")
        with Stubber(logs) as stubbed:
            stubbed.add_client_error("start_query", "LimitExceededException", "Account maximum query concurrency", 400)
            with pytest.raises(Throttled) as raised, translated(GROUP, "logs:StartQuery"):
                logs.start_query(logGroupName=GROUP.name, startTime=0, endTime=1, queryString="fields @message")
        assert str(raised.value) == (
            f"Too many queries of Logs Insights run in {REGION} of account {ACCOUNT}: wait until some end, "
            "then ask again."
        )
        assert is_throttling(raised.value.__cause__)  # type: ignore[arg-type]


class TestWhatIsNotThere:
    def test_a_table_is_one_of_athena(self) -> None:
        for code, action in (
            ("EntityNotFoundException", "glue:GetTable"),
            ("EntityNotFoundException", "athena:StartQueryExecution"),
        ):
            trouble = told(refusal(code), TABLE, action)
            assert isinstance(trouble, NoSuchPlace)
            assert str(trouble) == (
                f"No table 'logs.bedrock' of Athena in {REGION} of account {ACCOUNT}: make it with what 'tollbook "
                "athena ddl' prints, or name another."
            )

    def test_what_is_not_there_of_another_service_is_told_in_its_words(self) -> None:
        trouble = told(refusal("ResourceNotFoundException", "No such profile."), GROUP, "bedrock:GetInferenceProfile")
        assert type(trouble) is Trouble
        assert str(trouble) == (
            f"Cannot read {WHAT}: AWS answers bedrock:GetInferenceProfile with ResourceNotFoundException: No such "
            "profile."
        )

    @pytest.mark.parametrize(
        ("more", "where"),
        [
            ({"HTTPHeaders": {"x-amz-bucket-region": "us-west-2"}}, "us-west-2"),
            ({"error": {"Region": "ap-south-1"}}, "ap-south-1"),
            ({}, "another region"),
        ],
    )
    @pytest.mark.parametrize("code", ["PermanentRedirect", "AuthorizationHeaderMalformed", "301"])
    def test_a_bucket_elsewhere_is_told_where(self, code: str, more: Any, where: str) -> None:
        trouble = told(refusal(code, "", 301, "ListObjectsV2", **more), BUCKET, "s3:ListBucket")
        assert isinstance(trouble, NoSuchPlace)
        assert f"lies in {where}: name that region." in str(trouble)

    def test_an_archived_file_is_no_missing_one(self) -> None:
        trouble = told(refusal("InvalidObjectState", "", 403, "GetObject"), BUCKET, "s3:GetObject")
        assert "is archived: restore it" in str(trouble)


class TestDenials:
    """Messages as AWS writes them: see the pages that `denial` names."""

    @pytest.mark.parametrize("code", ["AccessDeniedException", "AccessDenied", "UnauthorizedOperation"])
    def test_what_is_missing_is_named_with_who_lacks_it_and_on_what(self, code: str) -> None:
        trouble = told(refusal(code, f"{DENIED} because no identity-based policy allows the {FILTER} action"))
        assert isinstance(trouble, Denied)
        assert (trouble.action, trouble.place) == (FILTER, GROUP)
        assert str(trouble) == (
            f"Cannot read {WHAT}: {CALLER} lacks {FILTER} on {ARN}, which no identity-based policy allows; allow it "
            "('tollbook iam' prints the whole policy)."
        )

    def test_another_action_may_be_missing_than_was_asked_for(self) -> None:
        message = f"User: {CALLER} is not authorized to perform: logs:Unmask on resource: {ARN}"
        assert told(refusal("AccessDeniedException", message)).action == "logs:Unmask"

    def test_an_account_may_be_all_that_is_known_of_who_asked(self) -> None:
        # https://github.com/aws/aws-cli/issues/4422
        message = f"User with accountId: {ACCOUNT} is not authorized to perform: {FILTER} on resource: {ARN}"
        assert f": {ACCOUNT} lacks {FILTER} on {ARN}; allow it" in str(told(refusal("AccessDeniedException", message)))

    def test_without_a_word_of_aws_it_is_what_was_to_be_done(self) -> None:
        for message in ("Access Denied", ""):
            trouble = told(refusal("AccessDenied", message, 403, "ListObjectsV2"), BUCKET, "s3:ListBucket")
            assert "whoever asked lacks s3:ListBucket; allow it" in str(trouble)
            assert trouble.action == "s3:ListBucket"
        assert "lacks a permission; allow it" in str(told(refusal("403"), GROUP, ""))

    @pytest.mark.parametrize(
        ("policy", "shown"),
        [
            ("identity-based policy", "an identity-based policy"),
            ("service control policy", "a service control policy"),
            ("resource control policy", "a resource control policy"),
            ("VPC endpoint policy", "a VPC endpoint policy"),
            ("permissions boundary", "a permissions boundary"),
        ],
    )
    def test_a_deny_is_taken_back_by_whoever_wrote_it(self, policy: str, shown: str) -> None:
        article = shown.partition(" ")[0]
        said = str(told(refusal("AccessDeniedException", f"{DENIED} with an explicit deny in {article} {policy}")))
        assert f"on {ARN}, by an explicit deny in {shown}; whoever wrote that deny must take it back." in said
        assert "tollbook iam" not in said

    def test_a_deny_may_be_told_with_its_policy_or_with_nothing(self) -> None:
        which = "arn:aws:organizations::987654321098:policy/o-qv5af4abcd/service_control_policy/p-2kgnabcd"
        long = refusal("AccessDenied", f"{DENIED} with an explicit deny in a service control policy: {which}")
        assert f", by an explicit deny in a service control policy ({which}); whoever" in str(told(long))
        short = refusal("AccessDenied", f"{DENIED} with an explicit deny")
        assert f"on {ARN}, by an explicit deny; whoever" in str(told(short))

    @pytest.mark.parametrize(
        "policy",
        [
            "session policy",
            "resource-based policy",
            "service control policy",
            "VPC endpoint policy",
            "permissions boundary",
        ],
    )
    def test_it_is_said_which_kind_of_policy_does_not_allow_it(self, policy: str) -> None:
        message = f"{DENIED} because no {policy} allows the {FILTER} action"
        assert f"on {ARN}, which no {policy} allows; allow it" in str(told(refusal("AccessDeniedException", message)))

    def test_a_resource_may_stand_in_quotes(self) -> None:
        message = (
            f'User: {CALLER} is not authorized to perform: s3:ListBucket on resource: "arn:aws:s3:::company-logs" '
            "because no identity-based policy allows the s3:ListBucket action"
        )
        said = str(told(refusal("AccessDenied", message, 403, "ListObjectsV2"), BUCKET, "s3:ListBucket"))
        assert "lacks s3:ListBucket on arn:aws:s3:::company-logs, which no identity-based policy allows;" in said

    @pytest.mark.parametrize("code", ["AccessDenied", "KMSAccessDeniedException", "KMS.AccessDeniedException"])
    def test_a_key_is_allowed_in_its_own_policy_too(self, code: str) -> None:
        message = (
            f"User: {CALLER} is not authorized to perform: kms:Decrypt on resource: {KEY} because no resource-based "
            "policy allows the kms:Decrypt action"
        )
        trouble = told(refusal(code, message, 403, "GetObject"), BUCKET, "s3:GetObject")
        assert isinstance(trouble, Denied)
        assert trouble.action == "kms:Decrypt"
        assert str(trouble).startswith("Cannot decrypt s3://company-logs/team in ")
        assert (
            f"{CALLER} lacks kms:Decrypt on {KEY}, the key that encrypts it, which no resource-based policy allows; "
            "allow it to the caller and in the key's own policy." in str(trouble)
        )

    def test_a_key_may_be_meant_without_being_named(self) -> None:
        message = "The specified KMS key does not exist or is not allowed to be used with LogGroup"
        said = str(told(refusal("AccessDeniedException", message)))
        assert "whoever asked lacks kms:Decrypt, the key that encrypts it; allow" in said

    @pytest.mark.parametrize("code", ["KMS.DisabledException", "KMS.NotFoundException", "KMS.KMSInvalidStateException"])
    def test_a_key_may_be_out_of_use(self, code: str) -> None:
        trouble = told(refusal(code, "", 400, "GetObject"), BUCKET, "s3:GetObject")
        assert isinstance(trouble, Denied)
        assert f"its KMS key is disabled, deleted or not ready ({code}); see to the key." in str(trouble)

    def test_a_role_that_may_not_be_assumed_is_no_missing_right_to_read(self) -> None:
        role = "arn:aws:iam::444455556666:role/reader"
        message = f"User: {CALLER} is not authorized to perform: sts:AssumeRole on resource: {role}"
        for said, named in (
            (message, f"{CALLER} may not assume {role}; the"),
            ("Access denied", "may not assume the role"),
        ):
            trouble = told(refusal("AccessDenied", said, 403, "AssumeRole"))
            assert trouble.action == "sts:AssumeRole"
            assert named in str(trouble)
            assert "the ExternalId that is listed" in str(trouble)

    @pytest.mark.parametrize("code", ["OptInRequired", "RegionDisabledException", "SubscriptionRequiredException"])
    def test_a_region_may_be_switched_off(self, code: str) -> None:
        trouble = told(
            refusal(code, "STS is not activated in this region for account:111122223333.", 403, "AssumeRole")
        )
        assert isinstance(trouble, Denied)
        assert f"is not switched on for the account ({code}); an administrator can do it." in str(trouble)

    def test_what_makes_no_sense_tells_nothing(self) -> None:
        assert denial_in("User: x is not authorized to perform: rm -rf") == denial_in("") == denial_in("User: " * 9999)

    def test_long_names_are_cut(self) -> None:
        long = denial_in(f"User: arn:{'x' * 1500} is not authorized to perform: a:B on resource: arn:{'y' * 1500}")
        assert (len(long.who), len(long.on)) == (300, 300)


class TestWhoAsks:
    @pytest.mark.parametrize(
        "fault",
        [
            refusal("ExpiredToken", "The provided token has expired.", 400, "GetObject"),
            refusal("ExpiredTokenException", "The security token included in the request is expired"),
            refusal("RequestExpired", "Request has expired."),
            refusal("TokenRefreshRequired"),
            aws.RefreshWithMFAUnsupportedError(),
        ],
    )
    def test_whose_credentials_are_over_logs_in_again(self, fault: Exception) -> None:
        trouble = told(fault)
        assert isinstance(trouble, Expired)
        assert "The AWS credentials have expired" in str(trouble)
        assert WHAT in str(trouble)
        assert is_expired(fault)
        assert is_expired(trouble)
        assert not is_passing(fault)

    @pytest.mark.parametrize(
        ("fault", "command"),
        [
            (aws.SSOTokenLoadError(error_msg=f"Token for x does not exist: {TOKEN}"), "aws sso login"),
            (aws.UnauthorizedSSOTokenError(), "aws sso login"),
            (aws.TokenRetrievalError(provider="sso", error_msg=f"Token has expired: {TOKEN}"), "aws sso login"),
            (aws.NoAuthTokenError(), "aws sso login"),
            (aws.LoginRefreshRequired(), "aws login"),
            (aws.LoginTokenLoadError(error_msg=TOKEN), "aws login"),
        ],
    )
    def test_whose_login_is_over_is_told_how_to_log_in(self, fault: Exception, command: str) -> None:
        trouble = told(fault)
        assert isinstance(trouble, Expired)
        assert f"The login to AWS is over, and {WHAT} could not be read: run '{command}', then ask again." == str(
            trouble
        )
        assert is_expired(fault)

    @pytest.mark.parametrize("code", ["InvalidClientTokenId", "UnrecognizedClientException", "InvalidAccessKeyId"])
    def test_who_is_not_known_checks_his_key_and_the_region(self, code: str) -> None:
        trouble = told(refusal(code, "The security token included in the request is invalid."))
        assert type(trouble) is NotLoggedIn
        assert f"({code}): check the access key, and that the region is switched on for its account." in str(trouble)
        assert not is_expired(trouble)

    @pytest.mark.parametrize(
        "fault",
        [
            # https://github.com/boto/boto3/issues/4716, https://github.com/aws/aws-cli/issues/6676,
            # https://github.com/basak/glacier-cli/issues/36
            refusal(
                "InvalidSignatureException",
                "Signature expired: 20260204T205323Z is now earlier than 20260205T141250Z (20260205T141750Z - 5 min.)",
            ),
            refusal(
                "SignatureDoesNotMatch",
                "Signature expired: 20220127T001427Z is now earlier than 20220127T014428Z (20220127T015928Z - 15 min.)",
                403,
                "GetCallerIdentity",
            ),
            refusal(
                "InvalidSignatureException",
                "Signature not yet current: 20131120T113529Z is still later than 20131120T104538Z",
            ),
            refusal(
                "RequestTimeTooSkewed", "The difference between the request time and the current time is too large."
            ),
        ],
    )
    def test_whose_clock_is_wrong_sets_it(self, fault: ClientError) -> None:
        trouble = told(fault)
        assert isinstance(trouble, NotLoggedIn)
        assert str(trouble) == f"The clock of this machine differs too much from AWS's to read {WHAT}: set it."

    @pytest.mark.parametrize("code", ["SignatureDoesNotMatch", "InvalidSignatureException", "IncompleteSignature"])
    def test_whose_signature_is_wrong_is_not_shown_his_own_token(self, code: str) -> None:
        # https://github.com/DavidMuller/aws-requests-auth/issues/31
        message = (
            "The request signature we calculated does not match the signature you provided. The Canonical String for "
            f"this request should have been\n'POST\n/\n\nhost:logs.amazonaws.com\nx-amz-security-token:{TOKEN}\n'"
        )
        trouble = told(refusal(code, message, 403))
        assert isinstance(trouble, NotLoggedIn)
        assert f"({code}): check the clock of this machine, that the secret access key is whole," in str(trouble)
        assert "Canary" not in str(trouble)

    @pytest.mark.parametrize(
        "fault",
        [aws.NoCredentialsError(), aws.PartialCredentialsError(provider="env", cred_var="AWS_SECRET_ACCESS_KEY")],
    )
    def test_who_has_no_credentials_is_told_where_they_come_from(self, fault: Exception) -> None:
        trouble = told(fault)
        assert type(trouble) is NotLoggedIn
        assert str(trouble) == (
            f"No AWS credentials were found to read {WHAT}: set AWS_PROFILE, or run 'aws configure' or 'aws sso login'."
        )

    @pytest.mark.parametrize(
        "fault",
        [
            aws.CredentialRetrievalError(provider="custom-process", error_msg=f"it printed {TOKEN}"),
            aws.MetadataRetrievalError(error_msg=f"it answered {TOKEN}"),
        ],
    )
    def test_what_a_provider_of_credentials_says_is_not_shown(self, fault: Exception) -> None:
        trouble = told(fault)
        assert type(trouble) is NotLoggedIn
        assert "could not be fetched: see what 'aws sts get-caller-identity' says." in str(trouble)
        assert "Canary" not in str(trouble)

    def test_a_profile_that_is_not_there_is_named(self) -> None:
        trouble = told(aws.ProfileNotFound(profile="wrok\x1b[2J"))
        assert isinstance(trouble, NotLoggedIn)
        assert "have no profile 'wrok<U+001B>[2J': set AWS_PROFILE" in str(trouble)

    def test_no_region_is_asked_for(self) -> None:
        assert "name one, or set AWS_REGION." in str(told(aws.NoRegionError(), "the logs", ""))


class TestHaste:
    @pytest.mark.parametrize(
        "fault",
        [
            refusal("ThrottlingException", "Rate exceeded"),
            refusal("Throttling"),
            refusal("TooManyRequestsException"),
            refusal("SlowDown", "Please reduce your request rate.", 503),
            refusal("RequestLimitExceeded"),
            refusal("LimitExceededException", "", 400, "GetMetricData"),
            refusal("429", "", 429),
        ],
    )
    def test_is_told_with_what_was_asked_too_much(self, fault: ClientError) -> None:
        trouble = told(fault, GROUP, "cloudwatch:GetMetricData")
        assert isinstance(trouble, Throttled)
        assert str(trouble) == (
            f"AWS throttles cloudwatch:GetMetricData for {WHAT}: wait a minute, or ask for fewer days."
        )
        assert is_throttling(fault)

    def test_is_nothing_else(self) -> None:
        for fault in (refusal("AccessDeniedException"), refusal("InternalFailure", "", 500), aws.NoCredentialsError()):
            assert not is_throttling(fault)


class TestWhatPasses:
    @pytest.mark.parametrize(
        "fault",
        [
            refusal("ServiceUnavailableException", "", 503),
            refusal("InternalFailure", "", 500),
            refusal("RequestTimeout", "Your socket connection to the server was not read from", 400, "GetObject"),
            refusal("502", "Bad Gateway", 502),
        ],
    )
    def test_a_failure_of_aws_is_asked_again(self, fault: ClientError) -> None:
        trouble = told(fault)
        assert isinstance(trouble, Unreachable)
        assert str(trouble).startswith(f"AWS fails at {FILTER} for {WHAT} (")
        assert is_passing(fault)

    URL: Final = f"https://logs.{REGION}.amazonaws.com/path?token=Canary"

    @pytest.mark.parametrize(
        ("fault", "said"),
        [
            (
                aws.EndpointConnectionError(endpoint_url=URL),
                f"No connection to logs.{REGION}.amazonaws.com for {WHAT}: check",
            ),
            (aws.ConnectionClosedError(endpoint_url=URL), f"No connection to logs.{REGION}.amazonaws.com for "),
            (
                aws.ConnectTimeoutError(endpoint_url=URL),
                f"logs.{REGION}.amazonaws.com did not answer in time for {WHAT}:",
            ),
            (aws.ReadTimeoutError(endpoint_url=URL), f"logs.{REGION}.amazonaws.com did not answer in time"),
            (aws.HTTPClientError(error="Canary"), "No connection to AWS for "),
            (aws.ResponseStreamingError(error="Canary"), "No connection to AWS for "),
            (aws.IncompleteReadError(actual_bytes=1, expected_bytes=2), "No connection to AWS for "),
            (aws.EndpointConnectionError(endpoint_url="http://[::1"), "No connection to AWS for "),
            (
                aws.ProxyConnectionError(proxy_url="http://ana:Canary@proxy.example.com:3128"),
                f"No connection to the proxy proxy.example.com:3128 for {WHAT}: check HTTPS_PROXY.",
            ),
            (
                aws.SSLError(endpoint_url=URL, error="EOF occurred in violation of protocol"),
                f"No safe connection to logs.{REGION}.amazonaws.com for {WHAT}: if a proxy",
            ),
            (ResponseParserError("Unable to parse response, invalid XML received: Canary"), "What came back for "),
        ],
    )
    def test_a_connection_is_told_with_its_host_and_nothing_more(self, fault: Exception, said: str) -> None:
        trouble = told(fault)
        assert isinstance(trouble, Unreachable)
        assert str(trouble).startswith(said)
        assert "Canary" not in str(trouble)
        assert is_passing(fault)

    @pytest.mark.parametrize(
        "fault",
        [
            aws.NoCredentialsError(),
            aws.ProfileNotFound(profile="x"),
            aws.ParamValidationError(report="x"),
            aws.CredentialRetrievalError(provider="x", error_msg="x"),
            aws.SSLError(endpoint_url=URL, error="[SSL: CERTIFICATE_VERIFY_FAILED] self-signed certificate"),
            refusal("AccessDeniedException"),
            refusal("ResourceNotFoundException"),
            refusal("ThrottlingException"),
            ValueError(),
        ],
    )
    def test_nothing_else_does(self, fault: Exception) -> None:
        assert not is_passing(fault)


class TestWhatIsNotKnown:
    def test_is_told_in_the_words_of_aws(self) -> None:
        trouble = told(refusal("MalformedQueryException", "unexpected symbol found | at line 1\nand more."), GROUP)
        assert type(trouble) is Trouble
        assert str(trouble) == (
            f"Cannot read {WHAT}: AWS answers {FILTER} with MalformedQueryException: unexpected symbol found | "
            "at line 1 and more."
        )
        assert (trouble.code, trouble.action, trouble.place) == ("MalformedQueryException", FILTER, GROUP)

    def test_is_told_without_an_action_and_a_word_too(self) -> None:
        said = str(told(ClientError({}, "X"), "the price list", ""))
        assert said == "Cannot read the price list: AWS answers a request with nothing: nothing."

    def test_is_told_of_boto3_too(self) -> None:
        trouble = told(aws.ParamValidationError(report="Invalid length for parameter limit, value: 0\nmore"))
        assert (
            str(trouble)
            == f"Cannot read {WHAT}: Parameter validation failed: Invalid length for parameter limit, value: 0 more."
        )

    @pytest.mark.parametrize(
        "secret", [TOKEN, "eyJhbGciOiJSUzI1NiJ9" + "A" * 60, "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"]
    )
    def test_holds_no_token_and_has_an_end(self, secret: str) -> None:
        for message in (f"bad token {secret} given", f"{secret}{'y ' * 5000}"):
            said = str(told(refusal("SomethingNew", message)))
            assert secret[8:32] not in said
            assert "[…]" in said
            assert len(said) < 600

    def test_is_harmless_on_a_screen(self) -> None:
        said = str(told(refusal("Odd\x1b[2J", "\u202eevil\x07 \x1b]0;owned"), GROUP))
        assert "<U+001B>[2J: <U+202E>evil<U+0007> <U+001B>]0;owned." in said

    def test_fills_no_gaps_itself(self) -> None:
        said = str(trouble_of(refusal("{what}", "{0} {message}"), GROUP, FILTER))
        assert said.endswith("with {what}: {0} {message}.")

    def test_passes_as_it_is_if_it_is_not_of_aws(self) -> None:
        for fault in (ValueError("x"), SourceError("said already")):
            with pytest.raises(type(fault)) as raised, translated(GROUP, FILTER):
                raise fault
            assert raised.value is fault

    def test_can_be_told_without_being_raised(self) -> None:
        assert isinstance(trouble_of(refusal("NoSuchBucket"), "s3://b/x", "s3:ListBucket"), NoSuchPlace)
        assert "No bucket 'b'" in str(trouble_of(refusal("NoSuchBucket"), "s3://b/x", "s3:ListBucket"))
        assert "run in this region:" in str(trouble_of(refusal("LimitExceededException"), "x", "logs:StartQuery"))

    def test_knows_no_account_where_none_is_known(self) -> None:
        here = Place("", REGION, "logs.bedrock")
        assert f"No table 'logs.bedrock' of Athena in {REGION}: make" in str(
            told(refusal("EntityNotFoundException"), here, "glue:GetTable")
        )


def test_every_kind_of_trouble_is_one_of_tollbooks_and_a_sources() -> None:
    for kind in (NoSuchPlace, Denied, NotLoggedIn, Expired, Throttled, Unreachable):
        assert issubclass(kind, Trouble)
    assert issubclass(Trouble, SourceError)
    assert issubclass(Trouble, TollbookError)
    assert Trouble("x").exit_code == 1
