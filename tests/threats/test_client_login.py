"""Threats 30 to 40: what servers, authorization servers and other users of the machine may try while someone logs in.

Almost all of it is seen where the user sees it: `tollbook login` is a process, and the test is the browser.
"""

import asyncio
import base64
import hashlib
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from stat import S_IMODE
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx2
import msgspec
import pytest

from tests.auth_servers.issuer import SCOPE, Canary
from tests.auth_servers.keys import MISSING, changed
from tests.auth_servers.others import AuthServer
from tests.client.login.people import User, fetched, nobody
from tests.client.login.suspect import CODE, Suspect
from tests.client.shop import Program
from tests.fakes.processes import free_port
from tests.hosting.serving import SetClock
from tests.hosting.wire import instances
from tests.threats.terminal import kept_by, logged_in, logging_in
from tollbook.client.login.flow import Flow, log_in
from tollbook.client.login.guard import Blocked, Guard, realm_of
from tollbook.client.login.vault import Vault
from tollbook.client.login.ways import Ways

pytestmark = pytest.mark.anyio

OF_THE_SERVER: Final = "/.well-known/oauth-protected-resource/mcp"
OF_THE_ISSUER: Final = ("/.well-known/oauth-authorization-server", "/.well-known/openid-configuration")
IN_A_CLOUD: Final = "https://169.254.169.254/latest/meta-data/"
ELSEWHERE: Final = "another authorization server"
_EIGHT: Final = 8

Mischief = Callable[[Suspect], object]


@pytest.fixture
def tollbook(tmp_path: Path) -> Program:
    return Program(tmp_path)


@pytest.fixture
def vault(tmp_path: Path, clock: SetClock) -> Vault:
    return Vault(tmp_path / "vault", "file", clock)


@pytest.fixture
def suspect() -> Iterator[Suspect]:
    with Suspect() as running:
        yield running


def about(**members: Any) -> Mischief:
    """An authorization server whose metadata says otherwise; `{url}` stands for its own."""
    return lambda suspect: _changes(suspect.about, members, suspect.url)


def protected(**members: Any) -> Mischief:
    """A server whose metadata says otherwise."""
    return lambda suspect: _changes(suspect.protected, members, suspect.url)


def _changes(document: dict[str, Any], members: Mapping[str, Any], url: str) -> None:
    said = {name: each.format(url=url) if isinstance(each, str) else each for name, each in members.items()}
    otherwise = changed(document, said)
    document.clear()
    document.update(otherwise)


async def leads_nowhere(tollbook: Program, suspect: Suspect, why: str) -> bool:
    """Whether a login ends, and says why, before there is a page, a client or a token."""
    login = await logged_in(tollbook, suspect.resource)
    assert (login.page, login.ran.code, login.ran.out) == ("", 1, "")
    assert why in login.ran.err
    assert suspect.asked["/register"] == suspect.asked["/token"] == 0
    assert kept_by(tollbook) == []
    return True


