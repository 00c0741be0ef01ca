"""The loop in AWS's own emulator. Both are real; the emulator's own limits are named in `tests.fakes.emulator`."""

import base64
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Final, Protocol

import pytest

from tests.auth_servers.issuer import Issuer
from tests.fakes.api_gateway import allows, http_event, request_event, token_event
from tests.fakes.emulator import Emulator, emulated, emulator
from tests.hosting.auth.asking import bearer, environment_for
from tests.hosting.runtime.behaving import CAUSE
from tests.hosting.runtime.test_events import REST, URL
from tests.hosting.wire import ROOT

__all__ = ["emulator"]

APP: Final = "tests.hosting.runtime.behaving:app"
EVERY_BYTE: Final = bytes(range(256))
OURS: Final = {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "src")))}
LOOP: Final = (sys.executable, "-m", "tollbook.hosting.runtime.lambda_loop")


class Run(Protocol):
    """Runs MODULE:NAME by the loop, in the emulator."""

    def __call__(self, name: str, **environment: str) -> AbstractContextManager[Emulator]: ...


@pytest.fixture
def run(emulator: Path, tmp_path: Path) -> Run:
    def run(name: str, **environment: str) -> AbstractContextManager[Emulator]:
        return emulated(emulator, [*LOOP, name], tmp_path, {**OURS, **environment})

    return run


@pytest.fixture(scope="module")
def app(emulator: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """`behaving.app`, which has four seconds for each invocation; the emulator counts its start too."""
    settings = {**OURS, "AWS_LAMBDA_FUNCTION_TIMEOUT": "4"}
    with emulated(emulator, [*LOOP, APP], tmp_path_factory.mktemp("app"), settings) as running:
        yield running


def url_event(path: str, body: bytes = b"") -> dict[str, Any]:
    """What a function URL sends."""
    return {**URL, "rawPath": path, "body": base64.b64encode(body).decode(), "isBase64Encoded": True}


def rest_event(path: str, body: bytes = b"") -> dict[str, Any]:
    """What a REST API sends, with a domain name of one's own."""
    context = {**REST["requestContext"], "path": path}
    event = {**REST, **url_event(path, body), "path": path, "requestContext": context}
    del event["version"]  # which HTTP APIs alone have
    return event


class TestAnApp:
    @pytest.mark.parametrize("event", [rest_event, url_event])
    def test_is_given_any_bytes_and_answers_with_any(self, app: Emulator, event: Callable[..., Any]) -> None:
        answer = app.invoke(event("/echo", EVERY_BYTE))
        assert (answer.head["statusCode"], answer.content) == (200, EVERY_BYTE)

    def test_sets_cookies_as_each_kind_of_event_has_them(self, app: Emulator) -> None:
        rest, url = app.invoke(rest_event("/echo")).head, app.invoke(url_event("/echo")).head
        assert rest["multiValueHeaders"] == {"set-cookie": ["a=1", "b=2"]}
        assert url["cookies"] == ["a=1", "b=2"]

    def test_answers_an_http_api_with_one_document(self, app: Emulator) -> None:
        context = {**URL["requestContext"], "domainName": "abc.execute-api.eu-west-1.amazonaws.com"}
        answer = app.invoke({**url_event("/echo", EVERY_BYTE), "requestContext": context}).json
        assert (answer["statusCode"], answer["cookies"], answer["isBase64Encoded"]) == (200, ["a=1", "b=2"], True)
        assert base64.b64decode(answer["body"]) == EVERY_BYTE

    def test_is_one_process_whose_every_answer_is_accepted(self, run: Run) -> None:
        with run(APP) as app:
            answers = [app.invoke(event("/echo", b"yes")).content for event in (rest_event, url_event) * 3]
            refused = app.invoke({"Records": []}).json
            assert app.statuses_of_answers() == [202] * 7
            assert app.starts == 1
        assert answers == [b"yes"] * 6
        assert refused["errorType"] == "Function.UnknownEvent"

    def test_that_fails_in_the_middle_says_so_in_the_trailers(self, app: Emulator) -> None:
        answer = app.invoke(url_event("/fails/after"))
        assert (answer.head["statusCode"], answer.content) == (200, b"begun ")
        assert b"0\r\nLambda-Runtime-Function-Error-Type: Function.AppFailed\r\n" in app.wire.said
        assert app.invoke(url_event("/echo", EVERY_BYTE)).content == EVERY_BYTE
        assert '"the app failed"' in app.log.read_text()
        assert CAUSE not in app.log.read_text()

    def test_that_does_not_answer_in_time_is_answered_for(self, app: Emulator) -> None:
        answer = app.invoke(url_event("/hangs/before"))
        assert (answer.head["statusCode"], answer.content) == (504, b"The server took too long.")
        assert app.invoke(url_event("/echo", EVERY_BYTE)).content == EVERY_BYTE
        assert app.starts == 1

    def test_that_does_not_end_in_time_is_ended(self, app: Emulator) -> None:
        assert app.invoke(url_event("/hangs/after")).content == b"begun "
        assert b"0\r\nLambda-Runtime-Function-Error-Type: Function.Deadline\r\n" in app.wire.said
        assert app.invoke(url_event("/echo", EVERY_BYTE)).content == EVERY_BYTE
        assert app.starts == 1


class TestAStartThatFails:
    @pytest.mark.parametrize(
        ("name", "says"),
        [
            ("no_such_server:app", "There is no module 'no_such_server'."),
            ("tests.hosting.runtime.behaving:other", "'tests.hosting.runtime.behaving:other' is neither an ASGI app"),
            ("tests.hosting.runtime.behaving:raising", "ValueError while it was loaded or started"),
            ("behaving", "MODULE:NAME is wanted"),
        ],
    )
    def test_is_told_in_a_sentence(self, run: Run, name: str, says: str) -> None:
        with run(name) as function:
            answer = function.invoke(URL)
            assert function.wire.statuses == [202]
            assert CAUSE not in function.log.read_text()
        assert (answer.status, answer.json["errorType"]) == (502, "Runtime.InitFailed")
        assert answer.json["errorMessage"].startswith(says)
        assert function.wire.said.startswith(b"POST /2018-06-01/runtime/init/error ")


class TestAFunction:
    def test_is_our_authorizer(self, run: Run) -> None:
        with Issuer() as issuer, run("tollbook.hosting.auth.authorizer:handler", **environment_for(issuer)) as function:
            good, bad = bearer(issuer), bearer(issuer, aud="another")
            policies = [function.invoke(event(good)).json for event in (token_event, request_event)]
            refusals = [function.invoke(event(bad)).json for event in (token_event, request_event)]
            simple = [function.invoke(http_event(token)).json["isAuthorized"] for token in (good, bad)]
            assert function.statuses_of_answers() == [202] * 6
        assert all(allows(policy, token_event()["methodArn"]) for policy in policies)
        assert [refusal["errorMessage"] for refusal in refusals] == ["Unauthorized"] * 2
        assert simple == [True, False]
        assert issuer.asked["/jwks.json"] == 1
