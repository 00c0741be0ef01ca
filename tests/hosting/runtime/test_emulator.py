"""The loop in AWS's own emulator. Both are real; the emulator's own limits are named in `tests.fakes.emulator`."""

import base64
import json
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Final, Protocol

import pytest

from tests.auth_servers.issuer import Issuer
from tests.fakes.api_gateway import allows, http_event, request_event, token_event
from tests.fakes.emulator import Emulator, emulated, emulator
from tests.hosting.auth.asking import bearer, environment_for
from tests.hosting.runtime.test_events import REST, URL
from tests.hosting.wire import ROOT

__all__ = ["emulator"]

APP: Final = "tests.hosting.runtime.small_app:app"
LOOP: Final = (sys.executable, "-m", "tollbook.hosting.runtime.lambda_loop")


class Run(Protocol):
    """Runs MODULE:NAME by the loop, in the emulator."""

    def __call__(self, name: str, **environment: str) -> AbstractContextManager[Emulator]: ...


@pytest.fixture
def run(emulator: Path, tmp_path: Path) -> Run:
    def run(name: str, **environment: str) -> AbstractContextManager[Emulator]:
        return emulated(emulator, [*LOOP, name], tmp_path, {"PYTHONPATH": str(ROOT), **environment})

    return run


@pytest.fixture(scope="module")
def app(emulator: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """`small_app`, which has three seconds for each invocation."""
    settings = {"PYTHONPATH": str(ROOT), "AWS_LAMBDA_FUNCTION_TIMEOUT": "3"}
    with emulated(emulator, [*LOOP, APP], tmp_path_factory.mktemp("app"), settings) as running:
        yield running


def at(path: str) -> dict[str, Any]:
    """An event for the app's path."""
    return {**URL, "rawPath": path}


class TestAnApp:
    def test_answers_a_rest_api(self, app: Emulator) -> None:
        answer = app.invoke(REST)
        asked = json.loads(answer.content)
        assert (asked["method"], asked["path"], asked["query"]) == ("POST", "/mcp", "a=1&a=2&b+c=d%26e")
        assert bytes.fromhex(asked["body"]) == REST["body"].encode()
        assert answer.head["statusCode"] == 201
        assert answer.head["headers"]["content-type"] == "application/octet-stream"
        assert answer.head["multiValueHeaders"] == {"set-cookie": ["a=1", "b=2"]}

    def test_answers_a_function_url(self, app: Emulator) -> None:
        sent = {**URL, "body": base64.b64encode(bytes(range(256))).decode(), "isBase64Encoded": True}
        answer = app.invoke(sent)
        asked = json.loads(answer.content)
        assert (asked["method"], asked["path"], asked["query"]) == ("GET", "/my/path with", URL["rawQueryString"])
        assert ["cookie", "cookie1=x; cookie2=y"] in asked["headers"]
        assert bytes.fromhex(asked["body"]) == bytes(range(256))
        assert (answer.head["statusCode"], answer.head["cookies"]) == (201, ["a=1", "b=2"])

    def test_answers_an_http_api_with_one_document(self, app: Emulator) -> None:
        context = {**URL["requestContext"], "domainName": "abc.execute-api.eu-west-1.amazonaws.com"}
        answer = app.invoke({**at("/every-byte"), "requestContext": context}).json
        assert (answer["statusCode"], answer["cookies"], answer["isBase64Encoded"]) == (201, ["a=1", "b=2"], True)
        assert base64.b64decode(answer["body"]) == bytes(range(256))

    def test_may_answer_with_any_bytes(self, app: Emulator) -> None:
        assert app.invoke(at("/every-byte")).content == bytes(range(256))

    def test_is_one_process_whose_every_answer_is_taken(self, run: Run) -> None:
        with run(APP) as app:
            processes = [json.loads(app.invoke(event).content)["process"] for event in (REST, URL, REST, URL)]
            refused = app.invoke({"Records": []}).json
            assert app.wire.statuses == [*(200, 202) * 5][: len(app.wire.statuses)]
            assert app.wire.statuses.count(202) == 5
        assert len(set(processes)) == 1
        assert refused["errorType"] == "Function.UnknownEvent"

    def test_that_fails_in_the_middle_says_so_in_the_trailers(self, run: Run) -> None:
        with run(APP) as app:
            answer = app.invoke(at("/breaks"))
            again = app.invoke(at("/every-byte"))
            said, log = bytes(app.wire.said), app.log.read_text()
        assert (answer.head["statusCode"], answer.content) == (201, b"begun")
        assert b"0\r\nLambda-Runtime-Function-Error-Type: Function.AppFailed\r\n" in said
        assert again.content == bytes(range(256))
        assert "the app failed" in log
        assert "what nobody may read" not in log

    def test_that_answers_nothing_is_answered_for_before_its_time_is_up(self, app: Emulator) -> None:
        before = json.loads(app.invoke(URL).content)["process"]
        answer = app.invoke(at("/silent"))
        assert (answer.head["statusCode"], answer.content) == (504, b"The server took too long.")
        assert json.loads(app.invoke(URL).content)["process"] == before

    def test_that_stalls_is_ended_before_its_time_is_up(self, app: Emulator) -> None:
        before = json.loads(app.invoke(URL).content)["process"]
        assert app.invoke(at("/stalls")).content == b"begun"
        assert b"Lambda-Runtime-Function-Error-Type: Function.Deadline\r\n" in app.wire.said
        assert json.loads(app.invoke(URL).content)["process"] == before


class TestAStartThatFails:
    @pytest.mark.parametrize(
        ("name", "says"),
        [
            ("no_such_server:app", "There is no module 'no_such_server'."),
            ("tests.hosting.runtime.small_app:other", "'tests.hosting.runtime.small_app:other' is neither an ASGI app"),
            ("tests.hosting.runtime.small_app:fails", "KeyError while it was loaded or started"),
            ("small_app", "MODULE:NAME is wanted"),
        ],
    )
    def test_is_told_in_a_sentence(self, run: Run, name: str, says: str) -> None:
        with run(name) as function:
            answer = function.invoke(URL)
            log = function.log.read_text()
        assert (answer.status, answer.json["errorType"]) == (502, "Runtime.InitFailed")
        assert answer.json["errorMessage"].startswith(says)
        assert b"POST /2018-06-01/runtime/init/error " in function.wire.said
        assert "what nobody may read" not in log


class TestAFunction:
    def test_is_our_authorizer(self, run: Run) -> None:
        with Issuer() as issuer, run("tollbook.hosting.auth.authorizer:handler", **environment_for(issuer)) as function:
            good, bad = bearer(issuer), bearer(issuer, aud="another")
            policies = [function.invoke(event(good)).json for event in (token_event, request_event)]
            refusals = [function.invoke(event(bad)).json for event in (token_event, request_event)]
            simple = [function.invoke(http_event(token)).json["isAuthorized"] for token in (good, bad)]
            statuses = function.wire.statuses
        assert all(allows(policy, token_event()["methodArn"]) for policy in policies)
        assert [refusal["errorMessage"] for refusal in refusals] == ["Unauthorized"] * 2
        assert simple == [True, False]
        assert statuses.count(202) == 6
        assert issuer.asked["/jwks.json"] == 1
