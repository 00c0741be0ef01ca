"""Several instances of the development login, what they keep, and where there may be none."""

import asyncio
import logging
from pathlib import Path

import httpx2
import pytest

from tests.hosting.hurried import Holds, Obedient
from tests.hosting.serving import SetClock, until
from tests.hosting.signing_in import (
    ANN,
    BOB,
    SCOPES,
    USERS,
    VERIFIER,
    Laptop,
    a_laptop,
    back,
    client,
    granted,
    is_refused,
    laptop,
    store,
    verified,
)
from tollbook.core.errors import UsageError
from tollbook.hosting.dev_login import DevLogin, DevUser, refuse_elsewhere
from tollbook.hosting.stores.memory import MemoryStore
from tollbook.hosting.stores.sqlite import SqliteStore

__all__ = ["client", "laptop", "store"]

pytestmark = pytest.mark.anyio


class TestSeveralInstances:
    async def test_go_on_with_each_others_sign_ins(
        self, http: httpx2.AsyncClient, tmp_path: Path, clock: SetClock
    ) -> None:
        path = tmp_path / "store.db"
        async with (
            a_laptop(http, SqliteStore(path, clock), clock) as first,
            a_laptop(http, SqliteStore(path, clock), clock, base=first.origin) as second,
        ):
            assert await first.login.jwks() == await second.login.jwks()
            client = await first.a_client()
            url = str((await second.authorize(client)).headers["location"])
            page = await first.http.get(f"{first.origin}{url}")
            code = back(await second.answer(page, user="Ann")).said["code"]
            answers = await asyncio.gather(*(each.redeem(client, code) for each in (first, second, first, second)))
            assert sorted(each.status_code for each in answers) == [200, 400, 400, 400]
            tokens = await first.tokens(client)
            assert (await verified(second.login, tokens["access_token"], clock.now)).subject == "Ann"
            newer = granted(await second.refresh(client, tokens["refresh_token"]))
            assert is_refused(await first.refresh(client, tokens["refresh_token"]), "invalid_grant")
            assert is_refused(await second.refresh(client, newer["refresh_token"]), "invalid_grant")

    async def test_that_begin_at_once_have_one_key(self, store: Obedient, clock: SetClock) -> None:
        base = "http://127.0.0.1:3000"
        one, other = (
            DevLogin(store, base=base, resource=f"{base}/mcp", scopes=SCOPES, users=USERS, clock=clock) for _ in "12"
        )
        store.before = both = Holds("add", "signing")
        keys = asyncio.gather(one.jwks(), other.jwks(), one.jwks())
        await until(lambda: both.met == 3)
        both.go.set()
        assert len(set(await keys)) == 1
        assert await other.jwks() in await keys

    async def test_know_clients_and_refresh_tokens_after_a_restart(
        self, http: httpx2.AsyncClient, tmp_path: Path, clock: SetClock
    ) -> None:
        path = tmp_path / "store.db"
        async with a_laptop(http, SqliteStore(path, clock), clock) as before:
            client = await before.a_client()
            tokens = await before.tokens(client)
        async with a_laptop(http, SqliteStore(path, clock), clock, base=before.origin, users=[ANN]) as after:
            assert (await verified(after.login, tokens["access_token"], clock.now)).subject == "Ann"
            newer = granted(await after.refresh(client, tokens["refresh_token"]))
            assert (await verified(after.login, newer["access_token"], clock.now)).subject == "Ann"
            assert await after.tokens(client)

    async def test_forget_a_user_who_is_there_no_more(
        self, http: httpx2.AsyncClient, tmp_path: Path, clock: SetClock
    ) -> None:
        path = tmp_path / "store.db"
        async with a_laptop(http, SqliteStore(path, clock), clock) as before:
            client = await before.a_client()
            anns, bobs = await before.tokens(client, "Ann"), await before.tokens(client, "Bob")
        fewer = [DevUser("Ann", "sees less than before", {}, BOB.scopes)]
        async with a_laptop(http, SqliteStore(path, clock), clock, base=before.origin, users=fewer) as after:
            assert is_refused(await after.refresh(client, bobs["refresh_token"]), "invalid_grant")
            assert granted(await after.refresh(client, anns["refresh_token"]))["scope"] == "mcp:tools"

    async def test_of_another_origin_accept_nothing_of_it(self, http: httpx2.AsyncClient, clock: SetClock) -> None:
        store = MemoryStore(clock)
        async with a_laptop(http, store, clock) as one, a_laptop(http, store, clock) as other:
            client = await one.a_client()
            tokens = await one.tokens(client)
            assert await one.login.jwks() != await other.login.jwks()
            assert (await other.authorize(client)).status_code == 400
            assert is_refused(await other.refresh(client, tokens["refresh_token"]), "invalid_client", 401)
            assert is_refused(await other.refresh("tollbook", tokens["refresh_token"]), "invalid_grant")

    @pytest.mark.parametrize(
        "base", ["http://127.0.0.1:3000/", "http://127.0.0.1:3000/mcp", "127.0.0.1:3000", "http://127.0.0.1?x"]
    )
    def test_have_an_issuer_that_is_an_origin(self, store: Obedient, base: str) -> None:
        with pytest.raises(ValueError, match="no origin"):
            DevLogin(store, base=base, resource=base, scopes=SCOPES, users=USERS)


