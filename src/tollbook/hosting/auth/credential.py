"""The credential in a request."""

import re
from collections.abc import Sequence
from typing import Final

# RFC 9110 §11.1, RFC 6750 §2.1: the scheme in any case, one blank or more, and a token of these characters.
_BEARER: Final = re.compile(rb"(?i:bearer) +([A-Za-z0-9._~+/-]+=*)")


def is_bearer(header: bytes) -> bool:
    """Whether an Authorization header is of the one scheme that is accepted, whatever it holds."""
    return header[:6].lower() == b"bearer" and header[6:7] in (b"", b" ", b"\t")


def bearer(headers: Sequence[bytes]) -> str:
    """The credential in the Authorization headers of a request; empty if there is none to be had.

    Only that header counts: RFC 6750 §5.3 tells of what comes of tokens in addresses.
    """
    # RFC 9110 §5.3: a header that is no list may come once. Of two, who reads one would be told by who reads the other.
    found = _BEARER.fullmatch(headers[0]) if len(headers) == 1 else None
    return found[1].decode("ascii") if found else ""
