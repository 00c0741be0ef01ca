"""The prompt with a doorkeeper of the tests instead of OAuth: `python -m tests.client.repl.program [URL]`."""

import os
import sys
import time
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path

import httpx2

from tollbook.client.repl import AuthMethod, Setup, connect
from tollbook.client.screen import Screen
from tollbook.client.session import EraChoice
from tollbook.client.targets import Target
from tollbook.client.trouble import LoginNeeded

TOKEN = "let-ann-in"  # noqa: S105 - of no one


class Doorkeeper(httpx2.Auth):
    """Logs in as Ann without asking anything; a `Logins`."""

    def __init__(self) -> None:
        self.token = ""

    def auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response, None]:
        if self.token:
            request.headers["authorization"] = f"Bearer {self.token}"
        yield request

    def auth(self, target: Target, method: AuthMethod) -> httpx2.Auth | None:
        return None if method == "lambda" else self

    async def log_in(self, target: Target, needed: LoginNeeded | None) -> str:
        self.token = TOKEN
        return f"Logged in as Ann{'' if needed is None else ', as was asked'}."

    async def log_out(self, target: Target) -> str:
        self.token = ""
        return "Logged out."

    async def refresh(self, target: Target) -> str:
        return "The login holds for 60 minutes."

    async def status(self, target: Target) -> Sequence[tuple[str, str]]:
        return [("login", "Ann" if self.token else "none")]


def found(name: str) -> Target:
    return Target(name=name, url=os.environ["OFFICE"] if name == "office" else name)


def main(words: Sequence[str]) -> int:
    eras: Mapping[str, EraChoice] = {"handshake": "handshake", "modern": "modern"}
    setup = Setup(
        target=found(words[0]) if words else None,
        find=found,
        names=["office"],
        logins=Doorkeeper(),
        era=eras.get(os.environ.get("ERA", ""), "auto"),
        timeout_s=20,
        history=Path(os.environ["HISTORY"]),
        open_page=lambda url: print(f"(opening {url})") is None,
    )
    screen = Screen(sys.stdout, sys.stderr, os.environ)
    is_terminal = sys.stdin.isatty() and sys.stdout.isatty()
    return connect(setup, screen, time.monotonic, None if is_terminal else sys.stdin.fileno())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
