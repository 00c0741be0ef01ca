"""From a refusal to a login, and out again; threats 31 to 37 and 40."""

import base64
import hashlib
import logging
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import httpx2
import msgspec
import pytest

from tests.auth_servers.issuer import PASSWORD, SCOPE, USER, Canary
from tests.auth_servers.keys import MISSING
from tests.auth_servers.loopback import Reply
from tests.auth_servers.others import AuthServer
from tests.client.login.making import SECRET
from tests.client.login.making import login as made_up
from tests.client.login.people import Copyist, User, chooses, nobody, presses
from tests.client.login.suspect import CODE, REGISTERED, Suspect
from tests.hosting.conftest import http
from tests.hosting.serving import SetClock, messages, modern, request
from tests.hosting.signing_in import Laptop, laptop, store
from tests.hosting.wire import instances
from tollbook.client.login.bearer import Bearer
from tollbook.client.login.browser import known_redirects
from tollbook.client.login.flow import Flow, log_in
from tollbook.client.login.login import Login
from tollbook.client.login.logout import log_out
from tollbook.client.login.refresh import refreshed
from tollbook.client.login.vault import Vault
from tollbook.client.login.ways import Ways
from tollbook.client.trouble import ClientError, LoginNeeded
from tollbook.core.errors import UsageError

__all__ = ["http", "laptop", "store"]

pytestmark = pytest.mark.anyio

PATIENCE_S: Final = 20.0
SCOPES: Final = ("mcp:tools", "spend:all")
ODD: Final = "s&c"
OURS: Final = ("tollbook", "mcp", "asyncio")
"""Loggers; those of the HTTP library tell what the tests' browser does, too."""


@pytest.fixture
def vault(tmp_path: Path, clock: SetClock) -> Vault:
    return Vault(tmp_path / "vault", "file", clock)


@pytest.fixture
def suspect() -> Iterator[Suspect]:
    with Suspect() as running:
        yield running


def ways(**given: Any) -> Ways:
    return Ways(**{"patience_s": PATIENCE_S, **given})


class TestTheDevelopmentLogin:
    async def test_a_user_logs_in_and_is_kept(self, laptop: Laptop, vault: Vault, clock: SetClock) -> None:
        user = User(chooses(laptop, "Ann"))
        login = await log_in(laptop.url, ways(), vault, user, clock)
        assert (login.resource, login.issuer, login.scopes) == (laptop.resource, laptop.origin, SCOPES)
        assert (login.subject, login.grant, login.client_secret) == ("ann@example.com", "authorization_code", None)
        assert (login.issued, login.indicator) == (clock.now, laptop.resource)
        assert login.expires is not None
        assert clock.now < login.expires <= clock.now + 3600
        assert vault.find(laptop.url) == login
        assert user.opened[0] in user.told[0]
        assert "You can close this window" in (await user.page()).text

    async def test_a_request_that_is_refused_is_sent_once_more_and_not_twice(
        self, laptop: Laptop, vault: Vault, clock: SetClock
    ) -> None:
        user = User(chooses(laptop, "Bob"))
        seen: list[int] = []
        bearer = Bearer(laptop.url, vault, clock, flow=Flow(laptop.url, ways(), vault, user, clock))
        assert await greeted(laptop.url, bearer, seen) == "Hello, you!"
        assert seen == [401, 200]
        assert await greeted(laptop.url, bearer, seen) == "Hello, you!"
        assert await greeted(laptop.url, Bearer(laptop.url, vault, clock), seen) == "Hello, you!"
        assert seen == [401, 200, 200, 200]
        assert [caller.subject for caller in laptop.callers] == ["Bob"] * 3
        assert len(user.opened) == 1

    async def test_a_user_without_a_browser_copies_the_address(
        self, laptop: Laptop, vault: Vault, clock: SetClock
    ) -> None:
        user = Copyist(chooses(laptop, "Ann"))
        login = await log_in(laptop.url, ways(paste=True), vault, user, clock)
        assert login.subject == "ann@example.com"
        assert user.opened == []
        assert len(user.asked) == 1

    async def test_a_browser_that_does_not_open_is_said_to(self, laptop: Laptop, vault: Vault, clock: SetClock) -> None:
        user = User(nobody, has_browser=False)
        with pytest.raises(LoginNeeded, match="Nobody came back"):
            await log_in(laptop.url, ways(patience_s=0.01), vault, user, clock)
        assert user.told[1] == "No browser could be opened here. Open the address in one on this machine."

    async def test_no_browser_is_opened_where_none_may_be(self, laptop: Laptop, vault: Vault, clock: SetClock) -> None:
        user = User(nobody)
        with pytest.raises(LoginNeeded):
            await log_in(laptop.url, ways(patience_s=0.01, browser=False), vault, user, clock)
        assert user.opened == []
        assert len(user.told) == 1

    async def test_whoever_declines_is_told_so(self, laptop: Laptop, vault: Vault, clock: SetClock) -> None:
        user = User(presses(laptop, deny="yes"))
        with pytest.raises(LoginNeeded, match="The login was declined"):
            await log_in(laptop.url, ways(), vault, user, clock)
        assert vault.find(laptop.url) is None

    async def test_a_script_is_told_how_to_log_in(self, laptop: Laptop, vault: Vault, clock: SetClock) -> None:
        with pytest.raises(LoginNeeded, match=f"run 'tollbook login {laptop.url}'"):
            await log_in(laptop.url, ways(), vault, None, clock)

    async def test_a_new_login_takes_the_place_of_the_last(self, laptop: Laptop, vault: Vault, clock: SetClock) -> None:
        await log_in(laptop.url, ways(), vault, User(chooses(laptop, "Ann")), clock)
        second = await log_in(laptop.url, ways(), vault, User(chooses(laptop, "Bob")), clock)
        assert vault.all() == [second]

    async def test_whoever_logs_out_has_nothing_left(self, laptop: Laptop, vault: Vault, clock: SetClock) -> None:
        login = await log_in(laptop.url, ways(), vault, User(chooses(laptop, "Ann")), clock)
        out = await log_out(laptop.url, vault, clock)
        assert out.logins == [login]
        assert vault.find(laptop.url) is None
        with pytest.raises(LoginNeeded):
            await refreshed(login, clock)
        # Its access tokens cannot be taken back: they are short-lived instead.
        assert out.left == [
            f"{laptop.origin} did not take the access token back (answered with status 400): it ends in 10 min."
        ]
        assert (await log_out(laptop.url, vault, clock)).logins == []


