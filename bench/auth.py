#!/usr/bin/env python3
"""What it costs to know who asks: a token, a thousand good and a thousand bad ones, and the start of the authorizer.

    auth.py [--rounds 21] [--http-rounds 7] [--quick] [--table]

`bench/README.md` says what is measured; `--table` writes the result there.
"""

import argparse
import asyncio
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from joserfc import jwt

from gate_issuer import AUDIENCE, SCOPE, Issuer
from gate_load import Connection, greeting
from gate_processes import Running, gated, running, say, write_into_readme
from tollbook.hosting.answers import Refusal
from tollbook.hosting.auth.apikeys import ApiKeys
from tollbook.hosting.auth.gate import Gate
from tollbook.hosting.auth.settings import auth_settings_from
from tollbook.hosting.stores.memory import MemoryStore
from tollbook.hosting.stores.sqlite import SqliteStore

TOKENS: Final = 1_000
START_BUDGET_S: Final = 0.25
ALGORITHMS: Final = ("RS256", "ES256")
_ARN: Final = "arn:aws:execute-api:eu-west-1:123456789012:abcdef123/prod/POST/mcp"
_EXPIRED_S: Final = 3_600

_BARE: Final = "joserfc alone"
_FIRST: Final = "the gate, never seen"
_AGAIN: Final = "the gate, remembered"

Costs = Mapping[str, Sequence[float]]
"""Seconds of CPU, one for each round, by what was measured."""


# What a token costs


def checks(issuer: Issuer, algorithm: str, tokens: Sequence[str]) -> dict[str, Callable[[], float]]:
    """Ways to check a token, each with its CPU seconds a token."""
    key = issuer.keys[algorithm]
    claims = jwt.JWTClaimsRegistry(
        leeway=30,
        iss={"essential": True, "value": issuer.url},
        aud={"essential": True, "value": AUDIENCE},
        exp={"essential": True},
    )

    def bare() -> float:
        began = time.process_time()
        for token in tokens:
            found = jwt.decode(token, key, [algorithm])
            claims.validate(found.claims)
            if SCOPE not in found.claims["scope"].split():
                raise SystemExit("A token lacks its scope.")
        return (time.process_time() - began) / len(tokens)

    return {
        _BARE: bare,
        _FIRST: lambda: asyncio.run(through_gate(issuer, tokens))[0] / len(tokens),
        _AGAIN: lambda: asyncio.run(through_gate(issuer, [tokens[0]] * 20 * len(tokens)))[0] / (20 * len(tokens)),
    }


async def through_gate(
    issuer: Issuer, tokens: Sequence[str], peer: Callable[[int], str] = lambda _: "192.0.2.1"
) -> tuple[float, Counter[int]]:
    """The CPU seconds of a new gate that has its keys and is asked about each of `tokens`; and what it answered.

    Args:
        peer: whom the request of that number comes from.
    """

    async def keys() -> bytes:
        return issuer.key_set()

    gate = Gate(auth_settings_from(issuer.environment), MemoryStore(time.time), keys=keys)
    await gate.authenticate(_scope(issuer.token(sub="warm"), "198.51.100.1"))
    scopes = [_scope(token, peer(number)) for number, token in enumerate(tokens)]
    answers: Counter[int] = Counter()
    began = time.process_time()
    for scope in scopes:
        try:
            await gate.authenticate(scope)
            answers[200] += 1
        except Refusal as refusal:
            answers[refusal.status] += 1
    return time.process_time() - began, answers


def _scope(token: str, peer: str) -> dict[str, Any]:
    return {"headers": [(b"host", b"localhost"), (b"authorization", b"Bearer " + token.encode())], "client": (peer, 1)}


def in_turn(ways: Mapping[str, Callable[[], float]], rounds: int) -> Costs:
    """What each costs in each round; a first one warms up and does not count."""
    found: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, way in ways.items():
            cost_s = way()
            if number:
                found[name].append(cost_s)
    return found


def check_table(found: Mapping[str, Costs]) -> Iterator[str]:
    yield "| signed with | checked by | CPU µs a token | beside joserfc alone |"
    yield "| --- | --- | ---: | ---: |"
    for algorithm, costs in found.items():
        for name, taken in costs.items():
            yield f"| {algorithm} | {name} | {statistics.median(taken) * 1e6:,.1f} | {ratio(costs, name, _BARE):.2f} |"


# Good tokens and bad ones


def kinds(issuer: Issuer) -> dict[str, list[str]]:
    """A thousand of each kind, no two alike."""
    dice = random.Random(0)
    many = range(TOKENS)
    good = [issuer.token(jti=str(number)) for number in many]
    long = [issuer.token(jti=str(number), more="m" * 5_550) for number in many]
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    past = int(time.time()) - _EXPIRED_S
    return {
        "good": good,
        "bad signature": [_with_signature(token, good[number - 1]) for number, token in enumerate(good)],
        "expired": [issuer.token(jti=str(number), exp=past) for number in many],
        "wrong audience": [issuer.token(jti=str(number), aud="https://other.example/mcp") for number in many],
        "unknown key": [issuer.token(jti=str(number), kid=f"key-{number}") for number in many],
        "garbage": ["".join(dice.choices(letters, k=600)) for _ in many],
        "good, 8 KiB": long,
        "bad signature, 8 KiB": [_with_signature(token, long[number - 1]) for number, token in enumerate(long)],
        "garbage, 8 KiB": ["".join(dice.choices(letters, k=8 << 10)) for _ in many],
    }


def _good_like(name: str) -> str:
    """The good ones of the same length."""
    return "good, 8 KiB" if name.endswith("8 KiB") else "good"


def _with_signature(token: str, other: str) -> str:
    return f"{token.rpartition('.')[0]}.{other.rpartition('.')[2]}"


def in_process(issuer: Issuer, tokens: Mapping[str, Sequence[str]], rounds: int) -> tuple[Costs, Costs]:
    """The CPU of a thousand: all from one peer, and each from another, who is never throttled."""

    def cost(some: Sequence[str], peer: Callable[[int], str]) -> float:
        return asyncio.run(through_gate(issuer, some, peer))[0]

    one = {name: partial(cost, some, lambda _: "192.0.2.1") for name, some in tokens.items()}
    many = {
        name: partial(cost, some, lambda number: f"10.0.{number >> 8}.{number & 255}") for name, some in tokens.items()
    }
    return in_turn(one, rounds), in_turn(many, rounds)


async def over_http(issuer: Issuer, tokens: Mapping[str, Sequence[str]], rounds: int) -> tuple[Costs, dict[str, str]]:
    """The CPU of a server that is sent a thousand calls, and what it answered; a new one each time."""
    found: dict[str, list[float]] = {name: [] for name in tokens}
    answers: dict[str, str] = {}
    for number in range(rounds):
        for name, some in tokens.items():
            with running(gated(issuer)) as process:
                await process.answer()
                cost_s, seen = await _sent(process, some)
            found[name].append(cost_s)
            answers[name] = ", ".join(f"{count:,} × {status}" for status, count in sorted(seen.items()))
        say(f"round {number + 1} of {rounds} over HTTP")
    return found, answers


async def _sent(process: Running, tokens: Sequence[str]) -> tuple[float, Counter[int]]:
    loop = asyncio.get_running_loop()
    answers: Counter[int] = Counter()
    host = f"127.0.0.1:{process.port}"
    requests = [greeting(host, token) for token in tokens]
    _, connection = await loop.create_connection(Connection, "127.0.0.1", process.port)
    try:
        before = process.cpu_s()
        for request in requests:
            answer = await connection.ask(request)
            answers[int(answer[9:12])] += 1
        return process.cpu_s() - before, answers
    finally:
        connection.close()


def kind_table(one: Costs, many: Costs, http: Costs, answers: Mapping[str, str]) -> Iterator[str]:
    yield (
        f"| {TOKENS:,} tokens | each from another peer, CPU ms | beside good | all from one peer, CPU ms | beside good "
        "| over HTTP, CPU ms | beside good | answers over HTTP |"
    )
    yield f"| --- |{' ---: |' * 6} --- |"
    for name in one:
        cells = [name]
        for costs in (many, one, http):
            cells += [f"{statistics.median(costs[name]) * 1e3:,.1f}", f"{ratio(costs, name, _good_like(name)):.2f}"]
        yield f"| {' | '.join([*cells, answers[name]])} |"


def kind_verdicts(one: Costs, many: Costs, http: Costs) -> Iterator[str]:
    yield "Bad ones cost:"
    yield ""
    for where, costs in (("each from another peer", many), ("all from one peer", one), ("over HTTP", http)):
        beside = {name: ratio(costs, name, _good_like(name)) for name in costs if not name.startswith("good")}
        dearest = max(beside, key=lambda name: beside[name])
        word = "less" if beside[dearest] < 1 else "no less"
        yield f"- {where}: {word} than good ones; the dearest ({dearest}), {beside[dearest]:.2f} times as much."


# The start of the authorizer


@dataclass(frozen=True, slots=True)
class Start:
    """What a process took from its start to its end."""

    cpu_s: float
    wall_s: float


_ANSWER: Final = """
import sys
from tollbook.hosting.auth.authorizer import handler
answer = handler({"type": "TOKEN", "authorizationToken": "Bearer " + sys.argv[1], "methodArn": sys.argv[2]})
assert answer["policyDocument"]["Statement"][0]["Effect"] == "Allow"
"""