class TestTheWayBack:
    async def test_threat_30_only_an_answer_with_the_state_of_this_login_is_taken_and_only_once(
        self, tollbook: Program, suspect: Suspect
    ) -> None:
        async with logging_in(tollbook, suspect.resource) as login:
            state, here = login.asked["state"], login.asked["redirect_uri"]
            for forged in (
                "code=forged",
                "code=forged&state=",
                f"code=forged&state={state}x",
                f"code=forged&state={state[:-1]}",
                f"code=forged&state={state.swapcase()}",
                f"code=forged&state={state}&state={state}",
                f"code=forged&code=forged&state={state}",
                "error=access_denied&state=another",
            ):
                assert (await fetched(f"{here}?{forged}")).status_code == 400, forged
            whole = f"{here}?code=forged&state={state}"
            for method in ("POST", "HEAD", "OPTIONS"):
                assert (await fetched(whole, method)).status_code == 405
            for host in ("evil.example", f"evil.example:{urlsplit(here).port}", "localhost"):
                assert (await fetched(whole, host=host)).status_code == 400
            assert suspect.asked["/token"] == 0
            back = await login.comes_back(suspect.signs_in())
        assert login.ran.code == 0
        assert (suspect.asked["/token"], suspect.form("/token")["code"]) == (1, CODE)
        with pytest.raises(httpx2.ConnectError):  # nobody listens there any more
            await fetched(back)

    async def test_threat_30_the_state_of_one_login_is_of_no_use_to_the_next(
        self, tollbook: Program, suspect: Suspect
    ) -> None:
        first = await logged_in(tollbook, suspect.resource, suspect.signs_in())
        async with logging_in(tollbook, suspect.resource) as second:
            replayed = f"code=forged&state={first.asked['state']}"
            assert (await fetched(f"{second.asked['redirect_uri']}?{replayed}")).status_code == 400
            await second.comes_back(suspect.signs_in())
        assert second.ran.code == 0
        assert "forged" not in str(suspect.requests)

    @pytest.mark.parametrize(
        ("iss", "why"),
        [("https://other.example", ELSEWHERE), ("{url}/", ELSEWHERE), ("", ELSEWHERE), (MISSING, "promised to say so")],
    )
    async def test_threat_31_a_code_is_not_redeemed_that_comes_from_elsewhere_or_does_not_say_whence(
        self, tollbook: Program, suspect: Suspect, iss: Any, why: str
    ) -> None:
        iss = iss.format(url=suspect.url) if isinstance(iss, str) else iss
        login = await logged_in(tollbook, suspect.resource, suspect.signs_in(iss=iss))
        assert login.ran.code == 1
        assert why in login.ran.err
        assert suspect.asked["/token"] == 0
        assert kept_by(tollbook) == []

    async def test_threat_31_nor_is_a_refusal_believed(self, tollbook: Program, suspect: Suspect) -> None:
        refusal = {"code": MISSING, "error": "canary-word", "error_description": "Go to https://evil.example."}
        login = await logged_in(tollbook, suspect.resource, suspect.signs_in(iss="https://other.example", **refusal))
        assert login.ran.code == 1
        assert "canary-word" not in login.ran.err
        assert "evil.example" not in login.ran.err

    async def test_threat_36_the_user_comes_back_to_loopback_whatever_a_registration_says(
        self, tollbook: Program, suspect: Suspect
    ) -> None:
        suspect.documents["/register"]["redirect_uris"] = ["https://evil.example/back"]
        login = await logged_in(tollbook, suspect.resource, suspect.signs_in())
        back = urlsplit(login.asked["redirect_uri"])
        assert (login.ran.code, back.scheme, back.hostname) == (0, "http", "127.0.0.1")
        assert suspect.form("/token")["redirect_uri"] == login.asked["redirect_uri"]

    async def test_threat_36_an_answer_in_the_fragment_is_none(self, tollbook: Program, suspect: Suspect) -> None:
        async with logging_in(tollbook, suspect.resource) as login:
            asked = login.asked
            # RFC 6749 §4.2.2 had tokens there. A browser keeps it to itself.
            token = f"access_token=forged&token_type=bearer&state={asked['state']}"
            assert (await fetched(f"{asked['redirect_uri']}#{token}")).status_code == 400
            assert asked["response_type"] == "code"
            await login.comes_back(suspect.signs_in())
        assert login.ran.code == 0

    @pytest.mark.parametrize("status", [302, 303, 307, 308])
    async def test_threat_36_a_code_is_not_taken_elsewhere_by_a_redirect(
        self, tollbook: Program, suspect: Suspect, canary: Canary, status: int
    ) -> None:
        suspect.redirect(f"{canary.url}/token", status, path="/token")
        login = await logged_in(tollbook, suspect.resource, suspect.signs_in())
        assert login.ran.code == 3
        assert (suspect.asked["/token"], canary.visits) == (1, 0)
        assert kept_by(tollbook) == []


