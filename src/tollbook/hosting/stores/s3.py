"""Records in a bucket, which are asked for one by one: pages of results, for instances on several machines.

An object is a record. Its name is PREFIX/PARTITION/KEY, with KEY escaped as in URLs; that may come to 1,024 bytes [1],
so that names are shorter here than elsewhere. Its metadata `expires` says when the record ceases to exist, exactly; the
object goes when a lifecycle rule of the bucket removes it. S3 shows every write at once [2].

Whoever uses them needs s3:PutObject and s3:GetObject on what lies under the prefix; and s3:ListBucket on the bucket, or
S3 says of what is not there that it may not be read [3]. Objects are encrypted as the bucket has it; with a key of KMS,
kms:Decrypt and kms:GenerateDataKey are needed on that. Region, credentials and another endpoint are set as for every
program that uses boto3.

[1] https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
[2] https://docs.aws.amazon.com/AmazonS3/latest/userguide/Welcome.html#ConsistencyModel
[3] https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html#API_GetObject_Permissions
"""

import math
import time
from collections.abc import Mapping
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from tollbook.core.errors import StoreDown
from tollbook.core.stores import LARGEST_VALUE, Clock, Record
from tollbook.hosting.stores import checked
from tollbook.hosting.stores.remote import Remote

if TYPE_CHECKING:
    from botocore.exceptions import ClientError

_AT_ONCE: Final = 8
_LONGEST_NAME: Final = 1024
_EXPIRES: Final = "expires"

# https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html#ErrorCodeList
_UNKNOWN_CALLER: Final = frozenset(
    ("AccessKeyIdDoesNotExist", "ExpiredToken", "InvalidAccessKeyId", "InvalidToken", "SignatureDoesNotMatch")
)
_TOO_FAST: Final = frozenset(("RequestLimitExceeded", "ServiceUnavailable", "SlowDown", "503"))
_NEEDED: Final = {
    "PutObject": "s3:PutObject there, and kms:GenerateDataKey on the key, if one of KMS encrypts it",
    "GetObject": "s3:GetObject there and s3:ListBucket on the bucket, and kms:Decrypt on the key, if one of KMS "
    "encrypts it",
}


class S3Blobs:
    """`Blobs` in `bucket`, which must exist.

    Args:
        prefix: of all names; empty, or with a slash at its end.
        client: one of boto3's for S3; without it, one is made when it is needed.
        patience_s: how long S3 may take for one record before the store is down.
    """

    def __init__(
        self, bucket: str, prefix: str = "", clock: Clock = time.time, client: Any = None, patience_s: float = 8
    ) -> None:
        self._bucket, self._prefix, self._clock = bucket, prefix, clock
        self._place = f"s3://{bucket}/{prefix}"
        self._s3 = Remote("s3", self._place, _AT_ONCE, patience_s, client, self._down)

    async def put(self, record: Record) -> None:
        at, metadata = self._object(checked(record).partition, record.key), {_EXPIRES: repr(record.expires)}
        await self._s3.ask(lambda s3: s3.put_object(**at, Body=record.value, Metadata=metadata))

    async def get(self, partition: str, key: str) -> Record | None:
        record = await self._s3.ask(lambda s3: self._got(s3, partition, key))
        return record if record and record.expires > self._clock() else None

    async def aclose(self) -> None:
        await self._s3.aclose()

    def _got(self, s3: Any, partition: str, key: str) -> Record | None:
        try:
            answer = s3.get_object(**self._object(partition, key))
        except s3.exceptions.NoSuchKey:
            return None
        with closing(answer["Body"]) as body:
            value = bytes(body.read(LARGEST_VALUE + 1))
        expires = _seconds(answer["Metadata"].get(_EXPIRES, ""))
        # What is none of ours is nothing.
        return None if expires is None or len(value) > LARGEST_VALUE else Record(partition, key, value, expires)

    def _object(self, partition: str, key: str) -> Mapping[str, str]:
        """
        Raises:
            ValueError: the names are too long.
        """
        # The last slash parts the key from the partition, whatever is in them.
        name = f"{self._prefix}{partition}/{quote(key, safe='')}"
        if (size := len(name.encode())) > _LONGEST_NAME:
            raise ValueError(f"A name of {size:,} bytes is too long; S3 takes {_LONGEST_NAME:,}.")
        return {"Bucket": self._bucket, "Key": name}

    def _down(self, fault: "ClientError") -> StoreDown:
        return StoreDown(self._saying(fault))

    def _saying(self, fault: "ClientError") -> str:
        code, said = (str(fault.response["Error"].get(field, "")) for field in ("Code", "Message"))
        if code == "NoSuchBucket":
            return f"There is no bucket '{self._bucket}'. Make it, or name another."
        if code == "AccessDenied":
            needed = _NEEDED[fault.operation_name]
            return f"AWS does not let this process use {self._place}. Grant it {needed}."
        if code in _UNKNOWN_CALLER:
            return f"AWS does not accept the credentials for {self._place} ({code}). Renew them."
        if code in _TOO_FAST:
            return f"{self._place} takes no more for now. Try again later."
        return f"AWS cannot do {fault.operation_name} at {self._place}: {code}, {said.rstrip('.')}."


def _seconds(text: str) -> float | None:
    try:
        found = float(text)
    except ValueError:
        return None
    return found if math.isfinite(found) else None
