"""Secrets that are let loose, and how to find what became of them."""

import base64
from collections.abc import Iterable, Iterator
from typing import Final
from urllib.parse import quote

_PIECE: Final = 24
"""So many characters of a secret are a leak: nobody guesses the rest, but they show that it was not kept away."""


class Canaries:
    """Secrets, as they may stand in a text: whole, in pieces, and in the ways that HTTP has to write them."""

    def __init__(self) -> None:
        self._needles: set[bytes] = set()

    def password(self, text: str) -> str:
        """Lets a password loose."""
        alone = base64.b64encode(text.encode()).rstrip(b"=")
        self._needles |= {text.encode(), quote(text).encode(), alone[:-1]}
        return text

    def token(self, text: str) -> str:
        """Lets an access token loose; its header tells nothing, what it says and its signature do."""
        _, *parts = text.split(".")
        self._needles |= {piece.encode() for part in parts for piece in _pieces(part)}
        return text

    def key(self, text: str) -> str:
        """Lets an API key loose; its id is no secret."""
        self._needles |= {piece.encode() for piece in _pieces(text.rpartition("_")[2])}
        return text

    def found_in(self, *texts: bytes) -> list[bytes]:
        """What of them is in any of the texts."""
        return sorted(needle for needle in self._needles for text in texts if needle in text)


def _pieces(text: str) -> Iterator[str]:
    """Enough of them that whoever shows half as much again shows one."""
    yield from (text[at : at + _PIECE] for at in range(0, max(1, len(text) - _PIECE + 1), _PIECE // 2))


def halves(texts: Iterable[str]) -> Iterator[str]:
    """Both halves of each."""
    for text in texts:
        yield text[: len(text) // 2]
        yield text[len(text) // 2 :]