def start_programs(issuer: Issuer, folder: Path) -> dict[str, tuple[Sequence[str], Mapping[str, str]]]:
    """Words and environment of each program whose start is measured."""
    store = folder / "keys.db"
    with_keys = {**issuer.environment, "SESSION_STORE": f"sqlite:{store}"}
    return {
        "Python alone": (("-c", ""), {}),
        "the module imported": (("-c", "import tollbook.hosting.auth.authorizer"), {}),
        "an access token answered, RS256": (("-c", _ANSWER, issuer.token(), _ARN), issuer.environment),
        "an access token answered, ES256": (("-c", _ANSWER, issuer.token("ES256"), _ARN), issuer.environment),
        "an API key answered, SQLite": (("-c", _ANSWER, asyncio.run(_an_api_key(store)), _ARN), with_keys),
    }


async def _an_api_key(path: Path) -> str:
    store = SqliteStore(path)
    try:
        text, _ = await ApiKeys(store).create("bench", [SCOPE], time.time() + 86_400, {})
        return text
    finally:
        await store.aclose()


def starts(issuer: Issuer, rounds: int) -> dict[str, list[Start]]:
    with tempfile.TemporaryDirectory(prefix="tollbook-auth-") as folder:
        programs = start_programs(issuer, Path(folder))
        found: dict[str, list[Start]] = {name: [] for name in programs}
        for number in range(rounds + 1):
            for name, (words, environment) in programs.items():
                start = _start(words, environment)
                if number:  # the first one compiles what is imported
                    found[name].append(start)
        return found


def _start(words: Sequence[str], environment: Mapping[str, str]) -> Start:
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, *words], env={**os.environ, **environment}, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    assert process.stderr is not None
    with process.stderr:
        said = process.stderr.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"The authorizer failed: {said.decode()[-2000:]}")
    return Start(used.ru_utime + used.ru_stime, time.monotonic() - began)


def start_table(found: Mapping[str, Sequence[Start]]) -> Iterator[str]:
    yield "| until | CPU s | wall s |"
    yield "| --- | ---: | ---: |"
    for name, runs in found.items():
        cpu_s, wall_s = (
            statistics.median(values) for values in zip(*((run.cpu_s, run.wall_s) for run in runs), strict=True)
        )
        yield f"| {name} | {cpu_s:.3f} | {wall_s:.3f} |"


def start_verdict(found: Mapping[str, Sequence[Start]]) -> str:
    name, dearest = max(
        ((name, statistics.median(run.cpu_s for run in runs)) for name, runs in found.items()), key=lambda each: each[1]
    )
    word = "met" if dearest <= START_BUDGET_S else "missed"
    return f"- The dearest is `{name}` with {dearest:.3f} s; the target of at most {START_BUDGET_S} s of CPU is {word}."


def ratio(costs: Costs, name: str, beside: str) -> float:
    """The median of the rounds' ratios."""
    return statistics.median(ours / theirs for ours, theirs in zip(costs[name], costs[beside], strict=True))


def measured(issuer: Issuer, rounds: int, http_rounds: int) -> Iterator[str]:
    tokens = {each: [issuer.token(each, jti=str(number)) for number in range(TOKENS)] for each in ALGORITHMS}
    yield "What a token costs, in one process:"
    yield ""
    yield from check_table({each: in_turn(checks(issuer, each, tokens[each]), rounds) for each in ALGORITHMS})
    say("tokens checked")
    several = kinds(issuer)
    one, many = in_process(issuer, several, rounds)
    say("good and bad ones compared")
    http, answers = asyncio.run(over_http(issuer, several, http_rounds))
    yield ""
    yield f"What {TOKENS:,} tokens of a kind cost, RS256, none seen before:"
    yield ""
    yield from kind_table(one, many, http, answers)
    yield ""
    yield from kind_verdicts(one, many, http)
    yield ""
    yield "From the start of a process of the Lambda authorizer:"
    yield ""
    found = starts(issuer, rounds)
    yield from start_table(found)
    yield ""
    yield start_verdict(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=21, metavar="N", help="rounds of each (default: 21)")
    parser.add_argument("--http-rounds", type=int, default=7, metavar="N", help="those over HTTP (default: 7)")
    parser.add_argument("--quick", action="store_true", help="two rounds: a look, not a result")
    parser.add_argument("--table", action="store_true", help="write the result into bench/README.md")
    options = parser.parse_args()
    rounds, http_rounds = (2, 1) if options.quick else (options.rounds, options.http_rounds)
    machine = f"{len(os.sched_getaffinity(0))} processors, {platform.system()} {platform.machine()}"
    names = [f"Python {platform.python_version()}", *(f"{each} {version(each)}" for each in ("tollbook", "joserfc"))]
    command = f"`python bench/auth.py --rounds {rounds} --http-rounds {http_rounds}`"
    head = f"{datetime.now(UTC):%Y-%m-%d}; {machine}; {', '.join(names)}; {command}; medians"
    with Issuer() as issuer:
        lines = [head, "", *measured(issuer, rounds, http_rounds)]
    print("\n".join(lines))
    if options.table:
        write_into_readme("auth", lines)


if __name__ == "__main__":
    main()
