"""Threats 1 to 17: credentials that must not be accepted."""

import asyncio
import contextlib
import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest

from tests.auth_servers.forgeries import FORGERIES
from tests.auth_servers.issuer import AUDIENCE, CLIENT, SCOPE, Canary, Issuer
from tests.auth_servers.keys import MISSING, ec_key, oct_key, published, rsa_key
from tests.hosting.serving import MODERN, SetClock, until
from tests.hosting.serving import ask as send
from tests.hosting.wire import Instance, instances
from tests.logs import Ask
from tests.threats.conftest import Refuses
from tests.threats.door import (
    ERAS,
    Door,
    OpenDoor,
    a_real_door,
    asks_to_log_in,
    calling,
    environment_of,
    is_turned_away,
    settings_of,
)
from tollbook.hosting.auth.apikeys import ApiKeys
from tollbook.hosting.auth.fetching import fetch
from tollbook.hosting.auth.gate import FetchKeys, Gate
from tollbook.hosting.auth.issuer import Issuer as AskedIssuer
from tollbook.hosting.auth.token import LARGEST_TOKEN
from tollbook.hosting.stores.memory import MemoryStore

pytestmark = pytest.mark.anyio

KEYS: Final = "/jwks.json"
POOL: Final[Mapping[str, Any]] = {"COGNITO_REGION": "eu-west-1", "COGNITO_USER_POOL_ID": "eu-west-1_AbCdEfGhI"}
DAY_S: Final = 86_400


def forged(number: int) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("name", FORGERIES[number])


@forged(1)
async def test_threat_01_a_token_that_nobody_signed_is_refused(refuses: Refuses, name: str) -> None:
    assert await refuses(1, name, "algorithm", "malformed")


@forged(2)
async def test_threat_02_a_public_key_is_no_secret_to_sign_with(refuses: Refuses, name: str) -> None:
    assert await refuses(2, name, "algorithm")


@forged(3)
async def test_threat_03_an_algorithm_that_is_not_listed_is_refused(refuses: Refuses, name: str) -> None:
    assert await refuses(3, name, "algorithm", "unknown key", "signature")


async def test_threat_03_a_key_that_is_not_for_signatures_of_tokens_verifies_none(
    open_door: OpenDoor, era: str
) -> None:
    async with open_door() as door:
        other, weak, secret = rsa_key("other"), rsa_key("other", 1024), oct_key("other")
        for unfit in (
            published(other, use="enc"),
            published(other, key_ops=["encrypt"]),
            published(other, alg="PS256"),
            published(other, kid=MISSING),
            published(weak),
            published(secret),
        ):
            door.issuer.keys[:] = [published(door.issuer.key), unfit]
            for key in (other, weak, secret):
                door.clock.now += 31  # so that the issuer is asked for what he publishes now
                assert not await door.lets_in(era, door.issuer.token(key=key))
        assert door.issuer.asked[KEYS] > 6
        assert await door.lets_in(era, door.issuer.token())
        door.issuer.keys[:] = [published(other)]
        door.clock.now += 31
        assert await door.lets_in(era, door.issuer.token(key=other))


async def test_threat_03_the_one_other_algorithm_that_is_listed_is_accepted(open_door: OpenDoor, era: str) -> None:
    async with open_door() as door:
        door.issuer.keys.append(published(ec_key()))
        assert await door.lets_in(era, door.issuer.token(key=ec_key()))


@forged(4)
async def test_threat_04_a_token_of_another_issuer_is_refused(refuses: Refuses, name: str) -> None:
    assert await refuses(4, name, "issuer", "malformed")


@forged(5)
async def test_threat_05_a_token_for_somebody_else_is_refused(refuses: Refuses, name: str) -> None:
    assert await refuses(5, name, "audience", "malformed")