class TestServersThatAreNotOurs:
    """nanoidp and oidc-provider, in front of a real `tollbook serve`."""

    @pytest.fixture
    async def served(self, auth_server: AuthServer, tmp_path: Path) -> AsyncIterator[tuple[str, Path]]:
        environment = {
            "AUTH_METHOD": "oauth",
            "OAUTH_REQUIRED_SCOPE": SCOPE,
            "SEES_ALL": "anyone",
            "OAUTH_ISSUER": auth_server.issuer,
        }
        words = ["--session-store", f"sqlite:{tmp_path / 'store.db'}"]
        with instances(tmp_path, 1, words, environment) as (running,):
            yield running.url, running.log

    @pytest.fixture
    def vault(self, tmp_path: Path) -> Vault:
        return Vault(tmp_path / "vault", "file", time.time)

    @pytest.mark.parametrize("is_registered", [False, True], ids=["registers itself", "is registered"])
    async def test_a_user_gets_through_from_the_first_401_and_out_again(
        self,
        auth_server: AuthServer,
        served: tuple[str, Path],
        vault: Vault,
        is_registered: bool,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        for name in OURS:
            caplog.set_level(logging.DEBUG, name)
        url, log = served
        user = User(auth_server.sign_in)
        # Both compare the redirect of a native client without its port (RFC 8252 §7.3).
        client = {"client_id": auth_server.client, "redirect_uri": "http://127.0.0.1:0/callback"}
        chosen = ways(**client if is_registered else {})
        bearer = Bearer(url, vault, time.time, flow=Flow(url, chosen, vault, user, time.time))
        assert await whoami(url, bearer) == USER
        assert await whoami(url, bearer) == USER
        assert len(user.opened) == 1
        login = vault.find(url)
        assert login is not None
        assert (login.client_id == auth_server.client) == is_registered
        assert (login.issuer, login.subject, login.resource) == (auth_server.issuer, USER, url)
        assert SCOPE in login.scopes
        renewed = await refreshed(login, time.time)
        assert renewed.access_token != login.access_token

        vault.keep(renewed)
        out = await log_out(url, vault, time.time)
        assert vault.find(url) is None
        if login.revocation_endpoint is None:
            assert "did not take the refresh token back (has no place for that)" in out.left[0]
        else:
            assert not any("refresh" in each for each in out.left)
            with pytest.raises(LoginNeeded):
                await refreshed(renewed, time.time)

        code = parse_qs(urlsplit(user.returned[0]).query)["code"][0]
        written = f"{log.read_text()}{logged(caplog)}{user.told}{login}{out}"
        for secret in (PASSWORD, code, login.access_token, login.refresh_token, renewed.refresh_token):
            assert secret
            assert secret not in written


class TestWhereAUserIsSent:
    """What is asked for, of whom, and as whom."""

    async def test_everything_is_bound_to_the_server_and_to_this_login(
        self, suspect: Suspect, vault: Vault, clock: SetClock
    ) -> None:
        user = User(suspect.signs_in())
        await log_in(suspect.resource, ways(), vault, user, clock)
        asked = {name: values[0] for name, values in parse_qs(urlsplit(user.opened[0]).query).items()}
        redeemed = suspect.form("/token")
        assert asked["resource"] == redeemed["resource"] == suspect.resource
        assert asked["redirect_uri"] == redeemed["redirect_uri"]
        assert redeemed["code"] == CODE
        assert asked["code_challenge_method"] == "S256"
        digest = hashlib.sha256(redeemed["code_verifier"].encode()).digest()
        assert asked["code_challenge"] == base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        assert suspect.asked["/token"] == 1

    async def test_threat_30_no_two_logins_have_the_same_state_or_verifier(
        self, suspect: Suspect, vault: Vault, clock: SetClock
    ) -> None:
        user = User(suspect.signs_in())
        for _ in range(2):
            await log_in(suspect.resource, ways(), vault, user, clock)
        for name in ("state", "code_challenge"):
            assert len({parse_qs(urlsplit(url).query)[name][0] for url in user.opened}) == 2

    async def test_a_registered_client_comes_first(self, suspect: Suspect, vault: Vault, clock: SetClock) -> None:
        suspect.about["client_id_metadata_document_supported"] = True
        given = ways(client_id="prior", client_metadata_url="https://client.example/about.json")
        login = await log_in(suspect.resource, given, vault, User(suspect.signs_in()), clock)
        assert login.client_id == suspect.form("/token")["client_id"] == "prior"
        assert suspect.asked["/register"] == 0

    @pytest.mark.parametrize(
        ("reads", "client"), [(True, "https://client.example/about.json"), (False, REGISTERED), (MISSING, REGISTERED)]
    )
    async def test_a_client_with_metadata_registers_only_where_these_are_not_read(
        self, suspect: Suspect, vault: Vault, clock: SetClock, reads: Any, client: str
    ) -> None:
        if reads is not MISSING:
            suspect.about["client_id_metadata_document_supported"] = reads
        given = ways(client_metadata_url="https://client.example/about.json")
        login = await log_in(suspect.resource, given, vault, User(suspect.signs_in()), clock)
        assert login.client_id == client
        assert suspect.asked["/register"] == (client == REGISTERED)

    async def test_a_client_registers_as_one_without_a_secret(
        self, suspect: Suspect, vault: Vault, clock: SetClock
    ) -> None:
        await log_in(suspect.resource, ways(), vault, User(suspect.signs_in()), clock)
        posted = suspect.posted("/register")
        assert (posted["token_endpoint_auth_method"], posted["application_type"]) == ("none", "native")
        assert urlsplit(posted["redirect_uris"][0]).hostname == "127.0.0.1"

    async def test_a_client_that_nobody_registers_needs_an_id(
        self, suspect: Suspect, vault: Vault, clock: SetClock
    ) -> None:
        del suspect.about["registration_endpoint"]
        with pytest.raises(LoginNeeded, match=r"takes only clients that were registered there.*--client-id"):
            await log_in(suspect.resource, ways(), vault, User(nobody), clock)
        assert suspect.asked["/register"] == 0

    @pytest.mark.parametrize("said", [b'{"error":"invalid_redirect_uri"}', b"\xff", b"[]", b'{"error":5}', b""])
    async def test_a_refused_registration_says_what_to_do(
        self, suspect: Suspect, vault: Vault, clock: SetClock, said: bytes
    ) -> None:
        suspect.garbage(said, path="/register")
        with pytest.raises(LoginNeeded, match=r"does not register this client.*--client-id"):
            await log_in(suspect.resource, ways(), vault, User(nobody), clock)

    @pytest.mark.parametrize(
        ("takes", "method"),
        [
            (None, "client_secret_basic"),
            (["client_secret_basic", "client_secret_post"], "client_secret_basic"),
            (["none", "client_secret_post"], "client_secret_post"),
        ],
    )
    async def test_a_secret_is_shown_as_the_server_takes_it(
        self, suspect: Suspect, vault: Vault, clock: SetClock, takes: Sequence[str] | None, method: str
    ) -> None:
        suspect.about["token_endpoint_auth_methods_supported"] = takes
        given = ways(client_id="prior", client_secret=SECRET, issuer=suspect.url)
        login = await log_in(suspect.resource, given, vault, User(suspect.signs_in()), clock)
        assert login.token_auth_method == method
        sent = next(each for each in suspect.requests if each.path == "/token")
        in_header = base64.b64encode(f"prior:{SECRET}".encode()).decode() in sent.headers.get("authorization", "")
        assert in_header == (method == "client_secret_basic")
        assert (SECRET.encode() in sent.body) == (method == "client_secret_post")

    @pytest.mark.parametrize(
        "given", [{"client_id": "prior"}, {"client_metadata_url": "https://client.example/about.json"}]
    )
    async def test_a_client_that_is_registered_comes_back_where_it_may(
        self, suspect: Suspect, vault: Vault, clock: SetClock, given: Any
    ) -> None:
        suspect.about["client_id_metadata_document_supported"] = True
        await log_in(suspect.resource, ways(**given), vault, User(suspect.signs_in()), clock)
        assert suspect.form("/token")["redirect_uri"] in known_redirects()

    async def test_by_hand_it_is_the_first_of_them(self, suspect: Suspect, vault: Vault, clock: SetClock) -> None:
        user = Copyist(suspect.signs_in())
        await log_in(suspect.resource, ways(client_id="prior", paste=True), vault, user, clock)
        assert suspect.form("/token")["redirect_uri"] == "http://localhost:8000/callback"

    async def test_a_redirect_elsewhere_is_copied_by_hand(
        self, suspect: Suspect, vault: Vault, clock: SetClock
    ) -> None:
        user = Copyist(suspect.signs_in())
        given = ways(client_id="prior", redirect_uri="https://client.example/back", browser=False)
        await log_in(suspect.resource, given, vault, user, clock)
        assert suspect.form("/token")["redirect_uri"] == "https://client.example/back"

    @pytest.mark.parametrize("given", [{"redirect_uri": "nonsense"}, {"client_metadata_url": "http://client.example/"}])
    async def test_ways_that_lead_nowhere_are_refused(
        self, suspect: Suspect, vault: Vault, clock: SetClock, given: Any
    ) -> None:
        with pytest.raises(UsageError):
            await log_in(suspect.resource, ways(**given), vault, User(nobody), clock)

    async def test_the_endpoint_keeps_its_own_query(self, suspect: Suspect, vault: Vault, clock: SetClock) -> None:
        suspect.about["authorization_endpoint"] = f"{suspect.url}/authorize?policy=b2c"
        user = User(suspect.signs_in())
        await log_in(suspect.resource, ways(), vault, user, clock)
        assert user.opened[0].startswith(f"{suspect.url}/authorize?policy=b2c&response_type=code&")

    async def test_of_several_issuers_the_users_own_is_taken(
        self, suspect: Suspect, vault: Vault, clock: SetClock, canary: Canary
    ) -> None:
        suspect.protected["authorization_servers"] = [canary.url, suspect.url]
        login = await log_in(suspect.resource, ways(issuer=suspect.url), vault, User(suspect.signs_in()), clock)
        assert login.issuer == suspect.url
        assert canary.visits == 0

    async def test_a_client_is_not_shown_to_another_issuer_than_its_own(
        self, suspect: Suspect, vault: Vault, clock: SetClock
    ) -> None:
        given = ways(client_id="prior", client_secret=SECRET, issuer="https://other.example")
        with pytest.raises(ClientError, match=r"registered at https://other\.example; check --issuer"):
            await log_in(suspect.resource, given, vault, User(nobody), clock)
        assert suspect.asked["/token"] == suspect.asked["/register"] == 0

    async def test_a_client_stays_with_the_issuer_where_it_was_used(
        self, suspect: Suspect, vault: Vault, clock: SetClock
    ) -> None:
        flow = Flow(suspect.resource, ways(client_id="prior"), vault, User(suspect.signs_in()), clock)
        before = made_up(suspect.resource, client_id="prior", issuer="https://other.example")
        login = await refused(flow, vault, suspect.refusal(), before)
        assert login.client_id == REGISTERED
        assert "prior" not in str(suspect.requests)

    async def test_a_renamed_header_counts(self, suspect: Suspect, vault: Vault, clock: SetClock) -> None:
        place = f"{suspect.url}/elsewhere"
        suspect.documents["/elsewhere"] = suspect.documents.pop("/.well-known/oauth-protected-resource/mcp")
        header = (
            f'Basic realm="x, y", scope="wrong", Bearer resource_metadata="{place}", scope="a b", error="invalid_token"'
        )
        user = User(suspect.signs_in())
        flow = Flow(suspect.resource, ways(), vault, user, clock)
        await refused(flow, vault, suspect.refusal(x_amzn_remapped_www_authenticate=header))
        assert parse_qs(urlsplit(user.opened[0]).query)["scope"] == ["a b"]

    @pytest.mark.parametrize(
        ("wishes", "asked"), [((), "a b"), (("b", "c"), "b c")], ids=["the server's", "the user's"]
    )
    async def test_scopes(
        self, suspect: Suspect, vault: Vault, clock: SetClock, wishes: tuple[str, ...], asked: str
    ) -> None:
        suspect.protected["scopes_supported"] = ["a", "b"]
        user = User(suspect.signs_in())
        await log_in(suspect.resource, ways(scopes=wishes), vault, user, clock)
        assert parse_qs(urlsplit(user.opened[0]).query)["scope"] == [asked]

    async def test_a_server_without_metadata_of_its_own_is_its_own_issuer(
        self, suspect: Suspect, vault: Vault, clock: SetClock
    ) -> None:
        del suspect.documents["/.well-known/oauth-protected-resource/mcp"]
        user = User(suspect.signs_in())
        login = await log_in(suspect.resource, ways(), vault, user, clock)
        assert login.issuer == suspect.url
        assert suspect.form("/token")["resource"] == login.indicator == suspect.resource

    async def test_metadata_may_move_within_its_server(self, suspect: Suspect, vault: Vault, clock: SetClock) -> None:
        suspect.documents["/moved"] = suspect.about
        suspect.redirect(f"{suspect.url}/moved", path="/.well-known/oauth-authorization-server")
        login = await log_in(suspect.resource, ways(), vault, User(suspect.signs_in()), clock)
        assert login.issuer == suspect.url


class TestMoreScopes:
    """A 403 asks for what was granted and for more, and not for ever."""

    @staticmethod
    def wants(suspect: Suspect, scope: str) -> httpx2.Response:
        return suspect.refusal(403, www_authenticate=f'Bearer error="insufficient_scope", scope="{scope}"')

    async def test_what_was_granted_is_asked_for_as_well(self, suspect: Suspect, vault: Vault, clock: SetClock) -> None:
        user = User(suspect.signs_in())
        flow = Flow(suspect.resource, ways(scopes=("own",)), vault, user, clock)
        await refused(flow, vault, self.wants(suspect, "more most"), made_up(suspect.resource, scopes=("use", "read")))
        assert set(parse_qs(urlsplit(user.opened[0]).query)["scope"][0].split()) == {
            "use",
            "read",
            "own",
            "more",
            "most",
        }

    async def test_a_user_can_ask_for_more_himself(self, suspect: Suspect, vault: Vault, clock: SetClock) -> None:
        user = User(suspect.signs_in())
        await log_in(suspect.resource, ways(), vault, user, clock)
        await log_in(suspect.resource, ways(), vault, user, clock, more=("more",))
        assert set(parse_qs(urlsplit(user.opened[1]).query)["scope"][0].split()) == {"use", "more"}

    async def test_what_was_asked_for_is_not_asked_for_again(
        self, suspect: Suspect, vault: Vault, clock: SetClock
    ) -> None:
        user = User(suspect.signs_in())
        flow = Flow(suspect.resource, ways(), vault, user, clock)
        login = await refused(flow, vault, self.wants(suspect, "more"), made_up(suspect.resource))
        with pytest.raises(LoginNeeded, match="still wants more, which was asked for before"):
            await refused(flow, vault, self.wants(suspect, "more"), login)
        assert len(user.opened) == 1

    async def test_what_the_login_has_is_not_asked_for(self, suspect: Suspect, vault: Vault, clock: SetClock) -> None:
        flow = Flow(suspect.resource, ways(), vault, User(nobody), clock)
        with pytest.raises(LoginNeeded, match="still wants read"):
            await refused(flow, vault, self.wants(suspect, "read"), made_up(suspect.resource, scopes=("use", "read")))

    async def test_a_server_that_always_wants_more_gets_no_fourth_login(
        self, suspect: Suspect, vault: Vault, clock: SetClock
    ) -> None:
        user = User(suspect.signs_in())
        flow = Flow(suspect.resource, ways(), vault, user, clock)
        login = made_up(suspect.resource)
        for number in range(3):
            login = await refused(flow, vault, self.wants(suspect, f"more-{number}"), login)
        with pytest.raises(LoginNeeded, match="still wants more-3"):
            await refused(flow, vault, self.wants(suspect, "more-3"), login)
        assert len(user.opened) == 3

    @pytest.mark.parametrize("header", ["", 'Bearer scope="more"', 'Bearer error="insufficient_scope"'])
    async def test_a_refusal_that_asks_for_nothing_is_one(
        self, suspect: Suspect, vault: Vault, clock: SetClock, header: str
    ) -> None:
        flow = Flow(suspect.resource, ways(), vault, User(nobody), clock)
        with pytest.raises(LoginNeeded, match="lets this login not do that"):
            await refused(flow, vault, suspect.refusal(403, www_authenticate=header), made_up(suspect.resource))


def without_s256(suspect: Suspect) -> None:
    suspect.about["code_challenge_methods_supported"] = ["plain"]


def silent_on_pkce(suspect: Suspect) -> None:
    del suspect.about["code_challenge_methods_supported"]


def another_issuer(suspect: Suspect) -> None:
    suspect.about["issuer"] = "https://other.example"


def almost_the_issuer(suspect: Suspect) -> None:
    suspect.about["issuer"] = f"{suspect.url}/x"


def another_resource(suspect: Suspect) -> None:
    suspect.protected["resource"] = "https://other.example/mcp"


def a_resource_beside(suspect: Suspect) -> None:
    suspect.protected["resource"] = f"{suspect.url}/mcp2"


def issuer_without_tls(suspect: Suspect) -> None:
    suspect.protected["authorization_servers"] = ["http://login.example"]


def issuer_in_a_cloud(suspect: Suspect) -> None:
    suspect.protected["authorization_servers"] = ["https://169.254.169.254"]


def endpoint_without_tls(suspect: Suspect) -> None:
    suspect.about["authorization_endpoint"] = "http://login.example/authorize"


def endpoint_with_a_fragment(suspect: Suspect) -> None:
    suspect.about["authorization_endpoint"] = f"{suspect.url}/authorize#x"


def endpoint_with_a_user(suspect: Suspect) -> None:
    suspect.about["token_endpoint"] = f"{suspect.url.replace('//', '//user@')}/token"


def token_endpoint_without_tls(suspect: Suspect) -> None:
    suspect.about |= {"token_endpoint": "http://login.example/token"}


def token_endpoint_in_a_cloud(suspect: Suspect) -> None:
    suspect.about |= {"token_endpoint": "https://169.254.169.254/token"}


def nothing_at_all(suspect: Suspect) -> None:
    suspect.documents.clear()


def metadata_of_nothing(suspect: Suspect) -> None:
    suspect.garbage(b"[" * 50_000, path="/.well-known/oauth-authorization-server")
    suspect.garbage(b'{"issuer": 5}', path="/.well-known/openid-configuration")


def broken(suspect: Suspect) -> None:
    suspect.fail(503, "/.well-known/oauth-protected-resource/mcp")


def broken_as_an_issuer(suspect: Suspect) -> None:
    suspect.fail(502, "/.well-known/oauth-authorization-server")


@pytest.mark.parametrize(
    ("mischief", "why"),
    [
        (without_s256, "PKCE with S256"),
        (silent_on_pkce, "PKCE with S256"),
        (another_issuer, r"describes another issuer \(https://other\.example/?\)"),
        (almost_the_issuer, "describes another issuer"),
        (another_resource, "describes itself as another server"),
        (a_resource_beside, "describes itself as another server"),
        (issuer_without_tls, "leads to http://login.example/.* without TLS"),
        (issuer_in_a_cloud, "do not trust this server"),
        (endpoint_without_tls, "leads to http://login.example/authorize without TLS"),
        (endpoint_with_a_fragment, "a name, a password or a fragment"),
        (endpoint_with_a_user, "a name, a password or a fragment"),
        (token_endpoint_without_tls, "leads to http://login.example/token without TLS"),
        (token_endpoint_in_a_cloud, "do not trust this server"),
        (nothing_at_all, "does not say where to log in"),
        (metadata_of_nothing, "does not say where to log in"),
        (broken_as_an_issuer, r"cannot say where to log in \(status 502\)"),
        (broken, r"cannot say where to log in \(status 503\)"),
    ],
)
@pytest.mark.parametrize("given", [{}, {"client_id": "prior"}], ids=["registers itself", "is registered"])
async def test_threat_32_33_34_35_36_40_nobody_is_sent_to_a_login_page_that_cannot_be_trusted(
    suspect: Suspect, vault: Vault, clock: SetClock, mischief: Any, why: str, given: Any
) -> None:
    mischief(suspect)
    user = User(nobody)
    with pytest.raises(ClientError, match=why):
        await log_in(suspect.resource, ways(**given), vault, user, clock)
    assert user.told == user.opened == []
    assert suspect.asked["/register"] == suspect.asked["/token"] == 0


@pytest.mark.parametrize(
    ("back", "why"),
    [
        ({"iss": "https://other.example"}, "from another authorization server"),
        ({"iss": "{url}/"}, "from another authorization server"),
        ({"iss": MISSING}, "promised to say so"),
        ({"iss": ""}, "from another authorization server"),
        ({"iss": "https://other.example", "code": MISSING, "error": "canary"}, "from another authorization server"),
        ({"code": MISSING}, "no answer to this login"),
        ({"code": ""}, "no answer to this login"),
        ({"code": MISSING, "error": "access_denied"}, "was declined"),
        ({"code": MISSING, "error": "invalid_scope"}, "invalid_scope.*--scope"),
        ({"code": MISSING, "error": "unauthorized_client"}, "unauthorized_client.*--client-id"),
        ({"code": MISSING, "error": "x\x1b[2J", "error_description": "y\n" * 500}, r"x<U\+001B>\[2J: y<U\+000A>y"),
    ],
)
async def test_threat_31_a_code_is_redeemed_only_if_it_comes_from_where_the_user_was_sent(
    suspect: Suspect, vault: Vault, clock: SetClock, back: Any, why: str
) -> None:
    back = {name: each.format(url=suspect.url) if isinstance(each, str) else each for name, each in back.items()}
    with pytest.raises(ClientError, match=why) as raised:
        await log_in(suspect.resource, ways(), vault, User(suspect.signs_in(**back)), clock)
    assert len(str(raised.value)) < 1500
    assert suspect.asked["/token"] == 0
    assert vault.find(suspect.resource) is None


async def test_an_issuer_that_promises_nothing_need_not_name_itself(
    suspect: Suspect, vault: Vault, clock: SetClock
) -> None:
    del suspect.about["authorization_response_iss_parameter_supported"]
    login = await log_in(suspect.resource, ways(), vault, User(suspect.signs_in(iss=MISSING)), clock)
    assert login.issuer == suspect.url


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (b'{"error":"invalid_grant","error_description":"canary"}', "gives no token"),
        (b'{"error":"\\u001b[2J canary"}', r"gives no token \(status 200\)"),
        (b"\xff\xfe", "gives no token"),
        (b"[" * 50_000, "gives no token"),
        (b'{"access_token":"canary","token_type":"mac"}', "gives no token"),
        (b'{"access_token":"canary","expires_in":1e400}', "gives no token"),
        (b'{"access_token":"canary\\r\\nx: y"}', "no access token"),
        (b'{"access_token":"canary\\u0000"}', "no access token"),
        (b'{"access_token":""}', "no access token"),
    ],
)
async def test_what_is_no_token_is_not_kept(
    suspect: Suspect, vault: Vault, clock: SetClock, said: bytes, why: str
) -> None:
    suspect.garbage(said, path="/token")
    with pytest.raises(ClientError, match=why) as raised:
        await log_in(suspect.resource, ways(), vault, User(suspect.signs_in()), clock)
    assert "canary" not in str(raised.value)
    assert vault.find(suspect.resource) is None


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (
            Reply(400, b'{"error":"invalid_grant","error_description":"canary"}'),
            r"gives no token \(invalid_grant\); log in",
        ),
        (Reply(500, b"<html>canary"), r"gives no token \(status 500\); log in again"),
        (Reply(400, b"\xff canary"), "log in again"),
    ],
)
async def test_threat_37_a_refused_code_is_said_to_be(
    suspect: Suspect, vault: Vault, clock: SetClock, reply: Reply, why: str
) -> None:
    suspect.replies["/token"] = reply
    with pytest.raises(ClientError, match=why) as raised:
        await log_in(suspect.resource, ways(), vault, User(suspect.signs_in()), clock)
    assert "canary" not in str(raised.value)


