"""What records in a bucket do beyond what all do: where they lie, and what S3 may answer."""

import contextlib
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.stub import Stubber

from tests.fakes.buckets import BUCKET, hanging_bucket
from tests.fakes.moto import REGION
from tests.hosting.stores.conftest import SetClock
from tollbook.core.errors import StoreDown
from tollbook.core.stores import LARGEST_VALUE, Record
from tollbook.hosting.stores import open_blobs
from tollbook.hosting.stores.s3 import S3Blobs

pytestmark = pytest.mark.anyio

START = 1_800_000_000.25
RECORD = Record("reports/owner", "id.1", b"v", START + 10)
AT = {"Bucket": BUCKET, "Key": "kept/reports/owner/id.1"}


@contextlib.asynccontextmanager
async def opened(
    clock: SetClock, client: Any = None, bucket: str = BUCKET, patience_s: float = 8
) -> AsyncIterator[S3Blobs]:
    blobs = S3Blobs(bucket, "kept/", clock, client, patience_s)
    try:
        yield blobs
    finally:
        await blobs.aclose()


class TestAnObject:
    @pytest.mark.parametrize(
        ("place", "prefix"), [("s3://results", ""), ("s3://results/", ""), ("s3://results/a/b/", "a/b/")]
    )
    async def test_lies_under_the_prefix_by_its_owner(self, bucket: Any, place: str, prefix: str) -> None:
        blobs = open_blobs(place, SetClock())
        await blobs.put(RECORD)
        await blobs.aclose()
        (found,) = bucket.list_objects_v2(Bucket=BUCKET)["Contents"]
        assert found["Key"] == f"{prefix}reports/owner/id.1"

    async def test_is_encrypted_as_the_bucket_has_it(self, bucket: Any, clock: SetClock) -> None:
        rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}
        bucket.put_bucket_encryption(Bucket=BUCKET, ServerSideEncryptionConfiguration={"Rules": [rule]})
        async with opened(clock, bucket) as blobs:
            await blobs.put(RECORD)
        assert bucket.head_object(**AT)["ServerSideEncryption"] == "aws:kms"

    @pytest.mark.parametrize(
        "metadata", [{}, {"expires": ""}, {"expires": "soon"}, {"expires": "inf"}, {"expires": "nan"}]
    )
    async def test_that_does_not_say_when_it_expires_is_nothing(
        self, bucket: Any, clock: SetClock, metadata: dict[str, str]
    ) -> None:
        bucket.put_object(**AT, Body=b"v", Metadata=metadata)
        async with opened(clock, bucket) as blobs:
            assert await blobs.get(RECORD.partition, RECORD.key) is None

    async def test_that_is_larger_than_any_record_is_nothing(self, bucket: Any, clock: SetClock) -> None:
        bucket.put_object(**AT, Body=b"v" * (LARGEST_VALUE + 1), Metadata={"expires": "1800000010.25"})
        async with opened(clock, bucket) as blobs:
            assert await blobs.get(RECORD.partition, RECORD.key) is None

    async def test_has_a_name_that_s3_takes(self, bucket: Any, clock: SetClock) -> None:
        async with opened(clock, bucket) as blobs:
            longest = Record("p" * 500, "k" * 518, b"v", START + 10)
            await blobs.put(longest)
            assert await blobs.get(longest.partition, longest.key) == longest
            with pytest.raises(ValueError, match=r"A name of 1,025 bytes is too long; S3 takes 1,024\."):
                await blobs.put(Record("p" * 500, "k" * 519, b"v", START + 10))


@pytest.mark.usefixtures("bucket")
async def test_a_bucket_that_does_not_exist_is_told_of(clock: SetClock) -> None:
    async with opened(clock, bucket="not-there") as blobs:
        for ask in (blobs.put(RECORD), blobs.get(RECORD.partition, RECORD.key)):
            with pytest.raises(StoreDown, match=r"There is no bucket 'not-there'\. Make it, or name another\."):
                await ask


