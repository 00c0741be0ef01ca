"""Threats 35 and 40: what a server names is not asked for where the user never went."""

import asyncio
import datetime as dt
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.auth_servers.issuer import Canary, Issuer
from tollbook.client.login.guard import LARGEST_ANSWER, LARGEST_DOCUMENT, Blocked, Guard, Realm, realm_of
from tollbook.client.trouble import ClientError

pytestmark = pytest.mark.anyio

PUBLIC = ("8.8.8.8", "2606:4700::1111", "64:ff9b::808:808")
PRIVATE = (
    "10.0.0.1",
    "172.16.3.4",
    "192.168.1.1",
    "100.64.0.1",
    "fd00::1",
    "198.18.0.1",
    "::ffff:10.0.0.1",
    "240.0.0.1",
)
LOOPBACK = ("127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::")
NOWHERE = (
    "169.254.169.254",
    "169.254.0.1",
    "fe80::1",
    "fe80::1%eth0",
    "fd00:ec2::254",
    "fd00:ec2::254%eth0",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::",
    "100.100.100.200",
    "0.0.0.0",  # noqa: S104 - nobody binds there
    "::",
    "224.0.0.1",
    "ff02::1",
)


class Names:
    """Gives each name the addresses of its turn, and remembers who was looked up."""

    def __init__(self, *turns: str | Sequence[str]) -> None:
        self.turns = [[turn] if isinstance(turn, str) else list(turn) for turn in turns]
        self.asked: list[str] = []

    async def __call__(self, name: str, port: int) -> Sequence[str]:
        self.asked.append(name)
        return self.turns.pop(0) if len(self.turns) > 1 else self.turns[0]


@pytest.mark.parametrize(
    ("realm", "allowed", "blocked"),
    [
        ("public", PUBLIC, PRIVATE + LOOPBACK + NOWHERE),
        ("private", PUBLIC + PRIVATE, LOOPBACK + NOWHERE),
        ("loopback", PUBLIC + PRIVATE + LOOPBACK, NOWHERE),
    ],
)
async def test_threat_35_a_login_leads_no_deeper_than_its_server_lies(
    realm: Realm, allowed: Sequence[str], blocked: Sequence[str]
) -> None:
    for address in allowed:
        async with Guard(realm, resolve=Names(address)) as guard:
            await guard.check("https://login.example/authorize")
    for address in blocked:
        async with Guard(realm, resolve=Names(address)) as guard:
            with pytest.raises(Blocked, match=r"https://login\.example/authorize.*do not trust this server"):
                await guard.check("https://login.example/authorize?secret=x")


async def test_threat_35_one_bad_address_among_good_ones_is_enough() -> None:
    async with Guard("public", resolve=Names(["8.8.8.8", "127.0.0.1"])) as guard:
        with pytest.raises(Blocked):
            await guard.check("https://login.example/")


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://login.example/token", "without TLS"),
        ("http://127.0.0.1.evil.example/token", "without TLS"),
        ("http://2130706433/token", "without TLS"),
        ("https://user:secret@login.example/", "a name, a password or a fragment"),
        ("https://login.example/#fragment", "a name, a password or a fragment"),
        ("file:///etc/passwd", "no web address"),
        ("ftp://login.example/", "no web address"),
        ("https://[::1/", "no web address"),
    ],
)
async def test_threat_36_an_address_must_be_one_that_a_login_may_have(url: str, why: str) -> None:
    async with Guard("loopback", resolve=Names("127.0.0.1")) as guard:
        with pytest.raises(Blocked, match=why) as raised:
            await guard.check(url)
    assert "secret" not in str(raised.value)


async def test_threat_40_a_name_for_this_machine_that_leads_elsewhere_is_not_asked_without_tls() -> None:
    async with Guard("loopback", resolve=Names("8.8.8.8")) as guard:
        with pytest.raises(Blocked, match="not on this machine"):
            await guard.send(httpx2.Request("GET", "http://localhost/"))


async def test_a_name_that_leads_nowhere_is_said_to() -> None:
    async def nowhere(name: str, port: int) -> Sequence[str]:
        raise OSError("no such name")

    async with Guard("public", resolve=nowhere) as guard:
        with pytest.raises(ClientError, match=r"https://login\.example/ cannot be found"):
            await guard.send(httpx2.Request("GET", "https://login.example/"))


@pytest.mark.parametrize(
    ("url", "address", "peer", "realm"),
    [
        ("http://localhost:3000/mcp", "8.8.8.8", None, "loopback"),
        ("http://[::1]:3000/mcp", "8.8.8.8", None, "loopback"),
        ("https://mcp.example/mcp", "8.8.8.8", None, "public"),
        ("https://mcp.example/mcp", "10.1.2.3", None, "private"),
        ("https://mcp.example/mcp", "10.1.2.3", "10.9.9.9", "private"),
        ("https://mcp.example/mcp", "10.1.2.3", "8.8.8.8", "public"),  # the name leads elsewhere by now
        ("https://mcp.example/mcp", ["10.1.2.3", "8.8.8.8"], None, "public"),
        ("https://mcp.example/mcp", "127.0.0.1", None, "public"),
        ("https://mcp.example/mcp", "169.254.169.254", None, "public"),
    ],
)
async def test_where_a_server_is(url: str, address: str, peer: str | None, realm: Realm) -> None:
    assert await realm_of(url, Names(address), peer) == realm