class TestAtRealAuthorizationServers:
    """nanoidp and oidc-provider, for a server that names them; with a client that is registered there."""

    @pytest.fixture
    def resource(self, suspect: Suspect, auth_server: AuthServer) -> str:
        suspect.protected["authorization_servers"] = [auth_server.issuer]
        return suspect.resource

    @pytest.fixture
    def client(self, auth_server: AuthServer) -> Sequence[str]:
        # Both compare the redirect of a native client without its port (RFC 8252 §7.3).
        return ("--client-id", auth_server.client, "--redirect-uri", f"http://127.0.0.1:{free_port()}/callback")

    async def test_threat_31_a_code_that_another_passes_on_is_not_redeemed(
        self, tollbook: Program, resource: str, client: Sequence[str], auth_server: AuthServer
    ) -> None:
        async def passed_on(url: str) -> str:
            return with_query(await auth_server.sign_in(url), iss="https://other.example")

        login = await logged_in(tollbook, resource, passed_on, *client)
        assert login.ran.code == 1
        assert ELSEWHERE in login.ran.err
        assert kept_by(tollbook) == []

    async def test_threat_37_a_code_for_which_another_asked_is_worth_nothing(
        self, tollbook: Program, resource: str, client: Sequence[str], auth_server: AuthServer
    ) -> None:
        digest = hashlib.sha256(b"a verifier that is not the user's, and long enough").digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()

        async def injected(url: str) -> str:
            return await auth_server.sign_in(with_query(url, code_challenge=challenge))

        login = await logged_in(tollbook, resource, injected, *client)
        assert login.ran.code == 3
        assert "gives no token (invalid_grant)" in login.ran.err
        assert kept_by(tollbook) == []

    async def test_threat_37_a_code_is_good_for_one_login(
        self, tollbook: Program, resource: str, client: Sequence[str], auth_server: AuthServer
    ) -> None:
        first: list[str] = []

        async def remembered(url: str) -> str:
            first.append(await auth_server.sign_in(url))
            return first[0]

        async def replayed(url: str) -> str:
            return with_query(await auth_server.sign_in(url), code=query(first[0])["code"])

        assert (await logged_in(tollbook, resource, remembered, *client)).ran.code == 0
        (file,) = kept_by(tollbook)
        kept = file.read_bytes()
        second = await logged_in(tollbook, resource, replayed, *client)
        assert second.ran.code == 3
        assert "gives no token (invalid_grant)" in second.ran.err
        assert file.read_bytes() == kept

    async def test_threat_38_eight_programs_renew_a_login_at_once_and_none_loses_it(
        self, tollbook: Program, client: Sequence[str], auth_server: AuthServer, tmp_path: Path
    ) -> None:
        words = ["--session-store", f"sqlite:{tmp_path / 'store.db'}"]
        environment = {"OAUTH_REQUIRED_SCOPE": SCOPE, "OAUTH_ISSUER": auth_server.issuer, "SEES_ALL": "anyone"}
        with instances(tmp_path, 1, words, {"AUTH_METHOD": "oauth", **environment}) as (running,):
            login = await logged_in(tollbook, running.url, auth_server.sign_in, *client)
            assert login.ran.code == 0, login.ran.err
            for _ in range(2):  # an authorization server that took the first for theft has ended it by the second
                before = aged(tollbook, running.url)
                ran = await asyncio.gather(*(tollbook("call", running.url, "whoami") for _ in range(_EIGHT)))
                assert [(each.code, each.err) for each in ran] == [(0, "")] * _EIGHT
                assert token_of(tollbook, running.url) != before


