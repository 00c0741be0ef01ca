"""This machine, as those on it call it."""

from typing import Final

NAMES: Final = ("localhost", "127.0.0.1", "[::1]")
"""As they stand in URLs and in Host headers."""


def is_loopback(host: str) -> bool:
    """Whether an address, or `localhost`, is this machine's alone. Nothing is looked up: no other name is.

    Args:
        host: an address without brackets, as `urlsplit(…).hostname` and sockets have it.
    """
    import ipaddress  # few need it

    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost"
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback
