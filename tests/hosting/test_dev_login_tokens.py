"""The development login from the code on: what it is good for, once, and what is not."""

import asyncio

import pytest

from tests.hosting.hurried import Holds, Obedient
from tests.hosting.serving import SetClock, until
from tests.hosting.signing_in import (
    CHALLENGE,
    SCOPES,
    VERIFIER,
    Laptop,
    client,
    granted,
    is_refused,
    laptop,
    store,
    verified,
)

__all__ = ["client", "laptop", "store"]

pytestmark = pytest.mark.anyio

ELSEWHERE = "https://elsewhere.example/mcp"
DAY_S = 86_400


class TestACode:
    @pytest.mark.parametrize("verifier", ["", "wrong" * 10, CHALLENGE, VERIFIER + "A", VERIFIER[:-1] + "l"])
    async def test_is_worth_nothing_without_its_verifier(self, laptop: Laptop, client: str, verifier: str) -> None:
        code = await laptop.code(client)
        response = await laptop.redeem(client, code, code_verifier=verifier)
        assert is_refused(response, "invalid_grant" if verifier else "invalid_request")

    async def test_is_worth_nothing_twice_and_takes_what_it_gave(self, laptop: Laptop, client: str) -> None:
        """RFC 6749 §4.1.2."""
        code = await laptop.code(client)
        tokens = granted(await laptop.redeem(client, code))
        newer = granted(await laptop.refresh(client, tokens["refresh_token"]))
        assert is_refused(await laptop.redeem(client, code), "invalid_grant")
        assert is_refused(await laptop.refresh(client, newer["refresh_token"]), "invalid_grant")

    async def test_takes_what_it_gave_long_after_it_has_expired(
        self, laptop: Laptop, client: str, clock: SetClock
    ) -> None:
        code = await laptop.code(client)
        tokens = granted(await laptop.redeem(client, code))
        clock.now += DAY_S - 1
        assert is_refused(await laptop.redeem(client, code), "invalid_grant")
        assert is_refused(await laptop.refresh(client, tokens["refresh_token"]), "invalid_grant")

    async def test_is_redeemed_once_of_two_at_once(self, laptop: Laptop, client: str, store: Obedient) -> None:
        code = await laptop.code(client)
        store.before = both = Holds("add", "", b"true")  # the mark of what is used
        answers = asyncio.gather(laptop.redeem(client, code), laptop.redeem(client, code))
        await until(lambda: both.met == 2)
        both.go.set()
        assert sorted(each.status_code for each in await answers) == [200, 400]

    async def test_is_its_clients_alone(self, laptop: Laptop, client: str) -> None:
        code, other = await laptop.code(client), await laptop.a_client()
        assert is_refused(await laptop.redeem(other, code), "invalid_grant")
        assert is_refused(await laptop.redeem("unknown", code), "invalid_client", 401)
        tokens = granted(await laptop.redeem(client, code))
        assert is_refused(await laptop.redeem(other, code), "invalid_grant")
        assert granted(await laptop.refresh(client, tokens["refresh_token"]))

    async def test_is_good_for_a_minute(self, laptop: Laptop, client: str, clock: SetClock) -> None:
        code, late = await laptop.code(client), await laptop.code(client)
        clock.now += 59
        assert granted(await laptop.redeem(client, code))
        clock.now += 1
        assert is_refused(await laptop.redeem(client, late), "invalid_grant")

    @pytest.mark.parametrize("address", ["http://127.0.0.1:4321/other", "http://127.0.0.1:4322/callback", None])
    async def test_is_redeemed_by_whoever_knows_where_it_was_sent(
        self, laptop: Laptop, client: str, address: str | None
    ) -> None:
        code = await laptop.code(client)
        assert is_refused(await laptop.redeem(client, code, redirect_uri=address), "invalid_request")

    async def test_is_for_our_resource(self, laptop: Laptop, client: str) -> None:
        code = await laptop.code(client, resource=None)
        assert is_refused(await laptop.redeem(client, code, resource=ELSEWHERE), "invalid_target")
        tokens = granted(await laptop.redeem(client, code, resource=None))
        assert (await verified(laptop.login, tokens["access_token"], 1_800_000_000.25)).subject == "Ann"

    async def test_is_no_refresh_token_nor_the_other_way_round(self, laptop: Laptop, client: str) -> None:
        code = await laptop.code(client)
        assert is_refused(await laptop.refresh(client, code), "invalid_grant")
        tokens = granted(await laptop.redeem(client, code))
        assert is_refused(await laptop.redeem(client, tokens["refresh_token"]), "invalid_grant")

    @pytest.mark.parametrize("code", ["", "x", "é" * 1000, "\x00", "../../x"])
    async def test_cannot_be_guessed(self, laptop: Laptop, client: str, code: str) -> None:
        response = await laptop.redeem(client, code)
        assert is_refused(response, "invalid_grant" if code else "invalid_request")


