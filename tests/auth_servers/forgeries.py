"""Tokens that must be refused, by the number of their threat: each is good but for the one thing it is named for.

Source: RFC 8725 (JSON Web Token Best Current Practices), and the sections that are cited beside each.
"""

import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc.jwk import RSAKey

from tests.auth_servers.issuer import Canary, Issuer, Json, base64url, raw_token, signing_input
from tests.auth_servers.keys import MISSING, ec_key, published, rsa_key, signature

Forgery = Callable[[Issuer, Canary], str]
"""Makes a token that is of `issuer`, but for one thing; where it points anywhere, it points at the canary."""


def _with(**claims: Any) -> Forgery:
    return lambda issuer, _: issuer.token(**claims)


def _headed(**parameters: Any) -> Forgery:
    return lambda issuer, _: issuer.token(header=parameters)


def _signed_by(alg: str) -> Forgery:
    return lambda issuer, _: issuer.token(alg=alg)


def _later(claim: str, seconds: int) -> Forgery:
    def forge(issuer: Issuer, _: Canary) -> str:
        moved: dict[str, Any] = {claim: issuer.now() + seconds}
        return issuer.token(**moved)

    return forge


def _paid(payload: bytes) -> Forgery:
    """Has a payload of these bytes, and a real signature over them."""
    return lambda issuer, _: issuer.signed(_header(issuer), payload)


def _unsigned(alg: str, *, keeps_signature: bool = False) -> Forgery:
    """RFC 7519 §6, RFC 8725 §3.2."""

    def forge(issuer: Issuer, _: Canary) -> str:
        header, payload = _header(issuer, alg=alg), _payload(issuer)
        proof = signature(issuer.key, "RS256", signing_input(header, payload)) if keeps_signature else b""
        return raw_token(header, payload, proof)

    return forge


def _by_hmac(secret: Callable[[RSAKey], bytes]) -> Forgery:
    """Signed with what everybody knows: RFC 8725 §2.1."""

    def forge(issuer: Issuer, _: Canary) -> str:
        header, payload = _header(issuer, alg="HS256"), _payload(issuer)
        key = secret(rsa_key(str(issuer.key.kid)))
        return raw_token(header, payload, hmac.digest(key, signing_input(header, payload), hashlib.sha256))

    return forge


def _pointing(parameter: str, value: Callable[[Canary], Any], kid: str = "") -> Forgery:
    """Signed by the canary, with a header that says where or what its key is: RFC 7515 §4.1.2 to §4.1.6."""
    return lambda issuer, canary: issuer.token(
        key=canary.key, header={"kid": kid or issuer.key.kid, parameter: value(canary)}
    )


def _unencoded(issuer: Issuer, _: Canary) -> str:
    """RFC 7797 §3: the signature is over the payload itself."""
    header, payload = _header(issuer, b64=False, crit=["b64"]), _payload(issuer)
    proof = signature(issuer.key, "RS256", base64url(header).encode() + b"." + payload)
    return f"{base64url(header)}.{base64url(payload)}.{base64url(proof)}"


def _text(change: Callable[[str, str, str], str]) -> Forgery:
    """A good token whose text is changed."""
    return lambda issuer, _: change(*issuer.token().split("."))


def _tampered(issuer: Issuer, _: Canary) -> str:
    head, _payload_of_alice, proof = issuer.token().split(".")
    return f"{head}.{issuer.token(sub='bob').split('.')[1]}.{proof}"


def _header(issuer: Issuer, **changes: Any) -> bytes:
    return json.dumps({"alg": "RS256", "typ": "at+jwt", "kid": issuer.key.kid, **changes}).encode()


def _payload(issuer: Issuer) -> bytes:
    return json.dumps(issuer.claims()).encode()


def _pem(key: RSAKey) -> bytes:
    return key.public_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def _der(key: RSAKey) -> bytes:
    return key.public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


