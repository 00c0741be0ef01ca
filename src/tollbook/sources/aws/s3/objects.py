"""Objects in S3: listed, and read to the end though the connection may be cut in between.

Sources:
    https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
    https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
"""

from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec
from botocore.exceptions import BotoCoreError, ClientError

from tollbook.core.errors import SourceError
from tollbook.sources.aws.patience import patiently
from tollbook.sources.aws.trouble import is_passing
from tollbook.sources.reading import Watch

_MOST_CUTS: Final = 5


class Object(msgspec.Struct, frozen=True, gc=False):
    """Attributes:
    name: what comes after the folder that was listed.
    size: in bytes, as it lies there.
    """

    name: str
    size: int


class Page(msgspec.Struct, frozen=True):
    """One answer to a request for a list.

    Attributes:
        folders: their names, without the slash at their end.
    """

    objects: list[Object]
    folders: list[str]


def pages(client: Any, bucket: str, folder: str, watch: Watch, *, deep: bool = False) -> Iterator[Page]:
    """What lies in `folder`, whose name ends in a slash.

    Args:
        deep: what lies in folders below it, too.

    Raises:
        ClientError, BotoCoreError: as S3 or the way to it does.
        Halted: see `Watch`.
    """
    more = {} if deep else {"Delimiter": "/"}
    while True:

        def ask(more: dict[str, str] = more) -> Any:
            return client.list_objects_v2(Bucket=bucket, Prefix=folder, **more)

        answer = patiently(ask, watch)
        yield Page(
            [Object(found["Key"][len(folder) :], found["Size"]) for found in answer.get("Contents", ())],
            [found["Prefix"][len(folder) : -1] for found in answer.get("CommonPrefixes", ())],
        )
        if not answer.get("IsTruncated"):
            return
        more = {**more, "ContinuationToken": answer["NextContinuationToken"]}


class Body:
    """The bytes of an object, read like a file's. Where the connection is cut, another goes on from there.

    Attributes:
        requests: how many were made.
    """

    def __init__(self, client: Any, bucket: str, key: str, watch: Watch, told: Callable[[int], None]) -> None:
        """Asks for nothing yet.

        Args:
            told: takes the bytes of every piece.
        """
        self.requests = 0
        self._client, self._named, self._watch, self._told = client, {"Bucket": bucket, "Key": key}, watch, told
        self._position = self._cuts = 0
        self._version = ""
        self._stream: Any = None

    def read(self, size: int) -> bytes:
        """The next bytes: as many as `size`, or all that are left.

        Raises:
            ClientError, BotoCoreError: as S3 or the way to it does; the connection was cut too often.
            SourceError: the object is another by now.
            Halted: see `Watch`.
        """
        self._watch.go_on()
        if self._stream is None:
            answer = self._patiently({})
            self._version, self._stream = answer["ETag"], answer["Body"]
        pieces: list[bytes] = []
        while size and (piece := self._piece(size)):
            pieces.append(piece)
            size -= len(piece)
        return b"".join(pieces)

    def _piece(self, size: int) -> bytes:
        while True:
            try:
                piece: bytes = self._stream.read(size)
            except BotoCoreError as fault:
                self._cuts += 1
                if self._cuts > _MOST_CUTS or not is_passing(fault):
                    raise
                self._stream.close()
                self._stream = self._rest()
            else:
                self._position += len(piece)
                self._told(len(piece))
                return piece

    def _rest(self) -> Any:
        # Half of one object and half of another that came meanwhile would be neither.
        more = {"Range": f"bytes={self._position}-", "IfMatch": self._version}
        try:
            return self._patiently(more)["Body"]
        except ClientError as fault:
            if fault.response.get("Error", {}).get("Code") == "PreconditionFailed":
                raise SourceError("It was replaced while it was read: ask again.") from fault
            raise

    def _patiently(self, more: dict[str, str]) -> Any:
        return patiently(lambda: self._get(more), self._watch)

    def _get(self, more: dict[str, str]) -> Any:
        self.requests += 1
        return self._client.get_object(**self._named, **more)

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()
