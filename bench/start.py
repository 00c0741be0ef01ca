#!/usr/bin/env python3
"""What the deployed server costs from the start of its process to its first answer, beside others, in turn.

    start.py [--rounds 15] [--only deployed,awslabs] [--quick] [--table]

`bench/README.md` says what is measured; `--table` writes the result there.
"""

import argparse
import http.client
import json
import os
import platform
import random
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import boto3

from gate import fastmcp_in
from gate_issuer import SCOPE, Issuer
from gate_load import HANDSHAKE, MODERN
from gate_processes import cpu_clock, memory_mb, say, write_into_readme
from lambda_function import on_lambda, rest_event
from start_servers import HOST

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.fakes.moto import REGION, moto_server

from tollbook.hosting.stores.dynamodb import create_table

HERE: Final = Path(__file__).parent
TARGET: Final = 0.9
AUTHORIZER_BUDGET_S: Final = 0.25
_BARE: Final = "bare"
_ENTRY: Final = "tollbook.app.on_lambda:app"
_AUTHORIZER: Final = "tollbook.hosting.auth.authorizer:handler"
_LOOP: Final = (sys.executable, "-m", "tollbook.hosting.runtime.lambda_loop")
_SESSIONS: Final = "sessions"
_PATIENCE_S: Final = 60.0
_IMPORTS: Final = 10

