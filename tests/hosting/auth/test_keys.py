"""An issuer's keys: which of them count, for how long, and when he is asked for them again."""

import json
import warnings
from itertools import pairwise
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.errors import SecurityWarning
from joserfc.jwk import ECKey

from tests.auth_servers.issuer import Issuer, base64url, raw_token, signing_input
from tests.auth_servers.keys import MISSING, ec_key, oct_key, published, rsa_key, signature
from tollbook.hosting.auth.keys import FRESH_S, LARGEST_DOCUMENT, PAUSE_S, USABLE_S, KeySet

NOW: Final = 1_800_000_000.0
RSA: Final = published(rsa_key())
EC: Final = published(ec_key())
LIKE_KEYS: Final = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from([*RSA, *EC, "key_ops"]), inner),
    max_leaves=8,
)


def document(*keys: Any, **more: Any) -> bytes:
    return json.dumps({"keys": keys, **more}).encode()


def key_set(*keys: Any) -> KeySet:
    """A set that was asked for and had just now."""
    made = KeySet()
    made.ask(NOW)
    with warnings.catch_warnings():  # joserfc warns of weak keys; here that is an error, but where it counts it is not
        warnings.simplefilter("ignore", SecurityWarning)
        made.take(document(*keys), NOW)
    return made


def kids_in(*keys: Any) -> list[str]:
    """The ids under which any of `keys` was taken."""
    made = key_set(*keys, published(rsa_key("other")))
    ids = [key["kid"] for key in keys if isinstance(key, dict) and isinstance(key.get("kid"), str)]
    algorithms = ("RS256", "ES256", "HS256", "RS512", "PS256", "none", "")
    return [kid for kid in ids if any(made.find(kid, each, NOW) for each in algorithms)]


class TestWhichKeysCount:
    @pytest.mark.parametrize(
        "jwk",
        [
            RSA,
            EC,
            published(rsa_key(), alg=MISSING),
            published(rsa_key(), use=MISSING),
            published(rsa_key(), alg=MISSING, use=MISSING),
            published(rsa_key(), key_ops=["verify"]),
            published(rsa_key(), key_ops=["sign", "verify"], use=MISSING),
            published(rsa_key(), x5c=["MII"], x5t="t", x5u="https://canary.example", more={"any": [1]}),
            published(rsa_key("big", 3072)),
        ],
    )
    def test_those_that_verify_what_is_allowed(self, jwk: dict[str, Any]) -> None:
        assert kids_in(jwk) == [jwk["kid"]]

    @pytest.mark.parametrize(
        "jwk",
        [
            published(oct_key()),  # a secret; RFC 8725 §3.1: no HMAC
            published(oct_key(), kty="RSA"),
            published(rsa_key(), kty="oct", k=base64url(b"k" * 32)),
            published(rsa_key(), use="enc"),
            published(rsa_key(), use=None),
            published(rsa_key(), key_ops=["encrypt"]),
            published(rsa_key(), key_ops=["sign"]),
            published(rsa_key(), key_ops=[]),
            published(rsa_key(), key_ops="verify"),
            *(
                published(rsa_key(), alg=each)
                for each in ("RS384", "RS512", "PS256", "ES256", "HS256", "rs256", "none", 7)
            ),
            *(published(ec_key(), alg=each) for each in ("ES384", "ES256K", "RS256")),
            published(rsa_key("weak", 1024)),  # RFC 7518 §3.3: 2048 bits or more
            published(rsa_key(), n="AQAB"),
            published(rsa_key(), n=""),
            published(rsa_key(), n=MISSING),
            published(rsa_key(), n=7),
            published(rsa_key(), n="!" * 342),
            *(published(rsa_key(), e=each) for each in ("AQ", "Ag", "AA", "", MISSING)),
            published(ec_key(), crv="P-384"),
            *(published(ECKey.generate_key(each, {"kid": "ec-2"})) for each in ("P-384", "P-521", "secp256k1")),
            published(ec_key(), crv=MISSING),
            published(ec_key(), x=EC["y"]),  # not on the curve
            published(ec_key(), y=MISSING),
            published(ec_key(), kty="OKP", crv="Ed25519"),
            published(rsa_key(), kty="rsa"),
            published(rsa_key(), kid=MISSING),
            published(rsa_key(), kid=""),
            published(rsa_key(), kid=7),
            published(rsa_key(), kid=["rsa-1"]),
            published(rsa_key(), kty=MISSING),
            "rsa-1",
            None,
            7,
            [RSA],
            {"keys": [RSA]},
            {},
        ],
    )
    def test_no_others_and_those_beside_them_do_nevertheless(self, jwk: Any) -> None:
        assert kids_in(jwk) == []
        assert key_set(jwk, RSA).find("rsa-1", "RS256", NOW)

    def test_of_two_of_one_id_the_first(self) -> None:
        first, second = rsa_key("a"), rsa_key("b")
        found = key_set(published(first, kid="k"), published(second, kid="k")).find("k", "RS256", NOW)
        assert found is not None
        with Issuer() as issuer:
            assert found.signed(issuer.token(key=first))
            assert not found.signed(issuer.token(key=second))

    def test_an_id_counts_for_its_own_algorithm_only(self) -> None:
        keys = key_set(published(rsa_key(), kid="k"), published(ec_key(), kid="k"), published(rsa_key("r")))
        assert keys.find("k", "RS256", NOW) is not keys.find("k", "ES256", NOW)
        assert keys.find("r", "ES256", NOW) is None
        assert keys.find("K", "RS256", NOW) is None

    def test_the_first_hundred(self) -> None:
        dull = [published(oct_key()) for _ in range(99)]
        assert key_set(*dull, RSA).find("rsa-1", "RS256", NOW)
        with pytest.raises(ValueError, match="no key of use"):
            key_set(*dull, {}, RSA)

    @given(st.lists(LIKE_KEYS, max_size=5))
    def test_whatever_stands_beside_a_good_one(self, others: list[Any]) -> None:
        assert key_set(*others, RSA).find("rsa-1", "RS256", NOW)