async def test_threat_05_only_clients_that_are_named_may_leave_out_for_whom_a_token_is(
    open_door: OpenDoor, era: str
) -> None:
    async with open_door(OAUTH_CLIENTS_WITHOUT_AUD="machine") as door:
        token = door.issuer.token
        assert await door.lets_in(era, token(aud=MISSING, client_id="machine"))
        assert not await door.lets_in(era, token(aud=MISSING))
        assert not await door.lets_in(era, token(aud=MISSING, client_id=MISSING))
        assert not await door.lets_in(era, token(aud="https://other.example/mcp", client_id="machine"))
        assert not await door.lets_in(era, token(aud=[], client_id="machine"))
        assert await door.lets_in(era, token(aud=["https://other.example/mcp", AUDIENCE]))


@forged(6)
async def test_threat_06_a_token_for_another_client_of_the_same_issuer_is_refused(refuses: Refuses, name: str) -> None:
    assert await refuses(6, name, "client", "malformed")


async def test_threat_06_the_client_may_be_named_as_openid_names_it(open_door: OpenDoor, era: str) -> None:
    async with open_door() as door:
        assert await door.lets_in(era, door.issuer.token(client_id=MISSING, azp=CLIENT))
        assert not await door.lets_in(era, door.issuer.token(client_id=MISSING, azp="client-of-others"))
        assert not await door.lets_in(era, door.issuer.token(client_id="client-of-others", azp=CLIENT))


