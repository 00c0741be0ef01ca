"""Runs a plain function, as Lambda's own Python runtime does: `handler(event, context)`, one event at a time.

It needs no event loop, so that an authorizer starts light.
"""

import json
import logging
import os
from collections.abc import Callable
from typing import Any, Final, NoReturn

from tollbook.hosting.runtime import snapshot
from tollbook.hosting.runtime.blocking_api import RuntimeApi
from tollbook.hosting.runtime.context import LambdaContext, hand_on
from tollbook.hosting.runtime.framing import Failure, Next

Handler = Callable[[Any, LambdaContext], Any]

_log: Final = logging.getLogger(__name__)


def run(handler: Handler, address: str) -> NoReturn:
    """Serves invocations for ever.

    What the handler raises is the invocation's error, name and message: an authorizer says by it what API Gateway is
    to answer.

    Raises:
        Unusable: the Runtime API is not there any more.
    """
    snapshot.wait(os.environ, address)
    api = RuntimeApi(address)
    while True:
        invocation, event = api.next()
        hand_on(invocation.trace_id, os.environ)
        answer = _answer(handler, invocation, event)
        if isinstance(answer, Failure):
            api.fail(invocation.id, answer)
        else:
            api.answer(invocation.id, answer)


def _answer(handler: Handler, invocation: Next, event: bytes) -> bytes | Failure:
    try:
        given = handler(json.loads(event), LambdaContext(invocation, os.environ))
        return json.dumps(given, allow_nan=False).encode()
    except Exception as fault:
        _log.info("the handler raised", exc_info=fault)
        return Failure(type(fault).__name__, _said(fault))


def _said(fault: Exception) -> str:
    try:
        return str(fault)
    except Exception:
        return ""
