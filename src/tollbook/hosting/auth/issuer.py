"""What an issuer says of himself and of his keys, asked for over HTTP. Serves the server and the authorizer alike."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from tollbook.hosting.auth.fetching import NotFetched, fetch
from tollbook.hosting.auth.metadata import addresses_of, server_metadata
from tollbook.hosting.auth.settings import AuthSettings

Fetch = Callable[[str], bytes]
"""Gets a document by its address; raises NotFetched."""

_NO_KEYS: Final = "the metadata does not say where the keys are"


class Issuer:
    """An issuer, as he can be reached. Its methods wait for the network."""

    def __init__(self, settings: AuthSettings, get: Fetch = fetch) -> None:
        self._issuer, self._keys_url, self._get = settings.rules.issuer, settings.keys_url, get

    def keys(self) -> bytes:
        """His key set, as he writes it.

        Raises:
            NotFetched: it cannot be had.
        """
        url = self._keys_url or self.metadata().get("jwks_uri")
        if not isinstance(url, str):
            raise NotFetched(_NO_KEYS)
        return self._get(url)

    def metadata(self) -> Mapping[str, Any]:
        """His metadata.

        Raises:
            NotFetched: it cannot be had, or is not his.
        """
        fault: Exception = NotFetched("")
        for url in addresses_of(self._issuer):
            try:
                return server_metadata(self._get(url), self._issuer)
            except (NotFetched, ValueError) as raised:
                fault = raised
        raise NotFetched(f"no metadata of the issuer: {fault}") from fault
