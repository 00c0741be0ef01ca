"""The era of 2026-07-28: each POST is complete in itself; there is no session, and nothing to resume.

Source: https://modelcontextprotocol.io/specification/2026-07-28/basic/transports
"""

from typing import Any

from tollbook.core import jsonrpc
from tollbook.core.jsonrpc import Notification, Request
from tollbook.hosting import sdk
from tollbook.hosting.answers import ACCEPTED, Exchange, Refusal
from tollbook.hosting.call import Call
from tollbook.hosting.calls import Calls
from tollbook.hosting.edge import check_takes_both
from tollbook.hosting.settings import HostSettings
from tollbook.hosting.streams import answer_alone


def is_modern(document: object) -> bool:
    """Whether a message says itself that it is of this era."""
    match document:
        case {"params": {"_meta": {**meta}}}:
            return sdk.VERSION_KEY in meta
    return False


class Modern:
    """Serves the POSTs of this era."""

    def __init__(self, kernel: sdk.Kernel, calls: Calls, settings: HostSettings) -> None:
        self._kernel, self._calls, self._settings = kernel, calls, settings

    async def post(self, exchange: Exchange, document: dict[str, Any]) -> None:
        """Answers with JSON if the result comes first, else with a stream.

        Raises:
            Refusal: the request is malformed, or there is no room for it.
        """
        exchange.trace.era = "modern"
        match jsonrpc.message_of(document):
            case Notification() as message:
                exchange.trace.asks(message.method, None)
                check_version(exchange.header(b"mcp-protocol-version") or "")
                # A client of this era cancels by closing its stream; nothing else is for us to hear.
                await exchange.answer(ACCEPTED)
            case Request() as message:
                exchange.request_id = message.id
                exchange.trace.asks(message.method, message.params)
                await self._answer(exchange, message, document)
            case _:
                raise Refusal(400, "In this revision answers to the server ride on the client's next request.")

    async def _answer(self, exchange: Exchange, request: Request, document: dict[str, Any]) -> None:
        check_takes_both(exchange)
        if not is_modern(document):
            check_version(exchange.header(b"mcp-protocol-version") or "")
        try:
            client = await self._kernel.route(exchange.scope, request, document)
        except sdk.Fault as fault:
            raise _refusal_of(fault) from fault

        async def answer(request: Request, call: Call) -> dict[str, Any]:
            return await self._kernel.answer(exchange.scope, request, client, call)

        # The specification has a closed stream cancel the call.
        call = Call((request,), None, answer, self._settings, caller_id=exchange.caller.id)
        await answer_alone(self._calls, call, exchange, lambda code: sdk.HTTP_STATUS.get(code, 200))


def check_version(version: str) -> None:
    """Refuses a version that is not served, with those that are.

    Raises:
        Refusal: it is not.
    """
    try:
        sdk.check_version(version)
    except sdk.Fault as fault:
        raise _refusal_of(fault) from fault


def _refusal_of(fault: sdk.Fault) -> Refusal:
    """What the SDK refuses before any work, with the status that its table gives the error."""
    return Refusal(sdk.HTTP_STATUS.get(fault.code, 400), str(fault), fault.code, data=fault.data)