_ABOUT: Final = {"name": "start", "version": "1"}
_META: Final = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": _ABOUT,
}


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked first."""

    title: str
    method: str
    params: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def body(self) -> str:
        return json.dumps({"jsonrpc": "2.0", "id": "1", "method": self.method, "params": self.params})


QUESTIONS: Final = (
    Question(
        f"`initialize`, {HANDSHAKE}",
        "initialize",
        {"protocolVersion": HANDSHAKE, "capabilities": {}, "clientInfo": _ABOUT},
    ),
    Question(
        f"`tools/list`, {MODERN}",
        "tools/list",
        {"_meta": _META},
        {"MCP-Protocol-Version": MODERN, "Mcp-Method": "tools/list"},
    ),
)


@dataclass(frozen=True, slots=True)
class Start:
    """What it took from the start of a process until its first answer was whole, and what was resident then."""

    cpu_s: float
    wall_s: float
    rss_mb: float


@dataclass(frozen=True, slots=True)
class Program:
    """A program whose start is measured.

    Attributes:
        words: PORT stands for a free one, if the program listens; else it runs on Lambda.
        token: what its clients must send, if anything.
        speaks: how many of the questions, in their order, it can answer.
    """

    name: str
    title: str
    words: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    token: str = ""
    speaks: int = len(QUESTIONS)

    def start(self, question: Question, beside: Mapping[str, str]) -> Start:
        headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
        headers |= {"Host": HOST, **question.headers}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        environment = {**beside, **self.environment, "PYTHONPATH": str(HERE), "PYTHONHASHSEED": "0"}
        begin = self._listens if "PORT" in self.words else self._on_lambda
        return begin(question, headers, environment)

    def _on_lambda(self, question: Question, headers: Mapping[str, str], environment: Mapping[str, str]) -> Start:
        began = time.monotonic()
        with on_lambda(self.words, environment) as function:
            response = function.ask(rest_event("POST", "/mcp", headers, question.body))
            wall_s, rss_mb = time.monotonic() - began, memory_mb(function.pid)
        self._check(question, response.status, response.content)
        return Start(response.cpu_s, wall_s, rss_mb)

    def _listens(self, question: Question, headers: Mapping[str, str], environment: Mapping[str, str]) -> Start:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        words = [str(port) if word == "PORT" else word for word in self.words]
        began = time.monotonic()
        with tempfile.TemporaryFile() as log:
            process = subprocess.Popen(
                words, env={**os.environ, **environment}, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
            try:
                clock = cpu_clock(process.pid)
                status, content = _posted(port, question, {**headers, "Host": f"127.0.0.1:{port}"})
                start = Start(time.clock_gettime(clock), time.monotonic() - began, memory_mb(process.pid))
            finally:
                process.kill()
                process.wait()
        self._check(question, status, content)
        return start

    def _check(self, question: Question, status: int, content: bytes) -> None:
        expected = b"serverInfo" if question.method == "initialize" else b"greet"
        if status != 200 or expected not in content:
            raise SystemExit(f"{self.title} answers {question.title} with {status}: {content[:2000]!r}")


def _posted(port: int, question: Question, headers: Mapping[str, str]) -> tuple[int, bytes]:
    """The answer of a server as soon as it listens."""
    end = time.monotonic() + _PATIENCE_S
    while time.monotonic() < end:
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=_PATIENCE_S)) as connection:
            try:
                connection.connect()
            except OSError:
                time.sleep(0.002)
                continue
            connection.request("POST", "/mcp", question.body, dict(headers))
            response = connection.getresponse()
            return response.status, response.read()
    raise SystemExit("A server did not start.")


def programs(fastmcp: Path, awslabs: Path, issuer: Issuer) -> Sequence[Program]:
    listening = (str(HERE / "gate_servers.py"), "KIND", "PORT")
    aws = (str(awslabs), "-m", "awslambdaric", "start_awslabs.handler")
    deployed = {
        "AUTH_METHOD": "none",
        "PUBLIC_URL": f"https://{HOST}/mcp",
        "REQUEST_STATE_KEYS": "a key that is for this benchmark alone",
    }
    asking = {
        **deployed,
        **issuer.environment,
        "AUTH_METHOD": "oauth",
        "OAUTH_REQUIRED_SCOPE": SCOPE,
        "SEES_ALL": "anyone",
    }
    return [
        Program(_BARE, "the SDK's app, uvicorn", (sys.executable, listening[0], "bare", "PORT")),
        Program("fastmcp", "fastmcp, uvicorn", (str(fastmcp), listening[0], "fastmcp", "PORT")),
        Program("awslabs", "awslabs' handler, no sessions", aws, speaks=1),
        Program("awslabs-sessions", "awslabs' handler, DynamoDB", aws, {"SESSIONS": _SESSIONS}, speaks=1),
        Program("sdk", "the SDK's app, our loop", (*_LOOP, "start_servers:sdk")),
        Program("hosted", "`tollbook.hosting.host`, our loop, DynamoDB", (*_LOOP, "start_servers:hosted")),
        Program("light", "the same, `light_import`", (*_LOOP, "start_servers:hosted_lightly")),
        Program("deployed", "**the deployed server**, DynamoDB", (*_LOOP, _ENTRY), deployed),
        Program("gated", "the deployed server, token asked for", (*_LOOP, _ENTRY), asking, issuer.token()),
    ]


_STEP: Final = """
import gc, os, sys
{first}
from tollbook.hosting.runtime import lambda_loop
sys.exit(lambda_loop.main(["{entry}"], os.environ))
"""


def without_steps(deployed: Program, folder: Path) -> Sequence[Program]:
    """The deployed server without one of the steps that make its start cheaper."""
    eager = "gc.disable(); import httpx2, mcp, mcp.server"
    changes: Mapping[str, tuple[str, Mapping[str, str]]] = {
        "with a web server imported": ("gc.disable(); import uvicorn.main", {}),
        "with rich imported": ("gc.disable(); import rich.console, rich.logging", {}),
        "with boto3 imported, and a client of its own made": (
            "gc.disable(); import boto3; boto3.client('dynamodb')",
            {},
        ),
        "the garbage collector on": ("gc.disable = lambda: None", {}),
        "without `light_import`": (eager, {}),
        "nothing compiled before": ("", {"PYTHONPYCACHEPREFIX": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}),
    }
    return [
        Program(
            title,
            title,
            (sys.executable, "-c", _STEP.format(first=first, entry=_ENTRY)),
            {**deployed.environment, **variables},
        )
        for title, (first, variables) in changes.items()
    ]


def starts(
    compared: Sequence[Program], question: Question, beside: Mapping[str, str], rounds: int
) -> dict[str, list[Start]]:
    """Of each, in another order in each round; the first round, which compiles what is imported, does not count."""
    found: dict[str, list[Start]] = {program.name: [] for program in compared}
    for number in range(rounds + 1):
        for program in random.Random(number).sample(compared, len(compared)):
            start = program.start(question, beside)
            if number:
                found[program.name].append(start)
        say(f"{question.title}: round {number} of {rounds}")
    return found


def start_table(
    compared: Sequence[Program], found: Mapping[str, Sequence[Start]], beside: str, reference: str
) -> Iterator[str]:
    yield f"| server | CPU s | beside {beside} | least CPU s | wall s | MB resident |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: |"
    for program in compared:
        runs = found[program.name]
        cells = [
            program.title,
            f"{_median(runs, lambda run: run.cpu_s):.3f}",
            f"{ratio(found, program.name, reference):.2f}",
            f"{min(run.cpu_s for run in runs):.3f}",
            f"{_median(runs, lambda run: run.wall_s):.3f}",
            f"{_median(runs, lambda run: run.rss_mb):.0f}",
        ]
        yield f"| {' | '.join(cells)} |"


def _median(runs: Sequence[Start], of: Callable[[Start], float]) -> float:
    return statistics.median(map(of, runs))


def ratio(found: Mapping[str, Sequence[Start]], name: str, beside: str) -> float:
    """The median of the rounds' ratios of CPU."""
    pairs = zip(found[name], found[beside], strict=True)
    return statistics.median(ours.cpu_s / theirs.cpu_s for ours, theirs in pairs)


