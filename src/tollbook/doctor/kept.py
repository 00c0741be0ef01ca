"""Whether what the instances of a deployed server share is there: the table of sessions, and the bucket."""

from collections.abc import Mapping
from typing import Any, Final

from tollbook.doctor.credentials import of_aws
from tollbook.doctor.finding import Finding, failed, ok
from tollbook.sources.aws.trouble import NoSuchPlace, Trouble, translated

TABLE: Final = "session store"
BUCKET: Final = "bucket"

# As `hosting.stores.dynamodb` writes its records.
_KEYS: Final = {"partition": ("HASH", "S"), "key": ("RANGE", "S")}
_EXPIRES: Final = "expires"
# 'tollbook deploy' compares templates, and what was removed by hand is in both:
# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/drift-aware-change-sets.html
_REMEDY: Final = (
    "In the CloudFormation console, create a drift-aware change set of the stack, with the template that it has, and "
    "execute it; 'tollbook deploy' does not see what was changed by hand."
)


def table(dynamodb: Any, name: str) -> Finding:
    """Whether records can be kept in a table, and go when they have expired.

    Sources:
        https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_DescribeTable.html
        https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/TTL.html
    """
    try:
        with translated(f"the table {name}", "dynamodb:DescribeTable"):
            try:
                described = dynamodb.describe_table(TableName=name)["Table"]
            except dynamodb.exceptions.ResourceNotFoundException:
                return failed(TABLE, f"There is no table {name}.", _REMEDY)
            expiry = dynamodb.describe_time_to_live(TableName=name).get("TimeToLiveDescription") or {}
    except Trouble as fault:
        return of_aws(TABLE, fault, "dynamodb:DescribeTable and DescribeTimeToLive")
    return judged_table(described, expiry, name)


def judged_table(described: Mapping[str, Any], expiry: Mapping[str, Any], name: str) -> Finding:
    status = described.get("TableStatus")
    kinds = {each["AttributeName"]: each["AttributeType"] for each in described.get("AttributeDefinitions", ())}
    keys = {
        each["AttributeName"]: (each["KeyType"], kinds.get(each["AttributeName"]))
        for each in described.get("KeySchema", ())
    }
    facts = {"table": name, "status": status, "ttl": expiry.get("TimeToLiveStatus")}
    if keys != _KEYS:
        said = f"The table {name} has other keys than 'partition' and 'key', both of text."
        return failed(TABLE, said, _REMEDY, keys=sorted(keys), **facts)
    if status not in ("ACTIVE", "UPDATING"):
        return failed(
            TABLE, f"The table {name} is not to be used: it is {status}.", "Wait until it is ACTIVE.", **facts
        )
    if expiry.get("TimeToLiveStatus") not in ("ENABLED", "ENABLING") or expiry.get("AttributeName") != _EXPIRES:
        said = f"Records of the table {name} never go: its time to live is not on for the attribute '{_EXPIRES}'."
        remedy = (
            f"Switch it on: aws dynamodb update-time-to-live --table-name {name} --time-to-live-specification "
            f"Enabled=true,AttributeName={_EXPIRES}. Sessions end all the same."
        )
        return failed(TABLE, said, remedy, **facts)
    return ok(TABLE, f"The table {name} is there, and what has expired goes.", **facts)


def bucket(s3: Any, name: str) -> Finding:
    """Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadBucket.html"""
    try:
        with translated(f"s3://{name}", "s3:ListBucket"):
            s3.head_bucket(Bucket=name)
    except Trouble as fault:
        if isinstance(fault, NoSuchPlace) or fault.code == "404":
            return failed(BUCKET, f"There is no bucket {name}.", _REMEDY)
        return of_aws(BUCKET, fault, "s3:ListBucket")
    return ok(BUCKET, f"The bucket {name} is there.", bucket=name)