def test_threat_06_a_server_for_a_pool_does_not_start_without_a_list_of_its_clients(
    ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {**POOL, "OAUTH_REQUIRED_SCOPE": SCOPE}.items():
        monkeypatch.setenv(name, value)
    answer = ask("serve")
    assert answer.code == 2
    assert "(COGNITO_ALLOWED_CLIENT_IDS): it is missing" in answer.err


@forged(7)
async def test_threat_07_what_says_who_logged_in_opens_nothing(refuses: Refuses, name: str) -> None:
    assert await refuses(7, name, "not an access token", "malformed")


async def test_threat_07_a_token_of_cognito_says_itself_that_it_is_an_access_token(
    open_door: OpenDoor, era: str
) -> None:
    async with open_door(**POOL) as door:
        assert await door.lets_in(era, door.issuer.token())
        assert not await door.lets_in(era, door.issuer.token(token_use=MISSING))
        assert not await door.lets_in(era, door.issuer.id_token(aud=AUDIENCE))
    async with open_door() as door:
        assert await door.lets_in(era, door.issuer.token(token_use=MISSING))
        assert not await door.lets_in(era, door.issuer.token(header={"typ": "logout+jwt"}))


@forged(8)
async def test_threat_08_a_token_that_is_past_or_to_come_is_refused(refuses: Refuses, name: str) -> None:
    assert await refuses(8, name, "expired", "not valid yet")


async def test_threat_08_clocks_may_be_thirty_seconds_apart_and_no_more(open_door: OpenDoor, era: str) -> None:
    async with open_door() as door:
        door.clock.now = 1_800_000_000
        token, now = door.issuer.token, door.issuer.now()
        for claim, good, bad in (("exp", now - 29, now - 30), ("nbf", now + 30, now + 31), ("iat", now + 30, now + 31)):
            for second, is_good in ((good, True), (bad, False)):
                said: dict[str, Any] = {claim: second}
                assert await door.lets_in(era, token(**said)) is is_good


async def test_threat_08_a_token_that_was_verified_ends_in_its_time(open_door: OpenDoor, era: str) -> None:
    async with open_door() as door:
        token = door.issuer.token(exp=door.issuer.now() + 100)
        session = await door.session(era, token)
        for seconds, is_good in ((0, True), (99, True), (30, True), (1, False), (1, False)):
            door.clock.now += seconds
            assert await door.lets_in(era, token, session) is is_good


@forged(9)
async def test_threat_09_a_token_without_an_end_or_an_owner_is_refused(refuses: Refuses, name: str) -> None:
    assert await refuses(9, name, "malformed")


@forged(10)
async def test_threat_10_a_time_that_is_no_whole_number_is_refused(refuses: Refuses, name: str) -> None:
    assert await refuses(10, name, "malformed", "expired")


@forged(11)
async def test_threat_11_a_key_is_found_by_its_name_and_nowhere_else(refuses: Refuses, name: str) -> None:
    assert await refuses(11, name, "unknown key", "malformed")


async def test_threat_11_a_flood_of_unknown_keys_asks_the_issuer_once_in_thirty_seconds(
    open_door: OpenDoor, era: str
) -> None:
    async with open_door() as door:

        async def flood(number: int) -> None:
            tokens = [door.issuer.token(header={"kid": f"unknown-{each}"}) for each in range(number)]
            refused = await asyncio.gather(*(door.post(era, calling(), f"Bearer {token}") for token in tokens))
            assert all(map(is_turned_away, refused))

        assert await door.lets_in(era, door.issuer.token())
        for seconds, asked in ((0, 1), (15, 1), (14.75, 1), (0.25, 2), (29.75, 2), (0.25, 3)):
            door.clock.now += seconds
            await flood(15)
            assert door.issuer.asked[KEYS] == asked
        assert await door.lets_in(era, door.issuer.token())


@forged(12)
async def test_threat_12_a_key_that_a_token_brings_or_points_to_is_not_looked_at(refuses: Refuses, name: str) -> None:
    assert await refuses(12, name, "unknown key", "signature", "issuer")


@forged(13)
async def test_threat_13_a_token_that_wants_to_be_read_in_another_way_is_refused(refuses: Refuses, name: str) -> None:
    assert await refuses(13, name, "critical header")


@forged(14)
async def test_threat_14_a_token_of_a_megabyte_is_not_looked_at(
    door: Door, era: str, canary: Canary, name: str
) -> None:
    before = door.stage.entered, door.issuer.asked.total()
    token = FORGERIES[14][name](door.issuer, canary)
    assert len(token) > 1_000_000
    door.clock.now += 31
    headers = [("content-type", "application/json"), ("authorization", f"Bearer {token}")]
    body = json.dumps(calling()).encode()
    with contextlib.suppress(ConnectionError):  # it may be cut while it still sends
        assert 400 <= (await send(door.url, "POST", [*headers, ("mcp-protocol-version", era)], body)).status < 500
    assert (door.stage.entered, door.issuer.asked.total()) == before
    assert await door.lets_in(era, door.issuer.token())


async def test_threat_14_the_signature_of_a_token_that_is_too_long_is_not_checked(
    open_door: OpenDoor, era: str, reasons: Callable[[], list[str]]
) -> None:
    async with open_door() as door:
        short = len(door.issuer.token(more=""))
        fits = door.issuer.token(more="m" * ((LARGEST_TOKEN - short) * 3 // 4 - 4))
        longer = door.issuer.token(more="m" * ((LARGEST_TOKEN - short) * 3 // 4 + 4))
        assert len(fits) <= LARGEST_TOKEN < len(longer) < LARGEST_TOKEN + 20
        assert not await door.lets_in(era, longer)
        assert reasons() == ["too long"]
        assert door.issuer.asked.total() == 0
        assert await door.lets_in(era, fits)


@pytest.mark.parametrize(
    "given",
    [
        ("Bearer {good}", "Bearer {good}"),
        ("Bearer {good}", "Bearer {bad}"),
        ("Bearer {bad}", "Bearer {good}"),
        ("Basic YWxpY2U6aHVudGVyMg==", "Bearer {good}"),
        ("Bearer {good}, Bearer {good}",),
        ("Bearer {good} {good}",),
        ("Bearer {good},",),
        ("Bearer",),
        ("Bearer\t{good}",),
        ('Bearer "{good}"',),
        ("Bearer Bearer {good}",),
        ("Bearer access_token={good}",),
    ],
    ids=repr,
)
async def test_threat_15_a_credential_is_one_bearer_token_in_one_header(
    door: Door, era: str, given: tuple[str, ...]
) -> None:
    good, bad = door.issuer.token(), door.issuer.token(exp=1)
    session = await door.session(era, good)
    door.clock.now += 31
    before = door.stage.entered
    credentials = [each.format(good=good, bad=bad) for each in given]
    assert is_turned_away(await door.post(era, calling(), *credentials, session=session))
    assert door.stage.entered == before
    for scheme in ("Bearer ", "bearer ", "BEARER  "):
        response = await door.post(era, calling(), f"{scheme}{good}", session=session)
        assert response.status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("cookie", "access_token={good}")],
        [("x-api-key", "{good}")],
        [("proxy-authorization", "Bearer {good}")],
        [("x-amzn-oidc-accesstoken", "{good}")],
    ],
    ids=repr,
)
async def test_threat_15_a_token_anywhere_else_is_none(door: Door, era: str, headers: list[tuple[str, str]]) -> None:
    good = door.issuer.token()
    session = await door.session(era, good)
    given = [(name, value.format(good=good)) for name, value in headers]
    assert asks_to_log_in(await door.post(era, calling(access_token=good), session=session, headers=given))
    in_address = f"{door.url}?access_token={good}"
    assert asks_to_log_in(await door.http.post(in_address, json=calling(), headers=given))
    form = {"access_token": good}
    assert asks_to_log_in(await door.http.post(door.url, data=form, headers=given))


@pytest.mark.parametrize(
    "given", ["Basic YWxpY2U6aHVudGVyMg==", "Digest username=alice", "DPoP {good}", "{good}", "Bearer{good}"]
)
async def test_threat_15_a_scheme_that_is_not_known_is_no_credential(door: Door, era: str, given: str) -> None:
    """RFC 6750 §3.1: one who used "an unsupported authentication method" is told of no error."""
    door.clock.now += 31
    response = await door.post(era, calling(), given.format(good=door.issuer.token()))
    assert asks_to_log_in(response)


Spoil = Callable[[Issuer, Canary, str | None], None]

SPOILT: Final[Mapping[str, tuple[Spoil, str]]] = {
    "dead": (lambda issuer, _, path: issuer.dead(), "cannot be reached"),
    "failing": (lambda issuer, _, path: issuer.fail(503, path), "answered with status 503"),
    "telling garbage": (lambda issuer, _, path: issuer.garbage(path=path), "not JSON|no JSON object"),
    "telling nothing": (lambda issuer, _, path: issuer.garbage(b"{}", path), "no key of use|another issuer's"),
    "slow": (lambda issuer, _, path: issuer.slow(path), "no whole answer in time"),
    "dribbling": (lambda issuer, _, path: issuer.dribble(path), "no whole answer in time"),
    "huge": (lambda issuer, _, path: issuer.huge(path), "more than 65,536 bytes"),
    "redirecting": (lambda issuer, canary, path: issuer.redirect(f"{canary.url}{KEYS}", 302, path), "status 302"),
    "moved": (lambda issuer, canary, path: issuer.redirect(f"{canary.url}{KEYS}", 308, path), "status 308"),
}


@pytest.mark.parametrize("path", [None, KEYS], ids=["wholly", "with its keys"])
@pytest.mark.parametrize(("spoil", "why"), SPOILT.values(), ids=SPOILT)
async def test_threat_16_with_a_key_server_gone_wrong_known_keys_serve_and_others_do_not(
    open_door: OpenDoor,
    issuer: Issuer,
    canary: Canary,
    reasons: Callable[[], list[str]],
    spoil: Spoil,
    why: str,
    path: str | None,
) -> None:
    async with open_door(keys=impatient(issuer)) as door:
        before = issuer.key
        for era in ERAS:
            assert await door.lets_in(era, issuer.token())
        issuer.rotate(keep_old=True)
        spoil(issuer, canary, path)
        door.clock.now += 31
        for era in ERAS:
            assert not await door.lets_in(era, issuer.token())
            assert not await door.lets_in(era, issuer.token(key=canary.key))
            assert await door.lets_in(era, issuer.token(key=before))
        assert any(part in reason for reason in reasons() for part in why.split("|"))
        assert canary.visits == 0
        issuer.well()
        door.clock.now += 31
        for era in ERAS:
            assert await door.lets_in(era, issuer.token())


def impatient(issuer: Issuer) -> FetchKeys:
    """Asks an issuer as the gate does by itself, and waits a tenth of the time."""
    asked = AskedIssuer(settings_of(issuer, {}), partial(fetch, patience_s=0.3))
    return lambda: asyncio.to_thread(asked.keys)


async def test_threat_16_nobody_waits_for_a_slow_key_server_for_ever(open_door: OpenDoor, issuer: Issuer) -> None:
    async with open_door(OAUTH_JWKS_URL=issuer.jwks_url) as door:
        issuer.slow()
        refused = await asyncio.gather(*(door.post(era, calling(), f"Bearer {issuer.token()}") for era in ERAS))
        assert all(map(is_turned_away, refused))


async def test_threat_16_however_many_wait_for_a_key_the_issuer_is_asked_once(open_door: OpenDoor, era: str) -> None:
    async with open_door() as door:
        assert await door.lets_in(era, door.issuer.token())
        door.clock.now += 31
        door.issuer.rotate()
        door.issuer.slow(KEYS)
        before = door.knocks
        good = [door.issuer.token() for _ in range(50)]
        waiting = [asyncio.create_task(door.post(era, calling(), f"Bearer {each}")) for each in good]
        await until(lambda: door.knocks == before + 50 and door.issuer.asked[KEYS] == 2)
        door.clock.now += 31  # one that asked anew would now be free to
        late = asyncio.create_task(door.post(era, calling(), f"Bearer {door.issuer.token()}"))
        await until(lambda: door.knocks == before + 51)
        door.issuer.well()
        statuses = {(await each).status_code for each in (*waiting, late)}
        assert 401 not in statuses
        assert door.issuer.asked[KEYS] == 2


async def test_threat_16_one_who_leaves_does_not_end_what_others_wait_for(issuer: Issuer, clock: SetClock) -> None:
    """Asked without HTTP, whose server lets a request go on though its client has left."""
    gate = Gate(settings_of(issuer, {}), MemoryStore(clock), clock=clock)
    issuer.slow(KEYS)
    headers = [(b"authorization", f"Bearer {issuer.token()}".encode())]
    first, second = (asyncio.create_task(gate.authenticate({"headers": headers})) for _ in range(2))
    await until(lambda: issuer.asked[KEYS] == 1)
    first.cancel()
    await asyncio.wait([first])
    issuer.well()
    assert (await second).subject == "alice"
    assert issuer.asked[KEYS] == 1


async def test_threat_16_keys_are_good_for_a_day_without_their_issuer_and_no_longer(
    open_door: OpenDoor, era: str
) -> None:
    async with open_door() as door:
        start, end = door.clock.now, door.issuer.now() + 3 * DAY_S
        assert await door.lets_in(era, door.issuer.token(exp=end))
        door.issuer.dead()
        for hours in (1, 12, 23.9):
            door.clock.now = start + 3600 * hours
            assert await door.lets_in(era, door.issuer.token(exp=end))
        remembered = door.issuer.token(exp=end)
        assert await door.lets_in(era, remembered)
        door.clock.now = start + DAY_S
        assert not await door.lets_in(era, door.issuer.token(exp=end))
        door.clock.now += 301
        assert not await door.lets_in(era, remembered)
        door.issuer.well()
        door.clock.now += 31
        assert await door.lets_in(era, remembered)


async def test_threat_16_keys_are_asked_for_anew_after_a_quarter_of_an_hour(
    open_door: OpenDoor, issuer: Issuer, era: str
) -> None:
    asked = 0

    async def keys() -> bytes:
        nonlocal asked
        asked += 1
        return await impatient(issuer)()

    async with open_door(keys=keys) as door:
        assert await door.lets_in(era, issuer.token())
        door.clock.now += 899.75
        assert await door.lets_in(era, issuer.token())
        assert asked == 1
        door.clock.now += 0.25
        assert await door.lets_in(era, issuer.token())  # which does not wait for the answer
        assert asked == 2


async def test_threat_16_a_key_that_was_withdrawn_is_refused_though_its_tokens_were_verified(
    open_door: OpenDoor, era: str
) -> None:
    async with open_door() as door:
        old = door.issuer.token()
        session = await door.session(era, old)
        door.clock.now += 31
        door.issuer.rotate(keep_old=True)
        assert await door.lets_in(era, door.issuer.token())
        assert await door.lets_in(era, old, session)
        door.clock.now += 31
        door.issuer.rotate()
        assert await door.lets_in(era, old, session)  # nobody has asked since
        assert await door.lets_in(era, door.issuer.token())
        assert not await door.lets_in(era, old, session)


async def test_threat_16_whose_issuer_was_away_from_the_start_is_let_in_when_he_is_back(
    open_door: OpenDoor, era: str
) -> None:
    async with open_door() as door:
        door.issuer.dead()
        assert not await door.lets_in(era, door.issuer.token())
        door.issuer.well()
        assert not await door.lets_in(era, door.issuer.token())
        door.clock.now += 30
        assert await door.lets_in(era, door.issuer.token())


async def test_threat_16_the_login_page_asks_the_issuer_as_seldom(open_door: OpenDoor) -> None:
    async with open_door(AUTH_METADATA="shim") as door:
        page = door.url.replace("/mcp", "/.well-known/oauth-authorization-server")
        about = "/.well-known/openid-configuration"

        async def statuses() -> set[int]:
            return {each.status_code for each in await asyncio.gather(*(door.http.get(page) for _ in range(10)))}

        door.issuer.dead()
        assert await statuses() == {503}
        door.issuer.well()
        assert await statuses() == {503}
        door.clock.now += 30
        assert await statuses() == {200}
        assert door.issuer.asked[about] == 1
        door.clock.now += 899
        assert await statuses() == {200}
        assert door.issuer.asked[about] == 1
        door.issuer.dead()
        door.clock.now += DAY_S - 900
        assert await statuses() == {200}
        door.clock.now += 30
        assert await statuses() == {503}


class TestThreat17:
    """An API key counts as long as it is good, and to the letter."""

    @pytest.fixture
    def keys(self, store: MemoryStore, clock: SetClock) -> ApiKeys:
        """Those in the store of the door."""
        return ApiKeys(store, clock)

    async def test_threat_17_a_key_is_accepted_until_it_is_revoked(
        self, open_door: OpenDoor, keys: ApiKeys, era: str
    ) -> None:
        async with open_door() as door:
            text, key = await keys.create("alice", [SCOPE], door.clock.now + 1000, {})
            session = await door.session(era, text)
            assert await door.lets_in(era, text, session)
            await keys.revoke(key.id)
            assert not await door.lets_in(era, text, session)

    async def test_threat_17_a_key_is_accepted_until_it_ends(
        self, open_door: OpenDoor, keys: ApiKeys, era: str
    ) -> None:
        async with open_door() as door:
            text, _ = await keys.create("alice", [SCOPE], door.clock.now + 1000, {})
            session = await door.session(era, text)
            for seconds, is_good in ((999, True), (0.75, True), (0.25, False), (1, False)):
                door.clock.now += seconds
                assert await door.lets_in(era, text, session) is is_good

    async def test_threat_17_a_key_that_is_a_character_off_is_refused(
        self, open_door: OpenDoor, keys: ApiKeys, era: str
    ) -> None:
        async with open_door() as door:
            text, key = await keys.create("alice", [SCOPE], door.clock.now + 1000, {})
            session = await door.session(era, text)
            one_off = [text[:at] + ("0" if text[at] != "0" else "1") + text[at + 1 :] for at in (4, 19, 21, 50, 84)]
            others = [text[:-1], f"{text}0", f"TBK_{text[4:]}", f"tbk_{text[4:].upper()}", text[4:], f"tbk_{key.id}_"]
            made_up = ["tbk_", f"tbk_{'0' * 5000}", f"tbk_{'0' * 16}_{'0' * 64}", f"tbk_{key.id}_{'0' * 64}"]
            for wrong in (*one_off, *others, *made_up):
                assert not await door.lets_in(era, wrong, session)
            assert await door.lets_in(era, text, session)

    async def test_threat_17_a_key_is_nobody_elses_though_he_bears_the_same_name(
        self, open_door: OpenDoor, keys: ApiKeys, era: str
    ) -> None:
        async with open_door() as door:
            text, key = await keys.create("alice", [SCOPE], door.clock.now + 1000, {})
            assert await door.who(era, text) == ("tollbook", f"api-key:{key.id}", "alice")
            assert await door.who(era, door.issuer.token()) == (door.issuer.url, CLIENT, "alice")


class TestARealServer:
    """tollbook in a process of its own, set by its environment, refuses the same."""

    @pytest.fixture
    def today(self) -> Iterator[Issuer]:
        """An issuer who keeps everyone's time."""
        with Issuer() as running:
            yield running

    async def test_threat_01_to_13_none_is_accepted_of_the_forgeries_of_each_number(
        self, today: Issuer, canary: Canary, tmp_path: Path
    ) -> None:
        with instances(tmp_path, 1, ["--session-store", "memory"], environment_of(today)) as (server,):
            async with a_real_door(today, server.url) as door:
                for era in ERAS:
                    good = today.token()
                    session = await door.session(era, good)
                    for number in range(1, 14):
                        forge = next(iter(FORGERIES[number].values()))
                        assert is_turned_away(await door.call(era, forge(today, canary), session, "whoami"))
                    assert (await door.call(era, good, session, "whoami")).status_code == 200
        assert canary.visits == 0

    async def test_threat_03_a_key_that_is_too_weak_verifies_none(self, today: Issuer, tmp_path: Path) -> None:
        """In these tests themselves a weak key cannot be read at all: to warn of it is an error there."""
        weak = rsa_key("weak", 1024)
        today.keys.append(published(weak))
        with instances(tmp_path, 1, ["--session-store", "memory"], environment_of(today)) as (server,):
            async with a_real_door(today, server.url) as door:
                for era in ERAS:
                    session = await door.session(era, today.token())
                    assert is_turned_away(await door.call(era, today.token(key=weak), session, "whoami"))

    @pytest.mark.skipif(
        not Path("/proc/self/status").exists(), reason="only Linux tells of another process's memory so"
    )
    async def test_threat_16_a_document_without_end_is_not_taken_in(self, today: Issuer, tmp_path: Path) -> None:
        with instances(tmp_path, 1, ["--session-store", "memory"], environment_of(today)) as (server,):
            async with a_real_door(today, server.url) as door:
                assert is_turned_away(await door.call(MODERN, "a.b.c", tool="whoami"))
                before = most_memory_mb(server)
                today.huge(KEYS)
                assert is_turned_away(await door.call(MODERN, today.token(), tool="whoami"))
                assert today.asked[KEYS] == 1
                assert most_memory_mb(server) - before < 30

    async def test_threat_16_it_serves_on_without_its_issuer(self, today: Issuer, tmp_path: Path) -> None:
        with instances(tmp_path, 1, ["--session-store", "memory"], environment_of(today)) as (server,):
            async with a_real_door(today, server.url) as door:
                for era in ERAS:
                    today.well()
                    session = await door.session(era, today.token())
                    today.dead()
                    stranger = today.token(key=rsa_key("other"))
                    assert is_turned_away(await door.call(era, stranger, session, "whoami"))
                    assert (await door.call(era, today.token(), session, "whoami")).status_code == 200

    async def test_threat_17_a_key_that_is_revoked_on_the_command_line_is_refused_at_once(
        self, today: Issuer, tmp_path: Path, ask: Ask
    ) -> None:
        store = ["--session-store", f"sqlite:{tmp_path / 'store.db'}"]
        words = ["keys", "create", "--owner", "alice", "--scopes", SCOPE, *store]
        key = (await asyncio.to_thread(ask, *words)).out.strip()  # it has an event loop of its own
        with instances(tmp_path, 1, store, environment_of(today)) as (server,):
            async with a_real_door(today, server.url) as door:
                sessions = [(era, await door.session(era, key)) for era in ERAS]
                for era, session in sessions:
                    assert (await door.call(era, key, session, "whoami")).status_code == 200
                assert (await asyncio.to_thread(ask, "keys", "revoke", key.split("_")[1], *store)).code == 0
                for era, session in sessions:
                    assert is_turned_away(await door.call(era, key, session, "whoami"))


def most_memory_mb(instance: Instance) -> float:
    """The most that a process has held so far."""
    words = Path(f"/proc/{instance.process.pid}/status").read_text().split()
    return int(words[words.index("VmHWM:") + 1]) / 1024
