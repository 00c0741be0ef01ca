"""The official SDK imported for less, for where each start is somebody's first request, as on AWS Lambda.

What is left away is work that may never be needed, and it is done when it is. `docs/adr/0014-the-start.md` says what
each part gives; `tests/hosting/runtime/test_start.py`, that answers stay the same to the byte.
"""

import importlib
import importlib.util
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, TypeAdapter
from pydantic.errors import PydanticUserError

from tollbook.core.hidden import hidden

_LATE: Final = ("mcp", "httpx2")
"""Packages whose own code only gathers names of theirs: `mcp` the whole client's, `httpx2` an HTTP client's."""


@contextmanager
def light_import() -> Iterator[None]:
    """Whatever is imported within the block is made as far as it must be. For one thread, at its start.

    - Models and adapters of pydantic get their validators when they are first used, as `defer_build` is documented to
      do [1]. Since pydantic 2.14 that is safe in threads, too [2].
    - `mcp` and `httpx2` run their own code when somebody asks for a name in them. What is in these packages can be
      imported as ever.
    - `sse_starlette` is imported as if there were no uvicorn, whose end it wants to hear of: it would import all of it.

    What was imported before stays as it is.

    [1] https://docs.pydantic.dev/latest/api/config/#pydantic.config.ConfigDict.defer_build
    [2] https://github.com/pydantic/pydantic/pull/13438
    """
    for name in _LATE:
        _put_off(name)
    _import_without("uvicorn", "sse_starlette")
    config = BaseModel.model_config
    BaseModel.model_config = {**config, "defer_build": True}
    TypeAdapter.__init__ = _deferred  # type: ignore[assignment, method-assign]
    try:
        yield
    finally:
        BaseModel.model_config = config
        TypeAdapter.__init__ = _init  # type: ignore[method-assign]


def _import_without(unwanted: str, name: str) -> None:
    """Imports what asks for another package, and does without if there is none."""
    if importlib.util.find_spec(name) is not None:
        with hidden(unwanted):
            importlib.import_module(name)


def _deferred(
    adapter: TypeAdapter[Any], kind: Any, *, config: ConfigDict | None = None, _parent_depth: int = 2, **others: Any
) -> None:
    """`TypeAdapter.__init__`, where nobody says otherwise deferred."""
    depth = _parent_depth + 1  # of frames, up to the one that knows the names of types
    try:
        _init(adapter, kind, config={"defer_build": True, **(config or {})}, _parent_depth=depth, **others)
    except PydanticUserError:  # a type that has a config of its own takes no other
        _init(adapter, kind, config=config, _parent_depth=depth, **others)


_init: Final = TypeAdapter.__init__


class _Late(ModuleType):
    """A package that is there, whose own code runs when the first name is missed."""

    def __getattr__(self, name: str) -> Any:
        spec = self.__spec__
        with _turn:
            if vars(self).pop(_IS_LATE, False) and spec is not None and spec.loader is not None:
                try:
                    spec.loader.exec_module(self)
                except BaseException:
                    setattr(self, _IS_LATE, True)  # whoever asks next is told the same
                    raise
        return super().__getattribute__(name)


_IS_LATE: Final = "_is_late"
_turn: Final = threading.RLock()


def _put_off(name: str) -> None:
    spec = None if name in sys.modules else importlib.util.find_spec(name)
    if spec is not None:
        package = importlib.util.module_from_spec(spec)
        package.__class__ = _Late
        setattr(package, _IS_LATE, True)
        sys.modules[name] = package