class TestARefreshToken:
    async def test_is_followed_by_another(self, laptop: Laptop, client: str, clock: SetClock) -> None:
        tokens = await laptop.tokens(client)
        seen = {tokens["refresh_token"]}
        for _ in range(5):
            clock.now += DAY_S - 1  # each is good for a day
            newer = granted(await laptop.refresh(client, tokens["refresh_token"], resource=laptop.url))
            caller = await verified(laptop.login, newer["access_token"], clock.now)
            assert (caller.subject, caller.scopes, caller.expires) == ("Ann", frozenset(SCOPES), int(clock.now) + 600)
            tokens = newer
            seen.add(tokens["refresh_token"])
        assert len(seen) == 6

    async def test_is_good_for_a_day(self, laptop: Laptop, client: str, clock: SetClock) -> None:
        tokens = await laptop.tokens(client)
        clock.now += DAY_S
        assert is_refused(await laptop.refresh(client, tokens["refresh_token"]), "invalid_grant")

    async def test_ends_all_that_came_of_it_when_a_copy_turns_up(self, laptop: Laptop, client: str) -> None:
        """RFC 9700 §4.14.2."""
        first = await laptop.tokens(client)
        other = await laptop.tokens(client)
        second = granted(await laptop.refresh(client, first["refresh_token"]))
        third = granted(await laptop.refresh(client, second["refresh_token"]))
        assert is_refused(await laptop.refresh(client, first["refresh_token"]), "invalid_grant")
        assert is_refused(await laptop.refresh(client, third["refresh_token"]), "invalid_grant")
        assert granted(await laptop.refresh(client, other["refresh_token"]))

    async def test_gives_tokens_once_of_two_at_once(self, laptop: Laptop, client: str, store: Obedient) -> None:
        token = (await laptop.tokens(client))["refresh_token"]
        store.before = both = Holds("add", "", b"true")
        answers = asyncio.gather(laptop.refresh(client, token), laptop.refresh(client, token))
        await until(lambda: both.met == 2)
        both.go.set()
        responses = await answers
        assert sorted(each.status_code for each in responses) == [200, 400]
        (newer,) = (each.json()["refresh_token"] for each in responses if each.status_code == 200)
        assert is_refused(await laptop.refresh(client, newer), "invalid_grant")  # one of the two was a thief

    async def test_that_is_being_used_while_a_copy_turns_up_gives_nothing_that_lasts(
        self, laptop: Laptop, client: str, store: Obedient
    ) -> None:
        token = (await laptop.tokens(client))["refresh_token"]
        store.before = slow = Holds("replace")  # between its mark and the prolongation of its grant
        using = asyncio.create_task(laptop.refresh(client, token))
        await until(lambda: slow.met)
        assert is_refused(await laptop.refresh(client, token), "invalid_grant")
        slow.go.set()
        assert is_refused(await using, "invalid_grant")

    async def test_may_give_less_and_never_more(self, laptop: Laptop, client: str) -> None:
        token = (await laptop.tokens(client))["refresh_token"]
        less = granted(await laptop.refresh(client, token, scope="mcp:tools"))
        assert less["scope"] == "mcp:tools"
        assert granted(await laptop.refresh(client, less["refresh_token"]))["scope"] == "mcp:tools spend:all"
        bobs = (await laptop.tokens(client, "Bob"))["refresh_token"]
        assert is_refused(await laptop.refresh(client, bobs, scope="mcp:tools spend:all"), "invalid_scope")

    async def test_is_its_clients_alone(self, laptop: Laptop, client: str) -> None:
        token, other = (await laptop.tokens(client))["refresh_token"], await laptop.a_client()
        assert is_refused(await laptop.refresh(other, token), "invalid_grant")
        newer = granted(await laptop.refresh(client, token))["refresh_token"]
        assert is_refused(await laptop.refresh(other, token), "invalid_grant")
        assert granted(await laptop.refresh(client, newer))

    async def test_is_for_our_resource(self, laptop: Laptop, client: str) -> None:
        token = (await laptop.tokens(client))["refresh_token"]
        assert is_refused(await laptop.refresh(client, token, resource=ELSEWHERE), "invalid_target")
        assert granted(await laptop.refresh(client, token))

    async def test_is_for_clients_that_want_one(self, laptop: Laptop) -> None:
        client = await laptop.a_client(grant_types=["authorization_code"])
        assert "refresh_token" not in await laptop.tokens(client)
        assert is_refused(await laptop.refresh(client, "any"), "unsupported_grant_type")

    @pytest.mark.parametrize("grant", ["password", "client_credentials", "urn:ietf:params:oauth:grant-type:jwt-bearer"])
    async def test_and_a_code_are_the_only_grants(self, laptop: Laptop, client: str, grant: str) -> None:
        assert is_refused(await laptop.refresh(client, "any", grant_type=grant), "unsupported_grant_type")

    async def test_is_sent_in_a_form_of_a_size_that_says_nothing_twice(self, laptop: Laptop, client: str) -> None:
        url = f"{laptop.origin}/token"
        assert (await laptop.http.post(url, json={"grant_type": "refresh_token"})).status_code == 415
        assert (await laptop.http.post(url, data={"refresh_token": "x" * 16_384})).status_code == 413
        assert is_refused(await laptop.http.post(url, data={"client_id": [client, client]}), "invalid_request")
        assert is_refused(await laptop.http.post(url, data={f"n{n}": "1" for n in range(60)}), "invalid_request")


