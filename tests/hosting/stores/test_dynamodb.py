"""What a store in DynamoDB does beyond what all do: the item's form, lost answers, and AWS saying no."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from botocore.stub import Stubber

from tests.fakes.dynamodb import free_port
from tests.hosting.stores.conftest import SetClock
from tollbook.core.errors import StoreDown
from tollbook.core.stores import Record
from tollbook.hosting.stores.dynamodb import DynamodbStore, create_table

pytestmark = pytest.mark.anyio

TABLE = "records"
START = 1_800_000_000.25


def record(key: str = "k", value: bytes = b"v", expires: float = START + 10, partition: str = "p") -> Record:
    return Record(partition, key, value, expires)


@pytest.fixture
def table(dynamodb: Any) -> Iterator[str]:
    create_table(dynamodb, TABLE)
    yield TABLE
    dynamodb.delete_table(TableName=TABLE)


@contextlib.asynccontextmanager
async def opened(clock: SetClock, client: Any = None, patience_s: float = 6) -> AsyncIterator[DynamodbStore]:
    store = DynamodbStore(TABLE, clock, client, patience_s)
    try:
        yield store
    finally:
        await store.aclose()


class TestTheTable:
    def test_lets_items_go_that_have_expired(self, dynamodb: Any, table: str) -> None:
        told = dynamodb.describe_time_to_live(TableName=table)["TimeToLiveDescription"]
        assert told == {"TimeToLiveStatus": "ENABLED", "AttributeName": "expires"}

    def test_is_paid_by_the_request(self, dynamodb: Any, table: str) -> None:
        told = dynamodb.describe_table(TableName=table)["Table"]
        assert told["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"

    @pytest.mark.usefixtures("table")
    async def test_lets_no_item_go_before_its_record_expires(self, dynamodb: Any, clock: SetClock) -> None:
        """TTL counts whole seconds; a record does not."""
        async with opened(clock) as store:
            await store.put(record(expires=1_800_000_010.25))
        item = dynamodb.get_item(TableName=TABLE, Key={"partition": {"S": "p"}, "key": {"S": "k"}})["Item"]
        assert item == {
            "partition": {"S": "p"},
            "key": {"S": "k"},
            "value": {"B": b"v"},
            "until": {"N": "1800000010.25"},
            "expires": {"N": "1800000011"},
        }


class Stumbling:
    """A client whose first answer to each operation is lost, so that it asks again, as boto3 does."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.meta = client.meta

    def __getattr__(self, operation: str) -> Any:
        def twice(**request: Any) -> Any:
            getattr(self._client, operation)(**request)
            return getattr(self._client, operation)(**request)

        return twice


class Busy:
    """A client that leaves all but the first of a batch undone, `times` times."""

    def __init__(self, client: Any, times: int) -> None:
        self._client = client
        self._times = times

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def batch_write_item(self, RequestItems: dict[str, list[Any]]) -> Any:  # noqa: N803
        if not self._times:
            return self._client.batch_write_item(RequestItems=RequestItems)
        self._times -= 1
        first, *others = RequestItems[TABLE]
        self._client.batch_write_item(RequestItems={TABLE: [first]})
        return {"UnprocessedItems": {TABLE: others}}


@pytest.mark.usefixtures("table")
class TestWhatGoesWrongOnTheWay:
    async def test_an_add_whose_answer_was_lost_still_says_that_it_wrote(self, dynamodb: Any, clock: SetClock) -> None:
        async with opened(clock, Stumbling(dynamodb)) as store:
            assert await store.add(record())
            assert not await store.add(record())
            assert await store.replace(record())

    async def test_a_clear_asks_again_for_what_was_left_undone(self, dynamodb: Any, clock: SetClock) -> None:
        async with opened(clock, Busy(dynamodb, times=3)) as store:
            for number in range(30):
                await store.put(record(f"{number}"))
            await store.clear("p")
            assert await store.count("p") == 0

    async def test_a_clear_gives_up_in_the_end(self, dynamodb: Any, clock: SetClock) -> None:
        async with opened(clock, Busy(dynamodb, times=99)) as store:
            for number in range(30):
                await store.put(record(f"{number}"))
            with pytest.raises(StoreDown, match="'records' in eu-west-1 takes no more for now"):
                await store.clear("p")


