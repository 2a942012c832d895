"""By which proxy a host is asked, and who vouches for it; over TLS that breaks as well."""

from __future__ import annotations

import os
import select
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from modelyard_client import Registry
from modelyard_client.errors import ClientError, UsageMistake
from modelyard_client.http.connections import Connections
from tests.client.meddler import answer, meddling
from tests.conftest import Account
from tests.e2e.between import certificate_in
from tests.live import LiveServer

MIB = 1 << 20


class Tls:
    """TLS before a server, torn off after the bytes from a client that each connection may send, in their order."""

    def __init__(self, certificate: Path, upstream: int) -> None:
        self.cuts: list[int] = []
        self.connections = 0
        self._upstream = upstream
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://127.0.0.1:{self._listening.getsockname()[1]}"

    def serve(self) -> None:
        """Take connections until it is closed."""
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                self.connections += 1
                most = self.cuts.pop(0) if self.cuts else None
                threading.Thread(target=self._relay, args=(client, most), daemon=True).start()

    def close(self) -> None:
        """Take no more."""
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _relay(self, client: socket.socket, most: int | None) -> None:
        if most == 0:  # it has spoken, and gets no answer
            client.recv(MIB)
            client.close()
            return
        with (
            suppress(OSError),
            self._context.wrap_socket(client, server_side=True) as safe,
            socket.create_connection(("127.0.0.1", self._upstream)) as server,
        ):
            count = 0
            while True:
                ready = [safe] if safe.pending() else select.select([safe, server], [], [])[0]
                for source in ready:
                    piece = source.recv(64 * 1024)
                    count += len(piece) if source is safe else 0
                    if not piece or (most is not None and count > most):
                        return
                    (server if source is safe else safe).sendall(piece)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return certificate_in(tmp_path_factory.mktemp("tls"))


@pytest.fixture(autouse=True)
def no_authorities(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def secure(server: LiveServer, certificate: Path) -> Iterator[Tls]:
    """The server by https."""
    tls = Tls(certificate, server.port)
    thread = threading.Thread(target=tls.serve, daemon=True)
    thread.start()
    yield tls
    tls.close()
    thread.join(20)


def test_an_authority_of_one_s_own_vouches_by_a_file(
    secure: Tls, account: Account, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ClientError, match=r"(?i)certificate"):
        Registry(secure.url, account.token).user()
    assert secure.connections == 1  # a certificate that is not valid is not asked for again
    for name in ("SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE"):
        with monkeypatch.context() as patched:
            patched.setenv(name, str(certificate))
            assert Registry(secure.url, account.token).user().username == account.username


def test_an_authority_of_one_s_own_vouches_by_a_folder(
    secure: Tls, account: Account, certificate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own.pem").write_text(certificate.read_text().partition("-----BEGIN PRIVATE")[0])
    subprocess.run(["openssl", "rehash", str(tmp_path)], check=True)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path))
    assert Registry(secure.url, account.token).user().username == account.username


def test_authorities_that_are_not_there_are_named_where_they_are_needed(
    server: LiveServer, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere.pem")
    assert Registry(server.url, account.token).user().username == account.username
    with pytest.raises(UsageMistake, match=r"REQUESTS_CA_BUNDLE names /nowhere\.pem"):
        Registry(server.url.replace("http:", "https:"), account.token).user()


def test_tls_that_is_torn_off_is_a_line_that_broke(
    secure: Tls, account: Account, target: str, certificate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    secure.cuts = [0, 0]
    with Registry(secure.url, account.token) as registry:
        assert registry.user().username == account.username
        assert secure.connections == 3
    (tmp_path / "large.bin").write_bytes(os.urandom(12 * MIB))
    secure.cuts = [0, 5 * MIB, 0, 3 * MIB]
    with Registry(secure.url, account.token) as registry:
        assert registry.push([tmp_path / "large.bin"], target).bytes > 12 * MIB
        assert not secure.cuts
        assert registry.verify(target, tmp_path).ok == ["large.bin"]


@pytest.mark.parametrize("proxy", ["socks5://me:secret@127.0.0.1:1", "http://me:secret@[bad", "http://me:secret@a..b"])
def test_a_proxy_that_cannot_be_asked_is_told_without_its_secret(
    server: LiveServer, account: Account, proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", proxy)
    with pytest.raises(ClientError) as caught:
        Registry(server.url, account.token).user()
    assert "secret" not in caught.value.sentence
    assert "cannot be asked: " in caught.value.sentence


def test_a_proxy_that_does_not_answer_is_told_in_words(server: LiveServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("all_proxy", "http://127.0.0.1:1")
    with pytest.raises(ClientError) as caught:
        Registry(server.url, "token").user()
    told = "Unable to connect to proxy: Failed to establish a new connection: [Errno 111] Connection refused"
    assert caught.value.sentence == f"{server.url}: {told}"


@pytest.mark.parametrize("exception", ["::1", "[::1]", "[::1]:8080", "*"])
def test_an_ipv6_address_is_an_exception_with_brackets_or_without(
    exception: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://proxy.example")
    monkeypatch.setenv("no_proxy", exception)
    assert Connections(1).to("http://[::1]:8080/x").proxy is None
    monkeypatch.setenv("no_proxy", "::2")
    assert Connections(1).to("http://[::1]:8080/x").proxy is not None


@pytest.mark.parametrize("host", ["http://a..b", "http://a b"])
def test_a_host_that_cannot_be_is_a_mistake_at_once(host: str) -> None:
    with pytest.raises(UsageMistake, match="cannot be asked"):
        Registry(host, "token").user()


def test_a_bucket_has_a_proxy_of_its_own(
    server: LiveServer, account: Account, target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_text("a")
    Registry(server.url, account.token).push([tmp_path / "a"], target)
    leads = answer("302 Found", Location="http://bucket.example/key")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with (
        meddling(server.port, lambda _request: answer("200 OK", b"a", ETag='"of-the-bucket"')) as proxy,
        meddling(server.port, lambda request: leads if request.path.endswith("files/a") else None) as line,
        Registry(line.url, account.token) as registry,
    ):
        monkeypatch.setenv("http_proxy", proxy.url)
        registry.pull(target, tmp_path / "out")
        (request,) = proxy.requests
        assert request.path == "http://bucket.example/key"
        assert "authorization" not in request.headers