@pytest.mark.parametrize("life", [10**400, 10**12, -5])
async def test_a_strange_life_of_a_token_is_not_believed(
    suspect: Suspect, vault: Vault, clock: SetClock, life: int
) -> None:
    suspect.tokens["expires_in"] = life
    try:
        login = await log_in(suspect.resource, ways(), vault, User(suspect.signs_in()), clock)
    except ClientError:
        return
    assert login.expires is not None
    assert clock.now <= login.expires < clock.now + 11 * 365 * 86400


async def test_threat_47_what_goes_wrong_leaves_no_trace_of_what_is_secret(
    suspect: Suspect, vault: Vault, clock: SetClock, caplog: pytest.LogCaptureFixture
) -> None:
    for name in OURS:
        caplog.set_level(logging.DEBUG, name)
    told: list[str] = []
    for back, answer in (
        ({"iss": "https://other.example"}, None),
        ({}, b'{"access_token":"canary-1","token_type":"mac"}'),
    ):
        if answer is not None:
            suspect.garbage(answer, path="/token")
        user = User(suspect.signs_in(**back))
        with pytest.raises(ClientError) as raised:
            await log_in(suspect.resource, ways(), vault, user, clock)
        asked = parse_qs(urlsplit(user.opened[0]).query)
        told += [str(raised.value), repr(raised.value)]
        assert asked["state"][0] not in logged(caplog)
        assert raised.value.__cause__ is None
        assert raised.value.__suppress_context__ or raised.value.__context__ is None
    assert suspect.form("/token")["code_verifier"] not in logged(caplog)
    assert "canary" not in f"{told}{logged(caplog)}"
    assert "OAuth flow error" not in logged(caplog)


