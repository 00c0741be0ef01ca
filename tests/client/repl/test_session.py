"""A session as a user has it, with a server that dies and comes back."""

import json
import re
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.client.repl.typist import CTRL_C, CTRL_D, Typist, typist, without_ports
from tests.fakes.processes import free_port, listening
from tests.hosting.wire import LOGS
from tollbook import __version__

TRANSCRIPT = Path(__file__).with_name("transcripts")


def session(columns: int, folder: Path) -> str:
    """What stands on the terminal after twenty commands and more."""
    port = free_port()
    with ExitStack() as servers:

        def serve(log: str) -> "subprocess.Popen[bytes]":
            command = [sys.executable, "-m", "tollbook", "serve", "--source", str(LOGS), "--port", str(port)]
            return servers.enter_context(listening(command, port, folder / log))

        server = serve("instance-first.log")
        config = folder / "mcp.json"
        config.write_text(json.dumps({"mcpServers": {"office": {"url": f"http://127.0.0.1:{port}/mcp"}}}))
        words = ("connect", "office", "--config", str(config), "--transport-era", "handshake")
        with typist(*words, columns=columns, program="tollbook", XDG_STATE_HOME=str(folder)) as user:
            user.sees("Connected")
            user.does("server-info")
            user.does("list-tools")
            user.does("describe-tool greet")
            user.does("greet John Smith")
            user.does("call-tool greet name=Ann")
            user.does('call-tool greet {"name": "Bo \\u001b[31m"}')
            user.does("call-tool greet nam=Ann")
            user.does("call-tool get_bedrock_usage_report days=soon")
            user.does("multi-greet Ann")
            _interrupted(user, "multi-greet Bo")
            user.does("list-resources")
            user.does("read-resource https://example.com/greetings/default")
            user.does("list-prompts")
            user.does("get-prompt greeting-template name='Ann Lee'")
            server.kill()
            server.wait()
            user.does("greet Cy")
            serve("instance-second.log")
            user.does("greet Cy")
            user.does(f"connect http://127.0.0.1:{port}/mcp")
            user.does("terminate-session")
            user.does("greet Di")
            user.does("disconnect")
            user.does("reconnect")
            user.does("set-auth-method lambda")
            user.does("gret Ed")
            user.does("auth")
            user.does("debug on")
            user.does("debug off")
            user.does("history")
            user.press(CTRL_D)
            assert user.leaves() == 0
            # On a slow machine the first greeting may go out before Ctrl-C is there.
            text = user.text.replace("info    Sending first greeting to Bo\n", "")
            return without_ports(text).replace(__version__, "VERSION") + "\n"


def _interrupted(user: Typist, line: str) -> None:
    user.until(lambda: user.is_prompted)
    user.press(f"{line}\r")
    user.sees("Starting multi-greet for Bo")
    user.press(CTRL_C)
    user.sees("Cancelled.")


@pytest.mark.parametrize("columns", [80, 120])
def test_a_session_looks_as_it_should(columns: int, tmp_path: Path) -> None:
    """After a change that is meant: `python -m tests.client.repl.test_session FOLDER`, and look at what it writes."""
    assert session(columns, tmp_path) == (TRANSCRIPT / f"{columns}.txt").read_text()


@pytest.mark.parametrize("columns", [80, 120])
def test_the_transcript_shows_a_session_and_fits_on_the_terminal(columns: int) -> None:
    text = (TRANSCRIPT / f"{columns}.txt").read_text()
    assert len(re.findall("^.* › .", text, re.MULTILINE)) >= 20
    assert max(map(len, text.split("\n"))) <= columns


if __name__ == "__main__":  # writes the transcripts anew; look at them
    for width in (80, 120):
        place = Path(sys.argv[1]) / str(width)
        place.mkdir(parents=True)
        TRANSCRIPT.joinpath(f"{width}.txt").write_text(session(width, place))
