"""Imports as they would be without a package."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def hidden(package: str) -> Iterator[None]:
    """Within the block nobody finds `package`, unless it was imported before.

    None in its place means that there is no such module:
    https://docs.python.org/3/reference/import.html#the-module-cache
    """
    if package in sys.modules:
        yield
        return
    sys.modules[package] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[package]