async def test_a_server_that_lets_everyone_in_is_said_to(suspect: Suspect, vault: Vault, clock: SetClock) -> None:
    suspect.documents.clear()
    suspect.garbage(b"{}", path="/mcp")
    with pytest.raises(ClientError, match="asks for no login; use it as it is"):
        await log_in(suspect.resource, ways(), vault, User(nobody), clock)


async def test_a_server_that_fails_is_said_to(suspect: Suspect, vault: Vault, clock: SetClock) -> None:
    suspect.fail(503, "/mcp")
    with pytest.raises(ClientError, match="answers with status 503; try again later"):
        await log_in(suspect.resource, ways(), vault, User(nobody), clock)


async def test_a_server_that_lets_some_in_says_where_to_log_in_all_the_same(
    suspect: Suspect, vault: Vault, clock: SetClock
) -> None:
    suspect.garbage(b"{}", path="/mcp")
    assert (await log_in(suspect.resource, ways(), vault, User(suspect.signs_in()), clock)).issuer == suspect.url


async def test_threat_40_nobody_logs_in_where_everyone_on_the_way_could_read_it(vault: Vault, clock: SetClock) -> None:
    with pytest.raises(ClientError, match=r"http://mcp\.example/mcp has no TLS"):
        await log_in("http://mcp.example/mcp", ways(), vault, User(nobody), clock)


