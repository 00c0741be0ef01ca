"""API keys, in every store: facts/auth.md, threat 17."""

import asyncio
import logging
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.dynamodb import dynamodb as dynamodb
from tests.fakes.dynamodb import dynamodb_server as dynamodb_server
from tests.hosting.serving import SetClock
from tests.hosting.stores.conftest import another as another
from tests.hosting.stores.conftest import place as place
from tollbook.core.caller import Caller
from tollbook.core.errors import StoreDown, UsageError
from tollbook.core.stores import Record, Store
from tollbook.hosting.auth.apikeys import ApiKey, ApiKeys, UnknownKey, is_api_key
from tollbook.hosting.stores.memory import MemoryStore
from tollbook.hosting.stores.sqlite import SqliteStore

pytestmark = pytest.mark.anyio

START = 1_800_000_000.25
DAY_S = 86_400.0
LATER = START + 10 * DAY_S

Another = Callable[[], Store]
Open = Callable[[], ApiKeys]


@pytest.fixture
def instance(another: Another, clock: SetClock) -> Open:
    """The keys, as one more instance has them."""
    return lambda: ApiKeys(another(), clock)


@pytest.fixture
def keys(instance: Open) -> ApiKeys:
    return instance()


@pytest.fixture
def in_memory(clock: SetClock) -> ApiKeys:
    return ApiKeys(MemoryStore(clock), clock)


async def a_key(keys: ApiKeys, expires: float = LATER) -> tuple[str, ApiKey]:
    return await keys.create("ana@example.com", ["mcp:read", "mcp:tools"], expires, {"team": "red"})


async def last_use(keys: ApiKeys) -> float | None:
    (listed,) = await keys.list()
    return listed.used


class TestAKey:
    async def test_says_who_its_owner_is_and_what_he_may(self, keys: ApiKeys) -> None:
        text, key = await a_key(keys)
        assert await keys.caller(text) == Caller(
            subject="ana@example.com",
            client=f"api-key:{key.id}",
            issuer="tollbook",
            scopes=frozenset(["mcp:read", "mcp:tools"]),
            claims={"sub": "ana@example.com", "team": "red"},
            expires=LATER,
        )

    async def test_is_known_to_every_instance(self, instance: Open) -> None:
        text, _ = await a_key(instance())
        assert await instance().caller(text)

    async def test_is_good_until_its_end_and_not_from_it_on(self, keys: ApiKeys, clock: SetClock) -> None:
        text, _ = await a_key(keys)
        clock.now = LATER - 0.001
        assert await keys.caller(text)
        clock.now = LATER
        assert await keys.caller(text) is None

    async def test_has_an_id_and_a_secret_of_256_bits(self, in_memory: ApiKeys) -> None:
        text, key = await a_key(in_memory)
        prefix, key_id, secret = text.split("_")
        assert (prefix, key_id, len(bytes.fromhex(secret))) == ("tbk", key.id, 32)

    async def test_does_not_show_its_secret_or_the_hash_of_it(self, in_memory: ApiKeys) -> None:
        _, key = await a_key(in_memory)
        (listed,) = await in_memory.list()
        assert set(ApiKey.__struct_fields__) == {"id", "owner", "scopes", "claims", "created", "expires", "revoked"}
        assert listed.key == key

    def test_is_told_from_a_token_by_how_it_begins(self) -> None:
        assert is_api_key("tbk_")
        assert not is_api_key("eyJhbGciOiJSUzI1NiJ9.e30.c2ln")
        assert not is_api_key("TBK_")


