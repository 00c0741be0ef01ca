"""What every store does, wherever it keeps its records."""

import asyncio
import random
import string
import subprocess
import sys
import tracemalloc
from collections.abc import Awaitable, Callable

import pytest

from tests.hosting.stores.conftest import SetClock
from tollbook.core.errors import UsageError
from tollbook.core.stores import LARGEST_VALUE, Record, Store
from tollbook.hosting.stores import open_store
from tollbook.hosting.stores.memory import MemoryStore

pytestmark = pytest.mark.anyio

START = 1_800_000_000.25
SOON, LATER = START + 10, START + 1000

Another = Callable[[], Store]


def record(key: str = "k", value: bytes = b"v", expires: float = SOON, partition: str = "p") -> Record:
    return Record(partition, key, value, expires)


async def keys(store: Store, prefix: str = "", after: str = "", partition: str = "p") -> list[str]:
    return [each.key for each in await store.list(partition, prefix, after)]


class TestOneRecord:
    async def test_comes_back_as_it_was_written(self, store: Store) -> None:
        for value in (b"", bytes(range(256))):
            written = record(value=value, expires=START + 0.123456)
            await store.put(written)
            assert await store.get("p", "k") == written
            assert await store.list("p") == [written]

    async def test_is_found_by_partition_and_key_only(self, store: Store) -> None:
        await store.put(record())
        assert await store.get("p", "other") is None
        assert await store.get("other", "k") is None

    async def test_has_names_of_up_to_512_printable_characters(self, store: Store) -> None:
        long = (string.printable.strip() * 6)[:512]
        written = record(long, partition=long)
        assert await store.add(written)
        assert not await store.add(written)
        assert await store.get(long, long) == written
        assert await store.list(long, prefix=long) == [written]

    async def test_holds_the_largest_value_and_no_larger_one(self, store: Store) -> None:
        largest = record(value=b"x" * LARGEST_VALUE)
        await store.put(largest)
        assert await store.get("p", "k") == largest
        too_large = record(value=b"x" * (LARGEST_VALUE + 1))
        for write in (store.put, store.add, store.replace):
            with pytest.raises(ValueError, match=r"350,001 bytes is too large; a store takes 350,000\."):
                await write(too_large)
        assert await store.get("p", "k") == largest


class TestAdd:
    async def test_writes_once(self, store: Store) -> None:
        assert await store.add(record(value=b"first"))
        assert not await store.add(record(value=b"second"))
        assert await store.get("p", "k") == record(value=b"first")

    async def test_takes_the_key_of_what_was_removed_or_has_expired(self, store: Store, clock: SetClock) -> None:
        await store.add(record())
        await store.remove("p", "k")
        assert await store.add(record())
        clock.now = SOON
        assert await store.add(record(value=b"new", expires=LATER))
        assert await store.get("p", "k") == record(value=b"new", expires=LATER)

    async def test_of_twenty_at_once_one_wins(self, another: Another) -> None:
        stores = another(), another()
        tries = [record(value=b"%d" % number) for number in range(20)]
        won = await asyncio.gather(*(stores[number % 2].add(each) for number, each in enumerate(tries)))
        assert won.count(True) == 1
        assert await stores[0].get("p", "k") == tries[won.index(True)]


class TestReplace:
    async def test_writes_over_what_is_there(self, store: Store) -> None:
        await store.put(record())
        assert await store.replace(record(value=b"new", expires=LATER))
        assert await store.get("p", "k") == record(value=b"new", expires=LATER)

    async def test_never_brings_back_what_was_removed_or_has_expired(self, store: Store, clock: SetClock) -> None:
        assert not await store.replace(record())
        await store.put(record())
        await store.remove("p", "k")
        assert not await store.replace(record())
        await store.put(record())
        clock.now = SOON
        assert not await store.replace(record(expires=LATER))
        assert await store.get("p", "k") is None


async def test_put_writes_in_any_case(store: Store, clock: SetClock) -> None:
    await store.put(record())
    await store.put(record(value=b"over it"))
    assert await store.get("p", "k") == record(value=b"over it")
    clock.now = SOON
    await store.put(record(value=b"after it", expires=LATER))
    assert await store.get("p", "k") == record(value=b"after it", expires=LATER)


