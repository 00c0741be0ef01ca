"""What can go wrong between a client and a server, each in a sentence that says what to do next.

TollbookError
└── ClientError       exit code 1
    ├── Unreachable   no server answers: name, address, certificate, time
    ├── Refused       it answered with an HTTP status that is no answer to a request
    ├── LoginNeeded   it wants to know who asks: exit code 3
    ├── RpcError      it answered with a JSON-RPC error
    ├── Misbehaved    what it sends is not MCP
    ├── TimedOut      it took longer than was allowed
    ├── CallLost      the answer of a call was lost, and calling again might do its work twice
    └── VaultError, Blocked, NotOurs, Nowhere: of a login (`login.secrets`, `guard`, `browser`, `provider`)
"""

from collections.abc import Sequence
from typing import Any

from tollbook.core.errors import TollbookError


class ClientError(TollbookError):
    """Something between this client and a server."""


class Unreachable(ClientError):
    """No connection, or it broke off before an answer began."""


class Refused(ClientError):
    """An HTTP status that is no answer.

    Attributes:
        status: the status.
    """

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class LoginNeeded(ClientError):
    """There is no login, or it is not enough.

    Attributes:
        scopes: that the server asks for besides, where it says so.
    """

    exit_code = 3

    def __init__(self, message: str, scopes: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.scopes = tuple(scopes)


class RpcError(ClientError):
    """An error of JSON-RPC.

    Attributes:
        code: of JSON-RPC or MCP.
        text: the server's own words, as they were sent.
        data: what it added.
    """

    def __init__(self, message: str, code: int, text: str, data: Any = None) -> None:
        super().__init__(message)
        self.code, self.text, self.data = code, text, data


class Misbehaved(ClientError):
    """What came is not MCP."""


class TimedOut(ClientError):
    """No answer within the time allowed."""


class CallLost(ClientError):
    """A call was broken off. Whether it was done is not known."""
