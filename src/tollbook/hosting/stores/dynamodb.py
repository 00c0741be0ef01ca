"""Records in a DynamoDB table, for instances on several machines.

An item is a record:

| attribute   | type              | holds                                                                    |
| ----------- | ----------------- | ------------------------------------------------------------------------ |
| `partition` | S, partition key  |                                                                          |
| `key`       | S, sort key       | its order is that of UTF-8 bytes, so that of ASCII [1]                   |
| `value`     | B                 |                                                                          |
| `until`     | N                 | when the record ceases to exist, exactly                                 |
| `expires`   | N, TTL attribute  | the same rounded up to a whole second; some days later the item goes [2] |
| `writer`    | S                 | which call of `add` wrote it                                             |

Whoever uses the table needs dynamodb:GetItem, PutItem, DeleteItem, Query and BatchWriteItem on it. Region, credentials
and another endpoint are set as for every program that uses boto3 [3].

[1] https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Query.KeyConditionExpressions.html
[2] https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/TTL.html
[3] https://boto3.amazonaws.com/v1/documentation/api/latest/guide/configuration.html
"""

import asyncio
import math
import re
import secrets
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from tollbook.core.errors import StoreDown
from tollbook.core.stores import Clock, Record
from tollbook.hosting.stores import checked, keys_between
from tollbook.hosting.stores.remote import Remote

if TYPE_CHECKING:
    from botocore.exceptions import ClientError

_CALLS_AT_ONCE: Final = 32

# Expired items stay for days, and every answer and condition must look past them:
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ttl-expired-items.html
_LIVES: Final = "#until > :now"
_FREE: Final = "attribute_not_exists(#key) OR #until <= :now"

# `key`, `partition`, `until` and `value` are reserved, so that every name stands behind an alias:
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ReservedWords.html
_ALIAS: Final = re.compile(r"#\w+")

# https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html
_LARGEST_BATCH: Final = 25
_BATCH_PAUSES_S: Final = (0.05, 0.1, 0.2, 0.4, 0.8)

# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html
_TOO_FAST: Final = frozenset(
    ("ProvisionedThroughputExceededException", "RequestLimitExceeded", "ThrottlingException", "Throttling")
)
_UNKNOWN_CALLER: Final = frozenset(
    (
        "ExpiredTokenException",
        "IncompleteSignatureException",
        "InvalidSignatureException",
        "MissingAuthenticationTokenException",
        "UnrecognizedClientException",
    )
)

Item = Mapping[str, Mapping[str, Any]]


class _RefusedError(Exception):
    """The condition of a write does not hold."""

    def __init__(self, found: Item) -> None:
        self.found = found


