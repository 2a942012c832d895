"""The password of an administrator: off by default, set by an operator, slow to guess, telling nobody who exists."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from argon2 import Parameters, PasswordHasher, extract_parameters

from modelyard.access.identity import OPERATOR
from modelyard.services.identity import passwords
from tests.live import LiveServer, running
from tests.routes.pages.conftest import AS_BROWSER
from tests.waiting import eventually

CLOCK = "modelyard.services.traffic.windows.time.time"
ROOT = "root"  # the administrator's name
PASSWORD = "correct horse battery"
FIELD = 'name="password"'


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with running(tmp_path_factory.mktemp("passwords")) as server:
        yield server


@pytest.fixture
def browser(
    live: LiveServer, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[httpx2.Client]:
    """A stranger's, whose wrong passwords are counted anew."""
    monkeypatch.setattr("modelyard.routes.pages.passwords.THROTTLE", f"throttle of {request.node.name}")
    with httpx2.Client(base_url=live.url, headers=AS_BROWSER, timeout=30) as client:
        yield client


@pytest.fixture
def with_password(live: LiveServer) -> Iterator[None]:
    database = live.app.state.database
    database.write_now(lambda registry: passwords.change(registry, OPERATOR, ROOT, PASSWORD))
    yield
    database.write_now(lambda registry: registry.passwords.delete(1))


def typed(browser: httpx2.Client, password: str = PASSWORD, name: str = ROOT, **more: str) -> httpx2.Response:
    return browser.post("/users/sign_in", data={"username": name, "password": password} | more)


def test_without_a_password_there_is_no_field_for_one_and_none_lets_in(browser: httpx2.Client) -> None:
    assert FIELD not in browser.get("/users/sign_in").text
    for password in ("", "nobody's", PASSWORD):
        answer = typed(browser, password)
        assert (answer.status_code, "set-cookie" in answer.headers) == (401, False)


@pytest.mark.usefixtures("with_password")
def test_a_password_begins_a_session_as_a_token_does(browser: httpx2.Client, live: LiveServer) -> None:
    assert FIELD in browser.get("/users/sign_in").text
    answer = typed(browser, name="Root", return_to="/dashboard/projects")
    assert (answer.status_code, answer.headers["location"]) == (303, "/dashboard/projects")
    assert "Signed in as <strong>root</strong>" in browser.get("/").text
    assert PASSWORD not in browser.get("/").text
    assert browser.post("/projects/new", data={"name": "by-password"}).status_code == 303
    with live.client(live.root_token) as root:
        events = root.get("/audit_events").json()
    assert "user_session_created" in [each["event_name"] for each in events]
    assert PASSWORD not in str(events)


@pytest.mark.usefixtures("with_password")
@pytest.mark.parametrize("target", ["//evil.example", "/\\evil.example", "https://evil.example"])
def test_a_password_leads_nobody_to_another_host(browser: httpx2.Client, target: str) -> None:
    assert typed(browser, return_to=target).headers["location"] == "/"


@pytest.mark.usefixtures("with_password")
def test_wrong_names_and_wrong_passwords_are_told_alike_and_the_trail_knows(
    browser: httpx2.Client, live: LiveServer
) -> None:
    wrong, unknown = typed(browser, "x" * 20), typed(browser, "x" * 20, "nobody-of-that-name")
    assert (wrong.status_code, unknown.status_code) == (401, 401)
    said = [re.sub("<code>[0-9a-f]{32}</code>", "", answer.text) for answer in (wrong, unknown)]  # without its id
    assert said[0] == said[1]
    assert "let nobody in here" in wrong.text
    asked = [answer.headers["x-request-id"] for answer in (wrong, unknown)]
    with live.client(live.root_token) as root:

        def noted() -> list[Any]:
            return [each for each in root.get("/audit_events").json() if each["details"]["request_id"] in asked]

        eventually(lambda: bool(noted()))  # which comes after the answer
        (event,) = noted()
    assert event["event_name"] == "user_password_refused"
    assert (event["details"]["target_details"], event["details"]["ip_address"]) == (ROOT, "127.0.0.1")


