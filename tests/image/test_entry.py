"""What the image runs, started from the installed folder as a container starts it, and what it says of mistakes."""

import contextlib
import json
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import httpx2
import pytest

from tests.auth_servers.issuer import AUDIENCE, Issuer
from tests.fakes.api_gateway import allows, request_event
from tests.fakes.emulator import emulated
from tests.fakes.processes import free_port, listening
from tests.hosting.auth.asking import bearer, environment_for
from tests.hosting.runtime import deployment
from tests.hosting.runtime.deployment import Table
from tests.hosting.runtime.test_events import REST
from tests.hosting.serving import messages, modern, request, tool
from tests.hosting.wire import LOGS
from tests.image.installed import Image

AUTHORIZER: Final = "tollbook.hosting.auth.authorizer:handler"
OURS: Final = {"TOLLBOOK_SOURCE": str(LOGS), "SEES_ALL": "group:finops"}
CREDENTIALS: Final = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
HOST: Final = urlsplit(AUDIENCE).netloc


class Container(NamedTuple):
    """A running server, and how to ask it."""

    process: Any
    http: httpx2.Client

    def post(self, message: dict[str, Any], token: str = "") -> httpx2.Response:
        whole, headers = modern(message)
        return self.http.post("/mcp", json=whole, headers=headers | _authorization(token))


@contextmanager
def container(image: Image, tmp: Path, settings: Mapping[str, str]) -> Iterator[Container]:
    """The image on a host that is not Lambda; here it is not to be reached from elsewhere."""
    port = free_port()
    environment = image.environment(tmp, {"TOLLBOOK_HOST": "127.0.0.1", "PORT": str(port), **OURS, **settings})
    # Clients know it by its public name alone.
    at = {"base_url": f"http://127.0.0.1:{port}", "headers": {"host": HOST}}
    with (
        listening(image.entry, port, tmp / "instance-image.log", environment) as process,
        httpx2.Client(**at, timeout=30, trust_env=False) as http,  # type: ignore[arg-type]
    ):
        yield Container(process, http)


def started(
    image: Image, environment: Mapping[str, str], folder: Path, *words: str
) -> "subprocess.CompletedProcess[str]":
    """The image where it cannot start, at its end."""
    command = [*image.entry, *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=folder, timeout=60)


def rest_event(message: dict[str, Any], token: str = "") -> dict[str, Any]:
    """What a REST API sends for a message in revision 2026-07-28."""
    whole, headers = modern(message)
    headers |= {"host": HOST, "content-type": "application/json", **_authorization(token)}
    several = {name: [value] for name, value in headers.items()}
    context = {**REST["requestContext"], "path": "/mcp", "domainName": HOST}
    return {**REST, "multiValueHeaders": several, "body": json.dumps(whole), "requestContext": context}


def _authorization(token: str) -> dict[str, str]:
    return {"authorization": token} if token else {}


class TestOnAHostOfContainers:
    def test_it_serves_those_who_log_in(self, image: Image, issuer: Issuer, tmp_path: Path) -> None:
        with container(image, tmp_path, environment_for(issuer)) as server:
            assert server.http.get("/healthz").status_code == 200
            listed = server.post(request("tools/list"), bearer(issuer))
            refused = server.post(request("tools/list"))
        (answer,) = messages(listed)
        assert "get_bedrock_usage_report" in {each["name"] for each in answer["result"]["tools"]}
        assert refused.status_code == 401

    def test_a_call_that_runs_when_it_is_told_to_stop_is_finished(
        self, image: Image, issuer: Issuer, tmp_path: Path
    ) -> None:
        with container(image, tmp_path, environment_for(issuer)) as server:
            whole, headers = modern(tool("multi-greet", name="Ann"))
            with server.http.stream(
                "POST", "/mcp", json=whole, headers=headers | _authorization(bearer(issuer))
            ) as answer:
                lines = answer.iter_lines()
                begun = next(line for line in lines if line.startswith("data: {"))
                server.process.send_signal(signal.SIGTERM)
                rest = "".join(lines)
            assert "notifications/" in begun
            assert "Good morning, Ann!" in rest
            assert server.process.wait(30) in (0, -signal.SIGTERM)

    @pytest.mark.parametrize("given", [{}, {"PORT": "", "TOLLBOOK_HOST": ""}], ids=["unset", "empty"])
    def test_it_listens_everywhere_at_port_8000_unless_told_otherwise(
        self, image: Image, issuer: Issuer, tmp_path: Path, given: dict[str, str]
    ) -> None:
        """It cannot here, since another does already."""
        environment = image.environment(tmp_path, {**environment_for(issuer), **OURS, **given})
        with socket.socket() as other:
            with contextlib.suppress(OSError):  # somebody else does
                other.bind(("127.0.0.1", 8000))
                other.listen()
            done = started(image, environment, tmp_path)
        assert done.stderr.startswith("tollbook: Cannot listen at 0.0.0.0:8000: address already in use.")
        assert done.returncode == 1

    @pytest.mark.parametrize(
        ("settings", "says"),
        [
            ({"PORT": "http"}, "--port (PORT): a whole number from 0 to 65,535 is wanted, not 'http'"),
            ({}, "--auth (AUTH_METHOD): 0.0.0.0 can be reached from elsewhere"),
            ({"TOLLBOOK_HOST": "::"}, "--auth (AUTH_METHOD): :: can be reached from elsewhere"),
            ({"AUTH_METHOD": "dev"}, "the development login believes everyone"),
        ],
    )
    def test_it_says_what_it_cannot_start_with(
        self, image: Image, tmp_path: Path, settings: dict[str, str], says: str
    ) -> None:
        done = started(image, image.environment(tmp_path, settings), tmp_path)
        assert done.returncode == 2
        assert done.stderr.startswith("tollbook: The server cannot start:\n")
        assert says in done.stderr


