"""An issuer for the benchmarks: real keys, real tokens, and his key set over HTTP on loopback."""

import json
import threading
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, Self

from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

AUDIENCE: Final = "https://gate.example/mcp"
SCOPE: Final = "gate/use"
_LIFE_S: Final = 86_400


class Issuer:
    """Serves his keys from `with` to the end of its block.

    Attributes:
        url: his name, and where he is.
        keys: what he signs with, by algorithm.
    """

    def __init__(self) -> None:
        self.keys: Mapping[str, RSAKey | ECKey] = {
            "RS256": RSAKey.generate_key(2048, {"kid": "rsa", "use": "sig", "alg": "RS256"}),
            "ES256": ECKey.generate_key("P-256", {"kid": "ec", "use": "sig", "alg": "ES256"}),
        }
        document = self.key_set()

        class Keys(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("content-length", str(len(document)))
                self.end_headers()
                self.wfile.write(document)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Keys)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.02,)).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def environment(self) -> dict[str, str]:
        """What a server is told that trusts him."""
        return {
            "OAUTH_ISSUER": self.url,
            "OAUTH_JWKS_URL": f"{self.url}/jwks.json",
            "OAUTH_REQUIRED_SCOPE": SCOPE,
            "PUBLIC_URL": AUDIENCE,
        }

    def key_set(self) -> bytes:
        return json.dumps({"keys": [key.as_dict(private=False) for key in self.keys.values()]}).encode()

    def token(self, algorithm: str = "RS256", kid: str = "", **claims: Any) -> str:
        """A good access token, but for what is said otherwise."""
        key, now = self.keys[algorithm], int(time.time())
        said = {
            "iss": self.url,
            "sub": "ada@example.com",
            "aud": AUDIENCE,
            "client_id": "gate",
            "scope": SCOPE,
            "iat": now,
            "exp": now + _LIFE_S,
            "jti": "0",
        }
        header = {"alg": algorithm, "typ": "at+jwt", "kid": kid or key.kid}
        return jwt.encode(header, {**said, **claims}, key, [algorithm])
