"""What the resources of Bedrock were called, kept for a while."""

import os
import tempfile
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import msgspec

from tollbook.spend.model import Named


class Found(msgspec.Struct, frozen=True):
    """What asking for an id came to.

    Attributes:
        named: None where nothing is known of it.
        tags: of the resource; empty where they were not to be had.
        why: what to tell where `named` is None.
        until: how long to believe it, in seconds since 1970.
    """

    named: Named | None
    tags: Mapping[str, str] = {}
    why: str = ""
    until: float = 0.0


class NameCache(Protocol):
    """What was found before; for any thread."""

    def get(self, arn: str, now: float) -> Found | None:
        """What is still believed at `now`, in seconds since 1970."""
        ...

    def put(self, found: Mapping[str, Found], now: float) -> None:
        """Keeps what was found, by ARN. Never fails: what cannot be kept is asked for again."""
        ...

    def named(self, now: float) -> Mapping[str, Named]:
        """By ARN, all that is still believed at `now` and has a name."""
        ...


class MemoryNames:
    """A cache for as long as a process lives."""

    def __init__(self, most: int = 10_000) -> None:
        self._found: dict[str, Found] = {}
        self._most, self._turn = most, threading.Lock()

    def get(self, arn: str, now: float) -> Found | None:
        with self._turn:
            found = self._found.get(arn)
            return found if found is not None and now < found.until else None

    def put(self, found: Mapping[str, Found], now: float) -> None:
        with self._turn:
            self._found = {arn: each for arn, each in self._found.items() if now < each.until} | dict(found)
            while len(self._found) > self._most:
                del self._found[next(iter(self._found))]

    def named(self, now: float) -> Mapping[str, Named]:
        with self._turn:
            return {arn: each.named for arn, each in self._found.items() if each.named and now < each.until}


class NamesFile:
    """A cache that outlives the process: names in a file that only its owner reads.

    What was not found is remembered in memory alone.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._memory = path, MemoryNames()
        self._read = False

    def get(self, arn: str, now: float) -> Found | None:
        if not self._read:
            self._read = True
            self._memory.put(self._load(), now)
        return self._memory.get(arn, now)

    def named(self, now: float) -> Mapping[str, Named]:
        self.get("", now)  # which reads the file
        return self._memory.named(now)

    def put(self, found: Mapping[str, Found], now: float) -> None:
        self._memory.put(found, now)
        named = {arn: each for arn, each in found.items() if each.named}
        if not named:
            return
        # What others kept meanwhile stays; of two that write at once the later wins, and nothing is lost but time.
        kept = {arn: each for arn, each in self._load().items() if now < each.until} | named
        with suppress(OSError):
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Such a file is created with mode 0600: https://docs.python.org/3/library/tempfile.html#tempfile.mkstemp
            descriptor, part = tempfile.mkstemp(dir=self._path.parent, prefix=self._path.name)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(msgspec.json.encode(kept))
                Path(part).replace(self._path)
            except BaseException:
                Path(part).unlink(missing_ok=True)
                raise

    def _load(self) -> dict[str, Found]:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=dict[str, Found])
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return {}