def verdict(question: Question, found: Mapping[str, Sequence[Start]]) -> str:
    cases = {"deployed": "", "gated": ", a token asked for"}
    said = [f"{ratio(found, name, _BARE):.2f}{case}" for name, case in cases.items() if name in found]
    words = ["met" if ratio(found, name, _BARE) <= TARGET else "missed" for name in cases if name in found]
    target = f"the target of at most {TARGET} is {', '.join(dict.fromkeys(words))}"
    return f"- {question.title}: {'; '.join(said)}, beside the SDK's app; {target}."


def authorizer_starts(issuer: Issuer, rounds: int) -> Iterator[str]:
    """The Lambda authorizer in the loop, until its first answer to an access token."""
    arn = "arn:aws:execute-api:eu-west-1:123456789012:abcdef123/prod/POST/mcp"
    event = {"type": "TOKEN", "authorizationToken": f"Bearer {issuer.token()}", "methodArn": arn}
    found = []
    for number in range(rounds + 1):
        with on_lambda((*_LOOP, _AUTHORIZER), issuer.environment) as function:
            response = function.ask(json.dumps(event).encode())
            rss_mb = memory_mb(function.pid)
        if b'"Allow"' not in response.content:
            raise SystemExit(f"The authorizer answers with {response.content[:2000]!r}.")
        if number:
            found.append(Start(response.cpu_s, response.whole_s, rss_mb))
    cpu_s, rss_mb = _median(found, lambda run: run.cpu_s), _median(found, lambda run: run.rss_mb)
    word = "met" if cpu_s <= AUTHORIZER_BUDGET_S else "missed"
    yield (
        f"The authorizer, in the same loop, until its first answer to an access token: {cpu_s:.3f} s of CPU (at least "
        f"{min(run.cpu_s for run in found):.3f}), {rss_mb:.0f} MB; the target of at most {AUTHORIZER_BUDGET_S} s is "
        f"{word}."
    )


def import_table(environment: Mapping[str, str], rounds: int) -> Iterator[str]:
    """The modules that take longest to import, each for itself, and the packages."""
    own, whole = imports(environment, rounds)
    yield f"{len(own)} modules, {sum(own.values()) / 1e3:.0f} ms of the import alone:"
    yield ""
    yield "| module | own ms | with what it imports, ms |"
    yield "| --- | ---: | ---: |"
    for name in sorted(own, key=lambda name: -own[name])[:_IMPORTS]:
        yield f"| `{name}` | {own[name] / 1e3:.1f} | {whole[name] / 1e3:.1f} |"
    packages: dict[str, list[int]] = {}
    for name, us in own.items():
        packages.setdefault(name.partition(".")[0], []).append(us)
    yield ""
    yield "| package | modules | ms |"
    yield "| --- | ---: | ---: |"
    for name in sorted(packages, key=lambda name: -sum(packages[name]))[:_IMPORTS]:
        yield f"| `{name}` | {len(packages[name])} | {sum(packages[name]) / 1e3:.1f} |"


def imports(environment: Mapping[str, str], rounds: int) -> tuple[dict[str, int], dict[str, int]]:
    """Microseconds of each module, alone and with all that it imports: the least of the rounds."""
    program = (
        "import gc; gc.disable(); import tollbook.hosting.runtime.apps; from tollbook.app.on_lambda import app; app()"
    )
    own: dict[str, int] = {}
    whole: dict[str, int] = {}
    for _ in range(rounds):
        done = subprocess.run(
            [sys.executable, "-X", "importtime", "-c", program],
            env={**os.environ, **environment},
            check=True,
            capture_output=True,
            text=True,
        )
        for line in re.finditer(r"^import time: +(\d+) \| +(\d+) \| +(\S+)$", done.stderr, re.MULTILINE):
            alone, together, name = int(line[1]), int(line[2]), line[3]
            own[name] = min(alone, own.get(name, alone))
            whole[name] = min(together, whole.get(name, together))
    return own, whole


