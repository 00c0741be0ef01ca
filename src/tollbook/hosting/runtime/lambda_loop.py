"""`python -m tollbook.hosting.runtime.lambda_loop MODULE:NAME`: what a container runs on AWS Lambda.

NAME is an ASGI app (three parameters), a function that makes one (none), or a plain handler (an event and a context).
Without MODULE:NAME the variable _HANDLER says it, which Lambda sets.

Variables: AWS_LAMBDA_RUNTIME_API, which Lambda sets; LAMBDA_RESPONSE_MODE, `stream` or `buffered`, for what the events
do not show: answers to HTTP APIs are sent as one document, all others are streamed.

Source: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-custom.html
"""

import gc
import importlib
import inspect
import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from tollbook.core.errors import TollbookError, UsageError
from tollbook.hosting.log import log_as_json
from tollbook.hosting.runtime.blocking_api import RuntimeApi
from tollbook.hosting.runtime.framing import Failure, Unusable

_log: Final = logging.getLogger("tollbook.hosting.runtime.lambda_loop")  # as `__main__` too
_MODES: Final = {"": None, "stream": False, "buffered": True}
_FACTORY, _FUNCTION, _APP = 0, 2, 3


def main(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Loads what is named and runs it; returns when it cannot, or is told to stop. The exit code."""
    log_as_json()  # until what is loaded decides otherwise
    address = environment.get("AWS_LAMBDA_RUNTIME_API")
    if not address:
        _log.error("AWS_LAMBDA_RUNTIME_API is not set: this program is started by AWS Lambda, or by its emulator.")
        return UsageError.exit_code
    try:
        mode = environment.get("LAMBDA_RESPONSE_MODE", "")
        if mode not in _MODES:
            raise UsageError(f"LAMBDA_RESPONSE_MODE is stream or buffered, not '{mode}'.")
        name = arguments[0] if arguments else environment.get("_HANDLER", "")
        target, kind = _loaded(name)
        if kind == _FUNCTION:
            from tollbook.hosting.runtime import functions

            functions.run(target, address)
        _serve(target, address, _MODES[mode])
    except Unusable as fault:
        _log.error(str(fault))
        return 1
    except Exception as fault:
        _log.error("the function cannot run", extra={"reason": _sentence(fault)}, exc_info=fault)
        with suppress(Unusable):
            RuntimeApi(address).fail_init(Failure("Runtime.InitFailed", _sentence(fault)))
        return getattr(fault, "exit_code", 1)
    return 0


def _serve(app: Callable[..., Any], address: str, is_buffered: bool | None) -> None:
    """Runs an app.

    Raises:
        Unusable: the Runtime API is not there any more.
        Exception: it did not start.
    """
    import asyncio  # a plain function need not wait for it

    from tollbook.hosting.runtime import apps

    asyncio.run(apps.run(app, address, is_buffered=is_buffered))


def _loaded(name: str) -> tuple[Callable[..., Any], int]:
    """The app or the function that `name` stands for, and which of them it is.

    Raises:
        UsageError: it stands for none.
        Exception: whatever the module, or the function that makes the app, raises.
    """
    module, _, attribute = name.partition(":")
    if not (module and attribute):
        raise UsageError(f"MODULE:NAME is wanted, such as my_server:app, not '{name}'.")
    # A collection in the middle of imports looks at everything again and finds nothing.
    gc.disable()
    sys.path.insert(0, os.getcwd())
    try:
        target: object = getattr(importlib.import_module(module), attribute, None)
        if callable(target) and _kind(target) == _FACTORY:
            target = target()
    except ModuleNotFoundError as fault:
        if fault.name is None or not f"{module}.".startswith(f"{fault.name}."):
            raise
        raise UsageError(
            f"There is no module '{module}'. It is looked for in {os.getcwd()} and among the packages."
        ) from fault
    gc.freeze()
    gc.enable()
    kind = _kind(target)
    if not callable(target) or kind not in (_FUNCTION, _APP):
        raise UsageError(f"'{name}' is neither an ASGI app nor a function of an event and a context.")
    if kind == _FUNCTION and inspect.iscoroutinefunction(target):
        raise UsageError(f"'{name}' is an async function. What takes an event and a context must be none.")
    return target, kind


def _kind(target: object) -> int | None:
    """With how many arguments `target` can be called: an app's, a function's, or a factory's, in this order."""
    try:
        signature = inspect.signature(target)  # type: ignore[arg-type] # it says itself what cannot be called
    except (TypeError, ValueError):
        return None
    for count in (_APP, _FUNCTION, _FACTORY):
        with suppress(TypeError):
            signature.bind(*range(count))
            return count
    return None


def _sentence(fault: Exception) -> str:
    """What to say of it: our own sentences as they are; of others the kind, since they may quote anything."""
    if isinstance(fault, TollbookError):
        return str(fault)
    return f"{type(fault).__name__} while it was loaded or started; the log says where."


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
