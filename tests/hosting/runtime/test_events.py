"""Events, as the requests that they stand for. The events are those of AWS's own pages, shortened."""

import base64
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollbook.hosting.runtime.events import HttpRequest, UnknownEvent, buffered, read_event

# https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html
REST: dict[str, Any] = {
    "resource": "/{proxy+}",
    "path": "/mcp",
    "httpMethod": "POST",
    "headers": {"Accept": "text/event-stream", "Host": "abc.execute-api.eu-west-1.amazonaws.com"},
    "multiValueHeaders": {
        "Accept": ["application/json", "text/event-stream"],
        "Host": ["abc.execute-api.eu-west-1.amazonaws.com"],
        "Content-Length": ["999"],
    },
    "queryStringParameters": {"a": "2", "b c": "d&e"},
    "multiValueQueryStringParameters": {"a": ["1", "2"], "b c": ["d&e"]},
    "pathParameters": {"proxy": "mcp"},
    "stageVariables": None,
    "requestContext": {
        "authorizer": {"principalId": "someone"},
        "domainName": "abc.execute-api.eu-west-1.amazonaws.com",
        "identity": {"sourceIp": "192.0.2.7"},
        "path": "/prod/mcp",
        "stage": "prod",
    },
    "body": '{"jsonrpc":"2.0"}',
    "isBase64Encoded": False,
}
# https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html
URL: dict[str, Any] = {
    "version": "2.0",
    "routeKey": "$default",
    "rawPath": "/my/path%20with",
    "rawQueryString": "parameter1=value1&parameter1=value2&e=%C3%A9",
    "cookies": ["cookie1=x", "cookie2=y"],
    "headers": {"header1": "value1", "header2": "value1,value2"},
    "requestContext": {
        "domainName": "abcd.lambda-url.us-west-2.on.aws",
        "http": {"method": "GET", "path": "/my/path", "protocol": "HTTP/1.1", "sourceIp": "192.0.2.8"},
        "stage": "$default",
    },
    "isBase64Encoded": False,
}


