"""SnapStart: the process is frozen before its first invocation, and many are made of the one.

Hooks are those of AWS's own package `snapshot-restore-py`: an app that registers some has it, and they are run here.

Sources:
    https://docs.aws.amazon.com/lambda/latest/dg/snapstart-runtime-hooks.html
    https://docs.aws.amazon.com/lambda/latest/dg/snapstart-uniqueness.html
    https://docs.aws.amazon.com/lambda/latest/dg/snapstart-runtime-hooks-python.html
"""

import os
import random
import sys
from collections.abc import Iterable, Mapping
from typing import Any, Final

from tollbook.hosting.runtime.blocking_api import RuntimeApi
from tollbook.hosting.runtime.framing import Failure

_SNAP_START: Final = "snap-start"
_HOOKS: Final = "snapshot_restore_py"
_SEED_BYTES: Final = 48


def wait(environment: Mapping[str, str], address: str) -> None:
    """Where there will be a snapshot, waits for it, and returns in a process that was made of it."""
    if environment.get("AWS_LAMBDA_INITIALIZATION_TYPE") != _SNAP_START:
        return
    hooks = sys.modules.get(_HOOKS)
    _run(reversed(hooks.get_before_snapshot() if hooks else ()))
    api = RuntimeApi(address)
    api.restored()
    try:
        _reseed()
        _run(hooks.get_after_restore() if hooks else ())
    except Exception as fault:
        api.fail_restore(Failure("Runtime.AfterRestoreError", f"A hook failed with {type(fault).__name__}."))
        raise
    finally:
        api.close()


def _reseed() -> None:
    """Makes unique what every process of one snapshot would share.

    `secrets` and `os.urandom` are so already: Linux sees to it.
    """
    random.seed()
    if (ssl := sys.modules.get("ssl")) is not None:
        ssl.RAND_add(os.urandom(_SEED_BYTES), _SEED_BYTES)


def _run(hooks: Iterable[Any]) -> None:
    for hook, args, named in hooks:
        hook(*args, **named)