class TestExpiry:
    async def test_a_record_is_there_until_its_moment_and_not_from_it_on(self, store: Store, clock: SetClock) -> None:
        await store.put(record())
        clock.now = SOON - 0.001
        assert await store.get("p", "k")
        clock.now = SOON
        assert await store.get("p", "k") is None

    async def test_nothing_shows_what_has_expired(self, store: Store, clock: SetClock) -> None:
        await store.put(record("short"))
        await store.put(record("long", expires=LATER))
        assert (await store.count("p"), await keys(store)) == (2, ["long", "short"])
        clock.now = SOON
        assert (await store.count("p"), await keys(store)) == (1, ["long"])
        assert await store.get("p", "short") is None
        assert not await store.remove("p", "short")

    async def test_a_record_may_be_given_a_longer_or_a_shorter_life(self, store: Store, clock: SetClock) -> None:
        await store.put(record("longer"))
        await store.put(record("longer", expires=LATER))
        await store.put(record("shorter", expires=LATER))
        await store.replace(record("shorter"))
        clock.now = SOON
        await store.put(record("a write that may sweep", expires=LATER))
        assert await keys(store) == ["a write that may sweep", "longer"]


class TestList:
    async def test_is_in_the_order_of_code_points(self, store: Store) -> None:
        for key in ("b", "a", "~", " ", "B", "10", "9", "a!", "a~"):
            await store.put(record(key))
        assert await keys(store) == [" ", "10", "9", "B", "a", "a!", "a~", "b", "~"]

    async def test_keeps_to_a_prefix_and_to_what_comes_after_a_key(self, store: Store) -> None:
        for key in ("a", "e", "e:1", "e:2", "e:3", "e:~", "e;", "f"):
            await store.put(record(key))
        await store.put(record("e:2", partition="other"))
        assert await keys(store, "e:") == ["e:1", "e:2", "e:3", "e:~"]
        assert await keys(store, "e:", "e:2") == ["e:3", "e:~"]
        assert await keys(store, "e:", "e:2!") == ["e:3", "e:~"]
        assert await keys(store, "e:", "a") == ["e:1", "e:2", "e:3", "e:~"]
        assert await keys(store, after="e;") == ["f"]
        assert await keys(store, "e:", "e:~") == []
        assert await keys(store, "e:", "f") == []
        assert await keys(store, "g") == []
        assert await keys(store, partition="nobody's") == []

    async def test_is_whole_even_when_it_is_longer_than_an_answer_of_dynamodb(self, store: Store) -> None:
        """A query of DynamoDB's ends at one megabyte."""
        written = [record(f"{number}", bytes([number]) * LARGEST_VALUE) for number in range(7)]
        for each in written:
            await store.put(each)
        assert await store.list("p") == written
        assert await store.list("p", after="2") == written[3:]
        assert await store.count("p") == 7
        await store.clear("p")
        assert await store.count("p") == 0


class TestRemove:
    async def test_says_whether_there_was_one(self, store: Store) -> None:
        await store.put(record())
        assert await store.remove("p", "k")
        assert not await store.remove("p", "k")
        assert await store.get("p", "k") is None

    async def test_of_two_at_once_one_says_so(self, another: Another) -> None:
        one, two = another(), another()
        for key in string.ascii_letters[:10]:
            await one.put(record(key))
            said = await asyncio.gather(one.remove("p", key), two.remove("p", key))
            assert sorted(said) == [False, True]


async def test_clear_empties_one_partition(store: Store) -> None:
    for number in range(250):  # more than one batch of any store
        await store.put(record(f"{number:03}", partition="full"))
    await store.put(record())
    await store.clear("full")
    assert (await store.count("full"), await keys(store, partition="full")) == (0, [])
    assert await store.count("p") == 1
    await store.clear("never seen")
    assert await store.add(record("000", partition="full"))


async def test_two_instances_see_each_others_writes_at_once(another: Another) -> None:
    one, two = another(), another()
    assert await one.get("p", "k") is None
    assert await two.get("p", "k") is None
    for number in range(20):
        here, there = (one, two) if number % 2 else (two, one)
        written = record(value=b"%d" % number)
        await here.put(written)
        assert await there.get("p", "k") == written
        assert await there.remove("p", "k")
        assert await here.list("p") == []
        assert await here.add(written)
        assert await there.count("p") == 1


