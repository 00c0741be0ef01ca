"""Threats 46 and 47 on the client's side: a login goes to its server alone, and nothing secret stands where it may be
read."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.auth_servers.issuer import PASSWORD, USER, Canary
from tests.auth_servers.loopback import Loopback, Reply
from tests.client.login.people import User, nobody
from tests.client.login.suspect import CODE, Suspect
from tests.client.shop import Program
from tests.hosting.serving import SetClock
from tests.threats.canaries import Canaries
from tests.threats.terminal import kept_by, logged_in
from tollbook.client.login.flow import log_in
from tollbook.client.login.vault import Vault
from tollbook.client.login.ways import Ways
from tollbook.client.trouble import ClientError

pytestmark = pytest.mark.anyio

SECRET: Final = "canary-client-secret-5f1e"  # noqa: S105
GIVEN: Final = "canary-token-that-was-given-5f1e"
REDIRECTS: Final = (301, 302, 303, 307, 308)


@pytest.fixture
def tollbook(tmp_path: Path) -> Program:
    return Program(tmp_path)


@pytest.fixture
def suspect() -> Iterator[Suspect]:
    with Suspect() as running:
        yield running


class TestALoginGoesToItsServerAlone:
    @pytest.mark.parametrize("status", REDIRECTS)
    async def test_threat_46_not_where_the_server_redirects_to(
        self, tollbook: Program, suspect: Suspect, canary: Canary, status: int
    ) -> None:
        await logged_in(tollbook, suspect.resource, suspect.signs_in())
        suspect.redirect(f"{canary.url}/mcp", status, path="/mcp")
        call = ("call", suspect.resource, "x")
        for ran in (
            await tollbook(*call),
            await tollbook(*call, ACCESS_TOKEN=GIVEN),
            await tollbook(*call, "--header", f"Authorization: Bearer {GIVEN}"),
        ):
            assert ran.code == 1, ran
        assert canary.visits == 0
        assert GIVEN in str(suspect.requests)

    async def test_threat_46_not_to_another_server_of_the_same_machine(
        self, tollbook: Program, suspect: Suspect, canary: Canary
    ) -> None:
        await logged_in(tollbook, suspect.resource, suspect.signs_in())
        for url in (f"{canary.url}/mcp", suspect.resource.replace("127.0.0.1", "localhost")):
            assert (await tollbook("tools", url)).code in (1, 3)
        assert canary.requests
        assert not [each for each in (*canary.requests, *after_login(suspect)) if "authorization" in each.headers]

    async def test_threat_46_not_to_whoever_a_challenge_or_metadata_names(
        self, tollbook: Program, suspect: Suspect, canary: Canary
    ) -> None:
        """The login server of a server is told nothing but what is meant for it."""
        first = await logged_in(tollbook, suspect.resource, suspect.signs_in())
        assert first.ran.code == 0
        suspect.protected["authorization_servers"] = [canary.url]
        assert (await tollbook("call", suspect.resource, "x")).code == 3
        assert (await tollbook("login", suspect.resource)).code == 1
        tokens = (suspect.tokens["access_token"], suspect.tokens["refresh_token"])
        assert canary.requests
        assert not [token for token in tokens if token in str(canary.requests)]

    async def test_threat_46_a_client_secret_goes_to_no_issuer_but_its_own(
        self, tollbook: Program, suspect: Suspect, canary: Canary
    ) -> None:
        for words in (("--machine",), ()):
            ran = await tollbook(
                "login",
                suspect.resource,
                *words,
                *prior(canary),
                OAUTH_CLIENT_SECRET=SECRET,
            )
            assert ran.code == 1
            assert f"the client is registered at {canary.url}" in ran.err
        assert SECRET not in str((canary.requests, suspect.requests))
        assert suspect.asked["/token"] == 0

    @pytest.mark.parametrize("words", [("--machine",), ()], ids=["of a program", "of a user's client"])
    async def test_threat_46_nor_to_one_that_only_the_server_names(
        self, tollbook: Program, suspect: Suspect, words: tuple[str, ...]
    ) -> None:
        """Its login page could send the browser back at once."""
        words = (*words, "--client-id", "prior")
        login = await logged_in(tollbook, suspect.resource, nobody, *words, OAUTH_CLIENT_SECRET=SECRET)
        assert (login.page, login.ran.code) == ("", 3)
        assert f"if it is registered there, give --issuer {suspect.url}." in login.ran.err
        assert suspect.asked["/token"] == 0


def prior(issuer: Loopback) -> tuple[str, ...]:
    """A client that is registered there, in words."""
    return ("--client-id", "prior", "--issuer", issuer.url)


def after_login(suspect: Suspect) -> list[Any]:
    """What it was asked after it had given a token."""
    paths = [each.path for each in suspect.requests]
    return suspect.requests[len(paths) - paths[::-1].index("/token") :]


class TestNothingSecretIsSaid:
    async def test_threat_47_whatever_goes_wrong_with_a_login_says_and_leaves_nothing_secret(
        self, tollbook: Program, suspect: Suspect
    ) -> None:
        secrets, said = Canaries(), list[str]()
        for each in (SECRET, GIVEN, CODE, suspect.tokens["refresh_token"]):
            secrets.password(each)
        secrets.token(suspect.tokens["access_token"])
        variables = {"OAUTH_CLIENT_SECRET": SECRET, "MCP_CLIENT_DEBUG": "1"}
        suspect.about["revocation_endpoint"] = f"{suspect.url}/revoke"

        async def logs_in(**back: str) -> None:
            login = await logged_in(tollbook, suspect.resource, suspect.signs_in(**back), *prior(suspect), **variables)
            said.append(login.ran.out + login.ran.err)
            secrets.password(suspect.form("/token")["code_verifier"])

        async def does(*words: str, stdin: bytes = b"", **more: str) -> None:
            ran = await tollbook(*words, stdin=stdin, **variables, **more)
            said.append(ran.out + ran.err)

        await logs_in()
        suspect.well()
        for echo in echoes(suspect):
            suspect.replies = dict.fromkeys(("/token", "/revoke"), echo) | {"/mcp": Reply(401, echo.body)}
            await does("call", suspect.resource, "x", "--verbose")
            await does("call", suspect.resource, "x", "--verbose", ACCESS_TOKEN=GIVEN)
            await does("connect", suspect.resource, stdin=b"auth status\nauth refresh\ntools\n")
            await logs_in()
            await logs_in(iss="https://other.example")
        assert kept_by(tollbook)
        await does("logout", suspect.resource)

        assert secrets.found_in(suspect.replies["/token"].body)  # it would have been seen
        assert secrets.found_in(*(each.encode() for each in said)) == []
        left = [path.read_bytes() for path in tollbook.folder.rglob("*") if path.is_file()]
        assert secrets.found_in(*left) == []

    async def test_threat_47_a_login_that_is_kept_lies_in_one_file_and_no_other(
        self, tollbook: Program, suspect: Suspect
    ) -> None:
        secrets = Canaries()
        secrets.password(suspect.tokens["refresh_token"])
        secrets.token(suspect.tokens["access_token"])
        await logged_in(tollbook, suspect.resource, suspect.signs_in(), *prior(suspect), OAUTH_CLIENT_SECRET=SECRET)
        secrets.password(SECRET)
        await tollbook("connect", suspect.resource, stdin=b"auth status\n")
        files = [path for path in tollbook.folder.rglob("*") if path.is_file()]
        assert [path for path in files if secrets.found_in(path.read_bytes())] == kept_by(tollbook)
        assert len(kept_by(tollbook)) == 1
        # Neither what a login is made with, nor the code.
        once = (CODE, suspect.form("/token")["code_verifier"])
        assert not [path for path in files for each in once if each.encode() in path.read_bytes()]

    async def test_threat_47_whoever_logs_out_has_no_drafts_left_of_a_program_that_was_killed(
        self, tollbook: Program, suspect: Suspect
    ) -> None:
        await logged_in(tollbook, suspect.resource, suspect.signs_in())
        (file,) = kept_by(tollbook)
        file.with_name(f".{file.name}.ab12_xyz").write_bytes(file.read_bytes())
        assert (await tollbook("logout", suspect.resource)).code == 0
        left = [path for path in file.parent.iterdir() if path.suffix != ".lock"]
        assert left == []

    @pytest.mark.parametrize(
        "reply",
        [
            Reply(400, json.dumps({"__type": "NotAuthorizedException", "message": PASSWORD}).encode()),
            Reply(400, json.dumps({"__type": PASSWORD[:20], "message": PASSWORD}).encode()),
            Reply(200, PASSWORD.encode()),
            Reply(500, PASSWORD.encode()),
            Reply(200, json.dumps({"ChallengeName": PASSWORD, "Session": PASSWORD}).encode()),
        ],
        ids=["refused", "refused oddly", "no JSON", "failed", "challenge"],
    )
    async def test_threat_47_a_password_is_in_no_sentence_no_log_and_no_file(
        self, suspect: Suspect, tmp_path: Path, clock: SetClock, reply: Reply, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        pool = "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AbCdEfGhI"
        suspect.replies["/cognito"] = reply
        ways = Ways(
            grant="password",
            client_id="app",
            client_secret=SECRET,
            issuer=pool,
            user=USER,
            password_endpoint=f"{suspect.url}/cognito",
        )
        user = User(nobody, PASSWORD)
        with pytest.raises(ClientError) as raised:
            await log_in(suspect.resource, ways, Vault(tmp_path / "vault", "file", clock), user, clock)
        secrets = Canaries()
        secrets.password(PASSWORD)
        secrets.password(SECRET)
        told = [f"{raised.value}{raised.value!r}{raised.value.__cause__!r}", caplog.text, *user.told]
        left = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
        assert PASSWORD in str(suspect.posted("/cognito"))
        assert secrets.found_in(*(each.encode() for each in told), *left) == []


def echoes(suspect: Suspect) -> list[Reply]:
    """Answers of one that says again whatever it was told, wherever it can."""
    told = [part for each in suspect.requests for part in (each.body.decode(), each.headers.get("authorization", ""))]
    echo = " ".join((*told, *map(str, suspect.tokens.values()), GIVEN))
    error = {"error": "invalid_grant", "error_description": echo, "error_uri": echo, "message": echo}
    documents = (
        {**suspect.tokens, "token_type": echo},
        error,
        {**error, "error": SECRET},
        {"error": {"code": echo}},
    )
    return [Reply(500, echo.encode()), *(Reply(400, json.dumps(each).encode()) for each in documents)]
