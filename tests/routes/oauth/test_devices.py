"""The device grant (RFC 8628): codes, the page that confirms them, each answer to a device, and what its token is."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest
from playwright.sync_api import Browser
from sqlalchemy import update

from modelyard.clock import DAY, now
from modelyard.registry.tables import DeviceGrant, Token
from modelyard.routes.oauth import devices as asking
from modelyard.routes.pages import devices as page
from modelyard.services.identity import devices
from modelyard.services.people import accounts, sessions
from tests.browsers import axe, running_chromium, watched
from tests.conftest import Account
from tests.live import LiveServer, running
from tests.waiting import within_one_minute

GRANT = "urn:ietf:params:oauth:grant-type:device_code"
AS_BROWSER = {"Accept": "text/html,application/xhtml+xml", "Sec-Fetch-Site": "same-origin"}
CLIENT = "some-program"


@pytest.fixture(autouse=True)
def no_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """All tests come from one address."""
    monkeypatch.setattr(asking, "MAX_A_MINUTE", 100_000)
    monkeypatch.setattr(page, "MAX_WRONG", 100_000)


@pytest.fixture
def device(server: LiveServer) -> Iterator[httpx2.Client]:
    """A program that has no credential."""
    with httpx2.Client(base_url=server.url, timeout=30) as client:
        yield client


@pytest.fixture
def person(make_user: Callable[..., Account]) -> Account:
    return make_user()


@pytest.fixture
def sign_in(server: LiveServer) -> Iterator[Callable[[str], httpx2.Client]]:
    opened: list[httpx2.Client] = []

    def make(token: str) -> httpx2.Client:
        client = httpx2.Client(base_url=server.url, headers=AS_BROWSER, timeout=30)
        opened.append(client)
        assert client.post("/users/sign_in", data={"token": token}).status_code == 303
        return client

    yield make
    for client in opened:
        client.close()


SignIn = Callable[[str], httpx2.Client]


def begun(device: httpx2.Client, **more: str) -> dict[str, Any]:
    answer = device.post("/oauth/authorize_device", data={"client_id": CLIENT} | more)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def poll(device: httpx2.Client, code: str, client: str = CLIENT) -> httpx2.Response:
    return device.post("/oauth/token", data={"grant_type": GRANT, "device_code": code, "client_id": client})


def decide(browser: httpx2.Client, code: str, decision: str = "allow") -> httpx2.Response:
    return browser.post("/oauth/device/decide", data={"user_code": code, "decision": decision})


def refused(answer: httpx2.Response) -> tuple[int, str]:
    assert set(answer.json()) == {"error", "error_description"}
    assert answer.headers["cache-control"] == "no-store"
    return answer.status_code, answer.json()["error"]


@pytest.mark.parametrize("path", ["/oauth/authorize_device", "/oauth/device_authorization", "/oauth/device"])
@pytest.mark.parametrize("kind", ["data", "json"])
def test_a_device_gets_two_codes_at_each_path_by_form_and_json(
    device: httpx2.Client, server: LiveServer, path: str, kind: str
) -> None:
    answer = device.post(path, **{kind: {"client_id": "x"}})  # type: ignore[arg-type]
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert re.fullmatch(r"[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}", told["user_code"])
    assert told["verification_uri"] == f"{server.url}/oauth/device"
    assert told["verification_uri_complete"] == f"{server.url}/oauth/device?user_code={told['user_code']}"
    assert (told["expires_in"], told["interval"]) == (600, 5)
    assert len(told["device_code"]) == 43
    assert "no-store" in answer.headers["cache-control"]


def test_a_confirmed_code_gives_a_personal_token_once_that_ends_by_itself_and_can_be_revoked(
    device: httpx2.Client, person: Account, sign_in: SignIn, root: httpx2.Client, server: LiveServer
) -> None:
    told, browser = begun(device), sign_in(person.token)
    assert refused(poll(device, told["device_code"])) == (400, "authorization_pending")
    shown = browser.get(told["verification_uri_complete"])
    for text in (CLIENT, told["user_code"], "127.0.0.1", person.username, "everything that you may do"):
        assert text in shown.text
    assert shown.headers["cache-control"] == "no-store"
    confirmed = decide(browser, told["user_code"])
    assert (confirmed.status_code, confirmed.headers["location"]) == (303, "/oauth/device")
    assert "may act for you from now on" in browser.get("/oauth/device").text
    given = poll(device, told["device_code"])
    assert (given.status_code, given.headers["cache-control"]) == (200, "no-store")
    token = given.json()
    assert (token["token_type"], token["scope"]) == ("Bearer", "api")
    schemas = root.get(f"{server.url}/openapi.json", timeout=60).json()["components"]["schemas"]
    assert set(token) == set(schemas["Given"]["required"])
    assert set(told) == set(schemas["DeviceCode"]["required"])
    assert 30 * 86400 - 60 < token["expires_in"] <= 30 * 86400
    assert refused(poll(device, told["device_code"])) == (400, "invalid_grant")
    headers = {"Authorization": f"Bearer {token['access_token']}"}
    assert device.get("/api/v4/user", headers=headers).json()["username"] == person.username
    own = device.get("/api/v4/personal_access_tokens/self", headers=headers).json()
    assert (own["name"], own["scopes"], own["user_id"]) == (CLIENT, ["api"], person.id)
    assert own["expires_at"] is not None
    listed = browser.get("/-/user_settings/personal_access_tokens").text
    assert CLIENT in listed
    url = re.findall(rf'action="(/-/user_settings/personal_access_tokens/{own["id"]}/revoke)"', listed)[0]
    assert browser.post(url).status_code == 303
    assert device.get("/api/v4/user", headers=headers).status_code == 401
    events = [event for event in root.get("/audit_events?per_page=20").json() if event["author_id"] == person.id]
    names = [event["event_name"] for event in events]
    assert {"device_authorized", "personal_access_token_created", "personal_access_token_revoked"} <= set(names)
    facts = next(event for event in events if event["event_name"] == "device_authorized")["details"]
    assert (facts["client"], facts["device_address"], facts["scopes"]) == (CLIENT, "127.0.0.1", "api")
    assert token["access_token"] not in str(events)


def test_a_denied_code_gives_access_denied_and_is_told_in_the_audit_trail(
    device: httpx2.Client, person: Account, sign_in: SignIn, root: httpx2.Client
) -> None:
    told = begun(device)
    assert decide(sign_in(person.token), told["user_code"], "deny").status_code == 303
    for _ in range(2):
        assert refused(poll(device, told["device_code"])) == (400, "access_denied")
    event = root.get("/audit_events").json()[0]
    assert (event["event_name"], event["author_id"]) == ("device_denied", person.id)


def test_a_device_that_asks_too_soon_is_to_slow_down_by_five_seconds_for_good(
    device: httpx2.Client, server: LiveServer
) -> None:
    told = begun(device)
    code = told["device_code"]

    def back(seconds: int) -> None:
        with server.app.state.database.writing() as registry:
            mine = DeviceGrant.user_code == devices.typed(told["user_code"])
            registry.session.execute(update(DeviceGrant).where(mine).values(polled_at=now() - seconds * 1000))

    assert refused(poll(device, code)) == (400, "authorization_pending")
    slowed = poll(device, code)
    assert refused(slowed) == (400, "slow_down")
    assert "every 10 seconds" in slowed.json()["error_description"]
    back(6)
    assert "every 15 seconds" in poll(device, code).json()["error_description"]
    back(16)
    assert refused(poll(device, code)) == (400, "authorization_pending")


@pytest.mark.parametrize("approved", [False, True])
def test_a_code_is_good_for_ten_minutes(
    device: httpx2.Client, person: Account, sign_in: SignIn, server: LiveServer, approved: bool
) -> None:
    told, browser = begun(device), sign_in(person.token)
    if approved:
        decide(browser, told["user_code"])
    with server.app.state.database.writing() as registry:
        mine = DeviceGrant.user_code == devices.typed(told["user_code"])
        registry.session.execute(update(DeviceGrant).where(mine).values(expires_at=now() - 1))
    assert refused(poll(device, told["device_code"])) == (400, "expired_token")
    assert decide(browser, told["user_code"]).status_code == 404
    with server.app.state.database.writing() as registry:
        registry.devices.forget(now() + DAY)
    assert refused(poll(device, told["device_code"])) == (400, "invalid_grant")


def test_a_code_of_another_client_or_of_nobody_is_refused(
    device: httpx2.Client, person: Account, sign_in: SignIn
) -> None:
    told = begun(device)
    decide(sign_in(person.token), told["user_code"])
    assert refused(poll(device, told["device_code"], "another")) == (400, "invalid_grant")
    assert refused(poll(device, "x" * 43)) == (400, "invalid_grant")
    assert poll(device, told["device_code"]).status_code == 200


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({}, "invalid_request"),
        ({"client_id": ""}, "invalid_request"),
        ({"client_id": "x" * 256}, "invalid_request"),
        ({"client_id": "a\nb"}, "invalid_request"),
        ({"client_id": "\u202eexe"}, "invalid_request"),
        ({"client_id": "x", "scope": "sudo"}, "invalid_scope"),
        ({"client_id": "x", "scope": "api " * 100}, "invalid_request"),
    ],
)
def test_what_a_device_asks_wrongly_is_an_error_of_oauth_s(
    device: httpx2.Client, fields: dict[str, str], code: str
) -> None:
    answer = device.post("/oauth/authorize_device", json=fields)
    assert (answer.status_code, answer.json()["error"]) == (400, code)
    assert answer.json()["error_description"]


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({}, "invalid_request"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": "refresh_token", "refresh_token": "x"}, "unsupported_grant_type"),
        ({"grant_type": GRANT}, "invalid_request"),
        ({"grant_type": GRANT, "device_code": "x"}, "invalid_request"),
        ({"grant_type": GRANT, "device_code": ["x"], "client_id": "x"}, "invalid_request"),
        ({"grant_type": GRANT, "device_code": "x" * 256, "client_id": "x"}, "invalid_request"),
    ],
)
def test_a_question_for_a_token_that_is_none_is_an_error_of_oauth_s(
    device: httpx2.Client, fields: dict[str, Any], code: str
) -> None:
    answer = device.post("/oauth/token", json=fields)
    assert (answer.status_code, answer.json()["error"]) == (400, code)
    assert set(answer.json()) == {"error", "error_description"}


@pytest.mark.parametrize(
    ("content", "content_type", "status"),
    [
        (b"{", "application/json", 400),
        (b"[1]", "application/json", 400),
        (b"x" * 70_000, "application/json", 413),
        (b"grant_type=%00", "application/x-www-form-urlencoded", 400),
    ],
)
def test_bodies_that_are_none_are_refused_in_oauth_s_shape(
    device: httpx2.Client, content: bytes, content_type: str, status: int
) -> None:
    for path in ("/oauth/token", "/oauth/authorize_device", "/oauth/device"):
        answer = device.post(path, content=content, headers={"Content-Type": content_type})
        assert (answer.status_code, answer.json()["error"]) == (status, "invalid_request"), path
    assert device.get("/oauth/token").status_code == 405


def test_twenty_questions_at_once_give_one_token(device: httpx2.Client, person: Account, sign_in: SignIn) -> None:
    told = begun(device)
    decide(sign_in(person.token), told["user_code"])
    barrier = threading.Barrier(20)

    def ask(_number: int) -> int:
        barrier.wait()
        return poll(device, told["device_code"]).status_code

    with ThreadPoolExecutor(20) as pool:
        assert sorted(pool.map(ask, range(20))) == [200] + [400] * 19


def test_a_code_is_decided_once_and_not_turned_into_another_s(
    device: httpx2.Client, make_user: Callable[..., Account], sign_in: SignIn
) -> None:
    told, first, second = begun(device), make_user(), make_user()
    assert decide(sign_in(first.token), told["user_code"]).status_code == 303
    late = decide(sign_in(second.token), told["user_code"])
    assert (late.status_code, "No device waits with this code" in late.text) == (404, True)
    token = poll(device, told["device_code"]).json()["access_token"]
    headers = {"PRIVATE-TOKEN": token}
    assert device.get("/api/v4/user", headers=headers).json()["username"] == first.username


@pytest.mark.parametrize("end", ["block", "revoke", "remove"])
def test_a_device_is_not_let_in_by_who_may_not_come_in_any_more(
    device: httpx2.Client,
    person: Account,
    sign_in: SignIn,
    root: httpx2.Client,
    make_token: Callable[..., dict[str, Any]],
    end: str,
) -> None:
    told, token = begun(device), make_token(person.id)
    decide(sign_in(token["token"]), told["user_code"])
    if end == "block":
        assert root.post(f"/users/{person.id}/block").status_code == 201
    elif end == "revoke":
        assert root.delete(f"/personal_access_tokens/{token['id']}").status_code == 204
    else:
        assert root.delete(f"/users/{person.id}").status_code == 204
    status, code = refused(poll(device, told["device_code"]))
    assert (status, code) == (400, "invalid_grant" if end == "remove" else "access_denied")


def test_a_device_s_token_ends_with_the_token_that_its_user_signed_in_with_also_when_it_is_rotated(
    device: httpx2.Client,
    person: Account,
    sign_in: SignIn,
    root: httpx2.Client,
    make_token: Callable[..., dict[str, Any]],
    server: LiveServer,
) -> None:
    maker = make_token(person.id)
    with server.app.state.database.writing() as registry:
        ends = update(Token).where(Token.id == maker["id"]).values(expires_at=now() + 2 * DAY)
        registry.session.execute(ends)
    told = begun(device)
    decide(sign_in(maker["token"]), told["user_code"])
    given = poll(device, told["device_code"]).json()
    assert given["expires_in"] <= 2 * 86400
    headers = {"PRIVATE-TOKEN": given["access_token"]}
    rotated = device.post("/api/v4/personal_access_tokens/self/rotate", headers=headers)
    assert rotated.status_code == 200, rotated.text
    headers = {"PRIVATE-TOKEN": rotated.json()["token"]}
    assert device.get("/api/v4/user", headers=headers).status_code == 200
    root.delete(f"/personal_access_tokens/{maker['id']}")
    assert device.get("/api/v4/user", headers=headers).status_code == 401


def test_whoever_came_in_without_a_token_lets_a_device_in_too(
    device: httpx2.Client, person: Account, server: LiveServer
) -> None:
    with server.app.state.database.writing() as registry:
        _token, secret = sessions.sign_in_as(registry, accounts.find(registry, person.id), "")
    told, cookies = begun(device), {"modelyard_session": secret}
    with httpx2.Client(base_url=server.url, headers=AS_BROWSER, cookies=cookies, timeout=30) as browser:
        assert decide(browser, told["user_code"]).status_code == 303
    headers = {"PRIVATE-TOKEN": poll(device, told["device_code"]).json()["access_token"]}
    assert device.get("/api/v4/user", headers=headers).json()["id"] == person.id


def test_a_read_only_session_lets_no_device_in_but_may_deny_one(
    device: httpx2.Client, person: Account, sign_in: SignIn, make_token: Callable[..., dict[str, Any]]
) -> None:
    told, reader = begun(device), sign_in(make_token(person.id, ("read_api",))["token"])
    assert decide(reader, told["user_code"]).status_code == 403
    assert refused(poll(device, told["device_code"])) == (400, "authorization_pending")
    assert decide(reader, told["user_code"], "deny").status_code == 303


def test_a_device_that_asks_to_read_gets_a_token_that_only_reads(
    device: httpx2.Client, person: Account, sign_in: SignIn
) -> None:
    told, browser = begun(device, scope="read_api"), sign_in(person.token)
    assert "read what you may read" in browser.get(told["verification_uri_complete"]).text
    decide(browser, told["user_code"])
    token = poll(device, told["device_code"]).json()
    assert token["scope"] == "read_api"
    headers = {"PRIVATE-TOKEN": token["access_token"]}
    assert device.post("/api/v4/projects", json={"name": "x"}, headers=headers).status_code == 403


def test_jobs_and_bots_let_no_device_in(
    device: httpx2.Client, root: httpx2.Client, make_project: Callable[..., dict[str, Any]]
) -> None:
    project = make_project()["id"]
    made = root.post(f"/projects/{project}/access_tokens", json={"name": "b", "scopes": ["api"], "access_level": 30})
    job = root.post(f"/projects/{project}/job_tokens")
    told = begun(device)
    for token in (made.json()["token"], job.json()["token"]):
        headers = AS_BROWSER | {"PRIVATE-TOKEN": token}
        fields = {"user_code": told["user_code"], "decision": "allow"}
        assert device.post("/oauth/device/decide", data=fields, headers=headers).status_code == 403
    assert refused(poll(device, told["device_code"])) == (400, "authorization_pending")


def test_a_stranger_signs_in_first_and_comes_back_to_the_code(device: httpx2.Client) -> None:
    told = begun(device)
    led = device.get(told["verification_uri_complete"], headers=AS_BROWSER)
    assert led.status_code == 303
    assert led.headers["location"] == f"/users/sign_in?return_to=%2Foauth%2Fdevice%3Fuser_code%3D{told['user_code']}"
    assert device.post("/oauth/device/decide", data={"user_code": told["user_code"]}).status_code == 401


def test_codes_are_typed_as_people_type_them(device: httpx2.Client, person: Account, sign_in: SignIn) -> None:
    told, browser = begun(device), sign_in(person.token)
    plain = told["user_code"].replace("-", "").lower()
    for typed in (plain, f" {plain[:2]} {plain[2:]} ", "-".join(plain)):
        assert CLIENT in browser.get("/oauth/device", params={"user_code": typed}).text


def test_wrong_codes_are_counted_against_whoever_types_them(
    device: httpx2.Client, make_user: Callable[..., Account], sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    person, told = make_user(), begun(device)
    browser = sign_in(person.token)
    monkeypatch.setattr(page, "MAX_WRONG", 3)
    monkeypatch.setattr(page, "THROTTLE", "throttle_of_this_test")
    within_one_minute(5)
    for _ in range(3):
        assert browser.get("/oauth/device", params={"user_code": "BBBB-BBBB"}).status_code == 404
    late = browser.get("/oauth/device", params={"user_code": told["user_code"]})
    assert (late.status_code, late.headers["ratelimit-limit"]) == (429, "3")
    assert decide(browser, told["user_code"]).status_code == 429
    assert decide(sign_in(make_user().token), told["user_code"]).status_code == 429  # from the same address


def test_codes_for_devices_are_bounded_by_address_and_in_all(
    device: httpx2.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "MAX_WAITING", 0)
    full = device.post("/oauth/authorize_device", data={"client_id": "x"})
    assert (full.status_code, full.json()["error"]) == (503, "temporarily_unavailable")
    assert full.headers["retry-after"] == "60"
    monkeypatch.setattr(asking, "MAX_A_MINUTE", 1)
    within_one_minute(5)
    answers = [device.post("/oauth/authorize_device", data={"client_id": "x"}) for _ in range(2)]
    assert (answers[-1].status_code, answers[-1].json()["error"]) == (429, "temporarily_unavailable")
    assert "retry-after" in answers[-1].headers


def test_another_site_s_page_decides_nothing(device: httpx2.Client, person: Account, sign_in: SignIn) -> None:
    told, browser = begun(device), sign_in(person.token)
    fields = {"user_code": told["user_code"], "decision": "allow"}
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}):
        assert browser.post("/oauth/device/decide", data=fields, headers=headers).status_code == 403
    assert refused(poll(device, told["device_code"])) == (400, "authorization_pending")


def test_without_pages_there_is_no_grant_for_devices(tmp_path: Path) -> None:
    with running(tmp_path, pages=False) as live:
        for path in ("/oauth/authorize_device", "/oauth/device_authorization", "/oauth/device"):
            assert httpx2.post(f"{live.url}{path}", data={"client_id": "x"}).status_code == 404
        assert httpx2.get(f"{live.url}/oauth/device").status_code == 404


@pytest.mark.once
@pytest.mark.slow
def test_somebody_lets_a_device_in_by_a_browser(
    chromium: Browser, device: httpx2.Client, person: Account, server: LiveServer
) -> None:
    told = begun(device)
    with watched(chromium, server.url) as seen:
        shown = seen.page()
        shown.goto(told["verification_uri"])
        shown.fill("#token", person.token)
        shown.click("button:has-text('Sign in')")
        shown.fill("#user_code", told["user_code"].lower())
        shown.click("button:has-text('Go on')")
        shown.wait_for_selector("text=Asked from")
        assert axe(shown) == []
        shown.click("button:has-text('Let it in')")
        shown.wait_for_selector("text=may act for you from now on")
        assert axe(shown) == []
    assert poll(device, told["device_code"]).status_code == 200


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with running_chromium() as browser:
        yield browser
