"""`make demo`: starts the server on the sample logs, asks it for the report over MCP, prints that, and stops it."""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
ASK = "examples/ask.py"
SERVE = (
    *("serve", "--source", "examples/bedrock-logs.jsonl.gz", "--names", "examples/names.json"),
    *("--now", "2026-11-22T12:00Z", "--port", "0", "--session-store", "memory", "--log-level", "warning"),
)


def main() -> int:
    """Does so; gives the exit code of the client."""
    print("$ tollbook", *SERVE, flush=True)
    with tempfile.TemporaryDirectory() as folder:
        # The figures are to be those that the README shows, so prices that this user refreshed stay out.
        environment = {**os.environ, "XDG_DATA_HOME": folder}
        command = [sys.executable, "-u", "-m", "tollbook", *SERVE]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment, cwd=ROOT) as server:
            try:
                return _ask(server)
            finally:
                server.terminate()


def _ask(server: "subprocess.Popen[str]") -> int:
    said = server.stderr.readline() if server.stderr else ""
    print(said, end="", flush=True)
    url = re.search(r"http://\S+", said)
    if url is None:
        return 1
    print("$ python", ASK, url[0], flush=True)
    return subprocess.run([sys.executable, ASK, url[0]], cwd=ROOT, timeout=60, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