FORGERIES: Final[Mapping[int, Mapping[str, Forgery]]] = {
    1: {
        "alg none": _unsigned("none"),
        "alg nOnE": _unsigned("nOnE"),
        "alg NONE": _unsigned("NONE"),
        "alg none with a signature": _unsigned("none", keeps_signature=True),
        "no signature": _unsigned("RS256"),
        "no alg": _headed(alg=MISSING),
        "alg a list": _headed(alg=["RS256"]),
        "alg null": _headed(alg=None),
        "alg in lower case": _headed(alg="rs256"),
    },
    2: {
        "HS256 with the key as PEM": _by_hmac(_pem),
        "HS256 with the key as PEM, stripped": _by_hmac(lambda key: _pem(key).strip()),
        "HS256 with the key as DER": _by_hmac(_der),
        "HS256 with the key as JWK": _by_hmac(lambda key: json.dumps(published(key)).encode()),
        "HS256 with the modulus": _by_hmac(lambda key: str(published(key)["n"]).encode()),
        "HS256 with nothing": _by_hmac(lambda _: b""),
    },
    3: {
        **{f"signed with {alg}": _signed_by(alg) for alg in ("PS256", "PS512", "RS384", "RS512")},
        "says PS256": _headed(alg="PS256"),
        "says ES256 with an RSA key's kid": lambda issuer, _: issuer.token(
            key=ec_key(), header={"kid": issuer.key.kid}
        ),
        "signed by another key of the same kid": lambda issuer, _: issuer.token(
            key=rsa_key("nobody"), header={"kid": issuer.key.kid}
        ),
    },
    4: {
        "iss of another": _with(iss="https://issuer.example"),
        "iss with a slash": lambda issuer, _: issuer.token(iss=issuer.url + "/"),
        "iss in upper case": lambda issuer, _: issuer.token(iss=issuer.url.upper()),
        "iss with more behind it": lambda issuer, _: issuer.token(iss=issuer.url + ".evil.example"),
        "iss a list": lambda issuer, _: issuer.token(iss=[issuer.url]),
        "iss null": _with(iss=None),
        "no iss": _with(iss=MISSING),
    },
    5: {
        "aud of another": _with(aud="https://other.example/mcp"),
        "aud with a slash": lambda issuer, _: issuer.token(aud=issuer.audience + "/"),
        "aud a beginning of ours": lambda issuer, _: issuer.token(aud=issuer.audience[:-1]),
        "aud others": _with(aud=["https://other.example/mcp", "https://issuer.example"]),
        "aud an empty list": _with(aud=[]),
        "aud empty": _with(aud=""),
        "aud null": _with(aud=None),
        "aud true": _with(aud=True),
        "aud an object with ours": lambda issuer, _: issuer.token(aud={issuer.audience: True}),
        "aud a list in a list": lambda issuer, _: issuer.token(aud=[[issuer.audience]]),
        "no aud": _with(aud=MISSING),
    },
    6: {
        "client_id of another": _with(client_id="client-of-others"),
        "client_id a list": lambda issuer, _: issuer.token(client_id=[issuer.client]),
        "no client_id": _with(client_id=MISSING),
    },
    7: {
        "id token": lambda issuer, _: issuer.id_token(),
        "id token with our audience": lambda issuer, _: issuer.id_token(aud=issuer.audience),
        "token_use a list": _with(token_use=["access"]),
    },
    8: {
        "expired": _later("exp", -60),
        "expired since 1970": _with(exp=0),
        "not yet": _later("nbf", 60),
        "issued in the future": _later("iat", 60),
    },
    9: {
        "no exp": _with(exp=MISSING),
        "no sub": _with(sub=MISSING),
        "sub empty": _with(sub=""),
        "sub null": _with(sub=None),
        "sub a number": _with(sub=7),
        "sub a list": _with(sub=["alice"]),
    },
    10: {
        "exp a string": lambda issuer, _: issuer.token(exp=str(issuer.now() + 60)),
        "exp NaN": _with(exp=Json("NaN")),
        "exp Infinity": _with(exp=Json("Infinity")),
        "exp 1e999": _with(exp=Json("1e999")),
        "exp of 5,000 digits": _with(exp=Json("9" * 5_000)),
        "exp of 4,000 digits": _with(exp=Json("9" * 4_000)),
        "exp true": _with(exp=True),
        "exp null": _with(exp=None),
        "exp a list": lambda issuer, _: issuer.token(exp=[issuer.now() + 60]),
        "exp negative": _with(exp=-1),
        "iat a string": lambda issuer, _: issuer.token(iat=str(issuer.now())),
        "nbf NaN": _with(nbf=Json("NaN")),
        # RFC 7519 §4: refused, or the last one counts.
        "exp twice, the last one past": lambda issuer, _: issuer.token(exp=Json(f'{issuer.now() + 60},"exp":1')),
    },
    11: {
        "kid ../../x": _headed(kid="../../x"),
        "kid of another": _headed(kid="rsa-999"),
        "kid a URL": lambda issuer, canary: issuer.token(key=canary.key, header={"kid": f"{canary.url}/jwks.json"}),
        "kid a number": _headed(kid=7),
        "kid a list": lambda issuer, _: issuer.token(header={"kid": [issuer.key.kid]}),
        "kid null": _headed(kid=None),
        "kid with a line break": _headed(kid="rsa-1\r\nx: y"),
        "kid of 4,000 characters": _headed(kid="k" * 4_000),
    },
    12: {
        "jku": _pointing("jku", lambda canary: f"{canary.url}/jwks.json"),
        "jku, and a kid of its own": _pointing("jku", lambda canary: f"{canary.url}/jwks.json", "canary"),
        "x5u": _pointing("x5u", lambda canary: f"{canary.url}/chain.pem"),
        "x5u, and a kid of its own": _pointing("x5u", lambda canary: f"{canary.url}/chain.pem", "canary"),
        "jwk": _pointing("jwk", lambda canary: published(canary.key)),
        "jwk, and a kid of its own": _pointing("jwk", lambda canary: published(canary.key), "canary"),
        "iss of the canary": lambda issuer, canary: issuer.token(key=canary.key, iss=canary.url),
    },
    13: {
        "b64 false": _unencoded,
        "b64 false, but encoded": _headed(b64=False, crit=["b64"]),
        "crit of the unknown": _headed(crit=["exp"], exp=1),
        "crit empty": _headed(crit=[]),
        "crit a string": _headed(crit="b64"),
    },
    14: {
        "of 1 MB": _with(more="m" * 750_000),
        "of 1 MB, all header": _headed(more="m" * 750_000),
        "of 1 MB, all signature": _text(lambda head, body, proof: f"{head}.{body}.{proof * 3_000}"),
    },
    24: {
        "payload in 5,000 arrays": _with(more=Json("[" * 5_000 + "]" * 5_000)),
        "payload in 1,500 arrays": _with(more=Json("[" * 1_500 + "]" * 1_500)),
        "payload a list": _paid(b"[]"),
        "payload a string": _paid(b'"alice"'),
        "payload null": _paid(b"null"),
        "payload empty": _paid(b""),
        "payload not JSON": _paid(b"alice"),
        "payload bad UTF-8": lambda issuer, _: issuer.signed(
            _header(issuer), _payload(issuer).replace(b"alice", b"al\xffce")
        ),
        "payload in UTF-16": lambda issuer, _: issuer.signed(
            _header(issuer), _payload(issuer).decode().encode("utf-16")
        ),
        "payload of another": _tampered,
        "sub half a surrogate pair": _with(sub=Json('"al\\ud800ce"')),
        "header a list": lambda issuer, _: issuer.signed(b"[]", _payload(issuer)),
        "header bad UTF-8": lambda issuer, _: issuer.signed(
            _header(issuer).replace(b"at+jwt", b"at\xffjwt"), _payload(issuer)
        ),
        "two parts": _text(lambda head, body, _: f"{head}.{body}"),
        "four parts": _text(lambda head, body, proof: f"{head}.{body}.{proof}.{proof}"),
        "five parts": _text(lambda head, body, proof: f"{head}.{body}.{proof}.{proof}.{proof}"),
        "dots alone": _text(lambda *_: ".."),
        "no letters": _text(lambda head, body, proof: f"{head}.{body}.!!!!"),
        "signature padded": _text(lambda head, body, proof: f"{head}.{body}.{proof}=="),
        "signature cut": _text(lambda head, body, proof: f"{head}.{body}.{proof[:-8]}"),
        "signature changed": _text(lambda head, body, proof: f"{head}.{body}.{'AAAA' + proof[4:]}"),
    },
}
