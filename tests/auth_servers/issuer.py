"""An issuer of the tests' own: real keys, real tokens, served over HTTP; all that others would never do it does too.

with Issuer(audience=url) as issuer:
    token = issuer.token(sub="bob", scope="other", exp=issuer.now() - 31, aud=MISSING, header={"kid": "../../x"})
    issuer.slow("/jwks.json")
    …
    assert issuer.asked["/jwks.json"] == 1
"""

import base64
import itertools
import json
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from tests.auth_servers.keys import Key, changed, published, rsa_key, signature
from tests.auth_servers.loopback import Loopback, Reply

AUDIENCE: Final = "https://tollbook.example/mcp"
SCOPE: Final = "tollbook/use"
CLIENT: Final = "client-of-ours"
USER: Final = "alice"
PASSWORD: Final = "canary-Password-1!"  # noqa: S105 - it opens nothing but these tests
"""That of USER, at every authorization server: in no log may it be found."""
LIFE_S: Final = 3600
CANARY: Final = "canary-token"
"""Stands in the `jti` of every token: in no log may it, or a token, be found."""


class Json(NamedTuple):
    """JSON text that is put into a token as it is: `token(exp=Json("1e999"))`."""

    text: str


class Issuer(Loopback):
    """An authorization server, as far as a resource server sees it: its documents, its keys, its tokens.

    How it is made to fail, see `Loopback`.

    Attributes:
        url: its issuer identifier, with `path`.
        jwks_url: where its keys are.
        documents: OpenID Connect Discovery's, RFC 8414's and the key set, by their paths; a test may change them.
        audience, scope, client: what its tokens say unless told otherwise.
        key: what it signs with.
        keys: what it publishes, at first `key` alone; a test may change the list:
            `issuer.keys.append(published(other, use="enc"))`.
    """

    def __init__(
        self,
        path: str = "",
        *,
        audience: str = AUDIENCE,
        scope: str = SCOPE,
        client: str = CLIENT,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__()
        self.audience, self.scope, self.client = audience, scope, client
        self._clock, self._numbers = clock, itertools.count(1)
        self.key: Key = rsa_key()
        self.keys = [published(self.key)]
        origin, self.url = self.url, self.url + path
        self.jwks_url = f"{self.url}/jwks.json"
        about = {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": self.jwks_url,
            "response_types_supported": ["code"],
            "grant_types_supported": ["authorization_code", "refresh_token"],
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["none"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
        }
        self.documents = {
            f"{path}/.well-known/openid-configuration": dict(about),
            f"/.well-known/oauth-authorization-server{path}": dict(about),  # RFC 8414 §3.1
            self.jwks_url.removeprefix(origin): {"keys": self.keys},
        }

    def rotate(self, *, keep_old: bool = False) -> None:
        """Signs with another key from now on, and publishes it instead of the others or beside them."""
        self.key = rsa_key(f"rsa-{1 + int(str(self.key.kid).removeprefix('rsa-'))}")
        self.keys[:] = [published(self.key), *(self.keys if keep_old else ())]

    def now(self) -> int:
        """Whole seconds since 1970."""
        return int(self._clock())

    def token(
        self, *, header: Mapping[str, Any] | None = None, key: Key | None = None, alg: str = "", **claims: Any
    ) -> str:
        """A good access token, but for what is said otherwise.

        Args:
            header: parameters to replace, to add or, by MISSING, to leave out.
            key: signs in place of the issuer's own; `kid` is then that of the key.
            alg: instead of what `key` is meant for.
            claims: to replace, to add or, by MISSING, to leave out; `Json` stands as it is.
        """
        key = key or self.key
        alg = alg or str(key.get("alg"))
        whole = changed({"alg": alg, "typ": "at+jwt", "kid": key.kid}, header or {})  # RFC 9068 §2.1
        return self.signed(_json(whole), _json(changed(self.claims(), claims)), key=key, alg=alg)

    def id_token(self, **claims: Any) -> str:
        """What says who logged in, and opens nothing."""
        said = {"token_use": "id", "aud": self.client, "scope": self.scope, "nonce": "n", "client_id": self.client}
        return self.token(header={"typ": "JWT"}, **{**said, **claims})

    def claims(self) -> dict[str, Any]:
        """What a token says unless told otherwise: RFC 9068 §2.2, and Cognito's `token_use`."""
        now = self.now()
        return {
            "iss": self.url,
            "sub": USER,
            "aud": self.audience,
            "client_id": self.client,
            "scope": self.scope,
            "iat": now,
            "nbf": now,
            "exp": now + LIFE_S,
            "jti": f"{CANARY}-{next(self._numbers)}",
            "token_use": "access",
        }

    def signed(self, header: bytes, payload: bytes, *, key: Key | None = None, alg: str = "RS256") -> str:
        """A token of any bytes whatever, with a real signature; its header need not say how it was made."""
        return raw_token(header, payload, signature(key or self.key, alg, signing_input(header, payload)))


class Canary(Loopback):
    """A server where no one has any business: `visits` must stay 0, and `requests` empty.

    Whatever he asks for, a visitor gets a key set with `key`, so that a token that points here would be believed.
    """

    def __init__(self) -> None:
        super().__init__()
        self.key = rsa_key("canary")

    def good(self, path: str) -> Reply:
        # The key of many names: whichever `kid` a token has.
        names = ["canary", "rsa-1", "../../x"]
        return Reply(200, json.dumps({"keys": [published(self.key, kid=name) for name in names]}).encode())


def raw_token(header: bytes, payload: bytes, signature: bytes = b"") -> str:
    """RFC 7515 §7.1, whatever the bytes are."""
    return f"{signing_input(header, payload).decode()}.{base64url(signature)}"


def signing_input(header: bytes, payload: bytes) -> bytes:
    """What a signature is over: RFC 7515 §5.1."""
    return f"{base64url(header)}.{base64url(payload)}".encode()


def base64url(data: bytes) -> str:
    """Without padding: RFC 7515 §2."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _json(members: Mapping[str, Any]) -> bytes:
    texts = (value.text if isinstance(value, Json) else json.dumps(value) for value in members.values())
    pairs = (f"{json.dumps(name)}:{text}" for name, text in zip(members, texts, strict=True))
    return f"{{{','.join(pairs)}}}".encode()