class DynamodbStore:
    """A `Store` in the table `table`, which must exist.

    An answer of AWS may be lost on the way, and boto3 then asks again. `add` knows its own record; of what `remove`
    has removed by then, it says that there was none.

    Args:
        client: one of boto3's for DynamoDB; without it, one is made when it is needed.
        patience_s: how long AWS may take for one answer before the store is down.
    """

    def __init__(self, table: str, clock: Clock = time.time, client: Any = None, patience_s: float = 6) -> None:
        self._table, self._clock = table, clock
        place = f"the DynamoDB table '{table}'"
        self._dynamodb = Remote("dynamodb", place, _CALLS_AT_ONCE, patience_s, client, self._exception)

    async def add(self, record: Record) -> bool:
        item = {**_item(record), "writer": {"S": secrets.token_hex(8)}}
        try:
            await self._call(
                "put_item",
                Item=item,
                ConditionExpression=_FREE,
                ExpressionAttributeValues=self._now(),
                # https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_PutItem.html
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except _RefusedError as refusal:
            return refusal.found.get("writer") == item["writer"]
        return True

    async def replace(self, record: Record) -> bool:
        return await self._did("put_item", Item=_item(record))

    async def put(self, record: Record) -> None:
        await self._call("put_item", Item=_item(record))

    async def get(self, partition: str, key: str) -> Record | None:
        answer = await self._call("get_item", Key=_key(partition, key), ConsistentRead=True)
        record = _record(answer["Item"]) if "Item" in answer else None
        return record if record and record.expires > self._clock() else None

    async def list(self, partition: str, prefix: str = "", after: str = "") -> Sequence[Record]:
        first, last = keys_between(prefix, after)
        if first > last:  # which BETWEEN does not allow
            return []
        pages = self._pages(
            "#partition = :partition AND #key BETWEEN :first AND :last",
            {":partition": {"S": partition}, ":first": {"S": first}, ":last": {"S": last}, **self._now()},
            FilterExpression=_LIVES,
        )
        return [record async for page in pages for record in map(_record, page["Items"]) if record.key != after]

    async def count(self, partition: str) -> int:
        values = {":partition": {"S": partition}, **self._now()}
        pages = self._pages("#partition = :partition", values, FilterExpression=_LIVES, Select="COUNT")
        return sum([int(page["Count"]) async for page in pages])

    async def remove(self, partition: str, key: str) -> bool:
        return await self._did("delete_item", Key=_key(partition, key))

    async def clear(self, partition: str) -> None:
        values = {":partition": {"S": partition}}
        pages = self._pages("#partition = :partition", values, ProjectionExpression="#partition, #key")
        async for page in pages:
            keys = page["Items"]
            for at in range(0, len(keys), _LARGEST_BATCH):
                await self._delete(keys[at : at + _LARGEST_BATCH])

    async def aclose(self) -> None:
        await self._dynamodb.aclose()

    def _now(self) -> dict[str, dict[str, str]]:
        return {":now": {"N": repr(self._clock())}}

    async def _did(self, operation: str, **request: object) -> bool:
        """Writes what lives; says whether there was something."""
        try:
            await self._call(operation, **request, ConditionExpression=_LIVES, ExpressionAttributeValues=self._now())
        except _RefusedError:
            return False
        return True

    async def _pages(self, which: str, values: Item, **how: object) -> AsyncIterator[dict[str, Any]]:
        """What a query answers, a megabyte at a time.

        Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Query.Pagination.html
        """
        how |= {"KeyConditionExpression": which, "ExpressionAttributeValues": values, "ConsistentRead": True}
        while True:
            page = await self._call("query", **how)
            yield page
            if "LastEvaluatedKey" not in page:
                return
            how["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    async def _delete(self, keys: Sequence[Item]) -> None:
        batch: object = {self._table: [{"DeleteRequest": {"Key": key}} for key in keys]}
        for pause_s in _BATCH_PAUSES_S:
            answer = await self._call("batch_write_item", RequestItems=batch)
            batch = answer.get("UnprocessedItems")
            if not batch:
                return
            # "We strongly recommend that you use an exponential backoff algorithm."
            await asyncio.sleep(pause_s)
        raise StoreDown(self._too_fast())

    async def _call(self, operation: str, **request: Any) -> dict[str, Any]:
        """What AWS answers to an operation, by boto3's name of it.

        Raises:
            _RefusedError: the condition does not hold.
            StoreDown: there is no answer, or an error.
        """
        aliases = {
            each for name, text in request.items() if name.endswith("Expression") for each in _ALIAS.findall(text)
        }
        if aliases:
            request["ExpressionAttributeNames"] = {alias: alias[1:] for alias in aliases}
        if operation != "batch_write_item":
            request["TableName"] = self._table
        answer: dict[str, Any] = await self._dynamodb.ask(lambda client: getattr(client, operation)(**request))
        return answer

    def _exception(self, fault: "ClientError") -> Exception:
        if fault.response["Error"]["Code"] == "ConditionalCheckFailedException":
            return _RefusedError(fault.response.get("Item", {}))
        return StoreDown(self._saying(fault))

    def _saying(self, fault: "ClientError") -> str:
        code, said = (str(fault.response["Error"].get(field, "")) for field in ("Code", "Message"))
        table = f"the DynamoDB table '{self._table}' in {self._dynamodb.region}"
        if code == "ResourceNotFoundException":
            return f"There is no DynamoDB table '{self._table}' in {self._dynamodb.region}. Create it, or name another."
        if code == "AccessDeniedException":
            return f"AWS does not let this process use {table}. Grant it dynamodb:{fault.operation_name} there."
        if code in _UNKNOWN_CALLER:
            return f"AWS does not accept the credentials for {table} ({code}). Renew them."
        if code in _TOO_FAST:
            return self._too_fast()
        return f"AWS cannot do {fault.operation_name} on {table}: {code}, {said.rstrip('.')}."

    def _too_fast(self) -> str:
        return (
            f"The DynamoDB table '{self._table}' in {self._dynamodb.region} takes no more for now. Try again later; if "
            "that stays so, raise its limits."
        )


def create_table(client: Any, name: str) -> None:
    """Makes a table for records, and waits until it can be used. For tests and trials: a deployment has a template.

    Args:
        client: one of boto3's for DynamoDB.

    Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/time-to-live-ttl-how-to.html
    """
    client.create_table(
        TableName=name,
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in ("partition", "key")],
        KeySchema=[
            {"AttributeName": "partition", "KeyType": "HASH"},
            {"AttributeName": "key", "KeyType": "RANGE"},
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    client.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    client.update_time_to_live(TableName=name, TimeToLiveSpecification={"Enabled": True, "AttributeName": "expires"})


def _key(partition: str, key: str) -> dict[str, dict[str, str]]:
    return {"partition": {"S": partition}, "key": {"S": key}}


def _item(record: Record) -> dict[str, dict[str, Any]]:
    checked(record)
    return {
        **_key(record.partition, record.key),
        "value": {"B": record.value},
        "until": {"N": repr(record.expires)},
        "expires": {"N": str(math.ceil(record.expires))},
    }


def _record(item: Item) -> Record:
    return Record(item["partition"]["S"], item["key"]["S"], item["value"]["B"], float(item["until"]["N"]))