def awslabs_in(folder: Path) -> Path:
    """The Python of a virtual environment that has awslabs' handler and AWS's runtime for it."""
    python = folder / "bin/python"
    if not python.exists():
        say("installing awslabs' handler")
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        pip = (str(python), "-m", "pip", "--disable-pip-version-check")
        subprocess.run([*pip, "install", "--quiet", "awslabs.mcp_lambda_handler", "awslambdaric"], check=True)
    return python


def aws_at(url: str) -> dict[str, str]:
    """What a process is told of AWS; its sessions' tables are made."""
    client = boto3.session.Session("testing", "testing", region_name=REGION).client("dynamodb", endpoint_url=url)
    with closing(client):
        create_table(client, "tollbook")
        client.create_table(
            TableName=_SESSIONS,
            AttributeDefinitions=[{"AttributeName": "session_id", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "session_id", "KeyType": "HASH"}],
            BillingMode="PAY_PER_REQUEST",
        )
    return {
        "AWS_ENDPOINT_URL_DYNAMODB": url,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
    }


def _head(fastmcp: Path, awslabs: Path, rounds: int) -> str:
    machine = f"{len(os.sched_getaffinity(0))} processors, {platform.system()} {platform.machine()}"
    names = [f"Python {platform.python_version()}"]
    names += [f"{each} {version(each)}" for each in ("tollbook", "mcp", "pydantic", "botocore", "uvicorn")]
    for python, package in (
        (fastmcp, "fastmcp"),
        (awslabs, "awslabs.mcp_lambda_handler"),
        (awslabs, "awslambdaric"),
    ):
        asked = f'from importlib.metadata import version; print("{package}", version("{package}"))'
        done = subprocess.run([python, "-c", asked], check=True, capture_output=True, text=True)
        names.append(done.stdout.strip())
    command = f"`python bench/start.py --rounds {rounds}`"
    return f"{datetime.now(UTC):%Y-%m-%d}; {machine}; {', '.join(names)}; {command}; medians"


def measured(compared: Sequence[Program], beside: Mapping[str, str], rounds: int, folder: Path) -> Iterator[str]:
    verdicts = []
    for number, question in enumerate(QUESTIONS):
        able = [program for program in compared if program.speaks > number]
        found = starts(able, question, beside, rounds)
        yield f"First answer: {question.title}:"
        yield ""
        yield from start_table(able, found, "the SDK's app", _BARE)
        yield ""
        if "deployed" in found:
            verdicts.append(verdict(question, found))
    yield from verdicts
    deployed = next((program for program in compared if program.name == "deployed"), None)
    if deployed is not None:
        steps = [deployed, *without_steps(deployed, folder)]
        yield ""
        yield f"What each step gives: the deployed server, and without one of them. First answer: {QUESTIONS[1].title}:"
        yield ""
        yield from start_table(steps, starts(steps, QUESTIONS[1], beside, rounds), "as deployed", deployed.name)
        yield ""
        yield from import_table({**beside, **deployed.environment, "SESSION_STORE": "dynamodb:tollbook"}, rounds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15, metavar="N", help="starts of each (default: 15)")
    parser.add_argument("--only", default="", metavar="NAMES", help="these, beside the SDK's app")
    parser.add_argument("--quick", action="store_true", help="two rounds: a look, not a result")
    parser.add_argument("--table", action="store_true", help="write the result into bench/README.md")
    parser.add_argument("--cache", type=Path, default=HERE.parent / ".cache/bench", help="where others are installed")
    options = parser.parse_args()
    rounds, names = 2 if options.quick else options.rounds, {_BARE, *options.only.split(",")}
    fastmcp, awslabs = fastmcp_in(options.cache / "fastmcp"), awslabs_in(options.cache / "awslabs")
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # what is deployed is compiled
    with (
        tempfile.TemporaryDirectory(prefix="tollbook-start-") as made,
        moto_server(Path(made) / "moto.log") as url,
        Issuer() as issuer,
    ):
        compared = [each for each in programs(fastmcp, awslabs, issuer) if not options.only or each.name in names]
        lines = [_head(fastmcp, awslabs, rounds), "", *measured(compared, aws_at(url), rounds, Path(made))]
        lines += ["", *authorizer_starts(issuer, rounds)]
    print("\n".join(lines))
    if options.table:
        write_into_readme("start", lines)


if __name__ == "__main__":
    main()