class TestWhatIsNoKeySet:
    @pytest.mark.parametrize(
        "text",
        [
            b"",
            b"{}",
            b"[]",
            b"null",
            b"7",
            b'"keys"',
            b'{"keys": null}',
            b'{"keys": {}}',
            b'{"keys": []}',
            b'{"keys": "rsa-1"}',
            json.dumps([RSA]).encode(),
            json.dumps({"Keys": [RSA]}).encode(),
            json.dumps(RSA).encode(),
            document(RSA)[:-1],
            document(RSA) + b"}",
            document(RSA).replace(b"RSA", b"R\xffA"),
            document(RSA).decode().encode("utf-16"),
            b'{"keys":' + b"[" * 20_000 + b"]" * 20_000 + b"}",
            b"<!doctype html>",
            document(RSA) + b" " * LARGEST_DOCUMENT,
        ],
    )
    def test_is_refused_and_the_keys_of_before_stay_as_old_as_they_were(self, text: bytes) -> None:
        keys = key_set(RSA)
        with pytest.raises(ValueError, match=r"^the key set "):
            keys.take(text, NOW + 60)
        assert keys.find("rsa-1", "RS256", NOW + USABLE_S - 1)
        assert keys.find("rsa-1", "RS256", NOW + USABLE_S) is None

    def test_may_be_64_kib_long(self) -> None:
        text = document(RSA)
        keys = KeySet()
        keys.take(text + b" " * (LARGEST_DOCUMENT - len(text)), NOW)
        with pytest.raises(ValueError, match="too long"):
            keys.take(text + b" " * (LARGEST_DOCUMENT - len(text) + 1), NOW)

    @given(st.binary(max_size=200))
    def test_never_raises_anything_else(self, text: bytes) -> None:
        keys = KeySet()
        with pytest.raises(ValueError, match=r"^the key set "):
            keys.take(text, NOW)
        assert not keys.is_usable(NOW)


class TestWhenTheIssuerIsAsked:
    @given(
        st.lists(
            st.tuples(
                st.floats(0, 2 * FRESH_S),
                st.sampled_from(["rsa-1", "unknown", "../../x"]),
                st.sampled_from(["answers", "talks rubbish", "is away", "is slow"]),
            ),
            max_size=60,
        )
    )
    def test_never_twice_within_the_pause(self, steps: list[tuple[float, str, str]]) -> None:
        keys, now, asked = KeySet(), NOW, []
        for step, kid, issuer in steps:
            now += step
            if not keys.is_due(kid, "RS256", now):
                continue
            keys.ask(now)
            asked.append(now)
            if issuer == "answers":
                keys.take(document(RSA), now)
            elif issuer == "talks rubbish":
                with pytest.raises(ValueError, match="key set"):
                    keys.take(b"", now)
            elif issuer == "is slow":
                now += 7
                keys.take(document(RSA), now)
        # What is exact in theory is not in floating point, near 1.8e9 to a quarter of a microsecond.
        assert all(later - earlier > PAUSE_S - 1e-6 for earlier, later in pairwise(asked))

    @given(st.floats(0, 3 * FRESH_S))
    def test_for_a_known_key_when_it_is_no_longer_fresh(self, age: float) -> None:
        now = NOW + age
        assert key_set(RSA).is_due("rsa-1", "RS256", now) == (now - NOW >= FRESH_S)

    @given(st.floats(0, 2 * PAUSE_S))
    def test_for_an_unknown_one_after_the_pause(self, age: float) -> None:
        keys, now = key_set(RSA), NOW + age
        for kid, algorithm in (("rsa-2", "RS256"), ("rsa-1", "ES256")):
            assert keys.is_due(kid, algorithm, now) == (now - NOW >= PAUSE_S)

    def test_at_once_when_nobody_was_asked_yet(self) -> None:
        assert KeySet().is_due("rsa-1", "RS256", NOW)
        assert KeySet().is_due("rsa-1", "RS256", 0.0)