class TestOnLambda:
    def test_it_is_tollbooks_server(
        self, image: Image, emulator: Path, issuer: Issuer, a_table: Callable[[], Table], tmp_path: Path
    ) -> None:
        deployed = deployment.environment_for(issuer, a_table())
        settings = image.environment(tmp_path, {**OURS, **deployed, **CREDENTIALS})
        with emulated(emulator, image.entry, tmp_path, settings) as function:
            listed = function.invoke(rest_event(request("tools/list"), bearer(issuer)))
            refused = function.invoke(rest_event(request("tools/list")))
        assert listed.head["statusCode"] == 200
        assert b'"get_bedrock_usage_report"' in listed.content
        assert refused.head["statusCode"] == 401

    def test_it_says_what_it_cannot_start_with(self, image: Image, emulator: Path, tmp_path: Path) -> None:
        with emulated(emulator, image.entry, tmp_path, image.environment(tmp_path)) as function:
            answer = function.invoke(rest_event(request("tools/list")))
        assert answer.status == 502
        assert answer.json["errorMessage"].startswith("The server cannot start on Lambda:")
        assert "(REQUEST_STATE_KEYS): it is missing" in answer.json["errorMessage"]

    def test_it_runs_what_it_is_told_to_run(self, image: Image, emulator: Path, issuer: Issuer, tmp_path: Path) -> None:
        settings = image.environment(tmp_path, environment_for(issuer))
        good, bad = request_event(bearer(issuer)), request_event(bearer(issuer, aud="another"))
        with emulated(emulator, [*image.entry, AUTHORIZER], tmp_path, settings) as function:
            policy = function.invoke(good).json
            assert function.invoke(bad).json["errorMessage"] == "Unauthorized"
        assert allows(policy, good["methodArn"])

    def test_the_authorizer_starts_without_what_only_a_server_needs(self, image: Image, tmp_path: Path) -> None:
        """Told to ask a Runtime API that is not there, it has loaded all that it loads."""
        program = (
            "import sys; from tollbook.app.image import main; "
            f"code = main([{AUTHORIZER!r}], {{'AWS_LAMBDA_RUNTIME_API': '127.0.0.1:{free_port()}'}}); "
            "print(code, *{'mcp', 'pydantic', 'starlette', 'uvicorn', 'boto3', 'asyncio'} & set(sys.modules)); "
            "print('tollbook.hosting.auth.authorizer' in sys.modules)"
        )
        done = image.run("python", "-c", program, tmp=tmp_path)
        assert done.stdout == "1\nTrue\n"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["report", "logs"], "One MODULE:NAME is run, and 2 words were given."),
        ([AUTHORIZER], f"'{AUTHORIZER}' can be run on AWS Lambda only"),
    ],
)
def test_a_command_that_cannot_be_meant_is_refused(image: Image, tmp_path: Path, words: list[str], says: str) -> None:
    done = started(image, image.environment(tmp_path), tmp_path, *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"tollbook: {says}")
