"""Documents of issuers, fetched over TLS and within a time."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from modelyard.services.identity import fetching
from modelyard.services.identity.fetching import FetchFailed, Reach, fetch_json
from tests.e2e.between import certificate_in

HERE = Reach(loopback=True)
END = "-----END CERTIFICATE-----\n"


class Document(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"a": 1}')

    def log_message(self, *_args: object) -> None:
        pass


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The URL of a document, and the certificate of its server, which vouches for itself."""
    path = certificate_in(tmp_path_factory.mktemp("tls"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    with ThreadingHTTPServer(("127.0.0.1", 0), Document) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"https://127.0.0.1:{server.server_port}/keys", path.read_text().partition(END)[0] + END
        server.shutdown()
        thread.join(20)


def test_a_server_is_known_by_an_authority_of_one_s_own(secure: tuple[str, str]) -> None:
    url, authority = secure
    assert fetch_json(url, HERE, authority) == {"a": 1}


def test_a_certificate_that_nobody_vouches_for_is_refused(secure: tuple[str, str]) -> None:
    with pytest.raises(FetchFailed, match="certificate"):
        fetch_json(secure[0], HERE)


def test_where_one_address_does_not_answer_the_next_is_asked(
    secure: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def resolved(_host: str, port: int) -> list[object]:
        return [(socket.AF_INET, 1, 6, "", (address, port)) for address in ("127.0.0.2", "127.0.0.1")]

    monkeypatch.setattr(fetching, "_resolved", resolved)
    assert fetch_json(secure[0], HERE, secure[1]) == {"a": 1}


def test_what_takes_too_long_is_given_up(secure: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "SECONDS", 0.0)
    with pytest.raises(FetchFailed, match="timed out"):
        fetch_json(secure[0], HERE, secure[1])


def test_other_schemes_are_not_fetched() -> None:
    with pytest.raises(FetchFailed, match="must begin with https"):
        fetch_json("ftp://127.0.0.1/keys", HERE)
