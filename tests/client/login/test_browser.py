"""Threat 30, and the rest of the way back from the login page."""

import asyncio
import socket
from urllib.parse import urlsplit

import pytest

from tests.client.login.people import User, fetched, nobody
from tests.fakes.processes import free_port
from tollbook.client.login.browser import ANY_REDIRECT, Landing, Paste, is_here, known_redirects, landing
from tollbook.client.trouble import ClientError, LoginNeeded

pytestmark = pytest.mark.anyio

STATE = "of-this-login"
ANSWER = f"code=canary-code&state={STATE}&iss=https%3A%2F%2Flogin.example"
SAID = {"code": "canary-code", "state": STATE, "iss": "https://login.example"}


class TestThroughABrowserOfThisMachine:
    async def test_threat_37_the_answer_is_taken_once_and_the_window_can_be_closed(self) -> None:
        async with landing([ANY_REDIRECT]) as here:
            here.expect(STATE)
            page = await fetched(f"{here.uri}?{ANSWER}")
            assert await here.said(5) == SAID
            again = await fetched(f"{here.uri}?{ANSWER}")
        assert page.status_code == 200
        assert "You can close this window" in page.text
        assert again.status_code == 400
        assert page.headers["referrer-policy"] == "no-referrer"
        assert page.headers["cache-control"] == "no-store"
        assert page.headers["content-security-policy"].startswith("default-src 'none'")
        assert "canary" not in page.text

    @pytest.mark.parametrize(
        "query",
        [
            "code=canary-code",
            "code=canary-code&state=",
            "code=canary-code&state=of-another-login",
            f"code=canary-code&state={STATE}x",
            f"code=canary-code&state={STATE}&state={STATE}",
            f"code=canary-code&code=another&state={STATE}",
            f"error=access_denied&error_description=%3Cscript%3E&state=x{STATE}",
            f"{ANSWER}&{'&'.join(f'{each}=' for each in range(40))}",
            "state=%ff%c3%a9",
            "",
        ],
    )
    async def test_threat_30_what_is_not_of_this_login_is_turned_away_and_does_not_end_it(self, query: str) -> None:
        async with landing([ANY_REDIRECT]) as here:
            here.expect(STATE)
            page = await fetched(f"{here.uri}?{query}")
            assert page.status_code == 400
            assert "not the answer to a login" in page.text
            assert "script" not in page.text
            assert "canary" not in page.text
            assert (await fetched(f"{here.uri}?{ANSWER}")).status_code == 200
            assert await here.said(5) == SAID

    async def test_nothing_is_taken_before_a_login_is_begun(self) -> None:
        async with landing([ANY_REDIRECT]) as here:
            assert (await fetched(f"{here.uri}?{ANSWER}")).status_code == 400
            assert (await fetched(f"{here.uri}?code=x&state=")).status_code == 400

    async def test_a_refusal_is_an_answer_too(self) -> None:
        async with landing([ANY_REDIRECT]) as here:
            here.expect(STATE)
            page = await fetched(f"{here.uri}?error=access_denied&error_description=canary&state={STATE}")
            assert (await here.said(5))["error"] == "access_denied"
        assert "There was no login" in page.text
        assert "canary" not in page.text

    async def test_nothing_else_is_there(self) -> None:
        async with landing([ANY_REDIRECT]) as here:
            here.expect(STATE)
            origin = here.uri.removesuffix("/callback")
            for path in (
                "/",
                "/favicon.ico",
                "/callback/",
                "/Callback",
                "//callback",
                "/callback%2f",
                "/x/../callback",
            ):
                assert (await raw(here, f"GET {path}?{ANSWER} HTTP/1.1")).startswith("HTTP/1.1 404 ")
            for method in ("HEAD", "POST", "OPTIONS"):
                assert (await fetched(f"{here.uri}?{ANSWER}", method)).status_code == 405
            port = urlsplit(origin).port
            for host in ("evil.example", f"evil.example:{port}", "127.0.0.1", f"localhost:{port}"):
                assert (await fetched(f"{here.uri}?{ANSWER}", host=host)).status_code == 400
            for line in ("nonsense", f"GET /callback?{ANSWER}", f"GET  /callback?{ANSWER} HTTP/1.1"):
                assert (await raw(here, line)).startswith("HTTP/1.1 400 ")
            assert await raw(here, f"GET /callback?{ANSWER}&x={'x' * 20_000} HTTP/1.1") == ""
            assert (await fetched(f"{here.uri}?{ANSWER}")).status_code == 200
            assert await here.said(5) == SAID

    async def test_whoever_connects_and_says_nothing_is_in_nobodys_way(self) -> None:
        async with landing([ANY_REDIRECT]) as here:
            here.expect(STATE)
            parts = urlsplit(here.uri)
            silent = [await asyncio.open_connection(parts.hostname, parts.port) for _ in range(8)]
            assert (await fetched(f"{here.uri}?{ANSWER}")).status_code == 200
            assert await here.said(5) == SAID
        for reader, writer in silent:  # they are not left hanging, either
            assert await asyncio.wait_for(reader.read(), 5) == b""
            writer.close()

    async def test_nobody_can_come_from_another_machine(self) -> None:
        async with landing([ANY_REDIRECT]) as here:
            # Who listens at every address has this one, too.
            socket.create_server(("127.0.0.9", urlsplit(here.uri).port or 0)).close()

    async def test_the_place_is_given_up_at_the_end_and_when_the_user_gives_up(self) -> None:
        uris = [f"http://127.0.0.1:{free_port()}/callback"]

        async def waits() -> None:
            async with landing(uris) as here:
                here.expect(STATE)
                began.set()
                await here.said(60)

        began = asyncio.Event()
        waiting = asyncio.create_task(waits())
        await began.wait()
        with pytest.raises(ClientError, match="none of the ports is free"):
            async with landing(uris):
                pass
        waiting.cancel()
        await asyncio.wait((waiting,))
        async with landing(uris) as here:
            assert here.uri == uris[0]

    async def test_nobody_is_waited_for_for_ever(self) -> None:
        async with landing([ANY_REDIRECT]) as here:
            here.expect(STATE)
            with pytest.raises(LoginNeeded, match="Nobody came back from the login page within"):
                await here.said(0.01)

    async def test_a_port_that_is_in_use_is_passed_over(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as other:
            taken, free = other.getsockname()[1], free_port()
            uris = [f"http://localhost:{port}/callback" for port in (taken, free)]
            async with landing(uris) as here:
                assert here.uri == uris[1]
            with pytest.raises(
                ClientError, match=f"none of the ports is free for that \\({taken}\\).*OAUTH_REDIRECT_URI"
            ):
                async with landing(uris[:1]):
                    pass

    async def test_localhost_is_every_address_that_a_browser_takes_it_for(self) -> None:
        addresses = ["127.0.0.1", *(["::1"] if has_ipv6() else [])]
        async with landing([f"http://localhost:{free_port()}/callback"]) as here:
            here.expect(STATE)
            for address in addresses:
                with socket.create_connection((address, urlsplit(here.uri).port)):
                    pass
        for address in addresses:  # whoever listens at one of them would get the code
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            with socket.create_server((address, 0), family=family) as other, pytest.raises(ClientError):
                async with landing([f"http://localhost:{other.getsockname()[1]}/callback"]):
                    pass

    async def test_the_redirect_is_what_was_given_letter_by_letter(self) -> None:
        uri = f"http://127.0.0.1:{free_port()}/a/b%20c"
        async with landing([uri]) as here:
            assert here.uri == uri
            here.expect(STATE)
            assert (await fetched(f"{uri}?{ANSWER}")).status_code == 200

    def test_the_known_redirects_begin_with_that_of_the_original(self) -> None:
        assert known_redirects() == [f"http://localhost:{port}/callback" for port in (8000, 8765, 33418, 8787)]

    def test_threat_36_only_plain_http_on_loopback_can_be_listened_at(self) -> None:
        assert all(map(is_here, (ANY_REDIRECT, "http://localhost:1/x", "http://[::1]:1/x")))
        elsewhere = ("https://127.0.0.1/x", "http://127.0.0.1.evil.example/x", "http://0.0.0.0/x", "app:/x", "nonsense")
        assert not any(map(is_here, elsewhere))


class TestByHand:
    URI = "http://localhost:8000/callback"

    @pytest.mark.parametrize("pasted", [f"{URI}?{ANSWER}", f" {URI}?{ANSWER}\r\n", ANSWER, f"?{ANSWER}"])
    async def test_an_address_or_its_query_can_be_pasted(self, pasted: str) -> None:
        assert await self.said(pasted) == SAID

    async def test_a_mistake_can_be_mended(self) -> None:
        user = User(nobody, "http://[", f"https://evil.example/callback?{ANSWER}", f"{self.URI}?{ANSWER}")
        assert await self.said(user=user) == SAID
        assert user.told == [f"That is not it: the address begins with {self.URI}?"] * 2

    @pytest.mark.parametrize("query", ["code=canary-code&state=another", "code=canary-code", f"{ANSWER}&state={STATE}"])
    async def test_threat_30_the_answer_to_another_login_is_not_taken(self, query: str) -> None:
        user = User(nobody, *[f"{self.URI}?{query}"] * 3)
        with pytest.raises(LoginNeeded, match="not finished") as raised:
            await self.said(user=user)
        assert len(user.told) == 3
        assert "canary" not in f"{user.told}{raised.value}"

    async def test_nothing_pasted_is_no_login(self) -> None:
        with pytest.raises(LoginNeeded, match="not finished"):
            await self.said(" ")

    async def said(self, *types: str, user: User | None = None) -> object:
        way = Paste(self.URI, user or User(nobody, *types))
        way.expect(STATE)
        return await way.said(0)


async def raw(here: Landing, line: str) -> str:
    """What is answered to a request that no client would send."""
    parts = urlsplit(here.uri)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(f"{line}\r\nhost: {parts.netloc}\r\n\r\n".encode())
    try:
        return (await asyncio.wait_for(reader.read(), 5)).decode()
    except ConnectionError:
        return ""
    finally:
        writer.close()


def has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True
