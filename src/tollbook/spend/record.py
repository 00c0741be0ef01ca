"""One record of Amazon Bedrock's model invocation log, from bytes.

Only what a report needs is decoded; prompts and answers are skipped, and never leave this module.

Source: https://docs.aws.amazon.com/bedrock/latest/userguide/model-invocation-logging.html; the fields
`cacheReadInputTokenCount`, `cacheWriteInputTokenCount`, `inferenceRegion` and `errorCode` are not
documented there but written.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, Final

import msgspec

from tollbook.spend.body import Body

# Far beyond any context window; a larger figure is a fault in the log, not a bill.
_MOST_TOKENS: Final = 10**12
Tokens = Annotated[int, msgspec.Meta(ge=0, le=_MOST_TOKENS)]
_Time = Annotated[datetime, msgspec.Meta(tz=True)]

PERMISSION_LINE: Final = b"Permissions are correctly set for Amazon Bedrock logs"
_UNDECODABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
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
    """A line, `text`, that cannot be counted."""

    def __init__(self, reason: Reason, text: bytes = b"") -> None:
        super().__init__(reason)
        self.reason = reason
        self.text = text


class Identity(msgspec.Struct, gc=False):
    arn: str | None = None


class Input(msgspec.Struct, gc=False, frozen=True):
    inputTokenCount: Tokens | None = None
    cacheReadInputTokenCount: Tokens | None = None
    cacheWriteInputTokenCount: Tokens | None = None


class Output(msgspec.Struct, gc=False, frozen=True):
    outputTokenCount: Tokens | None = None
    outputBodyJson: Body | list[Body] | None = None


class LogRecord(msgspec.Struct, gc=False):
    """The needed fields of a record, named as in the log. `timestamp` is aware, `modelId` not empty."""

    timestamp: _Time
    modelId: Annotated[str, msgspec.Meta(min_length=1)]
    accountId: str | None = None
    region: str | None = None
    requestId: str | None = None
    operation: str | None = None
    inferenceRegion: str | None = None
    errorCode: str | None = None
    identity: Identity | None = None
    input: Input | None = None
    output: Output | None = None


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

    def read(self, block: bytes, one_by_one: Callable[[], Iterable[bytes]] | None = None) -> list[LogRecord]:
        """The records in `block`, which holds whole lines.

        Args:
            one_by_one: gives what `read_each` takes where one of the lines is no plain record; by default, the lines.
        """
        try:
            return self._decoder.decode_lines(block)
        except _UNDECODABLE:
            return self.read_each(block.split(b"\n") if one_by_one is None else one_by_one())

    def read_each(self, texts: Iterable[bytes]) -> list[LogRecord]:
        """The records among `texts`, each the JSON of one record or of one CloudWatch event."""
        records = []
        for text in texts:
            if not text or text.isspace():
                continue
            try:
                records += self._records(text)
            except Rejected as fault:
                self.reject(fault.reason, fault.text)
        return records

    def reject(self, reason: Reason, text: bytes = b"") -> None:
        """Counts a line that is no record."""
        if reason is Reason.NOT_JSON and text.lstrip().startswith(PERMISSION_LINE):
            self.permission_lines += 1
        else:
            self.rejected[reason] += 1

    def _records(self, text: bytes, event_time: msgspec.Raw | None = None) -> list[LogRecord]:
        """The record in `text`, or in the message of the event that `text` is; or several, one after another.

        Args:
            event_time: the event's, for a record that has none of its own.
        """
        try:
            return self._decoder.decode_lines(text)
        except _UNDECODABLE:
            pass
        loose = _loose(text)
        message = _text(loose.message)
        if message and event_time is None and not _text(loose.modelId):
            # An event within an event is no record: the time of the outer one stands in its way.
            return self._records(message.encode("utf-8", "surrogatepass"), loose.timestamp or msgspec.Raw(b"0"))
        return [_tolerated(loose, event_time, self._type)]


class _LooseRecord(msgspec.Struct):
    """A record or an event whose fields may be of any form, each for itself."""

    timestamp: msgspec.Raw = msgspec.Raw()
    modelId: msgspec.Raw = msgspec.Raw()
    accountId: msgspec.Raw = msgspec.Raw()
    region: msgspec.Raw = msgspec.Raw()
    requestId: msgspec.Raw = msgspec.Raw()
    operation: msgspec.Raw = msgspec.Raw()
    inferenceRegion: msgspec.Raw = msgspec.Raw()
    errorCode: msgspec.Raw = msgspec.Raw()
    identity: msgspec.Raw = msgspec.Raw()
    input: msgspec.Raw = msgspec.Raw()
    output: msgspec.Raw = msgspec.Raw()
    requestMetadata: msgspec.Raw = msgspec.Raw()
    message: msgspec.Raw = msgspec.Raw()


def _loose(text: bytes) -> _LooseRecord:
    try:
        try:
            return msgspec.json.decode(text, type=_LooseRecord)
        except msgspec.ValidationError:
            raise Rejected(Reason.NOT_AN_INVOCATION) from None
        except _UNDECODABLE:
            # Half a character in a prompt, as some programs cut them, is more than msgspec bears.
            if not text.lstrip().startswith(b"{"):
                raise Rejected(Reason.NOT_JSON, text) from None
            found = json.loads(text)
            for name in ("input", "output"):
                if isinstance(part := found.get(name), dict):
                    part.pop(f"{name}BodyJson", None)
            return msgspec.json.decode(json.dumps(found), type=_LooseRecord)
    except (*_UNDECODABLE, ValueError, AttributeError):
        raise Rejected(Reason.NOT_JSON, text) from None


class _OutputCount(msgspec.Struct):
    outputTokenCount: Tokens | None = None


def _tolerated(loose: _LooseRecord, event_time: msgspec.Raw | None, kind: type[LogRecord]) -> LogRecord:
    """The record in `loose`, where a field that money does not depend on may be of any form.

    Raises:
        Rejected: no record, or a token count or timestamp that cannot be believed.
    """
    model_id = _text(loose.modelId)
    if not model_id:
        raise Rejected(Reason.NOT_AN_INVOCATION)
    own_time = loose.timestamp if bytes(loose.timestamp) not in (b"", b"null") else event_time
    record = kind(_instant(own_time), model_id)
    for name in ("accountId", "region", "operation", "inferenceRegion"):
        setattr(record, name, _text(getattr(loose, name)))
    # Money does depend on these two: a number is as good as its text.
    record.requestId, record.errorCode = _scalar(loose.requestId), _scalar(loose.errorCode)
    record.identity = _read_as(Identity, loose.identity)
    given = _read_as(Input | _Other, loose.input, Reason.BAD_TOKEN_COUNT)
    record.input = given if isinstance(given, Input) else None
    made = _read_as(Output, loose.output)
    if made is None:  # a body of a strange form costs the count nothing
        count = _read_as(_OutputCount | _Other, loose.output, Reason.BAD_TOKEN_COUNT)
        made = Output(count.outputTokenCount) if isinstance(count, _OutputCount) else None
    record.output = made
    if isinstance(record, TaggedRecord):
        tags = _read_as(dict[str, msgspec.Raw], loose.requestMetadata) or {}
        record.requestMetadata = {key: text for key, value in tags.items() if (text := _text(value)) is not None}
    return record


_Other = str | int | float | bool | list[msgspec.Raw] | None
"""What may stand where an object should, and then tells nothing."""


def _read_as(kind: Any, raw: msgspec.Raw, otherwise: Reason | None = None) -> Any:
    """`raw` as `kind`; None where it is missing or, unless a reason says what that means, of another form."""
    if not bytes(raw):
        return None
    try:
        return msgspec.json.decode(raw, type=kind)
    except _UNDECODABLE:
        if otherwise is None:
            return None
        raise Rejected(otherwise) from None


def _scalar(raw: msgspec.Raw) -> str | None:
    value = _read_as(str | int | float | bool, raw)
    return None if value is None or value is False else str(value)


def _text(raw: msgspec.Raw) -> str | None:
    text = _read_as(str, raw)
    return text if isinstance(text, str) else None


def _instant(raw: msgspec.Raw | None) -> datetime:
    if raw is None:
        raise Rejected(Reason.NO_TIMESTAMP)
    value = _read_as(int | _Time, raw, Reason.BAD_TIMESTAMP)
    if isinstance(value, datetime):
        return value
    # CloudWatch counts milliseconds:
    # https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_FilteredLogEvent.html
    try:
        return _EPOCH + timedelta(milliseconds=value)
    except OverflowError:
        raise Rejected(Reason.BAD_TIMESTAMP) from None
