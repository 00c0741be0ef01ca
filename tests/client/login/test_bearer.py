"""A login goes with requests to its server and nowhere else, and renews itself."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest

from tests.auth_servers.issuer import Canary
from tests.client.login.making import ACCESS, LIFE_S, REFRESH, login
from tests.client.login.protected import Protected
from tests.client.login.renewing import Renewing
from tests.fakes.keyrings import FolderKeyring
from tests.hosting.serving import PATIENCE_S, SetClock, until
from tollbook.client.login.bearer import Bearer, Fixed, Flow
from tollbook.client.login.login import Login
from tollbook.client.login.vault import Vault
from tollbook.client.trouble import ClientError, LoginNeeded, Refused
from tollbook.core.errors import UsageError

pytestmark = pytest.mark.anyio

FIRST = "access-1"


class User:
    """A user with a vault, at one server.

    Attributes:
        said: all that he was told.
    """

    def __init__(self, server: Protected, renewing: Renewing, clock: SetClock, folder: Path) -> None:
        self.server, self.renewing, self.clock, self._folder = server, renewing, clock, folder
        self.said: list[str] = []
        self.vault = self.another()

    def another(self) -> Vault:
        """The same vault, as another process has it."""
        return Vault(self._folder, "file", self.clock, say=self.said.append)

    def keep(self, **otherwise: Any) -> Login:
        known = self.renewing.login(self.server.url, **otherwise)
        self.another().keep(known)
        return known

    def kept(self) -> Login | None:
        return self.another().find(self.server.url)

    @asynccontextmanager
    async def client(self, flow: Flow | None = None) -> AsyncIterator[httpx2.AsyncClient]:
        auth = Bearer(self.server.url, self.vault, self.clock, flow=flow, say=self.said.append)
        async with httpx2.AsyncClient(auth=auth, timeout=PATIENCE_S) as http:
            yield http

    async def status(self, flow: Flow | None = None, path: str = "") -> int:
        """What a new program gets for a request."""
        async with self.client(flow) as http:
            return (await http.post(self.server.url + path, json={})).status_code

    async def fault(self, flow: Flow | None = None) -> ClientError:
        with pytest.raises(ClientError) as raised:
            await self.status(flow)
        assert not [each for each in (ACCESS, REFRESH, FIRST) if each in str(raised.value)]
        return raised.value


@pytest.fixture
def renewing() -> Iterator[Renewing]:
    with Renewing() as running:
        yield running


@pytest.fixture
def user(protected: Protected, renewing: Renewing, clock: SetClock, tmp_path: Path) -> User:
    protected.good |= {ACCESS, *(f"access-{number}" for number in range(1, 10))}
    return User(protected, renewing, clock, tmp_path / "logins")


class TestWithoutALogin:
    async def test_a_request_goes_out_as_it_is(self, user: User) -> None:
        user.server.good.add(None)
        assert await user.status() == 200
        assert user.server.tokens == [None]

    async def test_a_server_that_wants_one_is_named_and_what_to_do(self, user: User) -> None:
        fault = await user.fault()
        assert isinstance(fault, LoginNeeded)
        assert fault.exit_code == 3
        assert f"Run 'tollbook login {user.server.url}'" in str(fault)


class TestATokenGoesNowhereElse:
    async def test_threat_46_not_to_another_origin(self, user: User, canary: Canary) -> None:
        user.keep()
        async with user.client() as http:
            await http.get(f"{canary.url}/mcp")
            await http.get(canary.url.replace("127.0.0.1", "localhost"))
        assert [request.headers.get("authorization") for request in canary.requests] == [None, None]

    async def test_threat_46_not_after_a_redirect_and_a_refusal_there_is_none_of_the_server(
        self, user: User, clock: SetClock
    ) -> None:
        user.keep()
        async with Protected() as other:
            user.server.redirects["/mcp"] = other.url
            async with user.client(no_flow) as http:
                response = await http.post(user.server.url, follow_redirects=True)
            assert response.status_code == 401
            assert other.tokens == [None]
        assert user.server.tokens == [ACCESS]
        assert not user.renewing.given

    async def test_threat_46_not_over_plain_http_to_another_machine(self, user: User) -> None:
        url = "http://mcp.example/mcp"
        user.another().keep(login(url, token_endpoint=f"{user.renewing.url}/token"))
        sent: list[httpx2.Request] = []

        def refuse(request: httpx2.Request) -> httpx2.Response:
            sent.append(request)
            return httpx2.Response(401)

        auth = Bearer(url, user.vault, user.clock, flow=no_flow)
        async with httpx2.AsyncClient(auth=auth, transport=httpx2.MockTransport(refuse)) as http:
            with pytest.raises(LoginNeeded, match=r"over plain http anyone .* Use its https address\."):
                await http.get(url)
        assert ["authorization" in request.headers for request in sent] == [False]
        assert not user.renewing.visits


async def no_flow(*_: object) -> AsyncGenerator[httpx2.Request, httpx2.Response]:
    raise AssertionError("nobody was asked to log in")
    yield


class TestALoginIsRenewed:
    async def test_when_four_fifths_of_its_life_are_over(self, user: User) -> None:
        user.keep()
        start = user.clock.now
        async with user.client() as http:
            for life, token in ((0.0, ACCESS), (0.799, ACCESS), (0.8, FIRST), (0.801, FIRST)):
                user.clock.now = start + life * LIFE_S
                assert (await http.get(user.server.url)).status_code == 200
                assert user.server.tokens[-1] == token
        kept = user.kept()
        assert kept is not None
        assert (kept.access_token, kept.refresh_token) == (FIRST, "refresh-1")
        assert kept.expires == start + 0.8 * LIFE_S + LIFE_S

    async def test_when_it_is_refused(self, user: User) -> None:
        user.keep()
        user.server.good.discard(ACCESS)
        assert await user.status() == 200
        assert await user.status() == 200
        assert user.server.tokens == [ACCESS, FIRST, FIRST]

    async def test_when_it_is_refused_after_a_redirect_at_the_same_server(self, user: User) -> None:
        user.keep()
        user.server.good.discard(ACCESS)
        user.server.redirects["/mcp"] = "/mcp/"
        async with user.client() as http:
            onward = (await http.post(user.server.url)).next_request
            assert onward is not None
            assert (await http.send(onward)).status_code == 200
        assert user.server.tokens == [ACCESS, ACCESS, FIRST]

    async def test_and_a_login_of_unknown_life_only_then(self, user: User) -> None:
        user.keep(expires=None)
        user.clock.now += 10**9
        assert await user.status() == 200
        assert user.server.tokens == [ACCESS]

    async def test_once_for_a_request_and_not_again_and_again(self, user: User) -> None:
        user.keep()
        user.server.good.clear()
        assert isinstance(await user.fault(), LoginNeeded)
        assert user.server.tokens == [ACCESS, FIRST]

    async def test_once_for_all_requests_that_are_made_at_once(self, user: User) -> None:
        user.keep()
        user.server.good.discard(ACCESS)
        async with user.client() as http:
            answers = await asyncio.gather(*(http.get(user.server.url) for _ in range(10)))
        assert [answer.status_code for answer in answers] == [200] * 10
        assert user.renewing.given == 1

    async def test_by_whoever_was_first_and_the_others_take_it(self, user: User) -> None:
        user.keep()
        async with user.client() as http:
            await http.get(user.server.url)
            user.server.good.discard(ACCESS)
            user.keep(access_token=FIRST)
            assert (await http.get(user.server.url)).status_code == 200
        assert not user.renewing.given

    async def test_though_the_program_is_told_to_stop_meanwhile(self, user: User) -> None:
        user.keep(issued=0.0)
        user.renewing.slow("/token")
        asking = asyncio.create_task(user.status())
        await until(lambda: user.renewing.asked["/token"])
        asking.cancel()
        for _ in range(10):
            await asyncio.sleep(0)
        user.renewing.well()
        with pytest.raises(asyncio.CancelledError):
            await asking
        kept = user.kept()
        assert kept is not None
        assert kept.refresh_token == "refresh-1"  # noqa: S105
        assert user.server.tokens == []

    async def test_for_as_long_as_the_program_runs_where_it_cannot_be_kept(
        self, user: User, keyring: FolderKeyring, tmp_path: Path
    ) -> None:
        vault = Vault(tmp_path / "other", "keyring", user.clock, backend=lambda: keyring)
        vault.keep(user.renewing.login(user.server.url, issued=0.0))
        keyring.behave("well")
        user.renewing.happens = lambda: keyring.behave("locked")
        said: list[str] = []
        async with httpx2.AsyncClient(auth=Bearer(user.server.url, vault, user.clock, say=said.append)) as http:
            for _ in range(2):
                assert (await http.get(user.server.url)).status_code == 200
        assert user.server.tokens == [FIRST, FIRST]
        assert [text.partition(". ")[2] for text in said] == [
            f"The login at {user.server.url} is not kept. It holds as long as this program runs."
        ]


class TestALoginThatCannotBeRenewedNow:
    @pytest.mark.parametrize("trouble", ["dead", "503"])
    async def test_is_used_as_long_as_it_holds_and_that_is_said_once(self, user: User, trouble: str) -> None:
        known = user.keep()
        start = user.clock.now
        user.clock.now += 0.9 * LIFE_S
        if trouble == "dead":
            user.renewing.dead()
        else:
            user.renewing.refuse("", 503)
        async with user.client() as http:
            for _ in range(3):
                assert (await http.get(user.server.url)).status_code == 200
            (said,) = user.said
            assert said.endswith("It still holds for 100 s.")
            assert user.kept() == known

            user.renewing.well()
            user.renewing.status = 200
            user.clock.now = start + 0.9 * LIFE_S + 30
            assert (await http.get(user.server.url)).status_code == 200
        assert user.server.tokens == [ACCESS, ACCESS, ACCESS, FIRST]

    async def test_is_tried_again_at_once_when_it_holds_no_more(self, user: User) -> None:
        user.keep()
        user.clock.now += 0.99 * LIFE_S
        user.renewing.refuse("", 503)
        async with user.client() as http:
            await http.get(user.server.url)
            user.renewing.status = 200
            user.clock.now += 0.01 * LIFE_S
            await http.get(user.server.url)
        assert user.server.tokens == [ACCESS, FIRST]

    @pytest.mark.parametrize("is_expired", [True, False])
    async def test_is_kept_even_if_it_is_of_no_use(self, user: User, is_expired: bool) -> None:
        known = user.keep()
        user.renewing.fail(503)
        if is_expired:
            user.clock.now += LIFE_S
        else:
            user.server.good.discard(ACCESS)
        fault = await user.fault()
        assert isinstance(fault, Refused)
        assert "It is kept; try again" in str(fault)
        assert user.kept() == known
        assert user.server.tokens == [ACCESS] * (not is_expired)

        user.renewing.well()
        assert await user.status() == 200

    async def test_waits_for_another_process_and_not_for_ever(self, user: User, tmp_path: Path) -> None:
        user.keep()
        user.clock.now += 0.9 * LIFE_S
        user.vault = Vault(tmp_path / "logins", "file", user.clock, lock_patience_s=0.1)
        async with user.another().lock(user.server.url):
            assert await user.status() == 200
            assert user.said[0].startswith("Another tollbook has been busy with the login")
            user.clock.now += LIFE_S
            assert "End it, and try again." in str(await user.fault())
        assert user.server.tokens == [ACCESS]


class TestALoginThatHasEnded:
    async def test_is_asked_for_again_and_stays_where_it_is(self, user: User) -> None:
        known = user.keep()
        user.clock.now += 0.9 * LIFE_S
        user.renewing.refuse("invalid_grant")
        async with user.client() as http:
            for _ in range(2):
                assert (await http.get(user.server.url)).status_code == 200
            assert user.renewing.asked["/token"] == 1

            user.server.good.clear()
            with pytest.raises(LoginNeeded, match=r"answered 'invalid_grant'\. Run 'tollbook login"):
                await http.get(user.server.url)
        assert user.kept() == known
        assert not user.said

    async def test_is_not_the_one_that_another_process_has_made_meanwhile(self, user: User) -> None:
        user.keep()
        user.server.good.discard(ACCESS)
        user.renewing.refuse("invalid_grant")
        user.renewing.happens = lambda: user.another().keep(user.renewing.login(user.server.url, access_token=FIRST))
        assert await user.status() == 200
        kept = user.kept()
        assert kept is not None
        assert kept.access_token == FIRST

    async def test_is_not_used_after_another_process_has_logged_out(self, user: User) -> None:
        user.server.good.add(None)
        known = user.keep()
        async with user.client() as http:
            await http.get(user.server.url)
            user.another().forget(known)
            await http.get(user.server.url)
        assert user.server.tokens == [ACCESS, None]


class LogsIn:
    """A flow that asks the authorization server for something and then has a new login."""

    def __init__(self, user: User, *tokens: str) -> None:
        self._user, self._tokens = user, list(tokens)
        self.told: list[tuple[str, int, str | None]] = []

    async def __call__(
        self, request: httpx2.Request, response: httpx2.Response, known: Login | None
    ) -> AsyncGenerator[httpx2.Request, httpx2.Response]:
        await response.aread()
        self.told.append((str(request.url), response.status_code, known.access_token if known else None))
        answer = yield httpx2.Request("GET", f"{self._user.renewing.url}/.well-known/openid-configuration")
        await answer.aread()
        assert answer.json()["issuer"] == self._user.renewing.url
        answer = yield httpx2.Request("GET", f"{self._user.renewing.url}/nothing")
        assert answer.status_code == 404
        if self._tokens:
            self._user.keep(access_token=self._tokens.pop(0))


class TestAFlow:
    async def test_logs_in_and_the_request_goes_through(self, user: User) -> None:
        flow = LogsIn(user, "access-7")
        assert await user.status(flow) == 200
        assert flow.told == [(user.server.url, 401, None)]
        assert user.server.tokens == [None, "access-7"]
        assert [request.headers.get("authorization") for request in user.renewing.requests] == [None, None]

    async def test_logs_in_where_renewing_does_not_help(self, user: User) -> None:
        user.keep()
        user.server.good -= {ACCESS, FIRST}
        flow = LogsIn(user, "access-7")
        assert await user.status(flow) == 200
        assert flow.told == [(user.server.url, 401, FIRST)]

        user.server.good.discard("access-7")
        user.renewing.refuse("invalid_grant")
        flow = LogsIn(user, "access-8")
        assert await user.status(flow) == 200
        assert flow.told == [(user.server.url, 401, "access-7")]

    @pytest.mark.parametrize("header", ["www-authenticate", "x-amzn-remapped-www-authenticate"])
    async def test_asks_for_more_where_a_login_may_do_too_little(self, user: User, header: str) -> None:
        user.keep()
        user.server.weak.add(ACCESS)
        user.server.challenge_header = header
        flow = LogsIn(user, "access-7")
        assert await user.status(flow) == 200
        assert flow.told == [(user.server.url, 403, ACCESS)]
        assert not user.renewing.given

    async def test_logs_in_first_and_asks_for_more_then(self, user: User) -> None:
        user.server.weak.add("access-7")
        flow = LogsIn(user, "access-7", "access-8")
        assert await user.status(flow) == 200
        assert [status for _, status, _ in flow.told] == [401, 403]

    async def test_is_not_begun_for_what_no_login_changes(self, user: User) -> None:
        user.keep()
        user.server.weak.add(ACCESS)
        user.server.challenge = "Bearer"
        assert await user.status(no_flow) == 403

    @pytest.mark.parametrize("status", [401, 403])
    async def test_is_not_begun_again_and_again(self, user: User, status: int) -> None:
        if status == 401:
            user.server.good.clear()
        else:
            user.server.weak |= {ACCESS, "access-7", "access-8", "access-9"}
            user.keep()
        flow = LogsIn(user, "access-7", "access-8", "access-9")
        assert isinstance(await user.fault(flow), LoginNeeded)
        assert len(flow.told) == 1

    async def test_that_makes_no_login_leaves_the_refusal(self, user: User) -> None:
        user.keep()
        user.renewing.refuse("invalid_grant")
        user.server.good.clear()
        assert "answered 'invalid_grant'" in str(await user.fault(LogsIn(user)))
        assert user.server.tokens == [ACCESS]

    async def test_that_fails_says_why(self, user: User) -> None:
        async def fails(*_: object) -> AsyncGenerator[httpx2.Request, httpx2.Response]:
            yield httpx2.Request("GET", f"{user.renewing.url}/nothing")
            raise ClientError("The user said no; try again.")

        assert str(await user.fault(fails)) == "The user said no; try again."

    async def test_is_begun_once_for_all_that_wait_for_it(self, user: User) -> None:
        flow = LogsIn(user, "access-7", "access-8")
        async with user.client(flow) as http:
            answers = await asyncio.gather(*(http.get(user.server.url) for _ in range(5)))
        assert [answer.status_code for answer in answers] == [200] * 5
        assert len(flow.told) == 1

    async def test_does_not_wait_for_the_end_of_a_refusal(self, user: User) -> None:
        user.server.is_endless = True
        assert await user.status(LogsIn(user, "access-7")) == 200


class TestATokenThatWasGiven:
    async def test_goes_to_its_server_and_nowhere_else(self, user: User, canary: Canary) -> None:
        async with Protected() as other, httpx2.AsyncClient(auth=Fixed(user.server.url, ACCESS)) as http:
            assert (await http.get(user.server.url)).status_code == 200
            await http.get(canary.url)
            user.server.redirects["/mcp"] = other.url
            assert (await http.get(user.server.url, follow_redirects=True)).status_code == 401
            assert other.tokens == [None]
        assert user.server.tokens == [ACCESS, ACCESS]
        assert "authorization" not in canary.requests[0].headers

    async def test_that_is_refused_is_neither_renewed_nor_shown(self, user: User) -> None:
        user.server.good.clear()
        async with httpx2.AsyncClient(auth=Fixed(user.server.url, ACCESS)) as http:
            with pytest.raises(LoginNeeded, match="refuses the token that was given: it has expired") as refused:
                await http.get(user.server.url)
        assert ACCESS not in str(refused.value)

    @pytest.mark.parametrize(
        ("url", "token", "what"),
        [
            ("http://mcp.example/mcp", ACCESS, "where anyone on the way could read it. Use an https"),
            ("https://mcp.example/mcp", f"{ACCESS}\r\nX-More: 1", "that no token has"),
            ("https://mcp.example/mcp", f"{ACCESS}\n", "that no token has"),
            ("https://mcp.example/mcp", f"{ACCESS}é", "that no token has"),
            ("https://mcp.example/mcp", "", "that no token has"),
        ],
    )
    async def test_is_refused_where_it_cannot_go(self, url: str, token: str, what: str) -> None:
        with pytest.raises(UsageError, match=what) as refused:
            Fixed(url, token)
        assert ACCESS not in str(refused.value)


async def test_a_login_with_another_client_is_taken_up_by_a_program_that_runs(user: User) -> None:
    async with user.client() as http:
        user.server.good.add(None)
        await http.get(user.server.url)
        user.another().keep(msgspec.structs.replace(user.renewing.login(user.server.url), client_id="another"))
        await http.get(user.server.url)
    assert user.server.tokens == [None, ACCESS]