class TestWhatCannotBeTrusted:
    @pytest.mark.parametrize("issuer", ["https://other.example", "{url}/x", "http://127.0.0.1.evil.example"])
    async def test_threat_32_metadata_of_another_issuer_than_the_server_names_is_refused(
        self, tollbook: Program, suspect: Suspect, issuer: str
    ) -> None:
        about(issuer=issuer)(suspect)
        assert await leads_nowhere(tollbook, suspect, "describes another issuer")

    @pytest.mark.parametrize("methods", [MISSING, [], ["plain"], ["s256"]])
    async def test_threat_33_an_authorization_server_without_s256_is_refused(
        self, tollbook: Program, suspect: Suspect, methods: Any
    ) -> None:
        about(code_challenge_methods_supported=methods)(suspect)
        assert await leads_nowhere(tollbook, suspect, "does not say that it protects codes (PKCE with S256)")

    @pytest.mark.parametrize("named", ["https://other.example/mcp", "{url}/mcp2", "{url}/mcp/admin"])
    async def test_threat_34_a_server_that_describes_itself_as_another_is_refused(
        self, tollbook: Program, suspect: Suspect, named: str
    ) -> None:
        protected(resource=named)(suspect)
        assert await leads_nowhere(tollbook, suspect, "describes itself as another server")

    @pytest.mark.parametrize(
        "mischief",
        [
            about(authorization_endpoint="{url}/authorize#fragment"),
            about(token_endpoint="{url}/token#fragment"),  # noqa: S106
            protected(authorization_servers=["http://user:canary-word@127.0.0.1:9/"]),
        ],
        ids=["authorize", "token", "issuer"],
    )
    async def test_threat_36_no_endpoint_has_a_fragment_or_a_user(
        self, tollbook: Program, suspect: Suspect, mischief: Mischief
    ) -> None:
        mischief(suspect)
        assert await leads_nowhere(tollbook, suspect, "a name, a password or a fragment in the address")

    @pytest.mark.parametrize("place", ["javascript:alert(1)", "file:///etc/passwd", "data:text/html,x", "vscode://x/y"])
    async def test_threat_36_nothing_but_a_web_page_is_opened(
        self, tollbook: Program, suspect: Suspect, place: str
    ) -> None:
        for path in OF_THE_ISSUER:
            suspect.documents[path]["authorization_endpoint"] = place
        assert await leads_nowhere(tollbook, suspect, "tollbook: ")

    async def test_threat_36_a_page_that_no_browser_takes_is_not_opened(
        self, tollbook: Program, suspect: Suspect
    ) -> None:
        suspect.documents["/register"]["client_id"] = "x" * 20_000
        login = await logged_in(tollbook, suspect.resource)
        assert (login.page, login.ran.code) == ("", 1)
        assert "more than browsers take" in login.ran.err
        assert len(login.ran.err) < 1000

    @pytest.mark.parametrize(
        ("mischief", "where"),
        [
            (protected(authorization_servers=["http://login.example"]), "http://login.example"),
            (about(authorization_endpoint="http://login.example/authorize"), "http://login.example/authorize"),
            (about(token_endpoint="http://login.example/token"), "http://login.example/token"),  # noqa: S106
            (about(registration_endpoint="http://login.example/clients"), "http://login.example/clients"),
            (about(token_endpoint="http://127.0.0.1.nip.example/"), "http://127.0.0.1.nip.example/"),  # noqa: S106
        ],
        ids=["issuer", "authorize", "token", "register", "looks like loopback"],
    )
    async def test_threat_40_an_authorization_server_without_tls_is_refused_unless_it_is_on_this_machine(
        self, tollbook: Program, suspect: Suspect, mischief: Mischief, where: str
    ) -> None:
        mischief(suspect)
        assert await leads_nowhere(tollbook, suspect, f"The login leads to {where}")

    async def test_threat_40_so_is_a_server(self, tollbook: Program) -> None:
        login = await logged_in(tollbook, "http://mcp.example/mcp")
        assert (login.page, login.ran.code) == ("", 1)
        assert "http://mcp.example/mcp has no TLS" in login.ran.err