@pytest.mark.usefixtures("with_password")
def test_a_name_that_nobody_has_costs_as_much_as_one_that_somebody_has(
    browser: httpx2.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    verified: list[Parameters] = []
    hasher = passwords._hasher()

    class Watched:
        def verify(self, digest: str, password: str) -> bool:
            verified.append(extract_parameters(digest))
            return hasher.verify(digest, password)

    monkeypatch.setattr(passwords, "_hasher", Watched)
    for name in (ROOT, "nobody-of-that-name"):
        assert typed(browser, "x", name).status_code == 401
    assert len(verified) == 2
    assert verified[0] == verified[1]  # the same work: version, memory, time and threads


@pytest.fixture
def a_new_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock, set so that what is counted a minute is counted in one."""
    clock = time.time
    passed = clock() % 60
    monkeypatch.setattr(CLOCK, lambda: clock() - passed)


@pytest.mark.usefixtures("with_password", "a_new_minute")
def test_the_sixth_wrong_password_a_minute_is_429_and_the_right_one_works_later(
    browser: httpx2.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    statuses = [typed(browser, "x").status_code for _ in range(6)]
    assert statuses == [401] * 5 + [429]
    late = typed(browser)
    assert (late.status_code, late.headers["ratelimit-limit"]) == (429, "5")
    assert "retry-after" in late.headers
    assert typed(browser, "x", "another").status_code == 401  # others are not locked out
    minutes = time.time() + 120
    monkeypatch.setattr(CLOCK, lambda: minutes)
    assert typed(browser).status_code == 303


@pytest.mark.usefixtures("with_password", "a_new_minute")
def test_one_address_cannot_try_many_names(browser: httpx2.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modelyard.routes.pages.passwords.MAX_WRONG_AT_ALL", 3)
    assert [typed(browser, "x", f"name-{n}").status_code for n in range(5)] == [401] * 3 + [429] * 2


@pytest.mark.usefixtures("with_password")
def test_only_so_many_passwords_are_looked_at(browser: httpx2.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "MAX_WAITING", 0)
    assert typed(browser).status_code == 429


@pytest.mark.usefixtures("with_password")
def test_who_administers_no_more_or_is_blocked_is_kept_out(browser: httpx2.Client, live: LiveServer) -> None:
    with live.client(live.root_token) as root:
        body = {"username": "second", "name": "s", "email": "s@example.com", "admin": True}
        second = root.post("/users", json=body).json()["id"]
        database = live.app.state.database
        database.write_now(lambda registry: passwords.change(registry, OPERATOR, "second", PASSWORD))
        assert typed(browser, name="second").status_code == 303
        browser.cookies.clear()
        root.post(f"/users/{second}/block")
        assert (typed(browser, name="second").status_code, "blocked" in typed(browser, name="second").text) == (
            403,
            True,
        )
        root.post(f"/users/{second}/unblock")
        root.put(f"/users/{second}", json={"admin": False})
        assert typed(browser, name="second").status_code == 401


def test_the_password_that_nobody_is_held_against_opens_nothing(
    browser: httpx2.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passwords, "NOBODY_S", PasswordHasher(1, 8, 1).hash(PASSWORD))
    for name in ("nobody", ROOT):
        assert typed(browser, name=name).status_code == 401


@pytest.mark.usefixtures("with_password")
def test_a_password_that_is_changed_while_it_is_looked_at_opens_nothing(
    browser: httpx2.Client, live: LiveServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    look, database = passwords._verify, live.app.state.database

    def slowly(digest: str | None, password: str) -> str | None:
        found = look(digest, password)
        database.write_now(lambda registry: passwords.change(registry, OPERATOR, ROOT, f"another {PASSWORD}"))
        return found

    monkeypatch.setattr(passwords, "_verify", slowly)
    assert typed(browser).status_code == 401


@pytest.mark.usefixtures("with_password")
def test_a_digest_of_weaker_parameters_is_renewed_when_it_is_used(browser: httpx2.Client, live: LiveServer) -> None:
    weak = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    database = live.app.state.database
    database.write_now(lambda registry: registry.passwords.put(1, weak, 0))
    assert typed(browser).status_code == 303
    assert "m=19456,t=2,p=1" in database.read_now(lambda registry: registry.passwords.digest(1))
    assert typed(browser).status_code == 303


@pytest.mark.parametrize("headers", [{"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}])
@pytest.mark.usefixtures("with_password")
def test_another_site_s_page_signs_nobody_in_by_a_password(browser: httpx2.Client, headers: dict[str, str]) -> None:
    fields = {"username": ROOT, "password": PASSWORD}
    assert browser.post("/users/sign_in", data=fields, headers=headers).status_code == 403
