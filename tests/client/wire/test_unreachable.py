"""Where no connection comes about, the sentence says why: name, port, certificate, proxy."""

import asyncio
import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.client.wire.conftest import Connect
from tests.client.wire.scripted import alone, always, response, scripted
from tests.client.wire.watching import Watching
from tests.fakes.processes import free_port
from tests.hosting.hurried import HURRIED
from tollbook.client.protocol import Era
from tollbook.client.trouble import Unreachable

pytestmark = pytest.mark.anyio

PROXIES = "HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY"


@pytest.fixture(autouse=True)
def _no_proxies_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def closed_port() -> int:
    return free_port()


async def sentence(connect: Connect, url: str, era: Era) -> str:
    with pytest.raises(Unreachable) as raised:
        await connect(url, era).open()
    return str(raised.value)


async def test_a_port_where_nobody_listens(connect: Connect, user: Watching, closed_port: int, era: Era) -> None:
    said = await sentence(connect, f"http://127.0.0.1:{closed_port}/mcp?key=hidden", era)
    assert said == f"Nothing listens at 127.0.0.1:{closed_port}. Is the server running, and is the port right?"
    assert not user.notices, "what never answered is not waited for"


async def test_a_name_that_nobody_knows(connect: Connect, era: Era) -> None:
    said = await sentence(connect, "https://tollbook.invalid/mcp", era)
    assert said == "No address is known for tollbook.invalid. Check its spelling, and whether you are online."


@pytest.mark.parametrize("url", ["http://xn--/mcp", "http://a..b/mcp", "http://[::1/mcp"])
async def test_an_address_that_is_none(connect: Connect, url: str) -> None:
    said = await sentence(connect, url, "modern")
    assert url.partition("/mcp")[0].partition("//")[2].strip("[") in said
    assert said.endswith((". Check its spelling.", ". Check its spelling, and whether you are online."))


# TLS


class Authority:
    """Whoever signs certificates, among others its own.

    Attributes:
        file: its certificate, as SSL_CERT_FILE takes it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.file = folder / "authority.pem"

    def context(self, days: int = 1, name: str = "127.0.0.1") -> ssl.SSLContext:
        """Of a server with a certificate that ends in so many days."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
        now = datetime.now(UTC)
        san = x509.IPAddress(IPv4Address(name)) if name[0].isdigit() else x509.DNSName(name)
        builder = (
            x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
            .not_valid_before(now - timedelta(days=9))
            .not_valid_after(now + timedelta(days=days))
            .add_extension(x509.SubjectAlternativeName([san]), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        )
        certificate = builder.sign(key, hashes.SHA256())
        self.file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        private = self._folder / "key.pem"
        private.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.file, private)
        return context


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.mark.parametrize(
    ("days", "name", "trusted", "why"),
    [
        (1, "127.0.0.1", False, "self-signed certificate"),
        (-1, "127.0.0.1", True, "certificate has expired"),
        (1, "other.example", True, "IP address mismatch, certificate is not valid for '127.0.0.1'"),
    ],
)
async def test_a_certificate_that_is_not_valid(
    connect: Connect,
    authority: Authority,
    monkeypatch: pytest.MonkeyPatch,
    days: int,
    name: str,
    trusted: bool,
    why: str,
) -> None:
    context = authority.context(days, name)
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    async with scripted(always(response(200)), context) as server:
        said = await sentence(connect, server.url, "modern")
    where = server.url.split("/")[2]
    assert said == (
        f"The certificate of {where} is not valid: {why}. Nothing was sent; ask its owner, or set SSL_CERT_FILE to the "
        "certificates you trust."
    )
    assert not server.asked


async def test_a_certificate_that_the_user_trusts(
    connect: Connect, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = authority.context()
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    async with scripted(alone(always(response(200))), context) as server, connect(server.url, "modern") as connection:
        assert len(await connection.tools()) == 2


async def test_certificates_that_cannot_be_read(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/dev/null")
    said = await sentence(connect, "https://127.0.0.1/mcp", "modern")
    assert said == "The certificates to trust cannot be read. Check SSL_CERT_FILE and SSL_CERT_DIR."


async def test_https_where_plain_http_is_spoken(connect: Connect, era: Era) -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(plain, "127.0.0.1", 0) as server:
        where = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        said = await sentence(connect, f"https://{where}/mcp", era)
    assert said == f"{where} does not speak TLS. If it is meant so, use http:// in its address."


@pytest.mark.parametrize("anyio_backend", [HURRIED], ids=["hurried"])
async def test_a_server_that_takes_the_connection_and_says_nothing_of_tls(
    connect: Connect, anyio_backend: object
) -> None:
    async with scripted(always(response(200))) as server:
        said = await sentence(connect, server.url.replace("http:", "https:"), "modern")
    where = server.url.split("/")[2]
    assert said == f"{where} does not take the connection. Check the address, and the firewalls in between."


# Proxies


async def test_a_proxy_is_used_and_one_that_is_excepted_is_not(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with scripted(alone(always(response(200)))) as proxy, scripted(alone(always(response(200)))) as server:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        async with connect("http://mcp.invalid/mcp", "modern"):
            assert proxy.asked[0].path == "http://mcp.invalid/mcp"
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        async with connect(server.url, "modern"):
            assert len(server.asked) == 1
        assert len(proxy.asked) == 1


@pytest.mark.parametrize("where", ["127.0.0.1:{port}", "proxy.invalid:80"])
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_proxy_that_is_not_there_is_the_one_to_blame(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, closed_port: int, scheme: str, where: str
) -> None:
    where = where.format(port=closed_port)
    monkeypatch.setenv(f"{scheme.upper()}_PROXY", f"http://me:hidden@{where}")
    said = await sentence(connect, f"{scheme}://mcp.invalid/mcp", "modern")
    assert said == f"The proxy {where} does not answer. Check {PROXIES}."


async def test_a_proxy_that_is_not_used_is_not_to_blame(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, closed_port: int, era: Era
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.invalid:80")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    said = await sentence(connect, f"http://127.0.0.1:{closed_port}/mcp", era)
    assert said.startswith(f"Nothing listens at 127.0.0.1:{closed_port}.")


async def test_a_proxy_that_refuses(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    async with scripted(always(response(407))) as proxy:
        where = proxy.url.split("/")[2]
        monkeypatch.setenv("HTTPS_PROXY", proxy.url.replace("//", "//me:hidden@"))
        said = await sentence(connect, "https://mcp.invalid/mcp", "modern")
    assert said == f"The proxy {where} does not lead to mcp.invalid: 407 Whatever. Check {PROXIES}."


@pytest.mark.parametrize(
    ("proxy", "said"),
    [
        (
            "gopher://me:hidden@127.0.0.1:1",
            f"A proxy's address makes no sense; one looks like http://host:port. Check {PROXIES}.",
        ),
        (
            "http://me:hidden@127.0.0.1:x",
            f"A proxy's address makes no sense; one looks like http://host:port. Check {PROXIES}.",
        ),
        (
            "socks5://me:hidden@127.0.0.1:1",
            "A SOCKS proxy needs a package that is not here. Install 'socksio', or unset ALL_PROXY.",
        ),
    ],
)
async def test_a_proxy_that_makes_no_sense_is_not_quoted(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, proxy: str, said: str
) -> None:
    monkeypatch.setenv("ALL_PROXY", proxy)
    with pytest.raises(Unreachable) as raised:
        await connect("http://127.0.0.1:1/mcp").open()
    assert str(raised.value) == said
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__
