"""What the Runtime API is told, byte for byte."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollbook.hosting.runtime import framing
from tollbook.hosting.runtime.framing import Failure

names = st.sampled_from([b"content-type", b"x-one", b"x-two", b"set-cookie", b"vary"])
values = st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f")).map(
    lambda text: text.encode("latin-1")
)
header_lines = st.lists(st.tuples(names, values), max_size=8)


def taken_apart(prelude: bytes) -> dict[str, object]:
    metadata, _, rest = prelude.partition(bytes(8))
    assert rest == b""
    found: dict[str, object] = json.loads(metadata)
    return found


def test_a_prelude_is_metadata_and_eight_zeros() -> None:
    prelude = framing.prelude(200, [(b"content-type", b"text/plain")], is_rest=False)
    assert prelude == b'{"statusCode":200,"headers":{"content-type":"text/plain"}}' + bytes(8)


def test_cookies_go_apart_through_a_function_url() -> None:
    headers = [(b"set-cookie", b"a=1"), (b"vary", b"Origin"), (b"set-cookie", b"b=2"), (b"vary", b"Accept")]
    assert taken_apart(framing.prelude(200, headers, is_rest=False)) == {
        "statusCode": 200,
        "headers": {"vary": "Origin, Accept"},
        "cookies": ["a=1", "b=2"],
    }


def test_what_comes_in_several_lines_stays_so_through_a_rest_api() -> None:
    headers = [(b"set-cookie", b"a=1"), (b"vary", b"Origin"), (b"set-cookie", b"b=2")]
    assert taken_apart(framing.prelude(404, headers, is_rest=True)) == {
        "statusCode": 404,
        "headers": {"vary": "Origin"},
        "multiValueHeaders": {"set-cookie": ["a=1", "b=2"]},
    }


def test_headers_of_one_connection_alone_are_left_out() -> None:
    headers = [(b"Connection", b"close"), (b"Transfer-Encoding", b"chunked"), (b"X-Mine", b"1")]
    assert taken_apart(framing.prelude(200, headers, is_rest=True))["headers"] == {"x-mine": "1"}


@given(header_lines)
def test_no_header_is_lost_and_no_zero_comes_before_the_end(lines: list[tuple[bytes, bytes]]) -> None:
    told = taken_apart(framing.prelude(200, lines, is_rest=True))
    single, several = told["headers"], told.get("multiValueHeaders", {})
    assert isinstance(single, dict)
    assert isinstance(several, dict)
    found = [(name, value) for name, value in single.items()]
    found += [(name, value) for name, given in several.items() for value in given]
    assert sorted(found) == sorted((name.decode(), value.decode("latin-1")) for name, value in lines)
    assert single.keys().isdisjoint(several)


def test_a_prelude_of_more_than_16_kb_is_refused() -> None:
    exactly = framing.LARGEST_PRELUDE - len(framing.prelude(200, [(b"x", b"")], is_rest=True))
    assert len(framing.prelude(200, [(b"x", b"a" * exactly)], is_rest=True)) == framing.LARGEST_PRELUDE
    with pytest.raises(framing.TooLarge):
        framing.prelude(200, [(b"x", b"a" * (exactly + 1))], is_rest=True)


def test_a_failure_in_the_middle_is_told_in_trailers() -> None:
    kind, body = framing.failure_trailers(Failure("Function.AppFailed", "It failed."))
    assert kind == ("Lambda-Runtime-Function-Error-Type", "Function.AppFailed")
    assert body[0] == "Lambda-Runtime-Function-Error-Body"
    assert json.loads(base64.b64decode(body[1])) == {
        "errorType": "Function.AppFailed",
        "errorMessage": "It failed.",
        "stackTrace": [],
    }


def test_both_trailers_are_announced() -> None:
    announced = dict(framing.STREAMED)["Trailer"].split(", ")
    assert announced == [name for name, _ in framing.failure_trailers(Failure("A", "b"))]


def test_an_invocation_is_read_from_its_headers() -> None:
    told = framing.next_of(
        {
            "lambda-runtime-aws-request-id": "8476a536",
            "lambda-runtime-deadline-ms": "1542409706888",
            "lambda-runtime-invoked-function-arn": "arn:aws:lambda:us-east-2:123456789012:function:x",
            "lambda-runtime-trace-id": "Root=1-5bef4de7",
        }
    )
    assert told == ("8476a536", 1542409706888, "arn:aws:lambda:us-east-2:123456789012:function:x", "Root=1-5bef4de7")
    assert framing.response_of(told.id) == "/2018-06-01/runtime/invocation/8476a536/response"
    assert framing.error_of(told.id) == "/2018-06-01/runtime/invocation/8476a536/error"