class TestForHowLongAKeyCounts:
    @given(st.floats(0, 2 * USABLE_S))
    def test_for_a_day_after_it_was_had_and_no_longer(self, age: float) -> None:
        keys, now = key_set(RSA), NOW + age
        assert keys.is_usable(now) == (now - NOW < USABLE_S)
        assert (keys.find("rsa-1", "RS256", now) is not None) == (now - NOW < USABLE_S)

    @given(st.lists(st.floats(PAUSE_S, USABLE_S / 3), min_size=1, max_size=10))
    def test_however_often_the_issuer_could_not_be_reached_meanwhile(self, steps: list[float]) -> None:
        keys, now = key_set(RSA), NOW
        for step in steps:
            now += step
            if keys.is_due("rsa-1", "RS256", now):
                keys.ask(now)
            assert keys.is_usable(now) == (now - NOW < USABLE_S)

    def test_not_before_any_was_had(self) -> None:
        keys = KeySet()
        keys.ask(NOW)
        assert not keys.is_usable(NOW)
        assert keys.find("rsa-1", "RS256", NOW) is None

    @given(st.permutations([published(rsa_key(f"rsa-{number}")) for number in range(1, 5)]), st.integers(1, 4))
    def test_until_it_is_no_longer_published(self, keys: list[dict[str, Any]], kept: int) -> None:
        made = key_set(*keys)
        assert made.take(document(*keys[:kept], EC), NOW) == (kept < 4)
        assert [made.find(str(key["kid"]), "RS256", NOW) is not None for key in keys] == [
            *([True] * kept),
            *([False] * (4 - kept)),
        ]

    def test_until_another_is_published_under_its_id(self) -> None:
        keys = key_set(RSA)
        assert not keys.take(document(RSA, EC), NOW)
        assert not keys.take(document(EC, published(rsa_key(), use=MISSING, more="x")), NOW)
        assert keys.take(document(EC, published(rsa_key("another"), kid="rsa-1")), NOW)


class TestASignature:
    @pytest.mark.parametrize("key", [rsa_key(), ec_key()])
    def test_is_checked_over_every_byte(self, key: Any) -> None:
        with Issuer() as issuer:
            token = issuer.token(key=key)
        found = key_set(published(key)).find(key.kid, key.get("alg"), NOW)
        assert found is not None
        assert found.signed(token)
        head, body, proof = token.split(".")
        other = "A" if body[5] != "A" else "B"
        for spoilt in (
            f"{head}.{body[:5]}{other}{body[6:]}.{proof}",
            f"{head}.{body}.{proof[:20]}{'A' if proof[20] != 'A' else 'B'}{proof[21:]}",
            f"{head}.{body}.",
            f"{head}.{body}.AA",
            f"{head}.{body}.{proof}{proof}",
            f"{body}.{head}.{proof}",
            "",
            "..",
            "a.b.c",
        ):
            assert not found.signed(spoilt)

    def test_is_not_looked_for_under_another_algorithm(self) -> None:
        found = key_set(published(rsa_key(), alg=MISSING)).find("rsa-1", "RS256", NOW)
        assert found is not None
        with Issuer() as issuer:
            for alg in ("RS512", "PS256"):
                assert not found.signed(issuer.token(alg=alg))
                assert not found.signed(issuer.token(alg=alg, header={"alg": "RS256"}))

    @given(st.text())
    def test_counts_whatever_else_the_header_says(self, more: str) -> None:
        found = key_set(RSA).find("rsa-1", "RS256", NOW)
        assert found is not None
        header = json.dumps(
            {"alg": "RS256", "more": more, "long": "x" * 3_000, "jku": "https://canary.example", "cty": "JWT"}
        ).encode()
        proof = signature(rsa_key(), "RS256", signing_input(header, b"{}"))
        assert found.signed(raw_token(header, b"{}", proof))
