"""Where requests go, and what goes with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelyard_client import Registry
from modelyard_client.credentials import Login
from modelyard_client.errors import ClientError, Forbidden, Refused, Unreachable
from modelyard_client.http import transport
from modelyard_client.http.transport import Transport
from modelyard_client.http.trying import PATIENT_TRIES, TRIES
from modelyard_client.stopping import Stop
from modelyard_client.targets import parse
from tests.client.meddler import Meddling, answer, meddling
from tests.conftest import Account
from tests.live import LiveServer


def test_a_proxy_of_the_environment_is_asked_and_its_exceptions_hold(
    server: LiveServer, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = b'{"id": 1, "username": "by-proxy", "name": "x"}'
    with meddling(server.port, lambda _request: answer("200 OK", body)) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url.replace("//", "//me:secret@"))
        monkeypatch.setenv("no_proxy", "elsewhere.example")
        assert Registry("http://registry.example", "token").user().username == "by-proxy"
        (request,) = proxy.requests
        assert request.path == "http://registry.example/api/v4/user"
        assert request.headers["proxy-authorization"].startswith("Basic ")
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        assert Registry(server.url, account.token).user().username == account.username
        assert len(proxy.requests) == 1


def test_a_token_goes_to_no_other_host(server: LiveServer, account: Account, target: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    Registry(server.url, account.token).push([tmp_path / "a"], target)
    bucket_answer = answer("200 OK", b"a", ETag='"of-the-bucket"')
    with meddling(server.port, lambda _request: bucket_answer) as bucket:
        leads = answer("302 Found", Location=f"{bucket.url}/key")
        with meddling(server.port, lambda request: leads if request.path.endswith("files/a") else None) as line:
            Registry(line.url, account.token).pull(target, tmp_path / "out")
        assert (tmp_path / "out" / "a").read_text() == "a"
        (request,) = bucket.requests
        assert "authorization" not in request.headers
        elsewhere = meddling(server.port, lambda _request: answer("302 Found", Location=f"{bucket.url}/x"))
        with elsewhere as line, pytest.raises(Refused, match="/x"):
            Registry(line.url, account.token).user()
        assert len(bucket.requests) == 1


@pytest.mark.parametrize("location", ["ftp://x/y", "file:///etc/passwd", "http://a..b/y"])
def test_what_leads_to_no_http_is_refused(
    server: LiveServer, account: Account, target: str, tmp_path: Path, location: str
) -> None:
    (tmp_path / "a").write_text("a")
    Registry(server.url, account.token).push([tmp_path / "a"], target)
    leads = answer("302 Found", Location=location)
    leading = meddling(server.port, lambda request: leads if request.path.endswith("files/a") else None)
    with leading as line, pytest.raises(Refused, match=r"leads to|cannot be asked"):
        Registry(line.url, account.token).pull(target, tmp_path / "out")


def test_what_is_no_modelyard_is_told(server: LiveServer) -> None:
    with (
        meddling(server.port, lambda _request: answer("200 OK", b"<html>")) as line,
        pytest.raises(Refused, match="JSON"),
    ):
        Registry(line.url, "token").user()
    missing = meddling(server.port, lambda _request: answer("404 Not Found", b"<html>"))
    with missing as line, pytest.raises(ClientError, match="HTTP 404"):
        Registry(line.url, "token").user()


def test_https_to_what_speaks_none_is_told_without_a_token_in_it(server: LiveServer) -> None:
    with pytest.raises(ClientError) as caught:
        Registry(server.url.replace("http:", "https:"), "very-secret").user()
    assert "very-secret" not in caught.value.sentence


def test_a_host_that_is_not_there_is_unreachable_after_all_tries() -> None:
    with pytest.raises(Unreachable, match=r"^http://127\.0\.0\.1:1: Failed to .*refused$"):
        Transport(Login("http://127.0.0.1:1", None), Stop()).call("GET", "/user")


@pytest.mark.parametrize(
    "away", [answer("503 Away", Retry_After="0"), answer("502 Away"), answer("504 Away"), Meddling(loses=True)]
)
def test_a_server_that_has_answered_is_waited_for_when_it_is_away(
    server: LiveServer, account: Account, away: Meddling
) -> None:
    with meddling(server.port) as line, Registry(line.url, account.token) as registry:
        assert registry.user().username == account.username
        rest = [away] * (PATIENT_TRIES - 1)
        line.hook = lambda _request: rest.pop() if rest else None
        count = len(line.requests)
        assert registry.user().username == account.username
        assert len(line.requests) == count + PATIENT_TRIES
        line.hook = lambda _request: answer("500 No")
        with pytest.raises(Unreachable):
            registry.user()  # which is a fault of its own
        assert len(line.requests) == count + PATIENT_TRIES + TRIES
    with meddling(server.port, lambda _request: away) as line, Registry(line.url, account.token) as registry:
        with pytest.raises(Unreachable):
            registry.user()
        assert len(line.requests) == TRIES  # nobody knows whether it was ever there


def test_a_connection_that_is_closed_without_an_answer_is_told_in_words(server: LiveServer) -> None:
    with meddling(server.port, lambda _request: Meddling(loses=True)) as line, pytest.raises(Unreachable) as caught:
        Registry(line.url, "token").user()
    assert caught.value.sentence == f"{line.url}: Remote end closed connection without response"


def test_a_file_without_a_digest_is_of_no_modelyard(server: LiveServer, account: Account, target: str) -> None:
    bare = answer("200 OK", Content_Length="5")
    with (
        meddling(server.port, lambda request: bare if request.method == "HEAD" else None) as line,
        Registry(line.url, account.token) as registry,
        pytest.raises(Refused, match="is it a modelyard"),
    ):
        registry._catalog.file(registry._catalog.place(parse(target)), "x")


def test_a_proxy_needs_no_name(server: LiveServer, monkeypatch: pytest.MonkeyPatch) -> None:
    body = b'{"id": 1, "username": "by-proxy", "name": "x"}'
    with meddling(server.port, lambda _request: answer("200 OK", body)) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url.removeprefix("http://"))
        assert Registry("http://registry.example", "token").user().username == "by-proxy"
        assert "proxy-authorization" not in proxy.requests[0].headers


def test_whoever_is_to_wait_for_long_is_told_for_how_long_and_does_not(server: LiveServer) -> None:
    busy = answer("429 Too Many", b'{"message": "Retry later"}', Retry_After="3600")
    with meddling(server.port, lambda _request: busy) as line:
        with pytest.raises(Unreachable, match=r"^Retry later \(GET /user, to be asked again in 3600 s\)$"):
            Registry(line.url, "token").user()
        assert len(line.requests) == 1


def test_no_answer_is_read_without_an_end(
    server: LiveServer, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "MOST_OF_ANSWER", 10)
    with pytest.raises(Refused, match="JSON"):
        Registry(server.url, account.token).user()
    long = answer("403 No", b'{"message": "' + b"x" * (1 << 20))
    with meddling(server.port, lambda _request: long) as line, pytest.raises(Forbidden, match="HTTP 403"):
        Registry(line.url, account.token).user()


def test_an_answer_that_breaks_off_is_asked_for_again(server: LiveServer, account: Account) -> None:
    cuts = [Meddling(down=5)]
    with meddling(server.port, lambda _request: cuts.pop() if cuts else None) as line:
        assert Registry(line.url, account.token).user().username == account.username
        assert len(line.requests) == 2
