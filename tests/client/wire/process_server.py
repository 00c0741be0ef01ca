"""A server on standard input and output that misbehaves as its first word says: `python process_server.py HOW …`.

It needs nothing but Python, and starts as fast as that.
"""

import json
import os
import signal
import subprocess
import sys
import time
from typing import Any


def say(message: Any) -> None:
    sys.stdout.write((message if isinstance(message, str) else json.dumps({"jsonrpc": "2.0", **message})) + "\n")
    sys.stdout.flush()


def result(asked: Any, **fields: Any) -> None:
    say({"id": asked["id"], "result": fields})


def text(asked: Any, said: Any) -> None:
    result(asked, content=[{"type": "text", "text": said if isinstance(said, str) else json.dumps(said)}])


def call(asked: Any, how: str) -> None:
    match asked["params"]["name"]:
        case "environment":
            text(asked, dict(os.environ))
        case "about":
            about = {"pid": os.getpid(), "group": os.getpgid(0), "session": os.getsid(0), "folder": os.getcwd()}
            text(asked, about)
        case "dies":
            sys.stderr.write("first\nno licence found in <here>\x1b[2J\n")
            sys.exit(7)
        case "is killed":
            os.kill(os.getpid(), signal.SIGKILL)
        case "closes":
            os.close(1)
            time.sleep(1000)
        case "too long":
            sys.stdout.write(" " * (65 << 20) + "\n")
            sys.stdout.flush()
            time.sleep(1000)
        case "big":
            text(asked, "x" * (5 << 20))
        case "floods":
            for _ in range(200):
                sys.stderr.write("x" * 100_000)  # 20 MB without a line's end
            sys.stderr.write("\nover\n")
            text(asked, "done")
        case "rubbish":
            say("Listening …")
            say("{")
            say("[]")
            say("[" * 5000)
            say("")
            say({"id": 999, "result": {}})
            say({"method": "notifications/message", "params": {"level": "info", "data": "well"}})
            say({"method": "notifications/progress", "params": {"progressToken": asked["id"], "progress": 1}})
            sys.stdout.buffer.write(b"\xff\xfe\n")
            text(asked, "done")
        case "null":
            say({"id": None, "error": {"code": -32700, "message": "Parse error"}})
        case "waits":
            say({"method": "notifications/progress", "params": {"progressToken": asked["id"], "progress": 1}})


def main(how: str) -> None:
    if how == "dies":
        sys.stderr.write("Traceback …\nModuleNotFoundError: No module named 'stars'\n")
        sys.exit(1)
    if how == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if how == "parent":
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"], start_new_session=len(sys.argv) > 2)
    cancelled = []
    for line in sys.stdin:
        asked = json.loads(line)
        match asked.get("method"):
            case "server/discover" if how == "modern":
                result(asked, supportedVersions=["2026-07-28"], capabilities={"tools": {}})
            case "server/discover" if how == "late":
                late = asked
            case "server/discover" if how != "silent":
                say({"id": asked["id"], "error": {"code": -32601, "message": "Method not found"}})
            case "initialize":
                if how == "late":
                    say({"id": late["id"], "error": {"code": -32601, "message": "Method not found"}})
                result(asked, protocolVersion="2025-06-18", capabilities={"tools": {}}, serverInfo={"name": how})
            case "tools/list":
                repeatable = {"readOnlyHint": True}
                result(asked, tools=[{"name": "about", "annotations": repeatable}, {"name": "dies"}])
            case "notifications/cancelled":
                cancelled.append(asked["params"]["requestId"])
            case "tools/call" if asked["params"]["name"] == "cancelled":
                text(asked, cancelled)
            case "tools/call":
                call(asked, how)
    if how == "stubborn":
        while True:
            time.sleep(1000)


main(sys.argv[1])
