"""What outlives a stack: how each kind of it is found, emptied and removed.

Whatever is gone already is fine: it may have been interrupted at any point, and be run again.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec
from botocore.exceptions import ClientError

from tollbook.deploy.aws import Clients
from tollbook.deploy.patience import Patience
from tollbook.deploy.trouble import DeployError, translated

_GONE: Final = frozenset(
    {
        "404",
        "NoSuchBucket",
        "NoSuchEntity",
        "NoSuchUpload",
        "RepositoryNotFoundException",
        "ResourceNotFoundException",
    }
)
_AT_ONCE: Final = 1000
"""Objects that a request may delete: https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html"""


class Thing(msgspec.Struct, frozen=True, order=True):
    """A stack, or something that outlives one.

    Attributes:
        kind: in words: `stack`, or that of a `Kind`.
        name: AWS's for it.
    """

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


class Account(msgspec.Struct, frozen=True):
    """Where things are."""

    aws: Clients
    patience: Patience

    def ask(self, service: str, operation: str, **arguments: Any) -> Any:
        """The answer; None where what it is about is gone.

        Raises:
            DeployError: AWS refused or failed.
        """
        client = self.aws(service)
        with translated(service):
            try:
                return getattr(client, operation)(**arguments)
            except ClientError as fault:
                if fault.response["Error"]["Code"] not in _GONE:
                    raise
        return None


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of thing.

    Attributes:
        word: for it.
        type: CloudFormation's.
        arn: what its ARN is behind the partition, whole, so that a table's backup is no table; the group is its name.
            Empty where no tag leads to it.
        is_there: whether there is one of a name.
        remove: empties and removes it; None for what stays in any case.
        is_data: whether it holds what somebody may want to keep.
    """

    word: str
    type: str
    arn: str = ""
    is_there: Callable[[Account, str], bool]
    remove: Callable[[Account, str], None] | None = None
    is_data: bool = True


def is_there(thing: Thing, account: Account) -> bool:
    """Whether it exists.

    Raises:
        DeployError: AWS refused or failed.
    """
    return _KINDS[thing.kind].is_there(account, thing.name)


def remove(thing: Thing, account: Account) -> None:
    """Empties and removes it, and waits until it is gone.

    Raises:
        DeployError: AWS refused or failed.
    """
    kind = _KINDS[thing.kind]
    if kind.remove is None:
        raise ValueError(f"{thing.kind} stays")
    kind.remove(account, thing.name)
    account.patience.until(lambda: not kind.is_there(account, thing.name), f"the end of the {thing}")


def is_data(thing: Thing) -> bool:
    """Whether it holds what somebody may want to keep."""
    return _KINDS[thing.kind].is_data


def stays(thing: Thing) -> bool:
    """Whether it is never removed."""
    return _KINDS[thing.kind].remove is None


def thing_of_type(type_: str, name: str) -> Thing | None:
    """The thing that is a resource of CloudFormation; None for kinds that end with their stack."""
    return next((Thing(kind.word, name) for kind in _KINDS.values() if kind.type == type_ and name), None)


def thing_of_arn(arn: str) -> Thing | None:
    """The thing of an ARN that a tag led to; None for kinds that end with their stack."""
    # https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html
    _, _, place = arn.split(":", 2)
    for kind in _KINDS.values():
        if found := re.fullmatch(kind.arn, place):
            return Thing(kind.word, found[1])
    return None


def _has_bucket(account: Account, name: str) -> bool:
    return account.ask("s3", "head_bucket", Bucket=name) is not None


def _remove_bucket(account: Account, name: str) -> None:
    """With every version, and the parts of uploads that were never completed.

    Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/empty-bucket.html
    """
    # What is listed is deleted, so that each listing begins anew.
    while found := account.ask("s3", "list_object_versions", Bucket=name, MaxKeys=_AT_ONCE):
        keys = [
            {"Key": each["Key"], "VersionId": each["VersionId"]}
            for each in (*found.get("Versions", ()), *found.get("DeleteMarkers", ()))
        ]
        if not keys:
            break
        gone = account.ask("s3", "delete_objects", Bucket=name, Delete={"Objects": keys, "Quiet": True})
        if gone and (errors := gone.get("Errors")):
            raise DeployError(
                f"An object of the bucket {name} cannot be deleted ({errors[0].get('Code', 'no reason is given')}): "
                "see whether it is locked, then run the same command again.",
                action="s3:DeleteObjectVersion",
                code=errors[0].get("Code", ""),
            )
    while uploads := (account.ask("s3", "list_multipart_uploads", Bucket=name) or {}).get("Uploads"):
        for each in uploads:
            account.ask("s3", "abort_multipart_upload", Bucket=name, Key=each["Key"], UploadId=each["UploadId"])
    account.ask("s3", "delete_bucket", Bucket=name)


