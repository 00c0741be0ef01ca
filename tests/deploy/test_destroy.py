"""What removing meets that no server plays, against AWS's own models of its services."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

import boto3
import pytest
from botocore.config import Config
from botocore.stub import ANY, Stubber

from tollbook.deploy.cloudformation.stacks import Stacks
from tollbook.deploy.destroy import destroy, what_there_is
from tollbook.deploy.patience import Patience
from tollbook.deploy.remains import Account, Thing, is_there, remove, thing_of_arn, thing_of_type
from tollbook.deploy.trouble import Denied, DeployError, Unreachable

_NOW: Final = datetime(2026, 11, 23, tzinfo=UTC)


class Played:
    """AWS, whose services answer what they were told to, each in that order, and nothing else."""

    def __init__(self) -> None:
        self._clients: dict[str, tuple[Any, Stubber]] = {}
        self.now = 0.0
        patience = Patience(lambda: self.now, self._pause)
        self.account = Account(lambda service: self._of(service)[0], patience)
        self.stacks = Stacks(self._of("cloudformation")[0], patience)

    def _pause(self, seconds: float) -> None:
        self.now += seconds

    def _of(self, service: str) -> tuple[Any, Stubber]:
        if service not in self._clients:
            client = boto3.client(
                service,
                region_name="eu-west-1",
                aws_access_key_id="testing",
                aws_secret_access_key="testing",  # noqa: S106
                config=Config(retries={"total_max_attempts": 1}),
            )
            stub = Stubber(client)
            stub.activate()
            self._clients[service] = client, stub
        return self._clients[service]

    def answers(self, service: str, operation: str, answer: dict[str, Any], **asked: Any) -> None:
        self._of(service)[1].add_response(operation, answer, asked or None)

    def refuses(self, service: str, operation: str, code: str, message: str = "") -> None:
        self._of(service)[1].add_client_error(operation, code, message)

    def is_done(self) -> None:
        for _, stub in self._clients.values():
            stub.assert_no_pending_responses()


@pytest.fixture
def aws() -> Iterator[Played]:
    played = Played()
    yield played
    played.is_done()


def _versions(*keys: str, markers: tuple[str, ...] = ()) -> dict[str, Any]:
    return {
        "Versions": [{"Key": key, "VersionId": "1"} for key in keys],
        "DeleteMarkers": [{"Key": key, "VersionId": "2"} for key in markers],
    }


def test_a_bucket_is_emptied_a_thousand_versions_at_a_time(aws: Played) -> None:
    asked = {"Bucket": "days", "MaxKeys": 1000}
    aws.answers("s3", "list_object_versions", _versions("a", "b", markers=("a",)), **asked)
    objects = [{"Key": "a", "VersionId": "1"}, {"Key": "b", "VersionId": "1"}, {"Key": "a", "VersionId": "2"}]
    aws.answers("s3", "delete_objects", {}, Bucket="days", Delete={"Objects": objects, "Quiet": True})
    aws.answers("s3", "list_object_versions", _versions("c"), **asked)
    aws.answers("s3", "delete_objects", {}, Bucket="days", Delete=ANY)
    aws.answers("s3", "list_object_versions", {}, **asked)
    aws.answers("s3", "list_multipart_uploads", {"Uploads": [{"Key": "d", "UploadId": "u"}]}, Bucket="days")
    aws.answers("s3", "abort_multipart_upload", {}, Bucket="days", Key="d", UploadId="u")
    aws.answers("s3", "list_multipart_uploads", {}, Bucket="days")
    aws.answers("s3", "delete_bucket", {}, Bucket="days")
    aws.refuses("s3", "head_bucket", "404")
    remove(Thing("bucket", "days"), aws.account)


def test_an_object_that_is_locked_is_said_to_be(aws: Played) -> None:
    aws.answers("s3", "list_object_versions", _versions("a"))
    aws.answers("s3", "delete_objects", {"Errors": [{"Key": "a", "Code": "AccessDenied", "Message": "locked"}]})
    with pytest.raises(
        DeployError, match=r"An object of the bucket days cannot be deleted \(AccessDenied\): see"
    ) as no:
        remove(Thing("bucket", "days"), aws.account)
    assert no.value.action == "s3:DeleteObjectVersion"


@pytest.mark.parametrize(
    ("kind", "service", "operation", "code"),
    [
        ("bucket", "s3", "head_bucket", "404"),
        ("table", "dynamodb", "describe_table", "ResourceNotFoundException"),
        ("user pool", "cognito-idp", "describe_user_pool", "ResourceNotFoundException"),
        ("repository", "ecr", "describe_repositories", "RepositoryNotFoundException"),
        ("role of API Gateway", "iam", "get_role", "NoSuchEntity"),
    ],
)
def test_what_is_gone_is_not_there_and_what_is_denied_is_an_error(
    aws: Played, kind: str, service: str, operation: str, code: str
) -> None:
    aws.refuses(service, operation, code)
    assert not is_there(Thing(kind, "eu-west-1_x"), aws.account)
    aws.refuses(service, operation, "AccessDeniedException")
    with pytest.raises(Denied):
        is_there(Thing(kind, "eu-west-1_x"), aws.account)


def _table(aws: Played, status: str, *, is_protected: bool = False) -> None:
    table = {"TableStatus": status, "DeletionProtectionEnabled": is_protected}
    aws.answers("dynamodb", "describe_table", {"Table": table}, TableName="records")


def test_a_table_is_deleted_once_nothing_changes_it_and_nothing_protects_it(aws: Played) -> None:
    _table(aws, "ACTIVE", is_protected=True)
    aws.answers("dynamodb", "update_table", {}, TableName="records", DeletionProtectionEnabled=False)
    _table(aws, "UPDATING")
    _table(aws, "ACTIVE")
    _table(aws, "ACTIVE")
    aws.answers("dynamodb", "delete_table", {}, TableName="records")
    _table(aws, "DELETING")
    aws.refuses("dynamodb", "describe_table", "ResourceNotFoundException")
    remove(Thing("table", "records"), aws.account)
    assert aws.now == 6


def test_a_table_that_is_being_deleted_is_waited_for_and_not_for_ever(aws: Played) -> None:
    for _ in range(1205):
        _table(aws, "DELETING")
    with pytest.raises(Unreachable, match="told nothing of the end of the table records for 60 minutes"):
        remove(Thing("table", "records"), aws.account)


def test_a_user_pool_goes_after_its_domains_and_when_it_is_no_longer_protected(aws: Played) -> None:
    name = "eu-west-1_x"
    pool = {"UserPool": {"Id": name, "Domain": "book", "CustomDomain": "login.example.com"}}
    aws.answers("cognito-idp", "describe_user_pool", pool, UserPoolId=name)
    aws.answers("cognito-idp", "delete_user_pool_domain", {}, UserPoolId=name, Domain="book")
    aws.answers("cognito-idp", "delete_user_pool_domain", {}, UserPoolId=name, Domain="login.example.com")
    aws.answers("cognito-idp", "describe_user_pool", {"UserPool": {"CustomDomain": "login.example.com"}})
    aws.answers("cognito-idp", "describe_user_pool", {"UserPool": {}})
    aws.answers("cognito-idp", "describe_user_pool", {"UserPool": {"DeletionProtection": "ACTIVE"}})
    aws.answers("cognito-idp", "update_user_pool", {}, UserPoolId=name, DeletionProtection="INACTIVE")
    aws.answers("cognito-idp", "delete_user_pool", {}, UserPoolId=name)
    aws.refuses("cognito-idp", "describe_user_pool", "ResourceNotFoundException")
    remove(Thing("user pool", name), aws.account)


def test_a_log_group_is_not_mistaken_for_one_whose_name_goes_on(aws: Played) -> None:
    groups = [{"logGroupName": "/book/server-old"}]
    aws.answers("logs", "describe_log_groups", {"logGroups": groups}, logGroupNamePrefix="/book/server")
    assert not is_there(Thing("log group", "/book/server"), aws.account)
    aws.answers("logs", "describe_log_groups", {"logGroups": groups, "nextToken": "2"})
    groups = [{"logGroupName": "/book/server"}]
    aws.answers("logs", "describe_log_groups", {"logGroups": groups}, logGroupNamePrefix="/book/server", nextToken="2")
    assert is_there(Thing("log group", "/book/server"), aws.account)


def test_the_role_of_the_account_is_never_removed(aws: Played) -> None:
    with pytest.raises(ValueError, match="role of API Gateway stays"):
        remove(Thing("role of API Gateway", "book-ApiLogWriter-1"), aws.account)


@pytest.mark.parametrize(
    ("arn", "thing"),
    [
        ("arn:aws:s3:::book-bucket-1", Thing("bucket", "book-bucket-1")),
        ("arn:aws:dynamodb:eu-west-1:111122223333:table/book-Table-1", Thing("table", "book-Table-1")),
        ("arn:aws:cognito-idp:eu-west-1:111122223333:userpool/eu-west-1_x", Thing("user pool", "eu-west-1_x")),
        ("arn:aws-cn:logs:cn-north-1:111122223333:log-group:/a/b", Thing("log group", "/a/b")),
        ("arn:aws:logs:eu-west-1:111122223333:log-group:/a/b:*", Thing("log group", "/a/b")),
        ("arn:aws:ecr:eu-west-1:111122223333:repository/a/b", Thing("repository", "a/b")),
        ("arn:aws:lambda:eu-west-1:111122223333:function:book", None),
        ("arn:aws:iam::111122223333:role/book-ServerRole-1", None),
        ("arn:aws:apigateway:eu-west-1::/restapis/x", None),
        ("arn:aws:s3:eu-west-1:111122223333:accesspoint/days", None),
        ("arn:aws:dynamodb:eu-west-1:111122223333:table/book-Table-1/backup/01700000000000-ab", None),
        ("arn:aws:dynamodb:eu-west-1:111122223333:table/book-Table-1/stream/2026-11-23T00:00:00.000", None),
        ("arn:aws:logs:eu-west-1:111122223333:log-group:/a/b:log-stream:c", None),
    ],
)
def test_what_a_tag_leads_to_is_known_by_its_arn(arn: str, thing: Thing | None) -> None:
    assert thing_of_arn(arn) == thing


def test_a_resource_that_was_never_made_is_nothing() -> None:
    assert thing_of_type("AWS::S3::Bucket", "") is None
    assert thing_of_type("AWS::S3::Bucket", "x") == Thing("bucket", "x")
    assert thing_of_type("AWS::Lambda::Function", "x") is None


def _no_stacks(aws: Played) -> None:
    """There are none, nor were there."""
    _gone(aws)
    _gone(aws)
    aws.answers("cloudformation", "list_stacks", {"StackSummaries": []})
    _gone(aws)
    _gone(aws)


def _gone(aws: Played) -> None:
    aws.refuses("cloudformation", "describe_stacks", "ValidationError", "Stack with id book does not exist")


def _tagged(aws: Played, *arns: str, page: str = "", more: str = "") -> None:
    aws.answers(
        "resourcegroupstaggingapi",
        "get_resources",
        {"ResourceTagMappingList": [{"ResourceARN": arn} for arn in arns], "PaginationToken": more},
        TagFilters=[{"Key": "tollbook:stack", "Values": ["book"]}],
        PaginationToken=page,
    )


def test_what_is_left_of_a_stack_that_nobody_remembers_is_found_by_its_tag(aws: Played) -> None:
    _no_stacks(aws)
    _tagged(aws, "arn:aws:s3:::days", more="2")
    _tagged(aws, "arn:aws:dynamodb:eu-west-1:111122223333:table/records", "arn:aws:s3:::days", page="2")
    aws.answers("s3", "head_bucket", {}, Bucket="days")
    _table(aws, "ACTIVE")
    found = what_there_is("book", stacks=aws.stacks, account=aws.account)
    assert found.going == (Thing("bucket", "days"), Thing("table", "records"))


def test_a_tag_that_outlived_its_resource_is_no_resource(aws: Played) -> None:
    _no_stacks(aws)
    _tagged(aws, "arn:aws:s3:::days")
    aws.refuses("s3", "head_bucket", "404")
    assert what_there_is("book", stacks=aws.stacks, account=aws.account).going == ()


def test_something_that_comes_back_is_told_at_the_end(aws: Played) -> None:
    """A function that still ran when its stack went writes its log group anew."""
    arn, group = "arn:aws:logs:eu-west-1:111122223333:log-group:/book", {"logGroups": [{"logGroupName": "/book"}]}
    for _ in range(2):
        _no_stacks(aws)
        _tagged(aws, arn)
        aws.answers("logs", "describe_log_groups", group)
    aws.answers("logs", "delete_log_group", {}, logGroupName="/book")
    aws.answers("logs", "describe_log_groups", {})
    _no_stacks(aws)
    _tagged(aws, arn)
    aws.answers("logs", "describe_log_groups", group)
    with pytest.raises(DeployError, match="Something of 'book' is still there: run the same command again") as left:
        destroy(
            "book",
            stacks=aws.stacks,
            account=aws.account,
            keeps_data=False,
            tell=lambda _: None,
            confirm=lambda _: True,
        )
    assert left.value.more == ("log group /book",)


def test_a_pool_that_was_said_to_stay_does_though_nobody_remembers_the_stack_that_named_it(aws: Played) -> None:
    stack = {
        "StackName": "book",
        "StackId": "arn:aws:cloudformation:eu-west-1:111122223333:stack/book/0f0e",
        "CreationTime": _NOW,
        "StackStatus": "UPDATE_COMPLETE",
        "Tags": [{"Key": "tollbook:stack", "Value": "book"}],
        "Parameters": [{"ParameterKey": "CognitoUserPoolId", "ParameterValue": "eu-west-1_x"}],
    }

    def is_running() -> None:
        aws.answers("cloudformation", "describe_stacks", {"Stacks": [stack]})

    def there_is_a_pool() -> None:
        _tagged(aws, "arn:aws:cognito-idp:eu-west-1:111122223333:userpool/eu-west-1_x")
        aws.answers("cognito-idp", "describe_user_pool", {"UserPool": {}})

    is_running()
    _gone(aws)
    aws.answers("cloudformation", "list_stacks", {"StackSummaries": []})
    is_running()
    _gone(aws)
    aws.answers("cloudformation", "describe_stack_events", {"StackEvents": []})
    is_running()
    aws.answers("cloudformation", "list_stack_resources", {"StackResourceSummaries": []})
    there_is_a_pool()
    is_running()
    aws.answers("cloudformation", "describe_stack_events", {"StackEvents": []})
    aws.answers("cloudformation", "delete_stack", {})
    _gone(aws)
    for _ in range(2):
        _no_stacks(aws)
        there_is_a_pool()
    left = destroy(
        "book", stacks=aws.stacks, account=aws.account, keeps_data=False, tell=lambda _: None, confirm=lambda _: True
    )
    assert left == (Thing("user pool", "eu-west-1_x"),)
