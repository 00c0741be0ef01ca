"""How a document is had from an issuer, whatever he does meanwhile."""

import contextlib
import ipaddress
import os
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.auth_servers.fixtures import canary as canary
from tests.auth_servers.fixtures import issuer as issuer
from tests.auth_servers.issuer import Canary, Issuer
from tollbook.hosting.auth.fetching import NotFetched, fetch
from tollbook.hosting.auth.keys import LARGEST_DOCUMENT

Talk = Callable[[socket.socket], None]
"""What a server says on a connection."""

SHORT_S: Final = 0.3
"""The patience of who is kept waiting here; whoever keeps him waiting has far more."""
STEP_S: Final = 0.02
STEPS: Final = 1500
WHOLE: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n" + b'{"keys":[]}'


@contextmanager
def talking(talk: Talk, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """The address of a server that does `talk` on each connection."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            with contextlib.suppress(OSError):  # the test is over, or whoever asked has left
                while True:
                    connection, _ = listening.accept()
                    with connection:
                        connection.settimeout(30)
                        if tls is None:
                            talk(connection)
                            continue
                        with contextlib.suppress(OSError), tls.wrap_socket(connection, server_side=True) as line:
                            talk(line)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"{'https' if tls else 'http'}://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            with contextlib.suppress(OSError):
                listening.shutdown(socket.SHUT_RDWR)  # which ends `accept`
            thread.join()


def says(answer: bytes) -> Talk:
    def talk(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(answer)

    return talk


def dribbles(before: bytes, drop: bytes, after: bytes) -> Talk:
    """Says `drop` again and again, for half a minute, and then what makes a good answer of it all."""

    def talk(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(before)
        for _ in range(STEPS):
            threading.Event().wait(STEP_S)
            connection.sendall(drop)
        connection.sendall(after)

    return talk


def silent(connection: socket.socket) -> None:
    """Takes what comes until the other side has had enough."""
    while connection.recv(4096):
        pass


class TestADocument:
    def test_is_had_as_it_is(self, issuer: Issuer) -> None:
        issuer.garbage(b"\x00\xff any bytes")
        assert fetch(issuer.jwks_url) == b"\x00\xff any bytes"

    def test_is_asked_for_with_nothing_but_what_it_takes(self, issuer: Issuer) -> None:
        issuer.garbage()
        fetch(f"{issuer.url}/a/b?version=2&x=%20#fragment")
        fetch(issuer.url)
        first, second = issuer.requests
        assert (first.method, first.path, first.query, first.body) == ("GET", "/a/b", "version=2&x=%20", b"")
        assert second.path == "/"
        assert dict(first.headers) == {
            "host": issuer.url.removeprefix("http://"),
            "accept": "application/json",
            "accept-encoding": "identity",
            "connection": "close",
        }

    @pytest.mark.parametrize(
        "answer",
        [
            WHOLE,
            WHOLE.replace(b"Content-Length: 11\r\n", b""),
            b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\n{"keys\r\n5\r\n":[]}\r\n0\r\n\r\n',
            b"HTTP/1.1 100 Continue\r\n\r\n" + WHOLE,
        ],
    )
    def test_may_come_in_any_form_of_http(self, answer: bytes) -> None:
        with talking(says(answer)) as url:
            assert fetch(url) == b'{"keys":[]}'

    def test_may_be_64_kib_long(self, issuer: Issuer) -> None:
        issuer.garbage(b"x" * LARGEST_DOCUMENT)
        assert len(fetch(issuer.jwks_url)) == LARGEST_DOCUMENT


class TestNothingIsHad:
    @pytest.mark.parametrize("status", [201, 204, 206, 304, 400, 401, 403, 404, 429, 500, 503])
    def test_of_another_status(self, issuer: Issuer, status: int) -> None:
        issuer.fail(status)
        with pytest.raises(NotFetched, match=f"answered with status {status}$"):
            fetch(issuer.jwks_url)

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    def test_of_a_place_that_sends_elsewhere_nor_is_that_asked(
        self, issuer: Issuer, canary: Canary, status: int
    ) -> None:
        issuer.redirect(f"{canary.url}/jwks.json", status)
        with pytest.raises(NotFetched, match=f"answered with status {status}$"):
            fetch(issuer.jwks_url)
        assert not canary.visits

    def test_of_one_who_is_not_there(self, issuer: Issuer) -> None:
        issuer.dead()
        with pytest.raises(NotFetched, match=r"^127\.0\.0\.1:\d+ cannot be reached: ConnectionRefusedError$"):
            fetch(issuer.jwks_url)

    @pytest.mark.parametrize("url", ["http://127.0.0.1:99999/", "http://a..b/", f"http://{'a' * 64}.example/"])
    def test_of_one_who_cannot_be(self, url: str) -> None:
        with pytest.raises(NotFetched, match="cannot be reached"):
            fetch(url)

    @pytest.mark.parametrize("path", ["/a b", "/ä", "/\x00"])
    def test_of_a_place_that_no_address_can_name(self, issuer: Issuer, path: str) -> None:
        with pytest.raises(NotFetched):
            fetch(issuer.url + path)
        assert not issuer.requests

    def test_of_a_body_that_is_too_long(self, issuer: Issuer) -> None:
        issuer.garbage(b"x" * (LARGEST_DOCUMENT + 1))
        with pytest.raises(NotFetched, match=r"more than 65,536 bytes"):
            fetch(issuer.jwks_url)

    def test_of_a_body_that_says_it_is_and_is_not_waited_for(self) -> None:
        def promises(connection: socket.socket) -> None:
            says(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + b"x" * (LARGEST_DOCUMENT + 1))(connection)
            silent(connection)

        with talking(promises) as url, pytest.raises(NotFetched, match=r"more than 65,536 bytes"):
            fetch(url)

    def test_of_a_body_that_never_ends(self, issuer: Issuer) -> None:
        issuer.huge()
        with pytest.raises(NotFetched, match=r"more than 65,536 bytes"):
            fetch(issuer.jwks_url)

    @pytest.mark.parametrize(
        "answer",
        [
            b"",
            b"\xff\xfe",
            b"SSH-2.0-OpenSSH_9.6\r\n",
            b"HTTP/1.1 200",
            b"HTTP/1.1 two hundred\r\n\r\n",
            WHOLE[:-1],
            WHOLE[:-11],
            WHOLE.replace(b"11", b"12"),
            b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\n{"keys\r\n',
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nno number\r\n",
            b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n{}",
            b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000 + b"\r\n\r\n{}",
        ],
    )
    def test_of_an_answer_that_is_none_or_is_not_whole(self, answer: bytes) -> None:
        with talking(says(answer)) as url, pytest.raises(NotFetched):
            fetch(url)


class TestPatience:
    """Its ends are not measured: each server would give a good answer, if it were given half a minute."""

    def test_ends_while_nothing_comes(self, issuer: Issuer) -> None:
        issuer.slow()
        with pytest.raises(NotFetched, match=r": no whole answer in time$"):
            fetch(issuer.jwks_url, SHORT_S)

    def test_ends_while_a_body_dribbles(self, issuer: Issuer) -> None:
        issuer.dribble()
        with pytest.raises(NotFetched, match=r": no whole answer in time$"):
            fetch(issuer.jwks_url, SHORT_S)

    @pytest.mark.parametrize(
        "talk",
        [
            dribbles(b"HTTP/1.1 200 OK\r\nX: ", b"y", WHOLE.replace(b"HTTP/1.1 200 OK", b"")),
            dribbles(b'HTTP/1.1 200 OK\r\n\r\n{"keys":[]}', b" ", b""),
            dribbles(b"", b"HTTP/1.1 100 Continue\r\n\r\n", WHOLE),
            dribbles(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n", b"0\r\n\r\n"),
            dribbles(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0", b"0", b"\r\n\r\n"),
        ],
    )
    def test_ends_while_anything_else_does(self, talk: Talk) -> None:
        with talking(talk) as url, pytest.raises(NotFetched, match=r": no whole answer in time$"):
            fetch(url, SHORT_S)

    def test_ends_while_there_is_no_handshake(self) -> None:
        with talking(silent) as url, pytest.raises(NotFetched, match=r": no whole answer in time$"):
            fetch(url.replace("http:", "https:"), SHORT_S)


class Authority:
    """A certification authority of the test's own, and certificates of it and of nobody.

    Attributes:
        file: its own certificate.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._certificate = _certificate("Test authority", self._key, None, self._key)
        self.file = folder / "authority.pem"
        self.file.write_bytes(self._certificate.public_bytes(Encoding.PEM))

    def server(self, name: str = "127.0.0.1", *, days: int = 1, is_its_own: bool = False) -> ssl.SSLContext:
        """A server whose certificate is for `name`, until so many days from now; signed by itself, or by this one."""
        key = ec.generate_private_key(ec.SECP256R1())
        issuer, issuers_key = (None, key) if is_its_own else (self._certificate, self._key)
        certificate = _certificate(name, key, issuer, issuers_key, days)
        chain = self._folder / "server.pem"  # its key too
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        chain.write_bytes(private + certificate.public_bytes(Encoding.PEM))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain)
        return context