class TestWhereALoginMayLead:
    @pytest.mark.parametrize(
        "mischief",
        [
            protected(authorization_servers=[IN_A_CLOUD]),
            protected(authorization_servers=["https://[fd00:ec2::254]/"]),
            protected(authorization_servers=["https://[::ffff:169.254.169.254]/"]),
            protected(authorization_servers=["https://2852039166/"]),
            about(authorization_endpoint=IN_A_CLOUD),
            about(token_endpoint=IN_A_CLOUD),
            about(registration_endpoint=IN_A_CLOUD),
        ],
        ids=["issuer", "issuer v6", "issuer mapped", "issuer as a number", "authorize", "token", "register"],
    )
    async def test_threat_35_nobody_asks_a_cloud_for_its_keys(
        self, tollbook: Program, suspect: Suspect, mischief: Mischief
    ) -> None:
        mischief(suspect)
        assert await leads_nowhere(tollbook, suspect, "do not trust this server")

    @pytest.mark.parametrize("path", [OF_THE_SERVER, *OF_THE_ISSUER])
    async def test_threat_35_a_redirect_takes_nobody_who_looks_for_metadata_elsewhere(
        self, tollbook: Program, suspect: Suspect, canary: Canary, path: str
    ) -> None:
        suspect.documents[OF_THE_ISSUER[1]] = suspect.about
        suspect.redirect(f"{canary.url}{path}", 307, path=path)
        login = await logged_in(tollbook, suspect.resource, suspect.signs_in())
        assert login.ran.code == 0  # what is not there is looked for in the next place
        assert canary.visits == 0

    @pytest.mark.parametrize(
        "address", ["10.0.0.1", "192.168.1.1", "100.64.0.1", "fd00::1", "127.0.0.1", "::1", "169.254.169.254"]
    )
    async def test_threat_35_a_server_of_the_internet_leads_nobody_into_a_network_of_his_own(
        self, vault: Vault, clock: SetClock, canary: Canary, address: str
    ) -> None:
        there = f"https://login.example:{urlsplit(canary.url).port}/metadata"
        names = Names({"mcp.example": ["8.8.8.8"], "login.example": [address]})
        with pytest.raises(Blocked, match="do not trust this server"):
            await refused("https://mcp.example/mcp", there, vault, clock, names)
        assert names.asked == ["mcp.example", "login.example"]
        assert canary.visits == 0

    async def test_threat_35_nor_by_its_own_name_that_leads_there_by_the_second_look(
        self, vault: Vault, clock: SetClock, canary: Canary
    ) -> None:
        resource = f"https://mcp.example:{urlsplit(canary.url).port}/mcp"
        names = Names({"mcp.example": ["8.8.8.8", "127.0.0.1"]})
        with pytest.raises(Blocked, match="do not trust this server"):
            await refused(resource, resource, vault, clock, names)
        assert canary.visits == 0

    async def test_threat_35_nor_by_its_own_name_that_led_there_at_the_first_look(self) -> None:
        names = Names({"mcp.example": ["10.0.0.1", "8.8.8.8"], "login.example": ["10.0.0.2"]})
        server = "https://mcp.example/mcp"
        async with Guard(await realm_of(server, names), server=server, resolve=names) as guard:
            await guard.check("https://login.example/")
            await guard.check(server)
            with pytest.raises(Blocked, match="do not trust this server"):
                await guard.check("https://login.example/")

    async def test_threat_35_a_name_that_leads_elsewhere_by_the_time_of_the_code_is_not_told_it(
        self, suspect: Suspect, vault: Vault, clock: SetClock
    ) -> None:
        names = Names({"localhost": ["127.0.0.1"]})
        sign_in = suspect.signs_in()

        async def rebound(url: str) -> str:
            names.leading["localhost"] = ["10.0.0.1"]
            return await sign_in(url)

        about(token_endpoint=f"{suspect.url.replace('127.0.0.1', 'localhost')}/token")(suspect)
        with pytest.raises(Blocked, match="is not on this machine"):
            await log_in(suspect.resource, Ways(), vault, User(rebound), clock, resolve=names)
        assert suspect.asked["/token"] == 0