@pytest.mark.parametrize(
    "place", ["http://169.254.169.254/latest", "https://[fd00:ec2::254]/", "http://login.example/"]
)
async def test_threat_35_a_challenge_that_leads_astray_is_not_followed(
    suspect: Suspect, vault: Vault, clock: SetClock, place: str
) -> None:
    flow = Flow(suspect.resource, ways(), vault, User(nobody), clock)
    with pytest.raises(ClientError):
        await refused(flow, vault, suspect.refusal(www_authenticate=f'Bearer resource_metadata="{place}"'))
    assert suspect.requests == []


@pytest.mark.parametrize("place", ["nonsense", "file:///etc/passwd", "https://[::1/"])
async def test_a_challenge_that_leads_nowhere_is_passed_over(
    suspect: Suspect, vault: Vault, clock: SetClock, place: str
) -> None:
    user = User(suspect.signs_in())
    flow = Flow(suspect.resource, ways(), vault, user, clock)
    await refused(flow, vault, suspect.refusal(www_authenticate=f'Bearer resource_metadata="{place}", scope="a"'))
    assert parse_qs(urlsplit(user.opened[0]).query)["scope"] == ["a"]


async def test_a_challenge_of_another_kind_says_nothing(suspect: Suspect, vault: Vault, clock: SetClock) -> None:
    user = User(suspect.signs_in())
    flow = Flow(suspect.resource, ways(), vault, user, clock)
    await refused(flow, vault, suspect.refusal(www_authenticate='Basic realm="x", scope="wrong"'))
    assert "scope" not in parse_qs(urlsplit(user.opened[0]).query)