class TestWhatIsKept:
    async def test_lets_nobody_in_who_reads_it(self, http: httpx2.AsyncClient, tmp_path: Path, clock: SetClock) -> None:
        path = tmp_path / "store.db"
        async with a_laptop(http, SqliteStore(path, clock), clock) as laptop:
            client = await laptop.a_client()
            page = await laptop.page(client)
            code = await laptop.code(client)
            tokens = granted(await laptop.redeem(client, code))
            kept = b"".join(each.read_bytes() for each in tmp_path.iterdir())
        assert client.encode() in kept  # so that it is known what is looked through
        for secret in (code, tokens["refresh_token"], tokens["access_token"], VERIFIER, page.url.params["pending"]):
            assert secret.encode() not in kept
            assert secret.encode().hex().encode() not in kept

    async def test_in_the_log_is_who_signed_in_and_with_what(
        self, laptop: Laptop, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        client = await laptop.a_client(client_name="an \x1b[31meditor\u202e" + "x" * 1000)
        page = await laptop.page(client)
        code = back(await laptop.answer(page, user="Ann")).said["code"]
        tokens = granted(await laptop.redeem(client, code))
        newer = granted(await laptop.refresh(client, tokens["refresh_token"]))
        await laptop.refresh(client, tokens["refresh_token"])
        await laptop.redeem(client, code, code_verifier="w" * 43)
        await laptop.revoke(client, newer["refresh_token"])
        await laptop.answer(await laptop.page(client), deny="yes")

        (line,) = (record for record in caplog.records if record.name.startswith("tollbook.hosting.dev_login"))
        assert (line.getMessage(), vars(line)["user"]) == ("signed in", "Ann")
        assert vars(line)["client"].startswith("an <U+001B>[31meditor<U+202E>xxx")
        assert len(vars(line)["client"]) < 200
        # Not those of the test's own client, nor of the web server's access log, which `tollbook serve` switches off.
        others = ("httpx2", "httpcore2", "uvicorn.access")
        ours = [record for record in caplog.records if not record.name.startswith(others)]
        said = "\n".join(str(vars(record)) + record.getMessage() for record in ours)
        secrets = [code, VERIFIER, page.url.params["pending"], tokens["refresh_token"], tokens["access_token"]]
        for secret in [*secrets, newer["refresh_token"], newer["access_token"], "w" * 43]:
            assert secret not in said


class TestElsewhere:
    @pytest.mark.parametrize("address", ["127.0.0.1", "127.8.9.10", "::1", "localhost"])
    def test_is_not_a_laptop(self, address: str) -> None:
        refuse_elsewhere({"HOME": "/", "AWS_REGION": "eu-west-1"}, address)

    @pytest.mark.parametrize("variable", ["AWS_LAMBDA_FUNCTION_NAME", "AWS_EXECUTION_ENV"])
    def test_is_aws(self, variable: str) -> None:
        with pytest.raises(UsageError, match=f"{variable} says that this is AWS"):
            refuse_elsewhere({variable: "x"}, "127.0.0.1")

    @pytest.mark.parametrize("address", ["::", "0.0.0.0", "192.168.1.2", "10.0.0.1", "example.com", "127.0.0.1.x", ""])  # noqa: S104
    def test_is_every_address_that_others_reach(self, address: str) -> None:
        with pytest.raises(UsageError, match="can be reached from other machines"):
            refuse_elsewhere({}, address)