class TestWhatOthersCouldReach:
    async def test_threat_39_what_others_could_read_is_closed_to_them_and_that_is_said(
        self, tollbook: Program, suspect: Suspect
    ) -> None:
        await logged_in(tollbook, suspect.resource, suspect.signs_in())
        (file,) = kept_by(tollbook)
        for path, closed, opened in ((file, 0o600, 0o644), (file, 0o600, 0o640), (file.parent, 0o700, 0o755)):
            assert S_IMODE(path.stat().st_mode) == closed
            path.chmod(opened)
            ran = await tollbook("status", suspect.resource)
            assert ran.code == 0
            assert f"Other users of this machine could look into '{path}'. It is closed to them now" in ran.err
            assert S_IMODE(path.stat().st_mode) == closed

    @pytest.mark.parametrize("ending", [".login", ".json"])
    @pytest.mark.parametrize("how", ["others could write", "a link", "a pipe"])
    async def test_threat_39_what_others_could_have_changed_is_not_believed(
        self, tollbook: Program, suspect: Suspect, ending: str, how: str
    ) -> None:
        await logged_in(tollbook, suspect.resource, suspect.signs_in())
        (secrets,) = kept_by(tollbook)
        file = secrets.with_suffix(ending)
        if how == "others could write":
            file.chmod(0o666)
        elif how == "a link":
            file.rename(tollbook.folder / "elsewhere")
            file.symlink_to(tollbook.folder / "elsewhere")
        else:
            file.unlink()
            os.mkfifo(file, 0o600)
        before = len(suspect.requests)
        ran = await tollbook("call", suspect.resource, "x")
        assert (ran.code, ran.out) == (1, "")
        assert str(file) in ran.err
        assert len(suspect.requests) == before


class Names:
    """Where names lead: at each look to the next of their addresses, and to the last of them for good.

    Attributes:
        asked: those that were looked up.
    """

    def __init__(self, leading: dict[str, list[str]]) -> None:
        self.leading, self.asked = leading, list[str]()

    async def __call__(self, name: str, port: int) -> Sequence[str]:
        self.asked.append(name)
        addresses = self.leading.get(name, [name])
        return [addresses.pop(0) if len(addresses) > 1 else addresses[0]]


async def refused(resource: str, metadata: str, vault: Vault, clock: SetClock, names: Names) -> None:
    """Logs in after a server has said, with a refusal, where its metadata is."""
    header = {"www-authenticate": f'Bearer resource_metadata="{metadata}"'}
    response = httpx2.Response(401, headers=header, request=httpx2.Request("POST", resource))
    flow = Flow(resource, Ways(), vault, User(nobody), clock, resolve=names)
    async for _ in flow(response.request, response, None):
        raise AssertionError("A login asks nobody by way of the connection.")


def query(url: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(url).query))


def with_query(url: str, **members: str) -> str:
    """`url` with parameters replaced or added."""
    return urlsplit(url)._replace(query=urlencode({**query(url), **members})).geturl()


def vault_of(tollbook: Program) -> Vault:
    return Vault(tollbook.folder / "data" / "tollbook" / "logins", "file", time.time)


def token_of(tollbook: Program, url: str) -> str:
    login = vault_of(tollbook).find(url)
    assert login is not None
    return login.access_token


def aged(tollbook: Program, url: str) -> str:
    """The access token of a login, most of whose life is over from now on."""
    vault, now = vault_of(tollbook), time.time()
    login = vault.find(url)
    assert login is not None
    vault.keep(msgspec.structs.replace(login, issued=now - 900, expires=now + 100))
    return login.access_token