def _has_table(account: Account, name: str) -> bool:
    return account.ask("dynamodb", "describe_table", TableName=name) is not None


def _remove_table(account: Account, name: str) -> None:
    """A table that is being changed cannot be deleted, nor one that is protected.

    Source: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_DeleteTable.html
    """

    def status() -> str:
        found = account.ask("dynamodb", "describe_table", TableName=name)
        return str(found["Table"]["TableStatus"]) if found else ""

    def is_still() -> bool:
        return status() in ("", "ACTIVE", "DELETING", "ARCHIVED", "INACCESSIBLE_ENCRYPTION_CREDENTIALS")

    found = account.ask("dynamodb", "describe_table", TableName=name)
    if found and found["Table"].get("DeletionProtectionEnabled"):
        account.ask("dynamodb", "update_table", TableName=name, DeletionProtectionEnabled=False)
    account.patience.until(is_still, f"the table {name}")
    if status() not in ("", "DELETING"):
        account.ask("dynamodb", "delete_table", TableName=name)


def _has_pool(account: Account, name: str) -> bool:
    return account.ask("cognito-idp", "describe_user_pool", UserPoolId=name) is not None


def _remove_pool(account: Account, name: str) -> None:
    """A pool goes after its domain, and not while it is protected.

    Source: https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_DeleteUserPool.html
    """

    def domains() -> list[str]:
        pool = (account.ask("cognito-idp", "describe_user_pool", UserPoolId=name) or {}).get("UserPool", {})
        return [pool[key] for key in ("Domain", "CustomDomain") if pool.get(key)]

    for domain in domains():
        account.ask("cognito-idp", "delete_user_pool_domain", UserPoolId=name, Domain=domain)
    account.patience.until(lambda: not domains(), f"the domain of the user pool {name}")
    found = account.ask("cognito-idp", "describe_user_pool", UserPoolId=name)
    if found and found["UserPool"].get("DeletionProtection") == "ACTIVE":
        # What is not said here goes back to its default; the pool goes in the next moment.
        account.ask("cognito-idp", "update_user_pool", UserPoolId=name, DeletionProtection="INACTIVE")
    account.ask("cognito-idp", "delete_user_pool", UserPoolId=name)


def _has_log_group(account: Account, name: str) -> bool:
    return any(each["logGroupName"] == name for each in _log_groups(account, name))


def _log_groups(account: Account, prefix: str) -> Iterator[dict[str, Any]]:
    token: dict[str, str] = {}
    while True:
        found = account.ask("logs", "describe_log_groups", logGroupNamePrefix=prefix, **token) or {}
        yield from found.get("logGroups", ())
        if not found.get("nextToken"):
            return
        token = {"nextToken": found["nextToken"]}


def _remove_log_group(account: Account, name: str) -> None:
    account.ask("logs", "delete_log_group", logGroupName=name)


def _has_repository(account: Account, name: str) -> bool:
    return account.ask("ecr", "describe_repositories", repositoryNames=[name]) is not None


def _remove_repository(account: Account, name: str) -> None:
    """With its images. Source: https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_DeleteRepository.html"""
    account.ask("ecr", "delete_repository", repositoryName=name, force=True)


def _has_role(account: Account, name: str) -> bool:
    return account.ask("iam", "get_role", RoleName=name) is not None


STACK: Final = "stack"

_KINDS: Final = {
    kind.word: kind
    for kind in (
        Kind(
            word="bucket",
            type="AWS::S3::Bucket",
            arn=r"s3:::([^:/]+)",
            is_there=_has_bucket,
            remove=_remove_bucket,
        ),
        Kind(
            word="table",
            type="AWS::DynamoDB::Table",
            arn=r"dynamodb:[^:]*:[^:]*:table/([^:/]+)",
            is_there=_has_table,
            remove=_remove_table,
        ),
        Kind(
            word="user pool",
            type="AWS::Cognito::UserPool",
            arn=r"cognito-idp:[^:]*:[^:]*:userpool/([^:/]+)",
            is_there=_has_pool,
            remove=_remove_pool,
        ),
        Kind(
            word="log group",
            type="AWS::Logs::LogGroup",
            arn=r"logs:[^:]*:[^:]*:log-group:([^:]+)(?::\*)?",
            is_there=_has_log_group,
            remove=_remove_log_group,
        ),
        # Images can be made again.
        Kind(
            word="repository",
            type="AWS::ECR::Repository",
            arn=r"ecr:[^:]*:[^:]*:repository/([^:]+)",
            is_there=_has_repository,
            remove=_remove_repository,
            is_data=False,
        ),
        # API Gateway writes the logs of the whole account with it:
        # https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-logging.html
        Kind(
            word="role of API Gateway",
            type="AWS::IAM::Role",
            is_there=_has_role,
            is_data=False,
        ),
    )
}
