"""The tests' own issuer does what it says, good and bad."""

import json
import socket
import threading
from typing import Any

import httpx2
import pytest
from joserfc import jwt
from joserfc.errors import BadSignatureError
from joserfc.jwk import KeySet

from tests.auth_servers.forgeries import FORGERIES
from tests.auth_servers.issuer import Canary, Issuer
from tests.auth_servers.keys import ec_key, published, rsa_key
from tests.hosting.serving import SetClock

JWKS = "/jwks.json"


def key_set(issuer: Issuer) -> KeySet:
    return KeySet.import_key_set(httpx2.get(issuer.jwks_url).json())


@pytest.mark.parametrize("path", ["", "/pool"])
def test_its_documents_lead_to_the_keys_that_verify_its_tokens(path: str) -> None:
    with Issuer(path) as issuer:
        about = httpx2.get(f"{issuer.url}/.well-known/openid-configuration").json()
        origin = issuer.url.removesuffix(path)
        assert httpx2.get(f"{origin}/.well-known/oauth-authorization-server{path}").json() == about
        assert about["issuer"] == issuer.url
        keys = KeySet.import_key_set(httpx2.get(about["jwks_uri"]).json())
        assert jwt.decode(issuer.token(sub="bob"), keys).claims["sub"] == "bob"
        assert issuer.asked[f"{path}/jwks.json"] == 1


def test_a_token_says_what_the_clock_says() -> None:
    with Issuer(clock=SetClock()) as issuer:
        claims = jwt.decode(issuer.token(), key_set(issuer)).claims
        assert (claims["iat"], claims["exp"]) == (1_800_000_000, 1_800_003_600)


def test_an_elliptic_key_signs_too(issuer: Issuer) -> None:
    issuer.keys.append(published(ec_key()))
    decoded = jwt.decode(issuer.token(key=ec_key()), key_set(issuer), algorithms=["ES256"])
    assert decoded.header == {"alg": "ES256", "typ": "at+jwt", "kid": "ec-1"}


@pytest.mark.parametrize("keep_old", [False, True])
def test_its_keys_are_changed(issuer: Issuer, keep_old: bool) -> None:
    issuer.rotate(keep_old=keep_old)
    assert [key["kid"] for key in issuer.keys] == ["rsa-2", "rsa-1"][: 1 + keep_old]
    assert jwt.decode(issuer.token(), key_set(issuer)).header["kid"] == "rsa-2"


def test_a_key_is_too_weak(issuer: Issuer) -> None:
    assert len(str(published(rsa_key("weak", 1024))["n"])) == 171  # 128 bytes


def test_it_fails_talks_rubbish_sends_elsewhere_and_is_well_again(issuer: Issuer) -> None:
    issuer.fail(503, JWKS)
    assert httpx2.get(issuer.jwks_url).status_code == 503
    issuer.redirect("http://127.0.0.1:9/", path=JWKS)
    assert httpx2.get(issuer.jwks_url).headers["location"] == "http://127.0.0.1:9/"
    issuer.garbage(path=JWKS)
    assert httpx2.get(issuer.jwks_url).content.startswith(b"<!doctype")
    assert httpx2.get(f"{issuer.url}/.well-known/openid-configuration").json()["issuer"] == issuer.url
    issuer.well()
    assert len(key_set(issuer).keys) == 1
    assert issuer.asked[JWKS] == 4


def test_it_is_dead_and_lives_again_at_the_same_place(issuer: Issuer) -> None:
    issuer.dead()
    with pytest.raises(httpx2.ConnectError):
        httpx2.get(issuer.jwks_url)
    issuer.well()
    assert len(key_set(issuer).keys) == 1


def test_it_holds_whoever_asks_until_it_is_well(issuer: Issuer) -> None:
    issuer.slow()
    answers: list[Any] = []
    asking = threading.Thread(target=lambda: answers.append(httpx2.get(issuer.jwks_url, timeout=30).json()))
    asking.start()
    issuer.wait_until_asked(JWKS)
    assert not answers
    issuer.well()
    asking.join()
    assert answers == [{"keys": issuer.keys}]


def test_it_dribbles(issuer: Issuer) -> None:
    issuer.dribble()
    with httpx2.stream("GET", issuer.jwks_url) as response:
        pieces = response.iter_raw()
        assert [next(pieces) for _ in range(3)] == [b"{", b'"', b"k"]
        issuer.well()
        assert json.loads(b'{"k' + b"".join(pieces)) == {"keys": issuer.keys}


def test_it_never_ends(issuer: Issuer) -> None:
    issuer.huge()
    read = b""
    with httpx2.stream("GET", issuer.jwks_url) as response:
        for piece in response.iter_raw():
            read += piece
            if len(read) > 1 << 20:
                break
    assert json.loads(read) == {"keys": issuer.keys}


def test_it_ends_while_someone_waits() -> None:
    with Issuer() as issuer, socket.create_connection(("127.0.0.1", int(issuer.url.rpartition(":")[2]))) as silent:
        silent.sendall(b"GET")
    assert not issuer.requests


def test_making_a_forgery_asks_no_one(issuer: Issuer, canary: Canary) -> None:
    tokens = [forge(issuer, canary) for named in FORGERIES.values() for forge in named.values()]
    assert all(token.isascii() for token in tokens)
    assert len(set(tokens)) == len(tokens)
    assert not canary.visits + issuer.visits


def test_whoever_follows_a_token_to_the_canary_is_seen_and_believes_it(issuer: Issuer, canary: Canary) -> None:
    token = FORGERIES[12]["jku"](issuer, canary)
    with pytest.raises(BadSignatureError):
        jwt.decode(token, key_set(issuer))
    keys = KeySet.import_key_set(httpx2.get(f"{canary.url}/jwks.json").json())
    assert jwt.decode(token, keys).claims["sub"] == "alice"
    assert (canary.visits, canary.asked) == (1, {"/jwks.json": 1})