class TestDown:
    async def refusal(self, clock: SetClock, client: Any = None, patience_s: float = 6) -> str:
        async with opened(clock, client, patience_s) as store:
            with pytest.raises(StoreDown) as refusal:
                await store.get("p", "k")
        return str(refusal.value)

    @pytest.mark.usefixtures("dynamodb")
    async def test_there_is_no_such_table(self, clock: SetClock) -> None:
        sentence = "There is no DynamoDB table 'records' in eu-west-1. Create it, or name another."
        assert await self.refusal(clock) == sentence
        async with opened(clock) as store:
            for ask in (
                store.add(record()),
                store.replace(record()),
                store.put(record()),
                store.list("p"),
                store.count("p"),
                store.remove("p", "k"),
                store.clear("p"),
            ):
                with pytest.raises(StoreDown, match="There is no DynamoDB table"):
                    await ask

    @pytest.mark.usefixtures("dynamodb")
    async def test_nothing_listens_there(self, clock: SetClock, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", f"http://127.0.0.1:{free_port()}")
        assert "AWS cannot be reached for the DynamoDB table 'records': Could not connect" in await self.refusal(clock)

    @pytest.mark.usefixtures("dynamodb")
    async def test_nothing_answers_there(self, clock: SetClock, monkeypatch: pytest.MonkeyPatch) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", f"http://127.0.0.1:{silent.getsockname()[1]}")
            async with opened(clock, patience_s=0.2) as store:
                with pytest.raises(StoreDown, match=r"AWS did not answer within 0\.2 s for the DynamoDB table 'recor"):
                    await store.get("p", "k")
                silent.close()

    @pytest.mark.usefixtures("dynamodb")
    async def test_nobody_said_which_region(self, clock: SetClock, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("AWS_DEFAULT_REGION")
        assert (await self.refusal(clock)).startswith("No AWS region is set. Set AWS_DEFAULT_REGION")

    @pytest.mark.usefixtures("dynamodb")
    async def test_nobody_gave_credentials(self, clock: SetClock, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
        assert (await self.refusal(clock)).startswith("No AWS credentials were found. Give this process a role")

    @pytest.mark.parametrize(
        ("code", "sentence"),
        [
            (
                "AccessDeniedException",
                "AWS does not let this process use the DynamoDB table 'records' in eu-west-1. "
                "Grant it dynamodb:GetItem there.",
            ),
            (
                "ExpiredTokenException",
                "AWS does not accept the credentials for the DynamoDB table 'records' in eu-west-1 "
                "(ExpiredTokenException). Renew them.",
            ),
            (
                "ThrottlingException",
                "The DynamoDB table 'records' in eu-west-1 takes no more for now. Try again later; if that stays so, "
                "raise its limits.",
            ),
            (
                "InternalServerError",
                "AWS cannot do GetItem on the DynamoDB table 'records' in eu-west-1: InternalServerError, Said by AWS.",
            ),
        ],
    )
    async def test_aws_says_no(self, dynamodb: Any, clock: SetClock, code: str, sentence: str) -> None:
        with Stubber(dynamodb) as stub:
            stub.add_client_error("get_item", code, "Said by AWS.")
            assert await self.refusal(clock, dynamodb) == sentence

    async def test_then_it_works_again(self, dynamodb: Any, clock: SetClock) -> None:
        async with opened(clock) as store:
            with pytest.raises(StoreDown):
                await store.put(record())
            create_table(dynamodb, TABLE)
            await store.put(record())
            assert await store.get("p", "k") == record()
        dynamodb.delete_table(TableName=TABLE)


async def test_an_empty_range_of_keys_is_no_question_to_aws(dynamodb: Any, clock: SetClock) -> None:
    """AWS answers it with an error."""
    with Stubber(dynamodb):  # which expects no question
        async with opened(clock, dynamodb) as store:
            assert await store.list("p", prefix="e:", after="f") == []


@pytest.mark.usefixtures("table")
async def test_calls_run_beside_each_other_and_beside_the_loop(clock: SetClock) -> None:
    async with opened(clock) as store:
        wrote = await asyncio.gather(*(store.add(record(f"{number:03}")) for number in range(100)))
        assert all(wrote)
        assert await store.count("p") == 100
