"""One record of Amazon Bedrock's model invocation log, from bytes.

Only what a report needs is decoded; prompts and answers are skipped, and never leave this module.

Source: https://docs.aws.amazon.com/bedrock/latest/userguide/model-invocation-logging.html; the fields
`cacheReadInputTokenCount`, `cacheWriteInputTokenCount`, `inferenceRegion` and `errorCode` are not
documented there but written.
"""

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, Final

import msgspec

# Far beyond any context window; a larger figure is a fault in the log, not a bill.
_MOST_TOKENS: Final = 10**12
Tokens = Annotated[int, msgspec.Meta(ge=0, le=_MOST_TOKENS)]

PERMISSION_LINE: Final = b"Permissions are correctly set for Amazon Bedrock logs"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Reason(StrEnum):
    """Why a line is no record that can be counted. The values are part of the JSON report."""

    NOT_JSON = "not_json"
    NOT_AN_INVOCATION = "not_an_invocation"
    NO_TIMESTAMP = "no_timestamp"
    BAD_TIMESTAMP = "bad_timestamp"
    BAD_TOKEN_COUNT = "bad_token_count"  # noqa: S105
    TOO_LONG = "too_long"


class Rejected(Exception):
    """A line that cannot be counted."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason = reason


class Identity(msgspec.Struct, gc=False):
    arn: str | None = None


class Input(msgspec.Struct, gc=False, frozen=True):
    inputTokenCount: Tokens | None = None
    cacheReadInputTokenCount: Tokens | None = None
    cacheWriteInputTokenCount: Tokens | None = None


class Output(msgspec.Struct, gc=False, frozen=True):
    outputTokenCount: Tokens | None = None
    outputBodyJson: msgspec.Raw = msgspec.Raw()


class LogRecord(msgspec.Struct, gc=False):
    """The needed fields of a record, named as in the log.

    `message` is there for the events of CloudWatch, `{"timestamp": …, "message": "<the record>"}`; `settled`
    takes the record out of them.
    """

    timestamp: datetime | int | None = None
    modelId: str | None = None
    accountId: str | None = None
    region: str | None = None
    requestId: str | None = None
    operation: str | None = None
    inferenceRegion: str | None = None
    errorCode: str | None = None
    identity: Identity | None = None
    input: Input | None = None
    output: Output | None = None
    message: str | None = None


class TaggedRecord(LogRecord, gc=False):
    """A record with its request metadata; decoding it costs, so only reports by tag ask for it."""

    requestMetadata: dict[str, str] | None = None


class RecordReader:
    """Lines to records, and a count of the lines that are none.

    Attributes:
        rejected: lines by `Reason`.
        permission_lines: Bedrock's own "Permissions are correctly set …", which is no record and no fault.
    """

    def __init__(self, with_tags: bool = False) -> None:
        self._type = TaggedRecord if with_tags else LogRecord
        self._decoder = msgspec.json.Decoder(self._type)
        self.rejected: Counter[Reason] = Counter()
        self.permission_lines = 0

    def read(self, block: bytes) -> list[LogRecord]:
        """The records in `block`, which holds whole lines."""
        try:
            return self._decoder.decode_lines(block)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return self.read_each(block.split(b"\n"))

    def read_each(self, texts: Iterable[bytes]) -> list[LogRecord]:
        """The records among `texts`, each the JSON of one record or of one CloudWatch event."""
        records = []
        for text in texts:
            if not text or text.isspace():
                continue
            try:
                records.append(self._one(text))
            except Rejected as fault:
                self.reject(fault.reason, text)
        return records

    def settled(self, record: LogRecord) -> LogRecord | None:
        """`record` with an aware UTC timestamp and a model, taken out of its CloudWatch event if it is one.

        Returns: None, and counts the reason, where it cannot be counted.
        """
        text = b""
        try:
            if not record.modelId:
                if not record.message:
                    raise Rejected(Reason.NOT_AN_INVOCATION)
                text = record.message.encode("utf-8", "surrogatepass")
                event_time, record = record.timestamp, self._one(text)
                if record.timestamp is None:
                    record.timestamp = event_time
            if not record.modelId:
                raise Rejected(Reason.NOT_AN_INVOCATION)
            record.timestamp = _instant(record.timestamp)
        except Rejected as fault:
            self.reject(fault.reason, text)
            return None
        return record

    def reject(self, reason: Reason, text: bytes = b"") -> None:
        """Counts a line that is no record."""
        if reason is Reason.NOT_JSON and text.lstrip().startswith(PERMISSION_LINE):
            self.permission_lines += 1
        else:
            self.rejected[reason] += 1

    def _one(self, text: bytes) -> LogRecord:
        try:
            return self._decoder.decode(text)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return _tolerant(text, self._type)


def _instant(value: datetime | int | None) -> datetime:
    if isinstance(value, int):
        # CloudWatch counts milliseconds: https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_FilteredLogEvent.html
        try:
            return _EPOCH + timedelta(milliseconds=value)
        except OverflowError:
            raise Rejected(Reason.BAD_TIMESTAMP) from None
    if value is None:
        raise Rejected(Reason.NO_TIMESTAMP)
    if value.tzinfo is None:
        raise Rejected(Reason.BAD_TIMESTAMP)
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise Rejected(Reason.BAD_TIMESTAMP) from None


def _tolerant(text: bytes, kind: type[LogRecord]) -> LogRecord:
    """The record in `text`, where a field that money does not depend on may be of any form.

    Raises:
        Rejected: no JSON, no record, or a token count or timestamp that cannot be believed.
    """
    try:
        found = msgspec.json.decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise Rejected(Reason.NOT_JSON) from None
    if not isinstance(found, dict):
        raise Rejected(Reason.NOT_AN_INVOCATION)
    record = kind(**{name: found[name] for name in _TEXT_FIELDS if isinstance(found.get(name), str)})
    if not (record.modelId or record.message):
        raise Rejected(Reason.NOT_AN_INVOCATION)
    if "timestamp" in found:
        record.timestamp = _convert(found["timestamp"], datetime | int | None, Reason.BAD_TIMESTAMP)
    identity, given, made = (_mapping(found, name) for name in ("identity", "input", "output"))
    if isinstance(arn := identity.get("arn"), str):
        record.identity = Identity(arn)
    record.input = _convert(given, Input, Reason.BAD_TOKEN_COUNT)
    record.output = _convert(made, Output, Reason.BAD_TOKEN_COUNT)
    if isinstance(record, TaggedRecord):
        tags = _mapping(found, "requestMetadata")
        record.requestMetadata = {key: value for key, value in tags.items() if isinstance(value, str)}
    return record


_TEXT_FIELDS = (
    *("modelId", "accountId", "region", "requestId", "operation"),
    *("inferenceRegion", "errorCode", "message"),
)


def _mapping(found: dict[str, Any], name: str) -> dict[str, Any]:
    value = found.get(name)
    return value if isinstance(value, dict) else {}


def _convert(value: Any, kind: Any, reason: Reason) -> Any:
    try:
        # By way of JSON, since `outputBodyJson` stays raw.
        return msgspec.json.decode(msgspec.json.encode(value), type=kind)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        raise Rejected(reason) from None
