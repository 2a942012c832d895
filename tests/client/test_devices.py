"""`myd login` by a code that is confirmed in a browser (RFC 8628)."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator

import httpx2
import pytest

from modelyard.services.identity import devices as granting
from modelyard_client import devices
from modelyard_client.cli import identity
from modelyard_client.credentials import Credentials
from modelyard_client.devices import DeviceCode, sign_in
from modelyard_client.errors import ClientError, Forbidden, NotFound, NotIdentified
from tests.client.conftest import Myd
from tests.client.meddler import Meddling, Request, answer, meddling
from tests.conftest import Account
from tests.live import LiveServer

Decide = Callable[[str], Callable[[DeviceCode], None]]
DISCARD = 9  # a port on which nobody listens
CODE = {"device_code": "d", "user_code": "BCDF-GHJK", "verification_uri": "http://x/", "expires_in": 60, "interval": 0}


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(granting, "INTERVAL", 0)
    monkeypatch.setattr(devices, "SLOWER_SECONDS", 0)


@pytest.fixture
def decide(server: LiveServer, account: Account) -> Iterator[Decide]:
    """Makes what the owner of the account does with a code that is shown."""
    with httpx2.Client(base_url=server.url, headers={"Sec-Fetch-Site": "same-origin"}) as browser:
        assert browser.post("/users/sign_in", data={"token": account.token}).status_code == 303

        def make(decision: str) -> Callable[[DeviceCode], None]:
            def show(code: DeviceCode) -> None:
                form = {"user_code": code.user_code, "decision": decision}
                assert browser.post("/oauth/device/decide", data=form).status_code == 303

            return show

        yield make


def test_a_code_that_is_confirmed_signs_in_and_its_token_is_kept(
    myd: Myd, server: LiveServer, account: Account, decide: Decide, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[DeviceCode] = []
    confirm = decide("allow")

    def show(code: DeviceCode) -> None:
        shown.append(code)
        confirm(code)

    monkeypatch.setattr(identity, "_show", show)
    done = myd("login", "--device", server.url)
    assert (done.status, done.out) == (0, ""), done.err
    assert shown[0].complete == f"{server.url}/oauth/device?user_code={shown[0].user_code}"
    token = Credentials().find(server.url).token
    assert token is not None
    assert token not in done.err
    assert json.loads(myd("whoami", "--json").out)["username"] == account.username


def test_the_code_and_its_page_are_shown_to_people_also_with_quiet(
    myd: Myd, server: LiveServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def waits(*_arguments: object) -> str:
        raise NotIdentified("Nobody has confirmed the code in time")

    monkeypatch.setattr(devices, "_wait", waits)
    done = myd("login", "--device", "--quiet", server.url)
    assert (done.status, done.out) == (3, "")
    assert f"{server.url}/oauth/device?user_code=" in done.err
    assert not Credentials().path.exists()


def test_who_types_no_token_on_a_terminal_is_shown_a_code(
    myd: Myd, server: LiveServer, account: Account, decide: Decide, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identity, "_typed", lambda: "")
    monkeypatch.setattr(identity, "_show", decide("allow"))
    assert myd("login", server.url).status == 0
    assert account.username in myd("whoami").out


@pytest.mark.parametrize(("typed", "token"), [("", ""), (" myd_x \n", "myd_x")])
def test_a_terminal_is_asked_for_a_token(monkeypatch: pytest.MonkeyPatch, typed: str, token: str) -> None:
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("click.prompt", lambda *_arguments, **_options: typed)
    assert identity._typed() == token


def test_a_code_that_is_denied_keeps_nothing(server: LiveServer, decide: Decide) -> None:
    with pytest.raises(Forbidden, match="denied"):
        sign_in(server.url, decide("deny"))


def test_a_code_that_nobody_confirms_ends(server: LiveServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(granting, "LIFETIME", 1_000)
    with pytest.raises(NotIdentified):
        sign_in(server.url, lambda _code: None)


def test_failures_that_pass_are_waited_for_and_slow_down_is_heeded() -> None:
    told = iter(
        [
            answer("503 Busy", b"{}"),
            answer("400 No", b'{"error": "slow_down"}'),
            answer("400 No", b'{"error": "authorization_pending"}'),
            answer("200 OK", b'{"access_token": "myd_x"}'),
        ]
    )

    def hook(request: Request) -> Meddling:
        first = request.path.endswith("authorize_device")
        return answer("200 OK", json.dumps(CODE).encode()) if first else next(told)

    with meddling(DISCARD, hook) as proxy:
        assert sign_in(proxy.url, lambda _code: None) == "myd_x"


@pytest.mark.parametrize(
    ("first", "raised"),
    [
        (answer("404 No", b"{}"), NotFound),
        (answer("400 No", b'{"error": "invalid_request", "error_description": "no"}'), ClientError),
        (answer("200 OK", b"<html>"), ClientError),
        (answer("200 OK", b'{"device_code": 1}'), ClientError),
        (answer("403 No", b"{}"), Forbidden),
    ],
)
def test_a_server_that_gives_no_code_is_told(first: Meddling, raised: type[ClientError]) -> None:
    with meddling(DISCARD, lambda _request: first) as proxy, pytest.raises(raised):
        sign_in(proxy.url, lambda _code: None)


def test_a_server_that_does_not_answer_is_unreachable_and_that_is_told(myd: Myd) -> None:
    done = myd("login", "--device", f"http://127.0.0.1:{DISCARD}")
    assert (done.status, done.out) == (8, "")
    assert done.err.count("trying again") == 5
    assert done.err.splitlines()[-1].startswith(f"myd: http://127.0.0.1:{DISCARD}: Failed to")
    done = myd("login", f"http://127.0.0.1:{DISCARD}", stdin="token")
    assert (done.status, done.err.count("trying again")) == (8, 5)


def test_an_answer_that_breaks_off_is_waited_for_again() -> None:
    token = answer("200 OK", b'{"access_token": "myd_x"}')
    broken = Meddling(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
    codes, tokens = [broken, answer("200 OK", json.dumps(CODE).encode())], [broken, token]

    def hook(request: Request) -> Meddling:
        return (codes if request.path.endswith("authorize_device") else tokens).pop(0)

    with meddling(DISCARD, hook) as proxy:
        assert sign_in(proxy.url, lambda _code: None) == "myd_x"


def test_a_code_has_its_time_whatever_the_server_says() -> None:
    told = CODE | {"expires_in": 0.01, "interval": 0.01}

    def hook(request: Request) -> Meddling:
        first = request.path.endswith("authorize_device")
        return answer("200 OK", json.dumps(told).encode()) if first else answer("503 Busy", b"{}")

    with meddling(DISCARD, hook) as proxy, pytest.raises(NotIdentified, match="in time"):
        sign_in(proxy.url, lambda _code: None)