class TestThreat17:
    async def test_a_key_that_is_one_character_off_is_not_good_wherever_that_is(self, in_memory: ApiKeys) -> None:
        text, _ = await a_key(in_memory)
        for at, letter in enumerate(text):
            for other in "0123456789abcdef_T\n".replace(letter, ""):
                assert await in_memory.caller(f"{text[:at]}{other}{text[at + 1 :]}") is None
            assert await in_memory.caller(text[:at] + text[at + 1 :]) is None
            assert await in_memory.caller(text[:at] + letter + text[at:]) is None
        assert await in_memory.caller(text)

    @pytest.mark.parametrize(
        "spoil",
        [
            lambda text: f"tbk_{text[4:].upper()}",
            lambda text: f"TBK_{text[4:]}",
            lambda text: text.removeprefix("tbk_"),
            lambda text: text[:21],
            lambda text: text[:-1],
            lambda text: f"{text}\n",
            lambda text: f" {text}",
            lambda text: text + text,
            lambda text: f"{text[:-1]}\N{FULLWIDTH DIGIT ZERO}",
            lambda _: "",
            lambda _: "tbk_",
            lambda _: f"tbk_{'0' * 16}_{'0' * 64}",
        ],
    )
    async def test_neither_is_one_that_is_spoilt(self, keys: ApiKeys, spoil: Callable[[str], str]) -> None:
        text, _ = await a_key(keys)
        assert await keys.caller(text)
        assert await keys.caller(spoil(text)) is None

    async def test_a_secret_is_good_with_its_own_id_only(self, keys: ApiKeys) -> None:
        (one, first), (two, second) = await a_key(keys), await a_key(keys)
        assert await keys.caller(one.replace(first.id, second.id)) is None
        assert await keys.caller(two.replace(second.id, first.id)) is None
        assert await keys.caller(one.replace(first.id, "0" * 16)) is None

    async def test_what_cannot_be_a_key_is_refused_without_asking_the_store(self, clock: SetClock) -> None:
        keys = ApiKeys(Broken(clock), clock)
        for text in ("tbk_", "tbk_" + "a" * 1_000_000, f"tbk_{'a' * 16}_{'a' * 1_000_000}", "tbk_é", "tbk_a/b_c"):
            assert await keys.caller(text) is None

    async def test_a_revoked_key_is_refused_by_every_instance_at_once(self, instance: Open, clock: SetClock) -> None:
        here, there = instance(), instance()
        text, key = await a_key(here)
        other, _ = await a_key(here)
        assert await there.caller(text)
        assert await here.revoke(key.id) == key
        assert await there.caller(text) is None
        assert await here.caller(text) is None
        assert await there.caller(other)

    async def test_a_revocation_lasts_though_the_key_is_used_at_the_same_moment(self, instance: Open) -> None:
        here, there = instance(), instance()
        for _ in range(5):
            text, key = await a_key(here)
            await asyncio.gather(*(there.caller(text) for _ in range(3)), here.revoke(key.id), there.caller(text))
            assert await here.caller(text) is None
            assert await there.caller(text) is None

    async def test_a_revocation_lasts_though_a_use_from_before_it_is_written_after_it(self, clock: SetClock) -> None:
        class RevokesBetween(MemoryStore):
            """A store in which a key is revoked after it was found good, and before its use is written."""

            async def put(self, record: Record) -> None:
                await ApiKeys(self, clock).revoke(key.id)
                await super().put(record)

        keys = ApiKeys(RevokesBetween(clock), clock)
        text, key = await a_key(keys)
        assert await keys.caller(text)
        assert await keys.caller(text) is None
        assert await last_use(keys) == START


class Broken(MemoryStore):
    """A store that cannot be reached, as far as the given partitions go."""

    def __init__(self, clock: SetClock, *partitions: str) -> None:
        super().__init__(clock)
        self.asked = 0
        self._partitions_down = partitions or ("apikeys", "apikeys-used")

    def _check(self, partition: str) -> None:
        if partition in self._partitions_down:
            self.asked += 1
            raise StoreDown("The table 'salaries' cannot be reached.")

    async def add(self, record: Record) -> bool:
        self._check(record.partition)
        return await super().add(record)

    async def put(self, record: Record) -> None:
        self._check(record.partition)
        await super().put(record)

    async def get(self, partition: str, key: str) -> Record | None:
        self._check(partition)
        return await super().get(partition, key)

    async def list(self, partition: str, prefix: str = "", after: str = "") -> Any:
        self._check(partition)
        return await super().list(partition, prefix, after)


class TestAStoreThatIsDown:
    async def test_is_no_reason_to_refuse_a_key_and_none_to_accept_it(self, clock: SetClock) -> None:
        text, key = await a_key(ApiKeys(MemoryStore(clock), clock))
        keys = ApiKeys(Broken(clock), clock)
        for ask in (keys.caller(text), a_key(keys), keys.list(), keys.revoke(key.id)):
            with pytest.raises(StoreDown):
                await ask

    async def test_in_which_no_use_can_be_noted_still_lets_callers_in(
        self, clock: SetClock, caplog: pytest.LogCaptureFixture
    ) -> None:
        store = Broken(clock, "apikeys-used")
        keys = ApiKeys(store, clock)
        text, key = await a_key(keys)
        for _ in range(100):
            assert await keys.caller(text)
            clock.now += 1
        assert store.asked == 2  # not each time
        assert [(line.levelname, vars(line)["key"]) for line in caplog.records] == [("WARNING", key.id)] * 2


class Counting(MemoryStore):
    """A store that counts how often the last use of a key is looked up, and written."""

    looked = written = 0

    async def get(self, partition: str, key: str) -> Record | None:
        self.looked += partition == "apikeys-used"
        await asyncio.sleep(0)  # others come in between
        return await super().get(partition, key)

    async def put(self, record: Record) -> None:
        self.written += record.partition == "apikeys-used"
        await super().put(record)


