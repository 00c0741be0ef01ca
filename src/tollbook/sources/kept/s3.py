"""Kept days in S3, which instances and people share. One object is one day.

Whoever uses them needs s3:GetObject and s3:PutObject on what lies under the prefix; and s3:ListBucket on the bucket, or
S3 says of a day that was never kept that it may not be read [1]. Objects are encrypted as the bucket has it; with a key
of KMS, kms:Decrypt and kms:GenerateDataKey are needed on that. Nothing is ever removed: a lifecycle rule does that.

[1] https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html#API_GetObject_Permissions
"""

import logging
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Any, Final, TypeVar

from botocore.exceptions import ClientError

from tollbook.core.errors import SourceError, StoreDown, UsageError
from tollbook.sources.aws.patience import abreast, patiently
from tollbook.sources.aws.trouble import translated
from tollbook.sources.kept.days import LARGEST, KeptDay, Key, decoded, encoded
from tollbook.sources.reading import Place, Watch

Answer = TypeVar("Answer")

_log: Final = logging.getLogger(__name__)

_AT_ONCE: Final = 16
_PAUSES: Final = (0.2, 0.8)
"""Seconds before a request is made again. Few: a day that cannot be found is read anew, and the answer waits."""

# https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
_URL: Final = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/([A-Za-z0-9!_.*'()/-]{0,500}))?")

# What is to be done about these is another thing than where logs are read.
_SAYINGS: Final = {
    "AccessDenied": (
        "may not be written. Allow s3:PutObject on what lies there, and kms:GenerateDataKey on the key of KMS, if one "
        "encrypts it."
    ),
    "NoSuchBucket": "lies in a bucket that does not exist. Make it, or name another.",
}


class S3Days:
    """`KeptDays` under `url`.

    Args:
        client: boto3's for S3; it decides how long an answer may take.
        url: `s3://BUCKET/PREFIX`, or the bucket alone.
        pauses: seconds to wait before a request is made again.
        at_once: requests; far below the 5,500 a second that S3 bears under one prefix.

    Raises:
        UsageError: `url` is none of these.
    """

    def __init__(self, client: Any, url: str, pauses: Sequence[float] = _PAUSES, at_once: int = _AT_ONCE) -> None:
        found = _URL.fullmatch(url)
        if found is None:
            raise UsageError(f"{url!a} is no place in S3. Write s3://BUCKET/PREFIX.")
        bucket, prefix = found.groups()
        self._client, self._bucket, self._pauses, self._at_once = client, bucket, pauses, at_once
        self._prefix = f"{prefix.strip('/')}/" if prefix and prefix.strip("/") else ""
        self._place = Place("", client.meta.region_name, url)
        self._watch = Watch()
        self._told = threading.Event()

    def find(self, keys: Sequence[Key]) -> Mapping[Key, KeptDay]:
        """See `KeptDays`. Where some of the days can be had and others cannot, those others are not kept."""
        found: dict[Key, KeptDay] = {}

        def get(key: Key) -> None:
            blob = self._got(key)
            day = None if blob is None else decoded(key, blob)
            if day is not None:
                found[key] = day

        try:
            with self._translated("s3:GetObject"):
                abreast(keys, get, min(self._at_once, len(keys)))
        except StoreDown as fault:
            if not found:
                raise
            _log.warning("Some kept days could not be had, and are read anew: %s", fault)
        return found

    def keep(self, entries: Mapping[Key, KeptDay]) -> None:
        """See `KeptDays`."""

        def put(key: Key) -> None:
            blob = encoded(key, entries[key])
            if blob is not None:
                self._patiently(lambda: self._client.put_object(**self._object(key), Body=blob))

        with self._translated("s3:PutObject"):
            abreast(entries, put, min(self._at_once, len(entries)))

    def _got(self, key: Key) -> bytes | None:
        """What lies at `key`; None if nothing does, as far as one may know."""

        def get() -> bytes:
            with closing(self._client.get_object(**self._object(key))["Body"]) as body:
                return bytes(body.read(LARGEST))

        try:
            return self._patiently(get)
        except ClientError as fault:
            code = _code_of(fault)
            if code == "AccessDenied" and not self._told.is_set():
                self._told.set()
                _log.warning(
                    "S3 lets no kept day be read in %s. If none was ever kept there, s3:ListBucket on the bucket is "
                    "missing; else s3:GetObject, or kms:Decrypt on its key.",
                    self._place.name,
                )
            if code in ("AccessDenied", "NoSuchKey"):
                return None
            raise

    def _patiently(self, request: Callable[[], Answer]) -> Answer:
        return patiently(request, self._watch, self._pauses)

    def _object(self, key: Key) -> Mapping[str, str]:
        return {"Bucket": self._bucket, "Key": f"{self._prefix}{key.name}"}

    @contextmanager
    def _translated(self, action: str) -> Iterator[None]:
        """
        Raises:
            StoreDown: S3 refused or failed within the block.
        """
        try:
            with translated(self._place, action):
                try:
                    yield
                except ClientError as fault:
                    saying = _SAYINGS.get(_code_of(fault))
                    if saying is None:
                        raise
                    raise StoreDown(f"{self._place.name} {saying}") from fault
        except SourceError as fault:
            raise StoreDown(fault.message, fault.more) from fault


def _code_of(fault: ClientError) -> str:
    return str(fault.response.get("Error", {}).get("Code"))