class TestLoggingOut:
    def known(self, suspect: Suspect, clock: SetClock, **otherwise: Any) -> Login:
        given = {"issuer": suspect.url, "revocation_endpoint": f"{suspect.url}/revoke", "expires": clock.now + 900}
        return made_up(suspect.resource, **{**given, **otherwise})

    async def test_both_tokens_are_taken_back_the_refresh_token_first(
        self, suspect: Suspect, vault: Vault, clock: SetClock
    ) -> None:
        suspect.documents["/revoke"] = {}
        vault.keep(login := self.known(suspect, clock))
        out = await log_out(suspect.resource, vault, clock)
        assert (out.logins, out.left) == ([login], [])
        sent = [each.body.decode() for each in suspect.requests]
        assert [dict(pair.split("=") for pair in body.split("&")) for body in sent] == [
            {"token": login.refresh_token, "token_type_hint": "refresh_token", "client_id": "client"},
            {"token": login.access_token, "token_type_hint": "access_token", "client_id": "client"},
        ]

    @pytest.mark.parametrize("method", [None, "client_secret_basic", "client_secret_post"])
    async def test_a_client_with_a_secret_shows_it(
        self, suspect: Suspect, vault: Vault, clock: SetClock, method: str | None
    ) -> None:
        suspect.documents["/revoke"] = {}
        vault.keep(self.known(suspect, clock, client_secret=ODD, token_auth_method=method))
        assert (await log_out(suspect.resource, vault, clock)).left == []
        proof = suspect.requests[0].headers.get("authorization", "")
        assert (proof == f"Basic {base64.b64encode(b'client:s%26c').decode()}") == (method != "client_secret_post")
        assert (suspect.form("/revoke").get("client_secret") == ODD) == (method == "client_secret_post")

    async def test_every_login_at_the_server_ends_and_no_other(
        self, suspect: Suspect, vault: Vault, clock: SetClock
    ) -> None:
        suspect.documents["/revoke"] = {}
        vault.keep(self.known(suspect, clock))
        vault.keep(self.known(suspect, clock, client_id="another"))
        vault.keep(other := made_up("https://other.example/mcp"))
        assert len((await log_out(suspect.resource, vault, clock)).logins) == 2
        assert vault.all() == [other]

    @pytest.mark.parametrize(
        ("otherwise", "left"),
        [
            (
                {"revocation_endpoint": None},
                ["refresh token back (has no place for that): it ends by itself", "15 min"],
            ),
            ({}, ["refresh token back (answered with status 404): it ends by itself", "access token back"]),
            (
                {"refresh_token": None, "expires": None},
                ["access token back (answered with status 404): it ends by itself"],
            ),
            ({"refresh_token": None, "expires": SetClock().now - 1}, []),
            ({"revocation_endpoint": "http://169.254.169.254/"}, ["holds until it ends by itself"]),
            ({"revocation_endpoint": "https://user@127.0.0.1/"}, ["holds until it ends by itself"]),
        ],
    )
    async def test_what_cannot_be_taken_back_is_said_and_forgotten_all_the_same(
        self, suspect: Suspect, vault: Vault, clock: SetClock, otherwise: Any, left: Sequence[str]
    ) -> None:
        vault.keep(self.known(suspect, clock, **otherwise))
        out = await log_out(suspect.resource, vault, clock)
        assert len(out.left) == len(left)
        for said, wanted in zip(out.left, left, strict=True):
            assert wanted in said
            assert "canary" not in said
        assert vault.find(suspect.resource) is None

    async def test_an_issuer_that_is_gone_is_no_reason_to_stay(
        self, suspect: Suspect, vault: Vault, clock: SetClock
    ) -> None:
        vault.keep(self.known(suspect, clock))
        suspect.dead()
        out = await log_out(suspect.resource, vault, clock)
        assert len(out.left) == 1
        assert "cannot be reached" in out.left[0]
        assert vault.find(suspect.resource) is None