class TestTheLastUse:
    async def test_is_none_before_the_first_and_no_attempt_with_a_bad_secret(self, keys: ApiKeys) -> None:
        text, _ = await a_key(keys)
        assert await keys.caller(text[:-1] + ("0" if text[-1] != "0" else "1")) is None
        assert await last_use(keys) is None

    async def test_is_written_at_most_once_a_minute(self, keys: ApiKeys, clock: SetClock) -> None:
        text, _ = await a_key(keys)
        seen = []
        for _ in range(8):
            assert await keys.caller(text)
            seen.append(await last_use(keys))
            clock.now += 20
        assert seen == [START] * 3 + [START + 60] * 3 + [START + 120] * 2

    async def test_is_written_at_most_once_a_minute_by_all_instances(self, instance: Open, clock: SetClock) -> None:
        text, _ = await a_key(instance())
        seen = []
        for _ in range(8):
            keys = instance()  # which knows nothing of the others
            assert await keys.caller(text)
            seen.append(await last_use(keys))
            clock.now += 20
        assert seen == [START] * 3 + [START + 60] * 3 + [START + 120] * 2

    async def test_is_written_once_however_many_come_at_once(self, clock: SetClock) -> None:
        store = Counting(clock)
        keys = ApiKeys(store, clock)
        text, _ = await a_key(keys)
        assert all(await asyncio.gather(*(keys.caller(text) for _ in range(50))))
        assert (store.looked, store.written) == (1, 1)

    async def test_is_remembered_for_some_keys_and_looked_up_for_the_others(self, clock: SetClock) -> None:
        """A memory of all of them would grow without an end."""
        store = Counting(clock)
        keys = ApiKeys(store, clock)
        texts = [(await a_key(keys))[0] for _ in range(5000)]
        for text in texts:
            assert await keys.caller(text)
        assert await keys.caller(texts[-1])
        assert store.looked == 5000
        assert await keys.caller(texts[0])
        assert (store.looked, store.written) == (5001, 5000)

    async def test_follows_a_clock_that_was_set_back(self, keys: ApiKeys, clock: SetClock) -> None:
        text, _ = await a_key(keys)
        clock.now += DAY_S
        assert await keys.caller(text)
        clock.now = START + 5
        assert await keys.caller(text)
        assert await last_use(keys) == START + 5


class TestTheList:
    async def test_is_empty_at_first(self, keys: ApiKeys) -> None:
        assert await keys.list() == []

    async def test_shows_the_newest_first(self, keys: ApiKeys, clock: SetClock) -> None:
        made = []
        for _ in range(5):
            made.append((await a_key(keys))[1])
            clock.now += 1
        assert [listed.key for listed in await keys.list()] == made[::-1]

    async def test_shows_a_key_for_30_days_after_its_end(self, keys: ApiKeys, clock: SetClock) -> None:
        text, key = await a_key(keys)
        assert await keys.caller(text)
        clock.now = LATER + 30 * DAY_S - 1
        (listed,) = await keys.list()
        assert (listed.key, listed.used, listed.key.state(clock.now)) == (key, START, "expired")
        clock.now += 1
        assert await keys.list() == []

    async def test_shows_a_revoked_key_with_the_time_of_its_first_revocation(
        self, keys: ApiKeys, clock: SetClock
    ) -> None:
        _, key = await a_key(keys)
        clock.now += 5
        await keys.revoke(key.id)
        clock.now += 5
        assert (await keys.revoke(key.id)).revoked == START + 5
        (listed,) = await keys.list()
        assert listed.key.revoked == START + 5
        assert listed.key.state(LATER + 1) == "revoked"


class TestRevoking:
    @pytest.mark.parametrize("key_id", ["0" * 16, "", "0" * 15, "A" * 16, "0" * 16 + "\n", "secret-canary", "é" * 600])
    async def test_says_so_where_there_is_no_such_key(self, keys: ApiKeys, key_id: str) -> None:
        with pytest.raises(UnknownKey) as refusal:
            await keys.revoke(key_id)
        assert "tollbook keys list" in str(refusal.value)
        assert "canary" not in str(refusal.value)

    async def test_brings_no_key_back_that_ceases_to_be_kept_meanwhile(self, clock: SetClock) -> None:
        class Slow(MemoryStore):
            async def replace(self, record: Record) -> bool:
                clock.now = LATER + 31 * DAY_S
                return await super().replace(record)

        keys = ApiKeys(Slow(clock), clock)
        _, key = await a_key(keys)
        with pytest.raises(UnknownKey):
            await keys.revoke(key.id)
        assert await keys.list() == []