def changed(event: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {**event, **changes}


def lines(request: HttpRequest, name: bytes) -> list[bytes]:
    return [value for key, value in request.scope["headers"] if key == name]


def test_a_rest_api_gives_every_line_of_a_header_and_every_value_of_the_query() -> None:
    request = read_event(REST)
    assert lines(request, b"accept") == [b"application/json", b"text/event-stream"]
    assert request.scope["query_string"] == b"a=1&a=2&b+c=d%26e"
    assert (request.scope["method"], request.scope["scheme"]) == ("POST", "https")
    assert request.scope["client"] == ("192.0.2.7", 0)
    assert request.body == b'{"jsonrpc":"2.0"}'
    assert request.is_rest
    assert request.can_stream


def test_a_rest_api_that_gives_single_values_alone_is_understood_too() -> None:
    request = read_event(changed(REST, multiValueHeaders=None, multiValueQueryStringParameters=None))
    assert lines(request, b"accept") == [b"text/event-stream"]
    assert request.scope["query_string"] == b"a=2&b+c=d%26e"


def test_a_root_path_is_found_however_the_path_is_written() -> None:
    context = {**REST["requestContext"], "path": "/tolls/a%20b"}
    scope = read_event(changed(REST, pathParameters={"proxy": "a b"}, requestContext=context)).scope
    assert (scope["path"], scope["raw_path"], scope["root_path"]) == ("/tolls/a b", b"/tolls/a%20b", "/tolls")


def test_the_length_of_the_body_is_what_it_is() -> None:
    assert lines(read_event(REST), b"content-length") == [b"17"]
    assert lines(read_event(changed(REST, body=None)), b"content-length") == []


@pytest.mark.parametrize(
    ("asked_for", "resource", "parameters", "root"),
    [
        ("/prod/mcp", "/{proxy+}", {"proxy": "mcp"}, "/prod"),
        ("/mcp", "/{proxy+}", {"proxy": "mcp"}, ""),
        ("/tolls/mcp", "/{proxy+}", {"proxy": "mcp"}, "/tolls"),
        ("/prod/mcp", "/mcp", None, "/prod"),
        ("/prod/a/b/c", "/a/{proxy+}", {"proxy": "b/c"}, "/prod"),
        ("/prod/", "/", None, "/prod"),
        ("/prod", "/", None, "/prod"),
        ("/", "/", None, ""),
        ("/prod/x/", "/{proxy+}", {"proxy": "x"}, "/prod"),
        ("/prod/elsewhere", "/{proxy+}", {"proxy": "other"}, "/prod"),
        ("/production/elsewhere", "/{proxy+}", {"proxy": "other"}, ""),
        ("/mcp", "/{a{a{a{a{a", {"a": "mcp"}, ""),
    ],
)
def test_a_stage_or_a_base_path_is_the_root_path(
    asked_for: str, resource: str, parameters: dict[str, str] | None, root: str
) -> None:
    context = {**REST["requestContext"], "path": asked_for}
    scope = read_event(changed(REST, resource=resource, pathParameters=parameters, requestContext=context)).scope
    assert (scope["path"], scope["root_path"]) == (asked_for, root)


def test_a_function_url_gives_cookies_apart_and_the_path_raw() -> None:
    request = read_event(URL)
    assert lines(request, b"cookie") == [b"cookie1=x; cookie2=y"]
    assert (request.scope["path"], request.scope["raw_path"]) == ("/my/path with", b"/my/path%20with")
    assert request.scope["query_string"] == b"parameter1=value1&parameter1=value2&e=%C3%A9"
    assert lines(request, b"host") == [b"abcd.lambda-url.us-west-2.on.aws"]
    assert request.can_stream
    assert not request.is_rest


def test_an_http_api_is_not_streamed_to_and_has_its_stage() -> None:
    # https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
    context = {**URL["requestContext"], "domainName": "id.execute-api.us-east-1.amazonaws.com", "stage": "dev"}
    request = read_event(changed(URL, rawPath="/dev/mcp", requestContext=context))
    assert not request.can_stream
    assert request.scope["root_path"] == "/dev"


def test_an_http_api_is_not_streamed_to_in_the_older_format_either() -> None:
    assert not read_event(changed(REST, version="1.0")).can_stream


def test_a_client_is_one_only_if_it_is_an_address() -> None:
    context = {**URL["requestContext"], "http": {"method": "GET", "sourceIp": "192.0.2.8\n"}}
    assert read_event(changed(URL, requestContext=context)).scope["client"] is None


def test_a_body_that_is_not_text_comes_whole() -> None:
    body = bytes(range(256))
    encoded = changed(URL, body=base64.b64encode(body).decode(), isBase64Encoded=True)
    assert read_event(encoded).body == body


def test_an_app_sees_the_rest_of_the_event_but_not_the_body_twice() -> None:
    event = read_event(REST).scope["aws.event"]
    assert event["requestContext"]["authorizer"] == {"principalId": "someone"}
    assert "body" not in event


def test_bytes_that_are_no_latin_1_are_not_lost() -> None:
    request = read_event(changed(URL, headers={"x-name": "Zoë", "x-city": "東京"}))
    assert lines(request, b"x-name") == ["Zoë".encode("latin-1")]
    assert lines(request, b"x-city") == ["東京".encode()]


@pytest.mark.parametrize(
    "event",
    [
        None,
        [],
        "text",
        {},
        {"source": "aws.events", "detail-type": "Scheduled Event"},
        {"httpMethod": "GET"},
        changed(REST, requestContext=None),
        changed(REST, httpMethod="GET / HTTP/1.1\r\nX"),
        changed(REST, path="", requestContext={}),
        changed(REST, multiValueHeaders={"X": "not a list"}),
        changed(URL, headers={"x": "one\r\nSet-Cookie: y=1"}),
        changed(URL, headers={"x y": "one"}),
        changed(URL, rawPath="https://elsewhere.example/"),
        changed(URL, body="%%%", isBase64Encoded=True),
        changed(URL, requestContext={"http": {"method": "GET"}}, cookies=["a=1\nb"]),
        changed(URL, requestContext={**URL["requestContext"], "domainName": "a\nb"}),
        changed(URL, rawPath="/" + "a" * 70_000),
        changed(REST, requestContext={"elb": {"targetGroupArn": "arn:aws:elasticloadbalancing:…"}}),
    ],
)
def test_what_stands_for_no_request_is_refused_in_a_sentence_that_quotes_nothing(event: object) -> None:
    with pytest.raises(UnknownEvent) as refused:
        read_event(event)
    assert str(refused.value).startswith("The event")
    assert "elsewhere" not in str(refused.value)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from([REST, URL]), st.data())
def test_whatever_stands_in_an_event_it_is_read_or_refused(event: dict[str, Any], data: st.DataObject) -> None:
    field = data.draw(st.sampled_from(sorted(event)))
    broken = msgspec.json.decode(msgspec.json.encode({**event, field: data.draw(json_values)}))
    try:
        scope = read_event(broken).scope
    except UnknownEvent:
        return
    assert all(b"\n" not in value for _, value in scope["headers"])
    assert scope["raw_path"].startswith(b"/")


def test_a_whole_answer_is_text_where_it_is_text() -> None:
    told = json.loads(buffered(200, [(b"content-type", b"text/plain")], "é".encode(), is_rest=False))
    assert told == {
        "statusCode": 200,
        "headers": {"content-type": "text/plain"},
        "body": "é",
        "isBase64Encoded": False,
    }
    told = json.loads(buffered(200, [], b"\xff\x00", is_rest=True))
    assert (told["body"], told["isBase64Encoded"]) == ("/wA=", True)