def test_what_is_secret_is_not_shown() -> None:
    given = Ways(client_id="prior", client_secret=SECRET, client_key="canary-2")
    assert "canary" not in f"{given!r}{given}{msgspec.structs.replace(given, user='x')!r}"
    assert "prior" in repr(given)


def logged(caplog: pytest.LogCaptureFixture) -> str:
    return "\n".join(f"{each.getMessage()}{each.exc_text}" for each in caplog.records if each.name.startswith(OURS))


async def refused(flow: Flow, vault: Vault, response: httpx2.Response, login: Login | None = None) -> Login:
    """The login that a refusal leads to."""
    async for _ in flow(response.request, response, login):
        raise AssertionError("A login asks nobody by way of the connection.")
    found = vault.find(str(response.request.url))
    assert found is not None
    return found


async def greeted(url: str, bearer: Bearer, seen: list[int]) -> str:
    response = await called(url, bearer, "greet", {"name": "you"}, seen)
    return str(messages(response)[-1]["result"]["content"][0]["text"])


async def whoami(url: str, bearer: Bearer) -> str:
    response = await called(url, bearer, "whoami", {}, [])
    return str(messages(response)[-1]["result"]["structuredContent"]["subject"])


async def called(url: str, bearer: Bearer, tool: str, arguments: Any, seen: list[int]) -> httpx2.Response:
    message, headers = modern(request("tools/call", name=tool, arguments=arguments))

    async def see(response: httpx2.Response) -> None:
        seen.append(response.status_code)

    async with httpx2.AsyncClient(auth=bearer, timeout=30, event_hooks={"response": [see]}) as http:
        return await http.post(url, json=message, headers=headers)