class TestCreating:
    async def test_never_takes_an_id_that_is_taken(self, another: Another, clock: SetClock) -> None:
        """Random bytes that repeat themselves: of each two keys, the second would have the id of the first."""
        numbers = iter([1, 2, 1, 3, 4, 5])
        keys = ApiKeys(another(), clock, lambda length: next(numbers).to_bytes(length, "big"))
        (one, first), (two, second) = await a_key(keys), await a_key(keys)
        assert first.id != second.id
        assert await keys.caller(one)
        assert await keys.caller(two)
        assert len(await keys.list()) == 2

    @pytest.mark.parametrize("owner", ["", " ", " ana", "ana\n", "a\x1b[31m", "\u202eana", "a" * 201, "\ud800"])
    async def test_refuses_an_owner_who_cannot_be_shown(self, in_memory: ApiKeys, owner: str) -> None:
        with pytest.raises(UsageError, match=r"^An owner has 1 to 200 printable characters"):
            await in_memory.create(owner, [], LATER, {})

    @pytest.mark.parametrize("scope", ["", "a b", 'a"b', "a\\b", "a\x7f", "ä", "a\n"])
    async def test_refuses_what_rfc_6749_calls_no_scope(self, in_memory: ApiKeys, scope: str) -> None:
        with pytest.raises(UsageError, match="is no scope"):
            await in_memory.create("ana", ["good", scope], LATER, {})

    @pytest.mark.parametrize(
        ("claims", "said"),
        [
            *(({name: "x"}, "is no claim to choose") for name in ("sub", "iss", "client_id", "scope", "exp")),
            ({"": "x"}, "printable"),
            ({"a\n": "x"}, "printable"),
            ({"email": "a\x00"}, "printable"),
            ({"email": "\ud800"}, "printable"),
            ({"email": "a" * 8192}, r"come to more than 8,192 bytes"),
        ],
    )
    async def test_refuses_claims_that_mislead(self, in_memory: ApiKeys, claims: Mapping[str, str], said: str) -> None:
        with pytest.raises(UsageError, match=said):
            await in_memory.create("ana", [], LATER, claims)
        assert await in_memory.list() == []

    @pytest.mark.parametrize("after_s", [float("-inf"), -1, 0, 366 * DAY_S + 1, float("inf"), float("nan")])
    async def test_refuses_an_end_that_is_past_or_far(self, in_memory: ApiKeys, after_s: float) -> None:
        with pytest.raises(UsageError, match="within 366 days"):
            await a_key(in_memory, START + after_s)

    async def test_allows_366_days(self, in_memory: ApiKeys) -> None:
        await a_key(in_memory, START + 366 * DAY_S)


async def test_no_secret_reaches_the_file_of_a_store_or_a_log(
    tmp_path: Path, clock: SetClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    path = tmp_path / "store.db"
    store = SqliteStore(path, clock)
    keys = ApiKeys(store, clock)
    text, key = await a_key(keys)
    secret = text.rpartition("_")[2]
    assert await keys.caller(text)
    await keys.revoke(key.id)
    while_open = b"".join(each.read_bytes() for each in tmp_path.iterdir())
    await store.aclose()
    for written in (while_open, path.read_bytes()):
        assert key.id.encode() in written
        assert secret.encode() not in written
        assert bytes.fromhex(secret) not in written
    assert secret not in caplog.text


async def test_no_secret_is_sent_to_dynamodb(clock: SetClock, caplog: pytest.LogCaptureFixture, dynamodb: Any) -> None:
    """boto3 logs all that it sends when it is asked to debug."""
    from tollbook.hosting.stores.dynamodb import DynamodbStore, create_table

    create_table(dynamodb, "api-keys")
    caplog.set_level(logging.DEBUG)
    store = DynamodbStore("api-keys", clock)
    keys = ApiKeys(store, clock)
    text, key = await a_key(keys)
    assert await keys.caller(text)
    await store.aclose()
    dynamodb.delete_table(TableName="api-keys")
    assert key.id in caplog.text
    assert text.rpartition("_")[2] not in caplog.text


def test_they_are_known_without_what_makes_a_lambda_authorizer_start_slowly() -> None:
    program = "import sys, tollbook.hosting.auth.apikeys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    imported = set(done.stdout.split())
    assert "tollbook.hosting.auth.apikeys" in imported
    assert not imported & {"mcp", "starlette", "boto3", "asyncio", "pydantic", "anyio", "joserfc", "ssl"}
