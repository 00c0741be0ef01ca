"""`tollbook login`, `status` and `logout`, and who asks in between, at a real server with a real login."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.client import browser
from tests.client.shop import Program
from tests.hosting.wire import instances

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("server")
    with instances(folder, 1, ["--auth", "dev", "--session-store", f"sqlite:{folder / 'store.db'}"]) as (server,):
        yield server.url


@pytest.fixture
def tollbook(tmp_path: Path) -> Program:
    return Program(tmp_path)


def signs_in(user: str) -> str:
    """A browser, as the variable BROWSER names one."""
    return f"{sys.executable} {browser.__file__} {user} %s"


async def test_a_login_in_the_browser_serves_every_later_call_until_it_is_ended(tollbook: Program, url: str) -> None:
    assert (await tollbook("call", url, "whoami")).code == 3
    done = await tollbook("login", url, BROWSER=signs_in("ana"), TOLLBOOK_KEEP_IN="file")
    assert (done.code, done.out) == (0, "")
    assert f"Logged in at {url} as ana@example.com, good for 10 minutes; it renews itself.\n" in done.err
    called = await tollbook("call", url, "whoami")
    assert called.out.startswith("You are ana")
    status = await tollbook("status", url)
    assert "logged in as: ana@example.com\n" in status.out
    assert "scopes: tollbook\n" in status.out
    assert (await tollbook("status")).out == status.out
    prompt = await tollbook("connect", url, stdin=b"auth status\nauth refresh\nauth logout\nauth status\n")
    assert prompt.out.count("ana@example.com") == 1
    assert "The access token is new, good for 10 minutes; it renews itself." in prompt.err
    assert f"Logged out at {url}." in prompt.err
    assert (await tollbook("status")).out == "There is no login.\n"
    assert (await tollbook("call", url, "whoami")).code == 3
    kept = b"".join(path.read_bytes() for path in tollbook.folder.rglob("*") if path.is_file())
    assert b"access_token" not in kept


async def test_logout_forgets_the_login_of_that_server_only(tollbook: Program, url: str) -> None:
    await tollbook("login", url, BROWSER=signs_in("ben"), TOLLBOOK_KEEP_IN="file")
    assert (await tollbook("logout", "https://mcp.example.com/mcp")).err == (
        "There was no login at https://mcp.example.com/mcp.\n"
    )
    assert (await tollbook("call", url, "whoami")).out.startswith("You are ben")
    assert (await tollbook("logout", url)).err.endswith(f"Logged out at {url}.\n")
    assert (await tollbook("call", url, "whoami")).code == 3


async def test_a_login_is_not_sent_where_another_credential_was_given(tollbook: Program, url: str) -> None:
    await tollbook("login", url, BROWSER=signs_in("ben"), TOLLBOOK_KEEP_IN="file")
    assert (await tollbook("call", url, "whoami", ACCESS_TOKEN="none")).code == 3  # noqa: S106
    assert (await tollbook("call", url, "whoami", AUTH_METHOD="lambda")).code == 3
    assert (await tollbook("call", url, "whoami", ACCESS_TOKEN="none", AUTH_METHOD="oauth")).code == 0  # noqa: S106
    assert (await tollbook("call", url, "whoami", "--header", "Authorization: Bearer none")).code == 3


async def test_a_server_that_an_mcp_json_names_is_logged_in_to_by_its_name(tollbook: Program, url: str) -> None:
    (tollbook.folder / "mcp.json").write_text(json.dumps({"mcpServers": {"spend": {"url": url}}}))
    assert (await tollbook("login", "spend", BROWSER=signs_in("cleo"), TOLLBOOK_KEEP_IN="file")).code == 0
    assert (await tollbook("call", "spend", "whoami")).out.startswith("You are cleo")


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        ("--paste", 3, "This login needs someone to answer. Run it at a terminal."),
        ("--machine", 3, "give --client-id"),
        ("--user ann", 2, "give --client-id and --user"),
        ("--client-key mcp.json", 2, "--client-key (OAUTH_CLIENT_KEY): 'mcp.json' cannot be read: no such file"),
        ("--client-metadata-url x", 2, "--client-metadata-url (OAUTH_CLIENT_METADATA_URL): a whole URL is wanted"),
        ("--redirect-uri http://a@b/", 2, "--redirect-uri (OAUTH_REDIRECT_URI): An address with a user name"),
        ("--keep-in pocket", 2, "--keep-in (TOLLBOOK_KEEP_IN): one of auto, keyring, file is wanted, not 'pocket'"),
    ],
)
async def test_a_login_that_cannot_be_made_says_what_is_missing(
    tollbook: Program, url: str, words: str, code: int, says: str
) -> None:
    done = await tollbook("login", url, *words.split())
    assert (done.code, done.out) == (code, "")
    assert says in done.err
    assert (await tollbook("status")).out == "There is no login.\n"