async def test_threat_35_the_metadata_of_a_cloud_is_never_asked_for(canary: Canary) -> None:
    async with Guard("loopback") as guard:
        for url in ("http://169.254.169.254/latest/meta-data/", "https://169.254.169.254/", "https://[fd00:ec2::254]/"):
            with pytest.raises(Blocked):
                await guard.send(httpx2.Request("GET", url))


class TestOverTls:
    """A name of a certificate, at an address of this machine."""

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a test")])
        start = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
        made = (
            x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(start + dt.timedelta(days=36500))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("login.example")]), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        kind = serialization.Encoding.PEM
        plain = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        (tmp_path / "certificate.pem").write_bytes(made.public_bytes(kind) + key.private_bytes(kind, *plain))
        return tmp_path

    @pytest.fixture
    async def port(self, folder: Path) -> AsyncIterator[int]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "certificate.pem")
        async with answering(b"", context) as port:
            yield port

    @staticmethod
    def trust(folder: Path) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(folder / "certificate.pem"))

    async def test_threat_35_the_connection_goes_to_the_address_that_was_judged(self, folder: Path, port: int) -> None:
        names = Names("127.0.0.1", "192.0.2.1")  # what a name that rebinds would say the second time
        async with Guard("loopback", resolve=names, trust=self.trust(folder)) as guard:
            response = await guard.send(httpx2.Request("GET", f"https://login.example:{port}/x"))
        assert names.asked == ["login.example"]
        assert response.text == f"GET /x login.example:{port}"

    async def test_a_certificate_must_be_for_the_name(self, folder: Path, port: int) -> None:
        async with Guard("loopback", resolve=Names("127.0.0.1"), trust=self.trust(folder)) as guard:
            assert (await guard.send(httpx2.Request("GET", f"https://login.example:{port}/"))).status_code == 200
            with pytest.raises(ClientError, match="certificate is not trusted"):
                await guard.send(httpx2.Request("GET", f"https://other.example:{port}/"))

    async def test_a_certificate_must_be_of_someone_trusted(self, port: int) -> None:
        async with Guard("loopback", resolve=Names("127.0.0.1")) as guard:
            with pytest.raises(ClientError, match="certificate is not trusted"):
                await guard.send(httpx2.Request("GET", f"https://login.example:{port}/"))


async def test_every_address_of_a_name_is_tried(issuer: Issuer) -> None:
    url = issuer.url.replace("127.0.0.1", "localhost")
    async with Guard("loopback", resolve=Names(["127.0.0.9", "127.0.0.1"])) as guard:
        response = await guard.send(httpx2.Request("POST", f"{url}/jwks.json", data={"a": "b"}))
    assert response.status_code == 200
    assert [request.body for request in issuer.requests] == [b"a=b"]


async def test_threat_35_nobody_is_followed_elsewhere(issuer: Issuer, canary: Canary) -> None:
    issuer.redirect(f"{canary.url}/jwks.json", path="/jwks.json")
    async with Guard("loopback") as guard:
        response = await guard.send(httpx2.Request("GET", issuer.jwks_url))
    assert response.status_code == 302
    assert canary.visits == 0


async def test_no_proxy_is_used(issuer: Issuer, canary: Canary, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, canary.url)
    async with Guard("loopback") as guard:
        assert (await guard.send(httpx2.Request("GET", issuer.jwks_url))).status_code == 200
    assert canary.visits == 0


@pytest.mark.parametrize(("method", "most"), [("GET", LARGEST_DOCUMENT), ("POST", LARGEST_ANSWER)])
async def test_an_answer_without_end_is_not_read_to_it(issuer: Issuer, method: str, most: int) -> None:
    issuer.huge()
    async with Guard("loopback") as guard:
        with pytest.raises(ClientError, match=f"more than {most:,} bytes"):
            await guard.send(httpx2.Request(method, issuer.jwks_url))


@pytest.mark.parametrize("manner", ["slow", "dribble"])
async def test_a_slow_answer_is_not_waited_for(issuer: Issuer, manner: str) -> None:
    getattr(issuer, manner)()
    async with Guard("loopback", patience_s=0.2) as guard:
        with pytest.raises(ClientError, match=r"did not answer within 0\.2 s"):
            await guard.send(httpx2.Request("GET", issuer.jwks_url))
    issuer.well()


async def test_a_dead_server_is_said_to_be(issuer: Issuer) -> None:
    issuer.dead()
    async with Guard("loopback") as guard:
        with pytest.raises(ClientError, match=r"/jwks\.json cannot be reached \(ConnectError\)"):
            await guard.send(httpx2.Request("GET", issuer.jwks_url))


async def test_nothing_is_unpacked() -> None:
    async with answering(b"content-encoding: gzip\r\n") as port, Guard("loopback") as guard:
        with pytest.raises(ClientError, match="encoding that was not asked for"):
            await guard.send(httpx2.Request("GET", f"http://127.0.0.1:{port}/"))


@asynccontextmanager
async def answering(header: bytes, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A server that says what it was asked, and for whom."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        host = next(line[6:] for line in lines if line.lower().startswith("host: "))
        body = f"{lines[0].removesuffix(' HTTP/1.1')} {host}".encode()
        writer.write(b"HTTP/1.1 200 OK\r\n" + header + b"connection: close\r\n\r\n" + body)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=tls)
    async with server:
        yield server.sockets[0].getsockname()[1]