async def test_a_bucket_that_hangs_is_told_of_in_time(clock: SetClock) -> None:
    with hanging_bucket() as client:
        async with opened(clock, client, patience_s=0.1) as blobs:
            for ask in (blobs.put(RECORD), blobs.get(RECORD.partition, RECORD.key)):
                with pytest.raises(StoreDown, match=r"AWS did not answer within 0\.1 s for s3://results/kept/\. Look"):
                    await ask


@pytest.mark.usefixtures("bucket")
async def test_an_endpoint_where_nobody_listens_is_told_of(clock: SetClock) -> None:
    with socket.create_server(("127.0.0.1", 0)) as once:
        url = f"http://127.0.0.1:{once.getsockname()[1]}"
    nobody = boto3.session.Session().client("s3", endpoint_url=url, config=Config(retries={"total_max_attempts": 1}))
    with contextlib.closing(nobody):
        async with opened(clock, nobody) as blobs:
            with pytest.raises(StoreDown, match=r"AWS cannot be reached for s3://results/kept/: .* Look whether"):
                await blobs.put(RECORD)


@pytest.mark.usefixtures("bucket")
async def test_missing_credentials_are_told_of(clock: SetClock, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    async with opened(clock) as blobs:
        with pytest.raises(StoreDown, match=r"No AWS credentials were found\. Give this process a role, or set"):
            await blobs.put(RECORD)


def test_it_is_opened_without_the_library_of_aws() -> None:
    program = (
        "import sys; from tollbook.hosting.stores import open_blobs; open_blobs('s3://results/kept'); "
        "sys.exit(' '.join({'boto3', 'botocore'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


class TestWhatS3MayAnswer:
    """Played by botocore's Stubber, since moto neither throttles nor refuses.

    Source: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html#ErrorCodeList
    """

    @pytest.fixture
    def stub(self) -> Iterator[Stubber]:
        client = boto3.session.Session(
            region_name=REGION,
            aws_access_key_id="testing",
            aws_secret_access_key="testing",  # noqa: S106
        ).client("s3")
        with Stubber(client) as stub:
            yield stub
        client.close()

    async def test_what_may_not_be_written_is_told_with_the_permission(self, stub: Stubber, clock: SetClock) -> None:
        stub.add_client_error("put_object", "AccessDenied", "no", 403)
        async with opened(clock, stub.client) as blobs:
            with pytest.raises(StoreDown, match=r"use s3://results/kept/\. Grant it s3:PutObject there, and kms:Gen"):
                await blobs.put(RECORD)

    async def test_what_may_not_be_read_is_not_taken_for_nothing(self, stub: Stubber, clock: SetClock) -> None:
        """Who may not list a bucket hears of an object that is not there that he may not read it."""
        stub.add_client_error("get_object", "AccessDenied", "no", 403)
        async with opened(clock, stub.client) as blobs:
            with pytest.raises(StoreDown, match=r"Grant it s3:GetObject there and s3:ListBucket on the bucket, and"):
                await blobs.get(RECORD.partition, RECORD.key)

    @pytest.mark.parametrize(
        ("code", "said"),
        [
            ("ExpiredToken", r"AWS does not accept the credentials for s3://results/kept/ \(ExpiredToken\)\. Renew"),
            ("SlowDown", r"s3://results/kept/ takes no more for now\. Try again later\."),
            ("Strange", r"AWS cannot do PutObject at s3://results/kept/: Strange, out of order\."),
        ],
    )
    async def test_each_of_its_errors_is_a_sentence(self, stub: Stubber, clock: SetClock, code: str, said: str) -> None:
        stub.add_client_error("put_object", code, "out of order.", 400)
        async with opened(clock, stub.client) as blobs:
            with pytest.raises(StoreDown, match=said):
                await blobs.put(RECORD)
