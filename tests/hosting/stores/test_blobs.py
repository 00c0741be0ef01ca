"""What all do where records are asked for one by one: every store, and a bucket."""

import asyncio
import string
from collections.abc import AsyncIterator, Callable

import pytest

from tests.fakes.buckets import BUCKET
from tests.hosting.stores.conftest import SetClock
from tollbook.core.errors import UsageError
from tollbook.core.stores import LARGEST_VALUE, Blobs, Record
from tollbook.hosting.stores import open_blobs, open_store

pytestmark = pytest.mark.anyio

START = 1_800_000_000.25
SOON, LATER = START + 10, START + 1000
ODD = string.printable.strip()

Another = Callable[[], Blobs]


def record(key: str = "k", value: bytes = b"v", expires: float = SOON, partition: str = "p") -> Record:
    return Record(partition, key, value, expires)


@pytest.fixture(params=["records", "bucket"])
async def another(request: pytest.FixtureRequest, clock: SetClock) -> AsyncIterator[Another]:
    """Opens the same place once more, as another instance does."""
    opened: list[Blobs] = []

    def open_it() -> Blobs:
        if request.param == "bucket":
            opened.append(open_blobs(f"s3://{BUCKET}/kept", clock))
        elif not opened:
            opened.append(open_store("memory", clock))
        return opened[-1]

    if request.param == "bucket":
        request.getfixturevalue("bucket")
    yield open_it
    for blobs in opened:
        await blobs.aclose()


@pytest.fixture
def blobs(another: Another) -> Blobs:
    return another()


async def test_a_record_comes_back_as_it_was_written(blobs: Blobs) -> None:
    for value in (b"", bytes(range(256))):
        written = record(value=value, expires=START + 0.123456)
        await blobs.put(written)
        assert await blobs.get("p", "k") == written


async def test_it_is_found_by_partition_and_key_only(blobs: Blobs) -> None:
    await blobs.put(record())
    assert await blobs.get("p", "other") is None
    assert await blobs.get("other", "k") is None


async def test_no_two_names_mean_the_same_record(blobs: Blobs) -> None:
    pairs = [("a", "b/c"), ("a/b", "c"), ("a%2Fb", "c"), ("a/b", "c/"), ("a//b", "c"), ("a/../b", "c"), (ODD, ODD)]
    written = [record(key, f"{number}".encode(), partition=partition) for number, (partition, key) in enumerate(pairs)]
    for each in written:
        await blobs.put(each)
    assert [await blobs.get(each.partition, each.key) for each in written] == written


async def test_it_holds_the_largest_value_and_no_larger_one(blobs: Blobs) -> None:
    largest = record(value=b"x" * LARGEST_VALUE)
    await blobs.put(largest)
    assert await blobs.get("p", "k") == largest
    with pytest.raises(ValueError, match=r"350,001 bytes is too large; a store takes 350,000\."):
        await blobs.put(record(value=b"x" * (LARGEST_VALUE + 1)))
    assert await blobs.get("p", "k") == largest


async def test_it_is_not_shown_from_the_moment_on_in_which_it_expires(blobs: Blobs, clock: SetClock) -> None:
    await blobs.put(record())
    clock.now = SOON - 0.001
    assert await blobs.get("p", "k") == record()
    clock.now = SOON
    assert await blobs.get("p", "k") is None
    await blobs.put(record(expires=LATER))
    assert await blobs.get("p", "k") == record(expires=LATER)


async def test_it_is_written_over_and_every_instance_sees_it_at_once(another: Another) -> None:
    here, there = another(), another()
    for value in (b"one", b"two"):
        await here.put(record(value=value))
        assert await there.get("p", "k") == record(value=value)


async def test_many_are_written_and_read_at_once(blobs: Blobs) -> None:
    written = [record(str(number), f"{number}".encode()) for number in range(40)]
    await asyncio.gather(*map(blobs.put, written))
    assert await asyncio.gather(*(blobs.get("p", each.key) for each in written)) == written


@pytest.mark.parametrize(
    "text", ["results", "s3://", "s3://ab", "s3://Results/x", "s3://results/a b", "s3://results/*", "s3:/results", ""]
)
def test_what_is_no_place_in_s3_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"is no place in S3\. Write s3://BUCKET/PREFIX\."):
        open_blobs(text)