class TestRevocation:
    """RFC 7009."""

    @pytest.mark.parametrize("hint", [{}, {"token_type_hint": "refresh_token"}, {"token_type_hint": "unheard-of"}])
    async def test_ends_a_refresh_token_and_its_successors(
        self, laptop: Laptop, client: str, hint: dict[str, str]
    ) -> None:
        first = await laptop.tokens(client)
        second = granted(await laptop.refresh(client, first["refresh_token"]))
        assert (await laptop.revoke(client, second["refresh_token"], **hint)).status_code == 200
        assert is_refused(await laptop.refresh(client, second["refresh_token"]), "invalid_grant")

    async def test_is_no_business_of_other_clients(self, laptop: Laptop, client: str) -> None:
        token, other = (await laptop.tokens(client))["refresh_token"], await laptop.a_client()
        assert (await laptop.revoke(other, token)).status_code == 200
        assert (await laptop.revoke("unknown", token)).status_code == 401
        assert granted(await laptop.refresh(client, token))

    async def test_of_what_is_nothing_is_done_already(self, laptop: Laptop, client: str) -> None:
        assert (await laptop.revoke(client, "unheard-of")).status_code == 200

    async def test_of_an_access_token_is_not_claimed(self, laptop: Laptop, client: str) -> None:
        tokens = await laptop.tokens(client)
        assert is_refused(await laptop.revoke(client, tokens["access_token"]), "unsupported_token_type")
