"""What a client is told that must first log in, or that may too little. Constant: nothing of its request is in it.

Sources: RFC 6750 §3, RFC 9728 §5.1, and
https://modelcontextprotocol.io/specification/2025-11-25/basic/authorization#protected-resource-metadata-discovery-requirements
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from tollbook.hosting.answers import Headers, Refusal

_INVALID: Final = "This access token or API key is not accepted here."
_TOO_MANY: Final = "Too many requests with bad credentials came from here. Try again later."


class Challenges(msgspec.Struct, frozen=True):
    """The refusals of one resource.

    Attributes:
        metadata_url: of its RFC 9728 document.
        scopes: all that a token must have.
    """

    metadata_url: str
    scopes: Sequence[str]

    def login(self) -> Refusal:
        """No token came. RFC 6750 §3.1: then no error code, and nothing else, is told."""
        return Refusal(401, "Log in first: send an access token or an API key.", headers=self._header())

    def invalid(self, reason: str) -> Refusal:
        """What came is not accepted; the client does not learn why, the log does."""
        header = self._header(("error", "invalid_token"), ("error_description", _INVALID))
        return Refusal(401, _INVALID, headers=header, reason=reason)

    def insufficient(self) -> Refusal:
        """It is accepted and allows too little. All scopes are named, since a client asks for what is named."""
        return Refusal(
            403,
            f"What was sent lacks a scope. It needs {' '.join(self.scopes)}.",
            headers=self._header(("error", "insufficient_scope")),
            reason="scope",
        )

    def _header(self, *parameters: tuple[str, str]) -> Headers:
        every = (*parameters, ("resource_metadata", self.metadata_url), ("scope", " ".join(self.scopes)))
        text = ", ".join(f'{name}="{value}"' for name, value in every if value)
        return ((b"www-authenticate", f"Bearer {text}".encode("ascii")),)


def too_many(retry_after_s: int) -> Refusal:
    """RFC 6585 §4."""
    return Refusal(429, _TOO_MANY, headers=((b"retry-after", b"%d" % retry_after_s),), reason="throttled")
