"""Where a server is."""

from collections.abc import Mapping, Sequence

import msgspec


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """A server: an address, or a command that starts one.

    Attributes:
        name: as the user calls it; the address where he has no other name for it.
        url: of its endpoint; None where it is a process of this machine.
        headers: to be sent with every request.
        command: the program and its words.
        environment: variables of the process, besides those that every process needs.
        folder: where the process starts; None: here.
    """

    name: str
    url: str | None = None
    headers: Mapping[str, str] = {}
    command: Sequence[str] = ()
    environment: Mapping[str, str] = {}
    folder: str | None = None
