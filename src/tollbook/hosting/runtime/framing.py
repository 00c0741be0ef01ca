"""What the Runtime API of AWS Lambda is told, as bytes and headers. Nothing here reads or writes.

Sources:
    https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
    https://docs.aws.amazon.com/lambda/latest/dg/runtimes-custom.html#runtimes-custom-response-streaming
    https://docs.aws.amazon.com/apigateway/latest/developerguide/response-transfer-mode-lambda.html
"""

import base64
import json
import re
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

_ROOT: Final = "/2018-06-01/runtime"
NEXT: Final = f"{_ROOT}/invocation/next"
INIT_ERROR: Final = f"{_ROOT}/init/error"
RESTORE_NEXT: Final = f"{_ROOT}/restore/next"
RESTORE_ERROR: Final = f"{_ROOT}/restore/error"

BROKEN: Final = 500
"""The status after which, says AWS, a runtime should end its process at once."""

_ERROR_TYPE: Final = "Lambda-Runtime-Function-Error-Type"
_ERROR_BODY: Final = "Lambda-Runtime-Function-Error-Body"
STREAMED: Final = (
    ("Content-Type", "application/vnd.awslambda.http-integration-response"),
    ("Lambda-Runtime-Function-Response-Mode", "streaming"),
    ("Transfer-Encoding", "chunked"),
    ("Trailer", f"{_ERROR_TYPE}, {_ERROR_BODY}"),
)
"""The headers of a response that begins with a prelude."""

LARGEST_PRELUDE: Final = 16 << 10
"""Bytes within which the prelude must have ended."""
_END_OF_PRELUDE: Final = bytes(8)

# They are of one connection, and Lambda's own is another: RFC 9110 §7.6.1.
_HOP_BY_HOP: Final = frozenset({"connection", "keep-alive", "transfer-encoding", "upgrade"})

_NO_TOKEN: Final = re.compile(r"[^A-Za-z0-9._-]")

Headers = Iterable[tuple[bytes, bytes]]


class Failure(NamedTuple):
    """Why there is no answer, or no more of it: for the log of whoever runs the function.

    Attributes:
        kind: a name for it, `Function.Deadline` for example.
        message: a sentence; of an app, without anything that a caller sent.
        is_late: there was not time enough.
    """

    kind: str
    message: str
    is_late: bool = False

    @property
    def token(self) -> str:
        """`kind` as a header can have it."""
        return _NO_TOKEN.sub("_", self.kind) or "_"


class Next(NamedTuple):
    """What an invocation is about, apart from its event.

    Attributes:
        deadline_ms: when it is ended, in milliseconds since 1970.
        trace_id: what X-Ray calls the request; or empty.
    """

    id: str
    deadline_ms: int
    function_arn: str
    trace_id: str


class Unusable(Exception):
    """The Runtime API is not there, or speaks otherwise than it should: there is nothing left to work for."""


class TooLarge(ValueError):
    """What precedes the body takes more bytes than it may."""


def response_of(invocation_id: str) -> str:
    """Where the response to an invocation goes."""
    return f"{_ROOT}/invocation/{invocation_id}/response"


def error_of(invocation_id: str) -> str:
    """Where the error goes that an invocation ends with instead of a response."""
    return f"{_ROOT}/invocation/{invocation_id}/error"


def next_of(headers: Mapping[str, str]) -> Next:
    """The invocation that the headers, by lower-case name, of an answer to `NEXT` are about.

    Raises:
        Unusable: they do not say.
    """
    try:
        id_, deadline_ms = headers["lambda-runtime-aws-request-id"], int(headers["lambda-runtime-deadline-ms"])
    except (KeyError, ValueError):
        raise Unusable("The Runtime API does not say which invocation it hands out.") from None
    arn, trace_id = headers.get("lambda-runtime-invoked-function-arn", ""), headers.get("lambda-runtime-trace-id", "")
    return Next(id_, deadline_ms, arn, trace_id)


def prelude(status: int, headers: Headers, *, is_rest: bool) -> bytes:
    """Status and headers of a response, which go before its body.

    Args:
        headers: as ASGI has them.
        is_rest: whether the request came through a REST API, which takes a header of several lines as such; a
            function URL takes cookies apart, and of other headers one line.

    Raises:
        TooLarge: there is more than may be.
    """
    metadata = json.dumps(metadata_of(status, headers, is_rest=is_rest), separators=(",", ":")).encode()
    if len(metadata) + len(_END_OF_PRELUDE) > LARGEST_PRELUDE:
        raise TooLarge(f"The headers of the response take {len(metadata):,} bytes.")
    return metadata + _END_OF_PRELUDE


def metadata_of(status: int, headers: Headers, *, is_rest: bool) -> dict[str, object]:
    """What `prelude` writes, as an object."""
    lines: dict[str, list[str]] = {}
    for raw_name, raw_value in headers:
        name = raw_name.decode("latin-1").lower()
        if name not in _HOP_BY_HOP:
            lines.setdefault(name, []).append(raw_value.decode("latin-1"))
    if is_rest:
        # A name must be in one of the two only: https://docs.aws.amazon.com/apigateway/latest/developerguide/
        # set-up-lambda-proxy-integrations.html#api-gateway-simple-proxy-for-lambda-output-format
        single = {name: values[0] for name, values in lines.items() if len(values) == 1}
        several = {name: values for name, values in lines.items() if len(values) > 1}
        return {"statusCode": status, "headers": single} | ({"multiValueHeaders": several} if several else {})
    cookies = lines.pop("set-cookie", [])
    joined = {name: ", ".join(values) for name, values in lines.items()}  # RFC 9110 §5.3
    return {"statusCode": status, "headers": joined} | ({"cookies": cookies} if cookies else {})


def failure_document(failure: Failure) -> bytes:
    """The body of whatever says that something failed."""
    document = {"errorType": failure.kind, "errorMessage": failure.message, "stackTrace": []}
    return json.dumps(document).encode()


def failure_headers(failure: Failure) -> tuple[tuple[str, str], ...]:
    """The headers of whatever says that something failed."""
    return (("Content-Type", "application/vnd.aws.lambda.error+json"), (_ERROR_TYPE, failure.token))


def failure_trailers(failure: Failure) -> tuple[tuple[str, str], ...]:
    """What ends a response that has begun and failed."""
    return (_ERROR_TYPE, failure.token), (_ERROR_BODY, base64.b64encode(failure_document(failure)).decode("ascii"))
