"""The Lambda authorizer in a process of its own, by the name of its handler and with nothing but its environment."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

from tests.auth_servers.issuer import CANARY, Issuer
from tests.fakes.api_gateway import http_event, token_event
from tests.hosting.auth.asking import an_api_key, bearer, environment_for


class Heard(NamedTuple):
    """What a fresh process answered to each event, as Lambda shows it, and what it wrote."""

    answers: list[Any]
    log: str
    modules: list[frozenset[str]]

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.log.splitlines()]


_LAMBDA: Final = """
import importlib, json, sys, traceback

path, _, name = sys.argv[1].rpartition(":")
handler = getattr(importlib.import_module(path), name)
modules = [sorted(sys.modules)]
answers = []
for event in json.load(sys.stdin):
    try:
        answers.append(handler(event, None))
    except Exception as fault:
        shown = traceback.format_exception(fault)
        answers.append({"errorType": type(fault).__name__, "errorMessage": str(fault), "shown": shown[-1]})
        assert len([line for line in shown if line.startswith("Traceback")]) == 1
    modules.append(sorted(sys.modules))
print(json.dumps([answers, modules]))
"""
"""Calls a handler as https://docs.aws.amazon.com/lambda/latest/dg/python-exceptions.html says that Lambda does."""

UNAUTHORIZED: Final = {
    "errorType": "Exception",
    "errorMessage": "Unauthorized",
    "shown": "Exception: Unauthorized\n",
}


def invoked(events: Sequence[Any], environment: Mapping[str, str]) -> Heard:
    """Calls the handler by its name in a process of its own, whose environment is that of a Lambda function."""
    words = [sys.executable, "-c", _LAMBDA, "tollbook.hosting.auth.authorizer:handler"]
    ours = {name: value for name, value in os.environ.items() if name.startswith(("PYTHON", "COV", "PATH"))}
    done = subprocess.run(
        words,
        input=json.dumps(events),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env={**ours, "AWS_LAMBDA_FUNCTION_NAME": "authorizer", **environment},
    )
    answers, modules = json.loads(done.stdout)
    return Heard(answers, done.stderr, [frozenset(each) for each in modules])


def test_the_handler_reads_its_environment_and_answers() -> None:
    with Issuer() as issuer:
        good, poor, bad = bearer(issuer), bearer(issuer, scope="other"), bearer(issuer, aud="other")
        tokens = [token_event(good), token_event(poor), token_event(bad), http_event(good), http_event(bad)]
        heard = invoked([*tokens, {}, [], None], environment_for(issuer))
    allowed, denied, refused, yes, no, *garbage = heard.answers
    assert allowed["policyDocument"]["Statement"][0]["Effect"] == "Allow"
    assert denied["policyDocument"]["Statement"][0]["Effect"] == "Deny"
    assert yes["isAuthorized"] is True
    assert no == {"isAuthorized": False}
    assert [refused, *garbage] == [UNAUTHORIZED] * 4
    assert issuer.asked["/jwks.json"] == 1
    assert [line["reason"] for line in heard.lines[:3]] == ["scope", "audience", "audience"]
    assert CANARY not in heard.log
    assert not any(part in heard.log for token in (good, poor, bad) for part in token.split(".")[1:])


def test_it_accepts_api_keys_where_a_store_is_named(tmp_path: Path) -> None:
    path = tmp_path / "keys.db"
    key = an_api_key(path, time.time)
    with Issuer() as issuer:
        events = [token_event(f"Bearer {key}"), token_event(f"Bearer {key[:-1]}"), token_event(bearer(issuer))]
        without = invoked(events, environment_for(issuer))
        heard = invoked(events, {**environment_for(issuer), "SESSION_STORE": f"sqlite:{path}"})
    assert without.answers[:2] == [UNAUTHORIZED] * 2
    assert ["policyDocument" in answer for answer in heard.answers] == [True, False, True]
    assert heard.answers[1] == UNAUTHORIZED
    assert key[21:] not in heard.log + without.log
    # Who asks with a key waits for no library that reads tokens; and nobody for AWS's, with this store.
    assert "joserfc" not in heard.modules[2]
    assert "joserfc" in heard.modules[3]
    assert "boto3" not in heard.modules[3]


@pytest.mark.parametrize("missing", ["OAUTH_ISSUER", "PUBLIC_URL", "OAUTH_REQUIRED_SCOPE"])
def test_without_a_variable_nobody_is_let_in_and_the_log_names_it(missing: str) -> None:
    with Issuer() as issuer:
        environment = environment_for(issuer)
        del environment[missing]
        good = bearer(issuer)
        heard = invoked([token_event(good), http_event(good), {}], environment)
    assert heard.answers == [UNAUTHORIZED, {"isAuthorized": False}, UNAUTHORIZED]
    assert [line["level"] for line in heard.lines] == ["error"] * 3
    assert all(f"({missing}): it is missing" in line["problems"][0] for line in heard.lines)
    assert CANARY not in heard.log
    assert good.split(".")[1] not in heard.log


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("OAUTH_ISSUER", "http://issuer.example", "(OAUTH_ISSUER): an address that begins with https://"),
        ("SESSION_STORE", "redis", "'redis' is no store"),
        ("LOG_LEVEL", "loud", "LOUD"),
    ],
)
def test_where_a_variable_makes_no_sense_nobody_is_let_in_either(variable: str, value: str, said: str) -> None:
    with Issuer() as issuer:
        heard = invoked([token_event(bearer(issuer))], {**environment_for(issuer), variable: value})
    assert heard.answers == [UNAUTHORIZED]
    assert said in heard.log
    assert "Traceback" not in heard.log


@pytest.mark.parametrize("store", ["", "dynamodb:sessions"])
def test_it_starts_light(store: str) -> None:
    with Issuer() as issuer:
        events = [{}, token_event("Bearer x.y.z"), token_event(bearer(issuer))]
        heard = invoked(events, {**environment_for(issuer), "SESSION_STORE": store})
    imported, *_, asked = heard.modules
    heavy = {"mcp", "mcp_types", "starlette", "boto3", "botocore", "pydantic", "uvicorn", "anyio", "httpx2", "asyncio"}
    assert imported.isdisjoint({*heavy, "joserfc", "cryptography"})
    assert "joserfc" not in heard.modules[2]  # before a token that could be good
    assert "joserfc" in asked
    assert asked.isdisjoint(heavy)
