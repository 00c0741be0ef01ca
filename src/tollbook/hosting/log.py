"""One line of JSON for each request: what was asked and how it went; never a token, a body or a prompt."""

import hashlib
import logging
import re
import secrets
import sys
import time
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

_requests: Final = logging.getLogger("tollbook.requests")
_PLAIN: Final = re.compile(r"[A-Za-z0-9_./-]{1,64}")
_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class Trace:
    """What is known of a request while it is served.

    Attributes:
        era: `handshake` or `modern`.
        method, tool: as the message has them, if they look like names.
        outcome: `result`, `tool_error`, `error` or `cancelled` of a request; `accepted`, what is owed no answer;
            `refused`; `left`, when the client went first; else `done`.
        code: the JSON-RPC error.
        path: if it is not the MCP endpoint's; `other`, if nothing is there.
        reason: why it was refused, where the client is told less.
        caller: enough of a hash of who sent it to find his other lines.
        invocation: what AWS Lambda calls it.
    """

    __slots__ = (
        "_began",
        "caller",
        "code",
        "era",
        "id",
        "invocation",
        "method",
        "outcome",
        "path",
        "reason",
        "session",
        "status",
        "tool",
    )

    def __init__(self) -> None:
        self._began = time.perf_counter()
        self.id = secrets.token_hex(8)
        self.era = self.method = self.tool = self.session = self.outcome = self.reason = self.caller = self.path = ""
        self.invocation = ""
        self.status = self.code = 0

    def asks(self, method: str, params: object) -> None:
        """Notes what a message wants; the names in it come from outside."""
        self.method = _name(method)
        if method == "tools/call" and isinstance(params, dict):
            self.tool = _name(params.get("name"))

    def within(self, session_id: str) -> None:
        """Notes the session: enough of a hash to find its other lines, too little to use it."""
        self.session = hashlib.sha256(session_id.encode()).hexdigest()[:12]

    def write(self) -> None:
        if not _requests.isEnabledFor(logging.INFO):
            return
        self.outcome = self.outcome or ("accepted" if self.status == 202 else "done")
        fields = {name: value for name in self.__slots__[1:] if (value := getattr(self, name))}
        fields["ms"] = round((time.perf_counter() - self._began) * 1000, 1)
        fields["request"] = fields.pop("id")
        _requests.info("request", extra=fields)


def log_as_json(level: str = "info") -> None:
    """Sends everything that is logged to the standard error, a line of JSON each.

    Args:
        level: the least level of our own entries; others' are shown from `warning` on. What is written for an audit
            is shown at any level.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("tollbook").setLevel(level.upper())
    logging.getLogger("tollbook.audit").setLevel(logging.INFO)
    logging.captureWarnings(True)


class JsonLines(logging.Formatter):
    """A log record as one line of JSON: time, level, logger, event, and what was given as `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage() if record.name.partition(".")[0] == "tollbook" else _sentence(record),
        }
        fields |= {name: value for name, value in vars(record).items() if name not in _STANDARD}
        if record.exc_info and record.exc_info[1] is not None:
            # The place and not the words: an exception's message may quote what it was given.
            cause = _cause(record.exc_info[1])
            fields["exception"] = type(cause).__name__
            fields["at"] = _places(cause)
        return msgspec.json.encode(fields, enc_hook=str).decode()


def _sentence(record: logging.LogRecord) -> str:
    """What others say, without what they write into it, and without what asyncio appends in lines of its own: either
    may be what a caller sent."""
    return str(record.msg).partition("\n")[0]


def _cause(fault: BaseException) -> BaseException:
    seen = {id(fault)}  # an exception may be its own cause
    while fault.__cause__ is not None and id(fault.__cause__) not in seen:
        fault = fault.__cause__
        seen.add(id(fault))
    return fault


def _places(fault: BaseException) -> list[str]:
    places, trace = [], fault.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        places.append(f"{code.co_filename.rpartition('/')[2]}:{trace.tb_lineno} {code.co_name}")
        trace = trace.tb_next
    return places[-8:]


def _name(value: object) -> str:
    return value if isinstance(value, str) and _PLAIN.fullmatch(value) else "?"
