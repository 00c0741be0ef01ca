"""`make demo`: starts the server on the sample logs, with its login to try; two people ask it; and stops it."""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from tollbook.app.settings import SETTINGS

ROOT = Path(__file__).parents[1]
ASK = "examples/ask.py"
PEOPLE = ("ana", "cleo")
SHOWN = 14  # lines of each answer
SERVE = (
    *("serve", "--source", "examples/bedrock-logs.jsonl.gz", "--names", "examples/names.json"),
    *("--auth", "dev", "--now", "2026-11-22T12:00Z", "--port", "0"),
    *("--session-store", "memory", "--log-level", "warning"),
)


def main() -> int:
    """Does so; gives the exit code of the first client that fails."""
    print("$ tollbook", *SERVE, flush=True)
    with tempfile.TemporaryDirectory() as folder:
        # The figures are to be those that the README shows, so what this user refreshed or set stays out.
        quiet = {**dict.fromkeys((each.variable for each in SETTINGS), ""), "XDG_DATA_HOME": folder}
        command = [sys.executable, "-u", "-m", "tollbook", *SERVE]
        environment = {**os.environ, **quiet}
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment, cwd=ROOT) as server:
            try:
                return _ask(server)
            finally:
                server.terminate()


def _ask(server: "subprocess.Popen[str]") -> int:
    said = [server.stderr.readline() for _ in range(2)] if server.stderr else []
    print(*said, sep="", end="", flush=True)
    url = re.search(r"http://\S+", "".join(said))
    if url is None:
        return 1
    for name in PEOPLE:
        print("\n$ python", ASK, url[0], name, flush=True)
        command = [sys.executable, ASK, url[0], name]
        asked = subprocess.run(command, cwd=ROOT, timeout=60, check=False, stdout=subprocess.PIPE, text=True)
        lines = asked.stdout.splitlines()
        print(
            *lines[:SHOWN], *([f"… and {len(lines) - SHOWN} lines more"] if lines[SHOWN:] else []), sep="\n", flush=True
        )
        if asked.returncode:
            return asked.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main())
