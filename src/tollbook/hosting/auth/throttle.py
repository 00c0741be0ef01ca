"""Who keeps failing must wait. Pure."""

import ipaddress
from collections import OrderedDict
from typing import Final

BURST: Final = 60
"""Failures that a peer may have at once."""
PER_SECOND: Final = 1.0
"""How fast he may have more."""

_MOST_PEERS: Final = 10_000


class Throttle:
    """Failures by peer, in this instance."""

    def __init__(self) -> None:
        self._peers: OrderedDict[str, tuple[float, float]] = OrderedDict()  # failures not yet forgotten, and when

    def wait_s(self, peer: str, now: float) -> int:
        """For how many seconds nothing of `peer` is looked at; 0 if it is."""
        over = self._failures(_network(peer), now) - BURST + 1
        return 0 if over <= 0 else max(1, -int(-over // PER_SECOND))

    def failed(self, peer: str, now: float) -> None:
        """Notes a failure."""
        network = _network(peer)
        self._peers[network] = (self._failures(network, now) + 1, now)
        self._peers.move_to_end(network)
        if len(self._peers) > _MOST_PEERS:
            self._peers.popitem(last=False)

    def _failures(self, network: str, now: float) -> float:
        count, at = self._peers.get(network, (0.0, now))
        return max(0.0, count - max(0.0, now - at) * PER_SECOND)


def _network(peer: str) -> str:
    """An address; of IPv6, the /64 that one subscriber has. https://www.rfc-editor.org/rfc/rfc6177"""
    if ":" not in peer:
        return peer
    try:
        address = ipaddress.IPv6Address(peer.partition("%")[0])
    except ValueError:
        return peer
    if address.ipv4_mapped is not None:  # as a socket that takes both kinds shows them
        return str(address.ipv4_mapped)
    return str(ipaddress.IPv6Network((address, 64), strict=False))