async def test_all_stores_do_what_a_dictionary_would(store: Store, clock: SetClock) -> None:
    """A long walk of all operations, on few keys so that they meet."""
    walk, kept = random.Random(7), dict[str, Record]()  # noqa: S311
    for number in range(400):
        clock.now += walk.choice([0, 0, 0, 0.5])
        kept = {key: each for key, each in kept.items() if each.expires > clock.now}
        new = record(walk.choice(["a", "ab", "b", "ba", "c"]), b"%d" % number, clock.now + walk.choice([0.25, 1, 2, 9]))
        match walk.choice(["add", "replace", "put", "remove", "list", "get"]):
            case "add":
                assert await store.add(new) is (new.key not in kept)
                kept.setdefault(new.key, new)
            case "replace":
                assert await store.replace(new) is (new.key in kept)
                kept |= {new.key: new} if new.key in kept else {}
            case "put":
                await store.put(new)
                kept[new.key] = new
            case "remove":
                assert await store.remove("p", new.key) is (kept.pop(new.key, None) is not None)
            case "list":
                assert await keys(store, "b", "b") == [key for key in sorted(kept) if key[0] == "b" < key]
                assert await store.count("p") == len(kept)
            case "get":
                assert await store.get("p", new.key) == kept.get(new.key)
    assert await store.list("p") == [kept[key] for key in sorted(kept)]


class TestMemory:
    """Twenty thousand records that stay would take some megabytes."""

    async def test_stays_flat_when_records_come_and_go(self, clock: SetClock) -> None:
        store = MemoryStore(clock)

        async def come_and_go(numbers: range) -> None:
            for number in numbers:
                await store.add(record(f"{number}", expires=LATER, partition=f"{number}"))
                await store.remove(f"{number}", f"{number}")

        assert await grown_by(come_and_go) < 500_000
        assert store.held == 0

    async def test_stays_flat_when_records_expire(self, clock: SetClock) -> None:
        store = MemoryStore(clock)

        async def expire(numbers: range) -> None:
            for number in numbers:
                clock.now += 1
                await store.put(record(f"{number}", expires=clock.now + 10))

        assert await grown_by(expire) < 500_000
        assert store.held <= 11

    async def test_stays_flat_when_a_record_is_renewed(self, clock: SetClock) -> None:
        store = MemoryStore(clock)

        async def renew(numbers: range) -> None:
            for number in numbers:
                await store.put(record(expires=LATER + number))

        assert await grown_by(renew) < 500_000
        assert store.held == 1

    async def test_what_has_expired_all_at_once_goes_with_the_next_writes(self, clock: SetClock) -> None:
        store = MemoryStore(clock)
        for number in range(20_000):
            await store.put(record(f"{number}"))
        clock.now = SOON
        for _ in range(201):
            await store.put(record(expires=LATER))
        assert store.held == 1


async def grown_by(walk: Callable[[range], Awaitable[None]]) -> int:
    """How many bytes more are held after twenty thousand steps of `walk`."""
    await walk(range(2000))
    tracemalloc.start()
    try:
        await walk(range(2000, 22_000))
        return tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()


class TestOpenStore:
    @pytest.mark.parametrize(
        "text",
        [
            *(
                "",
                "memory:",
                "memory:x",
                "Memory",
                "redis:x",
                "sqlite",
                "sqlite:",
                "sqlite3:x",
                "dynamodb",
                "dynamodb:",
            ),
            *("dynamodb:ab", "dynamodb:" + "a" * 256, "dynamodb:a/b", "dynamodb:tablé", "dynamodb:table\n"),
        ],
    )
    def test_refuses_what_names_no_store(self, text: str) -> None:
        with pytest.raises(UsageError, match=r"is no store\. Use memory, sqlite:PATH, or dynamodb:TABLE"):
            open_store(text)

    def test_says_what_to_install_for_dynamodb(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "botocore", None)
        with pytest.raises(UsageError, match=r"'dynamodb:table' needs boto3\. Install it beside tollbook\."):
            open_store("dynamodb:table")

    @pytest.mark.parametrize("text", ["memory", "sqlite:x.db", "dynamodb:abc"])
    def test_brings_in_nothing_of_aws_before_a_record_is_asked_for(self, text: str) -> None:
        program = (
            "import sys; from tollbook.hosting.stores import open_store; open_store(sys.argv[1]); "
            "print(*{'boto3', 'botocore'}.intersection(sys.modules))"
        )
        done = subprocess.run([sys.executable, "-c", program, text], capture_output=True, text=True, check=True)
        assert (done.stdout, done.stderr) == ("\n", "")