def _certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: x509.Certificate | None,
    issuers_key: ec.EllipticCurvePrivateKey,
    days: int = 1,
) -> x509.Certificate:
    own = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(own)
        .issuer_name(own if issuer is None else issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=9))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
    )
    with contextlib.suppress(ValueError):  # a name that is no address
        address = x509.IPAddress(ipaddress.ip_address(name))
        builder = builder.add_extension(x509.SubjectAlternativeName([address]), critical=False)
    return builder.sign(issuers_key, hashes.SHA256())


class TestTls:
    """In a process of its own each time: who is trusted, a process reads once."""

    FETCH: Final = """
import sys
from tollbook.hosting.auth.fetching import NotFetched, fetch
try:
    print(fetch(sys.argv[1], float(sys.argv[2])).decode())
except NotFetched as fault:
    print(f"refused: {fault}")
"""

    def fetched(self, url: str, trusted: Path | None, patience_s: float = 20) -> str:
        """What is had of `url` by one who trusts an authority of ours, if any; or why nothing is."""
        # https://docs.openssl.org/3.0/man3/X509_get_default_cert_file/
        environment = {**os.environ, **({"SSL_CERT_FILE": str(trusted)} if trusted else {})}
        words = [sys.executable, "-c", self.FETCH, url, str(patience_s)]
        done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60, env=environment)
        assert not done.stderr
        return done.stdout.strip()

    @pytest.fixture
    def authority(self, tmp_path: Path) -> Authority:
        return Authority(tmp_path)

    def test_of_a_trusted_authority_is_accepted(self, authority: Authority) -> None:
        with talking(says(WHOLE), authority.server()) as url:
            assert self.fetched(url, authority.file) == '{"keys":[]}'

    def test_of_one_that_is_not_is_refused(self, authority: Authority) -> None:
        with talking(says(WHOLE), authority.server()) as url:
            assert self.fetched(url, None).endswith(": SSLCertVerificationError")

    @pytest.mark.parametrize(
        "how", [{"is_its_own": True}, {"name": "127.0.0.2"}, {"name": "tollbook.example"}, {"days": -1}]
    )
    def test_with_a_bad_certificate_is_refused(self, authority: Authority, how: dict[str, object]) -> None:
        with talking(says(WHOLE), authority.server(**how)) as url:  # type: ignore[arg-type]
            assert self.fetched(url, authority.file).endswith(": SSLCertVerificationError")

    def test_ends_in_time_too(self, authority: Authority) -> None:
        dribble = dribbles(b"HTTP/1.1 200 OK\r\nX: ", b"y", WHOLE.replace(b"HTTP/1.1 200 OK", b""))
        with talking(dribble, authority.server()) as url:
            assert self.fetched(url, authority.file, 2).endswith(": no whole answer in time")

    def test_is_not_spoken_by_one_who_should(self, issuer: Issuer) -> None:
        issuer.garbage(b"{}")
        assert self.fetched(issuer.jwks_url.replace("http:", "https:"), None).startswith("refused: ")
